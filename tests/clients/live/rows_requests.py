"""Requests that two readers could take for different things, and pages that must not connect."""

from checks import Oracle
from server import Server
from wire import Ended, Wire

# What somebody tries to have answered as a request of its own.
HIDDEN = b"GET /hidden HTTP/1.1\r\nHost: x\r\n\r\n"
REFUSED, CHUNKED, NOTHING = {(400,)}, {(501,)}, {()}
CRLF = b"\r\n"


def smuggling(check, kith):
    """Row 6: requests that are broken, ambiguous or no HTTP at all, while the room talks."""
    server = Server(kith)
    with Oracle(check, server):
        for _ in range(check.size("smuggling: rounds")):
            requests(check, server)
    server.stop()


def requests(check, server):
    """Each of them whole, and byte by byte: what is answered must not depend on how the network cuts it."""
    groups = {
        "two lengths, or one and none": lengths, "Transfer-Encoding in disguise": disguises, "chunks": chunks,
        "folded and bare line ends": line_ends, "request lines": request_lines, "fields": fields, "pipelines": pipelines,
        "no HTTP": strangers,
    }
    for name, cases in groups.items():
        wrong, count = [], 0
        for what, data, expected in cases():
            for pieces in ([data], [data[n:n + 1] for n in range(min(len(data), 400))] + [data[400:]]):
                count += 1
                got = answers(server.port, pieces)
                if got not in expected:
                    wrong.append((what, "whole" if len(pieces) == 1 else "in bytes", got))
        check(f"{count} requests, {name}: refused or read in the one way there is", count > 4 and not wrong, wrong[:4] or "")


def answers(port, pieces):
    """The statuses that come back until the server ends. Nothing more is sent after this, so it has to."""
    statuses = []
    with Wire(port, timeout=8) as wire:
        try:
            for piece in pieces:
                wire.send(piece)
            wire.sock.shutdown(1)
        except OSError:
            pass  # It had heard enough; what it said is still to be read.
        try:
            while True:
                response = wire.response()
                if response.status != 100:
                    statuses.append(response.status)
                if response.status == 101:
                    break
        except Ended:
            pass
        except (TimeoutError, ValueError, IndexError) as error:
            statuses.append(type(error).__name__)
    return tuple(statuses)


def request(*lines, method=b"GET", path=b"/healthz", host=b"Host: x", version=b"HTTP/1.1", body=b""):
    """One request, of bytes or text."""
    lines = [line if isinstance(line, bytes) else line.encode() for line in lines]
    return CRLF.join([method + b" " + path + b" " + version, *([host] if host else []), *lines, b"", b""]) + body


def post(*lines, body=b""):
    return request(*lines, method=b"POST", body=body)


def lengths():
    size = f"Content-Length: {len(HIDDEN)}"
    for what, line in (
        ("plus", "Content-Length: +4"), ("minus", "Content-Length: -1"), ("hexadecimal", "Content-Length: 0x4"),
        ("two numbers", "Content-Length: 4 4"), ("a list", "Content-Length: 4, 4"), ("a list of two", "Content-Length: 0, 44"),
        ("nothing", "Content-Length:"), ("an exponent", "Content-Length: 1e1"), ("a fraction", "Content-Length: 4.0"),
        ("digits of another script", "Content-Length: ٤"), ("a semicolon", "Content-Length: 4;"),
        ("an underscore", "Content-Length: 1_0"), ("quotes", 'Content-Length: "4"'), ("a vertical tab", b"Content-Length: \x0b4"),
        ("a NUL behind", b"Content-Length: 4\x00"), ("a space before the colon", "Content-Length : 4"),
        ("the same twice", f"{size}\r\n{size}"), ("two that differ", f"{size}\r\nContent-Length: 0"),
        ("in another case, and differing", f"{size}\r\ncontent-length: 0"),
    ):
        yield f"a length with {what}", post(line, body=HIDDEN), REFUSED
    for number in ("99999999999999999999", "18446744073709551616", "9223372036854775808", "1000000000"):
        yield f"a length of {number}", post(f"Content-Length: {number}", body=HIDDEN), {(413,), (400,)}
    yield "a body that is a request", post(size, body=HIDDEN), {(405,)}
    yield "a body of GET that is a request", request(size, body=HIDDEN), {(200,), (400,)}
    yield "a length with zeros before", post(f"Content-Length: 000{len(HIDDEN)}", body=HIDDEN), {(405,), (400,)}
    yield "a length of 0 and another request", post("Content-Length: 0", body=HIDDEN), {(405, 404)}
    yield "less than was promised", post("Content-Length: 500", body=HIDDEN), NOTHING | REFUSED
    yield "a name that is like it", request("Content_Length: 44", body=HIDDEN), {(200, 404)}


def disguises():
    chunked = b"0\r\n\r\n" + HIDDEN
    for what, line in (
        ("a length before", "Content-Length: 4\r\nTransfer-Encoding: chunked"),
        ("a length behind", "Transfer-Encoding: chunked\r\nContent-Length: 4"),
        ("a length of 0", "Transfer-Encoding: chunked\r\nContent-Length: 0"),
        ("a length, and it is unknown", "Content-Length: 4\r\nTransfer-Encoding: xchunked"),
        ("a length, and it is identity", "Content-Length: 4\r\nTransfer-Encoding: identity"),
        ("a space before the colon", "Transfer-Encoding : chunked"), ("a tab before the colon", "Transfer-Encoding\t: chunked"),
        ("a space before", " Transfer-Encoding: chunked"), ("a vertical tab", b"Transfer-Encoding: \x0bchunked"),
        ("a NUL", b"Transfer-Encoding: chunked\x00"), ("a fold", "Transfer-Encoding:\r\n chunked"),
        ("a line feed", "X: x\nTransfer-Encoding: chunked"), ("a carriage return", "X: x\rTransfer-Encoding: chunked"),
        ("a line feed and a length", "Content-Length: 4\nTransfer-Encoding: chunked"),
    ):
        yield f"Transfer-Encoding with {what}", post(line, body=chunked), REFUSED
    for value in ("chunked", "CHUNKED", "xchunked", "identity", "gzip, chunked", "chunked, identity", "chunked,", ", chunked", '"chunked"',
                  "chunked;q=1", "", "x", "chunked\r\nTransfer-Encoding: chunked", "chunked\r\nTransfer-Encoding: identity"):
        yield f"Transfer-Encoding: {value!r}", post(f"Transfer-Encoding: {value}", body=chunked), CHUNKED | REFUSED
        yield f"GET, {value!r}", request(f"Transfer-Encoding: {value}", body=chunked), CHUNKED | REFUSED
    yield "HTTP/1.0 with chunks", request("Transfer-Encoding: chunked", version=b"HTTP/1.0", body=chunked), CHUNKED | REFUSED
    yield "a name that is like it", request("Transfer_Encoding: chunked", body=HIDDEN), {(200, 404)}
    yield "TE is another field", request("TE: chunked", body=HIDDEN), {(200, 404)}


def chunks():
    for what, body in (
        ("an extension", b"4;a=b\r\nabcd\r\n0\r\n\r\n"), ("an extension with a line feed", b"4;a\nb\r\nabcd\r\n0\r\n\r\n"),
        ("a size too large", b"FFFFFFFFFFFFFFFF\r\nabcd\r\n0\r\n\r\n"), ("a size of 17 digits", b"10000000000000004\r\nabcd\r\n0\r\n\r\n"),
        ("a size of 0x4", b"0x4\r\nabcd\r\n0\r\n\r\n"), ("a size of -4", b"-4\r\nabcd\r\n0\r\n\r\n"), ("no size", b"\r\nabcd\r\n0\r\n\r\n"),
        ("line feeds only", b"4\nabcd\n0\n\n"), ("no line end behind the data", b"4\r\nabcdXX0\r\n\r\n"),
        ("trailers", b"0\r\nContent-Length: 44\r\nHost: y\r\n\r\n"), ("a lone carriage return", b"4\rabcd\r0\r\r"),
        ("a space behind the size", b"4 \r\nabcd\r\n0\r\n\r\n"), ("nothing at all", b""), ("a NUL", b"\x004\r\nabcd\r\n0\r\n\r\n"),
    ):
        yield f"chunks: {what}", post("Transfer-Encoding: chunked", body=body + HIDDEN), CHUNKED


def line_ends():
    good = request("X: a")
    yield "as it should be", good, {(200,)}
    for what, line in (
        ("folded by a space", "X: a\r\n b"), ("folded by a tab", "X: a\r\n\tb"), ("an empty fold", "X: a\r\n "),
        ("a fold of a length", "Content-Length: 4\r\n 4"), ("a carriage return", "X: a\rb"), ("two of them", "X: a\r\rb"),
        ("a line feed", "X: a\nY: b"), ("a line feed at the end", "X: a\n"), ("a NUL", b"X: a\x00b"), ("an escape", b"X: a\x1bb"),
        ("a rubout", b"X: a\x7fb"), ("a field without a colon", "X"), ("a field without a name", ": a"), ("a space in the name", "X Y: a"),
        ("a bracket in the name", "X(Y): a"), ("a letter beyond ASCII in the name", "Ä: a"), ("a NUL in the name", b"X\x00: a"),
        ("a line that begins with a space", " X: a"),
    ):
        yield what, request(line, body=HIDDEN), REFUSED
    yield "line feeds throughout", good.replace(CRLF, b"\n"), REFUSED
    yield "carriage returns throughout", good.replace(CRLF, b"\r"), REFUSED | NOTHING
    yield "a line feed behind the request line", good.replace(CRLF, b"\n", 1), REFUSED
    yield "a line feed at the very end", good[:-2] + b"\n", REFUSED
    yield "an empty line before", CRLF + good, {(200,)}
    yield "two empty lines before", CRLF + CRLF + good, {(200,), (400,)}
    yield "a line feed before", b"\n" + good, REFUSED
    yield "a fold as the first line", b"GET /healthz HTTP/1.1\r\n Host: x\r\n\r\n", REFUSED
    yield "bytes beyond ASCII in a value", request("X: äöü\u3042"), {(200,)}


def request_lines():
    for what, path, expected in (
        ("an absolute target", b"http://x/healthz", {(200,)}), ("https", b"https://x/healthz", {(200,)}),
        ("a host that differs from Host", b"http://other/healthz", {(200,)}), ("only a host", b"http://x", {(200,)}),
        ("ftp", b"ftp://x/healthz", REFUSED), ("no host", b"http:///healthz", REFUSED), ("user information", b"http://a:b@x/healthz", REFUSED),
        ("a host with a line of its own", b"http://x%0d%0aHost:y/healthz", {(200,), (400,)}), ("javascript", b"javascript:alert(1)", REFUSED),
        ("no slash", b"healthz", REFUSED), ("a fragment", b"/healthz#x", REFUSED), ("a space", b"/health z", REFUSED),
        ("a NUL", b"/healthz\x00", REFUSED), ("a tab", b"/health\tz", REFUSED), ("a backslash", b"\\healthz", REFUSED),
        ("bytes beyond ASCII", "/hälthz".encode(), REFUSED), ("a bad escape", b"/%zz", {(404,), (400,)}), ("only a question", b"?x", REFUSED),
        ("a carriage return", b"/health\rz", REFUSED), ("two slashes", b"//healthz", {(404,), (400,)}), ("nothing", b"", REFUSED),
    ):
        yield what, request(path=path), expected
    for what, version in (("1.2", b"HTTP/1.2"), ("2.0", b"HTTP/2.0"), ("0.9", b"HTTP/0.9"), ("1.10", b"HTTP/1.10"), ("01.1", b"HTTP/01.1"),
                          ("in small letters", b"http/1.1"), ("1,1", b"HTTP/1,1"), ("with a space behind", b"HTTP/1.1 "),
                          ("twice", b"HTTP/1.1 HTTP/1.1"), ("with a plus", b"HTTP/+1.1"), ("of another protocol", b"RTSP/1.0")):
        yield f"version {what}", request(version=version), REFUSED | {(505,)}
    for what, method, expected in (
        ("in small letters", b"get", {(405,), (501,), (404,)}), ("unknown", b"BREW", {(405,), (501,), (404,)}),
        ("TRACE", b"TRACE", {(405,), (501,), (404,)}), ("with a NUL", b"G\x00T", REFUSED), ("with brackets", b"G(T", REFUSED),
        ("nothing", b"", REFUSED), ("with a colon", b"GET:", REFUSED), ("with a tab behind", b"GET\t", REFUSED),
        ("with two spaces behind", b"GET ", REFUSED), ("beyond ASCII", "GÉT".encode(), REFUSED),
    ):
        yield f"method {what}", request(method=method), expected
    yield "no version", b"GET /healthz\r\n\r\n", REFUSED
    yield "CONNECT", request(method=b"CONNECT", path=b"x:80"), REFUSED | {(405,), (501,)}
    yield "OPTIONS *", request(method=b"OPTIONS", path=b"*"), {(404,), (405,), (200,), (204,)}
    yield "a method of 20,000 letters", request(method=b"A" * 20_000), {(431,), (400,)}
    yield "a target of 20,000 letters", request(path=b"/" + b"a" * 20_000), {(431,), (414,), (400,)}


def fields():
    for what, host, expected in (
        ("no Host", b"", REFUSED), ("two Hosts", b"Host: x\r\nHost: y", REFUSED), ("the same Host twice", b"Host: x\r\nhost: x", REFUSED),
        ("a path in Host", b"Host: x/y", REFUSED), ("a space in Host", b"Host: x y", REFUSED), ("two in one Host", b"Host: x, y", REFUSED),
        ("a user in Host", b"Host: a@x", REFUSED), ("bytes beyond ASCII in Host", b"Host: \xff", REFUSED),
        ("a space before Host's colon", b"Host : x", REFUSED), ("an IPv6 Host", b"Host: [::1]:80", {(200,)}),
    ):
        yield what, request(host=host), expected
    yield "HTTP/1.0 without Host", request(host=b"", version=b"HTTP/1.0"), {(200,)}
    yield "101 fields", request(*(f"X-{n}: 1" for n in range(101))), {(431,)}
    yield "90 fields", request(*(f"X-{n}: 1" for n in range(90))), {(200,)}
    yield "an Expect that nobody knows", post("Expect: miracles", "Content-Length: 3", body=b"abc"), {(417,)}
    yield "100-continue", post("Expect: 100-continue", "Content-Length: 3", body=b"abc"), {(405,), (413,)}
    yield "a length that Connection disowns", post(
        "Connection: Content-Length", f"Content-Length: {len(HIDDEN)}", body=HIDDEN), {(405,)}
    yield "another path in fields", request("X-Original-URL: /metrics", "X-Rewrite-URL: /metrics", "X-HTTP-Method-Override: DELETE"), {(200,)}
    yield "an upgrade to HTTP/2", request("Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQAAP__"), {(200,)}


def pipelines():
    good, bad = request(), request("X : a")
    yield "two", good + good, {(200, 200)}
    yield "good and bad", good + bad, {(200, 400)}
    yield "nothing is read behind a bad one", bad + good + good, REFUSED
    yield "50, the last one bad", good * 50 + bad, {(200,) * 50 + (400,)}
    yield "nothing is read behind `close`", request("Connection: close") + good, {(200,)}
    yield "nor if it stands in a list", request("Connection: keep-alive, CLOSE") + good, {(200,)}
    yield "nor behind HTTP/1.0", request(version=b"HTTP/1.0", host=b"") + good, {(200,)}
    yield "half a request at the end", good + good[:20], {(200,), (200, 400)}
    upgrade = ("Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==")
    asked = lambda *lines, **more: request(*upgrade, *lines, path=b"/ws", **more)
    yield "nothing is read behind a refused upgrade", asked("Sec-WebSocket-Version: 8") + good, {(426,)}
    yield "nor behind one of another origin", asked("Sec-WebSocket-Version: 13", "Origin: http://evil.example") + good, {(403,)}
    yield "an upgrade with a body", asked("Sec-WebSocket-Version: 13", "Content-Length: 44", body=HIDDEN), REFUSED
    yield "what follows an upgrade is no HTTP", asked("Sec-WebSocket-Version: 13") + good, {(101,)}
    yield "an upgrade behind others", good * 3 + asked("Sec-WebSocket-Version: 13"), {(200, 200, 200, 101)}


def strangers():
    for what, data in (
        ("a beginning of HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), ("TLS", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(300)),
        ("SSH", b"SSH-2.0-OpenSSH_9.2\r\n"), ("mail", b"EHLO x\r\nMAIL FROM:<a@b>\r\n"), ("Redis", b"*1\r\n$4\r\nPING\r\n"),
        ("a proxy's greeting", b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n" + request()), ("SOCKS", b"\x05\x01\x00"), ("zeros", bytes(5000)),
        ("RDP", b"\x03\x00\x00\x13\x0e\xe0\x00\x00\x00\x00\x00\x01\x00\x08\x00\x03\x00\x00\x00"), ("all bytes", bytes(range(256)) * 20),
        ("empty lines", CRLF * 200), ("a WebSocket frame", b"\x81\x82\x01\x02\x03\x04zy"), ("spaces", b" " * 300 + CRLF * 2),
    ):
        yield what, data, REFUSED | NOTHING


def origins(check, kith):
    """Row 16: pages of other origins are refused before the upgrade, whatever their name looks like, while the room talks."""
    for what, settings, column in (("by default", (), 0), ("with a list", ("origins=https://chat.example.org,https://b.example:8443",), 1)):
        server = Server(kith, ("limits.talk_rate=20", "limits.address_talk_rate=0", *settings))
        with Oracle(check, server):
            upgrades, wrong, granted = server.metric("upgrades_total"), [], 0
            for origin, host, *statuses in pages(server.port):
                status = asked_by(server.port, origin, host)
                granted += status == 101
                if status != statuses[column]:
                    wrong.append((origin, host, status))
            check(f"{len(list(pages(1)))} origins {what}: 403 before the upgrade, or 101", granted and not wrong, wrong[:4] or f"{granted} granted")
            counted = server.metric("upgrades_total") - upgrades
            check(f"nobody else was upgraded {what}", counted == granted, counted)
        server.stop()


def asked_by(port, origin, host):
    with Wire(port) as wire:
        request = wire.upgrade_request(extra=[f"Origin: {one}" for one in ([origin] if isinstance(origin, str) else origin)])
        wire.send(request.replace(f"Host: 127.0.0.1:{port}".encode(), f"Host: {host}".encode()))
        try:
            return wire.response().status
        except Ended:
            return "closed"


def pages(port):
    """(origin, Host, status by default, status with a list)"""
    here, listed = f"127.0.0.1:{port}", "chat.example.org"
    yield f"http://{here}", here, 101, 101
    yield f"http://localhost:{port}", f"localhost:{port}", 101, 101
    yield f"HTTP://{here}", here, 403, 403
    yield f"https://{here}", here, 101, 101
    for origin in (
        "http://evil.example", "null", "", "file://", f"http://{here}.evil.example", f"http://evil.example/{here}", f"http://evil.example#{here}",
        f"http://{here}@evil.example", f"http://evil.example@{here}", "http://127.0.0.1", "http://127.0.0.1:1", f"http://127.0.0.1:{port}0",
        f"http://localhost:{port}", f"http://xlocalhost:{port}", f"ftp://{here}", f"ws://{here}", here, f"http://{here}/", f"http:/{here}",
        f"chrome-extension://{here}", f"http://127.0.0.1.:{port}", f"http://127.1:{port}", f"http://2130706433:{port}", f"http://[::1]:{port}",
        f"http://0.0.0.0:{port}", "*", "undefined", f"http://{here} http://evil.example", f"http://{here}, http://evil.example",
    ):
        yield origin, here, 403, 403
    yield (f"http://{here}", "http://evil.example"), here, 400, 400
    # A name of somebody else's that was made to lead here (DNS rebinding) names itself as the host.
    yield "http://rebound.example", "rebound.example", 403, 101
    yield "https://" + listed, here, 403, 101
    yield "https://" + listed.upper(), here, 403, 101
    yield f"https://{listed}:443", here, 403, 101
    for origin in (f"http://{listed}", f"https://{listed}:8443", f"https://evil.{listed}", f"https://{listed}.evil.example",
                   f"https://evil{listed}", f"https://{listed}@evil.example", f"https://evil.example?{listed}", "https://example.org",
                   f"https://{listed}.", f"https://{listed}%2eevil.example", "https://chat-example.org"):
        yield origin, here, 403, 403
    yield "https://b.example:8443", here, 403, 101
    yield "http://b.example:8443", here, 403, 403
    yield "https://b.example", here, 403, 403


ROWS = {"smuggling": smuggling, "origins": origins}
