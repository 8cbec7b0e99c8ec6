"""Whom sessions are watched by; what a watch is told is :mod:`wsframe.session.watching`."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from ..errors import AnswerError, CloseConnection
from ..hooks.table import Implementations
from ..session import Session, SessionWatch

if TYPE_CHECKING:
    from ..hooks import HookTable
    from .accepted import Accepted

log = logging.getLogger("wsframe.hooks")

Choose = Callable[[Session[Any]], SessionWatch | None]
"""Makes the watch of a session, or None where it need not be watched."""


def watch(session: Session[Any], watchers: Iterable[Choose]) -> None:
    """Let those watch a session who want to."""
    watches = []
    for choose in watchers:
        try:
            chosen = choose(session)
        except KeyboardInterrupt:
            raise
        except BaseException:
            log.exception("session %s is not watched: choosing failed", session.id)
        else:
            if chosen is not None:
                watches.append(chosen)
    if watches:
        session.watch(watches)


async def watched_gates(hooks: HookTable, accepted: Accepted) -> None:
    """Ask the gates of a message one by one, and tell who watches what each of them says.

    Raises:
        AnswerError, CloseConnection: one of them refuses.
    """
    watched = accepted.session.watched
    assert watched is not None, "somebody wants to know"
    for plugin, function in hooks.message_received:
        one = Implementations("message_received", [(plugin, function)])
        watched.tell("gating", accepted.id, plugin)
        began = time.perf_counter()  # some event loops count milliseconds only
        refusal = None
        try:
            await hooks.gate(one, accepted.connection, accepted.message)
        except AnswerError as error:
            refusal = error.code
            raise
        except CloseConnection:
            refusal = "close"
            raise
        except BaseException:  # its task is cancelled
            refusal = "stopped"
            raise
        finally:
            elapsed_s = time.perf_counter() - began
            watched.tell("gated", accepted.id, plugin, elapsed_s, refusal)
