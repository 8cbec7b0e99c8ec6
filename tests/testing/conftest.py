"""An application to be tested, and pytest runs in folders of their own."""

from __future__ import annotations

import subprocess
import sys
import textwrap
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import pytest

from wsframe import App, Connection, HandlerError, Message

RunPytest = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def app() -> App:
    """An application with one handler for everything a handler may do."""
    app = App()

    @app.handler("text")
    async def echo(message: Message[Any], connection: Connection) -> dict[str, Any]:
        return {"text": f"Echo: {message.content['text']}"}

    @app.handler("who")
    async def who(message: Message[Any], connection: Connection) -> dict[str, Any]:
        return {"subject": connection.identity.subject, "address": connection.request.address}

    @app.handler("ask")
    async def ask(message: Message[Any], connection: Connection) -> AsyncIterator[dict[str, str]]:
        for word in message.content["prompt"].split():
            await anyio.sleep(1)
            yield {"delta": word}

    @app.handler("fail")
    async def fail(message: Message[Any], connection: Connection) -> None:
        raise HandlerError("shop.sold_out", "Nothing left", retryable=True, details={"left": 0})

    @app.handler("slow", timeout_s=60)
    async def slow(message: Message[Any], connection: Connection) -> None:
        await anyio.sleep(3600)

    @app.handler("endless", timeout_s=None, concurrent=True)
    async def endless(message: Message[Any], connection: Connection) -> None:
        await anyio.sleep_forever()

    @app.handler("thread", timeout_s=60)
    async def thread(message: Message[Any], connection: Connection) -> None:
        # Virtual time would be over long before: every jump is one of the server's sweeps.
        await anyio.to_thread.run_sync(time.sleep, 0.2)

    @app.handler("push")
    async def push(message: Message[Any], connection: Connection) -> dict[str, int]:
        for number in range(message.content["count"]):
            content = {"number": number, "padding": "x" * message.content["bytes"]}
            await connection.send({"type": "pushed", "content": content})
        return {"count": message.content["count"]}

    @app.handler("dismiss")
    async def dismiss(message: Message[Any], connection: Connection) -> None:
        connection.close(4001, "bye")

    return app


@pytest.fixture
def run_pytest(tmp_path: Path) -> RunPytest:
    """Run pytest on a test module, as somebody else's project would."""

    def run(source: str, *arguments: str, ini: str = "") -> subprocess.CompletedProcess[str]:
        (tmp_path / "pytest.ini").write_text(f"[pytest]\n{ini}\n", encoding="utf-8")
        (tmp_path / "test_it.py").write_text(textwrap.dedent(source), encoding="utf-8")
        command = [sys.executable, "-m", "pytest", "-W", "error", "-p", "no:cacheprovider", "-v"]
        return subprocess.run(
            [*command, *arguments],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )

    return run
