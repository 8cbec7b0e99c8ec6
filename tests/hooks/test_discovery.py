"""Where plugins are found, and what they are called."""

from __future__ import annotations

import sys
import types
from pathlib import Path

import pytest

from tests.hooks.conftest import Install, Manage
from wsframe import hookimpl
from wsframe.errors import ConfigError, PluginError
from wsframe.hooks.discovery import application_plugins, file_plugins, installed_plugins
from wsframe.hooks.records import State

CLASS = """
class Plugin:
    @hookimpl
    async def message_received(self, message): ...
"""
MODULE = """
@hookimpl
async def message_received(message): ...
"""


def test_an_installed_plugin_is_found_and_active(install: Install, manage: Manage) -> None:
    install("greeter", CLASS)
    manager = manage()
    table = manager.load()
    assert [plugin for plugin, _ in table.message_received] == ["greeter"]
    candidate = manager.records["greeter"].candidate
    assert (candidate.distribution, candidate.version) == ("wsframe-greeter", "1.2.3")
    assert candidate.source == "installed"


def test_an_entry_point_may_name_a_module(install: Install, manage: Manage) -> None:
    install("greeter", MODULE, attribute="")
    assert [plugin for plugin, _ in manage().load().message_received] == ["greeter"]


def test_finding_imports_nothing(install: Install) -> None:
    install("greeter", "raise RuntimeError('imported')")
    assert "greeter" in [candidate.name for candidate in installed_plugins()]


def test_the_demonstrator_of_this_repository_is_installed() -> None:
    (origin,) = [each for each in installed_plugins() if each.name == "origin"]
    assert origin.distribution == "wsframe-origin"


def test_each_file_in_a_folder_is_a_plugin(tmp_path: Path, manage: Manage) -> None:
    header = "from wsframe import hookimpl\n"
    (tmp_path / "greeter.py").write_text(header + MODULE)
    (tmp_path / "audit.py").write_text(header + MODULE)
    (tmp_path / "_shared.py").write_text("raise RuntimeError('no plugin')")
    (tmp_path / "notes.txt").write_text("no plugin either")
    manager = manage(dirs=[tmp_path])
    assert [plugin for plugin, _ in manager.load().message_received] == ["audit", "greeter"]
    assert manager.records["greeter"].candidate.described == str(tmp_path / "greeter.py")


def test_two_applications_do_not_share_a_file_plugin(tmp_path: Path, manage: Manage) -> None:
    (tmp_path / "greeter.py").write_text("from wsframe import hookimpl\nseen = []\n" + MODULE)
    one, other = manage(dirs=[tmp_path]), manage(dirs=[tmp_path])
    one.load()
    other.load()
    assert one.records["greeter"].plugin is not other.records["greeter"].plugin


def test_a_folder_that_does_not_exist_is_refused() -> None:
    with pytest.raises(ConfigError, match="'nowhere' is not a folder"):
        list(file_plugins(["nowhere"]))


class RateLimitPlugin:
    @hookimpl
    async def message_received(self, message: object) -> None: ...


class HTTPProxy(RateLimitPlugin):
    pass


class Plugin(RateLimitPlugin):
    pass


def test_a_plugin_of_the_application_is_named_after_its_class_or_module() -> None:
    brought = [RateLimitPlugin, RateLimitPlugin(), HTTPProxy, Plugin]
    names = [candidate.name for candidate in application_plugins(brought)]
    assert names == ["rate-limit", "rate-limit", "http-proxy", "plugin"]
    module = types.ModuleType("package.wsframe_rate_limit")
    assert [candidate.name for candidate in application_plugins([module])] == ["rate-limit"]


def test_a_plugin_of_the_application_says_where_its_code_is() -> None:
    (candidate,) = application_plugins([RateLimitPlugin()])
    assert candidate.described == f"{__name__}:RateLimitPlugin"


def test_two_plugins_of_one_name_are_refused_with_both_places(
    tmp_path: Path, install: Install, manage: Manage
) -> None:
    install("greeter", CLASS)
    (tmp_path / "greeter.py").write_text("from wsframe import hookimpl\n" + MODULE)
    manager = manage(dirs=[tmp_path])
    with pytest.raises(PluginError, match="two plugins have this name") as caught:
        manager.load()
    assert "wsframe-greeter 1.2.3 (installed)" in caught.value.message
    assert str(tmp_path / "greeter.py") in caught.value.message
    assert manager.records["greeter"].state is State.BROKEN
    assert not manager.table.message_received


def test_two_plugins_of_one_name_do_no_harm_while_the_name_is_disabled(
    tmp_path: Path, install: Install, manage: Manage
) -> None:
    install("greeter", CLASS)
    (tmp_path / "greeter.py").write_text("from wsframe import hookimpl\n" + MODULE)
    manager = manage(dirs=[tmp_path], disable=["greeter"])
    manager.load()
    with pytest.raises(PluginError, match="two plugins have this name"):
        manager.enable("greeter")


def test_one_module_under_two_names_is_refused(install: Install, manage: Manage) -> None:
    install("greeter", MODULE, attribute="")
    install("other", "", attribute="")
    import wsframe_greeter
    import wsframe_other

    wsframe_other.__spec__ = wsframe_greeter.__spec__
    sys.modules["wsframe_other"] = wsframe_greeter
    with pytest.raises(PluginError, match="already registered under a different name"):
        manage().load()


def test_an_application_may_bring_an_installed_plugin_with_its_own_settings(
    install: Install, manage: Manage
) -> None:
    install("greeter", CLASS)
    import wsframe_greeter  # type: ignore[import-not-found]

    made = wsframe_greeter.Plugin()
    manager = manage(made)
    manager.load()
    record = manager.records["greeter"]
    assert record.plugin is made
    assert (record.candidate.source, record.candidate.version) == ("application", "1.2.3")
    assert len(manager.table.message_received) == 1


def test_an_application_cannot_hide_an_installed_plugin_behind_another_of_its_name(
    install: Install, manage: Manage
) -> None:
    install("rate-limit", CLASS)
    with pytest.raises(PluginError, match="two plugins have this name"):
        manage(RateLimitPlugin()).load()


@pytest.mark.parametrize("name", ["disable", "only", "dirs", "settings"])
def test_a_plugin_cannot_have_the_name_of_a_setting(
    name: str, install: Install, manage: Manage
) -> None:
    install(name, CLASS)
    with pytest.raises(PluginError, match="cannot be the name of a plugin"):
        manage().load()


def test_a_name_that_nobody_could_write_is_refused(tmp_path: Path, manage: Manage) -> None:
    (tmp_path / "my plugin.py").write_text("from wsframe import hookimpl\n" + MODULE)
    with pytest.raises(PluginError, match="cannot be the name of a plugin"):
        manage(dirs=[tmp_path]).load()


# The version of wsframe that a plugin is made for


@pytest.mark.parametrize(
    "requirement",
    ["wsframe>=0.1,<0.2", "wsframe", "WSFrame>=0.1", 'wsframe>=9; extra == "future"', "other>=9"],
)
def test_a_plugin_made_for_this_wsframe_is_loaded(
    requirement: str, install: Install, manage: Manage
) -> None:
    install("greeter", CLASS, requires=["anyio>=4", requirement])
    assert manage().load().message_received


@pytest.mark.parametrize("requirement", ["wsframe>=0.2", "wsframe<0.1", "wsframe==7.0"])
def test_a_plugin_made_for_another_wsframe_is_refused_before_it_is_imported(
    requirement: str, install: Install, manage: Manage
) -> None:
    install("greeter", "raise RuntimeError('imported')", requires=[requirement])
    with pytest.raises(PluginError) as caught:
        manage().load()
    assert "wsframe-greeter 1.2.3 needs wsframe" in caught.value.message
    assert "this is wsframe 0.1.0" in caught.value.message
    assert "pip install --upgrade wsframe-greeter" in (caught.value.hint or "")


def test_metadata_that_cannot_be_read_is_refused(install: Install, manage: Manage) -> None:
    install("greeter", CLASS, requires=["wsframe ! 0.1"])
    with pytest.raises(PluginError, match="broken metadata"):
        manage().load()
