// One conversation: what is held of its log, what waits to be sent, how far it was read.
//
// Pure, and the part of state.js in which the promises are kept: each entry once and in its place,
// the cursor never past a gap, one's own message shown once however it comes back.

/** Entries kept of a conversation whose end is being read; older ones can be asked for again. */
export const HELD = 5_000;
/** How many are dropped at once when that is reached, so that it is reached rarely. */
const SHED = 1_000;

/**
 * @typedef {import('./frames.js').Entry} Entry
 * @typedef {import('./frames.js').Refusal} Refusal
 * @typedef {import('./frames.js').Standing} Standing
 * @typedef {{id: string, name: string, present: boolean}} Reader Who reads, and whether somebody
 *   looks at the end of the conversation just now.
 */

/**
 * A message of ours without an acknowledgement. `unsure`: it went out under a guest id that is
 * lost, and is looked for in what comes in.
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
 *   `readTo`: the last entry that has been seen; `line`: the entry above which "new messages"
 *   stands, 0 for none; `behind`: where catching up began, 0 when it is over; `begun`: the log was
 *   replaced.
 */

/** What a message becomes whose fate cannot be known. @type {Refusal} */
export const UNSURE = {
  code: 0,
  name: 'unsure',
  message: '',
  field: '',
  unknown: true,
  temporary: false,
  retryAfter: 0,
};

/** @param {string} address @returns {Conversation} */
export const conversation = (address) => ({
  address,
  epoch: '',
  cursor: { seq: 0, tag: 0 },
  head: 0,
  floor: 0,
  first: 1,
  entries: [],
  holes: [],
  loaded: false,
  asking: '',
  pending: [],
  typing: {},
  readTo: -1,
  line: 0,
  behind: 0,
  begun: false,
});

/** Messages of others that have not been seen. @param {Conversation} it @param {string} me */
export function unread(it, me) {
  if (it.readTo < 0) return 0;
  let count = 0;
  for (let i = it.entries.length - 1; i >= 0 && it.entries[i].seq > it.readTo; i -= 1) {
    if (it.entries[i].fromId !== me && it.entries[i].text !== null) count += 1;
  }
  return count;
}

/** @param {Conversation} it @param {Standing} standing @param {string} me */
export function stood(it, standing, me) {
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
  const pending = it.pending.map((message) =>
    message.phase === 'waiting' && message.sentAs && message.sentAs !== me
      ? { ...message, phase: /** @type {const} */ ('unsure') }
      : message,
  );
  return { ...it, pending };
}

/** Forgets what was held, and begins at this standing. @param {Conversation} it
 * @param {Standing} standing @param {boolean} replaced @returns {Conversation} */
export function begin(it, standing, replaced) {
  const sameLog = it.epoch === standing.epoch && !replaced;
  return {
    ...conversation(it.address),
    epoch: standing.epoch,
    cursor: { seq: standing.head, tag: standing.tag },
    head: standing.head,
    floor: standing.floor,
    first: standing.head + 1,
    begun: replaced,
    pending: it.pending.map((message) => ({ ...message, seen: 0 })),
    readTo: sameLog ? Math.min(it.readTo, standing.head) : standing.head,
  };
}

/** An entry came by itself. @param {Reader} reader @param {Conversation} it @param {Entry} entry */
export function heard(reader, it, entry) {
  const known = entry.seq < it.first || has(it, entry.seq);
  it = placed(it, entry);
  if (!known) {
    it = noticed(reader, it, entry);
    it = recognised(it, entry);
  }
  if (Object.hasOwn(it.typing, entry.from)) {
    const { [entry.from]: _, ...typing } = it.typing;
    it = { ...it, typing };
  }
  return settled(shed(it, reader.present));
}

/** What one's own unacknowledged message looks like when it comes back from the log: hidden until
 * the acknowledgement says whether it was that one.
 * @param {Conversation} it @param {Entry} entry */
function recognised(it, entry) {
  const mine = it.pending.find(
    (message) =>
      message.sentAs === entry.fromId &&
      entry.fromId !== '' &&
      message.text === entry.text &&
      message.seen === 0,
  );
  if (!mine) return it;
  const pending =
    mine.phase === 'unsure'
      ? it.pending.filter((message) => message !== mine)
      : it.pending.map((message) => (message === mine ? { ...mine, seen: entry.seq } : message));
  return { ...it, pending };
}

/** Reading goes on with it, or stopped before it. @param {Reader} reader @param {Conversation} it
 * @param {Entry} entry */
function noticed(reader, it, entry) {
  if (reader.present) return seen(reader, it);
  const ours = entry.fromId === reader.id;
  if (ours && it.readTo === entry.seq - 1) return { ...it, readTo: entry.seq };
  if (entry.text === null || ours || it.line > it.readTo) return it;
  return { ...it, line: entry.seq };
}

/** All that is there counts as read while somebody looks at its end. @param {Reader} reader
 * @param {Conversation} it @returns {Conversation} */
export function seen(reader, it) {
  return reader.present && lastOf(it) > it.readTo ? { ...it, readTo: lastOf(it) } : it;
}

/** Puts an entry in its place, and moves the cursor over all that follows without a gap.
 * @param {Conversation} it @param {Entry} entry @returns {Conversation} */
function placed(it, entry) {
  if (entry.seq < it.first || has(it, entry.seq)) return it;
  const at = position(it.entries, entry.seq);
  const entries =
    at === it.entries.length
      ? [...it.entries, entry]
      : [...it.entries.slice(0, at), entry, ...it.entries.slice(at)];
  return advanced({ ...it, entries, head: Math.max(it.head, entry.seq) });
}

/** @param {Conversation} it @returns {Conversation} */
function advanced(it) {
  let { cursor } = it;
  for (
    let i = position(it.entries, cursor.seq + 1);
    it.entries[i]?.seq === cursor.seq + 1;
    i += 1
  ) {
    cursor = { seq: it.entries[i].seq, tag: it.entries[i].tag };
  }
  return cursor === it.cursor ? it : { ...it, cursor };
}

/** One of ours has its place, and is shown there at once. Where that is right behind the cursor, the
 * acknowledgement stands for the entry; otherwise the entry, or a hole that it is in, is still to
 * come, like everything before it, and then finds it there.
 * @param {Reader} reader @param {Conversation} it @param {Pending} message @param {Entry} entry
 * @returns {Conversation} */
export function acknowledged(reader, it, message, entry) {
  it = { ...it, pending: it.pending.filter((other) => other !== message) };
  const next = placed(it, entry);
  return settled(shed(next === it ? it : noticed(reader, next, entry), reader.present));
}

/** Nothing is missing up to the head: whatever is still unsure did not arrive, or cannot be told.
 * @param {Conversation} it @returns {Conversation} */
export function settled(it) {
  if (it.cursor.seq < it.head) return it;
  if (it.behind) it = { ...it, behind: 0 };
  if (!it.pending.some((message) => message.phase === 'unsure')) return it;
  const pending = it.pending.map((message) =>
    message.phase === 'unsure'
      ? { ...message, phase: /** @type {const} */ ('refused'), refusal: UNSURE }
      : message,
  );
  return { ...it, pending };
}

/** @param {Conversation} it @param {boolean} atTheEnd @returns {Conversation} */
function shed(it, atTheEnd) {
  if (!atTheEnd || it.entries.length <= HELD) return it;
  const entries = it.entries.slice(SHED);
  return {
    ...it,
    entries,
    first: entries[0].seq,
    holes: it.holes.filter((hole) => hole.to >= entries[0].seq),
  };
}

/** @param {Conversation} it @param {{page: import('./frames.js').Page,
 * before?: number, after?: number}} event @returns {Conversation} */
export function paged(it, { page, before, after }) {
  // Asked before the log was replaced: it would join on to nothing.
  if (before !== undefined && before !== it.first) return { ...it, asking: '' };
  const news = page.entries.filter((entry) => !has(it, entry.seq));
  const entries = [...it.entries, ...news].sort((a, b) => a.seq - b.seq);
  // An older page that is empty says that there is nothing before what is held.
  const floor = before !== undefined && !page.entries.length ? it.first : Math.max(page.floor, 1);
  const first =
    after !== undefined ? it.first : Math.min(it.first, page.entries[0]?.seq ?? it.first);
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
export function holed(it, { from, to, tag }) {
  if (to <= it.cursor.seq) return it;
  const holes = [...it.holes, { from: Math.max(from, it.cursor.seq + 1), to }];
  return settled(
    advanced({ ...it, holes, cursor: { seq: to, tag }, head: Math.max(it.head, to) }),
  );
}

/** @param {Conversation} it @param {number} now */
export function quieted(it, now) {
  const typing = Object.fromEntries(Object.entries(it.typing).filter(([, until]) => until > now));
  return Object.keys(typing).length === Object.keys(it.typing).length ? it : { ...it, typing };
}

/** Whether an entry came before one that it follows. One of ours that was acknowledged ahead of the
 * cursor, known by its key, is no sign of that. @param {Conversation} it */
export const isTorn = (it) =>
  it.entries.slice(position(it.entries, it.cursor.seq + 1)).some((entry) => !entry.key);

/** @param {Conversation} it */
export const canLoadOlder = (it) => it.loaded && !it.asking && it.first > Math.max(it.floor, 1);

/** The last position of which anything is held. @param {Conversation} it */
export const lastOf = (it) => Math.max(it.cursor.seq, it.entries.at(-1)?.seq ?? 0);

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
