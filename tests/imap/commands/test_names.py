"""Names of mailboxes and of people that are far too long: refused before anything is made of them."""

from __future__ import annotations

import unicodedata

import pytest

from restante.accounts.identifiers import LONGEST as LONGEST_IDENTIFIER
from restante.accounts.identifiers import BadIdentifier, prepared
from restante.imap.commands.names import LONGEST, mailbox_name, mailbox_pattern
from restante.imap.grammar.tokens import UNMATCHED
from restante.store.errors import BadMailboxName

from ..session.support import World, run

MARKS = "a" + "\u0301\u0316" * 20_000
"""Takes seconds to be composed; a literal holds ten times as much."""


def test_what_is_far_too_long_is_not_composed(monkeypatch: pytest.MonkeyPatch) -> None:
    real, lengths = unicodedata.normalize, []

    def counted(form: str, text: str) -> str:
        lengths.append(len(text))
        return real(form, text)  # type: ignore[arg-type]  # as given

    monkeypatch.setattr(unicodedata, "normalize", counted)
    with pytest.raises(BadMailboxName):
        mailbox_name(MARKS)
    assert mailbox_pattern(MARKS) == UNMATCHED
    with pytest.raises(BadIdentifier, match="too long"):
        prepared(MARKS)
    assert mailbox_name("e\u0301") == mailbox_pattern("e\u0301") == prepared("e\u0301") == "\u00e9"
    assert max(lengths) <= max(4 * LONGEST, LONGEST_IDENTIFIER)


def test_a_person_whose_name_saslprep_refuses_may_be_shared_with() -> None:
    """Letters of two directions (RFC 3454 6). Who is not here counts as asked for all the same."""

    async def scenario(world: World) -> None:
        await world.person("\u0639ann")
        client = await world.client()
        who, nobody = "\u0639ann@example.org".encode(), "\u0639nobody@example.org".encode()
        await client.ok(b"SETACL INBOX {%d+}\r\n%b lr" % (len(who), who))
        assert who in await client.ok(b"GETACL INBOX")
        await client.ok(b"DELETEACL INBOX {%d+}\r\n%b" % (len(who), who))
        assert who not in await client.ok(b"GETACL INBOX")
        assert b"T BAD" in await client.do(b"SETACL INBOX {%d+}\r\n%b lr" % (len(nobody), nobody))
        assert world.authenticator.asked == ["user@example.org"]

    run(scenario)


def test_the_log_says_by_addresses_who_was_let_in() -> None:
    async def scenario(world: World) -> None:
        await world.person("bob")
        client = await world.client(user=b"bob")
        await world.person("ann")
        await client.ok(b"SETACL INBOX ann@example.org lr")
        await client.ok(b"DELETEACL INBOX ann@example.org")
        told = [fields for event, fields in client.connection.events if event == "acl"]
        assert [(one["owner"], one["who"], one["rights"]) for one in told] == [
            ("bob@example.org", "ann@example.org", "lr"),
            ("bob@example.org", "ann@example.org", ""),
        ]

    run(scenario)


def test_who_reads_in_the_mailbox_of_somebody_removed_is_not_sent_to_the_operator() -> None:
    """CONTACTADMIN, "There is no such account.", would be said of his own (RFC 5530 3)."""

    async def scenario(world: World) -> None:
        await world.person("bob")
        bob = await world.client(user=b"bob")
        await world.person("ann")
        await bob.ok(b"SETACL INBOX ann@example.org lr")
        await world.add(b"1", account="id-bob")
        ann = await world.client(b'SELECT "Other Users/bob@example.org/INBOX"', user=b"ann")
        await world.engine.directory.remove_account("id-bob")
        await world.engine.delete_account("id-bob")
        assert b"T NO [NONEXISTENT] The selected mailbox" in await ann.do(b"COPY 1 INBOX")

    run(scenario)


def test_the_longest_name_may_be_sent_decomposed() -> None:
    assert mailbox_name("\u03c9\u0313\u0342\u0345" * LONGEST) == "\u1fa6" * LONGEST
    assert mailbox_pattern("e\u0301" * LONGEST) == "\u00e9" * LONGEST


def test_a_name_with_a_dotless_i_is_another_mailbox_than_inbox() -> None:
    """Its capital is an I, but only US-ASCII's letters of INBOX have a case that does not count (RFC 9051 5.1)."""

    async def scenario(world: World) -> None:
        client = await world.client(b"CREATE &ATE-nbox/below", b"CREATE &ATE-NBOX", b"SELECT &ATE-NBOX")
        await client.ok(b"APPEND &ATE-NBOX {6+}\r\na: b\r\n")
        assert b"(MESSAGES 1)" in await client.ok(b"STATUS &ATE-NBOX (MESSAGES)")
        assert b"(MESSAGES 0)" in await client.ok(b"STATUS inbox (MESSAGES)")
        got = await client.ok(b'LIST "" *')
        for name in (b"INBOX", b'"&ATE-NBOX"', b'"&ATE-nbox/below"'):
            assert b'"/" %b\r\n' % name.strip(b'"') in got.replace(b'"&', b"&").replace(b'"\r', b"\r")
        assert b"INBOX" not in await client.ok(b'LIST "" &ATEq-')

    run(scenario)
