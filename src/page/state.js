// Everything that the page knows, as one value, and what each event makes of it.
//
// Pure: no socket, clock, storage or document. `reduce(state, event)` gives the next state, which
// shares with the one before whatever did not change: a view compares by identity. `wants(state)`
// says what has to be asked of the server; asking sets a flag, so nothing is asked twice.

import {
  acknowledged,
  begin,
  canLoadOlder,
  conversation,
  heard,
  holed,
  isTorn,
  lastOf,
  paged,
  quieted,
  seen,
  settled,
  stood,
} from './conversation.js';
import { LOBBY } from './frames.js';

/** Entries of one page of the past. */
export const PAGE = 50;
/** Names of one page of people, and the most that are followed by name (the server's bound). */
export const PEOPLE = 200;
/** How long somebody counts as typing. */
export const TYPING = 6_000;
/** Messages that may wait to be sent. */
export const WAITING = 100;

/**
 * @typedef {import('./frames.js').Entry} Entry
 * @typedef {import('./frames.js').Refusal} Refusal
 * @typedef {import('./frames.js').Standing} Standing
 * @typedef {import('./conversation.js').Conversation} Conversation
 * @typedef {import('./conversation.js').Pending} Pending
 * @typedef {import('./frames.js').Command} Command
 */

/**
 * @typedef {{names: string[], total: number, more: boolean, stale: boolean,
 *   asking: boolean}} People
 * @typedef {{phase: 'idle' | 'connecting' | 'waiting' | 'live' | 'ended', until: number,
 *   code: number}} Link `until` is the moment of the next attempt.
 * @typedef {{phase: 'signin' | 'joining' | 'in', name: string, id: string, secret: string,
 *   refusal: Refusal | null, link: Link, online: boolean, limits: {textBytes: number,
 *   nameChars: number}, people: People, conversations: {[address: string]: Conversation},
 *   open: string, present: boolean}} State `online`: what the browser believes of the network;
 *   `present`: somebody looks at the end of the open conversation.
 */

/**
 * @typedef {{type: 'restored', name: string, id: string, secret: string, pending: Pending[],
 *     read: {epoch: string, seq: number} | null}
 *   | {type: 'joining', name: string}
 *   | {type: 'turnedAway', refusal: Refusal}
 *   | {type: 'left'}
 *   | {type: 'link', phase: Link['phase'], until?: number, code?: number}
 *   | {type: 'network', online: boolean}
 *   | {type: 'welcome', welcome: import('./frames.js').Welcome}
 *   | {type: 'entry', entry: Entry}
 *   | {type: 'page', page: import('./frames.js').Page, before?: number, after?: number}
 *   | {type: 'hole', hole: import('./frames.js').Hole}
 *   | {type: 'reset', standing: Standing}
 *   | {type: 'presence', presence: import('./frames.js').Presence}
 *   | {type: 'users', users: import('./frames.js').Users, after: string}
 *   | {type: 'typed', typed: import('./frames.js').Typed, now: number}
 *   | {type: 'tick', now: number}
 *   | {type: 'said', key: string, to: string, text: string, at: number}
 *   | {type: 'sending', key: string}
 *   | {type: 'held', key: string, refusal: Refusal}
 *   | {type: 'talked', key: string, talked: import('./frames.js').Talked}
 *   | {type: 'refused', key: string, refusal: Refusal}
 *   | {type: 'again', key: string, fresh: string}
 *   | {type: 'dropped', key: string}
 *   | {type: 'asked', command: Command}
 *   | {type: 'denied', command: Command, refusal: Refusal}
 *   | {type: 'older'} | {type: 'morePeople'}
 *   | {type: 'present', present: boolean}} Event
 */

/** @returns {State} */
export const initial = () => ({
  phase: 'signin',
  name: '',
  id: '',
  secret: '',
  refusal: null,
  link: { phase: 'idle', until: 0, code: 0 },
  online: true,
  limits: { textBytes: 64 * 1024, nameChars: 32 },
  people: { names: [], total: 0, more: false, stale: true, asking: false },
  conversations: { [LOBBY]: conversation(LOBBY) },
  open: LOBBY,
  present: false,
});

/** @param {State} state @returns {Conversation} the one that is shown */
export const current = (state) => state.conversations[state.open];

/** @param {State} state @param {Event} event @returns {State} */
export function reduce(state, event) {
  switch (event.type) {
    case 'restored': {
      const { name, id, secret, pending, read } = event;
      const next = within({ ...state, name, id, secret }, LOBBY, (it) => ({
        ...it,
        pending,
        epoch: read?.epoch ?? '',
        readTo: read ? read.seq : -1,
      }));
      return { ...next, phase: id ? 'joining' : 'signin' };
    }
    case 'joining':
      return { ...state, phase: 'joining', name: event.name, refusal: null };
    case 'turnedAway':
      return {
        ...state,
        phase: 'signin',
        id: '',
        secret: '',
        refusal: event.refusal,
        link: initial().link,
      };
    case 'left':
      return { ...initial(), name: state.name, online: state.online };
    case 'link':
      return linked(state, event);
    case 'network':
      return { ...state, online: event.online };
    case 'welcome':
      return welcomed(state, event.welcome);
    case 'entry':
      return within(state, event.entry.conversation, (it) => heard(state, it, event.entry));
    case 'page':
      return within(state, event.page.conversation, (it) => seen(state, paged(it, event)));
    case 'hole':
      return within(state, event.hole.conversation, (it) => holed(it, event.hole));
    case 'reset':
      return within(state, event.standing.conversation, (it) => begin(it, event.standing, true));
    case 'presence':
    case 'users':
    case 'morePeople':
      return { ...state, people: people(state.people, event) };
    case 'typed':
      return within(state, event.typed.conversation, (it) =>
        event.typed.from === state.name
          ? it
          : { ...it, typing: { ...it.typing, [event.typed.from]: event.now + TYPING } },
      );
    case 'tick':
      return everywhere(state, (it) => quieted(it, event.now));
    case 'asked':
    case 'denied':
      return flagged(state, event.command, event.type === 'asked');
    case 'older':
      return within(state, state.open, (it) =>
        canLoadOlder(it) ? { ...it, asking: 'older' } : it,
      );
    case 'present':
      return present(state, event.present);
    default:
      return outgoing(state, event);
  }
}

/** @param {State} state @param {Extract<Event, {type: 'link'}>} event @returns {State} */
function linked(state, { phase, until = 0, code = 0 }) {
  const link = { phase, until, code };
  if (phase === 'live') return { ...state, link };
  // What has been asked on the old connection will never be answered.
  const next = everywhere(state, (it) =>
    it.asking || Object.keys(it.typing).length > 0 ? { ...it, asking: '', typing: {} } : it,
  );
  return { ...next, link, people: { ...state.people, stale: true, asking: false } };
}

/** @param {State} state @param {import('./frames.js').Welcome} welcome @returns {State} */
function welcomed(state, welcome) {
  /** @type {State} */
  let next = {
    ...state,
    phase: 'in',
    refusal: null,
    limits: welcome.limits,
    name: welcome.name,
    id: welcome.guestId,
    secret: welcome.secret,
    people: { ...state.people, total: welcome.online, stale: true },
  };
  for (const standing of welcome.conversations) {
    next = within(next, standing.conversation, (it) =>
      settled(stood(it, standing, welcome.guestId)),
    );
  }
  return next;
}

/** @param {State} state @param {boolean} here @returns {State} */
function present(state, here) {
  if (state.present === here) return state;
  const next = { ...state, present: here };
  return here
    ? within(next, state.open, (it) => ({ ...it, readTo: Math.max(it.readTo, lastOf(it)) }))
    : next;
}

/** What happens to our own messages. @param {State} state @param {Event} event @returns {State} */
function outgoing(state, event) {
  switch (event.type) {
    case 'said': {
      const { key, to, text, at } = event;
      /** @type {Pending} */
      const message = { key, to, text, at, sentAs: '', phase: 'waiting', refusal: null, seen: 0 };
      // Whoever answers has read: the line has done its work.
      return within(state, to, (it) => ({ ...it, pending: [...it.pending, message], line: 0 }));
    }
    case 'sending':
      return ours(state, event.key, (message) => ({ ...message, sentAs: state.id }));
    case 'held':
      return ours(state, event.key, (message) => ({ ...message, refusal: event.refusal }));
    case 'refused':
      return ours(state, event.key, (message) => ({
        ...message,
        phase: 'refused',
        refusal: event.refusal,
        seen: 0,
      }));
    case 'again':
      return ours(state, event.key, (message) => ({
        ...message,
        key: event.fresh,
        phase: 'waiting',
        refusal: null,
        seen: 0,
      }));
    case 'dropped':
      return ours(state, event.key, () => null);
    case 'talked':
      return talked(state, event.key, event.talked);
    default:
      return state;
  }
}

/** @param {State} state @param {string} key @param {import('./frames.js').Talked} talked
 * @returns {State} */
function talked(state, key, { conversation: address, seq, tag, at }) {
  return within(state, address, (it) => {
    const message = it.pending.find((other) => other.key === key);
    if (!message) return it;
    const { name: from, id: fromId } = state;
    const entry = { conversation: address, seq, tag, at, from, fromId, text: message.text, key };
    return acknowledged(state, it, message, entry);
  });
}

/** @param {State} state @param {string} key @param {(message: Pending) => Pending | null} change */
function ours(state, key, change) {
  return everywhere(state, (it) => {
    const at = it.pending.findIndex((message) => message.key === key);
    if (at < 0) return it;
    const changed = change(it.pending[at]);
    return { ...it, pending: it.pending.toSpliced(at, 1, ...(changed ? [changed] : [])) };
  });
}

/** @param {People} it @param {Extract<Event, {type: 'presence' | 'users' | 'morePeople'}>} event
 * @returns {People} */
function people(it, event) {
  if (event.type === 'morePeople') return { ...it, asking: true };
  if (event.type === 'users') {
    const { users, after } = event;
    const names = after ? [...it.names, ...users.names] : users.names;
    return {
      names: [...new Set(names)],
      total: users.total,
      more: users.more,
      stale: it.stale,
      asking: false,
    };
  }
  const { online, offline, total, refresh } = event.presence;
  const gone = new Set(offline);
  const names =
    online.length + offline.length === 0
      ? it.names
      : [...new Set([...it.names.filter((name) => !gone.has(name)), ...online])];
  // Below the bound everybody is told of everybody: a list that does not add up missed something.
  const wrong = total <= PEOPLE && names.length !== total;
  return {
    ...it,
    names,
    total,
    stale: it.stale || refresh || wrong,
    more: it.more && names.length < total,
  };
}

/** @param {State} state @param {Command} command @param {boolean} asked @returns {State} */
function flagged(state, command, asked) {
  if ('userList' in command)
    return { ...state, people: { ...state.people, asking: asked, stale: false } };
  if (!('history' in command)) return state;
  const { before, after } = command.history;
  const asking = after !== undefined ? 'newer' : before !== undefined ? 'older' : 'newest';
  return within(state, command.history.conversation ?? LOBBY, (it) => ({
    ...it,
    asking: asked ? asking : '',
    loaded: it.loaded || !asked,
  }));
}

/**
 * What has to be asked of the server now, in order. The caller asks, and says so by `asked`.
 *
 * @param {State} state @returns {Command[]}
 */
export function wants(state) {
  if (state.link.phase !== 'live') return [];
  /** @type {Command[]} */
  const commands = [];
  for (const it of Object.values(state.conversations)) {
    if (!it.loaded && !it.asking)
      commands.push({ history: { conversation: it.address, limit: PAGE } });
    // The server never leaves a gap, but a page that shows one as if there were none would be worse
    // than asking.
    else if (!it.asking && isTorn(it)) {
      commands.push({ history: { conversation: it.address, after: String(it.cursor.seq) } });
    }
  }
  if (state.people.stale && !state.people.asking) commands.push({ userList: { limit: PEOPLE } });
  return commands;
}

/** Changes one conversation; one that this page does not know is left alone. @param {State} state
 * @param {string} address @param {(it: Conversation) => Conversation} change @returns {State} */
function within(state, address, change) {
  const it = state.conversations[address];
  const next = it && change(it);
  return next === it
    ? state
    : { ...state, conversations: { ...state.conversations, [address]: next } };
}

/** @param {State} state @param {(it: Conversation) => Conversation} change */
function everywhere(state, change) {
  return Object.keys(state.conversations).reduce(
    (next, address) => within(next, address, change),
    state,
  );
}
