"""pip, or uv where there is no pip: what changes the environment that wsframe runs in."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

import click
from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from wsframe.errors import StartError

PREFIX: Final = "wsframe-"
_ARCHIVES: Final = (".whl", ".tar.gz", ".zip")


class Installer(NamedTuple):
    """A program that installs into this environment."""

    name: str
    command: tuple[str, ...]
    options: tuple[str, ...]
    """Behind ``install`` or ``uninstall``."""

    def run(self, action: str, arguments: Sequence[str], *options: str) -> None:
        """Install or uninstall; what the program has to say goes to standard error.

        Raises:
            StartError: it failed.
        """
        command = [*self.command, action, *self.options, *options, *arguments]
        done = subprocess.run(  # noqa: S603 - no shell, and options are refused in resolve()
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
        )
        click.echo(done.stdout, err=True, nl=False)
        if done.returncode:
            raise StartError(
                f"{self.name} could not {action} {', '.join(arguments)} "
                f"(exit code {done.returncode}); its own words are above",
                hint=f"To look closer: {' '.join([*self.command, action, *arguments])}",
            )


def find_installer() -> Installer:
    """Pip of this environment, or uv.

    Raises:
        StartError: there is neither.
    """
    if importlib.util.find_spec("pip") is not None:
        return Installer(
            "pip",
            (sys.executable, "-P", "-m", "pip"),
            ("--quiet", "--disable-pip-version-check", "--no-input"),
        )
    beside = Path(sys.executable).with_name("uv")
    uv = str(beside) if beside.exists() else os.environ.get("UV") or shutil.which("uv")
    if uv:
        return Installer("uv", (uv, "pip"), ("--quiet", "--python", sys.executable))
    raise StartError(
        f"there is neither pip nor uv to install with into {sys.prefix}",
        hint=f"{sys.executable} -m ensurepip",
    )


def resolve(spec: str) -> str:
    """What is asked of pip for ``spec``: ``auth`` is ``wsframe-auth``, the rest stays as it is.

    Args:
        spec: a plugin's name, with extras and versions if need be; a requirement; a file; a URL.

    Raises:
        StartError: it is nothing that could be installed as a plugin.
    """
    if spec.startswith("-"):
        raise StartError(
            f"{spec!r} is an option of pip, not a plugin",
            hint="pip reads its options from variables too: PIP_INDEX_URL, PIP_NO_INDEX, ...",
        )
    if _is_place(spec):
        if "://" not in spec and not Path(spec.partition("[")[0]).exists():
            raise StartError(f"there is no file {spec!r}")
        return spec
    try:
        requirement = Requirement(spec)
    except InvalidRequirement as error:
        raise StartError(
            f"{spec!r} names no plugin: {str(error).partition(chr(10))[0]}",
            hint="Write a name (auth, 'auth>=0.1'), a wheel, a folder or a URL.",
        ) from error
    if requirement.url:
        return spec
    name = canonicalize_name(requirement.name)
    if name == "wsframe":
        raise StartError(
            "wsframe is no plugin of its own", hint="pip install --upgrade wsframe renews it."
        )
    requirement.name = name if name.startswith(PREFIX) else PREFIX + name
    return str(requirement)


def _is_place(spec: str) -> bool:
    """Is it a file, a folder or a URL? A bare name never is, whatever lies around here."""
    if " @ " in spec:
        return False
    return (
        "://" in spec
        or "/" in spec
        or os.sep in spec
        or spec.partition("[")[0].endswith((".", *_ARCHIVES))
    )
