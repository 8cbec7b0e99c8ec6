"""What happens to a session, as a store is told of it.

A session lives in the memory of the node that has claimed it; a store is told of every change, in
order.
A change carries the session's ``epoch``: each claim of the session raises it, so that a node which
has lost the session to another one cannot write to it any more (a fencing token).

Numbers are those of the wire protocol: the place of a message among everything that the session
sends. Frames are opaque to a store.
"""

from __future__ import annotations

import msgspec

from .identity import Identity


class Change(msgspec.Struct, frozen=True, tag=True):
    """One step of one session; the classes below are the kinds there are.

    Attributes:
        session_id: whose.
        epoch: of the claim under which it happened; 1 for the node that opened the session.
    """

    session_id: str
    epoch: int


class Opened(Change, frozen=True):
    """A session has begun, on the node that says so; it counts as attached.

    Attributes:
        secret_digest: SHA-256 of the secret that proves to whom it belongs.
        subprotocol: how its frames are encoded.
        identity: who it belongs to.
    """

    secret_digest: bytes
    subprotocol: str
    identity: Identity


class Identified(Change, frozen=True):
    """It belongs to somebody else now, or to the same one with other rights."""

    identity: Identity


class Accepted(Change, frozen=True):
    """A client's message was accepted: it is running, on the node that has claimed the session."""

    message_id: str


class Sent(Change, frozen=True):
    """A numbered message was put into the outbox. Numbers come without gaps."""

    number: int
    frame: bytes


class Answered(Change, frozen=True):
    """A final answer was decided and put into the outbox; the message runs no more.

    It is one change, because half of it must never be stored.

    Attributes:
        number: of the answer.
        frame: the answer.
        remember: keep the answer for repetitions of the message; False frees the id.
    """

    message_id: str
    number: int
    frame: bytes
    remember: bool


class Forgotten(Change, frozen=True):
    """Messages up to ``number`` have left the outbox: acknowledged, or evicted.

    The number may be one that was never ``Sent``, where a client has received more than the store
    had: the next message comes behind it.
    """

    number: int


class AnswersForgotten(Change, frozen=True):
    """Answers whose number is at most ``number`` are no longer given again."""

    number: int


class Joined(Change, frozen=True):
    """It is in a room."""

    room: str


class Left(Change, frozen=True):
    """It is in a room no more."""

    room: str


class Detached(Change, frozen=True):
    """It has no connection.

    Attributes:
        expires_at: when it ends unless a client resumes it, in seconds since the epoch.
    """

    expires_at: float


class Attached(Change, frozen=True):
    """It has a connection again."""


class Ended(Change, frozen=True):
    """It is over: nothing of it is kept."""
