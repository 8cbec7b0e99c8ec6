"""A server that is killed says nothing more, to nobody."""

from __future__ import annotations

from typing import Any

import anyio
import pytest

from tests.testing.faults.conftest import make_app
from tests.testing.faults.raw_client import RawClient
from wsframe import App, ConfigError, Connection, ConnectionClosed, Message, hookimpl
from wsframe.errors import StoreError
from wsframe.stores import SessionOwner, StoredSession
from wsframe.stores.memory import MemoryStore
from wsframe.testing import TestClient
from wsframe.testing.faults import KillableServer, Network
from wsframe.testing.faults.mortal_store import Life, MortalStore


class Observer:
    """A plugin that notes what it is told of the end."""

    def __init__(self) -> None:
        self.told: list[str] = []

    @hookimpl
    async def connection_closed(self, connection: Connection, code: int, reason: str) -> None:
        self.told.append(f"connection closed {code}")

    @hookimpl
    async def stopping(self, app: App) -> None:
        self.told.append("stopping")


async def test_a_killed_server_says_no_word_and_calls_no_hook() -> None:
    observer = Observer()
    ended = []

    def make() -> App:
        app = App(plugins=[observer])

        @app.handler("slow")
        async def slow(message: Message[Any], connection: Connection) -> dict[str, str]:
            try:
                await anyio.sleep(10)
            finally:
                ended.append(anyio.current_time())
                await connection.send({"type": "last", "content": "words"})
            return {}

        return app

    server = KillableServer(make)
    async with Network(server) as network:
        await server.start()
        client = await RawClient(await network.connect()).open()
        await client.send("slow", {}, "1")
        await anyio.sleep(5)
        await server.kill()
        assert server.runtime is None
        with pytest.raises((anyio.EndOfStream, anyio.BrokenResourceError)):
            await client.receive()
    assert ended == [pytest.approx(5)]
    assert observer.told == []


async def test_a_stopped_server_drains_and_calls_its_hooks() -> None:
    observer = Observer()
    async with (
        KillableServer(lambda: App(plugins=[observer])) as server,
        Network(server) as network,
    ):
        client = await RawClient(await network.connect()).open()
        async with anyio.create_task_group() as task_group:
            task_group.start_soon(server.stop)
            with pytest.raises(ConnectionClosed, match="1012"):
                while True:
                    message = await client.receive()
                    assert message.content["event"] == "draining"
            await client.stream.aclose()
    assert observer.told[-1] == "stopping"
    assert observer.told[0].startswith("connection closed")


async def test_each_life_has_a_new_application() -> None:
    server = KillableServer(make_app)
    async with server, Network(server) as network:
        first = server.app
        for life in (2, 3):
            await server.restart()
            assert server.lives == life
            client = await RawClient(await network.connect()).open()
            assert (await client.answer("text", {"text": "Hi"}, "1")).type == "text"
        await server.kill()
        await server.restart()
        assert server.app is not first
        assert first.runtime is None


async def test_a_client_in_memory_loses_a_killed_server_too(app: App) -> None:
    server = KillableServer(lambda: app)
    async with server:
        client = TestClient()
        await client.connect(app, init=False)
        await server.kill()
        assert await client.wait_closed() == (1006, "")


async def test_a_handler_that_ignores_its_end_does_not_keep_a_killed_server() -> None:
    app = App()
    let_go = anyio.Event()

    @app.handler("stubborn")
    async def stubborn(message: Message[Any], connection: Connection) -> None:
        with anyio.CancelScope(shield=True):
            await let_go.wait()

    server = KillableServer(lambda: app)
    async with Network(server) as network:
        await server.start()
        client = await RawClient(await network.connect()).open()
        await client.send("stubborn", {}, "1")
        await anyio.sleep(1)
        await server.kill()
        let_go.set()


async def test_an_application_that_cannot_start_says_why() -> None:
    class Failing:
        @hookimpl
        async def started(self, app: App) -> None:
            raise ConfigError("no database")

    server = KillableServer(lambda: App(plugins=[Failing()]))
    with pytest.raises(Exception, match="no database"):
        await server.start()
    assert server.runtime is None


class Diary:
    """A store that notes what it is asked."""

    survives = True

    def __init__(self) -> None:
        self.asked: list[str] = []

    def _note(self, what: str) -> None:
        self.asked.append(what)

    async def start(self, node: str, *, now: float) -> None:
        self._note(f"start {node} {now}")

    async def stop(self) -> None:
        self._note("stop")

    async def commit(self, changes: Any) -> frozenset[str]:
        self._note(f"commit {changes}")
        return frozenset()

    async def owner(self, session_id: str) -> SessionOwner | None:
        self._note(f"owner {session_id}")
        return None

    async def claim(self, session_id: str, *, now: float) -> StoredSession | None:
        self._note(f"claim {session_id} {now}")
        return None

    async def frames(self, session_id: str, *, after: int, limit: int) -> list[bytes]:
        self._note(f"frames {session_id} {after} {limit}")
        return [b"frame"]

    async def answers(self, session_id: str, *, after: int, limit: int) -> list[Any]:
        self._note(f"answers {session_id} {after} {limit}")
        return []

    async def renew(self, *, now: float, lease_s: float) -> None:
        self._note(f"renew {now} {lease_s}")

    async def expire(self, *, now: float, limit: int) -> list[str]:
        self._note(f"expire {now} {limit}")
        return ["over"]


async def use(store: Any) -> list[Any]:
    return [
        await store.start("n", now=1.0),
        await store.commit(["change"]),
        await store.owner("s"),
        await store.claim("s", now=2.0),
        await store.frames("s", after=3, limit=4),
        await store.answers("s", after=5, limit=6),
        await store.renew(now=7.0, lease_s=8.0),
        await store.expire(now=9.0, limit=10),
        await store.stop(),
    ]


async def test_a_mortal_store_hands_everything_on() -> None:
    store = Diary()
    mortal = MortalStore(store, Life())
    assert mortal.survives
    assert await use(mortal) == await use(store)
    assert store.asked[:9] == store.asked[9:]


async def test_nobody_writes_through_the_store_of_a_life_that_is_over() -> None:
    store, life = Diary(), Life()
    mortal = MortalStore(store, life)
    life.over = True
    asked = [
        mortal.start("n", now=1.0),
        mortal.commit([]),
        mortal.owner("s"),
        mortal.claim("s", now=2.0),
        mortal.frames("s", after=3, limit=4),
        mortal.answers("s", after=5, limit=6),
        mortal.renew(now=7.0, lease_s=8.0),
        mortal.expire(now=9.0, limit=10),
        mortal.stop(),
    ]
    for each in asked:
        with pytest.raises(StoreError, match="killed"):
            await each
    assert store.asked == []


async def test_the_store_is_the_same_in_each_life_and_hears_no_last_word() -> None:
    store = Diary()
    server = KillableServer(make_app, store=store)
    async with server, Network(server) as network:
        client = await RawClient(await network.connect()).open()
        await client.send("init", {}, "1")
        assert (await client.receive()).content["resumed"] is False
        await anyio.sleep(1)
        assert any("Opened" in asked for asked in store.asked)
        await server.kill()
        assert store.asked[-1] == "stop"  # as a dead process closes its files
        assert not any("Detached" in asked for asked in store.asked)
        asked = len(store.asked)
        await anyio.sleep(60)
        assert store.asked[asked:] == []
        await server.start()
        assert store.asked[asked].startswith("start")
    assert store.asked[-1] == "stop"
    assert store.asked.count("stop") == 2


async def test_what_is_stored_is_there_in_the_next_life() -> None:
    server = KillableServer(make_app, store=MemoryStore(survives=True))
    async with server, Network(server) as network:
        client = await RawClient(await network.connect()).open()
        session = (await client.answer("init", {}, "1")).content
        answered = await client.answer("text", {"text": "Hi"}, "2")
        await anyio.sleep(1)
        await server.restart()
        client = await RawClient(await network.connect()).open()
        resume = {"sessionId": session["sessionId"], "secret": session["secret"], "seq": 0}
        assert (await client.answer("init", {"resume": resume}, "3")).content["resumed"] is True
        assert (await client.receive()).id == answered.id
