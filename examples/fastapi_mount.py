"""wsframe inside a FastAPI application: REST on one side, the chat under /chat/ws on the other.

    uvicorn fastapi_mount:web

Both run in one process and one event loop, so a request can send to everyone who is connected.
"""

from fastapi import FastAPI

from wsframe import App

chat = App()


@chat.handler("text")
async def echo(message, connection):
    return {"text": f"Echo: {message.content['text']}"}


web = FastAPI(title="A shop with a chat")


@web.get("/orders/{number}")
async def order(number: int):
    return {"order": number, "state": "packed"}


@web.post("/orders/{number}/ship")
async def ship(number: int):
    told = await chat.broadcast({"type": "shipped", "content": {"order": number}})
    return {"order": number, "state": "shipped", "told": told}


web.mount("/chat", chat)
