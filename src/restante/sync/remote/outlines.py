"""What messages are known by, asked of the server without reading them: `Side.outlines`, headers, EMAILIDs.

Many messages a command, a few commands at once. A server that refuses such a command, or ends the connection at it, may
do so for one message's sake: what lacks is asked for in parts, until that one is alone. RFC 9051 6.4.5, RFC 8474 5.3.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from ...imap.grammar.answers import BadAnswer, Data, Status
from ...imap.grammar.answers_fetch import Value, parse_fetch, parse_internaldate
from ..model import Outline, Withheld
from ..outline import MARK_FIELDS, mark_and_ident
from .account import Account
from .command import sets
from .connection import Sink
from .errors import Lost, check, is_busy, said
from .quirks import Quirk

BLAMED = 12
"""Connections lost one after the other without a message between, where a message could be blamed for each, after which
the side is unavailable."""
NOTHING_OF_IT = "it says OK and sends nothing of it"
"""Why a message is withheld that the server lists, and leaves out where it is asked for."""
_REFUSED = 24
"""Commands refused one after the other without a message between, after which the mailbox is unavailable."""


async def outlines(account: Account, name: str, uids: Sequence[int]) -> list[Outline]:
    """`Side.outlines`."""
    if not uids:
        return []
    raw = await account.raw(name)
    found: dict[int, Outline] = {}
    wanted = frozenset(uids)
    guess = Quirk.SIZE_IS_A_GUESS in account.quirks

    def hear(answer: Data | Status) -> None:
        if isinstance(answer, Data) and answer.word == b"FETCH":
            outline = _outline(parse_fetch(answer), guess)
            if outline is not None and outline.uid in wanted:
                found[outline.uid] = outline

    fields = " ".join(MARK_FIELDS).upper().encode("ascii")
    email = b"EMAILID " if "OBJECTID" in account.pool.offers else b""
    items = b" (UID RFC822.SIZE INTERNALDATE %bBODY.PEEK[HEADER.FIELDS (%b)])" % (email, fields)
    await _ask(account, name, raw, uids, items, hear, found, 2_000)
    return [found[uid] for uid in uids if uid in found]


async def emails(account: Account, name: str, uids: Sequence[int]) -> dict[int, str]:
    """`side.Emails.emails`. RFC 8474 5.3."""
    if not uids or "OBJECTID" not in account.pool.offers:
        return {}
    raw = await account.raw(name)
    found: dict[int, str] = {}
    wanted = frozenset(uids)

    def hear(answer: Data | Status) -> None:
        if isinstance(answer, Data) and answer.word == b"FETCH":
            items = parse_fetch(answer)
            uid, email = items.get(b"UID"), items.get(b"EMAILID")
            if isinstance(uid, int) and isinstance(email, bytes) and uid in wanted:
                found[uid] = email.decode("latin-1")

    await _ask(account, name, raw, uids, b" (UID EMAILID)", hear, found, 5_000)
    return found


def seconds(date: Value) -> int:
    """INTERNALDATE; 0 for one that is no date, which must not keep its message from ever being fetched."""
    try:
        return parse_internaldate(date) if isinstance(date, bytes) else 0
    except BadAnswer:
        return 0


def _outline(items: dict[bytes, Value], guess: bool) -> Outline | None:
    """None for an answer that was not asked for."""
    uid, date, size, email = (items.get(key) for key in (b"UID", b"INTERNALDATE", b"RFC822.SIZE", b"EMAILID"))
    header = next((value for key, value in items.items() if key.startswith(b"BODY[HEADER.FIELDS")), 0)
    if not isinstance(uid, int) or not isinstance(date, bytes) or isinstance(header, int):
        return None
    known, identity = mark_and_ident(header or b"")
    return Outline(
        uid=uid,
        size=size if isinstance(size, int) and not guess else None,
        received=seconds(date),
        mark=known,
        email=email.decode("latin-1") if isinstance(email, bytes) else None,
        ident=identity,
    )


async def headers(account: Account, name: str, uids: Sequence[int]) -> list[tuple[int, bytes]]:
    """`side.Headers.headers`."""
    if not uids:
        return []
    raw = await account.raw(name)
    found: dict[int, bytes] = {}
    wanted = frozenset(uids)

    def hear(answer: Data | Status) -> None:
        if isinstance(answer, Data) and answer.word == b"FETCH":
            items = parse_fetch(answer)
            uid, header = items.get(b"UID"), items.get(b"BODY[HEADER]")
            if isinstance(uid, int) and isinstance(header, bytes) and uid in wanted:
                found[uid] = header

    for uid in uids:  # what was not given once may be now
        account.unreadable.pop((name, uid), None)
    await _ask(account, name, raw, uids, b" (UID BODY.PEEK[HEADER])", hear, found, 500)
    missing = [uid for uid in uids if uid not in found and (name, uid) not in account.unreadable]
    for uid in await listed(account, name, missing):
        account.unreadable[name, uid] = Withheld(NOTHING_OF_IT)
    return sorted(found.items())


async def listed(account: Account, name: str, uids: Sequence[int]) -> list[int]:
    """Those of these messages that the server still lists, in this order."""
    if not uids:
        return []
    raw = await account.raw(name)
    found: set[int] = set()

    def hear(answer: Data | Status) -> None:
        if isinstance(answer, Data) and answer.word == b"FETCH":
            items = parse_fetch(answer)
            uid = items.get(b"UID")
            if isinstance(uid, int) and b"FLAGS" in items:
                found.add(uid)

    await _ask(account, name, raw, uids, b" (UID FLAGS)", hear, found, 5_000)
    return [uid for uid in uids if uid in found]


async def _ask(
    account: Account,
    name: str,
    raw: bytes,
    uids: Sequence[int],
    items: bytes,
    hear: Sink,
    found: Collection[int],
    most: int,
) -> None:
    """Ask for items of these messages, `hear` what comes, so many in a command; what came is in `found`.

    Where the server refuses a command, or ends the connection, what lacks is asked for in parts. A message that it
    does not speak of by itself either is withheld. Raises MailboxUnavailable, SideUnavailable.
    """
    waiting = [list(uids)]
    struck: set[int] = set()
    failures = came = 0
    while waiting:
        some = waiting.pop()
        refusal: Status | Lost | None
        try:
            refusal = await _ask_at_once(account, name, raw, some, items, hear, most)
        except Lost as lost:
            refusal = lost
        if refusal is None:
            continue
        lacking = [uid for uid in some if uid not in found]
        failures = 1 if len(found) > came else failures + 1
        came = len(found)
        if isinstance(refusal, Lost):
            if failures > BLAMED or not lacking:
                raise refusal
            waiting += [rest] if (rest := lacking[1:]) else []
            if lacking[0] in struck:
                account.unreadable[name, lacking[0]] = Withheld("it ends the connection instead")
            else:
                struck.add(lacking[0])
                waiting.insert(0, lacking[:1])  # by itself, behind all others
        elif is_busy(refusal) or failures > _REFUSED:
            check(refusal, name)
        elif len(lacking) > 1:
            half = len(lacking) // 2
            waiting += [lacking[half:], lacking[:half]]
        elif lacking:
            account.unreadable[name, lacking[0]] = Withheld(said(refusal))


async def _ask_at_once(
    account: Account, name: str, raw: bytes, uids: Sequence[int], items: bytes, hear: Sink, most: int
) -> Status | None:
    """The first refusal, if there is one."""
    async with account.pool.borrow(raw) as connection:
        await account.open(connection, name, raw)
        parts = [numbers for numbers, _ in sets(uids, account.pool.offers.message_limit or most)]
        for at in range(0, len(parts), 4):
            commands = [(b"UID FETCH " + numbers + items,) for numbers in parts[at : at + 4]]
            for status in await connection.run(*commands, sink=hear):
                if not status.ok:
                    return status
    return None
