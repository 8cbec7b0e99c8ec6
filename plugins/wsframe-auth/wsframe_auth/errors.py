"""Why a token does not count."""

from __future__ import annotations


class InvalidToken(Exception):
    """A token does not count.

    Args:
        reason: for the operator's log; nothing of the token is in it.
        message: for the client, who learns no more than that.
    """

    def __init__(self, reason: str, message: str = "The token is not valid.") -> None:
        super().__init__(reason)
        self.reason = reason
        self.message = message


class KeysUnavailable(Exception):
    """A token cannot be checked: there are no keys at the moment."""
