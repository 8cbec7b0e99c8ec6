"""Was the promise kept? What was asked and what came back, whoever the clients are.

Each accepted message gets exactly one final answer, and its client gets it exactly once, with all
of its parts in order; pushed messages come once and in order; or the client is told in so many
words that it could not be.
"""

from __future__ import annotations

from collections.abc import Callable

from .event_log import EventLog


class Promise:
    """Records what clients ask and get, and says what is missing.

    Args:
        seed: of the run; it stands in the failure message.
        log: of the run; its last events do.
        reproduce: what to type to see the failure again.
    """

    def __init__(
        self, *, seed: int | None = None, log: EventLog | None = None, reproduce: str = ""
    ) -> None:
        self.seed = seed
        self.log = log
        self.reproduce = reproduce
        self._witnesses: dict[str, Witness] = {}

    def witness(self, client: str) -> Witness:
        """Who records for a client; the name stands in the failure message."""
        return self._witnesses.setdefault(client, Witness(client))

    def broken(self) -> list[str]:
        """What is wrong, one sentence each; nothing while the promise is kept."""
        return [text for witness in self._witnesses.values() for text in witness.broken()]

    def check(self) -> None:
        """Call it once all answers should be there.

        Raises:
            AssertionError: the promise was broken. The message lists how, with the seed and the
                last events.
        """
        broken = self.broken()
        if not broken:
            return
        asked = sum(witness.asked for witness in self._witnesses.values())
        lines = [f"the promise was broken in {len(broken)} ways, of {asked} requests:"]
        lines += [f"  - {text}" for text in broken]
        if self.seed is not None:
            lines.append(f"seed {self.seed}")
        if self.reproduce:
            lines.append(f"to see it again: {self.reproduce}")
        if self.log is not None:
            lines += ["last events:", self.log.tail()]
        raise AssertionError("\n".join(lines))


class Witness:
    """Records for one client. An adapter calls it, whatever the client's own interface is.

    Args:
        client: its name.
    """

    def __init__(self, client: str) -> None:
        self._client = client
        self._requests: dict[str, _Request] = {}
        self._pushed: dict[str, list[int]] = {}
        self._expected: dict[str, int] = {}
        self._strange: list[str] = []
        self._gap = False

    @property
    def asked(self) -> int:
        """How many requests were sent."""
        return len(self._requests)

    def sent(self, request: str, *, what: str = "", parts: int | None = None) -> None:
        """The client has sent a request.

        Args:
            request: its id; the same one again is a repetition of the same request.
            what: said of it in a failure message, like its type.
            parts: how many parts its answer has; None: nobody knows.
        """
        self._requests.setdefault(request, _Request(what, parts))

    def part(self, request: str, number: int) -> None:
        """A part of an answer has come.

        Args:
            request: the id of the request.
            number: of the part as its handler counts, from 1.
        """
        self._of(request, f"part {number}", lambda found: found.parts.append(number))

    def answered(self, request: str, outcome: str = "", *, whole: bool = True) -> None:
        """A final answer has come.

        Args:
            request: the id of the request.
            outcome: said of it in a failure message, like an error's code.
            whole: it comes after all parts; False: the handler was stopped on the way.
        """

        def note(found: _Request) -> None:
            found.answers.append(outcome or "answered")
            found.whole = found.whole and whole

        self._of(request, "a final answer", note)

    def told(self, request: str, why: str) -> None:
        """The client was told in so many words that there will be no answer."""
        self._of(request, f"word of {why}", lambda found: found.told.append(why))

    def given_up(self, request: str, why: str) -> None:
        """The client has given up by itself, so that nobody knows whether there is an answer."""
        self._of(request, f"word of {why}", lambda found: found.given_up.append(why))

    def pushed(self, number: int, *, source: str = "") -> None:
        """A pushed message has come.

        Args:
            number: as its sender counts, from 1.
            source: one count's name, where there are several.
        """
        self._pushed.setdefault(source, []).append(number)

    def expects(self, count: int, *, source: str = "") -> None:
        """So many messages were pushed to this client; without it, none at the end is missed."""
        self._expected[source] = count

    def gap(self) -> None:
        """The client was told that messages are lost: parts and pushed ones are not missed."""
        self._gap = True

    def _of(self, request: str, what: str, note: Callable[[_Request], object]) -> None:
        found = self._requests.get(request)
        if found is None:
            self._strange.append(f"{self._client} got {what} to {request!r}, which it never sent")
        else:
            note(found)

    def broken(self) -> list[str]:
        """What is wrong, one sentence each."""
        broken = list(self._strange)
        for request, found in self._requests.items():
            name = f"{request!r} ({found.what})" if found.what else repr(request)
            found_broken = found.broken(gap=self._gap)
            broken += [f"{self._client}: {name} {text}" for text in found_broken]
        for source in {**self._pushed, **self._expected}:
            came, expected = self._pushed.get(source, []), self._expected.get(source)
            name = f"messages pushed by {source}" if source else "pushed messages"
            wrong = _misnumbered(came, expected, gap=self._gap)
            broken += [f"{self._client}: {name} {text}" for text in wrong]
        return broken


class _Request:
    """What became of one request."""

    def __init__(self, what: str, expected_parts: int | None) -> None:
        self.what = what
        self.expected_parts = expected_parts
        self.parts: list[int] = []
        self.answers: list[str] = []
        self.told: list[str] = []
        self.given_up: list[str] = []
        self.whole = True

    def broken(self, *, gap: bool) -> list[str]:
        broken = []
        if not self.answers and not self.told:
            broken.append(": ".join(["was not answered", *self.given_up]))
        elif self.answers and self.told:
            broken.append(
                f"was answered ({', '.join(self.answers)}) and given up ({', '.join(self.told)})"
            )
        elif len(self.answers) > 1:
            broken.append(f"was answered {len(self.answers)} times: {', '.join(self.answers)}")
        complete = self.whole and bool(self.answers)
        expected = self.expected_parts if complete else None
        return broken + [f"parts {text}" for text in _misnumbered(self.parts, expected, gap=gap)]


def _misnumbered(came: list[int], expected: int | None, *, gap: bool) -> list[str]:
    """What is wrong with numbers that should be 1, 2, 3 … in this order.

    Args:
        came: the numbers.
        expected: the last one; None: whichever came.
        gap: some may be missing.
    """
    wrong = []
    last = max(came, default=0) if expected is None else expected
    lost = sorted(set(range(1, last + 1)) - set(came))
    twice = sorted({number for number in came if came.count(number) > 1})
    strange = sorted(set(came) - set(range(1, last + 1)))
    if lost and not gap:
        wrong.append(f"lost: {_shown(lost)}")
    if twice:
        wrong.append(f"came twice: {_shown(twice)}")
    if strange:
        wrong.append(f"that were never sent: {_shown(strange)}")
    first_comings = list(dict.fromkeys(came))
    if first_comings != sorted(first_comings):
        wrong.append(f"out of order: {_shown(came)}")
    return wrong


def _shown(numbers: list[int]) -> str:
    shown = ", ".join(map(str, numbers[:20]))
    return f"{shown} … ({len(numbers)})" if len(numbers) > 20 else shown
