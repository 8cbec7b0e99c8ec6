"""A session that is watched tells what becomes of its messages, one that is not does not notice."""

from __future__ import annotations

from typing import Any

import anyio
import pytest

from tests.server.harness import JSON, Client, Server, running
from tests.server.stores import KEPT, Keeping
from wsframe import App, CloseConnection, Refused, SessionWatch, hookimpl
from wsframe.session import Session
from wsframe.stores.memory import MemoryStore

pytestmark = pytest.mark.anyio


class Notes(SessionWatch):
    """Notes what it is told."""

    def __init__(self, session: Session[Any]) -> None:
        self.session = session
        self.told: list[tuple[Any, ...]] = []

    def accepted(self, handling: Any) -> None:
        self.told.append(("accepted", handling.id, handling.message.type))

    def repeated(self, message_id: str, number: int | None) -> None:
        self.told.append(("repeated", message_id, number))

    def gated(self, message_id: str, plugin: str, elapsed_s: float, refusal: str | None) -> None:
        assert 0 <= elapsed_s < 60
        self.told.append(("gated", message_id, plugin, refusal))

    def part_sent(self, message_id: str, number: int) -> None:
        self.told.append(("part", message_id, number))

    def failed(self, message_id: str | None, code: str, error: str | None) -> None:
        self.told.append(("failed", message_id, code, error))

    def answered(self, message_id: str, number: int, size: int) -> None:
        assert size > 0
        self.told.append(("answered", message_id, number))

    def written(self, number: int) -> None:
        self.told.append(("written", number))

    def acknowledged(self, number: int) -> None:
        self.told.append(("acknowledged", number))

    def dropped(self, connection_id: str, code: int) -> None:
        self.told.append(("dropped", code))

    def resumed(self, connection_id: str, received: int, gap: Any) -> None:
        self.told.append(("resumed", received, gap))

    def ended(self) -> None:
        self.told.append(("ended",))

    def about(self, message_id: str) -> list[Any]:
        """What it was told of one message, without the message's id."""
        return [(one[0], *one[2:]) for one in self.told if message_id in one[1:2]]


class Watching:
    """An application whose every session is watched, and the notes."""

    def __init__(self, *plugins: object, **settings: Any) -> None:
        self.app = App(plugins=plugins, **settings)
        self.notes: list[Notes] = []
        self.app.watch_sessions(self._choose)

        @self.app.handler("echo")
        async def echo(message: Any, connection: Any) -> Any:
            return message.content

        @self.app.handler("slow", concurrent=True)
        async def slow(message: Any, connection: Any) -> Any:
            await anyio.sleep(message.content["seconds"])
            return {}

        @self.app.handler("count")
        async def count(message: Any, connection: Any) -> Any:
            for number in range(3):
                yield {"n": number}

        @self.app.handler("broken")
        async def broken(message: Any, connection: Any) -> Any:
            raise KeyError("a secret")

    def _choose(self, session: Session[Any]) -> SessionWatch:
        self.notes.append(Notes(session))
        return self.notes[-1]


async def begun(server: Server) -> tuple[Client, Any]:
    client = server.connect(JSON)
    content = (await client.ask("init", id="i"))["content"]
    return client, {"sessionId": content["sessionId"], "secret": content["secret"]}


async def test_a_watch_is_told_of_a_message_from_its_acceptance_to_its_acknowledgement() -> None:
    watching = Watching()
    async with running(watching.app) as server:
        client, _ = await begun(server)
        await client.ask("echo", {}, id="a")
        client.send("ack", ack=1)
        await server.quiet()
    (notes,) = watching.notes
    assert notes.told == [
        ("accepted", "i", "init"),
        ("accepted", "a", "echo"),
        ("answered", "a", 1),
        ("written", 1),
        ("acknowledged", 1),
    ]


async def test_a_watch_is_told_when_an_answer_waits_for_its_client_and_is_written_again() -> None:
    watching = Watching()
    async with running(watching.app) as server:
        first, ticket = await begun(server)
        await first.ask("echo", {}, id="a")
        first.send("slow", {"seconds": 5}, id="b")
        await server.quiet()
        await first.leave(1006)
        await server.pass_time(6)
        second = server.connect(JSON)
        await second.ask("init", {"resume": {**ticket, "seq": 0}}, id="i")
        notes = watching.notes[0]
        told = notes.told[notes.told.index(("dropped", 1006)) :]
    assert told == [
        ("dropped", 1006),
        ("answered", "b", 2),
        ("resumed", 0, None),
        ("written", 2),
    ]


async def test_a_watch_is_told_of_parts_and_of_repetitions() -> None:
    watching = Watching()
    async with running(watching.app) as server:
        client, _ = await begun(server)
        await client.ask("count", {}, id="c")
        client.send("slow", {"seconds": 1}, id="s")
        client.send("slow", {"seconds": 1}, id="s")
        client.send("count", {}, id="c")
        await server.pass_time(2)
    notes = watching.notes[0]
    assert notes.about("c") == [
        ("accepted", "count"),
        ("part", 1),
        ("part", 2),
        ("part", 3),
        ("answered", 4),
        ("repeated", 5),
    ]
    assert notes.about("s") == [("accepted", "slow"), ("repeated", None), ("answered", 6)]


class Gate:
    def __init__(self, refusal: Exception | None = None, delay_s: float = 0) -> None:
        self.refusal = refusal
        self.delay_s = delay_s

    @hookimpl
    async def message_received(self) -> None:
        await anyio.sleep(self.delay_s)
        if self.refusal is not None:
            raise self.refusal


class FirstGate(Gate):
    """Passes."""


@pytest.mark.parametrize(
    ("refusal", "code", "answer"),
    [
        (Refused("rate_limited"), "rate_limited", "rate_limited"),
        (CloseConnection(4403, "go"), "close", "cancelled"),
        (ValueError("a secret"), "internal", "internal"),
    ],
    ids=["refused", "closed", "broken"],
)
async def test_a_watch_is_told_which_gate_passed_and_which_refused(
    refusal: Exception, code: str, answer: str
) -> None:
    watching = Watching(FirstGate(delay_s=0.25), Gate(refusal))
    async with running(watching.app) as server:
        client, _ = await begun(server)
        client.send("echo", {}, id="a")
        await server.pass_time(1)
        first, second = (name for name, _ in server.runtime.sender.hooks.message_received)
    about = watching.notes[0].about("a")
    assert about[:4] == [
        ("accepted", "echo"),
        ("gated", first, None),
        ("gated", second, code),
        ("failed", answer, None),
    ]
    assert about[4][0] == "answered"


async def test_a_watch_is_told_of_a_gate_in_which_a_message_ran_out_of_time() -> None:
    watching = Watching(Gate(delay_s=100), message_timeout_s=2)
    async with running(watching.app) as server:
        client, _ = await begun(server)
        assert await client.error("echo", {}, id="a") == "timeout"
        ((plugin, _),) = server.runtime.sender.hooks.message_received
    about = watching.notes[0].about("a")
    assert [(name, *rest[:1]) for name, *rest in about] == [
        ("accepted", "echo"), ("gated", plugin), ("failed", "timeout"), ("answered", 1),
    ]  # fmt: skip
    assert about[1][-1] == "stopped"


async def test_a_watch_is_told_the_type_of_an_error_and_not_its_text() -> None:
    watching = Watching()
    async with running(watching.app) as server:
        client, _ = await begun(server)
        await client.error("broken", {}, id="a")
        await client.error("no-such-type", {}, id="b")
    notes = watching.notes[0]
    assert notes.about("a")[1] == ("failed", "handler_failed", "KeyError")
    assert notes.about("b")[1] == ("failed", "unknown_type", None)
    assert "a secret" not in repr(notes.told)


async def test_a_watch_is_told_of_what_was_refused_before_it_was_accepted() -> None:
    watching = Watching(max_in_flight=1)
    async with running(watching.app) as server:
        client, _ = await begun(server)
        client.send("slow", {"seconds": 1}, id="a")
        client.send("echo", {}, id="b")
        client.raw("no json")
        await server.quiet()
        server.runtime.dispatcher.draining = True
        await server.pass_time(2)
        client.send("echo", {}, id="d")
        await server.quiet()
    notes = watching.notes[0]
    assert notes.about("b") == [("failed", "too_many_in_flight", None)]
    assert notes.about(None) == [("failed", "invalid_json", None)]  # type: ignore[arg-type]
    assert notes.about("d") == [("accepted", "echo"), ("failed", "draining", None), ("answered", 4)]


async def test_an_answer_to_a_session_that_is_over_has_no_number() -> None:
    watching = Watching()
    async with running(watching.app) as server:
        client, _ = await begun(server)
        client.send("slow", {"seconds": 5}, id="a")
        await server.quiet()
        await client.leave(1000)
        await server.pass_time(10)
    assert watching.notes[0].told[1:] == [
        ("accepted", "a", "slow"),
        ("dropped", 1000),
        ("ended",),
        ("failed", "a", "cancelled", None),
        ("answered", "a", 0),
    ]


@pytest.mark.parametrize("method", ["accepted", "answered", "written"])
async def test_a_watch_that_fails_is_told_nothing_more_and_the_client_gets_its_answer(
    method: str, caplog: pytest.LogCaptureFixture
) -> None:
    watching = Watching()
    calls = []

    class Failing(SessionWatch):
        def __init__(self) -> None:
            setattr(self, method, self.fail)

        def fail(self, *arguments: Any) -> None:
            calls.append(arguments)
            raise SystemExit(3)

    watching.app.watch_sessions(lambda _session: Failing())
    async with running(watching.app) as server:
        client, _ = await begun(server)
        assert (await client.ask("echo", {"n": 1}, id="a"))["content"] == {"n": 1}
        assert (await client.ask("echo", {"n": 2}, id="b"))["content"] == {"n": 2}
    assert len(calls) == 1
    assert f"Failing.{method} failed" in caplog.text
    assert ("accepted", "b", "echo") in watching.notes[0].told


async def test_a_session_for_which_choosing_fails_is_not_watched(
    caplog: pytest.LogCaptureFixture,
) -> None:
    app = App()

    def choose(session: Session[Any]) -> SessionWatch | None:
        raise ValueError

    app.watch_sessions(choose)
    async with running(app) as server:
        client, _ = await begun(server)
        assert client.connection.session.watched is None
    assert "choosing failed" in caplog.text


async def test_nothing_is_told_of_a_session_that_nobody_chose() -> None:
    app = App()
    app.watch_sessions(lambda _session: None)
    async with running(app) as server:
        client, _ = await begun(server)
        session = client.connection.session
        assert (session.watched, session.recorder) == (None, None)


async def test_an_answer_that_waits_for_its_store_is_written_when_that_has_it() -> None:
    class Slow(MemoryStore):
        async def commit(self, changes: Any) -> Any:
            await anyio.sleep(1)
            return await super().commit(changes)

    watching = Watching(Keeping(Slow(survives=True)), store=KEPT, durability="strict")
    async with running(watching.app) as server:
        client, _ = await begun(server)
        client.send("echo", {}, id="a")
        await server.pass_time(0.5)
        notes = watching.notes[0]
        assert notes.told[-1] == ("answered", "a", 1)
        await client.answer("a")
        assert notes.told[-1] == ("written", 1)


@pytest.mark.parametrize("durability", ["batched", "strict"])
async def test_a_session_that_comes_from_its_store_is_watched_by_the_next_process(
    durability: str,
) -> None:
    store = MemoryStore(survives=True)
    async with running(Watching(Keeping(store), store=KEPT, durability=durability).app) as server:
        client, ticket = await begun(server)
        await client.ask("echo", {}, id="a")
        client.send("slow", {"seconds": 100}, id="b")
        await server.pass_time(1)
        server.killed = True
    watching = Watching(Keeping(store), store=KEPT, durability=durability)
    async with running(watching.app) as server:
        again = server.connect(JSON)
        await again.ask("init", {"resume": {**ticket, "seq": 0}}, id="i")
        await again.answer("b")
        again.send("ack", ack=2)
        await server.quiet()
        notes = next(one for one in watching.notes if one.session.id == ticket["sessionId"])
        assert [one for one in notes.told if one[0] != "written"] == [
            ("answered", "b", 2),
            ("resumed", 0, None),
            ("acknowledged", 2),
        ]
        assert ("written", 2) in notes.told
        session = again.connection.session
        assert session.watched is not None
        assert session.watched.store is not None
        server.killed = True


class Plugin:
    """Watches, as plugins do."""

    @hookimpl
    def setup(self, app: App) -> None:
        app.watch_sessions(Notes)


async def test_what_a_plugin_watches_it_watches_until_the_application_stops() -> None:
    app = App(plugins=[Plugin()])
    for _ in range(2):
        async with running(app) as server:
            client, _ = await begun(server)
            assert client.connection.session.watched is not None
            assert len(server.runtime.dispatcher.sessions.watchers) == 1
