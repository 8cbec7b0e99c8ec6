"""Which function answers which path."""

from __future__ import annotations

import json
from typing import Any

import pytest

from wsframe import ConfigError, Request, RequestRefused, Response
from wsframe.http import Handler, Routes
from wsframe.http.routes import to_response

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def answering(answer: Any) -> Handler:
    async def handler(request: Request) -> Any:
        return answer

    return handler


@pytest.mark.parametrize(
    ("answer", "body", "content_type"),
    [
        ({"a": 1}, b'{"a": 1}', "application/json; charset=utf-8"),
        ("é", "é".encode(), "text/plain; charset=utf-8"),
        (b"\x00", b"\x00", "application/octet-stream"),
    ],
)
async def test_a_handler_returns_json_text_or_bytes(
    answer: Any, body: bytes, content_type: str
) -> None:
    routes = Routes()
    routes.add("/a", answering(answer))
    response = await routes.respond(Request("GET", "/a?x"))
    assert (response.status, response.body, response.content_type) == (200, body, content_type)


async def test_a_handler_returns_a_response_of_its_own() -> None:
    own = Response(201, b"x")
    routes = Routes()
    routes.add("/a", answering(own), methods=("POST",))
    assert await routes.respond(Request("POST", "/a")) is own


def test_something_else_is_a_mistake_that_names_the_path() -> None:
    with pytest.raises(TypeError, match=r"'/a' returned int"):
        to_response(7, "/a")


@pytest.mark.parametrize("path", ["/", "/b", "/a/", "/A", "*"])
async def test_a_path_without_route_is_not_found(path: str) -> None:
    routes = Routes()
    routes.add("/a", answering("a"))
    with pytest.raises(RequestRefused) as caught:
        await routes.respond(Request("GET", path))
    assert (caught.value.status, caught.value.code) == (404, "not_found")


async def test_another_method_is_not_allowed_and_the_right_ones_are_named() -> None:
    routes = Routes()
    routes.add("/a", answering("a"), methods=("GET", "POST"))
    with pytest.raises(RequestRefused) as caught:
        await routes.respond(Request("DELETE", "/a"))
    assert (caught.value.status, caught.value.code) == (405, "method_not_allowed")
    assert caught.value.headers == (("allow", "GET, POST, HEAD"),)


def test_get_includes_head_once() -> None:
    routes = Routes()
    handler = answering("a")
    routes.add("/a", handler)
    routes.add("/b", handler, methods=("HEAD", "GET"))
    routes.add("/c", handler, methods=("PUT",))
    assert routes.match(Request("HEAD", "/a")) is handler
    assert routes.match(Request("HEAD", "/b")) is handler
    with pytest.raises(RequestRefused):
        routes.match(Request("HEAD", "/c"))


def test_the_longest_route_above_a_path_answers_it_after_the_exact_one() -> None:
    routes = Routes()
    root, files, exact = answering("root"), answering("files"), answering("exact")
    routes.add("/*", root)
    routes.add("/files/*", files)
    routes.add("/files/a", exact)
    assert routes.match(Request("GET", "/files/a")) is exact
    assert routes.match(Request("GET", "/files/b/c")) is files
    assert routes.match(Request("GET", "/files/")) is files
    assert routes.match(Request("GET", "/files")) is root
    assert routes.match(Request("GET", "/")) is root


@pytest.mark.parametrize("path", ["/a", "/a/*"])
def test_two_handlers_for_one_path_are_refused_unless_one_replaces_the_other(path: str) -> None:
    routes = Routes()
    routes.add(path, answering("old"))
    with pytest.raises(ConfigError, match="two handlers"):
        routes.add(path, answering("new"))
    newest = answering("newest")
    routes.replace(path, newest)
    assert routes.match(Request("GET", path)) is newest


def test_a_path_and_everything_below_it_may_have_different_handlers() -> None:
    routes = Routes()
    exact, below = answering("exact"), answering("below")
    routes.add("/a/*", below)
    routes.add("/a/", exact)
    assert routes.match(Request("GET", "/a/")) is exact
    assert routes.match(Request("GET", "/a/b")) is below


@pytest.mark.parametrize("path", ["", "a", "*", "/a*", "/*/a", "/a?b", "/a#b"])
def test_a_malformed_path_is_refused(path: str) -> None:
    with pytest.raises(ConfigError, match="malformed"):
        Routes().add(path, answering("a"))


@pytest.mark.parametrize("methods", [(), ("get",), ("GET", "FETCH")])
def test_unknown_methods_are_refused(methods: tuple[str, ...]) -> None:
    with pytest.raises(ConfigError, match="method"):
        Routes().add("/a", answering("a"), methods=methods)


async def test_what_a_handler_raises_comes_through() -> None:
    async def broken(request: Request) -> Response:
        return json.loads("{")

    routes = Routes()
    routes.add("/a", broken)
    with pytest.raises(json.JSONDecodeError):
        await routes.respond(Request("GET", "/a"))
