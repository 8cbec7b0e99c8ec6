"""Feed random and mutated byte streams to the sans-IO server.

    python tools/fuzz_protocol.py                       one million streams
    python tools/fuzz_protocol.py --streams 1000 --first 5000
    python tools/fuzz_protocol.py --show 4711            what one stream is, and what becomes of it

Each stream comes from its number, so that one that fails can be run again. Ends with exit code 1
when anything undocumented happens, or memory grows.
"""

from __future__ import annotations

import argparse
import resource
import sys
import time
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.fuzz.generation import StreamMaker
from tests.fuzz.session import run

WARM_UP_STREAMS = 5_000
MAX_GROWTH_KIB = 32 * 1024
PROGRESS_EVERY_S = 15.0


def peak_kib() -> int:
    """The peak of resident memory so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def show(number: int) -> int:
    """Print one stream and its outcome."""
    maker = StreamMaker(number)
    head = maker.head() if number % 4 == 0 else b""
    print("stream:", head, maker.stream().hex(" "))
    outcome = run(number)
    print("events:", *outcome.events, sep="\n  ")
    print("output:", outcome.output)
    print("outcome:", outcome.label)
    return 0


def fuzz(first: int, streams: int) -> int:
    """Run ``streams`` numbers from ``first`` on; returns the exit code."""
    outcomes: Counter[str] = Counter()
    failures = 0
    base_kib = 0
    start = reported = time.monotonic()
    for number in range(first, first + streams):
        try:
            outcomes[run(number).label] += 1
        except Exception as error:  # noqa: BLE001  # whatever escapes is what is looked for
            failures += 1
            print(f"stream {number}: {type(error).__name__}: {error}", file=sys.stderr)
        if number - first == WARM_UP_STREAMS:
            base_kib = peak_kib()
        now = time.monotonic()
        if now - reported >= PROGRESS_EVERY_S:
            reported = now
            done = number - first + 1
            rate = done / (now - start)
            print(f"{done:,} streams, {rate:,.0f}/s, {failures} failures", flush=True)
    growth = peak_kib() - base_kib if base_kib else 0
    elapsed = time.monotonic() - start
    print(f"{streams:,} streams in {elapsed:.0f} s, {failures} failures")
    print(f"peak memory grew by {growth} KiB")
    for label, count in outcomes.most_common():
        print(f"  {label:20} {count:,}")
    return 1 if failures or growth > MAX_GROWTH_KIB else 0


def main() -> int:
    """Parse the command line and run."""
    parser = argparse.ArgumentParser(description="Fuzz the sans-IO server.")
    parser.add_argument("--streams", type=int, default=1_000_000, help="how many")
    parser.add_argument("--first", type=int, default=0, help="number of the first stream")
    parser.add_argument("--show", type=int, metavar="NUMBER", help="print one stream instead")
    options = parser.parse_args()
    if options.show is not None:
        return show(options.show)
    return fuzz(options.first, options.streams)


if __name__ == "__main__":
    sys.exit(main())
