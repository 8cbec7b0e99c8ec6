"""Measures: starts one server after the other, puts load on it, takes the median of the rounds."""

from __future__ import annotations

import importlib.util
import os
import resource
import statistics
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from benchmarks import generator
from benchmarks.servers import CannotRun, Server, running
from benchmarks.workloads import Kind, Workload, arguments

FIRST_CONNECTIONS = 200
"""Made and closed before connections are counted, so that what the first one loads is not."""


class Sample(NamedTuple):
    """One measurement: the figure compared, and the latency."""

    figure: float
    """Server CPU in µs per message, delivery or handshake; or bytes per idle connection."""
    p99_ms: float
    """99th percentile of the latency in milliseconds; 0 where there is none."""


class Cores(NamedTuple):
    """Where the server and the load run; None: wherever the system puts them."""

    server: int | None
    load: int | None


def allow_many_sockets() -> None:
    """Lifts the limit on open files as far as it goes; servers and load inherit it."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def masker_installed() -> bool:
    """Is the compiled masker there that the extra ``fast`` installs?"""
    try:
        return importlib.util.find_spec("websockets.speedups") is not None
    except ModuleNotFoundError:
        return False


def choose_cores() -> Cores:
    """The first two cores this process may use; none when it has only one."""
    if not hasattr(os, "sched_getaffinity"):
        return Cores(None, None)
    available = sorted(os.sched_getaffinity(0))
    return Cores(available[0], available[1]) if len(available) > 1 else Cores(None, None)


@dataclass
class Results:
    """The samples of a run, and why something could not be measured."""

    samples: dict[tuple[str, str], list[Sample]] = field(default_factory=dict)
    problems: dict[tuple[str, str], str] = field(default_factory=dict)
    busy: list[float] = field(default_factory=list)
    """What other processes and the host took of the machine meanwhile, in cores."""

    def figure(self, workload: Workload, server: Server) -> float | None:
        found = self.samples.get((workload.name, server.name))
        return statistics.median(sample.figure for sample in found) if found else None

    def p99_ms(self, workload: Workload, server: Server) -> float | None:
        found = self.samples.get((workload.name, server.name))
        return statistics.median(sample.p99_ms for sample in found) if found else None


def sample(workload: Workload, result: dict[str, Any]) -> Sample:
    """The figures of one output of the load generator."""
    if workload.kind is Kind.MEMORY:
        if workload.deflate and not result["deflated"]:
            raise generator.LoadFailed("the server did not accept permessage-deflate")
        return Sample(result["rss_per_conn"], 0.0)
    return Sample(result["cpu"]["server_us_each"], result["lat_us"]["p99"] / 1e3)


def measure(
    load: tuple[str, ...], workload: Workload, server: Server, cores: Cores, seconds: float
) -> tuple[Sample, float]:
    """One sample, and the cores that were busy with something else meanwhile."""
    with running(server, cores.server) as (port, pid):
        if workload.kind in (Kind.CONNECT, Kind.MEMORY):
            first = ("connect", "-c", str(FIRST_CONNECTIONS), "-p", str(port))
            generator.run(load, (*first, "--path", server.chat_path), cores.load)
        result = generator.run(load, arguments(workload, server, port, pid, seconds), cores.load)
    cpu = result["cpu"]
    return sample(workload, result), cpu.get("other", 0.0) + cpu.get("steal", 0.0)


def run(
    plan: Sequence[tuple[Workload, Sequence[Server]]],
    *,
    load: tuple[str, ...],
    cores: Cores,
    rounds: int,
    seconds: float,
) -> Results:
    """Measures every server with every workload, ``rounds`` times, the servers interleaved."""
    results = Results()
    for workload, servers in plan:
        for number in range(1, rounds + 1):
            for server in servers:
                key = (workload.name, server.name)
                if key in results.problems:
                    continue
                progress(f"{workload.name}, round {number} of {rounds}: {server.name}")
                try:
                    found, busy = measure(load, workload, server, cores, seconds)
                except (CannotRun, generator.LoadFailed) as problem:
                    results.problems[key] = str(problem)
                    results.samples.pop(key, None)
                    continue
                results.samples.setdefault(key, []).append(found)
                results.busy.append(busy)
    progress("")
    return results


def progress(text: str) -> None:
    """Shows what is being measured, where somebody looks on."""
    if sys.stderr.isatty():
        print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)
