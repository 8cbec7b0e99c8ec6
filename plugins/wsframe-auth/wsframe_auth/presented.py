"""The token that a request presents: which one, if there are several, is never a guess."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final
from urllib.parse import unquote_plus

from wsframe import Request, RequestRefused

from .config import Config
from .origins import is_allowed

log = logging.getLogger("wsframe.plugins.auth")

BEARER: Final = "wsframe.bearer."
_OTHER_LOGS: Final = (
    "uvicorn.access", "uvicorn.error", "uvicorn.asgi", "hypercorn.access", "hypercorn.error",
    "websockets.server",
)  # fmt: skip
"""Servers that write URLs into their logs, and headers at their lower levels, and may be below an
application."""
_TOKEN: Final = re.compile(r"\beyJ[\w-]+\.[\w-]+\.[\w-]*", re.ASCII)
"""What looks like a JSON Web Token: its header is a JSON object, which begins with ``{"``."""


def unauthenticated(message: str) -> RequestRefused:
    """The answer to a request without a token that counts (RFC 6750 section 3)."""
    return RequestRefused(
        401, "unauthenticated", message, headers=(("www-authenticate", "Bearer"),)
    )


def token_of(request: Request, config: Config) -> str | None:
    """The one token of an upgrade request; None: it presents none.

    A cookie counts only where nothing else is presented, and only for pages that may use it: a
    browser sends it whoever asks.

    Raises:
        RequestRefused: 401 for two different tokens, 403 for the cookie of a page from elsewhere.
    """
    found = {*_authorization(request), *_subprotocol(request)}
    if config.query_parameter is not None:
        found |= {*_query(request, config.query_parameter)}
    if not found and config.cookie is not None:
        found = {*_cookies(request, config.cookie)}
        if found and not is_allowed(request, config.cookie_origins):
            log.warning(
                "refused a connection from %s: its page is not in [plugins.auth] cookie_origins",
                request.address or "an unknown address",
            )
            raise RequestRefused(403, "forbidden", "Pages of this origin may not connect.")
    if len(found) > 1:
        raise unauthenticated("There are two different tokens.")
    return found.pop() if found else None


def _authorization(request: Request) -> Iterator[str]:
    for value in request.headers_all("authorization"):
        scheme, _, token = value.partition(" ")
        if scheme.lower() == "bearer":
            yield token.strip()


def _subprotocol(request: Request) -> Iterator[str]:
    for value in request.headers_all("sec-websocket-protocol"):
        for name in value.split(","):
            if name.strip().startswith(BEARER):
                yield name.strip().removeprefix(BEARER)


def _query(request: Request, parameter: str) -> Iterator[str]:
    for pair in request.query.split("&"):
        name, _, value = pair.partition("=")
        if name == parameter:  # as it is written: logs are scrubbed by that name
            yield unquote_plus(value)


def _cookies(request: Request, cookie: str) -> Iterator[str]:
    for header in request.headers_all("cookie"):
        for pair in header.split(";"):
            name, _, value = pair.strip().partition("=")
            if name == cookie:
                yield value.strip('"')


class Scrub(logging.Filter):
    """Hides tokens in log records, and one parameter of URLs, whatever its name is.

    wsframe itself logs no query and hides tokens; servers below an ASGI application do not.

    Args:
        parameter: of URLs; None: there is none.
    """

    def __init__(self, parameter: str | None) -> None:
        super().__init__()
        self._parameter = (
            None if parameter is None else re.compile(rf"([?&]{re.escape(parameter)}=)[^&\s\"'#]+")
        )

    def filter(self, record: logging.LogRecord) -> bool:
        """Let every record pass, without what nobody may read."""
        record.msg = self._scrub(record.msg)
        if isinstance(record.args, Mapping):
            record.args = {name: self._scrub(each) for name, each in record.args.items()}
        elif record.args:
            record.args = tuple(self._scrub(each) for each in record.args)
        return True

    def _scrub(self, value: Any) -> Any:
        if value is None or isinstance(value, int | float):
            return value
        text = str(value)  # headers come as bytes, and within other things
        scrubbed = _TOKEN.sub("***", text)
        if self._parameter is not None:
            scrubbed = self._parameter.sub(r"\1***", scrubbed)
        return value if scrubbed == text else scrubbed

    def install(self) -> None:
        """Scrub the logs of servers that may be below the application."""
        for name in _OTHER_LOGS:
            logging.getLogger(name).addFilter(self)

    def remove(self) -> None:
        """Scrub nothing any more."""
        for name in _OTHER_LOGS:
            logging.getLogger(name).removeFilter(self)
