"""Responses and their bytes."""

from __future__ import annotations

import json

import pytest

from wsframe import RequestRefused, Response
from wsframe.protocol.http import encode_response, refusal


def test_a_response_is_written_with_its_length_and_type() -> None:
    response = Response(200, b"hello", [("x-one", "1")], content_type="text/plain")
    assert encode_response(response, close=False) == (
        b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\ncontent-type: text/plain\r\nx-one: 1\r\n"
        b"connection: keep-alive\r\n\r\nhello"
    )


def test_a_head_request_is_answered_with_the_length_and_without_the_body() -> None:
    encoded = encode_response(Response(200, b"hello"), close=True, head_only=True)
    assert b"content-length: 5\r\n" in encoded
    assert encoded.endswith(b"\r\nconnection: close\r\n\r\n")


@pytest.mark.parametrize("status", [204, 304])
def test_a_status_without_body_has_no_length(status: int) -> None:
    assert b"content-" not in encode_response(Response(status), close=False)
    with pytest.raises(ValueError, match="no body"):
        Response(status, b"x")


def test_an_unassigned_status_has_an_empty_reason() -> None:
    assert encode_response(Response(299), close=True).startswith(b"HTTP/1.1 299 \r\n")


def test_an_upgrade_header_is_named_in_connection() -> None:
    response = Response(426, headers=[("Upgrade", "websocket")])
    assert b"connection: close, upgrade\r\n" in encode_response(response, close=True)


def test_a_refusal_says_code_and_message_in_json() -> None:
    error = RequestRefused(503, "draining", "Soon.", headers=[("Retry-After", "5")])
    response = refusal(error)
    assert (response.status, response.headers) == (503, (("Retry-After", "5"),))
    assert response.content_type.startswith("application/json")
    assert json.loads(response.body) == {"code": "draining", "message": "Soon."}
    assert repr(response) == f"<Response 503, {len(response.body)} bytes>"


@pytest.mark.parametrize("status", [101, 199, 600])
def test_a_status_that_is_no_final_one_is_a_mistake(status: int) -> None:
    with pytest.raises(ValueError, match="between 200 and 599"):
        Response(status)


@pytest.mark.parametrize(
    ("name", "value"),
    [("a\r\nb", "c"), ("a", "b\r\nset-cookie: c"), ("a:", "b"), ("", "b"), ("a", "é"), ("a", "\0")],
)
def test_a_header_cannot_break_the_head(name: str, value: str) -> None:
    with pytest.raises(ValueError, match="malformed"):
        Response(200, headers=[(name, value)])


def test_a_content_type_cannot_break_the_head() -> None:
    with pytest.raises(ValueError, match="malformed"):
        Response(200, content_type="text/plain\r\nx: y")


@pytest.mark.parametrize(
    "name", ["Content-Length", "content-type", "Connection", "Transfer-Encoding"]
)
def test_headers_that_the_server_sets_cannot_be_given(name: str) -> None:
    with pytest.raises(ValueError, match="set by the server"):
        Response(200, headers=[(name, "x")])


@pytest.mark.parametrize(
    ("value", "seconds"),
    [("5", 5), ("0", 0), ("Wed, 21 Oct 2026 07:28:00 GMT", None), ("-1", None), ("9" * 10, None)],
)
def test_a_refusal_knows_when_to_try_again(value: str, seconds: int | None) -> None:
    error = RequestRefused(503, "unavailable", "", headers=[("x", "1"), ("Retry-After", value)])
    assert error.retry_after_s == seconds
    assert RequestRefused(503, "unavailable", "").retry_after_s is None
