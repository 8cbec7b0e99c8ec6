"""Threat 42: a server is told to stop, told twice, and killed, while clients talk to it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from selenium.webdriver import Chrome

from tests.chromium import start_chromium, why_unavailable
from tests.endurance.drain import drained, ended_at_once
from tests.endurance.kills import killed

pytestmark = [pytest.mark.slow, pytest.mark.anyio]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def test_42_a_server_that_is_told_to_stop_finishes_and_everybody_resumes_with_the_next_one(
    tmp_path: Path,
) -> None:
    counts, broken = await drained(tmp_path, clients=10, light_clients=120, seed=42)
    assert broken == []
    assert counts["retried: draining"] == counts["resumed"] == 120


async def test_42_a_second_signal_ends_a_drain_at_once_and_loses_no_session(tmp_path: Path) -> None:
    await ended_at_once(tmp_path)


async def test_42_what_a_server_was_killed_in_is_answered_once_all_the_same(
    tmp_path: Path,
) -> None:
    counts, broken = await killed(tmp_path, kills=5, clients=10, seed=42, answers=101)
    assert broken == []
    assert counts["kills"] == 5
    assert counts["answered"] > 100
    assert counts["status resumed"] >= 10


@pytest.fixture
def chromium(tmp_path: Path) -> Iterator[Chrome]:
    if reason := why_unavailable():
        pytest.skip(reason)
    browser = start_chromium(tmp_path / "chromium")
    yield browser
    browser.quit()


@pytest.mark.browser
async def test_42_a_page_whose_server_is_killed_again_and_again_gets_each_answer_once(
    chromium: Chrome, tmp_path: Path
) -> None:
    counts, broken = await killed(tmp_path, kills=5, clients=1, seed=43, browser=chromium)
    assert broken == []
    assert counts["asked by the page"] > 5
