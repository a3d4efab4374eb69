// Where a message is written: grows to a limit, keeps the draft, never disturbs an input method.

import { current, WAITING } from '../state.js';
import { attribute, h, icon, setText } from './dom.js';

/** The rest is shown from this part of the limit on. */
const NEAR = 0.8;
const utf8 = new TextEncoder();

/** The field, its button, and above them who else is typing. */
export class Composer {
  /** @param {import('./context.js').Context} context */
  constructor({ say, act, draft }) {
    this.say = say;
    this.act = act;
    const { t } = say;
    this.field = h('textarea', {
      rows: 1,
      'aria-label': t('composer.label'),
      placeholder: t('composer.hint'),
      dir: 'auto',
      'aria-describedby': 'composer-note',
      autocomplete: 'off',
      oninput: () => this.written(),
      onkeydown: (/** @type {KeyboardEvent} */ event) => this.pressed(event),
    });
    this.field.value = draft;
    this.note = h('span', { id: 'composer-note', class: 'composer-note', role: 'status' });
    const send = t('composer.send');
    this.button = h('button', { type: 'submit', class: 'send', 'aria-label': send, title: send });
    this.button.append(icon('send'));
    this.who = h('span', { class: 'typing-who' });
    const dots = h('span', { class: 'dots' }, h('i'), h('i'), h('i'));
    this.typing = h('div', { class: 'typing', 'aria-hidden': 'true' }, dots, this.who);
    const onsubmit = (/** @type {Event} */ event) => {
      event.preventDefault();
      this.submit();
      this.field.focus();
    };
    const box = h('div', { class: 'composer-box' }, this.field, this.button);
    this.elements = [this.typing, h('form', { class: 'composer', onsubmit }, box, this.note)];
    this.most = Infinity;
    this.full = false;
    this.trouble = '';
  }

  get empty() {
    return this.field.value === '';
  }

  focus() {
    this.field.focus();
  }

  /** Takes the height that the text needs, and judges its length.
   * @returns {boolean} whether it can be sent */
  measure() {
    const { field, most, full, trouble } = this;
    const { t } = this.say;
    field.style.setProperty('height', 'auto');
    field.style.setProperty('height', `${field.scrollHeight}px`);
    // Three bytes per unit of UTF-16 is the most; short texts need no encoding to be judged.
    const short = field.value.length * 3 < NEAR * most;
    const bytes = short ? 0 : utf8.encode(field.value).length;
    const over = bytes > most;
    const left = bytes > NEAR * most ? t('composer.left', { n: most - bytes }) : '';
    const words = trouble || (over ? t('composer.over', { n: bytes - most }) : left);
    setText(this.note, full ? t('composer.full') : words);
    attribute(this.note, 'data-over', over || full || trouble !== '');
    const fit = !over && !full && field.value.trim() !== '';
    attribute(this.button, 'disabled', !fit);
    return fit;
  }

  written() {
    this.measure();
    this.act.draft(this.field.value);
    if (this.field.value.trim() !== '') this.act.typing();
  }

  /** Shift, and every key of an input method that composes (keyCode 229 is how Safari says it), are
   * somebody else's. A keyboard on glass has no Shift+Enter: there Enter breaks the line.
   * @param {KeyboardEvent} event */
  pressed(event) {
    if (event.key !== 'Enter' || event.shiftKey || event.isComposing || event.keyCode === 229)
      return;
    if (matchMedia('(hover: none) and (pointer: coarse)').matches) return;
    event.preventDefault();
    this.submit();
  }

  submit() {
    if (!this.measure()) return;
    const text = this.field.value;
    this.field.value = '';
    this.act.draft('');
    this.act.send(text);
    this.measure();
  }

  /** Takes back what was not sent, before what is being written. @param {string} text */
  take(text) {
    const { field } = this;
    field.value = field.value.trim() ? `${text}\n${field.value}` : text;
    this.act.draft(field.value);
    this.measure();
    field.focus();
  }

  /** @param {string} words */
  warn(words) {
    this.trouble = words;
    this.measure();
  }

  /** @param {import('../state.js').State} state */
  render(state) {
    const it = current(state);
    const full = it.pending.length >= WAITING;
    if (this.most !== state.limits.textBytes || this.full !== full) {
      this.most = state.limits.textBytes;
      this.full = full;
      this.measure();
    }
    const names = Object.keys(it.typing);
    attribute(this.typing, 'data-on', names.length > 0);
    if (names.length > 0) setText(this.who, this.typingWords(names));
  }

  /** @param {string[]} names */
  typingWords(names) {
    const { t, list } = this.say;
    if (names.length > 3) return t('typing.many', { n: names.length });
    return t(names.length === 1 ? 'typing.one' : 'typing.some', { who: list(names) });
  }
}
