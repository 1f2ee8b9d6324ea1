"""What can be kept in step: one interface for an IMAP server, a Maildir tree and a store.

Rules for every side (tests/sync/sides.py holds each to them):

- What a changing method has answered is durable there (as far as that side can make it so).
- Methods that change messages are told UIDs; UIDs that are gone meanwhile are passed over without an error.
- UIDs are those of the validity that `places` or `changes` told last. Where it has changed since, the methods raise
  MailboxUnavailable: a removal by an old number would take another message.
- Work is done in batches: one call for many messages, a few round trips a call whatever their number.
- A side serves one run at a time. Other programs change the same mailboxes meanwhile.
- Calls for different mailboxes may overlap (several mailboxes are worked on at once). A side that can do only one
  thing at a time makes the others wait in its own way. Calls that change the same mailbox do not overlap, but a
  mailbox may be read (`fetch`, `outlines`) while it is changed.
- Cancelled methods leave the side usable for `close` alone.

Errors: `SideUnavailable` (try the whole run later), `MailboxUnavailable` (leave this mailbox out and go on), anything
else is a fault.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from typing import Protocol, cast, runtime_checkable

from ..errors import Refusal
from .model import Added, Changes, FlagChange, Message, Outline, Place, Withheld


class SideUnavailable(Refusal):
    """The side cannot be used now: no network, login refused, a folder that is not there or not the one it was."""

    code = "SIDE-UNAVAILABLE"
    temporary = True


class SideLost(SideUnavailable):
    """The connection to the side ended in the middle of a call. Another call makes a new one."""

    code = "CONNECTION-LOST"


class MailboxUnavailable(Refusal):
    """This mailbox cannot be used now, others can: no permission, damaged, vanished while it was read."""

    code = "MAILBOX-UNAVAILABLE"
    temporary = True


class Side(Protocol):
    """One side of a copy. `open` before anything else, `close` at the end (also after a failure)."""

    title: str
    """For people: "imap.example.com as anna", "~/Mail"."""

    async def open(self) -> None:
        """Connect, log in, or look that the folder is the one it was. Raises SideUnavailable."""
        ...

    async def close(self) -> None: ...

    # What is there ---------------------------------------------------------------------------------

    async def places(self) -> list[Place]:
        """All mailboxes, INBOX first, then by name. One or two round trips."""
        ...

    async def changes(self, name: str, since: str | None) -> Changes:
        """What changed since that cursor; everything (`full`) where it is None or the side cannot tell any more.

        Where the cursor's validity is gone the answer is full with the new validity.
        """
        ...

    async def outlines(self, name: str, uids: Sequence[int]) -> list[Outline]:
        """What these messages are known by, ascending; those that are gone are left out. Reads no bodies."""
        ...

    def fetch(self, name: str, uids: Sequence[int]) -> AsyncIterator[Message]:
        """The messages, in any order; those that are gone are left out. Does not set \\Seen.

        At most a bounded number of octets is held at a time (a single message whole). What is there and cannot be given
        is left out too, and `withheld` tells it.
        """
        ...

    # Changing messages -----------------------------------------------------------------------------

    async def add(self, name: str, messages: Sequence[Message]) -> list[Added]:
        """File messages with flags and dates; one answer a message, in their order. The caller bounds their octets."""
        ...

    async def set_flags(self, name: str, changes: Sequence[FlagChange]) -> None: ...

    async def remove(self, name: str, uids: Sequence[int]) -> None:
        """Remove exactly these messages, no others that happen to be marked \\Deleted."""
        ...

    async def copy(self, name: str, uids: Sequence[int], target: str) -> list[int]:
        """Copy within the side; for each UID, its UID in `target`: 0 where that is not told, or where it is gone."""
        ...

    async def move(self, name: str, uids: Sequence[int], target: str) -> list[int]:
        """Move within the side; answers as `copy`."""
        ...

    # Changing mailboxes ----------------------------------------------------------------------------

    async def create(self, name: str, role: str | None) -> Place: ...

    async def rename(self, name: str, new: str) -> None:
        """Rename, with children."""
        ...

    async def delete(self, name: str) -> None:
        """Delete the mailbox and what is in it; children stay."""
        ...

    async def subscribe(self, name: str, subscribed: bool) -> None: ...

    async def set_role(self, name: str, role: str | None) -> bool:
        """Give or take a special use; False where the side cannot."""
        ...

    # Watching --------------------------------------------------------------------------------------

    async def wait(self, names: Sequence[str]) -> set[str]:
        """Until one of these mailboxes, or the list of mailboxes ("" stands for it), has changed; which did.

        Returns at once where something changed since the last `places`. Raises SideUnavailable where the side is lost.
        """
        ...


@runtime_checkable
class Headers(Protocol):
    """What a side may do besides: read headers alone. Where it cannot, who needs one reads the whole message."""

    async def headers(self, name: str, uids: Sequence[int]) -> list[tuple[int, bytes]]:
        """The header of each of these messages, with the empty line at its end, ascending by UID; gone are left out.

        Does not set \\Seen. A placeholder for a message that is too large for the copy is made of it.
        """
        ...


class Emails(Protocol):
    """What a side may tell besides, where its `changes` do not: EMAILIDs that stay with a message."""

    async def emails(self, name: str, uids: Sequence[int]) -> Mapping[int, str]:
        """By UID, of those that have one. Empty without asking anybody where the side has none."""
        ...


async def emails_of(side: Side, name: str, uids: Sequence[int]) -> Mapping[int, str]:
    """EMAILIDs of these messages, where the side tells them beside its changes."""
    own = getattr(side, "emails", None)
    return await cast("Emails", side).emails(name, uids) if callable(own) else {}


class Keeps(Protocol):
    """What a side may tell besides: that it keeps a keyword, before any message was listed with it."""

    def keeps(self, name: str, keyword: str) -> bool:
        """Whether the mailbox is sure to keep it, as far as the side knows by now. False: nobody knows."""
        ...


def keeps(side: Side, name: str, keyword: str) -> bool:
    """Whether the side says that it keeps this keyword there."""
    own = getattr(side, "keeps", None)
    return callable(own) and cast("Keeps", side).keeps(name, keyword)


class MovesByCopying(Protocol):
    """What a side may tell besides: that its `move` is not one act."""

    @property
    def moves_by_copying(self) -> bool:
        """All messages of a call are copied, and then removed: cut off, they may be in both mailboxes."""
        ...


def moves_by_copying(side: Side) -> bool:
    """Whether a move that was cut off may have left messages in both mailboxes."""
    return bool(getattr(side, "moves_by_copying", False))


class EmptyDeletes(Protocol):
    """What a side may do besides: delete a mailbox only if it is empty, whatever arrives in it meanwhile."""

    async def delete_empty(self, name: str) -> bool:
        """As `Side.delete`; False, and nothing is deleted, where there are messages in it."""
        ...


async def delete_empty(side: Side, name: str) -> bool:
    """Delete a mailbox that was seen to be empty; False where it is not any more. A side that has no way of its own is
    looked at once more."""
    own = getattr(side, "delete_empty", None)
    if callable(own):
        return bool(await cast("EmptyDeletes", side).delete_empty(name))
    if len((await side.changes(name, None)).uids):
        return False
    await side.delete(name)
    return True


class Signed(Protocol):
    """What a side may say of itself besides: whose account it is, the same in each run, whatever the title says."""

    @property
    def sign(self) -> str:
        """For people too: "imap.example.com as anna". None of a port or a way to log in, which may be others."""
        ...


def sign_of(side: Side) -> str | None:
    """Whose account the side is; None where it does not say."""
    found = getattr(side, "sign", None)
    return found if isinstance(found, str) else None


class Expects(Protocol):
    """What a side may do besides: begin with messages before they are added."""

    def expect(self, messages: Sequence[Message]) -> None:
        """These are about to be added, if nothing comes in between: what needs no mailbox may begin now."""
        ...


def expect(side: Side, messages: Sequence[Message]) -> None:
    """Tell a side what it will be given, where it cares."""
    own = getattr(side, "expect", None)
    if callable(own):
        cast("Expects", side).expect(messages)


class Prints(Protocol):
    """What a side that begins with messages before they are added may tell besides."""

    async def prints(self, messages: Sequence[Message]) -> list[tuple[bytes, bytes] | None]:
        """`outline.mark` and `outline.digest` of these messages, None of those that it has not begun with."""
        ...


async def prints_of(side: Side, messages: Sequence[Message]) -> list[tuple[bytes, bytes]]:
    """Mark and digest of messages that the side is to be given; made here where it has not made them."""
    from .outline import digest, mark

    own = getattr(side, "prints", None)
    told = await cast("Prints", side).prints(messages) if callable(own) else [None] * len(messages)
    return [one or (mark(message.data), digest(message.data)) for one, message in zip(told, messages, strict=True)]


class Awaits(Protocol):
    """What a side may do besides: make itself ready for many messages."""

    def coming(self, messages: int) -> None:
        """About so many are going to be added, beginning as soon as they are here."""
        ...


def coming(side: Side, messages: int) -> None:
    """Tell a side how much is to come, where it cares."""
    own = getattr(side, "coming", None)
    if callable(own):
        cast("Awaits", side).coming(messages)


class Unlisted(Protocol):
    """What a side may tell besides: mailboxes that it has and that are no places, and why."""

    @property
    def left_out_mailboxes(self) -> Mapping[bytes, str]:
        """By the last `places`: the names as the side writes them."""
        ...


def unlisted(side: Side) -> Mapping[bytes, str]:
    """Mailboxes of the side that are not copied because they have no name that could be used."""
    told: Mapping[bytes, str] = getattr(side, "left_out_mailboxes", {})
    return told


class Withholds(Protocol):
    """What a side may tell besides: messages that are there and that it does not give."""

    @property
    def unreadable(self) -> Mapping[tuple[str, int], Withheld]:
        """(mailbox, UID) -> why, of those that the last `fetch` that was to give them has left out."""
        ...


class Drops(Protocol):
    """What a side that is files may do besides, for a mailbox that people and programs drop files into."""

    async def gather(self, name: str) -> int:
        """Make messages of the files that lie beside the mailbox's messages (*.eml); how many."""
        ...

    async def unfinished(self, name: str, uids: Sequence[int]) -> set[int]:
        """Which of these messages somebody is still writing, as far as that can be known."""
        ...


def drops_of(side: Side) -> Drops | None:
    """The side as one that files are dropped into, where it is."""
    return cast("Drops", side) if callable(getattr(side, "gather", None)) else None


def headers_of(side: Side) -> Headers | None:
    """The side as one that reads headers alone, where it does.

    Asked by attribute: since Python 3.12 `isinstance` does not see what a side passes on (`copy.Held`).
    """
    return cast("Headers", side) if callable(getattr(side, "headers", None)) else None


def withheld(side: Side, name: str, uids: Iterable[int]) -> dict[int, Withheld]:
    """Which of these messages, which a `fetch` has left out, are there all the same, and why they were not given."""
    told: Mapping[tuple[str, int], Withheld] = getattr(side, "unreadable", {})
    return {uid: told[name, uid] for uid in uids if (name, uid) in told} if told else {}
