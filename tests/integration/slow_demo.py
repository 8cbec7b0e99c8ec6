"""The demo, whose stories last: a test has all the time to do something meanwhile.

It also counts the pings of its heartbeat.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import wsframe.demo
from wsframe.protocol.heartbeat import Beat, Heartbeat
from wsframe.server import link

wsframe.demo.WORD_DELAY_S = 0.5  # less than a minute in all, which is what an answer may take
app = wsframe.demo.app
beats: Counter[Beat] = Counter()


class CountedHeartbeat(Heartbeat):
    """A peer that stays silent is pinged once: more pings say that it has answered."""

    __slots__ = ()

    def check(self, now: float) -> Beat:
        beat = super().check(now)
        beats[beat] += 1
        return beat


vars(link)["Heartbeat"] = CountedHeartbeat


@app.http_route("/pings")
async def report_pings(_request: Any) -> dict[str, int]:
    return {"pings": beats[Beat.PING]}
