"""The whole stack under faults, in virtual time; ``python -m tools.simulate`` does it at length."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.simulation.run import Report, simulate

SHORT = 10
"""Requests of one run."""


def check(report: Report) -> None:
    again = f"python -m tools.simulate --seed {report.seed} --requests {SHORT} --log"
    assert not report.problems, "\n".join(["", *report.problems, f"to see it again: {again}"])


@pytest.mark.parametrize("seed", range(6))
def test_the_promise_is_kept(seed: int) -> None:
    check(simulate(seed, requests=SHORT))


@pytest.mark.slow
def test_the_promise_is_kept_in_many_runs() -> None:
    """``.ci/run`` makes 500 more, without the weight of coverage."""
    reports = [simulate(seed, requests=SHORT) for seed in range(500, 560)]
    for report in reports:
        check(report)
    assert sum(report.asked for report in reports) > 40 * SHORT
    assert sum(report.cut for report in reports) > 50
    assert sum(report.kills for report in reports) > 20
    assert sum(report.sessions_lost for report in reports) > 0
    assert sum(report.repeated for report in reports) > 0


def test_the_same_seed_gives_the_same_run(source_tree: Path) -> None:
    here = simulate(3, requests=SHORT)
    assert simulate(3, requests=SHORT).digest == here.digest
    assert simulate(4, requests=SHORT).digest != here.digest
    command = [sys.executable, "-m", "tools.simulate", "--seed", "3", "--requests", str(SHORT)]
    for hash_seed in ("1", "2"):
        elsewhere = subprocess.run(
            command,
            env={"PYTHONHASHSEED": hash_seed},
            cwd=source_tree,
            capture_output=True,
            text=True,
            check=True,
        )
        assert here.digest in elsewhere.stdout
