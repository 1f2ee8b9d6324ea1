"""What a run over the spool did: apart, since a run that finds it empty imports nothing else of the outbox."""

from __future__ import annotations

from dataclasses import dataclass

from ...errors import Refusal


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a run did. sent: messages that a server took (for a recipient at least). returned: messages told of as
    refused. waiting: messages that wait for another run. uncertain: messages that a person has to decide about.
    problem: why sending or filing could not go on; None where all went well. busy: another process is at it, and sends
    what there is; of what waits nothing is known."""

    sent: int = 0
    returned: int = 0
    waiting: int = 0
    uncertain: int = 0
    problem: Refusal | None = None
    busy: bool = False

    def after(self, before: Outcome | None) -> Outcome:
        """This and one before it as one: what was done, by both; what waits, as this one has it."""
        if before is None:
            return self
        last = before if self.busy else self
        sent, returned = before.sent + self.sent, before.returned + self.returned
        return Outcome(sent, returned, last.waiting, last.uncertain, self.problem, self.busy)
