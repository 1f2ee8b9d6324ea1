"""Three small extensions of FETCH and SEARCH, as transcripts. RFC 5032, RFC 8514, RFC 8970."""

from __future__ import annotations

import re

import pytest

from restante.imap.session import capabilities

from ..session.support import World, run
from ..session.transcript import Transcript

DAY = 86_400

CASES: dict[str, str] = {
    "rfc5032-4 within": """
        A> SEARCH UNSEEN YOUNGER 259200
        A< * SEARCH 3
        A< T OK ...
        A> UID SEARCH RETURN (ALL) OLDER 259200
        A< * ESEARCH (TAG "T") UID ALL 1:2
        A< T OK ...
        # both keys hold what is exactly as old: it was filed ten days before now
        A> SEARCH OLDER 864000 YOUNGER 864000
        A< * SEARCH 1
        A< T OK ...
        A> SEARCH OLDER 864001
        A< * SEARCH
        A< T OK ...
        A> SEARCH YOUNGER 0
        A< T BAD ...
    """,
    "rfc8514-4 savedate": """
        A> FETCH 1 (SAVEDATE INTERNALDATE)
        A< * 1 FETCH (SAVEDATE "<any:first>" INTERNALDATE "<any:first>")
        A< T OK ...
        A> SEARCH SAVEDATESUPPORTED
        A< * SEARCH 1 2 3
        A< T OK ...
        A> SEARCH NOT SAVEDATESUPPORTED
        A< * SEARCH
        A< T OK ...
        A> CREATE Trash
        A< T OK ...
        A> COPY 1 Trash
        A< T OK ...
        A> MOVE 2 Trash
        A< * OK [COPYUID ...
        A< * 2 EXPUNGE
        A< T OK ...
        # what stays keeps its date; a copy and a moved message are saved now, and keep INTERNALDATE
        A> FETCH 1 SAVEDATE
        A< * 1 FETCH (SAVEDATE "<any:first>")
        A< T OK ...
        A> SELECT Trash
        A< ...
        A< T OK ...
        A> FETCH 1:2 (SAVEDATE INTERNALDATE)
        A< * 1 FETCH (SAVEDATE "<any:now>" INTERNALDATE "<any:first>")
        A< * 2 FETCH (SAVEDATE "<any:now>" INTERNALDATE "<any:second>")
        A< T OK ...
        A> SEARCH SAVEDON 25-Jan-2027 SAVEDSINCE 25-Jan-2027
        A< * SEARCH 1 2
        A< T OK ...
        A> SEARCH OR SAVEDBEFORE 25-Jan-2027 SAVEDSINCE 26-Jan-2027
        A< * SEARCH
        A< T OK ...
        A> SEARCH SAVEDON 16-Jan-2027
        A< * SEARCH
        A< T OK ...
        A> SEARCH ON 15-Jan-2027
        A< * SEARCH 1
        A< T OK ...
    """,
    "rfc8970-5 preview": """
        A> FETCH 1 (RFC822.SIZE PREVIEW)
        A< * 1 FETCH (RFC822.SIZE <n> PREVIEW "one")
        A< T OK ...
        A> UID FETCH 1:3 (PREVIEW (LAZY) UID)
        A< * 1 FETCH (UID 1 PREVIEW "one")
        A< * 2 FETCH (UID 2 PREVIEW "two")
        A< * 3 FETCH (UID 3 PREVIEW "three")
        A< T OK ...
        A> FETCH 1 (PREVIEW PREVIEW (LAZY))
        A< * 1 FETCH (PREVIEW "one")
        A< T OK ...
        A> FETCH 1 (PREVIEW (EAGER))
        A< T BAD ...
    """,
}


@pytest.mark.parametrize("name", CASES)
def test_transcript(name: str) -> None:
    async def scenario(world: World) -> None:
        await world.add(b"one")
        world.clock.advance(DAY)
        await world.add(b"two")
        world.clock.advance(8 * DAY)
        await world.add(b"three")
        world.clock.advance(DAY)
        first = await world.client(b"SELECT INBOX")
        await first.ok(b"UNSELECT")
        await Transcript(world, (b"SELECT INBOX",)).play(CASES[name])

    run(scenario)


def test_capabilities_are_announced() -> None:
    assert {b"WITHIN", b"SAVEDATE", b"PREVIEW"} <= set(capabilities.AFTER)


PGP = (
    b'Content-Type: multipart/encrypted; protocol="application/pgp-encrypted"; boundary=b\r\n\r\n'
    b"--b\r\nContent-Type: application/pgp-encrypted\r\n\r\nVersion: 1\r\n"
    b"--b\r\nContent-Type: application/octet-stream\r\n\r\n-----BEGIN PGP MESSAGE-----\r\n--b--\r\n"
)
SMIME = b"Content-Type: application/pkcs7-mime\r\nContent-Transfer-Encoding: base64\r\n\r\nAAAA\r\n"

PREVIEWS = [
    pytest.param(PGP, b'""', id="rfc8970-3.2 encrypted by PGP"),
    pytest.param(SMIME, b'""', id="rfc8970-3.2 encrypted by S/MIME"),
    pytest.param(b"Content-Type: image/png\r\n\r\nxyz", b'""', id="rfc8970-3.2 nothing readable"),
    pytest.param(b"Subject: x\r\n\r\n", b'""', id="rfc8970-3.2 no body"),
    pytest.param(
        b"Content-Type: text/plain; charset=utf-8\r\n\r\n\xc3\xa9t\xc3\xa9\r\n  2026",
        b"{10}\r\n\xc3\xa9t\xc3\xa9 2026",
        id="rfc8970-3.3 UTF-8, as a literal in every dialect",
    ),
    pytest.param(b"Subject: x\r\n\r\na\0b", b"{5}\r\na\xef\xbf\xbdb", id="NUL cannot be shown"),
    pytest.param(b'Subject: x\r\n\r\nsay "a\\b"', b'"say \\"a\\\\b\\""', id="quotes"),
]


@pytest.mark.parametrize(("message", "shown"), PREVIEWS)
def test_preview_is_a_string_never_nil(message: bytes, shown: bytes) -> None:
    async def scenario(world: World) -> None:
        await world.file(message)
        client = await world.client(b"SELECT INBOX")
        assert b"* 1 FETCH (PREVIEW " + shown + b")\r\n" in await client.ok(b"FETCH 1 PREVIEW")
        assert b"* 1 FETCH (PREVIEW " + shown + b")\r\n" in await client.ok(b"FETCH 1 (PREVIEW (LAZY))")

    run(scenario)


def test_preview_has_200_characters_not_octets() -> None:
    async def scenario(world: World) -> None:
        text = "é" * 300
        await world.file(b"Content-Type: text/plain; charset=utf-8\r\n\r\n" + text.encode())
        client = await world.client(b"SELECT INBOX")
        got = await client.ok(b"FETCH 1 PREVIEW")
        match = re.search(rb"\{(\d+)\}\r\n", got)
        assert match is not None
        assert got[match.end() : match.end() + int(match[1])].decode() == "é" * 200

    run(scenario)
