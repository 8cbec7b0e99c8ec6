"""What Prometheus is told."""

from __future__ import annotations

from typing import Any

import anyio
import pytest
from prometheus_client import Counter
from prometheus_client.openmetrics.parser import (
    text_string_to_metric_families as parse_openmetrics,
)
from wsframe_monitoring import Config, MonitoringPlugin

from wsframe import App, RequestRefused, hookimpl
from wsframe.stores import MemoryStore
from wsframe.testing import RequestError


async def fails(client: Any, type: str, content: Any = None) -> None:
    with pytest.raises(RequestError):
        await client.request(type, content)


async def test_messages_are_counted_by_type_and_outcome_and_timed(
    wsframe_client: Any, watched: Any, scrape: Any
) -> None:
    app = watched()
    client = await wsframe_client(app)
    for _ in range(3):
        await client.request("echo", {})
    await client.request("slow", {"seconds": 2})
    await fails(client, "fail")
    samples = await scrape(app)
    answered = "wsframe_messages_answered_total"
    assert samples[answered + '{outcome="replied",type="echo"}'] == 3
    assert samples[answered + '{outcome="replied",type="init"}'] == 1
    assert samples[answered + '{outcome="failed",type="fail"}'] == 1
    assert samples['wsframe_handler_seconds_bucket{le="1.0",type="slow"}'] == 0
    assert samples['wsframe_handler_seconds_bucket{le="2.5",type="slow"}'] == 1
    assert samples['wsframe_handler_seconds_sum{type="slow"}'] == 2
    assert samples['wsframe_handler_seconds_count{type="echo"}'] == 3
    assert samples['wsframe_errors_sent_total{code="app.wrong"}'] == 1
    assert samples["wsframe_messages_received_total"] == 6
    assert samples["wsframe_messages_accepted_total"] == 6


async def test_strangers_cannot_make_up_types(
    wsframe_client: Any, watched: Any, scrape: Any
) -> None:
    app = watched()
    client = await wsframe_client(app)
    for number in range(50):
        await fails(client, f"made_up_{number}")
    samples = await scrape(app)
    assert samples['wsframe_messages_answered_total{outcome="failed",type="(unknown)"}'] == 50
    assert not [name for name in samples if "made_up" in name]


async def test_types_and_codes_beyond_the_limit_share_their_numbers(
    wsframe_client: Any, watched: Any, scrape: Any
) -> None:
    app = watched(max_types=3)
    for number in range(10):
        app.add_handler(f"type_{number}", _nothing)
    client = await wsframe_client(app)
    for number in range(10):
        await client.request(f"type_{number}")
        await fails(client, "fail", {"code": f"app.code_{number}"})
    await client.request("type_0")
    samples = await scrape(app)
    answered = 'wsframe_messages_answered_total{outcome="%s",type="%s"}'
    assert samples[answered % ("replied", "type_0")] == 2
    assert samples[answered % ("replied", "(other)")] == 9
    types = {name.rpartition("type=")[2] for name in samples if "answered" in name}
    assert types == {'"init"}', '"type_0"}', '"fail"}', '"(other)"}'}
    codes = {name: n for name, n in samples.items() if name.startswith("wsframe_errors_sent")}
    assert codes == {
        'wsframe_errors_sent_total{code="app.code_0"}': 1,
        'wsframe_errors_sent_total{code="app.code_1"}': 1,
        'wsframe_errors_sent_total{code="app.code_2"}': 1,
        'wsframe_errors_sent_total{code="(other)"}': 7,
    }


async def _nothing(message: Any, connection: Any) -> None:
    pass


async def test_connections_and_sessions_are_counted(
    wsframe_client: Any, watched: Any, scrape: Any
) -> None:
    app = watched(server={"max_connections": 4})
    stays, finishes, drops, strange, stranger = [await wsframe_client(app) for _ in range(4)] + [
        None
    ]
    with pytest.raises(RequestRefused):
        await wsframe_client(app)
    assert stranger is None
    await finishes.close()
    await drops.drop()
    await strange.close(3123)
    samples = await scrape(app)
    assert stays is not None
    assert samples["wsframe_connections"] == 1
    assert samples["wsframe_connections_limit"] == 4
    assert samples["wsframe_connections_opened_total"] == 4
    assert samples['wsframe_connections_closed_total{code="1000"}'] == 1
    assert samples['wsframe_connections_closed_total{code="1006"}'] == 1
    assert samples['wsframe_connections_closed_total{code="(other)"}'] == 1
    assert samples['wsframe_handshakes_refused_total{status="503"}'] == 1
    assert samples['wsframe_sessions{state="attached"}'] == 1
    assert samples['wsframe_sessions{state="detached"}'] == 2
    assert samples['wsframe_http_request_seconds_count{status="101"}'] == 4
    assert samples['wsframe_http_request_seconds_count{status="503"}'] == 1


async def test_what_waits_is_told(wsframe_client: Any, watched: Any, scrape: Any) -> None:
    app = watched(server={"outbox_messages": 16})
    busy, leaves = await wsframe_client(app), await wsframe_client(app)
    busy.send("slow", {"seconds": 5})
    busy.send("slow", {"seconds": 5})
    await leaves.drop()
    for _ in range(8):
        await app.broadcast({"type": "news", "content": {}})
    await anyio.sleep(1)
    samples = await scrape(app)
    assert samples["wsframe_messages_in_flight"] == 2
    assert samples["wsframe_messages_queued"] == 1
    assert samples["wsframe_outbox_unwritten_messages"] == 8
    assert samples["wsframe_outboxes_crowded"] == 1
    assert samples["wsframe_outbox_messages"] >= 8
    assert samples["wsframe_outbox_bytes"] > 400
    assert samples["wsframe_messages_pushed_total"] == 16
    assert samples["wsframe_received_bytes_total"] > 300
    assert samples["wsframe_sent_bytes_total"] > 300


async def test_plugins_are_timed_and_their_failures_counted(
    wsframe_client: Any, watched: Any, scrape: Any
) -> None:
    class Clumsy:
        @hookimpl
        async def connection_opened(self, connection: Any) -> None:
            await anyio.sleep(0)
            raise RuntimeError("injected")

    app = watched(Clumsy)
    await wsframe_client(app)
    samples = await scrape(app)
    labels = '{hook="connection_opened",plugin="clumsy"}'
    assert samples["wsframe_hook_seconds_count" + labels] == 1
    assert samples["wsframe_hook_seconds_sum" + labels] > 0
    assert samples["wsframe_plugin_failures_total" + labels] == 1


async def test_hooks_are_not_timed_where_nobody_wants_it(
    wsframe_client: Any, watched: Any, scrape: Any
) -> None:
    app = watched(hooks=False)
    await wsframe_client(app)
    assert not [name for name in await scrape(app) if name.startswith("wsframe_hook_seconds")]


class SlowStore(MemoryStore):
    def __init__(self) -> None:
        super().__init__(survives=True)

    async def commit(self, changes: Any) -> Any:
        await anyio.sleep(2)
        return await super().commit(changes)


async def test_the_store_is_timed(wsframe_client: Any, watched: Any, scrape: Any) -> None:
    class Stored:
        @hookimpl
        def make_store(self, url: str) -> Any:
            return SlowStore() if url == "slow:" else None

    app = watched(Stored, server={"store": "slow:"})
    await wsframe_client(app)
    await anyio.sleep(1)
    assert (await scrape(app))["wsframe_store_waiting_changes"] >= 1
    await anyio.sleep(9)
    samples = await scrape(app)
    assert samples['wsframe_store_seconds_sum{operation="commit"}'] == 2
    assert samples["wsframe_store_healthy"] == 1
    assert samples["wsframe_store_failures_total"] == 0
    assert samples["wsframe_store_waiting_changes"] == 0


async def test_both_formats_are_spoken(wsframe_client: Any, watched: Any, get: Any) -> None:
    app = watched()
    client = await wsframe_client(app)
    await client.request("echo")
    text = await get(app)
    assert text.content_type == "text/plain; version=0.0.4; charset=utf-8"
    opened = await get(app, accept="application/openmetrics-text;version=1.0.0;q=0.5,*/*;q=0.1")
    assert opened.content_type.startswith("application/openmetrics-text; version=1.0.0")
    names = {family.name for family in parse_openmetrics(opened.body.decode())}
    assert {"wsframe_messages_answered", "wsframe_handler_seconds", "wsframe_build"} <= names
    odd = await get(app, accept="application/openmetrics-text;version=ä;escaping=x".encode().hex())
    assert odd.status == 200


async def test_each_application_has_numbers_of_its_own(
    wsframe_client: Any, watched: Any, scrape: Any
) -> None:
    one, other = watched(), watched()
    client = await wsframe_client(one)
    await wsframe_client(other)
    await client.request("echo")
    name = 'wsframe_messages_answered_total{outcome="replied",type="echo"}'
    assert (await scrape(one))[name] == 1
    assert name not in await scrape(other)


async def test_an_application_that_is_started_again_counts_from_zero(
    wsframe_client: Any, watched: Any, scrape: Any
) -> None:
    app = watched()
    for _ in range(2):
        client = await wsframe_client(app)
        await client.request("echo")
        samples = await scrape(app)
        assert samples['wsframe_messages_answered_total{outcome="replied",type="echo"}'] == 1
        await client.close()
        await wsframe_client.stop(app)


async def test_an_application_adds_numbers_of_its_own(wsframe_client: Any, scrape: Any) -> None:
    plugin = MonitoringPlugin(Config())
    app = App(plugins=[plugin])
    orders = Counter("shop_orders", "Orders so far.", registry=plugin.registry)
    orders.inc(3)
    await wsframe_client(app)
    samples = await scrape(app)
    assert samples["shop_orders_total"] == 3
    assert samples["python_gc_collections_total" + '{generation="2"}'] >= 0


async def test_nothing_is_told_of_a_server_that_does_not_run(
    wsframe_client: Any, watched: Any
) -> None:
    app = watched()
    await wsframe_client(app)
    await wsframe_client.stop(app)
    (plugin,) = app.plugins
    names = {family.name for family in plugin.registry.collect()}
    assert names == {"wsframe_build", "wsframe_ready"}
