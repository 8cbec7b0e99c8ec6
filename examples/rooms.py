"""Chat rooms: enter, talk to everyone inside, see who is there, leave.

    wsframe run rooms:app

A session is in as many rooms as it likes. What is published goes to each of them once, and one
that reads slowly delays nobody.
"""

from typing import Annotated

import msgspec

from wsframe import App, Connection, HandlerError, Message

app = App()

Room = Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9-]{1,32}$")]


class Enter(msgspec.Struct):
    room: Room
    name: Annotated[str, msgspec.Meta(min_length=1, max_length=40)]


class Talk(msgspec.Struct):
    room: Room
    text: str


class InRoom(msgspec.Struct):
    room: Room


@app.handler("enter")
async def enter(message: Message[Enter], connection: Connection):
    room, name = message.content.room, message.content.name
    connection.metadata["name"] = name
    await app.rooms.publish(room, {"type": "entered", "content": {"room": room, "name": name}})
    await connection.join(room)
    return {"room": room, "members": len(app.rooms.members(room))}


@app.handler("talk")
async def talk(message: Message[Talk], connection: Connection):
    room = message.content.room
    if connection.session_id not in app.rooms.members(room):
        raise HandlerError("rooms.not_inside", f"Enter the room {room} first.")
    content = {"room": room, "name": connection.metadata["name"], "text": message.content.text}
    return {"receivers": await app.rooms.publish(room, {"type": "talked", "content": content})}


@app.handler("exit")
async def leave(message: Message[InRoom], connection: Connection):
    room = message.content.room
    await connection.leave(room)
    content = {"room": room, "name": connection.metadata.get("name", "somebody")}
    await app.rooms.publish(room, {"type": "left", "content": content})
