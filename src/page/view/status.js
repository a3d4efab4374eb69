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

/** The line itself, and what of it is read out. */
export class Status {
  /** @param {import('./context.js').Context} context */
  constructor({ say, act }) {
    this.say = say;
    this.words = h('span', {});
    this.button = h('button', {
      type: 'button',
      class: 'link-button',
      onclick: () => act.reconnect(),
    });
    this.line = h('div', { class: 'status', hidden: true }, this.words, this.button);
    // The seconds count down where they can be seen; to be read out once is enough.
    this.spoken = h('span', { class: 'unseen', role: 'status' });
    this.elements = [this.line, this.spoken];
    this.kind = '';
  }

  /** @param {State} state @param {number} now */
  render(state, now) {
    const { t } = this.say;
    const text = linkWords(state, now, t);
    const { phase } = state.link;
    this.line.hidden = text === '';
    attribute(this.line, 'data-phase', phase);
    setText(this.words, text);
    this.button.hidden = phase !== 'waiting' && phase !== 'ended';
    setText(this.button, t(phase === 'ended' ? 'link.again' : 'link.now'));
    const kind = `${phase} ${state.online} ${text === ''}`;
    if (kind === this.kind) return;
    this.kind = kind;
    setText(this.spoken, text);
  }
}
