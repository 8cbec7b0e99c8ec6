"""An accepted message on its way to its one final answer."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import msgspec

from ..messages import Message
from ..session import Outcome, Session

if TYPE_CHECKING:
    from ..routing import Route
    from .connection import Connection
    from .node import Node


class Accepted(msgspec.Struct, eq=False):
    """What the server knows of one message between its acceptance and its answer.

    ::

        waiting ──started──▶ running ──settled──▶ answered
           └──stop()──▶ answered  └──stop()──▶ stopping ──▶ answered

    It is the owner of the run of its handler (see :class:`wsframe.server.workers.Run`): it learns
    when the handler waits, which is when it can be stopped.
    """

    node: Node
    session: Session[Accepted]
    connection: Connection
    """The one it came by; it may be gone before the answer."""
    message: Message[Any]
    id: str
    """The message's id; the server's own where the client gave none."""
    named: bool
    """Did the client name it? Only then can it be asked for again."""
    queued_at: float | None = None
    """When it began to wait behind others of its connection, by the node's clock, if it did."""
    route: Route | None = None
    """The route whose function is run by itself: what it returns is still to become an answer."""
    started_at: float | None = None
    """When its handler was started, by the node's clock."""
    deadline: float | None = None
    """When it is timed out, by the node's clock; None: never. Where its function is run by itself,
    it is set once it waits: what never waits is never timed out."""
    parts: int = 0
    """Parts sent so far."""
    merged: tuple[int, Any] | None = None
    """Number and content of its newest part, where parts may be merged."""
    beside: bool = False
    """Its handler is concurrent: the connection's other messages do not wait for it."""
    settled: bool = False
    """Its final answer has been decided."""
    outcome: Outcome | None = None
    """How it ended, once it has."""
    stopping: Outcome | None = None
    """Why its handler is being stopped."""
    stop_requested_at: float = 0.0
    cancel: Callable[[], None] | None = None
    """Stops its handler, while that waits for something."""

    def stop(self, outcome: Outcome) -> None:
        """Ask its handler to stop; does nothing once it is stopping or answered."""
        if self.stopping is None and not self.settled:
            self.stopping = outcome
            self.stop_requested_at = self.node.now()
            if self.cancel is not None:
                self.cancel()

    def waiting(self, cancel: Callable[[], None]) -> None:
        """Its handler waits for the first time; ``cancel()`` stops it."""
        self.cancel = cancel
        route = self.route
        if route is not None and route.timeout_s is not None:
            assert self.started_at is not None, "it runs"
            self.deadline = self.started_at + route.timeout_s
        self.node.waiting[self] = None
        if self.stopping is not None:
            cancel()

    def ended(self) -> None:
        """Its handler, which waited, has ended."""
        self.cancel = None
        self.node.waiting.pop(self, None)
