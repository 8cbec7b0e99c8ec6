"""What the messages layer costs, by itself: ``python -m benchmarks.codec_micro``.

Microseconds of CPU for one message (the least of several rounds), beside what msgspec and json
need for the same alone. Compare runs of one interpreter on one machine only.
"""

from __future__ import annotations

import argparse
import json
import platform
from collections.abc import Callable
from typing import Any

import msgspec

from wsframe.messages import (
    Message,
    MessageIds,
    Timestamps,
    check_type,
    convert_content,
    json_codec,
    msgpack_codec,
)

from .protocol_micro import microseconds, text_of


class Text(msgspec.Struct):
    text: str


def cases() -> dict[str, Callable[[], object]]:
    """Name to what is run."""
    chat = {
        "id": "1234",
        "type": "text",
        "content": {"text": text_of(32).decode()},
        "timestamp": "2026-01-31T10:00:00.000Z",
    }
    large = {**chat, "content": {"text": text_of(4096).decode()}}
    nested = {**chat, "content": [{"x": i, "y": [i, str(i)]} for i in range(1000)]}
    answer: Message[Any] = Message(
        type="text",
        id="k3q9-000001",
        content={"text": "Echo: " + text_of(32).decode()},
        timestamp="2026-01-31T10:00:00.000Z",
        reply_to="1234",
        final=True,
    )
    ids, stamp = MessageIds("k3q9"), Timestamps().stamp
    bare = msgspec.json.Decoder(Message[Any])
    typed: Message[Any] = Message(type="text", content=chat["content"])

    def as_json(value: Any) -> str:
        return msgspec.json.encode(value).decode()

    def convert() -> None:
        typed.content = chat["content"]
        convert_content(typed, Text)

    def decode_json(value: Any) -> Callable[[], object]:
        decode, payload = json_codec.decode, as_json(value)
        return lambda: decode(payload)

    def decode_msgpack(value: Any) -> Callable[[], object]:
        decode, payload = msgpack_codec.decode, msgspec.msgpack.encode(value)
        return lambda: decode(payload)

    chat_text = as_json(chat)
    return {
        "JSON, decode a chat message": decode_json(chat),
        "JSON, decode without checks (msgspec)": lambda: bare.decode(chat_text),
        "JSON, json.loads of the same": lambda: json.loads(chat_text),
        "JSON, decode a ping": decode_json({"id": "1", "type": "ping"}),
        "JSON, decode 4 KiB of text": decode_json(large),
        "JSON, decode an unknown field": decode_json({**chat, "version": 1}),
        "JSON, decode 1,000 small maps": decode_json(nested),
        "JSON, encode an answer": lambda: json_codec.encode(answer),
        "MessagePack, decode a chat message": decode_msgpack(chat),
        "MessagePack, decode 4 KiB of text": decode_msgpack(large),
        "MessagePack, decode an unknown field": decode_msgpack({**chat, "version": 1}),
        "MessagePack, decode 1,000 small maps": decode_msgpack(nested),
        "MessagePack, encode an answer": lambda: msgpack_codec.encode(answer),
        "convert content to a Struct": convert,
        "check a type": lambda: check_type("text"),
        "next id": ids.next,
        "stamp in the same millisecond": lambda: stamp(1_769_853_600.0),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description="Costs of the messages layer.")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--only", default="", help="run the cases whose name contains this")
    parser.add_argument("--seconds", type=float, default=0.7, help="for each case")
    options = parser.parse_args()
    result: dict[str, float | str] = {
        "interpreter": f"{platform.python_implementation()} {platform.python_version()}"
    }
    for name, run in cases().items():
        if options.only in name:
            result[name] = round(microseconds(run, 1, options.seconds), 3)
    if options.json:
        print(json.dumps(result))
    else:
        for name, value in result.items():
            print(f"{name:45} {value}")


if __name__ == "__main__":
    main()
