// The way to the server: one socket at a time, ids and keys, and coming back.
//
// Refuses to know what is shown. Everything that happens is told to `emit` as a plain event of
// state.js; the socket, the clock and chance are handed in, so that tests need none of them. This
// is the client's half of the promise "nothing lost, nothing doubled": a message keeps its key for
// as long as it is not acknowledged, and is sent again under it on every new connection.

import { decode, encode } from './frames.js';

/** From the start of a connection to `welcome`; a browser alone would wait for minutes. */
export const OPEN_WAIT = 10_000;
/** How often a living connection is looked after. */
export const BEAT = 5_000;
/** Silence after which we ask. The server's own pings are invisible to scripts. */
export const QUIET = 20_000;
/** From that question, or any other, to the verdict that the connection is dead. */
export const ANSWER_WAIT = 8_000;
/** The first and the longest wait before another attempt, where the server named none. */
export const RETRY_FIRST = 500;
export const RETRY_MOST = 30_000;
/** A connection that lived this long has earned a fresh series of attempts. */
const STEADY = 10_000;
/** Before a command is repeated that was refused for now, when the refusal named no time. */
const REPEAT = 1_000;

/**
 * @typedef {{now: () => number, later: (run: () => void, wait: number) => () => void}} Clock
 *   `later` gives the function that calls it off.
 * @typedef {'readyState' | 'send' | 'close' | 'onopen' | 'onmessage' | 'onclose'} Used
 * @typedef {Pick<WebSocket, Used>} Socket The part of `WebSocket` that is used.
 * @typedef {{name: string, id: string, secret: string}} Identity `id` and `secret` are empty before
 *   the first welcome.
 * @typedef {{key: string, to: string, text: string}} Outgoing
 * @typedef {import('./frames.js').Command} Command
 * @typedef {import('./frames.js').Refusal} Refusal
 * @typedef {import('./state.js').Event} Event
 * @typedef {{conversation: string, epoch: string, seq: number, tag: number}} Cursor
 */

/** @type {Clock} */
const system = {
  now: () => Date.now(),
  later: (run, wait) => {
    const timer = setTimeout(run, wait);
    return () => clearTimeout(timer);
  },
};

/** One connection after another, until told to stop. */
export class Wire {
  /**
   * @param {{url: string, emit: (event: Event) => void, cursors: () => Cursor[],
   *   open?: (url: string) => Socket, clock?: Clock, random?: () => number}} parts `cursors` says
   *   where reading stopped, at the moment it is asked.
   */
  constructor({ url, emit, cursors, open, clock = system, random = Math.random }) {
    this.url = url;
    this.emit = emit;
    this.cursors = cursors;
    this.open = open ?? ((address) => new WebSocket(address, 'kith.v1.json'));
    this.clock = clock;
    this.random = random;
    /** @type {Identity | null} */
    this.me = null;
    /** @type {Socket | null} */
    this.socket = null;
    this.live = false;
    this.lastId = 0;
    /** What has been asked on this connection.
     * @type {Map<number, {command: Command, key: string}>} */
    this.asked = new Map();
    /** Messages without an acknowledgement, oldest first; the first may be under way.
     * @type {Outgoing[]} */
    this.outbox = [];
    /** The id of the talk under way. One at a time: a second one could overtake a first that was
     * refused for a moment. */
    this.talkId = 0;
    this.attempt = 0;
    this.heard = 0;
    this.beaten = 0;
    this.probed = 0;
    this.lived = 0;
    /** What the last `closing` or refusal asked for, in milliseconds. */
    this.retryAfter = 0;
    /** Timers of the present connection, or of the wait for the next. @type {Set<() => void>} */
    this.timers = new Set();
  }

  /** Connects as this person, and stays connected. @param {Identity} me */
  start(me) {
    this.stop();
    this.me = me;
    this.attempt = 0;
    this.connect();
  }

  /** Ends the connection and stays away. */
  stop() {
    this.hangUp();
    this.me = null;
  }

  /** Says goodbye, so that the name is free at once. */
  leave() {
    if (this.live) this.transmit(0, { exit: {} });
    this.stop();
  }

  /** Tries again at once, where a wait or an end has been told. */
  now() {
    if (this.me && !this.socket) {
      this.attempt = 0;
      this.connect();
    }
  }

  /** The network or the machine has changed: nothing is taken for granted. */
  wake() {
    if (this.live) this.probe();
    // A time that the server named stays: everybody's network may have come back at once.
    else if (this.retryAfter === 0) this.now();
  }

  /** Asks; the answer comes as an event, and never if the connection breaks before.
   * @param {Command} command */
  ask(command) {
    if (this.live) this.request(command);
  }

  /** Mentions something that nobody needs to answer. @param {Command} command */
  tell(command) {
    if (this.live) this.transmit(0, command);
  }

  /** Sends a message, now or as soon as there is a connection. @param {Outgoing} message */
  say(message) {
    if (!this.outbox.some((other) => other.key === message.key)) this.outbox.push(message);
    this.pump();
  }

  /** Gives up on a message that is not under way. @param {string} key */
  forget(key) {
    this.outbox = this.outbox.filter((message) => message.key !== key);
  }

  // From here on: the life of one connection.

  connect() {
    this.hangUp();
    this.retryAfter = 0;
    this.emit({ type: 'link', phase: 'connecting' });
    const socket = this.open(this.url);
    this.socket = socket;
    socket.onopen = () => this.hello();
    socket.onmessage = ({ data }) => this.receive(data);
    socket.onclose = ({ code }) => this.closed(code);
    this.later(OPEN_WAIT, () => this.broken());
  }

  hello() {
    const { name = '', id = '', secret = '' } = this.me ?? {};
    const cursors = this.cursors().map((it) => ({ ...it, seq: String(it.seq) }));
    this.request({
      hello: { name, ...(secret && { guestId: id, resumeSecret: secret }), cursors },
    });
  }

  /** @param {unknown} data */
  receive(data) {
    this.heard = this.clock.now();
    this.probed = 0;
    const frame = decode(data);
    if (!frame) return;
    switch (frame.kind) {
      case 'welcome':
        this.asked.delete(frame.id);
        return this.welcomed(frame.body);
      case 'closing':
        this.retryAfter = frame.body.retryAfter;
        return;
      case 'error':
        return this.refused(frame.id, frame.body);
      case 'talked':
        return this.talked(frame.id, frame.body);
      case 'entry':
        return this.emit({ type: 'entry', entry: frame.body });
      case 'presence':
        return this.emit({ type: 'presence', presence: frame.body });
      case 'typed':
        return this.emit({ type: 'typed', typed: frame.body, now: this.clock.now() });
      case 'hole':
        return this.emit({ type: 'hole', hole: frame.body });
      case 'reset':
        return this.emit({ type: 'reset', standing: frame.body });
      default: {
        const command = this.asked.get(frame.id)?.command;
        this.asked.delete(frame.id);
        if (frame.kind === 'users' && command && 'userList' in command) {
          this.emit({ type: 'users', users: frame.body, after: command.userList.after ?? '' });
        } else if (frame.kind === 'page' && command && 'history' in command) {
          const { before, after } = command.history;
          this.emit({
            type: 'page',
            page: frame.body,
            ...(before !== undefined && { before: Number(before) }),
            ...(after !== undefined && { after: Number(after) }),
          });
        }
      }
    }
  }

  /** @param {import('./frames.js').Welcome} welcome */
  welcomed(welcome) {
    this.callOff();
    this.me = { name: welcome.name, id: welcome.guestId, secret: welcome.secret };
    this.live = true;
    this.lived = this.beaten = this.clock.now();
    // The state goes first: it may find that what is in the outbox must not be sent again.
    this.emit({ type: 'welcome', welcome });
    this.emit({ type: 'link', phase: 'live' });
    this.later(BEAT, () => this.beat());
    this.pump();
  }

  /** @param {number} id @param {import('./frames.js').Talked} talked */
  talked(id, talked) {
    this.asked.delete(id);
    if (id <= 0 || id !== this.talkId) return;
    this.talkId = 0;
    const message = this.outbox.shift();
    if (message) this.emit({ type: 'talked', key: message.key, talked });
    this.pump();
  }

  /** @param {number} id @param {Refusal} refusal */
  refused(id, refusal) {
    const asked = this.asked.get(id);
    this.asked.delete(id);
    // A frame that could not be read has no id; what can have been at fault is the talk under way.
    const ours = id === 0 && refusal.code < 200 ? this.talkId : id;
    if (ours > 0 && ours === this.talkId) return this.talkRefused(refusal);
    if (!asked) return;
    if ('hello' in asked.command) return this.helloRefused(refusal, asked.command.hello);
    if (refusal.temporary) {
      this.later(refusal.retryAfter || REPEAT, () => this.request(asked.command));
    } else {
      this.emit({ type: 'denied', command: asked.command, refusal });
    }
  }

  /** @param {Refusal} refusal */
  talkRefused(refusal) {
    const [message] = this.outbox;
    if (refusal.temporary) {
      // It stays the first of the outbox, under its key; nothing may overtake it.
      this.emit({ type: 'held', key: message.key, refusal });
      this.later(refusal.retryAfter || REPEAT, () => {
        this.talkId = 0;
        this.pump();
      });
      this.talkId = -1;
      return;
    }
    this.talkId = 0;
    this.outbox.shift();
    this.emit({ type: 'refused', key: message.key, refusal });
    this.pump();
  }

  /** @param {Refusal} refusal @param {{resumeSecret?: string}} hello */
  helloRefused(refusal, hello) {
    if (refusal.temporary) {
      this.retryAfter = refusal.retryAfter;
      this.comeBack();
    } else if (refusal.name === 'bad_resume' && hello.resumeSecret && this.me) {
      // The server does not know us any more; the name may still be free.
      this.me = { name: this.me.name, id: '', secret: '' };
      this.hello();
    } else {
      this.stop();
      this.emit({ type: 'turnedAway', refusal });
    }
  }

  /** Sends the first message of the outbox, if nothing is under way. */
  pump() {
    const [message] = this.outbox;
    if (!this.live || !message || this.talkId !== 0) return;
    this.emit({ type: 'sending', key: message.key });
    this.talkId = this.request({ talk: { to: message.to, text: message.text } }, message.key);
  }

  /** Every question has a deadline: what is not answered in time says that nobody is there.
   * @param {Command} command @param {string} [key] @returns {number} the id */
  request(command, key = '') {
    // uint32, and 0 means "no answer wanted".
    this.lastId = (this.lastId % 0xffff_ffff) + 1;
    const id = this.lastId;
    this.asked.set(id, { command, key });
    this.transmit(id, command, key);
    const asked = this.clock.now();
    this.later(ANSWER_WAIT, () => {
      if (!this.asked.has(id) || this.heard > asked) return;
      // A timer that comes much too late says that the machine slept, not that nobody answered.
      if (this.live && this.clock.now() - asked > ANSWER_WAIT + BEAT) this.probe();
      else this.broken();
    });
    return id;
  }

  /** @param {number} id @param {Command} command @param {string} [key] */
  transmit(id, command, key) {
    if (this.socket?.readyState === 1) this.socket.send(encode(id, command, key));
  }

  /** Looks after a living connection: asks when it has been quiet, and after a sleep. */
  beat() {
    const now = this.clock.now();
    const slept = now - this.beaten > 3 * BEAT;
    this.beaten = now;
    if (slept || now - this.heard > QUIET) this.probe();
    this.later(BEAT, () => this.beat());
  }

  /** Are you there? The deadline of the question does the rest. */
  probe() {
    const now = this.clock.now();
    if (this.probed && now - this.probed <= ANSWER_WAIT) return;
    this.probed = now;
    this.request({ ping: {} });
  }

  /** The connection is dead, whatever the socket believes. */
  broken() {
    this.hangUp();
    this.comeBack();
  }

  /** @param {number} code */
  closed(code) {
    const wasLive = this.live;
    this.hangUp();
    const over =
      code === 1000 ||
      code === 1002 ||
      code === 1003 ||
      code === 1007 ||
      code === 1009 ||
      (code >= 3500 && code <= 3999);
    if (over) this.emit({ type: 'link', phase: 'ended', code });
    else this.comeBack(wasLive);
  }

  /** @param {boolean} [wasLive] */
  comeBack(wasLive = false) {
    this.hangUp();
    if (wasLive && this.clock.now() - this.lived > STEADY) this.attempt = 0;
    const wait = this.wait();
    this.attempt += 1;
    this.emit({ type: 'link', phase: 'waiting', until: this.clock.now() + wait });
    this.later(wait, () => this.connect());
  }

  /** What the server asked for and up to as much again, so that a thousand pages do not return in
   * one instant; else doubling, between half and all of it (AWS, "Exponential backoff and jitter").
   */
  wait() {
    if (this.retryAfter > 0) {
      return this.retryAfter + this.random() * Math.max(this.retryAfter, RETRY_FIRST);
    }
    const most = Math.min(RETRY_MOST, RETRY_FIRST * 2 ** Math.min(this.attempt, 16));
    return most / 2 + (this.random() * most) / 2;
  }

  /** Lets go of the present socket, silently. */
  hangUp() {
    this.callOff();
    const socket = this.socket;
    this.socket = null;
    this.live = false;
    this.asked.clear();
    this.talkId = 0;
    this.probed = 0;
    if (!socket) return;
    socket.onopen = socket.onmessage = socket.onclose = null;
    if (socket.readyState < 2) socket.close(1000);
  }

  /** @param {number} wait @param {() => void} run */
  later(wait, run) {
    const off = this.clock.later(() => {
      this.timers.delete(off);
      run();
    }, wait);
    this.timers.add(off);
  }

  callOff() {
    for (const off of this.timers) off();
    this.timers.clear();
  }
}
