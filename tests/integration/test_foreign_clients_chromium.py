"""Plain JavaScript in headless Chromium holds a conversation with the demo.

A page cannot fragment a message or send a broken frame itself; Chromium splits large messages into
several frames, and the heartbeat's WebSocket pings are answered by the browser on its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.chromium import start_chromium, why_unavailable
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
    settings = {"WSFRAME_HEARTBEAT_INTERVAL_S": "0.5", "WSFRAME_HEARTBEAT_TIMEOUT_S": "1"}
    command = ["wsframe", "demo", "--port", "0"]
    with RunningServer(command, cwd=source_tree / "tests", settings=settings) as server:
        browser = start_chromium(tmp_path_factory.mktemp("chromium"))
        try:
            browser.get(f"{server.http_url}/")
            result = browser.execute_async_script(script, server.ws_url)
            assert "failed" not in result, result
            result["idle"] = browser.execute_async_script(STAY_IDLE, server.ws_url)
            yield result
        finally:
            browser.quit()


STAY_IDLE = """
const [url, report] = arguments;
const socket = new WebSocket(url, ["wsframe.v1.json"]);
let closed = null;
socket.onclose = ({ code }) => { closed = code; };
setTimeout(() => report({ closed, open: socket.readyState === WebSocket.OPEN }), 4000);
"""


def test_chromium_holds_the_shared_conversation(conversation: dict[str, Any]) -> None:
    check_shared_conversation(conversation)


def test_chromium_negotiates_compression(conversation: dict[str, Any]) -> None:
    assert "permessage-deflate" in conversation["large"]["extensions"]


def test_chromium_answers_the_heartbeats_pings_and_stays_connected(
    conversation: dict[str, Any],
) -> None:
    assert conversation["idle"] == {"closed": None, "open": True}
