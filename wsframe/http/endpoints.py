"""What wsframe itself answers in plain HTTP.

Is it alive, is it ready, what does it count; and the client that pages import.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any, Final

from ..protocol.http import Request, Response
from .browser_client import BROWSER_CLIENT_PATH, serve_browser_client
from .routes import Routes

_NOT_STORED: Final = (("cache-control", "no-store"),)


def add_endpoints(
    routes: Routes,
    *,
    health: Callable[[], Mapping[str, Any]],
    ready: Callable[[], bool],
    metrics: Callable[[], Mapping[str, Any]],
) -> None:
    """Serve ``/healthz``, ``/readyz``, ``/metrics.json`` and ``/wsframe-client.js``.

    Args:
        routes: where to; routes of the same paths are replaced.
        health: what the first two answer; names in snake_case.
        ready: does it take connections? Otherwise ``/readyz`` answers 503.
        metrics: what the third answers; names in snake_case.
    """

    async def healthz(_request: Request) -> Response:
        return _report(200, health())

    async def readyz(_request: Request) -> Response:
        return _report(200 if ready() else 503, health())

    async def metrics_json(_request: Request) -> Response:
        return _report(200, metrics())

    routes.replace("/healthz", healthz)
    routes.replace("/readyz", readyz)
    routes.replace("/metrics.json", metrics_json)
    routes.replace(BROWSER_CLIENT_PATH, serve_browser_client)


def camel_case(value: Any) -> Any:
    """Return a report with the names it has in JSON: ``in_flight`` becomes ``inFlight``.

    Counters are keyed by values, like error codes and statuses, which stay what they are.
    """
    if isinstance(value, Counter) or not isinstance(value, Mapping):
        return value
    return {_camel(name): camel_case(inner) for name, inner in value.items()}


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)


def _report(status: int, report: Mapping[str, Any]) -> Response:
    return Response.json(status, camel_case(report), headers=_NOT_STORED)
