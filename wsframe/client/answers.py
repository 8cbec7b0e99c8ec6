"""What the server says about a session and about errors, as values that have been checked."""

from __future__ import annotations

from enum import Enum
from typing import Annotated, Any, Final

import msgspec

from ..errors import ProtocolError, RequestError
from ..messages import Message

_PROTOCOL_ERROR: Final = 1002
_MAX_SHOWN: Final = 200
_Count = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]


class Opening(Enum):
    """What a new connection means for the session."""

    NEW = "new"
    """A new session; an old one, if there was any, is lost."""
    RESUMED = "resumed"
    """The old session goes on, and nothing is lost."""
    GAP = "gap"
    """The old session goes on; some messages of the server are lost."""


class Gap(msgspec.Struct, frozen=True):
    """Numbers of messages that are lost, both included."""

    first: _Count = msgspec.field(name="from")
    last: _Count = msgspec.field(name="to")


class HeartbeatTimes(msgspec.Struct, frozen=True, rename="camel"):
    """The server's heartbeat, in milliseconds; 0: it has none."""

    interval_ms: _Count = 0
    timeout_ms: _Count = 0


class Limits(msgspec.Struct, frozen=True, rename="camel"):
    """The server's limits, as far as they concern what we send; 0: it does not say."""

    max_message_bytes: _Count = 0
    max_in_flight: _Count = 0


class SessionAnswer(msgspec.Struct, frozen=True, rename="camel"):
    """The content of the answer to ``init``."""

    session_id: Annotated[str, msgspec.Meta(min_length=1)]
    secret: str
    resumed: bool = False
    seq: _Count = 0
    gap: Gap | None = None
    in_flight: list[str] = []
    heartbeat: HeartbeatTimes = HeartbeatTimes()
    limits: Limits = Limits()


class _ErrorContent(msgspec.Struct, rename="camel"):
    code: str
    message: str = ""
    retryable: bool = False
    details: Any = None
    retry_after_ms: float | None = None


def session_of(message: Message[Any]) -> SessionAnswer:
    """What the answer to ``init`` says.

    Raises:
        RequestError: it is an error.
        ProtocolError: it is no answer to ``init``.
    """
    if message.type == "error":
        raise error_of(message)
    if message.type != "init" or message.final is not True:
        raise ProtocolError(_PROTOCOL_ERROR, "the answer to init is none")
    try:
        return msgspec.convert(message.content, SessionAnswer)
    except msgspec.ValidationError as error:
        raise ProtocolError(_PROTOCOL_ERROR, f"the answer to init: {error}") from None


def error_of(message: Message[Any]) -> RequestError:
    """The error that an ``error`` message stands for."""
    try:
        content = msgspec.convert(message.content, _ErrorContent)
    except msgspec.ValidationError as error:
        return RequestError("invalid_answer", f"The server sent a malformed error: {error}.")
    after_ms = content.retry_after_ms
    return RequestError(
        content.code,
        content.message or content.code,
        retryable=content.retryable,
        details=content.details,
        retry_after_ms=None if after_ms is None else max(0, round(min(after_ms, 1e12))),
    )


def shown(value: object) -> str:
    """What a server said, as something that can stand in a log: short, and in one line."""
    text = str(value)[:_MAX_SHOWN]
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)
