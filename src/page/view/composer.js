// Where a message is written: grows to a limit, keeps the draft, never disturbs an input method.

import { current, WAITING } from '../state.js';
import { attribute, h, icon, setText } from './dom.js';

/** The rest is shown from this part of the limit on. */
const NEAR = 0.8;
const utf8 = new TextEncoder();

/** @param {import('./context.js').Context} context */
export function composer({ say: { t, list }, act, draft }) {
  const field = h('textarea', {
    rows: 1,
    'aria-label': t('composer.label'),
    placeholder: t('composer.hint'),
    dir: 'auto',
    'aria-describedby': 'composer-note',
    autocomplete: 'off',
  });
  field.value = draft;
  const note = h('span', { id: 'composer-note', class: 'composer-note', role: 'status' });
  const send = h(
    'button',
    { type: 'submit', class: 'send', 'aria-label': t('composer.send'), title: t('composer.send') },
    icon('send'),
  );
  const typing = h(
    'div',
    { class: 'typing', 'aria-hidden': 'true' },
    h('span', { class: 'dots' }, h('i'), h('i'), h('i')),
    h('span', { class: 'typing-who' }),
  );
  const who = /** @type {HTMLElement} */ (typing.lastChild);
  let most = Infinity;
  let full = false;
  let trouble = '';

  function measure() {
    field.style.setProperty('height', 'auto');
    field.style.setProperty('height', `${field.scrollHeight}px`);
    // Three bytes per unit of UTF-16 is the most; short texts need no encoding to be judged.
    const bytes = field.value.length * 3 < NEAR * most ? 0 : utf8.encode(field.value).length;
    const near = bytes > NEAR * most;
    const over = bytes > most;
    const words =
      trouble ||
      (over
        ? t('composer.over', { n: bytes - most })
        : near
          ? t('composer.left', { n: most - bytes })
          : '');
    setText(note, full ? t('composer.full') : words);
    attribute(note, 'data-over', over || full || trouble !== '');
    attribute(send, 'disabled', over || full || field.value.trim() === '');
    return !over && !full && field.value.trim() !== '';
  }

  function submit() {
    if (!measure() || !act.send(field.value)) return;
    field.value = '';
    act.draft('');
    measure();
  }

  field.addEventListener('input', () => {
    measure();
    act.draft(field.value);
    if (field.value.trim() !== '') act.typing();
  });
  // Shift, and every key of an input method that composes (keyCode 229 is how Safari says it), are
  // somebody else's. A keyboard on glass has no Shift+Enter: there Enter breaks the line.
  field.addEventListener('keydown', (event) => {
    if (event.key !== 'Enter' || event.shiftKey || event.isComposing || event.keyCode === 229)
      return;
    if (matchMedia('(hover: none) and (pointer: coarse)').matches) return;
    event.preventDefault();
    submit();
  });
  const form = h(
    'form',
    {
      class: 'composer',
      onsubmit: (/** @type {Event} */ event) => {
        event.preventDefault();
        submit();
        field.focus();
      },
    },
    h('div', { class: 'composer-box' }, field, send),
    note,
  );

  /** @param {string[]} names */
  function typingWords(names) {
    if (names.length === 0) return '';
    if (names.length > 3) return t('typing.many', { n: names.length });
    return t(names.length === 1 ? 'typing.one' : 'typing.some', { who: list(names) });
  }

  return {
    elements: [typing, form],
    focus: () => field.focus(),
    empty: () => field.value === '',
    measure,
    /** Takes back what was not sent, before what is being written. @param {string} text */
    take(text) {
      field.value = field.value.trim() ? `${text}\n${field.value}` : text;
      act.draft(field.value);
      measure();
      field.focus();
    },
    /** @param {string} words */
    warn(words) {
      trouble = words;
      measure();
    },
    /** @param {import('../state.js').State} state */
    render(state) {
      const it = current(state);
      const isFull = it.pending.length >= WAITING;
      if (most !== state.limits.textBytes || full !== isFull) {
        most = state.limits.textBytes;
        full = isFull;
        measure();
      }
      const words = typingWords(Object.keys(it.typing));
      attribute(typing, 'data-on', words !== '');
      if (words) setText(who, words);
    },
  };
}
