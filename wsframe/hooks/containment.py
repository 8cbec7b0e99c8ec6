"""What of a plugin's exception is contained, and what must go on up.

A plugin may raise anything, ``SystemExit`` and groups of base exceptions included, without hurting
anybody else. Three things are not the plugin's to keep: cancellation of the task it runs in,
Ctrl-C, and the closing of the coroutine (``GeneratorExit``).
"""

from __future__ import annotations

import asyncio
import sys


def escaping_part(error: BaseException) -> BaseException | None:
    """Return what must be raised again, or None if all of ``error`` can be contained.

    For a group it is the most urgent exception inside: Ctrl-C before cancellation.

    An ``asyncio.CancelledError`` in a task that nobody has cancelled is no cancellation: it comes
    from a future that the plugin awaited and somebody else cancelled. It is contained. So is a
    ``GeneratorExit`` within a running task, which nobody closes.
    """
    if isinstance(error, Exception):
        return None
    if isinstance(error, BaseExceptionGroup):
        parts = [part for part in map(escaping_part, error.exceptions) if part is not None]
        return min(parts, key=lambda part: not isinstance(part, KeyboardInterrupt), default=None)
    if isinstance(error, KeyboardInterrupt) or is_cancellation(error):
        return error
    return error if isinstance(error, GeneratorExit) and not runs_in_a_task() else None


def runs_in_a_task() -> bool:
    """Is a task of asyncio or trio running? A coroutine that is thrown away is closed by none."""
    try:
        if asyncio.current_task() is not None:
            return True
    except RuntimeError:  # no asyncio event loop runs here
        pass
    trio = sys.modules.get("trio")
    try:
        return trio is not None and trio.lowlevel.current_task() is not None
    except RuntimeError:  # no trio runs here
        return False


def is_cancellation(error: BaseException) -> bool:
    """Is this the cancellation of the running task, on asyncio or trio?"""
    if isinstance(error, asyncio.CancelledError):
        try:
            task = asyncio.current_task()
        except RuntimeError:  # no asyncio event loop runs here
            return False
        return task is None or task.cancelling() > 0
    trio = sys.modules.get("trio")
    return trio is not None and isinstance(error, trio.Cancelled)
