"""Sessions resumed by hand over Node's `ws` package, by what the wire protocol's page says."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.node_packages import folder_with_ws
from tests.running_server import RunningServer
from wsframe.testing.faults import free_port

NODE_TIMEOUT_S = 120.0
COMMAND = ["wsframe", "run", "tests.integration.resuming_app:app"]
ROOT = Path(__file__).parents[2]


def node(server: RunningServer, *arguments: str) -> dict[str, Any]:
    """What the script reports."""
    done = subprocess.run(
        ["node", "resuming.mjs", server.ws_url, *arguments],
        cwd=folder_with_ws(),
        capture_output=True,
        text=True,
        timeout=NODE_TIMEOUT_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    report: dict[str, Any] = json.loads(done.stdout)
    return report


@pytest.fixture(scope="module", params=["asyncio", "anyio"])
def seen(request: pytest.FixtureRequest) -> Iterator[dict[str, Any]]:
    folder_with_ws()
    command = [*COMMAND, "--port", "0", "--transport", request.param]
    with RunningServer(command, cwd=ROOT) as server:
        yield node(server, server.http_url)


def test_a_stream_goes_on_where_the_connection_broke(seen: dict[str, Any]) -> None:
    stream = seen["stream"]
    assert stream["part"]["content"] == {"delta": "once"}
    assert stream["opened"] == {"resumed": True, "seq": 1, "gap": None, "inFlight": ["s"]}
    *parts, final = stream["rest"]
    assert [part["content"]["delta"] for part in parts] == ["upon", "a", "time"]
    assert (final["final"], final["content"]) == (True, {})
    assert (stream["type"], stream["count"]) == ("pong", 5)


def test_a_stream_is_cancelled_over_the_next_connection(seen: dict[str, Any]) -> None:
    assert seen["cancel"]["cancelled"]["content"] == {"cancelled": True}
    assert seen["cancel"]["final"]["content"]["code"] == "cancelled"


def test_a_repeated_id_brings_the_same_answer(seen: dict[str, Any]) -> None:
    assert seen["retry"]["again"] == seen["retry"]["answer"]
    assert seen["retry"]["answer"]["content"]["text"] == "Echo: Hi"


def test_a_client_that_does_not_acknowledge_finds_a_gap(seen: dict[str, Any]) -> None:
    opened = {"resumed": True, "seq": 12, "gap": {"from": 6, "to": 12}, "inFlight": ["t"]}
    assert seen["gap"] == {"opened": opened, "next": {"number": 12}}


def test_a_newer_connection_takes_the_session_over(seen: dict[str, Any]) -> None:
    takeover = seen["takeover"]
    assert (takeover["resumed"], takeover["code"]) == (True, 4409)
    assert takeover["answer"]["type"] == "text"


def test_a_client_without_a_subprotocol_cannot_resume(seen: dict[str, Any]) -> None:
    opened = {"resumed": False, "seq": 0, "gap": None, "inFlight": []}
    assert seen["bare"] == {"opened": opened, "resumeWindowMs": 0, "again": False}


def test_a_session_goes_on_after_the_server_was_killed(tmp_path: Path) -> None:
    settings = {
        "WSFRAME_STORE": f"sqlite:///{tmp_path}/sessions.db",
        "WSFRAME_DURABILITY": "strict",
    }
    folder_with_ws()
    command = [*COMMAND, "--port", str(free_port())]
    with RunningServer(command, cwd=ROOT, settings=settings) as server:
        before = node(server)
        assert before["part"]["content"] == {"delta": "once"}
        server.restart()
        after = node(server, json.dumps({name: before[name] for name in ("session", "count")}))
    # Its answer, interrupted, is on its way.
    assert after["opened"] == {"resumed": True, "seq": 2, "gap": None, "inFlight": ["s"]}
    assert after["interrupted"]["content"]["code"] == "interrupted"
    assert after["interrupted"]["content"]["retryable"] is True
    assert after["answer"] == before["answer"]
