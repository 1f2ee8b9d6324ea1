"""`restante rewind`: an account as it was, after a virus or a slip."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

from ..errors import Refusal
from ..store.rights import NEGATIVE
from .backup import complain_of, named_location, open_repository, with_location_option
from .common import cell, count, emit, emit_json, human_size, instant, run, with_json, with_place
from .statuses import Exit

if TYPE_CHECKING:
    from ..backup.rewind import FromSnapshot
    from ..store.interface import Store
    from ..store.rewind import Kept, Rewound
    from .installation import Installation

MOST_TOLD = 20


@dataclass(frozen=True, slots=True)
class Change:
    """What happens in a mailbox: numbers of messages."""

    mailbox: str
    brought: int
    moved: int
    flagged: int
    removed: int


@dataclass(frozen=True, slots=True)
class Result:
    """A rewind, or its plan, as JSON. id: undoes it; None for a plan, or where there was nothing to do. at: what it
    goes back to. kept: the first of `came` messages that came since and stay. lost: (mailbox, EMAILID) of messages that
    neither the store nor a snapshot gave. from_backup: messages that a snapshot gave, or would give. granted: (mailbox,
    who, rights) of lists of mailboxes that are made again; rights: (mailbox, who, rights then, rights now) of lists
    that have changed since and stay. storage, messages: what the account then uses; limits: 0 where there is none."""

    applied: bool
    id: int | None
    at: str | None
    snapshot: str | None
    changes: tuple[Change, ...]
    created: tuple[str, ...]
    renamed: tuple[tuple[str, str], ...]
    blocked: tuple[tuple[str, str], ...]
    roles: tuple[tuple[str, str | None], ...]
    dropped: tuple[str, ...]
    subscribed: tuple[str, ...]
    unsubscribed: tuple[str, ...]
    came: int
    copies: int
    kept: tuple[Kept, ...]
    from_backup: int
    lost: tuple[tuple[str, str], ...]
    granted: tuple[tuple[str, str, str], ...] = ()
    rights: tuple[tuple[str, str, str, str], ...] = ()
    storage: int = 0
    storage_limit: int = 0
    messages: int = 0
    messages_limit: int = 0


@dataclass(frozen=True, slots=True)
class Listed:
    """A rewind that can be undone."""

    id: int
    done: str | None
    back_to: str | None
    undid: int | None


@click.command()
@click.option("--account", "address", required=True, metavar="NAME@DOMAIN", help="Whose mail.")
@click.option("--to", "to", metavar="TIME", help='As of when: "2026-11-22 02:30", "yesterday 14:00", "3h ago".')
@click.option("--undo", "undo", metavar="ID", help='Take the account back to before this rewind ("last": the last).')
@click.option("--list", "listing", is_flag=True, help="List rewinds that can be undone.")
@click.option("--apply", "apply", is_flag=True, help="Do it, instead of saying what would be done.")
@with_location_option
@with_json
@with_place
@click.pass_context
def command(
    ctx: click.Context,
    address: str,
    to: str | None,
    undo: str | None,
    listing: bool,
    apply: bool,
    as_json: bool,
) -> None:
    """Take an account back to what it was at an instant; without --apply, say what that would do.

    Removed messages come back, by whichever program they were removed, moves are undone, flags, keywords, names of
    mailboxes and subscriptions are those of then. What came since stays where it is and is listed. It can be undone.
    Within store.retention the store knows all of it; beyond, the backup's snapshot of then, or the last one before,
    says what was. Rights of others stay as they are, but on mailboxes that are made again, which get those that they
    had. The exit status is 4 where messages could not be brought back.
    """
    if [to is not None, undo is not None, listing].count(True) != 1:
        raise click.UsageError("Say --to TIME, --undo ID or --list.")
    if listing:
        run(_list(address, as_json))
        return
    result = run(_work(address, to, undo, apply))
    if as_json:
        emit_json(result)
    else:
        _tell(result, address)
    if result.lost and result.applied:
        ctx.exit(Exit.FINDINGS)


async def _list(address: str, as_json: bool) -> None:
    from .installation import installation

    async with installation() as here:
        _, store = await here.store(address)
        rows = [Listed(one.id, instant(one.when), instant(one.at), one.undid) for one in await store.rewinds()]
    emit(rows, as_json, "There is no rewind that could be undone.")


async def _work(address: str, to: str | None, undo: str | None, apply: bool) -> Result:
    from ..clock import SystemClock
    from ..store.errors import BeyondHistory
    from .installation import installation
    from .when import parse_when

    at = parse_when(to, SystemClock().now()) if to is not None else 0
    async with installation() as here:
        account, _ = await here.store(address)
        store = here.engine.account(account.id, session="rewind")
        if undo is not None:
            async with _alone(store, apply):
                return await _result(here, store, await store.undo_rewind(await _id(store, undo), apply=apply), apply)
        try:
            async with _alone(store, apply):
                return await _result(here, store, await store.rewind(at, apply=apply), apply)
        except BeyondHistory as refusal:
            if not named_location():
                raise BeyondHistory(
                    f"The store knows what the account was from {instant(refusal.earliest)} on.",
                    "A backup may know more: name its --location.", earliest=refusal.earliest,
                ) from refusal  # fmt: skip
            earliest = refusal.earliest
        from ..backup.rewind import NoSnapshot

        try:
            return await _from_backup(here, account.id, store, address, at, apply)
        except NoSnapshot as refusal:
            raise NoSnapshot(
                f"The store knows what the account was from {instant(earliest)} on. {refusal.text}", refusal.remedy
            ) from refusal


def _alone(store: Store, apply: bool) -> AbstractAsyncContextManager[None]:
    """While nobody else brings mail back into the account, where it is changed. Raises InUse."""
    return store.bringing_back() if apply else nullcontext()


async def _id(store: Store, said: str) -> int:
    if said != "last":
        try:
            return int(said)
        except ValueError:
            raise click.UsageError('--undo takes the number of a rewind, or "last".') from None
    known = await store.rewinds()
    if not known:
        raise Refusal("There is no rewind that could be undone.", "Past store.retention none can be.")
    return known[-1].id


async def _from_backup(here: Installation, account: str, store: Store, address: str, at: int, apply: bool) -> Result:
    import asyncio

    from ..backup.analysing import analysing
    from ..backup.choose import line_of
    from ..backup.rewind import rewind_to, snapshot_before

    repository = open_repository()  # here: what the command line said hangs on this thread, and a terminal may be asked
    snapshot = await asyncio.to_thread(snapshot_before, repository, at)
    line = await asyncio.to_thread(line_of, repository, snapshot, address, account)
    with analysing(line.messages, here.limits) as pool:
        done = await rewind_to(store, repository, snapshot, line, pool, apply=apply)
    complain_of(repository)
    return await _result(here, store, done.told, apply, done)


async def _result(
    here: Installation, store: Store, told: Rewound, apply: bool, backup: FromSnapshot | None = None
) -> Result:
    quota = await store.quota()
    more, octets = (0, 0) if apply else (told.messages, told.octets)
    if backup is not None and not apply:
        more, octets = more + backup.brought, octets + backup.octets
    called = {who: await _called(here, who) for who in {one[1] for one in (*told.granted, *told.rights)}}
    lost = tuple(told.lost) if backup is None else tuple((each.mailbox, each.email_id) for each in backup.lost)
    return Result(
        apply,
        told.id or None,
        instant(told.at),
        backup.snapshot if backup is not None else None,
        tuple(Change(one.mailbox, one.brought, one.moved, one.flagged, one.removed) for one in told.changes),
        tuple(told.created),
        tuple(told.renamed),
        tuple(told.blocked),
        tuple(told.roles),
        tuple(told.dropped),
        tuple(told.subscribed),
        tuple(told.unsubscribed),
        told.came,
        told.copies,
        tuple(told.kept),
        backup.brought if backup is not None else 0,
        lost,
        tuple((name, called[who], rights) for name, who, rights in told.granted),
        tuple((name, called[who], then, now) for name, who, then, now in told.rights),
        quota.storage + octets,
        quota.limits.storage,
        quota.messages + more,
        quota.limits.messages,
    )


async def _called(here: Installation, who: str) -> str:
    """Somebody on a list by address, as `restante acl` shows him."""
    sign = NEGATIVE if who.startswith(NEGATIVE) else ""
    account = await here.engine.directory.account_by_id(who.removeprefix(NEGATIVE))
    return who if account is None else sign + account.address


def _tell(result: Result, address: str) -> None:
    source = f", from the snapshot {result.snapshot}" if result.snapshot else ""
    lines = list(_lines(result))
    if not lines:
        click.echo(f"{address} is as it was at {result.at}{source}: there is nothing to do.")
    else:
        click.echo(f"{address} {'is now' if result.applied else 'would be'} as at {result.at}{source}:")
        for line in lines:
            click.echo(f"  {line}")
    if result.came or result.copies:
        copies = f", and {count(result.copies, 'copy')} of older ones" if result.copies else ""
        click.echo(
            f"Came since and {'stayed' if result.applied else 'would stay'}: {count(result.came, 'message')}{copies}."
        )
    for kept in result.kept[:MOST_TOLD]:
        about = f"{human_size(kept.size):>8}  {cell(kept.sender)}  {cell(kept.subject)}"
        click.echo(f"  {kept.mailbox}  {instant(kept.received)}  {about}")
    if result.came > MOST_TOLD:
        click.echo(f"  ... and {result.came - MOST_TOLD} more; --json lists {len(result.kept)}.")
    for mailbox, email_id in result.lost[:MOST_TOLD]:
        click.echo(f"lost {mailbox} {email_id}: its contents are gone.", err=True)
    if len(result.lost) > MOST_TOLD:
        click.echo(f"... and {len(result.lost) - MOST_TOLD} more; --json lists all.", err=True)
    for line in _stays(result):
        click.echo(line)
    for line in _over(result):
        click.echo(line, err=True)
    if not result.applied and lines:
        click.echo("Nothing was done. Say --apply to do it.")
    if result.id is not None:
        click.echo(f"To undo it: restante rewind --account {address} --undo {result.id} --apply")


def _stays(result: Result) -> list[str]:
    """Lists that have changed since: a rewind leaves them alone, and nobody may find that out too late."""
    if not result.rights:
        return []
    found = ["Rights that have changed since stay as they are now (see 'restante acl'):"]
    found += [f"  {name}: {who} has {now or 'none'}, had {then or 'none'}" for name, who, then, now in result.rights]
    return found if len(found) <= MOST_TOLD else [*found[:MOST_TOLD], "  ..."]


def _over(result: Result) -> list[str]:
    """A rewind is not held up by the account's limits; new mail is."""
    verb = "has" if result.applied else "would have"
    found = []
    if 0 < result.storage_limit < result.storage:
        found.append(f"{human_size(result.storage)} of {human_size(result.storage_limit)}")
    if 0 < result.messages_limit < result.messages:
        found.append(f"{result.messages} of {count(result.messages_limit, 'message')}")
    if not found:
        return []
    backup = " Messages out of the backup are filed as far as there is room." if result.from_backup else ""
    return [f"Over its quota: the account {verb} {' and '.join(found)}, and then takes no new mail.{backup}"]


def _lines(result: Result) -> list[str]:
    lines = [f"mailbox {old} is called {new} again" for old, new in result.renamed]
    lines += [f"mailbox {name} is made again" for name in result.created]
    lines += [f"mailbox {name} keeps its name: another is called {old} now" for name, old in result.blocked]
    lines += [f"mailbox {name}: special use {role or 'none'}" for name, role in result.roles]
    for one in result.changes:
        parts = [
            f"{number} {what}"
            for number, what in (
                (one.brought, "brought back"), (one.moved, "moved back"), (one.flagged, "with flags set back"),
                (one.removed, "removed again"),
            )
            if number
        ]  # fmt: skip
        lines.append(f"{one.mailbox}: {', '.join(parts)}")
    if result.from_backup:
        lines.append(f"{count(result.from_backup, 'message')} from the backup")
    lines += [f"mailbox {name}: {who} has {rights} again" for name, who, rights in result.granted]
    lines += [f"mailbox {name} is removed" for name in result.dropped]
    lines += [f"subscribed: {name}" for name in result.subscribed]
    lines += [f"unsubscribed: {name}" for name in result.unsubscribed]
    return lines
