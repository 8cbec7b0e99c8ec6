// How a connection begins, ends, and comes back.

import assert from "node:assert/strict";
import { afterEach, test } from "node:test";
import { Client, VERSION } from "../wsframe-client.js";
import { Server, settled } from "./scripted.mjs";

const globals = ["location", "addEventListener", "removeEventListener", "document", "navigator", "reportError"];
const before = Object.fromEntries(globals.map((name) => [name, Object.getOwnPropertyDescriptor(globalThis, name)]));

function pretend(name, value) {
  Object.defineProperty(globalThis, name, { value, configurable: true, writable: true });
}

afterEach(() => {
  for (const name of globals) {
    if (before[name]) Object.defineProperty(globalThis, name, before[name]);
    else delete globalThis[name];
  }
});

/** A page's window and document. */
function pretendPage({ onLine = true, visibilityState = "visible" } = {}) {
  const window = new EventTarget();
  const document = Object.assign(new EventTarget(), { visibilityState });
  const navigator = { onLine };
  pretend("addEventListener", window.addEventListener.bind(window));
  pretend("removeEventListener", window.removeEventListener.bind(window));
  pretend("document", document);
  pretend("navigator", navigator);
  return { window, document, navigator };
}

test("it offers the subprotocol, sends init first, and tells when it is open", async () => {
  const server = new Server();
  const { client, statuses } = await server.client();
  assert.deepEqual(server.socket.protocols, ["wsframe.v1.json"]);
  assert.deepEqual(server.socket.sent, []);
  const init = await server.socket.introduce({ sessionId: "s1" });
  assert.deepEqual([init.type, init.content], ["init", { client: { name: "wsframe-client", version: VERSION } }]);
  assert.deepEqual(statuses, ["connecting", "open"]);
  assert.deepEqual([client.status, client.sessionId], ["open", "s1"]);
});

for (const [given, expected] of [
  ["/ws", "wss://page.test:8443/ws"],
  ["ws?room=1", "wss://page.test:8443/chat/ws?room=1"],
  ["http://other.test/ws#part", "ws://other.test/ws"],
  ["https://other.test/ws", "wss://other.test/ws"],
  ["ws://other.test/ws", "ws://other.test/ws"],
]) {
  test(`on a page, ${given} leads to ${expected}`, async () => {
    pretend("location", { href: "https://page.test:8443/chat/index.html" });
    const server = new Server();
    await server.client({}, given);
    assert.equal(server.socket.url, expected);
  });
}

test("where there is no WebSocket class, the error names the option", (context) => {
  const global = Object.getOwnPropertyDescriptor(globalThis, "WebSocket");
  if (global) context.after(() => Object.defineProperty(globalThis, "WebSocket", global));
  delete globalThis.WebSocket;
  assert.throws(() => new Client("ws://test/ws"), { name: "TypeError", message: /option WebSocket/ });
});

test("a WebSocket class that refuses the address or token ends the client, with the reason", async () => {
  const { client, statuses, details } = await new Server().client({
    WebSocket: class {
      constructor() {
        throw new SyntaxError("invalid subprotocol");
      }
    },
  });
  assert.deepEqual(statuses, ["connecting", "closed"]);
  assert.equal(details.at(-1).error.message, "invalid subprotocol");
  await assert.rejects(client.request("text"), { code: "closed" });
});

test("a token goes into init", async () => {
  const server = new Server();
  await server.client({ token: "t0k3n" });
  const init = await server.socket.introduce();
  assert.equal(init.content.token, "t0k3n");
  assert.deepEqual(server.socket.protocols, ["wsframe.v1.json"]);
});

test("a token may go into the handshake instead", async () => {
  const server = new Server();
  await server.client({ token: async () => "t0k3n", tokenIn: "subprotocol" });
  const init = await server.socket.introduce();
  assert.deepEqual(server.socket.protocols, ["wsframe.v1.json", "wsframe.bearer.t0k3n"]);
  assert.equal("token" in init.content, false);
});

test("a token function is asked before each connection", async () => {
  const server = new Server();
  let number = 0;
  await server.client({ token: async () => `t${++number}` });
  const first = await server.socket.introduce();
  server.socket.drop();
  await server.clock.pass(250);
  const second = await server.socket.introduce();
  assert.deepEqual([first.content.token, second.content.token], ["t1", "t2"]);
});

test("when the token function fails, it is asked again after a pause", async () => {
  const server = new Server();
  const tokens = [() => Promise.reject(new Error("no network")), () => "good"];
  const { details, statuses } = await server.client({ token: () => tokens.shift()() });
  assert.equal(server.sockets.length, 0);
  assert.equal(details.at(-1).error.message, "no network");
  await server.clock.pass(250);
  assert.equal((await server.socket.introduce()).content.token, "good");
  assert.deepEqual(statuses, ["connecting", "connecting", "open"]);
});

for (const code of [1000, 1002, 1003, 1007, 1008, 1009, 4400, 4403, 4409]) {
  test(`close code ${code} is final: nobody is left waiting, and nothing is tried again`, async () => {
    const server = new Server();
    const { client, socket, statuses, details } = await server.connected();
    const request = client.request("text");
    socket.drop(code, "because");
    await assert.rejects(request, { code: "closed", retryable: false, details: { code, reason: "because" } });
    assert.equal(statuses.at(-1), "closed");
    assert.deepEqual([details.at(-1).code, details.at(-1).reason], [code, "because"]);
    await assert.rejects(client.request("text"), { code: "closed", message: /because/ });
    await server.clock.pass(3_600_000);
    assert.equal(server.sockets.length, 1);
    assert.equal(server.clock.waiting, 0);
  });
}

for (const code of [1001, 1005, 1006, 1011, 1012, 1013, 4408]) {
  test(`after close code ${code} it comes back`, async () => {
    const server = new Server();
    const { socket, statuses } = await server.connected();
    socket.drop(code);
    await server.clock.pass(250);
    await server.socket.introduce({ resumed: true });
    assert.equal(server.sockets.length, 2);
    assert.deepEqual(statuses, ["connecting", "open", "connecting", "resumed"]);
  });
}

test("after close code 4429 it comes back, much later", async () => {
  const server = new Server();
  const { socket } = await server.connected();
  socket.drop(4429);
  await server.clock.pass(14_999);
  assert.equal(server.sockets.length, 1);
  await server.clock.pass(15_001);
  assert.equal(server.sockets.length, 2);
});

test("after 4401 the token is renewed once, and then the end is final", async () => {
  const server = new Server();
  let number = 0;
  const { statuses, details } = await server.client({ token: () => `t${++number}` });
  server.socket.open();
  server.socket.drop(4401, "expired");
  await server.clock.pass(0);
  assert.equal(server.sockets.length, 2, "a new token is tried without a pause");
  assert.equal(server.socket.open().content.token, "t2");
  server.socket.drop(4401, "still expired");
  await server.clock.pass(60_000);
  assert.equal(server.sockets.length, 2);
  assert.equal(statuses.at(-1), "closed");
  assert.equal(details.at(-1).reason, "still expired");
});

test("once a renewed token was accepted, it may be renewed again", async () => {
  const server = new Server();
  const { socket } = await server.connected({ token: () => "t" });
  socket.drop(4401);
  await server.clock.pass(0);
  await server.socket.introduce({ resumed: true });
  server.socket.drop(4401);
  await server.clock.pass(0);
  assert.equal(server.sockets.length, 3);
});

test("after 4401 a token that is a string cannot be renewed: the end is final", async () => {
  const server = new Server();
  const { socket, statuses } = await server.connected({ token: "t" });
  socket.drop(4401);
  assert.equal(statuses.at(-1), "closed");
});

test("init answered with an error that cannot be retried is final", async () => {
  const server = new Server();
  const { statuses, details } = await server.client();
  server.socket.fail(server.socket.open(), "forbidden", { message: "Not you." });
  assert.equal(statuses.at(-1), "closed");
  assert.deepEqual([details.at(-1).code, details.at(-1).reason], [4403, "Not you."]);
});

test("init answered with unauthenticated renews the token", async () => {
  const server = new Server();
  let number = 0;
  await server.client({ token: () => `t${++number}` });
  server.socket.fail(server.socket.open(), "unauthenticated");
  await server.clock.pass(0);
  assert.equal(server.socket.open().content.token, "t2");
});

test("init answered with an error that can be retried is tried again, not before the server wants it", async () => {
  const server = new Server();
  await server.client();
  server.socket.fail(server.socket.open(), "unavailable", { retryable: true, retryAfterMs: 5_000 });
  await server.clock.pass(4_999);
  assert.equal(server.sockets.length, 1);
  await server.clock.pass(251);
  assert.equal(server.sockets.length, 2);
});

test("the pause before the next attempt doubles, is random from 0 on, and stays within 30 s", async () => {
  for (const chance of [0, 0.5, 0.999]) {
    const server = new Server();
    server.clock.chance = chance;
    const { socket, details } = await server.connected();
    socket.drop();
    for (let attempt = 0; attempt < 12; attempt += 1) {
      assert.equal(details.at(-1).retryInMs, chance * Math.min(30_000, 250 * 2 ** attempt));
      await server.clock.pass(details.at(-1).retryInMs);
      server.socket.drop();
    }
  }
});

test("a connection that lasted starts the pauses anew, one that broke at once does not", async () => {
  const server = new Server();
  const { socket, details } = await server.connected();
  socket.drop();
  await server.clock.pass(125);
  await server.socket.introduce();
  server.socket.drop();
  assert.equal(details.at(-1).retryInMs, 250);
  await server.clock.pass(250);
  await server.socket.introduce();
  await server.clock.pass(5_000);
  server.socket.drop();
  assert.equal(details.at(-1).retryInMs, 125);
});

test("a draining server gets the time it asked for, and more by chance", async () => {
  const server = new Server();
  const { socket, messages } = await server.connected();
  socket.deliver({ type: "system", transient: true, content: { event: "draining", reconnectAfterMs: 4_000 } });
  assert.equal(messages.length, 1);
  socket.drop(1012);
  await server.clock.pass(4_124);
  assert.equal(server.sockets.length, 1);
  await server.clock.pass(1);
  assert.equal(server.sockets.length, 2);
  server.socket.drop();
  await server.clock.pass(250);
  assert.equal(server.sockets.length, 3, "it asked for that pause once");
});

test("a server cannot keep clients away for longer than an hour with one word", async () => {
  const server = new Server();
  const { socket, details } = await server.connected();
  socket.deliver({ type: "system", transient: true, content: { event: "draining", reconnectAfterMs: 1e12 } });
  socket.drop(1012);
  assert.equal(details.at(-1).retryInMs, 3_600_125);
});

test("a server that does not answer init within ten seconds is given up", async () => {
  const server = new Server();
  const { statuses } = await server.client();
  server.socket.open();
  await server.clock.pass(9_999);
  assert.equal(server.socket.closed, null);
  await server.clock.pass(1);
  assert.equal(server.socket.closed, 4408);
  await server.clock.pass(250);
  assert.equal(server.sockets.length, 2);
  assert.deepEqual(statuses, ["connecting", "connecting"]);
});

test("a connection that was given up has nothing more to say", async () => {
  const server = new Server();
  const { messages } = await server.client();
  const late = server.socket;
  await server.clock.pass(10_250);
  late.deliver({ type: "said" });
  late.drop(4403);
  await server.socket.introduce();
  assert.deepEqual(messages, []);
});

for (const text of ["{", "null", "[]", "7", '{"content": {}}', '{"type": 7}']) {
  test(`a server that sends ${text} is given up and tried again`, async () => {
    const server = new Server();
    const { socket } = await server.connected();
    socket.deliverText(text);
    assert.equal(socket.closed, 4408);
    await server.clock.pass(250);
    assert.equal(server.sockets.length, 2);
  });
}

for (const content of [null, {}, { seq: "x" }, { seq: -1 }, { sessionId: null }, { inFlight: null }]) {
  test(`an answer to init with ${JSON.stringify(content)} is none`, async () => {
    const server = new Server();
    await server.client();
    const init = server.socket.open();
    const whole = { sessionId: "s", secret: "k", resumed: false, seq: 0, gap: null, inFlight: [] };
    const told = content && Object.keys(content).length ? { ...whole, ...content } : content;
    server.socket.answer(init, told);
    assert.equal(server.socket.closed, 4408);
    await server.clock.pass(250);
    assert.equal(server.sockets.length, 2);
  });
}

test("a server that explains a refusal at length is closed all the same", async () => {
  const server = new Server();
  const { statuses, details } = await server.client();
  server.socket.fail(server.socket.open(), "forbidden", { message: "No. ".repeat(100) });
  assert.equal(statuses.at(-1), "closed");
  assert.equal(details.at(-1).reason.length, 400);
});

test("a server that names neither limits nor heartbeat is talked to all the same", async () => {
  const server = new Server();
  const { client, socket } = await server.connected({}, { limits: null, heartbeat: null });
  const request = client.request("text");
  socket.answer(socket.last, { ok: true });
  assert.deepEqual((await request).content, { ok: true });
});

test("while the browser is offline it does not try, and at once when it is online again", async () => {
  const { window, navigator } = pretendPage();
  const server = new Server();
  const { socket } = await server.connected();
  navigator.onLine = false;
  socket.drop();
  await server.clock.pass(600_000);
  assert.equal(server.sockets.length, 1);
  assert.equal(server.clock.waiting, 0);
  navigator.onLine = true;
  window.dispatchEvent(new Event("online"));
  await settled();
  assert.equal(server.sockets.length, 2);
});

test("when the browser is online again it does not wait for the pause to end, even in a hidden page", async () => {
  const { window } = pretendPage({ visibilityState: "hidden" });
  const server = new Server();
  server.clock.chance = 1;
  const { socket } = await server.connected();
  socket.drop();
  window.dispatchEvent(new Event("online"));
  await settled();
  assert.equal(server.sockets.length, 2);
  await server.clock.pass(250);
  assert.equal(server.sockets.length, 2, "the pause that was cut short connected too");
});

test("when the page becomes visible it does not wait for the pause to end", async () => {
  const { document } = pretendPage();
  const server = new Server();
  const { socket } = await server.connected();
  socket.drop();
  document.visibilityState = "hidden";
  document.dispatchEvent(new Event("visibilitychange"));
  await settled();
  assert.equal(server.sockets.length, 1);
  document.visibilityState = "visible";
  document.dispatchEvent(new Event("visibilitychange"));
  await settled();
  assert.equal(server.sockets.length, 2);
});

test("a pause that the server asked for is kept, whatever the page does", async () => {
  const { window } = pretendPage();
  const server = new Server();
  const { socket } = await server.connected();
  socket.deliver({ type: "system", transient: true, content: { event: "draining", reconnectAfterMs: 4_000 } });
  socket.drop(1012);
  window.dispatchEvent(new Event("online"));
  await server.clock.pass(3_999);
  assert.equal(server.sockets.length, 1);
  await server.clock.pass(1);
  assert.equal(server.sockets.length, 2);
  await server.clock.pass(1_000);
  assert.equal(server.sockets.length, 2);
});

test("an open connection is not disturbed by such events, nor is a closed client", async () => {
  const { window } = pretendPage();
  const server = new Server();
  const { client } = await server.connected();
  window.dispatchEvent(new Event("online"));
  client.close();
  window.dispatchEvent(new Event("online"));
  await settled();
  assert.equal(server.sockets.length, 1);
});

test("connect does not wait for the pause to end, and makes no second connection", async () => {
  const server = new Server();
  const { client, socket } = await server.connected();
  client.connect();
  socket.drop();
  client.connect();
  client.connect();
  await server.clock.pass(250);
  assert.equal(server.sockets.length, 2);
  await server.socket.introduce({ resumed: true });
  client.close();
  client.connect();
  await settled();
  assert.equal(server.sockets.length, 2);
});

test("connect right after the constructor changes nothing", async () => {
  const server = new Server();
  new Client("ws://test/ws", { WebSocket: server.WebSocket, _clock: server.clock }).connect();
  await settled();
  assert.equal(server.sockets.length, 1);
});

test("close finishes the session with 1000, ends every request, and says so once", async () => {
  const server = new Server();
  const { client, socket, statuses } = await server.connected();
  const request = client.request("text");
  client.close();
  client.close();
  await assert.rejects(request, { code: "closed" });
  assert.equal(socket.closed, 1000);
  socket.drop(1000);
  await server.clock.pass(60_000);
  assert.deepEqual(statuses, ["connecting", "open", "closed"]);
  assert.equal(server.clock.waiting, 0);
});

test("a client that is closed at once, or while it waits for a token, never connects", async () => {
  const server = new Server();
  const options = { WebSocket: server.WebSocket, _clock: server.clock };
  new Client("ws://test/ws", options).close();
  const { client } = await server.client({ token: () => new Promise((resolve) => setImmediate(resolve, "t")) });
  client.close();
  await server.clock.pass(60_000);
  assert.equal(server.sockets.length, 0);
});

test("silence is answered with a ping, and a pong keeps the connection", async () => {
  const server = new Server();
  const { client, socket, messages } = await server.connected();
  await server.clock.pass(29_999);
  assert.deepEqual(socket.types, ["init"]);
  await server.clock.pass(1);
  assert.deepEqual(socket.types, ["init", "ping"]);
  socket.deliver({ type: "pong", replyTo: socket.last.id, final: true, transient: true, content: {} });
  await server.clock.pass(29_999);
  assert.deepEqual(socket.types, ["init", "ping"]);
  await server.clock.pass(1);
  assert.deepEqual(socket.types, ["init", "ping", "ping"]);
  assert.equal(client.status, "open");
  assert.deepEqual(messages, []);
});

test("silence after the ping drops the connection, and another one is made", async () => {
  const server = new Server();
  const { socket, details } = await server.connected();
  await server.clock.pass(39_999);
  assert.equal(socket.closed, null);
  await server.clock.pass(1);
  assert.equal(socket.closed, 4408, "1000 would end the session");
  assert.equal(details.at(-1).reason, "heartbeat missed");
  await server.clock.pass(250);
  assert.equal(server.sockets.length, 2);
});

test("whatever is heard counts: a busy connection is not pinged", async () => {
  const server = new Server();
  const { socket } = await server.connected();
  for (let number = 0; number < 10; number += 1) {
    await server.clock.pass(20_000);
    socket.push();
  }
  assert.equal(socket.types.includes("ping"), false);
});

test("a timer that comes late, as in a hidden page, asks before it drops", async () => {
  const server = new Server();
  const { socket } = await server.connected();
  server.clock.time += 60_000; // the timers stood still
  await server.clock.pass(0);
  assert.deepEqual(socket.types, ["init", "ping"]);
  assert.equal(socket.closed, null);
});

test("a server without heartbeat is never pinged", async () => {
  const server = new Server();
  const { socket } = await server.connected({}, { heartbeat: { intervalMs: 0, timeoutMs: 0 } });
  await server.clock.pass(3_600_000);
  assert.deepEqual(socket.types, ["init"]);
});

test("before the token expires a new one is sent, and the answer is nobody's business", async () => {
  const server = new Server();
  let number = 0;
  const { socket, messages } = await server.connected({ token: async () => `t${++number}` });
  socket.deliver({ type: "system", transient: true, content: { event: "token_expiring", expiresInMs: 60_000 } });
  await settled();
  assert.deepEqual([socket.last.type, socket.last.content], ["auth", { token: "t2" }]);
  socket.answer(socket.last);
  assert.deepEqual(messages.map(({ type }) => type), ["system"]);
});

test("a new token that cannot be had, or comes after the connection has ended, harms nothing", async () => {
  const server = new Server();
  let arrive;
  const tokens = ["t1", Promise.reject(new Error("no network")), new Promise((resolve) => (arrive = resolve))];
  tokens[1].catch(() => {});
  const { socket, statuses } = await server.connected({ token: () => tokens.shift() ?? "t4" });
  const expiring = { type: "system", transient: true, content: { event: "token_expiring", expiresInMs: 1 } };
  socket.deliver(expiring);
  socket.deliver(expiring);
  socket.drop();
  await server.clock.pass(250);
  server.socket.open();
  arrive("late");
  await settled();
  assert.deepEqual([...socket.types, ...server.socket.types], ["init", "init"]);
  await server.socket.introduce({ resumed: true });
  assert.equal(statuses.at(-1), "resumed");
});

test("a listener that fails is reported, and disturbs nobody", async () => {
  const reported = [];
  pretend("reportError", (error) => reported.push(error.message));
  const server = new Server();
  const { client, socket, messages } = await server.connected();
  client.on("message", () => {
    throw new Error("mine");
  });
  const heard = [];
  client.on("message", (message) => heard.push(message));
  socket.push(2);
  assert.deepEqual([messages.length, heard.length, reported], [2, 2, ["mine", "mine"]]);
});

test("a listener is called until it is taken off, in either way", async () => {
  const server = new Server();
  const { client, socket } = await server.connected();
  const heard = [];
  const listener = () => heard.push("listener");
  client.on("message", listener);
  const stop = client.on("message", () => heard.push("other"));
  socket.push();
  client.off("message", listener);
  socket.push();
  stop();
  socket.push();
  assert.deepEqual(heard, ["listener", "other", "other"]);
});

test("an event that does not exist cannot be listened to", async () => {
  const { client } = await new Server().client();
  assert.throws(() => client.on("messages", () => {}), /"message" and "status"/);
});
