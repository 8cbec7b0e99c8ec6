"""The Python client: requests, streams and pushed messages over connections that may break.

The name is imported when it is first used; nothing of the server comes with it.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..errors import ConnectError, RequestError
    from .client import Client
    from .status import Status
    from .stream import Stream

_HOMES = {
    "Client": ".client",
    "ConnectError": "..errors",
    "RequestError": "..errors",
    "Status": ".status",
    "Stream": ".stream",
}

__all__ = ["Client", "ConnectError", "RequestError", "Status", "Stream"]


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(home, __name__), name)
    globals()[name] = value
    return value
