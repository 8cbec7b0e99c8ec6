"""A report as text for a terminal."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

_UNPRINTABLE = re.compile(r"[^\x20-\x7e\u00a1-\u200a\u2010-\u2027\u2030-\u205f\u2070-\ud7ff]")


def as_text(report: Mapping[str, Any]) -> str:
    """The lines that ``wsframe trace`` prints. Ids come from strangers: nothing steers a terminal.

    Args:
        report: what the endpoint answers.
    """
    return "\n".join(_clean(line) for line in _lines(report))


def _lines(report: Mapping[str, Any]) -> Iterator[str]:
    if "why" in report:
        yield f"{report['id']}: not recorded"
        yield f"  {_sentence(report['why'])}"
        return
    if "listed" in report:
        yield from _list(report)
        return
    for number, message in enumerate(report["messages"]):
        if number:
            yield ""
        yield from _message(message)
    if report["more"]:
        yield ""
        yield f"{report['more']} older ones have the same id: choose with --session."


def _message(message: Mapping[str, Any]) -> Iterator[str]:
    kind = f"  {message['type']}" if message["type"] else ""
    whose = f"  {message['subject']}" if message["subject"] else ""
    yield f"{message['id']}{kind}{whose}  session {message['session']}"
    yield f"  {message['verdict']}"
    yield ""
    yield f"  {_when(message['receivedAt'])}"
    for step in message["steps"]:
        yield f"  {_offset(step['atS']):>10}  {step['text']}"
    if message["eventsForgotten"]:
        yield f"  ({message['eventsForgotten']} earlier events of the session were forgotten)"


def _list(report: Mapping[str, Any]) -> Iterator[str]:
    width = max(len(each["id"]) for each in report["listed"])
    count = len(report["listed"])
    yield f"{report['id']}: {count} {'message' if count == 1 else 'messages'}"
    for each in report["listed"]:
        kind = each["type"] or "?"
        yield f"  {_when(each['receivedAt'])}  {each['id']:<{width}}  {kind}: {each['verdict']}"
    if report["more"]:
        yield f"  {report['more']} older ones are not shown."


def _when(seconds: float) -> str:
    moment = datetime.fromtimestamp(seconds, UTC)
    return f"{moment:%Y-%m-%d %H:%M:%S}.{moment.microsecond // 1000:03d} UTC"


def _offset(seconds: float) -> str:
    return f"+{seconds:.3f} s" if seconds < 100 else f"+{seconds:.0f} s"


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}."


def _clean(line: str) -> str:
    return _UNPRINTABLE.sub(lambda match: ascii(match[0])[1:-1], line)
