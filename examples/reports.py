"""Reports that take a while: their clients get them over drops, and over restarts of the server.

Sessions, answers, and what runs are kept in `reports.db`. What wsframe cannot know is how far a
handler had come when the process died: its client is told `interrupted` and sends the message
again, with the same id. So the work is kept under that id, and goes on where it was.

    wsframe run reports:app
    python ask_for_report.py

Start the second one in another terminal; kill the server meanwhile, and start it again.
"""

import hashlib
from typing import Annotated

import anyio
import msgspec

from wsframe import App, Connection, Message

DRAFTS = anyio.Path("drafts")
CHAPTER_S = 0.5

app = App(store="sqlite:///reports.db", durability="strict", resume_window_s=3600)


class Order(msgspec.Struct):
    title: Annotated[str, msgspec.Meta(max_length=100)]
    chapters: Annotated[int, msgspec.Meta(ge=1, le=100)]


@app.handler("report", timeout_s=None)
async def report(message: Message[Order], connection: Connection):
    """The answer is `{"title", "chapters": [...]}`."""
    key = f"{connection.session_id} {message.id}"  # a client's id is no safe name for a file
    draft = DRAFTS / f"{hashlib.sha256(key.encode()).hexdigest()}.txt"
    await DRAFTS.mkdir(exist_ok=True)
    await draft.touch()
    written = (await draft.read_text()).splitlines()
    for number in range(len(written) + 1, message.content.chapters + 1):
        await anyio.sleep(CHAPTER_S)
        written.append(f"Chapter {number}")
        async with await draft.open("a") as file:
            await file.write(f"{written[-1]}\n")
    return {"title": message.content.title, "chapters": written}
