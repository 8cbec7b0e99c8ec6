"""The command itself: version, help, errors."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from wsframe.cli.root import _COMMANDS, cli
from wsframe.version import __version__

Invoke = Callable[..., Result]


def test_the_version_is_said_both_ways(invoke: Invoke) -> None:
    assert invoke("--version").output == f"wsframe {__version__}\n"
    done = subprocess.run(
        [sys.executable, "-m", "wsframe", "--version"], capture_output=True, text=True, check=True
    )
    assert done.stdout == f"wsframe {__version__}\n"


def modules_after(*arguments: str) -> set[str]:
    program = (
        "import atexit, json, sys\n"
        f"sys.argv = ['wsframe', *{list(arguments)!r}]\n"
        "from wsframe.cli import main\n"
        "atexit.register(lambda: sys.stderr.write(json.dumps(sorted(sys.modules))))\n"
        "main()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    return set(json.loads(done.stderr))


def test_saying_the_version_imports_nothing_heavy() -> None:
    assert modules_after("--version").isdisjoint({"click", "msgspec", "anyio", "asyncio", "pluggy"})


def test_showing_the_help_imports_no_server_and_no_plugin() -> None:
    modules = modules_after("--help")
    assert modules.isdisjoint({"anyio", "asyncio", "pluggy", "h11", "wsproto", "wsframe_origin"})
    assert not any(name.startswith(("wsframe.server", "wsframe.hooks")) for name in modules)


@pytest.mark.parametrize("name", sorted(_COMMANDS))
def test_the_help_says_what_the_command_says_itself(name: str) -> None:
    place, text = _COMMANDS[name]
    module, _, attribute = place.partition(":")
    command = getattr(importlib.import_module(module), attribute)
    assert command.get_short_help_str(200) == text
    assert command.name == name


def all_commands(command: Any, path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    found = [path]
    for name in getattr(command, "commands", {}):
        found += all_commands(command.commands[name], (*path, name))
    if command is cli:
        for name in _COMMANDS:
            found += all_commands(cli.get_command(None, name), (name,))  # type: ignore[arg-type]
    return found


def test_every_command_has_a_help_with_examples(invoke: Invoke) -> None:
    for path in all_commands(cli):
        result = invoke(*path, "--help")
        assert result.exit_code == 0
        assert result.stdout.startswith("Usage: wsframe")
        assert "Examples:" in result.stdout or path == ("config",), path


def test_an_unknown_command_is_one_line_and_a_hint(invoke: Invoke) -> None:
    result = invoke("rnu")
    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr.splitlines()[-2:] == [
        "wsframe: error: No such command 'rnu'. Did you mean 'run'?",
        "wsframe: hint: 'wsframe --help' shows what there is.",
    ]


def test_an_unknown_option_is_one_line_and_a_hint(invoke: Invoke) -> None:
    result = invoke("run", "--prot", "1")
    assert result.exit_code == 2
    assert result.stderr.startswith("wsframe: error: No such option")
    assert "'wsframe run --help' shows what there is." in result.stderr


def test_errors_are_coloured_on_a_terminal_only(
    invoke: Invoke, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "\x1b" not in invoke("run", "no_such:app").output


def test_a_plugins_command_is_found_and_imported_only_when_it_is_called(folder: Path) -> None:
    (folder / "wsframe.toml").write_text('[plugins]\nonly = ["greeter"]\ndirs = ["plugins"]\n')
    (folder / "plugins").mkdir()
    (folder / "plugins" / "greeter.py").write_text(
        "import click\n"
        "from wsframe import hookimpl\n"
        "print('imported')\n"
        "@hookimpl\n"
        "def register_commands(cli):\n"
        "    @cli.command()\n"
        "    @click.argument('name')\n"
        "    def greet(name):\n"
        "        click.echo(f'Hello {name}')\n"
    )

    def wsframe(*arguments: str) -> str:
        command = [sys.executable, "-m", "wsframe", *arguments]
        return subprocess.run(
            command, capture_output=True, text=True, check=True, cwd=folder
        ).stdout

    assert wsframe("greet", "Ann") == "imported\nHello Ann\n"
    assert "imported" not in wsframe("--help")
    assert "imported" not in wsframe("config", "show")


def test_a_broken_plugin_does_not_hide_that_a_command_is_unknown(folder: Path) -> None:
    (folder / "wsframe.toml").write_text('[plugins]\nonly = ["greeter"]\ndirs = ["plugins"]\n')
    (folder / "plugins").mkdir()
    (folder / "plugins" / "greeter.py").write_text("1 / 0")
    command = [sys.executable, "-m", "wsframe", "greet"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder)
    assert done.returncode == 2
    assert "plugin 'greeter'" in done.stderr
    assert "No such command 'greet'" in done.stderr
    assert "Traceback" not in done.stderr
