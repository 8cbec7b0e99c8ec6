"""Taking up changed schema files while the server runs, for development."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from .files import Stamp, stamp

INTERVAL_S: Final = 0.5
"""Time between two looks at the files."""


class Watcher:
    """Looks at schema folders in a thread, and says when something in them has changed.

    Args:
        folders: what to look at.
        changed: called in the thread after a change, once the files have kept still for one look.
        seen: how the files were when they were read.
    """

    def __init__(self, folders: Sequence[Path], changed: Callable[[], None], seen: Stamp) -> None:
        self._folders = folders
        self._changed = changed
        self._seen = seen
        self._moving = seen
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run, name="wsframe-schemas", daemon=True)

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def stop(self) -> None:
        """Look no more; returns when the thread is gone."""
        self._end.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._end.wait(INTERVAL_S):
            self.look()

    def look(self) -> None:
        """Look once."""
        now = stamp(self._folders)
        if now != self._moving:  # somebody is still writing
            self._moving = now
        elif now != self._seen:
            self._seen = now
            self._changed()
