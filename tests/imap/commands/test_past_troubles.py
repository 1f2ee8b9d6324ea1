"""`Backups/`: what looking costs, the room that it may take, and what is told when something is not there."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import pytest
from msgspec.structs import replace

from restante.backup.errors import BackupRefusal, LocationFailed, WrongKey
from restante.backup.repository import Repository
from restante.server.past_order import cache_folder
from restante.server.past_reader import KEPT, OPEN, MuchAtOnce, PastOf, _octets
from restante.server.past_wire import Fill, Load
from restante.store.errors import PastUnavailable
from restante.store.model import Column
from restante.store.sqlite.past import SqlitePastStore
from restante.store.sqlite.past_file import SqlitePastFile
from restante.store.sqlite.paths import account_file

from ..past_world import PastWorld, mail, opened, run
from ..session.support import ACCOUNT


def test_what_one_session_has_brought_serves_the_other_and_the_next_night() -> None:
    async def scenario(world: PastWorld) -> None:
        await mail(world)
        await world.take()
        await world.take()  # nothing has changed
        first, second = await world.names()
        clients = [await world.client(), await world.client()]
        await asyncio.gather(*(one.ok(b'SELECT "Backups/%b/INBOX"' % first) for one in clients))
        await asyncio.gather(*(one.ok(b"FETCH 1:* ENVELOPE") for one in clients))
        asked = len([one for one in world.past.asked if isinstance(one, Fill)])
        assert asked <= 2
        (past,) = world.reader._files.values()
        for one in clients:
            await one.ok(b'SELECT "Backups/%b/INBOX"' % second)
            await one.ok(b"FETCH 1:* ENVELOPE")
        assert len([one for one in world.past.asked if isinstance(one, Fill)]) == asked
        assert isinstance(past.file, SqlitePastFile)
        boxes = await past.file._store.mailboxes()
        assert [box.messages for box in boxes if box.name.startswith("whole/")] == [3]
        assert len([one for one in world.past.asked if isinstance(one, Load)]) == 4

    run(scenario)


def test_flags_and_dates_are_read_without_a_message() -> None:
    async def scenario(world: PastWorld) -> None:
        await mail(world)
        await world.take()
        client = await opened(world)
        await client.ok(b"FETCH 1:* (UID FLAGS INTERNALDATE RFC822.SIZE EMAILID)")
        await client.ok(b"SEARCH OR UNSEEN SINCE 1-Jan-2020")
        await client.ok(b"SORT (ARRIVAL) UTF-8 ALL")
        assert not any(isinstance(one, Fill) for one in world.past.asked)

    run(scenario)


def test_files_go_when_nobody_looks() -> None:
    async def scenario(world: PastWorld) -> None:
        await mail(world)
        await world.take()
        client = await opened(world)
        await client.ok(b"FETCH 1:* ENVELOPE")
        folder = cache_folder(world.past._data)
        assert list(folder.glob("accounts/*/*.db"))
        world.clock.advance(KEPT + 1)
        await world.reader.sweep()
        await client.ok(b"FETCH 1:* ENVELOPE")  # it is selected: the file stays
        await client.ok(b"UNSELECT")
        await asyncio.sleep(0)
        await asyncio.gather(*world.past.said)
        world.clock.advance(KEPT + 1)
        await world.reader.sweep()
        assert not list(folder.glob("accounts/*/*"))

    run(scenario)


def test_two_who_want_room_at_once_remove_each_file_once() -> None:
    """One is at removing a file while the other comes to it."""

    async def scenario(world: PastWorld) -> None:
        delete = world.reader._engine.delete_account

        async def slowly(id: str) -> None:
            await asyncio.sleep(0)  # the other's turn
            await delete(id)

        world.reader._engine.delete_account = slowly  # type: ignore[assignment]  # put in its place
        for number in range(3):
            id = f"past{number}"
            one = PastOf(id, SqlitePastFile(world.reader._engine, id), account=f"a{number}")
            world.reader._files[id] = world.reader._by_account[one.account] = one
            await world.reader._engine.create_account(id)
        world.clock.advance(KEPT + 1)
        await asyncio.gather(world.reader.sweep(), world.reader.sweep())
        assert world.reader._files == {}
        assert not list(world.reader._folder.glob("accounts/*/*"))

    run(scenario)


def test_the_room_is_bounded() -> None:
    async def scenario(world: PastWorld) -> None:
        await mail(world)
        await world.take()
        world.reader._config = replace(
            world.reader._config, backup=replace(world.reader._config.backup, in_imap_room=1)
        )
        client = await world.client()
        (name,) = await world.names()
        got = await client.do(b'SELECT "Backups/%b/INBOX"' % name)
        assert b"T NO [UNAVAILABLE] There is no room" in got
        assert b"in_imap_room" in world.out.getvalue().encode()

    run(scenario)


def test_the_room_of_one_account_is_bounded() -> None:
    """Whoever has looked at a great deal is told to end it; another account goes on."""

    async def scenario(world: PastWorld) -> None:
        await mail(world)
        await world.take()
        client = await opened(world)
        assert b"T OK" in await client.do(b"FETCH 1:* ENVELOPE")
        (here,) = world.reader._files.values()
        taken = _octets(world.reader._folder, here.id)
        assert taken == _octets(world.reader._folder) > 0
        world.reader._config = replace(
            world.reader._config, backup=replace(world.reader._config.backup, in_imap_room_each=taken)
        )
        got = await client.do(b"SEARCH BODY greetings")
        assert b"T NO [UNAVAILABLE] Too much of the backup has been looked at. Close its mailboxes" in got
        assert b"T OK" in await client.do(b"FETCH 1:* ENVELOPE"), "what is there can be read"
        assert b"in_imap_room_each" in world.out.getvalue().encode()
        other = PastOf("pastother", here.file)
        await world.reader._make_room(other)
        here.uses = 0
        world.reader._config = replace(
            world.reader._config, backup=replace(world.reader._config.backup, in_imap_room=1)
        )
        await world.reader._make_room(other)
        assert here.id not in world.reader._files, "room was made of it when nobody looked"

    run(scenario)


def test_who_comes_late_finds_room_however_much_others_have_taken() -> None:
    """Nobody gets more than is then left: so it is never all gone, and who has little goes on."""

    async def scenario(world: PastWorld) -> None:
        await mail(world)
        await world.take()
        await opened(world)
        (here,) = world.reader._files.values()
        base = _octets(world.reader._folder)
        world.reader._config = replace(
            world.reader._config,
            backup=replace(world.reader._config.backup, in_imap_room=base + 64_000, in_imap_room_each=32_000),
        )

        async def took(number: int) -> int:
            """Octets that somebody takes, one who has his mailboxes open, until no more are given."""
            one = PastOf(f"other{number}", here.file, uses=1, account=f"b{number}")
            world.reader._files[one.id] = world.reader._by_account[one.account] = one
            file = account_file(world.reader._folder, one.id)
            file.parent.mkdir(exist_ok=True)
            file.touch()
            while True:
                try:
                    await world.reader._make_room(one)
                except MuchAtOnce:
                    return file.stat().st_size
                with file.open("ab") as more:
                    more.write(bytes(500))

        assert await took(0) == 32_000
        later = [await took(number) for number in range(1, 5)]
        assert all(later), "each finds some"
        assert later == sorted(later, reverse=True)
        world.reader._files["other0"].uses = 0
        assert await took(5) > later[0], "and more when somebody has left"
        assert "other0" not in world.reader._files

    run(scenario)


def packs(world: PastWorld) -> list[Path]:
    return list(Path(world.settings.backup.location).glob("mail/*/*"))


def move(source: Path, target: Path) -> None:
    source.rename(target)


def test_messages_that_the_backup_has_lost_are_passed_over_and_told() -> None:
    async def scenario(world: PastWorld) -> None:
        await mail(world)
        await world.take()
        await world.file(b"Subject: second night\r\n\r\nstill there\r\n")
        for path in packs(world):
            path.write_bytes(path.read_bytes()[:48] + b"x" * 1000)
        await world.take()
        client = await opened(world)
        got = await client.do(b"FETCH 1:* (UID ENVELOPE)")
        assert got.count(b"FETCH (") == 1
        assert b"second night" in got
        assert b"T NO [UNAVAILABLE] Some messages cannot be read from the backup." in got
        assert b"T OK" in await client.do(b"FETCH 1:* FLAGS")
        assert b"T OK" in await client.do(b"FETCH 4 (ENVELOPE BODY[])")
        assert b"T NO [UNAVAILABLE]" in await client.do(b"COPY 1:4 Work/Now")
        box = await world.store.mailbox("Work/Now")
        assert box is not None
        assert box.messages == 1
        assert b"T OK [COPYUID" in await client.do(b"COPY 4 Work/Now")

    run(scenario)


@pytest.mark.parametrize(
    ("command", "answer"),
    [
        (b"SEARCH SUBJECT night", b"* SEARCH 4\r\n"),
        (b"SEARCH BODY still", b"* SEARCH 4\r\n"),
        (b"UID SEARCH RETURN (COUNT) TEXT night", b"COUNT 1\r\n"),
        (b"SORT (SUBJECT) UTF-8 ALL", b"* SORT "),
        (b"SORT RETURN (RELEVANCY ALL) (RELEVANCY) UTF-8 FUZZY SUBJECT night", b"ESEARCH"),
        (b"THREAD REFERENCES UTF-8 ALL", b"* THREAD "),
        (b"ESEARCH IN (SELECTED) SUBJECT night", b"ESEARCH"),
    ],
    ids=lambda value: value.decode().split("(")[0].strip(),
)
def test_a_search_says_that_it_could_not_look_at_what_the_backup_has_lost(command: bytes, answer: bytes) -> None:
    async def scenario(world: PastWorld) -> None:
        await mail(world)
        await world.take()
        await world.file(b"Subject: second night\r\n\r\nstill there\r\n")
        for path in packs(world):
            path.write_bytes(path.read_bytes()[:48] + b"x" * 1000)
        await world.take()
        client = await opened(world)
        for _ in range(2):
            got = await client.do(command)
            assert answer in got, "what it found counts"
            assert got.count(b"* NO [UNAVAILABLE] Some messages cannot be read from the backup") == 1
            assert got.index(answer) < got.index(b"* NO ")
            assert b"T OK" in got
        assert b"NO" not in await client.do(b"SEARCH UNSEEN"), "which needs no messages"
        assert b"T OK" in await client.do(b"FETCH 4 ENVELOPE"), "nothing of it is left over for others"

    run(scenario)


def test_a_file_that_went_is_told_as_a_backup_that_was_closed() -> None:
    async def scenario(world: PastWorld) -> None:
        await mail(world)
        await world.take()
        (state,) = await world.past.states(ACCOUNT.id)
        store = await world.past.store(ACCOUNT.id, state)
        box = await store.mailbox("INBOX")
        assert box is not None
        await store.inner._engine.delete_account(store.account)
        with pytest.raises(PastUnavailable, match="closed meanwhile"):
            await anext(store.stream_content(1))
        with pytest.raises(PastUnavailable, match="closed meanwhile"):
            await store.rows(box.key, ((1, 9),), [Column.ENVELOPE], 9)
        with pytest.raises(PastUnavailable, match="closed meanwhile"):
            await store.opening(box.key)

    run(scenario)


def test_a_backup_that_cannot_be_reached_is_told_and_the_session_goes_on() -> None:
    async def scenario(world: PastWorld) -> None:
        await mail(world)
        await world.take()
        client = await world.client()
        place = Path(world.settings.backup.location)
        away = place.with_name("away")
        move(place, away)
        got = await client.do(b'LIST "" "Backups/%"')
        assert b"T NO [UNAVAILABLE] The backup cannot be " in got
        assert str(place).encode() not in got
        assert b"T OK" in await client.do(b"SELECT INBOX")
        move(away, place)
        assert b"Backups/" in await client.ok(b'LIST "" "Backups/%"')
        assert "backup not read" in world.out.getvalue()

    run(scenario)


class Sealed(BackupRefusal):
    """What a backup that is written to a public key will say."""

    code = "NEEDS-PRIVATE-KEY"


@pytest.mark.parametrize(
    ("refusal", "said"),
    [(Sealed("The backup is sealed: reading it needs the private key."),
      b"T NO [UNAVAILABLE] The backup is sealed: reading it needs the private key.\r\n"),
     (WrongKey("No key of /srv/backup opens."), b"T NO [UNAVAILABLE] The backup cannot be opened now.\r\n"),
     (LocationFailed("/srv/backup cannot be used."), b"T NO [UNAVAILABLE] The backup cannot be reached now.\r\n")],
    ids=lambda value: getattr(value, "code", ""),
)  # fmt: skip
def test_why_it_cannot_be_opened_is_told_without_places(refusal: BackupRefusal, said: bytes) -> None:
    async def scenario(world: PastWorld) -> None:
        def refused() -> Repository:
            raise refusal

        await mail(world)
        await world.take()
        world.reader._open_repository = refused
        client = await world.client()
        assert await client.do(b'LIST "" "Backups/%"') == said
        assert await client.do(b'SELECT "Backups/2027-01-01 00:00/INBOX"') == said
        assert refusal.text in world.out.getvalue()

    run(scenario)


def test_a_snapshot_that_is_pruned_while_somebody_reads_it() -> None:
    async def scenario(world: PastWorld) -> None:
        await mail(world)
        await world.take()
        client = await opened(world)
        (name,) = await world.names()
        await client.ok(b"FETCH 1 ENVELOPE")
        repository = world.opened()
        for snapshot in repository.snapshots():
            repository.remove_snapshot(snapshot.name)
        world.clock.advance(60.0)
        await client.ok(b"FETCH 1:* (ENVELOPE BODY.PEEK[])")  # its packs stay for days
        for path in packs(world):
            path.unlink()
        assert b"T OK" in await client.do(b"FETCH 1:* ENVELOPE")
        world.clock.advance(OPEN + 1)
        await world.reader.sweep()
        assert re.search(rb"T NO \[UNAVAILABLE\]", await client.do(b"FETCH 1:* BODY.PEEK[]"))
        assert b"T NO [NONEXISTENT]" in await client.do(b'SELECT "Backups/%b/INBOX"' % name)
        assert b"T OK" in await client.do(b"SELECT INBOX")

    run(scenario)


def test_a_large_message_comes_in_pieces_and_is_refused_before_its_response_begins() -> None:
    async def scenario(world: PastWorld) -> None:
        large = b"Subject: large\r\n\r\n" + b"".join(b"line %d of many\r\n" % number for number in range(200_000))
        await world.file(large)
        live = await world.client(b"SELECT INBOX")
        reading = (
            b"FETCH 1 BODY.PEEK[]", b"FETCH 1 BODY.PEEK[TEXT]<1500000.1200000>", b"FETCH 1 BINARY.PEEK[]",
            b"FETCH 1 BODY.PEEK[]<10.20>", b"SEARCH BODY {21+}\r\nline 199999 of many\r\n",
        )  # fmt: skip
        then = [await live.do(command) for command in reading]
        await world.take()
        client = await opened(world)
        assert [await client.do(command) for command in reading] == then
        assert large in then[0]
        again = await opened(world)
        world.reader._looking = None  # and with it what was kept of the message
        for path in packs(world):
            path.unlink()
        for command in reading[:4]:
            got = await again.do(command)
            assert got.startswith(b"T NO [UNAVAILABLE] The backup is damaged there."), got[:100]
        assert b"T OK" in await again.do(b"FETCH 1 (FLAGS ENVELOPE)")
        assert b"T OK" in await again.do(b"SEARCH TEXT large")

    run(scenario)


def test_a_session_outlives_the_file_that_it_has_selected() -> None:
    """As when the process that reads the backup was killed, and the next one has cleared up."""

    async def scenario(world: PastWorld) -> None:
        await mail(world)
        await world.take()
        client = await opened(world)
        (here,) = world.reader._files.values()
        place = client.session.place
        assert place is not None
        store = place.store
        assert isinstance(store, SqlitePastStore)
        await store.inner._engine.delete_account(store.account)
        await world.reader._engine.delete_account(here.id)
        assert b"T OK" in await client.do(b"NOOP"), "nothing can have changed"
        for command in (b"FETCH 1:* ENVELOPE", b"FETCH 1:* FLAGS", b"SEARCH SUBJECT work"):
            assert b"T NO [UNAVAILABLE]" in await client.do(command)
        assert b"T OK" in await client.do(b"SELECT INBOX")

    run(scenario)
