"""The JavaScript client in headless Chromium, imported from the server that it talks to."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from selenium.webdriver import Chrome
from selenium.webdriver.support.wait import WebDriverWait

from tests.chromium import WAIT_S
from tests.clients.client_conversation import check_client_conversation
from tests.running_server import RunningServer

pytestmark = pytest.mark.browser


@pytest.fixture
def page(browser: Chrome, source_tree: Path) -> Iterator[Chrome]:
    """A page of the server that the client talks to; its content does not matter."""
    command = ["wsframe", "run", "tests.clients.client_app:app", "--port", "0"]
    with RunningServer(command, cwd=source_tree) as server:
        browser.get(f"{server.http_url}/healthz")
        yield browser
        browser.get("about:blank")


def test_the_client_holds_its_conversation_in_chromium(page: Chrome, source_tree: Path) -> None:
    module = (source_tree / "tests" / "node" / "client.mjs").read_text(encoding="utf-8")
    script = module.replace("export async function", "async function") + (
        "\nconst [report] = arguments;"
        '\nimport("/wsframe-client.js")'
        '\n  .then(({ Client }) => converseThroughClient({ Client, WebSocket, url: "/ws" }))'
        "\n  .then(report, (error) => report({ failed: String(error) }));"
    )
    seen = page.execute_async_script(script)
    assert "failed" not in seen, seen
    check_client_conversation(seen)


CONNECT = """
const [report] = arguments;
globalThis.sockets = [];
class Tapped extends WebSocket {
  constructor(...args) {
    super(...args);
    sockets.push(this);
  }
}
import("/wsframe-client.js").then(({ Client }) => {
  globalThis.client = new Client("/ws", { WebSocket: Tapped });
  client.on("status", (status) => status === "open" && report(status));
});
"""

DROP = """
const [report] = arguments;
client.on("status", () => setTimeout(() => report([client.status, sockets.length]), 500));
sockets.at(-1).close(4000);
"""


def test_while_chromium_is_offline_the_client_waits_and_then_comes_back_at_once(
    page: Chrome,
) -> None:
    assert page.execute_async_script(CONNECT) == "open"
    network = {"latency": 0, "downloadThroughput": -1, "uploadThroughput": -1}
    page.execute_cdp_cmd("Network.enable", {})
    page.execute_cdp_cmd("Network.emulateNetworkConditions", {**network, "offline": True})
    try:
        assert page.execute_async_script(DROP) == ["connecting", 1]
    finally:
        page.execute_cdp_cmd("Network.emulateNetworkConditions", {**network, "offline": False})
    waiting = WebDriverWait(page, WAIT_S, poll_frequency=0.05)
    waiting.until(lambda _: page.execute_script("return client.status") in {"open", "resumed"})
    assert page.execute_script("client.close(); return sockets.length") == 2
