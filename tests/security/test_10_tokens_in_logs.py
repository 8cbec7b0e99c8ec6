"""Threat 10: a token in URL, header or subprotocol is in no log, whoever writes it."""

from __future__ import annotations

import io
import logging
from collections.abc import Callable, Iterator

import pytest

from wsframe import logs
from wsframe.config import Config

TOKEN = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhbm4ifQ.c2lnbmF0dXJl"
OPAQUE = "4f9a77c1b2d84e"


@pytest.fixture(params=["text", "json"])
def output(request: pytest.FixtureRequest) -> Iterator[io.StringIO]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    root.handlers[:] = []
    stream = io.StringIO()
    config = Config(log_format=request.param, log_level="debug", debug="*")
    logs.configure_logging(config, stream=stream)
    yield stream
    logs._installed.clear()
    root.handlers[:] = handlers
    root.setLevel(level)
    logs.trace("")
    logging.getLogger("wsframe").setLevel(logging.NOTSET)


def records(token: str) -> list[Callable[[logging.Logger], None]]:
    return [
        lambda log: log.info("GET /ws?token=%s refused", token),
        lambda log: log.info("GET %s refused", f"/ws?x=1&access_token={token}#f"),
        lambda log: log.debug("offered %s", ["wsframe.v1.json", f"wsframe.bearer.{token}"]),
        lambda log: log.debug("header %s: %s", "Authorization", f"Bearer {token}"),
        lambda log: log.debug("headers %r", (("authorization", f"Bearer {token}"),)),
        lambda log: log.debug("headers %r", [(b"authorization", f"Basic {token}".encode())]),
        lambda log: log.debug("headers %r", {"cookie": f"session={token}"}),
        lambda log: log.warning("bad init: %s", f'{{"token": "{token}"}}'),
        lambda log: log.warning("bad init: %r", {"resume": {"secret": token}}),
        lambda log: log.info("opening", extra={"token": token}),
        lambda log: log.info("opening", extra={"init": {"client": {"token": token}}}),
    ]


@pytest.mark.parametrize("token", [TOKEN, OPAQUE])
@pytest.mark.parametrize("name", ["wsframe.server", "wsframe.protocol", "chat.own"])
def test_no_record_shows_a_token(output: io.StringIO, token: str, name: str) -> None:
    for record in records(token):
        record(logging.getLogger(name))
    assert len(output.getvalue().splitlines()) == len(records(token))
    assert token not in output.getvalue()
    assert token.partition(".")[0] not in output.getvalue()


def test_a_traceback_shows_no_token(output: io.StringIO) -> None:
    try:
        raise ValueError(f"cannot use wsframe.bearer.{TOKEN}")
    except ValueError:
        logging.getLogger("wsframe.server").exception("failed with ?token=%s", OPAQUE)
    assert TOKEN not in output.getvalue()
    assert OPAQUE not in output.getvalue()


@pytest.mark.parametrize("subject", ["server", "protocol", "messages", "hooks"])
def test_an_embedding_applications_own_handlers_get_no_token_either(subject: str) -> None:
    seen: list[str] = []

    class Foreign(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            seen.append(f"{record.getMessage()} {vars(record)}")

    log = logging.getLogger(f"wsframe.{subject}")
    handler = Foreign()
    log.addHandler(handler)
    log.setLevel(logging.DEBUG)
    try:
        for record in records(OPAQUE):
            record(log)
    finally:
        log.removeHandler(handler)
        log.setLevel(logging.NOTSET)
    assert len(seen) == len(records(OPAQUE))
    assert not any(OPAQUE in text for text in seen)
