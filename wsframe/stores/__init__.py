"""Where sessions are kept beyond one process."""

from ..session.changes import (
    Accepted,
    Answered,
    AnswersForgotten,
    Attached,
    Change,
    Detached,
    Ended,
    Forgotten,
    Identified,
    Joined,
    Left,
    Opened,
    Sent,
)
from .base import (
    SessionOwner,
    SharedLimits,
    Store,
    StoredAnswer,
    StoredSession,
    TokenBucket,
)
from .memory import MemoryStore
from .sqlite import SqliteStore
from .urls import make_store

__all__ = [
    "Accepted",
    "Answered",
    "AnswersForgotten",
    "Attached",
    "Change",
    "Detached",
    "Ended",
    "Forgotten",
    "Identified",
    "Joined",
    "Left",
    "MemoryStore",
    "Opened",
    "Sent",
    "SessionOwner",
    "SharedLimits",
    "SqliteStore",
    "Store",
    "StoredAnswer",
    "StoredSession",
    "TokenBucket",
    "make_store",
]
