"""The file of a server that was killed: is it whole, and does what is in it fit together?"""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path

import msgspec

from wsframe.protocol.frames import payload_of

SUFFIXES = ("", "-wal", "-shm")

_NEVER = {
    "a message is running and answered": (
        "SELECT count(*) FROM running JOIN messages USING (session, message_id)"
    ),
    "a message has two answers": (
        "SELECT count(*) FROM (SELECT 1 FROM messages WHERE message_id IS NOT NULL"
        " GROUP BY session, message_id HAVING count(*) > 1)"
    ),
    # Its newest number is ``count``, or that of its newest row.
    "a session lacks messages of its outbox": (
        "SELECT count(*) FROM sessions WHERE max(count - forgotten, coalesce((SELECT max(number)"
        " FROM messages WHERE session = key), 0) - forgotten) !="
        " (SELECT count(*) FROM messages WHERE session = key AND number > forgotten)"
    ),
    "a message is kept for nothing": (
        "SELECT count(*) FROM messages JOIN sessions ON key = session WHERE number <= forgotten"
        " AND (message_id IS NULL OR number <= answers_forgotten)"
    ),
    **{
        f"{table} of no session": (
            f"SELECT count(*) FROM {table} WHERE session NOT IN (SELECT key FROM sessions)"
        )
        for table in ("messages", "running", "rooms")
    },
}


def broken(database: Path) -> list[str]:
    """What is wrong with the database of a server that is gone, looked at in a copy of it."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / database.name
        for suffix in SUFFIXES:
            found = database.with_name(database.name + suffix)
            if found.exists():
                shutil.copyfile(found, copy.with_name(copy.name + suffix))
        with closing(sqlite3.connect(copy)) as connection:
            (integrity,) = connection.execute("PRAGMA integrity_check").fetchone()
            wrong = [] if integrity == "ok" else [f"integrity_check: {integrity}"]
            for text, question in _NEVER.items():
                (times,) = connection.execute(question).fetchone()
                if times:
                    wrong.append(f"{text}: {times} times")
            return wrong + _half_answers(connection)


def _half_answers(connection: sqlite3.Connection) -> list[str]:
    wrong = []
    for message_id, frame in connection.execute("SELECT message_id, frame FROM messages"):
        message = msgspec.json.decode(payload_of(frame))
        if message_id is not None and (message["replyTo"], message["final"]) != (message_id, True):
            wrong.append(f"what is kept as the answer to {message_id!r} is {message}")
    return wrong


def rows(database: Path) -> dict[str, int]:
    """How many rows each table has, while a server uses it."""
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True, timeout=30)) as connection:
        return {
            table: connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
            for table in ("sessions", "messages", "running", "rooms")
        }
