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

import { fits, legible, named, structured, touchable } from './access.mjs';
import { Person, Server, browse, check, until, verdict } from './lib.mjs';
import { MESSAGES, NAMES } from './strings.mjs';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    chromium: { type: 'string', default: '/usr/bin/chromium' },
    shots: { type: 'string' },
  },
});
const { shots } = values;
if (positionals.length === 0) throw new Error('the command that starts the server is missing: … -- kith --data …');
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
const times = (list, text) => list.filter((one) => one === text).length;
/** Each of these once, in this order, on this person's page. */
async function once(person, texts) {
  for (const text of texts) await person.sees(text);
  const seen = await person.texts();
  assert.deepEqual(seen.filter((text) => texts.includes(text)), texts);
}

try {
  await arriving();
  await talking();
  await hostileWords();
  await scrolling();
  await failing();
  await looking();
  await leaving();
  await check('nothing odd happened on any page: no script of somebody else, no error, no foreign request', async () => {
    for (const person of everybody) assert.deepEqual(await person.oddities(), []);
  });
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
    const bytes = await person.page.evaluate(() => performance.getEntries().reduce((sum, it) => sum + (it.encodedBodySize ?? 0), 0));
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
    for (const [name, words] of [['', /Type a name/], ['a:b', /colon/], ['x'.repeat(40), /too long/], ['a\u200bb', /cannot be seen/]]) {
      await alice.page.fill('#name', name);
      await alice.page.keyboard.press('Enter');
      await until(`the page says ${words}`, async () => words.test(await alice.text('#name-problem')));
    }
    await shot(alice, 'desk-door');
  });
  await check('whoever joins first is told that nobody is here, and can write at once', async () => {
    await alice.join('alice');
    await alice.page.waitForSelector('.empty:visible');
    await until('the list says so', async () => (await alice.text('.people')).includes('Nobody else is here'));
    assert.equal(await alice.page.evaluate(() => document.activeElement.tagName), 'TEXTAREA');
    await shot(alice, 'desk-empty');
  });
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
  await check('what one says, the other reads; one\'s own is told apart and marked as sent', async () => {
    await alice.say('Hello, Bob.');
    await bob.sees('Hello, Bob.');
    await bob.say('Hello, Alice.');
    await alice.sees('Hello, Alice.');
    await alice.settled();
    const [first, second] = await alice.messages();
    assert.deepEqual([first.own, first.sent, second.own], [true, true, false]);
    assert.match(first.label, /^You, /);
    assert.match(second.label, /^Alice2, /);
  });
  await check('typing is seen, and ends with the message', async () => {
    await bob.page.locator('textarea').pressSequentially('let me see');
    await alice.page.waitForSelector('.typing[data-on]');
    assert.match(await alice.page.locator('.typing-who').textContent(), /Alice2 is typing/);
    await bob.page.press('textarea', 'Enter');
    await alice.sees('let me see');
    await alice.page.waitForSelector('.typing:not([data-on])', { state: 'attached' });
  });
  await check('Enter sends, Shift+Enter breaks the line, and an input method keeps its Enter', async () => {
    const field = alice.page.locator('textarea');
    await field.fill('one');
    await field.press('Shift+Enter');
    await field.pressSequentially('two');
    for (const init of [{ isComposing: true }, { keyCode: 229 }]) {
      await field.evaluate((it, more) => it.dispatchEvent(new KeyboardEvent('keydown', { key: 'Enter', bubbles: true, cancelable: true, ...more })), init);
    }
    assert.equal(await field.inputValue(), 'one\ntwo');
    await field.press('Enter');
    assert.equal(await field.inputValue(), '');
    await bob.sees('one\ntwo');
  });
  await check('a text that is too long is not sent, and says by how much', async () => {
    await alice.page.fill('textarea', 'x'.repeat(64 * 1024 + 3));
    assert.match(await alice.text('.composer-note'), /3 bytes too long/);
    assert.equal(await alice.page.locator('.send').isDisabled(), true);
    await alice.page.fill('textarea', '');
  });
  await check('an address becomes a link that gives nothing away', async () => {
    await alice.say('see https://example.org/a_(b). And javascript:hit(0)');
    await bob.sees('see https://example.org/a_(b). And javascript:hit(0)');
    const links = await bob.page.$$eval('.text a', (all) => all.map((it) => [it.href, it.rel, it.target]));
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
    assert.deepEqual(typed.map((text) => text.replaceAll('\u0000', '')), MESSAGES.map((text) => text.replaceAll('\u0000', '')));
    await once(bob, typed.filter((text, at) => typed.indexOf(text) === at));
    const foreign = await bob.page.$$eval('.text *', (all) => all.filter((it) => it.tagName !== 'A' || !/^https?:$/.test(it.protocol)).map((it) => it.outerHTML));
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
      await guest.context.close();
      everybody.splice(everybody.indexOf(guest), 1);
    }
    const authors = await bob.page.$$eval('.from', (all) => all.map((it) => it.textContent));
    for (const name of NAMES) assert.ok(authors.includes(name), name);
  });
}

/** Fills the lobby through sockets of its own, faster than a person could. */
async function crowd(count) {
  const guest = await come();
  await guest.page.evaluate(async ({ count: wanted, address }) => {
    const one = (name, texts) => new Promise((done) => {
      const socket = new WebSocket(address, 'kith.v1.json');
      let at = 0;
      const next = () => (at < texts.length ? socket.send(JSON.stringify({ id: at + 2, talk: { text: texts[at] } })) : socket.send('{"exit":{}}'));
      socket.onopen = () => socket.send(JSON.stringify({ id: 1, hello: { name } }));
      socket.onmessage = ({ data }) => {
        const frame = JSON.parse(data);
        if (frame.talked) at += 1;
        if (frame.welcome || frame.talked) next();
        if (frame.error) setTimeout(next, frame.error.retryAfterMs || 200);
      };
      socket.onclose = done;
    });
    const texts = Array.from({ length: wanted }, (_, i) => `line ${i} ${'of the crowd, some longer and some shorter '.repeat(i % 5)}`);
    for (let i = 0; i < wanted; i += 20) await one(`crowd${i}`, texts.slice(i, i + 20));
  }, { count, address: `${url.replace('http', 'ws')}/ws` });
  await guest.context.close();
  everybody.splice(everybody.indexOf(guest), 1);
}

async function scrolling() {
  const [alice, bob] = everybody;
  await check('older messages come while scrolling up, and what is read stays where it is', async () => {
    await crowd(240);
    await alice.page.reload();
    await alice.page.waitForSelector('.message');
    const rows = () => alice.page.locator('.message').count();
    const before = await rows();
    await alice.page.locator('.log').hover();
    for (let count = before; ; count = await rows()) {
      const moved = await alice.page.evaluate(() => new Promise((done) => {
        const log = document.querySelector('.log');
        // At the very top, the hardest place: nothing is above that could be an anchor.
        log.scrollTop = 0;
        requestAnimationFrame(() => {
          const mark = document.querySelector('.message');
          const top = mark.getBoundingClientRect().top;
          const give = setTimeout(() => done(null), 3000);
          new MutationObserver((_, it) => {
            if (document.querySelector('.message') === mark) return;
            it.disconnect();
            clearTimeout(give);
            setTimeout(() => done(mark.getBoundingClientRect().top - top), 100);
          }).observe(log, { childList: true, subtree: true });
        });
      }));
      if (moved === null) break;
      assert.ok(Math.abs(moved) <= 2, `what was being read moved by ${moved} px after ${count} rows`);
    }
    assert.ok(await rows() > before + 100, `${before} rows, then ${await rows()}`);
    assert.match(await alice.text('.block:first-child > :first-child'), /begins/);
    const texts = await alice.texts();
    assert.equal(times(texts, 'Hello, Bob.'), 1);
  });
  await check('whoever reads above is not moved by news, and told how many there are', async () => {
    await alice.page.evaluate(() => { document.querySelector('.log').scrollTop = 500; });
    await alice.page.waitForSelector('.jump:visible');
    const at = () => alice.page.evaluate(() => document.querySelector('.log').scrollTop);
    const before = await at();
    await bob.say('news');
    await until('the button counts it', async () => (await alice.text('.jump .badge')) === '1');
    assert.equal(await at(), before);
    await shot(alice, 'desk-above');
    await alice.page.click('.jump');
    await alice.page.waitForSelector('.jump', { state: 'hidden' });
    await alice.page.waitForSelector('.line:visible');
  });
  await check('whoever looks elsewhere is told in the title', async () => {
    await alice.page.evaluate(() => {
      document.hasFocus = () => false;
      window.dispatchEvent(new Event('blur'));
    });
    await bob.say('look here');
    await until('the title counts', async () => (await alice.page.title()).startsWith('(1)'));
    await alice.page.evaluate(() => {
      delete document.hasFocus;
      window.dispatchEvent(new Event('focus'));
    });
    await until('it is read', async () => !(await alice.page.title()).startsWith('('));
  });
}

async function failing() {
  const [alice, bob] = everybody;
  await check('whoever goes offline can go on writing, and misses nothing', async () => {
    await bob.context.setOffline(true);
    await bob.page.evaluate(() => globalThis.sockets.at(-1).close());
    await bob.page.waitForSelector('.status:visible');
    await bob.say('written offline');
    await alice.say('while Bob was away');
    await shot(bob, 'desk-offline');
    await bob.context.setOffline(false);
    for (const person of [alice, bob]) {
      await person.sees('written offline');
      await person.sees('while Bob was away');
      await person.settled();
    }
    await bob.page.waitForSelector('.status', { state: 'hidden' });
  });
  await check('a connection that is dead without knowing it is found out and replaced', async () => {
    await bob.page.evaluate(() => { globalThis.sockets.at(-1).muted = true; });
    await alice.say('into the void');
    await bob.say('out of the void');
    await bob.page.evaluate(() => window.dispatchEvent(new Event('online')));
    for (const person of [alice, bob]) {
      await person.sees('into the void');
      await person.sees('out of the void');
      await person.settled();
    }
  });
  for (const signal of /** @type {const} */ (['SIGTERM', 'SIGKILL'])) {
    await check(`${signal} and a new start while both are sending: nothing lost, nothing doubled, one order`, async () => {
      const said = (who) => Array.from({ length: 12 }, (_, i) => `${signal} ${who} ${i}`);
      const talk = async (person, who) => {
        for (const text of said(who)) {
          await person.say(text);
          await person.page.waitForTimeout(60);
        }
      };
      const both = Promise.all([talk(alice, 'a'), talk(bob, 'b')]);
      await alice.page.waitForTimeout(250);
      await server.stop(signal);
      await both;
      await server.start();
      for (const person of [alice, bob]) {
        await once(person, said('a'));
        await once(person, said('b'));
        await person.settled();
      }
      const of = async (person) => (await person.texts()).filter((text) => text.startsWith(signal));
      assert.deepEqual(await of(alice), await of(bob));
    });
  }
  await check('what was not sent, and what was not finished, survive a reload', async () => {
    await bob.page.evaluate(() => {
      sessionStorage.setItem('journey.forbidden', 'yes');
      globalThis.sockets.at(-1).close();
    });
    await bob.say('kept over a reload');
    await bob.page.fill('textarea', 'half a thou');
    await bob.page.reload();
    await bob.page.waitForSelector('.message.waiting');
    assert.equal(await bob.page.inputValue('textarea'), 'half a thou');
    await bob.page.evaluate(() => sessionStorage.removeItem('journey.forbidden'));
    await alice.sees('kept over a reload');
    await bob.settled();
    for (const person of [alice, bob]) assert.equal(times(await person.texts(), 'kept over a reload'), 1);
    assert.match(await bob.text('.me-name'), /^Alice2$/);
    await bob.page.fill('textarea', '');
  });
}

async function looking() {
  const [alice] = everybody;
  const choose = async (id, value) => {
    if (!await alice.page.locator('#settings').isVisible()) await alice.page.click('.me .icon-button');
    await alice.page.selectOption(id, value);
  };
  for (const [code, title] of [['zh-Hans', '大厅'], ['zh-Hant', '大廳'], ['en', 'Lobby']]) {
    await check(`the page speaks ${code}, and says so`, async () => {
      await choose('#set-language', code);
      await until('the title is translated', async () => (await alice.text('h1')) === title);
      assert.equal(await alice.page.evaluate(() => document.documentElement.lang), code);
      await shot(alice, `desk-${code}`);
    });
  }
  for (const theme of ['light', 'dark']) {
    await check(`${theme}: every text is legible, every control has a name`, async () => {
      await choose('#set-theme', theme);
      await legible(alice.page);
      await named(alice.page);
      await structured(alice.page);
      await shot(alice, `desk-${theme}`);
    });
  }
  await check('everything is reached and left by keyboard', async () => {
    const { page } = alice;
    const focused = () => page.evaluate(() => `${document.activeElement.tagName} ${document.activeElement.className}`);
    await page.keyboard.press('Escape');
    await page.keyboard.press('Control+k');
    assert.match(await focused(), /INPUT filter/);
    await page.keyboard.type('lob');
    await page.keyboard.press('ArrowDown');
    assert.match(await focused(), /BUTTON room/);
    await page.keyboard.press('Escape');
    assert.match(await focused(), /TEXTAREA/);
    const seen = new Set();
    for (let i = 0; i < 30; i += 1) {
      await page.keyboard.press('Shift+Tab');
      seen.add(await focused());
    }
    for (const wanted of [/log/, /people-button/, /room/, /filter/, /icon-button/]) {
      assert.ok([...seen].some((one) => wanted.test(one)), `${wanted} among ${[...seen].join(', ')}`);
    }
  });
  for (const [name, width, height] of [['phone', 390, 844], ['narrow', 320, 568]]) {
    await check(`${name}: one column, and back by button and gesture`, async () => {
      const person = await come({ viewport: { width, height }, isMobile: true, hasTouch: true, colorScheme: 'dark' });
      const { page } = person;
      const shown = () => page.evaluate(() => ['rooms', 'talk', 'people'].filter((it) => document.querySelector(`.${it}`).checkVisibility()).join());
      await shot(person, `${name}-door`);
      await person.join(name);
      await page.waitForSelector('.message');
      assert.equal(await shown(), 'talk');
      await fits(page);
      await touchable(page);
      await legible(page);
      await shot(person, `${name}-log`);
      await page.tap('.back');
      assert.equal(await shown(), 'rooms');
      await fits(page);
      await shot(person, `${name}-rooms`);
      await page.tap('.room');
      await page.tap('.people-button');
      assert.equal(await shown(), 'people');
      await fits(page);
      await touchable(page);
      await page.goBack();
      assert.equal(await shown(), 'talk');
      await page.goBack();
      assert.equal(await shown(), 'rooms');
    });
  }
}

async function leaving() {
  const [alice, bob] = everybody;
  await check('whoever leaves is off the list at once, and the name is free', async () => {
    await bob.page.click('.me .icon-button');
    await bob.page.click('.danger');
    await bob.page.waitForSelector('#name');
    await until('the list is shorter', async () => !(await alice.text('.people .names:not(.earlier)')).includes('Alice2'));
    await bob.join('Alice2');
  });
}
