"""What the demo's ``ask`` has to say: a stand-in for a language model that needs no network."""

from __future__ import annotations

STORIES = (
    (
        "Once upon a time there was a message that nobody answered. It waited in a queue, then "
        "in another, and the longer it waited, the fewer remembered who had sent it. So "
        "somebody wrote down a rule: every message gets exactly one final answer. The next "
        "message came back as a reply, the one after it as an error, and a third said honestly "
        "that there was no time left. From that day on, nobody stared at a spinner."
    ),
    (
        "A lighthouse keeper and a ship agreed to call each other every half minute. One night "
        "the fog swallowed everything, and the ship heard nothing. It waited ten seconds more, "
        "as agreed, and then it did not sink into silence: it turned, counted the calls that it "
        "had heard, and asked for the rest. The keeper had written them all down."
    ),
    (
        "Two plugins lived in the same process and had never met. One day the first one fell "
        "over. The second one only noticed because the log said so, with a name, a line and a "
        "count. It went on with its work, and every message was answered."
    ),
)

EXPLANATION = (
    "You asked: “{prompt}” This demo has no language model, but it streams like one. Each word "
    "arrives as a message of its own that says final: false, and the last one says final: true. "
    "Press Stop, and the handler behind this sentence is cancelled; close the page, and it is too."
)

LONGEST_QUOTE = 200
"""Characters of the prompt that are repeated in an answer."""


def answer_to(prompt: str) -> str:
    """A story when one is asked for, an explanation otherwise; the same for the same prompt."""
    if "story" in prompt.lower():
        return STORIES[len(prompt) % len(STORIES)]
    quote = prompt if len(prompt) <= LONGEST_QUOTE else f"{prompt[:LONGEST_QUOTE]}…"
    return EXPLANATION.format(prompt=quote)
