"""The outbox: in order, numbered, bounded."""

from __future__ import annotations

import pytest

from wsframe.session import Gap, Outbox


def make_outbox(*, max_messages: int = 4, max_bytes: int = 100, keep: bool = False) -> Outbox:
    return Outbox(max_messages=max_messages, max_bytes=max_bytes, keep=keep)


def test_what_is_written_at_once_is_counted_and_not_kept() -> None:
    outbox = make_outbox()
    outbox.written(b"a")
    outbox.written(b"b")
    assert (outbox.count, outbox.cursor, len(outbox), outbox.size) == (2, 2, 0, 0)
    assert not outbox.waiting


def test_what_is_held_is_taken_in_order() -> None:
    outbox = make_outbox()
    outbox.hold(b"a")
    outbox.hold(b"b")
    assert outbox.waiting
    assert outbox.take() == [b"a", b"b"]
    assert not outbox.waiting
    assert outbox.size == 0
    assert outbox.take() == []


def test_frames_without_a_number_keep_their_place() -> None:
    outbox = make_outbox(max_messages=9)
    outbox.hold_unnumbered(b"pong 1")
    outbox.hold(b"a")
    outbox.hold_unnumbered(b"pong 2")
    outbox.hold_unnumbered(b"pong 3")
    outbox.hold(b"b")
    outbox.hold_unnumbered(b"pong 4")
    assert outbox.take() == [b"pong 1", b"a", b"pong 2", b"pong 3", b"b", b"pong 4"]
    assert outbox.count == 2
    assert outbox.size == 0


def test_only_frames_without_a_number_may_wait() -> None:
    outbox = make_outbox()
    outbox.hold_unnumbered(b"pong")
    assert outbox.waiting
    assert len(outbox) == 1
    assert outbox.take() == [b"pong"]


def test_a_frame_without_a_number_is_refused_when_there_is_no_room() -> None:
    outbox = make_outbox(max_messages=1)
    outbox.hold(b"a")
    assert not outbox.hold_unnumbered(b"pong")
    outbox = make_outbox(max_bytes=3)
    assert not outbox.hold_unnumbered(b"pong")


def test_it_overflows_when_something_goes_that_was_never_written() -> None:
    outbox = make_outbox(max_messages=2)
    for frame in (b"a", b"b"):
        outbox.hold(frame)
    assert not outbox.overflowed
    outbox.hold(b"c")
    assert outbox.overflowed
    assert outbox.take() == [b"b", b"c"]


def test_it_overflows_by_size_too() -> None:
    outbox = make_outbox(max_bytes=10)
    outbox.hold(b"x" * 8)
    outbox.hold(b"x" * 8)
    assert outbox.overflowed
    assert outbox.size == 8


def test_a_frame_larger_than_the_whole_outbox_is_not_kept() -> None:
    outbox = make_outbox(max_bytes=10)
    outbox.hold(b"x" * 11)
    assert outbox.overflowed
    assert (len(outbox), outbox.size) == (0, 0)


def test_with_keep_what_is_written_stays_until_it_is_acknowledged() -> None:
    outbox = make_outbox(keep=True)
    outbox.written(b"a")
    outbox.hold(b"b")
    assert outbox.take() == [b"b"]
    assert len(outbox) == 2
    assert outbox.acknowledge(1)
    assert (outbox.first, len(outbox), outbox.size) == (2, 1, 1)


def test_with_keep_dropping_what_was_written_is_no_overflow() -> None:
    outbox = make_outbox(max_messages=2, keep=True)
    for frame in (b"a", b"b", b"c"):
        outbox.written(frame)
    assert not outbox.overflowed
    assert outbox.first == 2


def test_what_was_never_written_cannot_be_acknowledged() -> None:
    outbox = make_outbox(keep=True)
    outbox.written(b"a")
    outbox.hold(b"b")
    assert not outbox.acknowledge(2)
    assert len(outbox) == 2
    assert outbox.acknowledge(0)


def test_what_waits_for_its_release_is_taken_when_it_is_released() -> None:
    outbox = make_outbox()
    outbox.released = 0
    outbox.hold(b"a")
    outbox.hold_unnumbered(b"pong")
    outbox.hold(b"b")
    assert outbox.take() == []
    outbox.released = 1
    assert outbox.due == 1
    assert outbox.take() == [b"a", b"pong"]
    outbox.released = 9
    assert outbox.due == 2
    assert outbox.take() == [b"b"]


def test_what_was_evicted_before_its_release_leaves_nothing_to_take_until_then() -> None:
    outbox = make_outbox(max_messages=2)
    outbox.released = 1
    for frame in (b"a", b"b", b"c", b"d", b"e"):
        outbox.hold(frame)
    assert outbox.take() == []
    assert outbox.overflowed
    outbox.released = 5
    assert outbox.take() == [b"d", b"e"]


def test_what_is_here_is_listed_with_its_numbers() -> None:
    outbox = make_outbox(max_messages=2, keep=True)
    assert list(outbox.here()) == []
    for frame in (b"a", b"b", b"c"):
        outbox.written(frame)
    assert list(outbox.here()) == [(2, b"b"), (3, b"c")]


def test_the_newest_message_can_be_replaced_while_it_waits() -> None:
    outbox = make_outbox(max_bytes=10)
    outbox.hold(b"aaaa")
    outbox.hold(b"bbbb")
    outbox.replace_newest(b"cccccccc")
    assert (outbox.first, outbox.count, outbox.size) == (2, 2, 8)
    assert outbox.take() == [b"cccccccc"]


@pytest.mark.parametrize("empty", [True, False])
def test_what_is_gone_or_written_cannot_be_replaced(empty: bool) -> None:
    outbox = make_outbox(keep=True)
    if not empty:
        outbox.written(b"a")
    with pytest.raises(AssertionError, match="the newest message is"):
        outbox.replace_newest(b"b")


def test_a_frame_without_a_number_takes_the_place_of_what_is_only_kept_for_replay() -> None:
    outbox = make_outbox(max_messages=3, keep=True)
    for frame in (b"a", b"b", b"c"):
        outbox.written(frame)
    assert outbox.hold_unnumbered(b"pong")
    assert list(outbox.here()) == [(2, b"b"), (3, b"c")]
    assert not outbox.overflowed


def test_a_frame_without_a_number_evicts_what_its_size_needs() -> None:
    outbox = make_outbox(max_bytes=10, keep=True)
    for frame in (b"aaaa", b"bbbb"):
        outbox.written(frame)
    assert outbox.hold_unnumbered(b"pong")
    assert list(outbox.here()) == [(2, b"bbbb")]
    assert outbox.size == 8


def test_frames_without_a_number_take_room_from_those_that_come_after() -> None:
    outbox = make_outbox(max_bytes=10, keep=True)
    outbox.written(b"aaaa")
    outbox.hold_unnumbered(b"pong")
    outbox.hold(b"bbbb")
    assert list(outbox.here()) == [(2, b"bbbb")]
    assert outbox.size == 8


def test_a_frame_without_a_number_that_cannot_fit_evicts_nothing() -> None:
    outbox = make_outbox(max_bytes=10, keep=True)
    outbox.written(b"a" * 4)
    outbox.hold(b"b" * 4)
    assert not outbox.hold_unnumbered(b"p" * 7)
    assert list(outbox.here()) == [(1, b"aaaa"), (2, b"bbbb")]


def test_it_is_crowded_when_half_of_it_waits() -> None:
    outbox = make_outbox(max_messages=4, max_bytes=100, keep=True)
    for _ in range(4):
        outbox.written(b"x" * 25)
    assert not outbox.crowded  # full, but of what was written
    outbox.hold(b"a")
    assert not outbox.crowded
    outbox.hold(b"b")
    assert outbox.crowded


def test_large_frames_crowd_it_sooner() -> None:
    outbox = make_outbox(max_messages=9, max_bytes=100)
    outbox.hold(b"x" * 49)
    assert not outbox.crowded
    outbox.hold(b"x")
    assert outbox.crowded


def test_frames_without_a_number_crowd_it_too() -> None:
    outbox = make_outbox(max_messages=4, max_bytes=100)
    outbox.hold_unnumbered(b"x")
    assert not outbox.crowded
    outbox.hold_unnumbered(b"x")
    assert outbox.crowded
    outbox = make_outbox(max_messages=9, max_bytes=100)
    outbox.hold_unnumbered(b"x" * 50)
    assert outbox.crowded


def test_a_client_that_has_everything_misses_nothing() -> None:
    outbox = make_outbox(keep=True)
    assert outbox.rewind(0) is None
    outbox.written(b"a")
    assert outbox.rewind(1) is None
    assert outbox.take() == []
    assert len(outbox) == 0


def test_what_the_client_has_forgotten_again_is_a_gap() -> None:
    outbox = make_outbox(keep=True)
    for frame in (b"a", b"b", b"c"):
        outbox.written(frame)
    outbox.acknowledge(2)
    assert outbox.rewind(0) == Gap(1, 2)
    assert outbox.take() == [b"c"]


def test_what_a_store_has_kept_goes_on_where_it_was() -> None:
    outbox = make_outbox(keep=True)
    outbox.restore(forgotten=2, frames=[b"c", b"d"], received=3)
    assert (outbox.first, outbox.cursor, outbox.count, outbox.size) == (3, 3, 4, 2)
    assert outbox.rewind(3) is None
    assert outbox.take() == [b"d"]


def test_what_a_client_has_received_and_the_store_never_had_is_counted() -> None:
    outbox = make_outbox(keep=True)
    outbox.restore(forgotten=2, frames=[b"c", b"d"], received=6)
    assert (outbox.first, outbox.cursor, outbox.count, outbox.size) == (7, 6, 6, 0)
    assert outbox.rewind(6) is None
    outbox.written(b"g")
    assert list(outbox.here()) == [(7, b"g")]


def test_only_a_new_outbox_can_take_over_what_a_store_has_kept() -> None:
    outbox = make_outbox(keep=True)
    outbox.written(b"a")
    with pytest.raises(AssertionError, match="new"):
        outbox.restore(forgotten=0, frames=[], received=0)
