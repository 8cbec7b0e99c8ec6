"""The application of the endurance runs, which writes down each run of a handler.

Beside a stored session file ``chat.db`` it appends to ``chat.db.runs``: a line is there as soon as
the handler runs, whatever becomes of the process. What is ``held`` ends once ``chat.db.let_go`` is
there.
"""

from __future__ import annotations

import os
import threading
from collections.abc import AsyncIterator
from itertools import count
from pathlib import Path
from typing import Any

import anyio

from wsframe import App, Connection, Message

_PREFIX = "sqlite:///"
POLL_S = 0.2

app = App(message_timeout_s=None)
_numbers = count(1)
_file: list[int] = []


def _beside(suffix: str) -> Path:
    """A file beside that of the sessions."""
    return Path(app.config.store.removeprefix(_PREFIX) + suffix)


def _begun(message: Message[Any]) -> str:
    """Write down that a handler runs; returns the name of this run, which is given once."""
    run = f"{os.getpid()}-{next(_numbers)}"
    if app.config.store.startswith(_PREFIX):
        if not _file:
            _file.append(os.open(_beside(".runs"), os.O_WRONLY | os.O_APPEND | os.O_CREAT))
        os.write(_file[0], f"{message.id} {run}\n".encode())
    return run


@app.handler("text")
async def text(message: Message[Any], connection: Connection) -> dict[str, Any]:
    return {"run": _begun(message)}


@app.handler("work", concurrent=True)
async def work(message: Message[Any], connection: Connection) -> dict[str, Any]:
    run = _begun(message)
    await anyio.sleep(message.content["forS"])
    return {"run": run}


@app.handler("count", concurrent=True)
async def count_up(message: Message[Any], connection: Connection) -> AsyncIterator[dict[str, Any]]:
    run = _begun(message)
    for number in range(1, message.content["to"] + 1):
        await anyio.sleep(message.content["pauseS"])
        while (
            number == message.content["to"]
            and message.content.get("held")
            and not _beside(".let_go").exists()
        ):
            await anyio.sleep(POLL_S)
        yield {"number": number, "run": run}


@app.handler("notes")
async def notes(message: Message[Any], connection: Connection) -> dict[str, Any]:
    run = _begun(message)
    for number in range(1, message.content["count"] + 1):
        await connection.send({"type": "note", "content": {"number": number, "run": run}})
    return {"run": run, "count": message.content["count"]}


@app.handler("figures")
async def figures(message: Message[Any], connection: Connection) -> dict[str, Any]:
    import asyncio

    return {"tasks": len(asyncio.all_tasks()), "threads": threading.active_count()}
