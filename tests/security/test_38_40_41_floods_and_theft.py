"""Threats 30, 36, 38, 40 and 41 where messages are dispatched: floods, hostile names and stolen
sessions are answered with errors, and nothing grows."""

from __future__ import annotations

import tracemalloc
from typing import Any

import anyio
import pytest

from tests.server import virtual_time
from tests.server.harness import JSON, running
from wsframe import App, Identity

pytestmark = pytest.mark.anyio


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, Any]]:
    return virtual_time.backend(request.param)


def chat(**settings: Any) -> App:
    app = App(**settings)
    app.rooms.open_to_clients("*")

    @app.handler("echo")
    async def echo(message: Any, connection: Any) -> Any:
        return message.content

    @app.handler("wait")
    async def wait(message: Any, connection: Any) -> Any:
        await anyio.sleep(10)

    return app


async def test_38_too_many_in_flight_are_answered_with_errors_and_the_ledger_is_bounded() -> None:
    async with running(chat(max_in_flight=5, outbox_messages=5_000)) as server:
        client, other = server.connect(), server.connect()
        for number in range(1_000):
            client.send("wait", id=str(number))
        assert (await other.ask("echo", 1))["content"] == 1
        ledger = client.connection.session.ledger
        assert len(ledger.running) == 5
        codes = [each["content"]["code"] for each in client.received]
        assert codes == ["too_many_in_flight"] * 995
        assert len(client.connection.session.inbox or ()) <= 5


async def test_38_an_id_repeated_10000_times_runs_once_and_is_remembered_once() -> None:
    app = chat()
    async with running(app) as server:
        client = server.connect()
        first = await client.ask("echo", "x" * 100, id="same")
        ledger = client.connection.session.ledger
        size = ledger.remembered_bytes
        client.received.clear()
        for _ in range(10_000):
            client.send("echo", id="same")
        await server.quiet()
        assert client.received == [first] * 10_000
        assert (ledger.remembered, ledger.remembered_bytes) == (1, size)
        assert server.metrics["messages"]["accepted"] == 1


async def test_38_ids_of_1_mb_are_refused_without_being_repeated_or_kept() -> None:
    async with running(chat()) as server:
        client = server.connect()
        client.send("echo", id="i" * 1_000_000)
        await server.quiet()
        (error,) = client.received
        assert error["content"]["code"] == "invalid_envelope"
        assert "replyTo" not in error
        assert not client.connection.session.ledger.running


async def test_38_ever_new_ids_do_not_grow_the_ledger() -> None:
    async with running(chat(ledger_messages=50, ledger_bytes=5_000)) as server:
        client = server.connect()
        for number in range(2_000):
            client.send("echo", id=str(number))
            if number % 50 == 0:
                await server.quiet()
        await server.quiet()
        ledger = client.connection.session.ledger
        assert ledger.remembered <= 50
        assert ledger.remembered_bytes <= 5_000


async def test_30_pings_and_cancels_without_end_from_a_client_that_does_not_read_end_in_1013() -> (
    None
):
    async with running(chat(outbox_messages=100)) as server:
        client = server.connect()
        await server.quiet()
        client.stop_reading()
        tracemalloc.start()
        for number in range(5_000):
            client.send(("ping", "cancel")[number % 2], {"id": "x"}, id=None)
        await server.quiet()
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert client.close_code == 1013
        assert len(client.connection.session.outbox) <= 100
        assert peak < 20_000_000  # most of it is what the test itself has queued


@pytest.mark.parametrize(
    "payload",
    [
        '{"type":"echo","content":' + "[" * 100_000,
        '{"type":"echo","content":' + "[" * 500 + "]" * 500 + "}",
        '{"type":"echo","content":' + "9" * 5_000 + "}",
        '{"type":"echo","content":NaN}',
        '{"type":"echo","content":"\\ud800"}',
        '{"type":"echo","content":1,"content":2}',
        '{"' + "k" * 1_000_000 + '":',
    ],
    ids=["depth", "balanced depth", "digits", "nan", "surrogate", "duplicate", "key"],
)
async def test_36_hostile_json_is_an_error_of_bounded_size_on_a_connection_that_stays_open(
    payload: str,
) -> None:
    async with running(chat()) as server:
        client = server.connect()
        client.raw(payload)
        await server.quiet()
        (error,) = client.received
        assert error["content"]["code"] in ("invalid_json", "invalid_envelope")
        assert len(str(error)) < 1_500
        assert (await client.ask("echo", 1))["content"] == 1


HOSTILE = ["*", "[", "[a-z]*", "a*", "a?", "a\r\nb", "a\n", "\x00", "a\x00", "x" * 10_240, "", " "]


@pytest.mark.parametrize("name", HOSTILE, ids=ascii)
async def test_40_a_hostile_room_name_is_an_error_and_reaches_no_other_room(name: str) -> None:
    app = chat()
    async with running(app) as server:
        client, member = server.connect(), server.connect()
        await member.ask("join", {"room": "a"})
        for message_type in ("join", "leave"):
            answer = await client.ask(message_type, {"room": name})
            assert answer["content"]["code"] == "invalid_content"
            assert len(str(answer)) < 1_500
        with pytest.raises(Exception, match="room name"):
            await app.rooms.publish(name, {"type": "said"})
        assert member.contents("said") == []
        assert len(app.rooms) == 1


@pytest.mark.parametrize("name", HOSTILE, ids=ascii)
async def test_40_a_hostile_type_name_is_an_error_that_is_not_repeated_at_length(name: str) -> None:
    async with running(chat()) as server:
        answer = await server.connect().ask(name)
        assert answer["content"]["code"] == "invalid_envelope"
        assert len(str(answer)) < 1_500


@pytest.mark.parametrize("knows_the_secret", [True, False])
async def test_41_naming_or_resuming_another_session_gives_nothing_of_it(
    knows_the_secret: bool,
) -> None:
    app = chat()
    async with running(app) as server:
        victim = server.connect(JSON, identity=Identity(subject="victim"))
        thief = server.connect(JSON, identity=Identity(subject="thief"))
        secret = (await victim.ask("init"))["content"]["secret"]
        victim_id = victim.connection.session_id
        known = secret if knows_the_secret else "a guess"
        resume = {"sessionId": victim_id, "secret": known, "seq": 0}
        content = (await thief.ask("init", {"resume": resume}))["content"]
        assert content["resumed"] is False
        assert content["sessionId"] != victim_id
        assert content["secret"] != secret
        for message_type in ("echo", "ping", "cancel", "join", "leave"):
            assert await thief.error(message_type, sessionId=victim_id) == "wrong_session"
        await app.send(victim_id, {"type": "private"})
        assert thief.contents("private") == []
        assert secret not in str(thief.received)
        assert victim.link.open


async def test_41_a_flood_of_resumes_opens_no_more_than_one_session_each() -> None:
    async with running(chat()) as server:
        thief = server.connect(JSON)
        resume = {"sessionId": "guess", "secret": "guess", "seq": 0}
        for _ in range(100):
            thief.send("init", {"resume": resume})
        await server.quiet()
        assert thief.close_code in (1008, 4400)  # the second one, or too many behind the first
        assert len(server.runtime.dispatcher.connections) == 0
