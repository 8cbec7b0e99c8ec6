"""Without the ``fast`` extra wsframe masks in Python, and nothing else changes."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.protocol.streams import BINARY, KEY, TEXT, frame, server
from wsframe.protocol import frames, masking, pending, wsproto_driver

PROGRAM = """
import sys
sys.modules["websockets.speedups"] = None  # as if it were not installed
from wsframe.protocol import masking
assert masking.apply_mask is masking.mask_in_python
"""


def test_the_fallback_is_taken_where_the_compiled_masker_is_missing() -> None:
    subprocess.run([sys.executable, "-c", PROGRAM], check=True)


@pytest.mark.parametrize("size", [0, 5, 200, 5_000, 70_000])
def test_messages_are_unmasked_by_the_fallback(size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (frames, pending, wsproto_driver):
        monkeypatch.setattr(module, "apply_mask", masking.mask_in_python)
    stream = frame(TEXT, b"t" * size, key=KEY) + frame(BINARY, b"b" * size, key=KEY)
    assert server().receive_data(stream) == ["t" * size, b"b" * size]
    websocket = server()
    received = websocket.receive_data(stream[:4]) + websocket.receive_data(stream[4:-1])
    assert received + websocket.receive_data(stream[-1:]) == ["t" * size, b"b" * size]
