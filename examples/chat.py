# chat.py
from wsframe import App, Connection, Message, Reply, HandlerError

app = App()                                   # wsframe.toml, environment and keyword arguments: App(max_connections=1000, heartbeat_interval_s=30)

@app.handler("text")
async def echo(message: Message, connection: Connection):
    return {"text": f"Echo: {message.content['text']}"}

@app.handler("ask", concurrent=True, timeout_s=60)
async def ask(message, connection):           # an async generator streams: parts, then the final answer
    for word in message.content["prompt"].split():
        yield {"delta": word}
    yield Reply({"done": True})               # optional: the content of the final answer

@app.handler("divide")
async def divide(message, connection):
    if message.content["by"] == 0:
        raise HandlerError("math.division_by_zero", "by must not be 0", retryable=False)
    return Reply({"result": message.content["value"] / message.content["by"]}, type="quotient")

@app.handler("say")
async def say(message, connection):
    await connection.join("lobby")
    delivered_to = await app.rooms.publish("lobby", {"type": "said", "content": message.content})
    return {"receivers": delivered_to}
