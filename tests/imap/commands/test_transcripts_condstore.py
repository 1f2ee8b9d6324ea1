"""RFC 7162's examples with all their answers, by number; RFC 4731 3.2, RFC 4315 2.1 (ids are their sections).

Items stand in the order UID, FLAGS, MODSEQ; UID is told wherever MODSEQ comes unasked (RFC 7162 3.2.4), and in
mailboxes of 10 or 21 messages the numbers are small. What SELECT says is in `test_transcripts`; NOMODSEQ (example 2) is
never said: every mailbox has mod-sequences.
"""

from __future__ import annotations

import pytest

from ..people import people
from ..session.support import World, run
from ..session.transcript import Transcript

PLAIN = (b"SELECT INBOX",)
CONDSTORE = (b"SELECT INBOX (CONDSTORE)",)
QRESYNC = (b"ENABLE QRESYNC", b"SELECT INBOX")

CASES: dict[str, tuple[tuple[bytes, ...], str]] = {
    "rfc7162-3.1.3 examples 3 to 5: all pass": (
        PLAIN,
        """
        A> UID STORE 6,4,8 (UNCHANGEDSINCE 500) +FLAGS.SILENT (\\Deleted)
        A< * OK [HIGHESTMODSEQ 11] Mod-sequences are told from here on.
        A< * 4 FETCH (UID 4 MODSEQ (12))
        A< * 6 FETCH (UID 6 MODSEQ (12))
        A< * 8 FETCH (UID 8 MODSEQ (12))
        A< T OK STORE completed.
        A> STORE * (UNCHANGEDSINCE 500) +FLAGS.SILENT (\\Deleted $Processed)
        A< * 10 FETCH (UID 10 MODSEQ (13))
        A< T OK STORE completed.
        # in another session: the first command that asks for mod-sequences
        B> STORE 10 (UNCHANGEDSINCE 500) -FLAGS.SILENT (\\Deleted)
        B< ...
        B< * OK [HIGHESTMODSEQ <n>] Mod-sequences are told from here on.
        B< ...
        B< * 10 FETCH (UID 10 MODSEQ (14))
        B< ...
        B< T OK STORE completed.
        """,
    ),
    # Message 9 has another flag than the one that is stored: it is not refused, as RFC 7162 3.1.3 and 3.1.12 ask for.
    "rfc7162-3.1.3 examples 6 and 7: some have changed": (
        CONDSTORE,
        """
        A> NOOP
        A< T OK ...
        B> STORE 7 +FLAGS.SILENT (\\Seen \\Deleted)
        B< * 7 FETCH (UID 7 MODSEQ (12))
        B< T OK ...
        B> STORE 9 +FLAGS.SILENT (\\Answered)
        B< * 9 FETCH (UID 9 MODSEQ (13))
        B< T OK ...
        A> STORE 7,5,9 (UNCHANGEDSINCE 11) +FLAGS.SILENT (\\Deleted)
        A< * 7 FETCH (UID 7 FLAGS (\\Deleted \\Seen) MODSEQ (12))
        A< * 9 FETCH (UID 9 FLAGS (\\Answered) MODSEQ (13))
        A< * 5 FETCH (UID 5 MODSEQ (14))
        A< * 9 FETCH (UID 9 FLAGS (\\Answered \\Deleted) MODSEQ (14))
        A< T OK [MODIFIED 7] Some messages were changed meanwhile.
        A> UID STORE 7,5,9 (UNCHANGEDSINCE 11) FLAGS (\\Deleted)
        A< * 5 FETCH (UID 5 FLAGS (\\Deleted) MODSEQ (14))
        A< * 7 FETCH (UID 7 FLAGS (\\Deleted \\Seen) MODSEQ (12))
        A< * 9 FETCH (UID 9 FLAGS (\\Answered \\Deleted) MODSEQ (14))
        A< T OK [MODIFIED 5,7,9] Some messages were changed meanwhile.
        """,
    ),
    "rfc7162-3.1.3 example 8: 0 fails, whether the flag is set or not": (
        CONDSTORE,
        """
        A> STORE 5 (UNCHANGEDSINCE 0) +FLAGS.SILENT ($MDNSent)
        A< * 5 FETCH (UID 5 FLAGS () MODSEQ (6))
        A< T OK [MODIFIED 5] Some messages were changed meanwhile.
        A> STORE 5 (UNCHANGEDSINCE 0) +FLAGS.SILENT (\\Seen)
        A< * 5 FETCH (UID 5 FLAGS () MODSEQ (6))
        A< T OK [MODIFIED 5] Some messages were changed meanwhile.
        """,
    ),
    # The server that "avoids the need for the client to poll": what failed is told before what did not, once. Where the
    # flag has not changed, but another has, "nice server behavior" is to set it all the same.
    "rfc7162-3.1.3 examples 9 and 10: why it failed, and again with the new number": (
        CONDSTORE,
        """
        A> NOOP
        A< T OK ...
        B> STORE 3 +FLAGS.SILENT ($Processed)
        B< ...
        B< T OK ...
        B> STORE 4 +FLAGS.SILENT (\\Deleted \\Answered)
        B< ...
        B< T OK ...
        A> STORE 2:5 (UNCHANGEDSINCE 11) +FLAGS.SILENT ($Processed)
        A< * FLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft $Processed)
        A< * OK [PERMANENTFLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft $Processed \\*)] ...
        A< * 3 FETCH (UID 3 FLAGS ($Processed) MODSEQ (12))
        A< * 4 FETCH (UID 4 FLAGS (\\Answered \\Deleted) MODSEQ (13))
        A< * 2 FETCH (UID 2 MODSEQ (14))
        A< * 5 FETCH (UID 5 MODSEQ (14))
        A< * 4 FETCH (UID 4 FLAGS (\\Answered \\Deleted $Processed) MODSEQ (14))
        A< T OK [MODIFIED 3] Some messages were changed meanwhile.
        A> NOOP
        A< T OK NOOP completed.
        A> STORE 3 (UNCHANGEDSINCE 12) +FLAGS.SILENT (\\Flagged)
        A< * 3 FETCH (UID 3 MODSEQ (15))
        A< T OK STORE completed.
        """,
    ),
    # The messages that are gone have answers too, as they have to every command by number (RFC 2180 4.1.1).
    "rfc7162-3.1.3 example 11: some are gone, and one has changed": (
        CONDSTORE,
        """
        A> STORE 2 +FLAGS.SILENT (\\Seen \\Answered)
        A< ...
        A< T OK ...
        B> NOOP
        B< T OK ...
        A> STORE 4:7 +FLAGS.SILENT (\\Deleted)
        A< ...
        A< T OK ...
        A> UID EXPUNGE 4:7
        A< ...
        A< T OK ...
        B> STORE 1:7 (UNCHANGEDSINCE 11) +FLAGS (\\SEEN)
        B< * 1 FETCH (UID 1 FLAGS (\\Seen) MODSEQ (<n:stored>))
        B< * 2 FETCH (UID 2 FLAGS (\\Answered \\Seen) MODSEQ (12))
        B< * 3 FETCH (UID 3 FLAGS (\\Seen) MODSEQ (<n:stored>))
        B< * 4 FETCH (UID 4 FLAGS (\\Deleted) MODSEQ (13))
        B< * 5 FETCH (UID 5 FLAGS (\\Deleted) MODSEQ (13))
        B< * 6 FETCH (UID 6 FLAGS (\\Deleted) MODSEQ (13))
        B< * 7 FETCH (UID 7 FLAGS (\\Deleted) MODSEQ (13))
        B< T NO [MODIFIED 2] Some of the messages are no longer there.
        B> NOOP
        B< * 7 EXPUNGE
        B< * 6 EXPUNGE
        B< * 5 EXPUNGE
        B< * 4 EXPUNGE
        B< T OK NOOP completed.
        B> STORE 2 (UNCHANGEDSINCE 12) -FLAGS (\\Seen)
        B< * 2 FETCH (UID 2 FLAGS (\\Answered) MODSEQ (<n>))
        B< T OK STORE completed.
        """,
    ),
    "rfc7162-3.1.3 a message that stands in the set twice does not fail the second time": (
        CONDSTORE,
        """
        A> STORE 2,1:3,2 (UNCHANGEDSINCE 11) +FLAGS (\\Seen)
        A< * 1 FETCH (UID 1 FLAGS (\\Seen) MODSEQ (12))
        A< * 2 FETCH (UID 2 FLAGS (\\Seen) MODSEQ (12))
        A< * 3 FETCH (UID 3 FLAGS (\\Seen) MODSEQ (12))
        A< T OK STORE completed.
        """,
    ),
    "rfc7162-3.1.4 examples 12 and 13: what changed since, and the numbers": (
        PLAIN,
        """
        B> UID STORE 4 +FLAGS.SILENT (\\Seen)
        B< T OK ...
        B> UID STORE 6 +FLAGS.SILENT (\\Deleted)
        B< T OK ...
        B> UID STORE 8 +FLAGS.SILENT ($NoJunk $AutoJunk $MDNSent)
        B< ...
        B< T OK ...
        A> UID FETCH 1:* (FLAGS) (CHANGEDSINCE 11)
        A< ...
        A< * 4 FETCH (UID 4 FLAGS (\\Seen) MODSEQ (12))
        A< * 6 FETCH (UID 6 FLAGS (\\Deleted) MODSEQ (13))
        A< * 8 FETCH (UID 8 FLAGS ($AutoJunk $MDNSent $NoJunk) MODSEQ (14))
        A< T OK FETCH completed.
        A> FETCH 4:6 (MODSEQ)
        A< * 4 FETCH (MODSEQ (12))
        A< * 5 FETCH (MODSEQ (6))
        A< * 6 FETCH (MODSEQ (13))
        A< T OK FETCH completed.
        """,
    ),
    "rfc7162-3.1.5 examples 15 and 16: the search key": (
        PLAIN,
        """
        A> SEARCH MODSEQ "/flags/\\\\draft" all 5
        A< * OK [HIGHESTMODSEQ 11] Mod-sequences are told from here on.
        A< * SEARCH 4 5 6 7 8 9 10 (MODSEQ 11)
        A< T OK SEARCH completed.
        # of messages that are larger and not as old nothing is there; nothing found has no number
        A> SEARCH OR MODSEQ 720162338 LARGER 50000
        A< * SEARCH
        A< T OK SEARCH completed.
        A> SEARCH OR NOT MODSEQ 5 LARGER 50000
        A< * SEARCH 1 2 3 (MODSEQ 4)
        A< T OK SEARCH completed.
        """,
    ),
    "rfc7162-3.1.10 and rfc9051-6.4.4 the number in rev2, where every answer is an extended one": (
        (b"ENABLE IMAP4rev2", *CONDSTORE),
        """
        A> SEARCH MODSEQ 8 NOT 10
        A< * ESEARCH (TAG "T") ALL 7:9 MODSEQ 10
        A< T OK SEARCH completed.
        A> UID SEARCH MODSEQ 720162338
        A< * ESEARCH (TAG "T") UID
        A< T OK SEARCH completed.
        """,
    ),
    "rfc7162-3.1.7 example 17: status": (
        (),
        """
        A> STATUS INBOX (UIDNEXT MESSAGES HIGHESTMODSEQ)
        A< * STATUS INBOX (UIDNEXT 11 MESSAGES 10 HIGHESTMODSEQ 11)
        A< T OK STATUS completed.
        """,
    ),
    "rfc7162-3.1.10 examples 19 and 20: extended search and sort": (
        PLAIN,
        """
        A> SEARCH RETURN (ALL) MODSEQ 8 NOT 9
        A< * OK [HIGHESTMODSEQ 11] Mod-sequences are told from here on.
        A< * ESEARCH (TAG "T") ALL 7:8,10 MODSEQ 11
        A< T OK SEARCH completed.
        A> SORT RETURN (ALL) (REVERSE SUBJECT) UTF-8 MODSEQ 8 NOT 10
        A< * ESEARCH (TAG "T") ALL 9,8,7 MODSEQ 10
        A< T OK SORT completed.
        """,
    ),
    "rfc4731-3.2 the number belongs to what is returned": (
        CONDSTORE,
        """
        A> STORE 4 +FLAGS.SILENT (\\Draft)
        A< * 4 FETCH (UID 4 MODSEQ (12))
        A< T OK ...
        A> SEARCH RETURN (MIN) MODSEQ "/flags/\\\\draft" all 5
        A< * ESEARCH (TAG "T") MIN 4 MODSEQ 12
        A< T OK SEARCH completed.
        A> SEARCH RETURN (MAX) MODSEQ "/flags/\\\\draft" all 5
        A< * ESEARCH (TAG "T") MAX 10 MODSEQ 11
        A< T OK SEARCH completed.
        A> SEARCH RETURN (MIN MAX) MODSEQ "/flags/\\\\draft" all 5
        A< * ESEARCH (TAG "T") MIN 4 MAX 10 MODSEQ 12
        A< T OK SEARCH completed.
        A> STORE 6 +FLAGS.SILENT (\\Draft)
        A< * 6 FETCH (UID 6 MODSEQ (13))
        A< T OK ...
        A> SEARCH RETURN (MIN MAX) MODSEQ "/flags/\\\\draft" all 5
        A< * ESEARCH (TAG "T") MIN 4 MAX 10 MODSEQ 12
        A< T OK SEARCH completed.
        A> SEARCH RETURN (MIN COUNT) MODSEQ "/flags/\\\\draft" all 5
        A< * ESEARCH (TAG "T") MIN 4 COUNT 7 MODSEQ 13
        A< T OK SEARCH completed.
        """,
    ),
    "rfc7162-3.2.6 fetch with what has vanished, instead of two commands": (
        QRESYNC,
        """
        B> UID STORE 1,3,5 +FLAGS.SILENT (\\Deleted)
        B< * 1 FETCH (UID 1 MODSEQ (12))
        B< * 3 FETCH (UID 3 MODSEQ (12))
        B< * 5 FETCH (UID 5 MODSEQ (12))
        B< T OK ...
        B> EXPUNGE
        B< * VANISHED 1,3,5
        B< T OK [HIGHESTMODSEQ 13] EXPUNGE completed.
        B> UID STORE 4 +FLAGS.SILENT (\\Seen)
        B< * 2 FETCH (UID 4 MODSEQ (14))
        B< T OK ...
        B> UID STORE 6 +FLAGS.SILENT (\\Deleted)
        B< * 3 FETCH (UID 6 MODSEQ (15))
        B< T OK ...
        A> UID FETCH 2:7 (FLAGS) (CHANGEDSINCE 11)
        A< * 2 FETCH (UID 4 FLAGS (\\Seen) MODSEQ (14))
        A< * 3 FETCH (UID 6 FLAGS (\\Deleted) MODSEQ (15))
        A< T OK FETCH completed.
        A> UID SEARCH UID 2:7
        A< * SEARCH 2 4 6 7
        A< T OK SEARCH completed.
        A> UID FETCH 2:7 (FLAGS) (CHANGEDSINCE 11 VANISHED)
        A< * VANISHED (EARLIER) 3,5
        A< * 2 FETCH (UID 4 FLAGS (\\Seen) MODSEQ (14))
        A< * 3 FETCH (UID 6 FLAGS (\\Deleted) MODSEQ (15))
        A< T OK FETCH completed.
        """,
    ),
    # EXPUNGE tells from the end, so that no number moves before it is told.
    "rfc7162-3.2.7 and 3.2.9 expunge without QRESYNC": (
        CONDSTORE,
        """
        A> STORE 3,4,7,10 +FLAGS.SILENT (\\Deleted)
        A< ...
        A< T OK ...
        A> EXPUNGE
        A< * 10 EXPUNGE
        A< * 7 EXPUNGE
        A< * 4 EXPUNGE
        A< * 3 EXPUNGE
        A< T OK EXPUNGE completed.
        A> UID STORE 6:9 +FLAGS.SILENT (\\Deleted)
        A< ...
        A< T OK ...
        A> UID EXPUNGE 6:8
        A< * 5 EXPUNGE
        A< * 4 EXPUNGE
        A< T OK EXPUNGE completed.
        """,
    ),
    "rfc7162-3.2.7 to 3.2.10 expunge and close with QRESYNC": (
        QRESYNC,
        """
        A> STORE 3,4,7,10 +FLAGS.SILENT (\\Deleted)
        A< ...
        A< T OK ...
        A> EXPUNGE
        A< * VANISHED 3:4,7,10
        A< T OK [HIGHESTMODSEQ 13] EXPUNGE completed.
        # only what has been removed since
        A> STORE 2,4,6 +FLAGS.SILENT (\\Deleted)
        A< * 2 FETCH (UID 2 MODSEQ (14))
        A< * 4 FETCH (UID 6 MODSEQ (14))
        A< * 6 FETCH (UID 9 MODSEQ (14))
        A< T OK ...
        A> UID EXPUNGE 2:6
        A< * VANISHED 2,6
        A< T OK [HIGHESTMODSEQ 15] EXPUNGE completed.
        # no HIGHESTMODSEQ, though it has removed one more: 16
        A> CLOSE
        A< T OK CLOSE completed.
        A> STATUS INBOX (MESSAGES HIGHESTMODSEQ)
        A< * STATUS INBOX (MESSAGES 3 HIGHESTMODSEQ 16)
        A< T OK ...
        """,
    ),
    "rfc7162-6 a client goes no further than what it knows, until it is told the rest": (
        QRESYNC,
        """
        A> NOOP
        A< T OK ...
        B> UID STORE 8 +FLAGS.SILENT (\\Deleted)
        B< ...
        B< T OK ...
        A> NOOP
        A< * 8 FETCH (UID 8 FLAGS (\\Deleted) MODSEQ (12))
        A< T OK NOOP completed.
        B> STORE 3 +FLAGS.SILENT (\\Answered \\Seen)
        B< * 3 FETCH (UID 3 MODSEQ (13))
        B< T OK ...
        B> UID EXPUNGE 8
        B< * VANISHED 8
        B< T OK [HIGHESTMODSEQ 14] ...
        A> STORE 1:3 (UNCHANGEDSINCE 11) +FLAGS.SILENT (\\Seen)
        A< * 3 FETCH (UID 3 FLAGS (\\Answered \\Seen) MODSEQ (13))
        A< * 1 FETCH (UID 1 MODSEQ (15))
        A< * 2 FETCH (UID 2 MODSEQ (15))
        A< * OK [HIGHESTMODSEQ 12] Removals are yet to be told.
        A< T OK [MODIFIED 3] Some messages were changed meanwhile.
        A> STORE 3 +FLAGS.SILENT (\\Flagged)
        A< * 3 FETCH (UID 3 MODSEQ (16))
        A< T OK [HIGHESTMODSEQ 12] STORE completed.
        A> NOOP
        A< * VANISHED 8
        A< T OK [HIGHESTMODSEQ 16] NOOP completed.
        A> NOOP
        A< T OK NOOP completed.
        """,
    ),
    "rfc7162-6 the rest is told with an answer that has a code of its own": (
        QRESYNC,
        """
        A> NOOP
        A< T OK ...
        B> UID STORE 8 +FLAGS.SILENT (\\Deleted)
        B< ...
        B< T OK ...
        B> UID EXPUNGE 8
        B< * VANISHED 8
        B< T OK ...
        A> FETCH 1 UID
        A< * 1 FETCH (UID 1)
        A< T OK [HIGHESTMODSEQ 11] FETCH completed.
        A> CREATE box
        A< * VANISHED 8
        A< * OK [HIGHESTMODSEQ 13] All changes have been told.
        A< T OK [MAILBOXID (<id>)] CREATE completed.
        """,
    ),
    "rfc4315-2.1 uid expunge": (
        PLAIN,
        """
        A> UID STORE 3:5,7 +FLAGS.SILENT (\\Deleted)
        A< T OK ...
        A> UID EXPUNGE 3:6
        A< * 5 EXPUNGE
        A< * 4 EXPUNGE
        A< * 3 EXPUNGE
        A< T OK EXPUNGE completed.
        A> FETCH 4 (UID FLAGS)
        A< * 4 FETCH (UID 7 FLAGS (\\Deleted))
        A< T OK ...
        """,
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_transcript(name: str) -> None:
    setup, text = CASES[name]

    async def scenario(world: World) -> None:
        for number in range(1, 11):
            await world.file(b"Subject: m%02d\r\n\r\nx\r\n" % number)
        await world.client(b"SELECT INBOX")  # takes \Recent
        await Transcript(world, setup).play(text)

    run(scenario)


ENABLING = [
    b"STATUS INBOX (HIGHESTMODSEQ)",
    b'LIST "" INBOX RETURN (STATUS (HIGHESTMODSEQ))',
    b"FETCH 1 (MODSEQ)",
    b"UID FETCH 1 FLAGS (CHANGEDSINCE 1)",
    b"SEARCH NOT MODSEQ 1",
    b"UID SORT (DATE) UTF-8 MODSEQ 1",
    b"THREAD REFERENCES UTF-8 OR SEEN MODSEQ 1",
    b"ESEARCH MODSEQ 1",
    b"STORE 1 (UNCHANGEDSINCE 9) FLAGS ()",
    b"ENABLE CONDSTORE",
    b"ENABLE QRESYNC",
]


@pytest.mark.parametrize("command", ENABLING)
def test_rfc7162_3_1_the_first_command_that_knows_of_condstore_is_told_where_it_begins(command: bytes) -> None:
    """And from then on MODSEQ comes with flags, UID with both; before, neither does."""

    async def scenario(world: World) -> None:
        await world.add(b"one", b"two")
        await world.client(b"SELECT INBOX")
        client = await world.client(b"SELECT INBOX")
        assert b"* 2 FETCH (FLAGS (\\Draft))\r\n" in await client.ok(b"STORE 2 +FLAGS (\\Draft)")
        begins = b"* OK [HIGHESTMODSEQ 4] Mod-sequences are told from here on.\r\n"
        assert begins in await client.ok(command)
        got = await client.ok(b"STORE 2 +FLAGS (\\Flagged)")
        assert got == b"* 2 FETCH (UID 2 FLAGS (\\Flagged \\Draft) MODSEQ (5))\r\nT OK STORE completed.\r\n"
        assert begins not in await client.ok(command)

    run(scenario)


def test_rfc7162_6_the_rest_is_told_in_idle() -> None:
    async def scenario(world: World) -> None:
        await world.add(b"one", b"two")
        await world.client(b"SELECT INBOX")
        one = await world.client(*QRESYNC)
        await world.client(b"SELECT INBOX", b"STORE 2 +FLAGS.SILENT (\\Deleted)", b"EXPUNGE")
        assert b"T OK [HIGHESTMODSEQ 3] " in await one.ok(b"FETCH 1 UID")
        one.connection.feed(b"i IDLE\r\n")
        assert b"HIGHESTMODSEQ" not in await one.pushed(b"* VANISHED 2\r\n")
        assert await one.raw(b"DONE\r\n", b"i") == b"i OK [HIGHESTMODSEQ 5] IDLE completed.\r\n"

    run(scenario)


RESYNC = {
    # The reason is not told in the text of the tagged response: that UIDVALIDITY is another one is the reason.
    "rfc7162-3.2.5 another uidvalidity": """
        A> SELECT INBOX (QRESYNC (67890007 23 1:11,14:21))
        A< ...
        A< * OK [UIDVALIDITY 1800000000] ...
        A< ...
        A< * OK [MAILBOXID (<id>)] ...
        A< T OK [READ-WRITE] SELECT completed.
    """,
    "rfc7162-3.2.5.1 UIDs that the client knows": """
        A> EXAMINE INBOX
        A< ...
        A< T OK ...
        A> SELECT INBOX (QRESYNC (1800000000 22 1:4,6:19))
        A< * OK [CLOSED] The mailbox is closed.
        A< ...
        A< * 13 EXISTS
        A< * 0 RECENT
        A< * OK [UNSEEN 1] ...
        A< * OK [UIDVALIDITY 1800000000] ...
        A< * OK [UIDNEXT 22] ...
        A< * OK [HIGHESTMODSEQ 27] ...
        A< * OK [MAILBOXID (<id>)] ...
        A< * VANISHED (EARLIER) 1,3:4,7:9
        A< * 2 FETCH (UID 6 FLAGS (\\Answered) MODSEQ (25))
        A< * 3 FETCH (UID 10 FLAGS (\\Draft $MDNSent) MODSEQ (26))
        A< T OK [READ-WRITE] SELECT completed.
    """,
    "rfc7162-3.2.5.2 and 6: all, and all but what message numbers show to be gone": """
        A> SELECT INBOX (QRESYNC (1800000000 22 1:21))
        A< ...
        A< * OK [MAILBOXID (<id>)] ...
        A< * VANISHED (EARLIER) 1,3:5,7:9,20
        A< * 2 FETCH (UID 6 FLAGS (\\Answered) MODSEQ (25))
        A< * 3 FETCH (UID 10 FLAGS (\\Draft $MDNSent) MODSEQ (26))
        A< * 13 FETCH (UID 21 FLAGS (\\Seen $Forwarded) MODSEQ (27))
        A< T OK [READ-WRITE] SELECT completed.
        # its pairs are as they are here: 1 is 2, 2 is 6, 13 is 21
        A> SELECT INBOX (QRESYNC (1800000000 22 1:21 (1,2,13 2,6,21)))
        A< ...
        A< * OK [MAILBOXID (<id>)] ...
        A< * 2 FETCH (UID 6 FLAGS (\\Answered) MODSEQ (25))
        A< * 3 FETCH (UID 10 FLAGS (\\Draft $MDNSent) MODSEQ (26))
        A< * 13 FETCH (UID 21 FLAGS (\\Seen $Forwarded) MODSEQ (27))
        A< T OK [READ-WRITE] SELECT completed.
        # the third is not
        A> EXAMINE INBOX (QRESYNC (1800000000 22 1:21 (1,2,3 2,6,9)))
        A< ...
        A< * OK [MAILBOXID (<id>)] ...
        A< * VANISHED (EARLIER) 7:9,20
        A< * 2 FETCH (UID 6 FLAGS (\\Answered) MODSEQ (25))
        A< * 3 FETCH (UID 10 FLAGS (\\Draft $MDNSent) MODSEQ (26))
        A< * 13 FETCH (UID 21 FLAGS (\\Seen $Forwarded) MODSEQ (27))
        A< T OK [READ-ONLY] EXAMINE completed.
    """,
}


@pytest.mark.parametrize("name", RESYNC)
def test_resynchronisation(name: str) -> None:
    async def scenario(world: World) -> None:
        await world.add(*[b"m"] * 21)
        await world.client(
            b"SELECT INBOX",
            b"UID STORE 1,3:5,7:9,20 +FLAGS.SILENT (\\Deleted)",
            b"EXPUNGE",
            b"UID STORE 6 +FLAGS.SILENT (\\Answered)",
            b"UID STORE 10 FLAGS.SILENT (\\Draft $MDNSent)",
            b"UID STORE 21 FLAGS.SILENT (\\Seen $Forwarded)",
        )
        await Transcript(world, (b"ENABLE QRESYNC",)).play(RESYNC[name])

    run(scenario)


# A and B are the owner's sessions, C is somebody else's, who has his own \Seen. The owner's \Seen is kept with the
# message: so C is told that it changed, with flags that are what they were, where RFC 7162 tells it nothing.
PRIVATE = """
    A> STORE 7 +FLAGS.SILENT (\\Answered)
    A< * 7 FETCH (UID 7 MODSEQ (<n>))
    A< T OK ...
    B> NOOP
    B< ...
    B< T OK ...
    C> NOOP
    C< ...
    C< T OK ...
    A> STORE 7 +FLAGS.SILENT (\\Deleted)
    A< * 7 FETCH (UID 7 MODSEQ (<n:deleted>))
    A< T OK ...
    B> NOOP
    B< * 7 FETCH (UID 7 FLAGS (\\Answered \\Deleted) MODSEQ (<n:deleted>))
    B< T OK NOOP completed.
    C> NOOP
    C< * 7 FETCH (UID 7 FLAGS (\\Answered \\Deleted) MODSEQ (<n:deleted>))
    C< T OK NOOP completed.
    A> STORE 7 +FLAGS.SILENT (\\Seen)
    A< * 7 FETCH (UID 7 MODSEQ (<n:seen>))
    A< T OK ...
    B> NOOP
    B< * 7 FETCH (UID 7 FLAGS (\\Answered \\Deleted \\Seen) MODSEQ (<n:seen>))
    B< T OK NOOP completed.
    C> NOOP
    C< * 7 FETCH (UID 7 FLAGS (\\Answered \\Deleted) MODSEQ (<n:seen>))
    C< T OK NOOP completed.
    # the other way round it is as there
    C> STORE 7 +FLAGS.SILENT (\\Seen)
    C< * 7 FETCH (UID 7 MODSEQ (<n>))
    C< T OK ...
    A> NOOP
    A< T OK NOOP completed.
    A> STORE 7 -FLAGS.SILENT (\\Answered \\Seen)
    A< * 7 FETCH (UID 7 MODSEQ (<n:last>))
    A< T OK ...
    B> NOOP
    B< * 7 FETCH (UID 7 FLAGS (\\Deleted) MODSEQ (<n:last>))
    B< T OK NOOP completed.
    C> NOOP
    C< * 7 FETCH (UID 7 FLAGS (\\Deleted \\Seen) MODSEQ (<n:last>))
    C< T OK NOOP completed.
"""


def test_rfc7162_3_1_4_2_example_14_shared_and_private_flags() -> None:
    async def scenario(world: World) -> None:
        await people(world)
        owner = await world.client(b"CREATE box", b"SETACL box ann@example.org lrswite", user=b"bob")
        await owner.ok(b"NOOP")
        await world.add(*[b"m"] * 7, mailbox="box", account="id-bob")
        played = Transcript(world, (b"ENABLE CONDSTORE",), logins={"A": b"bob", "B": b"bob", "C": b"ann"})
        for who, name in (("A", "box"), ("B", "box"), ("C", '"Other Users/bob@example.org/box"')):
            await played.play(f"{who}> SELECT {name}\n{who}< ...\n{who}< T OK [READ-WRITE] ...")
        await played.play(PRIVATE)

    run(scenario)
