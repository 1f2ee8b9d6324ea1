"""`restante sync list, status, removals, fetch`: what copies there are, how they are, and what waits for a person."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..errors import Refusal
from .common import (
    LazyGroup,
    Subcommand,
    cell,
    confirm,
    count,
    emit,
    emit_json,
    human_size,
    instant,
    run,
    with_json,
    with_place,
    with_yes,
)
from .statuses import Exit
from .sync import load

if TYPE_CHECKING:
    from ..sync.assemble import Brought
    from ..sync.config import CopyTable
    from ..sync.places import CopyPlaces
    from ..sync.settings import Held
    from ..sync.state import State


@dataclass(frozen=True, slots=True)
class Row:
    copy: str
    server: str
    user: str
    target: str
    sends_by: str | None


@click.command("list")
@with_json
@with_place
def list_(as_json: bool) -> None:
    """List the copies of the file."""
    from ..sync.config import source_of

    found, _ = load()
    rows = [
        Row(
            name,
            f"{'imap' if copy.imap else 'pop3'} {source_of(copy)}",
            copy.user,
            copy.maildir or copy.store or copy.mbox,
            copy.send.smtp or None,
        )
        for name, copy in found.copies.items()
    ]
    emit(rows, as_json)


# How they are -------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class HeldRow:
    """number: what `removals accept` and `refuse` take. gone_from: the side that has them no more."""

    number: int
    mailbox: str
    gone_from: str
    messages: int
    reason: str
    since: str | None
    decided: str | None


@dataclass(frozen=True, slots=True)
class AsideRow:
    mailbox: str
    refused_by: str
    uid: int
    size: int
    reason: str
    next_try: str | None


@dataclass(frozen=True, slots=True)
class OutboxRow:
    id: str
    state: str
    recipients: tuple[str, ...]
    subject: str
    attempts: int
    said: str


@dataclass(frozen=True, slots=True)
class Status:
    """What `status --json` tells of a copy. last_run: None before the first. problem: why it ended early."""

    copy: str
    last_run: str | None
    seconds: float | None
    problem: str | None
    held: tuple[HeldRow, ...]
    aside: tuple[AsideRow, ...]
    outbox: tuple[OutboxRow, ...]


@click.command()
@click.argument("copies", metavar="[COPY]...", nargs=-1)
@with_json
@with_place
@click.pass_context
def status(ctx: click.Context, copies: tuple[str, ...], as_json: bool) -> None:
    """Show how the last runs ended, removals that are held, messages set aside, and the outbox.

    The exit status is 4 where something waits for you.
    """
    found, data = load(copies)
    rows = [_status(name, data) for name in found.copies]
    if as_json:
        emit_json(rows)
    else:
        for row in rows:
            _show(row)
    if any(
        row.aside or any(e.decided is None for e in row.held) or any(e.state == "uncertain" for e in row.outbox)
        for row in rows
    ):
        ctx.exit(Exit.FINDINGS)


def _status(name: str, data: Path) -> Status:
    from ..clock import SystemClock, system_random
    from ..sync.outbox.spool import Spool
    from ..sync.places import CopyPlaces, outbox_folder

    places = CopyPlaces(data, name)
    started, seconds, problem = _last(places.last)
    held: tuple[HeldRow, ...] = ()
    aside: tuple[AsideRow, ...] = ()
    if places.state.exists():
        state = _state(places.state)
        try:
            held = tuple(_held(each) for each in state.held())
            aside = tuple(
                AsideRow(
                    each.mailbox, SIDES[int(each.refused_by)], each.uid, each.size, each.reason, instant(each.next_try)
                )
                for each in state.aside()
            )
        finally:
            state.close()
    outbox = tuple(
        OutboxRow(each.id, each.state.value, tuple(r.address for r in each.recipients), each.subject, each.attempts,
                  each.said)
        for each in Spool(outbox_folder(data), SystemClock(), system_random).entries(name)
    )  # fmt: skip
    return Status(name, instant(started), seconds, problem, held, aside, outbox)


def _last(file: Path) -> tuple[float | None, float | None, str | None]:
    """Start, seconds and problem of the last run; nothing where nobody can read them: it is a hint that is not flushed,
    and a power cut may leave anything (`sync.copy.write_last`)."""
    import msgspec

    try:
        last = msgspec.json.decode(file.read_bytes())
        problem = last["problem"]
        return float(last["started"]), float(last["seconds"]), None if problem is None else str(problem["text"])
    except (OSError, msgspec.DecodeError, KeyError, TypeError, ValueError):
        return None, None, None


SIDES = {1: "server", 2: "copy"}


def _held(each: Held) -> HeldRow:
    decided = {None: None, True: "accepted", False: "refused"}[each.accepted]
    side = SIDES[int(each.gone_from)]
    return HeldRow(each.number, each.mailbox, side, each.messages, each.reason, instant(each.since), decided)


def _state(path: Path) -> State:
    from ..sync.state import State

    return State.open(path)


def _show(row: Status) -> None:
    when = f"last run {row.last_run} ({row.seconds:.1f} s)" if row.last_run else "never run"
    click.echo(f"{row.copy}: {when}{f', ended early: {row.problem}' if row.problem else ''}")
    for held in row.held:
        click.echo(
            f"  held {held.number}: {count(held.messages, 'message')} of {held.mailbox}, gone from the "
            f"{held.gone_from} ({held.reason}){f', {held.decided}' if held.decided else ''}"
        )
    for aside in row.aside:
        again = f", again {aside.next_try}" if aside.next_try else ""
        size = f" ({human_size(aside.size)})" if aside.size else ""
        click.echo(
            f"  set aside: {aside.mailbox}, message {aside.uid}{size}, refused by the "
            f"{aside.refused_by}: {aside.reason}{again}"
        )
    for entry in row.outbox:
        click.echo(f"  outbox {entry.id}: {entry.state}, to {', '.join(entry.recipients[:3])}: {entry.subject}")


# Removals -----------------------------------------------------------------------------------------------


REMOVALS = (
    Subcommand("list", ".sync_admin:removals_list", "List what is held."),
    Subcommand("accept", ".sync_admin:removals_accept", "Remove it on the other side too, with the next run."),
    Subcommand("refuse", ".sync_admin:removals_refuse", "Bring it back where it is gone, with the next run."),
)


@click.group(cls=LazyGroup, commands=REMOVALS, package=__package__)
@with_place
def removals() -> None:
    """Removals that are held because they are many at once: list them, accept them, or refuse them.

    Nothing is removed on either side until you decide; everything else goes on.
    """


@click.command("list")
@click.argument("copies", metavar="[COPY]...", nargs=-1)
@with_json
@with_place
def removals_list(copies: tuple[str, ...], as_json: bool) -> None:
    """List held removals of the copies named, of all where none is."""
    found, data = load(copies)
    rows = [(name, each) for name in found.copies for each in _status(name, data).held]
    if as_json:
        emit_json([{"copy": name, "held": each} for name, each in rows])
        return
    if not rows:
        click.echo("Nothing is held.", err=True)
    for name, each in rows:
        click.echo(
            f"{name} {each.number}: {count(each.messages, 'message')} of {each.mailbox}, gone from the "
            f"{each.gone_from} since {each.since} ({each.reason}){f', {each.decided}' if each.decided else ''}"
        )


@click.command("accept")
@click.argument("copy")
@click.argument("numbers", type=int, nargs=-1)
@with_yes
@with_place
def removals_accept(copy: str, numbers: tuple[int, ...], yes: bool) -> None:
    """Let COPY's held removals (these NUMBERS, or all) happen: the messages go from the other side too."""
    _decide(copy, numbers, accept=True, yes=yes)


@click.command("refuse")
@click.argument("copy")
@click.argument("numbers", type=int, nargs=-1)
@with_place
def removals_refuse(copy: str, numbers: tuple[int, ...]) -> None:
    """Refuse COPY's held removals (these NUMBERS, or all): the messages come back where they are gone."""
    _decide(copy, numbers, accept=False, yes=True)


def _decide(copy: str, numbers: tuple[int, ...], *, accept: bool, yes: bool) -> None:
    from ..sync.places import CopyPlaces

    _, data = load((copy,))
    places = CopyPlaces(data, copy)
    state = _state(places.state) if places.state.exists() else None
    try:
        waiting = [] if state is None else [each for each in state.held() if each.accepted is None]
        chosen = [each for each in waiting if not numbers or each.number in numbers]
        missing = set(numbers) - {each.number for each in waiting}
        if missing or not chosen or state is None:
            what = f"no held removal {min(missing)}" if missing else "nothing held"
            raise NothingHeld(f"{copy} has {what}.", "restante sync removals list shows what there is.")
        messages = sum(each.messages for each in chosen)
        boxes = ", ".join(dict.fromkeys(each.mailbox for each in chosen))
        if accept:
            confirm(f"{count(messages, 'message')} of {boxes} will be removed on the other side.", yes)
            state.accept([each.number for each in chosen])
        else:
            state.refuse([each.number for each in chosen])
    finally:
        if state is not None:
            state.close()
    click.echo(
        f"{'Accepted' if accept else 'Refused'}: {count(messages, 'message')} of {boxes}. "
        f"The next run does it: restante sync {copy}"
    )


# Placeholders -------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class PlaceholderRow:
    """uid: what `sync fetch COPY MAILBOX` takes. size: of the message, in octets."""

    mailbox: str
    uid: int
    size: int
    received: str | None


@click.command()
@click.argument("copy")
@click.argument("mailbox", required=False)
@click.argument("uids", metavar="[UID]...", type=int, nargs=-1)
@click.option("--all", "everything", is_flag=True, help="Download all, whatever the mailbox.")
@with_json
@with_place
@click.pass_context
def fetch(
    ctx: click.Context, copy: str, mailbox: str | None, uids: tuple[int, ...], everything: bool, as_json: bool
) -> None:
    """Download messages of COPY that left a placeholder, being larger than `largest`.

    Lists them where neither MAILBOX nor --all is said; with MAILBOX downloads those in it, or these UIDs of it alone.
    Ends where the copy takes no more, being over quota.
    """
    from ..sync.patterns import canonical
    from ..sync.places import CopyPlaces

    found, data = load((copy,))
    places = CopyPlaces(data, copy)
    rows = _placeholders(places.state)
    mailbox = None if mailbox is None else canonical(mailbox)
    if mailbox is None and not everything:
        emit(rows, as_json, f"{copy} has no placeholders.")
        return
    chosen = [row for row in rows if (everything or row.mailbox == mailbox) and (not uids or row.uid in uids)]
    missing = set(uids) - {row.uid for row in chosen}
    if missing or not chosen:
        what = f"no placeholder {min(missing)}" if missing else "no placeholder"
        where = "" if mailbox is None else f" in {mailbox}"
        raise NothingHeld(f"{copy} has {what}{where}.", f"restante sync fetch {copy} lists them.")
    table = found.copies[copy]
    brought = run(_download(places, table, [(row.mailbox, row.uid) for row in chosen]))
    unasked, without = set(brought.left), {*brought.left, *brought.failed}
    left = [row for row in chosen if (row.mailbox, row.uid) in unasked]
    came = [row for row in chosen if (row.mailbox, row.uid) not in without]
    if came:
        click.echo(f"Downloaded {count(len(came), 'message')} ({human_size(sum(row.size for row in came))}).")
    for (name, uid), refusal in brought.failed.items():
        click.echo(f"not downloaded: {cell(name)} {uid}: {cell(refusal)}", err=True)
    if left:
        size = human_size(sum(row.size for row in left))
        wanted = ["--all"] if everything else [cell(mailbox or ""), *(str(row.uid) for row in left if uids)]
        again = shlex.join(["restante", "sync", "fetch", copy, *wanted])
        click.echo(f"{count(len(left), 'more message')} ({size}) left for when there is room: {again}", err=True)
    if brought.failed:
        ctx.exit(Exit.FINDINGS)


def _placeholders(state_file: Path) -> list[PlaceholderRow]:
    if not state_file.exists():
        return []
    from ..sync.state.placeholders import placeholders

    return [
        PlaceholderRow(each.mailbox, each.uid, each.size, instant(each.received)) for each in placeholders(state_file)
    ]


async def _download(places: CopyPlaces, table: CopyTable, picks: list[tuple[str, int]]) -> Brought:
    from ..clock import SystemClock, system_random
    from ..sync.assemble import ImapParts, Wishes

    return await ImapParts(places, table, Wishes(), SystemClock(), system_random).fetch(picks)


class NothingHeld(Refusal):
    """There is no such held removal, or placeholder."""

    code = "NOT-FOUND"
