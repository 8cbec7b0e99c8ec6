"""Applications that run in memory, and clients for them: what the fixture ``wsframe_client`` is."""

from __future__ import annotations

import socket
from collections.abc import Awaitable, Callable
from functools import wraps
from typing import Any

import anyio

from ..server.app import App
from ..server.lifecycle import Host, Server
from .client import TestClient
from .clocks import mind_threads


class MemoryServer(Server):
    """One run of an application without a socket: everything else is as in production."""

    def _open_sockets(self) -> list[socket.socket]:
        return []


class Connector:
    """Starts applications in memory and connects clients to them; see :meth:`__call__`."""

    def __init__(self) -> None:
        self._hosts: dict[App, Host] = {}
        self._clients: list[TestClient] = []

    async def __call__(self, app: App, **options: Any) -> TestClient:
        """Connect a new client; starts the application unless it runs.

        Args:
            app: the application. It is stopped when the test ends, unless somebody else
                started it.
            options: see :meth:`TestClient.connect <wsframe.testing.client.TestClient.connect>`.

        Raises:
            StartError: the application cannot start.
            RequestRefused, ProtocolError, RequestError, ConnectionClosed: there is no session.
        """
        mind_threads()
        if app.runtime is None:
            host = Host(MemoryServer(app))
            await host.start()
            self._hosts[app] = host
        client = TestClient()
        self._clients.append(client)
        await client.connect(app, **options)
        return client

    async def stop(self, app: App) -> None:
        """Stop an application as the server does: it drains, then closes what is left.

        Raises:
            Exception: it failed while it ran.
        """
        host = self._hosts.pop(app)
        await host.stop()
        if host.error is not None:
            raise host.error

    async def aclose(self) -> None:
        """Drop all clients and stop all applications.

        Raises:
            Exception: an application failed while it ran.
        """
        with anyio.CancelScope(shield=True):
            for client in self._clients:
                await client.abandon()
            self._clients.clear()
            for app in list(self._hosts):
                await self.stop(app)


def closing(
    test: Callable[..., Awaitable[Any]], connector: Connector
) -> Callable[..., Awaitable[Any]]:
    """``test``, after which everything of ``connector`` is gone."""

    @wraps(test)
    async def closing_test(*arguments: Any, **named: Any) -> Any:
        try:
            return await test(*arguments, **named)
        finally:
            await connector.aclose()

    return closing_test
