// A conversation through the JavaScript client, in browsers and Node alike.
// It reports what happened; the tests that run it decide whether that is right.

export async function converseThroughClient({ Client, WebSocket, url }) {
  /** The socket in use, so that a scenario can cut it. */
  let socket;
  class Tapped extends WebSocket {
    constructor(...args) {
      super(...args);
      socket = this;
    }
  }
  // Node's ws can end a connection without a word; a browser closes it with a code of its own.
  const cut = () => (socket.terminate ? socket.terminate() : socket.close(4000));

  /** Lets a handler go on that waits. */
  async function open(gate) {
    const page = new URL(url, globalThis.location?.href).href.replace(/^ws/, "http");
    const answer = await fetch(new URL(`/open/${gate}`, page), { method: "POST" });
    await answer.text();
  }

  function connect(options = {}) {
    const client = new Client(url, { WebSocket: Tapped, ...options });
    const statuses = [];
    const messages = [];
    client.on("status", (status) => statuses.push(status));
    client.on("message", (message) => messages.push(message));
    return { client, statuses, messages };
  }

  function reached(client, wanted) {
    return new Promise((resolve) => {
      const stop = client.on("status", (status, detail) => {
        if (!wanted.includes(status)) return;
        stop();
        resolve(detail);
      });
    });
  }

  function failure(promise) {
    return promise.then(
      (message) => ({ answered: message.content }),
      ({ name, code, retryable, details }) => ({ name, code, retryable, details }),
    );
  }

  async function contentsOf(stream, enough = Infinity) {
    const contents = [];
    for await (const { content } of stream) {
      contents.push(content);
      if (contents.length === enough) break;
    }
    return contents;
  }

  const scenarios = {
    async text() {
      const { client, statuses } = connect();
      const { content } = await client.request("text", { text: "Hi, 世界 🌍" });
      const { status, sessionId } = client;
      client.close();
      return { content, status, hasSession: Boolean(sessionId), statuses };
    },

    async stream() {
      const { client } = connect();
      const stream = client.stream("ask", { prompt: "tell me a story" });
      const contents = await contentsOf(stream);
      client.close();
      return { contents, final: stream.final.final };
    },

    async errors() {
      const { client } = connect();
      const seen = [await failure(client.request("divide")), await failure(client.request("txet"))];
      client.close();
      return seen;
    },

    async retried() {
      const { client } = connect();
      const { content } = await client.request("flaky");
      client.close();
      return content;
    },

    async left() {
      const { client } = connect();
      const stream = client.stream("ask", { prompt: "one two three", endless: true });
      const contents = await contentsOf(stream, 2);
      const cancelledAgain = await client.cancel(stream.id);
      client.close();
      return { contents, cancelledAgain };
    },

    async aborted() {
      const { client } = connect();
      const abort = new AbortController();
      const request = client.request("slowly", { seconds: 60, n: 1 }, { signal: abort.signal });
      await client.request("text", { text: "sent" });
      abort.abort();
      const failed = await failure(request);
      const cancelledAgain = await client.cancel(request.id);
      client.close();
      return { ...failed, cancelledAgain };
    },

    async cancelled() {
      const { client } = connect();
      const request = client.request("slowly", { seconds: 60, n: 1 });
      await client.request("text", { text: "sent" });
      const failed = failure(request);
      const cancelled = await client.cancel(request.id);
      const seen = await failed;
      client.close();
      return { ...seen, cancelled };
    },

    async timeout() {
      const { client } = connect();
      const request = client.request("slowly", { seconds: 60, n: 1 }, { timeoutMs: 500 });
      const failed = await failure(request);
      const { content } = await client.request("text", { text: "after" });
      const cancelledAgain = await client.cancel(request.id);
      client.close();
      return { ...failed, content, cancelledAgain };
    },

    async pushed() {
      const { client, messages } = connect();
      await client.request("push", { n: 100 });
      const { content } = await client.request("text", { text: "acknowledged" });
      client.close();
      return { numbers: messages.map(({ content: { number } }) => number), content };
    },

    async sent() {
      const { client, messages } = connect();
      const answered = new Promise((resolve) => client.on("message", (message) => message.final && resolve()));
      const id = client.send("ask", { prompt: "one two" });
      await answered;
      client.close();
      return messages.map(({ replyTo, final }) => [replyTo === id, final]);
    },

    async manyAtOnce() { // more than the server takes at a time
      const { client } = connect();
      const requests = Array.from({ length: 100 }, (_, n) => client.request("slowly", { seconds: 0.01, n }, { retries: 0 }));
      const answers = await Promise.all(requests);
      client.close();
      return answers.map(({ content }) => content.n);
    },

    async tooBig() {
      const { client, statuses } = connect();
      await client.request("text", { text: "connected" });
      const failed = await failure(client.request("text", { text: "x".repeat(70_000) }));
      const { content } = await client.request("text", { text: "after" });
      client.close();
      return { code: failed.code, content, statuses };
    },

    async dropped() {
      const { client, statuses } = connect();
      await client.request("text", { text: "before" });
      const back = reached(client, ["open", "resumed"]);
      cut();
      const meanwhile = client.request("text", { text: "meanwhile" });
      await back;
      const { content } = await meanwhile;
      client.close();
      return { content, statuses };
    },

    async resumed() { // dropped twice in the middle of two answers, which go on meanwhile
      const { client, statuses } = connect();
      const prompt = Array.from({ length: 30 }, (_, number) => `word${number}`).join(" ");
      const gates = { 2: "first", 20: "second" }; // the server says no more before the drop
      const stream = client.stream("ask", { prompt, pause_s: 0.03, gates });
      const request = client.request("wait", { gate: "second", n: 7 });
      const sessions = new Set();
      const words = [];
      for await (const { content } of stream) {
        words.push(content.delta);
        sessions.add(client.sessionId);
        const gate = gates[words.length];
        if (!gate) continue;
        const gone = reached(client, ["connecting"]);
        const back = reached(client, ["open", "resumed", "gap"]);
        cut();
        await gone;
        await open(gate);
        await back;
      }
      const { content } = await request;
      client.close();
      return { complete: words.join(" ") === prompt, final: stream.final.final, content, sessions: sessions.size, statuses };
    },

    async kicked() {
      const { client, statuses } = connect();
      const closed = reached(client, ["closed"]);
      const answer = failure(client.request("kick", { code: 4403 }));
      const { code, reason } = await closed;
      await answer;
      const late = await failure(client.request("text", { text: "late" }));
      return { code, reason, late: late.code, statuses };
    },

    async renewedToken() {
      const tokens = ["stale", "fresh"];
      const { client, statuses } = connect({ token: async () => tokens.shift() });
      const { content } = await client.request("text", { text: "in" });
      client.close();
      return { content, statuses, left: tokens.length };
    },

    async staleToken() {
      const { client, statuses } = connect({ token: () => "stale" });
      const failed = await failure(client.request("text", { text: "in" }));
      return { ...failed, statuses };
    },

    async tokenInHandshake() {
      const { client } = connect({ token: "abc", tokenIn: "subprotocol" });
      const { content } = await client.request("text", { text: "in" });
      client.close();
      return { content, protocol: socket.protocol };
    },
  };

  const seen = {};
  for (const [name, scenario] of Object.entries(scenarios)) seen[name] = await scenario();
  return seen;
}
