"""The hot path changes nothing but the time it takes.

The same bytes, cut in the same random places, go through a connection with the hot path, through
one that sends everything to wsproto, and through plain wsproto driven by the test itself.
"""

from __future__ import annotations

from hypothesis import assume, example, given
from hypothesis import strategies as st

from tests.protocol.strategies import CUTS, compressed_streams, streams
from tests.protocol.streams import (
    KEY,
    Transcript,
    agreed,
    close_payload,
    cut,
    frame,
    play,
    server,
)
from tests.protocol.wsproto_reference import play_wsproto
from wsframe.protocol.connection import Role, State, WebSocket
from wsframe.protocol.deflate import Deflate
from wsframe.protocol.events import Failed

DEFLATE = agreed()


def client(*, hot_path: bool = True, max_message_bytes: int = 100_000) -> WebSocket:
    return WebSocket(
        Role.CLIENT,
        max_message_bytes=max_message_bytes,
        hot_path=hot_path,
        mask_key=lambda: KEY,
    )


def without_reasons(transcript: Transcript) -> list[object]:
    return [
        Failed(event.code, "") if isinstance(event, Failed) else event
        for event in transcript.events
    ]


def assert_equal_with_and_without_hot_path(
    chunks: list[bytes], *, deflate: Deflate | None = None, **limits: int
) -> None:
    hot = play(server(deflate=deflate, **limits), chunks, eof=True)
    plain = play(server(deflate=deflate, hot_path=False, **limits), chunks, eof=True)
    if deflate is not None and hot.close_code != plain.close_code:
        # Compressed data can be too much and bad UTF-8 at once: which one is found first depends
        # on the pieces in which it is inflated.
        assert {hot.close_code, plain.close_code} == {1007, 1009}
        assert hot.events[:-1] == plain.events[:-1]
    else:
        assert hot == plain


@given(streams(), CUTS)
def test_the_hot_path_gives_the_same_events_as_wsproto_alone(
    stream: bytes, positions: list[int]
) -> None:
    assert_equal_with_and_without_hot_path(cut(stream, positions))


@given(streams(), CUTS, st.integers(1, 200), st.integers(1, 4), st.integers(0, 4))
def test_the_hot_path_keeps_every_limit_as_wsproto_alone_does(
    stream: bytes, positions: list[int], size: int, max_fragments: int, max_control_frames: int
) -> None:
    assert_equal_with_and_without_hot_path(
        cut(stream, positions),
        max_message_bytes=size,
        max_fragments=max_fragments,
        max_control_frames=max_control_frames,
    )


@given(st.binary(max_size=300), CUTS)
def test_the_hot_path_gives_the_same_events_for_random_bytes(
    stream: bytes, positions: list[int]
) -> None:
    assert_equal_with_and_without_hot_path(cut(stream, positions))


@given(compressed_streams(), CUTS, st.integers(1, 2000))
def test_the_hot_path_gives_the_same_events_for_compressed_messages(
    stream: bytes, positions: list[int], size: int
) -> None:
    assert_equal_with_and_without_hot_path(
        cut(stream, positions), deflate=DEFLATE, max_message_bytes=size
    )


@given(streams(masked=False), CUTS)
def test_the_hot_path_of_a_client_gives_the_same_events(
    stream: bytes, positions: list[int]
) -> None:
    chunks = cut(stream, positions)
    hot = play(client(), chunks, eof=True)
    plain = play(client(hot_path=False), chunks, eof=True)
    assert hot == plain


@given(streams(), CUTS, CUTS)
def test_where_a_stream_is_cut_changes_nothing(
    stream: bytes, some: list[int], others: list[int]
) -> None:
    assert play(server(), cut(stream, some), eof=True) == play(
        server(), cut(stream, others), eof=True
    )


def assert_equal_to_plain_wsproto(
    websocket: WebSocket, chunks: list[bytes], *, deflate: bool = False
) -> None:
    ours = play(websocket, chunks)
    if ours.state is State.OPEN:
        # Incomplete frames may wait; at the end of the stream both have looked at everything.
        final = play(websocket, [], eof=True)
        if final.state is State.FAILED:
            ours = final._replace(events=ours.events + final.events)
    # Limits and close code 1014 are ours; wsproto knows neither.
    assume(not any(isinstance(event, Failed) and event.code == 1009 for event in ours.events))
    assume(ours.close_code != 1014)
    is_client = websocket.role is Role.CLIENT
    events, output, state = play_wsproto(chunks, client=is_client, deflate=deflate)
    if deflate and ours.close_code == 1002 and Failed(1007, "") in events:
        # wsproto inflates a message within a message before it refuses it.
        assert without_reasons(ours)[:-1] == events[:-1]
        return
    assert without_reasons(ours) == events
    assert ours.state is state
    if not is_client and state is not State.FAILED:
        assert ours.output == output


@given(streams(), CUTS)
@example(frame(8, close_payload(1000)) + b"\xff\xff", [])
def test_a_server_gives_the_events_that_plain_wsproto_gives(
    stream: bytes, positions: list[int]
) -> None:
    assert_equal_to_plain_wsproto(server(), cut(stream, positions))


@given(streams(masked=False), CUTS)
def test_a_client_gives_the_events_that_plain_wsproto_gives(
    stream: bytes, positions: list[int]
) -> None:
    assert_equal_to_plain_wsproto(client(), cut(stream, positions))


@given(compressed_streams(interleaved=False), CUTS)
def test_compressed_messages_give_the_events_that_plain_wsproto_gives(
    stream: bytes, positions: list[int]
) -> None:
    assert_equal_to_plain_wsproto(server(deflate=DEFLATE), cut(stream, positions), deflate=True)
