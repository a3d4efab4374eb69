"""A peer to compare with: broadcast and echo on the Python package `websockets`.

As its documentation advises: `broadcast()` from a set of connections, uvloop, and no compression
(which costs memory and CPU time, and saves nothing on one machine). Keep-alive is as it comes.
TCP_NODELAY is on; uvloop sees to it. The queue of connections that wait to be accepted is as long
as tokio's, because asyncio's 100 are fewer than come at once here.

Knows nothing of Kith. The port is its only argument; `/echo` sends binary messages back, every
other path broadcasts them to everybody, the sender included.
"""

import asyncio
import sys

import uvloop
from websockets.asyncio.server import broadcast, serve
from websockets.exceptions import ConnectionClosed

ROOM = set()


async def handle(connection):
    try:
        if connection.request.path == "/echo":
            await echo(connection)
        else:
            await listen(connection)
    except ConnectionClosed:
        pass


async def echo(connection):
    async for message in connection:
        if isinstance(message, bytes):
            await connection.send(message)


async def listen(connection):
    ROOM.add(connection)
    try:
        async for message in connection:
            if isinstance(message, bytes):
                broadcast(ROOM, message)
    finally:
        ROOM.remove(connection)


async def main(port):
    async with serve(handle, "127.0.0.1", port, compression=None, backlog=1024) as server:
        await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1])))
