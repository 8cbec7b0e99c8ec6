"""What a server says about itself: ``app.health()`` and ``app.metrics()``."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from ..version import __version__

if TYPE_CHECKING:
    from .runtime import Runtime


def health(runtime: Runtime | None) -> dict[str, Any]:
    """Is it there, and does it take connections?

    Returns:
        ``status`` (``"ok"``, ``"starting"``, ``"store_failing"``, ``"draining"`` or ``"stopped"``),
        ``version``, ``uptime_s`` and ``connections`` (``active``, ``limit``).
    """
    if runtime is None:
        return {"status": "stopped", "version": __version__, "uptime_s": 0.0, "connections": None}
    if runtime.dispatcher.draining:
        status = "draining"
    elif not runtime.ready:
        status = "starting"
    else:
        status = "ok" if runtime.stores_well else "store_failing"
    return {
        "status": status,
        "version": __version__,
        "uptime_s": round(runtime.node.now() - runtime.started_at, 3),
        "connections": {
            "active": len(runtime.dispatcher.connections),
            "limit": runtime.config.max_connections,
        },
    }


def metrics(runtime: Runtime | None) -> dict[str, Any]:
    """Counts since the start, and what is going on now.

    Returns:
        ``connections``, ``sessions``, ``messages``, ``handlers``, ``outboxes``, ``traffic``,
        ``store``, ``rooms``, ``workers`` and ``uptime_s``; empty when the server does not run.
    """
    if runtime is None:
        return {}
    counters, dispatcher = runtime.counters, runtime.dispatcher
    answered = counters.answered
    sessions = dispatcher.sessions
    outboxes = [session.outbox for session in sessions.by_id.values()]
    inboxes = [session.inbox for session in sessions.by_id.values() if session.inbox]
    journal = dispatcher.journal
    return {
        "uptime_s": round(runtime.node.now() - runtime.started_at, 3),
        "connections": {
            "active": len(dispatcher.connections),
            "total": counters.total_connections,
            "refused": Counter(counters.refused_connections),
            "closed": Counter(counters.closed),
        },
        "sessions": {"active": len(sessions.by_id), "detached": sessions.detached},
        "messages": {
            "received": counters.received,
            "accepted": counters.accepted,
            "in_flight": runtime.in_flight,
            "queued": sum(map(len, inboxes)),
            "answered": answered,
            "outcomes": {outcome.value: n for outcome, n in counters.outcomes.items()},
            "refused": Counter(counters.refused),
            "parts": counters.parts,
            "sent": counters.sent,
        },
        "handlers": {
            "errors": counters.errors,
            "plugin_failures": Counter(
                {f"{plugin}.{hook}": n for (plugin, hook), n in runtime.manager.failures.items()}
            ),
            "mean_response_time_ms": round(1000 * counters.handler_seconds / answered, 3)
            if answered
            else 0.0,
        },
        "outboxes": {
            "messages": sum(map(len, outboxes)),
            "bytes": sum(outbox.size for outbox in outboxes),
            "unwritten": sum(outbox.unwritten for outbox in outboxes),
            "crowded": sum(outbox.crowded for outbox in outboxes),
        },
        "traffic": {
            "bytes_received": runtime.node.bytes_received,
            "bytes_sent": runtime.node.bytes_sent,
        },
        "store": {
            "healthy": runtime.stores_well,
            "waiting": 0 if journal is None else journal.waiting,
            "failures": 0 if journal is None else journal.failures,
        },
        "rooms": len(dispatcher.rooms),
        "workers": {"busy": runtime.node.workers.busy},
    }
