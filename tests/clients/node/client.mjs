// A client of Kith on the `ws` package: one connection that speaks JSON. Shares nothing with the
// server's code.

import WebSocket from "ws";

/** No answer for this long is a failure, not a slow machine. */
const PATIENCE = 20_000;

/** Settles like `promise`, or fails after PATIENCE, saying what was waited for. */
function patiently(promise, what) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no ${what} within ${PATIENCE} ms`)), PATIENCE);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

export class Connection {
  /** Every frame that answered nothing we asked, in the order in which they came. */
  pushes = [];
  /** Every binary payload. */
  binary = [];
  #lastId = 0;
  #waiting = new Map();
  #listeners = new Set();

  /** Opens a connection; `username` goes into the header. */
  static async open(url, { username, protocols = ["kith.v1.json"] } = {}) {
    const headers = username === undefined ? {} : { username: encodeURIComponent(username) };
    const socket = new WebSocket(url, protocols, { headers, perMessageDeflate: true });
    const connection = new Connection(socket);
    await patiently(
      new Promise((resolve, reject) => {
        socket.once("open", resolve);
        socket.once("error", reject);
      }),
      "upgrade",
    );
    return connection;
  }

  constructor(socket) {
    this.socket = socket;
    this.closed = new Promise((resolve) => {
      socket.once("close", (code, reason) => resolve({ code, reason: reason.toString() }));
    });
    socket.on("error", () => {});
    // From the first moment on: the welcome may come with the answer to the upgrade.
    socket.on("message", (data, isBinary) => this.#take(data, isBinary));
    this.closed.then(() => this.#wake());
  }

  #take(data, isBinary) {
    if (isBinary) {
      this.binary.push(data);
    } else {
      const frame = JSON.parse(data.toString());
      const answer = this.#waiting.get(frame.id);
      this.#waiting.delete(frame.id);
      if (answer) answer(frame);
      else this.pushes.push(frame);
    }
    this.#wake();
  }

  #wake() {
    for (const listener of this.#listeners) listener();
  }

  /** Sends a command and gives its answer, without the id. */
  async call(command) {
    const id = ++this.#lastId;
    const answer = new Promise((resolve) => this.#waiting.set(id, resolve));
    this.socket.send(JSON.stringify({ id, ...command }));
    const { id: _, ...rest } = await patiently(answer, `answer to ${JSON.stringify(command)}`);
    return rest;
  }

  /** Says something, at the speed that the server allows. */
  async talk(text, key) {
    for (;;) {
      const answer = await this.call({ ...(key && { key }), talk: { text } });
      if (!answer.error?.temporary) return answer.talked;
      await new Promise((resolve) => setTimeout(resolve, answer.error.retryAfterMs ?? 100));
    }
  }

  /** Resolves once `find` finds something in what was received. */
  until(find, what) {
    let look;
    const found = new Promise((resolve, reject) => {
      look = () => {
        const value = find();
        if (value !== undefined) resolve(value);
        else if (this.socket.readyState === WebSocket.CLOSED) reject(new Error(`closed: ${what}`));
      };
      this.#listeners.add(look);
      look();
    });
    return patiently(found, what).finally(() => this.#listeners.delete(look));
  }

  /** The first push of this kind that fits, which may have come already. */
  push(kind, fits = () => true) {
    const find = () => this.pushes.find((frame) => kind in frame && fits(frame[kind]))?.[kind];
    return this.until(find, kind);
  }

  /** The entries that were pushed, in the order in which they came. */
  get entries() {
    return this.pushes.filter((frame) => frame.entry).map((frame) => frame.entry);
  }

  /** How the server closed: code and reason. */
  ended() {
    return patiently(this.closed, "close frame");
  }

  /** The payload of the answer to a WebSocket ping. */
  ping(payload) {
    const pong = new Promise((resolve) => this.socket.once("pong", resolve));
    this.socket.ping(payload);
    return patiently(pong, "pong");
  }

  /** Loses the connection: no close frame. */
  async lose() {
    this.socket.terminate();
    await this.closed;
  }

  async close() {
    this.socket.close(1000);
    await this.ended();
  }
}
