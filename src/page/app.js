// The page's one road: wire.js -> state.js -> view/ -> what a person does -> wire.js.
//
// This file only joins them. Whatever happens becomes an event; `dispatch` makes the next state of
// it, asks the server for what that state wants, keeps what must outlive a reload, and draws.

import { canLoadOlder } from './conversation.js';
import { LOBBY, newKey } from './frames.js';
import { LANGUAGES, load, pick } from './i18n.js';
import { PEOPLE, PAGE, current, initial, reduce, wants } from './state.js';
import { loadRead, loadTab, saveRead, saveTab, setSetting, setting } from './storage.js';
import { attention, notifications } from './view/attention.js';
import { NARROW, Shell } from './view/shell.js';
import { SignIn } from './view/signin.js';
import { Wire } from './wire.js';

/** While it is true, somebody is told at most this often that we type; the server drops more. */
const TYPING_EVERY = 3_000;
/** The list of people is asked for at most this often, however often it is said to be stale. */
const PEOPLE_EVERY = 2_000;
/** After this much quiet, a draft is stored. */
const DRAFT_WAIT = 300;

/** @typedef {import('./state.js').Event} Event */
/** @typedef {import('./view/context.js').Pane} Pane */

const tab = loadTab();
let state = initial();
let { draft } = tab;
/** @type {import('./i18n.js').Speaker} */
let say;
/** @type {Shell | null} */
let room = null;
/** @type {SignIn | null} */
let door = null;
/** When it was last told that we type, and the timer of the next time. */
let typed = 0;
let typing = 0;
let asked = 0;
let drawing = false;
let unsaved = false;

const root = /** @type {HTMLElement} */ (document.getElementById('app'));
const notice = attention(() => room?.log.toEnd());
const scheme = location.protocol === 'https:' ? 'wss:' : 'ws:';
const wire = new Wire({
  url: `${scheme}//${location.host}/ws`,
  emit: dispatch,
  cursors: () => {
    const it = current(state);
    const held = it.epoch !== '' && (it.loaded || it.entries.length > 0);
    return held ? [{ conversation: it.address, epoch: it.epoch, ...it.cursor }] : [];
  },
});

/** @param {Event} event */
function dispatch(event) {
  const before = state;
  state = reduce(state, event);
  if (state === before) return;
  if (event.type === 'welcome') {
    // What went out under a guest id that is lost must not go out again by itself.
    for (const { key, phase } of current(state).pending) if (phase !== 'waiting') wire.forget(key);
    setSetting('name', state.name);
  }
  ask();
  keep(before);
  notice.render(state, say);
  draw();
}

/** Asks the server for whatever the state wants, once. */
function ask() {
  for (const command of wants(state)) {
    if ('userList' in command) {
      if (Date.now() - asked < PEOPLE_EVERY) {
        setTimeout(() => ask(), PEOPLE_EVERY);
        continue;
      }
      asked = Date.now();
    }
    state = reduce(state, { type: 'asked', command });
    wire.ask(command);
  }
}

/** Keeps what a reload must not lose. @param {import('./state.js').State} before */
function keep(before) {
  const [old, now] = [current(before), current(state)];
  if (
    state.id !== before.id ||
    state.secret !== before.secret ||
    state.name !== before.name ||
    old.pending !== now.pending
  )
    keepTab();
  if ((now.readTo !== old.readTo || now.epoch !== old.epoch) && now.epoch && now.readTo >= 0) {
    saveRead({ epoch: now.epoch, seq: now.readTo });
  }
}

function keepTab() {
  const { name, id, secret } = state;
  const kept = saveTab({ name, id, secret, draft, pending: current(state).pending });
  if (kept !== unsaved) return;
  unsaved = !kept;
  room?.write.warn(unsaved ? say.t('composer.unsaved') : '');
}

// What a person can do.

/** @type {import('./view/context.js').Actions} */
const act = {
  join(name) {
    dispatch({ type: 'joining', name });
    wire.start({ name, id: '', secret: '' });
  },
  leave() {
    wire.leave();
    for (const { key } of current(state).pending) wire.forget(key);
    draft = '';
    dispatch({ type: 'left' });
    keepTab();
  },
  reconnect: () => wire.now(),
  send(text) {
    // A lone half of a surrogate pair is no Unicode, and the server would refuse the whole frame.
    const message = { key: newKey(), to: LOBBY, text: text.toWellFormed() };
    dispatch({ type: 'said', at: Date.now(), ...message });
    wire.say(message);
    room?.log.toEnd();
  },
  again(key) {
    const message = current(state).pending.find((it) => it.key === key);
    if (!message) return;
    // The same key, so that it cannot be said twice; another one only where this one is spent.
    const spent = message.refusal?.name === 'key_reused' || message.refusal?.name === 'unsure';
    const fresh = spent ? newKey() : key;
    dispatch({ type: 'again', key, fresh });
    wire.say({ key: fresh, to: message.to, text: message.text });
  },
  edit(key) {
    const message = current(state).pending.find((it) => it.key === key);
    if (!message) return;
    act.drop(key);
    room?.write.take(message.text);
  },
  drop(key) {
    wire.forget(key);
    dispatch({ type: 'dropped', key });
  },
  typing() {
    const wait = typed + TYPING_EVERY - Date.now();
    if (wait > 0) {
      // What was typed since the last notice is told when the next is due, if it is still there.
      typing ||= setTimeout(() => {
        typing = 0;
        if (draft.trim() !== '') act.typing();
      }, wait);
      return;
    }
    typed = Date.now();
    wire.tell({ typing: { conversation: LOBBY } });
  },
  draft(text) {
    draft = text;
    draftTimer.start();
  },
  older() {
    const it = current(state);
    if (state.link.phase !== 'live' || !canLoadOlder(it)) return;
    dispatch({ type: 'older' });
    wire.ask({ history: { conversation: it.address, before: String(it.first), limit: PAGE } });
  },
  morePeople() {
    const after = state.people.names.at(-1);
    if (state.link.phase !== 'live' || state.people.asking || !after) return;
    dispatch({ type: 'morePeople' });
    wire.ask({ userList: { after, limit: PEOPLE } });
  },
  present: (present) => dispatch({ type: 'present', present }),
  go(pane) {
    if (pane === paneOf(location.hash)) return;
    // Where one came from is one step back, for the button as for the gesture.
    if (history.state?.from === pane) return history.back();
    history.pushState({ from: paneOf(location.hash) }, '', addressOf(pane));
    room?.show(pane);
  },
  togglePeople: () => room?.togglePeople(),
  language(code) {
    setSetting('language', code);
    void speak(code);
  },
  theme(theme) {
    setSetting('theme', theme === 'auto' ? '' : theme);
    paint();
  },
  notify: (on) => void notifications(on).then(() => room?.log.report()),
};

const draftTimer = {
  timer: 0,
  start() {
    clearTimeout(this.timer);
    this.timer = setTimeout(keepTab, DRAFT_WAIT);
  },
};

/** @param {string} hash @returns {Pane} */
const paneOf = (hash) =>
  hash === '#/' ? 'rooms' : hash === '#/lobby/people' ? 'people' : 'messages';
/** @param {Pane} pane */
const addressOf = (pane) => ({ rooms: '#/', messages: '#/lobby', people: '#/lobby/people' })[pane];

// Drawing.

/** Draws before the next frame; a page that nobody sees draws when it is seen. */
function draw() {
  if (drawing || !say) return;
  drawing = true;
  requestAnimationFrame(() => {
    drawing = false;
    render();
  });
}

function render() {
  const inside = state.phase === 'in' || (state.phase === 'joining' && state.id !== '');
  if (inside && !room) {
    door = null;
    room = new Shell({ say, act, name: state.name, draft });
    root.replaceChildren(room.element);
    room.write.measure();
    lead();
    room.show(paneOf(location.hash));
    room.render(state, Date.now());
    room.focus();
  } else if (!inside && !door) {
    room?.stop();
    room = null;
    door = new SignIn({ say, act, name: state.name || setting('name'), draft });
    root.replaceChildren(door.element);
    door.focus();
  }
  room?.render(state, Date.now());
  door?.render(state, Date.now());
}

/** @param {string} code */
async function speak(code) {
  const language = pick(code, navigator.languages);
  const next = await load(language, navigator.languages);
  say = next;
  document.documentElement.lang = language;
  document.documentElement.dir = 'ltr';
  const focused = document.activeElement?.id;
  room?.stop();
  room = door = null;
  render();
  notice.render(state, say);
  // Whoever changed the language finds the settings where they were.
  if (focused === 'set-language') {
    /** @type {HTMLElement | null} */ (root.querySelector('.me .icon-button'))?.click();
  }
}

/** On a narrow screen the way back from the messages leads to the conversations, also right after
 * the page was opened. */
function lead() {
  if (location.hash !== '' || !matchMedia(NARROW).matches) return;
  history.replaceState(null, '', addressOf('rooms'));
  history.pushState({ from: 'rooms' }, '', addressOf('messages'));
}

function paint() {
  document.documentElement.dataset.theme = setting('theme') || 'auto';
}

/** Where the keyboard on glass does not shrink the page, the visible part does. */
function fit() {
  const view = window.visualViewport;
  if (!view || view.scale !== 1) return;
  document.documentElement.style.setProperty('--height', `${Math.round(view.height)}px`);
  if (view.offsetTop) window.scrollTo(0, 0);
}

function listen() {
  window.addEventListener('online', () => {
    dispatch({ type: 'network', online: true });
    wire.wake();
  });
  window.addEventListener('offline', () => {
    dispatch({ type: 'network', online: false });
    wire.wake();
  });
  document.addEventListener('visibilitychange', () => {
    room?.log.report();
    if (document.visibilityState === 'visible') wire.wake();
  });
  window.addEventListener('pageshow', (event) => event.persisted && wire.wake());
  window.addEventListener('pagehide', keepTab);
  window.addEventListener('focus', () => room?.log.report());
  window.addEventListener('blur', () => room?.log.report());
  window.addEventListener('popstate', () => room?.show(paneOf(location.hash)));
  window.addEventListener('keydown', (event) => room?.keys(event));
  window.visualViewport?.addEventListener('resize', fit);
  // Seconds that count down, and typing that ends.
  setInterval(() => {
    dispatch({ type: 'tick', now: Date.now() });
    if (state.link.phase === 'waiting') draw();
  }, 1000);
}

async function start() {
  paint();
  fit();
  if (!navigator.onLine) state = reduce(state, { type: 'network', online: false });
  state = reduce(state, { type: 'restored', ...tab, read: loadRead() });
  const chosen = setting('language');
  await speak(chosen in LANGUAGES ? chosen : '');
  document.getElementById('boot')?.remove();
  listen();
  for (const { phase, key, to, text } of tab.pending)
    if (phase === 'waiting') wire.say({ key, to, text });
  if (tab.id) wire.start(tab);
}

void start();
