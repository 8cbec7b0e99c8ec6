"""Turns of the event loop, in three steps: read everything, handle everything, write everything.

A system call between two messages costs more than itself: on its way through, the kernel takes the
interpreter's place in the caches of the processor. Measured with a hundred busy connections, a
message that is handled right behind another one needs 15 µs of Python, and one that is handled
between a ``read`` and a ``write`` 39 µs. Where there is nothing to put together, as with a single
client, the order of things is the same, and no turn of the loop is added to an answer's way.

For the same reason nothing is done between the writes. What is to be written is collected first,
and then written by a loop that runs in C. A message to many is not even given to each of their
links: it is kept once, with the links that get it. With a thousand receivers both together save
a fifth of what a delivery costs.

Whoever sends again as soon as it is answered must not just miss the next turn, and wait for twice
the time of all others. So what was handled is written in portions: those who were first have sent
again when the last are handled. And where many have been read, more is waiting by then: the loop
is asked once more before any of it is handled. Measured with a hundred such clients, the 99th
percentile of the latency falls by a third with each of the two.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from itertools import repeat
from operator import call, length_hint
from typing import Any, Protocol

MAX_READS = 256
"""So many reads are handled at once; nobody's answer waits for more of them."""
MANY_READS = 8
"""After so many reads in one turn, those of one more turn are waited for."""
PORTION_BYTES = 8_192
"""When so much was handled, what came of it is written: about 40 messages of a chat."""
TOGETHER_BYTES = 16_384
"""When so much waits for the same many links, it is written."""


class Reader(Protocol):
    """A link that can wait with what it has read."""

    def take(self, data: bytes) -> None:
        """Take it; never raises."""


class Writer(Protocol):
    """A link that can wait with what it has to write."""

    transport_write: Callable[[bytes], Any]
    """Writes bytes to the peer."""

    def flush(self) -> None:
        """Write what is due."""

    def take_output(self) -> bytes:
        """What is due; it counts as written."""

    def failed(self, error: Exception) -> None:
        """Something of ours raised ``error``: give this peer up."""


class Turns:
    """Puts together what links read and write in a turn of the loop.

    Args:
        call_soon: calls a function in the next turn of the loop.
    """

    __slots__ = (
        "_asked_again",
        "_call_soon",
        "_due",
        "_handling",
        "_reads",
        "_together",
        "_together_output",
    )

    def __init__(self, call_soon: Callable[[Callable[[], None]], Any]) -> None:
        self._call_soon = call_soon
        self._reads: list[tuple[Reader, bytes]] = []
        self._due: list[Writer] = []
        self._together: Sequence[Writer] = ()  # they get the same, before anything else
        self._together_output = b""
        self._handling = False
        self._asked_again = False  # the present reads have waited for those of one more turn

    def received(self, link: Reader, data: bytes) -> None:
        """Let ``link`` take ``data`` once everybody has read."""
        reads = self._reads
        if not reads:
            self._call_soon(self._begin)
        reads.append((link, data))
        if len(reads) >= MAX_READS:
            self.handle()

    def _begin(self) -> None:
        """Handle what was read in this turn, or look first whether there is more."""
        if len(self._reads) >= MANY_READS and not self._asked_again:
            self._asked_again = True
            self._call_soon(self._begin)
        else:
            self.handle()

    def handle(self) -> None:
        """Let the links take what they have read, in order, and write what comes of it."""
        reads, self._reads = self._reads, []
        self._asked_again = False
        if not reads:  # it was handled before its time
            return
        self._handling = True
        try:
            size = 0
            for link, data in reads:
                link.take(data)
                size += len(data)
                if size >= PORTION_BYTES:
                    size = 0
                    self._flush_due()
        finally:
            self._handling = False
            self._flush_due()

    def flush(self, link: Writer) -> None:
        """Write what ``link`` has: now, or with the portion that is being handled."""
        if self._handling:
            self._due.append(link)
        else:
            link.flush()

    def flush_soon(self, link: Writer) -> None:
        """Write what ``link`` will have at the end of this turn, with all others that wait."""
        due = self._due
        if not due and not self._together and not self._handling:
            self._call_soon(self._flush_due)
        due.append(link)

    def write_together(self, links: Sequence[Writer], output: bytes) -> None:
        """Write the same to many at the end of this turn, before what is due of single links.

        Args:
            links: none of them has anything to write yet.
            output: for each of them.
        """
        if self._together:
            before = self._together_output
            if links == self._together and len(before) < TOGETHER_BYTES:
                self._together_output = before + output
                return
            self.flush_together()
        if not self._due and not self._handling:
            self._call_soon(self._flush_due)
        self._together, self._together_output = links, output

    def flush_together(self) -> None:
        """Write now what many are to get: before one of them writes by itself, for example."""
        if self._together:
            links, self._together = self._together, ()
            _write(links, repeat(self._together_output))

    def _flush_due(self) -> None:
        self.flush_together()
        due, self._due = self._due, []
        links: list[Writer] = []
        outputs: list[bytes] = []
        for link in due:
            if output := link.take_output():
                links.append(link)
                outputs.append(output)
        _write(links, outputs)


def _write(links: Sequence[Writer], outputs: Iterable[bytes]) -> None:
    """Write to one link after the other."""
    upcoming = iter([link.transport_write for link in links])
    writing = map(call, upcoming, outputs)
    while True:
        try:
            deque(writing, maxlen=0)  # a loop in C: the interpreter rests between the calls
            return
        except Exception as error:  # noqa: BLE001 - it must not cost the others their frames
            links[len(links) - length_hint(upcoming) - 1].failed(error)
