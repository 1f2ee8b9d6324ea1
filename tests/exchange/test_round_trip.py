"""Export and import again: nothing that a client can see may change."""

from __future__ import annotations

import asyncio
import tarfile
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from restante.exchange.export import Form, export_mail
from restante.exchange.incoming import ExchangeRefusal
from restante.store.annotation import ACCOUNT
from restante.store.model import Column, FlagMode, Flags, Identity, Pop3Delete, System

from .store import ALL, SHARED, account, entries, load, picture, put

MESSAGE = (
    b"From: a@example.org\r\nSubject: %d\r\nMessage-ID: <%d@example.org>\r\n\r\nFrom here on, line\r\n>From %d\r\n"
)


def text(n: int) -> bytes:
    return MESSAGE.replace(b"%d", str(n).encode())


async def rich(folder: Path) -> None:
    """An account with everything that is hard to keep."""
    async with account(folder) as store:
        keywords = [f"key{i:02}" for i in range(30)]
        await put(store, "INBOX", text(1), Flags(System.SEEN | System.FLAGGED, frozenset({"$Forwarded"})), 1)
        await put(store, "INBOX", text(2), identity=Identity(uidl="0000002a4e5b5f1b"))
        await put(store, "INBOX", b"Subject: bare\n\rand\x00odd\r\n\r\n\xff", Flags(System.DRAFT), 0xFFFF_FFF0)
        for i, keyword in enumerate(keywords):
            await put(store, "INBOX", text(10 + i), Flags(System.DELETED, frozenset({keyword, keywords[i - 1]})))
        for name in ("Work/2026.07", "Work/2026_07", "Gelöscht & Co/日本語", "Empty", "x" * 240):
            await store.create_mailbox(name)
        sent = await store.create_mailbox("Sent", "\\Sent")
        inbox = await store.mailbox("INBOX")
        assert inbox is not None
        await put(store, "Work/2026.07", text(1), Flags(System.ANSWERED))
        await store.copy(inbox.key, ((1, 2),), sent.key)
        await store.copy(inbox.key, ((1, 1),), inbox.key)  # the same email twice in INBOX: a UIDL suffix
        await store.maildrop()
        await put(store, "Work/2026.07", text(99))
        work = await store.mailbox("Work/2026.07")
        assert work is not None
        await store.store_flags(work.key, ALL, FlagMode.ADD, Flags(System.DELETED))
        await store.expunge(work.key, ((2, 2),))  # UIDNEXT past the last message
        for name in ("INBOX", "Work/2026.07", "Gone/Long ago"):
            await store.subscribe(name, True)
        await store.annotate(work.key, {"/private/comment": b"\0\xff\r\n", "/shared/comment": b""})
        await store.annotate(ACCOUNT, {"/private/filters/values/f": b"SEEN", "/shared/comment": b"x" * 60_000})


def test_maildir_export_and_import_change_nothing(tmp_path: Path) -> None:
    async def work() -> None:
        await rich(tmp_path / "one")
        async with account(tmp_path / "one") as store:
            before = await picture(store)
            done = await export_mail(store, tmp_path / "out")
            assert done.messages == sum(len(each[4]) for each in before.values() if isinstance(each, tuple))
        async with account(tmp_path / "two") as store:
            report = await load(tmp_path / "out", store)
            assert report.skipped == []
            after = await picture(store)
        assert after == before

    asyncio.run(work())


def test_annotations_that_are_there_stay_and_bad_ones_are_reported(tmp_path: Path) -> None:
    async def work() -> None:
        async with account(tmp_path / "one") as store:
            await store.annotate(ACCOUNT, {"/shared/comment": b"old", "/shared/other": b"other"})
            await export_mail(store, tmp_path / "out")
        sidecar = tmp_path / "out" / "restante.jsonl"
        written = sidecar.read_bytes()
        assert written.count(b'"account":true') == 2
        sidecar.write_bytes(written + b'{"entry":"/shared/a\\r\\n* BYE","value":"eA=="}\n')
        async with account(tmp_path / "two") as store:
            await store.annotate(ACCOUNT, {"/shared/comment": b"here"})
            report = await load(tmp_path / "out", store)
            assert [(one.where, one.lost) for one in report.skipped] == [("INBOX: /shared/a\r\n* BYE", False)]
            assert await entries(store, ACCOUNT) == {"/shared/comment": b"here", "/shared/other": b"other"}
        sidecar.write_bytes(written + b'{"entry":"/shared/a","value":"!"}\n')
        async with account(tmp_path / "three") as store:
            assert "an entry cannot be read" in (await load(tmp_path / "out", store)).skipped[0].reason

    asyncio.run(work())


def test_what_pop3_hides_stays_hidden_over_export_and_import(tmp_path: Path) -> None:
    async def work() -> None:
        async with account(tmp_path / "one") as store:
            for n in range(3):
                await put(store, "INBOX", text(n))
            inbox, away = await store.mailbox("INBOX"), await store.create_mailbox("Away")
            assert inbox is not None
            await store.finish_maildrop(((1, 2),), Pop3Delete.KEEP, (), mark_seen=False)
            await store.move(inbox.key, ((2, 2),), away.key)
            seen = [each.uidl for each in await store.maildrop()]
            assert len(seen) == 1
            await export_mail(store, tmp_path / "out")
        async with account(tmp_path / "two") as store:
            await load(tmp_path / "out", store)
            assert [each.uidl for each in await store.maildrop()] == seen
            inbox, moved = await store.mailbox("INBOX"), await store.mailbox("Away")
            assert inbox is not None
            assert moved is not None
            assert inbox.messages == 2
            await store.move(moved.key, ALL, inbox.key)
            assert [each.uidl for each in await store.maildrop()] == seen, "wherever it went and comes back"

    asyncio.run(work())


def test_import_of_an_archived_export_changes_nothing(tmp_path: Path) -> None:
    async def work() -> None:
        await rich(tmp_path / "one")
        async with account(tmp_path / "one") as store:
            before = await picture(store)
            await export_mail(store, tmp_path / "out")
        with tarfile.open(tmp_path / "out.tar.xz", "w:xz") as tar:
            tar.add(tmp_path / "out", "Maildir")
        async with account(tmp_path / "two") as store:
            await load(tmp_path / "out.tar.xz", store)
            assert await picture(store) == before

    asyncio.run(work())


def test_uids_that_were_given_out_are_not_given_out_again(tmp_path: Path) -> None:
    async def work() -> None:
        async with account(tmp_path / "one") as store:
            for n in range(3):
                await put(store, "INBOX", text(n))
            inbox = await store.mailbox("INBOX")
            assert inbox is not None
            await store.expunge(inbox.key, ((2, 3),), deleted_only=False)
            await export_mail(store, tmp_path / "out")
        async with account(tmp_path / "two") as store:
            await load(tmp_path / "out", store)
            again = await store.mailbox("INBOX")
            assert again is not None
            assert (again.uidvalidity, again.uidnext) == (inbox.uidvalidity, 4)
            assert again.highest_modseq >= inbox.highest_modseq

    asyncio.run(work())


def test_import_into_a_used_mailbox_gives_new_uids_and_keeps_the_rest(tmp_path: Path) -> None:
    async def work() -> None:
        async with account(tmp_path / "one") as store:
            first = await put(store, "INBOX", text(1))
            await export_mail(store, tmp_path / "out")
        async with account(tmp_path / "two") as store:
            await put(store, "INBOX", text(2))
            before = await store.mailbox("INBOX")
            await load(tmp_path / "out", store)
            after = await store.mailbox("INBOX")
            assert before is not None
            assert after is not None
            assert (after.uidvalidity, after.messages) == (before.uidvalidity, 2)
            assert (await store.provenance(after.key, ALL))[1][:2] == (2, first)

    asyncio.run(work())


def test_changed_octets_lose_the_identity_and_nothing_else(tmp_path: Path) -> None:
    async def work() -> None:
        async with account(tmp_path / "one") as store:
            first = await put(store, "INBOX", text(1), Flags(System.SEEN))
            await export_mail(store, tmp_path / "out")
        file = next((tmp_path / "out" / "cur").iterdir())
        file.write_bytes(text(7))
        async with account(tmp_path / "two") as store:
            await load(tmp_path / "out", store)
            ((uid, email_id, *_),) = await store.provenance((await store.mailboxes())[0].key, ALL)
            assert uid == 1
            assert email_id != first

    asyncio.run(work())


def test_mbox_export_and_import_keep_octets_flags_and_dates(tmp_path: Path) -> None:
    async def work() -> None:
        flags = Flags(System.SEEN | System.ANSWERED | System.FLAGGED | System.DRAFT | System.DELETED, frozenset({"$x"}))
        async with account(tmp_path / "one") as store:
            await put(store, "INBOX", text(1), flags, 1_234_567_890)
            await put(store, "INBOX", text(2), Flags(), 1_234_567_891)
            await put(store, "A/B", text(3))
            before = await picture(store)
            await export_mail(store, tmp_path / "out", Form.MBOX)
        async with account(tmp_path / "two") as store:
            await load(tmp_path / "out" / "INBOX.mbox", store)
            await load(tmp_path / "out" / "A.sbd", store, "A")
            after = await picture(store)
        for name in ("INBOX", "A/B"):
            one, two = before[name], after[name]
            assert isinstance(one, tuple)
            assert isinstance(two, tuple)
            assert one[5] == two[5]
            assert [row[1:3] for row in one[4]] == [row[1:3] for row in two[4]]

    asyncio.run(work())


def test_mailboxes_whose_names_fall_together_on_a_disk_have_mboxes_of_their_own(tmp_path: Path) -> None:
    names = ["a:b", "a_b", "a?b", "Work", "work", "Work/x", "work/x", ".dot", "dot", "y" * 210 + "1", "y" * 210 + "2"]

    async def work() -> None:
        async with account(tmp_path / "one") as store:
            for number, name in enumerate(names):
                await put(store, name, text(number))
            done = await export_mail(store, tmp_path / "out", Form.MBOX)
            assert done.messages == len(names)
        paths = list((tmp_path / "out").rglob("*.mbox"))
        assert len({str(path).casefold() for path in paths}) == len(paths)
        async with account(tmp_path / "two") as store:
            await load(tmp_path / "out", store)
            found = []
            for box in await store.mailboxes():
                rows = await store.rows(box.key, ALL, (Column.CONTENT,), 100)
                found += [await store.read_content(int(str(content))) for _, content in rows]
        assert sorted(found) == sorted(text(number) for number in range(len(names)))

    asyncio.run(work())


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(
        st.tuples(
            st.binary(max_size=200),
            st.sets(st.sampled_from(["\\Seen", "\\Flagged", "\\Deleted", "$Junk", "a", "b[c", "Z"])),
            st.integers(0, 0xFFFF_FFFF),
            st.sampled_from(["INBOX", "a", "a.b", "A b/c", "ä/&"]),
        ),
        max_size=8,
    )
)
def test_any_octets_flags_and_dates_survive(messages: list[tuple[bytes, set[str], int, str]]) -> None:
    async def work(folder: Path) -> None:
        async with account(folder / "one") as store:
            for data, flags, received, mailbox in messages:
                await put(store, mailbox, data, Flags.of(flags), received)
            before = await picture(store)
            await export_mail(store, folder / "out")
        async with account(folder / "two") as store:
            await load(folder / "out", store)
            assert await picture(store) == before

    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(work(Path(folder)))


def test_a_destination_in_use_is_refused_unless_it_is_asked_for(tmp_path: Path) -> None:
    async def work() -> None:
        (tmp_path / "out").mkdir()
        (tmp_path / "out" / "mine").write_text("keep")
        async with account(tmp_path / "one") as store:
            with pytest.raises(ExchangeRefusal):
                await export_mail(store, tmp_path / "out")
            await export_mail(store, tmp_path / "out", force=True)
        assert (tmp_path / "out" / "mine").read_text() == "keep"

    asyncio.run(work())


@pytest.mark.skipif(not SHARED.is_dir(), reason="../shared/mail is not here")
def test_real_mail_comes_back_whole(tmp_path: Path) -> None:
    async def work() -> None:
        async with account(tmp_path / "one") as store:
            report = await load(SHARED, store)
            assert report.messages == 134
            assert report.lost == 0
            before = await picture(store)
            await export_mail(store, tmp_path / "out")
        real = before["real"]
        assert isinstance(real, tuple)
        for data, file in zip(real[5], sorted((SHARED / "real").glob("*.eml"), key=_number), strict=True):
            original = file.read_bytes()
            assert data == original or data == original.replace(b"\n", b"\r\n")
        async with account(tmp_path / "two") as store:
            await load(tmp_path / "out", store)
            assert await picture(store) == before

    asyncio.run(work())


def _number(path: Path) -> int:
    return int(path.name.split(".")[1])


def test_an_export_into_an_older_one_leaves_no_message_twice(tmp_path: Path) -> None:
    async def work() -> list[str]:
        async with account(tmp_path / "data") as store:
            await put(store, "INBOX", text(1))
            await put(store, "INBOX", text(2))
            await export_mail(store, tmp_path / "out")
            inbox = await store.mailbox("INBOX")
            assert inbox is not None
            await store.store_flags(inbox.key, ((1, 1),), FlagMode.ADD, Flags(System.SEEN))
            (tmp_path / "out" / "cur" / "1.somebody.else:2,").write_bytes(text(3))
            await export_mail(store, tmp_path / "out", force=True)
        return sorted(file.name.partition(":")[2] for file in (tmp_path / "out" / "cur").iterdir())

    assert asyncio.run(work()) == ["2,", "2,", "2,S"]


@pytest.mark.parametrize("form", [Form.MAILDIR, Form.MBOX])
def test_the_longest_keywords_that_imap_takes_come_back(tmp_path: Path, form: Form) -> None:
    keywords = {letter * 255 for letter in "abcdefghijklmnopqrstuvwxyz-_"}  # two of them without a letter

    async def work() -> frozenset[str]:
        async with account(tmp_path / "one") as store:
            await put(store, "INBOX", text(1), Flags.of(keywords))
            await export_mail(store, tmp_path / "out", form)
        async with account(tmp_path / "two") as store:
            await load(tmp_path / "out", store)
            ((_, flags, *_),) = (await picture(store))["INBOX"][4]  # type: ignore[index]
        assert isinstance(flags, Flags)
        return flags.keywords

    assert asyncio.run(work()) == keywords
