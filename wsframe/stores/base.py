"""What a store is: the memory of sessions beyond one process.

The node that has claimed a session decides everything about it, in its own memory, and tells the
store.
So a store needs no logic of the protocol, and no step of it takes a whole session at once:

==============  =============================================================================
``commit``      changes of any number of sessions, as one atomic step
``owner``       whose a session is
``claim``       become the node that decides about a session, and learn its head
``frames``      a page of what was sent and not forgotten
``answers``     a page of the answers that are remembered
``renew``       the node lives: what it runs is not interrupted
``expire``      end the sessions whose window is over
==============  =============================================================================

What a store guarantees:

- **Order and atomicity.** Commits take effect in the order in which they were asked for, each
  wholly or not at all, whatever happens to the process or the machine.
- **Durability.** When ``commit`` returns, what it wrote survives the end of the process
  (``durability = "batched"``), or of the machine (``"strict"``).
- **Fencing.** A change of an epoch older than the session's is not written.
- **Leases.** A message that runs belongs to the node that accepted it as long as this node renews
  its lease; afterwards it is reported as interrupted to each one who claims the session, until it
  is answered. A session that is attached to such a node can be resumed for the resume window, from
  the end of the lease.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import msgspec

from ..session import Identity
from ..session.changes import Change


class SessionOwner(msgspec.Struct, frozen=True):
    """What proves to whom a session belongs.

    Attributes:
        secret_digest: SHA-256 of the secret that only its client knows.
        subprotocol: how its frames are encoded; its client speaks this one.
        identity: who it belongs to.
    """

    secret_digest: bytes
    subprotocol: str
    identity: Identity


class StoredSession(msgspec.Struct, frozen=True, kw_only=True):
    """The head of a session, as :meth:`Store.claim` finds it.

    Attributes:
        id: the session.
        epoch: of this claim; every change under it carries this number.
        owner: whose it is.
        count: the number of the newest message; 0: none was sent.
        forgotten: messages up to this number have left the outbox.
        rooms: the rooms it is in.
        interrupted: ids of messages that ran on a node which is gone; the claimer answers them.
        elsewhere: ids of messages that still run on another node. What the claimer runs itself is
            in neither.
    """

    id: str
    epoch: int
    owner: SessionOwner
    count: int
    forgotten: int
    rooms: frozenset[str] = frozenset()
    interrupted: tuple[str, ...] = ()
    elsewhere: tuple[str, ...] = ()


class StoredAnswer(msgspec.Struct, frozen=True):
    """A remembered final answer: to which message, under which number, and its frame."""

    message_id: str
    number: int
    frame: bytes


class TokenBucket(msgspec.Struct, frozen=True, kw_only=True):
    """A rate limit, and what is to be taken from it.

    Attributes:
        key: names it; who uses it knows no other node's but by the same key.
        rate: tokens that come back in a second.
        burst: tokens that it holds when it is full, as each one is that was not used yet.
        cost: tokens to take, at most ``burst``.
    """

    key: str
    rate: float
    burst: int
    cost: int = 1


class SharedLimits(Protocol):
    """What a store of several nodes may offer beside: rate limits that all of them share.

    It is for plugins such as ``wsframe-ratelimit``, which look for ``take``; a store without it has
    everything that wsframe itself needs.
    """

    async def take(self, buckets: Sequence[TokenBucket], *, now: float) -> float:
        """Take from all of ``buckets``, or from none, as one atomic step.

        A bucket may be forgotten when it is full again. Clocks of nodes differ a little: a ``now``
        before the last one gives nothing back, and takes nothing away.

        Args:
            buckets: each key once.
            now: seconds since the epoch.

        Returns:
            0.0: taken. Otherwise the seconds after which all of it could be taken, if nobody else
            does.

        Raises:
            StoreError: the store does not work now; nothing was taken.
        """


class Store(Protocol):
    """Keeps sessions. Every method may be called by any task, also while another one runs.

    Raises:
        StoreError: from every method: the store does not work now. Nothing of the step was done.
    """

    @property
    def survives(self) -> bool:
        """Does it outlive the process? Otherwise nobody needs to tell it anything."""

    async def start(self, node: str, *, now: float) -> None:
        """Open it, once, before anything else.

        Args:
            node: names this process, and no other, ever.
            now: seconds since the epoch, as everywhere below.

        Raises:
            StoreError: it cannot be used; the message says why and what to do.
        """

    async def stop(self) -> None:
        """Close it, after the last commit; nothing else is called afterwards."""

    async def commit(self, changes: Sequence[Change]) -> frozenset[str]:
        """Write changes, in order, as one atomic step.

        Returns:
            The ids of sessions that somebody else has claimed, or that are over: their changes
            were not written. Those of all other sessions were. A session that is there already
            cannot be opened; one that is over has ended already, which is no fault.

        Raises:
            TypeError: an identity has claims that MessagePack cannot encode.
        """

    async def owner(self, session_id: str) -> SessionOwner | None:
        """Whose a session is, to be checked before claiming it; None: there is no such session."""

    async def claim(self, session_id: str, *, now: float) -> StoredSession | None:
        """Become the node that decides about a session; it counts as attached.

        Returns:
            Its head; None when there is no such session, or its window is over.
        """

    async def frames(self, session_id: str, *, after: int, limit: int) -> Sequence[bytes]:
        """Messages that were sent and not forgotten, from number ``after + 1`` on, in order.

        Args:
            after: not less than :attr:`StoredSession.forgotten`.
            limit: at most so many; fewer only at the end.
        """

    async def answers(self, session_id: str, *, after: int, limit: int) -> Sequence[StoredAnswer]:
        """Remembered answers with a number above ``after``, in the order of their numbers.

        Args:
            after: a number; 0: from the first.
            limit: at most so many; fewer only at the end.
        """

    async def renew(self, *, now: float, lease_s: float) -> None:
        """Say that this node lives, until ``now + lease_s`` or longer; first after the start."""

    async def expire(self, *, now: float, limit: int) -> Sequence[str]:
        """End sessions without a connection whose window is over.

        Args:
            limit: at most so many; fewer only at the end.

        Returns:
            Their ids.
        """
