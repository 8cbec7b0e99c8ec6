"""Threat 9: nothing that a client sends forges a log line or steers the reader's terminal."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Callable, Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsframe import logs
from wsframe.config import Config

ATTACKS = [
    "text\r\n12:00:00.000 INFO    server: forged",
    "\n",
    "\x1b[2J\x1b[H",
    "\x1b]0;title\x07",
    "\x9b31m",
    "\x85forged",
    "\u2028forged",
    "\u202egnp.exe",
    "\x00",
    "\x08\x08\x08",
    "\ud800",
]


@pytest.fixture(params=["text", "json"])
def log_line(request: pytest.FixtureRequest) -> Iterator[Callable[..., str]]:
    """Logs, and returns everything that was written for it."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    root.handlers[:] = []
    stream = io.StringIO()
    logs.configure_logging(Config(log_format=request.param), stream=stream)

    def log_line(template: str, *arguments: object, **extra: object) -> str:
        stream.seek(0)
        stream.truncate()
        logging.getLogger("wsframe.server").warning(template, *arguments, extra=extra or None)
        return stream.getvalue()

    yield log_line
    logs._installed.clear()
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.getLogger("wsframe").setLevel(logging.NOTSET)


def assert_one_harmless_line(written: str) -> None:
    assert written.endswith("\n")
    line = written[:-1]
    assert line.isprintable(), ascii(line)
    line.encode()  # no lone surrogate: a file can take it


@pytest.mark.parametrize("attack", ATTACKS)
def test_a_path_header_or_type_of_a_client_stays_on_its_line(
    log_line: Callable[..., str], attack: str
) -> None:
    assert_one_harmless_line(log_line("refused %s", attack))
    assert_one_harmless_line(log_line(f"refused {attack}"))
    assert_one_harmless_line(log_line("refused", path=attack))
    assert_one_harmless_line(log_line("refused %s", {"header": [attack]}))


@pytest.mark.parametrize("attack", ATTACKS)
def test_an_exceptions_text_stays_below_its_record(
    log_line: Callable[..., str], attack: str, request: pytest.FixtureRequest
) -> None:
    stream = logs._installed[0].stream  # type: ignore[attr-defined]  # a StreamHandler
    log_line("clear")
    try:
        raise ValueError(attack)
    except ValueError:
        logging.getLogger("wsframe.server").exception("failed")
    _, *lines = stream.getvalue()[:-1].split("\n")
    if "json" in request.node.name:
        (line,) = lines
        assert line.isprintable()
        assert "ValueError" in json.loads(line)["exception"]
    else:
        assert all(line.isprintable() for line in lines)
        assert all(line.startswith("    | ") for line in lines[1:])


@given(text=st.text())
def test_escaped_text_is_printable_whatever_it_was(text: str) -> None:
    escaped = logs.escape(text)
    assert not any(character in escaped for character in "\r\n\x1b\x9b\u2028\x00")
    escaped.encode()


def test_a_readable_text_is_not_touched() -> None:
    assert logs.escape("Grüße, 世界 — 👋 \\n") == "Grüße, 世界 — 👋 \\n"
