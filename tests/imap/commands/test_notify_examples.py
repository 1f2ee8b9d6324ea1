"""What RFC 5465 shows, with all that is told in its order. A client, and somebody else who changes things.

Where the RFC writes events without parentheses, or one of MessageNew and MessageExpunge alone, its own grammar and
section 5 forbid it: both, in parentheses, stand here. STATUS items come in an order of ours.
"""

from __future__ import annotations

from ..session.support import SIMPLE, Client, World, run

ITEMS = b"(MessageNew (uid body.peek[header.fields (from to subject)]) MessageExpunge)"
BOTH = b"(MessageNew MessageExpunge)"
ALL = b"(MessageNew MessageExpunge FlagChange)"


async def told(client: Client, *lines: bytes) -> None:
    """These lines come unasked and nothing else does, not with the next command either."""
    expected = b"".join(line + b"\r\n" for line in lines)
    assert await client.until(lambda written: written.endswith(expected)) == expected
    assert (await client.do(b"NOOP")).startswith(b"T OK ")


async def two(world: World, *commands: bytes) -> tuple[Client, Client]:
    """One with three messages in INBOX, and somebody else; what was \\Recent is so no more."""
    await world.add(b"one", b"two", b"three")
    await world.client(b"SELECT INBOX", b"UNSELECT")
    other = await world.client(b"CREATE Lists/Lemonade", b"CREATE Lists/Im2000", b"CREATE misc")
    return await world.client(*commands), other


async def validity(world: World, name: str) -> int:
    box = await world.store.mailbox(name)
    assert box is not None
    return box.uidvalidity


MORNING = b"Subject: Re: good morning\r\nFrom: alice@example.org\r\nTo: bob@example.org\r\n"


def test_rfc5465_3_1_a_day_with_lists() -> None:
    async def scenario(world: World) -> None:
        client, _ = await two(world)
        assert b" NOTIFY " in await client.ok(b"CAPABILITY")
        assert await client.do(b"NOTIFY SET STATUS (selected %b) (subtree Lists %b)" % (ITEMS, BOTH)) == (
            b"* STATUS Lists (MESSAGES 0 UIDNEXT 1 UIDVALIDITY %d)\r\n"
            b"* STATUS Lists/Im2000 (MESSAGES 0 UIDNEXT 1 UIDVALIDITY %d)\r\n"
            b"* STATUS Lists/Lemonade (MESSAGES 0 UIDNEXT 1 UIDVALIDITY %d)\r\n"
            b"T OK NOTIFY completed.\r\n"
            % (
                await validity(world, "Lists"),
                await validity(world, "Lists/Im2000"),
                await validity(world, "Lists/Lemonade"),
            )
        )
        await client.ok(b"select inbox")
        await world.add(b"new", mailbox="Lists/Lemonade")
        await told(client, b"* STATUS Lists/Lemonade (MESSAGES 1 UIDNEXT 2)")
        await world.file(MORNING + b"\r\nbody\r\n")
        await told(
            client,
            b"* 4 EXISTS",
            b"* 1 RECENT",
            b"* 4 FETCH (UID 4 BODY[HEADER.FIELDS (from to subject)] {75}",
            *MORNING.splitlines(),
            b"",
            b")",
        )
        got = await client.do(b"STATUS misc (UIDVALIDITY UIDNEXT MESSAGES)")
        assert got == (
            b"* STATUS misc (UIDVALIDITY %d UIDNEXT 1 MESSAGES 0)\r\nT OK STATUS completed.\r\n"
            % await validity(world, "misc")
        )
        again = b"NOTIFY SET (selected %b) (subtree Lists %b) (mailboxes misc %b)" % (ITEMS, BOTH, BOTH)
        assert await client.do(again) == b"T OK NOTIFY completed.\r\n"
        await world.add(b"new", mailbox="misc")
        await told(client, b"* STATUS misc (MESSAGES 1 UIDNEXT 2)")
        await world.add(b"new", mailbox="Lists/Im2000")
        await told(client, b"* STATUS Lists/Im2000 (MESSAGES 1 UIDNEXT 2)")

    run(scenario)


def test_rfc5465_5_1_to_5_3_messages_of_the_selected_mailbox() -> None:
    async def scenario(world: World) -> None:
        client, other = await two(world, b"SELECT INBOX", b"NOTIFY SET (selected %b)" % ALL)
        await other.ok(b"SELECT INBOX")
        await other.ok(b"STORE 3 +FLAGS.SILENT ($Junk)")
        await told(
            client,
            b"* FLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft $Junk)",
            b"* OK [PERMANENTFLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft $Junk \\*)] Flags that are kept.",
            b"* 3 FETCH (UID 3 FLAGS ($Junk))",
        )
        await client.ok(b"NOTIFY SET (selected (MessageNew (uid) MessageExpunge))")
        await world.add(b"new")
        await told(client, b"* 4 EXISTS", b"* 1 RECENT", b"* 4 FETCH (UID 4)")
        await other.ok(b"STORE 3 +FLAGS.SILENT (\\Deleted)")
        await other.ok(b"UID EXPUNGE 3")
        await told(client, b"* 3 EXPUNGE")

    run(scenario)


def test_rfc5465_5_3_with_qresync() -> None:
    async def scenario(world: World) -> None:
        client, other = await two(
            world, b"ENABLE QRESYNC", b"SELECT INBOX", b"NOTIFY SET (selected %b) (mailboxes misc %b)" % (BOTH, ALL)
        )
        await other.ok(b"SELECT INBOX")
        await other.ok(b"UID STORE 2 +FLAGS.SILENT (\\Deleted)")
        await other.ok(b"UID EXPUNGE 2")
        await told(client, b"* VANISHED 2")
        # of another mailbox HIGHESTMODSEQ is told with each kind of event
        await other.ok(b"COPY 1 misc")
        await other.ok(b"SELECT misc")
        for command, items in (
            (b"NOOP", b"MESSAGES 1 UIDNEXT 2 UIDVALIDITY %d UNSEEN 1 HIGHESTMODSEQ %d"),
            (b"STORE 1 +FLAGS.SILENT (\\Deleted)", b"UIDVALIDITY %d HIGHESTMODSEQ %d"),
            (b"EXPUNGE", b"MESSAGES 0 UIDNEXT 2 UIDVALIDITY %d UNSEEN 0 HIGHESTMODSEQ %d"),
        ):
            await other.ok(command)
            box = await world.store.mailbox("misc")
            assert box is not None
            await told(client, b"* STATUS misc (%b)" % (items % (box.uidvalidity, box.highest_modseq)))

    run(scenario)


def test_rfc5465_5_1_to_5_3_messages_of_another_mailbox() -> None:
    async def scenario(world: World) -> None:
        client, other = await two(world, b"NOTIFY SET (mailboxes misc %b)" % BOTH)
        for count in (1, 2):
            await world.add(b"new", mailbox="misc")
            await told(client, b"* STATUS misc (MESSAGES %d UIDNEXT %d)" % (count, count + 1))
        await other.ok(b"SELECT misc")
        await other.ok(b"STORE 1 +FLAGS.SILENT (\\Deleted)")
        await other.ok(b"EXPUNGE")
        await told(client, b"* STATUS misc (MESSAGES 1 UIDNEXT 3)")
        await client.ok(b"STATUS misc (HIGHESTMODSEQ)")  # one of the commands that enable CONDSTORE (RFC 7162 3.1)
        await world.add(b"three", mailbox="misc")
        box = await world.store.mailbox("misc")
        assert box is not None
        await told(client, b"* STATUS misc (MESSAGES 2 UIDNEXT 4 HIGHESTMODSEQ %d)" % box.highest_modseq)
        await client.ok(b"NOTIFY SET (mailboxes misc %b)" % ALL)
        await other.ok(b"STORE 1 +FLAGS.SILENT (\\Flagged)")
        box = await world.store.mailbox("misc")
        assert box is not None
        await told(client, b"* STATUS misc (UIDVALIDITY %d HIGHESTMODSEQ %d)" % (box.uidvalidity, box.highest_modseq))

    run(scenario)


def test_rfc5465_5_4_to_5_7_names_subscriptions_and_metadata() -> None:
    """RFC 9051's attributes of children are told as well. A mailbox that takes over INBOX's messages is one that is
    made (RFC 8474 4), and of INBOX itself nothing is told."""

    async def scenario(world: World) -> None:
        events = b"(MailboxName SubscriptionChange MailboxMetadataChange ServerMetadataChange)"
        client, other = await two(world, b"NOTIFY SET (personal %b)" % events)
        for command, line in (
            (b"CREATE NewMailbox", b'* LIST (\\HasNoChildren) "/" NewMailbox'),
            (b"RENAME NewMailbox Other", b'* LIST (\\HasNoChildren) "/" Other ("OLDNAME" (NewMailbox))'),
            (b"DELETE Other", b'* LIST (\\NonExistent \\HasNoChildren) "/" Other'),
            (b"SUBSCRIBE misc", b'* LIST (\\HasNoChildren \\Subscribed) "/" misc'),
            (b"UNSUBSCRIBE misc", b'* LIST (\\HasNoChildren) "/" misc'),
            (b'SETMETADATA INBOX (/shared/comment "x")', b"* METADATA INBOX /shared/comment"),
            (b"SETMETADATA INBOX (/shared/comment NIL)", b"* METADATA INBOX /shared/comment"),
            (b'SETMETADATA "" (/shared/comment "x")', b'* METADATA "" /shared/comment'),
            (b'SETMETADATA "" (/shared/comment NIL)', b'* METADATA "" /shared/comment'),
        ):
            await other.ok(command)
            await told(client, line)
        await client.ok(b"NOTIFY SET (personal (MailboxName))")
        await other.ok(b"RENAME INBOX Old")
        await told(client, b'* LIST (\\HasNoChildren) "/" Old')

    run(scenario)


def test_rfc5465_5_4_the_parent_is_affected_by_what_comes_and_goes_below_it() -> None:
    """Whether its attributes change or not, and whether it is a mailbox or not; by a renaming neither of the two is."""

    async def scenario(world: World) -> None:
        client, other = await two(world, b"NOTIFY SET (personal (MailboxName))")
        for command, lines in (
            (b"CREATE top", (b'(\\HasNoChildren) "/" top',)),
            (b"CREATE top/one", (b'(\\HasNoChildren) "/" top/one', b'(\\HasChildren) "/" top')),
            (b"CREATE top/two", (b'(\\HasNoChildren) "/" top/two', b'(\\HasChildren) "/" top')),
            (b"DELETE top/two", (b'(\\NonExistent \\HasNoChildren) "/" top/two', b'(\\HasChildren) "/" top')),
            (b"DELETE top", (b'(\\NonExistent \\HasChildren) "/" top',)),
            (
                b"DELETE top/one",
                (b'(\\NonExistent \\HasNoChildren) "/" top/one', b'(\\NonExistent \\HasNoChildren) "/" top'),
            ),
            (b"RENAME misc Lists/misc", (b'(\\HasNoChildren) "/" Lists/misc ("OLDNAME" (misc))',)),
        ):
            await other.ok(command)
            await told(client, *(b"* LIST " + line for line in lines))

    run(scenario)


def test_rfc5465_6_several_groups_for_one_mailbox() -> None:
    async def scenario(world: World) -> None:
        groups = b"(mailboxes INBOX (Messagenew messageExpunge)) (personal (SubscriptionChange))"
        client, other = await two(world, b"notify set " + groups)
        await world.add(b"new")
        await told(client, b"* STATUS INBOX (MESSAGES 4 UIDNEXT 5)")
        await world.add(b"new", mailbox="misc")
        await other.ok(b"UNSUBSCRIBE INBOX")
        await told(client, b'* LIST (\\HasNoChildren) "/" INBOX')
        # the selected mailbox is asked for by "selected" alone
        groups = b"(selected (Messagenew (uid flags) messageExpunge)) (personal %b)" % ALL
        await client.ok(b"SELECT INBOX")
        await client.ok(b"notify set " + groups)
        await other.ok(b"SELECT INBOX")
        await other.ok(b"STORE 1 +FLAGS.SILENT (\\Seen)")
        await other.ok(b"COPY 1 misc")
        await told(client, b"* STATUS misc (MESSAGES 2 UIDNEXT 3)")
        await world.add(b"new")
        await told(client, b"* 5 EXISTS", b"* 2 RECENT", b"* 5 FETCH (UID 5 FLAGS (\\Recent))")

    run(scenario)


def test_rfc5465_7_a_search_that_goes_on() -> None:
    """The example writes the count in parentheses, which RFC 4731 has not, and BODY[...], which would set \\Seen."""

    async def scenario(world: World) -> None:
        await world.file((SIMPLE % (b"s1", b"one")).replace(b"From: a@", b"From: boss@"))
        await world.client(b"SELECT INBOX", b"UNSELECT")
        client = await world.client(b"SELECT INBOX")
        got = await client.do(
            b'SEARCH RETURN (COUNT UPDATE (UID BODY.PEEK[HEADER.FIELDS (TO FROM SUBJECT)])) FROM "boss"'
        )
        tag = b"t%d" % client._number
        assert got == b'* ESEARCH (TAG "T") COUNT 1\r\nT OK SEARCH completed.\r\n'
        header = MORNING.replace(b"alice", b"myboss")
        await world.file(header + b"\r\nbody\r\n")
        assert await client.do(b"NOOP") == (
            b"* 2 EXISTS\r\n* 1 RECENT\r\n* 2 FETCH (UID 2 BODY[HEADER.FIELDS (TO FROM SUBJECT)] {76}\r\n%b\r\n)\r\n"
            b'* ESEARCH (TAG "%b") ADDTO (0 2)\r\nT OK NOOP completed.\r\n' % (header, tag)
        )

    run(scenario)
