"""``python -m benchmarks``: wsframe beside its peers, in one run.

Exit code 0 when every bar that could be measured is cleared, 1 when one is not, 2 when wsframe
itself could not be measured.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from benchmarks import generator, measure, report
from benchmarks.servers import CannotRun, Server
from benchmarks.workloads import PEERS, WORKLOADS, Workload, needed_peers, subject


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "--only",
        action="append",
        metavar="TEXT",
        help="workloads whose name contains TEXT; repeatable",
    )
    parser.add_argument(
        "--peers",
        choices=("bars", "all", "none"),
        default="bars",
        help="the peers that a bar names (default), all of them, or wsframe alone",
    )
    parser.add_argument(
        "--rounds", type=int, default=3, help="interleaved measurements of each server (3)"
    )
    parser.add_argument("--seconds", type=float, default=3.0, help="length of one measurement (3)")
    parser.add_argument(
        "--history",
        nargs="?",
        const="",
        metavar="NOTE",
        help="add the ratios to benchmarks/history.md",
    )
    return parser.parse_args()


def selected(patterns: Sequence[str] | None) -> list[Workload]:
    return [w for w in WORKLOADS if not patterns or any(text in w.name for text in patterns)]


def peers_of(workload: Workload, which: str) -> list[Server]:
    if which == "none":
        return []
    return list(PEERS) if which == "all" else needed_peers(workload)


def main() -> int:
    chosen = options()
    workloads = selected(chosen.only)
    plan = [(w, [subject(w), *peers_of(w, chosen.peers)]) for w in workloads]
    load = generator.find()
    has_masker = measure.masker_installed()
    versions: dict[str, str] = {}
    for _, servers in plan:
        for server in servers:
            try:
                versions.setdefault(server.name, server.version())
            except CannotRun as problem:
                versions.setdefault(server.name, str(problem))
    report.print_head(load, versions, has_masker)
    measure.allow_many_sockets()
    cores = measure.choose_cores()
    if cores.server is None:
        print("  only one core: server and load share it, so compare with care")
    results = measure.run(
        plan, load=load, cores=cores, rounds=chosen.rounds, seconds=chosen.seconds
    )
    report.print_table(results, plan)
    if results.busy:
        print(f"\nOther processes took {max(results.busy):.2f} cores at most meanwhile.")
    found = report.verdicts(results, workloads, has_masker)
    report.print_bars(found)
    if chosen.history is not None:
        report.append_history(found, chosen.history)
    if any((w.name, subject(w).name) in results.problems for w in workloads):
        return 2
    return 0 if all(v.passed and v.latency_passed for v in found) else 1


if __name__ == "__main__":
    sys.exit(main())
