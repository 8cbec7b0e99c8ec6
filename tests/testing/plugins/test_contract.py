"""The contract of plugins finds what it looks for, and nothing in a plugin that is sound."""

from __future__ import annotations

import logging
import threading
import time
import types
from pathlib import Path
from typing import Any

import anyio
import msgspec
import pytest

from wsframe import App, Connection, Message, Refused, hookimpl
from wsframe.testing.plugins import PluginContract

FAILS = "test_a_hook_that_fails_opens_no_door_and_leaves_no_message_unanswered"
LEAVES = "test_it_converses_and_leaves_nothing_behind"
AGAIN = "test_disabling_and_enabling_it_again_leaves_nothing_more_each_time"
WAITS = "test_nothing_on_the_path_of_messages_waits_or_blocks"


def contract_of(tested: Any, **attributes: Any) -> PluginContract:
    derived = type("Contract", (PluginContract,), {"plugin": tested, **attributes})
    return derived()


def check(contract: PluginContract, test: str, *arguments: str) -> None:
    getattr(contract, test)(*arguments)


class Sound:
    """A plugin that uses most of what there is."""

    class Config(msgspec.Struct, forbid_unknown_fields=True):
        word: str
        limit: int = 10
        anything: Any = None

    def __init__(self, config: Config) -> None:
        self.config = config
        self.seen: list[str] = []

    @hookimpl
    def setup(self, app: App) -> None:
        app.on("connection:added", lambda connection: None)

    @hookimpl
    def register_commands(self, cli: Any) -> None:
        pass

    @hookimpl
    async def started(self) -> None:
        pass

    @hookimpl
    async def stopping(self) -> None:
        pass

    @hookimpl
    async def connection_opening(self) -> None:
        pass

    @hookimpl
    async def authenticate(self) -> None:
        pass

    @hookimpl
    async def session_opening(self, connection: Connection, init: Message[Any]) -> None:
        pass

    @hookimpl
    async def connection_opened(self, connection: Connection) -> None:
        pass

    @hookimpl
    async def connection_closed(self, code: int) -> None:
        pass

    @hookimpl
    async def session_resumed(self) -> None:
        pass

    @hookimpl
    async def session_expired(self) -> None:
        pass

    @hookimpl
    async def message_received(self, message: Message[Any]) -> None:
        pass

    @hookimpl
    async def message_sending(self, message: Message[Any]) -> Message[Any]:
        return message

    @hookimpl
    async def message_sent(self) -> None:
        pass

    @hookimpl
    async def message_handled(self, outcome: Any) -> None:
        pass

    @hookimpl
    async def room_joining(self, room: str) -> None:
        pass

    @hookimpl
    async def error_raised(self, error: Any) -> None:
        pass

    @hookimpl
    def make_broker(self, url: str) -> None:
        pass


class TestASoundPlugin(PluginContract):
    plugin = Sound
    settings = {"word": "x"}


MODULE = types.ModuleType("wsframe_module")
exec(
    "from wsframe import hookimpl\n"
    "@hookimpl\nasync def message_received(message): pass\n"
    "@hookimpl\nasync def room_joining(room): return True\n",
    MODULE.__dict__,
)


class TestAModule(PluginContract):
    plugin = MODULE


def test_a_module_is_as_it_was_after_its_hooks_were_made_to_fail() -> None:
    before = dict(vars(MODULE))
    check(contract_of(MODULE), FAILS, "message_received", "at once")
    assert vars(MODULE) == before


class Spawning:
    def __init__(self) -> None:
        self.tasks: Any = None

    @hookimpl
    async def started(self) -> None:
        import asyncio

        self.tasks = asyncio.create_task(anyio.sleep_forever(), name="left behind")


class SpawningOnTrio:
    @hookimpl
    async def started(self) -> None:
        import trio

        trio.lowlevel.spawn_system_task(trio.sleep_forever, name="left behind")


@pytest.mark.parametrize(("tested", "backend"), [(Spawning, "asyncio"), (SpawningOnTrio, "trio")])
def test_a_task_that_outlives_the_server_is_found(tested: Any, backend: str) -> None:
    with pytest.raises(AssertionError, match="left behind"):
        check(contract_of(tested), LEAVES, backend)
    with pytest.raises(AssertionError, match="tasks, listeners"):
        check(contract_of(tested), AGAIN, backend)


class Forgetful:
    @hookimpl
    async def message_sent(self) -> None:
        anyio.sleep(0)


class Filtering:
    @hookimpl
    async def started(self) -> None:
        logging.getLogger("wsframe.test.contract").addFilter(lambda record: True)


class Filter(logging.Filter):
    pass


class Tidy:
    """Cleans up in ``stopping``, which the contract keeps it from."""

    def __init__(self) -> None:
        self.filter = Filter()
        self.handler = logging.NullHandler()

    @hookimpl
    async def started(self) -> None:
        log = logging.getLogger("wsframe.test.contract")
        log.addFilter(self.filter)
        log.addHandler(self.handler)

    @hookimpl
    async def stopping(self) -> None:
        log = logging.getLogger("wsframe.test.contract")
        log.removeFilter(self.filter)
        log.removeHandler(self.handler)


def test_what_a_plugin_could_not_take_away_the_contract_does() -> None:
    check(contract_of(Tidy), FAILS, "stopping", "at once")
    log = logging.getLogger("wsframe.test.contract")
    assert (log.filters, log.handlers) == ([], [])
    check(contract_of(Tidy), LEAVES, "asyncio")


class Threading:
    @hookimpl
    async def started(self) -> None:
        self.end = threading.Event()
        THREADS.append(self)
        threading.Thread(target=self.end.wait, name="left behind", daemon=True).start()


THREADS: list[Any] = []


@pytest.mark.filterwarnings("ignore:coroutine")
@pytest.mark.parametrize(
    ("tested", "found"),
    [(Forgetful, "never awaited"), (Filtering, "still has"), (Threading, "'left behind'")],
)
def test_what_outlives_the_event_loop_is_found(tested: Any, found: str) -> None:
    try:
        with pytest.raises(AssertionError, match=found):
            check(contract_of(tested), LEAVES, "asyncio")
    finally:
        logging.getLogger("wsframe.test.contract").filters.clear()
        while THREADS:
            THREADS.pop().end.set()


class Listening:
    @hookimpl
    async def started(self, app: App) -> None:
        app.on("message:sent", lambda message, connection: None)


def test_listeners_that_grow_each_time_it_is_enabled_are_found() -> None:
    with pytest.raises(AssertionError, match="tasks, listeners"):
        check(contract_of(Listening), AGAIN, "asyncio")


class Trusting:
    """Refuses whom a notification has marked: who is not marked comes in."""

    @hookimpl
    async def connection_opened(self, connection: Connection) -> None:
        connection.metadata["guest"] = True

    @hookimpl
    async def message_received(self, connection: Connection) -> None:
        if connection.metadata.get("guest"):
            raise Refused("forbidden")


class Careful(Trusting):
    """Refuses unless a notification has marked somebody."""

    @hookimpl
    async def message_received(self, connection: Connection) -> None:
        if connection.metadata["guest"]:
            raise Refused("forbidden")


def test_a_hook_whose_failure_opens_a_door_is_found() -> None:
    with pytest.raises(AssertionError, match="'connection_opened' fails"):
        check(contract_of(Trusting), FAILS, "connection_opened", "at once")
    check(contract_of(Careful), FAILS, "connection_opened", "at once")


def test_a_hook_that_refuses_before_it_fails_may_keep_to_its_own_refusal() -> None:
    for moment in ("at once", "at the end"):
        check(contract_of(Trusting), FAILS, "message_received", moment)


class Hiding:
    """Nobody is told of what its middleware swallows."""

    @hookimpl
    def setup(self, app: App) -> None:
        async def swallow(message: Any, connection: Any, call_next: Any) -> Any:
            try:
                return await call_next(message, connection)
            except LookupError:
                return {}

        app.use(swallow)

    @hookimpl
    async def error_raised(self) -> None:
        pass


def test_a_hook_that_the_conversation_does_not_reach_is_named() -> None:
    with pytest.raises(AssertionError, match="never reaches 'error_raised'"):
        check(contract_of(Hiding), FAILS, "error_raised", "at once")


def test_a_plugin_that_refuses_everything_is_measured_too() -> None:
    check(contract_of(Trusting), "test_answers_take_little_longer_than_with_hooks_that_do_nothing")


class Unreachable:
    @hookimpl
    async def connection_opening(self) -> None:
        raise Refused("forbidden")


def test_a_conversation_that_does_not_get_in_says_what_to_do() -> None:
    with pytest.raises(AssertionError, match="does not get in"):
        check(contract_of(Unreachable), LEAVES, "asyncio")


class Reading:
    @hookimpl
    async def message_received(self) -> None:
        with Path(__file__).open(encoding="utf-8"):
            pass


class Sleeping:
    @hookimpl
    async def message_sent(self) -> None:
        time.sleep(0)


class Waiting:
    @hookimpl
    async def message_handled(self) -> None:
        await anyio.sleep(0.1)


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
@pytest.mark.parametrize(
    ("tested", "found"),
    [(Reading, "io.open"), (Sleeping, "time.sleep"), (Waiting, "message_handled")],
)
def test_what_blocks_or_waits_on_the_path_of_messages_is_found(
    tested: Any, found: str, backend: str
) -> None:
    with pytest.raises(AssertionError, match=found):
        check(contract_of(tested), WAITS, backend)


def test_what_waits_on_purpose_may_say_so() -> None:
    contract = contract_of(Waiting, may_wait=frozenset({"message_handled"}))
    check(contract, WAITS, "asyncio")


class Busy:
    @hookimpl
    async def message_received(self) -> None:
        sum(range(200_000))


def test_answers_that_take_many_times_as_long_are_found() -> None:
    with pytest.raises(AssertionError, match="of processor time"):
        check(contract_of(Busy), "test_answers_take_little_longer_than_with_hooks_that_do_nothing")


def test_a_class_with_slots_is_told_what_to_do() -> None:
    class Slotted:
        __slots__ = ()

        @hookimpl
        async def message_received(self) -> None:
            pass

    with pytest.raises(TypeError, match="Slotted has __slots__"):
        check(contract_of(Slotted), FAILS, "message_received", "at once")


def test_a_plugin_that_cannot_be_made_fails_one_test_that_says_why() -> None:
    class Wrong:
        @hookimpl
        def message_received(self) -> None:
            pass

    contract = contract_of(Wrong)
    assert contract._hooks() == []
    with pytest.raises(Exception, match="must be 'async def'"):
        check(contract, "test_every_hook_has_the_right_colour_and_arguments")
