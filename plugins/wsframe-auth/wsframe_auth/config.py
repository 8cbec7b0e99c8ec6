"""``[plugins.auth]``: typed, checked, and never shown with its secrets."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from .origins import check_allowed
from .permissions import check_pattern

Seconds = Annotated[float, msgspec.Meta(ge=0, le=31_536_000)]
Positive = Annotated[float, msgspec.Meta(gt=0, le=31_536_000)]

_MATERIAL = ("secret", "secret_file", "public_key", "public_key_file", "jwks_url")


class KeySource(msgspec.Struct, forbid_unknown_fields=True, kw_only=True, frozen=True):
    """Whose tokens count, and the keys they are checked with.

    Exactly one of ``secret``, ``secret_file``, ``public_key``, ``public_key_file`` and ``jwks_url``
    says where the keys are.
    """

    algorithms: tuple[str, ...] = ()
    """The signature algorithms that count, all of one family for one key, e.g. ``["HS256"]``."""
    secret: str | None = None
    """The shared secret of HS256, HS384 or HS512, at least as long as the hash."""
    secret_file: str | None = None
    """A file with the secret; a line end at its end does not count. Read again when it changes."""
    public_key: str | None = None
    """The public key as PEM text."""
    public_key_file: str | None = None
    """A PEM file with the public key. Read again when it changes."""
    jwks_url: str | None = None
    """A JSON Web Key Set (RFC 7517): ``https``, or ``http`` on this machine."""
    issuer: str | None = None
    """What ``iss`` must be; None: it is not looked at."""
    audience: tuple[str, ...] = ()
    """One of these must be in ``aud``; empty: a token with an ``aud`` is refused."""

    @property
    def material(self) -> list[str]:
        """The settings that say where keys are, of those that are there."""
        return [name for name in _MATERIAL if getattr(self, name) is not None]

    def __repr__(self) -> str:
        return f"<{type(self).__name__} issuer={self.issuer!r} {'+'.join(self.material)}>"


class Config(KeySource, forbid_unknown_fields=True, kw_only=True, frozen=True):
    """``[plugins.auth]``."""

    policy: Literal["required", "optional", "anonymous"] = "required"
    """``required``: nobody without a valid token. ``optional``: who has none is anonymous, and who
    has a bad one is refused. ``anonymous``: tokens are not looked at."""
    issuers: tuple[KeySource, ...] = ()
    """Further issuers, each with its own keys; each needs its ``issuer``."""
    require: tuple[str, ...] = ("exp", "sub")
    """Claims that must be there; ``sub`` must be among them."""
    leeway_s: Annotated[float, msgspec.Meta(ge=0, le=300)] = 2.0
    """By how much the issuer's clock may differ from this one, in seconds."""
    scope_claims: tuple[str, ...] = ("scope", "scp", "roles")
    """Claims whose words, or list entries, are the scopes; ``a.b`` is ``b`` inside of ``a``."""

    cookie: str | None = None
    """Take the token from this cookie, if the page is of one of ``cookie_origins``."""
    cookie_origins: tuple[str, ...] = ("same-origin",)
    """Pages whose cookie counts: ``same-origin``, or origins like ``https://chat.example``."""
    query_parameter: str | None = None
    """Take the token from this parameter of the URL. Proxies log URLs: avoid it."""
    init_timeout_s: Seconds = 10.0
    """A connection without a token at the handshake has so long to send one in ``init``, then it is
    closed with 4401; 0: the handshake needs one. Only with ``required``."""

    revoked: str | None = None
    """``module:function``: asked for each token that is presented, ``await function(identity)``;
    True: it was revoked."""

    warn_before_s: Seconds = 60.0
    """How long before a token expires its client is told; 0: not at all."""
    grace_s: Seconds = 2.0
    """How long a client with an expired token may still renew it; then it is closed with 4401."""

    permissions: dict[str, tuple[str, ...]] = {}
    """Scopes that a message type needs, all of them, by type or pattern."""
    default_permission: Literal["allow", "authenticated", "deny"] = "allow"
    """Who may send types that no pattern names."""
    rooms: dict[str, tuple[str, ...]] = {}
    """Scopes that joining a room needs, all of them, by name or pattern; who has them may join."""
    default_room: Literal["application", "deny"] = "application"
    """Who decides about rooms that no pattern names."""

    jwks_refresh_s: Positive = 600.0
    """How often key sets are fetched anew."""
    jwks_cooldown_s: Positive = 30.0
    """How long no key set is fetched again, whatever keys tokens name."""
    jwks_timeout_s: Annotated[float, msgspec.Meta(gt=0, le=60)] = 5.0
    """How long a fetch may take."""
    jwks_max_bytes: Annotated[int, msgspec.Meta(ge=1, le=16_777_216)] = 262_144
    """How large a key set may be."""

    def __post_init__(self) -> None:
        if "sub" not in self.require:
            raise ValueError("require: 'sub' must be among them, it says who the client is")
        for entry in self.cookie_origins:
            check_allowed(entry)
        for name in ("permissions", "rooms"):
            for pattern in getattr(self, name):
                check_pattern(name, pattern)

    def __repr__(self) -> str:
        return f"<Config policy={self.policy} {super().__repr__()}>"
