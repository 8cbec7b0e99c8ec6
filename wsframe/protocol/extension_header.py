"""The grammar of ``Sec-WebSocket-Extensions`` (RFC 6455 section 9.1)."""

from __future__ import annotations

import re
from collections.abc import Sequence

_NAME_CHARACTERS = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
_PARAMETER = re.compile(
    rf"[ \t]*;[ \t]*({_NAME_CHARACTERS})"
    rf'(?:[ \t]*=[ \t]*(?:({_NAME_CHARACTERS})|"({_NAME_CHARACTERS})"))?'
)
_NAME = re.compile(rf"({_NAME_CHARACTERS})")
_SEPARATOR = re.compile(r"[ \t]*(?:,|\Z)")
_EMPTY_ELEMENTS = re.compile(r"(?:[ \t]*,)*[ \t]*")

Extension = tuple[str, list[tuple[str, str | None]]]
"""A name and its parameters in order; the value of a parameter without one is None."""


class ExtensionHeaderError(Exception):
    """The header does not follow the grammar."""


def parse_extensions(values: Sequence[str]) -> list[Extension]:
    """Read all headers of this name, in order.

    Empty elements of the list are skipped (RFC 9110 section 5.6.1.2).

    Raises:
        ExtensionHeaderError: one of them is malformed.
    """
    extensions: list[Extension] = []
    for value in values:
        position = _skip_empty_elements(value, 0)
        while position < len(value):
            name = _NAME.match(value, position)
            if name is None:
                raise ExtensionHeaderError(f"no extension name at position {position}")
            position = name.end()
            parameters: list[tuple[str, str | None]] = []
            while (parameter := _PARAMETER.match(value, position)) is not None:
                parameters.append((parameter[1], parameter[2] or parameter[3]))
                position = parameter.end()
            separator = _SEPARATOR.match(value, position)
            if separator is None:
                raise ExtensionHeaderError(f"unexpected character at position {position}")
            position = _skip_empty_elements(value, separator.end())
            extensions.append((name[1], parameters))
    return extensions


def _skip_empty_elements(value: str, position: int) -> int:
    empty = _EMPTY_ELEMENTS.match(value, position)
    return empty.end() if empty else position
