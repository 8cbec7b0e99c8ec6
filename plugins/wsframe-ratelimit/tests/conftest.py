"""Applications behind the plugin, in virtual time on asyncio and trio."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from wsframe_ratelimit import Config, Limit, RatelimitPlugin

from wsframe import App
from wsframe.testing import virtual_time

PLENTY = Limit(rate=1e6)
ELSEWHERE = "198.51.100.7"


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, Any]]:
    return request.param, virtual_time(request.param)


@pytest.fixture
def limited() -> Callable[..., App]:
    """Makes an application behind limits; those that a test does not name let everything pass."""

    def limited(
        *plugins: Any, app_settings: Any = None, plugin_type: Any = RatelimitPlugin, **changes: Any
    ) -> App:
        wide = {"connection": PLENTY, "identity": PLENTY, "address": PLENTY, "handshakes": PLENTY}
        plugin = plugin_type(Config(**{**wide, **changes}))
        app = App(plugins=[plugin, *plugins], **(app_settings or {}))
        app.seen = []  # type: ignore[attr-defined]

        async def count(message: Any, _: Any) -> None:
            app.seen.append(message.content)  # type: ignore[attr-defined]

        for name in ("text", "ask", "free"):
            app.add_handler(name, count)
        return app

    return limited
