"""Threat 28: wrong 101 responses, against the client. Each ends in a typed error."""

from __future__ import annotations

import pytest

from tests.protocol.http_feeding import in_bytes
from wsframe import ProtocolError, RequestRefused
from wsframe.config import Config
from wsframe.protocol.client_handshake import ClientHandshake
from wsframe.protocol.deflate import Deflate, DeflateSettings, accept_response, offer

ACCEPT = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
SETTINGS = DeflateSettings.from_config(Config())
assert SETTINGS is not None


def handshake(*, deflate: bool = False) -> ClientHandshake[Deflate]:
    settings = SETTINGS
    assert settings is not None
    return ClientHandshake(
        "chat.example",
        "/ws",
        key=b"the sample nonce",
        subprotocols=["wsframe.v1.json", "wsframe.bearer.abc"],
        extensions=offer(settings) if deflate else None,
        accept_extensions=(lambda header: accept_response(header, settings)) if deflate else None,
    )


def answer(
    *lines: str,
    start: str = "HTTP/1.1 101 Switching Protocols",
    upgrade: str | None = "websocket",
    connection: str | None = "Upgrade",
    accept: str | None = ACCEPT,
) -> bytes:
    named = (("Upgrade", upgrade), ("Connection", connection), ("Sec-WebSocket-Accept", accept))
    given = [f"{name}: {value}" for name, value in named if value is not None]
    return "".join(f"{line}\r\n" for line in (start, *given, *lines, "")).encode("latin-1")


WRONG = {
    "no Upgrade": answer(upgrade=None),
    "another Upgrade": answer(upgrade="h2c"),
    "two Upgrades": answer(upgrade="websocket, h2c"),
    "no Connection": answer(connection=None),
    "another Connection": answer(connection="close"),
    "no Accept": answer(accept=None),
    "another key's Accept": answer(accept="HSmrc0sMlYUkAGmm5OPpG2HaGWk="),
    "Accept in other letters": answer(accept=ACCEPT.lower()),
    "two Accepts": answer(f"Sec-WebSocket-Accept: {ACCEPT}"),
    "the key itself": answer(accept="dGhlIHNhbXBsZSBub25jZQ=="),
    "subprotocol not offered": answer("Sec-WebSocket-Protocol: chat"),
    "two subprotocols": answer("Sec-WebSocket-Protocol: wsframe.v1.json, chat"),
    "two subprotocol headers": answer(*["Sec-WebSocket-Protocol: wsframe.v1.json"] * 2),
    "empty subprotocol": answer("Sec-WebSocket-Protocol:"),
    "our token as subprotocol": answer("Sec-WebSocket-Protocol: wsframe.bearer.abc"),
    "extension not offered": answer("Sec-WebSocket-Extensions: permessage-deflate"),
    "HTTP/1.0": answer(start="HTTP/1.0 101 Switching Protocols"),
    "HTTP/2.0": answer(start="HTTP/2.0 101 Switching Protocols"),
    "chunked": answer("Transfer-Encoding: chunked"),
    "body": answer("Content-Length: 5"),
    "no status": answer(start="HTTP/1.1"),
    "status of letters": answer(start="HTTP/1.1 abc"),
    "status 099": answer(start="HTTP/1.1 099 x"),
    "no HTTP": b"SSH-2.0-OpenSSH_9.6\r\n\r\n",
    "frames at once": b"\x81\x05hello\r\n\r\n",
    "NUL": answer("X: \x00"),
    "non-ASCII": answer("X: \xe9"),
    "folded": answer("X: a\r\n b"),
    "bare line feeds": answer().replace(b"\r\n", b"\n") + b"\r\n\r\n",
    "endless header": answer("X: " + "a" * 20_000),
    "endless line": b"HTTP/1.1 101 " + b"a" * 20_000,
    "many headers": answer(*["X: a"] * 1_000),
    "endless interim answers": b"HTTP/1.1 100 Continue\r\n\r\n" * 1_000,
}

WRONG_DEFLATE = {
    "bits over the range": "permessage-deflate; server_max_window_bits=99",
    "bits of nothing": "permessage-deflate; client_max_window_bits",
    "bits of letters": "permessage-deflate; server_max_window_bits=abc",
    "unknown parameter": "permessage-deflate; x=1",
    "twice": "permessage-deflate, permessage-deflate",
    "another extension": "x-webkit-deflate-frame",
    "no grammar": "permessage-deflate; =",
    "empty": "",
}


@pytest.mark.parametrize("data", WRONG.values(), ids=WRONG)
def test_a_wrong_101_ends_in_a_protocol_error(data: bytes) -> None:
    with pytest.raises(ProtocolError) as caught:
        handshake().receive_data(data)
    assert caught.value.close_code == 1002
    byte_by_byte = handshake()
    with pytest.raises(ProtocolError) as caught:
        for byte in in_bytes(data):
            assert byte_by_byte.receive_data(byte) is None
    assert caught.value.close_code == 1002


@pytest.mark.parametrize("header", WRONG_DEFLATE.values(), ids=WRONG_DEFLATE)
def test_a_wrong_extension_ends_in_a_protocol_error(header: str) -> None:
    with pytest.raises(ProtocolError):
        handshake(deflate=True).receive_data(answer(f"Sec-WebSocket-Extensions: {header}"))


@pytest.mark.parametrize("status", [200, 301, 400, 401, 403, 404, 429, 500, 503, 599])
def test_another_status_ends_in_a_refusal_that_says_it(status: int) -> None:
    with pytest.raises(RequestRefused) as caught:
        handshake().receive_data(answer("Retry-After: 7", start=f"HTTP/1.1 {status} x"))
    assert caught.value.status == status
    assert caught.value.retry_after_s == 7


def test_the_right_answer_passes() -> None:
    assert handshake().receive_data(answer()) is not None
