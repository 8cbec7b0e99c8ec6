"""What tracing adds to a message: ``python -m benchmarks.otel_micro``.

The chat application of ``message_micro`` runs without the plugin, with one that has no provider,
with one whose sampler says no, and with one that records everything into nothing. Microseconds of
CPU for one message (the least of several rounds). Compare runs of one machine only.
"""

from __future__ import annotations

import argparse
import platform
from typing import Any

import uvloop
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_ON, ParentBased, TraceIdRatioBased
from wsframe_otel import Config, OtelPlugin

from benchmarks import message_micro
from benchmarks.apps.chat import echo
from wsframe import App

CASES: dict[str, Any] = {
    "without the plugin": None,
    "no provider": OtelPlugin(Config()),
    "not sampled": OtelPlugin(
        Config(), tracer_provider=TracerProvider(sampler=ParentBased(TraceIdRatioBased(0.0)))
    ),
    "recorded": OtelPlugin(Config(), tracer_provider=TracerProvider(sampler=ALWAYS_ON)),
}


def main() -> None:
    argparse.ArgumentParser(description=__doc__).parse_args()
    message_micro.ROUNDS = 60
    print(f"{platform.python_implementation()} {platform.python_version()}")
    for name, plugin in CASES.items():
        plugins = [] if plugin is None else [plugin]
        app = App(plugins=plugins, max_connections=20_000, **{"plugins.only": ["otel"]})
        app.add_handler("text", echo)
        message_micro.app = app
        for case, took in uvloop.run(message_micro.measure("chat")).items():
            print(f"{name:20} {case:10} {took:8.2f} µs")


if __name__ == "__main__":
    main()
