"""``wsframe install`` and ``wsframe uninstall``: pip for plugins, and what that has changed."""

from __future__ import annotations

import importlib.metadata
import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import Any, Final

import click
from packaging.utils import canonicalize_name

from wsframe.cli.installer import PREFIX, Installer, find_installer, resolve
from wsframe.cli.output import colour, say, say_warning
from wsframe.cli.plugin_rows import row_lines
from wsframe.config_sources import load_config
from wsframe.errors import PluginError, StartError
from wsframe.hooks.discovery import installed_plugins

_ASK: Final = "Go on?"

_yes_option = click.option("-y", "--yes", is_flag=True, help="Do not ask.")


@click.command("install", short_help="Install plugins beside wsframe.")
@click.argument("specs", nargs=-1, required=True, metavar="SPEC...")
@click.option("-U", "--upgrade", is_flag=True, help="Take newer versions of what is installed.")
@click.option(
    "--find-links", metavar="DIR", help="Look for packages in this folder too, or at this URL."
)
@click.option("--no-index", is_flag=True, help="Look nowhere else.")
@_yes_option
def install_command(
    specs: Sequence[str], find_links: str | None, *, upgrade: bool, no_index: bool, yes: bool
) -> None:
    """Install plugins into the environment of wsframe, with pip, or uv where there is no pip.

    SPEC is the name of a plugin, a requirement, a wheel, a folder or a URL; a name without the
    prefix gets it. What is installed is active at the next start. Exit code 3: a new plugin cannot
    be loaded.

    \b
    Examples:
      wsframe install auth                     wsframe-auth, from the package index
      wsframe install 'ratelimit>=0.1,<0.2' --yes
      wsframe install ./dist/wsframe_shout-0.1.0-py3-none-any.whl
    """  # noqa: D301 - click's marker for "do not rewrap"
    wanted = [resolve(spec) for spec in specs]
    for spec, resolved in zip(specs, wanted, strict=True):
        if resolved != spec:
            say(f"{spec} is {resolved}")
    installer = find_installer()
    _confirm(f"{installer.name} will install {', '.join(wanted)} into {sys.prefix}.", yes=yes)
    options = ["--upgrade"] * upgrade + ["--no-index"] * no_index
    options += [f"--find-links={find_links}"] if find_links else []
    load_config()  # where it is wrong, nobody could look at what was installed
    known = {plugin.name: plugin.version for plugin in installed_plugins()}
    installer.run("install", wanted, *options)
    _tell(known, _report(), wanted)


@click.command("uninstall", short_help="Uninstall plugins.")
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
@_yes_option
def uninstall_command(names: Sequence[str], *, yes: bool) -> None:
    """Uninstall plugins: by the name of the plugin, or that of its package.

    Packages that are no plugins of wsframe are left alone, as are those a plugin has brought along.

    \b
    Examples:
      wsframe uninstall auth
      wsframe uninstall wsframe-ratelimit --yes
    """  # noqa: D301 - click's marker for "do not rewrap"
    distributions = list(dict.fromkeys(_distribution_of(name) for name in names))
    installer = find_installer()
    _confirm(
        f"{installer.name} will uninstall {', '.join(distributions)} from {sys.prefix}.", yes=yes
    )
    _uninstall(installer, distributions)
    report = _report()
    left = {plugin["distribution"] for plugin in report["plugins"]}
    for distribution in distributions:
        if distribution in left:
            raise StartError(f"{distribution} is still there, though {installer.name} has run")
        click.echo(f"uninstalled {distribution}; it is gone at the next start")
    for problem in report["problems"]:
        say_warning(problem["message"])


def _uninstall(installer: Installer, distributions: Sequence[str]) -> None:
    asks = ("--yes",) if installer.name == "pip" else ()
    installer.run("uninstall", distributions, *asks)


def _distribution_of(name: str) -> str:
    """The distribution of a plugin.

    Args:
        name: the plugin's, or the distribution's with or without the prefix.

    Raises:
        StartError: no plugin of this name is installed.
    """
    plugins = [plugin for plugin in installed_plugins() if plugin.distribution]
    for plugin in plugins:
        assert plugin.distribution is not None
        known = {plugin.name, canonicalize_name(plugin.distribution)}
        if name in known or canonicalize_name(name) in known:
            return plugin.distribution
    for installed in (name, PREFIX + name):
        try:
            distribution = importlib.metadata.distribution(installed)
        except (importlib.metadata.PackageNotFoundError, ValueError):
            continue
        raise StartError(
            f"{distribution.name} is installed, but it is no plugin of wsframe",
            hint=f"pip uninstall {distribution.name}",
        )
    near = get_close_matches(name, [plugin.name for plugin in plugins], n=1)
    raise StartError(
        f"no plugin {name!r} is installed",
        hint=f"Did you mean {near[0]!r}?" if near else "'wsframe plugins' shows what there is.",
    )


def _confirm(what: str, *, yes: bool) -> None:
    if yes:
        return
    click.echo(what, err=True)
    try:
        agreed = click.confirm(_ASK, err=True)
    except click.Abort:
        click.echo(err=True)
        raise StartError("nobody answers, so nothing was changed", hint="--yes goes on.") from None
    if not agreed:
        raise StartError("nothing was changed")


def _report() -> dict[str, Any]:
    """What ``wsframe plugins`` of a new process sees: this one has imported what was there.

    Raises:
        StartError: it cannot even look.
    """
    done = subprocess.run(
        [sys.executable, "-P", "-m", "wsframe", "plugins", "--json"],
        capture_output=True,
        text=True,
        check=False,
    )
    try:
        report: dict[str, Any] = json.loads(done.stdout)
    except json.JSONDecodeError:
        raise StartError(
            "'wsframe plugins' cannot look at the plugins: "
            + (done.stderr.strip().partition("\n")[0] or f"exit code {done.returncode}")
        ) from None
    return report


def _tell(known: Mapping[str, str | None], after: dict[str, Any], wanted: Sequence[str]) -> None:
    """Say what an installation has changed.

    Raises:
        PluginError: a new plugin cannot be loaded.
        StartError: there is no new plugin, though something was installed.
    """
    changed = [
        plugin
        for plugin in after["plugins"]
        if plugin["name"] not in known or plugin["version"] != known[plugin["name"]]
    ]
    for plugin in changed:
        was = known.get(plugin["name"])
        did = f"installed, was {was}" if was else "installed"
        click.echo(f"{did}: {plugin['distribution']} {plugin['version']}")
        click.echo("\n".join(row_lines(plugin, len(plugin["name"]))), color=colour())
    if not changed:
        _tell_of_nothing(after, wanted)
        return
    broken = [plugin["name"] for plugin in changed if plugin["state"] == "broken"]
    if broken:
        raise PluginError(broken[0], "it is installed, and cannot be loaded; see above")
    for problem in after["problems"]:
        say_warning(problem["message"])
    names = " ".join(f"-p no:{plugin['name']}" for plugin in changed)
    click.echo(f"At the next start of the server that is in force; {names} leaves it out.")


def _tell_of_nothing(after: dict[str, Any], wanted: Sequence[str]) -> None:
    installed = {canonicalize_name(plugin["distribution"] or "") for plugin in after["plugins"]}
    names = [canonicalize_name(_name_in(spec)) for spec in wanted]
    if all(name in installed for name in names):
        click.echo(f"nothing has changed: {', '.join(names)} was installed already")
        return
    raise StartError(
        f"{', '.join(wanted)}: installed, but there is no plugin of wsframe in it",
        hint="A plugin's package has an entry point in the group wsframe.plugins.",
    )


def _name_in(spec: str) -> str:
    """The distribution's name in a requirement, or in the name of a file."""
    last = spec.partition(" @ ")[0].rstrip("/").rpartition("/")[2]
    for end in "-[<>=!~; ":
        if end != "-" or last.endswith((".whl", ".gz", ".zip")):
            last = last.partition(end)[0]
    return last
