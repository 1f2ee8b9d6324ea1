"""SEARCH=FUZZY from octets to octets. RFC 6203."""

from __future__ import annotations

import pytest

from restante.store.sqlite import search

from ..session.support import World, run

MAIL = [
    b"From: a@x\r\nSubject: greetings\r\n\r\nhello from the body\r\n",
    b"From: b@x\r\nSubject: hello\r\n\r\nnothing\r\n",
    b"From: c@x\r\nSubject: other\r\n\r\nfar away\r\n",
]

ASKED = [
    ("rfc6203-3", b'SEARCH FUZZY SUBJECT "Helo"', b"* SEARCH 2"),
    ("rfc6203-3 in parentheses", b'SEARCH FUZZY (SUBJECT "helo")', b"* SEARCH 2"),
    ("rfc6203-3 a key beside it", b"SEARCH FUZZY SUBJECT helo FROM b@x", b"* SEARCH 2"),
    ("rfc6203-3 a key beside it, not fuzzy", b"SEARCH FUZZY SUBJECT helo FROM bb@x", b"* SEARCH"),
    ("rfc6203-3 a list", b"SEARCH FUZZY (SUBJECT helo UNSEEN) FROM b@x", b"* SEARCH 2"),
    ("rfc6203-4", b"SEARCH RETURN (RELEVANCY ALL) FUZZY TEXT helo", b'* ESEARCH (TAG "T") ALL 1:2 RELEVANCY (60 100)'),
    (
        "rfc6203-4 of UIDs",
        b"UID SEARCH RETURN (RELEVANCY) FUZZY TEXT helo",
        b'* ESEARCH (TAG "T") UID RELEVANCY (60 100)',
    ),
    ("rfc6203-4 none", b"SEARCH RETURN (RELEVANCY COUNT) FUZZY TEXT zzzzzz", b'* ESEARCH (TAG "T") COUNT 0'),
    ("swapped", b"SEARCH RETURN (RELEVANCY ALL) FUZZY TEXT hlelo", b'* ESEARCH (TAG "T") ALL 1:2 RELEVANCY (60 100)'),
    ("swapped, behind another word", b'SEARCH FUZZY SUBJECT "zzzzzz ohter"', b"* SEARCH 3"),
    ("swapped twice", b"SEARCH FUZZY SUBJECT ehlol", b"* SEARCH"),
    ("swapped, a short word", b"SEARCH FUZZY TEXT fra", b"* SEARCH"),
    ("rfc6203-6 sort", b"SORT (RELEVANCY) UTF-8 FUZZY TEXT helo", b"* SORT 2 1"),
    ("rfc6203-6 sort by subject", b'SORT (RELEVANCY) UTF-8 FUZZY SUBJECT "Helo"', b"* SORT 2"),
    ("rfc6203-6 reverse", b"SORT (REVERSE RELEVANCY) UTF-8 FUZZY TEXT helo", b"* SORT 1 2"),
    (
        "rfc6203-6 both",
        b"SORT RETURN (RELEVANCY ALL) (RELEVANCY) UTF-8 FUZZY TEXT helo",
        b'* ESEARCH (TAG "T") ALL 2,1 RELEVANCY (100 60)',
    ),
    (
        "rfc6203-6 partial",
        b"SORT RETURN (PARTIAL 1:1 RELEVANCY) (RELEVANCY) UTF-8 FUZZY TEXT helo",
        b'* ESEARCH (TAG "T") PARTIAL (1:1 2) RELEVANCY (100)',
    ),
    (
        "rfc7377-2.1 in several mailboxes",
        b"ESEARCH IN (personal) RETURN (ALL RELEVANCY) FUZZY TEXT helo",
        b'* ESEARCH (TAG "T" MAILBOX INBOX UIDVALIDITY 1800000000) UID ALL 1:2 RELEVANCY (60 100)',
    ),
    (
        "rfc7377-2.1 must not",
        b"ESEARCH IN (personal) RETURN (RELEVANCY) ALL",
        b"T BAD RELEVANCY needs a FUZZY search key.",
    ),
    ("rfc6203-4 must not", b"SEARCH RETURN (RELEVANCY) TEXT helo", b"T BAD RELEVANCY needs a FUZZY search key."),
    ("rfc6203-6 must not", b"SORT (RELEVANCY) UTF-8 TEXT helo", b"T BAD RELEVANCY needs a FUZZY search key."),
]


@pytest.mark.parametrize(("command", "expected"), [case[1:] for case in ASKED], ids=[case[0] for case in ASKED])
def test_fuzzy(command: bytes, expected: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "FEW", 0)  # or these few would be looked at without asking the index

    async def scenario(world: World) -> None:
        for data in MAIL:
            await world.file(data)
        client = await world.client(b"SELECT INBOX")
        for _ in range(2):  # without an index, and with one
            assert (await client.do(command)).splitlines()[0] == expected
            while await world.store.fill_search():
                pass

    run(scenario)


def test_as_many_fuzzy_keys_as_a_search_may_have() -> None:
    """SQLite bounds the columns of a result; each text is asked for once."""

    async def scenario(world: World) -> None:
        for data in MAIL:
            await world.file(data)
        client = await world.client(b"SELECT INBOX")
        got = await client.ok(b"SEARCH " + b" ".join([b"FUZZY TEXT helo"] * 490))
        assert got.startswith(b"* SEARCH 1 2\r\n")

    run(scenario)


@pytest.mark.parametrize(
    "command",
    [
        b"SEARCH RETURN (RELEVANCY) ALL",
        b"UID SEARCH RETURN (RELEVANCY COUNT) ALL",
        b"SORT (RELEVANCY) UTF-8 ALL",
        b"SORT RETURN (RELEVANCY) (DATE) UTF-8 ALL",
        b"ESEARCH RETURN (RELEVANCY) ALL",
    ],
)
def test_relevancy_needs_fuzzy_where_there_is_no_mail_either(command: bytes) -> None:
    async def scenario(world: World) -> None:
        client = await world.client(b"SELECT INBOX")
        assert await client.do(command) == b"T BAD RELEVANCY needs a FUZZY search key.\r\n"

    run(scenario)
