"""Finds plugins: installed packages, one-file plugins in folders, and what the application brings.

Finding imports nothing of a plugin; :meth:`Candidate.load` does.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import re
import sys
import types
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, Literal

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from wsframe.errors import ConfigError, PluginError

ENTRY_POINT_GROUP: Final = "wsframe.plugins"

RESERVED_NAMES: Final = frozenset({"disable", "only", "dirs", "settings"})
"""Keys of ``[plugins]`` itself, so no plugin can have a section of that name."""

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,63}\Z")

Source = Literal["installed", "file", "application"]


@dataclass(slots=True, frozen=True)
class Candidate:
    """A plugin that was found and is not imported yet."""

    name: str
    source: Source
    origin: str
    """Where its code is: ``module:Class``, a file, or the type of an object."""
    load: Callable[[], Any]
    """Imports it and returns a class, a module or an object."""
    distribution: str | None = None
    version: str | None = None
    requirements: tuple[str, ...] = ()
    """The distribution's ``Requires-Dist`` lines."""

    @property
    def described(self) -> str:
        """Name and version of the distribution, or where the code is."""
        if self.distribution is None:
            return self.origin
        return f"{self.distribution} {self.version}"

    @property
    def imported(self) -> object:
        """What :meth:`load` would return, if somebody has imported it already; otherwise None."""
        module_name, _, attributes = self.origin.partition(":")
        found: Any = sys.modules.get(module_name)
        for attribute in filter(None, attributes.split(".")):
            found = getattr(found, attribute, None)
        return found

    def check(self, wsframe_version: str) -> None:
        """Refuse a bad name, or a distribution that is made for another wsframe.

        Raises:
            PluginError: which distribution, which version, and what to do.
        """
        if not _NAME.match(self.name) or self.name in RESERVED_NAMES:
            raise PluginError(
                self.name,
                f"this cannot be the name of a plugin ({self.described})",
                hint="A name has letters, digits, '-' and '_', starts with a letter, and is none "
                f"of: {', '.join(sorted(RESERVED_NAMES))}.",
            )
        for line in self.requirements:
            try:
                requirement = Requirement(line)
            except InvalidRequirement as error:
                raise PluginError(
                    self.name, f"{self.described} has broken metadata: {line!r}: {error}"
                ) from None
            if canonicalize_name(requirement.name) != "wsframe":
                continue
            if requirement.marker and not requirement.marker.evaluate({"extra": ""}):
                continue
            if not requirement.specifier.contains(wsframe_version, prereleases=True):
                raise PluginError(
                    self.name,
                    f"{self.described} needs wsframe {requirement.specifier}, "
                    f"and this is wsframe {wsframe_version}",
                    hint=f"Install a {self.distribution} made for it: "
                    f"pip install --upgrade {self.distribution}",
                )


def installed_plugins() -> Iterator[Candidate]:
    """The plugins of all installed distributions, by their entry points."""
    for entry_point in importlib.metadata.entry_points(group=ENTRY_POINT_GROUP):
        distribution = entry_point.dist
        yield Candidate(
            name=entry_point.name,
            source="installed",
            origin=entry_point.value,
            load=entry_point.load,
            distribution=distribution.name if distribution else None,
            version=distribution.version if distribution else None,
            requirements=tuple(distribution.requires or ()) if distribution else (),
        )


def file_plugins(folders: Iterable[str]) -> Iterator[Candidate]:
    """The ``*.py`` files of some folders, except those that start with ``_``.

    Raises:
        ConfigError: a folder does not exist.
    """
    for folder in folders:
        path = Path(folder)
        if not path.is_dir():
            raise ConfigError(
                f"[plugins] dirs: {folder!r} is not a folder",
                hint="Name a folder that holds one-file plugins.",
            )
        for file in sorted(path.glob("*.py")):
            if not file.name.startswith("_"):
                yield Candidate(
                    name=file.stem, source="file", origin=str(file), load=_file_loader(file)
                )


def _file_loader(file: Path) -> Callable[[], types.ModuleType]:
    def load() -> types.ModuleType:
        module_name = f"wsframe_file_plugin_{file.stem}"
        spec = importlib.util.spec_from_file_location(module_name, file)
        if spec is None or spec.loader is None:
            raise ImportError(f"{file} is not a Python file")
        module = importlib.util.module_from_spec(spec)
        sys.modules[module_name] = module
        try:
            spec.loader.exec_module(module)
        except BaseException:
            del sys.modules[module_name]
            raise
        return module

    return load


def application_plugins(
    plugins: Iterable[object], installed: Sequence[Candidate] = ()
) -> Iterator[Candidate]:
    """What an application passes as ``App(plugins=[...])``: classes, modules or made objects.

    One that is installed too has the name of its entry point, and takes its place.
    """
    for plugin in plugins:
        load = _returning(plugin)
        factory = plugin if isinstance(plugin, type | types.ModuleType) else type(plugin)
        for candidate in installed:
            if candidate.imported is factory:
                yield replace(candidate, source="application", load=load)
                break
        else:
            yield Candidate(
                name=_derived_name(factory),
                source="application",
                origin=factory.__name__
                if isinstance(factory, types.ModuleType)
                else f"{factory.__module__}:{factory.__qualname__}",
                load=load,
            )


def _returning(plugin: object) -> Callable[[], object]:
    return lambda: plugin


def _derived_name(factory: type | types.ModuleType) -> str:
    """``wsframe_rate_limit`` and ``RateLimitPlugin`` are both called ``rate-limit``."""
    if isinstance(factory, types.ModuleType):
        last = factory.__name__.rpartition(".")[2]
        return last.removeprefix("wsframe_").replace("_", "-")
    name = factory.__name__.removesuffix("Plugin") or factory.__name__
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "-", name).lower()
