// Holds a running Kith to its protocol: `node check.mjs ws://127.0.0.1:9091/ws`.
//
// One line per check; the exit status is 1 if one failed. JSON is spoken as a browser would;
// protobuf is checked with the bytes of the golden vectors, so that no library stands between.

import { randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { isDeepStrictEqual } from "node:util";

import { Connection } from "./client.mjs";

const url = process.argv[2];
if (!url) {
  console.error("usage: node check.mjs ws://127.0.0.1:9091/ws");
  process.exit(2);
}

let passed = 0;
let failed = 0;

function check(fine, what, ...details) {
  if (fine) passed++;
  else failed++;
  console.log(`${fine ? "ok   " : "FAIL "} ${what}`, ...(fine ? [] : details));
}

function equal(found, expected, what) {
  check(isDeepStrictEqual(found, expected), what, found, "instead of", expected);
}

const fresh = (word) => `${word}-node-${randomBytes(4).toString("hex")}`;
const lobby = (welcome) => welcome.conversations.find((one) => one.conversation === "lobby");
const vectors = (file) =>
  JSON.parse(readFileSync(new URL(`../../vectors/${file}`, import.meta.url), "utf8"));

/** What of an error is protocol. */
const refusal = ({ error = {} }) => [error.code, error.name, error.field ?? ""];

async function signedIn(word) {
  const connection = await Connection.open(url, { username: fresh(word) });
  return [connection, await connection.push("welcome")];
}

async function signingIn() {
  const name = fresh("zoë");
  const header = await Connection.open(url, { username: name });
  equal(header.socket.protocol, "kith.v1.json", "the subprotocol is settled");
  equal(header.socket.extensions, "", "no extension is accepted, though one was offered");
  const welcome = await header.push("welcome");
  equal(welcome.name, name, "the username header signs in");

  const typed = fresh("query");
  const query = await Connection.open(`${url}?username=${typed}`);
  equal((await query.push("welcome")).name, typed, "?username= signs in, as in a browser");

  const hello = await Connection.open(url);
  equal(refusal(await hello.call({ userList: {} }))[0], 200, "without a name there is no list");
  equal(refusal(await hello.call({ hello: { name } }))[0], 201, "a name that is online is taken");
  const { guestId, resumeSecret } = welcome;
  const wrong = await hello.call({ hello: { name, guestId, resumeSecret: "wrong" } });
  equal(refusal(wrong)[0], 203, "a wrong secret is refused");
  const right = await hello.call({ hello: { name, guestId, resumeSecret } });
  equal(right.welcome?.guestId, guestId, "the right one is the same guest on two connections");
  await Promise.all([header, query, hello].map((connection) => connection.close()));
}

async function talking() {
  const [alice, { name }] = await signedIn("alice");
  const [bob, bobs] = await signedIn("bob");
  const { guestId, resumeSecret } = await alice.push("welcome");
  const phone = await Connection.open(url);
  await phone.call({ hello: { name, guestId, resumeSecret } });

  for (const text of ["hello", "小明 😀 \u0000 \u2028 <script>", "é".repeat(32 * 1024)]) {
    const said = await alice.talk(text);
    const short = JSON.stringify(text.slice(0, 12));
    check(/^[1-9]\d*$/.test(said.seq) && said.conversation === "lobby", `${short} has its place`);
    for (const [who, listener] of [["bob", bob], ["her phone", phone]]) {
      const heard = await listener.push("entry", (entry) => entry.seq === said.seq);
      equal([heard.from, heard.message.text], [name, text], `${who} hears ${short}`);
      equal([heard.at, heard.tag], [said.at, said.tag], "and the entry agrees with the answer");
      check(!Number.isNaN(Date.parse(heard.at)) && heard.at.endsWith("Z"), "at is a time", heard);
    }
  }
  await alice.call({ ping: {} });
  equal(alice.entries.filter((entry) => entry.from === name), [], "alice hears no echo");

  equal(await alice.call({ typing: {} }), { done: {} }, "typing is done");
  await bob.push("typed", (typed) => typed.from === name);
  check(true, "and is told");
  const { users } = await alice.call({ userList: {} });
  check([name, bobs.name].every((one) => users.names.includes(one)), "the list has both", users);
  const pong = (await alice.ping("are you there?")).toString();
  equal(pong, "are you there?", "a WebSocket ping is answered with its bytes");

  bob.socket.send('{"exit":{}}');
  equal(await bob.ended(), { code: 1000, reason: "bye" }, "exit closes with 1000");
  const after = (await alice.call({ userList: {} })).users;
  check(!after.names.includes(bobs.name), "and is off the list at once", after);
  await Promise.all([alice.close(), phone.close()]);
}

async function resuming() {
  const [alice] = await signedIn("alice");
  let [bob, welcome] = await signedIn("bob");
  const { name, guestId, resumeSecret } = welcome;
  const before = await alice.talk("before");
  await bob.push("entry", (entry) => entry.seq === before.seq);

  // Three times out of reach, each time with what was heard last; the whole is without a gap.
  let last = { seq: before.seq, tag: before.tag };
  const heard = [];
  const said = [];
  for (let round = 0; round < 3; round++) {
    await bob.lose();
    for (let n = 0; n < 3; n++) said.push((await alice.talk(`round ${round}, line ${n}`)).seq);
    bob = await Connection.open(url);
    const cursor = { conversation: "lobby", epoch: lobby(welcome).epoch, ...last };
    await bob.call({ hello: { name, guestId, resumeSecret, cursors: [cursor] } });
    const newest = said.at(-1);
    await bob.push("entry", (entry) => entry.seq === newest);
    heard.push(...bob.entries);
    last = { seq: heard.at(-1).seq, tag: heard.at(-1).tag };
  }
  const seqs = heard.map((entry) => BigInt(entry.seq));
  check(seqs.every((seq, at) => at === 0 || seq === seqs[at - 1] + 1n), "no gap, no double", seqs);
  equal(seqs[0], BigInt(before.seq) + 1n, "from the cursor on");
  check(said.every((seq) => seqs.includes(BigInt(seq))), "nothing that was missed is lost");

  const page = (await bob.call({ history: { before: said[3], limit: 3 } })).page;
  equal(
    page.entries.map((entry) => entry.message.text),
    [0, 1, 2].map((n) => `round 0, line ${n}`),
    "history has them as well",
  );
  await bob.lose();
  bob = await Connection.open(url);
  const cursor = { conversation: "lobby", epoch: "ffffffffffffffff", ...last };
  await bob.call({ hello: { name, guestId, resumeSecret, cursors: [cursor] } });
  const { standing } = await bob.push("reset");
  equal(standing.epoch, lobby(welcome).epoch, "a cursor of another log is reset to this one");
  await Promise.all([alice.close(), bob.close()]);
}

async function once() {
  const [alice] = await signedIn("alice");
  const [bob] = await signedIn("bob");
  const key = randomBytes(16).toString("base64");
  const first = await alice.talk("once", key);
  equal(await alice.talk("once", key), { ...first, duplicate: true }, "a retry is a duplicate");
  const other = await alice.call({ key, talk: { text: "twice" } });
  equal(refusal(other)[1], "key_reused", "the key of another command is refused");
  const last = await alice.talk("after");
  await bob.push("entry", (entry) => entry.seq === last.seq);
  const copies = bob.entries.filter((entry) => entry.message.text === "once");
  equal(copies.length, 1, "everybody heard it once");
  await Promise.all([alice.close(), bob.close()]);
}

async function wrongInput() {
  const [alice] = await signedIn("alice");
  for (const { name, text, error } of vectors("client.json")) {
    if (error === undefined || text === undefined) continue;
    const seen = alice.pushes.length;
    alice.socket.send(text);
    equal(await alice.call({ ping: {} }), { pong: {} }, `alive after ${name}`);
    const told = alice.pushes.slice(seen).filter((frame) => frame.error);
    const expected = [error.id, error.code, error.name, error.field ?? ""];
    equal(told.map((frame) => [frame.id ?? 0, ...refusal(frame)]), [expected], `refused: ${name}`);
  }
  const long = await alice.call({ talk: { text: "x".repeat(65537) } });
  equal(refusal(long), [402, "text_too_long", "talk.text"], "65,537 bytes are too many");
  alice.socket.send(" ".repeat(80 * 1024 + 1));
  equal((await alice.ended()).code, 1009, "over 80 KiB the connection ends with 1009");
}

async function protobuf() {
  const bytes = (file, name) =>
    Buffer.from(vectors(file).find((row) => row.name === name).protobuf, "hex");
  const protocols = ["kith.v9.proto", "kith.v1.proto", "kith.v1.json"];
  const alice = await Connection.open(url, { protocols });
  equal(alice.socket.protocol, "kith.v1.proto", "the first that the server knows is taken");
  alice.socket.send(bytes("client.json", "ping"));
  const pong = await alice.until(() => alice.binary[0], "pong");
  equal(pong.toString("hex"), bytes("server.json", "pong").toString("hex"), "pong to the byte");
  alice.socket.send(bytes("client.json", "exit"));
  equal((await alice.ended()).code, 1000, "exit in protobuf");
  equal(alice.pushes, [], "and not one text frame in between");
}

for (const scenario of [signingIn, talking, resuming, once, wrongInput, protobuf]) {
  try {
    await scenario();
  } catch (error) {
    check(false, `${scenario.name} went on to its end`, error);
  }
}
console.log(`${passed} passed, ${failed} failed`);
process.exit(failed === 0 ? 0 : 1);
