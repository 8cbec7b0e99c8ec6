// What becomes of a request on one connection.

import assert from "node:assert/strict";
import { getEventListeners } from "node:events";
import { test } from "node:test";
import { RequestError } from "../wsframe-client.js";
import { Server, settled } from "./scripted.mjs";

const RETRYABLE = { retryable: true };

test("an answer belongs to the request that its replyTo names", async () => {
  const server = new Server();
  const { client, socket } = await server.connected();
  const first = client.request("text", { text: "a" });
  const second = client.request("text", { text: "b" });
  const [, a, b] = socket.sent;
  assert.deepEqual([a.content, b.content], [{ text: "a" }, { text: "b" }]);
  assert.deepEqual([first.id, second.id], [a.id, b.id]);
  socket.answer(b, { text: "B" });
  socket.answer(a, { text: "A" });
  assert.equal((await first).content.text, "A");
  assert.equal((await second).content.text, "B");
});

test("ids are never used twice, by one client or by two", async () => {
  const server = new Server();
  const one = await server.connected();
  const two = await server.connected();
  for (const { client } of [one, two]) {
    for (let number = 0; number < 20; number += 1) client.request("text").catch(() => {});
  }
  const ids = [...one.socket.sent, ...two.socket.sent].map(({ id }) => id);
  assert.equal(ids.length, 42);
  assert.equal(new Set(ids).size, 42);
  assert.ok(ids.every((id) => id.length <= 128));
});

test("requests made before the connection is open go out when it is, in their order and once", async () => {
  const server = new Server();
  const { client } = await server.client();
  client.on("status", (status) => status === "open" && client.request("third").catch(() => {}));
  client.request("first").catch(() => {});
  server.socket.open();
  client.request("second").catch(() => {});
  await server.socket.introduce();
  const [, ...sent] = server.socket.types.filter((type, index) => index > 0 || type !== "init");
  assert.deepEqual(sent, ["first", "second", "third"]);
});

test("parts of an answer that nobody streams are passed over", async () => {
  const server = new Server();
  const { client, socket, messages } = await server.connected();
  const request = client.request("ask");
  socket.part(socket.last, { delta: "a" });
  socket.answer(socket.last, { done: true });
  assert.deepEqual((await request).content, { done: true });
  assert.deepEqual(messages, []);
});

test("an error answer rejects with all it says", async () => {
  const server = new Server();
  const { client, socket } = await server.connected();
  const request = client.request("divide");
  socket.fail(socket.last, "math.division_by_zero", { message: "by must not be 0", details: [1] });
  await assert.rejects(request, (error) => {
    assert.ok(error instanceof RequestError);
    const { code, message, retryable, details } = error;
    assert.deepEqual(
      { code, message, retryable, details },
      { code: "math.division_by_zero", message: "by must not be 0", retryable: false, details: [1] },
    );
    return true;
  });
});

test("an answer that comes twice, or too late, is ignored", async () => {
  const server = new Server();
  const { client, socket, messages } = await server.connected();
  const request = client.request("text", {}, { timeoutMs: 100 });
  const asked = socket.last;
  socket.answer(asked, { n: 1 });
  socket.answer(asked, { n: 2 });
  assert.deepEqual((await request).content, { n: 1 });
  assert.deepEqual(messages, []);
});

test("messages that answer nothing are told to the listeners", async () => {
  const server = new Server();
  const { socket, messages } = await server.connected();
  socket.deliver({ type: "said" });
  socket.deliver({ type: "error", content: { code: "invalid_json" } });
  socket.deliver({ type: "system", transient: true, content: { event: "news" } });
  assert.deepEqual(messages.map(({ type }) => type), ["said", "error", "system"]);
  assert.deepEqual(messages[0].content, {}, "content that is left out is {}");
});

test("a request ends after its time, and the server is told to stop", async () => {
  const server = new Server();
  const { client, socket } = await server.connected();
  const request = client.request("text", {}, { timeoutMs: 5_000 });
  const asked = socket.last;
  await server.clock.pass(4_999);
  assert.deepEqual(socket.types, ["init", "text"]);
  const rejected = assert.rejects(request, { code: "timeout", retryable: true });
  await server.clock.pass(1);
  await rejected;
  assert.deepEqual([socket.last.type, socket.last.content], ["cancel", { id: asked.id }]);
});

test("without a time of its own a request has the client's, and 30 s if that has none", async () => {
  for (const [options, timeoutMs] of [[{}, 30_000], [{ timeoutMs: 7_000 }, 7_000]]) {
    const server = new Server();
    const { client } = await server.connected(options);
    let ended = false;
    client.request("text").catch(() => (ended = true));
    await server.clock.pass(timeoutMs - 1);
    assert.equal(ended, false);
    await server.clock.pass(1);
    assert.equal(ended, true);
  }
});

test("a request ends after its time even if the connection never comes", async () => {
  const server = new Server();
  const { client } = await server.client();
  const request = client.request("text", {}, { timeoutMs: 5_000 });
  const rejected = assert.rejects(request, { code: "timeout" });
  await server.clock.pass(5_000);
  await rejected;
  await server.socket.introduce();
  assert.deepEqual(server.socket.types, ["init"]);
});

test("a time longer than timers can run is as long as they can", async () => {
  const server = new Server();
  const { client } = await server.connected();
  let ended = false;
  client.request("text", {}, { timeoutMs: Infinity }).catch(() => (ended = true));
  await server.clock.pass(1_000);
  assert.equal(ended, false);
});

test("a retryable error is tried again under the same id, when the server says", async () => {
  const server = new Server();
  const { client, socket } = await server.connected();
  const request = client.request("text", { text: "a" });
  const asked = socket.last;
  socket.fail(asked, "rate_limited", { ...RETRYABLE, retryAfterMs: 1_000 });
  await server.clock.pass(999);
  assert.equal(socket.sent.length, 2);
  await server.clock.pass(1);
  const { ack, ...again } = socket.last;
  assert.deepEqual(again, asked);
  assert.equal(ack, 1);
  socket.answer(asked, { ok: true });
  assert.deepEqual((await request).content, { ok: true });
});

test("without word from the server the pauses between tries double, by chance", async () => {
  const server = new Server();
  const { client, socket } = await server.connected();
  client.request("text").catch(() => {});
  const asked = socket.last;
  for (const pause of [125, 250, 500]) {
    socket.fail(asked, "unavailable", RETRYABLE);
    const sent = socket.sent.length;
    await server.clock.pass(pause - 1);
    assert.equal(socket.sent.length, sent);
    await server.clock.pass(1);
    assert.equal(socket.sent.length, sent + 1);
  }
});

for (const [told, options, tries] of [["three times", {}, 4], ["as often as asked", { retries: 1 }, 2], ["never", { retries: 0 }, 1]]) {
  test(`a retryable error is tried again ${told}, and then it is the answer`, async () => {
    const server = new Server();
    const { client, socket } = await server.connected();
    const request = client.request("text", {}, options);
    const rejected = assert.rejects(request, { code: "unavailable", retryable: true });
    for (let number = 1; number <= tries; number += 1) {
      socket.fail(socket.sent[1], "unavailable", RETRYABLE);
      await server.clock.pass(2_000);
    }
    await rejected;
    assert.equal(socket.types.filter((type) => type === "text").length, tries);
  });
}

test("a try that would come after the request's time is not waited for", async () => {
  const server = new Server();
  const { client, socket } = await server.connected();
  const request = client.request("text", {}, { timeoutMs: 1_000 });
  socket.fail(socket.last, "rate_limited", { ...RETRYABLE, retryAfterMs: 1_000 });
  await assert.rejects(request, { code: "rate_limited", retryAfterMs: 1_000 });
});

test("a request whose time ends between two tries is not sent again", async () => {
  const server = new Server();
  const { client, socket } = await server.connected({}, { limits: { maxInFlight: 1 } });
  const request = client.request("text", {}, { timeoutMs: 1_000 });
  const rejected = assert.rejects(request, { code: "timeout" });
  socket.fail(socket.last, "rate_limited", { ...RETRYABLE, retryAfterMs: 900 });
  client.request("slow").catch(() => {});
  await server.clock.pass(10_000);
  await rejected;
  assert.deepEqual(socket.types, ["init", "text", "slow"]);
});

test("aborting ends the request with the signal's reason, and cancels it on the server", async () => {
  const server = new Server();
  const { client, socket, messages } = await server.connected();
  const abort = new AbortController();
  const request = client.request("ask", {}, { signal: abort.signal });
  const asked = socket.last;
  abort.abort();
  await assert.rejects(request, { name: "AbortError" });
  assert.deepEqual([socket.last.type, socket.last.content], ["cancel", { id: asked.id }]);
  socket.answer(socket.last, { cancelled: true });
  socket.fail(asked, "cancelled");
  assert.deepEqual(messages, []);
});

test("a request with a signal that is aborted already is never sent", async () => {
  const server = new Server();
  const { client, socket } = await server.connected();
  await assert.rejects(client.request("text", {}, { signal: AbortSignal.abort("no") }), (reason) => reason === "no");
  await assert.rejects(client.stream("text", {}, { signal: AbortSignal.abort(0) }).next(), (reason) => reason === 0);
  assert.deepEqual(socket.types, ["init"]);
});

test("aborting a request that was not sent ends it without a word", async () => {
  const server = new Server();
  const { client } = await server.client();
  const abort = new AbortController();
  const request = client.request("text", {}, { signal: abort.signal });
  abort.abort();
  await assert.rejects(request, { name: "AbortError" });
  await server.socket.introduce();
  assert.deepEqual(server.socket.types, ["init"]);
});

test("aborting after the answer does nothing", async () => {
  const server = new Server();
  const { client, socket } = await server.connected();
  const abort = new AbortController();
  const request = client.request("text", {}, { signal: abort.signal });
  socket.answer(socket.last);
  await request;
  assert.deepEqual(getEventListeners(abort.signal, "abort"), []);
  abort.abort();
  assert.deepEqual(socket.types, ["init", "text"]);
});

test("cancel asks the server, whose answers end both", async () => {
  const server = new Server();
  const { client, socket } = await server.connected();
  const request = client.request("ask");
  const asked = socket.last;
  const cancelled = client.cancel(request.id);
  socket.answer(socket.last, { cancelled: true });
  socket.fail(asked, "cancelled", { message: "The message was cancelled." });
  assert.equal(await cancelled, true);
  await assert.rejects(request, { code: "cancelled", message: "The message was cancelled." });
  const late = client.cancel(request.id);
  socket.answer(socket.last, { cancelled: false });
  assert.equal(await late, false);
});

test("cancelling what was not sent, or waits to be tried again, needs no server", async () => {
  const server = new Server();
  const { client } = await server.client();
  const unsent = client.request("text");
  assert.equal(await client.cancel(unsent.id), true);
  await assert.rejects(unsent, { code: "cancelled" });
  await server.socket.introduce();
  const waiting = client.request("text");
  server.socket.fail(server.socket.last, "unavailable", RETRYABLE);
  assert.equal(await client.cancel(waiting.id), true);
  await assert.rejects(waiting, { code: "cancelled" });
  await server.clock.pass(29_000);
  assert.deepEqual(server.socket.types, ["init", "text", "ack"]);
});

test("what is sent without waiting has its answers told to the listeners", async () => {
  const server = new Server();
  const { client, socket, messages } = await server.connected();
  const id = client.send("ask", { prompt: "a" });
  assert.equal(socket.last.id, id);
  socket.part(socket.last, { delta: "a" });
  socket.answer(socket.last, {});
  socket.answer(socket.last, {});
  assert.deepEqual(messages.map(({ replyTo, final }) => [replyTo, final]), [[id, false], [id, true]]);
});

test("what is sent without waiting has one final answer told in any case", async () => {
  const server = new Server();
  const { client, socket, messages } = await server.connected({ timeoutMs: 1_000 }, { limits: { maxMessageBytes: 200 } });
  const failed = client.send("text");
  socket.fail(socket.last, "forbidden", { details: { why: 1 } });
  const large = client.send("text", { text: "x".repeat(200) });
  await settled();
  const silent = client.send("text");
  await server.clock.pass(1_000);
  client.close();
  const late = client.send("text");
  await settled();
  assert.deepEqual(
    messages.map(({ type, replyTo, final, content }) => [type, replyTo, final, content.code]),
    [
      ["error", failed, true, "forbidden"],
      ["error", large, true, "message_too_big"],
      ["error", silent, true, "timeout"],
      ["error", late, true, "closed"],
    ],
  );
});

test("what is sent without waiting may be aborted, or have no JSON: that is told, too", async () => {
  const server = new Server();
  const { client, socket, messages } = await server.connected();
  const abort = new AbortController();
  const aborted = client.send("text", {}, { signal: abort.signal });
  abort.abort();
  const wrong = client.send("text", 1n);
  await settled();
  assert.deepEqual(socket.types, ["init", "text", "cancel"]);
  assert.deepEqual(
    messages.map(({ replyTo, final, content }) => [replyTo, final, content.code]),
    [[aborted, true, "cancelled"], [wrong, true, "invalid_content"]],
  );
});

test("more requests than may wait are refused, and there is room again after an answer", async () => {
  const server = new Server();
  const { client, socket } = await server.connected({ maxPending: 2 });
  client.request("first").catch(() => {});
  client.request("second").catch(() => {});
  await assert.rejects(client.request("third"), { code: "too_many_pending", retryable: true, message: /maxPending/ });
  await assert.rejects(client.stream("third").next(), { code: "too_many_pending" });
  client.cancel(socket.sent[1].id).catch(() => {});
  assert.equal(socket.last.type, "cancel", "what makes room must not need any");
  socket.fail(socket.sent[1], "cancelled");
  socket.answer(socket.last, { cancelled: true });
  client.request("third").catch(() => {});
  assert.deepEqual(socket.types, ["init", "first", "second", "cancel", "third"]);
});

test("without a number of its own a client lets 1000 requests wait", async () => {
  const server = new Server();
  const { client } = await server.client();
  for (let number = 0; number < 1_000; number += 1) client.request("text").catch(() => {});
  await assert.rejects(client.request("text"), { code: "too_many_pending" });
  client.close();
});

test("no more is sent than the server takes at a time; the rest follows as answers come", async () => {
  const server = new Server();
  const { client, socket } = await server.connected({}, { limits: { maxInFlight: 2 } });
  const requests = ["a", "b", "c", "d"].map((type) => client.request(type));
  assert.deepEqual(socket.types, ["init", "a", "b"]);
  client.cancel(requests[0].id).catch(() => {});
  assert.equal(socket.sent.pop().type, "cancel", "what makes room must not wait for any");
  for (let number = 1; number <= 4; number += 1) socket.answer(socket.sent[number], { number });
  assert.deepEqual((await Promise.all(requests)).map(({ content }) => content.number), [1, 2, 3, 4]);
});

test("what was given up takes its room until the server has answered it", async () => {
  const server = new Server();
  const { client, socket } = await server.connected({}, { limits: { maxInFlight: 1 } });
  const abort = new AbortController();
  const given = client.request("given", {}, { signal: abort.signal });
  client.request("next").catch(() => {});
  const [, asked] = socket.sent;
  abort.abort();
  await assert.rejects(given, { name: "AbortError" });
  assert.deepEqual(socket.types, ["init", "given", "cancel"]);
  socket.answer(socket.last, { cancelled: true });
  assert.deepEqual(socket.types, ["init", "given", "cancel"]);
  socket.fail(asked, "cancelled");
  assert.deepEqual(socket.types, ["init", "given", "cancel", "next"]);
});

test("a message larger than the server takes is refused here, for the server would end the connection", async () => {
  const server = new Server();
  const { client, socket } = await server.connected({}, { limits: { maxMessageBytes: 400 } });
  await assert.rejects(client.request("text", { text: "界".repeat(120) }), { code: "message_too_big", retryable: false });
  client.request("text", { text: "x".repeat(250) }).catch(() => {});
  assert.deepEqual(socket.types, ["init", "text"]);
});

test("content that has no JSON is the caller's error", async () => {
  const server = new Server();
  const { client, socket } = await server.connected();
  await assert.rejects(client.request("text", { big: 1n }), TypeError);
  assert.deepEqual(socket.types, ["init"]);
});

test("a message says what it said when it was made, even when it is sent later", async () => {
  const server = new Server();
  const { client } = await server.client();
  const content = { text: "before" };
  client.request("text", content).catch(() => {});
  content.text = "after";
  await server.socket.introduce();
  assert.equal(server.socket.last.content.text, "before");
});

test("32 numbered messages are acknowledged at once", async () => {
  const server = new Server();
  const { socket } = await server.connected();
  socket.push(31);
  assert.deepEqual(socket.types, ["init"]);
  socket.push();
  assert.deepEqual(socket.last, { type: "ack", ack: 32 });
  socket.push(32);
  assert.deepEqual(socket.last, { type: "ack", ack: 64 });
  await server.clock.pass(5_000);
  assert.deepEqual(socket.types, ["init", "ack", "ack"]);
});

test("fewer are acknowledged after five seconds", async () => {
  const server = new Server();
  const { socket } = await server.connected();
  socket.push();
  await server.clock.pass(4_000);
  socket.push();
  await server.clock.pass(999);
  assert.deepEqual(socket.types, ["init"]);
  await server.clock.pass(1);
  assert.deepEqual(socket.last, { type: "ack", ack: 2 });
  await server.clock.pass(20_000);
  assert.deepEqual(socket.types, ["init", "ack"]);
});

test("a request carries the acknowledgement, and then none is due", async () => {
  const server = new Server();
  const { client, socket } = await server.connected();
  socket.push(3);
  client.request("text").catch(() => {});
  assert.equal(socket.last.ack, 3);
  client.request("text").catch(() => {});
  assert.equal("ack" in socket.last, false);
  await server.clock.pass(5_000);
  assert.deepEqual(socket.types, ["init", "text", "text"]);
});

test("what has no number is not acknowledged", async () => {
  const server = new Server();
  const { socket } = await server.connected();
  for (let number = 0; number < 40; number += 1) {
    socket.deliver({ type: "typing", transient: true });
    socket.deliver({ type: "pong", replyTo: "x", final: true });
  }
  await server.clock.pass(5_000);
  assert.deepEqual(socket.types, ["init"]);
});
