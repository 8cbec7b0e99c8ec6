"""The `websockets` package holds a conversation with the demo."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Subprotocol

from tests.running_server import RunningServer
from wsframe.demo.stories import answer_to

JSON = Subprotocol("wsframe.v1.json")
MSGPACK = Subprotocol("wsframe.v1.msgpack")
MIB = 1024 * 1024
ANSWER_TIMEOUT_S = 90.0


@pytest.fixture(scope="module", params=["asyncio", "anyio"])
def settings(request: pytest.FixtureRequest) -> dict[str, str]:
    return {"WSFRAME_TRANSPORT": request.param, "WSFRAME_CLOSE_TIMEOUT_S": "60"}


@pytest.fixture(scope="module")
def server(settings: dict[str, str], source_tree: Path) -> Iterator[RunningServer]:
    command = ["wsframe", "demo", "--port", "0"]
    with RunningServer(command, cwd=source_tree / "tests", settings=settings) as running:
        yield running


@pytest.fixture
def client(server: RunningServer) -> Iterator[ClientConnection]:
    with open_connection(server, subprotocols=[JSON], max_size=4 * MIB) as connection:
        yield connection


@pytest.fixture
def slowly_told(settings: dict[str, str], source_tree: Path) -> Iterator[ClientConnection]:
    """A client of a server whose stories last."""
    command = ["wsframe", "run", "tests.integration.slow_demo:app", "--port", "0"]
    with (
        RunningServer(command, cwd=source_tree, settings=settings) as running,
        open_connection(running, subprotocols=[JSON]) as connection,
    ):
        yield connection


def open_connection(server: RunningServer, **options: Any) -> ClientConnection:
    connection = connect(server.ws_url, open_timeout=ANSWER_TIMEOUT_S, **options)
    assert isinstance(connection, ClientConnection)
    return connection


def receive(client: ClientConnection) -> dict[str, Any]:
    message = json.loads(client.recv(timeout=ANSWER_TIMEOUT_S))
    assert isinstance(message, dict)
    return message


def request(client: ClientConnection, type_: str, content: dict[str, Any]) -> dict[str, Any]:
    client.send(json.dumps({"id": "1", "type": type_, "content": content}))
    return receive(client)


def masked_frame(first_byte: int, payload: bytes) -> bytes:
    """A frame that the package itself would refuse to send; the mask is zero."""
    return bytes([first_byte, 0x80 | len(payload)]) + bytes(4) + payload


def close_code_after(client: ClientConnection, sent: bytes) -> int:
    """The code the server closes with when it receives these bytes."""
    client.socket.sendall(sent)
    with pytest.raises(ConnectionClosed) as closed:
        client.recv(timeout=ANSWER_TIMEOUT_S)
    assert closed.value.rcvd is not None
    return closed.value.rcvd.code


def test_a_text_is_answered(client: ClientConnection) -> None:
    answer = request(client, "text", {"text": "Hi"})
    assert client.subprotocol == JSON
    assert (answer["type"], answer["replyTo"], answer["final"]) == ("text", "1", True)
    assert answer["content"] == {"text": "Echo: Hi"}


def test_a_client_without_a_subprotocol_speaks_json(server: RunningServer) -> None:
    with open_connection(server) as bare:
        assert bare.subprotocol is None
        assert request(bare, "text", {"text": "Hi"})["content"] == {"text": "Echo: Hi"}


def test_an_answer_is_streamed_word_by_word(client: ClientConnection) -> None:
    story = answer_to("Tell me a story")
    part = request(client, "ask", {"prompt": "Tell me a story"})
    told = ""
    while not part["final"]:
        told += part["content"]["delta"]
        part = receive(client)
    assert told == story
    assert part["content"] == {"words": len(story.split())}


def test_other_messages_are_answered_while_a_stream_runs(slowly_told: ClientConnection) -> None:
    client = slowly_told
    client.send(json.dumps({"id": "s", "type": "ask", "content": {"prompt": "a story"}}))
    assert receive(client)["replyTo"] == "s"
    client.send(json.dumps({"id": "t", "type": "text", "content": {"text": "Hi"}}))
    answer = receive(client)
    while answer["replyTo"] == "s":
        assert answer["final"] is False, "the stream ended before the text was answered"
        answer = receive(client)
    assert answer["content"] == {"text": "Echo: Hi"}


def test_a_running_stream_is_cancelled(slowly_told: ClientConnection) -> None:
    client = slowly_told
    client.send(json.dumps({"id": "s", "type": "ask", "content": {"prompt": "a story"}}))
    assert receive(client)["content"] == {"delta": answer_to("a story").split()[0]}
    client.send(json.dumps({"id": "c", "type": "cancel", "content": {"id": "s"}}))
    final = {}
    while final.keys() != {"s", "c"}:
        message = receive(client)
        if message["final"]:
            final[message["replyTo"]] = message
    assert final["s"]["content"]["code"] == "cancelled"
    assert (final["c"]["type"], final["c"]["content"]) == ("cancel", {"cancelled": True})


def test_an_error_says_what_was_wrong(client: ClientConnection) -> None:
    answer = request(client, "divide", {"value": 1, "by": 0})
    assert (answer["type"], answer["final"]) == ("error", True)
    assert answer["content"]["code"] == "math.division_by_zero"


def test_content_of_the_wrong_type_is_answered_with_its_path(client: ClientConnection) -> None:
    answer = request(client, "text", {"text": 1})
    assert answer["content"]["code"] == "invalid_content"
    assert "$.content.text" in json.dumps(answer["content"]["details"])


def test_a_websocket_ping_is_answered(client: ClientConnection) -> None:
    assert client.ping(b"are you there?").wait(ANSWER_TIMEOUT_S)


def test_a_ping_message_is_answered(client: ClientConnection) -> None:
    answer = request(client, "ping", {})
    assert (answer["type"], answer["transient"]) == ("pong", True)


@pytest.mark.parametrize("compression", ["deflate", None])
def test_a_message_of_one_mebibyte_is_echoed(
    server: RunningServer, compression: str | None
) -> None:
    with open_connection(
        server, subprotocols=[JSON], compression=compression, max_size=4 * MIB
    ) as client:
        assert client.response is not None
        extensions = client.response.headers.get("Sec-WebSocket-Extensions", "")
        assert ("permessage-deflate" in extensions) is (compression is not None)
        text = "wsframe! " * (MIB // 9)
        assert request(client, "text", {"text": text})["content"] == {"text": f"Echo: {text}"}


@pytest.mark.parametrize("compression", ["deflate", None])
def test_a_fragmented_message_arrives_whole(server: RunningServer, compression: str | None) -> None:
    with open_connection(server, subprotocols=[JSON], compression=compression) as client:
        message = json.dumps({"id": "1", "type": "text", "content": {"text": "in pieces"}})
        client.send(message[at : at + 7] for at in range(0, len(message), 7))
        assert receive(client)["content"] == {"text": "Echo: in pieces"}


def test_messagepack_is_spoken_in_binary_frames(server: RunningServer) -> None:
    with open_connection(server, subprotocols=[MSGPACK, JSON]) as client:
        assert client.subprotocol == MSGPACK
        message = {"id": "1", "type": "text", "content": {"text": "Hi"}}
        client.send(msgspec.msgpack.encode(message))
        answer = client.recv(timeout=ANSWER_TIMEOUT_S)
        assert isinstance(answer, bytes)
        assert msgspec.msgpack.decode(answer)["content"] == {"text": "Echo: Hi"}


def test_an_ordinary_close_is_answered_with_its_code(client: ClientConnection) -> None:
    client.close(1000, "done")
    assert client.close_code == 1000


@pytest.mark.parametrize(
    ("broken", "code"),
    [
        (bytes([0x81, 0x01]) + b"x", 1002),
        (masked_frame(0xA1, b"x"), 1002),
        (masked_frame(0x80, b"x"), 1002),
        (masked_frame(0x09, b"x"), 1002),
        (masked_frame(0x82, b"x"), 1003),
        (masked_frame(0x81, b"\xc3\x28"), 1007),
        (bytes([0x81, 0xFF]) + (2 * MIB + 1).to_bytes(8, "big") + bytes(4) + b"xx", 1009),
    ],
    ids=[
        "unmasked",
        "reserved bit",
        "continuation of nothing",
        "fragmented ping",
        "binary on a JSON connection",
        "bad UTF-8",
        "announced too big",
    ],
)
def test_a_broken_frame_closes_with_the_right_code(
    client: ClientConnection, broken: bytes, code: int
) -> None:
    assert close_code_after(client, broken) == code


def test_a_second_init_closes_with_4400(client: ClientConnection) -> None:
    assert request(client, "init", {})["type"] == "init"
    client.send(json.dumps({"id": "2", "type": "init"}))
    with pytest.raises(ConnectionClosed) as closed:
        while True:
            client.recv(timeout=ANSWER_TIMEOUT_S)
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 4400
