"""What two ends agree upon about permessage-deflate (RFC 7692 section 7.1)."""

from __future__ import annotations

import zlib

import pytest

from tests.protocol.streams import KEY
from wsframe.config import Config
from wsframe.errors import ProtocolError
from wsframe.protocol.connection import Role, WebSocket
from wsframe.protocol.deflate import (
    Deflate,
    DeflateSettings,
    accept_response,
    negotiate,
    offer,
)
from wsframe.protocol.frames import encode_text

ALWAYS = "permessage-deflate; server_no_context_takeover"
NO_TAKEOVER = "client_no_context_takeover"


@pytest.mark.parametrize(
    ("offered", "response"),
    [
        ("permessage-deflate", f"{ALWAYS}; {NO_TAKEOVER}"),
        ("permessage-deflate; client_no_context_takeover", f"{ALWAYS}; {NO_TAKEOVER}"),
        ("permessage-deflate; server_no_context_takeover", f"{ALWAYS}; {NO_TAKEOVER}"),
        (
            "permessage-deflate; client_max_window_bits",
            f"{ALWAYS}; client_max_window_bits=15; {NO_TAKEOVER}",
        ),
        (
            "permessage-deflate; client_max_window_bits=8; server_max_window_bits=9",
            f"{ALWAYS}; client_max_window_bits=8; server_max_window_bits=9; {NO_TAKEOVER}",
        ),
        (
            'permessage-deflate; server_max_window_bits="10"',
            f"{ALWAYS}; server_max_window_bits=10; {NO_TAKEOVER}",
        ),
        ("x-webkit-deflate-frame, permessage-deflate", f"{ALWAYS}; {NO_TAKEOVER}"),
        (
            "permessage-deflate; unknown, permessage-deflate; server_max_window_bits=12",
            f"{ALWAYS}; server_max_window_bits=12; {NO_TAKEOVER}",
        ),
        (
            "permessage-deflate; server_max_window_bits=8, permessage-deflate",
            f"{ALWAYS}; {NO_TAKEOVER}",
        ),
    ],
)
def test_a_good_offer_is_accepted(offered: str, response: str) -> None:
    answer = negotiate([offered], DeflateSettings())
    assert answer is not None
    assert answer[1] == response


@pytest.mark.parametrize("offers", [[], [""], ["foo"], ["foo, bar; baz"], ["Permessage-Deflate"]])
def test_without_an_offer_there_is_no_compression(offers: list[str]) -> None:
    assert negotiate(offers, DeflateSettings()) is None


def test_the_first_acceptable_offer_of_all_headers_is_taken() -> None:
    offers = ["foo", "permessage-deflate; nonsense", "permessage-deflate; server_max_window_bits=9"]
    answer = negotiate(offers, DeflateSettings())
    assert answer is not None
    assert answer[0].own_window_bits == 9


def test_context_takeover_is_allowed_to_clients_only_where_configured() -> None:
    settings = DeflateSettings(takeover=True)
    answer = negotiate(["permessage-deflate"], settings)
    assert answer is not None
    assert answer[1] == ALWAYS
    assert answer[0].peer_takeover
    answer = negotiate(["permessage-deflate; client_no_context_takeover"], settings)
    assert answer is not None
    assert answer[1] == f"{ALWAYS}; {NO_TAKEOVER}"
    assert not answer[0].peer_takeover


def test_windows_are_no_larger_than_configured() -> None:
    settings = DeflateSettings(window_bits=11)
    answer = negotiate(
        ["permessage-deflate; client_max_window_bits=12; server_max_window_bits=13"], settings
    )
    assert answer is not None
    assert "client_max_window_bits=11; server_max_window_bits=11" in answer[1]
    assert (answer[0].own_window_bits, answer[0].peer_window_bits) == (11, 11)


def test_a_client_that_cannot_keep_to_a_smaller_window_gets_no_compression() -> None:
    assert negotiate(["permessage-deflate"], DeflateSettings(window_bits=11)) is None


def test_connections_that_agree_upon_the_same_share_it() -> None:
    settings = DeflateSettings()
    first = negotiate(["permessage-deflate"], settings)
    second = negotiate(["permessage-deflate; server_no_context_takeover"], settings)
    assert first is not None
    assert second is not None
    assert first[0] is second[0]


def test_settings_come_from_the_configuration() -> None:
    config = Config(
        compression_min_bytes=1,
        compression_level=2,
        compression_memory_level=3,
        compression_window_bits=10,
        compression_context_takeover=True,
    )
    settings = DeflateSettings.from_config(config)
    assert settings is not None
    assert (settings.min_bytes, settings.level, settings.memory_level) == (1, 2, 3)
    assert (settings.window_bits, settings.takeover) == (10, True)
    assert DeflateSettings.from_config(Config(compression=False)) is None


@pytest.mark.parametrize("takeover", [False, True])
@pytest.mark.parametrize("window_bits", [9, 12, 15])
def test_a_client_and_a_server_of_ours_agree(takeover: bool, window_bits: int) -> None:
    settings = DeflateSettings(takeover=takeover, window_bits=window_bits, min_bytes=10)
    answer = negotiate([offer(settings)], settings)
    assert answer is not None
    ours = accept_response(answer[1], settings)
    assert (ours.own_window_bits, ours.peer_window_bits) == (window_bits, window_bits)
    client = WebSocket(Role.CLIENT, max_message_bytes=10**6, deflate=ours, mask_key=lambda: KEY)
    server = WebSocket(Role.SERVER, max_message_bytes=10**6, deflate=answer[0])
    text = "there and back again " * 5_000
    assert server.receive_data(client.send_text(text.encode())) == [text]
    assert client.receive_data(server.send_text(text.encode())) == [text]


@pytest.mark.parametrize(
    "response",
    [
        "",
        "foo",
        "permessage-deflate, foo",
        "permessage-deflate, permessage-deflate",
        "permessage-deflate; server_no_context_takeover; unknown",
        "permessage-deflate; server_no_context_takeover=1",
        "permessage-deflate; server_no_context_takeover; server_no_context_takeover",
        "permessage-deflate; server_no_context_takeover; client_max_window_bits",
        "permessage-deflate; server_no_context_takeover; server_max_window_bits",
        "permessage-deflate; server_no_context_takeover; server_max_window_bits=99",
        "permessage-deflate; server_no_context_takeover; server_max_window_bits=015",
        "permessage-deflate; server_no_context_takeover; client_max_window_bits=abc",
        "permessage-deflate; server_no_context_takeover; client_max_window_bits=7",
        "permessage-deflate; client_no_context_takeover",
        "permessage-deflate;",
    ],
)
def test_a_client_refuses_a_response_that_does_not_fit_its_offer(response: str) -> None:
    with pytest.raises(ProtocolError) as caught:
        accept_response(response, DeflateSettings())
    assert caught.value.close_code == 1010


def test_a_client_refuses_a_window_larger_than_it_asked_for() -> None:
    settings = DeflateSettings(window_bits=10)
    with pytest.raises(ProtocolError):
        accept_response("permessage-deflate; server_no_context_takeover", settings)


def test_a_client_told_to_use_the_smallest_window_sends_uncompressed() -> None:
    response = (
        "permessage-deflate; server_no_context_takeover; client_no_context_takeover; "
        "client_max_window_bits=8"
    )
    deflate = accept_response(response, DeflateSettings(min_bytes=0))
    client = WebSocket(Role.CLIENT, max_message_bytes=99, deflate=deflate, mask_key=lambda: KEY)
    assert client.send_text(b"x" * 90)[0] == 0x81


def inflate(payload: bytes, window_bits: int) -> bytes:
    return zlib.decompressobj(-window_bits).decompress(payload + b"\x00\x00\xff\xff")


@pytest.mark.parametrize("window_bits", [9, 15])
def test_messages_are_compressed_within_the_window_and_independently(window_bits: int) -> None:
    deflate = Deflate(DeflateSettings(), window_bits, 15, False)
    payload = b"".join(b"%d " % number for number in range(10_000))
    first, second = deflate.compress(payload), deflate.compress(payload)
    assert first is not None
    assert first == second
    assert inflate(first, window_bits) == payload


def test_what_does_not_get_smaller_is_sent_as_it_is() -> None:
    deflate = Deflate(DeflateSettings(min_bytes=1), 15, 15, False)
    incompressible = bytes(range(256))
    assert deflate.compress(incompressible) is None
    written = encode_text(incompressible)
    assert deflate.compress_frame(written) is written


def test_the_memory_of_compressed_frames_is_bounded() -> None:
    deflate = Deflate(DeflateSettings(), 15, 15, False)
    for number in range(300):
        deflate.compress_frame(encode_text(b"%d " % number * 10_000))
    assert sum(map(len, deflate._memo)) + sum(map(len, deflate._memo.values())) <= 4 * 1024 * 1024
    huge = encode_text(b"x" * 5 * 1024 * 1024)
    assert deflate.compress_frame(huge) is deflate.compress_frame(huge)
