"""Commands as the RFCs' examples show them, with the values they mean. Ids name the sections."""

from __future__ import annotations

from datetime import date, datetime, timedelta, timezone

from restante.imap.grammar import commands as c
from restante.imap.grammar.commands import Item, StatusItem, StoreMode
from restante.query import language as q
from restante.query.order import Criterion, SortKey
from restante.query.threads import Algorithm

from . import examples_search
from .example import Case, seq, uids
from .examples_watching import METADATA, NOTIFY
from .helpers import append

SAVED = q.Sequence((), saved=True)
SAVED_UIDS = q.Sequence((), True, True)
PDT = timezone(timedelta(hours=-7))
PST = timezone(timedelta(hours=-8))
MESSAGE = (
    b"Date: Mon, 7 Feb 1994 21:52:25 -0800 (PST)\r\nFrom: Fred Foobar <foobar@Blurdybloop.example>\r\n"
    b"Subject: afternoon meeting\r\n\r\nHello Joe, do you think we can meet at 3:30 tomorrow?\r\n"
)


def fields(names: tuple[bytes, ...], label: bytes, peek: bool = False, path: tuple[int, ...] = ()) -> c.Body:
    return c.Body(path, c.SectionText.FIELDS, names, None, peek, label)


def body(
    label: bytes,
    text: c.SectionText = c.SectionText.WHOLE,
    path: tuple[int, ...] = (),
    partial: tuple[int, int] | None = None,
    peek: bool = False,
) -> c.Body:
    return c.Body(path, text, (), partial, peek, label)


ACCESS = [
    Case("rfc4314-2.1.1", b"A001 SeTacl INBOX/Drafts David lrswida\r\n",
         c.SetAcl(b"A001", "INBOX/Drafts", "David", c.AclMode.REPLACE, "lrswida")),
    Case("rfc4314-3.1-add", b"A002 SETACL INBOX/Drafts Chris +cda\r\n",
         c.SetAcl(b"A002", "INBOX/Drafts", "Chris", c.AclMode.ADD, "cda")),
    Case("rfc4314-3.1-unknown", b"A036 SETACL INBOX/Drafts John lrqswicda\r\n",
         c.SetAcl(b"A036", "INBOX/Drafts", "John", c.AclMode.REPLACE, "lrqswicda")),
    Case("rfc4314-3.1-remove", b'A1 SETACL INBOX "-fred" "-w"\r\n',
         c.SetAcl(b"A1", "INBOX", "-fred", c.AclMode.REMOVE, "w")),
    Case("rfc4314-3.1-nothing", b'A1 SETACL INBOX fred ""\r\n',
         c.SetAcl(b"A1", "INBOX", "fred", c.AclMode.REPLACE, "")),
    Case("rfc4314-3.2", b"B002 DeleteAcl INBOX Fred\r\n", c.DeleteAcl(b"B002", "INBOX", "Fred")),
    Case("rfc4314-3.3", b"A002 GETACL INBOX\r\n", c.GetAcl(b"A002", "INBOX")),
    Case("rfc4314-3.4", b"a001 LISTRIGHTS ~/Mail/saved smith\r\n", c.ListRights(b"a001", "~/Mail/saved", "smith")),
    Case("rfc4314-3.5", b"A003 MYRIGHTS INBOX\r\n", c.MyRights(b"A003", "INBOX")),
    Case("rfc8440-4", b'A01 LIST "" % RETURN (MYRIGHTS)\r\n',
         c.List(b"A01", "", ("%",), True, frozenset(), frozenset({"MYRIGHTS"}))),
    Case("rfc8440-4-recursive", b'A02 LIST (SUBSCRIBED RECURSIVEMATCH) "" % RETURN (MYRIGHTS)\r\n',
         c.List(b"A02", "", ("%",), True, frozenset({"SUBSCRIBED", "RECURSIVEMATCH"}), frozenset({"MYRIGHTS"}))),
    Case("rfc9208-4.1.1", b'G0001 GETQUOTA "!partition/sda4"\r\n', c.GetQuota(b"G0001", "!partition/sda4")),
    Case("rfc9208-4.1.2", b"G0002 GETQUOTAROOT INBOX\r\n", c.GetQuotaRoot(b"G0002", "INBOX")),
    Case("rfc9208-4.1.3", b'S0001 SETQUOTA "#user/alice" (STORAGE 510)\r\n',
         c.SetQuota(b"S0001", "#user/alice", (("STORAGE", 510),))),
    Case("rfc9208-4.1.3-two", b'S1 SETQUOTA "" (storage 0 MESSAGE 9223372036854775807)\r\n',
         c.SetQuota(b"S1", "", (("STORAGE", 0), ("MESSAGE", (1 << 63) - 1)))),
    Case("rfc9208-4.1.3-none", b'S1 SETQUOTA "" ()\r\n', c.SetQuota(b"S1", "", ())),
    Case("rfc9208-4.1.4", b"S0003 STATUS INBOX (MESSAGES DELETED DELETED-STORAGE)\r\n",
         c.Status(b"S0003", "INBOX", (StatusItem.MESSAGES, StatusItem.DELETED, StatusItem.DELETED_STORAGE))),
]  # fmt: skip

SESSION = [
    Case("rfc9051-6.1.1", b"abcd CAPABILITY\r\n", c.Capability(b"abcd")),
    Case("rfc9051-6.1.2", b"a002 NOOP\r\n", c.Noop(b"a002")),
    Case("rfc9051-6.1.3", b"A023 LOGOUT\r\n", c.Logout(b"A023")),
    Case("lower-case", b"a023 logout\r\n", c.Logout(b"a023")),
    Case("bare-lf", b"a023 LOGOUT\n", c.Logout(b"a023")),
    Case("rfc9051-6.2.1", b"a002 STARTTLS\r\n", c.StartTls(b"a002")),
    Case("rfc9051-6.2.2", b"A001 AUTHENTICATE GSSAPI\r\n", c.Authenticate(b"A001", "GSSAPI", None)),
    Case(
        "rfc4959-5",
        b"C01 AUTHENTICATE PLAIN dGVzdAB0ZXN0AHRlc3Q=\r\n",
        c.Authenticate(b"C01", "PLAIN", b"test\0test\0test"),
    ),
    Case("rfc4959-3", b"C01 authenticate external =\r\n", c.Authenticate(b"C01", "EXTERNAL", b"")),
    Case("rfc9051-6.2.3", b"a001 LOGIN SMITH SESAME\r\n", c.Login(b"a001", b"SMITH", b"SESAME")),
    Case("login-quoted", b'a LOGIN "jo\\"e" "p\\\\w"\r\n', c.Login(b"a", b'jo"e', b"p\\w")),
    Case("login-empty", b'a LOGIN "" ""\r\n', c.Login(b"a", b"", b"")),
    Case(
        "rfc7888-3",
        b"A001 LOGIN {11+}\r\nFRED FOOBAR {7+}\r\nfat man\r\n",
        c.Login(b"A001", b"FRED FOOBAR", b"fat man"),
    ),
    Case("rfc9051-4.3", b"A001 LOGIN {11}\r\nFRED FOOBAR {0}\r\n\r\n", c.Login(b"A001", b"FRED FOOBAR", b"")),
    Case("utf8-quoted", 'a LOGIN "jö" x\r\n'.encode(), c.Login(b"a", "jö".encode(), b"x"), True),
    Case("rfc5255-3.2-enumerate", b"A003 LANGUAGE\r\n", c.Language(b"A003", ())),
    Case("rfc5255-3.2-one", b"D002 LANGUAGE DE-IT\r\n", c.Language(b"D002", ("DE-IT",))),
    Case("rfc5255-3.2-default", b'D003 LANGUAGE "default"\r\n', c.Language(b"D003", ("default",))),
    Case("rfc5255-3.2-two", b"E001 LANGUAGE FR-CA EN-CA\r\n", c.Language(b"E001", ("FR-CA", "EN-CA"))),
    Case("rfc4647-2.2", b'a LANGUAGE "*-DE" {1+}\r\n*\r\n', c.Language(b"a", ("*-DE", "*"))),
    Case("rfc4978-3", b"c compress deflate\r\n", c.Compress(b"c")),
    Case("rfc8437-3", b"a UNAUTHENTICATE\r\n", c.Unauthenticate(b"a")),
    Case("rfc9051-6.3.1", b"t2 ENABLE CONDSTORE x-good-idea\r\n", c.Enable(b"t2", ("CONDSTORE", "X-GOOD-IDEA"))),
    Case(
        "rfc2971-3.1",
        b'a023 ID ("name" "sodr" "version" "19.34" "vendor" NIL)\r\n',
        c.Id(b"a023", ((b"name", b"sodr"), (b"version", b"19.34"), (b"vendor", None))),
    ),
    Case("rfc2971-3.1-nil", b"a042 ID NIL\r\n", c.Id(b"a042", None)),
    Case("rfc9051-6.3.13", b"A002 IDLE\r\n", c.Idle(b"A002")),
]

MAILBOXES = [
    Case("rfc9051-6.3.2", b"A142 SELECT INBOX\r\n", c.Select(b"A142", "INBOX", False)),
    Case("rfc9051-6.3.3", b"A932 EXAMINE blurdybloop\r\n", c.Select(b"A932", "blurdybloop", True)),
    Case("rfc7162-3.1.8", b"A142 SELECT INBOX (CONDSTORE)\r\n", c.Select(b"A142", "INBOX", False, True)),
    Case(
        "rfc7162-3.2.5",
        b"A02 SELECT INBOX (QRESYNC (67890007 20050715194045000 41,43:211,214:541))\r\n",
        c.Select(
            b"A02",
            "INBOX",
            False,
            False,
            c.QResync(67890007, 20050715194045000, uids((41, 41), (43, 211), (214, 541)), None, None),
        ),
    ),
    Case(
        "rfc7162-3.2.5.2",
        b"B04 SELECT INBOX (QRESYNC (67890007 90060115194045000 1:29997 (5000,7500 15000,22500)))\r\n",
        c.Select(
            b"B04",
            "INBOX",
            False,
            False,
            c.QResync(
                67890007,
                90060115194045000,
                uids((1, 29997)),
                seq((5000, 5000), (7500, 7500)),
                uids((15000, 15000), (22500, 22500)),
            ),
        ),
    ),
    Case(
        "rfc7162-7-match-alone",
        b"a EXAMINE x (QRESYNC (1 2 (3 4)) CONDSTORE)\r\n",
        c.Select(b"a", "x", True, True, c.QResync(1, 2, None, seq((3, 3)), uids((4, 4)))),
    ),
    Case("rfc9051-6.3.4", b"A003 CREATE owatagusiam/\r\n", c.Create(b"A003", "owatagusiam/")),
    Case(
        "rfc6154-5.3",
        b"t1 CREATE MySpecial (USE (\\Drafts \\Sent))\r\n",
        c.Create(b"t1", "MySpecial", ("\\Drafts", "\\Sent")),
    ),
    Case("rfc9051-6.3.5", b"A684 DELETE foo/bar\r\n", c.Delete(b"A684", "foo/bar")),
    Case("rfc9051-6.3.6", b"Z433 RENAME INBOX old-mail\r\n", c.Rename(b"Z433", "INBOX", "old-mail")),
    Case("rfc9051-6.3.7", b"A002 SUBSCRIBE #news.comp.mail.mime\r\n", c.Subscribe(b"A002", "#news.comp.mail.mime")),
    Case("rfc9051-6.3.8", b'A002 UNSUBSCRIBE "a b"\r\n', c.Unsubscribe(b"A002", "a b")),
    Case(
        "rfc3501-5.1.3",
        b"a SELECT ~peter/mail/&U,BTFw-/&ZeVnLIqe-\r\n",
        c.Select(b"a", "~peter/mail/台北/日本語", False),
    ),
    Case("rfc9051-5.1", 'a SELECT "~peter/台北"\r\n'.encode(), c.Select(b"a", "~peter/台北", False), True),
    Case("rfc3501-6.3.9", b'A002 LSUB "#news." "comp.mail.*"\r\n', c.Lsub(b"A002", "#news.", "comp.mail.*")),
    Case("rfc9051-6.3.10", b"A001 NAMESPACE\r\n", c.Namespace(b"A001")),
    Case(
        "rfc9051-6.3.11",
        b"A042 STATUS blurdybloop (UIDNEXT MESSAGES)\r\n",
        c.Status(b"A042", "blurdybloop", (StatusItem.UIDNEXT, StatusItem.MESSAGES)),
    ),
    Case(
        "rfc8474-4.3",
        b"6 status foo (MAILBOXID HIGHESTMODSEQ size)\r\n",
        c.Status(b"6", "foo", (StatusItem.MAILBOXID, StatusItem.HIGHESTMODSEQ, StatusItem.SIZE)),
    ),
]

LISTS = [
    Case("rfc9051-6.3.9", b'A101 LIST "" ""\r\n', c.List(b"A101", "", ("",))),
    Case("rfc9051-6.3.9-%", b"A202 LIST ~/Mail/ %\r\n", c.List(b"A202", "~/Mail/", ("%",))),
    Case(
        "rfc5258-5-1",
        b'A02 LIST (SUBSCRIBED) "" "*"\r\n',
        c.List(b"A02", "", ("*",), True, frozenset({"SUBSCRIBED"})),
    ),
    Case(
        "rfc5258-5-3",
        b'A03 LIST () "" "%" RETURN (CHILDREN)\r\n',
        c.List(b"A03", "", ("%",), True, frozenset(), frozenset({"CHILDREN"})),
    ),
    Case(
        "rfc5258-5-6",
        b'A04 LIST (REMOTE) "" "%" RETURN (SUBSCRIBED CHILDREN)\r\n',
        c.List(b"A04", "", ("%",), True, frozenset({"REMOTE"}), frozenset({"CHILDREN", "SUBSCRIBED"})),
    ),
    Case(
        "rfc5258-5-8",
        b'C01 LIST (SUBSCRIBED RECURSIVEMATCH) "" ("%" "foo/*")\r\n',
        c.List(b"C01", "", ("%", "foo/*"), True, frozenset({"SUBSCRIBED", "RECURSIVEMATCH"})),
    ),
    Case(
        "rfc5258-patterns",
        b'BBB LIST "" ("INBOX" "Drafts" Sent/%)\r\n',
        c.List(b"BBB", "", ("INBOX", "Drafts", "Sent/%"), True),
    ),
    Case(
        "rfc5819-3",
        b'A01 LIST "" % RETURN (STATUS (MESSAGES UNSEEN))\r\n',
        c.List(b"A01", "", ("%",), True, frozenset(), frozenset(), (StatusItem.MESSAGES, StatusItem.UNSEEN)),
    ),
    Case(
        "rfc6154-5.2",
        b'A2 LIST (SPECIAL-USE) "" "%" RETURN (SPECIAL-USE)\r\n',
        c.List(b"A2", "", ("%",), True, frozenset({"SPECIAL-USE"}), frozenset({"SPECIAL-USE"})),
    ),
    Case("empty-return", b'a LIST "" * RETURN ()\r\n', c.List(b"a", "", ("*",), True)),
]

LINE = b"\r\n--------------030308070208000400050907\r\n"
CATENATED = (
    b"A003 APPEND Drafts (\\Seen \\Draft $MDNSent) CATENATE"
    b' (URL "/Drafts;UIDVALIDITY=385759045/;UID=20/;section=HEADER" TEXT'
    b" {%d+}\r\n%b URL /Drafts;UIDVALIDITY=385759045/;UID=20/;section=1.MIME Text {%d}\r\n%b)\r\n"
    % (len(LINE), LINE, len(LINE), LINE)
)

APPENDS = [
    Case(
        "rfc3502-6.3.11",
        b"A003 APPEND saved-messages (\\Seen) {%d}\r\n%b"
        b' (\\Seen) " 7-Feb-1994 22:43:04 -0800" {2+}\r\nhi ~{3}\r\na\0b UTF8 (~{1+}\r\nu)\r\n'
        % (len(MESSAGE), MESSAGE),
        c.Append(
            b"A003",
            "saved-messages",
            (
                c.AppendMessage(("\\Seen",), None, (c.Text(MESSAGE),)),
                c.AppendMessage(("\\Seen",), datetime(1994, 2, 7, 22, 43, 4, tzinfo=PST), (c.Text(b"hi"),)),
                c.AppendMessage((), None, (c.Text(b"a\0b", True),)),
                c.AppendMessage((), None, (c.Text(b"u", True, True),)),
            ),
        ),
    ),
    Case(
        "imapclient-multiappend",
        b"a APPEND x {1}\r\ny  {1}\r\nz\r\n",
        c.Append(b"a", "x", (c.AppendMessage((), None, (c.Text(b"y"),)), c.AppendMessage((), None, (c.Text(b"z"),)))),
    ),
    Case(
        "rfc4469-appendix-a-1",
        CATENATED,
        c.Append(
            b"A003",
            "Drafts",
            (
                c.AppendMessage(
                    ("\\Seen", "\\Draft", "$MDNSent"),
                    None,
                    (
                        c.Url(b"/Drafts;UIDVALIDITY=385759045/;UID=20/;section=HEADER"),
                        c.Text(LINE),
                        c.Url(b"/Drafts;UIDVALIDITY=385759045/;UID=20/;section=1.MIME"),
                        c.Text(LINE),
                    ),
                    True,
                ),
            ),
        ),
    ),
    Case(
        "rfc6855-4-in-catenate",
        b"a APPEND x CATENATE (UTF8 (~{2+}\r\nab) TEXT {1}\r\nc) {1+}\r\nd\r\n",
        c.Append(
            b"a",
            "x",
            (
                c.AppendMessage((), None, (c.Text(b"ab", True, True), c.Text(b"c")), True),
                c.AppendMessage((), None, (c.Text(b"d"),)),
            ),
        ),
    ),
    Case(
        "rfc8508-3.2",
        b"A003 REPLACE 4 Drafts (\\Seen \\Draft) {%d}\r\n%b\r\n" % (len(MESSAGE), MESSAGE),
        c.Replace(b"A003", seq((4, 4)), "Drafts", c.AppendMessage(("\\Seen", "\\Draft"), None, (c.Text(MESSAGE),))),
    ),
    Case(
        "rfc8508-4.2",
        b'A011 UID REPLACE 3002 Drafts CATENATE (TEXT {2}\r\nT: URL "/Drafts/;UID=3002")\r\n',
        c.Replace(
            b"A011",
            uids((3002, 3002)),
            "Drafts",
            c.AppendMessage((), None, (c.Text(b"T:"), c.Url(b"/Drafts/;UID=3002")), True),
            True,
        ),
    ),
    Case(
        "rfc8508-5-last-message",
        b"a REPLACE * x {1+}\r\ny\r\n",
        c.Replace(b"a", seq((0, 0)), "x", c.AppendMessage((), None, (c.Text(b"y"),))),
    ),
    Case(
        "rfc9051-6.3.12",
        b"A003 APPEND saved-messages (\\Seen) {%d+}\r\n%b\r\n" % (len(MESSAGE), MESSAGE),
        append(b"A003", "saved-messages", ("\\Seen",), None, MESSAGE),
    ),
    Case(
        "rfc9051-9-date-time",
        b'a APPEND x (\\Seen $Work) " 7-Jul-1996 02:44:25 -0700" {2}\r\nhi\r\n',
        append(b"a", "x", ("\\Seen", "$Work"), datetime(1996, 7, 7, 2, 44, 25, tzinfo=PDT), b"hi"),
    ),
    Case("literal-mailbox", b"a APPEND {3}\r\na b {2+}\r\nhi\r\n", append(b"a", "a b", (), None, b"hi")),
    Case("rfc3516-4.4", b"a APPEND x ~{3+}\r\na\0b\r\n", append(b"a", "x", (), None, b"a\0b", True)),
    Case("old-mail-with-nul", b"a APPEND x {3}\r\na\0b\r\n", append(b"a", "x", (), None, b"a\0b")),
    Case(
        "rfc6855-4",
        b"a APPEND x () UTF8 (~{3+}\r\nabc)\r\n",
        append(b"a", "x", (), None, b"abc", True, True),
        True,
    ),
]

FETCHES = [
    Case(
        "rfc9051-6.4.5",
        b"A654 FETCH 2:4 (FLAGS BODY[HEADER.FIELDS (DATE FROM)])\r\n",
        c.Fetch(
            b"A654",
            seq((2, 4)),
            (Item.FLAGS, fields((b"DATE", b"FROM"), b"BODY[HEADER.FIELDS (DATE FROM)]")),
        ),
    ),
    Case(
        "rfc3501-6.4.5-all",
        b"a FETCH * ALL\r\n",
        c.Fetch(b"a", seq((0, 0)), (Item.FLAGS, Item.INTERNALDATE, Item.RFC822_SIZE, Item.ENVELOPE)),
    ),
    Case(
        "rfc3501-6.4.5-fast",
        b"a FETCH 1 fast\r\n",
        c.Fetch(b"a", seq((1, 1)), (Item.FLAGS, Item.INTERNALDATE, Item.RFC822_SIZE)),
    ),
    Case(
        "rfc3501-6.4.5-full",
        b"a FETCH 1 FULL\r\n",
        c.Fetch(b"a", seq((1, 1)), (Item.FLAGS, Item.INTERNALDATE, Item.RFC822_SIZE, Item.ENVELOPE, Item.BODY)),
    ),
    Case(
        "rfc3501-6.4.5-rfc822",
        b"a FETCH 1 (RFC822 RFC822.HEADER RFC822.TEXT RFC822.SIZE)\r\n",
        c.Fetch(
            b"a",
            seq((1, 1)),
            (
                body(b"RFC822"),
                body(b"RFC822.HEADER", c.SectionText.HEADER, peek=True),
                body(b"RFC822.TEXT", c.SectionText.TEXT),
                Item.RFC822_SIZE,
            ),
        ),
    ),
    Case(
        "rfc9051-6.4.5-sections",
        b"a FETCH 1 (BODY BODYSTRUCTURE BODY[] BODY[4.2.2.1] BODY[1.MIME] BODY[4.1.HEADER] body.peek[text]<0.20>)\r\n",
        c.Fetch(
            b"a",
            seq((1, 1)),
            (
                Item.BODY,
                Item.BODYSTRUCTURE,
                body(b"BODY[]"),
                body(b"BODY[4.2.2.1]", path=(4, 2, 2, 1)),
                body(b"BODY[1.MIME]", c.SectionText.MIME, (1,)),
                body(b"BODY[4.1.HEADER]", c.SectionText.HEADER, (4, 1)),
                body(b"BODY[TEXT]<0>", c.SectionText.TEXT, (), (0, 20), True),
            ),
        ),
    ),
    Case(
        "rfc9051-7.5.2-not",
        b'a FETCH 1 BODY.PEEK[2.HEADER.FIELDS.NOT ("Re(f" X)]<5.6>\r\n',
        c.Fetch(
            b"a",
            seq((1, 1)),
            (
                c.Body(
                    (2,),
                    c.SectionText.FIELDS_NOT,
                    (b"Re(f", b"X"),
                    (5, 6),
                    True,
                    b'BODY[2.HEADER.FIELDS.NOT ("Re(f" X)]<5>',
                ),
            ),
        ),
    ),
    Case(
        "rfc3516-4.2",
        b"a UID FETCH 7:5 (BINARY[1.2]<3.4> BINARY.PEEK[] BINARY.SIZE[1])\r\n",
        c.Fetch(
            b"a",
            uids((5, 7)),
            (
                c.Binary((1, 2), (3, 4), False, False, b"BINARY[1.2]<3>"),
                c.Binary((), None, True, False, b"BINARY[]"),
                c.Binary((1,), None, True, True, b"BINARY.SIZE[1]"),
            ),
            True,
        ),
    ),
    Case(
        "rfc7162-3.1.4.1",
        b"s100 UID FETCH 1:* (FLAGS) (CHANGEDSINCE 12345)\r\n",
        c.Fetch(b"s100", uids((1, 0)), (Item.FLAGS,), True, 12345),
    ),
    Case(
        "rfc7162-3.2.6",
        b"s100 UID FETCH 300:500 (FLAGS) (CHANGEDSINCE 12345 VANISHED)\r\n",
        c.Fetch(b"s100", uids((300, 500)), (Item.FLAGS,), True, 12345, True),
    ),
    Case(
        "rfc8474-5.1",
        b"5 fetch $ (emailid threadid MODSEQ UID)\r\n",
        c.Fetch(b"5", SAVED, (Item.EMAILID, Item.THREADID, Item.MODSEQ, Item.UID)),
    ),
    Case("repeated-items", b"a FETCH 1 (UID FLAGS uid)\r\n", c.Fetch(b"a", seq((1, 1)), (Item.UID, Item.FLAGS))),
]

CHANGES = [
    Case("rfc3501-6.4.1", b"FXXZ CHECK\r\n", c.Check(b"FXXZ")),
    Case("rfc9051-6.4.1", b"A341 CLOSE\r\n", c.Close(b"A341")),
    Case("rfc9051-6.4.2", b"A342 UNSELECT\r\n", c.Unselect(b"A342")),
    Case("rfc9051-6.4.3", b"A202 EXPUNGE\r\n", c.Expunge(b"A202")),
    Case("rfc4315-2.1", b"A101 UID EXPUNGE 3000:3002\r\n", c.Expunge(b"A101", uids((3000, 3002)))),
    Case(
        "rfc9051-6.4.6",
        b"A003 STORE 2:4 +FLAGS (\\Deleted)\r\n",
        c.Store(b"A003", seq((2, 4)), StoreMode.ADD, False, ("\\Deleted",)),
    ),
    Case(
        "store-bare-flags",
        b"a UID STORE $ -flags.silent \\Seen $Junk\r\n",
        c.Store(b"a", SAVED_UIDS, StoreMode.REMOVE, True, ("\\Seen", "$Junk"), True),
    ),
    Case("store-none", b"a STORE 1 FLAGS ()\r\n", c.Store(b"a", seq((1, 1)), StoreMode.REPLACE, False, ())),
    Case(
        "rfc7162-3.1.3",
        b"a103 UID STORE 6,4,8 (UNCHANGEDSINCE 12121230045) +FLAGS.SILENT (\\Deleted)\r\n",
        c.Store(b"a103", uids((6, 6), (4, 4), (8, 8)), StoreMode.ADD, True, ("\\Deleted",), True, 12121230045),
    ),
    Case("rfc9051-6.4.7", b"A003 COPY 2:4 MEETING\r\n", c.Copy(b"A003", seq((2, 4)), "MEETING")),
    Case("rfc5182-2.4", b'E283 UID COPY $ "Other Messages"\r\n', c.Copy(b"E283", SAVED_UIDS, "Other Messages", True)),
    Case("rfc6851-4.3", b"a UID MOVE 42:69 foo\r\n", c.Move(b"a", uids((42, 69)), "foo", True)),
    Case("rfc6851-3.1", b"a MOVE 1,*:3 foo\r\n", c.Move(b"a", seq((1, 1), (3, 0)), "foo")),
]

UNDELETED = q.Not(q.HasFlag("\\Deleted"))
SEARCHES = [
    Case(
        "rfc3501-6.4.4",
        b'A282 SEARCH FLAGGED SINCE 1-Feb-1994 NOT FROM "Smith"\r\n',
        c.Search(
            b"A282",
            q.And(
                (
                    q.HasFlag("\\Flagged"),
                    q.Dated(q.Instant.RECEIVED, q.Order.SINCE, date(1994, 2, 1)),
                    q.Not(q.Contains(q.Field.FROM, "Smith")),
                )
            ),
        ),
    ),
    Case(
        "rfc3501-6.4.4-charset",
        "A284 SEARCH CHARSET UTF-8 TEXT {12+}\r\nматери\r\n".encode(),
        c.Search(b"A284", q.Contains(q.Field.TEXT, "матери")),
    ),
    Case(
        "rfc3501-6.4.4-koi8",
        b"A284 SEARCH CHARSET koi8-r SUBJECT {3}\r\n\xcd\xc1\xd4\r\n",
        c.Search(b"A284", q.Contains(q.Field.SUBJECT, "мат")),
    ),
    Case("rfc9051-6.4.4-utf8", 'a SEARCH TO "ü"\r\n'.encode(), c.Search(b"a", q.Contains(q.Field.TO, "ü")), True),
    Case(
        "rfc4731-3.1",
        b'A283 UID SEARCH RETURN (MIN MAX COUNT) SMALLER 3 ON "1-Feb-1994"\r\n',
        c.Search(
            b"A283",
            q.And((q.Smaller(3), q.Dated(q.Instant.RECEIVED, q.Order.ON, date(1994, 2, 1)))),
            True,
            frozenset({"MIN", "MAX", "COUNT"}),
        ),
    ),
    Case("rfc4731-3.1-empty", b"a SEARCH RETURN () ALL\r\n", c.Search(b"a", q.All(), False, frozenset({"ALL"}))),
    Case(
        "rfc5182-2.3",
        b"P283 SEARCH RETURN (SAVE) (OR $ 1,3000:3021) UID $\r\n",
        c.Search(
            b"P283",
            q.And((q.Or((SAVED, seq((1, 1), (3000, 3021)))), SAVED_UIDS)),
            False,
            frozenset({"SAVE"}),
        ),
    ),
    Case(
        "rfc5256-3-SORT",
        b"A282 SORT (SUBJECT) UTF-8 SINCE 1-Feb-1994\r\n",
        c.Sort(
            b"A282",
            (Criterion(SortKey.SUBJECT),),
            q.Dated(q.Instant.RECEIVED, q.Order.SINCE, date(1994, 2, 1)),
        ),
    ),
    Case(
        "rfc5256-3-SORT-reverse",
        b"A283 SORT (SUBJECT REVERSE DATE) UTF-8 ALL\r\n",
        c.Sort(b"A283", (Criterion(SortKey.SUBJECT), Criterion(SortKey.DATE, True)), q.All()),
    ),
    Case(
        "rfc5256-3-SORT-text",
        b'A284 SORT (SUBJECT) US-ASCII TEXT "not in mailbox"\r\n',
        c.Sort(b"A284", (Criterion(SortKey.SUBJECT),), q.Contains(q.Field.TEXT, "not in mailbox")),
    ),
    Case(
        "rfc5256-5-every-key",
        b'a uid sort (reverse arrival cc date reverse from size to displayfrom displayto) "koi8-r" subject {3+}\r\n'
        b"\xcd\xc1\xd4\r\n",
        c.Sort(
            b"a",
            (
                Criterion(SortKey.ARRIVAL, True),
                Criterion(SortKey.CC),
                Criterion(SortKey.DATE),
                Criterion(SortKey.FROM, True),
                Criterion(SortKey.SIZE),
                Criterion(SortKey.TO),
                Criterion(SortKey.DISPLAYFROM),
                Criterion(SortKey.DISPLAYTO),
            ),
            q.Contains(q.Field.SUBJECT, "мат"),
            True,
        ),
    ),
    Case(
        "rfc5267-3.3",
        b"E01 UID SORT RETURN () (REVERSE DATE) UTF-8 UNDELETED UNKEYWORD $Junk\r\n",
        c.Sort(
            b"E01",
            (Criterion(SortKey.DATE, True),),
            q.And((UNDELETED, q.Not(q.HasFlag("$Junk")))),
            True,
            frozenset({"ALL"}),
        ),
    ),
    Case(
        "rfc7162-3.1.10",
        b"a SORT RETURN (ALL) (DATE) UTF-8 MODSEQ 1234\r\n",
        c.Sort(b"a", (Criterion(SortKey.DATE),), q.ModSeq(1234), False, frozenset({"ALL"})),
    ),
    Case(
        "rfc5256-3-THREAD",
        b"A283 THREAD ORDEREDSUBJECT UTF-8 SINCE 5-MAR-2000\r\n",
        c.Thread(b"A283", Algorithm.ORDEREDSUBJECT, q.Dated(q.Instant.RECEIVED, q.Order.SINCE, date(2000, 3, 5))),
    ),
    Case(
        "rfc5256-3-THREAD-references",
        b'A284 UID THREAD references US-ASCII TEXT "gewp"\r\n',
        c.Thread(b"A284", Algorithm.REFERENCES, q.Contains(q.Field.TEXT, "gewp"), True),
    ),
    Case(
        "rfc6203-3",
        b'A1 SEARCH FUZZY (SUBJECT "IMAP break")\r\n',
        c.Search(b"A1", q.Fuzzy(q.Contains(q.Field.SUBJECT, "IMAP break"))),
    ),
    Case(
        "rfc6203-3-one-key",
        b"A2 SEARCH FUZZY SUBJECT work FROM user@example.com\r\n",
        c.Search(
            b"A2",
            q.And((q.Fuzzy(q.Contains(q.Field.SUBJECT, "work")), q.Contains(q.Field.FROM, "user@example.com"))),
        ),
    ),
    Case(
        "rfc6203-4",
        b'B1 SEARCH RETURN (RELEVANCY ALL) FUZZY TEXT "Helo"\r\n',
        c.Search(b"B1", q.Fuzzy(q.Contains(q.Field.TEXT, "Helo")), False, frozenset({"RELEVANCY", "ALL"})),
    ),
    Case(
        "rfc6203-6",
        b'C2 SORT RETURN (RELEVANCY ALL) (RELEVANCY) UTF-8 FUZZY TEXT "Helo"\r\n',
        c.Sort(
            b"C2",
            (Criterion(SortKey.RELEVANCY),),
            q.Fuzzy(q.Contains(q.Field.TEXT, "Helo")),
            False,
            frozenset({"RELEVANCY", "ALL"}),
        ),
    ),
    Case(
        "rfc7162-3.1.5",
        b"t SEARCH OR NOT MODSEQ 720162338 LARGER 50000\r\n",
        c.Search(b"t", q.Or((q.Not(q.ModSeq(720162338)), q.Larger(50000)))),
    ),
    Case(
        "rfc7162-3.1.5-entry",
        b'a SEARCH MODSEQ "/flags/\\\\draft" all 620162338\r\n',
        c.Search(b"a", q.ModSeq(620162338)),
    ),
    Case(
        "rfc8474-6",
        b"8 search or emailid M00000001 threadid T-_1\r\n",
        c.Search(b"8", q.Or((q.EmailId("M00000001"), q.ThreadId("T-_1")))),
    ),
    Case(
        "rfc5032-3",
        b"a SEARCH YOUNGER 259200 OLDER 1\r\n",
        c.Search(b"a", q.And((q.Within(259200, True), q.Within(1, False)))),
    ),
    Case(
        "rfc8514-4",
        b"a SEARCH SAVEDSINCE 28-Dec-2014\r\n",
        c.Search(b"a", q.Dated(q.Instant.SAVED, q.Order.SINCE, date(2014, 12, 28))),
    ),
    Case(
        "rfc3501-6.4.4-recent",
        b"a SEARCH NEW OLD RECENT\r\n",
        c.Search(b"a", q.And((q.Recent(), q.Not(q.HasFlag("\\Seen")), q.Not(q.Recent()), q.Recent()))),
    ),
    Case(
        "all-plain-keys",
        b"a SEARCH ANSWERED DELETED DRAFT SEEN UNANSWERED UNDELETED UNDRAFT UNFLAGGED UNSEEN "
        b"KEYWORD $X UNKEYWORD y\r\n",
        c.Search(
            b"a",
            q.And(
                (
                    *(q.HasFlag(name) for name in ("\\Answered", "\\Deleted", "\\Draft", "\\Seen")),
                    q.Not(q.HasFlag("\\Answered")),
                    UNDELETED,
                    q.Not(q.HasFlag("\\Draft")),
                    q.Not(q.HasFlag("\\Flagged")),
                    q.Not(q.HasFlag("\\Seen")),
                    q.HasFlag("$X"),
                    q.Not(q.HasFlag("y")),
                )
            ),
        ),
    ),
    Case(
        "all-text-keys",
        b'a SEARCH BCC a BODY b CC c FROM d SUBJECT "" TEXT e TO f HEADER X-Y "" SENTBEFORE 3-Mar-2000\r\n',
        c.Search(
            b"a",
            q.And(
                (
                    q.Contains(q.Field.BCC, "a"),
                    q.Contains(q.Field.BODY, "b"),
                    q.Contains(q.Field.CC, "c"),
                    q.Contains(q.Field.FROM, "d"),
                    q.Contains(q.Field.SUBJECT, ""),
                    q.Contains(q.Field.TEXT, "e"),
                    q.Contains(q.Field.TO, "f"),
                    q.HeaderContains("X-Y", ""),
                    q.Dated(q.Instant.SENT, q.Order.BEFORE, date(2000, 3, 3)),
                )
            ),
        ),
    ),
    Case(
        "or-chain-is-flat",
        b"a SEARCH OR FROM a OR FROM b OR FROM c (SEEN (NOT NOT DRAFT))\r\n",
        c.Search(
            b"a",
            q.Or(
                (
                    q.Contains(q.Field.FROM, "a"),
                    q.Contains(q.Field.FROM, "b"),
                    q.Contains(q.Field.FROM, "c"),
                    q.And((q.HasFlag("\\Seen"), q.HasFlag("\\Draft"))),
                )
            ),
        ),
    ),
]

WATCHING_CASES = [Case(*one) for one in (*METADATA, *NOTIFY)]

CASES = [
    *SESSION,
    *ACCESS,
    *MAILBOXES,
    *LISTS,
    *APPENDS,
    *FETCHES,
    *CHANGES,
    *SEARCHES,
    *examples_search.CASES,
    *WATCHING_CASES,
]
