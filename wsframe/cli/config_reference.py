"""Every setting with its section, range, default and text, read from the source of the struct.

Python keeps neither comments nor the docstrings of fields at run time; the source is part of every
installation, so ``wsframe config default`` reads it there.
"""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterator
from itertools import groupby, pairwise
from typing import Any, Final, NamedTuple

import msgspec

from wsframe.config import Config, PluginSettings
from wsframe.config_fields import Setting, describe, settings

_PLUGIN_EXAMPLE: Final = """\
# [plugins.NAME]: the settings of the plugin NAME; 'wsframe plugins' shows them.
"""


class Entry(NamedTuple):
    """One setting, with what the source says about it."""

    setting: Setting
    section: str
    text: str

    @property
    def kind(self) -> str:
        """Its type and range, in words."""
        return describe(self.setting.type)

    @property
    def variable(self) -> str:
        """The environment variable that sets it."""
        return f"WSFRAME_{self.setting.key.upper().replace('.', '_')}"


def entries() -> list[Entry]:
    """All settings, in the order of the struct."""
    sources = {"": _read_source(Config), "plugins": _read_source(PluginSettings)}
    found = []
    for key, setting in settings().items():
        table, _, name = key.rpartition(".")
        section, text = sources[table][name]
        found.append(Entry(setting, section or "Plugins", text))
    return found


def _read_source(struct: type[msgspec.Struct]) -> dict[str, tuple[str, str]]:
    """The section (the comment above) and the docstring of each field."""
    source = inspect.getsource(struct)
    sections = {
        number: match[1]
        for number, line in enumerate(source.splitlines(), 1)
        if (match := re.match(r"    # (.+)$", line))
    }
    (definition,) = ast.parse(source).body
    if not isinstance(definition, ast.ClassDef):
        raise TypeError(f"{struct!r} is not a class")
    found = {}
    for statement, following in pairwise([*definition.body, ast.Pass()]):
        if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
            above = [title for number, title in sections.items() if number < statement.lineno]
            text = _docstring(following)
            found[statement.target.id] = (above[-1] if above else "", text)
    return found


def _docstring(statement: ast.stmt) -> str:
    if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant):
        return inspect.cleandoc(str(statement.value.value)).replace("\n", " ")
    return ""


def toml_value(value: Any) -> str:
    """A default as TOML; TOML has no null, so None is the text ``none``."""
    if value is None:
        return '"none"'
    if isinstance(value, list | tuple):
        return "[" + ", ".join(toml_value(item) for item in value) + "]"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return f"{value:_}" if isinstance(value, int) and value >= 10_000 else str(value)


def as_toml() -> str:
    """A ``wsframe.toml`` in which every setting is explained and commented out."""
    lines = [
        "# The settings of wsframe. Each is shown with its default: remove the # to change it."
    ]
    for section, group in groupby(entries(), key=lambda entry: entry.section):
        lines += ["", f"# --- {section} ---"]
        if section == "Plugins":
            lines += ["", "[plugins]"]
        for entry in group:
            name = entry.setting.key.rpartition(".")[2]
            lines += ["", f"# {entry.text.replace('``', '')}"]
            lines += [f"# It must be {entry.kind}."] if entry.kind != "a text" else []
            lines += [f"#{name} = {toml_value(entry.setting.default)}"]
    return "\n".join(lines) + "\n\n" + _PLUGIN_EXAMPLE


def as_markdown() -> str:
    """The tables of the reference page, one a section."""
    return "\n".join(_markdown_lines()) + "\n"


def _markdown_lines() -> Iterator[str]:
    for section, group in groupby(entries(), key=lambda entry: entry.section):
        yield f"## {section}"
        yield ""
        for entry in group:
            default = toml_value(entry.setting.default)
            yield f"### `{entry.setting.key}`"
            yield ""
            yield re.sub(r"``([^`]+)``", r"`\1`", entry.text)
            yield ""
            yield f"{entry.kind[0].upper()}{entry.kind[1:]}. Default: `{default}`."
            yield f"Variable: `{entry.variable}`."
            yield ""
