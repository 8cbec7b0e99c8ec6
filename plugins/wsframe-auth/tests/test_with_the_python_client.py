"""The Python client gets in, renews by itself, and comes back after its token was revoked."""

from __future__ import annotations

import time
from typing import Any

import anyio
import pytest

from wsframe import ConnectionClosed
from wsframe.client import Client

GUARD_S = 90.0
"""A deadlock guard: what is waited for comes much earlier."""


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, Any]]:
    return request.param, {}  # sockets need real time


@pytest.mark.parametrize("place", ["init", "header", "subprotocol"])
async def test_it_renews_its_token_and_goes_on(guarded: Any, mint: Any, place: str) -> None:
    app = guarded(warn_before_s=3_000)
    asked, renewed = [], anyio.Event()

    async def get_token() -> str:
        asked.append(place)
        return str(mint(scope=f"token{len(asked)}", exp=int(time.time()) + 1_000 * len(asked)))

    @app.on("message:received")
    async def notice(message: Any, connection: Any) -> None:
        if message.type == "auth":
            renewed.set()

    address = await app.start(host="127.0.0.1", port=0)
    try:
        with anyio.fail_after(GUARD_S):
            async with Client(address, token=get_token, authenticate_by=place) as client:
                first = await client.request("echo")
                assert first.content == {"subject": "ann", "scopes": ["token1"]}
                await renewed.wait()
                scopes = first.content["scopes"]
                while scopes == ["token1"]:
                    scopes = (await client.request("echo")).content["scopes"]
                assert scopes != ["token1"]
    finally:
        await app.stop()


async def test_it_comes_back_with_a_new_token_and_resumes(guarded: Any, mint: Any) -> None:
    app = guarded()
    (plugin,) = app.plugins
    asked: list[str] = []

    async def get_token() -> str:
        asked.append(str(len(asked) + 1))
        return str(mint(jti=asked[-1], scope=f"token{asked[-1]}"))

    address = await app.start(host="127.0.0.1", port=0)
    try:
        with anyio.fail_after(GUARD_S):
            async with Client(address, token=get_token) as client:
                await client.request("echo")
                session_id = client.session_id
                plugin.revoke(jti="1")
                scopes = ["token1"]
                while scopes == ["token1"]:
                    try:
                        scopes = (await client.request("echo")).content["scopes"]
                    except ConnectionClosed:
                        continue
                    except Exception as error:
                        assert getattr(error, "code", error) == "cancelled"  # noqa: PT017
                assert scopes == ["token2"]
                assert client.session_id == session_id
    finally:
        await app.stop()
