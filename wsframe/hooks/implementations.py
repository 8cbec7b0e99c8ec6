"""Checks a plugin's implementations against the specs, and fits their arguments.

Everything that pluggy would accept and that would go wrong later is refused here: the wrong colour,
wrappers, names that are no hook, forgotten marks.
"""

from __future__ import annotations

import difflib
import inspect
import types
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import pluggy

from wsframe.errors import PluginError

from .markers import PROJECT, Spec
from .specs import SPECS


class Found(NamedTuple):
    """One implementation in a plugin."""

    spec: Spec
    function: Callable[..., Any]
    arguments: tuple[str, ...]
    """Those of the spec's arguments that it takes, in its own order."""
    attribute: str
    """What it is called in the plugin."""


def check_plugin(name: str, plugin: object) -> list[Found]:
    """Return a plugin's implementations.

    Raises:
        PluginError: one of them does not fit its hook, or there is none.
    """
    found = list(_implementations(name, plugin))
    if not found:
        raise PluginError(
            name,
            "it implements no hook",
            hint="Decorate its functions with @hookimpl (from wsframe import hookimpl).",
        )
    return found


def _implementations(name: str, plugin: object) -> Iterator[Found]:
    reader = pluggy.PluginManager(PROJECT)
    for attribute in dir(plugin):
        options = reader.parse_hookimpl_opts(plugin, attribute)
        if options is None:
            if attribute in SPECS and _is_own_function(plugin, attribute):
                raise PluginError(
                    name,
                    f"{attribute!r} has the name of a hook but no @hookimpl, so it would never run",
                    hint=f"Decorate it with @hookimpl, or rename it to '_{attribute}'.",
                )
            continue
        hook = options.get("specname") or attribute
        if hook not in SPECS and options.get("optionalhook"):
            continue
        if options.get("hookwrapper") or options.get("wrapper"):
            raise PluginError(
                name,
                f"{attribute!r} is a hook wrapper, and wsframe has none",
                hint="Wrap with middleware instead: app.use(middleware) in setup(app).",
            )
        if hook not in SPECS:
            near = difflib.get_close_matches(hook, SPECS, n=1)
            raise PluginError(
                name,
                f"there is no hook {hook!r}",
                hint=f"Did you mean {near[0]!r}?" if near else "The hooks: " + ", ".join(SPECS),
            )
        spec = SPECS[hook]
        function = getattr(plugin, attribute)
        _check_colour(name, spec, attribute, function)
        yield Found(spec, function, _arguments(name, spec, attribute, function), attribute)


def _is_own_function(plugin: object, attribute: str) -> bool:
    if isinstance(plugin, types.ModuleType):
        value = getattr(plugin, attribute)
        return inspect.isfunction(value) and value.__module__ == plugin.__name__
    static = inspect.getattr_static(plugin, attribute)
    return isinstance(static, types.FunctionType | staticmethod | classmethod)


def _check_colour(name: str, spec: Spec, attribute: str, function: Callable[..., Any]) -> None:
    is_async = inspect.iscoroutinefunction(function)
    yields = inspect.isasyncgenfunction(function) or inspect.isgeneratorfunction(function)
    if yields:
        raise PluginError(
            name,
            f"{attribute!r} must not yield: hook {spec.name!r} is called once and returns",
            hint="Wrap with middleware instead: app.use(middleware) in setup(app).",
        )
    if is_async == spec.is_async:
        return
    if spec.is_async:
        raise PluginError(
            name,
            f"{attribute!r} must be 'async def': hook {spec.name!r} runs while the server serves",
            hint="Write 'async def'; blocking code goes through anyio.to_thread.run_sync.",
        )
    raise PluginError(
        name,
        f"{attribute!r} must be a plain 'def': hook {spec.name!r} runs while the program starts",
        hint="Write 'def'; what needs a running event loop belongs in 'async def started(app)'.",
    )


def _arguments(
    name: str, spec: Spec, attribute: str, function: Callable[..., Any]
) -> tuple[str, ...]:
    parameters = inspect.signature(function).parameters.values()
    for parameter in parameters:
        if parameter.kind is not parameter.POSITIONAL_OR_KEYWORD:
            raise PluginError(
                name,
                f"{attribute!r} takes '{parameter}': hooks name their arguments one by one",
                hint=_known_arguments(spec),
            )
        if parameter.name not in spec.parameters:
            near = difflib.get_close_matches(parameter.name, spec.parameters, n=1)
            raise PluginError(
                name,
                f"{attribute!r} takes {parameter.name!r}, an argument hook {spec.name!r} "
                "does not have",
                hint=f"Did you mean {near[0]!r}?" if near else _known_arguments(spec),
            )
    return tuple(parameter.name for parameter in parameters)


def _known_arguments(spec: Spec) -> str:
    return f"It may take any of: {', '.join(spec.parameters)}."


def fit(function: Callable[..., Any], spec: Spec, arguments: tuple[str, ...]) -> Callable[..., Any]:
    """Return a function that takes all of the spec's arguments by position.

    It is ``function`` itself when that already does; otherwise a plain function that passes on what
    is wanted and returns what it gets, a coroutine or a result.
    """
    if arguments == spec.parameters:
        return function
    positions = tuple(spec.parameters.index(argument) for argument in arguments)
    if len(positions) == 1:
        (only,) = positions

        def pass_one(*given: Any) -> Any:
            return function(given[only])

        return pass_one

    def pass_some(*given: Any) -> Any:
        return function(*[given[position] for position in positions])

    return pass_some
