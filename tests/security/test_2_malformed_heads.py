"""Threat 2: non-ASCII header, bad Host, NUL, obs-fold. Each is answered 400 and nothing escapes."""

from __future__ import annotations

import pytest

from tests.protocol.http_feeding import UPGRADE, Refusal, head, read

BAD = Refusal(400, "bad_request")


@pytest.mark.parametrize(
    "line",
    [
        "X: caf\xe9",
        "Origin: http://caf\xe9.example",
        "Sec-WebSocket-Protocol: \xe9",
        "Sec-WebSocket-Extensions: permessage-deflate; \xff",
        "caf\xe9: x",
        "X: a\x00b",
        "X\x00: a",
        "X: a\r\n folded",
        "X: a\r\n\tfolded",
        "X: a\nY: b",
        "X: a\rY: b",
        "X: a\n\r\nY: b",
    ],
)
def test_a_head_with_other_bytes_than_printable_ascii_is_refused(line: str) -> None:
    assert read(head(*UPGRADE, line)) == BAD


@pytest.mark.parametrize("target", ["/\xe9", "/ws\x00", "/ws\x7f"])
def test_a_target_with_other_bytes_than_printable_ascii_is_refused(target: str) -> None:
    assert read(head(*UPGRADE, start=f"GET {target} HTTP/1.1")) == BAD


@pytest.mark.parametrize(
    "host",
    [
        "",
        "caf\xe9.example",
        "xn--a-",
        "xn--",
        "xn--\x7f",
        "a.xn--zzzzzzzzzzzz99999999.example",
        "xn--" + "a" * 70,
        "xn--" + "9" * 59,
        "a b",
        "a/b",
        "a@b",
        "a:port",
        "a:123456",
        "[::1",
        "::1",
        "[]",
        "a, b",
        "x" * 300,
    ],
)
def test_a_bad_host_is_refused(host: str) -> None:
    assert read(head(*UPGRADE, host=host)) == BAD


def test_no_or_two_hosts_are_refused() -> None:
    assert read(head(*UPGRADE, host=None)) == BAD
    assert read(head(*UPGRADE, "Host: chat.example")) == BAD
