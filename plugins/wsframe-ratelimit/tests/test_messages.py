"""What clients are answered: on asyncio and trio, in virtual time."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import anyio
import pytest
from wsframe_ratelimit import Limit, RatelimitPlugin, TypeRule
from wsframe_ratelimit.plugin import KEY

from wsframe import App, ConnectionClosed, Identity, Refused, hookimpl
from wsframe.testing import Connector, RequestError

from .conftest import ELSEWHERE

Limited = Callable[..., App]
ANN = Identity(subject="ann")


async def refusal(client: Any, *message: Any) -> RequestError:
    with pytest.raises(RequestError) as caught:
        await client.request(*message)
    return caught.value


async def passed(client: Any, message_type: str, times: int) -> None:
    for _ in range(times):
        await client.request(message_type)


async def test_what_is_too_much_is_refused_and_told_when_to_come_back(
    wsframe_client: Connector, limited: Limited
) -> None:
    app = limited(connection=Limit(rate=2, burst=3))
    client = await wsframe_client(app)
    await passed(client, "text", 3)
    error = await refusal(client, "text")
    assert (error.code, error.retryable, error.retry_after_ms) == ("rate_limited", True, 500)
    assert error.details == {"limit": "connection"}
    assert len(app.seen) == 3  # type: ignore[attr-defined]
    await anyio.sleep(0.499)
    assert (await refusal(client, "text")).code == "rate_limited"
    await anyio.sleep(0.001)
    await passed(client, "text", 1)


async def test_who_comes_back_when_told_is_not_refused_again(
    wsframe_client: Connector, limited: Limited
) -> None:
    app = limited(connection=Limit(rate=20, burst=5))
    client = await wsframe_client(app)
    waits = []

    async def insist() -> None:
        try:
            await client.request("text")
        except RequestError as error:
            wait_ms = error.retry_after_ms or 0
            waits.append(wait_ms)
            await anyio.sleep(wait_ms / 1000)
            await client.request("text")

    async with anyio.create_task_group() as tasks:
        for _ in range(60):
            tasks.start_soon(insist)
    assert sorted(waits) == [50 * number for number in range(1, 56)]


async def test_nobody_is_told_to_wait_for_ever(wsframe_client: Connector, limited: Limited) -> None:
    client = await wsframe_client(limited(connection=Limit(rate=1, burst=1), violations=None))
    await passed(client, "text", 1)
    waits = [(await refusal(client, "text")).retry_after_ms for _ in range(101)]
    assert waits[:3] == [1_000, 2_000, 3_000]
    assert waits[-1] == 101_000
    await anyio.sleep(1)
    await passed(client, "text", 1)  # a promise to one message holds up no other


async def test_types_cost_what_they_are_said_to_cost(
    wsframe_client: Connector, limited: Limited
) -> None:
    app = limited(
        connection=Limit(rate=1, burst=10),
        types={"ask": TypeRule(cost=4), "free": TypeRule(cost=0)},
    )
    client = await wsframe_client(app)
    await passed(client, "ask", 2)
    assert (await refusal(client, "ask")).retry_after_ms == 2_000
    await passed(client, "text", 2)
    assert (await refusal(client, "text")).code == "rate_limited"
    await passed(client, "free", 50)


async def test_a_type_has_a_limit_of_its_own_for_each_sender(
    wsframe_client: Connector, limited: Limited
) -> None:
    app = limited(types={"ask": TypeRule(rate=0.5, burst=2)})
    ann = await wsframe_client(app, identity=ANN, address=ELSEWHERE)
    also_ann = await wsframe_client(app, identity=ANN)
    bob = await wsframe_client(app, identity=Identity(subject="bob"), address=ELSEWHERE)
    await passed(ann, "ask", 1)
    await passed(also_ann, "ask", 1)
    for client in (ann, also_ann):
        error = await refusal(client, "ask")
        assert (error.details, error.retry_after_ms) in (
            ({"limit": "type"}, 2_000),
            ({"limit": "type"}, 4_000),
        )
    await passed(ann, "text", 10)
    await passed(bob, "ask", 2)


async def test_where_nobody_is_known_a_type_is_counted_by_address_or_connection(
    wsframe_client: Connector, limited: Limited
) -> None:
    app = limited(
        types={
            "ask": TypeRule(rate=1, burst=1),
            "free": TypeRule(rate=1, burst=1, per="connection"),
        }
    )
    one = await wsframe_client(app, address=ELSEWHERE)
    two = await wsframe_client(app, address=ELSEWHERE)
    await passed(one, "ask", 1)
    assert (await refusal(two, "ask")).details == {"limit": "type"}
    for client in (one, two):
        await passed(client, "free", 1)
        assert (await refusal(client, "free")).details == {"limit": "type"}
    for _ in range(2):  # loopback is exempt: connections there are counted by themselves
        near = await wsframe_client(app)
        await passed(near, "ask", 1)
        assert (await refusal(near, "ask")).details == {"limit": "type"}


async def test_an_identity_is_counted_over_all_its_connections(
    wsframe_client: Connector, limited: Limited
) -> None:
    app = limited(identity=Limit(rate=1, burst=3))
    ann, also_ann = [await wsframe_client(app, identity=ANN) for _ in range(2)]
    bob = await wsframe_client(app, identity=Identity(subject="bob"))
    await passed(ann, "text", 2)
    await passed(also_ann, "text", 1)
    assert (await refusal(ann, "text")).details == {"limit": "identity"}
    assert (await refusal(also_ann, "text")).details == {"limit": "identity"}
    await passed(bob, "text", 3)
    for _ in range(3):
        anonymous = await wsframe_client(app)
        await passed(anonymous, "text", 2)


async def test_an_identity_that_comes_later_counts_from_then_on(
    wsframe_client: Connector, limited: Limited
) -> None:
    app = limited(identity=Limit(rate=1, burst=2))

    @app.handler("log_in")
    async def log_in(message: Any, connection: Any) -> None:
        connection.identity = ANN

    client = await wsframe_client(app)
    await passed(client, "text", 5)
    await client.request("log_in")
    await passed(client, "text", 2)
    assert (await refusal(client, "text")).details == {"limit": "identity"}


async def test_an_address_is_counted_over_all_its_connections(
    wsframe_client: Connector, limited: Limited
) -> None:
    app = limited(address=Limit(rate=1, burst=3))
    one, two = [await wsframe_client(app, address="2001:db8::1") for _ in range(2)]
    neighbour = await wsframe_client(app, address="2001:db8::ffff:2")
    other = await wsframe_client(app, address="2001:db8:0:1::1")
    for client in (one, two, neighbour):
        await passed(client, "text", 1)
    for client in (one, two, neighbour):
        assert (await refusal(client, "text")).details == {"limit": "address"}
    await passed(other, "text", 3)
    for _ in range(4):
        await passed(await wsframe_client(app), "text", 1)


async def test_a_message_that_one_limit_refuses_takes_nothing_from_the_others(
    wsframe_client: Connector, limited: Limited
) -> None:
    app = limited(connection=Limit(rate=1, burst=5), identity=Limit(rate=0.01, burst=3))
    ann = await wsframe_client(app, identity=ANN)
    await passed(ann, "text", 3)
    for _ in range(10):
        assert (await refusal(ann, "text")).details == {"limit": "identity"}
    app_connection = app.runtime.dispatcher.find(ann.session_id)  # type: ignore[union-attr]
    app_connection.identity = Identity(subject="bob")  # type: ignore[union-attr]
    await passed(ann, "text", 2)
    assert (await refusal(ann, "text")).details == {"limit": "connection"}


async def test_who_does_not_stop_is_closed_with_4429_after_the_answer(
    wsframe_client: Connector, limited: Limited
) -> None:
    app = limited(connection=Limit(rate=1, burst=1), violations=Limit(rate=1, burst=5))
    client = await wsframe_client(app)
    await passed(client, "text", 1)
    for _ in range(6):
        error = await refusal(client, "text")
        assert (error.code, error.retryable) == ("rate_limited", True)
    code, reason = await client.wait_closed()
    assert (code, reason) == (4429, "too many messages, again and again")


async def test_everything_that_was_sent_before_the_close_is_answered(
    wsframe_client: Connector, limited: Limited
) -> None:
    app = limited(connection=Limit(rate=1, burst=1), violations=Limit(rate=1, burst=5))
    client = await wsframe_client(app)
    sent = [client.send("text") for _ in range(20)]
    assert (await client.wait_closed())[0] == 4429
    again = await wsframe_client(
        app,
        init_content={
            "resume": {"sessionId": client.session_id, "secret": client.secret, "seq": 0}
        },
    )
    await again.request("ping")
    answers = again.messages
    # What was not taken any more is not answered: the client knows, and sends it again.
    assert len(answers) >= 7
    assert [each.reply_to for each in answers] == sent[: len(answers)]
    codes = [each.content.get("code") for each in answers]
    assert codes == [None] + ["rate_limited"] * (len(answers) - 1)


async def test_a_client_that_is_refused_now_and_then_stays(
    wsframe_client: Connector, limited: Limited
) -> None:
    app = limited(connection=Limit(rate=1, burst=1), violations=Limit(rate=0.5, burst=2))
    client = await wsframe_client(app)
    for _ in range(50):
        await passed(client, "text", 1)
        assert (await refusal(client, "text")).code == "rate_limited"
        await anyio.sleep(2)
    assert client.closed is None


async def test_violations_need_not_close_anybody(
    wsframe_client: Connector, limited: Limited
) -> None:
    app = limited(connection=Limit(rate=1, burst=1), violations=None)
    client = await wsframe_client(app)
    await passed(client, "text", 1)
    for _ in range(30):
        assert (await refusal(client, "text")).code == "rate_limited"
    assert client.closed is None


async def test_a_session_takes_its_bucket_to_its_next_connection(
    wsframe_client: Connector, limited: Limited
) -> None:
    app = limited(connection=Limit(rate=0.1, burst=3), violations=Limit(rate=0.01, burst=2))
    client = await wsframe_client(app)
    await passed(client, "text", 3)
    resume = {"sessionId": client.session_id, "secret": client.secret, "seq": 3}
    for number in range(3):
        client = await wsframe_client(app, init_content={"resume": resume})
        client.send("text", id=f"new {number}")
        while (answer := await client.receive()).reply_to != f"new {number}":
            pass
        assert answer.content["code"] == "rate_limited"
    assert (await client.wait_closed())[0] == 4429


async def test_a_message_that_the_ledger_answers_again_costs_nothing(
    wsframe_client: Connector, limited: Limited
) -> None:
    app = limited(connection=Limit(rate=0.1, burst=2))
    client = await wsframe_client(app)
    client.send("text", id="one")
    first = await client.receive()
    for _ in range(20):
        client.send("text", id="one")
        assert (await client.receive()).id == first.id
    await passed(client, "text", 1)
    assert len(app.seen) == 2  # type: ignore[attr-defined]
    assert (await refusal(client, "text")).code == "rate_limited"


async def test_a_refused_message_may_come_back_with_its_id_and_is_handled_once(
    wsframe_client: Connector, limited: Limited
) -> None:
    app = limited(connection=Limit(rate=1, burst=1))
    client = await wsframe_client(app)
    await passed(client, "text", 1)
    client.send("text", id="two")
    refused = await client.receive()
    await anyio.sleep(refused.content["retryAfterMs"] / 1000)
    client.send("text", id="two")
    assert (await client.receive()).type == "ack"
    assert len(app.seen) == 2  # type: ignore[attr-defined]


async def test_what_another_gate_refuses_has_cost_too(
    wsframe_client: Connector, limited: Limited
) -> None:
    class Strict:
        @hookimpl(tryfirst=True)
        async def message_received(self, connection: Any, message: Any) -> None:
            raise Refused("forbidden")

    app = limited(Strict(), connection=Limit(rate=1, burst=3))
    client = await wsframe_client(app)
    codes = [(await refusal(client, "text")).code for _ in range(5)]
    assert codes.count("rate_limited") == 2
    assert codes.count("forbidden") == 3


async def test_the_protocols_own_messages_are_not_counted(
    wsframe_client: Connector, limited: Limited
) -> None:
    client = await wsframe_client(limited(connection=Limit(rate=1, burst=1)))
    await passed(client, "text", 1)
    for _ in range(5):
        assert (await client.request("ping")).type == "pong"
        assert (await client.request("cancel", {"id": "x"})).content == {"cancelled": False}


async def test_unknown_types_cost_as_much_as_known_ones(
    wsframe_client: Connector, limited: Limited
) -> None:
    client = await wsframe_client(limited(connection=Limit(rate=1, burst=2)))
    codes = [(await refusal(client, f"nothing{number}")).code for number in range(3)]
    assert codes == ["unknown_type", "unknown_type", "rate_limited"]


async def test_a_forgotten_identity_does_not_begin_anew(
    wsframe_client: Connector, limited: Limited
) -> None:
    app = limited(identity=Limit(rate=0.001, burst=3), max_keys=2)
    ann = await wsframe_client(app, identity=ANN)
    await passed(ann, "text", 3)
    for name in ("bob", "cid", "dan", "eve"):
        other = await wsframe_client(app, identity=Identity(subject=name))
        await passed(other, "text", 3) if name == "bob" else None
        with pytest.raises(RequestError):
            await passed(other, "text", 4)
    assert (await refusal(ann, "text")).details == {"limit": "identity"}


async def test_a_live_connection_whose_bucket_was_forgotten_goes_on_with_another(
    wsframe_client: Connector, limited: Limited
) -> None:
    app = limited(
        identity=Limit(rate=1, burst=3), types={"ask": TypeRule(rate=1, burst=2)}, max_keys=1
    )
    ann = await wsframe_client(app, identity=ANN)
    bob = await wsframe_client(app, identity=Identity(subject="bob"))
    for _ in range(5):
        for client in (ann, bob):
            await passed(client, "ask", 1)
            await anyio.sleep(10)


async def test_nothing_is_kept_of_connections_that_are_gone(
    wsframe_client: Connector, limited: Limited
) -> None:
    app = limited(connection=Limit(rate=1, burst=2), app_settings={"resume_window_s": 0})
    client = await wsframe_client(app)
    await passed(client, "text", 1)
    connection = app.runtime.dispatcher.find(client.session_id)  # type: ignore[union-attr]
    assert KEY in connection.metadata  # type: ignore[union-attr]
    await client.close()
    assert app.runtime.dispatcher.connections == {}  # type: ignore[union-attr]


async def test_what_was_counted_by_the_clock_of_an_earlier_run_is_forgotten(
    wsframe_client: Connector, limited: Limited
) -> None:
    app = limited(identity=Limit(rate=0.001, burst=2))
    for _ in range(3):
        client = await wsframe_client(app, identity=ANN)
        await passed(client, "text", 2)
        assert (await refusal(client, "text")).code == "rate_limited"
        await wsframe_client.stop(app)


async def test_with_every_limit_off_no_hook_is_left(
    wsframe_client: Connector, limited: Limited
) -> None:
    app = limited(connection=None, identity=None, address=None, handshakes=None)
    client = await wsframe_client(app)
    await passed(client, "text", 10)
    hooks = app.runtime.dispatcher.hooks  # type: ignore[union-attr]
    assert not [name for name, _ in hooks.message_received if name == "ratelimit"]
    assert "RatelimitPlugin" not in str(hooks.message_received)
    assert "RatelimitPlugin" not in str(hooks.connection_opening)


async def test_the_defaults_let_a_person_chat_and_stop_a_flood(wsframe_client: Connector) -> None:
    app = App(plugins=[RatelimitPlugin(RatelimitPlugin.Config())])

    @app.handler("text")
    async def text(message: Any, connection: Any) -> None: ...

    client = await wsframe_client(app, address=ELSEWHERE)
    for _ in range(200):
        await passed(client, "text", 1)
        await anyio.sleep(0.1)
    assert client.closed is None
    codes = []
    while len(codes) < 1_000:
        try:
            codes.append((await client.request("text")).type)
        except RequestError as error:
            codes.append(error.code)
        except ConnectionClosed:
            break
    assert (await client.wait_closed())[0] == 4429
    assert codes == ["ack"] * 100 + ["rate_limited"] * 101


@pytest.mark.filterwarnings("default")
async def test_while_the_plugin_fails_no_message_passes_and_each_is_answered(
    wsframe_client: Connector, limited: Limited, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Failing(RatelimitPlugin):
        @hookimpl
        async def message_received(self, connection: Any, message: Any) -> None:
            raise RuntimeError("injected")

    app = limited(plugin_type=Failing)
    client = await wsframe_client(app)
    assert (await refusal(client, "text")).code == "internal"
    assert app.seen == []  # type: ignore[attr-defined]


async def test_a_rate_that_is_no_whole_number_is_kept_exactly(
    wsframe_client: Connector, limited: Limited
) -> None:
    app = limited(connection=Limit(rate=0.3, burst=1), violations=Limit(rate=1e6))
    client = await wsframe_client(app)
    let_through = 0
    for _ in range(200):  # 20 s in steps of a tenth
        try:
            await client.request("text")
            let_through += 1
        except RequestError:
            pass
        await anyio.sleep(0.1)
    assert let_through == math.ceil(20 / 3.4)  # a tenth is the least that a refused one waits
