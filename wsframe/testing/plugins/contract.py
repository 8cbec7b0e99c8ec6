"""The contract of plugins: what holds for each of them, as tests to derive from."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from importlib.util import find_spec
from typing import Any, ClassVar, Final

import anyio
import click
import msgspec
import pytest

from ...config_fields import read_value
from ...errors import ConfigError, PluginError, RequestError, StartError
from ...hooks import SPECS, HookManager, Policy, hookimpl
from ...hooks.implementations import Found, check_plugin
from ...hooks.settings import build_plugin
from ...server.app import App
from ...version import __version__
from ..clocks import virtual_time
from ..connector import Connector
from .conversation import OK, Conversation
from .instruments import Fault, Observer, instrumented
from .isolation import isolated_app, plugin_name
from .leaks import leaks_outside, living_tasks, log_listeners, log_listeners_taken_back

ON_THE_WAY: Final = ("message_received", "message_sending", "message_sent", "message_handled")
"""Hooks on the path of every message."""

AT_THE_DOOR: Final = {
    "connection_opening": ("connect", "500 internal"),
    "authenticate": ("connect", "500 internal"),
    "session_opening": ("connect", "init: internal"),
}
"""Where a conversation ends when one of these fails, and how."""

NOT_CALLED: Final = frozenset({"make_broker"})
"""Hooks that this version of wsframe does not call."""

CYCLES: Final = 3
ROUNDS: Final = 4
MESSAGES_PER_ROUND: Final = 25


class PluginContract:
    """Tests that every plugin should pass, on asyncio and on trio.

    A conversation is held with an application that has the plugin and a few handlers, in memory and
    in virtual time: as it is, with each hook of the plugin made to fail, and while the plugin is
    disabled and enabled again. Its settings are tried with wrong values.

    Attributes:
        plugin: what the entry point names: a class or a module.
        settings: what stands in ``[plugins.<name>]``. The conversation must get in with it.
        messages: types and contents to send in addition, so that hooks and handlers of the plugin
            have something to do.
        may_wait: hooks on the path of messages that wait or block on purpose.
        times_as_slow: how much more processor time an answer may take than with hooks that do
            nothing.
    """

    plugin: ClassVar[Any]
    settings: ClassVar[Mapping[str, Any]] = {}
    messages: ClassVar[Sequence[tuple[str, Any]]] = ()
    may_wait: ClassVar[frozenset[str]] = frozenset()
    times_as_slow: ClassVar[float] = 5.0

    def connect_options(self) -> Mapping[str, Any]:
        """How clients connect: ``token``, ``headers`` and what else ``wsframe_client`` takes."""
        return {}

    def make_app(self, plugin: object) -> App:
        """The application of the conversation, with this plugin and no other.

        A plugin that makes stores needs one here whose setting ``store`` names one of its own.
        """
        return isolated_app(plugin)

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """Run a test on both event loops, and once for each hook of the plugin."""
        if "backend" in metafunc.fixturenames:
            metafunc.parametrize("backend", ["asyncio", "trio"])
        if "failing_hook" in metafunc.fixturenames:
            metafunc.parametrize("failing_hook", self._hooks())

    # The tests

    def test_every_hook_has_the_right_colour_and_arguments(self) -> None:
        assert check_plugin(self._name, self._make())

    def test_it_converses_and_leaves_nothing_behind(self, backend: str) -> None:
        self._expected(backend)  # what stays once for the whole process is no leak
        conversation = Conversation(self.make_app(self._make()), *self._talk())

        async def main() -> None:
            before = living_tasks()
            connect = Connector()
            await conversation.hold(connect)
            await connect.aclose()
            await anyio.sleep(1)
            left = [name for task, name in living_tasks().items() if task not in before]
            assert left == [], "tasks that outlive the server"

        with leaks_outside() as leaks:
            _run(backend, main)
        assert conversation.steps.get("connect") == OK, (
            "the conversation does not get in: give the contract settings or connect_options()"
        )
        _check_answers(conversation.steps)
        assert leaks == []

    def test_disabling_and_enabling_it_again_leaves_nothing_more_each_time(
        self, backend: str
    ) -> None:
        app = self.make_app(self._make())
        conversation = Conversation(app, *self._talk())
        counted: list[tuple[int, int, int]] = []

        async def main() -> None:
            connect = Connector()
            before = dict(await conversation.hold(connect))
            additions = app._additions()  # noqa: SLF001 - what else would a plugin add to?
            for _ in range(CYCLES):
                await app.disable_plugin(self._name)
                await anyio.sleep(1)
                listeners = sum(map(len, log_listeners().values()))
                counted.append((len(living_tasks()), listeners, additions.growth))
                await app.enable_plugin(self._name)
            assert await conversation.hold(connect) == before
            await connect.aclose()

        with leaks_outside() as leaks:
            _run(backend, main)
        assert len(set(counted)) == 1, f"tasks, listeners of logging, additions: {counted}"
        assert leaks == []

    @pytest.mark.parametrize("moment", ["at once", "at the end"])
    def test_a_hook_that_fails_opens_no_door_and_leaves_no_message_unanswered(
        self, failing_hook: str, moment: str
    ) -> None:
        if failing_hook in NOT_CALLED:
            pytest.skip("this version of wsframe does not call it")
        backend = "trio" if moment == "at the end" and find_spec("trio") else "asyncio"
        expected = self._expected(backend)
        fault = Fault(failing_hook, after=moment == "at the end")
        with log_listeners_taken_back():
            self._fail(backend, fault, expected)
        assert fault.reached, (
            f"the conversation never reaches {failing_hook!r}: add to the contract's messages"
        )

    def test_a_setting_that_it_does_not_know_is_refused_by_name(self) -> None:
        name = "a_setting_that_nobody_has"
        with pytest.raises(ConfigError) as refused:
            self._build({**self.settings, name: 1})
        assert f"plugins.{self._name}.{name}" in refused.value.message

    def test_a_setting_of_the_wrong_type_is_refused_by_name(self) -> None:
        config_type = getattr(self.plugin, "Config", None)
        for field in msgspec.structs.fields(config_type) if config_type else ():
            for wrong in ([["wrong"]], {"wrong": ["wrong"]}, "wrong"):
                if _is_wrong(wrong, field.type):
                    with pytest.raises(ConfigError) as refused:
                        self._build({**self.settings, field.encode_name: wrong})
                    assert f"plugins.{self._name}.{field.encode_name}" in refused.value.message
                    break

    def test_a_setting_that_is_missing_is_asked_for_by_name(self) -> None:
        config_type = getattr(self.plugin, "Config", None)
        for field in msgspec.structs.fields(config_type) if config_type else ():
            if field.required:
                rest = {k: v for k, v in self.settings.items() if k != field.encode_name}
                with pytest.raises(ConfigError) as refused:
                    self._build(rest)
                assert f"plugins.{self._name}.{field.encode_name}" in refused.value.message

    def test_nothing_on_the_path_of_messages_waits_or_blocks(self, backend: str) -> None:
        observer = Observer([hook for hook in ON_THE_WAY if hook not in self.may_wait])
        self._converse(backend, observer)
        assert not observer.waited, "hooks on the path of every message that wait"
        assert not observer.blocked, "hooks on the path of every message, and what blocks in them"

    def test_answers_take_little_longer_than_with_hooks_that_do_nothing(self) -> None:
        found = check_plugin(self._name, self._make())
        empty = _make_empty([each for each in found if each.spec.name in ON_THE_WAY])
        ours, others = [], []
        for _ in range(ROUNDS):
            ours.append(self._measure(self.make_app(self._make())))
            others.append(self._measure(isolated_app(empty)))
        assert min(ours) <= self.times_as_slow * min(others), (
            f"{min(ours) * 1e6:.0f} µs of processor time for an answer, "
            f"and {min(others) * 1e6:.0f} µs with hooks that do nothing"
        )

    # What they are made of

    _name: ClassVar[str]
    _known: ClassVar[dict[str, Any]]
    """How the conversation ends when nothing fails, by event loop."""

    def __init_subclass__(cls) -> None:
        """Find out once what is the same for every test."""
        super().__init_subclass__()
        cls._name = plugin_name(cls.plugin) if hasattr(cls, "plugin") else ""
        cls._known = {}

    def _talk(self) -> tuple[Mapping[str, Any], Sequence[tuple[str, Any]]]:
        return self.connect_options(), self.messages

    def _make(self) -> object:
        return self._build(self.settings)

    def _build(self, settings: Mapping[str, Any]) -> object:
        plugin, _ = build_plugin(self._name, self.plugin, settings)
        return plugin

    def _hooks(self) -> list[str]:
        try:
            found = check_plugin(self._name, self._make())
        except StartError:
            return []  # the test of its colours says why
        return sorted({each.spec.name for each in found})

    def _expected(self, backend: str) -> Mapping[str, Any]:
        if backend not in self._known:
            self._known[backend] = self._converse(backend, None)
        expected: Mapping[str, Any] = self._known[backend]
        return expected

    def _converse(self, backend: str, around: Any) -> dict[str, Any]:
        """Hold the conversation with an instrumented plugin; returns how its steps ended."""
        plugin = self._make()
        found = check_plugin(self._name, plugin)
        with instrumented(plugin, found, around or (lambda each: each.function)):
            conversation = Conversation(self.make_app(plugin), *self._talk())

            async def main() -> None:
                connect = Connector()
                try:
                    await conversation.hold(connect)
                finally:
                    await connect.aclose()

            _run(backend, main)
        return {**conversation.steps, "handled": conversation.handled}

    def _fail(self, backend: str, fault: Fault, expected: Mapping[str, Any]) -> None:
        if fault.hook == "register_commands":
            self._check_commands(fault)
        elif SPECS[fault.hook].fails_start:
            with pytest.raises(PluginError, match="was made to fail"):
                self._converse(backend, fault)
        else:
            _check_fault(fault, expected, self._converse(backend, fault))

    def _check_commands(self, fault: Fault) -> None:
        plugin = self._make()
        with instrumented(plugin, check_plugin(self._name, plugin), fault):
            manager = HookManager(isolated_app(plugin).config, __version__, [plugin])
            manager.load()
            errors = manager.register_commands(click.Group("wsframe"))
        assert [error.message for error in errors if "was made to fail" in error.message]

    def _measure(self, app: App) -> float:
        """Seconds of processor time for an answer."""
        Conversation(app, {})
        elapsed_s = 0.0

        async def main() -> None:
            nonlocal elapsed_s
            connect = Connector()
            client = await connect(app, **self.connect_options())
            for _ in range(MESSAGES_PER_ROUND):
                began = time.thread_time()
                with suppress(RequestError):  # it may refuse, if only it is quick
                    await client.request("contract.echo", {"text": "Hello"})
                elapsed_s += time.thread_time() - began
                await client.advance(1)
            await connect.aclose()

        _run("asyncio", main)
        return elapsed_s / MESSAGES_PER_ROUND


def _run(backend: str, main: Callable[[], Awaitable[None]]) -> None:
    if backend == "trio":
        pytest.importorskip("trio")
    anyio.run(main, backend=backend, backend_options=virtual_time(backend))


def _check_answers(steps: Mapping[str, str]) -> None:
    """Every step came to an end, and no message was answered twice."""
    assert steps["more"] == OK
    assert steps.get("more after resuming", OK) == OK
    lost = [step for step, ended in steps.items() if ended.startswith("closed") or ended == "lost"]
    assert lost == []


def _check_fault(fault: Fault, expected: Mapping[str, Any], steps: Mapping[str, Any]) -> None:
    """What failed keeps out what it would have looked at, and changes nothing else."""
    hook = fault.hook
    if hook in AT_THE_DOOR:
        step, ended = AT_THE_DOOR[hook]
        assert steps == {step: ended, "handled": 0}
        return
    differing = {
        step: ended for step, ended in steps.items() if ended != expected.get(step, "not there")
    }
    if SPECS[hook].policy is Policy.NOTIFY:
        differing.pop("handled", None)
        opened = [step for step, ended in differing.items() if ended != "internal"]
        assert opened == [], f"steps that end differently when {hook!r} fails"
        return
    affected = _affected(hook, expected)
    for step in affected:
        refused_anyway = fault.after and expected[step] != OK
        allowed = {"internal", expected[step]} if refused_anyway else {"internal"}
        assert steps[step] in allowed, f"{step}: this should have been refused"
    if hook == "message_received":
        assert steps["handled"] == 0, "messages that nobody could check were handled"
    assert set(differing) <= {*affected, "handled"}


def _affected(hook: str, expected: Mapping[str, Any]) -> list[str]:
    """The steps that one of the gates, or what changes messages, takes part in."""
    asked = [step for step in expected if ":" in step or step == "after resuming"]
    return {
        "message_received": asked,
        "message_sending": [step for step in [*asked, "push"] if expected[step] == OK],
        "room_joining": ["join"],
    }[hook]


def _is_wrong(value: Any, wanted: Any) -> bool:
    try:
        read_value(value, wanted)
    except ValueError:
        return True
    return False


def _make_empty(found: Sequence[Found]) -> object:
    """A plugin with the same hooks, in which nothing happens."""

    def do_nothing(hook: str) -> Callable[..., Awaitable[None]]:
        async def nothing(self: Any) -> None:
            pass

        implementation: Callable[..., Awaitable[None]] = hookimpl(specname=hook)(nothing)
        return implementation

    hooks = {each.spec.name for each in found} | {"connection_opened"}
    empty: object = type("Empty", (), {hook: do_nothing(hook) for hook in hooks})()
    return empty
