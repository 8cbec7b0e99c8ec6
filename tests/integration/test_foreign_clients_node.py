"""Node's `ws` package holds a conversation with the demo."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest

from tests.foreign_clients import check_shared_conversation
from tests.node_packages import folder_with_ws
from tests.running_server import RunningServer

NODE_TIMEOUT_S = 120.0


@pytest.fixture(scope="module", params=["asyncio", "anyio"])
def conversation(request: pytest.FixtureRequest) -> Iterator[dict[str, Any]]:
    """What Node reports, from both native transports."""
    node_folder = folder_with_ws()
    command = ["wsframe", "demo", "--port", "0"]
    settings = {"WSFRAME_TRANSPORT": request.param, "WSFRAME_CLOSE_TIMEOUT_S": "60"}
    with RunningServer(command, cwd=node_folder, settings=settings) as server:
        node = subprocess.run(
            ["node", "run.mjs", server.ws_url],
            cwd=node_folder,
            capture_output=True,
            text=True,
            timeout=NODE_TIMEOUT_S,
            check=False,
        )
        assert node.returncode == 0, node.stderr
        yield json.loads(node.stdout)


def test_node_holds_the_shared_conversation(conversation: dict[str, Any]) -> None:
    check_shared_conversation(conversation)


def test_node_negotiates_compression(conversation: dict[str, Any]) -> None:
    assert "permessage-deflate" in conversation["large"]["extensions"]


def test_a_websocket_ping_from_node_is_answered_with_its_payload(
    conversation: dict[str, Any],
) -> None:
    assert conversation["webSocketPing"] == {"payload": "are you there?"}


def test_a_message_that_node_sends_in_one_byte_fragments_arrives_whole(
    conversation: dict[str, Any],
) -> None:
    assert conversation["fragmented"]["content"] == {"text": "Echo: in 世 pieces"}


@pytest.mark.parametrize(
    ("scenario", "code"),
    [("closeReservedOpcode", 1002), ("closeUnmasked", 1002), ("closeBadUtf8", 1007)],
)
def test_node_sees_the_close_code_of_a_broken_frame(
    conversation: dict[str, Any], scenario: str, code: int
) -> None:
    assert conversation[scenario] == {"code": code}
