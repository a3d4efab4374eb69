// Everything that the page knows, as one value, and what each event makes of it.
//
// Pure: no socket, clock, storage or document. `reduce(state, event)` gives the next state and
// shares what did not change with the one before, so that a view compares by identity. `wants(state)`
// says what has to be asked of the server; asking sets a flag, so nothing is asked twice.

import { LOBBY } from './frames.js';

/** Entries kept of a conversation whose end is being read; older ones can be asked for again. */
export const HELD = 5_000;
/** How many are dropped at once when that is reached, so that it is reached rarely. */
const SHED = 1_000;
/** Entries of one page of the past. */
export const PAGE = 50;
/** Names of one page of people, and the most that are followed name by name (the server's bound). */
export const PEOPLE = 200;
/** How long somebody counts as typing. */
export const TYPING = 6_000;
/** Messages that may wait to be sent. */
export const WAITING = 100;

/**
 * @typedef {import('./frames.js').Entry} Entry
 * @typedef {import('./frames.js').Refusal} Refusal
 * @typedef {import('./frames.js').Standing} Standing
 * @typedef {import('./frames.js').Command} Command
 */

/**
 * A message of ours without an acknowledgement. `unsure`: it went out under a guest id that is lost;
 * what is on its way is looked for in what comes in.
 *
 * @typedef {{key: string, to: string, text: string, at: number, sentAs: string,
 *   phase: 'waiting' | 'unsure' | 'refused', refusal: Refusal | null, seen: number}} Pending
 *   `sentAs` is the guest id under which it has been on the wire, or empty; `seen` the position of
 *   an entry that is probably this message, 0 without.
 */

/**
 * A conversation. What is held is the run from `first` to `cursor.seq`, except for `holes`; entries
 * beyond it wait for the ones between.
 *
 * @typedef {{address: string, epoch: string, cursor: {seq: number, tag: number}, head: number,
 *   floor: number, first: number, entries: Entry[], holes: {from: number, to: number}[],
 *   loaded: boolean, asking: '' | 'newest' | 'older' | 'newer', pending: Pending[],
 *   typing: {[name: string]: number}, readTo: number, line: number, behind: number,
 *   begun: boolean}} Conversation
 *   `readTo`: the last entry that has been seen; `line`: the entry above which "new messages" stands,
 *   0 for none; `behind`: where catching up began, 0 when it is over; `begun`: the log was replaced.
 */

/**
 * @typedef {{names: string[], total: number, more: boolean, stale: boolean, asking: boolean}} People
 * @typedef {{phase: 'idle' | 'connecting' | 'waiting' | 'live' | 'ended', until: number,
 *   code: number, before: boolean}} Link `before`: there has been a connection before this one.
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

/** What a message becomes whose fate cannot be known. @type {Refusal} */
export const UNSURE = { code: 0, name: 'unsure', message: '', field: '', unknown: true, temporary: false, retryAfter: 0 };

/** @param {string} address @returns {Conversation} */
const conversation = (address) => ({
  address, epoch: '', cursor: { seq: 0, tag: 0 }, head: 0, floor: 0, first: 1, entries: [], holes: [],
  loaded: false, asking: '', pending: [], typing: {}, readTo: -1, line: 0, behind: 0, begun: false,
});

/** @returns {State} */
export const initial = () => ({
  phase: 'signin', name: '', id: '', secret: '', refusal: null,
  link: { phase: 'idle', until: 0, code: 0, before: false }, online: true,
  limits: { textBytes: 64 * 1024, nameChars: 32 },
  people: { names: [], total: 0, more: false, stale: true, asking: false },
  conversations: { [LOBBY]: conversation(LOBBY) }, open: LOBBY, present: false,
});

/** @param {State} state @returns {Conversation} the one that is shown */
export const current = (state) => state.conversations[state.open];

/** Messages of others that have not been seen. @param {Conversation} it @param {string} me */
export function unread(it, me) {
  if (it.readTo < 0) return 0;
  let count = 0;
  for (let i = it.entries.length - 1; i >= 0 && it.entries[i].seq > it.readTo; i -= 1) {
    if (it.entries[i].fromId !== me && it.entries[i].text !== null) count += 1;
  }
  return count;
}

/** @param {State} state @param {Event} event @returns {State} */
export function reduce(state, event) {
  switch (event.type) {
    case 'restored': {
      const { name, id, secret, pending, read } = event;
      const next = within({ ...state, name, id, secret }, LOBBY, (it) => ({
        ...it, pending, epoch: read?.epoch ?? '', readTo: read ? read.seq : -1,
      }));
      return { ...next, phase: id ? 'joining' : 'signin' };
    }
    case 'joining':
      return { ...state, phase: 'joining', name: event.name, refusal: null };
    case 'turnedAway':
      return { ...state, phase: 'signin', id: '', secret: '', refusal: event.refusal, link: initial().link };
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
      return within(state, event.typed.conversation, (it) => (event.typed.from === state.name ? it
        : { ...it, typing: { ...it.typing, [event.typed.from]: event.now + TYPING } }));
    case 'tick':
      return everywhere(state, (it) => quieted(it, event.now));
    case 'asked':
    case 'denied':
      return flagged(state, event.command, event.type === 'asked');
    case 'older':
      return within(state, state.open, (it) => (canLoadOlder(it) ? { ...it, asking: 'older' } : it));
    case 'present':
      return present(state, event.present);
    default:
      return outgoing(state, event);
  }
}

/** @param {State} state @param {Extract<Event, {type: 'link'}>} event @returns {State} */
function linked(state, { phase, until = 0, code = 0 }) {
  const link = { phase, until, code, before: state.link.before || phase === 'live' };
  if (phase === 'live') return { ...state, link };
  // What has been asked on the old connection will never be answered.
  const next = everywhere(state, (it) => (it.asking || Object.keys(it.typing).length > 0
    ? { ...it, asking: '', typing: {} } : it));
  return { ...next, link, people: { ...state.people, stale: true, asking: false } };
}

/** @param {State} state @param {import('./frames.js').Welcome} welcome @returns {State} */
function welcomed(state, welcome) {
  /** @type {State} */
  let next = {
    ...state, phase: 'in', refusal: null, limits: welcome.limits,
    name: welcome.name, id: welcome.guestId, secret: welcome.secret,
    people: { ...state.people, total: welcome.online, stale: true },
  };
  for (const standing of welcome.conversations) {
    next = within(next, standing.conversation, (it) => settled(stood(it, standing, welcome.guestId)));
  }
  return next;
}

/** @param {Conversation} it @param {Standing} standing @param {string} me */
function stood(it, standing, me) {
  if (!it.loaded && it.entries.length === 0) {
    it = begin(it, standing, false);
  } else if (it.epoch !== standing.epoch) {
    it = begin(it, standing, true);
  } else {
    const behind = standing.head > it.cursor.seq ? it.cursor.seq : 0;
    it = { ...it, head: Math.max(it.head, standing.head), floor: standing.floor, behind };
  }
  // Keys belong to a person. Where the server knows us as somebody else now, what had been sent
  // before might be said twice if it were sent again.
  const pending = it.pending.map((message) => (message.phase === 'waiting' && message.sentAs && message.sentAs !== me
    ? { ...message, phase: /** @type {const} */ ('unsure') } : message));
  return { ...it, pending };
}

/** Forgets what was held, and begins at this standing. @param {Conversation} it
 * @param {Standing} standing @param {boolean} replaced @returns {Conversation} */
function begin(it, standing, replaced) {
  const sameLog = it.epoch === standing.epoch && !replaced;
  return {
    ...conversation(it.address), epoch: standing.epoch,
    cursor: { seq: standing.head, tag: standing.tag }, head: standing.head, floor: standing.floor,
    first: standing.head + 1, begun: replaced,
    pending: it.pending.map((message) => ({ ...message, seen: 0 })),
    readTo: sameLog ? Math.min(it.readTo, standing.head) : standing.head,
  };
}

/** An entry came by itself. @param {State} state @param {Conversation} it @param {Entry} entry */
function heard(state, it, entry) {
  const known = entry.seq < it.first || has(it, entry.seq);
  it = placed(it, entry);
  if (!known) {
    it = noticed(state, it, entry);
    it = recognised(it, entry);
  }
  if (Object.hasOwn(it.typing, entry.from)) {
    const { [entry.from]: _, ...typing } = it.typing;
    it = { ...it, typing };
  }
  return settled(shed(it, state.present));
}

/** What one's own unacknowledged message looks like when it comes back from the log: hidden until
 * the acknowledgement says whether it was that one. @param {Conversation} it @param {Entry} entry */
function recognised(it, entry) {
  const mine = it.pending.find((message) => message.sentAs === entry.fromId && entry.fromId !== ''
    && message.text === entry.text && message.seen === 0);
  if (!mine) return it;
  const pending = mine.phase === 'unsure'
    ? it.pending.filter((message) => message !== mine)
    : it.pending.map((message) => (message === mine ? { ...mine, seen: entry.seq } : message));
  return { ...it, pending };
}

/** Reading goes on with it, or stopped before it. @param {State} state @param {Conversation} it
 * @param {Entry} entry */
function noticed(state, it, entry) {
  if (state.present) return seen(state, it);
  const ours = entry.fromId === state.id;
  if (ours && it.readTo === entry.seq - 1) return { ...it, readTo: entry.seq };
  if (entry.text === null || ours || it.line > it.readTo) return it;
  return { ...it, line: entry.seq };
}

/** All that is there counts as read while somebody looks at its end. @param {State} state
 * @param {Conversation} it @returns {Conversation} */
function seen(state, it) {
  return state.present && lastOf(it) > it.readTo ? { ...it, readTo: lastOf(it) } : it;
}

/** Puts an entry in its place, and moves the cursor over all that follows without a gap.
 * @param {Conversation} it @param {Entry} entry @returns {Conversation} */
function placed(it, entry) {
  if (entry.seq < it.first || has(it, entry.seq)) return it;
  const at = position(it.entries, entry.seq);
  const entries = at === it.entries.length
    ? [...it.entries, entry] : [...it.entries.slice(0, at), entry, ...it.entries.slice(at)];
  return advanced({ ...it, entries, head: Math.max(it.head, entry.seq) });
}

/** @param {Conversation} it @returns {Conversation} */
function advanced(it) {
  let { cursor } = it;
  for (let i = position(it.entries, cursor.seq + 1); it.entries[i]?.seq === cursor.seq + 1; i += 1) {
    cursor = { seq: it.entries[i].seq, tag: it.entries[i].tag };
  }
  return cursor === it.cursor ? it : { ...it, cursor };
}

/** Nothing is missing up to the head: whatever is still unsure did not arrive, or cannot be told.
 * @param {Conversation} it @returns {Conversation} */
function settled(it) {
  if (it.cursor.seq < it.head) return it;
  if (it.behind) it = { ...it, behind: 0 };
  if (!it.pending.some((message) => message.phase === 'unsure')) return it;
  const pending = it.pending.map((message) => (message.phase === 'unsure'
    ? { ...message, phase: /** @type {const} */ ('refused'), refusal: UNSURE } : message));
  return { ...it, pending };
}

/** @param {Conversation} it @param {boolean} atTheEnd @returns {Conversation} */
function shed(it, atTheEnd) {
  if (!atTheEnd || it.entries.length <= HELD) return it;
  const entries = it.entries.slice(SHED);
  return { ...it, entries, first: entries[0].seq, holes: it.holes.filter((hole) => hole.to >= entries[0].seq) };
}

/** @param {Conversation} it @param {Extract<Event, {type: 'page'}>} event @returns {Conversation} */
function paged(it, { page, before, after }) {
  // Asked before the log was replaced: it would join on to nothing.
  if (before !== undefined && before !== it.first) return { ...it, asking: '' };
  const news = page.entries.filter((entry) => !has(it, entry.seq));
  const entries = [...it.entries, ...news].sort((a, b) => a.seq - b.seq);
  // An older page that is empty says that there is nothing before what is held.
  const floor = before !== undefined && !page.entries.length ? it.first : Math.max(page.floor, 1);
  const first = after !== undefined ? it.first : Math.min(it.first, page.entries[0]?.seq ?? it.first);
  const head = Math.max(it.head, page.head);
  const next = settled(advanced({ ...it, entries, first, floor, head, loaded: true, asking: '' }));
  return it.loaded ? next : readingStopped(next);
}

/** Where "new messages" belongs once the first page is there. @param {Conversation} it */
function readingStopped(it) {
  const line = it.entries.find((entry) => entry.seq > it.readTo && entry.text !== null);
  return line ? { ...it, line: line.seq } : it;
}

/** @param {Conversation} it @param {import('./frames.js').Hole} hole @returns {Conversation} */
function holed(it, { from, to }) {
  if (to <= it.cursor.seq) return it;
  const holes = [...it.holes, { from: Math.max(from, it.cursor.seq + 1), to }];
  return settled(advanced({ ...it, holes, cursor: { seq: to, tag: 0 }, head: Math.max(it.head, to) }));
}

/** @param {Conversation} it @param {number} now */
function quieted(it, now) {
  const typing = Object.fromEntries(Object.entries(it.typing).filter(([, until]) => until > now));
  return Object.keys(typing).length === Object.keys(it.typing).length ? it : { ...it, typing };
}

/** @param {State} state @param {boolean} here @returns {State} */
function present(state, here) {
  if (state.present === here) return state;
  const next = { ...state, present: here };
  return here ? within(next, state.open, (it) => ({ ...it, readTo: Math.max(it.readTo, lastOf(it)) })) : next;
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
      return ours(state, event.key, (message) => ({ ...message, phase: 'refused', refusal: event.refusal, seen: 0 }));
    case 'again':
      return ours(state, event.key, (message) => ({ ...message, key: event.fresh, phase: 'waiting', refusal: null, seen: 0 }));
    case 'dropped':
      return ours(state, event.key, () => null);
    case 'talked':
      return acknowledged(state, event.key, event.talked);
    default:
      return state;
  }
}

/** The acknowledgement stands for the entry. @param {State} state @param {string} key
 * @param {import('./frames.js').Talked} talked @returns {State} */
function acknowledged(state, key, { conversation: address, seq, tag, at }) {
  return within(state, address, (it) => {
    const message = it.pending.find((other) => other.key === key);
    if (!message) return it;
    it = { ...it, pending: it.pending.filter((other) => other !== message) };
    /** @type {Entry} */
    const entry = { conversation: address, seq, tag, at, from: state.name, fromId: state.id, text: message.text, key };
    const next = placed(it, entry);
    return settled(shed(next === it ? it : noticed(state, next, entry), state.present));
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
    return { names: [...new Set(names)], total: users.total, more: users.more, stale: it.stale, asking: false };
  }
  const { online, offline, total, refresh } = event.presence;
  const gone = new Set(offline);
  const names = online.length + offline.length === 0 ? it.names
    : [...new Set([...it.names.filter((name) => !gone.has(name)), ...online])];
  // Below the bound everybody is told of everybody, so a list that does not add up has missed something.
  const wrong = total <= PEOPLE && names.length !== total;
  return { ...it, names, total, stale: it.stale || refresh || wrong, more: it.more && names.length < total };
}

/** @param {State} state @param {Command} command @param {boolean} asked @returns {State} */
function flagged(state, command, asked) {
  if ('userList' in command) return { ...state, people: { ...state.people, asking: asked, stale: false } };
  if (!('history' in command)) return state;
  const { before, after } = command.history;
  const asking = after !== undefined ? 'newer' : before !== undefined ? 'older' : 'newest';
  return within(state, command.history.conversation ?? LOBBY, (it) => ({
    ...it, asking: asked ? asking : '', loaded: it.loaded || !asked,
  }));
}

/** @param {Conversation} it */
export const canLoadOlder = (it) => it.loaded && !it.asking && it.first > Math.max(it.floor, 1);

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
    const under = it.pending.some((message) => message.phase === 'waiting' && message.sentAs);
    if (!it.loaded && !it.asking) commands.push({ history: { conversation: it.address, limit: PAGE } });
    // Entries beyond a gap that none of our own acknowledgements will close: the server never
    // leaves one, but a page that shows a gap as if there were none would be worse than asking.
    else if (!it.asking && !under && lastOf(it) > it.cursor.seq) {
      commands.push({ history: { conversation: it.address, after: String(it.cursor.seq) } });
    }
  }
  if (state.people.stale && !state.people.asking) commands.push({ userList: { limit: PEOPLE } });
  return commands;
}

/** The last position of which anything is held. @param {Conversation} it */
const lastOf = (it) => Math.max(it.cursor.seq, it.entries.at(-1)?.seq ?? 0);

/** @param {Conversation} it @param {number} seq */
const has = (it, seq) => it.entries[position(it.entries, seq)]?.seq === seq;

/** Where an entry of this position is, or would be. @param {Entry[]} entries @param {number} seq */
function position(entries, seq) {
  let low = 0;
  let high = entries.length;
  // Nearly everything is added at the end.
  if (high && entries[high - 1].seq < seq) return high;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (entries[middle].seq < seq) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Changes one conversation; one that this page does not know is left alone. @param {State} state
 * @param {string} address @param {(it: Conversation) => Conversation} change @returns {State} */
function within(state, address, change) {
  const it = state.conversations[address];
  const next = it && change(it);
  return next === it ? state : { ...state, conversations: { ...state.conversations, [address]: next } };
}

/** @param {State} state @param {(it: Conversation) => Conversation} change */
function everywhere(state, change) {
  return Object.keys(state.conversations).reduce((next, address) => within(next, address, change), state);
}
