// Languages, colours, keyboard, narrow screens.

import assert from 'node:assert/strict';

import { fits, legible, named, structured, touchable } from './access.mjs';
import { check, until } from './lib.mjs';

/** @typedef {import('./lib.mjs').Stage} Stage */

/** @param {Stage} stage */
export async function looking(stage) {
  await settings(stage);
  await keyboard(stage);
  await narrow(stage, 'phone', 390, 844);
  await narrow(stage, 'narrow', 320, 568);
}

/** @param {Stage} stage */
async function settings({ everybody: [alice], shot }) {
  const choose = async (id, value) => {
    if (!(await alice.page.locator('#settings').isVisible()))
      await alice.page.click('.me .icon-button');
    await alice.page.selectOption(id, value);
  };
  for (const [code, title] of [
    ['zh-Hans', '大厅'],
    ['zh-Hant', '大廳'],
    ['en', 'Lobby'],
  ]) {
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
}

/** @param {Stage} stage */
async function keyboard({ everybody: [alice] }) {
  await check('everything is reached and left by keyboard', async () => {
    const { page } = alice;
    const focused = () =>
      page.evaluate(() => `${document.activeElement.tagName} ${document.activeElement.className}`);
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
      assert.ok(
        [...seen].some((one) => wanted.test(one)),
        `${wanted} among ${[...seen].join(', ')}`,
      );
    }
  });
}

/** @param {Stage} stage @param {string} name @param {number} width @param {number} height */
async function narrow({ come, shot }, name, width, height) {
  await check(`${name}: one column, and back by button and gesture`, async () => {
    const person = await come({
      viewport: { width, height },
      isMobile: true,
      hasTouch: true,
      colorScheme: 'dark',
    });
    const { page } = person;
    const shown = () =>
      page.evaluate(() =>
        ['rooms', 'talk', 'people']
          .filter((it) => document.querySelector(`.${it}`).checkVisibility())
          .join(),
      );
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
