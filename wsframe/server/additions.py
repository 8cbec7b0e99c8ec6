"""What plugins add to an application at its start, so that it can be taken back at its stop.

An application can be started again, perhaps with other plugins or other settings for them. What it
consists of then must be what its author said, and nothing that an earlier start has left.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

_MISSING: Any = object()


class Additions:
    """Notes what is put into some dicts and lists, from its making until :meth:`end`.

    Args:
        containers: dicts, and lists that things are only appended to.
    """

    def __init__(self, containers: Sequence[dict[Any, Any] | list[Any]]) -> None:
        self._containers = containers
        self._before = [container.copy() for container in containers]
        self._added: list[dict[Any, Any] | list[Any]] = []

    @property
    def growth(self) -> int:
        """How much more there is now than when this was made."""
        return sum(map(len, self._containers)) - sum(map(len, self._before))

    def end(self) -> None:
        """What is put in from now on is somebody else's."""
        for container, before in zip(self._containers, self._before, strict=True):
            if isinstance(container, dict):
                assert isinstance(before, dict)
                self._added.append(
                    {k: v for k, v in container.items() if before.get(k, _MISSING) is not v}
                )
            else:
                self._added.append(container[len(before) :])

    def take_back(self) -> None:
        """Take out what was put in, and put back what it replaced; calls :meth:`end` if need be."""
        if not self._added:
            self.end()
        for container, before, added in zip(
            self._containers, self._before, self._added, strict=True
        ):
            if isinstance(container, dict):
                assert isinstance(before, dict)
                assert isinstance(added, dict)
                for key, value in added.items():
                    if container.get(key, _MISSING) is value:
                        if key in before:
                            container[key] = before[key]
                        else:
                            del container[key]
            else:
                for value in added:
                    if value in container:
                        container.remove(value)
