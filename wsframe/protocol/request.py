"""An HTTP request as a value.

It keeps its headers as the bytes they arrived in, not as a tuple of strings: it lives as long as
its connection, and the head of a browser costs 0.7 KiB so instead of 2.3.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, Final, NoReturn

from ..errors import RequestRefused
from .head import split_list

_TARGET: Final = re.compile(
    r"(?:(?:http|ws)s?://(?P<authority>[^/?#]*))?(?P<path>[^?#]*)(?:\?(?P<query>[^#]*))?"
)
_ESCAPE: Final = re.compile(rb"%([0-9A-Fa-f]{2})?")
_UNSAFE_IN_PATH: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")
"""Controls, line separators and the characters that turn the direction of a line of text."""
_NAME: Final = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_VALUE: Final = re.compile(r"[\t -~]*")
"""Header names and values (RFC 9110 sections 5.1 and 5.5), ASCII only."""


class CheckedHeaders(bytes):
    r"""Headers that a parser has checked: each ``\r\nname: value``, then a final ``\r\n``.

    Names are in lower case.
    """

    __slots__ = ()


class Request:
    """A request, upgrade or plain; it never changes.

    Args:
        method: ``GET``, ``HEAD``, …; compared exactly.
        target: what stands in the request line.
        headers: names and values in order; names are made lower case.
        path: the path, percent-decoded. Default: that of ``target``.
        query: what follows ``?``, as it stands. Default: that of ``target``.
        address: the peer's address as the transport knows it; ``""``: unknown.
        secure: did it arrive over TLS?
        body: its payload.
        http_version: ``"1.1"`` or ``"1.0"``.

    Raises:
        RequestRefused: 400, the target or a header is malformed.
    """

    __slots__ = (
        "_head",
        "address",
        "body",
        "http_version",
        "method",
        "path",
        "query",
        "secure",
        "target",
    )

    method: str
    target: str
    path: str
    query: str
    address: str
    secure: bool
    body: bytes
    http_version: str
    _head: CheckedHeaders

    def __init__(
        self,
        method: str,
        target: str,
        headers: Iterable[tuple[str, str]] | CheckedHeaders = (),
        *,
        path: str | None = None,
        query: str | None = None,
        address: str = "",
        secure: bool = False,
        body: bytes = b"",
        http_version: str = "1.1",
    ) -> None:
        if not _is_visible(target):
            raise _bad("The target of the request is malformed.")
        if path is None or query is None:
            target_path, target_query = split_target(target)
            path = target_path if path is None else path
            query = target_query if query is None else query
        if not _is_visible(query):
            raise _bad("The target of the request is malformed.")
        if _UNSAFE_IN_PATH.search(path):
            raise _bad("The path contains a control character.")
        head = headers if isinstance(headers, CheckedHeaders) else _check(headers)
        values = (method, target, path, query, address, secure, body, http_version, head)
        for set_value, value in zip(_SETTERS, values, strict=True):
            set_value(self, value)

    def with_body(self, body: bytes) -> Request:
        """Return the same request with its payload."""
        return Request(
            self.method,
            self.target,
            self._head,
            path=self.path,
            query=self.query,
            address=self.address,
            secure=self.secure,
            body=body,
            http_version=self.http_version,
        )

    def header(self, name: str) -> str | None:
        """Return the first value of a header; ``name`` in lower case. None: it is not there."""
        head = self._head
        key = b"\r\n%b: " % name.encode()
        position = head.find(key)
        if position < 0:
            return None
        start = position + len(key)
        return head[start : head.index(b"\r\n", start)].decode("ascii")

    def headers_all(self, name: str) -> tuple[str, ...]:
        """Return every value of a header, in order; ``name`` in lower case."""
        head = self._head
        key = b"\r\n%b: " % name.encode()
        values: tuple[str, ...] = ()
        position = head.find(key)
        while position >= 0:
            start = position + len(key)
            position = head.index(b"\r\n", start)
            values = (*values, head[start:position].decode("ascii"))
            position = head.find(key, position)
        return values

    @property
    def headers(self) -> tuple[tuple[str, str], ...]:
        """Every header in order, names in lower case. Made anew each time."""
        lines = self._head.decode("ascii").split("\r\n")[1:-1]
        return tuple((name, value) for name, _, value in (line.partition(": ") for line in lines))

    def fields(self) -> dict[str, tuple[str, ...]]:
        """Return every value of each header, for those who need many; names in lower case."""
        fields: dict[str, tuple[str, ...]] = {}
        for line in self._head.decode("ascii").split("\r\n")[1:-1]:
            name, _, value = line.partition(": ")
            fields[name] = (*fields[name], value) if name in fields else (value,)
        return fields

    @property
    def keep_alive(self) -> bool:
        """May another request follow on the same connection (RFC 9112 section 9.3)?"""
        return self.http_version == "1.1" and "close" not in split_list(
            self.headers_all("connection")
        )

    def __setattr__(self, name: str, value: Any) -> NoReturn:
        raise AttributeError(f"a request never changes; {name!r} cannot be set")

    def __delattr__(self, name: str) -> NoReturn:
        raise AttributeError(f"a request never changes; {name!r} cannot be deleted")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Request) and _values_of(self) == _values_of(other)

    def __hash__(self) -> int:
        return hash(_values_of(self))

    def __repr__(self) -> str:
        # Neither query nor headers: both may carry a token, and this ends up in logs.
        return f"<Request {self.method} {self.path!a} from {self.address or 'unknown'}>"


_FIELDS: Final = (
    "method",
    "target",
    "path",
    "query",
    "address",
    "secure",
    "body",
    "http_version",
    "_head",
)


_SETTERS: Final = tuple(Request.__dict__[name].__set__ for name in _FIELDS)


def _values_of(request: Request) -> tuple[Any, ...]:
    return tuple(getattr(request, name) for name in _FIELDS)


def split_target(target: str) -> tuple[str, str]:
    """Return the path, percent-decoded, and the query of a request target.

    Raises:
        RequestRefused: 400, the target is no URL, or its path is not UTF-8.
    """
    if target[:1] == "/" and "%" not in target and "#" not in target:  # nearly always
        path, _, query = target.partition("?")
        return path, query
    match = _TARGET.fullmatch(target)
    if match is None:
        raise _bad("The target of the request is malformed.")
    if match["authority"] is not None and not match["path"]:
        return "/", match["query"] or ""
    return _decode_path(match["path"]), match["query"] or ""


def authority_of(target: str) -> str | None:
    """Return the authority of a target in absolute form (RFC 9112 section 3.2.2); None: no such."""
    match = None if target[:1] == "/" else _TARGET.fullmatch(target)
    return None if match is None else match["authority"]


def _decode_path(path: str) -> str:
    def decode(escape: re.Match[bytes]) -> bytes:
        if escape[1] is None:
            raise _bad("The path has a malformed % escape.")
        return bytes.fromhex(escape[1].decode("ascii"))

    try:
        return _ESCAPE.sub(decode, path.encode()).decode()
    except UnicodeDecodeError:
        raise _bad("The path is not UTF-8.") from None


def _check(headers: Iterable[tuple[str, str]]) -> CheckedHeaders:
    lines = []
    for name, value in headers:
        if not _NAME.fullmatch(name) or not _VALUE.fullmatch(value):
            raise _bad("A header is malformed.")
        lines.append(f"\r\n{name.lower()}: {value}")
    return CheckedHeaders("".join((*lines, "\r\n")).encode("ascii"))


def _is_visible(text: str) -> bool:
    return text.isascii() and text.isprintable()


def _bad(message: str) -> RequestRefused:
    return RequestRefused(400, "bad_request", message)
