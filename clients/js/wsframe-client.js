// The wsframe client for browsers and Node: the wire protocol, version 1, over any WebSocket class.
//
// A request is pending from the call until its one final answer, over as many connections as that
// takes. Each connection starts with `init`; its answer says whether the session goes on, and from
// that follows what becomes of each pending request: it waits on, is sent again under its id (which
// the server recognises), or fails. Messages with a number are counted, because the number itself is
// not on the wire.

export const VERSION = "0.1.0";

const SUBPROTOCOL = "wsframe.v1.json";
const OPENING_TIMEOUT_MS = 10_000; // from asking for the token to the answer to `init`
const BACKOFF_BASE_MS = 250;
const BACKOFF_CAP_MS = 30_000;
const STABLE_AFTER_MS = 5_000; // a connection that lived so long starts the back-off anew
const ACK_AFTER_MESSAGES = 32;
const ACK_AFTER_MS = 5_000;
const LONGEST_PAUSE_MS = 3_600_000; // that a server may ask for
const OPEN = 1; // WebSocket.OPEN
const LONGEST_TIMER_MS = 2 ** 31 - 1; // a longer one would fire at once

const UNNUMBERED_TYPES = new Set(["init", "pong"]);
// Another attempt would meet the same end. 4401 is decided by whether there may be a newer token.
const FINAL_CLOSE_CODES = new Set([1000, 1002, 1003, 1007, 1008, 1009, 4400, 4403, 4409]);
const BAD_INIT = 4400;
const UNAUTHENTICATED = 4401;
const FORBIDDEN = 4403;
const TOO_MANY = 4429;
// Told to the server when this side gives a connection up; 1000 would end the session.
const GIVEN_UP = 4408;

const CLOCK = {
  now: () => performance.now(),
  setTimeout: (callback, ms) => setTimeout(callback, ms),
  clearTimeout: (timer) => clearTimeout(timer),
  random: () => Math.random(),
};

/** Why there is no answer, or what error the answer is; `code` is the server's, or one of this
 *  client's own: "timeout", "gap", "session_lost", "closed", "cancelled", "too_many_pending",
 *  "message_too_big". */
export class RequestError extends Error {
  constructor(code, message, { retryable = false, details, retryAfterMs } = {}) {
    super(message);
    Object.assign(this, { name: "RequestError", code, retryable, details, retryAfterMs });
  }
}

/** The parts of one answer, in order; see `Client.stream`. */
class Stream {
  final; // the final answer's message, once it is there
  #parts = [];
  #ended = false;
  #failure; // {error}
  #changed;
  #change;
  #leave;

  constructor(leave) {
    this.#leave = leave;
    this.#renew();
  }

  #renew() {
    this.#change?.();
    this.#changed = new Promise((resolve) => (this.#change = resolve));
  }

  add(part) {
    this.#parts.push(part);
    this.#renew();
  }

  end(final, failure, keepParts = true) {
    this.final = final;
    this.#failure = failure;
    this.#ended = true;
    if (!keepParts) this.#parts = [];
    this.#renew();
  }

  async next() {
    while (!this.#parts.length && !this.#ended) await this.#changed;
    if (this.#parts.length) return { done: false, value: this.#parts.shift() };
    const failure = this.#failure;
    this.#failure = undefined; // thrown once, as generators do
    if (failure) throw failure.error;
    return { done: true, value: this.final };
  }

  async return(value) {
    this.#leave();
    this.end(this.final, undefined, false);
    return { done: true, value };
  }

  [Symbol.asyncIterator]() {
    return this;
  }
}

export class Client {
  #url;
  #options;
  #clock;
  #status = "connecting";
  #listeners = { message: new Set(), status: new Set() };
  #pending = new Map(); // id -> request, in the order made
  #stopping = new Set(); // ids that the server was told to stop, and has not answered
  #prefix = [...crypto.getRandomValues(new Uint8Array(9))].map((byte) => byte.toString(16)).join("") + "-";
  #nextId = 1;

  #link = null; // the connection, or the attempt at one: {socket, initId, ready, readyAt, timer, …}
  #session = null; // {sessionId, secret}
  #limits = {};
  #attempts = 0; // an init that the network held back must not take the session from a later one
  #seq = 0; // number of the last numbered message received
  #acked = 0;
  #ackTimer = 0;

  #attempt = 0; // of the back-off
  #retryTimer = 0;
  #reconnectAfterMs = 0; // what the server asked for before it goes away
  #notBefore = 0;
  #closing = {}; // {code, reason}
  #refreshed = false; // a new token was asked for because of 4401, and has not been accepted yet

  constructor(url, options = {}) {
    const { token, tokenIn = "init", retries = 3, timeoutMs = 30_000, maxPending = 1_000, _clock = CLOCK } = options;
    const { WebSocket = globalThis.WebSocket } = options;
    if (!WebSocket) throw new TypeError('There is no global WebSocket: pass the option WebSocket, such as that of "ws".');
    this.#options = { token, tokenIn, retries, timeoutMs, maxPending, WebSocket };
    this.#clock = _clock;
    const address = new URL(url, globalThis.location?.href);
    address.protocol = address.protocol.replace("http", "ws");
    address.hash = "";
    this.#url = address.href;
    globalThis.addEventListener?.("online", this.#wake);
    globalThis.document?.addEventListener("visibilitychange", this.#wake);
    // Later, so that listeners added after the constructor hear of it.
    queueMicrotask(() => {
      if (this.#status === "closed") return;
      this.#setStatus("connecting", { retryInMs: 0 });
      this.connect();
    });
  }

  get status() {
    return this.#status;
  }

  get sessionId() {
    return this.#session?.sessionId;
  }

  on(event, listener) {
    this.#listenersOf(event).add(listener);
    return () => this.off(event, listener);
  }

  off(event, listener) {
    this.#listenersOf(event).delete(listener);
  }

  request(type, content, options) {
    let request;
    const answer = new Promise((resolve, reject) => {
      request = this.#ask(type, content, options, { onPart() {}, resolve, reject });
    });
    return Object.assign(answer, { id: request.id });
  }

  stream(type, content, options) {
    const stream = new Stream(() => this.#abandon(request));
    const request = this.#ask(type, content, options, {
      streamed: true,
      onPart: (part) => stream.add(part),
      resolve: (final) => stream.end(final),
      reject: (error) => stream.end(undefined, { error }, error instanceof RequestError),
    });
    return Object.assign(stream, { id: request.id });
  }

  send(type, content, options = {}) {
    const tell = (message) => this.#emit("message", message);
    // Told as the server would have: whoever listens gets one final answer in any case.
    const reject = (error) => {
      const unsent = () => new RequestError(options.signal?.aborted ? "cancelled" : "invalid_content", String(error));
      const { code, message, retryable, details } = error instanceof RequestError ? error : unsent();
      tell({ type: "error", replyTo: request.id, final: true, content: { code, message, retryable, details } });
    };
    const request = this.#ask(type, content, options, { onPart: tell, resolve: tell, reject });
    return request.id;
  }

  async cancel(id) {
    const request = this.#pending.get(id);
    if (request && !request.link) {
      this.#abandon(request, new RequestError("cancelled", "The message was cancelled before it was sent."));
      return true;
    }
    const answer = await new Promise((resolve, reject) => {
      this.#ask("cancel", { id }, {}, { urgent: true, onPart() {}, resolve, reject });
    });
    return answer.content.cancelled;
  }

  connect() {
    if (!this.#link && this.#status !== "closed") this.#connect();
  }

  close() {
    if (this.#status === "closed") return;
    const socket = this.#link?.socket;
    this.#finish(1000, "done");
    socket?.close(1000, "done"); // tells the server that the session is finished
  }

  // --- connections ------------------------------------------------------------------------------

  async #connect() {
    this.#clock.clearTimeout(this.#retryTimer);
    if (globalThis.navigator?.onLine === false) return; // the event "online" wakes it
    const link = (this.#link = { socket: null, initId: "", ready: false, readyAt: 0, timer: 0, heardAt: 0, pinged: false });
    link.timer = this.#after(OPENING_TIMEOUT_MS, () => this.#lost(link, GIVEN_UP, "no answer in time"));
    const { token, tokenIn, WebSocket } = this.#options;
    let shown;
    try {
      shown = typeof token === "function" ? await token() : token;
    } catch (error) {
      this.#lost(link, GIVEN_UP, "there is no token", error);
    }
    if (this.#link !== link) return;
    const inInit = tokenIn === "init" && shown !== undefined && shown !== null;
    const inHandshake = tokenIn === "subprotocol" && shown !== undefined && shown !== null;
    try {
      link.socket = new WebSocket(this.#url, inHandshake ? [SUBPROTOCOL, `wsframe.bearer.${shown}`] : [SUBPROTOCOL]);
    } catch (error) {
      this.#finish(1006, error.message, error); // a malformed token, or forbidden by the page's policy
      return;
    }
    const whileCurrent = (listener) => (event) => {
      if (this.#link === link) listener(event); // a connection that was given up has nothing more to say
    };
    link.socket.addEventListener("open", whileCurrent(() => this.#introduce(link, inInit ? { token: shown } : {})));
    link.socket.addEventListener("message", whileCurrent(({ data }) => this.#receive(link, data)));
    link.socket.addEventListener("close", whileCurrent(({ code, reason }) => this.#lost(link, code, reason)));
    link.socket.addEventListener("error", () => {}); // "close" follows; without a listener Node's ws throws
  }

  #introduce(link, content) {
    link.initId = this.#newId();
    content.client = { name: "wsframe-client", version: VERSION };
    if (this.#session) content.resume = { ...this.#session, seq: this.#seq, attempt: ++this.#attempts };
    link.socket.send(JSON.stringify({ id: link.initId, type: "init", content }));
  }

  #introduced(link, { type, content }) {
    if (type === "error") {
      this.#refused(link, content);
      return;
    }
    const { sessionId, secret, resumed, seq, gap, inFlight, heartbeat, limits } = content;
    if (!sessionId || !(seq >= 0) || !Array.isArray(inFlight)) {
      this.#lost(link, GIVEN_UP, "the answer to init is none");
      return;
    }
    this.#clock.clearTimeout(link.timer);
    link.ready = true;
    link.readyAt = this.#clock.now();
    this.#refreshed = false;
    this.#reconnectAfterMs = 0;
    this.#session = { sessionId, secret };
    this.#limits = limits ?? {};
    this.#seq = this.#acked = seq;
    const sent = [...this.#pending.values()].filter((request) => request.link);
    for (const request of sent) {
      if (this.#link !== link) return; // a listener that was told of a failure has closed the client
      if (!resumed) {
        const lost = "The session was lost before the answer came; the message may have been handled.";
        this.#settle(request).reject(new RequestError("session_lost", lost, { retryable: true }));
      } else if (gap && request.streamed) {
        const lost = "Parts of the answer may be lost.";
        this.#settle(request).reject(new RequestError("gap", lost, { retryable: true }));
      } else if (!inFlight.includes(request.id) && request.streamed && request.parts) {
        const lost = "The server has lost the message, and the rest of its answer.";
        this.#settle(request).reject(new RequestError("interrupted", lost, { retryable: true }));
      } else if (!inFlight.includes(request.id)) {
        request.parts = 0;
        this.#dispatch(request);
      } // else the answer is being made, or among what is replayed now
    }
    if (this.#link !== link) return;
    // What nobody waits for any more was given up between two connections, or just now.
    this.#stopping.clear();
    for (const id of inFlight) if (!this.#pending.has(id)) this.#stop(id);
    this.#pump();
    this.#watch(link, heartbeat ?? {});
    if (gap) this.#setStatus("gap", { gap });
    else this.#setStatus(resumed ? "resumed" : "open", {});
  }

  #refused(link, { code, message, retryable, retryAfterMs }) {
    const codes = { unauthenticated: UNAUTHENTICATED, forbidden: FORBIDDEN };
    this.#reconnectAfterMs = retryAfterMs;
    this.#lost(link, codes[code] ?? (retryable ? GIVEN_UP : BAD_INIT), message);
  }

  #lost(link, code, reason, error) {
    if (this.#link !== link) return;
    this.#disconnect();
    link.socket?.close(GIVEN_UP);
    const refresh = code === UNAUTHENTICATED && typeof this.#options.token === "function" && !this.#refreshed;
    if (FINAL_CLOSE_CODES.has(code) || (code === UNAUTHENTICATED && !refresh)) {
      this.#finish(code, reason);
      return;
    }
    const now = this.#clock.now();
    if (link.ready && now - link.readyAt >= STABLE_AFTER_MS) this.#attempt = 0;
    const askedMs = Math.min(Math.max(this.#reconnectAfterMs, 0) || 0, LONGEST_PAUSE_MS);
    this.#reconnectAfterMs = 0;
    // On top of what the server asked for, since it has probably said the same to everybody.
    let retryInMs = askedMs + this.#jitter(this.#attempt++);
    if (code === TOO_MANY) {
      this.#attempt = Infinity;
      retryInMs = (BACKOFF_CAP_MS + this.#jitter(Infinity)) / 2;
    }
    if (refresh) retryInMs = 0;
    this.#notBefore = now + askedMs;
    this.#refreshed ||= refresh;
    this.#retryTimer = this.#after(retryInMs, () => this.#connect());
    this.#setStatus("connecting", { retryInMs, code, reason, error });
  }

  /** The network or the user is back: what waits for the back-off need not. */
  #wake = ({ type }) => {
    if (this.#link || (type === "visibilitychange" && document.visibilityState === "hidden")) return;
    this.#clock.clearTimeout(this.#retryTimer);
    const askedMs = this.#notBefore - this.#clock.now(); // the pause that the server asked for
    if (askedMs > 0) this.#retryTimer = this.#after(askedMs, () => this.#connect());
    else this.#connect();
  };

  #finish(code, reason, error) {
    this.#disconnect();
    globalThis.removeEventListener?.("online", this.#wake);
    globalThis.document?.removeEventListener("visibilitychange", this.#wake);
    this.#closing = { code, reason };
    this.#setStatus("closed", { code, reason, error });
    for (const request of [...this.#pending.values()]) this.#settle(request).reject(this.#closed());
  }

  #disconnect() {
    for (const timer of [this.#retryTimer, this.#ackTimer, this.#link?.timer]) this.#clock.clearTimeout(timer);
    this.#ackTimer = 0;
    this.#link = null;
  }

  /** Browsers can't send a WebSocket ping, so a message asks whether a silent server is still there. */
  #watch(link, { intervalMs, timeoutMs }) {
    if (!(intervalMs > 0) || this.#link !== link) return;
    const silentMs = this.#clock.now() - link.heardAt;
    if (link.pinged) {
      this.#lost(link, GIVEN_UP, "heartbeat missed");
      return;
    }
    if (silentMs >= intervalMs) {
      link.pinged = true; // until something is heard. Timers of hidden pages come late: the time runs from here.
      this.#transmit(JSON.stringify({ id: this.#newId(), type: "ping" }));
    }
    const dueMs = link.pinged ? timeoutMs : intervalMs - silentMs;
    link.timer = this.#after(dueMs, () => this.#watch(link, { intervalMs, timeoutMs }));
  }

  // --- messages ---------------------------------------------------------------------------------

  #receive(link, data) {
    link.heardAt = this.#clock.now();
    link.pinged = false;
    const message = parse(data);
    if (!message) {
      this.#lost(link, GIVEN_UP, "what came is no message");
      return;
    }
    if (link.initId && message.replyTo === link.initId) {
      this.#introduced(link, message);
      return;
    }
    if (!UNNUMBERED_TYPES.has(message.type) && message.transient !== true) this.#seq += 1;
    const request = this.#pending.get(message.replyTo);
    if (request) this.#answered(request, message);
    // What answers an own message that nobody waits for any more came late, or twice.
    else if (!String(message.replyTo).startsWith(this.#prefix)) this.#pushed(message);
    else if (message.final !== false && this.#stopping.delete(message.replyTo)) this.#pump();
    this.#acknowledge();
  }

  #pushed(message) {
    const { event, reconnectAfterMs } = (message.type === "system" && message.content) || {};
    if (event === "draining") this.#reconnectAfterMs = reconnectAfterMs;
    if (event === "token_expiring") this.#renewToken();
    this.#emit("message", message);
  }

  async #renewToken() {
    const { token } = this.#options;
    if (typeof token !== "function") return;
    const link = this.#link;
    try {
      const renewed = await token();
      if (this.#link === link && link.ready) {
        this.#transmit(JSON.stringify({ id: this.#newId(), type: "auth", content: { token: renewed } }));
      }
    } catch {
      // The server closes with 4401 when the old one has expired, which asks for a token again.
    }
  }

  #acknowledge() {
    const due = this.#seq - this.#acked;
    if (!due || !this.#link?.ready) return;
    const tell = () => this.#transmit('{"type":"ack"}');
    if (due >= ACK_AFTER_MESSAGES) tell();
    else this.#ackTimer ||= this.#after(ACK_AFTER_MS, tell);
  }

  /** Send the JSON text of a message; what is due to be acknowledged rides on it. */
  #transmit(text) {
    if (this.#seq > this.#acked) {
      this.#acked = this.#seq;
      this.#clock.clearTimeout(this.#ackTimer);
      this.#ackTimer = 0;
      text = `{"ack":${this.#seq},${text.slice(1)}`;
    }
    this.#link.socket.send(text);
  }

  // --- requests ---------------------------------------------------------------------------------

  #ask(type, content = {}, { timeoutMs = this.#options.timeoutMs, retries = this.#options.retries, signal } = {}, how) {
    const id = this.#newId();
    const request = { id, text: "", timeoutMs, retries, signal, streamed: false, urgent: false, ...how };
    // link: the connection it was last sent on; null: the server does not have it.
    Object.assign(request, { link: null, parts: 0, tries: 0, timer: 0, retryTimer: 0, deadline: 0, aborted: null });
    try {
      this.#check(request);
      request.text = JSON.stringify({ id, type, content }); // once: a repetition must say the same
    } catch (error) {
      queueMicrotask(() => request.reject(error));
      return request;
    }
    this.#pending.set(id, request);
    request.aborted = () => this.#abandon(request, signal.reason);
    signal?.addEventListener("abort", request.aborted);
    this.#limitTime(request);
    this.#pump();
    return request;
  }

  /** Throws why a request cannot even wait. */
  #check({ signal, urgent }) {
    const { maxPending } = this.#options;
    if (this.#status === "closed") throw this.#closed();
    signal?.throwIfAborted();
    if (!urgent && this.#pending.size >= maxPending) {
      const message = `${maxPending} requests are unanswered (maxPending): wait for answers.`;
      throw new RequestError("too_many_pending", message, { retryable: true });
    }
  }

  /** Send what waits to be sent, as far as the server takes it. */
  #pump() {
    // What is given to a socket that is closing is not sent, and must not count as such.
    if (!this.#link?.ready || this.#link.socket.readyState > OPEN) return;
    const all = [...this.#pending.values()];
    const inFlight = all.filter(({ link, urgent }) => link && !urgent).length + this.#stopping.size;
    let room = (this.#limits.maxInFlight || Infinity) - inFlight;
    for (const request of all) {
      if (!request.link && !request.retryTimer && (request.urgent || room-- > 0)) this.#dispatch(request);
    }
  }

  #dispatch(request) {
    const maxMessageBytes = this.#limits.maxMessageBytes || Infinity;
    // A UTF-16 unit has at most three bytes in UTF-8, so short texts need no counting.
    if (request.text.length * 3 > maxMessageBytes && new TextEncoder().encode(request.text).length > maxMessageBytes) {
      // The server would close the connection, for this message and for each repetition of it.
      const message = `The message is larger than the server's limit of ${maxMessageBytes} bytes.`;
      queueMicrotask(() => request.reject(new RequestError("message_too_big", message)));
      this.#settle(request);
      return;
    }
    request.link = this.#link;
    this.#transmit(request.text);
  }

  #answered(request, message) {
    if (message.final === false) {
      request.parts += 1;
      if (request.streamed) this.#limitTime(request);
      request.onPart(message);
      return;
    }
    if (message.type === "error") this.#failed(request, message.content);
    else this.#settle(request).resolve(message);
    this.#pump();
  }

  #failed(request, { code, message, retryable = false, details, retryAfterMs }) {
    const delay = retryAfterMs ?? this.#jitter(request.tries);
    const inTime = this.#clock.now() + delay < request.deadline;
    if (!retryable || request.tries >= request.retries || request.parts || !inTime) {
      this.#settle(request).reject(new RequestError(code, message, { retryable, details, retryAfterMs }));
      return;
    }
    request.tries += 1;
    request.link = null; // the server has freed its id
    this.#clock.clearTimeout(request.retryTimer);
    request.retryTimer = this.#after(delay, () => {
      request.retryTimer = 0;
      this.#pump();
    });
  }

  #limitTime(request) {
    const { timeoutMs } = request;
    this.#clock.clearTimeout(request.timer);
    request.deadline = this.#clock.now() + timeoutMs;
    const error = () => new RequestError("timeout", `There was no answer within ${timeoutMs} ms.`, { retryable: true });
    request.timer = this.#after(timeoutMs, () => this.#abandon(request, error()));
  }

  /** Wait no longer for a request, and tell the server so. */
  #abandon(request, error) {
    if (!this.#pending.has(request.id)) return;
    const { link } = this.#settle(request);
    request.reject(error);
    if (link && !request.urgent && this.#link?.ready) this.#stop(request.id);
    this.#pump();
  }

  /** Cancel what nobody waits for; so whether that came in time concerns nobody either. */
  #stop(id) {
    this.#stopping.add(id);
    this.#transmit(JSON.stringify({ id: this.#newId(), type: "cancel", content: { id } }));
  }

  #settle(request) {
    this.#clock.clearTimeout(request.timer);
    this.#clock.clearTimeout(request.retryTimer);
    request.signal?.removeEventListener("abort", request.aborted);
    this.#pending.delete(request.id);
    return request;
  }

  // --- small things -----------------------------------------------------------------------------

  #newId() {
    return this.#prefix + this.#nextId++;
  }

  /** Full jitter: a crowd that lost the same server does not come back as one. */
  #jitter(attempt) {
    return this.#clock.random() * Math.min(BACKOFF_CAP_MS, BACKOFF_BASE_MS * 2 ** attempt);
  }

  #after(ms, callback) {
    return this.#clock.setTimeout(callback, Math.min(Math.max(ms, 0), LONGEST_TIMER_MS));
  }

  #setStatus(status, detail) {
    this.#status = status;
    this.#emit("status", status, detail);
  }

  #closed() {
    const { code, reason } = this.#closing;
    const why = reason ? `${code}: ${reason}` : code;
    return new RequestError("closed", `The connection is closed for good (${why}).`, { details: this.#closing });
  }

  #listenersOf(event) {
    const listeners = this.#listeners[event];
    if (!listeners) throw new TypeError(`There is no event ${JSON.stringify(event)}: there are "message" and "status".`);
    return listeners;
  }

  #emit(event, ...told) {
    for (const listener of [...this.#listeners[event]]) {
      try {
        listener(...told);
      } catch (error) {
        (globalThis.reportError ?? console.error)(error);
      }
    }
  }
}

/** A server's message, or null for anything else. */
function parse(data) {
  try {
    const message = JSON.parse(data);
    message.content ??= {};
    return typeof message.type === "string" ? message : null;
  } catch {
    return null;
  }
}
