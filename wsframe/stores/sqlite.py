"""The durable store for one node: a file, written by a thread of its own.

All work on the file is done in the order in which it was asked for, so that nothing else has to
keep the order that a store promises.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Concatenate, ParamSpec, TypeVar

from ..errors import StoreError
from ..session.changes import Change
from .base import SessionOwner, StoredAnswer, StoredSession
from .sqlite_errors import explained
from .sqlite_file import Durability, SqliteFile
from .sqlite_sessions import SqliteSessions
from .threads import Caller, OwnThread, SameThread

P = ParamSpec("P")
T = TypeVar("T")


class SqliteStore:
    """Keeps sessions in an SQLite file, which one process at a time can use.

    The process before is gone when this one has the file: what ran there is interrupted, and what
    was attached can be resumed for ``resume_window_s`` from the start.

    Args:
        path: of the file, relative to the working directory at the start; beside it there are
            ``-wal`` and ``-shm``, which are SQLite's, and ``-lock``.
        durability: ``"batched"``: what was committed survives the end of the process;
            ``"strict"``: that of the machine too.
        resume_window_s: seconds.
        threaded: False: work in the event loop's thread, which stands still meanwhile. For
            simulations in virtual time, for which a thread's time does not exist.
    """

    survives = True

    def __init__(
        self,
        path: str | Path,
        *,
        durability: Durability = "batched",
        resume_window_s: float = 120.0,
        threaded: bool = True,
    ) -> None:
        self.path = Path(path)
        self._durability = durability
        self._resume_window_s = resume_window_s
        self._caller: Caller = OwnThread("wsframe-sqlite") if threaded else SameThread()
        self._file: SqliteFile | None = None
        self._sessions: SqliteSessions | None = None

    async def start(self, node: str, *, now: float) -> None:  # noqa: ARG002 - there is no other
        """Open the file, or make it; see :meth:`Store.start`."""
        self.path = self.path.absolute()
        self._caller.start()
        try:
            await self._caller.finish(partial(self._open, now))
        except BaseException:
            self._caller.stop()
            raise

    def _open(self, now: float) -> None:
        with explained(self.path):
            file = SqliteFile(self.path, durability=self._durability)
            try:
                self._sessions = SqliteSessions(
                    file.connection, now=now, resume_window_s=self._resume_window_s
                )
            except BaseException:
                file.close()
                raise
            self._file = file

    async def stop(self) -> None:
        """Close the file; others may have it then."""
        file, self._file, self._sessions = self._file, None, None
        if file is None:
            return
        try:
            await self._caller.finish(partial(self._close, file))
        finally:
            self._caller.stop()

    def _close(self, file: SqliteFile) -> None:
        with explained(self.path):
            file.close()

    async def _do(
        self,
        step: Callable[Concatenate[SqliteSessions, P], T],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        sessions = self._sessions
        if sessions is None:
            raise StoreError(f"the store {self.path} is not open")

        def explained_step() -> T:
            with explained(self.path):
                return step(sessions, *args, **kwargs)

        return await self._caller.call(explained_step)

    async def commit(self, changes: Sequence[Change]) -> frozenset[str]:
        """Write changes; see :meth:`Store.commit`."""
        return await self._do(SqliteSessions.commit, tuple(changes))

    async def owner(self, session_id: str) -> SessionOwner | None:
        """Whose a session is."""
        return await self._do(SqliteSessions.owner, session_id)

    async def claim(self, session_id: str, *, now: float) -> StoredSession | None:
        """Raise the epoch; see :meth:`Store.claim`."""
        return await self._do(SqliteSessions.claim, session_id, now=now)

    async def frames(self, session_id: str, *, after: int, limit: int) -> Sequence[bytes]:
        """Messages that were sent and not forgotten."""
        return await self._do(SqliteSessions.frames, session_id, after=after, limit=limit)

    async def answers(self, session_id: str, *, after: int, limit: int) -> Sequence[StoredAnswer]:
        """Remembered answers, in the order of their numbers."""
        return await self._do(SqliteSessions.answers, session_id, after=after, limit=limit)

    async def renew(self, *, now: float, lease_s: float) -> None:
        """Do nothing: who has the file open lives, and nobody else does."""

    async def expire(self, *, now: float, limit: int) -> Sequence[str]:
        """End detached sessions whose window is over; a few pages of the file go with them."""
        return await self._do(SqliteSessions.expire, now=now, limit=limit)
