"""What a plugin can leave behind: tasks, threads, coroutines, handlers and filters of logging."""

from __future__ import annotations

import asyncio
import gc
import logging
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import sniffio

POOLS: Final = ("AnyIO worker thread", "Trio thread", "asyncio_")
"""How the threads are called that event loops keep for later."""


def living_tasks() -> dict[object, str]:
    """Every task of the running event loop, with its name."""
    if sniffio.current_async_library() == "asyncio":
        return {task: task.get_name() for task in asyncio.all_tasks()}
    import trio

    found: dict[object, str] = {}
    due = [trio.lowlevel.current_root_task()]
    while due:
        task = due.pop()
        if task is not None:
            found[task] = task.name
            due += [inner for nursery in task.child_nurseries for inner in nursery.child_tasks]
    return found


def log_listeners() -> dict[str, list[object]]:
    """The handlers and filters of every logger, and the filters of those handlers."""
    found: dict[str, list[object]] = {}
    for logger in _loggers():
        if logger.handlers or logger.filters:
            inner = [each for handler in logger.handlers for each in handler.filters]
            found[logger.name] = [*logger.handlers, *logger.filters, *inner]
    return found


@contextmanager
def log_listeners_taken_back() -> Iterator[None]:
    """Take away what is added to loggers within: by who was kept from doing it himself."""
    before = log_listeners()
    try:
        yield
    finally:
        for logger in _loggers():
            known = before.get(logger.name, ())
            for holder in (logger, *logger.handlers):
                for added in [each for each in holder.filters if each not in known]:
                    holder.removeFilter(added)
            for handler in [each for each in logger.handlers if each not in known]:
                logger.removeHandler(handler)
                handler.close()


def _loggers() -> list[logging.Logger]:
    known = [logging.root, *logging.root.manager.loggerDict.values()]
    return [logger for logger in known if isinstance(logger, logging.Logger)]


class Leaks(list[str]):
    """What was left behind, in words."""


@contextmanager
def leaks_outside() -> Iterator[Leaks]:
    """Look for what outlives an event loop that is run within.

    Coroutines that nobody has awaited and files that nobody has closed are found where Python finds
    them; other warnings go their way.
    """
    leaks = Leaks()
    threads, listeners = set(threading.enumerate()), log_listeners()
    gc.collect()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield leaks
        gc.collect()
    for warning in caught:
        text = str(warning.message)
        never_awaited = "was never awaited" in text
        if never_awaited or issubclass(warning.category, ResourceWarning):
            leaks.append(text)
        else:
            warnings.warn_explicit(
                warning.message, warning.category, warning.filename, warning.lineno
            )
    for thread in set(threading.enumerate()) - threads:
        if not thread.name.startswith(POOLS):
            leaks.append(f"the thread {thread.name!r} still runs")
    leaks += [
        f"logger {name!r} still has {each!r}"
        for name, found in log_listeners().items()
        for each in found
        if each not in listeners.get(name, ())
    ]
