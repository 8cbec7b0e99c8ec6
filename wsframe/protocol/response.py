"""An HTTP response as a value, and its bytes."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from http import HTTPStatus
from typing import Any, Final

from ..errors import RequestRefused

_HEADER: Final = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+\r\n[\t -~]*")
_OURS: Final = frozenset({"connection", "content-length", "content-type", "transfer-encoding"})
_REASONS: Final = {status.value: status.phrase for status in HTTPStatus}
_BODILESS: Final = frozenset({204, 304})
JSON: Final = "application/json; charset=utf-8"


class Response:
    """What a plain HTTP request, or a refused one, is answered with.

    Args:
        status: 200-599.
        body: its payload; empty for 204 and 304.
        headers: names and values to add. Not ``content-type``, ``content-length``, ``connection``
            and ``transfer-encoding``, which are made here.
        content_type: the ``Content-Type``; not sent without a body.

    Raises:
        ValueError: the status is out of range, or a header would break the head.
    """

    __slots__ = ("body", "content_type", "headers", "status")

    def __init__(
        self,
        status: int = 200,
        body: bytes = b"",
        headers: Iterable[tuple[str, str]] = (),
        *,
        content_type: str = "application/octet-stream",
    ) -> None:
        if not 200 <= status <= 599:
            raise ValueError(f"status {status} is not between 200 and 599")
        if body and status in _BODILESS:
            raise ValueError(f"a response with status {status} has no body")
        self.status = status
        self.body = body
        self.headers = tuple(headers)
        self.content_type = content_type
        check_headers((*self.headers, ("x", content_type)))
        for name, _ in self.headers:
            if name.lower() in _OURS:
                raise ValueError(f"header {name!r} is set by the server")

    @classmethod
    def json(cls, status: int, value: Any, *, headers: Iterable[tuple[str, str]] = ()) -> Response:
        """Make a response whose body is ``value`` as JSON."""
        return cls(status, json.dumps(value).encode(), headers, content_type=JSON)

    def __repr__(self) -> str:
        return f"<Response {self.status}, {len(self.body)} bytes>"


def check_headers(headers: Iterable[tuple[str, str]]) -> None:
    """Make sure that headers of our own cannot break the head they are written into.

    Raises:
        ValueError: a name is no token, or a value has other characters than printable ASCII.
    """
    for name, value in headers:
        if not _HEADER.fullmatch(f"{name}\r\n{value}"):
            raise ValueError(f"header {name!r} is malformed")


def refusal(error: RequestRefused) -> Response:
    """Make the response for a refused request: the body is ``{"code", "message"}``."""
    body = {"code": error.code, "message": error.message}
    return Response.json(error.status, body, headers=error.headers)


def encode_response(response: Response, *, close: bool, head_only: bool = False) -> bytes:
    """Return the bytes of a response.

    Args:
        response: what to send.
        close: say that the connection ends with it; the caller then has to end it.
        head_only: leave the body out, because the request was a ``HEAD``.
    """
    status, body = response.status, response.body
    lines = [f"HTTP/1.1 {status} {_REASONS.get(status, '')}"]
    if status not in _BODILESS:
        lines.append(f"content-length: {len(body)}")
    if body:
        lines.append(f"content-type: {response.content_type}")
    lines += [f"{name}: {value}" for name, value in response.headers]
    options = ["close" if close else "keep-alive"]
    if any(name.lower() == "upgrade" for name, _ in response.headers):
        options.append("upgrade")  # RFC 9110 section 7.8
    lines.append(f"connection: {', '.join(options)}\r\n\r\n")
    head = "\r\n".join(lines).encode("ascii")
    return head if head_only else head + body
