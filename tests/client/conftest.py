"""Tests of the client run on asyncio and on trio, in virtual time, unless they use sockets."""

from __future__ import annotations

from typing import Any

import pytest

from wsframe.testing.clocks import virtual_time


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, Any]]:
    return request.param, virtual_time(request.param)
