"""Order: one at a time and in turn, unless the handler is concurrent."""

from __future__ import annotations

from typing import Any

import anyio
import pytest

from tests.server.harness import running
from wsframe import App

pytestmark = pytest.mark.anyio


def sleepers(**settings: Any) -> tuple[App, list[str]]:
    """Handlers that sleep as long as they are told, and note when they run."""
    app = App(**settings)
    notes: list[str] = []

    async def sleep(message: Any, connection: Any) -> Any:
        notes.append(f"+{message.id}")
        await anyio.sleep(message.content)
        notes.append(f"-{message.id}")
        return {}

    app.add_handler("wait", sleep)
    app.add_handler("beside", sleep, concurrent=True)
    return app, notes


async def test_messages_of_one_session_run_one_at_a_time_in_arrival_order() -> None:
    app, notes = sleepers()
    async with running(app) as server:
        client = server.connect()
        for message_id, seconds in (("a", 3), ("b", 0), ("c", 1)):
            client.send("wait", seconds, id=message_id)
        await client.answer("c")
        assert notes == ["+a", "-a", "+b", "-b", "+c", "-c"]
        assert [each["replyTo"] for each in client.received] == ["a", "b", "c"]


async def test_sessions_do_not_wait_for_each_other() -> None:
    app, notes = sleepers()
    async with running(app) as server:
        one, two = server.connect(), server.connect()
        one.send("wait", 3, id="a")
        two.send("wait", 1, id="b")
        await one.answer("a")
        assert sorted(notes[:2]) == ["+a", "+b"]  # trio starts tasks in any order
        assert notes[2:] == ["-b", "-a"]


async def test_concurrent_handlers_run_beside_each_other_and_beside_the_queue() -> None:
    app, notes = sleepers()
    async with running(app) as server:
        client = server.connect()
        client.send("beside", 3, id="a")
        client.send("beside", 2, id="b")
        client.send("wait", 1, id="c")
        await client.answer("a")
        assert [each["replyTo"] for each in client.received] == ["c", "b", "a"]
        assert sorted(notes[:3]) == ["+a", "+b", "+c"]


async def test_a_concurrent_handler_starts_in_its_turn() -> None:
    app, notes = sleepers()
    async with running(app) as server:
        client = server.connect()
        client.send("wait", 3, id="a")
        client.send("beside", 1, id="b")
        await client.answer("b")
        assert notes == ["+a", "-a", "+b", "-b"]


async def test_ping_ack_and_cancel_never_wait_behind_a_handler() -> None:
    app, _ = sleepers()
    async with running(app) as server:
        client = server.connect()
        client.send("wait", 50, id="a")
        await server.quiet()
        client.send("ping", id="p")
        client.send("ack", ack=0)
        client.send("cancel", {"id": "unknown"}, id="c")
        await server.quiet()
        assert [each["type"] for each in client.received] == ["pong", "cancel"]
        await client.answer("a")


async def test_too_many_messages_in_flight_are_refused_and_may_be_sent_again() -> None:
    app, notes = sleepers(max_in_flight=2)
    async with running(app) as server:
        client = server.connect()
        client.send("wait", 1, id="a")
        client.send("beside", 1, id="b")
        answer = await client.ask("wait", 0, id="c")
        assert answer["content"]["code"] == "too_many_in_flight"
        assert answer["content"]["retryable"] is True
        assert answer["content"]["details"] == {"limit": 2}
        client.send("wait", 0, id="a")  # known, and running: not one more
        await client.answer("b")
        client.send("wait", 0, id="c")
        await server.quiet()
        assert [each["type"] for each in client.finals("c")] == ["error", "wait"]
        assert len(client.finals("a")) == 1
        assert notes.count("+c") == 1


async def test_a_running_id_that_is_repeated_gets_the_one_answer() -> None:
    app, notes = sleepers()
    async with running(app) as server:
        client = server.connect()
        for _ in range(5):
            client.send("wait", 1, id="a")
        await client.answer("a")
        assert notes == ["+a", "-a"]


async def test_a_flood_of_messages_is_served_by_one_worker() -> None:
    app, _ = sleepers()
    async with running(app) as server:
        client = server.connect()
        for number in range(40):
            client.send("wait", 0.01, id=str(number))
        await server.quiet()
        assert server.busy == 1
        await client.answer("39")
        assert server.busy == 0
