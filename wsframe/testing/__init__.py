"""Tools for testing applications and plugins, and wsframe's own transports.

The pytest fixture ``wsframe_client`` is in :mod:`wsframe.testing.plugin`, which pytest finds by
itself; this package has what tests name themselves, imported when it is first used. Bad networks
and servers that die are in :mod:`wsframe.testing.faults`.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..errors import RequestError
    from .client import Stream, TestClient
    from .clocks import VirtualClockLoop, virtual_time
    from .connector import Connector

_HOMES = {
    "Connector": ".connector",
    "RequestError": "..errors",
    "Stream": ".client",
    "TestClient": ".client",
    "VirtualClockLoop": ".clocks",
    "virtual_time": ".clocks",
}

__all__ = [
    "Connector",
    "RequestError",
    "Stream",
    "TestClient",
    "VirtualClockLoop",
    "virtual_time",
]


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(home, __name__), name)
    globals()[name] = value
    return value
