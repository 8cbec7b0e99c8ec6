"""How a client is connected, told to whoever wants to know."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable
from enum import StrEnum
from typing import Final, Self

from .signals import Signal

log = logging.getLogger("wsframe.client")

_KEPT: Final = 64
"""Changes that a slow watcher has not seen yet; older ones are passed over."""


class Status(StrEnum):
    """How a client is connected."""

    CONNECTING = "connecting"
    """There is no connection; the client is trying."""
    OPEN = "open"
    """Connected, with a new session. After an earlier one: what that one had to say is lost."""
    RESUMED = "resumed"
    """Connected again, in the same session; nothing is lost."""
    GAP = "gap"
    """Connected, in the same session; some of the server's messages are lost."""
    CLOSED = "closed"
    """There is no connection, and there will be none."""


class StatusBoard:
    """Shows the status.

    Args:
        callback: called with each new status; None: nobody is.
    """

    def __init__(self, callback: Callable[[Status], object] | None) -> None:
        self._callback = callback
        self._watchers: list[StatusWatcher] = []
        self.current = Status.CLOSED
        self.ended = False
        """Nothing more will be shown; before the beginning, it is closed too."""
        self.changed = Signal()

    def show(self, status: Status) -> None:
        """Something has happened that makes this the status, perhaps once more."""
        self.current = status
        self.ended = status is Status.CLOSED
        for watcher in self._watchers:
            watcher.seen.append(status)
        self.changed.set()
        if self._callback is not None:
            try:
                self._callback(status)
            except Exception:
                log.exception("on_status failed")

    def watch(self) -> StatusWatcher:
        """An iterator over the present status and each later one."""
        watcher = StatusWatcher(self)
        self._watchers.append(watcher)
        return watcher

    def forget(self, watcher: StatusWatcher) -> None:
        """Tell it nothing more."""
        if watcher in self._watchers:
            self._watchers.remove(watcher)


class StatusWatcher:
    """Each status, in order, until the client is closed."""

    def __init__(self, board: StatusBoard) -> None:
        self._board = board
        self.seen: deque[Status] = deque(maxlen=_KEPT)
        if board.ended or board.current is not Status.CLOSED:
            self.seen.append(board.current)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Status:
        while not self.seen:
            if self._board.ended:
                self._board.forget(self)
                raise StopAsyncIteration
            await self._board.changed.wait()
        return self.seen.popleft()
