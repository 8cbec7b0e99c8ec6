"""The head of an HTTP message, before any parser sees it.

h11 parses; this module decides what h11 may see. It cuts the head out of the byte stream while
counting, so that a peer never makes us hold or scan more than the limit, and it refuses bytes on
which two readers of the same stream could disagree: bare CR or LF, line folding, NUL, other
controls and non-ASCII (RFC 9112 sections 2.2, 5.2 and 11). All of them are known ways to smuggle
a request or to break a log line, and no WebSocket client needs them.
"""

from __future__ import annotations

from typing import Final

MAX_HEADERS: Final = 128
"""Header lines in one head. Browsers send about 15; each costs a parser some microseconds."""

_END: Final = b"\r\n\r\n"
_HEAD_BYTES: Final = bytes(range(0x20, 0x7F)) + b"\t\r\n"


class HeadTooLarge(Exception):
    """The head is over the limit; ``in_first_line``: its first line alone already is."""

    def __init__(self, *, in_first_line: bool) -> None:
        super().__init__("head too large")
        self.in_first_line = in_first_line


class HeadReader:
    """Cuts one head, up to and including its empty line, out of chunks of any size.

    Args:
        limit: bytes of the head at most, empty line included.
    """

    __slots__ = ("_buffer", "_limit")

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._buffer: bytearray | None = None

    def receive_data(self, data: bytes) -> tuple[bytes, bytes] | None:
        """Take a chunk; return (head, what came behind it) once the head is complete.

        The time for a head is linear in its size, however it is cut. The reader starts over
        after a head.

        Raises:
            HeadTooLarge: the head is over the limit; nothing is kept of it.
        """
        buffer = self._buffer
        if buffer is None:  # nearly always: the whole head in one chunk, without a copy
            end = data.find(_END, 0, self._limit)
            if end >= 0:
                return data[: end + 4], data[end + 4 :]
            buffer = self._buffer = bytearray(data[: self._limit + 1])
        else:
            known = len(buffer)
            buffer += data[: self._limit + 1 - known]
            end = buffer.find(_END, max(0, known - 3), self._limit)
            if end >= 0:
                self._buffer = None
                return bytes(buffer[: end + 4]), data[end + 4 - known :]
        if len(buffer) > self._limit:
            self._buffer = None
            raise HeadTooLarge(in_first_line=buffer.find(b"\r\n", 0, self._limit) < 0)
        return None

    @property
    def started(self) -> bool:
        """Is the head begun, and not complete?"""
        return bool(self._buffer)


def fault_of(head: bytes) -> str | None:
    """Say what is wrong with the bytes of a complete head; None: nothing."""
    if head.translate(None, _HEAD_BYTES):
        return "The head contains a control character or a byte that is not ASCII."
    ends = head.count(b"\r\n")
    if head.count(b"\n") != ends or head.count(b"\r") != ends:
        return "A line of the head does not end with CR LF."
    if b"\r\n " in head or b"\r\n\t" in head:
        return "A header is folded over several lines."
    return None


def split_list(values: tuple[str, ...]) -> list[str]:
    """Return the elements of comma-separated headers in lower case (RFC 9110 section 5.6.1)."""
    if len(values) == 1 and "," not in values[0]:  # nearly always
        element = values[0].strip(" \t").lower()
        return [element] if element else []
    elements = (element.strip(" \t").lower() for element in ",".join(values).split(","))
    return [element for element in elements if element]
