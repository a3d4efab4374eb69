// What the journey stands on: the server as a process, Chromium, pages that note everything odd.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

import { chromium } from 'playwright-core';

/** How long anything may take before it counts as not happening. Generous: nothing is judged by
 * speed, and the machine may be busy. */
export const PATIENCE = 30_000;

/** The server under test, started and stopped as often as wanted. */
export class Server {
  /** @param {string[]} command with `{port}` where the port belongs */
  static async on(command) {
    // It must be known before the start, because the server comes back to it.
    const probe = createServer().listen(0, '127.0.0.1');
    await once(probe, 'listening');
    const { port } = probe.address();
    probe.close();
    await once(probe, 'close');
    const server = new Server();
    server.url = `http://127.0.0.1:${port}`;
    server.command = command.map((word) => word.replace('{port}', port));
    await server.start();
    return server;
  }

  async start() {
    const [program, ...args] = this.command;
    this.process = spawn(program, args, { stdio: ['ignore', 'ignore', 'inherit'] });
    this.gone = once(this.process, 'exit');
    await until('the server answers', async () => (await fetch(this.url).catch(() => null))?.ok);
  }

  /** @param {'SIGTERM' | 'SIGKILL'} signal */
  async stop(signal = 'SIGTERM') {
    this.process.kill(signal);
    await this.gone;
  }
}

/** @param {string} what @param {() => Promise<unknown>} holds */
export async function until(what, holds) {
  const end = Date.now() + PATIENCE;
  while (!(await holds())) {
    if (Date.now() > end) throw new Error(`it never came true that ${what}`);
    await sleep(50);
  }
}

/** @param {string} executablePath */
export const browse = (executablePath) =>
  chromium.launch({
    executablePath,
    args: [
      '--headless',
      '--no-sandbox',
      '--disable-gpu',
      '--disable-quic',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
    ],
  });

/** Before any script of the page: what runs that must not, what the policy refuses, and sockets
 * that can be muted (nothing gets through, nobody notices) and forbidden. */
function instrument() {
  globalThis.odd = [];
  globalThis.hit = (which) => globalThis.odd.push(`a script ran: ${which}`);
  for (const name of ['alert', 'confirm', 'prompt']) globalThis[name] = () => globalThis.hit(name);
  addEventListener('securitypolicyviolation', (event) =>
    globalThis.odd.push(`the policy refused ${event.violatedDirective} ${event.blockedURI}`),
  );
  const Real = WebSocket;
  globalThis.sockets = [];
  globalThis.WebSocket = class extends Real {
    constructor(url, protocols) {
      super(url, protocols);
      globalThis.sockets.push(this);
      if (sessionStorage.getItem('journey.forbidden')) super.close();
    }

    send(data) {
      if (!this.muted) super.send(data);
    }

    set onmessage(heard) {
      super.onmessage = heard && ((event) => this.muted || heard(event));
    }
  };
}

/** Console lines that are the browser's own report of a server that is away on purpose. */
const EXPECTED = new RegExp(
  'WebSocket connection to .* failed|WebSocket is closed before|' +
    'net::ERR_(CONNECTION_REFUSED|INTERNET_DISCONNECTED|CONNECTION_RESET|EMPTY_RESPONSE)',
);

/** Where the journey takes place: one server, one browser, everybody who came.
 *
 * @typedef {{server: Server, url: string, everybody: Person[],
 *   come: (options?: object) => Promise<Person>, go: (person: Person) => Promise<void>,
 *   shot: (person: Person, name: string) => unknown}} Stage
 */

/** One person in front of one page. */
export class Person {
  /** @param {import('playwright-core').Browser} browser @param {string} url
   * @param {object} [options] */
  static async come(browser, url, options = {}) {
    const context = await browser.newContext({
      viewport: { width: 1280, height: 800 },
      locale: 'en-GB',
      ...options,
    });
    context.setDefaultTimeout(PATIENCE);
    await context.addInitScript(instrument);
    const person = new Person();
    person.context = context;
    person.page = await context.newPage();
    person.odd = [];
    person.page.on('console', (line) => {
      if (line.type() === 'error' && !EXPECTED.test(line.text()))
        person.odd.push(`console: ${line.text()}`);
    });
    person.page.on('pageerror', (error) => person.odd.push(`uncaught: ${error.message}`));
    person.page.on('dialog', (dialog) => {
      person.odd.push(`a dialog: ${dialog.message()}`);
      dialog.dismiss();
    });
    person.page.on('request', (request) => {
      if (new URL(request.url()).origin !== new URL(url).origin)
        person.odd.push(`a request to ${request.url()}`);
    });
    await person.page.goto(url);
    await person.page.waitForSelector('#name, textarea');
    return person;
  }

  /** @param {string} name */
  async join(name) {
    await this.page.fill('#name', name);
    await this.page.keyboard.press('Enter');
    await this.page.waitForSelector('.app textarea');
    return this;
  }

  /** @param {string} text */
  async say(text) {
    await this.page.fill('textarea', text);
    await this.page.press('textarea', 'Enter');
  }

  /** Every message that is shown, in order: author, text, and whether it is sent. */
  messages() {
    return this.page.$$eval('.message', (rows) =>
      rows.map((row) => ({
        text: row.querySelector('.text').textContent,
        own: row.classList.contains('own'),
        sent: !row.matches('.waiting, .refused'),
        label: row.getAttribute('aria-label'),
      })),
    );
  }

  async texts() {
    return (await this.messages()).map(({ text }) => text);
  }

  /** @param {string} text */
  sees(text) {
    return until(`somebody sees ${JSON.stringify(text.slice(0, 60))}`, async () =>
      (await this.texts()).includes(text),
    );
  }

  /** All of one's own messages are acknowledged. */
  settled() {
    return until('everything is sent', async () =>
      (await this.messages()).every(({ sent }) => sent),
    );
  }

  /** @param {string} selector */
  text(selector) {
    return this.page.locator(selector).innerText();
  }

  async oddities() {
    return [...this.odd, ...(await this.page.evaluate(() => globalThis.odd))];
  }
}

/** How often somebody says it. @param {string[]} list @param {string} text */
export const times = (list, text) => list.filter((one) => one === text).length;

/** Each of these once, in this order, on this person's page. */
export async function eachOnce(person, texts) {
  for (const text of texts) await person.sees(text);
  const seen = await person.texts();
  assert.deepEqual(
    seen.filter((text) => texts.includes(text)),
    texts,
  );
}

let passed = 0;
let failed = 0;

/** One line for each check. @param {string} what @param {() => Promise<unknown>} holds */
export async function check(what, holds) {
  try {
    await holds();
    passed += 1;
    console.log(`ok      ${what}`);
  } catch (error) {
    failed += 1;
    console.log(`FAILED  ${what}\n        ${String(error.message).replaceAll('\n', '\n        ')}`);
  }
}

/** The last line, and the exit code. */
export function verdict() {
  console.log(`${passed} passed, ${failed} failed`);
  return failed === 0 && passed > 0 ? 0 : 1;
}
