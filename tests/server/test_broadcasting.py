"""A message to so many that it is written to them together."""

from __future__ import annotations

from typing import Any

import pytest

from tests.server.harness import JSON, MSGPACK, running
from wsframe import App
from wsframe.server.broadcasting import MANY_CONNECTIONS

pytestmark = pytest.mark.anyio

FLOOD = 300


@pytest.fixture
def app() -> App:
    app = App(**{"plugins.only": ()})

    @app.handler("tell")
    async def tell(message: Any, connection: Any) -> Any:
        await app.broadcast({"type": "news", "content": 1})
        await connection.send({"type": "own", "content": 2})
        await app.broadcast({"type": "news", "content": 3})
        await app.broadcast({"type": "news", "content": 4})
        return 5

    @app.handler("flood")
    async def flood(message: Any, connection: Any) -> Any:
        for number in range(FLOOD):
            await app.broadcast({"type": "news", "content": [number, "x" * 1_000]})
        return FLOOD

    return app


async def test_each_gets_in_order_what_all_get_and_what_is_its_own(
    app: App, wsframe_client: Any
) -> None:
    clients = [
        await wsframe_client(app, subprotocol="msgpack" if number % 2 else "json")
        for number in range(2 * MANY_CONNECTIONS)
    ]
    asking = clients[7]
    answer = await asking.request("tell")
    assert answer.content == 5
    for client in clients:
        own = [2] if client is asking else []
        expected = [1, *own, 3, 4]
        assert [(await client.receive()).content for _ in expected] == expected


async def test_a_flood_of_broadcasts_is_whole_for_everybody(app: App, wsframe_client: Any) -> None:
    clients = [await wsframe_client(app) for _ in range(MANY_CONNECTIONS)]
    await clients[0].request("flood")
    for client in clients:
        heard = [(await client.receive()).content[0] for _ in range(FLOOD)]
        assert heard == list(range(FLOOD))


async def test_what_is_too_large_for_some_leaves_the_counting_of_others_right() -> None:
    app = App(outbox_bytes=10_000)
    async with running(app) as server:
        binary = [server.connect(MSGPACK) for _ in range(MANY_CONNECTIONS)]
        text = [server.connect(JSON) for _ in range(MANY_CONNECTIONS)]
        for each in binary + text:
            await each.ask("ping")
        with pytest.raises(ValueError, match="over the limit"):  # in JSON: each 1 has its comma
            await app.broadcast({"type": "news", "content": [1] * 6_000})
        assert await app.broadcast({"type": "news", "content": "more"}) == 2 * MANY_CONNECTIONS
        for each in binary:
            assert len(each.contents("news")) == 2
        for each in text:
            assert each.contents("news") == ["more"]
        for each in binary + text:
            assert each.count == each.connection.session.outbox.count
