"""What a server makes of a client's frames: each scenario with and without the hot path, and fed
whole, byte by byte, in threes, and with another message behind it."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import pytest

from tests.protocol.streams import (
    BINARY,
    CLOSE,
    CONTINUATION,
    LIMIT,
    PING,
    PONG,
    TEXT,
    byte_by_byte,
    close_payload,
    fragments,
    frame,
    in_threes,
    play,
    server,
    whole,
)
from wsframe.protocol.connection import State
from wsframe.protocol.events import CloseReceived, Event, Failed, Ping, Pong

BAD_PAYLOAD = "the payload is not valid UTF-8, or not valid compressed data"
TOO_BIG = "the message is larger than the limit"


class Scenario(NamedTuple):
    stream: bytes
    events: list[Event]
    output: bytes = b""
    state: State = State.OPEN
    close_code: int | None = None


def closed(stream: bytes, code: int, reason: str, answer: bytes, *before: Event) -> Scenario:
    events = [*before, CloseReceived(code, reason)]
    return Scenario(stream, events, frame(CLOSE, answer, key=None), State.CLOSED, code)


def failed(stream: bytes, code: int, reason: str, *before: Event) -> Scenario:
    answer = frame(CLOSE, close_payload(code, reason.encode()), key=None)
    return Scenario(stream, [*before, Failed(code, reason)], answer, State.FAILED, code)


HE = "hé".encode()
EURO = "€".encode()

SCENARIOS: dict[str, Scenario] = {
    "nothing": Scenario(b"", []),
    "a text": Scenario(frame(TEXT, b"hello"), ["hello"]),
    "an empty text": Scenario(frame(TEXT), [""]),
    "a binary message": Scenario(frame(BINARY, b"\x00\xff\r\n"), [b"\x00\xff\r\n"]),
    "an empty binary message": Scenario(frame(BINARY), [b""]),
    "three messages": Scenario(
        frame(TEXT, b"one") + frame(BINARY, b"two") + frame(TEXT, EURO), ["one", b"two", "€"]
    ),
    "line ends stay as they are": Scenario(
        b"".join(fragments(TEXT, b"a\r\nb\r", b"\nc\n")), ["a\r\nb\r\nc\n"]
    ),
    **{
        f"a text of {size} bytes": Scenario(frame(TEXT, b"x" * size), ["x" * size])
        for size in (125, 126, 127, 255, 256, 65535, 65536, LIMIT)
    },
    "a message of all byte values": Scenario(
        frame(BINARY, bytes(range(256)) * 5), [bytes(range(256)) * 5]
    ),
    "fragments": Scenario(b"".join(fragments(TEXT, b"one ", b"two ", b"three")), ["one two three"]),
    "binary fragments": Scenario(b"".join(fragments(BINARY, b"\xff", b"\xfe")), [b"\xff\xfe"]),
    "empty fragments": Scenario(b"".join(fragments(TEXT, b"", b"", b"a", b"")), ["a"]),
    "nothing but empty fragments": Scenario(b"".join(fragments(BINARY, b"", b"")), [b""]),
    "a character cut by fragments": Scenario(
        b"".join(fragments(TEXT, EURO[:1], EURO[1:2], EURO[2:])), ["€"]
    ),
    "fragments between whole messages": Scenario(
        frame(TEXT, b"a") + b"".join(fragments(TEXT, b"b", b"c")) + frame(BINARY, b"d"),
        ["a", "bc", b"d"],
    ),
    "a ping": Scenario(frame(PING, b"?"), [Ping(b"?")], frame(PONG, b"?", key=None)),
    "an empty ping": Scenario(frame(PING), [Ping(b"")], frame(PONG, key=None)),
    "the longest ping": Scenario(
        frame(PING, b"p" * 125), [Ping(b"p" * 125)], frame(PONG, b"p" * 125, key=None)
    ),
    "two pings and a pong": Scenario(
        frame(PING, b"1") + frame(PONG, b"!") + frame(PING, b"2"),
        [Ping(b"1"), Pong(b"!"), Ping(b"2")],
        frame(PONG, b"1", key=None) + frame(PONG, b"2", key=None),
    ),
    "pings between fragments": Scenario(
        frame(TEXT, HE[:2], fin=False)
        + frame(PING, b"1")
        + frame(CONTINUATION, HE[2:], fin=False)
        + frame(PONG)
        + frame(CONTINUATION, b"llo"),
        [Ping(b"1"), Pong(b""), "héllo"],
        frame(PONG, b"1", key=None),
    ),
    "a message behind a ping": Scenario(
        frame(PING) + frame(TEXT, b"next"), [Ping(b""), "next"], frame(PONG, key=None)
    ),
    "a close frame": closed(frame(CLOSE, close_payload(1000)), 1000, "", close_payload(1000)),
    "a close frame with a reason": closed(
        frame(CLOSE, close_payload(4321, HE)), 4321, "hé", close_payload(4321)
    ),
    "a close frame without a code": closed(frame(CLOSE), 1005, "", b""),
    "a close frame with the longest reason": closed(
        frame(CLOSE, close_payload(1001, b"r" * 123)), 1001, "r" * 123, close_payload(1001)
    ),
    **{
        f"close code {code}": closed(
            frame(CLOSE, close_payload(code, b"why")), code, "why", close_payload(code)
        )
        for code in (1000, 1001, 1002, 1003, *range(1007, 1015), 3000, 3999, 4000, 4999)
    },
    "whatever follows a close frame": closed(
        frame(TEXT, b"a") + frame(CLOSE, close_payload(1001)) + b"\xff" * 300 + frame(TEXT, b"b"),
        1001,
        "",
        close_payload(1001),
        "a",
    ),
    "a close frame between fragments": closed(
        frame(TEXT, b"a", fin=False) + frame(CLOSE, close_payload(1000)),
        1000,
        "",
        close_payload(1000),
    ),
    "a close frame of one byte": failed(frame(CLOSE, b"\x03"), 1002, "CLOSE with 1 byte payload"),
    **{
        f"the invalid close code {code}": failed(
            frame(CLOSE, close_payload(code)), 1002, "CLOSE with invalid code"
        )
        for code in (0, 999, 5000, 65535)
    },
    **{
        f"the local close code {code}": failed(
            frame(CLOSE, close_payload(code)), 1002, "remote CLOSE with local-only reason"
        )
        for code in (1005, 1006, 1015)
    },
    **{
        f"the reserved close code {code}": failed(
            frame(CLOSE, close_payload(code)), 1002, "CLOSE with unknown reserved code"
        )
        for code in (1004, 1016, 2999)
    },
    "a close reason that is not UTF-8": failed(
        frame(CLOSE, close_payload(1000, b"\xff")), 1007, BAD_PAYLOAD
    ),
    "a 1014 reason that is not UTF-8": failed(
        frame(CLOSE, close_payload(1014, b"\xff")), 1007, BAD_PAYLOAD
    ),
    "an unmasked 1014": failed(
        frame(CLOSE, close_payload(1014), key=None),
        1002,
        "server received unexpected unmasked frame",
    ),
    "a 1014 with a reserved bit": failed(
        frame(CLOSE, close_payload(1014), rsv=4), 1002, "Reserved bit set unexpectedly"
    ),
    "bad UTF-8": failed(frame(TEXT, b"ok") + frame(TEXT, b"\xc0\x80"), 1007, BAD_PAYLOAD, "ok"),
    "a surrogate in UTF-8": failed(frame(TEXT, b"\xed\xa0\x80"), 1007, BAD_PAYLOAD),
    "bad UTF-8 in a later fragment": failed(
        b"".join(fragments(TEXT, b"good", EURO[:2], b"bad")), 1007, BAD_PAYLOAD
    ),
    "a text that ends within a character": failed(frame(TEXT, EURO[:2]), 1007, BAD_PAYLOAD),
    "bad UTF-8 in a long text": failed(
        frame(TEXT, b"x" * 70_000 + b"\xff" + b"y" * 20_000), 1007, BAD_PAYLOAD
    ),
    "bad UTF-8 in binary is fine": Scenario(frame(BINARY, b"\xff"), [b"\xff"]),
    "an unmasked frame": failed(
        frame(TEXT, b"hi", key=None), 1002, "server received unexpected unmasked frame"
    ),
    "a continuation of nothing": failed(
        frame(TEXT, b"a") + frame(CONTINUATION, b"b"), 1002, "unexpected CONTINUATION", "a"
    ),
    "a message within a message": failed(
        frame(TEXT, b"a", fin=False) + frame(TEXT, b"b"),
        1002,
        "expected CONTINUATION, got <Opcode.TEXT: 1>",
    ),
    **{
        f"the reserved opcode {opcode:#x}": failed(
            frame(opcode, b""), 1002, f"Invalid opcode {opcode:#x}"
        )
        for opcode in (*range(3, 8), *range(11, 16))
    },
    **{
        f"a fragmented control frame {opcode:#x}": failed(
            frame(opcode, b"x", fin=False), 1002, "Invalid attempt to fragment control frame"
        )
        for opcode in (CLOSE, PING, PONG)
    },
    **{
        f"a long control frame {opcode:#x}": failed(
            frame(opcode, b"x" * 126), 1002, "Control frame with payload len > 125"
        )
        for opcode in (CLOSE, PING, PONG)
    },
    "a length of 125 in two bytes": failed(
        frame(BINARY, b"x" * 125, length_bytes=2),
        1002,
        "Payload length used 2 bytes when 1 would have sufficed",
    ),
    "a length of 65535 in eight bytes": failed(
        frame(BINARY, b"x" * 65535, length_bytes=8),
        1002,
        "Payload length used 8 bytes when 2 would have sufficed",
    ),
    "a message over the limit": failed(frame(BINARY, b"x" * (LIMIT + 1)), 1009, TOO_BIG),
    "a small message over the limit in fragments": failed(
        b"".join(fragments(TEXT, b"x" * LIMIT, b"y")), 1009, TOO_BIG
    ),
    "fragments at the limit": Scenario(
        b"".join(fragments(TEXT, b"x" * (LIMIT - 1), b"y")), ["x" * (LIMIT - 1) + "y"]
    ),
    "the limit counts bytes": failed(
        frame(TEXT, EURO * (LIMIT // 3 + 1)),
        1009,
        TOO_BIG,
    ),
    "an oversized frame with a reserved bit": failed(
        frame(BINARY, b"x" * (LIMIT + 1), rsv=2), 1002, "Reserved bit set unexpectedly"
    ),
}


@pytest.mark.parametrize("hot_path", [True, False], ids=["hot path", "wsproto only"])
@pytest.mark.parametrize("feed", [whole, in_threes, byte_by_byte])
@pytest.mark.parametrize("name", SCENARIOS)
def test_each_scenario_ends_the_same_however_it_is_fed(
    name: str, feed: Callable[[bytes], list[bytes]], hot_path: bool
) -> None:
    scenario = SCENARIOS[name]
    transcript = play(server(hot_path=hot_path), feed(scenario.stream))
    assert transcript.events == scenario.events
    assert transcript.output == scenario.output
    assert transcript.state is scenario.state
    assert transcript.close_code == scenario.close_code


@pytest.mark.parametrize("hot_path", [True, False], ids=["hot path", "wsproto only"])
@pytest.mark.parametrize("name", SCENARIOS)
def test_a_message_behind_a_scenario_arrives_if_the_connection_is_still_open(
    name: str, hot_path: bool
) -> None:
    scenario = SCENARIOS[name]
    after: list[Event] = ["after"] if scenario.state is State.OPEN else []
    transcript = play(server(hot_path=hot_path), [scenario.stream + frame(TEXT, b"after")])
    assert transcript.events == scenario.events + after
    assert transcript.output == scenario.output


@pytest.mark.parametrize("hot_path", [True, False], ids=["hot path", "wsproto only"])
@pytest.mark.parametrize("name", SCENARIOS)
def test_payloads_are_exactly_str_or_bytes(name: str, hot_path: bool) -> None:
    transcript = play(server(hot_path=hot_path), in_threes(SCENARIOS[name].stream))
    assert {type(event) for event in transcript.events} <= {
        str,
        bytes,
        Ping,
        Pong,
        CloseReceived,
        Failed,
    }


@pytest.mark.parametrize("hot_path", [True, False])
def test_bad_utf8_is_found_while_a_fragment_is_still_arriving(hot_path: bool) -> None:
    websocket = server(hot_path=hot_path)
    assert websocket.receive_data(frame(TEXT, b"fine so far", fin=False)) == []
    bad = frame(CONTINUATION, b"\xff and a long rest" + b"x" * 1000)
    assert websocket.receive_data(bad[:20]) == [Failed(1007, BAD_PAYLOAD)]


def test_bad_utf8_is_found_while_a_long_text_is_still_arriving() -> None:
    websocket = server()
    text = frame(TEXT, b"x" * 1000 + EURO + b"y" * 1000 + b"\xff" + b"z" * 1000)
    assert websocket.receive_data(text[:503]) == []
    assert websocket.receive_data(text[503:1009]) == []
    assert websocket.receive_data(text[1009:1777]) == []
    assert websocket.receive_data(text[1777:2500]) == [Failed(1007, BAD_PAYLOAD)]


def test_a_frame_over_the_limit_fails_before_its_payload_arrives() -> None:
    for hot_path in (True, False):
        websocket = server(hot_path=hot_path)
        header = frame(BINARY, b"x" * (LIMIT + 1))[:10]
        assert websocket.receive_data(header) == [Failed(1009, TOO_BIG)]


@pytest.mark.parametrize("hot_path", [True, False])
def test_an_incomplete_frame_at_the_end_of_the_stream_is_an_abnormal_end(hot_path: bool) -> None:
    stream = frame(TEXT, b"whole") + frame(TEXT, b"incomplete")[:-1]
    transcript = play(server(hot_path=hot_path), [stream], eof=True)
    assert transcript.events == ["whole"]
    assert transcript.output == b""
    assert transcript.state is State.CLOSED
    assert transcript.close_code == 1006


@pytest.mark.parametrize("hot_path", [True, False])
def test_an_invalid_rest_at_the_end_of_the_stream_is_a_failure(hot_path: bool) -> None:
    for rest in (frame(TEXT, b"\xff\xff")[:-1], b"\x83\x80", b"\x81\x05"[:1] + b"\x00"):
        transcript = play(server(hot_path=hot_path), [rest], eof=True)
        assert isinstance(transcript.events[-1], Failed)
        assert transcript.state is State.FAILED


def test_the_end_of_the_stream_after_a_close_handshake_changes_nothing() -> None:
    websocket = server()
    websocket.receive_data(frame(CLOSE, close_payload(1001, b"bye")))
    assert websocket.receive_eof() == []
    assert (websocket.state, websocket.close_code) == (State.CLOSED, 1001)
    assert websocket.close_reason == "bye"


def test_an_end_within_a_fragmented_message_is_an_abnormal_end() -> None:
    websocket = server()
    websocket.receive_data(frame(TEXT, b"a", fin=False))
    assert websocket.receive_eof() == []
    assert websocket.close_code == 1006


@pytest.mark.parametrize("hot_path", [True, False])
def test_too_many_fragments_of_one_message_fail(hot_path: bool) -> None:
    at_limit = b"".join(fragments(BINARY, *[b"x"] * 5))
    over = b"".join(fragments(BINARY, *[b"x"] * 6))
    websocket = server(hot_path=hot_path, max_fragments=5)
    assert websocket.receive_data(at_limit * 3) == [b"xxxxx"] * 3
    assert websocket.receive_data(over) == [Failed(1009, TOO_BIG)]


@pytest.mark.parametrize("hot_path", [True, False])
def test_control_frames_are_counted_until_the_count_is_reset(hot_path: bool) -> None:
    websocket = server(hot_path=hot_path, max_control_frames=3)
    stream = frame(PING) + frame(PONG) + b"".join(fragments(TEXT, b"a", b"", b"b"))
    for _ in range(4):
        assert websocket.receive_data(stream)[-1] == "ab"
        websocket.reset_control_count()
    websocket.receive_data(stream)
    events = websocket.receive_data(frame(PING))
    assert events == [Failed(1008, "too many control frames or empty fragments")]
    assert websocket.state is State.FAILED


def test_whole_messages_are_not_control_frames_even_when_empty() -> None:
    websocket = server(max_control_frames=0)
    stream = frame(TEXT) * 5 + b"".join(fragments(TEXT, b"a", b"b"))
    assert websocket.receive_data(stream) == [""] * 5 + ["ab"]


@pytest.mark.parametrize("feed", [whole, in_threes, byte_by_byte])
@pytest.mark.parametrize("hot_path", [True, False])
def test_many_short_fragments_become_one_message(
    feed: Callable[[bytes], list[bytes]], hot_path: bool
) -> None:
    text = "héllo wörld €uro 𝄞 " * 20
    pieces = [text.encode()[start : start + 3] for start in range(0, len(text.encode()), 3)]
    stream = b"".join(fragments(TEXT, *pieces[:50], b"", *pieces[50:]))
    middle = fragments(BINARY, *pieces)
    middle.insert(30, frame(PING, b"between"))
    stream += b"".join(middle) + frame(TEXT, b"after")
    transcript = play(server(hot_path=hot_path), feed(stream))
    assert transcript.events == [text, Ping(b"between"), text.encode(), "after"]


@pytest.mark.parametrize("hot_path", [True, False])
def test_short_fragments_keep_to_the_limits(hot_path: bool) -> None:
    stream = b"".join(fragments(BINARY, *[b"ab"] * 50))
    for limits, passes in (
        ({"max_message_bytes": 100}, True),
        ({"max_message_bytes": 99}, False),
        ({"max_fragments": 50}, True),
        ({"max_fragments": 49}, False),
    ):
        events = server(hot_path=hot_path, **limits).receive_data(stream)
        assert events == ([b"ab" * 50] if passes else [Failed(1009, TOO_BIG)])


def test_a_close_frame_between_short_fragments_ends_everything() -> None:
    frames = fragments(TEXT, *[b"x"] * 10)
    frames.insert(5, frame(CLOSE, close_payload(1000)))
    assert server().receive_data(b"".join(frames)) == [CloseReceived(1000, "")]


@pytest.mark.parametrize("hot_path", [True, False])
def test_a_close_frame_is_not_counted(hot_path: bool) -> None:
    websocket = server(hot_path=hot_path, max_control_frames=1)
    stream = frame(PING) + frame(CLOSE, close_payload(1000))
    assert websocket.receive_data(stream) == [Ping(b""), CloseReceived(1000, "")]
