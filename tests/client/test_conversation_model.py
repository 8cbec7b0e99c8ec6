"""A client's half of a session against a model of the server's, over a network that loses."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tests.client.test_conversation import MAX_PARTS, MAX_PENDING, MAX_PUSHED, make_conversation
from wsframe.client.answers import Opening
from wsframe.client.pending import Pending
from wsframe.errors import RequestError
from wsframe.messages import Message


class Running:
    """A message that the model server has accepted and not finally answered."""

    def __init__(self, message: Message[Any], run: int) -> None:
        self.message = message
        self.run = run
        self.parts = 0


class ModelServer:
    """One session of a server, as the wire protocol describes it."""

    def __init__(self, session_id: str, outbox_limit: int) -> None:
        self.session_id = session_id
        self.secret = f"secret of {session_id}"
        self.outbox: list[Message[Any]] = []
        self.evicted = 0
        self.outbox_limit = outbox_limit
        self.running: dict[str, Running] = {}
        self.answers: dict[str, Message[Any]] = {}
        self.runs: dict[str, int] = {}
        self.cancelled: list[str] = []

    @property
    def sent(self) -> int:
        return self.evicted + len(self.outbox)

    def push(self, message: Message[Any]) -> Message[Any]:
        self.outbox.append(message)
        while len(self.outbox) > self.outbox_limit:
            self.outbox.pop(0)
            self.evicted += 1
        return message

    def accept(self, message: Message[Any]) -> Message[Any] | None:
        """Take the client's message; returns what is sent because of it."""
        if message.ack is not None:
            assert self.evicted <= message.ack or message.ack <= self.sent
            assert message.ack <= self.sent
            while self.evicted < message.ack:
                self.outbox.pop(0)
                self.evicted += 1
        if message.type == "ack":
            return None
        assert message.id is not None
        if message.type == "cancel":
            self.cancelled.append(message.content["id"])
            self.running.pop(message.content["id"], None)
            return self.push(Message(type="cancel", reply_to=message.id, final=True))
        if message.id in self.answers:
            return self.push(self.answers[message.id])
        if message.id not in self.running:
            self.runs[message.id] = self.runs.get(message.id, 0) + 1
            self.running[message.id] = Running(message, self.runs[message.id])
        return None

    def finish(self, message_id: str, error: str | None, *, retryable: bool) -> Message[Any]:
        running = self.running.pop(message_id)
        if error is None:
            content = {"id": message_id, "parts": running.parts}
            answer = Message[Any](
                type=running.message.type, content=content, reply_to=message_id, final=True
            )
        else:
            content = {"code": error, "message": error, "retryable": retryable}
            answer = Message(type="error", content=content, reply_to=message_id, final=True)
        if not retryable:
            self.answers[message_id] = answer
        return self.push(answer)

    def part(self, message_id: str) -> Message[Any]:
        running = self.running[message_id]
        running.parts += 1
        content = {"run": running.run, "n": running.parts}
        return self.push(
            Message(type=running.message.type, content=content, reply_to=message_id, final=False)
        )


class Talking(RuleBasedStateMachine):
    """The client talks to the model; what is under way is lost whenever the network likes."""

    def __init__(self) -> None:
        super().__init__()
        self.client = make_conversation()
        self.server = ModelServer("s1", 6)
        self.sessions = 1
        self.to_client: list[Message[Any]] = []
        self.to_server: list[Message[Any]] = []
        self.asked: list[Pending] = []
        self.taken: dict[str, list[Message[Any]]] = {}
        self.pushed: list[int] = []
        self.push_count = 0
        self.excused = False  # the client was told that something is lost
        self.now = 0.0

    @initialize()
    def begin(self) -> None:
        self.client.pushed.listening = True
        self.connect()

    def changed(self) -> None:
        """Nobody is there to be woken."""

    # The client's application

    @rule(streamed=st.booleans(), retries=st.integers(0, 2))
    def ask(self, streamed: bool, retries: int) -> None:
        waiting = len(self.client.pending())
        try:
            pending = self.client.ask(
                "ask", {}, changed=self.changed, streamed=streamed, retries=retries
            )
        except RequestError:
            assert waiting == MAX_PENDING
            return
        assert waiting < MAX_PENDING
        self.asked.append(pending)

    @precondition(lambda self: self.asked)
    @rule(data=st.data())
    def abandon(self, data: st.DataObject) -> None:
        self.client.abandon(data.draw(st.sampled_from(self.asked)))

    @precondition(lambda self: self.asked)
    @rule(data=st.data())
    def rest_is_over(self, data: st.DataObject) -> None:
        self.client.retry(data.draw(st.sampled_from(self.asked)))

    @rule()
    def take(self) -> None:
        while (message := self.client.pushed.take()) is not None:
            self.pushed.append(message.content["n"])
        for pending in self.asked:
            self.taken.setdefault(pending.id, []).extend(pending.parts)
            pending.parts.clear()

    @rule(seconds=st.floats(0, 10))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds
        self.client.acknowledge_by(self.now)

    # The network

    @precondition(lambda self: self.client.connected)
    @rule(count=st.integers(1, 10))
    def client_sends(self, count: int) -> None:
        for _ in range(count):
            had_due = self.client.has_due
            due = self.client.next_message()
            if due is None:
                return
            assert had_due
            self.to_server.append(due[0])

    @precondition(lambda self: self.to_server)
    @rule(count=st.integers(1, 10))
    def server_receives(self, count: int) -> None:
        for _ in range(min(count, len(self.to_server))):
            self.deliver(self.server.accept(self.to_server.pop(0)))

    @precondition(lambda self: self.client.connected and self.to_client)
    @rule(count=st.integers(1, 10))
    def client_receives(self, count: int) -> None:
        for _ in range(min(count, len(self.to_client))):
            if self.client.is_blocked_by(self.to_client[0]) is not None:
                return
            assert not self.client.receive(self.to_client.pop(0), self.now)

    def deliver(self, message: Message[Any] | None) -> None:
        if message is not None and self.client.connected:
            self.to_client.append(message)

    @precondition(lambda self: self.client.connected)
    @rule(lose=st.sampled_from(["nothing", "nothing", "nothing", "session"]))
    def drop(self, lose: str) -> None:
        self.client.disconnected()
        assert self.client.next_message() is None
        self.to_client.clear()
        self.to_server.clear()
        if lose == "session":
            self.sessions += 1
            self.server = ModelServer(f"s{self.sessions}", 6)
            self.excused = True

    @precondition(lambda self: not self.client.connected)
    @rule()
    def connect(self) -> None:
        init = self.client.hello({"token": "t"})
        resume = init.content.get("resume")
        if resume is None or resume["sessionId"] != self.server.session_id:
            self.server = ModelServer(self.server.session_id, 6)  # it begins only now
        server = self.server
        content: dict[str, Any] = {
            "sessionId": server.session_id,
            "secret": server.secret,
            "resumed": False,
            "seq": 0,
            "gap": None,
            "inFlight": [],
            "limits": {"maxInFlight": 5},
        }
        expected = Opening.NEW
        if resume is not None and resume["sessionId"] == server.session_id:
            assert resume["secret"] == server.secret
            seq = resume["seq"]
            assert seq <= server.sent
            unread = server.outbox[max(seq - server.evicted, 0) :]
            answered = [message.reply_to for message in unread if message.final]
            content |= {"resumed": True, "seq": seq, "inFlight": [*answered, *server.running]}
            expected = Opening.RESUMED
            if seq < server.evicted:
                content |= {"seq": server.evicted, "gap": {"from": seq + 1, "to": server.evicted}}
                expected = Opening.GAP
                self.excused = True
            self.to_client = server.outbox[content["seq"] - server.evicted :]
        answer = Message[Any](type="init", content=content, reply_to=init.id, final=True)
        assert self.client.is_answer_to_hello(answer)
        assert self.client.opened(answer)[0] is expected

    # The server's application

    @precondition(lambda self: self.server.running)
    @rule(
        data=st.data(),
        error=st.sampled_from([None, None, ("failed", False), ("busy", True)]),
    )
    def finish(self, data: st.DataObject, error: tuple[str, bool] | None) -> None:
        message_id = data.draw(st.sampled_from(list(self.server.running)))
        code, retryable = error or (None, False)
        self.deliver(self.server.finish(message_id, code, retryable=retryable))

    @precondition(lambda self: self.server.running)
    @rule(data=st.data())
    def part(self, data: st.DataObject) -> None:
        message_id = data.draw(st.sampled_from(list(self.server.running)))
        self.deliver(self.server.part(message_id))

    @rule()
    def push(self) -> None:
        self.push_count += 1
        message = Message[Any](type="pushed", content={"n": self.push_count})
        self.deliver(self.server.push(message))

    # What always holds

    @invariant()
    def everything_is_bounded(self) -> None:
        assert len(self.client.pushed) <= MAX_PUSHED
        assert all(len(pending.parts) <= MAX_PARTS for pending in self.asked)
        assert len(self.client.pending()) <= MAX_PENDING

    @invariant()
    def what_ended_has_one_end(self) -> None:
        for pending in self.asked:
            ends = (pending.answer is not None) + (pending.error is not None)
            assert ends <= 1
            assert pending.done or not ends
            assert (pending in self.client.pending()) is not pending.done

    @invariant()
    def an_answer_is_the_one_to_its_question(self) -> None:
        for pending in self.asked:
            if pending.answer is not None:
                assert pending.answer.content["id"] == pending.id

    @invariant()
    def pushed_messages_come_once_and_in_order(self) -> None:
        assert self.pushed == sorted(set(self.pushed))
        if not self.excused:
            assert self.pushed == list(range(1, len(self.pushed) + 1))

    def teardown(self) -> None:
        """The network recovers and the server answers: then everything comes to its end."""
        for _ in range(1_000):
            if not self.client.connected:
                self.connect()
            self.take()
            for pending in self.asked:
                self.client.retry(pending)
            self.client_sends(100)
            self.server_receives(len(self.to_server))
            for message_id in list(self.server.running):
                self.deliver(self.server.finish(message_id, None, retryable=False))
            self.client_receives(100)
            if all(pending.done for pending in self.asked) and not self.to_client:
                break
        else:
            raise AssertionError("something never came to its end")
        self.take()
        assert self.client.seq == self.server.sent
        for pending in self.asked:
            self.check_parts(pending)
        self.pushed_messages_come_once_and_in_order()
        if not self.excused:
            assert len(self.pushed) == self.push_count

    def check_parts(self, pending: Pending) -> None:
        """A stream that ended well has given out every part, once, of one run."""
        if pending.streamed and pending.answer is not None:
            parts = [part.content for part in self.taken.get(pending.id, [])]
            count = pending.answer.content["parts"]
            assert [part["n"] for part in parts] == list(range(1, count + 1))
            assert len({part["run"] for part in parts}) <= 1


TestTalking = Talking.TestCase
