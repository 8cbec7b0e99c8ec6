"""What any client must see in the conversation of ``tests/node/conversation.mjs``."""

from __future__ import annotations

from typing import Any

import msgspec

from wsframe.demo.stories import answer_to

MIB = 1024 * 1024


def check_shared_conversation(seen: dict[str, Any]) -> None:
    """Judge what the script reported."""
    _check_answers(seen)
    _check_stream(seen["stream"]["received"])
    assert seen["msgpack"]["protocol"] == "wsframe.v1.msgpack"
    packed = msgspec.msgpack.decode(bytes(seen["msgpack"]["bytes"]))
    assert (packed["replyTo"], packed["content"]) == ("1", {"text": "Echo: packed"})
    assert seen["closeNormal"] == {"code": 1000, "wasClean": True}
    assert seen["closeBinaryOnJson"]["code"] == 1003
    assert seen["closeTooBig"]["code"] == 1009
    assert seen["closeSecondInit"]["code"] == 4400


def _check_answers(seen: dict[str, Any]) -> None:
    text = _only_answer(seen["text"])
    assert seen["text"]["protocol"] == "wsframe.v1.json"
    assert (text["type"], text["content"]) == ("text", {"text": "Echo: Hi, 世界 🌍"})

    assert seen["withoutSubprotocol"]["protocol"] == ""
    assert _only_answer(seen["withoutSubprotocol"])["content"] == {"text": "Echo: bare"}

    init = _only_answer(seen["init"])
    assert init["type"] == "init"
    assert (init["content"]["resumed"], init["content"]["seq"]) == (False, 0)
    assert len(init["content"]["secret"]) >= 22, "128 random bits take 22 base64 characters"

    error = _only_answer(seen["error"])
    assert error["type"] == "error"
    assert error["content"]["code"] == "math.division_by_zero"
    assert error["content"]["retryable"] is False

    pong = _only_answer(seen["pingMessage"])
    assert (pong["type"], pong["transient"]) == ("pong", True)

    large = _only_answer(seen["large"])
    assert large["content"]["text"] == f"Echo: {'x' * MIB}"


def _check_stream(received: list[dict[str, Any]]) -> None:
    *parts, final = received
    story = answer_to("Tell me a story")
    assert "".join(part["content"]["delta"] for part in parts) == story
    assert [part["final"] for part in parts] == [False] * len(story.split())
    assert (final["final"], final["content"]) == (True, {"words": len(parts)})


def _only_answer(scenario: dict[str, Any]) -> dict[str, Any]:
    (answer,) = scenario["received"]
    assert answer["replyTo"] == "1"
    assert answer["final"] is True
    assert isinstance(answer, dict)
    return answer
