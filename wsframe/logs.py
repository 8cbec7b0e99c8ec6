"""Logging: one line a record, without secrets and without tricks.

Everything wsframe says goes to loggers named ``wsframe.<subject>``. A program of its own
(``wsframe run``, ``app.run()``) calls :func:`configure_logging` once; an application that embeds
wsframe configures :mod:`logging` itself, and this module then touches wsframe's loggers only.

Whatever a stranger can put into a record (paths, headers, message types) can neither forge a second
line nor move the cursor of a terminal: control characters are escaped. Tokens and passwords are
replaced by ``***``, in wsframe's own loggers as well as in the output configured here.
"""

from __future__ import annotations

import contextlib
import json
import logging
import math
import os
import re
import sys
import time
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import Any, Final, TextIO

from wsframe.config import Config
from wsframe.config_fields import DEBUG_SUBJECTS, debug_subjects, describe, read_value, settings
from wsframe.errors import ConfigError
from wsframe.redaction import redact_text, redact_value

MAX_RECORD_CHARACTERS: Final = 8_192
"""A longer message is cut: a log is no place for a megabyte from a stranger."""

_STANDARD_ATTRIBUTES: Final = frozenset(
    {*vars(logging.makeLogRecord({})), "message", "asctime", "taskName", "color_message"}
)
_UNPRINTABLE: Final = re.compile(
    # C0, DEL and C1 (ANSI escapes), line separators, bidirectional overrides, lone surrogates.
    "[\x00-\x1f\x7f-\x9f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)
_COLOURS: Final = {
    logging.DEBUG: "\x1b[2m",
    logging.INFO: "\x1b[32m",
    logging.WARNING: "\x1b[33m",
    logging.ERROR: "\x1b[31m",
    logging.CRITICAL: "\x1b[1;31m",
}
_ROOT: Final = logging.getLogger("wsframe")
_installed: Final[list[logging.Handler]] = []
"""What :func:`configure_logging` gave the root logger: one a process, as the root logger is."""


def escape(text: str) -> str:
    """``text`` on one line: what would steer a terminal or end the line is written as an escape."""
    return _UNPRINTABLE.sub(lambda match: ascii(match[0])[1:-1], text)


class RedactSecrets(logging.Filter):
    """Replaces tokens and passwords in a record, once, whichever handlers it goes to."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Let every record pass, without its secrets."""
        if not getattr(record, "redacted", False):
            try:
                message = record.getMessage()
            except (TypeError, ValueError, KeyError):
                message = f"{record.msg} {record.args!r}"  # a wrong format loses no record
            record.msg, record.args = redact_text(message), None
            for name in vars(record).keys() - _STANDARD_ATTRIBUTES:
                setattr(record, name, redact_value(name, getattr(record, name)))
            record.redacted = True
        return True


class TextFormatter(logging.Formatter):
    """``10:00:00.000 INFO  server: message key=value`` for people; tracebacks indented."""

    def __init__(self, *, colours: bool, date: bool) -> None:
        super().__init__()
        self._colours = colours
        self._date_format = "%Y-%m-%d %H:%M:%S" if date else "%H:%M:%S"

    def format(self, record: logging.LogRecord) -> str:
        """The record as one line, and its traceback below."""
        moment = time.strftime(self._date_format, time.localtime(record.created))
        level = f"{record.levelname:<7}"
        if self._colours:
            level = f"{_COLOURS.get(record.levelno, '')}{level}\x1b[0m"
        subject = record.name.removeprefix("wsframe.")
        extra = "".join(f" {key}={_short(value)}" for key, value in _extra_of(record).items())
        head = f"{moment}.{int(record.msecs):03d} {level} {escape(subject)}: "
        lines = [head + _short(record.getMessage()) + extra]
        lines += [f"    | {escape(line)}" for line in _traceback_of(record).splitlines()]
        return "\n".join(lines)


class JsonFormatter(logging.Formatter):
    """One JSON object a line, for machines: timestamp, level, logger, message, extra fields."""

    def format(self, record: logging.LogRecord) -> str:
        """The record as a JSON object, its traceback included."""
        moment = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        entry: dict[str, Any] = {
            "timestamp": f"{moment}.{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": _short(record.getMessage()),
        }
        for key, value in _extra_of(record).items():
            number = isinstance(value, int | float) and math.isfinite(value)
            entry.setdefault(key, value if number else _short(value))
        if traceback := _traceback_of(record):
            entry["exception"] = traceback
        return json.dumps(entry, ensure_ascii=True)


def _short(value: object) -> str:
    text = str(value)
    if len(text) > MAX_RECORD_CHARACTERS:
        left_out = len(text) - MAX_RECORD_CHARACTERS
        text = f"{text[:MAX_RECORD_CHARACTERS]}… ({left_out} more characters)"
    return escape(text)


def _extra_of(record: logging.LogRecord) -> dict[str, Any]:
    own = vars(record).items()
    return {key: value for key, value in own if key not in _STANDARD_ATTRIBUTES | {"redacted"}}


def _traceback_of(record: logging.LogRecord) -> str:
    if not record.exc_info or record.exc_info[0] is None:
        return ""
    return redact_text(logging.Formatter().formatException(record.exc_info))


class LogFile(RotatingFileHandler):
    """The rotating log file. When it can no longer be written, that is said once, in one line."""

    _failed = False

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: ARG002, N802 - named by logging
        """Say once why the file cannot be written; the records still go to standard error."""
        if not self._failed:
            self._failed = True
            error = sys.exc_info()[1]
            sys.stderr.write(f"wsframe: log file {self.baseFilename}: {error}\n")


def configure_logging(config: Config, *, stream: TextIO | None = None) -> None:
    """Sends the records of the whole program to ``stream`` and to the configured log file.

    For a program that is wsframe's own (``wsframe run``, ``app.run()``): its handlers are the root
    logger's, so that the application's own loggers come out in the same form. Where the application
    has given the root logger handlers already, those stay alone; only the log file is added.

    Args:
        config: ``log_level``, ``log_format``, ``log_file``, ``log_file_max_bytes``,
            ``log_file_backups`` and ``debug`` are used.
        stream: None: standard error. It is coloured only when it is a terminal.

    Raises:
        ConfigError: the log file cannot be opened for writing.
    """
    root = logging.getLogger()
    while _installed:
        old = _installed.pop()
        root.removeHandler(old)
        with contextlib.suppress(OSError):  # a disk that is full cannot take the last line either
            old.close()
    if not root.handlers:
        _install(_stream_handler(config, sys.stderr if stream is None else stream))
    if config.log_file is not None:
        _install(_open_log_file(config, config.log_file))
    root.setLevel(_level(config.log_level))
    logging.getLogger("asyncio").setLevel(max(_level(config.log_level), logging.INFO))
    set_log_level(config.log_level)
    trace(config.debug)


def _install(handler: logging.Handler) -> None:
    handler.addFilter(RedactSecrets())
    logging.getLogger().addHandler(handler)
    _installed.append(handler)


def _stream_handler(config: Config, stream: TextIO) -> logging.Handler:
    handler = logging.StreamHandler(stream)
    colours = stream.isatty() and "NO_COLOR" not in os.environ
    handler.setFormatter(_formatter(config, colours=colours, date=False))
    return handler


def _formatter(config: Config, *, colours: bool, date: bool) -> logging.Formatter:
    if config.log_format == "json":
        return JsonFormatter()
    return TextFormatter(colours=colours, date=date)


def check_log_file(config: Config) -> None:
    """Make sure that the configured log file, if any, can be written; its folder is made.

    Raises:
        ConfigError: it cannot.
    """
    if config.log_file is not None:
        _open_log_file(config, config.log_file).close()


def _open_log_file(config: Config, name: str) -> LogFile:
    path = Path(name)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handler = LogFile(
            path,
            maxBytes=config.log_file_max_bytes,
            backupCount=config.log_file_backups,
            encoding="utf-8",
        )
    except OSError as error:
        raise ConfigError(
            f"log_file = {name!r}: cannot be written: {error.strerror}",
            hint="Name another file with log_file (--log-file), or none.",
        ) from error
    handler.setFormatter(_formatter(config, colours=False, date=True))
    return handler


def set_log_level(level: str) -> None:
    """Sets the least severity that wsframe's loggers let pass; subjects being traced stay traced.

    Args:
        level: ``debug``, ``info``, ``warning``, ``error`` or ``critical``, in any case.

    Raises:
        ConfigError: there is no such level.
    """
    _ROOT.setLevel(_level(level))


def _level(name: str) -> int:
    annotation = settings()["log_level"].type
    try:
        return logging.getLevelNamesMapping()[str(read_value(name, annotation)).upper()]
    except ValueError:
        raise ConfigError(f"log_level = {name!r}: must be {describe(annotation)}") from None


def trace(subjects: str) -> None:
    """Switches the debug records of these subjects on, and of all others back to the log level.

    Args:
        subjects: the setting ``debug``: ``*``, or names separated by commas.

    Raises:
        ConfigError: there is no such subject.
    """
    try:
        chosen = debug_subjects(subjects)
    except ValueError as error:
        raise ConfigError(f"debug = {subjects!r}: {error}") from None
    for subject in DEBUG_SUBJECTS:
        level = logging.DEBUG if subject in chosen else logging.NOTSET
        get_logger(f"wsframe.{subject}").setLevel(level)


def get_logger(name: str) -> logging.Logger:
    """The logger ``name``, with secrets kept out of its records whoever handles them."""
    logger = logging.getLogger(name)
    if not any(isinstance(each, RedactSecrets) for each in logger.filters):
        logger.addFilter(RedactSecrets())
    return logger


for _subject in ("", *(f".{_each}" for _each in DEBUG_SUBJECTS)):
    get_logger(f"wsframe{_subject}")
