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
/** @typedef {import('../rows.js').Row} Row */
/** @typedef {ReturnType<typeof blocks>[number]} Block */
/** @typedef {import('../conversation.js').Conversation} Conversation */

/** Within so many pixels of the end, one is at the end. */
const END = 48;
/** So near to the top, older messages are asked for. */
const NEAR_TOP = 800;
/** Longer texts are folded. */
const LONG_CHARS = 2_400;
const LONG_LINES = 24;

/** The parts of a conversation that decide what the log looks like. */
const SEEN = /** @type {const} */ ([
  'entries',
  'pending',
  'line',
  'holes',
  'loaded',
  'first',
  'floor',
]);

/** The log, and the button that leads to its end. */
export class Messages {
  /** @param {import('./context.js').Context} context */
  constructor(context) {
    const { say, act } = context;
    this.context = context;
    this.say = say;
    this.act = act;
    const { t } = say;
    this.column = h('div', { class: 'column' });
    this.loading = h('p', { class: 'note loading', hidden: true }, t('log.loading'));
    this.empty = h(
      'div',
      { class: 'empty', hidden: true },
      icon('logo'),
      h('p', { class: 'empty-title' }, t('log.empty')),
      h('p', {}, t('log.emptyHint')),
    );
    const props = { class: 'log', role: 'log', 'aria-label': t('log.label'), tabindex: 0 };
    this.log = h('div', props, this.empty, this.column);
    this.count = h('span', { class: 'badge', 'aria-hidden': 'true' });
    this.jump = h(
      'button',
      { type: 'button', class: 'jump', hidden: true, onclick: () => this.toEnd(true) },
      this.count,
      icon('down'),
    );
    this.elements = [this.log, this.loading, this.jump];
    this.blocks = this.keyedBlocks();
    this.atEnd = true;
    /** @type {Conversation | null} */
    this.shown = null;
    this.log.addEventListener('scroll', () => this.look(), { passive: true });
    // The keyboard opens, the window changes, an estimated height becomes a real one.
    const follow = new ResizeObserver(() => (this.atEnd ? this.toEnd() : this.look()));
    follow.observe(this.log);
    follow.observe(this.column);
  }

  /** Blocks by key, and in each of them rows by key. @returns {Keyed<Block>} */
  keyedBlocks() {
    const { context } = this;
    /** @type {WeakMap<Element, Keyed<Row>>} */
    const contents = new WeakMap();
    const block = () => {
      const element = h('div', { class: 'block' });
      const change = (/** @type {any} */ row, /** @type {Row} */ it) => update(row, it, context);
      contents.set(element, new Keyed(element, (it) => create(it, context), change));
      return element;
    };
    return new Keyed(this.column, block, (element, it) => {
      if (contents.get(element)?.render(it.rows)) attribute(element, 'data-fresh', true);
    });
  }

  /** @param {import('../state.js').State} state */
  render(state) {
    const it = current(state);
    const { shown } = this;
    const changed = !shown || SEEN.some((part) => it[part] !== shown[part]);
    if (changed) this.renderRows(it, state);
    this.shown = it;
    this.loading.hidden = it.loaded && it.asking !== 'older';
    this.empty.hidden = !it.loaded || this.column.querySelector('.block > *') !== null;
    const { t } = this.say;
    const n = unread(it, state.id);
    setText(this.count, n > 99 ? '99+' : n > 0 ? String(n) : '');
    attribute(this.jump, 'aria-label', n > 0 ? t('log.jumpNew', { n }) : t('log.jump'));
    attribute(this.jump, 'title', this.jump.getAttribute('aria-label'));
    if (changed) this.look();
  }

  /** @param {Conversation} it @param {import('../state.js').State} state */
  renderRows(it, state) {
    const before = this.shown;
    const prepended = before !== null && before.loaded && it.loaded && it.first < before.first;
    const begins = it.loaded && !before?.loaded;
    const ownNew = it.pending.length > (before?.pending.length ?? 0);
    // What is only fetched is not news to be read out.
    const fetched = prepended || begins || it.behind > 0;
    attribute(this.log, 'aria-busy', (fetched || !it.loaded) && 'true');
    attribute(this.log, 'aria-live', fetched ? 'off' : 'polite');
    this.shown = it;
    const list = blocks(rows(it, state));
    if (this.atEnd) this.blocks.render(list);
    else this.hold(list);
    if (begins && it.line) this.startAtLine();
    else if (this.atEnd || (ownNew && !begins)) this.toEnd();
    this.known();
  }

  /** Renders, and keeps the first message in sight where it is (a day's name moves with its first
   * message, so it is no anchor). @param {Block[]} list */
  hold(list) {
    const { log, column } = this;
    const top = log.getBoundingClientRect().top;
    const below = (/** @type {Element} */ it) => it.getBoundingClientRect().bottom > top + 1;
    const anchor = [...column.children]
      .filter(below)
      .flatMap((block) => [...block.querySelectorAll('.message')])
      .find(below);
    const before = anchor?.getBoundingClientRect().top ?? 0;
    // The browser's own anchoring does nothing at the very top, and must not do it twice elsewhere.
    log.style.setProperty('overflow-anchor', 'none');
    this.blocks.render(list);
    if (anchor?.isConnected) log.scrollTop += anchor.getBoundingClientRect().top - before;
    requestAnimationFrame(() => log.style.removeProperty('overflow-anchor'));
  }

  /** A block that is new or different is laid out once, wherever it is, so that the browser
   * remembers its true height when it skips it from then on (`contain-intrinsic-size: auto`):
   * nothing moves when it comes near. */
  known() {
    const fresh = [...this.column.children].filter((block) => block.hasAttribute('data-fresh'));
    const forget = () => {
      const { top, bottom, height } = this.log.getBoundingClientRect();
      for (const block of fresh) {
        const box = block.getBoundingClientRect();
        // What is in sight stays as it is until it is far away: no flicker, no shift.
        const far = box.bottom < top - height || box.top > bottom + height;
        if (far) block.removeAttribute('data-fresh');
      }
    };
    if (fresh.length > 0) requestAnimationFrame(() => requestAnimationFrame(forget));
  }

  /** Reading goes on where it stopped. */
  startAtLine() {
    const line = this.column.querySelector('.line');
    if (!line) return this.toEnd();
    const { log } = this;
    log.scrollTop += line.getBoundingClientRect().top - log.getBoundingClientRect().top - 80;
    this.look();
  }

  /** @param {boolean} [smooth] */
  toEnd(smooth = false) {
    this.atEnd = true;
    const { log } = this;
    const calm = matchMedia('(prefers-reduced-motion: reduce)').matches;
    // Far away, a ride through everything in between helps nobody.
    const near = log.scrollHeight - log.scrollTop < 4 * log.clientHeight;
    const behavior = smooth && near && !calm ? 'smooth' : 'instant';
    log.scrollTo({ top: log.scrollHeight, behavior });
  }

  /** Where are we? */
  look() {
    const { log, shown } = this;
    this.atEnd = log.scrollHeight - log.scrollTop - log.clientHeight < END;
    this.jump.hidden = this.atEnd;
    this.report();
    if (log.scrollTop < NEAR_TOP && shown && canLoadOlder(shown)) this.act.older();
  }

  /** Says whether somebody looks at the end. */
  report() {
    const here = document.visibilityState === 'visible' && document.hasFocus();
    this.act.present(here && this.atEnd && this.log.offsetParent !== null);
  }
}

/** @param {Row} row @param {import('./context.js').Context} context */
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

/** @param {HTMLElement} element @param {Row} row
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
