"""A node: what all links of one server process share, and the tasks that serve them.

There is one timer for everything: the sweep looks at every link and every waiting handler a few
times a second. Deadlines and heartbeats therefore cost nothing on the path of a message, and are
late by at most :attr:`Node.sweep_interval_s`.
"""

from __future__ import annotations

import logging
import secrets
import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import anyio
import anyio.abc
import sniffio

from ..config import Config
from ..hooks.loops import loop_clock
from ..protocol.connection import Role, WebSocket
from .turns import Turns
from .workers import Workers, make_workers

if TYPE_CHECKING:
    from .accepted import Accepted
    from .link import Endpoint, StreamLink

log = logging.getLogger("wsframe.server")

MAX_SWEEP_INTERVAL_S = 0.25


class Node:
    """The running part of a server.

    Args:
        config: the settings.
        endpoint: what stands above the links.
        hot_path: False sends every frame through wsproto.

    Attributes:
        links: every peer on a byte stream, also during the handshake.
        stopped: it serves nobody any more.
        bytes_received: from all peers, in plain, whatever they are for; so ``bytes_sent``.
        waiting: accepted messages whose handler waits for something.
        on_sweep: called with the time, a few times a second.
    """

    workers: Workers
    task_group: anyio.abc.TaskGroup
    """Where everything of this node runs; cancelled by :meth:`stop`."""

    def __init__(self, config: Config, endpoint: Endpoint, *, hot_path: bool = True) -> None:
        self.config = config
        self.endpoint = endpoint
        self.links: dict[StreamLink, None] = {}
        self.stopped = False
        self.bytes_received = 0
        self.bytes_sent = 0
        self.waiting: dict[Accepted, None] = {}
        self.on_sweep: list[Callable[[float], None]] = []
        self.now: Callable[[], float] = _no_clock
        self._epoch = 0.0  # seconds since the epoch when the clock was at 0
        self.make_event = anyio.Event
        self.max_header_bytes = config.max_header_bytes
        self.handshake_timeout_s = config.handshake_timeout_s
        self.close_timeout_s = config.close_timeout_s
        self.heartbeat_interval_s = config.heartbeat_interval_s
        self.heartbeat_timeout_s = config.heartbeat_timeout_s
        self.sweep_interval_s = min(
            MAX_SWEEP_INTERVAL_S, config.handshake_timeout_s / 4, config.close_timeout_s / 4
        )
        self._hot_path = hot_path
        self.call_soon: Callable[[Callable[[], None]], Any] = _not_running
        self.turns = Turns(self.call_soon)
        self._stopped: anyio.Event | None = None

    async def run(
        self, *, task_status: anyio.abc.TaskStatus[None] = anyio.TASK_STATUS_IGNORED
    ) -> None:
        """Serve until :meth:`stop`; reports itself as started once links can be attached."""
        backend = sniffio.current_async_library()
        self.now, self.call_soon = loop_clock(), _scheduler(backend)
        self.turns = Turns(self.call_soon)
        self._epoch = time.time() - self.now()
        self._stopped = anyio.Event()
        async with anyio.create_task_group() as task_group:
            self.task_group = task_group
            self.workers = make_workers(task_group, backend)
            task_group.start_soon(self._sweep)
            task_status.started()
            try:
                await self._stopped.wait()
            finally:  # a cancelled node leaves nobody behind either
                self.stopped = True
                for link in list(self.links):
                    link.abort()
            task_group.cancel_scope.cancel()

    def stop(self) -> None:
        """End :meth:`run`; whatever still runs is cancelled."""
        if self._stopped is not None:
            self._stopped.set()

    def unix_now(self) -> float:
        """Seconds since the epoch, by a clock that does not jump when somebody sets the time."""
        return self._epoch + self.now()

    def new_id(self, prefix: str) -> str:
        """An id that nobody can guess: 128 random bits."""
        return prefix + secrets.token_urlsafe(16)

    def make_websocket(self, deflate: Any) -> WebSocket:
        """A sans-IO WebSocket with this node's limits."""
        config = self.config
        return WebSocket(
            Role.SERVER,
            max_message_bytes=config.max_message_bytes,
            max_fragments=config.max_fragments,
            max_control_frames=config.max_control_frames_per_s,
            deflate=deflate,
            hot_path=self._hot_path,
        )

    async def _sweep(self) -> None:
        next_link_check = self.now()
        while True:
            await anyio.sleep(self.sweep_interval_s)
            now = self.now()
            for check in self.on_sweep:
                check(now)
            if now >= next_link_check:
                next_link_check = now + min(1.0, 4 * self.sweep_interval_s)
                for link in list(self.links):
                    try:
                        link.check(now)
                    except Exception as error:  # noqa: BLE001 - it must not cost the others their deadlines
                        link.failed(error)


def _scheduler(backend: str) -> Callable[[Callable[[], None]], Any]:
    if backend == "asyncio":
        import asyncio

        return asyncio.get_running_loop().call_soon
    return sys.modules["trio"].lowlevel.current_trio_token().run_sync_soon  # type: ignore[no-any-return]


def _no_clock() -> float:
    raise RuntimeError("the node does not run")


def _not_running(callback: Callable[[], None]) -> None:  # noqa: ARG001 - a stand-in
    raise RuntimeError("the node does not run")
