"""Error details that say where a message is wrong: ``[{"path": "$.ack", "message": "…"}]``.

A path starts at the envelope (``$``). Both texts may quote what the peer sent, so both are cut
at :data:`MAX_CHARACTERS`: a hostile message cannot make its error answer large.
"""

from __future__ import annotations

from typing import Final

import msgspec

from wsframe.errors import InvalidMessage

MAX_CHARACTERS: Final = 200
"""Longest ``path`` and longest ``message`` in the details, in characters."""


def problem(path: str, text: str) -> dict[str, str]:
    """One entry of an error's ``details``."""
    return {"path": _cut(path), "message": _cut(text)}


def problem_of(error: msgspec.ValidationError, root: str = "$") -> dict[str, str]:
    """The entry for an error of msgspec, whose text ends in `` - at `$.field` ``.

    ``root`` is the path of the value that msgspec was given.
    """
    text, _, place = str(error).rpartition(" - at ")
    if not text:
        return problem(root, place)
    # "`$.field`", or "`key` in `$.field`" when the key of a map is wrong.
    path = place.rpartition("`$")[2].rstrip("`")
    if place.startswith("`key` in "):
        text += " as a key"
    return problem(root + path, text)


def invalid(code: str, path: str, text: str, message_id: str | None = None) -> InvalidMessage:
    """The error for a message that is wrong at ``path``; ``message_id`` where it could be read."""
    return invalid_with(code, problem(path, text), message_id)


def invalid_with(
    code: str, detail: dict[str, str], message_id: str | None = None
) -> InvalidMessage:
    """The error with ``detail`` as its one entry of details."""
    error = InvalidMessage(code, details=[detail])
    error.message_id = message_id
    return error


def _cut(text: str) -> str:
    return text if len(text) <= MAX_CHARACTERS else text[: MAX_CHARACTERS - 1] + "…"
