"""The small parts of a client: addresses, proxies, tokens, the pulse, the queue."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

from wsframe.client import proxies
from wsframe.client.address import Address, parse
from wsframe.client.pulse import Pulse
from wsframe.client.pushed import PushedMessages
from wsframe.client.tokens import TokenSource
from wsframe.errors import ConnectError, ProtocolError, RequestRefused
from wsframe.messages import Message
from wsframe.protocol.heartbeat import Beat


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("ws://a/ws", Address(False, "a", 80, "a", "/ws")),
        ("wss://a", Address(True, "a", 443, "a", "/")),
        ("ws://a:80/?x=1", Address(False, "a", 80, "a", "/?x=1")),
        ("WSS://A:3001/ws", Address(True, "a", 3001, "a:3001", "/ws")),
        ("ws://[::1]:3001/ws", Address(False, "::1", 3001, "[::1]:3001", "/ws")),
        ("ws://bücher.example/", Address(False, "xn--bcher-kva.example", 80, "", "/")),
    ],
)
def test_a_url_is_taken_apart(url: str, expected: Address) -> None:
    found = parse(url)
    assert found == expected._replace(authority=expected.authority or found.authority)


@pytest.mark.parametrize(
    "url",
    ["http://a/", "a/ws", "ws:///ws", "ws://a:b/", "ws://a:99999/", "ws://a/#x", "ws://a/ü"],
)
def test_a_wrong_url_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match=r"URL|port|Port|host|encoded"):
        parse(url)


def test_a_password_in_a_url_is_refused_and_not_shown() -> None:
    with pytest.raises(ValueError, match="token") as caught:
        parse("ws://me:secret@a/")
    assert "secret" not in str(caught.value)


PROXIES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name in PROXIES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    return monkeypatch


PLAIN, SECURE = parse("ws://chat.example/ws"), parse("wss://chat.example/ws")


def test_the_environment_names_the_proxy(environment: pytest.MonkeyPatch) -> None:
    assert proxies.from_environment(PLAIN) is None
    environment.setenv("ALL_PROXY", "http://c")
    assert proxies.from_environment(PLAIN) == proxies.from_environment(SECURE) == "http://c"
    environment.setenv("http_proxy", "http://a")
    environment.setenv("https_proxy", "http://b")
    assert proxies.from_environment(PLAIN) == "http://a"
    assert proxies.from_environment(SECURE) == "http://b"
    environment.setenv("no_proxy", "other,.example")
    assert proxies.from_environment(PLAIN) is None


def test_the_url_of_a_proxy_is_taken_apart() -> None:
    assert proxies.parse("proxy:3128") == proxies.Proxy(False, "proxy", 3128, None)
    assert proxies.parse("https://p") == proxies.Proxy(True, "p", 443, None)
    assert proxies.parse("http://me:a%40b@p:1").authorization == "Basic bWU6YUBi"


@pytest.mark.parametrize("url", ["socks5://me:secret@p:1", "http://", "http://me:secret@p:port"])
def test_a_proxy_that_cannot_be_used_is_refused_without_its_password(url: str) -> None:
    with pytest.raises(ConnectError) as caught:
        proxies.parse(url)
    assert "secret" not in f"{caught.value} {caught.value.hint}"


GOOD = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 Connection established\r\nX: y\r\n\r\n"


def test_a_tunnel_is_asked_for_and_given() -> None:
    tunnel = proxies.Tunnel("::1", 443, "Basic x")
    request = tunnel.request()
    assert request.startswith(b"CONNECT [::1]:443 HTTP/1.1\r\nHost: [::1]:443\r\n")
    assert b"Proxy-Authorization: Basic x\r\n" in request
    assert tunnel.receive_data(GOOD)
    tunnel = proxies.Tunnel("a", 443)
    fed = [tunnel.receive_data(GOOD[at : at + 1]) for at in range(len(GOOD))]
    assert fed == [False] * (len(GOOD) - 1) + [True]


@pytest.mark.parametrize(
    "data",
    [
        GOOD + b"x",
        b"SSH-2.0\r\n\r\n",
        b"HTTP/1.1 200 x\r\nX: \x00\r\n\r\n",
        b"HTTP/1.1 200 x\r\nX: " + b"a" * 20_000,
        b"HTTP/1.1 200 x\r\n" + b"X: a\r\n" * 200 + b"\r\n",
        b"HTTP/1.1 100 x\r\n\r\n" * 2_000,
    ],
    ids=["data behind", "no HTTP", "NUL", "endless header", "many headers", "endless interim"],
)
def test_a_proxy_that_answers_nonsense_is_a_protocol_error(data: bytes) -> None:
    with pytest.raises(ProtocolError, match="proxy"):
        proxies.Tunnel("a", 1).receive_data(data)


def test_a_proxy_that_refuses_says_with_which_status() -> None:
    with pytest.raises(RequestRefused) as caught:
        proxies.Tunnel("a", 1).receive_data(b"HTTP/1.1 407 x\r\nRetry-After: 3\r\n\r\n")
    assert (caught.value.status, caught.value.retry_after_s) == (407, 3)


async def test_a_token_is_kept_until_it_is_discarded() -> None:
    calls: list[int] = []

    def make() -> str:
        calls.append(1)
        return f"t{len(calls)}"

    source = TokenSource(make)
    assert [await source.get(), await source.get()] == ["t1", "t1"]
    source.discard()
    assert await source.get() == "t2"
    fixed = TokenSource("t")
    fixed.discard()
    assert (await fixed.get(), fixed.can_renew, await TokenSource(None).get()) == ("t", False, None)


async def test_a_token_is_a_string() -> None:
    wrong: Any = lambda: 5  # noqa: E731
    with pytest.raises(TypeError, match="int"):
        await TokenSource(wrong).get()


def test_a_pulse_pings_a_silent_server_and_then_gives_it_up() -> None:
    pulse = Pulse(20, 5, now=100)
    assert (pulse.due_at, pulse.check(119, reading=True)) == (120, Beat.QUIET)
    pulse.heard(110)
    assert (pulse.due_at, pulse.check(120, reading=True)) == (130, Beat.QUIET)
    assert (pulse.check(130, reading=True), pulse.due_at) == (Beat.PING, 135)
    assert pulse.check(134, reading=True) is Beat.QUIET
    assert pulse.check(135, reading=True) is Beat.DEAD


def test_a_pulse_concludes_nothing_while_nobody_reads() -> None:
    pulse = Pulse(20, 5, now=0)
    for now in (20, 40, 60):
        assert pulse.check(now, reading=False) is Beat.PING
        assert pulse.due_at == now + 20


def test_a_server_without_a_heartbeat_is_not_pinged() -> None:
    pulse = Pulse(0, 5, now=0)
    pulse.heard(7)
    assert (pulse.due_at, pulse.check(1e9, reading=True)) == (None, Beat.QUIET)


def test_the_queue_drops_the_oldest_unless_somebody_listens() -> None:
    queue = PushedMessages(2)
    messages = [Message[Any](type="x", content=n) for n in range(4)]
    assert [queue.put(message) for message in messages[:3]] == [False, False, True]
    assert (queue.dropped, len(queue), queue.blocked) == (1, 2, False)
    assert queue.take() is messages[1]
    assert not queue.blocked
    queue.put(messages[3])
    assert queue.blocked
    assert [queue.take(), queue.take(), queue.take()] == [messages[2], messages[3], None]
    with pytest.raises(ValueError, match="one"):
        PushedMessages(0)


def test_importing_the_client_brings_nothing_of_the_server() -> None:
    code = (
        "import sys; from wsframe.client import Client;"
        "print([name for name in sys.modules if name.startswith(('wsframe.server', 'wsframe.hooks',"
        " 'wsframe.routing', 'wsframe.session', 'pluggy', 'click', 'urllib.request', 'trio'))])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
