// The network fails, the server is stopped and killed, the page is reloaded: nothing is lost,
// nothing is doubled, and everybody sees one order.

import assert from 'node:assert/strict';

import { check, eachOnce, times } from './lib.mjs';

/** @typedef {import('./lib.mjs').Stage} Stage */

/** @param {Stage} stage */
export async function failing(stage) {
  await offline(stage);
  await restarted(stage, 'SIGTERM');
  await restarted(stage, 'SIGKILL');
  await reloaded(stage);
}

/** @param {Stage} stage */
async function offline({ everybody: [alice, bob], shot }) {
  await check('whoever goes offline can go on writing, and misses nothing', async () => {
    await bob.context.setOffline(true);
    await bob.page.evaluate(() => globalThis.sockets.at(-1).close());
    await bob.page.waitForSelector('.status:visible');
    await bob.say('written offline');
    await alice.say('while Bob was away');
    await shot(bob, 'desk-offline');
    await bob.context.setOffline(false);
    for (const person of [alice, bob]) {
      await person.sees('written offline');
      await person.sees('while Bob was away');
      await person.settled();
    }
    await bob.page.waitForSelector('.status', { state: 'hidden' });
  });
  await check(
    'a connection that is dead without knowing it is found out and replaced',
    async () => {
      await bob.page.evaluate(() => {
        globalThis.sockets.at(-1).muted = true;
      });
      await alice.say('into the void');
      await bob.say('out of the void');
      await bob.page.evaluate(() => window.dispatchEvent(new Event('online')));
      for (const person of [alice, bob]) {
        await person.sees('into the void');
        await person.sees('out of the void');
        await person.settled();
      }
    },
  );
}

/** @param {Stage} stage @param {'SIGTERM' | 'SIGKILL'} signal */
async function restarted({ everybody: [alice, bob], server }, signal) {
  await check(
    `${signal} and a new start while both are sending: nothing lost, nothing doubled, one order`,
    async () => {
      const said = (who) => Array.from({ length: 12 }, (_, i) => `${signal} ${who} ${i}`);
      const talk = async (person, who) => {
        for (const text of said(who)) {
          await person.say(text);
          await person.page.waitForTimeout(60);
        }
      };
      const both = Promise.all([talk(alice, 'a'), talk(bob, 'b')]);
      await alice.page.waitForTimeout(250);
      await server.stop(signal);
      await both;
      await server.start();
      for (const person of [alice, bob]) {
        await eachOnce(person, said('a'));
        await eachOnce(person, said('b'));
        await person.settled();
      }
      const of = async (person) => (await person.texts()).filter((text) => text.startsWith(signal));
      assert.deepEqual(await of(alice), await of(bob));
    },
  );
}

/** @param {Stage} stage */
async function reloaded({ everybody: [alice, bob] }) {
  await check('what was not sent, and what was not finished, survive a reload', async () => {
    await bob.page.evaluate(() => {
      sessionStorage.setItem('journey.forbidden', 'yes');
      globalThis.sockets.at(-1).close();
    });
    await bob.say('kept over a reload');
    await bob.page.fill('textarea', 'half a thou');
    await bob.page.reload();
    await bob.page.waitForSelector('.message.waiting');
    assert.equal(await bob.page.inputValue('textarea'), 'half a thou');
    await bob.page.evaluate(() => sessionStorage.removeItem('journey.forbidden'));
    await alice.sees('kept over a reload');
    await bob.settled();
    for (const person of [alice, bob])
      assert.equal(times(await person.texts(), 'kept over a reload'), 1);
    assert.match(await bob.text('.me-name'), /^Alice2$/);
    await bob.page.fill('textarea', '');
  });
}
