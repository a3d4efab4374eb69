// The frames of kith.v1 as JSON (proto/kith/v1/client.proto), both ways.
//
// Refuses to know sockets, time and the screen. proto3 JSON leaves out what has its default value
// and writes 64-bit numbers as strings; here both are undone once, so that nobody else has to
// think of it. Positions become plain numbers: they are exact up to 2^53, which a log reaches after
// 285,000 years at a thousand messages per second.

/**
 * @typedef {{conversation: string, epoch: string, head: number, tag: number, floor: number,
 *   durable: boolean}} Standing
 * @typedef {{textBytes: number, nameChars: number}} Limits
 * @typedef {{conversation: string, seq: number, tag: number, from: string, fromId: string,
 *   at: number, text: string | null, key?: string}} Entry `at` in milliseconds since 1970, 0 if
 *   unknown; `text` is null where the entry is of a kind that this page does not know; `key` is the
 *   one under which this page sent it.
 * @typedef {{code: number, name: string, message: string, field: string, unknown: boolean,
 *   temporary: boolean, retryAfter: number}} Refusal `unknown`: it may have happened all the same.
 * @typedef {{name: string, guestId: string, secret: string, conversations: Standing[],
 *   online: number, limits: Limits}} Welcome
 * @typedef {{conversation: string, seq: number, tag: number, at: number,
 *   duplicate: boolean}} Talked
 * @typedef {{names: string[], total: number, more: boolean}} Users
 * @typedef {{conversation: string, entries: Entry[], floor: number, head: number}} Page
 * @typedef {{online: string[], offline: string[], total: number, refresh: boolean}} Presence
 * @typedef {{conversation: string, from: string}} Typed
 * @typedef {{conversation: string, from: number, to: number, reason: string, tag: number}} Hole
 * @typedef {{code: number, reason: string, retryAfter: number}} Closing
 */

/**
 * @typedef {{id: number, kind: 'error', body: Refusal}
 *   | {id: number, kind: 'welcome', body: Welcome}
 *   | {id: number, kind: 'talked', body: Talked}
 *   | {id: number, kind: 'users', body: Users}
 *   | {id: number, kind: 'page', body: Page}
 *   | {id: number, kind: 'pong', body: null}
 *   | {id: number, kind: 'done', body: null}
 *   | {id: number, kind: 'entry', body: Entry}
 *   | {id: number, kind: 'presence', body: Presence}
 *   | {id: number, kind: 'typed', body: Typed}
 *   | {id: number, kind: 'hole', body: Hole}
 *   | {id: number, kind: 'reset', body: Standing}
 *   | {id: number, kind: 'closing', body: Closing}} Frame
 */

/** @typedef {{[name: string]: unknown}} Json */

/** The address that an empty conversation field means. */
export const LOBBY = 'lobby';

/** @param {unknown} value @returns {Json} */
const object = (value) =>
  typeof value === 'object' && value !== null ? /** @type {Json} */ (value) : {};
/** @param {unknown} value */
const text = (value) => (typeof value === 'string' ? value : '');
/** @param {unknown} value */
const number = (value) => Number(value ?? 0) || 0;
/** @param {unknown} value @returns {unknown[]} */
const list = (value) => (Array.isArray(value) ? value : []);
/** @param {unknown} value */
const address = (value) => text(value) || LOBBY;
/** @param {unknown} value */
const moment = (value) => Date.parse(text(value)) || 0;

/** @param {unknown} value @returns {Standing} */
function standing(value) {
  const it = object(value);
  return {
    conversation: address(it.conversation),
    epoch: text(it.epoch),
    head: number(it.head),
    tag: number(it.tag),
    floor: number(it.floor),
    durable: it.durable === true,
  };
}

/** @param {unknown} value @returns {Entry} */
function entry(value) {
  const it = object(value);
  const message = it.message === undefined ? null : object(it.message);
  return {
    conversation: address(it.conversation),
    seq: number(it.seq),
    tag: number(it.tag),
    from: text(it.from),
    fromId: text(it.fromId),
    at: moment(it.at),
    text: message && text(message.text),
  };
}

/** @type {{[kind: string]: (it: Json) => unknown}} */
const shapes = {
  error: (it) => ({
    code: number(it.code),
    name: text(it.name),
    message: text(it.message),
    field: text(it.field),
    unknown: it.outcome === 'OUTCOME_UNKNOWN',
    temporary: it.temporary === true,
    retryAfter: number(it.retryAfterMs),
  }),
  welcome: (it) => ({
    name: text(it.name),
    guestId: text(it.guestId),
    secret: text(it.resumeSecret),
    conversations: list(it.conversations).map(standing),
    online: number(it.online),
    limits: {
      textBytes: number(object(it.limits).textBytes) || 64 * 1024,
      nameChars: number(object(it.limits).nameChars) || 32,
    },
  }),
  talked: (it) => ({
    conversation: address(it.conversation),
    seq: number(it.seq),
    tag: number(it.tag),
    at: moment(it.at),
    duplicate: it.duplicate === true,
  }),
  users: (it) => ({
    names: list(it.names).map(text),
    total: number(it.total),
    more: it.more === true,
  }),
  page: (it) => ({
    conversation: address(it.conversation),
    entries: list(it.entries).map(entry),
    floor: number(it.floor),
    head: number(it.head),
  }),
  pong: () => null,
  done: () => null,
  entry,
  presence: (it) => ({
    online: list(it.online).map(text),
    offline: list(it.offline).map(text),
    total: number(it.total),
    refresh: it.refresh === true,
  }),
  typed: (it) => ({ conversation: address(it.conversation), from: text(it.from) }),
  hole: (it) => ({
    conversation: address(it.conversation),
    from: number(it.from),
    to: number(it.to),
    reason: text(it.reason),
    tag: number(it.tag),
  }),
  reset: (it) => standing(it.standing),
  closing: (it) => ({
    code: number(it.code),
    reason: text(it.reason),
    retryAfter: number(it.retryAfterMs),
  }),
};

/**
 * Reads what the server sent.
 *
 * @param {unknown} data
 * @returns {Frame | null} null for what this page does not know: newer servers say more, and a
 *   client ignores it.
 */
export function decode(data) {
  let frame;
  try {
    frame = object(JSON.parse(text(data)));
  } catch {
    return null;
  }
  for (const kind of Object.keys(frame)) {
    if (Object.hasOwn(shapes, kind)) {
      const body = shapes[kind](object(frame[kind]));
      return /** @type {Frame} */ ({ id: number(frame.id), kind, body });
    }
  }
  return null;
}

/**
 * A command, as `{history: {…}}`: one name, one body.
 *
 * @typedef {{hello: {name: string, guestId?: string, resumeSecret?: string,
 *     cursors?: {conversation: string, epoch: string, seq: string, tag: number}[]}}
 *   | {talk: {to?: string, text: string}}
 *   | {userList: {after?: string, limit?: number}}
 *   | {typing: {conversation?: string}}
 *   | {history: {conversation?: string, before?: string, after?: string, limit?: number}}
 *   | {ping: {}} | {exit: {}}} Command
 */

/**
 * Writes what goes to the server.
 *
 * @param {number} id 0 asks for no answer to a success.
 * @param {Command} command
 * @param {string} [key] 16 bytes as base64, under which the command happens once.
 */
export function encode(id, command, key) {
  return JSON.stringify({ ...(id && { id }), ...(key && { key }), ...command });
}

/**
 * A new key: 16 random bytes as base64.
 *
 * @param {(bytes: Uint8Array<ArrayBuffer>) => void} [fill]
 */
export function newKey(fill = (bytes) => void crypto.getRandomValues(bytes)) {
  const bytes = new Uint8Array(16);
  fill(bytes);
  return btoa(String.fromCharCode(...bytes));
}
