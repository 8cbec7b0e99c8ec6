"""Rooms: who may join, who hears, and that nothing is left behind."""

from __future__ import annotations

from typing import Any

import anyio
import pytest

from tests.server.harness import running
from wsframe import App, ConnectionClosed, Refused, hookimpl

pytestmark = pytest.mark.anyio


class Doorman:
    """Allows, refuses, waits or fails, by the room's name."""

    @hookimpl
    async def room_joining(self, session: Any, room: str) -> bool | None:
        if room.startswith("slow"):
            await anyio.sleep(5)
            return True
        if room == "crash":
            raise LookupError("internals")
        if room == "refused":
            raise Refused("forbidden", "not you")
        return {"allowed": True, "no-opinion": None, "false": False}.get(room)


def chat(*plugins: object, **settings: Any) -> App:
    app = App(plugins=plugins, **settings)
    app.rooms.open_to_clients("lobby", "public.*")

    @app.handler("enter")
    async def enter(message: Any, connection: Any) -> Any:
        await connection.join(message.content["room"])
        return {"rooms": sorted(connection.rooms)}

    @app.handler("exit")
    async def leave(message: Any, connection: Any) -> Any:
        await connection.leave(message.content["room"])
        return {"rooms": sorted(connection.rooms)}

    @app.handler("say")
    async def say(message: Any, connection: Any) -> Any:
        content = {"text": message.content["text"]}
        return {
            "n": await app.rooms.publish(
                message.content["room"], {"type": "said", "content": content}
            )
        }

    return app


@pytest.mark.parametrize("room", ["lobby", "public.a", "public."])
async def test_a_client_joins_and_leaves_a_room_that_is_open_to_clients(room: str) -> None:
    app = chat()
    async with running(app) as server:
        client = server.connect()
        answer = await client.ask("join", {"room": room})
        assert (answer["type"], answer["content"]) == ("join", {"room": room})
        assert app.rooms.members(room) == [client.connection.session_id]
        answer = await client.ask("leave", {"room": room})
        assert (answer["type"], answer["content"]) == ("leave", {"room": room})
        assert len(app.rooms) == 0
        assert client.count == 2


@pytest.mark.parametrize("room", ["other", "public", "lobby2", "no-opinion", "false"])
async def test_any_other_room_is_forbidden_to_clients(room: str) -> None:
    app = chat(Doorman())
    async with running(app) as server:
        assert await server.connect().error("join", {"room": room}) == "forbidden"
        assert len(app.rooms) == 0


@pytest.mark.parametrize(
    ("room", "code"), [("refused", "forbidden"), ("crash", "internal"), ("allowed", None)]
)
async def test_a_plugin_allows_or_refuses(room: str, code: str | None) -> None:
    app = chat(Doorman())
    async with running(app) as server:
        client = server.connect()
        answer = await client.ask("join", {"room": room})
        assert answer["content"].get("code") == code
        answer = await client.ask("enter", {"room": room})
        assert answer["content"].get("code") == code
        assert len(app.rooms) == (code is None)


async def test_an_applications_own_join_needs_no_permission_of_a_plugin() -> None:
    async with running(chat(Doorman())) as server:
        answer = await server.connect().ask("enter", {"room": "no-opinion"})
        assert answer["content"] == {"rooms": ["no-opinion"]}


@pytest.mark.parametrize("content", [{}, [], "lobby", {"room": 5}, {"room": None}, {"room": ""}])
@pytest.mark.parametrize("message_type", ["join", "leave"])
async def test_what_is_no_room_name_is_invalid(message_type: str, content: Any) -> None:
    async with running(chat()) as server:
        assert await server.connect().error(message_type, content) == "invalid_content"


async def test_leaving_a_room_one_is_not_in_is_no_error() -> None:
    async with running(chat()) as server:
        assert (await server.connect().ask("leave", {"room": "lobby"}))["type"] == "leave"


async def test_joining_twice_is_being_in_it_once() -> None:
    app = chat()
    async with running(app) as server:
        client = server.connect()
        for _ in range(2):
            await client.ask("join", {"room": "lobby"})
        assert len(app.rooms.members("lobby")) == 1


async def test_a_session_may_be_in_so_many_rooms() -> None:
    app = chat(max_rooms_per_session=2)
    async with running(app) as server:
        client = server.connect()
        for room in ("public.1", "public.2"):
            await client.ask("join", {"room": room})
        answer = await client.ask("join", {"room": "public.3"})
        assert answer["content"]["code"] == "forbidden"
        assert answer["content"]["details"] == {"limit": 2}
        assert (await client.ask("join", {"room": "public.1"}))["type"] == "join"
        assert len(app.rooms) == 2


async def test_those_in_the_room_hear_and_are_counted() -> None:
    app = chat()
    async with running(app) as server:
        inside, also, outside = (server.connect() for _ in range(3))
        await inside.ask("enter", {"room": "r"})
        await also.ask("enter", {"room": "r"})
        answer = await outside.ask("say", {"room": "r", "text": "Hi"})
        assert answer["content"] == {"n": 2}
        assert inside.contents("said") == also.contents("said") == [{"text": "Hi"}]
        assert outside.contents("said") == []
        assert (await outside.ask("say", {"room": "empty", "text": ""}))["content"] == {"n": 0}


async def test_who_left_the_room_or_the_server_hears_nothing_more() -> None:
    app = chat()
    async with running(app) as server:
        left, gone, still = (server.connect() for _ in range(3))
        for each in (left, gone, still):
            await each.ask("enter", {"room": "r"})
        await left.ask("exit", {"room": "r"})
        await gone.leave()
        assert app.rooms.members("r") == [still.connection.session_id]
        assert await app.rooms.publish("r", {"type": "said"}) == 1
        await still.leave()
        assert len(app.rooms) == 0


@pytest.mark.parametrize("how", ["join", "enter"])
async def test_a_client_that_leaves_while_it_joins_is_not_left_in_the_room(how: str) -> None:
    app = chat(Doorman())
    async with running(app) as server:
        client = server.connect()
        client.send(how, {"room": "slow"})
        await server.pass_time(1)
        await client.leave()
        await server.pass_time(10)
        assert len(app.rooms) == 0


async def test_nobody_joins_over_a_connection_that_is_gone() -> None:
    app = chat()
    async with running(app) as server:
        client = server.connect()
        connection = client.connection
        await client.leave()
        with pytest.raises(ConnectionClosed):
            await connection.join("lobby")
        await connection.leave("lobby")
        assert len(app.rooms) == 0


async def test_a_join_that_takes_too_long_is_out_of_time() -> None:
    async with running(chat(Doorman(), message_timeout_s=2.0)) as server:
        client = server.connect()
        assert await client.error("join", {"room": "slow"}) == "timeout"
        assert client.link.open
