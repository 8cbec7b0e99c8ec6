"""Which function answers which type, and what is known of it before the first message."""

from __future__ import annotations

import functools
from typing import Any, TypeVar

import msgspec
import pytest

from wsframe import App, ConfigError, Message
from wsframe.routing import DEFAULT, HandlerTable, Route
from wsframe.server.builtin import RESERVED_TYPES
from wsframe.session import ANONYMOUS, Identity

C = TypeVar("C")


class Ask(msgspec.Struct):
    prompt: str


async def returns(message: Any, connection: Any) -> Any: ...


async def streams(message: Any, connection: Any) -> Any:
    yield 1


class Callable:
    async def __call__(self, message: Message[Ask], connection: Any) -> Any: ...

    async def method(self, message: Message[Ask], connection: Any) -> Any:
        yield 1


def add(function: Any, message_type: str = "do", **options: Any) -> Route:
    table = HandlerTable()
    settings: dict[str, Any] = {
        "concurrent": False, "timeout_s": DEFAULT, "retries": DEFAULT, "reply_type": None,
        "reserved": RESERVED_TYPES,
    }  # fmt: skip
    return table.add(message_type, function, **{**settings, **options})


def wrapped(function: Any) -> Any:
    @functools.wraps(function)
    def wrapper(message: Any, connection: Any) -> Any:
        return function(message, connection)

    return wrapper


@pytest.mark.parametrize(
    ("function", "is_stream"),
    [
        (returns, False),
        (streams, True),
        (Callable(), False),
        (Callable().method, True),
        (wrapped(returns), False),
        (wrapped(streams), True),
        (functools.partial(returns), False),
    ],
)
def test_a_stream_is_an_async_generator_however_it_is_wrapped(
    function: Any, is_stream: bool
) -> None:
    assert add(function).streams is is_stream


@pytest.mark.parametrize(
    ("function", "is_plain"),
    [
        (returns, True),
        (functools.partial(returns), True),
        (streams, False),
        (wrapped(returns), False),
        (Callable(), False),
    ],
)
def test_only_an_async_function_itself_is_plain(function: Any, is_plain: bool) -> None:
    for concurrent in (False, True):
        table = HandlerTable()
        table.add(
            "do", function, concurrent=concurrent, timeout_s=DEFAULT, retries=DEFAULT,
            reply_type=None, reserved=(),
        )  # fmt: skip
        routes = table.resolved(timeout_s=7, retries=0).routes
        assert routes["do"].plain is (is_plain and not concurrent)


async def bare(message: Message, connection: Any) -> Any: ...  # type: ignore[type-arg]


async def anything(message: Message[Any], connection: Any) -> Any: ...


async def variable(message: Message[C], connection: Any) -> Any: ...


async def other(message: list[int], connection: Any) -> Any: ...


async def typed(message: Message[Ask], connection: Any) -> Any: ...


async def listed(message: Message[list[int]], connection: Any) -> Any: ...


@pytest.mark.parametrize(
    ("function", "content_type"),
    [
        (returns, None),
        (bare, None),
        (anything, None),
        (variable, None),
        (other, None),
        (typed, Ask),
        (listed, list[int]),
        (Callable(), Ask),
        (Callable().method, Ask),
    ],
)
def test_the_content_type_is_what_the_annotation_names(function: Any, content_type: Any) -> None:
    assert add(function).content_type == content_type


async def unresolved(message: Message[Nowhere], connection: Any) -> Any: ...  # type: ignore[name-defined]  # noqa: F821


async def one(message: Any) -> Any: ...


async def three(message: Any, connection: Any, more: Any) -> Any: ...


def sync(message: Any, connection: Any) -> Any: ...


@pytest.mark.parametrize(
    ("function", "problem"),
    [
        (sync, "not an async function"),
        (5, "not an async function"),
        (one, "it must take two arguments"),
        (three, "it must take two arguments"),
        (unresolved, "cannot resolve the annotation"),
    ],
)
def test_what_is_no_handler_is_refused(function: Any, problem: str) -> None:
    with pytest.raises(ConfigError, match=problem):
        add(function)


@pytest.mark.parametrize("message_type", sorted(RESERVED_TYPES))
def test_built_in_types_cannot_be_taken(message_type: str) -> None:
    with pytest.raises(ConfigError, match="this type is built in"):
        add(returns, message_type)


@pytest.mark.parametrize(
    ("message_type", "reply_type"), [("*", None), ("", None), ("a", "b c"), ("a" * 65, None)]
)
def test_a_type_must_be_a_type(message_type: str, reply_type: str | None) -> None:
    with pytest.raises(ConfigError, match="regex"):
        add(returns, message_type, reply_type=reply_type)


@pytest.mark.parametrize(
    ("option", "value"), [("timeout_s", 0), ("timeout_s", -1.0), ("retries", -1)]
)
def test_impossible_limits_are_refused(option: str, value: Any) -> None:
    with pytest.raises(ConfigError, match=option):
        add(returns, **{option: value})


@pytest.mark.parametrize(("owner", "by"), [(None, "the application"), ("chat", "plugin 'chat'")])
def test_a_type_has_one_handler(owner: str | None, by: str) -> None:
    table = HandlerTable()
    options: dict[str, Any] = {
        "concurrent": False, "timeout_s": None, "retries": 0, "reply_type": None, "reserved": (),
    }  # fmt: skip
    table.add("do", returns, owner=owner, **options)
    with pytest.raises(ConfigError, match=f"already has a handler, from {by}"):
        table.add("do", streams, **options)


def test_what_is_left_to_the_configuration_is_filled_in() -> None:
    table = HandlerTable()
    options: dict[str, Any] = {"concurrent": False, "reply_type": None, "reserved": ()}
    table.add("default", returns, timeout_s=DEFAULT, retries=DEFAULT, **options)
    table.add("own", returns, timeout_s=None, retries=0, **options)
    table.add("stream", streams, timeout_s=1, retries=0, **options)
    routes = table.resolved(timeout_s=7, retries=2).routes
    limits = {name: (each.timeout_s, each.retries, each.plain) for name, each in routes.items()}
    assert limits == {"default": (7, 2, False), "own": (None, 0, True), "stream": (1, 0, False)}
    assert table.routes["default"].timeout_s is DEFAULT


def test_the_nearest_types_are_named_within_bounds() -> None:
    table = HandlerTable()
    for name in ("text", "test", "next", "other", "texts"):
        table.add(
            name, returns, concurrent=False, timeout_s=None, retries=0, reply_type=None, reserved=()
        )
    error = table.unknown("txt", ANONYMOUS)
    assert error.code == "unknown_type"
    assert "text" in error.details["nearest"]
    assert len(error.details["nearest"]) <= 3
    assert table.unknown("zzzzzzz", ANONYMOUS).details["nearest"] == []


def test_an_application_registers_with_a_decorator_or_a_call() -> None:
    app = App()
    assert app.handler("a")(returns) is returns
    app.add_handler("b", streams)
    assert set(app._handlers.routes) == {"a", "b"}


def test_a_type_is_not_suggested_to_somebody_who_may_not_use_it() -> None:
    table = HandlerTable()
    settings: dict[str, Any] = {
        "concurrent": False, "timeout_s": DEFAULT, "retries": DEFAULT, "reply_type": None,
        "reserved": RESERVED_TYPES,
    }  # fmt: skip
    table.add("admin.ban", returns, requires={"admin"}, **settings)
    assert table.unknown("admin.bam", ANONYMOUS).details["nearest"] == []
    admin = Identity(subject="root", scopes=frozenset({"admin"}))
    assert table.unknown("admin.bam", admin).details["nearest"] == ["admin.ban"]


@pytest.mark.parametrize("requires", ["admin", [1], {None}])
def test_required_scopes_are_a_collection_of_strings(requires: Any) -> None:
    with pytest.raises(ConfigError, match="requires must be a collection of scopes"):
        add(returns, requires=requires)


def test_a_handler_that_requires_scopes_is_never_plain() -> None:
    table = HandlerTable()
    for name, requires in (("open", ()), ("closed", {"admin"})):
        table.add(
            name, returns, concurrent=False, timeout_s=None, retries=0, reply_type=None,
            requires=requires, reserved=RESERVED_TYPES,
        )  # fmt: skip
    routes = table.resolved(timeout_s=None, retries=0).routes
    assert {name: route.plain for name, route in routes.items()} == {"open": True, "closed": False}
