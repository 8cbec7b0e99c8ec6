"""The opening handshake (RFC 6455 sections 4.1, 4.2 and 4.4)."""

from __future__ import annotations

import base64
import hashlib

import pytest

from tests.conformance.peer import ACCEPT, TEXT, Peer, answer_to, frame, request

GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


@pytest.mark.parametrize("key", [bytes(16), b"\xff" * 16, b"the sample nonce", bytes(range(16))])
def test_the_key_is_answered_as_the_rfc_says(echo_port: int, key: bytes) -> None:
    encoded = base64.b64encode(key)
    expected = base64.b64encode(hashlib.sha1(encoded + GUID).digest()).decode()
    answer = answer_to(echo_port, request(Sec_WebSocket_Key=encoded.decode()))
    assert answer.status == 101
    assert answer.headers["sec-websocket-accept"] == expected
    assert answer.headers["upgrade"].lower() == "websocket"
    assert answer.headers["connection"].lower() == "upgrade"


@pytest.mark.parametrize("upgrade", ["websocket", "WebSocket", "WEBSOCKET"])
@pytest.mark.parametrize("connection", ["Upgrade", "upgrade", "keep-alive, Upgrade", "Upgrade,x"])
def test_the_case_and_company_of_tokens_does_not_matter(
    echo_port: int, upgrade: str, connection: str
) -> None:
    answer = answer_to(echo_port, request(Upgrade=upgrade, Connection=connection))
    assert (answer.status, answer.headers["sec-websocket-accept"]) == (101, ACCEPT)


@pytest.mark.parametrize("path", ["/", "/echo", "/a/b/c", "/chat?room=1&x=%20y", "/%F0%9F%A6%8A"])
def test_any_path_and_query_is_served(echo_port: int, path: str) -> None:
    assert answer_to(echo_port, request(start=f"GET {path} HTTP/1.1")).status == 101


def test_unknown_headers_and_subprotocols_do_no_harm(echo_port: int) -> None:
    answer = answer_to(
        echo_port, request(Sec_WebSocket_Protocol="x-one, x-two", X_Other="1", Origin="http://a")
    )
    assert answer.status == 101
    assert answer.headers.get("sec-websocket-protocol", "x-one") in ("x-one", "x-two")


@pytest.mark.parametrize("version", ["0", "7", "8", "12", "14", "99", "13, 8", "x", "013"])
def test_another_version_is_answered_426_and_told_the_right_one(
    echo_port: int, version: str
) -> None:
    answer = answer_to(echo_port, request(Sec_WebSocket_Version=version))
    assert answer.status in (400, 426)
    if version.isdigit() and version != "013":
        assert answer.status == 426
    if answer.status == 426:
        assert answer.headers["sec-websocket-version"] == "13"


@pytest.mark.parametrize("key", ["", "short", "not base64!", "A" * 24, "AAAA", "A" * 22 + "=", "é"])
def test_a_key_that_is_not_sixteen_bytes_is_refused(echo_port: int, key: str) -> None:
    assert answer_to(echo_port, request(Sec_WebSocket_Key=key)).status == 400


@pytest.mark.parametrize("name", ["Host", "Sec-WebSocket-Key", "Sec-WebSocket-Version"])
def test_a_request_without_a_required_header_is_refused(echo_port: int, name: str) -> None:
    assert answer_to(echo_port, request(without=name)).status in (400, 426)


@pytest.mark.parametrize("name", ["Upgrade", "Connection"])
def test_a_request_that_asks_for_no_upgrade_gets_none(echo_port: int, name: str) -> None:
    assert 400 <= answer_to(echo_port, request(without=name)).status < 500


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "PATCH", "FOO"])
def test_another_method_gets_no_upgrade(echo_port: int, method: str) -> None:
    answer = answer_to(echo_port, request(start=f"{method} / HTTP/1.1"))
    assert 400 <= answer.status < 600


@pytest.mark.parametrize("version", ["HTTP/1.0", "HTTP/0.9", "HTTP/2.0", "HTTP/9"])
def test_another_version_of_http_gets_no_upgrade(echo_port: int, version: str) -> None:
    answer = answer_to(echo_port, request(start=f"GET / {version}"))
    assert 400 <= answer.status < 600


@pytest.mark.parametrize("piece", [1, 7, 64])
def test_the_request_may_arrive_in_pieces(echo_port: int, piece: int) -> None:
    with Peer(echo_port, pieces=piece) as peer:
        peer.send(frame(TEXT, b"opened"))
        assert peer.message() == "opened"
