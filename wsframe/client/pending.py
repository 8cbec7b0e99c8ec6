"""One message of the client and what has become of it.

====================  =====================================================  =========
from                  because of                                             to
====================  =====================================================  =========
WAITING               it is handed to the connection                         SENT
SENT                  the connection was lost, and nobody knows whether it   WAITING
                      arrived
WAITING, SENT         an error that says to try again                        RESTING
RESTING               the pause is over                                      WAITING
RESTING               a part: it was sent once more before that error came   SENT
any but DONE          the final answer                                       DONE
any but DONE          nobody waits any more, or the session is lost          DONE
====================  =====================================================  =========
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from enum import Enum
from typing import Any

from ..errors import ConnectError, RequestError
from ..messages import Message
from .reconnect import Backoff


class Stage(Enum):
    """Where a pending message stands."""

    WAITING = "waiting"
    """For its turn to be sent."""
    SENT = "sent"
    """In this session, and not answered as far as we know."""
    RESTING = "resting"
    """Answered with an error that says to try again; waits for that."""
    DONE = "done"


class Pending:
    """A message that has no final answer yet.

    Args:
        message_id: its id.
        type: its type.
        content: its content.
        size: bytes of the message when it is encoded, about.
        streamed: keep the parts of its answer.
        retries: how often it may be sent again after an error that says so.
        backoff: how long to wait before that, where the error does not say.
        changed: called whenever there is something new.
    """

    __slots__ = (
        "answer",
        "backoff",
        "changed",
        "content",
        "error",
        "id",
        "part_count",
        "parts",
        "pause_s",
        "refusal",
        "retries",
        "size",
        "stage",
        "streamed",
        "type",
        "was_sent",
    )

    def __init__(
        self,
        message_id: str,
        type: str,
        content: Any,
        *,
        size: int,
        streamed: bool,
        retries: int,
        backoff: Backoff,
        changed: Callable[[], None],
    ) -> None:
        self.id = message_id
        self.type = type
        self.content = content
        self.size = size
        self.streamed = streamed
        self.retries = retries
        self.backoff = backoff
        self.changed = changed
        self.stage = Stage.WAITING
        self.was_sent = False
        """In this session, so that the server may have accepted it."""
        self.parts: deque[Message[Any]] = deque()
        """Parts that nobody has taken yet."""
        self.part_count = 0
        self.pause_s = 0.0
        """While RESTING: how long."""
        self.refusal: RequestError | None = None
        """While RESTING: the error that says to try again."""
        self.answer: Message[Any] | None = None
        """The final answer, unless it is an error."""
        self.error: RequestError | ConnectError | None = None
        """What has become of it instead."""

    @property
    def done(self) -> bool:
        """Nothing more will come."""
        return self.stage is Stage.DONE
