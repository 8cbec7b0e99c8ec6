"""Threats 11 to 14: tokens without signature, with a confused key, with wrong claims, with crit.

Each forgery is tried at all three doors: the handshake, ``init``, and the renewal of a session.
"""

from __future__ import annotations

import functools
import hashlib
import hmac
import json
import time
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from tests.security.token_scene import (
    ISSUER,
    SECRET,
    claims,
    guarded,
    hs_token,
    public_pem,
    rs_token,
    rsa_key,
    segment,
)
from wsframe import App, PluginError, RequestRefused
from wsframe.testing import RequestError


async def assert_refused(connect: Any, app: App, token: str, good: str) -> None:
    """A token opens none of the doors, and the one who has a good one is served meanwhile."""
    friend = await connect(app, token=good)
    with pytest.raises(RequestRefused) as refused:
        await connect(app, headers=[("authorization", f"Bearer {token}")])
    assert (refused.value.status, refused.value.code) == (401, "unauthenticated")
    client = await connect(app, init=False)
    with pytest.raises(RequestError) as answered:
        await client.request("init", {"token": token})
    assert answered.value.code == "unauthenticated"
    assert (await client.wait_closed())[0] == 4401
    with pytest.raises(RequestError) as renewed:
        await friend.request("auth", {"token": token})
    assert renewed.value.code == "unauthenticated"
    assert (await friend.request("echo")).content == {"subject": "ann"}


SPELLINGS = ["none", "None", "NONE", "nOnE", "none ", "", None, ["none"]]


@pytest.mark.parametrize("spelling", SPELLINGS, ids=repr)
@pytest.mark.parametrize("signature", ["", "c2lnbmF0dXJl"])
async def test_11_a_token_of_algorithm_none_is_refused_in_every_spelling(
    wsframe_client: Any, spelling: Any, signature: str
) -> None:
    token = f"{segment({'alg': spelling, 'typ': 'JWT'})}.{segment(claims())}.{signature}"
    await assert_refused(wsframe_client, guarded(), token, hs_token())


@pytest.mark.parametrize("spelling", SPELLINGS[:6])
def test_11_none_cannot_be_configured_either(spelling: str) -> None:
    with pytest.raises(PluginError, match="algorithms"):
        guarded(secret=SECRET, algorithms=(spelling,)).prepare()


@pytest.mark.parametrize("hash_name", ["sha256", "sha384", "sha512"])
async def test_12_a_token_signed_with_the_public_key_as_secret_is_refused(
    wsframe_client: Any, hash_name: str
) -> None:
    app = guarded(public_key=public_pem(), algorithms=("RS256",))
    header = segment({"alg": f"HS{hash_name[3:]}", "typ": "JWT"})
    signed = f"{header}.{segment(claims())}"
    for key in (public_pem(), public_pem().strip(), public_pem().replace("\n", "")):
        digest = hmac.digest(key.encode(), signed.encode(), getattr(hashlib, hash_name))
        await assert_refused(wsframe_client, app, f"{signed}.{segment(digest)}", rs_token())


async def test_12_an_algorithm_of_the_same_family_that_is_not_configured_is_refused(
    wsframe_client: Any,
) -> None:
    token = jwt.encode(claims(), SECRET * 2, algorithm="HS512")
    await assert_refused(wsframe_client, guarded(secret=SECRET * 2, algorithms=("HS256",)),
                         token, hs_token(secret=SECRET * 2))  # fmt: skip


@functools.cache
def keys_of_other_kinds() -> dict[str, Any]:
    return {
        "ES256": ec.generate_private_key(ec.SECP256R1()),
        "ES512": ec.generate_private_key(ec.SECP521R1()),
        "EdDSA": ed25519.Ed25519PrivateKey.generate(),
        "PS256": rsa_key(),  # the right key, and an algorithm that is not configured
        "RS384": rsa_key(),
        "RS256": rsa_key(1),
        "HS256": SECRET,
    }


@pytest.mark.parametrize(
    "algorithm", ["ES256", "ES512", "EdDSA", "PS256", "RS384", "RS256", "HS256"]
)
async def test_12_a_token_signed_with_a_key_of_another_kind_is_refused(
    wsframe_client: Any, algorithm: str
) -> None:
    token = jwt.encode(claims(), keys_of_other_kinds()[algorithm], algorithm=algorithm)
    app = guarded(public_key=public_pem(), algorithms=("RS256",))
    await assert_refused(wsframe_client, app, token, rs_token())
    if algorithm != "HS256":  # and where a secret is what counts
        await assert_refused(wsframe_client, guarded(), token, hs_token())


def wrong_claims(now: int) -> dict[str, dict[str, Any]]:
    """By what is wrong with them, told at the time of the test: a run may last half an hour."""
    return {
        "exp missing": {"exp": ...},
        "exp null": {"exp": None},
        "exp over": {"exp": now - 60},
        "exp text": {"exp": str(now + 3600)},
        "exp true": {"exp": True},
        "exp list": {"exp": [now + 3600]},
        "exp huge": {"exp": 10**400},
        "exp negative": {"exp": -1},
        "nbf in the future": {"nbf": now + 600},
        "nbf text": {"nbf": "0"},
        "nbf null": {"nbf": None},
        "iat in the future": {"iat": now + 600},
        "iat text": {"iat": "now"},
        "iat false": {"iat": False},
        "aud missing": {"aud": ...},
        "aud other": {"aud": "other"},
        "aud others": {"aud": ["other", "another"]},
        "aud prefix": {"aud": "chat.evil"},
        "aud empty": {"aud": []},
        "aud number": {"aud": 1},
        "aud object": {"aud": {"chat": True}},
        "aud list of lists": {"aud": [["chat"]]},
        "iss missing": {"iss": ...},
        "iss other": {"iss": "https://evil.example"},
        "iss prefix": {"iss": ISSUER + ".evil.example"},
        "iss slash": {"iss": ISSUER + "/"},
        "iss list": {"iss": [ISSUER]},
        "sub missing": {"sub": ...},
        "sub null": {"sub": None},
        "sub empty": {"sub": ""},
        "sub number": {"sub": 7},
        "sub list": {"sub": ["ann"]},
        "sub with a line end": {"sub": "ann\nroot"},
        "sub endless": {"sub": "a" * 1000},
        "jti missing": {"jti": ...},
    }


@pytest.mark.parametrize("wrong", wrong_claims(now=0))
async def test_13_a_token_whose_claims_are_missing_or_wrong_is_refused(
    wsframe_client: Any, wrong: str
) -> None:
    app = guarded(issuer=ISSUER, audience=("chat",), require=("exp", "sub", "jti"))
    right: dict[str, Any] = {"iss": ISSUER, "aud": ["chat", "mail"], "jti": "1"}
    body = claims(**{**right, **wrong_claims(int(time.time()))[wrong]})
    token = jwt.PyJWS().encode(json.dumps(body).encode(), SECRET, "HS256")
    await assert_refused(wsframe_client, app, token, hs_token(**right))


async def test_13_a_token_for_an_audience_is_refused_where_none_is_configured(
    wsframe_client: Any,
) -> None:
    await assert_refused(wsframe_client, guarded(), hs_token(aud="mail"), hs_token())


@pytest.mark.parametrize(
    "header",
    [
        {"crit": ["exp"]},
        {"crit": []},
        {"crit": None},
        {"crit": ["b64"], "b64": True},
        {"crit": ["x"], "x": 1},
        {"b64": False},
    ],
    ids=str,
)
async def test_14_a_token_with_critical_extensions_is_refused(
    wsframe_client: Any, header: dict[str, Any]
) -> None:
    signed = f"{segment({'alg': 'HS256', **header})}.{segment(claims())}"
    digest = hmac.digest(SECRET.encode(), signed.encode(), "sha256")
    await assert_refused(wsframe_client, guarded(), f"{signed}.{segment(digest)}", hs_token())


MALFORMED = {
    "empty": "",
    "one segment": "abc",
    "two segments": f"{segment({'alg': 'HS256'})}.{segment({})}",
    "five segments": "a.b.c.d.e",
    "header is a list": f"{segment(['HS256'])}.{segment({})}.x",
    "claims are a list": f"{segment({'alg': 'HS256'})}.{segment([])}.x",
    "deep": f"{segment(b'[' * 5000)}.{segment({})}.x",
    "kid is a list": f"{segment({'alg': 'HS256', 'kid': []})}.{segment(claims())}.x",
    "too long": f"{segment({'alg': 'HS256'})}.{'e' * 20_000}.x",
}


@pytest.mark.parametrize("shape", MALFORMED)
async def test_13_what_is_no_token_at_all_is_refused(wsframe_client: Any, shape: str) -> None:
    app = guarded()
    await wsframe_client(app, token=hs_token())
    client = await wsframe_client(app, init=False)
    with pytest.raises(RequestError) as refused:
        await client.request("init", {"token": MALFORMED[shape]})
    assert refused.value.code == "unauthenticated"
    assert (await client.wait_closed())[0] == 4401


async def test_13_one_changed_character_anywhere_makes_a_token_worthless(
    wsframe_client: Any,
) -> None:
    app, token = guarded(), hs_token()
    await wsframe_client(app, token=token)
    for position in range(0, len(token), 7):
        other = "A" if token[position] != "A" else "B"
        with pytest.raises(RequestRefused) as refused:
            await wsframe_client(app, token=token[:position] + other + token[position + 1 :])
        assert refused.value.status == 401
