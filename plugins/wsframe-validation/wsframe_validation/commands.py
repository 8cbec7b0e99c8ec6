"""``wsframe schema``: look at schemas without starting a server."""

from __future__ import annotations

import importlib
import json
import sys
import typing
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click
import msgspec

from wsframe import App, ConfigError, Message, PluginError

if TYPE_CHECKING:
    from . import ValidationPlugin
    from .files import Problem
    from .rules import Rule, Rules

_APP_OPTION: Final = click.option(
    "--app", "target", metavar="MODULE:ATTRIBUTE", help="Also the folders this application names."
)
_FOLDERS_OPTION: Final = click.option(
    "--folder", "named", multiple=True, metavar="FOLDER", help="Instead of the configured folders."
)
_OUTGOING_OPTION: Final = click.option(
    "--outgoing", is_flag=True, help="The schema of what the server sends."
)


def make_group(plugin: ValidationPlugin) -> click.Group:
    """The commands, for the folders and the engine of a plugin's configuration."""

    @click.group("schema", short_help="Check, show and make message schemas.")
    def group() -> None:
        """Look at the JSON Schemas of messages without starting a server.

        The folders are those of [plugins.validation] in the configuration.
        """

    _add_check(group, plugin)
    _add_list(group, plugin)
    _add_show(group, plugin)
    _add_sample(group, plugin)
    _add_export(group)
    return group


def _add_check(group: click.Group, plugin: ValidationPlugin) -> None:
    @group.command("check")
    @click.argument("named", nargs=-1, metavar="[FOLDER]...")
    @_APP_OPTION
    @click.pass_context
    def check(ctx: click.Context, named: tuple[str, ...], target: str | None) -> None:
        """Say everything that is wrong with the schemas; exit 1 if there is anything."""
        rules, problems = _load(plugin, named, target)
        for problem in problems:
            click.echo(str(problem), err=True)
        if not problems:
            click.echo(f"{len(rules.files)} schema files, nothing wrong.")
        ctx.exit(1 if problems else 0)


def _add_list(group: click.Group, plugin: ValidationPlugin) -> None:
    @group.command("list")
    @_FOLDERS_OPTION
    @_APP_OPTION
    @click.option("--json", "as_json", is_flag=True, help="For machines.")
    def list_(named: tuple[str, ...], target: str | None, *, as_json: bool) -> None:
        """List the message types that have a schema."""
        rows = list(_rows(_load_all(plugin, named, target)))
        if as_json:
            click.echo(json.dumps(rows, indent=2))
        else:
            width = max((len(row["type"]) for row in rows), default=0)
            for row in rows:
                click.echo(
                    f"{row['type']:<{width}}  {row['direction']:<8}  "
                    f"draft {row['draft']:<7}  {row['file']}"
                )


def _add_show(group: click.Group, plugin: ValidationPlugin) -> None:
    @group.command("show")
    @click.argument("message_type", metavar="TYPE")
    @_OUTGOING_OPTION
    @_FOLDERS_OPTION
    @_APP_OPTION
    def show(
        message_type: str, named: tuple[str, ...], target: str | None, *, outgoing: bool
    ) -> None:
        """Print the schema of a message type."""
        rule = _rule(_load_all(plugin, named, target), message_type, outgoing=outgoing)
        click.echo(rule.file.path.read_text(encoding="utf-8"), nl=False)


def _add_sample(group: click.Group, plugin: ValidationPlugin) -> None:
    @group.command("sample")
    @click.argument("message_type", metavar="TYPE")
    @click.option("--seed", default=0, help="Another number may give another sample.")
    @_OUTGOING_OPTION
    @_FOLDERS_OPTION
    @_APP_OPTION
    def sample(
        message_type: str, seed: int, named: tuple[str, ...], target: str | None, *, outgoing: bool
    ) -> None:
        """Print a message of this type that fits its schema."""
        from .sampling import NoSample, make_sample

        rule = _rule(_load_all(plugin, named, target), message_type, outgoing=outgoing)
        try:
            content = make_sample(rule, seed)
        except NoSample as error:
            raise ConfigError(
                str(error), hint='Give the schema an example of its own: "examples": […].'
            ) from error
        message = {} if outgoing else {"id": "1"}
        click.echo(json.dumps({**message, "type": message_type, "content": content}, indent=2))


def _add_export(group: click.Group) -> None:
    @group.command("export")
    @click.argument("target", metavar="MODULE:NAME")
    @click.option("--out", type=click.Path(path_type=Path), help="Write it into this file.")
    def export(target: str, out: Path | None) -> None:
        """Print the schema of a Struct, or of the Struct that a handler takes.

        \b
        Examples:
          wsframe schema export chat:Ask
          wsframe schema export chat:ask --out schemas/ask.schema.json
        """  # noqa: D301 - click's marker for "do not rewrap"
        text = json.dumps(_exported(target), indent=2) + "\n"
        if out is None:
            click.echo(text, nl=False)
        else:
            try:
                out.write_text(text, encoding="utf-8")
            except OSError as error:
                raise ConfigError(f"{out} cannot be written: {error.strerror}") from error


def _load(
    plugin: ValidationPlugin, named: Iterable[str], target: str | None
) -> tuple[Rules, list[Problem]]:
    from .rules import load_rules

    app = None
    if target is not None:
        app = _imported(target)
        if not isinstance(app, App):
            raise ConfigError(f"{target} is no wsframe App")
    folders = [Path(each) for each in named] or plugin.folders(app)
    if not folders:
        raise ConfigError(
            "there is no folder of schemas",
            hint="Name one, make a folder 'schemas', or set folders under [plugins.validation].",
        )
    return load_rules(folders, plugin.engine())


def _load_all(plugin: ValidationPlugin, named: Iterable[str], target: str | None) -> Rules:
    rules, problems = _load(plugin, named, target)
    if problems:
        raise PluginError(
            "validation", f"schema {problems[0]}", hint="'wsframe schema check' shows all."
        )
    return rules


def _rows(rules: Rules) -> Iterable[dict[str, str]]:
    for direction, found in (("incoming", rules.incoming), ("outgoing", rules.outgoing)):
        for message_type, rule in sorted(found.items()):
            yield {
                "type": message_type,
                "direction": direction,
                "draft": rule.node.draft.name,
                "file": str(rule.file.path),
            }


def _rule(rules: Rules, message_type: str, *, outgoing: bool) -> Rule:
    found = (rules.outgoing if outgoing else rules.incoming).get(message_type)
    if found is None:
        raise ConfigError(
            f"there is no schema of {'outgoing ' if outgoing else ''}type {message_type!r}",
            hint="'wsframe schema list' shows which there are.",
        )
    return found


def _imported(target: str) -> Any:
    """What ``module:attribute`` names; the working directory is on Python's path."""
    module_name, _, path = target.partition(":")
    folder = str(Path.cwd())
    if folder not in sys.path:
        sys.path.insert(0, folder)
    try:
        found: Any = importlib.import_module(module_name)
        for name in filter(None, path.split(".")):
            found = getattr(found, name)
    except (ImportError, AttributeError, ValueError) as error:
        raise ConfigError(f"{target}: {error}", hint="Write it as MODULE:NAME.") from error
    return found


def _exported(target: str) -> dict[str, Any]:
    found = _imported(target)
    taken = found
    if not isinstance(found, type) and callable(found):
        hints = typing.get_type_hints(found)
        messages = [each for each in hints.values() if typing.get_origin(each) is Message]
        taken = typing.get_args(messages[0])[0] if messages else None
    if not (isinstance(taken, type) and issubclass(taken, msgspec.Struct)):
        raise ConfigError(
            f"{target} is no Struct, and no handler that takes one",
            hint="A handler takes one where its message is annotated: Message[Ask].",
        )
    schema = msgspec.json.schema(taken)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}
