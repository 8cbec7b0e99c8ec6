"""An idle connection is small, whatever it has been through."""

from __future__ import annotations

import gc
import tracemalloc

import pytest

from tests.protocol.streams import (
    BINARY,
    PING,
    TEXT,
    agreed,
    deflated,
    fragments,
    frame,
    server,
)

EVERYTHING = (
    frame(TEXT, b"text")
    + frame(PING, b"ping")
    + b"".join(fragments(BINARY, b"one", b"two"))
    + frame(BINARY, b"large" * 10_000)
)
COMPRESSED = frame(TEXT, deflated(b"compressed " * 1000), rsv=4)


@pytest.mark.parametrize("with_deflate", [False, True])
def test_an_idle_connection_takes_less_than_600_bytes(with_deflate: bool) -> None:
    deflate = agreed() if with_deflate else None
    stream = EVERYTHING + (COMPRESSED if with_deflate else b"")
    gc.collect()
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    connections = [server(deflate=deflate) for _ in range(200)]
    for connection in connections:
        connection.receive_data(stream[:-3])
        connection.receive_data(stream[-3:])
        connection.output.clear()
    gc.collect()
    taken = (tracemalloc.get_traced_memory()[0] - before) / len(connections)
    tracemalloc.stop()
    assert taken < 600
