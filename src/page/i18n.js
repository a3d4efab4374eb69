// Words, numbers, dates and order in the reader's language.
//
// No other file holds a word that a person reads: they ask for it by a key. A dictionary is a plain
// module in i18n/; where a number decides, its entry holds one text for each plural category.

/** @typedef {{[key: string]: string | {[category: string]: string}}} Dictionary */

/** Each language by its own name. */
export const LANGUAGES = { en: 'English', 'zh-Hans': '简体中文', 'zh-Hant': '繁體中文' };

/** @typedef {keyof typeof LANGUAGES} Language */

/** @type {{[code in Language]: () => Promise<{default: Dictionary}>}} */
const dictionaries = {
  en: () => import('./i18n/en.js'),
  'zh-Hans': () => import('./i18n/zh-Hans.js'),
  'zh-Hant': () => import('./i18n/zh-Hant.js'),
};

/** @param {string} tag BCP 47 @returns {Language | null} */
function match(tag) {
  try {
    const { language, script } = new Intl.Locale(tag).maximize();
    if (language === 'zh') return script === 'Hant' ? 'zh-Hant' : 'zh-Hans';
    return language === 'en' ? 'en' : null;
  } catch {
    return null;
  }
}

/**
 * The language that was chosen, or the first wanted one that there is.
 *
 * @param {string} chosen @param {readonly string[]} wanted @returns {Language}
 */
export function pick(chosen, wanted) {
  if (chosen in LANGUAGES) return /** @type {Language} */ (chosen);
  return wanted.map(match).find((code) => code !== null) ?? 'en';
}

/** @param {string} text @param {{[name: string]: string | number}} values */
const fill = (text, values) =>
  text.replace(/\{(\w+)\}/g, (whole, name) => String(values[name] ?? whole));

/**
 * Everything that depends on the language.
 *
 * @param {Language} language @param {Dictionary} dictionary @param {readonly string[]} wanted the
 *   person's own tags: somebody may read English and write dates as in Britain.
 */
export function speaker(language, dictionary, wanted = []) {
  const locale = wanted.find((tag) => match(tag) === language) ?? language;
  const plural = new Intl.PluralRules(language);
  const number = new Intl.NumberFormat(locale);
  const time = new Intl.DateTimeFormat(locale, { hour: 'numeric', minute: '2-digit' });
  const full = new Intl.DateTimeFormat(locale, { dateStyle: 'full', timeStyle: 'medium' });
  const weekday = new Intl.DateTimeFormat(locale, { weekday: 'long' });
  const date = new Intl.DateTimeFormat(locale, { day: 'numeric', month: 'long' });
  const dated = new Intl.DateTimeFormat(locale, { day: 'numeric', month: 'long', year: 'numeric' });
  const short = new Intl.DateTimeFormat(locale, { day: 'numeric', month: 'short' });
  const relative = new Intl.RelativeTimeFormat(locale, { numeric: 'auto' });
  const names = new Intl.ListFormat(locale, { type: 'conjunction' });

  /** Whole days between two moments, as the calendar on the wall counts. @param {number} at
   * @param {number} now */
  const daysAgo = (at, now) => {
    const midnight = (/** @type {number} */ moment) => new Date(moment).setHours(0, 0, 0, 0);
    return Math.round((midnight(now) - midnight(at)) / 86_400_000);
  };

  return {
    language,
    /** Whether there are words for this. @param {string} key */
    knows: (key) => Object.hasOwn(dictionary, key),
    /** @param {string} key @param {{[name: string]: string | number}} [values] `n` decides between
     * plural forms. */
    t: (key, values = {}) => {
      const entry = dictionary[key] ?? key;
      const text =
        typeof entry === 'string'
          ? entry
          : (entry[plural.select(Number(values.n ?? 0))] ?? entry.other);
      const shown = Object.entries(values).map(([name, value]) => [
        name,
        typeof value === 'number' ? number.format(value) : value,
      ]);
      return fill(text, Object.fromEntries(shown));
    },
    /** @param {number} at */
    time: (at) => time.format(at),
    /** @param {number} at */
    full: (at) => full.format(at),
    /** The name of a day, as short as it is clear. @param {number} at @param {number} now */
    day: (at, now) => {
      const ago = daysAgo(at, now);
      if (ago >= 0 && ago < 2) return relative.format(-ago, 'day');
      if (ago > 0 && ago < 7) return weekday.format(at);
      return new Date(at).getFullYear() === new Date(now).getFullYear()
        ? date.format(at)
        : dated.format(at);
    },
    /** For a list: the time today, else the date. @param {number} at @param {number} now */
    brief: (at, now) => (daysAgo(at, now) === 0 ? time.format(at) : short.format(at)),
    /** @param {string[]} items */
    list: (items) => names.format(items),
    compare: new Intl.Collator(locale, { sensitivity: 'base', numeric: true }).compare,
  };
}

/** @typedef {ReturnType<typeof speaker>} Speaker */

/** @param {Language} language @param {readonly string[]} wanted @returns {Promise<Speaker>} */
export async function load(language, wanted) {
  return speaker(language, (await dictionaries[language]()).default, wanted);
}
