"""What a conversation through the JavaScript client must bring, wherever the client runs."""

from __future__ import annotations

from typing import Any


def check_client_conversation(seen: dict[str, Any]) -> None:
    """Judge what ``tests/node/client.mjs`` reported."""
    _check_answers(seen)
    _check_endings(seen)
    _check_connections(seen)


def _check_answers(seen: dict[str, Any]) -> None:
    assert seen["text"] == {
        "content": {"text": "Echo: Hi, 世界 🌍"},
        "status": "open",
        "hasSession": True,
        "statuses": ["connecting", "open", "closed"],
    }
    words = [{"delta": word} for word in ("tell", "me", "a", "story")]
    assert seen["stream"] == {"contents": words, "final": True}
    assert seen["retried"] == {"runs": 3}
    assert seen["pushed"]["numbers"] == list(range(100))
    assert seen["pushed"]["content"] == {"text": "Echo: acknowledged"}
    assert seen["sent"] == [[True, False], [True, False], [True, True]]
    assert seen["manyAtOnce"] == list(range(100))


def _check_endings(seen: dict[str, Any]) -> None:
    divided, misspelt = seen["errors"]
    assert divided == {
        "name": "RequestError",
        "code": "math.division_by_zero",
        "retryable": False,
        "details": {"by": 0},
    }
    assert misspelt["code"] == "unknown_type"
    assert "text" in misspelt["details"]["nearest"]
    assert seen["left"] == {
        "contents": [{"delta": "one"}, {"delta": "two"}],
        "cancelledAgain": False,
    }
    assert seen["aborted"]["name"] == "AbortError"
    assert seen["aborted"]["cancelledAgain"] is False
    assert (seen["cancelled"]["code"], seen["cancelled"]["cancelled"]) == ("cancelled", True)
    assert (seen["timeout"]["code"], seen["timeout"]["retryable"]) == ("timeout", True)
    assert seen["timeout"]["content"] == {"text": "Echo: after"}
    assert seen["timeout"]["cancelledAgain"] is False
    assert seen["tooBig"] == {
        "code": "message_too_big",
        "content": {"text": "Echo: after"},
        "statuses": ["connecting", "open", "closed"],
    }


def _check_connections(seen: dict[str, Any]) -> None:
    dropped = seen["dropped"]
    assert dropped["content"] == {"text": "Echo: meanwhile"}
    assert dropped["statuses"] == ["connecting", "open", "connecting", "resumed", "closed"]
    assert seen["resumed"] == {
        "complete": True,
        "final": True,
        "content": {"n": 7},
        "sessions": 1,
        "statuses": ["connecting", "open", *["connecting", "resumed"] * 2, "closed"],
    }
    assert seen["kicked"] == {
        "code": 4403,
        "reason": "kicked",
        "late": "closed",
        "statuses": ["connecting", "open", "closed"],
    }
    assert seen["renewedToken"]["content"] == {"text": "Echo: in"}
    assert seen["renewedToken"]["statuses"] == ["connecting", "connecting", "open", "closed"]
    assert seen["renewedToken"]["left"] == 0
    assert seen["staleToken"]["details"]["code"] == 4401
    assert seen["staleToken"]["statuses"] == ["connecting", "connecting", "closed"]
    assert seen["tokenInHandshake"] == {
        "content": {"text": "Echo: in"},
        "protocol": "wsframe.v1.json",
    }
