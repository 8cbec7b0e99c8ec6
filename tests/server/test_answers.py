"""What the server does with a client message: from its payload to its answer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec
import pytest

from tests.server.harness import JSON, MSGPACK, running
from wsframe import App, CloseConnection, HandlerError, Message, Reply

pytestmark = pytest.mark.anyio


class Ask(msgspec.Struct):
    prompt: str
    limit: int = 3


@dataclass
class Point:
    x: int


def chat(**settings: Any) -> App:
    app = App(**settings)
    app.ran = []  # type: ignore[attr-defined]

    @app.handler("echo")
    async def echo(message: Any, connection: Any) -> Any:
        app.ran.append(message.id)  # type: ignore[attr-defined]
        return message.content

    @app.handler("nothing")
    async def nothing(message: Any, connection: Any) -> None:
        return None

    @app.handler("typed")
    async def typed(message: Message[Ask], connection: Any) -> Any:
        return {"prompt": message.content.prompt, "limit": message.content.limit}

    @app.handler("divide", reply_type="quotient")
    async def divide(message: Any, connection: Any) -> Any:
        if message.content["by"] == 0:
            raise HandlerError(
                "math.division_by_zero", "by must not be 0", details={"by": 0}, retry_after_ms=9
            )
        if message.content["by"] == 1:
            return Reply({"result": message.content["value"]}, type="same")
        if message.content["by"] == 2:
            return Reply({"result": message.content["value"] / 2})
        return None

    @app.handler("fail")
    async def fail(message: Any, connection: Any) -> Any:
        raise LookupError("internals")

    @app.handler("unencodable")
    async def unencodable(message: Any, connection: Any) -> Any:
        return {
            "object": object(),
            "surrogate": "\ud800",
            "integer": 2**64,
            "set": {1},
            "point": Point(1),
        }[message.content]

    @app.handler("huge")
    async def huge(message: Any, connection: Any) -> Any:
        return {"text": "x" * message.content}

    @app.handler("hang_up")
    async def hang_up(message: Any, connection: Any) -> Any:
        raise CloseConnection(message.content, "enough")

    @app.handler("later")
    async def later(message: Any, connection: Any) -> Any:
        app.ran.append(message.id)  # type: ignore[attr-defined]
        raise HandlerError("app.later", retryable=True)

    return app


@pytest.mark.parametrize("subprotocol", [None, JSON, MSGPACK])
async def test_what_a_handler_returns_is_the_final_answer(subprotocol: str | None) -> None:
    async with running(chat()) as server:
        client = server.connect(subprotocol)
        answer = await client.ask("echo", {"text": "Hi"}, id="m")
        assert answer["type"] == "echo"
        assert answer["content"] == {"text": "Hi"}
        assert answer["replyTo"] == "m"
        assert answer["final"] is True
        assert client.count == client.connection.session.outbox.count == 1


@pytest.mark.parametrize("content", [None, False, 0, "", [], {}, [1, {"a": None}], 1.5])
async def test_content_is_any_value(content: Any) -> None:
    async with running(chat()) as server:
        client = server.connect()
        client.raw(msgspec.json.encode({"id": "1", "type": "echo", "content": content}).decode())
        answer = await client.answer("1")
        if content is None:  # nothing returned
            assert (answer["type"], answer["content"]) == ("ack", {})
        else:
            assert answer["content"] == content


async def test_no_content_is_an_empty_map() -> None:
    async with running(chat()) as server:
        assert (await server.connect().ask("echo"))["content"] == {}


async def test_none_is_answered_by_ack_even_where_there_is_a_reply_type() -> None:
    async with running(chat()) as server:
        client = server.connect()
        for message_type, content in (("nothing", {}), ("divide", {"value": 1, "by": 3})):
            answer = await client.ask(message_type, content)
            assert (answer["type"], answer["content"]) == ("ack", {})


async def test_the_reply_type_is_the_handlers_unless_the_reply_has_one() -> None:
    async with running(chat()) as server:
        client = server.connect()
        answer = await client.ask("divide", {"value": 4, "by": 2})
        assert (answer["type"], answer["content"]) == ("quotient", {"result": 2})
        answer = await client.ask("divide", {"value": 4, "by": 1})
        assert (answer["type"], answer["content"]) == ("same", {"result": 4})


async def test_an_application_error_has_the_code_message_and_details_it_chose() -> None:
    async with running(chat()) as server:
        answer = await server.connect().ask("divide", {"value": 4, "by": 0})
        assert answer["type"] == "error"
        assert answer["content"] == {
            "code": "math.division_by_zero",
            "message": "by must not be 0",
            "retryable": False,
            "details": {"by": 0},
            "retryAfterMs": 9,
        }
        assert server.metrics["handlers"]["errors"] == 0


async def test_an_unexpected_error_leaks_nothing_and_is_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with running(chat()) as server:
        client = server.connect()
        answer = await client.ask("fail")
        assert answer["content"] == {
            "code": "handler_failed",
            "message": "The handler failed.",
            "retryable": False,
        }
        (record,) = caplog.records
        assert "'fail'" in record.message
        assert client.connection.id in record.message
        assert record.exc_info is not None
        assert server.metrics["handlers"]["errors"] == 1


async def test_content_that_does_not_fit_the_handlers_struct_is_refused_with_its_path() -> None:
    async with running(chat()) as server:
        client = server.connect()
        assert (await client.ask("typed", {"prompt": "p"}))["content"] == {
            "prompt": "p",
            "limit": 3,
        }
        answer = await client.ask("typed", {"prompt": 1})
        assert answer["content"]["code"] == "invalid_content"
        assert answer["content"]["details"][0]["path"] == "$.content.prompt"


async def test_an_unknown_type_is_answered_with_the_nearest_known_types() -> None:
    async with running(chat()) as server:
        client = server.connect()
        answer = await client.ask("ecko")
        assert answer["content"]["code"] == "unknown_type"
        assert answer["content"]["details"] == {"type": "ecko", "nearest": ["echo"]}


@pytest.mark.parametrize("message_type", ["pong", "error", "system"])
async def test_a_type_that_only_the_server_sends_is_unknown_from_a_client(
    message_type: str,
) -> None:
    async with running(chat()) as server:
        assert await server.connect().error(message_type) == "unknown_type"


@pytest.mark.parametrize("name", ["*", "a b", "", "1a", "a" * 65, "\u00e4"])
async def test_a_malformed_type_is_answered_to_the_id_it_came_with(name: str) -> None:
    async with running(chat()) as server:
        client = server.connect()
        answer = await client.ask(name, id="mine")
        assert answer["content"]["code"] == "invalid_envelope"
        assert answer["content"]["details"][0]["path"] == "$.type"


async def test_what_cannot_be_decoded_is_an_error_and_the_connection_stays_open() -> None:
    async with running(chat()) as server:
        client = server.connect()
        client.raw('{"type":')
        await server.quiet()
        (error,) = client.received
        assert error["content"]["code"] == "invalid_json"
        assert error["final"] is True
        assert "replyTo" not in error
        packed = server.connect(MSGPACK)
        packed.raw(b"\xc1")
        await server.quiet()
        assert packed.received[0]["content"]["code"] == "invalid_msgpack"
        for each in (client, packed):
            assert (await each.ask("echo", {"a": 1}))["content"] == {"a": 1}


async def test_what_is_no_envelope_is_answered_to_its_id_with_details() -> None:
    async with running(chat()) as server:
        client = server.connect()
        client.raw('{"id": "7", "type": "echo", "ack": -1}')
        answer = await client.answer("7")
        assert answer["content"]["code"] == "invalid_envelope"
        assert answer["content"]["details"][0]["path"] == "$.ack"
        client.raw("[]")
        await server.quiet()
        assert client.received[-1]["content"]["code"] == "invalid_envelope"


@pytest.mark.parametrize(
    ("subprotocol", "payload"),
    [(None, b'{"type":"ping"}'), (JSON, b'{"type":"ping"}'), (MSGPACK, '{"type":"ping"}')],
)
async def test_the_wrong_kind_of_frame_closes_with_1003(
    subprotocol: str | None, payload: str | bytes
) -> None:
    async with running(chat()) as server:
        client = server.connect(subprotocol)
        client.raw(payload)
        await server.quiet()
        assert client.close_code == 1003
        assert client.received == []


@pytest.mark.parametrize("kind", ["object", "surrogate", "integer"])
async def test_an_answer_that_cannot_be_encoded_is_a_failed_handler(kind: str) -> None:
    async with running(chat()) as server:
        client = server.connect()
        assert await client.error("unencodable", kind) == "handler_failed"
        assert server.metrics["handlers"]["errors"] == 1


@pytest.mark.parametrize(("kind", "content"), [("set", [1]), ("point", {"x": 1})])
async def test_sets_and_dataclasses_can_be_answers(kind: str, content: Any) -> None:
    async with running(chat()) as server:
        assert (await server.connect().ask("unencodable", kind))["content"] == content


async def test_error_details_that_cannot_be_encoded_are_a_failed_handler() -> None:
    app = chat()

    @app.handler("details")
    async def details(message: Any, connection: Any) -> Any:
        raise HandlerError("app.odd", details=object())

    async with running(app) as server:
        client = server.connect()
        assert await client.error("details") == "handler_failed"
        assert await client.error("details", id="again") == "handler_failed"


async def test_an_answer_over_the_limit_is_message_too_big() -> None:
    async with running(chat(outbox_bytes=10_000)) as server:
        client = server.connect()
        assert (await client.ask("huge", 5_000))["type"] == "huge"
        assert await client.error("huge", 10_000) == "message_too_big"
        assert server.metrics["messages"]["outcomes"]["failed"] == 1


async def test_a_repeated_id_gets_the_same_answer_and_the_handler_does_not_run_again() -> None:
    app = chat()
    async with running(app) as server:
        client = server.connect()
        first = await client.ask("echo", {"n": 1}, id="x")
        client.send("echo", {"n": 2}, id="x")
        await server.quiet()
        assert client.finals("x") == [first, first]
        assert app.ran == ["x"]  # type: ignore[attr-defined]
        assert client.count == client.connection.session.outbox.count == 2


async def test_a_repeated_id_of_another_session_is_new() -> None:
    app = chat()
    async with running(app) as server:
        for _ in range(2):
            await server.connect().ask("echo", id="x")
        assert app.ran == ["x", "x"]  # type: ignore[attr-defined]


async def test_an_error_that_cannot_be_retried_is_repeated_too() -> None:
    async with running(chat()) as server:
        client = server.connect()
        first = await client.ask("fail", id="x")
        client.send("fail", id="x")
        await server.quiet()
        assert client.finals("x") == [first, first]
        assert server.metrics["handlers"]["errors"] == 1


async def test_a_retryable_error_frees_the_id() -> None:
    app = chat()
    async with running(app) as server:
        client = server.connect()
        for _ in range(2):
            client.send("later", id="x")
            await server.quiet()
        assert [each["content"]["retryable"] for each in client.finals("x")] == [True, True]
        assert app.ran == ["x", "x"]  # type: ignore[attr-defined]


async def test_messages_without_an_id_are_answered_and_never_deduplicated() -> None:
    async with running(chat()) as server:
        client = server.connect()
        for _ in range(3):
            client.send("echo", {"same": True}, id=None)
        await server.quiet()
        answers = client.received
        assert [each["content"] for each in answers] == [{"same": True}] * 3
        assert len({each["replyTo"] for each in answers}) == 3
        assert client.connection.session.ledger.remembered == 0


async def test_old_answers_are_forgotten_over_ledger_messages() -> None:
    app = chat(ledger_messages=2)
    async with running(app) as server:
        client = server.connect()
        for message_id in ("a", "b", "c", "a"):
            client.send("echo", id=message_id)
            await server.quiet()
        assert app.ran == ["a", "b", "c", "a"]  # type: ignore[attr-defined]
        assert client.connection.session.ledger.remembered == 2


async def test_another_sessions_id_is_answered_wrong_session() -> None:
    app = chat()
    async with running(app) as server:
        client = server.connect()
        own = client.connection.session_id
        assert await client.error("echo", sessionId="guessed") == "wrong_session"
        assert (await client.ask("echo", sessionId=own))["type"] == "echo"
        assert await client.error("ping", sessionId="guessed") == "wrong_session"
        assert app.ran == ["2"]  # type: ignore[attr-defined]


async def test_a_handler_can_close_the_connection() -> None:
    async with running(chat()) as server:
        client = server.connect()
        client.send("hang_up", 4000, id="x")
        await server.quiet()
        assert client.closed == (4000, "enough")
        (answer,) = client.finals("x")
        assert answer["content"]["code"] == "cancelled"
        assert answer["content"]["message"] == "enough"
        assert server.metrics["connections"]["active"] == 0


@pytest.mark.parametrize("code", [0, 999, 1005, 1006, 1015, 5000])
async def test_a_close_code_that_must_not_be_sent_costs_only_that_connection(code: int) -> None:
    async with running(chat()) as server:
        client, other = server.connect(), server.connect()
        client.send("hang_up", code)
        await server.quiet()
        assert client.close_code == 1011
        assert (await other.ask("echo", {"a": 1}))["content"] == {"a": 1}


async def test_messages_are_counted() -> None:
    async with running(chat()) as server:
        client = server.connect()
        await client.ask("echo")
        await client.ask("fail")
        await client.ask("ecko")
        client.raw("{")
        await server.quiet()
        messages = server.metrics["messages"]
        assert messages["received"] == 4
        assert messages["accepted"] == 3
        assert messages["in_flight"] == 0
        assert messages["answered"] == 3
        assert messages["outcomes"]["replied"] == 1
        assert messages["outcomes"]["failed"] == 2
        assert messages["refused"] == {"handler_failed": 1, "unknown_type": 1, "invalid_json": 1}


async def test_a_message_that_a_handler_returns_is_content_like_any_other() -> None:
    app = App()

    @app.handler("same")
    async def same(message: Any, connection: Any) -> Any:
        return message

    async with running(app) as server:
        answer = await server.connect().ask("same", 5, id="x")
        assert answer["type"] == "same"
        assert answer["content"] == {"type": "same", "id": "x", "content": 5}
