// What somebody wrote, as nodes: text, and links to http and https addresses.
//
// The one place where words of others become something that can be clicked. An address is parsed by
// the browser's own parser and must come out as http or https; it is shown exactly as it was typed.

import { h } from './dom.js';

const ADDRESS = /\bhttps?:\/\/[^\s<>"'`\u3000-\u303f\uff00-\uff0f\uff1a-\uff20]+/giu;
/** A sentence's own punctuation at the end of an address. */
const TAIL = /[.,;:!?*_~'\u2019\u201d)\]}]+$/u;

/** @param {string} text @returns {(string | HTMLElement)[]} */
export function linked(text) {
  const nodes = [];
  let from = 0;
  for (const { 0: found, index } of text.matchAll(ADDRESS)) {
    const address = trimmed(found);
    if (!URL.canParse(address) || !/^https?:$/.test(new URL(address).protocol)) continue;
    if (index > from) nodes.push(text.slice(from, index));
    nodes.push(h('a', { href: address, target: '_blank', rel: 'noopener noreferrer' }, address));
    from = index + address.length;
  }
  if (from < text.length) nodes.push(text.slice(from));
  return nodes;
}

/** Leaves a closing bracket where the address has opened it, as Wikipedia's do.
 * @param {string} found */
function trimmed(found) {
  const [tail] = TAIL.exec(found) ?? [''];
  const address = found.slice(0, found.length - tail.length);
  const opened = address.split('(').length - address.split(')').length;
  return opened > 0 && tail.startsWith(')') ? `${address})` : address;
}
