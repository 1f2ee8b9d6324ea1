"""What the RFCs about access and quotas show, with the people of `..people`: A is Ann, B is Bob, C is Carol.

RFC 2342 5; RFC 4314 3, 4, 5; RFC 8440 4; RFC 9208 4. Names of people are addresses here, and the rights that are told
come in one order.
"""

from __future__ import annotations

import pytest

from restante.config.model import ImapTable

from ..people import LOGINS, people
from ..session.support import World, run
from ..session.transcript import Transcript

CASES: dict[str, str] = {
    # The other eight examples of this section are of servers with other namespaces than the two of this one.
    "rfc2342-5 example 7": """
        B> SETACL Projects ann@example.org lr
        B< T OK ...
        C> SETACL INBOX ann@example.org lr
        C< T OK ...
        A> NAMESPACE
        A< * NAMESPACE (("" "/")) (("Other Users/" "/")) NIL
        A< T OK NAMESPACE completed.
        A> LIST "" "Other Users/%"
        A< * LIST (\\Noselect \\HasChildren) "/" "Other Users/bob@example.org"
        A< * LIST (\\Noselect \\HasChildren) "/" "Other Users/carol@example.org"
        A< T OK LIST completed.
        # who has granted nothing is not listed
        B> LIST "" "Other Users/%"
        B< T OK LIST completed.
    """,
    # There are no groups ($team) here. The owner's own entry cannot go; Ann's stands for Fred's.
    "rfc4314-3.2 deleteacl": """
        B> SETACL INBOX ann@example.org rwiptslxeta
        B< T OK ...
        B> SETACL INBOX -ann@example.org wetd
        B< T OK ...
        B> getacl INBOX
        B< * ACL INBOX bob@example.org lrswipkxteacd -ann@example.org wted ann@example.org lrswipxteacd
        B< T OK GETACL completed.
        B> DeleteAcl INBOX ann@example.org
        B< T OK DELETEACL completed.
        B> GETACL INBOX
        B< * ACL INBOX bob@example.org lrswipkxteacd -ann@example.org wted
        B< T OK GETACL completed.
    """,
    # No rights are tied to others here, and the digits name none: 2.1.1 and 3.4 show servers that have such.
    "rfc4314-3.4 and 3.5": """
        B> LISTRIGHTS Projects ann@example.org
        B< * LISTRIGHTS Projects ann@example.org "" l r s w i p k x t e a c d
        B< T OK LISTRIGHTS completed.
        B> listrights Projects anyone
        B< * LISTRIGHTS Projects anyone "" l r s w i p k x t e a c d
        B< T OK LISTRIGHTS completed.
        B> MYRIGHTS INBOX
        B< * MYRIGHTS INBOX lrswipkxteacd
        B< T OK MYRIGHTS completed.
    """,
    "rfc4314-4 an acl goes with a deleted mailbox and follows a renamed one": """
        B> SETACL Secret ann@example.org lr
        B< T OK ...
        B> CREATE Secret/Below
        B< T OK ...
        B> SETACL Secret/Below carol@example.org lr
        B< T OK ...
        B> RENAME Secret Known
        B< T OK ...
        B> GETACL Known
        B< * ACL Known bob@example.org lrswipkxteacd ann@example.org lr
        B< T OK ...
        B> GETACL Known/Below
        B< * ACL Known/Below bob@example.org lrswipkxteacd ann@example.org lr carol@example.org lr
        B< T OK ...
        B> DELETE Known
        B< T OK ...
        B> CREATE Known
        B< T OK ...
        B> GETACL Known
        B< * ACL Known bob@example.org lrswipkxteacd
        B< T OK ...
    """,
    "rfc4314-4 any of six rights is enough for myrights": """
        B> SETACL Projects ann@example.org swte
        B< T OK ...
        A> MYRIGHTS "Other Users/bob@example.org/Projects"
        A< T NO [NONEXISTENT] ...
        B> SETACL Projects ann@example.org i
        B< T OK ...
        A> MYRIGHTS "Other Users/bob@example.org/Projects"
        A< * MYRIGHTS "Other Users/bob@example.org/Projects" i
        A< T OK ...
        B> SETACL Projects ann@example.org k
        B< T OK ...
        A> MYRIGHTS "Other Users/bob@example.org/Projects"
        A< * MYRIGHTS "Other Users/bob@example.org/Projects" kc
        A< T OK ...
        B> SETACL Projects ann@example.org x
        B< T OK ...
        A> MYRIGHTS "Other Users/bob@example.org/Projects"
        A< * MYRIGHTS "Other Users/bob@example.org/Projects" xc
        A< T OK ...
        B> SETACL Projects ann@example.org r
        B< T OK ...
        A> MYRIGHTS "Other Users/bob@example.org/Projects"
        A< * MYRIGHTS "Other Users/bob@example.org/Projects" r
        A< T OK ...
        B> SETACL Projects ann@example.org a
        B< T OK ...
        A> MYRIGHTS "Other Users/bob@example.org/Projects"
        A< * MYRIGHTS "Other Users/bob@example.org/Projects" a
        A< T OK ...
    """,
    # All flags but \\Seen are shared, so "w" and "t" are the shared flag rights; "s" alone, each reader's own, is none.
    "rfc4314-5.2 what makes a mailbox read-write": """
        B> SETACL Projects ann@example.org lrs
        B< T OK ...
        A> SELECT "Other Users/bob@example.org/Projects"
        A< ...
        A< T OK [READ-ONLY] SELECT completed.
        A> UNSELECT
        A< T OK ...
        B> SETACL Projects ann@example.org rit
        B< T OK ...
        A> SELECT "Other Users/bob@example.org/Projects"
        A< ...
        A< T OK [READ-WRITE] SELECT completed.
        A> UNSELECT
        A< T OK ...
        B> SETACL Projects ann@example.org rset
        B< T OK ...
        A> SELECT "Other Users/bob@example.org/Projects"
        A< ...
        A< T OK [READ-WRITE] SELECT completed.
        A> UNSELECT
        A< T OK ...
        B> SETACL Projects ann@example.org rpkxa
        B< T OK ...
        A> SELECT "Other Users/bob@example.org/Projects"
        A< ...
        A< T OK [READ-ONLY] SELECT completed.
    """,
    "rfc8440-4 own mailboxes": """
        B> CREATE bar/below
        B< T OK ...
        B> DELETE bar
        B< T OK ...
        B> LIST "" % RETURN (MYRIGHTS)
        B< * LIST (\\HasNoChildren) "/" INBOX
        B< * MYRIGHTS INBOX lrswipkxteacd
        B< * LIST (\\HasChildren) "/" Projects
        B< * MYRIGHTS Projects lrswipkxteacd
        B< * LIST (\\HasNoChildren) "/" Secret
        B< * MYRIGHTS Secret lrswipkxteacd
        B< * LIST (\\NonExistent \\HasChildren) "/" bar
        B< T OK LIST completed.
        B> SUBSCRIBE Projects/Alpha
        B< T OK ...
        B> LIST (SUBSCRIBED RECURSIVEMATCH) "" % RETURN (MYRIGHTS)
        B< * LIST (\\HasNoChildren \\Subscribed) "/" INBOX
        B< * MYRIGHTS INBOX lrswipkxteacd
        B< * LIST (\\HasChildren) "/" Projects ("CHILDINFO" ("SUBSCRIBED"))
        B< T OK LIST completed.
    """,
    "rfc8440-4 those of others": """
        B> SETACL Projects ann@example.org lrs
        B< T OK ...
        A> LIST "" "Other Users/bob@example.org/%" RETURN (MYRIGHTS)
        A< * LIST (\\HasNoChildren) "/" "Other Users/bob@example.org/Projects"
        A< * MYRIGHTS "Other Users/bob@example.org/Projects" lrs
        A< T OK LIST completed.
    """,
}


MEETING = b"""Date: Mon, 7 Feb 1994 21:52:25 -0800 (PST)
From: Fred Foobar <foobar@Blurdybloop.example>
Subject: afternoon meeting
To: mooch@owatagu.siam.edu.example
Message-Id: <B27397-0100000@Blurdybloop.example>
MIME-Version: 1.0
Content-Type: TEXT/PLAIN; CHARSET=US-ASCII

Hello Joe, do you think we can meet at 3:30 tomorrow?
""".replace(b"\n", b"\r\n")


@pytest.mark.parametrize("name", CASES)
def test_transcript(name: str) -> None:
    async def scenario(world: World) -> None:
        await people(world)
        if "3.4" in name:
            world.config = ImapTable(share_with_anyone=True)
        await Transcript(world, logins=LOGINS).play(CASES[name])

    run(scenario)


@pytest.mark.parametrize("rights", [b"r", b"swi", b"pkx", b"te"])
def test_rfc4314_6_who_may_not_list_a_mailbox_learns_nothing_by_its_list(rights: bytes) -> None:
    """The same words as of a mailbox that there is not. RFC 5464 3.3 hides its annotations alike."""

    async def scenario(world: World) -> None:
        await people(world)
        await world.client(b"SETACL Secret ann@example.org " + rights, user=b"bob")
        ann = await world.client(user=b"ann")
        for command in (
            b"GETACL %b",
            b"SETACL %b carol@example.org lr",
            b"DELETEACL %b carol@example.org",
            b"LISTRIGHTS %b carol@example.org",
            b"GETMETADATA %b /shared/comment",
            b'SETMETADATA %b (/shared/comment "x")',
            b"SUBSCRIBE %b",
        ):
            there, nowhere = [
                await ann.do(command % (b'"Other Users/bob@example.org/%b"' % name)) for name in (b"Secret", b"Nothing")
            ]
            assert there == nowhere, command
            assert there.startswith(b"T NO [NONEXISTENT] "), command

    run(scenario)


def test_rfc4314_5_1_1_select_and_myrights_in_one_piece() -> None:
    async def scenario(world: World) -> None:
        await people(world)
        bob = await world.client(b"SETACL Projects ann@example.org lrwis", user=b"bob")
        ann = await world.client(user=b"ann")
        name = b'"Other Users/bob@example.org/Projects"'
        got = await ann.raw(b"A142 SELECT %b\r\nA143 MYRIGHTS %b\r\n" % (name, name), b"A143")
        lines = got.split(b"\r\n")
        assert b"* FLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft)" in lines
        assert b"* OK [PERMANENTFLAGS (\\Answered \\Flagged \\Seen \\Draft \\*)] Flags that are kept." in lines
        assert lines[-4:] == [
            b"A142 OK [READ-WRITE] SELECT completed.",
            b"* MYRIGHTS %b lrswi" % name,
            b"A143 OK MYRIGHTS completed.",
            b"",
        ]
        # and a SETACL before it is done when it is answered
        got = await bob.raw(b"x SETACL INBOX ann@example.org lr\r\ny GETACL INBOX\r\n", b"y")
        assert got == (
            b"x OK SETACL completed.\r\n* ACL INBOX bob@example.org lrswipkxteacd ann@example.org lr\r\n"
            b"y OK GETACL completed.\r\n"
        )

    run(scenario)


@pytest.mark.parametrize(
    ("rights", "kept"),
    [
        (b"lri", b""),
        (b"lris", b"\\Seen"),
        (b"lriw", b"\\Draft $Work"),
        (b"lrit", b"\\Deleted"),
        (b"lriswt", b"\\Deleted \\Seen \\Draft $Work"),
    ],
)
@pytest.mark.parametrize("form", [b"{%d+}\r\n%b", b"CATENATE (TEXT {%d+}\r\n%b)"], ids=["append", "catenate"])
def test_rfc4314_4_append_keeps_the_flags_that_its_user_may_set(rights: bytes, kept: bytes, form: bytes) -> None:
    """It fails for none of them."""

    async def scenario(world: World) -> None:
        await people(world)
        await world.client(b"SETACL Projects ann@example.org " + rights, user=b"bob")
        ann = await world.client(user=b"ann")
        name = b'"Other Users/bob@example.org/Projects"'
        flags = b" (\\Seen \\Deleted \\Draft $Work) "
        assert b"T OK [APPENDUID " in await ann.do(b"APPEND " + name + flags + form % (len(MEETING), MEETING))
        await ann.ok(b"SELECT " + name)
        got = await ann.ok(b"UID FETCH 3 (FLAGS)")
        assert (
            got.replace(b" \\Recent", b"")
            .replace(b"\\Recent", b"")
            .startswith(b"* 3 FETCH (UID 3 FLAGS (%b))\r\n" % kept)
        )

    run(scenario)


@pytest.mark.parametrize(("rights", "missing"), [(b"lrswte", b"i"), (b"lrswi", b"te"), (b"lrswite", b"")])
def test_rfc8508_4_1_replace_needs_what_its_steps_need(rights: bytes, missing: bytes) -> None:
    async def scenario(world: World) -> None:
        await people(world)
        await world.client(b"SETACL Projects ann@example.org " + rights, user=b"bob")
        name = b'"Other Users/bob@example.org/Projects"'
        ann = await world.client(b"SELECT " + name, user=b"ann")
        got = await ann.do(b"REPLACE 1 %b (\\Seen) {%d+}\r\n%b" % (name, len(MEETING), MEETING))
        if missing:
            assert got.startswith(b"T NO [NOPERM] This needs the right %b on the mailbox." % missing)
            assert b"* SEARCH 1 2\r\n" in await ann.ok(b"UID SEARCH ALL")
        else:
            assert b"* 1 EXPUNGE\r\n* 2 EXISTS\r\n" in got
            assert b"* SEARCH 2 3\r\n" in await ann.ok(b"UID SEARCH ALL")

    run(scenario)


def test_rfc9208_4_1_3_setquota_and_what_it_answers() -> None:
    """The example's way. Limits are not rounded here; what cannot be limited so is refused as "!partition/sda4" is."""

    async def scenario(world: World) -> None:
        await world.person("alice", quota_messages=1000)
        await world.engine.directory.update_account("id-alice", quota=111 * 1024)
        await world.add(*[b"x" * 1200] * 42, account="id-alice")
        await world.person("operator")
        chief = await world.client(user=b"operator", config=ImapTable(quota_admins=["operator@example.org"]))
        before = b"* QUOTA alice@example.org (STORAGE 53 111 MESSAGE 42 1000 MAILBOX 1 10000)\r\n"
        assert await chief.do(b"GETQUOTA alice@example.org") == before + b"T OK GETQUOTA completed.\r\n"
        assert await chief.do(b"SETQUOTA alice@example.org (STORAGE 510)") == (
            b"* QUOTA alice@example.org (STORAGE 53 510 MAILBOX 1 10000)\r\nT OK SETQUOTA completed.\r\n"
        )
        refused = await chief.do(b"SETQUOTA alice@example.org (STORAGE 0)")
        assert refused.startswith(b"T NO [CANNOT] ")
        assert b"(STORAGE 53 510 MAILBOX 1 10000)" in await chief.ok(b"GETQUOTA alice@example.org")

    run(scenario)


def test_rfc9208_4_3_1_append_over_quota_as_the_first_example() -> None:
    """The second and the third are of soft limits, which there are none of here: what fits is filed without a word."""

    async def scenario(world: World) -> None:
        await world.person("alice", quota_messages=2)
        alice = await world.client(b"CREATE saved-messages", user=b"alice")
        command = b"A003 APPEND saved-messages (\\Seen) {%d}\r\n" % len(MEETING)
        for expected in (b"A003 OK [APPENDUID ", b"A003 OK [APPENDUID ", b"A003 NO [OVERQUOTA] "):
            assert await alice.raw(command, b"A003") == b"+ Ready for the literal.\r\n"
            assert (await alice.raw(MEETING + b"\r\n", b"A003")).startswith(expected)

    run(scenario)
