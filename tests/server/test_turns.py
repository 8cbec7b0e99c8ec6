"""Turns of the event loop: everything is read, then handled, then written."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from wsframe.server.turns import MANY_READS, MAX_READS, PORTION_BYTES, TOGETHER_BYTES, Turns


class Loop:
    """An event loop whose turns a test makes."""

    def __init__(self) -> None:
        self.log: list[str] = []
        self.soon: list[Callable[[], None]] = []
        self.turns = Turns(self.soon.append)

    def turn(self) -> None:
        soon = self.soon[:]
        self.soon.clear()
        for function in soon:
            function()


class Link:
    """Answers what it takes."""

    def __init__(self, loop: Loop, name: str) -> None:
        self.loop = loop
        self.name = name
        self.output = b" "
        self.raising: BaseException | None = None

    def take(self, data: bytes) -> None:
        self.loop.log.append(f"{self.name} takes {data.decode()}")
        if self.raising is not None:
            raise self.raising
        self.loop.turns.flush(self)

    def flush(self) -> None:
        self.transport_write(self.take_output())

    def take_output(self) -> bytes:
        return self.output

    def transport_write(self, data: bytes) -> None:
        self.loop.log.append(f"{self.name} writes {data.decode()}".rstrip())
        if self.raising is not None:
            raise self.raising

    def failed(self, error: Exception) -> None:
        self.loop.log.append(f"{self.name} failed: {error}")


@pytest.fixture
def loop() -> Loop:
    return Loop()


def test_everybody_is_handled_before_anybody_writes(loop: Loop) -> None:
    a, b = Link(loop, "a"), Link(loop, "b")
    loop.turns.received(a, b"1")
    loop.turns.received(b, b"2")
    loop.turns.received(a, b"3")
    assert not loop.log
    assert len(loop.soon) == 1
    loop.turn()
    assert loop.log == ["a takes 1", "b takes 2", "a takes 3", "a writes", "b writes", "a writes"]


def test_nobody_waits_for_more_reads_than_the_limit(loop: Loop) -> None:
    a = Link(loop, "a")
    for _ in range(MAX_READS):
        loop.turns.received(a, b"x")
    assert loop.log == ["a takes x"] * MAX_READS + ["a writes"] * MAX_READS
    loop.log.clear()
    loop.turn()  # it finds nothing to do
    assert not loop.log
    loop.turns.received(a, b"y")
    loop.turn()
    assert loop.log == ["a takes y", "a writes"]


def test_many_reads_wait_for_those_of_one_more_turn(loop: Loop) -> None:
    a, late = Link(loop, "a"), Link(loop, "late")
    for _ in range(MANY_READS):
        loop.turns.received(a, b"x")
    loop.turn()
    assert not loop.log
    for _ in range(MANY_READS):
        loop.turns.received(late, b"y")
    loop.turn()  # not once more
    assert loop.log[: 2 * MANY_READS] == ["a takes x"] * MANY_READS + ["late takes y"] * MANY_READS
    assert loop.log[2 * MANY_READS :] == ["a writes"] * MANY_READS + ["late writes"] * MANY_READS
    assert not loop.soon
    loop.log.clear()
    for _ in range(MANY_READS - 1):
        loop.turns.received(a, b"z")
    loop.turn()
    assert len(loop.log) == 2 * (MANY_READS - 1)


def test_what_was_handled_is_written_in_portions(loop: Loop) -> None:
    big, a, b = Link(loop, "big"), Link(loop, "a"), Link(loop, "b")
    loop.turns.received(a, b"1")
    loop.turns.received(big, b"2" * PORTION_BYTES)
    loop.turns.received(b, b"3")
    loop.turn()
    steps = [line.replace("2" * PORTION_BYTES, "2") for line in loop.log]
    assert steps == ["a takes 1", "big takes 2", "a writes", "big writes", "b takes 3", "b writes"]


def test_who_must_not_wait_does_not(loop: Loop) -> None:
    a = Link(loop, "a")
    for _ in range(MANY_READS):
        loop.turns.received(a, b"x")
    loop.turn()
    loop.turns.handle()  # somebody's connection has ended
    assert len(loop.log) == 2 * MANY_READS
    loop.log.clear()
    loop.turn()
    assert not loop.log


def test_what_is_not_the_answer_to_a_read_is_written_in_the_next_turn(loop: Loop) -> None:
    a, b = Link(loop, "a"), Link(loop, "b")
    loop.turns.flush_soon(a)
    loop.turns.flush_soon(b)
    assert len(loop.soon) == 1
    loop.turn()
    assert loop.log == ["a writes", "b writes"]


def test_outside_of_handling_an_answer_is_written_at_once(loop: Loop) -> None:
    loop.turns.flush(Link(loop, "a"))
    assert loop.log == ["a writes"]
    assert not loop.soon


def test_what_handling_brings_to_others_is_written_behind_it(loop: Loop) -> None:
    a, b = Link(loop, "a"), Link(loop, "b")
    a.take = lambda data: loop.turns.flush_soon(b)  # type: ignore[method-assign]  # publishes
    loop.turns.received(a, b"1")
    loop.turn()
    assert loop.log == ["b writes"]
    assert not loop.soon


def test_one_that_cannot_be_written_does_not_cost_the_others_their_frames(loop: Loop) -> None:
    a, b = Link(loop, "a"), Link(loop, "b")
    a.raising = ValueError("broken")
    loop.turns.flush_soon(a)
    loop.turns.flush_soon(b)
    loop.turn()
    assert loop.log == ["a writes", "a failed: broken", "b writes"]


def test_whatever_ends_the_program_the_answers_so_far_are_written(loop: Loop) -> None:
    a, b = Link(loop, "a"), Link(loop, "b")
    b.raising = KeyboardInterrupt()
    loop.turns.received(a, b"1")
    loop.turns.received(b, b"2")
    with pytest.raises(KeyboardInterrupt):
        loop.turn()
    assert loop.log == ["a takes 1", "b takes 2", "a writes"]
    loop.turns.flush(a)  # and nothing is held back from now on
    assert loop.log[-1] == "a writes"


def test_many_get_the_same_before_each_gets_its_own(loop: Loop) -> None:
    a, b, c = Link(loop, "a"), Link(loop, "b"), Link(loop, "c")
    loop.turns.flush_soon(c)
    loop.turns.write_together([a, b], b"1")
    loop.turns.flush_soon(a)
    assert len(loop.soon) == 1
    loop.turn()
    assert loop.log == ["a writes 1", "b writes 1", "c writes", "a writes"]


def test_what_the_same_links_get_is_put_together(loop: Loop) -> None:
    a, b = Link(loop, "a"), Link(loop, "b")
    for output in (b"1", b"2", b"3"):
        loop.turns.write_together([a, b], output)
    loop.turns.write_together([b, a], b"4")  # not the same: they may differ in what they have
    assert loop.log == ["a writes 123", "b writes 123"]
    loop.turn()
    assert loop.log[2:] == ["b writes 4", "a writes 4"]
    assert not loop.soon


def test_what_is_put_together_has_a_limit(loop: Loop) -> None:
    a = Link(loop, "a")
    loop.turns.write_together([a], b"x" * TOGETHER_BYTES)
    loop.turns.write_together([a], b"y")
    assert loop.log == ["a writes " + "x" * TOGETHER_BYTES]
    loop.turn()
    assert loop.log[1:] == ["a writes y"]


def test_many_of_whom_one_cannot_be_written(loop: Loop) -> None:
    links = [Link(loop, name) for name in "abcd"]
    links[1].raising = ValueError("broken")
    links[3].raising = ValueError("broken too")
    loop.turns.write_together(links, b"1")
    loop.turn()
    assert loop.log == [
        "a writes 1",
        "b writes 1",
        "b failed: broken",
        "c writes 1",
        "d writes 1",
        "d failed: broken too",
    ]


def test_what_many_get_while_reads_are_handled_is_written_with_their_portion(loop: Loop) -> None:
    a, b = Link(loop, "a"), Link(loop, "b")
    a.take = lambda data: loop.turns.write_together([b], data)  # type: ignore[method-assign]
    loop.turns.received(a, b"1")
    loop.turn()
    assert loop.log == ["b writes 1"]
    assert not loop.soon


def test_a_link_with_nothing_to_write_is_left_out(loop: Loop) -> None:
    a, b = Link(loop, "a"), Link(loop, "b")
    a.output = b""
    loop.turns.flush_soon(a)
    loop.turns.flush_soon(b)
    loop.turn()
    assert loop.log == ["b writes"]
