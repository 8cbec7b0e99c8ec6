"""Threat 9: CR LF and ANSI escapes in path and header (CVE-2020-7694) go neither in nor out."""

from __future__ import annotations

import pytest

from tests.protocol.http_feeding import UPGRADE, Refusal, head, read
from wsframe import Request, Response
from wsframe.protocol.handshake import Upgrade, accept_response
from wsframe.protocol.http import encode_response

BAD = Refusal(400, "bad_request")
PAYLOADS = [
    "\r\nX: y",
    "\n[forged line]",
    "\x1b[31mred",
    "\x9b31m",
    "\x07",
    "\x08\x08",
    "\u202etxt",
]


def escaped(text: str) -> str:
    return "".join(f"%{byte:02X}" for byte in text.encode())


@pytest.mark.parametrize("payload", PAYLOADS)
def test_an_escaped_control_in_the_path_is_refused(payload: str) -> None:
    assert read(head(*UPGRADE, start=f"GET /ws{escaped(payload)} HTTP/1.1")) == BAD


@pytest.mark.parametrize("payload", [p for p in PAYLOADS if p.isascii()])
def test_a_raw_control_in_path_query_or_header_is_refused(payload: str) -> None:
    assert read(head(*UPGRADE, start=f"GET /ws{payload} HTTP/1.1")) == BAD
    assert read(head(*UPGRADE, start=f"GET /ws?a={payload} HTTP/1.1")) == BAD
    if not payload.startswith("\r\n"):  # that one is simply another header
        assert read(head(*UPGRADE, f"Origin: http://a{payload}")) == BAD
        assert read(head(*UPGRADE, f"User-Agent: {payload}")) == BAD


def test_what_is_in_the_query_stays_escaped() -> None:
    request = read(head(*UPGRADE, start="GET /ws?a=%0d%0aX:%1b HTTP/1.1"))
    assert isinstance(request, Request)
    assert request.query == "a=%0d%0aX:%1b"
    assert request.target.isprintable()


@pytest.mark.parametrize("payload", [*PAYLOADS, "é"])
def test_a_response_cannot_be_split(payload: str) -> None:
    with pytest.raises(ValueError, match="malformed"):
        encode_response(Response(200, headers=[("Location", f"/{payload}")]), close=True)
    with pytest.raises(ValueError, match="malformed"):
        encode_response(Response(200, b"x", content_type=f"text/{payload}"), close=True)
    with pytest.raises(ValueError, match="malformed"):
        accept_response(
            Upgrade("dGhlIHNhbXBsZSBub25jZQ=="),
            subprotocol=None,
            extensions=None,
            headers=[("Set-Cookie", payload)],
        )
