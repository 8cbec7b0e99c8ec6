// node run.mjs ws://…   prints what a conversation through Node's `ws` brought, as JSON.

import { WebSocket } from "ws";
import { converse } from "./conversation.mjs";

const url = process.argv[2];
const PROTOCOL = "wsframe.v1.json";

function open() {
  return new Promise((resolve, reject) => {
    const socket = new WebSocket(url, [PROTOCOL]);
    socket.once("open", () => resolve(socket));
    socket.once("error", reject);
  });
}

async function closing(act) {
  const socket = await open();
  const closed = new Promise((resolve) => socket.once("close", (code) => resolve({ code })));
  act(socket);
  return closed;
}

/** A masked frame, byte for byte: the mask is zero, so the payload stands as it is. */
function frame(firstByte, payload) {
  return Buffer.concat([Buffer.from([firstByte, 0x80 | payload.length, 0, 0, 0, 0]), payload]);
}

async function webSocketPing() {
  const socket = await open();
  const pong = new Promise((resolve) => socket.once("pong", (data) => resolve(data.toString())));
  socket.ping("are you there?");
  const payload = await pong;
  socket.close();
  return { payload };
}

async function fragmented() {
  const socket = await open();
  const answer = new Promise((resolve) => socket.once("message", (data) => resolve(JSON.parse(data))));
  const text = JSON.stringify({ id: "1", type: "text", content: { text: "in 世 pieces" } });
  const bytes = Buffer.from(text);
  for (let at = 0; at < bytes.length; at += 1) { // cuts characters in the middle
    socket.send(bytes.subarray(at, at + 1), { binary: false, fin: at === bytes.length - 1, compress: false });
  }
  const message = await answer;
  socket.close();
  return message;
}

const shared = await converse(WebSocket, url);
const own = {
  webSocketPing: await webSocketPing(),
  fragmented: await fragmented(),
  closeReservedOpcode: await closing((socket) => socket._socket.write(frame(0x83, Buffer.from("x")))),
  closeUnmasked: await closing((socket) => socket._socket.write(Buffer.from([0x81, 0x01, 0x78]))),
  closeBadUtf8: await closing((socket) => socket._socket.write(frame(0x81, Buffer.from([0xc3, 0x28])))),
};
console.log(JSON.stringify({ ...shared, ...own }));
