"""Before the upgrade: heads, slow heads, bad upgrades, and plain HTTP."""

import http.client
import re
import socket
import subprocess
import threading
import time

from checks import MIB, Oracle
from server import Server
from wire import TEXT, Ended, Wire, frame, join, said

HEAD = b"GET / HTTP/1.1\r\nHost: x\r\n"


def heads(check, kith):
    """Row 1: one header of 8 KiB, 64 KiB, 1 MiB, and a stream of 100 MiB. Row 2: 2,000 headers, 200 connections."""
    server = Server(kith)
    with Oracle(check, server) as oracle:
        for size, statuses in ((8 << 10, (200, 404)), (64 << 10, (431,)), (MIB, (431,))):
            status, ms, _ = one_head(server.port, size)
            check(f"a header of {size >> 10} KiB is answered {'/'.join(map(str, statuses))} within 100 ms",
                  status in statuses and ms <= 100, f"{status} after {ms:.1f} ms")
        status, ms, taken = one_head(server.port, 100 * MIB)
        check("a stream of 100 MiB is refused within 100 ms and not taken in", status == 431 and ms <= 100
              and taken < 16 * MIB, f"{status} after {ms:.1f} ms, {taken / MIB:.1f} MiB left the client")
        before = server.rss()
        wires = [Wire(server.port) for _ in range(50)]
        for wire in wires:
            wire.send(HEAD + b"X: " + b"a" * 16_000)
        time.sleep(0.3)
        each = (server.rss() - before) / len(wires)
        check("a head under way holds at most 1 MiB", each <= MIB, f"{each / 1024:.0f} KiB each")
        for wire in wires:
            wire.close()
        wires = [Wire(server.port) for _ in range(200)]
        flood = HEAD + b"".join(b"X-%d: 1\r\n" % n for n in range(2000)) + b"\r\n"
        statuses = []
        for wire in wires:
            statuses.append(answer_to(wire, flood)[0])
        check("2,000 headers on 200 connections", set(statuses) <= {400, 431}, sorted(set(statuses), key=str))
        oracle.watch()
        for wire in wires:
            wire.close()
    server.stop()


def one_head(port, size):
    """(status, milliseconds from the first byte to the answer, bytes that the client could send)."""
    with Wire(port) as wire:
        return answer_to(wire, HEAD + b"X-Big: ", size)


def answer_to(wire, begin, more=0):
    """Sends, until the server answers or has had enough."""
    began, sent = time.monotonic(), 0
    block = b"a" * 65536
    wire.sock.settimeout(5)
    answered = threading.Event()
    result = []

    def listen():
        try:
            result.append(wire.response().status)
        except (Ended, OSError) as error:
            result.append(type(error).__name__)
        result.append((time.monotonic() - began) * 1000)
        answered.set()

    thread = threading.Thread(target=listen)
    thread.start()
    try:
        wire.sock.sendall(begin)
        while sent < more:
            sent += wire.sock.send(block[: more - sent])
        if more:
            wire.sock.sendall(b"\r\n\r\n")
    except OSError:
        pass
    answered.wait(6)
    thread.join(6)
    return result[0], result[1], sent


def slow(check, kith):
    """Row 3: slowhttptest, 4,000 connections: headers, bodies, reads."""
    server = Server(kith)
    with Oracle(check, server) as oracle:
        for mode, what, options in (("-H", "heads", ["-i", "5"]), ("-B", "bodies", ["-i", "5", "-s", "8192"])):
            tool, files = slowhttptest(server, mode, 40, options)
            base = oracle.fds + 5
            full = next(at for at, count in files if count >= 0.99 * max(count for _, count in files))
            empty = next((at for at, count in files if at > full and count <= base), float("inf"))
            check(f"4,000 slow {what} (slowhttptest {mode}): served all through", tool["available"] == {"YES"}, tool)
            check(f"4,000 slow {what}: all closed by 10 s after the last was accepted", empty - full <= 12.5,
                  f"{empty - full:.1f} s, at most {max(count for _, count in files)} files, {tool['exit']}")
        # Short answers have left for the kernel at once, what remains is a connection that is kept alive.
        tool, files = slowhttptest(server, "-X", 12, ["-w", "512", "-y", "1024", "-n", "5", "-z", "32", "-k", "3"])
        check("4,000 slow readers (slowhttptest -X): served all through", tool["available"] == {"YES"}, tool)
        oracle.watch()
    server.stop()


def slowhttptest(server, mode, seconds, options):
    """Runs it: what it says, and (second, open files of the server) all through."""
    command = ["slowhttptest", mode, "-c", "4000", "-r", "2000", "-l", str(seconds), "-u", f"http://127.0.0.1:{server.port}/", *options]
    began, files, done = time.monotonic(), [], threading.Event()

    def watch():
        while not done.wait(0.1):
            files.append((time.monotonic() - began, server.fds()))

    watcher = threading.Thread(target=watch)
    watcher.start()
    output = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=120).stdout
    time.sleep(0.5)
    done.set()
    watcher.join()
    text = re.sub(r"\x1b\[[0-9;]*[A-Za-z]", "", output)
    ended = re.findall(r"Exit status:\s*(.*)", text)
    return {"available": set(re.findall(r"service available:\s+(\w+)", text)), "exit": ended[-1] if ended else text[-200:]}, files


def handshakes(check, kith):
    """Row 5: byte by byte. Row 7: bad upgrades. Row 11: extensions are not taken."""
    server = Server(kith)
    with Oracle(check, server):
        with Wire(server.port) as wire:
            began = time.monotonic()
            for byte in wire.upgrade_request(name="byte"):
                wire.send(bytes([byte]))
                time.sleep(0.002)
            status = wire.response().status
            check("a handshake byte by byte, 2 ms each, is granted", status == 101,
                  f"{status} after {time.monotonic() - began:.2f} s")
        for what, request, expected in bad_upgrades(server.port):
            with Wire(server.port) as wire:
                wire.send(request)
                try:
                    response = wire.response("HEAD" if request.startswith(b"HEAD") else "GET")
                    status = response.status
                except Ended:
                    response, status = None, "closed"
                fits = status in expected
                if status == 426:
                    fits = fits and response.get("sec-websocket-version") == "13"
                check(f"upgrade: {what}", fits, status)
        extensions(check, server)
    server.stop()


def bad_upgrades(port):
    good = Wire(port)
    text = good.upgrade_request().decode()
    good.close()
    swap = lambda old, new: text.replace(old, new).encode()
    key = re.search(r"Sec-WebSocket-Key: .*\r\n", text).group(0)
    host = f"Host: 127.0.0.1:{port}\r\n"
    yield "as it should be", text.encode(), (101,)
    yield "version 8", swap("Version: 13", "Version: 8"), (426,)
    yield "no version", swap("Sec-WebSocket-Version: 13\r\n", ""), (426,)
    yield "two versions", swap("Version: 13\r\n", "Version: 13\r\nSec-WebSocket-Version: 13\r\n"), (400,)
    yield "no key", swap(key, ""), (400,)
    yield "two keys", swap(key, key + key), (400,)
    yield "a key of 15 bytes", swap(key, "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAA\r\n"), (400,)
    yield "a key that is no base64", swap(key, "Sec-WebSocket-Key: ????????????????????????\r\n"), (400,)
    yield "HTTP/1.0", swap("HTTP/1.1", "HTTP/1.0"), (400, 426)
    yield "HTTP/2.0", swap("HTTP/1.1", "HTTP/2.0"), (400, 505)
    yield "POST", swap("GET", "POST"), (400, 405)
    yield "POST with a body", swap("GET", "POST").replace(b"Upgrade:", b"Content-Length: 3\r\nUpgrade:") + b"abc", (400, 405)
    yield "GET with a body", swap("Upgrade: w", "Content-Length: 3\r\nUpgrade: w") + b"abc", (400,)
    yield "HEAD", swap("GET", "HEAD"), (400, 405, 426)
    yield "no Upgrade", swap("Upgrade: websocket\r\n", ""), (426,)
    yield "no Connection", swap("Connection: Upgrade\r\n", ""), (426,)
    yield "Upgrade: h2c", swap("Upgrade: websocket", "Upgrade: h2c"), (426,)
    yield "another path", swap("/ws", "/elsewhere"), (404,)
    yield "no Host", swap(host, ""), (400,)
    yield "two Hosts", swap(host, host + host), (400,)
    yield "a foreign Origin", swap(host, host + "Origin: http://evil.example\r\n"), (403,)
    yield "Origin null", swap(host, host + "Origin: null\r\n"), (403,)
    yield "a suffix of the Host as Origin", swap(host, host + f"Origin: http://127.0.0.1:{port}.evil.example\r\n"), (403,)
    yield "the same host, another port", swap(host, host + "Origin: http://127.0.0.1:1\r\n"), (403,)
    yield "its own Origin", swap(host, host + f"Origin: http://127.0.0.1:{port}\r\n"), (101,)
    yield "an absolute target", swap("/ws", f"http://127.0.0.1:{port}/ws"), (101,)
    yield "a list of upgrades", swap("Upgrade: websocket", "Upgrade: foo, websocket"), (101,)
    yield "keep-alive, Upgrade", swap("Connection: Upgrade", "Connection: keep-alive, Upgrade"), (101,)
    yield "odd case", swap("Upgrade: websocket", "uPGRADE: WebSocket"), (101,)
    yield "a line without CR", text.replace("\r\nUpgrade", "\nUpgrade").encode(), (400,)
    yield "a folded line", swap(host, host + "X: a\r\n b\r\n"), (400,)
    yield "a space before the colon", swap("Upgrade: w", "Upgrade : w"), (400,)
    yield "NUL in a field", swap(host, host + "X: a\0b\r\n"), (400,)
    yield "chunked", swap(host, host + "Transfer-Encoding: chunked\r\n"), (400, 501)
    yield "chunked and a length", swap(host, host + "Transfer-Encoding: chunked\r\nContent-Length: 4\r\n"), (400,)
    yield "TLS", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(300), (400, "closed")


def extensions(check, server):
    with Wire(server.port) as wire:
        offer = "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits, x-webkit-deflate-frame"
        response = wire.upgrade("deflate", extra=[offer])
        check("permessage-deflate is offered and not taken", response.status == 101
              and response.get("sec-websocket-extensions") is None, response.get("sec-websocket-extensions"))
        wire.send(frame(TEXT, b"\xaaV*I\x01\x00", rsv=4))
        code, seconds = wire.end()
        check("a compressed frame (RSV1) is closed with 1002", code == 1002, f"{code} after {seconds * 1000:.1f} ms")


def plain(check, kith):
    """Pipelining, keep-alive, HEAD, conditional requests, half-closed sockets, and row 23: paths that climb."""
    server = Server(kith)
    with Oracle(check, server):
        with Wire(server.port) as wire:
            wire.send(b"".join(b"GET /%s HTTP/1.1\r\nHost: x\r\n\r\n" % path for path in (b"healthz", b"none", b"readyz") * 100))
            statuses = [wire.response().status for _ in range(300)]
            check("300 pipelined requests are answered in their order", statuses == [200, 404, 200] * 100)
        client = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
        seen = []
        for method in ("GET", "HEAD", "GET"):
            client.request(method, "/healthz")
            answer = client.getresponse()
            seen.append((answer.status, answer.getheader("content-length"), len(answer.read())))
        check("keep-alive: GET, HEAD without a body, GET", seen == [(200, "6", 6), (200, "6", 0), (200, "6", 6)], seen)
        conditional(check, client)
        client.close()
        half_closed(check, server)
        bad = [path for path in climbing() if not refused(server.port, path)]
        check(f"{len(list(climbing()))} climbing paths bring no file from outside", not bad, bad[:3] or "")
        pipelined_unread(check, server)
    server.stop()


def conditional(check, client):
    client.request("GET", "/")
    answer = client.getresponse()
    body, tag = answer.read(), answer.getheader("etag")
    if answer.status != 200:
        return check("the page is served with an ETag", False, f"{answer.status} {body[:40]!r}")
    results, strong = [], tag.removeprefix("W/")
    for sent in (tag, strong, "W/" + strong, f'"other", {tag}', "*", '"other"'):
        client.request("GET", "/", headers={"If-None-Match": sent})
        answer = client.getresponse()
        results.append((answer.status, len(answer.read())))
    return check("If-None-Match", results == [(304, 0)] * 5 + [(200, len(body))], results)


def half_closed(check, server):
    """FIN of one direction: an HTTP client still gets its answer, a WebSocket is over, a silent one too."""
    with Wire(server.port) as wire:
        wire.send(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        wire.sock.shutdown(socket.SHUT_WR)
        status, rest = wire.response().status, None
        try:
            wire.fill()
        except Ended as end:
            rest = str(end)
        check("half-closed after a request: answered, then closed", (status, rest) == (200, "FIN"), (status, rest))
    for what, begin in (("at once", b""), ("in a head", HEAD)):
        with Wire(server.port) as wire:
            wire.send(begin)
            wire.sock.shutdown(socket.SHUT_WR)
            _, seconds = wire.end(5)
            check(f"half-closed {what}: closed", seconds < 1, f"{seconds * 1000:.0f} ms")
    with join(server.port, "half") as wire:
        wire.send(said({"id": 7, "talk": {"text": "last words"}}))
        wire.sock.shutdown(socket.SHUT_WR)
        _, seconds = wire.end(5)
        check("half-closed WebSocket: closed", seconds < 1, f"{seconds * 1000:.0f} ms")


def climbing():
    """Paths that try to leave, in every dress that has worked somewhere."""
    dots = ("..", "%2e%2e", "%252e%252e", ".%2e", "..;", "..%00", "%c0%ae%c0%ae", "..%5c", "....//", "%uff0e%uff0e")
    slashes = ("/", "%2f", "%5c", "\\", "//", "%252f")
    targets = ("etc/passwd", "kith-data/kith.db", "Cargo.toml", "proc/self/environ")
    for dot in dots:
        for slash in slashes:
            for depth in (1, 6):
                for target in targets:
                    yield "/" + (dot + slash) * depth + target
    yield from ("//etc/passwd", "/./etc/passwd", "/%00", "/page/../../etc/passwd", "/.git/config", "/.", "/..", "/~root",
                "file:///etc/passwd", "/C:/Windows/win.ini", "/index.html%00.txt", "/index.html/../../../etc/passwd")


def refused(port, path):
    with Wire(port) as wire:
        wire.send(b"GET " + path.encode() + b" HTTP/1.1\r\nHost: x\r\n\r\n")
        try:
            response = wire.response()
        except Ended:
            return True
        return response.status in (400, 404) and b"root:" not in response.body


def pipelined_unread(check, server):
    """Somebody who asks without end and reads nothing is not listened to, and costs a bounded amount."""
    before = server.rss()
    wires = [Wire(server.port, receive_buffer=4096) for _ in range(50)]
    block = b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n" * 2000
    sent = 0
    for _ in range(40):
        for wire in wires:
            wire.sock.setblocking(False)
            try:
                sent += wire.sock.send(block)
            except OSError:
                pass
    time.sleep(0.5)
    each = (server.rss() - before) / len(wires)
    check("50 that pipeline and never read hold at most 1 MiB each", each <= MIB,
          f"{each / 1024:.0f} KiB each, {sent / MIB:.0f} MiB sent")
    for wire in wires:
        wire.reset()


ROWS = {"heads": heads, "slow": slow, "handshakes": handshakes, "plain": plain}
