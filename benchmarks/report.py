"""Prints what a run found: a table of figures, the bars, and a line for the history."""

from __future__ import annotations

import datetime as dt
import os
import platform
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from benchmarks.measure import Results
from benchmarks.servers import ROOT, Server
from benchmarks.workloads import (
    BARS,
    ECHO_4K,
    ECHO_4K_LIMIT_WITHOUT_MASKER,
    LATENCY_LIMIT,
    Bar,
    Workload,
    subject,
)

HISTORY = ROOT / "benchmarks" / "history.md"


class Verdict(NamedTuple):
    """A bar, and how wsframe stands to it."""

    bar: Bar
    limit: float
    ratio: float
    p99_ratio: float | None

    @property
    def passed(self) -> bool:
        return self.ratio <= self.limit

    @property
    def latency_passed(self) -> bool:
        """Is the latency no worse than the peer's? Only the core's is judged."""
        return self.judged is None or self.judged <= LATENCY_LIMIT

    @property
    def judged(self) -> float | None:
        """The ratio of latencies, where there is a bar for it."""
        return None if self.bar.workload.checked else self.p99_ratio


def limit_of(bar: Bar, has_masker: bool) -> float:
    if bar.workload is ECHO_4K and not has_masker:
        return ECHO_4K_LIMIT_WITHOUT_MASKER
    return bar.limit


def verdicts(results: Results, workloads: Sequence[Workload], has_masker: bool) -> list[Verdict]:
    """How wsframe stands to each bar of ``workloads`` that could be measured."""
    found = []
    for bar in BARS:
        if bar.workload not in workloads:
            continue
        ours = results.figure(bar.workload, subject(bar.workload))
        theirs = results.figure(bar.workload, bar.peer)
        if ours is None or not theirs:
            continue
        p99_ratio = None
        if bar.workload.has_latency:
            our_p99 = results.p99_ms(bar.workload, subject(bar.workload))
            their_p99 = results.p99_ms(bar.workload, bar.peer)
            p99_ratio = our_p99 / their_p99 if our_p99 and their_p99 else None
        found.append(Verdict(bar, limit_of(bar, has_masker), ours / theirs, p99_ratio))
    return found


def interpreter() -> str:
    return f"{platform.python_implementation()} {platform.python_version()}"


def commit() -> str:
    """The short name of the commit, with ``+`` when files of the server differ from it."""
    git = ("git", "-C", str(ROOT))
    name = subprocess.run(
        (*git, "rev-parse", "--short", "HEAD"), capture_output=True, text=True, check=False
    )
    if name.returncode:
        return "unknown"
    changed = subprocess.run((*git, "diff", "--quiet", "HEAD", "--", "wsframe"), check=False)
    return name.stdout.strip() + ("+" if changed.returncode else "")


def print_head(load: tuple[str, ...], versions: dict[str, str], has_masker: bool) -> None:
    generator = "wsload" if Path(load[0]).name == "wsload" else "the bundled generator (Python)"
    print(f"{interpreter()} ({sys.executable}), {os.cpu_count()} cores, load by {generator}")
    for name, version in versions.items():
        print(f"  {name}: {version}")
    print(f"  compiled masker: {'installed' if has_masker else 'not installed'}")


def print_table(results: Results, plan: Sequence[tuple[Workload, Sequence[Server]]]) -> None:
    """Server CPU per message (µs), or bytes per idle connection, and p99 latency (ms)."""
    print("\nServer CPU per message, delivery or handshake in µs (memory: bytes per connection),")
    print("and the 99th percentile of the latency in ms; medians.\n")
    for workload, servers in plan:
        print(workload.name)
        for server in servers:
            problem = results.problems.get((workload.name, server.name))
            figure = results.figure(workload, server)
            if problem is not None or figure is None:
                print(f"  {server.name:12}        –   {problem or 'not measured'}")
                continue
            line = (
                f"  {server.name:12} {figure:8,.0f}"
                if workload.unit == "bytes"
                else (f"  {server.name:12} {figure:8.1f}")
            )
            if workload.has_latency:
                line += f"   p99 {results.p99_ms(workload, server):7.2f}"
            print(line)


def print_bars(found: Sequence[Verdict]) -> None:
    """The bars, each with its ratio and whether it is cleared."""
    print(f"\n{'bar':22} {'peer':11} {'ratio':>6} {'limit':>6}        {'p99 ratio':>9}")
    for verdict in found:
        name, peer = verdict.bar.workload.name, verdict.bar.peer.name
        line = f"{name:22} {peer:11} {verdict.ratio:6.2f} {verdict.limit:6.2f}  "
        line += "pass" if verdict.passed else "FAIL"
        if verdict.p99_ratio is not None:
            line += f"  {verdict.p99_ratio:9.2f}"
        if verdict.judged is not None:
            line += "  pass" if verdict.latency_passed else "  FAIL"
        print(line)


def append_history(found: Sequence[Verdict], note: str) -> None:
    """Adds a section with the ratios of this run to ``benchmarks/history.md``."""
    today = dt.datetime.now(dt.UTC).date().isoformat()
    lines = [f"\n## {today}, {commit()}, {interpreter()}\n"]
    if note:
        lines.append(f"{note}\n")
    lines += ["| bar | peer | ratio | limit | p99 ratio |", "|---|---|---:|---:|---:|"]
    for verdict in found:
        p99 = "" if verdict.p99_ratio is None else f"{verdict.p99_ratio:.2f}"
        lines.append(
            f"| {verdict.bar.workload.name} | {verdict.bar.peer.name} "
            f"| {verdict.ratio:.2f} | {verdict.limit:.2f} | {p99} |"
        )
    with HISTORY.open("a") as history:
        history.write("\n".join(lines) + "\n")
