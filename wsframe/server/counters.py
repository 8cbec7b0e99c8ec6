"""What a node counts. Plain integers, read by ``app.metrics()``."""

from __future__ import annotations

from collections import Counter

from ..session import Outcome


class Counters:
    """Counts since the start."""

    __slots__ = (
        "accepted",
        "closed",
        "ended_otherwise",
        "errors",
        "handler_seconds",
        "parts",
        "received",
        "refused",
        "refused_connections",
        "replied",
        "sent",
        "total_connections",
    )

    def __init__(self) -> None:
        self.total_connections = 0
        """WebSockets opened."""
        self.refused_connections: Counter[int] = Counter()
        """Upgrade requests refused, by HTTP status."""
        self.closed: Counter[int] = Counter()
        """WebSockets ended, by close code."""
        self.received = 0
        """Messages from clients, valid or not."""
        self.accepted = 0
        """Messages that got into a ledger."""
        self.refused: Counter[str] = Counter()
        """Messages answered with an error, by error code."""
        self.replied = 0
        """Final answers that are replies; counted apart because hashing an enum takes its time."""
        self.ended_otherwise: Counter[Outcome] = Counter()
        """Final answers of every other outcome."""
        self.parts = 0
        """Parts of streamed answers."""
        self.sent = 0
        """Messages sent that are no answers: pushes, and errors before acceptance."""
        self.errors = 0
        """Exceptions that handlers, middleware and plugins raised by mistake."""
        self.handler_seconds = 0.0
        """Time from the start of a handler to its answer, summed up."""

    @property
    def outcomes(self) -> dict[Outcome, int]:
        """Final answers, by outcome."""
        counts = {outcome: self.ended_otherwise[outcome] for outcome in Outcome}
        counts[Outcome.REPLIED] = self.replied
        return counts

    @property
    def answered(self) -> int:
        """Final answers of every outcome."""
        return self.replied + self.ended_otherwise.total()
