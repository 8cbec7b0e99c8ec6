"""The ring: what is remembered, and how much of it."""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Callable
from typing import Any

from wsframe_monitoring.autopsy.records import MAX_EVENTS, MAX_REPEATS

Make = Callable[..., Any]


def test_the_oldest_message_goes_when_there_are_too_many(recorded: Make) -> None:
    scene = recorded(max_messages=3)
    for number in range(5):
        scene.accept(f"m{number}")
    assert [len(scene.ring.find(f"m{number}")) for number in range(5)] == [0, 0, 1, 1, 1]
    assert (len(scene.ring), scene.ring.forgotten) == (3, 2)


def test_the_oldest_message_goes_when_they_take_too_much(recorded: Make) -> None:
    scene = recorded(max_bytes=20_000)
    for number in range(100):
        scene.accept(f"m{number}")
    assert 10 < len(scene.ring) < 100
    assert scene.ring.bytes <= 20_000
    assert scene.ring.oldest.id == f"m{100 - len(scene.ring)}"


def test_a_long_id_takes_the_place_of_several_short_ones(recorded: Make) -> None:
    short, long = recorded(max_bytes=50_000), recorded(max_bytes=50_000)
    for number in range(100):
        short.accept(f"{number}")
        long.accept(f"{number}" * 200)
    assert 2 * len(long.ring) < len(short.ring)


def test_gates_repetitions_and_events_count(recorded: Make) -> None:
    scene = recorded()
    scene.accept("m")
    sizes = [scene.ring.bytes]
    conversation = scene.conversation()
    conversation.gated("m", "auth", 0.001, None)
    sizes.append(scene.ring.bytes)
    conversation.repeated("m", None)
    sizes.append(scene.ring.bytes)
    conversation.dropped("c1", 1006)
    sizes.append(scene.ring.bytes)
    assert sizes == sorted(set(sizes))


def test_what_one_message_and_one_session_can_take_is_bounded(recorded: Make) -> None:
    scene = recorded()
    scene.answer(scene.accept("m"), 1)
    for number in range(1_000):
        scene.conversation().repeated("m", number + 2)
        scene.conversation().dropped("c1", 1006)
    (record,) = scene.ring.find("m")
    assert (len(record.repeats), record.repeated) == (MAX_REPEATS, 1_000)
    assert len(record.conversation.events) == MAX_EVENTS
    assert scene.told("m")["eventsForgotten"] == 1_000 - MAX_EVENTS
    assert scene.ring.bytes < 50_000


def test_a_closed_ring_has_nothing_and_takes_nothing(recorded: Make) -> None:
    scene = recorded()
    for number in range(10):
        scene.answer(scene.accept(f"m{number}"), number + 1)
        scene.conversation().gated(f"m{number}", "auth", 0.001, None)
        scene.conversation().dropped("c1", 1006)
    scene.ring.close()
    scene.accept("m11")
    assert (scene.ring.bytes, len(scene.ring), scene.ring.oldest) == (0, 0, None)
    assert scene.ring.find("m1") == scene.ring.find_all("s1") == []


def test_what_happens_to_a_forgotten_message_is_not_noted(recorded: Make) -> None:
    scene = recorded(max_messages=1)
    first = scene.accept("a")
    scene.accept("b")
    scene.conversation().gated("a", "auth", 0.001, None)
    scene.answer(first, 1)
    scene.conversation().acknowledged(1)
    scene.conversation().repeated("a", 2)
    assert scene.ring.find("a") == []
    assert len(scene.ring) == 1


def test_messages_that_are_never_acknowledged_leave_nothing_behind(recorded: Make) -> None:
    scene = recorded(begun=False, max_messages=10)
    for number in range(1, 1_000):
        scene.answer(scene.accept(f"m{number}"), number)
    assert len(scene.conversation()._unacknowledged) == 10


def test_the_same_id_in_two_sessions_is_two_messages(recorded: Make) -> None:
    scene = recorded()
    scene.accept("1", session_id="s1")
    scene.accept("1", session_id="s2")
    assert [one.conversation.session_id for one in scene.ring.find("1")] == ["s1", "s2"]
    assert len(scene.ring.find("1", "s2")) == 1
    assert len(scene.ring.find_all("s2")) == 1
    assert len(scene.ring.find_all("c1")) == 2


def test_the_estimate_is_not_below_what_is_really_taken(recorded: Make) -> None:
    scene = recorded(max_messages=5_000, max_bytes=100_000_000)
    gc.collect()
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        for number in range(2_000):
            scene.now += 0.001
            message_id = f"message-{number}"
            handling = scene.accept(message_id, session_id="s1")
            scene.conversation().gated(message_id, "auth", 0.000_1 * number, None)
            scene.answer(handling, number + 1)
            del handling
        scene.conversation().acknowledged(2_000)
        gc.collect()
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert after - before <= scene.ring.bytes
