// What becomes of sessions and requests when a connection drops and another one follows.

import assert from "node:assert/strict";
import { test } from "node:test";
import { Server, settled } from "./scripted.mjs";

async function deltas(stream) {
  const seen = [];
  for await (const part of stream) seen.push(part.content.delta);
  return seen;
}

test("the new connection names the session and what was counted: numbered messages only", async () => {
  const server = new Server();
  const { client, socket, statuses } = await server.connected({}, { sessionId: "s", secret: "k" });
  client.request("text").catch(() => {});
  socket.answer(socket.last); // 1
  socket.push(); // 2
  socket.deliver({ type: "typing", transient: true });
  socket.deliver({ type: "pong", replyTo: "x", final: true, transient: true });
  socket.drop();
  await server.clock.pass(250);
  const init = await server.socket.introduce({ resumed: true });
  assert.deepEqual(init.content.resume, { sessionId: "s", secret: "k", seq: 2, attempt: 1 });
  assert.equal("ack" in init, false);
  assert.deepEqual(statuses, ["connecting", "open", "connecting", "resumed"]);
});

test("the count goes on over connections, and what was resumed is acknowledged already", async () => {
  const server = new Server();
  const { client, socket } = await server.connected();
  socket.push(2);
  const second = await server.reconnected();
  client.request("text").catch(() => {});
  assert.equal("ack" in second.last, false);
  second.push(3);
  client.request("text").catch(() => {});
  assert.equal(second.last.ack, 5);
  const third = await server.reconnected();
  assert.equal(third.sent[0].content.resume.seq, 5);
  assert.equal(third.sent[0].content.resume.attempt, 2);
});

test("a session can be resumed before anything was counted", async () => {
  const server = new Server();
  await server.connected();
  const second = await server.reconnected();
  assert.equal(second.sent[0].content.resume.seq, 0);
});

test("a request in flight waits on, all others are sent again with their id", async () => {
  const server = new Server();
  const { client, socket } = await server.connected();
  const running = client.request("ask");
  const lost = client.request("text", { text: "a" });
  const [, ask, text] = socket.sent;
  socket.drop();
  const unsent = client.request("late");
  await server.clock.pass(250);
  const again = server.socket;
  await again.introduce({ resumed: true, inFlight: [ask.id] });
  assert.deepEqual(again.sent.slice(1).map(({ id, type }) => [id, type]), [[text.id, "text"], [unsent.id, "late"]]);
  assert.deepEqual(again.sent[1], text);
  again.answer(ask, { n: 1 });
  again.answer(text, { n: 2 });
  again.answer(again.last, { n: 3 });
  const contents = (await Promise.all([running, lost, unsent])).map(({ content }) => content.n);
  assert.deepEqual(contents, [1, 2, 3]);
});

test("an answer that is replayed and then given once more is told once", async () => {
  const server = new Server();
  const { client, messages } = await server.connected();
  const request = client.request("text");
  const second = await server.reconnected();
  const asked = second.last;
  assert.equal(asked.id, request.id);
  second.answer(asked, { n: 1 });
  second.answer(asked, { n: 1 });
  assert.deepEqual((await request).content, { n: 1 });
  assert.deepEqual(messages, []);
  const third = await server.reconnected();
  assert.equal(third.sent[0].content.resume.seq, 2, "the second one counts, as the server counts it");
});

test("a request outlives several connections", async () => {
  const server = new Server();
  const { client } = await server.connected();
  const request = client.request("text");
  await server.reconnected();
  server.clock.chance = 0;
  await server.reconnected();
  const last = await server.reconnected();
  last.answer(last.last, { ok: true });
  assert.deepEqual((await request).content, { ok: true });
});

test("a request that waits for its next try is not sent before", async () => {
  const server = new Server();
  const { client, socket } = await server.connected();
  client.request("text").catch(() => {});
  socket.fail(socket.last, "rate_limited", { retryable: true, retryAfterMs: 1_000 });
  const second = await server.reconnected();
  assert.deepEqual(second.types, ["init"]);
  await server.clock.pass(750);
  assert.deepEqual(second.types, ["init", "text"]);
});

test("a try that comes while there is no connection goes out with the next one", async () => {
  const server = new Server();
  server.clock.chance = 1;
  const { client, socket } = await server.connected();
  client.request("text").catch(() => {});
  socket.fail(socket.last, "rate_limited", { retryable: true, retryAfterMs: 100 });
  const second = await server.reconnected({ resumed: false });
  assert.deepEqual(second.types, ["init", "text"], "its id was free: it may go out in a new session");
});

test("a replayed error and the answer to the repetition leave one try, not two", async () => {
  const server = new Server();
  const { client } = await server.connected();
  const request = client.request("text");
  const second = await server.reconnected();
  const asked = second.last;
  second.fail(asked, "unavailable", { retryable: true });
  second.fail(asked, "unavailable", { retryable: true });
  await server.clock.pass(249);
  assert.deepEqual(second.types, ["init", "text"]);
  await server.clock.pass(751);
  assert.deepEqual(second.types, ["init", "text", "text"]);
  second.answer(asked, { ok: true });
  assert.deepEqual((await request).content, { ok: true });
});

test("a stream that is in flight goes on where it was", async () => {
  const server = new Server();
  const { client, socket } = await server.connected();
  const stream = client.stream("ask");
  const asked = socket.last;
  socket.part(asked, { delta: "a" });
  const second = await server.reconnected({ resumed: true, inFlight: [asked.id] });
  second.part(asked, { delta: "b" });
  second.answer(asked);
  assert.deepEqual(await deltas(stream), ["a", "b"]);
  assert.deepEqual(second.types, ["init"]);
});

test("a stream that ended meanwhile is not asked for again: the rest of it is replayed", async () => {
  const server = new Server();
  const { client, socket } = await server.connected();
  const stream = client.stream("ask");
  const asked = socket.last;
  socket.part(asked, { delta: "a" });
  const second = await server.reconnected({ resumed: true, inFlight: [asked.id] });
  assert.deepEqual(second.types, ["init"], "after a retryable error the server would run it a second time");
  second.part(asked, { delta: "b" });
  second.answer(asked);
  assert.deepEqual(await deltas(stream), ["a", "b"]);
});

test("a stream whose message never arrived is sent again", async () => {
  const server = new Server();
  const { client } = await server.connected();
  const stream = client.stream("ask");
  const second = await server.reconnected();
  assert.equal(second.last.id, stream.id);
});

test("after a gap the count continues behind it, streams fail, and requests go on", async () => {
  const server = new Server();
  const { client, socket, statuses, details } = await server.connected();
  const stream = client.stream("ask");
  const running = client.request("slow");
  const lost = client.request("text");
  const [, ask, slow, text] = socket.sent;
  socket.part(ask, { delta: "a" });
  socket.drop();
  const later = client.stream("late");
  await server.clock.pass(250);
  const second = server.socket;
  await second.introduce({ resumed: true, gap: { from: 2, to: 9 }, seq: 9, inFlight: [ask.id, slow.id] });
  assert.equal(statuses.at(-1), "gap");
  assert.deepEqual(details.at(-1).gap, { from: 2, to: 9 });
  assert.equal((await stream.next()).value.content.delta, "a");
  await assert.rejects(stream.next(), { code: "gap", retryable: true });
  const sent = second.sent.slice(1).map(({ type, id, content }) => (type === "cancel" ? [type, content.id] : [type, id]));
  assert.deepEqual(new Set(sent.map(String)), new Set([["cancel", ask.id], ["text", text.id], ["late", later.id]].map(String)));
  second.answer(slow, { n: 1 });
  second.answer(text, { n: 2 });
  assert.deepEqual([(await running).content.n, (await lost).content.n], [1, 2]);
  client.request("text").catch(() => {});
  assert.equal(second.last.ack, 11);
});

test("a request that had parts is sent again after a gap: its answer may be among what is lost", async () => {
  const server = new Server();
  const { client, socket } = await server.connected();
  const request = client.request("ask");
  const asked = socket.last;
  socket.part(asked, { delta: "a" });
  const second = await server.reconnected({ resumed: true, gap: { from: 2, to: 3 }, seq: 3 });
  assert.deepEqual(second.last, asked);
  second.answer(asked, { done: true });
  assert.deepEqual((await request).content, { done: true });
});

test("when the session is gone, what was sent fails and what was not goes out in the new one", async () => {
  const server = new Server();
  const { client, socket, statuses } = await server.connected();
  const sent = client.request("ask");
  const stream = client.stream("ask");
  socket.part(socket.last, { delta: "a" });
  socket.drop();
  const unsent = client.request("text", { text: "later" });
  await server.clock.pass(250);
  const second = server.socket;
  const rejected = assert.rejects(sent, { code: "session_lost", retryable: true });
  await second.introduce({ resumed: false, sessionId: "t", secret: "l" });
  await rejected;
  assert.equal((await stream.next()).value.content.delta, "a");
  await assert.rejects(stream.next(), { code: "session_lost", retryable: true });
  assert.deepEqual(second.types, ["init", "text"]);
  assert.equal("ack" in second.last, false, "the new session counts from 0");
  second.answer(second.last, { ok: true });
  assert.deepEqual((await unsent).content, { ok: true });
  assert.deepEqual([client.sessionId, statuses.at(-1)], ["t", "open"]);
  const third = await server.reconnected();
  assert.deepEqual(third.sent[0].content.resume, { sessionId: "t", secret: "l", seq: 1, attempt: 2 });
});

test("a request made while the socket is closing was not sent: it goes out in a new session", async () => {
  const server = new Server();
  const { client, socket } = await server.connected();
  socket.readyState = 2;
  const request = client.request("text");
  assert.deepEqual(socket.types, ["init"]);
  const second = await server.reconnected({ resumed: false });
  second.answer(second.last, { ok: true });
  assert.deepEqual((await request).content, { ok: true });
});

test("what was sent without waiting is told to be lost with its session", async () => {
  const server = new Server();
  const { client, messages } = await server.connected();
  const id = client.send("text");
  await server.reconnected({ resumed: false });
  assert.deepEqual(messages.map(({ replyTo, content }) => [replyTo, content.code]), [[id, "session_lost"]]);
});

test("a listener may close the client while it is told what was lost", async () => {
  const server = new Server();
  const { client, statuses, messages } = await server.connected();
  client.send("first");
  client.send("other");
  const rejected = assert.rejects(client.request("second"), { code: "closed" });
  client.on("message", () => client.close());
  await server.reconnected({ resumed: false });
  await rejected;
  assert.deepEqual(messages.map(({ content }) => content.code), ["session_lost", "closed"]);
  assert.equal(statuses.at(-1), "closed");
  assert.equal(server.clock.waiting, 0);
});

test("what was cancelled without a connection is cancelled on the next one", async () => {
  const server = new Server();
  const { client, socket } = await server.connected();
  const abort = new AbortController();
  const request = client.request("ask", {}, { signal: abort.signal });
  const asked = socket.last;
  socket.drop();
  abort.abort();
  await assert.rejects(request, { name: "AbortError" });
  await server.clock.pass(250);
  await server.socket.introduce({ resumed: true, inFlight: [asked.id] });
  assert.deepEqual(server.socket.types, ["init", "cancel"]);
  assert.deepEqual(server.socket.last.content, { id: asked.id });
});

test("the time of a request goes on while there is no connection", async () => {
  const server = new Server();
  const { client, socket } = await server.connected();
  const request = client.request("text", {}, { timeoutMs: 5_000 });
  const rejected = assert.rejects(request, { code: "timeout" });
  socket.drop();
  await server.clock.pass(5_000);
  await rejected;
});

test("messages in flight on a resumed session count against what the server takes", async () => {
  const server = new Server();
  const limits = { maxInFlight: 1 };
  const { client, socket } = await server.connected({}, { limits });
  client.request("first").catch(() => {});
  client.request("second").catch(() => {});
  const first = socket.last;
  const again = await server.reconnected({ resumed: true, inFlight: [first.id], limits });
  assert.deepEqual(again.types, ["init"]);
  again.answer(first);
  assert.deepEqual(again.types, ["init", "second"]);
});

test("what is stopped on a resumed session counts until it is answered, or until the next one", async () => {
  const server = new Server();
  const limits = { maxInFlight: 1 };
  const { client, socket } = await server.connected({}, { limits });
  const abort = new AbortController();
  client.request("given", {}, { signal: abort.signal }).catch(() => {});
  client.request("next").catch(() => {});
  const given = socket.last;
  socket.drop();
  abort.abort();
  await server.clock.pass(250);
  await server.socket.introduce({ resumed: true, inFlight: [given.id], limits });
  assert.deepEqual(server.socket.types, ["init", "cancel"]);
  const again = await server.reconnected({ resumed: true, limits });
  assert.deepEqual(again.types, ["init", "next"]);
});

test("a drop while the session is being resumed changes nothing", async () => {
  const server = new Server();
  const { client, socket } = await server.connected();
  const request = client.request("text");
  socket.push(3);
  socket.drop();
  await server.clock.pass(250);
  server.socket.open();
  server.socket.drop();
  await server.clock.pass(250);
  const init = await server.socket.introduce({ resumed: true });
  assert.equal(init.content.resume.seq, 3);
  server.socket.answer(server.socket.last, { ok: true });
  assert.deepEqual((await request).content, { ok: true });
  await settled();
});

test("a stream that the server has lost after its first part is interrupted", async () => {
  const server = new Server();
  const { client, socket } = await server.connected();
  const stream = client.stream("ask");
  const ended = assert.rejects(deltas(stream), { code: "interrupted", retryable: true });
  socket.part(socket.last, { delta: "a" });
  await server.reconnected();
  await ended;
});
