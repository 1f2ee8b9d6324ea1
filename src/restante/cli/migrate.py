"""`restante migrate`: an account from one server to another, or from files, with a proof that all of it arrived."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from ..errors import Refusal
from .common import LazyGroup, Subcommand, cell, count, emit_json, human_size, place_of, run, with_json, with_place
from .login import login_of, tls_of, together, with_login, with_tls
from .statuses import Exit

if TYPE_CHECKING:
    from ..sync.ends import End, Maker
    from ..sync.migrate.model import Report, Wishes
    from ..sync.migrate.run import Uidls
    from ..sync.migrate.verify import Verification
    from ..sync.side import Side

F = TypeVar("F", bound=Callable[..., object])
MOST_TOLD = 20
PROOF = ".proof.jsonl"


def with_end(prefix: str, *, files: bool) -> Callable[[F], F]:
    """Options that name one end and how to get in; they reach the command as `PREFIX_imap` and so on."""
    which = "come from" if prefix == "from" else "go to"
    options = [
        click.option(f"--{prefix}-imap", metavar="HOST[:PORT]", help=f"IMAP server to {which}."),
        click.option(f"--{prefix}-maildir", metavar="DIR", help=f"Maildir (Maildir++) to {which}."),
        click.option(f"--{prefix}-store", metavar="NAME@DOMAIN", help=f"Account of this installation to {which}."),
    ]
    if files:
        options.append(
            click.option(
                f"--{prefix}-mbox",
                metavar="PATH",
                help="mbox file to come from, or a folder of them.",
            )
        )
    options += [
        click.option(
            f"--{prefix}-layout",
            type=click.Choice(["auto", "maildir++", "plain"]),
            default="auto",
            show_default=True,
            help="How the Maildir is laid out: A/B is .A.B, or A/B. A new one is Maildir++.",
        ),
        with_login(prefix),
    ]

    return together(*options)


@click.group(
    "migrate",
    cls=LazyGroup,
    commands=(Subcommand("verify", ".migrate:verify_command", "Look again whether all is there."),),
    package=__package__,
    invoke_without_command=True,
)
@with_end("from", files=True)
@with_end("to", files=False)
@click.option("--only", multiple=True, metavar="NAME", help='This mailbox alone ("*" for anything, "?").')
@click.option("--exclude", multiple=True, metavar="NAME", help="Not this mailbox.")
@click.option(
    "--map", "maps", multiple=True, metavar="OLD=NEW", help="Another name at the target, for what is below too."
)
@click.option(
    "--all-mail",
    type=click.Choice(["skip", "rest", "copy"]),
    default="skip",
    show_default=True,
    help="A mailbox that shows all mail (Gmail's): leave it out, copy what is in no other mailbox, or copy it whole.",
)
@click.option("--again", is_flag=True, help="Copy once more what an earlier run copied and the target has no more.")
@click.option(
    "--proof",
    "depth",
    type=click.Choice(["full", "quick", "none"]),
    default="full",
    show_default=True,
    help="Read every message back, or its size and header fields alone, or make no proof.",
)
@click.option("--proof-file", type=click.Path(path_type=Path), metavar="FILE", help="Where the proof goes.")
@click.option("--state", type=click.Path(path_type=Path), metavar="FILE", help="Where it is noted what was copied.")
@click.option("--pop3", metavar="HOST[:PORT]", help="Carry the UIDLs of the old server's POP3 over (login as IMAP's).")
@with_tls("pop3")
@click.option("--dry-run", is_flag=True, help="Look at both sides, change nothing, say what would be done.")
@with_json
@with_place
@click.pass_context
def command(ctx: click.Context, /, **options: Any) -> None:
    """Copy an account: mailboxes, special uses, flags, keywords, dates, subscriptions.

    Run it again at any time: it goes on where it stopped and brings only what is new. At the end every message is
    looked for on both sides, and the proof names each. The exit status is 4 if a message is missing or differs.
    """
    if ctx.invoked_subcommand is None:
        _migrate(ctx, options)


def _migrate(ctx: click.Context, options: dict[str, Any]) -> None:
    from ..sync.migrate.model import AllMail, Depth, Wishes
    from ..sync.migrate.names import parse_map

    source, target = _end("from", options), _end("to", options)
    wishes = Wishes(
        options["only"],
        options["exclude"],
        tuple(parse_map(text) for text in options["maps"]),
        AllMail(options["all_mail"]),
        options["again"],
        options["dry_run"],
        Depth(options["depth"]),
    )
    report = run(_work(source, target, wishes, options))
    if options["as_json"]:
        emit_json(report)
    else:
        _tell(report)
    if report.aside or (report.counts is not None and report.counts.damaged):
        ctx.exit(Exit.FINDINGS)


def _end(prefix: str, options: dict[str, Any]) -> End:
    from ..sync.ends import Kind, end_of
    from .installation import load_config

    login = login_of(options, options[f"{prefix}_imap"] or "", prefix)
    places = {kind: options.get(f"{prefix}_{kind.value}") for kind in Kind}
    if f"{prefix}_mbox" not in options:
        del places[Kind.MBOX]
    data = load_config(place_of())[1] if places[Kind.STORE] else Path()
    return end_of(prefix, places, login, data, options[f"{prefix}_layout"])


async def _work(source: End, target: End, wishes: Wishes, options: dict[str, Any]) -> Report:
    from ..clock import SystemClock, system_random
    from ..sync.ends import Maker
    from ..sync.migrate.ends import keep_uidls, scratch_of, state_folder, state_name
    from ..sync.migrate.ledger.book import Book
    from ..sync.migrate.run import Migration, persist
    from .installation import configured_store
    from .progress import Stretches

    clock = SystemClock()
    if source.key == target.key:
        raise Refusal("Both ends are the same.", "Name the new home with --to-...")
    state = options["state"] or state_folder(os.environ) / f"{state_name(source, target)}.db"
    proof = options["proof_file"] or state.with_suffix(PROOF)
    maker = Maker(clock, scratch_of(state), configured_store)
    uidls = _uidls(options, source, target, maker)
    keep = keep_uidls(target, clock, system_random) if uidls is not None else None
    book = Book(state, source.key, target.key, keep=not wishes.dry_run)
    earlier: list[Report] = []

    async def attempt() -> Report:
        async with _open(maker, source, read_only=True) as one, _open(maker, target, read_only=wishes.dry_run) as two:
            titles = (source.title, target.title)
            move = Migration(one, two, book, wishes, clock, meter, proof, uidls, keep, titles)
            earlier.append(move.report)
            return await move.run()

    try:
        with Stretches(clock) as meter:
            report = await persist(attempt, book.pairs, asyncio.sleep, _say)
    finally:
        book.close()
    for before in earlier[:-1]:
        report.after(before)
    return report


@asynccontextmanager
async def _open(maker: Maker, end: End, *, read_only: bool) -> AsyncIterator[Side]:
    """The end's side, open; closed whatever happens."""
    side = maker.side(end, read_only=read_only)
    try:
        await side.open()
        yield side
    finally:
        await side.close()


def _uidls(options: dict[str, Any], source: End, target: End, maker: Maker) -> Uidls | None:
    """Who asks the old server's POP3. Raises Refusal where UIDLs cannot be carried."""
    if options["pop3"] is None:
        return None
    from ..sync.ends import Kind
    from ..sync.migrate.pop3 import NoUidls, asker, connector

    if source.kind is not Kind.IMAP:
        raise NoUidls("UIDLs are asked of the server that the mail comes from.", "Say --pop3 with --from-imap.")
    if target.kind is Kind.IMAP:
        raise NoUidls(
            "UIDLs cannot be carried over to an IMAP server: IMAP has no way to say one.",
            "Where the new server is Restante, run this on its machine with --to-store.",
        )
    return asker(connector(options["pop3"], tls_of(options, "pop3"), source.login, maker.secret(source.login)), _say)


def _say(text: str) -> None:
    click.echo(cell(text), err=True)


def _tell(report: Report) -> None:
    copied = sum(each.copied for each in report.mailboxes)
    there = sum(each.known + each.present for each in report.mailboxes)
    octets = sum(each.octets for each in report.mailboxes)
    did = "Would copy" if report.dry_run else "Copied"
    size = "" if report.dry_run else f" ({human_size(octets)})"
    click.echo(
        f"{did} {count(copied, 'message')}{size} of {count(len(report.mailboxes), 'mailbox')}; {there} were there."
    )
    if report.dry_run:
        for each in report.mailboxes:
            click.echo(cell(f"{each.source} -> {each.target}: {count(each.copied, 'message')}"))
    for left in report.left_out:
        click.echo(cell(f"left out {left.mailbox}: {left.reason}"), err=True)
    for note in report.notes:
        click.echo(cell(note), err=True)
    _list(
        [
            f"not copied {aside.mailbox}{f' UID {aside.uid}' if aside.uid else ''}: {aside.reason}"
            for aside in report.aside
        ]
    )
    _tell_proof(report)


def _tell_proof(report: Report) -> None:
    counts = report.counts
    if counts is None or report.proof is None:
        return
    if not counts.damaged:
        click.echo(f"All {count(counts.messages - counts.new, 'message')} are at the target. Proof: {report.proof}")
        return
    parts = [
        f"{number} {what}"
        for number, what in (
            (counts.missing, "missing"),
            (counts.content, "differ"),
            (counts.date, "have another date"),
            (counts.unlisted, "mailboxes could not be listed"),
        )
        if number
    ]
    click.echo(f"Of {count(counts.messages, 'message')}: {', '.join(parts)}. Proof: {report.proof}")
    from ..sync.migrate.proof import damaged

    _list(
        f"{', '.join(line.wrong)} {line.mailbox} UID {line.uid}" + (f": {line.reason}" if line.reason else "")
        for line in damaged(Path(report.proof))
    )


def _list(lines: Iterable[str]) -> None:
    """The first of many lines, to stderr."""
    told = 0
    for told, line in enumerate(lines, 1):
        if told <= MOST_TOLD:
            click.echo(cell(line), err=True)
    if told > MOST_TOLD:
        click.echo(f"... and {told - MOST_TOLD} more; the proof and --json have all.", err=True)


@click.command("verify")
@click.argument("proof", type=click.Path(path_type=Path))
@with_end("to", files=False)
@with_end("from", files=True)
@click.option("--state", type=click.Path(path_type=Path), metavar="FILE", help="The migration's, if another was named.")
@with_json
@with_place
@click.pass_context
def verify_command(ctx: click.Context, /, proof: Path, **options: Any) -> None:
    """Look whether a side still holds what PROOF says: the new home (--to-...), the old one (--from-...), or both.

    Every message is read again. What is missing, or differs, is named and gives exit status 4; what was moved, flagged
    or numbered anew since is told and is no damage.
    """
    ends = [(prefix, _end(prefix, options)) for prefix in ("to", "from") if _named(prefix, options)]
    if not ends:
        raise Refusal("No end was named.", "Say --to-imap, --to-store ..., as for the migration.")
    kept = _kept(proof, options["state"])
    found = {prefix: run(_verify(proof, prefix, end, kept)) for prefix, end in ends}
    if options["as_json"]:
        emit_json(found)
    else:
        for prefix, end in ends:
            _tell_found(end, found[prefix])
    if any(each.damaged for each in found.values()):
        ctx.exit(Exit.FINDINGS)


def _named(prefix: str, options: dict[str, Any]) -> bool:
    return any(options.get(f"{prefix}_{kind}") for kind in ("imap", "maildir", "store", "mbox"))


def _kept(proof: Path, state: Path | None) -> Path | None:
    """The folder in which the migration kept the numbers of a Maildir's messages, if it is there."""
    from ..sync.migrate.ends import scratch_of

    if state is None and proof.name.endswith(PROOF):
        state = proof.with_name(proof.name.removesuffix(PROOF) + ".db")
    folder = scratch_of(state) if state is not None else None
    return folder if folder is not None and folder.is_dir() else None


async def _verify(proof: Path, prefix: str, end: End, kept: Path | None) -> Verification:
    from ..clock import SystemClock
    from ..sync.ends import Maker
    from ..sync.migrate.ends import scratch
    from ..sync.migrate.verify import Of, verify
    from .installation import configured_store
    from .progress import Stretches

    clock = SystemClock()
    with scratch() as folder, Stretches(clock) as meter:
        async with _open(Maker(clock, kept or folder, configured_store), end, read_only=True) as side:
            return await verify(proof, side, Of.TARGET if prefix == "to" else Of.SOURCE, meter)


def _tell_found(end: End, found: Verification) -> None:
    from ..sync.migrate.verify import DAMAGE, Kind

    click.echo(f"{end.title}: {found.same} of {count(found.messages, 'message')} as the proof says.")
    if found.unlisted:
        click.echo(f"{count(found.unlisted, 'mailbox')} could not be listed when the proof was made.")
    for kind in Kind:
        if number := found.count(kind):
            click.echo(f"{kind.value}: {number}")
    order = sorted(found.findings, key=lambda each: each.kind not in DAMAGE)
    _list(
        f"{each.kind.value} {each.mailbox} UID {each.uid or '-'} (source UID {each.source_uid})"
        + (f": was {each.was or '-'}, is {each.now or '-'}" if each.was or each.now else "")
        for each in order
    )
