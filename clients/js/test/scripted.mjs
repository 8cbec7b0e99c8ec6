// A server whose lines are in the tests, and a clock that moves when a test says so.

import assert from "node:assert/strict";
import { Client } from "../wsframe-client.js";

export const HEARTBEAT = { intervalMs: 30_000, timeoutMs: 10_000 };

/** Timers that fire in their order when `pass` is called. `chance` is what `random` returns. */
export class Clock {
  time = 0;
  chance = 0.5;
  #timers = new Map();
  #nextTimer = 1;

  now = () => this.time;
  random = () => this.chance;
  setTimeout = (callback, ms) => {
    assert.ok(ms >= 0 && ms < 2 ** 31, `a timer of ${ms} ms`);
    this.#timers.set(this.#nextTimer, { at: this.time + ms, callback });
    return this.#nextTimer++;
  };
  clearTimeout = (timer) => this.#timers.delete(timer);

  get waiting() {
    return this.#timers.size;
  }

  async pass(ms) {
    const end = this.time + ms;
    for (;;) {
      const due = [...this.#timers].filter(([, { at }]) => at <= end).sort(([, a], [, b]) => a.at - b.at)[0];
      if (!due) break;
      const [timer, { at, callback }] = due;
      this.#timers.delete(timer);
      this.time = Math.max(at, this.time);
      callback();
      await settled();
    }
    this.time = Math.max(end, this.time);
    await settled();
  }
}

/** Let everything run that waits for nothing but its turn. */
export function settled() {
  return new Promise((resolve) => setImmediate(resolve));
}

/** Sockets that the client has opened, oldest first. */
export class Server {
  sockets = [];
  clock = new Clock();

  constructor() {
    const server = this;
    this.WebSocket = class extends FakeWebSocket {
      constructor(url, protocols) {
        super(url, protocols);
        server.sockets.push(this);
      }
    };
  }

  get socket() {
    return this.sockets.at(-1);
  }

  /** A client that has begun to connect, and what it tells. */
  async client(options = {}, url = "ws://test/ws") {
    const client = new Client(url, { WebSocket: this.WebSocket, _clock: this.clock, ...options });
    const statuses = [];
    const details = [];
    const messages = [];
    client.on("status", (status, detail) => {
      statuses.push(status);
      details.push(detail);
    });
    client.on("message", (message) => messages.push(message));
    await settled();
    return { client, statuses, details, messages };
  }

  /** A client with an open session. */
  async connected(options = {}, content = {}) {
    const made = await this.client(options);
    await this.socket.introduce(content);
    return { ...made, socket: this.socket };
  }

  /** The socket is cut; returns the next one, on which `init` has been answered with `content`. */
  async reconnected(content = { resumed: true }) {
    this.socket.drop();
    await this.clock.pass(250);
    await this.socket.introduce(content);
    return this.socket;
  }
}

/** The browser's WebSocket, with the server's half as methods. */
class FakeWebSocket extends EventTarget {
  sent = [];
  readyState = 0;
  closed = null; // the code it was closed with by the client

  constructor(url, protocols) {
    super();
    Object.assign(this, { url, protocols });
  }

  send(data) {
    assert.equal(this.closed, null, "sent on a closed socket");
    this.sent.push(JSON.parse(data));
  }

  close(code, reason = "") {
    assert.ok(new TextEncoder().encode(reason).length <= 123, "browsers refuse such a long reason");
    assert.ok(code === 1000 || (code >= 3000 && code <= 4999), `browsers refuse to close with ${code}`);
    this.closed ??= code;
    this.readyState = 2;
  }

  get types() {
    return this.sent.map(({ type }) => type);
  }

  get last() {
    return this.sent.at(-1);
  }

  deliver(message) {
    this.deliverText(JSON.stringify(message));
  }

  deliverText(data) {
    this.dispatchEvent(Object.assign(new Event("message"), { data }));
  }

  drop(code = 1006, reason = "") {
    this.dispatchEvent(Object.assign(new Event("close"), { code, reason }));
  }

  open() {
    this.readyState = 1;
    this.dispatchEvent(new Event("open"));
    return this.last;
  }

  /** Open, and answer `init`. */
  async introduce(content = {}) {
    const init = this.open();
    const seq = init.content.resume && content.resumed ? init.content.resume.seq : 0;
    const fresh = { sessionId: "s", secret: "k", resumed: false, seq, gap: null, inFlight: [], heartbeat: HEARTBEAT };
    this.deliver({ type: "init", replyTo: init.id, final: true, content: { ...fresh, ...content } });
    await settled();
    return init;
  }

  answer(request, content = {}, more = {}) {
    this.deliver({ type: request.type, replyTo: request.id, final: true, content, ...more });
  }

  part(request, content) {
    this.answer(request, content, { final: false });
  }

  fail(request, code, more = {}) {
    this.answer(request, { code, message: "No.", retryable: false, ...more }, { type: "error" });
  }

  push(count = 1) {
    for (let number = 0; number < count; number += 1) this.deliver({ type: "said", content: { number } });
  }
}
