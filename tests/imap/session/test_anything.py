"""Whatever a client sends, it is answered: never a fault of ours, never silence. RFC 9051 7.1."""

from __future__ import annotations

import random

import pytest

from .support import World, run

SETS = [b"1", b"*", b"1:*", b"2:1", b"99", b"1,3,2:2", b"$", b"4294967295", b"*:4294967295", b"0", b"1:"]
ITEMS = [
    b"FLAGS", b"ALL", b"FULL", b"UID", b"BODY[]", b"BODY.PEEK[1]<0.3>", b"BODY[1.1.1.MIME]", b"BODY[HEADER]",
    b"RFC822",
    b"BODY.PEEK[HEADER.FIELDS (Subject %d)]<1.2>", b"BODY[HEADER.FIELDS.NOT (A)]", b"BINARY[1]<0.2>", b"BINARY.SIZE[]",
    b"(FLAGS MODSEQ EMAILID THREADID INTERNALDATE)", b"BODY.PEEK[TEXT]<99999.1>", b"ENVELOPE", b"BODYSTRUCTURE",
    b"NONE", b"(SAVEDATE PREVIEW)", b"PREVIEW (LAZY)", b"FLAGS (PARTIAL -1:-2)", b"FLAGS (PARTIAL 2:1)",
]  # fmt: skip
KEYS = [
    b"ALL", b"RECENT", b"NOT NEW", b"FUZZY TEXT one", b"FUZZY",
    b"OR 1 $", b"UID 1:*", b"MODSEQ 1", b"TEXT x", b"LARGER 3", b"KEYWORD $Junk",
    b"((1) 2)",
    b"SINCE 1-Jan-2020", b"HEADER X-A {0+}\r\n", b"CHARSET UTF-8 SUBJECT x", b"EMAILID m1", b"BODY \"\"", b"OLDER 3",
    b"(", b"SAVEDATESUPPORTED", b"SAVEDON 1-Jan-2020", b"UIDAFTER 1", b"NOT UIDBEFORE 2", b"UID 900:*", b"YOUNGER 99",
]  # fmt: skip
BOXES = [b"INBOX", b"a/b", b'""', b'"a b"', b"nowhere", b"&AOk-", b"&", b"INBOX/x", b"%", b"/", b'"\xc3\xa9"']
FLAGS = [b"\\Seen", b"(\\Deleted)", b"()", b"($A $B)", b"\\Bad", b"(\\Recent)", b"\\*"]
RETURNS = [
    b"",
    b"RETURN () ",
    b"RETURN (SAVE) ",
    b"RETURN (MIN MAX COUNT) ",
    b"RETURN (SAVE MAX) ",
    b"RETURN (ALL) ",
    b"RETURN (PARTIAL 1:2) ",
    b"RETURN (PARTIAL -1:-9 SAVE) ",
    b"RETURN (UPDATE COUNT) ",
    b"RETURN (CONTEXT UPDATE (UID)) ",
    b"RETURN (RELEVANCY PARTIAL 1:1) ",
]
SOURCES = [
    b"",
    b"IN (selected) ",
    b"IN (personal) ",
    b"IN (subtree a subscribed) ",
    b"IN (mailboxes (INBOX a/b)) ",
    b"IN () ",
]
SORTS = [b"(DATE)", b"(REVERSE SUBJECT FROM)", b"(SIZE ARRIVAL)", b"(RELEVANCY)", b"()", b"(REVERSE)", b"(DISPLAYTO X)"]
CHARSETS = [b" UTF-8 ", b" us-ascii ", b" X-NONE ", b" "]


def command(chance: random.Random) -> bytes:
    """One command, more or less well formed."""
    pick = chance.choice
    uid = pick([b"", b"UID "])
    forms = [
        lambda: uid + b"FETCH " + pick(SETS) + b" " + pick(ITEMS),
        lambda: uid + b"FETCH " + pick(SETS) + b" (FLAGS) (CHANGEDSINCE " + pick([b"1)", b"5)", b"5 VANISHED)"]),
        lambda: uid + b"STORE " + pick(SETS) + b" " + pick([b"", b"(UNCHANGEDSINCE 5) ", b"(UNCHANGEDSINCE 0) "])
        + pick([b"+FLAGS ", b"-FLAGS.SILENT ", b"FLAGS ", b"+FLAGS.SILENT "]) + pick(FLAGS),
        lambda: uid + b"SEARCH " + pick(RETURNS) + pick(KEYS),
        lambda: b"ESEARCH " + pick(SOURCES) + pick(RETURNS) + pick(KEYS),
        lambda: pick([b"CANCELUPDATE \"t%d\"" % chance.randrange(99), b"CANCELUPDATE", b"CANCELUPDATE \"a\" \"b\""]),
        lambda: uid + b"SORT " + pick(RETURNS) + pick(SORTS) + pick(CHARSETS) + pick(KEYS),
        lambda: uid + b"THREAD " + pick([b"REFERENCES", b"ORDEREDSUBJECT", b"X"]) + pick(CHARSETS) + pick(KEYS),
        lambda: uid + pick([b"COPY ", b"MOVE "]) + pick(SETS) + b" " + pick(BOXES),
        lambda: pick([b"SELECT ", b"EXAMINE "]) + pick(BOXES[:2])
        + pick([b"", b" (CONDSTORE)", b" (QRESYNC (1800000000 1 1:9 (1 1)))"]),
        lambda: pick([b"CREATE ", b"DELETE ", b"SUBSCRIBE ", b"UNSUBSCRIBE "]) + pick(BOXES[1:]),
        lambda: b"RENAME " + pick(BOXES) + b" " + pick(BOXES),
        lambda: b"LIST " + pick([b"", b"(SUBSCRIBED) ", b"(RECURSIVEMATCH) ", b"(SPECIAL-USE RECURSIVEMATCH) "])
        + b'"" ' + pick([*BOXES, b"*"]) + pick([b"", b" RETURN (STATUS (MESSAGES RECENT))", b" RETURN (CHILDREN)"]),
        lambda: b"LSUB " + pick(BOXES) + b" *",
        lambda: b"STATUS " + pick(BOXES) + b" (MESSAGES RECENT HIGHESTMODSEQ SIZE DELETED)",
        lambda: b"APPEND " + pick(BOXES[:2]) + b" " + pick([b"", b"(\\Seen) ", b'" 1-Jan-2020 00:00:00 +0000" '])
        + pick([b"{5+}\r\na:b\r\n", b"~{3+}\r\na\0b", b"{0+}\r\n", b"UTF8 (~{3+}\r\nabc)"]),
        lambda: b"ENABLE " + pick([b"QRESYNC", b"CONDSTORE", b"X"]),
        lambda: pick([b"NOOP", b"CHECK", b"EXPUNGE", b"UID EXPUNGE 1:*", b"NAMESPACE", b"CAPABILITY", b"ID NIL"]),
        lambda: pick([b"COMPRESS DEFLATE", b"LANGUAGE", b"LANGUAGE de", b"LANGUAGE fr-CA en"]),
        lambda: pick([b"CLOSE", b"UNSELECT", b"LOGIN a b", b"STARTTLS", b"NONSENSE", b"FETCH", b"ENABLE IMAP4rev2"]),
    ]  # fmt: skip
    return pick(forms)()


@pytest.mark.parametrize("seed", range(4))
def test_every_command_is_answered(seed: int) -> None:
    chance = random.Random(seed)

    async def scenario(world: World) -> None:
        await world.add(b"one", b"two", b"three")
        clients = [await world.client(b"SELECT INBOX") for _ in range(2)]
        for _ in range(250):
            client = chance.choice(clients)
            asked = command(chance)
            got = await client.do(asked)
            if b"* BYE [NONEXISTENT]" in got or b"Too many errors" in got:
                clients.remove(client)
                clients.append(await world.client(b"SELECT INBOX"))
                continue
            assert b"\r\nT " in b"\r\n" + got, (asked, got)
            assert b"SERVERBUG" not in got, (asked, got)
            if chance.random() < 0.1:
                await client.do(b"SELECT INBOX")
            if chance.random() < 0.1:
                await world.add(b"more")

    run(scenario)
