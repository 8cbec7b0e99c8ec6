"""Health, readiness and metrics."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest

from wsframe import Request, Response
from wsframe.http import Routes, add_endpoints

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def ask(path: str, *, ready: bool = True, metrics: dict[str, Any] | None = None) -> Response:
    routes = Routes()
    add_endpoints(
        routes,
        health=lambda: {"status": "ok", "uptime_s": 1.5, "connections": {"active_now": 2}},
        ready=lambda: ready,
        metrics=lambda: metrics or {},
    )
    return await routes.respond(Request("GET", path))


async def test_health_is_told_in_camel_case_and_never_cached() -> None:
    response = await ask("/healthz")
    assert response.status == 200
    assert json.loads(response.body) == {
        "status": "ok",
        "uptimeS": 1.5,
        "connections": {"activeNow": 2},
    }
    assert ("cache-control", "no-store") in response.headers


async def test_a_server_that_takes_no_connections_is_alive_but_not_ready() -> None:
    assert (await ask("/readyz", ready=True)).status == 200
    assert (await ask("/readyz", ready=False)).status == 503
    assert (await ask("/healthz", ready=False)).status == 200


async def test_counters_keep_the_names_of_what_they_count() -> None:
    response = await ask(
        "/metrics.json", metrics={"messages_refused": Counter({"unknown_type": 2}), "mean_s": 0.5}
    )
    assert json.loads(response.body) == {"messagesRefused": {"unknown_type": 2}, "meanS": 0.5}


async def test_an_endpoint_comes_before_an_applications_route_of_the_same_path() -> None:
    async def mine(request: Request) -> Response:
        return Response(418)

    routes = Routes()
    routes.add("/healthz", mine)
    add_endpoints(routes, health=dict, ready=lambda: True, metrics=dict)
    assert (await routes.respond(Request("GET", "/healthz"))).status == 200
