"""Lost connections: what is sent again, what goes on, and what is said to be lost."""

from __future__ import annotations

import anyio
import pytest

from tests.client.scripted import Server, client_of, serve, settle
from wsframe.client import ConnectError, RequestError, Status


async def test_a_request_in_flight_waits_on_after_a_drop() -> None:
    async def script(server: Server) -> None:
        peer = await server.begin()
        ask = await peer.receive()
        await peer.drop()
        peer = await server.peer()
        init = await peer.resume(0, inFlight=[ask.id])
        assert init.content["resume"] == {
            "sessionId": "s1",
            "secret": "secret of s1",
            "seq": 0,
            "attempt": 2,
        }
        await peer.answer(ask, {"n": 1})
        await peer.goodbye()

    async with serve(script) as server, client_of(server, ack_delay_s=1e6) as client:
        assert (await client.request("text")).content == {"n": 1}
        assert client.status is Status.RESUMED
        await settle(10)


async def test_a_request_that_did_not_arrive_is_sent_again_with_its_id() -> None:
    async def script(server: Server) -> None:
        peer = await server.begin()
        first = await peer.receive()
        await peer.drop()
        peer = await server.peer()
        await peer.resume(0)
        again = await peer.receive()
        assert (again.id, again.content) == (first.id, {"text": "Hi"})
        await peer.answer(again, {"n": 1})
        await peer.answer(again, {"n": 2})
        await peer.answer(await peer.receive(), {"n": 3})
        await peer.goodbye()

    async with serve(script) as server, client_of(server) as client:
        assert (await client.request("text", {"text": "Hi"})).content == {"n": 1}
        assert (await client.request("text")).content == {"n": 3}


async def test_a_stream_goes_on_after_a_drop() -> None:
    async def script(server: Server) -> None:
        peer = await server.begin()
        ask = await peer.receive()
        await peer.part(ask, {"delta": "a"})
        await peer.send("tick", transient=True)
        await peer.drop()
        peer = await server.peer()
        init = await peer.resume(1, inFlight=[ask.id])
        assert init.content["resume"]["seq"] == 1
        await peer.part(ask, {"delta": "b"})
        await peer.drop()
        peer = await server.peer()
        await peer.resume(2, inFlight=[ask.id])
        await peer.part(ask, {"delta": "c"})
        await peer.answer(ask, {"done": True})
        await peer.goodbye()

    async with serve(script) as server, client_of(server) as client:
        stream = client.stream("ask")
        assert [part.content["delta"] async for part in stream] == ["a", "b", "c"]
        assert stream.final is not None
        assert stream.final.content == {"done": True}


async def test_a_stream_that_the_server_has_lost_after_its_first_part_is_interrupted() -> None:
    async def script(server: Server) -> None:
        peer = await server.begin()
        ask = await peer.receive()
        await peer.part(ask, {"delta": "a"})
        await peer.drop()
        peer = await server.peer()
        await peer.resume(1)
        await peer.goodbye()

    async with serve(script) as server, client_of(server) as client:
        stream = client.stream("ask")
        assert (await anext(stream)).content == {"delta": "a"}
        with pytest.raises(RequestError) as caught:
            await anext(stream)
        assert caught.value.code == "interrupted"
        assert caught.value.retryable


async def test_a_request_that_the_server_has_lost_after_its_first_part_is_sent_again() -> None:
    async def script(server: Server) -> None:
        peer = await server.begin()
        ask = await peer.receive()
        await peer.part(ask, {"delta": "a"})
        await peer.drop()
        peer = await server.peer()
        await peer.resume(1)
        again = await peer.receive()
        assert again.id == ask.id
        await peer.answer(again, {"done": True})
        await peer.goodbye()

    async with serve(script) as server, client_of(server) as client:
        assert (await client.request("ask")).content == {"done": True}


async def test_a_message_that_waits_to_be_retried_is_not_sent_while_the_server_has_it() -> None:
    async def script(server: Server) -> None:
        peer = await server.begin()
        ask = await peer.receive()
        await peer.error(ask, "busy", retryable=True, retryAfterMs=1_000)
        await peer.drop()
        peer = await server.peer()
        await peer.resume(1, inFlight=[ask.id])  # it has lost its answer, and will say so
        await anyio.sleep(5)
        await peer.error(ask, "interrupted", retryable=True)
        again = await peer.receive()
        assert again.id == ask.id
        await peer.part(again, {"delta": "a"})
        await peer.answer(again, {"done": True})
        await peer.goodbye()

    async with serve(script) as server, client_of(server) as client:
        stream = client.stream("ask")
        assert [part.content["delta"] async for part in stream] == ["a"]


async def test_a_gap_ends_streams_and_sends_requests_again() -> None:
    async def script(server: Server) -> None:
        peer = await server.begin()
        ask, text = await peer.receive(), await peer.receive()
        await peer.part(ask, {"delta": "a"})
        await settle()
        await peer.drop()
        peer = await server.peer()
        await peer.resume(9, gap={"from": 2, "to": 9}, inFlight=[ask.id])
        cancel = await peer.receive()
        assert (cancel.type, cancel.content) == ("cancel", {"id": ask.id})
        again = await peer.receive()
        assert again.id == text.id
        await peer.answer(again, {"n": 1})
        await peer.drop()
        peer = await server.peer()
        init = await peer.resume(10)
        assert init.content["resume"]["seq"] == 10
        await peer.goodbye()

    async def streaming() -> None:
        stream = client.stream("ask")
        assert (await anext(stream)).content == {"delta": "a"}
        with pytest.raises(RequestError) as caught:
            await anext(stream)
        assert (caught.value.code, caught.value.retryable) == ("gap", True)
        with pytest.raises(StopAsyncIteration):
            await anext(stream)

    async with serve(script) as server, client_of(server) as client:
        watcher = client.statuses()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(streaming)
            await settle()
            assert (await client.request("text")).content == {"n": 1}
        await settle(5)
        seen = [await anext(watcher) for _ in range(5)]
        assert seen == ["open", "connecting", "gap", "connecting", "resumed"]


async def test_a_lost_session_ends_what_had_been_sent_and_nothing_else() -> None:
    async def script(server: Server) -> None:
        peer = await server.begin(limits={"maxInFlight": 1})
        await peer.receive()
        await peer.drop()
        peer = await server.begin("s2")
        await peer.answer(await peer.receive(), {"n": 2})
        await peer.goodbye()

    async def first() -> None:
        with pytest.raises(RequestError) as caught:
            await client.request("text")
        assert (caught.value.code, caught.value.retryable) == ("session_lost", True)

    async with serve(script) as server, client_of(server) as client:
        assert client.session_id == "s1"
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(first)
            await settle()
            assert (await client.request("second")).content == {"n": 2}
        assert (client.session_id, client.status) == ("s2", "open")


async def test_pushed_messages_come_once_and_in_order_over_drops() -> None:
    async def script(server: Server) -> None:
        peer = await server.begin()
        for n in (1, 2, 3):
            await peer.send("pushed", {"n": n})
        await settle()
        await peer.drop()
        peer = await server.peer()
        await peer.resume(3)
        for n in (4, 5):
            await peer.send("pushed", {"n": n})
        await peer.goodbye()

    async with serve(script) as server, client_of(server) as client:
        seen = []
        async for message in client.messages():
            seen.append(message.content["n"])
            if len(seen) == 5:
                break
        assert seen == [1, 2, 3, 4, 5]


async def test_what_was_abandoned_while_disconnected_is_cancelled_later() -> None:
    cancelled = anyio.Event()

    async def script(server: Server) -> None:
        peer = await server.begin()
        ask = await peer.receive()
        await peer.drop()
        await anyio.sleep(5)
        peer = await server.peer()
        await peer.resume(0, inFlight=[ask.id])
        cancel = await peer.receive()
        assert (cancel.type, cancel.content) == ("cancel", {"id": ask.id})
        cancelled.set()
        await peer.goodbye()

    async with serve(script) as server, client_of(server) as client:
        with pytest.raises(RequestError) as caught:
            await client.request("text", timeout_s=2)
        assert (caught.value.code, caught.value.retryable) == ("timeout", True)
        await cancelled.wait()


@pytest.mark.parametrize(
    "content",
    [
        {"resumed": True, "sessionId": "other"},
        {"resumed": True, "seq": 7},
        {"seq": -1},
        {"secret": 5},
        {"gap": {"from": 1}},
        {"inFlight": "all"},
        {"heartbeat": {"intervalMs": "often"}},
    ],
    ids=str,
)
async def test_an_answer_to_init_that_makes_no_sense_is_not_believed(content: dict) -> None:
    async def script(server: Server) -> None:
        await (await server.begin()).drop()
        peer = await server.peer()
        await peer.begin(**content)
        peer = await server.peer()
        await peer.resume(0)
        await peer.answer(await peer.receive())
        await peer.goodbye()

    async with serve(script) as server, client_of(server) as client:
        await client.request("text")


async def test_a_session_taken_over_is_final() -> None:
    async def script(server: Server) -> None:
        peer = await server.begin()
        await peer.receive()
        await peer.close(4409, "taken over")

    async with serve(script) as server, client_of(server) as client:
        with pytest.raises(ConnectError) as caught:
            await client.request("text")
        assert caught.value.close_code == 4409
        assert "taken over" in str(caught.value)
        assert len(server.attempts_at) == 1
