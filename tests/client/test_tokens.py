"""Where the token goes, and when there is a new one."""

from __future__ import annotations

from typing import Any

import anyio
import anyio.abc
import pytest

from tests.client.scripted import Server, client_of, serve, settle
from wsframe.client import ConnectError


async def test_a_token_goes_into_init() -> None:
    async def script(server: Server) -> None:
        peer = await server.peer()
        init = await peer.begin()
        assert init.content["token"] == "t1"
        assert init.content["client"]["name"] == "wsframe-python"
        await peer.goodbye()

    async with serve(script) as server, client_of(server, token="t1"):
        pass


async def test_a_token_goes_into_a_header_or_a_subprotocol_where_that_is_chosen() -> None:
    async def script(server: Server) -> None:
        peer = await server.peer()
        init = await peer.begin()
        assert peer.request is not None
        found.append((peer.request.header("authorization"), peer.bearer, "token" in init.content))
        await peer.goodbye()

    found: list[Any] = []
    for way in ("header", "subprotocol"):
        settings = {"token": "t1", "authenticate_by": way}
        async with serve(script) as server, client_of(server, **settings):
            pass
    assert found == [("Bearer t1", None, False), (None, "t1", False)]


@pytest.mark.parametrize("way", ["header", "subprotocol"])
async def test_a_token_that_does_not_fit_there_is_refused_without_being_shown(way: str) -> None:
    async def script(server: Server) -> None:
        pass

    async with serve(script) as server:
        with pytest.raises(ConnectError) as caught:
            await client_of(server, token="se cret\r\n", authenticate_by=way).__aenter__()
        assert "cret" not in f"{caught.value} {caught.value.hint}"


class Tokens:
    """A function that returns t1, t2, …"""

    def __init__(self) -> None:
        self.count = 0

    async def __call__(self) -> str:
        self.count += 1
        return f"t{self.count}"


async def test_4401_gets_a_new_token_once() -> None:
    async def script(server: Server) -> None:
        for n in (1, 2):
            peer = await server.peer()
            await peer.accept()
            init = await peer.receive()
            assert init.content["token"] == f"t{n}"
            await peer.error(init, "unauthenticated")
            await peer.drop()

    async with serve(script) as server:
        with pytest.raises(ConnectError) as caught:
            await client_of(server, token=Tokens()).__aenter__()
        assert "unauthenticated" in str(caught.value)


async def test_an_expired_token_is_replaced_on_each_connection_that_was_good() -> None:
    async def script(server: Server) -> None:
        for n in (1, 2, 3):
            peer = await server.peer()
            init = await peer.begin(f"s{n}")
            assert init.content["token"] == f"t{n}"
            await anyio.sleep(10)
            if n < 3:
                await peer.close(4401, "expired")
        await peer.answer(await peer.receive())
        await peer.goodbye()

    async with serve(script) as server, client_of(server, token=Tokens()) as client:
        await settle(25)
        await client.request("text")


async def test_401_gets_a_new_token_once() -> None:
    async def script(server: Server) -> None:
        await (await server.peer()).refuse(401)
        peer = await server.peer()
        await peer.begin()
        assert peer.request is not None
        assert peer.request.header("authorization") == "Bearer t2"
        await peer.goodbye()

    settings = {"token": Tokens(), "authenticate_by": "header"}
    async with serve(script) as server, client_of(server, **settings):
        pass


async def test_a_token_that_is_about_to_expire_is_renewed_on_the_connection() -> None:
    async def script(server: Server) -> None:
        peer = await server.begin()
        for _ in range(2):
            content = {"event": "token_expiring", "expiresInMs": 60_000}
            await peer.send("system", content, transient=True)
        auth = await peer.receive()
        assert (auth.type, auth.content) == ("auth", {"token": "t2"})
        await peer.answer(auth)
        await peer.drop()
        init = await (peer := await server.peer()).resume(1)
        assert init.content["token"] == "t2"
        await peer.goodbye()

    async with serve(script) as server, client_of(server, token=Tokens()):
        await settle(5)


async def test_a_function_for_tokens_that_fails_is_asked_again_later() -> None:
    calls = []

    def token() -> str:
        calls.append(1)
        if len(calls) < 3:
            raise RuntimeError("the login page is down")
        return "t"

    async def script(server: Server) -> None:
        peer = await server.peer()
        assert (await peer.begin()).content["token"] == "t"
        await peer.goodbye()

    async with serve(script) as server, client_of(server, token=token):
        assert len(calls) == 3


async def test_a_new_token_that_is_refused_or_missing_is_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    calls = []

    def token() -> str:
        calls.append(1)
        if len(calls) == 3:
            raise RuntimeError("the login page is down")
        return f"t{len(calls)}"

    async def script(server: Server) -> None:
        peer = await server.begin()
        content = {"event": "token_expiring", "expiresInMs": 60_000}
        await peer.send("system", content, transient=True)
        await peer.error(await peer.receive(), "forbidden")
        await settle()
        await peer.send("system", content, transient=True)
        await peer.answer(await peer.receive())
        await peer.goodbye()

    async with serve(script) as server, client_of(server, token=token) as client:
        await settle(1)
        await client.request("text")
    assert "did not take the new token: forbidden" in caplog.text
    assert "the login page is down" in caplog.text


async def test_a_token_that_cannot_be_renewed_is_left_as_it_is() -> None:
    async def script(server: Server) -> None:
        peer = await server.begin()
        await peer.send("system", {"event": "token_expiring"}, transient=True)
        await peer.goodbye()

    async with serve(script) as server, client_of(server, token="t"):
        await settle(1)
