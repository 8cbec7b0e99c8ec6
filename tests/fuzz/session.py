"""One connection under fuzzing: only documented outcomes, and bounded memory.

:func:`run` plays everything a client sends, head and frames, against the sans-IO server and raises
``AssertionError`` when anything happens that the documentation does not name.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from tests.fuzz.generation import StreamMaker
from wsframe.errors import RequestRefused
from wsframe.protocol.connection import Role, State, WebSocket
from wsframe.protocol.deflate import Deflate, DeflateSettings, negotiate
from wsframe.protocol.events import CloseReceived, Event, Failed, Ping, Pong
from wsframe.protocol.handshake import accept_response, check_upgrade, choose_subprotocol
from wsframe.protocol.http import RequestParser

MAX_MESSAGE_BYTES = 3_000
MAX_FRAGMENTS = 20
MAX_CONTROL_FRAMES = 12
MAX_SHORT_FRAME_BYTES = 14 + 125
MAX_HEADER_BYTES = 1_024
MAX_BODY_BYTES = 512

SETTINGS = DeflateSettings()
SETTINGS_WITH_TAKEOVER = DeflateSettings(takeover=True)
FAILURE_CODES = {1002, 1007, 1008, 1009}
REFUSAL_STATUSES = {400, 405, 411, 413, 414, 426, 431, 505}


class Outcome(NamedTuple):
    """What became of a connection."""

    label: str
    events: list[Event]
    output: bytes


def run(seed: int) -> Outcome:
    """Play the stream of ``seed``; the same seed gives the same bytes.

    Raises:
        AssertionError: something undocumented happened.
    """
    maker = StreamMaker(seed)
    if seed % 4 == 0:
        stream = maker.head() + maker.stream()
        return _run_with_head(maker.cut(stream))
    deflate = _deflate(seed)
    stream = maker.stream()
    chunks = maker.cut(stream)
    outcome = _run_frames(_server(deflate), chunks)
    if seed % 4 == 1:
        other = _run_frames(_server(deflate, hot_path=False), chunks)
        _compare(outcome, other, "the hot path differs from wsproto")
    elif seed % 4 == 2:
        other = _run_frames(_server(deflate), [stream])
        _compare(outcome, other, "where the stream is cut makes a difference")
    return outcome


def _deflate(seed: int) -> Deflate | None:
    if seed % 3 == 0:
        return None
    answer = negotiate(
        ["permessage-deflate"], SETTINGS if seed % 3 == 1 else SETTINGS_WITH_TAKEOVER
    )
    assert answer is not None
    return answer[0]


def _server(deflate: Deflate | None, *, hot_path: bool = True) -> WebSocket:
    return WebSocket(
        Role.SERVER,
        max_message_bytes=MAX_MESSAGE_BYTES,
        max_fragments=MAX_FRAGMENTS,
        max_control_frames=MAX_CONTROL_FRAMES,
        deflate=deflate,
        hot_path=hot_path,
    )


def _compare(one: Outcome, other: Outcome, what: str) -> None:
    """Demand the same of two ways to take the same stream.

    Compressed data can be wrong in two ways at once; which is found first depends on the pieces in
    which it is inflated.
    """
    if one.label != other.label:
        assert {one.label, other.label} <= {"failed 1007", "failed 1008", "failed 1009"}, what
        assert one.events[:-1] == other.events[:-1], what
    else:
        assert one == other, what


def _run_with_head(chunks: list[bytes]) -> Outcome:
    parser = RequestParser(MAX_HEADER_BYTES, MAX_BODY_BYTES)
    for index, chunk in enumerate(chunks):
        try:
            request = parser.receive_data(chunk)
            if request is None:
                continue
            upgrade = check_upgrade(request)
        except RequestRefused as error:
            return _refused(error.status)
        answer = negotiate(upgrade.extensions, SETTINGS)
        response = accept_response(
            upgrade,
            subprotocol=choose_subprotocol(upgrade.subprotocols),
            extensions=None if answer is None else answer[1],
        )
        assert response.startswith(b"HTTP/1.1 101 ")
        assert response.endswith(b"\r\n\r\n")
        assert response.count(b"\r\n\r\n") == 1
        websocket = _server(None if answer is None else answer[0])
        return _run_frames(websocket, [parser.trailing, *chunks[index + 1 :]])
    return Outcome("incomplete head", [], b"")


def _refused(status: int) -> Outcome:
    assert status in REFUSAL_STATUSES, status
    return Outcome(f"refused {status}", [], b"")


def _run_frames(websocket: WebSocket, chunks: Iterable[bytes]) -> Outcome:
    events: list[Event] = []
    for chunk in chunks:
        ended = websocket.state in (State.CLOSED, State.FAILED)
        new = websocket.receive_data(chunk)
        assert not (ended and new), "events after the end"
        events += new
        _check_memory(websocket)
    events += websocket.receive_eof()
    output = b"".join(websocket.output)
    _check_events(websocket, events)
    _check_output(websocket, events, output)
    assert websocket.receive_data(b"\x81\x80abcd") == []
    last = events[-1] if events else None
    if isinstance(last, Failed):
        return Outcome(f"failed {last.code}", events, output)
    if isinstance(last, CloseReceived):
        return Outcome("closed", events, output)
    return Outcome("cut off", events, output)


def _check_events(websocket: WebSocket, events: list[Event]) -> None:
    for event in events[:-1]:
        assert not isinstance(event, (CloseReceived, Failed)), "an event after the last"
    for event in events:
        if isinstance(event, str):
            assert len(event.encode()) <= MAX_MESSAGE_BYTES
        elif isinstance(event, bytes):
            assert len(event) <= MAX_MESSAGE_BYTES
        elif isinstance(event, (Ping, Pong)):
            assert len(event.payload) <= 125
        elif isinstance(event, Failed):
            assert event.code in FAILURE_CODES, event.code
            assert websocket.state is State.FAILED
            assert websocket.close_code == event.code
            assert event.reason
        else:
            assert isinstance(event, CloseReceived)
            assert websocket.state is State.CLOSED
            assert websocket.close_code == event.code
    if not events or not isinstance(events[-1], (Failed, CloseReceived)):
        assert (websocket.state, websocket.close_code) == (State.CLOSED, 1006)


def _check_output(websocket: WebSocket, events: list[Event], output: bytes) -> None:
    """Pongs for all pings, in order, then at most one close frame."""
    expected = b"".join(
        bytes((0x8A, len(event.payload))) + event.payload
        for event in events
        if isinstance(event, Ping)
    )
    assert output.startswith(expected)
    rest = output[len(expected) :]
    if websocket.close_code == 1006:
        assert rest == b""
    else:
        assert rest[0] == 0x88
        assert rest[1] == len(rest) - 2 <= 125
        code = b"" if websocket.close_code == 1005 else websocket.close_code.to_bytes(2, "big")  # type: ignore[union-attr]
        assert rest[2:4] == code
        rest[4:].decode()


def _check_memory(websocket: WebSocket) -> None:
    """What is kept is a message within the limit, and the beginning of one short frame."""
    kept = 0
    if websocket._pending is not None:
        kept += len(websocket._pending.data)
    driver = websocket._driver
    if driver is not None:
        kept += len(driver._connection._proto._frame_decoder.buffer)
        if driver._parts is not None:
            kept += driver._parts.tell()
    assert kept <= MAX_MESSAGE_BYTES + MAX_SHORT_FRAME_BYTES, f"{kept} bytes kept"
    assert len(websocket.output) <= MAX_CONTROL_FRAMES + 1
