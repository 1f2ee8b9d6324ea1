"""Mailboxes: names, hierarchy, roles, subscriptions, numbers."""

from __future__ import annotations

import asyncio

import pytest

from restante.store.errors import (
    BadMailboxName,
    CannotChangeMailbox,
    MailboxExists,
    NoPermission,
    NoSuchMailbox,
    RoleTaken,
)
from restante.store.interface import Engine, Store
from restante.store.model import Adoption

from .making import ALL, Installation, fill, inbox, new


async def names(store: Store) -> list[str]:
    return [one.name for one in await store.mailboxes()]


def test_a_new_account_has_an_inbox(installation: Installation) -> None:
    async def scene(engine: Engine, store: Store) -> None:
        (box,) = await store.mailboxes()
        assert (box.name, box.uidnext, box.messages, box.subscribed) == ("INBOX", 1, 0, True)
        assert box.id.startswith("b")
        assert await store.mailbox("iNbOx") == box
        await engine.create_account(store.account)
        assert await store.mailbox("INBOX") == box

    asyncio.run(installation.play(scene))


def test_create_makes_what_lies_above(installation: Installation) -> None:
    async def scene(engine: Engine, store: Store) -> None:
        made = await store.create_mailbox("A/B/C", "\\Archive")
        assert (made.name, made.role) == ("A/B/C", "\\Archive")
        assert await names(store) == ["INBOX", "A", "A/B", "A/B/C"]
        above = await store.mailbox("A")
        assert above is not None
        assert above.role is None
        with pytest.raises(MailboxExists):
            await store.create_mailbox("A/B")
        with pytest.raises(RoleTaken):
            await store.create_mailbox("Other", "\\Archive")
        with pytest.raises(RoleTaken):
            await store.create_mailbox("Other", "\\Nonsense")
        with pytest.raises(MailboxExists):
            await store.create_mailbox("inbox")
        assert (await store.create_mailbox("inbox/Sub")).name == "INBOX/Sub"
        assert len(await names(store)) == 5

    asyncio.run(installation.play(scene))


BAD = [
    "",
    "/",
    "a//b",
    "/a",
    "a/",
    "a\x00b",
    "a\r\nb",
    "a\x7fb",
    "x" * 256,
    "/".join("a" * 51),
    "/".join(["x" * 200] * 6),
]


@pytest.mark.parametrize("name", BAD)
def test_bad_names_are_refused_and_take_no_number(installation: Installation, name: str) -> None:
    async def scene(engine: Engine, store: Store) -> None:
        with pytest.raises(BadMailboxName):
            await store.create_mailbox(name)
        made = await store.create_mailbox("Good")
        with pytest.raises(BadMailboxName):
            await store.rename_mailbox(made.key, name)
        assert (await store.stats()).modseq == 2

    asyncio.run(installation.play(scene))


def test_names_that_look_like_sql_or_paths_are_names(installation: Installation) -> None:
    odd = ["'; DROP TABLE mailbox; --", "..", "../../etc/passwd", "%", "a_b*", "Entwürfe", "日本語"]

    async def scene(engine: Engine, store: Store) -> None:
        for name in odd:
            assert (await store.create_mailbox(name)).name == name
        for name in odd:
            assert (await store.mailbox(name)) is not None

    asyncio.run(installation.play(scene))


def test_the_number_of_mailboxes_is_bounded(installation: Installation) -> None:
    async def scene(engine: Engine, store: Store) -> None:
        await store.create_mailbox("A")
        with pytest.raises(CannotChangeMailbox):
            await store.create_mailbox("B/C")
        assert await names(store) == ["INBOX", "A"]

    asyncio.run(installation.play(scene, mailboxes=2))


def test_delete_keeps_children_and_messages(installation: Installation) -> None:
    async def scene(engine: Engine, store: Store) -> None:
        box = await store.create_mailbox("A")
        await store.create_mailbox("A/B")
        await store.subscribe("A", True)
        await fill(store, box.key, 3)
        await store.delete_mailbox(box.key)
        assert await names(store) == ["INBOX", "A/B"]
        assert "A" in await store.subscriptions()
        assert len(await store.recoverable()) == 3
        with pytest.raises(NoSuchMailbox):
            await store.snapshot(box.key)
        with pytest.raises(NoSuchMailbox):
            await store.append(box.key, [await new(store)])
        with pytest.raises(NoSuchMailbox):
            await store.delete_mailbox(box.key)
        with pytest.raises(CannotChangeMailbox):
            await store.delete_mailbox(await inbox(store))

    asyncio.run(installation.play(scene))


def test_uidvalidity_never_comes_back_even_when_the_clock_does(installation: Installation) -> None:
    async def scene(engine: Engine, store: Store) -> None:
        seen = set[int]()
        for back in (0.0, 3600.0, 20 * 365 * 86400.0):
            installation.clock.set(installation.clock.now() - back)
            box = await store.create_mailbox("A")
            assert box.uidvalidity not in seen
            assert not seen or box.uidvalidity > max(seen)
            seen.add(box.uidvalidity)
            await store.delete_mailbox(box.key)

    asyncio.run(installation.play(scene))


def test_rename_takes_children_along(installation: Installation) -> None:
    async def scene(engine: Engine, store: Store) -> None:
        box = await store.create_mailbox("A")
        await store.create_mailbox("A/B/C")
        await store.create_mailbox("A0")  # sorts right behind "A/"
        await store.create_mailbox("AB")
        await fill(store, box.key, 2)
        await store.rename_mailbox(box.key, "X/Y")
        assert await names(store) == ["INBOX", "A0", "AB", "X", "X/Y", "X/Y/B", "X/Y/B/C"]
        renamed = await store.mailbox("X/Y")
        assert renamed is not None
        assert (renamed.id, renamed.key, renamed.uidvalidity, renamed.messages) == (
            box.id, box.key, box.uidvalidity, 2,
        )  # fmt: skip
        with pytest.raises(CannotChangeMailbox):
            await store.rename_mailbox(box.key, "X/Y/Z")
        with pytest.raises(MailboxExists):
            await store.rename_mailbox(box.key, "AB")

    asyncio.run(installation.play(scene))


def test_rename_into_its_own_parent_line(installation: Installation) -> None:
    async def scene(engine: Engine, store: Store) -> None:
        await store.create_mailbox("A/A/B")
        inner = await store.mailbox("A/A")
        assert inner is not None
        await store.rename_mailbox(inner.key, "C")
        assert await names(store) == ["INBOX", "A", "C", "C/B"]

    asyncio.run(installation.play(scene))


def test_rename_of_a_level_takes_what_is_below_along_rfc9051_6_3_6(installation: Installation) -> None:
    async def scene(engine: Engine, store: Store) -> None:
        foo = await store.create_mailbox("foo")
        bar = await store.create_mailbox("foo/bar")
        await fill(store, bar.key, 2)
        await store.create_mailbox("taken/bar")
        with pytest.raises(NoSuchMailbox):
            await store.rename_level("foo", "zowie")  # it is a mailbox
        await store.delete_mailbox(foo.key)
        for taken in ("foo", "taken"):
            with pytest.raises(MailboxExists):
                await store.rename_level("foo", taken)
        with pytest.raises(CannotChangeMailbox):
            await store.rename_level("foo", "foo/bar/a")
        with pytest.raises(BadMailboxName):
            await store.rename_level("foo", "a//b")
        for name in ("nowhere", "taken/bar", "fo"):
            with pytest.raises(NoSuchMailbox):
                await store.rename_level(name, "zowie")
        before = await store.mailbox("foo/bar")
        assert before is not None
        await store.rename_level("foo", "on/zowie")
        assert await names(store) == ["INBOX", "on", "on/zowie/bar", "taken", "taken/bar"]
        after = await store.mailbox("on/zowie/bar")
        assert after is not None
        assert (after.key, after.id, after.uidvalidity, after.messages) == (bar.key, bar.id, bar.uidvalidity, 2)

    asyncio.run(installation.play(scene))


def test_rename_of_inbox_moves_its_messages_rfc9051_6_3_6(installation: Installation) -> None:
    async def scene(engine: Engine, store: Store) -> None:
        box = await inbox(store)
        await store.create_mailbox("INBOX/Sub")
        await fill(store, box, 3, "\\Seen")
        await store.rename_mailbox(box, "Old/Mail")
        assert await names(store) == ["INBOX", "INBOX/Sub", "Old", "Old/Mail"]
        old, here = await store.mailbox("Old/Mail"), await store.mailbox("INBOX")
        assert old is not None
        assert here is not None
        assert (here.key, here.messages, here.uidnext, old.messages) == (box, 0, 4, 3)
        assert [row[0] for row in await store.rows(old.key, ALL, [], 9)] == [1, 2, 3]

    asyncio.run(installation.play(scene))


def test_roles_are_one_a_mailbox(installation: Installation) -> None:
    async def scene(engine: Engine, store: Store) -> None:
        a, b = await store.create_mailbox("A", "\\Sent"), await store.create_mailbox("B")
        with pytest.raises(RoleTaken):
            await store.set_role(b.key, "\\Sent")
        await store.set_role(a.key, None)
        await store.set_role(b.key, "\\Sent")
        assert [one.role for one in await store.mailboxes()] == [None, None, "\\Sent"]

    asyncio.run(installation.play(scene))


def test_subscriptions_outlive_mailboxes_and_are_the_owners_alone(installation: Installation) -> None:
    async def scene(engine: Engine, store: Store) -> None:
        await store.subscribe("Never/Made", True)
        await store.subscribe("Never/Made", True)
        await store.subscribe("inbox", False)
        guest = engine.account(store.account, "guest")
        with pytest.raises(NoPermission):
            await guest.subscribe("INBOX", True)
        with pytest.raises(NoPermission):
            await guest.subscriptions()
        assert await store.subscriptions() == ["Never/Made"]
        await store.subscribe("Never/Made", False)
        assert await store.subscriptions() == []

    asyncio.run(installation.play(scene))


def test_adopt_goes_on_with_an_old_servers_numbers(installation: Installation) -> None:
    async def scene(engine: Engine, store: Store) -> None:
        box = await store.create_mailbox("A")
        adopted = await store.adopt(box.key, Adoption(12345, 5000))
        assert (adopted.uidvalidity, adopted.highest_modseq) == (12345, 5000)
        await store.reserve_uids(box.key, 77)
        done = await store.append(box.key, [await new(store)])
        assert (done.uids, done.modseq) == ((77,), 5002)
        assert not (await store.delta(box.key, 4999)).complete
        assert (await store.delta(box.key, 5000)).complete
        with pytest.raises(CannotChangeMailbox):
            await store.adopt(box.key, Adoption(12346, 0))

    asyncio.run(installation.play(scene))


def test_adopt_takes_an_identity_that_is_free_here_and_what_has_been_recent(installation: Installation) -> None:
    async def scene(engine: Engine, store: Store) -> None:
        id, (box, other) = "b" + "a" * 26, [await store.create_mailbox(name) for name in "AB"]
        adopted = await store.adopt(box.key, Adoption(12345, 0, id, 7))
        assert (adopted.id, adopted.recent_uid) == (id, 7)
        assert (await store.adopt(box.key, Adoption(12345, 0, id))).id == id, "its own"
        assert (await store.adopt(other.key, Adoption(12345, 0, id))).id == other.id
        await store.delete_mailbox(box.key)
        assert (await store.adopt(other.key, Adoption(12345, 0, id))).id == other.id, "clients know that it is gone"
        for wrong in ("", "m" + "a" * 26, "b\r\n", "b" + "A" * 26):
            assert (await store.adopt(other.key, Adoption(12345, 0, wrong))).id == other.id

    asyncio.run(installation.play(scene))


def test_a_wished_uidvalidity_is_taken_once(installation: Installation) -> None:
    async def scene(engine: Engine, store: Store) -> None:
        box = await store.create_mailbox("A", None, 4242)
        assert box.uidvalidity == 4242
        await store.delete_mailbox(box.key)
        assert (await store.create_mailbox("A", None, 4242)).uidvalidity != 4242

    asyncio.run(installation.play(scene))


def test_a_name_never_sees_a_uidvalidity_of_another_mailbox_again(installation: Installation) -> None:
    async def scene(engine: Engine, store: Store) -> None:
        first = await store.create_mailbox("A", None, 4242)
        await store.delete_mailbox(first.key)
        second = await store.create_mailbox("B", None, 4242)
        await store.rename_mailbox(second.key, "A")
        renamed = await store.mailbox("A")
        assert renamed is not None
        assert renamed.uidvalidity > 4242

    asyncio.run(installation.play(scene))
