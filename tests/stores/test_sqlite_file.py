"""The file of the SQLite store: its versions, its size, its access rights, and what is written."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from wsframe.errors import StoreError
from wsframe.session import ANONYMOUS
from wsframe.stores import (
    Accepted,
    Answered,
    Change,
    Detached,
    Forgotten,
    Opened,
    Sent,
    SqliteStore,
)
from wsframe.stores.sqlite_schema import APPLICATION_ID, MIGRATIONS, migrate

NOW = 1_800_000_000.0

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def old_file(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    """A file with tables of version 1, and a session in them."""
    connection = sqlite3.connect(tmp_path / "old.db", isolation_level=None)
    migrate(connection, MIGRATIONS[:1])
    connection.execute(
        "INSERT INTO sessions VALUES (1, 's', 1, 0, 0, 0, NULL, x'00', 'json', x'80')"
    )
    yield connection
    connection.close()


def add_a_column(connection: sqlite3.Connection) -> None:
    connection.execute("ALTER TABLE sessions ADD COLUMN note TEXT NOT NULL DEFAULT 'old'")


def fill_it(connection: sqlite3.Connection) -> None:
    connection.execute("UPDATE sessions SET note = note || '+'")


def fail(connection: sqlite3.Connection) -> None:
    connection.execute("UPDATE sessions SET absent = 1")


def test_an_older_file_goes_through_every_version_after_its_own(
    old_file: sqlite3.Connection,
) -> None:
    migrate(old_file, (MIGRATIONS[0], add_a_column, fill_it))
    assert old_file.execute("SELECT id, note FROM sessions").fetchall() == [("s", "old+")]
    assert old_file.execute("PRAGMA user_version").fetchone() == (3,)
    migrate(old_file, (MIGRATIONS[0], add_a_column, fill_it))
    assert old_file.execute("SELECT note FROM sessions").fetchall() == [("old+",)]


def test_a_migration_that_fails_changes_nothing(old_file: sqlite3.Connection) -> None:
    with pytest.raises(sqlite3.OperationalError, match="no such column: absent"):
        migrate(old_file, (MIGRATIONS[0], add_a_column, fail))
    assert not old_file.in_transaction
    assert old_file.execute("PRAGMA user_version").fetchone() == (1,)
    assert "note" not in [row[1] for row in old_file.execute("PRAGMA table_info(sessions)")]
    migrate(old_file, (MIGRATIONS[0], add_a_column))


def test_a_newer_file_is_not_touched(old_file: sqlite3.Connection) -> None:
    migrate(old_file, (MIGRATIONS[0], add_a_column))
    with pytest.raises(StoreError, match="its tables have version 2, this one knows 1"):
        migrate(old_file, MIGRATIONS[:1])


async def started(path: Path, **settings: object) -> SqliteStore:
    store = SqliteStore(path, threaded=False, **settings)  # type: ignore[arg-type]
    await store.start("node", now=NOW)
    return store


def pragma(store: SqliteStore, name: str) -> object:
    (value,) = store._file.connection.execute(f"PRAGMA {name}").fetchone()  # type: ignore[union-attr]
    return value


async def test_a_claim_does_not_wait_for_the_disk_and_the_next_commit_does(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "s.db", durability="strict", threaded=False)
    await store.start("node", now=NOW)
    await store.commit([Opened("s", 1, bytes(32), "json", ANONYMOUS)])
    at_commit: list[object] = []

    def traced(statement: str) -> None:
        if statement == "COMMIT":
            store._file.connection.set_trace_callback(None)  # type: ignore[union-attr]
            at_commit.append(pragma(store, "synchronous"))
            store._file.connection.set_trace_callback(traced)  # type: ignore[union-attr]

    store._file.connection.set_trace_callback(traced)  # type: ignore[union-attr]
    assert await store.claim("s", now=NOW) is not None
    assert await store.claim("nobody's", now=NOW) is None
    await store.commit([Sent("s", 2, 1, b"x")])
    assert at_commit == [1, 1, 2]
    await store.stop()


@pytest.mark.parametrize(("durability", "synchronous"), [("batched", 1), ("strict", 2)])
async def test_durability_is_when_sqlite_waits_for_the_disk(
    durability: str, synchronous: int, tmp_path: Path
) -> None:
    store = await started(tmp_path / "s.db", durability=durability)
    assert pragma(store, "synchronous") == synchronous
    assert pragma(store, "journal_mode") == "wal"
    assert pragma(store, "application_id") == APPLICATION_ID
    await store.stop()


async def test_nobody_but_the_servers_user_may_read_the_files(tmp_path: Path) -> None:
    store = await started(tmp_path / "s.db")
    await store.commit([Opened("s", 1, b"", "json", ANONYMOUS)])
    modes = {path.name: path.stat().st_mode & 0o777 for path in tmp_path.iterdir()}
    assert modes == {"s.db": 0o600, "s.db-wal": 0o600, "s.db-shm": 0o600, "s.db-lock": 0o600}
    await store.stop()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["s.db", "s.db-lock"]


async def test_a_relative_path_begins_in_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = SqliteStore("s.db", threaded=False)
    monkeypatch.chdir(tmp_path)
    await store.start("node", now=NOW)
    monkeypatch.chdir("/")
    assert store.path == tmp_path / "s.db"
    await store.stop()


async def test_the_file_levels_off_and_shrinks_when_it_is_mostly_empty(tmp_path: Path) -> None:
    store = await started(tmp_path / "s.db")
    sizes = []
    for place in range(60):
        name = f"s{place}"
        frames: list[Change] = [Sent(name, 1, n, bytes(1_000)) for n in range(1, 301)]
        await store.commit([Opened(name, 1, b"", "json", ANONYMOUS), *frames])
        await store.commit([Detached(name, 1, NOW + place + 5)])
        await store.expire(now=NOW + place, limit=100)
        sizes.append(pragma(store, "page_count"))
    assert max(sizes[30:]) <= max(sizes[10:20])
    await store.expire(now=NOW + 1_000, limit=100)
    while pragma(store, "freelist_count") > pragma(store, "page_count") / 4 + 1:  # type: ignore[operator]
        before = pragma(store, "page_count")
        await store.expire(now=NOW + 1_000, limit=100)
        assert pragma(store, "page_count") < before  # type: ignore[operator]
    page_bytes = pragma(store, "page_size")
    await store.stop()
    assert (tmp_path / "s.db").stat().st_size < max(sizes) * page_bytes / 4


async def test_the_log_is_written_back_and_does_not_grow(tmp_path: Path) -> None:
    store = await started(tmp_path / "s.db")
    await store.commit([Opened("s", 1, b"", "json", ANONYMOUS)])
    for number in range(1, 601):
        changes = [Sent("s", 1, number, bytes(200_000)), Forgotten("s", 1, number - 1)]
        await store.commit(changes)
    assert (tmp_path / "s.db-wal").stat().st_size < 40_000_000
    assert (tmp_path / "s.db").stat().st_size < 5_000_000
    await store.stop()


async def test_the_log_has_a_bound_again_when_a_reader_has_ended(tmp_path: Path) -> None:
    store = await started(tmp_path / "s.db")
    await store.commit([Opened("s", 1, b"", "json", ANONYMOUS)])
    reader = sqlite3.connect(tmp_path / "s.db", isolation_level=None)
    reader.execute("BEGIN")
    assert reader.execute("SELECT count FROM sessions").fetchone() == (0,)
    log = tmp_path / "s.db-wal"

    async def write(first: int, last: int) -> None:
        for number in range(first, last):
            changes = [Sent("s", 1, number, bytes(1_000_000)), Forgotten("s", 1, number - 1)]
            await store.commit(changes)

    await write(1, 101)
    assert log.stat().st_size > 100_000_000, "what the reader may look at cannot be overwritten"
    assert reader.execute("SELECT count FROM sessions").fetchone() == (0,)
    reader.close()
    await write(101, 141)
    assert log.stat().st_size < 70_000_000
    await store.stop()


async def test_what_begins_and_ends_in_one_batch_is_not_written(tmp_path: Path) -> None:
    store = await started(tmp_path / "s.db")
    await store.commit([Opened("s", 1, b"", "json", ANONYMOUS)])
    statements: list[str] = []
    store._file.connection.set_trace_callback(statements.append)  # type: ignore[union-attr]
    await store.commit([
        Accepted("s", 1, "m"),
        Answered("s", 1, "m", 1, b"answer", False),
        Sent("s", 1, 2, b"sent"),
        Forgotten("s", 1, 2),
    ])  # fmt: skip
    written = [each.split("(")[0].strip() for each in statements]
    assert [each.split(" SET")[0] for each in written] == [
        "BEGIN IMMEDIATE",
        "UPDATE sessions",
        "COMMIT",
    ]
    await store.stop()


async def test_a_batch_that_fails_in_the_middle_is_undone_and_the_next_one_works(
    tmp_path: Path,
) -> None:
    store = await started(tmp_path / "s.db")
    bad = ANONYMOUS.__class__(subject="x", claims={"what": object()})
    with pytest.raises(TypeError, match="Encoding objects of type object is unsupported"):
        await store.commit([
            Opened("s", 1, b"", "json", ANONYMOUS),
            Opened("t", 1, b"", "json", bad),
        ])  # fmt: skip
    assert await store.owner("s") is None
    assert await store.commit([Opened("s", 1, b"", "json", ANONYMOUS)]) == frozenset()
    await store.stop()


async def test_stopping_what_was_not_started_does_nothing(tmp_path: Path) -> None:
    await SqliteStore(tmp_path / "s.db").stop()
    assert list(tmp_path.iterdir()) == []
