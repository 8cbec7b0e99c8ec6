"""Which plugins are active, in which order they are called, what keeps the server from starting."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.hooks.conftest import Install, Manage
from wsframe import hookimpl
from wsframe.errors import ConfigError, PluginError
from wsframe.hooks import HookTable
from wsframe.hooks.records import State

CLASS = """
class Plugin:
    @hookimpl
    async def message_received(self, message): ...
"""


def plugin(name: str, **options: Any) -> type:
    """A plugin class of this name, with one implementation."""

    @hookimpl(**options)
    async def message_received(self: Any, message: Any) -> None: ...

    return type(name, (), {"message_received": message_received})


def order(table: HookTable) -> list[str]:
    return [name for name, _ in table.message_received]


# Order


def test_plugins_are_called_by_name_then_tryfirst_and_trylast(manage: Manage) -> None:
    manager = manage(
        plugin("Alpha", trylast=True),
        plugin("Beta"),
        plugin("Gamma", tryfirst=True),
        plugin("Delta"),
        plugin("Epsilon", trylast=True),
        plugin("Zeta", tryfirst=True),
    )
    assert order(manager.load()) == ["gamma", "zeta", "beta", "delta", "alpha", "epsilon"]


def test_the_order_does_not_depend_on_who_comes_first(manage: Manage) -> None:
    plugins = [plugin("Beta"), plugin("Alpha"), plugin("Gamma")]
    assert order(manage(*plugins).load()) == order(manage(*reversed(plugins)).load())


# Which are active


def test_a_disabled_plugin_is_not_imported(install: Install, manage: Manage) -> None:
    install("greeter", "raise RuntimeError('imported')")
    manager = manage(disable=["greeter"])
    assert order(manager.load()) == []
    assert manager.records["greeter"].state is State.DISABLED


def test_only_leaves_the_others_out(manage: Manage) -> None:
    manager = manage(plugin("Alpha"), plugin("Beta"), only=["beta"])
    assert order(manager.load()) == ["beta"]


def test_only_none_at_all(manage: Manage) -> None:
    assert order(manage(plugin("Alpha"), only=[]).load()) == []


def test_only_a_plugin_that_is_missing_keeps_the_server_from_starting(manage: Manage) -> None:
    with pytest.raises(ConfigError, match="only: no plugin 'atuh' is installed") as caught:
        manage(plugin("Auth"), only=["atuh"]).load()
    assert caught.value.hint == "Did you mean 'auth'?"


def test_disabling_a_plugin_that_is_missing_is_a_warning(
    manage: Manage, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        assert order(manage(plugin("Auth"), disable=["atuh"]).load()) == ["auth"]
    assert "no plugin 'atuh' is installed. Did you mean 'auth'?" in caplog.text


# Broken ones


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("import nowhere_to_be_found", "cannot be imported: ModuleNotFoundError"),
        ("raise SystemExit(0)", "cannot be imported: SystemExit"),
        ("this is no Python", "cannot be imported: SyntaxError"),
        ("", "cannot be imported: AttributeError"),
        (
            "class Plugin:\n def __init__(self): raise OSError('gone')",
            "cannot be made: OSError: gone",
        ),
        ("class Plugin:\n def __init__(self, wrong): ...", "cannot be made: TypeError"),
        ("class Plugin:\n Config = dict", "Config is not a msgspec.Struct"),
        ("class Plugin: ...", "implements no hook"),
        (CLASS.replace("async ", ""), "must be 'async def'"),
    ],
)
def test_a_broken_plugin_is_named_with_its_distribution_and_version(
    source: str, words: str, install: Install, manage: Manage
) -> None:
    install("greeter", source)
    manager = manage()
    with pytest.raises(PluginError) as caught:
        manager.load()
    assert words in caught.value.message
    assert "plugin 'greeter'" in caught.value.message
    assert "wsframe-greeter 1.2.3" in caught.value.message
    assert caught.value.message.count("greeter 1.2.3") == 1
    assert manager.records["greeter"].state is State.BROKEN


def test_one_broken_plugin_does_not_hide_the_others_from_a_report(
    install: Install, manage: Manage
) -> None:
    install("broken", "raise RuntimeError")
    install("greeter", CLASS)
    manager = manage()
    states = {record.name: record.state for record in manager.discover()}
    assert states["broken"] is State.BROKEN
    assert states["greeter"] is State.ACTIVE
    assert [type(problem) for problem in manager.problems] == [PluginError]


def test_several_problems_are_counted(
    install: Install, manage: Manage, caplog: pytest.LogCaptureFixture
) -> None:
    install("one", "raise RuntimeError")
    install("two", "raise RuntimeError")
    with pytest.raises(PluginError, match="'one'"):
        manage().load()
    assert "2 plugin problems; 'wsframe plugins' shows all" in caplog.text


def test_ctrl_c_during_an_import_is_not_a_broken_plugin(install: Install, manage: Manage) -> None:
    install("greeter", "raise KeyboardInterrupt")
    with pytest.raises(KeyboardInterrupt):
        manage().load()


def test_one_object_cannot_be_two_plugins(manage: Manage) -> None:
    one = plugin("Alpha")()
    with pytest.raises(PluginError, match="two plugins have this name"):
        manage(one, one).load()


# Settings


class Greeter:
    class Config(msgspec.Struct):
        greeting: str = "Hello"
        max_per_s: int = 5
        api_token: str = ""

    def __init__(self, config: Config) -> None:
        self.config = config

    @hookimpl
    def setup(self, app: Any) -> None: ...


def test_a_plugin_gets_its_settings_as_its_config(manage: Manage) -> None:
    manager = manage(Greeter, greeter={"greeting": "Hi"})
    manager.load()
    assert manager.records["greeter"].plugin.config == Greeter.Config(greeting="Hi")  # type: ignore[union-attr]
    assert manager.records["greeter"].config == Greeter.Config(greeting="Hi")


def test_a_plugin_without_settings_gets_its_defaults(manage: Manage) -> None:
    manager = manage(Greeter)
    manager.load()
    assert manager.records["greeter"].config == Greeter.Config()


def test_settings_may_be_written_with_hyphen_or_underscore(manage: Manage) -> None:
    renamed = type("NiceGreeter", (Greeter,), {})
    manager = manage(renamed, nice_greeter={"greeting": "Hi"})
    manager.load()
    assert manager.records["nice-greeter"].config.greeting == "Hi"


def test_settings_for_a_plugin_that_is_missing_keep_the_server_from_starting(
    manage: Manage,
) -> None:
    with pytest.raises(ConfigError, match=r"\[plugins.greter\]: no plugin 'greter'") as caught:
        manage(Greeter, greter={"greeting": "Hi"}).load()
    assert caught.value.hint == "Did you mean 'greeter'?"


def test_settings_for_a_plugin_that_is_missing_and_disabled_do_no_harm(manage: Manage) -> None:
    manage(disable=["greeter"], greeter={"greeting": "Hi"}).load()


def test_an_object_that_is_already_made_takes_no_settings(manage: Manage) -> None:
    with pytest.raises(ConfigError, match="takes no settings here"):
        manage(Greeter(Greeter.Config()), greeter={"greeting": "Hi"}).load()


# At run time


def test_disabling_makes_a_new_table_and_leaves_the_old_one_alone(manage: Manage) -> None:
    manager = manage(plugin("Alpha"), plugin("Beta"))
    before = manager.load()
    after = manager.disable("alpha")
    assert (order(before), order(after)) == (["alpha", "beta"], ["beta"])
    assert manager.table is after
    assert after.failures is before.failures


def test_enabling_restores_the_same_plugin_in_its_place(manage: Manage) -> None:
    manager = manage(plugin("Alpha"), plugin("Beta"))
    manager.load()
    made = manager.records["alpha"].plugin
    manager.disable("alpha")
    assert order(manager.enable("alpha")) == ["alpha", "beta"]
    assert manager.records["alpha"].plugin is made


def test_a_plugin_that_was_disabled_at_start_can_be_enabled(
    install: Install, manage: Manage
) -> None:
    install("greeter", CLASS)
    manager = manage(disable=["greeter"])
    manager.load()
    assert order(manager.enable("greeter")) == ["greeter"]


def test_a_broken_plugin_cannot_be_enabled_and_nothing_changes(
    install: Install, manage: Manage
) -> None:
    install("greeter", "raise RuntimeError('broken')")
    manager = manage(plugin("Alpha"), disable=["greeter"])
    before = manager.load()
    with pytest.raises(PluginError, match="broken"):
        manager.enable("greeter")
    assert manager.table is before


def test_enabling_or_disabling_twice_changes_nothing(manage: Manage) -> None:
    manager = manage(plugin("Alpha"))
    table = manager.load()
    assert manager.enable("alpha") is table
    table = manager.disable("alpha")
    assert manager.disable("alpha") is table


def test_a_name_that_no_plugin_has_is_a_key_error(manage: Manage) -> None:
    manager = manage()
    manager.load()
    with pytest.raises(KeyError):
        manager.enable("nobody")
    with pytest.raises(KeyError):
        manager.disable("nobody")


# Hooks that run while the program starts


class Adder:
    @hookimpl
    def setup(self, app: list[Any]) -> None:
        app.append(self)

    @hookimpl
    def register_commands(self, cli: list[Any]) -> None:
        cli.append("adder")

    @hookimpl
    def make_store(self, url: str) -> str | None:
        return f"store for {url}" if url.startswith("adder:") else None

    @hookimpl
    def make_broker(self, url: str, config: Any) -> tuple[str, Any]:
        return url, config


class Breaker:
    @hookimpl(tryfirst=True)
    def setup(self, app: Any) -> None:
        raise ConnectionError("no server there")

    @hookimpl(tryfirst=True)
    def register_commands(self, cli: Any) -> None:
        raise SystemExit(1)

    @hookimpl
    def make_store(self, url: str) -> None:
        raise ValueError("bad URL")


def test_setup_runs_once_for_each_plugin(manage: Manage) -> None:
    manager, app = manage(Adder), []
    manager.load()
    manager.setup(app)
    manager.setup(app)
    assert app == [manager.records["adder"].plugin]


def test_setup_runs_for_a_plugin_that_is_enabled_later(manage: Manage) -> None:
    manager, app = manage(Adder, disable=["adder"]), []
    manager.load()
    manager.setup(app)
    assert app == []
    manager.enable("adder")
    manager.setup(app)
    assert len(app) == 1


def test_during_setup_it_is_known_whose_it_is(manage: Manage) -> None:
    seen = []

    class Watcher:
        @hookimpl
        def setup(self, app: Any) -> None:
            seen.append(manager.setting_up)

    manager = manage(Watcher)
    manager.load()
    manager.setup(None)
    assert (seen, manager.setting_up) == (["watcher"], None)


def test_a_setup_that_fails_keeps_the_server_from_starting(manage: Manage) -> None:
    manager = manage(Adder, Breaker)
    manager.load()
    with pytest.raises(
        PluginError, match="'breaker': setup failed with ConnectionError: no server"
    ):
        manager.setup([])
    assert manager.setting_up is None


def test_commands_of_one_plugin_are_there_when_another_fails(manage: Manage) -> None:
    manager = manage(Adder, Breaker)
    manager.load()
    commands: list[str] = []
    (error,) = manager.register_commands(commands)
    assert commands == ["adder"]
    assert error.plugin == "breaker"


def test_the_first_plugin_that_knows_a_url_makes_the_store(manage: Manage) -> None:
    manager = manage(Adder)
    manager.load()
    assert manager.make_store("adder://x") == "store for adder://x"
    assert manager.make_store("other://x") is None
    assert manager.make_broker("any://x") == ("any://x", manager.config)


def test_a_plugin_that_fails_to_make_a_store_is_named(manage: Manage) -> None:
    manager = manage(Breaker)
    manager.load()
    with pytest.raises(PluginError, match="'breaker': make_store failed with ValueError: bad URL"):
        manager.make_store("breaker://x")


# Two applications


def test_two_applications_share_nothing(manage: Manage) -> None:
    alpha = plugin("Alpha")
    one, other = manage(alpha), manage(alpha)
    one.load()
    other.load()
    one.disable("alpha")
    assert order(other.table) == ["alpha"]


# message_sending


def test_sending_depends_on_the_receiver_when_an_implementation_names_it(manage: Manage) -> None:
    class Redacting:
        @hookimpl
        async def message_sending(self, message: Any) -> None: ...

    class Personal:
        @hookimpl
        async def message_sending(self, message: Any, connection: Any) -> None: ...

    assert not manage(Redacting).load().sends_per_receiver
    assert manage(Redacting, Personal).load().sends_per_receiver


def test_a_file_plugin_takes_no_settings(tmp_path: Path, manage: Manage) -> None:
    (tmp_path / "greeter.py").write_text(
        "from wsframe import hookimpl\n@hookimpl\ndef setup(app): ..."
    )
    with pytest.raises(ConfigError, match="takes no settings"):
        manage(dirs=[tmp_path], greeter={"greeting": "Hi"}).load()
