"""Applications behind the plugin, and tokens for them."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import jwt
import pytest
from wsframe_auth import AuthPlugin, Config

from wsframe import App
from wsframe.testing import virtual_time

SECRET = "a secret of at least thirty-two bytes"
NOW = int(time.time()) + 0.1


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, Any]]:
    return request.param, virtual_time(request.param)


@pytest.fixture(autouse=True)
def wall_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """The wall clock stands still, as virtual time does, however long the machine is busy.

    The plugin looks at it once, when it starts; from then on its time is that of the event loop.
    """
    monkeypatch.setattr(time, "time", lambda: NOW)


@pytest.fixture
def secret() -> str:
    return SECRET


@pytest.fixture
def mint() -> Callable[..., str]:
    """Makes a token that counts for an hour; a change to ``...`` takes a claim away.

    It was made a minute ago.
    """

    def mint(*, key: str = SECRET, **changes: Any) -> str:
        now = int(time.time())
        claims = {"sub": "ann", "iat": now - 60, "exp": now + 3600, **changes}
        kept = {name: value for name, value in claims.items() if value is not ...}
        return jwt.encode(kept, key, algorithm="HS256")

    return mint


@pytest.fixture
def guarded() -> Callable[..., App]:
    """Makes an application with the handler ``echo`` behind the plugin."""

    def guarded(plugin_type: type[AuthPlugin] = AuthPlugin, **settings: Any) -> App:
        config = Config(**{"secret": SECRET, "algorithms": ("HS256",), **settings})
        app = App(plugins=[plugin_type(config)])

        @app.handler("echo")
        async def echo(message: Any, connection: Any) -> Any:
            identity = connection.identity
            return {"subject": identity.subject, "scopes": sorted(identity.scopes)}

        @app.handler("join_myself")
        async def join_myself(message: Any, connection: Any) -> None:
            await connection.join("lobby")

        app.rooms.open_to_clients("lobby")
        return app

    return guarded
