"""The endpoint tells those who may ask, and nobody else."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from wsframe_monitoring import Config
from wsframe_monitoring.autopsy.endpoint import Endpoint
from wsframe_monitoring.autopsy.settings import AutopsySettings

from wsframe import PluginError, Request, RequestRefused, Response

TOKEN = "a-token-of-some-length"
LOCAL = (("Host", "127.0.0.1:3001"),)


def look_up(any_id: str, session: str | None) -> dict[str, Any]:
    if any_id == "unknown":
        return {"id": any_id, "messages": [], "why": "never seen"}
    return {"id": any_id, "session": session, "messages": []}


async def ask(
    query: str = "id=m",
    headers: Any = LOCAL,
    *,
    address: str = "127.0.0.1",
    http_version: str = "1.1",
    **settings: Any,
) -> Response:
    endpoint = Endpoint(AutopsySettings(one_in=1, **settings), look_up)
    request = Request("GET", f"/trace?{query}", headers, address=address, http_version=http_version)
    return await endpoint.answer(request)


async def status(*arguments: Any, **options: Any) -> int:
    try:
        response = await ask(*arguments, **options)
    except RequestRefused as error:
        return error.status
    return response.status


async def test_this_machine_is_told() -> None:
    response = await ask("id=m%201&session=s1")
    assert json.loads(response.body) == {"id": "m 1", "session": "s1", "messages": []}
    assert ("cache-control", "no-store") in response.headers


@pytest.mark.parametrize("host", ["localhost:3001", "127.0.0.1", "[::1]:3001", "127.1.2.3:80"])
async def test_this_machine_has_several_names(host: str) -> None:
    assert await status(headers=(("Host", host),)) == 200
    assert await status(headers=(("Host", host),), address="::1") == 200
    assert await status(headers=(("Host", host),), address="::ffff:127.0.0.1") == 200


@pytest.mark.parametrize("address", ["192.0.2.1", "10.0.0.1", "2001:db8::1", "", "localhost"])
async def test_another_machine_is_refused_without_a_token(address: str) -> None:
    assert await status(address=address) == 403


@pytest.mark.parametrize(
    "headers",
    [
        (("Host", "chat.example"),),
        (("Host", "127.0.0.1.attacker.example"),),
        (("Host", "[::1].attacker.example"),),
        (),
        (*LOCAL, ("X-Forwarded-For", "192.0.2.1")),
        (*LOCAL, ("X-Real-IP", "192.0.2.1")),
        (*LOCAL, ("Forwarded", "for=192.0.2.1")),
        (*LOCAL, ("Via", "1.1 proxy")),
    ],
    ids=["name", "rebinding", "rebinding-v6", "none", "xff", "real-ip", "forwarded", "via"],
)
async def test_strangers_that_come_through_a_proxy_or_a_web_page_are_refused(headers: Any) -> None:
    assert await status(headers=headers) == 403


async def test_a_proxy_that_says_nothing_speaks_the_old_http() -> None:
    assert await status(http_version="1.0") == 403


@pytest.mark.parametrize(
    ("authorization", "expected"),
    [
        (f"Bearer {TOKEN}", 200),
        (f"bearer {TOKEN}", 200),
        (f"Basic {TOKEN}", 401),
        ("Bearer another-token-of-some-length", 401),
        (f"Bearer {TOKEN}x", 401),
        ("Bearer ", 401),
        (TOKEN, 401),
        ("", 401),
    ],
)
async def test_with_a_token_only_the_token_counts(authorization: str, expected: int) -> None:
    headers = (*LOCAL, ("Authorization", authorization))
    assert await status(headers=headers, token=TOKEN) == expected
    assert await status(headers=headers, token=TOKEN, address="192.0.2.1") == expected


async def test_a_refusal_does_not_say_the_token() -> None:
    with pytest.raises(RequestRefused) as refused:
        await ask(token=TOKEN)
    assert TOKEN not in repr(refused.value)
    assert ("www-authenticate", "Bearer") in refused.value.headers


async def test_the_token_may_stand_in_a_file(tmp_path: Path) -> None:
    (tmp_path / "token").write_text(f"{TOKEN}\n")
    headers = (*LOCAL, ("Authorization", f"Bearer {TOKEN}"))
    assert await status(headers=headers, token_file=str(tmp_path / "token")) == 200
    assert await status(token_file=str(tmp_path / "token")) == 401


@pytest.mark.parametrize("content", [None, "short", "\n"], ids=["missing", "short", "empty"])
def test_a_file_without_a_token_opens_nothing(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / "token").write_text(content)
    with pytest.raises(PluginError, match=r"autopsy\.token_file = "):
        Endpoint(AutopsySettings(one_in=1, token_file=str(tmp_path / "token")), look_up)


async def test_an_unknown_message_is_not_found() -> None:
    response = await ask("id=unknown")
    assert (response.status, json.loads(response.body)["why"]) == (404, "never seen")


@pytest.mark.parametrize("query", ["", "id=", "id=a&id=b", "id=m&session=a&session=b",
                                   f"id={'x' * 600}"])  # fmt: skip
async def test_one_id_is_asked_for(query: str) -> None:
    assert await status(query) == 400


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"path": "trace"}, "path must start with '/'"),
        ({"path": "/trace/*"}, "path must start with '/'"),
        ({"token": TOKEN, "token_file": "there"}, "give one of them"),
    ],
)
def test_settings_that_make_no_sense_are_refused(settings: dict[str, str], problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        AutopsySettings(**settings)


def test_a_token_that_is_too_short_is_refused() -> None:
    with pytest.raises(ValueError, match="token must be at least"):
        Config(autopsy=AutopsySettings(token="short"))


def test_the_settings_do_not_show_the_token() -> None:
    assert TOKEN not in repr(AutopsySettings(token=TOKEN))
    assert TOKEN not in repr(Config(autopsy=AutopsySettings(token=TOKEN)))


async def test_it_stays_away_from_a_path_that_is_taken(wsframe_client: Any, make_app: Any) -> None:
    app = make_app(path="/status")

    @app.http_route("/status")
    async def status(request: Request) -> str:
        return "fine"

    with pytest.raises(PluginError, match="two handlers"):
        await wsframe_client(app)
