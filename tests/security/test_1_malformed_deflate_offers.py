"""Threat 1: a malformed permessage-deflate offer is declined, and does nothing else.

One of these, 145 bytes of handshake, kills a server that hands offers to wsproto unchecked.
"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsframe.protocol.deflate import DeflateSettings, negotiate
from wsframe.protocol.handshake import Upgrade, accept_response

MALFORMED = [
    "permessage-deflate; client_max_window_bits=abc",
    "permessage-deflate; client_max_window_bits=",
    "permessage-deflate; client_max_window_bits=7",
    "permessage-deflate; client_max_window_bits=16",
    "permessage-deflate; client_max_window_bits=99",
    "permessage-deflate; client_max_window_bits=-9",
    "permessage-deflate; client_max_window_bits=+9",
    "permessage-deflate; client_max_window_bits=09",
    "permessage-deflate; client_max_window_bits=1e1",
    "permessage-deflate; client_max_window_bits=10.0",
    "permessage-deflate; client_max_window_bits= 1 0",
    "permessage-deflate; client_max_window_bits=\uff19",
    "permessage-deflate; client_max_window_bits=9=9",
    'permessage-deflate; client_max_window_bits=""',
    'permessage-deflate; client_max_window_bits="9',
    "permessage-deflate; client_max_window_bits; client_max_window_bits",
    "permessage-deflate; client_max_window_bits=9; client_max_window_bits=10",
    "permessage-deflate; server_max_window_bits",
    "permessage-deflate; server_max_window_bits=",
    "permessage-deflate; server_max_window_bits=8",
    "permessage-deflate; server_max_window_bits=16",
    "permessage-deflate; server_max_window_bits=" + "9" * 5000,
    "permessage-deflate; server_max_window_bits=10; server_max_window_bits=10",
    "permessage-deflate; server_no_context_takeover=true",
    "permessage-deflate; server_no_context_takeover; server_no_context_takeover",
    "permessage-deflate; client_no_context_takeover=1",
    "permessage-deflate; client_no_context_takeover; client_no_context_takeover",
    "permessage-deflate; client_no_context_takeoverx",
    "permessage-deflate; unknown",
    "permessage-deflate; unknown=1",
    "permessage-deflate;",
    "permessage-deflate;;",
    "permessage-deflate; =9",
    "permessage-deflate client_max_window_bits",
    "permessage-deflate=1",
    "permessage-deflate; client_max_window_bits\x00",
    "permessage-deflate; \x7f",
    "\xff\xfe",
    ";",
    "=",
    '"permessage-deflate"',
]


@pytest.mark.parametrize("offer", MALFORMED)
def test_a_malformed_offer_is_answered_101_without_the_extension(offer: str) -> None:
    agreed = negotiate([offer], DeflateSettings())
    assert agreed is None
    upgrade = Upgrade("dGhlIHNhbXBsZSBub25jZQ==", (), (offer,), None)
    response = accept_response(upgrade, subprotocol=None, extensions=None)
    assert response.startswith(b"HTTP/1.1 101 ")
    assert b"extensions" not in response.lower()


@given(st.text(max_size=80) | st.from_regex(r"permessage-deflate(; ?[a-z_]+(=\w{0,3})?){0,3}"))
def test_no_offer_raises(offer: str) -> None:
    answer = negotiate([offer], DeflateSettings())
    assert answer is None or answer[1].startswith("permessage-deflate")
