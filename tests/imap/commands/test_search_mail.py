"""SEARCH over real mail: each key against what Python's own parser says of the same octets. RFC 9051 6.4.4."""

from __future__ import annotations

import base64
import codecs
import email
import email.policy
import re
from email.header import decode_header, make_header
from pathlib import Path

import pytest

from restante.imap.grammar.charsets import CHARSETS
from restante.mime.charsets import codec
from restante.store.sqlite import search

from ..session.support import Client, World, run

FOLDER = Path(__file__).resolve().parents[4] / "shared" / "mail" / "real"


def subject_of(data: bytes) -> str:
    """The decoded subject, "" where Python finds none or cannot decode it."""
    raw = email.message_from_bytes(data, policy=email.policy.compat32).get("Subject", "")
    try:
        return re.sub(r"\s+", " ", str(make_header(decode_header(raw))))
    except (LookupError, UnicodeError, ValueError):
        return ""


def word_of(subject: str) -> str:
    """The longest word that is quoted without trouble."""
    return max((w for w in re.findall(r"\w+", subject) if "\ufffd" not in w), key=len, default="")


async def found(client: Client, query: bytes) -> set[int]:
    got = await client.ok(b"UID SEARCH " + query)
    match = re.search(rb"\* SEARCH([ 0-9]*)", got)
    assert match is not None
    return set(map(int, match[1].split()))


def test_decoded_subjects_are_found_in_utf8_and_in_their_own_charset() -> None:
    files = [path for path in sorted(FOLDER.rglob("*.eml")) if path.is_file()]
    if not files:
        pytest.skip("../shared/mail is not there")

    async def scenario(world: World) -> None:
        subjects: dict[int, str] = {}
        for path in files:
            data = path.read_bytes()
            subjects[await world.file(data)] = subject_of(data)
        client = await world.client(b"SELECT INBOX")
        checked = 0
        for uid, subject in subjects.items():
            word = word_of(subject)
            if not word:
                continue
            octets = word.upper().encode()
            if word.upper().casefold() != word.casefold():
                octets = word.encode()
            hits = await found(client, b"CHARSET UTF-8 SUBJECT {%d+}\r\n%b" % (len(octets), octets))
            assert uid in hits, (subject, word)
            assert uid not in await found(client, b"CHARSET UTF-8 NOT SUBJECT {%d+}\r\n%b" % (len(octets), octets))
            checked += 1
        assert checked
        everything = set(subjects)
        for one, other in ((b"SEEN", b"UNSEEN"), (b"LARGER 4000", b"NOT LARGER 4000"), (b"TEXT the", b"NOT TEXT the")):
            first, second = await found(client, one), await found(client, other)
            assert first | second == everything
            assert not first & second

    run(scenario)


# The word in Japanese, in the octets of three charsets; ISO-2022-JP has 7-bit octets, so quotes may hold it.
WORD = "日本語"
FORMS = [
    (b"UTF-8", b"{%d+}\r\n%b"),
    (b"EUC-JP", b"{%d+}\r\n%b"),
    (b"ISO-2022-JP", b"{%d+}\r\n%b"),
    (b"ISO-2022-JP", b'"%b"'),
]


@pytest.mark.parametrize(("charset", "form"), FORMS, ids=[f"{c.decode()}-{f[:1].decode()}" for c, f in FORMS])
def test_rfc9051_6_4_4_charset_holds_for_every_kind_of_string(charset: bytes, form: bytes) -> None:
    async def scenario(world: World) -> None:
        encoded = b"=?ISO-2022-JP?B?GyRCRnxLXDhsGyhC?="
        uid = await world.file(b"Subject: %b\r\nFrom: a@example.org\r\n\r\nbody\r\n" % encoded)
        await world.file(b"Subject: other\r\n\r\nbody\r\n")
        client = await world.client(b"SELECT INBOX")
        octets = WORD.encode(charset.decode())
        quoted = octets.replace(b"\\", b"\\\\").replace(b'"', b'\\"')
        string = form % quoted if form.startswith(b'"') else form % (len(octets), octets)
        assert await found(client, b"CHARSET %b SUBJECT %b" % (charset, string)) == {uid}

    run(scenario)


# Octets of which a codec of the label's very name makes other characters than mail programs do.
OWN = [
    (b"GB2312", b"\xd6\xd0\xa1\xaa\xa1\xaa"),
    (b"Shift_JIS", b"\x93\xfa\x81\x60\x96\x7b"),
    (b"ISO-8859-1", b"\x80 5"),
]


@pytest.mark.parametrize(("charset", "octets"), OWN, ids=[charset.decode() for charset, _ in OWN])
def test_rfc9051_6_4_4_a_search_in_a_messages_own_charset_and_octets_finds_it(charset: bytes, octets: bytes) -> None:
    async def scenario(world: World) -> None:
        coded = b"=?%b?b?%b?=" % (charset, base64.b64encode(octets))
        kind = b"MIME-Version: 1.0\r\nContent-Type: text/plain; charset=%b\r\n" % charset
        uid = await world.file(b"Subject: %b\r\n%b\r\n%b\r\n" % (coded, kind, octets))
        client = await world.client(b"SELECT INBOX")
        for key in (b"SUBJECT", b"BODY", b"TEXT"):
            string = b"{%d+}\r\n%b" % (len(octets), octets)
            assert await found(client, b"CHARSET %b %b %b" % (charset, key, string)) == {uid}

    run(scenario)


def test_search_and_mail_read_a_charset_alike() -> None:
    for label, name in CHARSETS.items():
        read = codec(label.decode())
        assert read is not None
        assert codecs.lookup(name).name == codecs.lookup(read).name, label


PARTS = (
    b"From: a@example.org\r\nSubject: parts\r\nContent-Type: multipart/mixed; boundary=outermost\r\n\r\n"
    b"--outermost\r\nContent-Type: multipart/related; boundary=innermost\r\n\r\n"
    b"--innermost\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nletter lowercase h\r\n"
    b"--innermost\r\nContent-Type: image/x-quince\r\nContent-ID: <medlar@example.org>\r\n"
    b"Content-Description: =?utf-8?q?Qu=C3=A4ntchen?=\r\n\r\npixels\r\n--innermost--\r\n"
    b"--outermost\r\nContent-Type: application/pdf\r\n"
    b"Content-Disposition: attachment;\r\n filename*0*=utf-8''Entw%C3%BCrfe; filename*1=-final.pdf\r\n\r\nbinary\r\n"
    b'--outermost\r\nContent-Type: image/png; name="=?utf-8?b?QmlsZMOkcg==?=.png"\r\n\r\nbinary\r\n'
    b"--outermost\r\nContent-Type: message/rfc822\r\nX-Part: sorbus\r\n\r\n"
    b"Subject: nested\r\nContent-Type: multipart/mixed; boundary=deepest\r\n\r\n"
    b"--deepest\r\nContent-Type: text/x-cormier\r\n\r\nthe end\r\n--deepest--\r\n"
    b"--outermost--\r\n"
)
WHERE = [  # needle, found by TEXT, by BODY
    ("boundary=outermost", True, False),  # of the message's own header
    ("boundary=innermost", True, False),
    ("boundary=deepest", True, True),  # of a nested message's header, which is text of the body
    ("image/x-quince", True, False),
    ("text/x-cormier", True, False),
    ("medlar@example.org", True, False),
    ("med", True, False),  # a single piece of the index
    ("<m", True, False),  # none
    ("Qu\u00e4ntchen", True, False),
    ("content-type: message/rfc822", True, False),
    ("sorbus", True, False),
    ("Entw\u00fcrfe-final.pdf", True, True),  # names of attachments are found where people look for them
    ("Bild\u00e4r.png", True, True),
    ("subject: nested", True, True),
    ("letter lowercase h", True, True),
    ("the end", True, True),
    ("Bild\u00e4r.pnghcontent-type", False, False),  # over the end of the text
    ("the endhcontent-type", False, False),
    ("endhcon", False, False),
    ("hcontent-type", False, False),
    ("pixels", False, False),
]  # fmt: skip


FOLDED = (
    b"From: Ann\r\n\tBell <ann@example.org>\r\nSubject: Meeting about\r\n\tthe budget\r\n  and more\r\n"
    b"X-Note: =?utf-8?q?two?=\r\n \t more words\r\n\r\nnothing\r\n"
)
ACROSS = [
    b'SUBJECT "about the budget and"',
    b'SUBJECT "t t"',
    b'HEADER Subject "about the budget and"',
    b'HEADER X-Note "two more"',
    b'HEADER From "ann bell"',
    b'FROM "ann bell"',
    b'TEXT "about the budget and"',
    b'TEXT "two more words"',
    b'TEXT "t t"',
    b'TEXT "ann bell"',
]  # fmt: skip


@pytest.mark.parametrize("query", ACROSS)
@pytest.mark.parametrize("filled", [False, True])
def test_words_are_found_across_the_place_where_a_header_field_was_folded(
    filled: bool, query: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a tab, or with several blanks, where people see one (RFC 5322 2.2.3)."""
    monkeypatch.setattr(search, "FEW", 0)

    async def scenario(world: World) -> None:
        uid = await world.file(FOLDED)
        other = await world.file(b"Subject: Meeting about\r\n another budget\r\n\r\nthe budget\r\n")
        while filled and await world.store.fill_search():
            pass
        client = await world.client(b"SELECT INBOX")
        assert await found(client, query) == {uid}
        assert await found(client, b"NOT " + query) == {other}
        assert await found(client, b'HEADER Subject "about\tthe budget  and"') == {uid}, "as it was written"

    run(scenario)


@pytest.mark.parametrize("filled", [False, True])
def test_rfc9051_6_4_4_text_looks_into_the_headers_of_parts_and_body_does_not(
    filled: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search, "FEW", 0)

    async def scenario(world: World) -> None:
        uid = await world.file(PARTS)
        await world.file(b"Subject: other\r\n\r\nnothing\r\n")
        while filled and await world.store.fill_search():
            pass
        client = await world.client(b"SELECT INBOX")
        for needle, in_text, in_body in WHERE:
            string = b"{%d+}\r\n%b" % (len(needle.encode()), needle.encode())
            for key, wanted in ((b"TEXT", in_text), (b"BODY", in_body)):
                assert (uid in await found(client, b"CHARSET UTF-8 %b %b" % (key, string))) == wanted, (key, needle)
                missed = await found(client, b"CHARSET UTF-8 NOT %b %b" % (key, string))
                assert (uid in missed) != wanted, (key, needle)
        for query in (b"HEADER Content-ID medlar", b"HEADER X-Part sorbus", b'HEADER Content-Disposition ""'):
            assert await found(client, query) == set(), query
        assert await found(client, b"HEADER Content-Type outermost") == {uid}
        assert await found(client, b"FUZZY TEXT innermostt") == {uid}
        assert await found(client, b"FUZZY BODY innermostt") == set()
        assert await found(client, b"FUZZY BODY lowercasee") == {uid}

    run(scenario)
