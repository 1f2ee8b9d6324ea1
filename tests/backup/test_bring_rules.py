"""What a restore does not do: double mail when two run at once, write mailboxes that nobody asked for, or give rights
to persons who are gone."""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
from pathlib import Path

import pytest

from restante.backup.analysing import Analyser, analysing
from restante.backup.bring import Bringing, bring_out, would_bring_out
from restante.backup.choose import line_of
from restante.backup.errors import NoRepository
from restante.backup.restore import Choice, Dropped, Restored, restore_removed
from restante.backup.rewind import rewind_to
from restante.exchange.export import Form
from restante.exchange.incoming import ExchangeRefusal
from restante.mime.model import DEFAULT_LIMITS
from restante.store.errors import InUse
from restante.store.model import FlagMode, Flags
from restante.store.rights import parse_rights

from .support import ALL, ANN, BOB, World, add_account, findings, message, put
from .test_bring import begun, bringing, counts, rows

CAROL = "carol1"


# Two at once -----------------------------------------------------------------------------------------


def test_a_second_restore_at_the_same_moment_is_refused_and_nothing_is_doubled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first has looked what is missing, and is about to add it."""

    async def scene(world: World, pool: Analyser) -> None:
        await put(world.ann, "INBOX", *(message(n) for n in range(6)))
        snapshot = (await world.take()).snapshot
        await world.ann.expunge(1, ALL, deleted_only=False)
        reached, go_on = asyncio.Event(), asyncio.Event()
        real = Bringing._append

        async def held(self: Bringing, *args: object) -> None:
            reached.set()
            await go_on.wait()
            await real(self, *args)  # type: ignore[arg-type]  # passed on as they came

        monkeypatch.setattr(Bringing, "_append", held)
        first = asyncio.ensure_future(bringing(world, pool, snapshot).in_place())
        await reached.wait()
        for second in ("in place", "beside"):
            other = bringing(world, pool, snapshot)
            with pytest.raises(InUse, match="brought back into this account already"):
                await (other.in_place() if second == "in place" else other.beside("2026-11-22"))
        repository = world.repository()
        line = line_of(repository, snapshot, "ann@example.com")
        with pytest.raises(InUse):
            await rewind_to(world.ann, repository, snapshot, line, pool, apply=True)
        # Another process is no different: the lock is the file's. A plan changes nothing, and waits for nobody.
        elsewhere = world.open(tmp_path / "data")
        with pytest.raises(InUse):
            async with elsewhere.account(ANN).bringing_back():
                pass
        assert counts(await bringing(world, pool, snapshot, dry_run=True).in_place()) == (6, 0, 0)
        async with elsewhere.account(BOB).bringing_back():
            pass
        await elsewhere.close()
        go_on.set()
        assert counts(await first) == (6, 0, 0)
        assert counts(await bringing(world, pool, snapshot).in_place()) == (0, 6, 0)
        assert len(await rows(world, "INBOX")) == 6

    begun(tmp_path, scene)


def test_two_processes_that_restore_at_once_double_nothing(tmp_path: Path) -> None:
    """Each in a thread with a loop and a store of its own: whoever is refused runs again."""
    world = World(tmp_path)

    async def before() -> str:
        await world.fill()
        await put(world.ann, "INBOX", *(message(n) for n in range(150)))
        await world.take()
        await world.ann.expunge(1, ALL, deleted_only=False)
        await world.engine.close()
        return world.repository().snapshot_names()[-1]

    asyncio.run(before())
    refused: list[InUse] = []

    async def process() -> None:
        engine = world.open(tmp_path / "data")
        repository = world.repository()
        snapshot = repository.latest()
        assert snapshot is not None
        line = line_of(repository, snapshot, "ann@example.com")
        with analysing(0, DEFAULT_LIMITS) as pool:
            done = False
            while not done:
                with contextlib.suppress(InUse):
                    try:
                        await Bringing(repository, line, engine.account(ANN), Choice(), pool).in_place()
                        done = True
                    except InUse as error:
                        refused.append(error)
                        raise
        await engine.close()

    threads = [threading.Thread(target=lambda: asyncio.run(process())) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    async def after() -> None:
        engine = world.open(tmp_path / "data")
        box = await engine.account(ANN).mailbox("INBOX")
        assert box is not None
        assert box.messages == 150
        await engine.close()

    asyncio.run(after())


# Out -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", list(Form))
def test_out_writes_what_is_asked_for_and_nothing_of_other_mailboxes(tmp_path: Path, form: Form) -> None:
    async def scene(world: World, pool: Analyser) -> None:
        _, ids = await put(world.ann, "INBOX", message(1), message(2))
        await put(world.ann, "Work/Now", message(3), message(4))
        for name in ("Empty", "Sent"):
            await world.ann.create_mailbox(name)
        snapshot = (await world.take()).snapshot
        repository = world.repository()
        line = line_of(repository, snapshot, "ann@example.com")

        async def out(choice: Choice, folder: str) -> set[str]:
            would = await would_bring_out(repository, line, choice)
            done, lost = await bring_out(
                repository, line, choice, tmp_path / folder, form, world.open, pool, os.urandom
            )
            assert (done.messages, done.octets, lost) == (would.messages, would.octets, [])
            assert done.mailboxes == len(would.mailboxes)
            inside = {path.name for path in (tmp_path / folder).iterdir()}
            return inside - {"cur", "new", "tmp", "subscriptions"}

        killed = tmp_path / ".restante-work-0"
        (killed / "accounts").mkdir(parents=True)
        mine = {"maildir": {".Work.Now"}, "mbox": {"Work.sbd"}}[form.value]
        assert await out(Choice("Work/Now"), "one") == mine
        assert not killed.exists(), "what a run that was killed left in the clear"
        found = await out(Choice(email_ids=frozenset([ids[1]])), "message")
        assert not {name for name in found if "Empty" in name or "Sent" in name or "Work" in name}
        everything = await out(Choice(), "all")
        assert [name for name in everything if "Empty" in name], "an account has its empty mailboxes"
        for choice in (Choice("Nowhere"), Choice(email_ids=frozenset(["none"])), Choice("Empty", frozenset([ids[0]]))):
            with pytest.raises(NoRepository):
                await bring_out(repository, line, choice, tmp_path / "no", form, world.open, pool, os.urandom)
        assert not (tmp_path / "no").exists()
        with pytest.raises(ExchangeRefusal):
            await bring_out(repository, line, Choice(), tmp_path / "all", form, world.open, pool, os.urandom)

    begun(tmp_path, scene)


# Rights ----------------------------------------------------------------------------------------------


async def shared(world: World) -> None:
    """A mailbox of ann's that bob and carol may read, and what they have left in it."""
    await add_account(world.engine, CAROL, "carol@example.com")
    box = await world.ann.create_mailbox("Shared")
    await put(world.ann, "Shared", message(1))
    for who, rights in ((BOB, "lrs"), (CAROL, "lrs"), ("-" + CAROL, "t"), ("anyone", "l")):
        await world.ann.set_acl(box.key, who, FlagMode.REPLACE, parse_rights(rights))
    for who in (BOB, CAROL):
        guest = world.engine.account(ANN, who)
        await guest.store_flags(box.key, ALL, FlagMode.ADD, Flags.of(["\\Seen"]))
        await guest.annotate(box.key, {"/private/comment": who.encode()})


async def remove(world: World, id: str) -> None:
    await world.engine.directory.remove_account(id)
    await world.engine.delete_account(id)


async def may(world: World) -> list[str]:
    box = await world.ann.mailbox("Shared")
    assert box is not None
    return [one.identifier for one in await world.ann.acl(box.key)]


def test_rights_of_who_was_removed_do_not_come_back_with_an_account(tmp_path: Path) -> None:
    async def scene(world: World, pool: Analyser) -> None:
        await shared(world)
        snapshot = (await world.take()).snapshot
        await remove(world, CAROL)
        await remove(world, ANN)
        repository, done = world.repository(), Restored()
        line = line_of(repository, snapshot, "ann@example.com")
        await restore_removed(world.engine, repository, snapshot, line, pool, done)
        assert await may(world) == ["anyone", BOB]
        assert done.dropped == [
            Dropped("ann@example.com", "Shared", "-" + CAROL, "t"),
            Dropped("ann@example.com", "Shared", CAROL, "lrs"),
        ]
        assert await findings(world.ann) == [], "doctor has nothing to take away"
        box = await world.ann.mailbox("Shared")
        assert box is not None
        guest = world.engine.account(ANN, BOB)
        assert (await guest.annotations([box.key], ["/private/comment"]))[box.key] == {"/private/comment": BOB.encode()}
        assert (await guest.mailboxes())[0].unseen == 0

    begun(tmp_path, scene)


def test_rights_of_who_was_removed_do_not_come_back_with_a_mailbox(tmp_path: Path) -> None:
    async def scene(world: World, pool: Analyser) -> None:
        await shared(world)
        snapshot = (await world.take()).snapshot
        await remove(world, CAROL)
        box = await world.ann.mailbox("Shared")
        assert box is not None
        await world.ann.delete_mailbox(box.key)
        repository = world.repository()
        line = line_of(repository, snapshot, "ann@example.com")

        async def known(person: str) -> bool:
            return await world.engine.directory.account_by_id(person) is not None

        planned = await Bringing(repository, line, world.ann, Choice(), pool, known=known, dry_run=True).in_place()
        assert await world.ann.mailbox("Shared") is None
        done = await Bringing(repository, line, world.ann, Choice(), pool, known=known).in_place()
        assert planned.dropped == done.dropped, "a plan says so too"
        assert await may(world) == ["anyone", BOB]
        assert {(one.person, one.rights) for one in done.dropped} == {("-" + CAROL, "t"), (CAROL, "lrs")}
        assert await findings(world.ann) == []

    begun(tmp_path, scene)


def test_a_whole_server_has_rights_of_those_alone_whom_it_has(tmp_path: Path) -> None:
    """A person who was removed while mailboxes of others still named him, before that was tidied."""

    async def scene(world: World, pool: Analyser) -> None:
        await shared(world)
        await world.engine.directory.remove_account(CAROL)
        snapshot = (await world.take()).snapshot
        engine, done = await world.give(snapshot, tmp_path / "new")
        box = await engine.account(ANN).mailbox("Shared")
        assert box is not None
        assert [one.identifier for one in await engine.account(ANN).acl(box.key)] == ["anyone", BOB]
        assert {one.person for one in done.dropped} == {"-" + CAROL, CAROL}
        assert await findings(engine.account(ANN)) == []
        await engine.close()

    begun(tmp_path, scene)
