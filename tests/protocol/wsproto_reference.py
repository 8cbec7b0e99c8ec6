"""What plain wsproto makes of a stream, driven as its documentation says.

Good for streams on which wsproto is right: without limits, without close code 1014, and without
control frames inside compressed messages.
"""

from __future__ import annotations

from collections.abc import Iterable

from wsproto.connection import Connection, ConnectionState, ConnectionType
from wsproto.events import BytesMessage, CloseConnection, TextMessage
from wsproto.events import Ping as WsprotoPing
from wsproto.events import Pong as WsprotoPong
from wsproto.extensions import Extension, PerMessageDeflate

from wsframe.protocol.connection import State
from wsframe.protocol.events import CloseReceived, Event, Failed, Ping, Pong


def deflate_extension() -> PerMessageDeflate:
    """wsproto's own extension, agreed upon without context takeover."""
    extension = PerMessageDeflate()
    extension.finalize("permessage-deflate; client_no_context_takeover")
    return extension


def play_wsproto(
    chunks: Iterable[bytes], *, client: bool = False, deflate: bool = False
) -> tuple[list[Event], bytes, State]:
    """The events, the automatic replies and the final state.

    The reason of a failure is left empty: its wording is wsproto's.
    """
    extensions: list[Extension] = [deflate_extension()] if deflate else []
    connection = Connection(ConnectionType.CLIENT if client else ConnectionType.SERVER, extensions)
    events: list[Event] = []
    parts: list[str | bytes] = []
    output = b""
    for chunk in chunks:
        connection.receive_data(chunk)
        for event in connection.events():
            if isinstance(event, (TextMessage, BytesMessage)):
                parts.append(event.data)
                if event.message_finished:
                    joined = "" if isinstance(event, TextMessage) else b""
                    events.append(joined.join(parts))  # type: ignore[arg-type]
                    parts.clear()
            elif isinstance(event, WsprotoPing):
                events.append(Ping(bytes(event.payload)))
                output += connection.send(event.response())
            elif isinstance(event, WsprotoPong):
                events.append(Pong(bytes(event.payload)))
            elif isinstance(event, CloseConnection):
                code = int(event.code)
                if connection.state is ConnectionState.OPEN:
                    return [*events, Failed(code, "")], output, State.FAILED
                events.append(CloseReceived(code, event.reason or ""))
                output += connection.send(CloseConnection(code=event.code))
                return events, output, State.CLOSED
    return events, output, State.OPEN
