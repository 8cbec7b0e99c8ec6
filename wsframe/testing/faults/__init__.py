"""Faults for tests: bad networks, servers that are killed, and whether the promise was kept.

In memory and in virtual time: :class:`Network` and :class:`KillableServer`. On real sockets, with
real processes: :class:`TcpProxy` and :class:`ServerProcess`. :class:`Promise` records what was
asked and answered, whoever the clients are. Each name is imported when it is first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .event_log import EventLog
    from .line import Line
    from .network import Network
    from .plan import CALM, ROUGH, Plan, Way
    from .process import ServerProcess, free_port
    from .promise import Promise, Witness
    from .repeatable import repeatable
    from .server import KillableServer
    from .stream import LineStream
    from .tcp_proxy import TcpProxy

_HOMES = {
    "CALM": ".plan",
    "EventLog": ".event_log",
    "KillableServer": ".server",
    "Line": ".line",
    "LineStream": ".stream",
    "Network": ".network",
    "Plan": ".plan",
    "Promise": ".promise",
    "ROUGH": ".plan",
    "ServerProcess": ".process",
    "TcpProxy": ".tcp_proxy",
    "Way": ".plan",
    "Witness": ".promise",
    "free_port": ".process",
    "repeatable": ".repeatable",
}

__all__ = [
    "CALM",
    "ROUGH",
    "EventLog",
    "KillableServer",
    "Line",
    "LineStream",
    "Network",
    "Plan",
    "Promise",
    "ServerProcess",
    "TcpProxy",
    "Way",
    "Witness",
    "free_port",
    "repeatable",
]


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(home, __name__), name)
    globals()[name] = value
    return value
