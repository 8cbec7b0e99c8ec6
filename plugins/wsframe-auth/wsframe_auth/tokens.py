"""From a token to an identity: every check of RFC 7519, RFC 7515 and RFC 8725.

PyJWT checks signatures and nothing else: which key, which algorithm and which claims count is
decided here, by one clock that does not jump.
"""

from __future__ import annotations

from base64 import urlsafe_b64decode
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final

import jwt
import msgspec

from wsframe import Identity

from .errors import InvalidToken
from .keys import ALGORITHMS, Key
from .sources import Issuer

MAX_TOKEN_BYTES: Final = 16_384
MAX_SUBJECT_CHARACTERS: Final = 256
MAX_TIME: Final = 1e12
"""Seconds since the epoch; what is beyond, or no number, is no time."""

_SIGNATURES: Final = jwt.PyJWS(algorithms=ALGORITHMS)


class Verifier:
    """Checks tokens.

    Args:
        issuers: whose tokens count.
        require: claims that must be there.
        leeway_s: by how much the issuer's clock may differ, in seconds.
        scope_claims: where scopes are.
    """

    def __init__(
        self,
        issuers: Sequence[Issuer],
        *,
        require: Collection[str],
        leeway_s: float,
        scope_claims: Sequence[str],
    ) -> None:
        self.issuers = list(issuers)
        self._by_name = {issuer.name: issuer for issuer in issuers}
        self._require = tuple(require)
        self._leeway_s = leeway_s
        self._scope_claims = tuple(scope_claims)

    async def verify(self, token: str, now: float) -> Identity:
        """Whom a token stands for.

        Args:
            now: seconds since the epoch.

        Raises:
            InvalidToken: it does not count.
            KeysUnavailable: it cannot be checked at the moment.
        """
        header, claims = _opened(token)
        algorithm, kid = _algorithm_and_kid(header)
        issuer = self._issuer(claims)
        key = await issuer.keys.find(kid, algorithm)
        _check_signature(token, key, algorithm)
        self._check_times(claims, now)
        _check_audience(claims, issuer.audience)
        for name in self._require:
            if claims.get(name) is None:
                raise InvalidToken(f"the claim {name!r} is missing")
        expires_at = claims.get("exp")
        return Identity(
            subject=self._subject(claims, issuer),
            scopes=frozenset(self._scopes(claims)),
            claims=claims,
            expires_at=None if expires_at is None else expires_at + self._leeway_s,
        )

    def _issuer(self, claims: Mapping[str, Any]) -> Issuer:
        """Whose keys to check with: what the token says only chooses among those configured."""
        if len(self.issuers) == 1 and self.issuers[0].name is None:
            return self.issuers[0]
        name = claims.get("iss")
        issuer = self._by_name.get(name) if isinstance(name, str) else None
        if issuer is None:
            raise InvalidToken("its issuer does not count")
        return issuer

    def _check_times(self, claims: Mapping[str, Any], now: float) -> None:
        for name in ("exp", "nbf", "iat"):
            value = claims.get(name, 0)
            if type(value) not in (int, float) or not abs(value) < MAX_TIME:
                raise InvalidToken(f"the claim {name!r} is no time")
        if "exp" in claims and now >= claims["exp"] + self._leeway_s:
            raise InvalidToken("it has expired", "The token has expired.")
        for name in ("nbf", "iat"):
            if claims.get(name, 0) > now + self._leeway_s:
                raise InvalidToken(f"the claim {name!r} is in the future")

    def _subject(self, claims: Mapping[str, Any], issuer: Issuer) -> str:
        subject = claims.get("sub")
        if not isinstance(subject, str) or not 0 < len(subject) <= MAX_SUBJECT_CHARACTERS:
            raise InvalidToken("the claim 'sub' is no name")
        if not subject.isprintable():
            raise InvalidToken("the claim 'sub' has control characters")
        # Two issuers may call two people by the same name.
        return subject if len(self.issuers) == 1 else f"{issuer.name}|{subject}"

    def _scopes(self, claims: Mapping[str, Any]) -> list[str]:
        scopes: list[str] = []
        for path in self._scope_claims:
            value = _at(claims, path)
            if isinstance(value, str):
                scopes += value.split()
            elif isinstance(value, list):
                scopes += [each for each in value if isinstance(each, str)]
        return scopes


def _opened(token: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Header and claims, of which nothing is known yet."""
    if len(token) > MAX_TOKEN_BYTES or not token.isascii() or token.count(".") != 2:
        raise InvalidToken("it is no JSON Web Token")
    header, claims, _ = token.split(".")
    return _segment(header), _segment(claims)


def _segment(text: str) -> dict[str, Any]:
    try:
        value = msgspec.json.decode(urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    except (ValueError, RecursionError):
        raise InvalidToken("it is no JSON Web Token") from None
    if not isinstance(value, dict):
        raise InvalidToken("it is no JSON Web Token")
    return value


def _algorithm_and_kid(header: Mapping[str, Any]) -> tuple[str, str | None]:
    algorithm, kid = header.get("alg"), header.get("kid")
    if algorithm not in ALGORITHMS:  # exactly: "none" is in no spelling among them
        raise InvalidToken("its algorithm does not count")
    if "crit" in header:  # RFC 7515 section 4.1.11: none of what it may name is known here
        raise InvalidToken("it has critical extensions")
    if header.get("b64", True) is not True:
        raise InvalidToken("it has an unencoded payload")
    if kid is not None and not isinstance(kid, str):
        raise InvalidToken("its 'kid' is no name")
    assert isinstance(algorithm, str)
    return algorithm, kid


def _check_signature(token: str, key: Key, algorithm: str) -> None:
    if algorithm not in key.algorithms:
        raise InvalidToken("its algorithm does not go with its key")
    try:
        _SIGNATURES.decode_complete(token, key.material, algorithms=[algorithm])
    except (jwt.PyJWTError, ValueError, TypeError):
        raise InvalidToken("its signature is wrong") from None


def _check_audience(claims: Mapping[str, Any], wanted: frozenset[str]) -> None:
    """RFC 7519 section 4.1.3: who is not named in ``aud`` must refuse the token."""
    found = claims.get("aud", [])
    audience = [found] if isinstance(found, str) else found
    if not isinstance(audience, list) or not all(isinstance(each, str) for each in audience):
        raise InvalidToken("the claim 'aud' is neither a name nor a list of names")
    if wanted and wanted.isdisjoint(audience):
        raise InvalidToken("it is for another audience")
    if not wanted and "aud" in claims:
        raise InvalidToken("it is for an audience, and none is configured")


def _at(claims: Mapping[str, Any], path: str) -> Any:
    """The claim of this name, or, for ``a.b``, ``b`` inside of ``a``."""
    if path in claims:
        return claims[path]
    value: Any = claims
    for name in path.split("."):
        value = value.get(name) if isinstance(value, dict) else None
    return value
