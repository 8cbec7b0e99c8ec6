"""The grammar of Sec-WebSocket-Extensions."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsframe.protocol.extension_header import ExtensionHeaderError, parse_extensions


@pytest.mark.parametrize(
    ("values", "extensions"),
    [
        ([], []),
        ([""], []),
        ([" , ,\t"], []),
        (["foo"], [("foo", [])]),
        ([" foo "], [("foo", [])]),
        (["foo, bar"], [("foo", []), ("bar", [])]),
        (["foo", "bar,baz"], [("foo", []), ("bar", []), ("baz", [])]),
        (["foo,,bar,"], [("foo", []), ("bar", [])]),
        (["foo;a;b=1"], [("foo", [("a", None), ("b", "1")])]),
        (['foo ; a = "x"\t;b'], [("foo", [("a", "x"), ("b", None)])]),
        (["foo; a; a=2"], [("foo", [("a", None), ("a", "2")])]),
    ],
)
def test_a_well_formed_header_is_read(values: list[str], extensions: list[object]) -> None:
    assert parse_extensions(values) == extensions


@pytest.mark.parametrize(
    "value",
    [
        "foo bar",
        "foo;",
        "foo;;a",
        "; a",
        "foo; =1",
        "foo; a=",
        'foo; a="',
        'foo; a=""',
        'foo; a="x',
        'foo; a="x y"',
        'foo; a="x"y',
        "foo; a=1=2",
        "foo/1",
        "föö",
        "foo; a=\x00",
        '"foo"',
    ],
)
def test_a_malformed_header_is_refused(value: str) -> None:
    with pytest.raises(ExtensionHeaderError):
        parse_extensions([value])


@given(st.text(max_size=60) | st.text(alphabet=' \t,;="ab1', max_size=60))
def test_any_text_is_read_or_refused(value: str) -> None:
    with contextlib.suppress(ExtensionHeaderError):
        parse_extensions([value])


def test_a_long_header_takes_time_in_proportion() -> None:
    # Refused by the time the limits on headers would be; quadratic matching would take minutes.
    with pytest.raises(ExtensionHeaderError):
        parse_extensions(["," * 200_000 + ";" + " \t" * 200_000])
