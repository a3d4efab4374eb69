// What every view is given: words, and what a person can do. Types only.

/**
 * @typedef {{
 *   join: (name: string) => void, leave: () => void, reconnect: () => void,
 *   send: (text: string) => void, again: (key: string) => void, edit: (key: string) => void,
 *   drop: (key: string) => void, typing: () => void, draft: (text: string) => void,
 *   older: () => void, morePeople: () => void, present: (here: boolean) => void,
 *   go: (pane: Pane) => void, togglePeople: () => void,
 *   language: (code: string) => void, theme: (theme: string) => void,
 *   notify: (on: boolean) => void,
 * }} Actions
 * @typedef {'rooms' | 'messages' | 'people'} Pane what a narrow screen shows
 * @typedef {{say: import('../i18n.js').Speaker, act: Actions, name: string, draft: string}} Context
 *   `name`: the one used last.
 */

export {};
