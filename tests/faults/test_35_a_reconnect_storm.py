"""Threat 35: a crowd loses its connections in one moment, and everybody comes back at once."""

from __future__ import annotations

import asyncio
import http.client
from pathlib import Path

import pytest

from tests.endurance.kills import APPLICATION, ROOT, stored
from tests.endurance.storm import Crowd, storm
from wsframe.testing.faults import ServerProcess

pytestmark = [pytest.mark.slow, pytest.mark.anyio]

CLIENTS = 300


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.mark.parametrize("restart", [False, True], ids=["cut", "killed"])
async def test_35_a_crowd_that_was_cut_in_one_moment_is_resumed_and_has_lost_nothing(
    restart: bool, tmp_path: Path
) -> None:
    counts, broken = await storm(
        tmp_path, clients=CLIENTS, seed=35, restart=restart, part_pause_s=0.5, calm_s=1
    )
    assert broken == []
    assert counts["resumed"] >= CLIENTS
    assert counts["answered"] + counts["retried: interrupted"] >= 2 * CLIENTS


async def test_35_over_the_limit_a_client_is_told_when_to_come_back(tmp_path: Path) -> None:
    limit = 20
    settings = stored(tmp_path, max_connections=limit)
    with ServerProcess(APPLICATION, cwd=ROOT, settings=settings) as server:
        crowd = Crowd(server.port, limit, 35)
        await crowd.come()

        def refusal() -> tuple[int, str | None]:
            connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
            key = {"Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Version": "13"}
            headers = {"Upgrade": "websocket", "Connection": "Upgrade", **key}
            connection.request("GET", "/ws", headers=headers)
            answer = connection.getresponse()
            connection.close()
            return answer.status, answer.headers["Retry-After"]

        status, retry_after = await asyncio.to_thread(refusal)
        assert status == 503
        assert retry_after is not None
        assert int(retry_after) > 0
        for client in crowd.clients:
            client.cut()
        await crowd.until(lambda client: client.ready.is_set(), "resumed")
        assert crowd.counts["resumed"] == limit
        await crowd.leave()
