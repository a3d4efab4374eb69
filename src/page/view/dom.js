// The few words in which the views talk to the document.
//
// Text reaches the document as text nodes only: nothing here, and nothing elsewhere, parses HTML.

const SVG = 'http://www.w3.org/2000/svg';

/** @typedef {string | number | Node | null | undefined | false} Child */
/** @typedef {string | number | boolean | null | undefined} Value */
/** @typedef {{[name: string]: Value | ((event: any) => void)}} Props */

/**
 * Makes an element. A function under `onclick` and the like becomes a listener, true and false say
 * whether an attribute is there, everything else is its value.
 *
 * @template {keyof HTMLElementTagNameMap} T
 * @param {T} tag @param {Props} [props] @param {...Child} children
 * @returns {HTMLElementTagNameMap[T]}
 */
export function h(tag, props = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (typeof value === 'function') element.addEventListener(name.slice(2), value);
    else attribute(element, name, value);
  }
  element.append(
    ...children
      .filter((child) => child !== null && child !== undefined && child !== false)
      .map((child) =>
        typeof child === 'number' ? String(child) : /** @type {string | Node} */ (child),
      ),
  );
  return element;
}

/** Sets or removes an attribute, if it is not so already. @param {Element} element
 * @param {string} name @param {Value} value */
export function attribute(element, name, value) {
  const wanted =
    value === true
      ? ''
      : value === false || value === null || value === undefined
        ? null
        : String(value);
  if (element.getAttribute(name) === wanted) return;
  if (wanted === null) element.removeAttribute(name);
  else element.setAttribute(name, wanted);
}

/** Sets the text, if it is not so already. @param {Element} element @param {string} text */
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** A symbol of the sheet in index.html. @param {string} name */
export function icon(name) {
  const svg = document.createElementNS(SVG, 'svg');
  svg.setAttribute('class', 'icon');
  svg.setAttribute('aria-hidden', 'true');
  const use = document.createElementNS(SVG, 'use');
  use.setAttribute('href', `#i-${name}`);
  svg.append(use);
  return svg;
}

/** A button that shows a symbol and is called by its name.
 * @param {string} name @param {string} label @param {() => void} onclick @param {Props} [props] */
export const iconButton = (name, label, onclick, props = {}) =>
  h(
    'button',
    {
      type: 'button',
      class: 'icon-button',
      'aria-label': label,
      title: label,
      onclick,
      ...props,
    },
    icon(name),
  );

/**
 * Children of one element, by key: each is made once, changed when what it shows has changed, moved
 * when it has another place.
 *
 * @template {{key: string}} T
 */
export class Keyed {
  /**
   * @param {Element} parent @param {(item: T) => Element} create
   * @param {(element: any, item: T) => void} update called for new elements as well
   */
  constructor(parent, create, update) {
    this.parent = parent;
    this.create = create;
    this.update = update;
    /** @type {Map<string, {element: Element, item: T}>} */
    this.shown = new Map();
    this.changed = false;
  }

  /** @param {T[]} items @returns {boolean} whether anything was different */
  render(items) {
    this.changed = false;
    const wanted = new Set(items.map((item) => item.key));
    for (const [key, { element }] of this.shown) {
      if (wanted.has(key)) continue;
      element.remove();
      this.changed = true;
      this.shown.delete(key);
    }
    let next = this.parent.firstElementChild;
    for (const item of items) {
      const element = this.place(item);
      if (element === next) next = next.nextElementSibling;
      else {
        this.parent.insertBefore(element, next);
        this.changed = true;
      }
    }
    return this.changed;
  }

  /** @param {T} item */
  place(item) {
    const shown = this.shown.get(item.key);
    if (!shown) {
      const element = this.create(item);
      this.update(element, item);
      this.shown.set(item.key, { element, item });
      return element;
    }
    if (!same(shown.item, item)) {
      this.update(shown.element, item);
      this.changed = true;
    }
    shown.item = item;
    return shown.element;
  }
}

/** @param {{[name: string]: any}} a @param {{[name: string]: any}} b */
function same(a, b) {
  if (a === b) return true;
  for (const name in b) if (a[name] !== b[name]) return false;
  return true;
}
