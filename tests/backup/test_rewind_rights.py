"""What a rewind does with rights, annotations and quotas: a mailbox that is made again has its list of then, others
keep theirs and the plan says so; nobody who is gone gets anything; what counts against a quota is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from restante.store.model import FlagMode
from restante.store.rewind import Rewound
from restante.store.rights import letters, parse_rights
from restante.store.sqlite import mailboxes

from .support import ANN, BOB, World, add_account, findings, message, play, put
from .test_rewind_beyond import back, forget

CAROL = "carol1"
ENTRIES = ("/private/comment", "/shared/comment")


async def shared(world: World) -> int:
    """Work/Plans, shared with bob, carol and everybody, below Work, which dave may read; the instant of then."""
    await add_account(world.engine, CAROL, "carol@example.com")
    await add_account(world.engine, "dave1", "dave@example.com")
    above = await world.ann.create_mailbox("Work")
    await world.ann.set_acl(above.key, "dave1", FlagMode.REPLACE, parse_rights("lr"))
    box = await world.ann.create_mailbox("Work/Plans")
    await put(world.ann, "Work/Plans", message(1), message(2))
    await put(world.ann, "INBOX", message(3))
    await world.ann.set_acl(box.key, "dave1", FlagMode.REMOVE, parse_rights("lr"))
    for who, rights in ((BOB, "lrs"), (CAROL, "lr"), ("-" + BOB, "t"), ("anyone", "l")):
        await world.ann.set_acl(box.key, who, FlagMode.REPLACE, parse_rights(rights))
    await world.ann.set_acl(1, BOB, FlagMode.REPLACE, parse_rights("lr"))
    await world.ann.annotate(box.key, {"/private/comment": b"mine", "/shared/comment": b"ours"})
    return int(world.clock.now())


async def since(world: World) -> None:
    """Work/Plans is deleted, bob is taken off INBOX, dave is put on it, and carol leaves the house."""
    world.clock.advance(120.0)
    box = await world.ann.mailbox("Work/Plans")
    assert box is not None
    await world.ann.delete_mailbox(box.key)
    await world.ann.set_acl(1, BOB, FlagMode.REMOVE, parse_rights("lr"))
    await world.ann.set_acl(1, "dave1", FlagMode.REPLACE, parse_rights("lrs"))
    await world.ann.forget_person(CAROL)
    await world.engine.directory.remove_account(CAROL)
    world.clock.advance(60.0)


async def lists(world: World, name: str) -> dict[str, str]:
    box = await world.ann.mailbox(name)
    assert box is not None
    return {one.identifier: letters(one.rights) for one in await world.ann.acl(box.key)}


def told(done: Rewound) -> tuple[object, object]:
    return done.granted, done.rights


GRANTED = [("Work/Plans", "-" + BOB, "t"), ("Work/Plans", "anyone", "l"), ("Work/Plans", BOB, "lrs")]
STAYS = [("INBOX", BOB, "lr", ""), ("INBOX", "dave1", "", "lrs")]


@pytest.mark.parametrize("beyond", [False, True], ids=["history", "snapshot"])
def test_a_mailbox_that_is_made_again_has_its_list_and_others_keep_theirs(tmp_path: Path, beyond: bool) -> None:
    async def scene() -> None:
        world = World(tmp_path)
        await world.fill()
        at = await shared(world)
        await world.take()
        await since(world)
        if beyond:
            await forget(world)

        async def rewound(apply: bool) -> Rewound:
            if beyond:
                return (await back(world, at, apply=apply)).told
            return await world.ann.rewind(at, apply=apply)

        planned = await rewound(False)
        assert told(planned) == (GRANTED, STAYS)
        assert not await world.engine.directory.shares(ANN, (BOB,)), "a plan changes nothing"
        done = await rewound(True)
        assert told(done) == (GRANTED, STAYS)
        assert done.created == ["Work/Plans"]
        assert await lists(world, "Work/Plans") == {BOB: "lrs", "-" + BOB: "t", "anyone": "l"}, "not dave of Work"
        assert await lists(world, "INBOX") == {"dave1": "lrs"}, "who was taken off a list since stays off"
        assert await world.engine.directory.shares(ANN, (BOB,))
        assert [one.name for one in await world.engine.account(ANN, BOB).mailboxes()] == ["Work/Plans"]
        box = await world.ann.mailbox("Work/Plans")
        assert box is not None
        entries = (await world.ann.annotations([box.key], ENTRIES))[box.key]
        assert entries == (dict(zip(ENTRIES, (b"mine", b"ours"), strict=True)) if beyond else {})
        assert await findings(world.ann) == []
        assert await world.ann.undo_rewind(done.id, apply=True)
        assert await world.ann.mailbox("Work/Plans") is None
        assert not await world.engine.directory.shares(ANN, (BOB,)), "nobody is led to what is not there"
        assert await findings(world.ann) == []
        await world.engine.close()

    play(scene())


def test_a_list_that_a_plan_was_made_without_is_known_when_it_is_done(tmp_path: Path) -> None:
    """Another process deletes the mailbox between the look and the command (and has not told the directory yet): the
    plan is made anew, and so is what the directory knows."""

    async def scene() -> None:
        world = World(tmp_path)
        await world.fill()
        at = await shared(world)
        world.clock.advance(120.0)
        real = world.ann._write  # type: ignore[attr-defined]  # the store's own door
        store = world.engine.account(ANN)

        async def late(command: object, *args: object) -> object:
            if getattr(command, "__name__", "") == "rewind":
                store._write = real  # type: ignore[attr-defined]  # the store's own door
                box = await world.ann.mailbox("Work/Plans")
                assert box is not None
                await real(mailboxes.delete, box.key)
            return await real(command, *args)

        await put(world.ann, "INBOX", message(9))
        await world.ann.expunge(1, ((1, 1),), deleted_only=False)
        store._write = late  # type: ignore[attr-defined]  # the store's own door
        done = await store.rewind(at, apply=True)
        assert done.created == ["Work/Plans"]
        assert (await lists(world, "Work/Plans"))[BOB] == "lrs"
        assert await world.engine.directory.shares(ANN, (BOB,))
        assert await findings(world.ann) == []
        await world.engine.close()

    play(scene())


def test_what_comes_back_is_counted_for_the_quota(tmp_path: Path) -> None:
    async def scene() -> None:
        world = World(tmp_path)
        await world.fill()
        await put(world.ann, "INBOX", *(message(n, "x" * 1000) for n in range(4)))
        at = int(world.clock.now())
        await world.take()
        world.clock.advance(120.0)
        before = await world.ann.quota()
        await world.ann.expunge(1, ((1, 3),), deleted_only=False)
        now = await world.ann.quota()
        planned = await world.ann.rewind(at, apply=False)
        assert planned.messages == 3
        assert now.storage + planned.octets == before.storage
        await forget(world)
        told = await back(world, at, apply=False)
        assert (told.told.messages, told.brought) == (0, 3)
        assert now.storage + told.octets == before.storage
        await world.engine.close()

    play(scene())
