"""Flags, removal, copies and moves on the server.

Sets are cut so that each command's line stays short, and the commands are pipelined. Every mailbox is opened first and
its UIDVALIDITY compared with the one that was told: UIDs that belong to another are never used.

Without UIDPLUS, EXPUNGE removes all that is marked \\Deleted (RFC 3501 6.4.3): what others marked is unmarked for the
moment (`marks`), and marked again behind it, so that exactly what was asked goes. RFC 9051 6.4, RFC 4315, RFC 6851.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence

from ...imap.grammar.answers import Data, Status
from ...imap.grammar.answers_fetch import Passed
from ...imap.grammar.answers_search import parse_copyuid, parse_esearch, parse_search
from ..model import FlagChange, Flags
from ..side import MailboxUnavailable
from .account import Account
from .command import Command, astring, sets
from .connection import Connection, Selected, Sink
from .errors import check

_AT_ONCE = 20
"""Commands under way at a time."""


async def set_flags(account: Account, name: str, changes: Sequence[FlagChange]) -> None:
    """`Side.set_flags`. Keywords that the mailbox does not keep are left out and noted."""
    grouped: dict[tuple[Flags, Flags], list[int]] = {}
    for change in changes:
        if change.uids and (change.add or change.remove):
            grouped.setdefault((change.add, change.remove), []).extend(change.uids)
    if not grouped:
        return
    raw = await account.raw(name)
    async with account.pool.borrow(raw) as connection:
        selected = await account.open(connection, name, raw, write=True)
        commands: list[Command] = []
        for (add, remove), uids in grouped.items():
            ordered = sorted(set(uids))
            for sign, flags in (
                (b"+", account.storable(name, add)),
                (b"-", account.storable(name, remove, note=False)),
            ):
                if flags:
                    commands += [_store(numbers, sign, flags) for numbers, _ in sets(ordered, _limit(account))]
        await _run(connection, name, commands)
        account.permanent[name] = selected.permanent
        listed = {flag.lower() for flag in selected.permanent or ()}
        for add, _ in grouped:
            account.kept.update((name, flag.lower()) for flag in add if flag.lower() in listed)


def _store(numbers: bytes, sign: bytes, flags: Iterable[str]) -> Command:
    listed = " ".join(sorted(flags)).encode("ascii")
    return (b"UID STORE " + numbers + b" " + sign + b"FLAGS.SILENT (" + listed + b")",)


def _limit(account: Account) -> int | None:
    return account.pool.offers.message_limit


async def _run(
    connection: Connection, name: str, commands: Sequence[Command], sink: Sink | None = None
) -> list[Status]:
    """Run commands, some at a time; raises for the first that is refused."""
    done: list[Status] = []
    for at in range(0, len(commands), _AT_ONCE):
        some = await connection.run(*commands[at : at + _AT_ONCE], sink=sink, rows=Passed())
        for status in some:
            check(status, name)
        done += some
    return done


# Removal -----------------------------------------------------------------------------------------------


async def remove(account: Account, name: str, uids: Sequence[int]) -> None:
    """`Side.remove`."""
    if not uids:
        return
    raw = await account.raw(name)
    async with account.pool.borrow(raw) as connection:
        await _remove(account, connection, name, raw, uids)


async def _remove(account: Account, connection: Connection, name: str, raw: bytes, uids: Sequence[int]) -> None:
    selected = await account.open(connection, name, raw, write=True)
    if selected.permanent is not None and "\\Deleted" not in selected.permanent:
        raise MailboxUnavailable(f"The server lets nothing be removed from {name}.")
    parts = [numbers for numbers, _ in sets(uids, _limit(account))]
    marks = [_store(numbers, b"+", ("\\Deleted",)) for numbers in parts]
    if "UIDPLUS" in account.pool.offers:
        await _run(connection, name, marks)
        await _expunge(account, connection, name, selected, uids)
        return
    ours = set(uids)
    others = [uid for uid in await _search(connection, name, b"DELETED") if uid not in ours]
    from .marks import drop, keep

    kept, marked = await keep(account, raw, selected.validity, others)
    try:
        away = [_store(numbers, b"-", ("\\Deleted",)) for numbers, _ in sets(others, _limit(account))]
        await _run(connection, name, away)
        await _run(connection, name, [*marks, (b"EXPUNGE",)])
    finally:
        if connection.usable:
            await mark_deleted(account, connection, name, marked)
            drop(kept)


async def mark_deleted(account: Account, connection: Connection, name: str, uids: Sequence[int]) -> None:
    """Mark these messages of the mailbox that is open there, as somebody else had marked them."""
    await _run(connection, name, [_store(numbers, b"+", ("\\Deleted",)) for numbers, _ in sets(uids, _limit(account))])


async def _expunge(
    account: Account, connection: Connection, name: str, selected: Selected, uids: Sequence[int]
) -> None:
    """UID EXPUNGE of marked messages. It is not sent behind the STORE, and looked at: Dovecot 2.3 says OK and removes
    nothing where it has not come to see the marks yet. Where fewer went than were named, what is left is asked for."""
    left = list(uids)
    for _ in range(2):
        before = selected.expunged
        await _run(connection, name, [(b"UID EXPUNGE " + numbers,) for numbers, _ in sets(left, _limit(account))])
        if selected.expunged - before >= len(left):
            return
        named, left = left, []
        for numbers, _ in sets(named, _limit(account)):
            left += await _search(connection, name, b"DELETED UID " + numbers)
        if not left:
            return
    raise MailboxUnavailable(f"The server does not remove messages from {name}.", "Try again later.")


async def _search(connection: Connection, name: str, key: bytes) -> list[int]:
    """UIDs that a search finds, ascending."""
    found = array("Q")

    def hear(answer: Data | Status) -> None:
        if isinstance(answer, Data) and answer.word == b"SEARCH":
            found.extend(parse_search(answer))
        elif isinstance(answer, Data) and answer.word == b"ESEARCH":  # what IMAP4rev2 answers to any search
            for low, high in parse_esearch(answer).ranges or ():
                found.extend(range(low, min(high, low + 1_000_000) + 1))

    await _run(connection, name, [(b"UID SEARCH " + key,)], hear)
    return sorted(set(found))


# Copies ------------------------------------------------------------------------------------------------


async def copy(account: Account, name: str, uids: Sequence[int], target: str) -> list[int]:
    """`Side.copy`."""
    return await _transfer(account, name, uids, target, move=False)


async def move(account: Account, name: str, uids: Sequence[int], target: str) -> list[int]:
    """`Side.move`: MOVE, or COPY and then removal."""
    return await _transfer(account, name, uids, target, move=True)


async def _transfer(account: Account, name: str, uids: Sequence[int], target: str, move: bool) -> list[int]:
    if not uids:
        return []
    raw, to = await account.raw(name), await account.raw(target)
    moves = move and "MOVE" in account.pool.offers
    given: dict[int, int] = {}
    async with account.pool.borrow(raw) as connection:
        await account.open(connection, name, raw, write=move)

        def hear(answer: Data | Status) -> None:
            if isinstance(answer, Status) and answer.code == b"COPYUID":  # MOVE's comes before EXPUNGE (RFC 6851 4.3)
                note(answer)

        def note(status: Status) -> None:
            found = parse_copyuid(status, len(uids))
            if found is not None:
                given.update(found[1])

        verb = b"UID MOVE " if moves else b"UID COPY "
        commands: list[Command] = [
            (verb + numbers + b" ", astring(to, connection.utf8)) for numbers, _ in sets(sorted(uids), _limit(account))
        ]
        for status in await _run(connection, f"{name} -> {target}", commands, hear):
            note(status)
        if move and not moves:
            await _remove(account, connection, name, raw, sorted(uids))
    return [given.get(uid, 0) for uid in uids]
