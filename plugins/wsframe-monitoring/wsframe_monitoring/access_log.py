"""One line for each connection, request or message: who, what, how long, and how it ended.

Neither query strings nor headers nor contents are ever in it, and what a client may choose (a path,
an id, a reason) goes through the same filters as everything that wsframe logs.
"""

from __future__ import annotations

import json
import logging
import re
from typing import Any, Final

from wsframe import App, Connection, Message, Outcome, PluginError, Request
from wsframe.logs import JsonFormatter, LogFile, RedactSecrets, TextFormatter, get_logger

from .config import Config

_PLAIN: Final = re.compile(r"[^\s\"'=]+")


class AccessLog:
    """Writes the lines.

    Args:
        app: whose connections, requests and messages.
        config: for which of them, where to, and how.

    Raises:
        PluginError: the file cannot be written.
    """

    def __init__(self, app: App, config: Config) -> None:
        self._path = app.config.path
        self._lines = frozenset(config.access_log)
        self._file: LogFile | None = None
        self._as_text = app.config.log_format != "json"
        self._logger = get_logger("wsframe.access")
        if self._lines and config.access_log_file is not None:
            self._file = _open(config.access_log_file, config)
            self._as_text = config.access_log_format == "text"
            # Not one of the process's loggers: another application may have another file.
            self._logger = logging.Logger("wsframe.access", logging.INFO)  # noqa: LOG001 - see above
            self._logger.addFilter(RedactSecrets())
            self._logger.addHandler(self._file)

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()

    def request(self, request: Request, status: int, elapsed_s: float) -> None:
        """A request was answered; see ``app.measure``."""
        if request.path != self._path:
            if "requests" in self._lines:
                self._write("request", method=request.method, **_asked(request, status, elapsed_s))
        elif status != 101 and "connections" in self._lines:  # else opened() writes more
            self._write("refused", **_asked(request, status, elapsed_s))

    def opened(self, connection: Connection) -> None:
        """A connection is open."""
        request = connection.request
        self._write(
            "opened", **_who(connection), address=request.address, path=request.path, status=101
        )

    def closed(self, connection: Connection, code: int, reason: str, now: float) -> None:
        """A connection has ended."""
        self._write(
            "closed",
            **_who(connection),
            address=connection.request.address,
            code=code,
            reason=reason,
            seconds=round(now - connection.opened_at, 3),
        )

    def handled(
        self, connection: Connection, message: Message[Any], outcome: Outcome, elapsed_s: float
    ) -> None:
        """A message was answered."""
        self._write(
            "message",
            **_who(connection),
            type=message.type,
            id=message.id,
            outcome=outcome.value,
            ms=_milliseconds(elapsed_s),
        )

    def _write(self, event: str, **fields: Any) -> None:
        kept = {name: value for name, value in fields.items() if value not in ("", None)}
        if self._as_text:
            kept = {name: _word(value) for name, value in kept.items()}
        self._logger.info(event, extra=kept)


def _open(name: str, config: Config) -> LogFile:
    try:
        handler = LogFile(
            name,
            maxBytes=config.access_log_max_bytes,
            backupCount=config.access_log_backups,
            encoding="utf-8",
        )
    except OSError as error:
        raise PluginError(
            "monitoring",
            f"access_log_file = {name!r} cannot be written: {error.strerror}",
            hint="Name another file, in a folder that exists.",
        ) from error
    as_text = config.access_log_format == "text"
    handler.setFormatter(TextFormatter(colours=False, date=True) if as_text else JsonFormatter())
    return handler


def _asked(request: Request, status: int, elapsed_s: float) -> dict[str, Any]:
    return {
        "address": request.address,
        "path": request.path,
        "status": status,
        "ms": _milliseconds(elapsed_s),
    }


def _who(connection: Connection) -> dict[str, Any]:
    identity = connection.identity
    return {
        "connection": connection.id,
        "session": connection.session_id,
        "subject": None if identity.anonymous else identity.subject,
    }


def _milliseconds(elapsed_s: float) -> float:
    return round(1000 * elapsed_s, 3)


def _word(value: Any) -> Any:
    """A text that cannot be taken for several fields."""
    if isinstance(value, str) and not _PLAIN.fullmatch(value):
        return json.dumps(value, ensure_ascii=False)
    return value
