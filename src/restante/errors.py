"""What every refusal looks like: one base, a family per room.

A refusal is something a person may see: a stable code, a sentence that says what happened, and a remedy
that says what to do next. Protocol rooms map codes to their own response codes; the command line prints
`text` and `remedy`. A private cause travels as `__cause__` (raise ... from ...) and is only logged.
Anything that is not a Refusal is a fault of ours: it ends the connection, never the process.
"""

from __future__ import annotations


class Refusal(Exception):
    """A request was understood and refused.

    code: stable, upper-case, hyphenated ("OVER-QUOTA"). text: one sentence, safe to show to a peer (no path,
    no SQL, no other account). remedy: what the person can do, may be empty. temporary: the same request may
    succeed later without anything being changed by the person who asks.
    """

    code = "REFUSED"
    temporary = False

    def __init__(self, text: str, remedy: str = "") -> None:
        super().__init__(text)
        self.text = text
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.text} {self.remedy}".strip()
