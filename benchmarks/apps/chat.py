"""The chat application that is measured: every limit, the heartbeat and the counters are on.

Plugins are not, whatever is installed beside it: they are measured by themselves.
"""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

from benchmarks.peers.options import address
from wsframe import App, Connection, Message

app = App(max_connections=20_000, **{"plugins.only": ()})
app.rooms.open_to_clients("lobby")


class Text(msgspec.Struct):
    text: Annotated[str, msgspec.Meta(max_length=10_000)]


@app.handler("text")
async def echo(message: Message[Text], _connection: Connection) -> dict[str, Any]:
    return {"text": f"Echo: {message.content.text}"}


@app.handler("publish")
async def publish(message: Message[Any], _connection: Connection) -> dict[str, Any]:
    said = {"type": "said", "content": message.content}
    return {"receivers": await app.rooms.publish("lobby", said)}


if __name__ == "__main__":
    host, port = address(__doc__)
    app.run(host=host, port=port)
