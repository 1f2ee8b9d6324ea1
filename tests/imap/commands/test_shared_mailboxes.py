"""What people do in the mailboxes of others, command by command, as transcripts between them. RFC 4314 4.

A is Ann, B is Bob, C is Carol (all @example.org). Bob has INBOX, Projects, Projects/Alpha and Secret, each but INBOX
with messages s1 and s2.
"""

from __future__ import annotations

import re

import pytest

from restante.imap.session.places import Place, Places
from restante.store.errors import NoPermission, NoSuchMailbox, StoreRefusal
from restante.store.interface import Store
from restante.store.model import FlagMode, Mailbox
from restante.store.rights import WRITES, Rights, parse_rights
from restante.store.sqlite.shared import SharedStore

from ..people import LOGINS, people
from ..session.support import SIMPLE, World, run
from ..session.transcript import Transcript

CASES: dict[str, str] = {
    "rfc4314-4 copy and append drop flags without rights": """
        B> SETACL Projects ann@example.org lrswi
        B< T OK ...
        A> SELECT INBOX
        A< ...
        A< T OK ...
        A> STORE 1 FLAGS.SILENT (\\Draft \\Deleted)
        A< T OK ...
        A> STORE 2 FLAGS.SILENT (\\Answered)
        A< T OK ...
        A> STORE 3 FLAGS.SILENT ($Forwarded \\Seen)
        A< T OK ...
        A> COPY 1:3 "Other Users/bob@example.org/Projects"
        A< T OK [COPYUID <n> 1:3 3:5] ...
        A> SELECT "Other Users/bob@example.org/Projects"
        A< ...
        A< T OK [READ-WRITE] ...
        A> UID FETCH 3:5 (FLAGS)
        A< * 3 FETCH (UID 3 FLAGS (\\Draft<any>))
        A< * 4 FETCH (UID 4 FLAGS (\\Answered<any>))
        A< * 5 FETCH (UID 5 FLAGS (\\Seen $Forwarded<any>))
        A< T OK ...
        B> SETACL Projects ann@example.org lrsti
        B< T OK ...
        A> UNSELECT
        A< T OK ...
        A> SELECT INBOX
        A< ...
        A< T OK ...
        A> COPY 1:3 "Other Users/bob@example.org/Projects"
        A< T OK [COPYUID <n> 1:3 6:8] ...
        A> SELECT "Other Users/bob@example.org/Projects"
        A< ...
        A< T OK [READ-WRITE] ...
        A> UID FETCH 6:8 (FLAGS)
        A< * 6 FETCH (UID 6 FLAGS (\\Deleted<any>))
        A< * 7 FETCH (UID 7 FLAGS (<any>))
        A< * 8 FETCH (UID 8 FLAGS (\\Seen<any>))
        A< T OK ...
    """,
    "rfc4314-5.1.1 permanent flags tell the rights": """
        B> SETACL Projects ann@example.org lrswi
        B< T OK ...
        A> SELECT "Other Users/bob@example.org/Projects"
        A< * FLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft)
        A< * OK [PERMANENTFLAGS (\\Answered \\Flagged \\Seen \\Draft \\*)] ...
        A< * 2 EXISTS
        A< ...
        A< T OK [READ-WRITE] ...
        B> SETACL Projects ann@example.org lrs
        B< T OK ...
        A> NOOP
        A< * FLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft)
        A< * OK [PERMANENTFLAGS (\\Seen)] ...
        A< * OK [READ-ONLY] ...
        A< T OK ...
        B> SETACL Projects ann@example.org lrst
        B< T OK ...
        A> NOOP
        A< * FLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft)
        A< * OK [PERMANENTFLAGS (\\Deleted \\Seen)] ...
        A< * OK [READ-WRITE] ...
        A< T OK ...
        B> SETACL Projects ann@example.org lrs
        B< T OK ...
        A> NOOP
        A< ...
        A< * OK [READ-ONLY] ...
        A< T OK ...
        A> STORE 1 +FLAGS (\\Flagged)
        A< T NO [NOPERM] ...
        A> STORE 1 FLAGS (\\Flagged \\Seen)
        A< * 1 FETCH (FLAGS (\\Seen<any>))
        A< T OK ...
        A> EXPUNGE
        A< T NO [NOPERM] ...
        A> SELECT "Other Users/bob@example.org/Projects"
        A< * OK [CLOSED] ...
        A< ...
        A< T OK [READ-ONLY] ...
        A> CLOSE
        A< T OK ...
    """,
    "rfc4314-5.1.1 permanent flags tell the rights after changes of one's own": """
        B> SETACL Projects ann@example.org lrsw
        B< T OK ...
        A> SELECT "Other Users/bob@example.org/Projects"
        A< ...
        A< T OK ...
        B> SETACL Projects ann@example.org lrst
        B< T OK ...
        A> STORE 1 +FLAGS (\\Deleted)
        A< * 1 FETCH (FLAGS (\\Deleted<any>))
        A< * FLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft)
        A< * OK [PERMANENTFLAGS (\\Deleted \\Seen)] ...
        A< T OK ...
        B> SETACL Projects ann@example.org lrs
        B< T OK ...
        A> FETCH 2 BODY[TEXT]<0.1>
        A< * 2 FETCH (FLAGS (\\Seen<any>) BODY[TEXT]<0> {1}
        A< p)
        A< * FLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft)
        A< * OK [PERMANENTFLAGS (\\Seen)] ...
        A< * OK [READ-ONLY] ...
        A< T OK ...
    """,
    "rfc4314-4 a silent store of more flags than one may change says what they are": """
        B> SETACL Projects ann@example.org lrs
        B< T OK ...
        A> SELECT "Other Users/bob@example.org/Projects"
        A< ...
        A< T OK ...
        A> STORE 1:2 +FLAGS.SILENT (\\Seen \\Deleted)
        A< * 1 FETCH (FLAGS (\\Seen<any>))
        A< * 2 FETCH (FLAGS (\\Seen<any>))
        A< T OK ...
        A> STORE 2 -FLAGS.SILENT (\\Seen)
        A< T OK ...
        A> STORE 1 FLAGS.SILENT (\\Seen $Work)
        A< * 1 FETCH (FLAGS (\\Seen<any>))
        A< T OK ...
        A> STORE 1:2 (UNCHANGEDSINCE 1) +FLAGS.SILENT (\\Seen \\Flagged)
        A< * OK [HIGHESTMODSEQ <n>] ...
        A< * 1 FETCH (UID 1 FLAGS (\\Seen<any>) MODSEQ (<n>))
        A< * 2 FETCH (UID 2 FLAGS (<any>) MODSEQ (<n>))
        A< T OK [MODIFIED 1:2] ...
    """,
    "rfc4314-4 fetch without s sets no seen, close without e removes nothing": """
        B> SETACL Projects ann@example.org lrt
        B< T OK ...
        A> SELECT "Other Users/bob@example.org/Projects"
        A< ...
        A< * OK [PERMANENTFLAGS (\\Deleted)] ...
        A< ...
        A< T OK [READ-WRITE] ...
        A> FETCH 1 BODY[TEXT]
        A< * 1 FETCH (BODY[TEXT] {4}
        A< p1
        A< )
        A< T OK ...
        A> STORE 1 +FLAGS (\\Deleted \\Seen)
        A< * 1 FETCH (FLAGS (\\Deleted<any>))
        A< T OK ...
        A> CLOSE
        A< T OK ...
        A> STATUS "Other Users/bob@example.org/Projects" (MESSAGES UNSEEN DELETED)
        A< * STATUS "Other Users/bob@example.org/Projects" (MESSAGES 2 UNSEEN 2 DELETED 1)
        A< T OK ...
    """,
    "each reader has his own seen": """
        B> SETACL Projects ann@example.org lrsw
        B< T OK ...
        B> SETACL Projects carol@example.org lrs
        B< T OK ...
        B> SELECT Projects
        B< ...
        B< T OK ...
        B> STORE 1 FLAGS.SILENT (\\Seen \\Flagged)
        B< T OK ...
        A> SELECT "Other Users/bob@example.org/Projects"
        A< ...
        A< * OK [UNSEEN 1] ...
        A< ...
        A< * OK [HIGHESTMODSEQ <n:before>] ...
        A< ...
        A< T OK ...
        A> FETCH 1:2 (FLAGS)
        A< * 1 FETCH (FLAGS (\\Flagged<any>))
        A< * 2 FETCH (FLAGS (<any>))
        A< T OK ...
        A> FETCH 2 BODY[TEXT]
        A< * 2 FETCH (FLAGS (\\Seen<any>) BODY[TEXT] {4}
        A< p2
        A< )
        A< T OK ...
        A> SEARCH SEEN
        A< * SEARCH 2
        A< T OK ...
        A> SEARCH UNSEEN FLAGGED
        A< * SEARCH 1
        A< T OK ...
        A> SEARCH MODSEQ <n:before>
        A< * OK [HIGHESTMODSEQ <n>] ...
        A< * SEARCH 1 2 (MODSEQ <n>)
        A< T OK ...
        A> STATUS "Other Users/bob@example.org/Projects" (MESSAGES UNSEEN)
        A< * STATUS "Other Users/bob@example.org/Projects" (MESSAGES 2 UNSEEN 1)
        A< T OK ...
        B> NOOP
        B< T OK ...
        B> FETCH 1:2 FLAGS
        B< * 1 FETCH (FLAGS (\\Flagged \\Seen<any>))
        B< * 2 FETCH (FLAGS (<any>))
        B< T OK ...
        B> STATUS Projects (UNSEEN)
        B< * STATUS Projects (UNSEEN 1)
        B< T OK ...
        C> STATUS "Other Users/bob@example.org/Projects" (UNSEEN)
        C< * STATUS "Other Users/bob@example.org/Projects" (UNSEEN 2)
        C< T OK ...
        A> FETCH 1:2 (FLAGS) (CHANGEDSINCE <n:before>)
        A< * 2 FETCH (FLAGS (\\Seen<any>) MODSEQ (<n>))
        A< T OK ...
        A> STORE 2 (UNCHANGEDSINCE <n:before>) -FLAGS (\\Seen \\Flagged)
        A< ...
        A< T OK [MODIFIED 2] ...
        # his own \\Seen is no matter to a flag of all
        A> STORE 2 (UNCHANGEDSINCE <n:before>) -FLAGS (\\Flagged)
        A< * 2 FETCH (UID 2 FLAGS (\\Seen<any>) MODSEQ (<n>))
        A< T OK STORE completed.
        A> STORE 2 -FLAGS.SILENT (\\Seen)
        A< ...
        A< T OK ...
        A> SEARCH SEEN
        A< * SEARCH
        A< T OK ...
    """,
    "rfc7162-3.1 the mod-sequence of what is gone, and not told yet, is that which it had": """
        B> SETACL Projects ann@example.org lrs
        B< T OK ...
        A> SELECT "Other Users/bob@example.org/Projects"
        A< ...
        A< T OK ...
        A> FETCH 1 (MODSEQ)
        A< * OK [HIGHESTMODSEQ <n>] ...
        A< * 1 FETCH (MODSEQ (<n:had>))
        A< T OK ...
        B> SELECT Projects
        B< ...
        B< T OK ...
        B> STORE 1 +FLAGS.SILENT (\\Seen \\Deleted)
        B< T OK ...
        A> FETCH 1 (FLAGS MODSEQ)
        A< * 1 FETCH (FLAGS (\\Deleted<any>) MODSEQ (<n:last>))
        A< ...
        A< T OK ...
        B> EXPUNGE
        B< * 1 EXPUNGE
        B< T OK ...
        A> FETCH 1 (FLAGS MODSEQ)
        A< * 1 FETCH (FLAGS (\\Deleted<any>) MODSEQ (<n:last>))
        A< T OK ...
    """,
    "rfc6851-3.3 move needs t and e": """
        B> SETACL Projects ann@example.org lrste
        B< T OK ...
        A> SELECT "Other Users/bob@example.org/Projects"
        A< ...
        A< T OK ...
        A> FETCH 1:2 (EMAILID)
        A< * 1 FETCH (EMAILID (<id:one>))
        A< * 2 FETCH (EMAILID (<id:two>))
        A< T OK ...
        A> MOVE 1 INBOX
        A< * OK [COPYUID <n> 1 4] ...
        A< * 1 EXPUNGE
        A< T OK ...
        B> SETACL Projects ann@example.org lrst
        B< T OK ...
        A> MOVE 1 INBOX
        A< ...
        A< T NO [NOPERM] ...
        A> COPY 1 INBOX
        A< T OK [COPYUID <n> 2 5] ...
        A> SELECT INBOX
        A< ...
        A< T OK ...
        A> FETCH 4:5 (UID EMAILID BODY.PEEK[TEXT])
        A< * 4 FETCH (UID 4 EMAILID (<id:one>) BODY[TEXT] {4}
        A< p1
        A< )
        A< * 5 FETCH (UID 5 EMAILID (<id:two>) BODY[TEXT] {4}
        A< p2
        A< )
        A< T OK ...
        B> STATUS Projects (MESSAGES UIDNEXT)
        B< * STATUS Projects (MESSAGES 1 UIDNEXT 3)
        B< T OK ...
    """,
    "move from one's own to a shared one": """
        B> SETACL Projects ann@example.org i
        B< T OK ...
        A> SELECT INBOX
        A< ...
        A< T OK ...
        A> STORE 2 +FLAGS.SILENT (\\Seen \\Flagged)
        A< T OK ...
        A> MOVE 2 "Other Users/bob@example.org/Projects"
        A< * 2 EXPUNGE
        A< T OK ...
        B> SELECT Projects
        B< ...
        B< T OK ...
        B> FETCH 3 (FLAGS BODY.PEEK[TEXT])
        B< * 3 FETCH (FLAGS (<any>) BODY[TEXT] {4}
        B< a2
        B< )
        B< T OK ...
        B> SEARCH UNSEEN UNFLAGGED UID 3
        B< * SEARCH 3
        B< T OK ...
    """,
    "copies within a shared account": """
        B> SETACL Projects ann@example.org lrsw
        B< T OK ...
        B> SETACL Projects/Alpha ann@example.org lrswi
        B< T OK ...
        B> SELECT Projects
        B< ...
        B< T OK ...
        B> STORE 1 +FLAGS.SILENT (\\Seen \\Flagged \\Deleted)
        B< T OK ...
        A> SELECT "Other Users/bob@example.org/Projects"
        A< ...
        A< T OK ...
        A> STORE 2 +FLAGS.SILENT (\\Seen)
        A< T OK ...
        A> COPY 1:2 "Other Users/bob@example.org/Projects/Alpha"
        A< T OK [COPYUID <n> 1:2 3:4] ...
        A> MOVE 1 "Other Users/bob@example.org/Projects/Alpha"
        A< ...
        A< T NO [NOPERM] ...
        A> SELECT "Other Users/bob@example.org/Projects/Alpha"
        A< ...
        A< T OK ...
        A> UID FETCH 3:4 FLAGS
        A< * 3 FETCH (UID 3 FLAGS (\\Flagged<any>))
        A< * 4 FETCH (UID 4 FLAGS (\\Seen<any>))
        A< T OK ...
        B> SELECT Projects/Alpha
        B< ...
        B< T OK ...
        B> UID SEARCH SEEN
        B< * SEARCH 3
        B< T OK ...
    """,
    "changes reach a session that looks on": """
        B> SETACL Projects ann@example.org lrs
        B< T OK ...
        A> SELECT "Other Users/bob@example.org/Projects"
        A< ...
        A< T OK ...
        B> SELECT Projects
        B< ...
        B< T OK ...
        B> STORE 1 +FLAGS (\\Answered)
        B< * 1 FETCH (FLAGS (\\Answered<any>))
        B< T OK ...
        A> NOOP
        A< * 1 FETCH (FLAGS (\\Answered<any>))
        A< T OK ...
        B> STORE 2 +FLAGS.SILENT (\\Deleted)
        B< T OK ...
        B> EXPUNGE
        B< * 2 EXPUNGE
        B< T OK ...
        A> NOOP
        A< * 2 EXPUNGE
        A< T OK ...
        A> IDLE
        A< + ...
        B> COPY 1 Projects
        B< * 2 EXISTS
        B< ...
        B< T OK ...
        A! * 2 EXISTS
        A+ DONE
        A< ...
        A< T OK ...
    """,
    "a right that is taken ends what it gave": """
        B> SETACL Projects ann@example.org lr
        B< T OK ...
        A> SELECT "Other Users/bob@example.org/Projects"
        A< ...
        A< T OK [READ-ONLY] ...
        B> SETACL Projects ann@example.org l
        B< T OK ...
        A> FETCH 1 BODY[]
        A< T NO [NOPERM] ...
        A< * BYE [NOPERM] ...
    """,
    "rfc9051-6.3.12 nothing is told of a mailbox that takes mail and is not opened": """
        B> SETACL Projects ann@example.org i
        B< T OK ...
        B> SETACL Secret ann@example.org lri
        B< T OK ...
        A> SELECT INBOX
        A< ...
        A< T OK ...
        A> STATUS "Other Users/bob@example.org/Projects" (UIDNEXT)
        A< T NO [NONEXISTENT] ...
        A> APPEND "Other Users/bob@example.org/Projects" CATENATE (URL "/INBOX/;UID=1")
        A< T OK APPEND completed.
        A> APPEND "Other Users/bob@example.org/Projects" CATENATE (URL "/INBOX/;UID=1") CATENATE (URL "/INBOX/;UID=1")
        A< T OK APPEND completed.
        A> COPY 1 "Other Users/bob@example.org/Projects"
        A< T OK COPY completed.
        A> UID MOVE 1 "Other Users/bob@example.org/Projects"
        A< * 1 EXPUNGE
        A< T OK MOVE completed.
        A> APPEND "Other Users/bob@example.org/Secret" CATENATE (URL "/INBOX/;UID=2")
        A< T OK [APPENDUID <n> 3] ...
        A> COPY 1 "Other Users/bob@example.org/Secret"
        A< T OK [COPYUID <n> 2 4] ...
        B> STATUS Projects (MESSAGES)
        B< * STATUS Projects (MESSAGES 7)
        B< T OK ...
        B> SETACL Projects ann@example.org lrit
        B< T OK ...
        B> SETACL Secret ann@example.org i
        B< T OK ...
        A> SELECT "Other Users/bob@example.org/Projects"
        A< ...
        A< T OK [READ-WRITE] ...
        A> COPY 1 "Other Users/bob@example.org/Secret"
        A< T OK COPY completed.
    """,
    "rfc6154 a shared mailbox has no special use for others": """
        B> CREATE Projects/Out (USE (\\Sent))
        B< T OK ...
        B> SETACL Projects/Out ann@example.org lr
        B< T OK ...
        A> LIST "" "Other Users/%/%/%" RETURN (SPECIAL-USE)
        A< * LIST (\\HasNoChildren) "/" "Other Users/bob@example.org/Projects/Out"
        A< T OK ...
        A> LIST (SPECIAL-USE) "" "*"
        A< T OK ...
    """,
}


@pytest.mark.parametrize("name", CASES)
def test_transcript(name: str) -> None:
    async def scenario(world: World) -> None:
        await people(world)
        await Transcript(world, logins=LOGINS).play(CASES[name])

    run(scenario)


def test_rfc4469_a_url_reads_what_its_user_may_read() -> None:
    async def scenario(world: World) -> None:
        await people(world)
        ann = await world.client(user=b"ann")
        url = b'a APPEND INBOX CATENATE (URL "/Other%%20Users/bob@example.org/%b/;UID=1")\r\n'
        assert b"a NO [BADURL" in await ann.raw(url % b"Projects", b"a")
        await world.engine.account("id-bob").set_acl(2, "id-ann", FlagMode.ADD, Rights.LOOKUP | Rights.READ)
        assert b"Projects" in await ann.ok(b'LIST "" *')
        assert b"a OK [APPENDUID" in await ann.raw(url % b"Projects", b"a")
        assert b"a NO [BADURL" in await ann.raw(url % b"Secret", b"a")
        await ann.ok(b"SELECT INBOX")
        assert b"p1\r\n" in await ann.ok(b"FETCH 4 BODY.PEEK[TEXT]")

    run(scenario)


def test_rfc7377_one_search_in_own_and_others_mailboxes() -> None:
    """Bob's INBOX and Ann's have the same key, each in its account."""

    async def scenario(world: World) -> None:
        await people(world)
        await world.add(b"b1", account="id-bob")
        bob = world.engine.account("id-bob")
        await bob.set_acl(1, "id-ann", FlagMode.ADD, parse_rights("lr"))
        await bob.set_acl(2, "id-ann", FlagMode.ADD, parse_rights("lr"))
        secret = await bob.mailbox("Secret")
        assert secret is not None
        await bob.set_acl(secret.key, "id-ann", FlagMode.ADD, Rights.LOOKUP)
        ann = await world.client(b'SELECT "Other Users/bob@example.org/INBOX"', user=b"ann")
        got = await ann.ok(b'ESEARCH IN (personal) RETURN (COUNT) SUBJECT "s"')
        assert b"MAILBOX INBOX" in got
        assert got.count(b"* ESEARCH") == 1
        assert b"COUNT 3" in got
        got = await ann.ok(b'ESEARCH IN (selected) RETURN (COUNT) SUBJECT "s"')
        assert b'MAILBOX "Other Users/bob@example.org/INBOX"' in got
        assert b"COUNT 1" in got
        got = await ann.ok(b'ESEARCH IN (personal subtree "Other Users" selected) RETURN (COUNT) SUBJECT "s" MODSEQ 1')
        assert re.findall(rb"COUNT (\d)", got) == [b"3", b"1", b"2"]
        assert b"Secret" not in got
        await bob.set_acl(2, "id-ann", FlagMode.REPLACE, Rights.LOOKUP)
        got = await ann.ok(b'ESEARCH IN (mailboxes "Other Users/bob@example.org/Projects") SUBJECT "s"')
        assert b"* ESEARCH" not in got
        assert b"* SORT 1\r\n" in await ann.ok(b"SORT (SUBJECT) UTF-8 UNSEEN")
        assert b"* THREAD (1)\r\n" in await ann.ok(b"THREAD REFERENCES UTF-8 ALL")

    run(scenario)


def test_rfc5464_3_3_annotations_need_rights_and_notifications_are_the_owners_alone() -> None:
    async def scenario(world: World) -> None:
        await people(world)
        bob = await world.client(b'SETMETADATA Projects (/shared/comment "ours")', user=b"bob")
        await world.engine.account("id-bob").set_acl(2, "id-ann", FlagMode.ADD, parse_rights("lrswipkxtea"))
        ann = await world.client(b"NOTIFY SET (personal (MessageNew MessageExpunge))", user=b"ann")
        name = b'"Other Users/bob@example.org/Projects"'
        assert b'METADATA %b (/shared/comment "ours")' % name in await ann.ok(
            b"GETMETADATA %b (/shared/comment)" % name
        )
        await ann.ok(b'SETMETADATA %b (/shared/comment "hers" /private/comment "mine")' % name)
        got = await bob.ok(b"GETMETADATA Projects (/shared/comment /private/comment)")
        assert b'/shared/comment "hers"' in got
        assert b"mine" not in got
        await world.engine.account("id-bob").set_acl(2, "id-ann", FlagMode.REPLACE, parse_rights("lk"))
        assert b"NO [NOPERM]" in await ann.do(b"GETMETADATA %b /shared/comment" % name)
        assert b"NO [NOPERM]" in await ann.do(b'SETMETADATA %b (/shared/comment "x")' % name)
        await world.engine.account("id-bob").set_acl(2, "id-ann", FlagMode.REPLACE, parse_rights("lrswipkxtea"))
        for hidden in (b"Secret", b"Nothing"):
            assert b"NO [NONEXISTENT]" in await ann.do(
                b'GETMETADATA "Other Users/bob@example.org/%b" /shared/comment' % hidden
            )
        await world.add(b"more", mailbox="Projects", account="id-bob")
        assert b"STATUS" not in await ann.ok(b"NOOP")
        await ann.ok(b"SELECT " + name)
        await bob.ok(b"NOOP")

    run(scenario)


def test_rfc9590_list_returns_annotations_of_shared_mailboxes() -> None:
    """Of each what its reader may know: shared entries, his own private ones, none without the rights."""

    async def scenario(world: World) -> None:
        await people(world)
        store = world.engine.account("id-bob")
        bob = await world.client(
            b'SETMETADATA Projects (/shared/comment "ours" /private/comment "bob\'s")', user=b"bob"
        )
        await bob.ok(b'SETMETADATA INBOX (/shared/comment "post")')
        for key in (1, 2):
            await store.set_acl(key, "id-ann", FlagMode.ADD, parse_rights("lr"))
        secret = await store.mailbox("Secret")
        assert secret is not None
        await bob.ok(b'SETMETADATA Secret (/shared/comment "secret")')
        await store.set_acl(secret.key, "id-ann", FlagMode.ADD, parse_rights("lk"))  # to be seen, no more
        ann = await world.client(b'SETMETADATA INBOX (/shared/comment "own")', user=b"ann")
        await ann.ok(b'SETMETADATA "Other Users/bob@example.org/Projects" (/private/comment "mine")')
        got = await ann.ok(b'LIST "" "*" RETURN (METADATA (/shared/comment /private/comment))')
        assert b'* METADATA INBOX (/shared/comment "own" /private/comment NIL)' in got
        above = b'"Other Users/bob@example.org/'
        assert b'* METADATA %bINBOX" (/shared/comment "post" /private/comment NIL)' % above in got
        assert b'* METADATA %bProjects" (/shared/comment "ours" /private/comment "mine")' % above in got
        assert b'%bSecret"' % above in got
        assert b"secret" not in got
        assert got.count(b"* METADATA %b" % above) == 2
        lines = got.split(b"\r\n")
        for number, line in enumerate(lines):  # each behind its LIST response
            if line.startswith(b"* METADATA "):
                assert lines[number - 1].endswith(line.removeprefix(b"* METADATA ").partition(b" (")[0])

    run(scenario)


def test_rfc9590_a_right_that_goes_while_list_runs_hides_one_mailbox_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario(world: World) -> None:
        await people(world)
        store = world.engine.account("id-bob")
        await world.client(b'SETMETADATA Projects (/shared/comment "ours")', user=b"bob")
        for key in (1, 2):
            await store.set_acl(key, "id-ann", FlagMode.ADD, parse_rights("lr"))
        ann = await world.client(user=b"ann")
        shared = Places.shared

        async def then_withdrawn(places: Places) -> list[tuple[Place, Mailbox]]:
            found = await shared(places)
            await store.set_acl(1, "id-ann", FlagMode.REPLACE, parse_rights("l"))
            return found

        monkeypatch.setattr(Places, "shared", then_withdrawn)
        got = await ann.ok(b'LIST "" "*" RETURN (METADATA (/shared/comment))')
        assert b'Projects" (/shared/comment "ours")' in got
        assert b'* METADATA "Other Users/bob@example.org/INBOX"' not in got

    run(scenario)


def test_rfc8508_replace_within_a_shared_account() -> None:
    async def scenario(world: World) -> None:
        await people(world)
        bob = world.engine.account("id-bob")
        await bob.set_acl(2, "id-ann", FlagMode.ADD, parse_rights("lrsit"))
        ann = await world.client(b'SELECT "Other Users/bob@example.org/Projects"', user=b"ann")
        name, message = b'"Other Users/bob@example.org/Projects"', SIMPLE % (b"new", b"new")
        command = b"a REPLACE 1 %%b (\\Seen \\Flagged) {%d+}\r\n%b\r\n" % (len(message), message)
        assert b"a NO [NOPERM]" in await ann.raw(command % name, b"a")
        await bob.set_acl(2, "id-ann", FlagMode.ADD, parse_rights("e"))
        assert b"a NO [CANNOT]" in await ann.raw(command % b"INBOX", b"a")
        assert b"a OK" in await ann.raw(command % name, b"a")
        assert b"UID 3 FLAGS (\\Seen" in await ann.ok(b"FETCH 2 (UID FLAGS)")
        assert b"\\Flagged" not in await ann.ok(b"FETCH 2 (FLAGS)")
        assert (await bob.snapshot(2)).mailbox.unseen == 2

    run(scenario)


def test_no_file_of_somebody_who_shares_nothing_is_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    """Or the time it takes would tell who is here."""

    async def scenario(world: World) -> None:
        await people(world)
        ann = await world.client(user=b"ann")
        opened: list[str] = []
        real = world.engine.account

        def account(account: str, actor: str | None = None, session: str = "") -> Store:
            opened.append(account)
            return real(account, actor, session)

        monkeypatch.setattr(world.engine, "account", account)
        for who in (b"bob", b"nobody"):
            assert b"NO [NONEXISTENT]" in await ann.do(b'SELECT "Other Users/%b@example.org/INBOX"' % who)
            assert b"NO [NOPERM]" in await ann.do(b'CREATE "Other Users/%b@example.org/New"' % who)
            assert b"NO [NOPERM]" in await ann.do(b"GETQUOTA %b@example.org" % who)
        await ann.ok(b'LIST "" *')
        assert opened == []
        await world.engine.own("id-bob").set_acl(1, "id-ann", FlagMode.ADD, Rights.LOOKUP)
        await ann.ok(b'LIST "" *')
        assert opened == ["id-bob"]
        opened.clear()
        await ann.ok(b'LIST "" %')
        await ann.ok(b'LIST "" INBOX')
        await ann.ok(b'LIST "Work/" *')
        assert opened == ["id-bob"], "only where a pattern reaches so far"

    run(scenario)


def test_a_mailbox_that_goes_with_its_owner() -> None:
    async def scenario(world: World) -> None:
        await people(world)
        await world.engine.account("id-bob").set_acl(1, "id-ann", FlagMode.ADD, Rights.LOOKUP | Rights.READ)
        ann = await world.client(b'SELECT "Other Users/bob@example.org/INBOX"', user=b"ann")
        await world.engine.directory.remove_account("id-bob")
        await world.engine.delete_account("id-bob")
        assert b"* BYE [NONEXISTENT]" in await ann.do(b"NOOP")
        again = await world.client(user=b"ann")
        assert b"NO [NONEXISTENT]" in await again.do(b'SELECT "Other Users/bob@example.org/INBOX"')
        assert b"Other" not in await again.ok(b'LIST "" *')

    run(scenario)


def test_rfc3501_2_3_2_recent_is_each_readers_own() -> None:
    """A message is \\Recent in the first session of a reader, in none of his afterwards, whatever the owner's had."""

    async def scenario(world: World) -> None:
        await people(world)
        await world.engine.account("id-bob").set_acl(1, "id-ann", FlagMode.ADD, Rights.LOOKUP | Rights.READ)
        name = b'"Other Users/bob@example.org/INBOX"'
        await world.add(b"b1", b"b2", account="id-bob")
        assert b"* 2 RECENT\r\n" in await (await world.client(user=b"ann")).ok(b"EXAMINE " + name)
        ann = await world.client(user=b"ann")
        assert b"(RECENT 2)" in await ann.ok(b"STATUS " + name + b" (RECENT)")
        assert b"* 2 RECENT\r\n" in await ann.ok(b"SELECT " + name)
        assert rb"FLAGS (\Recent)" in await ann.ok(b"FETCH 2 FLAGS")
        again = await world.client(user=b"ann")
        assert b"(RECENT 0)" in await again.ok(b"STATUS " + name + b" (RECENT)")
        assert b"* 0 RECENT\r\n" in await again.ok(b"SELECT " + name)
        assert b"* SEARCH\r\n" in await again.ok(b"SEARCH RECENT")
        bob = await world.client(user=b"bob")
        assert b"* 2 RECENT\r\n" in await bob.ok(b"SELECT INBOX"), "the owner's own first time"
        await world.add(b"b3", account="id-bob")
        assert b"* 3 RECENT\r\n" in await bob.ok(b"NOOP")
        assert b"* 3 EXISTS\r\n* 1 RECENT\r\n" in await again.ok(b"NOOP")
        assert b"* 3 EXISTS\r\n* 2 RECENT\r\n" in await ann.ok(b"NOOP"), "another of her sessions has it"

    run(scenario)


def test_rfc3501_2_3_2_what_comes_after_a_readers_first_visit_is_recent_for_him_though_the_owner_saw_it_first() -> None:
    async def scenario(world: World) -> None:
        await people(world)
        await world.engine.account("id-bob").set_acl(1, "id-ann", FlagMode.ADD, Rights.LOOKUP | Rights.READ)
        name = b'"Other Users/bob@example.org/INBOX"'
        await world.add(b"b1", account="id-bob")
        bob, ann = await world.client(user=b"bob"), await world.client(user=b"ann")
        assert b"* 1 RECENT\r\n" in await bob.ok(b"SELECT INBOX")
        assert b"* 0 RECENT\r\n" in await ann.ok(b"SELECT " + name)
        await ann.ok(b"UNSELECT")
        await world.add(b"b2", account="id-bob")
        assert b"* 2 RECENT\r\n" in await bob.ok(b"NOOP")
        assert b"(RECENT 1)" in await ann.ok(b"STATUS " + name + b" (RECENT)")
        assert b"* 1 RECENT\r\n" in await ann.ok(b"SELECT " + name)

    run(scenario)


@pytest.mark.parametrize("refusal", [NoPermission, NoSuchMailbox])
def test_what_was_done_is_answered_though_the_mailbox_is_lost_while_it_is_told(
    monkeypatch: pytest.MonkeyPatch, refusal: type[StoreRefusal]
) -> None:
    """What changed has been read, and then the right to is taken in another process: that is no NO to a MOVE."""

    async def scenario(world: World) -> None:
        await people(world)
        await world.engine.account("id-bob").set_acl(1, "id-ann", FlagMode.ADD, WRITES | Rights.LOOKUP | Rights.READ)
        await world.add(b"b1", b"b2", account="id-bob")
        ann = await world.client(b"ENABLE QRESYNC", b'SELECT "Other Users/bob@example.org/INBOX"', user=b"ann")
        await world.add(b"b3", account="id-bob")

        async def refused(_store: SharedStore, _mailbox: int) -> tuple[int, int]:
            raise refusal("no more")

        monkeypatch.setattr(SharedStore, "claim_recent", refused)
        got = await ann.raw(b"x MOVE 1 INBOX\r\n", b"never")
        assert b"\r\nx OK " in got
        code = b"NOPERM" if refusal is NoPermission else b"NONEXISTENT"
        assert b"\r\n* BYE [%b] The selected mailbox " % code in got

    run(scenario)
