"""What every side must do: one suite for a server, a Maildir tree, a store and the model in memory.

A test file makes a subclass whose name begins with "Test" and says how a side is made:

    class TestMemory(SideSuite):
        def make(self, folder: Path) -> Side: ...

`make` gives a new side over the same place for the same folder, each time: the first is empty but for INBOX (and
other mailboxes that are always there), later ones find what earlier ones left. What a side cannot do is said by the
class's attributes; everything else has to hold.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import ClassVar, TypeVar

import pytest

from restante.sync.model import Changes, FlagChange, Flags, Message, Place
from restante.sync.outline import mark
from restante.sync.side import Headers, MailboxUnavailable, Side, delete_empty

T = TypeVar("T")
SEEN: Flags = frozenset({"\\Seen"})
NONE: Flags = frozenset()
RECEIVED = 1_234_567_890
LAST = 2**32 - 1


def octets(number: int, body: bytes = b"text\r\n") -> bytes:
    head = f"From: a@suite.example\r\nSubject: number {number}\r\nMessage-ID: <{number}@suite.example>\r\n\r\n"
    return head.encode() + body


def message(number: int, flags: Flags = NONE, body: bytes = b"text\r\n") -> Message:
    return Message(0, octets(number, body), flags, RECEIVED + number)


UNALTERED = {
    "eight-bit": octets(1, "grüße ".encode("latin-1") + b"\r\n"),
    "utf-8-header": "Subject: grüße\r\n\r\nx\r\n".encode(),
    "no-line-end-at-the-end": octets(2, b"no end"),
    "no-body": b"Subject: only a header\r\n\r\n",
    "no-header": b"\r\nonly a body\r\n",
    "long-line": octets(3, b"x" * 20_000 + b"\r\n"),
    "folded": b"Subject: one\r\n two\r\n\tthree\r\nTo: a@b\r\n\r\nx\r\n",
    "dots-and-from": octets(4, b".\r\n..\r\nFrom here\r\n>From there\r\n"),
    "empty-lines": octets(5, b"\r\n\r\n\r\n"),
    "large": octets(6, b"0123456789abcdef\r\n" * 100_000),
}
NAMES = ["Plain", "With space", "Grüße", "日本語", "Sales & Tax", "a.b.c", "100%", "~tilde", "Parent/Child/Grand child"]


class SideSuite:
    """ids: Place.id is there. state: Place.state is. tells: UIDs of what was added, copied and moved. keywords: are
    kept. roles: can be set. emails: EMAILIDs. waits: `wait` tells of changes within `PATIENCE` seconds. names: that
    can be made there. unaltered: keys of UNALTERED that come back as they were."""

    ids: ClassVar[bool] = True
    state: ClassVar[bool] = True
    tells: ClassVar[bool] = True
    keywords: ClassVar[bool] = True
    roles: ClassVar[bool] = True
    emails: ClassVar[bool] = True
    waits: ClassVar[bool] = True
    names: ClassVar[Sequence[str]] = NAMES
    unaltered: ClassVar[Sequence[str]] = tuple(UNALTERED)
    PATIENCE: ClassVar[float] = 30.0

    def make(self, folder: Path) -> Side:
        """A side over the place that belongs to this folder."""
        raise NotImplementedError

    # Helpers ---------------------------------------------------------------------------------------

    def run(self, folder: Path, act: Callable[[Side], Awaitable[T]]) -> T:
        async def go() -> T:
            async with self.opened(folder) as side:
                return await act(side)

        return asyncio.run(go())

    @asynccontextmanager
    async def opened(self, folder: Path) -> AsyncIterator[Side]:
        side = self.make(folder)
        try:
            await side.open()
            yield side
        finally:
            await side.close()

    @staticmethod
    async def place(side: Side, name: str) -> Place:
        (found,) = [place for place in await side.places() if place.name == name]
        return found

    @staticmethod
    async def everything(side: Side, name: str = "INBOX") -> Changes:
        changes = await side.changes(name, None)
        assert changes.full
        assert len(changes.uids) == len(changes.flags)
        assert list(changes.uids) == sorted(set(changes.uids))
        assert all(0 < uid < 2**63 for uid in changes.uids)
        assert changes.emails is None or len(changes.emails) == len(changes.uids)
        return changes

    async def add(self, side: Side, *messages: Message, name: str = "INBOX") -> list[int]:
        """Their UIDs, also where the side does not tell them."""
        before = set((await self.everything(side, name)).uids)
        answers = await side.add(name, messages)
        assert [one.refused for one in answers] == [None] * len(messages)
        new = sorted(set((await self.everything(side, name)).uids) - before)
        assert len(new) == len(messages)
        if self.tells:
            assert sorted(one.uid for one in answers) == new
            return [one.uid for one in answers]
        by_data = {found.data: found.uid async for found in side.fetch(name, new)}
        return [by_data[one.data] for one in messages]

    async def flags(self, side: Side, name: str = "INBOX") -> dict[int, Flags]:
        changes = await self.everything(side, name)
        return dict(zip(changes.uids, changes.flags, strict=True))

    # Mailboxes -------------------------------------------------------------------------------------

    def test_inbox_is_there_and_first(self, tmp_path: Path) -> None:
        async def act(side: Side) -> None:
            places = await side.places()
            assert places[0].name == "INBOX"
            assert places[0].selectable
            assert [one.name for one in places[1:]] == sorted(one.name for one in places[1:])
            assert list((await self.everything(side)).uids) == []

        self.run(tmp_path, act)

    def test_mailboxes_of_all_names_are_made_listed_and_deleted(self, tmp_path: Path) -> None:
        async def make(side: Side) -> None:
            for name in self.names:
                made = await side.create(name, None)
                assert made.name == name
                assert made.selectable
                await self.add(side, message(1), name=name)

        async def look_and_delete(side: Side) -> None:
            there = {place.name: place for place in await side.places()}
            for name in self.names:
                assert there[name].selectable
                assert len((await self.everything(side, name)).uids) == 1
                await side.delete(name)
            selectable = {place.name for place in await side.places() if place.selectable}
            assert selectable.isdisjoint(self.names)

        self.run(tmp_path, make)
        self.run(tmp_path, look_and_delete)

    def test_a_mailbox_that_is_there_is_not_made_again(self, tmp_path: Path) -> None:
        async def act(side: Side) -> None:
            await side.create("New", None)
            await self.add(side, message(1), name="New")
            with pytest.raises(MailboxUnavailable):
                await side.create("New", None)
            assert len((await self.everything(side, "New")).uids) == 1

        self.run(tmp_path, act)

    def test_rename_takes_messages_and_children_along(self, tmp_path: Path) -> None:
        async def act(side: Side) -> None:
            before = await side.create("Old", None)
            await side.create("Old/Child", None)
            await self.add(side, message(1), name="Old")
            await self.add(side, message(2), name="Old/Child")
            await side.rename("Old", "New")
            names = {place.name for place in await side.places() if place.selectable}
            assert {"New", "New/Child"} <= names
            assert names.isdisjoint({"Old", "Old/Child"})
            assert len((await self.everything(side, "New/Child")).uids) == 1
            if self.ids:
                assert before.id is not None
                assert (await self.place(side, "New")).id == before.id

        self.run(tmp_path, act)

    def test_a_mailbox_is_not_renamed_over_another(self, tmp_path: Path) -> None:
        async def act(side: Side) -> None:
            await side.create("A", None)
            await side.create("B", None)
            await self.add(side, message(1), name="B")
            with pytest.raises(MailboxUnavailable):
                await side.rename("A", "B")
            assert len((await self.everything(side, "B")).uids) == 1

        self.run(tmp_path, act)

    def test_deleting_a_mailbox_leaves_its_children(self, tmp_path: Path) -> None:
        async def act(side: Side) -> None:
            await side.create("Parent", None)
            await side.create("Parent/Child", None)
            await self.add(side, message(1), name="Parent")
            await self.add(side, message(2), name="Parent/Child")
            await side.delete("Parent")
            selectable = {place.name for place in await side.places() if place.selectable}
            assert "Parent" not in selectable
            assert "Parent/Child" in selectable
            assert len((await self.everything(side, "Parent/Child")).uids) == 1

        self.run(tmp_path, act)

    def test_a_mailbox_is_deleted_only_where_it_is_empty(self, tmp_path: Path) -> None:
        async def act(side: Side) -> None:
            for name in ("Old", "Old/Child"):
                await side.create(name, None)
                await side.subscribe(name, True)
            (uid,) = await self.add(side, message(1), name="Old/Child")
            for name in ("Old/Child", "Old"):
                assert await delete_empty(side, name) is (name == "Old")
                await side.places()
            assert (await self.everything(side, "Old/Child")).uids.tolist() == [uid]
            await side.remove("Old/Child", [uid])
            assert await delete_empty(side, "Old/Child")
            assert not [place for place in await side.places() if place.name.startswith("Old") and place.selectable]

        self.run(tmp_path, act)

    def test_a_mailbox_made_again_is_another(self, tmp_path: Path) -> None:
        async def act(side: Side) -> None:
            first = await side.create("Again", None)
            await self.add(side, message(1), name="Again")
            changes = await self.everything(side, "Again")
            await side.delete("Again")
            second = await side.create("Again", None)
            assert second.validity != first.validity
            new = await side.changes("Again", changes.cursor)
            assert new.full
            assert new.validity == second.validity
            assert list(new.uids) == []

        self.run(tmp_path, act)

    def test_what_is_not_there_is_unavailable(self, tmp_path: Path) -> None:
        async def act(side: Side) -> None:
            with pytest.raises(MailboxUnavailable):
                await side.changes("Nowhere", None)
            with pytest.raises(MailboxUnavailable):
                await side.add("Nowhere", [message(1)])
            with pytest.raises(MailboxUnavailable):
                await side.delete("Nowhere")
            with pytest.raises(MailboxUnavailable):
                await side.rename("Nowhere", "Elsewhere")
            assert list((await self.everything(side)).uids) == []

        self.run(tmp_path, act)

    def test_subscription_and_role(self, tmp_path: Path) -> None:
        async def write(side: Side) -> None:
            await side.create("Subscribed", None)
            await side.create("Other", None)
            await side.subscribe("Subscribed", True)
            await side.subscribe("Other", True)
            await side.subscribe("Other", False)
            assert await side.set_role("Other", "\\Archive") is self.roles

        async def look(side: Side) -> None:
            subscribed, other = await self.place(side, "Subscribed"), await self.place(side, "Other")
            assert subscribed.subscribed
            assert not other.subscribed
            if self.roles:
                assert other.role == "\\Archive"
                assert await side.set_role("Other", None)
                assert (await self.place(side, "Other")).role is None

        self.run(tmp_path, write)
        self.run(tmp_path, look)

    # Adding and reading ----------------------------------------------------------------------------

    def test_octets_come_back_unaltered(self, tmp_path: Path) -> None:
        async def write(side: Side) -> None:
            await self.add(side, *(Message(0, UNALTERED[key], NONE, RECEIVED) for key in self.unaltered))

        async def look(side: Side) -> None:
            uids = (await self.everything(side)).uids
            found = {one.uid: one.data async for one in side.fetch("INBOX", uids)}
            assert sorted(found.values()) == sorted(UNALTERED[key] for key in self.unaltered)
            for outline in await side.outlines("INBOX", uids):
                assert outline.size in (None, len(found[outline.uid]))
                assert outline.mark == mark(found[outline.uid])
            if isinstance(side, Headers):
                for uid, header in await side.headers("INBOX", uids):
                    assert mark(header) == mark(found[uid])
                    assert len(header) <= len(found[uid]) + 2

        self.run(tmp_path, write)
        self.run(tmp_path, look)

    def test_flags_and_dates_are_kept(self, tmp_path: Path) -> None:
        sets: list[Flags] = [NONE, SEEN, frozenset({"\\Answered", "\\Flagged", "\\Draft"}), frozenset({"\\Deleted"})]
        if self.keywords:
            sets += [frozenset({"$Forwarded", "\\Seen"}), frozenset({"custom", "$MDNSent"})]

        async def act(side: Side) -> None:
            uids = await self.add(side, *(message(n, flags) for n, flags in enumerate(sets)))
            assert await self.flags(side) == dict(zip(uids, sets, strict=True))
            outlines = {one.uid: one for one in await side.outlines("INBOX", sorted(uids))}
            async for found in side.fetch("INBOX", uids):
                number = uids.index(found.uid)
                assert (found.flags, found.received) == (sets[number], RECEIVED + number)
                assert outlines[found.uid].received == RECEIVED + number
            if self.emails:
                emails = {one.email for one in outlines.values()}
                assert None not in emails
                assert len(emails) == len(sets)
                assert set((await self.everything(side)).emails or []) == emails

        self.run(tmp_path, act)

    def test_reading_marks_nothing(self, tmp_path: Path) -> None:
        async def act(side: Side) -> None:
            (uid,) = await self.add(side, message(1))
            assert [one.flags async for one in side.fetch("INBOX", [uid])] == [NONE]
            await side.outlines("INBOX", [uid])
            if isinstance(side, Headers):
                await side.headers("INBOX", [uid])
            assert await self.flags(side) == {uid: NONE}

        self.run(tmp_path, act)

    def test_equal_messages_are_two(self, tmp_path: Path) -> None:
        async def act(side: Side) -> None:
            await side.add("INBOX", [message(1), message(1)])
            await side.add("INBOX", [message(1)])
            assert len((await self.everything(side)).uids) == 3

        self.run(tmp_path, act)

    def test_what_is_gone_or_was_never_there_is_passed_over(self, tmp_path: Path) -> None:
        async def act(side: Side) -> None:
            first, second = await self.add(side, message(1), message(2))
            await side.remove("INBOX", [first])
            gone = [first, second, LAST - 1]
            assert [one.uid async for one in side.fetch("INBOX", gone)] == [second]
            assert [one.uid for one in await side.outlines("INBOX", gone)] == [second]
            await side.set_flags("INBOX", [FlagChange(gone, SEEN, NONE)])
            assert await self.flags(side) == {second: SEEN}
            await side.create("Other", None)
            copied = await side.copy("INBOX", gone, "Other")
            moved = await side.move("INBOX", gone, "Other")
            for answers in (copied, moved):
                assert (answers[0], answers[2]) == (0, 0)
                assert (answers[1] > 0) is self.tells
            await side.remove("INBOX", gone)
            assert await self.flags(side) == {}
            assert len(await self.flags(side, "Other")) == 2

        self.run(tmp_path, act)

    def test_nothing_asked_is_nothing_done(self, tmp_path: Path) -> None:
        async def act(side: Side) -> None:
            await side.create("Other", None)
            assert await side.add("INBOX", []) == []
            assert await side.outlines("INBOX", []) == []
            assert [one async for one in side.fetch("INBOX", [])] == []
            assert await side.copy("INBOX", [], "Other") == []
            assert await side.move("INBOX", [], "Other") == []
            await side.set_flags("INBOX", [])
            await side.set_flags("INBOX", [FlagChange([], SEEN, NONE)])
            await side.remove("INBOX", [])

        self.run(tmp_path, act)

    def test_many_at_once(self, tmp_path: Path) -> None:
        count = 1200

        async def act(side: Side) -> None:
            uids = await self.add(side, *(message(n) for n in range(count)))
            assert len({one.uid async for one in side.fetch("INBOX", sorted(uids))}) == count
            assert len(await side.outlines("INBOX", sorted(uids))) == count
            every_other = sorted(uids)[::2]
            await side.set_flags("INBOX", [FlagChange(every_other, SEEN, NONE)])
            assert sorted(uid for uid, flags in (await self.flags(side)).items() if flags == SEEN) == every_other
            await side.remove("INBOX", every_other)
            assert list((await self.everything(side)).uids) == sorted(uids)[1::2]

        self.run(tmp_path, act)

    # Changing messages -----------------------------------------------------------------------------

    def test_flags_change_by_what_is_named(self, tmp_path: Path) -> None:
        async def act(side: Side) -> None:
            first, second = await self.add(side, message(1, frozenset({"\\Flagged"})), message(2, SEEN))
            both = sorted([first, second])
            await side.set_flags(
                "INBOX",
                [FlagChange(both, frozenset({"\\Answered"}), SEEN), FlagChange([second], frozenset({"\\Draft"}), NONE)],
            )
            assert await self.flags(side) == {
                first: {"\\Flagged", "\\Answered"},
                second: {"\\Answered", "\\Draft"},
            }

        self.run(tmp_path, act)

    def test_keywords_are_kept_with_one_spelling(self, tmp_path: Path) -> None:
        if not self.keywords:
            pytest.skip("keeps no keywords")
        many = [f"keyword{number}" for number in range(40)]

        async def write(side: Side) -> None:
            first, second = await self.add(side, message(1), message(2, frozenset({"Work"})))
            await side.set_flags("INBOX", [FlagChange([first], frozenset({*many, "Work"}), NONE)])
            await side.set_flags("INBOX", [FlagChange([second], NONE, frozenset({"Work"}))])

        async def look(side: Side) -> None:
            assert sorted(map(sorted, (await self.flags(side)).values())) == [[], sorted({*many, "Work"})]

        self.run(tmp_path, write)
        self.run(tmp_path, look)

    def test_remove_takes_only_what_is_named(self, tmp_path: Path) -> None:
        async def act(side: Side) -> None:
            deleted = frozenset({"\\Deleted"})
            first, second, third = await self.add(side, message(1, deleted), message(2), message(3, deleted))
            await side.remove("INBOX", [second])
            assert await self.flags(side) == {first: deleted, third: deleted}

        self.run(tmp_path, act)

    def test_a_uid_never_comes_back(self, tmp_path: Path) -> None:
        async def act(side: Side) -> int:
            (uid,) = await self.add(side, message(1))
            await side.remove("INBOX", [uid])
            return uid

        uids = [self.run(tmp_path, act) for _ in range(3)]
        assert uids == sorted(set(uids))

    def test_move_and_copy_keep_flags_date_octets_and_identity(self, tmp_path: Path) -> None:
        async def act(side: Side) -> None:
            await side.create("Other", None)
            uids = await self.add(side, message(1, SEEN), message(2), message(3, frozenset({"\\Flagged"})))
            before = {one.data: one async for one in side.fetch("INBOX", uids)}
            moved = await side.move("INBOX", sorted(uids[:2]), "Other")
            copied = await side.copy("INBOX", uids[2:], "Other")
            assert list((await self.everything(side)).uids) == uids[2:]
            there = {one.uid: one async for one in side.fetch("Other", (await self.everything(side, "Other")).uids)}
            assert len(there) == 3
            for one in there.values():
                old = before[one.data]
                assert (one.flags, one.received, one.email) == (old.flags, old.received, old.email)
            if self.tells:
                assert [there[uid].data for uid in moved + copied] == [octets(n) for n in (1, 2, 3)]
            else:
                assert moved + copied == [0, 0, 0]

        self.run(tmp_path, act)

    # What changed ----------------------------------------------------------------------------------

    def test_changes_since_a_cursor_tell_all_that_changed(self, tmp_path: Path) -> None:
        async def act(side: Side) -> None:
            kept, flagged, removed = await self.add(side, message(1), message(2), message(3))
            before = await self.everything(side)
            (new,) = await self.add(side, message(4))
            await side.set_flags("INBOX", [FlagChange([flagged], SEEN, NONE)])
            await side.remove("INBOX", [removed])
            changes = await side.changes("INBOX", before.cursor)
            seen = dict(zip(changes.uids, changes.flags, strict=True))
            assert changes.validity == before.validity
            assert (seen[new], seen[flagged]) == (NONE, SEEN)
            assert seen.get(kept, NONE) == NONE
            assert removed not in seen
            if changes.full:
                assert set(seen) == {kept, flagged, new}
            else:
                assert removed in changes.vanished
                assert not set(changes.vanished) & set(seen)
                assert list(changes.vanished) == sorted(changes.vanished)
            after = await side.changes("INBOX", changes.cursor)
            assert after.full or not set(after.vanished) & {kept, flagged, new}
            if after.full:
                assert set(after.uids) == {kept, flagged, new}

        self.run(tmp_path, act)

    @pytest.mark.parametrize("others", [0, 3])
    def test_what_came_and_went_since_is_told_as_gone(self, others: int, tmp_path: Path) -> None:
        """A run that was cut off knows what it added, and its cursor does not."""

        async def act(side: Side) -> None:
            await self.add(side, *(message(number) for number in range(others)))
            cursor = (await self.everything(side)).cursor
            first, second, third = await self.add(side, message(10), message(11), message(12))
            await side.remove("INBOX", [first, third])
            changes = await side.changes("INBOX", cursor)
            assert second in changes.uids
            if not changes.full:
                assert {first, third} <= set(changes.vanished)
                assert second not in changes.vanished
                assert list(changes.vanished) == sorted(changes.vanished)

        self.run(tmp_path, act)

    def test_a_cursor_outlives_the_side(self, tmp_path: Path) -> None:
        async def first(side: Side) -> tuple[Changes, str | None]:
            await self.add(side, message(1), message(2))
            return await self.everything(side), (await self.place(side, "INBOX")).state

        async def again(side: Side) -> None:
            assert (await self.place(side, "INBOX")).validity == before.validity
            assert (await self.place(side, "INBOX")).state == state
            now = await self.everything(side)
            assert (now.uids, now.flags) == (before.uids, before.flags)
            changes = await side.changes("INBOX", before.cursor)
            assert changes.validity == before.validity
            (new,) = await self.add(side, message(3))
            assert new in (await side.changes("INBOX", before.cursor)).uids

        before, state = self.run(tmp_path, first)
        self.run(tmp_path, again)

    def test_a_foreign_cursor_gives_everything(self, tmp_path: Path) -> None:
        async def act(side: Side) -> None:
            (uid,) = await self.add(side, message(1))
            await side.create("Other", None)
            (await self.add(side, message(2), name="Other"))
            cursor = (await self.everything(side, "Other")).cursor
            await side.delete("Other")
            await side.create("Other", None)
            (again,) = await self.add(side, message(3), name="Other")
            changes = await side.changes("Other", cursor)
            assert changes.full
            assert list(changes.uids) == [again]
            assert list((await self.everything(side)).uids) == [uid]

        self.run(tmp_path, act)

    def test_state_moves_with_every_change_and_with_nothing_else(self, tmp_path: Path) -> None:
        async def act(side: Side) -> None:
            async def state(name: str = "INBOX") -> str | None:
                return (await self.place(side, name)).state

            if not self.state:
                assert await state() is None
                return
            await side.create("Other", None)
            seen = [await state()]
            other = await state("Other")
            (uid,) = await self.add(side, message(1))
            seen.append(await state())
            await side.set_flags("INBOX", [FlagChange([uid], SEEN, NONE)])
            seen.append(await state())
            await side.set_flags("INBOX", [FlagChange([uid], NONE, SEEN)])
            seen.append(await state())
            await side.remove("INBOX", [uid])
            seen.append(await state())
            assert None not in seen
            assert len(set(seen)) == len(seen)
            assert [one async for one in side.fetch("INBOX", [uid])] == []
            assert await state() == seen[-1]
            assert await state("Other") == other

        self.run(tmp_path, act)

    def test_a_look_sees_what_others_did_to_the_mailbox_that_was_used_last(self, tmp_path: Path) -> None:
        async def act(side: Side) -> None:
            (uid,) = await self.add(side, message(1))
            await side.set_flags("INBOX", [FlagChange([uid], SEEN, NONE)])
            async with self.opened(tmp_path) as elsewhere:
                await elsewhere.places()
                for flag in ("\\Flagged", "\\Answered"):
                    cursor = (await self.everything(side)).cursor
                    before = await self.place(side, "INBOX")
                    await elsewhere.set_flags("INBOX", [FlagChange([uid], frozenset({flag}), NONE)])
                    after = await self.place(side, "INBOX")
                    assert before.state is None or before.state != after.state
                    assert flag in (await side.changes("INBOX", cursor)).flags[0]

        self.run(tmp_path, act)

    def test_messages_are_counted_if_at_all(self, tmp_path: Path) -> None:
        async def act(side: Side) -> None:
            await self.add(side, message(1), message(2))
            assert (await self.place(side, "INBOX")).messages in (None, 2)

        self.run(tmp_path, act)

    # Together --------------------------------------------------------------------------------------

    def test_calls_for_different_mailboxes_may_overlap(self, tmp_path: Path) -> None:
        names = [f"Box {number}" for number in range(6)]

        async def work(side: Side, number: int, name: str) -> None:
            uids = await self.add(side, *(message(100 * number + n) for n in range(20)), name=name)
            await side.set_flags(name, [FlagChange(sorted(uids)[:10], SEEN, NONE)])
            found = sorted([one.data async for one in side.fetch(name, uids)])
            assert found == sorted(octets(100 * number + n) for n in range(20))
            await side.remove(name, sorted(uids)[:5])
            assert sorted((await self.flags(side, name)).values(), key=len) == [NONE] * 10 + [SEEN] * 5

        async def act(side: Side) -> None:
            for name in names:
                await side.create(name, None)
            async with asyncio.TaskGroup() as group:
                for number, name in enumerate(names):
                    group.create_task(work(side, number, name))

        self.run(tmp_path, act)

    def test_a_mailbox_is_read_while_it_is_added_to(self, tmp_path: Path) -> None:
        async def act(side: Side) -> None:
            uids = await self.add(side, *(message(n) for n in range(30)))
            found = []
            async for one in side.fetch("INBOX", uids):
                found.append(one.uid)
                if len(found) == 3:
                    await side.add("INBOX", [message(99)])
            assert sorted(found) == sorted(uids)

        self.run(tmp_path, act)

    def test_wait_tells_what_changed(self, tmp_path: Path) -> None:
        if not self.waits:
            pytest.skip("cannot wait")

        async def act(side: Side) -> None:
            await side.create("Other", None)
            await side.places()
            async with self.opened(tmp_path) as elsewhere:
                async with asyncio.timeout(self.PATIENCE):
                    waiting = asyncio.create_task(side.wait(["INBOX", "Other"]))
                    await asyncio.sleep(0)
                    await elsewhere.add("Other", [message(1)])
                    assert "Other" in await waiting
                await side.places()
                await elsewhere.add("INBOX", [message(2)])
                async with asyncio.timeout(self.PATIENCE):
                    assert "INBOX" in await side.wait(["INBOX", "Other"])

        self.run(tmp_path, act)

    def test_a_wait_can_be_given_up(self, tmp_path: Path) -> None:
        if not self.waits:
            pytest.skip("cannot wait")

        async def act(side: Side) -> None:
            await side.places()
            waiting = asyncio.create_task(side.wait(["INBOX"]))
            await asyncio.sleep(0)
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting

        self.run(tmp_path, act)
