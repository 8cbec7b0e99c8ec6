"""Context variables and the primitives of anyio and asyncio, on workers that serve everybody."""

from __future__ import annotations

import asyncio
import functools
from contextvars import ContextVar
from typing import Any

import anyio
import pytest
import sniffio

from tests.server.harness import running
from wsframe import App, hookimpl

pytestmark = pytest.mark.anyio

user: ContextVar[str] = ContextVar("user", default="nobody")


def application(*plugins: object) -> App:
    app = App(plugins=plugins)

    async def become(message: Any, connection: Any) -> Any:
        before = user.get()
        user.set(message.content["name"])
        if message.content.get("waits"):
            await anyio.sleep(0.1)
        return {"before": before, "after": user.get()}

    app.add_handler("become", become)
    app.add_handler("become.beside", become, concurrent=True)

    @app.handler("who")
    async def who(message: Any, connection: Any) -> Any:
        return user.get()

    return app


@pytest.mark.parametrize("waits", [False, True])
@pytest.mark.parametrize("message_type", ["become", "become.beside"])
async def test_what_a_handler_sets_is_seen_by_no_other_message(
    message_type: str, waits: bool
) -> None:
    async with running(application()) as server:
        clients = [server.connect() for _ in range(3)]
        for _ in range(4):
            for number, client in enumerate(clients):
                client.send(message_type, {"name": f"user {number}", "waits": waits})
            await server.pass_time(1)
            for client in clients:
                assert (await client.ask("who"))["content"] == "nobody"
        for number, client in enumerate(clients):
            assert (
                client.contents(message_type)
                == [{"before": "nobody", "after": f"user {number}"}] * 4
            )


@pytest.mark.parametrize("streams", [False, True])
async def test_what_middleware_sets_is_seen_by_the_handler(streams: bool) -> None:
    app = App()

    async def middleware(message: Any, connection: Any, call_next: Any) -> Any:
        token = user.set(message.content)
        await anyio.sleep(0.01)
        try:
            return await call_next(message, connection)
        finally:
            user.reset(token)

    async def handler(message: Any, connection: Any) -> Any:
        await anyio.sleep(0.01)
        return user.get()

    async def stream(message: Any, connection: Any) -> Any:
        yield user.get()
        await anyio.sleep(0.01)
        yield user.get()

    app.use(middleware)
    app.add_handler("who", stream if streams else handler)
    async with running(app) as server:
        clients = [server.connect() for _ in range(3)]
        for number, client in enumerate(clients):
            client.send("who", f"user {number}", id="w")
        for number, client in enumerate(clients):
            answer = await client.answer("w")
            seen = client.parts("w") if streams else [answer["content"]]
            assert set(seen) == {f"user {number}"}


class Leaky:
    """Sets the variable wherever nobody else is meant to see it."""

    @hookimpl
    async def connection_opened(self, connection: Any) -> None:
        user.set("opened")

    @hookimpl
    async def message_sent(self, connection: Any, message: Any) -> None:
        user.set("sent")

    @hookimpl
    async def message_handled(self, connection: Any, message: Any) -> None:
        user.set("handled")

    @hookimpl
    async def connection_closed(self, connection: Any) -> None:
        user.set("closed")


class Gate:
    @hookimpl
    async def message_received(self, connection: Any, message: Any) -> None:
        user.set(f"gate of {message.id}")


async def test_what_other_hooks_set_is_seen_by_no_handler() -> None:
    async with running(application(Leaky())) as server:
        for _ in range(3):
            client = server.connect()
            for waits in (False, True):
                answer = await client.ask("become", {"name": "x", "waits": waits})
                assert answer["content"]["before"] == "nobody"
            await client.leave()


async def test_what_a_gate_sets_is_seen_by_its_own_message() -> None:
    async with running(application(Leaky(), Gate())) as server:
        client = server.connect()
        for _ in range(3):
            client.send("become", {"name": "x", "waits": True})
        await server.pass_time(1)
        assert [each["content"]["before"] for each in client.received] == [
            "gate of 1",
            "gate of 2",
            "gate of 3",
        ]


async def test_anyios_primitives_work_in_handlers() -> None:
    app = App()
    lock = anyio.Lock()

    async def primitives(message: Any, connection: Any) -> Any:
        found = {"library": sniffio.current_async_library()}
        with anyio.move_on_after(0.1) as scope:
            await anyio.sleep_forever()
        found["moved_on"] = scope.cancelled_caught
        with anyio.move_on_after(0) as scope:
            await anyio.sleep(1)
        found["at once"] = scope.cancelled_caught
        try:
            with anyio.fail_after(0.1):
                await anyio.sleep(1)
        except TimeoutError:
            found["failed"] = True
        results: list[int] = []

        async def add(number: int) -> None:
            await anyio.sleep(0.01 * number)
            results.append(number)

        async with anyio.create_task_group() as task_group:
            for number in (2, 1):
                task_group.start_soon(add, number)
        found["results"] = results
        async with lock:
            await anyio.sleep(0.01)
        send, receive = anyio.create_memory_object_stream[int](1)
        with send, receive:
            await send.send(5)
            found["received"] = await receive.receive()
        return found

    app.add_handler("primitives", primitives)
    app.add_handler("beside", primitives, concurrent=True)
    async with running(app) as server:
        clients = [server.connect() for _ in range(3)]
        for _ in range(3):  # the first time in a new worker, then begun for an idle one
            for client in clients:
                client.send("primitives", id=None)
                client.send("beside", id=None)
            await server.pass_time(5)
        for client in clients:
            assert [each["content"] for each in client.received] == [
                {
                    "library": "asyncio" if server.on_asyncio else "trio",
                    "moved_on": True,
                    "at once": True,
                    "failed": True,
                    "results": [1, 2],
                    "received": 5,
                }
            ] * 6
        assert server.busy == 0


async def test_asyncios_own_primitives_work_in_handlers() -> None:
    app = App()

    @app.handler("native")
    async def native(message: Any, connection: Any) -> Any:
        found = []
        for delay in (0, 0.1):
            try:
                async with asyncio.timeout(delay):
                    await asyncio.sleep(1)
            except TimeoutError:
                found.append("timeout")
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(asyncio.sleep(0.01, number)) for number in range(2)]
        found += [task.result() for task in tasks]
        found.append(await asyncio.wait_for(asyncio.sleep(0.01, "waited"), 1))
        child = asyncio.create_task(asyncio.sleep(10))
        await asyncio.sleep(0)
        child.cancel()
        found += [
            type(each).__name__ for each in await asyncio.gather(child, return_exceptions=True)
        ]
        return found

    async with running(app) as server:
        if not server.on_asyncio:
            return
        client = server.connect()
        for _ in range(3):
            assert (await client.ask("native"))["content"] == [
                "timeout", "timeout", 0, 1, "waited", "CancelledError",
            ]  # fmt: skip


@pytest.mark.parametrize("waits", [False, True])
async def test_a_timeout_of_the_handlers_own_is_its_own_failure(waits: bool) -> None:
    app = App()

    @app.handler("own")
    async def own(message: Any, connection: Any) -> Any:
        if waits:
            await anyio.sleep(0.1)
        with anyio.fail_after(1):
            await anyio.sleep(10)

    async with running(app) as server:
        client = server.connect()
        for _ in range(3):
            assert await client.error("own") == "handler_failed"
        assert server.busy == 0


async def test_a_handler_is_stopped_within_its_task_group_and_scopes() -> None:
    app = App()
    stopped = []

    @app.handler("nested", timeout_s=1)
    async def nested(message: Any, connection: Any) -> Any:
        async def child() -> None:
            try:
                await anyio.sleep_forever()
            finally:
                stopped.append("child")

        try:
            with anyio.move_on_after(100):
                async with anyio.create_task_group() as task_group:
                    task_group.start_soon(child)
                    await anyio.sleep_forever()
        finally:
            stopped.append("parent")

    async with running(app) as server:
        client = server.connect()
        for _ in range(3):
            assert await client.error("nested") == "timeout"
        assert stopped == ["child", "parent"] * 3
        assert server.busy == 0


@pytest.mark.parametrize("begins_in_a_task", [False, True])
async def test_a_handler_that_cancels_itself_fails_alone(begins_in_a_task: bool) -> None:
    app = App()

    @app.handler("cancel.self")
    async def cancel_self(message: Any, connection: Any) -> Any:
        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        if message.content == "returns":
            return "returned"
        try:
            await asyncio.sleep(1)
        except asyncio.CancelledError:
            if message.content != "recovers":
                raise
            task.uncancel()
            await asyncio.sleep(0.01)
        return "recovered"

    async with running(app) as server:
        if not server.on_asyncio:
            return
        if begins_in_a_task:
            server.from_callback = lambda function, *arguments: function(*arguments)  # type: ignore[method-assign]
        client = server.connect()
        for _ in range(3):
            assert (await client.ask("cancel.self", "recovers"))["content"] == "recovered"
            assert await client.error("cancel.self", "waits") == "handler_failed"
            assert (await client.ask("cancel.self", "returns"))["content"] == "returned"
        assert server.busy == 0
        assert not client.connection.session.serving


async def test_what_a_function_around_a_handler_sets_is_seen_by_no_other_message() -> None:
    app = App()

    async def who(message: Any, connection: Any) -> Any:
        return user.get()

    @functools.wraps(who)
    def around(message: Any, connection: Any) -> Any:
        before = user.get()
        user.set("leaked")
        return Awaitable(before)

    class Awaitable:
        """Can be awaited, and is no coroutine."""

        def __init__(self, value: str) -> None:
            self.value = value

        def __await__(self) -> Any:
            yield from anyio.sleep(0).__await__()
            return self.value

    app.add_handler("around", around)
    app.add_handler("who", who)
    async with running(app) as server:
        client = server.connect()
        for _ in range(3):
            assert (await client.ask("around"))["content"] == "nobody"
            assert (await client.ask("who"))["content"] == "nobody"
