"""What all tests share: how long Hypothesis may look, where the source tree is, and that every
message a server sends in this process is valid against the schemas."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from tests.schema_check import assert_valid
from wsframe.messages import Codec, Message
from wsframe.messages.codec import JsonCodec, MsgpackCodec
from wsframe.server.sending import Sender

LONG = {"browser", "cli", "docs", "faults", "integration", "packaging", "simulation"}
"""Folders of tests that start programs, and wait for them."""

# Shared machines are slow at times: a deadline would fail what is only late.
settings.register_profile(
    "default", deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True
)
settings.register_profile("quick", settings.get_profile("default"), max_examples=20)
settings.register_profile("thorough", settings.get_profile("default"), max_examples=2_000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))


@pytest.fixture(scope="session")
def source_tree() -> Path:
    """The root of the repository."""
    return Path(__file__).parent.parent


@pytest.fixture(scope="session", autouse=True)
def invalid_messages() -> Iterator[list[AssertionError]]:
    """Looks at every message that a server of this process sends; has what is wrong with them."""
    found: list[AssertionError] = []

    def looking(encode: Callable[[Any, Message[Any]], bytes]) -> Any:
        def looked_at(codec: Codec, message: Message[Any]) -> bytes:
            payload = encode(codec, message)
            if (
                sys._getframe(1).f_globals["__name__"] == Sender.__module__
            ):  # not a client's, or a test's
                try:
                    assert_valid(payload, codec.binary)
                except AssertionError as error:
                    found.append(error)
            return payload

        return looked_at

    with pytest.MonkeyPatch.context() as patch:
        for kind in (JsonCodec, MsgpackCodec):
            patch.setattr(kind, "encode", looking(kind.encode))
        yield found


@pytest.fixture(autouse=True)
def every_message_sent_is_valid(invalid_messages: list[AssertionError]) -> Iterator[None]:
    """Fails the test during which a server has sent a message that its schema does not allow."""
    yield
    if invalid_messages:
        found = [str(error) for error in invalid_messages]
        invalid_messages.clear()
        pytest.fail("a server sent:\n" + "\n".join(found))


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what takes long: at the end, no process shall be left alone with it."""
    items.sort(key=lambda item: item.path.parent.name not in LONG)


def pytest_collection_finish() -> None:
    """Keep the collector of garbage away from what stays until the end: each of thousands of tests.

    Many tests collect garbage themselves, and would look through all of it each time.
    """
    gc.collect()
    gc.freeze()


@pytest.hookimpl(wrapper=True)
def pytest_report_to_serializable() -> Iterator[Any]:
    """Let a report travel to the process that prints it, whatever a test has logged."""
    return _encodable((yield))


def _encodable(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode()
    if isinstance(value, dict):
        return {_encodable(key): _encodable(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(map(_encodable, value))
    return value
