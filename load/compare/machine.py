"""What everything ran on: a figure without its machine is none."""

import datetime
import os
import pathlib
import platform
import re
import subprocess


def description(servers, binaries, cores):
    """Names and values, in the order in which they are told."""
    told = {
        "date": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
        "cpu": cpu(),
        "cores": len(os.sched_getaffinity(0)),
        "server_core": cores.server,
        "swarm_core": cores.swarm,
        "memory_gib": memory_gib(),
        "kernel": platform.release().split("-")[0],
        "system": system(),
        "load_before": round(os.getloadavg()[0], 2),
        "rust": first_line("rustc", "--version"),
        "node": first_line("node", "--version"),
        "python": platform.python_version(),
        "kith_commit": first_line("git", "-C", str(pathlib.Path(__file__).parent), "describe", "--always", "--dirty"),
    }
    told["versions"] = {server.name: server.version(binaries) for server in servers}
    return told


def sentences(told, rounds, quick):
    """The same for people, as lines."""
    warning = ["**A quick run: the loads are far smaller than the rows say, and the figures mean nothing.**", ""]
    peers = {name: version for name, version in told["versions"].items() if not name.startswith(("floor", "kith"))}
    versions = ", ".join(f"{name} {version}" for name, version in peers.items())
    rounds = f"Medians of {rounds} rounds" if rounds > 1 else "One round"
    return (warning if quick else []) + [
        f"{rounds}, the servers alternating in each; × is the ratio to the floor, the median of the "
        "ratios in each round.",
        "Everything over loopback, 128 bytes a message where nothing else is said; "
        f"servers on core {told['server_core']}, the swarm on core {told['swarm_core']}, "
        "and there also the store's threads of Kith d.",
        "Kith e is a lobby without history, Kith d a durable one, both without limits and with the "
        "log on, to a file.",
        f"{told['date']}: {told['cpu']}, {told['cores']} cores, {told['memory_gib']} GiB, "
        f"Linux {told['kernel']}, {told['system']}; load average before {told['load_before']}.",
        f"Kith at {told['kith_commit']}, {told['rust']}, Node {told['node']}, Python {told['python']}"
        + (f"; {versions}." if versions else "."),
    ]


def cpu():
    found = re.search(r"^model name\s*:\s*(.+)$", pathlib.Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    return found[1] if found else platform.machine()


def memory_gib():
    found = re.search(r"^MemTotal:\s*(\d+) kB", pathlib.Path("/proc/meminfo").read_text(), re.MULTILINE)
    return round(int(found[1]) / (1 << 20), 1) if found else None


def system():
    try:
        names = pathlib.Path("/etc/os-release").read_text()
    except OSError:
        return platform.system()
    found = re.search(r'^PRETTY_NAME="?([^"\n]+)', names, re.MULTILINE)
    return found[1] if found else platform.system()


def first_line(*command):
    """What a program says of itself; nothing, if it is not there."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return "unknown"
    return done.stdout.strip().splitlines()[0].removeprefix("v") if done.stdout.strip() else "unknown"
