"""SORT and THREAD from octets to octets, over the real engine. RFC 5256, RFC 5267 3, RFC 5957, RFC 7162 3.1.9."""

from __future__ import annotations

import pytest

from ..session.support import Client, World, run

MAIL = [
    (b"Zoe <anna@x>", b"b@x", b"Re: plan", b"2 Jan 2024 10:00:00 +0100", b"<1@x>", b"<4@x>", b"long " * 20),
    (b"=?utf-8?q?=C3=A9mile?= <carl@x>", b"a@x", b"Apples", b"1 Jan 2024 23:30:00 -0200", b"<2@x>", b"", b""),
    (b"bob@x", b"Last <c@x>", b"[list] plan", b"3 Jan 2024 00:00:00 +0000", b"<3@x>", b"<4@x> <1@x>", b"short"),
    (b"dora@x", b"", b"PLAN", b"1 Jan 2024 00:00:00 +0000", b"<4@x>", b"", b"some " * 9),
]


def message(number: int) -> bytes:
    sender, to, subject, date, id, references, body = MAIL[number]
    fields = [b"From: " + sender, b"Subject: " + subject, b"Date: " + date, b"Message-ID: " + id]
    fields += [b"To: " + to] if to else []
    fields += [b"References: " + references] if references else []
    return b"\r\n".join([*fields, b"", body, b""])


async def filled(world: World) -> Client:
    """A client whose INBOX holds the four messages as UIDs 2 to 5, numbers 1 to 4."""
    await world.add(b"to be removed")
    for number in range(len(MAIL)):
        await world.file(message(number))
    client = await world.client(b"SELECT INBOX")
    await client.ok(b"UID STORE 1 +FLAGS.SILENT (\\Deleted)")
    await client.ok(b"EXPUNGE")
    return client


ASKED = [
    ("rfc5256-3 date", b"SORT (DATE) UTF-8 ALL", b"* SORT 4 2 1 3"),
    ("rfc5256-3 reverse date", b"SORT (REVERSE DATE) UTF-8 ALL", b"* SORT 3 1 2 4"),
    ("rfc5256-3 arrival is the order of filing", b"SORT (ARRIVAL) UTF-8 ALL", b"* SORT 1 2 3 4"),
    ("rfc5256-3 base subject, then number", b"SORT (SUBJECT) UTF-8 ALL", b"* SORT 2 1 3 4"),
    ("rfc5256-3 subject and date", b"SORT (SUBJECT DATE) US-ASCII ALL", b"* SORT 2 4 1 3"),
    ("rfc5256-3 local part of From", b"SORT (FROM) UTF-8 ALL", b"* SORT 1 3 2 4"),
    ("rfc5256-3 a missing To comes first", b"SORT (TO) UTF-8 ALL", b"* SORT 4 2 1 3"),
    ("rfc5957 display names", b"SORT (DISPLAYFROM) UTF-8 ALL", b"* SORT 3 4 2 1"),
    ("rfc5957 display of To", b"SORT (DISPLAYTO) UTF-8 ALL", b"* SORT 4 2 1 3"),
    ("rfc5256-3 nothing", b'SORT (SUBJECT) US-ASCII TEXT "not in mailbox"', b"* SORT"),
    ("rfc5256-3 some", b"SORT (DATE) UTF-8 2:4 SUBJECT plan", b"* SORT 4 3"),
    ("rfc5256-3 UID SORT", b"UID SORT (DATE) UTF-8 ALL", b"* SORT 5 3 2 4"),
    ("rfc5256-3 keys' numbers are UIDs only under UID", b"UID SORT (DATE) UTF-8 2:3", b"* SORT 3 4"),
    ("rfc5267-3.1 empty RETURN", b"SORT RETURN () (DATE) UTF-8 ALL", b'* ESEARCH (TAG "T") ALL 4,2,1,3'),
    ("rfc5267-3.2 ranges ascend", b"SORT RETURN (ALL) (ARRIVAL) UTF-8 ALL", b'* ESEARCH (TAG "T") ALL 1:4'),
    (
        "rfc5267-3.2 and never descend",
        b"SORT RETURN () (REVERSE FROM) UTF-8 ALL",
        b'* ESEARCH (TAG "T") ALL 4,2:3,1',
    ),
    (
        "rfc5267-3.1 ends of the order",
        b"UID SORT RETURN (MIN MAX COUNT) (REVERSE DATE) UTF-8 ALL",
        b'* ESEARCH (TAG "T") UID MIN 4 MAX 5 COUNT 4',
    ),
    ("rfc5267-3.1 nothing", b"SORT RETURN (MIN COUNT) (DATE) UTF-8 TEXT zzz", b'* ESEARCH (TAG "T") COUNT 0'),
    ("rfc5256-3 references", b"THREAD REFERENCES UTF-8 ALL", b"* THREAD (4 1 3)(2)"),
    ("rfc5256-3 UID THREAD", b"UID THREAD REFERENCES UTF-8 ALL", b"* THREAD (5 2 4)(3)"),
    ("rfc5256-3 of some messages", b"THREAD REFERENCES UTF-8 2:3", b"* THREAD (2)(3)"),
    ("rfc5256-3 over one that was not searched", b"THREAD REFERENCES UTF-8 NOT 1", b"* THREAD (4 3)(2)"),
    ("rfc5256-3 ordered subject", b"THREAD ORDEREDSUBJECT UTF-8 ALL", b"* THREAD (4 (1)(3))(2)"),
    ("rfc5256-3 no thread", b'THREAD ORDEREDSUBJECT US-ASCII TEXT "gewp"', b"* THREAD"),
]


@pytest.mark.parametrize(("command", "expected"), [case[1:] for case in ASKED], ids=[case[0] for case in ASKED])
def test_sort_and_thread(command: bytes, expected: bytes) -> None:
    async def scenario(world: World) -> None:
        client = await filled(world)
        for dialect in (b"NOOP", b"ENABLE IMAP4rev2 UTF8=ACCEPT"):
            await client.ok(dialect)
            got = await client.do(command)
            assert got.splitlines()[0] == expected
            assert got.splitlines()[-1].startswith(b"T OK ")

    run(scenario)


REFUSED = [
    ("rfc9051-7.1 BADCHARSET", b"SORT (DATE) X-NONE ALL", b"T NO [BADCHARSET (US-ASCII UTF-8 "),
    ("rfc9051-7.1 BADCHARSET of THREAD", b"UID THREAD REFERENCES X-NONE ALL", b"T NO [BADCHARSET (US-ASCII UTF-8 "),
    ("no keys", b"SORT () UTF-8 ALL", b"T BAD "),
    ("reverse of nothing", b"SORT (REVERSE) UTF-8 ALL", b"T BAD "),
    ("reverse twice", b"SORT (REVERSE REVERSE DATE) UTF-8 ALL", b"T BAD "),
    ("unknown key", b"SORT (COLOUR) UTF-8 ALL", b"T BAD "),
    ("no charset", b"SORT (DATE) ALL", b"T NO [BADCHARSET "),
    ("no search key", b"SORT (DATE) UTF-8", b"T BAD "),
    ("unknown algorithm", b"THREAD REFS UTF-8 ALL", b"T BAD "),
    ("too many keys", b"SORT (" + b" ".join([b"DATE"] * 99) + b") UTF-8 ALL", b"T BAD "),
    ("unknown return option", b"SORT RETURN (COLOUR) (DATE) UTF-8 ALL", b"T BAD "),
]


@pytest.mark.parametrize(("command", "expected"), [case[1:] for case in REFUSED], ids=[case[0] for case in REFUSED])
def test_refused(command: bytes, expected: bytes) -> None:
    async def scenario(world: World) -> None:
        client = await filled(world)
        got = await client.do(command)
        assert got.startswith(expected)

    run(scenario)


def test_an_empty_mailbox_has_nothing_to_sort() -> None:
    async def scenario(world: World) -> None:
        client = await world.client(b"SELECT INBOX")
        assert (await client.ok(b"SORT (DATE) UTF-8 1")).startswith(b"* SORT\r\n")
        assert (await client.ok(b"THREAD REFERENCES UTF-8 ALL")).startswith(b"* THREAD\r\n")

    run(scenario)


def test_rfc5182_saved_results_in_both_directions() -> None:
    async def scenario(world: World) -> None:
        client = await filled(world)
        await client.ok(b"SEARCH RETURN (SAVE) SUBJECT plan")
        assert (await client.ok(b"UID SORT (DATE) UTF-8 $")).startswith(b"* SORT 5 2 4\r\n")
        assert (await client.ok(b"THREAD ORDEREDSUBJECT UTF-8 $")).startswith(b"* THREAD (4 (1)(3))\r\n")
        got = await client.do(b"SORT RETURN (SAVE MAX) (DATE) UTF-8 ALL")
        assert got.startswith(b'* ESEARCH (TAG "T") MAX 3\r\n')
        assert (await client.ok(b"UID FETCH $ UID")).startswith(b"* 3 FETCH (UID 4)\r\n")
        await client.ok(b"SORT RETURN (SAVE) (REVERSE DATE) UTF-8 ALL")
        assert (await client.ok(b"SEARCH $")).startswith(b"* SEARCH 1 2 3 4\r\n")
        await client.do(b"SORT RETURN (SAVE) (DATE) X-NONE ALL")
        assert (await client.ok(b"SEARCH $")).startswith(b"* SEARCH\r\n")

    run(scenario)


def test_rfc7162_3_1_9_modseq_is_told() -> None:
    async def scenario(world: World) -> None:
        client = await filled(world)
        before = await client.ok(b"SORT (DATE) UTF-8 MODSEQ 1")
        assert b"* SORT 4 2 1 3 (MODSEQ " in before
        got = await client.do(b"SORT RETURN (ALL) (DATE) UTF-8 MODSEQ 1 1")
        assert b'* ESEARCH (TAG "T") ALL 1 MODSEQ ' in got

    run(scenario)


def test_rfc5256_3_removals_wait_for_sort_and_thread_by_number() -> None:
    async def scenario(world: World) -> None:
        client = await filled(world)
        other = await world.client(b"SELECT INBOX")
        await other.ok(b"UID STORE 3 +FLAGS.SILENT (\\Deleted)")
        await other.ok(b"EXPUNGE")
        for command in (b"SORT (DATE) UTF-8 ALL", b"THREAD REFERENCES UTF-8 ALL"):
            got = await client.ok(command)
            assert b"EXPUNGE" not in got
            assert b" 2" not in got
        assert b"EXPUNGE" in await client.ok(b"UID SORT (DATE) UTF-8 ALL")

    run(scenario)
