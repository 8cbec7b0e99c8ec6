"""Rooms: named sets of sessions on this node."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Collection, Mapping
from fnmatch import fnmatchcase
from typing import Any, Protocol

from ..errors import Refused
from ..session import Session

_ROOM = re.compile(r"\w[\w.:@/#-]{0,127}\Z")


class Member(Protocol):
    """What a room knows of the sessions in it."""

    @property
    def session(self) -> Session[Any]:
        """The session itself."""


def check_room(name: object) -> str:
    """Return a valid room name: a letter, digit or ``_``, then up to 127 of those or ``.:@/#-``.

    Raises:
        Refused: ``invalid_content``; the name is no string or has other characters.
    """
    if not isinstance(name, str) or not _ROOM.match(name):
        raise Refused(
            "invalid_content",
            "A room name has 1 to 128 letters, digits or any of _.:@/#- and starts with a letter, "
            "digit or _.",
            details=[{"path": "$.content.room", "message": "not a room name"}],
        )
    return name


Deliver = Callable[[Collection[Any], Mapping[str, Any]], Awaitable[int]]
"""Sends one message to many members; returns how many it was handed to."""


class Rooms:
    """Every room of this node. A room exists as long as somebody is in it.

    Args:
        deliver: sends one message to many members.
        max_per_session: rooms one session may be in.
    """

    def __init__(self, deliver: Deliver, *, max_per_session: int) -> None:
        self._deliver = deliver
        self.max_per_session = max_per_session
        self._open_patterns: tuple[str, ...] = ()
        self._rooms: dict[str, dict[str, Member]] = {}

    def __len__(self) -> int:
        return len(self._rooms)

    def join(self, member: Member, room: str) -> None:
        """Put a session into a room; being in it already is no error.

        Raises:
            Refused: ``invalid_content`` for a malformed name, ``forbidden`` when the session is in
                too many rooms.
        """
        check_room(room)
        session = member.session
        if room in session.rooms:
            return
        if len(session.rooms) >= self.max_per_session:
            raise Refused(
                "forbidden",
                f"A session may be in {self.max_per_session} rooms.",
                details={"limit": self.max_per_session},
            )
        session.enter(room)
        self._rooms.setdefault(room, {})[session.id] = member

    def adopt(self, member: Member) -> None:
        """Let ``member`` stand for its session in every room that it is in."""
        session = member.session
        for room in session.rooms:
            self._rooms.setdefault(room, {})[session.id] = member

    def open_to_clients(self, *patterns: str) -> None:
        """Let clients join rooms by themselves, with a ``join`` message.

        Args:
            patterns: room names; ``*`` stands for any characters, as in ``"public.*"``.
        """
        self._open_patterns += patterns

    def opened_to_clients(self, room: str) -> bool:
        """May clients join this room by themselves?"""
        return any(fnmatchcase(room, pattern) for pattern in self._open_patterns)

    def leave(self, session: Session[Any], room: str) -> None:
        """Take a session out of a room; not being in it is no error."""
        check_room(room)
        if room not in session.rooms:
            return
        session.leave(room)
        members = self._rooms[room]
        del members[session.id]
        if not members:
            del self._rooms[room]

    def leave_all(self, session: Session[Any]) -> None:
        """Take a session out of every room, because it ends."""
        for room in list(session.rooms):
            self.leave(session, room)

    def members(self, room: str) -> list[str]:
        """The ids of the sessions in a room, in the order they joined."""
        return list(self._rooms.get(check_room(room), ()))

    async def publish(self, room: str, message: Mapping[str, Any]) -> int:
        """Send a message to everybody in a room; a slow receiver delays nobody.

        Args:
            room: its name.
            message: an envelope, at least ``{"type": …}``, usually with ``"content"``.

        Returns:
            The number of sessions it was handed to.

        Raises:
            Refused: the room's name is malformed.
            ValueError: the message is no envelope, or its content cannot be encoded.
        """
        members = self._rooms.get(check_room(room))
        return await self._deliver(list(members.values()), message) if members else 0
