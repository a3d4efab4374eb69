// What reaches somebody who looks elsewhere: the title, the icon, and notifications if asked for.

import { unread } from '../conversation.js';
import { current } from '../state.js';
import { setting, setSetting } from '../storage.js';

/** Characters of a message that a notification shows. */
const SHOWN = 140;

/** Asks the browser; only ever called from a click. @param {boolean} on */
export async function notifications(on) {
  const granted =
    on &&
    typeof Notification !== 'undefined' &&
    (await Notification.requestPermission()) === 'granted';
  setSetting('notify', granted ? 'on' : '');
}

/** @param {() => void} open called when a notification is clicked */
export function attention(open) {
  const icon = /** @type {HTMLLinkElement | null} */ (document.querySelector('link[rel=icon]'));
  let count = -1;
  let marked = false;
  let told = 0;

  /** @param {import('../state.js').State} state @param {import('../i18n.js').Speaker} say */
  function notify(state, { t }) {
    const it = current(state);
    const last = it.entries.findLast((entry) => entry.fromId !== state.id && entry.text !== null);
    if (!last || last.seq <= told) return;
    const before = told;
    told = last.seq;
    // What was there before this page was opened, or came while it was away, is no news to shout.
    if (before === 0 || it.behind || document.hasFocus() || setting('notify') !== 'on') return;
    if (typeof Notification === 'undefined' || Notification.permission !== 'granted') return;
    try {
      const n = unread(it, state.id);
      const note = new Notification(n > 1 ? t('notify.more', { n }) : last.from, {
        body: n > 1 ? `${last.from}: ${last.text?.slice(0, SHOWN)}` : last.text?.slice(0, SHOWN),
        tag: 'kith-lobby',
        silent: true,
        icon: 'icon.svg',
      });
      note.onclick = () => {
        window.focus();
        note.close();
        open();
      };
    } catch {
      // Android's Chromium lets only a service worker do this.
    }
  }

  return {
    /** @param {import('../state.js').State} state @param {import('../i18n.js').Speaker} say */
    render(state, say) {
      const it = current(state);
      const n = state.phase === 'signin' ? 0 : unread(it, state.id);
      const title =
        state.phase === 'signin'
          ? say.t('app.name')
          : `${say.t('rooms.lobby')} · ${say.t('app.name')}`;
      const wanted = n > 0 ? say.t('title.unread', { n, title }) : title;
      if (document.title !== wanted) document.title = wanted;
      if (it.loaded) notify(state, say);
      // Without a connection the other picture could not be fetched, and there would be none.
      if (icon && marked !== n > 0 && state.link.phase === 'live') {
        marked = n > 0;
        icon.href = marked ? 'icon-unread.svg' : 'icon.svg';
      }
      if (count !== n && 'setAppBadge' in navigator) {
        // Only installed pages have a place for it; elsewhere the promise is refused.
        (n > 0 ? navigator.setAppBadge(n) : navigator.clearAppBadge()).catch(() => {});
      }
      count = n;
    },
  };
}
