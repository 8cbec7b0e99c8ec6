"""A server whose store is a file, killed: its file is there for the next life."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.testing.faults.conftest import make_app
from tests.testing.faults.raw_client import RawClient
from wsframe import App
from wsframe.stores.sqlite import SqliteStore
from wsframe.testing.faults import KillableServer, Network


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    """In real time: virtual time does not know of the thread of a store."""
    name: str = request.param
    return name


async def test_each_life_opens_the_file_that_the_settings_name(tmp_path: Path) -> None:
    def make() -> App:
        app = make_app()
        app.reconfigure({"store": f"sqlite:///{tmp_path}/chat.db", "durability": "strict"})
        return app

    await resume_after_a_kill(KillableServer(make))


async def test_each_life_opens_the_store_that_is_given(tmp_path: Path) -> None:
    def make() -> App:
        app = make_app()
        app.reconfigure({"durability": "strict"})
        return app

    store = SqliteStore(tmp_path / "chat.db", threaded=False)
    await resume_after_a_kill(KillableServer(make, store=store))


async def resume_after_a_kill(server: KillableServer) -> None:
    async with server, Network(server) as network:
        client = await RawClient(await network.connect()).open()
        session = (await client.answer("init", {}, "1")).content
        answered = await client.answer("text", {"text": "Hi"}, "2")
        await server.restart()
        client = await RawClient(await network.connect()).open()
        resume = {"sessionId": session["sessionId"], "secret": session["secret"], "seq": 0}
        assert (await client.answer("init", {"resume": resume}, "3")).content["resumed"] is True
        assert (await client.receive()).id == answered.id
