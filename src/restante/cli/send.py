"""`restante send`: a message into the outbox, and out where there is a network; and what is said of those in it."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

from ..errors import Refusal
from .common import count, emit, instant, with_json, with_place
from .statuses import Exit
from .sync import load

if TYPE_CHECKING:
    from pathlib import Path

    from ..sync.config import Copies
    from ..sync.outbox.entry import Entry


class NotKept(Refusal):
    """The message is not on disk: whoever handed it in has it still."""

    code = "NOT-KEPT"
    temporary = True


MOST = 512 << 20
"""Octets of a message taken from stdin."""


@dataclass(frozen=True, slots=True)
class Row:
    """said: what a server answered last."""

    id: str
    copy: str
    state: str
    since: str | None
    recipients: tuple[str, ...]
    subject: str
    said: str


@click.command()
@click.argument("recipients", metavar="[ADDRESS]...", nargs=-1)
@click.option("--from", "sender", metavar="ADDRESS", help="The envelope's sender. Default: the header's.")
@click.option("--copy", metavar="COPY", help="The copy that sends it. Default: the one whose address the sender is.")
@click.option("--later", is_flag=True, help="Keep it only: the next 'restante sync' sends it.")
@click.option("--list", "listing", is_flag=True, help="List what is in the outbox.")
@click.option("--retry", metavar="ID", help="Send this message (again): it did not arrive.")
@click.option("--sent", metavar="ID", help="It did arrive: file it to Sent.")
@click.option("--drop", metavar="ID", help="Forget this message.")
@with_json
@with_place
@click.pass_context
def command(
    ctx: click.Context,
    recipients: tuple[str, ...],
    sender: str | None,
    copy: str | None,
    later: bool,
    listing: bool,
    retry: str | None,
    sent: str | None,
    drop: str | None,
    as_json: bool,
) -> None:
    """Send the message on stdin: to each ADDRESS, or to those of its To, Cc and Bcc where none is named.

    It is on disk before anything else happens. Without a network it waits for the next `restante sync`; --watch sends
    it as soon as there is one. Bcc is taken out; Date, Message-ID and From are added where they are missing. What a
    server refuses comes back into INBOX with the reason, and is told here where it is known at once.
    """
    chosen = [each for each in (retry, sent, drop) if each is not None]
    if len(chosen) + listing > 1:
        raise click.UsageError("--list, --retry, --sent and --drop do not go together.")
    copies, data = load()
    if listing:
        _list(data, as_json)
    elif chosen:
        _decide(copies, data, retry, sent, drop, later)
    else:
        raw = sys.stdin.buffer.read(MOST + 1)
        ctx.exit(keep_and_send(raw, copies, data, recipients, sender=sender, copy=copy, later=later))


def keep_and_send(
    raw: bytes,
    copies: Copies,
    data: Path,
    recipients: tuple[str, ...],
    *,
    from_header: bool | None = None,
    sender: str | None = None,
    copy: str | None = None,
    later: bool = False,
    full_name: str = "",
    quiet: bool = False,
) -> Exit:
    """Keep a message, then try to send it; the exit status. from_header: None: where no recipient is named.

    Raises BadMessage, NoWayOut. Once it is kept, nothing that goes wrong is a failure of this.
    """
    from ..clock import SystemClock, system_random
    from ..sync.outbox.compose import BadMessage
    from ..sync.outbox.hand import hand_in
    from ..sync.outbox.spool import Spool
    from ..sync.places import outbox_folder

    if len(raw) > MOST:
        raise BadMessage(f"The message has more than {MOST} octets.")
    clock = SystemClock()
    spool = Spool(outbox_folder(data), clock, system_random)
    try:
        entry = hand_in(
            raw, copies.copies, spool, clock, system_random,
            recipients=recipients, from_header=not recipients if from_header is None else from_header,
            sender=None if sender is None else sender.strip().removeprefix("<").removesuffix(">"),
            copy=copy, full_name=full_name,
        )  # fmt: skip
    except OSError as error:
        raise NotKept(f"The message cannot be kept in {spool.folder} ({error.strerror}).") from error
    if later or _watched(data, entry.copy):
        if not quiet:
            click.echo(f"Kept as {entry.id}.", err=True)
        return Exit.OK
    return _try(copies, data, entry, quiet)


def _watched(data: Path, copy: str) -> bool:
    """Tell who watches the copy; whether somebody does."""
    from ..config.paths import run_directory
    from ..sync.outbox.wake import socket_path, wake

    return wake(socket_path(run_directory(data), copy))


def _try(copies: Copies, data: Path, entry: Entry, quiet: bool) -> Exit:
    """One try; filing and returning are the next `restante sync`'s, which has the copy open."""
    import asyncio

    from ..clock import SystemClock, system_random
    from ..sync.assemble import sender_of
    from ..sync.outbox.entry import Fate, State
    from ..sync.places import CopyPlaces

    clock = SystemClock()
    sender = sender_of(CopyPlaces(data, entry.copy), copies.copies[entry.copy], clock, system_random)
    problem: Exception | None
    interrupted = False
    try:
        problem = asyncio.run(sender.run(None)).problem
    except KeyboardInterrupt:  # who does not want to wait is not to think that it will not be sent
        problem, interrupted = None, True
    except (Refusal, OSError) as error:  # another process is at it, the spool has a fault, the disk is full
        problem = error
    try:
        after = sender.look(entry.id)
    except (Refusal, OSError) as error:
        # The message is kept all the same: a failure would be told to who hands it in again, and it would go twice.
        problem, after = error, entry
    refused = [each for each in after.recipients if each.fate is Fate.REFUSED] if after is not None else []
    for each in refused:
        click.echo(f"{each.address}: {each.said}", err=True)
    unknown = (State.UNCERTAIN, State.SENDING) if interrupted else (State.UNCERTAIN,)
    if after is not None and after.state in unknown:
        id = entry.id
        text = f"{id}: nobody knows whether it was sent. {after.said}".strip()
        click.echo(f"{text} When you know: restante send --sent {id}, or --retry {id}.", err=True)
    elif after is not None and after.waiting and interrupted:
        text = f"Kept as {entry.id}: it goes with the next run."
        click.echo(f"{text} To forget it: restante send --drop {entry.id}", err=True)
    elif after is not None and after.waiting and not quiet:
        why = f" ({after.said or problem})" if after.said or problem else ""
        click.echo(f"Kept as {entry.id}: {count(len(after.waiting), 'recipient')} waiting{why}", err=True)
    elif not refused and not quiet:
        click.echo("Sent.", err=True)
    # Where some got it, who handed it in must not think that it can be sent again to all: INBOX has who did not.
    return Exit.UNAVAILABLE if after is not None and len(refused) == len(after.recipients) else Exit.OK


def _list(data: Path, as_json: bool) -> None:
    from ..clock import SystemClock, system_random
    from ..sync.outbox.spool import Spool
    from ..sync.places import outbox_folder

    rows = [
        Row(
            each.id,
            each.copy,
            each.state.value,
            instant(each.created),
            tuple(recipient.address for recipient in each.recipients),
            each.subject,
            each.said or next((recipient.said for recipient in each.to_return), ""),
        )
        for each in Spool(outbox_folder(data), SystemClock(), system_random).entries()
    ]
    emit(rows, as_json, "The outbox is empty.")


def _decide(copies: Copies, data: Path, retry: str | None, sent: str | None, drop: str | None, later: bool) -> None:
    from ..clock import SystemClock, system_random
    from ..sync.outbox.entry import Event
    from ..sync.outbox.sender import decide
    from ..sync.outbox.spool import Spool
    from ..sync.places import outbox_folder

    clock = SystemClock()
    spool = Spool(outbox_folder(data), clock, system_random)
    event = Event.RETRY if retry is not None else Event.SENT if sent is not None else Event.DROP
    id = retry or sent or drop or ""
    if event is Event.RETRY:
        _need_way(copies, spool.entry(id), spool.folder)
    entry = decide(spool, id, event, clock.now())
    if event is Event.RETRY and not later and not _watched(data, entry.copy):
        _try(copies, data, entry, quiet=False)
        return
    words = {Event.RETRY: "will be sent again", Event.SENT: "counts as sent", Event.DROP: "is forgotten"}
    click.echo(f"{id} {words[event]}.")


def _need_way(copies: Copies, entry: Entry, folder: Path) -> None:
    """Raises NoWayOut where the copy that is to send the message is not in the file any more, or sends no more."""
    from ..sync.outbox.hand import NoWayOut

    copy = copies.copies.get(entry.copy)
    if copy is None or not copy.send.smtp:
        raise NoWayOut(
            f"The message {entry.id} is to go by the copy {entry.copy}, which sends no mail (any more).",
            f"Hand it in anew: restante send ADDRESS < {folder / entry.id}.eml, then restante send --drop {entry.id}",
        )
