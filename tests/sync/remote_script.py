"""A server that says what a test has written down, and remembers what it was told."""

from __future__ import annotations

import asyncio
import re
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from restante.sync.remote import RemoteAddress

Reply = Callable[["Session", bytes, bytes], "bytes | None"]
"""(session, tag, command with its literals in place) -> what is answered; None ends the connection."""

GREETING = b"* OK ready\r\n"


class Session:
    """One connection. log: commands without their tags. closed: the peer has gone."""

    def __init__(self, script: Script, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.script = script
        self.log: list[bytes] = []
        self.reader = reader
        self.writer = writer
        self.closed = asyncio.Event()

    def push(self, data: bytes) -> None:
        """Say something unasked."""
        self.writer.write(data)

    async def serve(self) -> None:
        self.writer.write(self.script.greeting)
        while line := await self.reader.readline():
            while found := re.search(rb"\{([0-9]+)(\+?)\}\r\n\Z", line):
                if not found[2]:
                    self.writer.write(b"+ go on\r\n")
                line += await self.reader.readexactly(int(found[1])) + await self.reader.readline()
            tag, _, command = line.removesuffix(b"\r\n").partition(b" ")
            self.log.append(command if command else tag)
            answer = self.script.reply(self, tag, command)
            if answer is None:
                break
            self.writer.write(answer)
            if command == b"STARTTLS" and self.script.context is not None and b" OK" in answer:
                await self.writer.start_tls(self.script.context)
        self.closed.set()
        self.writer.close()


class Script:
    """reply: makes the answers. sessions: connections so far. context: what STARTTLS begins."""

    def __init__(self, reply: Reply, greeting: bytes = GREETING, context: ssl.SSLContext | None = None) -> None:
        self.reply = reply
        self.greeting = greeting
        self.context = context
        self.sessions: list[Session] = []
        self.port = 0

    @property
    def log(self) -> list[bytes]:
        return [command for session in self.sessions for command in session.log]

    def address(self, **other: object) -> RemoteAddress:
        given: dict[str, object] = {"host": "127.0.0.1", "port": self.port, "security": "none", "user": "ann"} | other
        return RemoteAddress(**given)  # type: ignore[arg-type]  # fields by name

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Script]:
        tasks: set[asyncio.Task[None]] = set()

        async def begin(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            session = Session(self, reader, writer)
            self.sessions.append(session)
            task = asyncio.current_task()
            assert task is not None
            tasks.add(task)
            try:
                await session.serve()
            except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError, ssl.SSLError):
                writer.close()

        server = await asyncio.start_server(begin, "127.0.0.1", 0, limit=1 << 24)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


class Bare:
    """A server of RFC 3501 with one account, by its answers: boxes by name, each UID -> (flags, octets).

    Subclasses say what is different. offers: capabilities beside IMAP4rev1.
    """

    offers = b""
    separator = b"/"

    def __init__(self) -> None:
        self.boxes: dict[bytes, dict[int, tuple[set[bytes], bytes]]] = {b"INBOX": {}}
        self.validity: dict[bytes, int] = {b"INBOX": 7}
        self.next: dict[bytes, int] = {b"INBOX": 1}
        self.subscribed: set[bytes] = set()
        self.selected: dict[Session, bytes] = {}

    def __call__(self, session: Session, tag: bytes, command: bytes) -> bytes | None:
        verb, _, rest = command.partition(b" ")
        if verb.upper() == b"UID":
            second, _, rest = rest.partition(b" ")
            verb += b"_" + second
        method = getattr(self, "do_" + verb.decode("ascii").lower(), None)
        if method is None:
            return tag + b" BAD unknown command\r\n"
        done = method(session, rest)
        if done is None:
            return None
        assert isinstance(done, bytes)
        if done.rpartition(b"\r\n")[2]:  # the tagged answer's text
            lines, _, last = done.rpartition(b"\r\n")
            return lines + (b"\r\n" if lines else b"") + tag + b" " + last + b"\r\n"
        return done + tag + b" OK done\r\n"

    def put(self, box: bytes, octets: bytes, *flags: bytes) -> int:
        uid = self.next[box]
        self.next[box] += 1
        self.boxes[box][uid] = (set(flags), octets)
        return uid

    def do_capability(self, session: Session, rest: bytes) -> bytes:
        return b"* CAPABILITY IMAP4rev1" + self.offers + b"\r\n"

    def do_login(self, session: Session, rest: bytes) -> bytes:
        return b""

    def do_logout(self, session: Session, rest: bytes) -> bytes:
        return b"* BYE gone\r\n"

    def do_noop(self, session: Session, rest: bytes) -> bytes:
        return b""

    def do_list(self, session: Session, rest: bytes) -> bytes:
        if rest == b'"" ""':
            return b'* LIST (\\Noselect) "%b" ""\r\n' % self.separator
        return b"".join(b'* LIST () "%b" "%b"\r\n' % (self.separator, name) for name in self.boxes)

    def do_lsub(self, session: Session, rest: bytes) -> bytes:
        return b"".join(b'* LSUB () "%b" "%b"\r\n' % (self.separator, name) for name in self.subscribed)

    def do_status(self, session: Session, rest: bytes) -> bytes:
        name = rest.partition(b" (")[0].strip(b'"')
        if (box := self.boxes.get(name)) is None:
            return b"NO no such mailbox"
        numbers = (
            self.validity[name],
            self.next[name],
            len(box),
            sum(b"\\Seen" not in flags for flags, _ in box.values()),
        )
        return b'* STATUS "%b" (UIDVALIDITY %d UIDNEXT %d MESSAGES %d UNSEEN %d)\r\n' % (name, *numbers)

    def do_select(self, session: Session, rest: bytes) -> bytes:
        name = rest.partition(b" (")[0].strip(b'"')
        if name not in self.boxes:
            return b"NO no such mailbox"
        self.selected[session] = name
        return (
            b"* FLAGS (\\Seen \\Deleted)\r\n* OK [PERMANENTFLAGS (\\Seen \\Deleted \\Flagged)] kept\r\n"
            b"* %d EXISTS\r\n* 0 RECENT\r\n* OK [UIDVALIDITY %d] x\r\nOK [READ-WRITE] selected"
            % (len(self.boxes[name]), self.validity[name])
        )

    def do_examine(self, session: Session, rest: bytes) -> bytes:
        return self.do_select(session, rest).replace(b"[READ-WRITE]", b"[READ-ONLY]")

    def named(self, session: Session, numbers: bytes) -> list[int]:
        box = self.boxes[self.selected[session]]
        found: set[int] = set()
        for item in numbers.split(b","):
            low, _, high = item.partition(b":")
            top = max(box, default=0) if high == b"*" else int(high or low)
            found |= set(range(int(low), top + 1)) & box.keys()
        return sorted(found)

    def do_uid_fetch(self, session: Session, rest: bytes) -> bytes:
        numbers, _, items = rest.partition(b" ")
        box = self.boxes[self.selected[session]]
        out = b""
        order = sorted(box)
        for uid in self.named(session, numbers):
            flags, octets = box[uid]
            shown = b" FLAGS (%b)" % b" ".join(sorted(flags))
            if b"INTERNALDATE" in items:
                shown += b' INTERNALDATE "17-Jul-1996 02:44:25 -0700"'
            if b"RFC822.SIZE" in items:
                shown += b" RFC822.SIZE %d" % len(octets)
            if part := re.search(rb"BODY\.PEEK\[\](?:<([0-9]+)\.([0-9]+)>)?", items):
                start, size = int(part[1] or 0), int(part[2] or 1 << 40)
                piece = octets[start : start + size]
                shown += b" BODY[]%b {%d}\r\n%b" % (b"<%d>" % start if part[1] else b"", len(piece), piece)
            elif b"BODY.PEEK[HEADER" in items:
                head = octets.partition(b"\r\n\r\n")[0] + b"\r\n\r\n"
                shown += b" BODY[HEADER.FIELDS (X)] {%d}\r\n%b" % (len(head), head)
            out += b"* %d FETCH (UID %d%b)\r\n" % (order.index(uid) + 1, uid, shown)
        return out

    def do_uid_store(self, session: Session, rest: bytes) -> bytes:
        numbers, sign, names = rest.split(b" ", 2)
        for uid in self.named(session, numbers):
            flags = self.boxes[self.selected[session]][uid][0]
            change = set(names.strip(b"()").split())
            flags |= change if sign.startswith(b"+") else set()
            flags -= change if sign.startswith(b"-") else set()
        return b""

    def do_uid_search(self, session: Session, rest: bytes) -> bytes:
        box = self.boxes[self.selected[session]]
        found = [uid for uid, (flags, _) in sorted(box.items()) if rest == b"ALL" or b"\\Deleted" in flags]
        return b"* SEARCH" + b"".join(b" %d" % uid for uid in found) + b"\r\n"

    def do_expunge(self, session: Session, rest: bytes) -> bytes:
        box = self.boxes[self.selected[session]]
        out = b""
        for uid in [uid for uid, (flags, _) in box.items() if b"\\Deleted" in flags]:
            out += b"* %d EXPUNGE\r\n" % (sorted(box).index(uid) + 1)
            del box[uid]
        return out

    def do_append(self, session: Session, rest: bytes) -> bytes:
        found = re.match(rb'"?([^" ]+)"? \(([^)]*)\) "[^"]*" \{([0-9]+)\+?\}\r\n', rest)
        assert found is not None, rest
        self.put(found[1], rest[found.end() : found.end() + int(found[3])], *found[2].split())
        return b""
