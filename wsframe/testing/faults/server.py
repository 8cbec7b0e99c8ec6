"""A server that can be killed, in the test's own event loop."""

from __future__ import annotations

import socket
from collections.abc import Callable
from types import TracebackType
from typing import Self

import anyio

from ...server.app import App
from ...server.lifecycle import Host, Listener
from ...server.runtime import Runtime
from ...stores import Store
from ..clocks import mind_threads
from ..connector import MemoryServer
from ..memory import MemoryLink
from .mortal_store import Life, MortalStore

GHOST_S = 5.0
"""How long the tasks of a killed server may take to notice; a process would be gone at once."""


class KillableServer:
    """Runs an application on no socket, and ends it as ``kill -9`` does.

    Clients come through a :class:`~wsframe.testing.faults.network.Network`. Inside
    ``async with`` the server runs; at its end it stops in an orderly way.

    Args:
        make_app: makes a new application for each life.
        store: keeps sessions between two lives, like ``MemoryStore(survives=True)``; None: the
            one that the application's setting ``store`` names. Once a life is over, nothing of it
            reaches the store.

    Attributes:
        app: of the present life, or of the last one.
        lives: how often it was started.
    """

    app: App

    def __init__(self, make_app: Callable[[], App], *, store: Store | None = None) -> None:
        self._make_app = make_app
        self._store = store
        self._server: _Server | None = None
        self._host: Host | None = None
        self._life = Life()
        self.lives = 0

    @property
    def runtime(self) -> Runtime | None:
        """What runs; None: it is down."""
        return None if self._server is None else self.app.runtime

    async def start(self) -> None:
        """Start a new life.

        Raises:
            StartError: the application cannot start.
        """
        assert self._server is None, "it runs already"
        mind_threads()
        self._life = Life()
        self.app = self._make_app()
        server = _Server(self.app, self._life, self._store)
        host = Host(server)
        await host.start()
        self._server, self._host = server, host
        self.lives += 1

    async def kill(self) -> None:
        """End it at once: no drain, no close frame, no hook, no last word to the store.

        What an application does in ``finally`` still runs, because its tasks are cancelled; but
        it reaches neither a client nor a mortal store any more.
        """
        server, host = self._server, self._host
        assert server is not None, "it does not run"
        assert host is not None
        self._server = self._host = None
        self._life.over = True
        server.kill()
        with anyio.move_on_after(GHOST_S):
            await host.stop()
        await server.store.release()
        _raise_error_of(host)

    async def stop(self) -> None:
        """Stop it as a signal does: it drains, then closes what is left.

        Raises:
            Exception: it failed while it ran.
        """
        host = self._host
        assert host is not None, "it does not run"
        await host.stop()
        self._server = self._host = None
        _raise_error_of(host)

    async def restart(self) -> None:
        """Start a new life; what still runs is killed first."""
        if self._server is not None:
            await self.kill()
        await self.start()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._server is not None:
            with anyio.CancelScope(shield=True):
                await self.stop()


def _raise_error_of(host: Host) -> None:
    if host.error is not None:
        raise host.error


class _Server(MemoryServer):
    """One life of an application without a socket.

    Attributes:
        store: what this life has of its store.
    """

    store: MortalStore

    def __init__(self, app: App, life: Life, store: Store | None) -> None:
        super().__init__(app)
        self._life = life
        self._given = store

    def _open_sockets(self) -> list[socket.socket]:
        """None; but this is when the runtime has been made, and its store has not been opened."""
        runtime = self._app.runtime
        assert runtime is not None
        self.store = MortalStore(self._given or runtime.store, self._life)
        runtime.store = self.store
        return super()._open_sockets()

    def kill(self) -> None:
        """Leave every client where it is, and end."""
        runtime = self._app.runtime
        assert runtime is not None
        runtime.ready = False
        for link in list(runtime.node.links):
            if isinstance(link, MemoryLink):
                link.orphan()
        runtime.node.stop()
        self.stop()

    async def _go_down(self, runtime: Runtime, listener: Listener) -> None:
        if not self._life.over:
            await super()._go_down(runtime, listener)
