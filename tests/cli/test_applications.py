"""From ``chat:app`` to the application, and what is said when the way is blocked."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

from tests.cli.conftest import CHAT
from wsframe import App, StartError
from wsframe.cli.applications import load_app

Invoke = Callable[..., Result]


def test_the_working_directory_is_searched(folder: Path) -> None:
    (folder / "chat.py").write_text(CHAT)
    assert isinstance(load_app("chat:app"), App)
    assert sys.path[0] == str(folder)


def test_the_attribute_is_app_unless_it_is_named(folder: Path) -> None:
    (folder / "chat.py").write_text(CHAT + "\nclass inner:\n    other = App(port=5)\n")
    assert load_app("chat").config.port == 3001
    assert load_app("chat:inner.other").config.port == 5


@pytest.mark.parametrize("name", ["chat.py", "app.py", "main.py"])
def test_without_a_name_the_usual_files_are_looked_at(folder: Path, name: str) -> None:
    (folder / name).write_text(CHAT)
    assert isinstance(load_app(None), App)


def test_a_factory_is_called_when_that_is_asked_for(folder: Path) -> None:
    (folder / "chat.py").write_text(
        "from wsframe import App\ndef create_app():\n    return App(port=6)\n"
    )
    assert load_app("chat:create_app", factory=True).config.port == 6
    assert load_app("chat", factory=True).config.port == 6


def test_a_module_in_a_package_is_found(folder: Path) -> None:
    (folder / "service").mkdir()
    (folder / "service" / "chat.py").write_text(CHAT)
    assert isinstance(load_app("service.chat:app"), App)


ERRORS = {
    # source of chat.py, target: error, hint
    "no module": (
        CHAT,
        "chatt:app",
        "chatt:app: there is no module 'chatt' in {folder} or on Python's path",
        "Did you mean chat:app?",
    ),
    "no module like it": (
        CHAT,
        "zzzzzz:app",
        "zzzzzz:app: there is no module 'zzzzzz' in {folder} or on Python's path",
        "Name it as MODULE:ATTRIBUTE, for example: wsframe run chat:app",
    ),
    "no package": (
        CHAT,
        "service.chat:app",
        "service.chat:app: there is no module 'service' in {folder} or on Python's path",
        "Name it as MODULE:ATTRIBUTE, for example: wsframe run chat:app",
    ),
    "no name": (
        CHAT,
        "my chat:app",
        "my chat:app: 'my chat' is not the name of a module",
        "Name it as MODULE:ATTRIBUTE, for example: wsframe run chat:app",
    ),
    "a file": (
        CHAT,
        "chat.py:app",
        "chat.py:app: this is a file; a module is needed",
        "Did you mean chat:app?",
    ),
    "a path": (
        CHAT,
        "service/chat.py",
        "service/chat.py: this is a file; a module is needed",
        "Did you mean service.chat:app?",
    ),
    "no attribute": (
        CHAT.replace("app =", "chat ="),
        "chat:app",
        "chat:app: module 'chat' has no 'app'",
        "Did you mean chat:chat?",
    ),
    "nothing like it": (
        "",
        "chat:zzzzzz",
        "chat:zzzzzz: module 'chat' has no 'zzzzzz'",
        "An application is made with: zzzzzz = wsframe.App()",
    ),
    "a value": (
        "app = 5\n",
        "chat:app",
        "chat:app: is a int, not a wsframe App",
        None,
    ),
    "a class": (
        "class app: pass\n",
        "chat:app",
        "chat:app: is the class app, not a wsframe App",
        None,
    ),
    "a function": (
        "def app(): pass\n",
        "chat:app",
        "chat:app: is a function, not a wsframe App",
        "If it makes the application: wsframe run chat:app --factory",
    ),
    "an exception": (
        "value = 0\n\napp = 1 / value\n",
        "chat:app",
        "chat.py:3: ZeroDivisionError: division by zero",
        "The line reads: app = 1 / value",
    ),
    "a syntax error": (
        "app = (\n",
        "chat:app",
        "chat.py:1: SyntaxError: '(' was never closed",
        "The line reads: app = (",
    ),
    "a missing dependency": (
        "import wsframe\nimport no_such_thing\n",
        "chat:app",
        "chat.py:2: ModuleNotFoundError: No module named 'no_such_thing'",
        "The line reads: import no_such_thing",
    ),
    "an exit": (
        "raise SystemExit(0)\n",
        "chat:app",
        "chat.py:1: the module ends the program while it is imported",
        'What starts or ends a program belongs under: if __name__ == "__main__":',
    ),
    "a bad setting": (
        "from wsframe import App\napp = App(prot=5)\n",
        "chat:app",
        "App(...): prot = 5: there is no such setting",
        "Did you mean port?",
    ),
}


@pytest.mark.parametrize("case", ERRORS)
def test_what_is_wrong_is_one_line_and_a_hint(folder: Path, invoke: Invoke, case: str) -> None:
    source, target, message, hint = ERRORS[case]
    (folder / "chat.py").write_text(source)
    result = invoke("run", target)
    lines = [f"wsframe: error: {message.format(folder=folder)}"]
    if hint is not None:
        lines.append(f"wsframe: hint: {hint}")
    assert result.stderr.splitlines() == lines
    assert result.exit_code == (2 if "setting" in message else 1)


def test_without_any_usual_file_it_is_said_how_to_name_one(invoke: Invoke) -> None:
    result = invoke("run")
    assert result.exit_code == 1
    assert "there is no chat.py or app.py or main.py here" in result.stderr


def test_the_way_through_the_users_files_is_shown(folder: Path) -> None:
    (folder / "chat.py").write_text("import models\n")
    (folder / "models.py").write_text("\nimport json\njson.loads('{')\n")
    with pytest.raises(
        StartError, match=r"^chat\.py:1 > models\.py:3: JSONDecodeError: "
    ) as caught:
        load_app("chat:app")
    assert caught.value.hint == "The line reads: json.loads('{')"


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("create_app = 5", "chat:create_app: this is no function"),
        ("def create_app():\n    return 5", "chat:create_app: returned a int, not a wsframe App"),
        ("def create_app():\n    return open('/no/file')", "chat.py:2: FileNotFoundError"),
        ("def create_app(name): pass", "TypeError: create_app() missing 1 required positional"),
    ],
)
def test_a_factory_that_fails_is_one_line(folder: Path, source: str, message: str) -> None:
    (folder / "chat.py").write_text(source)
    with pytest.raises(StartError) as caught:
        load_app("chat:create_app", factory=True)
    assert message in str(caught.value)
