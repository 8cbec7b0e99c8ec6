"""A store as a server sees it that can be killed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import anyio
import anyio.lowlevel

from ...errors import StoreError
from ...session.changes import Change
from ...stores import SessionOwner, Store, StoredAnswer, StoredSession

SILENCE_S: Final = 1.0
"""A task of a killed server that asks for its store is cancelled within this time; only what
ignores its cancellation gets an error."""


class Life:
    """One life of a server.

    Attributes:
        over: it was killed.
    """

    def __init__(self) -> None:
        self.over = False


class MortalStore:
    """A view of a store that dies with a server.

    A commit that is under way when the server is killed is stored, or is not, like anywhere.

    Args:
        store: what lives on.
        life: whose view it is.
    """

    def __init__(self, store: Store, life: Life) -> None:
        self._store = store
        self._life = life
        self._opened = False

    async def release(self) -> None:
        """Close the store, as the operating system closes the files of a process that died."""
        if self._opened:
            self._opened = False
            await self._store.stop()

    @property
    def survives(self) -> bool:
        """See :attr:`Store.survives`."""
        return self._store.survives

    async def _checked(self) -> None:
        """A moment in which the server can be killed, and whether it was.

        Raises:
            StoreError: it was.
        """
        await anyio.lowlevel.checkpoint()
        if self._life.over:
            await anyio.sleep(SILENCE_S)
            raise StoreError("the server was killed")

    async def start(self, node: str, *, now: float) -> None:
        """See :meth:`Store.start`."""
        await self._checked()
        await self._store.start(node, now=now)
        self._opened = True

    async def stop(self) -> None:
        """See :meth:`Store.stop`."""
        await self._checked()
        await self.release()

    async def commit(self, changes: Sequence[Change]) -> frozenset[str]:
        """See :meth:`Store.commit`."""
        await self._checked()
        return await self._store.commit(changes)

    async def owner(self, session_id: str) -> SessionOwner | None:
        """See :meth:`Store.owner`."""
        await self._checked()
        return await self._store.owner(session_id)

    async def claim(self, session_id: str, *, now: float) -> StoredSession | None:
        """See :meth:`Store.claim`."""
        await self._checked()
        return await self._store.claim(session_id, now=now)

    async def frames(self, session_id: str, *, after: int, limit: int) -> Sequence[bytes]:
        """See :meth:`Store.frames`."""
        await self._checked()
        return await self._store.frames(session_id, after=after, limit=limit)

    async def answers(self, session_id: str, *, after: int, limit: int) -> Sequence[StoredAnswer]:
        """See :meth:`Store.answers`."""
        await self._checked()
        return await self._store.answers(session_id, after=after, limit=limit)

    async def renew(self, *, now: float, lease_s: float) -> None:
        """See :meth:`Store.renew`."""
        await self._checked()
        await self._store.renew(now=now, lease_s=lease_s)

    async def expire(self, *, now: float, limit: int) -> Sequence[str]:
        """See :meth:`Store.expire`."""
        await self._checked()
        return await self._store.expire(now=now, limit=limit)
