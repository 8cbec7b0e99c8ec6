"""Threats 9 and 10 on a server that traces everything: its whole output, and what it answers."""

from __future__ import annotations

import json
import socket
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect
from websockets.typing import Subprotocol

from tests.running_server import RunningServer

TOKEN = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhbm4ifQ.c2lnbmF0dXJl"
APPLICATION = """\
from wsframe import App, HandlerError

app = App()

@app.handler("fail")
async def fail(message, connection):
    raise RuntimeError(f"cannot use token={message.content['token']}")
"""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RunningServer]:
    (tmp_path / "chat.py").write_text(APPLICATION)
    command = ["wsframe", "run", "chat:app", "--port", "0", "--debug", "*", "-p", "no:origin"]
    with RunningServer(command, cwd=tmp_path, settings={"WSFRAME_TRACE_PLUGINS": "1"}) as server:
        yield server


def raw(server: RunningServer, request: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", server.port), timeout=30) as connection:
        connection.sendall(request)
        connection.shutdown(socket.SHUT_WR)
        answer = b""
        while data := connection.recv(65_536):
            answer += data
        return answer


def test_a_token_is_in_no_log_answer_or_metric(server: RunningServer) -> None:
    answers: list[str] = []
    with connect(
        f"{server.ws_url}?token={TOKEN}",
        subprotocols=[Subprotocol("wsframe.v1.json"), Subprotocol(f"wsframe.bearer.{TOKEN}")],
        additional_headers={"Authorization": f"Bearer {TOKEN}", "Cookie": f"session={TOKEN}"},
        open_timeout=60,
    ) as client:
        assert client.subprotocol == "wsframe.v1.json"
        assert client.response is not None
        answers.append(str(client.response.headers))
        for message in (
            {"id": "1", "type": "init", "content": {"token": TOKEN}},
            {"id": "2", "type": "fail", "content": {"token": TOKEN}},
        ):
            client.send(json.dumps(message))
            answers.append(str(client.recv(30)))
    with pytest.raises(InvalidStatus) as refused:
        nowhere = f"ws://127.0.0.1:{server.port}/nowhere?token={TOKEN}"
        connect(nowhere, open_timeout=60).__enter__()
    assert refused.value.response.status_code == 404
    answers.append(str(refused.value.response))
    bad = f"GET /ws?token={TOKEN} HTTP/1.0\r\nAuthorization: Bearer {TOKEN}\r\n\r\n"
    answers.append(raw(server, bad.encode()).decode())
    with urllib.request.urlopen(f"{server.http_url}/metrics.json") as metrics:
        answers.append(metrics.read().decode())
    server.stop()
    assert json.loads(answers[2])["content"]["code"] == "handler_failed"
    assert "cannot use token=***" in "".join(server.output)  # the operator sees the error itself
    for text in (*answers, *server.output):
        assert TOKEN not in text
        assert "c2lnbmF0dXJl" not in text


def test_what_a_client_sends_forges_no_line_and_no_colour(server: RunningServer) -> None:
    escape = "\x1b[31mRED\x1b[0m"
    raw(server, f"GET /{escape} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    raw(server, f"GET /ws HTTP/1.1\r\nHost: x\r\nX: {escape}\r\n\r\n".encode())
    raw(server, b"GET /%0d%0a12:00:00.000%20INFO%20forged HTTP/1.1\r\nHost: x\r\n\r\n")
    with connect(server.ws_url, open_timeout=60) as client:
        for text in (escape, "a\r\n12:00:00.000 INFO    server: forged", "\u2028forged", "\x9b31m"):
            for message in (
                {"id": text, "type": text},
                {"id": text, "type": "fail", "content": {"token": text}},
            ):
                client.send(json.dumps(message))
                client.recv(30)
    server.stop()
    for line in server.output:
        assert line.removesuffix("\n").isprintable(), ascii(line)
        assert not line.startswith("12:00:00.000")
