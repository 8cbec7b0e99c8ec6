"""Everything an application consists of while it runs.

It is made when the server starts and thrown away when it stops; the :class:`~wsframe.App` keeps
only what its author said.
"""

from __future__ import annotations

import logging
import secrets
from typing import TYPE_CHECKING, Any

import anyio

from ..config import Config
from ..errors import ConfigError
from ..hooks import HookManager, HookTable
from ..http import Routes, add_endpoints
from ..messages import MessageIds
from ..routing import compose_connection, compose_message
from ..session import Outcome
from ..stores import make_store
from ..version import __version__
from .counters import Counters
from .dispatcher import Dispatcher
from .doorway import Doorway
from .endings import STOP_GRACE_S
from .journal import Journal
from .node import Node
from .reports import health, metrics
from .running import call_current
from .sending import Sender

if TYPE_CHECKING:
    from ..routing import HandlerTable, MessageMiddleware, Rooms
    from ..routing.middleware import ConnectionMiddleware
    from ..stores import Store
    from .events import Events
    from .meters import Meter, Meters
    from .watching import Choose

log = logging.getLogger("wsframe.server")

DRAIN_POLL_S = 0.05
CLOSE_BATCH = 100
"""Connections closed at a time when the server stops, so that they do not return all at once."""


class Runtime:
    """The running parts of one application.

    Attributes:
        ready: connections are accepted.
    """

    def __init__(
        self,
        *,
        config: Config,
        manager: HookManager,
        handlers: HandlerTable,
        routes: Routes,
        rooms: Rooms,
        events: Events,
        meters: Meters,
        message_middleware: list[MessageMiddleware],
        connection_middleware: list[ConnectionMiddleware],
        watchers: list[Choose],
        store: Store,
    ) -> None:
        self.config = config
        self.manager = manager
        self.handlers = handlers
        self.counters = Counters()
        self.events = events
        self._meters = meters
        self._store_meter: Meter | None = None
        max_frame_bytes = config.outbox_bytes
        self.sender = Sender(
            MessageIds(secrets.token_urlsafe(6)), self.counters, events, max_frame_bytes
        )
        self.dispatcher = Dispatcher(
            config=config,
            handlers=handlers,
            sender=self.sender,
            counters=self.counters,
            events=events,
            rooms=rooms,
        )
        self.dispatcher.sessions.watchers = watchers
        self.node = Node(config, self.dispatcher)
        self.node.on_sweep += [
            self.dispatcher.check,
            self.dispatcher.check_openings,
            self.dispatcher.sessions.check,
        ]
        self.doorway = Doorway(self.dispatcher, routes, self.counters)
        self.dispatcher.node = self.node
        self.dispatcher.doorway = self.doorway
        self._message_middleware = message_middleware
        self._connection_middleware = connection_middleware
        self.changing_plugins = anyio.Lock()
        """Held by who enables or disables one."""
        self.ready = False
        self.started_at = 0.0
        self.store = store
        self.use_hooks(manager.table)
        add_endpoints(
            routes,
            health=lambda: health(self),
            ready=lambda: self.ready and self.stores_well,
            metrics=lambda: metrics(self),
        )

    def use_hooks(self, table: HookTable) -> None:
        """Take a new table of hooks, and middleware, because a plugin was enabled or disabled."""
        self.sender.hooks = table
        self.dispatcher.use(
            table,
            compose_message(self._message_middleware, call_current)
            if self._message_middleware
            else None,
            compose_connection(self._connection_middleware, self.dispatcher.announce)
            if self._connection_middleware
            else None,
        )
        self.listen()

    def listen(self) -> None:
        """Look again who listens to what, and who measures: it costs where somebody does."""
        table = self.sender.hooks
        self.sender.observed = bool(table.message_sent) or self.events.heard("message:sent")
        self.sender.meters = self._meters.of("message")
        self.doorway.meter = self._meters.together("request")
        self._store_meter = self._meters.together("store")
        self.dispatcher.listen()

    async def begin(self, app: Any) -> None:
        """Open the store, and start what plugins need; call it once the node runs.

        Raises:
            StoreError: the store cannot be used.
            PluginError: a plugin cannot start; the others are stopped again.
        """
        self.started_at = self.node.now()
        await self._open_store()
        table = self.manager.table
        try:
            await table.require(table.started, app)
        except BaseException:
            with anyio.CancelScope(shield=True):
                await self.end(app)
            raise

    async def _open_store(self) -> None:
        if not self.store.survives:
            return
        dispatcher = self.dispatcher
        journal = Journal(
            self.store,
            self.node.new_id("n"),
            self.node.unix_now,
            strict=self.config.durability == "strict",
            released=dispatcher.release,
            lost=dispatcher.lose,
            measure=self._measure_store,
        )
        await journal.start()
        self.node.task_group.start_soon(journal.run)
        dispatcher.journal = journal

    def _measure_store(self, operation: str, elapsed_s: float) -> None:
        if self._store_meter is not None:
            self._store_meter(operation, elapsed_s)

    @property
    def stores_well(self) -> bool:
        """Does the store take what it is given?"""
        journal = self.dispatcher.journal
        return journal is None or journal.healthy

    async def begin_plugin(self, app: Any, name: str) -> None:
        """Call ``started`` of one plugin.

        Raises:
            PluginError: it cannot start; what it has opened is closed again.
        """
        table = self.manager.table
        try:
            await table.require(table.started.of(name), app)
        except BaseException:
            with anyio.CancelScope(shield=True):
                await self.end_plugin(app, name, table)
            raise

    async def end_plugin(self, app: Any, name: str, table: HookTable) -> None:
        """Call ``stopping`` of one plugin, as it is in ``table``."""
        await table.notify(table.stopping.of(name), app)

    async def end(self, app: Any) -> None:
        """Stop what plugins have started, and close the store."""
        table = self.manager.table
        await table.notify(table.stopping, app)
        journal, self.dispatcher.journal = self.dispatcher.journal, None
        if journal is not None:
            await journal.stop(timeout_s=self.config.close_timeout_s)

    async def drain(self) -> None:
        """Take nothing new, let running handlers finish, and close every connection.

        Handlers have ``drain_timeout_s``; clients are told to come back and get close code 1012.
        """
        config, dispatcher = self.config, self.dispatcher
        self.ready = False
        self.doorway.accepting = False
        dispatcher.draining = True
        for connection in list(dispatcher.connections.values()):
            delay_ms = config.reconnect_after_ms + secrets.randbelow(config.reconnect_after_ms + 1)
            content = {"event": "draining", "reconnectAfterMs": delay_ms}
            system = self.sender.message("system", content, transient=True)
            if connection.open:
                self.sender.unnumbered(connection, system)
        await self._until_quiet(config.drain_timeout_s)
        if self.in_flight:
            log.warning("%d messages still run after drain_timeout_s: stopped", self.in_flight)
            for session in list(dispatcher.sessions.by_id.values()):
                for accepted in list(session.ledger.running.values()):
                    dispatcher.stop(accepted, Outcome.INTERRUPTED)
            await self._until_quiet(2 * STOP_GRACE_S)
        await self._close_all()

    async def _until_quiet(self, timeout_s: float) -> None:
        """Wait until every accepted message is answered, at most ``timeout_s``."""
        with anyio.move_on_after(timeout_s):
            while self.in_flight:  # noqa: ASYNC110 - rare, and no event to wait for
                await anyio.sleep(DRAIN_POLL_S)

    async def _close_all(self) -> None:
        for number, connection in enumerate(list(self.dispatcher.connections.values())):
            connection.close(1012, "the server restarts")
            if number % CLOSE_BATCH == CLOSE_BATCH - 1:
                await anyio.lowlevel.checkpoint()
        for link in list(self.node.links):
            if not link.open:
                link.close()
        with anyio.move_on_after(self.config.close_timeout_s):
            while self.node.links or self.dispatcher.connections:  # noqa: ASYNC110 - likewise
                await anyio.sleep(DRAIN_POLL_S)
        for link in list(self.node.links):
            link.abort()
        for connection in list(self.dispatcher.connections.values()):
            connection.abort()
        if self.dispatcher.journal is None:
            self.dispatcher.sessions.end_all()

    @property
    def in_flight(self) -> int:
        """Messages accepted and not yet answered."""
        return sum(
            len(session.ledger.running) for session in self.dispatcher.sessions.by_id.values()
        )


def make_manager(config: Config, plugins: list[object]) -> HookManager:
    """Find and load the plugins of an application.

    Raises:
        PluginError, ConfigError: one of them cannot be used.
    """
    manager = HookManager(config, __version__, plugins)
    manager.load()
    return manager


def open_store(config: Config, manager: HookManager) -> Store:
    """The store that the configuration names, from wsframe itself or from a plugin.

    Raises:
        StoreError, PluginError: it makes no sense, or a plugin cannot make it.
        ConfigError: nobody knows its scheme.
    """
    store: Store | None = make_store(config.store, config) or manager.make_store(config.store)
    if store is None:
        raise ConfigError(
            f"store = {config.store!r}: nobody knows how to make it",
            hint="wsframe knows memory: and sqlite:///chat.db; others come with plugins.",
        )
    return store
