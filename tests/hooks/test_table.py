"""The frozen table: order of calls, the four policies, and what one failing plugin costs others."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any

import anyio
import pytest

from wsframe.errors import (
    AnswerError,
    CloseConnection,
    ConfigError,
    ConnectionClosed,
    HandlerError,
    PluginError,
    Refused,
    RequestRefused,
)
from wsframe.hooks import HookTable
from wsframe.hooks.containment import escaping_part
from wsframe.hooks.table import Implementations

pytestmark = pytest.mark.anyio


class Calls(list[Any]):
    """Implementations that write down that they were called."""

    def returning(self, name: str, result: Any = None) -> tuple[str, Callable[..., Any]]:
        async def implementation(*arguments: Any) -> Any:
            self.append((name, *arguments))
            return result

        return name, implementation

    def raising(self, name: str, error: BaseException) -> tuple[str, Callable[..., Any]]:
        async def implementation(*arguments: Any) -> Any:
            self.append((name, *arguments))
            raise error

        return name, implementation

    @property
    def names(self) -> list[str]:
        return [call[0] for call in self]


@pytest.fixture
def calls() -> Calls:
    return Calls()


FAILURES = [
    ValueError("broken"),
    SystemExit(3),
    BaseExceptionGroup("several", [SystemExit(1), ValueError("broken")]),
    ExceptionGroup("several", [ValueError("broken")]),
    asyncio.CancelledError(),  # of a future that the plugin awaited, not of the task it runs in
]
REFUSALS = [
    Refused("forbidden"),
    HandlerError("billing.quota"),
    RequestRefused(403, "forbidden", "no"),
    CloseConnection(4403, "no"),
]


def failing(error: BaseException) -> str:
    return type(error).__name__


# The table


def test_a_hook_without_implementations_is_false() -> None:
    assert not HookTable({}).message_received


def test_a_hook_knows_its_implementations_by_name(calls: Calls) -> None:
    table = HookTable({"started": [calls.returning("a"), calls.returning("b")]})
    assert [plugin for plugin, _ in table.started] == ["a", "b"]
    assert table.started.hook == "started"


def test_a_table_cannot_be_changed() -> None:
    with pytest.raises(AttributeError, match="frozen"):
        HookTable({}).started = Implementations("started")


# notify


async def test_notify_calls_every_implementation_in_order(calls: Calls) -> None:
    table = HookTable({"message_sent": [calls.returning("a"), calls.returning("b")]})
    await table.notify(table.message_sent, "connection", "message")
    assert calls == [("a", "connection", "message"), ("b", "connection", "message")]


@pytest.mark.parametrize("error", [*FAILURES, *REFUSALS], ids=failing)
async def test_notify_goes_on_after_a_failure_and_names_the_plugin(
    calls: Calls, error: BaseException, caplog: pytest.LogCaptureFixture
) -> None:
    table = HookTable({"message_sent": [calls.raising("bad", error), calls.returning("good")]})
    await table.notify(table.message_sent, 1, 2)
    assert calls.names == ["bad", "good"]
    assert table.failures == {("bad", "message_sent"): 1}
    assert "plugin 'bad' failed in message_sent" in caplog.text


async def test_a_plugin_that_sends_to_a_client_that_left_has_not_failed(
    calls: Calls, caplog: pytest.LogCaptureFixture
) -> None:
    table = HookTable({"connection_opened": [calls.raising("greeter", ConnectionClosed(1006))]})
    with caplog.at_level(logging.INFO):
        await table.notify(table.connection_opened, 1)
    assert table.failures == {}
    assert caplog.text == ""


# require


@pytest.mark.parametrize("error", [*FAILURES, *REFUSALS], ids=failing)
async def test_require_stops_at_the_first_failure_as_a_plugin_error(
    calls: Calls, error: BaseException
) -> None:
    table = HookTable({"started": [calls.raising("bad", error), calls.returning("good")]})
    with pytest.raises(PluginError, match="plugin 'bad': started failed") as caught:
        await table.require(table.started, "app")
    assert caught.value.hint is not None
    assert "-p no:bad" in caught.value.hint
    assert calls.names == ["bad"]


async def test_require_keeps_the_words_and_the_hint_of_a_start_error(calls: Calls) -> None:
    bad = calls.raising("bad", ConfigError("no such bucket", hint="Create it."))
    table = HookTable({"started": [bad]})
    with pytest.raises(PluginError, match="plugin 'bad': started: no such bucket") as caught:
        await table.require(table.started, "app")
    assert caught.value.hint == "Create it."


# gate


async def test_gate_passes_when_nobody_refuses(calls: Calls) -> None:
    table = HookTable({"message_received": [calls.returning("a"), calls.returning("b", False)]})
    assert await table.gate(table.message_received, 1, 2) is False
    assert calls.names == ["a", "b"]


async def test_gate_tells_when_somebody_allows_explicitly(calls: Calls) -> None:
    table = HookTable({"room_joining": [calls.returning("a", True), calls.returning("b")]})
    assert await table.gate(table.room_joining, 1, 2) is True


async def test_only_the_value_true_allows(calls: Calls) -> None:
    table = HookTable({"room_joining": [calls.returning("a", 1), calls.returning("b", "yes")]})
    assert await table.gate(table.room_joining, 1, 2) is False


@pytest.mark.parametrize("error", REFUSALS, ids=failing)
async def test_gate_hands_a_refusal_on_and_asks_nobody_else(calls: Calls, error: Exception) -> None:
    table = HookTable({"message_received": [calls.raising("a", error), calls.returning("b", True)]})
    with pytest.raises(type(error)) as caught:
        await table.gate(table.message_received, 1, 2)
    assert caught.value is error
    assert calls.names == ["a"]
    assert table.failures == {}


@pytest.mark.parametrize("policy", ["gate", "first"])
@pytest.mark.parametrize("error", FAILURES, ids=failing)
async def test_gate_and_first_fail_closed_as_internal(
    calls: Calls, error: BaseException, policy: str
) -> None:
    table = HookTable(
        {"message_received": [calls.raising("bad", error), calls.returning("b", True)]}
    )
    with pytest.raises(Refused) as caught:
        await getattr(table, policy)(table.message_received, 1, 2)
    assert caught.value.code == "internal"
    assert caught.value.__cause__ is error
    assert str(error) not in str(caught.value.content()) or not str(error)
    assert calls.names == ["bad"]
    assert table.failures == {("bad", "message_received"): 1}


# first


async def test_first_asks_until_somebody_answers(calls: Calls) -> None:
    table = HookTable(
        {"authenticate": [calls.returning("a"), calls.returning("b", 0), calls.returning("c", 1)]}
    )
    assert await table.first(table.authenticate, "request") == 0
    assert calls.names == ["a", "b"]


async def test_first_is_none_when_nobody_answers(calls: Calls) -> None:
    table = HookTable({"authenticate": [calls.returning("a")]})
    assert await table.first(table.authenticate, "request") is None


@pytest.mark.parametrize("error", REFUSALS, ids=failing)
async def test_first_hands_a_refusal_on(calls: Calls, error: Exception) -> None:
    table = HookTable({"authenticate": [calls.raising("a", error), calls.returning("b", 1)]})
    with pytest.raises(type(error)):
        await table.first(table.authenticate, "request")


# transform


async def test_transform_is_a_chain(calls: Calls) -> None:
    async def shout(connection: str, message: str) -> str:
        return message.upper()

    async def repeat(connection: str, message: str) -> str:
        return message * 2

    table = HookTable({"message_sending": [("shout", shout), ("repeat", repeat)]})
    assert await table.transform(table.message_sending, "connection", "hi") == "HIHI"


async def test_an_implementation_that_returns_nothing_changes_nothing(calls: Calls) -> None:
    table = HookTable({"message_sending": [calls.returning("a"), calls.returning("b")]})
    assert await table.transform(table.message_sending, "connection", "hi") == "hi"
    assert calls == [("a", "connection", "hi"), ("b", "connection", "hi")]


async def test_transform_refuses_what_is_no_message(calls: Calls) -> None:
    table = HookTable({"message_sending": [calls.returning("bad", {"type": "text"})]})
    with pytest.raises(Refused) as caught:
        await table.transform(table.message_sending, "connection", "hi")
    assert caught.value.code == "internal"
    assert "must return str or None, not dict" in str(caught.value.__cause__)
    assert table.failures == {("bad", "message_sending"): 1}


@pytest.mark.parametrize("error", FAILURES, ids=failing)
async def test_transform_sends_nothing_rather_than_something_unredacted(
    calls: Calls, error: BaseException
) -> None:
    table = HookTable({"message_sending": [calls.raising("bad", error)]})
    with pytest.raises(Refused) as caught:
        await table.transform(table.message_sending, "connection", "secret")
    assert caught.value.code == "internal"


async def test_transform_hands_a_refusal_on(calls: Calls) -> None:
    table = HookTable({"message_sending": [calls.raising("a", Refused("invalid_content"))]})
    with pytest.raises(AnswerError, match="invalid_content"):
        await table.transform(table.message_sending, "connection", "hi")


# What is not the plugin's to keep

POLICIES = ["notify", "require", "gate", "first", "transform"]


@pytest.mark.parametrize("policy", POLICIES)
async def test_cancellation_is_never_swallowed(policy: str) -> None:
    after = []

    async def wait(*arguments: Any) -> None:
        await anyio.sleep_forever()

    async def never(*arguments: Any) -> None:
        after.append(arguments)

    table = HookTable({"message_received": [("waits", wait), ("never", never)]})
    with anyio.CancelScope() as scope:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(getattr(table, policy), table.message_received, 1, 2)
            await anyio.wait_all_tasks_blocked()
            scope.cancel()
    assert scope.cancelled_caught
    assert after == []
    assert table.failures == {}


@pytest.mark.parametrize("policy", POLICIES)
async def test_cancellation_inside_a_group_is_never_swallowed(policy: str) -> None:
    after = []

    async def wait(*arguments: Any) -> None:
        try:
            await anyio.sleep_forever()
        except anyio.get_cancelled_exc_class() as cancelled:
            raise BaseExceptionGroup("both", [cancelled, ValueError("broken")]) from None

    async def never(*arguments: Any) -> None:
        after.append(arguments)

    table = HookTable({"message_received": [("bad", wait), ("never", never)]})
    with anyio.CancelScope() as scope:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(getattr(table, policy), table.message_received, 1, 2)
            await anyio.wait_all_tasks_blocked()
            scope.cancel()
    assert scope.cancelled_caught
    assert after == []
    assert table.failures == {("bad", "message_received"): 1}


@pytest.mark.parametrize("policy", POLICIES)
async def test_a_cancel_scope_of_the_plugin_itself_is_its_own_business(policy: str) -> None:
    async def patient(*arguments: Any) -> None:
        with anyio.move_on_after(0):
            await anyio.sleep_forever()

    table = HookTable({"message_received": [("patient", patient)]})
    await getattr(table, policy)(table.message_received, 1, 2)
    assert table.failures == {}


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize(
    "error",
    [KeyboardInterrupt(), BaseExceptionGroup("both", [ValueError(), KeyboardInterrupt()])],
    ids=failing,
)
def test_ctrl_c_is_never_swallowed(calls: Calls, policy: str, error: BaseException) -> None:
    table = HookTable({"message_received": [calls.raising("a", error)]})
    with pytest.raises(KeyboardInterrupt):
        getattr(table, policy)(table.message_received, 1, 2).send(None)


def test_closing_the_coroutine_ends_it() -> None:
    after = []

    class Pause:
        def __await__(self) -> Any:
            yield

    async def wait(*arguments: Any) -> None:
        await Pause()

    async def never(*arguments: Any) -> None:
        after.append(arguments)

    table = HookTable({"message_sent": [("waits", wait), ("never", never)]})
    coroutine = table.notify(table.message_sent, 1, 2)
    coroutine.send(None)
    coroutine.close()
    assert after == []


def test_ctrl_c_comes_before_cancellation_and_both_before_the_rest() -> None:
    interrupt, leaving = KeyboardInterrupt(), GeneratorExit()
    inner = BaseExceptionGroup("inner", [SystemExit(), interrupt])
    assert escaping_part(BaseExceptionGroup("outer", [leaving, inner])) is interrupt
    assert escaping_part(BaseExceptionGroup("outer", [ValueError(), leaving])) is leaving
    assert escaping_part(BaseExceptionGroup("outer", [SystemExit(), ValueError()])) is None
