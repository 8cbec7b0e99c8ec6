// Node's ws: /echo, /chat, /schema, /room and /publish, as in benchmarks/peers/__init__.py.
import { readFileSync } from "node:fs";
import Ajv2020 from "ajv/dist/2020.js";
import { WebSocketServer } from "ws";

const option = (name, otherwise) => {
  const at = process.argv.indexOf(name);
  return at < 0 ? otherwise : process.argv[at + 1];
};

const subscribers = new Set();

const schema = JSON.parse(readFileSync(new URL("message.schema.json", import.meta.url)));
const valid = new Ajv2020().compile(schema);

function replyTo({ id, type, content }) {
  return JSON.stringify({
    id,
    type,
    content: { text: `Echo: ${content.text}` },
    timestamp: new Date().toISOString(),
  });
}

function answer(data) {
  const message = JSON.parse(data);
  if (typeof message !== "object" || message === null || Array.isArray(message)) throw new Error("not an object");
  const { id, type, content, timestamp } = message;
  if (typeof id !== "string" || id.length < 1 || id.length > 128) throw new Error("id");
  if (typeof type !== "string" || type.length < 1 || type.length > 64) throw new Error("type");
  if (typeof content !== "object" || content === null || Array.isArray(content)) throw new Error("content");
  if (typeof content.text !== "string" || content.text.length > 10000) throw new Error("text");
  if (timestamp !== undefined && typeof timestamp !== "string") throw new Error("timestamp");
  return replyTo(message);
}

function answerChecked(data) {
  const message = JSON.parse(data);
  if (!valid(message)) throw new Error("not valid");
  return replyTo(message);
}

const server = new WebSocketServer({
  host: option("--host", "127.0.0.1"),
  port: Number(option("--port", "9001")),
  perMessageDeflate: true,
  maxPayload: 1 << 25,
  backlog: 2048,
});

server.on("connection", (socket, request) => {
  switch (request.url) {
    case "/chat":
      socket.on("message", (data) => socket.send(answer(data)));
      break;
    case "/schema":
      socket.on("message", (data) => socket.send(answerChecked(data)));
      break;
    case "/room":
      subscribers.add(socket);
      socket.on("close", () => subscribers.delete(socket));
      break;
    case "/publish":
      socket.on("message", (data, binary) => {
        for (const subscriber of subscribers) subscriber.send(data, { binary });
      });
      break;
    default:
      socket.on("message", (data, binary) => socket.send(data, { binary }));
  }
});
process.on("SIGTERM", () => process.exit(0));
