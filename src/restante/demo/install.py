"""Makes the demo account and fills it, by the code that `restante import` uses.

May run at every start: what is there stays as it is, a message that the person deleted stays gone, and nothing
comes twice. The authenticator lets this account in from loopback alone, since everybody knows its password.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import msgspec
import structlog

from ..accounts.admin import Admin
from ..errors import Refusal
from ..exchange.detect import open_source
from ..exchange.incoming import Source
from ..exchange.load import Progress, Report, import_mail
from ..mime.model import Limits
from ..store.directory import Account
from ..store.interface import Engine, Store
from ..store.model import INBOX
from .catalogue import DemoSource

log = structlog.get_logger("restante.demo")

DOMAIN = "example.org"
USER = f"demo@{DOMAIN}"
PASSWORD = "restante"
SOURCES = "demo-sources.json"
"""Sources that earlier starts imported, as absolute paths."""

MeterFactory = Callable[[str, int], AbstractContextManager[Progress]]
"""Makes something that shows progress: title, octets in all."""


class NameTaken(Refusal):
    """An account of the demo's name is somebody's own."""

    code = "EXISTS"


async def install(
    engine: Engine, admin: Admin, data: Path, limits: Limits, mail: Path | None, meter: MeterFactory
) -> tuple[str, str]:
    """Make the demo account if it is missing, fill it once, import `mail` into it; user and password.

    data: the installation's folder, where it is noted which sources have been imported. mail: any source that
    `exchange.detect` knows. Raises NameTaken, ExchangeRefusal, and what the store refuses.
    """
    account = await engine.directory.account(USER)
    if account is not None and not account.demo:
        raise NameTaken(f"The account {USER} is not the demo's.", "Start without --demo, or use another --data DIR.")
    if account is None:
        account = await _create(engine, admin)
    store = engine.account(account.id)
    inbox = await store.mailbox(INBOX)
    if inbox is None or inbox.uidnext == 1:  # the demo's INBOX is filled last, and at once
        await _fill(DemoSource(), store, limits, meter, "Filling the demo account")
    if mail is not None:
        await _import_once(mail, data / SOURCES, store, limits, meter)
    return USER, PASSWORD


async def _create(engine: Engine, admin: Admin) -> Account:
    if await engine.directory.domain(DOMAIN) is None:
        await admin.add_domain(DOMAIN)
    return await admin.add_account(USER, PASSWORD, demo=True)


async def _fill(source: Source, store: Store, limits: Limits, meter: MeterFactory, title: str) -> Report:
    with meter(title, source.total) as progress:
        return await import_mail(source, store, None, progress, once=True, limits=limits)


async def _import_once(mail: Path, noted: Path, store: Store, limits: Limits, meter: MeterFactory) -> None:
    """Import a source that no start before has imported to its end; one broken off goes on where it was."""
    name = str(await asyncio.to_thread(mail.resolve))
    done = await asyncio.to_thread(_noted, noted)
    if name in done:
        return
    source = open_source(mail)
    try:
        report = await _fill(source, store, limits, meter, "Importing mail")
    finally:
        source.close()
    for each in report.skipped:
        if each.lost:
            log.warning("import skipped", where=each.where, reason=each.reason)
    await asyncio.to_thread(_note, noted, [*done, name])


def _noted(file: Path) -> list[str]:
    return msgspec.json.decode(file.read_bytes(), type=list[str]) if file.exists() else []


def _note(file: Path, names: list[str]) -> None:
    temporary = file.with_suffix(".new")
    temporary.write_bytes(msgspec.json.encode(names))
    temporary.replace(file)
