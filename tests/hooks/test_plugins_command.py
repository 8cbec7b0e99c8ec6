"""``wsframe plugins`` shows every plugin, most of all when one is broken."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from tests.hooks.conftest import HERE, Install
from wsframe.cli.plugins import plugins_command

GREETER = """
class Plugin:
    class Config(msgspec.Struct):
        greeting: str = "Hello"
        api_token: str = ""
    def __init__(self, config): ...
    @hookimpl
    def setup(self, app): ...
    @hookimpl(tryfirst=True)
    async def connection_opening(self, request): ...
"""


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("WSFRAME_CONFIG", "WSFRAME_PLUGINS", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)


def run(*arguments: str) -> Result:
    return CliRunner().invoke(plugins_command, arguments)


def words(text: str) -> str:
    """Without the width of its columns, which the longest name decides."""
    return " ".join(text.split())


def test_it_shows_state_version_hooks_settings_and_order(install: Install, tmp_path: Path) -> None:
    install("greeter", GREETER)
    (tmp_path / "wsframe.toml").write_text(
        '[plugins.greeter]\ngreeting = "Hi"\napi_token = "hunter2"\n'
    )
    done = run()
    assert done.exit_code == 0, done.output
    assert "greeter active wsframe-greeter 1.2.3" in words(done.output)
    assert "hooks   connection_opening, setup" in done.output
    assert 'config  greeting = "Hi"' in done.output
    assert "connection_opening  greeter, origin" in done.output
    assert "hunter2" not in done.output


def test_json_has_the_same_for_machines(install: Install, tmp_path: Path) -> None:
    install("greeter", GREETER)
    (tmp_path / "wsframe.toml").write_text('[plugins.greeter]\napi_token = "hunter2"\n')
    done = run("--json", *(f"-pno:{name}" for name in HERE))
    assert done.exit_code == 0, done.output
    shown = json.loads(done.output)
    plugins = {plugin["name"]: plugin for plugin in shown["plugins"]}
    assert plugins["greeter"] == {
        "name": "greeter",
        "state": "active",
        "source": "installed",
        "distribution": "wsframe-greeter",
        "version": "1.2.3",
        "origin": "wsframe_greeter:Plugin",
        "hooks": ["connection_opening", "setup"],
        "config": {"greeting": "Hello", "api_token": "***"},
        "error": None,
    }
    assert plugins["origin"]["state"] == "disabled"
    assert shown["hooks"] == {"setup": ["greeter"], "connection_opening": ["greeter"]}
    assert shown["problems"] == []


def test_a_broken_plugin_is_shown_with_its_error_beside_the_others(install: Install) -> None:
    install("broken", "raise RuntimeError('no such thing')")
    install("greeter", GREETER)
    done = run()
    assert done.exit_code == 1
    assert "broken broken wsframe-broken 1.2.3" in words(done.output)
    assert "cannot be imported: RuntimeError: no such thing" in done.output
    assert "hint    Repair or uninstall it" in done.output
    assert "greeter active" in words(done.output)
    assert "The server would not start." in done.output


def test_json_of_a_broken_plugin_has_the_error_and_the_exit_code(install: Install) -> None:
    install("broken", "raise RuntimeError('password=hunter2')")
    done = run("--json")
    assert done.exit_code == 1
    shown = json.loads(done.output)
    (broken,) = [plugin for plugin in shown["plugins"] if plugin["name"] == "broken"]
    assert broken["state"] == "broken"
    assert "RuntimeError" in broken["error"]["message"]
    assert shown["problems"] == [broken["error"]]
    assert "hunter2" not in done.output


def test_settings_of_a_plugin_that_is_missing_are_a_problem_of_their_own(tmp_path: Path) -> None:
    (tmp_path / "wsframe.toml").write_text("[plugins.greeter]\na = 1\n")
    done = run()
    assert done.exit_code == 1
    assert "[plugins.greeter]: no plugin 'greeter' is installed" in done.output


def test_a_folder_of_one_file_plugins_is_shown(tmp_path: Path) -> None:
    folder = tmp_path / "plugins"
    folder.mkdir()
    (folder / "audit.py").write_text(
        "from wsframe import hookimpl\n@hookimpl\nasync def message_sent(message): ..."
    )
    done = run("--plugins-dir", str(folder))
    assert done.exit_code == 0, done.output
    assert f"active    {folder / 'audit.py'}" in done.output


def test_control_characters_in_an_error_do_not_reach_the_terminal(install: Install) -> None:
    install("broken", "raise RuntimeError('\\x1b[2J')")
    done = run()
    assert "\x1b[2J" not in done.output
    assert "\\x1b[2J" in done.output


def test_without_any_plugin_it_says_how_to_get_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.metadata.entry_points", lambda group: [])
    done = run()
    assert done.exit_code == 0
    assert "No plugins." in done.output
