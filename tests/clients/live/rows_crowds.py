"""Thousands at once: silent, cut off without a word, all back at the same moment, and as many as there are files for."""

import ctypes
import os
import selectors
import subprocess
import threading
import time
from contextlib import contextmanager

from checks import Oracle
from server import PROBE_RATE, Server
from wire import PONG, Ended, Wire, frame, join, said

# What a machine that is busy with ten thousand sockets of ours may add to a deadline, in seconds.
LATE = 2.5


def silent(check, kith):
    """Row 4: 5,000 connections that say nothing, and 5,000 that never say who they are: closed 10 s later, each in its way."""
    server, count = Server(kith), check.size("silent: connections of each kind")
    with Oracle(check, server) as oracle:
        wires = [(Wire(server.port), time.monotonic()) for _ in range(count)]
        bare = watch_ends(wires)
        wires = [(join(server.port), time.monotonic()) for _ in range(count)]
        upgraded = watch_ends(wires)
        oracle.watch()
        for thread, _ in (bare, upgraded):
            thread.join()
        for (_, ends), what, ending in ((bare, "silent after connect", b""), (upgraded, "upgraded without a name", b"\x0d\xac")):
            ages = [age for age, _ in ends]
            odd = {last for _, last in ends if last != ending}
            check(f"{count:,} {what} are closed 10 s after accept{' with 3500' if ending else ''}", len(ends) == count and not odd
                  and min(ages) >= 9.5 and max(ages) <= 10 + LATE + check.noise / 1000,
                  f"{len(ends)} closed, {min(ages, default=0):.1f} to {max(ages, default=0):.1f} s {odd or ''}")
    server.stop()


def watch_ends(wires):
    """A thread, and what it finds: of each connection its age at the end, and the close code (nothing without one)."""
    ends = []

    def watch():
        until = time.monotonic() + 30
        with selectors.DefaultSelector() as selector:
            for wire, began in wires:
                selector.register(wire.sock, selectors.EVENT_READ, (wire, began))
            while selector.get_map() and time.monotonic() < until:
                for key, _ in selector.select(0.2):
                    wire, began = key.data
                    # A silent one hears nothing but the end; a close frame of the server is its end.
                    try:
                        wire.fill()
                    except Ended:
                        pass
                    ends.append((time.monotonic() - began, bytes(wire.buffer[2:4])))
                    selector.unregister(wire.sock)
                    wire.close()

    thread = threading.Thread(target=watch)
    thread.start()
    return thread, ends


def half_open(check, kith):
    """Row 31: the network under 1,000 clients goes away without a FIN: noticed within 60 s, offline, and their files free."""
    if os.geteuid() != 0:
        return check("a network of its own can be made", False, "wants root and iproute2")
    for room, every in check.size("half open: rooms, and how often somebody speaks there"):
        with network() as host:
            server = Server(kith, (*PROBE_RATE, "metrics.public=true"), host=host)
            with Oracle(check, server, every=every) as oracle:
                run_half_open(check, server, oracle, room)
            server.stop()
    return None


def run_half_open(check, server, oracle, room):
    count = check.size("half open: clients")
    with inside():
        wires = [join(server.port, f"half{n}", host=server.host) for n in range(count)]
    before = server.metric("sessions")
    # Heard of last right before the end, so that it is not an older silence that is noticed.
    for wire in wires:
        wire.send(frame(PONG))
    time.sleep(0.5)
    ip("-n", NAMESPACE, "link", "set", "inner", "down")
    down, alone = time.monotonic(), oracle.fds
    time.sleep(5)
    check(f"{count:,} clients are in, and nobody notices at once that their network is gone",
          before == count + 2 and server.metric("sessions") == before, f"{before} sessions, {server.metric('sessions')} after 5 s")
    wait_until(lambda: server.fds() <= alone + 5, down + 75)
    took = time.monotonic() - down
    check(f"in a room {room}, all are noticed within 60 s, and their files are free", took <= 60 + LATE,
          f"{took:.1f} s, {server.fds() - alone} files left")
    # Who comes back at once was never offline for others (`OFFLINE_AFTER`, 10 s).
    present = lambda: [name for name in online(server) if name.startswith("half")]
    wait_until(lambda: not present(), time.monotonic() + 10 + LATE)
    check("and 10 s later they are offline for everybody", not present() and server.metric("sessions") == 2,
          f"{len(present())} present")
    for wire in wires:
        wire.close()


def online(server):
    """Everybody's names, page by page."""
    names = []
    with join(server.port, "looking", host=server.host) as wire:
        while True:
            found = wire.ask(1, userList={"after": names[-1]} if names else {})["users"].get("names", [])
            names += found
            if not found:
                break
        wire.send(said({"exit": {}}))
        wire.end(5)
    return names


def wait_until(fits, deadline):
    while not fits() and time.monotonic() < deadline:
        time.sleep(0.2)


NAMESPACE, CLONE_NEWNET = "kith-live", 0x40000000


@contextmanager
def network():
    """A network namespace behind a pair of interfaces; our address there."""
    ip("netns", "del", NAMESPACE, check=False)
    ip("netns", "add", NAMESPACE)
    try:
        ip("link", "add", "kith-outer", "type", "veth", "peer", "name", "inner", "netns", NAMESPACE)
        # Of the range that is reserved for benchmarks (RFC 2544), so that it is nobody's.
        ip("addr", "add", "198.18.77.1/30", "dev", "kith-outer")
        ip("link", "set", "kith-outer", "up")
        ip("-n", NAMESPACE, "addr", "add", "198.18.77.2/30", "dev", "inner")
        ip("-n", NAMESPACE, "link", "set", "inner", "up")
        yield "198.18.77.1"
    finally:
        # The interfaces go with it.
        ip("netns", "del", NAMESPACE, check=False)


@contextmanager
def inside():
    """In it, sockets of this thread are made in the namespace, and stay there."""
    libc = ctypes.CDLL(None, use_errno=True)

    def enter(file):
        if libc.setns(file.fileno(), CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), "setns")

    with open("/proc/thread-self/ns/net") as here, open(f"/run/netns/{NAMESPACE}") as there:
        enter(there)
        try:
            yield
        finally:
            enter(here)


def ip(*words, check=True):
    subprocess.run(["ip", *words], check=check, capture_output=not check)


ROWS = {"silent": silent, "half_open": half_open}
