"""The application: what its author says, and how it is started.

An :class:`App` only collects. What runs is made at the start (see :mod:`wsframe.server.runtime`)
and gone after the stop, so the same application can be started again.

This module is longer than others because it is the public surface: most of it is documentation.
"""

from __future__ import annotations

from collections.abc import (
    AsyncIterator,
    Callable,
    Collection,
    Iterable,
    Mapping,
    MutableMapping,
)
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any, Literal, TypeVar

from ..config_sources import ResolvedConfig, resolve_config
from ..errors import ConfigError, ConnectionClosed, StartError
from ..hooks import HookManager
from ..hooks.records import State
from ..http import Routes
from ..logs import set_log_level
from ..routing import DEFAULT, Coalesce, Handler, HandlerTable, MessageMiddleware, Rooms
from ..routing.middleware import ConnectionMiddleware
from ..stores import Store
from . import reports
from .additions import Additions
from .builtin import BUILTIN_TYPES, RESERVED_TYPES
from .events import Callback, Events
from .meters import Meter, Meters
from .runtime import Runtime, make_manager, open_store
from .watching import Choose

AnyHandler = TypeVar("AnyHandler", bound=Callable[..., Any])
AnyCallback = TypeVar("AnyCallback", bound=Callable[..., Any])


class App:
    """A chat or agent application behind a WebSocket.

    Args:
        plugins: plugin classes, modules or objects beside the installed ones.
        config_file: the configuration file; None: ``wsframe.toml`` or ``[tool.wsframe]`` in
            ``pyproject.toml``, where there is one.
        settings: any setting of :class:`wsframe.Config`, stronger than every other source.

    Raises:
        ConfigError: a setting is unknown, has the wrong type or does not fit another one.
    """

    def __init__(
        self,
        *,
        plugins: Iterable[object] = (),
        config_file: str | Path | None = None,
        **settings: Any,
    ) -> None:
        self._arguments = settings
        self._overrides: dict[str, Any] = {}
        self._config_file = None if config_file is None else Path(config_file)
        self.plugins = list(plugins)
        """What the application brings beside the installed plugins."""
        self._handlers = HandlerTable()
        self._http_routes = Routes()
        self._events = Events()
        self._meters = Meters()
        self._message_middleware: list[MessageMiddleware] = []
        self._connection_middleware: list[ConnectionMiddleware] = []
        self._watchers: list[Choose] = []
        self._manager: HookManager | None = None
        self._taken_in: list[Additions] = []
        self.runtime: Runtime | None = None
        """What runs; None while the application does not."""
        self.background: Any = None
        """Runs the application where an ASGI server has no lifespan for it."""
        self._host: Any = None
        self.schema_folders: list[Path] = []
        """Folders with JSON Schema files, for a plugin that validates."""
        self.config, self.given = self._load_config()
        """The settings in force, and what every source said about them, by dotted key."""
        self.rooms = Rooms(self._deliver, max_per_session=self.config.max_rooms_per_session)
        """The rooms of this node."""

    # What the application consists of

    def handler(
        self,
        type: str,
        *,
        concurrent: bool = False,
        timeout_s: float | None = DEFAULT,
        retries: int = DEFAULT,
        reply_type: str | None = None,
        coalesce: Coalesce | None = None,
        requires: Collection[str] = (),
    ) -> Callable[[AnyHandler], AnyHandler]:
        """Register the decorated function as the handler of a message type.

        ``async def handler(message, connection)`` returns the content of the answer, a
        :class:`~wsframe.Reply`, or None; or yields parts. ``message: Message[Ask]`` converts the
        content to the Struct ``Ask``, and answers ``invalid_content`` where it does not fit.

        Args:
            type: the message type.
            concurrent: it may run beside other handlers of the same session, which otherwise
                run one at a time, in the order of their messages.
            timeout_s: running time in seconds, then ``timeout`` is answered; None: no limit.
                Default: ``message_timeout_s``.
            retries: how often it is run again after an error marked retryable, unless it has
                sent parts. Default: ``max_retries``.
            reply_type: the type of the answers. Default: the message's own.
            coalesce: ``coalesce(earlier, later)`` makes one part's content of those of two
                consecutive parts. While the client is slow or away, parts are merged with it
                instead of holding the handler up; None: they stay apart.
            requires: scopes that the sender's identity must have, all of them. Without them it is
                not run: ``unauthenticated`` is answered to the anonymous, else ``forbidden``.

        Raises:
            ConfigError: the type is malformed, built in or taken, or the function is no handler.
        """

        def register(function: AnyHandler) -> AnyHandler:
            self.add_handler(
                type,
                function,
                concurrent=concurrent,
                timeout_s=timeout_s,
                retries=retries,
                reply_type=reply_type,
                coalesce=coalesce,
                requires=requires,
            )
            return function

        return register

    def add_handler(
        self,
        type: str,
        function: Handler,
        *,
        concurrent: bool = False,
        timeout_s: float | None = DEFAULT,
        retries: int = DEFAULT,
        reply_type: str | None = None,
        coalesce: Coalesce | None = None,
        requires: Collection[str] = (),
    ) -> None:
        """Register a handler; see :meth:`handler`."""
        self._handlers.add(
            type,
            function,
            concurrent=concurrent,
            timeout_s=timeout_s,
            retries=retries,
            reply_type=reply_type,
            coalesce=coalesce,
            requires=requires,
            reserved=RESERVED_TYPES,
            owner=self._manager.setting_up if self._manager is not None else None,
        )

    def use(
        self,
        middleware: MessageMiddleware | ConnectionMiddleware,
        *,
        kind: Literal["message", "connection"] = "message",
    ) -> None:
        """Put a function around every message, or around the opening of every connection.

        Args:
            middleware: ``async def middleware(message, connection, call_next)``, which awaits
                ``call_next(message, connection)`` and returns the content of the answer; or, for
                connections, ``async def middleware(connection, call_next)``.
            kind: which of the two.
        """
        if kind == "message":
            self._message_middleware.append(middleware)  # type: ignore[arg-type]  # by its kind
        elif kind == "connection":
            self._connection_middleware.append(middleware)  # type: ignore[arg-type]
        else:
            raise ConfigError(
                f"there is no middleware of kind {kind!r}", hint="Use 'message' or 'connection'."
            )

    def on(self, event: str, callback: Callback | None = None) -> Any:
        """Call ``callback`` when something happens; without one, it is a decorator.

        Events: ``connection:added``, ``connection:removed``, ``message:received``,
        ``message:sent``, ``error``, ``alert``.

        Raises:
            ConfigError: there is no such event.
        """
        if callback is None:

            def register(function: AnyCallback) -> AnyCallback:
                self.on(event, function)
                return function

            return register
        self._events.add(event, callback)
        if self.runtime is not None:
            self.runtime.listen()
        return callback

    async def emit(self, event: str, *arguments: Any) -> None:
        """Call everybody who listens to ``event``; for plugins that raise alerts."""
        await self._events.emit(event, *arguments)

    def measure(self, kind: str, meter: Meter) -> None:
        """Have a plain function called at once, for statistics; it must return at once, too.

        Far cheaper than a hook where there are many messages. Before the start, or in the
        ``setup`` of a plugin. The kinds, and what their meters are given:

        ``message``, ``(type, outcome, elapsed_s)``: an accepted message is answered. ``type`` is
        the client's word, whether a handler knows it or not; ``elapsed_s`` counts from the start
        of its handler, and is None if that never started.

        ``request``, ``(request, status, elapsed_s)``: an HTTP request is answered; with 101 it
        opened a connection. Not for what is no clean HTTP.

        ``hook``, ``(plugin, hook, elapsed_s)``: a plugin's runtime hook has run; of hooks on the
        path of every message, the first of sixteen calls.

        ``store``, ``(operation, elapsed_s)``: a ``commit`` of a group of changes, or a ``restore``
        of a session, has succeeded.

        Args:
            kind: what to measure.
            meter: is called; its exceptions are logged, and hurt nobody.

        Raises:
            ConfigError: there is no such kind.
            RuntimeError: the application runs, and no plugin is being set up.
        """
        if self.runtime is not None and self.runtime.manager.setting_up is None:
            raise RuntimeError("the application runs already: measure from the start on")
        self._meters.add(kind, meter)

    def handles(self, type: str) -> bool:
        """Is there a handler of this message type, or is it one of the protocol's own?"""
        handlers = self._handlers if self.runtime is None else self.runtime.handlers
        return type in handlers.routes or type in BUILTIN_TYPES

    def http_route(
        self, path: str, *, methods: Iterable[str] = ("GET",)
    ) -> Callable[[AnyHandler], AnyHandler]:
        """Serve a path in plain HTTP: ``async def handler(request)``.

        It returns a :class:`~wsframe.Response`, or a dict (JSON), str or bytes.
        """

        def register(function: AnyHandler) -> AnyHandler:
            self._http_routes.add(path, function, methods=tuple(methods))
            return function

        return register

    def add_schemas(self, folder: str | Path) -> None:
        """Name a folder of ``<type>.schema.json`` files, for a plugin that validates messages.

        Raises:
            ConfigError: there is no such folder.
        """
        path = Path(folder)
        if not path.is_dir():
            raise ConfigError(f"there is no schema folder {str(path)!r}")
        self.schema_folders.append(path)

    def watch_sessions(self, choose: Choose) -> None:
        """Let sessions be watched: told, step by step, what becomes of their messages.

        A session that nobody watches pays nothing for those that are.

        Args:
            choose: ``choose(session)`` returns a :class:`~wsframe.SessionWatch` for a session that
                is to be watched, else None. It is called for each one that begins on this node or
                comes from its store, before anything happens to it, and must not wait. It may
                read the session's ``id`` and ``identity``, and whatever it returns may do so later.
        """
        self._watchers.append(choose)

    # While it runs

    async def send(self, recipient: str, message: Mapping[str, Any]) -> None:
        """Send a message to one client; waits while it reads too slowly.

        Args:
            recipient: a session's id, or a connection's.
            message: an envelope, at least ``{"type": …}``.

        Raises:
            ConnectionClosed: nobody of that id is here.
            ValueError: the message is no envelope, or its content cannot be encoded.
        """
        connection = self._running().dispatcher.find(recipient)
        if connection is None:
            raise ConnectionClosed(reason=f"no session or connection {recipient!r} is here")
        await connection.send(message)

    async def broadcast(self, message: Mapping[str, Any]) -> int:
        """Send a message to every session but those that must authenticate first.

        A slow one delays nobody.

        Returns:
            The number of sessions it was handed to.

        Raises:
            ValueError: the message is no envelope, or its content cannot be encoded.
        """
        runtime = self._running()
        sessions = runtime.dispatcher.sessions.by_id.values()
        receivers = [each.connection for each in sessions if not each.identity.pending]
        return await self._deliver(receivers, message)

    async def _deliver(self, connections: Any, message: Mapping[str, Any]) -> int:
        return await self._running().sender.deliver(connections, message)

    def health(self) -> dict[str, Any]:
        """Is it there, and does it take connections? See :func:`wsframe.server.reports.health`."""
        return reports.health(self.runtime)

    def metrics(self) -> dict[str, Any]:
        """What was counted since the start. See :func:`wsframe.server.reports.metrics`."""
        return reports.metrics(self.runtime)

    @property
    def store(self) -> Store | None:
        """Where sessions are kept, for plugins that use more of it. None: nothing runs."""
        return None if self.runtime is None else self.runtime.store

    def set_log_level(self, level: str) -> None:
        """Log from this severity on: debug, info, warning, error or critical."""
        set_log_level(level)

    async def enable_plugin(self, name: str) -> None:
        """Take in a plugin that was disabled: its ``setup``, its ``started``, then its other hooks.

        Raises:
            KeyError: there is no such plugin.
            PluginError, ConfigError: it cannot be used, or cannot start; nothing has changed.
        """
        runtime = self._running()
        async with runtime.changing_plugins:
            manager = runtime.manager
            record = manager.records[name]
            if record.state is State.ACTIVE:
                return
            was_set_up = record.is_set_up
            additions = self._additions()
            manager.enable(name)
            self._taken_in.append(additions)
            try:
                manager.setup(self)
                handlers = self._resolved_handlers()
                additions.end()
                await runtime.begin_plugin(self, name)
            except BaseException:
                if self.runtime is runtime:  # otherwise release() has done it
                    self._taken_in.remove(additions)
                    additions.take_back()
                    record.is_set_up = was_set_up
                    runtime.use_hooks(manager.disable(name))
                raise
            if self.runtime is runtime:
                runtime.handlers.routes.update(handlers.routes)
                runtime.use_hooks(manager.table)

    async def disable_plugin(self, name: str) -> None:
        """Take a plugin out and call its ``stopping``; handlers and routes that it has added stay.

        Raises:
            KeyError: there is no such plugin.
        """
        runtime = self._running()
        async with runtime.changing_plugins:
            before = runtime.manager.table
            runtime.use_hooks(runtime.manager.disable(name))
            if runtime.manager.table is not before:
                await runtime.end_plugin(self, name, before)

    def _require_stopped(self) -> None:
        if self.runtime is not None:
            raise RuntimeError("the application runs already: stop it first")

    def _running(self) -> Runtime:
        if self.runtime is None:
            raise RuntimeError("the application does not run: start it first")
        return self.runtime

    # Starting and stopping

    def reconfigure(
        self, overrides: Mapping[str, Any] | None = None, *, file: Path | None = None
    ) -> None:
        """Read the settings again, as the command line wants them.

        Args:
            overrides: settings stronger than files and environment, weaker than ``App(...)``.
            file: another configuration file.

        Raises:
            ConfigError: a setting is unknown, has the wrong type or does not fit another one.
        """
        if overrides is not None:
            self._overrides = dict(overrides)
        if file is not None:
            self._config_file = file
        self.config, self.given = self._load_config()
        self.rooms.max_per_session = self.config.max_rooms_per_session

    def _load_config(self) -> ResolvedConfig:
        return resolve_config(
            file=self._config_file, overrides=self._overrides, arguments=self._arguments
        )

    def prepare(self) -> Runtime:
        """Load the plugins and make everything that runs. For those who start an application.

        Raises:
            ConfigError, PluginError: it cannot start.
        """
        self._require_stopped()
        self._manager = make_manager(self.config, self.plugins)
        self._taken_in = [self._additions()]
        try:
            self._manager.meter = partial(self._meters.together, "hook")
            self._manager.setup(self)
            self.runtime = Runtime(
                config=self.config,
                manager=self._manager,
                handlers=self._resolved_handlers(),
                routes=self._http_routes,
                rooms=self.rooms,
                events=self._events,
                meters=self._meters,
                message_middleware=self._message_middleware,
                connection_middleware=self._connection_middleware,
                watchers=self._watchers,
                store=open_store(self.config, self._manager),
            )
        except BaseException:
            self.release()
            raise
        self._taken_in[0].end()
        return self.runtime

    def release(self) -> None:
        """Forget what ran, and what plugins have added; the counterpart of :meth:`prepare`."""
        self.runtime = self._manager = None
        while self._taken_in:
            self._taken_in.pop().take_back()

    def _additions(self) -> Additions:
        return Additions(
            [
                self._handlers.routes,
                *self._http_routes.tables,
                *self._events.lists,
                *self._meters.lists,
                self._message_middleware,
                self._connection_middleware,
                self._watchers,
                self.schema_folders,
            ]
        )

    def _resolved_handlers(self) -> HandlerTable:
        config = self.config
        return self._handlers.resolved(
            timeout_s=config.message_timeout_s, retries=config.max_retries
        )

    def run(self, **settings: Any) -> None:
        """Serve until the process is told to stop (SIGINT, SIGTERM).

        Args:
            settings: any setting, stronger than every other source.

        Raises:
            SystemExit: it cannot start. Standard error says why, without a traceback; the exit
                code is that of ``wsframe run``, and the cause is the :class:`~wsframe.StartError`.
        """
        from .lifecycle import run, say_why

        self._require_stopped()
        self._arguments = {**self._arguments, **settings}
        try:
            self.reconfigure()
            run(self)
        except StartError as error:
            say_why(error)
            raise SystemExit(error.exit_code) from error

    async def start(self, **settings: Any) -> str:
        """Serve inside a running event loop, until :meth:`stop`.

        Args:
            settings: any setting, stronger than every other source.

        Returns:
            The address of the WebSocket endpoint, like ``ws://127.0.0.1:3001/ws``.

        Raises:
            StartError: it cannot start.
        """
        from .lifecycle import Host, Server

        self._require_stopped()
        self._arguments = {**self._arguments, **settings}
        self.reconfigure()
        server = Server(self)
        host = Host(server)
        await host.start()
        self._host = host
        return server.addresses[0]

    async def stop(self) -> None:
        """Stop what :meth:`start`, or a first ASGI request, has started.

        Returns when everything is closed.
        """
        if self.background is not None:
            await self.background.stop()
        host, self._host = self._host, None
        if host is not None:
            await host.stop()

    @asynccontextmanager
    async def lifespan(self, _outer: Any = None) -> AsyncIterator[None]:
        """Start and stop with an outer ASGI application: ``FastAPI(lifespan=app.lifespan)``."""
        from .transports.asgi import running

        async with running(self):
            yield

    async def __call__(
        self,
        scope: MutableMapping[str, Any],
        receive: Callable[[], Any],
        send: Callable[[MutableMapping[str, Any]], Any],
    ) -> None:
        """Serve as an ASGI application."""
        from .transports.asgi import serve_asgi

        await serve_asgi(self, scope, receive, send)
