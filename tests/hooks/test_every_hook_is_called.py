"""Each hook is called by a real server, with what its spec promises.

One conversation over a socket visits them all; a hook that is added without a line here fails.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import anyio
import click
import pytest
from websockets.asyncio.client import connect

from tests.hooks.conftest import HERE
from wsframe import App, Identity, Message, Outcome, RequestRefused, hookimpl
from wsframe.config import Config, PluginSettings
from wsframe.hooks import SPECS, HookManager

GUARD_S = 90.0
"""A deadlock guard: what is waited for comes much earlier."""
NOT_CALLED_YET = {"make_store", "make_broker", "session_resumed"}
"""This version keeps sessions in memory, on one node, for the life of a connection."""


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"  # the foreign client speaks asyncio


class Recorder(list[tuple[str, tuple[Any, ...]]]):
    """A plugin that implements every hook."""

    def of(self, hook: str) -> list[tuple[Any, ...]]:
        return [arguments for name, arguments in self if name == hook]

    def results(self, hook: str, arguments: tuple[Any, ...]) -> Any:
        if hook == "authenticate":
            return Identity(subject="ada")
        if hook == "message_sending" and arguments[1].content == {"text": "secret"}:
            return Message(**{**_fields(arguments[1]), "content": {"text": "[redacted]"}})
        return True if hook == "room_joining" else None


def _fields(message: Message[Any]) -> dict[str, Any]:
    return {name: getattr(message, name) for name in message.__struct_fields__}


def _implementation(hook: str) -> Callable[..., Any]:
    """A function with the colour and the arguments of a hook's spec."""
    spec = SPECS[hook]
    arguments = ", ".join(spec.parameters)
    colour = "async " if spec.is_async else ""
    scope: dict[str, Any] = {}
    exec(
        f"{colour}def {hook}(self, {arguments}):\n"
        f"    self.append(({hook!r}, ({arguments},)))\n"
        f"    return self.results({hook!r}, ({arguments},))\n",
        scope,
    )
    return hookimpl(scope[hook])


for _hook in SPECS:
    setattr(Recorder, _hook, _implementation(_hook))


@asynccontextmanager
async def conversation(app: App) -> AsyncIterator[Callable[..., Any]]:
    """A client of ``app`` that sends a message and returns the answer."""
    address = await app.start(host="127.0.0.1", port=0)
    try:
        async with connect(
            address,
            subprotocols=["wsframe.v1.json"],  # type: ignore[list-item]
            open_timeout=GUARD_S,
            close_timeout=GUARD_S,
            ping_timeout=GUARD_S,
        ) as client:

            async def ask(message_type: str, content: Any = None, **fields: Any) -> Any:
                message = {"type": message_type, "content": content or {}, **fields}
                await client.send(json.dumps(message))
                return json.loads(await client.recv())

            yield ask
    finally:
        await app.stop()


@pytest.fixture
async def recorded() -> Recorder:
    """What a plugin has seen after a conversation that visits every hook."""
    recorder = Recorder()
    app = App(plugins=[recorder])

    @app.handler("text")
    async def echo(message: Any, connection: Any) -> Any:
        return message.content

    @app.handler("fail")
    async def fail(message: Any, connection: Any) -> Any:
        raise RuntimeError("broken")

    async with conversation(app) as ask:
        assert (await ask("init", id="1"))["content"]["identity"]["subject"] == "ada"
        assert (await ask("text", {"text": "hi"}, id="2"))["content"] == {"text": "hi"}
        assert (await ask("text", {"text": "secret"}, id="3"))["content"] == {"text": "[redacted]"}
        assert (await ask("join", {"room": "lobby"}, id="4"))["type"] == "join"
        assert (await ask("fail", id="5"))["content"]["code"] == "handler_failed"
        with anyio.fail_after(GUARD_S):
            while not recorder.of("error_raised"):
                await anyio.lowlevel.checkpoint()
    return recorder


def ids(calls: list[tuple[Any, ...]], position: int) -> list[Any]:
    return [arguments[position].id for arguments in calls]


def check_setup(calls: list[Any]) -> bool:
    ((app,),) = calls
    return isinstance(app, App)


def check_authenticate(calls: list[Any]) -> bool:
    ((request,),) = calls
    return bool(request.path == "/ws" and request.header("host"))


def check_connection_closed(calls: list[Any]) -> bool:
    ((connection, code, reason),) = calls
    return bool(connection.id and code == 1000 and reason == "")


def check_session_opening(calls: list[Any]) -> bool:
    ((connection, init),) = calls
    return bool(connection.session_id and init.type == "init")


def check_message_handled(calls: list[Any]) -> bool:
    outcomes = {message.id: (outcome, elapsed) for _, message, outcome, elapsed in calls}
    return (
        outcomes["2"][0] is Outcome.REPLIED
        and outcomes["5"][0] is Outcome.FAILED
        and all(0 <= elapsed < 60 for _, elapsed in outcomes.values())
    )


def check_error_raised(calls: list[Any]) -> bool:
    ((error, connection, message),) = calls
    return isinstance(error, RuntimeError) and bool(connection.id) and message.id == "5"


CHECKS: dict[str, Callable[[list[Any]], bool]] = {
    "setup": check_setup,
    "started": check_setup,
    "stopping": check_setup,
    "connection_opening": check_authenticate,
    "authenticate": check_authenticate,
    "session_opening": check_session_opening,
    "connection_opened": lambda calls: len(calls) == 1 and bool(calls[0][0].id),
    "connection_closed": check_connection_closed,
    "session_expired": lambda calls: len(calls) == 1 and bool(calls[0][0].id),
    "message_received": lambda calls: ids(calls, 1) == ["2", "3", "5"],
    "message_sending": lambda calls: (
        {m.reply_to for _, m in calls} >= {"2", "3"}
        and not [m for _, m in calls if m.type == "error"]
    ),
    "message_sent": lambda calls: [m.reply_to for _, m in calls] == ["1", "2", "3", "4", "5"],
    "message_handled": check_message_handled,
    "room_joining": lambda calls: len(calls) == 1 and calls[0][1] == "lobby",
    "error_raised": check_error_raised,
}


def test_every_hook_is_checked_here_or_by_the_command_line() -> None:
    assert set(CHECKS) | {"register_commands"} | NOT_CALLED_YET == set(SPECS)


@pytest.mark.anyio
async def test_a_conversation_calls_every_hook_as_its_spec_promises(recorded: Recorder) -> None:
    wrong = [hook for hook, check in CHECKS.items() if not check(recorded.of(hook))]
    assert wrong == [], {hook: recorded.of(hook) for hook in wrong}


@pytest.mark.anyio
async def test_hooks_are_called_in_the_order_of_a_connection_s_life(recorded: Recorder) -> None:
    order = list(dict.fromkeys(hook for hook, _ in recorded))
    expected = [
        "setup",
        "started",
        "connection_opening",
        "authenticate",
        "connection_opened",
        "session_opening",
        "message_received",
        "connection_closed",
        "session_expired",
        "stopping",
    ]
    assert [hook for hook in order if hook in expected] == expected


def test_commands_of_plugins_join_the_command_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from wsframe.cli.root import RootGroup

    @click.command("greet")
    def greet() -> None:
        click.echo("Hello from a plugin")

    class Greeter:
        @hookimpl
        def register_commands(self, cli: click.Group) -> None:
            cli.add_command(greet)

    def with_greeter(config: Config, version: str) -> HookManager:
        settings = PluginSettings(disable=HERE)
        return HookManager(Config(plugins=settings), version, [Greeter])

    monkeypatch.setattr("wsframe.hooks.manager.HookManager", with_greeter)
    with pytest.raises(SystemExit) as exit_:
        RootGroup("wsframe").main(["greet"])
    assert exit_.value.code == 0
    assert "Hello from a plugin" in capsys.readouterr().out


@pytest.mark.anyio
async def test_a_refusal_before_the_upgrade_is_the_http_answer() -> None:
    class Closed:
        @hookimpl
        async def connection_opening(self, request: Any) -> None:
            raise RequestRefused(451, "greeter.closed", "Not today.")

    from websockets.exceptions import InvalidStatus

    app = App(plugins=[Closed])
    with pytest.raises(InvalidStatus) as caught:
        async with conversation(app):
            raise AssertionError("it let the client in")
    assert caught.value.response.status_code == 451
    assert json.loads(caught.value.response.body or b"") == {
        "code": "greeter.closed",
        "message": "Not today.",
    }
