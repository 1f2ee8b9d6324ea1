"""UTF8=ACCEPT from end to end: what may be sent, what is answered, before and after ENABLE. RFC 6855 3 to 5."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from restante.config.model import ImapTable

from ..session.support import Client, World, run

EIGHT_BIT = "From: Zoë <z@example.org>\r\nSubject: Grüße\r\n\r\nbody\r\n".encode()
EIGHT_BIT_BODY = "Subject: plain\r\n\r\nGrüße\r\n".encode()


async def enabled(world: World, *names: bytes) -> Client:
    return await world.client(*(b"ENABLE " + name for name in names), b"SELECT INBOX")


def plain_form(data: bytes) -> bytes:
    return b"APPEND INBOX {%d+}\r\n%b" % (len(data), data)


def utf8_form(data: bytes) -> bytes:
    return b"APPEND INBOX UTF8 (~{%d+}\r\n%b)" % (len(data), data)


def test_rfc6855_4_who_has_not_enabled_it_files_no_8bit_header() -> None:
    async def scenario(world: World) -> None:
        client = await enabled(world)
        assert b"T NO [CANNOT] " in await client.do(plain_form(EIGHT_BIT))
        assert b"T BAD" in await client.do(utf8_form(EIGHT_BIT))
        assert b"* 1 EXISTS" in await client.ok(plain_form(EIGHT_BIT_BODY))
        assert b"* 1 FETCH" in await client.ok(b"FETCH 1:* RFC822.SIZE")  # nothing else was filed

    run(scenario)


@pytest.mark.parametrize("form", [plain_form, utf8_form])
def test_rfc6855_4_who_has_enabled_it_files_them_and_gets_them_back(form: Callable[[bytes], bytes]) -> None:
    async def scenario(world: World) -> None:
        client = await enabled(world, b"UTF8=ACCEPT")
        assert b"OK [APPENDUID " in await client.ok(form(EIGHT_BIT))
        got = await client.ok(b"FETCH 1 (BODY.PEEK[])")
        assert b"{%d}\r\n%b)" % (len(EIGHT_BIT), EIGHT_BIT) in got
        assert b"* SEARCH 1\r\n" in await client.ok('SEARCH SUBJECT "grüße"'.encode())

    run(scenario)


def test_rfc9051_6_3_12_imap4rev2_permits_8bit_characters() -> None:
    async def scenario(world: World) -> None:
        client = await enabled(world, b"IMAP4rev2")
        assert b"OK [APPENDUID " in await client.ok(plain_form(EIGHT_BIT))
        assert b"T BAD" in await client.do(utf8_form(EIGHT_BIT))  # that form is UTF8=ACCEPT's alone

    run(scenario)


def test_rfc6855_4_utf8_messages_among_others_and_within_catenate() -> None:
    async def scenario(world: World) -> None:
        client = await enabled(world, b"UTF8=ACCEPT")
        utf8 = b"UTF8 (~{%d+}\r\n%b)" % (len(EIGHT_BIT), EIGHT_BIT)
        plain = b"{3+}\r\nx\r\n"
        got = await client.ok(b"APPEND INBOX %b (\\Seen) %b CATENATE (TEXT %b %b)" % (utf8, plain, plain, utf8))
        assert re.search(rb"T OK \[APPENDUID \d+ 1:3\]", got)
        found = await client.ok(b"UID FETCH 1:* RFC822.SIZE")
        for size in (len(EIGHT_BIT), 3, 3 + len(EIGHT_BIT)):
            assert b"RFC822.SIZE %d)" % size in found

    run(scenario)


def test_a_setting_departs_from_it_for_old_mail() -> None:
    async def scenario(world: World) -> None:
        client = world.connect(config=ImapTable(append_8bit_headers=True))
        await client.greeting()
        await client.ok(b"LOGIN user pass")
        assert b"OK [APPENDUID " in await client.ok(plain_form(EIGHT_BIT))

    run(scenario)


def test_rfc6855_3_a_search_names_no_charset_then() -> None:
    async def scenario(world: World) -> None:
        client = await enabled(world)
        await client.ok(b"SEARCH CHARSET UTF-8 SUBJECT x")
        await client.ok(b"ENABLE UTF8=ACCEPT")
        assert b"T BAD" in await client.do(b"SEARCH CHARSET UTF-8 SUBJECT x")
        two = await enabled(world, b"IMAP4rev2")
        await two.ok(b"SEARCH CHARSET UTF-8 SUBJECT x")

    run(scenario)


def test_rfc6855_3_quoted_utf8_only_after_enable_and_only_if_it_is_utf8() -> None:
    async def scenario(world: World) -> None:
        client = await world.client()
        assert b"T BAD" in await client.do('CREATE "é"'.encode())
        await client.ok(b"CREATE &AOk-")
        assert b'"/" &AOk-\r\n' in await client.ok(b'LIST "" &AOk-')
        await client.ok(b"ENABLE UTF8=ACCEPT")
        assert b"T BAD" in await client.do(b'CREATE "\xff"')
        assert '"/" "é"\r\n'.encode() in await client.ok('LIST "" "é"'.encode())
        assert '* STATUS "é" ('.encode() in await client.ok('STATUS "é" (MESSAGES)'.encode())
        await client.ok('SUBSCRIBE "é"'.encode())
        assert '* LSUB () "/" "é"\r\n'.encode() in await client.ok(b'LSUB "" "*"')
        await client.ok('SELECT "é"'.encode())
        assert b"T NO [ALREADYEXISTS]" in await client.do('CREATE "é"'.encode())  # decomposed: one name

    run(scenario)


@pytest.mark.parametrize(
    ("dialect", "name"),
    [(None, b"&AOk-"), (b"UTF8=ACCEPT", '"é"'.encode()), (b"IMAP4rev2", '"é"'.encode())],
    ids=["rev1", "utf8=accept", "rev2"],
)
def test_rfc6855_3_every_answer_with_a_name_has_it_in_the_form_that_is_spoken(
    dialect: bytes | None, name: bytes
) -> None:
    async def scenario(world: World) -> None:
        await world.person("ann")
        client = await world.client(*((b"ENABLE " + dialect,) if dialect else ()), b"CREATE " + name, user=b"ann")
        for command, line in (
            (b"GETACL %b", b"ACL %b ann@example.org lrswipkxteacd"),
            (b"LISTRIGHTS %b ann@example.org", b"LISTRIGHTS %b ann@example.org lrswipkxteacd"),
            (b"MYRIGHTS %b", b"MYRIGHTS %b lrswipkxteacd"),
            (b"GETQUOTAROOT %b", b"QUOTAROOT %b ann@example.org"),
            (b"GETMETADATA %b /shared/comment", b"METADATA %b (/shared/comment NIL)"),
            (b"STATUS %b (MESSAGES)", b"STATUS %b (MESSAGES 0)"),
            (b'LIST "" %b', b'LIST (\\HasNoChildren) "/" %b'),
            (b'LIST "" %b RETURN (MYRIGHTS)', b"MYRIGHTS %b lrswipkxteacd"),
            (b'LIST "" %b RETURN (METADATA (/shared/comment))', b"METADATA %b (/shared/comment NIL)"),
            (b'LIST "" %b RETURN (STATUS (MESSAGES))', b"STATUS %b (MESSAGES 0)"),
        ):
            assert b"\r\n* " + line % name + b"\r\n" in b"\r\n" + await client.ok(command % name), command
        await world.add(b"one", mailbox="é", account="id-ann")
        got = await client.ok(b"ESEARCH IN (mailboxes %b) ALL" % name)
        assert b'(TAG "T" MAILBOX %b UIDVALIDITY ' % name in got
        # and so has what NOTIFY tells of others' doings
        await client.ok(b"NOTIFY SET (personal (MailboxName MessageNew MessageExpunge MailboxMetadataChange))")
        other = await world.client(user=b"ann")
        await world.add(b"two", mailbox="é", account="id-ann")
        assert await client.pushed(b"\r\n") == b"* STATUS %b (MESSAGES 2 UIDNEXT 3)\r\n" % name
        await other.ok(b'SETMETADATA &AOk- (/shared/comment "x")')
        assert await client.pushed(b"\r\n") == b"* METADATA %b /shared/comment\r\n" % name
        await other.ok(b"RENAME &AOk- plain")
        assert await client.pushed(b"\r\n") == (b'* LIST (\\HasNoChildren) "/" plain ("OLDNAME" (%b))\r\n' % name)

    run(scenario)


def test_rfc6855_3_no_utf8_in_quoted_strings_of_answers_without_it() -> None:
    async def scenario(world: World) -> None:
        await world.file(EIGHT_BIT)
        client = await enabled(world)
        got = await client.ok(b"FETCH 1 (ENVELOPE)")
        assert "{7}\r\nGrüße".encode() in got
        for octets in got.split(b'"')[1::2]:
            assert octets.isascii()

    run(scenario)


def test_rfc6855_5_login_takes_no_quoted_utf8() -> None:
    async def scenario(world: World) -> None:
        client = world.connect()
        await client.greeting()
        assert b"T BAD" in await client.do('LOGIN "usér" pass'.encode())

    run(scenario)


@pytest.mark.parametrize("name", ["Caf\u00e9", "Cafe\u0301"], ids=["NFC", "NFD"])
def test_rfc9051_5_1_a_name_is_found_however_its_accents_are_written(name: str) -> None:
    async def scenario(world: World) -> None:
        client = await enabled(world, b"IMAP4rev2")
        await client.ok('CREATE "Caf\u00e9/au lait"'.encode())
        await client.ok(f'SUBSCRIBE "{name}"'.encode())
        for listing in (f'LIST "" "{name}"', f'LIST "{name[:2]}" "{name[2:]}"', f'LSUB "" "{name}"'):
            assert '"/" "Caf\u00e9"\r\n'.encode() in await client.ok(listing.encode())
        assert '"/" "Caf\u00e9/au lait"\r\n'.encode() in await client.ok(f'LIST "" "{name}/%"'.encode())

    run(scenario)


def test_rfc9051_6_3_9_7_who_writes_a_name_in_another_form_is_told_what_it_is() -> None:
    other = 'LIST (%s) "/" "Caf\u00e9" ("OLDNAME" ("Cafe\u0301"))\r\n'

    async def scenario(world: World) -> None:
        client = await enabled(world, b"IMAP4rev2")
        assert (other % "").encode() in await client.ok('CREATE "Cafe\u0301"'.encode())
        attributes = "\\HasNoChildren"
        for name, told in (
            ("Cafe\u0301", other % attributes),
            ("Caf\u00e9", f'LIST ({attributes}) "/" "Caf\u00e9"\r\n'),
        ):
            for command in ("SELECT", "EXAMINE"):
                assert told.encode() in await client.ok(f'{command} "{name}"'.encode())
        assert b' "/" INBOX ("OLDNAME" (Inbox))\r\n' in await client.ok(b"SELECT Inbox")
        assert (other % "").encode() in await client.ok('APPEND "Cafe\u0301" {3+}\r\nabc'.encode())
        assert b"OLDNAME" not in await client.ok('APPEND "Caf\u00e9" {3+}\r\nabc'.encode())
        assert b"OLDNAME" not in await client.ok(b"APPEND inbox {3+}\r\nabc")
        assert b"OLDNAME" not in await client.ok(b"REPLACE * inbox {3+}\r\nabc")
        assert (other % "").encode() in await client.ok('REPLACE * "Cafe\u0301" {3+}\r\nabc'.encode())  # RFC 8508 3.4
        got = await client.ok('RENAME "Cafe\u0301" "Pre\u0301s"'.encode())
        assert '* LIST () "/" "Pr\u00e9s" ("OLDNAME" ("Cafe\u0301"))\r\n'.encode() in got
        got = await client.ok('DELETE "Pre\u0301s"'.encode())
        assert '* LIST (\\NonExistent) "/" "Pr\u00e9s" ("OLDNAME" ("Pre\u0301s"))\r\n'.encode() in got

    run(scenario)


def test_imap4rev1_hears_of_no_old_names() -> None:
    async def scenario(world: World) -> None:
        client = await enabled(world, b"UTF8=ACCEPT")
        for command in ("CREATE", "SELECT", "DELETE"):
            assert b"LIST" not in await client.ok(f'{command} "Cafe\u0301"'.encode())

    run(scenario)
