"""Negotiation of permessage-deflate (RFC 7692 sections 5 and 7.1, RFC 6455 section 9.1)."""

from __future__ import annotations

import pytest

from tests.conformance.conftest import Connect
from tests.conformance.negotiated import Negotiated
from tests.conformance.peer import TEXT, frame

ACCEPTABLE = (
    "permessage-deflate",
    "permessage-deflate; client_max_window_bits",
    "permessage-deflate; client_max_window_bits=15",
    "permessage-deflate; client_max_window_bits=9",
    'permessage-deflate; client_max_window_bits="12"',
    "permessage-deflate; server_max_window_bits=15",
    "permessage-deflate; server_max_window_bits=9",
    "permessage-deflate; client_no_context_takeover",
    "permessage-deflate; server_no_context_takeover",
    "permessage-deflate; server_no_context_takeover; client_no_context_takeover",
    "permessage-deflate; server_max_window_bits=10; client_no_context_takeover",
    "permessage-deflate;client_max_window_bits;server_max_window_bits=12",
    "permessage-deflate ; client_max_window_bits = 10",
    "x-unknown, permessage-deflate",
    "x-unknown; a=b; c, permessage-deflate; client_max_window_bits",
    "permessage-deflate; server_max_window_bits=10, permessage-deflate",
    "permessage-deflate; nonsense=1, permessage-deflate",
    "permessage-deflate, permessage-deflate; client_max_window_bits",
)
UNACCEPTABLE = (
    "x-unknown",
    "permessage-bzip2",
    "permessage-deflate; unknown",
    "permessage-deflate; unknown=1",
    "permessage-deflate; client_max_window_bits=7",
    "permessage-deflate; client_max_window_bits=16",
    "permessage-deflate; client_max_window_bits=0",
    "permessage-deflate; client_max_window_bits=-9",
    "permessage-deflate; client_max_window_bits=abc",
    "permessage-deflate; client_max_window_bits=09",
    "permessage-deflate; client_max_window_bits=999999999999999999999",
    "permessage-deflate; server_max_window_bits",
    "permessage-deflate; server_max_window_bits=7",
    "permessage-deflate; server_max_window_bits=16",
    "permessage-deflate; server_max_window_bits=1.5",
    "permessage-deflate; server_no_context_takeover=1",
    "permessage-deflate; server_no_context_takeover=",
    "permessage-deflate; client_no_context_takeover=true",
    "permessage-deflate; client_max_window_bits; client_max_window_bits",
    "permessage-deflate; client_max_window_bits=10; client_max_window_bits=10",
    "permessage-deflate; server_max_window_bits=10; server_max_window_bits=11",
    "permessage-deflate; server_no_context_takeover; server_no_context_takeover",
)


@pytest.mark.parametrize("offer", ACCEPTABLE)
def test_an_offer_is_answered_with_what_it_allows(connect: Connect, offer: str) -> None:
    peer = connect(extensions=offer)
    agreed = Negotiated.of(peer.extensions)
    assert any(agreed.answers(one) for one in offer.split(","))


@pytest.mark.parametrize("offer", ACCEPTABLE)
def test_messages_pass_after_every_negotiation(connect: Connect, offer: str) -> None:
    peer = connect(extensions=offer)
    peer.inflate_with(Negotiated.of(peer.extensions).inflater())
    text = "the same words again and again, " * 200
    peer.send(*[frame(TEXT, text.encode())] * 3)
    assert [peer.message() for _ in range(3)] == [text] * 3


@pytest.mark.parametrize("offer", UNACCEPTABLE)
def test_an_offer_that_cannot_be_accepted_is_declined_and_the_connection_opens(
    connect: Connect, offer: str
) -> None:
    peer = connect(extensions=offer)
    assert peer.extensions == ""
    peer.send(frame(TEXT, b"plain"))
    assert peer.message() == "plain"


def test_nothing_is_compressed_without_an_offer(connect: Connect) -> None:
    peer = connect()
    assert peer.extensions == ""
    peer.send(frame(TEXT, b"a" * 10_000))
    answer = peer.receive()
    assert not answer.rsv1
    assert answer.payload == b"a" * 10_000
