"""Mail brought back into an account that is in use, beside it, or out into files."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from restante.backup.analysing import Analyser, analysing
from restante.backup.bring import Bringing, Brought, bring_out
from restante.backup.choose import line_of
from restante.backup.errors import Corrupt, NoRepository, NotEmpty
from restante.backup.repository import Repository, Snapshot
from restante.backup.restore import Choice, Restored, restore_all, restore_removed
from restante.backup.run import lines_of
from restante.exchange.detect import open_source
from restante.exchange.export import Form
from restante.mime.model import DEFAULT_LIMITS
from restante.store.directory import Alias, Exists, NotFound
from restante.store.errors import AnotherStore, OverQuota
from restante.store.interface import Store
from restante.store.model import Column, FlagMode, Flags, Pop3Delete, System
from restante.store.rights import parse_rights
from restante.store.sqlite.handles import SURE

from .support import ALL, ANN, BOB, World, findings, message, play, put, state

SEEN, DELETED = Flags.of(["\\Seen"]), Flags.of(["\\Deleted", "$Keep"])


def begun(tmp_path: Path, scene: Any) -> None:
    async def whole() -> None:
        world = World(tmp_path)
        await world.fill()
        with analysing(0, DEFAULT_LIMITS) as pool:
            await scene(world, pool)
        await world.engine.close()

    play(whole())


def bringing(
    world: World, pool: Analyser, snapshot: Snapshot, choice: Choice | None = None, *, dry_run: bool = False
) -> Bringing:
    repository = world.repository()
    line = line_of(repository, snapshot, "ann@example.com")
    return Bringing(repository, line, world.ann, choice or Choice(), pool, dry_run=dry_run)


async def rows(world: World, name: str) -> list[tuple[int, str, Flags]]:
    """(UID, EMAILID, flags) of a mailbox of ann's."""
    box = await world.ann.mailbox(name)
    assert box is not None
    table = await world.ann.flag_table()
    found = await world.ann.rows(box.key, ALL, (Column.EMAIL_ID, Column.FLAGS), 10_000)
    return [
        (int(str(uid)), bytes.decode(id), table[int(str(flags))]) for uid, id, flags in found if isinstance(id, bytes)
    ]


def counts(done: Brought) -> tuple[int, int, int]:
    return done.messages, done.present, done.moved


def test_what_is_missing_comes_back_under_new_uids_as_it_was(tmp_path: Path) -> None:
    async def scene(world: World, pool: Analyser) -> None:
        ann = world.ann
        _, ids = await put(ann, "INBOX", *(message(n) for n in range(6)), received=77, uidl=None)
        await ann.store_flags(1, ((2, 2),), FlagMode.ADD, SEEN)
        await ann.store_flags(1, ((3, 3),), FlagMode.ADD, DELETED)
        snapshot = (await world.take()).snapshot
        threads = {row[1]: row[2] for row in await ann.rows(1, ALL, (Column.EMAIL_ID, Column.THREAD_ID), 99)}
        await ann.expunge(1, ((1, 4),), deleted_only=False)
        drop = {each.uidl for each in await ann.maildrop()}
        done = await bringing(world, pool, snapshot).in_place()
        assert (counts(done), done.mailboxes) == ((4, 2, 0), [("INBOX", 4)])
        now = await rows(world, "INBOX")
        assert [(uid, id) for uid, id, _ in now] == [
            (5, ids[4]), (6, ids[5]), (7, ids[0]), (8, ids[1]), (9, ids[2]), (10, ids[3]),
        ]  # fmt: skip
        assert [flags.wire for _, _, flags in now[2:]] == [b"", b"\\Seen", b"$Keep", b""], "not deleted any more"
        columns = (Column.RECEIVED, Column.EMAIL_ID, Column.THREAD_ID)
        for _, received, id, thread in await ann.rows(1, ALL, columns, 99):
            assert (received, thread) == (77, threads[id])
        assert {each.uidl for each in await ann.maildrop()} == drop | set(ids[:4]), "POP3 knows them again"
        assert counts(await bringing(world, pool, snapshot).in_place()) == (0, 6, 0), "nothing is doubled"
        await bringing(world, pool, snapshot).in_place(set_flags=True)
        assert (await rows(world, "INBOX"))[4][2].wire == b"$Keep", "nor does it become deleted"
        assert await findings(ann) == []

    begun(tmp_path, scene)


def test_it_comes_back_after_its_contents_were_freed_too(tmp_path: Path) -> None:
    async def scene(world: World, pool: Analyser) -> None:
        _, ids = await put(world.ann, "INBOX", message(1), message(2, "x" * 100_000))
        snapshot = (await world.take()).snapshot
        await world.ann.expunge(1, None, deleted_only=False)
        await world.ann.expunge(1, ALL, deleted_only=False)
        world.clock.advance(300 * 86_400)
        while await world.ann.reclaim(99):
            pass
        assert not await world.ann.has_email(ids[0])
        assert counts(await bringing(world, pool, snapshot).in_place()) == (2, 0, 0)
        assert [id for _, id, _ in await rows(world, "INBOX")] == list(ids)

    begun(tmp_path, scene)


def test_moved_mail_stays_where_it_is_and_copies_are_counted(tmp_path: Path) -> None:
    async def scene(world: World, pool: Analyser) -> None:
        ann = world.ann
        _, ids = await put(ann, "INBOX", *(message(n) for n in range(4)))
        archive = await ann.create_mailbox("Archive")
        await ann.copy(1, ((2, 2),), archive.key)
        await ann.copy(1, ((3, 3),), 1)
        snapshot = (await world.take()).snapshot
        await ann.move(1, ((1, 1),), archive.key)  # moved: left there
        await ann.expunge(1, ((2, 2),), deleted_only=False)  # the copy in Archive was there then: this one is missing
        await ann.expunge(1, ((5, 5),), deleted_only=False)  # one of two in the same mailbox
        done = await bringing(world, pool, snapshot).in_place()
        assert counts(done) == (2, 3, 1)
        assert sorted(id for _, id, _ in await rows(world, "INBOX")) == sorted([ids[1], ids[2], ids[2], ids[3]])
        assert sorted(id for _, id, _ in await rows(world, "Archive")) == sorted([ids[0], ids[1]])

    begun(tmp_path, scene)


def test_flags_stay_unless_it_is_asked_for(tmp_path: Path) -> None:
    async def scene(world: World, pool: Analyser) -> None:
        await put(world.ann, "INBOX", message(1), message(2), flags=SEEN)
        snapshot = (await world.take()).snapshot
        await world.ann.store_flags(1, ((1, 1),), FlagMode.REPLACE, Flags.of(["\\Flagged"]))
        assert (await bringing(world, pool, snapshot).in_place()).flagged == 0
        assert (await rows(world, "INBOX"))[0][2].wire == b"\\Flagged"
        assert (await bringing(world, pool, snapshot, dry_run=True).in_place(set_flags=True)).flagged == 1
        assert (await rows(world, "INBOX"))[0][2].wire == b"\\Flagged"
        assert (await bringing(world, pool, snapshot).in_place(set_flags=True)).flagged == 1
        assert [flags.wire for _, _, flags in await rows(world, "INBOX")] == [b"\\Seen", b"\\Seen"]

    begun(tmp_path, scene)


def test_a_mailbox_comes_back_with_what_it_had_and_a_renamed_one_is_known(tmp_path: Path) -> None:
    async def scene(world: World, pool: Analyser) -> None:
        ann = world.ann
        box = await ann.create_mailbox("Work/Plans", "\\Archive")
        await put(ann, "Work/Plans", message(1))
        await ann.annotate(box.key, {"/private/comment": b"mine", "/shared/comment": b"ours"})
        await ann.set_acl(box.key, BOB, FlagMode.REPLACE, parse_rights("lr"))
        await ann.subscribe("Work/Plans", True)
        renamed = await ann.create_mailbox("Old name")
        await put(ann, "Old name", message(2))
        snapshot = (await world.take()).snapshot
        await ann.delete_mailbox(box.key)
        await ann.expunge(renamed.key, ALL, deleted_only=False)
        await ann.rename_mailbox(renamed.key, "New name")
        done = await bringing(world, pool, snapshot).in_place()
        assert done.mailboxes == [("Work/Plans", 1), ("New name", 1)]
        found = await ann.mailbox("Work/Plans")
        assert found is not None
        assert (found.role, found.subscribed) == ("\\Archive", True)
        assert found.uidvalidity != box.uidvalidity
        entries = (await ann.annotations([found.key], ["/private/comment", "/shared/comment"]))[found.key]
        assert entries == {"/private/comment": b"mine", "/shared/comment": b"ours"}
        assert [(one.identifier, one.rights) for one in await ann.acl(found.key)] == [(BOB, parse_rights("lr"))]
        assert await ann.mailbox("Old name") is None

    begun(tmp_path, scene)


def test_a_mailbox_that_was_empty_comes_back_too(tmp_path: Path) -> None:
    async def scene(world: World, pool: Analyser) -> None:
        ann = world.ann
        empty = await ann.create_mailbox("Plans/Later")
        await ann.set_role(empty.key, "\\Archive")
        await ann.subscribe("Plans/Later", True)
        moved = await ann.create_mailbox("Moved")
        await put(ann, "Moved", message(1))
        snapshot = (await world.take()).snapshot
        await ann.move(moved.key, ALL, 1)
        for key in (empty.key, moved.key):
            await ann.delete_mailbox(key)
        dry = await bringing(world, pool, snapshot, dry_run=True).in_place()
        assert dry.mailboxes == [("Plans/Later", 0)]
        assert await ann.mailbox("Plans/Later") is None
        done = await bringing(world, pool, snapshot).in_place()
        assert (counts(done), done.mailboxes) == ((0, 0, 1), [("Plans/Later", 0)])
        back = await ann.mailbox("Plans/Later")
        assert back is not None
        assert (back.role, back.subscribed) == ("\\Archive", True)
        assert await ann.mailbox("Moved") is None, "what was in it is elsewhere"
        assert (await bringing(world, pool, snapshot).in_place()).mailboxes == []

    begun(tmp_path, scene)


def test_a_mailbox_or_a_message_alone(tmp_path: Path) -> None:
    async def scene(world: World, pool: Analyser) -> None:
        _, ids = await put(world.ann, "INBOX", message(1), message(2))
        await put(world.ann, "Other", message(3))
        snapshot = (await world.take()).snapshot
        other = await world.ann.mailbox("Other")
        assert other is not None
        for key in (1, other.key):
            await world.ann.expunge(key, ALL, deleted_only=False)
        one = Choice(email_ids=frozenset([ids[1]]))
        assert counts(await bringing(world, pool, snapshot, one, dry_run=True).in_place()) == (1, 0, 0)
        assert await rows(world, "INBOX") == []
        assert counts(await bringing(world, pool, snapshot, one).in_place()) == (1, 0, 0)
        assert [id for _, id, _ in await rows(world, "INBOX")] == [ids[1]]
        assert (await bringing(world, pool, snapshot, Choice("Other")).in_place()).mailboxes == [("Other", 1)]
        with pytest.raises(NoRepository):
            await bringing(world, pool, snapshot, Choice("Nowhere")).in_place()

    begun(tmp_path, scene)


def test_beside_everything_is_put_whatever_is_there_but_once(tmp_path: Path) -> None:
    async def scene(world: World, pool: Analyser) -> None:
        _, ids = await put(world.ann, "INBOX", message(1), message(2), flags=SEEN)
        await put(world.ann, "A/B", message(3))
        snapshot = (await world.take()).snapshot
        for expected in ((3, 0, 0), (0, 3, 0)):
            assert counts(await bringing(world, pool, snapshot).beside("2026-11-22")) == expected
        found = await rows(world, "Restored/2026-11-22/INBOX")
        assert [(id, flags.wire) for _, id, flags in found] == [(ids[0], b"\\Seen"), (ids[1], b"\\Seen")]
        assert "Restored/2026-11-22/A/B" in await world.ann.subscriptions()
        assert len(await rows(world, "INBOX")) == 2
        assert await findings(world.ann) == []

    begun(tmp_path, scene)


def test_a_name_that_is_too_deep_to_stand_beside_hinders_no_other(tmp_path: Path) -> None:
    async def scene(world: World, pool: Analyser) -> None:
        deep = "/".join("x" * 50)
        await put(world.ann, deep, message(1))
        await put(world.ann, "Other", message(2))
        snapshot = (await world.take()).snapshot
        done = await bringing(world, pool, snapshot).beside("2026-11-22")
        assert done.mailboxes == [("Restored/2026-11-22/Other", 1)]
        assert [(each.mailbox, each.uid) for each in done.lost] == [(deep, 0)]
        assert "too deep" in done.lost[0].why

    begun(tmp_path, scene)


def test_what_was_put_beside_comes_back_into_its_place_all_the_same(tmp_path: Path) -> None:
    async def scene(world: World, pool: Analyser) -> None:
        await put(world.ann, "INBOX", message(1), message(2))
        snapshot = (await world.take()).snapshot
        await world.ann.expunge(1, ((1, 2),), deleted_only=False)
        await bringing(world, pool, snapshot).beside("2026-11-22")
        assert counts(await bringing(world, pool, snapshot).in_place()) == (2, 0, 0)
        assert counts(await bringing(world, pool, snapshot).in_place()) == (0, 2, 0)
        assert len(await rows(world, "INBOX")) == len(await rows(world, "Restored/2026-11-22/INBOX")) == 2

    begun(tmp_path, scene)


def test_out_gives_the_files_that_export_would_have_written(tmp_path: Path) -> None:
    async def scene(world: World, pool: Analyser) -> None:
        texts = [message(n) for n in range(3)]
        await put(world.ann, "INBOX", *texts, flags=SEEN)
        await put(world.ann, "Other", message(9))
        snapshot = (await world.take()).snapshot
        await world.ann.expunge(1, ALL, deleted_only=False)
        repository = world.repository()
        line = line_of(repository, snapshot, "ann@example.com")
        done, lost = await bring_out(
            repository, line, Choice("INBOX"), tmp_path / "out" / "mail", Form.MAILDIR, world.open, pool, os.urandom
        )
        assert (done.messages, lost) == (3, [])
        items = list(open_source(tmp_path / "out" / "mail").items())
        assert [item.data for item in items if hasattr(item, "data")] == texts
        assert [path.name for path in (tmp_path / "out").iterdir()] == ["mail"], "nothing is left beside it"
        done, _ = await bring_out(
            repository, line, Choice(), tmp_path / "mbox", Form.MBOX, world.open, pool, os.urandom
        )
        assert done.messages == 4
        assert (tmp_path / "mbox" / "Other.mbox").exists()

    begun(tmp_path, scene)


def test_what_pop3_knew_comes_back(tmp_path: Path) -> None:
    async def scene(world: World, pool: Analyser) -> None:
        ann = world.ann
        await put(ann, "INBOX", message(1), message(2), message(3))
        await ann.copy(1, ((3, 3),), 1)
        await ann.finish_maildrop(((1, 1),), Pop3Delete.KEEP, ((1, 2),), mark_seen=False)
        drop = sorted(each.uidl for each in await ann.maildrop())
        before = [each[1:] for each in await ann.provenance(1, ALL)]
        snapshot = (await world.take()).snapshot
        await ann.expunge(1, ALL, deleted_only=False)
        world.clock.advance(300 * 86_400)
        while await ann.reclaim(99):
            pass
        await bringing(world, pool, snapshot).in_place()
        assert sorted(each.uidl for each in await ann.maildrop()) == drop
        assert [each[1:] for each in await ann.provenance(1, ALL)] == before

    begun(tmp_path, scene)


def test_a_quota_stops_it_and_running_it_again_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("restante.backup.bring.GROUP_MESSAGES", 2)

    async def scene(world: World, pool: Analyser) -> None:
        await put(world.ann, "INBOX", *(message(n, "x" * 5_000) for n in range(6)))
        snapshot = (await world.take()).snapshot
        await world.ann.expunge(1, ALL, deleted_only=False)
        await world.engine.directory.update_account(ANN, quota=22_000)
        with pytest.raises(OverQuota):
            await bringing(world, pool, snapshot).in_place()
        assert len(await rows(world, "INBOX")) == 4
        await world.engine.directory.update_account(ANN, quota=10**9)
        assert counts(await bringing(world, pool, snapshot).in_place()) == (2, 4, 0)

    begun(tmp_path, scene)


def test_an_account_that_was_removed_comes_back_whole_with_its_credentials(tmp_path: Path) -> None:
    async def scene(world: World, pool: Analyser) -> None:
        await put(world.ann, "INBOX", *(message(n) for n in range(5)))
        box = await world.ann.create_mailbox("Shared")
        await world.ann.set_acl(box.key, BOB, FlagMode.REPLACE, parse_rights("lr"))
        before = await state(world.ann)
        directory = world.engine.directory
        login = await directory.login("ann@example.com")
        snapshot = (await world.take()).snapshot
        await directory.remove_account(ANN)
        await world.engine.delete_account(ANN)
        repository = world.repository()
        line = line_of(repository, snapshot, "Ann@Example.com")

        def again() -> Coroutine[Any, Any, None]:
            return restore_removed(world.engine, repository, snapshot, line, pool, Restored())

        await again()
        assert await state(world.ann) == before
        now = await directory.login("ann@example.com")
        assert login is not None
        assert now is not None
        version = now.account.credential_version
        assert version != login.account.credential_version  # by which proofs of passwords are remembered
        assert now == replace(login, account=replace(login.account, credential_version=version))
        assert await directory.shares(ANN, (BOB,))
        assert await findings(world.ann) == []
        with pytest.raises(Exists):
            await again()
        await directory.remove_account(ANN)
        await directory.remove_account(BOB)
        await directory.remove_alias("all@example.com")
        await directory.remove_domain("example.com")
        with pytest.raises(NotFound):
            await again()

    begun(tmp_path, scene)


def test_a_process_that_had_the_account_open_goes_on_with_the_one_that_came_back(tmp_path: Path) -> None:
    """Its word that the account is gone may be lost; and sessions of who shares a mailbox live on."""

    async def scene(world: World, pool: Analyser) -> None:
        box = await world.ann.create_mailbox("Shared")
        await put(world.ann, "Shared", message(10), flags=SEEN)
        await put(world.ann, "Shared", message(11), flags=Flags.of(["\\Flagged"]))
        await put(world.ann, "INBOX", *(message(n) for n in range(3)))
        await world.ann.set_acl(box.key, BOB, FlagMode.REPLACE, parse_rights("lrs"))
        snapshot = (await world.take()).snapshot
        serving = world.open(tmp_path / "data")
        theirs, shared = serving.account(ANN), serving.account(ANN, BOB)
        # Flag sets get their numbers by when they were first used: INBOX is filled first when it is made anew.
        await theirs.store_flags(1, ((2, 2),), FlagMode.REPLACE, Flags.of(["Late"]))
        await put(theirs, "INBOX", message(20), flags=DELETED)
        await shared.rows(box.key, ALL, (Column.FLAGS,), 10)
        await theirs.rows(1, ALL, (Column.FLAGS,), 10)
        elsewhere = world.open(tmp_path / "data")
        await elsewhere.directory.remove_account(ANN)
        await elsewhere.delete_account(ANN)
        repository = world.repository()
        line = line_of(repository, snapshot, "ann@example.com")
        await restore_removed(elsewhere, repository, snapshot, line, pool, Restored())
        wanted = await flags_in(elsewhere.account(ANN, BOB), box.key)
        (uid,), _ = await put(theirs, "INBOX", message(30))
        assert uid > 1 << 20, "filed into the account that is there, not into the file that has lost its name"
        world.clock.advance(SURE)
        assert await flags_in(serving.account(ANN), 1) == [(n, Flags()) for n in (1, 2, 3, uid)]
        assert await flags_in(shared, box.key) == wanted
        assert [flags.system for _, flags in wanted] == [System.NONE, System.FLAGGED]
        assert await state(elsewhere.account(ANN)) == await state(serving.account(ANN))
        await serving.close()
        await elsewhere.close()

    begun(tmp_path, scene)


async def flags_in(store: Store, mailbox: int) -> list[tuple[int, Flags]]:
    found = await store.rows(mailbox, ALL, (Column.FLAGS,), 10)
    table = await store.flag_table()
    return [(int(str(row[0])), table[int(str(row[1]))]) for row in found]


def test_the_directory_comes_back_as_it_was(tmp_path: Path) -> None:
    async def scene(world: World, pool: Analyser) -> None:
        directory = world.engine.directory
        await directory.claim_mailbox_id("b" + "a" * 26, ANN, "elsewhere")
        await directory.touch_credential(ANN, 1, 99)
        await directory.update_account(BOB, enabled=False, quota=-1)
        await world.engine.close()  # writes last uses behind
        world.engine = world.open(tmp_path / "data")
        snapshot = (await world.take()).snapshot
        engine, done = await world.give(snapshot, tmp_path / "new")
        was, now = world.engine.directory, engine.directory
        assert await now.common() == await was.common()
        assert await now.persons() == await was.persons()
        assert await now.persons("ann@example.com", 1) == (await was.persons())[1:]
        assert await now.smallest_leave_days(-1) == await was.smallest_leave_days(-1)
        assert done.files == {"restante.toml": b"x"}
        with pytest.raises(Exists):
            await now.fill(await was.common(), [])
        await engine.close()

    begun(tmp_path, scene)


def test_what_was_lost_before_a_restore_was_cut_off_is_told_when_it_goes_on(tmp_path: Path) -> None:
    """Of one account the messages, of another its list, which can be read again: it has an empty store by then."""

    async def scene(world: World, pool: Analyser) -> None:
        await put(world.ann, "INBOX", message(0))
        await put(world.bob, "INBOX", message(1), message(2))
        snapshot = (await world.take()).snapshot
        new, files = tmp_path / "new", dict[str, bytes]()
        lines = lines_of(world.repository(), snapshot)
        damaged = world.repository()
        read = damaged.read

        def unread(id: bytes, what: type[Any]) -> Any:
            if id == lines[ANN].root:
                raise Corrupt("damaged")
            return read(id, what)

        def cut_off(found: Mapping[str, bytes]) -> None:
            raise OSError(errno.ENOSPC, "no room")

        async def give(repository: Repository, put: Callable[[Mapping[str, bytes]], None]) -> Restored:
            return await restore_all(engine, repository, snapshot, new, DEFAULT_LIMITS, lambda octets: None, put)

        engine = world.open(new)
        damaged.read = unread  # type: ignore[method-assign]  # of this one alone
        damaged.places = lambda digests: ((each, None) for each in digests)  # type: ignore[method-assign]  # the same
        with pytest.raises(OSError, match="no room"):
            await give(damaged, cut_off)
        done = await give(world.repository(), files.update)
        assert [(each.address, each.why.partition(" ")[0]) for each in done.lost] == [
            ("ann@example.com", "1"),
            ("bob@example.com", "2"),
        ]
        await engine.close()

    begun(tmp_path, scene)


def test_a_server_whose_restore_was_cut_off_at_its_very_end_is_gone_on_with(tmp_path: Path) -> None:
    """Behind the directory: who shares what, the configuration and the certificate are still to come."""

    async def scene(world: World, pool: Analyser) -> None:
        box = await world.ann.create_mailbox("Shared")
        await world.ann.set_acl(box.key, BOB, FlagMode.REPLACE, parse_rights("lr"))
        snapshot = (await world.take()).snapshot
        new, files = tmp_path / "new", dict[str, bytes]()

        def cut_off(found: Mapping[str, bytes]) -> None:
            raise OSError(errno.ENOSPC, "no room")

        def again(put: Callable[[Mapping[str, bytes]], None]) -> Coroutine[Any, Any, Restored]:
            return restore_all(engine, world.repository(), snapshot, new, DEFAULT_LIMITS, lambda octets: None, put)

        engine = world.open(new)
        with pytest.raises(OSError, match="no room"):
            await again(cut_off)
        await engine.directory.note_shares(ANN, [BOB], granted=lambda: ())  # as if it had been cut off before
        assert (await again(files.update)).earlier == 2, "what came back before is told, since it is not counted again"
        assert files == {"restante.toml": b"x"}
        assert await engine.directory.shares(ANN, (BOB,))
        assert await engine.directory.login("ann@example.com") == await world.engine.directory.login("ann@example.com")
        with pytest.raises(NotEmpty):
            await again(files.update)
        await engine.close()

    begun(tmp_path, scene)


def test_an_alias_in_the_way_leaves_no_store_behind(tmp_path: Path) -> None:
    async def scene(world: World, pool: Analyser) -> None:
        await put(world.ann, "INBOX", message(1))
        snapshot = (await world.take()).snapshot
        await world.engine.directory.remove_account(ANN)
        await world.engine.delete_account(ANN)
        await world.engine.directory.put_alias(Alias("ann@example.com", ("bob@example.com",), 7))
        repository = world.repository()
        line = line_of(repository, snapshot, "ann@example.com")
        with pytest.raises(Exists):
            await restore_removed(world.engine, repository, snapshot, line, pool, Restored())
        assert not world.engine.path(ANN).exists()

    begun(tmp_path, scene)


def test_a_store_that_an_earlier_try_left_is_not_taken_for_another_snapshots(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scene(world: World, pool: Analyser) -> None:
        await put(world.ann, "INBOX", message(1))
        first = (await world.take()).snapshot
        await put(world.ann, "INBOX", message(2))
        second = (await world.take()).snapshot
        before = await state(world.ann)
        await world.engine.directory.remove_account(ANN)
        await world.engine.delete_account(ANN)
        repository = world.repository()

        def again(snapshot: Snapshot) -> Coroutine[Any, Any, None]:
            line = line_of(repository, snapshot, "ann@example.com")
            return restore_removed(world.engine, repository, snapshot, line, pool, Restored())

        async def cut_off(*_: object) -> None:
            raise OSError(errno.EIO, "cut off")

        with monkeypatch.context() as patched:
            patched.setattr(type(world.engine.directory), "put_person", cut_off)
            with pytest.raises(OSError, match="cut off"):
                await again(second)
        with pytest.raises(AnotherStore, match="another state"):
            await again(first)
        assert await world.engine.directory.account("ann@example.com") is None
        await again(second)
        assert await state(world.ann) == before

    begun(tmp_path, scene)
