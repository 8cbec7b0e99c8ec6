"""The message types that every application speaks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from ..errors import Refused
from ..messages import Message
from ..routing import builtin_route, check_room
from ..session import Outcome

if TYPE_CHECKING:
    from .connection import Connection
    from .dispatcher import Dispatcher

IMMEDIATE_TYPES: Final = frozenset({"ping", "ack", "cancel"})
"""They never wait behind a handler."""
BUILTIN_TYPES: Final = IMMEDIATE_TYPES | {"init", "join", "leave"}
"""Types that clients may send and that no application handles."""
RESERVED_TYPES: Final = BUILTIN_TYPES | {"pong", "error", "system"}
"""Types that no handler may be registered for."""


class Builtins:
    """Answers the built-in types."""

    __slots__ = ("_dispatcher", "routes")

    def __init__(self, dispatcher: Dispatcher) -> None:
        self._dispatcher = dispatcher
        handlers = {
            "init": dispatcher.beginning.answer,
            "join": self._join,
            "leave": self._leave,
        }
        timeout_s = dispatcher.config.message_timeout_s
        self.routes = {
            name: builtin_route(name, function, timeout_s) for name, function in handlers.items()
        }
        """Types that wait for their turn, with what answers them."""

    def immediate(self, connection: Connection, message: Message[Any]) -> None:
        """Answer a type that never waits."""
        if message.type == "ping":
            sender = self._dispatcher.sender
            reply_to = message.id if message.id is not None else sender.next_id()
            pong = sender.message("pong", {}, reply_to=reply_to, final=True, transient=True)
            sender.unnumbered(connection, pong)
        elif message.type == "cancel":
            self._cancel(connection, message)
        elif message.ack is None:
            error = Refused(
                "invalid_content",
                "An 'ack' message needs the field 'ack'.",
                details=[{"path": "$.ack", "message": "missing"}],
            )
            self._dispatcher.refuse(connection, error, message.id)

    def draining(self) -> Refused:
        """The error for messages that come too late."""
        return Refused("draining", retry_after_ms=self._dispatcher.config.reconnect_after_ms)

    def _cancel(self, connection: Connection, message: Message[Any]) -> None:
        dispatcher = self._dispatcher
        sender, ledger = dispatcher.sender, connection.session.ledger
        message_id = message.id
        if message_id is None:
            message_id = sender.next_id()
        elif message_id in ledger.running:  # the id is taken; its one answer will come
            return
        elif ledger.answered(message_id):
            connection.push(ledger.answer(message_id))
            return
        content = message.content
        target_id = content.get("id") if isinstance(content, dict) else None
        if not isinstance(target_id, str):
            error = Refused(
                "invalid_content",
                "The content of 'cancel' is {\"id\": …}, the id of the message to cancel.",
                details=[{"path": "$.content.id", "message": "expected a string"}],
            )
            dispatcher.refuse(connection, error, message.id)
            return
        target = ledger.running.get(target_id)
        cancelled = target is not None and target.stopping is None
        answer = sender.message("cancel", {"cancelled": cancelled}, reply_to=message_id, final=True)
        frame = sender.frame(connection.codec, answer)
        if message.id is not None:
            ledger.remember(message_id, frame)
        connection.push(frame)
        sender.sent(connection, answer)
        if cancelled and target is not None:
            dispatcher.stop(target, Outcome.CANCELLED)

    async def _join(self, message: Message[Any], connection: Connection) -> dict[str, Any]:
        room = _room_of(message)
        if not await self._dispatcher.may_join(connection, room):
            raise Refused("forbidden", f"Joining {room!r} is not allowed.")
        connection.enter(room)
        return {"room": room}

    async def _leave(self, message: Message[Any], connection: Connection) -> dict[str, Any]:
        room = _room_of(message)
        self._dispatcher.rooms.leave(connection.session, room)
        return {"room": room}


def _room_of(message: Message[Any]) -> str:
    content = message.content
    return check_room(content.get("room") if isinstance(content, dict) else None)
