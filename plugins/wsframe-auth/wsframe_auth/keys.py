"""Keys, each with the algorithms that it may be used with: one family, and never ``none``.

Whoever chooses the algorithm chooses what a key means: the public key of RS256 is a fine secret for
HS256, and everybody knows it (RFC 8725 section 2.1). So the key decides, not the token.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any, Final

import jwt
import msgspec
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from cryptography.x509 import load_pem_x509_certificate
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

SECRET_BYTES: Final = {"HS256": 32, "HS384": 48, "HS512": 64}
"""How long a secret must be: as long as the hash (RFC 7518 section 3.2)."""
_RSA: Final = frozenset({"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"})
_CURVES: Final = {"secp256r1": "ES256", "secp384r1": "ES384", "secp521r1": "ES512"}
ALGORITHMS: Final = (*SECRET_BYTES, *sorted(_RSA), *_CURVES.values(), "EdDSA")

MIN_RSA_BITS: Final = 2048
"""RFC 7518 section 3.3."""
MAX_KEYS: Final = 100

_PRIVATE_MEMBERS: Final = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})
_READERS: Final[Mapping[str, Any]] = {"RSA": RSAAlgorithm, "EC": ECAlgorithm, "OKP": OKPAlgorithm}


class Key:
    """One key.

    Args:
        material: what PyJWT checks with.
        algorithms: those it may be used with.
        kid: its name; None: it has none.
    """

    __slots__ = ("algorithms", "kid", "material")

    def __init__(self, material: Any, algorithms: Collection[str], kid: str | None = None) -> None:
        self.material = material
        self.algorithms = frozenset(algorithms)
        self.kid = kid

    def __repr__(self) -> str:
        return f"<Key {'/'.join(sorted(self.algorithms))}>"


def check_algorithms(algorithms: Collection[str]) -> None:
    """See that these are algorithms, and that there is one.

    Raises:
        ValueError: they are not.
    """
    if not algorithms:
        raise ValueError('algorithms is missing: say which count, like algorithms = ["HS256"]')
    for name in algorithms:
        if name not in ALGORITHMS:
            raise ValueError(f"algorithms: {name!r} is none of {', '.join(ALGORITHMS)}")


def secret_key(secret: bytes, algorithms: Collection[str]) -> Key:
    """The key that a shared secret is.

    Raises:
        ValueError: it does not fit the algorithms, or is too short for one of them.
    """
    others = set(algorithms) - SECRET_BYTES.keys()
    if others:
        raise ValueError(
            f"algorithms: {_list(others)} does not go with a secret, only HS256/384/512"
        )
    if b"-----BEGIN " in secret or secret.startswith((b"ssh-", b"ecdsa-")):
        raise ValueError("secret: this is the text of a key pair's key, which is no secret")
    needed = max(SECRET_BYTES[name] for name in algorithms)
    if len(secret) < needed:
        raise ValueError(
            f"secret: it has {len(secret)} bytes and needs {needed} for {_list(algorithms)}"
        )
    return Key(secret, algorithms)


def public_key(pem: bytes, algorithms: Collection[str]) -> Key:
    """The key in a PEM text: a public key, or a certificate.

    Raises:
        ValueError: it is none, or does not fit the algorithms.
    """
    try:
        if b"-----BEGIN CERTIFICATE-----" in pem:
            found: Any = load_pem_x509_certificate(pem).public_key()
        else:
            found = load_pem_public_key(pem)
    except Exception:  # noqa: BLE001 - whatever it says may quote the text
        raise ValueError("public_key: this is no PEM text of a public key") from None
    fitting = _fitting(found)
    others = set(algorithms) - fitting
    if others:
        fit = _list(fitting) or "none"
        raise ValueError(f"algorithms: {_list(others)} does not go with this key, only {fit}")
    return Key(found, algorithms)


def key_set(document: bytes, algorithms: Collection[str]) -> list[Key]:
    """The usable keys of a JSON Web Key Set (RFC 7517 section 5).

    Keys that do not fit ``algorithms``, are for another use or are secrets are left out.

    Raises:
        ValueError: it is no key set, or none of its keys is usable.
    """
    try:
        entries = msgspec.json.decode(document)["keys"]
    except (ValueError, RecursionError, TypeError, KeyError):
        raise ValueError("this is no JSON Web Key Set") from None
    if not isinstance(entries, list) or len(entries) > MAX_KEYS:
        raise ValueError("this is no JSON Web Key Set, or it is too long")
    keys = [key for entry in entries if (key := _read_jwk(entry, algorithms)) is not None]
    if not keys:
        raise ValueError(f"no key in it goes with {_list(algorithms)}")
    return keys


def _read_jwk(entry: Any, algorithms: Collection[str]) -> Key | None:
    if not isinstance(entry, dict) or entry.get("use", "sig") != "sig":
        return None
    operations, kid = entry.get("key_ops", ["verify"]), entry.get("kid")
    reader = _READERS.get(str(entry.get("kty")))
    if reader is None or not isinstance(operations, list) or "verify" not in operations:
        return None
    if kid is not None and not isinstance(kid, str):
        return None
    public = {name: value for name, value in entry.items() if name not in _PRIVATE_MEMBERS}
    try:
        found = reader.from_jwk(public)
    except (jwt.PyJWTError, ValueError, TypeError):
        return None
    usable = _fitting(found) & set(algorithms)
    if "alg" in entry:
        usable &= {entry["alg"]} if isinstance(entry["alg"], str) else set()
    return Key(found, usable, kid) if usable else None


def _fitting(key: Any) -> frozenset[str]:
    """The algorithms that go with a public key."""
    if isinstance(key, rsa.RSAPublicKey):
        return _RSA if key.key_size >= MIN_RSA_BITS else frozenset()
    if isinstance(key, ec.EllipticCurvePublicKey):
        name = _CURVES.get(key.curve.name)
        return frozenset() if name is None else frozenset({name})
    if isinstance(key, ed25519.Ed25519PublicKey | ed448.Ed448PublicKey):
        return frozenset({"EdDSA"})
    return frozenset()


def _list(names: Iterable[str]) -> str:
    return ", ".join(sorted(names))
