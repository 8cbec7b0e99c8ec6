"""What checking a message costs: ``python -m benchmarks.validation_micro``.

The hook of wsframe-validation is called with a valid chat message, with each engine. Microseconds
of CPU for one call (the least of several rounds). Compare runs of one machine only.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import platform
import tempfile
import time
from pathlib import Path

from wsframe_validation import ValidationPlugin

from wsframe import App, Message

SCHEMA = {
    "type": "object",
    "properties": {
        "text": {"type": "string", "minLength": 1, "maxLength": 4000},
        "room": {"type": "string", "pattern": "^[a-z0-9-]{1,64}$"},
    },
    "required": ["text"],
    "additionalProperties": False,
}
CONTENT = {"text": "Hello, how are you today?", "room": "general"}
CALLS = 2_000
ROUNDS = 30


async def measure(folder: str, engine: str) -> float:
    plugin = ValidationPlugin(ValidationPlugin.Config(folders=(folder,), engine=engine))  # type: ignore[arg-type]
    await plugin.started(App(plugins=[plugin]))
    check = plugin.message_received
    message = Message(type="text", content=CONTENT)
    least = float("inf")
    for _ in range(ROUNDS):
        begun = time.process_time()
        for _ in range(CALLS):
            await check(message)
        least = min(least, time.process_time() - begun)
    return least / CALLS * 1e6


def main() -> None:
    argparse.ArgumentParser(description=__doc__).parse_args()
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "text.schema.json").write_text(json.dumps(SCHEMA), encoding="utf-8")
        print(f"{platform.python_implementation()} {platform.python_version()}")
        for engine in ("jsonschema-rs", "jsonschema"):
            print(f"{engine:<14} {asyncio.run(measure(folder, engine)):8.2f} µs a message")


if __name__ == "__main__":
    main()
