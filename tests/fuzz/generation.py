"""Random and mutated byte streams of a client, from a number that brings each one back."""

from __future__ import annotations

import zlib
from random import Random

_HEAD = (
    b"GET /ws?room=7 HTTP/1.1\r\nHost: chat.example\r\nUpgrade: websocket\r\n"
    b"Connection: keep-alive, Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    b"Sec-WebSocket-Version: 13\r\n%b\r\n"
)
_EXTRA_HEADERS = (
    b"",
    b"",
    b"Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n",
    b"Sec-WebSocket-Extensions: permessage-deflate; server_max_window_bits=10\r\n",
    b"Sec-WebSocket-Protocol: wsframe.v1.msgpack, wsframe.v1.json\r\n",
    b"Origin: null\r\nX-Long: " + b"x" * 300 + b"\r\n",
)
_HTTP_SCRAPS = (
    b"\r\n", b"\n", b"\r\n\r\n", b"\x00", b" ", b":", b"Content-Length: 5\r\n",
    b"Transfer-Encoding: chunked\r\n", b"Upgrade: h2c\r\n", b"Host: xn--a-\r\n", b"\xff\xfe",
    b"GET /hidden HTTP/1.1\r\n", b"HTTP/1.0", b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n",
    b"Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits=abc\r\n",
    b"permessage-deflate; server_max_window_bits=99", b"POST", b"\t", b",", b";", b'"',
)  # fmt: skip
_TEXTS = (
    b'{"type":"text","content":{"text":"Hello"}}', b"", b"a", "ünïcödé €𝄞".encode(), b"x" * 125,
    b"y" * 126, b"z" * 600,
)  # fmt: skip
_BAD_TEXTS = (b"\xff", "€".encode()[:2], b"\xed\xa0\x80", b"\xf0\x9f\x98")
_CLOSES = (
    b"", b"\x03\xe8", b"\x03\xe9bye", b"\x03\xf6", b"\x03\xed", b"\x0f\xa0" + b"r" * 123, b"\x03",
    b"\x03\xe8\xff", b"\x00\x00", b"\xff\xff",
)  # fmt: skip
_LENGTHS = (0, 125, 126, 127, 65535, 65536, 2**31, 2**32, 2**62, 2**63, 2**64 - 1)


class StreamMaker:
    """Makes what one client sends in all."""

    def __init__(self, seed: int) -> None:
        self._random = Random(seed)

    def stream(self) -> bytes:
        """A stream for a WebSocket server, with or without an HTTP head in front."""
        random = self._random
        choice = random.random()
        if choice < 0.10:
            return random.randbytes(random.randrange(400))
        stream = b"".join(self._message() for _ in range(random.randrange(8)))
        if choice < 0.40:
            return self._mutated(stream)
        return stream

    def head(self) -> bytes:
        """A request to upgrade, often not quite right."""
        random = self._random
        head = _HEAD % random.choice(_EXTRA_HEADERS)
        if random.random() < 0.5:
            return head
        changed = bytearray(head)
        for _ in range(random.randrange(1, 4)):
            position = random.randrange(len(changed) + 1)
            removed = random.choice((0, 0, 1, 2, 20))
            changed[position : position + removed] = random.choice(_HTTP_SCRAPS)
        return bytes(changed)

    def cut(self, stream: bytes) -> list[bytes]:
        """``stream`` in the pieces in which it arrives."""
        random = self._random
        choice = random.random()
        if choice < 0.3:
            return [stream]
        if choice < 0.4 and len(stream) < 250:
            return [stream[position : position + 1] for position in range(len(stream))]
        pieces, position = [], 0
        while position < len(stream):
            end = position + random.choice((1, 2, 3, 7, 14, 60, 200, 1400))
            pieces.append(stream[position:end])
            position = end
        return pieces

    def _message(self) -> bytes:
        random = self._random
        choice = random.random()
        if choice < 0.45:
            return self._frame(random.choice((1, 1, 2)), self._payload())
        if choice < 0.60:
            return self._fragmented(random.choice((1, 2)), self._payload(), 0)
        if choice < 0.70:
            return self._frame(random.choice((9, 10)), random.randbytes(random.randrange(8)))
        if choice < 0.80:
            opcode, payload = random.choice((1, 2)), self._payload()
            return self._fragmented(opcode, self._deflated(payload), 4)
        if choice < 0.84:
            return self._frame(8, random.choice(_CLOSES))
        if choice < 0.86:
            return self._odd_header()
        if choice < 0.88:
            return self._frame(random.choice((9, 10)), b"flood") * random.randrange(16)
        if choice < 0.96:
            return self._frame(
                2, random.randbytes(random.choice((1, 125, 126, 300, 2999, 3000, 3001, 3100)))
            )
        return self._frame(
            random.randrange(16),
            self._payload(),
            fin=random.random() < 0.7,
            rsv=random.choice((0, 0, 1, 2, 4, 7)),
        )

    def _payload(self) -> bytes:
        random = self._random
        choice = random.random()
        if choice < 0.02:
            return random.choice(_TEXTS) + random.choice(_BAD_TEXTS)
        if choice < 0.05:
            return random.randbytes(random.choice((1, 5, 125, 126, 300)))
        return random.choice(_TEXTS) * random.choice((1, 1, 1, 3))

    def _deflated(self, payload: bytes) -> bytes:
        random = self._random
        payload *= random.choice((1, 1, 10, 200))
        compressor = zlib.compressobj(random.choice((0, 1, 9)), zlib.DEFLATED, -15)
        data = compressor.compress(payload)
        if random.random() < 0.2:
            return data + compressor.flush(zlib.Z_FINISH)
        return (data + compressor.flush(zlib.Z_SYNC_FLUSH))[:-4]

    def _fragmented(self, opcode: int, payload: bytes, rsv: int) -> bytes:
        random = self._random
        frames, position = b"", 0
        while True:
            end = position + random.choice((0, 1, 2, 50, 50, 1000))
            fin = end >= len(payload)
            frames += self._frame(opcode, payload[position:end], fin=fin, rsv=rsv)
            if fin:
                return frames
            if random.random() < 0.1:
                frames += self._frame(random.choice((9, 10)), b"between")
            opcode, rsv, position = 0, 0, end

    def _odd_header(self) -> bytes:
        random = self._random
        first = random.randrange(256)
        second = random.choice((0xFF, 0xFE, 0x7F, 0x7E, 0x80, 0x00))
        length = random.choice(_LENGTHS).to_bytes(8, "big")[random.choice((0, 6)) :]
        return bytes((first, second)) + length + random.randbytes(random.randrange(12))

    def _frame(self, opcode: int, payload: bytes, *, fin: bool = True, rsv: int = 0) -> bytes:
        random = self._random
        length = len(payload)
        masked = 0x80 if random.random() < 0.995 else 0
        head = bytes((fin << 7 | rsv << 4 | opcode,))
        form = random.random()
        if length < 126 and form > 0.005:
            head += bytes((masked | length,))
        elif length < 65536 and form > 0.002:
            head += bytes((masked | 126,)) + length.to_bytes(2, "big")
        else:
            head += bytes((masked | 127,)) + length.to_bytes(8, "big")
        if not masked:
            return head + payload
        key = random.randbytes(4)
        repeated = int.from_bytes((key * (length // 4 + 1))[:length], "big")
        return head + key + (int.from_bytes(payload, "big") ^ repeated).to_bytes(length, "big")

    def _mutated(self, stream: bytes) -> bytes:
        random = self._random
        changed = bytearray(stream)
        for _ in range(random.randrange(1, 5)):
            position = random.randrange(len(changed) + 1)
            choice = random.random()
            if choice < 0.5 and position < len(changed):
                changed[position] ^= 1 << random.randrange(8)
            elif choice < 0.7:
                del changed[position : position + random.randrange(1, 20)]
            elif choice < 0.9:
                changed[position:position] = random.randbytes(random.randrange(1, 20))
            else:
                changed[position:position] = changed[random.randrange(len(changed) + 1) :][:100]
        return bytes(changed)
