"""What the server has really done: numbered, stored, run, ended. Everything else is compared to it.

The server's own outboxes, ledgers and stores are replaced by ones that note each step and check
their bounds at once.
"""

from __future__ import annotations

import random
import time
from collections import defaultdict, deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple
from unittest import mock

import anyio

from wsframe.errors import StoreError
from wsframe.server.sessions import Sessions
from wsframe.session import Gap, Ledger, Outbox, Session, Verdict, changes
from wsframe.stores import SessionOwner, Store, StoredAnswer, StoredSession

STORED_WITHIN_S = 2.0
"""A store that does not fail knows of everything after so long: two commits, and the gathering."""
RECENT = 4
"""Answers that a ledger remembers in any case, unless they are too large together."""


class Run(NamedTuple):
    """One run of a handler."""

    life: int
    number: int


class SessionTruth:
    """What is known of one session."""

    def __init__(self) -> None:
        self.frames: dict[int, list[bytes]] = defaultdict(list)
        """By number: each frame that has had it; a new life may give a number anew."""
        self.evicted = 0
        """The newest number that has left the outbox without having been acknowledged."""
        self.stored = 0
        """The newest number that the store has."""
        self.opened_in_store = False
        self.detached_at: float | None = None
        self.detached_in_store_at: float | None = None
        """As far as the store knows: that it was resumed may have been lost with the server."""
        self.resumed_at = 0.0
        self.over: str | None = None
        """Why it cannot be resumed any more."""
        self.life = 0
        """The last one in which it was here."""


class Truth:
    """Everything that is known of the server, over all of its lives.

    Args:
        note: logs an event.
    """

    def __init__(self, note: Callable[[str], None]) -> None:
        self.note = note
        self.life = 0
        self.lives_ended: list[tuple[float, str]] = []
        """When a life ended, and how."""
        self.killed = False
        """Was the server killed at least once?"""
        self.draining = False
        """Is it about to stop?"""
        self.strict = False
        """Does nothing leave before it is stored?"""
        self.store_fails = False
        """Does the store fail now and then?"""
        self.sessions: dict[str, SessionTruth] = defaultdict(SessionTruth)
        self.runs: dict[tuple[str, str], list[Run]] = defaultdict(list)
        """By session and message."""
        self.problems: list[str] = []
        self.peak_outbox = self.peak_in_flight = 0

    def broken(self, text: str) -> None:
        """Something is not as it should be."""
        self.note(f"BROKEN: {text}")
        if len(self.problems) < 20:
            self.problems.append(f"{anyio.current_time():.3f} s: {text}")

    def expect(self, condition: object, text: str) -> None:
        """Note a problem unless ``condition``."""
        if not condition:
            self.broken(text)

    def life_over(self, how: str, *, survives: bool) -> None:
        """The server was killed, or has stopped."""
        self.lives_ended.append((anyio.current_time(), how))
        self.killed = self.killed or how == "killed"
        for session_id, session in self.sessions.items():
            if session.detached_at is None and session.detached_in_store_at is not None:
                late_s = anyio.current_time() - session.resumed_at
                self.expect(
                    self.store_fails or late_s <= STORED_WITHIN_S,
                    f"{session_id} was resumed {late_s:.3f} s ago, and the store was not told",
                )
            if not survives:
                session.over = session.over or f"the server was {how}"
            elif not session.opened_in_store:
                session.over = session.over or "its beginning was not stored"
            if session.detached_at is None:
                session.detached_at = anyio.current_time()

    def died_since(self, at: float) -> bool:
        """Has a life ended since then?"""
        return any(ended >= at for ended, _ in self.lives_ended)


class WatchedOutbox(Outbox):
    """An outbox that notes what is in it, and checks itself."""

    __slots__ = ("_session_id", "_strict", "_truth")

    def __init__(self, truth: Truth, session_id: str, outbox: Outbox, *, strict: bool) -> None:
        super().__init__(max_messages=outbox.max_messages, max_bytes=outbox.max_bytes)
        self._truth = truth
        self._session_id = session_id
        self._strict = strict

    def written(self, frame: bytes) -> None:
        super().written(frame)
        self._numbered(frame)

    def hold(self, frame: bytes) -> None:
        super().hold(frame)
        self._numbered(frame)

    def replace_newest(self, frame: bytes) -> None:
        super().replace_newest(frame)
        self._of().frames[self.count][-1] = frame
        self._check()

    def _of(self) -> SessionTruth:
        return self._truth.sessions[self._session_id]

    def _numbered(self, frame: bytes) -> None:
        self._of().frames[self.count].append(frame)
        self._check()

    def hold_unnumbered(self, frame: bytes) -> bool:
        held = super().hold_unnumbered(frame)
        self._check()
        return held

    def _check(self) -> None:
        truth = self._truth
        truth.peak_outbox = max(truth.peak_outbox, len(self))
        truth.expect(len(self) <= self.max_messages, f"{len(self)} messages in an outbox")
        truth.expect(self.size <= self.max_bytes, f"{self.size} bytes in an outbox")
        truth.expect(
            self.first - 1 <= self.count and self.cursor <= self.count, "an outbox has lost count"
        )

    def _shrink(self, max_messages: int, max_bytes: int) -> None:
        before = self.first
        super()._shrink(max_messages, max_bytes)
        if self.first > before:
            self._of().evicted = max(self._of().evicted, self.first - 1)

    def take(self) -> list[bytes]:
        before = self.cursor  # behind a gap it may be ahead of the store: nothing left
        frames = super().take()
        if self._strict and self.keep and self.cursor > before:
            stored = self._of().stored
            self._truth.expect(self.cursor <= stored, f"{self.cursor} left, {stored} is stored")
        return frames

    def acknowledge(self, number: int) -> bool:
        acknowledged = super().acknowledge(number)
        self._truth.expect(acknowledged, f"{number} was acknowledged, not sent: {self.cursor}")
        return acknowledged

    def rewind(self, number: int) -> Gap | None:
        gap = super().rewind(number)
        if gap is not None:
            self._truth.note(f"gap {gap.first}-{gap.last}")
        return gap


class WatchedLedger(Ledger[Any]):
    """A ledger that checks its bounds, and whether it forgets what it keeps for ``keep_s``."""

    __slots__ = ("_keep_s", "_recent", "_truth")

    def __init__(self, truth: Truth, ledger: Ledger[Any], *, keep_s: float) -> None:
        super().__init__(
            max_in_flight=ledger.max_in_flight,
            max_messages=ledger.max_messages,
            max_bytes=ledger.max_bytes,
        )
        self._truth = truth
        self._keep_s = keep_s
        self._recent: deque[tuple[str, int, float]] = deque(maxlen=RECENT)

    def admit(self, message_id: str, entry: Any) -> Verdict:
        verdict = super().admit(message_id, entry)
        running = len(self.running)
        self._truth.peak_in_flight = max(self._truth.peak_in_flight, running)
        self._truth.expect(running <= self.max_in_flight, f"{running} messages run")
        if verdict is Verdict.NEW and self._must_know(message_id):
            self._truth.broken(f"{message_id} was answered, and runs again")
        return verdict

    def _must_know(self, message_id: str) -> bool:
        """Is it among the last that were remembered, so that it cannot be forgotten?"""
        if sum(size for _, size, _ in self._recent) > self.max_bytes:
            return False
        young = anyio.current_time() - self._keep_s
        return any(known == message_id and at > young for known, _, at in self._recent)

    def settle(self, message_id: str, answer: bytes | None) -> bool:
        settled = super().settle(message_id, answer)
        if settled and answer is not None:
            self._recent.append((message_id, len(answer), anyio.current_time()))
        return settled

    def remember(self, message_id: str, answer: bytes) -> None:
        super().remember(message_id, answer)
        self._recent.append((message_id, len(answer), anyio.current_time()))
        self._truth.expect(self.remembered <= self.max_messages, f"{self.remembered} answers kept")
        self._truth.expect(
            self.remembered_bytes <= self.max_bytes or self.remembered == 1, "answers too large"
        )


@contextmanager
def watched_sessions(truth: Truth, *, window_s: float, strict: bool) -> Iterator[None]:
    """Watch every session that is made, and how it ends."""
    make, expire = Sessions.make, Sessions.expire
    begin, detach, resume, end = Session.begin, Session.detach, Session.resume, Session.end

    def made(self: Sessions, session_id: str, identity: Any) -> Session[Any]:
        session = make(self, session_id, identity)
        session.outbox = WatchedOutbox(truth, session_id, session.outbox, strict=strict)
        config = self._config
        keep_s = window_s + config.heartbeat_interval_s + config.heartbeat_timeout_s
        session.ledger = WatchedLedger(truth, session.ledger, keep_s=keep_s)
        return session

    def begun(self: Session[Any], **options: Any) -> None:
        truth.sessions[self.id].life = truth.life
        begin(self, **options)

    def detached(self: Session[Any], expires_at: float, unix_expires_at: float) -> None:
        truth.sessions[self.id].detached_at = anyio.current_time()
        detach(self, expires_at, unix_expires_at)

    def resumed(self: Session[Any], received: int) -> Gap | None:
        gap = resume(self, received)
        known = truth.sessions[self.id]
        known.detached_at = None
        known.resumed_at = anyio.current_time()
        known.life = truth.life
        return gap

    def expired(self: Sessions, session: Session[Any]) -> None:
        known = truth.sessions[session.id]
        if self.detached > self._config.max_detached_sessions:
            known.over = "max_detached_sessions"
        elif known.detached_at is not None:
            gone_s = anyio.current_time() - known.detached_at
            if gone_s >= window_s - 1e-6:
                known.over = f"away for {gone_s:.3f} s"
        expire(self, session)

    def ended(self: Session[Any]) -> None:
        resumable = self.resumable
        end(self)
        if resumable and truth.sessions[self.id].over is None:
            truth.sessions[self.id].over = "it was ended"

    with (
        mock.patch.object(Sessions, "make", made),
        mock.patch.object(Sessions, "expire", expired),
        mock.patch.object(Session, "begin", begun),
        mock.patch.object(Session, "detach", detached),
        mock.patch.object(Session, "resume", resumed),
        mock.patch.object(Session, "end", ended),
    ):
        yield


class WatchedStore:
    """A store that takes its time, fails now and then, and whose commits are noted.

    Args:
        store: where things are kept.
        truth: what is noted.
        rng: how long a step takes, and whether it fails.
        commit_s: at most.
        window_s: of sessions.

    Attributes:
        fails: the share of steps that fail.
    """

    def __init__(
        self,
        store: Store,
        truth: Truth,
        rng: random.Random,
        *,
        commit_s: float,
        window_s: float,
    ) -> None:
        self._store = store
        self._truth = truth
        self._rng = rng
        self._commit_s = commit_s
        self._window_s = window_s
        self.fails = 0.0

    @property
    def survives(self) -> bool:
        return self._store.survives

    async def _step(self) -> None:
        if self.fails and self._rng.random() < self.fails:
            raise StoreError("the simulated store fails")
        if self._commit_s:
            await anyio.sleep(self._rng.uniform(0, self._commit_s))

    async def start(self, node: str, *, now: float) -> None:
        await self._store.start(node, now=now)

    async def stop(self) -> None:
        await self._store.stop()

    async def commit(self, group: Sequence[changes.Change]) -> frozenset[str]:
        await self._step()
        fenced = await self._store.commit(group)
        self._truth.expect(not fenced, f"changes of {len(fenced)} sessions were fenced")
        for change in group:
            session = self._truth.sessions[change.session_id]
            if isinstance(change, changes.Opened):
                session.opened_in_store = True
            elif isinstance(change, changes.Detached):
                ends_in_s = change.expires_at - time.time()
                session.detached_in_store_at = anyio.current_time() + ends_in_s - self._window_s
            elif isinstance(change, changes.Attached):
                session.detached_in_store_at = None
            elif isinstance(change, (changes.Sent, changes.Answered)):
                session.stored = change.number
            elif isinstance(change, changes.Forgotten):
                session.stored = max(session.stored, change.number)
        if self._commit_s:
            await anyio.sleep(self._rng.uniform(0, self._commit_s / 4))
        return fenced

    async def owner(self, session_id: str) -> SessionOwner | None:
        await self._step()
        return await self._store.owner(session_id)

    async def claim(self, session_id: str, *, now: float) -> StoredSession | None:
        await self._step()
        claimed = await self._store.claim(session_id, now=now)
        if claimed is None:
            self._over(session_id)
        else:
            self._truth.sessions[session_id].detached_in_store_at = None
        return claimed

    async def frames(self, session_id: str, *, after: int, limit: int) -> Sequence[bytes]:
        await self._step()
        return await self._store.frames(session_id, after=after, limit=limit)

    async def answers(self, session_id: str, *, after: int, limit: int) -> Sequence[StoredAnswer]:
        await self._step()
        return await self._store.answers(session_id, after=after, limit=limit)

    async def renew(self, *, now: float, lease_s: float) -> None:
        await self._step()
        await self._store.renew(now=now, lease_s=lease_s)

    async def expire(self, *, now: float, limit: int) -> Sequence[str]:
        await self._step()
        over = await self._store.expire(now=now, limit=limit)
        for session_id in over:
            self._over(session_id)
        return over

    def _over(self, session_id: str) -> None:
        session = self._truth.sessions[session_id]
        since = session.detached_at
        if session.detached_in_store_at is not None:
            since = session.detached_in_store_at
        if session.over is None and since is not None:
            gone_s = anyio.current_time() - since
            if gone_s >= self._window_s - 1e-6:
                session.over = f"away for {gone_s:.3f} s, says the store"
