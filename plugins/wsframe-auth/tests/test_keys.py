"""Which keys are taken, and what each may be used with."""

from __future__ import annotations

import datetime as dt
import json
import os
import time
from pathlib import Path
from typing import Any

import anyio
import jwt
import msgspec
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm
from wsframe_auth import Config, KeySource
from wsframe_auth.keys import key_set, public_key, secret_key
from wsframe_auth.sources import make_issuers

from wsframe import PluginError, RequestRefused

RSA = rsa.generate_private_key(public_exponent=65_537, key_size=2048)
PAIRS: dict[str, Any] = {
    "RS256": RSA,
    "RS384": RSA,
    "RS512": RSA,
    "PS256": RSA,
    "PS384": RSA,
    "PS512": RSA,
    "ES256": ec.generate_private_key(ec.SECP256R1()),
    "ES384": ec.generate_private_key(ec.SECP384R1()),
    "ES512": ec.generate_private_key(ec.SECP521R1()),
    "EdDSA": ed25519.Ed25519PrivateKey.generate(),
}
FAMILIES = {"RS": "RSA", "PS": "RSA", "ES": "EC", "Ed": "OKP"}
WRITERS = {"RSA": RSAAlgorithm, "EC": ECAlgorithm, "OKP": OKPAlgorithm}


def pem_of(private: Any) -> bytes:
    pem: bytes = private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return pem


def jwk_of(private: Any, **members: Any) -> dict[str, Any]:
    kind = {"RSAPrivateKey": "RSA", "ECPrivateKey": "EC"}.get(type(private).__name__, "OKP")
    return {**json.loads(WRITERS[kind].to_jwk(private.public_key())), **members}  # type: ignore[attr-defined]


def token(algorithm: str, private: Any, **headers: Any) -> str:
    claims = {"sub": "ann", "exp": time.time() + 600}
    return jwt.encode(claims, private, algorithm=algorithm, headers=headers)


async def comes_in(connect: Any, app: Any, given: str) -> bool:
    try:
        await connect(app, token=given)
    except RequestRefused as error:
        return error.status != 401
    return True


@pytest.mark.parametrize("algorithm", PAIRS)
async def test_a_public_key_checks_what_its_private_half_has_signed(
    wsframe_client: Any, guarded: Any, algorithm: str
) -> None:
    private = PAIRS[algorithm]
    app = guarded(secret=None, public_key=pem_of(private).decode(), algorithms=(algorithm,))
    assert await comes_in(wsframe_client, app, token(algorithm, private))
    stranger = {
        "RSA": lambda: rsa.generate_private_key(public_exponent=65_537, key_size=2048),
        "EC": lambda: ec.generate_private_key(private.curve),
        "OKP": ed25519.Ed25519PrivateKey.generate,
    }[FAMILIES[algorithm[:2]]]()
    assert not await comes_in(wsframe_client, app, token(algorithm, stranger))


@pytest.mark.parametrize(("algorithm", "size"), [("HS256", 32), ("HS384", 48), ("HS512", 64)])
async def test_a_secret_is_at_least_as_long_as_the_hash(
    wsframe_client: Any, guarded: Any, algorithm: str, size: int
) -> None:
    secret = "s" * size
    app = guarded(secret=secret, algorithms=(algorithm,))
    assert await comes_in(wsframe_client, app, token(algorithm, secret))
    with pytest.raises(PluginError, match=f"it has {size - 1} bytes and needs {size}") as refused:
        guarded(secret=secret[1:], algorithms=(algorithm,)).prepare()
    assert secret[1:] not in str(refused.value)


@pytest.mark.parametrize(
    ("pem", "algorithms"),
    [
        (pem_of(RSA), ("HS256",)),
        (pem_of(RSA), ("RS256", "ES256")),
        (pem_of(RSA), ("RS256", "HS256")),
        (pem_of(PAIRS["ES256"]), ("ES384",)),
        (pem_of(PAIRS["ES256"]), ("RS256",)),
        (pem_of(PAIRS["EdDSA"]), ("ES256",)),
        (pem_of(ec.generate_private_key(ec.SECP256K1())), ("ES256",)),
        (pem_of(rsa.generate_private_key(public_exponent=65_537, key_size=1024)), ("RS256",)),
    ],
)
def test_a_public_key_goes_with_one_family_of_algorithms(
    pem: bytes, algorithms: tuple[str, ...]
) -> None:
    with pytest.raises(ValueError, match="does not go with this key"):
        public_key(pem, algorithms)


def test_a_secret_goes_with_its_own_family_and_is_no_public_key() -> None:
    with pytest.raises(ValueError, match="does not go with a secret"):
        secret_key(b"s" * 64, ("HS256", "RS256"))
    for text in (pem_of(RSA), b"ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAAB " + b"A" * 64):
        with pytest.raises(ValueError, match="which is no secret"):
            secret_key(text, ("HS256",))


def test_ed448_and_certificates_are_taken_and_private_keys_are_not() -> None:
    public_key(pem_of(ed448.Ed448PrivateKey.generate()), ("EdDSA",))
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "id.example")])
    now = dt.datetime.now(dt.UTC)
    builder = x509.CertificateBuilder(name, name, RSA.public_key(), 1, now, now)
    certificate = builder.sign(RSA, hashes.SHA256())
    public_key(certificate.public_bytes(Encoding.PEM), ("RS256",))
    with pytest.raises(ValueError, match="no PEM text of a public key"):
        public_key(b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----", ("RS256",))


@pytest.mark.parametrize("algorithm", PAIRS)
def test_a_key_set_gives_each_key_its_own_family(algorithm: str) -> None:
    entry = jwk_of(PAIRS[algorithm], kid="1")
    document = msgspec.json.encode({"keys": [entry]})
    (key,) = key_set(document, tuple(PAIRS))
    assert algorithm in key.algorithms
    families = {FAMILIES[name[:2]] for name in key.algorithms}
    assert len(families) == 1
    entry["alg"] = algorithm
    (key,) = key_set(msgspec.json.encode({"keys": [entry]}), tuple(PAIRS))
    assert key.algorithms == {algorithm}


@pytest.mark.parametrize(
    "change",
    [
        {"use": "enc"},
        {"key_ops": ["sign"]},
        {"key_ops": "verify"},
        {"kty": "oct", "k": "c2VjcmV0"},
        {"kty": None},
        {"alg": "HS256"},
        {"alg": ["RS256"]},
        {"kid": 1},
        {"n": "!"},
        {"n": "AQAB"},
    ],
    ids=str,
)
def test_a_key_of_a_set_that_is_for_something_else_is_left_out(change: dict[str, Any]) -> None:
    good, bad = jwk_of(RSA, kid="good"), {**jwk_of(RSA, kid="bad"), **change}
    keys = key_set(msgspec.json.encode({"keys": [bad, "x", good]}), ("RS256",))
    assert [key.kid for key in keys] == ["good"]


@pytest.mark.parametrize(
    "document", [b"", b"{", b"[]", b'{"keys": 1}', b'{"keys": []}', b"[" * 9999]
)
def test_what_is_no_key_set_is_refused(document: bytes) -> None:
    with pytest.raises(ValueError, match=r"(?i)key"):
        key_set(document, ("RS256",))


async def test_a_file_is_read_again_when_it_changes(
    wsframe_client: Any, guarded: Any, mint: Any, tmp_path: Path
) -> None:
    file = tmp_path / "secret"
    old, new = "o" * 32, "n" * 40
    file.write_text(old + "\n")
    app = guarded(secret=None, secret_file=str(file))
    assert await comes_in(wsframe_client, app, mint(key=old))
    file.write_text(new)
    os.utime(file, (1, 1))
    await anyio.sleep(5)
    assert await comes_in(wsframe_client, app, mint(key=new))
    assert not await comes_in(wsframe_client, app, mint(key=old))


@pytest.mark.parametrize("fault", ["too short", "gone"])
async def test_a_file_that_cannot_be_used_any_more_leaves_its_former_key(
    wsframe_client: Any, guarded: Any, mint: Any, tmp_path: Path, fault: str
) -> None:
    file = tmp_path / "secret"
    file.write_text("o" * 32)
    app = guarded(secret=None, secret_file=str(file))
    await wsframe_client(app, token=mint(key="o" * 32))
    if fault == "gone":
        file.unlink()
    else:
        file.write_text("short")
    await anyio.sleep(5)
    assert await comes_in(wsframe_client, app, mint(key="o" * 32))


WITHOUT_A_KEY: dict[str, tuple[dict[str, Any], str]] = {
    "nothing": ({}, "there is no key to check tokens with"),
    "two": ({"secret": "s" * 32, "public_key": "x"}, "only one of secret and public_key"),
    "no algorithm": ({"secret": "s" * 32}, "algorithms is missing"),
    "misspelled": ({"secret": "s" * 32, "algorithms": ("hs256",)}, "'hs256' is none of"),
    "none": ({"secret": "s" * 32, "algorithms": ("none",)}, "'none' is none of"),
    "missing file": ({"secret_file": "/nowhere", "algorithms": ("HS256",)}, "No such file"),
    "no PEM": ({"public_key": "x", "algorithms": ("RS256",)}, "no PEM text"),
    "secrets in a key set": (
        {"jwks_url": "https://id.example", "algorithms": ("RS256", "HS256")},
        "need a secret",
    ),
    "empty secret": ({"secret": "", "algorithms": ("HS256",)}, "it has 0 bytes"),
}


@pytest.mark.parametrize("fault", WITHOUT_A_KEY)
def test_without_a_good_key_the_server_does_not_start_and_says_what_to_do(
    guarded: Any, fault: str
) -> None:
    settings, words = WITHOUT_A_KEY[fault]
    with pytest.raises(PluginError, match=words) as refused:
        guarded(**{"secret": None, "algorithms": (), **settings}).prepare()
    assert refused.value.plugin == "auth"
    assert "-p no:auth" in str(refused.value.hint)


def test_issuers_that_cannot_be_told_apart_are_refused() -> None:
    source = KeySource(secret="s" * 32, algorithms=("HS256",), issuer="a")
    nameless = KeySource(secret="s" * 32, algorithms=("HS256",))
    # "a|b" with subject "c" would be "a" with subject "b|c".
    ambiguous = KeySource(secret="s" * 32, algorithms=("HS256",), issuer="a|b")
    for others in ((source,), (nameless,), (ambiguous,)):
        config = Config(
            secret="s" * 32, algorithms=("HS256",), issuer="a" if others[0].issuer else "b",
            issuers=others,
        )  # fmt: skip
        with pytest.raises(PluginError, match="cannot be told apart"):
            make_issuers(config, time.monotonic)
    assert len(make_issuers(Config(issuers=(source,)), time.monotonic)) == 1
