"""Keeps secrets out of what people read: logs, error messages, printed settings.

Two ways in. A *setting* is judged by its name (``secret``, ``token``, ``password``, key material);
a *text* of unknown origin, such as a log line, is searched for the shapes in which a token travels:
the bearer subprotocol, an ``Authorization`` or ``Cookie`` header, a ``token=`` in a URL or in a
repr, a JSON Web Token, a password inside a URL. When in doubt, it hides too much.

Every pattern runs in time linear in the text, because the text may come from a stranger.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

HIDDEN: Final = "***"

_SECRET_NAME: Final = re.compile(
    r"secret|token|password|passwd|passphrase|credential|private|authorization|cookie"
    r"|api[-_]?key|(?:^|[-_.])keys?$",
    re.IGNORECASE,
)
_PLACE_NAME: Final = re.compile(r"(?:file|path|dir|url|header|name|_s|_ms|_bytes)$", re.IGNORECASE)
"""``tls_key_file`` says where a key is, ``token_ttl_s`` how long it lasts: neither is secret."""

_VALUE: Final = r"""(?:"(?:[^"\\]|\\.)*"?|'(?:[^'\\]|\\.)*'?|[^\s"',;&)}\]]+)"""

_IN_TEXT: Final[tuple[tuple[re.Pattern[str], str], ...]] = (
    (re.compile(r"(wsframe\.bearer\.)[^\s\"',;)\]}]+", re.IGNORECASE), rf"\1{HIDDEN}"),
    (
        # A header as "Authorization: Bearer x", as a ("authorization", "Bearer x") pair, as bytes.
        re.compile(
            r"(\b(?:authorization|cookie)[\"']?\s?[:=,]\s?b?)"
            r"(?:\"[^\"\r\n]*|'[^'\r\n]*|[^\"'\r\n][^\r\n]*)",
            re.IGNORECASE,
        ),
        rf"\1{HIDDEN}",
    ),
    (re.compile(r"\b(bearer|basic)(\s)[A-Za-z0-9._~+/=-]{6,}", re.IGNORECASE), rf"\1\2{HIDDEN}"),
    (
        # "?token=x", "token='x'", '"accessToken": "x"', 'client_secret=x', "password: x".
        re.compile(
            r"((?:token|secret|password|passwd|passphrase|api[-_]?key)[\"']?\s?[:=]\s?b?)" + _VALUE,
            re.IGNORECASE,
        ),
        rf"\1{HIDDEN}",
    ),
    (re.compile(r"\beyJ[A-Za-z0-9_-]{4,}\.[A-Za-z0-9_-]*\.?[A-Za-z0-9_-]*"), HIDDEN),
    (re.compile(r"(://[^\s/:@]{0,128}:)[^\s/@]+@"), rf"\1{HIDDEN}@"),
)


def is_secret_name(name: str) -> bool:
    """Would the value of a setting or field of this name be a secret?"""
    return _SECRET_NAME.search(name) is not None and _PLACE_NAME.search(name) is None


def redact_text(text: str) -> str:
    """``text`` with ``***`` for every token, password and key that is recognizable as one."""
    for pattern, replacement in _IN_TEXT:
        text = pattern.sub(replacement, text)
    return text


def redact_value(name: str, value: Any) -> Any:
    """The value of the setting ``name``, fit to be shown, tables and lists included."""
    if isinstance(value, Mapping):
        return {key: redact_value(str(key), inner) for key, inner in value.items()}
    if value is not None and not isinstance(value, bool) and is_secret_name(name):
        return HIDDEN
    if isinstance(value, str):
        return redact_text(value)
    if isinstance(value, Sequence) and not isinstance(value, bytes | bytearray):
        return [redact_value(name, inner) for inner in value]
    return value
