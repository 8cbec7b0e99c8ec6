"""Threat 20: a small frame that inflates to a huge message costs no more than the limit."""

from __future__ import annotations

import pytest

from tests.protocol.streams import BINARY, TEXT, agreed, cut, deflated, frame, play, server
from tests.security.measured_process import peak_growth_kib
from wsframe.protocol.connection import Role, State, WebSocket
from wsframe.protocol.events import Failed

LIMIT = 200_000
TOO_BIG = Failed(1009, "the message is larger than the limit")

SETUP = """
import zlib
from wsframe.protocol.connection import Role, WebSocket
from wsframe.protocol.deflate import DeflateSettings, negotiate
from wsframe.protocol.frames import encode_frame
from wsframe.protocol.events import Failed

deflate = negotiate(["permessage-deflate"], DeflateSettings())[0]
key = b"abcd"
compressor = zlib.compressobj(9, zlib.DEFLATED, -15)
bomb = b"".join(compressor.compress(bytes(1 << 20)) for _ in range(40))
bomb += compressor.flush(zlib.Z_SYNC_FLUSH)[:-4]
assert len(bomb) < 42_000
limit = 2 * 1024 * 1024
def make_server():
    return WebSocket(Role.SERVER, max_message_bytes=limit, deflate=deflate)
def make_client():
    return WebSocket(
        Role.CLIENT, max_message_bytes=limit, deflate=deflate, mask_key=lambda: key
    )
make_server().receive_data(encode_frame(9, b"warm up", mask=key))
"""


@pytest.mark.parametrize(
    ("role", "mask"), [("server", "key"), ("client", "None")], ids=["server", "client"]
)
@pytest.mark.parametrize("opcode", [1, 2], ids=["text", "binary"])
def test_40_mb_out_of_40_kb_take_less_than_8_mib_and_end_in_1009(
    role: str, mask: str, opcode: int
) -> None:
    attack = f"""
stream = encode_frame({opcode}, bomb, mask={mask}, rsv1=True)
events = make_{role}().receive_data(stream)
assert events == [Failed(1009, "the message is larger than the limit")], events
"""
    assert peak_growth_kib(SETUP, attack) < 8 * 1024


@pytest.mark.parametrize("hot_path", [True, False])
@pytest.mark.parametrize("opcode", [TEXT, BINARY])
def test_a_message_at_the_limit_passes_and_one_byte_more_fails(opcode: int, hot_path: bool) -> None:
    for size, passes in ((LIMIT, True), (LIMIT + 1, False)):
        stream = frame(opcode, deflated(b"a" * size), rsv=4)
        for chunks in ([stream], cut(stream, list(range(0, len(stream), 7)))):
            websocket = server(deflate=agreed(), max_message_bytes=LIMIT, hot_path=hot_path)
            events = play(websocket, chunks).events
            if passes:
                assert events == ["a" * size if opcode == TEXT else b"a" * size]
            else:
                assert events == [TOO_BIG]
                assert websocket.state is State.FAILED


def test_a_bomb_in_many_fragments_fails_too() -> None:
    data = deflated(b"a" * (LIMIT * 50))
    pieces = [data[start : start + 10] for start in range(0, len(data), 10)]
    stream = frame(TEXT, pieces[0], fin=False, rsv=4)
    stream += b"".join(frame(0, piece, fin=False) for piece in pieces[1:])
    websocket = server(deflate=agreed(), max_message_bytes=LIMIT)
    assert websocket.receive_data(stream) == [TOO_BIG]


def test_nothing_is_kept_after_a_bomb() -> None:
    websocket = server(deflate=agreed("permessage-deflate", takeover=True), max_message_bytes=LIMIT)
    websocket.receive_data(frame(TEXT, deflated(b"a" * LIMIT * 9), rsv=4))
    assert websocket._driver is None
    assert websocket._inflater is None


def test_a_client_is_as_careful_as_a_server() -> None:
    websocket = WebSocket(
        Role.CLIENT, max_message_bytes=LIMIT, deflate=agreed(), mask_key=lambda: bytes(4)
    )
    bomb = frame(TEXT, deflated(b"a" * (LIMIT + 1)), rsv=4, key=None)
    assert websocket.receive_data(bomb) == [TOO_BIG]
