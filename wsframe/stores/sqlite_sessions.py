"""Sessions in the tables of an SQLite file: reading them, and writing batches of changes."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import chain, count
from typing import Any, Final

from ..session.changes import Change, Detached
from .base import SessionOwner, StoredAnswer, StoredSession
from .sqlite_batch import Head, Sum, decode_identity, encode_identity, sum_up
from .sqlite_schema import transaction

_VACUUM_PAGES: Final = 1_000
"""So many free pages are given back in one step, at most."""

HEADS: Final = 10_000
"""So many sessions are not looked up before they are written to."""
ROWS_AT_A_TIME: Final = 32
"""Each step of SQLite is a chance for other threads, and a wait for them: a few, of many rows."""

_HEAD: Final = (
    "SELECT key, epoch,"
    " max(count, coalesce((SELECT max(number) FROM messages WHERE session = key), 0)),"
    " forgotten, answers_forgotten FROM sessions WHERE id = ?"
)
_OWNER: Final = "SELECT secret_digest, subprotocol, identity FROM sessions WHERE id = ?"
_CLAIM: Final = (
    "UPDATE sessions SET epoch = epoch + 1, expires_at = NULL"
    " WHERE id = ? AND (expires_at IS NULL OR expires_at > ?)"
)
_ROOMS: Final = "SELECT room FROM rooms WHERE session = ?"
_INTERRUPTED: Final = (
    "SELECT message_id FROM running WHERE session = ? AND interrupted ORDER BY position"
)
_FRAMES: Final = (
    "SELECT frame FROM messages WHERE session = ? AND number > ? ORDER BY number LIMIT ?"
)
_ANSWERS: Final = (
    "SELECT message_id, number, frame FROM messages"
    " WHERE session = ? AND number > ? AND message_id IS NOT NULL ORDER BY number LIMIT ?"
)
_OVER: Final = "SELECT key, id FROM sessions WHERE expires_at <= ? ORDER BY expires_at, id LIMIT ?"
_END: Final = tuple(
    f"DELETE FROM {table} WHERE {column} = ?"  # noqa: S608 - names from the next line
    for table, column in (
        ("messages", "session"), ("running", "session"), ("rooms", "session"), ("sessions", "key"),
    )
)  # fmt: skip


class _Rows:
    """What a batch writes, by statement, in the order in which the statements are executed."""

    def __init__(self) -> None:
        self.opened: list[Any] = []
        self.moved: list[Any] = []
        self.identified: list[Any] = []
        self.lasting: list[Any] = []
        self.forgotten: list[Any] = []
        self.answers_forgotten: list[Any] = []
        self.messages: list[Any] = []
        self.answered: list[Any] = []
        self.accepted: list[Any] = []
        self.joined: list[Any] = []
        self.left: list[Any] = []

    def write(self, connection: sqlite3.Connection) -> None:
        for name, statement in _WRITES.items():
            rows = getattr(self, name)
            if rows:
                _execute(connection, statement, rows)


def _execute(connection: sqlite3.Connection, statement: str, rows: list[Any]) -> None:
    row = statement.partition(" VALUES ")[2]
    whole = len(rows) - len(rows) % ROWS_AT_A_TIME if row else 0
    if whole:
        many = statement + f", {row}" * (ROWS_AT_A_TIME - 1)
        for first in range(0, whole, ROWS_AT_A_TIME):
            some = rows[first : first + ROWS_AT_A_TIME]
            connection.execute(many, list(chain.from_iterable(some)))
    if whole < len(rows):
        connection.executemany(statement, rows[whole:])


_WRITES: Final = {
    "opened": "INSERT INTO sessions VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    "moved": ("UPDATE sessions SET count = ?, forgotten = ?, answers_forgotten = ? WHERE key = ?"),
    "identified": "UPDATE sessions SET identity = ? WHERE key = ?",
    "lasting": "UPDATE sessions SET expires_at = ? WHERE key = ?",
    "forgotten": (
        "DELETE FROM messages WHERE session = ? AND number > ? AND number <= ?"
        " AND (message_id IS NULL OR number <= ?)"
    ),
    "answers_forgotten": ("DELETE FROM messages WHERE session = ? AND number > ? AND number <= ?"),
    "messages": "INSERT OR REPLACE INTO messages VALUES (?, ?, ?, ?)",
    "answered": "DELETE FROM running WHERE session = ? AND message_id = ?",
    "accepted": "INSERT OR REPLACE INTO running VALUES (?, ?, ?, 0)",
    "joined": "INSERT OR IGNORE INTO rooms VALUES (?, ?)",
    "left": "DELETE FROM rooms WHERE session = ? AND room = ?",
}


class SqliteSessions:
    """Sessions in an open file, as one process after another has them.

    Args:
        connection: to a file with tables of the newest version; nobody else writes to it.
        now: seconds since the epoch.
        resume_window_s: what is attached belongs to a process that is gone; so long may it be
            resumed.
    """

    __slots__ = ("_connection", "_heads", "_keys", "_positions")

    def __init__(
        self, connection: sqlite3.Connection, *, now: float, resume_window_s: float
    ) -> None:
        self._connection = connection
        self._heads: dict[str, Head] = {}
        """Of sessions that were written to, as they are in the file; the first is the oldest."""
        with transaction(connection):
            connection.execute("UPDATE running SET interrupted = 1")
            connection.execute(
                "UPDATE sessions SET expires_at = ? WHERE expires_at IS NULL",
                (now + resume_window_s,),
            )
            self._keys = self._above("SELECT max(key) FROM sessions")
            self._positions = self._above("SELECT max(position) FROM running")

    def _above(self, highest: str) -> Iterator[int]:
        (value,) = self._connection.execute(highest).fetchone()
        return count((value or 0) + 1)

    def _head(self, session_id: str) -> Head | None:
        row = self._connection.execute(_HEAD, (session_id,)).fetchone()
        return None if row is None else Head._make(row)

    def commit(self, changes: Sequence[Change]) -> frozenset[str]:
        """Write changes; see :meth:`Store.commit`."""
        heads = self._heads
        with transaction(self._connection):
            sums, fenced = sum_up(changes, self._known_head)
            rows = _Rows()
            after: dict[str, Head] = {}
            for session_id, each in sums.items():
                for key in each.ended:
                    self._end(key)
                if each.opened is not None:
                    after[session_id] = self._add_opened(rows, session_id, each)
                elif each.epoch:
                    after[session_id] = self._add(rows, each)
            rows.write(self._connection)
        for session_id in sums:
            heads.pop(session_id, None)
        heads.update(after)
        while len(heads) > HEADS:
            del heads[next(iter(heads))]
        return fenced

    def _known_head(self, session_id: str) -> Head | None:
        return self._heads.get(session_id) or self._head(session_id)

    def _add_opened(self, rows: _Rows, session_id: str, each: Sum) -> Head:
        opened = each.opened
        assert opened is not None
        key = next(self._keys)
        rows.opened.append((
            key,
            session_id,
            each.epoch,
            each.count,
            each.forgotten,
            each.answers_forgotten,
            each.lasting.expires_at if isinstance(each.lasting, Detached) else None,
            opened.secret_digest,
            opened.subprotocol,
            encode_identity(each.identity or opened.identity),
        ))  # fmt: skip
        return self._add_contents(rows, key, each)

    def _add(self, rows: _Rows, each: Sum) -> Head:
        key, _, had, forgotten, answers_forgotten = each.before
        if (each.forgotten, each.answers_forgotten) != (forgotten, answers_forgotten):
            rows.moved.append((each.count, each.forgotten, each.answers_forgotten, key))
        if each.identity is not None:
            rows.identified.append((encode_identity(each.identity), key))
        if each.lasting is not None:
            ends = each.lasting.expires_at if isinstance(each.lasting, Detached) else None
            rows.lasting.append((ends, key))
        # Above what was forgotten before stands the outbox; below it, answers only.
        upto = min(each.forgotten, had)
        if upto > forgotten:
            rows.forgotten.append((key, forgotten, upto, each.answers_forgotten))
        upto = min(each.answers_forgotten, forgotten)
        if upto > answers_forgotten:
            rows.answers_forgotten.append((key, answers_forgotten, upto))
        return self._add_contents(rows, key, each)

    def _add_contents(self, rows: _Rows, key: int, each: Sum) -> Head:
        rows.messages += [(key, *message) for message in each.kept()]
        if each.answered:
            rows.answered += [(key, message_id) for message_id in each.answered]
        if each.accepted:
            rows.accepted += [
                (key, message_id, next(self._positions)) for message_id in each.accepted
            ]
        for room, joined in each.rooms.items():
            (rows.joined if joined else rows.left).append((key, room))
        return Head(key, each.epoch, each.count, each.forgotten, each.answers_forgotten)

    def _end(self, key: int) -> None:
        for statement in _END:
            self._connection.execute(statement, (key,))

    def owner(self, session_id: str) -> SessionOwner | None:
        """Whose a session is."""
        row = self._connection.execute(_OWNER, (session_id,)).fetchone()
        return None if row is None else SessionOwner(row[0], row[1], decode_identity(row[2]))

    def claim(self, session_id: str, *, now: float) -> StoredSession | None:
        """Raise the epoch; see :meth:`Store.claim`."""
        self._heads.pop(session_id, None)
        with self._unhurried(), transaction(self._connection):
            if not self._connection.execute(_CLAIM, (session_id, now)).rowcount:
                return None
            head, owner = self._head(session_id), self.owner(session_id)
            assert head is not None
            assert owner is not None
            return StoredSession(
                id=session_id,
                epoch=head.epoch,
                owner=owner,
                count=head.sent,
                forgotten=head.forgotten,
                rooms=frozenset(self._column(_ROOMS, head.key)),
                interrupted=tuple(self._column(_INTERRUPTED, head.key)),
            )

    @contextmanager
    def _unhurried(self) -> Iterator[None]:
        """Commit without waiting for the disk, which the next commit waits for anyway.

        Nothing can be stored under a claim that was lost with the machine: it comes later in the
        log. And after a restart every client claims, one after the other.
        """
        connection = self._connection
        (synchronous,) = connection.execute("PRAGMA synchronous").fetchone()
        connection.execute("PRAGMA synchronous = NORMAL")
        try:
            yield
        finally:
            connection.execute(f"PRAGMA synchronous = {synchronous:d}")

    def _column(self, statement: str, *values: Any) -> list[Any]:
        return [value for (value,) in self._connection.execute(statement, values)]

    def frames(self, session_id: str, *, after: int, limit: int) -> Sequence[bytes]:
        """Messages of the outbox."""
        head = self._head(session_id)
        if head is None:
            return ()
        return self._column(_FRAMES, head.key, max(after, head.forgotten), limit)

    def answers(self, session_id: str, *, after: int, limit: int) -> Sequence[StoredAnswer]:
        """Answers of the ledger."""
        head = self._head(session_id)
        if head is None:
            return ()
        found = self._connection.execute(
            _ANSWERS, (head.key, max(after, head.answers_forgotten), limit)
        )
        return [StoredAnswer(*row) for row in found]

    def expire(self, *, now: float, limit: int) -> Sequence[str]:
        """End what is over, and give the file system some of the room that is empty.

        What is free is used again first: the file shrinks while a quarter of it or more is empty.
        """
        with transaction(self._connection):
            over = self._connection.execute(_OVER, (now, limit)).fetchall()
            for key, session_id in over:
                self._heads.pop(session_id, None)
                self._end(key)
            (pages,) = self._connection.execute("PRAGMA page_count").fetchone()
            (free,) = self._connection.execute("PRAGMA freelist_count").fetchone()
            spare = min(free - pages // 4, _VACUUM_PAGES)
            if spare > 0:  # each step of the statement gives one page back
                self._connection.execute(f"PRAGMA incremental_vacuum({spare:d})").fetchall()
        return [session_id for _, session_id in over]
