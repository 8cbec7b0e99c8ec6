"""``WSFRAME_TRACE_PLUGINS=1``: which plugin was called, for what, how long, and how it ended.

Functions are wrapped when the table is frozen, so that tracing costs nothing when it is off. A line
names ids and types only; contents, headers, identities, results and the text of exceptions stay
out of it, because any of them may hold a token.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Any

from .markers import Spec

log = logging.getLogger("wsframe.hooks.trace")


def traced(spec: Spec, plugin: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap a function that takes all of the spec's arguments by position."""
    if spec.is_async:

        async def call_async(*arguments: Any) -> Any:
            began = time.perf_counter()
            ended = "raised"
            try:
                result = await function(*arguments)
                ended = "returned " + type(result).__name__
                return result
            except BaseException as error:
                ended = "raised " + type(error).__name__
                raise
            finally:
                _report(spec, plugin, arguments, ended, time.perf_counter() - began)

        return call_async

    def call(*arguments: Any) -> Any:
        began = time.perf_counter()
        ended = "raised"
        try:
            result = function(*arguments)
            ended = "returned " + type(result).__name__
            return result
        except BaseException as error:
            ended = "raised " + type(error).__name__
            raise
        finally:
            _report(spec, plugin, arguments, ended, time.perf_counter() - began)

    return call


def _report(
    spec: Spec, plugin: str, arguments: tuple[Any, ...], ended: str, elapsed_s: float
) -> None:
    about = " ".join(
        f"{name}={_named(argument)}"
        for name, argument in zip(spec.parameters, arguments, strict=True)
        if name in ("connection", "session", "message", "room", "code", "outcome")
    )
    log.info("%s.%s(%s) %s in %.1f µs", plugin, spec.name, about, ended, elapsed_s * 1e6)


def _named(argument: Any) -> str:
    message_type = getattr(argument, "type", None)
    identifier = getattr(argument, "id", argument)
    text = f"{message_type}:{identifier}" if isinstance(message_type, str) else str(identifier)
    return ascii(text[:80])[1:-1]
