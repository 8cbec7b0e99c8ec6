"""When a silent peer is pinged and when it is given up."""

from __future__ import annotations

from wsframe.protocol.heartbeat import Beat, Heartbeat


def test_a_peer_that_talks_is_left_alone() -> None:
    heartbeat = Heartbeat(interval_s=30, timeout_s=10, now=100)
    for now in range(100, 500, 20):
        heartbeat.received(now)
        assert heartbeat.check(now + 19) is Beat.QUIET


def test_a_silent_peer_is_pinged_once_the_interval_is_over() -> None:
    heartbeat = Heartbeat(interval_s=30, timeout_s=10, now=100)
    assert heartbeat.check(129.9) is Beat.QUIET
    assert heartbeat.check(130) is Beat.PING
    assert heartbeat.check(131) is Beat.QUIET


def test_a_pinged_peer_that_stays_silent_is_dead_after_the_timeout() -> None:
    heartbeat = Heartbeat(interval_s=30, timeout_s=10, now=100)
    assert heartbeat.check(135) is Beat.PING
    assert heartbeat.check(144.9) is Beat.QUIET
    assert heartbeat.check(145) is Beat.DEAD


def test_anything_received_ends_the_wait_for_a_pong() -> None:
    heartbeat = Heartbeat(interval_s=30, timeout_s=10, now=100)
    assert heartbeat.check(130) is Beat.PING
    heartbeat.received(139)
    assert heartbeat.check(141) is Beat.QUIET
    assert heartbeat.check(168.9) is Beat.QUIET
    assert heartbeat.check(169) is Beat.PING


def test_an_interval_of_zero_switches_it_off() -> None:
    heartbeat = Heartbeat(interval_s=0, timeout_s=10, now=100)
    assert heartbeat.check(1e9) is Beat.QUIET
