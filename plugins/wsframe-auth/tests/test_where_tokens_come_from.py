"""The handshake, ``init``, a cookie, the URL: what counts, and what is refused."""

from __future__ import annotations

import logging
from typing import Any

import anyio
import pytest
from wsframe_auth.presented import Scrub

from wsframe import RequestRefused
from wsframe.testing import RequestError

HOST = "testserver"
PAGE = ("origin", "https://chat.example")


async def status(connect: Any, app: Any, **options: Any) -> int:
    try:
        await connect(app, **options)
    except RequestRefused as error:
        return error.status
    except RequestError as error:
        return 4401 if error.code == "unauthenticated" else 0
    return 101


async def subject(client: Any) -> Any:
    return (await client.request("echo")).content["subject"]


async def test_a_token_in_the_header_counts_whatever_the_case_of_its_scheme(
    wsframe_client: Any, guarded: Any, mint: Any
) -> None:
    app = guarded()
    for scheme in ("Bearer", "bearer", "BEARER"):
        client = await wsframe_client(app, headers=[("authorization", f"{scheme} {mint()}")])
        assert await subject(client) == "ann"


async def test_a_token_as_subprotocol_counts_and_is_not_echoed(
    wsframe_client: Any, guarded: Any, mint: Any
) -> None:
    client = await wsframe_client(guarded(), token=mint())
    assert client.subprotocol == "wsframe.v1.json"
    assert await subject(client) == "ann"


async def test_a_token_in_init_counts(wsframe_client: Any, guarded: Any, mint: Any) -> None:
    client = await wsframe_client(guarded(), init_content={"token": mint(scope="a b")})
    assert client.init.content["identity"] == {"subject": "ann", "anonymous": False}
    assert (await client.request("echo")).content == {"subject": "ann", "scopes": ["a", "b"]}


async def test_two_different_tokens_are_refused_and_the_same_one_twice_is_not(
    wsframe_client: Any, guarded: Any, mint: Any
) -> None:
    app, one, other = guarded(), mint(), mint(sub="bob")
    header = [("authorization", f"Bearer {one}")]
    assert await status(wsframe_client, app, token=one, headers=header) == 101
    assert await status(wsframe_client, app, token=other, headers=header) == 401
    twice = [*header, ("authorization", f"Bearer {other}")]
    assert await status(wsframe_client, app, headers=twice) == 401


async def test_another_scheme_of_authorization_is_none_of_our_business(
    wsframe_client: Any, guarded: Any, mint: Any
) -> None:
    headers = [("authorization", "Basic YW5uOnNlY3JldA==")]
    client = await wsframe_client(guarded(), headers=headers, init_content={"token": mint()})
    assert await subject(client) == "ann"


async def test_a_cookie_without_an_allowed_origin_is_refused(
    wsframe_client: Any, guarded: Any, mint: Any
) -> None:
    app = guarded(cookie="session", cookie_origins=("https://chat.example",))
    app.reconfigure({"plugins.disable": ["origin"]})  # which would refuse some of them itself
    cookie = ("cookie", f"theme=dark; session={mint()}")
    assert await status(wsframe_client, app, headers=[cookie, PAGE]) == 101
    for origins in (
        [],
        ["https://evil.example"],
        ["null"],
        ["https://chat.example.evil.example"],
        ["http://chat.example"],
        ["https://chat.example:8443"],
        ["https://chat.example", "https://chat.example"],
        ["https://chat.example", "https://evil.example"],
    ):
        headers = [cookie, *(("origin", origin) for origin in origins)]
        assert await status(wsframe_client, app, headers=headers) == 403, origins


@pytest.mark.parametrize("policy", ["required", "optional"])
async def test_a_cookie_of_the_servers_own_pages_counts_by_default(
    wsframe_client: Any, guarded: Any, mint: Any, policy: str
) -> None:
    app = guarded(cookie="session", policy=policy)
    app.reconfigure({"plugins.disable": ["origin"]})
    cookie = ("cookie", f'session="{mint()}"')
    evil = ("origin", "https://evil.example")
    assert await status(wsframe_client, app, headers=[cookie, evil]) == 403
    own = ("origin", f"http://{HOST}")
    assert await status(wsframe_client, app, headers=[cookie, own]) == 101


async def test_a_cookie_that_nobody_has_configured_is_not_looked_at(
    wsframe_client: Any, guarded: Any, mint: Any
) -> None:
    headers = [("cookie", f"session={mint()}"), PAGE]
    app = guarded()
    app.reconfigure({"plugins.disable": ["origin"]})
    assert await status(wsframe_client, app, headers=headers) == 4401


async def test_a_token_in_the_url_counts_only_where_that_is_switched_on(
    wsframe_client: Any, guarded: Any, mint: Any
) -> None:
    path = f"/ws?jwt={mint()}"
    assert await status(wsframe_client, guarded(), path=path) == 4401
    app = guarded(query_parameter="jwt")
    assert await status(wsframe_client, app, path=path) == 101
    assert await status(wsframe_client, app, path=f"{path}&jwt={mint(sub='bob')}") == 401
    assert await status(wsframe_client, app, path="/ws?jwt=") == 401


def test_a_token_in_the_url_is_scrubbed_from_the_logs_of_servers_below(
    caplog: pytest.LogCaptureFixture,
) -> None:
    scrub = Scrub("jwt")
    log = logging.getLogger("uvicorn.error")
    before = log.filters[:]
    scrub.install()
    try:
        caplog.set_level(logging.INFO)
        log.info('%s - "WebSocket %s" [accepted]', "127.0.0.1", "/ws?a=1&jwt=opaque-thing&b=2")
        log.info('"GET /ws?jwt=opaque-thing HTTP/1.1"')
    finally:
        scrub.remove()
    assert "opaque-thing" not in caplog.text
    assert "a=1&jwt=***&b=2" in caplog.text
    assert log.filters == before


def test_a_token_is_scrubbed_from_those_logs_wherever_it_stands(
    caplog: pytest.LogCaptureFixture, mint: Any
) -> None:
    scrub, token = Scrub(None), mint()
    scrub.install()
    try:
        log = logging.getLogger("websockets.server")
        log.setLevel(logging.DEBUG)
        caplog.set_level(logging.DEBUG)
        log.debug("< %s: %s (%d)", "Authorization", f"Bearer {token}", 7)
        log.debug(
            "< %s", {"headers": [(b"sec-websocket-protocol", f"wsframe.bearer.{token}".encode())]}
        )
        log.debug("scope %(scope)s", {"scope": (b"cookie", f"a=1; jwt={token}")})
        log.debug("/ws?anything=" + token)  # noqa: G003 - servers do that
        log.debug("without anything")
    finally:
        scrub.remove()
        log.setLevel(logging.NOTSET)
    assert token.rpartition(".")[2] not in caplog.text
    assert "Bearer *** (7)" in caplog.text
    assert "wsframe.bearer.***" in caplog.text
    assert "a=1; jwt=***" in caplog.text


async def test_a_parameter_that_is_spelled_otherwise_is_none(
    wsframe_client: Any, guarded: Any, mint: Any
) -> None:
    # Logs are scrubbed by the name as it is written.
    app = guarded(query_parameter="jwt", init_timeout_s=0)
    await wsframe_client(app, path=f"/ws?jwt={mint()}")
    assert await status(wsframe_client, app, path=f"/ws?%6Awt={mint()}") == 401


async def test_who_sends_no_token_in_time_is_closed_with_4401(
    wsframe_client: Any, guarded: Any
) -> None:
    for subprotocol in ("json", None):
        client = await wsframe_client(
            guarded(init_timeout_s=5), init=False, subprotocol=subprotocol
        )
        began = anyio.current_time()
        assert await client.wait_closed() == (4401, "not authenticated in time")
        assert 5 <= anyio.current_time() - began < 6


async def test_without_a_time_for_init_the_handshake_needs_the_token(
    wsframe_client: Any, guarded: Any, mint: Any
) -> None:
    app = guarded(init_timeout_s=0)
    assert await status(wsframe_client, app) == 401
    assert await status(wsframe_client, app, token=mint()) == 101


async def test_a_refusal_says_how_to_authenticate(wsframe_client: Any, guarded: Any) -> None:
    with pytest.raises(RequestRefused) as refused:
        await wsframe_client(guarded(), token="nonsense")
    assert ("www-authenticate", "Bearer") in refused.value.headers
    assert refused.value.message == "The token is not valid."
