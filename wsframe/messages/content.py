"""Typed content: the content of a message as a Struct, for handlers that name one."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import inspect

from wsframe.errors import Refused
from wsframe.messages.envelope import Message
from wsframe.messages.problems import problem_of


def has_other_keys(content_type: Any) -> bool:
    """Does ``content_type`` have maps whose keys are something else than text?

    True where msgspec cannot tell. Conversion is quicker without them.
    """
    try:
        due: list[Any] = [inspect.type_info(content_type)]
    except TypeError:
        return True
    seen: set[int] = set()
    while due:
        info = due.pop()
        if isinstance(info, inspect.DictType) and not isinstance(
            info.key_type, (inspect.StrType, inspect.AnyType)
        ):
            return True
        if isinstance(info, (tuple, list)):
            due += info
        elif isinstance(info, msgspec.Struct) and id(info) not in seen:
            seen.add(id(info))
            due += msgspec.structs.astuple(info)
    return False


def convert_content(
    message: Message[Any],
    content_type: Any,
    other_keys: bool = True,
) -> None:
    """Make the content of ``message`` a ``content_type``, in place.

    That is any type msgspec converts to. Conversion is strict:
    ``"1"`` is no int. Dates, UUIDs, decimals and ``bytes`` (base64) may come as text, and the
    keys of a map may be numbers, as JSON has them, unless ``other_keys`` is False.

    Raises:
        Refused: ``invalid_content``, and the message is as it was; the details give the path,
            like ``$.content.text``.
    """
    try:
        if other_keys:
            message.content = msgspec.convert(message.content, content_type, str_keys=True)
        else:
            message.content = msgspec.convert(message.content, content_type)
    except msgspec.ValidationError as error:
        raise Refused("invalid_content", details=[problem_of(error, "$.content")]) from None
