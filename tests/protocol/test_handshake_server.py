"""The server's side of the opening handshake."""

from __future__ import annotations

import pytest

from tests.protocol.http_feeding import UPGRADE, head, read
from wsframe import Request, RequestRefused
from wsframe.protocol.handshake import (
    Upgrade,
    accept_response,
    check_upgrade,
    choose_subprotocol,
    is_upgrade,
)


def request(
    *lines: str, without: str | None = None, start: str = "GET /ws HTTP/1.1", host: str = "a"
) -> Request:
    """A good handshake, changed: a line replaces the one of the same name."""
    names = {line.partition(":")[0].lower() for line in lines} | {(without or "").lower()}
    kept = [line for line in UPGRADE if line.partition(":")[0].lower() not in names]
    parsed = read(head(*kept, *lines, start=start, host=host))
    assert isinstance(parsed, Request)
    return parsed


def refusal_of(asked: Request) -> RequestRefused:
    with pytest.raises(RequestRefused) as caught:
        check_upgrade(asked)
    return caught.value


def test_a_good_handshake_is_understood() -> None:
    asked = request(
        "Sec-WebSocket-Protocol: chat, wsframe.v1.json",
        "Sec-WebSocket-Protocol: wsframe.bearer.abc.d-e_f,,",
        "Sec-WebSocket-Extensions: permessage-deflate",
        "Sec-WebSocket-Extensions: x; y=1",
    )
    assert is_upgrade(asked)
    upgrade = check_upgrade(asked)
    assert upgrade.key == "dGhlIHNhbXBsZSBub25jZQ=="
    assert upgrade.subprotocols == ("chat", "wsframe.v1.json")
    assert upgrade.bearer == "abc.d-e_f"
    assert upgrade.extensions == ("permessage-deflate", "x; y=1")
    assert "abc" not in repr(upgrade)
    assert repr(upgrade) == "<Upgrade to chat, wsframe.v1.json>"


def test_a_bare_handshake_offers_nothing() -> None:
    upgrade = check_upgrade(request())
    assert (upgrade.subprotocols, upgrade.bearer, upgrade.extensions) == ((), None, ())
    assert repr(upgrade) == "<Upgrade to no subprotocol>"


@pytest.mark.parametrize(
    "lines",
    [
        ("Upgrade: WebSocket",),
        ("Upgrade: h2c, websocket",),
        ("Connection: keep-alive, Upgrade",),
        ("Connection: keep-alive", "Connection: UPGRADE"),
        ("Content-Length: 0",),
    ],
)
def test_variants_that_real_clients_and_proxies_send_are_accepted(lines: tuple[str, ...]) -> None:
    assert check_upgrade(request(*lines)).key


@pytest.mark.parametrize("upgrade", [None, "h2c", "websocket2"])
def test_a_request_that_asks_for_no_websocket_is_told_to(upgrade: str | None) -> None:
    asked = request(without="Upgrade") if upgrade is None else request(f"Upgrade: {upgrade}")
    assert not is_upgrade(asked)
    error = refusal_of(asked)
    assert (error.status, error.code) == (426, "upgrade_required")
    assert dict(error.headers)["upgrade"] == "websocket"


@pytest.mark.parametrize(
    "asked",
    [
        request("Connection: keep-alive"),
        request(without="Connection"),
        request(without="Sec-WebSocket-Version"),
        request("Sec-WebSocket-Version: 13", "Sec-WebSocket-Version: 13"),
        request(without="Sec-WebSocket-Key"),
        request("Sec-WebSocket-Protocol: a(b)"),
        request("Sec-WebSocket-Protocol: a b"),
        request("Sec-WebSocket-Protocol: wsframe.bearer."),
        request("Sec-WebSocket-Protocol: wsframe.bearer.a, wsframe.bearer.b"),
    ],
)
def test_a_malformed_handshake_is_a_bad_request(asked: Request) -> None:
    error = refusal_of(asked)
    assert (error.status, error.code) == (400, "bad_request")


@pytest.mark.parametrize(
    ("offered", "chosen"),
    [
        ((), None),
        (("chat",), None),
        (("wsframe.v1.msgpack", "wsframe.v1.json"), "wsframe.v1.msgpack"),
        (("wsframe.v2.json", "wsframe.v1.json", "wsframe.v1.msgpack"), "wsframe.v1.json"),
        (("WSFRAME.V1.JSON",), None),
    ],
)
def test_the_first_subprotocol_in_the_clients_order_is_chosen(
    offered: tuple[str, ...], chosen: str | None
) -> None:
    assert choose_subprotocol(offered) == chosen


def test_the_answer_is_that_of_the_rfc() -> None:
    upgrade = Upgrade("dGhlIHNhbXBsZSBub25jZQ==")
    assert accept_response(upgrade, subprotocol=None, extensions=None) == (
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"
    )


def test_the_answer_names_what_was_agreed() -> None:
    answer = accept_response(
        Upgrade("dGhlIHNhbXBsZSBub25jZQ=="),
        subprotocol="wsframe.v1.json",
        extensions="permessage-deflate",
        headers=[("Set-Cookie", "a=b")],
    )
    assert answer.endswith(
        b"Sec-WebSocket-Protocol: wsframe.v1.json\r\n"
        b"Sec-WebSocket-Extensions: permessage-deflate\r\nSet-Cookie: a=b\r\n\r\n"
    )


def test_added_headers_cannot_break_the_answer() -> None:
    with pytest.raises(ValueError, match="malformed"):
        accept_response(
            Upgrade("dGhlIHNhbXBsZSBub25jZQ=="),
            subprotocol=None,
            extensions=None,
            headers=[("a", "b\r\nc: d")],
        )
