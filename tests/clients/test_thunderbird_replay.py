"""What Thunderbird 153 and telephones say, replayed: a conversation as it stands, whatever is installed here.

Thunderbird's steps were recorded between itself and this server, on the demo account: start, all folders, a message
opened, starred, marked, labelled, copied, moved, deleted, a copy filed in Sent; `test_thunderbird` drives the program.
The telephones' are written down from what is publicly known of iOS Mail and K-9 Mail (Thunderbird for Android).
"""

from __future__ import annotations

import base64

import pytest

from .replay import Step, lines, replay
from .support import Reader

PLAIN = base64.b64encode(b"\0demo@example.org\0restante")
HEADERS = (
    b"From To Cc Bcc Subject Date Message-ID Priority X-Priority References Newsgroups In-Reply-To Content-Type"
    b" Reply-To Received"
)
FILED = (
    b"From: demo@example.org\r\nTo: a@example.net\r\nSubject: filed by hand\r\nMessage-ID: <f1@x>\r\n\r\nA copy.\r\n"
)


def thunderbird_begins(number: int) -> list[Step]:
    return [
        (number, b"authenticate PLAIN " + PLAIN, [b"OK"]),
        (number, b'ID ("name" "Thunderbird" "version" "153.7.0")', [rb"\* ID \("]),
        (number, b"ENABLE UTF8=ACCEPT", [rb"\* ENABLED UTF8=ACCEPT"]),
    ]


def thunderbird_reads(number: int, folder: bytes, count: int) -> list[Step]:
    """A folder for the first time: flags, header fields, everything for offline use, a preview."""
    last = b"UID fetch 1:%d (UID RFC822.SIZE " % count
    return [
        (number, b'select "%b"' % folder, [rb"\* %d EXISTS" % count, b"UIDVALIDITY", b"UIDNEXT"]),
        (number, b"UID fetch 1:* (FLAGS)", [rb"\* 1 FETCH \(UID 1 FLAGS", rb"\* %d FETCH" % count]),
        (number, last + b"FLAGS BODY.PEEK[HEADER.FIELDS (%b)])" % HEADERS, [b"Subject: "] * (count > 0)),
        (number, b"noop", []),
        (number, b"UID fetch %d:* (FLAGS)" % (count + 1), [rb"\* %d FETCH" % count]),  # "*" is the last one
        (number, last + b"BODY.PEEK[])", [rb"BODY\[\] \{\d+\}\r\n"] * count),
        (
            number,
            b"UID fetch 1 (UID BODY.PEEK[HEADER.FIELDS (Content-Type Content-Transfer-Encoding)]"
            b" BODY.PEEK[TEXT]<0.2048>)",
            [rb"BODY\[TEXT\]<0> \{\d+\}"],
        ),
    ]


THUNDERBIRD: list[Step] = [
    *thunderbird_begins(1),
    (1, b"namespace", [rb'\* NAMESPACE \(\("" "/"\)\) \(\("Other Users/" "/"\)\) NIL']),
    (
        1,
        b'list (subscribed) "" "*" return (special-use)',
        [rb"\\Drafts.* Drafts", rb"\\Sent.* Sent", rb"\\Trash.* Trash"],
    ),
    (1, b'list "" "INBOX"', [rb'\* LIST \([^)]*\) "/" INBOX']),
    *thunderbird_begins(2),
    *thunderbird_reads(2, b"INBOX", 7),
    (2, b"IDLE", [rb"\+ "]),
    (1, b'STATUS "Lists" (UIDNEXT MESSAGES UNSEEN RECENT)', [rb"\* STATUS Lists \(", b"MESSAGES 5"]),
    *thunderbird_begins(3),
    *thunderbird_reads(3, b"Lists", 5),
    (3, b"IDLE", [rb"\+ "]),
    (2, b"DONE", []),
    (2, b"noop", []),
    (2, b"UID fetch 8:* (FLAGS)", [rb"\* 7 FETCH \(UID 7"]),
    (2, b"uid store 6 +Flags (\\Flagged)", [rb"\* 6 FETCH \(UID 6 FLAGS \([^)]*\\Flagged"]),
    (2, b"uid store 4 +Flags (\\Seen)", [rb"\* 4 FETCH \(UID 4 FLAGS \([^)]*\\Seen"]),
    (2, b"uid store 4 +FLAGS ($label1)", [rb"(?i)\* 4 FETCH \(UID 4 FLAGS \([^)]*\$label1"]),
    (2, b'uid copy 2 "Lists"', [rb"OK \[COPYUID \d+ 2 6\]"]),
    (3, b"DONE", [rb"\* 6 EXISTS"]),
    (3, b"noop", []),
    (3, b"UID fetch 6:* (FLAGS)", [rb"\* 6 FETCH \(UID 6"]),
    (2, b'uid move 1 "Lists"', [rb"\* OK \[COPYUID \d+ 1 7\]", rb"\* 1 EXPUNGE"]),
    (2, b'uid move 5 "Trash"', [rb"\[COPYUID \d+ 5 \d+\]", rb"\* 4 EXPUNGE"]),
    (3, b"noop", [rb"\* 7 EXISTS"]),
    (1, b'select "Trash"', []),
    (1, b"UID fetch 1:* (FLAGS)", []),
    (2, b'append "Sent" (\\Seen) UTF8 (~{%d}\r\n%b)' % (len(FILED), FILED), [rb"OK \[APPENDUID \d+ 3\]"]),
    (2, b"UID fetch 8:* (FLAGS)", [rb"\* 5 FETCH \(UID 7"]),
    (2, b"logout", [rb"\* BYE"]),
    (1, b"logout", [rb"\* BYE"]),
]

FIELDS = b"date subject from to cc bcc reply-to message-id in-reply-to references content-type x-priority list-id"
IOS: list[Step] = [
    (1, b"CAPABILITY", [rb"\* CAPABILITY .*AUTH=PLAIN"]),
    (1, b"AUTHENTICATE PLAIN " + PLAIN, [b"OK"]),
    (1, b"CAPABILITY", [rb"\* CAPABILITY .*CONDSTORE"]),
    (1, b'ID ("name" "iPhone Mail" "version" "22A3354" "os" "iOS" "os-version" "18.0")', [rb"\* ID"]),
    (1, b'LIST "" ""', [rb'\* LIST \([^)]*\) "/" ""']),
    (1, b'LIST "" "*"', [rb"\\Sent", rb"\\Trash"]),
    (1, b"STATUS INBOX (MESSAGES UIDNEXT UIDVALIDITY UNSEEN HIGHESTMODSEQ)", [rb"HIGHESTMODSEQ \d+"]),
    (1, b"SELECT INBOX (CONDSTORE)", [rb"\* 7 EXISTS", rb"HIGHESTMODSEQ \d+"]),
    (1, b"FETCH 1:7 (FLAGS UID MODSEQ)", [rb"\* 7 FETCH \(FLAGS \([^)]*\) UID 7 MODSEQ \(\d+\)"]),
    (
        1,
        b"UID FETCH 1:7 (INTERNALDATE UID RFC822.SIZE FLAGS BODYSTRUCTURE BODY.PEEK[HEADER.FIELDS (%b)])" % FIELDS,
        [rb"INTERNALDATE .*?BODYSTRUCTURE \(.*?BODY\[HEADER\.FIELDS"] * 7,
    ),
    (1, b"UID FETCH 7 (BODY.PEEK[1]<0.16384> UID)", [rb"BODY\[1\]<0> \{\d+\}"]),
    (1, b"UID STORE 7 +FLAGS.SILENT (\\Seen)", [rb"\* 7 FETCH \(UID 7 MODSEQ"]),
    (1, b"UID STORE 6 +FLAGS.SILENT (\\Flagged)", [rb"\* 6 FETCH \(UID 6 MODSEQ"]),
    (1, b"UID SEARCH UNSEEN SINCE 1-Nov-2026", [rb"\* SEARCH( \d+)*"]),
    (1, b"UID FETCH 1:* (FLAGS) (CHANGEDSINCE 1)", [rb"UID 7 FLAGS \([^)]*\\Seen"]),
    (1, b"UID MOVE 5 Trash", [rb"COPYUID \d+ 5 \d+", rb"\* 5 EXPUNGE"]),
    (1, b"APPEND Sent (\\Seen) {%d}\r\n%b" % (len(FILED), FILED), [rb"APPENDUID \d+ 3"]),
    (1, b"IDLE", [rb"\+ "]),
    (1, b"DONE", []),
    (1, b"LOGOUT", [rb"\* BYE"]),
]
K9: list[Step] = [
    (1, b"CAPABILITY", [b"SASL-IR"]),
    (1, b"AUTHENTICATE PLAIN " + PLAIN, [b"OK"]),
    (1, b'ID ("name" "K-9 Mail")', []),
    (1, b"NAMESPACE", [b"NAMESPACE"]),
    (1, b'LIST "" "*" RETURN (SPECIAL-USE)', [rb"\\Drafts", rb"\\Sent"]),
    (1, b'LSUB "" "*"', [rb"\* LSUB"]),
    (1, b'SELECT "INBOX"', [rb"PERMANENTFLAGS \(.*\\\*\)", rb"\* 7 EXISTS", rb"UIDNEXT 8"]),
    (1, b"UID SEARCH 1:7 NOT DELETED", [rb"\* SEARCH 1 2 3 4 5 6 7\r\n"]),
    (1, b"UID FETCH 1,2,3,4,5,6,7 (UID FLAGS)", [rb"\* 7 FETCH"]),
    (1, b"UID FETCH 7 (UID INTERNALDATE RFC822.SIZE BODY.PEEK[HEADER.FIELDS (%b)])" % FIELDS, [b"Welcome to Restante"]),
    (1, b"UID FETCH 7 (UID BODYSTRUCTURE)", [rb'"alternative"']),
    (1, b"UID FETCH 7 (UID BODY.PEEK[]<0.32768>)", [rb"BODY\[\]<0> \{\d+\}"]),
    (1, b"UID STORE 7 +FLAGS.SILENT (\\Seen)", []),
    (1, b"UID STORE 6 +FLAGS.SILENT (\\Flagged)", []),
    (1, b'UID MOVE 5 "Trash"', [b"COPYUID"]),
    (1, b'APPEND "Sent" (\\Seen) {%d}\r\n%b' % (len(FILED), FILED), [b"APPENDUID"]),
    (1, b'SELECT "Sent"', [rb"\* 3 EXISTS"]),
    (1, b'UID SEARCH HEADER MESSAGE-ID "<f1@x>"', [rb"\* SEARCH 3\r\n"]),
    (1, b"IDLE", [rb"\+ "]),
    (1, b"DONE", []),
    (1, b"CLOSE", []),
    (1, b"LOGOUT", [rb"\* BYE"]),
]


@pytest.mark.client
def test_thunderbird(demo: Reader) -> None:
    with lines(demo) as opened:
        replay(opened, THUNDERBIRD)
    flags = demo.flags()
    assert len(flags) == 5
    assert r"\Flagged" in next(flags[name] for name in flags if name.startswith("November"))
    (invited,) = [flags[name] for name in flags if name.startswith("Invitation")]
    assert {r"\Seen", "$label1"} <= {flag.lower() if flag.startswith("$") else flag for flag in invited}
    lists = demo.subjects("Lists")
    assert lists[-2:] == ["My new number", "Receipts for the wall"]
    assert "Keywords" in demo.subjects("Trash")
    assert demo.subjects("Sent")[-1] == "filed by hand"


@pytest.mark.client
@pytest.mark.parametrize("steps", [IOS, K9], ids=["ios-mail", "k-9"])
def test_a_telephone(demo: Reader, steps: list[Step]) -> None:
    with lines(demo) as opened:
        replay(opened, steps)
    flags = demo.flags()
    assert r"\Seen" in flags["Welcome to Restante"]
    assert r"\Flagged" in next(flags[name] for name in flags if name.startswith("November"))
    assert "Keywords" in demo.subjects("Trash")
    assert "Keywords" not in flags
    assert demo.subjects("Sent")[-1] == "filed by hand"
