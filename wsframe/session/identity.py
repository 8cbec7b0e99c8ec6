"""Who a session belongs to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec


class Identity(msgspec.Struct, frozen=True, kw_only=True):
    """The owner of a session, as authentication found it.

    Attributes:
        subject: a name that is stable for this owner, e.g. a token's ``sub``.
        scopes: what the owner may do, in the application's own words.
        claims: everything else that authentication knows; never sent to clients.
        expires_at: seconds since the epoch after which the identity is void; None: never.
        anonymous: nobody has authenticated.
        pending: it is still to come, in ``init``; no broadcast reaches the session until then.
    """

    subject: str
    scopes: frozenset[str] = frozenset()
    claims: Mapping[str, Any] = msgspec.field(default_factory=dict)
    expires_at: float | None = None
    anonymous: bool = False
    pending: bool = False


ANONYMOUS: Final = Identity(subject="anonymous", anonymous=True)
"""The identity of a connection that no plugin has authenticated."""
