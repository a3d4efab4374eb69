// Names of people: what is wrong with one, what else one could be called, and how one looks.
//
// The server alone decides (src/chat/name.rs); this repeats its rule so that a person is told while
// typing, and told which part of the rule it was in a language of theirs.

/** Control, format and private characters, half pairs, what will never be assigned, and fillers. */
const UNSEEN =
  /[\p{Cc}\p{Cf}\p{Co}\p{Cs}\p{Default_Ignorable_Code_Point}\p{Noncharacter_Code_Point}\u2800]/u;

/**
 * @param {string} typed @param {number} most characters
 * @returns {'' | 'empty' | 'long' | 'colon' | 'invisible'} what is wrong with it
 */
export function problem(typed, most) {
  const name = typed.trim().normalize('NFKC').trim();
  if (name === '') return 'empty';
  if ([...name].length > most) return 'long';
  if (name.includes(':')) return 'colon';
  return UNSEEN.test(name) || /[^\S ]|  /u.test(name) ? 'invisible' : '';
}

/**
 * Names near one that is taken.
 *
 * @param {string} name @param {number} most characters
 * @param {() => number} [random]
 * @returns {string[]} three, all different
 */
export function suggestions(name, most, random = Math.random) {
  const stem = [...name.trim().normalize('NFKC').trim()]
    .slice(0, most - 3)
    .join('')
    .trimEnd();
  const two = 10 + Math.floor(random() * 89);
  return [`${stem}2`, `${stem}${two}`, `${stem}_${two + 1}`];
}

/** The hue of an avatar: the same for the same name on every screen. @param {string} name
 * @returns {number} 0 to 11 */
export function hue(name) {
  // FNV-1a, folded so that upper and lower case look alike as they sound alike.
  let hash = 0x811c9dc5;
  for (const char of name.toLowerCase()) {
    hash = Math.imul(hash ^ (char.codePointAt(0) ?? 0), 0x01000193);
  }
  return ((hash ^ (hash >>> 15)) >>> 0) % 12;
}

/** What stands in an avatar: the first character as a person sees it. @param {string} name */
export function letter(name) {
  const [first] = new Intl.Segmenter(undefined, { granularity: 'grapheme' }).segment(name);
  return (first?.segment ?? '?').toLocaleUpperCase();
}
