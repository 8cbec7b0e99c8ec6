"""A server with a socket, and Prometheus' own parser on what it answers."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families
from wsframe_monitoring import Config, MonitoringPlugin

from wsframe import App
from wsframe.client import Client


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio", "trio"])
async def test_a_running_server_is_scraped(anyio_backend: str) -> None:
    app = App(plugins=[MonitoringPlugin(Config(process=True))], port=0)

    @app.handler("echo")
    async def echo(message: Any, connection: Any) -> Any:
        return message.content

    address = await app.start()
    base = address.replace("ws://", "http://").removesuffix("/ws")
    try:
        async with Client(address) as client, httpx.AsyncClient(base_url=base, timeout=60) as http:
            for _ in range(5):
                await client.request("echo", {"text": "Hi"})
            answer = await http.get("/metrics")
            refused = await http.get("/metrics", headers={"X-Forwarded-For": "127.0.0.1"})
    finally:
        await app.stop()
    assert refused.status_code == 403
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    families = {each.name: each for each in text_string_to_metric_families(answer.text)}
    found = {
        (sample.labels["type"], sample.labels["outcome"]): sample.value
        for sample in families["wsframe_messages_answered"].samples
    }
    assert found == {("init", "replied"): 1, ("echo", "replied"): 5}
    assert all(family.documentation for family in families.values())
    assert families["wsframe_received_bytes"].samples[0].value > 0
    (opened,) = (
        each for each in families["wsframe_connections"].samples if not each.labels
    )  # fmt: skip
    assert opened.value == 1
