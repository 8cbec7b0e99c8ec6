"""The envelope: what every message is, in either direction.

Names are ``snake_case`` in Python and ``camelCase`` on the wire (``reply_to`` is ``replyTo``).
Unknown fields of a received message are ignored, so that version 1 of the protocol can grow.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Final, Generic, TypeVar

import msgspec

from wsframe.messages.problems import invalid

C = TypeVar("C")

MAX_ID_CHARACTERS: Final = 128
"""An id has at least one character (Unicode code point) and at most so many."""

TYPE_PATTERN: Final = r"^[A-Za-z][A-Za-z0-9_.:-]{0,63}$"
"""What a message type looks like, as it stands in the wire protocol."""

_matches_type = re.compile(r"[A-Za-z][A-Za-z0-9_.:-]{0,63}").fullmatch

_Id = Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_ID_CHARACTERS)]
_Number = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]


def _no_content() -> Any:
    # A function, not ``dict``: msgspec leaves out a field that equals an empty ``dict`` default,
    # and a server message always carries its content.
    return {}


class Message(msgspec.Struct, Generic[C], rename="camel", omit_defaults=True, kw_only=True):
    """One message. ``Message[Ask]`` is a message whose content is an ``Ask``.

    Fields that are None are not on the wire. What a codec decoded keeps to the limits below;
    a message built by hand is not checked.
    """

    type: str
    """What the message is; see :func:`check_type`. The codecs leave that check to the caller,
    who looks the type up in a table first and so only needs it for unknown types."""
    id: _Id | None = None
    """1-128 characters, unique within the session: the idempotency key of a client message."""
    content: C = msgspec.field(default_factory=_no_content)
    """The payload: any JSON value; in MessagePack also ``bytes``."""
    session_id: str | None = None
    """The session it belongs to."""
    timestamp: str | None = None
    """RFC 3339 in UTC with milliseconds; a client's is not interpreted."""
    reply_to: str | None = None
    """On an answer: the id of the client message it answers."""
    final: bool | None = None
    """On an answer: False on a part, True on the one final answer."""
    transient: bool | None = None
    """True: not numbered and not replayed. Never False on the wire."""
    ack: _Number | None = None
    """From a client: the number of the last server message it has processed."""
    traceparent: str | None = None
    """Which trace it belongs to, as in the HTTP header of this name (W3C Trace Context). wsframe
    hands it on and does not interpret it."""
    tracestate: str | None = None
    """What vendors have added to :attr:`traceparent`, likewise."""


class Reply(msgspec.Struct, frozen=True):
    """A handler's final answer, where returning the bare content is not enough.

    ``content`` is the content of the answer; ``type`` is its message type, by default the
    handler's reply type.
    """

    content: Any
    type: str | None = None


def check_type(type_: str) -> None:
    """Raise InvalidMessage (``invalid_envelope``) unless ``type_`` is a message type."""
    if _matches_type(type_) is None:
        raise invalid(
            "invalid_envelope", "$.type", f"Expected `str` matching regex '{TYPE_PATTERN}'"
        )
