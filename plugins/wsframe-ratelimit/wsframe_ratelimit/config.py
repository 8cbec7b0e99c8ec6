"""``[plugins.ratelimit]``."""

from __future__ import annotations

import math
from collections.abc import Mapping
from fractions import Fraction
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Final, Literal

import msgspec

Network = IPv4Network | IPv6Network

SLOWEST: Final = 1e-6
FASTEST: Final = 1e6
"""Tokens per second."""
LARGEST: Final = 10**9
BURST_S: Final = 5
"""A burst that nobody chose is what so many seconds bring."""
BUILT_IN: Final = frozenset(
    {"init", "ping", "pong", "ack", "cancel", "join", "leave", "system", "error"}
)


def _check_rate(rate: float) -> None:
    if not SLOWEST <= rate <= FASTEST:  # not a number is refused too
        raise ValueError(f"rate is {rate:g}, and must be between {SLOWEST:g} and {FASTEST:g}")


def _check_burst(burst: int | None) -> None:
    if burst is not None and not 1 <= burst <= LARGEST:
        raise ValueError(f"burst is {burst}, and must be between 1 and {LARGEST}")


def _burst(rate: float, burst: int | None) -> int:
    return max(1, math.ceil(BURST_S * rate)) if burst is None else burst


class Limit(msgspec.Struct, forbid_unknown_fields=True, kw_only=True, frozen=True):
    """So many in a second, and so many at once after a pause."""

    rate: float
    """Tokens that come back in a second; a message takes one, or what its type costs."""
    burst: int | None = None
    """Tokens that there are at most. None: what comes back in five seconds."""

    def __post_init__(self) -> None:
        _check_rate(self.rate)
        _check_burst(self.burst)

    @property
    def tokens(self) -> int:
        """Tokens that there are at most."""
        return _burst(self.rate, self.burst)

    @property
    def exact_rate(self) -> Fraction:
        """The rate as it was written: 0.1 is a tenth."""
        return Fraction(str(self.rate))


class TypeRule(msgspec.Struct, forbid_unknown_fields=True, kw_only=True, frozen=True):
    """What holds for one message type beside the limits for all."""

    cost: int = 1
    """Tokens that a message of this type takes from the limits for all; 0: none."""
    rate: float | None = None
    """Messages of this type in a second. None: no limit of its own."""
    burst: int | None = None
    """Messages of this type at once. None: those of five seconds."""
    per: Literal["sender", "connection"] = "sender"
    """Whose messages are counted together: those of one identity, or of one address where nobody
    is authenticated, or of one connection."""

    def __post_init__(self) -> None:
        if not 0 <= self.cost <= LARGEST:
            raise ValueError(f"cost must be between 0 and {LARGEST}")
        if self.rate is not None:
            _check_rate(self.rate)
        elif self.burst is not None:
            raise ValueError("burst needs a rate")
        _check_burst(self.burst)

    @property
    def limit(self) -> Limit | None:
        """The limit of its own."""
        return None if self.rate is None else Limit(rate=self.rate, burst=self.burst)


class Config(msgspec.Struct, forbid_unknown_fields=True, kw_only=True, frozen=True):
    """``[plugins.ratelimit]``."""

    connection: Limit | None = Limit(rate=20, burst=100)
    """Messages of one connection, or of the session that it resumes. None, here and below: there is
    no such limit."""
    identity: Limit | None = Limit(rate=50, burst=250)
    """Messages of one authenticated subject, over all its connections."""
    address: Limit | None = Limit(rate=200, burst=1_000)
    """Messages from one address: IPv4, or the first 64 bits of IPv6."""
    handshakes: Limit | None = Limit(rate=10, burst=100)
    """Upgrade requests from one address; one more is answered 429."""
    violations: Limit | None = Limit(rate=1, burst=100)
    """Refused messages of one connection; one more closes it with 4429."""
    types: Mapping[str, TypeRule] = {}
    """What single message types cost, and their own limits."""
    exempt_addresses: tuple[str, ...] = ("127.0.0.0/8", "::1")
    """Addresses and networks without a limit per address: a proxy in front of the server."""
    trusted_proxies: tuple[str, ...] = ()
    """Addresses and networks whose ``X-Forwarded-For`` is believed."""
    max_keys: int = 50_000
    """Identities, or addresses, that each limit remembers at most."""
    shared: bool = True
    """Count together with the other nodes, where the store offers it."""

    def __post_init__(self) -> None:
        if not 1 <= self.max_keys <= 10_000_000:
            raise ValueError("max_keys must be between 1 and 10000000")
        for name in ("exempt_addresses", "trusted_proxies"):
            for entry in getattr(self, name):
                _network(name, entry)
        for name, rule in self.types.items():
            if name in BUILT_IN:
                raise ValueError(f"types: {name!r} is the protocol's own type and is not counted")
            self._check_cost(name, rule)

    def _check_cost(self, message_type: str, rule: TypeRule) -> None:
        for name in ("connection", "identity", "address"):
            limit: Limit | None = getattr(self, name)
            if limit is not None and rule.cost > limit.tokens:
                raise ValueError(
                    f"types: a message of type {message_type!r} costs {rule.cost} and would never "
                    f"pass: {name} has a burst of {limit.tokens}"
                )

    @property
    def counts_messages(self) -> bool:
        """Is there any limit for messages?"""
        limits = (self.connection, self.identity, self.address)
        return any(limits) or any(rule.rate for rule in self.types.values())

    def rates(self) -> list[Fraction]:
        """Every rate."""
        limits = [
            self.connection, self.identity, self.address, self.handshakes, self.violations,
            *(rule.limit for rule in self.types.values()),
        ]  # fmt: skip
        return [limit.exact_rate for limit in limits if limit is not None]

    def networks(self, name: Literal["exempt_addresses", "trusted_proxies"]) -> list[Network]:
        """The networks that a setting names."""
        entries: tuple[str, ...] = getattr(self, name)
        return [_network(name, entry) for entry in entries]


def _network(name: str, entry: str) -> Network:
    try:
        return ip_network(entry)
    except ValueError as error:
        raise ValueError(
            f"{name}: {entry!r} is no address or network, such as '10.0.0.0/8' or '::1' ({error})"
        ) from None
