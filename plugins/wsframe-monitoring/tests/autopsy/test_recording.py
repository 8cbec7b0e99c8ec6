"""Applications whose messages are recorded, from the handshake to the acknowledgement."""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
import pytest
from wsframe_monitoring.autopsy.text import as_text

from wsframe import App, Identity, Refused, hookimpl
from wsframe.testing import RequestError, TestClient

Make = Callable[..., Any]
GUIDE = Path(__file__).parents[4] / "docs" / "how-to" / "find-out-why-no-answer-came.md"


def told(app: Any, message_id: str) -> dict[str, Any]:
    (message,) = app.autopsy.look_up(message_id)["messages"]
    return dict(message)


def steps(app: Any, message_id: str) -> list[str]:
    """The time line, without sizes: ids and times of the server are not always as long."""
    return [
        f"+{step['atS']:.2f} {re.sub(', [0-9]+ bytes', '', step['text'])}"
        for step in told(app, message_id)["steps"]
    ]


async def begun(wsframe_client: Any, app: App) -> TestClient:
    client = await wsframe_client(app, identity=Identity(subject="ann"))
    assert isinstance(client, TestClient)
    return client


def resume(client: TestClient) -> dict[str, Any]:
    return {"resume": {"sessionId": client.session_id, "secret": client.secret, "seq": client.seq}}


async def test_a_message_is_followed_across_a_dropped_connection(
    wsframe_client: Any, make_app: Make
) -> None:
    app = make_app()
    first = await begun(wsframe_client, app)
    await first.request("ask")
    first.send("ask", {"seconds": 0.12}, id="m")
    await first.advance(0.11)
    first.pause_reading()
    await first.advance(0.02)
    await first.drop()
    await first.advance(4)
    second = await wsframe_client(app, init_content=resume(first), identity=Identity(subject="ann"))
    answer = await second.receive()
    assert (answer.reply_to, second.seq) == ("m", 1)
    await second.advance(0.1)
    second.send("ack", ack=2)
    await second.advance()

    c1, c2 = (event.connection_id for event in app.autopsy.ring.find("m")[0].conversation.events)
    assert steps(app, "m") == [
        f"+0.00 received by connection {c1}",
        "+0.00 handler started",
        "+0.12 answer sent as no. 2 (reply)",
        f"+0.13 connection {c1} closed (1006)",
        f"+4.13 session resumed by connection {c2}, behind no. 1",
        "+4.13 answer replayed",
        "+4.23 acknowledged",
    ]
    message = told(app, "m")
    assert (message["type"], message["subject"], message["session"]) == (
        "ask", "ann", first.session_id,
    )  # fmt: skip
    assert message["state"] == "acknowledged"
    assert "4.1 s late" in message["verdict"]


async def test_an_answer_that_comes_while_nobody_is_there_is_kept_and_sent_later(
    wsframe_client: Any, make_app: Make
) -> None:
    app = make_app()
    client = await begun(wsframe_client, app)
    client.send("ask", {"seconds": 5}, id="m")
    await client.advance(1)
    await client.drop()
    await client.advance(9)
    assert told(app, "m")["state"] == "kept"
    again = await wsframe_client(app, init_content=resume(client), identity=Identity(subject="ann"))
    await again.advance(1)
    assert [step["step"] for step in told(app, "m")["steps"]] == [
        "received", "handler", "dropped", "kept", "resumed", "sent",
    ]  # fmt: skip
    assert told(app, "m")["state"] == "written"


async def test_a_session_to_which_nobody_comes_back_tells_so(
    wsframe_client: Any, make_app: Make
) -> None:
    app = make_app(settings={"resume_window_s": 30})
    client = await begun(wsframe_client, app)
    await client.request("ask")
    client.send("ask", id="m")
    await client.advance()
    await client.drop()
    await client.advance(31)
    assert told(app, "m")["state"] == "over"
    assert "nobody came back" in told(app, "m")["verdict"]


async def test_parts_are_counted(wsframe_client: Any, make_app: Make) -> None:
    app = make_app()
    client = await begun(wsframe_client, app)
    client.send("count", id="m")
    await client.advance(5)
    assert steps(app, "m")[2:5] == [
        "+1.00 first part sent",
        "+3.00 last part sent, of 3",
        "+3.00 answer sent as no. 4 (reply)",
    ]


class SlowGate:
    @hookimpl
    async def message_received(self, message: Any) -> None:
        await anyio.sleep(0.25)


class StrictGate:
    @hookimpl(trylast=True)
    async def message_received(self, message: Any) -> None:
        if message.content.get("seconds") == 13:
            raise Refused("rate_limited")


async def test_gates_are_named_and_timed(wsframe_client: Any, make_app: Make) -> None:
    app = make_app(SlowGate(), StrictGate())
    client = await begun(wsframe_client, app)
    client.send("ask", {"seconds": 1}, id="good")
    client.send("ask", {"seconds": 13}, id="bad")
    await client.advance(0.1)
    assert told(app, "good")["state"] == "gated"
    assert told(app, "bad")["state"] == "waiting"
    await client.advance(3)
    slow, strict = (step for step in told(app, "good")["steps"] if step["step"] == "gate")
    assert (slow["atS"], slow["refusal"]) == (0.25, None)
    assert (strict["atS"], strict["refusal"]) == (0.25, None)
    assert [step["step"] for step in told(app, "bad")["steps"]] == [
        "received", "turn", "gate", "gate", "answered",
    ]  # fmt: skip
    assert f"(refused by plugin {strict['plugin']!r})" in told(app, "bad")["verdict"]


async def test_an_error_is_told_by_its_code_and_type_without_its_text(
    wsframe_client: Any, make_app: Make
) -> None:
    app = make_app()
    client = await begun(wsframe_client, app)
    with pytest.raises(RequestError):
        await client.request("broken", {"password": "another secret"})
    report = repr(app.autopsy.look_up(client.session_id)) + repr(app.autopsy.look_up("2"))
    assert "handler_failed" in report
    assert "KeyError" in report
    assert "secret" not in report


async def test_the_messages_of_a_session_or_a_connection_are_listed(
    wsframe_client: Any, make_app: Make
) -> None:
    app = make_app()
    client = await begun(wsframe_client, app)
    for number in range(3):
        client.send("ask", id=f"m{number}")
    await client.advance()
    report = app.autopsy.look_up(client.session_id)
    assert [each["id"] for each in report["listed"]] == ["m0", "m1", "m2"]
    connection_id = told(app, "m0")["connection"]
    assert len(app.autopsy.look_up(connection_id)["listed"]) == 3


async def test_one_session_in_so_many_is_recorded_and_no_other_pays(
    wsframe_client: Any, make_app: Make
) -> None:
    app = make_app(one_in=3)
    clients = [await begun(wsframe_client, app) for _ in range(12)]
    for client in clients:
        await client.request("ask")
    sessions = app.runtime.dispatcher.sessions.by_id
    watched = {key for key, session in sessions.items() if session.watched is not None}
    assert watched == {key for key in sessions if zlib.crc32(key.encode()) % 3 == 0}
    assert all(sessions[key].recorder is None for key in sessions.keys() - watched)
    assert len(app.autopsy.ring) == len(watched)


async def test_nothing_is_recorded_and_nothing_is_served_unless_it_is_switched_on(
    wsframe_client: Any, make_app: Make
) -> None:
    app = make_app(one_in=0)
    client = await begun(wsframe_client, app)
    await client.request("ask")
    (session,) = app.runtime.dispatcher.sessions.by_id.values()
    assert (session.watched, session.recorder) == (None, None)
    assert "/trace" not in app._http_routes.tables[0]
    assert len(app.autopsy.ring) == 0


async def test_an_unknown_id_is_told_why_it_may_be_unknown(
    wsframe_client: Any, make_app: Make
) -> None:
    app = make_app(max_messages=2)
    client = await begun(wsframe_client, app)
    await client.advance(60)
    assert app.autopsy.look_up("x")["why"] == (
        "it has never arrived at this process, which has recorded every message since it began "
        "1 min ago; look at the other nodes, if there are any"
    )
    for number in range(5):
        client.send("ask", id=f"m{number}")
        await client.advance(10)
    assert app.autopsy.look_up("m0")["why"] == (
        "the ring holds the last 2 messages, since 20.0 s ago; 3 older ones were forgotten; "
        "recording began 2 min ago"
    )
    assert app.autopsy.look_up("m0")["recording"]["forgotten"] == 3


async def test_an_unknown_id_of_a_sample_may_not_be_in_it(
    wsframe_client: Any, make_app: Make
) -> None:
    app = make_app(one_in=100)
    await begun(wsframe_client, app)
    why = app.autopsy.look_up("x")["why"]
    assert why.startswith("only one session in 100 is recorded, and it may not be one;")


async def test_many_messages_of_one_id_are_cut_and_can_be_told_apart(
    wsframe_client: Any, make_app: Make
) -> None:
    app = make_app()
    clients = [await begun(wsframe_client, app) for _ in range(7)]
    for client in clients:
        client.send("ask", id="same")
    await clients[0].advance()
    report = app.autopsy.look_up("same")
    assert (len(report["messages"]), report["more"]) == (5, 2)
    report = app.autopsy.look_up("same", clients[0].session_id)
    assert (len(report["messages"]), report["more"]) == (1, 0)


async def test_a_plugin_that_is_disabled_records_nothing_more_and_forgets(
    wsframe_client: Any, make_app: Make
) -> None:
    app = make_app()
    client = await begun(wsframe_client, app)
    await client.request("ask")
    (name,) = (name for name, _ in app.runtime.manager.table.started if "monitoring" in name)
    await app.disable_plugin(name)
    assert len(app.autopsy.ring) == 0
    await client.request("ask")
    other = await begun(wsframe_client, app)
    await other.request("ask")
    assert len(app.autopsy.ring) == 0


class Quota:
    @hookimpl
    async def message_received(self, message: Any) -> None:
        if message.type == "image":
            raise Refused("rate_limited")


async def test_the_guide_shows_what_is_really_printed(wsframe_client: Any, make_app: Make) -> None:
    app = make_app(Quota())
    first = await begun(wsframe_client, app)
    first.send("ask", id="m-4")
    await first.advance()
    first.send("ask", {"seconds": 0.12}, id="m-5")
    await first.advance(0.11)
    first.pause_reading()
    await first.advance(0.02)
    await first.drop()
    await first.advance(4)
    second = await wsframe_client(app, init_content=resume(first), identity=Identity(subject="ann"))
    await second.advance(0.02)
    second.send("ack", ack=2)
    second.send("image", id="m-6")
    second.send("ask", {"seconds": 20}, id="m-7")
    second.send("ask", id="m-8")
    await second.advance(5)
    printed = [as_text(app.autopsy.look_up(one)) for one in ("m-5", first.session_id)]
    page = GUIDE.read_text(encoding="utf-8")
    shown = re.findall(r"```text\n(.*?)```", page, re.DOTALL)[:2]
    assert [_alike(text) for text in printed] == [_alike(text) for text in shown]


def _alike(text: str) -> str:
    """Without what is different each time: ids, dates, measured times and sizes."""
    text = re.sub(r"\b([cs])[\w-]{22}(?!\w)", r"\1…", text)
    text = re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}", "…", text)
    return re.sub(r"\(\d+\.\d ms\)|\d+ bytes", "…", text).strip()
