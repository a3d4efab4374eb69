// What people read: dictionaries, names, rows, and the frames that others have written down.

import assert from 'node:assert/strict';
import { readFileSync, readdirSync } from 'node:fs';
import { test } from 'node:test';

import { decode, encode, newKey } from '../../src/page/frames.js';
import { LANGUAGES, load, pick, speaker } from '../../src/page/i18n.js';
import { hue, letter, problem, suggestions } from '../../src/page/names.js';
import { GROUP, blocks, rows } from '../../src/page/rows.js';
import { current, initial } from '../../src/page/state.js';

const page = new URL('../../src/page/', import.meta.url);
const vectors = (name) =>
  JSON.parse(readFileSync(new URL(`../vectors/${name}.json`, import.meta.url), 'utf8'));
const dictionaries = Object.fromEntries(
  await Promise.all(
    Object.keys(LANGUAGES).map(async (code) => [
      code,
      (await import(new URL(`i18n/${code}.js`, page))).default,
    ]),
  ),
);
const sources = readdirSync(page, { recursive: true })
  .filter((name) => name.endsWith('.js') && !name.startsWith('i18n/'))
  .map((name) => readFileSync(new URL(name, page), 'utf8'))
  .join('\n');

const noon = new Date(2026, 10, 20, 12).getTime();

test('all dictionaries have the same keys, the same gaps to fill, and every plural form', () => {
  const gaps = (text) => [...new Set(text.match(/\{\w+\}/g) ?? [])].sort().join();
  for (const [code, dictionary] of Object.entries(dictionaries)) {
    assert.deepEqual(Object.keys(dictionary), Object.keys(dictionaries.en), code);
    const categories = new Intl.PluralRules(code).resolvedOptions().pluralCategories.sort();
    for (const [key, text] of Object.entries(dictionary)) {
      const english = dictionaries.en[key];
      assert.equal(typeof text, typeof english, `${code} ${key}`);
      const forms = typeof text === 'string' ? [text] : Object.values(text);
      for (const form of forms)
        assert.equal(gaps(form), gaps(english.other ?? english), `${code} ${key}`);
      if (typeof text !== 'string')
        assert.deepEqual(Object.keys(text).sort(), categories, `${code} ${key}`);
    }
  }
});

test('every word that is asked for is there, and every word that is there is asked for', () => {
  const literal = new Set(sources.match(/'[a-z]+\.[\w.]+'/g)?.map((key) => key.slice(1, -1)));
  const patterns = ['name.', 'refusal.', 'me.theme.', 'log.'];
  for (const key of Object.keys(dictionaries.en)) {
    assert.ok(
      literal.has(key) || patterns.some((start) => key.startsWith(start)),
      `${key} is not used`,
    );
  }
  const asked = [...sources.matchAll(/\bt\('([^']+)'/g)].map(([, key]) => key);
  assert.ok(asked.length > 40);
  for (const key of asked) assert.ok(key in dictionaries.en, `${key} has no words`);
});

test('every refusal of the server has words', () => {
  const table = readFileSync(new URL('../../src/chat/refusal.rs', import.meta.url), 'utf8');
  const names = [...table.matchAll(/^ {4}\d{3} "(\w+)"/gm)].map(([, name]) => name);
  assert.ok(names.length >= 20);
  for (const name of names) assert.ok(`refusal.${name}` in dictionaries.en, name);
});

test('the language is the one that was chosen, or the first that is spoken', () => {
  for (const [chosen, wanted, expected] of [
    ['', ['en-GB'], 'en'],
    ['', ['zh-CN', 'en'], 'zh-Hans'],
    ['', ['zh-TW'], 'zh-Hant'],
    ['', ['zh-HK', 'en'], 'zh-Hant'],
    ['', ['zh-SG'], 'zh-Hans'],
    ['', ['zh'], 'zh-Hans'],
    ['', ['zh-Hant-CN'], 'zh-Hant'],
    ['', ['fr', 'de'], 'en'],
    ['', ['fr', 'zh-MO'], 'zh-Hant'],
    ['', [], 'en'],
    ['', ['!'], 'en'],
    ['zh-Hant', ['en'], 'zh-Hant'],
    ['tlh', ['zh'], 'zh-Hans'],
  ])
    assert.equal(pick(chosen, wanted), expected, `${chosen} ${wanted}`);
});

test('numbers, days and gaps are filled in as the language wants', async () => {
  const { t, day, list } = await load('en', ['en-GB']);
  assert.equal(t('pane.online', { n: 1234 }), '1,234 online');
  assert.equal(t('rooms.unread', { n: 1 }), '1 new message');
  assert.equal(
    t('signin.taken', { name: '{n}' }),
    '“{n}” is taken: somebody of that name is online.',
  );
  const days = [0, 1, 3, 30, 400].map((ago) =>
    day(new Date(2026, 10, 20 - ago, 23).getTime(), noon),
  );
  assert.deepEqual(days, ['today', 'yesterday', 'Tuesday', '21 October', '16 October 2025']);
  assert.equal(list(['a', 'b', 'c']), 'a, b and c');
  assert.equal(speaker('zh-Hans', dictionaries['zh-Hans']).day(noon, noon), '今天');
});

test('what is wrong with a name is told by the part of the rule', () => {
  for (const [name, expected] of [
    ['alice', ''],
    ['  alice ', ''],
    ['小明', ''],
    ['a b', ''],
    ['O’Brien', ''],
    ['👍', ''],
    ['', 'empty'],
    ['   ', 'empty'],
    ['x'.repeat(32), ''],
    ['x'.repeat(33), 'long'],
    ['界'.repeat(33), 'long'],
    ['a:b', 'colon'],
    ['a\u202eb', 'invisible'],
    ['a\u200bb', 'invisible'],
    ['\u3164', 'invisible'],
    ['a  b', 'invisible'],
    ['a\tb', 'invisible'],
    ['a\u{e0041}', 'invisible'],
    ['\ue000', 'invisible'],
  ])
    assert.equal(problem(name, 32), expected, JSON.stringify(name));
});

test('suggested names are fit, different, and near', () => {
  for (const name of ['alice', '小明', 'x'.repeat(32), `${'x'.repeat(28)} y`]) {
    const offers = suggestions(name, 32, () => 0.5);
    assert.equal(new Set([name, ...offers]).size, 4);
    for (const offer of offers) assert.equal(problem(offer, 32), '', offer);
  }
});

test('an avatar is the same for the same name', () => {
  assert.equal(hue('Alice'), hue('alice'));
  assert.deepEqual(
    [letter('alice'), letter('小明'), letter('👨‍👩‍👧x'), letter('')],
    ['A', '小', '👨‍👩‍👧', '?'],
  );
  assert.ok(new Set(Array.from({ length: 200 }, (_, i) => hue(`user${i}`))).size === 12);
});

const entry = (seq, from, at, text = 'x') => ({
  conversation: 'lobby',
  seq,
  tag: 0,
  from,
  fromId: from,
  at,
  text,
});
/** Each row in one word: first and last of a group in brackets. */
const shown = (change) =>
  rows(
    { ...current(initial()), loaded: true, floor: 1, first: 1, ...change },
    { id: 'me', name: 'me' },
  )
    .map((row) =>
      row.kind === 'message'
        ? [
            row.first && '[',
            row.own ? 'me' : row.from,
            row.sent !== 'yes' && `:${row.sent}`,
            row.last && ']',
          ]
            .filter(Boolean)
            .join('')
        : row.kind,
    )
    .join(' ');
const pending = (phase, seen = 0) => ({
  key: 'k',
  to: 'lobby',
  text: 'y',
  at: noon + 2,
  sentAs: '',
  phase,
  refusal: null,
  seen,
});

test('rows: days, groups within five minutes, the line, holes, and what waits', () => {
  for (const [change, expected] of [
    [{ loaded: false, first: 3 }, ''],
    [
      {
        entries: [
          entry(1, 'a', noon),
          entry(2, 'a', noon + GROUP - 1),
          entry(3, 'b', noon + GROUP),
        ],
      },
      'top day [a a] [b]',
    ],
    [{ entries: [entry(1, 'a', noon), entry(2, 'a', noon + GROUP)] }, 'top day [a] [a]'],
    [{ entries: [entry(1, 'a', noon - 86_400_000), entry(2, 'a', noon)] }, 'top day [a] day [a]'],
    [{ entries: [entry(1, 'a', noon), entry(2, 'a', noon)], line: 2 }, 'top day [a] line [a]'],
    [
      { entries: [entry(1, 'a', noon), entry(5, 'a', noon)], holes: [{ from: 2, to: 4 }] },
      'top day [a] hole [a]',
    ],
    [{ entries: [entry(5, 'a', noon)], first: 5, floor: 5 }, 'hole day [a]'],
    [{ entries: [entry(5, 'a', noon)], first: 5 }, 'day [a]'],
    [{ entries: [entry(1, 'a', noon)], begun: true }, 'begun day [a]'],
    [
      { entries: [entry(1, 'a', noon), entry(2, 'a', noon, null), entry(3, 'a', noon)] },
      'top day [a a]',
    ],
    [
      { entries: [entry(1, 'me', noon)], pending: [pending('waiting'), pending('refused')] },
      'top day [me me:waiting me:refused]',
    ],
    [{ entries: [entry(1, 'me', noon)], pending: [pending('waiting', 1)] }, 'top day [me]'],
  ])
    assert.equal(shown(change), expected, JSON.stringify(change));
});

test('rows: another entry in the same place has another key', () => {
  const keyed = (tag) => {
    const entries = [{ ...entry(1, 'a', noon), tag }];
    const list = rows({ ...current(initial()), loaded: true, entries }, { id: 'me', name: 'me' });
    return list.find(({ kind }) => kind === 'message').key;
  };
  assert.notEqual(keyed(1), keyed(2));
});

test('blocks: whatever stands above a message goes with it, what waits goes with the last', () => {
  const message = (seq) => ({ kind: 'message', key: `e${seq}`, seq });
  const mark = (key) => ({ kind: 'day', key });
  for (const [list, expected] of [
    [[], ['block-0:']],
    [[mark('top')], ['block-0:top']],
    [[message(0)], ['block-0:e0']],
    [
      [mark('top'), message(62), message(63), mark('day'), message(64), message(0)],
      ['block-0:top e62 e63', 'block-1:day e64 e0'],
    ],
    [[message(130), mark('hole')], ['block-2:e130 hole']],
  ])
    assert.deepEqual(
      blocks(list).map(
        ({ key, rows: within }) => `${key}:${within.map((row) => row.key).join(' ')}`,
      ),
      expected,
    );
});

test('every frame of the server that is written down is understood', () => {
  const known = vectors('server');
  assert.ok(known.length > 10);
  for (const { name, json } of known) {
    const [kind] = Object.keys(json).filter((field) => field !== 'id');
    const frame = decode(JSON.stringify(json));
    assert.deepEqual([frame?.kind, frame?.id], [kind, json.id ?? 0], name);
    if (json.entry?.message) assert.equal(frame.body.text, json.entry.message.text, name);
    if (json.talked)
      assert.deepEqual(
        [frame.body.seq, frame.body.at],
        [Number(json.talked.seq), Date.parse(json.talked.at)],
        name,
      );
    if (json.error)
      assert.deepEqual(
        [frame.body.name, frame.body.unknown],
        [json.error.name, json.error.outcome === 'OUTCOME_UNKNOWN'],
        name,
      );
    if (json.welcome)
      assert.equal(frame.body.conversations.length, json.welcome.conversations?.length ?? 0, name);
  }
});

test('every command that this page sends is written as it is written down', () => {
  const written = vectors('client').filter(({ json }) => json);
  assert.ok(written.length > 10);
  for (const {
    name,
    json: { id, key, ...command },
  } of written) {
    assert.deepEqual(
      JSON.parse(encode(id ?? 0, command, key)),
      { ...(id && { id }), ...(key && { key }), ...command },
      name,
    );
  }
  assert.equal(encode(0, { typing: {} }), '{"typing":{}}');
  assert.equal(
    newKey((bytes) => bytes.set(Uint8Array.from({ length: 16 }, (_, i) => i))),
    'AAECAwQFBgcICQoLDA0ODw==',
  );
  assert.notEqual(newKey(), newKey());
});
