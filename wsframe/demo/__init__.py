"""The application behind ``wsframe demo``: one handler for each kind of answer, and a chat page.

It is a plain application: ``wsframe run wsframe.demo:app`` and ``uvicorn wsframe.demo:app`` start
it as well. Read it from top to bottom; nothing in it is special to the demo.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated, Any

import anyio
import msgspec

from wsframe import App, Connection, HandlerError, Message, Reply

from .pages import add_pages
from .stories import answer_to

__all__ = ["app"]

WORD_DELAY_S = 0.05
"""Pause between two words of a streamed answer: about the pace of a language model."""
SLOW_LIMIT_S = 2.0
"""What the handler ``slow`` is given before it is answered ``timeout``."""
LOBBY = "lobby"

app = App()
add_pages(app)


class Text(msgspec.Struct):
    """Content of ``text`` and ``say``."""

    text: str


class Ask(msgspec.Struct):
    """Content of ``ask``."""

    prompt: str


class Divide(msgspec.Struct):
    """Content of ``divide``."""

    value: float
    by: float


class Slow(msgspec.Struct):
    """Content of ``slow``."""

    seconds: Annotated[float, msgspec.Meta(ge=0, le=3600)] = 60.0


@app.handler("text")
async def echo(message: Message[Text], connection: Connection) -> dict[str, Any]:
    """One message, one answer."""
    return {"text": f"Echo: {message.content.text}"}


@app.handler("ask", concurrent=True, timeout_s=60)
async def ask(message: Message[Ask], connection: Connection) -> AsyncIterator[Any]:
    """Stream an answer word by word; other messages are answered in between."""
    words = answer_to(message.content.prompt).split()
    for position, word in enumerate(words):
        await anyio.sleep(WORD_DELAY_S)
        yield {"delta": word if position == 0 else f" {word}"}
    yield Reply({"words": len(words)})


@app.handler("divide")
async def divide(message: Message[Divide], connection: Connection) -> Reply:
    """Answer with a result, or with an error that tells the user what was wrong."""
    if message.content.by == 0:
        raise HandlerError("math.division_by_zero", "by must not be 0")
    return Reply({"result": message.content.value / message.content.by}, type="quotient")


@app.handler("slow", concurrent=True, timeout_s=SLOW_LIMIT_S)
async def slow(message: Message[Slow], connection: Connection) -> dict[str, Any]:
    """Take longer than allowed: wsframe answers ``timeout``, so that nobody waits for ever."""
    await anyio.sleep(message.content.seconds)
    return {"text": f"That took {message.content.seconds:g} s."}


@app.handler("enter")
async def enter(message: Message[Any], connection: Connection) -> dict[str, Any]:
    """Join the room whose messages ``say`` publishes."""
    await connection.join(LOBBY)
    return {"room": LOBBY}


@app.handler("say")
async def say(message: Message[Text], connection: Connection) -> dict[str, Any]:
    """Send a text to everyone who entered; ``from`` lets a page leave out its own."""
    said = {"text": message.content.text, "from": connection.session_id}
    return {"receivers": await app.rooms.publish(LOBBY, {"type": "said", "content": said})}
