"""Whose accounts the sides are, and which mailboxes a run is about: what is not meant is refused before all else."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import apsw
import pytest

from restante.clock import ManualClock
from restante.sync.engine import run
from restante.sync.engine.account import OtherAccount
from restante.sync.engine.only import NoSuchMailbox
from restante.sync.maildir import MaildirSide
from restante.sync.remote import RemoteAddress, RemoteSide
from restante.sync.settings import End, LeftOut, Trash
from restante.sync.side import Side
from restante.sync.state import State

from .memory import ALL, BARE, Abilities, Disk, MemorySide
from .programs import World, octets
from .promises import FREE, same, sync
from .remote_support import secret

pytestmark = pytest.mark.in_memory

ONE, TWO = End.ONE, End.TWO
Make = Callable[..., World]


def say(world: World, sign: str | None, end: End = ONE) -> None:
    """What the side says of itself from now on."""

    def prepare(sides: dict[End, MemorySide]) -> None:
        sides[end].sign = sign  # type: ignore[attr-defined]  # as of a `Signed` one  # what `side.sign_of` looks for

    world.prepare = prepare


def begun(make: Make, end: End = ONE, abilities: Abilities = ALL) -> World:
    world = make(one=abilities)
    long = "x" * 20
    world.disks = {ONE: Disk(f"1{long}"), TWO: Disk(f"2{long}")}
    say(world, "imap.example.com as anna", end)
    world.deliver(ONE, "INBOX")
    sync(world)
    return world


@pytest.mark.parametrize("end", [ONE, TWO])
def test_another_account_is_refused_and_nothing_is_done(make: Make, end: End) -> None:
    world = begun(make, end)
    mine, other = world.disks[end], Disk("of-somebody-else-altogether")
    other.deliver("INBOX", octets(900, False))
    world.disks[end] = other
    say(world, "imap.example.com as bob", end)
    before = {each: world.disks[each].version for each in End}
    for dry_run in (True, False):
        with pytest.raises(OtherAccount, match=r"imap\.example\.com as anna, and .* imap\.example\.com as bob") as told:
            sync(world, dry_run=dry_run)
        assert "--same-account" in told.value.remedy
    assert {each: world.disks[each].version for each in End} == before
    world.disks[end] = mine
    say(world, "imap.example.com as anna", end)
    assert sync(world).changed == 0


@pytest.mark.parametrize("abilities", [ALL, BARE], ids=["ids", "no-ids"])
def test_the_same_account_by_another_name(make: Make, abilities: Abilities) -> None:
    """Known by the ids of its mailboxes, else when somebody says so, once."""
    world = begun(make, abilities=abilities)
    say(world, "mail.example.com as anna@example.com")
    if abilities is BARE:
        with pytest.raises(OtherAccount):
            sync(world)
        assert world.sync(same_account=True) is not None
    assert sync(world).changed == 0
    say(world, "imap.example.com as anna")
    if abilities is BARE:
        with pytest.raises(OtherAccount):
            sync(world)


def test_a_store_that_becomes_a_maildir_is_another_account(tmp_path: Path) -> None:
    """The configuration names an empty Maildir all at once: what the store held would be removed here."""
    disk, clock = Disk("1" + "x" * 20), ManualClock()
    for number in range(3):
        disk.deliver("INBOX", octets(number, False))

    async def once(two: Side) -> int:
        state = State(tmp_path / "state")
        try:
            return (await run(FREE, MemorySide(disk), two, state, clock)).changed
        finally:
            state.close()

    store = MemorySide(Disk("2" + "x" * 20))
    store.sign = "the store's anna@example.org"  # type: ignore[attr-defined]  # as of a `Signed` one
    assert asyncio.run(once(store)) == 3
    with pytest.raises(OtherAccount, match=r"store's anna.* a Maildir"):
        asyncio.run(once(MaildirSide(tmp_path / "Mail", tmp_path / "index.db")))
    assert len(disk.boxes["INBOX"].messages) == 3


def test_ids_that_count_from_one_prove_nothing(make: Make) -> None:
    world = make()
    say(world, "a as anna")
    sync(world)
    before = world.disks[ONE].boxes["INBOX"]
    world.disks[ONE] = Disk("x")
    say(world, "b as anna")
    now = world.disks[ONE].boxes["INBOX"]
    assert (before.id, before.validity) == (now.id, now.validity)
    with pytest.raises(OtherAccount):
        sync(world)


def test_before_anything_was_copied_the_name_may_be_another(make: Make) -> None:
    world = make()
    say(world, "a as anna")
    world.settings = replace(FREE, include=("nothing",))
    with pytest.raises(NoSuchMailbox):
        sync(world)
    world.settings = FREE
    say(world, "b as anna")
    sync(world)


def test_a_state_that_knows_nobody_learns_who_it_is(make: Make) -> None:
    world = begun(make)
    db = apsw.Connection(str(world.folder / "state"))
    db.execute("DROP TABLE moving; DROP TABLE account; ALTER TABLE doomed DROP COLUMN flags; PRAGMA user_version = 2")
    db.close()
    assert sync(world).changed == 0
    world.disks[ONE] = Disk("of-somebody-else-altogether")
    say(world, "imap.example.com as bob")
    with pytest.raises(OtherAccount):
        sync(world)


def test_nothing_is_taken_from_the_trash_of_another_account(make: Make) -> None:
    world = make(replace(FREE, trash=Trash(days=1, mailbox="Kept")))
    for end in End:
        world.disks[end].create("Kept")
    say(world, "anna", TWO)
    world.deliver(ONE, "INBOX")
    sync(world)
    world.remove(ONE, "INBOX", 1)
    sync(world)
    assert len(world.disks[TWO].boxes["Kept"].messages) == 1
    world.clock.advance(10 * 86400.0)
    world.disks[TWO].boxes["INBOX"].id = world.disks[TWO].boxes["Kept"].id = "another"
    say(world, "bob", TWO)
    with pytest.raises(OtherAccount):
        sync(world)
    assert len(world.disks[TWO].boxes["Kept"].messages) == 1


def test_a_server_is_its_name_and_the_user_whatever_the_port() -> None:
    signs = {
        RemoteSide(RemoteAddress(host, port, "tls", "Anna"), secret).sign
        for host, port in (("IMAP.example.com", 993), ("imap.example.com.", 143))
    }
    assert signs == {"imap.example.com as Anna"}


# Mailboxes that are named -----------------------------------------------------------------------------------


def test_only_a_mailbox_that_is_nowhere_is_refused(make: Make) -> None:
    world = make(replace(FREE, exclude=("Private",)))
    for name in ("Work", "Private"):
        world.disks[ONE].create(name)
        world.deliver(ONE, name)
    before = world.disks[TWO].version
    for only in (("Wrok",), ("Work", "Wrok")):
        with pytest.raises(NoSuchMailbox, match='"Wrok" on either side') as told:
            sync(world, only=only)
        assert told.value.remedy == 'Did you mean "Work"? There are: INBOX, Work.'
    with pytest.raises(NoSuchMailbox, match="left out of this copy"):
        sync(world, only=("Private",))
    assert world.disks[TWO].version == before
    sync(world, only=("Work", "inbox"))
    assert world.boxes(TWO) == ["INBOX", "Work"]


def test_only_a_mailbox_that_is_on_one_side_or_gone_from_both_is_none_of_these(make: Make) -> None:
    world = make()
    world.disks[TWO].create("Café")
    sync(world, only=("Cafe\u0301",))
    assert "Café" in world.boxes(ONE)
    for end in End:
        world.disks[end].delete("Café")
    sync(world, only=("Café",))
    with pytest.raises(NoSuchMailbox):
        sync(world, only=("Café",))


class Nameless(MemorySide):
    """Has a mailbox that nobody can name."""

    left_out_mailboxes: ClassVar[Mapping[bytes, str]] = {b"&bad": "its name cannot be read"}


def test_a_mailbox_without_a_name_is_told_until_it_is_left_out_by_what_is_shown(make: Make) -> None:
    world = make()
    world.kind = Nameless
    told = (LeftOut("&bad", ONE, "its name cannot be read"), LeftOut("&bad", TWO, "its name cannot be read"))
    assert sync(world).left_out == told
    assert sync(world).left_out == told
    assert sync(world, only=("INBOX",)).left_out == ()
    world.settings = replace(FREE, exclude=("&bad",))
    assert sync(world).left_out == ()
    world.settings = replace(FREE, include=("INBOX",))
    assert sync(world).left_out == ()
    same(world)
