"""What is refused in a plugin before it can do harm, and with which words."""

from __future__ import annotations

import functools
import types
from collections.abc import Callable
from typing import Any

import pytest

from wsframe import hookimpl
from wsframe.errors import PluginError
from wsframe.hooks import SPECS
from wsframe.hooks.implementations import check_plugin, fit


def refused(plugin: object) -> tuple[str, str]:
    with pytest.raises(PluginError) as caught:
        check_plugin("greeter", plugin)
    assert caught.value.plugin == "greeter"
    return caught.value.message, caught.value.hint or ""


def plugin_with(name: str, function: Callable[..., Any]) -> object:
    return types.SimpleNamespace(**{name: function})


def test_an_implementation_is_found_with_the_arguments_it_wants() -> None:
    class Plugin:
        @hookimpl
        async def message_received(self, message: Any) -> None: ...

        @hookimpl
        def setup(self, app: Any) -> None: ...

        async def helper(self) -> None: ...

    found = {one.spec.name: one.arguments for one in check_plugin("greeter", Plugin())}
    assert found == {"message_received": ("message",), "setup": ("app",)}


def test_a_function_may_have_another_name_than_its_hook() -> None:
    class Plugin:
        @hookimpl(specname="message_received")
        async def check_rate(self, connection: Any) -> None: ...

    (found,) = check_plugin("greeter", Plugin())
    assert found.spec.name == "message_received"


def test_static_and_class_methods_are_implementations_too() -> None:
    class Plugin:
        @staticmethod
        @hookimpl
        async def message_received(message: Any) -> None: ...

        @classmethod
        @hookimpl
        async def message_sent(cls, connection: Any) -> None: ...

    found = {one.spec.name: one.arguments for one in check_plugin("greeter", Plugin())}
    assert found == {"message_received": ("message",), "message_sent": ("connection",)}


def test_a_plain_function_for_a_hook_that_runs_while_serving_is_refused() -> None:
    class Plugin:
        @hookimpl
        def message_received(self, message: Any) -> None: ...

    message, hint = refused(Plugin())
    assert "'message_received' must be 'async def'" in message
    assert "to_thread" in hint


def test_an_async_function_for_a_hook_that_runs_at_start_is_refused() -> None:
    class Plugin:
        @hookimpl
        async def setup(self, app: Any) -> None: ...

    message, hint = refused(Plugin())
    assert "'setup' must be a plain 'def'" in message
    assert "started(app)" in hint


def test_a_decorator_that_hides_the_colour_is_refused() -> None:
    def logged(function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def call(*arguments: Any) -> Any:
            return function(*arguments)

        return call

    @hookimpl
    @logged
    async def message_received(message: Any) -> None: ...

    message, _ = refused(plugin_with("message_received", message_received))
    assert "must be 'async def'" in message


def test_a_generator_is_refused_and_told_of_middleware() -> None:
    class Plugin:
        @hookimpl
        async def message_received(self, message: Any) -> Any:
            yield

    message, hint = refused(Plugin())
    assert "must not yield" in message
    assert "middleware" in hint


@pytest.mark.parametrize("option", ["wrapper", "hookwrapper"])
def test_a_wrapper_is_refused_and_told_of_middleware(option: str) -> None:
    @hookimpl(**{option: True})  # type: ignore[call-overload]
    def setup(app: Any) -> Any:
        yield

    message, hint = refused(plugin_with("setup", setup))
    assert "is a hook wrapper" in message
    assert "app.use(middleware)" in hint


def test_an_unknown_hook_is_refused_with_the_nearest_name() -> None:
    class Plugin:
        @hookimpl
        async def message_recieved(self, message: Any) -> None: ...

    assert refused(Plugin()) == (
        "plugin 'greeter': there is no hook 'message_recieved'",
        "Did you mean 'message_received'?",
    )


def test_an_unknown_hook_like_no_other_is_refused_with_all_names() -> None:
    class Plugin:
        @hookimpl
        async def zzzzzz(self) -> None: ...

    message, hint = refused(Plugin())
    assert "no hook 'zzzzzz'" in message
    assert all(name in hint for name in SPECS)


def test_an_optional_unknown_hook_is_left_out() -> None:
    class Plugin:
        @hookimpl(optionalhook=True)
        async def hook_of_a_later_version(self, anything: Any) -> None: ...

        @hookimpl
        def setup(self, app: Any) -> None: ...

    assert [one.spec.name for one in check_plugin("greeter", Plugin())] == ["setup"]


def test_an_unknown_argument_is_refused_with_the_nearest_name() -> None:
    class Plugin:
        @hookimpl
        async def message_received(self, conection: Any, message: Any) -> None: ...

    message, hint = refused(Plugin())
    assert "'message_received' takes 'conection'" in message
    assert hint == "Did you mean 'connection'?"


def test_an_argument_like_no_other_is_refused_with_those_there_are() -> None:
    class Plugin:
        @hookimpl
        async def connection_closed(self, zzz: Any) -> None: ...

    assert refused(Plugin())[1] == "It may take any of: connection, code, reason."


def test_arguments_that_name_nothing_are_refused() -> None:
    class Plugin:
        @hookimpl
        async def message_received(self, *arguments: Any) -> None: ...

    message, hint = refused(Plugin())
    assert "takes '*arguments: Any'" in message or "takes '*arguments: 'Any''" in message
    assert "connection, message" in hint


def test_a_method_with_the_name_of_a_hook_and_no_mark_is_refused() -> None:
    class Plugin:
        @hookimpl
        def setup(self, app: Any) -> None: ...

        async def message_received(self, connection: Any, message: Any) -> None: ...

    message, hint = refused(Plugin())
    assert "'message_received' has the name of a hook but no @hookimpl" in message
    assert "_message_received" in hint


def test_a_function_of_a_module_with_the_name_of_a_hook_and_no_mark_is_refused() -> None:
    module = types.ModuleType("plugin")
    exec("async def message_received(connection, message): ...", module.__dict__)
    assert "no @hookimpl" in refused(module)[0]


def test_a_function_that_a_module_has_only_imported_is_not_its_own() -> None:
    def started() -> None: ...

    module = types.ModuleType("plugin")
    module.started = started  # type: ignore[attr-defined]
    module.setup = hookimpl(lambda app: None)  # type: ignore[attr-defined]
    assert [one.spec.name for one in check_plugin("greeter", module)] == ["setup"]


def test_an_attribute_that_is_no_function_may_have_any_name() -> None:
    class Plugin:
        started = False

        @hookimpl
        def setup(self, app: Any) -> None: ...

    assert len(check_plugin("greeter", Plugin())) == 1


def test_a_plugin_without_hooks_is_refused() -> None:
    message, hint = refused(object())
    assert "implements no hook" in message
    assert "@hookimpl" in hint


def test_a_function_that_takes_everything_in_order_is_called_as_it_is() -> None:
    def implementation(url: str, config: Any) -> None: ...

    assert fit(implementation, SPECS["make_store"], ("url", "config")) is implementation


@pytest.mark.parametrize(
    "arguments", [(), ("reason",), ("connection", "reason"), ("reason", "code", "connection")]
)
def test_a_function_gets_the_arguments_it_names_in_its_own_order(
    arguments: tuple[str, ...],
) -> None:
    def implementation(*given: Any) -> Any:
        return given

    given = {"connection": object(), "code": 1000, "reason": "bye"}
    fitted = fit(implementation, SPECS["connection_closed"], arguments)
    assert fitted(*given.values()) == tuple(given[name] for name in arguments)
