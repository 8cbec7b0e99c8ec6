"""An application for bad networks, and virtual time on both backends."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import anyio
import pytest

from wsframe import App, Connection, Message
from wsframe.testing import virtual_time


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, Any]]:
    return request.param, virtual_time(request.param)


def make_app() -> App:
    app = App(heartbeat_interval_s=5, heartbeat_timeout_s=5)

    @app.handler("text")
    async def echo(message: Message[Any], connection: Connection) -> dict[str, Any]:
        return {"text": f"Echo: {message.content['text']}"}

    @app.handler("count")
    async def count(message: Message[Any], connection: Connection) -> AsyncIterator[dict[str, int]]:
        for number in range(1, message.content["to"] + 1):
            await anyio.sleep(0.1)
            yield {"number": number}

    @app.handler("slow", timeout_s=None)
    async def slow(message: Message[Any], connection: Connection) -> None:
        await anyio.sleep(3600)

    return app


@pytest.fixture
def app() -> App:
    return make_app()
