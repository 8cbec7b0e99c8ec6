"""What the tests of :mod:`.store_contract` are played with: times, ids, and how to get a store."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from ..session import ANONYMOUS, Identity
from ..stores import Answered, Opened, Sent, Store, StoredSession

NOW = 1_800_000_000.0
"""Seconds since the epoch, at which the tests begin."""
LEASE_S = 15.0
WINDOW_S = 120.0
"""The store under test is made with this ``resume_window_s``."""
SECRET_DIGEST = bytes(range(32))
ALICE = Identity(
    subject="alice",
    scopes=frozenset({"chat", "管理"}),
    claims={"team": ["a", 1, None, True, 0.5]},
    expires_at=NOW + 0.25,
)
UNUSUAL_IDS = (
    "0",
    "ü" * 128,
    "会话🧵",
    "a'b\"c;--%_\\",
    " \t\n",
    "\x00x",
    "e\u0301",
    "é",
    "A",
    "a",
)


def opened(session_id: str = "s", identity: Identity = ANONYMOUS) -> Opened:
    """A new session."""
    return Opened(session_id, 1, SECRET_DIGEST, "json", identity)


def answered(message_id: str, number: int, *, epoch: int = 1, remember: bool = True) -> Answered:
    """An answer of the session ``s``, whose frame says its number."""
    return Answered("s", epoch, message_id, number, b"answer %d" % number, remember)


def sent(number: int, *, epoch: int = 1) -> Sent:
    """A message of the session ``s``, whose frame says its number."""
    return Sent("s", epoch, number, b"message %d" % number)


class StoreScene:
    """How a test comes to its stores."""

    def make_store(self, place: Path) -> Store:
        """Make a store with ``resume_window_s`` of 120, not started.

        Those made with the same ``place``, an empty folder of the test's own, are one memory.
        """
        raise NotImplementedError

    @asynccontextmanager
    async def running(
        self, place: Path, node: str = "node-1", *, now: float = NOW
    ) -> AsyncIterator[Store]:
        """A store that was started, by a node with a lease, and is stopped in the end."""
        store = self.make_store(place)
        await store.start(node, now=now)
        try:
            await store.renew(now=now, lease_s=LEASE_S)
            yield store
        finally:
            await store.stop()

    async def reclaimed(self, place: Path) -> tuple[StoredSession, Store]:
        """The session ``s`` as the next node finds it, after the lease; the store is stopped."""
        async with self.running(place, "node-2", now=NOW + LEASE_S) as store:
            found = await store.claim("s", now=NOW + LEASE_S)
            assert found is not None
            return found, store
