// The first thing that anybody sees: one field, one button, and a word for whatever is wrong.

import { problem, suggestions } from '../names.js';
import { LANGUAGES } from '../i18n.js';
import { h, icon, setText, attribute } from './dom.js';
import { linkWords } from './status.js';

/** @typedef {import('../state.js').State} State */

/** @param {import('./context.js').Context} context */
export function signIn({ say: { t, knows, language }, act, name: last }) {
  const field = h('input', {
    id: 'name',
    name: 'name',
    type: 'text',
    autocomplete: 'nickname',
    autocapitalize: 'off',
    spellcheck: 'false',
    'aria-describedby': 'name-problem',
    enterkeyhint: 'go',
    maxlength: 1024,
    value: last,
    dir: 'auto',
  });
  const wrong = h('p', { id: 'name-problem', class: 'field-problem', role: 'alert' });
  const offers = h('div', {
    class: 'offers',
    role: 'group',
    'aria-label': t('signin.suggestions'),
    hidden: true,
  });
  const join = h('button', { type: 'submit', class: 'primary' });
  const link = h('p', { class: 'signin-link', role: 'status' });
  const languages = h(
    'select',
    {
      'aria-label': t('me.language'),
      onchange: (/** @type {any} */ event) => act.language(event.target.value),
    },
    ...Object.entries(LANGUAGES).map(([code, label]) =>
      h('option', { value: code, lang: code, selected: code === language }, label),
    ),
  );
  /** What was refused last, and the name for it. */
  let refused = '';
  /** @type {State['refusal']} */
  let told = null;
  let most = 32;

  const form = h(
    'form',
    {
      class: 'signin-card',
      novalidate: true,
      onsubmit: (/** @type {Event} */ event) => {
        event.preventDefault();
        const what = problem(field.value, most);
        offers.hidden = true;
        if (what) return complain(t(`name.${what}`, { n: most }));
        complain('');
        refused = field.value.trim();
        act.join(field.value.trim());
      },
    },
    h('span', { class: 'logo' }, icon('logo')),
    h('h1', {}, t('signin.title')),
    h('p', { class: 'lead' }, t('signin.lead')),
    h('label', { for: 'name' }, t('signin.name')),
    field,
    wrong,
    offers,
    join,
    link,
  );

  /** @param {string} words */
  function complain(words) {
    setText(wrong, words);
    attribute(field, 'aria-invalid', words !== '' && 'true');
    if (words) field.focus();
  }

  field.addEventListener('input', () => {
    offers.hidden = true;
    const what = problem(field.value, most);
    // Nobody is told that a name is empty while they are about to type it.
    setText(wrong, what && what !== 'empty' ? t(`name.${what}`, { n: most }) : '');
    attribute(field, 'aria-invalid', what !== '' && what !== 'empty' && 'true');
  });

  /** @param {NonNullable<State['refusal']>} refusal */
  function explain(refusal) {
    const name = field.value.trim() || refused;
    if (refusal.name === 'name_taken') {
      complain(t('signin.taken', { name }));
      offers.replaceChildren(
        h('span', {}, t('signin.suggestions')),
        ...suggestions(name, most).map((offer) =>
          h(
            'button',
            {
              type: 'button',
              class: 'offer',
              dir: 'auto',
              onclick: () => {
                field.value = offer;
                form.requestSubmit();
              },
            },
            offer,
          ),
        ),
      );
      offers.hidden = false;
      return;
    }
    const what = refusal.name === 'bad_name' ? problem(name, most) : '';
    const key = `refusal.${refusal.name}`;
    complain(what ? t(`name.${what}`, { n: most }) : knows(key) ? t(key) : refusal.message);
  }

  const element = h(
    'main',
    { class: 'signin' },
    form,
    h('footer', { class: 'signin-foot' }, icon('globe'), languages),
  );
  return {
    element,
    focus: () => field.focus(),
    /** @param {State} state @param {number} now */
    render(state, now) {
      most = state.limits.nameChars;
      const joining = state.phase === 'joining';
      attribute(join, 'disabled', joining);
      setText(join, t(joining ? 'signin.joining' : 'signin.join'));
      field.readOnly = joining;
      const away = joining && state.link.phase === 'waiting';
      setText(link, away ? `${t('signin.away')} ${linkWords(state, now, t)}` : '');
      if (state.refusal !== told) {
        told = state.refusal;
        if (told) explain(told);
      }
    },
  };
}
