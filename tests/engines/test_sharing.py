"""Somebody else's account: what rights let one do, what they do not, and what an index knows. RFC 4314."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from typing import Any

import apsw
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from restante.mime.model import DEFAULT_LIMITS
from restante.query.language import All, Fuzzy, HasFlag, ModSeq, Not
from restante.query.threads import Algorithm
from restante.store.directory import Account, AccountSettings, Domain
from restante.store.errors import CannotChangeMailbox, NoPermission, NoSuchMailbox, OverQuota
from restante.store.interface import Engine, Store
from restante.store.model import Adoption, Blob, Column, FlagMode, Flags, NewMessage, Pop3Delete, ReadyMessage, System
from restante.store.quota import Quota
from restante.store.rights import ALL as EVERY_RIGHT
from restante.store.rights import AclEntry, Rights, parse_rights

from .making import ACCOUNT, ALL, Installation, analysis, fill, inbox, new

ANN = "annannann"
Act = Callable[[Store, int, int], Awaitable[Any]]


async def grant(store: Store, mailbox: int, rights: str, who: str = ANN) -> None:
    await store.set_acl(mailbox, who, FlagMode.REPLACE, parse_rights(rights))


async def _append(guest: Store, box: int, _other: int) -> Any:
    return await guest.append(box, [await new(guest)])


async def _append_ready(guest: Store, box: int, _other: int) -> Any:
    ((blob, answers),) = guest.preparing(DEFAULT_LIMITS).here([b"Subject: x\r\n\r\n"])
    return await guest.append_ready(box, [ReadyMessage(blob, answers, Flags(), 1)])


async def _replace(guest: Store, box: int, target: int) -> Any:
    return await guest.replace(box, 1, target, await new(guest))


ACTS: dict[str, tuple[str, Act]] = {
    "snapshot": ("r", lambda s, box, _: s.snapshot(box)),
    "rows": ("r", lambda s, box, _: s.rows(box, ALL, [Column.FLAGS], 9)),
    "removed": ("r", lambda s, box, _: s.rows(box, ALL, [Column.FLAGS], 9, removed=True)),
    "delta": ("r", lambda s, box, _: s.delta(box, 1)),
    "search": ("r", lambda s, box, _: s.search(box, All(), ALL)),
    "scored": ("r", lambda s, box, _: s.scored(box, Fuzzy(All()), ALL)),
    "sort": ("r", lambda s, box, _: s.sort(box, All(), (), ALL)),
    "thread": ("r", lambda s, box, _: s.thread(box, All(), Algorithm.REFERENCES, ALL)),
    "opening": ("r", lambda s, box, _: s.opening(box)),
    "keywords": ("r", lambda s, box, _: s.keywords(box)),
    "claim_recent": ("r", lambda s, box, _: s.claim_recent(box)),
    "quota": ("r", lambda s, box, _: s.quota()),
    "append": ("i", _append),
    "append_ready": ("i", _append_ready),
    "store seen": ("rs", lambda s, box, _: s.store_flags(box, ALL, FlagMode.ADD, Flags(System.SEEN))),
    "store flagged": ("rw", lambda s, box, _: s.store_flags(box, ALL, FlagMode.ADD, Flags(System.FLAGGED))),
    "store keyword": ("rw", lambda s, box, _: s.store_flags(box, ALL, FlagMode.ADD, Flags.of(["$a"]))),
    "store deleted": ("rt", lambda s, box, _: s.store_flags(box, ALL, FlagMode.ADD, Flags(System.DELETED))),
    "copy from": ("r", lambda s, box, other: s.copy(box, ALL, other)),
    "copy to": ("i", lambda s, box, other: s.copy(other, ALL, box)),
    "move from": ("rte", lambda s, box, other: s.move(box, ALL, other)),
    "move to": ("i", lambda s, box, other: s.move(other, ALL, box)),
    "replace from": ("rte", lambda s, box, other: _replace(s, box, other)),
    "replace to": ("i", lambda s, box, other: _replace(s, other, box)),
    "expunge": ("e", lambda s, box, _: s.expunge(box, None)),
    "expunge all": ("te", lambda s, box, _: s.expunge(box, None, deleted_only=False)),
    "create": ("k", lambda s, box, _: s.create_mailbox("Box/Below")),
    "delete": ("x", lambda s, box, _: s.delete_mailbox(box)),
    "rename": ("x", lambda s, box, _: s.rename_mailbox(box, "Other/Moved")),
    "acl": ("a", lambda s, box, _: s.acl(box)),
    "set_acl": ("a", lambda s, box, _: s.set_acl(box, "carol", FlagMode.ADD, Rights.READ)),
}
"""What an act needs on the mailbox it names; the other mailbox gives every right."""


@pytest.mark.parametrize("name", ACTS)
def test_each_act_needs_its_rights(installation: Installation, name: str) -> None:
    needed, act = ACTS[name]

    async def scene(engine: Engine, store: Store) -> None:
        guest = engine.account(ACCOUNT, ANN)
        box, other = (await store.create_mailbox("Box")).key, (await store.create_mailbox("Other")).key
        for each in (box, other):
            await fill(store, each, 2)
        await grant(store, other, "lrswipkxtea" if name != "quota" else "")
        before = (await store.stats(), await store.acl(box))
        everything = "lrswipkxtea"
        for letter in needed:
            await grant(store, box, everything.replace(letter, ""))
            before = (await store.stats(), await store.acl(box))
            with pytest.raises(NoPermission):
                await act(guest, box, other)
            await grant(store, box, everything.replace(letter, "").replace("l", ""))
            if name not in ("store seen", "store flagged", "store keyword", "store deleted", "create", "quota"):
                with pytest.raises(NoPermission if letter == "k" else NoSuchMailbox):
                    await act(guest, box, other)
        await grant(store, box, "")
        with pytest.raises((NoSuchMailbox, NoPermission)):
            await act(guest, box, other)
        stats, _ = before
        now = await store.stats()
        assert (now.messages, now.mailboxes, now.used) == (stats.messages, stats.mailboxes, stats.used)
        await grant(store, box, needed)
        await act(guest, box, other)

    asyncio.run(installation.play(scene))


REFUSED: dict[str, Callable[[Store, int], Any]] = {
    "subscriptions": lambda s, box: s.subscriptions(),
    "names": lambda s, box: s.names(),
    "fill_search": lambda s, box: s.fill_search(),
    "find_arrivals": lambda s, box: s.find_arrivals(b"", 0),
    "append_by_name": lambda s, box: s.append_by_name("INBOX", []),
    "append_once": lambda s, box: s.append_once("INBOX", NewMessage(Blob(b"", 0, ()), analysis(b""), Flags(), 0)),
    "has_email": lambda s, box: s.has_email("m"),
    "mark": lambda s, box: s.mark(),
    "instant": lambda s, box: s.instant(),
    "answers": lambda s, box: s.answers([1]),
    "adopt": lambda s, box: s.adopt(box, Adoption(1, 1)),
    "reserve_uids": lambda s, box: s.reserve_uids(box, 9),
    "rename_level": lambda s, box: s.rename_level("x", "y"),
    "set_role": lambda s, box: s.set_role(box, None),
    "subscribe": lambda s, box: s.subscribe("INBOX", True),
    "lock_maildrop": lambda s, box: s.lock_maildrop(),
    "maildrop": lambda s, box: s.maildrop(),
    "finish_maildrop": lambda s, box: s.finish_maildrop((), Pop3Delete.REMOVE, (), mark_seen=False),
    "expire_retrieved": lambda s, box: s.expire_retrieved(0),
    "recoverable": lambda s, box: s.recoverable(),
    "undelete": lambda s, box: s.undelete([], None),
    "rewind": lambda s, box: s.rewind(0, apply=False),
    "undo_rewind": lambda s, box: s.undo_rewind(1, apply=False),
    "rewinds": lambda s, box: s.rewinds(),
    "note_rewound": lambda s, box: s.note_rewound(1, box, ALL),
    "bringing_back": lambda s, box: s.bringing_back(),
    "reclaim": lambda s, box: s.reclaim(1),
    "stats": lambda s, box: s.stats(),
    "provenance": lambda s, box: s.provenance(box, ALL),
    "doctor": lambda s, box: s.doctor(False),
    "forget_person": lambda s, box: s.forget_person("x"),
}
GUARDED = {
    "mailboxes",
    "mailbox",
    "flag_columns",
    "shelf",
    "flag_table",
    "put",
    "preparing",
    "room_for",
    "transfer",
    "annotation_names",
    "annotations",
    "annotate",
    "changes",
    "last_change",
    "read_content",
    "read_contents",
    "stream_content",
}
"""Tell no more than rights let (tested below; annotations in test_annotations.py), hold nothing of the account, or take
keys that only `rows` gives."""


def test_no_method_of_a_store_is_left_out() -> None:
    methods = {name for name, _ in inspect.getmembers(Store, inspect.isfunction) if not name.startswith("_")}
    acts = {name.split()[0] for name in ACTS} | {"create_mailbox", "delete_mailbox", "rename_mailbox", "store_flags"}
    assert methods <= acts | set(REFUSED) | GUARDED


async def _awaited(call: Callable[[Store, int], Any], guest: Store, box: int) -> None:
    result = call(guest, box)
    if inspect.isawaitable(result):
        await result


@pytest.mark.parametrize("name", REFUSED)
def test_what_no_right_covers_is_refused(installation: Installation, name: str) -> None:
    async def scene(engine: Engine, store: Store) -> None:
        box = await inbox(store)
        await grant(store, box, "lrswipkxtea")
        with pytest.raises(NoPermission):
            await _awaited(REFUSED[name], engine.account(ACCOUNT, ANN), box)

    asyncio.run(installation.play(scene))


def test_changes_tell_a_guest_of_what_he_may_look_up_and_of_his_own_reading(installation: Installation) -> None:
    async def scene(engine: Engine, store: Store) -> None:
        guest = engine.account(ACCOUNT, ANN)
        read, listed, hidden = [(await store.create_mailbox(name)).key for name in ("Read", "Listed", "Hidden")]
        with pytest.raises(NoPermission):
            await guest.last_change()
        assert (await guest.changes(0)).mailboxes == []
        await grant(store, read, "lrs")
        await grant(store, listed, "l")
        since = await guest.last_change()
        assert since == await store.last_change()
        for box in (read, listed, hidden):
            await fill(store, box, 2)
            await store.annotate(box, {"/shared/comment": b"x", "/private/comment": b"x"})
        await store.rename_mailbox(hidden, "Renamed")
        found = await guest.changes(since)
        assert [(one.name, one.messages, others) for one, others in found.mailboxes] == [
            ("Listed", 0, True),
            ("Read", 2, True),
        ]
        assert [(event.name, event.detail) for event in found.events] == [("Read", "/shared/comment")]
        assert found.names == frozenset()
        since, guest.own = found.modseq, set()
        await guest.store_flags(read, ALL, FlagMode.ADD, Flags.of(["\\Seen"]))
        assert [(one.name, one.unseen, others) for one, others in (await guest.changes(since)).mailboxes] == [
            ("Read", 0, True)
        ]
        assert [others for _, others in (await guest.changes(since, guest.own)).mailboxes] == [False]
        assert [one.name for one, _ in (await store.changes(since)).mailboxes] == []

    asyncio.run(installation.play(scene))


def test_only_what_may_be_looked_up_is_listed_and_nothing_is_counted_unread(installation: Installation) -> None:
    async def scene(engine: Engine, store: Store) -> None:
        guest = engine.account(ACCOUNT, ANN)
        seen, posted = await store.create_mailbox("Seen", "\\Sent"), await store.create_mailbox("Posted")
        for box in (seen.key, posted.key):
            await fill(store, box, 3, "\\Deleted")
        await grant(store, seen.key, "l")
        await grant(store, posted.key, "i")
        (one,) = await guest.mailboxes()
        assert (one.name, one.role, one.rights, one.messages, one.unseen, one.size, one.uidnext) == (
            "Seen", None, Rights.LOOKUP, 0, 0, 0, 1,
        )  # fmt: skip
        found = await guest.mailbox("Posted")
        assert found is not None
        assert (found.messages, found.deleted, found.rights) == (0, 0, Rights.INSERT)
        assert await guest.mailbox("INBOX") is None
        own = await store.mailbox("Seen")
        assert own is not None
        assert (own.rights, own.role, own.messages) == (EVERY_RIGHT, "\\Sent", 3)

    asyncio.run(installation.play(scene))


def test_the_owner_stands_in_no_list(installation: Installation) -> None:
    async def scene(engine: Engine, store: Store) -> None:
        box = await inbox(store)
        for identifier in (ACCOUNT, f"-{ACCOUNT}"):
            with pytest.raises(CannotChangeMailbox):
                await grant(store, box, "lr", identifier)
        assert await store.acl(box) == []
        await grant(store, box, "r", "-anyone")
        assert (await store.snapshot(box)).mailbox.rights == EVERY_RIGHT
        with pytest.raises(NoSuchMailbox):
            await grant(store, 99, "lr")

    asyncio.run(installation.play(scene))


def test_seen_is_each_readers_own_and_numbers_tell_it(installation: Installation) -> None:
    async def scene(engine: Engine, store: Store) -> None:
        box = await inbox(store)
        await fill(store, box, 3, "\\Seen", "$A")
        await grant(store, box, "lrsw")
        ann, carol = engine.account(ACCOUNT, ANN), engine.account(ACCOUNT, "carol")
        await grant(store, box, "lrs", "carol")
        before = (await ann.snapshot(box)).mailbox
        owners = (await store.snapshot(box)).mailbox
        assert (before.unseen, owners.unseen) == (3, 0)
        done = await ann.store_flags(box, ((2, 3),), FlagMode.ADD, Flags(System.SEEN))
        assert list(done.changed) == [2, 3]
        assert done.before == before.highest_modseq
        assert done.mailbox is not None
        assert (done.mailbox.unseen, done.mailbox.highest_modseq) == (1, done.modseq)
        again = await ann.store_flags(box, ((2, 3),), FlagMode.ADD, Flags(System.SEEN))
        assert (again.modseq, list(again.changed)) == (0, [])
        delta = await ann.delta(box, before.highest_modseq)
        table = await ann.flag_table()
        assert [(uid, table.wires[number], modseq) for uid, number, modseq in delta.changed] == [
            (2, b"\\Seen $A", done.modseq), (3, b"\\Seen $A", done.modseq),
        ]  # fmt: skip
        rows = await ann.rows(box, ALL, [Column.FLAGS, Column.MODSEQ], 9)
        assert [table.wires[row[1]] for row in rows] == [b"$A", b"\\Seen $A", b"\\Seen $A"]  # type: ignore[index]  # Column.FLAGS is int
        assert [row[2] for row in rows] == [before.highest_modseq, done.modseq, done.modseq]
        assert (await ann.opening(box)).first_unseen == 1
        assert list(await ann.search(box, HasFlag("\\Seen"), ALL)) == [2, 3]
        assert list(await ann.search(box, Not(HasFlag("\\Seen")), ALL)) == [1]
        assert list(await ann.search(box, ModSeq(done.modseq), ALL)) == [2, 3]
        # others are not touched, nor told
        assert (await store.snapshot(box)).mailbox == owners
        assert (await store.delta(box, owners.highest_modseq)).changed == []
        assert (await carol.snapshot(box)).mailbox.unseen == 3
        late = await ann.store_flags(box, ALL, FlagMode.REMOVE, Flags(System.SEEN), before.highest_modseq)
        assert (list(late.refused), list(late.changed)) == ([2, 3], [])
        off = await ann.store_flags(box, ((2, 2),), FlagMode.REPLACE, Flags.of(["$A"]))
        assert list(off.changed) == [2]
        assert [uid for uid, _, _ in (await ann.delta(box, done.modseq)).changed] == [2]
        assert (await ann.snapshot(box)).mailbox.unseen == 2
        await store.expunge(box, ((3, 3),), deleted_only=False)
        assert (await ann.snapshot(box)).mailbox.unseen == 2
        assert [f async for f in store.doctor(False) if f.code in ("seen", "counter")] == []

    asyncio.run(installation.play(scene))


def test_many_mailboxes_are_listed_as_few_are(installation: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    from restante.store.sqlite import shared

    async def scene(engine: Engine, store: Store) -> None:
        for name in ("A", "B", "C"):
            box = (await store.create_mailbox(name)).key
            await fill(store, box, 3)
            await grant(store, box, "lrs" if name != "C" else "l")
        ann = engine.account(ACCOUNT, ANN)
        a = await ann.mailbox("A")
        assert a is not None
        await ann.store_flags(a.key, ((1, 2),), FlagMode.ADD, Flags(System.SEEN))
        few = await ann.mailboxes()
        assert [(one.name, one.messages, one.unseen) for one in few] == [("A", 3, 1), ("B", 3, 3), ("C", 0, 0)]
        await ann.claim_recent(a.key)
        few = await ann.mailboxes()
        assert [one.recent_uid for one in few] == [3, 0, 0]
        monkeypatch.setattr(shared, "FEW_MAILBOXES", 0)
        assert await ann.mailboxes() == few

    asyncio.run(installation.play(scene))


FLAG_SETS = st.builds(
    Flags, st.integers(0, 31).map(System), st.frozensets(st.sampled_from(["$a", "$b", "c"]))
)  # fmt: skip


@settings(deadline=None, max_examples=25)
@given(FLAG_SETS, FLAG_SETS, st.sampled_from(FlagMode), st.integers(0, 7))
def test_flags_change_as_far_as_rights_go(old: Flags, named: Flags, mode: FlagMode, bits: int) -> None:
    """The owner's view: exactly what the owner's own command would change, where the reader has the right to it."""
    import tempfile
    from pathlib import Path

    rights = "r" + "".join(letter for bit, letter in enumerate("swt") if bits & 1 << bit)

    async def scene(engine: Engine, store: Store) -> None:
        box = await inbox(store)
        await store.append(box, [await new(store), await new(store)])
        await store.store_flags(box, ALL, FlagMode.REPLACE, old)
        await grant(store, box, rights)
        try:
            await engine.account(ACCOUNT, ANN).store_flags(box, ((1, 1),), mode, named)
        except NoPermission:
            pass
        await store.store_flags(box, ((2, 2),), mode, named)
        table = await store.flag_table()
        by_reader, by_owner = (
            table[row[1]]  # type: ignore[index]  # Column.FLAGS is int
            for row in await store.rows(box, ALL, [Column.FLAGS], 2)
        )
        mine = System.NONE
        if "w" in rights:
            mine |= System.ANSWERED | System.FLAGGED | System.DRAFT
        if "t" in rights:
            mine |= System.DELETED
        assert by_reader.system == by_owner.system & mine | old.system & ~mine
        assert by_reader.keywords == (by_owner.keywords if "w" in rights else old.keywords)

    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(Installation("sqlite", Path(folder) / "data").play(scene))


def test_a_change_of_rights_holds_for_others_at_once(installation: Installation) -> None:
    async def scene(engine: Engine, store: Store) -> None:
        box = await inbox(store)
        other = installation.open()  # another process's engine
        try:
            guest = other.account(ACCOUNT, ANN)
            with pytest.raises(NoSuchMailbox):
                await guest.snapshot(box)
            await grant(store, box, "lr")
            assert (await guest.snapshot(box)).mailbox.name == "INBOX"
            await grant(store, box, "lr", "-anyone")
            with pytest.raises(NoSuchMailbox):
                await guest.snapshot(box)
        finally:
            await other.close()

    asyncio.run(installation.play(scene))


def test_a_new_mailbox_takes_the_list_of_the_one_above(installation: Installation) -> None:
    async def scene(engine: Engine, store: Store) -> None:
        top = await store.create_mailbox("Top")
        await grant(store, top.key, "lrk")
        deep = await store.create_mailbox("Top/A/B")
        assert await store.acl(deep.key) == [AclEntry(ANN, parse_rights("lrk"))]
        made = await engine.account(ACCOUNT, ANN).create_mailbox("Top/C")
        assert made.rights == parse_rights("lrk")
        await store.rename_mailbox(deep.key, "Elsewhere")
        assert await store.acl(deep.key) == [AclEntry(ANN, parse_rights("lrk"))]

    asyncio.run(installation.play(scene))


# The index of shares -----------------------------------------------------------------------------------


async def register(engine: Engine, *ids: str) -> None:
    await engine.directory.add_domain(Domain("x.org"))
    for id in ids:
        await engine.directory.add_account(
            Account(id, f"{id}@x.org", "x.org", True, None, AccountSettings(), False, 0, 1)
        )


def test_the_directory_knows_who_shares(installation: Installation) -> None:
    async def scene(engine: Engine, store: Store) -> None:
        await register(engine, ACCOUNT, ANN)
        directory, a, b = engine.directory, await store.create_mailbox("A"), await store.create_mailbox("B")

        async def sharing(who: str = ANN) -> list[str]:
            return [account.id for account in await directory.sharing((who, "anyone", "authenticated"))]

        assert await sharing() == []
        await grant(store, a.key, "lr", f"-{ANN}")
        assert await sharing() == [], "what is taken away is no share"
        await grant(store, a.key, "lr")
        await grant(store, b.key, "l")
        assert await sharing() == [ACCOUNT]
        assert await directory.shares(ACCOUNT, (ANN,))
        assert not await directory.shares(ANN, (ACCOUNT,))
        await grant(store, a.key, "")
        assert await sharing() == [ACCOUNT]
        await store.delete_mailbox(b.key)
        assert await sharing() == []
        await grant(store, a.key, "lr", "anyone")
        assert await sharing("carol") == [ACCOUNT]
        assert await directory.shares_of(ACCOUNT) == ["anyone"]
        assert [f async for f in store.doctor(False) if f.code != "answers"] == []
        await directory.remove_account(ACCOUNT)
        assert await sharing("carol") == []

    asyncio.run(installation.play(scene))


def test_a_crash_between_list_and_index_hides_no_mailbox(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Crash(Exception):
        pass

    async def scene(engine: Engine, store: Store) -> None:
        await register(engine, ACCOUNT, ANN)
        box, directory = await inbox(store), engine.directory
        real = directory.note_shares
        calls: list[int] = []
        crash_at = [0]

        async def note(*arguments: Any) -> None:
            calls.append(1)
            if len(calls) == crash_at[0]:
                raise Crash
            await real(*arguments)

        monkeypatch.setattr(directory, "note_shares", note)
        for rights in ("lr", ""):
            for crash_at[0] in (1, 2):
                calls.clear()
                try:
                    await grant(store, box, rights)
                except Crash:
                    pass
                listed = any(entry.identifier == ANN for entry in await store.acl(box))
                known = await directory.shares(ACCOUNT, (ANN,))
                assert known or not listed, "one too few"
                monkeypatch.setattr(directory, "note_shares", real)
                assert {f.code async for f in store.doctor(True)} <= {"share", "answers"}
                assert [f async for f in store.doctor(False) if f.code == "share"] == []
                assert await directory.shares(ACCOUNT, (ANN,)) == listed
                monkeypatch.setattr(directory, "note_shares", note)

    asyncio.run(installation.play(scene))


def test_doctor_mends_the_index_and_names_who_is_gone(installation: Installation) -> None:
    async def scene(engine: Engine, store: Store) -> None:
        await register(engine, ACCOUNT, ANN)
        box = await inbox(store)
        await grant(store, box, "lr")
        await grant(store, box, "lr", "gone")
        await engine.directory.note_shares(ACCOUNT, (ANN,), frozenset)
        await engine.directory.note_shares(ACCOUNT, ("nobody",))
        codes = sorted([f.code async for f in store.doctor(False) if f.code != "answers"])
        assert codes == ["acl-person", "share", "share"]
        assert all([f.repaired async for f in store.doctor(True) if f.code != "answers"])
        assert [f async for f in store.doctor(False) if f.code != "answers"] == []
        assert await engine.directory.shares_of(ACCOUNT) == [ANN]
        assert [entry.identifier for entry in await store.acl(box)] == [ANN]

    asyncio.run(installation.play(scene))


# Quotas ------------------------------------------------------------------------------------------------


def test_messages_and_mailboxes_are_limited_at_once(installation: Installation) -> None:
    async def scene(engine: Engine, store: Store) -> None:
        await register(engine, ACCOUNT)
        box = await inbox(store)
        await fill(store, box, 3)
        await engine.directory.update_account(ACCOUNT, quota_messages=4, quota_mailboxes=3)
        await fill(store, box, 1)
        for act in (fill(store, box, 1), store.copy(box, ((1, 1),), box)):
            with pytest.raises(OverQuota):
                await act
        await store.move(box, ((1, 1),), box)
        with pytest.raises(OverQuota):
            await store.create_mailbox("A/B/C")
        await store.create_mailbox("A/B")
        a = await store.mailbox("A")
        assert a is not None
        with pytest.raises(OverQuota):
            await store.rename_mailbox(a.key, "X/Y")
        with pytest.raises(OverQuota):
            await store.rename_mailbox(box, "Old")
        await store.rename_mailbox(a.key, "X")
        state = await store.quota()
        assert (state.limits, state.messages, state.mailboxes) == (Quota(0, 4, 3), 4, 3)
        await engine.directory.update_account(ACCOUNT, quota_messages=0, quota_mailboxes=-1)
        await fill(store, box, 1)
        await store.create_mailbox("C")
        guest = engine.account(ACCOUNT, ANN)
        await grant(store, box, "lri")
        await engine.directory.update_account(ACCOUNT, quota_messages=5)
        with pytest.raises(OverQuota):
            await guest.append(box, [await new(guest)])

    asyncio.run(installation.play(scene))


def test_rfc3501_2_3_2_a_reader_has_what_is_recent_for_himself(installation: Installation) -> None:
    """As his \\Seen: neither he nor the owner takes it from the other, and each has it once."""

    async def scene(engine: Engine, store: Store) -> None:
        box = await inbox(store)
        await grant(store, box, "lr")
        await grant(store, box, "lr", "carol")
        ann, carol = engine.account(ACCOUNT, ANN), engine.account(ACCOUNT, "carol")
        await fill(store, box, 2)
        assert await store.claim_recent(box) == (1, 2)
        assert (await ann.snapshot(box)).mailbox.recent_uid == 2, "of old mail he is not the first who is told"
        await fill(store, box, 3)
        modseq = (await store.stats()).modseq
        claims = await asyncio.gather(*(ann.claim_recent(box) for _ in range(3)))
        assert sorted(high - low + 1 for low, high in claims) == [0, 0, 3]
        assert (await ann.snapshot(box)).mailbox.recent_uid == 5
        assert [one.recent_uid for one in await ann.mailboxes()] == [5]
        assert (await carol.snapshot(box)).mailbox.recent_uid == 2
        assert await carol.claim_recent(box) == (3, 5)
        assert await store.claim_recent(box) == (3, 5)
        await fill(store, box, 1)
        assert await store.claim_recent(box) == (6, 6)
        assert await ann.claim_recent(box) == (6, 6)
        assert await ann.claim_recent(box) == (7, 6)
        assert (await store.stats()).modseq == modseq + 1, "claiming takes no number"

    asyncio.run(installation.play(scene))


def test_rfc3501_2_3_2_a_reader_has_his_own_from_his_first_visit_on(installation: Installation) -> None:
    """Also where the owner's sessions had left nothing to be claimed at that visit."""

    async def scene(engine: Engine, store: Store) -> None:
        box = await inbox(store)
        await grant(store, box, "lr")
        ann = engine.account(ACCOUNT, ANN)
        await fill(store, box, 2)
        assert await store.claim_recent(box) == (1, 2)
        assert await ann.claim_recent(box) == (3, 2)
        await fill(store, box, 1)
        assert await store.claim_recent(box) == (3, 3)
        assert (await ann.snapshot(box)).mailbox.recent_uid == 2
        assert await ann.claim_recent(box) == (3, 3)

    asyncio.run(installation.play(scene))


def test_what_a_reader_was_told_goes_with_the_mailbox_and_the_reader(installation: Installation) -> None:
    async def scene(engine: Engine, store: Store) -> None:
        for forget in (False, True):
            box = (await store.create_mailbox("Shared")).key
            await grant(store, box, "lr")
            await fill(store, box, 2)
            await engine.account(ACCOUNT, ANN).claim_recent(box)
            if forget:
                await store.forget_person(ANN)
            else:
                await store.delete_mailbox(box)
            assert told(installation) == 0
            assert [f async for f in store.doctor(False) if f.code == "told"] == []

    def told(installation: Installation) -> int:
        db = apsw.Connection(str(installation.data / "accounts" / ACCOUNT[:2] / f"{ACCOUNT}.db"))
        try:
            return int(db.execute("SELECT count(*) FROM told").get)
        finally:
            db.close()

    asyncio.run(installation.play(scene))
