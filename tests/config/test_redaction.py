"""What is a secret, and that it is gone."""

from __future__ import annotations

import math
import time

import pytest

from wsframe.redaction import HIDDEN, is_secret_name, redact_text, redact_value


@pytest.mark.parametrize(
    "name",
    ["secret", "jwt_secret", "jwtSecret", "api_key", "apiKey", "key", "keys", "token",
     "accessToken", "password", "db-password", "private_pem", "Authorization", "cookie",
     "encryption_key"],
)  # fmt: skip
def test_names_of_secrets_are_known(name: str) -> None:
    assert is_secret_name(name)


@pytest.mark.parametrize(
    "name",
    ["port", "tls_key_file", "token_ttl_s", "public", "keyboard", "monkey", "token_header",
     "secret_path", "max_connections", "tokens_bytes"],
)  # fmt: skip
def test_other_names_are_left_alone(name: str) -> None:
    assert not is_secret_name(name)


MEASUREMENTS = 30
SECRET = "S3cr3t-Value.0123456789"


@pytest.mark.parametrize(
    "text",
    [
        f"wsframe.v1.json, wsframe.bearer.{SECRET}",
        f"Sec-WebSocket-Protocol: wsframe.bearer.{SECRET}, wsframe.v1.json",
        f"Authorization: Bearer {SECRET}",
        f"authorization: Basic {SECRET}==",
        f"('authorization', 'Bearer {SECRET}')",
        f"(b'authorization', b'Digest username=\"a\", response=\"{SECRET}\"')",
        f'{{"Authorization": "Bearer {SECRET}"}}',
        f"Cookie: session={SECRET}; theme=dark",
        f"GET /ws?token={SECRET}&x=1 HTTP/1.1",
        f"/ws?x=1&access_token={SECRET}",
        f"client_secret={SECRET}",
        f'{{"token": "{SECRET}"}}',
        f'{{"token":"{SECRET} with spaces"}}',
        f"Init(token='{SECRET}', resume=None)",
        f"password: {SECRET}",
        f"redis://user:{SECRET}@127.0.0.1:6379/0",
        f"redis://:{SECRET}@127.0.0.1:6379/0",
        "got eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJTM2NyM3QifQ.S3cr3t-Value_0123456789 from a client",
    ],
)
def test_a_secret_in_a_text_is_hidden(text: str) -> None:
    redacted = redact_text(text)
    assert "S3cr3t" not in redacted
    assert "0123456789" not in redacted
    assert HIDDEN in redacted


@pytest.mark.parametrize(
    "text",
    ["listening on ws://127.0.0.1:3001/ws", "message 7 of session s-1 took 3 ms",
     "max_tokens=5 is not a limit of ours", "GET /ws?room=lobby HTTP/1.1", "the bearer is late"],
)  # fmt: skip
def test_a_text_without_secrets_stays_as_it_is(text: str) -> None:
    assert redact_text(text) == text


def test_tables_and_lists_are_searched_to_the_bottom() -> None:
    value = {"a": [{"password": "p", "port": 1}], "keys": ["k1", "k2"], "url": "x://u:p@h"}
    assert redact_value("auth", value) == {
        "a": [{"password": HIDDEN, "port": 1}],
        "keys": HIDDEN,
        "url": f"x://u:{HIDDEN}@h",
    }


def test_whether_a_secret_is_set_may_be_seen() -> None:
    assert redact_value("secret", None) is None
    assert redact_value("secret", "") == HIDDEN


@pytest.mark.parametrize(
    "unit",
    ["token", "token=", "authorization", "eyJaaaa.", "://a:", "bearer ", '"', "wsframe.bearer.",
     "secret ", "token='", "\\"],
)  # fmt: skip
def test_a_text_twice_as_long_takes_about_twice_the_time(unit: str) -> None:
    def seconds(length: int) -> float:
        text = unit * (length // len(unit))
        start = time.thread_time()
        redact_text(text)
        return time.thread_time() - start

    short_s = long_s = math.inf
    for _ in range(MEASUREMENTS):  # a busy machine is now faster and now slower
        short_s, long_s = min(short_s, seconds(20_000)), min(long_s, seconds(160_000))
        if long_s < 12 * short_s + 0.005:
            return
    pytest.fail(f"{long_s:.4f} s for 8 times as much as is done in {short_s:.4f} s")
