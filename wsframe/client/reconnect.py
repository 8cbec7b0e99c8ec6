"""When a client comes back, and when it gives up: decisions without I/O, clock or chance.

:func:`judge` says what an ending asks for: try again, try again with a new token, or give up.
:class:`Backoff` says how long to wait. The wait is drawn from the whole range between 0 and a
limit that doubles ("full jitter"), so that a thousand clients that lost the same server do not
return in the same moment.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import Final, NamedTuple

from ..errors import ConnectError, ConnectionClosed, ProtocolError, RequestError, RequestRefused
from .answers import shown

MAX_TOLD_S: Final = 3_600.0
"""A server may keep a client away for so long with one word, and no longer."""
STABLE_S: Final = 5.0
"""A connection that lasted so long was a good one: the next back-off begins anew."""

Ending = ConnectionClosed | RequestRefused | ProtocolError | RequestError | OSError
"""How a connection, or the attempt at one, ended: closed with a code; refused in HTTP; the server
broke the protocol; ``init`` was answered with an error; the network failed."""


class Verdict(Enum):
    """What to do after an ending."""

    RETRY = "retry"
    RETRY_LATE = "retry_late"
    """The server has had enough of us for a while."""
    NEW_TOKEN = "new_token"  # noqa: S105 - no password
    """Once with a new token; if that was new already, give up."""
    GIVE_UP = "give_up"


class Judgement(NamedTuple):
    """What to do, and what to say if that is to give up."""

    verdict: Verdict
    hint: str = ""
    """What the user can do about it, as one sentence."""
    after_s: float | None = None
    """How long the server wants us to wait; None: it does not say."""


_LOGIN_HINT: Final = "Use a token that is valid, or a function that returns a new one each time."
_FORBIDDEN_HINT: Final = "Ask the operator of the server for access."
_FAULT_HINT: Final = "Client and server do not fit: compare their versions, and report it."

_CLOSE_CODES: Final = {
    1000: Judgement(Verdict.GIVE_UP, "The server has finished the session; open a new client."),
    1002: Judgement(Verdict.GIVE_UP, _FAULT_HINT),
    1003: Judgement(Verdict.GIVE_UP, _FAULT_HINT),
    1007: Judgement(Verdict.GIVE_UP, _FAULT_HINT),
    1008: Judgement(Verdict.GIVE_UP, "The reason says which rule of the server was violated."),
    1009: Judgement(Verdict.GIVE_UP, "Send smaller messages, or raise the server's limit."),
    4400: Judgement(Verdict.GIVE_UP, _FAULT_HINT),
    4401: Judgement(Verdict.NEW_TOKEN, _LOGIN_HINT),
    4403: Judgement(Verdict.GIVE_UP, _FORBIDDEN_HINT),
    4409: Judgement(Verdict.GIVE_UP, "Another connection has taken the session over."),
    4429: Judgement(Verdict.RETRY_LATE),
}
"""What is not here is worth another try."""

_STATUSES: Final = {
    400: Judgement(Verdict.GIVE_UP, "Check the URL, the headers and the token."),
    401: Judgement(Verdict.NEW_TOKEN, _LOGIN_HINT),
    403: Judgement(Verdict.GIVE_UP, _FORBIDDEN_HINT),
    404: Judgement(Verdict.GIVE_UP, "Check the path of the URL; wsframe's own is /ws."),
    405: Judgement(Verdict.GIVE_UP, "Check the URL: what is there takes no GET request."),
    407: Judgement(Verdict.GIVE_UP, "Put the proxy's user and password into its URL."),
    408: Judgement(Verdict.RETRY),
    425: Judgement(Verdict.RETRY),
    426: Judgement(Verdict.GIVE_UP, "The server speaks another version of WebSocket."),
    429: Judgement(Verdict.RETRY),
    501: Judgement(Verdict.GIVE_UP, "Check the URL: what is there knows no WebSocket."),
    505: Judgement(Verdict.GIVE_UP, "Check the URL: what is there speaks another HTTP."),
}


def judge(ending: Ending) -> Judgement:
    """What ``ending`` asks for."""
    if isinstance(ending, ConnectionClosed):
        return _CLOSE_CODES.get(ending.code or 1006, Judgement(Verdict.RETRY))
    if isinstance(ending, RequestRefused):
        return _judge_status(ending)
    if isinstance(ending, RequestError):
        return _judge_init(ending)
    return Judgement(Verdict.RETRY)


def _judge_status(refused: RequestRefused) -> Judgement:
    status = refused.status
    known = _STATUSES.get(status)
    if known is None and status >= 500:
        known = Judgement(Verdict.RETRY)
    elif known is None and 300 <= status < 400:
        known = Judgement(Verdict.GIVE_UP, "Redirects are not followed: use the URL they lead to.")
    elif known is None:
        known = Judgement(Verdict.GIVE_UP, "Check the URL: there is no WebSocket.")
    if known.verdict is Verdict.RETRY and refused.retry_after_s is not None:
        return known._replace(after_s=min(refused.retry_after_s, MAX_TOLD_S))
    return known


def _judge_init(error: RequestError) -> Judgement:
    if error.code == "unauthenticated":
        return Judgement(Verdict.NEW_TOKEN, _LOGIN_HINT)
    if error.code == "forbidden":
        return Judgement(Verdict.GIVE_UP, _FORBIDDEN_HINT)
    if not error.retryable:
        return Judgement(Verdict.GIVE_UP, "The server refused the session; the code says why.")
    return Judgement(Verdict.RETRY, after_s=seconds(error.retry_after_ms))


def final_error(ending: Ending, hint: str) -> ConnectError:
    """What the user is told when nothing more is tried."""
    if isinstance(ending, ConnectionClosed):
        reason = f": {shown(ending.reason)}" if ending.reason else ""
        message = f"the server closed the connection with {ending.code}{reason}"
        return ConnectError(message, hint=hint, close_code=ending.code)
    if isinstance(ending, RequestRefused):
        message = f"the server refused the connection with {ending.status}: {ending.message}"
        return ConnectError(message, hint=hint, status=ending.status)
    if isinstance(ending, RequestError):
        return ConnectError(f"the server refused the session: {shown(ending)}", hint=hint)
    if isinstance(ending, ProtocolError):
        message = f"the server broke the protocol: {ending.reason}"
        return ConnectError(message, hint=hint, close_code=ending.close_code)
    return ConnectError(f"the server cannot be reached: {ending}", hint=hint)


def seconds(milliseconds: float | None) -> float | None:
    """A delay that a server told, in seconds and within reason; None stays None."""
    return None if milliseconds is None else min(max(milliseconds / 1000, 0.0), MAX_TOLD_S)


class Backoff:
    """Growing random delays: exponential, with full jitter.

    Args:
        base_s: limit of the first delay.
        cap_s: limit of all delays.
        random: returns a number from 0 (included) to 1 (excluded) at each call.
    """

    __slots__ = ("_base_s", "_cap_s", "_limit_s", "_random")

    def __init__(self, base_s: float, cap_s: float, random: Callable[[], float]) -> None:
        if not 0 <= base_s <= cap_s:
            raise ValueError("a back-off needs 0 <= base <= cap, in seconds")
        self._base_s = base_s
        self._cap_s = cap_s
        self._limit_s = base_s
        self._random = random

    def delay(self, after_s: float | None = None) -> float:
        """Seconds to wait now; the next delay may be twice as long.

        Args:
            after_s: what the other side asked for. The delay comes on top of it, since it has
                probably said the same to everybody.
        """
        delay = self._random() * self._limit_s
        self._limit_s = min(self._limit_s * 2, self._cap_s)
        return (after_s or 0.0) + delay

    def late_delay(self) -> float:
        """Seconds to wait after the server has had enough: in the upper half of what there is."""
        self._limit_s = self._cap_s
        return self._cap_s / 2 + self.delay() / 2

    def reset(self) -> None:
        """Begin anew."""
        self._limit_s = self._base_s
