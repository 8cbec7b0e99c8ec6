"""A bad network in memory: each fault by hand, as both ends see it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
import pytest

from tests.testing.faults.conftest import make_app
from tests.testing.faults.raw_client import RawClient
from wsframe import App
from wsframe.testing.faults import KillableServer, LineStream, Network, Plan, Way

HEAD = b"GET /healthz HTTP/1.1\r\nHost: testserver\r\n\r\n"


@asynccontextmanager
async def network_of(
    app: App, plan: Plan | None = None, *, seed: int = 0
) -> AsyncIterator[Network]:
    async with (
        KillableServer(lambda: app) as server,
        Network(server, plan or Plan(), seed=seed) as network,
    ):
        yield network


async def everything(stream: LineStream) -> bytes:
    data = b""
    while True:
        try:
            data += await stream.receive()
        except anyio.EndOfStream:
            return data


def links(app: App) -> list[object]:
    assert app.runtime is not None
    return list(app.runtime.node.links)


async def test_a_calm_network_carries_a_conversation(app: App) -> None:
    async with network_of(app) as network:
        client = await RawClient(await network.connect()).open()
        answer = await client.answer("text", {"text": "Hi"}, "1")
        assert answer.content == {"text": "Echo: Hi"}
        assert network.connected == 1
        assert [line.number for line in network.lines] == [1]


async def test_the_server_sees_the_address_that_is_given(app: App) -> None:
    async with network_of(app) as network:
        await RawClient(await network.connect(address="192.0.2.7")).open()
        assert app.runtime is not None
        (link,) = app.runtime.node.links
        assert link.address == "192.0.2.7"


async def test_an_application_that_runs_can_be_the_target_itself(app: App) -> None:
    async with KillableServer(lambda: app), Network(app) as network:
        stream = await network.connect()
        await stream.send(HEAD)
        assert (await stream.receive()).startswith(b"HTTP/1.1 200")


async def test_a_dropped_line_is_lost_at_both_ends_with_what_is_on_its_way(app: App) -> None:
    async with network_of(app, Plan(latency_s=(1.0, 1.0))) as network:
        stream = await network.connect()
        await stream.send(HEAD)
        await anyio.sleep(0.5)
        network.drop_all()
        with pytest.raises(anyio.BrokenResourceError):
            await stream.receive()
        with pytest.raises(anyio.BrokenResourceError):
            await stream.send(HEAD)
        await anyio.sleep(0.1)
        assert not links(app)
        assert not network.lines
        assert "#1 dropped" in network.log.tail()
        assert "→ server" not in "\n".join(network.log.lines)


@pytest.mark.parametrize("count", [0, 1, 20])
async def test_a_cut_to_the_client_lets_so_many_bytes_arrive(app: App, count: int) -> None:
    async with network_of(app) as network:
        stream = await network.connect()
        data = b""
        await stream.send(HEAD)
        stream.line.cut(Way.TO_CLIENT, count)
        with pytest.raises(anyio.BrokenResourceError):
            while True:
                data += await stream.receive()
        assert data == b"HTTP/1.1 200 OK\r\ncontent-type"[:count]
        await anyio.sleep(0.1)
        assert not links(app)


async def test_a_cut_to_the_server_ends_in_the_middle_of_a_request(app: App) -> None:
    async with network_of(app) as network:
        stream = await network.connect()
        stream.line.cut(Way.TO_SERVER, len(HEAD) - 1)
        await stream.send(HEAD)
        with pytest.raises(anyio.BrokenResourceError):
            await stream.receive()
        assert f"→ server {len(HEAD) - 1} bytes" in "\n".join(network.log.lines)


async def test_latency_delays_each_direction_and_keeps_the_order(app: App) -> None:
    async with network_of(app, Plan(latency_s=(0.1, 2.0)), seed=3) as network:
        client = await RawClient(await network.connect()).open()
        began = anyio.current_time()
        for number in range(20):
            await client.send("text", {"text": str(number)}, str(number))
        answers = [await client.receive() for _ in range(20)]
        assert [answer.reply_to for answer in answers] == [str(number) for number in range(20)]
        assert anyio.current_time() - began > 0.2


async def test_a_newer_line_overtakes_a_slow_one(app: App) -> None:
    async with network_of(app) as network:
        network.slow_down(lag_s=3)
        older, newer = await network.connect(), await network.connect()
        await older.send(HEAD)
        await newer.send(HEAD)
        assert (await newer.receive()).startswith(b"HTTP/1.1 200")
        assert (await older.receive()).startswith(b"HTTP/1.1 200")
        arrivals = [line.split(" s  ")[1] for line in network.log.lines if "→ server" in line]
        assert [line[:2] for line in arrivals] == ["#2", "#1"]


async def test_a_newer_handshake_overtakes_an_older_one(app: App) -> None:
    async with network_of(app) as network:
        network.slow_down(connect_s=5, lag_s=0)
        order = []

        async def connect(name: str) -> None:
            await network.connect()
            order.append(name)

        async with anyio.create_task_group() as task_group:
            task_group.start_soon(connect, "older")
            await anyio.sleep(1)
            task_group.start_soon(connect, "newer")
        assert order == ["newer", "older"]


async def test_what_a_lost_client_had_sent_arrives_when_it_is_on_a_new_line(app: App) -> None:
    async with network_of(app) as network:
        stream = await network.connect()
        await stream.send(HEAD)
        stream.line.ghost(4)
        with pytest.raises(anyio.BrokenResourceError):
            await stream.receive()
        await network.connect()
        assert [line.number for line in network.lines] == [1, 2]
        await anyio.sleep(4.5)
        assert [line.number for line in network.lines] == [2]
        assert f"4.000 s  #1 → server {len(HEAD)} bytes" in "\n".join(network.log.lines)


async def test_a_stalled_line_holds_the_sender_back_and_goes_on(app: App) -> None:
    async with network_of(app, Plan(window_bytes=1_000)) as network:
        stream = await network.connect()
        stream.line.stall(Way.TO_SERVER, 3)
        await stream.send(b"x" * 1_000)
        began = anyio.current_time()
        await stream.send(b"y")
        assert anyio.current_time() - began == pytest.approx(3)


async def test_a_stalled_line_may_die(app: App) -> None:
    async with network_of(app) as network:
        stream = await network.connect()
        stream.line.stall(Way.TO_CLIENT, 3, dies=True)
        await stream.send(HEAD)
        began = anyio.current_time()
        with pytest.raises(anyio.BrokenResourceError):
            await stream.receive()
        assert anyio.current_time() - began == pytest.approx(3)


async def test_a_client_that_does_not_read_holds_the_server_back(app: App) -> None:
    async with network_of(app) as network:
        client = await RawClient(await network.connect()).open()
        assert app.runtime is not None
        (link,) = app.runtime.node.links
        for number in range(20):
            await client.send("text", {"text": "x" * 10_000}, str(number))
        await anyio.sleep(1)
        assert not link.writable
        assert [(await client.receive()).reply_to for _ in range(20)] == [
            str(number) for number in range(20)
        ]
        await anyio.sleep(1)
        assert link.writable


async def test_a_server_that_does_not_read_holds_the_client_back(app: App) -> None:
    async with network_of(app, Plan(window_bytes=1_000)) as network:
        client = await RawClient(await network.connect()).open()
        assert app.runtime is not None
        (link,) = app.runtime.node.links
        link.pause_reading()
        await client.stream.send(b"x" * 1_000)
        with anyio.move_on_after(3) as waited:
            await client.stream.send(b"y")
        assert waited.cancelled_caught
        link.resume_reading()
        await client.stream.send(b"y")


async def test_a_direction_closed_to_the_server_ends_its_input(app: App) -> None:
    async with network_of(app) as network:
        stream = await network.connect()
        stream.line.half_close(Way.TO_SERVER)
        with pytest.raises(anyio.BrokenResourceError):
            await stream.send(HEAD)
        assert await everything(stream) == b""
        assert not network.lines


async def test_a_direction_closed_to_the_client_leaves_the_other_one(app: App) -> None:
    async with network_of(app) as network:
        stream = await network.connect()
        stream.line.half_close(Way.TO_CLIENT)
        assert await everything(stream) == b""
        await stream.send(HEAD)
        await anyio.sleep(0.1)
        assert "→ server" in "\n".join(network.log.lines)
        assert [line.number for line in network.lines] == [1]
        await stream.send_eof()
        await anyio.sleep(0.1)
        assert not network.lines


async def test_bytes_are_cut_and_joined_at_any_place(app: App) -> None:
    async with network_of(app, Plan(chunk_bytes=(1, 7))) as network:
        client = await RawClient(await network.connect()).open()
        answer = await client.answer("text", {"text": "Hi"}, "1")
        assert answer.content == {"text": "Echo: Hi"}
        sizes = {int(line.split()[-2]) for line in network.log.lines if "→" in line}
        assert sizes == set(range(1, 8))


async def test_reading_less_than_a_chunk_leaves_the_rest(app: App) -> None:
    async with network_of(app) as network:
        stream = await network.connect()
        await stream.send(HEAD)
        assert await stream.receive(4) == b"HTTP"
        assert await stream.receive(4) == b"/1.1"


async def test_connecting_is_refused_or_times_out(app: App) -> None:
    async with network_of(app) as network:
        network.refuse(2)
        network.time_out(after_s=7)
        for _ in range(2):
            with pytest.raises(ConnectionRefusedError):
                await network.connect()
        began = anyio.current_time()
        with pytest.raises(TimeoutError):
            await network.connect()
        assert anyio.current_time() - began == pytest.approx(7)
        assert (await network.connect()).line.number == 4


@pytest.mark.parametrize(
    ("plan", "error"),
    [
        (Plan(refused=1, calm_after_s=50), ConnectionRefusedError),
        (Plan(timed_out=1, calm_after_s=50), TimeoutError),
    ],
)
async def test_a_plan_refuses_too_until_it_is_calm(
    app: App, plan: Plan, error: type[Exception]
) -> None:
    async with network_of(app, plan) as network:
        with pytest.raises(error):
            await network.connect()
        await anyio.sleep(50)
        await network.connect()


async def test_nobody_listens_while_the_server_is_down() -> None:
    server = KillableServer(make_app)
    async with Network(server) as network:
        with pytest.raises(ConnectionRefusedError):
            await network.connect()
        async with server:
            await network.connect()


async def test_a_closed_stream_says_so_and_what_was_sent_arrives(app: App) -> None:
    async with network_of(app, Plan(latency_s=(1, 1))) as network:
        stream = await network.connect()
        await stream.send(HEAD)
        await stream.aclose()
        await stream.aclose()
        with pytest.raises(anyio.ClosedResourceError):
            await stream.receive()
        with pytest.raises(anyio.ClosedResourceError):
            await stream.send(b"")
        await anyio.sleep(10)
        assert "→ server" in "\n".join(network.log.lines)
        assert "the client is gone" in network.log.tail()
        assert not network.lines


async def test_bytes_for_a_server_that_has_closed_reset_the_line(app: App) -> None:
    async with network_of(app, Plan(latency_s=(1, 1))) as network:
        stream = await network.connect()
        stream.line.stall(Way.TO_CLIENT, 60)
        stream.line.link.close()
        await anyio.sleep(0.5)
        await stream.send(HEAD)
        with pytest.raises(anyio.BrokenResourceError):
            await stream.receive()
        assert "the server is gone" in network.log.tail()


async def test_a_fault_of_a_line_that_is_over_changes_nothing(app: App) -> None:
    async with network_of(app) as network:
        stream = await network.connect()
        stream.line.drop()
        stream.line.drop()
        stream.line.ghost(1)
        stream.line.cut(Way.TO_SERVER, 0)
        stream.line.stall(Way.TO_CLIENT, 1, dies=True)
        await anyio.sleep(2)
        assert network.log.tail().count("dropped") == 1
        assert repr(stream.line) == "<line #1>"


async def test_an_error_of_the_test_is_raised_as_it_is(app: App) -> None:
    with pytest.raises(ZeroDivisionError):
        async with network_of(app):
            _ = 1 / 0


async def test_a_stream_knows_addresses(app: App) -> None:
    async with network_of(app) as network:
        stream = await network.connect()
        assert stream.extra(anyio.abc.SocketAttribute.remote_address)[0] == "127.0.0.1"
        assert stream.extra(anyio.abc.SocketAttribute.local_address) == ("127.0.0.1", 1)
