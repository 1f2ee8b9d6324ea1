"""SEARCH over real mail: each key against what Python's own parser says of the same octets. RFC 9051 6.4.4."""

from __future__ import annotations

import email
import email.policy
import re
from email.header import decode_header, make_header
from pathlib import Path

import pytest

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
