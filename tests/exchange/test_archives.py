"""Archives whose headers say what no header should, and those of other programs' habits."""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import io
import os
import tarfile
import zipfile
from pathlib import Path

import pytest

from restante.exchange import archive
from restante.exchange.detect import open_source
from restante.exchange.incoming import ExchangeRefusal, Incoming, Skipped, Unsafe
from restante.exchange.sidecar import MailboxLine, MessageLine, encode
from restante.imap.grammar.response import format_internaldates
from restante.store.model import INBOX, Column

from .store import ALL, account, load

MESSAGE = b"Subject: s\n\nbody\n"


def messages(path: Path) -> list[Incoming]:
    source = open_source(path)
    try:
        return [each for each in source.items() if isinstance(each, Incoming)]
    finally:
        source.close()


def named_long(size: int) -> bytes:
    """A GNU header that says: the next member's name has so many octets; and the name."""
    header = tarfile.TarInfo("././@LongLink")
    header.type, header.size = tarfile.GNUTYPE_LONGNAME, size
    return header.tobuf(tarfile.GNU_FORMAT) + b"a" * (size - 1) + b"\0" * (-(size - 1) % 512)


def a_member() -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as tar:
        member = tarfile.TarInfo("1.eml")
        member.size = len(MESSAGE)
        tar.addfile(member, io.BytesIO(MESSAGE))
    return made.getvalue()


def test_a_long_header_of_a_tar_is_not_read_into_memory(tmp_path: Path) -> None:
    path = tmp_path / "a.tar"
    path.write_bytes(named_long(512) + a_member())
    assert [each.data for each in messages(path)] == [MESSAGE]
    path.write_bytes(named_long(archive.LONGEST_HEADER) + a_member())
    with pytest.raises(ExchangeRefusal, match="damaged"):
        open_source(path)


def test_headers_that_announce_one_another_are_a_damaged_tar(tmp_path: Path) -> None:
    path = tmp_path / "a.tar"
    path.write_bytes(named_long(2) * 1_000 + a_member())
    with pytest.raises(ExchangeRefusal, match="damaged"):
        open_source(path)


@pytest.mark.parametrize("when", [(0, 0), (0, 0x21), (0xFFFF, 0xFFFF)], ids=["zero", "where DOS begins", "none"])
def test_a_zip_without_times_is_read_by_that_of_its_file(tmp_path: Path, when: tuple[int, int]) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as packed:
        packed.writestr("m/cur/1000000000.M1.h:2,", MESSAGE)
        packed.writestr("1.eml", MESSAGE)
    octets = bytearray(path.read_bytes())
    at = octets.find(b"PK\x01\x02")
    while at >= 0:
        octets[at + 12 : at + 16] = b"".join(word.to_bytes(2, "little") for word in when)
        at = octets.find(b"PK\x01\x02", at + 1)
    path.write_bytes(octets)
    os.utime(path, (1_500_000_000, 1_500_000_000))
    assert [each.received for each in messages(path)] == [1_000_000_000, 1_500_000_000]


@pytest.mark.parametrize("when", ["inf", "nan", "1e300", "1e15", "-1e15", "300000000000"])
def test_a_time_that_no_calendar_has_spoils_no_mailbox(tmp_path: Path, when: str) -> None:
    with tarfile.open(tmp_path / "a.tar", "w", format=tarfile.PAX_FORMAT) as tar:
        member = tarfile.TarInfo("1.eml")
        member.size, member.pax_headers = len(MESSAGE), {"mtime": when}
        tar.addfile(member, io.BytesIO(MESSAGE))
    assert asyncio.run(loaded(tmp_path / "a.tar", tmp_path / "a")) == [b" 1-Jan-1970 00:00:00 +0000"]


@pytest.mark.parametrize("when", [1 << 62, 1 << 70, -(1 << 50)])
def test_a_sidecars_times_that_are_none_spoil_no_mailbox(tmp_path: Path, when: int) -> None:
    folder = tmp_path / "Maildir"
    for name in ("cur", "new", "tmp"):
        (folder / name).mkdir(parents=True)
    (folder / "cur" / "1000000000.M1.h:2,").write_bytes(MESSAGE)
    mailbox = MailboxLine(restante=1, name=INBOX, uidvalidity=1, uidnext=2, modseq=1)
    digest = hashlib.sha256(MESSAGE).hexdigest()
    message = MessageLine(
        file="1000000000.M1.h", email_id="m" + "a" * 26, thread_id="t" + "a" * 26,
        received=when, digest=digest, saved=when, retrieved=when,
    )  # fmt: skip
    (folder / "restante.jsonl").write_bytes(encode(mailbox) + b"\n" + encode(message) + b"\n")
    assert asyncio.run(loaded(folder, tmp_path / "a")) == [b" 1-Jan-1970 00:00:00 +0000"]


async def loaded(source: Path, folder: Path) -> list[bytes]:
    """INTERNALDATEs of INBOX after an import, as IMAP shows them; SAVEDATEs can be shown, too."""
    async with account(folder) as store:
        assert (await load(source, store)).skipped == []
        inbox = await store.mailbox(INBOX)
        assert inbox is not None
        rows = await store.rows(inbox.key, ALL, (Column.RECEIVED, Column.SAVED), 10)
        format_internaldates(int(str(row[2])) for row in rows)
        return format_internaldates(int(str(row[1])) for row in rows)


def test_hard_links_of_a_tar_are_messages(tmp_path: Path) -> None:
    for folder in ("Maildir/cur", "Maildir/new", "Maildir/.A/cur"):
        (tmp_path / folder).mkdir(parents=True)
    first = tmp_path / "Maildir" / "cur" / "1000000000.M1.h:2,S"
    first.write_bytes(MESSAGE)
    (tmp_path / "Maildir" / ".A" / "cur" / "1000000001.M2.h:2,F").hardlink_to(first)
    with tarfile.open(tmp_path / "a.tar", "w") as tar:
        tar.add(tmp_path / "Maildir", "Maildir")
        for target in ("nowhere", "../../etc/passwd", "/etc/passwd", "Maildir/cur"):
            link = tarfile.TarInfo(f"{len(target)}.eml")
            link.type, link.linkname = tarfile.LNKTYPE, target
            tar.addfile(link)
    found = messages(tmp_path / "a.tar")
    assert [(each.mailbox, each.data) for each in found] == [("", MESSAGE), ("A", MESSAGE)]


def test_links_count_for_the_bound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "FREE_OCTETS", 10 * len(MESSAGE))
    monkeypatch.setattr(archive, "RATIO", 0)
    with tarfile.open(tmp_path / "a.tar", "w") as tar:
        member = tarfile.TarInfo("0.eml")
        member.size = len(MESSAGE)
        tar.addfile(member, io.BytesIO(MESSAGE))
        for number in range(1, 11):
            link = tarfile.TarInfo(f"{number}.eml")
            link.type, link.linkname = tarfile.LNKTYPE, "0.eml"
            tar.addfile(link)
    with pytest.raises(Unsafe):
        open_source(tmp_path / "a.tar")


def test_what_cannot_be_unpacked_says_why(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as packed:
        packed.writestr("1.eml", MESSAGE)
    octets = bytearray(path.read_bytes())
    octets[octets.find(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(octets)
    source = open_source(path)
    assert list(source.items()) == [Skipped("1.eml", "encrypted: unpack it with its password")]
    source.close()
    (tmp_path / "a.mbox.gz").write_bytes(gzip.compress(b"From - \n" + MESSAGE))
    with pytest.raises(ExchangeRefusal) as refused:
        open_source(tmp_path / "a.mbox.gz")
    assert "gunzip" in refused.value.remedy


@pytest.mark.parametrize("at", [6, 10, 46], ids=["the version that is needed", "how it is packed", "its name"])
def test_a_zip_that_says_what_none_says_is_read_or_refused(tmp_path: Path, at: int) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as packed:
        packed.writestr("1.eml", MESSAGE)
        packed.writestr("2.eml", MESSAGE)
    octets = bytearray(path.read_bytes())
    octets[octets.find(b"PK\x01\x02") + at] = 0xFF if at < 46 else 0
    path.write_bytes(octets)
    try:
        source = open_source(path)
    except ExchangeRefusal:
        return
    found = list(source.items())
    source.close()
    assert [each.where for each in found if isinstance(each, Incoming)] == ["2.eml"]
    assert sum(isinstance(each, Skipped) for each in found) == 1


@pytest.mark.parametrize(
    "name", ["dovecot-uidlist", "dovecot-keywords", "restante.jsonl", "subscriptions", "courierimapuiddb"]
)
def test_messages_come_without_a_control_file_that_cannot_be_read(tmp_path: Path, name: str) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as packed:
        packed.writestr("m/cur/1000000000.M1.h:2,S", MESSAGE)
        packed.writestr(f"m/{name}", b"what is damaged")
    path.write_bytes(path.read_bytes().replace(b"what is", b"what ix"))
    source = open_source(path)
    found = list(source.items())
    assert [each.data for each in found if isinstance(each, Incoming)] == [MESSAGE]
    assert any(isinstance(each, Skipped) and not each.lost for each in found) == (name != "subscriptions")
    assert source.subscriptions() is None
    source.close()


def test_a_sparse_file_of_a_tar_is_read_whole(tmp_path: Path) -> None:
    """As GNU tar packs a file that takes less room on the disk than it has octets, a compressed one among them."""
    first = (b"From - Mon Jun  3 12:50:27 1996\n" + MESSAGE).ljust(512, b"x")
    last = b"x\n\nFrom - Mon Jun  3 12:50:27 1996\n" + MESSAGE
    member = tarfile.TarInfo("a.mbox")
    member.type, member.size = tarfile.GNUTYPE_SPARSE, 512 + len(last)
    header = bytearray(member.tobuf(tarfile.GNU_FORMAT))
    size = 1024 + len(last)
    header[386:482] = b"".join(b"%011o\0" % n for n in (0, 512, 1024, len(last), size, 0, 0, 0))
    header[483:495] = b"%011o\0" % size
    header[148:156] = b"%06o\0 " % (sum(header[:148]) + sum(b" " * 8) + sum(header[156:]))
    (tmp_path / "a.tar").write_bytes(header + first + last.ljust(512, b"\0") + bytes(1024))
    found = messages(tmp_path / "a.tar")
    assert [each.data[:10] for each in found] == [b"Subject: s"] * 2
    assert found[0].data.count(b"\0") == 512
