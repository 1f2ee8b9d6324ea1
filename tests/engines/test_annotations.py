"""Annotations of mailboxes and of the account (RFC 5464, RFC 6154 4), and what changed in the whole account."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from restante.store.annotation import ACCOUNT, SPECIAL_USE, AnnotationLimits
from restante.store.changes import Change, Event
from restante.store.errors import (
    AnnotationTooLarge,
    CannotChangeMailbox,
    DiskFull,
    NoPermission,
    NoSuchMailbox,
    OverQuota,
    RoleTaken,
    TooManyAnnotations,
)
from restante.store.interface import Engine, Store
from restante.store.model import FlagMode, Flags
from restante.store.rights import ALL as ALL_RIGHTS
from restante.store.rights import Rights

from .making import ACCOUNT as OWNER
from .making import ALL, Installation, fill, inbox

PRIVATE, SHARED = "/private/comment", "/shared/comment"


async def value(store: Store, mailbox: int, entry: str) -> bytes | None:
    return (await store.annotations([mailbox], [entry]))[mailbox].get(entry)


def test_values_are_kept_replaced_and_taken_away(installation: Installation) -> None:
    async def scene(engine: Engine, store: Store) -> None:
        box = await inbox(store)
        number = await store.annotate(box, {PRIVATE: b"mine\0\xff", SHARED: b""})
        assert number == await store.last_change()
        assert await store.annotations([box, ACCOUNT], [SHARED, PRIVATE, "/shared/none"]) == {
            box: {SHARED: b"", PRIVATE: b"mine\0\xff"},
            ACCOUNT: {},
        }
        assert await store.annotation_names(box) == [(PRIVATE, 6), (SHARED, 0)]
        assert await store.annotate(ACCOUNT, {SHARED: b"account"}) == number + 1
        assert await value(store, ACCOUNT, SHARED) == b"account"
        assert await store.annotate(box, {PRIVATE: None, SHARED: b"new"}) == number + 2
        assert await store.annotation_names(box) == [(SHARED, 3)]
        found = await store.mailbox("INBOX")
        assert found is not None
        assert found.highest_modseq == number + 2

    asyncio.run(installation.play(scene))


def test_what_a_reader_has_written_goes_with_him_and_leaves_room(installation: Installation) -> None:
    """It counts against the owner's total, and nobody else could ever see or remove it."""

    async def scene(engine: Engine, store: Store) -> None:
        box = await inbox(store)
        for who in ("ann", "bob"):
            await store.set_acl(box, who, FlagMode.REPLACE, Rights.LOOKUP | Rights.READ)
            await engine.account(OWNER, who).annotate(box, {PRIVATE: bytes(500)})
        await store.annotate(box, {PRIVATE: b"mine", SHARED: b"all"})
        with pytest.raises(OverQuota):
            await store.annotate(box, {"/private/more": bytes(500)})
        await store.forget_person("ann")
        await store.annotate(box, {"/private/more": bytes(500)})
        assert await value(engine.account(OWNER, "bob"), box, PRIVATE) == bytes(500)
        assert (await value(store, box, PRIVATE), await value(store, box, SHARED)) == (b"mine", b"all")

    asyncio.run(installation.play(scene, annotations=AnnotationLimits(account=1_500)))


def test_what_changes_nothing_takes_no_number(installation: Installation) -> None:
    async def scene(engine: Engine, store: Store) -> None:
        box = await inbox(store)
        number = await store.annotate(box, {PRIVATE: b"x"})
        assert await store.annotate(box, {PRIVATE: b"x", SHARED: None, SPECIAL_USE: None}) == 0
        assert await store.last_change() == number

    asyncio.run(installation.play(scene))


def test_private_entries_are_each_users_own(installation: Installation) -> None:
    async def scene(engine: Engine, store: Store) -> None:
        box = await inbox(store)
        other = engine.account(OWNER, "friend")
        await store.annotate(box, {PRIVATE: b"owner", SHARED: b"all"})
        for rights, refusal in ((Rights.NONE, NoSuchMailbox), (Rights.LOOKUP | Rights.CREATE, NoPermission)):
            await store.set_acl(box, "friend", FlagMode.REPLACE, rights)
            with pytest.raises(refusal):
                await other.annotation_names(box)
            with pytest.raises(refusal):
                await other.annotations([box], [SHARED])
            with pytest.raises(refusal):
                await other.annotate(box, {SHARED: b"mine"})
        with pytest.raises(NoPermission):
            await other.annotate(ACCOUNT, {SHARED: b"mine"})
        await store.set_acl(box, "friend", FlagMode.REPLACE, Rights.LOOKUP | Rights.INSERT)  # RFC 5464 3.3
        assert await other.annotation_names(box) == [(SHARED, 3)]
        await other.annotate(box, {PRIVATE: b"friend"})
        assert await value(store, box, PRIVATE) == b"owner"
        assert await value(other, box, PRIVATE) == b"friend"
        assert await value(engine.account(OWNER, OWNER), box, PRIVATE) == b"owner"

    asyncio.run(installation.play(scene))


def test_the_role_is_an_entry_of_the_owner(installation: Installation) -> None:
    async def scene(engine: Engine, store: Store) -> None:
        a, b = await store.create_mailbox("A", "\\Drafts"), await store.create_mailbox("B")
        assert await store.annotations([a.key, b.key], [SPECIAL_USE]) == {a.key: {SPECIAL_USE: b"\\Drafts"}, b.key: {}}
        with pytest.raises(RoleTaken):
            await store.annotate(b.key, {PRIVATE: b"x", SPECIAL_USE: b"\\Drafts"})
        assert await store.annotation_names(b.key) == []
        for nonsense in (b"\\Nonsense", b"\\Sent \\Trash", b"\xff"):
            with pytest.raises(RoleTaken):
                await store.annotate(b.key, {SPECIAL_USE: nonsense})
        assert await store.annotate(a.key, {SPECIAL_USE: None})
        number = await store.annotate(b.key, {SPECIAL_USE: b"\\drafts"})
        found = await store.mailbox("B")
        assert found is not None
        assert found.role == "\\Drafts"
        assert found.highest_modseq == number == await store.last_change()  # RFC 7162 3.2
        assert await store.annotate(b.key, {SPECIAL_USE: b"\\DRAFTS"}) == 0
        found = await store.mailbox("B")
        assert found is not None
        assert found.highest_modseq == number
        assert await store.annotation_names(b.key) == [(SPECIAL_USE, 7)]
        other = engine.account(OWNER, "friend")
        await store.set_acl(b.key, "friend", FlagMode.REPLACE, ALL_RIGHTS)
        assert await other.annotation_names(b.key) == []
        with pytest.raises(CannotChangeMailbox):
            await other.annotate(b.key, {SPECIAL_USE: b"\\Sent"})

    asyncio.run(installation.play(scene))


def test_limits_refuse_the_whole_command(installation: Installation) -> None:
    async def scene(engine: Engine, store: Store) -> None:
        box = await inbox(store)
        await store.annotate(box, {f"/private/vendor/x/{n}": b"" for n in range(3)})
        with pytest.raises(TooManyAnnotations):
            await store.annotate(box, {SHARED: b"s", PRIVATE: b"one more"})
        assert await value(store, box, SHARED) is None
        await store.annotate(box, {"/private/vendor/x/0": None, PRIVATE: b"instead"})
        await store.annotate(box, {f"/shared/vendor/x/{n}": b"" for n in range(3)})
        with pytest.raises(AnnotationTooLarge) as refused:
            await store.annotate(box, {"/shared/vendor/x/0": b"x" * 2_001})
        assert refused.value.most == 2_000
        with pytest.raises(OverQuota):
            await store.annotate(box, {f"/shared/vendor/x/{n}": b"x" * 2_000 for n in range(3)})
        assert await value(store, box, "/shared/vendor/x/0") == b""

    limits = AnnotationLimits(value=2_000, entries=3, account=5_000)
    asyncio.run(installation.play(scene, annotations=limits))


@pytest.mark.parametrize(
    "entry",
    [
        "",
        "/private",
        "/private/",
        "/shared/a//b",
        "/shared/A",
        "/other/a",
        "/shared/a*",
        "/shared/a\r\nb",
        "/shared/\u00e9",
    ],
)
def test_names_that_cannot_be_are_refused(installation: Installation, entry: str) -> None:
    async def scene(engine: Engine, store: Store) -> None:
        with pytest.raises(CannotChangeMailbox):
            await store.annotate(ACCOUNT, {SHARED: b"x", entry: b"x"})
        assert await store.annotation_names(ACCOUNT) == []

    asyncio.run(installation.play(scene))


def test_annotations_follow_their_mailbox(installation: Installation) -> None:
    async def scene(engine: Engine, store: Store) -> None:
        made = await store.create_mailbox("A")
        await store.annotate(made.key, {PRIVATE: b"x"})
        await store.rename_mailbox(made.key, "B")
        assert await value(store, made.key, PRIVATE) == b"x"
        await store.delete_mailbox(made.key)
        assert await store.annotations([made.key], [PRIVATE]) == {made.key: {}}
        with pytest.raises(NoSuchMailbox):
            await store.annotation_names(made.key)
        with pytest.raises(NoSuchMailbox):
            await store.annotate(made.key, {PRIVATE: b"x"})
        again = await store.create_mailbox("B")
        assert await value(store, again.key, PRIVATE) is None

    asyncio.run(installation.play(scene))


def test_renaming_inbox_copies_its_annotations(installation: Installation) -> None:
    async def scene(engine: Engine, store: Store) -> None:
        box = await inbox(store)
        await store.annotate(box, {PRIVATE: b"p", SHARED: b"s"})
        await store.rename_mailbox(box, "Old")
        moved = await store.mailbox("Old")
        assert moved is not None
        for key in (box, moved.key):
            assert await store.annotations([key], [PRIVATE, SHARED]) == {key: {PRIVATE: b"p", SHARED: b"s"}}

    asyncio.run(installation.play(scene))


def test_changes_name_the_mailboxes_that_changed(installation: Installation) -> None:
    async def scene(engine: Engine, store: Store) -> None:
        box, other = await inbox(store), (await store.create_mailbox("A")).key
        start = await store.last_change()
        assert await store.changes(start) == await store.changes(start + 5)
        await fill(store, box, 2)
        found = await store.changes(start)
        assert [(mailbox.name, mailbox.messages, others) for mailbox, others in found.mailboxes] == [("INBOX", 2, True)]
        assert (found.events, found.complete, found.modseq) == ([], True, await store.last_change())
        await store.store_flags(box, ALL, FlagMode.ADD, Flags.of(["\\Seen"]))
        await store.move(box, ((1, 1),), other)
        found = await store.changes(found.modseq)
        assert {mailbox.name for mailbox, _ in found.mailboxes} == {"INBOX", "A"}
        assert (await store.changes(found.modseq)).mailboxes == []

    asyncio.run(installation.play(scene))


def test_the_askers_own_changes_are_left_out(installation: Installation) -> None:
    async def scene(engine: Engine, store: Store) -> None:
        box, other = await inbox(store), engine.account(OWNER)
        start = await store.last_change()
        store.own = set()
        await fill(store, box, 2)
        await store.create_mailbox("Mine")
        await store.subscribe("Mine", True)
        await store.annotate(ACCOUNT, {SHARED: b"x"})
        assert store.own == set(range(start + 1, start + 5))
        found = await store.changes(start, store.own)
        assert {(mailbox.name, others) for mailbox, others in found.mailboxes} == {("INBOX", False), ("Mine", False)}
        assert found.events == []
        await fill(other, box, 1)
        await fill(store, box, 1)
        (changed,) = (await store.changes(found.modseq, store.own)).mailboxes
        assert changed[1], "what another did before an own change must not be hidden"
        now = await store.last_change()
        await other.expunge(box, ((1, 1),), deleted_only=False)
        ((_, others),) = (await store.changes(now, store.own)).mailboxes
        assert others
        with pytest.raises(NoSuchMailbox):
            await store.delete_mailbox(999)
        assert max(store.own) == now, "a refused command has no number"

    asyncio.run(installation.play(scene))


def test_a_full_disk_stops_no_removal_of_annotations(installation: Installation) -> None:
    async def scene(engine: Engine, store: Store) -> None:
        with pytest.raises(DiskFull):
            await store.annotate(ACCOUNT, {SHARED: b"x"})
        assert await store.annotate(ACCOUNT, {SHARED: None}) == 0

    asyncio.run(installation.play(scene, reserve=1 << 60))


def test_events_say_what_became_of_names(installation: Installation) -> None:
    async def scene(engine: Engine, store: Store) -> None:
        kept = await store.create_mailbox("Kept")
        start = await store.last_change()
        made = await store.create_mailbox("A/B")
        above = await store.mailbox("A")
        assert above is not None
        await store.rename_mailbox(above.key, "C")
        await store.subscribe("C/B", True)
        await store.rename_mailbox(above.key, "D")
        await store.delete_mailbox(made.key)
        await store.annotate(kept.key, {PRIVATE: b"x", SHARED: b"y"})
        await store.set_role(kept.key, "\\Sent")
        await store.annotate(ACCOUNT, {SHARED: b"z"})
        await store.subscribe("C/B", False)
        found = await store.changes(start)
        told = [(event.change, event.name, event.detail) for event in found.events]
        assert told == [
            (Change.CREATED, "A", ""),
            (Change.CREATED, "A/B", ""),
            (Change.RENAMED, "C", "A"),
            (Change.RENAMED, "C/B", "A/B"),
            (Change.SUBSCRIBED, "C/B", ""),
            (Change.RENAMED, "D", "C"),
            (Change.RENAMED, "D/B", "C/B"),
            (Change.DELETED, "D/B", ""),
            (Change.ANNOTATED, "Kept", PRIVATE),
            (Change.ANNOTATED, "Kept", SHARED),
            (Change.ANNOTATED, "Kept", SPECIAL_USE),
            (Change.ANNOTATED, "", SHARED),
            (Change.UNSUBSCRIBED, "C/B", ""),
        ]
        assert found.names == {"INBOX", "Kept", "D"}
        numbers = [event.modseq for event in found.events]
        assert numbers == sorted(numbers)

    asyncio.run(installation.play(scene))


def test_events_of_another_user_stay_private(installation: Installation) -> None:
    async def scene(engine: Engine, store: Store) -> None:
        box, other = await inbox(store), engine.account(OWNER, "friend")
        start = await store.last_change()
        await store.set_acl(box, "friend", FlagMode.REPLACE, ALL_RIGHTS)
        start = await store.last_change()
        await other.annotate(box, {PRIVATE: b"x"})
        assert (await store.changes(start)).events == []
        await other.annotate(box, {SHARED: b"x"})
        assert [event.change for event in (await store.changes(start)).events] == [Change.ANNOTATED]
        assert [event.detail for event in (await other.changes(start)).events] == [PRIVATE, SHARED]

    asyncio.run(installation.play(scene))


def test_too_many_events_are_said_to_be_too_many(installation: Installation) -> None:
    async def scene(engine: Engine, store: Store) -> None:
        start = await store.last_change()
        box = await inbox(store)
        for turn in range(11):
            await store.annotate(box, {f"/shared/vendor/x/{n}": b"%d" % turn for n in range(100)})
        found = await store.changes(start)
        assert (found.complete, found.events) == (False, [])
        assert [mailbox.name for mailbox, _ in found.mailboxes] == ["INBOX"]

    asyncio.run(installation.play(scene))


STEPS = st.lists(st.tuples(st.sampled_from("cdrs"), st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=12)


@given(STEPS, st.integers(0, 12))
@settings(max_examples=60, deadline=None)
def test_events_lead_from_the_names_before_to_the_names_now(steps: list[tuple[str, int, int]], cut: int) -> None:
    """Random CREATE, DELETE, RENAME, SUBSCRIBE: a watcher that joins at any moment ends with the right names."""
    import tempfile
    from pathlib import Path

    async def scene(engine: Engine, store: Store) -> None:
        known: set[str] = set()
        since = 0
        for n, (what, a, b) in enumerate(steps):
            if n == cut % len(steps):
                known = {mailbox.name for mailbox in await store.mailboxes()}
                since = await store.last_change()
            name = f"M{a}"
            found = await store.mailbox(name)
            if what == "s":
                await store.subscribe(name, bool(b % 2))
            elif found is None:
                await store.create_mailbox(name)
            elif what == "d":
                await store.delete_mailbox(found.key)
            elif await store.mailbox(f"M{b}") is None:
                await store.rename_mailbox(found.key, f"M{b}")
        for event in (await store.changes(since)).events:
            apply(known, event)
        assert known == {mailbox.name for mailbox in await store.mailboxes()}

    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(Installation("sqlite", Path(folder) / "data").play(scene))


def apply(names: set[str], event: Event) -> None:
    if event.change is Change.CREATED:
        names.add(event.name)
    elif event.change is Change.DELETED:
        names.remove(event.name)
    elif event.change is Change.RENAMED:
        names.remove(event.detail)
        names.add(event.name)
