"""What the handlers have really done, compared with what the clients were told."""

from __future__ import annotations

from pathlib import Path


class Runs:
    """The runs that clients were told of, in an answer or its parts."""

    def __init__(self) -> None:
        self._told: dict[str, set[str]] = {}

    def told(self, message_id: str, run: str) -> None:
        """The whole answer to a message comes from this run of its handler."""
        self._told.setdefault(message_id, set()).add(run)

    def broken(self, database: Path) -> list[str]:
        """What is wrong: a handler ran again after its message was answered, or not at all.

        An answer that was lost with the process is interrupted, and its message may run anew; so
        the answer that the client has must be that of the last run.
        """
        done: dict[str, list[str]] = {}
        for line in _written(database):
            message_id, run = line.split()
            done.setdefault(message_id, []).append(run)
        return [
            f"{message_id!r} was answered by run {sorted(told)} of {done.get(message_id)}"
            for message_id, told in self._told.items()
            if list(told) != done.get(message_id, [])[-1:]
        ]


def runs_begun(database: Path) -> int:
    """How many runs of handlers have begun so far."""
    return len(_written(database))


def _written(database: Path) -> list[str]:
    file = database.with_name(database.name + ".runs")
    return file.read_text().splitlines() if file.exists() else []
