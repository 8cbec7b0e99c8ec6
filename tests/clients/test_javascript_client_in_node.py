"""The JavaScript client in Node, with the package ``ws``, talks to a real server."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from tests.clients.client_conversation import check_client_conversation
from tests.node_packages import folder_with_ws
from tests.running_server import RunningServer

pytestmark = pytest.mark.slow

NODE_TIMEOUT_S = 120.0


@pytest.mark.parametrize("transport", ["asyncio", "anyio"])
def test_the_client_holds_its_conversation_in_node(source_tree: Path, transport: str) -> None:
    folder = folder_with_ws()
    command = ["wsframe", "run", "tests.clients.client_app:app", "--port", "0"]
    settings = {"WSFRAME_TRANSPORT": transport}
    with RunningServer(command, cwd=source_tree, settings=settings) as server:
        node = subprocess.run(
            ["node", "run_client.mjs", server.ws_url],
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=NODE_TIMEOUT_S,
            check=False,
        )
    assert node.returncode == 0, f"{node.stderr}\n{''.join(server.output)}"
    check_client_conversation(json.loads(node.stdout))
