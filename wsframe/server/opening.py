"""The opening of a connection: what runs before its first message is handled."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .connection import Connection


class Opening:
    """What middleware, plugins and listeners do with a new connection, within a time limit.

    It is the owner of a run (see :class:`wsframe.server.workers.Run`): it learns when the code
    waits, which is when it can be stopped.

    Attributes:
        connection: the one that opens.
        at: whose code runs, in words for the log.
    """

    __slots__ = ("_cancel", "_deadline", "_running", "at", "connection")

    def __init__(
        self, connection: Connection, deadline: float, running: dict[Connection, Opening]
    ) -> None:
        self.connection = connection
        self.at = ""
        self._deadline = deadline
        self._running = running
        self._cancel: Callable[[], None] | None = None

    def waiting(self, cancel: Callable[[], None]) -> None:
        """It waits for the first time; ``cancel()`` stops it."""
        self._cancel = cancel

    def ended(self) -> None:
        """What waited has ended."""
        self._cancel = None

    def check(self, now: float) -> None:
        """Stop it, once, when it is out of time."""
        if self._cancel is not None and now >= self._deadline:
            cancel, self._cancel = self._cancel, None
            cancel()

    def __enter__(self) -> Opening:
        """Let the sweep look at it until it is done."""
        self._running[self.connection] = self
        return self

    def __exit__(self, *_: object) -> None:
        """It is done."""
        del self._running[self.connection]
