"""A short run of the fuzzer: ``python tools/fuzz_protocol.py`` runs a million."""

from __future__ import annotations

from collections import Counter

from tests.fuzz.generation import StreamMaker
from tests.fuzz.session import run

STREAMS = 4_000
EXPECTED = {
    "cut off",
    "closed",
    "failed 1002",
    "failed 1007",
    "failed 1008",
    "failed 1009",
    "refused 400",
    "refused 426",
    "incomplete head",
}


def test_random_and_mutated_streams_have_documented_outcomes_only() -> None:
    outcomes = Counter(run(seed).label for seed in range(STREAMS))
    assert outcomes.keys() >= EXPECTED, "the streams do not reach every outcome any more"


def test_a_seed_gives_the_same_stream_again() -> None:
    for seed in range(50):
        first, second = StreamMaker(seed), StreamMaker(seed)
        assert first.head() + first.stream() == second.head() + second.stream()
        assert run(seed) == run(seed)
