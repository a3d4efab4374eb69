// A peer to compare with: broadcast and echo on the Node package `ws`.
//
// The broadcast is the loop of the package's README, and compression is off, as it comes. Beyond
// that: `bufferutil`, which the README names for performance (it masks and unmasks natively).
// TCP_NODELAY is on; the package sees to it.
//
// Knows nothing of Kith. The port is its only argument; `/echo` sends binary messages back, every
// other path broadcasts them to everybody, the sender included.

import { WebSocket, WebSocketServer } from "ws";

const port = Number(process.argv[2]);
if (!Number.isInteger(port)) throw new Error("the port is missing");

const server = new WebSocketServer({ host: "127.0.0.1", port });
const room = new Set();

server.on("connection", (socket, request) => {
  // What becomes of one connection is no concern of the others; `close` follows.
  socket.on("error", () => {});
  if (request.url === "/echo") {
    socket.on("message", (data, isBinary) => {
      if (isBinary) socket.send(data, { binary: true });
    });
    return;
  }
  room.add(socket);
  socket.on("close", () => room.delete(socket));
  socket.on("message", (data, isBinary) => {
    if (!isBinary) return;
    for (const listener of room) {
      if (listener.readyState === WebSocket.OPEN) listener.send(data, { binary: true });
    }
  });
});
