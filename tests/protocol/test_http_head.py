"""Cutting heads out of a stream, and refusing what two readers could read in two ways."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsframe.protocol.head import HeadReader, HeadTooLarge, fault_of, split_list

HEAD = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"


@given(st.lists(st.integers(0, len(HEAD) + 6)))
def test_a_head_is_found_however_it_is_cut(cuts: list[int]) -> None:
    data = HEAD + b"behind"
    edges = [0, *sorted(cuts), len(data)]
    reader = HeadReader(100)
    found, behind = None, b""
    for start, end in itertools.pairwise(edges):
        if found is None:
            found = reader.receive_data(data[start:end])
        else:
            behind += data[start:end]
    assert found is not None
    assert (found[0], found[1] + behind) == (HEAD, b"behind")


def test_a_head_of_exactly_the_limit_is_taken_and_one_byte_more_is_not() -> None:
    assert HeadReader(len(HEAD)).receive_data(HEAD) == (HEAD, b"")
    with pytest.raises(HeadTooLarge):
        HeadReader(len(HEAD) - 1).receive_data(HEAD)


def test_a_reader_starts_over_after_a_head() -> None:
    reader = HeadReader(100)
    assert reader.receive_data(HEAD[:9]) is None
    assert reader.started
    assert reader.receive_data(HEAD[9:]) == (HEAD, b"")
    assert not reader.started
    assert reader.receive_data(HEAD) == (HEAD, b"")


def test_a_head_that_never_ends_is_given_up_at_the_limit_and_not_kept() -> None:
    reader = HeadReader(100)
    with pytest.raises(HeadTooLarge) as caught:
        reader.receive_data(b"GET / HTTP/1.1\r\n" + b"a" * 10_000_000)
    assert not caught.value.in_first_line
    assert not reader.started


def test_a_first_line_that_never_ends_is_told_apart() -> None:
    reader = HeadReader(100)
    assert reader.receive_data(b"GET /" + b"a" * 95) is None
    with pytest.raises(HeadTooLarge) as caught:
        reader.receive_data(b"a")
    assert caught.value.in_first_line


@pytest.mark.parametrize(
    "line",
    [
        b"A: caf\xe9",
        b"A: caf\xc3\xa9",
        b"A: \x00",
        b"A: \x1b[31m",
        b"A: \x7f",
        b"A: b\rC: d",
        b"A: b\nC: d",
        b"A: b\n\nGET /hidden HTTP/1.1",
        b"A: b\r\n folded",
        b"A: b\r\n\tfolded",
    ],
)
def test_ambiguous_and_unprintable_lines_are_faults(line: bytes) -> None:
    assert fault_of(HEAD) is None
    assert fault_of(b"GET / HTTP/1.1\r\n" + line + b"\r\n\r\n") is not None


def test_lists_are_split_at_commas_over_all_headers_and_made_lower_case() -> None:
    assert split_list(()) == []
    assert split_list(("keep-alive,\tUpgrade ,, ", "X")) == ["keep-alive", "upgrade", "x"]
