// The way to the server: what goes over the wire, and when, for each thing that can happen to it.
//
// A script drives a Wire over a socket, a clock and a die that the test holds in its hand. What it
// sends and what it tells is written down in one line each and compared as a whole.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import {
  ANSWER_WAIT,
  BEAT,
  OPEN_WAIT,
  QUIET,
  RETRY_FIRST,
  RETRY_MOST,
  Wire,
} from '../../src/page/wire.js';

const ALICE = { name: 'alice', id: '', secret: '' };
const WELCOME = { name: 'alice', guestId: 'a1', resumeSecret: 's3cret', conversations: [] };
const BUSY = {
  code: 600,
  name: 'busy',
  temporary: true,
  retryAfterMs: 250,
  outcome: 'OUTCOME_NOT_DONE',
};
const REFUSED = { code: 402, name: 'text_too_long', outcome: 'OUTCOME_NOT_DONE' };

/** A Wire, and everything around it. */
function world({ cursors = [], random = 0 } = {}) {
  const log = [];
  let now = 1_000_000;
  let timers = [];
  let socket = null;
  const clock = {
    now: () => now,
    later: (run, wait) => {
      const timer = { at: now + wait, run };
      timers.push(timer);
      return () => {
        timers = timers.filter((other) => other !== timer);
      };
    },
  };
  const open = () => {
    log.push('open');
    socket = {
      readyState: 0,
      send: (data) => log.push(`> ${data}`),
      close: () => {
        it.readyState = 3;
        log.push('close');
      },
    };
    const it = socket;
    return socket;
  };
  const emit = (event) => log.push(told(event, now));
  const wire = new Wire({
    url: 'ws://x/ws',
    emit,
    cursors: () => cursors,
    open,
    clock,
    random: () => random,
  });
  return {
    wire,
    log: () => log.splice(0),
    accept: () => {
      socket.readyState = 1;
      socket.onopen?.({});
    },
    hear: (...frames) =>
      frames.forEach((frame) => socket.onmessage?.({ data: JSON.stringify(frame) })),
    cut: (code) => {
      socket.readyState = 3;
      socket.onclose?.({ code });
    },
    /** Lets time pass, with every timer at its moment. */
    pass: (wait) => {
      const end = now + wait;
      for (;;) {
        const next = timers.filter((timer) => timer.at <= end).sort((a, b) => a.at - b.at)[0];
        if (!next) break;
        timers = timers.filter((timer) => timer !== next);
        now = Math.max(now, next.at);
        next.run();
      }
      now = end;
    },
    /** The machine sleeps: time passes, and no timer runs before it wakes. */
    sleep: (wait) => {
      now += wait;
    },
  };
}

/** An event in one line. */
function told(event, now) {
  const { type } = event;
  if (type === 'link')
    return event.phase === 'waiting'
      ? `link waiting ${event.until - now}`
      : `link ${event.phase}${event.code ? ` ${event.code}` : ''}`;
  const more =
    event.key ?? event.entry?.seq ?? event.refusal?.name ?? event.page?.entries.length ?? '';
  return `${type} ${more}`.trim();
}

/** A world in which alice is signed in; ids go on from 2. */
function live(options) {
  const it = world(options);
  it.wire.start(ALICE);
  it.accept();
  it.hear({ id: 1, welcome: WELCOME });
  it.log();
  return it;
}

test('signing in says the name, and then who the server said we are', () => {
  const it = world();
  it.wire.start(ALICE);
  it.accept();
  it.hear({ id: 1, welcome: WELCOME });
  assert.deepEqual(it.log(), [
    'link connecting',
    'open',
    '> {"id":1,"hello":{"name":"alice","cursors":[]}}',
    'welcome',
    'link live',
  ]);
});

test('coming back proves who we are and says where reading stopped', () => {
  const it = live({ cursors: [{ conversation: 'lobby', epoch: 'e', seq: 7, tag: 9 }] });
  it.cut(1006);
  it.pass(RETRY_FIRST);
  it.accept();
  assert.deepEqual(it.log(), [
    `link waiting ${RETRY_FIRST / 2}`,
    'link connecting',
    'open',
    '> {"id":2,"hello":{"name":"alice","guestId":"a1","resumeSecret":"s3cret",' +
      '"cursors":[{"conversation":"lobby","epoch":"e","seq":"7","tag":9}]}}',
  ]);
});

test('messages go out one at a time, in order, under their keys', () => {
  const it = live();
  it.wire.say({ key: 'k1', to: 'lobby', text: 'one' });
  it.wire.say({ key: 'k2', to: 'lobby', text: 'two' });
  it.hear(
    { id: 2, talked: { conversation: 'lobby', seq: '1' } },
    { id: 3, talked: { conversation: 'lobby', seq: '2' } },
  );
  assert.deepEqual(it.log(), [
    'sending k1',
    '> {"id":2,"key":"k1","talk":{"to":"lobby","text":"one"}}',
    'talked k1',
    'sending k2',
    '> {"id":3,"key":"k2","talk":{"to":"lobby","text":"two"}}',
    'talked k2',
  ]);
});

test('what was not acknowledged is sent again under the same key, before what came later', () => {
  const it = live();
  it.wire.say({ key: 'k1', to: 'lobby', text: 'one' });
  it.cut(1012);
  it.wire.say({ key: 'k2', to: 'lobby', text: 'two' });
  it.log();
  it.pass(RETRY_FIRST);
  it.accept();
  it.hear(
    { id: 3, welcome: WELCOME },
    { id: 4, talked: { conversation: 'lobby', seq: '1', duplicate: true } },
  );
  assert.deepEqual(
    it.log().filter((line) => !/hello|link|open|welcome/.test(line)),
    [
      'sending k1',
      '> {"id":4,"key":"k1","talk":{"to":"lobby","text":"one"}}',
      'talked k1',
      'sending k2',
      '> {"id":5,"key":"k2","talk":{"to":"lobby","text":"two"}}',
    ],
  );
});

test("an acknowledgement of the connection before is nobody's", () => {
  const it = live();
  it.wire.say({ key: 'k1', to: 'lobby', text: 'one' });
  it.cut(1006);
  it.pass(RETRY_FIRST);
  it.accept();
  it.hear({ id: 3, welcome: WELCOME });
  it.log();
  it.hear({ id: 2, talked: { conversation: 'lobby', seq: '1' } });
  assert.deepEqual(it.log(), []);
  assert.equal(it.wire.outbox.length, 1);
});

test('a message refused for now waits as long as it was told, and nothing overtakes it', () => {
  const it = live();
  it.wire.say({ key: 'k1', to: 'lobby', text: 'one' });
  it.log();
  it.hear({ id: 2, error: BUSY });
  it.wire.say({ key: 'k2', to: 'lobby', text: 'two' });
  it.pass(249);
  assert.deepEqual(it.log(), ['held k1']);
  it.pass(1);
  assert.deepEqual(it.log(), [
    'sending k1',
    '> {"id":3,"key":"k1","talk":{"to":"lobby","text":"one"}}',
  ]);
});

test('a message refused for good makes way for the next', () => {
  for (const error of [{ id: 2, error: REFUSED }, { error: { code: 100, name: 'malformed' } }]) {
    const it = live();
    it.wire.say({ key: 'k1', to: 'lobby', text: 'one' });
    it.wire.say({ key: 'k2', to: 'lobby', text: 'two' });
    it.log();
    it.hear(error);
    assert.deepEqual(it.log(), [
      'refused k1',
      'sending k2',
      '> {"id":3,"key":"k2","talk":{"to":"lobby","text":"two"}}',
    ]);
  }
});

test('a refusal of something else leaves the message under way alone', () => {
  const it = live();
  it.wire.say({ key: 'k1', to: 'lobby', text: 'one' });
  it.wire.ask({ history: {} });
  it.log();
  it.hear(
    { error: { code: 500, name: 'too_fast', temporary: true } },
    { id: 3, error: { code: 400, name: 'bad_request' } },
  );
  assert.deepEqual(it.log(), ['denied bad_request']);
  assert.equal(it.wire.outbox.length, 1);
});

test('a question refused for now is asked again', () => {
  const it = live();
  it.wire.ask({ history: { limit: 50 } });
  it.hear({ id: 2, error: BUSY });
  it.log();
  it.pass(250);
  it.hear({ id: 3, page: { conversation: 'lobby', entries: [{ seq: '1' }] } });
  assert.deepEqual(it.log(), ['> {"id":3,"history":{"limit":50}}', 'page 1']);
});

test('which close codes come back, and which are final', () => {
  for (const code of [1001, 1005, 1006, 1011, 1012, 1013, 3000, 3001, 3499]) {
    const it = live();
    it.cut(code);
    assert.deepEqual(it.log(), [`link waiting ${RETRY_FIRST / 2}`], String(code));
  }
  for (const code of [1000, 1002, 1003, 1007, 1009, 3500, 3999]) {
    const it = live();
    it.cut(code);
    assert.deepEqual(it.log(), [`link ended ${code}`], String(code));
    it.pass(10 * RETRY_MOST);
    it.wire.now();
    assert.deepEqual(it.log().slice(0, 2), ['link connecting', 'open'], String(code));
  }
});

test('the server says when to come back, and the die says how much later', () => {
  for (const [random, wait] of [
    [0, 1000],
    [0.5, 1500],
    [0.999, 1999],
  ]) {
    const it = live({ random });
    it.hear({ closing: { code: 1012, reason: 'restart', retryAfterMs: 1000 } });
    it.cut(1012);
    assert.deepEqual(it.log(), [`link waiting ${wait}`]);
    it.wire.wake();
    assert.deepEqual(it.log(), [], 'a network that is back does not overrule the server');
  }
});

test('attempts double their wait up to the most, and a steady connection starts afresh', () => {
  const it = live({ random: 1 });
  const waits = [];
  for (let i = 0; i < 9; i += 1) {
    it.cut(1006);
    const [line] = it.log().slice(-1);
    waits.push(Number(line.split(' ')[2]));
    it.pass(waits.at(-1));
  }
  assert.deepEqual(waits, [500, 1000, 2000, 4000, 8000, 16000, 30000, 30000, 30000]);
  it.accept();
  it.hear({ id: it.wire.lastId, welcome: WELCOME });
  it.pass(QUIET / 2 + 1);
  it.log();
  it.cut(1006);
  assert.deepEqual(it.log(), ['link waiting 500']);
});

test('a connection that does not open, or opens and says nothing, is given up', () => {
  for (const opens of [false, true]) {
    const it = world();
    it.wire.start(ALICE);
    if (opens) it.accept();
    it.log();
    it.pass(OPEN_WAIT);
    assert.equal(it.log().includes('close'), true, `opens: ${opens}`);
  }
});

test('silence is asked about, and silence after that is the end', () => {
  const it = live();
  it.pass(QUIET + BEAT);
  assert.deepEqual(it.log(), ['> {"id":2,"ping":{}}']);
  it.pass(ANSWER_WAIT);
  assert.deepEqual(it.log(), ['close', `link waiting ${RETRY_FIRST / 2}`]);
});

test('whoever answers, or says anything else, is there', () => {
  for (const frame of [{ id: 2, pong: {} }, { presence: { total: 3 } }]) {
    const it = live();
    it.pass(QUIET + BEAT);
    it.pass(ANSWER_WAIT - 1);
    it.hear(frame);
    it.log();
    it.pass(QUIET);
    assert.equal(it.log().includes('close'), false, JSON.stringify(frame));
  }
});

test('after a sleep the connection is asked, not judged by what it missed', () => {
  const it = live();
  it.pass(QUIET + BEAT);
  assert.deepEqual(it.log(), ['> {"id":2,"ping":{}}']);
  it.sleep(3_600_000);
  it.pass(0);
  assert.deepEqual(it.log(), ['> {"id":3,"ping":{}}']);
  it.hear({ id: 3, pong: {} });
  it.pass(ANSWER_WAIT);
  assert.deepEqual(it.log(), []);
});

test('a changed network is asked about at once', () => {
  const it = live();
  it.wire.wake();
  it.pass(ANSWER_WAIT);
  assert.deepEqual(it.log(), ['> {"id":2,"ping":{}}', 'close', `link waiting ${RETRY_FIRST / 2}`]);
  it.wire.wake();
  assert.deepEqual(it.log(), ['link connecting', 'open']);
});

test('a name that is refused ends the attempt; a server that is busy does not', () => {
  const it = world();
  it.wire.start(ALICE);
  it.accept();
  it.log();
  it.hear({ id: 1, error: { code: 201, name: 'name_taken' } });
  assert.deepEqual(it.log(), ['close', 'turnedAway name_taken']);
  it.pass(RETRY_MOST);
  assert.deepEqual(it.log(), []);

  it.wire.start(ALICE);
  it.accept();
  it.log();
  it.hear({ id: 2, error: { ...BUSY, name: 'stopping', retryAfterMs: 2000 } });
  assert.deepEqual(it.log(), ['close', 'link waiting 2000']);
});

test('a secret that is not known any more is tried without', () => {
  const it = world();
  it.wire.start({ name: 'alice', id: 'a1', secret: 'old' });
  it.accept();
  it.hear({ id: 1, error: { code: 203, name: 'bad_resume' } });
  assert.deepEqual(it.log().slice(2), [
    '> {"id":1,"hello":{"name":"alice","guestId":"a1","resumeSecret":"old","cursors":[]}}',
    '> {"id":2,"hello":{"name":"alice","cursors":[]}}',
  ]);
});

test('leaving says so and stays away', () => {
  const it = live();
  it.wire.leave();
  it.pass(RETRY_MOST);
  assert.deepEqual(it.log(), ['> {"exit":{}}', 'close']);
});

test('whatever nobody can read does nothing', () => {
  const it = live();
  it.hear(
    {},
    { id: 9 },
    { novelty: {} },
    { id: 9, talked: {} },
    { id: 9, page: {} },
    { id: 9, welcomed: 1 },
  );
  for (const data of ['', '{', 'null', '[]', '7', new ArrayBuffer(3)]) it.wire.receive(data);
  assert.deepEqual(it.log(), []);
});
