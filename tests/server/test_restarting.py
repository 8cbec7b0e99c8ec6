"""What a store makes of a restart: sessions, answers and replay survive; runs are interrupted."""

from __future__ import annotations

from typing import Any

import anyio
import pytest

from tests.server.harness import JSON, Client, Server, running
from tests.server.stores import KEPT, Keeping
from wsframe import App, Identity
from wsframe.errors import StoreError
from wsframe.server import journal as journal_module
from wsframe.stores import Change, Sent
from wsframe.stores.memory import MemoryStore

pytestmark = pytest.mark.anyio


@pytest.fixture(params=["batched", "strict"])
def durability(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore(survives=True)


def chat(store: MemoryStore, durability: str = "strict", **settings: Any) -> App:
    app = App(plugins=[Keeping(store)], store=KEPT, durability=durability, **settings)

    @app.handler("echo")
    async def echo(message: Any, connection: Any) -> Any:
        return message.content

    @app.handler("slow", timeout_s=None)
    async def slow(message: Any, connection: Any) -> Any:
        await anyio.sleep(message.content["seconds"])
        return {}

    @app.handler("enter")
    async def enter(message: Any, connection: Any) -> Any:
        await connection.join(message.content)

    return app


async def begun(server: Server, **options: Any) -> tuple[Client, dict[str, Any]]:
    client = server.connect(JSON, **options)
    content = (await client.ask("init", id="i"))["content"]
    return client, {"sessionId": content["sessionId"], "secret": content["secret"]}


async def resumed(server: Server, ticket: Any, seq: int, **options: Any) -> tuple[Client, Any]:
    client = server.connect(JSON, **options)
    answer = await client.ask("init", {"resume": {**ticket, "seq": seq}}, id="i")
    return client, answer["content"]


@pytest.mark.parametrize("killed", [True, False])
async def test_a_session_goes_on_after_a_restart(
    store: MemoryStore, durability: str, killed: bool
) -> None:
    async with running(chat(store, durability)) as server:
        first, ticket = await begun(server)
        for number in range(3):
            await first.ask("echo", {"n": number}, id=f"e{number}")
        await server.pass_time(1)
        server.killed = killed
    async with running(chat(store, durability)) as server:
        second, content = await resumed(server, ticket, 1)
        assert content["resumed"] is True
        assert (content["seq"], content["gap"]) == (1, None)
        assert content["inFlight"] == ["e1", "e2"]
        assert second.contents("echo") == [{"n": 1}, {"n": 2}]
        again = await second.ask("echo", {"n": 9}, id="e0")
        assert again == first.finals("e0")[0]
        assert (await second.ask("echo", {"n": 5}, id="e5"))["content"] == {"n": 5}
    async with running(chat(store, durability)) as server:  # and once more
        third, content = await resumed(server, ticket, 5)
        assert content["resumed"] is True
        assert third.contents("echo") == []
        assert (await third.ask("echo", {"n": 9}, id="e5"))["content"] == {"n": 5}


async def test_what_ran_when_the_process_died_is_answered_interrupted(
    store: MemoryStore, durability: str
) -> None:
    async with running(chat(store, durability)) as server:
        first, ticket = await begun(server)
        first.send("slow", {"seconds": 100}, id="a")
        first.send("slow", {"seconds": 0}, id="b")
        await server.pass_time(1)
        server.killed = True
    async with running(chat(store, durability)) as server:
        second, content = await resumed(server, ticket, 0)
        assert content["inFlight"] == ["a", "b"]
        for message_id in "ab":
            error = (await second.answer(message_id))["content"]
            assert (error["code"], error["retryable"]) == ("interrupted", True)
        second.send("slow", {"seconds": 1}, id="a")  # the id is free again
        await server.pass_time(2)
        assert second.finals("a")[-1]["type"] == "slow"


async def test_what_runs_when_the_server_stops_is_finished_or_interrupted(
    store: MemoryStore,
) -> None:
    app = chat(store, drain_timeout_s=5.0)
    async with running(app) as server:
        first, ticket = await begun(server)
        first.send("slow", {"seconds": 2}, id="a")
        first.send("slow", {"seconds": 60}, id="b")
        await server.quiet()
        await first.leave()
        await server.runtime.drain()
    async with running(chat(store)) as server:
        second, content = await resumed(server, ticket, 0)
        assert content["resumed"] is True
        assert (await second.answer("a"))["type"] == "slow"
        assert (await second.answer("b"))["content"]["code"] == "interrupted"


async def test_in_strict_mode_nothing_leaves_before_it_is_stored(store: MemoryStore) -> None:
    class Slow(MemoryStore):
        async def commit(self, changes: Any) -> Any:
            await anyio.sleep(1)
            return await super().commit(changes)

    slow = Slow(survives=True)
    async with running(chat(slow)) as server:
        client, _ = await begun(server)
        client.send("echo", {"n": 1}, id="a")
        await server.pass_time(0.5)
        assert client.finals("a") == []
        await client.answer("a")
        client.send("echo", {"n": 2}, id="b")
        await server.quiet()
        await server.app.broadcast({"type": "typing", "transient": True})
        client.send("echo", {"n": 3}, id="c")
        await client.answer("c")
        assert [each["type"] for each in client.received] == [
            "init", "echo", "echo", "typing", "echo",
        ]  # fmt: skip


async def test_in_batched_mode_an_answer_may_leave_first_and_counting_goes_on_behind_it(
    store: MemoryStore,
) -> None:
    async with running(chat(store, "batched")) as server:
        first, ticket = await begun(server)
        await first.ask("echo", id="a")
        await server.pass_time(1)
        await first.ask("echo", id="b")
        assert first.count == 2
        server.killed = True
        server.runtime.dispatcher.journal.record = lambda change: None  # type: ignore[union-attr, method-assign]
        server.runtime.dispatcher.journal._waiting.clear()  # type: ignore[union-attr]
    async with running(chat(store, "batched")) as server:
        second, content = await resumed(server, ticket, 2)
        assert (content["resumed"], content["seq"]) == (True, 2)
        assert (await second.ask("echo", id="b"))["type"] == "echo"
        await server.pass_time(1)
    async with running(chat(store, "batched")) as server:
        third, content = await resumed(server, ticket, 2)
        assert (content["resumed"], content["seq"], content["gap"]) == (True, 2, None)
        assert len(third.finals("b")) == 1


async def test_rooms_and_identity_survive(store: MemoryStore) -> None:
    ada = Identity(subject="ada", scopes=frozenset({"chat"}))
    async with running(chat(store)) as server:
        first, ticket = await begun(server, identity=ada)
        await first.ask("enter", "lobby")
        await first.ask("enter", "attic")
        await first.connection.leave("attic")
        await server.pass_time(1)
        server.killed = True
    app = chat(store)
    async with running(app) as server:
        _, content = await resumed(server, ticket, 2)
        assert content["resumed"] is False  # somebody else
        second, content = await resumed(server, ticket, 2, identity=ada)
        assert content["resumed"] is True
        assert second.connection.rooms == {"lobby"}
        assert await app.rooms.publish("lobby", {"type": "said"}) == 1
        await server.pass_time(1)
        assert second.contents("said") == [{}]


async def test_a_session_that_was_ended_is_gone_from_the_store(store: MemoryStore) -> None:
    async with running(chat(store)) as server:
        first, ticket = await begun(server)
        await first.ask("echo")
        await first.leave(1000)
        await server.pass_time(1)
        assert await store.owner(ticket["sessionId"]) is None


@pytest.mark.parametrize("wrong", ["secret", "sessionId"])
async def test_a_stored_session_is_not_claimed_by_a_stranger(
    store: MemoryStore, wrong: str
) -> None:
    async with running(chat(store)) as server:
        _, ticket = await begun(server)
        await server.pass_time(1)
        server.killed = True
    async with running(chat(store)) as server:
        _, content = await resumed(server, {**ticket, wrong: "x"}, 0)
        assert content["resumed"] is False
        assert server.metrics["sessions"] == {"active": 1, "detached": 0}
        _, content = await resumed(server, ticket, 0)
        assert content["resumed"] is True


async def test_two_connections_that_resume_at_once_get_one_session(store: MemoryStore) -> None:
    class Slow(MemoryStore):
        async def claim(self, session_id: str, *, now: float) -> Any:
            await anyio.sleep(1)
            return await super().claim(session_id, now=now)

    slow = Slow(survives=True)
    async with running(chat(slow)) as server:
        first, ticket = await begun(server)
        await first.ask("echo")
        await server.pass_time(1)
        server.killed = True
    async with running(chat(slow)) as server:
        clients = [server.connect(JSON) for _ in range(3)]
        for client in clients:
            client.send("init", {"resume": {**ticket, "seq": 0}}, id="i")
        await server.pass_time(5)
        assert [each.finals("i")[0]["content"]["resumed"] for each in clients] == [True] * 3
        assert [each.close_code for each in clients].count(4409) == 2
        assert server.metrics["sessions"] == {"active": 1, "detached": 0}


async def test_a_client_that_leaves_while_its_session_is_read_may_come_again(
    store: MemoryStore,
) -> None:
    class Slow(MemoryStore):
        async def claim(self, session_id: str, *, now: float) -> Any:
            await anyio.sleep(1)
            return await super().claim(session_id, now=now)

    slow = Slow(survives=True)
    async with running(chat(slow)) as server:
        first, ticket = await begun(server)
        first.send("slow", {"seconds": 100}, id="a")
        await server.pass_time(1)
        server.killed = True
    async with running(chat(slow)) as server:
        client = server.connect(JSON)
        client.send("init", {"resume": {**ticket, "seq": 0}}, id="i")
        await server.pass_time(0.5)
        await client.leave()
        await server.pass_time(5)
        assert server.metrics["sessions"] == {"active": 1, "detached": 1}
        second, content = await resumed(server, ticket, 0)
        assert content["resumed"] is True
        assert (await second.answer("a"))["content"]["code"] == "interrupted"


async def test_a_store_that_fails_at_the_start_is_closed_again() -> None:
    closed = []

    class Unsteady(MemoryStore):
        async def renew(self, *, now: float, lease_s: float) -> None:
            raise StoreError("not now")

        async def stop(self) -> None:
            closed.append(True)

    with pytest.raises(BaseExceptionGroup) as raised:
        async with running(chat(Unsteady(survives=True))):
            pass
    assert raised.group_contains(StoreError, match="not now")
    assert closed == [True]


async def test_a_server_may_stop_while_a_session_is_being_read_from_the_store() -> None:
    class Slow(MemoryStore):
        async def stop(self) -> None:
            await anyio.sleep(2)

        async def claim(self, session_id: str, *, now: float) -> Any:
            await anyio.sleep(1)
            return await super().claim(session_id, now=now)

    store = Slow(survives=True)
    async with running(chat(store)) as server:
        first, ticket = await begun(server)
        await first.ask("echo", {"n": 1})
        await server.pass_time(1)
        server.killed = True
    async with running(chat(store)) as server:
        client = server.connect(JSON)
        client.send("init", {"resume": {**ticket, "seq": 0}}, id="i")
        await server.quiet()
        await client.leave()
    async with running(chat(store)) as server:
        second, content = await resumed(server, ticket, 0)
        assert content["resumed"] is True
        assert second.contents("echo") == [{"n": 1}]


class Failing(MemoryStore):
    """Fails as long as it is told to."""

    fails = False

    error: Exception = StoreError("the disk is full")

    def _work(self) -> None:
        if self.fails:
            raise self.error

    async def commit(self, changes: Any) -> Any:
        self._work()
        return await super().commit(changes)

    async def renew(self, *, now: float, lease_s: float) -> None:
        self._work()
        await super().renew(now=now, lease_s=lease_s)

    async def owner(self, session_id: str) -> Any:
        self._work()
        return await super().owner(session_id)


@pytest.mark.parametrize("error", [StoreError("the disk is full"), TypeError("the disk is full")])
async def test_a_store_that_fails_for_a_while_loses_nothing(
    caplog: pytest.LogCaptureFixture, error: Exception
) -> None:
    store = Failing(survives=True)
    store.error = error
    async with running(chat(store)) as server:
        client, ticket = await begun(server)
        await client.ask("echo", id="a")
        store.fails = True
        client.send("echo", id="b")
        await server.pass_time(20)
        assert client.finals("b") == []
        assert not server.runtime.stores_well
        stranger = server.connect(JSON)
        stranger.send("init", {"resume": {"sessionId": "x", "secret": "y", "seq": 0}}, id="i")
        await server.pass_time(1)
        assert stranger.finals("i")[0]["content"]["code"] == "unavailable"
        assert stranger.close_code == 1013
        store.fails = False
        await server.pass_time(20)
        assert len(client.finals("b")) == 1
        assert server.runtime.stores_well
        server.killed = True
    assert "the disk is full" in caplog.text
    assert "the store works again" in caplog.text
    async with running(chat(store)) as server:
        _, content = await resumed(server, ticket, 2)
        assert content["resumed"] is True


class Slow(MemoryStore):
    """A store that commits when it is let."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.ready = anyio.Event()

    async def commit(self, changes: Any) -> Any:
        await self.ready.wait()
        return await super().commit(changes)


class Busy(MemoryStore):
    """A store that takes a moment for each commit, while the next change comes in."""

    then: Any = None

    async def commit(self, changes: Any) -> Any:
        await anyio.sleep(0.01)
        if self.then is not None:
            self.then()
        return await super().commit(changes)


async def test_in_strict_mode_nobody_is_told_of_a_session_that_is_not_stored_yet() -> None:
    store = Slow(survives=True)
    async with running(chat(store)) as server:
        client, gone = server.connect(JSON), server.connect(JSON)
        for each in (client, gone):
            each.send("init", id="i")
            each.send("echo", "behind it", id="e")
        gone.link.end(1006)
        await server.pass_time(1)
        assert client.received == []
        store.ready.set()
        await server.pass_time(1)
        (answer,) = client.finals("i")
        assert client.finals("e")[0]["content"] == "behind it"
        server.killed = True
    ticket = {name: answer["content"][name] for name in ("sessionId", "secret")}
    async with running(chat(store)) as server:
        _, content = await resumed(server, ticket, 1)
        assert content["resumed"] is True


async def test_a_session_is_resumed_from_the_store_however_much_else_is_stored_meanwhile() -> None:
    store = MemoryStore(survives=True)
    async with running(chat(store)) as server:
        _, ticket = await begun(server)
        server.killed = True
    busy = Busy(survives=True, beside=store)
    async with running(chat(busy)) as server:
        journal = server.runtime.dispatcher.journal
        assert journal is not None
        busy.then = lambda: journal.record(Sent("another", 1, 1, b""))
        busy.then()
        _, content = await resumed(server, ticket, 0)
        assert content["resumed"] is True
        busy.then = None


async def test_in_batched_mode_a_new_session_does_not_wait_for_the_store() -> None:
    async with running(chat(Slow(survives=True), "batched", close_timeout_s=1)) as server:
        await begun(server)


async def test_when_too_much_waits_for_the_store_new_messages_are_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(journal_module, "MAX_WAITING", 10)
    store = Failing(survives=True)
    async with running(chat(store, "batched")) as server:
        client, _ = await begun(server)
        await server.pass_time(1)
        store.fails = True
        for _ in range(10):
            await client.ask("echo")
            await server.pass_time(1)
        assert await client.error("echo") == "unavailable"
        store.fails = False
        await server.pass_time(20)
        assert (await client.ask("echo"))["type"] == "echo"


async def test_a_store_that_cannot_be_opened_keeps_the_server_from_starting() -> None:
    store = Failing(survives=True)
    store.fails = True
    with pytest.raises(BaseExceptionGroup) as caught:
        async with running(chat(store)):
            raise AssertionError("it has started")
    assert caught.group_contains(StoreError, match="the disk is full")


async def test_a_session_that_another_node_claims_is_over_here(store: MemoryStore) -> None:
    other = MemoryStore(survives=True, beside=store)
    await other.start("other", now=0.0)
    async with running(chat(store)) as server:
        client, ticket = await begun(server)
        client.send("slow", {"seconds": 100}, id="a")
        await server.pass_time(1)
        assert await other.claim(ticket["sessionId"], now=0.0) is not None
        client.send("echo", id="b")
        await server.pass_time(1)
        assert client.close_code == 4409
        assert client.finals("b") == []
        assert server.metrics["sessions"] == {"active": 0, "detached": 0}
        assert server.busy == 0


async def test_every_change_carries_numbers_without_gaps(store: MemoryStore) -> None:
    seen: list[Change] = []

    class Watching(MemoryStore):
        async def commit(self, changes: Any) -> Any:
            seen.extend(changes)
            return await super().commit(changes)

    async with running(chat(Watching(survives=True), outbox_messages=3)) as server:
        client, _ = await begun(server)
        for number in range(5):
            await client.ask("echo", ack=number)
        await server.app.broadcast({"type": "news"})
        await server.pass_time(1)
    numbers = [each.number for each in seen if hasattr(each, "frame")]
    assert numbers == [1, 2, 3, 4, 5, 6]
    assert sum(isinstance(each, Sent) for each in seen) == 1
