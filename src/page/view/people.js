// Who is here: the list where everybody is told of everybody, pages of it where there are too many.

import { current, PEOPLE } from '../state.js';
import { avatar } from './avatar.js';
import { Keyed, attribute, h, iconButton, setText } from './dom.js';

/** Authors of loaded messages who are not online, at most. */
const EARLIER = 20;

/** @typedef {{key: string, name: string, you: boolean}} Row */

/** The last column. */
export class People {
  /** @param {import('./context.js').Context} context */
  constructor({ say, act }) {
    this.say = say;
    const { t } = say;
    this.count = h('span', { class: 'count' });
    this.title = h('h2', { tabindex: -1 }, t('people.title'), ' ', this.count);
    const close = iconButton('close', t('people.close'), () => act.togglePeople(), {
      class: 'icon-button close-people',
    });
    const list = h('ul', { class: 'names' });
    this.alone = h('p', { class: 'people-note', hidden: true }, t('people.alone'));
    const onclick = () => act.morePeople();
    this.more = h('button', { type: 'button', class: 'secondary', hidden: true, onclick });
    this.more.append(t('people.more'));
    this.earlier = h('h3', {}, t('people.earlier'));
    const left = h('ul', { class: 'names earlier' });
    this.element = h(
      'aside',
      { class: 'people', id: 'people', 'aria-label': t('pane.people') },
      h('header', { class: 'bar' }, this.title, close),
      h('div', { class: 'people-scroll' }, list, this.alone, this.more, this.earlier, left),
    );
    const create = (/** @type {Row} */ { name, you }) => {
      const mark = you && h('span', { class: 'you' }, t('people.you'));
      return h('li', {}, avatar(name, 'small'), h('bdi', {}, name), mark);
    };
    /** @type {Keyed<Row>} */
    this.online = new Keyed(list, create, () => {});
    /** @type {Keyed<Row>} */
    this.left = new Keyed(left, create, () => {});
    /** What was drawn last. @type {unknown[]} */
    this.drawn = [];
  }

  focus() {
    this.title.focus();
  }

  /** @param {import('../state.js').State} state */
  render(state) {
    const { people: it, name } = state;
    const { entries } = current(state);
    setText(this.count, it.total ? String(it.total) : '');
    if (this.drawn[0] === it && this.drawn[1] === entries && this.drawn[2] === name) return;
    this.drawn = [it, entries, name];
    const { compare } = this.say;
    // Pages come in the server's order; a complete list is sorted as its reader expects.
    const mine = (/** @type {string} */ one) => Number(one === name);
    const sorted = (/** @type {string[]} */ names) =>
      [...names].sort((a, b) => mine(b) - mine(a) || compare(a, b));
    const names = it.more || it.names.length > PEOPLE ? it.names : sorted(it.names);
    this.online.render(names.map((one) => ({ key: one, name: one, you: one === name })));
    this.alone.hidden = it.total !== 1 || it.names.length !== 1;
    this.more.hidden = !it.more;
    attribute(this.more, 'disabled', it.asking);
    const left = it.more || it.names.length === 0 ? [] : gone(entries, [name, ...it.names]);
    this.left.render(sorted(left).map((one) => ({ key: one, name: one, you: false })));
    this.earlier.hidden = left.length === 0;
  }
}

/** Who wrote last and is not here. @param {import('../frames.js').Entry[]} entries
 * @param {string[]} here @returns {string[]} */
function gone(entries, here) {
  const present = new Set(here);
  /** @type {Set<string>} */
  const left = new Set();
  for (let i = entries.length - 1; i >= 0 && left.size < EARLIER; i -= 1) {
    if (!present.has(entries[i].from)) left.add(entries[i].from);
  }
  return [...left];
}
