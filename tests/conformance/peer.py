"""A WebSocket peer that can say anything, also what the RFC forbids, on a plain socket.

It shares no code with wsframe: what it builds and how it reads is written from RFC 6455 and
RFC 7692 alone. It reads strictly: a server frame that is masked, reserved or longer than it needs
to be fails the test.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import socket
import zlib
from collections.abc import Iterable, Sequence
from typing import NamedTuple, Self

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA
KEY = b"x3JJHMbDL1EzLkh9GBhXDw=="
ACCEPT = base64.b64encode(
    hashlib.sha1(KEY + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest()
).decode()
TIMEOUT_S = 60.0
TAIL = b"\x00\x00\xff\xff"
"""What ends a flushed DEFLATE block, and is left out on the wire (RFC 7692 section 7.2.1)."""


class Frame(NamedTuple):
    """A frame as it came from the server."""

    opcode: int
    payload: bytes
    fin: bool
    rsv1: bool


class Handshake(NamedTuple):
    """The server's answer to the upgrade request."""

    status: int
    headers: dict[str, str]


def frame(
    opcode: int,
    payload: bytes = b"",
    *,
    fin: bool = True,
    rsv: int = 0,
    mask: bytes | None = b"\x37\xfa\x21\x3d",
    length_bytes: int | None = None,
    length: int | None = None,
) -> bytes:
    """One client frame (RFC 6455 section 5.2).

    Args:
        opcode: 0-15, whether defined or not.
        payload: unmasked.
        fin: the last one of its message?
        rsv: the three reserved bits, RSV1 being 4.
        mask: the masking key; None sends the payload unmasked.
        length_bytes: 0, 2 or 8 bytes of extended length; None: as few as the length needs.
        length: what the head says, where that is not the length of ``payload``.
    """
    size = len(payload) if length is None else length
    if length_bytes is None:
        length_bytes = 0 if size < 126 else 2 if size < 65_536 else 8
    masked = 0x80 if mask is not None else 0
    short = {0: size, 2: 126, 8: 127}[length_bytes]
    head = bytes([fin << 7 | rsv << 4 | opcode, masked | short])
    head += size.to_bytes(length_bytes, "big") if length_bytes else b""
    if mask is None:
        return head + payload
    return head + mask + bytes(byte ^ mask[at & 3] for at, byte in enumerate(payload))


def close_frame(code: int | None = 1000, reason: bytes = b"") -> bytes:
    """A close frame; None: without a code."""
    return frame(CLOSE, b"" if code is None else code.to_bytes(2, "big") + reason)


def fragments(opcode: int, parts: Sequence[bytes], *, rsv: int = 0) -> list[bytes]:
    """A message cut into frames; ``rsv`` stands on the first one."""
    last = len(parts) - 1
    return [
        frame(
            CONTINUATION if number else opcode,
            part,
            fin=number == last,
            rsv=0 if number else rsv,
        )
        for number, part in enumerate(parts)
    ]


def cut(data: bytes, size: int) -> list[bytes]:
    """``data`` in pieces of ``size`` bytes."""
    return [data[at : at + size] for at in range(0, len(data), size)]


class Inflater:
    """Takes the server's compressed messages apart as the negotiation says."""

    def __init__(self, window_bits: int, takeover: bool) -> None:
        self._window_bits = window_bits
        self._takeover = takeover
        self._context = zlib.decompressobj(-window_bits)

    def inflate(self, payload: bytes) -> bytes:
        if not self._takeover:
            self._context = zlib.decompressobj(-self._window_bits)
        return self._context.decompress(payload + TAIL)


class Peer:
    """One connection, handshake done.

    Args:
        port: of the server on 127.0.0.1.
        extensions: the value of ``Sec-WebSocket-Extensions``; None sends no such header.
        behind: bytes sent in the same packet as the handshake.
        pieces: send the handshake in pieces of so many bytes; None: in one.
    """

    def __init__(
        self,
        port: int,
        *,
        extensions: str | None = None,
        behind: bytes = b"",
        pieces: int | None = None,
    ) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), TIMEOUT_S)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._received = bytearray()
        self._inflater: Inflater | None = None
        try:
            opening = request(extensions=extensions) + behind
            self.send_in_pieces(cut(opening, pieces or len(opening)))
            self.handshake = self.read_handshake()
            assert self.handshake.status == 101, self.handshake
            assert self.handshake.headers["sec-websocket-accept"] == ACCEPT
        except BaseException:
            self._socket.close()
            raise
        self.extensions = self.handshake.headers.get("sec-websocket-extensions", "")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self._socket.close()

    def send(self, *frames: bytes) -> None:
        """Sends the frames in one piece."""
        self._send(b"".join(frames))

    def send_in_pieces(self, pieces: Iterable[bytes]) -> None:
        """Sends each piece in a packet of its own, as far as TCP allows."""
        for piece in pieces:
            self._send(piece)

    def _send(self, data: bytes) -> None:
        # The server may be done with us already; what it said is still to be read.
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self._socket.sendall(data)

    def read_handshake(self) -> Handshake:
        """The answer to an upgrade request, whatever it is."""
        while b"\r\n\r\n" not in self._received:
            assert self._read_more(), f"closed in the handshake: {bytes(self._received)!r}"
        head, _, rest = bytes(self._received).partition(b"\r\n\r\n")
        self._received[:] = rest
        return parse_head(head)

    def receive(self) -> Frame:
        """The next frame; fails the test when it is not a valid server frame."""
        found = self._next_frame()
        assert found is not None, "the server closed the connection where a frame was expected"
        return found

    def message(self) -> str | bytes:
        """The next data message, put together and inflated."""
        first = self.receive()
        while first.opcode in (PING, PONG):
            first = self.receive()
        assert first.opcode in (TEXT, BINARY), first
        payload, part = first.payload, first
        while not part.fin:
            part = self.receive()
            assert part.opcode == CONTINUATION, part
            assert not part.rsv1, part
            payload += part.payload
        if first.rsv1:
            assert self._inflater is not None, "RSV1 without permessage-deflate"
            payload = self._inflater.inflate(payload)
        return payload.decode() if first.opcode == TEXT else payload

    def inflate_with(self, inflater: Inflater) -> None:
        """Compressed messages of the server are taken apart by ``inflater``."""
        self._inflater = inflater

    def close_received(self) -> tuple[int | None, bytes]:
        """Waits for the close frame and the end of TCP; returns code (None: none) and reason."""
        closing = self.receive()
        assert closing.opcode == CLOSE, closing
        assert closing.fin
        assert len(closing.payload) != 1
        self._send(close_frame(1000))
        with contextlib.suppress(OSError):  # the server was faster
            self._socket.shutdown(socket.SHUT_WR)
        assert self._next_frame() is None, "something came after the close frame"
        if not closing.payload:
            return None, b""
        return int.from_bytes(closing.payload[:2], "big"), closing.payload[2:]

    def failed_with(self) -> int | None:
        """The code the server failed the connection with; nothing else may come before it."""
        return self.close_received()[0]

    def end_of_stream(self) -> None:
        """Ends our half of TCP, without a close frame."""
        self._socket.shutdown(socket.SHUT_WR)

    def ended_within_close_handshake(self) -> bool:
        """Does the server end TCP too, with at most a close frame before?"""
        last = self._next_frame()
        return last is None or (last.opcode == CLOSE and self._next_frame() is None)

    def _read_more(self) -> bool:
        try:
            data = self._socket.recv(262_144)
        except ConnectionResetError:
            return False
        self._received += data
        return bool(data)

    def _take(self, size: int) -> bytes | None:
        while len(self._received) < size:
            if not self._read_more():
                assert not self._received, f"cut in a frame: {bytes(self._received[:64])!r}"
                return None
        data = bytes(self._received[:size])
        del self._received[:size]
        return data

    def _next_frame(self) -> Frame | None:
        head = self._take(2)
        if head is None:
            return None
        fin, rsv, opcode = bool(head[0] & 0x80), head[0] >> 4 & 7, head[0] & 15
        assert not head[1] & 0x80, "a server must not mask (RFC 6455 section 5.1)"
        assert rsv in (0, 4), f"reserved bits {rsv:03b}"
        assert opcode in (CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG), opcode
        size = head[1]
        if size > 125:
            extended = self._take(2 if size == 126 else 8)
            assert extended is not None
            size = int.from_bytes(extended, "big")
            assert size > (125 if len(extended) == 2 else 65_535), "length not minimal"
        if opcode >= CLOSE:
            assert fin
            assert not rsv
            assert size <= 125
        payload = self._take(size) if size else b""
        assert payload is not None
        return Frame(opcode, payload, fin, rsv == 4)


def request(
    *,
    extensions: str | None = None,
    start: str = "GET /conformance HTTP/1.1",
    without: str = "",
    **changed: str,
) -> bytes:
    """An upgrade request (RFC 6455 section 4.1); ``without`` leaves a header out."""
    headers = {
        "Host": "127.0.0.1",
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Key": KEY.decode(),
        "Sec-WebSocket-Version": "13",
    }
    headers |= {name.replace("_", "-"): value for name, value in changed.items()}
    if extensions is not None:
        headers["Sec-WebSocket-Extensions"] = extensions
    headers.pop(without, None)
    lines = [start, *(f"{name}: {value}" for name, value in headers.items()), "", ""]
    return "\r\n".join(lines).encode()


def parse_head(head: bytes) -> Handshake:
    """Status and headers of an HTTP answer, the names in lower case."""
    first, *lines = head.decode("latin-1").split("\r\n")
    version, status, *_ = first.split(" ")
    assert version == "HTTP/1.1"
    headers: dict[str, str] = {}
    for line in lines:
        name, _, value = line.partition(":")
        assert name.lower() not in headers, f"{name} twice"
        headers[name.lower()] = value.strip()
    return Handshake(int(status), headers)


def answer_to(port: int, data: bytes) -> Handshake:
    """What a server answers to the head of a request."""
    with socket.create_connection(("127.0.0.1", port), TIMEOUT_S) as sock:
        sock.sendall(data)
        received = bytearray()
        while b"\r\n\r\n" not in received:
            more = sock.recv(65_536)
            assert more, f"closed without an answer: {bytes(received)!r}"
            received += more
    return parse_head(bytes(received).partition(b"\r\n\r\n")[0])
