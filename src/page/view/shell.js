// The three columns, which of them a narrow screen shows, and where the focus goes.

import { current } from '../state.js';
import { setSetting, setting } from '../storage.js';
import { composer } from './composer.js';
import { attribute, h, icon, iconButton, setText } from './dom.js';
import { messages } from './messages.js';
import { people } from './people.js';
import { rooms } from './rooms.js';
import { status } from './status.js';

/** @typedef {import('./context.js').Pane} Pane */

/** One column; style/columns.css has the same number. */
const NARROW = '(max-width: 759px)';
/** Three columns; between the two, people lie over the messages. */
const WIDE = '(min-width: 1080px)';

/** @param {import('./context.js').Context} context */
export function shell(context) {
  const {
    say: { t },
    act,
  } = context;
  const log = messages(context);
  const write = composer(context);
  const side = people(context);
  const nav = rooms(context);
  const line = status(context);

  const title = h('h1', { tabindex: -1 }, t('rooms.lobby'));
  const sub = h('span', { class: 'sub' });
  const online = h('span', { class: 'people-count', 'aria-hidden': 'true' });
  const peopleButton = h(
    'button',
    {
      type: 'button',
      class: 'icon-button people-button',
      'aria-controls': 'people',
      onclick: () => act.togglePeople(),
    },
    icon('people'),
    online,
  );
  const header = h(
    'header',
    { class: 'bar' },
    iconButton('back', t('pane.back'), () => act.go('rooms'), { class: 'icon-button back' }),
    h('span', { class: 'avatar room-avatar', 'aria-hidden': 'true' }, icon('logo')),
    h('div', { class: 'bar-lines' }, title, sub),
    peopleButton,
  );
  const talk = h(
    'main',
    { class: 'talk' },
    header,
    h('div', { class: 'log-box' }, ...line.elements, ...log.elements),
    ...write.elements,
  );
  const element = h('div', { class: 'app' }, nav.element, talk, side.element);

  /** @type {Pane} */
  let pane = 'messages';
  let folded = setting('people') === 'folded';

  const narrow = matchMedia(NARROW);
  const wide = matchMedia(WIDE);
  let lying = false;

  function arrange() {
    const here = narrow.matches ? pane === 'people' : wide.matches ? !folded : lying;
    attribute(element, 'data-pane', pane);
    attribute(element, 'data-people', here ? 'shown' : 'folded');
    attribute(peopleButton, 'aria-expanded', String(here));
    log.report();
  }
  const changed = () => {
    lying = false;
    arrange();
  };
  narrow.addEventListener('change', changed);
  wide.addEventListener('change', changed);

  /** @param {Pane} next */
  function show(next) {
    if (next === pane) return;
    const before = pane;
    pane = next;
    arrange();
    if (!narrow.matches) return;
    if (pane === 'rooms') nav.focus();
    else if (pane === 'people') side.focus();
    else if (before === 'people') peopleButton.focus();
    else title.focus();
  }

  function togglePeople() {
    if (narrow.matches) return act.go(pane === 'people' ? 'messages' : 'people');
    if (wide.matches) {
      folded = !folded;
      setSetting('people', folded ? 'folded' : '');
    } else lying = !lying;
    arrange();
    const shown = element.dataset.people === 'shown';
    if (shown) side.focus();
    else peopleButton.focus();
  }

  /** @param {KeyboardEvent} event */
  function keys(event) {
    if (event.isComposing || event.defaultPrevented) return;
    if (
      event.key.toLowerCase() === 'k' &&
      (event.ctrlKey || event.metaKey) &&
      !event.shiftKey &&
      !event.altKey
    ) {
      event.preventDefault();
      if (narrow.matches) act.go('rooms');
      nav.filter();
    } else if (event.key === 'Escape') {
      if (narrow.matches && pane !== 'messages') act.go('messages');
      else if (lying) togglePeople();
      else if (document.activeElement?.closest('.talk') && write.empty() && !log.atEnd())
        log.toEnd();
      write.focus();
    } else if (
      typesText(event) &&
      (document.activeElement?.closest('.log') || document.activeElement === title)
    ) {
      // Whoever reads and begins to type wants to write.
      write.focus();
    }
  }

  arrange();
  return {
    element,
    show,
    togglePeople,
    keys,
    // On a narrow screen the keyboard on glass would cover what there is to read.
    focus: () => (narrow.matches ? title.focus() : write.focus()),
    take: write.take,
    warn: write.warn,
    toEnd: () => log.toEnd(),
    report: log.report,
    /** Measures what could not be measured before it was in the document. */
    settle: () => void write.measure(),
    stop: () => {
      narrow.removeEventListener('change', changed);
      wide.removeEventListener('change', changed);
    },
    /** @param {import('../state.js').State} state @param {number} now */
    render(state, now) {
      const n = state.people.total;
      setText(sub, n && current(state).loaded ? t('pane.online', { n }) : '\u00a0');
      setText(online, n ? String(n) : '');
      attribute(
        peopleButton,
        'aria-label',
        n ? `${t('pane.people')}, ${t('pane.online', { n })}` : t('pane.people'),
      );
      attribute(peopleButton, 'title', t('pane.people'));
      line.render(state, now);
      nav.render(state, now);
      side.render(state);
      write.render(state);
      log.render(state);
    },
  };
}

/** @param {KeyboardEvent} event */
const typesText = (event) =>
  [...event.key].length === 1 &&
  event.key !== ' ' &&
  !event.ctrlKey &&
  !event.metaKey &&
  !event.altKey;
