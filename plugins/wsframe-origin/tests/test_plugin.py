"""Which upgrade requests the plugin lets through."""

from __future__ import annotations

import logging

import pytest
from wsframe_origin import OriginPlugin

from wsframe import Request, RequestRefused

pytestmark = pytest.mark.anyio


def request(*origins: str, host: str | None = "chat.example", secure: bool = False) -> Request:
    headers = [("host", host)] if host is not None else []
    headers += [("origin", origin) for origin in origins]
    return Request(
        method="GET",
        target="/ws",
        headers=tuple(headers),
        address="192.0.2.7",
        secure=secure,
    )


async def is_let_in(config: OriginPlugin.Config, request: Request) -> bool:
    try:
        await OriginPlugin(config).connection_opening(request)
    except RequestRefused as refused:
        return (refused.status, refused.code) != (403, "forbidden")
    return True


DEFAULT = OriginPlugin.Config()


async def test_a_page_of_the_server_itself_is_let_in() -> None:
    assert await is_let_in(DEFAULT, request("https://chat.example"))
    assert await is_let_in(DEFAULT, request("http://chat.example"))
    assert await is_let_in(DEFAULT, request("http://127.0.0.1:3001", host="127.0.0.1:3001"))
    assert await is_let_in(DEFAULT, request("http://[::1]:3001", host="[::1]:3001"))
    assert await is_let_in(DEFAULT, request("https://chat.example", host="Chat.Example:443"))


@pytest.mark.parametrize(
    "origin",
    [
        "https://evil.example",
        "https://chat.example.evil.example",
        "https://evilchat.example",
        "https://sub.chat.example",
        "https://chat.example:8443",
        "https://chat.example.",
        "https://chat.example@evil.example",
        "https://xn--cht-hoa.example",
        "ftp://chat.example",
        "chat.example",
        "null",
        "",
    ],
)
async def test_a_page_from_elsewhere_is_refused(origin: str) -> None:
    assert not await is_let_in(DEFAULT, request(origin))


async def test_the_port_of_the_page_must_be_that_of_the_server() -> None:
    assert not await is_let_in(
        DEFAULT, request("http://chat.example:3000", host="chat.example:3001")
    )
    assert not await is_let_in(DEFAULT, request("http://chat.example", host="chat.example:3001"))


async def test_over_tls_a_page_that_came_without_it_is_refused() -> None:
    assert await is_let_in(DEFAULT, request("https://chat.example", secure=True))
    assert not await is_let_in(DEFAULT, request("http://chat.example", secure=True))


async def test_two_origin_headers_are_refused_even_if_both_are_allowed() -> None:
    assert not await is_let_in(DEFAULT, request("https://chat.example", "https://chat.example"))
    assert not await is_let_in(DEFAULT, request("https://evil.example", "https://chat.example"))


async def test_without_one_host_header_nothing_is_of_the_same_origin() -> None:
    assert not await is_let_in(DEFAULT, request("https://chat.example", host=None))
    assert not await is_let_in(DEFAULT, request("https://chat.example", host="chat.example/x"))


async def test_a_program_that_sends_no_origin_is_let_in_unless_that_is_switched_off() -> None:
    assert await is_let_in(DEFAULT, request())
    assert not await is_let_in(OriginPlugin.Config(allow_missing=False), request())


async def test_null_is_let_in_only_where_it_is_named() -> None:
    config = OriginPlugin.Config(allow=("null",))
    assert await is_let_in(config, request("null"))
    assert not await is_let_in(config, request("NULL"))
    assert not await is_let_in(config, request("https://chat.example"))


async def test_named_origins_replace_the_same_origin() -> None:
    config = OriginPlugin.Config(allow=("https://app.example", "https://*.app.example"))
    assert await is_let_in(config, request("https://app.example"))
    assert await is_let_in(config, request("https://eu.app.example"))
    assert not await is_let_in(config, request("https://chat.example"))


async def test_a_refusal_is_logged_with_address_and_origin_but_no_control_characters(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.WARNING):
        assert not await is_let_in(DEFAULT, request("https://evil.example/\tx"))
    (record,) = caplog.records
    assert "192.0.2.7" in record.getMessage()
    assert "https://evil.example/\\tx" in record.getMessage()


def test_a_wrong_entry_keeps_the_plugin_from_being_made() -> None:
    with pytest.raises(ValueError, match="is not an origin"):
        OriginPlugin.Config(allow=("chat.example",))
