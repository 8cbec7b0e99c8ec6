r"""Equal keys in one map: refused, because peers disagree about which of them counts.

**The cheap test.** Encode the decoded message again and compare. Decoding can only drop things:
the earlier ones of equal keys, unknown fields, fields that are null. Each takes away at least one
colon from a JSON text and at least one byte from MessagePack data; and neither gets any back:

- JSON: a colon stands behind each key, and inside strings; encoding writes one for each key that
  is left and does not escape those in strings. ``\u003a`` is the only other way to write a colon,
  so a text with ``\u003`` in it is not tested this way.
- MessagePack: the encoder uses the shortest form of every value, except that a number may have
  come as a 32-bit float and leave as a 64-bit one. So data with the marker byte of the former is
  not tested this way if the message has a number that could have come so.

The one thing that encoding adds is an absent ``content``. Where the content is empty, so that it
may have been absent, the difference must be exactly that of the missing field, or the field must
be seen in what was received. Seeing it cannot be a mistake: without a backslash in a JSON text,
``"content":`` can only be a key; in MessagePack the bytes can't be part of a UTF-8 string; and a
key of that name further down would need an unknown field around it, and more than one difference.

**The cheaper test** is for the messages that nearly all of them are: their content is one flat map.
Their colons can be counted in the decoded message itself. As above, there can only be more of them
in the text, never fewer.

**The exact check** parses again, keeping every key. Unknown fields are looked into as well.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from typing import Any, Final

import msgspec

from wsframe.errors import InvalidMessage
from wsframe.messages.envelope import Message
from wsframe.messages.plain import MAX_DEPTH, TOO_DEEP, is_deeper, step, walk
from wsframe.messages.problems import invalid

_FLOAT32: Final = 0xCA
_INTEGERS: Final = 2**63
_LONGEST_COUNTED: Final = 4_096
"""Characters; longer texts are compared as bytes, which is quicker by the character."""
_find_short_float: Final = re.compile(
    rb"\xcb....[\x00\x20\x40\x60\x80\xa0\xc0\xe0]\x00\x00\x00", re.DOTALL
).search
"""Finds a 64-bit float that 32 bits would do for: the last 29 bits of its fraction are 0."""
_EMPTY_CONTENT: Final = b"\xa7content\x80"

_NOT_NULL: Final = tuple(
    field.encode_name for field in msgspec.structs.fields(Message) if field.name != "content"
)


def is_flat_and_unique(text: str, message: Message[Any]) -> bool:
    """True: ``message`` is plain, its content one flat map, and ``text`` has no equal keys.

    False: perhaps it is not so.
    """
    content = message.content
    if type(content) is not dict or not content or len(text) > _LONGEST_COUNTED:
        return False
    for value in content.values():
        kind = type(value)
        if kind is int:
            if not -_INTEGERS <= value < 2 * _INTEGERS:
                return False
        elif kind is dict or kind is list:
            return False
    if "\\" in text and "\\u003" in text:
        return False
    # Most texts have no other colons than those behind "type", "content", "id", the keys of the
    # content and "timestamp", and the two of the timestamp itself: then none need be looked for.
    more = text.count(":") - 6 - len(content)
    timestamp = message.timestamp
    if more or timestamp is None or timestamp[13:17:3] != "::" or message.id is None:
        more += 6 - _other_colons(message)
    return not more


def _other_colons(message: Message[Any]) -> int:
    """How many colons stand behind the envelope's fields and within the strings of a message."""
    content: dict[str, Any] = message.content
    optional = (
        message.id, message.timestamp, message.session_id, message.traceparent, message.tracestate
    )  # fmt: skip
    strings = [text for text in optional if text is not None]
    fields = 2 + len(strings) + (message.ack is not None)
    strings += [message.type, *content]
    strings += [value for value in content.values() if type(value) is str]
    return fields + sum(text.count(":") for text in strings)


def surely_none_in_json(text: str, message: Message[Any], encoded: bytes) -> bool:
    """True: no equal keys, no unknown and no null fields in ``text``. False: perhaps."""
    if "\\" in text and "\\u003" in text:
        return False
    difference = text.count(":") - encoded.count(b":")
    if message.content or message.content != {}:
        return difference == 0
    return difference == -1 or (difference == 0 and '"content":' in text and "\\" not in text)


def surely_none_in_msgpack(data: bytes, message: Message[Any], encoded: bytes) -> bool:
    """True: no equal keys, no unknown and no null fields in ``data``. False: perhaps."""
    if _FLOAT32 in data and _find_short_float(encoded):
        return False
    difference = len(data) - len(encoded)
    if message.content or message.content != {}:
        return difference == 0
    return difference == -len(_EMPTY_CONTENT) or (difference == 0 and _EMPTY_CONTENT in data)


def check_json(text: str, message: Message[Any]) -> None:
    """Raise InvalidMessage for equal keys, too many levels, or a null field of the envelope.

    ``message`` is what ``text`` was decoded to.
    """
    try:
        root = _strict_decoder.decode(text)
    except _RepeatedKey as error:
        raise _repeated_in_json(text, error.key, message) from None
    # A level takes two characters at least.
    if len(text) > 2 * MAX_DEPTH and is_deeper(root, MAX_DEPTH):
        raise invalid("invalid_json", "$", TOO_DEEP, message.id)
    _check_nulls({name for name, item in root.items() if item is None}, message)


def check_msgpack(data: bytes, message: Message[Any]) -> None:
    """Raise InvalidMessage as :func:`check_json` does, and for keys that are not strings."""
    found = _find_in_msgpack(data, "$", MAX_DEPTH)
    if found is not None:
        path, text = found
        # At the top it may be the id that stands twice: no telling which one is meant.
        raise invalid("invalid_msgpack", path, text, None if path == "$" else message.id)
    fields = _map_decoder.decode(data)
    _check_nulls({name for name, item in fields.items() if item == _NIL}, message)


class _RepeatedKey(Exception):
    """A map with equal keys was met."""

    def __init__(self, key: str) -> None:
        super().__init__(key)
        self.key = key


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    items = dict(pairs)
    if len(items) == len(pairs):
        return items
    counts = Counter(key for key, _ in pairs)
    raise _RepeatedKey(next(key for key, times in counts.items() if times > 1))


def _unique_or_marker(pairs: list[tuple[str, Any]]) -> dict[str, Any] | _RepeatedKey:
    try:
        return _unique(pairs)
    except _RepeatedKey as error:
        return error


# Integers of any length may stand in unknown fields; int() would refuse 4,301 digits.
_strict_decoder: Final = json.JSONDecoder(object_pairs_hook=_unique, parse_int=str)
_marking_decoder: Final = json.JSONDecoder(object_pairs_hook=_unique_or_marker, parse_int=str)


def _repeated_in_json(text: str, key: str, message: Message[Any]) -> InvalidMessage:
    path = "$"
    root = _marking_decoder.decode(text)
    for path_of_item, item, _ in walk(root):
        if type(item) is _RepeatedKey:
            path, key = path_of_item, item.key
            break
    # At the top it may be the id that stands twice: no telling which one is meant.
    message_id = message.id if path != "$" else None
    return invalid("invalid_json", path, f"Key `{key}` stands more than once", message_id)


def _check_nulls(names: set[str], message: Message[Any]) -> None:
    # The encoder leaves out what is None, so a null field never passes the cheap test.
    for name in _NOT_NULL:
        if name in names:
            raise invalid("invalid_envelope", f"$.{name}", "Must not be null", message.id)


_map_decoder: Final = msgspec.msgpack.Decoder(dict[str, msgspec.Raw])
_list_decoder: Final = msgspec.msgpack.Decoder(list[msgspec.Raw])
_NIL: Final = msgspec.Raw(b"\xc0")
_MAPS: Final = frozenset({*range(0x80, 0x90), 0xDE, 0xDF})
_LISTS: Final = frozenset({*range(0x90, 0xA0), 0xDC, 0xDD})
_CONTAINERS: Final = _MAPS | _LISTS


def _find_in_msgpack(data: bytes, path: str, levels: int) -> tuple[str, str] | None:
    """Where in the map or list ``data`` is the first thing to refuse, and what is it?"""
    if not levels:
        return path, TOO_DEEP
    if data[0] in _MAPS:
        try:
            items = _map_decoder.decode(data)
        except msgspec.ValidationError:
            return path, "Expected `str` as a key"
        if len(items) != _entries(data):
            return path, "A key stands more than once"
        below = [(f".{name}", item) for name, item in items.items()]
    else:
        below = [(f"[{index}]", item) for index, item in enumerate(_list_decoder.decode(data))]
    for name, item in below:
        if memoryview(item)[0] in _CONTAINERS:
            found = _find_in_msgpack(bytes(item), step(path, name), levels - 1)
            if found is not None:
                return found
    return None


def _entries(data: bytes) -> int:
    """How many entries the header of a MessagePack map announces."""
    if data[0] == 0xDF:
        return int.from_bytes(data[1:5], "big")
    if data[0] == 0xDE:
        return int.from_bytes(data[1:3], "big")
    return data[0] & 0x0F
