"""MULTIAPPEND, CATENATE, REPLACE, APPENDLIMIT, and refusals before the octets come.

RFC 3502, RFC 4315 3, RFC 4469, RFC 7889, RFC 8508, RFC 9051 6.3.12.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from restante.config.model import ImapTable, LimitsTable
from restante.mime.normalise import normalise_line_ends
from restante.store.errors import DiskFull, OverQuota
from restante.store.interface import Store
from restante.store.model import Column
from restante.store.quota import Quota
from restante.store.sqlite.account import SqliteStore

from ..session.support import SIMPLE, Client, World, run

ONE = SIMPLE % (b"one", b"first")
TWO = SIMPLE % (b"two", b"second")
DRAFT = (
    b"Subject: draft\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=bb\r\n\r\n"
    b"--bb\r\nContent-Type: text/plain\r\n\r\nold text\r\n"
    b"--bb\r\nContent-Type: application/zip\r\nContent-Transfer-Encoding: base64\r\n\r\nAAEC\r\n--bb--\r\n"
)


def plus(data: bytes, tilde: bytes = b"") -> bytes:
    """A non-synchronising literal."""
    return b"%b{%d+}\r\n%b" % (tilde, len(data), data)


async def contents(store: Store, name: str = "INBOX") -> list[bytes]:
    box = await store.mailbox(name)
    assert box is not None
    rows = await store.rows(box.key, ((1, 1 << 30),), [Column.CONTENT], 1_000)
    return [await store.read_content(row[1]) for row in rows]  # type: ignore[arg-type] # CONTENT is an int


def set_quota(world: World, octets: int) -> None:
    """As if the configuration had said so from the beginning."""
    world.engine._quota_default = Quota(octets)
    for shared in world.engine.kept._recent.values():
        shared.quota = None


def capabilities(got: bytes) -> set[bytes]:
    match = re.search(rb"\* CAPABILITY ([^\r]*)", got)
    assert match is not None
    return set(match[1].split())


# MULTIAPPEND ---------------------------------------------------------------------------------------------------------


def test_several_messages_are_filed_as_one_command_in_their_order() -> None:
    async def scenario(world: World) -> None:
        client = await world.client(b"SELECT INBOX")
        other = await world.client(b"EXAMINE INBOX")
        await other.idle()
        before = (await world.store.stats()).modseq
        got = await client.do(
            b"APPEND INBOX (\\Seen) " + plus(ONE) + b' (\\Flagged) " 7-Feb-1994 22:43:04 -0800" ' + plus(TWO)
            + b" " + plus(b"Subject: nul\r\n\r\na\0b\r\n", b"~")
        )  # fmt: skip
        assert re.search(rb"\* 3 EXISTS\r\n\* 3 RECENT\r\nT OK \[APPENDUID \d+ 1:3\] ", got), got
        assert (await world.store.stats()).modseq == before + 1
        assert b"* 3 EXISTS" in await other.pushed(b"EXISTS")
        got = await client.ok(b"FETCH 1:3 (FLAGS INTERNALDATE)")
        assert b"* 1 FETCH (FLAGS (\\Seen \\Recent)" in got
        assert b'* 2 FETCH (FLAGS (\\Flagged \\Recent) INTERNALDATE " 8-Feb-1994 06:43:04 +0000")' in got
        assert await contents(world.store) == [ONE, TWO, b"Subject: nul\r\n\r\na\0b\r\n"]

    run(scenario)


BROKEN = {
    "cancelled": (plus(b""), b"T NO "),
    "too-large": (plus(b"x" * 2_100), b"T NO [TOOBIG]"),
    "nul": (plus(b"Subject: x\r\n\r\na\0b\r\n"), b"T BAD "),
    "utf8-not-enabled": (b"UTF8 (" + plus(ONE, b"~") + b")", b"T BAD "),
    "no-such-flag": (b"(\\Nonsense) " + plus(TWO), b"T NO [CANNOT]"),  # rfc9051-6.3.12
    "too-many-keywords": (b"(" + b" ".join(b"k%d" % i for i in range(501)) + b") " + plus(TWO), b"T NO [LIMIT]"),
    "8-bit-header": (plus("Subject: ü\r\n\r\nx\r\n".encode()), b"T NO [CANNOT]"),
    "bad-url": (b"CATENATE (URL /INBOX/;UID=77)", b"T NO [BADURL /INBOX/;UID=77]"),
    "syntax": (b"nonsense", b"T BAD "),
}


@pytest.mark.parametrize("name", BROKEN)
@pytest.mark.parametrize("place", [0, 1, 2])
def test_one_bad_message_leaves_none_behind(name: str, place: int) -> None:
    broken, answer = BROKEN[name]

    async def scenario(world: World) -> None:
        client = world.connect(limits=LimitsTable(message=2_000), config=ImapTable(literal_plus=True))
        await client.greeting()
        await client.ok(b"LOGIN user pass")
        before = await world.store.snapshot(1)
        messages = [plus(ONE), plus(ONE)]
        messages.insert(place, broken)
        if name == "too-large":  # announced, so that it need not be read
            messages = [*messages[:place], b"{2100}"]
        got = await client.do(b"APPEND INBOX " + b" ".join(messages))
        assert got.startswith(answer), got
        after = await world.store.snapshot(1)
        assert (after.mailbox, after.uids.uids) == (before.mailbox, before.uids.uids)
        await client.ok(b"NOOP")

    run(scenario)


def test_synchronising_literals_of_several_messages() -> None:
    """RFC 3502's own example: a "+" for each."""

    async def scenario(world: World) -> None:
        client = await world.client()
        got = await client.raw(b"x APPEND INBOX (\\Seen) {%d}\r\n" % len(ONE), b"x")
        assert got.startswith(b"+ ")
        got = await client.raw(ONE + b" {%d}\r\n" % len(TWO), b"x")
        assert got.startswith(b"+ ")
        got = await client.raw(TWO + b"\r\n", b"x")
        assert re.match(rb"x OK \[APPENDUID \d+ 1:2\]", got)
        got = await client.raw(b"y APPEND INBOX {%d}\r\n" % len(ONE), b"y")
        assert got.startswith(b"+ ")
        assert (await client.raw(ONE + b" {0}\r\n", b"y")).startswith(b"+ ")
        assert (await client.raw(b"\r\n", b"y")).startswith(b"y NO ")
        assert await contents(world.store) == [ONE, TWO]

    run(scenario)


# APPENDLIMIT and what is refused before it comes ----------------------------------------------------------------------


def test_rfc7889_2_to_4_appendlimit_is_told_everywhere_and_kept() -> None:
    async def scenario(world: World) -> None:
        client = world.connect(limits=LimitsTable(message=100_000))
        await client.greeting()
        await client.ok(b"LOGIN user pass")
        assert b"APPENDLIMIT=100000" in capabilities(await client.ok(b"CAPABILITY"))
        assert b"* STATUS INBOX (APPENDLIMIT 100000)\r\n" in await client.ok(b"STATUS INBOX (APPENDLIMIT)")
        got = await client.ok(b'LIST "" % RETURN (STATUS (APPENDLIMIT MESSAGES))')
        assert b"* STATUS INBOX (APPENDLIMIT 100000 MESSAGES 0)\r\n" in got
        assert (await client.do(b"APPEND INBOX {100001}")).startswith(b"T NO [TOOBIG] ")
        got = await client.do(b"APPEND INBOX {100000}")
        assert got.startswith(b"+ ")
        message = b"Subject: x\r\n\r\n".ljust(100_000, b"y")
        assert b"OK [APPENDUID" in await client.raw(message + b"\r\n", b"t%d" % client._number)
        got = await client.do(b"APPEND INBOX CATENATE (URL /INBOX/;UID=1 TEXT {1+}\r\nx)")
        assert got.startswith(b"T NO [TOOBIG] ")
        bare = b"Subject: x\n\n" + b"\n" * 60_000  # it would be larger than the limit once its lines end with CRLF
        await client.do(b"APPEND INBOX {%d}" % len(bare))
        assert b" NO [TOOBIG] " in await client.raw(bare + b"\r\n", b"t%d" % client._number)
        assert len(await contents(world.store)) == 1

    run(scenario)


EARLY = {
    "nowhere": (b"APPEND Nowhere {70000}", b"T NO [TRYCREATE] "),
    "bad-name": (b"APPEND %b {70000}" % (b"n" * 1_001), b"T NO [CANNOT] "),
    "quota": (b"APPEND INBOX {70000}", b"T NO [OVERQUOTA] "),
    "quota-of-all-together": (b"APPEND INBOX " + plus(b"x" * 3_000) + b" {69000}", b"T NO [OVERQUOTA] "),
    "catenate": (b"APPEND INBOX CATENATE (TEXT {70000}", b"T NO [OVERQUOTA] "),
    "replace-quota": (b"REPLACE 1 INBOX {71000}", b"T NO [OVERQUOTA] "),
    "replace-nothing": (b"UID REPLACE 7 INBOX {70000}", b"T NO "),
    "replace-no-number": (b"REPLACE 7 INBOX {70000}", b"T BAD "),
    "replace-nowhere": (b"REPLACE 1 Nowhere {70000}", b"T NO [TRYCREATE] "),
}


@pytest.mark.parametrize("name", EARLY)
def test_what_cannot_be_filed_is_refused_before_it_comes(name: str) -> None:
    command, answer = EARLY[name]

    async def scenario(world: World) -> None:
        await world.add(b"body")
        client = await world.client(b"SELECT INBOX")
        set_quota(world, 70_000)
        got = await client.do(command)
        assert got.startswith(answer), got
        await client.ok(b"NOOP")
        assert (await client.do(b"APPEND INBOX {10}")).startswith(b"+ ")

    run(scenario)


def test_a_replacement_may_come_if_it_fits_into_the_place_of_the_other() -> None:
    async def scenario(world: World) -> None:
        await world.add(b"x" * 100_000)
        set_quota(world, 100_300)
        client = await world.client(b"SELECT INBOX")
        assert (await client.do(b"APPEND INBOX {100000}")).startswith(b"T NO [OVERQUOTA] ")
        assert (await client.do(b"REPLACE 1 INBOX {100000}")).startswith(b"+ ")
        message = (SIMPLE % (b"new", b"y" * 200_000))[:100_000]
        got = await client.raw(message + b"\r\n", b"t%d" % client._number)
        assert b"* 1 EXPUNGE" in got
        await client.ok(b"EXAMINE INBOX")
        assert (await client.do(b"REPLACE 1 INBOX {70000}")).startswith(b"T NO ")  # only to be read

    run(scenario)


def test_replace_without_a_selected_mailbox_is_refused_before_it_comes() -> None:
    async def scenario(world: World) -> None:
        client = await world.client()
        assert (await client.do(b"REPLACE 1 INBOX {5}")).startswith(b"T BAD ")
        assert (await client.do(b"UID REPLACE 1 INBOX {5+}\r\nhello")).startswith(b"T BAD ")
        await client.ok(b"NOOP")

    run(scenario)


@pytest.mark.parametrize(
    ("refusal", "code"), [(DiskFull("full"), b"UNAVAILABLE"), (OverQuota("full"), b"OVERQUOTA")], ids=["disk", "quota"]
)
@pytest.mark.parametrize("command", [b"APPEND INBOX ", b"REPLACE 1 INBOX "])
def test_no_room_has_its_code_whenever_it_shows(
    refusal: Exception, code: bytes, command: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A small message is not asked about first: the store refuses when it is filed."""

    async def full(*_: object) -> None:
        raise refusal

    async def scenario(world: World) -> None:
        await world.add(b"body")
        client = await world.client(b"SELECT INBOX")
        monkeypatch.setattr(SqliteStore, "append", full)
        monkeypatch.setattr(SqliteStore, "append_by_name", full)
        monkeypatch.setattr(SqliteStore, "replace", full)
        got = await client.do(command + plus(ONE))
        assert got.startswith(b"T NO [%b] " % code), got

    run(scenario)


# CATENATE -------------------------------------------------------------------------------------------------------------


async def drafts(world: World) -> tuple[Client, int]:
    """A client with INBOX selected, a draft in Drafts; the mailbox's UIDVALIDITY."""
    client = await world.client(b"CREATE Drafts", b"SELECT INBOX")
    await world.file(DRAFT, mailbox="Drafts")
    box = await world.store.mailbox("Drafts")
    assert box is not None
    return client, box.uidvalidity


def test_rfc4469_a_1_an_attachment_is_kept_and_the_text_replaced() -> None:
    async def scenario(world: World) -> None:
        client, validity = await drafts(world)
        url = b"/Drafts;UIDVALIDITY=%d/;UID=1" % validity
        text = b"Content-Type: text/plain\r\n\r\nnew text\r\n"
        got = await client.ok(
            b'APPEND Drafts (\\Seen) CATENATE (URL "%b/;section=HEADER" TEXT %b URL "%b/;section=2.MIME"'
            b' URL "%b/;section=2" TEXT %b)'
            % (url, plus(b"--bb\r\n" + text + b"--bb\r\n"), url, url, plus(b"\r\n--bb--\r\n"))
        )
        assert b"[APPENDUID %d 2]" % validity in got
        made = (await contents(world.store, "Drafts"))[1]
        assert made == DRAFT.replace(b"old text", b"new text")
        got = await client.ok(b"STATUS Drafts (UNSEEN MESSAGES)")
        assert b"(UNSEEN 1 MESSAGES 2)" in got  # what was read is not \\Seen by it
        assert b"* STATUS" in got

    run(scenario)


PARTS = [
    (b"/Drafts/;UID=1", DRAFT),
    (b"/Drafts/;UID=1/;SECTION=TEXT", DRAFT[DRAFT.index(b"\r\n\r\n") + 4 :]),
    (b"/Drafts/;UID=1/;SECTION=1", b"old text"),
    (b"/Drafts/;UID=1/;SECTION=HEADER.FIELDS%20(SUBJECT)", b"Subject: draft\r\n\r\n"),
    (b"/Drafts/;UID=1/;SECTION=HEADER.FIELDS%20(SUBJECT)/;PARTIAL=9.5", b"draft"),
    (b"/Drafts/;UID=1/;SECTION=1/;PARTIAL=4", b"text"),
    (b"/Drafts/;UID=1/;PARTIAL=9.5", b"draft"),
    (b"/Drafts/;UID=1/;PARTIAL=99999.5", b""),
    (b"imap://user%40Example.org@Mail.example.org/Drafts/;UID=1/;SECTION=1", b"old text"),
    (b"imap://user%40example.org;AUTH=*@mail.example.org:993/Drafts/;UID=1/;SECTION=1", b"old text"),
    (b"/inbox/;UID=1/;SECTION=1", b"large" * 200_000 + b"\r\n"),
]


@pytest.mark.parametrize(("url", "octets"), PARTS, ids=[url.decode() for url, _ in PARTS])
def test_urls_give_what_fetch_would(url: bytes, octets: bytes) -> None:
    async def scenario(world: World) -> None:
        client, _ = await drafts(world)
        client.session.hostname = "mail.example.org"
        await world.file(SIMPLE % (b"large", b"large" * 200_000))
        got = await client.ok(b'APPEND Drafts CATENATE (TEXT %b URL "%b" TEXT %b)' % (plus(b"a"), url, plus(b"z")))
        assert b"APPENDUID" in got
        assert (await contents(world.store, "Drafts"))[1] == b"a" + octets + b"z"

    run(scenario)


BAD_URLS = [
    b"/Drafts/;UID=2", b"/Drafts;UIDVALIDITY=7/;UID=1", b"/Nowhere/;UID=1", b"/Drafts", b"/Drafts/;UID=1/;SECTION=3",
    b"/Drafts/;UID=1/;SECTION=1.HEADER", b";UID=1", b"nonsense", b"http://example.org/", b"/%FF/;UID=1", b"/%00/;UID=1",
    b"imap://mail.example.org/Drafts/;UID=1", b"imap://other@mail.example.org/Drafts/;UID=1",
    b"imap://user%40example.org@other.example.org/Drafts/;UID=1", b"//user%40example.org@localhost/Drafts/;UID=1",
    b"/Drafts/;UID=1;URLAUTH=anonymous:internal:91354a473744909de610943775f92038",
]  # fmt: skip


@pytest.mark.parametrize("url", BAD_URLS, ids=[url.decode() for url in BAD_URLS])
def test_what_names_nothing_here_is_badurl(url: bytes) -> None:
    async def scenario(world: World) -> None:
        client, _ = await drafts(world)
        client.session.hostname = "mail.example.org"
        got = await client.do(b'APPEND Drafts CATENATE (URL /Drafts/;UID=1 URL "%b" URL alsobad)' % url)
        assert got.startswith(b"T NO [BADURL %b] " % url), got
        assert len(await contents(world.store, "Drafts")) == 1

    run(scenario)


def test_a_url_cannot_break_out_of_its_response_code() -> None:
    async def scenario(world: World) -> None:
        client = await world.client()
        got = await client.do(b"APPEND INBOX CATENATE (URL {10+}\r\na] b\r\nx \xff\x80)")
        assert got.startswith(b"T NO [BADURL a%5D b%0D%0Ax %FF%80] "), got
        got = await client.do(b'APPEND INBOX CATENATE (URL "")')
        assert got.startswith(b'T NO [BADURL ""] '), got

    run(scenario)


def test_without_a_name_of_our_own_only_paths_are_ours() -> None:
    async def scenario(world: World) -> None:
        client, _ = await drafts(world)
        got = await client.do(b'APPEND INBOX CATENATE (URL "imap://user%40example.org@h/Drafts/;UID=1")')
        assert got.startswith(b"T NO [BADURL imap://"), got

    run(scenario)


def test_what_parts_read_is_bounded_together() -> None:
    """A few octets of a large header a thousand times would be a thousand times the header to read."""

    async def scenario(world: World) -> None:
        client = world.connect(limits=LimitsTable(message=100_000))
        await client.greeting()
        await client.ok(b"LOGIN user pass")
        await world.file(b"Subject: x\r\n" + b"X-Long: y\r\n" * 4_000 + b"\r\nbody\r\n")
        urls = [b'URL "/INBOX/;UID=1/;SECTION=HEADER.FIELDS%20(SUBJECT)"'] * 3
        assert (await client.do(b"APPEND INBOX CATENATE (%b)" % b" ".join(urls))).startswith(b"T NO [TOOBIG] ")
        assert (await client.do(b"APPEND INBOX CATENATE (%b)" % b" ".join(urls[:2]))).startswith(b"T OK ")

    run(scenario)


def test_a_message_that_would_be_too_large_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    read, octets = SqliteStore.read_content, 0

    async def counting(store: SqliteStore, content: int, offset: int = 0, count: int | None = None) -> bytes:
        nonlocal octets
        data = await read(store, content, offset, count)
        octets += len(data)
        return data

    async def scenario(world: World) -> None:
        client = world.connect(limits=LimitsTable(message=100_000))
        await client.greeting()
        await client.ok(b"LOGIN user pass")
        await world.file(SIMPLE % (b"large", b"y" * 60_000))
        monkeypatch.setattr(SqliteStore, "read_content", counting)
        urls = b" ".join([b"URL /INBOX/;UID=1"] * 900)
        assert (await client.do(b"APPEND INBOX CATENATE (%b)" % urls)).startswith(b"T NO [TOOBIG] ")
        assert octets <= 100_000

    run(scenario)


def test_what_several_messages_are_made_of_is_bounded_together() -> None:
    """A line of URLs names a large message a thousand times: as many messages of one command are not held at once."""

    async def scenario(world: World) -> None:
        client = world.connect(limits=LimitsTable(message=100_000, append=150_000))
        await client.greeting()
        await client.ok(b"LOGIN user pass")
        await world.file(SIMPLE % (b"large", b"y" * 60_000))
        one = b" CATENATE (URL /INBOX/;UID=1)"
        assert (await client.do(b"APPEND INBOX" + one * 3)).startswith(b"T NO [LIMIT] ")
        assert len(await contents(world.store)) == 1
        assert (await client.do(b"APPEND INBOX" + one * 2)).startswith(b"T OK ")

    run(scenario)


# REPLACE --------------------------------------------------------------------------------------------------------------


def replacement(body: bytes = b"new") -> bytes:
    return plus(SIMPLE % (b"replaced", body))


def test_rfc8508_3_2_replace_in_the_selected_mailbox() -> None:
    async def scenario(world: World) -> None:
        await world.add(b"a", b"b", b"c", flags=("\\Flagged", "$Work"))
        client = await world.client(b"SELECT INBOX")
        got = await client.do(b"REPLACE 2 INBOX (\\Seen \\Draft) " + replacement())
        assert re.fullmatch(
            rb"\* OK \[APPENDUID \d+ 4\] [^\r]*\r\n\* 2 EXPUNGE\r\n\* 3 EXISTS\r\n\* \d RECENT\r\n"
            rb"T OK REPLACE completed.\r\n",
            got,
        ), got
        got = await client.ok(b"FETCH 1:3 (UID FLAGS)")
        assert b"* 3 FETCH (UID 4 FLAGS (\\Seen \\Draft \\Recent))" in got  # nothing of the old one is inherited
        got = await client.do(b"UID REPLACE 4 INBOX " + replacement(b"newer"))
        assert re.search(rb"APPENDUID \d+ 5\] [^\r]*\r\n\* 3 EXPUNGE\r\n\* 3 EXISTS\r\n", got), got
        assert (await client.do(b"REPLACE * INBOX " + replacement(b"newest"))).count(b"EXPUNGE") == 1
        assert b"* SEARCH 1 3 6\r\n" in await client.ok(b"UID SEARCH ALL")

    run(scenario)


def test_rfc8508_3_4_replace_into_another_mailbox_tells_both() -> None:
    async def scenario(world: World) -> None:
        await world.add(b"a", b"b")
        client = await world.client(b"CREATE Sent", b"SELECT INBOX")
        sent = await world.client(b"SELECT Sent")
        await sent.idle()
        box = await world.store.mailbox("Sent")
        assert box is not None
        got = await client.do(b"REPLACE 1 Sent (\\Seen) " + replacement())
        assert got.startswith(b"* OK [APPENDUID %d 1] " % box.uidvalidity)
        assert got.endswith(b"\r\n* 1 EXPUNGE\r\nT OK REPLACE completed.\r\n")
        assert b"* 1 EXISTS" in await sent.pushed(b"EXISTS")
        (removed,) = await world.store.recoverable()
        assert (removed.mailbox, removed.uid) == ("INBOX", 1)

    run(scenario)


def test_rfc8508_4_5_replace_under_qresync_tells_vanished_and_highestmodseq() -> None:
    async def scenario(world: World) -> None:
        await world.add(b"a", b"b")
        client = await world.client(b"ENABLE QRESYNC", b"SELECT INBOX")
        got = await client.do(b"UID REPLACE 1 INBOX " + replacement())
        modseq = (await world.store.snapshot(1)).mailbox.highest_modseq
        assert re.match(rb"\* OK \[APPENDUID \d+ 3\] [^\r]*\r\n\* VANISHED 1\r\n\* 2 EXISTS\r\n", got), got
        assert got.endswith(b"T OK [HIGHESTMODSEQ %d] REPLACE completed.\r\n" % modseq)

    run(scenario)


def test_rfc8508_4_2_replace_with_catenate_of_what_it_replaces() -> None:
    async def scenario(world: World) -> None:
        client, validity = await drafts(world)
        await client.ok(b"SELECT Drafts")
        got = await client.do(b'UID REPLACE 1 Drafts CATENATE (TEXT %b URL "/Drafts/;UID=1")' % plus(b"To: x@y\r\n"))
        assert re.match(rb"\* OK \[APPENDUID %d 2\] [^\r]*\r\n\* 1 EXPUNGE\r\n\* 1 EXISTS\r\n" % validity, got), got
        assert await contents(world.store, "Drafts") == [b"To: x@y\r\n" + DRAFT]

    run(scenario)


def test_replace_of_what_another_session_removed_files_nothing() -> None:
    async def scenario(world: World) -> None:
        await world.add(b"a", b"b")
        client = await world.client(b"SELECT INBOX")
        other = await world.client(b"SELECT INBOX", b"STORE 1 +FLAGS (\\Deleted)", b"EXPUNGE")
        got = await client.do(b"REPLACE 1 INBOX " + replacement())
        assert b"T NO [EXPUNGEISSUED] " in got
        assert b"APPENDUID" not in got
        assert len(await contents(world.store)) == 1
        assert b"* 1 FETCH" in await other.ok(b"FETCH 1 UID")

    run(scenario)


@pytest.mark.parametrize(
    ("command", "answer"),
    [
        (b"REPLACE 3 INBOX ", b"T BAD "),
        (b"UID REPLACE 9 INBOX ", b"T NO "),
        (b"REPLACE 1 Nowhere ", b"T NO [TRYCREATE] "),
        (b"REPLACE 1 INBOX (\\Nonsense) ", b"T NO [CANNOT] "),
    ],
)
def test_replace_refusals_change_nothing(command: bytes, answer: bytes) -> None:
    async def scenario(world: World) -> None:
        await world.add(b"a", b"b")
        client = await world.client(b"SELECT INBOX")
        got = await client.do(command + replacement())
        assert got.startswith(answer), got
        assert len(await contents(world.store)) == 2
        assert await world.store.recoverable() == []
        await client.ok(b"EXAMINE INBOX")
        assert b"T NO " in await client.do(b"REPLACE 1 INBOX " + replacement())
        assert len(await contents(world.store)) == 2

    run(scenario)


def test_a_full_account_goes_on_editing_its_draft() -> None:
    async def scenario(world: World) -> None:
        await world.add(b"x" * 1_000)
        set_quota(world, 1_150)
        client = await world.client(b"SELECT INBOX")
        assert (await client.do(b"APPEND INBOX " + replacement(b"y" * 1_000))).startswith(b"T NO [OVERQUOTA] ")
        assert b"T OK " in await client.do(b"REPLACE 1 INBOX " + replacement(b"y" * 1_000))

    run(scenario)


def test_real_mail_passes_through_every_way_in() -> None:
    folder = Path(__file__).resolve().parents[4] / "shared" / "mail"
    files = [path for path in sorted(folder.rglob("*.eml"))[60:90] if path.is_file()]
    if not files:
        pytest.skip("../shared/mail is not there")

    async def scenario(world: World) -> None:
        config = ImapTable(literal_plus=True, append_8bit_headers=True)
        client = world.connect(config=config)
        await client.greeting()
        await client.ok(b"LOGIN user pass")
        mail = [path.read_bytes() for path in files]
        await client.ok(b"APPEND INBOX " + b" ".join(plus(data, b"~") for data in mail))
        mail = [normalise_line_ends(data) for data in mail]
        assert await contents(world.store) == mail
        urls = b" ".join(b"CATENATE (URL /INBOX/;UID=%d)" % uid for uid in range(1, len(mail) + 1))
        await client.ok(b"APPEND INBOX " + urls)
        assert await contents(world.store) == mail + mail

    run(scenario)
