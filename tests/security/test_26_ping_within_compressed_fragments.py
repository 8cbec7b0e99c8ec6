"""Threat 26: a ping between the fragments of a compressed message harms neither."""

from __future__ import annotations

import os

import pytest

from tests.protocol.streams import (
    PING,
    PONG,
    TEXT,
    agreed,
    byte_by_byte,
    deflated,
    fragments,
    frame,
    play,
    server,
    whole,
)
from wsframe.protocol.events import Ping, Pong

MESSAGE = "Compressed, fragmented and interrupted: " + os.urandom(30).hex()
DATA = deflated(MESSAGE.encode())


@pytest.mark.parametrize("hot_path", [True, False], ids=["hot path", "wsproto only"])
@pytest.mark.parametrize("feed", [whole, byte_by_byte])
@pytest.mark.parametrize("takeover", [False, True])
def test_the_message_is_intact_wherever_it_is_split(
    takeover: bool, feed: object, hot_path: bool
) -> None:
    deflate = agreed("permessage-deflate", takeover=takeover)
    websocket = server(deflate=deflate, hot_path=hot_path)
    for position in range(len(DATA) + 1):
        first, second = fragments(TEXT, DATA[:position], DATA[position:], rsv=4)
        stream = first + frame(PING, b"still there?") + second
        websocket.output.clear()
        transcript = play(websocket, feed(stream))  # type: ignore[operator]
        assert transcript.events == [Ping(b"still there?"), MESSAGE]
        assert transcript.output == frame(PONG, b"still there?", key=None)


def test_a_ping_between_all_fragments_of_one_byte() -> None:
    websocket = server(deflate=agreed())
    pieces = fragments(TEXT, *byte_by_byte(DATA), rsv=4)
    stream = (frame(PING, b"1") + frame(PONG, b"2")).join(pieces)
    events = websocket.receive_data(stream)
    assert events[-1] == MESSAGE
    assert events[:-1] == [Ping(b"1"), Pong(b"2")] * (len(pieces) - 1)
