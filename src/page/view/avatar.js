// A person as a coloured letter: the same on every screen, without a request for a picture.

import { hue, letter } from '../names.js';
import { h } from './dom.js';

/** @param {string} name @param {string} [size] 'small' or 'large' */
export function avatar(name, size = '') {
  return h(
    'span',
    { class: `avatar ${size}`, 'data-hue': hue(name), 'aria-hidden': 'true' },
    letter(name),
  );
}
