"""`restante undelete`: removed mail, listed and brought back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

from .common import NotHere, count, emit, instant, run, with_json, with_place

if TYPE_CHECKING:
    from ..store.interface import Store
    from ..store.model import Recoverable


@dataclass(frozen=True, slots=True)
class Row:
    number: int
    removed: str | None
    mailbox: str
    received: str | None
    size: int
    sender: str
    subject: str
    email_id: str
    session: str


@click.command()
@click.argument("numbers", metavar="[NUMBER]...", nargs=-1, type=int)
@click.option("--account", "address", required=True, metavar="NAME@DOMAIN", help="Whose mail it was.")
@click.option("--from", "mailbox", metavar="MAILBOX", help="Only what was in this mailbox.")
@click.option("--since", metavar="TIME", help='Only what was removed at this instant or later: "3h ago" (see rewind).')
@click.option("--before", metavar="TIME", help="Only what was removed before this instant.")
@click.option("--by", "session", metavar="TEXT", help='Only what such a session removed: "pop3", "imap 7f3a".')
@click.option("--all", "everything", is_flag=True, help="Bring back all that is listed.")
@click.option("--into", metavar="MAILBOX", help="Bring back into this mailbox instead of where it was.")
@with_json
@with_place
def command(
    numbers: tuple[int, ...],
    address: str,
    mailbox: str | None,
    since: str | None,
    before: str | None,
    session: str | None,
    everything: bool,
    into: str | None,
    as_json: bool,
) -> None:
    """List removed messages that can be brought back; with NUMBERs or --all, bring them back.

    They come back with flags, dates and EMAILID, under new UIDs. --from, --since, --before and --by narrow the list,
    and --all with it. What else was done to an account, 'restante rewind' undoes.
    """
    from ..clock import SystemClock
    from ..sync.patterns import canonical
    from .when import parse_when

    mailbox, into = (canonical(name) if name is not None else None for name in (mailbox, into))
    now = SystemClock().now()
    first = parse_when(since, now) if since is not None else None
    last = parse_when(before, now) if before is not None else None

    def meant(one: Recoverable) -> bool:
        return (
            (mailbox is None or one.mailbox == mailbox)
            and (first is None or one.removed_at >= first)
            and (last is None or one.removed_at < last)
            and (session is None or session.lower() in one.session.lower())
        )

    async def work() -> None:
        from .installation import installation

        async with installation() as here:
            _, store = await here.store(address)
            gone = await store.recoverable()
            found = [each for each in gone if meant(each)]
            if mailbox is not None and not found:
                await _there(store, mailbox, gone)
            if not numbers and not everything:
                rows = [
                    Row(
                        each.number,
                        instant(each.removed_at),
                        each.mailbox,
                        instant(each.received),
                        each.size,
                        each.sender,
                        each.subject,
                        each.email_id,
                        each.session,
                    )
                    for each in found
                ]
                emit(rows, as_json, "Nothing to bring back.")
                return
            wanted = [each.number for each in found] if everything else list(dict.fromkeys(numbers))
            missing = set(wanted) - {each.number for each in found}
            if missing:
                raise NotHere(
                    f"There is no removed message {min(missing)}.",
                    f"List them with 'restante undelete --account {address}'.",
                )
            target = None
            if into is not None:
                there = await store.mailbox(into)
                if there is None:
                    raise NotHere(f"There is no mailbox {into}.", "Name an existing one, or leave --into out.")
                target = there.key
            await store.undelete(wanted, target)
            click.echo(f"Brought back {count(len(wanted), 'message')}.")

    run(work())


async def _there(store: Store, mailbox: str, gone: Sequence[Recoverable]) -> None:
    """Raises NotHere where no mailbox is called so, nor was one from which something was removed."""
    if await store.mailbox(mailbox) is None and all(each.mailbox != mailbox for each in gone):
        raise NotHere(
            f"There is no mailbox {mailbox}, and nothing removed was in one.",
            "Leave --from out: the list says what was where.",
        )
