"""Schema files: which there are, what they are for, and what is in them.

A folder holds ``<type>.schema.json`` for the messages that clients send, and in its subfolder
``outgoing`` the same for those that the server sends. Every other ``*.schema.json`` below it, and
one whose name begins with ``_`` (``_common.schema.json``), is there to be referred to.

A file has the address ``https://folder-<n>.invalid/<path>``: relative references between the files
of a folder work as they do on the web, and nothing is ever fetched from such a name (RFC 2606).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple
from urllib.parse import quote

import msgspec

SUFFIX: Final = ".schema.json"
OUTGOING: Final = "outgoing"
MAX_FILES: Final = 1_000
"""Schema files in one folder; more is a mistake, such as a whole disk."""
MAX_BYTES: Final = 1_048_576
"""Largest schema file."""

MAX_LEVELS: Final = 300
"""Levels of maps and lists in a schema file."""

_TYPE: Final = re.compile(r"[A-Za-z][A-Za-z0-9_.:-]{0,63}")


class Problem(NamedTuple):
    """What is wrong with a schema."""

    file: str
    path: str
    """A JSON Pointer (RFC 6901) into the file, as a fragment: ``#/properties/text``."""
    reason: str

    def __str__(self) -> str:
        """In one line, the file first."""
        return f"{self.file}{self.path}: {self.reason}"


class SchemaFile(NamedTuple):
    """One file that was read."""

    path: Path
    uri: str
    contents: Any
    """A map or a boolean: what JSON Schema calls a schema."""
    message_type: str | None
    """The type whose messages it is for; None: it is there to be referred to."""
    outgoing: bool
    """It is for messages of the server."""


Stamp = dict[str, tuple[int, int]]
"""Modification time in nanoseconds and size in bytes of each schema file."""


def stamp(folders: Sequence[Path]) -> Stamp:
    """What tells whether a schema file has changed, has come, or has gone."""
    found: Stamp = {}
    for folder in folders:
        for path in _paths(folder):
            try:
                status = path.stat()
            except OSError:
                continue  # gone between the listing and the look
            found[str(path)] = status.st_mtime_ns, status.st_size
    return found


def read_folders(folders: Sequence[Path]) -> tuple[list[SchemaFile], list[Problem]]:
    """Read every schema file below some folders.

    Returns:
        What could be read, and what is wrong with the others.
    """
    files: list[SchemaFile] = []
    problems: list[Problem] = []
    owners: dict[tuple[str, bool], Path] = {}
    for number, folder in enumerate(folders):
        if not folder.is_dir():
            problems.append(Problem(str(folder), "", "there is no such folder"))
            continue
        paths = list(_paths(folder))
        if len(paths) > MAX_FILES:
            problems.append(Problem(str(folder), "", f"holds more than {MAX_FILES} schema files"))
            continue
        for path in paths:
            found = _read(folder, path, number)
            if isinstance(found, Problem):
                problems.append(found)
                continue
            if found.message_type is not None:
                key = found.message_type, found.outgoing
                if key in owners:
                    reason = f"{owners[key]} is for the type {found.message_type!r}, too"
                    problems.append(Problem(str(path), "", reason))
                    continue
                owners[key] = path
            files.append(found)
    return files, problems


def _paths(folder: Path) -> Iterator[Path]:
    return iter(sorted(folder.rglob(f"*{SUFFIX}")))


def _read(folder: Path, path: Path, number: int) -> SchemaFile | Problem:
    relative = path.relative_to(folder)
    try:
        if not path.resolve().is_relative_to(folder.resolve()):
            return Problem(str(path), "", "leads out of its folder")
        if not path.is_file():
            return Problem(str(path), "", "is no file")
        if path.stat().st_size > MAX_BYTES:
            return Problem(str(path), "", f"is larger than {MAX_BYTES:,} bytes")
        contents = msgspec.json.decode(path.read_bytes())
    except OSError as error:
        return Problem(str(path), "", f"cannot be read: {error.strerror}")
    except RecursionError:
        return Problem(str(path), "", "is nested too deeply")
    except ValueError as error:
        return Problem(str(path), "", f"is not JSON: {error}")
    if _is_deep(contents):
        return Problem(str(path), "", "is nested too deeply")
    if not isinstance(contents, dict | bool):
        return Problem(str(path), "#", "a schema is a map, true or false")
    outgoing = relative.parts[:-1] == (OUTGOING,)
    name = relative.name.removesuffix(SUFFIX)
    named_by_type = (outgoing or len(relative.parts) == 1) and not name.startswith("_")
    if named_by_type and not _TYPE.fullmatch(name):
        reason = "its name is no message type; let it begin with '_' if it is only referred to"
        return Problem(str(path), "", reason)
    return SchemaFile(
        path=path,
        uri=f"https://folder-{number}.invalid/{quote(relative.as_posix())}",
        contents=contents,
        message_type=name if named_by_type else None,
        outgoing=outgoing,
    )


def _is_deep(contents: Any) -> bool:
    level = [contents]
    for _ in range(MAX_LEVELS):
        below: list[Any] = []
        for each in level:
            if isinstance(each, dict):
                below += each.values()
            elif isinstance(each, list):
                below += each
        if not below:
            return False
        level = below
    return True
