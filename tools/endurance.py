"""Real servers, real sockets, and whatever can go wrong with them, for as long as you like.

    python tools/endurance.py kill --kills 100 --clients 50 --seed 1
    python tools/endurance.py cuts --cuts 500
    python tools/endurance.py storm --clients 5000
    python tools/endurance.py drain --clients 100
    python tools/endurance.py soak --minutes 60 --figures soak.jsonl

Each prints what it has counted, and what of the promise was broken; exit code 1 if anything was.
A seed repeats what is chosen, not how processes and sockets take it.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections import Counter
from functools import partial
from pathlib import Path

import anyio

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.chromium import start_chromium, why_unavailable
from tests.endurance.cuts import cut
from tests.endurance.drain import drained
from tests.endurance.kills import killed
from tests.endurance.soak import Soak
from tests.endurance.storm import storm

MOST_PRINTED = 20


def say(text: str) -> None:
    """Print at once, whatever standard output is."""
    print(text, flush=True)


def report(counts: Counter[str], broken: list[str]) -> int:
    """Print the outcome; returns the exit code."""
    for name, count in sorted(counts.items()):
        say(f"  {name:24} {count:>10,}")
    for text in broken[:MOST_PRINTED]:
        say(f"BROKEN: {text}")
    say(f"broken promises: {len(broken)}")
    return 1 if broken else 0


def kill(options: argparse.Namespace, folder: Path) -> int:
    """``kill -9`` while clients talk."""
    browser = None
    if options.no_browser or (reason := why_unavailable()):
        say(f"without a page: {'--no-browser' if options.no_browser else reason}")
    else:
        browser = start_chromium(folder / "chromium")
    run = partial(
        killed,
        folder,
        kills=options.kills,
        clients=options.clients,
        seed=options.seed,
        browser=browser,
        say=say,
    )
    try:
        return report(*anyio.run(run))
    finally:
        if browser is not None:
            browser.quit()


def storm_of(options: argparse.Namespace, folder: Path) -> int:
    """A crowd that is cut, and comes back."""
    run = partial(
        storm,
        folder,
        clients=options.clients,
        seed=options.seed,
        restart=options.restart,
        say=say,
    )
    return report(*anyio.run(run, backend_options={"use_uvloop": True}))


def cuts_of(options: argparse.Namespace, folder: Path) -> int:
    """TCP connections are cut, with streams on them."""
    run = partial(
        cut,
        folder,
        cuts=options.cuts,
        clients=options.clients,
        light_clients=options.clients,
        seed=options.seed,
        say=say,
    )
    return report(*anyio.run(run))


def drain(options: argparse.Namespace, folder: Path) -> int:
    """SIGTERM under load, and a new start."""
    run = partial(
        drained,
        folder,
        clients=options.clients,
        light_clients=options.light_clients,
        seed=options.seed,
        say=say,
    )
    return report(*anyio.run(run))


def soak(options: argparse.Namespace, folder: Path) -> int:
    """Clients come and go for a long time."""
    run = Soak(
        folder,
        minutes=options.minutes,
        slots=options.clients,
        rate=options.rate,
        seed=options.seed,
        figures=options.figures,
        figures_every_s=options.every_s,
        say=say,
    )
    return report(*anyio.run(run.run))


def main() -> int:
    """Parse the command line and run."""
    parser = argparse.ArgumentParser(description="Endurance runs of a real server.")
    commands = parser.add_subparsers(required=True)
    command = commands.add_parser("kill", help="kill -9 while clients talk")
    command.add_argument("--kills", type=int, default=100)
    command.add_argument("--clients", type=int, default=50)
    command.add_argument("--no-browser", action="store_true")
    command.set_defaults(run=kill)
    command = commands.add_parser("storm", help="all clients come back at once")
    command.add_argument("--clients", type=int, default=5_000)
    command.add_argument("--restart", action="store_true", help="after kill -9, not after a cut")
    command.set_defaults(run=storm_of)
    command = commands.add_parser("cuts", help="cut TCP connections with streams on them")
    command.add_argument("--cuts", type=int, default=500)
    command.add_argument("--clients", type=int, default=20, help="of each of two kinds")
    command.set_defaults(run=cuts_of)
    command = commands.add_parser("drain", help="SIGTERM while clients talk, and a new start")
    command.add_argument("--clients", type=int, default=50)
    command.add_argument("--light-clients", type=int, default=1_000)
    command.set_defaults(run=drain)
    command = commands.add_parser("soak", help="clients come and go for a long time")
    command.add_argument("--minutes", type=float, default=60)
    command.add_argument("--clients", type=int, default=20)
    command.add_argument("--rate", type=float, default=60, help="requests per second")
    command.add_argument("--figures", type=Path, default=Path("soak.jsonl"), help="a file")
    command.add_argument("--every-s", type=float, default=60, help="seconds between figures")
    command.set_defaults(run=soak)
    for command in commands.choices.values():
        command.add_argument("--seed", type=int, default=1, help="of what is left to chance")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="endurance") as folder:
        code: int = options.run(options, Path(folder))
    return code


if __name__ == "__main__":
    sys.exit(main())
