"""People come from Courier, and no client of theirs notices: UIDs, UIDLs, keywords, subscriptions."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from restante.exchange import courier
from restante.exchange.incoming import Incoming
from restante.exchange.maildir import Pop3Uidl
from restante.store.model import Column

from .store import ALL, account, load
from .test_sources import items, messages, skipped

MESSAGE = b"Subject: %d\r\n\r\nbody\r\n"
A, B, C, D = (f"100000000{n}.M{n}P77V0000I000{n}_0.mail,S=22" for n in range(1, 5))


def maildir(root: Path) -> Path:
    """As Courier's IMAP and POP3 may have left one, by what their source writes."""
    for folder in (root, root / ".Sent", root / ".Archive.2020"):
        for name in ("cur", "new", "tmp"):
            (folder / name).mkdir(parents=True)
        (folder / "courierimapacl").write_text("owner aceilrstwx\n")
    for number, (name, flags) in enumerate([(A, ":2,S"), (B, ":2,"), (C, ":2,FRS"), (D, "")]):
        path = root / ("cur" if flags else "new") / f"{name}{flags}"
        path.write_bytes(MESSAGE % number)
        os.utime(path, (1_000_000_000 + number, 1_000_000_000 + number))
    (root / ".Sent" / "cur" / f"{A}:2,S").write_bytes(MESSAGE % 9)
    (root / "courierimapuiddb").write_text(f"1 1193000000 45\n7 {A}\n12 {B}\n44 {C}\n13 gone.M1.mail\n")
    (root / ".Sent" / "courierimapuiddb").write_text(f"1 1193000007 3\n2 {A}\n")
    (root / ".Archive.2020" / "courierimapuiddb").write_text("1 1193000009 100\n")
    (root / "courierpop3dsizelist").write_text(
        f"/3 91 1193123456\n{A}:2,S 25 3:1193123456:0\n{B}:2, 25 90:0:1\n{C}:2,FRS 25 0:0:0\nbroken\n"
    )
    (root / "courierimapsubscribed").write_text("INBOX\nINBOX.Sent\nINBOX.Archive.2020\nINBOX.Gel&APY-scht\n")
    keywords = root / "courierimapkeywords"
    keywords.mkdir()
    (keywords / ":list").write_text(f"$Label1\nwork\nbad(one\n\n{A}:0 2\n{B}:1\n{C}:7 0\n")
    (keywords / B).write_text("later\n$Label1\n")
    (keywords / f".12.{A}").write_text("older\n")
    (keywords / f".13.{A}").write_text("newer\n")
    return root


def test_no_client_notices(tmp_path: Path) -> None:
    async def work() -> None:
        maildir(tmp_path / "Maildir")
        async with account(tmp_path / "data") as store:
            report = await load(tmp_path / "Maildir", store)
            assert [(each.where, each.lost) for each in report.skipped] == [("Maildir/courierpop3dsizelist", False)]
            assert report.messages == 5
            boxes = {box.name: box for box in await store.mailboxes()}
            assert {name: (box.uidvalidity, box.uidnext) for name, box in boxes.items()} == {
                "INBOX": (1193000000, 46),
                "Sent": (1193000007, 3),
                "Archive": (boxes["Archive"].uidvalidity, 1),
                "Archive/2020": (1193000009, 100),
            }
            table = await store.flag_table()
            rows = await store.rows(boxes["INBOX"].key, ALL, (Column.FLAGS, Column.RECEIVED), 10)
            assert [(row[0], table.wires[int(str(row[1]))], row[2]) for row in rows] == [
                (7, b"\\Seen newer", 1_000_000_000),
                (12, b"$Label1 later", 1_000_000_001),
                (44, b"\\Answered \\Flagged \\Seen $Label1", 1_000_000_002),
                (45, b"", 1_000_000_003),
            ]
            drop = {each.uid: each.uidl for each in await store.maildrop()}
            new = (await store.provenance(boxes["INBOX"].key, ALL))[-1]
            assert drop == {7: "UID3-1193123456", 12: "UID90", 44: C, 45: new.email_id}
            assert await store.subscriptions() == ["Archive/2020", "Gelöscht", "INBOX", "Sent"]

    asyncio.run(work())


def test_pop3_alone_without_imap(tmp_path: Path) -> None:
    root = maildir(tmp_path / "Maildir")
    (root / "courierimapuiddb").unlink()
    found = [each.identity for each in messages(root) if each.mailbox == ""]
    assert [(each.uid, each.uidl) for each in found] == [
        (None, "UID3-1193123456"), (None, "UID90"), (None, C), (None, None),
    ]  # fmt: skip


def test_imap_alone_gives_no_uidl_that_dovecot_would_have_given(tmp_path: Path) -> None:
    root = maildir(tmp_path / "Maildir")
    (root / "courierpop3dsizelist").unlink()
    assert {each.identity.uidl for each in messages(root)} == {None}
    named = [each for each in items(root, pop3_uidl=Pop3Uidl.FILE) if isinstance(each, Incoming)]
    assert [each.identity.uidl for each in named if each.mailbox == ""] == [A, B, C, None]


def test_dovecots_files_go_before_couriers_that_it_left_behind(tmp_path: Path) -> None:
    root = maildir(tmp_path / "Maildir")
    (root / "dovecot-uidlist").write_text(f"3 V5 N9\n7 PUID3-1193123456 :{A}\n8 :{B}\n")
    found = [each.identity for each in messages(root) if each.mailbox == ""]
    assert [(each.uid, each.uidl) for each in found] == [
        (7, "UID3-1193123456"), (8, "0000000800000005"), (None, None), (None, None),
    ]  # fmt: skip


@pytest.mark.parametrize("header", ["", "/1 5", "/4 5 6", "3 5 6", "/3 x 5", "/3"])
def test_list_of_another_version_is_told_and_left(tmp_path: Path, header: str) -> None:
    root = maildir(tmp_path / "Maildir")
    (root / "courierpop3dsizelist").write_text(f"{header}\n{A} 25 3:1193123456\n")
    assert skipped(root) == {"Maildir/courierpop3dsizelist": "not a courierpop3dsizelist of version 2 or 3"}
    assert {each.identity.uidl for each in messages(root)} == {None}


def test_uiddb_that_is_none_is_told_and_left(tmp_path: Path) -> None:
    root = maildir(tmp_path / "Maildir")
    (root / ".Sent" / "courierimapuiddb").write_text("2 5 6\n")
    assert skipped(root)[".Sent/courierimapuiddb"] == "not a courierimapuiddb of version 1"


LINES = [
    pytest.param("f 10 3:7", "UID3-7", id="version-2"),
    pytest.param("f 10 3:7:1", "UID3-7", id="version-3"),
    pytest.param("f 10 3:0", "UID3", id="no-uidvalidity"),
    pytest.param("f:2,S 10 0:0", "f", id="file"),
    pytest.param("a b'c\"d+e~ 10 0:0", "a+20b+27c+22d+2Be~", id="file-escaped"),
    pytest.param("x" * 71 + " 10 0:0", None, id="too-long"),
    pytest.param("f 10 3", None, id="no-colon"),
    pytest.param("f 3:7", None, id="no-size"),
    pytest.param(" 10 3:7", None, id="no-file"),
]


@pytest.mark.parametrize(("line", "uidl"), LINES)
def test_lines_of_pop3s_list(line: str, uidl: str | None) -> None:
    found, problems = courier.parse_pop3_list(f"/3 10 7\n{line}\n".encode())
    assert list(found.values()) == ([uidl] if uidl else [])
    assert problems == ([] if uidl else ["line 2 cannot be read"])


@given(st.binary(max_size=300), st.dictionaries(st.text(max_size=8), st.binary(max_size=40), max_size=3))
def test_any_octets_are_read_or_refused(data: bytes, changes: dict[str, bytes]) -> None:
    for parse in (courier.parse_uiddb, courier.parse_pop3_list):
        try:
            parse(data)
        except ValueError:
            pass
    found, _ = courier.parse_pop3_list(b"/3 1 1\n" + data)
    assert all(1 <= len(uidl) <= 70 and uidl.isascii() and uidl.isprintable() for uidl in found.values())
    courier.parse_keywords(data, changes)
    courier.parse_subscriptions(data)
