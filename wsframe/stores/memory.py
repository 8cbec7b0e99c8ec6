"""A store in the memory of this process: dictionaries.

It is what a server has that was not given another one, and the simplest thing that keeps every
promise of :class:`Store`, for tests and simulations in which "the process" dies and the memory
stays.
"""

from __future__ import annotations

from collections.abc import Sequence
from heapq import nsmallest
from itertools import islice, takewhile

from ..session import Identity
from ..session.changes import (
    Accepted,
    Answered,
    AnswersForgotten,
    Attached,
    Change,
    Detached,
    Ended,
    Forgotten,
    Identified,
    Joined,
    Left,
    Opened,
    Sent,
)
from .base import SessionOwner, StoredAnswer, StoredSession


class _Kept:
    """All that is kept of one session."""

    __slots__ = (
        "answers",
        "answers_forgotten",
        "count",
        "epoch",
        "expires_at",
        "forgotten",
        "frames",
        "identity",
        "node",
        "rooms",
        "running",
        "secret_digest",
        "subprotocol",
    )

    def __init__(self, opened: Opened, node: str) -> None:
        self.epoch = opened.epoch
        self.node = node
        self.secret_digest = opened.secret_digest
        self.subprotocol = opened.subprotocol
        self.identity: Identity = opened.identity
        self.count = 0
        self.forgotten = 0
        self.answers_forgotten = 0
        self.frames: dict[int, bytes] = {}
        self.answers: dict[int, StoredAnswer] = {}
        self.running: dict[str, str] = {}
        """Message id to the node that runs it, oldest first."""
        self.rooms: set[str] = set()
        self.expires_at: float | None = None
        """None: it is attached, to the node."""

    @property
    def owner(self) -> SessionOwner:
        return SessionOwner(self.secret_digest, self.subprotocol, self.identity)

    def put(self, number: int, frame: bytes) -> None:
        self.frames[number] = frame
        self.count = number

    def apply(self, change: Change, node: str) -> None:
        match change:
            case Accepted():
                self.running[change.message_id] = node
            case Answered():
                self.put(change.number, change.frame)
                self.running.pop(change.message_id, None)
                if change.remember:
                    self.answers[change.number] = StoredAnswer(
                        change.message_id, change.number, change.frame
                    )
            case Sent():
                self.put(change.number, change.frame)
            case Forgotten():
                self.forgotten = max(self.forgotten, change.number)
                _drop(self.frames, self.forgotten)
            case AnswersForgotten():
                self.answers_forgotten = max(self.answers_forgotten, change.number)
                _drop(self.answers, self.answers_forgotten)
            case Joined():
                self.rooms.add(change.room)
            case Left():
                self.rooms.discard(change.room)
            case Detached():
                self.expires_at = change.expires_at
            case Attached():
                self.expires_at = None
            case Identified():
                self.identity = change.identity
            case _:
                raise TypeError(f"{type(change).__name__} is no kind of change")


def _drop(numbered: dict[int, bytes] | dict[int, StoredAnswer], upto: int) -> None:
    for number in list(takewhile(lambda number: number <= upto, numbered)):
        del numbered[number]


class MemoryStore:
    """Keeps sessions in this process.

    Args:
        survives: what :attr:`Store.survives` says. False: the server tells it nothing. True: for
            tests and simulations, in which the object outlives "the process".
        resume_window_s: how long, in seconds, a session whose node has died may be resumed.
        beside: share the memory of this store, as another node; the default is a memory of its own.
    """

    def __init__(
        self,
        *,
        survives: bool = False,
        resume_window_s: float = 120.0,
        beside: MemoryStore | None = None,
    ) -> None:
        self._survives = survives
        self._resume_window_s = resume_window_s
        self._node = ""
        self._sessions: dict[str, _Kept] = {}
        self._alive_until: dict[str, float] = {}
        if beside is not None:
            self._sessions, self._alive_until = beside._memory()  # noqa: SLF001 - of its own kind

    def _memory(self) -> tuple[dict[str, _Kept], dict[str, float]]:
        return self._sessions, self._alive_until

    @property
    def survives(self) -> bool:
        """As the constructor was told."""
        return self._survives

    async def start(self, node: str, *, now: float) -> None:
        """Serve ``node``; a node that this object has served before is gone."""
        if self._node:
            self._alive_until[self._node] = min(now, self._alive_until[self._node])
        self._node = node
        self._alive_until.setdefault(node, now)

    async def stop(self) -> None:
        """Keep everything; the node's lease runs out by itself."""

    async def commit(self, changes: Sequence[Change]) -> frozenset[str]:
        """Write changes; see :meth:`Store.commit`."""
        fenced = set()
        for change in changes:
            kept = self._sessions.get(change.session_id)
            if isinstance(change, Opened) and kept is None:
                self._sessions[change.session_id] = _Kept(change, self._node)
            elif isinstance(change, Ended) and (kept is None or kept.epoch == change.epoch):
                self._sessions.pop(change.session_id, None)
            elif kept is None or kept.epoch != change.epoch or isinstance(change, Opened):
                fenced.add(change.session_id)
            else:
                kept.apply(change, self._node)
        return frozenset(fenced)

    async def owner(self, session_id: str) -> SessionOwner | None:
        """Whose a session is."""
        kept = self._sessions.get(session_id)
        return None if kept is None else kept.owner

    async def claim(self, session_id: str, *, now: float) -> StoredSession | None:
        """Become the node that decides about a session."""
        kept = self._sessions.get(session_id)
        if kept is None or self._ends_at(kept, now) <= now:
            return None
        kept.epoch += 1
        kept.node = self._node
        kept.expires_at = None
        others = [(each, node) for each, node in kept.running.items() if node != self._node]
        return StoredSession(
            id=session_id,
            epoch=kept.epoch,
            owner=kept.owner,
            count=kept.count,
            forgotten=kept.forgotten,
            rooms=frozenset(kept.rooms),
            interrupted=tuple(each for each, node in others if not self._lives(node, now)),
            elsewhere=tuple(each for each, node in others if self._lives(node, now)),
        )

    def _lives(self, node: str, now: float) -> bool:
        return self._alive_until[node] > now

    def _ends_at(self, kept: _Kept, now: float) -> float:
        if kept.expires_at is not None:
            return kept.expires_at
        if kept.node == self._node or self._lives(kept.node, now):
            return float("inf")
        return self._alive_until[kept.node] + self._resume_window_s

    async def frames(self, session_id: str, *, after: int, limit: int) -> Sequence[bytes]:
        """Messages that were sent and not forgotten."""
        kept = self._sessions.get(session_id)
        if kept is None:
            return ()
        due = (frame for number, frame in kept.frames.items() if number > after)
        return tuple(islice(due, limit))

    async def answers(self, session_id: str, *, after: int, limit: int) -> Sequence[StoredAnswer]:
        """Remembered answers, in the order of their numbers."""
        kept = self._sessions.get(session_id)
        if kept is None:
            return ()
        due = (answer for number, answer in kept.answers.items() if number > after)
        return tuple(islice(due, limit))

    async def renew(self, *, now: float, lease_s: float) -> None:
        """Say that this node lives."""
        self._alive_until[self._node] = max(now + lease_s, self._alive_until[self._node])

    async def expire(self, *, now: float, limit: int) -> Sequence[str]:
        """End detached sessions whose window is over, the oldest first."""
        ends = ((self._ends_at(kept, now), each) for each, kept in self._sessions.items())
        over = nsmallest(limit, (end for end in ends if end[0] <= now))
        for _, each in over:
            del self._sessions[each]
        return tuple(each for _, each in over)
