"""When the client comes back, with which token, and when it gives up."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import anyio
import anyio.abc
import pytest

from tests.client.scripted import URL, Peer, Server, client_of, serve, settle
from wsframe.client import Client, ConnectError


async def first_of(server: Server, peer: Peer) -> None:
    """What every script ends with: a session, an answer, the end."""
    await peer.begin("s2")
    await peer.answer(await peer.receive())
    await peer.goodbye()


@pytest.mark.parametrize("code", [1001, 1011, 1012, 1013, 4408, 4429, 4000, 3001])
async def test_these_closes_are_followed_by_a_new_connection(code: int) -> None:
    async def script(server: Server) -> None:
        await (await server.begin()).close(code)
        await first_of(server, await server.peer())

    async with serve(script) as server, client_of(server) as client:
        await settle(30)
        await client.request("text")


@pytest.mark.parametrize("code", [1000, 1002, 1003, 1007, 1008, 1009, 4400, 4401, 4403, 4409])
async def test_these_closes_are_final(code: int) -> None:
    async def script(server: Server) -> None:
        await (await server.begin()).close(code, "because")

    async with serve(script) as server, client_of(server) as client:
        for _ in range(2):
            with pytest.raises(ConnectError) as caught:
                await client.request("text")
            error = caught.value
            assert error.close_code == code
            assert "because" in error.message
            assert error.hint
            assert error.hint in error.__notes__
        with pytest.raises(ConnectError):
            await anext(client.messages())
        assert client.status == "closed"
        await settle(100)
        assert len(server.attempts_at) == 1


@pytest.mark.parametrize("status", [200, 301, 400, 401, 403, 404, 405, 407, 418, 426, 501, 505])
async def test_these_refusals_are_final(status: int) -> None:
    async def script(server: Server) -> None:
        await (await server.peer()).refuse(status)

    async with serve(script) as server:
        with pytest.raises(ConnectError) as caught:
            await client_of(server).__aenter__()
        assert caught.value.status == status
        assert caught.value.hint
        assert len(server.attempts_at) == 1


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
async def test_these_refusals_are_followed_by_another_attempt(status: int) -> None:
    async def script(server: Server) -> None:
        await (await server.peer()).refuse(status)
        await first_of(server, await server.peer())

    async with serve(script) as server, client_of(server) as client:
        await client.request("text")


async def test_retry_after_is_kept_with_jitter_on_top() -> None:
    async def script(server: Server) -> None:
        await (await server.peer()).refuse(503, "Retry-After: 7")
        await (await server.peer()).refuse(429, "Retry-After: 3")
        await first_of(server, await server.peer())

    async with serve(script) as server:
        async with client_of(server) as client:
            await client.request("text")
        first, second, third = server.attempts_at
        assert second - first == pytest.approx(7.125, abs=0.01)
        assert third - second == pytest.approx(3.25, abs=0.01)


async def test_a_draining_server_is_left_alone_as_long_as_it_asks() -> None:
    async def script(server: Server) -> None:
        peer = await server.begin()
        content = {"event": "draining", "reconnectAfterMs": 4_000}
        await peer.send("system", content, transient=True)
        await peer.close(1012)
        await first_of(server, await server.peer())

    async with serve(script) as server:
        async with client_of(server) as client:
            await settle(1)
            await client.request("text")
        first, second = server.attempts_at
        assert second - first == pytest.approx(4.125, abs=0.01)


async def test_the_pauses_grow_to_their_limit_and_begin_anew_after_a_good_connection() -> None:
    async def script(server: Server) -> None:
        await anyio.sleep(60)
        server.refusing = False
        peer = await server.begin()
        await anyio.sleep(6)
        await peer.drop()
        await first_of(server, await server.peer())

    async with serve(script) as server:
        server.refusing = True
        async with client_of(server, open_timeout_s=None, backoff_cap_s=10) as client:
            await anyio.sleep(10)
            await client.request("text")
        times = server.attempts_at
        pauses = [later - earlier for earlier, later in pairwise(times)]
        assert pauses[:8] == pytest.approx([0.125, 0.25, 0.5, 1, 2, 4, 5, 5], abs=0.01)
        assert pauses[-1] == pytest.approx(6.125, abs=0.01)


async def test_a_server_that_closes_every_connection_at_once_is_not_stormed() -> None:
    async def script(server: Server) -> None:
        for _ in range(6):
            await (await server.begin()).close(1013)
        await first_of(server, await server.peer())

    async with serve(script) as server:
        async with client_of(server) as client:
            await settle(20)
            await client.request("text")
        assert server.attempts_at[-1] - server.attempts_at[0] > 7


async def test_an_attempt_that_hangs_is_given_up() -> None:
    async def script(server: Server) -> None:
        await (await server.peer()).read_request()
        await (await server.peer()).accept()
        await first_of(server, await server.peer())

    async with serve(script) as server:
        async with client_of(server, connect_timeout_s=3) as client:
            await client.request("text")
        first, second, third = server.attempts_at
        assert second - first == pytest.approx(3.125, abs=0.01)
        assert third - second == pytest.approx(3.25, abs=0.01)


async def test_a_session_refused_for_good_is_final() -> None:
    async def script(server: Server) -> None:
        peer = await server.peer()
        await peer.accept()
        await peer.error(await peer.receive(), "billing.quota")
        await peer.drop()

    async with serve(script) as server:
        with pytest.raises(ConnectError) as caught:
            await client_of(server).__aenter__()
        assert "billing.quota" in str(caught.value)


async def test_a_session_refused_for_now_is_asked_for_again() -> None:
    async def script(server: Server) -> None:
        peer = await server.peer()
        await peer.accept()
        init = await peer.receive()
        await peer.error(init, "unavailable", retryable=True, retryAfterMs=9_000)
        await peer.drop()
        await first_of(server, await server.peer())

    async with serve(script) as server:
        async with client_of(server) as client:
            await client.request("text")
        first, second = server.attempts_at
        assert second - first == pytest.approx(9.125, abs=0.01)


async def test_headers_are_added_to_the_handshake_and_bad_ones_are_an_error() -> None:
    async def script(server: Server) -> None:
        peer = await server.peer()
        await peer.begin()
        assert peer.request is not None
        assert peer.request.header("origin") == "https://chat.example"
        assert peer.request.header("host") == "chat.example"
        await peer.goodbye()

    async with serve(script) as server:
        async with client_of(server, headers={"Origin": "https://chat.example"}):
            pass
        server.attempts_at.clear()
        with pytest.raises(ValueError, match="host"):
            client_of(server, headers={"Host": "x"})
        with pytest.raises(ValueError, match="header"):
            client_of(server, headers=[("X", "a\r\nb")])


async def test_entering_says_so_when_there_was_not_even_an_answer() -> None:
    async def script(server: Server) -> None:
        await (await server.peer()).read_request()

    async with serve(script) as server:
        with pytest.raises(ConnectError, match="no session within 2 s"):
            await client_of(server, open_timeout_s=2).__aenter__()


async def test_a_connector_that_gives_a_broken_stream_is_asked_again() -> None:
    async def script(server: Server) -> None:
        await first_of(server, await server.peer())

    calls = []

    async def connect() -> anyio.abc.ByteStream:
        calls.append(1)
        if len(calls) < 3:
            raise anyio.BrokenResourceError
        return await server.connect()

    async with serve(script) as server, Client(URL, connector=connect) as client:
        await client.request("text")


@pytest.mark.parametrize(
    "settings",
    [
        {"subprotocol": "xml"},
        {"authenticate_by": "smoke"},
        {"max_pending": 0},
        {"max_queued": 0},
        {"ack_delay_s": 0},
        {"backoff_cap_s": 0.1},
        {"token": "t", "authenticate_by": "header", "headers": {"Authorization": "x"}},
    ],
    ids=str,
)
def test_settings_that_make_no_sense_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        Client(URL, **settings)
