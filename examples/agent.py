"""An agent: it thinks, calls a tool, and streams its answer token by token.

The model is a stand-in that needs no network, so the example runs as it is. Put a real one behind
`Model.generate` and the rest stays. What wsframe does here: streams parts, cancels the generator
when the client asks for it or does not come back, bounds its time, and answers every message
exactly once.

    wsframe run agent:app
"""

import operator
import re
from collections.abc import AsyncIterator

import anyio
import msgspec

from wsframe import App, Connection, HandlerError, Message, Reply

TOKEN_DELAY_S = 0.03
HISTORY_MESSAGES = 20  # per session; older ones are forgotten

app = App()


class Prompt(msgspec.Struct):
    prompt: str


class Model:
    """A language model's interface, and answers made up from what it was told."""

    async def generate(self, history: list[dict], tool_result: float | None) -> AsyncIterator[str]:
        *earlier, asked = [said["text"] for said in history if said["role"] == "user"]
        if tool_result is not None:
            answer = f"I calculated it: the result is {tool_result:g}."
        elif earlier:
            answer = f"You said “{asked}”. Before that, it was “{earlier[-1]}”."
        else:
            answer = f"You said “{asked}”. Ask me what 6 times 7 is, and I will use a tool."
        for token in re.findall(r"\s*\S+", answer):
            await anyio.sleep(TOKEN_DELAY_S)
            yield token


OPERATIONS = {
    "plus": operator.add,
    "minus": operator.sub,
    "times": operator.mul,
    "divided by": operator.truediv,
}
CALCULATION = re.compile(rf"(-?\d+(?:\.\d+)?) ({'|'.join(OPERATIONS)}) (-?\d+(?:\.\d+)?)")


def calculate(left: str, operation: str, right: str) -> float:
    """The agent's tool."""
    try:
        return OPERATIONS[operation](float(left), float(right))
    except ZeroDivisionError:
        raise HandlerError("agent.tool_failed", "Nothing can be divided by zero.") from None


@app.handler("ask", concurrent=True, timeout_s=120)
async def ask(message: Message[Prompt], connection: Connection):
    """Parts: `{"tool", "arguments"}`, `{"tool", "result"}` and `{"delta"}`."""
    history = connection.metadata.setdefault("history", [])
    history.append({"role": "user", "text": message.content.prompt})

    result = None
    if call := CALCULATION.search(message.content.prompt):
        yield {"tool": "calculate", "arguments": list(call.groups())}
        result = calculate(*call.groups())
        yield {"tool": "calculate", "result": result}

    answer = ""
    async for token in Model().generate(history, result):
        answer += token
        yield {"delta": token}

    history.append({"role": "agent", "text": answer})
    del history[:-HISTORY_MESSAGES]
    yield Reply({"text": answer, "messages": len(history)})


@app.handler("forget")
async def forget(message, connection: Connection):
    """Start over. Returning nothing is answered too, with the type `ack`."""
    connection.metadata.pop("history", None)
