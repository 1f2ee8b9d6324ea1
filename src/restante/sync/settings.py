"""What a copy is told, and what a run of it tells: values that the engine and those who call it share.

Side *one* is the far one (a server), side *two* the near one (a Maildir, a store). Most rules do not care which is
which; those that do say so: placeholders lie on side two, and side one decides where both did different things.
"""

from __future__ import annotations

from enum import IntEnum
from pathlib import Path

from ..values import Value, field
from .patterns import fits

MEGABYTE = 1_000_000


class End(IntEnum):
    """Which side."""

    ONE = 1
    TWO = 2

    @property
    def other(self) -> End:
        return End.TWO if self is End.ONE else End.ONE


BOTH = (End.ONE, End.TWO)
"""Both sides: quicker to go through than the enumeration."""


class Brake(Value, frozen=True):
    """When removals are held until a person has decided. They are counted after moves are known as moves.

    vanished: hold the messages of a mailbox that is gone. emptied: hold where a mailbox lost all of at least this many
    messages. share, least: hold where a mailbox lost more than this share of its messages, at least this many.
    number: hold where one side lost more than this many, whatever the mailboxes. on: False holds nothing; else what was
    not found again after a mailbox's UIDs had begun anew is held, however little it is.
    window: seconds within which removals of several runs count together for `share` and `number`: a run that watches
    sees what is removed one by one in small parts.
    """

    on: bool = True
    vanished: bool = True
    emptied: int = 10
    share: float = 0.5
    least: int = 100
    number: int = 1000
    window: float = 600.0


class Trash(Value, frozen=True):
    """Where removed messages are kept for a time.

    days: how long; 0: not at all. folder: a Maildir-like tree for them (beside the state). mailbox: instead of it, a
    mailbox on side two, which the copy leaves out.
    """

    days: int = 0
    folder: Path | None = None
    mailbox: str | None = None


class CopySettings(Value, frozen=True):
    """One copy: how two sides are kept the same. All have defaults that are safe.

    name: of the copy, for people. include, exclude: mailboxes by name, with * and ? (`patterns`); what is left out
    is left alone on both sides. outbox: a mailbox that is left out, too: what lies there is on its way.
    removal_wins: a message removed on one side is removed on the other even where it was changed there meanwhile.
    removals: False never carries removals over. largest: messages of side one with more octets leave a placeholder
    on side two; None: no limit. headers_first: so do messages with more octets than this until all else has come
    (`engine.afterwards`); None: they come with the others. newest_first: what came last is brought to side two first;
    else, and to side one always, messages are filed in the order that they have on the other side, in which IMAP
    clients may show them.
    at_once: mailboxes worked on at the same time. batch, batch_octets: messages and octets carried together.
    """

    name: str = ""
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    outbox: str | None = None
    removal_wins: bool = False
    removals: bool = True
    brake: Brake = field(default_factory=Brake)
    trash: Trash = field(default_factory=Trash)
    largest: int | None = None
    headers_first: int | None = None
    newest_first: bool = True
    at_once: int = 4
    batch: int = 500
    batch_octets: int = 4 * MEGABYTE

    def takes(self, name: str) -> bool:
        """Whether this mailbox belongs to the copy."""
        if name in (self.trash.mailbox, self.outbox) or any(fits(name, pattern) for pattern in self.exclude):
            return False
        return not self.include or any(fits(name, pattern) for pattern in self.include)


class Tally(Value, frozen=True):
    """What was done to one side: messages added, moved or copied within it, removed, with flags changed; mailboxes."""

    added: int = 0
    octets: int = 0
    moved: int = 0
    removed: int = 0
    flagged: int = 0
    created: int = 0
    renamed: int = 0
    deleted: int = 0
    copied: int = 0

    @property
    def total(self) -> int:
        """All that was done: 0 where nothing was."""
        mailboxes = self.created + self.renamed + self.deleted
        return self.added + self.moved + self.copied + self.removed + self.flagged + mailboxes


class Held(Value, frozen=True):
    """Removals that wait for a decision: `messages` were removed from `mailbox` on side `gone_from`.

    number: to name them by. reason: "vanished", "emptied", "share", "number" or "renumbered" (`Brake`). since: seconds
    UTC. accepted: None until somebody decided; the next run does what was decided.
    """

    number: int
    mailbox: str
    gone_from: End
    reason: str
    messages: int
    since: float
    accepted: bool | None = None


class Aside(Value, frozen=True):
    """A message that `refused_by` would not take, or not give. uid: where it is. size: octets, 0 where that is not
    known. next_try: seconds UTC; None: never again by itself (a new limit or `State.retry_aside` tries again)."""

    mailbox: str
    refused_by: End
    uid: int
    reason: str
    size: int
    next_try: float | None


class LeftOut(Value, frozen=True):
    """A mailbox that could not be worked on in this run, and why. The next run tries again."""

    mailbox: str
    end: End
    reason: str


class Report(Value, frozen=True):
    """What one run did. plan: with dry_run, what it would have done, a line each. passes: looks at both sides. quiet:
    the lists of mailboxes alone said that nothing has changed; nothing was asked or written besides."""

    one: Tally = field(default_factory=Tally)
    two: Tally = field(default_factory=Tally)
    held: tuple[Held, ...] = ()
    aside: tuple[Aside, ...] = ()
    left_out: tuple[LeftOut, ...] = ()
    placeholders: int = 0
    plan: tuple[str, ...] = ()
    passes: int = 0
    quiet: bool = False

    @property
    def changed(self) -> int:
        """Everything done on both sides; 0: both were the same."""
        return self.one.total + self.two.total


class Progress(Value, frozen=True):
    """How far a run is, told to its callback after each batch. done, total: messages; octets: carried so far."""

    mailbox: str
    end: End
    done: int
    total: int
    octets: int
