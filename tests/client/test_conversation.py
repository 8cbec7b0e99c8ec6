"""A client's half of a session, step by step."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsframe.client.answers import Opening
from wsframe.client.conversation import Conversation
from wsframe.client.pending import Pending, Stage
from wsframe.client.reconnect import Backoff
from wsframe.errors import ConnectError, ProtocolError, RequestError
from wsframe.messages import Message, MessageIds

MAX_PARTS, MAX_PUSHED, MAX_PENDING = 4, 5, 8


def make_conversation(**settings: Any) -> Conversation:
    return Conversation(
        **{
            "ids": MessageIds("c"),
            "max_pending": MAX_PENDING,
            "max_pushed": MAX_PUSHED,
            "max_parts": MAX_PARTS,
            "ack_every": 4,
            "ack_delay_s": 5.0,
            "make_backoff": lambda: Backoff(1, 8, lambda: 0.5),
            **settings,
        }
    )


def opened(conversation: Conversation, session_id: str = "s1", **content: Any) -> Opening:
    """Take the answer to a new ``init``."""
    init = conversation.hello({})
    content = {"sessionId": session_id, "secret": "x", **content}
    answer = Message[Any](type="init", content=content, reply_to=init.id, final=True)
    return conversation.opened(answer)[0]


def asked(conversation: Conversation, type: str = "ask", **options: Any) -> Pending:
    return conversation.ask(type, {}, changed=lambda: None, **options)


def sent(conversation: Conversation) -> list[Message[Any]]:
    """Everything that is due."""
    found = []
    while (due := conversation.next_message()) is not None:
        found.append(due[0])
    return found


def test_nothing_is_sent_before_the_answer_to_init() -> None:
    conversation = make_conversation()
    pending = asked(conversation)
    init = conversation.hello({"token": "t"})
    assert (init.type, init.content) == ("init", {"token": "t"})
    assert sent(conversation) == []
    assert opened(conversation) is Opening.NEW
    assert [message.id for message in sent(conversation)] == [pending.id]


def test_other_answers_are_not_the_answer_to_init() -> None:
    conversation = make_conversation()
    init = conversation.hello({})
    for wrong in (
        Message[Any](type="init", final=True),
        Message[Any](type="init", reply_to="other", final=True),
        Message[Any](type="init", reply_to=init.id, final=False),
    ):
        assert not conversation.is_answer_to_hello(wrong)
    with pytest.raises(ProtocolError):
        conversation.opened(Message[Any](type="text", reply_to=init.id, final=True))
    assert not conversation.connected


def test_a_session_that_was_not_asked_for_cannot_be_resumed() -> None:
    with pytest.raises(ProtocolError, match="not ours"):
        opened(make_conversation(), resumed=True)


def test_a_stream_that_was_answered_within_a_gap_does_not_look_complete() -> None:
    conversation = make_conversation()
    opened(conversation)
    stream, request = asked(conversation, streamed=True), asked(conversation)
    unsent = [sent(conversation), asked(conversation, streamed=True)][1]
    conversation.disconnected()
    gap = {"from": 1, "to": 3}
    assert opened(conversation, resumed=True, seq=3, gap=gap) is Opening.GAP
    assert stream.error is not None
    assert isinstance(stream.error, RequestError)
    assert (stream.error.code, stream.error.retryable) == ("gap", True)
    assert [message.id for message in sent(conversation)] == [request.id, unsent.id]


def test_a_message_that_rests_belongs_to_no_session() -> None:
    conversation = make_conversation()
    opened(conversation)
    pending = asked(conversation, retries=1)
    sent(conversation)
    content = {"code": "busy", "message": "x", "retryable": True, "retryAfterMs": 1_500}
    answer = Message[Any](type="error", content=content, reply_to=pending.id, final=True)
    conversation.receive(answer, 0)
    conversation.receive(answer, 0)  # a second time changes nothing
    assert (pending.stage, pending.pause_s, pending.retries) == (Stage.RESTING, 1.5, 0)
    conversation.disconnected()
    opened(conversation, "s2")
    assert sent(conversation) == []
    conversation.retry(pending)
    assert [message.id for message in sent(conversation)] == [pending.id]


@pytest.mark.parametrize("with_parts", [False, True])
def test_what_was_sent_once_more_before_its_interruption_was_read_loses_nothing(
    with_parts: bool,
) -> None:
    conversation = make_conversation()
    opened(conversation)
    pending = asked(conversation, streamed=True, retries=3)
    sent(conversation)
    conversation.disconnected()
    opened(conversation, resumed=True)
    assert [message.id for message in sent(conversation)] == [pending.id]
    content = {"code": "interrupted", "message": "x", "retryable": True}
    interrupted = Message[Any](type="error", content=content, reply_to=pending.id, final=True)
    conversation.receive(interrupted, 0)
    assert pending.stage is Stage.RESTING
    if with_parts:
        for number in (1, 2):
            part = Message[Any](type="ask", content=number, reply_to=pending.id, final=False)
            conversation.receive(part, 0)
        conversation.retry(pending)
        assert sent(conversation) == []
        assert [part.content for part in pending.parts] == [1, 2]
    answer = Message[Any](type="ask", content={}, reply_to=pending.id, final=True)
    conversation.receive(answer, 0)
    assert pending.answer is answer
    assert conversation.pending() == []


def test_a_message_too_big_for_the_server_ends_and_the_next_one_is_sent() -> None:
    conversation = make_conversation()
    big, small = asked(conversation, size=101), asked(conversation, size=100)
    opened(conversation, limits={"maxMessageBytes": 100})
    assert [message.id for message in sent(conversation)] == [small.id]
    assert isinstance(big.error, RequestError)
    assert big.error.code == "message_too_big"


def test_cancelling_does_not_pile_up() -> None:
    conversation = make_conversation(max_pending=3)
    opened(conversation)
    for _ in range(10):
        pending = asked(conversation)
        assert conversation.next_message() is not None or pending.stage is Stage.WAITING
        conversation.abandon(pending)
    assert len([each for each in sent(conversation) if each.type == "cancel"]) <= 10


def test_what_was_given_up_is_in_flight_until_the_server_has_answered_it() -> None:
    conversation = make_conversation()
    opened(conversation, limits={"maxInFlight": 1})
    given_up, other = asked(conversation), asked(conversation)
    assert [message.id for message in sent(conversation)] == [given_up.id]
    conversation.abandon(given_up)
    assert [message.type for message in sent(conversation)] == ["cancel"]
    part = Message[Any](type="ask", reply_to=given_up.id, final=False)
    conversation.receive(part, 0)
    assert sent(conversation) == []
    error = {"code": "cancelled", "message": "x", "retryable": False}
    conversation.receive(
        Message[Any](type="error", content=error, reply_to=given_up.id, final=True), 0
    )
    assert [message.id for message in sent(conversation)] == [other.id]


def test_what_was_given_up_in_a_gap_is_in_flight_until_the_server_has_answered_it() -> None:
    conversation = make_conversation()
    limits = {"maxInFlight": 1}
    opened(conversation, limits=limits)
    stream, other = asked(conversation, streamed=True), asked(conversation)
    sent(conversation)
    conversation.disconnected()
    gap = {"from": 1, "to": 3}
    opened(conversation, resumed=True, seq=3, gap=gap, inFlight=[stream.id], limits=limits)
    assert stream.done
    assert [message.type for message in sent(conversation)] == ["cancel"]
    conversation.disconnected()  # and what the server has answered meanwhile is none any more
    opened(conversation, resumed=True, seq=3, limits=limits)
    assert [message.id for message in sent(conversation)] == [other.id]


def test_the_end_ends_everything_with_errors_of_their_own() -> None:
    conversation = make_conversation()
    pending = [asked(conversation), asked(conversation)]
    conversation.end(lambda: ConnectError("gone", hint="x"))
    assert conversation.pending() == []
    assert pending[0].error is not None
    assert pending[0].error is not pending[1].error


@given(st.lists(st.sampled_from(["init", "pong", "text", "transient", "system"]), max_size=20))
def test_only_numbered_messages_count(kinds: list[str]) -> None:
    conversation = make_conversation()
    opened(conversation)
    for kind in kinds:
        transient = True if kind in {"transient", "system"} else None
        conversation.receive(Message[Any](type=kind, transient=transient), 0)
    assert conversation.seq == kinds.count("text")
