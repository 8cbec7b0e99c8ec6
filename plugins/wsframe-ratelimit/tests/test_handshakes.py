"""Upgrade requests per address, and which address that is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import anyio
import pytest
from wsframe_ratelimit import Config, Limit, RatelimitPlugin
from wsframe_ratelimit.addresses import Addresses

from wsframe import App, Request, RequestRefused, hookimpl
from wsframe.testing import Connector

from .conftest import ELSEWHERE

Limited = Callable[..., App]


async def refused(connect: Connector, app: App, **options: Any) -> RequestRefused:
    with pytest.raises(RequestRefused) as caught:
        await connect(app, **options)
    return caught.value


async def test_too_many_handshakes_are_answered_429_with_the_time_to_wait(
    wsframe_client: Connector, limited: Limited
) -> None:
    app = limited(handshakes=Limit(rate=0.1, burst=3))
    for _ in range(3):
        await wsframe_client(app, address=ELSEWHERE)
    error = await refused(wsframe_client, app, address=ELSEWHERE)
    assert (error.status, error.code, error.retry_after_s) == (429, "rate_limited", 10)
    await wsframe_client(app, address="198.51.100.8")
    await anyio.sleep(7.5)
    assert (await refused(wsframe_client, app, address=ELSEWHERE)).retry_after_s == 3
    await anyio.sleep(2.5)
    await wsframe_client(app, address=ELSEWHERE)


async def test_loopback_and_sockets_without_addresses_are_not_counted(
    wsframe_client: Connector, limited: Limited
) -> None:
    app = limited(handshakes=Limit(rate=0.001, burst=1))
    for address in ("127.0.0.1", "127.8.9.1", "::1", "::ffff:127.0.0.1", ""):
        for _ in range(3):
            await wsframe_client(app, address=address)


async def test_nobody_is_exempt_if_the_configuration_says_so(
    wsframe_client: Connector, limited: Limited
) -> None:
    app = limited(handshakes=Limit(rate=1, burst=1), exempt_addresses=())
    await wsframe_client(app)
    assert (await refused(wsframe_client, app)).status == 429


async def test_an_ipv6_network_counts_as_one(wsframe_client: Connector, limited: Limited) -> None:
    app = limited(handshakes=Limit(rate=1, burst=1))
    await wsframe_client(app, address="2001:db8::1")
    assert (await refused(wsframe_client, app, address="2001:db8::2")).status == 429
    await wsframe_client(app, address="2001:db8:0:1::1")


@pytest.mark.filterwarnings("default")
async def test_while_the_plugin_fails_nobody_comes_in(
    wsframe_client: Connector, limited: Limited
) -> None:
    class Failing(RatelimitPlugin):
        @hookimpl
        async def connection_opening(self, request: Request) -> None:
            raise RuntimeError("injected")

    assert (await refused(wsframe_client, limited(plugin_type=Failing))).status == 500


PROXIES = ("10.0.0.0/8", "fd00::/8")


@pytest.mark.parametrize(
    ("address", "forwarded", "key"),
    [
        ("198.51.100.7", (), "198.51.100.7"),
        ("::ffff:198.51.100.7", (), "198.51.100.7"),
        ("2001:db8:1:2:3:4:5:6", (), "2001:db8:1:2::/64"),
        ("fe80::1%eth0", (), "fe80::/64"),
        ("testclient", (), "testclient"),
        ("", (), None),
        # Who is no trusted proxy may say what he likes.
        ("198.51.100.7", ("1.2.3.4",), "198.51.100.7"),
        ("10.0.0.1", ("1.2.3.4",), "1.2.3.4"),
        ("10.0.0.1", ("6.6.6.6, 1.2.3.4",), "1.2.3.4"),
        ("10.0.0.1", ("6.6.6.6", "1.2.3.4, 10.1.1.1"), "1.2.3.4"),
        ("fd00::1", ("2001:db8::1",), "2001:db8::/64"),
        ("10.0.0.1", ("1.2.3.4, junk",), "10.0.0.1"),
        ("10.0.0.1", ("junk, 10.3.3.3",), "10.3.3.3"),
        ("10.0.0.1", (), "10.0.0.1"),
        ("10.0.0.1", ("10.0.0.2",), "10.0.0.2"),
        ("10.0.0.1", ("127.0.0.1",), None),
    ],
)
def test_the_nearest_address_that_no_trusted_proxy_has_is_counted(
    address: str, forwarded: tuple[str, ...], key: str | None
) -> None:
    request = Request(
        "GET", "/ws", [("x-forwarded-for", each) for each in forwarded], address=address
    )
    assert Addresses(Config(trusted_proxies=PROXIES)).key(request) == key


async def test_clients_behind_a_proxy_are_counted_one_by_one(
    wsframe_client: Connector, limited: Limited
) -> None:
    app = limited(handshakes=Limit(rate=1, burst=1), trusted_proxies=("127.0.0.1",))
    headers = [("x-forwarded-for", "203.0.113.5")]
    await wsframe_client(app, headers=headers)
    assert (await refused(wsframe_client, app, headers=headers)).status == 429
    await wsframe_client(app, headers=[("x-forwarded-for", "203.0.113.6")])
