"""The client that pages import from their server."""

from __future__ import annotations

from pathlib import Path

import pytest

from wsframe import Request
from wsframe.http import Routes, add_endpoints

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def routes() -> Routes:
    routes = Routes()
    add_endpoints(routes, health=dict, ready=lambda: True, metrics=dict)
    return routes


async def test_the_client_is_served_as_it_is_to_pages_of_any_origin(
    routes: Routes, source_tree: Path
) -> None:
    response = await routes.respond(Request("GET", "/wsframe-client.js"))
    assert response.status == 200
    assert response.body == (source_tree / "clients" / "js" / "wsframe-client.js").read_bytes()
    assert response.content_type == "text/javascript; charset=utf-8"
    headers = dict(response.headers)
    assert headers["access-control-allow-origin"] == "*"
    assert headers["x-content-type-options"] == "nosniff"


async def test_a_browser_that_has_the_client_is_told_so(routes: Routes) -> None:
    first = await routes.respond(Request("GET", "/wsframe-client.js"))
    known = (("if-none-match", dict(first.headers)["etag"]),)
    again = await routes.respond(Request("GET", "/wsframe-client.js", known))
    assert (again.status, again.body) == (304, b"")
