"""What `restante dedupe` says: rows for people, JSON for programs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

from .common import cell, count, emit, emit_json, human_size, instant

if TYPE_CHECKING:
    from ..sync.dedupe.decide import Group, Plan
    from ..sync.dedupe.journal import Moved
    from ..sync.dedupe.table import Table
    from ..sync.dedupe.undo import Undone
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


def tell(
    table: Table, plan: Plan, rows: Sequence[Row], moved: int | None, left: tuple[Left, ...], as_json: bool
) -> None:
    """What there is, and what was done about it. rows: for people. moved: how many; None where nothing was to be done.
    left: what was to move and did not."""
    if as_json:
        groups = tuple(
            Same(
                group.kind.value,
                named(table, group.keep),
                tuple(sorted(group.add)),
                tuple(named(table, at) for at in group.filed),
                tuple(named(table, at) for at in group.move),
            )
            for group in plan.groups
        )
        differ = tuple(tuple(named(table, at) for at in one.messages) for one in plan.differ)
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


def tell_undone(done: Undone, as_json: bool) -> None:
    """What was put back."""
    if as_json:
        emit_json(Returned(done.back, tuple(map(_was, done.missing)), tuple(map(_was, done.unflagged))))
        return
    click.echo(f"Put back {count(done.back, 'message')}.")
    for title, messages in (
        ("no longer in the trash", done.missing),
        ("kept the flags it was given, since it is not where it was", done.unflagged),
    ):
        for message in messages[:MOST_SHOWN]:
            click.echo(f"{title}: {cell(f'{message.box} {message.uid}')}", err=True)
        if len(messages) > MOST_SHOWN:
            click.echo(f"... and {len(messages) - MOST_SHOWN} more; --json lists all.", err=True)


def named(table: Table, at: int) -> Named:
    """The message at this place of the table."""
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


def rows_of_files(table: Table, plan: Plan) -> list[Row]:
    """The first groups of what is only reported on."""
    return [_row(table, group, None) for group in plan.groups[:MOST_SHOWN]]


async def rows_of(side: Side, table: Table, plan: Plan) -> list[Row]:
    """The first groups with their subjects, read before anything moves."""
    shown = plan.groups[:MOST_SHOWN]
    subjects = await _subjects(side, table, [group.keep for group in shown])
    return [_row(table, group, subjects.get(group.keep)) for group in shown]


def _row(table: Table, group: Group, subject: str | None) -> Row:
    moved = _list([_where(table, at) for at in group.move])
    return Row(group.kind.value, _where(table, group.keep), moved, instant(table.received[group.keep]), subject)


async def _subjects(side: Side, table: Table, messages: Sequence[int]) -> dict[int, str]:
    from ..mime.decode import decode_header
    from ..mime.headers import first, index_fields, split_fields
    from ..sync.side import headers_of

    found: dict[int, str] = {}
    reads = headers_of(side)
    if reads is None:
        return found
    by_box: dict[int, dict[int, int]] = {}
    for at in messages:
        by_box.setdefault(table.box[at], {})[table.uid[at]] = at
    for box, by_uid in by_box.items():
        for uid, header in await reads.headers(table.boxes[box].name, sorted(by_uid)):
            fields = index_fields(split_fields(header, 1_000))
            found[by_uid[uid]] = decode_header(first(fields, b"subject") or b"")
    return found
