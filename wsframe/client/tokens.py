"""Where a client's token comes from."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable

Token = str | Callable[[], str | Awaitable[str]] | None
"""A token, or a function, async or not, that returns a new one at each call; None: no token."""


class TokenSource:
    """Keeps a token until it is told that it is not good any more.

    Args:
        token: the token, or what makes tokens.
    """

    __slots__ = ("_known", "_token")

    def __init__(self, token: Token) -> None:
        self._token = token
        self._known = token if isinstance(token, str) else None

    @property
    def can_renew(self) -> bool:
        """Is there a way to get another one?"""
        return callable(self._token)

    def discard(self) -> None:
        """The token is not good any more: the next one will be new, where that is possible."""
        if self.can_renew:
            self._known = None

    async def get(self) -> str | None:
        """The token; None: there is none.

        Raises:
            Exception: whatever the function raises.
            TypeError: it does not return a string.
        """
        if self._known is None and callable(self._token):
            found = self._token()
            if inspect.isawaitable(found):
                found = await found
            if not isinstance(found, str):
                raise TypeError(f"the token must be a str, not {type(found).__name__}")
            self._known = found
        return self._known
