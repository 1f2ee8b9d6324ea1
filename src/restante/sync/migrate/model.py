"""What is asked of a migration, and what it tells. Values alone."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import Protocol

from ..outline import mark

NO_MARK = mark(b"")
"""Of a message with none of the header fields that make a mark: says nothing about it."""


class Depth(Enum):
    """How a proof is made. FULL: of octets read on both sides. QUICK: of sizes and header fields. NONE: not at all."""

    FULL = "full"
    QUICK = "quick"
    NONE = "none"


class AllMail(Enum):
    """What becomes of a mailbox that shows all mail (\\All). SKIP: left out. REST: what is in no other mailbox is
    copied. COPY: copied as any other."""

    SKIP = "skip"
    REST = "rest"
    COPY = "copy"


@dataclass(frozen=True, slots=True)
class Wishes:
    """What the caller wants.

    only, exclude: patterns of source names (`patterns`). maps: (old, new) names. again: messages that an earlier
    run copied and that are gone at the target are copied once more. dry_run: the target stays as it is.
    """

    only: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    maps: tuple[tuple[str, str], ...] = ()
    all_mail: AllMail = AllMail.SKIP
    again: bool = False
    dry_run: bool = False
    depth: Depth = Depth.FULL


@dataclass(frozen=True, slots=True)
class Course:
    """One mailbox's way. role: special use of the source, to be given at the target; None for none, or where the
    target's mailbox has it. exists: whether the target has the mailbox."""

    source: str
    target: str
    role: str | None
    subscribed: bool
    exists: bool
    rest: bool = False


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A mailbox that is not copied, and why."""

    mailbox: str
    reason: str


@dataclass(frozen=True, slots=True)
class Aside:
    """A message (uid 0: a whole mailbox) that could not be copied. temporary: another run may do it."""

    mailbox: str
    uid: int
    reason: str
    temporary: bool


@dataclass(slots=True)
class Copied:
    """What was done for one mailbox.

    messages: at the source. known: copied by an earlier run. present: found at the target by what they are.
    copied, octets: by this run (in a dry run: that would be; octets are not known). flags: messages whose flags
    followed a change at the source. stripped: taken only without their keywords. gone: copied earlier, removed at the
    target since. vanished: removed at the source while this ran. elsewhere: left out, since another mailbox has them
    (AllMail.REST). uidls: POP3 UIDLs that went along. uidls_late: messages copied earlier, whose UIDL cannot be given
    any more.
    """

    source: str
    target: str
    messages: int = 0
    known: int = 0
    present: int = 0
    copied: int = 0
    octets: int = 0
    flags: int = 0
    stripped: int = 0
    gone: int = 0
    vanished: int = 0
    elsewhere: int = 0
    uidls: int = 0
    uidls_late: int = 0


@dataclass(slots=True)
class Counts:
    """What a proof says of all messages of the source. content, date, missing: damage. flags: differ at the target
    (which may be somebody's doing there). new: came to the source after its mailbox was copied. unlisted: mailboxes of
    the source whose messages cannot be listed."""

    messages: int = 0
    same: int = 0
    missing: int = 0
    content: int = 0
    date: int = 0
    flags: int = 0
    new: int = 0
    unlisted: int = 0

    @property
    def damaged(self) -> int:
        return self.missing + self.content + self.date + self.unlisted


@dataclass(slots=True)
class Report:
    """What a migration did. moved: messages moved at the target as they were at the source. cleared: mailboxes removed
    there, empty, that earlier runs had made and the source has no more. notes: what people should
    know, a sentence each. proof: where it was written."""

    mailboxes: list[Copied] = field(default_factory=list)
    left_out: list[LeftOut] = field(default_factory=list)
    moved: int = 0
    cleared: int = 0
    aside: list[Aside] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    counts: Counts | None = None
    proof: str | None = None
    seconds: float = 0.0
    dry_run: bool = False

    def after(self, earlier: Report) -> None:
        """Count in what an attempt did that ended when a side was lost."""
        done = {each.source: each for each in earlier.mailboxes}
        for each in self.mailboxes:
            before = done.get(each.source)
            if before is not None:
                each.copied += before.copied
                each.present += before.present
                each.known -= before.copied + before.present
                each.octets += before.octets
                each.flags += before.flags
                each.stripped += before.stripped
                each.vanished += before.vanished
                each.uidls += before.uidls
                each.uidls_late = max(each.uidls_late, before.uidls_late)
        self.moved += earlier.moved
        self.cleared += earlier.cleared
        self.seconds += earlier.seconds


class Observer(Protocol):
    """Told how far the work has come."""

    def begin(self, title: str, messages: int) -> None:
        """A stretch of work over so many messages begins."""
        ...

    def expect(self, messages: int) -> None:
        """So many more (or fewer) are to be done than was said."""
        ...

    def advance(self, messages: int, octets: int) -> None:
        """So many more are done; octets: that travelled for them."""
        ...
