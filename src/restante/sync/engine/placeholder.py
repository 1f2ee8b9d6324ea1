"""Messages that are too large for the copy: what stands in their place, and how they are fetched after all.

A placeholder is a small message with the header fields by which people and programs know the original, and a text that
says what it is. It lies on side two only. Flags, moves and removals of it are those of the message; it is never carried
to side one.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import nullcontext

from ...clock import Clock
from ...errors import Refusal
from ..base import Known, Row
from ..model import FlagChange, Flags, Message, Outline, Place
from ..plan.mailboxes import Joint
from ..plan.messages import Additions
from ..settings import BOTH, CopySettings, End, Progress
from ..side import MailboxUnavailable, Side, headers_of, withheld
from ..state import State
from .account import know_accounts
from .context import Context, Meanwhile
from .standing import numbered_anew

FIELD = b"Restante-Placeholder"
"""Header field of a placeholder; its value is the size of the message in octets."""

KEPT = (
    b"from",
    b"sender",
    b"reply-to",
    b"to",
    b"cc",
    b"subject",
    b"date",
    b"message-id",
    b"in-reply-to",
    b"references",
    b"list-id",
)
_LINE = re.compile(rb"^([!-9;-~]+)[ \t]*:.*(?:\r?\n[ \t].*)*", re.MULTILINE)
_OURS = re.compile(rb"^" + FIELD + rb":", re.IGNORECASE | re.MULTILINE)


class NoPlaceholder(Refusal):
    """There is no placeholder under that UID."""

    code = "NO-PLACEHOLDER"


class NothingTaken(MailboxUnavailable):
    """The side takes nothing more now: over quota, most likely. Others would come for nothing."""


def make(header: bytes, size: int) -> bytes:
    """The placeholder for a message with this header (or that begins with it) and size."""
    end = re.search(rb"(?:\A|\r?\n)\r?\n", header)
    head = header[: end.start() + 1] if end else header
    fields = [found[0] for found in _LINE.finditer(head) if found[1].lower() in KEPT]
    text = (
        f"This message has {size} octets, more than this copy keeps. Only its header is here;\r\n"
        "the message itself is where it was. Fetch it with 'restante sync fetch'.\r\n"
    )
    own = [
        b"%b: %d" % (FIELD, size),
        b"MIME-Version: 1.0",
        b"Content-Type: text/plain; charset=us-ascii",
    ]
    lines = [b"\r\n".join(field.splitlines()) for field in fields] + own
    return b"\r\n".join(lines) + b"\r\n\r\n" + text.encode()


def is_placeholder(data: bytes) -> bool:
    """Whether this message is one of ours."""
    head = data[: max(data.find(b"\r\n\r\n"), 0) + 2]
    return _OURS.search(head) is not None


async def placeholders(
    context: Context, end: End, pair: int, large: Mapping[int, Outline], flags: Mapping[int, int]
) -> AsyncIterator[tuple[Message, int, str | None]]:
    """Placeholders for these messages of a side, with size and EMAILID of what they stand for.

    flags: numbers of their flag sets.
    """
    side, name = context.sides[end], context.name(pair, end)
    uids = sorted(large)
    headers = headers_of(side)
    if headers is not None:
        for uid, header in await headers.headers(name, uids):
            outline = large[uid]
            size = outline.size or 0
            known = context.state.flagsets[flags[uid]]
            yield Message(uid, make(header, size), known, outline.received), size, outline.email
    else:
        async for message in side.fetch(name, uids):
            data, size = message.data, len(message.data)
            yield Message(message.uid, make(data, size), message.flags, message.received), size, message.email


async def fetch_placeholder(
    settings: CopySettings,
    one: Side,
    two: Side,
    state: State,
    clock: Clock,
    mailbox: str,
    uid: int,
    progress: Callable[[Progress], None] | None = None,
    meanwhile: Meanwhile = nullcontext,
    resume: bool = False,
) -> None:
    """Replace the placeholder with that UID in side two's mailbox by the message itself, whatever the limit.

    What was done to the placeholder's flags since the last run is done to the message first. Where UIDs began anew
    since then, on either side, nothing is done: they are other messages' now. Raises NoPlaceholder, CopyBusy,
    SideUnavailable, MailboxUnavailable (NothingTaken). Cut off at any instant, the next run goes on.

    resume: the message may be on its way already, and a run has seen just now that it is not there.
    """
    from .carry import Carrier
    from .messages import remove_doomed

    context = Context(settings, one, two, state, clock, progress)
    with state.lock():
        pairs = [pair for pair in state.pairs.all() if pair.two is not None and pair.two.name == mailbox]
        row = state.messages.row(End.TWO, pairs[0].key, uid) if pairs else None
        begun = None if not pairs or not resume else state.beside.standing(pairs[0].key).get(uid)
        if begun is not None and begun.message is None:
            row = state.messages.by_key(begun.key)
        elif row is not None and not row.placeholder:
            row = None
        if row is None or row.pair != pairs[0].key:
            raise NoPlaceholder(f"There is no placeholder {uid} in {mailbox!r}.", "It may have been replaced.")
        try:
            for side in (one, two):
                await side.open()
            places = {end: {place.name: place for place in await context.sides[end].places()} for end in BOTH}
            know_accounts(state, context.sides, {end: [*places[end].values()] for end in BOTH}, note=False)
            known = {end: pairs[0].at(end) for end in BOTH}
            joint = Joint(pairs[0], None, None, mailbox, pairs[0].key)
            for end, there in known.items():
                place = places[end].get(there.name) if there is not None else None
                if there is not None and place is not None and not _is_still(there, place):
                    raise numbered_anew(context, there.name, end)
                joint.put(end, place)
            context.joints = {joint.key: joint}
            before = row.two.flags if begun is None else state.flagsets[begun.flags]
            flags = await _carry_flags(context, row, uid, before, known[End.TWO])
            with state.transaction():
                if begun is None:
                    state.beside.doom(row, state.flagsets.key(flags))
                else:
                    state.beside.stood([(row.pair, uid, state.flagsets.key(flags))])
            row = state.messages.row(End.ONE, row.pair, row.one.uid or 0)
            assert row is not None
            async with meanwhile():
                await Carrier(context, joint.key, End.TWO, Additions(rows=[row])).run()
            await remove_doomed(context, joint.key, End.TWO)
            for refused in withheld(one, context.name(joint.key, End.ONE), [row.one.uid or 0]).values():
                raise MailboxUnavailable(f"{one.title} does not give the message: {refused.reason}")
            if (joint.key, End.TWO) in context.stopped:
                raise NothingTaken(
                    f"{two.title} takes no large message now: {_said(context, row)}",
                    "It is tried again later; now: restante sync --retry",
                )
            row = state.messages.row(End.ONE, row.pair, row.one.uid or 0)
            if row is None or not row.two.present:
                raise MailboxUnavailable(
                    f"The message is in {mailbox} on {one.title} no more, or was not taken here.",
                    "The next run sees what became of it: restante sync",
                )
        finally:
            for side in (one, two):
                await side.close()


def _said(context: Context, row: Row) -> str:
    """Why side two has refused the message."""
    name = context.name(row.pair, End.ONE)
    asides = context.state.aside()
    return next((one.reason for one in asides if (one.mailbox, one.uid) == (name, row.one.uid)), "it gives no reason.")


def _is_still(known: Known, place: Place) -> bool:
    """Whether UIDs there mean what they meant at the last run."""
    same = known.id is None or place.id is None or known.id == place.id
    return same and known.validity in (None, place.validity)


async def _carry_flags(context: Context, row: Row, uid: int, before: Flags, known: Known | None) -> Flags:
    """Do to the message on side one what was done to its placeholder's flags since they were these; what they are now.

    A side that was not asked would keep what has flags that it has not told of. Raises NoPlaceholder where it is
    somewhere else now: what became of it is for a run to find out. Raises MailboxUnavailable where UIDs began anew.
    """
    pair = row.pair
    name, side = context.name(pair, End.TWO), context.sides[End.TWO]
    changes = await side.changes(name, known.cursor if known is not None else None)
    if known is not None and known.validity not in (None, changes.validity):
        raise numbered_anew(context, name, End.TWO)
    now = next((flags for each, flags in zip(changes.uids, changes.flags, strict=True) if each == uid), None)
    if now is None:
        if changes.full or uid in changes.vanished:
            raise NoPlaceholder(
                f"The placeholder {uid} is in {name!r} no more.", "Bring both sides in step first: restante sync"
            )
        return before
    now = context.state.flagsets.same(now)
    remove = frozenset(flag for flag in before - now if context.keeps(pair, End.TWO, flag))
    if remove or now - before:
        change = FlagChange([row.one.uid or 0], now - before, remove)
        await context.sides[End.ONE].set_flags(context.name(pair, End.ONE), [change])
    return now
