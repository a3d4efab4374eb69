// What can be told about a page's accessibility without a person: names, structure, contrast, size.

import assert from 'node:assert/strict';

/** Roles that somebody operates, and so must have a name. */
const OPERATED = new Set([
  'button',
  'textbox',
  'searchbox',
  'combobox',
  'listbox',
  'link',
  'checkbox',
  'MenuListPopup',
  'log',
  'navigation',
  'complementary',
]);

/** Every control and every landmark has a name. @param {import('playwright-core').Page} page */
export async function named(page) {
  const session = await page.context().newCDPSession(page);
  const { nodes } = await session.send('Accessibility.getFullAXTree');
  await session.detach();
  const operated = nodes.filter(
    ({ ignored, role }) => !ignored && OPERATED.has(role?.value) && role.value !== 'MenuListPopup',
  );
  assert.ok(operated.length >= 3, `only ${operated.length} controls were found`);
  const nameless = operated.filter(({ name }) => !name?.value?.trim());
  assert.deepEqual(
    nameless.map(({ role }) => role.value),
    [],
  );
}

/** One main landmark, one first heading, a language, no positive tab index, no id twice.
 * @param {import('playwright-core').Page} page */
export async function structured(page) {
  const found = await page.evaluate(() => {
    const count = (selector) =>
      [...document.querySelectorAll(selector)].filter((it) => it.checkVisibility()).length;
    const ids = [...document.querySelectorAll('[id]')].map((it) => it.id);
    return {
      main: count('main'),
      h1: count('h1'),
      lang: document.documentElement.lang !== '',
      ahead: [...document.querySelectorAll('[tabindex]')].filter((it) => it.tabIndex > 0).length,
      twice: ids.filter((id, at) => ids.indexOf(id) !== at),
    };
  });
  assert.deepEqual(found, { main: 1, h1: 1, lang: true, ahead: 0, twice: [] });
}

/** Text stands out from what is behind it: 4.5 to 1, messages 7 to 1 (WCAG 2.2, 1.4.3 and 1.4.6).
 * @param {import('playwright-core').Page} page */
export async function legible(page) {
  const faint = await page.evaluate(async () => {
    // Colours on their way from one scheme to the other are neither.
    await Promise.all(
      document
        .getAnimations()
        .filter((it) => it instanceof CSSTransition)
        .map((it) => it.finished.catch(() => {})),
    );
    const canvas = new OffscreenCanvas(1, 1).getContext('2d', { willReadFrequently: true });
    const paint = (layers) => {
      canvas.fillStyle = '#fff';
      canvas.fillRect(0, 0, 1, 1);
      for (const { colour, alpha } of layers) {
        canvas.globalAlpha = alpha;
        canvas.fillStyle = colour;
        canvas.fillRect(0, 0, 1, 1);
      }
      canvas.globalAlpha = 1;
      return [...canvas.getImageData(0, 0, 1, 1).data].slice(0, 3);
    };
    const luminance = (rgb) => {
      const [r, g, b] = rgb.map((c) =>
        c / 255 <= 0.04045 ? c / 255 / 12.92 : ((c / 255 + 0.055) / 1.055) ** 2.4,
      );
      return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const faint = [];
    let looked = 0;
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    while (walker.nextNode()) {
      const element = walker.currentNode.parentElement;
      const text = walker.currentNode.textContent.trim();
      const disabled = element.closest(':disabled');
      if (
        !text ||
        disabled ||
        !element.checkVisibility({ opacityProperty: true, visibilityProperty: true }) ||
        element.closest('.unseen, [aria-hidden=true], #symbols, option')
      )
        continue;
      const chain = [];
      for (let it = element; it; it = it.parentElement) chain.unshift(it);
      const behind = chain.map((it) => ({
        colour: getComputedStyle(it).backgroundColor,
        alpha: 1,
      }));
      const alpha = chain.reduce(
        (product, it) => product * Number(getComputedStyle(it).opacity),
        1,
      );
      const [front, back] = [
        paint([...behind, { colour: getComputedStyle(element).color, alpha }]),
        paint(behind),
      ]
        .map(luminance)
        .sort((a, b) => b - a);
      const contrast = (front + 0.05) / (back + 0.05);
      looked += 1;
      const least = element.closest('.text') && !element.closest('.waiting, a') ? 7 : 4.5;
      if (contrast < least)
        faint.push(
          `${contrast.toFixed(2)} ${element.className || element.tagName} ${text.slice(0, 20)}`,
        );
    }
    return looked >= 4 ? faint : [`only ${looked} texts were found`];
  });
  assert.deepEqual([...new Set(faint)], []);
}

/** Nothing sticks out to the side. @param {import('playwright-core').Page} page */
export async function fits(page) {
  const { wide, out } = await page.evaluate(() => ({
    wide: document.documentElement.scrollWidth - innerWidth,
    out: [...document.querySelectorAll('.app *, .signin *')]
      .filter(
        (it) =>
          it.checkVisibility() &&
          it.getBoundingClientRect().right > innerWidth + 1 &&
          !it.closest('.unseen'),
      )
      .map((it) => it.className || it.tagName),
  }));
  assert.ok(wide <= 0, `${wide} px too wide`);
  assert.deepEqual(out, []);
}

/** A finger finds every control (44 px, or the next one is far enough away).
 * @param {import('playwright-core').Page} page */
export async function touchable(page) {
  const small = await page.evaluate(() =>
    [...document.querySelectorAll('button, select, input, textarea')]
      .filter((it) => it.checkVisibility())
      .map((it) => ({ it, box: it.getBoundingClientRect() }))
      .filter(({ box }) => box.height < 43.5 || box.width < 43.5)
      .map(
        ({ it, box }) =>
          `${it.className || it.tagName} ${Math.round(box.width)}x${Math.round(box.height)}`,
      ),
  );
  assert.deepEqual(small, []);
}
