"""Is what the server sends valid against ``schemas/``? For fixtures that see every message."""

from __future__ import annotations

import re
from typing import Any

import msgspec
from jsonschema import Draft202012Validator
from referencing import Registry, Resource

from wsframe.messages import schemas

BUILT_IN_TYPES = frozenset(
    {"init", "ping", "pong", "ack", "cancel", "join", "leave", "system", "error"}
)

_TIMESTAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", re.ASCII)


def _registry() -> Registry[Any]:
    resources = [Resource.from_contents(schemas.load(name)) for name in schemas.names()]
    return Registry().with_resources((each.id() or "", each) for each in resources)


REGISTRY = _registry()


def validator(name: str) -> Draft202012Validator:
    """A validator for one of the schemas that ship with wsframe."""
    return Draft202012Validator(schemas.load(name), registry=REGISTRY)


_server_message = validator("server-message")
_seen: set[bytes] = set()


def assert_valid(payload: bytes, binary: bool) -> None:
    """Assert that ``payload`` (of a frame, without its header) is a message a server may send.

    ``binary``: it is MessagePack, otherwise JSON. Messages that differ only in what their schema
    leaves open are validated once, so that this can look at every message of a load test.
    """
    decode = msgspec.msgpack.decode if binary else msgspec.json.decode
    message = decode(payload)
    skeleton = _skeleton(message)
    if skeleton in _seen:
        return
    errors = sorted(_server_message.iter_errors(message), key=str)
    assert not errors, "\n".join([f"not valid: {message!r}", *(str(error) for error in errors)])
    if len(_seen) < 10_000:
        _seen.add(skeleton)


def _skeleton(message: Any) -> bytes:
    """``message`` with everything replaced that is valid whatever it is."""
    if type(message) is dict:
        message = dict(message)
        for name in ("id", "replyTo"):
            if type(message.get(name)) is str and 1 <= len(message[name]) <= 128:
                message[name] = "an id"
        if type(message.get("timestamp")) is str and _TIMESTAMP.fullmatch(message["timestamp"]):
            message["timestamp"] = "2026-01-31T10:00:00.000Z"
        if message.get("type") not in BUILT_IN_TYPES and "content" in message:
            message["content"] = None
    return msgspec.msgpack.encode(message)
