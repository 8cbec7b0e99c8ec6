"""A link against a transport that does what the test says, in time that the test makes pass."""

from __future__ import annotations

from typing import Any

import pytest

from tests.conformance.peer import CLOSE, PING, PONG, TEXT, close_frame, frame
from tests.server.transports.fake_link import (
    UPGRADE,
    Context,
    FakeLink,
    accept,
    connected,
    decide_later,
    opened,
)
from wsframe.protocol.frames import encode_text
from wsframe.protocol.http import Request, Response
from wsframe.server.link import FLUSH_FRAMES, Phase

PLAIN = b"GET /plain HTTP/1.1\r\nHost: x\r\n\r\n"


@pytest.fixture
def context() -> Context:
    return Context()


# Deciding


def test_6_frames_behind_the_handshake_wait_for_the_decision(context: Context) -> None:
    context.on_request = decide_later
    for cut in range(len(UPGRADE), len(UPGRADE) + 12):
        link = connected(context)
        whole = UPGRADE + frame(TEXT, b"early") + frame(TEXT, b"later")
        link.take(whole[:cut])
        accept(link, link.request)
        link.take(whole[cut:])
        assert context.heard[-2:] == ["early", "later"]


def test_a_client_that_left_while_it_was_decided_on_is_forgotten(context: Context) -> None:
    context.on_request = decide_later
    link = connected(context)
    link.take(UPGRADE)
    link.stream_lost()
    link.respond(Response(403))
    link.close()
    link.abort()
    assert (link.sent, context.links, context.closed) == (b"", {}, [])
    assert link.calls == []


def test_a_client_that_half_closed_still_gets_its_answer(context: Context) -> None:
    context.on_request = decide_later
    link = connected(context)
    link.take(PLAIN)
    link.input_ended()
    assert link.calls == []
    link.respond(Response(200, b"answer"), close=False)
    assert link.taken().endswith(b"answer")
    assert link.calls[-1] == "close"


def test_a_client_that_half_closed_before_its_upgrade_was_accepted_is_1006(
    context: Context,
) -> None:
    context.on_request = decide_later
    link = connected(context)
    link.take(UPGRADE + frame(TEXT, b"hi"))
    link.input_ended()
    accept(link, link.request)
    assert context.heard == ["hi"]
    assert link.calls == ["close"]
    link.stream_lost()
    assert context.closed == [(1006, "")]


def test_a_decision_that_takes_too_long_is_503(context: Context) -> None:
    context.on_request = decide_later
    link = connected(context)
    link.take(UPGRADE)
    context.time = 9.9
    link.check(9.9)
    assert link.sent == b""
    link.check(10.0)
    assert link.taken().startswith(b"HTTP/1.1 503 ")
    accept_too_late = link.phase
    assert accept_too_late is Phase.CLOSING


def test_a_node_that_has_stopped_takes_nobody(context: Context) -> None:
    context.stopped = True
    link = connected(context)
    assert link.calls == ["abort"]
    assert context.links == {}


# Plain HTTP


def respond(link: FakeLink, _request: Request) -> None:
    link.respond(Response(200, b"x" * 500), close=False)


def test_pipelined_requests_are_answered_in_turn(context: Context) -> None:
    context.on_request = respond
    link = connected(context)
    link.take(PLAIN * 3)
    assert link.taken().count(b"HTTP/1.1 200 ") == 3
    assert link.phase is Phase.HEAD


def test_the_next_request_waits_until_the_answer_is_taken(context: Context) -> None:
    context.on_request = respond
    link = connected(context)
    link.writable_changed(False)
    link.take(PLAIN * 3)
    assert link.taken().count(b"HTTP/1.1 200 ") == 1
    assert not link.reading
    link.take(PLAIN)  # what was on its way
    assert link.sent == b""
    link.writable_changed(True)
    assert link.taken().count(b"HTTP/1.1 200 ") == 3
    assert link.reading


def test_an_answer_that_is_never_taken_ends_the_connection(context: Context) -> None:
    context.on_request = respond
    link = connected(context)
    link.writable_changed(False)
    link.take(PLAIN)
    link.check(10.0)
    assert link.calls == ["abort"]


def test_a_stopping_server_closes_who_waits(context: Context) -> None:
    context.on_request = respond
    link = connected(context)
    link.writable_changed(False)
    link.take(PLAIN)
    link.close()
    assert link.calls == ["close"]


def test_silence_is_closed_and_half_a_request_is_408(context: Context) -> None:
    silent, begun = connected(context), connected(context)
    begun.take(b"GET / HT")
    for link in (silent, begun):
        link.check(10.0)
    assert (silent.sent, silent.calls) == (b"", ["close"])
    assert begun.sent.startswith(b"HTTP/1.1 408 ")
    assert begun.calls == ["eof"]
    begun.check(15.0)
    silent.check(15.0)
    assert begun.calls[-1] == silent.calls[-1] == "abort"


# Writing


def test_a_handler_that_never_waits_fills_the_transport_and_not_the_link(
    context: Context,
) -> None:
    link = opened(context)
    for _ in range(FLUSH_FRAMES):
        link.write(encode_text(b"x" * 20))
    assert len(link.taken()) == FLUSH_FRAMES * 22
    link.write(encode_text(b"x" * 20_000))
    assert len(link.taken()) > 20_000
    link.write(encode_text(b"small"))
    assert link.sent == b""
    context.turn()
    assert link.taken() == encode_text(b"small")


def test_30_pings_of_a_peer_that_does_not_read_cost_one_pong(context: Context) -> None:
    link = opened(context)
    link.writable_changed(False)
    for number in range(900):
        link.take(frame(PING, b"%d" % number))
    assert link.sent == b""
    link.writable_changed(True)
    assert link.taken() == bytes([0x80 | PONG, 3]) + b"899"
    assert context.writable == [False, True]


def test_pongs_stand_among_the_answers_in_the_order_asked(context: Context) -> None:
    context.on_message = lambda link, payload: link.write(encode_text(payload.encode()))
    link = opened(context)
    link.take(frame(TEXT, b"a") + frame(PING, b"1") + frame(TEXT, b"b"))
    assert link.taken() == b"\x81\x01a\x8a\x011\x81\x01b"


def test_nothing_is_written_after_the_end(context: Context) -> None:
    link = opened(context)
    link.write(encode_text(b"on its way"))
    link.stream_lost()
    link.write(encode_text(b"late"))
    link.close(1000)
    link.fail(1008, "late")
    context.turn()
    assert link.sent == b""
    assert context.closed == [(1006, "")]


@pytest.mark.parametrize("way", ["close", "fail"])
def test_what_comes_in_the_same_packet_after_our_close_is_dropped(
    context: Context, way: str
) -> None:
    def end(link: FakeLink, _payload: Any) -> None:
        link.close(4001, "enough") if way == "close" else link.fail(1013, "enough")

    context.on_message = end
    link = opened(context)
    rest = frame(TEXT, b"2") + frame(PING, b"p") + close_frame(1000) + b"more"
    link.take(frame(TEXT, b"1") + rest)
    assert context.heard == ["1"]
    link.stream_lost()
    assert len(context.closed) == 1


def test_a_close_is_answered_and_ends_the_stream(context: Context) -> None:
    link = opened(context)
    link.take(close_frame(3001, b"bye"))
    assert link.taken() == bytes([0x80 | CLOSE, 2]) + (3001).to_bytes(2, "big")
    assert link.calls == ["close"]
    link.stream_lost()
    assert context.closed == [(3001, "bye")]


def test_29_a_peer_that_does_not_answer_the_close_is_cut_off(context: Context) -> None:
    link = opened(context)
    link.close(1001, "away")
    for _ in range(100):
        link.take(frame(TEXT, b"x" * 1_000))
    assert context.heard == []
    link.check(4.9)
    assert link.calls == []
    link.check(5.0)
    assert link.calls == ["abort"]
    link.stream_lost()
    assert context.closed == [(1001, "away")]


def test_a_peer_that_breaks_the_protocol_gets_our_last_words_and_eof(context: Context) -> None:
    link = opened(context)
    link.take(frame(TEXT, b"unmasked", mask=None))
    assert link.taken()[2:4] == (1002).to_bytes(2, "big")
    assert link.calls == ["eof"]
    link.take(b"\0" * 100_000)
    link.input_ended()
    assert link.calls == ["eof", "close"]


# Heartbeat


def test_44_silence_is_measured_by_the_nodes_clock_alone(
    context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    link = opened(context)
    for wall_clock in (0.0, 4e9, -1.0):
        monkeypatch.setattr("time.time", lambda value=wall_clock: value)
        link.check(29.9)
    assert link.sent == b""
    link.check(30.0)
    assert link.taken() == b"\x89\x00"
    context.time = 39.0
    link.take(frame(PONG, b""))
    link.check(68.9)
    assert (link.sent, link.calls) == (b"", [])


def test_32_a_dead_peer_is_told_4408_and_closed(context: Context) -> None:
    link = opened(context)
    link.check(30.0)
    link.check(40.0)
    assert link.taken()[4:6] == (4408).to_bytes(2, "big")
    assert link.calls == ["close"]
    link.stream_lost()
    assert context.closed == [(4408, "heartbeat missed")]


def test_32_a_dead_peer_that_holds_our_data_back_is_dropped_at_once(context: Context) -> None:
    link = opened(context)
    link.writable_changed(False)
    link.check(30.0)
    link.check(40.0)
    assert link.calls == ["close", "abort"]


# Faults


def test_34_a_fault_above_costs_one_connection_and_is_logged(
    context: Context, caplog: pytest.LogCaptureFixture
) -> None:
    def raise_it(_link: FakeLink, _payload: Any) -> None:
        raise RuntimeError("ours")

    context.on_message = raise_it
    link, other = opened(context), opened(context)
    link.take(frame(TEXT, b"x"))
    assert link.calls[-1] == "abort"
    assert b"ours" not in link.sent
    assert "the connection from 192.0.2.7 failed" in caplog.text
    assert other.calls == []


def test_bytes_are_counted_once_also_those_that_come_with_the_handshake(context: Context) -> None:
    context.on_request = decide_later
    context.on_message = lambda link, payload: link.write(encode_text(payload.encode()))
    link = connected(context)
    whole = UPGRADE + frame(TEXT, b"early") + frame(TEXT, b"later")
    link.take(whole[:-3])
    accept(link, link.request)
    link.take(whole[-3:])
    context.turn()
    assert context.heard == ["early", "later"]
    assert context.bytes_received == len(whole)
    assert context.bytes_sent == len(link.sent)


def test_answers_in_plain_http_are_counted(context: Context) -> None:
    context.on_request = respond
    link = connected(context)
    link.take(PLAIN)
    assert (context.bytes_received, context.bytes_sent) == (len(PLAIN), len(link.sent))


def test_many_get_the_same_frame_before_what_each_writes_next(context: Context) -> None:
    links = [opened(context) for _ in range(3)]
    both, own = encode_text(b"for all"), encode_text(b"for one")
    for link in links:
        assert link.idle
        link.taken()
    sent_before = context.bytes_sent
    links[0].write_together(list(links), both)
    links[1].write(own)
    assert not links[1].idle
    context.turn()
    assert [link.taken() for link in links] == [both, both + own, both]
    assert context.bytes_sent == sent_before + 3 * len(both) + len(own)


def test_who_writes_at_once_gets_first_what_many_get(context: Context) -> None:
    link, other = opened(context), opened(context)
    for each in (link, other):
        each.taken()
    frame = encode_text(b"for all")
    link.write_together([other, link], frame)
    link.close(1000, "over")
    assert link.taken().startswith(frame + b"\x88")
    assert other.taken() == frame
    context.turn()
    assert other.taken() == link.taken() == b""


def test_one_of_many_that_is_lost_meanwhile_costs_nobody_else_anything(
    context: Context, caplog: pytest.LogCaptureFixture
) -> None:
    lost, other = opened(context), opened(context)
    other.taken()
    frame = encode_text(b"for all")
    lost.write_together([lost, other], frame)
    lost.stream_lost()
    context.turn()  # writing to what is lost raises
    assert other.taken() == frame
    assert not caplog.records


def test_who_compresses_is_never_idle(context: Context) -> None:
    link = opened(context)
    link._wrap = bytes
    assert not link.idle
    link._wrap = None
    link.close()
    assert not link.idle
