"""A client of Kith in Python, as small as it can be: one connection, either format.

Shares nothing with the server's code. The protobuf side is compiled from `proto/` by grpcio-tools
and spoken by Google's protobuf; the JSON side is `json` from the standard library.
"""

import asyncio
import importlib
import importlib.resources
import json
import pathlib
import sys
import tempfile
import urllib.parse

from google.protobuf import json_format
from grpc_tools import protoc
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

ROOT = pathlib.Path(__file__).resolve().parents[3]
# No answer for this long is a failure, not a slow machine.
PATIENCE = 20


def compile_protocol():
    """The module of `client.proto`, freshly compiled."""
    # Where grpcio-tools keeps google/protobuf/timestamp.proto.
    google = importlib.resources.files("grpc_tools") / "_proto"
    with tempfile.TemporaryDirectory(prefix="kith-proto-") as out:
        folders = [f"-I{ROOT / 'proto'}", f"-I{google}", f"--python_out={out}"]
        if protoc.main(["protoc", *folders, "kith/v1/client.proto"]) != 0:
            raise SystemExit("client.proto does not compile")
        sys.path.insert(0, out)
        try:
            return importlib.import_module("kith.v1.client_pb2")
        finally:
            sys.path.remove(out)


pb = compile_protocol()


class Json:
    """Text frames of proto3 JSON."""

    name = "kith.v1.json"

    @staticmethod
    def encode(frame):
        return json.dumps(frame, ensure_ascii=False)

    @staticmethod
    def decode(payload):
        if not isinstance(payload, str):
            raise TypeError("a binary frame in a JSON session")
        return json.loads(payload)


class Proto:
    """Binary frames of protobuf; to the caller they look like the JSON."""

    name = "kith.v1.proto"

    @staticmethod
    def encode(frame):
        return json_format.ParseDict(frame, pb.ClientFrame()).SerializeToString()

    @staticmethod
    def decode(payload):
        if not isinstance(payload, bytes):
            raise TypeError("a text frame in a protobuf session")
        return json_format.MessageToDict(pb.ServerFrame.FromString(payload))


class Connection:
    """One WebSocket connection. Replies go to who asked, everything else is kept in `pushes`."""

    def __init__(self, socket, codec):
        self.socket = socket
        self.codec = codec
        self.pushes = []
        self._last_id = 0
        self._waiting = {}
        self._changed = asyncio.Event()
        self._failure = None
        self._reader = asyncio.create_task(self._read())

    @classmethod
    async def open(cls, url, codec=Json, *, username=None, query=None, negotiate=True):
        """Connects; `username` goes into the header, `query` into the address."""
        headers = {}
        if username is not None:
            headers["username"] = urllib.parse.quote(username)
        if query is not None:
            url += "?" + urllib.parse.urlencode({"username": query})
        socket = await connect(
            url,
            additional_headers=headers,
            subprotocols=[codec.name] if negotiate else None,
            max_size=2**22,
            open_timeout=PATIENCE,
            close_timeout=PATIENCE,
        )
        return cls(socket, codec)

    async def _read(self):
        try:
            async for payload in self.socket:
                frame = self.codec.decode(payload)
                waiting = self._waiting.pop(frame.get("id", 0), None)
                if waiting is None:
                    self.pushes.append(frame)
                elif not waiting.done():
                    waiting.set_result(frame)
                self._wake()
        except ConnectionClosed:
            pass
        except Exception as error:  # what the server sent cannot be read: a finding
            self._failure = error
        for waiting in self._waiting.values():
            waiting.cancel()
        self._wake()

    def _wake(self):
        self._changed.set()
        self._changed = asyncio.Event()

    async def send(self, frame):
        """Sends a frame without waiting for anything."""
        await self.socket.send(self.codec.encode(frame))

    async def call(self, *, key=None, **command):
        """Sends a command and waits for its answer, given without the id."""
        self._last_id += 1
        frame = {"id": self._last_id, **command}
        if key is not None:
            frame["key"] = key
        waiting = self._waiting[self._last_id] = asyncio.get_running_loop().create_future()
        await self.send(frame)
        answer = dict(await asyncio.wait_for(waiting, PATIENCE))
        del answer["id"]
        return answer

    async def talk(self, text, *, key=None, to=""):
        """Says something, at the speed that the server allows; gives `talked`."""
        while True:
            command = {"text": text, "to": to} if to else {"text": text}
            answer = await self.call(key=key, talk=command)
            error = answer.get("error", {})
            if not error.get("temporary"):
                return answer["talked"]
            await asyncio.sleep(error.get("retryAfterMs", 100) / 1000)

    async def push(self, kind, fits=lambda _: True):
        """The first push of this kind that fits, which may have come already."""

        async def find():
            while True:
                changed = self._changed
                for frame in self.pushes:
                    if kind in frame and fits(frame[kind]):
                        return frame[kind]
                if self._failure is not None:
                    raise self._failure
                if self._reader.done():
                    raise EOFError(f"closed while waiting for {kind}")
                await changed.wait()

        return await asyncio.wait_for(find(), PATIENCE)

    def entries(self):
        """Every entry that was pushed, in the order in which they came."""
        return [frame["entry"] for frame in self.pushes if "entry" in frame]

    async def closed(self):
        """Waits for the server to close; gives the code."""
        await asyncio.wait_for(self.socket.wait_closed(), PATIENCE)
        return self.socket.close_code

    async def close(self):
        """Closes as a browser does that leaves the page."""
        await self.socket.close()
        await self._reader

    async def lose(self):
        """Loses the connection: no close frame, as when a train enters a tunnel."""
        self.socket.transport.abort()
        await self._reader
