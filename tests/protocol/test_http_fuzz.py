"""Whatever bytes arrive: a request, a documented refusal, or nothing yet."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.protocol.http_feeding import UPGRADE, Reading, Refusal, feed, head, in_bytes
from wsframe import Request, RequestRefused
from wsframe.protocol.handshake import Upgrade, check_upgrade

LIMIT = 2_048
STATUSES_OF_THE_PARSER = {400, 411, 413, 414, 431, 505}
STATUSES_OF_THE_HANDSHAKE = {400, 405, 426, 505}

GOOD = [
    head(*UPGRADE),
    head(
        *UPGRADE,
        "Origin: http://chat.example",
        "Sec-WebSocket-Protocol: wsframe.v1.json, wsframe.bearer.abc",
        "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits",
    ),
    head(start="GET http://chat.example/healthz?x=%20 HTTP/1.1"),
    head(start="GET / HTTP/1.0", host=None),
    head("Content-Length: 3", start="POST /hook HTTP/1.1") + b"abc",
    head("Transfer-Encoding: chunked", start="POST /hook HTTP/1.1") + b"3\r\nabc\r\n0\r\n\r\n",
]
PIECES = st.sampled_from(
    [
        *(line.encode() + b"\r\n" for line in UPGRADE),
        b"\r\n",
        b"\n",
        b"\r",
        b"\x00",
        b"\xff",
        b"%0d%0a",
        b"Host: xn--a-\r\n",
        b"Host: \r\n",
        b"Content-Length: 5\r\n",
        b"Transfer-Encoding: chunked\r\n",
        b"GET /hidden HTTP/1.1\r\n",
        b"GET http://[ HTTP/1.1\r\n",
        b" HTTP/2.0\r\n",
        b"Sec-WebSocket-Version: 8\r\n",
        b"Sec-WebSocket-Protocol: a(b)\r\n",
        b":",
        b" ",
        b"\t",
        b"#",
        b"x" * LIMIT,
    ]
)


@st.composite
def mutated_requests(draw: st.DrawFn) -> bytes:
    data = bytearray(draw(st.sampled_from(GOOD)))
    for _ in range(draw(st.integers(0, 4))):
        position = draw(st.integers(0, len(data)))
        removed = draw(st.integers(0, 12))
        data[position : position + removed] = draw(st.one_of(PIECES, st.binary(max_size=4)))
    return bytes(data)


def decide(request: Request) -> Upgrade | RequestRefused:
    try:
        return check_upgrade(request)
    except RequestRefused as error:
        return error


def documented(reading: Reading) -> Reading:
    if isinstance(reading.outcome, Refusal):
        assert reading.outcome.status in STATUSES_OF_THE_PARSER
    elif isinstance(reading.outcome, Request):
        upgrade = decide(reading.outcome)
        if isinstance(upgrade, RequestRefused):
            assert upgrade.status in STATUSES_OF_THE_HANDSHAKE
        else:
            assert len(upgrade.key) == 24
    return reading


@given(st.binary(max_size=300))
def test_random_bytes_have_documented_outcomes_only(data: bytes) -> None:
    assert documented(feed([data], LIMIT)) == feed(in_bytes(data), LIMIT)


@settings(max_examples=400)
@given(mutated_requests(), st.lists(st.integers(0, 400), max_size=5))
def test_mutated_requests_have_documented_outcomes_however_they_are_cut(
    data: bytes, cuts: list[int]
) -> None:
    whole = documented(feed([data], LIMIT))
    edges = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    cut = documented(feed([data[a:b] for a, b in itertools.pairwise(edges)], LIMIT))
    if isinstance(cut.outcome, Request) and whole.outcome == Refusal(400, "bad_request"):
        # A second request behind the handshake, which arrived after it.
        assert cut.trailing[:2].isalpha()
    else:
        assert cut == whole


@pytest.mark.parametrize("data", GOOD)
def test_the_requests_that_are_mutated_have_the_outcome_they_are_meant_for(data: bytes) -> None:
    outcome = feed([data], LIMIT).outcome
    if b"chunked" in data:
        assert outcome == Refusal(411, "length_required")
    else:
        assert isinstance(outcome, Request)
