"""One message on its way out: its envelope, and the states that a power cut or kill leaves it in. Pure.

                                    taken --removed from the Outbox--> spooled
    spooled --about to say the end of data--> sending --reply read--> spooled (recipients left) or done
                                    sending --found so by a new run--> uncertain
    uncertain --"it did not arrive"--> spooled      uncertain --"it did"--> done

Octets sent before the end of data bind nobody (RFC 5321 4.1.1.4: a server throws away what has no end), so the time in
which nobody can know is the one between that end and its reply: `sending` stands on disk exactly then. What is found
there later is told to the person, who decides; it is never sent again by itself, and never called sent.

What remains to do for a message whose recipients are decided (filing to Sent, returning what was refused) is told by
the entry, each done once: see `filing`.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum

import msgspec


class State(Enum):
    TAKEN = "taken"
    """Copied from the Outbox mailbox, which may still have it."""
    SPOOLED = "spooled"
    SENDING = "sending"
    UNCERTAIN = "uncertain"
    DONE = "done"
    """No recipient is waiting. Filing and returning may remain."""


class Event(Enum):
    REMOVED = "removed from the Outbox"
    END = "about to say the end of data"
    REPLY = "the reply was read"
    FOUND = "a new run found it so"
    RETRY = "a person said: send it again"
    SENT = "a person said: it arrived"
    DROP = "a person said: forget it"
    EXPIRED = "tried for too long"


TRANSITIONS: Mapping[tuple[State, Event], State] = {
    (State.TAKEN, Event.REMOVED): State.SPOOLED,
    (State.SPOOLED, Event.END): State.SENDING,
    (State.SPOOLED, Event.REPLY): State.SPOOLED,  # refused before its data: the end was never said
    (State.SPOOLED, Event.EXPIRED): State.SPOOLED,
    (State.SPOOLED, Event.RETRY): State.SPOOLED,
    (State.SPOOLED, Event.DROP): State.DONE,
    (State.SENDING, Event.REPLY): State.SPOOLED,
    (State.SENDING, Event.FOUND): State.UNCERTAIN,
    (State.UNCERTAIN, Event.RETRY): State.SPOOLED,
    (State.UNCERTAIN, Event.SENT): State.DONE,
    (State.UNCERTAIN, Event.DROP): State.DONE,
}
"""A missing key is a fault of ours, or a person's wish that comes too late. A SPOOLED entry without a waiting recipient
becomes DONE (`Entry.settled`)."""


class Fate(Enum):
    """What became of one recipient."""

    WAITING = "waiting"
    ACCEPTED = "accepted"
    REFUSED = "refused"


class Filing(Enum):
    """Of the copy in Sent."""

    NO = "no"
    DOING = "doing"
    """Being added: found so later, the mailbox is looked at before it is added again."""
    DONE = "done"
    """Or there is none to file."""


class Recipient(msgspec.Struct, frozen=True, kw_only=True):
    """said: what a server answered last; for people."""

    address: str
    fate: Fate = Fate.WAITING
    said: str = ""


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """A message in the spool. Times are seconds UTC.

    id: its name for people and files. copy: whose account sends it. sender: of the envelope, "" for <>. subject: for
    people. size: octets. attempts: transactions tried; first_try: when the first was; next_try: not before; said: what
    went wrong last. origin: SHA-256 (hex) of the octets it had in the Outbox mailbox, "" for what was handed in. sent:
    when a server took it first. returned: recipients that a returned message has told of. told: the uncertain case has
    been told.
    """

    id: str
    copy: str
    sender: str
    recipients: tuple[Recipient, ...]
    created: float
    size: int
    subject: str = ""
    state: State = State.SPOOLED
    attempts: int = 0
    first_try: float | None = None
    next_try: float = 0.0
    said: str = ""
    origin: str = ""
    sent: float | None = None
    filing: Filing = Filing.NO
    returned: tuple[str, ...] = ()
    told: bool = False

    def after(self, event: Event) -> State:
        """The next state. KeyError where there is none."""
        return TRANSITIONS[self.state, event]

    @property
    def waiting(self) -> tuple[str, ...]:
        """Addresses that no server has decided about."""
        return tuple(each.address for each in self.recipients if each.fate is Fate.WAITING)

    @property
    def to_return(self) -> tuple[Recipient, ...]:
        """Refused recipients that nobody was told of."""
        return tuple(e for e in self.recipients if e.fate is Fate.REFUSED and e.address not in self.returned)

    @property
    def finished(self) -> bool:
        """Nothing at all is left to do."""
        filed = self.filing is Filing.DONE or self.sent is None
        return self.state is State.DONE and filed and not self.to_return


def decided(entry: Entry, fates: Mapping[str, tuple[Fate, str]]) -> Entry:
    """The entry after a transaction has told what became of some recipients: WAITING ones are tried again."""
    recipients = tuple(
        msgspec.structs.replace(each, fate=fates[each.address][0], said=fates[each.address][1])
        if each.address in fates and each.fate is Fate.WAITING
        else each
        for each in entry.recipients
    )
    return settled(msgspec.structs.replace(entry, recipients=recipients, state=entry.after(Event.REPLY)))


def settled(entry: Entry) -> Entry:
    """DONE once nobody waits."""
    if entry.state is State.SPOOLED and not entry.waiting:
        return msgspec.structs.replace(entry, state=State.DONE)
    return entry
