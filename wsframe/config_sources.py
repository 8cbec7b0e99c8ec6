"""Where settings come from, which one wins, and what is refused.

::

    wsframe.toml, or [tool.wsframe] in pyproject.toml        weakest
    environment variables WSFRAME_*
    command line
    keyword arguments of App(...)                            strongest

A stronger source replaces a weaker one setting by setting. ``plugins.disable`` and ``plugins.dirs``
add up instead: what any source switches off stays off. Every value keeps its origin, so that an
error can name the file and the line, and ``wsframe config show`` can say who decided.

Nothing is guessed: an unknown key, a wrong type or an impossible combination is a
:class:`~wsframe.errors.ConfigError`.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

from wsframe.config import Config, PluginSettings
from wsframe.config_combinations import check_combinations
from wsframe.config_fields import Text, nearest, read_value, settings
from wsframe.config_origins import Given, Origin, Rank, refuse
from wsframe.errors import ConfigError

ADD_UP: Final = frozenset({"plugins.disable", "plugins.dirs"})
"""Settings of which every source counts."""
_NOT_SETTINGS: Final = frozenset({"WSFRAME_CONFIG", "WSFRAME_TRACE_PLUGINS", "WSFRAME_RELOAD_PIPE"})
_ALL_SETTINGS: Final = "'wsframe config default' lists them all."
_NOT_OURS: Final = re.compile(
    r"WSFRAME_(?:TEST_|BENCH_|SERVICE_(?:HOST|PORT)|PORT_\d+_(?:TCP|UDP|SCTP))"
)
"""Variables of the test suite, and those that Kubernetes sets for a service named ``wsframe``."""


class ResolvedConfig(NamedTuple):
    """The settings, and what every source said about each of them."""

    config: Config
    given: Mapping[str, tuple[Given, ...]]
    """By dotted key, weakest source first; a key that nobody set is absent: it has its default."""


class PluginTable(dict[str, Any]):
    """What stands under ``[plugins.<name>]``; ``origins`` says where each key came from."""

    def __init__(self) -> None:
        super().__init__()
        self.origins: dict[str, Origin] = {}


def load_config(
    *,
    file: Path | None = None,
    folder: Path | None = None,
    environ: Mapping[str, str] | None = None,
    overrides: Mapping[str, Any] | None = None,
    arguments: Mapping[str, Any] | None = None,
) -> Config:
    """The settings that these sources give.

    Args:
        file: the configuration file; None: ``WSFRAME_CONFIG``, else ``wsframe.toml`` in ``folder``,
            else ``[tool.wsframe]`` of ``pyproject.toml`` there, else none.
        folder: where files are looked for; None: the working directory.
        environ: the environment; None: that of this process.
        overrides: what the command line says, by dotted key or as nested tables.
        arguments: the keyword arguments of ``App(...)``.

    Raises:
        ConfigError: a setting is unknown, of the wrong type or impossible, or a file is unreadable.
    """
    return resolve_config(
        file=file, folder=folder, environ=environ, overrides=overrides, arguments=arguments
    ).config


def resolve_config(
    *,
    file: Path | None = None,
    folder: Path | None = None,
    environ: Mapping[str, str] | None = None,
    overrides: Mapping[str, Any] | None = None,
    arguments: Mapping[str, Any] | None = None,
) -> ResolvedConfig:
    """Like :func:`load_config`, and remembers where every value came from."""
    environ = os.environ if environ is None else environ
    values = [
        *_read_file(find_file(file, folder or Path.cwd(), environ)),
        *_read_environment(environ),
        *_flatten(overrides or {}, Origin(Rank.COMMAND_LINE, "command line")),
        *_flatten(arguments or {}, Origin(Rank.ARGUMENT, "App(...)")),
    ]
    given, problems = _read_values(_with_plugin_names(values))
    if not problems:
        config = _build(given)
        problems = list(check_combinations(config, given))
        if not problems:
            return ResolvedConfig(config, given)
    first, *others = problems
    first.others = tuple(others)
    raise first


def find_file(file: Path | None, folder: Path, environ: Mapping[str, str]) -> Path | None:
    """The configuration file that counts, or None."""
    named = file or (Path(environ["WSFRAME_CONFIG"]) if environ.get("WSFRAME_CONFIG") else None)
    if named is not None:
        return named if named.is_absolute() else folder / named
    for candidate in (folder / "wsframe.toml", folder / "pyproject.toml"):
        if candidate.is_file() and (candidate.name != "pyproject.toml" or _has_table(candidate)):
            return candidate
    return None


def _has_table(pyproject: Path) -> bool:
    try:
        return "tool.wsframe" in pyproject.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False


def _read_file(file: Path | None) -> Iterator[Given]:
    if file is None:
        return
    shown = os.path.relpath(file) if file.is_relative_to(Path.cwd()) else str(file)
    try:
        text = file.read_text(encoding="utf-8")
        values = tomllib.loads(text)
    except OSError as error:
        raise ConfigError(
            f"{shown}: cannot be read: {error.strerror}", hint="Name another file with --config."
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{shown}: is not valid TOML: {error}") from error
    prefix = ""
    if file.name == "pyproject.toml":
        values, prefix = values.get("tool", {}).get("wsframe", {}), "tool.wsframe."
    for given in _flatten(values, Origin(Rank.FILE, shown)):
        line = _line_of(text, prefix + given.key)
        where = f"{shown}:{line}" if line else shown
        yield given._replace(origin=Origin(Rank.FILE, where))


def _line_of(text: str, key: str) -> int | None:
    """The line that sets ``key``, or that opens the table it is in."""
    table, best = "", None
    for number, line in enumerate(text.splitlines(), 1):
        if header := re.match(r"\s*\[([^\[\]]+)\]", line):
            table = re.sub(r"[\s\"']", "", header[1]) + "."
            if key.startswith(table):
                best = number
        elif assignment := re.match(r"\s*([\w.\"' -]+?)\s*=", line):
            found = table + re.sub(r"[\s\"']", "", assignment[1])
            if found == key:
                return number
            if key.startswith(found + "."):
                best = number
    return best


def _read_environment(environ: Mapping[str, str]) -> Iterator[Given]:
    keys = {f"WSFRAME_{key.upper().replace('.', '_')}": key for key in settings()}
    keys["WSFRAME_PLUGINS"] = "plugins.only"
    for name in sorted(environ):
        value = environ[name]
        if not name.startswith("WSFRAME_") or not value or name in _NOT_SETTINGS:
            continue
        if _NOT_OURS.match(name) or (name == "WSFRAME_PORT" and value.startswith("tcp://")):
            continue
        origin = Origin(Rank.ENVIRONMENT, name)
        if name in keys:
            yield Given(keys[name], Text(value), origin)
        elif plugin := re.fullmatch(r"WSFRAME_PLUGIN_(\w+?)__(\w+)", name):
            path = plugin[2].lower().split("__")
            nested: Any = Text(value)
            for part in reversed(path[1:]):
                nested = {part: nested}
            yield Given(f"plugins.{plugin[1].lower()}.{path[0]}", nested, origin)
        else:
            near = nearest(name.removeprefix("WSFRAME_").lower(), list(settings()))
            known = next((each for each, key in keys.items() if key == near), None)
            raise ConfigError(
                f"environment variable {name}: there is no such setting",
                hint=f"Did you mean {known}?" if known else _ALL_SETTINGS,
            )


def _flatten(values: Mapping[str, Any], origin: Origin) -> Iterator[Given]:
    """One :class:`Given` a setting, with dotted keys."""
    for key, value in values.items():
        if key == "plugins" and isinstance(value, PluginSettings):
            yield from _flatten_plugins(
                {"disable": value.disable, "dirs": value.dirs, **value.settings}, origin
            )
            if value.only is not None:
                yield Given("plugins.only", value.only, origin)
        elif key == "plugins" and isinstance(value, Mapping):
            yield from _flatten_plugins(value, origin)
        elif key.startswith("plugins."):
            yield from _flatten_plugins({key.removeprefix("plugins."): value}, origin)
        elif isinstance(value, Mapping) and value and key not in settings():
            # An unknown table: its first key says best what was meant.
            inner = next(iter(value))
            yield Given(f"{key}.{inner}", value[inner], origin)
        else:
            yield Given(key, value, origin)


def _flatten_plugins(table: Mapping[str, Any], origin: Origin) -> Iterator[Given]:
    for name, value in table.items():
        is_table = isinstance(value, Mapping) and "." not in name
        if is_table and f"plugins.{name}" not in settings():
            for key, inner in value.items():
                yield Given(f"plugins.{name}.{key}", inner, origin)
        else:
            yield Given(f"plugins.{name}", value, origin)


def _with_plugin_names(values: list[Given]) -> list[Given]:
    """A variable's name cannot hold a hyphen: another source's spelling of a plugin counts."""
    spellings: dict[str, str] = {}
    for each in sorted(values, key=lambda each: each.origin.rank == Rank.ENVIRONMENT):
        if each.key.startswith("plugins."):
            name = each.key.split(".")[1]
            spellings.setdefault(name.replace("-", "_").lower(), name)
    renamed = []
    for each in values:
        if each.origin.rank == Rank.ENVIRONMENT and each.key.count(".") == 2:
            _, plugin, name = each.key.split(".")
            each = each._replace(key=f"plugins.{spellings[plugin]}.{name}")
        renamed.append(each)
    return renamed


def _read_values(
    values: list[Given],
) -> tuple[dict[str, tuple[Given, ...]], list[ConfigError]]:
    given: dict[str, tuple[Given, ...]] = {}
    problems: list[ConfigError] = []
    known = settings()
    for each in values:
        if each.key in known:
            try:
                each = each._replace(value=read_value(each.value, known[each.key].type))
            except ValueError as error:
                problems.append(refuse(each, str(error)))
                continue
        elif not re.fullmatch(r"plugins\.[^.]+\.[^.]+", each.key):
            near = nearest(each.key, list(known))
            hint = f"Did you mean {near}?" if near else _ALL_SETTINGS
            problems.append(refuse(each, "there is no such setting", hint=hint))
            continue
        given[each.key] = (*given.get(each.key, ()), each)
    return given, problems


def _build(given: Mapping[str, tuple[Given, ...]]) -> Config:
    own: dict[str, Any] = {}
    plugins: dict[str, Any] = {}
    for key, values in given.items():
        table, _, name = key.rpartition(".")
        if not table:
            own[key] = values[-1].value
        elif key in ADD_UP:
            plugins[name] = tuple(dict.fromkeys(item for each in values for item in each.value))
        elif table == "plugins":
            plugins[name] = values[-1].value
    return Config(plugins=PluginSettings(settings=_plugin_tables(given), **plugins), **own)


def _plugin_tables(given: Mapping[str, tuple[Given, ...]]) -> dict[str, dict[str, Any]]:
    tables: dict[str, dict[str, Any]] = {}
    for key, values in given.items():
        if key.count(".") == 2:
            _, plugin, name = key.split(".")
            table = tables.setdefault(plugin, PluginTable())
            assert isinstance(table, PluginTable)
            for each in values:
                table[name] = _merged(table.get(name), each.value)
                table.origins[name] = each.origin
    return tables


def _merged(weaker: Any, stronger: Any) -> Any:
    if not isinstance(weaker, Mapping) or not isinstance(stronger, Mapping):
        return stronger
    merged = dict(weaker)
    for key, value in stronger.items():
        merged[key] = _merged(weaker.get(key), value)
    return merged
