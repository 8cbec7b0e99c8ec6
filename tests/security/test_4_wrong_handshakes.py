"""Threat 4: HTTP/1.0 505, other methods 405, wrong version 426, bad or missing key 400."""

from __future__ import annotations

import pytest

from tests.protocol.http_feeding import UPGRADE, Refusal, head, read
from wsframe import Request, RequestRefused
from wsframe.protocol.handshake import check_upgrade

REST = UPGRADE[:2]
KEY, VERSION = UPGRADE[2:]


def refusal_of(data: bytes) -> RequestRefused:
    """Let parser and handshake look at a request that one of them must refuse."""
    outcome = read(data)
    if isinstance(outcome, Refusal):
        return RequestRefused(outcome.status, outcome.code, "")
    assert isinstance(outcome, Request)
    with pytest.raises(RequestRefused) as caught:
        check_upgrade(outcome)
    return caught.value


@pytest.mark.parametrize("version", ["1.0", "2.0", "0.9", "3.0"])
def test_another_version_of_http_is_not_supported(version: str) -> None:
    assert refusal_of(head(*UPGRADE, start=f"GET /ws HTTP/{version}")).status == 505


@pytest.mark.parametrize(
    "method", ["POST", "PUT", "HEAD", "OPTIONS", "DELETE", "CONNECT", "TRACE", "get", "GETT"]
)
def test_another_method_is_not_allowed(method: str) -> None:
    error = refusal_of(head(*UPGRADE, start=f"{method} /ws HTTP/1.1"))
    assert error.status == 405
    assert error.headers == (("allow", "GET"),)


@pytest.mark.parametrize("version", ["8", "12", "14", "0", "", "13, 8", "013", "+13", "abc"])
def test_another_version_of_the_protocol_is_told_the_right_one(version: str) -> None:
    error = refusal_of(head(*REST, KEY, f"Sec-WebSocket-Version: {version}"))
    assert error.status == 426
    assert error.headers == (("sec-websocket-version", "13"),)


@pytest.mark.parametrize(
    "key",
    [
        "",
        "x",
        "dGhlIHNhbXBsZSBub25jZQ",
        "dGhlIHNhbXBsZSBub25jZQ=",
        "dGhlIHNhbXBsZSBub25jZQ===",
        "dGhlIHNhbXBsZSBub25j",
        "dGhlIHNhbXBsZSBub25jZTE=",
        "dGhlIHNhbXBsZSBub25jZTEyMzQ=",
        "dGhlIHNhbXBsZ-Bub25jZQ==",
        "dGhl HNhbXBsZSBub25jZQ==",
        "a" * 10_000,
    ],
)
def test_a_key_that_is_not_16_bytes_in_base64_is_refused(key: str) -> None:
    assert refusal_of(head(*REST, VERSION, f"Sec-WebSocket-Key: {key}")).status == 400


def test_a_missing_key_or_version_is_refused() -> None:
    assert refusal_of(head(*REST, VERSION)).status == 400
    assert refusal_of(head(*REST, KEY)).status == 400


def test_a_duplicate_key_or_version_is_refused() -> None:
    assert refusal_of(head(*REST, VERSION, KEY, KEY)).status == 400
    assert refusal_of(head(*REST, VERSION, VERSION, KEY)).status == 400
