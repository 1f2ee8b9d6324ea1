"""Searches that are kept up to date: UPDATE, CANCELUPDATE. RFC 5267; RFC 5032 2; RFC 5465 7; RFC 9586 3."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from restante.config.model import ImapTable
from restante.imap.commands import contexts as handlers
from restante.imap.session import capabilities, contexts
from restante.store import errors
from restante.store.interface import Store

from ..session.support import SIMPLE, Client, World, put_store, run
from .test_cost import Counting


async def play(client: Client, *steps: tuple[bytes, bytes]) -> None:
    """Send commands with tags of their own; each answer is compared whole, tagged response left out."""
    for command, expected in steps:
        tag = command.split(b" ")[0]
        got = await client.raw(command + b"\r\n", tag)
        lines = [line for line in got.split(b"\r\n") if line]
        assert lines.pop().startswith(tag + b" OK"), got
        assert lines == [line.strip() for line in expected.split(b"\n") if line.strip()], command


async def inbox(world: World, count: int = 4) -> Client:
    """A client with `count` messages of its own, none of them \\Recent."""
    await world.add(*[b"m%d" % n for n in range(1, count + 1)])
    await world.client(b"SELECT INBOX")
    return await world.client(b"SELECT INBOX")


def test_rfc5267_4_3_flags_of_ones_own_and_of_others() -> None:
    async def scenario(world: World) -> None:
        one = await inbox(world)
        two = await world.client(b"SELECT INBOX")
        await play(
            one,
            (b"B01 UID SEARCH RETURN (UPDATE COUNT) DELETED KEYWORD $Junk", b'* ESEARCH (TAG "B01") UID COUNT 0'),
            (
                b"a STORE 2 FLAGS (\\Deleted $Junk)",
                b"* FLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft $Junk)\n"
                b"* OK [PERMANENTFLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft $Junk \\*)]"
                b" Flags that are kept.\n"
                b'* 2 FETCH (FLAGS (\\Deleted $Junk))\n* ESEARCH (TAG "B01") UID ADDTO (0 2)',
            ),
            (b"b STORE 3 +FLAGS.SILENT (\\Deleted)", b""),
            (b"c UID STORE 2:3 +FLAGS.SILENT ($Junk)", b'* ESEARCH (TAG "B01") UID ADDTO (0 3)'),
            (b"d NOOP", b""),
        )
        await two.ok(b"STORE 2:4 FLAGS.SILENT ()")
        await play(
            one,
            (
                b"e NOOP",
                b'* 2 FETCH (FLAGS ())\n* 3 FETCH (FLAGS ())\n* ESEARCH (TAG "B01") UID REMOVEFROM (0 2:3)',
            ),
            (b"f NOOP", b""),
        )

    run(scenario)


def test_rfc5267_4_3_2_message_numbers_stand_around_exists_and_expunge() -> None:
    async def scenario(world: World) -> None:
        one = await inbox(world)
        two = await world.client(b"SELECT INBOX")
        await play(one, (b"B01 SEARCH RETURN (UPDATE ALL) UNSEEN", b'* ESEARCH (TAG "B01") ALL 1:4'))
        await play(two, (b"a STORE 2 +FLAGS.SILENT (\\Deleted)", b""), (b"b EXPUNGE", b"* 2 EXPUNGE"))
        await world.add(b"new")
        # a removal may be told before EXPUNGE may (RFC 5267 A.3); its number is the one that the client has
        await play(
            one,
            (
                b"c FETCH 1 UID",
                b'* 1 FETCH (UID 1)\n* ESEARCH (TAG "B01") REMOVEFROM (0 2)\n'
                b'* 5 EXISTS\n* 1 RECENT\n* ESEARCH (TAG "B01") ADDTO (0 5)',
            ),
            (b"d FETCH 1:5 UID", b"\n".join(b"* %d FETCH (UID %d)" % (n, n) for n in range(1, 6))),
            (b"e NOOP", b"* 2 EXPUNGE"),
            (
                b"f FETCH 4 BODY[TEXT]<0.1>",
                b'* 4 FETCH (FLAGS (\\Seen \\Recent) BODY[TEXT]<0> {1}\nn)\n* ESEARCH (TAG "B01") REMOVEFROM (0 4)',
            ),
            (b"g STORE 3 +FLAGS.SILENT (\\Deleted)", b""),
            (b"h EXPUNGE", b'* ESEARCH (TAG "B01") REMOVEFROM (0 3)\n* 3 EXPUNGE'),
        )

    run(scenario)


def test_rfc5267_4_3_arrivals_and_flags_in_idle() -> None:
    async def scenario(world: World) -> None:
        one = await inbox(world)
        await play(one, (b"B01 UID SEARCH RETURN (UPDATE) SUBJECT new", b'* ESEARCH (TAG "B01") UID'))
        await one.idle()
        await world.file(SIMPLE % (b"new", b"x"))
        got = await one.pushed(b"ADDTO")
        assert got.index(b"* 5 EXISTS\r\n") < got.index(b'* ESEARCH (TAG "B01") UID ADDTO (0 5)\r\n')
        two = await world.client(b"SELECT INBOX", b"STORE 5 +FLAGS.SILENT (\\Deleted)", b"EXPUNGE")
        assert b"T OK" in await two.do(b"NOOP")
        got = await one.pushed(b"5 EXPUNGE")
        assert got.index(b'* ESEARCH (TAG "B01") UID REMOVEFROM (0 5)\r\n') < got.index(b"* 5 EXPUNGE\r\n")

    run(scenario)


def test_rfc5267_4_3_a_tag_in_use_is_refused_and_free_again_once_cancelled() -> None:
    async def scenario(world: World) -> None:
        one = await inbox(world)
        await play(one, (b"B01 SEARCH RETURN (UPDATE COUNT) SEEN", b'* ESEARCH (TAG "B01") COUNT 0'))
        assert (await one.raw(b"B01 SEARCH RETURN (UPDATE) FLAGGED\r\n", b"B01")).startswith(b"B01 BAD ")
        assert (await one.raw(b"B01 ESEARCH RETURN (UPDATE) FLAGGED\r\n", b"B01")).startswith(b"B01 BAD ")
        await play(
            one,
            (b"B01 SEARCH RETURN (COUNT) SEEN", b'* ESEARCH (TAG "B01") COUNT 0'),
            (b"B02 SEARCH RETURN (UPDATE COUNT) SEEN", b'* ESEARCH (TAG "B02") COUNT 0'),
            (b'B04 CANCELUPDATE "B01" "unknown"', b""),
            (b"a STORE 1 +FLAGS.SILENT (\\Seen)", b'* ESEARCH (TAG "B02") ADDTO (0 1)'),
            (b"B01 SEARCH RETURN (UPDATE COUNT) SEEN", b'* ESEARCH (TAG "B01") COUNT 1'),
            (b'B05 CANCELUPDATE "B01" "B02"', b""),
            (b"b STORE 1 -FLAGS.SILENT (\\Seen)", b""),
        )
        assert not one.session.view.contexts
        assert not len(one.session.view.unsettled)
        await play(one, (b"B01 SEARCH RETURN (UPDATE COUNT) SEEN", b'* ESEARCH (TAG "B01") COUNT 0'))
        await one.ok(b"SELECT INBOX")
        await play(one, (b"c STORE 1 +FLAGS.SILENT (\\Seen)", b""))  # another selection, no more updates

    run(scenario)


def test_rfc5267_4_3_1_too_many() -> None:
    async def scenario(world: World) -> None:
        world.config = ImapTable(contexts=2)
        one = await inbox(world)
        await play(
            one,
            (b"a SEARCH RETURN (UPDATE COUNT) ALL", b'* ESEARCH (TAG "a") COUNT 4'),
            (b"b SEARCH RETURN (UPDATE COUNT) ALL", b'* ESEARCH (TAG "b") COUNT 4'),
            (
                b"c SEARCH RETURN (UPDATE COUNT) ALL",
                b'* ESEARCH (TAG "c") COUNT 4\n* NO [NOUPDATE "c"] Too many searches are kept up to date.',
            ),
        )

    run(scenario)


def test_rfc5267_4_3_1_results_are_bounded_but_the_first_search_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(handlers, "MOST_UIDS", 3)

    async def scenario(world: World) -> None:
        one = await inbox(world)
        assert b"NOUPDATE" not in await one.ok(b"SEARCH RETURN (UPDATE) ALL")
        assert b"NOUPDATE" in await one.ok(b"SEARCH RETURN (UPDATE) 1")

    run(scenario)


def test_rfc9738_a_limited_search_is_not_kept() -> None:
    async def scenario(world: World) -> None:
        world.config = ImapTable(message_limit=3)
        one = await inbox(world)
        got = await one.ok(b"SEARCH RETURN (UPDATE COUNT) ALL")
        assert b'* NO [NOUPDATE "T"] ' in got
        assert b"T OK [MESSAGELIMIT 3 2]" in got

    run(scenario)


def test_rfc5267_4_3_message_numbers_and_saved_results_mean_what_they_meant() -> None:
    async def scenario(world: World) -> None:
        one = await inbox(world)
        await one.ok(b"SEARCH RETURN (SAVE) 3")
        await play(
            one,
            (b"a SEARCH RETURN (UPDATE ALL) 2:3", b'* ESEARCH (TAG "a") ALL 2:3'),
            (b"b SEARCH RETURN (UPDATE ALL) $", b'* ESEARCH (TAG "b") ALL 3'),
            (b"c SEARCH RETURN (SAVE) 4", b""),
            (b"d STORE 1 +FLAGS.SILENT (\\Deleted)", b""),
            (b"e EXPUNGE", b"* 1 EXPUNGE"),
            (
                b"f STORE 1:3 +FLAGS (\\Seen)",
                b"* 1 FETCH (FLAGS (\\Seen))\n* 2 FETCH (FLAGS (\\Seen))\n* 3 FETCH (FLAGS (\\Seen))",
            ),
            (b"g STORE 2 +FLAGS.SILENT (\\Deleted)", b""),
            (
                b"h EXPUNGE",
                b'* ESEARCH (TAG "a") REMOVEFROM (0 2)\n* ESEARCH (TAG "b") REMOVEFROM (0 2)\n* 2 EXPUNGE',
            ),
        )

    run(scenario)


def test_rfc9051_6_4_9_a_set_with_the_last_uid_follows_it() -> None:
    async def scenario(world: World) -> None:
        one = await inbox(world)
        await play(
            one,
            (b"a UID SEARCH RETURN (UPDATE ALL) UID 100:*", b'* ESEARCH (TAG "a") UID ALL 4'),
            (b"b UID SEARCH RETURN (UPDATE ALL) UID 3:*", b'* ESEARCH (TAG "b") UID ALL 3:4'),
            (b"c UID SEARCH RETURN (UPDATE ALL) UID 3:6", b'* ESEARCH (TAG "c") UID ALL 3:4'),
        )
        await world.add(b"five")
        await play(
            one,
            (
                b"d NOOP",
                b'* 5 EXISTS\n* 1 RECENT\n* ESEARCH (TAG "a") UID REMOVEFROM (0 4) ADDTO (0 5)\n'
                b'* ESEARCH (TAG "b") UID ADDTO (0 5)\n* ESEARCH (TAG "c") UID ADDTO (0 5)',
            ),
            (b"e UID STORE 4:5 +FLAGS.SILENT (\\Deleted)", b""),
            (
                b"f EXPUNGE",
                b'* ESEARCH (TAG "a") UID REMOVEFROM (0 5)\n* ESEARCH (TAG "b") UID REMOVEFROM (0 4:5)\n'
                b'* ESEARCH (TAG "c") UID REMOVEFROM (0 4:5)\n* 5 EXPUNGE\n* 4 EXPUNGE\n'
                b'* ESEARCH (TAG "a") UID ADDTO (0 3)',
            ),
        )

    run(scenario)


def test_rfc7377_2_2_update_of_the_selected_mailbox_alone() -> None:
    async def scenario(world: World) -> None:
        one = await inbox(world)
        await one.ok(b"CREATE other")
        await world.add(b"o1", mailbox="other")
        stranger = await world.client()
        assert b"T BAD" in await stranger.do(b"ESEARCH IN (personal) RETURN (UPDATE) ALL")
        await one.ok(b"NOOP")
        box = await world.store.mailbox("INBOX")
        assert box is not None
        got = await one.raw(b"B01 ESEARCH IN (personal) RETURN (UPDATE COUNT) UNSEEN\r\n", b"B01")
        assert got.count(b"COUNT") == 2
        got = await one.raw(b"B02 ESEARCH IN (mailboxes other) RETURN (UPDATE COUNT) UNSEEN\r\n", b"B02")
        assert b'* NO [NOUPDATE "B02"]' in got
        await world.add(b"o2", mailbox="other")
        where = b'TAG "B01" MAILBOX INBOX UIDVALIDITY %d' % box.uidvalidity
        await play(one, (b"a STORE 2 +FLAGS.SILENT (\\Seen)", b"* ESEARCH (%b) UID REMOVEFROM (0 2)" % where))
        got = await one.raw(b"B03 ESEARCH RETURN (UPDATE COUNT) SUBJECT nothing\r\n", b"B03")
        assert got == b"B03 OK ESEARCH completed.\r\n"
        await world.file(SIMPLE % (b"nothing", b"x"))
        assert b'(TAG "B03" MAILBOX INBOX UIDVALIDITY %d) UID ADDTO (0 5)' % box.uidvalidity in await one.ok(b"NOOP")

    run(scenario)


def test_rfc5465_7_items_of_messages_that_arrive() -> None:
    async def scenario(world: World) -> None:
        one = await inbox(world)
        await one.raw(
            b"a00 SEARCH RETURN (COUNT UPDATE (UID BODY.PEEK[HEADER.FIELDS (SUBJECT)])) SUBJECT s1 UNFLAGGED\r\n",
            b"a00",
        )
        await world.add(b"match")
        await play(
            one,
            (
                b"a NOOP",
                b"* 5 EXISTS\n* 1 RECENT\n* 5 FETCH (UID 5 BODY[HEADER.FIELDS (SUBJECT)] {15}\nSubject: s1\n)\n"
                b'* ESEARCH (TAG "a00") ADDTO (0 5)',
            ),
            # no items for what joins by its flags
            (b"b STORE 5 +FLAGS.SILENT (\\Flagged)", b'* ESEARCH (TAG "a00") REMOVEFROM (0 5)'),
            (b"c STORE 5 -FLAGS.SILENT (\\Flagged)", b'* ESEARCH (TAG "a00") ADDTO (0 5)'),
        )

    run(scenario)


@pytest.mark.parametrize(
    ("enabled", "expected"),
    [
        (b"CONDSTORE", b"* 5 FETCH (UID 5 FLAGS (\\Recent) MODSEQ (6))"),
        (b"IMAP4rev2", b"* 5 FETCH (UID 5 FLAGS ())"),
        (b"UIDONLY QRESYNC", b"* 5 UIDFETCH (FLAGS (\\Recent) MODSEQ (6))"),
    ],
)
def test_rfc7162_3_2_4_items_of_messages_that_arrive_come_with_uid_and_modseq(enabled: bytes, expected: bytes) -> None:
    async def scenario(world: World) -> None:
        one = await inbox(world)
        await one.ok(b"ENABLE " + enabled)
        await one.ok(b"UID SEARCH RETURN (COUNT UPDATE (FLAGS)) ALL")
        await world.add(b"new")
        assert expected + b"\r\n" in await one.ok(b"NOOP")

    run(scenario)


@pytest.mark.parametrize(
    "command", [b"APPEND INBOX {3+}\r\nabc", b"COPY 1 INBOX", b"MOVE 1 INBOX", b"REPLACE 1 INBOX {3+}\r\nabc"]
)
@pytest.mark.parametrize("notify", [b"NOOP", b"NOTIFY SET (selected (MessageNew MessageExpunge))"])
def test_rfc5465_5_2_no_items_of_messages_that_the_client_has_filed_itself(command: bytes, notify: bytes) -> None:
    async def scenario(world: World) -> None:
        one = await inbox(world)
        await one.ok(b"CREATE Other")
        await one.ok(b"UID SEARCH RETURN (COUNT UPDATE (FLAGS)) ALL")
        await one.ok(notify)
        got = await one.ok(command)
        assert b" ADDTO (0 5)\r\n" in got
        assert b"FETCH" not in got
        await world.add(b"from elsewhere")
        got = await one.pushed(b"ADDTO") if notify != b"NOOP" else await one.ok(b"NOOP")
        assert b" FETCH (UID 6 FLAGS (" in got
        assert b" ADDTO (0 6)\r\n" in got
        await one.ok(command.replace(b"INBOX", b"Other"))
        await world.add(b"from elsewhere")
        got = await one.pushed(b"ADDTO (0 7)") if notify != b"NOOP" else await one.ok(b"NOOP")
        assert b" FETCH (UID 7 FLAGS (" in got

    run(scenario)


def test_rfc9586_3_no_updates_by_number_after_enable_uidonly() -> None:
    async def scenario(world: World) -> None:
        one = await inbox(world)
        await play(
            one,
            (b"a SEARCH RETURN (UPDATE COUNT) SEEN", b'* ESEARCH (TAG "a") COUNT 0'),
            (b"b UID SEARCH RETURN (UPDATE COUNT) SEEN", b'* ESEARCH (TAG "b") UID COUNT 0'),
            (b"c ENABLE UIDONLY", b'* NO [NOUPDATE "a"] Message numbers are not told any more.\n* ENABLED UIDONLY'),
            (b"d UID STORE 2 +FLAGS.SILENT (\\Seen)", b'* ESEARCH (TAG "b") UID ADDTO (0 2)'),
        )

    run(scenario)


def test_rfc5032_2_what_grows_older_is_looked_at_now_and_then() -> None:
    async def scenario(world: World) -> None:
        one = await inbox(world)
        await play(
            one,
            (b"a UID SEARCH RETURN (UPDATE COUNT) YOUNGER 1000", b'* ESEARCH (TAG "a") UID COUNT 4'),
            (b"b UID SEARCH RETURN (UPDATE COUNT) OLDER 2000 UNSEEN", b'* ESEARCH (TAG "b") UID COUNT 0'),
        )
        world.clock.advance(1000)
        await world.add(b"five")
        await play(
            one,
            # all four are exactly 1000 seconds old: still young
            (b"c NOOP", b'* 5 EXISTS\n* 1 RECENT\n* ESEARCH (TAG "a") UID ADDTO (0 5)'),
        )
        world.clock.advance(30)
        await play(one, (b"d NOOP", b""))  # the clock was looked at 30 seconds ago
        world.clock.advance(30)
        await play(one, (b"f STORE 1 +FLAGS.SILENT (\\Seen)", b'* ESEARCH (TAG "a") UID REMOVEFROM (0 1:4)'))
        world.clock.advance(940)
        await play(one, (b"g NOOP", b'* ESEARCH (TAG "b") UID ADDTO (0 2:4)'))

    run(scenario)


def test_rfc5032_2_and_in_idle(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contexts, "EVERY", 0.01)

    async def scenario(world: World) -> None:
        one = await inbox(world)
        await play(one, (b"a UID SEARCH RETURN (UPDATE COUNT) YOUNGER 1000", b'* ESEARCH (TAG "a") UID COUNT 4'))
        await one.idle()
        world.clock.advance(1001)
        assert b'* ESEARCH (TAG "a") UID REMOVEFROM (0 1:4)\r\n' in await one.pushed(b"REMOVEFROM")

    run(scenario)


def test_only_what_changed_is_searched_again_and_nothing_without_a_context() -> None:
    class Noting(Counting):
        def __init__(self, store: Store) -> None:
            super().__init__(store)
            self.searched: list[Any] = []

        async def search(self, *arguments: Any, **options: Any) -> Any:
            self.searched.append(arguments[2])
            return await self.store.search(*arguments, **options)

    async def scenario(world: World) -> None:
        one = await inbox(world)
        store = Noting(world.store)
        put_store(one, store)
        await one.ok(b"STORE 2 +FLAGS.SILENT (\\Seen)")
        await one.ok(b"NOOP")
        assert store.searched == []
        await one.ok(b"SEARCH RETURN (UPDATE) UNSEEN")
        store.searched.clear()
        await one.ok(b"NOOP")
        assert store.searched == []
        await one.ok(b"STORE 3:4 +FLAGS.SILENT (\\Seen)")
        assert store.searched == [((3, 4),)]
        store.searched.clear()
        store.calls = Counter()
        await world.add(b"five")
        await one.ok(b"NOOP")
        assert store.searched == [((5, 5),)]
        assert store.calls["delta"] == 1

    run(scenario)


def test_what_the_store_refused_to_say_is_asked_again() -> None:
    class Busy(Counting):
        refusals = 0

        async def search(self, *arguments: Any, **options: Any) -> Any:
            if self.refusals:
                self.refusals -= 1
                raise errors.Busy("Somebody else writes.")
            return await self.store.search(*arguments, **options)

    async def scenario(world: World) -> None:
        one = await inbox(world)
        two = await world.client(b"SELECT INBOX")
        await one.ok(b"UID SEARCH RETURN (UPDATE) OR UNSEEN UID 900:*")
        store = Busy(world.store)
        put_store(one, store)
        await two.ok(b"STORE 2 +FLAGS.SILENT (\\Seen)")
        await world.add(b"five")
        store.refusals = 1
        got = await one.do(b"STORE 3 +FLAGS.SILENT (\\Flagged)")  # looks at what others did before it does anything
        assert b"T NO [INUSE]" in got
        assert b"UID REMOVEFROM (0 2) ADDTO (0 5)\r\n" in got
        await two.ok(b"NOOP")
        await two.ok(b"STORE 4:5 +FLAGS.SILENT (\\Seen)")
        assert b"UID REMOVEFROM (0 4)\r\n" in await one.ok(b"NOOP")  # 5 is the last

    run(scenario)


def test_the_capability_is_announced() -> None:
    assert {b"CONTEXT=SEARCH", b"CONTEXT=SORT"} <= set(capabilities.AFTER)


def test_rfc5032_2_a_clock_set_back_is_noticed() -> None:
    async def scenario(world: World) -> None:
        one = await inbox(world)
        world.clock.advance(2000)
        await play(one, (b"a UID SEARCH RETURN (UPDATE COUNT) YOUNGER 1000", b'* ESEARCH (TAG "a") UID COUNT 0'))
        world.clock.set(world.clock.now() - 1500)
        await play(one, (b"b NOOP", b'* ESEARCH (TAG "a") UID ADDTO (0 1:4)'))

    run(scenario)


def test_rfc5032_2_what_waits_long_for_the_store_is_not_passed_over() -> None:
    """The window between two looks is the engine's own: what leaves it while a search waits had stayed a result."""

    async def scenario(world: World) -> None:
        class Late(Counting):
            async def search(self, *arguments: Any, **options: Any) -> Any:
                world.clock.advance(90)
                return await self.store.search(*arguments, **options)

        one = await inbox(world)
        await play(one, (b"a UID SEARCH RETURN (UPDATE COUNT) YOUNGER 1000", b'* ESEARCH (TAG "a") UID COUNT 4'))
        world.clock.advance(995)
        await play(one, (b"b NOOP", b""))
        world.clock.advance(65)
        put_store(one, Late(world.store))
        await play(one, (b"c NOOP", b'* ESEARCH (TAG "a") UID REMOVEFROM (0 1:4)'))

    run(scenario)


def test_rfc5267_4_3_3_sorted_results_have_positions() -> None:
    async def scenario(world: World) -> None:
        for subject in (b"delta", b"alpha", b"charlie", b"echo"):
            await world.file(SIMPLE % (subject, b"x"))
        await world.client(b"SELECT INBOX")
        one = await world.client(b"SELECT INBOX")
        await play(
            one,
            (
                b"B01 UID SORT RETURN (UPDATE ALL) (SUBJECT) UTF-8 UNDELETED",
                b'* ESEARCH (TAG "B01") UID ALL 2:3,1,4',
            ),
            (
                b"B02 SORT RETURN (UPDATE COUNT) (REVERSE SUBJECT) UTF-8 UNDELETED",
                b'* ESEARCH (TAG "B02") COUNT 4',
            ),
            (
                b"a STORE 1,3 +FLAGS.SILENT (\\Deleted)",
                b'* ESEARCH (TAG "B01") UID REMOVEFROM (2 3,1)\n* ESEARCH (TAG "B02") REMOVEFROM (2 1,3)',
            ),
            (
                b"b STORE 3 -FLAGS.SILENT (\\Deleted)",
                b'* ESEARCH (TAG "B01") UID ADDTO (2 3)\n* ESEARCH (TAG "B02") ADDTO (2 3)',
            ),
        )
        for subject in (b"bravo", b"foxtrot", b"alpha"):
            await world.file(SIMPLE % (subject, b"x"))
        await play(
            one,
            (
                b"c NOOP",
                b"* 7 EXISTS\n* 3 RECENT\n"
                b'* ESEARCH (TAG "B01") UID ADDTO (2 7,5 6 6)\n* ESEARCH (TAG "B02") ADDTO (1 6 4 5 6 7)',
            ),
            (b"d UID SORT RETURN (ALL) (SUBJECT) UTF-8 UNDELETED", b'* ESEARCH (TAG "d") UID ALL 2,7,5,3:4,6'),
            (b"e SORT RETURN (ALL) (REVERSE SUBJECT) UTF-8 UNDELETED", b'* ESEARCH (TAG "e") ALL 6,4,3,5,2,7'),
            (
                b"f EXPUNGE",
                b"* 1 EXPUNGE",  # it had left the results when it was marked
            ),
            (
                b"g STORE 1,6 +FLAGS.SILENT (\\Deleted)",
                b'* ESEARCH (TAG "B01") UID REMOVEFROM (1 2,7)\n* ESEARCH (TAG "B02") REMOVEFROM (5 1,6)',
            ),
            (b'h CANCELUPDATE "B01" "B02"', b""),
        )

    run(scenario)


def test_rfc5267_4_3_3_results_that_come_to_stand_together_are_told_together() -> None:
    """The preferred one of three ways, and what cannot be told so."""

    async def scenario(world: World) -> None:
        for subject in (b"p", b"q"):
            await world.file(SIMPLE % (subject, b"x"))
        await world.client(b"SELECT INBOX")
        one = await world.client(b"SELECT INBOX")
        await play(one, (b"C01 UID SORT RETURN (UPDATE ALL) (SUBJECT) UTF-8 ALL", b'* ESEARCH (TAG "C01") UID ALL 1:2'))
        for subject in (b"d", b"e", b"f"):
            await world.file(SIMPLE % (subject, b"x"))
        await play(one, (b"a NOOP", b'* 5 EXISTS\n* 3 RECENT\n* ESEARCH (TAG "C01") UID ADDTO (1 3:5)'))
        for subject in (b"c", b"b", b"a"):
            await world.file(SIMPLE % (subject, b"x"))
        await play(
            one,
            (b"b NOOP", b'* 8 EXISTS\n* 6 RECENT\n* ESEARCH (TAG "C01") UID ADDTO (1 8,7,6)'),
            (b"c UID SORT RETURN (ALL) (SUBJECT) UTF-8 ALL", b'* ESEARCH (TAG "c") UID ALL 8,7,6,3:5,1:2'),
        )
        # 4.3: "Tag reuse"
        got = await one.raw(b"C01 SORT RETURN (UPDATE) (DATE) UTF-8 FLAGGED\r\n", b"C01")
        assert got.startswith(b"C01 BAD ")

    run(scenario)


def test_results_by_relevancy_are_not_kept() -> None:
    async def scenario(world: World) -> None:
        one = await inbox(world)
        got = await one.do(b"UID SORT RETURN (UPDATE COUNT) (RELEVANCY) UTF-8 FUZZY SUBJECT s1")
        assert b"T BAD" in got or b"[NOUPDATE" in got  # FUZZY comes with SEARCH=FUZZY

    run(scenario)
