"""METADATA and NOTIFY as their RFCs' examples show them: (id, octets, what they mean)."""

from __future__ import annotations

from restante.imap.grammar import commands as c
from restante.imap.grammar.commands import Depth, Item
from restante.imap.grammar.notify import EventGroup, Notify, NotifyEvent, NotifyFilter

BOTH = ("/shared/comment", "/private/comment")
NEW, GONE, FLAG = NotifyEvent.MESSAGE_NEW, NotifyEvent.MESSAGE_EXPUNGE, NotifyEvent.FLAG_CHANGE
MESSAGES = frozenset({NEW, GONE})
HEADERS = c.Body(
    (), c.SectionText.FIELDS, (b"from", b"to", b"subject"), None, True, b"BODY[HEADER.FIELDS (from to subject)]"
)


def group(filter: NotifyFilter, *names: str, events: frozenset[NotifyEvent] = MESSAGES) -> EventGroup:
    return EventGroup(filter, names, events)


METADATA: list[tuple[str, bytes, c.Command]] = [
    ("rfc5464-4.2-1", b'a GETMETADATA "" /shared/comment\r\n', c.GetMetadata(b"a", "", ("/shared/comment",))),
    (
        "rfc5464-4.2-2",
        b'a GETMETADATA "INBOX" /private/comment\r\n',
        c.GetMetadata(b"a", "INBOX", ("/private/comment",)),
    ),
    (
        "rfc5464-4.2-3",
        b'a GETMETADATA "INBOX" (/shared/comment /private/comment)\r\n',
        c.GetMetadata(b"a", "INBOX", BOTH),
    ),
    (
        "rfc5464-4.2.1",
        b'a GETMETADATA "INBOX" (MAXSIZE 1024) (/shared/comment /private/comment)\r\n',
        c.GetMetadata(b"a", "INBOX", BOTH, 1024),
    ),
    (
        "rfc5464-5-options-first",
        b"a GETMETADATA (depth Infinity MAXSIZE 0) INBOX (/shared)\r\n",
        c.GetMetadata(b"a", "INBOX", ("/shared",), 0, Depth.ALL),
    ),
    (
        "rfc5464-4.2.2",
        b'a GETMETADATA "INBOX" (DEPTH 1) (/private/filters/values)\r\n',
        c.GetMetadata(b"a", "INBOX", ("/private/filters/values",), None, Depth.CHILDREN),
    ),
    (
        "rfc5464-4.4.1",
        b'a GETMETADATA "INBOX" /shared/comment /private/comment\r\n',
        c.GetMetadata(b"a", "INBOX", BOTH),
    ),
    (
        "quoted-entry",
        b'a GETMETADATA INBOX ("/shared/Vendor/x y/\\"z")\r\n',
        c.GetMetadata(b"a", "INBOX", ('/shared/Vendor/x y/"z',)),
    ),
    (
        "rfc5464-4.3-1",
        b"a SETMETADATA INBOX (/private/comment {33+}\r\nMy new comment across\r\ntwo lines.)\r\n",
        c.SetMetadata(b"a", "INBOX", (("/private/comment", b"My new comment across\r\ntwo lines."),)),
    ),
    (
        "rfc5464-4.3-2",
        b"a SETMETADATA INBOX (/private/comment NIL)\r\n",
        c.SetMetadata(b"a", "INBOX", (("/private/comment", None),)),
    ),
    (
        "rfc5464-4.3-3",
        b'a SETMETADATA INBOX (/private/comment "My new comment" /shared/comment "This one is for you!")\r\n',
        c.SetMetadata(
            b"a", "INBOX", (("/private/comment", b"My new comment"), ("/shared/comment", b"This one is for you!"))
        ),
    ),
    (
        "literal8",
        b'a SETMETADATA "" (/shared/vendor/x/y ~{4+}\r\n\0\r\n\xff /shared/vendor/x/z "")\r\n',
        c.SetMetadata(b"a", "", (("/shared/vendor/x/y", b"\0\r\n\xff"), ("/shared/vendor/x/z", b""))),
    ),
    (
        "rfc5466-3.2",
        b'a007 SETMETADATA "" ("/private/filters/values/on-the-road"'
        b' "OR SMALLER 5000 FROM \\"boss@example.com\\"")\r\n',
        c.SetMetadata(
            b"a007", "", (("/private/filters/values/on-the-road", b'OR SMALLER 5000 FROM "boss@example.com"'),)
        ),
    ),
    (
        "rfc9590-4-1",
        b'A01 LIST "" % RETURN (METADATA ("/shared/vendor/cmu/cyrus-imapd/color"))\r\n',
        c.List(b"A01", "", ("%",), True, metadata=("/shared/vendor/cmu/cyrus-imapd/color",)),
    ),
    (
        "rfc9590-4-2",
        b'A02 LIST (SUBSCRIBED RECURSIVEMATCH) "" % RETURN (CHILDREN METADATA (/shared/a /private/b/c))\r\n',
        c.List(
            b"A02",
            "",
            ("%",),
            True,
            frozenset({"SUBSCRIBED", "RECURSIVEMATCH"}),
            frozenset({"CHILDREN"}),
            metadata=("/shared/a", "/private/b/c"),
        ),
    ),
]

NOTIFY: list[tuple[str, bytes, c.Command]] = [
    ("rfc5465-3.1-none", b"a NOTIFY none\r\n", Notify(b"a", None)),
    (
        "rfc5465-3.1-1",  # its events in parentheses and both of a pair, as its own grammar has it
        b"b notify set status (selected (MessageNew (uid body.peek[header.fields (from to subject)]) MessageExpunge))"
        b" (subtree Lists (MessageNew MessageExpunge))\r\n",
        Notify(
            b"b",
            (
                EventGroup(NotifyFilter.SELECTED, (), MESSAGES, (Item.UID, HEADERS)),
                group(NotifyFilter.SUBTREE, "Lists"),
            ),
            True,
        ),
    ),
    (
        "rfc5465-6-1",
        b"a notify set (mailboxes INBOX (Messagenew messageExpunge)) (personal (SubscriptionChange))\r\n",
        Notify(
            b"a",
            (
                group(NotifyFilter.MAILBOXES, "INBOX"),
                group(NotifyFilter.PERSONAL, events=frozenset({NotifyEvent.SUBSCRIPTION_CHANGE})),
            ),
        ),
    ),
    (
        "rfc5465-6-2",
        b"a notify set (selected (Messagenew (uid flags) messageExpunge))"
        b" (personal (MessageNew FlagChange MessageExpunge))\r\n",
        Notify(
            b"a",
            (
                EventGroup(NotifyFilter.SELECTED, (), MESSAGES, (Item.UID, Item.FLAGS)),
                group(NotifyFilter.PERSONAL, events=MESSAGES | {FLAG}),
            ),
        ),
    ),
    (
        "everything",
        b"a NOTIFY SET (selected-delayed NONE) (inboxes NONE) (subscribed (MailboxName MailboxMetadataChange"
        b' ServerMetadataChange)) (subtree (A "B c" {1+}\r\nD) NONE) (mailboxes (E F) NONE)\r\n',
        Notify(
            b"a",
            (
                group(NotifyFilter.SELECTED_DELAYED, events=frozenset()),
                group(NotifyFilter.INBOXES, events=frozenset()),
                group(
                    NotifyFilter.SUBSCRIBED,
                    events=frozenset(
                        {NotifyEvent.MAILBOX_NAME, NotifyEvent.MAILBOX_METADATA, NotifyEvent.SERVER_METADATA}
                    ),
                ),
                group(NotifyFilter.SUBTREE, "A", "B c", "D", events=frozenset()),
                group(NotifyFilter.MAILBOXES, "E", "F", events=frozenset()),
            ),
        ),
    ),
]

REFUSED = [
    b"GETMETADATA",
    b"GETMETADATA INBOX",
    b"GETMETADATA INBOX ()",
    b"GETMETADATA INBOX /comment",
    b"GETMETADATA INBOX /shared/",
    b"GETMETADATA INBOX /shared//comment",
    b"GETMETADATA INBOX /shared/com*",
    b'GETMETADATA INBOX "/shared/com%"',
    b'GETMETADATA INBOX "/shared/co\tmment"',
    b"GETMETADATA INBOX {11+}\r\n/shared/caf\xe9",
    b"GETMETADATA INBOX /sharedcomment",
    b"GETMETADATA INBOX /shared/" + b"x" * 1_000,
    b"GETMETADATA INBOX (DEPTH 2) (/shared/a)",
    b"GETMETADATA INBOX (DEPTH 1 DEPTH 1) (/shared/a)",
    b"GETMETADATA INBOX (MAXSIZE) (/shared/a)",
    b"GETMETADATA INBOX (MAXSIZE 4294967296) (/shared/a)",
    b"GETMETADATA INBOX (NOSUCH) (/shared/a)",
    b"GETMETADATA INBOX (/shared/a" + b" /shared/a" * 1_000 + b")",
    b"SETMETADATA INBOX",
    b"SETMETADATA INBOX ()",
    b"SETMETADATA INBOX (/shared NIL)",
    b"SETMETADATA INBOX (/shared/vendor/x NIL)",
    b"SETMETADATA INBOX (/shared/a)",
    b"SETMETADATA INBOX (/shared/a b)",
    b"SETMETADATA INBOX (/shared/a {1+}\r\n\0)",
    b"SETMETADATA INBOX /shared/a NIL",
    b'LIST "" * RETURN (METADATA)',
    b'LIST "" * RETURN (METADATA ())',
    b'LIST "" * RETURN (METADATA (a))',
    b'LIST "" * RETURN (METADATA (/shared/a' + b" /shared/a" * 100 + b"))",
    b"NOTIFY",
    b"NOTIFY SET",
    b"NOTIFY SET STATUS",
    b"NOTIFY NONE NONE",
    b"NOTIFY SET ()",
    b"NOTIFY SET (personal)",
    b"NOTIFY SET (personal ())",
    b"NOTIFY SET (personal MessageNew)",
    b"NOTIFY SET (nosuch NONE)",
    b"NOTIFY SET (subtree NONE)",
    b"NOTIFY SET (subtree () NONE)",
    b"NOTIFY SET (personal (MessageNew))",
    b"NOTIFY SET (personal (MessageExpunge))",
    b"NOTIFY SET (personal (FlagChange))",
    b"NOTIFY SET (personal (FlagChange MessageNew))",
    b"NOTIFY SET (personal (MessageNew (uid) MessageExpunge))",
    b"NOTIFY SET (selected (MessageNew () MessageExpunge))",
    b"NOTIFY SET (selected (MessageNew (nosuch) MessageExpunge))",
    b"NOTIFY SET (selected (MailboxName))",
    b"NOTIFY SET (selected NONE) (selected-delayed NONE)",
    b"NOTIFY SET (personal NONE)(personal NONE)",
]
