"""What counting a message costs: ``python -m benchmarks.ratelimit_micro``.

The hook of wsframe-ratelimit is called as the gate calls it, for an authenticated sender with an
address, so that every limit counts. Microseconds of CPU for one message (the least of several
rounds). Compare runs of one machine only.
"""

from __future__ import annotations

import argparse
import asyncio
import platform
import time
from typing import Any

from wsframe_ratelimit import Config, Limit, RatelimitPlugin, TypeRule

from wsframe import Identity, Message, Request
from wsframe.hooks.table import HookTable

CALLS = 2_000
ROUNDS = 50


class Session:
    identity = Identity(subject="ann")


class Connection:
    """What the plugin uses of a connection, reached as in a real one."""

    def __init__(self) -> None:
        self.id = "c1"
        self.request = Request("GET", "/ws", address="198.51.100.7")
        self.session = Session()
        self._metadata: dict[str, Any] | None = {}

    @property
    def identity(self) -> Identity:
        return self.session.identity

    @property
    def metadata(self) -> dict[str, Any]:
        if self._metadata is None:
            self._metadata = {}
        return self._metadata


class App:
    store = None


async def measure(message_type: str) -> float:
    plenty = Limit(rate=1e6, burst=10**9)
    plugin = RatelimitPlugin(
        Config(
            connection=plenty,
            identity=plenty,
            address=plenty,
            types={"ask": TypeRule(cost=10, rate=500_000.5, burst=10**9)},
        )
    )
    await plugin.started(App())  # type: ignore[arg-type]
    table = HookTable({"message_received": [("ratelimit", plugin.message_received)]})
    implementations, gate = table.message_received, table.gate
    connection, message = Connection(), Message(type=message_type)
    least = float("inf")
    for _ in range(ROUNDS):
        begun = time.process_time()
        for _ in range(CALLS):
            await gate(implementations, connection, message)
        least = min(least, time.process_time() - begun)
    return least / CALLS * 1e6


def main() -> None:
    argparse.ArgumentParser(description=__doc__).parse_args()
    print(f"{platform.python_implementation()} {platform.python_version()}")
    for message_type in ("text", "ask"):
        print(f"{message_type:<6} {asyncio.run(measure(message_type)):6.2f} µs a message")


if __name__ == "__main__":
    main()
