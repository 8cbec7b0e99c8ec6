"""How the benchmark harness judges what it measured."""

from __future__ import annotations

import pytest

from benchmarks.generator import LoadFailed
from benchmarks.measure import Results, Sample, sample
from benchmarks.report import verdicts
from benchmarks.servers import (
    NODE_WS,
    PICOWS,
    WEBSOCKETS,
    WSFRAME,
    WSFRAME_ECHO,
    WSFRAME_PLUGINS,
    Server,
)
from benchmarks.workloads import (
    BARS,
    CHAT_D1,
    CHAT_D8,
    ECHO_4K,
    MEMORY,
    MEMORY_DEFLATE,
    PLUGINS_D8,
    WORKLOADS,
    Workload,
    arguments,
    needed_peers,
    subject,
)


def results(*found: tuple[Workload, Server, list[tuple[float, float]]]) -> Results:
    gathered = Results()
    for workload, server, samples in found:
        gathered.samples[workload.name, server.name] = [Sample(*one) for one in samples]
    return gathered


def test_a_ratio_is_made_of_the_medians_of_the_rounds() -> None:
    found = verdicts(
        results(
            (CHAT_D1, WSFRAME, [(30.0, 9.0), (90.0, 2.0), (20.0, 4.0)]),
            (CHAT_D1, NODE_WS, [(25.0, 5.0), (20.0, 8.0), (26.0, 1.0)]),
        ),
        [CHAT_D1],
        has_masker=True,
    )
    assert [(one.ratio, one.p99_ratio) for one in found] == [(30 / 25, 4 / 5)]
    assert found[0].passed
    assert found[0].latency_passed


def test_a_bar_is_missed_by_whoever_needs_more() -> None:
    found = verdicts(
        results(
            (CHAT_D8, WSFRAME, [(21.0, 2.0)]),
            (CHAT_D8, NODE_WS, [(20.0, 1.0)]),
            (CHAT_D8, PICOWS, [(27.0, 4.0)]),
        ),
        [CHAT_D8],
        has_masker=True,
    )
    assert [(one.bar.peer, one.passed, one.latency_passed) for one in found] == [
        (NODE_WS, False, False),
        (PICOWS, True, True),
    ]


@pytest.mark.parametrize(("has_masker", "passed"), [(True, False), (False, True)])
def test_large_echoes_may_cost_more_without_the_compiled_masker(
    has_masker: bool, passed: bool
) -> None:
    measured = results((ECHO_4K, WSFRAME_ECHO, [(20.0, 1.0)]), (ECHO_4K, PICOWS, [(10.0, 1.0)]))
    assert verdicts(measured, [ECHO_4K], has_masker)[0].passed is passed


def test_memory_has_no_latency_to_be_judged() -> None:
    measured = results((MEMORY, WSFRAME, [(9_000, 0)]), (MEMORY, WEBSOCKETS, [(15_000, 0)]))
    (found,) = verdicts(measured, [MEMORY], has_masker=True)
    assert found.p99_ratio is None
    assert found.latency_passed


def test_the_latency_with_plugins_is_shown_and_not_judged() -> None:
    measured = results(
        (PLUGINS_D8, WSFRAME_PLUGINS, [(10.0, 2.0)]), (PLUGINS_D8, NODE_WS, [(20.0, 1.0)])
    )
    (found,) = verdicts(measured, [PLUGINS_D8], has_masker=True)
    assert found.passed
    assert found.p99_ratio == 2
    assert found.latency_passed


def test_a_bar_without_its_peer_is_left_out() -> None:
    assert verdicts(results((CHAT_D1, WSFRAME, [(30.0, 9.0)])), [CHAT_D1], has_masker=True) == []


def test_memory_with_compression_counts_only_where_it_was_negotiated() -> None:
    with pytest.raises(LoadFailed):
        sample(MEMORY_DEFLATE, {"deflated": 0, "rss_per_conn": 1_000})
    assert sample(MEMORY_DEFLATE, {"deflated": 9, "rss_per_conn": 1_000}).figure == 1_000


def test_every_workload_has_a_bar() -> None:
    assert {bar.workload for bar in BARS} == set(WORKLOADS)
    assert all(needed_peers(workload) for workload in WORKLOADS)


@pytest.mark.parametrize("workload", WORKLOADS, ids=lambda workload: workload.name)
def test_the_load_is_the_same_for_wsframe_and_its_peers(workload: Workload) -> None:
    def load(server: Server) -> set[str]:
        given = arguments(workload, server, 1, 2, 3.0)
        return {part for part in given if part.isdigit() or part in ("echo", "fanout", "connect")}

    assert {frozenset(load(server)) for server in (subject(workload), PICOWS)} == {
        frozenset(load(NODE_WS))
    }
