"""Sessions resumed by hand over the `websockets` package, by what the wire protocol's page says."""

from __future__ import annotations

import json
import socket
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Subprotocol

from tests.running_server import RunningServer
from wsframe.testing.faults import free_port

JSON = "wsframe.v1.json"
WAIT_S = 90.0
APP = "tests.integration.resuming_app:app"
ROOT = Path(__file__).parents[2]


class ByHand:
    """One connection, and the count of the session's numbered messages."""

    def __init__(self, connection: ClientConnection) -> None:
        self._socket = connection
        self.count = 0
        self.session: dict[str, Any] = {}
        """What proves that the session is ours."""

    def send(self, message_id: str, type_: str, content: Any = None, **fields: Any) -> None:
        message = {"id": message_id, "type": type_, "content": content or {}, **fields}
        self._socket.send(json.dumps(message))

    def receive(self) -> dict[str, Any]:
        message: dict[str, Any] = json.loads(self._socket.recv(timeout=WAIT_S))
        if message["type"] not in ("init", "pong") and not message.get("transient"):
            self.count += 1
        return message

    def until_final(self, message_id: str) -> list[dict[str, Any]]:
        """Everything that comes, up to and with the final answer to a message."""
        received = [self.receive()]
        while not (received[-1].get("replyTo") == message_id and received[-1].get("final")):
            received.append(self.receive())
        return received

    def ask(self, message_id: str, type_: str, content: Any = None, **fields: Any) -> Any:
        """The final answer to a message, which must be all that comes."""
        self.send(message_id, type_, content, **fields)
        (answer,) = self.until_final(message_id)
        return answer

    def begin(self, former: ByHand | None = None, *, seq: int | None = None) -> dict[str, Any]:
        """Send ``init``, to resume the session of ``former`` if there is one."""
        content = {}
        if former is not None:
            content["resume"] = {**former.session, "seq": former.count if seq is None else seq}
        opened: dict[str, Any] = self.ask(f"init-{uuid4()}", "init", content)["content"]
        self.session = {name: opened[name] for name in ("sessionId", "secret")}
        self.count = opened["seq"]
        return opened

    def drop(self) -> None:
        """The network is gone: no close frame."""
        self._socket.socket.shutdown(socket.SHUT_RDWR)

    def close(self, code: int) -> None:
        self._socket.close(code)

    def close_code(self) -> int:
        """What the server closes the connection with."""
        with pytest.raises(ConnectionClosed) as closed:
            while True:
                self.receive()
        assert closed.value.rcvd is not None
        return closed.value.rcvd.code


Connect = Callable[..., ByHand]


@pytest.fixture(scope="module", params=["asyncio", "anyio"])
def server(request: pytest.FixtureRequest) -> Iterator[RunningServer]:
    command = ["wsframe", "run", APP, "--port", "0", "--transport", request.param]
    with RunningServer(command, cwd=ROOT) as running:
        yield running


@pytest.fixture
def clients(server: RunningServer) -> Iterator[Connect]:
    with ExitStack() as stack:

        def connected(*protocols: str, to: RunningServer = server) -> ByHand:
            offered = [Subprotocol(each) for each in protocols or [JSON]]
            opened = connect(to.ws_url, subprotocols=offered, open_timeout=WAIT_S)
            return ByHand(stack.enter_context(opened))

        yield connected


def begun(connected: Connect, **options: Any) -> ByHand:
    client = connected(**options)
    opened = client.begin()
    assert (opened["resumed"], opened["seq"], opened["gap"]) == (False, 0, None)
    return client


def post(server: RunningServer, path: str) -> None:
    urllib.request.urlopen(urllib.request.Request(server.http_url + path, method="POST")).close()


def runs_of(server: RunningServer, type_: str) -> int:
    with urllib.request.urlopen(f"{server.http_url}/runs") as response:
        runs: dict[str, int] = json.load(response)
    return runs.get(type_, 0)


def deltas(messages: list[dict[str, Any]]) -> list[str]:
    return [each["content"]["delta"] for each in messages if "delta" in each["content"]]


def test_a_stream_goes_on_where_the_connection_broke(
    server: RunningServer, clients: Connect
) -> None:
    first = begun(clients)
    gate = str(uuid4())
    first.send("s", "ask", {"prompt": "once upon a time", "gate": gate})
    assert first.receive()["content"] == {"delta": "once"}
    first.drop()
    post(server, f"/open/{gate}")

    second = clients()
    opened = second.begin(first)
    assert (opened["resumed"], opened["seq"], opened["gap"]) == (True, 1, None)
    assert opened["sessionId"] == first.session["sessionId"]
    rest = second.until_final("s")
    assert deltas(rest) == ["upon", "a", "time"]
    assert [each["final"] for each in rest] == [False, False, False, True]
    assert second.count == 5


def test_what_runs_is_in_flight_and_is_not_to_be_sent_again(
    server: RunningServer, clients: Connect
) -> None:
    first = begun(clients)
    gate = str(uuid4())
    first.send("s", "ask", {"prompt": "not yet", "gate": gate})
    first.receive()
    first.drop()

    second = clients()
    assert second.begin(first)["inFlight"] == ["s"]
    asked = runs_of(server, "ask")
    second.send("s", "ask", {"prompt": "not yet", "gate": gate})
    assert second.ask("p", "ping")["type"] == "pong", "the repetition is answered by nothing"
    post(server, f"/open/{gate}")
    assert deltas(second.until_final("s")) == ["yet"]
    assert runs_of(server, "ask") == asked


def test_an_answer_that_got_lost_comes_again(server: RunningServer, clients: Connect) -> None:
    first = begun(clients)
    first.send("1", "text", {"text": "Hi"})
    answer = first.receive()
    second = clients()
    assert second.begin(first, seq=0)["gap"] is None
    assert second.receive() == answer
    assert second.count == 1


def test_a_repeated_id_brings_the_same_answer_and_no_second_run(
    server: RunningServer, clients: Connect
) -> None:
    first = begun(clients)
    answer = first.ask("1", "text", {"text": "Hi"})
    first.drop()

    second = clients()
    second.begin(first)
    assert second.ask("1", "text", {"text": "Hi"}) == answer
    assert second.count == 2, "the same message under a number of its own"
    another = second.ask("2", "text", {"text": "Hi"})
    assert another["content"]["runs"] == answer["content"]["runs"] + 1


def test_a_stream_is_cancelled_over_the_next_connection(clients: Connect) -> None:
    first = begun(clients)
    first.send("s", "ask", {"prompt": "for ever", "gate": str(uuid4())})
    first.receive()
    first.drop()

    second = clients()
    second.begin(first)
    second.send("c", "cancel", {"id": "s"})
    answers = {each["replyTo"]: each for each in (second.receive(), second.receive())}
    assert answers["c"]["content"] == {"cancelled": True}
    assert answers["s"]["content"]["code"] == "cancelled"
    assert answers["s"]["final"] is True
    assert second.ask("c2", "cancel", {"id": "s"})["content"] == {"cancelled": False}


def test_a_client_that_does_not_acknowledge_finds_a_gap(clients: Connect) -> None:
    first = begun(clients)
    first.ask("j", "join", {"room": "news"})
    first.send("t", "tell", {"count": 30})
    first.until_final("t")
    assert first.count == 32

    second = clients()
    opened = second.begin(first, seq=5)
    assert (opened["resumed"], opened["gap"], opened["seq"]) == (True, {"from": 6, "to": 12}, 12)
    assert second.receive()["content"] == {"number": 12}
    second.until_final("t")
    assert second.count == 32


def test_whatever_was_pushed_meanwhile_is_missed_beyond_the_outbox_only(
    server: RunningServer, clients: Connect
) -> None:
    first = begun(clients)
    first.ask("j", "join", {"room": "news"})
    first.drop()
    post(server, "/tell/25")

    second = clients()
    opened = second.begin(first)
    assert (opened["gap"], opened["seq"]) == ({"from": 2, "to": 6}, 6)
    assert [second.receive()["content"]["number"] for _ in range(20)] == list(range(6, 26))


def test_what_is_acknowledged_is_lost_to_whoever_goes_back_behind_it(clients: Connect) -> None:
    first = begun(clients)
    first.ask("1", "text", {"text": "one"})
    first.ask("2", "text", {"text": "two"})
    first.send("a", "ack", ack=1)
    first.ask("p", "ping")

    second = clients()
    opened = second.begin(first, seq=0)
    assert (opened["gap"], opened["seq"]) == ({"from": 1, "to": 1}, 1)
    assert second.receive()["replyTo"] == "2"


def test_an_acknowledgement_rides_on_any_message_and_may_not_run_ahead(clients: Connect) -> None:
    client = begun(clients)
    client.ask("1", "text", {"text": "one"})
    assert client.ask("2", "text", {"text": "two"}, ack=1)["type"] == "text"
    refused = client.ask("3", "text", {"text": "three"}, ack=9)
    assert refused["content"]["code"] == "invalid_envelope"
    assert refused["content"]["details"][0]["path"] == "$.ack"
    missing = client.ask("4", "ack")
    assert missing["content"]["code"] == "invalid_content"
    assert client.ask("3", "text", {"text": "three"}, ack=4)["type"] == "text"


def test_a_newer_connection_takes_the_session_over(clients: Connect) -> None:
    first = begun(clients)
    second = clients()
    assert second.begin(first)["resumed"] is True
    assert first.close_code() == 4409
    assert second.ask("1", "text", {"text": "Hi"})["type"] == "text"


@pytest.mark.parametrize("wrong", ["sessionId", "secret", "seq"])
def test_whoever_cannot_prove_it_gets_a_new_session(clients: Connect, wrong: str) -> None:
    first = begun(clients)
    first.drop()
    second = clients()
    if wrong != "seq":
        first.session[wrong] += "x"
    opened = second.begin(first, seq=7 if wrong == "seq" else 0)
    assert (opened["resumed"], opened["seq"], opened["inFlight"]) == (False, 0, [])
    assert opened["sessionId"] != first.session["sessionId"]


def test_code_1000_ends_the_session_and_no_code_does_not(clients: Connect) -> None:
    without_code, with_code = begun(clients), begun(clients)
    without_code._socket.protocol.send_close()
    without_code._socket.socket.sendall(b"".join(without_code._socket.protocol.data_to_send()))
    with pytest.raises(ConnectionClosed):
        without_code.receive()
    with_code.close(1000)
    assert clients().begin(without_code)["resumed"] is True
    assert clients().begin(with_code)["resumed"] is False


def test_a_client_without_a_subprotocol_cannot_resume(clients: Connect) -> None:
    first = begun(clients)
    first.drop()
    bare = clients("another.protocol")
    opened = bare.begin(first)
    assert opened["resumed"] is False
    assert opened["limits"]["resumeWindowMs"] == 0
    again = clients()
    assert again.begin(bare)["resumed"] is False
    assert clients().begin(first)["resumed"] is True, "it was not the bare client's to lose"


@pytest.fixture(params=["asyncio", "anyio"])
def stored(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[RunningServer]:
    """A server whose sessions outlive it, on a port that stays the same."""
    command = ["wsframe", "run", APP, "--port", str(free_port()), "--transport", request.param]
    settings = {
        "WSFRAME_STORE": f"sqlite:///{tmp_path}/sessions.db",
        "WSFRAME_DURABILITY": "strict",
    }
    with RunningServer(command, cwd=ROOT, settings=settings) as running:
        yield running


def test_sessions_go_on_after_the_server_was_killed(
    stored: RunningServer, clients: Connect
) -> None:
    first = begun(clients, to=stored)
    answer = first.ask("1", "text", {"text": "Hi"})
    first.send("s", "ask", {"prompt": "once more", "gate": "g"})
    assert first.receive()["content"] == {"delta": "once"}
    stored.restart()

    second = clients(to=stored)
    opened = second.begin(first)
    assert (opened["resumed"], opened["seq"], opened["gap"]) == (True, 2, None)
    assert opened["inFlight"] == ["s"]  # its answer, interrupted, is on its way
    interrupted = second.receive()
    assert (interrupted["replyTo"], interrupted["final"]) == ("s", True)
    assert interrupted["content"]["code"] == "interrupted"
    assert interrupted["content"]["retryable"] is True

    post(stored, "/open/g")
    second.send("s", "ask", {"prompt": "once more", "gate": "g"})
    assert deltas(second.until_final("s")) == ["once", "more"]
    assert second.ask("1", "text", {"text": "Hi"}) == answer
    assert runs_of(stored, "text") == 0, "the answer was stored"


def test_sessions_go_on_after_the_server_was_stopped(
    stored: RunningServer, clients: Connect
) -> None:
    first = begun(clients, to=stored)
    answer = first.ask("1", "text", {"text": "Hi"})
    stored.ask_to_stop()
    draining = first.receive()
    assert (draining["type"], draining["transient"]) == ("system", True)
    assert draining["content"]["event"] == "draining"
    assert draining["content"]["reconnectAfterMs"] > 0
    assert first.close_code() == 1012
    assert stored.ended() == 0
    stored.restart()

    second = clients(to=stored)
    assert second.begin(first)["resumed"] is True
    assert second.ask("1", "text", {"text": "Hi"}) == answer


def test_a_client_that_claims_any_count_after_a_restart_harms_nobody_else(
    stored: RunningServer, clients: Connect
) -> None:
    first = begun(clients, to=stored)
    first.ask("1", "text", {"text": "Hi"})
    stored.restart()

    beyond = clients(to=stored)
    beyond.send("i", "init", {"resume": {**first.session, "seq": 2**63 - 1}})
    assert beyond.close_code() == 4400
    far = clients(to=stored)
    opened = far.begin(first, seq=2**53 - 1)
    assert (opened["resumed"], opened["seq"]) == (True, 2**53 - 1)
    assert far.ask("2", "text", {"text": "Hi"})["type"] == "text"
    assert begun(clients, to=stored).ask("1", "text", {"text": "Hi"})["type"] == "text"
