"""The client's side of the opening handshake."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.protocol.http_feeding import in_bytes
from wsframe import ProtocolError, RequestRefused
from wsframe.config import Config
from wsframe.protocol.client_handshake import ClientHandshake, ServerAccept
from wsframe.protocol.deflate import Deflate, DeflateSettings, accept_response, negotiate, offer
from wsframe.protocol.handshake import accept_response as server_accept_response
from wsframe.protocol.handshake import check_upgrade
from wsframe.protocol.http import RequestParser

KEY = b"the sample nonce"
GOOD = (
    "HTTP/1.1 101 Switching Protocols",
    "Upgrade: websocket",
    "Connection: Upgrade",
    "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=",
)


def handshake(limit: int = 16_384) -> ClientHandshake[str]:
    return ClientHandshake(
        "chat.example",
        "/ws",
        key=KEY,
        subprotocols=["wsframe.v1.json", "wsframe.bearer.abc"],
        max_header_bytes=limit,
    )


def answer(*lines: str) -> bytes:
    return "".join(f"{line}\r\n" for line in (*lines, "")).encode("latin-1")


def refused(data: bytes) -> RequestRefused:
    """Feed a refusal whole and byte by byte; both must agree."""
    with pytest.raises(RequestRefused) as whole:
        handshake().receive_data(data)
    byte_by_byte = handshake()
    with pytest.raises(RequestRefused) as cut:
        for byte in in_bytes(data):
            byte_by_byte.receive_data(byte)
    assert (cut.value.status, cut.value.code, cut.value.message, cut.value.headers) == (
        whole.value.status,
        whole.value.code,
        whole.value.message,
        whole.value.headers,
    )
    return whole.value


def test_the_request_is_the_one_of_the_rfc() -> None:
    asking = ClientHandshake[str](
        "chat.example:3001",
        "/ws?room=7",
        key=KEY,
        subprotocols=["wsframe.v1.json", "wsframe.bearer.abc"],
        extensions="permessage-deflate",
        accept_extensions=str,
        headers=[("Origin", "http://chat.example:3001")],
    )
    assert asking.request() == (
        b"GET /ws?room=7 HTTP/1.1\r\nHost: chat.example:3001\r\nUpgrade: websocket\r\n"
        b"Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
        b"Sec-WebSocket-Version: 13\r\n"
        b"Sec-WebSocket-Protocol: wsframe.v1.json, wsframe.bearer.abc\r\n"
        b"Sec-WebSocket-Extensions: permessage-deflate\r\nOrigin: http://chat.example:3001\r\n\r\n"
    )


def test_client_and_server_understand_each_other() -> None:
    settings = DeflateSettings.from_config(Config())
    assert settings is not None
    asking: ClientHandshake[Deflate] = ClientHandshake(
        "chat.example",
        "/ws",
        key=KEY,
        subprotocols=["wsframe.v1.msgpack"],
        extensions=offer(settings),
        accept_extensions=lambda header: accept_response(header, settings),
    )
    request = RequestParser(16_384).receive_data(asking.request())
    assert request is not None
    upgrade = check_upgrade(request)
    agreed = negotiate(upgrade.extensions, settings)
    assert agreed is not None
    accepted = asking.receive_data(
        server_accept_response(upgrade, subprotocol=upgrade.subprotocols[0], extensions=agreed[1])
        + b"\x81\x00"
    )
    assert accepted is not None
    assert accepted.subprotocol == "wsframe.v1.msgpack"
    assert isinstance(accepted.extension, Deflate)
    assert asking.trailing == b"\x81\x00"


def test_a_good_answer_is_accepted_byte_by_byte() -> None:
    asking = handshake()
    *most, last = in_bytes(answer(*GOOD, "Sec-WebSocket-Protocol: wsframe.v1.json", "X-One: 1"))
    assert all(asking.receive_data(byte) is None for byte in most)
    accepted = asking.receive_data(last)
    assert accepted is not None
    assert (accepted.subprotocol, accepted.extension) == ("wsframe.v1.json", None)
    assert accepted.headers[-1] == ("x-one", "1")
    assert asking.trailing == b""


def test_interim_answers_are_passed_over() -> None:
    asking = handshake()
    early = answer("HTTP/1.1 103 Early Hints", "Link: </a>")
    assert asking.receive_data(early) is None
    accepted = asking.receive_data(early + answer(*GOOD) + b"frame")
    assert isinstance(accepted, ServerAccept)
    assert asking.trailing == b"frame"


def test_interim_answers_end_at_the_limit() -> None:
    asking = handshake(limit=1_000)
    with pytest.raises(ProtocolError, match="too large"):
        asking.receive_data(answer("HTTP/1.1 100 Continue") * 1_000)


def test_a_refusal_of_a_wsframe_server_says_why() -> None:
    body = b'{"code": "draining", "message": "Soon."}'
    error = refused(
        answer(
            "HTTP/1.1 503 Service Unavailable",
            f"Content-Length: {len(body)}",
            "Content-Type: application/json; charset=utf-8",
            "Retry-After: 5",
        )
        + body
    )
    assert (error.status, error.code, error.message) == (503, "draining", "Soon.")
    assert error.retry_after_s == 5


@pytest.mark.parametrize(
    ("lines", "body"),
    [
        (("Content-Type: text/html", "Content-Length: 5"), b"hello"),
        ((), b""),
        (("Content-Type: application/json", "Content-Length: 5"), b"hello"),
        (("Content-Type: application/json", "Content-Length: 2"), b"[]"),
        (("Content-Type: application/json", "Content-Length: 2"), b"\xff\xff"),
        (("Content-Type: application/json", "Content-Length: 10"), b'{"code":7}'),
        (("Content-Type: application/json", "Content-Length: 12"), b'{"code": ""}'),
        (("Content-Type: application/json", "Transfer-Encoding: chunked"), b"x\r\n"),
        (("Content-Type: application/json", "Transfer-Encoding: chunked"), b"2\r\n{}\r\n0\r\n\r\n"),
        (("Content-Type: application/json", "Content-Length: 90000"), b"[" * 5_000),
    ],
)
def test_any_other_refusal_says_its_status(lines: tuple[str, ...], body: bytes) -> None:
    error = refused(answer("HTTP/1.1 502 Bad Gateway", *lines) + body)
    assert (error.status, error.code) == (502, "http_502")
    assert "502" in error.message


def test_a_redirect_is_a_refusal_that_says_where_to() -> None:
    error = refused(answer("HTTP/1.1 301 Moved", "Location: /other", "Content-Length: 0"))
    assert (error.status, dict(error.headers)["location"]) == (301, "/other")


def test_the_text_of_a_refusal_can_be_shown() -> None:
    body = b'{"code": "a\\u001b[31m\\nb", "message": "' + b"x" * 500 + b'"}'
    head = ("HTTP/1.1 403 No", "Content-Type: application/json", f"Content-Length: {len(body)}")
    error = refused(answer(*head) + body)
    assert error.code.isprintable()
    assert len(error.message) == 200


def test_a_refusal_that_ends_early_is_still_a_refusal() -> None:
    asking = handshake()
    head = answer("HTTP/1.1 401 No", "Content-Type: application/json", "Content-Length: 9")
    assert asking.receive_data(head) is None
    assert asking.receive_data(b'{"c') is None
    with pytest.raises(RequestRefused) as caught:
        asking.receive_eof()
    assert (caught.value.status, caught.value.code) == (401, "http_401")


def test_an_end_before_the_answer_is_an_abnormal_closure() -> None:
    asking = handshake()
    assert asking.receive_data(b"HTTP/1.1 1") is None
    with pytest.raises(ProtocolError) as caught:
        asking.receive_eof()
    assert caught.value.close_code == 1006


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"key": b"short"}, "16 bytes"),
        ({"extensions": "x"}, "need each other"),
        ({"accept_extensions": str}, "need each other"),
        ({"headers": [("a", "b\r\nc: d")]}, "malformed"),
        ({"headers": [("Host", "other"), ("UPGRADE", "x")]}, "sets host, upgrade itself"),
        ({"target": "/a b"}, "malformed"),
        ({"target": "/é"}, "malformed"),
        ({"authority": "a\r\nb: c"}, "malformed"),
        ({"subprotocols": ["a\r\nb: c"]}, "malformed"),
    ],
)
def test_malformed_arguments_are_mistakes(arguments: dict[str, object], message: str) -> None:
    good: dict[str, object] = {"authority": "chat.example", "target": "/ws", "key": KEY}
    with pytest.raises(ValueError, match=message):
        ClientHandshake(**{**good, **arguments})  # type: ignore[arg-type]


def outcome_of(chunks: Iterable[bytes]) -> ServerAccept[str] | ProtocolError | RequestRefused:
    asking = handshake(limit=1_000)
    try:
        for chunk in chunks:
            accepted = asking.receive_data(chunk)
            if accepted is not None:
                return accepted
        asking.receive_eof()
    except (ProtocolError, RequestRefused) as error:
        return error


MUTATIONS = st.tuples(st.integers(0, 200), st.integers(0, 20), st.binary(max_size=20))


@settings(max_examples=300)
@given(
    st.sampled_from(
        [
            answer(*GOOD, "Sec-WebSocket-Protocol: wsframe.v1.json"),
            answer("HTTP/1.1 103 Early Hints") + answer(*GOOD),
            answer("HTTP/1.1 403 No", "Content-Type: application/json", "Content-Length: 2")
            + b"{}",
        ]
    ),
    st.lists(MUTATIONS, max_size=3),
    st.integers(1, 300),
)
def test_whatever_a_server_answers_the_outcome_is_documented(
    data: bytes, mutations: list[tuple[int, int, bytes]], step: int
) -> None:
    for position, removed, inserted in mutations:
        data = data[:position] + inserted + data[position + removed :]
    outcome = outcome_of(data[at : at + step] for at in range(0, len(data), step))
    if isinstance(outcome, ProtocolError):
        assert outcome.close_code in (1002, 1006)
    elif isinstance(outcome, RequestRefused):
        assert outcome.status != 101
    else:
        assert outcome.subprotocol in (None, "wsframe.v1.json")
