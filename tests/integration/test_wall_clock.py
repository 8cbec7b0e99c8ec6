"""A wall clock that jumps by an hour, while requests and heartbeats run in a real process."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from tests.conformance.peer import PING, PONG, TEXT, Peer, frame
from tests.running_server import RunningServer

HEARTBEATS = 6
SERVER = '''
import itertools
import time

HOUR_S = 3_600


def jumping(clock, second):
    """A clock that is an hour ahead, then right, then an hour behind, look by look."""
    jumps = itertools.cycle((HOUR_S * second, 0, -HOUR_S * second))

    def look():
        return clock() + next(jumps)

    return look


time.time = jumping(time.time, 1)
time.time_ns = jumping(time.time_ns, 10**9)

import anyio

from wsframe import App

app = App(
    plugins=[],
    path="/conformance",
    heartbeat_interval_s=0.2,
    heartbeat_timeout_s=60,
    message_timeout_s=60,
    handshake_timeout_s=60,
    drain_timeout_s=60,
)


@app.handler("wait")
async def wait(message, connection):
    await anyio.sleep(0.3)
    return {"jumped": abs(time.time() - time.time()) > HOUR_S / 2}


app.run(port=0)
'''


def test_44_a_wall_clock_that_jumps_times_nothing_out(tmp_path: Path) -> None:
    script = tmp_path / "jumping.py"
    script.write_text(SERVER)
    server = RunningServer([sys.executable, str(script)], cwd=tmp_path)
    answers = []
    try:
        with Peer(server.port) as idle, Peer(server.port) as peer:
            for number in range(HEARTBEATS):
                peer.send(frame(TEXT, json.dumps({"id": str(number), "type": "wait"}).encode()))
                ping = idle.receive()
                assert ping.opcode == PING, ping
                idle.send(frame(PONG, ping.payload))
                while (received := peer.receive()).opcode == PING:
                    peer.send(frame(PONG, received.payload))
                assert received.opcode == TEXT, received
                answers.append(json.loads(received.payload))
    finally:
        code = server.stop()
    assert code == 0
    assert [answer["type"] for answer in answers] == ["wait"] * len(answers)
    assert all(answer["content"] == {"jumped": True} for answer in answers)
    assert "Traceback" not in "".join(server.output)
