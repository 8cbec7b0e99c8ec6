"""The journal: what happens to sessions, on its way to the store.

Changes are gathered while the last commit is under way and go to the store as one group: the more
happens, the larger the groups, and the less each change costs.

With ``durability = "strict"`` a numbered message waits until the store has it, and everything
before it; then it is released to its client. With ``"batched"`` it leaves at once, and the groups
are given a moment to grow: the longer, the longer the store took for the last one.

When the store fails, the journal keeps what it has and tries again; meanwhile the node is not
ready, and once too much waits, new messages are refused as ``unavailable``.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import anyio

from ..errors import StoreError
from ..session import changes

if TYPE_CHECKING:
    from ..stores import Store

log = logging.getLogger("wsframe.store")

MIN_GATHER_S = 0.005
MAX_GATHER_S = 0.05
"""How long a batched journal waits for more before it commits: what is lost with the process."""
REST = 3.0
"""It waits so many times as long as the last commit took, within these bounds."""
MAX_WAITING = 100_000
"""Changes that may wait for the store before new messages are refused; about 200 bytes each, and
their frames, which are in the outboxes as long as they are not acknowledged."""
FIRST_RETRY_S = 0.1
MAX_RETRY_S = 5.0
LEASE_S = 30.0
"""A node that has not renewed its lease for so long counts as gone."""
EXPIRED_AT_A_TIME = 5_000
EXPIRY_SLACK_S = 5.0
"""Sessions that live on this node end there, and in the store only if that was not recorded."""


class Journal:
    """Hands changes to a store, in order.

    Args:
        store: where they go.
        node: names this process, and no other.
        unix_now: seconds since the epoch, by a clock that does not jump.
        strict: messages wait for their commit.
        released: called after each commit that messages waited for, with the number up to which
            each session's are stored.
        lost: called with the ids of sessions that another node has claimed.
        measure: told of each commit, and of each session that was read, how long it took.

    Attributes:
        healthy: the last commit succeeded.
        failures: commits that did not.
    """

    def __init__(
        self,
        store: Store,
        node: str,
        unix_now: Callable[[], float],
        *,
        strict: bool,
        released: Callable[[dict[str, int]], None],
        lost: Callable[[Collection[str]], None],
        measure: Callable[[str, float], None],
    ) -> None:
        self.store = store
        self.strict = strict
        self.healthy = True
        self.failures = 0
        self._node = node
        self._unix_now = unix_now
        self._released = released
        self._lost = lost
        self._measure = measure
        self._scope = anyio.CancelScope()  # where it runs
        self._waiting: list[changes.Change] = []
        self._committing = 0
        self._stored_so_far = 0
        self._gather_s = MIN_GATHER_S
        self._wake = anyio.Event()
        self._hurry = anyio.Event()
        """Somebody waits: commit what there is."""
        self._progress = anyio.Event()
        """A group was stored; a new event for each."""

    @property
    def overloaded(self) -> bool:
        """Does more wait than may? The store fails, or is slower than what happens."""
        return self.waiting > MAX_WAITING

    @property
    def waiting(self) -> int:
        """Changes that are not stored yet."""
        return len(self._waiting) + self._committing

    @contextmanager
    def timed(self, operation: str) -> Iterator[None]:
        """Measure what is done with the store."""
        began = anyio.current_time()
        yield
        self._measure(operation, anyio.current_time() - began)

    def record(self, change: changes.Change) -> None:
        """Take a change; it is committed soon."""
        if not self._waiting:
            self._wake.set()
        self._waiting.append(change)

    async def start(self) -> None:
        """Open the store.

        Raises:
            StoreError: it cannot be used; it is closed again.
        """
        await self.store.start(self._node, now=self._unix_now())
        try:
            await self.store.renew(now=self._unix_now(), lease_s=LEASE_S)
        except BaseException:
            with anyio.CancelScope(shield=True):
                await self.store.stop()
            raise

    async def run(self) -> None:
        """Commit what is recorded, until cancelled; what waits then is lost."""
        async with anyio.create_task_group() as task_group:
            self._scope = task_group.cancel_scope
            task_group.start_soon(self._commit_for_ever)
            task_group.start_soon(self._live_for_ever)

    async def _commit_for_ever(self) -> None:
        while True:
            if not self._waiting:
                self._wake = anyio.Event()
                await self._wake.wait()
            if not self.strict:
                self._hurry = anyio.Event()
                with anyio.move_on_after(self._gather_s):
                    await self._hurry.wait()
            group, self._waiting = self._waiting, []
            await self._commit(group)

    async def _commit(self, group: list[changes.Change]) -> None:
        self._committing = len(group)
        began = anyio.current_time()
        lost = await self._stored(group)
        took_s = anyio.current_time() - began
        self._gather_s = min(max(MIN_GATHER_S, REST * took_s), MAX_GATHER_S)
        self._committing = 0
        self._stored_so_far += len(group)
        if lost:
            self._lost(lost)
        if self.strict:
            self._released(_newest(group))
        progress, self._progress = self._progress, anyio.Event()
        progress.set()

    async def _stored(self, group: list[changes.Change]) -> Collection[str]:
        """Commit a group, however often that takes; the sessions that were lost."""
        delay_s = FIRST_RETRY_S
        while True:
            try:
                with self.timed("commit"):
                    lost = await self.store.commit(group)
            except Exception as error:
                if self.healthy:
                    unexpected = None if isinstance(error, StoreError) else error
                    log.error("the store fails: %s", error, exc_info=unexpected)
                self.healthy = False
                self.failures += 1
            else:
                if not self.healthy:
                    self.healthy = True
                    log.warning("the store works again")
                return lost
            await anyio.sleep(delay_s)
            delay_s = min(2 * delay_s, MAX_RETRY_S)

    async def _live_for_ever(self) -> None:
        """Renew this node's lease, and end sessions that nobody has resumed in time."""
        while True:
            try:
                await self.store.renew(now=self._unix_now(), lease_s=LEASE_S)
                over = self._unix_now() - EXPIRY_SLACK_S
                expired = await self.store.expire(now=over, limit=EXPIRED_AT_A_TIME)
            except Exception as error:  # noqa: BLE001 - likewise
                log.error("the store fails: %s", error)
            else:
                if expired:
                    log.info("%d stored sessions were not resumed in time", len(expired))
            await anyio.sleep(LEASE_S / 3)

    async def flush(self) -> None:
        """Wait until everything that was recorded so far is stored."""
        upto = self._stored_so_far + self.waiting
        while self._stored_so_far < upto:
            self._hurry.set()
            await self._progress.wait()

    async def stop(self, *, timeout_s: float) -> None:
        """Store what waits, within ``timeout_s``, and close the store."""
        with anyio.move_on_after(timeout_s):
            while self.waiting:
                await self.flush()
        if self.waiting:
            log.error("%d changes of sessions could not be stored", self.waiting)
        self._scope.cancel()
        await self.store.stop()


def _newest(group: list[changes.Change]) -> dict[str, int]:
    """The number of the newest message of each session in a group of changes."""
    newest: dict[str, int] = {}
    for change in group:
        if isinstance(change, (changes.Sent, changes.Answered)):
            newest[change.session_id] = change.number
    return newest
