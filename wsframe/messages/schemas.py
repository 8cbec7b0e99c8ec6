"""The JSON Schemas (2020-12) of the wire protocol, as they ship with wsframe.

``envelope`` is every message, ``client-message`` and ``server-message`` one direction, and each
built-in type has its own. They refer to each other by relative URIs such as
``envelope.schema.json``.
"""

from __future__ import annotations

from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any, Final

import msgspec

_SUFFIX: Final = ".schema.json"


def names() -> list[str]:
    """The names of all schemas, sorted."""
    found = (each.name for each in _folder().iterdir())
    return sorted(name.removesuffix(_SUFFIX) for name in found if name.endswith(_SUFFIX))


def load(name: str) -> dict[str, Any]:
    """The schema called ``name``, such as ``"envelope"`` or ``"init"``.

    Raises:
        KeyError: there is none.
    """
    if name not in names():
        raise KeyError(name)
    schema: dict[str, Any] = msgspec.json.decode((_folder() / f"{name}{_SUFFIX}").read_bytes())
    return schema


def _folder() -> Traversable:
    """``wsframe/schemas`` where the package is installed, ``schemas`` in a source tree."""
    installed = files("wsframe") / "schemas"
    return installed if installed.is_dir() else Path(__file__).parents[2] / "schemas"
