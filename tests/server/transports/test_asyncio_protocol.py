"""The asyncio transport: nothing that was read is lost to what the loop says next."""

from __future__ import annotations

from typing import Any

import pytest

from tests.conformance.peer import TEXT, frame
from wsframe.server.intake import SLICE_BYTES
from wsframe.server.link import Phase
from wsframe.server.transports.asyncio_protocol import AsyncioLink

from .fake_link import UPGRADE, Context


class Transport:
    """asyncio's side."""

    def __init__(self) -> None:
        self.written = b""
        self.reading = True

    def get_extra_info(self, name: str) -> Any:
        return ("192.0.2.7", 40_000) if name == "peername" else None

    def write(self, data: bytes) -> None:
        self.written += data

    def is_closing(self) -> bool:
        return False

    def can_write_eof(self) -> bool:
        return False

    def close(self) -> None: ...

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True


@pytest.fixture
def context() -> Context:
    return Context()


def connect(context: Context) -> tuple[AsyncioLink, Transport]:
    link, transport = AsyncioLink(context), Transport()  # type: ignore[arg-type]  # a stand-in
    link.connection_made(transport)  # type: ignore[arg-type]  # likewise
    link.data_received(UPGRADE)
    context.turn()
    return link, transport


def test_what_is_read_is_taken_at_the_end_of_the_turn(context: Context) -> None:
    link, _ = connect(context)
    link.data_received(frame(TEXT, b"one"))
    assert context.heard == []
    context.turn()
    assert context.heard == ["one"]


def test_the_last_words_are_taken_before_the_end_of_the_input(context: Context) -> None:
    link, _ = connect(context)
    link.data_received(frame(TEXT, b"last"))
    link.eof_received()
    assert context.heard == ["last"]
    assert link.phase is Phase.CLOSING


def test_the_last_words_are_taken_before_the_stream_is_lost(context: Context) -> None:
    link, _ = connect(context)
    link.data_received(frame(TEXT, b"last"))
    link.connection_lost(None)
    assert context.heard == ["last"]
    assert link.phase is Phase.CLOSED


def test_a_long_read_stops_reading_at_once_and_comes_behind_what_was_read_before(
    context: Context,
) -> None:
    link, transport = connect(context)
    link.data_received(frame(TEXT, b"short"))
    link.data_received(frame(TEXT, b"x" * SLICE_BYTES))
    assert not transport.reading
    assert context.heard == ["short"]
    context.turn()
    assert context.heard == ["short", "x" * SLICE_BYTES]
    assert transport.reading
