"""One plugin: from a candidate to an object with checked hooks, or to what is wrong with it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from wsframe.errors import ConfigError, PluginError, StartError

from .discovery import Candidate
from .implementations import Found, check_plugin
from .settings import build_plugin, shown_config


class State(Enum):
    """What became of a plugin."""

    ACTIVE = "active"
    DISABLED = "disabled"
    BROKEN = "broken"


@dataclass(slots=True)
class PluginRecord:
    """One plugin and what became of it."""

    candidate: Candidate
    rival: Candidate | None = None
    """Another one of the same name: neither can be loaded."""
    state: State = State.DISABLED
    plugin: object | None = None
    config: Any = None
    found: list[Found] = field(default_factory=list)
    error: StartError | None = None
    is_set_up: bool = False

    @property
    def name(self) -> str:
        """What it is called in the configuration, in logs and in errors."""
        return self.candidate.name

    @property
    def hooks(self) -> list[str]:
        """The hooks it implements, by name."""
        return sorted({found.spec.name for found in self.found})

    @property
    def shown_config(self) -> dict[str, Any] | None:
        """Its settings without secrets; None: it has none, or is not loaded."""
        return shown_config(self.config)

    def load(self, wsframe_version: str, settings: Mapping[str, Any]) -> None:
        """Import it, make it and check its hooks, unless that is done already.

        Raises:
            PluginError: it cannot be used.
            ConfigError: its settings are wrong.
        """
        if self.plugin is not None:
            return
        self._check_rival()
        self.candidate.check(wsframe_version)
        plugin, self.config = self._build(self._import(), settings)
        try:
            self.found = check_plugin(self.name, plugin)
        except PluginError as error:
            raise self._attributed(error) from error
        self.plugin = plugin

    def _check_rival(self) -> None:
        if self.rival is not None:
            one, other = self.candidate, self.rival
            raise PluginError(
                self.name,
                f"two plugins have this name: {one.described} ({one.source}) "
                f"and {other.described} ({other.source})",
                hint="Uninstall or rename one of them.",
            )

    def _import(self) -> Any:
        try:
            return self.candidate.load()
        except (Exception, SystemExit) as error:
            raise PluginError(
                self.name,
                f"{self.candidate.described} cannot be imported: {type(error).__name__}: {error}",
                hint=f"Repair or uninstall it, or start without it: -p no:{self.name}",
            ) from error

    def _build(self, factory: Any, settings: Mapping[str, Any]) -> tuple[object, Any]:
        try:
            return build_plugin(self.name, factory, settings)
        except ConfigError:
            raise
        except PluginError as error:
            raise self._attributed(error) from error
        except (Exception, SystemExit) as error:
            raise PluginError(
                self.name,
                f"{self.candidate.described} cannot be made: {type(error).__name__}: {error}",
                hint=f"Check [plugins.{self.name}], or start without it: -p no:{self.name}",
            ) from error

    def _attributed(self, error: PluginError) -> PluginError:
        """Add the distribution and its version, or the file."""
        message = error.message.removeprefix(f"plugin {self.name!r}: ")
        return PluginError(self.name, f"{message} ({self.candidate.described})", hint=error.hint)
