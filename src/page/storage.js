// What outlives a reload, and where.
//
// * Who I am, with the resume secret, what is not acknowledged, and drafts: `sessionStorage`. It
//   belongs to one tab and ends with it, so two tabs never send each other's messages, and no other
//   origin and no later visitor of a shared computer finds the secret. A cookie that scripts cannot
//   read would be safer still, but a guest has no HTTP session that could set one; memory alone
//   would lose the name for up to a minute at every reload, and with it every message under way.
//   What could steal it is a script of somebody else on this page, and the policy in page.rs
//   admits none. The secret is worth one guest name and cannot be exchanged for anything else.
// * The last name, language, colours, notifications, and how far was read: `localStorage`, for all
//   tabs and the next visit. Nothing in it is secret.
//
// Storage may be full, forbidden or hold nonsense. The page then works without.

/** Where reading stopped is remembered under this. */
const READ = 'kith.read';
const TAB = 'kith.tab';

/**
 * @typedef {{name: string, id: string, secret: string, draft: string,
 *   pending: import('./conversation.js').Pending[]}} Tab
 */

/** Where storage is forbidden, already naming it throws; hence the functions.
 * @param {() => Storage} storage @param {string} key @returns {any} */
function load(storage, key) {
  try {
    return JSON.parse(storage().getItem(key) ?? 'null');
  } catch {
    return null;
  }
}

/** @param {() => Storage} storage @param {string} key @param {unknown} value @returns {boolean} */
function save(storage, key, value) {
  try {
    if (value === null) storage().removeItem(key);
    else storage().setItem(key, JSON.stringify(value));
    return true;
  } catch {
    return false;
  }
}

/** @returns {Tab} */
export function loadTab() {
  const tab = load(() => sessionStorage, TAB) ?? {};
  const { name = '', id = '', secret = '', draft = '' } = tab;
  const pending = Array.isArray(tab.pending) ? tab.pending.filter(isPending) : [];
  return {
    name: String(name),
    id: String(id),
    secret: String(secret),
    draft: String(draft),
    pending,
  };
}

/** @param {Tab} tab */
export const saveTab = (tab) => save(() => sessionStorage, TAB, tab);

/** @param {any} it @returns {it is import('./conversation.js').Pending} */
const isPending = (it) =>
  typeof it?.key === 'string' &&
  typeof it.text === 'string' &&
  typeof it.to === 'string' &&
  typeof it.sentAs === 'string' &&
  ['waiting', 'unsure', 'refused'].includes(it.phase);

/** @returns {{epoch: string, seq: number} | null} */
export function loadRead() {
  const read = load(() => localStorage, READ);
  return typeof read?.epoch === 'string' && Number.isSafeInteger(read.seq) ? read : null;
}

/** @param {{epoch: string, seq: number}} read */
export const saveRead = (read) => save(() => localStorage, READ, read);

/**
 * A setting of this person on this device.
 *
 * @param {'name' | 'language' | 'theme' | 'notify' | 'people'} name
 */
export const setting = (name) => String(load(() => localStorage, `kith.${name}`) ?? '');

/** @param {Parameters<typeof setting>[0]} name @param {string} value empty forgets it */
export const setSetting = (name, value) => save(() => localStorage, `kith.${name}`, value || null);
