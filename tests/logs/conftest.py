"""Logging is global: each test leaves it as it was."""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator

import pytest

from wsframe import logs
from wsframe.config import Config
from wsframe.config_fields import DEBUG_SUBJECTS


@pytest.fixture(autouse=True)
def restored_logging() -> Iterator[None]:
    root = logging.getLogger()
    level = root.level
    yield
    logs.configure_logging(Config(), stream=io.StringIO())  # closes the log file of the test
    while logs._installed:
        root.removeHandler(logs._installed.pop())
    root.setLevel(level)
    for name in ("wsframe", *(f"wsframe.{each}" for each in DEBUG_SUBJECTS), "asyncio"):
        logging.getLogger(name).setLevel(logging.NOTSET)
