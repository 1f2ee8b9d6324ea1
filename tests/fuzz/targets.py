"""What the fuzzers call: one function a parser, octets in, nothing out, an exception for a fault.

Every target feeds its octets in two pieces, cut where the first octet says, since borders of what arrives are where
parsers go wrong. A parser may refuse; it may not raise, hang, or hold more than it was given.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Mapping

from restante.backup import frames, index, keys, objects, pack, segments, written
from restante.backup.errors import BackupRefusal
from restante.exchange import courier, dovecot
from restante.imap.grammar import answers as imap_answers
from restante.imap.grammar.answers import AnswerLimits, Data, Status
from restante.imap.grammar.answers_fetch import Passed, Rows, parse_fetch, parse_internaldate
from restante.imap.grammar.answers_mailbox import parse_flags, parse_list, parse_namespace, parse_status, parse_words
from restante.imap.grammar.answers_search import (
    expand,
    parse_appenduid,
    parse_copyuid,
    parse_esearch,
    parse_search,
    parse_vanished,
)
from restante.imap.grammar.commands import SetMetadata
from restante.imap.grammar.criteria import parse_criteria
from restante.imap.grammar.errors import BadSyntax
from restante.imap.grammar.reader import Bad, CommandReader, ReaderLimits
from restante.imap.grammar.urls import parse_url, shown_url
from restante.jmap.filters import BadFilter, parse_filter
from restante.mime.analyse import analyse
from restante.mime.model import Limits, Part
from restante.pop3.grammar.answers import AnswerReader, BadAnswer, parse_capabilities, parse_sizes, parse_uidls
from restante.pop3.grammar.reader import LineReader
from restante.query.fields import Header, matcher, needle
from restante.query.language import FieldMatches
from restante.server.deflate import DeflateFailed, Inflater
from restante.sieve.grammar import BadTest
from restante.sieve.tests import parse_test
from restante.smtp.grammar.answers import BadReply, ReplyReader, offers
from restante.smtp.grammar.commands import parse_command as parse_smtp
from restante.smtp.grammar.data import DotReader
from restante.store.sqlite.flag_sets import leaves
from tests.imap.grammar.encode import format_url

SMALL = ReaderLimits(
    line=2_000, line_before_login=500, literal=1_000, literal_before_login=200, message=5_000, command=8_000,
    nesting=10, set_items=50, search_keys=50,
)  # fmt: skip
SMALL_MIME = Limits(depth=6, parts=40, addresses=50, header=20_000, fields=200, parameters=10, text=50_000)


def halves(data: bytes) -> tuple[bytes, bytes]:
    """The octets behind the first one, cut where it says."""
    if not data:
        return b"", b""
    rest = data[1:]
    cut = data[0] * (len(rest) + 1) // 256
    return rest[:cut], rest[cut:]


def imap(data: bytes) -> None:
    """Commands of a client that is logged in and speaks UTF-8 (odd first octet) or is neither."""
    reader = CommandReader(SMALL)
    reader.authenticated = reader.utf8 = bool(data[:1] and data[0] & 1)
    events = 0
    for piece in halves(data):
        reader.feed(piece)
        while (event := reader.next()) is not None:
            events += 1
            assert events <= len(data) + 1, "more events than octets"
            if isinstance(event, Bad) and event.fatal:
                return
            if isinstance(event, SetMetadata):
                for _, value in event.values:
                    _criteria(value or b"")


def _criteria(value: bytes) -> None:
    """A stored value as a filter: whole criteria or refused."""
    try:
        parse_criteria(value, SMALL)
    except BadSyntax:
        pass


def answers(data: bytes) -> None:
    """Answers of a server, each read by its subject; rows are taken out (odd first octet) or passed over, or whole
    messages are expected."""
    reader = imap_answers.AnswerReader(AnswerLimits(line=2_000, literal=2_000, literals=5))
    rows = Rows()
    reader.rows = rows if data[:1] and data[0] & 1 else Passed()
    if data[:1] and data[0] & 2:
        reader.rows, reader.bodies = None, True
    try:
        for piece in halves(data):
            reader.feed(piece)
            while (answer := reader.next()) is not None:
                if isinstance(answer, Status):
                    parse_words(answer.data)
                    parse_flags(answer.data)
                    _answer_numbers(answer)
                elif isinstance(answer, Data) and answer.word in _BY_SUBJECT:
                    _BY_SUBJECT[answer.word](answer)
    except imap_answers.BadAnswer:
        pass
    assert len(rows.uids) == len(rows.kinds) <= len(data)
    assert all(kind < len(rows.sets) for kind in rows.kinds)


def _answer_numbers(answer: Status) -> None:
    copied, filed = parse_copyuid(answer, 50), parse_appenduid(answer, 3)
    assert copied is None or len(copied[1]) <= 50
    assert filed is None or len(filed[1]) == 3


def _fetched(answer: Data) -> None:
    items = parse_fetch(answer)
    date = items.get(b"INTERNALDATE")
    if isinstance(date, bytes):
        parse_internaldate(date)


def _vanished(answer: Data) -> None:
    found = expand(parse_vanished(answer)[1], 100)
    assert found is None or len(found) <= 100


_BY_SUBJECT: Mapping[bytes, Callable[[Data], object]] = {
    b"FETCH": _fetched, b"LIST": parse_list, b"LSUB": parse_list, b"STATUS": parse_status, b"SEARCH": parse_search,
    b"NAMESPACE": parse_namespace, b"ESEARCH": parse_esearch, b"VANISHED": _vanished,
}  # fmt: skip


def urls(data: bytes) -> None:
    """IMAP URLs, one a line: what is read is written and read again."""
    for line in data.splitlines():
        assert b"]" not in shown_url(line)
        try:
            url = parse_url(line, SMALL)
        except BadSyntax:
            continue
        assert parse_url(format_url(url), SMALL) == url


def pop3(data: bytes) -> None:
    reader = LineReader()
    for piece in halves(data):
        reader.feed(piece)
        while reader.command() is not None:
            pass


def pop3_answers(data: bytes) -> None:
    """What a server says: the first octets' bits say which kind of answer is due."""
    reader = AnswerReader()
    kinds, turn, held = data[:8], 0, 0
    for piece in halves(data):
        reader.feed(piece)
        held += len(piece)
        while True:
            body = bool(kinds and kinds[turn // 8 % len(kinds)] >> turn % 8 & 1)
            try:
                answer = reader.body(2_000) if body else reader.status()
            except BadAnswer:
                return
            if answer is None:
                break
            turn += 1
            assert turn <= held, "more answers than octets"
            if isinstance(answer, bytes):
                _listings(answer)
        assert reader.held <= held


def _listings(body: bytes) -> None:
    parse_capabilities(body)
    for parse in (parse_sizes, parse_uidls):
        try:
            parse(body)
        except BadAnswer:
            pass


def lmtp(data: bytes) -> None:
    """Command lines, and the same octets as message data."""
    for line in data.split(b"\r\n"):
        parse_smtp(line)
    reader = DotReader(4_000)
    for piece in halves(data):
        rest = reader.feed(piece)
        if rest is not None:
            assert len(reader.message()) + len(rest) <= len(data) + 2
            return


def smtp_answers(data: bytes) -> None:
    """A server's replies, each read as one to EHLO too."""
    reader = ReplyReader()
    for piece in halves(data):
        reader.feed(piece)
        try:
            while (reply := reader.reply()) is not None:
                found = offers(reply)
                assert found.size >= 0
                assert reply.text.isprintable() or not reply.text.isascii()
        except BadReply:
            return


def mime(data: bytes) -> None:
    found = analyse(data, SMALL_MIME)
    assert found.size == len(data)
    _within(found.root, 0, len(data))
    for ready in (found.envelope, found.body, found.bodystructure):
        assert b"\0" not in ready
        assert ready.startswith(b"(")
        assert ready.endswith(b")")


def _within(part: Part, low: int, high: int) -> None:
    assert low <= part.header <= part.body <= part.end <= high, part
    for child in part.children:
        _within(child, part.body, part.end)


def maildir(data: bytes) -> None:
    """Control files that another server left beside a Maildir."""
    kinds = (dovecot.parse_uidlist, courier.parse_uiddb, courier.parse_pop3_list)
    parse = kinds[data[0] % len(kinds)] if data else kinds[0]
    try:
        parse(data[1:])
    except ValueError:
        pass
    dovecot.parse_keywords(data)
    dovecot.parse_subscriptions(data)
    courier.parse_subscriptions(data)
    listed, change = halves(data)
    courier.parse_keywords(listed, {".1.file": change, "file": data})


def deflate(data: bytes) -> None:
    """A compressed connection's octets; every other one stops compressing after the first piece."""
    inflater = Inflater()
    for piece in halves(data):
        inflater.feed(piece)
        try:
            given = 0
            while not inflater.stopped and (part := inflater.take(1_000)):
                assert len(part) <= 1_000
                given += len(part)
                if given > 1 << 20:
                    return
        except DeflateFailed:
            return
        if data[:1] and data[0] & 1:
            if not inflater.stopped:
                inflater.stop()
            assert len(inflater.behind()) <= len(data)


def backup(data: bytes) -> None:
    """What lies at a backup's location, as if its seal had opened: by the first octet a key, a table, or an object."""
    which, rest = (data[0] if data else 0) % 5, data[1:]
    try:
        match which:
            case 0 if keys.is_writing_key(text := rest.decode("ascii", "replace")) and b"writing" in rest:
                keys.parse_writing_key(text)
            case 0:
                keys.decode_slot(rest)
            case 1:
                pack.decode_table(rest)
            case 2:
                part = index.Part.decode(rest)
                for position in range(len(part)):
                    part.spot(position)
            case 3:
                frames.unpack(rest, len(rest))
            case _:
                kinds: list[type[objects.Struct]] = [*objects.KINDS, objects.SnapshotData, written.WrittenData]
                for what in kinds:
                    _object(what, rest)
    except BackupRefusal:
        pass


def _object(what: type[objects.Struct], data: bytes) -> None:
    try:
        found = objects.decode(data, what)
        if isinstance(found, objects.SegmentData):
            segments.merge([found, found])
        elif isinstance(found, objects.CatalogueData):
            segments.read_catalogue(found)
    except BackupRefusal:
        pass


def sieve(data: bytes) -> None:
    """A test of Sieve, and behind a NUL a header; where the test is one, its conditions are asked of the header."""
    text, _, head = data.partition(b"\0")
    try:
        query = parse_test(text.decode("utf-8", "surrogateescape"))
    except BadTest:
        return
    header = Header(head, SMALL_MIME)
    for leaf in leaves(query):
        if isinstance(leaf, FieldMatches):
            matcher(leaf)(header)
            needle(leaf)


def jmap(data: bytes) -> None:
    """A filter of Email/query, in JSON."""
    try:
        value = json.loads(data)
    except (ValueError, RecursionError):
        return
    try:
        parse_filter(value, most=100)
    except BadFilter:
        return


def deflated(data: bytes, flush: int = zlib.Z_SYNC_FLUSH, level: int = 6) -> bytes:
    compressor = zlib.compressobj(level, zlib.DEFLATED, -15)
    return compressor.compress(data) + compressor.flush(flush)


TARGETS: Mapping[str, Callable[[bytes], None]] = {
    "imap": imap, "answers": answers, "urls": urls, "pop3": pop3, "pop3_answers": pop3_answers, "lmtp": lmtp,
    "smtp_answers": smtp_answers, "mime": mime, "maildir": maildir, "deflate": deflate, "backup": backup,
    "sieve": sieve, "jmap": jmap,
}  # fmt: skip

SLOT = keys.Slot(
    restante_backup_key=1, repository="00" * 16, method=keys.Method.PASSPHRASE, label="x", created=1, memory=64,
    passes=1, lanes=1, salt=bytes(32), nonce=bytes(12), wrapped=bytes(48),
)  # fmt: skip
SEGMENT = segments.make_segment(
    segments.Changes(
        [
            (n, n, "m" + "a" * 26, "t" + "b" * 26, 1, bytes(32), 5, 6, 7, bytes(32) if n > 1 else None, uidl, 1)
            for n, uidl in ((1, None), (2, None), (5, "u"))
        ],
        [3, 4, 9], [(2, 1)],
    ),
    {1: (3, "$A b")}, bytes(32),
)  # fmt: skip

SEEDS: Mapping[str, tuple[bytes, ...]] = {
    "answers": (
        b"\x01* 1 FETCH (UID 3 FLAGS (\\Seen $x) MODSEQ (12))\r\n* 2 FETCH (FLAGS () UID 4)\r\n"
        b"* VANISHED (EARLIER) 41,43:116\r\na1 OK [HIGHESTMODSEQ 20] done\r\n",
        b'\x80* 5 FETCH (UID 9 INTERNALDATE "17-Jul-1996 02:44:25 -0700" EMAILID (M1) BODY[]<0> {3}\r\na\r\n)\r\n'
        b'* 6 FETCH (BODY[HEADER.FIELDS ("A" {1}\r\nB)] "x\\"" ENVELOPE (NIL ("a)") {2}\r\nxy))\r\n',
        b'\x20* LIST (\\Noselect) "/" {3}\r\na b ("OLDNAME" (x))\r\n* LSUB () NIL "I\\\\"\r\n'
        b"* STATUS x (UIDVALIDITY 1 MAILBOXID (F1) APPENDLIMIT NIL)\r\n",
        b'\x60* NAMESPACE (("" "/")("x." "." "X" ("a" "b"))) NIL (({2}\r\n#a NIL))\r\n+ idling\r\n'
        b'* SEARCH 2 84 (MODSEQ 9)\r\n* ESEARCH (TAG "a1") UID ALL 1:3,7 COUNT 4 PARTIAL (1:2 NIL)\r\n',
        b'\x82* 5 FETCH (UID 9 FLAGS (\\Seen) INTERNALDATE "17-Jul-1996 02:44:25 -0700" BODY[]<0> {3}\r\na\r\n)\r\n',
        b"\x40a2 OK [COPYUID 1 304,319:320 3956:3958] x\r\na3 OK [APPENDUID 5 1:3] y\r\n"
        b"a4 NO [BADCHARSET ({5}\r\nUTF-7)] {5}\r\n* BYE x\r\n",
    ),
    "imap": (
        b"\x01a UID FETCH 1:5,7,9:* (FLAGS BODY.PEEK[1.2.HEADER.FIELDS (From To)]<0.100> MODSEQ)"
        b" (CHANGEDSINCE 7 VANISHED)\r\n",
        b"\x80a LOGIN {5}\r\njohn. {4+}\r\npass\r\n",
        b"\x01b SEARCH RETURN (MIN ALL) CHARSET UTF-8 OR (SUBJECT {3+}\r\nabc UID 3:*) NOT BEFORE 1-Jan-2020 $\r\n",
        b"\x01b UID SORT RETURN (MIN COUNT) (REVERSE SUBJECT DISPLAYTO) \"UTF-8\" OR SEEN (1:* $)\r\n",
        b"\x00b THREAD REFERENCES us-ascii NOT TEXT {3+}\r\nabc\r\n",
        b'\x01c APPEND "INBOX" (\\Seen $x) "17-Jul-1996 02:44:25 -0700" ~{6+}\r\nab\r\ncd\r\nd IDLE\r\nDONE\r\n',
        b"\x01k UID SEARCH RETURN (UPDATE (UID BODY.PEEK[TEXT]<0.9>) CONTEXT PARTIAL -1:-100 COUNT SAVE) UIDAFTER 7"
        b' YOUNGER 9 SAVEDSINCE 1-Jan-2020 OR UID 5:* SAVEDATESUPPORTED\r\nl CANCELUPDATE "k" "j"\r\n',
        b'\x01m ESEARCH IN (selected mailboxes (a {1+}\r\nb) subtree-one "c" personal) RETURN (PARTIAL 1:2) ALL\r\n',
        b"\x01n UID FETCH 1:9 (PREVIEW (LAZY) SAVEDATE) (PARTIAL 5:1 CHANGEDSINCE 3 VANISHED)\r\n",
        b'\x01e LIST (SUBSCRIBED RECURSIVEMATCH) "" ("%" "a/*") RETURN (CHILDREN STATUS (MESSAGES SIZE))\r\n',
        b"\x01f SELECT INBOX (QRESYNC (67890007 20050715194045000 41,43:211 (1:9 41:49)))\r\n",
        b"\x01g STORE 1:* (UNCHANGEDSINCE 12) -FLAGS.SILENT (\\Deleted k)\r\nh ID (\"name\" NIL)\r\n",
        b"\x01c COMPRESS DEFLATE\r\nd UNAUTHENTICATE\r\nl LANGUAGE de-AT \"*\" {2+}\r\nfr\r\n",
        b"\x01l APPEND x (\\Seen) {2+}\r\nab ~{1}\r\nc CATENATE (URL /x/;UID=1 TEXT {1+}\r\nd UTF8 (~{1+}\r\ne))\r\n",
        b'\x01m UID REPLACE 3002 Drafts CATENATE (TEXT {3+}\r\nTo: URL "/Drafts/;UID=3002/;SECTION=1.MIME")\r\n',
        b"\x01h GETMETADATA (DEPTH infinity) INBOX (MAXSIZE 9) (/shared /private/vendor/x/\"y)\r\n",
        b'\x01i SETMETADATA "" (/private/filters/values/f "OR FROM a {3}" /shared/a ~{9+}\r\nTO {1}\r\nx NIL)\r\n',
        b"\x01j NOTIFY SET STATUS (selected (MessageNew (UID BODY.PEEK[1]<0.9>) MessageExpunge FlagChange))"
        b" (subtree (A B) (MailboxName)) (personal NONE)\r\n",
        b"\x01l SETACL \"Other Users/b@x/P\" {3+}\r\n-me +lrs\r\nm LISTRIGHTS a anyone\r\nn GETQUOTA \"\"\r\n",
        b"\x01o SETQUOTA \"#u\" (STORAGE 510 MESSAGE 9223372036854775807)\r\np MYRIGHTS x\r\nq DELETEACL y -z\r\n",
        b"\x00i AUTHENTICATE PLAIN AGEAYg==\r\nj NOOP (((\r\nk STATUS &U,BTFw- (SIZE)\r\n",
    ),
    "urls": (
        b"/Drafts;UIDVALIDITY=385759045/;UID=20/;section=HEADER\n/a%2Fb/;UID=1/;SECTION=1.2.MIME/;PARTIAL=0.1024\n",
        b"imap://john;AUTH=*@[2001:db8::1]:143/a/b/;UID=2\n//u%40h@h/%2E%2E/;UID=1/;SECTION=HEADER.FIELDS%20(A)\n",
    ),
    "pop3": (
        b"\x40USER a\r\nPASS b c\r\nTOP 1 0\r\nRETR 1\r\nRETR 2\r\n",
        b"\x10AUTH PLAIN AGEAYg==\r\nLANG *\r\nUTF8\r\n",
    ),
    "pop3_answers": (
        b"\x54+OK ready <1.2@h>\r\n+ dGVzdA==\r\n+OK\r\n1 120\r\n2 200 x\r\n.\r\n-ERR [SYS/TEMP] y\r\n",
        b"\xaa+OK\n.\r\n+OK\r\n..dot\r\n.\nnot an end\r\n.\r\n+OK\r\n1 a\r\n2 \r\nSASL PLAIN\r\n.\r\n",
    ),
    "lmtp": (
        b"\x40LHLO x\r\nMAIL FROM:<a@b.example> SIZE=10 BODY=8BITMIME SMTPUTF8\r\n"
        b"RCPT TO:<\"q s\"@[192.0.2.1]>\r\n",
        b"\x80line\r\n..dot\r\n.\rx\n.\n\r\n.\r\nQUIT\r\n", b"\x00BDAT 10 LAST\r\nMAIL FROM:<>\r\n",
    ),
    "smtp_answers": (
        b"\x40220 mx.example ESMTP\r\n250-mx\r\n250-SIZE 100\r\n250-AUTH=PLAIN\r\n250-AUTH LOGIN\r\n250 8BITMIME\r\n",
        b"\x80550-5.1.1 no\r\n550 5.1.1 such\r\n334 dGVzdA==\r\n250\r\n421 4.3.2 bye\n",
    ),
    "maildir": (
        b"\x003 V1275660208 N42 G3085f01b7f11094c501100008c4a11c1\n7 P0001.old :1000.M2.host\n9 W60 S57 :a,S=57:2,S\n",
        b"\x011 1193000000 45\n7 1000000001.M1.mail\n12 b:2,S\n",
        b"\x02/3 91 1193123456\na:2,S 25 3:1193123456:0\nb:2, 25 90:0:1\nc 25 0:0:0\n",
        b"\x80$Label1\nwork\n\na.host:0 1\nb:1\nV\t2\nINBOX.Sent\n",
    ),
    "mime": (
        b"\x00From: =?utf-8?q?J=C3=B6rg?= <a@b.example>, g: x@y, (c) z@w;\r\nSubject: =?iso-2022-jp?b?GyRC?= x\r\n"
        b"Content-Type: multipart/mixed; boundary=\"b\"\r\n\r\n--b\r\nContent-Type: message/rfc822\r\n\r\n"
        b"Content-Type: multipart/digest; boundary=c\r\n\r\n--c\r\n\r\nSubject: n\r\n\r\nt\r\n--c--\r\n--b\r\n"
        b"Content-Type: text/html; charset*0*=utf-8''a; charset*1=b\r\nContent-Transfer-Encoding: base64\r\n"
        b"Content-Disposition: attachment; filename*=utf-8''%e2%82%ac\r\n\r\nPGI+aGk8L2I+\r\n--b--\r\n",
        b"\x00Date: Tue, 17 Jul 96 02:44:25 -0700 (PDT)\r\nReferences: <a@b> <c@d>\n x\r\n\r\nplain \x00\xff\r\n",
    ),
    "sieve": (
        b'anyof (not address :domain :matches ["From", "To"] "*.exam?le.org", header :is "Subject" "a",\n'
        b' allof (size :over 10K, exists "List-Id", true))\0From: =?utf-8?q?a?= <b+c@x.example.org>\r\nSubject: a\r\n',
        b'header :comparator "i;octet" :contains "x" text: # c\r\n..a\r\n.\r\n /* d */\0'
        b'X: ..a\r\n b\r\nTo: g: "q r"@[1.2];\r\n',
        b'address :detail :comparator "i;unicode-casemap" :matches "to" "?\xc3\xa9\\\\*"\0'
        b"To: a+\xc3\xa9*@b.c, d (e) @ f\r\n",
    ),
    "jmap": (
        b'{"operator":"AND","conditions":[{"inMailbox":"b1","text":"a \\"b c\\" \'d\'"},'
        b'{"operator":"NOT","conditions":[{}]}]}',
        b'{"before":"2014-10-30T06:12:00.5Z","minSize":1e3,"header":["X-A","b"],"hasKeyword":"$seen",'
        b'"hasAttachment":false}',
        b'{"inMailboxOtherThan":["a","b"],"noneInThreadHaveKeyword":"$x","from":"\\ud83d\\ude00",'
        b'"after":"2016-12-31T23:59:60Z"}',
    ),
    "deflate": (
        b"\xff" + deflated(b"a NOOP\r\nb UNAUTHENTICATE\r\n") + b"c NOOP\r\n",
        b"\x80" + deflated(bytes(5_000), zlib.Z_FULL_FLUSH) + deflated(b"d FETCH 1 UID\r\n", zlib.Z_FINISH) + b"e NOOP",
        b"\x41" + deflated(bytes(range(256)), level=0) + deflated(b"x", zlib.Z_PARTIAL_FLUSH) + b"\x03\x00f NOOP\r\n",
    ),
    "backup": (
        b"\x00" + keys.encode_slot(SLOT),
        b"\x00" + keys.make_writing_key("00" * 16, bytes(32), bytes(40)).encode(),
        b"\x01\x01\0\0\0\x01\0\0\0\x1b\0\0\0\x0a\0\0\0" + b"a" * 32 + b"\0\0\0\0\x02\0\0\0\x05\0\0\0m\0\0",
        b"\x02" + index.Part([index.Pack("ab" * 32, True, 65_536, b"\x1b\0\0\0\x0a\0\0\0")], bytes(49)).encode(),
        b"\x03" + frames.pack(bytes(600)),
        b"\x04" + objects.encode(SEGMENT),
        b"\x04" + objects.encode(objects.CatalogueData("a\0b", "\0", "c\0d", "<1@x>\0")),
        b"\x04" + objects.encode(written.WrittenData(1, (written.SnapshotLine("s", 2, 3),), ("a",), ("b",))),
    ),
}  # fmt: skip
"""Well-formed beginnings for mutation; kept findings stand in corpus/TARGET/."""
