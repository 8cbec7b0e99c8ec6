"""What a server sends in any test is checked against the schemas; so is the check."""

from __future__ import annotations

from wsframe import App
from wsframe.testing import Connector


async def test_a_message_that_its_schema_does_not_allow_is_noticed(
    wsframe_client: Connector, app: App, invalid_messages: list[AssertionError]
) -> None:
    client = await wsframe_client(app, init=False)
    await client.request("text", {"text": "Hi"})
    assert invalid_messages == []
    assert app.runtime is not None
    app.runtime.sender._stamp = lambda _now: "yesterday"
    await client.request("text", {"text": "Hi"})
    assert "'yesterday'" in str(invalid_messages[0])
    invalid_messages.clear()
