"""Opening the file of the SQLite store: one process at a time, in write-ahead mode.

The lock is a file of its own, ``<name>-lock``: an empty SQLite database in whose exclusive
transaction the process lives. So the system gives it back whatever happens to the process, it works
wherever SQLite works, and others can still read the database itself, to make a backup.
"""

from __future__ import annotations

import os
import sqlite3
from contextlib import ExitStack
from pathlib import Path
from typing import Final, Literal

from ..errors import StoreError
from .sqlite_errors import DAMAGED_HINT, WRITABLE_HINT
from .sqlite_schema import MIGRATIONS, check_version, migrate

Durability = Literal["batched", "strict"]

_SYNCHRONOUS: Final[dict[Durability, str]] = {"batched": "NORMAL", "strict": "FULL"}
_BUSY_TIMEOUT_S: Final = 5.0
"""How long somebody else's transaction is waited for."""
_PAGE_BYTES: Final = 4_096
"""A session's messages stand together, and most batches have a few of each: larger pages would be
written again and again while they fill."""
_CHECKPOINT_PAGES: Final = 4_000
"""So large the log becomes before it is written back: 16 MB."""
_LOG_BYTES_KEPT: Final = 67_108_864
"""A log that had to become larger is cut off here when it has been written back."""
_CACHE_KIB: Final = 32_768


class SqliteFile:
    """The open database, and the lock on it.

    Args:
        path: of the file, which is made when it is not there.
        durability: what must have happened when a commit returns.

    Raises:
        StoreError: it cannot be used; the message goes on from the name of the file.
        sqlite3.Error, OSError: the same, in words of SQLite or of the system.
    """

    __slots__ = ("_closing", "connection")

    def __init__(self, path: Path, *, durability: Durability) -> None:
        _check_place(path)
        with ExitStack() as closing:
            lock = Path(f"{path}-lock")
            _make_private(lock)
            closing.callback(_locked(lock).close)
            _make_private(path)
            log = Path(f"{path}-wal")
            unclean = log.exists() and log.stat().st_size > 0
            self.connection = _connect(path, timeout_s=_BUSY_TIMEOUT_S)
            closing.callback(self.connection.close)
            _set_up(self.connection, durability)
            if unclean:
                _check_integrity(self.connection)
            migrate(self.connection)
            self._closing = closing.pop_all()

    def close(self) -> None:
        """Write the log back, close the file, and let others have it."""
        self._closing.close()


def _connect(path: Path, *, timeout_s: float) -> sqlite3.Connection:
    # Whose thread it is, is the caller's business: the one that opens it may not be the one that
    # closes it. Transactions are begun and ended by statements.
    return sqlite3.connect(
        path,
        timeout=timeout_s,
        isolation_level=None,
        check_same_thread=False,
        cached_statements=64,
    )


def _check_place(path: Path) -> None:
    if not path.parent.is_dir():
        raise StoreError(
            f"cannot be made: there is no folder {path.parent}",
            hint=f"Make it: mkdir -p {path.parent}",
        )
    if path.is_dir():
        raise StoreError("is a folder", hint=f"Name a file in it, e.g. {path / 'sessions.db'}.")


def _make_private(path: Path) -> None:
    """What clients say is nobody else's business: SQLite's other files get the same mode."""
    if not path.exists():
        path.touch(mode=0o600)
    # SQLite would open it for reading, and leave a log that cannot be written either.
    elif not os.access(path, os.W_OK, effective_ids=os.access in os.supports_effective_ids):
        raise StoreError("is read-only", hint=WRITABLE_HINT)


def _locked(path: Path) -> sqlite3.Connection:
    connection = _connect(path, timeout_s=0)
    try:
        connection.execute("PRAGMA journal_mode = MEMORY")  # there is nothing to undo
        connection.execute("BEGIN EXCLUSIVE")
    except sqlite3.OperationalError as error:
        connection.close()
        if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY:
            raise
        raise StoreError(
            "is in use by another process",
            hint="One server at a time has such a store; end the other, or name another file.",
        ) from error
    return connection


def _set_up(connection: sqlite3.Connection, durability: Durability) -> None:
    # Before anything is changed: it might be somebody else's.
    check_version(connection, newest=len(MIGRATIONS))
    connection.execute(f"PRAGMA page_size = {_PAGE_BYTES:d}")
    connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
    (mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
    if mode != "wal":
        raise StoreError(
            "is on a file system that has no shared memory for SQLite's log",
            hint="Put it on a local disk.",
        )
    connection.execute(f"PRAGMA synchronous = {_SYNCHRONOUS[durability]}")
    connection.execute(f"PRAGMA wal_autocheckpoint = {_CHECKPOINT_PAGES:d}")
    connection.execute(f"PRAGMA journal_size_limit = {_LOG_BYTES_KEPT:d}")
    connection.execute(f"PRAGMA cache_size = -{_CACHE_KIB:d}")
    # What is deleted is overwritten where that costs no further page.
    connection.execute("PRAGMA secure_delete = FAST")
    connection.execute("PRAGMA trusted_schema = OFF")


def _check_integrity(connection: sqlite3.Connection) -> None:
    """Read the whole file, about a second for a gigabyte, after an end that was not clean."""
    (found,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    if found != "ok":
        raise StoreError(f"is damaged: {found}", hint=DAMAGED_HINT)
