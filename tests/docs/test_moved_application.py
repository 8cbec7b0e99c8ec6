"""An application that has become a plugin is the same to its clients, over real sockets.

The page has the application and the plugin. Here the plugin is really installed, and runs in an
application that has nothing else.
"""

from __future__ import annotations

import ast
import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from click.testing import CliRunner

from tests.docs.pages import Page
from wsframe import App
from wsframe.cli.root import RootGroup
from wsframe.client import Client, RequestError

PAGE = "docs/how-to/move-an-application-into-a-plugin.md"
MODULES = {"chat.py": "chat", "wsframe_chat.py": "wsframe_chat"}
STEPS = [
    ("text", {"text": "Hi"}),
    ("join", {"room": "lobby"}),
    ("say", {"text": "Hello, all"}),
    ("say", {"text": ""}),
    ("unknown", {}),
]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def place(
    tmp_path: Path, pages: dict[str, Page], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Path]:
    """A folder on Python's path with both files of the page, the plugin installed."""
    blocks = [block.text for block in pages[PAGE].blocks if block.language == "python"]
    for name in MODULES:
        (text,) = [text for text in blocks if text.startswith(f"# {name}\n")]
        (tmp_path / name).write_text(text, encoding="utf-8")
    information = tmp_path / "wsframe_chat-0.1.0.dist-info"
    information.mkdir()
    (information / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: wsframe-chat\nVersion: 0.1.0\n"
    )
    (information / "entry_points.txt").write_text(
        "[wsframe.plugins]\nchat = wsframe_chat:ChatPlugin\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("WSFRAME_PLUGINS", "chat")
    importlib.invalidate_caches()
    _forget_modules()  # another page has a chat.py too
    yield tmp_path
    _forget_modules()


def _forget_modules() -> None:
    for module in MODULES.values():
        sys.modules.pop(module, None)


async def conversation(app: App) -> list[Any]:
    """What a client and a visitor of the page are told."""
    told: list[Any] = []
    address = await app.start(host="127.0.0.1", port=0)
    page = address.replace("ws://", "http://").replace("/ws", "/visitors")
    try:
        async with (
            httpx.AsyncClient(timeout=60) as visitor,
            Client(address) as ann,
            Client(address) as bob,
        ):
            await bob.request("join", {"room": "lobby"})
            for message_type, content in STEPS:
                try:
                    told.append((await ann.request(message_type, content)).content)
                except RequestError as refused:
                    told.append((refused.code, refused.message))
            async with ann.stream("tell", {"of": "a fox"}) as stream:
                told.append([part.content async for part in stream])
            async for pushed in bob.messages():
                told.append((pushed.type, pushed.content["text"]))
                break
            told.append((await visitor.get(page)).json())
            told.append((await visitor.post(page)).status_code)
    finally:
        await app.stop()
    return told


@pytest.mark.anyio
async def test_the_conversation_is_the_same_with_the_plugin_and_nothing_else(place: Path) -> None:
    application = importlib.import_module("chat").app
    application.reconfigure({"plugins.only": ()})
    before = await conversation(application)
    after = await conversation(App())
    assert before == after
    assert before[0] == {"text": "Echo: Hi"}
    assert before[2] == {"heard": 2}
    assert before[3] == ("chat.silence", "Say something.")
    assert [part["delta"] for part in before[5]] == ["Once", "upon", "a", "time,", "a", "fox."]
    assert before[6] == ("said", "Hello, all")
    assert before[7] == {"visitors": 2}
    assert before[8] == 405


@pytest.mark.anyio
async def test_what_was_written_into_the_code_is_a_setting_now(place: Path) -> None:
    app = App(**{"plugins.chat.room": "parlour"})
    address = await app.start(host="127.0.0.1", port=0)
    try:
        async with Client(address) as client:
            await client.request("join", {"room": "parlour"})
            with pytest.raises(RequestError, match="forbidden"):
                await client.request("join", {"room": "lobby"})
    finally:
        await app.stop()


def test_its_command_is_part_of_the_command_line(place: Path) -> None:
    done = CliRunner().invoke(RootGroup("wsframe"), ["tell", "a fox"])
    assert done.output == "Once upon a time, a fox.\n"


def test_the_plugin_uses_what_applications_use(place: Path) -> None:
    tree = ast.parse((place / "wsframe_chat.py").read_text(encoding="utf-8"))
    imported = [node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    assert imported == ["wsframe"]
