"""Threat 6: frames in the same packet as the handshake, split at every byte, are processed."""

from __future__ import annotations

from tests.protocol.http_feeding import UPGRADE, head
from wsframe.protocol.connection import Role, WebSocket
from wsframe.protocol.frames import encode_frame
from wsframe.protocol.http import RequestParser

FRAMES = b"".join(
    encode_frame(0x1, text, mask=b"\x01\x02\x03\x04") for text in (b"first", b"second" * 30)
)
EXPECTED = ["first", "second" * 30]


def test_frames_behind_the_handshake_arrive_wherever_the_stream_is_cut() -> None:
    stream = head(*UPGRADE) + FRAMES
    for cut in range(len(stream) + 1):
        parser = RequestParser(16_384)
        websocket: WebSocket | None = None
        received: list[object] = []
        for chunk in (stream[:cut], stream[cut:]):
            if websocket is not None:
                received += websocket.receive_data(chunk)
            elif parser.receive_data(chunk) is not None:
                websocket = WebSocket(Role.SERVER, max_message_bytes=1_000)
                received += websocket.receive_data(parser.trailing)
        assert received == EXPECTED, f"cut at {cut}"


def test_frames_that_arrive_while_the_upgrade_is_decided_are_kept() -> None:
    parser = RequestParser(16_384)
    assert parser.receive_data(head(*UPGRADE)) is not None
    for index in range(len(FRAMES)):
        assert parser.receive_data(FRAMES[index : index + 1]) is None
    websocket = WebSocket(Role.SERVER, max_message_bytes=1_000)
    assert websocket.receive_data(parser.trailing) == EXPECTED
