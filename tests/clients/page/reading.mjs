// Reading what is long: older messages while scrolling, news while reading above.

import assert from 'node:assert/strict';

import { check, times, until } from './lib.mjs';

/** Fills the lobby through sockets of its own, faster than a person could. */
async function crowd({ come, go, url }, count) {
  const guest = await come();
  await guest.page.evaluate(
    async ({ count: wanted, address }) => {
      const one = (name, texts) =>
        new Promise((done) => {
          const socket = new WebSocket(address, 'kith.v1.json');
          let at = 0;
          const next = () =>
            at < texts.length
              ? socket.send(JSON.stringify({ id: at + 2, talk: { text: texts[at] } }))
              : socket.send('{"exit":{}}');
          socket.onopen = () => socket.send(JSON.stringify({ id: 1, hello: { name } }));
          socket.onmessage = ({ data }) => {
            const frame = JSON.parse(data);
            if (frame.talked) at += 1;
            if (frame.welcome || frame.talked) next();
            if (frame.error) setTimeout(next, frame.error.retryAfterMs || 200);
          };
          socket.onclose = done;
        });
      const texts = Array.from(
        { length: wanted },
        (_, i) => `line ${i} ${'of the crowd, some longer and some shorter '.repeat(i % 5)}`,
      );
      for (let i = 0; i < wanted; i += 20) await one(`crowd${i}`, texts.slice(i, i + 20));
    },
    { count, address: `${url.replace('http', 'ws')}/ws` },
  );
  await go(guest);
}

/** Runs in the page: scrolls to the very top, the hardest place, for nothing is above that could be
 * an anchor; by how much the topmost message moved once older ones are above it, or null if none
 * came. */
const toTop = () =>
  new Promise((done) => {
    const log = document.querySelector('.log');
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
  });

/** @param {import('./lib.mjs').Stage} stage */
export async function scrolling(stage) {
  const { everybody, shot } = stage;
  const [alice, bob] = everybody;
  await check(
    'older messages come while scrolling up, and what is read stays where it is',
    async () => {
      await crowd(stage, 240);
      await alice.page.reload();
      await alice.page.waitForSelector('.message');
      const rows = () => alice.page.locator('.message').count();
      const before = await rows();
      await alice.page.locator('.log').hover();
      for (let count = before; ; count = await rows()) {
        const moved = await alice.page.evaluate(toTop);
        if (moved === null) break;
        assert.ok(
          Math.abs(moved) <= 2,
          `what was being read moved by ${moved} px after ${count} rows`,
        );
      }
      assert.ok((await rows()) > before + 100, `${before} rows, then ${await rows()}`);
      assert.match(await alice.text('.block:first-child > :first-child'), /begins/);
      const texts = await alice.texts();
      assert.equal(times(texts, 'Hello, Bob.'), 1);
    },
  );
  await check('whoever reads above is not moved by news, and told how many there are', async () => {
    await alice.page.evaluate(() => {
      document.querySelector('.log').scrollTop = 500;
    });
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
