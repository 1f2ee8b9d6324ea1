"""What one session is told of what another does, and when. RFC 9051 5.2, 7.5.1; RFC 2180; RFC 7162 3.2.10."""

from __future__ import annotations

import asyncio
import re
import threading
from array import array
from dataclasses import replace
from typing import Any

import pytest

from restante.imap.session import updates
from restante.imap.session.talk import Talk
from restante.imap.session.view import Update, View
from restante.store.errors import Busy
from restante.store.model import Delta, Flagged, FlagMode, Flags
from restante.store.sqlite import changes
from restante.store.sqlite.account import SqliteStore

from ..commands.test_cost import Counting
from .support import ACCOUNT, Client, World, put_store, run
from .transcript import Transcript

CASES: dict[str, tuple[tuple[bytes, ...], str]] = {
    "rfc9051-7.5.1 expunge is withheld during FETCH, STORE and SEARCH by number": (
        (b"SELECT INBOX",),
        """
        B> NOOP
        B< T OK ...
        A> STORE 2 +FLAGS.SILENT (\\Deleted)
        A< T OK ...
        A> EXPUNGE
        A< * 2 EXPUNGE
        A< T OK ...
        B> FETCH 2:3 (UID RFC822.SIZE)
        B< * 2 FETCH (UID 2 RFC822.SIZE <n>)
        B< * 3 FETCH (UID 3 RFC822.SIZE <n>)
        B< T OK ...
        B> SEARCH UID 3
        B< * SEARCH 3
        B< T OK ...
        B> STORE 3 +FLAGS (\\Flagged)
        B< * 3 FETCH (FLAGS (\\Flagged))
        B< T OK ...
        B> FETCH 2 BODY.PEEK[TEXT]
        B< * 2 FETCH (BODY[TEXT] {5}
        B< two
        B< )
        B< T OK ...
        B> NOOP
        B< * 2 EXPUNGE
        B< T OK ...
        B> FETCH 1:2 UID
        B< * 1 FETCH (UID 1)
        B< * 2 FETCH (UID 3)
        B< T OK ...
        """,
    ),
    "rfc9051-7.5.1 expunge is told after a UID command": (
        (b"SELECT INBOX",),
        """
        B> NOOP
        B< T OK ...
        A> STORE 1 +FLAGS.SILENT (\\Deleted)
        A< T OK ...
        A> EXPUNGE
        A< * 1 EXPUNGE
        A< T OK ...
        B> UID FETCH 2 FLAGS
        B< * 2 FETCH (UID 2 FLAGS ())
        B< * 1 EXPUNGE
        B< T OK ...
        B> FETCH 1 UID
        B< * 1 FETCH (UID 2)
        B< T OK ...
        """,
    ),
    "rfc9051-5.2 arrivals and flags of others": (
        (b"SELECT INBOX",),
        """
        A> NOOP
        A< T OK ...
        B> NOOP
        B< T OK ...
        B> COPY 1 INBOX
        B< * 4 EXISTS
        B< * <n> RECENT
        B< T OK [COPYUID <n> 1 4] ...
        B> STORE 2 +FLAGS (\\Answered)
        B< * 2 FETCH (FLAGS (\\Answered))
        B< T OK ...
        A> NOOP
        A< * 4 EXISTS
        A< * <n> RECENT
        A< * 2 FETCH (FLAGS (\\Answered<any>))
        A< T OK ...
        A> NOOP
        A< T OK ...
        """,
    ),
    "rfc9051-6.3.13 idle tells at once": (
        (b"SELECT INBOX",),
        """
        A> IDLE
        A< + Listening.
        B> STORE 3 +FLAGS (\\Seen)
        B< * 3 FETCH (FLAGS (\\Seen))
        B< T OK ...
        A! * 3 FETCH (FLAGS (\\Seen
        B> STORE 1:2 +FLAGS.SILENT (\\Deleted)
        B< T OK ...
        B> EXPUNGE
        B< * 2 EXPUNGE
        B< * 1 EXPUNGE
        B< T OK ...
        A! * 2 EXPUNGE
        A+ DONE
        A< ...
        A< T OK IDLE completed.
        A> FETCH 1 UID
        A< * 1 FETCH (UID 3)
        A< T OK ...
        """,
    ),
    "rfc7162-3.2.10 vanished in place of expunge": (
        (b"ENABLE QRESYNC", b"SELECT INBOX"),
        """
        B> NOOP
        B< T OK ...
        A> UID STORE 1,3 +FLAGS.SILENT (\\Deleted)
        A< * 1 FETCH (UID 1 MODSEQ (<n:m>))
        A< * 3 FETCH (UID 3 MODSEQ (<n:m>))
        A< T OK ...
        A> EXPUNGE
        A< * VANISHED 1,3
        A< T OK [HIGHESTMODSEQ <n:high>] EXPUNGE completed.
        # the removal waits, so the client is told to go no further than what it has heard of (RFC 7162 6)
        B> FETCH 2 FLAGS
        B< * 2 FETCH (FLAGS ())
        B< T OK [HIGHESTMODSEQ <n>] FETCH completed.
        B> NOOP
        B< * VANISHED 1,3
        B< T OK ...
        B> FETCH 1 (UID MODSEQ)
        B< * 1 FETCH (UID 2 MODSEQ (<n>))
        B< T OK ...
        """,
    ),
    "rfc2180-4.2 STORE on messages that are gone": (
        (b"SELECT INBOX",),
        """
        B> NOOP
        B< T OK ...
        A> STORE 2 +FLAGS.SILENT (\\Deleted)
        A< T OK ...
        A> EXPUNGE
        A< * 2 EXPUNGE
        A< T OK ...
        B> STORE 1:2 +FLAGS (\\Flagged)
        B< * 1 FETCH (FLAGS (\\Flagged))
        B< * 2 FETCH (FLAGS (\\Deleted))
        B< T NO [EXPUNGEISSUED] ...
        B> NOOP
        B< * 2 EXPUNGE
        B< T OK ...
        """,
    ),
    "rfc5530-3 COPY of messages that are gone": (
        (b"SELECT INBOX",),
        """
        B> NOOP
        B< T OK ...
        A> STORE 2 +FLAGS.SILENT (\\Deleted)
        A< T OK ...
        A> EXPUNGE
        A< * 2 EXPUNGE
        A< T OK ...
        # the RFC's example says EXPUNGEISSUED with a search too, as a hint; what is found is told without it here
        B> SEARCH FROM a@example.org
        B< * SEARCH 1 3
        B< T OK SEARCH completed.
        B> COPY 1:3 INBOX
        B< * 2 EXPUNGE
        B< T NO [EXPUNGEISSUED] ...
        """,
    ),
    "rfc9051-6.4.4.1 what was saved, and is known to be gone, is saved no more": (
        (b"SELECT INBOX",),
        """
        B> SEARCH RETURN (SAVE) ALL
        B< T OK ...
        A> STORE 2 +FLAGS.SILENT (\\Deleted)
        A< T OK ...
        A> EXPUNGE
        A< * 2 EXPUNGE
        A< T OK ...
        B> FETCH 1 UID
        B< * 1 FETCH (UID 1)
        B< T OK ...
        B> STORE $ +FLAGS (\\Flagged)
        B< * 1 FETCH (FLAGS (\\Flagged))
        B< * 2 FETCH (FLAGS (\\Deleted))
        B< * 3 FETCH (FLAGS (\\Flagged))
        B< T OK STORE completed.
        B> COPY $ INBOX
        B< * 2 EXPUNGE
        B< * 4 EXISTS
        B< * 2 RECENT
        B< T OK [COPYUID <n> 1,3 4:5] ...
        A> UID STORE 3 +FLAGS.SILENT (\\Deleted)
        A< ...
        A< T OK ...
        A> UID EXPUNGE 3
        A< ...
        A< T OK ...
        B> FETCH 1 UID
        B< * 1 FETCH (UID 1)
        B< T OK ...
        B> MOVE $ INBOX
        B< * OK [COPYUID <n> 1 6] ...
        B< ...
        B< T OK MOVE completed.
        """,
    ),
    "rfc2180-4.4 COPY and MOVE of messages that have just been removed": (
        (b"SELECT INBOX",),
        """
        B> NOOP
        B< T OK ...
        A> STORE 2 +FLAGS.SILENT (\\Deleted)
        A< T OK ...
        A> EXPUNGE
        A< * 2 EXPUNGE
        A< T OK ...
        B> COPY 1:3 INBOX
        B< * 2 EXPUNGE
        B< T NO [EXPUNGEISSUED] ...
        A> UID STORE 3 +FLAGS.SILENT (\\Deleted)
        A< T OK ...
        A> EXPUNGE
        A< * 2 EXPUNGE
        A< T OK ...
        B> MOVE 1:2 INBOX
        B< * 2 EXPUNGE
        B< T NO [EXPUNGEISSUED] ...
        B> UID COPY 1:3 INBOX
        B< * 2 EXISTS
        B< * 1 RECENT
        B< T OK [COPYUID <n> 1 4] ...
        """,
    ),
    "silent store tells nothing unless somebody else changed too": (
        (b"SELECT INBOX",),
        """
        A> NOOP
        A< T OK ...
        B> NOOP
        B< T OK ...
        A> STORE 1 +FLAGS.SILENT (\\Flagged)
        A< T OK ...
        # what it was before, and what it is now: the client may have noted its own change already
        B> STORE 1 +FLAGS.SILENT (\\Answered)
        B< * 1 FETCH (FLAGS (\\Flagged))
        B< * 1 FETCH (FLAGS (\\Answered \\Flagged))
        B< T OK ...
        B> NOOP
        B< T OK ...
        # of those that it alone has changed it knows the flags
        A> STORE 2 +FLAGS.SILENT (\\Draft)
        A< * 1 FETCH (FLAGS (\\Answered \\Flagged))
        A< T OK ...
        B> STORE 1:3 +FLAGS.SILENT (\\Seen)
        B< * 2 FETCH (FLAGS (\\Draft))
        B< * 2 FETCH (FLAGS (\\Seen \\Draft))
        B< T OK ...
        """,
    ),
    "with CONDSTORE the others' numbers are told alone": (
        (b"SELECT INBOX (CONDSTORE)",),
        """
        B> NOOP
        B< T OK ...
        A> STORE 2 +FLAGS (\\Draft)
        A< * 2 FETCH (UID 2 FLAGS (\\Draft) MODSEQ (<n>))
        A< T OK ...
        B> STORE 1:3 +FLAGS.SILENT (\\Seen)
        B< * 2 FETCH (UID 2 FLAGS (\\Draft) MODSEQ (<n>))
        B< * 1 FETCH (UID 1 MODSEQ (<n>))
        B< * 3 FETCH (UID 3 MODSEQ (<n>))
        B< * 2 FETCH (UID 2 FLAGS (\\Seen \\Draft) MODSEQ (<n>))
        B< T OK ...
        """,
    ),
    "with UIDONLY as well": (
        (b"ENABLE UIDONLY", b"SELECT INBOX (CONDSTORE)"),
        """
        B> NOOP
        B< T OK ...
        A> UID STORE 2 +FLAGS (\\Draft)
        A< * 2 UIDFETCH (FLAGS (\\Draft) MODSEQ (<n>))
        A< T OK ...
        B> UID STORE 1:3 +FLAGS.SILENT (\\Seen)
        B< * 2 UIDFETCH (FLAGS (\\Draft) MODSEQ (<n>))
        B< * 1 UIDFETCH (MODSEQ (<n>))
        B< * 3 UIDFETCH (MODSEQ (<n>))
        B< * 2 UIDFETCH (FLAGS (\\Seen \\Draft) MODSEQ (<n>))
        B< T OK ...
        """,
    ),
}


@pytest.mark.parametrize("many", [False, True])
@pytest.mark.parametrize("name", CASES)
def test_two_sessions(monkeypatch: pytest.MonkeyPatch, name: str, many: bool) -> None:
    """many: what changed is read, and taken in, where that is done of large mailboxes: on a thread."""
    setup, text = CASES[name]
    if many:
        monkeypatch.setattr(updates, "UPDATED_AT_ONCE", 0)
        monkeypatch.setattr(changes, "MOST_CHANGED", 0)

    async def scenario(world: World) -> None:
        await world.add(b"one", b"two", b"three")
        first = await world.client(b"SELECT INBOX")  # takes \Recent, so that the transcripts need not show it
        await first.ok(b"UNSELECT")
        await Transcript(world, setup).play(text)

    run(scenario)


class Forgotten:
    """A store that knows no more what was removed."""

    def __init__(self, store: Any) -> None:  # any object with a store's methods
        self.store = store

    def __getattr__(self, name: str) -> Any:  # any method of a store
        return getattr(self.store, name)

    async def delta(self, mailbox: int, since: int) -> Delta:
        delta: Delta = await self.store.delta(mailbox, since)
        return replace(delta, complete=False, vanished=array("I"))


@pytest.mark.parametrize(
    ("logged", "at_once", "on_thread"),
    [(True, 2, False), (True, 1, True), (False, 5, False), (False, 4, True)],
)
def test_many_removals_are_taken_in_on_a_thread(
    monkeypatch: pytest.MonkeyPatch, logged: bool, at_once: int, on_thread: bool
) -> None:
    """As changes are: each costs as much. Where they are not known, all five messages are looked at."""
    monkeypatch.setattr(updates, "UPDATED_AT_ONCE", at_once)
    apart: list[bool] = []
    update = View.update

    def noted(*given: Any, **named: Any) -> Update:
        apart.append(threading.current_thread() is not threading.main_thread())
        return update(*given, **named)

    async def scenario(world: World) -> None:
        await world.add(*[b"m"] * 5)
        one, two = await world.client(b"SELECT INBOX"), await world.client(b"SELECT INBOX")
        await one.ok(b"STORE 2,4 +FLAGS.SILENT (\\Deleted)")
        await one.ok(b"EXPUNGE")
        if not logged:
            put_store(two, Forgotten(world.store))
        monkeypatch.setattr(View, "update", noted)
        assert b"* 4 EXPUNGE\r\n* 2 EXPUNGE\r\n" in await two.ok(b"NOOP")
        assert apart == [on_thread]

    run(scenario)


@pytest.mark.parametrize("second", [b"DELETE box", b"RENAME box other"])
def test_rfc9051_6_3_6_a_name_is_taken_from_a_mailbox_once(second: bytes) -> None:
    """Both sessions have found the mailbox before either takes its name: one of them is told that it is not there."""

    async def scenario(world: World) -> None:
        one, two = await world.client(), await world.client()
        for turn in range(20):
            await one.ok(b"CREATE box")
            renamed = b"box%d" % turn
            answers = await asyncio.gather(one.do(b"RENAME box " + renamed), two.do(second))
            assert sorted(answer[:4] for answer in answers) == [b"T NO", b"T OK"], answers
            assert all(b"[NONEXISTENT]" in answer for answer in answers if answer.startswith(b"T NO"))
            listed = await one.ok(b'LIST "" (box other %b)' % renamed)
            if answers[0].startswith(b"T OK"):
                assert listed.count(b"* LIST") == 1
                assert renamed in listed
            else:
                assert listed.count(b"* LIST") == second.startswith(b"RENAME")
                await one.do(b"DELETE other")

    run(scenario)


SHARED = b'"Other Users/user@example.org/box"'


async def bob_in_box(world: World) -> tuple[Client, Client]:
    """The owner of a mailbox "box" with two messages, and Bob, who has selected it as SHARED."""
    one = await world.client(b"CREATE box")
    await world.add(b"m1", b"m2", mailbox="box")
    await world.person("bob")
    await world.engine.directory.add_account(ACCOUNT)
    await one.ok(b"SETACL box bob@example.org lrswite")
    return one, await world.client(b"SELECT " + SHARED, user=b"bob")


@pytest.mark.parametrize("name", [b"INBOX", SHARED])
@pytest.mark.parametrize("command", [b"COPY", b"MOVE"])
def test_rfc2180_4_4_of_a_shared_mailbox_too(command: bytes, name: bytes) -> None:
    async def scenario(world: World) -> None:
        one, bob = await bob_in_box(world)
        for line in (b"SELECT box", b"STORE 1 +FLAGS.SILENT (\\Deleted)", b"EXPUNGE"):
            await one.ok(line)
        got = await bob.do(command + b" 1:2 " + name)
        assert got.startswith(b"* 1 EXPUNGE\r\n")
        assert b"T NO [EXPUNGEISSUED] " in got
        assert b"(MESSAGES 0)" in await bob.ok(b"STATUS INBOX (MESSAGES)")
        assert b" 2 1] " in await bob.ok(b"UID COPY 1:2 INBOX")
        assert b"(MESSAGES 1)" in await one.ok(b"STATUS box (MESSAGES)")

    run(scenario)


@pytest.mark.parametrize("command", [b'LIST "" * RETURN (SUBSCRIBED)', b'LIST (SUBSCRIBED) "" *'])
def test_rfc9051_6_3_9_what_is_made_while_it_is_listed_is_not_told_as_missing(
    monkeypatch: pytest.MonkeyPatch, command: bytes
) -> None:
    """It comes, and is subscribed to, behind the read of the mailboxes."""

    async def scenario(world: World) -> None:
        one, two = await world.client(), await world.client()

        def then(read: Any) -> Any:
            async def reads(store: SqliteStore) -> Any:
                monkeypatch.undo()
                found = await read(store)
                await one.ok(b"CREATE new")
                await one.ok(b"SUBSCRIBE new")
                return found

            return reads

        for name in ("mailboxes", "names"):
            if hasattr(SqliteStore, name):
                monkeypatch.setattr(SqliteStore, name, then(getattr(SqliteStore, name)))
        assert b"\\NonExistent" not in await two.ok(command)

    run(scenario)


def test_a_lost_hint_does_not_let_a_modseq_cover_a_removal() -> None:
    async def scenario(world: World) -> None:
        await world.add(b"one", b"two")
        one = await world.client(b"ENABLE QRESYNC", b"SELECT INBOX")
        told = one.session.view.told_modseq
        one.session.close_watch()  # as if every hint were lost
        two = await world.client(b"SELECT INBOX", b"STORE 1 +FLAGS (\\Deleted)", b"EXPUNGE", b"STORE 1 +FLAGS (\\Seen)")
        assert b"UID 2" in await two.ok(b"FETCH 1 UID")
        got = await one.ok(b"FETCH 2 (UID MODSEQ)")
        assert b"T OK [HIGHESTMODSEQ %d]" % told in got
        assert b"* VANISHED 1\r\n" in await one.ok(b"NOOP")

    run(scenario)


class Overtaken:
    """A store in which somebody else's change is committed just before each STORE of this session."""

    def __init__(self, world: World) -> None:
        self.store = world.store

    def __getattr__(self, name: str) -> Any:  # any method of a store
        return getattr(self.store, name)

    async def store_flags(self, mailbox: int, *arguments: Any) -> Flagged:
        await self.store.store_flags(mailbox, ((1, 1),), FlagMode.ADD, Flags.of(("\\Answered",)))
        return await self.store.store_flags(mailbox, *arguments)


def test_rfc9051_6_4_6_a_silent_store_that_was_overtaken_tells_the_flags() -> None:
    async def scenario(world: World) -> None:
        await world.add(b"one", b"two")
        one = await world.client(b"SELECT INBOX", b"UNSELECT", b"SELECT INBOX")
        assert await one.ok(b"STORE 2 +FLAGS.SILENT (\\Flagged)") == b"T OK STORE completed.\r\n"
        put_store(one, Overtaken(world))
        got = await one.ok(b"STORE 1 +FLAGS.SILENT (\\Flagged)")
        assert b"* 1 FETCH (FLAGS (\\Answered \\Flagged))\r\n" in got
        put_store(one, world.store)
        assert await one.ok(b"NOOP") == b"T OK NOOP completed.\r\n"

    run(scenario)


class Followed(Overtaken):
    """A store in which somebody else's change is committed just after each STORE of this session."""

    async def store_flags(self, mailbox: int, *arguments: Any) -> Flagged:
        flagged: Flagged = await self.store.store_flags(mailbox, *arguments)
        await self.store.store_flags(mailbox, ((1, 1),), FlagMode.ADD, Flags.of(("\\Answered",)))
        return flagged


@pytest.mark.parametrize("uid", [b"", b"UID "])
def test_rfc7162_3_1_3_a_silent_store_tells_the_modseq_of_its_own_change(uid: bytes) -> None:
    """Another's number without his flags: a client that is cut off then would never learn them."""

    async def scenario(world: World) -> None:
        await world.add(b"one", b"two")
        one = await world.client(b"SELECT INBOX (CONDSTORE)")
        assert one.session.place is not None
        one.session.place = replace(one.session.place, store=Followed(world))
        before = one.session.view.mailbox.highest_modseq
        got = await one.ok(uid + b"STORE 1:2 +FLAGS.SILENT (\\Flagged)")
        own = b"* %d FETCH (UID %d MODSEQ (%d))\r\n"
        assert got.startswith(own % (1, 1, before + 1) + own % (2, 2, before + 1))
        told = b"* 1 FETCH (UID 1 FLAGS (\\Answered \\Flagged \\Recent) MODSEQ (%d))\r\n" % (before + 2)
        assert told in got + await one.ok(b"NOOP")

    run(scenario)


def test_rfc9586_3_3_a_silent_store_tells_its_modseq_without_numbers() -> None:
    async def scenario(world: World) -> None:
        await world.add(b"one", b"two")
        one = await world.client(b"ENABLE UIDONLY", b"SELECT INBOX (CONDSTORE)")
        before = one.session.view.mailbox.highest_modseq
        got = await one.ok(b"UID STORE 2 +FLAGS.SILENT (\\Flagged)")
        assert got.startswith(b"* 2 UIDFETCH (MODSEQ (%d))\r\n" % (before + 1))

    run(scenario)


def test_many_updates_are_told_in_pieces_and_others_have_their_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(updates, "AT_ONCE", 2)
    turns, written = 0, list[tuple[int, bytes]]()
    write = Talk.write

    def noted(talk: Talk, data: bytes) -> None:
        written.append((turns, data))
        write(talk, data)

    async def others() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    async def told(client: Client, kind: bytes) -> list[list[bytes]]:
        """Numbers that a NOOP tells of, by the turn in which they are written."""
        written.clear()
        await client.ok(b"NOOP")
        pieces: dict[int, list[bytes]] = {}
        for turn, data in written:
            pieces.setdefault(turn, []).extend(re.findall(rb"^\* (\d+) " + kind, data, re.MULTILINE))
        return [piece for piece in pieces.values() if piece]

    async def scenario(world: World) -> None:
        await world.add(*[b"m"] * 5)
        one, two = await world.client(b"SELECT INBOX"), await world.client(b"SELECT INBOX")
        await one.ok(b"STORE 1:5 +FLAGS.SILENT (\\Deleted)")
        monkeypatch.setattr(Talk, "write", noted)
        busy = asyncio.get_running_loop().create_task(others())
        assert await told(two, b"FETCH") == [[b"1", b"2"], [b"3", b"4"], [b"5"]]
        await one.ok(b"EXPUNGE")
        assert await told(two, b"EXPUNGE") == [[b"5", b"4"], [b"3", b"2"], [b"1"]]
        busy.cancel()

    run(scenario)


@pytest.mark.parametrize("notify", [False, True])
def test_who_is_told_of_changes_without_end_is_heard_all_the_same(notify: bool) -> None:
    """In IDLE (RFC 9051 6.3.13: the client may end it at any time), and between commands where NOTIFY was used: what
    came while the last change was told had kept the session from reading."""

    async def scenario(world: World) -> None:
        class Busy(Counting):
            async def delta(self, *arguments: Any) -> Delta:
                found: Delta = await self.store.delta(*arguments)
                mode = FlagMode.REMOVE if self.calls["delta"] % 2 else FlagMode.ADD
                self.calls["delta"] += 1
                await self.store.store_flags(1, ((1, 1),), mode, Flags.of(["\\Flagged"]))
                return found

        await world.add(b"one")
        client = await world.client(b"SELECT INBOX")
        put_store(client, Busy(world.store))
        if notify:
            client.connection.feed(b"a NOTIFY SET (selected (MessageNew MessageExpunge FlagChange))\r\n")
        else:
            client.connection.feed(b"a IDLE\r\n")
        await client.until(lambda written: written.count(b"FETCH") > 3)
        client.connection.feed(b"b NOOP\r\n" if notify else b"DONE\r\n")
        await client.until(lambda written: b" OK NOOP" in written or b"a OK IDLE" in written)

    run(scenario)


class Unread(Overtaken):
    """A store that finds messages and does not read them."""

    async def rows(self, *_arguments: Any, **_options: Any) -> Any:
        raise Busy("Somebody else writes.")


@pytest.mark.parametrize("command", [b"SEARCH RETURN (SAVE) %b", b"ESEARCH RETURN (SAVE) %b"])
def test_rfc5182_2_1_a_search_that_fails_late_saves_nothing(command: bytes) -> None:
    async def scenario(world: World) -> None:
        await world.add(b"one", b"two")
        one = await world.client(b"SELECT INBOX", b"ENABLE CONDSTORE")
        await one.ok(command % b"ALL")
        put_store(one, Unread(world))
        assert b"T NO [INUSE]" in await one.do(command.replace(b"SAVE", b"SAVE ALL") % b"MODSEQ 1")
        put_store(one, world.store)
        assert b"COUNT 0" in await one.ok(b"SEARCH RETURN (COUNT) $")

    run(scenario)
