"""Files with what should not stand among the settings."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from wsframe import PluginError


def read_secret(setting: str, name: str, check: Callable[[str], object]) -> str:
    """The one text in a file, without the space around it.

    Args:
        setting: that names the file.
        name: of the file.
        check: raises ValueError for what cannot be it, with a reason that does not quote it.

    Raises:
        PluginError: it cannot be read, or is refused.
    """
    try:
        text = Path(name).read_text(encoding="utf-8").strip()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "it is no text"
    else:
        try:
            check(text)
            return text
        except ValueError as error:
            reason = str(error)
    raise PluginError("monitoring", f"{setting} = {name!r}: {reason}")
