"""LANGUAGE: which languages, how one is chosen, and that people then read it. I18NLEVEL=1. RFC 5255."""

from __future__ import annotations

import base64
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import restante
from restante.config.load import CHOICES
from restante.config.model import ImapTable
from restante.imap.grammar.response import language_response, namespace_response
from restante.imap.texts import german
from restante.imap.texts.language import ENGLISH, GERMAN, I_DEFAULT, LANGUAGES, choose
from restante.testing.memory import MemoryConnection

from ..session.support import World, run
from ..session.transcript import Transcript

TRANSCRIPTS = {
    "rfc5255-3.2 the way through the examples": """
        A> LANGUAGE MUL
        A< T NO There is no such language here.
        A> LANGUAGE
        A< * LANGUAGE (i-default en de)
        A< T OK ...
        A> LANGUAGE DE
        A< * LANGUAGE (de)
        A< * NAMESPACE (("" "/")) (("Other Users/" "/" "TRANSLATION" ("Andere Benutzer/"))) NIL
        A< T OK LANGUAGE ausgeführt.
        A> LANGUAGE FR
        A< T NO Diese Sprache gibt es hier nicht.
        A> LANGUAGE DE-IT
        A< * LANGUAGE (de)
        A< * NAMESPACE (("" "/")) (("Other Users/" "/" "TRANSLATION" ("Andere Benutzer/"))) NIL
        A< T OK LANGUAGE ausgeführt.
        A> LANGUAGE "default"
        A< * LANGUAGE (i-default)
        A< T OK LANGUAGE completed.
        A> LANGUAGE FR-CA EN-CA
        A< * LANGUAGE (en)
        A< T OK LANGUAGE completed.
    """,
    "rfc5255-3.2 every kind of text": """
        A> LANGUAGE de
        A< ...
        A< T OK ...
        A> SELECT INBOX
        A< * FLAGS ...
        A< * OK [PERMANENTFLAGS (<any>)] Markierungen, die aufbewahrt werden.
        A< * 3 EXISTS
        A< * 3 RECENT
        A< * OK [UNSEEN 1] Erste ungelesene Nachricht.
        A< * OK [UIDVALIDITY <n>] Die UIDs gelten.
        A< * OK [UIDNEXT 4] Voraussichtlich nächste UID.
        A< * OK [HIGHESTMODSEQ <n>] Höchste Änderungsnummer.
        A< * OK [MAILBOXID (<id>)] Bleibende Kennung.
        A< T OK [READ-WRITE] SELECT ausgeführt.
        A> COPY 1 Nowhere
        A< T NO [TRYCREATE] Diese Mailbox gibt es nicht. Legen Sie sie zuerst an.
        A> NONSENSE
        A< T BAD Unbekannter Befehl
        A> CREATE a//b
        A< T NO [CANNOT] Ein Mailboxname hat keine leere Ebene. Schreiben Sie ein „/“ zwischen zwei Namen.
        A> UID STORE 1 FLAGS (\\Strange)
        A< T NO [CANNOT] Diese Systemmarkierung gibt es nicht.
        A> UNSELECT
        A< T OK UNSELECT ausgeführt.
        A> FETCH 1 UID
        A< T BAD [CLIENTBUG] Öffnen Sie zuerst eine Mailbox.
        A> IDLE
        A< + Ich höre.
        A+ NO
        A< T BAD IDLE endet mit DONE.
        A> UNAUTHENTICATE
        A< T OK Nobody is logged in.
        A> SELECT INBOX
        A< T BAD [CLIENTBUG] Log in first.
        A> LANGUAGE de
        A< * LANGUAGE (de)
        A< T OK LANGUAGE ausgeführt.
        A> LOGIN user wrong
        A< T NO [AUTHENTICATIONFAILED] Die Anmeldung ist fehlgeschlagen.
        A> LOGIN user pass
        A< T OK [CAPABILITY <any>] Angemeldet.
        A> LOGOUT
        A< * BYE Abgemeldet.
        A< T OK LOGOUT ausgeführt.
    """,
}


@pytest.mark.parametrize("name", TRANSCRIPTS)
def test_transcript(name: str) -> None:
    async def scenario(world: World) -> None:
        await world.add(b"one", b"two", b"three")
        await Transcript(world).play(TRANSCRIPTS[name])

    run(scenario)


def test_it_is_announced_from_the_greeting_on_and_works_before_login() -> None:
    async def scenario(world: World) -> None:
        client = world.connect(config=ImapTable(language="de"))
        assert b" LANGUAGE " in await client.greeting()
        assert await client.ok(b'LANGUAGE "default"') == "* LANGUAGE (de)\r\nT OK LANGUAGE ausgeführt.\r\n".encode()
        after = await client.ok(b"LOGIN user pass")
        assert b" LANGUAGE " in after
        assert b" NAMESPACE " in after
        assert after.endswith(b"] Angemeldet.\r\n")

    run(scenario)


def test_tls_makes_the_client_say_it_again() -> None:
    """RFC 5255 3.1, 7: what was chosen in the clear may have been chosen by somebody else."""

    async def scenario(world: World) -> None:
        client = world.connect(connection=MemoryConnection())
        await client.greeting()
        await client.ok(b"LANGUAGE de")
        assert b"kann beginnen" in await client.ok(b"STARTTLS")
        assert await client.ok(b"NOOP") == b"T OK NOOP completed.\r\n"

    run(scenario)


@pytest.mark.parametrize(
    ("ranges", "tag"),
    [
        (["de"], "de"),
        (["DE-at"], "de"),
        (["de-Latn-DE-1996"], "de"),
        (["de-*-DE"], "de"),
        (["fr", "en-GB"], "en"),
        (["i-default"], "i-default"),
        (["I-Default"], "i-default"),
        (["i"], None),
        (["default"], "en"),
        (["*"], "en"),
        (["fr", "default"], "en"),
        (["deu"], None),
        (["x-de"], None),
        ([], None),
    ],
)
def test_rfc4647_3_4_lookup(ranges: list[str], tag: str | None) -> None:
    assert choose(ranges, "en") == tag


def test_rfc5255_3_3_and_3_4_responses() -> None:
    assert language_response(["de", "it"]) == b"* LANGUAGE (de it)\r\n"
    names = {
        "": None,
        "Other Users/": GERMAN.prefix("Other Users/"),
        "Public Folders/": GERMAN.prefix("Public Folders/"),
    }
    kinds = [[(prefix, "/", translation)] for prefix, translation in names.items()]
    assert namespace_response(*kinds, utf8=False) == (
        b'* NAMESPACE (("" "/")) (("Other Users/" "/" "TRANSLATION" ("Andere Benutzer/")))'
        b' (("Public Folders/" "/" "TRANSLATION" ("Gemeinsame Postf&AOQ-cher/")))\r\n'
    )
    assert namespace_response(kinds[0], (), (), utf8=False) == b'* NAMESPACE (("" "/")) NIL NIL\r\n'


def test_texts_are_utf8_lines_that_begin_with_no_bracket() -> None:
    """RFC 5255 3.5: UTF8-TEXT-CHAR."""
    for english, text in german.SENTENCES.items():
        assert text == text.strip()
        assert text.isprintable(), english
        assert "[" not in text
        assert english != text
    for pattern, template in german.PATTERNS:
        assert re.compile(pattern.pattern).groups == len(re.findall(r"\\\d", template))


def test_every_german_text_is_one_that_the_rooms_say() -> None:
    """A text that was reworded would silently be English again."""
    root = Path(restante.__file__).parent
    source = "\n".join(
        path.read_text("utf-8")
        for path in root.rglob("*.py")
        if path.parent.name != "texts" and "cli" not in path.parts
    )
    assert [english for english in german.SENTENCES if english not in source] == []


@given(st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=1, max_size=80))
def test_what_has_no_translation_stays(said: str) -> None:
    raw = said.encode("ascii")
    assert ENGLISH.text(raw) == raw
    if "completed" not in said and said not in german.SENTENCES:
        sentences = re.split(r"(?<=[.!?]) (?=[A-Z])", said)
        if not any(sentence in german.SENTENCES for sentence in sentences):
            assert GERMAN.text(raw) == raw


def test_the_configuration_knows_the_languages() -> None:
    (choice,) = [choice for choice in CHOICES if choice.path == ("imap", "language")]
    assert set(choice.allowed) == set(LANGUAGES)
    assert I_DEFAULT in LANGUAGES


# I18NLEVEL=1 -----------------------------------------------------------------------------------------

# Strings (2) and (4) of RFC 5255 4.6, and words that RFC 5051 makes equal to others.
RUSSIAN, HERRING = "сЕРГЕЙ", "Алексей"
FOUND = [
    ("СЕРГЕЙ", "2"),
    ("сергей", "2"),
    ("АЛЕКСЕЙ", "4"),
    ("grÜSSE", ""),
    ("GRÜßE", "5"),
    ("gru\u0308ße", "5"),
    ("ΣΊΣΥΦΟΣ", "6"),
    ("σίσυφοσ", "6"),
    ("ｆｕｌｌ", "7"),
    ("FULL", "7"),
]


def test_rfc5255_4_2_every_key_compares_by_unicode_casemap() -> None:
    async def scenario(world: World) -> None:
        client = await world.client()
        assert b" I18NLEVEL=1 " in await client.ok(b"CAPABILITY")
        assert b"COMPARATOR" not in await client.ok(b"CAPABILITY")
        assert b"T BAD" in await client.do(b"COMPARATOR")  # a matter of I18NLEVEL=2
        words = ["one", RUSSIAN, "three", HERRING, "Grüße", "Σίσυφος", "full"]
        for word in words:
            charset = "koi8-r" if word == HERRING else "utf-8"
            coded = f"=?{charset}?b?{base64.b64encode(word.encode(charset)).decode()}?="
            head = "".join(f"{name}: {coded} <x@example.org>\r\n" for name in ("From", "To", "Cc", "Bcc"))
            head += f"Subject: a {coded} b\r\nX-Other: {coded}\r\nMIME-Version: 1.0\r\n"
            head += f"Content-Type: text/plain; charset={charset}\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"
            await world.file(head.encode("ascii") + f"so: {word}.\r\n".encode(charset))
        await client.ok(b"SELECT INBOX")
        for word, numbers in FOUND:
            octets = word.encode()
            for key in (b"FROM", b"TO", b"CC", b"BCC", b"SUBJECT", b"BODY", b"TEXT", b"HEADER X-Other"):
                got = await client.ok(b"SEARCH CHARSET UTF-8 %b {%d+}\r\n%b" % (key, len(octets), octets))
                assert got.startswith(b"* SEARCH" + (b" " + numbers.encode() if numbers else b"") + b"\r\n"), (
                    word,
                    key,
                )

    run(scenario)


EXAMPLE = (
    ("utf-8", b"\xd0\xc0\xd0\xbd\xd0\xb4\xd1\x80\xd0\xb5\xd0\xb9"),
    ("utf-8", b"\xd1\x81\xd0\x95\xd0\xa0\xd0\x93\xd0\x95\xd0\x99"),
    ("utf-8", b"\xd0\x92\xd0\xb0\xd1\x81\xd0\xb8\xd0\xbb\xd0\xb8\xff\xb9"),
    ("koi8-r", b"\xe1\xcc\xc5\xcb\xd3\xc5\xca"),
)
"""The four strings of RFC 5255 4.6, of which (1) and (3) are no UTF-8."""


def test_rfc5255_4_6_what_cannot_be_decoded_is_sorted_behind_all_else() -> None:
    async def scenario(world: World) -> None:
        for charset, octets in EXAMPLE:
            coded = b"=?%b?b?%b?=" % (charset.encode(), base64.b64encode(octets))
            names = b"".join(b"%b: %b <a@example.org>\r\n" % (name, coded) for name in (b"From", b"To"))
            await world.file(names + b"Subject: Re: %b\r\n\r\n" % coded)
        client = await world.client(b"SELECT INBOX")
        for key in (b"SUBJECT", b"DISPLAYFROM", b"DISPLAYTO"):
            assert (await client.ok(b"SORT (%b) UTF-8 ALL" % key)).startswith(b"* SORT 4 2 3 1\r\n")
            assert (await client.ok(b"SORT (REVERSE %b) UTF-8 ALL" % key)).startswith(b"* SORT 1 3 2 4\r\n")
        found = await client.ok(b"SEARCH CHARSET UTF-8 SUBJECT {12+}\r\n" + "васили".encode())
        assert found.startswith(b"* SEARCH 3\r\n")

    run(scenario)
