"""``wsframe new-plugin``: a package to start from, which passes its tests and can be published."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from importlib import resources
from pathlib import Path
from string import Template
from typing import Final, NamedTuple

import click

from wsframe.cli.output import colour
from wsframe.errors import StartError
from wsframe.version import __version__

PREFIX: Final = "wsframe-"
MAX_NAME_LENGTH: Final = 30

_NAME: Final = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")

_FILES: Final = {
    "pyproject.toml": "pyproject.toml.in",
    "README.md": "README.md.in",
    "LICENSE": "LICENSE.in",
    "{module}/__init__.py": "plugin.py.in",
    "tests/test_plugin.py": "test_plugin.py.in",
    ".github/workflows/tests.yml": "tests.yml.in",
    ".gitignore": "gitignore.in",
}
"""Each file of the package and its template."""


class Names(NamedTuple):
    """One plugin, as its users, pip, Python and its author call it."""

    name: str
    distribution: str
    module: str
    class_name: str


@click.command("new-plugin", short_help="Write a plugin package to start from.")
@click.argument("name")
@click.option(
    "--dir",
    "folder",
    type=click.Path(path_type=Path),
    metavar="FOLDER",
    help="Where the package goes.  [default: wsframe-NAME]",
)
def new_plugin_command(name: str, folder: Path | None) -> None:
    """Write the package wsframe-NAME: one hook, settings, tests, README, licence, CI.

    It passes its tests, ruff and mypy --strict, and builds a wheel, as it is. A folder that exists
    is never written to.

    \b
    Examples:
      wsframe new-plugin shout
      wsframe new-plugin rate-limit --dir ~/src/rate-limit
    """  # noqa: D301 - click's marker for "do not rewrap"
    names = check_name(name)
    folder = folder or Path(names.distribution)
    files = write_package(names, folder)
    where = click.style(str(folder), bold=True)
    click.echo(f"wrote {names.distribution} into {where}:", color=colour())
    for file in files:
        click.echo(f"  {file}")
    click.echo(
        f"\nNext:\n  cd {folder}\n  pip install --editable '.[dev]'\n  pytest\n"
        f"\nIts hook is in {names.module}/__init__.py."
    )


def check_name(given: str) -> Names:
    """What everything is called in the package of a plugin.

    Args:
        given: the plugin's name, or that of its package, ``wsframe-<name>``.

    Raises:
        click.BadParameter: it cannot be the name of a plugin, or another plugin has it.
    """
    from wsframe.hooks.discovery import RESERVED_NAMES, installed_plugins

    name = given.removeprefix(PREFIX)
    if not _NAME.fullmatch(name):
        better = re.sub(r"[^a-z0-9]+", "-", name.lower().removeprefix("wsframe")).strip("-")
        hint = f" Did you mean {better!r}?" if given.isascii() and _NAME.fullmatch(better) else ""
        raise click.BadParameter(
            f"{given!r}: a name has small letters and digits, single hyphens between them, and "
            f"starts with a letter.{hint}",
            param_hint="NAME",
        )
    if len(name) > MAX_NAME_LENGTH:
        raise click.BadParameter(
            f"{given!r}: a name has at most {MAX_NAME_LENGTH} characters.", param_hint="NAME"
        )
    if name in RESERVED_NAMES:
        raise click.BadParameter(
            f"{given!r}: [plugins] has a setting of this name, so no plugin can have it.",
            param_hint="NAME",
        )
    for plugin in installed_plugins():
        if plugin.name == name:
            raise click.BadParameter(
                f"{given!r}: {plugin.described} is installed and has this name; two plugins of one "
                "name cannot be loaded.",
                param_hint="NAME",
            )
    words = name.split("-")
    return Names(
        name=name,
        distribution=PREFIX + name,
        module=(PREFIX + name).replace("-", "_"),
        class_name="".join(map(str.capitalize, words)) + "Plugin",
    )


def write_package(names: Names, folder: Path) -> list[str]:
    """Write the files into a new folder; returns their paths in it.

    Raises:
        StartError: the folder exists, or cannot be written.
    """
    values = {
        **names._asdict(),
        "versions": _versions(__version__),
        "year": datetime.now(UTC).year,
    }
    templates = resources.files("wsframe.cli") / "package_template"
    texts = {
        path.format(module=names.module): Template(
            (templates / template).read_text(encoding="utf-8")
        ).substitute(values)
        for path, template in _FILES.items()
    }
    texts[f"{names.module}/py.typed"] = ""
    try:
        folder.mkdir(parents=True)
        for path, text in texts.items():
            file = folder / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")
    except FileExistsError:
        raise StartError(
            f"{folder} exists, and nothing is written over what is there",
            hint="Remove it, or name another folder with --dir.",
        ) from None
    except OSError as error:
        raise StartError(f"{error.filename}: cannot be written: {error.strerror}") from error
    return sorted(texts)


def _versions(version: str) -> str:
    """The versions of wsframe that a plugin made for this one may expect to work with."""
    major, minor = map(int, version.split(".")[:2])
    following = f"0.{minor + 1}" if major == 0 else f"{major + 1}"
    return f">={major}.{minor},<{following}"
