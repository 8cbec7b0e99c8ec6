"""Which function answers which path in plain HTTP."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, NamedTuple

from ..errors import ConfigError, RequestRefused
from ..protocol.http import Request, Response

Answer = Response | Mapping[str, Any] | str | bytes
"""What a handler may return: a response, JSON, plain text, or bytes."""
Handler = Callable[[Request], Awaitable[Answer]]

_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class Route(NamedTuple):
    """A handler, and the methods it answers."""

    handler: Handler
    methods: tuple[str, ...]


class Routes:
    """Paths and their handlers. A path that ends with ``/*`` stands for everything below it."""

    def __init__(self) -> None:
        self._exact: dict[str, Route] = {}
        self._below: dict[str, Route] = {}

    @property
    def tables(self) -> tuple[dict[str, Route], dict[str, Route]]:
        """The routes by exact path, and by the path that they are below of."""
        return self._exact, self._below

    def add(self, path: str, handler: Handler, methods: tuple[str, ...] = ("GET",)) -> None:
        """Let ``handler`` answer ``path``.

        Args:
            path: exact and percent-decoded, ``/status``, or everything below, ``/files/*``.
            handler: ``async def handler(request)``; see :data:`Answer`. For ``HEAD`` it is called
                as for ``GET``, and the body is left out.
            methods: HTTP methods in upper case; ``GET`` includes ``HEAD``.

        Raises:
            ConfigError: the path is malformed or taken, or a method is unknown.
        """
        if path in self._exact or (path.removesuffix("*") in self._below and path.endswith("/*")):
            raise ConfigError(f"two handlers for the HTTP path {path!r}")
        self.replace(path, handler, methods)

    def replace(self, path: str, handler: Handler, methods: tuple[str, ...] = ("GET",)) -> None:
        """Let ``handler`` answer ``path``, whoever did before; see :meth:`add`."""
        stem = path.removesuffix("*")
        if not path.startswith("/") or "*" in stem or "?" in path or "#" in path:
            raise ConfigError(
                f"the HTTP path {path!r} is malformed",
                hint="A path starts with '/' and has no query; '/files/*' stands for all below.",
            )
        if stem != path and not stem.endswith("/"):
            raise ConfigError(f"the HTTP path {path!r} is malformed", hint="Write '/*' at its end.")
        unknown = [method for method in methods if method not in _METHODS]
        if unknown or not methods:
            raise ConfigError(f"the HTTP path {path!r} has unknown methods {unknown}")
        allowed = (*methods, "HEAD") if "GET" in methods and "HEAD" not in methods else methods
        table = self._exact if stem == path else self._below
        table[stem] = Route(handler, tuple(allowed))

    def match(self, request: Request) -> Handler:
        """Return the handler for a request: that of its exact path, else of the longest above it.

        Raises:
            RequestRefused: 404 without a route, 405 for another method.
        """
        route = self._exact.get(request.path) or self._above(request.path)
        if route is None:
            raise RequestRefused(404, "not_found", "There is nothing at this address.")
        if request.method not in route.methods:
            raise RequestRefused(
                405,
                "method_not_allowed",
                "This address does not know this method.",
                headers=(("allow", ", ".join(route.methods)),),
            )
        return route.handler

    async def respond(self, request: Request) -> Response:
        """Answer a request.

        Raises:
            RequestRefused: no route fits, or the handler refuses.
            TypeError: the handler returned something that is no :data:`Answer`.
            Exception: whatever the handler raises.
        """
        handler = self.match(request)
        return to_response(await handler(request), request.path)

    def _above(self, path: str) -> Route | None:
        while self._below and "/" in path:
            path = path[: path.rindex("/")]
            route = self._below.get(path + "/")
            if route is not None:
                return route
        return None


def to_response(answer: Any, path: str) -> Response:
    """Turn what a handler returned into a response.

    Raises:
        TypeError: it is no :data:`Answer`; the text names the path.
    """
    match answer:
        case Response():
            return answer
        case Mapping():
            return Response.json(200, answer)
        case str():
            return Response(200, answer.encode(), content_type="text/plain; charset=utf-8")
        case bytes():
            return Response(200, answer)
    raise TypeError(
        f"the handler of {path!r} returned {type(answer).__name__};"
        " it must return a Response, a dict, str or bytes"
    )
