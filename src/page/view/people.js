// Who is here: the list where everybody is told of everybody, pages of it where there are too many.

import { current, PEOPLE } from '../state.js';
import { avatar } from './avatar.js';
import { Keyed, attribute, h, iconButton, setText } from './dom.js';

/** Authors of loaded messages who are not online, at most. */
const EARLIER = 20;

/** @typedef {{key: string, name: string, you: boolean}} Row */

/** @param {import('./context.js').Context} context */
export function people({ say: { t, compare }, act }) {
  const count = h('span', { class: 'count' });
  const list = h('ul', { class: 'names' });
  const alone = h('p', { class: 'people-note', hidden: true }, t('people.alone'));
  const more = h(
    'button',
    { type: 'button', class: 'secondary', hidden: true, onclick: () => act.morePeople() },
    t('people.more'),
  );
  const earlierTitle = h('h3', {}, t('people.earlier'));
  const earlier = h('ul', { class: 'names earlier' });
  const title = h('h2', { tabindex: -1 }, t('people.title'), ' ', count);
  const element = h(
    'aside',
    { class: 'people', id: 'people', 'aria-label': t('pane.people') },
    h(
      'header',
      { class: 'bar' },
      title,
      iconButton('close', t('people.close'), () => act.togglePeople(), {
        class: 'icon-button close-people',
      }),
    ),
    h('div', { class: 'people-scroll' }, list, alone, more, earlierTitle, earlier),
  );

  /** @param {Row} row */
  const create = (row) =>
    h(
      'li',
      {},
      avatar(row.name, 'small'),
      h('bdi', {}, row.name),
      row.you && h('span', { class: 'you' }, t('people.you')),
    );
  const online = new Keyed(list, create, () => {});
  const gone = new Keyed(earlier, create, () => {});
  /** @type {unknown[]} */
  let drawn = [];

  return {
    element,
    focus: () => title.focus(),
    /** @param {import('../state.js').State} state */
    render(state) {
      const { people: it, name } = state;
      const { entries } = current(state);
      setText(count, it.total ? String(it.total) : '');
      if (drawn[0] === it && drawn[1] === entries && drawn[2] === name) return;
      drawn = [it, entries, name];
      // Pages come in the server's order; a complete list is sorted as its reader expects.
      const names =
        it.more || it.names.length > PEOPLE
          ? it.names
          : [...it.names].sort((a, b) => Number(b === name) - Number(a === name) || compare(a, b));
      online.render(names.map((one) => ({ key: one, name: one, you: one === name })));
      alone.hidden = it.total !== 1 || it.names.length !== 1;
      more.hidden = !it.more;
      attribute(more, 'disabled', it.asking);
      const here = new Set(it.names);
      const left = new Set();
      for (
        let i = entries.length - 1;
        i >= 0 && left.size < EARLIER && !it.more && it.names.length;
        i -= 1
      ) {
        if (!here.has(entries[i].from) && entries[i].from !== name) left.add(entries[i].from);
      }
      gone.render([...left].sort(compare).map((one) => ({ key: one, name: one, you: false })));
      earlierTitle.hidden = left.size === 0;
    },
  };
}
