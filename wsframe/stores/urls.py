"""From the setting ``store`` to the store."""

from __future__ import annotations

from ..config import Config
from ..errors import StoreError
from .base import Store
from .memory import MemoryStore
from .sqlite import SqliteStore

_SHAPES = "sqlite:///chat.db is in the working directory, sqlite:////var/lib/chat.db anywhere."


def make_store(url: str, config: Config) -> Store | None:
    """Make the store that ``url`` names, without opening it.

    Args:
        url: ``memory:``, or ``sqlite:///`` and the path of a file.
        config: with ``durability`` and ``resume_window_s``.

    Returns:
        None: wsframe does not know this scheme; a plugin may.

    Raises:
        StoreError: the scheme is known, the rest makes no sense.
    """
    scheme, colon, rest = url.partition(":")
    if scheme == "memory" and colon:
        if rest:
            raise StoreError(
                f"the store {url!r}: memory: takes nothing else", hint="Write memory: alone."
            )
        return MemoryStore(resume_window_s=config.resume_window_s)
    if scheme == "sqlite" and colon:
        return SqliteStore(
            _path_of(url, rest),
            durability=config.durability,
            resume_window_s=config.resume_window_s,
        )
    return None


def _path_of(url: str, rest: str) -> str:
    path = rest.removeprefix("///")
    if rest.strip("/") in ("", ":memory:"):
        raise StoreError(
            f"the store {url!r} names no file",
            hint="For example sqlite:///chat.db; what need not outlive the process is memory:",
        )
    if path == rest:
        raise StoreError(f"the store {url!r} must begin with three slashes or four", hint=_SHAPES)
    if "?" in path or "#" in path or "\x00" in path:
        raise StoreError(
            f"the store {url!r}: the path of the file may not hold ? or #",
            hint="How safe it is, is the setting durability.",
        )
    return path
