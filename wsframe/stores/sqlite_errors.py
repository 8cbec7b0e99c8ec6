"""What SQLite complains of, in words that say what to do."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..errors import StoreError

DAMAGED_HINT = "Move the file away to begin anew, or restore a backup of it."
WRITABLE_HINT = "The server's user must be allowed to write the file and its folder."

_MEANINGS: dict[int, tuple[str, str]] = {
    sqlite3.SQLITE_FULL: (
        "the disk is full",
        "Make room; the server goes on by itself.",
    ),
    sqlite3.SQLITE_READONLY: ("is read-only", WRITABLE_HINT),
    sqlite3.SQLITE_PERM: ("may not be accessed", WRITABLE_HINT),
    sqlite3.SQLITE_CANTOPEN: ("cannot be opened", WRITABLE_HINT),
    sqlite3.SQLITE_CORRUPT: ("is damaged", DAMAGED_HINT),
    sqlite3.SQLITE_NOTADB: ("is not an SQLite database", DAMAGED_HINT),
    sqlite3.SQLITE_BUSY: (
        "is locked by another process",
        "End the program that writes to it.",
    ),
    sqlite3.SQLITE_IOERR: (
        "cannot be read or written",
        "Look into the system's log for errors of the disk.",
    ),
}


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turn errors about the file ``path`` into :class:`StoreError`.

    Raises:
        StoreError: instead of an ``sqlite3.Error``, or completed by the name of the file.
    """
    try:
        yield
    except sqlite3.Error as error:
        code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR)
        what, hint = _MEANINGS.get(code & 0xFF, ("failed", None))
        said = f"{error} ({getattr(error, 'sqlite_errorname', type(error).__name__)})"
        raise StoreError(f"the store {path}: {what}: {said}", hint=hint) from error
    except OSError as error:
        raise StoreError(
            f"the store {path}: cannot be opened: {error.strerror or error}", hint=WRITABLE_HINT
        ) from error
    except StoreError as error:
        raise StoreError(f"the store {path} {error.message}", hint=error.hint) from error
