"""A session goes on over a new connection: replay, what is in flight, who may, and for how long."""

from __future__ import annotations

from typing import Any

import anyio
import pytest

from tests.server.harness import JSON, MSGPACK, Client, Server, running
from wsframe import App, ConnectionClosed, Identity, hookimpl

pytestmark = pytest.mark.anyio

WINDOW_S = 60.0


def chat(*plugins: object, **settings: Any) -> App:
    app = App(plugins=plugins, **{"resume_window_s": WINDOW_S, **settings})

    @app.handler("echo")
    async def echo(message: Any, connection: Any) -> Any:
        return message.content

    @app.handler("slow")
    async def slow(message: Any, connection: Any) -> Any:
        await anyio.sleep(message.content["seconds"])
        return {"attached": connection.attached, "open": connection.open}

    @app.handler("count")
    async def count(message: Any, connection: Any) -> Any:
        for number in range(message.content["to"]):
            yield {"n": number}
            await anyio.sleep(1)

    return app


async def begun(server: Server, subprotocol: str = JSON, **options: Any) -> tuple[Client, Any]:
    """A client with a session, and what it needs to resume it."""
    client = server.connect(subprotocol, **options)
    content = (await client.ask("init", id="i"))["content"]
    return client, {"sessionId": content["sessionId"], "secret": content["secret"]}


async def resumed(
    server: Server, ticket: Any, seq: int, subprotocol: str | None = JSON, **options: Any
) -> tuple[Client, Any]:
    """A new client that resumes, and the content of the answer to its init."""
    client = server.connect(subprotocol, **options)
    answer = await client.ask("init", {"resume": {**ticket, "seq": seq}}, id="i")
    return client, answer["content"]


@pytest.mark.parametrize("subprotocol", [JSON, MSGPACK])
async def test_what_the_client_has_not_received_is_sent_again_in_order(subprotocol: str) -> None:
    async with running(chat()) as server:
        first, ticket = await begun(server, subprotocol)
        for number in range(5):
            await first.ask("echo", {"n": number}, id=f"e{number}")
        await first.leave()
        second, content = await resumed(server, ticket, 2, subprotocol)
        assert content["resumed"] is True
        assert (content["seq"], content["gap"]) == (2, None)
        assert content["inFlight"] == ["e2", "e3", "e4"]
        assert content["sessionId"] == ticket["sessionId"]
        assert content["secret"] == ticket["secret"]
        assert second.contents("echo") == [{"n": 2}, {"n": 3}, {"n": 4}]
        assert second.received[0]["type"] == "init"


async def test_resuming_from_the_beginning_gives_everything_again() -> None:
    async with running(chat()) as server:
        first, ticket = await begun(server)
        await first.ask("echo", {"n": 0})
        await first.leave()
        second, content = await resumed(server, ticket, 0)
        assert content["resumed"] is True
        assert second.contents("echo") == [{"n": 0}]


async def test_a_handler_goes_on_without_a_connection_and_its_answer_comes_later() -> None:
    async with running(chat()) as server:
        first, ticket = await begun(server)
        message_id = first.send("slow", {"seconds": 10})
        await server.quiet()
        await first.leave()
        second, content = await resumed(server, ticket, 0)
        assert content["inFlight"] == [message_id]
        answer = await second.answer(message_id)
        assert answer["content"] == {"attached": True, "open": False}


async def test_a_handler_can_see_that_nobody_is_there() -> None:
    async with running(chat()) as server:
        first, ticket = await begun(server)
        message_id = first.send("slow", {"seconds": 10})
        await server.quiet()
        await first.leave()
        await server.pass_time(20)
        second, content = await resumed(server, ticket, 0)
        assert content["inFlight"] == [message_id]
        (answer,) = second.finals(message_id)
        assert answer["content"] == {"attached": False, "open": False}


@pytest.mark.parametrize("cut_after_s", [0.5, 1.5, 3.5, 20.0])
async def test_every_part_of_a_stream_comes_once_and_in_order(cut_after_s: float) -> None:
    async with running(chat()) as server:
        first, ticket = await begun(server)
        message_id = first.send("count", {"to": 8})
        await server.pass_time(cut_after_s)
        await first.leave()
        await server.pass_time(2)
        second, content = await resumed(server, ticket, first.count)
        await server.pass_time(20)
        parts = [each["n"] for each in first.parts(message_id) + second.parts(message_id)]
        assert parts == list(range(8))
        assert len(first.finals(message_id)) + len(second.finals(message_id)) == 1
        assert content["gap"] is None


async def test_a_running_message_is_cancelled_from_another_connection() -> None:
    async with running(chat()) as server:
        first, ticket = await begun(server)
        message_id = first.send("slow", {"seconds": 1000})
        await server.quiet()
        await first.leave()
        second, _ = await resumed(server, ticket, 0)
        assert (await second.ask("cancel", {"id": message_id}, id="c"))["content"] == {
            "cancelled": True
        }
        assert (await second.answer(message_id))["content"]["code"] == "cancelled"


async def test_an_id_that_was_answered_before_the_drop_is_not_handled_again() -> None:
    async with running(chat()) as server:
        first, ticket = await begun(server)
        answer = await first.ask("echo", {"n": 1}, id="a")
        await first.leave()
        second, _ = await resumed(server, ticket, 1)
        assert await second.ask("echo", {"n": 2}, id="a") == answer
        assert server.metrics["messages"]["accepted"] == 3


async def test_an_id_that_still_runs_is_not_handled_again() -> None:
    async with running(chat()) as server:
        first, ticket = await begun(server)
        first.send("slow", {"seconds": 5}, id="a")
        await server.quiet()
        await first.leave()
        second, _ = await resumed(server, ticket, 0)
        second.send("slow", {"seconds": 5}, id="a")
        await second.answer("a")
        assert server.metrics["messages"]["accepted"] == 3


async def test_what_was_pushed_meanwhile_is_replayed_and_what_is_transient_is_not() -> None:
    app = chat()
    async with running(app) as server:
        first, ticket = await begun(server)
        await first.connection.join("lobby")
        await first.leave()
        await app.broadcast({"type": "news", "content": 1})
        await app.rooms.publish("lobby", {"type": "said", "content": 2})
        await app.send(ticket["sessionId"], {"type": "note", "content": 3})
        await app.send(ticket["sessionId"], {"type": "typing", "transient": True})
        second, content = await resumed(server, ticket, 0)
        assert [each["type"] for each in second.received] == ["init", "news", "said", "note"]
        assert content["gap"] is None
        await app.rooms.publish("lobby", {"type": "said", "content": 4})
        assert second.contents("said") == [2, 4]
        assert app.rooms.members("lobby") == [ticket["sessionId"]]
        assert second.connection.rooms == {"lobby"}


async def test_a_newer_connection_takes_the_session_over() -> None:
    async with running(chat()) as server:
        first, ticket = await begun(server)
        await first.ask("echo")
        message_id = first.send("slow", {"seconds": 5})
        await server.quiet()
        second, content = await resumed(server, ticket, 1)
        await server.quiet()
        assert first.close_code == 4409
        assert content["inFlight"] == [message_id]
        await second.answer(message_id)
        assert first.finals(message_id) == []
        assert second.link.open


async def test_an_overflown_outbox_leaves_a_gap_and_says_so() -> None:
    app = chat(outbox_messages=4)
    async with running(app) as server:
        first, ticket = await begun(server)
        await first.leave()
        for number in range(1, 11):
            await app.broadcast({"type": "news", "content": number})
        second, content = await resumed(server, ticket, 0)
        assert content["gap"] == {"from": 1, "to": 6}
        assert content["seq"] == 6
        assert second.contents("news") == [7, 8, 9, 10]


async def test_acknowledged_messages_need_no_room() -> None:
    async with running(chat(outbox_messages=4)) as server:
        client, ticket = await begun(server)
        for number in range(1, 11):
            await client.ask("echo", {"n": number}, ack=number - 1)
        await client.leave()
        _, content = await resumed(server, ticket, 10)
        assert content["gap"] is None


async def test_an_init_that_comes_behind_a_later_one_does_not_take_the_session_over() -> None:
    async with running(chat()) as server:
        first, ticket = await begun(server)
        await first.leave()
        late = server.connect(JSON)  # what it sends is held back by the network
        second, _ = await resumed(server, {**ticket, "attempt": 3}, 0)
        answer = await late.ask("init", {"resume": {**ticket, "seq": 0, "attempt": 2}})
        assert answer["content"]["resumed"] is False
        assert second.link.open
        third, content = await resumed(server, {**ticket, "attempt": 4}, 0)
        assert content["resumed"] is True
        _, content = await resumed(server, ticket, 0)  # who does not count is not compared
        assert content["resumed"] is True
        assert third.close_code == 4409


WRONG = Identity(subject="eve")


@pytest.mark.parametrize(
    ("change", "options"),
    [
        ({"sessionId": "s-unknown"}, {}),
        ({"secret": "x" * 32}, {}),
        ({"secret": "…" * 32}, {}),
        ({"seq": 99}, {}),
        ({}, {"identity": WRONG}),
        ({}, {"subprotocol": MSGPACK}),
        ({}, {"subprotocol": None}),
    ],
)
async def test_a_resume_that_must_not_be_gets_a_new_session(
    change: dict[str, Any], options: dict[str, Any]
) -> None:
    options = dict(options)
    async with running(chat()) as server:
        first, ticket = await begun(server)
        await first.ask("echo")
        await first.leave()
        client = server.connect(options.pop("subprotocol", JSON), **options)
        answer = await client.ask("init", {"resume": {**ticket, "seq": 1, **change}}, id="i")
        content = answer["content"]
        assert content["resumed"] is False
        assert content["sessionId"] != ticket["sessionId"]
        assert (content["seq"], content["gap"], content["inFlight"]) == (0, None, [])
        assert client.count == 0
        _, content = await resumed(server, ticket, 1)  # nothing of it has hurt the session
        assert content["resumed"] is True


@pytest.mark.parametrize("how", ["time", "bye", "window"])
async def test_a_session_that_is_over_cannot_be_resumed(how: str) -> None:
    async with running(chat(resume_window_s=0.0 if how == "window" else WINDOW_S)) as server:
        first, ticket = await begun(server)
        first.send("slow", {"seconds": 1000})
        await server.quiet()
        await first.leave(1000 if how == "bye" else 1006)
        if how == "time":
            assert server.metrics["sessions"] == {"active": 1, "detached": 1}
            await server.pass_time(WINDOW_S + 1)
        await server.quiet()
        assert server.metrics["sessions"] == {"active": 0, "detached": 0}
        assert server.metrics["messages"]["in_flight"] == 0
        assert server.busy == 0
        _, content = await resumed(server, ticket, 0)
        assert content["resumed"] is False


async def test_a_client_without_init_leaves_no_session() -> None:
    async with running(chat()) as server:
        client = server.connect(JSON)
        await client.ask("echo")
        await client.leave()
        assert server.metrics["sessions"]["active"] == 0


async def test_the_oldest_session_ends_when_too_many_have_no_connection() -> None:
    async with running(chat(max_detached_sessions=2)) as server:
        tickets = []
        for _ in range(3):
            client, ticket = await begun(server)
            tickets.append(ticket)
            await client.leave()
        assert server.metrics["sessions"] == {"active": 2, "detached": 2}
        _, content = await resumed(server, tickets[0], 0)
        assert content["resumed"] is False
        _, content = await resumed(server, tickets[1], 0)
        assert content["resumed"] is True


async def test_messages_right_behind_a_resuming_init_belong_to_the_resumed_session() -> None:
    class Slow:
        @hookimpl
        async def session_opening(self) -> None:
            await anyio.sleep(1)

    async with running(chat(Slow())) as server:
        first, ticket = await begun(server)
        await first.ask("echo", {"n": 1}, id="a")
        await first.leave()
        second = server.connect(JSON)
        second.send("init", {"resume": {**ticket, "seq": 0}}, id="i")
        second.send("echo", {"n": 2}, id="a", ack=1)
        second.send("echo", {"n": 3}, id="b")
        await second.answer("b")
        assert second.contents("echo") == [{"n": 1}, {"n": 1}, {"n": 3}]


async def test_too_many_messages_before_init_is_answered_close_the_connection() -> None:
    class Hanging:
        @hookimpl
        async def session_opening(self) -> None:
            await anyio.sleep(10)

    async with running(chat(Hanging(), max_in_flight=3)) as server:
        client = server.connect(JSON)
        client.send("init")
        for _ in range(4):
            client.send("echo")
        await server.quiet()
        assert client.close_code == 1008
        assert server.metrics["messages"]["accepted"] == 1


async def test_metadata_goes_with_the_session() -> None:
    async with running(chat()) as server:
        first, ticket = await begun(server)
        first.connection.metadata["name"] = "ada"
        await first.leave()
        second, _ = await resumed(server, ticket, 0)
        assert second.connection.metadata == {"name": "ada"}


async def test_plugins_hear_of_resuming_and_of_the_end() -> None:
    heard: list[Any] = []

    class Ears:
        @hookimpl
        async def session_resumed(self, session: Any, gap: Any) -> None:
            heard.append(("resumed", session.id, gap))

        @hookimpl
        async def session_expired(self, session: Any) -> None:
            heard.append(("expired", session.id))

        @hookimpl
        async def connection_closed(self, connection: Any, code: int) -> None:
            heard.append(("closed", code))

    async with running(chat(Ears())) as server:
        first, ticket = await begun(server)
        await first.leave(1006)
        second, _ = await resumed(server, ticket, 0)
        await second.leave(1001)
        await server.pass_time(WINDOW_S + 1)
        session_id = ticket["sessionId"]
        assert heard == [
            ("closed", 1006),
            ("resumed", session_id, None),
            ("closed", 1001),
            ("expired", session_id),
        ]
        third, ticket = await begun(server)
        await third.leave(1006)
        third.connection.close()
        await server.quiet()
        assert heard[-2:] == [("closed", 1006), ("expired", ticket["sessionId"])]


async def test_sending_to_a_session_that_is_over_says_so() -> None:
    app = chat()
    async with running(app) as server:
        client, ticket = await begun(server)
        connection = client.connection
        await client.leave(1000)
        with pytest.raises(ConnectionClosed):
            await connection.send({"type": "note"})
        with pytest.raises(ConnectionClosed):
            await app.send(ticket["sessionId"], {"type": "note"})


async def test_an_application_may_end_a_session_whose_client_is_away() -> None:
    expired: list[str] = []

    class Ears:
        @hookimpl
        async def session_expired(self, session: Any) -> None:
            expired.append(session.id)

    async with running(chat(Ears())) as server:
        client, ticket = await begun(server)
        await client.leave()
        client.connection.close(4000)
        assert server.metrics["sessions"]["active"] == 1
        client.connection.close()
        client.connection.close()
        await server.quiet()
        assert server.metrics["sessions"]["active"] == 0
        assert expired == [ticket["sessionId"]]
        _, content = await resumed(server, ticket, 0)
        assert content["resumed"] is False


async def test_a_stream_to_an_absent_client_waits_when_half_of_the_outbox_is_taken() -> None:
    app = chat(outbox_messages=10)

    @app.handler("flood")
    async def flood(message: Any, connection: Any) -> Any:
        for number in range(100):
            yield {"n": number}

    async with running(app) as server:
        first, ticket = await begun(server)
        first.send("slow", {"seconds": 1})
        first.send("flood", id="f")
        await server.quiet()
        await first.leave()
        await server.pass_time(5)
        session = first.connection.session
        assert session.outbox.count == 5
        received: list[Any] = []
        finals = 0
        seq = first.count
        for _ in range(3):
            client, content = await resumed(server, ticket, seq)
            assert content["gap"] is None
            await server.quiet()
            received += client.parts("f")
            finals += len(client.finals("f"))
            seq += client.count
            await client.leave()
        assert [each["n"] for each in received] == list(range(100))
        assert finals == 1


def joined(earlier: dict[str, str], later: dict[str, str]) -> dict[str, str]:
    return {"delta": earlier["delta"] + later["delta"]}


async def test_parts_for_an_absent_client_are_merged_where_the_handler_allows_it() -> None:
    app = chat(outbox_messages=10)
    words = [f"{number} " for number in range(500)]

    @app.handler("tell", coalesce=joined)
    async def tell(message: Any, connection: Any) -> Any:
        for word in words:
            yield {"delta": word}

    async with running(app) as server:
        first, ticket = await begun(server)
        first.send("slow", {"seconds": 1})
        first.send("tell", id="t")
        await server.quiet()
        await first.leave()
        await server.pass_time(5)
        second, content = await resumed(server, ticket, first.count)
        assert content["gap"] is None
        assert len(second.finals("t")) == 1
        assert len(second.parts("t")) < 10
        assert "".join(part["delta"] for part in second.parts("t")) == "".join(words)


async def test_parts_for_a_slow_client_are_merged_and_for_a_quick_one_are_not() -> None:
    app = chat()

    @app.handler("tell", coalesce=joined)
    async def tell(message: Any, connection: Any) -> Any:
        for number in range(30):
            yield {"delta": f"{number} "}
            await anyio.sleep(1)

    async with running(app) as server:
        client, _ = await begun(server)
        client.send("tell", id="t")
        await server.pass_time(9.5)
        assert len(client.parts("t")) == 10
        client.stop_reading()
        await server.pass_time(10)
        await app.broadcast({"type": "news"})  # nothing is merged across it
        await server.pass_time(10)
        client.read_again()
        await server.pass_time(10)
        assert len(client.parts("t")) == 12
        text = "".join(part["delta"] for part in client.parts("t"))
        assert text == "".join(f"{number} " for number in range(30))
        assert len(client.finals("t")) == 1


async def test_merged_parts_stay_below_a_size() -> None:
    app = chat()

    @app.handler("tell", coalesce=joined)
    async def tell(message: Any, connection: Any) -> Any:
        for _ in range(10):
            yield {"delta": "x" * 5_000}

    async with running(app) as server:
        client, _ = await begun(server)
        client.stop_reading()
        client.send("tell", id="t")
        await server.pass_time(1)
        client.read_again()
        await server.quiet()
        assert [len(part["delta"]) for part in client.parts("t")] == [15_000, 15_000, 15_000, 5_000]
