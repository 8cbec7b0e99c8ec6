"""What keeping sessions costs, from end to end: ``python -m benchmarks.store_load``.

The chat application serves sessions that began with ``init``, once for each store: in memory, in a
file (``batched``) and in a file that waits for the disk (``strict``). The servers take turns, each
round with a fresh process and a fresh file. A figure is the median of the rounds, a ratio that of
the ratios within a round. Exit code 1 when the batched file has less than half of the throughput
of the memory store: of the answers in a second, or of those in a second of CPU time.

Without ``--acknowledge`` no client acknowledges anything, which is the dearest that can happen: the
outboxes are always full. With it the load is the bundled generator's, because wsload cannot.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Final, NamedTuple

from benchmarks import generator, measure, report
from benchmarks.servers import WSFRAME, Server, running
from benchmarks.workloads import CHAT_MESSAGE

LIMIT: Final = 0.5
"""What the batched file must keep of the memory store's throughput."""
SUBPROTOCOL: Final = "wsframe.v1.json"
HELLO: Final = '{"id":"begin","type":"init"}'
STORES: Final = ("memory", "batched", "strict")


class Figures(NamedTuple):
    """Of one server in one round."""

    rate: float
    """Answers a second."""
    cpu_us: float
    """Of all threads of the server, for an answer."""
    p50_ms: float
    p99_ms: float


class Load(NamedTuple):
    """What the clients do."""

    command: tuple[str, ...]
    sessions: int
    depth: int
    seconds: float
    acknowledge: int

    def arguments(self, port: int, pid: int) -> tuple[str, ...]:
        options = ("-c", str(self.sessions), "-d", str(self.depth), "-t", str(self.seconds))
        acknowledge = ("--ack-every", str(self.acknowledge)) if self.acknowledge else ()
        return (
            *("echo", "-p", str(port), "--pid", str(pid), "-w", "1", "--path", "/ws"),
            *("--subprotocol", SUBPROTOCOL, "--hello", HELLO, "--swallow", "1"),
            *("--template", CHAT_MESSAGE),
            *options,
            *acknowledge,
        )


def served_from(store: str, file: Path) -> Server:
    """The chat application with a store."""
    url = "memory:" if store == "memory" else f"sqlite:///{file}"
    durability = "strict" if store == "strict" else "batched"
    settings = (f"WSFRAME_STORE={url}", f"WSFRAME_DURABILITY={durability}")
    return WSFRAME._replace(name=store, command=("env", *settings, *WSFRAME.command))


def check(file: Path, answers: int) -> None:
    """What was measured is what was meant: answers were stored.

    The clients leave in order, which ends their sessions; what was written can still be seen.
    """
    written = sum(each.stat().st_size for each in file.parent.glob(f"{file.name}*"))
    if written < 150 * min(answers, 1_000):
        raise generator.LoadFailed(f"{answers} answers, and no more than {written} bytes stored")


def measured(load: Load, store: str, folder: str | None, cores: measure.Cores) -> Figures:
    """One measurement."""
    with tempfile.TemporaryDirectory(dir=folder) as place:
        file = Path(place) / "sessions.db"
        with running(served_from(store, file), cores.server) as (port, pid):
            found = generator.run(load.command, load.arguments(port, pid), cores.load)
            if store != "memory":
                check(file, found["count"])
    cpu, latency = found["cpu"], found["lat_us"]
    busy.append(cpu.get("other", 0.0) + cpu.get("steal", 0.0))
    return Figures(found["rate"], cpu["server_us_each"], latency["p50"] / 1e3, latency["p99"] / 1e3)


busy: Final[list[float]] = []
"""What other processes and the host took of the machine meanwhile, in cores."""


def compared(rounds: list[dict[str, Figures]], store: str) -> tuple[float, float]:
    """The throughput of a store as a share of memory's: by the rates, and by the CPU time."""
    pairs = [(each[store], each["memory"]) for each in rounds]
    return (
        statistics.median(ours.rate / theirs.rate for ours, theirs in pairs),
        statistics.median(theirs.cpu_us / ours.cpu_us for ours, theirs in pairs),
    )


def line(rounds: list[dict[str, Figures]], sessions: int, store: str) -> str:
    """The figures of a store, and its ratios."""
    each = Figures(
        *(statistics.median(column) for column in zip(*(r[store] for r in rounds), strict=True))
    )
    text = f"{sessions:8} {store:9} {each.rate:9,.0f} {each.cpu_us:9.1f}"
    text += f" {each.p50_ms:9.2f} {each.p99_ms:9.2f}"
    if store != "memory":
        by_rate, by_cpu = compared(rounds, store)
        text += f" {by_rate:9.2f} {by_cpu:9.2f}"
    if store == "batched":
        text += "  pass" if min(by_rate, by_cpu) >= LIMIT else "  FAIL"
    return text


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.store_load",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--sessions", type=int, nargs="+", default=[1, 50, 500])
    parser.add_argument("--depth", type=int, default=8, help="messages of a session in flight (8)")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=3.0, help="length of a measurement (3)")
    parser.add_argument("--stores", nargs="+", choices=STORES[1:], default=STORES[1:])
    parser.add_argument(
        "--acknowledge", type=int, default=0, metavar="N", help="every N answers (never)"
    )
    parser.add_argument("--folder", help="where the files are written; default: a temporary one")
    return parser.parse_args()


def main() -> int:
    chosen = options()
    command = generator.BUNDLED if chosen.acknowledge else generator.find()
    versions = {"wsframe": WSFRAME.version()}
    report.print_head(command, versions, has_masker=measure.masker_installed())
    measure.allow_many_sockets()
    cores = measure.choose_cores()
    names = ("memory", *chosen.stores)
    missed = False
    print("\nsessions store      answers/s  CPU, µs   p50, ms   p99, ms  of memory's: rate, by CPU")
    for sessions in chosen.sessions:
        load = Load(command, sessions, chosen.depth, chosen.seconds, chosen.acknowledge)
        rounds = [
            {name: measured(load, name, chosen.folder, cores) for name in names}
            for _ in range(chosen.rounds)
        ]
        for name in names:
            print(line(rounds, sessions, name), flush=True)
        missed |= "batched" in names and min(compared(rounds, "batched")) < LIMIT
    print(f"\nOther processes took {statistics.median(busy):.2f} cores meanwhile.")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
