// The messages of one conversation, and where one is in them.
//
// Two promises: whoever reads at the end stays at the end, and what is being read stays put when
// something is added above it. The log is an ordinary long list, in blocks; `content-visibility`
// (style/messages.css) keeps the browser from laying out what is far away, which it can still find.

import { canLoadOlder, unread } from '../conversation.js';
import { current } from '../state.js';
import { blocks, rows } from '../rows.js';
import { avatar } from './avatar.js';
import { Keyed, attribute, h, icon, setText } from './dom.js';
import { linked } from './text.js';

/** @typedef {import('../rows.js').MessageRow} MessageRow */
/** @typedef {import('../conversation.js').Conversation} Conversation */

/** Within so many pixels of the end, one is at the end. */
const END = 48;
/** So near to the top, older messages are asked for. */
const NEAR_TOP = 800;
/** Longer texts are folded. */
const LONG_CHARS = 2_400;
const LONG_LINES = 24;

/** @param {import('./context.js').Context} context */
export function messages(context) {
  const { say, act } = context;
  const { t } = say;
  const column = h('div', { class: 'column' });
  const loading = h('p', { class: 'note loading', hidden: true }, t('log.loading'));
  const empty = h(
    'div',
    { class: 'empty', hidden: true },
    icon('logo'),
    h('p', { class: 'empty-title' }, t('log.empty')),
    h('p', {}, t('log.emptyHint')),
  );
  const log = h(
    'div',
    { class: 'log', role: 'log', 'aria-label': t('log.label'), tabindex: 0 },
    loading,
    empty,
    column,
  );
  const count = h('span', { class: 'badge', 'aria-hidden': 'true' });
  const jump = h(
    'button',
    { type: 'button', class: 'jump', hidden: true, onclick: () => toEnd(true) },
    count,
    icon('down'),
  );
  /** What is in each block. @type {WeakMap<Element, Keyed<import('../rows.js').Row>>} */
  const contents = new WeakMap();
  /** @type {Keyed<ReturnType<typeof blocks>[number]>} */
  const keyed = new Keyed(
    column,
    () => {
      const block = h('div', { class: 'block' });
      contents.set(
        block,
        new Keyed(
          block,
          (row) => create(row, context),
          (element, row) => update(element, row, context),
        ),
      );
      return block;
    },
    (block, { rows: list }) => {
      if (contents.get(block)?.render(list)) attribute(block, 'data-fresh', true);
    },
  );

  let atEnd = true;
  /** @type {Conversation | null} */
  let shown = null;
  let lineShown = 0;

  /** @param {boolean} [smooth] */
  function toEnd(smooth = false) {
    atEnd = true;
    const calm = matchMedia('(prefers-reduced-motion: reduce)').matches;
    // Far away, a ride through everything in between helps nobody.
    const near = log.scrollHeight - log.scrollTop < 4 * log.clientHeight;
    log.scrollTo({
      top: log.scrollHeight,
      behavior: smooth && near && !calm ? 'smooth' : 'instant',
    });
  }

  function look() {
    atEnd = log.scrollHeight - log.scrollTop - log.clientHeight < END;
    jump.hidden = atEnd;
    report();
    if (log.scrollTop < NEAR_TOP && shown && canLoadOlder(shown)) act.older();
  }

  function report() {
    act.present(
      atEnd &&
        document.visibilityState === 'visible' &&
        document.hasFocus() &&
        log.offsetParent !== null,
    );
  }

  log.addEventListener('scroll', look, { passive: true });
  // The keyboard opens, the window changes, an estimated height becomes a real one.
  const follow = new ResizeObserver(() => {
    if (atEnd) toEnd();
    else look();
  });
  follow.observe(log);
  follow.observe(column);

  /** Renders, and keeps the first message in sight where it is (a day's name moves with its first
   * message, so it is no anchor). @param {ReturnType<typeof blocks>} list */
  function hold(list) {
    const top = log.getBoundingClientRect().top;
    const below = (/** @type {Element} */ it) => it.getBoundingClientRect().bottom > top + 1;
    const anchor = [...column.children]
      .filter(below)
      .flatMap((block) => [...block.querySelectorAll('.message')])
      .find(below);
    const before = anchor?.getBoundingClientRect().top ?? 0;
    // The browser's own anchoring does nothing at the very top, and must not do it twice elsewhere.
    log.style.setProperty('overflow-anchor', 'none');
    keyed.render(list);
    if (anchor?.isConnected) log.scrollTop += anchor.getBoundingClientRect().top - before;
    requestAnimationFrame(() => log.style.removeProperty('overflow-anchor'));
  }

  /** A block that is new or different is laid out once, wherever it is, so that the browser
   * remembers its true height when it skips it from then on (`contain-intrinsic-size: auto`):
   * nothing moves when it comes near. */
  function known() {
    const fresh = [...column.children].filter((block) => block.hasAttribute('data-fresh'));
    if (fresh.length === 0) return;
    requestAnimationFrame(() =>
      requestAnimationFrame(() => {
        const { top, bottom, height } = log.getBoundingClientRect();
        for (const block of fresh) {
          const box = block.getBoundingClientRect();
          // What is in sight stays as it is until it is far away: no flicker, no shift.
          if (box.bottom < top - height || box.top > bottom + height)
            block.removeAttribute('data-fresh');
        }
      }),
    );
  }

  /** @param {Conversation} it @param {import('../state.js').State} state */
  function renderRows(it, state) {
    const prepended = shown !== null && shown.loaded && it.first < shown.first && it.loaded;
    const begins = it.loaded && !shown?.loaded;
    const ownNew = it.pending.length > (shown?.pending.length ?? 0);
    // What is only fetched is not news to be read out.
    attribute(log, 'aria-busy', (prepended || begins || it.behind > 0 || !it.loaded) && 'true');
    attribute(log, 'aria-live', prepended || begins || it.behind > 0 ? 'off' : 'polite');
    shown = it;
    const list = blocks(rows(it, state));
    if (atEnd) keyed.render(list);
    else hold(list);
    if (begins && it.line) startAtLine();
    else if (atEnd || (ownNew && !begins)) toEnd();
    lineShown = it.line;
    known();
  }

  /** Reading goes on where it stopped. */
  function startAtLine() {
    const line = column.querySelector('.line');
    if (!line) return toEnd();
    log.scrollTop += line.getBoundingClientRect().top - log.getBoundingClientRect().top - 80;
    look();
  }

  return {
    elements: [log, jump],
    toEnd,
    atEnd: () => atEnd,
    report,
    /** @param {import('../state.js').State} state */
    render(state) {
      const it = current(state);
      const changed =
        !shown ||
        it.entries !== shown.entries ||
        it.pending !== shown.pending ||
        it.line !== lineShown ||
        it.holes !== shown.holes ||
        it.loaded !== shown.loaded ||
        it.first !== shown.first ||
        it.floor !== shown.floor;
      if (changed) renderRows(it, state);
      shown = it;
      loading.hidden = it.loaded && it.asking !== 'older';
      empty.hidden = !it.loaded || column.querySelector('.block > *') !== null;
      const n = unread(it, state.id);
      setText(count, n > 0 ? (n > 99 ? '99+' : String(n)) : '');
      attribute(jump, 'aria-label', n > 0 ? t('log.jumpNew', { n }) : t('log.jump'));
      attribute(jump, 'title', jump.getAttribute('aria-label'));
      if (changed) look();
    },
  };
}

/** @param {import('../rows.js').Row} row @param {import('./context.js').Context} context */
function create(row, { say: { t, day } }) {
  if (row.kind === 'message') {
    return h('article', { class: 'message', id: `m-${row.key}` });
  }
  if (row.kind === 'day') {
    const date = new Date(row.at);
    const iso = [date.getFullYear(), date.getMonth() + 1, date.getDate()]
      .map((part) => String(part).padStart(2, '0'))
      .join('-');
    return h(
      'h2',
      { class: 'day', id: row.key },
      h('time', { datetime: iso }, day(row.at, Date.now())),
    );
  }
  if (row.kind === 'line')
    return h(
      'div',
      { class: 'line', id: row.key, role: 'separator', 'aria-label': t('log.new') },
      h('span', {}, t('log.new')),
    );
  return h('p', { class: 'note', id: row.key }, t(`log.${row.kind}`));
}

/** @param {HTMLElement} element @param {import('../rows.js').Row} row
 * @param {import('./context.js').Context} context */
function update(element, row, context) {
  if (row.kind !== 'message') return;
  const { t, time } = context.say;
  element.className = [
    'message',
    row.own && 'own',
    row.first && 'first',
    row.last && 'last',
    row.sent !== 'yes' && row.sent,
  ]
    .filter(Boolean)
    .join(' ');
  attribute(
    element,
    'aria-label',
    t('message.label', {
      from: row.own ? t('message.own') : row.from,
      time: row.at ? time(row.at) : '',
    }),
  );
  const text = element.querySelector('.text');
  // The words of a message never change under the same key; the rest is small.
  const words =
    text instanceof HTMLElement ? [text, element.querySelector('.fold')] : body(row.text, t);
  const bubble = h(
    'div',
    { class: 'bubble' },
    row.first &&
      !row.own &&
      h('div', { class: 'from', 'data-hue': String(hueOf(row.from)) }, h('bdi', {}, row.from)),
    .../** @type {HTMLElement[]} */ (words.filter(Boolean)),
    meta(row, context),
  );
  element.replaceChildren(
    ...(row.own ? [] : [row.first ? avatar(row.from) : h('span', { class: 'avatar-space' })]),
    h(
      'div',
      { class: 'stack' },
      bubble,
      ...(row.sent === 'refused' ? [trouble(row, context)] : []),
    ),
  );
}

/** @param {string} name */
const hueOf = (name) => avatar(name).dataset.hue ?? '0';

/** @param {string} text @param {import('../i18n.js').Speaker['t']} t @returns {HTMLElement[]} */
function body(text, t) {
  const words = h('div', { class: 'text', dir: 'auto' }, ...linked(text));
  if (text.length < LONG_CHARS && text.split('\n', LONG_LINES + 1).length <= LONG_LINES)
    return [words];
  words.classList.add('folded');
  const more = h(
    'button',
    {
      type: 'button',
      class: 'fold link-button',
      onclick: () => {
        words.classList.remove('folded');
        more.remove();
      },
    },
    t('log.more'),
  );
  return [words, more];
}

/** Time and fate, in the corner. @param {MessageRow} row
 * @param {import('./context.js').Context} context */
function meta(row, { say: { t, time, full, knows } }) {
  const held =
    row.refusal && knows(`refusal.${row.refusal.name}`)
      ? t(`refusal.${row.refusal.name}`)
      : t('message.waiting');
  const fate = { yes: t('message.sent'), waiting: held, refused: t('message.refused') }[row.sent];
  return h(
    'span',
    { class: 'meta' },
    row.at > 0 &&
      h('time', { datetime: new Date(row.at).toISOString(), title: full(row.at) }, time(row.at)),
    row.own &&
      h(
        'span',
        { class: 'fate', title: fate },
        icon({ yes: 'sent', waiting: 'waiting', refused: 'refused' }[row.sent]),
        h('span', { class: 'unseen' }, fate),
      ),
  );
}

/** Why it was not sent, and what can be done. @param {MessageRow} row
 * @param {import('./context.js').Context} context */
function trouble(row, { say: { t, knows }, act }) {
  const key = row.key.slice(1);
  const why = row.refusal
    ? knows(`refusal.${row.refusal.name}`)
      ? t(`refusal.${row.refusal.name}`)
      : row.refusal.message
    : '';
  const button = (/** @type {string} */ label, /** @type {() => void} */ onclick) =>
    h('button', { type: 'button', class: 'link-button', onclick }, label);
  return h(
    'div',
    { class: 'trouble' },
    h('span', {}, `${t('message.refused')}. ${why}`),
    h(
      'span',
      { class: 'remedies' },
      button(t('message.again'), () => act.again(key)),
      button(t('message.edit'), () => act.edit(key)),
      button(t('message.drop'), () => act.drop(key)),
    ),
  );
}
