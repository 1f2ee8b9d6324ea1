"""`restante dedupe`: what is there more than once, told, moved to the trash, and put back."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..errors import Refusal
from .common import NotHere, cell, place_of, run, with_json, with_place
from .dedupe_tell import Left, named, rows_of, rows_of_files, tell, tell_undone
from .login import login_of, with_login
from .statuses import Exit

if TYPE_CHECKING:
    from ..sync.dedupe.decide import Rules
    from ..sync.ends import End
    from ..sync.side import Side


@dataclass(frozen=True, slots=True)
class Mail:
    """What is looked at, but for files: an end, and where its journals lie. name: what it is called in these. kept:
    what the side keeps for itself (numbers of a Maildir's messages). token: file for an access token, if it has one."""

    end: End
    name: str
    journals: Path
    kept: Path
    token: Path | None = None


class NotSo(Refusal):
    """Options that do not go together with what is looked at."""

    code = "NOT-SO"


@dataclass(frozen=True, slots=True)
class Asked:
    """What was asked for. of: the mail, as a person named it."""

    of: Mail
    mailboxes: tuple[str, ...]
    rules: Rules
    trash: str | None
    apply: bool


@click.command()
@click.option("--account", "address", metavar="NAME@DOMAIN", help="Look through an account of this installation.")
@click.option("--maildir", metavar="DIR", help="Look through a tree of Maildirs.")
@click.option("--imap", metavar="HOST[:PORT]", help="Look through an account on an IMAP server.")
@click.option("--copy", metavar="COPY", help="Look through the account that a copy of 'restante sync' is of.")
@click.option(
    "--mbox",
    "file",
    type=click.Path(path_type=Path),
    help="Look through an mbox file, or any other file or folder that import reads. It is only reported on.",
)
@with_login()
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
def command(ctx: click.Context, /, **options: Any) -> None:
    """Find messages that are there more than once, and show what would be done about it.

    The same are messages that are identical, or differ only in fields that their way here has added. Of each the one
    with the most information stays (docs/dedupe.md has the rules) and gets the flags of all; with --apply the others
    move to the trash. Nothing is deleted, and --undo puts all back. Messages with the same Message-ID and other
    contents are listed and left alone.
    """
    from ..sync.dedupe.decide import Rules
    from ..sync.patterns import canonical

    ways = [key for key in ("address", "maildir", "imap", "copy", "file") if options[key] is not None]
    if len(ways) != 1:
        raise click.UsageError("Say one of --account, --maildir, --imap, --copy and --mbox.")
    if options["imap"] is None and (options["user"] or options["no_tls"] or options["starttls"]):
        raise click.UsageError("--user, --no-tls and --starttls go with --imap.")
    if options["apply"] and options["undo"]:
        raise click.UsageError("Say --apply or --undo.")
    rules = Rules(options["within"], options["copies"], tuple(map(canonical, options["prefer"])))
    mailboxes = tuple(map(canonical, options["mailboxes"]))
    trash = None if options["trash"] is None else canonical(options["trash"])
    if options["file"] is not None:
        if options["apply"] or options["undo"]:
            raise NotSo("Files are only reported on.", "Import them, and clean out the account.")
        status = _look_at_file(options["file"], mailboxes, rules, options["as_json"])
    else:
        mail = _copy(options["copy"]) if options["copy"] is not None else _mail(options)
        if options["undo"]:
            status = run(_undo(mail, options["as_json"]))
        else:
            asked = Asked(mail, mailboxes, rules, trash, options["apply"])
            status = run(_look(asked, options["as_json"]))
    ctx.exit(status)


def _mail(options: dict[str, Any]) -> Mail:
    """An account of the installation, a tree of Maildirs or an IMAP server's account. Raises Refusal."""
    from ..sync.config import expand
    from ..sync.ends import Kind, end_of
    from .installation import check_owner, load_config

    _, data = load_config(place_of())
    check_owner(data)
    if (maildir := options["maildir"]) is not None and not expand(maildir).is_dir():
        raise NotHere(f"{maildir} is no folder.", "Name the outermost folder of the Maildirs.")
    places = {Kind.STORE: options["address"], Kind.MAILDIR: maildir, Kind.IMAP: options["imap"]}
    return _of(end_of("", places, login_of(options, options["imap"] or ""), data), data)


def _copy(name: str) -> Mail:
    """The server's side of a copy. Raises Refusal."""
    from ..sync.ends import End, Kind
    from ..sync.places import CopyPlaces
    from .installation import check_owner
    from .sync import load

    found, data = load((name,))
    check_owner(data)
    table = found.copies[name]
    if not table.imap:
        raise NotSo(f"{name} fetches by POP3, which has no mailboxes.", "Name its copy: --maildir or --account.")
    return _of(End("", Kind.IMAP, table.imap, table), data, CopyPlaces(data, name).token())


def _of(end: End, data: Path, token: Path | None = None) -> Mail:
    from hashlib import sha256

    from ..store.fold import fold_address
    from ..sync.ends import Kind

    name = f"store:{fold_address(end.place)}" if end.kind is Kind.STORE else end.key
    journals = data / "dedupe"
    return Mail(end, name, journals, journals / sha256(name.encode()).hexdigest()[:16], token)


def _side(mail: Mail, *, read_only: bool) -> Side:
    from ..clock import SystemClock
    from ..sync.ends import Maker
    from .installation import configured_store

    return Maker(SystemClock(), mail.kept, configured_store, mail.token).side(mail.end, read_only=read_only)


async def _look(asked: Asked, as_json: bool) -> Exit:
    from ..clock import SystemClock, system_random
    from ..sync.dedupe.apply import apply, find_trash
    from ..sync.dedupe.journal import Journal, hold
    from ..sync.dedupe.survey import look

    mail = asked.of
    side = _side(mail, read_only=not asked.apply)
    try:
        await side.open()
        trash = find_trash(await side.places(), asked.trash)
        table, plan = await look(side, asked.rules, asked.mailboxes, trash, _progress)
        rows = [] if as_json else await rows_of(side, table, plan)
        moved: int | None = None
        left: tuple[Left, ...] = ()
        if asked.apply:
            with hold(mail.journals, mail.name):
                if plan.groups:
                    journal = Journal.begin(mail.journals, mail.name, SystemClock().now(), system_random)
                    try:
                        outcome = await apply(side, table, plan, journal, trash, _progress)
                    finally:
                        journal.close()
                    moved = outcome.moved
                    left = tuple(Left(named(table, at), reason) for at, reason in outcome.left)
                else:
                    moved = 0
    finally:
        await side.close()
    tell(table, plan, rows, moved, left, as_json)
    return Exit.FINDINGS if left else Exit.OK


async def _undo(mail: Mail, as_json: bool) -> Exit:
    from ..sync.dedupe.journal import Journal, hold
    from ..sync.dedupe.undo import undo

    side = _side(mail, read_only=False)
    try:
        await side.open()
        with hold(mail.journals, mail.name):
            journal = Journal.newest(mail.journals, mail.name)
            if journal is None:
                raise NotSo("There is nothing to be put back.", "Only what 'restante dedupe --apply' moved can be.")
            try:
                done = await undo(side, journal)
            finally:
                journal.close()
    finally:
        await side.close()
    tell_undone(done, as_json)
    return Exit.FINDINGS if done.missing or done.unflagged else Exit.OK


def _look_at_file(file: Path, mailboxes: tuple[str, ...], rules: Rules, as_json: bool) -> Exit:
    from ..exchange.detect import open_source
    from ..sync.dedupe.decide import candidates, decide
    from ..sync.dedupe.files import survey_files
    from ..sync.dedupe.survey import check_preferred
    from .installation import load_config

    config, _ = load_config(place_of())
    source = open_source(file, config.limits.message)
    try:
        table, skipped = survey_files(source, mailboxes)
    finally:
        source.close()
    check_preferred(rules, {box.name for box in table.boxes})
    plan = decide(table, candidates(table, rules), rules)
    tell(table, plan, [] if as_json else rows_of_files(table, plan), None, (), as_json)
    for each in skipped:
        click.echo(f"skipped {cell(each.where)}: {cell(each.reason)}", err=True)
    return Exit.FINDINGS if any(each.lost for each in skipped) else Exit.OK


def _progress(done: int, total: int) -> None:
    """A line that writes over itself, on a terminal alone."""
    if sys.stderr.isatty() and total:
        click.echo(f"\r{done} of {total} messages", nl=done >= total, err=True)
