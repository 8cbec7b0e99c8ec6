"""Requests, streams and messages without answer on one connection: retries, limits, time."""

from __future__ import annotations

import logging
from itertools import pairwise
from typing import Any

import anyio
import pytest

from tests.client.scripted import Server, client_of, serve, settle
from wsframe.client import Client, RequestError


async def test_an_error_is_raised_with_everything_it_says() -> None:
    async def script(server: Server) -> None:
        peer = await server.begin()
        details = {"left": 0}
        await peer.error(await peer.receive(), "shop.sold_out", details=details, retryable=False)
        await peer.goodbye()

    async with serve(script) as server, client_of(server) as client:
        with pytest.raises(RequestError) as caught:
            await client.request("buy")
    error = caught.value
    assert (error.code, error.message, error.details) == ("shop.sold_out", "no", {"left": 0})
    assert not error.retryable


async def test_a_malformed_error_is_an_error() -> None:
    async def script(server: Server) -> None:
        peer = await server.begin()
        ask = await peer.receive()
        await peer.send("error", {"code": 5}, reply_to=ask.id, final=True)
        await peer.goodbye()

    async with serve(script) as server, client_of(server) as client:
        with pytest.raises(RequestError) as caught:
            await client.request("buy")
    assert caught.value.code == "invalid_answer"


async def test_a_retryable_error_is_retried_with_the_same_id_after_the_pause_it_names() -> None:
    times = []

    async def script(server: Server) -> None:
        peer = await server.begin()
        ids = set()
        for pause in ({"retryAfterMs": 2_000}, {}, {}):
            ask = await peer.receive()
            times.append(anyio.current_time())
            ids.add(ask.id)
            await peer.error(ask, "rate_limited", retryable=True, **pause)
        ask = await peer.receive()
        times.append(anyio.current_time())
        await peer.answer(ask, {"n": 1})
        assert ids == {ask.id}
        await peer.goodbye()

    async with serve(script) as server, client_of(server) as client:
        assert (await client.request("text")).content == {"n": 1}
    pauses = [later - earlier for earlier, later in pairwise(times)]
    assert pauses == pytest.approx([2, 0.125, 0.25], abs=0.001)


async def test_retries_come_to_an_end() -> None:
    async def script(server: Server) -> None:
        peer = await server.begin()
        for _ in range(3):
            await peer.error(await peer.receive(), "unavailable", retryable=True)
        await peer.goodbye()

    async with serve(script) as server, client_of(server, retries=2) as client:
        with pytest.raises(RequestError) as caught:
            await client.request("text")
    assert (caught.value.code, caught.value.retryable) == ("unavailable", True)


async def test_a_retry_that_would_come_too_late_is_not_waited_for() -> None:
    async def script(server: Server) -> None:
        peer = await server.begin()
        ask = await peer.receive()
        await peer.error(ask, "rate_limited", retryable=True, retryAfterMs=60_000)
        await peer.goodbye()

    async with serve(script) as server, client_of(server) as client:
        began = anyio.current_time()
        with pytest.raises(RequestError) as caught:
            await client.request("text", timeout_s=10)
        assert caught.value.code == "rate_limited"
        assert anyio.current_time() - began < 1


async def test_the_time_limit_ends_a_request_and_cancels_it() -> None:
    async def script(server: Server) -> None:
        peer = await server.begin()
        ask = await peer.receive()
        cancel = await peer.receive()
        assert (cancel.type, cancel.content) == ("cancel", {"id": ask.id})
        await peer.answer(cancel, {"cancelled": True})
        await peer.error(ask, "cancelled")  # for nobody any more
        await peer.answer(await peer.receive(), {"n": 2})
        await peer.goodbye()

    async with serve(script) as server, client_of(server) as client:
        began = anyio.current_time()
        with pytest.raises(RequestError) as caught:
            await client.request("text", timeout_s=7)
        assert (caught.value.code, caught.value.retryable) == ("timeout", True)
        assert anyio.current_time() - began == pytest.approx(7, abs=0.001)
        assert (await client.request("text")).content == {"n": 2}


@pytest.mark.parametrize("moment", ["never connected", "no answer to the handshake", "no init"])
async def test_a_request_without_a_connection_ends_in_time_too(moment: str) -> None:
    async def script(server: Server) -> None:
        if moment == "no answer to the handshake":
            await (await server.peer()).read_request()
        elif moment == "no init":
            await (await server.peer()).accept()

    async with serve(script) as server:
        server.refusing = moment == "never connected"
        async with client_of(server, open_timeout_s=0, close_timeout_s=1) as client:
            began = anyio.current_time()
            with pytest.raises(RequestError) as caught:
                await client.request("text", timeout_s=3)
            assert caught.value.code == "timeout"
            assert anyio.current_time() - began == pytest.approx(3, abs=0.001)


async def test_cancelling_the_caller_cancels_the_request() -> None:
    async def script(server: Server) -> None:
        peer = await server.begin()
        ask = await peer.receive()
        cancel = await peer.receive()
        assert (cancel.type, cancel.content) == ("cancel", {"id": ask.id})
        await peer.goodbye()

    async with serve(script) as server, client_of(server) as client:
        with anyio.move_on_after(1):
            await client.request("text")
        await settle()


async def test_what_is_sent_without_waiting_is_answered_before_the_client_leaves(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def script(server: Server) -> None:
        peer = await server.begin()
        first, second = await peer.receive(), await peer.receive()
        assert (first.type, first.id, second.id) == ("log", "mine", sent[1])
        await anyio.sleep(2)
        await peer.answer(first)
        await peer.error(second, "forbidden")
        await peer.goodbye()

    sent: list[str] = []
    with caplog.at_level(logging.WARNING, "wsframe.client"):
        async with serve(script) as server, client_of(server) as client:
            sent.append(await client.send("log", {"n": 1}, message_id="mine"))
            sent.append(await client.send("log", {"n": 2}))
    assert sent[0] == "mine"
    assert "a message of type 'log': forbidden: no" in caplog.text


async def test_a_message_can_be_cancelled_by_its_id() -> None:
    async def script(server: Server) -> None:
        peer = await server.begin()
        ask = await peer.receive()
        for answer in (True, False):
            cancel = await peer.receive()
            assert cancel.content == {"id": ask.id}
            await peer.answer(cancel, {"cancelled": answer})
            if answer:
                await peer.error(ask, "cancelled")
        await peer.goodbye()

    async def ask() -> None:
        with pytest.raises(RequestError) as caught:
            await client.request("ask", message_id="7")
        assert caught.value.code == "cancelled"

    async with serve(script) as server, client_of(server) as client:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(ask)
            await settle()
            assert await client.cancel("7")
        assert not await client.cancel("7")


async def test_the_servers_limit_of_messages_in_flight_is_kept_and_cancel_is_exempt() -> None:
    async def script(server: Server) -> None:
        peer = await server.begin(limits={"maxInFlight": 2})
        asks = [await peer.receive(), await peer.receive()]
        cancel = await peer.receive()
        assert cancel.type == "cancel"
        await peer.answer(cancel, {"cancelled": True})
        await peer.answer(asks[0], {"n": 0})
        third = await peer.receive()
        assert third.content == {"n": 2}
        await peer.answer(asks[1], {"n": 1})
        await peer.answer(third, {"n": 2})
        await peer.goodbye()

    async def ask(n: int) -> None:
        assert (await client.request("ask", {"n": n})).content == {"n": n}

    async with (
        serve(script) as server,
        client_of(server) as client,
        anyio.create_task_group() as tasks,
    ):
        for n in range(3):
            tasks.start_soon(ask, n)
            await settle()
        assert await client.cancel("whatever")


async def test_too_many_pending_messages_are_an_error() -> None:
    async def script(server: Server) -> None:
        peer = await server.begin()
        ask = await peer.receive()
        await settle(1)
        await peer.answer(ask)
        await peer.goodbye()

    async with serve(script) as server, client_of(server, max_pending=1) as client:
        await client.send("text")
        with pytest.raises(RequestError) as caught:
            await client.request("text")
        assert (caught.value.code, caught.value.retryable) == ("too_many_pending", True)


async def test_a_message_that_is_too_big_for_the_server_is_not_sent() -> None:
    async def script(server: Server) -> None:
        peer = await server.begin(limits={"maxMessageBytes": 1_000})
        await peer.goodbye()

    async with serve(script) as server, client_of(server) as client:
        with pytest.raises(RequestError) as caught:
            await client.request("text", {"text": "x" * 1_000})
        assert (caught.value.code, caught.value.retryable) == ("message_too_big", False)


async def test_what_cannot_be_sent_is_refused_at_once() -> None:
    async def script(server: Server) -> None:
        peer = await server.begin()
        await peer.answer(await peer.receive())
        await peer.goodbye()

    async with serve(script) as server, client_of(server) as client:
        await client.send("text", message_id="1")
        for wrong, error in [
            ({"type": "no type"}, ValueError),
            ({"type": "text", "content": object()}, TypeError),
            ({"type": "text", "content": 2**70}, ValueError),
            ({"type": "text", "message_id": ""}, ValueError),
            ({"type": "text", "message_id": "x" * 129}, ValueError),
            ({"type": "text", "message_id": "1"}, ValueError),
        ]:
            with pytest.raises(error):
                await client.request(**wrong)


async def test_what_became_unsendable_while_it_waited_ends_alone() -> None:
    content: list[Any] = []

    async def script(server: Server) -> None:
        peer = await server.peer()
        await peer.accept()
        content.append(object())
        await peer.welcome()
        await peer.answer(await peer.receive(), {"n": 1})
        await peer.goodbye()

    async def ask() -> None:
        with pytest.raises(RequestError) as caught:
            await client.request("text", content)
        assert caught.value.code == "invalid_content"

    async with (
        serve(script) as server,
        client_of(server, open_timeout_s=0) as client,
        anyio.create_task_group() as tasks,
    ):
        tasks.start_soon(ask)
        await settle()
        assert (await client.request("text")).content == {"n": 1}


async def test_messages_travel_as_messagepack_where_that_is_chosen() -> None:
    async def script(server: Server) -> None:
        peer = await server.begin()
        assert peer.codec.binary
        ask = await peer.receive()
        assert ask.content == b"\x00\xff"
        await peer.answer(ask, b"\xff")
        await peer.goodbye()

    async with serve(script) as server, client_of(server, subprotocol="msgpack") as client:
        assert (await client.request("blob", b"\x00\xff")).content == b"\xff"


async def test_compression_is_offered_and_used() -> None:
    async def script(server: Server) -> None:
        peer = await server.peer()
        await peer.accept(deflate=True)
        await peer.welcome()
        ask = await peer.receive()
        await peer.answer(ask, ask.content)
        await peer.goodbye()

    async with serve(script) as server, client_of(server) as client:
        content = {"text": "abc" * 5_000}
        assert (await client.request("text", content)).content == content


async def test_a_server_without_subprotocols_is_spoken_to_in_json() -> None:
    async def script(server: Server) -> None:
        peer = await server.peer()
        await peer.accept(subprotocol=False)
        await peer.welcome()
        await peer.answer(await peer.receive(), {"n": 1})
        await peer.goodbye()

    async with serve(script) as server, client_of(server, subprotocol="msgpack") as client:
        assert (await client.request("text")).content == {"n": 1}


async def test_a_client_that_was_not_entered_sends_nothing() -> None:
    client = Client("ws://chat.example/ws")
    assert client.status == "closed"
    with pytest.raises(RequestError) as caught:
        await client.request("text")
    assert caught.value.code == "closed"


async def test_a_client_is_entered_once() -> None:
    async def script(server: Server) -> None:
        await (await server.begin()).goodbye()

    async with serve(script) as server:
        client = client_of(server)
        async with client:
            pass
        with pytest.raises(RuntimeError):
            await client.__aenter__()
