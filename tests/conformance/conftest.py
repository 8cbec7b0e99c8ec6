"""The servers that the conformance cases run against: the raw echo on each transport and path.

``CONFORMANCE_PORT=9001`` runs the cases against whatever echo listens there instead.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.conformance.peer import Peer
from tests.running_server import RunningServer

OTHER = os.environ.get("CONFORMANCE_PORT")
SERVERS = {
    "asyncio": ("--transport", "asyncio"),
    "asyncio-no-hot-path": ("--transport", "asyncio", "--no-hot-path"),
    "anyio": ("--transport", "anyio"),
    "anyio-no-hot-path": ("--transport", "anyio", "--no-hot-path"),
}

Connect = Callable[..., Peer]


def servers() -> list[object]:
    """The servers to run against; the hot path is the one that everybody uses."""
    if OTHER:
        return ["other"]
    return [
        pytest.param(name, marks=pytest.mark.slow) if "no-hot-path" in name else name
        for name in SERVERS
    ]


@pytest.fixture(scope="session", params=servers())
def echo_port(request: pytest.FixtureRequest) -> Iterator[int]:
    """The port of an echo server."""
    if OTHER:
        yield int(OTHER)
        return
    options = ("--deflate", "--max-message-bytes", "4194304", "--port", "0")
    command = (sys.executable, "-m", "wsframe.testing.echo", *options, *SERVERS[request.param])
    server = RunningServer(command, cwd=Path(__file__).parents[2])
    try:
        yield server.port
    finally:
        server.stop()


@pytest.fixture
def connect(echo_port: int) -> Iterator[Connect]:
    """Opens connections that are closed at the end of the test."""
    opened: list[Peer] = []

    def open_one(*, extensions: str | None = None, behind: bytes = b"") -> Peer:
        peer = Peer(echo_port, extensions=extensions, behind=behind)
        opened.append(peer)
        return peer

    yield open_one
    for peer in opened:
        peer.__exit__()
