"""Who is counted by which buckets, and what it means to find one of them empty.

A :class:`Sender` holds the buckets that a connection draws on, so that a message needs no look-up.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from wsframe import Connection, Identity
from wsframe.stores import TokenBucket

from .addresses import Addresses
from .buckets import (
    FORGOTTEN,
    NANOSECONDS,
    Bucket,
    Buckets,
    ticks_per_nanosecond,
    ticks_per_token,
)
from .config import Config, Limit, TypeRule

QUEUE: Final = 100
"""Refused messages that are told one moment after the other to come back at; the rest the last."""

Draw = tuple[Bucket, int, int]
"""A bucket, what to take from it, and what it may owe at most before, both in ticks."""


class Charge(NamedTuple):
    """What a message draws on."""

    draws: tuple[Draw, ...]
    names: tuple[str, ...]
    """Of the limits, one for each draw."""
    shared: tuple[TokenBucket, ...]
    """Those that other nodes count too."""


class Depth(NamedTuple):
    """A limit in ticks."""

    limit: Limit
    token: int
    """In which time a token comes back."""
    full: int
    """In which time a bucket fills."""


class Sender:
    """What is known of one connection, and of the session that it resumes."""

    __slots__ = (
        "closing", "connection_id", "identity", "own", "promised", "special", "types", "usual",
        "violations",
    )  # fmt: skip

    usual: Charge
    """For messages of most types."""
    violations: Charge
    """For messages that are refused."""
    identity: Identity
    connection_id: str

    def __init__(self) -> None:
        self.own = Bucket()
        self.types: dict[str, Bucket] = {}
        """Buckets of types that are counted per connection."""
        self.special: dict[str, Charge] = {}
        """For types with rules, once they were used."""
        self.promised = 0
        """Up to when refused messages were told to come back, in ticks."""
        self.closing = False
        """The connection was told to go."""


class Limits:
    """All limits and their buckets."""

    def __init__(self, config: Config) -> None:
        self.scale = ticks_per_nanosecond(config.rates())
        """Ticks in a nanosecond."""
        self.ticks_per_ms = self.scale * NANOSECONDS // 1_000
        self._connection = self._depth(config.connection)
        self._identity = self._depth(config.identity)
        self._address = self._depth(config.address)
        self._handshakes = self._depth(config.handshakes)
        self._violations = self._depth(config.violations)
        self._rules = dict(config.types)
        self._types = {name: self._depth(rule.limit) for name, rule in config.types.items()}
        self.addresses = Addresses(config)
        self._identities, self._from_addresses, self._handshaking = (
            Buckets(config.max_keys) for _ in range(3)
        )
        self._by_type = {name: Buckets(config.max_keys) for name in config.types}
        self.special_types = frozenset(config.types)

    def _depth(self, limit: Limit | None) -> Depth | None:
        if limit is None:
            return None
        token = ticks_per_token(limit.exact_rate, self.scale)
        return Depth(limit, token, limit.tokens * token)

    # Messages

    def meet(self, connection: Connection, known: Sender | None) -> Sender:
        """Find the buckets of a connection that is new, or not what it was.

        Args:
            known: what is known of its session.
        """
        sender = known or self._stranger()
        if known is None or known.connection_id != connection.id:
            sender.closing = False
        sender.connection_id = connection.id
        sender.identity = connection.identity
        sender.special.clear()
        sender.usual = self._charge(sender, connection, 1)
        return sender

    def _stranger(self) -> Sender:
        sender = Sender()
        depth = self._violations
        draws = () if depth is None else (_draw(Bucket(), depth, 1),)
        sender.violations = Charge(draws, (), ())
        return sender

    def special(self, sender: Sender, connection: Connection, message_type: str) -> Charge:
        """What a message of a type with rules draws on; :attr:`Sender.special` remembers it."""
        rule = self._rules[message_type]
        charge = self._charge(sender, connection, rule.cost)
        depth = self._types[message_type]
        if depth is not None:
            charge = self._and_its_own(charge, sender, connection, message_type, depth, rule)
        sender.special[message_type] = charge
        return charge

    def _charge(self, sender: Sender, connection: Connection, cost: int) -> Charge:
        found: list[tuple[str, str | None, Depth, Bucket]] = []
        if self._connection is not None:
            found.append(("connection", None, self._connection, sender.own))
        subject = _subject(sender.identity)
        if self._identity is not None and subject is not None:
            bucket = self._identities.find(subject)
            found.append(("identity", f"identity:{subject}", self._identity, bucket))
        if self._address is not None:
            address = self.addresses.key(connection.request)
            if address is not None:
                bucket = self._from_addresses.find(address)
                found.append(("address", f"address:{address}", self._address, bucket))
        if cost == 0:
            found.clear()
        return Charge(
            tuple(_draw(bucket, depth, cost) for _, _, depth, bucket in found),
            tuple(name for name, _, _, _ in found),
            tuple(_shared(key, depth.limit, cost) for _, key, depth, _ in found if key is not None),
        )

    def _and_its_own(
        self,
        charge: Charge,
        sender: Sender,
        connection: Connection,
        message_type: str,
        depth: Depth,
        rule: TypeRule,
    ) -> Charge:
        """``charge``, and one message from the bucket of the type itself."""
        subject = _subject(sender.identity)
        address = self.addresses.key(connection.request)
        shared = charge.shared
        if rule.per == "connection" or (subject is None and address is None):
            bucket = sender.types.setdefault(message_type, Bucket())
        else:
            key = f"identity:{subject}" if subject is not None else f"address:{address}"
            bucket = self._by_type[message_type].find(key)
            shared = (*shared, _shared(f"type:{message_type}:{key}", depth.limit, 1))
        return Charge((*charge.draws, _draw(bucket, depth, 1)), (*charge.names, "type"), shared)

    def refused(self, sender: Sender, charge: Charge, now: int) -> tuple[str, int]:
        """Which limit refuses a message, and how many milliseconds later it would not.

        Messages that are refused one after the other are told moments one after the other, so that
        those who come back when they were told to do not refuse each other again.
        """
        due, cost, name = max(
            (max(bucket.full_at, now) - room, cost, name)
            for (bucket, cost, room), name in zip(charge.draws, charge.names, strict=True)
        )
        return name, self.promise(sender, due, cost, now)

    def promise(self, sender: Sender, due: int, cost: int, now: int) -> int:
        """When a message that could be taken at ``due`` shall come back, in milliseconds."""
        slot = max(due, sender.promised)
        sender.promised = min(slot + cost, due + QUEUE * cost)
        return -((now - slot) // self.ticks_per_ms)

    # Handshakes

    def handshaking(self, address: str) -> Charge:
        """What an upgrade request draws on."""
        depth = self._handshakes
        assert depth is not None, "the hook is off otherwise"
        return Charge(
            (_draw(self._handshaking.find(address), depth, 1),),
            ("handshakes",),
            (_shared(f"handshakes:{address}", depth.limit, 1),),
        )


def take(charge: Charge, now: int) -> bool:
    """Take from every bucket of a charge, or from none."""
    for bucket, cost, room in charge.draws:
        full_at = bucket.full_at
        if full_at <= now:
            bucket.full_at = now + cost
        elif full_at - now <= room:
            bucket.full_at = full_at + cost
        else:
            give_back(charge, until=bucket)
            return False
    return True


def give_back(charge: Charge, *, until: Bucket | None = None) -> None:
    """Undo :func:`take`, in all buckets or in those before ``until``.

    A bucket that was full at ``now`` may be left as one that became full at ``now``: the same.
    """
    for bucket, cost, _ in charge.draws:
        if bucket is until:
            return
        if bucket.full_at != FORGOTTEN:
            bucket.full_at -= cost


def is_forgotten(charge: Charge) -> bool:
    """Is one of its buckets no longer the one that counts?"""
    return any(bucket.full_at == FORGOTTEN for bucket, _, _ in charge.draws)


def _subject(identity: Any) -> str | None:
    """Who is counted as one, wherever he connects; None: nobody knows."""
    if identity.anonymous or identity.pending:
        return None
    subject: str = identity.subject
    return subject


def _draw(bucket: Bucket, depth: Depth, cost: int) -> Draw:
    return bucket, cost * depth.token, depth.full - cost * depth.token


def _shared(key: str, limit: Limit, cost: int) -> TokenBucket:
    return TokenBucket(key=key, rate=limit.rate, burst=limit.tokens, cost=cost)
