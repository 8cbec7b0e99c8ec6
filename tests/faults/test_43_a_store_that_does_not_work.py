"""Threat 43: the disk is full, the file cannot be written, is damaged, or belongs to another.

Each gives an error that says what is wrong and what to do, and leaves nothing half done.
"""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from wsframe.errors import StoreError
from wsframe.session import ANONYMOUS
from wsframe.stores import Opened, Sent, SqliteStore

NOW = 1_800_000_000.0
NOBODY = 65_534
OPENED = Opened("s", 1, bytes(32), "json", ANONYMOUS)

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def powerless() -> Iterator[Path]:
    """A folder, and a process that is not root, whom permissions do not concern."""
    with tempfile.TemporaryDirectory() as folder:
        root = os.geteuid() == 0
        if root:
            os.chown(folder, NOBODY, NOBODY)
            os.seteuid(NOBODY)
        try:
            yield Path(folder)
        finally:
            if root:
                os.seteuid(0)
            Path(folder).chmod(0o700)


async def filled(path: Path) -> None:
    """A store with a session in it, closed."""
    store = SqliteStore(path)
    await store.start("node", now=NOW)
    await store.commit([OPENED, *(Sent("s", 1, n, b"x" * 500) for n in range(1, 201))])
    await store.stop()


async def refused(path: Path) -> StoreError:
    """What is said when the store is opened; afterwards nothing of it is open."""
    store = SqliteStore(path, threaded=False)
    with pytest.raises(StoreError) as raised:
        await store.start("node", now=NOW)
    assert str(path) in raised.value.message
    assert raised.value.hint
    with pytest.raises(StoreError, match="is not open"):
        await store.commit([OPENED])
    return raised.value


async def test_43_a_full_disk_stops_the_commit_and_room_lets_it_go_on(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "s.db", threaded=False)
    await store.start("node", now=NOW)
    await store.commit([OPENED])
    connection = store._file.connection  # type: ignore[union-attr]
    (pages,) = connection.execute("PRAGMA page_count").fetchone()
    connection.execute(f"PRAGMA max_page_count = {pages + 4}").fetchone()
    much = [Sent("s", 1, n, bytes(4_000)) for n in range(1, 101)]
    for _ in range(2):
        with pytest.raises(StoreError, match="the disk is full") as raised:
            await store.commit(much)
        assert raised.value.hint == "Make room; the server goes on by itself."
        assert list(await store.frames("s", after=0, limit=10)) == []
    await store.commit([Sent("s", 1, 1, b"small")])
    connection.execute("PRAGMA max_page_count = 1000000").fetchone()
    assert await store.commit(much[1:]) == frozenset()
    assert len(await store.frames("s", after=0, limit=200)) == 100
    assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    await store.stop()


async def test_43_a_missing_folder_is_named(tmp_path: Path) -> None:
    said = await refused(tmp_path / "nowhere" / "s.db")
    assert f"there is no folder {tmp_path / 'nowhere'}" in said.message
    assert said.hint == f"Make it: mkdir -p {tmp_path / 'nowhere'}"


async def test_43_a_folder_is_no_file(tmp_path: Path) -> None:
    assert "is a folder" in (await refused(tmp_path)).message


async def test_43_a_file_that_may_not_be_written(powerless: Path) -> None:
    await filled(powerless / "s.db")
    (powerless / "s.db").chmod(0o400)
    said = await refused(powerless / "s.db")
    assert "is read-only" in said.message
    (powerless / "s.db").chmod(0o600)
    await filled_again(powerless / "s.db")


async def test_43_a_folder_that_may_not_be_written(powerless: Path) -> None:
    powerless.chmod(0o500)
    said = await refused(powerless / "s.db")
    assert "cannot be opened: Permission denied" in said.message
    assert "must be allowed to write" in (said.hint or "")


async def test_43_a_file_of_another_kind(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("Dear diary, " * 1000)
    assert "is not an SQLite database" in (await refused(path)).message
    assert path.read_text() == "Dear diary, " * 1000


async def test_43_a_database_of_another_program(tmp_path: Path) -> None:
    path = tmp_path / "shop.db"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE sessions (id)")
    connection.close()
    before = path.read_bytes()
    assert "of another program" in (await refused(path)).message
    assert path.read_bytes() == before


async def test_43_a_newer_version(tmp_path: Path) -> None:
    path = tmp_path / "s.db"
    await filled(path)
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    said = await refused(path)
    assert "was written by a newer wsframe: its tables have version 99" in said.message


async def test_43_a_damaged_file_is_refused_at_the_start(tmp_path: Path) -> None:
    path = tmp_path / "s.db"
    await filled(path)
    whole = path.read_bytes()
    path.write_bytes(whole[:8_192] + b"\xa5" * (len(whole) - 8_192))
    said = await refused(path)
    assert "is damaged" in said.message
    assert "restore a backup" in (said.hint or "")


async def test_43_after_an_unclean_end_the_whole_file_is_checked(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "s.db", threaded=False)
    await store.start("node", now=NOW)
    await store.commit([OPENED, *(Sent("s", 1, n, bytes(4_000)) for n in range(1, 201))])
    connection = store._file.connection  # type: ignore[union-attr]
    connection.execute("PRAGMA wal_checkpoint").fetchone()
    await store.commit([Sent("s", 1, 201, b"in the log")])
    crashed = tmp_path / "crashed.db"
    damaged = bytearray((tmp_path / "s.db").read_bytes())
    (messages,) = connection.execute(
        "SELECT rootpage FROM sqlite_master WHERE name = 'messages'"
    ).fetchone()
    await store.stop()
    start = (messages - 1) * 8_192
    damaged[start + 100 : start + 8_000] = b"\xff" * 7_900
    crashed.write_bytes(damaged)
    Path(f"{crashed}-wal").write_bytes(b"begun, and not finished")
    assert "is damaged" in (await refused(crashed)).message


async def test_43_a_truncated_file(tmp_path: Path) -> None:
    path = tmp_path / "s.db"
    await filled(path)
    path.write_bytes(path.read_bytes()[:20_000])
    assert "is damaged" in (await refused(path)).message


async def test_43_a_second_server_is_told_that_the_file_is_in_use(tmp_path: Path) -> None:
    path = tmp_path / "s.db"
    first = SqliteStore(path)
    await first.start("node", now=NOW)
    program = (
        "import anyio, sys\n"
        "from wsframe.stores import SqliteStore\n"
        "anyio.run(lambda: SqliteStore(sys.argv[1]).start('other', now=0))\n"
    )
    second = subprocess.run(
        [sys.executable, "-c", program, str(path)], capture_output=True, text=True, check=False
    )
    assert second.returncode == 1
    assert f"the store {path} is in use by another process" in second.stderr
    assert "is in use by another process" in (await refused(path)).message
    await first.commit([OPENED])
    await first.stop()
    await filled_again(path)


async def filled_again(path: Path) -> None:
    """The file is free again, and works."""
    store = SqliteStore(path)
    await store.start("node", now=NOW)
    await store.commit([Opened("again", 1, bytes(32), "json", ANONYMOUS)])
    await store.stop()


async def test_43_somebody_who_writes_to_the_file_is_waited_for_and_then_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wsframe.stores.sqlite_file._BUSY_TIMEOUT_S", 0.01)
    path = tmp_path / "s.db"
    await filled(path)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    said = await refused(path)
    assert "is locked by another process" in said.message
    other.execute("ROLLBACK")
    store = SqliteStore(path, threaded=False)
    await store.start("node", now=NOW)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreError, match="is locked by another process"):
        await store.commit([OPENED, Sent("s", 1, 201, b"new")])
    other.execute("ROLLBACK")
    other.close()
    assert list(await store.frames("s", after=200, limit=1)) == []
    assert await store.commit([Sent("s", 1, 201, b"new")]) == frozenset()
    await store.stop()


async def test_43_a_backup_can_be_made_while_the_server_runs(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "s.db", threaded=False)
    await store.start("node", now=NOW)
    await store.commit([OPENED, Sent("s", 1, 1, b"frame")])
    source, target = sqlite3.connect(tmp_path / "s.db"), sqlite3.connect(tmp_path / "copy.db")
    source.backup(target)
    source.close()
    target.close()
    copy = SqliteStore(tmp_path / "copy.db", threaded=False)
    await copy.start("node", now=NOW)
    assert list(await copy.frames("s", after=0, limit=2)) == [b"frame"]
    await copy.stop()
    await store.commit([Sent("s", 1, 2, b"later")])
    await store.stop()
