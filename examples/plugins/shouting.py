"""A plugin in one file: refuses messages that shout. Start it with ``--plugins-dir``:

wsframe run chat:app --plugins-dir plugins
"""

from wsframe import Refused, hookimpl

LONGEST_SHOUT = 20  # characters in capitals that still count as an abbreviation


@hookimpl
async def message_received(connection, message):
    text = message.content.get("text") if isinstance(message.content, dict) else None
    if isinstance(text, str) and len(text) > LONGEST_SHOUT and text.isupper():
        raise Refused("shouting.too_loud", "Please don't write everything in capitals.")
