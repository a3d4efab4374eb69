// Two people, one phone and a crowd of one-line guests use the page for what it is for, while the
// network and the server fail them. Judged by what stands in the pages.
//
//   node journey.mjs [--chromium /usr/bin/chromium] [--shots folder] \
//     -- ./target/release/kith --data /tmp/kith-journey --listen 127.0.0.1:{port}
//
// What follows `--` is the server's own command line, with `{port}` where the port belongs; the
// journey starts it, stops it and kills it. It wants an empty data folder. One line for each check,
// the sum at the end, exit code 0 if all passed.

import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import { parseArgs } from 'node:util';

import { fits, legible, named, structured } from './access.mjs';
import { failing } from './failing.mjs';
import { Person, Server, browse, check, eachOnce, until, verdict } from './lib.mjs';
import { looking } from './looking.mjs';
import { scrolling } from './reading.mjs';
import { MESSAGES, NAMES } from './strings.mjs';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    chromium: { type: 'string', default: '/usr/bin/chromium' },
    shots: { type: 'string' },
  },
});
const { shots } = values;
if (positionals.length === 0)
  throw new Error('the command that starts the server is missing: … -- kith --data …');
if (shots) mkdirSync(shots, { recursive: true });

const server = await Server.on(positionals);
const { url } = server;
const browser = await browse(values.chromium);
/** @type {Person[]} */
const everybody = [];
const come = async (options) => {
  const person = await Person.come(browser, url, options);
  everybody.push(person);
  return person;
};
const shot = (person, name) => shots && person.page.screenshot({ path: `${shots}/${name}.png` });

const go = async (person) => {
  await person.context.close();
  everybody.splice(everybody.indexOf(person), 1);
};
/** @type {import('./lib.mjs').Stage} */
const stage = { server, url, everybody, come, go, shot };

try {
  await arriving();
  await talking();
  await hostileWords();
  await scrolling(stage);
  await failing(stage);
  await looking(stage);
  await leaving();
  await check(
    'nothing odd happened on any page: no script of somebody else, no error, no foreign request',
    async () => {
      for (const person of everybody) assert.deepEqual(await person.oddities(), []);
    },
  );
} finally {
  await browser.close();
  await server.stop('SIGKILL');
}
process.exitCode = verdict();

async function arriving() {
  await check('the first visit is small, strict about scripts, and never stale', async () => {
    const person = await come();
    const policy = (await fetch(url)).headers.get('content-security-policy') ?? '';
    assert.match(policy, /default-src 'none'/);
    assert.doesNotMatch(policy, /unsafe/);
    const bytes = await person.page.evaluate(() =>
      performance.getEntries().reduce((sum, it) => sum + (it.encodedBodySize ?? 0), 0),
    );
    assert.ok(bytes > 1000 && bytes < 60 * 1024, `${bytes} bytes`);
    assert.equal((await fetch(`${url}/app.js`)).headers.get('cache-control'), 'no-cache');
    const tag = (await fetch(url)).headers.get('etag');
    assert.equal((await fetch(url, { headers: { 'if-none-match': tag } })).status, 304);
  });
  const [alice] = everybody;
  await check('the door is accessible, and says what is wrong with a name', async () => {
    await named(alice.page);
    await structured(alice.page);
    await legible(alice.page);
    for (const [name, words] of [
      ['', /Type a name/],
      ['a:b', /colon/],
      ['x'.repeat(40), /too long/],
      ['a\u200bb', /cannot be seen/],
    ]) {
      await alice.page.fill('#name', name);
      await alice.page.keyboard.press('Enter');
      await until(`the page says ${words}`, async () =>
        words.test(await alice.text('#name-problem')),
      );
    }
    await shot(alice, 'desk-door');
  });
  await check(
    'whoever joins first is told that nobody is here, and can write at once',
    async () => {
      await alice.join('alice');
      await alice.page.waitForSelector('.empty:visible');
      await until('the list says so', async () =>
        (await alice.text('.people')).includes('Nobody else is here'),
      );
      assert.equal(await alice.page.evaluate(() => document.activeElement.tagName), 'TEXTAREA');
      await shot(alice, 'desk-empty');
    },
  );
  await check('a name that is taken is refused with names that are free', async () => {
    const bob = await come();
    await bob.page.fill('#name', 'Alice');
    await bob.page.keyboard.press('Enter');
    await bob.page.waitForSelector('.offer');
    assert.equal(await bob.page.locator('.offer').count(), 3);
    await bob.page.locator('.offer').first().click();
    await bob.page.waitForSelector('.app textarea');
  });
  await check('everybody is told of everybody', async () => {
    const bob = everybody[1];
    for (const person of [alice, bob]) {
      await until('both are listed', async () => {
        const list = await person.text('.people .names:not(.earlier)');
        return list.includes('alice') && list.includes('Alice2');
      });
    }
    assert.match(await alice.text('.sub'), /2 online/);
  });
}

async function talking() {
  const [alice, bob] = everybody;
  await check(
    "what one says, the other reads; one's own is told apart and marked as sent",
    async () => {
      await alice.say('Hello, Bob.');
      await bob.sees('Hello, Bob.');
      await bob.say('Hello, Alice.');
      await alice.sees('Hello, Alice.');
      await alice.settled();
      const [first, second] = await alice.messages();
      assert.deepEqual([first.own, first.sent, second.own], [true, true, false]);
      assert.match(first.label, /^You, /);
      assert.match(second.label, /^Alice2, /);
    },
  );
  await check('typing is seen, and ends with the message', async () => {
    await bob.page.locator('textarea').pressSequentially('let me see');
    await alice.page.waitForSelector('.typing[data-on]');
    assert.match(await alice.page.locator('.typing-who').textContent(), /Alice2 is typing/);
    await bob.page.press('textarea', 'Enter');
    await alice.sees('let me see');
    await alice.page.waitForSelector('.typing:not([data-on])', { state: 'attached' });
  });
  await check(
    'Enter sends, Shift+Enter breaks the line, and an input method keeps its Enter',
    async () => {
      const field = alice.page.locator('textarea');
      await field.fill('one');
      await field.press('Shift+Enter');
      await field.pressSequentially('two');
      for (const init of [{ isComposing: true }, { keyCode: 229 }]) {
        await field.evaluate(
          (it, more) =>
            it.dispatchEvent(
              new KeyboardEvent('keydown', {
                key: 'Enter',
                bubbles: true,
                cancelable: true,
                ...more,
              }),
            ),
          init,
        );
      }
      assert.equal(await field.inputValue(), 'one\ntwo');
      await field.press('Enter');
      assert.equal(await field.inputValue(), '');
      await bob.sees('one\ntwo');
    },
  );
  await check('a text that is too long is not sent, and says by how much', async () => {
    await alice.page.fill('textarea', 'x'.repeat(64 * 1024 + 3));
    assert.match(await alice.text('.composer-note'), /3 bytes too long/);
    assert.equal(await alice.page.locator('.send').isDisabled(), true);
    await alice.page.fill('textarea', '');
  });
  await check('an address becomes a link that gives nothing away', async () => {
    await alice.say('see https://example.org/a_(b). And javascript:hit(0)');
    await bob.sees('see https://example.org/a_(b). And javascript:hit(0)');
    const links = await bob.page.$$eval('.text a', (all) =>
      all.map((it) => [it.href, it.rel, it.target]),
    );
    assert.deepEqual(links, [['https://example.org/a_(b)', 'noopener noreferrer', '_blank']]);
  });
}

async function hostileWords() {
  const [alice, bob] = everybody;
  await check(`${MESSAGES.length} hostile messages are shown as they were typed`, async () => {
    for (const text of MESSAGES) await alice.say(text);
    await alice.settled();
    // A text field knows neither NUL nor carriage return as they are; everything else arrives.
    const shown = await alice.texts();
    const typed = shown.slice(-MESSAGES.length);
    assert.deepEqual(
      typed.map((text) => text.replaceAll('\u0000', '')),
      MESSAGES.map((text) => text.replaceAll('\u0000', '')),
    );
    await eachOnce(
      bob,
      typed.filter((text, at) => typed.indexOf(text) === at),
    );
    const foreign = await bob.page.$$eval('.text *', (all) =>
      all
        .filter((it) => it.tagName !== 'A' || !/^https?:$/.test(it.protocol))
        .map((it) => it.outerHTML),
    );
    assert.deepEqual(foreign, []);
    await fits(bob.page);
  });
  await check(`${NAMES.length} hostile names are names`, async () => {
    for (const name of NAMES) {
      const guest = await come();
      await guest.join(name);
      await guest.say(`I am number ${NAMES.indexOf(name)}`);
      await bob.sees(`I am number ${NAMES.indexOf(name)}`);
      await until('the name is listed', async () => (await bob.text('.people')).includes(name));
      assert.deepEqual(await guest.oddities(), []);
      await go(guest);
    }
    const authors = await bob.page.$$eval('.from', (all) => all.map((it) => it.textContent));
    for (const name of NAMES) assert.ok(authors.includes(name), name);
  });
}

async function leaving() {
  const [alice, bob] = everybody;
  await check('whoever leaves is off the list at once, and the name is free', async () => {
    await bob.page.click('.me .icon-button');
    await bob.page.click('.danger');
    await bob.page.waitForSelector('#name');
    await until(
      'the list is shorter',
      async () => !(await alice.text('.people .names:not(.earlier)')).includes('Alice2'),
    );
    await bob.join('Alice2');
  });
}
