"""A server in a process of its own, started as a user starts it."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from wsframe.testing.faults.process import STOP_TIMEOUT_S, Process

__all__ = ["BIN", "STOP_TIMEOUT_S", "RunningServer"]

BIN = Path(sys.executable).parent


class RunningServer(Process):
    """Start ``command`` and wait until it prints the address it accepts connections on.

    Args:
        command: program and arguments; a program without a slash is taken from this environment.
        cwd: the folder it is started in.
        settings: environment variables on top of a clean environment.
    """

    def __init__(
        self, command: Sequence[str], *, cwd: Path, settings: Mapping[str, str] | None = None
    ) -> None:
        program, *arguments = command
        found = program if "/" in program else str(BIN / program)
        super().__init__([found, *arguments], cwd=cwd, settings=settings)
