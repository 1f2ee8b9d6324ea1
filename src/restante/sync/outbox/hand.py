"""Handing a message in: which copy sends it, and into the spool with it.

The sender's address decides: the copy that lists it (`send.addresses`, else its `user`), or else the first that sends
at all. The message is on disk when `hand_in` returns.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase

from ...clock import Clock, Random
from ...errors import Refusal
from ..config import CopyTable
from .compose import Own, Ready, compose
from .entry import Entry, Recipient
from .spool import Spool


class NoWayOut(Refusal):
    """No copy sends mail, or not the one that was named."""

    code = "NO-WAY-OUT"


def sending(copies: Mapping[str, CopyTable]) -> dict[str, CopyTable]:
    """The copies that send. Raises NoWayOut where there is none."""
    found = {name: copy for name, copy in copies.items() if copy.send.smtp}
    if not found:
        raise NoWayOut("No copy says how to send mail.", 'Add [copy.NAME.send] with smtp = "HOST" to the file.')
    return found


def choose(copies: Mapping[str, CopyTable], sender: str, wanted: str | None = None) -> str:
    """The copy that sends for an address. wanted: by name. Raises NoWayOut."""
    ways = sending(copies)
    if wanted is not None:
        if wanted not in ways:
            raise NoWayOut(f"The copy {wanted} does not send mail.", f"These do: {', '.join(ways)}.")
        return wanted
    low = sender.lower()
    for name, copy in ways.items():
        if any(fnmatchcase(low, pattern.lower()) for pattern in copy.send.addresses or [copy.user]):
            return name
    return next(iter(ways))


def own(copy: CopyTable, sender: str) -> Own:
    """Who sends: the address that was given, else the copy's main one."""
    for address in (sender, *copy.send.addresses, copy.send.user, copy.user):
        if "@" in address and "*" not in address:
            return Own(address, copy.send.name)
    raise NoWayOut("The copy has no sender address.", 'Add addresses = ["you@example.com"] to its [send].')


def prepare(copy: CopyTable, raw: bytes, now: float, random: Random) -> Ready:
    """A message dropped into a copy's Outbox: recipients and sender are the header's. Raises BadMessage."""
    return compose(
        raw,
        recipients=(),
        from_header=True,
        sender=None,
        own=lambda sender: own(copy, sender),
        now=now,
        random=random,
    )


def hand_in(
    raw: bytes,
    copies: Mapping[str, CopyTable],
    spool: Spool,
    clock: Clock,
    random: Random,
    *,
    recipients: Sequence[str],
    from_header: bool,
    sender: str | None = None,
    copy: str | None = None,
    full_name: str = "",
) -> Entry:
    """Keep a message to be sent. full_name: instead of the configured one. Raises BadMessage, NoWayOut, OSError: then
    nothing is kept."""
    chosen: list[str] = []

    def who(author: str) -> Own:
        name = choose(copies, author, copy)
        chosen.append(name)
        found = own(copies[name], author)
        return Own(found.address, full_name or found.name)

    ready = compose(
        raw, recipients=recipients, from_header=from_header, sender=sender, own=who, now=clock.now(), random=random
    )
    everybody = [Recipient(address=each) for each in ready.recipients]
    return spool.add(chosen[0], ready.sender, everybody, ready.message, subject=ready.subject)
