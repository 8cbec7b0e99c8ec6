// node resuming.mjs ws://… http://…   prints what a client that resumes its sessions by hand saw, as JSON.
// node resuming.mjs ws://… '{"session": …}'   goes on with a session of an earlier run.
//
// Written by what docs/reference/wire-protocol.md says. It reports; the test decides what is right.

import { WebSocket } from "ws";

const PROTOCOL = "wsframe.v1.json";
const [url, argument] = process.argv.slice(2);
let ids = 0;
const newId = () => `n${process.pid}-${++ids}`;

/** One connection; it counts the numbered messages of its session. */
class ByHand {
  static open(protocols = [PROTOCOL]) {
    return new Promise((resolve, reject) => {
      const socket = new WebSocket(url, protocols);
      const client = new ByHand(socket);
      socket.once("open", () => resolve(client));
      socket.once("error", reject);
    });
  }

  constructor(socket) {
    this.socket = socket;
    this.count = 0;
    this.received = [];
    this.readers = [];
    this.closed = new Promise((resolve) => socket.once("close", (code) => resolve(code)));
    socket.on("message", (data) => {
      const message = JSON.parse(data);
      if (message.type !== "init" && message.type !== "pong" && !message.transient) this.count += 1;
      this.received.push(message);
      for (const reader of this.readers.splice(0)) reader();
    });
  }

  send(id, type, content = {}, fields = {}) {
    this.socket.send(JSON.stringify({ id, type, content, ...fields }));
  }

  async receive() {
    while (this.received.length === 0) await new Promise((resolve) => this.readers.push(resolve));
    return this.received.shift();
  }

  async untilFinal(id) {
    const messages = [];
    for (;;) {
      const message = await this.receive();
      messages.push(message);
      if (message.replyTo === id && message.final) return messages;
    }
  }

  async ask(id, type, content, fields) {
    this.send(id, type, content, fields);
    const messages = await this.untilFinal(id);
    return messages.at(-1);
  }

  async begin(former, seq = former?.count) {
    const { content } = await this.ask(newId(), "init", former ? { resume: { ...former.session, seq } } : {});
    this.session = { sessionId: content.sessionId, secret: content.secret };
    this.count = content.seq;
    return content;
  }

  static async begun(former, seq) {
    const client = await ByHand.open();
    const opened = await client.begin(former, seq);
    return { client, opened };
  }
}

const post = (path) => fetch(`${argument}${path}`, { method: "POST" });
const outline = ({ resumed, seq, gap, inFlight }) => ({ resumed, seq, gap, inFlight });

const scenarios = {
  async stream() {
    const { client: first } = await ByHand.begun();
    const gate = newId();
    first.send("s", "ask", { prompt: "once upon a time", gate });
    const part = await first.receive();
    first.socket.terminate();
    const { client: second, opened } = await ByHand.begun(first);
    second.send("s", "ask", { prompt: "once upon a time", gate });
    await post(`/open/${gate}`);
    const rest = await second.untilFinal("s");
    second.send("a", "ack", {}, { ack: second.count });
    const { type } = await second.ask("p", "ping");
    return { part, opened: outline(opened), rest, type, count: second.count };
  },

  async cancel() {
    const { client: first } = await ByHand.begun();
    first.send("s", "ask", { prompt: "for ever", gate: newId() });
    await first.receive();
    first.socket.terminate();
    const { client: second } = await ByHand.begun(first);
    const cancelled = await second.ask("c", "cancel", { id: "s" });
    return { cancelled, final: (await second.untilFinal("s")).at(-1) };
  },

  async retry() {
    const { client: first } = await ByHand.begun();
    const answer = await first.ask("1", "text", { text: "Hi" });
    first.socket.terminate();
    const { client: second } = await ByHand.begun(first);
    return { answer, again: await second.ask("1", "text", { text: "Hi" }) };
  },

  async gap() {
    const { client: first } = await ByHand.begun();
    await first.ask("j", "join", { room: "news" });
    await first.ask("t", "tell", { count: 30 });
    const { client: second, opened } = await ByHand.begun(first, 5);
    return { opened: outline(opened), next: (await second.receive()).content };
  },

  async takeover() {
    const { client: first } = await ByHand.begun();
    const { client: second, opened } = await ByHand.begun(first);
    return { resumed: opened.resumed, code: await first.closed, answer: await second.ask("1", "text", { text: "Hi" }) };
  },

  async bare() {
    const { client: first } = await ByHand.begun();
    first.socket.terminate();
    const bare = await ByHand.open([]);
    const opened = await bare.begin(first);
    bare.socket.terminate();
    const { opened: again } = await ByHand.begun(bare);
    return { opened: outline(opened), resumeWindowMs: opened.limits.resumeWindowMs, again: again.resumed };
  },
};

/** What is left to be done in an earlier run's session, after a restart of the server. */
async function goOn({ session, count }) {
  const { client, opened } = await ByHand.begun({ session, count });
  const [interrupted] = await client.untilFinal("s");
  return { opened: outline(opened), interrupted, answer: await client.ask("1", "text", { text: "Hi" }) };
}

/** A session with one answer and one stream under way, for {@link goOn}. */
async function leaveOff() {
  const { client } = await ByHand.begun();
  const answer = await client.ask("1", "text", { text: "Hi" });
  client.send("s", "ask", { prompt: "once more", gate: "g" });
  const part = await client.receive();
  return { session: client.session, count: client.count, answer, part };
}

let report;
if (argument === undefined) {
  report = await leaveOff();
} else if (argument.startsWith("{")) {
  report = await goOn(JSON.parse(argument));
} else {
  report = {};
  for (const [name, scenario] of Object.entries(scenarios)) report[name] = await scenario();
}
console.log(JSON.stringify(report));
process.exit(0);
