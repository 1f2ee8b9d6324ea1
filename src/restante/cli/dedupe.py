"""`restante dedupe`: what is there more than once, told, moved to the trash, and put back."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..errors import Refusal
from .common import cell, count, emit, emit_json, human_size, instant, place_of, run, with_json, with_place
from .statuses import Exit

if TYPE_CHECKING:
    from ..sync.dedupe.decide import Plan, Rules
    from ..sync.dedupe.journal import Moved
    from ..sync.dedupe.table import Table
    from ..sync.side import Side

MOST_SHOWN = 50
"""Groups listed for people; --json lists all."""
MOST_NAMED = 4
"""Messages named in a cell."""


@dataclass(frozen=True, slots=True)
class Named:
    """A message. where: its place in a file, for mail that has no UIDs."""

    mailbox: str
    uid: int
    received: str | None
    size: int | None
    flags: tuple[str, ...]
    where: str | None = None


@dataclass(frozen=True, slots=True)
class Same:
    """Messages that are the same. kind: "identical", or "trace" where trace fields differ. merged: flags that the one
    kept gets."""

    kind: str
    keep: Named
    merged: tuple[str, ...]
    filed: tuple[Named, ...]
    move: tuple[Named, ...]


@dataclass(frozen=True, slots=True)
class Left:
    """A message that was to move and did not."""

    message: Named
    reason: str


@dataclass(frozen=True, slots=True)
class Told:
    """What `dedupe --json` tells. messages: looked at. moves, octets: that move, or would. moved: that did, None where
    nothing was to be done. differ: messages of one Message-ID with other contents, which are left alone."""

    messages: int
    moves: int
    octets: int
    moved: int | None
    left: tuple[Left, ...]
    groups: tuple[Same, ...]
    differ: tuple[tuple[Named, ...], ...]


@dataclass(frozen=True, slots=True)
class Returned:
    """What `dedupe --undo --json` tells. missing: no longer in the trash. unflagged: those that stayed and still have
    the flags that were merged into them."""

    back: int
    missing: tuple[Named, ...]
    unflagged: tuple[Named, ...]


@dataclass(frozen=True, slots=True)
class Row:
    same: str
    keep: str
    move: str
    received: str | None
    subject: str | None


class NotSo(Refusal):
    """Options that do not go together with what is looked at."""

    code = "NOT-SO"


@dataclass(frozen=True, slots=True)
class Asked:
    """What was asked for."""

    mailboxes: tuple[str, ...]
    rules: Rules
    trash: str | None
    apply: bool


@click.command()
@click.option("--account", "address", metavar="NAME@DOMAIN", help="Look through an account of this installation.")
@click.option(
    "--mbox",
    "file",
    type=click.Path(path_type=Path),
    help="Look through an mbox file, or any other file or folder that import reads. It is only reported on.",
)
@click.option("--mailbox", "mailboxes", multiple=True, metavar="NAME", help="This mailbox alone; may be given again.")
@click.option("--within", is_flag=True, help="Compare only within each mailbox.")
@click.option("--copies", is_flag=True, help="One email that was copied into several mailboxes is a duplicate too.")
@click.option("--prefer", multiple=True, metavar="NAME", help="What lies in this mailbox stays; may be given again.")
@click.option("--trash", metavar="NAME", help="Where duplicates go. Default: the mailbox that is the trash.")
@click.option("--apply", is_flag=True, help="Do it: without this, nothing is changed.")
@click.option("--undo", is_flag=True, help="Put back all that the last --apply moved.")
@with_json
@with_place
@click.pass_context
def command(
    ctx: click.Context,
    address: str | None,
    file: Path | None,
    mailboxes: tuple[str, ...],
    within: bool,
    copies: bool,
    prefer: tuple[str, ...],
    trash: str | None,
    apply: bool,
    undo: bool,
    as_json: bool,
) -> None:
    """Find messages that are there more than once, and show what would be done about it.

    The same are messages that are identical, or differ only in fields that their way here has added. Of each the one
    with the most information stays (docs/dedupe.md has the rules) and gets the flags of all; with --apply the others
    move to the trash. Nothing is deleted, and --undo puts all back. Messages with the same Message-ID and other
    contents are listed and left alone.
    """
    from ..sync.dedupe.decide import Rules

    if (address is None) == (file is None):
        raise click.UsageError("Say --account or --mbox.")
    if apply and undo:
        raise click.UsageError("Say --apply or --undo.")
    asked = Asked(mailboxes, Rules(within, copies, prefer), trash, apply)
    if file is not None:
        if apply or undo:
            raise NotSo("Files are only reported on.", "Import them, and clean out the account.")
        status = _look_at_file(file, asked, as_json)
    else:
        assert address is not None
        status = run(_undo(address, as_json) if undo else _look(address, asked, as_json))
    ctx.exit(status)


def _opened(address: str) -> tuple[Side, str, Path]:
    """The side, what it is called in journals, and the folder of these."""
    from ..clock import SystemClock, system_random
    from ..config.limits import mime_limits
    from ..server.engine import open_engine
    from ..server.logs import adopt_logs
    from ..store.fold import fold_address
    from ..sync.local import Opened, open_local
    from .installation import check_owner, load_config

    config, data = load_config(place_of())
    check_owner(data)
    clock = SystemClock()
    adopt_logs(config.log.level, config.log.format, clock)

    def engine() -> Opened:
        made = open_engine(config, data, clock, system_random)
        return Opened(made, mime_limits(config.limits), config.limits.message)

    return open_local(data, address, engine), f"store:{fold_address(address)}", data / "dedupe"


async def _look(address: str, asked: Asked, as_json: bool) -> Exit:
    from ..clock import SystemClock, system_random
    from ..sync.dedupe.apply import apply, find_trash
    from ..sync.dedupe.journal import Journal, hold
    from ..sync.dedupe.survey import look

    side, name, folder = _opened(address)
    try:
        await side.open()
        trash = find_trash(await side.places(), asked.trash)
        table, plan = await look(side, asked.rules, asked.mailboxes, trash, _progress)
        rows = [] if as_json else await _rows(side, table, plan)
        moved: int | None = None
        left: tuple[Left, ...] = ()
        if asked.apply:
            with hold(folder, name):
                if plan.groups:
                    journal = Journal.begin(folder, name, SystemClock().now(), system_random)
                    try:
                        outcome = await apply(side, table, plan, journal, trash, _progress)
                    finally:
                        journal.close()
                    moved = outcome.moved
                    left = tuple(Left(_named(table, at), reason) for at, reason in outcome.left)
                else:
                    moved = 0
    finally:
        await side.close()
    _tell(table, plan, rows, moved, left, as_json)
    return Exit.FINDINGS if left else Exit.OK


async def _undo(address: str, as_json: bool) -> Exit:
    from ..sync.dedupe.journal import Journal, hold
    from ..sync.dedupe.undo import undo

    side, name, folder = _opened(address)
    try:
        await side.open()
        with hold(folder, name):
            journal = Journal.newest(folder, name)
            if journal is None:
                raise NotSo("There is nothing to be put back.", "Only what 'restante dedupe --apply' moved can be.")
            try:
                done = await undo(side, journal)
            finally:
                journal.close()
    finally:
        await side.close()
    if as_json:
        emit_json(Returned(done.back, tuple(map(_was, done.missing)), tuple(map(_was, done.unflagged))))
    else:
        click.echo(f"Put back {count(done.back, 'message')}.")
        for title, messages in (
            ("no longer in the trash", done.missing),
            ("kept the flags it was given, since it is not where it was", done.unflagged),
        ):
            for message in messages[:MOST_SHOWN]:
                click.echo(f"{title}: {cell(f'{message.box} {message.uid}')}", err=True)
            if len(messages) > MOST_SHOWN:
                click.echo(f"... and {len(messages) - MOST_SHOWN} more; --json lists all.", err=True)
    return Exit.FINDINGS if done.missing or done.unflagged else Exit.OK


def _look_at_file(file: Path, asked: Asked, as_json: bool) -> Exit:
    from ..exchange.detect import open_source
    from ..sync.dedupe.decide import candidates, decide
    from ..sync.dedupe.files import survey_files
    from .installation import load_config

    config, _ = load_config(place_of())
    source = open_source(file, config.limits.message)
    try:
        table, skipped = survey_files(source, asked.mailboxes)
    finally:
        source.close()
    plan = decide(table, candidates(table, asked.rules), asked.rules)
    rows = [
        Row(
            group.kind.value,
            table.where[group.keep],
            _list([table.where[at] for at in group.move]),
            instant(table.received[group.keep]),
            None,
        )
        for group in plan.groups[:MOST_SHOWN]
    ]
    _tell(table, plan, rows, None, (), as_json)
    for each in skipped:
        click.echo(f"skipped {cell(each.where)}: {cell(each.reason)}", err=True)
    return Exit.FINDINGS if any(each.lost for each in skipped) else Exit.OK


def _tell(
    table: Table, plan: Plan, rows: Sequence[Row], moved: int | None, left: tuple[Left, ...], as_json: bool
) -> None:
    if as_json:
        groups = tuple(
            Same(
                group.kind.value,
                _named(table, group.keep),
                tuple(sorted(group.add)),
                tuple(_named(table, at) for at in group.filed),
                tuple(_named(table, at) for at in group.move),
            )
            for group in plan.groups
        )
        differ = tuple(tuple(_named(table, at) for at in one.messages) for one in plan.differ)
        emit_json(Told(len(table), plan.moves, plan.octets, moved, left, groups, differ))
        return
    emit(rows, False)
    if len(plan.groups) > len(rows):
        click.echo(f"... and {len(plan.groups) - len(rows)} more; --json lists all.", err=True)
    for one in plan.differ[:MOST_SHOWN]:
        click.echo(f"same Message-ID, other contents: {_list([_where(table, at) for at in one.messages])}")
    if len(plan.differ) > MOST_SHOWN:
        click.echo(f"... and {len(plan.differ) - MOST_SHOWN} more; --json lists all.", err=True)
    for each in left[:MOST_SHOWN]:
        click.echo(f"left {cell(f'{each.message.mailbox} {each.message.uid}')}: {cell(each.reason)}", err=True)
    looked = count(len(table), "message")
    if not plan.moves:
        click.echo(f"Looked at {looked}: each is there once.")
    elif moved is not None:
        click.echo(f"Moved {count(moved, 'message')} to the trash; --undo puts all back.")
    elif table.where:
        click.echo(f"Looked at {looked}: {count(plan.moves, 'message')} ({human_size(plan.octets)}) too many.")
    else:
        size = human_size(plan.octets)
        click.echo(f"Looked at {looked}: {plan.moves} ({size}) would move to the trash. --apply does it.")


def _named(table: Table, at: int) -> Named:
    size = table.size[at]
    return Named(
        table.boxes[table.box[at]].name,
        table.uid[at],
        instant(table.received[at]),
        size if size >= 0 else None,
        tuple(sorted(table.flags[at])),
        table.where[at] if table.where else None,
    )


def _was(message: Moved) -> Named:
    size = message.size if message.size >= 0 else None
    return Named(message.box, message.uid, instant(message.received), size, message.flags)


def _where(table: Table, at: int) -> str:
    return table.where[at] if table.where else f"{table.boxes[table.box[at]].name} {table.uid[at]}"


def _list(places: Sequence[str]) -> str:
    more = f", ... {len(places) - MOST_NAMED} more" if len(places) > MOST_NAMED else ""
    return cell(", ".join(places[:MOST_NAMED])) + more


async def _rows(side: Side, table: Table, plan: Plan) -> list[Row]:
    """The first groups with their subjects, read before anything moves."""
    shown = plan.groups[:MOST_SHOWN]
    subjects = await _subjects(side, table, [group.keep for group in shown])
    return [
        Row(
            group.kind.value,
            _where(table, group.keep),
            _list([_where(table, at) for at in group.move]),
            instant(table.received[group.keep]),
            subjects.get(group.keep),
        )
        for group in shown
    ]


async def _subjects(side: Side, table: Table, messages: Sequence[int]) -> dict[int, str]:
    from ..mime.decode import decode_header
    from ..mime.headers import first, index_fields, split_fields
    from ..sync.side import Headers

    found: dict[int, str] = {}
    if not isinstance(side, Headers):
        return found
    by_box: dict[int, dict[int, int]] = {}
    for at in messages:
        by_box.setdefault(table.box[at], {})[table.uid[at]] = at
    for box, by_uid in by_box.items():
        for uid, header in await side.headers(table.boxes[box].name, sorted(by_uid)):
            fields = index_fields(split_fields(header, 1_000))
            found[by_uid[uid]] = decode_header(first(fields, b"subject") or b"")
    return found


def _progress(done: int, total: int) -> None:
    """A line that writes over itself, on a terminal alone."""
    if sys.stderr.isatty() and total:
        click.echo(f"\r{done} of {total} messages", nl=done >= total, err=True)
