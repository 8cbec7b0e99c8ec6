"""Finds, checks, orders, enables and disables the plugins of one application.

Each application has its own manager, with its own pluggy registry: nothing is shared between two
applications in one process. A plugin that cannot be loaded keeps the server from starting, because
what it would have refused must not get in; only :meth:`HookManager.discover` goes on, to report.
"""

from __future__ import annotations

import difflib
import logging
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import pluggy

from wsframe.config import Config
from wsframe.errors import ConfigError, PluginError, StartError

from . import specs
from .containment import escaping_part
from .discovery import Candidate, application_plugins, file_plugins, installed_plugins
from .implementations import fit
from .markers import PROJECT
from .records import PluginRecord, State
from .settings import same_name
from .table import Failures, HookTable, Implementation, start_error
from .timing import Meter, timed
from .trace import traced

log = logging.getLogger("wsframe.hooks")


class HookManager:
    """The plugins of one application.

    Args:
        config: ``config.plugins`` says which plugins are active and holds their settings.
        app_version: of wsframe; plugins that require another one are refused.
        plugins: what the application brings itself: plugin classes, modules or made objects.
        environ: ``WSFRAME_TRACE_PLUGINS=1`` in it traces every call.
    """

    def __init__(
        self,
        config: Config,
        app_version: str,
        plugins: Sequence[object] = (),
        environ: Mapping[str, str] = os.environ,
    ) -> None:
        self.config = config
        self.app_version = app_version
        self.records: dict[str, PluginRecord] = {}
        """Every plugin that was found, by name, in the order of names."""
        self.problems: list[StartError] = []
        """What keeps the server from starting, as :meth:`discover` found it."""
        self.failures: Failures = {}
        """How often a plugin's implementation of a hook has failed, by (plugin, hook)."""
        self.setting_up: str | None = None
        """The plugin whose ``setup`` runs now: what is added to the application is its."""
        self.meter: Callable[[], Meter | None] = lambda: None
        """Says who measures runtime hooks, whenever the table is frozen."""
        self._plugins = plugins
        self._traces = environ.get("WSFRAME_TRACE_PLUGINS", "") not in ("", "0")
        self._registry = pluggy.PluginManager(PROJECT)
        self._registry.add_hookspecs(specs)
        self.table = HookTable({}, failures=self.failures)
        """The frozen implementations; :meth:`load`, :meth:`enable`, :meth:`disable` replace it."""

    # Loading

    def load(self) -> HookTable:
        """Find and load every active plugin.

        Raises:
            PluginError: a plugin cannot be imported, needs another wsframe, or does not fit.
            ConfigError: a plugin's settings are wrong, or belong to no plugin.
        """
        self.discover()
        if self.problems:
            error = self.problems[0]
            if len(self.problems) > 1:
                log.error("%d plugin problems; 'wsframe plugins' shows all", len(self.problems))
            raise error
        return self.table

    def discover(self) -> Sequence[PluginRecord]:
        """Find and load every active plugin, each in isolation; broken ones are only recorded."""
        self.records = {}
        self.problems = []
        for candidate in self._candidates():
            self._add(candidate)
        self.records = dict(sorted(self.records.items()))
        self._check_names()
        for record in self.records.values():
            if self._is_wanted(record.name):
                self._activate(record)
            if record.error is not None:
                self.problems.append(record.error)
        self.table = self._freeze()
        return list(self.records.values())

    def _candidates(self) -> Iterable[Candidate]:
        found = list(installed_plugins())
        try:
            found += file_plugins(self.config.plugins.dirs)
        except ConfigError as error:
            self.problems.append(error)
        found += application_plugins(self._plugins, found)
        return found

    def _add(self, candidate: Candidate) -> None:
        other = self.records.get(candidate.name)
        if other is None or _is_same(other.candidate, candidate):
            self.records[candidate.name] = PluginRecord(candidate)
            return
        other.rival = candidate

    def _check_names(self) -> None:
        """Settings or ``only`` that name no plugin: a missing one must not open the door."""
        settings = self.config.plugins
        for name in settings.settings:
            if not self._is_found(name) and name not in settings.disable:
                self.problems.append(
                    ConfigError(
                        f"[plugins.{name}]: no plugin {name!r} is installed",
                        hint=self._nearest(name) or f"Install it, or remove [plugins.{name}].",
                    )
                )
        for name in settings.only or ():
            if name not in self.records:
                self.problems.append(
                    ConfigError(
                        f"[plugins] only: no plugin {name!r} is installed",
                        hint=self._nearest(name) or "Install it, or take it off the list.",
                    )
                )
        for name in settings.disable:
            if name not in self.records:
                near = self._nearest(name)
                log.warning("[plugins] disable: no plugin %r is installed. %s", name, near)

    def _is_found(self, name: str) -> bool:
        return any(same_name(name, found) for found in self.records)

    def _settings(self, name: str) -> Mapping[str, Any]:
        for section, settings in self.config.plugins.settings.items():
            if same_name(section, name):
                return settings
        return {}

    def _nearest(self, name: str) -> str:
        near = difflib.get_close_matches(name, self.records, n=1)
        return f"Did you mean {near[0]!r}?" if near else ""

    def _is_wanted(self, name: str) -> bool:
        settings = self.config.plugins
        return name not in settings.disable and (settings.only is None or name in settings.only)

    def _activate(self, record: PluginRecord) -> None:
        try:
            record.load(self.app_version, self._settings(record.name))
            self._registry.register(record.plugin, record.name)
        except (PluginError, ConfigError) as error:
            record.state, record.error = State.BROKEN, error
        except ValueError as error:  # pluggy: the same object under two names
            record.state, record.error = State.BROKEN, PluginError(record.name, str(error))
        else:
            record.state, record.error = State.ACTIVE, None
            log.debug(
                "plugin %r is active: %s: %s",
                record.name,
                record.candidate.described,
                ", ".join(record.hooks),
            )

    # At run time

    def disable(self, name: str) -> HookTable:
        """Take a plugin out and return the new table; what its ``setup`` added stays.

        Raises:
            KeyError: there is no such plugin.
        """
        record = self.records[name]
        if record.state is State.ACTIVE:
            self._registry.unregister(name=name)
            record.state = State.DISABLED
            self.table = self._freeze()
        return self.table

    def enable(self, name: str) -> HookTable:
        """Take a plugin in and return the new table; then call :meth:`setup`, for what is new.

        Raises:
            KeyError: there is no such plugin.
            PluginError, ConfigError: it cannot be loaded; nothing has changed.
        """
        record = self.records[name]
        if record.state is not State.ACTIVE:
            self._activate(record)
            if record.error is not None:
                raise record.error
            self.table = self._freeze()
        return self.table

    def _freeze(self) -> HookTable:
        implementations: dict[str, list[Implementation]] = {}
        per_receiver = False
        meter = self.meter()
        for spec in specs.SPECS.values():
            caller = getattr(self._registry.hook, spec.name)
            ordered = sorted(
                caller.get_hookimpls(),
                key=lambda one: (not one.tryfirst, one.trylast, one.plugin_name),
            )
            implementations[spec.name] = []
            for one in ordered:
                arguments = self._arguments(one.plugin_name, spec.name, one.function)
                function = fit(one.function, spec, arguments)
                if self._traces:
                    function = traced(spec, one.plugin_name, function)
                if meter is not None and spec.is_async:
                    function = timed(spec, one.plugin_name, function, meter)
                implementations[spec.name].append((one.plugin_name, function))
                if spec.name == "message_sending" and "connection" in arguments:
                    per_receiver = True
        return HookTable(implementations, failures=self.failures, sends_per_receiver=per_receiver)

    def _arguments(self, plugin: str, hook: str, function: Any) -> tuple[str, ...]:
        for found in self.records[plugin].found:
            if found.spec.name == hook and found.function == function:
                return found.arguments
        raise AssertionError(f"{plugin}.{hook} was registered unchecked")

    # Start-up hooks, called without an event loop

    def setup(self, app: Any) -> None:
        """Call ``setup`` of each active plugin that has not been set up yet.

        Raises:
            PluginError: one failed; the server must not start.
        """
        for plugin, function in self.table.setup:
            record = self.records[plugin]
            if record.is_set_up:
                continue
            self.setting_up = plugin
            try:
                function(app)
            except BaseException as error:
                raise _contained("setup", plugin, error) from error
            finally:
                self.setting_up = None
            record.is_set_up = True
        if self.meter() is not None:  # one of them measures
            self.table = self._freeze()

    def register_commands(self, cli: Any) -> list[PluginError]:
        """Let each active plugin add its commands; return what went wrong."""
        errors = []
        for plugin, function in self.table.register_commands:
            try:
                function(cli)
            except BaseException as error:  # noqa: BLE001 - returned
                errors.append(_contained("register_commands", plugin, error))
        return errors

    def make_store(self, url: str) -> Any | None:
        """The store some plugin makes of ``url``; None: no plugin knows its scheme.

        Raises:
            PluginError: a plugin failed at it.
        """
        return self._first("make_store", url)

    def make_broker(self, url: str) -> Any | None:
        """The broker some plugin makes of ``url``; None: no plugin knows its scheme.

        Raises:
            PluginError: a plugin failed at it.
        """
        return self._first("make_broker", url)

    def _first(self, hook: str, url: str) -> Any | None:
        for plugin, function in getattr(self.table, hook):
            try:
                result = function(url, self.config)
            except BaseException as error:
                raise _contained(hook, plugin, error) from error
            if result is not None:
                return result
        return None


def _contained(hook: str, plugin: str, error: BaseException) -> PluginError:
    """What is said of a start-up hook that failed; what is not the plugin's to keep is raised."""
    escaping = escaping_part(error)
    if escaping is not None:
        raise escaping
    return start_error(hook, plugin, error)


def _is_same(installed: Candidate, candidate: Candidate) -> bool:
    """Does the application itself bring the installed plugin of this name?"""
    return (installed.source, candidate.source) == (
        "installed",
        "application",
    ) and installed.origin == candidate.origin
