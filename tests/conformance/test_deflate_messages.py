"""Compressed messages (RFC 7692 sections 6 and 7.2)."""

from __future__ import annotations

import os
import zlib

import pytest

from tests.conformance.conftest import Connect
from tests.conformance.negotiated import Deflater, Negotiated
from tests.conformance.peer import (
    BINARY,
    CONTINUATION,
    PING,
    PONG,
    TAIL,
    TEXT,
    Peer,
    cut,
    fragments,
    frame,
)

RSV1 = 4
OFFER = "permessage-deflate; client_max_window_bits"
SIZES = (0, 1, 2, 10, 125, 126, 127, 1_000, 1_024, 4_096, 65_535, 65_536, 200_000)
WORDS = b"all happy families are alike; every unhappy family is unhappy in its own way. "


def text_of(size: int) -> bytes:
    return (WORDS * (size // len(WORDS) + 1))[:size]


def compressing(connect: Connect, offer: str = OFFER, **settings: int) -> tuple[Peer, Deflater]:
    """A connection with the extension, and what compresses for it."""
    peer = connect(extensions=offer)
    agreed = Negotiated.of(peer.extensions)
    peer.inflate_with(agreed.inflater())
    return peer, agreed.deflater(**settings)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("opcode", [TEXT, BINARY])
def test_a_compressed_message_of_any_size_is_understood(
    connect: Connect, opcode: int, size: int
) -> None:
    peer, deflater = compressing(connect)
    peer.send(frame(opcode, deflater.deflate(text_of(size)), rsv=RSV1))
    assert peer.message() == (text_of(size).decode() if opcode == TEXT else text_of(size))


@pytest.mark.parametrize("size", [100, 5_000, 100_000])
def test_what_cannot_be_compressed_may_be_sent_compressed(connect: Connect, size: int) -> None:
    peer, deflater = compressing(connect)
    noise = os.urandom(size)
    peer.send(frame(BINARY, deflater.deflate(noise), rsv=RSV1))
    assert peer.message() == noise


@pytest.mark.parametrize("bits", range(9, 16))
@pytest.mark.parametrize(
    "takeover", ["", "; client_no_context_takeover"], ids=["takeover", "no-takeover"]
)
def test_every_window_of_the_client_is_understood(
    connect: Connect, bits: int, takeover: str
) -> None:
    offer = f"permessage-deflate; client_max_window_bits={bits}{takeover}"
    peer, deflater = compressing(connect, offer)
    message = text_of(40_000)
    peer.send(*(frame(TEXT, deflater.deflate(message), rsv=RSV1) for _ in range(3)))
    assert [peer.message() for _ in range(3)] == [message.decode()] * 3


@pytest.mark.parametrize("bits", range(9, 16))
@pytest.mark.parametrize(
    "takeover", ["", "; server_no_context_takeover"], ids=["takeover", "no-takeover"]
)
def test_the_server_keeps_to_the_window_it_was_given(
    connect: Connect, bits: int, takeover: str
) -> None:
    peer = connect(extensions=f"permessage-deflate; server_max_window_bits={bits}{takeover}")
    agreed = Negotiated.of(peer.extensions)
    assert agreed.server_window_bits <= bits
    peer.inflate_with(agreed.inflater())
    messages = [os.urandom(1_000).hex() * 20 for _ in range(3)]
    peer.send(*(frame(TEXT, message.encode()) for message in messages))
    assert [peer.message() for _ in range(3)] == messages


@pytest.mark.parametrize("level", range(10))
def test_every_level_of_compression_is_understood(connect: Connect, level: int) -> None:
    peer, deflater = compressing(connect, level=level)
    peer.send(*(frame(TEXT, deflater.deflate(text_of(9_000)), rsv=RSV1) for _ in range(2)))
    assert [peer.message(), peer.message()] == [text_of(9_000).decode()] * 2


@pytest.mark.parametrize(
    "strategy",
    [zlib.Z_FILTERED, zlib.Z_HUFFMAN_ONLY, zlib.Z_RLE, zlib.Z_FIXED],
    ids=["filtered", "huffman-only", "run-length", "fixed"],
)
def test_every_kind_of_block_is_understood(connect: Connect, strategy: int) -> None:
    peer, deflater = compressing(connect, strategy=strategy)
    peer.send(frame(TEXT, deflater.deflate(text_of(9_000)), rsv=RSV1))
    assert peer.message() == text_of(9_000).decode()


def test_the_window_is_kept_from_message_to_message_where_agreed(connect: Connect) -> None:
    peer, deflater = compressing(connect)
    noise = os.urandom(600).hex()
    payloads = [deflater.deflate(noise.encode()) for _ in range(5)]
    peer.send(*(frame(TEXT, payload, rsv=RSV1) for payload in payloads))
    assert [peer.message() for _ in range(5)] == [noise] * 5


def test_compressed_and_plain_messages_may_alternate(connect: Connect) -> None:
    peer, deflater = compressing(connect)
    expected: list[str] = []
    for number in range(8):
        text = f"message {number} of several. " * 30
        expected.append(text)
        if number % 2:
            peer.send(frame(TEXT, text.encode()))
        else:
            peer.send(frame(TEXT, deflater.deflate(text.encode()), rsv=RSV1))
    assert [peer.message() for _ in range(8)] == expected


@pytest.mark.parametrize("size", [1, 2, 7, 100])
def test_a_compressed_message_may_be_fragmented(connect: Connect, size: int) -> None:
    peer, deflater = compressing(connect)
    for _ in range(2):
        peer.send(*fragments(TEXT, cut(deflater.deflate(text_of(3_000)), size), rsv=RSV1))
    assert [peer.message(), peer.message()] == [text_of(3_000).decode()] * 2


@pytest.mark.parametrize("piece", [1, 3, 17])
def test_a_compressed_frame_may_arrive_in_pieces(connect: Connect, piece: int) -> None:
    peer, deflater = compressing(connect)
    peer.send_in_pieces(cut(frame(TEXT, deflater.deflate(text_of(2_000)), rsv=RSV1), piece))
    assert peer.message() == text_of(2_000).decode()


@pytest.mark.parametrize("parts", [[b"", None], [None, b""], [b"", None, b""]])
def test_fragments_of_a_compressed_message_may_be_empty(
    connect: Connect, parts: list[bytes | None]
) -> None:
    peer, deflater = compressing(connect)
    compressed = deflater.deflate(text_of(500))
    filled = [compressed if part is None else part for part in parts]
    peer.send(*fragments(TEXT, filled, rsv=RSV1))
    assert peer.message() == text_of(500).decode()


@pytest.mark.parametrize("at", range(1, 6))
def test_a_ping_between_compressed_fragments_leaves_the_message_whole(
    connect: Connect, at: int
) -> None:
    peer, deflater = compressing(connect)
    compressed = deflater.deflate(os.urandom(300).hex().encode())
    expected = zlib.decompressobj(-15).decompress(compressed + TAIL).decode()
    frames = fragments(TEXT, cut(compressed, -(-len(compressed) // 6)), rsv=RSV1)
    peer.send(*frames[:at], frame(PING, b"between"), *frames[at:])
    pong = peer.receive()
    assert (pong.opcode, pong.payload) == (PONG, b"between")
    assert peer.message() == expected


def test_an_empty_message_may_be_one_zero_byte(connect: Connect) -> None:
    peer, _ = compressing(connect)
    peer.send(frame(TEXT, b"\x00", rsv=RSV1), frame(TEXT, b"next"))  # section 7.2.3.6
    assert [peer.message(), peer.message()] == ["", "next"]


def test_the_examples_of_the_rfc_are_understood(connect: Connect) -> None:
    for example in (
        [bytes.fromhex("f248cdc9c90700")],  # 7.2.3.1 one block
        [bytes.fromhex("f248cd"), bytes.fromhex("c9c90700")],  # the same in two frames
        [bytes.fromhex("000500faff48656c6c6f00")],  # 7.2.3.3 no compression
        [bytes.fromhex("f348cdc9c9070000")],  # 7.2.3.4 BFINAL set
        [bytes.fromhex("f248050000 00ffffcac9c90700".replace(" ", ""))],  # 7.2.3.5 two blocks
    ):
        peer, _ = compressing(connect)
        peer.send(*fragments(TEXT, example, rsv=RSV1))
        assert peer.message() == "Hello"


def test_the_window_of_the_rfc_example_is_shared(connect: Connect) -> None:
    peer, _ = compressing(connect)
    if not Negotiated.of(peer.extensions).client_takeover:
        pytest.skip("the server asked for no context takeover")
    peer.send(frame(TEXT, bytes.fromhex("f248cdc9c90700"), rsv=RSV1))  # section 7.2.3.2
    peer.send(frame(TEXT, bytes.fromhex("f200110000"), rsv=RSV1))
    assert [peer.message(), peer.message()] == ["Hello", "Hello"]


@pytest.mark.parametrize("rsv", [1, 2, 3, 5, 6, 7])
def test_other_reserved_bits_fail_the_connection(connect: Connect, rsv: int) -> None:
    peer, deflater = compressing(connect)
    peer.send(frame(TEXT, deflater.deflate(b"x"), rsv=rsv))
    assert peer.failed_with() == 1002


@pytest.mark.parametrize("rsv", range(1, 8))
@pytest.mark.parametrize("first", [0, RSV1], ids=["plain", "compressed"])
def test_a_reserved_bit_on_a_later_fragment_fails_the_connection(
    connect: Connect, first: int, rsv: int
) -> None:
    peer, deflater = compressing(connect)
    payload = deflater.deflate(b"compressed or not") if first else b"plain"
    peer.send(
        frame(TEXT, payload[:3], fin=False, rsv=first), frame(CONTINUATION, payload[3:], rsv=rsv)
    )
    assert peer.failed_with() == 1002


@pytest.mark.parametrize(
    "payload",
    [b"\xff\xff\xff\xff", b"\x07", b"not deflate", b"\x06" * 20, b"\x00\x05\x00\x05\x00Hello"],
    ids=["ones", "reserved-block", "text", "bad-trees", "bad-stored-length"],
)
def test_data_that_does_not_inflate_fails_the_connection(connect: Connect, payload: bytes) -> None:
    peer, _ = compressing(connect)
    peer.send(frame(BINARY, payload, rsv=RSV1))
    assert peer.failed_with() in (1002, 1007)


@pytest.mark.parametrize(
    "data", [b"\xff", b"abc\xc3", b"\xed\xa0\x80", "ä".encode() * 2_000 + b"\xfe"]
)
def test_compressed_text_that_is_not_utf8_fails_the_connection(
    connect: Connect, data: bytes
) -> None:
    peer, deflater = compressing(connect)
    peer.send(frame(TEXT, deflater.deflate(data), rsv=RSV1))
    assert peer.failed_with() == 1007


def test_a_small_frame_that_inflates_beyond_the_limit_is_refused(connect: Connect) -> None:
    peer, deflater = compressing(connect, level=9)
    bomb = deflater.deflate(bytes(64 * 1024 * 1024))
    assert len(bomb) < 80_000
    peer.send(frame(BINARY, bomb, rsv=RSV1))
    assert peer.failed_with() == 1009
