"""Every error wsframe raises, and every code it puts on the wire.

::

    WsframeError
    ├── StartError                 the program cannot start (one line, no traceback)
    │   ├── ConfigError            a setting is unknown, of the wrong type or impossible
    │   ├── PluginError            a plugin cannot be imported, configured or registered
    │   └── StoreError             the store of sessions cannot be opened, read or written
    ├── RequestRefused             an HTTP request is answered with an error status
    ├── ProtocolError              the peer broke RFC 6455, RFC 7692 or a limit; has a close code
    ├── ConnectionClosed           something was sent to a connection that is gone
    ├── RequestError               at a client: the final answer to its request is an error
    ├── ConnectError               at a client: there is no connection, and there will be none
    ├── CloseConnection            raised by a hook: close this connection with a code
    └── AnswerError                goes to the client as one ``error`` message
        ├── InvalidMessage         the client's message cannot be decoded or is no envelope
        ├── Refused                a gate hook (or wsframe itself) refuses the message
        └── HandlerError           a handler answers with an error of its own choosing

A new wire error code is one line in :data:`ERROR_CODES`; everything else reads that table.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple


class ErrorCode(NamedTuple):
    """What is fixed about one wire error code."""

    retryable: bool
    """May the client send the same message again, with the same id, and hope for better?"""
    message: str
    """The sentence sent when the raiser gives none."""


ERROR_CODES: Final[Mapping[str, ErrorCode]] = {
    "invalid_json": ErrorCode(False, "The message is not valid JSON."),
    "invalid_msgpack": ErrorCode(False, "The message is not valid MessagePack."),
    "invalid_envelope": ErrorCode(False, "The message is not a valid envelope."),
    "invalid_content": ErrorCode(False, "The content does not fit this message type."),
    "unknown_type": ErrorCode(False, "No handler is registered for this message type."),
    "wrong_session": ErrorCode(False, "The message names another session."),
    "unauthenticated": ErrorCode(False, "This needs an authenticated session."),
    "forbidden": ErrorCode(False, "This is not allowed."),
    "rate_limited": ErrorCode(True, "Too many messages; slow down."),
    "too_many_in_flight": ErrorCode(True, "Too many messages are waiting for their answer."),
    "message_too_big": ErrorCode(False, "The message is larger than the limit."),
    "timeout": ErrorCode(True, "The handler did not finish in time."),
    "cancelled": ErrorCode(False, "The message was cancelled."),
    "handler_failed": ErrorCode(False, "The handler failed."),
    "interrupted": ErrorCode(True, "The node that ran the handler is gone."),
    "draining": ErrorCode(True, "The server is about to restart."),
    "unavailable": ErrorCode(True, "A service that is needed for this is not available."),
    "internal": ErrorCode(False, "Something went wrong inside the server."),
}
"""Error codes of the wire protocol. Codes of plugins and applications contain a dot."""


class WsframeError(Exception):
    """The root of everything wsframe raises."""


class StartError(WsframeError):
    """The program cannot start. ``exit_code`` is what the command line exits with."""

    exit_code = 1

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        """What to do about it, as one sentence; a traceback shows it too."""
        if hint:
            self.add_note(hint)


class ConfigError(StartError):
    """A setting is unknown, has the wrong type, or does not fit another setting."""

    exit_code = 2

    others: tuple[ConfigError, ...] = ()
    """What else is wrong with the settings."""


class PluginError(StartError):
    """A plugin cannot be imported, configured or registered."""

    exit_code = 3

    def __init__(self, plugin: str, message: str, *, hint: str | None = None) -> None:
        super().__init__(f"plugin {plugin!r}: {message}", hint=hint)
        self.plugin = plugin


class StoreError(StartError):
    """The store of sessions cannot be opened, read or written.

    At the start it keeps the server from starting. Later, the server goes on with what it has in
    memory, is not ready (``/readyz``), and tries again.
    """


class RequestRefused(WsframeError):
    """An HTTP request, upgrade or plain, is answered with ``status`` and a JSON body.

    ``headers`` are added to the response; the body is ``{"code": code, "message": message}``. On
    the client's side it is raised with what the server answered: all its headers, names in lower
    case, and ``code`` is ``http_<status>`` where the body was another one.
    """

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        *,
        headers: Sequence[tuple[str, str]] = (),
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.headers = tuple(headers)

    @property
    def retry_after_s(self) -> int | None:
        """Seconds after which to try again; None: no ``Retry-After``, or one that is a date."""
        for name, value in self.headers:
            if name.lower() == "retry-after" and value.isdecimal() and len(value) < 10:
                return int(value)
        return None


class ProtocolError(WsframeError):
    """The peer broke the protocol; the connection fails (RFC 6455 section 7.1.7)."""

    def __init__(self, close_code: int, reason: str) -> None:
        super().__init__(f"{reason} ({close_code})")
        self.close_code = close_code
        self.reason = reason


class ConnectionClosed(WsframeError):
    """Something was sent to a connection that is no longer open."""

    def __init__(self, code: int | None = None, reason: str = "") -> None:
        super().__init__(f"the connection is closed (code {code}{': ' + reason if reason else ''})")
        self.code = code
        self.reason = reason


class CloseConnection(WsframeError):
    """Raised by a hook or handler: close this connection with ``code`` and ``reason``.

    Args:
        code: the close code.
        reason: a sentence for the client.
        answer: what the message that this was raised for is answered before. Default:
            ``cancelled``, with the reason.
    """

    def __init__(
        self, code: int = 1008, reason: str = "", *, answer: AnswerError | None = None
    ) -> None:
        super().__init__(f"close with {code} {reason}".rstrip())
        self.code = code
        self.reason = reason
        self.answer = answer


class RequestError(WsframeError):
    """At a client: the final answer to a request is an error.

    Args:
        code: one of :data:`ERROR_CODES`, or an application's own, which contains a dot.
        message: a sentence for the user.
        retryable: may the same message be sent again, with the same id?
        details: what helps to show what was wrong; None: nothing.
        retry_after_ms: how long to wait before trying again; None: the server does not say.
    """

    def __init__(
        self,
        code: str,
        message: str,
        *,
        retryable: bool = False,
        details: Any = None,
        retry_after_ms: int | None = None,
    ) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.retryable = retryable
        self.details = details
        self.retry_after_ms = retry_after_ms


class ConnectError(WsframeError):
    """At a client: there is no connection, and the client has given up.

    Args:
        message: what was wrong.
        hint: what to do about it, as one sentence; a traceback shows it too.
        status: the HTTP status that the server or a proxy answered; None: it did not get so far.
        close_code: what the connection was closed with; None: there was none.
    """

    def __init__(
        self,
        message: str,
        *,
        hint: str,
        status: int | None = None,
        close_code: int | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.status = status
        self.close_code = close_code
        self.add_note(hint)

    def again(self) -> ConnectError:
        """An equal error, to be raised in another place: a traceback belongs to one of them."""
        error = ConnectError(
            self.message, hint=self.hint, status=self.status, close_code=self.close_code
        )
        error.__cause__ = self.__cause__
        return error


class AnswerError(WsframeError):
    """An error that becomes the client's final answer.

    Args:
        code: one of :data:`ERROR_CODES`, or an application's own, which contains a dot.
        message: a sentence for the user; never put internals here. Default: the code's sentence.
        retryable: may the client try again? Default: what the code says; False for own codes.
        details: anything that can be encoded; helps the client to show what was wrong.
        retry_after_ms: how long the client should wait before it tries again.

    Raises:
        ValueError: ``code`` is neither known nor contains a dot.
    """

    def __init__(
        self,
        code: str,
        message: str | None = None,
        *,
        retryable: bool | None = None,
        details: Any = None,
        retry_after_ms: int | None = None,
    ) -> None:
        known = ERROR_CODES.get(code)
        if known is None and "." not in code:
            raise ValueError(
                f"unknown error code {code!r}: an own code contains a dot, like 'billing.quota'"
            )
        if message is None:
            message = known.message if known else code
        if retryable is None:
            retryable = known.retryable if known else False
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.retryable = retryable
        self.details = details
        self.retry_after_ms = retry_after_ms

    def content(self) -> dict[str, Any]:
        """The ``content`` of the ``error`` message that carries this error."""
        content: dict[str, Any] = {
            "code": self.code,
            "message": self.message,
            "retryable": self.retryable,
        }
        if self.details is not None:
            content["details"] = self.details
        if self.retry_after_ms is not None:
            content["retryAfterMs"] = self.retry_after_ms
        return content


class InvalidMessage(AnswerError):
    """A client's message cannot be decoded, or is no envelope.

    ``message_id`` is the id of the offending message where one could still be read.
    """

    message_id: str | None = None


class Refused(AnswerError):
    """A gate hook refuses a message: ``raise Refused("forbidden")``."""


class HandlerError(AnswerError):
    """A handler answers with an error: ``raise HandlerError("math.overflow", "Too large")``."""
