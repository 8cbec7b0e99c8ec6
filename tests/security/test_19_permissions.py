"""Threat 19: sending or joining without permission, as a matrix of roles and actions."""

from __future__ import annotations

from typing import Any

import pytest

from tests.security.token_scene import guarded, hs_token
from wsframe.testing import RequestError

ROLES: dict[str, str | None] = {"nobody": None, "guest": "", "user": "user", "admin": "user admin"}
ACTIONS: dict[str, dict[str, str]] = {
    # what is sent: what becomes of it, by role
    "echo": {"nobody": "unauthenticated", "guest": "forbidden", "user": "ok", "admin": "ok"},
    "public": {"nobody": "ok", "guest": "ok", "user": "ok", "admin": "ok"},
    "admin.ban": {
        "nobody": "unauthenticated", "guest": "forbidden", "user": "forbidden", "admin": "ok",
    },
    "admin.help": {"nobody": "unauthenticated", "guest": "ok", "user": "ok", "admin": "ok"},
    "admin.none": {
        "nobody": "unauthenticated", "guest": "forbidden", "user": "forbidden",
        "admin": "unknown_type",
    },
    "unlisted": {
        "nobody": "unauthenticated", "guest": "forbidden", "user": "forbidden",
        "admin": "forbidden",
    },
    "nowhere": {
        "nobody": "unauthenticated", "guest": "forbidden", "user": "forbidden",
        "admin": "forbidden",
    },
    "join staff.secret": {
        "nobody": "unauthenticated", "guest": "forbidden", "user": "forbidden", "admin": "ok",
    },
    "join staff.nowhere": {
        "nobody": "unauthenticated", "guest": "forbidden", "user": "forbidden", "admin": "ok",
    },
    "join lobby": {"nobody": "ok", "guest": "ok", "user": "ok", "admin": "ok"},
    "join elsewhere": {
        "nobody": "unauthenticated", "guest": "forbidden", "user": "forbidden",
        "admin": "forbidden",
    },
}  # fmt: skip


async def outcome_of(client: Any, verb: str, content: Any) -> tuple[str, str]:
    try:
        await client.request(verb, content)
    except RequestError as error:
        return error.code, error.message
    return "ok", ""


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("action", ACTIONS)
async def test_19_what_a_role_may_not_do_is_refused_and_says_nothing_of_what_exists(
    wsframe_client: Any, action: str, role: str
) -> None:
    app = guarded(
        ["echo", "public", "admin.ban", "admin.help", "unlisted"],
        policy="optional",
        permissions={
            "*": ("nobody has this",), "echo": ("user",), "public": (), "admin.*": ("admin",),
            "admin.help": ("*",),
        },
        default_permission="deny",
        rooms={"staff.*": ("admin",), "lobby": ()},
        default_room="deny",
    )  # fmt: skip
    scope = ROLES[role]
    client = await wsframe_client(app, token=None if scope is None else hs_token(scope=scope))
    verb, _, room = action.partition(" ")
    outcome, said = await outcome_of(client, verb, {"room": room} if room else {})
    assert outcome == ACTIONS[action][role]
    if outcome == "unauthenticated":
        assert said == "This needs an authenticated session."
    elif outcome == "forbidden":
        assert said == (f"Joining {room!r} is not allowed." if room else "This is not allowed.")


async def test_19_scopes_that_a_renewed_token_does_not_have_are_gone(wsframe_client: Any) -> None:
    app = guarded(["ban"], permissions={"ban": ("admin",)})
    client = await wsframe_client(app, token=hs_token(scope="admin"))
    await client.request("ban")
    await client.request("auth", {"token": hs_token(scope="user")})
    with pytest.raises(RequestError) as refused:
        await client.request("ban")
    assert refused.value.code == "forbidden"


@pytest.mark.parametrize("way", ["renewed", "resumed"])
async def test_19_who_loses_a_scope_leaves_the_rooms_that_need_it(
    wsframe_client: Any, way: str
) -> None:
    app = guarded(rooms={"staff": ("staff",), "lobby": ()})
    client = await wsframe_client(app, token=hs_token(scope="staff"))
    for room in ("staff", "lobby"):
        await client.request("join", {"room": room})
    fewer = hs_token(scope="chat")
    if way == "renewed":
        await client.request("auth", {"token": hs_token(scope="staff chat")})
        assert app.rooms.members("staff") == [client.session_id]
        await client.request("auth", {"token": fewer})
    else:
        resume = {"sessionId": client.session_id, "secret": client.secret, "seq": client.seq}
        await client.drop()
        back = await wsframe_client(app, token=fewer, init_content={"resume": resume})
        assert back.init.content["resumed"]
        await back.advance()
    assert app.rooms.members("staff") == []
    assert app.rooms.members("lobby") == [client.session_id]
