"""Close frames: which codes may be on the wire, and how code and reason become a payload.

RFC 6455 section 7.4 and the IANA registry of close codes (1014 is in it, and is valid).
"""

from __future__ import annotations

NO_STATUS = 1005
"""Reported, never sent: the close frame had no code."""
ABNORMAL = 1006
"""Reported, never sent: the connection ended without a close frame."""
PROTOCOL_ERROR = 1002
INVALID_PAYLOAD = 1007
POLICY_VIOLATION = 1008
TOO_BIG = 1009
BAD_GATEWAY = 1014

_MAX_REASON_BYTES = 123


def is_sendable(code: int) -> bool:
    """May ``code`` stand in a close frame?"""
    return 1000 <= code <= 1003 or 1007 <= code <= 1014 or 3000 <= code <= 4999


def close_payload(code: int, reason: str) -> bytes:
    """The payload of a close frame; empty for :data:`NO_STATUS`.

    ``reason`` is cut at 123 bytes, between two characters.
    """
    if code == NO_STATUS:
        return b""
    text = reason.encode("utf-8", "replace")
    if len(text) > _MAX_REASON_BYTES:
        text = text[:_MAX_REASON_BYTES].decode("utf-8", "ignore").encode()
    return code.to_bytes(2, "big") + text
