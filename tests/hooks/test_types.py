"""What hooks may expect of the objects they get is there."""

from __future__ import annotations

import inspect

import pytest

import wsframe
from wsframe.hooks import types


def members(protocol: type) -> list[str]:
    names = [*vars(protocol), *protocol.__annotations__]
    return [name for name in names if not name.startswith("_")]


@pytest.mark.parametrize("name", ["App", "Connection"])
def test_an_object_has_what_its_protocol_promises(name: str) -> None:
    promised, real = getattr(types, name), getattr(wsframe, name)
    assert members(promised)
    constructor = inspect.getsource(real.__init__).replace(",", " ").split()
    missing = [
        member
        for member in members(promised)
        if not hasattr(real, member) and f"self.{member}" not in constructor
    ]
    assert missing == []


@pytest.mark.parametrize("name", ["send", "join", "leave", "close"])
def test_a_connection_s_methods_have_the_promised_colour(name: str) -> None:
    promised = inspect.signature(getattr(types.Connection, name)).return_annotation
    real = getattr(wsframe.Connection, name)
    assert inspect.iscoroutinefunction(real) == promised.startswith("Awaitable")
