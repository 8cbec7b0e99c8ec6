"""One message to many: encoded once for each codec, and written together."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import TYPE_CHECKING, Any

from ..messages import Codec
from .turns import TOGETHER_BYTES

if TYPE_CHECKING:
    from .roles import Link

MANY_CONNECTIONS = 32
"""So many connections and more are written together."""

Encode = Callable[[Codec], bytes]
"""Makes the frame of the message; called once for each codec."""


def push_all(connections: Collection[Any], encode: Encode) -> int:
    """Hand a numbered message to everybody whose session is not over.

    Returns:
        The number of connections it was handed to.
    """
    many = len(connections) >= MANY_CONNECTIONS
    encoded: dict[Codec, tuple[bytes, list[Link] | None]] = {}
    frame, together = b"", None
    last: Codec | None = None
    count = 0
    try:
        for connection in connections:
            codec: Codec = connection.codec
            if codec is not last:
                last = codec
                if codec not in encoded:
                    frame = encode(codec)
                    encoded[codec] = frame, [] if many and len(frame) <= TOGETHER_BYTES else None
                frame, together = encoded[codec]
            count += connection.push(frame, together)
    finally:  # where it is too large in one codec, those before have numbered it already
        for frame, together in encoded.values():
            if together:
                together[0].write_together(together, frame)
    return count


def push_all_unnumbered(connections: Collection[Any], encode: Encode) -> int:
    """Hand a message that does not count to everybody who is there.

    Returns:
        The number of connections it was handed to.
    """
    frames: dict[Codec, bytes] = {}
    count = 0
    for connection in connections:
        if connection.reachable:
            codec: Codec = connection.codec
            frame = frames.get(codec)
            if frame is None:
                frame = frames[codec] = encode(codec)
            connection.push_unnumbered(frame)
            count += 1
    return count
