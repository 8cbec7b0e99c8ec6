"""``wsframe schema``."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from wsframe.cli.root import cli

from .conftest import CHAT, Write

Invoke = Callable[..., Result]
MODULES = ("chat", "chat_to_export", "chat_with_schemas")


@pytest.fixture
def invoke(write: Write, monkeypatch: pytest.MonkeyPatch) -> Iterator[Invoke]:
    """Runs ``wsframe schema …`` in a folder with schemas; modules of it are forgotten."""
    for name in MODULES:
        monkeypatch.delitem(sys.modules, name, raising=False)
    write("outgoing/said", {"type": "string", "pattern": "^[a-z]{3}-\\d+$"})
    monkeypatch.chdir(write("text", CHAT).parent)
    monkeypatch.setattr(sys, "path", sys.path[:])
    monkeypatch.setattr(cli, "commands", {})

    def invoke(*arguments: str) -> Result:
        return CliRunner().invoke(cli, ["schema", *arguments], prog_name="wsframe")

    yield invoke
    for name in MODULES:
        sys.modules.pop(name, None)


def test_check_says_that_nothing_is_wrong(invoke: Invoke) -> None:
    result = invoke("check")
    assert (result.exit_code, result.stdout) == (0, "2 schema files, nothing wrong.\n")


def test_check_says_everything_that_is_wrong(invoke: Invoke, write: Write) -> None:
    write("a", {"pattern": "("})
    write("b", {"$ref": "#/no"})
    result = invoke("check", "schemas")
    assert result.exit_code == 1
    assert "schemas/a.schema.json#/pattern: " in result.stderr
    assert "schemas/b.schema.json#/$ref: " in result.stderr


def test_list_shows_types_directions_and_files(invoke: Invoke) -> None:
    rows = json.loads(invoke("list", "--json").stdout)
    assert [(row["type"], row["direction"], row["draft"], row["file"]) for row in rows] == [
        ("text", "incoming", "2020-12", "schemas/text.schema.json"),
        ("said", "outgoing", "2020-12", "schemas/outgoing/said.schema.json"),
    ]
    assert "schemas/text.schema.json" in invoke("list").stdout


def test_show_prints_the_file(invoke: Invoke) -> None:
    assert json.loads(invoke("show", "text").stdout) == CHAT
    assert json.loads(invoke("show", "said", "--outgoing").stdout)["type"] == "string"


def test_sample_prints_a_message_that_fits(invoke: Invoke) -> None:
    message = json.loads(invoke("sample", "text").stdout)
    assert (message["id"], message["type"]) == ("1", "text")
    assert 1 <= len(message["content"]["text"]) <= 20
    assert set(json.loads(invoke("sample", "said", "--outgoing").stdout)) == {"type", "content"}


def test_a_type_without_a_schema_and_a_folder_that_is_not_there_are_errors(
    invoke: Invoke, write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "no schema of type 'nobody'" in invoke("show", "nobody").stderr
    assert "no schema of outgoing type 'text'" in invoke("sample", "text", "--outgoing").stderr
    write("riddle", {"not": {}})
    result = invoke("sample", "riddle")
    assert (result.exit_code, "no content for 'riddle'" in result.stderr) == (2, True)
    write("broken", "{")
    result = invoke("list")
    assert (result.exit_code, "broken.schema.json" in result.stderr) == (3, True)
    empty = tmp_path / "empty"
    empty.mkdir()
    monkeypatch.chdir(empty)
    assert "there is no folder of schemas" in invoke("check").stderr


def test_folders_of_an_application_count(invoke: Invoke, tmp_path: Path, write: Write) -> None:
    write("more/hello", CHAT)
    program = "import wsframe\napp = wsframe.App()\napp.add_schemas('schemas/more')\nnone = 1\n"
    (tmp_path / "chat_with_schemas.py").write_text(program)
    result = invoke("list", "--app", "chat_with_schemas:app", "--json")
    assert "hello" in [row["type"] for row in json.loads(result.stdout)]
    assert "is no wsframe App" in invoke("list", "--app", "chat_with_schemas:none").stderr
    assert invoke("list", "--app", "no_such_module:app").exit_code == 2


def test_export_makes_a_schema_of_a_struct_and_of_a_handler(invoke: Invoke, tmp_path: Path) -> None:
    (tmp_path / "chat_to_export.py").write_text(
        "import msgspec\nfrom wsframe import App, Connection, Message\n"
        "app = App()\n"
        "class Ask(msgspec.Struct, forbid_unknown_fields=True):\n    prompt: str\n"
        "@app.handler('ask')\n"
        "async def ask(message: Message[Ask], connection: Connection) -> str:\n    return ''\n"
        "async def plain(message, connection): ...\n"
    )
    printed = json.loads(invoke("export", "chat_to_export:Ask").stdout)
    assert printed["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert printed["$defs"]["Ask"]["required"] == ["prompt"]
    target = "schemas/ask.schema.json"
    assert invoke("export", "chat_to_export:ask", "--out", target).exit_code == 0
    assert json.loads(Path(target).read_text()) == printed
    assert invoke("check").exit_code == 0
    assert "is no Struct" in invoke("export", "chat_to_export:plain").stderr


def test_an_engine_that_is_not_installed_is_said(
    invoke: Invoke, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("wsframe.toml").write_text('[plugins.validation]\nengine = "jsonschema-rs"\n')
    monkeypatch.setitem(sys.modules, "jsonschema_rs", None)
    monkeypatch.delitem(sys.modules, "wsframe_validation.engine_fast", raising=False)
    result = invoke("check")
    assert result.exit_code != 0
    assert "'jsonschema-rs' is not installed" in f"{result.exception}{result.stderr}"


def test_a_schema_that_cannot_be_written_is_said(invoke: Invoke) -> None:
    Path("chat.py").write_text("import msgspec\nclass Ask(msgspec.Struct):\n    text: str\n")
    result = invoke("export", "chat:Ask", "--out", "no/such/folder/ask.schema.json")
    assert result.exit_code != 0
    assert "cannot be written" in f"{result.exception}{result.stderr}"
