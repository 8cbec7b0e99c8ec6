"""The application of :mod:`benchmarks.apps.chat` behind the plugins that an operator would install.

Tokens, JSON Schemas, rate limits and monitoring are all on; the limits are so high that the load
stays below them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from wsframe_auth import AuthPlugin
from wsframe_auth import Config as AuthConfig
from wsframe_monitoring import Config as MonitoringConfig
from wsframe_monitoring import MonitoringPlugin
from wsframe_ratelimit import Config as RateConfig
from wsframe_ratelimit import Limit, RatelimitPlugin
from wsframe_validation import ValidationPlugin

from benchmarks.peers.options import address
from benchmarks.servers import TOKEN_SECRET
from wsframe import App, Connection, Message

MUCH = Limit(rate=500_000, burst=500_000)

app = App(
    max_connections=20_000,
    plugins=[
        AuthPlugin(AuthConfig(secret=TOKEN_SECRET, algorithms=("HS256",))),
        ValidationPlugin(
            ValidationPlugin.Config(folders=(str(Path(__file__).with_name("schemas")),))
        ),
        RatelimitPlugin(
            RateConfig(connection=MUCH, identity=MUCH, address=MUCH, exempt_addresses=())
        ),
        MonitoringPlugin(MonitoringConfig()),
    ],
    **{"plugins.only": ("auth", "validation", "ratelimit", "monitoring")},
)


@app.handler("text")
async def echo(message: Message[Any], _connection: Connection) -> dict[str, Any]:
    return {"text": f"Echo: {message.content['text']}"}


if __name__ == "__main__":
    host, port = address(__doc__)
    app.run(host=host, port=port)
