"""What goes over the wire between one client and the server, compared with the truth."""

from __future__ import annotations

from collections import Counter
from typing import Any

import anyio

from tests.simulation.truth import Truth
from wsframe.client import Client
from wsframe.client.answers import Opening
from wsframe.messages import Message

UNNUMBERED = frozenset({"init", "pong"})


class Wire:
    """Listens to one client's conversation.

    Args:
        name: of the client.
        client: not yet entered.
        truth: what the server has really done.
    """

    def __init__(self, name: str, client: Client, truth: Truth) -> None:
        self.name = name
        self.truth = truth
        self.pushed: list[Any] = []
        """Contents of messages that were pushed."""
        self.sessions_lost: list[float] = []
        self.gaps: list[float] = []
        self.repeated = 0
        """Answers that came again because a message was sent again."""
        self.answered_anew = 0
        """Messages that were answered, and were answered ``interrupted`` after a crash."""
        self.duplicates = 0
        """Messages that came twice, without a reason."""
        self._seen: dict[str, int] = {}
        self._sends: Counter[str] = Counter()
        self._finals: Counter[str] = Counter()
        self._interruptions: Counter[str] = Counter()
        self._sends_at_final: dict[str, int] = {}
        self._conversation = conversation = client._conversation
        self._opened, self._receive = conversation.opened, conversation.receive
        self._next_message = conversation.next_message
        conversation.opened = self._on_opened  # type: ignore[method-assign]
        conversation.receive = self._on_receive  # type: ignore[method-assign]
        conversation.next_message = self._on_next_message  # type: ignore[method-assign]

    @property
    def session_id(self) -> str:
        """Of the present session."""
        return self._conversation.session_id or ""

    @property
    def seq(self) -> int:
        """How many numbered messages have come in it."""
        return self._conversation.seq

    def broken(self, text: str) -> None:
        """Something is not as it should be."""
        self.truth.broken(f"{self.name}: {text}")

    def sends(self, message_id: str) -> int:
        """How often a message was sent in the present session."""
        return self._sends[message_id]

    def _on_opened(self, message: Message[Any]) -> Any:
        before, seq = self._conversation.session_id, self._conversation.seq
        opening, session = self._opened(message)
        self.truth.note(f"{self.name} {opening.value} {session.seq} {len(session.in_flight)}")
        if opening is Opening.NEW:
            self._begin_anew(before)
        elif opening is Opening.GAP:
            self._take_gap(session.session_id, session.gap)
        elif session.seq != seq:
            self.broken(f"resumed at {session.seq} instead of {seq}")
        return opening, session

    def _begin_anew(self, before: str | None) -> None:
        self._seen.clear()
        self._sends.clear()
        self._finals.clear()
        self._interruptions.clear()
        self._sends_at_final.clear()
        if before is None:
            return
        self.sessions_lost.append(anyio.current_time())
        known = self.truth.sessions[before]
        if known.over is None:
            self.broken("has lost its session without a reason")
        else:
            self.truth.note(f"{self.name} has lost its session: {known.over}")

    def _take_gap(self, session_id: str, gap: Any) -> None:
        self.gaps.append(anyio.current_time())
        evicted = self.truth.sessions[session_id].evicted
        if gap.last > evicted:
            self.broken(f"a gap up to {gap.last}, but only {evicted} were evicted")

    def _on_next_message(self) -> Any:
        due = self._next_message()
        if due is not None and due[0].id is not None and due[0].type != "ack":
            self._sends[due[0].id] += 1
            self.truth.note(f"{self.name} → {due[0].type} {due[0].id}")
        return due

    def _on_receive(self, message: Message[Any], now: float) -> bool:
        counted = self._conversation.connected
        dropped = self._receive(message, now)
        if not counted:
            self.broken(f"{message.type} came before the answer to init")
            return dropped
        if message.reply_to is None and message.type not in {"system", "error"}:
            self.pushed.append(message.content)
        if not message.transient and message.type not in UNNUMBERED:
            self._numbered(message)
        return dropped

    def _numbered(self, message: Message[Any]) -> None:
        number, session_id = self.seq, self.session_id
        assert message.id is not None
        self.truth.note(f"{self.name} ← {number} {message.type} {message.reply_to} {message.final}")
        frames = self.truth.sessions[session_id].frames.get(number, ())
        if not any(message.id.encode() in frame for frame in reversed(frames)):
            self.broken(f"{message.type} came as number {number}, which is another message")
        again = message.id in self._seen
        if message.reply_to is None:
            if again:
                self._again(f"number {number} was number {self._seen[message.id]} already")
        elif message.final is not True:
            if again:
                self._again(f"the part number {number} was number {self._seen[message.id]} already")
        else:
            self._final(message, again=again)
        self._seen[message.id] = number

    def _final(self, message: Message[Any], *, again: bool) -> None:
        assert message.reply_to is not None
        self.repeated += again
        self._finals[message.reply_to] += 1
        finals, sends = self._finals[message.reply_to], self._sends[message.reply_to]
        interrupted = message.type == "error" and message.content["code"] == "interrupted"
        if interrupted and self._sends_at_final.get(message.reply_to) == sends:
            self._interruptions[message.reply_to] += 1  # nobody has asked again
        self._sends_at_final[message.reply_to] = sends
        if finals <= sends:
            return
        # A batched server that was killed may not know what it has answered, and interrupt it.
        forgiven = self._interruptions[message.reply_to]
        if self.truth.killed and not self.truth.strict and finals - forgiven <= sends:
            self.answered_anew += 1
        else:
            self._again(f"{finals} final answers came to a message that was sent {sends} times")

    def _again(self, text: str) -> None:
        self.duplicates += 1
        self.broken(text)
