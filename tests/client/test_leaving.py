"""The end of a client: closing, failures, cancellation."""

from __future__ import annotations

import anyio
import anyio.abc
import pytest

from tests.client.scripted import Server, client_of, serve, settle
from wsframe.client import ConnectError, RequestError


async def test_entering_fails_in_time_where_nobody_is() -> None:
    async def script(server: Server) -> None:
        pass

    async with serve(script) as server:
        began = anyio.current_time()
        server.refusing = True
        with pytest.raises(ConnectError) as caught:
            await client_of(server, open_timeout_s=12).__aenter__()
        assert anyio.current_time() - began == pytest.approx(12, abs=0.01)
        assert "nobody is there" in str(caught.value)
        assert isinstance(caught.value.__cause__, ConnectionRefusedError)


async def test_a_failure_in_the_body_stays_what_it_is() -> None:
    async def script(server: Server) -> None:
        await (await server.begin()).goodbye()

    async with serve(script) as server:
        with pytest.raises(ZeroDivisionError):
            async with client_of(server):
                raise ZeroDivisionError


async def test_cancelling_the_body_ends_the_client() -> None:
    async def script(server: Server) -> None:
        await (await server.begin()).goodbye()

    async with serve(script) as server:
        with anyio.move_on_after(1) as scope:
            async with client_of(server):
                await anyio.sleep_forever()
        assert scope.cancelled_caught


async def test_closing_ends_what_waits_and_a_second_time_does_nothing() -> None:
    async def script(server: Server) -> None:
        peer = await server.begin()
        await peer.receive()
        await peer.goodbye()

    async def ask() -> None:
        with pytest.raises(RequestError) as caught:
            await client.request("text")
        assert caught.value.code == "closed"

    async with serve(script) as server, client_of(server) as client:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(ask)
            await settle()
            await client.close()
        await client.close()
        with pytest.raises(RequestError):
            await client.send("text")
        assert [message async for message in client.messages()] == []
        assert [status async for status in client.statuses()] == ["closed"]


@pytest.mark.parametrize("moment", ["dialling", "pausing", "silent server"])
async def test_closing_never_takes_long(moment: str) -> None:
    async def script(server: Server) -> None:
        if moment == "silent server":
            await server.begin()
        elif moment == "dialling":
            await (await server.peer()).accept()

    async with serve(script) as server:
        server.refusing = moment == "pausing"
        async with client_of(server, open_timeout_s=0, random=lambda: 1.0) as client:
            await settle(0.1)
            began = anyio.current_time()
        assert client.status == "closed"
        assert anyio.current_time() - began < 8


async def test_each_status_is_told_to_the_callback_too() -> None:
    async def script(server: Server) -> None:
        await (await server.begin()).drop()
        await (peer := await server.peer()).resume(0)
        await peer.goodbye()

    seen: list[str] = []

    def on_status(status: str) -> None:
        seen.append(status)
        raise RuntimeError("it is logged, and changes nothing")

    async with serve(script) as server, client_of(server, on_status=on_status):
        await settle(2)
    assert seen == ["connecting", "open", "connecting", "resumed", "closed"]


async def test_cancelling_a_client_that_is_closing_ends_it_at_once() -> None:
    async def script(server: Server) -> None:
        await (await server.begin()).receive()

    async with serve(script) as server:
        began = anyio.current_time()
        with anyio.move_on_after(1):
            async with client_of(server) as client:
                await client.send("text")
        assert client.status == "closed"
        assert anyio.current_time() - began < 4
