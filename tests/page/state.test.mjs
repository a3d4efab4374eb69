// What each event makes of the state: scripts of events, and what is held in the end.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { HELD, UNSURE, canLoadOlder, unread } from '../../src/page/conversation.js';
import { PAGE, PEOPLE, TYPING, current, initial, reduce, wants } from '../../src/page/state.js';

const EPOCH = '00c0ffee12345678';
const BAD = {
  code: 402,
  name: 'text_too_long',
  message: '',
  field: '',
  unknown: false,
  temporary: false,
  retryAfter: 0,
};

const entry = (seq, from = 'bob', text = `m${seq}`) => ({
  conversation: 'lobby',
  seq,
  tag: seq * 10,
  from,
  fromId: `${from}-id`,
  at: seq * 1000,
  text,
});
const run = (from, to, who) =>
  Array.from({ length: to - from + 1 }, (_, i) => entry(from + i, who));
const standing = (head, more = {}) => ({
  conversation: 'lobby',
  epoch: EPOCH,
  head,
  tag: head * 10,
  floor: 1,
  durable: true,
  ...more,
});
const welcome = (head, more = {}) => ({
  type: 'welcome',
  welcome: {
    name: 'alice',
    guestId: 'alice-id',
    secret: 's',
    online: 2,
    limits: { textBytes: 65536, nameChars: 32 },
    conversations: [standing(head, more)],
    ...more.welcome,
  },
});
const live = { type: 'link', phase: 'live' };
const lost = { type: 'link', phase: 'waiting', until: 1 };
const come = (...seqs) =>
  seqs.map((seq) => ({ type: 'entry', entry: typeof seq === 'number' ? entry(seq) : seq }));
const page = (entries, more = {}) => ({
  type: 'page',
  page: { conversation: 'lobby', entries, floor: 1, head: entries.at(-1)?.seq ?? 0 },
  ...more,
});
const say = (key, text) => [
  { type: 'said', key, to: 'lobby', text, at: 5 },
  { type: 'sending', key },
];
const talked = (key, seq) => ({
  type: 'talked',
  key,
  talked: { conversation: 'lobby', seq, tag: seq * 10, at: 9, duplicate: false },
});
const asked = (command) => ({ type: 'asked', command });

const play = (events, from = initial()) => events.flat().reduce(reduce, from);
const joined = (head, entries = run(Math.max(1, head - 2), head)) =>
  play([welcome(head), live, page(entries)]);

/** Plays a script after alice has joined a lobby of five entries; compares what is asked of it. */
function check(events, expected) {
  const state = play(events, joined(5));
  const it = current(state);
  const all = {
    held: it.entries.map(({ seq }) => seq).join(' '),
    cursor: it.cursor.seq,
    tag: it.cursor.tag,
    waiting: it.pending
      .filter(({ phase, seen }) => phase === 'waiting' && !seen)
      .map(({ key }) => key)
      .join(' '),
    refused: it.pending
      .filter(({ phase }) => phase === 'refused')
      .map(({ key }) => key)
      .join(' '),
    unread: unread(it, state.id),
    line: it.line,
    holes: it.holes.map(({ from, to }) => `${from}-${to}`).join(' '),
    behind: it.behind,
    typing: Object.keys(it.typing).join(' '),
    wants: wants(state)
      .map((command) => JSON.stringify(command))
      .join(' '),
  };
  const named = Object.fromEntries(Object.keys(expected).map((name) => [name, all[name]]));
  assert.deepEqual(named, expected);
  return state;
}

test('the first page is asked for once, and stands before what came meanwhile', () => {
  let state = play([welcome(5), live]);
  const [history] = wants(state);
  assert.deepEqual(history, { history: { conversation: 'lobby', limit: PAGE } });
  state = play([asked(history), come(6), page(run(3, 6)), come(7)], state);
  assert.equal(
    wants(state).some((command) => 'history' in command),
    false,
  );
  assert.deepEqual(
    current(state).entries.map(({ seq }) => seq),
    [3, 4, 5, 6, 7],
  );
  assert.deepEqual(current(state).cursor, { seq: 7, tag: 70 });
});

test('an entry is held once, however often and in whatever order it comes', () => {
  check([come(6, 6, 7, 6, 4)], { held: '3 4 5 6 7', cursor: 7, tag: 70 });
  check([come(8, 7, 6)], { held: '3 4 5 6 7 8', cursor: 8 });
  check([come(1)], { held: '3 4 5', cursor: 5 });
});

test('the cursor stops before a gap, and the gap is asked for', () => {
  check([{ type: 'asked', command: { userList: {} } }, come(6, 9)], {
    cursor: 6,
    held: '3 4 5 6 9',
    wants: '{"history":{"conversation":"lobby","after":"6"}}',
  });
  check(
    [
      come(9),
      asked({ history: { conversation: 'lobby', after: '5' } }),
      page(run(6, 9), { after: 5 }),
    ],
    { cursor: 9, held: '3 4 5 6 7 8 9' },
  );
});

test('the acknowledgement stands for the entry that follows, and only for that', () => {
  const settled = { type: 'asked', command: { userList: {} } };
  check([say('k', 'hi'), talked('k', 6)], { held: '3 4 5 6', cursor: 6, waiting: '', unread: 0 });
  // Acknowledged while the page is behind: shown at once, and the entries are on their way.
  const ahead = [settled, say('k', 'hi'), talked('k', 8)];
  check(ahead, { held: '3 4 5 8', cursor: 5, waiting: '', wants: '' });
  check([...ahead, come(6)], { held: '3 4 5 6 8', cursor: 6, wants: '' });
  check([...ahead, come(6, 7, 8, 9)], { held: '3 4 5 6 7 8 9', cursor: 9, wants: '' });
  const hole = { conversation: 'lobby', from: 6, to: 8, tag: 80, reason: 'x' };
  check([...ahead, { type: 'hole', hole }, come(9)], { held: '3 4 5 8 9', cursor: 9, wants: '' });
});

test('a gap is asked for also while one of our own is under way or ahead of the cursor', () => {
  const settled = { type: 'asked', command: { userList: {} } };
  const asks = '{"history":{"conversation":"lobby","after":"5"}}';
  check([settled, say('k', 'hi'), come(7)], { held: '3 4 5 7', cursor: 5, wants: asks });
  check([settled, say('k', 'hi'), talked('k', 7), come(9)], { cursor: 5, wants: asks });
});

test('what comes back by catching up is shown once, before and after its acknowledgement', () => {
  const back = [say('k', 'hi'), lost, welcome(6), live, come(entry(6, 'alice', 'hi'))];
  check(back, { held: '3 4 5 6', waiting: '', cursor: 6 });
  check([...back, talked('k', 6)], { held: '3 4 5 6', waiting: '', refused: '' });
  // The same words from another device of ours were another message after all.
  check([...back, talked('k', 7)], { held: '3 4 5 6 7', cursor: 7 });
  check([...back, { type: 'refused', key: 'k', refusal: BAD }], { held: '3 4 5 6', refused: 'k' });
});

test('an acknowledgement before the page that shows it adds nothing out of place', () => {
  const pending = [
    {
      key: 'k',
      to: 'lobby',
      text: 'hi',
      at: 1,
      sentAs: 'alice-id',
      phase: 'waiting',
      refusal: null,
      seen: 0,
    },
  ];
  const restored = {
    type: 'restored',
    name: 'alice',
    id: 'alice-id',
    secret: 's',
    pending,
    read: null,
  };
  const state = play([
    restored,
    welcome(5),
    live,
    talked('k', 4),
    page([entry(3), entry(4, 'alice', 'hi'), entry(5)]),
  ]);
  assert.deepEqual(
    current(state).entries.map(({ seq }) => seq),
    [3, 4, 5],
  );
  assert.equal(current(state).pending.length, 0);
});

test('what is refused stays, with its reason, until it is sent again or dropped', () => {
  const refused = [say('k', 'hi'), { type: 'refused', key: 'k', refusal: BAD }];
  const state = check(refused, { refused: 'k', waiting: '' });
  assert.equal(current(state).pending[0].refusal, BAD);
  check([...refused, { type: 'again', key: 'k', fresh: 'k' }], { refused: '', waiting: 'k' });
  check([...refused, { type: 'dropped', key: 'k' }], { refused: '', waiting: '' });
});

test('under a new guest id, what had gone out is looked for and not sent again by itself', () => {
  const other = { welcome: { guestId: 'alice-2' } };
  const before = [
    say('sent', 'hi'),
    { type: 'said', key: 'new', to: 'lobby', text: 'later', at: 6 },
    lost,
  ];
  check([...before, welcome(5, other), live], { refused: 'sent', waiting: 'new' });
  check([...before, welcome(7, other), live, come(entry(6, 'alice', 'hi'), 7)], {
    refused: '',
    waiting: 'new',
    held: '3 4 5 6 7',
  });
  const state = check([...before, welcome(6, other), live, come(6)], { refused: 'sent' });
  assert.equal(current(state).pending[0].refusal, UNSURE);
});

test('coming back continues behind the cursor until the head is reached', () => {
  check([lost, welcome(9), live, come(6, 7)], { behind: 5, cursor: 7 });
  check([lost, welcome(9), live, come(6, 7, 8, 9)], { behind: 0, held: '3 4 5 6 7 8 9' });
});

test('a hole moves the cursor, and nothing waits for what is in it', () => {
  check(
    [
      lost,
      welcome(20, { floor: 11 }),
      live,
      { type: 'hole', hole: { conversation: 'lobby', from: 6, to: 10, reason: 'x' } },
      come(...run(11, 20)),
    ],
    {
      holes: '6-10',
      cursor: 20,
      behind: 0,
    },
  );
  check([{ type: 'hole', hole: { conversation: 'lobby', from: 1, to: 4, reason: 'x' } }], {
    holes: '',
    cursor: 5,
  });
});

test('a reset forgets the log and keeps what was not acknowledged', () => {
  const reset = [say('k', 'hi'), { type: 'reset', standing: standing(2, { epoch: 'another' }) }];
  const state = check(reset, { held: '', cursor: 2, waiting: 'k' });
  assert.equal(current(state).begun, true);
  assert.equal(
    wants(state).some((command) => 'history' in command),
    true,
  );
  // The log of another epoch needs no reset to be told apart.
  check([lost, welcome(1, { epoch: 'another' }), live], { held: '', cursor: 1 });
});

test('scrolling back joins older pages to the front until there are no more', () => {
  const older = (entries, before, floor = 1) => [
    { type: 'older' },
    { ...page(entries, { before }), page: { conversation: 'lobby', entries, floor, head: 5 } },
  ];
  const state = check([older(run(1, 2), 3)], { held: '1 2 3 4 5', cursor: 5 });
  assert.equal(canLoadOlder(current(state)), false);
  const kept = play([older([], 3, 1)], joined(5));
  assert.equal(canLoadOlder(current(kept)), false);
  assert.equal(canLoadOlder(current(joined(5))), true);
  // A page that was asked for before the log was replaced joins on to nothing.
  check([{ type: 'reset', standing: standing(9) }, page(run(1, 2), { before: 3 })], { held: '' });
});

test('a long log is held up to a bound while its end is read', () => {
  const here = { type: 'present', present: true };
  const state = play([here, come(...run(6, HELD + 6).map(({ seq }) => seq))], joined(5));
  const it = current(state);
  assert.ok(it.entries.length <= HELD);
  assert.equal(it.cursor.seq, HELD + 6);
  assert.equal(it.first, it.entries[0].seq);
  assert.equal(canLoadOlder(it), true);
});

test('unread begins where nobody looks, and the line stays when somebody does', () => {
  const here = (present) => ({ type: 'present', present });
  check([come(6, 7)], { unread: 2, line: 6 });
  check([here(true), come(6)], { unread: 0, line: 0 });
  check([here(true), come(6), here(false), come(7, 8)], { unread: 2, line: 7 });
  check([here(true), come(6), here(false), come(7, 8), here(true)], { unread: 0, line: 7 });
  check([come(6), here(true), here(false), come(7)], { unread: 1, line: 7 });
  check([come(6), say('k', 'hi')], { line: 0 });
  check([come(entry(6, 'alice'))], { unread: 0, line: 0 });
  check([come(entry(6, 'bob', null))], { unread: 0, line: 0 });
});

test('a reload finds the line where reading stopped, if it is the same log', () => {
  const restored = (read) => ({
    type: 'restored',
    name: 'alice',
    id: 'alice-id',
    secret: 's',
    pending: [],
    read,
  });
  const after = (read) => current(play([restored(read), welcome(5), live, page(run(1, 5))]));
  assert.equal(after({ epoch: EPOCH, seq: 3 }).line, 4);
  assert.equal(after({ epoch: EPOCH, seq: 5 }).line, 0);
  assert.equal(after({ epoch: 'another', seq: 3 }).line, 0);
  assert.equal(after({ epoch: EPOCH, seq: 99 }).readTo, 5);
  assert.equal(after(null).line, 0);
});

test('typing ends by itself, by a message, and with the connection', () => {
  const types = (from) => ({ type: 'typed', typed: { conversation: 'lobby', from }, now: 100 });
  check([types('bob'), types('carol'), types('alice')], { typing: 'bob carol' });
  check([types('bob'), { type: 'tick', now: 100 + TYPING - 1 }], { typing: 'bob' });
  check([types('bob'), { type: 'tick', now: 100 + TYPING }], { typing: '' });
  check([types('bob'), come(6)], { typing: '' });
  check([types('bob'), lost], { typing: '' });
});

test('who is online is followed, and asked again when it cannot be', () => {
  const users = (names, more = {}) => ({
    type: 'users',
    users: { names, total: names.length, more: false, ...more },
    after: '',
    ...more,
  });
  const presence = (online, offline, total, refresh = false) => ({
    type: 'presence',
    presence: { online, offline, total, refresh },
  });
  const start = play([asked({ userList: {} }), users(['alice', 'bob'])], joined(5));
  const after = (...events) => {
    const { names, total, stale } = play(events, start).people;
    return [names.join(' '), total, stale];
  };
  assert.deepEqual(after(presence(['carol'], [], 3)), ['alice bob carol', 3, false]);
  assert.deepEqual(after(presence(['carol'], ['bob'], 2)), ['alice carol', 2, false]);
  assert.deepEqual(after(presence(['bob'], [], 2)), ['alice bob', 2, false]);
  assert.deepEqual(after(presence([], [], 2, true)), ['alice bob', 2, true]);
  assert.deepEqual(after(presence(['carol'], [], 9)), ['alice bob carol', 9, true]);
  assert.deepEqual(after(presence([], [], PEOPLE + 1)), ['alice bob', PEOPLE + 1, false]);
  assert.deepEqual(after(lost), ['alice bob', 2, true]);
  const paged = play(
    [
      users(['a', 'b'], { more: true, total: 300 }),
      { type: 'morePeople' },
      users(['c'], { after: 'b', total: 300 }),
    ],
    start,
  );
  assert.deepEqual(paged.people.names, ['a', 'b', 'c']);
});

test('what was asked on a lost connection is asked again', () => {
  const history = { history: { conversation: 'lobby', limit: PAGE } };
  const state = play([
    welcome(5),
    live,
    asked(history),
    asked({ userList: {} }),
    lost,
    welcome(5),
    live,
  ]);
  assert.deepEqual(
    wants(state).map((command) => Object.keys(command)[0]),
    ['history', 'userList'],
  );
});

test('a refused name leads back to the door, and leaving forgets everything but the name', () => {
  const away = play([say('k', 'hi'), { type: 'turnedAway', refusal: BAD }], joined(5));
  assert.deepEqual([away.phase, away.secret, current(away).pending.length], ['signin', '', 1]);
  const left = play([{ type: 'left' }], joined(5));
  assert.deepEqual(left, { ...initial(), name: 'alice' });
});

test('an event about a conversation that this page does not know changes nothing', () => {
  const state = joined(5);
  assert.equal(
    reduce(state, { type: 'entry', entry: { ...entry(6), conversation: 'g:7' } }),
    state,
  );
});
