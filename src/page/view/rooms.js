// Conversations: a filter, the list, and at its foot oneself.

import { unread } from '../conversation.js';
import { current } from '../state.js';
import { attribute, h, icon, setText } from './dom.js';
import { Me } from './me.js';

/** Characters of the last message that are looked at for its preview. */
const PREVIEW = 200;

/** @typedef {import('../state.js').State} State */

/** The first column. */
export class Rooms {
  /** @param {import('./context.js').Context} context */
  constructor(context) {
    this.say = context.say;
    const { t } = context.say;
    this.filter = h('input', {
      type: 'search',
      class: 'filter',
      'aria-label': t('rooms.filter'),
      placeholder: t('rooms.filter'),
      'aria-keyshortcuts': 'Control+K',
      autocomplete: 'off',
      spellcheck: 'false',
      oninput: () => this.filtered(),
    });
    this.preview = h('span', { class: 'room-preview' });
    this.when = h('span', { class: 'room-when' });
    this.badge = h('span', { class: 'badge', hidden: true });
    this.lobby = this.room(t('rooms.lobby'), () => context.act.go('messages'));
    this.list = h('ul', { class: 'room-list' }, h('li', {}, this.lobby));
    this.none = h('p', { class: 'people-note', hidden: true }, t('rooms.none'));
    this.me = new Me(context);
    const mark = h('span', { class: 'logo' }, icon('logo'));
    this.element = h(
      'nav',
      {
        class: 'rooms',
        'aria-label': t('rooms.title'),
        onkeydown: (/** @type {KeyboardEvent} */ event) => this.pressed(event),
      },
      h('header', { class: 'bar' }, mark, h('h2', {}, t('app.name'))),
      h('div', { class: 'filter-box' }, icon('search'), this.filter),
      this.list,
      this.none,
      ...this.me.elements,
    );
  }

  /** @param {string} name @param {() => void} onclick */
  room(name, onclick) {
    const title = h('span', { class: 'room-title' }, name);
    return h(
      'button',
      { type: 'button', class: 'room', 'aria-current': 'page', onclick },
      h('span', { class: 'avatar room-avatar', 'aria-hidden': 'true' }, icon('logo')),
      h(
        'span',
        { class: 'room-lines' },
        h('span', { class: 'room-line' }, title, this.when),
        h('span', { class: 'room-line' }, this.preview, this.badge),
      ),
    );
  }

  focus() {
    this.lobby.focus();
  }

  /** The rooms that the filter leaves. */
  left() {
    const all = [...this.list.querySelectorAll('button')];
    return all.filter((room) => !room.closest('li')?.hidden);
  }

  filtered() {
    const wanted = this.filter.value.trim().toLocaleLowerCase();
    for (const item of this.list.querySelectorAll('li')) {
      const name = item.querySelector('.room-title')?.textContent ?? '';
      item.hidden = !name.toLocaleLowerCase().includes(wanted);
    }
    this.none.hidden = this.left().length > 0;
  }

  /** Arrows go through the list, Enter takes its first. @param {KeyboardEvent} event */
  pressed(event) {
    if (event.isComposing) return;
    const stops = [this.filter, ...this.left()];
    const at = stops.indexOf(/** @type {any} */ (document.activeElement));
    if (event.key === 'Enter' && at === 0) {
      event.preventDefault();
      const [first] = this.left();
      this.filter.value = '';
      this.filtered();
      first?.click();
    } else if ((event.key === 'ArrowDown' || event.key === 'ArrowUp') && at >= 0) {
      event.preventDefault();
      const next = at + (event.key === 'ArrowDown' ? 1 : -1);
      stops[Math.min(stops.length - 1, Math.max(0, next))].focus();
    }
  }

  /** @param {State} state @param {number} now */
  render(state, now) {
    const { t, brief } = this.say;
    const { text, at } = this.last(state);
    setText(this.preview, text);
    setText(this.when, at ? brief(at, now) : '');
    const n = unread(current(state), state.id);
    this.badge.hidden = n === 0;
    setText(this.badge, n > 99 ? '99+' : String(n));
    attribute(this.badge, 'aria-label', t('rooms.unread', { n }));
    this.me.render(state);
  }

  /** What was said last, in one line. @param {State} state */
  last(state) {
    const { t } = this.say;
    const it = current(state);
    const waiting = it.pending.findLast((message) => !message.seen);
    const entry = it.entries.findLast((one) => one.text !== null);
    const line = (/** @type {string} */ text) => text.slice(0, PREVIEW).replace(/\s+/g, ' ');
    if (waiting) return { text: t('rooms.own', { text: line(waiting.text) }), at: waiting.at };
    if (!entry) return { text: t('rooms.lobbyAbout'), at: 0 };
    const text = line(entry.text ?? '');
    const own = entry.fromId === state.id;
    return { text: own ? t('rooms.own', { text }) : `${entry.from}: ${text}`, at: entry.at };
  }
}
