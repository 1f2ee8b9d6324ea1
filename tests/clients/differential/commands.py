"""Random commands, the same for the same seed: what mail applications send, and what none should."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

from restante import demo

MAIL = Path(demo.__file__).parent / "mail"
NAMES = (b"INBOX", b"Work", b"Work/Sub", b'"Old stuff"', b"Entw&APw-rfe", b"inbox")
FLAGS = (b"\\Seen", b"\\Answered", b"\\Flagged", b"\\Draft", b"\\Deleted", b"$Work", b"$Later")
DATES = (b"1-Jan-2020", b"24-Nov-2025", b"15-Mar-2024")
WORDS = (b"the", b"boat", b"Garden", b"xyzzy", b"Re:", b"example", b"charset")
"""The last two are in header fields of MIME parts, where Dovecot looks for BODY too, this server for TEXT alone:
RFC 9051 6.4.4 says that BODY matches none."""

ITEMS = (
    *(b"FLAGS", b"UID", b"RFC822.SIZE", b"INTERNALDATE", b"ENVELOPE", b"BODYSTRUCTURE", b"BODY"),
    *(b"RFC822.HEADER", b"BODY.PEEK[]", b"BODY.PEEK[HEADER]", b"BODY.PEEK[TEXT]", b"BODY.PEEK[1]"),
    *(b"BODY.PEEK[1.MIME]", b"BODY.PEEK[2]", b"BODY.PEEK[2.1]", b"BODY.PEEK[2.HEADER]", b"BODY.PEEK[]<10.40>"),
    *(b"BODY.PEEK[TEXT]<0.100>", b"BODY.PEEK[HEADER.FIELDS (SUBJECT FROM)]"),
    *(b"BODY.PEEK[HEADER.FIELDS.NOT (RECEIVED)]", b"BINARY.PEEK[1]", b"BINARY.SIZE[1]", b"BODY[1]", b"RFC822.TEXT"),
    *(b"ALL", b"FAST", b"FULL"),
)
MALFORMED = (
    *(b"FETCH", b"FETCH 1", b"FETCH 0 FLAGS", b"FETCH 1 (FLAGS", b"SEARCH", b"XYZZY"),
    *(b"SELECT", b"UID EXPUNGE", b"STORE 1 +FLAGS (\\Wrong)", b"SEARCH BEFORE 32-Jan-2020", b"COPY 1", b"NOOP 1"),
    *(b"FETCH 1 BODY[", b"SEARCH CHARSET NONE ALL", b"STATUS INBOX", b"STATUS INBOX ()", b"UID NOOP", b"LOGIN a b"),
)


class Commands:
    """A stream of commands. count, largest: messages of the selected mailbox and its top UID, told by the caller."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.count = 0
        self.selected = False
        self.read_only = False
        self.name = b""
        """Of the selected mailbox."""
        mails = [_crlf(path.read_bytes()) for path in sorted(MAIL.glob("*.eml"))]
        # RFC 6855 4 forbids 8-bit header fields to a client that has not enabled UTF8=ACCEPT; Dovecot takes them.
        # Of a digest, Dovecot does not search the header fields of the messages in it, which are its body's text.
        ascii_only = [mail for mail in mails if mail.partition(b"\r\n\r\n")[0].isascii()]
        self.mails = [mail for mail in ascii_only if b"multipart/digest" not in mail]

    def next(self) -> bytes:
        if not self.selected:
            kinds: tuple[tuple[Callable[[], bytes], int], ...] = ((self.select, 4), *self._anywhere)
        elif not self.count:
            kinds = ((self.append, 6), (self.select, 2), (self.search, 1), *self._anywhere)
        else:
            kinds = self._selected
        return self.chance.choices([kind for kind, _ in kinds], [weight for _, weight in kinds])[0]()

    @property
    def _anywhere(self) -> tuple[tuple[Callable[[], bytes], int], ...]:
        return (
            *((self.append, 3), (self.status, 1), (self.list, 2), (self.names, 2), (self.subscribe, 1)),
            (lambda: self.chance.choice(MALFORMED), 1),
        )

    @property
    def _selected(self) -> tuple[tuple[Callable[[], bytes], int], ...]:
        return (
            *((self.fetch, 14), (self.store, 8), (self.search, 10), (self.copy, 3), (self.move, 2)),
            *((lambda: b"EXPUNGE", 2), (self.uid_expunge, 1), (lambda: b"NOOP", 1), (lambda: b"CHECK", 1)),
            *((lambda: b"CLOSE", 1), (lambda: b"UNSELECT", 1), (self.select, 2), *self._anywhere),
        )

    def _name(self) -> bytes:
        return self.chance.choice(NAMES)

    def _set(self) -> bytes:
        low = self.chance.randint(1, self.count)
        high = min(self.count, low + self.chance.choice((0, 0, 1, 4)))
        return self.chance.choice((b"%d" % low, b"%d:%d" % (low, high), b"%d:%d" % (high, low), b"%d:*" % low, b"*"))

    def _uid(self) -> tuple[bytes, bytes]:
        """Prefix and set: by number, or by UID, which may name what is not there."""
        if self.chance.random() < 0.5:
            return b"", self._set()
        low = self.chance.randint(1, self.count + 5)
        return b"UID ", self.chance.choice((b"%d" % low, b"%d:%d" % (low, low + 3), b"%d:*" % low, b"1:*", b"1,3,5:7"))

    def _some(self, most: int) -> bytes:
        return b" ".join(self.chance.sample(FLAGS, self.chance.randint(0, most)))

    # One method a kind -------------------------------------------------------------------------------

    def select(self) -> bytes:
        return self.chance.choice((b"SELECT ", b"SELECT ", b"EXAMINE ")) + self._name()

    def append(self) -> bytes:
        mail = self.chance.choice(self.mails)
        flags = self.chance.choice((b"", b" (%b)" % self._some(3)))
        date = b' "%02d-Nov-2025 12:34:56 %b"' % (self.chance.randint(1, 28), self.chance.choice((b"+0000", b"-0330")))
        return b"APPEND %b%b%b {%d}\r\n%b" % (self._name(), flags, date, len(mail), mail)

    def fetch(self) -> bytes:
        prefix, where = self._uid()
        items = self.chance.sample(ITEMS[:-3], self.chance.randint(1, 3))
        what = self.chance.choice((b"(" + b" ".join(items) + b")", items[0], self.chance.choice(ITEMS[-3:])))
        return b"%bFETCH %b %b" % (prefix, where, what)

    def store(self) -> bytes:
        prefix, where = self._uid()
        how = self.chance.choice((b"FLAGS", b"+FLAGS", b"-FLAGS", b"FLAGS.SILENT", b"+FLAGS.SILENT", b"-FLAGS.SILENT"))
        return b"%bSTORE %b %b (%b)" % (prefix, where, how, self._some(3))

    def search(self) -> bytes:
        returning = self.chance.choice((b"", b"", b"RETURN () ", b"RETURN (MIN MAX COUNT) ", b"RETURN (ALL COUNT) "))
        keys = b" ".join(self._key(2) for _ in range(self.chance.randint(1, 3)))
        return self.chance.choice((b"SEARCH ", b"UID SEARCH ")) + returning + keys

    def _key(self, depth: int) -> bytes:
        chance = self.chance
        simple = (
            *(b"ALL", b"SEEN", b"UNSEEN", b"DELETED", b"UNDELETED", b"FLAGGED", b"ANSWERED", b"DRAFT", b"UNDRAFT"),
            *(b"KEYWORD $Work", b"UNKEYWORD $Later", b"SINCE %b" % chance.choice(DATES), b"ON 15-Nov-2025"),
            *(b"BEFORE %b" % chance.choice(DATES), b"SENTSINCE %b" % chance.choice(DATES), b"SENTBEFORE 1-Jan-2025"),
            *(b"LARGER 2000", b"SMALLER 1500", b"SUBJECT %b" % chance.choice(WORDS), b"FROM %b" % chance.choice(WORDS)),
            *(
                b"TEXT %b" % chance.choice(WORDS),
                b"BODY %b" % chance.choice(WORDS[:4]),
                b"TO example",
                b'HEADER Message-ID ""',
            ),
            *(b"HEADER X-None %b" % chance.choice(WORDS), b"1:3", b"*", b"UID 2:5", b"UID 3:*", b"CC xyzzy", b"BCC a"),
        )
        dice = chance.random()
        if not depth or dice < 0.7:
            return chance.choice(simple)
        if dice < 0.85:
            return b"NOT " + self._key(depth - 1)
        if dice < 0.95:
            return b"OR %b %b" % (self._key(depth - 1), self._key(depth - 1))
        return b"(%b %b)" % (self._key(depth - 1), self._key(depth - 1))

    def copy(self) -> bytes:
        prefix, where = self._uid()
        return b"%bCOPY %b %b" % (prefix, where, self._name())

    def move(self) -> bytes:
        if self.read_only:
            return b"NOOP"  # Dovecot moves out of a mailbox opened by EXAMINE, which RFC 3501 6.3.2 forbids
        prefix, where = self._uid()
        return b"%bMOVE %b %b" % (prefix, where, self._name())

    def uid_expunge(self) -> bytes:
        return b"UID EXPUNGE %d:%d" % (low := self.chance.randint(1, self.count), low + self.chance.choice((0, 3)))

    def status(self) -> bytes:
        return b"STATUS %b (MESSAGES UIDNEXT UIDVALIDITY UNSEEN)" % self._name()

    def list(self) -> bytes:
        return self.chance.choice(
            (
                *(b'LIST "" *', b'LIST "" %', b'LIST "" Work/*', b"LIST Work/ %", b'LIST "" ""', b'LIST "" inbox'),
                *(b'LSUB "" *', b'LSUB "" %', b'LIST (SUBSCRIBED) "" *', b'LIST "" (INBOX Work/%)', b'LIST "" W%/*'),
                *(b'LIST (RECURSIVEMATCH SUBSCRIBED) "" %', b'LIST "" * RETURN (SUBSCRIBED CHILDREN)', b"NAMESPACE"),
            )
        )

    def names(self) -> bytes:
        # Work stays: where it has children and is none itself, the servers differ (RFC 3501 6.3.3 to 6.3.5).
        one, other = self.chance.sample(NAMES[2:-1], 2)
        if self.selected and self.name == one:
            return b"NOOP"  # Dovecot ends a session whose mailbox goes, where this server leaves it (RFC 9051 6.3.5)
        return self.chance.choice(
            (b"CREATE " + one, b"CREATE " + one, b"DELETE " + one, b"RENAME %b %b" % (one, other), b"CREATE INBOX")
        )

    def subscribe(self) -> bytes:
        return self.chance.choice((b"SUBSCRIBE ", b"UNSUBSCRIBE ")) + self._name()


def _crlf(data: bytes) -> bytes:
    return data.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
