"""The tables of the SQLite store, and the way from each version of them to the next.

A message is one row, whichever of the two it serves: the outbox, while its number is above the
session's ``forgotten``, or the ledger, while it is the answer to a message and its number is above
``answers_forgotten``. When it serves neither, it is deleted.

The newest number of a session is ``count``, or that of its newest row: ``count`` is written only
when something is forgotten, because rows may go then.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from ..errors import StoreError

APPLICATION_ID: Final = 0x77736672
"""``wsfr``: by this number SQLite files, and ``file(1)``, know whose they are."""

_VERSION_1: Final = (
    # key: short, because each message carries it. expires_at: NULL while there is a connection.
    """
    CREATE TABLE sessions (
        key INTEGER PRIMARY KEY,
        id TEXT NOT NULL UNIQUE,
        epoch INTEGER NOT NULL,
        count INTEGER NOT NULL,
        forgotten INTEGER NOT NULL,
        answers_forgotten INTEGER NOT NULL,
        expires_at REAL,
        secret_digest BLOB NOT NULL,
        subprotocol TEXT NOT NULL,
        identity BLOB NOT NULL
    )
    """,
    "CREATE INDEX detached ON sessions (expires_at) WHERE expires_at IS NOT NULL",
    # message_id: to which message it is the remembered answer; NULL: it is none.
    """
    CREATE TABLE messages (
        session INTEGER NOT NULL,
        number INTEGER NOT NULL,
        message_id TEXT,
        frame BLOB NOT NULL,
        PRIMARY KEY (session, number)
    ) WITHOUT ROWID
    """,
    # interrupted: the process in which it ran is gone.
    """
    CREATE TABLE running (
        session INTEGER NOT NULL,
        message_id TEXT NOT NULL,
        position INTEGER NOT NULL,
        interrupted INTEGER NOT NULL,
        PRIMARY KEY (session, message_id)
    ) WITHOUT ROWID
    """,
    """
    CREATE TABLE rooms (
        session INTEGER NOT NULL,
        room TEXT NOT NULL,
        PRIMARY KEY (session, room)
    ) WITHOUT ROWID
    """,
)


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """All of it, or, with whatever exception, nothing of it."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _create(connection: sqlite3.Connection) -> None:
    for statement in _VERSION_1:
        connection.execute(statement)


MIGRATIONS: Final[tuple[Callable[[sqlite3.Connection], None], ...]] = (_create,)
"""The one at place ``n`` leads from version ``n`` to ``n + 1``; version 0 is an empty file."""


def migrate(
    connection: sqlite3.Connection,
    migrations: tuple[Callable[[sqlite3.Connection], None], ...] = MIGRATIONS,
) -> None:
    """Bring the tables to the newest version, in one transaction.

    Raises:
        StoreError: the file belongs to another program, or to a newer version of wsframe.
    """
    version = check_version(connection, newest=len(migrations))
    if version == len(migrations):
        return
    with transaction(connection):
        for migration in migrations[version:]:
            migration(connection)
        connection.execute(f"PRAGMA user_version = {len(migrations):d}")
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID:d}")


def check_version(connection: sqlite3.Connection, *, newest: int) -> int:
    """Which version the tables have, without a change to the file.

    Raises:
        StoreError: the file belongs to another program, or to a newer version of wsframe.
    """
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    if application != APPLICATION_ID and (application or version or tables):
        raise StoreError(
            "is an SQLite database of another program",
            hint="Name another file; wsframe makes it.",
        )
    if version > newest:
        raise StoreError(
            f"was written by a newer wsframe: its tables have version {version}, "
            f"this one knows {newest}",
            hint="Install that version again, or name another file.",
        )
    return int(version)
