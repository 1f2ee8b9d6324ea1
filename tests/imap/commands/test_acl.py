"""Access control lists, as transcripts between people; rights as they are written. RFC 4314, RFC 8440, RFC 2342.

A is Ann, B is Bob, C is Carol (all @example.org). Bob has INBOX, Projects, Projects/Alpha and Secret, each but INBOX
with messages s1 and s2.
"""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from restante.config.model import ImapTable
from restante.imap.session.places import address_of, level_of
from restante.store.rights import AclEntry, BadRights, Rights, combined, letters, parse_rights, shown

from ..people import LOGINS, people
from ..session.support import World, run
from ..session.transcript import Transcript

CASES: dict[str, str] = {
    "rfc4314-2.1.1 obsolete rights": """
        B> SETACL Projects ann@example.org lrswida
        B< T OK ...
        B> GETACL Projects
        B< * ACL Projects bob@example.org lrswipkxteacd ann@example.org lrswitead
        B< T OK ...
        B> SETACL Projects carol@example.org lrswikda
        B< T OK ...
        B> SETACL Projects ann@example.org -cda
        B< T OK ...
        B> GETACL Projects
        B< * ACL Projects bob@example.org lrswipkxteacd ann@example.org lrswi carol@example.org lrswikteacd
        B< T OK ...
    """,
    "rfc4314-3.1 setacl": """
        B> SETACL Projects ann@example.org lrswi
        B< T OK ...
        B> SETACL Projects ann@example.org +cda
        B< T OK ...
        B> GETACL Projects
        B< * ACL Projects bob@example.org lrswipkxteacd ann@example.org lrswikxteacd
        B< T OK ...
        B> SETACL Projects ann@example.org lrQswicda
        B< T BAD ...
        B> SETACL Projects ann@example.org lrqswicda
        B< T BAD ...
        B> SETACL Projects ann@example.org ""
        B< T OK ...
        B> GETACL Projects
        B< * ACL Projects bob@example.org lrswipkxteacd
        B< T OK ...
        B> SETACL Projects nobody@example.org lr
        B< T NO [CANNOT] ...
        B> SETACL Projects "" lr
        B< T BAD ...
        B> SETACL Projects - lr
        B< T BAD ...
        B> SETACL Projects anyone lr
        B< T NO [NOPERM] ...
        B> SETACL Projects bob@example.org lr
        B< T NO [CANNOT] ...
        B> SETACL Projects -bob@example.org lr
        B< T NO [CANNOT] ...
        B> SETACL Nowhere ann@example.org lr
        B< T NO [NONEXISTENT] ...
    """,
    "rfc4314-3.1 who asks for many that are not here is told no more": """
        B> SETACL Projects nobody@example.org lr
        B< T NO [CANNOT] There is no such account. ...
        B> LISTRIGHTS Projects nobody@example.org
        B< T NO [CANNOT] There is no such account. ...
        B> DELETEACL Projects -nobody@example.org
        B< T NO [CANNOT] There is no such account. ...
        B> SETACL Projects -no-address lr
        B< T NO [CANNOT] There is no such account. ...
        B> SETACL Projects nobody@example.org lr
        B< T NO [LIMIT] ...
        B> SETACL Projects ann@example.org lr
        B< T NO [LIMIT] ...
        B> SETACL Projects -Anyone lr
        B< T OK ...
        B> DELETEACL Projects -anyone
        B< T OK ...
        A> CREATE Own
        A< T OK ...
        A> SETACL Own bob@example.org lr
        A< T OK ...
    """,
    "rfc4314-3.2 deleteacl leaves negative rights": """
        B> SETACL Projects ann@example.org lrswi
        B< T OK ...
        B> SETACL Projects -ann@example.org wi
        B< T OK ...
        A> MYRIGHTS "Other Users/bob@example.org/Projects"
        A< * MYRIGHTS "Other Users/bob@example.org/Projects" lrs
        A< T OK ...
        B> DELETEACL Projects ann@example.org
        B< T OK ...
        B> GETACL Projects
        B< * ACL Projects bob@example.org lrswipkxteacd -ann@example.org wi
        B< T OK ...
        A> MYRIGHTS "Other Users/bob@example.org/Projects"
        A< T NO [NONEXISTENT] ...
    """,
    "rfc4314-3.4 listrights": """
        B> LISTRIGHTS Projects Ann@example.org
        B< * LISTRIGHTS Projects Ann@example.org "" l r s w i p k x t e a c d
        B< T OK ...
        B> LISTRIGHTS Projects bob@example.org
        B< * LISTRIGHTS Projects bob@example.org lrswipkxteacd
        B< T OK ...
        B> LISTRIGHTS Projects anyone
        B< * LISTRIGHTS Projects anyone ""
        B< T OK ...
        B> LISTRIGHTS Projects -anyone
        B< * LISTRIGHTS Projects -anyone "" l r s w i p k x t e a c d
        B< T OK ...
        B> MYRIGHTS inbox
        B< * MYRIGHTS INBOX lrswipkxteacd
        B< T OK ...
    """,
    "rfc4314-4 what is not shared is not there": """
        B> SETACL Projects ann@example.org lr
        B< T OK ...
        A> SELECT "Other Users/bob@example.org/Secret"
        A< T NO [NONEXISTENT] There is no such mailbox.
        A> SELECT "Other Users/bob@example.org/Nothing"
        A< T NO [NONEXISTENT] There is no such mailbox.
        A> SELECT "Other Users/carol@example.org/INBOX"
        A< T NO [NONEXISTENT] There is no such mailbox.
        A> SELECT "Other Users/nobody@example.org/INBOX"
        A< T NO [NONEXISTENT] There is no such mailbox.
        A> STATUS "Other Users/bob@example.org/Secret" (MESSAGES)
        A< T NO [NONEXISTENT] There is no such mailbox.
        A> GETACL "Other Users/bob@example.org/Secret"
        A< T NO [NONEXISTENT] There is no such mailbox.
        A> MYRIGHTS "Other Users/bob@example.org/Secret"
        A< T NO [NONEXISTENT] There is no such mailbox.
        A> GETQUOTAROOT "Other Users/bob@example.org/Secret"
        A< T NO [NONEXISTENT] There is no such mailbox.
        A> SUBSCRIBE "Other Users/bob@example.org/Secret"
        A< T NO [NONEXISTENT] There is no such mailbox.
        A> DELETE "Other Users/bob@example.org/Secret"
        A< T NO [NONEXISTENT] There is no such mailbox.
        A> RENAME "Other Users/bob@example.org/Secret" "Other Users/bob@example.org/Mine"
        A< T NO [NONEXISTENT] There is no such mailbox.
        A> CREATE "Other Users/bob@example.org/Secret"
        A< T NO [NOPERM] You may not make a mailbox there.
        A> CREATE "Other Users/bob@example.org/Secret/Below"
        A< T NO [NOPERM] You may not make a mailbox there.
        A> CREATE "Other Users/bob@example.org/New/Below"
        A< T NO [NOPERM] You may not make a mailbox there.
        A> CREATE "Other Users/nobody@example.org/New"
        A< T NO [NOPERM] You may not make a mailbox there.
        A> CREATE "Other Users/bob@example.org"
        A< T NO [NOPERM] You may not make a mailbox there.
        A> CREATE "Other Users"
        A< T NO [NOPERM] You may not make a mailbox there.
        A> RENAME Mine "Other Users/bob@example.org/Mine"
        A< T NO [NONEXISTENT] ...
        A> RENAME INBOX "Other Users/bob@example.org/Mine"
        A< T NO [CANNOT] ...
        A> SELECT INBOX
        A< ...
        A< T OK ...
        A> COPY 1 "Other Users/bob@example.org/Secret"
        A< T NO [TRYCREATE] There is no such mailbox.
        A> MOVE 1 "Other Users/bob@example.org/Nothing"
        A< T NO [TRYCREATE] There is no such mailbox.
        A> LIST "" "Other Users/*"
        A< * LIST (\\Noselect \\HasChildren) "/" "Other Users/bob@example.org"
        A< * LIST (\\HasNoChildren) "/" "Other Users/bob@example.org/Projects"
        A< T OK ...
    """,
    "rfc4314-4 who may read but not list has selected it all the same": """
        B> SETACL Projects ann@example.org r
        B< T OK ...
        A> LIST "" "Other Users/bob@example.org/Projects"
        A< T OK ...
        A> ESEARCH IN (subtree "Other Users") ALL
        A< T OK ...
        A> ESEARCH IN (mailboxes ("Other Users/bob@example.org/Projects" "Other Users/bob@example.org/Secret")) ALL
        A< * ESEARCH (TAG "T" MAILBOX "Other Users/bob@example.org/Projects" UIDVALIDITY <n>) UID ALL 1:2
        A< T OK ...
        A> SELECT "Other Users/bob@example.org/Projects"
        A< ...
        A< T OK [READ-ONLY] ...
        A> EXPUNGE
        A< T NO [NOPERM] This needs the right e on the mailbox. ...
        A> MOVE 1 INBOX
        A< T NO [NOPERM] This needs the right te on the mailbox. ...
        A> COPY 1 INBOX
        A< T OK [COPYUID <n> 1 <n>] ...
        A> ESEARCH IN (selected) ALL
        A< * ESEARCH (TAG "T" MAILBOX "Other Users/bob@example.org/Projects" UIDVALIDITY <n>) UID ALL 1:2
        A< T OK ...
    """,
    "rfc4314-4 a visible mailbox refuses by NOPERM": """
        B> SETACL Projects ann@example.org l
        B< T OK ...
        A> SELECT "Other Users/bob@example.org/Projects"
        A< T NO [NOPERM] ...
        A> STATUS "Other Users/bob@example.org/Projects" (MESSAGES)
        A< T NO [NOPERM] ...
        A> GETACL "Other Users/bob@example.org/Projects"
        A< T NO [NOPERM] ...
        A> SETACL "Other Users/bob@example.org/Projects" ann@example.org lrswipkxtea
        A< T NO [NOPERM] ...
        A> DELETEACL "Other Users/bob@example.org/Projects" bob@example.org
        A< T NO [NOPERM] ...
        A> LISTRIGHTS "Other Users/bob@example.org/Projects" ann@example.org
        A< T NO [NOPERM] ...
        A> GETQUOTAROOT "Other Users/bob@example.org/Projects"
        A< T NO [NOPERM] ...
        A> GETQUOTA bob@example.org
        A< T NO [NOPERM] There is no such quota root, or it is not yours to see.
        A> GETQUOTA nobody@example.org
        A< T NO [NOPERM] There is no such quota root, or it is not yours to see.
        A> DELETE "Other Users/bob@example.org/Projects"
        A< T NO [NOPERM] ...
        A> CREATE "Other Users/bob@example.org/Projects/X"
        A< T NO [NOPERM] ...
        A> LIST "" "Other Users/%/%" RETURN (STATUS (MESSAGES) MYRIGHTS)
        A< * LIST (\\Noselect \\HasNoChildren) "/" "Other Users/bob@example.org/Projects"
        A< * MYRIGHTS "Other Users/bob@example.org/Projects" l
        A< T OK ...
        A> SUBSCRIBE "Other Users/bob@example.org/Projects"
        A< T OK ...
        A> LSUB "" "Other*"
        A< * LSUB () "/" "Other Users/bob@example.org/Projects"
        A< T OK ...
        B> DELETEACL Projects ann@example.org
        B< T OK ...
        A> LIST (SUBSCRIBED) "" "Other*"
        A< * LIST (\\NonExistent \\HasNoChildren \\Subscribed) "/" "Other Users/bob@example.org/Projects"
        A< T OK ...
        A> UNSUBSCRIBE "Other Users/bob@example.org/Projects"
        A< T OK ...
        A> LIST "" "Other*"
        A< T OK ...
    """,
    "rfc4314-4 a parent that may not be listed is none": """
        B> SETACL Projects/Alpha ann@example.org lr
        B< T OK ...
        A> LIST "" "*"
        A< * LIST (\\HasNoChildren) "/" INBOX
        A< * LIST (\\Noselect \\HasChildren) "/" "Other Users"
        A< * LIST (\\Noselect \\HasChildren) "/" "Other Users/bob@example.org"
        A< * LIST (\\Noselect \\HasChildren) "/" "Other Users/bob@example.org/Projects"
        A< * LIST (\\HasNoChildren) "/" "Other Users/bob@example.org/Projects/Alpha"
        A< T OK ...
        A> SELECT "Other Users/bob@example.org/Projects"
        A< T NO [NONEXISTENT] ...
        A> LIST "" %
        A< * LIST (\\HasNoChildren) "/" INBOX
        A< * LIST (\\Noselect \\HasChildren) "/" "Other Users"
        A< T OK ...
        A> LIST "" "INBOX"
        A< * LIST (\\HasNoChildren) "/" INBOX
        A< T OK ...
        A> NAMESPACE
        A< * NAMESPACE (("" "/")) (("Other Users/" "/")) NIL
        A< T OK ...
    """,
    "rfc4314-4 create inherits, rename and delete need their rights": """
        B> SETACL Projects ann@example.org lrswikx
        B< T OK ...
        A> CREATE "Other Users/bob@example.org/Projects/New"
        A< T OK [MAILBOXID (<id>)] ...
        A> MYRIGHTS "Other Users/bob@example.org/Projects/New"
        A< * MYRIGHTS "Other Users/bob@example.org/Projects/New" lrswikxc
        A< T OK ...
        A> CREATE "Other Users/bob@example.org/Projects/New"
        A< T NO [ALREADYEXISTS] ...
        A> CREATE "Other Users/bob@example.org/Projects/Mine" (USE (\\Sent))
        A< T NO [USEATTR] ...
        B> LIST "" Projects/%
        B< * LIST (\\HasNoChildren) "/" Projects/Alpha
        B< * LIST (\\HasNoChildren) "/" Projects/New
        B< T OK ...
        A> RENAME "Other Users/bob@example.org/Projects/New" "Other Users/bob@example.org/Top"
        A< T NO [NOPERM] ...
        A> RENAME "Other Users/bob@example.org/Projects/New" "Other Users/bob@example.org/Projects/Old"
        A< T OK ...
        A> RENAME "Other Users/bob@example.org/Projects/Old" Taken
        A< T NO [CANNOT] ...
        A> RENAME "Other Users/bob@example.org/Projects" "Other Users/bob@example.org/Projects/Old/In"
        A< T NO [CANNOT] ...
        A> DELETE "Other Users/bob@example.org/Projects/Old"
        A< T OK ...
        A> STATUS "Other Users/bob@example.org/Projects/Old" (MESSAGES)
        A< T NO [NONEXISTENT] ...
        B> CREATE Projects/Bobs
        B< T OK ...
        A> MYRIGHTS "Other Users/bob@example.org/Projects/Bobs"
        A< * MYRIGHTS "Other Users/bob@example.org/Projects/Bobs" lrswikxc
        A< T OK ...
        B> DELETEACL Projects/Bobs ann@example.org
        B< T OK ...
        A> CREATE "Other Users/bob@example.org/Projects/Bobs"
        A< T NO [NOPERM] ...
        A> RENAME "Other Users/bob@example.org/Projects" "Other Users/bob@example.org/Projects2"
        A< T NO [NOPERM] ...
    """,
    "rfc9051-6.3.6 somebody else's INBOX is neither renamed nor deleted": """
        B> SETACL INBOX ann@example.org lrswipkxtea
        B< T OK ...
        A> RENAME "Other Users/bob@example.org/inbox" "Other Users/bob@example.org/INBOX/Below"
        A< T NO [CANNOT] ...
        A> DELETE "Other Users/bob@example.org/INBOX"
        A< T NO [CANNOT] ...
        A> DELETE "Other Users/bob@example.org/inbox"
        A< T NO [CANNOT] ...
    """,
    "an administrator by right changes lists": """
        B> SETACL Projects ann@example.org la
        B< T OK ...
        A> SETACL "Other Users/bob@example.org/Projects" carol@example.org lr
        A< T OK ...
        A> GETACL "Other Users/bob@example.org/Projects"
        A< * ACL "Other Users/bob@example.org/Projects" bob@example.org lrswipkxteacd ann@example.org la <any>
        A< T OK ...
        C> LIST "" "Other*" RETURN (MYRIGHTS)
        C< * LIST (\\NonExistent \\HasChildren) "/" "Other Users"
        C< * LIST (\\NonExistent \\HasChildren) "/" "Other Users/bob@example.org"
        C< * LIST (\\HasNoChildren) "/" "Other Users/bob@example.org/Projects"
        C< * MYRIGHTS "Other Users/bob@example.org/Projects" lr
        C< T OK ...
        A> DELETEACL "Other Users/bob@example.org/Projects" ann@example.org
        A< T OK ...
        A> GETACL "Other Users/bob@example.org/Projects"
        A< T NO [NONEXISTENT] ...
    """,
}


@pytest.mark.parametrize("name", CASES)
def test_transcript(name: str) -> None:
    async def scenario(world: World) -> None:
        await people(world)
        await Transcript(world, logins=LOGINS).play(CASES[name])

    run(scenario)


def test_anyone_where_the_operator_lets_people() -> None:
    async def scenario(world: World) -> None:
        await people(world)
        bob = await world.client(user=b"bob", config=ImapTable(share_with_anyone=True))
        await bob.ok(b"SETACL Projects anyone lr")
        await bob.ok(b"SETACL Projects -carol@example.org r")
        assert b'"Other Users/bob@example.org/Projects" lr\r\n' in await (await world.client(user=b"ann")).ok(
            b'MYRIGHTS "Other Users/bob@example.org/Projects"'
        )
        carol = await world.client(user=b"carol")
        assert b"NO [NOPERM]" in await carol.do(b'SELECT "Other Users/bob@example.org/Projects"')
        assert b"lrswipkxteacd" in await bob.ok(b"MYRIGHTS Projects")
        assert b'"" l r s w i p k x t e a c d' in await bob.ok(b"LISTRIGHTS Projects anyone")

    run(scenario)


@pytest.mark.parametrize("dialect", [b"IMAP4rev2", b"UTF8=ACCEPT"])
def test_rfc9051_5_1_the_others_prefix_is_written_as_names_are(dialect: bytes) -> None:
    async def scenario(world: World) -> None:
        world.config = ImapTable(other_users="\u00c4mter")
        await people(world)
        await (await world.client(user=b"bob")).ok(b"SETACL Projects ann@example.org lr")
        ann = await world.client(user=b"ann")
        said = b'* NAMESPACE (("" "/")) (("%b/" "/")) NIL\r\nT OK NAMESPACE completed.\r\n'
        assert await ann.do(b"NAMESPACE") == said % b"&AMQ-mter"
        assert b"&AMQ-mter/bob@example.org/Projects" in await ann.ok(b'LIST "" "&AMQ-mter/*"')
        await ann.ok(b"ENABLE " + dialect)
        assert await ann.do(b"NAMESPACE") == said % "\u00c4mter".encode()
        assert "\u00c4mter/bob@example.org/Projects".encode() in await ann.ok('LIST "" "\u00c4mter/*"'.encode())

    run(scenario)


def test_capabilities() -> None:
    async def scenario(world: World) -> None:
        got = await (await world.client()).ok(b"CAPABILITY")
        for name in (b"ACL", b"RIGHTS=kxte", b"LIST-MYRIGHTS", b"QUOTA", b"QUOTA=RES-STORAGE"):
            assert b" " + name + b" " in got

    run(scenario)


@pytest.mark.parametrize(
    ("text", "rights", "told"),
    [
        ("", Rights.NONE, ""),
        ("lr", Rights.LOOKUP | Rights.READ, "lr"),
        ("rl", Rights.LOOKUP | Rights.READ, "lr"),
        ("c", Rights.CREATE | Rights.DELETE_MAILBOX, "kxc"),
        ("d", Rights.DELETE_MESSAGES | Rights.EXPUNGE, "ted"),
        ("k", Rights.CREATE, "kc"),
        ("t", Rights.DELETE_MESSAGES, "td"),
        ("lrswipkxtea", Rights(2047), "lrswipkxteacd"),
    ],
)
def test_rights_are_written_and_read(text: str, rights: Rights, told: str) -> None:
    assert parse_rights(text) == rights
    assert shown(rights) == told
    assert parse_rights(letters(rights)) == rights


@pytest.mark.parametrize("text", ["q", "L", "0", "l r", "+", "\u0131"])
def test_unknown_rights_are_refused(text: str) -> None:
    with pytest.raises(BadRights):
        parse_rights(text)


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1))
def test_an_address_is_one_level_and_comes_back(address: str) -> None:
    level = level_of(address)
    assert address_of(level) == unicodedata.normalize("NFC", address)
    assert not set(level) & set('/%*"\\')
    assert level.isascii() or not address.isascii()


def test_negative_rights_win() -> None:
    entries = [AclEntry("a", Rights(3)), AclEntry("-anyone", Rights(2)), AclEntry("anyone", Rights(4))]
    assert combined(entries) == Rights(5)
