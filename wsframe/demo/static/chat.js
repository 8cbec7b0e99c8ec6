// The page: shows what the client reports, and sends what the user types.
// Text from the network goes into the page through textContent only.

import { Client } from "./wsframe-client.js";
import { tapped } from "./wire.js";

const $ = (id) => document.getElementById(id);
const text = $("text");
const messages = $("messages");
const scroller = $("scroller");
const wire = tapped(WebSocket, { panel: $("wire-panel"), list: $("wire"), count: $("wire-count") });
const client = new Client("ws", { WebSocket: wire.WebSocket });

// --- connection status ------------------------------------------------------------------------

const STATUS_TEXT = {
  connecting: "Connecting…",
  open: "Connected",
  resumed: "Resumed, nothing is lost",
  gap: "Resumed, with a gap",
  reconnecting: "Reconnecting…",
  closed: "Closed",
};
const CONNECTED = new Set(["open", "resumed", "gap"]);
let wasConnected = false;

client.on("status", (status, { reason }) => {
  const connected = CONNECTED.has(status);
  wasConnected ||= connected;
  const now = status === "connecting" && wasConnected ? "reconnecting" : status;
  const pill = $("status");
  pill.dataset.status = connected ? "open" : now;
  const shown = status === "closed" && reason ? `Closed: ${reason}` : STATUS_TEXT[now];
  if (pill.textContent !== shown) pill.textContent = shown; // a live region: said again at every change
  $("reconnect").hidden = connected || now === "connecting";
  $("drop").disabled = !connected;
  if (status === "open") client.request("enter").catch(() => {}); // hear what others say to everyone
});
$("reconnect").addEventListener("click", () => {
  if (client.status === "closed") location.reload();
  else client.connect();
  text.focus();
});
$("drop").addEventListener("click", wire.cut);
addEventListener("pagehide", ({ persisted }) => {
  if (!persisted) client.close(); // the page will not come back, so the server need not keep its session
});

// --- bubbles ----------------------------------------------------------------------------------

function element(tag, className, content = "") {
  const made = document.createElement(tag);
  made.className = className;
  made.textContent = content;
  return made;
}

function addBubble(side, content) {
  $("welcome").hidden = true;
  const item = element("li", side);
  const bubble = element("div", "bubble", content);
  const meta = element("div", "meta");
  item.append(element("span", "visually-hidden", side === "mine" ? "You:" : "Server:"), bubble, meta);
  messages.append(item);
  stayAtEnd(true);
  return { item, bubble, meta };
}

/** Follow the conversation, unless the reader scrolled up to read. */
function stayAtEnd(force = false) {
  const distance = scroller.scrollHeight - scroller.scrollTop - scroller.clientHeight;
  if (force || distance < 120) scroller.scrollTop = scroller.scrollHeight;
}

/** Screen readers hear whole answers, not every word of a stream. */
function announce(content) {
  $("announcer").textContent = content;
}

client.on("message", (message) => {
  if (message.type !== "said" || message.content.from === client.sessionId) return;
  const { meta } = addBubble("theirs pushed", message.content.text);
  meta.textContent = "to everyone";
  announce(`To everyone: ${message.content.text}`);
});

// --- asking and answering ---------------------------------------------------------------------

const running = []; // answers that are not complete, newest last

async function ask(type, content, shown, { timeoutMs = 10_000 } = {}) {
  const { meta: sent } = addBubble("mine", shown);
  if (!CONNECTED.has(client.status)) sent.textContent = "Goes out as soon as the connection is back";
  const { item, bubble, meta } = addBubble("theirs running", "");
  const answer = client.stream(type, content, { timeoutMs, retries: 0 }); // the user may try again
  const stop = element("button", "", "Stop");
  stop.type = "button";
  stop.addEventListener("click", () => cancel(answer));
  meta.append("Waiting…");
  running.push(answer);
  $("stop").disabled = false;
  const started = performance.now();
  try {
    for await (const part of answer) {
      if (!stop.isConnected) meta.replaceChildren("Streaming…", stop);
      bubble.textContent += part.content.delta ?? "";
      stayAtEnd();
    }
    if (!bubble.textContent) bubble.textContent = describe(answer.final);
    meta.textContent = elapsed(started);
    announce(`Server: ${bubble.textContent}`);
  } catch (error) {
    showError(item, bubble, error);
    meta.textContent = elapsed(started);
    if (error.retryable) {
      const again = element("button", "", "Try again");
      again.type = "button";
      again.addEventListener("click", () => {
        again.remove();
        text.focus();
        ask(type, content, shown, { timeoutMs });
      });
      meta.append(again);
    }
    announce(`Error ${error.code}: ${error.message}`);
  } finally {
    item.classList.remove("running");
    running.splice(running.indexOf(answer), 1);
    if (running.length === 0) $("stop").disabled = true;
    if (document.activeElement === document.body) text.focus(); // the focused button is gone
    sent.textContent = "";
    stayAtEnd();
  }
}

function describe({ type, content }) {
  if (typeof content.text === "string") return content.text;
  if (type === "say") return content.receivers === 1 ? "Nobody else is here yet." : `Delivered to ${content.receivers - 1}.`;
  return JSON.stringify(content);
}

function showError(item, bubble, error) {
  item.classList.add(error.code === "cancelled" ? "stopped" : "failed");
  const partial = bubble.textContent;
  bubble.textContent = "";
  if (partial) bubble.append(element("div", "partial", partial));
  bubble.append(element("code", "", error.code), error.message);
  const nearest = error.details?.nearest;
  if (nearest?.length) bubble.append(` Did you mean ${nearest.join(" or ")}?`);
}

function elapsed(started) {
  const ms = performance.now() - started;
  return ms < 1000 ? `${Math.max(1, Math.round(ms))} ms` : `${(ms / 1000).toFixed(1)} s`;
}

/** The answer ends with the error `cancelled`, which is shown like any other. */
function cancel(answer) {
  client.cancel(answer.id).catch(() => {});
}

function stopNewest() {
  const newest = running.at(-1);
  if (newest) cancel(newest);
}

// --- examples ---------------------------------------------------------------------------------

const EXAMPLES = {
  echo: () => ask("text", { text: "Hello, wsframe!" }, "Hello, wsframe!"),
  stream: () => ask("ask", { prompt: "Tell me a story" }, "Tell me a story"),
  error: () => ask("divide", { value: 1, by: 0 }, "1 ÷ 0"),
  timeout: () => ask("slow", { seconds: 60 }, "Take a minute over this"),
  unknown: () => ask("txet", { text: "Oops" }, "A message of type “txet”"),
};

for (const button of document.querySelectorAll("[data-example]")) {
  button.addEventListener("click", EXAMPLES[button.dataset.example]);
}
$("stop").addEventListener("click", stopNewest);
addEventListener("keydown", (event) => {
  if (event.key === "Escape") stopNewest();
});

// --- composer ---------------------------------------------------------------------------------

const MODES = {
  text: { placeholder: "It comes back as it is", content: (value) => ({ text: value }) },
  ask: { placeholder: "Ask for a story", content: (value) => ({ prompt: value }) },
  say: { placeholder: "Everyone who has this page open sees it", content: (value) => ({ text: value }) },
};
const composer = $("composer");

composer.addEventListener("change", () => {
  text.placeholder = MODES[composer.elements.mode.value].placeholder;
});
composer.addEventListener("submit", (event) => {
  event.preventDefault();
  const value = text.value.trim();
  if (!value) return;
  const mode = composer.elements.mode.value;
  text.value = "";
  ask(mode, MODES[mode].content(value), value);
});
text.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
    event.preventDefault();
    composer.requestSubmit();
  }
});

new ResizeObserver(() => stayAtEnd()).observe(scroller);
if (matchMedia("(max-width: 60rem)").matches) $("wire-panel").open = false;
