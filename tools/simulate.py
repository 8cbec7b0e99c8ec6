"""Simulate clients, a network and servers that die, in virtual time; was the promise kept?

    python -m tools.simulate --seeds 0-9999             ten thousand runs
    python -m tools.simulate --seeds 0-999 --jobs 2     in two processes
    python -m tools.simulate --seeds 0-9999 --summary sums.jsonl    goes on where it was interrupted
    python -m tools.simulate --seed 4711 --log          one run, and all that happened in it

Each run comes from its seed, so that one that fails can be run again. Ends with exit code 1 when
something is not as it should be; the first run that fails is the last one, unless told otherwise.
"""

from __future__ import annotations

import argparse
import gc
import json
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

from tests.simulation.run import REQUESTS, Report, simulate

PROGRESS_EVERY_S = 15.0
CHUNK = 100
"""Seeds that one line of a summary stands for, at most."""
NO_ANSWER = ("session_lost", "gap", "interrupted", "draining")
"""What a client is told where the promise could not be kept."""
NOT_WANTED = ("abandoned", "left", "sent")
"""Outcomes for which nobody has waited."""


class Totals:
    """Sums over many runs."""

    def __init__(self) -> None:
        self.seeds = 0
        self.failed: list[int] = []
        self.sums: Counter[str] = Counter()
        self.outcomes: Counter[str] = Counter()
        self.virtual_s = 0.0

    def add(self, report: Report) -> None:
        """Take one run in."""
        self.seeds += 1
        self.virtual_s += report.virtual_s
        self.outcomes.update(report.outcomes)
        for name in (
            "asked", "lost", "connections", "cut", "kills", "restarts", "sessions_lost", "gaps",
            "pushed", "repeated", "answered_anew", "duplicates",
        ):  # fmt: skip
            self.sums[name] += getattr(report, name)
        if report.problems:
            self.failed.append(report.seed)

    def merge(self, line: dict[str, Any]) -> None:
        """Take in what :meth:`as_line` has said."""
        self.seeds += line["seeds"]
        self.failed += line["failed"]
        self.sums.update(line["sums"])
        self.outcomes.update(line["outcomes"])
        self.virtual_s += line["virtual_s"]

    def as_line(self) -> dict[str, Any]:
        """Everything, for a line of JSON."""
        return {
            "seeds": self.seeds,
            "failed": self.failed,
            "sums": self.sums,
            "outcomes": self.outcomes,
            "virtual_s": self.virtual_s,
        }

    def lines(self) -> Iterator[str]:
        """Everything, in words."""
        sums = self.sums
        told = sum(self.outcomes[code] for code in NO_ANSWER)
        unwanted = sum(self.outcomes[each] for each in NOT_WANTED)
        answered = sums["asked"] - told - unwanted - sums["lost"]
        waited = answered + told + sums["lost"]
        yield f"seeds              {self.seeds:,}, {len(self.failed)} of them failed"
        yield f"virtual time       {self.virtual_s / 3600:,.1f} hours"
        yield f"requests           {sums['asked']:,}, {unwanted:,} of which nobody waited for"
        yield f"pushed messages    {sums['pushed']:,}"
        yield f"connections        {sums['connections']:,}, {sums['cut']:,} of them cut"
        yield f"servers            {sums['kills']:,} killed, {sums['restarts']:,} restarted"
        yield f"answers            {answered:,}"
        yield f"told there is none {told:,}: " + ", ".join(
            f"{code} {self.outcomes[code]:,}" for code in NO_ANSWER
        )
        yield f"unanswered         {sums['lost']:,}"
        yield f"duplicated         {sums['duplicates']:,}"
        yield (
            f"on the wire        {sums['repeated']:,} answers again for messages that were sent"
            f" again, {sums['answered_anew']:,} anew after a kill"
        )
        yield f"answers that arrived, or an explicit word: {_share(waited - sums['lost'], waited)}"
        yield f"answers that arrived: {_share(answered, waited)}"


def _share(part: int, whole: int) -> str:
    return f"{part / whole:.4%}" if whole else "none were asked"


def _runs(seeds: Iterable[int], jobs: int, requests: int) -> Iterator[Report]:
    run = partial(simulate, requests=requests)
    if jobs == 1:
        _settle()
        yield from map(run, seeds)
        return
    with ProcessPoolExecutor(jobs, initializer=_settle) as pool:
        try:
            yield from pool.map(run, seeds, chunksize=4)
        finally:
            pool.shutdown(cancel_futures=True)


def _settle() -> None:
    """Spare the garbage collector what was imported, and stays."""
    gc.collect()
    gc.freeze()


class Summary:
    """A file with one line of JSON for each chunk of seeds that is done.

    Args:
        path: of the file; it may exist, and then only what is missing is run.
        requests: of one run; runs of another size in the file do not count.
    """

    def __init__(self, path: Path, requests: int) -> None:
        self._path = path
        self._requests = requests

    def done(self) -> dict[tuple[int, int], dict[str, Any]]:
        """What was done: first and last seed of each chunk, and its sums."""
        if not self._path.exists():
            return {}
        found: dict[tuple[int, int], dict[str, Any]] = {}
        for text in self._path.read_text().splitlines():
            try:
                line = json.loads(text)
            except ValueError:
                continue  # the line in the middle of which it was interrupted
            if line["requests"] == self._requests:
                found[line["first"], line["last"]] = line
        return found

    def add(self, chunk: range, totals: Totals) -> None:
        """A chunk is done."""
        where = {"first": chunk[0], "last": chunk[-1], "requests": self._requests}
        with self._path.open("a") as file:
            # It begins with its line break: half a line may be before it.
            file.write("\n" + json.dumps(where | totals.as_line()))


def run_chunks(
    seeds: range, summary: Summary, *, jobs: int, requests: int, keep_going: bool
) -> int:
    """Run what a summary lacks, and print what is in it afterwards; returns the exit code."""
    done = summary.done()
    totals = Totals()
    for start in range(0, len(seeds), CHUNK):
        chunk = seeds[start : start + CHUNK]
        line = done.get((chunk[0], chunk[-1]))
        if line is not None:
            totals.merge(line)
            continue
        found, complete = _run_all(chunk, jobs=jobs, requests=requests, keep_going=keep_going)
        totals.merge(found.as_line())
        if not complete:
            break
        summary.add(chunk, found)
    print(*totals.lines(), sep="\n")
    return 1 if totals.failed else 0


def run_many(seeds: range, *, jobs: int, requests: int, keep_going: bool) -> int:
    """Run many seeds; returns the exit code."""
    totals, _ = _run_all(seeds, jobs=jobs, requests=requests, keep_going=keep_going)
    print(*totals.lines(), sep="\n")
    return 1 if totals.failed else 0


def _run_all(seeds: range, *, jobs: int, requests: int, keep_going: bool) -> tuple[Totals, bool]:
    """Run seeds; returns their sums, and whether all of them have run."""
    totals = Totals()
    start = reported = time.monotonic()
    for report in _runs(seeds, jobs, requests):
        totals.add(report)
        if report.problems:
            complain(report, requests)
            if not keep_going:
                return totals, False
        now = time.monotonic()
        if now - reported >= PROGRESS_EVERY_S:
            reported = now
            rate = totals.seeds / (now - start)
            failed = len(totals.failed)
            print(f"{totals.seeds:,} seeds, {rate:.1f}/s, {failed} failed", flush=True)
    return totals, True


def complain(report: Report, requests: int) -> None:
    """Say what was wrong, and how to see it again."""
    print(f"seed {report.seed} ({report.title}):", file=sys.stderr)
    for problem in report.problems:
        print(f"  - {problem}", file=sys.stderr)
    size = "" if requests == REQUESTS else f" --requests {requests}"
    command = f"python -m tools.simulate --seed {report.seed}{size} --log"
    print(f"  to see it again: {command}", file=sys.stderr, flush=True)


def run_one(seed: int, *, requests: int, log: bool) -> int:
    """Run one seed; returns the exit code."""
    report = simulate(seed, requests=requests, keep_log=log)
    for line in report.log:
        print(line)
    if report.traceback:
        print(report.traceback)
    totals = Totals()
    totals.add(report)
    print(report.title)
    print(*totals.lines(), sep="\n")
    print("digest            ", report.digest)
    if report.problems:
        complain(report, requests)
    return 1 if report.problems else 0


def _seeds(text: str) -> range:
    first, _, last = text.partition("-")
    return range(int(first), int(last or first) + 1)


def main() -> int:
    """Parse the command line and run."""
    parser = argparse.ArgumentParser(description="Simulate; was the promise kept?")
    parser.add_argument("--seeds", type=_seeds, default=range(1_000), help="like 0-9999")
    parser.add_argument("--seed", type=int, help="one run instead")
    parser.add_argument("--log", action="store_true", help="with --seed: print what happens")
    parser.add_argument("--requests", type=int, default=REQUESTS, help="of one run, about")
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    parser.add_argument(
        "--summary", type=Path, help=f"a line for each {CHUNK} seeds; those in it are not run again"
    )
    parser.add_argument("--keep-going", action="store_true", help="do not stop at a failure")
    options = parser.parse_args()
    if options.seed is not None:
        return run_one(options.seed, requests=options.requests, log=options.log)
    if options.summary is not None:
        return run_chunks(
            options.seeds,
            Summary(options.summary, options.requests),
            jobs=options.jobs,
            requests=options.requests,
            keep_going=options.keep_going,
        )
    return run_many(
        options.seeds,
        jobs=options.jobs,
        requests=options.requests,
        keep_going=options.keep_going,
    )


if __name__ == "__main__":
    sys.exit(main())
