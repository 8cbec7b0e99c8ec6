"""A page in Chromium whose client talks as the Python ones do."""

from __future__ import annotations

from collections import Counter
from typing import Any

from selenium.webdriver import Chrome
from selenium.webdriver.support.wait import WebDriverWait

from tests.endurance.runs import Runs
from wsframe.testing.faults.promise import Witness

LAST_ANSWERS_S = 120.0
LANES = 3

_TALK = """
const [lanes, report] = arguments;
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const seen = { requests: [], notes: [], statuses: [] };
globalThis.talking = { stopping: false, seen, done: false };

async function lane(client) {
  while (!talking.stopping) {
    const one = { type: "text", to: 0, parts: [], runs: [], outcome: null };
    seen.requests.push(one);
    try {
      if (Math.random() < 0.5) {
        one.type = "count";
        one.to = 1 + Math.floor(Math.random() * 10);
        const stream = client.stream("count", { to: one.to, pauseS: Math.random() * 0.1 });
        one.id = stream.id;
        for await (const { content } of stream) {
          one.parts.push(content.number);
          one.runs.push(content.run);
        }
      } else {
        const answer = client.request("work", { forS: Math.random() * 0.2 });
        one.id = answer.id;
        one.runs.push((await answer).content.run);
      }
      one.outcome = "answered";
    } catch (error) {
      one.outcome = error.code ?? String(error);
    }
    await sleep(Math.random() * 200);
  }
}

import("/wsframe-client.js").then(async ({ Client }) => {
  const _clock = {
    now: () => performance.now(),
    setTimeout: (callback, ms) => setTimeout(callback, ms),
    clearTimeout: (timer) => clearTimeout(timer),
    random: () => Math.random() / 100, // soon back, however often the server dies
  };
  const client = new Client("/ws", { timeoutMs: 900_000, retries: 1000, _clock });
  client.on("status", (status) => seen.statuses.push(status));
  report("talking");
  await Promise.all(Array.from({ length: lanes }, () => lane(client)));
  client.close();
  talking.done = true;
});
"""


class Page:
    """One page; its methods block.

    Args:
        browser: shows it.
        url: of the server, which must be up.
    """

    def __init__(self, browser: Chrome, url: str) -> None:
        self._browser = browser
        browser.get(f"{url}/healthz")
        assert browser.execute_async_script(_TALK, LANES) == "talking"

    def asked(self) -> int:
        """How many messages it has sent so far."""
        return int(self._browser.execute_script("return talking.seen.requests.length"))

    def finish(self, witness: Witness, runs: Runs, counts: Counter[str]) -> None:
        """Let it stop, wait for its last answers, and tell what it has seen."""
        browser = self._browser
        browser.execute_script("talking.stopping = true")
        waiting = WebDriverWait(browser, LAST_ANSWERS_S, poll_frequency=0.1)
        try:
            waiting.until(lambda _: browser.execute_script("return talking.done"))
        finally:
            seen = browser.execute_script("return talking.seen")
            browser.get("about:blank")
            _tell(seen, witness, runs, counts)


def _tell(seen: dict[str, Any], witness: Witness, runs: Runs, counts: Counter[str]) -> None:
    for status in seen["statuses"]:
        counts[f"status {status}"] += 1
    for one in seen["requests"]:
        message_id, outcome = one["id"], one["outcome"]
        witness.sent(message_id, what=one["type"], parts=one["to"])
        for number in one["parts"]:
            witness.part(message_id, number)
        counts["parts"] += len(one["parts"])
        if outcome == "answered":
            witness.answered(message_id)
            counts["answered"] += 1
            for run in set(one["runs"]):
                runs.told(message_id, run)
        elif outcome is not None:
            counts[f"error {outcome}"] += 1
            if outcome == "interrupted":
                witness.answered(message_id, outcome, whole=False)
            else:
                witness.given_up(message_id, outcome)
