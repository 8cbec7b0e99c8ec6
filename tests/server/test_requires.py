"""Who may have a handler run, by the scopes that it requires; and whom a broadcast reaches."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from tests.server.harness import running
from wsframe import App, Identity, Message
from wsframe.session import ANONYMOUS

pytestmark = pytest.mark.anyio

ADMIN = Identity(subject="root", scopes=frozenset({"admin", "ban", "chat"}))
USER = Identity(subject="ann", scopes=frozenset({"chat", "admin"}))


class Ban(msgspec.Struct):
    who: str


def application(**options: Any) -> tuple[App, list[str]]:
    app, banned = App(**options), []

    @app.handler("ban", requires={"admin", "ban"})
    async def ban(message: Message[Ban], connection: Any) -> None:
        banned.append(message.content.who)

    @app.handler("ban.all", requires=["admin", "ban"], concurrent=True)
    async def ban_all(message: Any, connection: Any) -> Any:
        banned.append("all")
        yield 1

    return app, banned


@pytest.mark.parametrize("message_type", ["ban", "ban.all"])
@pytest.mark.parametrize(
    ("identity", "code"),
    [
        (ANONYMOUS, "unauthenticated"),
        (Identity(subject="anonymous", anonymous=True, scopes=ADMIN.scopes), "unauthenticated"),
        (USER, "forbidden"),
        (Identity(subject="eve"), "forbidden"),
    ],
)
async def test_a_handler_does_not_run_for_somebody_who_lacks_a_scope(
    message_type: str, identity: Identity, code: str
) -> None:
    app, banned = application()
    async with running(app) as server:
        client = server.connect(identity=identity)
        assert await client.error(message_type, {"who": "bob"}) == code
        assert await client.error(message_type, {"no": "such field"}) == code
    assert banned == []


async def test_a_handler_runs_for_somebody_who_has_every_scope() -> None:
    app, banned = application()
    async with running(app) as server:
        client = server.connect(identity=ADMIN)
        assert (await client.ask("ban", {"who": "bob"}))["type"] == "ack"
        assert (await client.ask("ban.all"))["type"] == "ban.all"
        assert await client.error("ban", {"no": "such field"}) == "invalid_content"
    assert banned == ["bob", "all"]


async def test_middleware_does_not_see_what_its_sender_may_not_send() -> None:
    app, banned = application()
    seen: list[str] = []

    async def look(message: Any, connection: Any, call_next: Any) -> Any:
        seen.append(message.type)
        return await call_next(message, connection)

    app.use(look)
    async with running(app) as server:
        assert await server.connect(identity=USER).error("ban", {"who": "bob"}) == "forbidden"
    assert (seen, banned) == ([], [])


async def test_scopes_that_come_later_count_from_then_on() -> None:
    app, banned = application()
    async with running(app) as server:
        client = server.connect(identity=USER)
        assert await client.error("ban", {"who": "bob"}) == "forbidden"
        client.connection.identity = ADMIN
        await client.ask("ban", {"who": "bob"})
    assert banned == ["bob"]


async def test_a_broadcast_does_not_reach_a_session_that_must_authenticate_first() -> None:
    app, _ = application()
    async with running(app) as server:
        pending = server.connect(
            identity=Identity(subject="anonymous", anonymous=True, pending=True)
        )
        other = server.connect()
        assert await app.broadcast({"type": "news"}) == 1
        await server.quiet()
        assert (pending.contents("news"), other.contents("news")) == ([], [{}])
        pending.connection.identity = USER
        assert await app.broadcast({"type": "news"}) == 2
