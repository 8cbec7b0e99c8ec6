"""Patterns: what is refused when a schema is loaded, and what is matched, in linear time."""

from __future__ import annotations

import random
import time
import unicodedata

import jsonschema_rs
import pytest
from hypothesis import given
from hypothesis import strategies as st
from wsframe_validation.automata import MAX_KNOWN, Automaton
from wsframe_validation.patterns import PatternError

CATASTROPHIC = ["^(a+)+$", "^(a|a)*$", "^(a|aa)+$", "(.*a){20}$", "^(([a-z])+.)+[A-Z]([a-z])+$"]


@pytest.mark.parametrize("pattern", CATASTROPHIC)
def test_a_catastrophic_pattern_costs_as_much_as_any_other(pattern: str) -> None:
    # Backtracking would need 2 ** 20,000 steps and not end while this computer exists.
    automaton = Automaton(pattern)
    begun = time.thread_time()
    assert not automaton.finds("a" * 20_000 + "!")
    assert time.thread_time() - begun < 5


def test_every_step_is_known_before_there_is_a_text(monkeypatch: pytest.MonkeyPatch) -> None:
    automaton = Automaton("(a|b)*a(a|b){8}c")

    def unexpected(*_: object) -> object:
        raise AssertionError("a step was taken anew")

    monkeypatch.setattr(automaton, "_advance", unexpected)
    # Where a text goes on as chance has it, as many sets of states are met as there are.
    chance = random.Random(1)
    assert not automaton.finds("".join(chance.choices("ab", k=20_000)) + "é😀\n")


@pytest.mark.parametrize(
    "pattern",
    [
        "[ab]*a[ab]{500}c",  # 20 s for 300,000 characters even in Rust
        "(a|b)*a(a|b){900}$",
        "a.{20}b",
        "^([a-z]{1,30}-?){1,30}$",
        "\\d{1,1000}x",
    ],
)
def test_a_pattern_that_can_be_in_too_many_states_is_refused(pattern: str) -> None:
    with pytest.raises(PatternError, match="too many states at once"):
        Automaton(pattern)


@pytest.mark.parametrize(
    "pattern",
    [
        "^.{1,1000}$",
        "^[^@\\s]+@[^@\\s]+\\.[^@\\s]+$",
        "^(?:[a-z]{1,63}\\.){1,10}[a-z]{2,63}$",
        "^[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}$",
        "^https?://\\S{1,1000}$",
        "^[\\p{L}\\p{M}' -]{1,100}$",
    ],
)
def test_patterns_that_people_use_are_not(pattern: str) -> None:
    Automaton(pattern)


def test_what_an_automaton_remembers_is_bounded() -> None:
    automaton = Automaton("^[\\p{L}x]*$")
    automaton.finds("".join(map(chr, range(0x4E00, 0x4E00 + MAX_KNOWN + 500))))
    assert len(automaton._alphabet.known) <= MAX_KNOWN
    assert len(automaton._positions) < 5


def test_a_category_that_no_sample_is_of_is_found_when_it_comes() -> None:
    automaton = Automaton("^\\P{L}$")
    assert unicodedata.category("\udc80") == "Cs"
    assert automaton.finds("\udc80")


@pytest.mark.parametrize(
    ("pattern", "reason"),
    [
        ("^(?=.*a)b", "looks ahead"),
        ("^(?!a)", "looks ahead"),
        ("(?<=a)b", "looks behind"),
        ("(?<!a)b", "looks behind"),
        (r"(a)\1", "refers back"),
        (r"(?<x>a)\k<x>", "refers back"),
        ("(?i)a", "inline flags"),
        (r"\bword\b", "escape"),
        (r"a\Z", "escape"),
        (r"\0", "escape"),
        ("(a", "not closed"),
        ("a)", "closes no group"),
        ("[a", "in the middle"),
        ("[]", "empty"),
        ("[z-a]", "wrong order"),
        (r"[\d-z]", "begin and end"),
        ("[[a]]", "escape it"),
        ("[a&&b]", "escape it"),
        ("a**", "use a group"),
        ("*a", "stands for nothing"),
        ("^*", "cannot be repeated"),
        ("a{3,2}", "wrong order"),
        ("a{x}", "begins no number"),
        ("a{2000}", "more than 1000 times"),
        ("((a{100}){100}){100}", "too large"),
        (r"\p{Greek}", "general categories"),
        (r"\u{110000}", "names no character"),
        (r"\ud800", "names no character"),
        (r"\ud83dx", "names no character"),
        (r"\xg0", "hexadecimal"),
        (r"\c1", "escape"),
        ("(" * 60 + ")" * 60, "nested deeper"),
        ("a" * 2001, "longer than"),
        ("a\\", "in the middle"),
    ],
)
def test_a_pattern_is_refused_with_its_reason(pattern: str, reason: str) -> None:
    with pytest.raises(PatternError, match=reason):
        Automaton(pattern)


@pytest.mark.parametrize(
    ("pattern", "text", "found"),
    [
        ("b", "abc", True),
        ("^b", "abc", False),
        ("^a$", "a\n", False),
        ("^$", "", True),
        ("a|b$", "bx", False),
        (r"^\d+$", "٤", False),
        (r"^\w$", "é", False),
        (r"^\s$", "\ufeff", True),
        ("^.$", "\u2028", False),
        ("^.$", "😀", True),
        (r"^\u{1F600}$", "😀", True),
        (r"^\ud83d\ude00$", "😀", True),
        (r"^\p{Lu}\P{Lu}$", "Éé", True),
        (r"^[^\d\s]+$", "ab-", True),
        (r"^[\Da]$", "1", False),
        (r"^[\P{L}]$", "a", False),
        (r"^\x41\cA\t\/\-$", "A\x01\t/-", True),
        ("^(?<name>a)(?:b)$", "ab", True),
        ("^a{2,3}?$", "aaaa", False),
        ("^a{0}$", "", True),
        ("^[-a]$", "-", True),
    ],
)
def test_a_pattern_means_what_ecmascript_means(pattern: str, text: str, *, found: bool) -> None:
    assert Automaton(pattern).finds(text) is found


_ATOMS = st.sampled_from(
    ["a", "b", "[ab]", "[^a]", r"\d", r"\D", r"\w", r"\W", r"\s", r"\S", ".", "(a|b)", "(?:ab)",
     r"[\d\-x]", r"[^\w]", r"[\Da]", r"\p{L}", r"\P{L}", r"[\p{L}\d]", "é", "(|a)", "(^a)", "(a$)"]
)  # fmt: skip
_PIECES = st.tuples(_ATOMS, st.sampled_from(["", "", "*", "+", "?", "{2}", "{1,3}", "{0,}", "*?"]))
_PATTERNS = st.recursive(
    st.lists(_PIECES.map("".join), min_size=1, max_size=4).map("".join),
    lambda inner: st.one_of(
        st.tuples(inner, inner).map("|".join),
        st.tuples(inner, _PIECES.map("".join)).map(lambda both: f"({both[0]}){both[1]}"),
        inner.map("^{}$".format).map("({})".format),
    ),
    max_leaves=4,
)


@given(_PATTERNS, st.lists(st.text("ab1 \n\ré_-xA\u2028!\ufeff٤", max_size=8), max_size=8))
def test_both_engines_find_the_same(pattern: str, texts: list[str]) -> None:
    automaton = Automaton(pattern)
    compiled = jsonschema_rs.Draft202012Validator(
        {"pattern": pattern}, pattern_options=jsonschema_rs.RegexOptions()
    )
    for text in texts:
        assert automaton.finds(text) is compiled.is_valid(text), (pattern, text)
