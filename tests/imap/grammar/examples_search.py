"""Commands of the extensions of FETCH and SEARCH as their RFCs show them. Ids name the sections."""

from __future__ import annotations

from datetime import date

from restante.imap.grammar import commands as c
from restante.imap.grammar.commands import Item
from restante.imap.grammar.commands import SourceKind as Kind
from restante.query import language as q
from restante.query.order import Criterion, SortKey

from .example import Case, seq, uids

UNDELETED = q.And((q.Not(q.HasFlag("\\Deleted")), q.Not(q.HasFlag("$Junk"))))

CASES = [
    Case("rfc8514-4.2", b"A101 FETCH 998 (SAVEDATE)\r\n", c.Fetch(b"A101", seq((998, 998)), (Item.SAVEDATE,))),
    Case(
        "rfc8514-4.3-on",
        b"A102 SEARCH SAVEDON 28-Dec-2014\r\n",
        c.Search(b"A102", q.Dated(q.Instant.SAVED, q.Order.ON, date(2014, 12, 28))),
    ),
    Case("rfc8514-4.3-supported", b"a SEARCH SavedateSupported\r\n", c.Search(b"a", q.All())),
    Case(
        "rfc5032-4",
        b"a1 SEARCH UNSEEN YOUNGER 259200\r\n",
        c.Search(b"a1", q.And((q.Not(q.HasFlag("\\Seen")), q.Within(259200, True)))),
    ),
    Case(
        "rfc8970-5-1",
        b"A2 FETCH 1 (RFC822.SIZE PREVIEW)\r\n",
        c.Fetch(b"A2", seq((1, 1)), (Item.RFC822_SIZE, Item.PREVIEW)),
    ),
    Case(
        "rfc8970-5-2",
        b"B1 FETCH 1:4 (ENVELOPE PREVIEW (LAZY))\r\n",
        c.Fetch(b"B1", seq((1, 4)), (Item.ENVELOPE, Item.PREVIEW_LAZY)),
    ),
    Case(
        "rfc8970-6",
        b"a uid fetch 1 (preview (lazy LAZY) flags)\r\n",
        c.Fetch(b"a", uids((1, 1)), (Item.PREVIEW_LAZY, Item.FLAGS), True),
    ),
    Case(
        "rfc8970-6-alone",
        b"a FETCH 1 PREVIEW (LAZY)\r\n",
        c.Fetch(b"a", seq((1, 1)), (Item.PREVIEW_LAZY,)),
    ),
    Case(
        "rfc8970-6-with-modifier",
        b"a FETCH 1 PREVIEW (LAZY) (CHANGEDSINCE 5)\r\n",
        c.Fetch(b"a", seq((1, 1)), (Item.PREVIEW_LAZY,), False, 5),
    ),
    Case(
        "rfc8970-6-before-a-modifier",
        b"a FETCH 1 PREVIEW (CHANGEDSINCE 5)\r\n",
        c.Fetch(b"a", seq((1, 1)), (Item.PREVIEW,), False, 5),
    ),
    Case(
        "rfc9394-3.1",
        b"A01 UID SEARCH RETURN (PARTIAL -1:-100) UNDELETED UNKEYWORD $Junk\r\n",
        c.Search(b"A01", UNDELETED, True, frozenset({"PARTIAL"}), partial=c.Partial(-1, -100)),
    ),
    Case(
        "rfc9394-3.1-reversed",
        b"A02 UID SEARCH RETURN (PARTIAL 24000:23500 count SAVE) UNDELETED UNKEYWORD $Junk\r\n",
        c.Search(b"A02", UNDELETED, True, frozenset({"PARTIAL", "COUNT", "SAVE"}), partial=c.Partial(24000, 23500)),
    ),
    Case(
        "rfc9394-3.3",
        b"10 UID FETCH 25900:26600 (UID FLAGS) (PARTIAL -1:-3)\r\n",
        c.Fetch(b"10", uids((25900, 26600)), (Item.UID, Item.FLAGS), True, partial=c.Partial(-1, -3)),
    ),
    Case(
        "rfc9394-3.4",
        b"101 UID FETCH 25900:26600 (UID FLAGS) (PARTIAL -1:-30 CHANGEDSINCE 98305)\r\n",
        c.Fetch(b"101", uids((25900, 26600)), (Item.UID, Item.FLAGS), True, 98305, partial=c.Partial(-1, -30)),
    ),
    Case(
        "rfc9738-3.2",
        b"12 UID SEARCH UIDAFTER 25000 UNSEEN\r\n",
        c.Search(b"12", q.And((q.Sequence(((25001, 0xFFFFFFFF),), True), q.Not(q.HasFlag("\\Seen")))), True),
    ),
    Case(
        "rfc9738-3.2-before",
        b"a SEARCH UIDBEFORE 25000\r\n",
        c.Search(b"a", q.Sequence(((1, 24999),), True)),
    ),
    Case(
        "rfc9738-3.2-nothing",
        b"a SEARCH OR UIDBEFORE 1 UIDAFTER 4294967295\r\n",
        c.Search(b"a", q.Or((q.Uids(()), q.Uids(())))),
    ),
    Case(
        "rfc7377-3",
        b'tag1 ESEARCH IN (mailboxes "folder1" subtree "folder2") unseen\r\n',
        c.ESearch(
            b"tag1",
            q.Not(q.HasFlag("\\Seen")),
            (c.Source(Kind.MAILBOXES, ("folder1",)), c.Source(Kind.SUBTREE, ("folder2",))),
        ),
    ),
    Case(
        "rfc7377-3-one",
        b'tag2 ESEARCH IN (mailboxes "folder1" subtree-one "folder2") subject "chad"\r\n',
        c.ESearch(
            b"tag2",
            q.Contains(q.Field.SUBJECT, "chad"),
            (c.Source(Kind.MAILBOXES, ("folder1",)), c.Source(Kind.SUBTREE_ONE, ("folder2",))),
        ),
    ),
    Case(
        "rfc7377-2",
        b'tag1 UID ESEARCH FROM "frobozz" 1:100\r\n',
        c.ESearch(b"tag1", q.And((q.Contains(q.Field.FROM, "frobozz"), seq((1, 100))))),
    ),
    Case(
        "rfc7377-4",
        b"a esearch in (Selected INBOXES personal subscribed mailboxes (a &AOk- {1+}\r\nb))"
        b" return (count partial 1:2) charset utf-8 all\r\n",
        c.ESearch(
            b"a",
            q.All(),
            (
                c.Source(Kind.SELECTED),
                c.Source(Kind.INBOXES),
                c.Source(Kind.PERSONAL),
                c.Source(Kind.SUBSCRIBED),
                c.Source(Kind.MAILBOXES, ("a", "é", "b")),
            ),
            frozenset({"COUNT", "PARTIAL"}),
            True,
            c.Partial(1, 2),
        ),
    ),
    Case(
        "rfc5267-4.2",
        b"A01 SEARCH RETURN (CONTEXT COUNT) UNDELETED UNKEYWORD $Junk\r\n",
        c.Search(b"A01", UNDELETED, False, frozenset({"CONTEXT", "COUNT"})),
    ),
    Case(
        "rfc5267-4.3",
        b"B01 UID SEARCH RETURN (UPDATE COUNT) DELETED KEYWORD $Junk\r\n",
        c.Search(
            b"B01",
            q.And((q.HasFlag("\\Deleted"), q.HasFlag("$Junk"))),
            True,
            frozenset({"UPDATE", "COUNT"}),
        ),
    ),
    Case("rfc5267-4.3.5", b'B04 CANCELUPDATE "B01"\r\n', c.CancelUpdate(b"B04", (b"B01",))),
    Case("rfc5267-5", b'a CANCELUPDATE "B01" "b"\r\n', c.CancelUpdate(b"a", (b"B01", b"b"))),
    Case(
        "rfc5465-7",
        b'a00 SEARCH RETURN (COUNT UPDATE (UID BODY.PEEK[HEADER.FIELDS (TO)])) FROM "boss"\r\n',
        c.Search(
            b"a00",
            q.Contains(q.Field.FROM, "boss"),
            False,
            frozenset({"COUNT", "UPDATE"}),
            update=(
                Item.UID,
                c.Body((), c.SectionText.FIELDS, (b"TO",), None, True, b"BODY[HEADER.FIELDS (TO)]"),
            ),
        ),
    ),
    Case(
        "rfc5267-4.3.1",
        b"B02 UID SORT RETURN (UPDATE COUNT) (REVERSE DATE) UTF-8 KEYWORD $Junk\r\n",
        c.Sort(
            b"B02",
            (Criterion(SortKey.DATE, True),),
            q.HasFlag("$Junk"),
            True,
            frozenset({"UPDATE", "COUNT"}),
        ),
    ),
    Case(
        "rfc5267-4.4-sort",
        b"a SORT RETURN (PARTIAL 2:1) (SUBJECT) UTF-8 ALL\r\n",
        c.Sort(b"a", (Criterion(SortKey.SUBJECT),), q.All(), False, frozenset({"PARTIAL"}), c.Partial(2, 1)),
    ),
    Case(
        "rfc5466-3.1",
        b'a SEARCH UID 300:900 FILTER on-the-road SINCE "3-Dec-2002"\r\n',
        c.Search(
            b"a",
            q.And(
                (
                    uids((300, 900)),
                    q.NamedFilter("on-the-road"),
                    q.Dated(q.Instant.RECEIVED, q.Order.SINCE, date(2002, 12, 3)),
                )
            ),
        ),
    ),
    Case(
        "rfc5466-3.1-charset",
        "a SEARCH SUBJECT {2+}\r\né NOT FILTER x\r\n".encode(),
        c.Search(b"a", q.And((q.Contains(q.Field.SUBJECT, "é"), q.Not(q.NamedFilter("x"))))),
    ),
]
