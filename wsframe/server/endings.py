"""How a message ends when its handler does not simply return: stopped, out of time, or raising."""

from __future__ import annotations

import logging

from ..errors import AnswerError, CloseConnection, ConnectionClosed
from ..hooks.containment import escaping_part
from ..session import Outcome
from .accepted import Accepted
from .reception import Reception, close_as_told
from .workers import isolated

log = logging.getLogger("wsframe.messages")

STOP_GRACE_S = 1.0
"""A handler that was told to stop has so long before its message is answered without it."""

_STOPPED_CODES = {
    Outcome.TIMED_OUT: "timeout",
    Outcome.CANCELLED: "cancelled",
    Outcome.INTERRUPTED: "interrupted",
}


def _close_code(answer: AnswerError) -> int:
    """How a connection is closed whose ``init`` was refused."""
    if answer.retryable:
        return 1013
    return 4403 if answer.code == "forbidden" else 4401


class Endings(Reception):
    """Ends messages; each one once."""

    __slots__ = ()

    def stop(self, accepted: Accepted, outcome: Outcome) -> None:
        """Stop a message's handler; a message whose handler has not begun is answered at once."""
        accepted.stop(outcome)
        if accepted.started_at is None:
            self.node.workers.submit(self.answer_stopped, accepted)

    async def answer_stopped(self, accepted: Accepted) -> None:
        """Answer a message whose handler was stopped, unless that was done."""
        outcome = accepted.stopping
        assert outcome is not None
        if accepted.settled:
            return
        error = AnswerError(_STOPPED_CODES[outcome])
        self._counters.refused[error.code] += 1
        if accepted.session.watched is not None:
            accepted.session.watched.tell("failed", accepted.id, error.code, None)
        message = self.sender.answering(accepted, "error", error.content())
        await self.sender.finish(accepted, message, outcome, frees_id=error.retryable)
        if accepted.message.type == "init":
            accepted.connection.close(4401, error.message)
        await self._ended(accepted)

    async def answer_error(self, accepted: Accepted, error: BaseException) -> None:
        """Answer a message whose gates, middleware or handler raised."""
        escaping = escaping_part(error)
        if escaping is not None:
            raise escaping
        closing = error if isinstance(error, CloseConnection) else None
        connection = accepted.connection
        left = isinstance(error, ConnectionClosed) and not connection.reachable
        unexpected = not (left or isinstance(error, (AnswerError, CloseConnection)))
        if isinstance(error, AnswerError):
            answer = error
        elif left:  # it sent to its client, which had left
            answer = AnswerError("cancelled")
        elif closing is not None:
            answer = closing.answer or AnswerError("cancelled", closing.reason or None)
        else:
            answer = AnswerError("handler_failed")
        self._counters.refused[answer.code] += 1
        if accepted.session.watched is not None:
            unexpected_type = type(error).__name__ if unexpected else None
            accepted.session.watched.tell("failed", accepted.id, answer.code, unexpected_type)
        try:
            await self._finish_with(accepted, answer)
        except (TypeError, ValueError) as encoding_error:  # its details cannot be encoded
            unexpected, error = True, encoding_error
            await self._finish_with(accepted, AnswerError("handler_failed"))
        if closing is not None:
            close_as_told(connection, closing.code, closing.reason)
        elif accepted.message.type == "init":
            close_as_told(connection, _close_code(answer), answer.message)
        if unexpected:
            await self.raised(error, connection, accepted.message)
        await self._ended(accepted)

    async def _finish_with(self, accepted: Accepted, answer: AnswerError) -> None:
        outcome = Outcome.CANCELLED if answer.code == "cancelled" else Outcome.FAILED
        message = self.sender.answering(accepted, "error", answer.content())
        await self.sender.finish(accepted, message, outcome, frees_id=answer.retryable)

    async def _ended(self, accepted: Accepted) -> None:
        if accepted.started_at is not None:
            self._counters.handler_seconds += self.node.now() - accepted.started_at
        if self.hooks.message_handled:
            await self.handled(accepted)

    @isolated
    async def handled(self, accepted: Accepted) -> None:
        """Tell plugins how a message ended."""
        if accepted.outcome is not None:
            began = accepted.started_at if accepted.queued_at is None else accepted.queued_at
            elapsed_s = 0.0 if began is None else self.node.now() - began
            await self.hooks.notify(
                self.hooks.message_handled,
                accepted.connection,
                accepted.message,
                accepted.outcome,
                elapsed_s,
            )

    # Deadlines

    def check(self, now: float) -> None:
        """Stop what is out of time, and free connections from handlers that do not stop."""
        for accepted in list(self.node.waiting):
            if accepted.stopping is None:
                if accepted.deadline is not None and now >= accepted.deadline:
                    accepted.stop(Outcome.TIMED_OUT)
            elif now >= accepted.stop_requested_at + STOP_GRACE_S and not accepted.settled:
                log.error(
                    "the handler of %r does not stop; its message is answered without it",
                    accepted.message.type,
                )
                if not accepted.beside:
                    accepted.session.turn += 1
                self.node.workers.submit(self._relieve, accepted)

    async def _relieve(self, accepted: Accepted) -> None:
        """Answer a message whose handler is stuck, and serve its connection instead of it."""
        if not accepted.settled:
            await self.answer_stopped(accepted)
        if not accepted.beside:
            await self._serve_inbox(accepted.session)
