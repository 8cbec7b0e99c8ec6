"""Matching in linear time: a nondeterministic automaton, made deterministic when it is loaded.

Each character of a text costs finding its class and one look into a dict. No text makes it slower
than that, because everything it can lead to is known beforehand: a pattern that can be in too many
sets of states at once (``[ab]*a[ab]{500}c``) is refused. Linear-time engines take its size times
the length of the text, which is seconds for a text that a client is free to choose.
"""

from __future__ import annotations

import unicodedata
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from functools import cache, lru_cache
from typing import Final, NamedTuple

from .patterns import (
    CharacterClass,
    Choice,
    End,
    Pattern,
    PatternError,
    Repeat,
    Sequence_,
    Start,
    parse,
)

MAX_STATES: Final = 4_000
"""States of one automaton."""
MAX_POSITIONS: Final = 3_000
"""Sets of states that can be met together."""
MAX_STEPS: Final = 200_000
"""States that are looked at while all of these sets are found; a second at most."""
MAX_KNOWN: Final = 10_000
"""Characters whose class one automaton remembers, before it forgets them all."""


class _Step(NamedTuple):
    """One state: what it waits for, and where it leads."""

    waits_for: CharacterClass | Start | End | None
    """None: it leads on without waiting; with nowhere to go, it is the end of the pattern."""
    leads_to: list[int]


class _Position:
    """A set of states that can be met together."""

    __slots__ = ("found", "hopeless", "onward", "states")

    def __init__(self, states: frozenset[int], *, found: bool, hopeless: bool) -> None:
        self.states = states
        self.found = found
        self.hopeless = hopeless
        self.onward: dict[int, _Position] = {}
        """Where a character leads, by the number of its class."""


@cache
def _one_of_each_category() -> tuple[str, ...]:
    """A character of each general category that patterns can name."""
    found: dict[str, str] = {}
    for point in (*range(0x3000), 0xE000):
        found.setdefault(unicodedata.category(chr(point)), chr(point))
    return tuple(found.values())


class _Alphabet:
    """Characters that no state of an automaton tells apart are one class, which has a number."""

    def __init__(self, classes: Iterable[CharacterClass]) -> None:
        self._classes = list(dict.fromkeys(classes))
        ranges = [
            each for one in self._classes for some in (one.ranges, *one.without) for each in some
        ]
        self._bounds = sorted({bound for first, last in ranges for bound in (first, last + 1)})
        self._by_category = any(each.categories for each in self._classes)
        self._numbers: dict[tuple[bool, ...], int] = {}
        self._of_segment: dict[tuple[int, str], int] = {}
        self.known: dict[str, int] = {}
        """Numbers that were found before, by character."""
        self.samples: list[str] = []
        """One character of each class, by its number."""

    def explore(self) -> Iterator[str]:
        """One character of each class."""
        starts = [0, *self._bounds]
        ends = [*self._bounds, 0x110000]
        for first, end in zip(starts, ends, strict=True):
            if first < end:
                self.number(chr(first))
        if self._by_category:
            for sample in _one_of_each_category():
                self.number(sample)
        yield from self.samples

    def number(self, character: str) -> int:
        """The number of its class, which is not known yet."""
        category = unicodedata.category(character) if self._by_category else ""
        segment = bisect_right(self._bounds, ord(character)), category
        number = self._of_segment.get(segment)
        if number is None:
            signature = tuple(each.has(character) for each in self._classes)
            number = self._numbers.setdefault(signature, len(self._numbers))
            if number == len(self.samples):
                self.samples.append(character)
            self._of_segment[segment] = number
        if len(self.known) >= MAX_KNOWN:
            self.known.clear()
        self.known[character] = number
        return number


class Automaton:
    """Finds a pattern anywhere in a text, as ``pattern`` of JSON Schema wants it.

    Raises:
        PatternError: the pattern is malformed, not supported, or too large.
    """

    def __init__(self, text: str) -> None:
        self._steps: list[_Step] = []
        self._first = self._add(parse(text), self._state(None, []))
        self._end = 0
        self._restart = self._closure([self._first], at_start=False)
        self._positions: dict[frozenset[int], _Position] = {}
        self._looked_at = 0
        self._begin = self._position(self._closure([self._first], at_start=True) | self._restart)
        waited_for = (each.waits_for for each in self._steps)
        self._alphabet = _Alphabet(each for each in waited_for if isinstance(each, CharacterClass))
        self._explore()

    # Making it

    def _state(self, waits_for: CharacterClass | Start | End | None, leads_to: list[int]) -> int:
        if len(self._steps) >= MAX_STATES:
            raise PatternError("it is too large: its repetitions multiply")
        self._steps.append(_Step(waits_for, leads_to))
        return len(self._steps) - 1

    def _add(self, pattern: Pattern, after: int) -> int:
        """Add the states of a pattern; returns its first one."""
        if isinstance(pattern, Sequence_):
            for part in reversed(pattern.parts):
                after = self._add(part, after)
            return after
        if isinstance(pattern, Choice):
            return self._state(None, [self._add(each, after) for each in pattern.options])
        if isinstance(pattern, Repeat):
            return self._add_repeat(pattern, after)
        return self._state(pattern, [after])

    def _add_repeat(self, pattern: Repeat, after: int) -> int:
        if pattern.most is None:
            loop = self._state(None, [after])
            self._steps[loop].leads_to.append(self._add(pattern.part, loop))
            after = loop
        else:
            behind = after
            for _ in range(pattern.most - pattern.least):
                after = self._state(None, [behind, self._add(pattern.part, after)])
        for _ in range(pattern.least):
            after = self._add(pattern.part, after)
        return after

    def _explore(self) -> None:
        """Find every set of states that can be met together."""
        samples = list(self._alphabet.explore())
        left = [self._begin]
        seen = {self._begin.states}
        while left:
            position = left.pop()
            if position.found or position.hopeless:
                continue
            for number, character in enumerate(samples):
                following = self._advance(position, number, character)
                if following.states not in seen:
                    seen.add(following.states)
                    left.append(following)
                if len(seen) > MAX_POSITIONS or self._looked_at > MAX_STEPS:
                    raise PatternError(
                        "it can be in too many states at once: anchor it with '^', shorten what it "
                        "counts, or let what stands side by side have no characters in common"
                    )

    # Running it

    def _closure(
        self, states: Iterable[int], *, at_start: bool, at_end: bool = False
    ) -> frozenset[int]:
        """The states that wait for a character or the end, and the last one, from ``states`` on."""
        found: set[int] = set()
        seen: set[int] = set()
        left = list(states)
        while left:
            state = left.pop()
            if state in seen:
                continue
            seen.add(state)
            waits_for, leads_to = self._steps[state]
            passes = (isinstance(waits_for, Start) and at_start) or (
                isinstance(waits_for, End) and at_end
            )
            if passes or (waits_for is None and leads_to):
                left += leads_to
            elif not isinstance(waits_for, Start):
                found.add(state)
        return frozenset(found)

    def _position(self, states: frozenset[int]) -> _Position:
        known = self._positions.get(states)
        if known is None:
            found = self._end in states
            hopeless = not states and not self._restart
            known = self._positions[states] = _Position(states, found=found, hopeless=hopeless)
        return known

    def _advance(self, position: _Position, number: int, character: str) -> _Position:
        self._looked_at += 1 + len(position.states)
        after: list[int] = []
        for state in position.states:
            waits_for, leads_to = self._steps[state]
            if isinstance(waits_for, CharacterClass) and waits_for.has(character):
                after += leads_to
        states = self._closure(after, at_start=False) | self._restart
        self._looked_at += len(states)
        following = position.onward[number] = self._position(states)
        return following

    def finds(self, text: str) -> bool:
        """Is the pattern somewhere in ``text``?"""
        position = self._begin
        if position.found:
            return True
        known = self._alphabet.known
        for character in text:
            number = known.get(character)
            if number is None:
                number = self._alphabet.number(character)
            following = position.onward.get(number)
            # Never None but for a category that Unicode has and no sample is of.
            position = (
                self._advance(position, number, character) if following is None else following
            )
            if position.found:
                return True
            if position.hopeless:
                return False
        return self._end in self._closure(position.states, at_start=not text, at_end=True)


@lru_cache(maxsize=1_000)
def automaton(text: str) -> Automaton:
    """The automaton of a pattern, made once.

    Raises:
        PatternError: the pattern is malformed, not supported, or too large.
    """
    return Automaton(text)
