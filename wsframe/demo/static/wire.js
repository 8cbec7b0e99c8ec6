// The panel that shows every message as it goes over the wire: one line each, all of it when opened.

const KEPT = 200;
const CUT = 4000; // any code but 1000, which would finish the session
const UNNUMBERED_TYPES = new Set(["init", "pong"]);

/**
 * A class like `WebSocket` whose messages are shown in the panel, and a function that cuts the
 * connection that was made last.
 */
export function tapped(WebSocket, { panel, list, count }) {
  let newest;
  let seq = 0; // number of the newest numbered message: it is not on the wire, both ends count
  let total = 0;

  class TappedWebSocket extends WebSocket {
    constructor(...args) {
      super(...args);
      newest = this;
      this.addEventListener("message", ({ data }) => received(JSON.parse(data)));
    }

    send(data) {
      super.send(data);
      show("sent", JSON.parse(data));
    }
  }

  function received(message) {
    if (message.type === "init") seq = message.content.seq;
    const numbered = !UNNUMBERED_TYPES.has(message.type) && message.transient !== true;
    show("received", message, numbered ? ++seq : undefined);
  }

  function show(direction, message, number) {
    const type = document.createElement("b");
    type.textContent = message.type;
    const line = document.createElement("summary");
    line.append(type, number === undefined ? " " : ` ${number} `, JSON.stringify(message.content, hideSecret) ?? "");
    const whole = document.createElement("pre");
    whole.textContent = JSON.stringify(message, hideSecret, 2);
    const entry = document.createElement("details");
    entry.append(line, whole);
    const item = document.createElement("li");
    item.className = message.type === "error" ? `${direction} error` : direction;
    item.append(entry);

    const atEnd = panel.scrollHeight - panel.scrollTop - panel.clientHeight < 60;
    list.append(item);
    if (list.childElementCount > KEPT) list.firstElementChild.remove();
    if (atEnd) panel.scrollTop = panel.scrollHeight;
    count.textContent = `${++total}`;
  }

  return { WebSocket: TappedWebSocket, cut: () => newest.close(CUT) };
}

/** Who knows a session's secret owns it: it is not for screens and screenshots. */
function hideSecret(key, value) {
  return key === "secret" ? "…" : value;
}
