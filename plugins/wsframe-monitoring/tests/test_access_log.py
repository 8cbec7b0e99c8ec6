"""One line for each connection, request or message, and no secrets in it."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import anyio
import pytest

from wsframe import CloseConnection, ConfigError, PluginError, RequestRefused, hookimpl

JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhbm4ifQ.c2lnbmF0dXJl"


def lines_of(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]


def without(line: dict[str, Any], *names: str) -> dict[str, Any]:
    assert set(names) <= line.keys()
    return {name: value for name, value in line.items() if name not in names}


async def test_connections_requests_and_messages_have_a_line_each_in_json(
    wsframe_client: Any, watched: Any, get: Any, tmp_path: Path
) -> None:
    file = tmp_path / "access.log"
    app = watched(
        access_log=("connections", "requests", "messages"),
        access_log_file=str(file),
        access_log_format="json",
    )
    client = await wsframe_client(app)
    client.send("slow", {"seconds": 2}, id="m1")
    await anyio.sleep(3)
    await get(app, "/nowhere?secret=yes")
    await client.close()
    await wsframe_client.stop(app)
    opened, init, message, request, closed = lines_of(file)
    common = {"level": "info", "logger": "wsframe.access"}
    assert without(opened, "timestamp", "connection", "session") == {
        **common, "message": "opened", "address": "127.0.0.1", "path": "/ws", "status": 101,
    }  # fmt: skip
    assert init["type"] == "init"
    assert without(message, "timestamp", "connection", "session") == {
        **common, "message": "message", "type": "slow", "id": "m1", "outcome": "replied",
        "ms": 2000.0,
    }  # fmt: skip
    assert without(request, "timestamp", "ms") == {
        **common, "message": "request", "method": "GET", "address": "127.0.0.1",
        "path": "/nowhere", "status": 404,
    }  # fmt: skip
    assert without(closed, "timestamp", "session", "seconds") == {
        **common, "message": "closed", "connection": opened["connection"],
        "address": "127.0.0.1", "code": 1000,
    }  # fmt: skip
    assert closed["seconds"] >= 3


async def test_a_refused_handshake_has_a_line(
    wsframe_client: Any, watched: Any, tmp_path: Path
) -> None:
    class Bouncer:
        @hookimpl
        async def connection_opening(self, request: Any) -> None:
            raise RequestRefused(403, "forbidden", "Not you.")

    file = tmp_path / "access.log"
    app = watched(
        Bouncer,
        access_log=("connections",),
        access_log_file=str(file),
        access_log_format="json",
    )
    with pytest.raises(RequestRefused):
        await wsframe_client(app, path="/ws?token=very-secret-token")
    (line,) = lines_of(file)
    assert (line["message"], line["status"], line["path"]) == ("refused", 403, "/ws")
    assert "secret" not in file.read_text(encoding="utf-8")


async def test_text_has_one_line_for_each_whatever_a_client_says(
    wsframe_client: Any, watched: Any, tmp_path: Path
) -> None:
    file = tmp_path / "access.log"
    app = watched(access_log=("connections", "messages"), access_log_file=str(file))

    @app.handler("leave_me")
    async def leave_me(message: Any, connection: Any) -> None:
        raise CloseConnection(4000, "no status=500 here")

    client = await wsframe_client(app)
    client.send("leave_me", id=f"x\nforged \x1b[2J status=500 token={JWT}")
    await client.wait_closed()
    await wsframe_client.stop(app)
    text = file.read_text(encoding="utf-8")
    lines = text.splitlines()
    assert [line.split()[3:5] for line in lines] == [
        ["access:", event] for event in ("opened", "message", "message", "closed")
    ]
    assert "\x1b" not in text
    assert JWT not in text
    assert lines[3].endswith('code=4000 reason="no status=500 here" seconds=0.0')


async def test_only_what_is_named_has_lines(
    wsframe_client: Any, watched: Any, get: Any, tmp_path: Path
) -> None:
    file = tmp_path / "access.log"
    app = watched(access_log=("requests",), access_log_file=str(file))
    client = await wsframe_client(app)
    await client.request("echo")
    await get(app)
    (line,) = file.read_text(encoding="utf-8").splitlines()
    assert "path=/metrics status=200" in line


async def test_without_a_file_the_lines_go_to_the_servers_log(
    wsframe_client: Any, watched: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    app = watched(access_log=("messages",))
    client = await wsframe_client(app)
    await client.request("echo")
    records = [record for record in caplog.records if record.name == "wsframe.access"]
    assert [(record.getMessage(), record.__dict__["type"]) for record in records] == [
        ("message", "init"),
        ("message", "echo"),
    ]


async def test_there_is_no_access_log_unless_somebody_wants_one(
    wsframe_client: Any, watched: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    app = watched()
    client = await wsframe_client(app)
    await client.request("echo")
    await client.close()
    assert not [record for record in caplog.records if record.name == "wsframe.access"]
    table = app.runtime.manager.table
    ours = [
        hook
        for hook in ("message_handled", "message_sent", "message_received", "connection_opened")
        if getattr(table, hook).of("monitoring")
    ]
    assert ours == []


async def test_a_file_is_rotated(wsframe_client: Any, watched: Any, tmp_path: Path) -> None:
    file = tmp_path / "access.log"
    app = watched(
        access_log=("messages",),
        access_log_file=str(file),
        access_log_max_bytes=2_000,
        access_log_backups=1,
    )
    client = await wsframe_client(app)
    for _ in range(40):
        await client.request("echo")
    await wsframe_client.stop(app)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["access.log", "access.log.1"]
    assert file.stat().st_size <= 2_000


async def test_a_file_that_cannot_be_written_stops_the_start(
    wsframe_client: Any, watched: Any, tmp_path: Path
) -> None:
    app = watched(access_log=("messages",), access_log_file=str(tmp_path / "none" / "access.log"))
    with pytest.raises((PluginError, ConfigError), match=r"access_log_file = .* cannot be written"):
        await wsframe_client(app)
