"""Everybody comes back at the same moment, and then as many as there are files for."""

import heapq
import json
import os
import random
import re
import selectors
import signal
import socket
import subprocess
import threading
import time

from checks import MIB, Oracle
from crowd import SEQ
from server import UNLIMITED, Server
from wire import CLOSE, PING, PONG, TEXT, frame, join, said

BACK_WITHIN = 30
TAG = re.compile(rb'"tag":(\d+)')


def storm(check, kith):
    """Row 32: the server is restarted under 5,000 clients, who all come back at once: within 30 s, and without missing a word."""
    server = Server(kith, UNLIMITED)
    data, port = server.data, server.port
    herd = Herd([Guest(n) for n in range(check.size("storm: clients"))])
    try:
        for turn in range(check.size("storm: restarts")):
            herd.arrive(port)
            if not check(f"restart {turn + 1}: all are in before", herd.all_in(), herd.told()):
                return
            code = restart_under(server, herd)
            check(f"restart {turn + 1}: told to come back (1012), and the server ended with 0", code == 0
                  and herd.codes() == {1012}, f"{code}, {herd.codes()}")
            server = Server(kith, UNLIMITED, data=data, port=port)
            # They come with what the room has said meanwhile still to be read, and while it talks on.
            with Oracle(check, server, every=0.5) as oracle:
                say(port, f"talker{turn}", 50)
                took = herd.arrive(port)
                oracle.watch()
                head = say(port, f"caller{turn}", 1)
                herd.run(port, 15, lambda: all(guest.seq >= head for guest in herd.guests))
                check(f"restart {turn + 1}: {len(herd.guests):,} are back within {BACK_WITHIN} s", herd.all_in()
                      and took <= BACK_WITHIN, f"{took:.1f} s, {herd.told()}")
                missed = sum(guest.seq < head or guest.wrong or guest.holes for guest in herd.guests)
                check(f"restart {turn + 1}: nobody missed a word, and all hear the next one", missed == 0,
                      f"{missed} did, head {head}, {sum(guest.heard for guest in herd.guests)} entries heard so far")
                herd.leave()
    finally:
        herd.leave()
        server.own = True
        server.stop()


def restart_under(server, herd):
    """Stops it with everybody in; its exit status."""
    server.own = False
    server.signal(signal.SIGTERM)
    herd.run(server.port, 12, lambda: not herd.selector.get_map())
    return server.wait(12)


def say(port, name, count):
    """So many messages by somebody who then leaves; the position of the last."""
    with join(port, name) as wire:
        for n in range(count):
            answer = wire.ask(n + 1, talk={"text": f"{name} {n}"})
        wire.send(said({"exit": {}}))
        wire.end(5)
    return int(answer["talked"]["seq"])


class Guest:
    """One of many: knows how far it has read, and comes back to exactly there."""

    def __init__(self, number):
        self.name = f"guest-{number}"
        self.proof, self.epoch, self.seq, self.tag = {}, None, 0, 0
        self.heard = self.wrong = self.holes = self.tries = 0
        self.sock, self.welcomed, self.head, self.code, self.error = None, False, 0, None, None

    def connect(self, port):
        self.tries += 1
        self.welcomed, self.upgraded, self.code, self.buffer = False, False, None, bytearray()
        self.sock = socket.socket()
        self.sock.setblocking(False)
        self.sock.connect_ex(("127.0.0.1", port))

    def greet(self, port):
        """The request, and the first command right behind it."""
        hello = {"name": self.name, **self.proof}
        if self.epoch is not None:
            hello["cursors"] = [{"conversation": "lobby", "epoch": self.epoch, "seq": str(self.seq), "tag": self.tag}]
        self.sock.send(REQUEST % port + said({"id": 1, "hello": hello}))

    def readable(self):
        """Whether the connection goes on."""
        try:
            data = self.sock.recv(1 << 16)
        except BlockingIOError:
            return True
        except OSError:
            return False
        self.buffer += data
        if not self.upgraded:
            end = self.buffer.find(b"\r\n\r\n")
            if end < 0:
                return bool(data)
            self.upgraded = self.buffer.startswith(b"HTTP/1.1 101 ")
            self.error = None if self.upgraded else bytes(self.buffer[:20])
            del self.buffer[:end + 4]
        return self.parse() and bool(data)

    def parse(self):
        buffer, at = self.buffer, 0
        while len(buffer) - at >= 2:
            length, head = buffer[at + 1] & 0x7F, 2
            if length > 125:
                head = 4 if length == 126 else 10
                length = int.from_bytes(buffer[at + 2:at + head], "big")
            if len(buffer) - at < head + length:
                break
            self.hear(buffer[at] & 0x0F, bytes(buffer[at + head:at + head + length]))
            at += head + length
        del buffer[:at]
        return self.code is None and self.error is None

    def hear(self, opcode, payload):
        if opcode == CLOSE:
            self.code = int.from_bytes(payload[:2], "big")
        elif opcode == PING:
            self.sock.send(frame(PONG, payload))
        elif opcode == TEXT and (found := SEQ.search(payload[:120])):
            seq = int(found.group(1))
            self.heard += 1
            self.wrong += seq != self.seq + 1
            self.seq, self.tag = seq, int(TAG.search(payload).group(1)) if b'"tag"' in payload else 0
        elif opcode == TEXT and payload.startswith((b'{"hole"', b'{"reset"')):
            self.holes += 1
        elif opcode == TEXT and b'"welcome"' in payload[:40]:
            self.welcome(json.loads(payload)["welcome"])
        elif opcode == TEXT and b'"error"' in payload[:40]:
            self.error = json.loads(payload)["error"]["name"]

    def welcome(self, welcome):
        lobby = welcome["conversations"][0]
        self.proof = {"guestId": welcome["guestId"], "resumeSecret": welcome["resumeSecret"]}
        self.head = int(lobby.get("head", 0))
        if self.epoch is None:
            self.seq, self.tag = self.head, lobby.get("tag", 0)
        self.holes += self.epoch not in (None, lobby["epoch"])
        self.epoch, self.welcomed = lobby["epoch"], True

    def is_in(self):
        return self.welcomed and self.seq >= self.head


REQUEST = (b"GET /ws HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
           b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n")


class Herd:
    """All guests, in one loop. Who is turned away tries again a moment later, as a client should."""

    def __init__(self, guests):
        self.guests, self.selector = guests, selectors.DefaultSelector()
        self.waiting = []

    def arrive(self, port):
        """All connect, at once; seconds until everybody has read everything."""
        began = time.monotonic()
        for guest in self.guests:
            guest.welcomed = False
        self.waiting = [(0, n, guest) for n, guest in enumerate(self.guests)]
        self.run(port, BACK_WITHIN + 5, self.all_in)
        return time.monotonic() - began

    def run(self, port, seconds, until):
        end, look = time.monotonic() + seconds, 0
        while (now := time.monotonic()) < end:
            if now >= look:
                if until():
                    return
                look = now + 0.05
            # All that are due, but for a look at the others after so many.
            for _ in range(500):
                if not self.waiting or self.waiting[0][0] > now:
                    break
                guest = heapq.heappop(self.waiting)[2]
                guest.connect(port)
                self.selector.register(guest.sock, selectors.EVENT_WRITE, guest)
            for key, events in self.selector.select(0.01) if self.selector.get_map() else ():
                self.go_on(port, key.data, events)

    def go_on(self, port, guest, events):
        goes_on = False
        if events & selectors.EVENT_WRITE:
            if guest.sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0:
                guest.greet(port)
                self.selector.modify(guest.sock, selectors.EVENT_READ, guest)
                goes_on = True
        else:
            goes_on = guest.readable()
        if goes_on:
            return
        self.selector.unregister(guest.sock)
        guest.sock.close()
        if guest.code is None:
            guest.error = None
            heapq.heappush(self.waiting, (time.monotonic() + random.uniform(0.2, 1), id(guest), guest))

    def all_in(self):
        return all(guest.is_in() for guest in self.guests)

    def codes(self):
        return {guest.code for guest in self.guests}

    def told(self):
        return f"{sum(guest.is_in() for guest in self.guests)} in, {sum(guest.tries for guest in self.guests)} attempts so far"

    def leave(self):
        for key in list(self.selector.get_map().values()):
            self.selector.unregister(key.fileobj)
            key.fileobj.close()
        self.waiting = []


def everybody(check, kith):
    """18,000 connections in one process all hear one talk; then all leave, and what they took is given back."""
    swarm = os.path.join(os.path.dirname(kith), "kith-swarm")
    server, clients = Server(kith, UNLIMITED), check.size("everybody: clients")
    # Each word of the pair is said to everybody, so it says less.
    with Oracle(check, server, every=1) as oracle:
        report = f"{server.data}/swarm.json"
        command = [swarm, "lobby", "--url", server.url, "--clients", str(clients), "--rate", "0.5", "--settle", "20s",
                   "--duration", f"{check.size('everybody: seconds of talk')}s", "--json", report, "--pid", str(server.pid)]
        running = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        most, done = [0], threading.Event()

        def watch():
            while not done.wait(0.2):
                most[0] = max(most[0], server.metric("sessions"))
                oracle.watch()

        watcher = threading.Thread(target=watch)
        watcher.start()
        out, _ = running.communicate(timeout=180)
        done.set()
        watcher.join()
        check(f"{clients:,} were in at the same time", most[0] >= clients, f"{most[0]} sessions")
        try:
            with open(report) as file:
                told = json.load(file)
        except OSError:
            return check("the swarm reported", False, out[-300:])
        verdict, heard = told["verdict"], told["traffic"]["deliveries"]
        check("each of them heard every word of the swarm's", running.returncode == 0 and verdict["said"] > 0
              and heard >= verdict["said"] * (clients - 1), f"{verdict['said']} said, {heard} heard, exit status {running.returncode}"
              + (f", {told['broken']}" if told["broken"] else ""))
        slowest = told["latency"]["corrected"]["max"]
        check("and heard it within a second", slowest <= 1000 + check.noise, f"{slowest:.0f} ms")
        # What the pair says may stand behind one such word.
        oracle.p99 += round(slowest)
        each = (oracle.most - oracle.rss) / clients
        check("each of them has cost at most 4 KiB", each <= 4096, f"{each:.0f} bytes, {oracle.most / MIB:.1f} MiB in all")
    server.stop()
    return None


ROWS = {"storm": storm, "everybody": everybody}
