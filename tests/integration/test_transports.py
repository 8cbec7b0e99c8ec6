"""One contract for every transport, event loop and ASGI server."""

from __future__ import annotations

import json
import signal
import time
import zlib
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.conformance.peer import (
    BINARY,
    CLOSE,
    PING,
    PONG,
    TAIL,
    TEXT,
    Inflater,
    cut,
    fragments,
    frame,
)
from tests.integration.contract_app import OUTBOX_BYTES
from tests.integration.contract_servers import (
    GUARD_S,
    JSON,
    MSGPACK,
    NO_MASK,
    WAYS,
    Client,
    ServedApp,
    Way,
    packed,
    spoken,
)

MIB = 1_048_576
COMMON = {"asyncio-uvloop-tcp", "anyio-trio-tcp", "uvicorn-websockets"}
"""What the quick run looks at; the rest is for the whole one."""


@pytest.fixture(
    scope="module",
    params=[
        pytest.param(way, id=way.name, marks=[] if way.name in COMMON else pytest.mark.slow)
        for way in WAYS
    ],
)
def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ServedApp]:
    way: Way = request.param
    with ServedApp(way, tmp_path_factory.mktemp("server")) as running:
        yield running
        output = "".join(running.output)
        assert "Task exception was never retrieved" not in output
        assert "the server failed" not in output
        assert "a connection failed" not in output
        assert " failed\nTraceback" not in output


def until(reached: Callable[[], bool]) -> None:
    """Looks again and again, as a user would."""
    deadline = time.monotonic() + GUARD_S
    while not reached():
        assert time.monotonic() < deadline, "it never came to it"
        time.sleep(0.02)


def test_a_message_is_answered(server: ServedApp) -> None:
    with Client(server) as client:
        answer = client.ask("text", "7", text="Hi, 世界 🌍")
        assert (answer["type"], answer["replyTo"], answer["final"]) == ("text", "7", True)
        assert answer["content"] == {"text": "Hi, 世界 🌍"}


def test_a_session_begins_with_init(server: ServedApp) -> None:
    with Client(server) as client:
        opened = client.ask("init")
        assert (opened["type"], opened["content"]["resumed"]) == ("init", False)
        assert client.ask("text", "2", n=1)["content"] == {"n": 1}


def test_a_stream_comes_in_parts(server: ServedApp) -> None:
    with Client(server) as client:
        client.say("story", "1", words=["once", "upon"])
        heard = [client.hear() for _ in range(3)]
        assert [h["content"] for h in heard] == [{"delta": "once"}, {"delta": "upon"}, {}]
        assert [h["final"] for h in heard] == [False, False, True]


def test_many_parts_come_in_order(server: ServedApp) -> None:
    with Client(server) as client:
        client.say("parts", "1", n=1_500, bytes=10)
        numbers = [client.hear()["content"]["n"] for _ in range(1_500)]
        assert numbers == list(range(1_500))
        assert client.hear()["final"]


def test_an_error_is_answered_without_internals(server: ServedApp) -> None:
    with Client(server) as client:
        failed = client.ask("fail")
        assert (failed["type"], failed["content"]["code"]) == ("error", "handler_failed")
        assert "internals" not in json.dumps(failed)
        assert client.ask("sell", "2")["content"] == {
            "code": "shop.sold_out",
            "message": "Nothing is left.",
            "retryable": False,
            "details": {"left": 0},
        }
        assert client.ask("nobody", "3")["content"]["code"] == "unknown_type"


def test_pings_of_both_kinds_are_answered(server: ServedApp) -> None:
    with Client(server) as client:
        client.send(frame(PING, b"abc"))
        assert client.receive()[:2] == (PONG, b"abc")
        pong = client.ask("ping")
        assert (pong["type"], pong["transient"]) == ("pong", True)


def test_a_message_of_one_mebibyte_comes_back(server: ServedApp) -> None:
    with Client(server) as client:
        text = "x" * (MIB - 100)
        assert client.ask("text", text=text)["content"] == {"text": text}


def test_a_fragmented_message_is_one_message(server: ServedApp) -> None:
    payload = json.dumps({"id": "1", "type": "text", "content": {"a": "ä" * 50}}).encode()
    with Client(server) as client:
        first, *rest = fragments(TEXT, cut(payload, 7))
        client.send_in_pieces([first, frame(PING, b"between"), *rest])
        kinds = {client.receive()[:2] for _ in range(1)}
        assert kinds == {(PONG, b"between")}
        assert client.hear()["content"] == {"a": "ä" * 50}


def test_a_compressed_message_is_understood(server: ServedApp) -> None:
    payload = json.dumps({"id": "1", "type": "text", "content": {"a": "b" * 2_000}}).encode()
    offer = "permessage-deflate; client_no_context_takeover; server_no_context_takeover"
    with Client(server, extensions=offer) as client:
        if not client.extensions:
            assert not server.way.native  # hypercorn knows no compression
            client.send(frame(TEXT, payload))
        else:
            client.inflate_with(Inflater(15, takeover=False))
            deflate = zlib.compressobj(wbits=-15)
            data = deflate.compress(payload) + deflate.flush(zlib.Z_SYNC_FLUSH)
            client.send(frame(TEXT, data.removesuffix(TAIL), rsv=4))
        assert client.hear()["content"] == {"a": "b" * 2_000}


@pytest.mark.parametrize(
    ("offered", "chosen"),
    [
        (JSON, JSON),
        (f"{MSGPACK}, {JSON}", MSGPACK),
        (f"graphql, wsframe.bearer.abc, {JSON}", JSON),
        ("graphql", None),
        (None, None),
    ],
)
def test_the_first_known_subprotocol_is_chosen(
    server: ServedApp, offered: str | None, chosen: str | None
) -> None:
    with Client(server, protocol=offered) as client:
        assert client.handshake.status == 101
        assert client.protocol == chosen
        if chosen != MSGPACK:
            assert client.ask("text", n=1)["content"] == {"n": 1}


def test_messagepack_is_spoken(server: ServedApp) -> None:
    with Client(server, protocol=MSGPACK) as client:
        client.send(packed({"id": "1", "type": "text", "content": {"raw": b"\x00\xff"}}))
        answer = client.hear()
        assert (answer["replyTo"], answer["content"]) == ("1", {"raw": b"\x00\xff"})
        client.send(frame(TEXT, b"{}"))
        assert client.ended_with()[0] == 1003


def test_frames_behind_the_handshake_are_not_lost(server: ServedApp) -> None:
    if not server.way.native:
        pytest.skip("how an ASGI server takes the handshake is its own business")
    with Client(server, behind=spoken("text", "1", n=1) + spoken("text", "2", n=2)) as client:
        assert [client.hear()["content"] for _ in range(2)] == [{"n": 1}, {"n": 2}]


def test_messages_are_answered_in_the_order_they_came(server: ServedApp) -> None:
    with Client(server) as client:
        client.send(*(spoken("slowly", str(n), n=n) for n in range(60)))
        assert [client.hear()["replyTo"] for _ in range(60)] == [str(n) for n in range(60)]


def closing_seen(server: ServedApp, query: str) -> Any:
    until(lambda: any(each[0] == query for each in server.state()["closed"]))
    return next(each[1:] for each in server.state()["closed"] if each[0] == query)


@pytest.mark.parametrize(
    ("payload", "code", "reason"),
    [
        (b"\x03\xe8bye", 1000, "bye"),
        (b"\x0b\xb9" + "grüß".encode(), 3001, "grüß"),
        (b"", 1005, ""),
    ],
)
def test_the_application_learns_the_close_code_of_the_client(
    server: ServedApp, payload: bytes, code: int, reason: str
) -> None:
    query = f"leaves={code}"
    with Client(server, query=query) as client:
        client.ask("text")
        client.send(frame(CLOSE, payload))
        echoed, _ = client.ended_with()
        assert echoed in (code, 1000) if payload else echoed in (None, 1000, 1005)
    seen = closing_seen(server, query)
    if server.way.name.startswith("hypercorn"):  # it tells the application nothing else
        assert seen[0] == 1006
        return
    assert seen[0] == code
    if server.way.native:
        assert seen[1] == reason


def test_a_client_that_vanishes_is_1006(server: ServedApp) -> None:
    client = Client(server, query="vanishes")
    client.ask("text")
    client.vanish()
    # hypercorn and some of uvicorn's implementations say 1005 where there was no close frame
    assert closing_seen(server, "vanishes")[0] in ((1006,) if server.way.native else (1005, 1006))


def test_the_client_learns_the_close_code_of_the_application(server: ServedApp) -> None:
    with Client(server, query="told") as client:
        client.say("close", "1", code=4001, reason="go away, grüß")
        assert client.ended_with() == (4001, "go away, grüß".encode())
    assert closing_seen(server, "told")[0] == 4001


def test_the_wrong_kind_of_frame_is_1003_and_a_message_too_big_is_1009(server: ServedApp) -> None:
    with Client(server) as client:
        client.send(frame(BINARY, b"{}"))
        assert client.ended_with()[0] == 1003
    with Client(server) as client:
        client.send(frame(TEXT, b'"' + b"x" * 1_600_000 + b'"', mask=NO_MASK))
        assert client.ended_with()[0] == 1009


def test_a_second_init_is_4400(server: ServedApp) -> None:
    with Client(server) as client:
        client.ask("init", "1")
        client.say("init", "2")
        assert client.ended_with()[0] == 4400


def test_a_broadcast_and_rooms_reach_whom_they_should(server: ServedApp) -> None:
    with Client(server) as one, Client(server) as two, Client(server) as three:
        for client in (one, two, three):
            client.ask("init", "1")
        one.ask("join", "2", room="lobby")
        two.ask("join", "2", room="lobby")
        assert three.ask("join", "2", room="vault")["content"]["code"] == "forbidden"
        assert three.ask("tell", "3", room="lobby", n=1)["content"] == {"count": 2}
        assert [c.hear()["content"]["n"] for c in (one, two)] == [1, 1]
        two.ask("leave", "3", room="lobby")
        assert three.ask("tell", "4", room="lobby", n=2)["content"] == {"count": 1}
        assert one.hear()["content"]["n"] == 2
        two.say("tell", "5", n=3)
        assert [c.hear()["content"].get("n") for c in (one, three)] == [3, 3]


def test_a_handler_that_outlives_its_client_is_cancelled(server: ServedApp) -> None:
    client = Client(server)
    client.say("hang", "1")
    until(lambda: server.state()["hanging"] == 1)
    client.vanish()
    until(lambda: server.state()["hanging"] == 0)


def test_a_streaming_handler_waits_for_a_client_that_does_not_read(server: ServedApp) -> None:
    parts = 400
    with Client(server, receive_buffer_bytes=8_192) as client:
        client.say("parts", "1", n=parts, bytes=65_536, counted="unread")
        seen: list[int] = []

        def stands_still() -> bool:
            seen.append(server.state().get("unread", 0))
            return seen[-1] > 0 and seen[-6:] == [seen[-1]] * 6

        until(stands_still)
        assert 0 < seen[-1] < parts
        assert server.state()["largest_outbox"] <= OUTBOX_BYTES
        assert [client.hear()["content"]["n"] for _ in range(parts)] == list(range(parts))
        assert client.hear()["final"]


def test_a_client_that_never_reads_is_dropped_and_the_others_live(server: ServedApp) -> None:
    with (
        Client(server, receive_buffer_bytes=8_192, query="never-reads", protocol=None),
        Client(server) as other,
    ):
        other.ask("init", "init")
        for number in range(400):
            assert other.ask("tell", str(number), padding="x" * 65_536)["content"]["count"] >= 1
            if number % 20 == 19 and closed_already(server, "never-reads"):
                break
        assert closing_seen(server, "never-reads")[0] == 1013
        assert server.state()["largest_outbox"] <= OUTBOX_BYTES
        assert other.ask("text", "still", n=1)["content"] == {"n": 1}


def closed_already(server: ServedApp, query: str) -> bool:
    return any(each[0] == query for each in server.state()["closed"])


def test_operators_are_answered_in_plain_http(server: ServedApp) -> None:
    status, health = server.get("/healthz")
    assert (status, health["status"]) == (200, "ok")
    assert server.get("/readyz")[0] == 200
    assert server.get("/metrics.json")[1]["connections"]["active"] >= 0
    status, refused = server.get("/nothing")
    assert (status, refused["code"]) == (404, "not_found")


def test_another_path_is_refused(server: ServedApp) -> None:
    client = Client(server, path="/other")
    client.vanish()
    assert client.handshake.status == 404


def test_a_stop_says_goodbye_to_everybody(server: ServedApp) -> None:
    with Client(server, protocol=None) as client, Client(server) as silent:
        assert client.ask("slowly", "1", n=2)["final"]
        server.ask_to_stop()
        if server.way.native:
            system = client.hear()
            assert (system["type"], system["content"]["event"]) == ("system", "draining")
            assert system["transient"] is True
            assert 1_000 <= system["content"]["reconnectAfterMs"] <= 2_000
        # An ASGI server closes the connections itself, before it tells the application.
        if server.way.name == "hypercorn-trio":  # it drops them
            client.end()
            silent.end()
        else:
            expected = {1012} if server.way.native else {1001, 1012}
            assert client.ended_with()[0] in expected
            assert silent.ended_with()[0] in expected
    assert server.ended() in ({0} if server.way.native else {0, -signal.SIGTERM})
    assert not server.socket_path.exists()
