"""A POP3 server that answers from memory with any quirk, a target in memory, and a switch that stops all at any step.

The server is a machine of octets, so that a whole run costs no socket; every turn that could be a run's last one (an
octet sent or received, a message stored, a transaction written) counts as a step.
"""

from __future__ import annotations

import hashlib
from array import array
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from restante.clock import ManualClock
from restante.sync.model import Added, Changes, Message, Outline, Place
from restante.sync.outline import mark
from restante.sync.pop3.errors import SourceUnavailable
from restante.sync.pop3.fetch import fetch
from restante.sync.pop3.settings import DAY, Pop3Settings, Report, Security
from restante.sync.pop3.state import Pop3State
from restante.sync.pop3.target import Target

Names = Literal["good", "none", "shared", "content", "numbers", "places"]
"""Which UIDLs a server gives: unique ones, no such command, one for all, a hash of the message, its number, or a
word with it."""

LETTERS = bytes.maketrans(b"0123456789", b"abcdefghij")
"""Names made of letters hold no message numbers."""


def letter(name: str, body: str = "Hello\r\n", trace: str = "") -> bytes:
    """A small message of this name."""
    return (
        f"{trace}From: Writer <w@example.net>\r\nTo: a@example.org\r\nSubject: {name}\r\n"
        f"Date: Mon, 23 Nov 2026 12:00:00 +0000\r\nMessage-ID: <{name.replace(' ', '.')}@example.net>\r\n\r\n{body}"
    ).encode()


class Killed(BaseException):
    """The process ends here, as by SIGKILL."""


class Steps:
    """Counts what could be the last thing to happen, and stops at a given one."""

    def __init__(self) -> None:
        self.count = 0
        self.stop: int | None = None
        self.lost = False
        """Stop as a network does that is gone, not as a process."""

    def __call__(self, *, network: bool = False) -> None:
        self.count += 1
        if self.lost and not network:
            return
        if self.stop is not None and self.count >= self.stop:
            raise SourceUnavailable("The network is gone.") if self.lost else Killed


@dataclass
class Mail:
    data: bytes
    id: int


@dataclass
class Server:
    """A maildrop and what its server is like. commands: all that were said to it."""

    names: Names = "good"
    top: bool = True
    capa: bool = True
    pipelining: bool = True
    lf_sizes: bool = False
    """LIST tells sizes with LF line ends."""
    writes: bool = False
    """Puts Status and X-UIDL fields into what it delivers."""
    greeting: bytes = b"+OK ready\r\n"
    refuses: dict[bytes, bytes] = field(default_factory=dict)
    """-ERR lines by command, or by its verb."""
    more: tuple[bytes, ...] = ()
    """Further capabilities."""
    mails: list[Mail] = field(default_factory=list)
    salt: int = 0
    commands: list[bytes] = field(default_factory=list)
    retrieved: Counter[bytes] = field(default_factory=Counter)
    deadly: set[bytes] = field(default_factory=set)
    """Messages that it dies of when they are asked for."""
    hollow: set[bytes] = field(default_factory=set)
    """Messages of which it gives nothing, and +OK."""
    gone: list[bytes] = field(default_factory=list)
    """What QUIT removed."""
    last: int = 0

    def put(self, data: bytes) -> None:
        self.last += 1
        self.mails.append(Mail(data, self.last))

    def data(self, mail: Mail) -> bytes:
        end = b"" if mail.data.endswith(b"\r\n") else b"\r\n"
        fields = f"X-UIDL: {self.salt}-{mail.id}\r\nStatus: RO\r\n".encode() if self.writes else b""
        return fields + mail.data + end

    def size(self, mail: Mail) -> int:
        data = self.data(mail)
        return len(data) - data.count(b"\r\n") * self.lf_sizes

    def uidl(self, number: int, mail: Mail) -> bytes:
        if self.names == "shared":
            return b"same"
        if self.names == "content":
            return hashlib.md5(mail.data + b"%d" % self.salt).hexdigest().encode()
        if self.names == "numbers":
            return b"%d" % number
        if self.names == "places":
            return b"msg-%d.example" % number
        return (b"%d-%d" % (self.salt, mail.id)).translate(LETTERS)

    def session(self) -> Session:
        return Session(self)


class Session:
    """One connection to a server: octets in, octets out."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.marked: set[int] = set()
        self.ended = False
        self.kept = list(server.mails)
        self.data = b""

    def feed(self, data: bytes) -> bytes:
        self.data += data
        out = []
        while b"\r\n" in self.data and not self.ended:
            line, _, self.data = self.data.partition(b"\r\n")
            self.server.commands.append(line)
            out.append(self.answer(line))
        return b"".join(out)

    def answer(self, line: bytes) -> bytes:
        server = self.server
        verb, _, rest = line.partition(b" ")
        for refused in (line, verb):
            if refused in server.refuses:
                return server.refuses[refused]
        handler: Callable[[bytes], bytes] | None = getattr(self, f"do_{verb.decode().lower()}", None)
        return handler(rest) if handler is not None else b"-ERR unknown\r\n"

    def do_capa(self, _: bytes) -> bytes:
        if not self.server.capa:
            return b"-ERR unknown\r\n"
        lines = [b"USER", *self.server.more]
        lines += [b"UIDL"] * (self.server.names != "none") + [b"TOP"] * self.server.top
        lines += [b"PIPELINING"] * self.server.pipelining
        return b"".join((b"+OK\r\n", *(line + b"\r\n" for line in lines), b".\r\n"))

    def do_user(self, _: bytes) -> bytes:
        return b"+OK\r\n"

    def do_pass(self, _: bytes) -> bytes:
        return b"+OK\r\n"

    def do_list(self, _: bytes) -> bytes:
        lines = [b"%d %d\r\n" % (n, self.server.size(m)) for n, m in enumerate(self.kept, 1)]
        return b"".join((b"+OK\r\n", *lines, b".\r\n"))

    def do_uidl(self, _: bytes) -> bytes:
        if self.server.names == "none":
            return b"-ERR unknown\r\n"
        lines = [b"%d %b\r\n" % (n, self.server.uidl(n, m)) for n, m in enumerate(self.kept, 1)]
        return b"".join((b"+OK\r\n", *lines, b".\r\n"))

    def do_retr(self, rest: bytes) -> bytes:
        data = self.server.data(self.kept[int(rest) - 1])
        self.server.retrieved[data] += 1
        if self.kept[int(rest) - 1].data in self.server.hollow:
            return b"+OK\r\n.\r\n"
        if self.kept[int(rest) - 1].data in self.server.deadly:
            self.ended = True
            return b"+OK\r\n" + data[:100]
        return b"+OK\r\n" + self.stuffed(data) + b".\r\n"

    def do_top(self, rest: bytes) -> bytes:
        if not self.server.top:
            return b"-ERR unknown\r\n"
        header = self.server.data(self.kept[int(rest.split()[0]) - 1]).partition(b"\r\n\r\n")[0]
        return b"+OK\r\n" + self.stuffed(header + b"\r\n\r\n") + b".\r\n"

    def stuffed(self, data: bytes) -> bytes:
        return ((b"." if data.startswith(b".") else b"") + data).replace(b"\r\n.", b"\r\n..")

    def do_dele(self, rest: bytes) -> bytes:
        self.marked.add(int(rest))
        return b"+OK\r\n"

    def do_quit(self, _: bytes) -> bytes:
        for number in sorted(self.marked, reverse=True):
            mail = self.kept[number - 1]
            self.server.mails.remove(mail)
            self.server.gone.append(mail.data)
        self.ended = True
        return b"+OK bye\r\n"


class MemoryWire:
    secure = False
    loopback = True

    def __init__(self, server: Server, steps: Steps, piece: int = 1 << 16) -> None:
        self.session = server.session()
        self.steps = steps
        self.piece = piece
        self.out = server.greeting
        self.closed = False

    def send(self, data: bytes) -> None:
        self.steps(network=True)
        self.out += self.session.feed(data)

    async def receive(self) -> bytes:
        self.steps(network=True)
        if not self.out:
            raise SourceUnavailable("The server closed the connection.")
        data, self.out = self.out[: self.piece], self.out[self.piece :]
        return data

    async def start_tls(self) -> None:
        self.out = b""
        self.secure = True

    async def close(self) -> None:
        self.closed = True


@dataclass
class Box:
    validity: int = 1
    next: int = 1
    mails: dict[int, bytes] = field(default_factory=dict)
    flags: dict[int, frozenset[str]] = field(default_factory=dict)
    number: int = 0
    log: dict[int, int] = field(default_factory=dict)
    """Number of the change that brought a message or took it away."""


class MemoryTarget:
    """The part of a side that fetching asks for. tells: whether `add` tells UIDs."""

    title = "memory"

    def __init__(self, steps: Steps, *, tells: bool = True) -> None:
        self.boxes: dict[str, Box] = {"INBOX": Box()}
        self.steps = steps
        self.tells = tells
        self.read: list[int] = []
        """UIDs whose headers or octets were asked for."""
        self.opened = 0
        self.refusing: dict[bytes, Added] = {}

    async def open(self) -> None:
        self.opened += 1

    async def close(self) -> None:
        self.opened -= 1

    def put(self, mailbox: str, data: bytes) -> int:
        """As another program does."""
        box = self.boxes.setdefault(mailbox, Box())
        uid = box.next
        box.next += 1
        box.number += 1
        box.mails[uid], box.log[uid] = data, box.number
        return uid

    def take(self, mailbox: str, uid: int) -> bytes:
        box = self.boxes[mailbox]
        box.number += 1
        box.log[uid] = box.number
        return box.mails.pop(uid)

    def all(self) -> Counter[bytes]:
        return Counter(data for box in self.boxes.values() for data in box.mails.values())

    async def places(self) -> list[Place]:
        self.steps()
        return [
            Place(name, str(box.validity), str(box.number), messages=len(box.mails)) for name, box in self.boxes.items()
        ]

    async def changes(self, name: str, since: str | None) -> Changes:
        self.steps()
        box = self.boxes[name]
        old, _, number = (since or "").partition(":")
        full = old != str(box.validity)
        changed = sorted(uid for uid, at in box.log.items() if full or at > int(number))
        there = array("Q", (uid for uid in changed if uid in box.mails))
        gone = array("Q", () if full else (uid for uid in changed if uid not in box.mails))
        cursor = f"{box.validity}:{box.number}"
        return Changes(str(box.validity), cursor, full, there, [frozenset()] * len(there), gone)

    async def outlines(self, name: str, uids: Sequence[int]) -> list[Outline]:
        self.steps()
        self.read += uids
        mails = self.boxes[name].mails
        return [Outline(uid, len(mails[uid]), 0, mark(mails[uid])) for uid in uids if uid in mails]

    async def fetch(self, name: str, uids: Sequence[int]) -> AsyncIterator[Message]:
        self.read += uids
        for uid in uids:
            self.steps()
            if uid in self.boxes[name].mails:
                yield Message(uid, self.boxes[name].mails[uid], frozenset(), 0)

    async def create(self, name: str, role: str | None) -> Place:
        self.steps()
        box = self.boxes.setdefault(name, Box())
        return Place(name, str(box.validity), "0", messages=0)

    async def add(self, name: str, messages: Sequence[Message]) -> list[Added]:
        added = []
        for message in messages:
            self.steps()
            if message.data in self.refusing:
                added.append(self.refusing[message.data])
                continue
            uid = self.put(name, message.data)
            self.boxes[name].flags[uid] = message.flags
            added.append(Added(uid if self.tells else 0))
        self.steps()
        return added


class CountedState(Pop3State):
    """A state whose every transaction is a step, just before it is written."""

    steps: Steps

    def __init__(self, path: Path, source: str, steps: Steps) -> None:
        self.steps = steps
        super().__init__(path, source)
        self.db.set_commit_hook(self._commit)

    def _commit(self) -> bool:
        self.steps()
        return False


@dataclass
class Client:
    """Somebody who fetches: a target and a state. Several may use one server, or one target."""

    folder: Path
    steps: Steps
    target: MemoryTarget
    clock: ManualClock
    settings: Pop3Settings
    other: Target | None = None
    """A target of another kind, used instead."""

    async def fetch(self, server: Server, *, dry_run: bool = False, piece: int = 1 << 16) -> Report:
        async def dial(_: Pop3Settings) -> MemoryWire:
            return MemoryWire(server, self.steps, piece)

        with CountedState(self.folder / "state", self.settings.source, self.steps) as state:
            return await fetch(self.settings, self.other or self.target, state, self.clock, dry_run=dry_run, dial=dial)

    def lose_state(self) -> None:
        for path in self.folder.iterdir():
            path.unlink()

    def later(self, days: float) -> None:
        self.clock.advance(days * DAY)


async def password(renew: bool) -> str:
    return "secret"


def client(folder: Path, delete_after: int | None = None, **options: object) -> Client:
    folder.mkdir(parents=True, exist_ok=True)
    steps = Steps()
    settings = Pop3Settings(
        "pop.example.org", 110, "ann", password, security=Security.NONE, delete_after=delete_after, **options  # type: ignore[arg-type] # each test names what it wants
    )  # fmt: skip
    return Client(folder, steps, MemoryTarget(steps), ManualClock(), settings)
