// Conversations, and at their foot oneself: name, settings, the way out.

import { LANGUAGES } from '../i18n.js';
import { unread } from '../conversation.js';
import { current } from '../state.js';
import { setting } from '../storage.js';
import { avatar } from './avatar.js';
import { attribute, h, icon, iconButton, setText } from './dom.js';

/** @param {import('./context.js').Context} context */
export function rooms(context) {
  const {
    say: { t, brief },
    act,
  } = context;
  const filter = h('input', {
    type: 'search',
    class: 'filter',
    'aria-label': t('rooms.filter'),
    placeholder: t('rooms.filter'),
    'aria-keyshortcuts': 'Control+K',
    autocomplete: 'off',
    spellcheck: 'false',
  });
  const title = h('span', { class: 'room-title' }, t('rooms.lobby'));
  const preview = h('span', { class: 'room-preview' });
  const when = h('span', { class: 'room-when' });
  const badge = h('span', { class: 'badge', hidden: true });
  const lobby = h(
    'button',
    { type: 'button', class: 'room', 'aria-current': 'page', onclick: () => act.go('messages') },
    h('span', { class: 'avatar room-avatar', 'aria-hidden': 'true' }, icon('logo')),
    h(
      'span',
      { class: 'room-lines' },
      h('span', { class: 'room-line' }, title, when),
      h('span', { class: 'room-line' }, preview, badge),
    ),
  );
  const list = h('ul', { class: 'room-list' }, h('li', {}, lobby));
  const none = h('p', { class: 'people-note', hidden: true }, t('rooms.none'));
  const own = me(context);
  const element = h(
    'nav',
    { class: 'rooms', 'aria-label': t('rooms.title') },
    h(
      'header',
      { class: 'bar' },
      h('span', { class: 'logo' }, icon('logo')),
      h('h2', {}, t('app.name')),
    ),
    h('div', { class: 'filter-box' }, icon('search'), filter),
    list,
    none,
    ...own.elements,
  );

  const shown = () =>
    [...list.querySelectorAll('button')].filter((room) => !room.closest('li')?.hidden);
  filter.addEventListener('input', () => {
    const wanted = filter.value.trim().toLocaleLowerCase();
    for (const room of list.querySelectorAll('button')) {
      const name = room.querySelector('.room-title')?.textContent ?? '';
      /** @type {HTMLElement} */ (room.closest('li')).hidden = !name
        .toLocaleLowerCase()
        .includes(wanted);
    }
    none.hidden = shown().length > 0;
  });
  element.addEventListener('keydown', (event) => {
    if (event.isComposing) return;
    const at = [filter, ...shown()];
    const index = at.indexOf(/** @type {any} */ (document.activeElement));
    if (event.key === 'Enter' && index === 0) {
      event.preventDefault();
      filter.value = '';
      filter.dispatchEvent(new Event('input'));
      shown()[0]?.click();
    } else if ((event.key === 'ArrowDown' || event.key === 'ArrowUp') && index >= 0) {
      event.preventDefault();
      at[
        Math.min(at.length - 1, Math.max(0, index + (event.key === 'ArrowDown' ? 1 : -1)))
      ].focus();
    }
  });

  /** @param {import('../state.js').State} state */
  function previewOf(state) {
    const it = current(state);
    const last =
      it.pending.findLast((message) => !message.seen) ??
      it.entries.findLast((entry) => entry.text !== null);
    if (!last) return { text: t('rooms.lobbyAbout'), at: 0 };
    const mine = !('from' in last) || last.fromId === state.id;
    const text = (last.text ?? '').slice(0, 200).replace(/\s+/g, ' ');
    return {
      text: mine ? t('rooms.own', { text }) : `${'from' in last ? last.from : ''}: ${text}`,
      at: last.at,
    };
  }

  return {
    element,
    filter: () => filter.focus(),
    focus: () => lobby.focus(),
    closeSettings: () => own.close(),
    /** @param {import('../state.js').State} state @param {number} now */
    render(state, now) {
      const { text, at } = previewOf(state);
      setText(preview, text);
      setText(when, at ? brief(at, now) : '');
      const n = unread(current(state), state.id);
      badge.hidden = n === 0;
      setText(badge, n > 99 ? '99+' : String(n));
      attribute(badge, 'aria-label', t('rooms.unread', { n }));
      own.render(state);
    },
  };
}

/** Oneself, with settings that fold out above. @param {import('./context.js').Context} context */
function me({ say: { t, language }, act }) {
  const face = h('span', { class: 'face' });
  const name = h('bdi', { class: 'me-name' });
  const option = (
    /** @type {string} */ value,
    /** @type {string} */ label,
    /** @type {boolean} */ selected,
    lang = '',
  ) => h('option', { value, selected, lang: lang || null }, label);
  /** @param {string} label @param {string} id @param {HTMLElement[]} options
   * @param {(value: string) => void} change */
  const choice = (label, id, options, change) =>
    h(
      'div',
      { class: 'setting' },
      h('label', { for: id }, label),
      h(
        'select',
        { id, onchange: (/** @type {any} */ event) => change(event.target.value) },
        ...options,
      ),
    );
  const permission = typeof Notification === 'undefined' ? 'denied' : Notification.permission;
  const blocked = permission === 'denied';
  const notes = setting('notify') === 'on' && permission === 'granted';
  const theme = setting('theme') || 'auto';
  const panel = h(
    'section',
    { class: 'settings', id: 'settings', 'aria-label': t('me.settings'), hidden: true },
    choice(
      t('me.language'),
      'set-language',
      Object.entries(LANGUAGES).map(([code, label]) =>
        option(code, label, code === language, code),
      ),
      act.language,
    ),
    choice(
      t('me.theme'),
      'set-theme',
      ['auto', 'light', 'dark'].map((one) => option(one, t(`me.theme.${one}`), one === theme)),
      act.theme,
    ),
    blocked
      ? h(
          'div',
          { class: 'setting' },
          h('span', {}, t('me.notify')),
          h('span', { class: 'hint' }, t('me.notify.denied')),
        )
      : choice(
          t('me.notify'),
          'set-notify',
          [option('off', t('me.notify.off'), !notes), option('on', t('me.notify.on'), notes)],
          (value) => act.notify(value === 'on'),
        ),
    h(
      'div',
      { class: 'setting' },
      h('span', { class: 'hint' }, t('me.leaveHint')),
      h(
        'button',
        { type: 'button', class: 'secondary danger', onclick: () => act.leave() },
        t('me.leave'),
      ),
    ),
  );
  const toggle = iconButton('settings', t('me.settings'), () => open(panel.hidden !== false), {
    'aria-expanded': 'false',
    'aria-controls': 'settings',
  });

  /** @param {boolean} wanted */
  function open(wanted) {
    panel.hidden = !wanted;
    attribute(toggle, 'aria-expanded', String(wanted));
    attribute(toggle, 'aria-label', t(wanted ? 'me.close' : 'me.settings'));
    if (wanted) panel.querySelector('select')?.focus();
  }

  panel.addEventListener('keydown', (event) => {
    if (event.key !== 'Escape') return;
    event.stopPropagation();
    open(false);
    toggle.focus();
  });
  const strip = h(
    'footer',
    { class: 'me' },
    face,
    h('span', { class: 'me-lines' }, name, h('span', { class: 'hint' }, t('me.guest'))),
    toggle,
  );
  return {
    elements: [panel, strip],
    close: () => open(false),
    /** @param {import('../state.js').State} state */
    render(state) {
      if (name.textContent === state.name) return;
      setText(name, state.name);
      face.replaceChildren(avatar(state.name, 'small'));
    },
  };
}
