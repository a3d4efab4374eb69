// The one thin line about the connection. It lies over the messages and moves nothing.

import { attribute, h, setText } from './dom.js';

/** @typedef {import('../state.js').State} State */

/** @param {State} state @param {number} now @param {import('../i18n.js').Speaker['t']} t
 * @returns {string} empty while there is nothing to say */
export function linkWords({ link, online, conversations, open }, now, t) {
  const { behind, cursor, head } = conversations[open];
  switch (link.phase) {
    case 'ended':
      return t('link.ended', { code: String(link.code) });
    case 'waiting':
      return online
        ? t('link.waiting', { n: Math.max(1, Math.ceil((link.until - now) / 1000)) })
        : t('link.offline');
    case 'connecting':
      return online ? t('link.connecting') : t('link.offline');
    case 'live':
      return behind
        ? t('link.behind', { percent: Math.floor((100 * (cursor.seq - behind)) / (head - behind)) })
        : '';
    default:
      return '';
  }
}

/** @param {import('./context.js').Context} context */
export function status({ say: { t }, act }) {
  const words = h('span', {});
  const button = h('button', {
    type: 'button',
    class: 'link-button',
    onclick: () => act.reconnect(),
  });
  // The seconds count down where they can be seen; to be read out once is enough.
  const spoken = h('span', { class: 'unseen', role: 'status' });
  const element = h('div', { class: 'status', hidden: true }, words, button);
  let phase = '';
  return {
    elements: [element, spoken],
    /** @param {State} state @param {number} now */
    render(state, now) {
      const text = linkWords(state, now, t);
      element.hidden = text === '';
      setText(words, text);
      const { phase: link } = state.link;
      attribute(element, 'data-phase', link);
      button.hidden = link !== 'waiting' && link !== 'ended';
      setText(button, t(link === 'ended' ? 'link.again' : 'link.now'));
      const kind = `${link} ${state.online} ${text === ''}`;
      if (kind !== phase) {
        phase = kind;
        setText(spoken, text);
      }
    },
  };
}
