"""Watching a session: who is told, beside the store, and what stops it."""

from __future__ import annotations

from typing import Any

import pytest

from tests.session.test_session import make_session
from wsframe.session import State
from wsframe.session.watching import SessionWatch


class Notes(SessionWatch):
    """Writes down up to where messages were written."""

    def __init__(self) -> None:
        self.written_to: list[int] = []

    def written(self, number: int) -> None:
        self.written_to.append(number)


def test_a_pushed_message_is_told_to_the_store_and_once_it_is_written_to_the_watch() -> None:
    session, notes = make_session(state=State.ATTACHED), Notes()
    changes: list[Any] = []
    session.record(changes.append)
    session.watch([notes])
    before = len(changes)
    session.outbox.written(b"one")
    assert session.recorder is not None
    session.recorder.sent(b"one")
    assert len(changes) == before + 1
    assert notes.written_to == [1]
    session.outbox.hold(b"two")  # nobody reads it yet
    session.recorder.sent(b"two")
    assert len(changes) == before + 2
    assert notes.written_to == [1]


def test_an_interrupt_from_the_keyboard_is_not_the_watchs_to_keep() -> None:
    class Interrupted(SessionWatch):
        def written(self, number: int) -> None:
            raise KeyboardInterrupt

    session = make_session(state=State.ATTACHED)
    session.watch([Interrupted()])
    session.outbox.written(b"one")
    assert session.recorder is not None
    with pytest.raises(KeyboardInterrupt):
        session.recorder.sent(b"one")
