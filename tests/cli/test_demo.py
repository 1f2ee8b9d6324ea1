"""The demo account: filled by the code of `restante import`, once, and never twice."""

from __future__ import annotations

import asyncio
from contextlib import nullcontext
from pathlib import Path

import pytest

from restante.accounts.admin import Admin
from restante.clock import SystemClock, system_random
from restante.config.model import Config
from restante.demo.catalogue import INDEX, DemoSource
from restante.demo.install import DOMAIN, PASSWORD, USER, NameTaken, install
from restante.exchange.incoming import Incoming
from restante.mime.analyse import analyse
from restante.mime.model import DEFAULT_LIMITS, Trait
from restante.store.sqlite.engine import SqliteEngine


async def start(data: Path, mail: Path | None = None, *, own: bool = False, remove: bool = False) -> dict[str, int]:
    """One start with --demo; messages by mailbox."""
    engine = SqliteEngine(data, SystemClock(), system_random, reserve=0)
    admin = Admin(engine, Config(), SystemClock(), system_random)
    try:
        if own:
            await admin.add_domain(DOMAIN)
            await admin.add_account(USER, "my own")
        given = await install(engine, admin, data, DEFAULT_LIMITS, mail, lambda title, total: nullcontext(_ignore))
        assert given == (USER, PASSWORD)
        account = await admin.account(USER)
        assert account.demo
        store = engine.account(account.id)
        found = {each.name: each.messages for each in await store.mailboxes()}
        if remove:
            await store.expunge((await store.mailboxes())[0].key, ((1, 2),), deleted_only=False)
        return found
    finally:
        await engine.close()


def _ignore(octets: int) -> None:
    """Progress that nobody sees."""


def test_the_second_start_keeps_all_mail_and_brings_none_twice(tmp_path: Path) -> None:
    mail = tmp_path / "mail"
    mail.mkdir()
    for n in range(3):
        (mail / f"{n}.eml").write_bytes(b"Subject: %d\n\nbody\n" % (n // 2))  # two of them are equal
    first = asyncio.run(start(tmp_path))
    assert sum(first.values()) == len(DemoSource().entries)
    assert asyncio.run(start(tmp_path)) == first
    more = asyncio.run(start(tmp_path, mail, remove=True))
    assert more == {**first, "INBOX": first["INBOX"] + 3}
    assert asyncio.run(start(tmp_path, mail)) == {**more, "INBOX": more["INBOX"] - 2}


def test_an_import_that_was_broken_off_goes_on(tmp_path: Path) -> None:
    mail = tmp_path / "mail"
    mail.mkdir()
    for n in range(3):
        (mail / f"{n}.eml").write_bytes(b"Subject: %d\n\nbody\n" % n)
    first = asyncio.run(start(tmp_path, mail))
    (tmp_path / "demo-sources.json").unlink()  # as if it had been killed before its end was noted
    (mail / "4.eml").write_bytes(b"Subject: 4\n\nbody\n")
    assert asyncio.run(start(tmp_path, mail)) == {**first, "INBOX": first["INBOX"] + 1}


def test_an_account_of_that_name_is_left_alone(tmp_path: Path) -> None:
    with pytest.raises(NameTaken):
        asyncio.run(start(tmp_path, own=True))


def test_the_mail_set_is_well_formed() -> None:
    """Every file is listed once; every message has what it is there for."""
    source = DemoSource()
    names = [name for _, _, name in source.entries]
    assert sorted([*names, INDEX]) == sorted(each.name for each in source.folder.iterdir())
    assert source.entries[-1][0] == "INBOX"
    ids = set()
    for item in source.items():
        if isinstance(item, Incoming):
            analysis = analyse(item.data)
            assert not analysis.traits & (Trait.NUL | Trait.SIMPLIFIED), item.where
            assert item.received > 0
            ids.add(analysis.keys.message_id)
    assert len(ids) == len(names)
