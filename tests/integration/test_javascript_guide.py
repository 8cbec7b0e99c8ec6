"""The code of the page "Connect from JavaScript" runs as it stands, in Node."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.docs.pages import read_page
from tests.node_packages import folder_with_ws
from tests.running_server import RunningServer
from wsframe.demo.stories import answer_to

NODE_TIMEOUT_S = 120.0
STORY = answer_to("Tell me a story")


@pytest.fixture(scope="module")
def demo() -> Iterator[RunningServer]:
    with RunningServer(["wsframe", "demo", "--port", "0"], cwd=folder_with_ws()) as server:
        yield server


@pytest.fixture
def snippets(source_tree: Path) -> list[str]:
    page = read_page(source_tree, source_tree / "docs" / "how-to" / "connect-from-javascript.md")
    return [block.text for block in page.blocks if block.language == "js"]


def run_in_node(script: str, server: RunningServer) -> list[str]:
    """The lines it prints; the guide's address is replaced by the running server's."""
    script = script.replace("ws://127.0.0.1:3001/ws", server.ws_url)
    node = subprocess.run(
        ["node", "--input-type=module", "--eval", script],
        cwd=folder_with_ws(),
        capture_output=True,
        text=True,
        timeout=NODE_TIMEOUT_S,
        check=False,
    )
    assert node.returncode == 0, node.stderr
    return node.stdout.splitlines()


def test_a_session_is_resumed_by_hand_as_the_guide_writes_it(
    source_tree: Path, demo: RunningServer
) -> None:
    page = read_page(source_tree, source_tree / "docs" / "how-to" / "resume-by-hand.md")
    client, use = (block.text for block in page.blocks if block.language == "js")
    *words, final = run_in_node(
        f"""
        import {{ WebSocket }} from "ws";
        {client}
        {use}
        process.exit(0); // it would come back, if the cut came too late to matter
        """,
        demo,
    )
    assert " message" in words, "where the connection is cut"
    assert "".join(words) == STORY
    assert final == "{ words: 79 }"


def test_the_shortest_client_logs_its_answer(snippets: list[str], demo: RunningServer) -> None:
    (shortest,) = (each for each in snippets if each.startswith("const socket") and "Hi" in each)
    script = f"""
        import {{ WebSocket }} from "ws";
        {shortest}
        const log = socket.onmessage;
        socket.onmessage = (event) => {{ log(event); socket.close(); }};
    """
    (line,) = [line for line in run_in_node(script, demo) if "content" in line]
    assert "Echo: Hi" in line


def test_requests_streams_and_errors_as_the_guide_writes_them(
    snippets: list[str], demo: RunningServer
) -> None:
    (matching,) = (each for each in snippets if each.startswith("const waiting"))
    (using,) = (each for each in snippets if each.startswith("const { text }"))
    (connecting,) = (
        each for each in snippets if "const socket = new WebSocket(" in each and "from" in each
    )
    script = f"""
        {connecting}
        await new Promise((resolve) => {{ socket.onopen = resolve; }});
        {matching}
        {using}
        console.log(JSON.stringify([text, answer]));
        socket.close();
    """
    error, texts = run_in_node(script, demo)
    assert error == "math.division_by_zero false"
    assert json.loads(texts) == ["Echo: Hi", STORY]


def test_the_client_as_the_guide_uses_it(
    snippets: list[str], demo: RunningServer, source_tree: Path
) -> None:
    (using,) = (each for each in snippets if '"/wsframe-client.js"' in each)
    module = source_tree / "clients" / "js" / "wsframe-client.js"
    script = f"""
        import {{ WebSocket }} from "ws";
        globalThis.WebSocket = WebSocket;
        {using.replace("/wsframe-client.js", module.as_uri()).replace('"/ws"', f'"{demo.ws_url}"')}
        client.close();
    """
    connecting, opened, reply, *words, final, error, closed = run_in_node(script, demo)
    assert (connecting, opened, closed) == ("connecting", "open", "closed")
    assert reply == "Echo: Hi"
    assert " ".join(word.strip() for word in words) == STORY
    assert final == f"{{ words: {len(words)} }}"
    assert error == "math.division_by_zero false"
