"""A real store in a temporary folder, for tests of import and export."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from restante.clock import ManualClock, system_random
from restante.exchange.detect import open_source
from restante.exchange.load import Claim, Report, import_mail
from restante.mime.analyse import analyse
from restante.store.annotation import ACCOUNT
from restante.store.interface import Store
from restante.store.model import Column, Flags, Identity, NewMessage
from restante.store.quota import NO_LIMITS, Quota
from restante.store.sqlite.engine import SqliteEngine

SHARED = Path(__file__).resolve().parents[3] / "shared" / "mail"

ALL = ((1, 0xFFFF_FFFF),)


@asynccontextmanager
async def account(
    folder: Path, name: str = "a", *, later: float = 0.0, limits: Quota = NO_LIMITS
) -> AsyncIterator[Store]:
    """The store of the account `name` on `folder`, made if it is missing. later: seconds its clock is ahead."""
    clock = ManualClock()
    clock.advance(later)
    engine = SqliteEngine(_made(folder), clock, system_random, reserve=0, quota_default=limits)
    try:
        await engine.create_account(name)
        yield engine.account(name)
    finally:
        await engine.close()


def _made(folder: Path) -> Path:
    folder.mkdir(exist_ok=True)
    return folder


async def put(
    store: Store,
    mailbox: str,
    data: bytes,
    flags: Flags | None = None,
    received: int = 1_000_000_000,
    identity: Identity | None = None,
) -> str:
    """Append one message; its EMAILID."""
    there = await store.mailbox(mailbox)
    if there is None:
        there = await store.create_mailbox(mailbox)
    message = NewMessage(await store.put(data), analyse(data), flags or Flags(), received, None, identity or Identity())
    return (await store.append(there.key, [message])).email_ids[0]


async def anybody(id: str, origin: str) -> bool:
    """A `Claim` of an installation that knows no other account."""
    return True


async def load(source: Path, store: Store, mailbox: str | None = None, claim: Claim | None = anybody) -> Report:
    opened = open_source(source)
    try:
        return await import_mail(opened, store, mailbox, claim=claim)
    finally:
        opened.close()


async def picture(store: Store) -> dict[str, object]:
    """Everything of an account that an export and import must keep, to be compared."""
    table = await store.flag_table()
    found: dict[str, object] = {}
    for mailbox in await store.mailboxes():
        columns = (
            Column.FLAGS,
            Column.RECEIVED,
            Column.SAVED,
            Column.EMAIL_ID,
            Column.THREAD_ID,
            Column.CONTENT,
        )
        rows = await store.rows(mailbox.key, ALL, columns, 100_000)
        octets = await store.read_contents([int(str(row[6])) for row in rows]) if rows else []
        origins = await store.provenance(mailbox.key, ALL)
        found[mailbox.name] = (
            mailbox.role,
            mailbox.uidvalidity,
            mailbox.uidnext,
            mailbox.subscribed,
            [(row[0], table[int(str(row[1]))], *row[2:6]) for row in rows],
            octets,
            origins,
            mailbox.id,
            mailbox.recent_uid,
            await entries(store, mailbox.key),
        )
    found["entries"] = await entries(store, ACCOUNT)
    found["subscriptions"] = await store.subscriptions()
    found["maildrop"] = [(each.uid, each.uidl) for each in await store.maildrop()]
    return found


async def entries(store: Store, key: int) -> dict[str, bytes]:
    """All annotations of a mailbox or of the account."""
    names = [entry for entry, _ in await store.annotation_names(key)]
    return (await store.annotations([key], names))[key]
