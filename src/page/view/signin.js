// The first thing that anybody sees: one field, one button, and a word for whatever is wrong.

import { problem, suggestions } from '../names.js';
import { LANGUAGES } from '../i18n.js';
import { h, icon, setText, attribute } from './dom.js';
import { linkWords } from './status.js';

/** @typedef {import('../state.js').State} State */

/** The card with the name. */
export class SignIn {
  /** @param {import('./context.js').Context} context */
  constructor({ say, act, name }) {
    this.say = say;
    this.act = act;
    this.most = 32;
    /** What was refused last, and the name for it. @type {State['refusal']} */
    this.told = null;
    this.tried = '';
    this.field = h('input', {
      id: 'name',
      name: 'name',
      type: 'text',
      autocomplete: 'nickname',
      autocapitalize: 'off',
      spellcheck: 'false',
      'aria-describedby': 'name-problem',
      enterkeyhint: 'go',
      maxlength: 1024,
      value: name,
      dir: 'auto',
      oninput: () => this.typed(),
    });
    this.wrong = h('p', { id: 'name-problem', class: 'field-problem', role: 'alert' });
    const offered = say.t('signin.suggestions');
    this.offers = h('div', { class: 'offers', role: 'group', 'aria-label': offered, hidden: true });
    this.join = h('button', { type: 'submit', class: 'primary' });
    this.link = h('p', { class: 'signin-link', role: 'status' });
    this.form = this.card();
    const foot = h('footer', { class: 'signin-foot' }, icon('globe'), this.languages());
    this.element = h('main', { class: 'signin' }, this.form, foot);
  }

  card() {
    const { t } = this.say;
    const onsubmit = (/** @type {Event} */ event) => {
      event.preventDefault();
      this.submit();
    };
    return h(
      'form',
      { class: 'signin-card', novalidate: true, onsubmit },
      h('span', { class: 'logo' }, icon('logo')),
      h('h1', {}, t('signin.title')),
      h('p', { class: 'lead' }, t('signin.lead')),
      h('label', { for: 'name' }, t('signin.name')),
      this.field,
      this.wrong,
      this.offers,
      this.join,
      this.link,
    );
  }

  languages() {
    const { t, language } = this.say;
    const onchange = (/** @type {any} */ event) => this.act.language(event.target.value);
    const options = Object.entries(LANGUAGES).map(([code, label]) =>
      h('option', { value: code, lang: code, selected: code === language }, label),
    );
    return h('select', { 'aria-label': t('me.language'), onchange }, ...options);
  }

  focus() {
    this.field.focus();
  }

  submit() {
    const name = this.field.value.trim();
    const what = problem(name, this.most);
    this.offers.hidden = true;
    if (what) return this.complain(this.say.t(`name.${what}`, { n: this.most }));
    this.complain('');
    this.tried = name;
    this.act.join(name);
  }

  typed() {
    this.offers.hidden = true;
    const found = problem(this.field.value, this.most);
    // Nobody is told that a name is empty while they are about to type it.
    const what = found === 'empty' ? '' : found;
    setText(this.wrong, what && this.say.t(`name.${what}`, { n: this.most }));
    attribute(this.field, 'aria-invalid', what !== '' && 'true');
  }

  /** @param {string} words */
  complain(words) {
    setText(this.wrong, words);
    attribute(this.field, 'aria-invalid', words !== '' && 'true');
    if (words) this.field.focus();
  }

  /** @param {NonNullable<State['refusal']>} refusal */
  explain(refusal) {
    const { t, knows } = this.say;
    const name = this.field.value.trim() || this.tried;
    if (refusal.name === 'name_taken') {
      this.complain(t('signin.taken', { name }));
      return this.offer(suggestions(name, this.most));
    }
    const what = refusal.name === 'bad_name' ? problem(name, this.most) : '';
    const key = `refusal.${refusal.name}`;
    const known = knows(key) ? t(key) : refusal.message;
    this.complain(what ? t(`name.${what}`, { n: this.most }) : known);
  }

  /** @param {string[]} names */
  offer(names) {
    const buttons = names.map((name) => {
      const onclick = () => {
        this.field.value = name;
        this.form.requestSubmit();
      };
      return h('button', { type: 'button', class: 'offer', dir: 'auto', onclick }, name);
    });
    this.offers.replaceChildren(h('span', {}, this.say.t('signin.suggestions')), ...buttons);
    this.offers.hidden = false;
  }

  /** @param {State} state @param {number} now */
  render(state, now) {
    const { t } = this.say;
    this.most = state.limits.nameChars;
    const joining = state.phase === 'joining';
    attribute(this.join, 'disabled', joining);
    setText(this.join, t(joining ? 'signin.joining' : 'signin.join'));
    this.field.readOnly = joining;
    const away = joining && state.link.phase === 'waiting';
    setText(this.link, away ? `${t('signin.away')} ${linkWords(state, now, t)}` : '');
    if (state.refusal === this.told) return;
    this.told = state.refusal;
    if (this.told) this.explain(this.told);
  }
}
