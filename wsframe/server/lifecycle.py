"""Starting and stopping: sockets, signals, the order in which things come up and go down."""

from __future__ import annotations

import logging
import math
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any, Protocol

import anyio
import anyio.abc
import sniffio

from ..errors import ConfigError, StartError
from ..logs import configure_logging, escape
from ..redaction import redact_text
from .endings import STOP_GRACE_S
from .listening import SocketFile, describe, make_tls, open_sockets
from .node import Node
from .runtime import Runtime

if TYPE_CHECKING:
    import ssl

    from ..config import Config
    from .app import App

log = logging.getLogger("wsframe.server")

STOP_MARGIN_S = 3.0
"""For what plugins do in ``stopping``, before the process is ended without them."""
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Listener(Protocol):
    """Accepts connections for a node."""

    async def start(self) -> None:
        """Begin to accept."""

    async def stop(self) -> None:
        """Stop accepting; connections go on."""


class Server:
    """One run of an application: listening sockets, a node, a runtime."""

    def __init__(self, app: App) -> None:
        self._app = app
        self._stop = anyio.Event()
        self.started = anyio.Event()
        self.addresses: list[str] = []
        """Where it can be reached, like ``ws://127.0.0.1:3001/ws``."""

    @property
    def stop_timeout_s(self) -> float:
        """How long an orderly stop may take at most, every limit on the way exhausted."""
        config = self._app.config
        return config.drain_timeout_s + 2 * STOP_GRACE_S + config.close_timeout_s + STOP_MARGIN_S

    def stop(self) -> None:
        """Drain and end; :meth:`serve` returns when that is done."""
        self._stop.set()

    async def serve(self) -> None:
        """Come up, serve until :meth:`stop`, go down.

        Raises:
            StartError: it cannot start; nothing is left behind.
        """
        app = self._app
        config = app.config
        tls = make_tls(config)
        runtime = app.prepare()
        failure: StartError | None = None
        try:
            sockets = self._open_sockets()
            socket_file = SocketFile(config.unix_socket)
            try:
                async with anyio.create_task_group() as task_group:
                    await task_group.start(runtime.node.run)
                    try:
                        await runtime.begin(app)
                    except StartError as error:
                        failure = error
                    else:
                        await self._serve(runtime, sockets, tls)
                    runtime.node.stop()
            finally:
                for opened in sockets:
                    opened.close()
                socket_file.remove()
        finally:
            app.release()
        if failure is not None:
            raise failure

    def _open_sockets(self) -> list[socket.socket]:
        return open_sockets(self._app.config)

    async def _serve(
        self, runtime: Runtime, sockets: list[socket.socket], tls: ssl.SSLContext | None
    ) -> None:
        listener = make_listener(runtime.node, sockets, tls)
        try:
            await listener.start()
            path = runtime.config.path
            self.addresses = [
                describe(opened, secure=tls is not None, path=path) for opened in sockets
            ]
            runtime.ready = True
            self.started.set()
            await self._stop.wait()
        finally:
            await self._go_down(runtime, listener)

    async def _go_down(self, runtime: Runtime, listener: Listener) -> None:
        """Stop in an orderly way; in a short time only, if the server was not asked to stop."""
        asked = self._stop.is_set()
        limit_s = math.inf if asked else runtime.config.close_timeout_s  # or it was cancelled
        with anyio.move_on_after(limit_s, shield=True):
            await listener.stop()
            if asked:
                await runtime.drain()
            await runtime.end(self._app)


def make_listener(node: Node, sockets: list[socket.socket], tls: ssl.SSLContext | None) -> Listener:
    """The listener that the configuration and the running backend ask for."""
    if node.config.transport == "asyncio" and sniffio.current_async_library() == "asyncio":
        from .transports.asyncio_protocol import AsyncioListener

        return AsyncioListener(node, sockets, tls)
    from .transports.anyio_stream import AnyioListener

    return AnyioListener(node, sockets, tls)


class Host:
    """Runs a server in the background of a running event loop."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._ended = anyio.Event()
        self.error: BaseException | None = None
        """Why it could not start, or failed."""
        self._task: Any = None

    async def start(self) -> None:
        """Come up.

        Raises:
            StartError: it cannot start.
        """
        if sniffio.current_async_library() == "asyncio":
            import asyncio

            self._task = asyncio.create_task(self._run(), name="wsframe")
        else:
            sys.modules["trio"].lowlevel.spawn_system_task(self._run)
        try:
            async with anyio.create_task_group() as task_group:
                task_group.start_soon(self._cancel_when_ended, task_group.cancel_scope)
                await self._server.started.wait()
                task_group.cancel_scope.cancel()
        except BaseException:  # nobody waits for it any more
            self._server.stop()
            raise
        if not self._server.started.is_set():
            await self._ended.wait()
            assert self.error is not None
            raise self.error

    async def _cancel_when_ended(self, scope: anyio.CancelScope) -> None:
        await self._ended.wait()
        scope.cancel()

    async def _run(self) -> None:
        # asyncio calls a protocol outside of any task, where anyio cannot see whose loop it is
        # unless the context says so; anyio.run() says it, asyncio.run() does not.
        sniffio.current_async_library_cvar.set(sniffio.current_async_library())
        try:
            await self._server.serve()
        except Exception as error:  # raised again by start(), or logged
            self.error = error
            if self._server.started.is_set():
                log.critical("the server failed", exc_info=error)
        finally:
            self._ended.set()

    async def stop(self) -> None:
        """Go down; returns when everything is closed."""
        self._server.stop()
        await self._ended.wait()


def print_address(address: str) -> None:
    """Say where the server is, in the one line that people and programs wait for."""
    print(f"wsframe: listening on {address}", flush=True)  # noqa: T201 - the promised line


def say_why(error: StartError) -> None:
    """Say on standard error why a program cannot start, as ``wsframe run`` does on a file."""
    lines = [f"error: {error.message}"]
    if error.hint:
        lines.append(f"hint: {error.hint}")
    for line in lines:
        sys.stderr.write(f"wsframe: {escape(redact_text(line))}\n")


def run(app: App, announce: Callable[[str], None] = print_address) -> None:
    """Serve until SIGINT or SIGTERM; a second signal ends at once.

    Args:
        app: the application.
        announce: called with each address, like ``ws://127.0.0.1:3001/ws``, once it accepts.

    Raises:
        StartError: it cannot start.
    """
    config = app.config
    configure_logging(config)
    backend, options = event_loop(config)
    anyio.run(_run_until_signal, app, announce, backend=backend, backend_options=options)


def event_loop(config: Config) -> tuple[str, dict[str, Any]]:
    """The anyio backend and its options that the configuration asks for.

    Raises:
        ConfigError: what it names is not installed.
    """
    if config.backend == "trio":
        try:
            import trio  # noqa: F401 - is it there?
        except ImportError:
            raise ConfigError(
                "backend = 'trio': trio is not installed", hint="pip install 'wsframe[trio]'"
            ) from None
        return "trio", {}
    use_uvloop = config.backend in ("auto", "uvloop")
    if use_uvloop:
        try:
            import uvloop  # noqa: F401 - is it there?
        except ImportError:
            if config.backend == "uvloop":
                raise ConfigError(
                    "backend = 'uvloop': uvloop is not installed",
                    hint="pip install uvloop, or use backend = 'asyncio'.",
                ) from None
            use_uvloop = False
    return "asyncio", {"use_uvloop": use_uvloop}


async def _run_until_signal(app: App, announce: Callable[[str], None]) -> None:
    server = Server(app)
    failure: StartError | None = None
    async with AsyncExitStack() as stack:
        signals = stack.enter_context(anyio.open_signal_receiver(*STOP_SIGNALS))
        async with anyio.create_task_group() as task_group:
            task_group.start_soon(_stop_on_signal, server, signals)
            task_group.start_soon(_announce, server, announce)
            try:
                await server.serve()
            except StartError as error:
                failure = error
            task_group.cancel_scope.cancel()
    if failure is not None:
        raise failure


async def _stop_on_signal(server: Server, signals: Any) -> None:
    asked = False
    async for number in signals:
        if asked or not server.started.is_set():
            log.warning("stopped at once by %s", signal.Signals(number).name)
            logging.shutdown()
            os._exit(128 + number)
        asked = True
        log.info("stopping: %s", signal.Signals(number).name)
        server.stop()
        _end_at_last(server.stop_timeout_s)


def _end_at_last(timeout_s: float) -> None:
    """End the process after ``timeout_s``, whoever still refuses to stop.

    A task that ignores its cancellation cannot be ended otherwise; its message has been answered.
    """

    def end() -> None:
        log.error("something does not stop, probably a handler that ignores cancellation: ended")
        logging.shutdown()
        os._exit(1)

    timer = threading.Timer(timeout_s, end)
    timer.daemon = True
    timer.start()


async def _announce(server: Server, announce: Callable[[str], None]) -> None:
    await server.started.wait()
    for address in server.addresses:
        announce(address)
