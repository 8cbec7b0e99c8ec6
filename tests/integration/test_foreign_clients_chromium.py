"""Plain JavaScript in headless Chromium holds a conversation with the demo.

A page cannot fragment a message or send a broken frame itself; Chromium splits large messages into
several frames, and the heartbeat's WebSocket pings are answered by the browser on its own.
"""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from selenium.webdriver import Chrome
from selenium.webdriver.support.wait import WebDriverWait

from tests.chromium import WAIT_S, start_chromium, why_unavailable
from tests.foreign_clients import check_shared_conversation
from tests.running_server import RunningServer

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def conversation(
    source_tree: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, Any]]:
    """What Chromium reports."""
    if reason := why_unavailable():
        pytest.skip(reason)
    module = (source_tree / "tests" / "node" / "conversation.mjs").read_text()
    script = module.replace("export async function", "async function") + (
        "\nconst [url, report] = arguments;"
        "\nconverse(WebSocket, url).then(report, (error) => report({ failed: String(error) }));"
    )
    settings = {"WSFRAME_CLOSE_TIMEOUT_S": "60"}
    command = ["wsframe", "demo", "--port", "0"]
    browser = start_chromium(tmp_path_factory.mktemp("chromium"))
    try:
        with RunningServer(command, cwd=source_tree / "tests", settings=settings) as server:
            browser.get(f"{server.http_url}/")
            result = browser.execute_async_script(script, server.ws_url)
        assert "failed" not in result, result
        result["idle"] = stay_idle(browser, source_tree)
        yield result
    finally:
        browser.quit()


def stay_idle(browser: Chrome, source_tree: Path) -> Any:
    """What becomes of a connection that is pinged, and pinged again, which says that it answers."""
    settings = {"WSFRAME_HEARTBEAT_INTERVAL_S": "0.5", "WSFRAME_HEARTBEAT_TIMEOUT_S": "60"}
    command = ["wsframe", "run", "tests.integration.slow_demo:app", "--port", "0"]
    with RunningServer(command, cwd=source_tree, settings=settings) as server:

        def pinged_again(_browser: Chrome) -> bool:
            with urllib.request.urlopen(f"{server.http_url}/pings") as response:
                return bool(json.load(response)["pings"] >= 4)

        browser.get(f"{server.http_url}/healthz")
        browser.execute_async_script(OPEN_IDLE, server.ws_url)
        WebDriverWait(browser, WAIT_S).until(pinged_again, "a ping was not answered")
        return browser.execute_script(REPORT_IDLE)


OPEN_IDLE = """
const [url, report] = arguments;
globalThis.idle = new WebSocket(url, ["wsframe.v1.json"]);
globalThis.endedWith = null;
idle.onclose = ({ code }) => { endedWith = code; };
idle.onopen = report;
"""
REPORT_IDLE = "return { closed: endedWith, open: idle.readyState === WebSocket.OPEN };"


def test_chromium_holds_the_shared_conversation(conversation: dict[str, Any]) -> None:
    check_shared_conversation(conversation)


def test_chromium_negotiates_compression(conversation: dict[str, Any]) -> None:
    assert "permessage-deflate" in conversation["large"]["extensions"]


def test_chromium_answers_the_heartbeats_pings_and_stays_connected(
    conversation: dict[str, Any],
) -> None:
    assert conversation["idle"] == {"closed": None, "open": True}
