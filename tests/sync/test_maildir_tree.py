"""A folder is the one it was, or it is not used: no missing disk is ever an empty mailbox."""

from __future__ import annotations

import asyncio
import errno
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import apsw
import pytest

from restante.sync.maildir import Layout, MaildirSide, detect, index, marker
from restante.sync.maildir import layout as layout_module
from restante.sync.model import Place
from restante.sync.side import MailboxUnavailable, SideUnavailable

from .maildirs import deliver, everything, maildir, message, opened, run, side, subjects


async def place(one: MaildirSide, name: str) -> Place:
    return next(each for each in await one.places() if each.name == name)


async def names(one: MaildirSide) -> list[str]:
    return [each.name for each in await one.places()]


def prepare(home: Path) -> None:
    """INBOX with two messages and Work with two, known to the index."""

    async def act(one: MaildirSide) -> None:
        await one.create("Work", None)
        await one.add("INBOX", [message(1), message(2)])
        await one.add("Work", [message(3), message(4)])
        await one.places()

    run(home, act)


def test_a_tree_that_is_there_is_taken_as_it_is(tmp_path: Path) -> None:
    root = maildir(tmp_path / "Mail")
    deliver(root, 1)
    deliver(maildir(root / ".Old.Deep"), 2, "S")
    (root / "subscriptions").write_text("V\t2\n\nOld\tDeep\n")

    async def act(one: MaildirSide) -> None:
        places = await one.places()
        assert [(each.name, each.messages, each.subscribed) for each in places] == [
            ("INBOX", 1, False),
            ("Old/Deep", 1, True),
        ]
        assert len({each.id for each in places}) == 2
        assert all(each.id for each in places)

    run(tmp_path, act)


@pytest.mark.parametrize("how", ["away", "empty", "dangling", "other tree"])
def test_a_root_that_is_not_the_one_it_was_is_unavailable(tmp_path: Path, how: str) -> None:
    prepare(tmp_path)
    root = tmp_path / "Mail"
    root.rename(tmp_path / "Unmounted")
    if how == "empty":
        root.mkdir()
    elif how == "dangling":
        root.symlink_to(tmp_path / "nowhere")
    elif how == "other tree":
        run(tmp_path / "other", lambda one: one.places())
        (tmp_path / "other" / "Mail").rename(root)

    async def act() -> None:
        one = side(tmp_path)
        with pytest.raises(SideUnavailable):
            await one.open()
        await one.close()

    asyncio.run(act())
    if how == "empty":
        assert list(root.iterdir()) == []
        root.rmdir()
    elif how == "dangling":
        assert root.is_symlink()
        root.unlink()
    elif how == "other tree":
        shutil.rmtree(root)
    (tmp_path / "Unmounted").rename(root)
    assert run(tmp_path, names) == ["INBOX", "Work"]


def test_a_root_that_goes_away_during_a_run_is_unavailable(tmp_path: Path) -> None:
    prepare(tmp_path)

    async def act(one: MaildirSide) -> None:
        await one.places()
        (tmp_path / "Mail").rename(tmp_path / "Unmounted")
        with pytest.raises(SideUnavailable):
            await one.places()
        with pytest.raises(MailboxUnavailable):
            await everything(one)
        maildir(tmp_path / "Mail")
        with pytest.raises(SideUnavailable):
            await one.places()
        with pytest.raises(MailboxUnavailable):
            await everything(one, "INBOX")

    run(tmp_path, act)


@pytest.mark.parametrize("how", ["empty folder", "empty maildir", "other mail", "dangling"])
def test_a_folder_that_is_not_the_one_it_was_is_unavailable(tmp_path: Path, how: str) -> None:
    prepare(tmp_path)
    folder = tmp_path / "Mail" / ".Work"

    async def act(one: MaildirSide) -> None:
        before = await place(one, "Work")
        folder.rename(tmp_path / "Unmounted")
        if how == "empty folder":
            folder.mkdir()
        elif how == "dangling":
            folder.symlink_to(tmp_path / "nowhere")
        else:
            maildir(folder)
            if how == "other mail":
                deliver(folder, 99)
        # The look before may still be the last one: nothing is read or written through it.
        with pytest.raises(MailboxUnavailable):
            await everything(one, "Work")
        now = await place(one, "Work")
        assert (now.id, now.validity, now.state) == (before.id, before.validity, None)
        with pytest.raises(MailboxUnavailable):
            await everything(one, "Work")
        with pytest.raises(MailboxUnavailable):
            await one.add("Work", [message(5)])
        assert len((await everything(one)).uids) == 2
        # It comes back.
        shutil.rmtree(folder) if not folder.is_symlink() else folder.unlink()
        (tmp_path / "Unmounted").rename(folder)
        again = await place(one, "Work")
        assert (again.id, again.state, again.messages) == (before.id, before.state, 2)
        assert len((await everything(one, "Work")).uids) == 2

    run(tmp_path, act)


def test_a_mailbox_that_others_remove_goes_and_those_within_it_stay(tmp_path: Path) -> None:
    """In a plain tree its folder stays for them: no mount is missing above what lies there as it did."""
    folder = tmp_path / "Mail" / "A"

    async def act(one: MaildirSide) -> None:
        for name in ("A", "A/C"):
            await one.create(name, None)
            await one.add(name, [message(1)])
        assert await names(one) == ["INBOX", "A", "A/C"]
        for sub in ("cur", "new", "tmp"):
            shutil.rmtree(folder / sub)
        assert await names(one) == ["INBOX", "A", "A/C"]
        assert not (await place(one, "A")).selectable
        with pytest.raises(MailboxUnavailable):
            await everything(one, "A")
        maildir(folder)
        deliver(folder, 2)
        assert await names(one) == ["INBOX", "A", "A/C"]
        assert len((await everything(one, "A")).uids) == 1
        # Without what lay within it, nobody knows.
        folder.rename(tmp_path / "Unmounted")
        folder.mkdir()
        assert (await place(one, "A")).state is None
        with pytest.raises(MailboxUnavailable):
            await everything(one, "A")

    run(tmp_path, act, layout=Layout.PLAIN)


def test_a_folder_that_cannot_be_used_keeps_its_exact_name_and_role(tmp_path: Path) -> None:
    async def act(one: MaildirSide) -> None:
        before = await one.create("a.b", "\\Archive")
        await one.add("a.b", [message(1)])
        await one.places()
        (tmp_path / "Mail" / ".a_b").rename(tmp_path / "Unmounted")
        maildir(tmp_path / "Mail" / ".a_b")
        now = await place(one, "a.b")
        assert (now.id, now.role, now.state) == (before.id, "\\Archive", None)
        assert await names(one) == ["INBOX", "a.b"]

    run(tmp_path, act)


def test_a_folder_put_in_the_place_of_another_can_be_adopted(tmp_path: Path) -> None:
    prepare(tmp_path)
    folder = tmp_path / "Mail" / ".Work"

    async def act(one: MaildirSide) -> None:
        before = await place(one, "Work")
        shutil.rmtree(folder)
        deliver(maildir(folder), 7)
        assert (await place(one, "Work")).state is None
        now = await one.adopt("Work")
        assert now.id != before.id
        assert now.validity != before.validity
        assert now.messages == 1

    run(tmp_path, act)


def test_a_folder_that_lost_only_its_marker_is_known_by_its_mail(tmp_path: Path) -> None:
    prepare(tmp_path)

    async def act(one: MaildirSide) -> None:
        before = await one.places()
        (tmp_path / "Mail" / ".Work" / "restante-id").unlink()
        assert await one.places() == before

    run(tmp_path, act)


def test_a_root_that_lost_only_its_marker_is_known_by_its_mail(tmp_path: Path) -> None:
    prepare(tmp_path)
    before = run(tmp_path, lambda one: one.places())
    (tmp_path / "Mail" / "restante-id").unlink()
    assert run(tmp_path, lambda one: one.places()) == before


def test_a_folder_without_cur_is_not_an_empty_mailbox(tmp_path: Path) -> None:
    prepare(tmp_path)

    async def act(one: MaildirSide) -> None:
        (tmp_path / "Mail" / ".Work" / "cur").rename(tmp_path / "elsewhere")
        assert (await place(one, "Work")).state is None
        with pytest.raises(MailboxUnavailable):
            await everything(one, "Work")

    run(tmp_path, act)


def test_a_folder_renamed_by_another_program_keeps_its_identity_and_numbers(tmp_path: Path) -> None:
    prepare(tmp_path)
    root = tmp_path / "Mail"

    async def act(one: MaildirSide) -> None:
        before, changes = await place(one, "Work"), await everything(one, "Work")
        (root / ".Work").rename(root / ".Job.Now")
        assert await names(one) == ["INBOX", "Job/Now"]
        after = await place(one, "Job/Now")
        assert (after.id, after.validity, after.state) == (before.id, before.validity, before.state)
        assert (await everything(one, "Job/Now")).uids == changes.uids

    run(tmp_path, act)


def test_a_copied_folder_is_another_one(tmp_path: Path) -> None:
    prepare(tmp_path)
    root = tmp_path / "Mail"

    async def act(one: MaildirSide) -> None:
        before = await place(one, "Work")
        shutil.copytree(root / ".Work", root / ".A")
        both = await one.places()
        assert [each.name for each in both] == ["INBOX", "A", "Work"]
        assert await place(one, "Work") == before
        assert both[1].id not in (None, before.id)
        assert both[1].messages == 2

    run(tmp_path, act)


def test_a_folder_that_is_gone_and_comes_back_has_its_numbers(tmp_path: Path) -> None:
    prepare(tmp_path)
    folder = tmp_path / "Mail" / ".Work"
    before = run(tmp_path, lambda one: everything(one, "Work"))
    folder.rename(tmp_path / "away")
    assert run(tmp_path, names) == ["INBOX"]
    (tmp_path / "away").rename(folder)
    after = run(tmp_path, lambda one: everything(one, "Work"))
    assert (after.validity, after.uids) == (before.validity, before.uids)


def test_a_lost_index_begins_numbers_anew_and_keeps_identities(tmp_path: Path) -> None:
    prepare(tmp_path)

    async def look(one: MaildirSide) -> tuple[list[Place], str]:
        return await one.places(), (await everything(one)).cursor

    before, cursor = run(tmp_path, look)
    shutil.rmtree(tmp_path / "state")

    async def act(one: MaildirSide) -> None:
        after = await one.places()
        assert [each.id for each in after] == [each.id for each in before]
        assert all(a.validity != b.validity for a, b in zip(after, before, strict=True))
        changes = await one.changes("INBOX", cursor)
        assert changes.full
        assert len(changes.uids) == 2

    run(tmp_path, act)


def test_a_damaged_index_is_told_of(tmp_path: Path) -> None:
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "index.db").write_bytes(b"no database" * 1000)

    async def act() -> None:
        one = side(tmp_path)
        with pytest.raises(SideUnavailable):
            await one.open()
        await one.close()

    asyncio.run(act())


def test_names_that_a_folder_cannot_say_are_kept_exactly(tmp_path: Path) -> None:
    async def make(one: MaildirSide) -> None:
        for name in ("a.b", "a_b", "A_B", "x/cur"):
            await one.create(name, None)

    run(tmp_path, make)
    assert run(tmp_path, names) == ["INBOX", "A_B", "a.b", "a_b", "x/cur"]
    folders = [path.name for path in (tmp_path / "Mail").iterdir() if path.name.startswith(".")]
    assert len({name.lower() for name in folders}) == 4  # also where case makes no difference
    shutil.rmtree(tmp_path / "state")
    assert run(tmp_path, names) == ["INBOX", "A_B", "a.b", "a_b", "x/cur"]


def test_renaming_takes_the_exact_name_along(tmp_path: Path) -> None:
    async def act(one: MaildirSide) -> None:
        await one.create("a.b", "\\Archive")
        await one.rename("a.b", "c.d")
        assert (await place(one, "c.d")).role == "\\Archive"
        await one.rename("c.d", "plain")
        assert (await place(one, "plain")).role == "\\Archive"

    run(tmp_path, act)
    assert run(tmp_path, names) == ["INBOX", "plain"]


def test_renaming_in_a_plain_tree_takes_the_childrens_exact_names_along(tmp_path: Path) -> None:
    async def act(one: MaildirSide) -> None:
        for name in ("x", "x/cur", "x/cur/new"):
            await one.create(name, None)
        await one.rename("x", "tmp")

    run(tmp_path, act, layout=Layout.PLAIN)
    assert run(tmp_path, names, layout=Layout.PLAIN) == ["INBOX", "tmp", "tmp/cur", "tmp/cur/new"]


@pytest.mark.parametrize("name", ["subscriptions", "Subscriptions", "dovecot-keywords", "dovecot-uidlist.lock"])
def test_a_mailbox_of_a_plain_tree_is_in_the_way_of_no_file_of_the_tree(tmp_path: Path, name: str) -> None:
    async def make(one: MaildirSide) -> None:
        await one.create(name, None)
        await one.create(f"Work/{name}", None)
        await one.create("Work", None)
        for box in (name, "INBOX", "Work"):
            await one.subscribe(box, True)
            await one.add(box, [message(1, frozenset({"$Later"}))])

    run(tmp_path, make, layout=Layout.PLAIN, inbox="")

    async def act(one: MaildirSide) -> None:
        places = {each.name: (each.messages, each.subscribed) for each in await one.places()}
        assert places == {"INBOX": (1, True), "Work": (1, True), name: (1, True), f"Work/{name}": (0, False)}
        for box in (name, "INBOX", "Work"):
            assert (await everything(one, box)).flags == [frozenset({"$Later"})]

    run(tmp_path, act, layout=Layout.PLAIN, inbox="")


def test_no_folder_is_put_where_nobody_looks_for_it(tmp_path: Path) -> None:
    """It would look removed as soon as it is there."""
    deep = "/".join("d" * 21)

    async def act(one: MaildirSide) -> None:
        await one.create(deep, None)
        for name in ("a", "a/b"):
            await one.create(name, None)
        for name, new in (("a/b", f"{deep}/b"), ("a", f"{deep[:-2]}/a")):
            with pytest.raises(MailboxUnavailable, match="deeper"):
                await one.rename(name, new)
        with pytest.raises(MailboxUnavailable, match="deeper"):
            await one.create(f"{deep}/d", None)
        selectable = [each.name for each in await one.places() if each.selectable]
        assert selectable == ["INBOX", "a", "a/b", deep]

    run(tmp_path, act, layout=Layout.PLAIN)


@pytest.mark.parametrize("layout", [Layout.MAILDIRPP, Layout.PLAIN])
@pytest.mark.parametrize("read_only", [False, True])
def test_a_folder_whose_name_is_no_utf_8_is_a_mailbox(tmp_path: Path, layout: Layout, read_only: bool) -> None:
    old = maildir(tmp_path / "Mail" / os.fsdecode(b".K\xe4se" if layout is Layout.MAILDIRPP else b"K\xe4se"))
    maildir(tmp_path / "Mail" / "INBOX" if layout is Layout.PLAIN else tmp_path / "Mail")
    (tmp_path / "state").mkdir()
    deliver(old, 1)

    async def act(one: MaildirSide) -> None:
        assert (await place(one, "Käse")).messages == 1
        await everything(one, "Käse")

    run(tmp_path, act, layout=layout, read_only=read_only)
    run(tmp_path, act, layout=layout, read_only=read_only)

    async def change(one: MaildirSide) -> None:
        identity = (await place(one, "Käse")).id
        await one.subscribe("Käse", True)
        assert (await place(one, "Käse")).subscribed
        old.rename(tmp_path / "Mail" / os.fsdecode(b".K\xfcche" if layout is Layout.MAILDIRPP else b"K\xfcche"))
        assert (await place(one, "Küche")).id == identity  # another program has renamed it
        await one.rename("Küche", "Brot")
        assert (await place(one, "Brot")).id == identity
        await one.delete("Brot")

    if not read_only:
        run(tmp_path, change, layout=layout)
        assert run(tmp_path, names, layout=layout) == ["INBOX"]


@pytest.mark.parametrize(
    ("folders", "expected"),
    [
        ([], (Layout.MAILDIRPP, "")),
        ([""], (Layout.MAILDIRPP, "")),
        (["", ".A", ".A.B"], (Layout.MAILDIRPP, "")),
        (["Inbox", "A/B"], (Layout.PLAIN, "Inbox")),
        (["A"], (Layout.PLAIN, "INBOX")),
        (["", "A/B"], (Layout.PLAIN, "")),
    ],
)
def test_a_layout_is_known_by_its_folders(tmp_path: Path, folders: list[str], expected: tuple[Layout, str]) -> None:
    for folder in folders:
        maildir(tmp_path / "Mail" / folder)
    assert detect(tmp_path / "Mail") == expected


def test_an_index_that_another_run_holds_makes_the_side_unavailable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepare(tmp_path)
    monkeypatch.setattr(index, "BUSY", 10)

    async def act(one: MaildirSide) -> None:
        await one.places()
        other = apsw.Connection(str(tmp_path / "state" / "index.db"))
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(SideUnavailable):
            await one.remove("INBOX", [1])
        other.close()
        await one.remove("INBOX", [1])
        assert subjects(tmp_path / "Mail") == [2]

    run(tmp_path, act)


def test_a_mailbox_that_another_process_deleted_is_unavailable(tmp_path: Path) -> None:
    prepare(tmp_path)

    async def act(one: MaildirSide) -> None:
        await one.places()
        async with opened(tmp_path) as other:
            await other.delete("Work")
        for call in (everything(one, "Work"), one.add("Work", [message(9)]), one.delete("Work")):
            with pytest.raises(MailboxUnavailable):
                await call
        assert await names(one) == ["INBOX"]

    run(tmp_path, act)


HOT = [
    ("SELECT uid FROM message WHERE folder = 1 AND uid IN (SELECT value FROM json_each('[1]'))", "message_uid"),
    ("UPDATE message SET info = x'' WHERE folder = 1 AND uid = 1", "message_uid"),
    ("INSERT INTO odd VALUES (x'61', 1, x'', (SELECT uid FROM message WHERE folder = 1 AND name = x'61'))", "PRIMARY"),
    ("SELECT 1 FROM gone WHERE folder = 1 AND changed <= 1 LIMIT 1", "PRIMARY KEY"),
]


@pytest.mark.parametrize(("statement", "by"), HOT)
def test_single_messages_are_found_by_an_index(tmp_path: Path, statement: str, by: str) -> None:
    one = index.Index(tmp_path / "index.db")
    plan = [str(row[3]) for row in one._db.execute(f"EXPLAIN QUERY PLAN {statement}")]
    assert any(by in line for line in plan), plan
    assert not any(line.startswith("SCAN") and "message" in line for line in plan), plan
    one.close()


def test_an_index_has_the_cache_it_is_meant_to_have(tmp_path: Path) -> None:
    one = index.Index(tmp_path / "index.db")
    found = [one._db.pragma(name) for name in ("journal_mode", "synchronous", "cache_size")]
    one.close()
    assert found == ["wal", 2, -8000]


def test_what_dovecot_is_deleting_is_no_mailbox(tmp_path: Path) -> None:
    prepare(tmp_path)
    (tmp_path / "Mail" / ".Work").rename(tmp_path / "Mail" / "..DOVECOT-TRASHED")
    assert run(tmp_path, names) == ["INBOX"]


def test_a_mailbox_with_new_mail_is_not_deleted(tmp_path: Path) -> None:
    prepare(tmp_path)

    async def act(one: MaildirSide) -> None:
        await one.places()
        deliver(tmp_path / "Mail" / ".Work", 9)
        with pytest.raises(MailboxUnavailable):
            await one.delete("Work")
        assert subjects(tmp_path / "Mail" / ".Work") == [3, 4, 9]
        await one.places()
        await one.delete("Work")
        assert not (tmp_path / "Mail" / ".Work").exists()

    run(tmp_path, act)


def test_a_plain_tree_follows_links_but_not_in_circles(tmp_path: Path) -> None:
    root = tmp_path / "Mail"
    deliver(maildir(root / "INBOX"), 1)
    deliver(maildir(tmp_path / "archive" / "2020"), 2)
    (root / "Archive").symlink_to(tmp_path / "archive")
    (tmp_path / "archive" / "loop").symlink_to(root)
    found = run(tmp_path, names, layout=Layout.PLAIN)
    assert found[0] == "INBOX"
    assert "Archive/2020" in found
    assert len(found) < 20


def test_reading_alone_leaves_no_trace(tmp_path: Path) -> None:
    root = maildir(tmp_path / "Mail")
    deliver(root, 1)
    deliver(maildir(root / ".Work"), 2, "FS")

    def trace() -> list[tuple[str, int]]:
        return sorted((str(path), path.stat().st_mtime_ns) for path in root.rglob("*"))

    before = trace()

    async def act(one: MaildirSide) -> None:
        assert await names(one) == ["INBOX", "Work"]
        changes = await everything(one, "Work")
        assert list(changes.flags) == [{"\\Flagged", "\\Seen"}]
        assert [each.data async for each in one.fetch("Work", changes.uids)]
        with pytest.raises(SideUnavailable):
            await one.add("INBOX", [message(3)])
        with pytest.raises(SideUnavailable):
            await one.remove("INBOX", [1])

    run(tmp_path, act, read_only=True)
    run(tmp_path, act, read_only=True)
    assert trace() == before


@pytest.mark.parametrize("layout", list(Layout), ids=lambda layout: layout.value)
def test_what_was_read_alone_may_be_changed_later(tmp_path: Path, layout: Layout) -> None:
    """The numbers stay, and so does what a marker says that another copy has put there meanwhile."""
    root, plain = tmp_path / "Mail", layout is Layout.PLAIN
    deliver(maildir(root / "INBOX" if plain else root), 1)
    work = maildir(root / ("Work" if plain else ".Work"))
    deliver(work, 2, "FS")

    async def look(one: MaildirSide) -> tuple[str, list[int]]:
        assert await names(one) == ["INBOX", "Work"]
        found = await everything(one, "Work")
        return found.validity, list(found.uids)

    async def change(one: MaildirSide) -> tuple[str, list[int]]:
        known = await look(one)
        await one.add("Work", [message(3)])
        return known

    first = run(tmp_path, look, read_only=True, layout=layout)
    assert run(tmp_path, change, layout=layout) == first
    assert run(tmp_path, look, layout=layout) == (first[0], [1, 2])
    assert marker.parse((work / marker.FILE).read_bytes()) is not None

    deliver(work, 4)
    other = tmp_path / "state" / "index.db"
    other.rename(tmp_path / "first.db")
    for path in root.rglob(marker.FILE):
        path.rename(tmp_path / f"{path.parent.name}.marker")
    run(tmp_path, look, read_only=True, layout=layout)
    for path in tmp_path.glob("*.marker"):
        folder = root if path.stem == "Mail" else root / path.stem
        path.rename(folder / marker.FILE)
    assert run(tmp_path, look, read_only=True, layout=layout)[1] == [1, 2, 3]
    run(tmp_path, change, layout=layout)


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_a_folder_that_must_not_be_read_is_unavailable(tmp_path: Path) -> None:
    prepare(tmp_path)
    (tmp_path / "Mail" / ".Work").chmod(0)

    async def act(one: MaildirSide) -> None:
        assert (await place(one, "Work")).state is None
        with pytest.raises(MailboxUnavailable):
            await everything(one, "Work")

    run(tmp_path, act)
    (tmp_path / "Mail" / ".Work").chmod(0o700)


@pytest.mark.parametrize("how", ["new", "lost its marker", "copied"])
def test_a_folder_that_cannot_be_marked_is_unavailable_and_others_are_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    """A link to a folder on a read-only disk, say."""
    prepare(tmp_path)
    root, write = tmp_path / "Mail", marker.write
    name = "Work" if how == "lost its marker" else "Old"
    if how == "copied":
        shutil.copytree(root / ".Work", root / ".Old")
    elif how == "new":
        deliver(maildir(root / ".Old"), 9)
    else:
        (root / ".Work" / marker.FILE).unlink()

    def refuse(folder: int, mark: marker.Marker) -> None:
        if os.path.samestat(os.fstat(folder), (root / f".{name}").stat()):
            raise OSError(errno.EROFS, os.strerror(errno.EROFS))
        write(folder, mark)

    async def act(one: MaildirSide) -> None:
        assert name in await names(one)
        assert len((await everything(one, "INBOX")).uids) == 2
        with pytest.raises(MailboxUnavailable, match=r"cannot be written .Read-only"):
            await everything(one, name)

    monkeypatch.setattr(marker, "write", refuse)
    run(tmp_path, act)
    monkeypatch.undo()

    async def later(one: MaildirSide) -> None:
        assert subjects(root / f".{name}") == ([9] if how == "new" else [3, 4])
        assert len((await everything(one, name)).uids) == len(subjects(root / f".{name}"))
        assert len((await everything(one, "Work")).uids) == 2

    run(tmp_path, later)


def test_a_look_at_a_hundred_folders_reads_no_directory_of_mail(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def act() -> None:
        async with opened(tmp_path) as one:
            for number in range(100):
                deliver(maildir(tmp_path / "Mail" / f".Box{number:02}"), number, "S")
            before = await one.places()
            read: list[object] = []
            scandir = os.scandir

            def noting(path: Path) -> object:
                read.append(path)
                return scandir(path)

            monkeypatch.setattr(os, "scandir", noting)
            for _ in range(1000):  # until the file system's clock has moved on since the last delivery
                read.clear()
                assert await one.places() == before
                if read == [tmp_path / "Mail"]:
                    break
            assert read == [tmp_path / "Mail"]

    asyncio.run(act())


@pytest.mark.parametrize("layout", Layout)
def test_a_folder_that_two_paths_lead_to_is_one_mailbox(tmp_path: Path, layout: Layout) -> None:
    root = maildir(tmp_path / "Mail")
    real, alias = (".Sent", ".A") if layout is Layout.MAILDIRPP else ("Sent", "A")
    deliver(maildir(root / real), 1, "S")
    (root / alias).symlink_to(real)
    (root / f"{real}-2").symlink_to(root)

    async def act(one: MaildirSide) -> None:
        assert {*await names(one)} - {"A"} == {"INBOX", "Sent"}
        before = (root / real / marker.FILE).read_bytes()
        (root / real / "cur" / "2:2,S").write_bytes(b"Subject: 2\n\n2\n")
        assert [each.messages for each in await one.places() if each.name != "A"] == [0, 2]
        assert (root / real / marker.FILE).read_bytes() == before
        if "A" not in await names(one):
            assert (await one.create("A", None)).messages == 0

    for _ in range(2):
        run(tmp_path, act, layout=layout, inbox="")
        (root / real / "cur" / "2:2,S").unlink()


def test_a_mailbox_behind_a_link_is_deleted_with_what_is_in_it(tmp_path: Path) -> None:
    root, elsewhere = maildir(tmp_path / "Mail"), maildir(tmp_path / "elsewhere")
    deliver(elsewhere, 1)
    (root / ".Old").symlink_to(elsewhere)

    async def act(one: MaildirSide) -> None:
        assert await names(one) == ["INBOX", "Old"]
        await one.delete("Old")
        assert await names(one) == ["INBOX"]

    run(tmp_path, act)
    assert sorted(path.name for path in root.iterdir() if path.name.startswith((".", "restante-r"))) == []
    assert not (elsewhere / "cur").exists()


@pytest.mark.parametrize("layout", Layout)
@pytest.mark.parametrize("child", [False, True])
def test_mail_that_arrives_while_a_folder_is_taken_away_brings_it_back(
    tmp_path: Path, layout: Layout, child: bool
) -> None:
    folder = tmp_path / "Mail" / (".Work" if layout is Layout.MAILDIRPP else "Work")
    arrived = False

    def step(label: str) -> None:
        nonlocal arrived
        if label == "taking away" and not arrived:
            arrived = True
            deliver(folder, 9)

    async def act(one: MaildirSide) -> None:
        for name in ("Work", "Work/Child") if child else ("Work",):
            await one.create(name, None)
        await one.add("Work", [message(3)])
        identity = (await place(one, "Work")).id
        with pytest.raises(MailboxUnavailable):
            await one.delete("Work")
        assert subjects(folder) == [3, 9]
        assert (await place(one, "Work")).id == identity
        await everything(one, "Work")
        await one.delete("Work")
        assert "Work" not in [each.name for each in await one.places() if each.selectable]

    run(tmp_path, act, layout=layout, step=step)


def _pipe(path: Path) -> None:
    os.mkfifo(path)


@pytest.mark.parametrize("what", [_pipe, Path.mkdir, lambda path: path.symlink_to("/tmp")])
@pytest.mark.parametrize("file", [marker.FILE, "subscriptions", "restante-keywords", "dovecot-keywords"])
def test_what_is_no_file_where_one_of_ours_should_be_is_a_refusal(
    tmp_path: Path, file: str, what: Callable[[Path], None]
) -> None:
    prepare(tmp_path)
    path = tmp_path / "Mail" / file
    path.unlink(missing_ok=True)
    what(path)
    deliver(tmp_path / "Mail", 7)

    async def act(one: MaildirSide) -> None:
        await one.places()
        await everything(one, "INBOX")

    with pytest.raises((SideUnavailable, MailboxUnavailable)):
        run(tmp_path, act)


def test_what_is_no_message_is_passed_over(tmp_path: Path) -> None:
    prepare(tmp_path)
    cur = tmp_path / "Mail" / "cur"
    _pipe(cur / "pipe:2,S")
    (cur / "folder:2,S").mkdir()
    (cur / "link:2,S").symlink_to("/etc/passwd")

    async def act(one: MaildirSide) -> None:
        assert (await place(one, "INBOX")).messages == 2

    run(tmp_path, act)


def test_more_folders_than_are_read_is_a_refusal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layout_module, "MOST_FOLDERS", 3)
    for number in range(5):
        maildir(tmp_path / "Mail" / f"Box{number}")
    with pytest.raises(SideUnavailable, match="more than 3 folders"):
        run(tmp_path, names, layout=Layout.PLAIN)
