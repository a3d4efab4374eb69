// The three columns, which of them a narrow screen shows, and where the focus goes.

import { current } from '../state.js';
import { setSetting, setting } from '../storage.js';
import { Composer } from './composer.js';
import { attribute, h, icon, iconButton, setText } from './dom.js';
import { Messages } from './messages.js';
import { People } from './people.js';
import { Rooms } from './rooms.js';
import { Status } from './status.js';

/** @typedef {import('./context.js').Pane} Pane */
/** @typedef {import('../state.js').State} State */

/** One column; style/columns.css has the same number. */
export const NARROW = '(max-width: 759px)';
/** Three columns; between the two, people lie over the messages. */
const WIDE = '(min-width: 1080px)';

/** Everything that is seen once one is in. */
export class Shell {
  /** @param {import('./context.js').Context} context */
  constructor(context) {
    this.say = context.say;
    this.act = context.act;
    this.log = new Messages(context);
    this.write = new Composer(context);
    this.side = new People(context);
    this.nav = new Rooms(context);
    this.line = new Status(context);
    const { t } = context.say;
    this.title = h('h1', { tabindex: -1 }, t('rooms.lobby'));
    this.sub = h('span', { class: 'sub' });
    this.online = h('span', { class: 'people-count', 'aria-hidden': 'true' });
    this.peopleButton = iconButton('people', t('pane.people'), () => this.act.togglePeople(), {
      class: 'icon-button people-button',
      'aria-controls': 'people',
    });
    const box = h('div', { class: 'log-box' }, ...this.line.elements, ...this.log.elements);
    const talk = h('main', { class: 'talk' }, this.head(), box, ...this.write.elements);
    this.element = h('div', { class: 'app' }, this.nav.element, talk, this.side.element);
    /** @type {Pane} */
    this.pane = 'messages';
    /** Whether the person has folded the list of people away, where there is room for it. */
    this.folded = setting('people') === 'folded';
    /** Whether it lies over the messages, where there is not. */
    this.lying = false;
    this.narrow = matchMedia(NARROW);
    this.wide = matchMedia(WIDE);
    this.changed = () => {
      this.lying = false;
      this.arrange();
    };
    this.narrow.addEventListener('change', this.changed);
    this.wide.addEventListener('change', this.changed);
    this.arrange();
  }

  head() {
    const { t } = this.say;
    this.peopleButton.append(this.online);
    const back = iconButton('back', t('pane.back'), () => this.act.go('rooms'), {
      class: 'icon-button back',
    });
    const mark = h('span', { class: 'avatar room-avatar', 'aria-hidden': 'true' }, icon('logo'));
    const lines = h('div', { class: 'bar-lines' }, this.title, this.sub);
    return h('header', { class: 'bar' }, back, mark, lines, this.peopleButton);
  }

  stop() {
    this.narrow.removeEventListener('change', this.changed);
    this.wide.removeEventListener('change', this.changed);
  }

  /** On a narrow screen the keyboard on glass would cover what there is to read. */
  focus() {
    if (this.narrow.matches) this.title.focus();
    else this.write.focus();
  }

  arrange() {
    const wide = this.wide.matches ? !this.folded : this.lying;
    const here = this.narrow.matches ? this.pane === 'people' : wide;
    attribute(this.element, 'data-pane', this.pane);
    attribute(this.element, 'data-people', here ? 'shown' : 'folded');
    attribute(this.peopleButton, 'aria-expanded', String(here));
    this.log.report();
  }

  /** @param {Pane} next */
  show(next) {
    if (next === this.pane) return;
    const before = this.pane;
    this.pane = next;
    this.arrange();
    if (!this.narrow.matches) return;
    if (next === 'rooms') this.nav.focus();
    else if (next === 'people') this.side.focus();
    else if (before === 'people') this.peopleButton.focus();
    else this.title.focus();
  }

  togglePeople() {
    if (this.narrow.matches) return this.act.go(this.pane === 'people' ? 'messages' : 'people');
    if (this.wide.matches) {
      this.folded = !this.folded;
      setSetting('people', this.folded ? 'folded' : '');
    } else this.lying = !this.lying;
    this.arrange();
    if (this.element.dataset.people === 'shown') this.side.focus();
    else this.peopleButton.focus();
  }

  /** @param {KeyboardEvent} event */
  keys(event) {
    if (event.isComposing || event.defaultPrevented) return;
    const at = document.activeElement;
    if (isSwitch(event)) {
      event.preventDefault();
      if (this.narrow.matches) this.act.go('rooms');
      this.nav.filter.focus();
    } else if (event.key === 'Escape') {
      if (this.narrow.matches && this.pane !== 'messages') this.act.go('messages');
      else if (this.lying) this.togglePeople();
      else if (at?.closest('.talk') && this.write.empty && !this.log.atEnd) this.log.toEnd();
      this.write.focus();
    } else if (isText(event) && (at?.closest('.log') || at === this.title)) {
      // Whoever reads and begins to type wants to write.
      this.write.focus();
    }
  }

  /** @param {State} state @param {number} now */
  render(state, now) {
    const { t } = this.say;
    const n = state.people.total;
    const online = t('pane.online', { n });
    setText(this.sub, n && current(state).loaded ? online : '\u00a0');
    setText(this.online, n ? String(n) : '');
    const people = t('pane.people');
    attribute(this.peopleButton, 'aria-label', n ? `${people}, ${online}` : people);
    this.line.render(state, now);
    this.nav.render(state, now);
    this.side.render(state);
    this.write.render(state);
    this.log.render(state);
  }
}

/** @param {KeyboardEvent} event */
const isSwitch = (event) =>
  event.key.toLowerCase() === 'k' &&
  (event.ctrlKey || event.metaKey) &&
  !event.shiftKey &&
  !event.altKey;

/** @param {KeyboardEvent} event */
const isText = (event) =>
  [...event.key].length === 1 &&
  event.key !== ' ' &&
  !event.ctrlKey &&
  !event.metaKey &&
  !event.altKey;
