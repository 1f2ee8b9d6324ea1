"""`restante backup list`, `show` and `find`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

from .backup import (
    SNAPSHOT,
    chosen,
    complain_of,
    open_repository,
    tell_disturbed,
    with_location_argument,
    with_location_option,
)
from .common import AddressType, emit, human_size, instant, run, with_json, with_place
from .query import found_by

if TYPE_CHECKING:
    from ..backup.repository import Repository
    from ..query.words import Words


@dataclass(frozen=True, slots=True)
class SnapshotRow:
    snapshot: str
    taken: str | None
    accounts: int
    messages: int
    size: str
    host: str
    left_out: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SealedRow:
    """What of a snapshot is known without the private key. written: octets that its run wrote, for people."""

    snapshot: str
    taken: str | None
    written: str | None


@click.command("list")
@with_location_argument
@with_json
@with_place
def list_(as_json: bool) -> None:
    """List the snapshots, oldest first.

    Of a sealed backup, the writing key alone shows when each was taken and how much its run wrote.
    """
    repository = open_repository(reading=False)
    if not repository.reads:
        _list_sealed(repository, as_json)
        return
    rows = [
        SnapshotRow(
            each.id, instant(each.data.at), each.data.accounts, each.data.messages, human_size(each.data.octets),
            each.data.host, tuple(address for address, _ in each.data.failed),
        )
        for each in repository.snapshots()
    ]  # fmt: skip
    damaged = any(each.name.removeprefix("twin/").startswith("snapshots/") for each in repository.complaints)
    emit(rows, as_json, "No snapshot can be read." if damaged else "There is no snapshot yet.")
    tell_disturbed(repository)
    complain_of(repository)


def _list_sealed(repository: Repository, as_json: bool) -> None:
    from ..backup.repository import snapshot_id
    from ..backup.written import read_written

    lines = read_written(repository).snapshots
    rows = []
    for name in repository.snapshot_names():
        line = lines.get(name)  # none where a run was cut off just then
        taken, size = (instant(line.at), human_size(line.octets)) if line is not None else (None, None)
        rows.append(SealedRow(snapshot_id(name), taken, size))
    emit(rows, as_json, "There is no snapshot yet.")
    click.echo("Listed without the private key, which tells what is in them.", err=True)
    complain_of(repository)


@dataclass(frozen=True, slots=True)
class AccountRow:
    """mailboxes: None where that cannot be read."""

    account: str
    taken: str | None
    mailboxes: int | None
    messages: int
    size: str


@dataclass(frozen=True, slots=True)
class MailboxRow:
    mailbox: str
    role: str | None
    messages: int
    size: str
    uidvalidity: int
    uidnext: int
    mailbox_id: str


@click.command()
@click.argument("snapshot", default="latest")
@with_location_option
@click.option(
    "--account", "address", type=AddressType(), metavar="NAME@DOMAIN", help="Show the mailboxes of this account."
)
@with_json
@with_place
def show(snapshot: str, address: str | None, as_json: bool) -> None:
    """Show the accounts in SNAPSHOT: its id, "latest", or a date or time, which means the newest of then or before."""
    from ..backup.choose import line_of
    from ..backup.errors import Corrupt
    from ..backup.objects import AccountData
    from ..backup.run import lines_of

    repository = open_repository()
    meant = chosen(repository, snapshot)
    if address is not None:
        root = repository.read(line_of(repository, meant, address).root, AccountData)
        emit(
            [
                MailboxRow(b.name, b.role, b.messages, human_size(b.octets), b.uidvalidity, b.uidnext, b.id)
                for b in root.mailboxes
            ],
            as_json,
        )
    else:
        rows = []
        for line in sorted(lines_of(repository, meant).values(), key=lambda line: line.address):
            try:
                mailboxes = len(repository.read(line.root, AccountData).mailboxes)
            except Corrupt as error:  # of one account, which is no reason to hide the others
                repository.complaints.append(error)
                mailboxes = None
            rows.append(AccountRow(line.address, instant(line.at), mailboxes, line.messages, human_size(line.octets)))
        emit(rows, as_json, "There is no account in it.")
    complain_of(repository)


@dataclass(frozen=True, slots=True)
class FoundRow:
    account: str
    mailbox: str
    received: str | None
    sender: str
    subject: str
    size: int
    email_id: str
    first_snapshot: str
    last_snapshot: str
    snapshots: int


UNREADABLE = "(damaged in the backup)"
"""The subject of a message whose octets cannot be read."""


@click.command("find")
@click.argument("query", nargs=-1, required=True)
@with_location_option
@click.option(
    "--account", "addresses", type=AddressType(), multiple=True, metavar="NAME@DOMAIN", help="In this account alone."
)
@click.option("--snapshot", "snapshot", metavar="SNAPSHOT", help=f"In this snapshot alone. {SNAPSHOT}")
@click.option("--limit", default=100, show_default=True, metavar="N", help="List so many, newest first; 0: all.")
@with_json
@with_place
def find_(query: tuple[str, ...], addresses: tuple[str, ...], snapshot: str | None, limit: int, as_json: bool) -> None:
    """List messages of all snapshots, also those that were removed since: the QUERY's words must all be there.

    \b
    word, "two words"                  in sender, recipients, subject or
                                       message-id
    from: to: subject:                 in that field
    header:Message-ID=TEXT             in the message-id
    before: on: since:                 received then, by day: since:2026-01-31
    larger: smaller: mailbox:          500k, 10M; in this mailbox
    NOT, OR                            as in `restante search`
    """
    from ..backup.errors import Corrupt
    from ..backup.find import Found, find
    from ..sync.patterns import canonical

    repository = open_repository()
    snapshots = repository.snapshots() if snapshot is None else []
    snapshots = snapshots or [chosen(repository, snapshot or "latest")]  # which says why there is none

    async def search(words: Words) -> list[Found]:
        return find(repository, snapshots, words.query, addresses, tuple(map(canonical, words.mailboxes)))

    found = run(found_by(query, "backup find", search))
    shown = found[:limit] if limit > 0 else found

    def row(hit: Found) -> FoundRow:
        try:
            sender, subject = _texts(repository.message(hit.digest))
        except Corrupt as error:  # it was there, which is worth knowing; and so were the others
            repository.complaints.append(error)
            sender, subject = "", UNREADABLE
        return FoundRow(
            hit.address, hit.mailbox, instant(hit.received), sender, subject, hit.size, hit.email_id,
            hit.snapshots[0], hit.snapshots[-1], len(hit.snapshots),
        )  # fmt: skip

    emit([row(hit) for hit in shown], as_json, "Nothing found.")
    if len(shown) < len(found):
        click.echo(f"{len(found) - len(shown)} more; --limit 0 lists all.", err=True)
    complain_of(repository)


def _texts(data: bytes) -> tuple[str, str]:
    """Sender and subject of a message."""
    from ..mime.decode import decode_header
    from ..mime.headers import first, index_fields, split_fields

    fields = index_fields(split_fields(data[: 1 << 16], 1_000))
    return decode_header(first(fields, b"from") or b""), decode_header(first(fields, b"subject") or b"")
