"""While its store fails, a server lives and is not ready: seen as a load balancer sees it."""

from __future__ import annotations

import json
from typing import Any

import anyio
import pytest

from tests.testing.faults.conftest import make_app
from wsframe import StoreError
from wsframe.client import Client
from wsframe.stores.memory import MemoryStore
from wsframe.testing.faults import KillableServer, Network

pytestmark = pytest.mark.anyio


class Failing(MemoryStore):
    """Takes nothing as long as it is told to."""

    fails = False

    async def commit(self, changes: Any) -> Any:
        if self.fails:
            raise StoreError("the disk is full")
        return await super().commit(changes)


async def get(network: Network, path: str) -> tuple[int, dict[str, Any]]:
    """Status and body of the answer to a plain request."""
    async with await network.connect() as stream:
        await stream.send(f"GET {path} HTTP/1.0\r\n\r\n".encode())
        received = b""
        with anyio.fail_after(10):
            while True:
                try:
                    received += await stream.receive()
                except anyio.EndOfStream:
                    break
    head, _, body = received.partition(b"\r\n\r\n")
    return int(head.split()[1]), json.loads(body)


async def test_a_server_whose_store_fails_is_alive_and_not_ready() -> None:
    store = Failing(survives=True)
    async with KillableServer(make_app, store=store) as server, Network(server) as network:
        assert (await get(network, "/readyz"))[0] == 200
        async with Client("ws://testserver/ws", connector=network.connect) as client:
            store.fails = True
            await client.request("text", {"text": "Hi"})
            await anyio.sleep(1)
            assert (await get(network, "/readyz"))[0] == 503
            status, health = await get(network, "/healthz")
            assert (status, health["status"]) == (200, "store_failing")
            store.fails = False
            await anyio.sleep(10)
            assert (await get(network, "/readyz"))[0] == 200
