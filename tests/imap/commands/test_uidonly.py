"""UIDONLY: no message numbers, in neither direction. RFC 9586."""

from __future__ import annotations

import random
import re

import pytest

from restante.imap.session import capabilities

from ..session.support import World, run
from ..session.test_anything import command
from ..session.transcript import Transcript

CASES: dict[str, str] = {
    "rfc9586-3.3 uidfetch": """
        A> UID FETCH 2:4 (FLAGS)
        A< * 2 UIDFETCH (FLAGS ())
        A< * 4 UIDFETCH (FLAGS ())
        A< T OK ...
        A> UID FETCH 2:4 (UID FLAGS)
        A< * 2 UIDFETCH (UID 2 FLAGS ())
        A< * 4 UIDFETCH (UID 4 FLAGS ())
        A< T OK ...
        A> UID STORE 4 +FLAGS (\\Seen)
        A< * 4 UIDFETCH (FLAGS (\\Seen))
        A< T OK ...
        A> UID FETCH 2 BODY[TEXT]
        A< * 2 UIDFETCH (FLAGS (\\Seen) BODY[TEXT] {4}
        A< m1
        A< )
        A< T OK ...
        A> UID FETCH 2 BINARY.PEEK[TEXT]
        A< T BAD ...
    """,
    "rfc9586-3.2 commands by number are refused": """
        A> FETCH 2:3 (UID FLAGS)
        A< T BAD [UIDREQUIRED] ...
        A> STORE 1 +FLAGS (\\Seen)
        A< T BAD [UIDREQUIRED] ...
        A> SEARCH ALL
        A< T BAD [UIDREQUIRED] ...
        A> SEARCH UID 1:*
        A< T BAD [UIDREQUIRED] ...
        A> COPY 1 INBOX
        A< T BAD [UIDREQUIRED] ...
        A> SORT (DATE) UTF-8 ALL
        A< T BAD [UIDREQUIRED] ...
        A> THREAD REFERENCES UTF-8 ALL
        A< T BAD [UIDREQUIRED] ...
        A> UID SORT (DATE) UTF-8 1:2
        A< T BAD [UIDREQUIRED] ...
        A> UID SORT (SUBJECT) UTF-8 UID 1:2
        A< * SORT 1 2
        A< T OK ...
        A> MOVE 1 INBOX
        A< T BAD [UIDREQUIRED] ...
        # RFC 9586 3.8: whatever else takes numbers; a saved result is one of numbers to who asks without UID
        A> REPLACE 1 INBOX {5}
        A< T BAD [UIDREQUIRED] ...
        A> REPLACE 999 Nowhere {70000}
        A< T BAD [UIDREQUIRED] ...
        A> UID THREAD REFERENCES UTF-8 OR 1 2
        A< T BAD [UIDREQUIRED] ...
        A> ESEARCH 1:2
        A< T BAD [UIDREQUIRED] ...
        A> ESEARCH IN (selected) NOT 1:2
        A< T BAD [UIDREQUIRED] ...
        A> FETCH $ FLAGS
        A< T BAD [UIDREQUIRED] ...
        A> SETMETADATA "" (/private/filters/values/first "1:3")
        A< T OK ...
        A> UID SEARCH FILTER first
        A< T BAD [UIDREQUIRED] ...
        A> UID FETCH 1:* FLAGS
        A< * 1 UIDFETCH (FLAGS ())
        A< ...
        A< T OK ...
    """,
    "rfc9586-3.5 search": """
        A> UID SEARCH 1:3
        A< T BAD [UIDREQUIRED] ...
        A> UID SEARCH OR SEEN NOT (UNSEEN *)
        A< T BAD [UIDREQUIRED] ...
        A> UID SEARCH RETURN (SAVE) UID 2:5
        A< T OK ...
        A> UID SEARCH $
        A< T BAD [UIDREQUIRED] ...
        A> UID SEARCH UID $ ALL
        A< * SEARCH 2 4 5
        A< T OK ...
        A> UID FETCH $ (FLAGS)
        A< * 2 UIDFETCH (FLAGS ())
        A< * 4 UIDFETCH (FLAGS ())
        A< * 5 UIDFETCH (FLAGS ())
        A< T OK ...
    """,
    "rfc9586-3.4 expunge": """
        A> UID STORE 2,5 +FLAGS.SILENT (\\Deleted)
        A< T OK ...
        A> EXPUNGE
        A< * VANISHED 2,5
        A< T OK EXPUNGE completed.
        A> UID STORE 4 +FLAGS.SILENT (\\Deleted)
        A< T OK ...
        A> UID EXPUNGE 1:*
        A< * VANISHED 4
        A< T OK EXPUNGE completed.
    """,
    "rfc9586-3.6 changes by others": """
        A> NOOP
        A< T OK ...
        B> UID STORE 1,4 +FLAGS.SILENT (\\Deleted)
        B< T OK ...
        A> NOOP
        A< * 1 UIDFETCH (FLAGS (\\Deleted))
        A< * 4 UIDFETCH (FLAGS (\\Deleted))
        A< T OK ...
        B> UID EXPUNGE 4
        B< * VANISHED 4
        B< T OK ...
        B> UID COPY 1 INBOX
        B< * 6 EXISTS
        B< * <n> RECENT
        B< T OK [COPYUID <n> 1 8] ...
        # the removal is told after a command by UID: there is no other
        A> UID FETCH 5 FLAGS
        A< * 5 UIDFETCH (FLAGS ())
        A< * VANISHED 4
        A< * 6 EXISTS
        A< * <n> RECENT
        A< T OK ...
        A> IDLE
        A< + Listening.
        B> UID STORE 8 FLAGS.SILENT (\\Flagged)
        B< T OK ...
        A! * 8 UIDFETCH (FLAGS (\\Flagged
        B> UID STORE 8 FLAGS.SILENT (\\Deleted)
        B< T OK ...
        A! * 8 UIDFETCH (FLAGS (\\Deleted
        B> UID EXPUNGE 8
        B< * VANISHED 8
        B< T OK ...
        A! * VANISHED 8
        A+ DONE
        A< T OK IDLE completed.
    """,
    "rfc9586-3.6 move": """
        A> CREATE "Archives/2023"
        A< T OK ...
        A> UID MOVE 4 "Archives/2023"
        A< * OK [COPYUID <n> 4 1] ...
        A< * VANISHED 4
        A< T OK ...
    """,
    "rfc9586-3.7 condstore": """
        A> UID FETCH 1:2 (FLAGS MODSEQ)
        A< * OK [HIGHESTMODSEQ <n:h>] ...
        A< * 1 UIDFETCH (FLAGS () MODSEQ (<n>))
        A< * 2 UIDFETCH (FLAGS () MODSEQ (<n>))
        A< T OK ...
        A> UID STORE 2 (UNCHANGEDSINCE <n:h>) +FLAGS.SILENT (\\Seen)
        A< * 2 UIDFETCH (MODSEQ (<n:m>))
        A< T OK ...
        A> UID STORE 2 (UNCHANGEDSINCE <n:h>) FLAGS.SILENT (\\Draft)
        A< * 2 UIDFETCH (FLAGS (\\Seen) MODSEQ (<n:m>))
        A< T OK [MODIFIED 2] ...
        A> UID STORE 2 +FLAGS (\\Flagged)
        A< * 2 UIDFETCH (FLAGS (\\Flagged \\Seen) MODSEQ (<n:k>))
        A< T OK ...
        B> UID STORE 2 FLAGS.SILENT ()
        B< T OK ...
        A> UID FETCH 1:* (FLAGS) (CHANGEDSINCE <n:k>)
        A< * 2 UIDFETCH (FLAGS () MODSEQ (<n>))
        A< ...
        A< T OK ...
    """,
    "rfc9586-3.7 qresync": """
        A> ENABLE QRESYNC
        A< ...
        A< T OK ...
        A> SELECT INBOX (QRESYNC (1 1 1:3 (1 1)))
        A< T BAD [UIDREQUIRED] ...
        A> SELECT INBOX (CONDSTORE)
        A< ...
        A< * OK [UIDVALIDITY <n:v>] ...
        A< ...
        A< T OK ...
        B> UID STORE 4 +FLAGS.SILENT (\\Deleted)
        B< T OK ...
        B> UID EXPUNGE 4
        B< * VANISHED 4
        B< T OK ...
        B> UID STORE 5 +FLAGS.SILENT (\\Seen)
        B< T OK ...
        A> SELECT INBOX (QRESYNC (<n:v> 1 4:5))
        A< ...
        A< * VANISHED (EARLIER) 4
        A< * 5 UIDFETCH (FLAGS (\\Seen) MODSEQ (<n>))
        A< T OK ...
    """,
}


@pytest.mark.parametrize("name", CASES)
def test_transcript(name: str) -> None:
    async def scenario(world: World) -> None:
        await world.add(*[b"m%d" % n for n in range(7)])
        await world.client(b"SELECT INBOX", b"STORE 3 +FLAGS.SILENT (\\Deleted)", b"EXPUNGE")
        await Transcript(world, (b"ENABLE UIDONLY", b"SELECT INBOX")).play(CASES[name])

    run(scenario)


def test_enable_says_so_and_select_tells_no_number() -> None:
    async def scenario(world: World) -> None:
        await world.add(b"one", b"two")
        client = await world.client()
        assert b"* ENABLED UIDONLY\r\n" in await client.ok(b"ENABLE UIDONLY")
        got = await client.ok(b"SELECT INBOX")
        assert b"UNSEEN" not in got
        assert b"* 2 EXISTS\r\n" in got

    run(scenario)


def test_the_capability_is_announced() -> None:
    assert b"UIDONLY" in capabilities.AFTER


NUMBERED = re.compile(
    rb"^\* \d+ (FETCH|EXPUNGE)|\[UNSEEN|\[UIDNOTSTICKY|\* ESEARCH \(TAG \"[^\"]*\"\)(?! UID)", re.MULTILINE
)


@pytest.mark.parametrize("seed", range(2))
def test_no_response_to_anything_holds_a_message_number(seed: int) -> None:
    chance = random.Random(seed)

    async def scenario(world: World) -> None:
        await world.add(b"one", b"two", b"three")
        setup = (b"ENABLE UIDONLY", b"SELECT INBOX")
        clients = [await world.client(*setup) for _ in range(2)]
        for _ in range(250):
            client = chance.choice(clients)
            asked = command(chance)
            got = await client.do(asked)
            assert not NUMBERED.search(got), (asked, got)
            if b"* BYE [NONEXISTENT]" in got or b"Too many errors" in got:
                clients.remove(client)
                clients.append(await world.client(*setup))
            elif chance.random() < 0.2:
                await client.do(b"SELECT INBOX")

    run(scenario)
