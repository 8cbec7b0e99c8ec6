"""Applications that are watched, and what Prometheus would be told of them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import pytest
from prometheus_client.parser import text_string_to_metric_families
from wsframe_monitoring import Config, MonitoringPlugin

from wsframe import App, HandlerError, Request, Response
from wsframe.testing import virtual_time


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, Any]]:
    return request.param, virtual_time(request.param)


@pytest.fixture
def watched() -> Callable[..., App]:
    """Makes an application with the plugin, and three handlers."""

    def watched(*plugins: Any, server: dict[str, Any] | None = None, **settings: Any) -> App:
        settings = {"process": False, **settings}
        only = ("monitoring", *(each.__name__.lower() for each in plugins))
        app = App(
            plugins=[MonitoringPlugin(Config(**settings)), *plugins],
            **{"plugins.only": only, **(server or {})},
        )

        @app.handler("echo")
        async def echo(message: Any, connection: Any) -> Any:
            return message.content

        @app.handler("slow")
        async def slow(message: Any, connection: Any) -> None:
            await anyio.sleep(message.content["seconds"])

        @app.handler("fail")
        async def fail(message: Any, connection: Any) -> None:
            raise HandlerError(message.content.get("code", "app.wrong"), "It is wrong.")

        return app

    return watched


def asked(path: str = "/metrics", *, address: str = "127.0.0.1", **headers: str) -> Request:
    named = [(name.replace("_", "-"), value) for name, value in headers.items()]
    return Request("GET", path, [("host", "a"), *named], address=address)


@pytest.fixture
def get() -> Callable[..., Awaitable[Response]]:
    """Asks a running application in plain HTTP."""

    async def get(app: App, *arguments: Any, **options: Any) -> Response:
        assert app.runtime is not None
        return await app.runtime.doorway.respond(asked(*arguments, **options))

    return get


@pytest.fixture
def scrape(get: Any) -> Callable[[App], Awaitable[dict[str, float]]]:
    """What Prometheus reads: each sample by its name and labels, as it is written."""

    async def scrape(app: App) -> dict[str, float]:
        response = await get(app)
        assert response.status == 200
        samples: dict[str, float] = {}
        for family in text_string_to_metric_families(response.body.decode()):
            for sample in family.samples:
                labels = ",".join(f'{k}="{v}"' for k, v in sorted(sample.labels.items()))
                samples[f"{sample.name}{{{labels}}}" if labels else sample.name] = sample.value
        return samples

    return scrape
