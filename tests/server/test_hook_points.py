"""What hooks and listeners at each point of a message's way can do, and what they are told."""

from __future__ import annotations

from typing import Any

import anyio
import msgspec
import pytest

from tests.server.harness import running
from wsframe import (
    App,
    CloseConnection,
    ConfigError,
    HandlerError,
    Message,
    Outcome,
    Refused,
    hookimpl,
)
from wsframe.server.events import Events

pytestmark = pytest.mark.anyio


class Probe:
    """A plugin whose hooks do what a test says, and note that they were called."""

    def __init__(self) -> None:
        self.calls: list[tuple[Any, ...]] = []
        self.gate: Any = None
        self.sending: Any = None
        self.notify: Any = None

    async def _note(self, *call: Any) -> None:
        self.calls.append(call)
        if self.notify is not None:
            raise self.notify

    def of(self, hook: str) -> list[tuple[Any, ...]]:
        return [call[1:] for call in self.calls if call[0] == hook]

    @hookimpl
    async def connection_opened(self, connection: Any) -> None:
        await self._note("connection_opened", connection)

    @hookimpl
    async def connection_closed(self, connection: Any, code: int, reason: str) -> None:
        await self._note("connection_closed", connection, code, reason)

    @hookimpl
    async def session_expired(self, session: Any) -> None:
        await self._note("session_expired", session)

    @hookimpl
    async def message_received(self, connection: Any, message: Any) -> None:
        self.calls.append(("message_received", message.type))
        if self.gate == "hang":
            await anyio.sleep_forever()
        elif self.gate is not None:
            raise self.gate

    @hookimpl
    async def message_sending(self, message: Any) -> Any:
        self.calls.append(("message_sending", message.type, message.final))
        if self.sending == "hang":
            await anyio.sleep_forever()
        if isinstance(self.sending, BaseException):
            raise self.sending
        return None if self.sending is None else self.sending(message)

    @hookimpl
    async def message_sent(self, connection: Any, message: Any) -> None:
        await self._note("message_sent", message.type)

    @hookimpl
    async def message_handled(
        self, connection: Any, message: Any, outcome: Any, elapsed_s: float
    ) -> None:
        await self._note("message_handled", message.id, outcome, elapsed_s)

    @hookimpl
    async def error_raised(self, error: Any, connection: Any, message: Any) -> None:
        await self._note("error_raised", type(error), message and message.type)


@pytest.fixture
def probe() -> Probe:
    return Probe()


@pytest.fixture
def app(probe: Probe) -> App:
    app = App(plugins=[probe], message_timeout_s=4.0)
    app.rooms.open_to_clients("lobby")
    ran = app.ran = []  # type: ignore[attr-defined]

    @app.handler("echo")
    async def echo(message: Any, connection: Any) -> Any:
        ran.append(message.id)
        return message.content

    @app.handler("stream")
    async def stream(message: Any, connection: Any) -> Any:
        yield 1
        yield 2

    @app.handler("fail")
    async def fail(message: Any, connection: Any) -> Any:
        raise LookupError

    @app.handler("wait")
    async def wait(message: Any, connection: Any) -> Any:
        await anyio.sleep(message.content)

    return app


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (Refused("rate_limited"), "rate_limited"),
        (HandlerError("own.code"), "own.code"),
        (LookupError("internals"), "internal"),
        (SystemExit(), "internal"),
    ],
)
async def test_a_gate_that_refuses_or_fails_keeps_the_handler_from_running(
    app: App, probe: Probe, error: BaseException, code: str
) -> None:
    probe.gate = error
    async with running(app) as server:
        client = server.connect()
        assert await client.error("echo") == code
        assert await client.error("unknown") == code
        assert app.ran == []  # type: ignore[attr-defined]
        assert [each[1] for each in probe.of("message_handled")] == [Outcome.FAILED] * 2


async def test_a_gate_may_close_the_connection(app: App, probe: Probe) -> None:
    probe.gate = CloseConnection(4429, "too much")
    async with running(app) as server:
        client = server.connect()
        client.send("echo")
        await server.quiet()
        assert client.closed == (4429, "too much")
        assert client.received[0]["content"]["code"] == "cancelled"


async def test_a_gate_that_closes_may_say_what_the_message_is_answered_before(
    app: App, probe: Probe
) -> None:
    answer = Refused("rate_limited", retry_after_ms=700)
    probe.gate = CloseConnection(4429, "too much", answer=answer)
    async with running(app) as server:
        client = server.connect()
        client.send("echo")
        await server.quiet()
        assert client.closed == (4429, "too much")
        assert client.received[0]["content"] == answer.content()
        assert [each[1] for each in probe.of("message_handled")] == [Outcome.FAILED]


async def test_a_gate_that_hangs_is_out_of_time(app: App, probe: Probe) -> None:
    probe.gate = "hang"
    async with running(app) as server:
        client = server.connect()
        assert await client.error("echo") == "timeout"
        probe.gate = None
        assert (await client.ask("echo", 1))["content"] == 1


async def test_built_in_types_pass_no_gate(app: App, probe: Probe) -> None:
    probe.gate = Refused("forbidden")
    async with running(app) as server:
        client = server.connect()
        for message_type in ("init", "ping", "cancel"):
            assert (await client.ask(message_type, {"id": "x"}))["type"] != "error"
        for message_type in ("join", "leave"):
            assert (await client.ask(message_type, {"room": "lobby"}))["type"] == message_type
        assert probe.of("message_received") == probe.of("message_sending") == []


async def test_a_transformed_answer_is_what_is_sent_and_remembered(app: App, probe: Probe) -> None:
    def redact(message: Message[Any]) -> Message[Any]:
        return msgspec.structs.replace(message, content="[redacted]")

    probe.sending = redact
    async with running(app) as server:
        client = server.connect()
        assert (await client.ask("echo", "secret", id="x"))["content"] == "[redacted]"
        client.send("echo", "secret", id="x")
        await client.ask("stream", id="s")
        assert client.finals("x")[1]["content"] == "[redacted]"
        assert client.parts("s") == ["[redacted]"] * 2
        assert await client.error("fail") == "handler_failed"
        assert ("message_sending", "error", True) not in probe.calls


@pytest.mark.parametrize(
    ("sending", "code"),
    [
        (Refused("forbidden"), "forbidden"),
        (LookupError("internals"), "internal"),
        (lambda message: "no message", "internal"),
    ],
)
@pytest.mark.parametrize("message_type", ["echo", "stream"])
async def test_an_answer_that_a_plugin_does_not_let_out_becomes_its_error(
    app: App, probe: Probe, message_type: str, sending: Any, code: str
) -> None:
    probe.sending = sending
    async with running(app) as server:
        client = server.connect()
        assert await client.error(message_type) == code
        assert len(client.received) == 1


@pytest.mark.parametrize("how", ["timeout", "cancel"])
async def test_an_answer_that_a_plugin_holds_up_is_stopped(
    app: App, probe: Probe, how: str
) -> None:
    probe.sending = "hang"
    async with running(app) as server:
        client = server.connect()
        client.send("echo", id="x")
        await server.quiet()
        if how == "cancel":
            assert (await client.ask("cancel", {"id": "x"}))["content"] == {"cancelled": True}
        assert (await client.answer("x"))["content"]["code"] in ("timeout", "cancelled")
        probe.sending = None
        assert (await client.ask("echo", 1))["content"] == 1


async def test_every_accepted_message_is_told_as_handled_once(app: App, probe: Probe) -> None:
    async with running(app) as server:
        client = server.connect()
        await client.ask("echo", id="echo")
        await client.ask("fail", id="fail")
        await client.ask("wait", 100, id="timeout")
        client.send("wait", 3, id="running")
        client.send("wait", 3, id="queued")
        client.send("cancel", {"id": "queued"})
        await client.answer("running")
        client.send("wait", 3, id="left")
        client.send("wait", 3, id="left too")
        await server.quiet()
        await client.leave()
        handled = {call[0]: call[1] for call in probe.of("message_handled")}
        assert len(probe.of("message_handled")) == len(handled)
        assert handled == {
            "echo": Outcome.REPLIED,
            "fail": Outcome.FAILED,
            "timeout": Outcome.TIMED_OUT,
            "running": Outcome.REPLIED,
            "queued": Outcome.CANCELLED,
            "left": Outcome.CANCELLED,
            "left too": Outcome.CANCELLED,
        }
        elapsed = {call[0]: call[2] for call in probe.of("message_handled")}
        assert 2.9 < elapsed["running"] < 3.1
        assert 3.9 < elapsed["timeout"] < 4.6


async def test_the_time_that_a_message_has_waited_for_its_turn_is_told_too(
    app: App, probe: Probe
) -> None:
    async with running(app) as server:
        client = server.connect()
        client.send("wait", 3, id="first")
        await server.pass_time(1)
        client.send("wait", 1, id="second")
        client.send("wait", 3, id="queued")
        await server.pass_time(1)
        client.send("cancel", {"id": "queued"})
        await client.answer("second")
        elapsed = {call[0]: call[2] for call in probe.of("message_handled")}
        assert elapsed["first"] == pytest.approx(3, abs=0.1)
        assert elapsed["second"] == pytest.approx(3, abs=0.1)
        assert elapsed["queued"] == pytest.approx(1, abs=0.1)


async def test_unexpected_errors_are_told_and_answers_are_not(app: App, probe: Probe) -> None:
    async with running(app) as server:
        client = server.connect()
        await client.error("fail")
        await client.error("unknown")
        assert probe.of("error_raised") == [(LookupError, "fail")]


async def test_all_that_is_sent_is_told(app: App, probe: Probe) -> None:
    async with running(app) as server:
        client = server.connect()
        await client.ask("stream")
        await client.ask("ping")
        await client.error("unknown")
        client.raw("{")
        await client.ask("cancel", {"id": "x"})
        await app.broadcast({"type": "news"})
        await client.connection.send({"type": "own"})
        await server.quiet()
        told = sorted(call[0] for call in probe.of("message_sent"))  # trio runs tasks in any order
        assert told == sorted(each["type"] for each in client.received)
        assert len(told) == 9


@pytest.mark.parametrize("error", [LookupError(), SystemExit(), GeneratorExit()])
async def test_hooks_that_only_listen_and_fail_change_nothing(
    app: App, probe: Probe, error: BaseException
) -> None:
    probe.notify = error
    async with running(app) as server:
        client = server.connect()
        assert (await client.ask("echo", 1))["content"] == 1
        assert await client.error("fail") == "handler_failed"
        await client.ask("ping")
        await client.leave()
        hooks = {call[0] for call in probe.calls}
        assert hooks >= {"connection_closed", "session_expired", "error_raised", "message_handled"}
        failures = server.metrics["handlers"]["plugin_failures"]
        assert failures["probe.message_handled"] == 2
        assert server.busy == 0


async def test_the_close_is_told_with_its_code_after_the_opening(app: App, probe: Probe) -> None:
    async with running(app) as server:
        client = server.connect()
        connection = client.connection
        await client.leave(4000)
        assert probe.of("connection_opened") == [(connection,)]
        assert probe.of("connection_closed") == [(connection, 4000, "")]
        assert probe.of("session_expired") == [(connection.session,)]
        assert server.metrics["connections"]["closed"] == {4000: 1}


async def test_events_are_heard_in_the_order_of_registration() -> None:
    app = App()
    heard: list[Any] = []
    app.on("connection:added", lambda connection: heard.append("added"))
    app.on("connection:removed", lambda connection, code, reason: heard.append(code))

    @app.on("message:received")
    async def received(message: Any, connection: Any) -> None:
        heard.append(f"received {message.type}")

    @app.on("message:sent")
    def sent(message: Any, connection: Any) -> None:
        heard.append(f"sent {message.type}")

    app.on("error", lambda error, connection, message: heard.append(type(error)))
    app.on("alert", heard.append)

    @app.handler("fail")
    async def fail(message: Any, connection: Any) -> Any:
        raise LookupError

    async with running(app) as server:
        client = server.connect()
        await client.error("fail")
        await client.leave()
        await app.emit("alert", "hot")
    assert heard == ["added", "received fail", "sent error", LookupError, 1001, "hot"]


def test_there_are_only_so_many_events() -> None:
    events = Events()
    with pytest.raises(ConfigError, match="no event 'connection:add'") as raised:
        events.add("connection:add", print)
    assert raised.value.hint == "Did you mean 'connection:added'?"
    with pytest.raises(ConfigError) as raised:
        events.add("zzz", print)
    assert "message:sent" in str(raised.value.hint)
