"""Folders, Maildirs of other servers, archives friendly and hostile."""

from __future__ import annotations

import asyncio
import io
import os
import tarfile
import zipfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from restante.exchange import archive, dovecot
from restante.exchange.detect import open_source
from restante.exchange.filing import Filing
from restante.exchange.incoming import ExchangeRefusal, Incoming, Item, NoSuchSource, Skipped, SourceMailbox, Unsafe
from restante.exchange.maildir import Pop3Uidl
from restante.exchange.names import clean, decode_utf7, encode_utf7, folder_of
from restante.exchange.sidecar import MailboxLine, MessageLine, encode
from restante.exchange.tree import File, read_whole
from restante.store.model import Flags, Identity, System

from .store import account, load, picture, put

MESSAGE = b"Subject: s\nDate: Mon, 3 Jun 1996 12:50:27 +0000\n\nbody\n"


def items(path: Path, largest: int = 1 << 20, pop3_uidl: Pop3Uidl = Pop3Uidl.DOVECOT) -> list[Item]:
    source = open_source(path, largest, pop3_uidl)
    try:
        return list(source.items())
    finally:
        source.close()


def messages(path: Path) -> list[Incoming]:
    return [each for each in items(path) if isinstance(each, Incoming)]


def skipped(path: Path, largest: int = 1 << 20) -> dict[str, str]:
    return {each.where: each.reason for each in items(path, largest) if isinstance(each, Skipped)}


def old_maildir(root: Path) -> Path:
    """As a Dovecot may have left it."""
    for folder in (root, root / ".Sent", root / ".Gel&APY-scht.alt"):
        for name in ("cur", "new", "tmp"):
            (folder / name).mkdir(parents=True)
    (root / "cur" / "1000000000.M1.host,S=57:2,FRSac").write_bytes(MESSAGE)
    (root / "cur" / "1000000005.M2.host:2,DTP").write_bytes(MESSAGE)
    (root / "new" / "1000000009.M3.host").write_bytes(MESSAGE)
    (root / "tmp" / "1000000009.M4.host").write_bytes(b"half")
    (root / "dovecot-keywords").write_text("0 $Label1\n1 x\n2 bad(one\n")
    (root / "dovecot-uidlist").write_text(
        "3 V1275660208 N42 G3085f01b7f11094c501100008c4a11c1\n"
        "7 P0001.old :1000000005.M2.host\n9 W60 S57 :1000000000.M1.host,S=57:2,S\nbroken\n"
    )
    (root / "subscriptions").write_text("V\t2\n\nSent\nGel&APY-scht\talt\nGone\n")
    (root / "dovecot.index.cache").write_bytes(b"\0")
    for path in root.rglob("*.host*"):
        os.utime(path, (1_500_000_000, 1_500_000_000))
    return root


def test_a_dovecot_maildir_brings_flags_keywords_uids_and_dates(tmp_path: Path) -> None:
    found = items(old_maildir(tmp_path / "Maildir"))
    boxes = [each for each in found if isinstance(each, SourceMailbox)]
    assert [(each.name, each.uidvalidity, each.uidnext) for each in boxes] == [
        ("", 1275660208, 42),
        ("Gelöscht/alt", None, None),
        ("Sent", None, None),
    ]
    first, second, third = (each for each in found if isinstance(each, Incoming))
    assert first.flags == Flags(System.DRAFT | System.DELETED, frozenset({"$Forwarded"}))
    assert first.identity == Identity(uid=7, uidl="0001.old")
    assert second.flags == Flags(System.SEEN | System.FLAGGED | System.ANSWERED, frozenset({"$Label1"}))
    assert second.identity == Identity(uid=9, uidl="000000094c0907b0")
    assert third.identity == Identity()
    assert [each.received for each in (first, second, third)] == [1_000_000_005, 1_000_000_000, 1_000_000_009]
    assert {each.where for each in found if isinstance(each, Skipped)} == {"Maildir/dovecot-uidlist"}


@pytest.mark.parametrize(
    ("how", "uidl"),
    [(Pop3Uidl.NONE, None), (Pop3Uidl.FILE, "1000000000.M1.host,S=57"), (Pop3Uidl.DOVECOT, "000000094c0907b0")],
)
def test_the_old_uidl_is_what_the_person_says_it_was(tmp_path: Path, how: Pop3Uidl, uidl: str | None) -> None:
    found = [each for each in items(old_maildir(tmp_path), pop3_uidl=how) if isinstance(each, Incoming)]
    assert found[1].identity.uidl == uidl


def test_a_maildir_lands_with_its_uids_and_subscriptions(tmp_path: Path) -> None:
    async def work() -> None:
        async with account(tmp_path / "data") as store:
            report = await load(old_maildir(tmp_path / "Maildir"), store)
            assert (report.messages, report.lost) == (3, 0)
            found = await picture(store)
        inbox = found["INBOX"]
        assert isinstance(inbox, tuple)
        assert inbox[1:3] == (1275660208, 43)
        assert [row[0] for row in inbox[4]] == [7, 9, 42]
        assert found["subscriptions"] == ["Gelöscht/alt", "Gone", "INBOX", "Sent"]

    asyncio.run(work())


def test_a_second_folder_of_a_name_takes_no_uid_that_was_given_out(tmp_path: Path) -> None:
    for folder in (".A.B", "A/B"):
        (tmp_path / "Maildir" / folder / "cur").mkdir(parents=True)
        (tmp_path / "Maildir" / folder / "cur" / f"1000000000.M1.{len(folder)}:2,").write_bytes(MESSAGE)
        (tmp_path / "Maildir" / folder / "dovecot-uidlist").write_text(f"3 V7 N42 G0\n9 :1000000000.M1.{len(folder)}\n")

    async def work() -> None:
        async with account(tmp_path / "data") as store:
            assert (await load(tmp_path / "Maildir", store)).messages == 2
            found = (await picture(store))["A/B"]
        assert isinstance(found, tuple)
        assert [row[0] for row in found[4]] == [9, 42]

    asyncio.run(work())


def test_folders_within_folders_of_other_programs(tmp_path: Path) -> None:
    """Thunderbird's Maildir, KMail's, Maildir++, folders within folders."""
    for number, folder in enumerate(("A.sbd/B", ".A.directory/.C.directory/D", "A", ".A.sbd", ".E.directory", "F/G")):
        (tmp_path / folder / "cur").mkdir(parents=True)
        (tmp_path / folder / "cur" / f"100000000{number}.M1.h:2,").write_bytes(MESSAGE)
    names = {each.received % 10: each.mailbox for each in messages(tmp_path)}
    assert [names[n] for n in range(6)] == ["A/B", "A/C/D", "A", "A/sbd", "E/directory", "F/G"]


def test_messages_that_a_uidlist_lacks_are_filed_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "Maildir" / "new").mkdir(parents=True)
    for number in range(20):
        (tmp_path / "Maildir" / "new" / f"{1_000_000_000 + number}.M1.h").write_bytes(MESSAGE)
    (tmp_path / "Maildir" / "dovecot-uidlist").write_text("3 V7 N42 G0\n")
    settled = 0
    settle = Filing.settle

    async def counted(self: Filing) -> None:
        nonlocal settled
        settled += 1
        await settle(self)

    async def work() -> None:
        async with account(tmp_path / "data") as store:
            assert (await load(tmp_path / "Maildir", store)).messages == 20

    monkeypatch.setattr(Filing, "settle", counted)
    asyncio.run(work())
    assert settled == 3, "before the mailbox, before the newcomers, at the end"


def test_a_folder_of_messages(tmp_path: Path) -> None:
    for name in ("a/message.10.eml", "a/message.9.eml", "b.sbd/c.mbox", "top.eml", "a/README.md", "a/x.msg"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"From - Mon Jun  3 12:50:27 1996\n" + MESSAGE if name.endswith("mbox") else MESSAGE)
    (tmp_path / "a" / "README.md").write_text("# About\n")
    (tmp_path / "a" / "x.msg").write_bytes(b"\xd0\xcf\x11\xe0")
    (tmp_path / "link.eml").symlink_to("/etc/passwd")
    os.mkfifo(tmp_path / "pipe.eml")
    found = messages(tmp_path)
    assert [(each.mailbox, each.where.partition(" ")[0]) for each in found] == [
        ("", "top.eml"),
        ("a", "a/message.9.eml"),
        ("a", "a/message.10.eml"),
        ("b/c", "b.sbd/c.mbox"),
    ]
    assert {each.received for each in found} == {833_806_227}
    assert set(skipped(tmp_path)) == {"link.eml", "pipe.eml", "a/README.md", "a/x.msg"}


def test_too_large_and_empty_are_said(tmp_path: Path) -> None:
    (tmp_path / "1.eml").write_bytes(b"")
    (tmp_path / "2.eml").write_bytes(MESSAGE * 100)
    assert set(skipped(tmp_path, largest=1000)) == {"1.eml", "2.eml"}


def test_an_empty_mbox_is_a_mailbox_and_no_loss(tmp_path: Path) -> None:
    """As `export --format mbox` writes them of mailboxes without mail."""
    for name in ("Sent.mbox", "A.sbd/B.mbox", "spool"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    items = list(open_source(tmp_path).items())
    assert {item.name for item in items if isinstance(item, SourceMailbox)} == {"A/B", "Sent"}
    assert [(item.where, item.lost) for item in items if isinstance(item, Skipped)] == [("spool", False)]
    (alone,) = open_source(tmp_path / "Sent.mbox").items()
    assert alone == SourceMailbox("")


def test_a_file_that_was_named_itself_may_have_been_mail(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"\x01\x02\x03")
    (item,) = open_source(tmp_path / "a").items()
    assert isinstance(item, Skipped)
    assert item.lost
    (item,) = open_source(tmp_path).items()
    assert isinstance(item, Skipped)
    assert not item.lost, "beside others it is not of interest"


def test_what_mh_has_removed_stays_removed(tmp_path: Path) -> None:
    for name in ("1", "2", ",3", "#4"):
        (tmp_path / name).write_bytes(MESSAGE)
    assert [each.where for each in messages(tmp_path)] == ["1", "2"]
    assert set(skipped(tmp_path)) == {",3", "#4"}


def test_mail_in_a_form_that_is_not_read_is_no_success(tmp_path: Path) -> None:
    for name in ("12.emlx", "Outlook.PST", "old.tar.gz", "cover.jpg"):
        (tmp_path / name).write_bytes(b"57\n\1\2\3")
    found = [each for each in items(tmp_path) if isinstance(each, Skipped)]
    assert {each.where for each in found if each.lost} == {"12.emlx", "Outlook.PST", "old.tar.gz"}
    assert {each.where for each in found if not each.lost} == {"cover.jpg"}


def test_what_macos_lays_beside_files_is_no_mail(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as made:
        made.writestr("a/1.eml", MESSAGE)
        made.writestr("Sent.mbox/mbox", b"From - Mon Jun  3 12:50:27 1996\n" + MESSAGE)
        for name in ("a/._1.eml", "._Sent.mbox"):
            made.writestr("__MACOSX/" + name, b"\0\5\x16\7\0\2\0\0Mac OS X")
    found = items(tmp_path / "a.zip")
    assert {each.name for each in found if isinstance(each, SourceMailbox)} == {"a", "Sent"}
    assert [each.mailbox for each in found if isinstance(each, Incoming)] == ["Sent", "a"]
    assert not any(each.lost for each in found if isinstance(each, Skipped))


def test_nothing_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NoSuchSource):
        open_source(tmp_path / "none")


@pytest.mark.parametrize("mode", ["w:", "w:gz", "w:xz", "w:bz2"])
def test_tar_files(tmp_path: Path, mode: str) -> None:
    old_maildir(tmp_path / "Maildir")
    with tarfile.open(tmp_path / "mail.bin", mode) as tar:  # type: ignore[call-overload]  # mode is one of four
        tar.add(tmp_path / "Maildir", "home/Maildir")
    found = messages(tmp_path / "mail.bin")
    assert [each.identity.uid for each in found] == [7, 9, None]
    assert {each.mailbox for each in found} == {""}


def test_zip_files(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "mail.bin", "w", zipfile.ZIP_DEFLATED) as made:
        made.writestr("a/1.eml", MESSAGE)
        made.writestr("list.mbox", b"From - Mon Jun  3 12:50:27 1996\n" + MESSAGE)
    assert [each.mailbox for each in messages(tmp_path / "mail.bin")] == ["list", "a"]


def test_names_that_climb_out_of_an_archive_are_passed_over(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "a.tar", "w") as tar:
        for name in ("../out.eml", "/etc/out.eml", "a/../../out.eml", "good/./1.eml"):
            member = tarfile.TarInfo(name)
            member.size = len(MESSAGE)
            tar.addfile(member, io.BytesIO(MESSAGE))
        link = tarfile.TarInfo("good/2.eml")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(link)
        device = tarfile.TarInfo("good/3.eml")
        device.type = tarfile.CHRTYPE
        tar.addfile(device)
    assert [each.where for each in messages(tmp_path / "a.tar")] == ["good/1.eml"]
    assert len(skipped(tmp_path / "a.tar")) == 5
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as made:
        made.writestr("..\\out.eml", MESSAGE)
        made.writestr("good.eml", MESSAGE)
    assert [each.where for each in messages(tmp_path / "a.zip")] == ["good.eml"]


def test_bombs_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "FREE_OCTETS", 1 << 20)
    with tarfile.open(tmp_path / "a.tar.xz", "w:xz") as tar:
        member = tarfile.TarInfo("1.eml")
        member.size = 8 << 20
        tar.addfile(member, io.BytesIO(bytes(8 << 20)))
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as made:
        made.writestr("1.eml", bytes(8 << 20))
    for name in ("a.tar.xz", "a.zip"):
        with pytest.raises(Unsafe):
            open_source(tmp_path / name)


def test_a_damaged_archive_is_a_clear_refusal(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "whole.tar.gz", "w:gz") as tar:
        tar.add(old_maildir(tmp_path / "Maildir"), "m")
    data = (tmp_path / "whole.tar.gz").read_bytes()
    (tmp_path / "a.tar.gz").write_bytes(data[: len(data) // 2])
    with pytest.raises(ExchangeRefusal):
        open_source(tmp_path / "a.tar.gz")
    (tmp_path / "a.zip").write_bytes(b"PK\x05\x06" + b"\xff" * 18)
    with pytest.raises(ExchangeRefusal):
        open_source(tmp_path / "a.zip")
    with zipfile.ZipFile(tmp_path / "whole.zip", "w") as packed:
        packed.writestr("1.eml", MESSAGE * 10)
    (tmp_path / "b.zip").write_bytes((tmp_path / "whole.zip").read_bytes()[:-40])
    with pytest.raises(ExchangeRefusal, match="damaged"):
        open_source(tmp_path / "b.zip")


UTF7 = [("INBOX", "INBOX"), ("Gelöscht & Co", "Gel&APY-scht &- Co"), ("日本語", "&ZeVnLIqe-"), ("a😀b", "a&2D3eAA-b")]


@pytest.mark.parametrize(("name", "coded"), UTF7)
def test_modified_utf7(name: str, coded: str) -> None:
    """RFC 3501 5.1.3."""
    assert encode_utf7(name) == coded
    assert decode_utf7(coded) == name


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_modified_utf7_round_trip(name: str) -> None:
    assert decode_utf7(encode_utf7(name)) == name


@given(st.lists(st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1), min_size=1, max_size=5))
def test_folders_are_safe_and_differ(names: list[str]) -> None:
    taken: set[str] = set()
    folders = [folder_of(clean(name) or "x", taken) for name in dict.fromkeys(names)]
    assert len({folder.lower() for folder in folders if folder}) == len([folder for folder in folders if folder])
    for folder in folders:
        assert "/" not in folder
        assert folder not in (".", "..")
        assert len(folder.encode()) <= 255


@given(st.binary(max_size=500))
def test_any_control_file_is_read_or_refused(data: bytes) -> None:
    try:
        dovecot.parse_uidlist(data)
        dovecot.parse_uidlist(b"3 V1 N2 Gx\n" + data)
    except ValueError:
        pass
    dovecot.parse_keywords(data)
    dovecot.parse_subscriptions(data)
    dovecot.parse_subscriptions(b"V\t2\n\n" + data)


@pytest.mark.parametrize(
    ("listed", "most", "read"), [(9, 100, 9), (4, 100, 9), (99, 100, 9), (4, 7, 7), (99, 7, 7), (0, 3, 3)]
)
def test_a_file_is_read_whole_whatever_its_size_was(listed: int, most: int, read: int) -> None:
    assert read_whole(io.BytesIO(b"123456789"), File("a", listed, 0), most) == b"123456789"[:read]


def test_no_file_brings_flags_that_imap_could_not_tell(tmp_path: Path) -> None:
    """One of these in the store, and SELECT would end the connection, or say what the file wants said."""
    root = old_maildir(tmp_path / "Maildir")
    (root / "dovecot-keywords").write_text("0 \\Bogus\n1 \\*\n2 \\Flagged\n")
    (root / "cur" / "1000000001.M5.h:2,abc").write_bytes(MESSAGE)
    words = ["a b", "x)", "y\r\n* BYE forged\r\n", "ü", "\\Bogus", "", "good"]
    line = MessageLine(
        file="1000000000.M1.host,S=57", email_id="m" + "a" * 26, thread_id="t" + "a" * 26,
        received=1, digest="", keywords=words,
    )  # fmt: skip
    mailbox = MailboxLine(restante=1, name="INBOX", uidvalidity=1, uidnext=2, modseq=1)
    (root / "restante.jsonl").write_bytes(encode(mailbox) + b"\n" + encode(line) + b"\n")
    flags = {each.where: each.flags for each in messages(root)}
    assert flags["cur/1000000001.M5.h:2,abc"] == Flags(System.FLAGGED)
    assert flags["cur/1000000000.M1.host,S=57:2,FRSac"].keywords == {"good"}


@pytest.mark.parametrize("header", ["3 V4294967295 N2 G0", "3 V7 N4294967294 G0"])
def test_an_account_takes_mail_and_mailboxes_whatever_a_uidlist_says(tmp_path: Path, header: str) -> None:
    root = old_maildir(tmp_path / "Maildir")
    (root / "dovecot-uidlist").write_text(f"{header}\n1 :1000000005.M2.host\n")

    async def work() -> None:
        async with account(tmp_path / "data") as store:
            report = await load(root, store)
            assert (report.messages, report.lost) == (3, 0)
            assert [each.where for each in report.skipped] == ["INBOX"]
            for number in range(2):
                await store.create_mailbox(f"New {number}")
                await put(store, "INBOX", MESSAGE)

    asyncio.run(work())
