// What a conversation looks like as a list of rows: days, groups, lines, messages.
//
// Pure, like state.js, and the last step before the document: a row says everything that its
// element shows, so that the view compares rows and touches only what changed.

/** Messages of one author within this belong together. */
export const GROUP = 5 * 60_000;

/**
 * @typedef {import('./conversation.js').Conversation} Conversation
 * @typedef {{kind: 'message', key: string, seq: number, from: string, text: string, at: number,
 *   own: boolean, first: boolean, last: boolean, sent: 'yes' | 'waiting' | 'refused',
 *   refusal: import('./frames.js').Refusal | null}} MessageRow `first` and `last` of its group;
 *   `seq` is 0 without an acknowledgement.
 * @typedef {MessageRow | {kind: 'day', key: string, at: number}
 *   | {kind: 'top' | 'line' | 'hole' | 'begun', key: string}} Row
 */

/** @param {number} at milliseconds @returns {string} the reader's day, as a key */
function day(at) {
  const date = new Date(at);
  return `${date.getFullYear()}-${date.getMonth()}-${date.getDate()}`;
}

/**
 * @param {Conversation} it @param {{id: string, name: string}} me
 * @returns {Row[]} from the oldest to the newest, what is not acknowledged last.
 */
export function rows(it, me) {
  /** @type {Row[]} */
  const list = [];
  /** @type {MessageRow | null} */
  let group = null;
  let today = '';
  /** @param {'top' | 'line' | 'hole' | 'begun'} kind @param {string} key */
  const mark = (kind, key) => {
    list.push({ kind, key });
    group = null;
  };
  /** @param {MessageRow} row */
  const message = (row) => {
    const date = row.at ? day(row.at) : today;
    if (date !== today) {
      today = date;
      // Clocks may go back, and a day come twice; the message below it does not.
      list.push({ kind: 'day', key: `day-${row.key}`, at: row.at });
      group = null;
    }
    if (group && group.own === row.own && group.from === row.from && row.at - group.at < GROUP) {
      group.last = false;
      row.first = false;
    }
    list.push(row);
    group = row;
  };

  const top = beginning(it);
  if (top) mark(top, `${top}-top`);
  let hole = 0;
  for (const entry of it.entries) {
    while (it.holes[hole] && it.holes[hole].to < entry.seq) {
      if (it.holes[hole].from > it.first) mark('hole', `hole-${it.holes[hole].to}`);
      hole += 1;
    }
    if (entry.seq === it.line) mark('line', 'line');
    if (entry.text === null) continue;
    message({
      kind: 'message',
      // Where a log was replaced, another entry has this place; the tag tells them apart.
      key: entry.key ? `p${entry.key}` : `e${entry.seq}-${entry.tag}`,
      seq: entry.seq,
      from: entry.from,
      text: entry.text,
      at: entry.at,
      own: entry.fromId === me.id && me.id !== '',
      first: true,
      last: true,
      sent: 'yes',
      refusal: null,
    });
  }
  for (; it.holes[hole]; hole += 1) mark('hole', `hole-${it.holes[hole].to}`);
  for (const pending of it.pending) if (!pending.seen) message(unacknowledged(pending, me.name));
  return list;
}

/** @param {import('./conversation.js').Pending} pending @param {string} from
 * @returns {MessageRow} */
function unacknowledged({ key, text, at, phase, refusal }, from) {
  const sent = phase === 'refused' ? 'refused' : 'waiting';
  const place = { kind: /** @type {const} */ ('message'), key: `p${key}`, seq: 0, own: true };
  return { ...place, from, text, at, first: true, last: true, sent, refusal };
}

/** What stands above the oldest entry, if it is the oldest there is.
 * @param {Conversation} it @returns {'begun' | 'hole' | 'top' | ''} */
function beginning(it) {
  if (!it.loaded || it.first > Math.max(it.floor, 1)) return '';
  if (it.begun) return 'begun';
  if (it.floor > 1) return 'hole';
  return it.entries.length > 0 ? 'top' : '';
}

/** Entries of one block: as the pages of the log, so that an older page seldom touches a block that
 * is there. */
const BLOCK = 64;

/**
 * Rows in blocks, for a browser that skips what is far away: a hundred blocks are skipped at less
 * cost than five thousand rows. A day or a line goes with the message below it.
 *
 * @param {Row[]} list @returns {{key: string, rows: Row[]}[]}
 */
export function blocks(list) {
  /** @type {{key: string, rows: Row[]}[]} */
  const found = [];
  /** @type {Row[]} */
  let above = [];
  for (const row of list) {
    const key =
      row.kind !== 'message' || row.seq === 0
        ? found.at(-1)?.key
        : `block-${Math.floor(row.seq / BLOCK)}`;
    above.push(row);
    if (row.kind !== 'message') continue;
    if (key === undefined || key !== found.at(-1)?.key)
      found.push({ key: key ?? 'block-0', rows: [] });
    found[found.length - 1].rows.push(...above);
    above = [];
  }
  if (found.length === 0) found.push({ key: 'block-0', rows: [] });
  found[found.length - 1].rows.push(...above);
  return found;
}
