"""What every store must do, as tests: derive a class from :class:`StoreContract` and run it.

::

    class TestRedisStore(SharedStoreContract):
        def make_store(self, place):
            return RedisStore("redis://127.0.0.1:6379/0", prefix=str(place))

The tests run on every event loop of anyio's fixture ``anyio_backend``. Time is what they say it is:
a store that looks at a clock of its own fails.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import anyio
import pytest

from ..session import ANONYMOUS
from ..stores import (
    Accepted,
    AnswersForgotten,
    Attached,
    Change,
    Detached,
    Ended,
    Forgotten,
    Identified,
    Joined,
    Left,
    Sent,
    SessionOwner,
    Store,
    StoredAnswer,
    StoredSession,
)
from .store_scene import (
    ALICE,
    LEASE_S,
    NOW,
    SECRET_DIGEST,
    UNUSUAL_IDS,
    WINDOW_S,
    StoreScene,
    answered,
    opened,
    sent,
)


class StoreContract(StoreScene):
    """The promises of :class:`wsframe.stores.Store` that one node can see, restarts included."""

    pytestmark = pytest.mark.anyio

    async def test_it_says_that_it_survives(self, tmp_path: Path) -> None:
        assert self.make_store(tmp_path).survives

    async def test_what_was_opened_has_its_owner(self, tmp_path: Path) -> None:
        async with self.running(tmp_path) as store:
            assert await store.commit([opened(identity=ALICE)]) == frozenset()
            assert await store.owner("s") == SessionOwner(SECRET_DIGEST, "json", ALICE)
            assert await store.owner("t") is None

    async def test_what_nobody_opened_cannot_be_claimed_and_holds_nothing(
        self, tmp_path: Path
    ) -> None:
        async with self.running(tmp_path) as store:
            assert await store.claim("s", now=NOW) is None
            assert list(await store.frames("s", after=0, limit=10)) == []
            assert list(await store.answers("s", after=0, limit=10)) == []
            assert list(await store.expire(now=NOW, limit=10)) == []

    async def test_nothing_is_committed_without_changes(self, tmp_path: Path) -> None:
        async with self.running(tmp_path) as store:
            assert await store.commit([]) == frozenset()

    async def test_a_session_is_found_as_it_was_left(self, tmp_path: Path) -> None:
        async with self.running(tmp_path) as store:
            await store.commit([opened(), Joined("s", 1, "red"), Joined("s", 1, "blue"), sent(1)])
            await store.commit([sent(2), Forgotten("s", 1, 1), Left("s", 1, "red")])
            await store.commit([Identified("s", 1, ALICE), Detached("s", 1, NOW + 100)])
        found, _ = await self.reclaimed(tmp_path)
        assert found == StoredSession(
            id="s",
            epoch=2,
            owner=SessionOwner(SECRET_DIGEST, "json", ALICE),
            count=2,
            forgotten=1,
            rooms=frozenset({"blue"}),
        )

    async def test_each_claim_raises_the_epoch(self, tmp_path: Path) -> None:
        async with self.running(tmp_path) as store:
            await store.commit([opened()])
            epochs = [await store.claim("s", now=NOW) for _ in range(3)]
            assert [found.epoch for found in epochs if found] == [2, 3, 4]

    async def test_a_stale_epoch_writes_nothing_and_is_reported_others_write(
        self, tmp_path: Path
    ) -> None:
        async with self.running(tmp_path) as store:
            await store.commit([opened(), opened("t"), Accepted("s", 1, "m")])
            await store.claim("s", now=NOW)
            stale: list[Change] = [
                sent(1), answered("m", 1), Accepted("s", 1, "n"), Joined("s", 1, "red"),
                Identified("s", 1, ALICE), Detached("s", 1, NOW), Forgotten("s", 1, 1),
                AnswersForgotten("s", 1, 1), Ended("s", 1), opened("s"),
            ]  # fmt: skip
            changes = [Joined("t", 1, "red"), *stale, Sent("t", 1, 1, b"t")]
            assert await store.commit(changes) == {"s"}
            assert list(await store.frames("s", after=0, limit=10)) == []
            assert list(await store.frames("t", after=0, limit=10)) == [b"t"]
            found = await store.claim("s", now=NOW)
            assert found is not None
            assert (found.count, found.forgotten, found.rooms) == (0, 0, frozenset())
            assert found.owner.identity == ANONYMOUS

    async def test_the_new_epoch_writes(self, tmp_path: Path) -> None:
        async with self.running(tmp_path) as store:
            await store.commit([opened()])
            await store.claim("s", now=NOW)
            assert await store.commit([sent(1, epoch=2)]) == frozenset()
            assert list(await store.frames("s", after=0, limit=10)) == [b"message 1"]

    async def test_a_session_that_is_there_is_not_opened_again(self, tmp_path: Path) -> None:
        async with self.running(tmp_path) as store:
            await store.commit([opened(), sent(1)])
            assert await store.commit([opened(identity=ALICE)]) == {"s"}
            assert await store.owner("s") == SessionOwner(SECRET_DIGEST, "json", ANONYMOUS)
            assert list(await store.frames("s", after=0, limit=10)) == [b"message 1"]

    async def test_of_what_has_ended_nothing_is_kept(self, tmp_path: Path) -> None:
        async with self.running(tmp_path) as store:
            await store.commit([opened(), Accepted("s", 1, "m"), answered("m", 1), sent(2)])
            await store.commit([Accepted("s", 1, "n"), Joined("s", 1, "red"), Ended("s", 1)])
            assert await store.owner("s") is None
            assert await store.claim("s", now=NOW) is None
            assert list(await store.frames("s", after=0, limit=10)) == []
            assert list(await store.answers("s", after=0, limit=10)) == []
            await store.commit([opened()])  # no id is used twice; if it were, it would be new
            found = await store.claim("s", now=NOW)
            assert found is not None
            assert (found.count, found.rooms, found.interrupted) == (0, frozenset(), ())

    async def test_ending_what_is_over_is_done_already(self, tmp_path: Path) -> None:
        async with self.running(tmp_path) as store:
            await store.commit([opened()])
            assert await store.commit([Ended("s", 1), Ended("s", 1)]) == frozenset()
            assert await store.commit([Ended("s", 1)]) == frozenset()

    async def test_what_comes_after_the_end_is_reported(self, tmp_path: Path) -> None:
        async with self.running(tmp_path) as store:
            await store.commit([opened()])
            assert await store.commit([Ended("s", 1), sent(1)]) == {"s"}
            assert await store.commit([sent(1)]) == {"s"}
            assert await store.owner("s") is None

    async def test_pages_are_as_long_as_asked_for_and_shorter_only_at_the_end(
        self, tmp_path: Path
    ) -> None:
        async with self.running(tmp_path) as store:
            await store.commit([opened(), *(answered(f"m{n}", n) for n in range(1, 8))])
            await store.commit([Forgotten("s", 1, 2)])
            pages = [await store.frames("s", after=after, limit=2) for after in (2, 4, 6, 7)]
            assert [list(page) for page in pages] == [
                [b"answer 3", b"answer 4"], [b"answer 5", b"answer 6"], [b"answer 7"], [],
            ]  # fmt: skip
            answers = [await store.answers("s", after=after, limit=3) for after in (0, 3, 6, 7)]
            assert [[each.number for each in page] for page in answers] == [
                [1, 2, 3], [4, 5, 6], [7], [],
            ]  # fmt: skip

    @pytest.mark.parametrize("commits", ["one commit", "one for each change"])
    async def test_outbox_and_ledger_forget_by_themselves(
        self, tmp_path: Path, commits: str
    ) -> None:
        changes: list[Change] = [
            opened(),
            *(Accepted("s", 1, each) for each in "abcd"),
            answered("a", 1),
            sent(2),
            answered("b", 3, remember=False),
            answered("c", 4),
            answered("d", 5),
            Forgotten("s", 1, 4),
            AnswersForgotten("s", 1, 1),
            sent(6),
        ]
        async with self.running(tmp_path) as store:
            for batch in [changes] if commits == "one commit" else [[each] for each in changes]:
                assert await store.commit(batch) == frozenset()
            assert await self._held(store) == ([b"answer 5", b"message 6"], ["c", "d"])
            await store.commit([AnswersForgotten("s", 1, 5)])
            assert await self._held(store) == ([b"answer 5", b"message 6"], [])
            await store.commit([Forgotten("s", 1, 6)])
            assert await self._held(store) == ([], [])
        found, _ = await self.reclaimed(tmp_path)
        assert (found.count, found.forgotten, found.interrupted) == (6, 6, ())

    async def _held(self, store: Store) -> tuple[Sequence[bytes], list[str]]:
        found = await store.claim("t", now=NOW)
        assert found is None
        answers = await store.answers("s", after=0, limit=100)
        frames = await store.frames("s", after=0, limit=100)
        return list(frames), [each.message_id for each in answers]

    async def test_what_is_forgotten_is_not_remembered_again(self, tmp_path: Path) -> None:
        async with self.running(tmp_path) as store:
            await store.commit([opened(), answered("a", 1), answered("b", 2)])
            await store.commit([Forgotten("s", 1, 2), AnswersForgotten("s", 1, 2)])
            await store.commit([Forgotten("s", 1, 1), AnswersForgotten("s", 1, 1)])
            assert await self._held(store) == ([], [])

    async def test_an_answer_keeps_its_id_number_and_frame(self, tmp_path: Path) -> None:
        async with self.running(tmp_path) as store:
            await store.commit([opened(), Accepted("s", 1, "m"), sent(1), answered("m", 2)])
            assert list(await store.answers("s", after=0, limit=10)) == [
                StoredAnswer("m", 2, b"answer 2")
            ]

    async def test_what_ran_when_the_process_ended_is_interrupted_in_order(
        self, tmp_path: Path
    ) -> None:
        async with self.running(tmp_path) as store:
            await store.commit([opened(), *(Accepted("s", 1, each) for each in "dbca")])
            await store.commit([answered("b", 1), answered("c", 2, remember=False)])
        found, _ = await self.reclaimed(tmp_path)
        assert (found.interrupted, found.elsewhere) == (("d", "a"), ())

    async def test_it_is_reported_until_it_is_answered(self, tmp_path: Path) -> None:
        async with self.running(tmp_path) as store:
            await store.commit([opened(), Accepted("s", 1, "a"), Accepted("s", 1, "b")])
        first, _ = await self.reclaimed(tmp_path)
        later = NOW + 2 * LEASE_S
        async with self.running(tmp_path, "node-3", now=later) as store:
            again = await store.claim("s", now=later)
            assert again is not None
            assert first.interrupted == again.interrupted == ("a", "b")
            await store.commit([answered("a", 1, epoch=3, remember=False)])
            last = await store.claim("s", now=later)
            assert last is not None
            assert last.interrupted == ("b",)

    async def test_what_the_node_itself_runs_is_not_reported(self, tmp_path: Path) -> None:
        async with self.running(tmp_path) as store:
            await store.commit([opened(), Accepted("s", 1, "m")])
            found = await store.claim("s", now=NOW)
            assert found is not None
            assert (found.interrupted, found.elsewhere) == ((), ())

    async def test_a_freed_id_may_run_again(self, tmp_path: Path) -> None:
        async with self.running(tmp_path) as store:
            await store.commit([opened(), Accepted("s", 1, "m"), answered("m", 1, remember=False)])
            await store.commit([Accepted("s", 1, "m")])
            await store.commit([answered("m", 2, remember=False), Accepted("s", 1, "m")])
        found, _ = await self.reclaimed(tmp_path)
        assert found.interrupted == ("m",)

    async def test_rooms_are_entered_and_left_any_number_of_times(self, tmp_path: Path) -> None:
        async with self.running(tmp_path) as store:
            await store.commit([opened(), Joined("s", 1, "red"), Left("s", 1, "red")])
            await store.commit([Left("s", 1, "red"), Joined("s", 1, "red"), Joined("s", 1, "red")])
            await store.commit([*(Joined("s", 1, room) for room in UNUSUAL_IDS)])
            await store.commit([Joined("s", 1, "red"), Left("s", 1, UNUSUAL_IDS[0])])
            found = await store.claim("s", now=NOW)
            assert found is not None
            assert found.rooms == {"red", *UNUSUAL_IDS[1:]}

    async def test_a_detached_session_can_be_claimed_until_its_window_is_over(
        self, tmp_path: Path
    ) -> None:
        async with self.running(tmp_path) as store:
            await store.commit([opened(), Detached("s", 1, NOW + 10)])
            assert await store.claim("s", now=NOW + 10) is None
            found = await store.claim("s", now=NOW + 9.5)
            assert found is not None
            assert await store.claim("s", now=NOW + 1000)  # claimed is attached

    async def test_expiring_ends_what_is_over_in_pages(self, tmp_path: Path) -> None:
        async with self.running(tmp_path) as store:
            for place in range(5):
                name = f"s{place}"
                await store.commit([opened(name), Sent(name, 1, 1, b"frame")])
                await store.commit([Detached(name, 1, NOW + place)])
            assert list(await store.expire(now=NOW - 1, limit=10)) == []
            first = await store.expire(now=NOW + 3, limit=3)
            second = await store.expire(now=NOW + 3, limit=3)
            assert (len(first), len(second)) == (3, 1)
            assert sorted([*first, *second]) == ["s0", "s1", "s2", "s3"]
            assert await store.owner("s0") is None
            assert await store.owner("s4") is not None
            assert await store.commit([Sent("s0", 1, 2, b"late")]) == {"s0"}

    async def test_what_is_attached_does_not_expire(self, tmp_path: Path) -> None:
        async with self.running(tmp_path) as store:
            await store.commit([opened(), Detached("s", 1, NOW), Attached("s", 1)])
            assert list(await store.expire(now=NOW + 1e6, limit=10)) == []

    async def test_what_was_attached_to_a_dead_node_has_its_window(self, tmp_path: Path) -> None:
        async with self.running(tmp_path) as store:
            await store.commit([opened("s"), opened("t")])
        late = NOW + LEASE_S
        async with self.running(tmp_path, "node-2", now=late) as store:
            assert await store.claim("s", now=late + WINDOW_S - LEASE_S - 1)
            assert list(await store.expire(now=late + WINDOW_S, limit=10)) == ["t"]

    async def test_large_frames_come_back_whole(self, tmp_path: Path) -> None:
        large = bytes(range(256)) * 16_384
        async with self.running(tmp_path) as store:
            await store.commit([opened(), Sent("s", 1, 1, large), Sent("s", 1, 2, b"")])
            assert list(await store.frames("s", after=0, limit=2)) == [large, b""]

    async def test_ids_are_any_text(self, tmp_path: Path) -> None:
        async with self.running(tmp_path) as store:
            for session_id in UNUSUAL_IDS:
                changes = [Accepted(session_id, 1, message_id) for message_id in UNUSUAL_IDS]
                await store.commit([opened(session_id), *changes])
        async with self.running(tmp_path, "node-2", now=NOW + LEASE_S) as store:
            for session_id in UNUSUAL_IDS:
                found = await store.claim(session_id, now=NOW + LEASE_S)
                assert found is not None
                assert (found.id, found.interrupted) == (session_id, UNUSUAL_IDS)

    async def test_concurrent_commits_take_effect_in_the_order_of_their_calls(
        self, tmp_path: Path
    ) -> None:
        async with self.running(tmp_path) as store:
            await store.commit([opened()])
            numbers = iter(range(1, 51))

            async def send_the_next() -> None:  # event loops begin tasks in any order
                number = next(numbers)
                await store.commit([sent(number), Forgotten("s", 1, number - 1)])

            async with anyio.create_task_group() as tasks:
                for _ in range(50):
                    tasks.start_soon(send_the_next)
            assert list(await store.frames("s", after=49, limit=2)) == [b"message 50"]

    async def test_a_caller_that_is_cancelled_takes_nothing_back(self, tmp_path: Path) -> None:
        async with self.running(tmp_path) as store:
            await store.commit([opened()])
            with anyio.CancelScope() as scope:
                scope.cancel()
                await store.commit([sent(1), sent(2)])
            frames = list(await store.frames("s", after=0, limit=10))
            assert frames in ([], [b"message 1", b"message 2"])
            number = len(frames) + 1
            assert await store.commit([sent(number)]) == frozenset()
            assert len(await store.frames("s", after=0, limit=10)) == number


class SharedStoreContract(StoreContract):
    """What several nodes see that use a store at the same time."""

    async def test_who_claims_takes_the_session_over(self, tmp_path: Path) -> None:
        async with self.running(tmp_path) as one, self.running(tmp_path, "node-2") as two:
            await one.commit([opened(), sent(1)])
            found = await two.claim("s", now=NOW)
            assert found is not None
            assert await one.commit([sent(2)]) == {"s"}
            assert await two.commit([sent(2, epoch=2)]) == frozenset()
            assert list(await one.frames("s", after=1, limit=2)) == [b"message 2"]

    async def test_what_another_living_node_runs_is_elsewhere(self, tmp_path: Path) -> None:
        async with self.running(tmp_path) as one, self.running(tmp_path, "node-2") as two:
            await one.commit([opened(), Accepted("s", 1, "a"), Accepted("s", 1, "b")])
            found = await two.claim("s", now=NOW)
            assert found is not None
            assert (found.interrupted, found.elsewhere) == ((), ("a", "b"))

    async def test_it_is_interrupted_when_the_lease_is_over(self, tmp_path: Path) -> None:
        async with self.running(tmp_path) as one, self.running(tmp_path, "node-2") as two:
            await one.commit([opened(), Accepted("s", 1, "m")])
            await one.renew(now=NOW + 10, lease_s=LEASE_S)
            before = await two.claim("s", now=NOW + 10 + LEASE_S - 1)
            after = await two.claim("s", now=NOW + 10 + LEASE_S)
            assert before is not None
            assert after is not None
            assert (before.interrupted, before.elsewhere) == ((), ("m",))
            assert (after.interrupted, after.elsewhere) == (("m",), ())

    async def test_a_session_of_a_living_node_does_not_expire(self, tmp_path: Path) -> None:
        async with self.running(tmp_path) as one, self.running(tmp_path, "node-2") as two:
            await one.commit([opened()])
            await one.renew(now=NOW, lease_s=1000)
            assert list(await two.expire(now=NOW + 999, limit=10)) == []
            assert list(await two.expire(now=NOW + 1000 + WINDOW_S, limit=10)) == ["s"]
