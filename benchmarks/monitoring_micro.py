"""What counting costs a message: ``python -m benchmarks.monitoring_micro``.

The chat application runs without sockets (see message_micro), once without plugins and once with
wsframe-monitoring as it is when nothing is set. Microseconds of CPU for one message, and for one
answer to Prometheus; the least of several interleaved rounds. Compare runs of one machine only.
"""

from __future__ import annotations

import argparse
import platform
import time
from typing import Any

import uvloop
from wsframe_monitoring import Config, MonitoringPlugin

from wsframe import App, Connection, Message, Request
from wsframe.server.lifecycle import Host
from wsframe.testing.connector import MemoryServer

from .apps.chat import Text
from .message_micro import Bench

ROUNDS = 3
SCRAPES = 20
SESSIONS = 1_000


def make(*, monitored: bool) -> App:
    plugins = [MonitoringPlugin(Config())] if monitored else []
    only = ("monitoring",) if monitored else ()
    app = App(plugins=plugins, max_connections=20_000, **{"plugins.only": only})

    @app.handler("text")
    async def echo(message: Message[Text], _connection: Connection) -> dict[str, Any]:
        return {"text": f"Echo: {message.content.text}"}

    return app


async def a_message(depth: int, *, monitored: bool) -> float:
    app = make(monitored=monitored)
    host = Host(MemoryServer(app))
    await host.start()
    assert app.runtime is not None
    took = await Bench(app.runtime.node).chat(depth)
    await host.stop()
    return took


async def a_scrape() -> float:
    app = make(monitored=True)
    host = Host(MemoryServer(app))
    await host.start()
    assert app.runtime is not None
    await Bench(app.runtime.node).links(SESSIONS)
    asked = Request("GET", "/metrics", [("host", "a")], address="127.0.0.1")
    least = float("inf")
    for _ in range(SCRAPES):
        began = time.process_time()
        response = await app.runtime.doorway.respond(asked)
        least = min(least, time.process_time() - began)
        assert response.status == 200
    await host.stop()
    return least


async def measure() -> dict[str, float]:
    found: dict[str, float] = {}
    for _ in range(ROUNDS):
        for depth in (1, 8):
            for monitored in (False, True):
                name = f"chat, d{depth}, {'with' if monitored else 'without'}"
                took = await a_message(depth, monitored=monitored)
                found[name] = min(found.get(name, took), took)
    found[f"scrape, {SESSIONS} sessions"] = await a_scrape()
    return found


def main() -> None:
    argparse.ArgumentParser(description=__doc__).parse_args()
    print(f"{platform.python_implementation()} {platform.python_version()}")
    for name, took in uvloop.run(measure()).items():
        print(f"{name:28} {took * 1e6:10.2f} µs")


if __name__ == "__main__":
    main()
