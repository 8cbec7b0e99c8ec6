// A conversation with the demo, in terms of the WebSocket interface that browsers and `ws` share.
// It reports what happened; the tests that run it decide whether that is right.

export async function converse(WebSocket, url) {
  const JSON_PROTOCOL = "wsframe.v1.json";
  const MSGPACK_PROTOCOL = "wsframe.v1.msgpack";
  const MIB = 1024 * 1024;

  function open(protocols = [JSON_PROTOCOL]) {
    return new Promise((resolve, reject) => {
      const socket = new WebSocket(url, protocols);
      socket.binaryType = "arraybuffer";
      socket.onopen = () => resolve(socket);
      socket.onerror = () => reject(new Error("no connection"));
    });
  }

  /** What arrives up to and including the final answer to `id`. */
  function answers(socket, id) {
    return new Promise((resolve, reject) => {
      const received = [];
      socket.onmessage = ({ data }) => {
        const message = JSON.parse(data);
        received.push(message);
        if (message.replyTo === id && message.final) resolve(received);
      };
      socket.onclose = ({ code }) => reject(new Error(`closed with ${code}`));
    });
  }

  async function ask(message, protocols) {
    const socket = await open(protocols);
    const all = answers(socket, message.id);
    socket.send(JSON.stringify(message));
    const received = await all;
    const { protocol, extensions } = socket;
    socket.onclose = null;
    socket.close();
    return { protocol, extensions, received };
  }

  async function closing(act) {
    const socket = await open();
    const closed = new Promise((resolve) => {
      socket.onclose = ({ code, wasClean }) => resolve({ code, wasClean });
    });
    act(socket);
    return closed;
  }

  /** As much MessagePack as the message below needs: short strings in small maps. */
  function msgpack(value) {
    if (typeof value === "string") {
      const bytes = new TextEncoder().encode(value);
      return [0xa0 | bytes.length, ...bytes];
    }
    const entries = Object.entries(value);
    return [0x80 | entries.length, ...entries.flatMap(([key, item]) => [...msgpack(key), ...msgpack(item)])];
  }

  return {
    text: await ask({ id: "1", type: "text", content: { text: "Hi, 世界 🌍" } }),
    withoutSubprotocol: await ask({ id: "1", type: "text", content: { text: "bare" } }, []),
    init: await ask({ id: "1", type: "init", content: { client: { name: "test", version: "1" } } }),
    stream: await ask({ id: "1", type: "ask", content: { prompt: "Tell me a story" } }),
    error: await ask({ id: "1", type: "divide", content: { value: 1, by: 0 } }),
    pingMessage: await ask({ id: "1", type: "ping" }),
    large: await ask({ id: "1", type: "text", content: { text: "x".repeat(MIB) } }),
    msgpack: await (async () => {
      const socket = await open([MSGPACK_PROTOCOL, JSON_PROTOCOL]);
      const answer = new Promise((resolve) => {
        socket.onmessage = ({ data }) => resolve(Array.from(new Uint8Array(data)));
      });
      socket.send(Uint8Array.from(msgpack({ id: "1", type: "text", content: { text: "packed" } })));
      const bytes = await answer;
      const { protocol } = socket;
      socket.close();
      return { protocol, bytes };
    })(),
    closeNormal: await closing((socket) => socket.close(1000, "done")),
    closeBinaryOnJson: await closing((socket) => socket.send(Uint8Array.from([1, 2, 3]))),
    closeTooBig: await closing((socket) => socket.send("x".repeat(3 * MIB))),
    closeSecondInit: await closing((socket) => {
      socket.send(JSON.stringify({ id: "1", type: "init" }));
      socket.send(JSON.stringify({ id: "2", type: "init" }));
    }),
  };
}
