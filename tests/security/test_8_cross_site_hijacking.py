"""Threat 8: a page of another site opens a connection as the user who looks at it.

The server under test runs the plugin ``wsframe-origin`` as it is after installation.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from wsframe_origin import OriginPlugin

from wsframe import App

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def port() -> AsyncIterator[int]:
    config = OriginPlugin.Config(allow=("same-origin", "https://app.example:8443"))
    app = App(plugins=[OriginPlugin(config)])
    address = await app.start(host="127.0.0.1", port=0)
    yield int(address.rsplit(":", 1)[1].partition("/")[0])
    await app.stop()


async def status_of(port: int, *headers: str, host: str = "chat.example") -> int:
    """The status an upgrade request with these header lines is answered with."""
    lines = [
        "GET /ws HTTP/1.1",
        f"Host: {host}",
        "Upgrade: websocket",
        "Connection: Upgrade",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        *headers,
    ]
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(("\r\n".join(lines) + "\r\n\r\n").encode("latin-1"))
        answer = await asyncio.wait_for(reader.readline(), 60)
        rest = await reader.read() if b" 101 " not in answer else b""
        if b" 403 " in answer:
            assert b'"code": "forbidden"' in rest or b'"code":"forbidden"' in rest
        return int(answer.split()[1])
    finally:
        writer.close()


ATTACKS = {
    "another site": ["Origin: https://evil.example"],
    "null, from a sandboxed frame": ["Origin: null"],
    "suffix trick": ["Origin: https://chat.example.evil.example"],
    "prefix trick": ["Origin: https://evilchat.example"],
    "subdomain": ["Origin: https://evil.chat.example"],
    "another port": ["Origin: https://chat.example:8443"],
    "another port of an allowed host": ["Origin: https://app.example"],
    "another scheme of an allowed origin": ["Origin: http://app.example:8443"],
    "userinfo": ["Origin: https://chat.example@evil.example"],
    "final dot": ["Origin: https://chat.example."],
    "punycode look-alike": ["Origin: https://xn--cht-hoa.example"],
    "path": ["Origin: https://evil.example/https://chat.example"],
    "fragment": ["Origin: https://evil.example#https://chat.example"],
    "empty": ["Origin: "],
    "two headers, the good one first": [
        "Origin: https://chat.example",
        "Origin: https://evil.example",
    ],
    "two headers, the good one last": [
        "Origin: https://evil.example",
        "Origin: https://chat.example",
    ],
    "two headers, spelled differently": [
        "origin: https://chat.example",
        "ORIGIN: https://evil.example",
    ],
    "two origins in one": ["Origin: https://chat.example, https://evil.example"],
    "two origins with a space": ["Origin: https://chat.example https://evil.example"],
    "many hosts": ["Origin: https://" + "chat.example." * 300],
}


@pytest.mark.parametrize("attack", ATTACKS)
async def test_8_a_page_of_another_origin_is_refused_with_403(port: int, attack: str) -> None:
    assert await status_of(port, *ATTACKS[attack]) == 403


async def test_8_a_second_host_header_does_not_make_an_origin_the_same(port: int) -> None:
    status = await status_of(port, "Host: evil.example", "Origin: https://evil.example")
    assert status in {400, 403}


async def test_8_pages_that_are_allowed_come_in(port: int) -> None:
    assert await status_of(port, "Origin: https://chat.example") == 101
    assert await status_of(port, "Origin: HTTPS://CHAT.example") == 101
    assert await status_of(port, "Origin: https://chat.example:443") == 101
    assert await status_of(port, "Origin: https://app.example:8443") == 101


async def test_8_a_program_without_an_origin_comes_in(port: int) -> None:
    assert await status_of(port) == 101
