"""When the journal commits, and what waits for it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import anyio
import pytest

from wsframe.server.journal import MAX_GATHER_S, MIN_GATHER_S, REST, Journal
from wsframe.stores import Change, MemoryStore, Sent

pytestmark = pytest.mark.anyio


class SlowStore(MemoryStore):
    """Takes its time, and notes when each group began and how large it was."""

    def __init__(self, takes_s: float) -> None:
        super().__init__(survives=True)
        self.takes_s = takes_s
        self.groups: list[tuple[float, int]] = []

    async def commit(self, changes: Sequence[Change]) -> frozenset[str]:
        self.groups.append((anyio.current_time(), len(changes)))
        await anyio.sleep(self.takes_s)
        return frozenset()


@asynccontextmanager
async def journal_of(store: SlowStore, *, strict: bool = False) -> AsyncIterator[Journal]:
    journal = Journal(
        store,
        "node",
        lambda: 0.0,
        strict=strict,
        released=lambda _: None,
        lost=lambda _: None,
        measure=lambda _operation, _elapsed_s: None,
    )
    await journal.start()
    async with anyio.create_task_group() as task_group:
        task_group.start_soon(journal.run)
        yield journal
        task_group.cancel_scope.cancel()


async def record_for_ever(journal: Journal) -> None:
    number = 0
    while True:
        number += 1
        journal.record(Sent("s", 1, number, b""))
        await anyio.sleep(0.001)


@pytest.mark.parametrize("strict", [False, True])
async def test_a_flush_waits_for_what_was_recorded_before_it_only(strict: bool) -> None:
    store = SlowStore(0.02)
    async with journal_of(store, strict=strict) as journal, anyio.create_task_group() as group:
        group.start_soon(record_for_ever, journal)
        await anyio.sleep(1)
        began = anyio.current_time()
        with anyio.fail_after(60):
            await journal.flush()
        assert anyio.current_time() - began < 3 * 0.02
        group.cancel_scope.cancel()


async def test_a_flush_without_anything_recorded_returns_at_once() -> None:
    async with journal_of(SlowStore(0)) as journal:
        began = anyio.current_time()
        await journal.flush()
        assert anyio.current_time() == began


@pytest.mark.parametrize(
    ("takes_s", "gathers_s"),
    [(0.0, MIN_GATHER_S), (0.01, REST * 0.01), (1.0, MAX_GATHER_S)],
)
async def test_a_slower_store_gets_larger_groups_within_bounds(
    takes_s: float, gathers_s: float
) -> None:
    store = SlowStore(takes_s)
    async with journal_of(store) as journal, anyio.create_task_group() as group:
        group.start_soon(record_for_ever, journal)
        await anyio.sleep(5)
        await journal.flush()
        await anyio.sleep(5)
        group.cancel_scope.cancel()
    (before, _), (after, changes) = store.groups[-3:-1]
    assert after - before == pytest.approx(takes_s + gathers_s, abs=0.002)
    assert changes == pytest.approx((takes_s + gathers_s) / 0.001, abs=2)
