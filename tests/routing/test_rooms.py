"""Rooms: named sets of sessions."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsframe import Refused
from wsframe.routing import Rooms, check_room
from wsframe.session import Ledger, Outbox, Session

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Member:
    def __init__(self, name: str) -> None:
        self.session: Session[Any] = Session(
            name,
            ledger=Ledger(max_in_flight=1, max_messages=1, max_bytes=1),
            outbox=Outbox(max_messages=1, max_bytes=1),
        )


async def deliver(members: Any, message: Any) -> int:
    return len(members)


def make_rooms(*, max_per_session: int = 3) -> Rooms:
    return Rooms(deliver, max_per_session=max_per_session)


@pytest.mark.parametrize(
    "name", ["a", "_", "9", "lobby", "a.b:c@d/e#f-g", "\u4f60\u597d", "x" * 128]
)
def test_a_room_name_is_a_word_with_some_punctuation(name: str) -> None:
    assert check_room(name) == name


@pytest.mark.parametrize(
    "name",
    [
        None,
        5,
        b"a",
        "",
        " ",
        "a b",
        "*",
        "a*",
        "[a]",
        ".a",
        "-a",
        "a\n",
        "a\r\nb",
        "a\x00",
        "x" * 129,
    ],
)
def test_anything_else_is_none(name: object) -> None:
    with pytest.raises(Refused) as raised:
        check_room(name)
    assert raised.value.code == "invalid_content"


async def test_members_are_in_the_order_they_joined() -> None:
    rooms = make_rooms()
    members = [Member(name) for name in "abc"]
    for member in members:
        rooms.join(member, "r")
        rooms.join(member, "r")
    assert rooms.members("r") == ["a", "b", "c"]
    assert rooms.members("other") == []
    assert await rooms.publish("r", {"type": "x"}) == 3
    assert await rooms.publish("other", {"type": "x"}) == 0


def test_a_room_exists_as_long_as_somebody_is_in_it() -> None:
    rooms = make_rooms()
    one, two = Member("a"), Member("b")
    rooms.join(one, "r")
    rooms.join(two, "r")
    rooms.leave(one.session, "r")
    rooms.leave(one.session, "r")
    assert len(rooms) == 1
    rooms.leave_all(two.session)
    assert len(rooms) == 0
    assert two.session.rooms == set()


@pytest.mark.parametrize(
    ("pattern", "room", "opened"),
    [
        ("lobby", "lobby", True),
        ("lobby", "Lobby", False),
        ("public.*", "public.a.b", True),
        ("public.*", "public", False),
        ("*", "anything", True),
    ],
)
def test_patterns_open_rooms_to_clients(pattern: str, room: str, opened: bool) -> None:
    rooms = make_rooms()
    assert not rooms.opened_to_clients(room)
    rooms.open_to_clients("first", pattern)
    assert rooms.opened_to_clients(room) is opened


@given(st.lists(st.tuples(st.integers(0, 2), st.sampled_from("wxyz"), st.integers(0, 2))))
def test_both_sides_always_agree_on_who_is_where(steps: list[tuple[int, str, int]]) -> None:
    rooms = make_rooms(max_per_session=2)
    members = [Member(name) for name in "abc"]
    for who, room, action in steps:
        member = members[who]
        if action == 0:
            try:
                rooms.join(member, room)
            except Refused:
                assert len(member.session.rooms) == 2
        elif action == 1:
            rooms.leave(member.session, room)
        else:
            rooms.leave_all(member.session)
        for each in members:
            assert {r for r in "wxyz" if each.session.id in rooms.members(r)} == each.session.rooms
            assert len(each.session.rooms) <= 2
        assert len(rooms) == len(set().union(*(each.session.rooms for each in members)))
