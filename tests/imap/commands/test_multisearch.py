"""ESEARCH over several mailboxes. RFC 7377."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import pytest

from restante.config.model import ImapTable
from restante.imap.commands import multisearch
from restante.imap.grammar.commands import Source
from restante.imap.session import capabilities
from restante.imap.session.places import Place
from restante.imap.session.session import ImapSession
from restante.store.model import FlagMode, Mailbox
from restante.store.rights import parse_rights

from ..people import people
from ..session.support import World, run
from ..session.transcript import Transcript

CASES: dict[str, str] = {
    "rfc7377-3 mailboxes and subtrees": """
        A> ESEARCH IN (mailboxes "folder1" subtree "folder2") unseen
        A< * ESEARCH (TAG "T" MAILBOX folder1 UIDVALIDITY <n>) UID ALL 1:2
        A< * ESEARCH (TAG "T" MAILBOX folder2/banana UIDVALIDITY <n>) UID ALL 1
        A< * ESEARCH (TAG "T" MAILBOX folder2/banana/split UIDVALIDITY <n>) UID ALL 1
        A< * ESEARCH (TAG "T" MAILBOX folder2/peach UIDVALIDITY <n>) UID ALL 1
        A< T OK ...
        A> ESEARCH IN (mailboxes "folder1" subtree-one "folder2") subject "s1"
        A< * ESEARCH (TAG "T" MAILBOX folder1 UIDVALIDITY <n>) UID ALL 1
        A< * ESEARCH (TAG "T" MAILBOX folder2/banana UIDVALIDITY <n>) UID ALL 1
        A< * ESEARCH (TAG "T" MAILBOX folder2/peach UIDVALIDITY <n>) UID ALL 1
        A< T OK ...
        A> ESEARCH IN (subtree-one (folder2/banana folder1)) ALL
        A< * ESEARCH (TAG "T" MAILBOX folder1 UIDVALIDITY <n>) UID ALL 1:2
        A< * ESEARCH (TAG "T" MAILBOX folder2/banana UIDVALIDITY <n>) UID ALL 1
        A< * ESEARCH (TAG "T" MAILBOX folder2/banana/split UIDVALIDITY <n>) UID ALL 1
        A< T OK ...
    """,
    "rfc7377-2.1 no response where nothing matches, whatever is returned": """
        A> ESEARCH IN (personal) RETURN (COUNT MIN) SUBJECT s2
        A< * ESEARCH (TAG "T" MAILBOX INBOX UIDVALIDITY <n>) UID MIN 2 COUNT 1
        A< * ESEARCH (TAG "T" MAILBOX folder1 UIDVALIDITY <n>) UID MIN 2 COUNT 1
        A< T OK ...
        A> ESEARCH IN (inboxes) RETURN (COUNT) SUBJECT nothing
        A< T OK ...
    """,
    "rfc7377-2.2 subscribed, and each mailbox once": """
        A> SUBSCRIBE folder2/peach
        A< T OK ...
        A> ESEARCH IN (subscribed mailboxes (INBOX folder2/peach) subtree folder2/peach) RETURN (COUNT) ALL
        A< * ESEARCH (TAG "T" MAILBOX INBOX UIDVALIDITY <n>) UID COUNT 3
        A< * ESEARCH (TAG "T" MAILBOX folder2/peach UIDVALIDITY <n>) UID COUNT 1
        A< T OK ...
    """,
    "rfc7377-5 what is not there is not spoken of": """
        A> ESEARCH IN (mailboxes (nowhere folder1 "a//b" "folder%") subtree nowhere) RETURN (COUNT) ALL
        A< * ESEARCH (TAG "T" MAILBOX folder1 UIDVALIDITY <n>) UID COUNT 2
        A< T OK ...
        A> ESEARCH IN (mailboxes (R&D folder1) subtree &AGE-) RETURN (COUNT) ALL
        A< * ESEARCH (TAG "T" MAILBOX folder1 UIDVALIDITY <n>) UID COUNT 2
        A< T OK ...
    """,
    "rfc7377-2.2 the selected mailbox must be there where it is meant": """
        A> ESEARCH ALL
        A< T BAD ...
        A> ESEARCH IN (selected personal) ALL
        A< T BAD ...
        A> SELECT INBOX
        A< ...
        A< T OK ...
        A> ESEARCH SUBJECT s
        A< * ESEARCH (TAG "T" MAILBOX INBOX UIDVALIDITY <n>) UID ALL 1:3
        A< T OK ...
        A> UID ESEARCH IN (selected) RETURN (MAX) 1:2
        A< * ESEARCH (TAG "T" MAILBOX INBOX UIDVALIDITY <n>) UID MAX 2
        A< T OK ...
        A> ESEARCH IN (selected mailboxes folder1) RETURN (COUNT) 2:100
        A< * ESEARCH (TAG "T" MAILBOX INBOX UIDVALIDITY <n>) UID COUNT 2
        A< * ESEARCH (TAG "T" MAILBOX folder1 UIDVALIDITY <n>) UID COUNT 1
        A< T OK ...
        A> ESEARCH IN (personal) UID 2:*
        A< * ESEARCH (TAG "T" MAILBOX INBOX UIDVALIDITY <n>) UID ALL 2:3
        A< * ESEARCH (TAG "T" MAILBOX folder1 UIDVALIDITY <n>) UID ALL 2
        A< * ESEARCH (TAG "T" MAILBOX folder2/banana UIDVALIDITY <n>) UID ALL 1
        A< * ESEARCH (TAG "T" MAILBOX folder2/banana/split UIDVALIDITY <n>) UID ALL 1
        A< * ESEARCH (TAG "T" MAILBOX folder2/peach UIDVALIDITY <n>) UID ALL 1
        A< T OK ...
        # the selection is as it was
        A> FETCH 3 UID
        A< * 3 FETCH (UID 3)
        A< T OK ...
    """,
    "rfc7377-2 a window that rolls over the numbers of the selected mailbox": """
        A> SELECT folder1
        A< ...
        A< T OK ...
        A> STORE 1 +FLAGS.SILENT (\\Deleted)
        A< T OK ...
        A> EXPUNGE
        A< * 1 EXPUNGE
        A< T OK ...
        A> UID ESEARCH FROM "a@example" 1:100
        A< * ESEARCH (TAG "T" MAILBOX folder1 UIDVALIDITY <n>) UID ALL 2
        A< T OK ...
        A> UID ESEARCH FROM "a@example" 101:200
        A< T OK ...
    """,
    "rfc7377-2.2 save": """
        A> SELECT INBOX
        A< ...
        A< T OK ...
        A> ESEARCH IN (personal) RETURN (SAVE) ALL
        A< T BAD ...
        A> ESEARCH IN (selected mailboxes INBOX) RETURN (SAVE) ALL
        A< T BAD ...
        A> ESEARCH IN (selected) RETURN (SAVE) UID 2:3
        A< T OK ...
        A> SEARCH $
        A< * SEARCH 2 3
        A< T OK ...
        # "$" is of the selected mailbox and names nothing in another
        A> ESEARCH IN (selected mailboxes folder1) OR $ SUBJECT s1
        A< * ESEARCH (TAG "T" MAILBOX INBOX UIDVALIDITY <n>) UID ALL 1:3
        A< * ESEARCH (TAG "T" MAILBOX folder1 UIDVALIDITY <n>) UID ALL 1
        A< T OK ...
        A> ESEARCH RETURN (SAVE MIN) ALL
        A< * ESEARCH (TAG "T" MAILBOX INBOX UIDVALIDITY <n>) UID MIN 1
        A< T OK ...
        A> SEARCH $
        A< * SEARCH 1
        A< T OK ...
        A> ESEARCH RETURN (SAVE) SUBJECT nothing
        A< T OK ...
        A> SEARCH $
        A< * SEARCH
        A< T OK ...
    """,
    "rfc7377-2.2 partial is of each mailbox": """
        A> ESEARCH IN (mailboxes (INBOX folder1)) RETURN (PARTIAL -1:-2) ALL
        A< * ESEARCH (TAG "T" MAILBOX INBOX UIDVALIDITY <n>) UID PARTIAL (-1:-2 2:3)
        A< * ESEARCH (TAG "T" MAILBOX folder1 UIDVALIDITY <n>) UID PARTIAL (-1:-2 1:2)
        A< T OK ...
    """,
    "rfc7162-3.1.5 modseq": """
        A> ESEARCH IN (mailboxes (INBOX folder1)) MODSEQ 1
        A< * ESEARCH (TAG "T" MAILBOX INBOX UIDVALIDITY <n>) UID ALL 1:3 MODSEQ <n:a>
        A< * ESEARCH (TAG "T" MAILBOX folder1 UIDVALIDITY <n>) UID ALL 1:2 MODSEQ <n:b>
        A< T OK ...
        A> STATUS folder1 (HIGHESTMODSEQ)
        A< * STATUS folder1 (HIGHESTMODSEQ <n:b>)
        A< T OK ...
    """,
    "rfc3501-6.4.4 recent where no session has been yet": """
        A> SELECT folder1
        A< ...
        A< T OK ...
        A> ESEARCH IN (selected mailboxes (INBOX folder2/peach)) RETURN (COUNT) RECENT
        A< * ESEARCH (TAG "T" MAILBOX INBOX UIDVALIDITY <n>) UID COUNT 3
        A< * ESEARCH (TAG "T" MAILBOX folder1 UIDVALIDITY <n>) UID COUNT 2
        A< * ESEARCH (TAG "T" MAILBOX folder2/peach UIDVALIDITY <n>) UID COUNT 1
        A< T OK ...
        B> SELECT INBOX
        B< ...
        B< T OK ...
        A> ESEARCH IN (mailboxes INBOX) RETURN (COUNT) RECENT
        A< T OK ...
    """,
    "rfc9051-5.1 names in their dialect": """
        A> CREATE "a b&AOk-"
        A< T OK ...
        A> SELECT INBOX
        A< ...
        A< T OK ...
        A> COPY 1 "a b&AOk-"
        A< T OK ...
        A> ESEARCH IN (mailboxes "a b&AOk-") ALL
        A< * ESEARCH (TAG "T" MAILBOX "a b&AOk-" UIDVALIDITY <n>) UID ALL 1
        A< T OK ...
        A> ENABLE UTF8=ACCEPT
        A< ...
        A< T OK ...
        A> ESEARCH IN (mailboxes "a bé") ALL
        A< * ESEARCH (TAG "T" MAILBOX "a bé" UIDVALIDITY <n>) UID ALL 1
        A< T OK ...
        A> ESEARCH IN (mailboxes INBOX) CHARSET UTF-8 ALL
        A< T BAD ...
    """,
    "rfc9051-5.1 inbox in any case above others": """
        A> CREATE INBOX/lists
        A< T OK ...
        A> SELECT INBOX
        A< ...
        A< T OK ...
        A> COPY 2 inbox/lists
        A< T OK ...
        A> ESEARCH IN (mailboxes inbox/lists) ALL
        A< * ESEARCH (TAG "T" MAILBOX INBOX/lists UIDVALIDITY <n>) UID ALL 1
        A< T OK ...
        A> ESEARCH IN (subtree Inbox/lists) ALL
        A< * ESEARCH (TAG "T" MAILBOX INBOX/lists UIDVALIDITY <n>) UID ALL 1
        A< T OK ...
    """,
    "rfc9586-3.8 without message numbers": """
        A> ENABLE UIDONLY
        A< ...
        A< T OK ...
        A> ESEARCH IN (personal) 1:2
        A< T BAD [UIDREQUIRED] ...
        A> ESEARCH IN (mailboxes INBOX) UID 1:2
        A< * ESEARCH (TAG "T" MAILBOX INBOX UIDVALIDITY <n>) UID ALL 1:2
        A< T OK ...
    """,
}

LIMITED = """
    A> ESEARCH IN (personal) ALL
    A< * ESEARCH (TAG "T" MAILBOX INBOX UIDVALIDITY <n>) UID ALL 2:3
    A< * ESEARCH (TAG "T" MAILBOX folder1 UIDVALIDITY <n>) UID ALL 1:2
    A< ...
    A< T OK [MESSAGELIMIT 2] ...
    A> ESEARCH IN (mailboxes INBOX) ALL
    A< * ESEARCH (TAG "T" MAILBOX INBOX UIDVALIDITY <n>) UID ALL 2:3
    A< T OK [MESSAGELIMIT 2 2] ...
    A> ESEARCH IN (personal) UID 1:2
    A< * ESEARCH (TAG "T" MAILBOX INBOX UIDVALIDITY <n>) UID ALL 1:2
    A< ...
    A< T OK ESEARCH completed.
"""


async def _fill(world: World) -> None:
    for name in ("folder1", "folder2", "folder2/banana", "folder2/banana/split", "folder2/peach", "folder23"):
        await world.store.create_mailbox(name)
    await world.add(b"one", b"two", b"three")
    await world.add(b"one", b"two", mailbox="folder1")
    for name in ("banana", "banana/split", "peach"):
        await world.add(b"one", mailbox=f"folder2/{name}")


@pytest.mark.parametrize("name", CASES)
def test_transcript(name: str) -> None:
    async def scenario(world: World) -> None:
        await _fill(world)
        await Transcript(world).play(CASES[name])

    run(scenario)


def test_the_limit_holds_for_each_mailbox() -> None:
    async def scenario(world: World) -> None:
        await _fill(world)
        world.config = ImapTable(message_limit=2)
        await Transcript(world).play(LIMITED)

    run(scenario)


def test_a_removal_not_told_yet_is_not_found_and_arrivals_wait_in_the_selected_mailbox() -> None:
    async def scenario(world: World) -> None:
        await _fill(world)
        one = await world.client(b"SELECT INBOX")
        await world.client(b"SELECT INBOX", b"STORE 2 +FLAGS.SILENT (\\Deleted)", b"EXPUNGE")
        one.session.dirty = False  # as if the hint were still under way
        await world.add(b"four")
        one.session.dirty = False
        got = await one.ok(b"ESEARCH IN (personal) RETURN (ALL) 1:*")
        assert b"MAILBOX INBOX" in got
        assert b"UID ALL 1,3\r\n" in got.split(b"folder1")[0]

    run(scenario)


def test_a_source_written_often_is_looked_for_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A thousand times all of ten thousand mailboxes would hold up everybody for seconds."""
    named, asked = multisearch._named, list[object]()

    def counting(
        session: ImapSession, source: Source, everything: list[tuple[Place, Mailbox]], called: Mapping[str, str]
    ) -> Iterator[int]:
        asked.append(source.kind)
        return named(session, source, everything, called)

    async def scenario(world: World) -> None:
        await world.add(b"one")
        client = await world.client(b"CREATE A", b"CREATE B")
        for name in ("A", "B"):
            await world.add(b"x", mailbox=name)
        monkeypatch.setattr(multisearch, "_named", counting)
        many = b" ".join([b"inboxes"] * 500)
        got = await client.ok(b"ESEARCH IN (mailboxes A %b mailboxes B) RETURN (COUNT) ALL" % many)
        assert got.count(b"MAILBOX ") == 3
        assert len(asked) == 2

    run(scenario)


@pytest.mark.parametrize("rights", ["lr", "r"], ids=["listed", "not listed"])
@pytest.mark.parametrize("selected", [False, True])
def test_a_mailbox_of_another_is_searched_once_however_it_is_called(rights: str, selected: bool) -> None:
    async def scenario(world: World) -> None:
        await people(world)
        bob = world.engine.account("id-bob")
        await world.add(b"one", account="id-bob")
        await bob.set_acl(1, "id-ann", FlagMode.ADD, parse_rights(rights))
        name = b'"Other Users/bob@example.org/INBOX"'
        ann = await world.client(*([b"EXAMINE " + name] if selected else []), user=b"ann")
        others = [b'"Other Users/bob@example.org/inbox"', b'"Other Users/BOB@example.org/Inbox"']
        for names in ([name], others[:1], others, [others[1], name, others[0]]):
            got = await ann.ok(b"ESEARCH IN (mailboxes (%b)) RETURN (COUNT) ALL" % b" ".join(names))
            assert got.count(b"* ESEARCH") == got.count(b"MAILBOX %b " % name) == 1, names

    run(scenario)


def test_updates_name_the_mailbox_as_their_client_knows_it() -> None:
    async def scenario(world: World) -> None:
        await world.person("ann")
        bob = await world.person("bob")
        owner = await world.client(b"CREATE Work", b"SETACL Work ann@example.org lrs", user=b"bob")
        ann = await world.client(b"CREATE Work", b'SELECT "Other Users/bob@example.org/Work"', user=b"ann")
        await ann.ok(b"ESEARCH RETURN (UPDATE) ALL")
        await world.add(b"one", mailbox="Work", account=bob.id)
        assert b'MAILBOX "Other Users/bob@example.org/Work" UIDVALIDITY ' in await ann.ok(b"NOOP")
        await owner.ok(b"NOOP")

    run(scenario)


def test_the_capability_is_announced() -> None:
    assert b"MULTISEARCH" in capabilities.AFTER
