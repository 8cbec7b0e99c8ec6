"""Random histories: the memory store, the SQLite store and a model that only remembers what it was
told give the same answers, also when the SQLite file is closed and opened again in between."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar
from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsframe.session import ANONYMOUS, Identity
from wsframe.stores import (
    Accepted,
    Answered,
    AnswersForgotten,
    Attached,
    Change,
    Detached,
    Ended,
    Forgotten,
    Identified,
    Joined,
    Left,
    MemoryStore,
    Opened,
    Sent,
    SessionOwner,
    SqliteStore,
    Store,
    sqlite_sessions,
)

T = TypeVar("T")
SESSIONS = ("a", "b")
IDS = ("m1", "m2", "m3", "é")
WINDOW_S = 50.0


def now_run(step: Coroutine[Any, Any, T]) -> T:
    """Run what never waits: both stores work in the caller's thread."""
    try:
        step.send(None)
    except StopIteration as done:
        return done.value  # type: ignore[no-any-return]
    raise AssertionError("it waits")


class Told:
    """What was told of one session; every question is answered by going through all of it."""

    def __init__(self, opened: Opened) -> None:
        self.opened = opened
        self.epoch = 1
        self.history: list[tuple[str, Change]] = []
        self.expires_at: float | None = None

    def of(self, kind: type[Any]) -> list[Any]:
        return [change for _, change in self.history if isinstance(change, kind)]

    @property
    def numbered(self) -> list[tuple[int, bytes]]:
        return [(each.number, each.frame) for each in self.of(Sent) + self.of(Answered)]

    @property
    def count(self) -> int:
        return max((number for number, _ in self.numbered), default=0)

    @property
    def forgotten(self) -> int:
        return max((each.number for each in self.of(Forgotten)), default=0)

    @property
    def owner(self) -> SessionOwner:
        identities = [self.opened.identity, *(each.identity for each in self.of(Identified))]
        return SessionOwner(self.opened.secret_digest, self.opened.subprotocol, identities[-1])

    @property
    def rooms(self) -> set[str]:
        last = {
            each.room: type(each) for _, each in self.history if isinstance(each, Joined | Left)
        }
        return {room for room, kind in last.items() if kind is Joined}

    @property
    def running(self) -> dict[str, str]:
        found: dict[str, str] = {}
        for node, each in self.history:
            if isinstance(each, Accepted):
                found[each.message_id] = node
            elif isinstance(each, Answered):
                found.pop(each.message_id, None)
        return found

    @property
    def frames(self) -> list[bytes]:
        return [frame for number, frame in sorted(self.numbered) if number > self.forgotten]

    @property
    def answers(self) -> list[tuple[str, int, bytes]]:
        gone = max((each.number for each in self.of(AnswersForgotten)), default=0)
        return [
            (each.message_id, each.number, each.frame)
            for each in self.of(Answered)
            if each.remember and each.number > gone
        ]


class World:
    """The stores, the model, and one node after another."""

    def __init__(self, path: Path, draw: Callable[[st.SearchStrategy[Any]], Any]) -> None:
        self.path = path
        self.draw = draw
        self.told: dict[str, Told] = {}
        self.lives = 0
        self.now = 1_000.0
        self.memory = MemoryStore(survives=True, resume_window_s=WINDOW_S)
        self.sqlite = self.begin()

    @property
    def node(self) -> str:
        return f"node-{self.lives}"

    def begin(self) -> SqliteStore:
        """The next process."""
        self.lives += 1
        sqlite = SqliteStore(self.path, resume_window_s=WINDOW_S, threaded=False)
        for store in (sqlite, self.memory):
            now_run(store.start(self.node, now=self.now))
        for each in self.told.values():
            if each.expires_at is None:
                each.expires_at = self.now + WINDOW_S
        # The memory store measures the window of what was attached from the end of the lease.
        now_run(self.memory.renew(now=self.now, lease_s=1e9))
        return sqlite

    def restart(self) -> None:
        now_run(self.sqlite.stop())
        self.sqlite = self.begin()

    def both(self, ask: Callable[[Store], Coroutine[Any, Any, T]]) -> T:
        first, second = now_run(ask(self.memory)), now_run(ask(self.sqlite))
        assert first == second
        return first

    def commit(self) -> None:
        changes: list[Change] = []
        fenced: set[str] = set()
        for _ in range(self.draw(st.integers(5, 25))):
            change = self.change(self.draw(st.sampled_from(SESSIONS)))
            changes.append(change)
            if not self.tell(change):
                fenced.add(change.session_id)
        assert self.both(lambda store: store.commit(changes)) == fenced

    def change(self, which: str) -> Change:
        told = self.told.get(which)
        if told is None:
            late = self.draw(st.sampled_from((Opened, Opened, Opened, Ended, Attached)))
            if late is not Opened:
                return late(which, 1)  # type: ignore[no-any-return]
            return Opened(which, 1, which.encode() * 32, "json", ANONYMOUS)
        epoch = told.epoch - self.draw(st.sampled_from((0, 0, 0, 0, 0, 0, 1)))
        number = told.count + 1
        message_id = self.draw(st.sampled_from(IDS))
        upto = st.integers(0, told.count)
        kinds: dict[str, Callable[[], Change]] = {
            "sent": lambda: Sent(which, epoch, number, b"s%d" % number),
            "message": lambda: (
                Answered(
                    which, epoch, message_id, number, b"a%d" % number, self.draw(st.booleans())
                )
                if message_id in told.running
                else Accepted(which, epoch, message_id)
            ),
            "forgotten": lambda: Forgotten(which, epoch, self.draw(upto)),
            "answers forgotten": lambda: AnswersForgotten(which, epoch, self.draw(upto)),
            "joined": lambda: Joined(which, epoch, self.draw(st.sampled_from(("red", "blue")))),
            "left": lambda: Left(which, epoch, self.draw(st.sampled_from(("red", "blue")))),
            "detached": lambda: Detached(which, epoch, self.now + self.draw(st.integers(0, 100))),
            "attached": lambda: Attached(which, epoch),
            "identified": lambda: Identified(which, epoch, Identity(subject=f"s{number}")),
            "ended": lambda: Ended(which, epoch),
            "opened": lambda: Opened(which, 1, b"", "json", ANONYMOUS),
        }
        often = ("sent", "message", "message", "message", "forgotten", "answers forgotten")
        return kinds[self.draw(st.sampled_from((*often, *often, *often, *kinds)))]()

    def tell(self, change: Change) -> bool:
        told = self.told.get(change.session_id)
        if isinstance(change, Opened):
            if told is not None:
                return False
            self.told[change.session_id] = Told(change)
        elif told is None:
            return isinstance(change, Ended)
        elif told.epoch != change.epoch:
            return False
        elif isinstance(change, Ended):
            del self.told[change.session_id]
        else:
            told.history.append((self.node, change))
            if isinstance(change, Attached | Detached):
                told.expires_at = getattr(change, "expires_at", None)
        return True

    def claim(self) -> None:
        self.claim_it(self.draw(st.sampled_from(SESSIONS)))

    def claim_it(self, session_id: str) -> None:
        told = self.told.get(session_id)
        found = self.both(lambda store: store.claim(session_id, now=self.now))
        over = told is not None and told.expires_at is not None and told.expires_at <= self.now
        if told is None or over:
            assert found is None
            return
        assert found is not None
        told.epoch += 1
        told.expires_at = None
        assert (found.epoch, found.owner, found.count) == (told.epoch, told.owner, told.count)
        assert (found.forgotten, found.rooms) == (told.forgotten, told.rooms)
        interrupted = [each for each, node in told.running.items() if node != self.node]
        assert (list(found.interrupted), found.elsewhere) == (interrupted, ())

    def expire(self) -> None:
        limit = self.draw(st.integers(1, 3))
        ends = [(each.expires_at, name) for name, each in self.told.items() if each.expires_at]
        over = [name for _, name in sorted(end for end in ends if end[0] <= self.now)][:limit]
        expired = [
            list(now_run(store.expire(now=self.now, limit=limit)))
            for store in (self.memory, self.sqlite)
        ]
        assert expired == [over, over]
        for session_id in over:
            del self.told[session_id]

    def wait(self) -> None:
        self.now += self.draw(st.integers(1, 60))

    def compare(self) -> None:
        for store in (self.memory, self.sqlite):
            for name in SESSIONS:
                told = self.told.get(name)
                assert now_run(store.owner(name)) == (told and told.owner)
                frames = list(pages(store, name, told.forgotten if told else 0))
                assert frames == (told.frames if told else [])
                found = now_run(store.answers(name, after=0, limit=100))
                answers = [(each.message_id, each.number, each.frame) for each in found]
                assert answers == (told.answers if told else [])


def pages(store: Store, session_id: str, after: int) -> Iterator[bytes]:
    while page := now_run(store.frames(session_id, after=after, limit=20)):
        yield from page
        after += len(page)


@contextmanager
def a_world(draw: Callable[[st.SearchStrategy[Any]], Any]) -> Iterator[World]:
    with tempfile.TemporaryDirectory() as folder:
        world = World(Path(folder) / "model.db", draw)
        try:
            yield world
        finally:
            now_run(world.sqlite.stop())


@pytest.mark.slow
@given(st.data())
def test_any_history_leaves_the_same_in_memory_and_in_a_file(data: st.DataObject) -> None:
    # Small enough for these histories: of two sessions one is known, three rows are many.
    with patch.multiple(sqlite_sessions, HEADS=1, ROWS_AT_A_TIME=3), a_world(data.draw) as world:
        steps = (
            world.commit,
            world.commit,
            world.commit,
            world.claim,
            world.restart,
            world.expire,
            world.wait,
        )
        for _ in range(data.draw(st.integers(2, 6))):
            data.draw(st.sampled_from(steps))()
            world.compare()
            nothing_is_left_over(world)
        world.restart()
        for session_id in SESSIONS:
            world.claim_it(session_id)
        (broken,) = world.sqlite._file.connection.execute("PRAGMA integrity_check").fetchone()
        assert broken == "ok"


def nothing_is_left_over(world: World) -> None:
    """Every row serves a session that is there, and what it serves is still wanted."""
    connection = world.sqlite._file.connection
    for table in ("messages", "running", "rooms"):
        orphans = f"SELECT count(*) FROM {table} WHERE session NOT IN (SELECT key FROM sessions)"
        assert connection.execute(orphans).fetchone() == (0,)
    (rows,) = connection.execute("SELECT count(*) FROM messages").fetchone()
    wanted = 0
    for told in world.told.values():
        numbers = {number for number, _ in told.numbered if number > told.forgotten}
        wanted += len(numbers | {number for _, number, _ in told.answers})
    assert rows == wanted
    (rows,) = connection.execute("SELECT count(*) FROM running").fetchone()
    assert rows == sum(len(told.running) for told in world.told.values())
