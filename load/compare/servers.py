"""What is compared: how each server is built, started on a core, and ended.

Knows nothing of loads. Whatever is started here is ended here, and every wait has a bound.
"""

import contextlib
import os
import pathlib
import re
import resource
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
WORK = ROOT / ".ci" / "work" / "compare"

BUILD_SECONDS = 1800
START_SECONDS = 20
STOP_SECONDS = 10
NODE_LEAST = 20

UNLIMITED = ("limits.talk_rate=0", "limits.address_talk_rate=0", "limits.command_rate=0")


class CannotBuild(Exception):
    """What is missing, and what to do."""


@dataclass(frozen=True)
class Server:
    """One that is compared. `dialect` says how the swarm speaks to it: `raw` or `kith`."""

    name: str
    title: str
    dialect: str
    build: callable
    command: callable
    version: callable = str
    # Of a thread that does not belong on the server's core, the beginning of its name.
    elsewhere: str = ""


@dataclass
class Cores:
    """Where the server runs, and where the swarm."""

    server: int = 0
    swarm: int = 1


@dataclass
class Binaries:
    """Kith's own, which may be built already."""

    kith: pathlib.Path = None
    swarm: pathlib.Path = None


@dataclass
class Running:
    """A process that listens."""

    server: Server
    process: subprocess.Popen
    port: int
    home: pathlib.Path
    log: pathlib.Path = field(default=None)

    @property
    def pid(self):
        return self.process.pid

    @property
    def url(self):
        path = "ws" if self.server.dialect == "kith" else ""
        return f"ws://127.0.0.1:{self.port}/{path}"

    @property
    def loop_thread(self):
        """The name of its first thread, which runs the loop in all of them."""
        return pathlib.Path(f"/proc/{self.pid}/comm").read_text().strip()

    def files(self):
        """How many it has open."""
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    def resident(self):
        """Bytes."""
        pages = int(pathlib.Path(f"/proc/{self.pid}/statm").read_text().split()[1])
        return pages * resource.getpagesize()

    def last_words(self):
        lines = self.log.read_text(errors="replace").splitlines()
        return lines[-1][:200] if lines else "nothing"


@contextlib.contextmanager
def started(server, binaries, cores):
    """The server on a free port, with a folder of its own; both are gone afterwards."""
    WORK.mkdir(parents=True, exist_ok=True)
    home = pathlib.Path(tempfile.mkdtemp(prefix="run-", dir=WORK))
    process = None
    try:
        port = free_port()
        log = home / "log"
        with open(log, "wb") as out:
            process = subprocess.Popen(
                pinned(server.command(binaries, port, home), cores.server),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                cwd=home,
                env=clean_environment(),
            )
        running = Running(server, process, port, home, log)
        wait_for_port(running)
        move_threads(running, cores.swarm)
        yield running
    finally:
        if process is not None:
            end(process)
        shutil.rmtree(home, ignore_errors=True)


def end(process):
    """SIGTERM, and what does not obey is killed."""
    process.terminate()
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def wait_for_port(running):
    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until and running.process.poll() is None:
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", running.port), timeout=1).close()
            return
        time.sleep(0.02)
    raise RuntimeError(f"{running.server.name} did not start; it said: {running.last_words()}")


def move_threads(running, core):
    """The store of a durable server is on the other core, as the design has it."""
    prefix = running.server.elsewhere
    for task in pathlib.Path(f"/proc/{running.pid}/task").iterdir() if prefix else ():
        if (task / "comm").read_text().startswith(prefix):
            os.sched_setaffinity(int(task.name), {core})


def pinned(command, core):
    """The same command, on this core; the process is the command's own."""
    return ["taskset", "--cpu-list", str(core), *map(str, command)]


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def clean_environment():
    """Without the settings of whoever runs this."""
    return {name: value for name, value in os.environ.items() if not name.startswith("KITH_")}


# --- Building ---------------------------------------------------------------------------------


def run(command, **more):
    """A step of a build; what it says is shown when it fails."""
    try:
        done = subprocess.run(
            [str(word) for word in command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=BUILD_SECONDS,
            text=True,
            **more,
        )
    except FileNotFoundError as error:
        raise CannotBuild(f"{command[0]} is missing") from error
    except subprocess.TimeoutExpired as error:
        raise CannotBuild(f"{command} was not done after {BUILD_SECONDS} s") from error
    if done.returncode != 0:
        raise CannotBuild(f"{command} failed:\n{done.stdout}")
    return done.stdout


def build_kith(binaries):
    if binaries.kith and binaries.swarm:
        return
    run(["cargo", "build", "--release", "--locked", "--bins"], cwd=ROOT)
    target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "release"
    binaries.kith = binaries.kith or target / "kith"
    binaries.swarm = binaries.swarm or target / "kith-swarm"


def build_crate(folder):
    manifest = HERE / folder / "Cargo.toml"
    return lambda _: run(
        ["cargo", "build", "--release", "--locked", "--manifest-path", manifest]
        + ["--target-dir", WORK / "target"]
    )


def build_node(_):
    version = run(["node", "--version"])
    if int(re.match(r"v(\d+)", version)[1]) < NODE_LEAST:
        raise CannotBuild(f"node is {version.strip()}; it has to be {NODE_LEAST} or newer")
    # The native module comes built; without scripts nothing of a stranger's runs here.
    run(["npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts"], cwd=HERE / "node-ws")


def build_python(_):
    venv, wanted = WORK / "venv", HERE / "python-websockets" / "requirements.txt"
    made_of = f"{sys.version}\n{wanted.read_text()}"
    stamp = venv / "made-of"
    if stamp.exists() and stamp.read_text() == made_of:
        return
    shutil.rmtree(venv, ignore_errors=True)
    run([sys.executable, "-m", "venv", venv])
    pip = [venv / "bin" / "pip", "install", "--quiet", "--disable-pip-version-check"]
    run([*pip, "-r", wanted])
    stamp.write_text(made_of)


# --- The servers ------------------------------------------------------------------------------


def kith(history):
    def command(binaries, port, home):
        settings = [*UNLIMITED, f"lobby.history={'true' if history else 'false'}"]
        words = [binaries.kith, "--listen", f"127.0.0.1:{port}", "--data", home / "data"]
        for setting in settings:
            words += ["--set", setting]
        return words

    return command


def floor(binaries, port, _):
    return [binaries.swarm, "floor", "--listen", f"127.0.0.1:{port}"]


def crate(name):
    program = WORK / "target" / "release" / f"peer-{name}"
    return lambda _, port, home: [program, str(port)]


def script(*words):
    return lambda _, port, home: [*words, str(port)]


def locked(folder, package):
    """The version that is pinned, from whichever file pins it."""

    def version(_):
        for file, pattern in (
            ("Cargo.lock", rf'name = "{package}"\nversion = "([^"]+)"'),
            ("package-lock.json", rf'"node_modules/{package}": {{\s*"version": "([^"]+)"'),
            ("requirements.txt", rf"^{package}==(\S+)"),
        ):
            path = HERE / folder / file
            found = path.exists() and re.search(pattern, path.read_text(), re.MULTILINE)
            if found:
                return found[1]
        raise LookupError(f"{package} is not pinned in {folder}")

    return version


def own(binaries):
    return run([binaries.kith, "--version"]).split()[-1]


def peer(folder, package, command, build=None):
    build = build or build_crate(folder)
    return Server(folder, package, "raw", build, command, locked(folder, package))


SERVERS = (
    Server("floor", "the floor", "raw", build_kith, floor, own),
    Server("kith-e", "Kith e", "kith", build_kith, kith(history=False), own),
    Server("kith-d", "Kith d", "kith", build_kith, kith(history=True), own, "kith-"),
    peer("tokio-tungstenite", "tokio-tungstenite", crate("tokio-tungstenite")),
    peer("axum", "axum", crate("axum")),
    peer("fastwebsockets", "fastwebsockets", crate("fastwebsockets")),
    peer("node-ws", "ws", script("node", HERE / "node-ws" / "server.mjs"), build_node),
    peer(
        "python-websockets",
        "websockets",
        script(WORK / "venv" / "bin" / "python", HERE / "python-websockets" / "server.py"),
        build_python,
    ),
)
