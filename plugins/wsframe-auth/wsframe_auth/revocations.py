"""What was revoked before its time: single tokens, or all that somebody has so far."""

from __future__ import annotations

from wsframe import Identity


class Revocations:
    """Remembers what was revoked; any thread may ask and add."""

    def __init__(self) -> None:
        self._tokens: dict[str, float | None] = {}  # by jti: when it may be forgotten
        self._subjects: dict[str, tuple[float, float | None]] = {}  # (revoked at, likewise)
        self.any = False
        """Was anything ever revoked? It stays so: threads need no lock for what only rises."""
        self.version = 0
        """Counts what was revoked, for those who look again only after a change."""

    def __len__(self) -> int:
        return len(self._tokens) + len(self._subjects)

    def add_token(self, jti: str, forget_at: float | None) -> None:
        """Revoke one token."""
        self._tokens[jti] = forget_at
        self.any = True
        self.version += 1

    def add_subject(self, subject: str, now: float, forget_at: float | None) -> None:
        """Revoke what somebody was issued up to ``now``, in seconds since the epoch."""
        self._subjects[subject] = now, forget_at
        self.any = True
        self.version += 1

    def cover(self, identity: Identity) -> bool:
        """Was the token of this identity revoked?

        A token that does not say when it was issued was issued before.
        """
        if not self.any:
            return False
        claims = identity.claims
        jti = claims.get("jti")
        if isinstance(jti, str) and jti in self._tokens:
            return True
        revoked = self._subjects.get(identity.subject)
        return revoked is not None and not claims.get("iat", 0) > revoked[0]

    def forget(self, now: float) -> None:
        """Forget what is about tokens that have expired by now."""
        for jti, forget_at in list(self._tokens.items()):
            if forget_at is not None and now >= forget_at:
                del self._tokens[jti]
        for subject, (_, forget_at) in list(self._subjects.items()):
            if forget_at is not None and now >= forget_at:
                del self._subjects[subject]
