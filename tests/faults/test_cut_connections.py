"""Connections that are cut in the middle of a frame, with streams on them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.endurance.cuts import cut

pytestmark = [pytest.mark.slow, pytest.mark.anyio]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def test_each_part_of_a_stream_comes_once_and_in_order_however_often_it_is_cut(
    tmp_path: Path,
) -> None:
    counts, broken = await cut(tmp_path, cuts=30, clients=5, light_clients=5, seed=32)
    assert broken == []
    assert counts["cuts"] >= 30
    assert counts["resumed"] + counts["status resumed"] >= 10
    assert counts["parts"] > 100
