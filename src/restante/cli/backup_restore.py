"""`restante backup restore`."""

from __future__ import annotations

import gc
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..errors import Refusal
from .backup import RUN, SNAPSHOT, chosen, complain_of, open_repository, with_location_argument
from .backup_imap import with_copies
from .common import AddressType, count, emit_json, human_size, place_of, run, with_json, with_place
from .login import with_login
from .statuses import Exit

if TYPE_CHECKING:
    from ..backup.repository import Repository, Snapshot
    from ..backup.restore import Choice, Dropped, Lost
    from ..config.model import Config

MOST_TOLD = 20
GARBAGE = 100_000
"""Objects made, and not freed by counting references, after which garbage is looked for. A restore's rows are many and
none: looking through them for it was a fifth of its work."""


@dataclass(frozen=True, slots=True)
class Result:
    """What came back, as JSON. octets: of messages. present, moved: messages left alone. dropped: rights of persons
    who have no account here, which do not come back."""

    snapshot: str
    accounts: int = 0
    messages: int = 0
    octets: int = 0
    present: int = 0
    moved: int = 0
    flagged: int = 0
    mailboxes: tuple[tuple[str, int], ...] = ()
    lost: tuple[Lost, ...] = ()
    dropped: tuple[Dropped, ...] = ()


@click.command()
@with_location_argument
@click.option("--all", "everything", is_flag=True, help="Everything, onto an empty data folder (--data DIR).")
@click.option("--account", "address", type=AddressType(), metavar="NAME@DOMAIN", help="This account.")
@click.option("--mailbox", metavar="NAME", help="Only this mailbox of it.")
@click.option("--message", "messages", multiple=True, metavar="EMAILID", help="Only this message (see find).")
@click.option("--snapshot", default="latest", show_default=True, metavar="SNAPSHOT", help=SNAPSHOT)
@click.option("--beside", is_flag=True, help="Into mailboxes below Restored/DATE, whatever is there.")
@click.option("--out", type=click.Path(path_type=Path), metavar="DIR", help="Into files in this folder.")
@click.option(
    "--format",
    "form",
    type=click.Choice(["maildir", "mbox"]),
    default="maildir",
    show_default=True,
    help="Of those files.",
)
@click.option(
    "--into",
    type=AddressType(),
    metavar="NAME@DOMAIN",
    help="Into this account of the installation, instead of the one it is of.",
)
@click.option("--imap", metavar="NAME", help="To the IMAP account of this copy; with --user: HOST[:PORT].")
@with_copies
@with_login()
@click.option(
    "--flags",
    "set_flags",
    is_flag=True,
    help="Set flags of messages that are there back to what they were, \\Deleted left out.",
)
@click.option("--dry-run", is_flag=True, help="Say what would come back, and do nothing.")
@with_json
@with_place
@click.pass_context
def restore(
    ctx: click.Context,
    /,
    everything: bool,
    address: str | None,
    mailbox: str | None,
    messages: tuple[str, ...],
    snapshot: str,
    beside: bool,
    out: Path | None,
    form: str,
    into: str | None,
    imap: str | None,
    set_flags: bool,
    dry_run: bool,
    as_json: bool,
    **options: Any,
) -> None:
    """Bring mail back: a whole server (--all), an account, a mailbox of it, or single messages.

    Into an account that is there, what is missing comes back under new UIDs, with EMAILID, flags and dates; nothing is
    doubled, and a message that was moved stays where it is. An account that was removed comes back whole, with its
    credentials. One that was added again under its address is another: it gets mail of the former one only where --into
    says so. The exit status is 4 if something of it is damaged in the backup, or is not taken; the rest comes back.

    --imap adds what is missing, by content, to the mailboxes of an account on any server. Flags of what is there stay
    as they are unless --flags is said (which adds those that it had); run twice, it doubles nothing.
    """
    if everything == (address is not None):
        raise click.UsageError("Say --all, or --account NAME@DOMAIN.")
    if everything and (mailbox or messages or beside or out or set_flags or into or imap):
        raise click.UsageError("--all takes everything, onto an empty data folder.")
    if (beside and out) or (set_flags and (beside or out)):
        raise click.UsageError("--beside, --out and --flags: not these together.")
    if (imap is not None) + (out is not None) + (beside or into is not None) > 1:
        raise click.UsageError("--imap, --out, --beside and --into: not these together.")
    repository = open_repository((*RUN, "restante.backup.bring"))
    from ..backup.restore import Choice
    from ..sync.patterns import canonical

    choice = Choice(canonical(mailbox) if mailbox is not None else None, frozenset(messages) or None)
    meant = chosen(repository, snapshot)
    gc.set_threshold(GARBAGE)
    if everything:
        result = run(_all(repository, meant, dry_run))
    elif imap is not None:
        from .backup_restore_imap import to_server

        result = run(
            to_server(repository, meant, address or "", choice, imap, options, set_flags=set_flags, dry_run=dry_run)
        )
    elif out is not None:
        result = run(_out(repository, meant, address or "", choice, out, form, dry_run))
    else:
        result = run(_account(repository, meant, address or "", choice, into, beside, set_flags, dry_run))
    if as_json:
        emit_json(result)
    else:
        _tell(result, dry_run)
    if result.lost:
        ctx.exit(Exit.FINDINGS)


def _tell(result: Result, dry_run: bool) -> None:
    verb = "would come" if dry_run else "came"
    who = f"{count(result.accounts, 'account')}, " if result.accounts else ""
    # What a dry run onto a server would carry is known by number alone.
    size = f" ({human_size(result.octets)})" if result.octets or not result.messages else ""
    click.echo(f"From {result.snapshot} {verb} back: {who}{count(result.messages, 'message')}{size}.")
    for name, number in result.mailboxes:
        click.echo(f"  {name}: {count(number, 'message')}")
    if result.present or result.moved:
        click.echo(f"Left alone: {result.present} that are there, {result.moved} that were moved elsewhere.")
    if result.flagged:
        click.echo(f"Flags set back: {count(result.flagged, 'message')}.")
    for one in result.dropped[:MOST_TOLD]:
        click.echo(
            f"left out: the rights {one.rights} on {one.mailbox} of {one.address}, of {one.person}, who has no account"
            " here.",
            err=True,
        )
    if len(result.dropped) > MOST_TOLD:
        click.echo(f"... and rights of {len(result.dropped) - MOST_TOLD} more; --json lists all.", err=True)
    for each in result.lost[:MOST_TOLD]:
        where = " ".join(part for part in (each.address, each.mailbox, f"UID {each.uid}" if each.uid else "") if part)
        click.echo(f"{f'lost {where}'.rstrip()}: {each.why}", err=True)
    if len(result.lost) > MOST_TOLD:
        click.echo(f"... and {len(result.lost) - MOST_TOLD} more; --json lists all.", err=True)


async def _all(repository: Repository, snapshot: Snapshot, dry_run: bool) -> Result:
    import asyncio

    from ..backup.restore import restore_all, would_restore_all
    from ..clock import SystemClock, system_random
    from ..config.limits import mime_limits
    from ..config.paths import make_data
    from ..server.engine import open_engine
    from .installation import check_owner, load_config
    from .progress import Meter

    config, data = load_config(place_of())
    check_owner(data)
    if dry_run:
        done = await asyncio.to_thread(would_restore_all, repository, snapshot, data)
        complain_of(repository)
        _tell_elsewhere(done.elsewhere)
        return Result(snapshot.id, done.accounts, done.messages, done.octets, lost=tuple(done.lost))
    make_data(data)
    if place_of().config is None:
        config = await asyncio.to_thread(_former_config, repository, snapshot)
    engine = open_engine(config, data, SystemClock(), system_random)
    try:
        with Meter("Restoring", snapshot.data.octets) as meter:
            done = await restore_all(
                engine, repository, snapshot, data, mime_limits(config.limits), meter, partial(_write_files, data)
            )
    except BrokenPipeError:
        raise  # of what is said
    except OSError as error:
        raise Refusal(
            f"The data folder {data} cannot be written ({error.strerror}).",
            "See to it, and run it again: it goes on where it was.",
        ) from error
    finally:
        await engine.close()
    complain_of(repository)
    if "restante.toml" in done.files:
        click.echo(f"The configuration is in {data / 'restante.toml'}.", err=True)
    _tell_elsewhere(done.elsewhere)
    if done.earlier:
        click.echo(
            f"{count(done.earlier, 'account')} had come back before it was cut off: their messages are not counted"
            " again.",
            err=True,
        )
    return Result(
        snapshot.id, done.accounts, done.messages, done.octets, lost=tuple(done.lost), dropped=tuple(done.dropped)
    )


def _tell_elsewhere(addresses: Sequence[str]) -> None:
    for address in addresses:
        click.echo(
            f"{address}, an account of an IMAP server, stays in the backup: restore it with --account.", err=True
        )


def _former_config(repository: Repository, snapshot: Snapshot) -> Config:
    """The configuration that the snapshot has, as far as it says how mail is kept; else the defaults."""
    from ..backup.errors import Corrupt
    from ..backup.objects import Kind
    from ..config.load import ConfigError, parse
    from ..config.model import Config

    for file in snapshot.data.files:
        if file.name == "restante.toml":
            try:
                return parse(repository.get(file.id, Kind.FILE).decode("utf-8", "replace"))
            except (Corrupt, ConfigError) as error:
                click.echo(f"restante: the configuration in the backup is not used: {error.text}", err=True)
    return Config()


def _write_files(data: Path, files: Mapping[str, bytes]) -> None:
    """Put the installation's files into the data folder, each for this user alone."""
    for name in ("restante.toml", "tls/certificate.pem", "tls/key.pem"):
        if name in files:
            path = data / name
            path.parent.mkdir(mode=0o700, exist_ok=True)
            number = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
            with os.fdopen(number, "wb") as stream:
                stream.write(files[name])
                stream.flush()
                os.fsync(stream.fileno())


async def _out(
    repository: Repository, snapshot: Snapshot, address: str, choice: Choice, out: Path, form: str, dry_run: bool
) -> Result:
    import asyncio

    from ..backup.analysing import analysing
    from ..backup.bring import bring_out, would_bring_out
    from ..backup.choose import line_of
    from ..clock import SystemClock, system_random
    from ..config.limits import mime_limits
    from ..exchange.export import Form, check_dest
    from ..server.engine import open_engine
    from .installation import load_config

    line = await asyncio.to_thread(line_of, repository, snapshot, address)
    await asyncio.to_thread(check_dest, out, False, "Name a new folder.")
    if dry_run:
        would = await would_bring_out(repository, line, choice)
        complain_of(repository)
        return Result(
            snapshot.id, 0, would.messages, would.octets, mailboxes=tuple(would.mailboxes), lost=tuple(would.lost)
        )
    config, _ = load_config(place_of())
    with analysing(choice.most(line.messages), mime_limits(config.limits)) as pool:
        exported, lost = await bring_out(
            repository, line, choice, out, Form(form),
            lambda folder: open_engine(config, folder, SystemClock(), system_random), pool, system_random,
        )  # fmt: skip
    complain_of(repository)
    return Result(snapshot.id, 0, exported.messages, exported.octets, lost=tuple(lost))


async def _account(
    repository: Repository,
    snapshot: Snapshot,
    address: str,
    choice: Choice,
    into: str | None,
    beside: bool,
    set_flags: bool,
    dry_run: bool,
) -> Result:
    import asyncio

    from ..backup.analysing import analysing
    from ..backup.bring import Bringing
    from ..backup.choose import line_of
    from ..backup.restore import Restored, admitted, restore_removed
    from ..store.directory import NotFound
    from ..store.errors import StoreRefusal
    from .installation import installation
    from .progress import Meter

    async with installation() as here:
        there = await here.engine.directory.account(into or address)
        if there is None and into is not None:
            raise NotFound(f"There is no account {into}.", f"Make it: restante account add {into}")
        owner = there.id if there is not None and into is None else None
        line = await asyncio.to_thread(line_of, repository, snapshot, address, owner)
        with analysing(choice.most(line.messages), here.limits) as pool, Meter("Restoring", line.octets) as meter:
            if there is None:
                if choice.mailbox or choice.email_ids or beside:
                    raise Refusal(f"The account {address} is not here.", "Restore all of it first, or use --out DIR.")
                if dry_run:
                    await admitted(here.engine, repository, snapshot, line)
                    return Result(snapshot.id, 1, line.messages, line.octets)
                whole = Restored()
                await restore_removed(here.engine, repository, snapshot, line, pool, whole, meter)
                complain_of(repository)
                return Result(
                    snapshot.id, whole.accounts, whole.messages, whole.octets, lost=tuple(whole.lost),
                    dropped=tuple(whole.dropped),
                )  # fmt: skip
            store = here.engine.account(there.id, session="backup restore")

            async def known(person: str) -> bool:
                return await here.engine.directory.account_by_id(person) is not None

            bringing = Bringing(
                repository, line, store, choice, pool, meter, dry_run=dry_run, known=known, expect=meter.expect
            )
            try:
                if beside:
                    from ..backup.look import local

                    day = local(snapshot.data.at).date().isoformat()
                    done = await bringing.beside(day)
                else:
                    done = await bringing.in_place(set_flags=set_flags)
            except StoreRefusal:  # a quota, a full disk
                if bringing.done.messages:
                    click.echo(
                        f"{count(bringing.done.messages, 'message')} came back before this. Run it again afterwards:"
                        " it goes on.",
                        err=True,
                    )
                raise
    complain_of(repository)
    return Result(
        snapshot.id, 0, done.messages, done.octets, done.present, done.moved, done.flagged,
        tuple(done.mailboxes), tuple(done.lost), tuple(done.dropped),
    )  # fmt: skip
