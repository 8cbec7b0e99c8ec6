"""Threat 5: Upgrade with a body, CL+TE, second request behind: 400, and it never runs.

The precedent is GHSA-mfx4-hv73-q22v: a proxy and a server that disagree on where a request ends.
"""

from __future__ import annotations

import pytest

from tests.protocol.http_feeding import UPGRADE, Reading, Refusal, feed, head, read
from wsframe import Request
from wsframe.protocol.connection import Role, State, WebSocket
from wsframe.protocol.events import Failed

HIDDEN = head(start="GET /metrics.json HTTP/1.1")
BAD = Refusal(400, "bad_request")


@pytest.mark.parametrize(
    "framing",
    [
        "Content-Length: 5",
        f"Content-Length: {len(HIDDEN)}",
        "Transfer-Encoding: chunked",
        "Transfer-Encoding: gzip",
        "Transfer-Encoding: chunked\r\nContent-Length: 5",
        "Content-Length: 0\r\nTransfer-Encoding: chunked",
        "Content-Length: 0\r\nContent-Length: 5",
    ],
)
def test_a_request_to_upgrade_with_a_body_is_refused(framing: str) -> None:
    assert feed([head(*UPGRADE, framing) + HIDDEN]) == Reading(BAD)
    assert feed([head(*UPGRADE, framing), HIDDEN]) == Reading(BAD)


@pytest.mark.parametrize(
    "framing",
    [
        "Content-Length: 5\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked\r\nContent-Length: 5",
        "Content-Length: 5\r\nTransfer-Encoding: identity",
        "Content-Length: 5\r\nTransfer-Encoding : chunked",
        "Content-Length: 5\r\n Transfer-Encoding: chunked",
        "Content-Length: 5\nTransfer-Encoding: chunked",
    ],
)
def test_a_body_with_two_ends_is_refused(framing: str) -> None:
    data = head(framing, start="POST /hook HTTP/1.1") + b"0\r\n\r\n" + HIDDEN
    assert feed([data]) == Reading(BAD)


def test_a_chunked_body_is_never_read() -> None:
    data = head("Transfer-Encoding: chunked", start="POST /hook HTTP/1.1")
    assert feed([data + b"0\r\n\r\n" + HIDDEN]) == Reading(Refusal(411, "length_required"))


def test_a_request_hidden_in_a_head_with_bare_line_feeds_is_refused() -> None:
    data = b"GET / HTTP/1.1\nHost: chat.example\n\n" + HIDDEN
    assert read(data) == BAD


def test_a_second_request_behind_the_handshake_is_refused_with_it() -> None:
    assert feed([head(*UPGRADE) + HIDDEN]) == Reading(BAD)


def test_a_second_request_that_comes_later_is_a_broken_frame() -> None:
    reading = feed([head(*UPGRADE), HIDDEN])
    assert isinstance(reading.outcome, Request)
    websocket = WebSocket(Role.SERVER, max_message_bytes=1_000)
    events = websocket.receive_data(reading.trailing)
    assert [event.code for event in events if isinstance(event, Failed)] == [1002]
    assert websocket.state is State.FAILED
