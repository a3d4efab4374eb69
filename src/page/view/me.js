// Oneself: a strip with the name, and settings that fold out above it.

import { LANGUAGES } from '../i18n.js';
import { setting } from '../storage.js';
import { avatar } from './avatar.js';
import { attribute, h, iconButton, setText } from './dom.js';

/** @param {string} value @param {string} label @param {boolean} selected @param {string} [lang] */
const option = (value, label, selected, lang) => h('option', { value, selected, lang }, label);

/** The foot of the conversations. */
export class Me {
  /** @param {import('./context.js').Context} context */
  constructor({ say, act }) {
    this.say = say;
    this.act = act;
    const { t } = say;
    this.face = h('span', { class: 'face' });
    this.name = h('bdi', { class: 'me-name' });
    this.panel = h(
      'section',
      {
        class: 'settings',
        id: 'settings',
        'aria-label': t('me.settings'),
        hidden: true,
        onkeydown: (/** @type {KeyboardEvent} */ event) => this.pressed(event),
      },
      this.language(),
      this.theme(),
      this.notify(),
      this.leave(),
    );
    this.toggle = iconButton(
      'settings',
      t('me.settings'),
      () => this.open(this.panel.hidden !== false),
      {
        'aria-expanded': 'false',
        'aria-controls': 'settings',
      },
    );
    const lines = h('span', { class: 'me-lines' }, this.name);
    lines.append(h('span', { class: 'hint' }, t('me.guest')));
    this.elements = [this.panel, h('footer', { class: 'me' }, this.face, lines, this.toggle)];
  }

  /** @param {string} label @param {string} id @param {HTMLElement[]} options
   * @param {(value: string) => void} change */
  choice(label, id, options, change) {
    const onchange = (/** @type {any} */ event) => change(event.target.value);
    const select = h('select', { id, onchange }, ...options);
    return h('div', { class: 'setting' }, h('label', { for: id }, label), select);
  }

  language() {
    const { t, language } = this.say;
    const options = Object.entries(LANGUAGES).map(([code, label]) =>
      option(code, label, code === language, code),
    );
    return this.choice(t('me.language'), 'set-language', options, this.act.language);
  }

  theme() {
    const { t } = this.say;
    const theme = setting('theme') || 'auto';
    const options = ['auto', 'light', 'dark'].map((one) =>
      option(one, t(`me.theme.${one}`), one === theme),
    );
    return this.choice(t('me.theme'), 'set-theme', options, this.act.theme);
  }

  notify() {
    const { t } = this.say;
    const permission = typeof Notification === 'undefined' ? 'denied' : Notification.permission;
    if (permission === 'denied') {
      const blocked = h('span', { class: 'hint' }, t('me.notify.denied'));
      return h('div', { class: 'setting' }, h('span', {}, t('me.notify')), blocked);
    }
    const on = setting('notify') === 'on' && permission === 'granted';
    const options = [option('off', t('me.notify.off'), !on), option('on', t('me.notify.on'), on)];
    const change = (/** @type {string} */ value) => this.act.notify(value === 'on');
    return this.choice(t('me.notify'), 'set-notify', options, change);
  }

  leave() {
    const { t } = this.say;
    const onclick = () => this.act.leave();
    const button = h(
      'button',
      { type: 'button', class: 'secondary danger', onclick },
      t('me.leave'),
    );
    return h('div', { class: 'setting' }, h('span', { class: 'hint' }, t('me.leaveHint')), button);
  }

  /** @param {boolean} wanted */
  open(wanted) {
    const { t } = this.say;
    this.panel.hidden = !wanted;
    attribute(this.toggle, 'aria-expanded', String(wanted));
    attribute(this.toggle, 'aria-label', t(wanted ? 'me.close' : 'me.settings'));
    attribute(this.toggle, 'title', t(wanted ? 'me.close' : 'me.settings'));
    if (wanted) this.panel.querySelector('select')?.focus();
  }

  /** @param {KeyboardEvent} event */
  pressed(event) {
    if (event.key !== 'Escape') return;
    event.stopPropagation();
    this.open(false);
    this.toggle.focus();
  }

  /** @param {import('../state.js').State} state */
  render(state) {
    if (this.name.textContent === state.name) return;
    setText(this.name, state.name);
    this.face.replaceChildren(avatar(state.name, 'small'));
  }
}
