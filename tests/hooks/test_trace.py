"""``WSFRAME_TRACE_PLUGINS=1`` shows who was called and how long, and no contents."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from tests.hooks.conftest import Manage
from wsframe import Identity, Message, Refused, hookimpl

pytestmark = pytest.mark.anyio
TRACING = {"WSFRAME_TRACE_PLUGINS": "1"}
TOKEN = "hunter2-token"


class Auth:
    @hookimpl
    def setup(self, app: Any) -> None: ...

    @hookimpl
    def make_store(self, url: str) -> str:
        raise ValueError(TOKEN)

    @hookimpl
    async def authenticate(self, request: Any) -> Identity:
        return Identity(subject=TOKEN)

    @hookimpl
    async def message_received(self, message: Any) -> None:
        raise Refused("forbidden", TOKEN)


def message() -> Message[Any]:
    return Message(type="text", id="42", content={"token": TOKEN})


async def test_a_call_is_traced_with_its_time_and_how_it_ended(
    manage: Manage, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    manager = manage(Auth, environ=TRACING)
    table = manager.load()
    manager.setup("app")
    await table.first(table.authenticate, f"Authorization: {TOKEN}")
    with pytest.raises(Refused):
        await table.gate(table.message_received, "connection-7", message())
    setup, authenticate, received = [record.getMessage() for record in caplog.records]
    assert setup.startswith("auth.setup() returned NoneType in ")
    assert authenticate.startswith("auth.authenticate() returned Identity in ")
    assert received.startswith(
        "auth.message_received(connection=connection-7 message=text:42) raised Refused in "
    )
    assert received.endswith(" µs")


async def test_no_token_gets_into_the_trace(
    manage: Manage, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    manager = manage(Auth, environ=TRACING)
    table = manager.load()
    caplog.clear()
    await table.first(table.authenticate, f"Authorization: {TOKEN}")
    with pytest.raises(Refused):
        await table.gate(table.message_received, "connection-7", message())
    with pytest.raises(Exception, match="make_store failed"):
        manager.make_store(f"redis://{TOKEN}@127.0.0.1")
    assert len(caplog.records) == 3
    assert TOKEN not in caplog.text


@pytest.mark.parametrize("value", ["", "0"])
async def test_without_the_variable_the_plugin_s_own_function_is_called(
    manage: Manage, value: str
) -> None:
    manager = manage(Auth, environ={"WSFRAME_TRACE_PLUGINS": value})
    ((_, function),) = manager.load().authenticate
    assert function == manager.records["auth"].plugin.authenticate  # type: ignore[union-attr]


async def test_a_stranger_s_id_cannot_forge_a_line(
    manage: Manage, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    table = manage(Auth, environ=TRACING).load()
    with pytest.raises(Refused):
        await table.gate(
            table.message_received, "c", Message(type="text", id="1\n\x1b[2J" + "x" * 200)
        )
    (record,) = caplog.records
    assert "text:1\\n\\x1b[2Jxxx" in record.getMessage()
    assert len(record.getMessage()) < 200
