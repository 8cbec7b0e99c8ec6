"""Masking of payloads (RFC 6455 section 5.3): XOR with a repeated key of four bytes.

The compiled function of the ``fast`` extra is taken where it is installed. Without it, short
payloads are XORed as one big integer, and long ones go through four translation tables, one for
each byte of the key; the two ways take the same time at about 1 KiB.
"""

from __future__ import annotations

from collections.abc import Callable

Buffer = bytes | bytearray | memoryview

_TABLES = [bytes(byte ^ key for byte in range(256)) for key in range(256)]
_TABLES_PAY_FROM_BYTES = 1024


def mask_in_python(payload: Buffer, key: bytes | bytearray) -> bytes:
    """Mask or unmask ``payload`` with the four bytes of ``key``."""
    length = len(payload)
    if length < _TABLES_PAY_FROM_BYTES:
        repeated = (key * ((length >> 2) + 1))[:length]
        return (int.from_bytes(payload, "little") ^ int.from_bytes(repeated, "little")).to_bytes(
            length, "little"
        )
    masked = bytearray(payload)
    for offset in range(4):
        masked[offset::4] = masked[offset::4].translate(_TABLES[key[offset]])
    return bytes(masked)


apply_mask: Callable[[Buffer, bytes | bytearray], bytes]
"""Mask or unmask a payload with a key of four bytes."""
try:
    from websockets.speedups import apply_mask
except ImportError:
    apply_mask = mask_in_python
