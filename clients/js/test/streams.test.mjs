// Answers in parts.

import assert from "node:assert/strict";
import { test } from "node:test";
import { Server, settled } from "./scripted.mjs";

async function deltas(stream) {
  const seen = [];
  for await (const part of stream) seen.push(part.content.delta);
  return seen;
}

test("parts come in order, also those that came before anybody looked, and then the final answer", async () => {
  const server = new Server();
  const { client, socket } = await server.connected();
  const stream = client.stream("ask", { prompt: "…" });
  assert.deepEqual(socket.last, { id: stream.id, type: "ask", content: { prompt: "…" } });
  socket.part(socket.last, { delta: "a" });
  socket.part(socket.last, { delta: "b" });
  const seen = deltas(stream);
  await settled();
  socket.part(socket.last, { delta: "c" });
  assert.equal(stream.final, undefined);
  socket.answer(socket.last, { words: 3 });
  assert.deepEqual(await seen, ["a", "b", "c"]);
  assert.deepEqual(stream.final.content, { words: 3 });
  assert.deepEqual(await stream.next(), { done: true, value: stream.final });
});

test("several who wait for the next part get one each", async () => {
  const server = new Server();
  const { client, socket } = await server.connected();
  const stream = client.stream("ask");
  const waiting = [stream.next(), stream.next(), stream.next()];
  socket.part(socket.last, 1);
  await settled();
  socket.part(socket.last, 2);
  socket.answer(socket.last);
  const results = await Promise.all(waiting);
  assert.deepEqual(results.map(({ done, value }) => [done, done || value.content]), [[false, 1], [false, 2], [true, true]]);
});

test("an error comes after the parts before it, once", async () => {
  const server = new Server();
  const { client, socket } = await server.connected();
  const stream = client.stream("ask");
  socket.part(socket.last, { delta: "a" });
  socket.fail(socket.last, "handler_failed");
  assert.equal((await stream.next()).value.content.delta, "a");
  await assert.rejects(stream.next(), { code: "handler_failed" });
  assert.deepEqual(await stream.next(), { done: true, value: undefined });
});

test("a stream that nobody looks at fails silently", async () => {
  const server = new Server();
  const { client, socket } = await server.connected();
  client.stream("ask");
  socket.fail(socket.last, "handler_failed");
  await settled();
});

test("leaving the loop early cancels the message", async () => {
  const server = new Server();
  const { client, socket, messages } = await server.connected();
  const stream = client.stream("ask");
  const asked = socket.last;
  socket.part(asked, { delta: "a" });
  socket.part(asked, { delta: "b" });
  for await (const part of stream) {
    assert.equal(part.content.delta, "a");
    break;
  }
  assert.deepEqual([socket.last.type, socket.last.content], ["cancel", { id: asked.id }]);
  socket.fail(asked, "cancelled");
  assert.deepEqual(await stream.next(), { done: true, value: undefined });
  assert.deepEqual(messages, []);
});

test("leaving the loop after the end cancels nothing", async () => {
  const server = new Server();
  const { client, socket } = await server.connected();
  const stream = client.stream("ask");
  socket.part(socket.last, { delta: "a" });
  socket.answer(socket.last);
  for await (const _ of stream) break;
  assert.deepEqual(socket.types, ["init", "ask"]);
});

test("aborting ends the loop with the signal's reason, without the parts that still wait", async () => {
  const server = new Server();
  const { client, socket } = await server.connected();
  const abort = new AbortController();
  const stream = client.stream("ask", {}, { signal: abort.signal });
  const asked = socket.last;
  socket.part(asked, { delta: "a" });
  abort.abort();
  await assert.rejects(stream.next(), { name: "AbortError" });
  assert.deepEqual([socket.last.type, socket.last.content], ["cancel", { id: asked.id }]);
});

test("each part starts the time anew, and silence ends the stream and cancels it", async () => {
  const server = new Server();
  const { client, socket } = await server.connected();
  const stream = client.stream("ask", {}, { timeoutMs: 5_000 });
  const asked = socket.last;
  for (let number = 0; number < 3; number += 1) {
    await server.clock.pass(4_999);
    socket.part(asked, { delta: "a" });
  }
  const seen = assert.rejects(deltas(stream), { code: "timeout", retryable: true });
  await server.clock.pass(5_000);
  await seen;
  assert.equal(socket.last.type, "cancel");
});

test("a stream without parts yet is tried again after a retryable error", async () => {
  const server = new Server();
  const { client, socket } = await server.connected();
  const stream = client.stream("ask");
  const asked = socket.last;
  socket.fail(asked, "unavailable", { retryable: true });
  await server.clock.pass(250);
  assert.equal(socket.last.id, asked.id);
  socket.part(asked, { delta: "a" });
  socket.answer(asked);
  assert.deepEqual(await deltas(stream), ["a"]);
});

test("a stream that has parts is not tried again: they would come twice", async () => {
  const server = new Server();
  const { client, socket } = await server.connected();
  const stream = client.stream("ask");
  socket.part(socket.last, { delta: "a" });
  socket.fail(socket.last, "unavailable", { retryable: true });
  await assert.rejects(deltas(stream), { code: "unavailable", retryable: true });
  await server.clock.pass(1_000);
  assert.deepEqual(socket.types, ["init", "ask"]);
});
