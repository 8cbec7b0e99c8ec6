"""What the protocol layer costs, by itself: ``python benchmarks/protocol_micro.py``.

Microseconds of CPU for one message (the least of several rounds), and bytes for one idle
connection. Compare runs of one interpreter on one machine only.
"""

from __future__ import annotations

import argparse
import gc
import json
import platform
import sys
import time
import tracemalloc
from collections.abc import Callable

from wsframe.protocol import frames, masking
from wsframe.protocol.connection import Role, WebSocket
from wsframe.protocol.deflate import DeflateSettings, negotiate

KEY = b"\x37\xfa\x21\x3d"
LIMIT = 2 * 1024 * 1024


def microseconds(run: Callable[[], object], messages: int, budget_s: float) -> float:
    """CPU time of ``run`` for one of its ``messages``: the least of seven rounds."""
    clock = time.process_time
    repeats, elapsed = 1, 0.0
    while elapsed < budget_s / 50:
        repeats *= 2
        start = clock()
        for _ in range(repeats):
            run()
        elapsed = clock() - start
    repeats = max(1, int(repeats * budget_s / 7 / elapsed))
    best = float("inf")
    for _ in range(7):
        start = clock()
        for _ in range(repeats):
            run()
        best = min(best, (clock() - start) / repeats)
    return best / messages * 1e6


def server(**options: object) -> WebSocket:
    return WebSocket(Role.SERVER, max_message_bytes=LIMIT, **options)  # type: ignore[arg-type]


def masked(opcode: int, payload: bytes, **options: bool) -> bytes:
    return frames.encode_frame(opcode, payload, mask=KEY, **options)


def pieces(data: bytes, size: int) -> list[bytes]:
    return [data[start : start + size] for start in range(0, len(data), size)]


def text_of(size: int) -> bytes:
    words = b"the quick brown fox jumps over the lazy dog, again and again; "
    return (words * (size // len(words) + 1))[:size]


def cases() -> dict[str, tuple[Callable[[], object], int]]:
    """Name to what is run and how many messages that is."""
    small, large, huge = text_of(128), text_of(4096), text_of(1024 * 1024)
    answer, broadcast = frames.encode_text(small), frames.encode_text(large)
    agreed = negotiate(["permessage-deflate; client_max_window_bits"], DeflateSettings())
    assert agreed is not None
    deflate = agreed[0]
    compressed = deflate.compress(large)
    assert compressed is not None
    plain, wsproto_only, deflating = server(), server(hot_path=False), server(deflate=deflate)

    def feed(websocket: WebSocket, *chunks: bytes) -> Callable[[], object]:
        def run() -> None:
            for chunk in chunks:
                websocket.receive_data(chunk)
            websocket.output.clear()
            websocket.reset_control_count()

        return run

    def receive(websocket: WebSocket, data: bytes) -> Callable[[], object]:
        """Nothing but the call itself."""
        receive_data = websocket.receive_data
        return lambda: receive_data(data)

    many_small, many_large = masked(1, small) * 16, masked(1, large) * 16
    halves = [masked(1, large)[:2000], masked(1, large)[2000:]]
    return {
        "receive 128 B text, d1": (receive(plain, masked(1, small)), 1),
        "receive 32 B text, d1": (receive(plain, masked(1, small[:32])), 1),
        "receive 128 B text, d16": (receive(plain, many_small), 16),
        "receive 128 B binary, d16": (receive(plain, masked(2, small) * 16), 16),
        "receive 4 KiB text, d16": (receive(plain, many_large), 16),
        "receive 4 KiB text in two pieces": (feed(plain, *halves), 1),
        "receive 1 MiB text in 64 KiB pieces": (feed(plain, *pieces(masked(1, huge), 65536)), 1),
        "receive 1 MiB binary in 64 KiB pieces": (feed(plain, *pieces(masked(2, huge), 65536)), 1),
        "receive 1 MiB binary at once": (receive(plain, masked(2, huge)), 1),
        "receive 128 B text, d16, wsproto only": (receive(wsproto_only, many_small), 16),
        "receive a ping": (feed(plain, masked(9, b"ping")), 1),
        "receive 128 B in two fragments": (
            feed(plain, masked(1, small[:64], fin=False) + masked(0, small[64:])),
            1,
        ),
        "receive 4 KiB text, compressed": (feed(deflating, masked(1, compressed, rsv1=True)), 1),
        "encode 128 B": (lambda: frames.encode_text(small), 1),
        "encode 4 KiB": (lambda: frames.encode_text(large), 1),
        "wrap 128 B, deflate off": (lambda: plain.wrap(answer), 1),
        "wrap 4 KiB, compressed before": (lambda: deflating.wrap(broadcast), 1),
        "compress 4 KiB": (lambda: deflate.compress(large), 1),
        "unmask 128 B": (lambda: masking.apply_mask(small, KEY), 1),
        "unmask 4 KiB": (lambda: masking.apply_mask(large, KEY), 1),
        "unmask 128 B in Python": (lambda: masking.mask_in_python(small, KEY), 1),
        "unmask 4 KiB in Python": (lambda: masking.mask_in_python(large, KEY), 1),
    }


def idle_bytes(*, with_deflate: bool) -> float:
    """Bytes of one idle connection that has received messages of every kind."""
    agreed = negotiate(["permessage-deflate"], DeflateSettings())
    assert agreed is not None
    deflate = agreed[0] if with_deflate else None
    compressed = agreed[0].compress(text_of(4096))
    assert compressed is not None
    stream = masked(1, b"hello") + masked(9, b"ping") + masked(2, b"a", fin=False) + masked(0, b"b")
    if with_deflate:
        stream += masked(1, compressed, rsv1=True)
    count = 1000
    gc.collect()
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    connections = [server(deflate=deflate) for _ in range(count)]
    for connection in connections:
        connection.receive_data(stream)
        connection.output.clear()
    gc.collect()
    taken = tracemalloc.get_traced_memory()[0] - before - sys.getsizeof(connections)
    tracemalloc.stop()
    return taken / count


def main() -> None:
    parser = argparse.ArgumentParser(description="Costs of the protocol layer.")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--only", default="", help="run the cases whose name contains this")
    parser.add_argument("--seconds", type=float, default=0.7, help="for each case")
    parser.add_argument("--python-masking", action="store_true", help="do without `fast`")
    options = parser.parse_args()
    if options.python_masking:
        frames.apply_mask = masking.mask_in_python
    masker = frames.apply_mask.__module__ or "compiled"
    result: dict[str, float | str] = {
        "interpreter": f"{platform.python_implementation()} {platform.python_version()}",
        "masker": masker,
    }
    for name, (run, messages) in cases().items():
        if options.only in name:
            result[name] = round(microseconds(run, messages, options.seconds), 3)
    if options.only in "idle":
        result["idle connection, bytes"] = round(idle_bytes(with_deflate=False))
        result["idle connection with deflate, bytes"] = round(idle_bytes(with_deflate=True))
    if options.json:
        print(json.dumps(result))
    else:
        for name, value in result.items():
            print(f"{name:45} {value}")


if __name__ == "__main__":
    main()
