"""The chat message as the Python peers handle it: parsed with ``json``, checked by hand.

The answer is as small as it can be, in favour of the peers: wsframe's also carries ``replyTo``,
``final`` and an id of its own.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator

SCHEMA = Path(__file__).with_name("message.schema.json")
VALIDATOR = Draft202012Validator(json.loads(SCHEMA.read_text(encoding="utf-8")))


class BadMessage(ValueError):
    """The message is no chat message."""


def parse(payload: str | bytes) -> dict[str, Any]:
    """The message in ``payload``, every field checked; raises BadMessage."""
    message = json.loads(payload)
    if type(message) is not dict:
        raise BadMessage("not an object")
    id_ = message.get("id")
    if type(id_) is not str or not 1 <= len(id_) <= 128:
        raise BadMessage("id")
    type_ = message.get("type")
    if type(type_) is not str or not 1 <= len(type_) <= 64:
        raise BadMessage("type")
    content = message.get("content")
    if type(content) is not dict:
        raise BadMessage("content")
    text = content.get("text")
    if type(text) is not str or len(text) > 10_000:
        raise BadMessage("text")
    timestamp = message.get("timestamp")
    if timestamp is not None and type(timestamp) is not str:
        raise BadMessage("timestamp")
    return message


def check(payload: str | bytes) -> dict[str, Any]:
    """As :func:`parse`, but checked against the JSON Schema."""
    message: dict[str, Any] = json.loads(payload)
    if not VALIDATOR.is_valid(message):
        raise BadMessage("not valid")
    return message


def answer(payload: str | bytes, read: Callable[[str | bytes], dict[str, Any]] = parse) -> str:
    """The answer to the chat message in ``payload``, as JSON text; raises BadMessage."""
    message = read(payload)
    return json.dumps(
        {
            "id": message["id"],
            "type": message["type"],
            "content": {"text": f"Echo: {message['content']['text']}"},
            "timestamp": datetime.now(UTC).isoformat(timespec="milliseconds"),
        }
    )
