"""Copies between real servers and real folders: how other programs change both, and runs that are cut off.

A *ground* is what lies on one side: an account of a server, reached as any mail program does it (plain imaplib); a
Maildir tree, changed as mail readers change one (files made, renamed, moved and unlinked); an account of a store.
`Real` plays the numbers of `programs` on two of them.
"""

from __future__ import annotations

import asyncio
import imaplib
import os
import random
import re
import shlex
import shutil
import ssl
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from restante.clock import ManualClock
from restante.sync.engine import run
from restante.sync.maildir import Layout, MaildirSide
from restante.sync.model import FlagChange, Message
from restante.sync.remote import RemoteAddress, RemoteSide, Settings
from restante.sync.settings import CopySettings, End, Report
from restante.sync.side import Side
from restante.sync.state import State

from .memory import Killed, Steps
from .programs import number_of, octets
from .remote_support import PASSWORD, secret
from .test_local import local, make_account

FLAGS = ["\\Seen", "\\Flagged", "\\Answered", "\\Draft", "$Work", "$Later"]
NAMES = ["INBOX", "A", "B", "A/C", "D"]
LETTERS = {"\\Draft": "D", "\\Flagged": "F", "\\Answered": "R", "\\Seen": "S", "\\Deleted": "T"}

Held = tuple[int, tuple[str, ...]]
Content = dict[str, list[Held]]


class Ground(Protocol):
    """One side's ground. Messages are named by their numbers (`programs.octets`)."""

    def side(self) -> Side:
        """A new side over it, for one run."""
        ...

    def boxes(self) -> list[str]: ...

    def content(self) -> Content:
        """Numbers and flags in each mailbox, sorted."""
        ...

    def edits(self) -> Edits:
        """Another program at work; closed when it is done."""
        ...


class Edits(Protocol):
    """What another program does. found: what it sees in a mailbox, (handle, number, flags)."""

    def close(self) -> None: ...
    def found(self, name: str) -> list[tuple[Any, int, frozenset[str]]]: ...
    def deliver(self, name: str, data: bytes, flags: frozenset[str], day: int) -> None: ...
    def flag(self, name: str, handle: Any, flag: str, on: bool) -> None: ...
    def remove(self, name: str, handle: Any) -> None: ...
    def move(self, name: str, handle: Any, target: str) -> None: ...
    def create(self, name: str) -> None: ...
    def rename(self, name: str, new: str) -> None: ...
    def delete(self, name: str) -> None: ...
    def subscribe(self, name: str, on: bool) -> None: ...
    def renumber(self, name: str) -> None: ...


# A server ------------------------------------------------------------------------------------------------


class Server:
    """An account of an IMAP server. without: capabilities that runs do not use."""

    def __init__(
        self,
        address: RemoteAddress,
        without: frozenset[str],
        renumber: Callable[[str], None] | None = None,
        busy: Callable[[], object] = lambda: False,
    ) -> None:
        """busy: true while the server has sessions that it has not ended yet."""
        self.address = address
        self.busy = busy
        self.without = without
        self.renumber = renumber

    def side(self) -> Side:
        return RemoteSide(self.address, secret, Settings(connections=2, without=self.without, poll=0.2))

    def edits(self) -> ImapEdits:
        return ImapEdits(self.address, self.renumber)

    def boxes(self) -> list[str]:
        edits = self.edits()
        try:
            return edits.boxes()
        finally:
            edits.close()

    def content(self) -> Content:
        edits = self.edits()
        try:
            return {
                name: sorted((number, tuple(sorted(flags))) for _, number, flags in edits.found(name))
                for name in edits.boxes()
            }
        finally:
            edits.close()


_ITEM = re.compile(rb"UID (\d+).*FLAGS \(([^)]*)\)")
_LISTED = re.compile(rb'\(([^)]*)\) "?[^" ]+"? "?([^"]+)"?$')


class ImapEdits:
    """A mail program of the plainest kind."""

    def __init__(self, address: RemoteAddress, renumber: Callable[[str], None] | None) -> None:
        self._renumber = renumber
        if address.tunnel:
            self.imap: imaplib.IMAP4 = imaplib.IMAP4_stream(shlex.join(address.tunnel))
            assert self.imap.state == "AUTH"
        elif address.security == "none":
            self.imap = imaplib.IMAP4(address.host, address.port)
            self.imap.login(address.user, PASSWORD)
        else:
            context = ssl.create_default_context(cafile=address.trusted)
            context.check_hostname = False
            self.imap = imaplib.IMAP4_SSL(address.host, address.port, ssl_context=context)
            self.imap.login(address.user, PASSWORD)
        self._selected = ""

    def close(self) -> None:
        self.imap.logout()

    def do(self, method: str, *args: Any) -> list[Any]:
        kind, data = getattr(self.imap, method)(*args)
        assert kind == "OK", (method, args, data)
        found: list[Any] = data
        return found

    def select(self, name: str) -> None:
        if self._selected != name:
            self.do("select", name)
            self._selected = name

    def boxes(self) -> list[str]:
        found = []
        for line in self.do("list"):
            match = _LISTED.match(line)
            assert match is not None, line
            if b"\\noselect" not in match[1].lower() and b"\\nonexistent" not in match[1].lower():
                found.append(match[2].decode("ascii"))
        return sorted(found)

    def subscribed(self) -> set[str]:
        matches = [_LISTED.match(line) for line in self.do("lsub") if line is not None]
        return {match[2].decode("ascii") for match in matches if match is not None}

    def found(self, name: str) -> list[tuple[Any, int, frozenset[str]]]:
        self.select(name)
        self.do("noop")
        rows = self.do("uid", "FETCH", "1:*", "(UID FLAGS BODY.PEEK[HEADER.FIELDS (MESSAGE-ID)])")
        found = []
        for row in rows:
            if isinstance(row, tuple):
                match = _ITEM.search(row[0])
                assert match is not None, row
                flags = frozenset(flag for flag in match[2].decode("ascii").split() if flag.lower() != "\\recent")
                found.append((match[1].decode("ascii"), number_of(row[1]), flags))
        return found

    def deliver(self, name: str, data: bytes, flags: frozenset[str], day: int) -> None:
        when = imaplib.Time2Internaldate(1_700_000_000 + day)
        self.do("append", name, f"({' '.join(flags)})", when, data)

    def flag(self, name: str, handle: Any, flag: str, on: bool) -> None:
        self.select(name)
        self.do("uid", "STORE", handle, "+FLAGS.SILENT" if on else "-FLAGS.SILENT", f"({flag})")

    def remove(self, name: str, handle: Any) -> None:
        self.flag(name, handle, "\\Deleted", True)
        self.do("uid", "EXPUNGE", handle)

    def move(self, name: str, handle: Any, target: str) -> None:
        self.select(name)
        self.do("uid", "MOVE", handle, target)

    def create(self, name: str) -> None:
        self.do("create", name)

    def _leave(self) -> None:
        if self._selected:
            self.do("unselect")
            self._selected = ""

    def rename(self, name: str, new: str) -> None:
        """Not to a name that has only children: most servers refuse that."""
        self._leave()
        if not any(
            match is not None and match[2].decode("ascii") == new for match in map(_LISTED.match, self.do("list"))
        ):
            self.do("rename", name, new)

    def delete(self, name: str) -> None:
        self._leave()
        self.do("delete", name)

    def subscribe(self, name: str, on: bool) -> None:
        self.do("subscribe" if on else "unsubscribe", name)

    def renumber(self, name: str) -> None:
        """By the ground's own way, else by another mailbox in its place."""
        self._leave()
        if self._renumber is not None:
            self._renumber(name)
        elif name != "INBOX" and not any(other.startswith(name + "/") for other in self.boxes()):
            self.do("create", "Meanwhile")
            self.select(name)
            if self.do("uid", "SEARCH", "ALL") != [b""]:
                self.do("uid", "COPY", "1:*", "Meanwhile")
            self.delete(name)
            self.do("rename", "Meanwhile", name)


# A Maildir tree ------------------------------------------------------------------------------------------


class Tree:
    """A Maildir tree. Its mailboxes' names need no coding here."""

    def __init__(self, folder: Path, layout: Layout) -> None:
        self.root = folder / "Mail"
        self.index = folder / "maildir.db"
        self.layout = layout
        self.deleted: set[str] = set()

    def side(self) -> Side:
        return MaildirSide(self.root, self.index, layout=self.layout)

    def edits(self) -> MaildirEdits:
        return MaildirEdits(self)

    def path(self, name: str) -> Path:
        if self.layout is Layout.PLAIN:
            return self.root / name
        return self.root if name == "INBOX" else self.root / ("." + name.replace("/", "."))

    def boxes(self) -> list[str]:
        if self.layout is Layout.PLAIN:
            return sorted(str(path.parent.relative_to(self.root)) for path in self.root.rglob("cur"))
        inner = (path.name[1:].replace(".", "/") for path in self.root.glob(".[!.]*") if (path / "cur").is_dir())
        return sorted(["INBOX", *inner] if (self.root / "cur").is_dir() else inner)

    def content(self) -> Content:
        """By the side, which knows what letters of keywords mean here."""
        return content_of(self.side())


class MaildirEdits:
    """A mail reader or a delivery: every change is one system call on one file, or a folder's."""

    def __init__(self, tree: Tree) -> None:
        self.tree = tree

    def close(self) -> None:
        """Nothing is open."""

    def found(self, name: str) -> list[tuple[Any, int, frozenset[str]]]:
        found = []
        for sub in ("cur", "new"):
            for path in sorted((self.tree.path(name) / sub).iterdir()):
                letters = path.name.partition(":2,")[2]
                flags = frozenset(flag for flag, letter in LETTERS.items() if letter in letters)
                found.append((path, number_of(path.read_bytes()), flags))
        return found

    def deliver(self, name: str, data: bytes, flags: frozenset[str], day: int) -> None:
        folder, number = self.tree.path(name), number_of(data)
        letters = "".join(sorted(LETTERS[flag] for flag in flags if flag in LETTERS))
        unique = f"{1_700_000_000 + day}.M{number}P9.other.example"
        path = folder / "tmp" / unique
        path.write_bytes(data.replace(b"\r\n", b"\n"))
        os.utime(path, (1_700_000_000 + day,) * 2)
        path.rename(folder / "cur" / f"{unique}:2,{letters}" if letters else folder / "new" / unique)

    def flag(self, name: str, handle: Any, flag: str, on: bool) -> None:
        letter = LETTERS.get(flag)
        if letter is not None:
            unique, _, letters = handle.name.partition(":2,")
            kept = "".join(sorted((set(letters) - {letter}) | ({letter} if on else set())))
            handle.rename(handle.parent.parent / "cur" / f"{unique}:2,{kept}")

    def remove(self, name: str, handle: Any) -> None:
        handle.unlink()

    def move(self, name: str, handle: Any, target: str) -> None:
        """As most readers do: another unique name, the same letters (those of keywords mean other things there)."""
        letters = "".join(letter for letter in handle.name.partition(":2,")[2] if letter.isupper())
        unique = f"{handle.name.partition('.')[0]}.M{number_of(handle.read_bytes())}P8.moved.example"
        handle.rename(self.tree.path(target) / "cur" / f"{unique}:2,{letters}")

    def create(self, name: str) -> None:
        """Not in the place of one that was there: that is taken for a disk that is missing."""
        if name not in self.tree.deleted:
            for sub in ("tmp", "new", "cur"):
                (self.tree.path(name) / sub).mkdir(parents=True)

    def rename(self, name: str, new: str) -> None:
        old, there = self.tree.path(name), self.tree.path(new)
        there.parent.mkdir(parents=True, exist_ok=True)
        below = [] if self.tree.layout is Layout.PLAIN else list(self.tree.root.glob(f"{old.name}.*"))
        if self.tree.layout is Layout.PLAIN and there.exists():  # it was there as a level without a mailbox
            for child in old.iterdir():
                child.rename(there / child.name)
            old.rmdir()
        else:
            old.rename(there)
        for child in below:
            child.rename(self.tree.root / (there.name + child.name[len(old.name) :]))

    def delete(self, name: str) -> None:
        """The mailbox; what is below it stays."""
        folder = self.tree.path(name)
        self.tree.deleted.add(name)
        if self.tree.layout is Layout.PLAIN:
            for entry in list(folder.iterdir()):
                if entry.name in ("cur", "new", "tmp") or entry.is_file():
                    shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
            while folder != self.tree.root and not any(folder.iterdir()):
                folder.rmdir()
                folder = folder.parent
        else:
            shutil.rmtree(folder)

    def subscribe(self, name: str, on: bool) -> None:
        """Readers of a Maildir know no subscriptions."""

    def renumber(self, name: str) -> None:
        """Its messages get other names, all of them: to us they are others."""
        for path, number, _ in self.found(name):
            letters = "".join(letter for letter in path.name.partition(":2,")[2] if letter.isupper())
            path.rename(path.parent / f"{path.name.partition('.')[0]}.M{number}P{os.urandom(3).hex()}.x:2,{letters}")


# A store -------------------------------------------------------------------------------------------------


class StoreGround:
    """An account of a store on this machine."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "data"
        make_account(self.folder)

    def side(self) -> Side:
        return local(self.folder)

    def edits(self) -> SideEdits:
        return SideEdits(self.side)

    def boxes(self) -> list[str]:
        edits = self.edits()
        try:
            return [place.name for place in edits.run(edits.one.places()) if place.selectable]
        finally:
            edits.close()

    def content(self) -> Content:
        return content_of(self.side())


class SideEdits:
    """Another program with the store open, by a side of its own."""

    def __init__(self, make: Callable[[], Side]) -> None:
        self.runner = asyncio.Runner()
        self.one = make()
        self.run(self.one.open())

    def run(self, work: Any) -> Any:
        return self.runner.run(work)

    def close(self) -> None:
        self.run(self.one.close())
        self.runner.close()

    def found(self, name: str) -> list[tuple[Any, int, frozenset[str]]]:
        async def work() -> list[tuple[Any, int, frozenset[str]]]:
            uids = list((await self.one.changes(name, None)).uids)
            return [(m.uid, number_of(m.data), m.flags) async for m in self.one.fetch(name, uids)]

        found: list[tuple[Any, int, frozenset[str]]] = self.run(work())
        return sorted(found, key=lambda each: each[0])

    def deliver(self, name: str, data: bytes, flags: frozenset[str], day: int) -> None:
        self.run(self.one.add(name, [Message(0, data, flags, 1_700_000_000 + day)]))

    def flag(self, name: str, handle: Any, flag: str, on: bool) -> None:
        one, none = frozenset({flag}), frozenset[str]()
        self.run(self.one.set_flags(name, [FlagChange([handle], one if on else none, none if on else one)]))

    def remove(self, name: str, handle: Any) -> None:
        self.run(self.one.remove(name, [handle]))

    def move(self, name: str, handle: Any, target: str) -> None:
        self.run(self.one.move(name, [handle], target))

    def create(self, name: str) -> None:
        self.run(self.one.create(name, None))

    def rename(self, name: str, new: str) -> None:
        self.run(self.one.rename(name, new))

    def delete(self, name: str) -> None:
        self.run(self.one.delete(name))

    def subscribe(self, name: str, on: bool) -> None:
        self.run(self.one.subscribe(name, on))

    def renumber(self, name: str) -> None:
        """Another mailbox in its place."""
        if name != "INBOX" and not any(place.name.startswith(name + "/") for place in self.run(self.one.places())):
            self.create("Meanwhile")
            uids = list(self.run(self.one.changes(name, None)).uids)
            if uids:
                self.run(self.one.move(name, uids, "Meanwhile"))
            self.delete(name)
            self.rename("Meanwhile", name)


def content_of(side: Side) -> Content:
    """What a side holds."""

    async def work() -> Content:
        found = {}
        try:
            await side.open()
            for place in await side.places():
                if place.selectable:
                    uids = list((await side.changes(place.name, None)).uids)
                    rows = [
                        (number_of(one.data), tuple(sorted(one.flags))) async for one in side.fetch(place.name, uids)
                    ]
                    found[place.name] = sorted(rows)
        finally:
            await side.close()
        return found

    return asyncio.run(work())


# Runs that are cut off -----------------------------------------------------------------------------------


class Stopping:
    """A side that counts a step before and after each call, at which a run may be cut off."""

    def __init__(self, side: Side, steps: Steps) -> None:
        self._side = side
        self._steps = steps
        self.calls: Counter[str] = Counter()
        self.title = side.title

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._side, name)
        if name in (
            "open",
            "close",
            "expect",
            "coming",
            "unreadable",
            "left_out_mailboxes",
            "sign",
            "keeps",
            "moves_by_copying",
        ):
            return method
        self.calls[name] += 1
        if name == "fetch":

            async def fetch(*args: Any) -> AsyncIterator[Message]:
                self._steps(f"{self.title}: before fetch")
                async for message in method(*args):
                    yield message
                    self._steps(f"{self.title}: fetched a message")

            return fetch

        async def call(*args: Any) -> Any:
            self._steps(f"{self.title}: before {name}")
            answer = await method(*args)
            self._steps(f"{self.title}: after {name}")
            return answer

        return call


@dataclass
class Real:
    """A copy between two grounds. made, removed: numbers of messages that were delivered, or removed somewhere."""

    folder: Path
    grounds: dict[End, Ground]
    settings: CopySettings
    clock: ManualClock = field(default_factory=ManualClock)
    count: int = 0
    made: set[int] = field(default_factory=set)
    removed: set[int] = field(default_factory=set)
    log: list[str] = field(default_factory=list)

    def sync(self, kill: int = 0) -> Report | None:
        """A run; None where it was cut off."""
        steps = Steps(kill)
        state = State(self.folder / "state", lambda when: steps(f"{when} commit"))
        self.sides = {end: Stopping(self.grounds[end].side(), steps) for end in End}
        one, two = (self.sides[end] for end in End)
        work = run(self.settings, one, two, state, self.clock)
        try:
            return asyncio.run(work)
        except Killed as killed:
            self.log.append(f"cut off {killed}")
            # What the server has got whole it still does. A next run waits (`engine.land`), but this clock stands.
            while any(isinstance(ground, Server) and ground.busy() for ground in self.grounds.values()):
                time.sleep(0.002)
            return None
        finally:
            state.close()

    # Edits -----------------------------------------------------------------------------------------------

    def edit(self, edits: Edits, end: End, code: int) -> None:
        """Something that another program does; the number says what, as in `programs.World.edit`."""
        code, what = divmod(code, 16)
        names = self.grounds[end].boxes()
        name, there = names[code % len(names)], NAMES[code // 3 % len(NAMES)]
        if what <= 4:
            self.deliver(edits, name, frozenset({FLAGS[code % len(FLAGS)]}) if code % 3 == 0 else frozenset(), code)
        elif what == 11 and there not in names:
            self.say(end, f"create {there}")
            edits.create(there)
        elif what == 12 and name != "INBOX" and not there.startswith(name + "/"):
            moved = {there + one[len(name) :] for one in names if one == name or one.startswith(name + "/")}
            if not moved.isdisjoint(names):
                return  # no program puts a mailbox, or one below it, where there is one
            self.say(end, f"rename {name} to {there}")
            edits.rename(name, there)
        elif what == 13 and name != "INBOX":
            gone = {number for _, number, _ in edits.found(name)} - {0}
            if not any(number == 0 for _, number, _ in edits.found(name)):
                self.say(end, f"delete {name} with {gone}")
                self.removed |= gone
                edits.delete(name)
        elif what == 14:
            self.say(end, f"renumber {name}")
            edits.renumber(name)
        elif what == 15:
            self.say(end, f"subscribe {name} {code % 2}")
            edits.subscribe(name, bool(code % 2))
        elif what <= 10:
            self._message(edits, end, name, code, what)

    def _message(self, edits: Edits, end: End, name: str, code: int, what: int) -> None:
        found = sorted((row for row in edits.found(name) if row[1]), key=lambda row: row[1])
        if not found:
            return
        handle, number, flags = found[code // 5 % len(found)]
        names = self.grounds[end].boxes()
        flag, target = FLAGS[code // 7 % len(FLAGS)], names[code // 11 % len(names)]
        if what <= 7:
            self.say(end, f"flag {number} in {name} with {flag} {flag not in flags}")
            edits.flag(name, handle, flag, flag not in flags)
        elif what == 8:
            self.say(end, f"remove {number} from {name}")
            self.removed.add(number)
            edits.remove(name, handle)
        elif target != name:
            self.say(end, f"move {number} from {name} to {target}")
            edits.move(name, handle, target)

    def deliver(self, edits: Edits, name: str, flags: frozenset[str], code: int = 0) -> int:
        self.count += 1
        self.made.add(self.count)
        self.log.append(f"deliver {self.count} to {name} with {set(flags)}")
        edits.deliver(name, octets(self.count, code % 5 == 0), flags, code % 2)
        return self.count

    def say(self, end: End, what: str) -> None:
        self.log.append(f"{end.name}: {what}")

    # What must hold --------------------------------------------------------------------------------------

    def settle(self) -> Report:
        """Whole runs until there is nothing to do: at most a few."""
        for _ in range(4):
            report = self.sync()
            assert report is not None
            assert not report.left_out, report.left_out
            if report.changed == 0:
                return report
        raise AssertionError(f"still something to do: {report}")

    def check(self) -> None:
        """Both are the same, nothing is lost, nothing is there twice; a further run changes nothing."""
        one, two = (self.grounds[end].content() for end in End)
        assert one == two, "\n".join(
            f"{name}: {one.get(name)} on one, {two.get(name)} on two"
            for name in sorted({*one, *two})
            if one.get(name) != two.get(name)
        )
        numbers = Counter(number for rows in one.values() for number, _ in rows)
        twice = [number for number, times in numbers.items() if times > 1]
        assert not twice, {number: [n for n, rows in one.items() for m, _ in rows if m == number] for number in twice}
        lost = self.made - self.removed - set(numbers)
        assert not lost, lost
        report = self.sync()
        assert report is not None
        assert (report.changed, report.passes) == (0, 1), report
        changing = {"add", "set_flags", "remove", "copy", "move", "create", "rename", "delete", "subscribe", "set_role"}
        assert not any(changing & set(side.calls) for side in self.sides.values())
        assert {end: self.grounds[end].content() for end in End} == {End.ONE: one, End.TWO: two}


def play(real: Real, program: Sequence[int]) -> None:
    """Play a program: a number is an edit, a run (0 mod 7), or a run that is cut off (1 mod 7)."""
    try:
        _begin(real)
        at = 0
        while at < len(program):
            rest, what = divmod(program[at], 7)
            if what <= 1:
                real.log.append("a run")
                real.sync(0 if what == 0 else 1 + rest % 50)
                at += 1
                continue
            end = End(rest % 2 + 1)
            edits = real.grounds[end].edits()
            try:
                while at < len(program) and program[at] % 7 > 1 and program[at] // 7 % 2 == rest % 2:
                    real.edit(edits, end, program[at] // 14)
                    at += 1
            finally:
                edits.close()
        real.log.append("settling")
        real.settle()
        real.check()
    except BaseException as error:
        error.add_note("\n".join(real.log))
        raise


def _begin(real: Real) -> None:
    """A few mailboxes with messages, the same on both sides."""
    edits = real.grounds[End.ONE].edits()
    try:
        # Shows which flags are kept: the removal of one never seen could not be told from that.
        edits.deliver("INBOX", octets(0, False), frozenset(FLAGS), 0)
        for name in ("A", "A/C"):
            edits.create(name)
        for name in ("INBOX", "A", "A/C") * 2:
            real.deliver(edits, name, frozenset())
    finally:
        edits.close()
    real.sync()


_WHAT = {0: 12, 5: 12, 8: 4, 9: 10, 11: 4, 12: 4, 13: 2, 14: 3, 15: 2}
"""How often which edit comes (`Real.edit`)."""


def program_of(seed: int) -> list[int]:
    """A program of this seed: eight times some edits and a run, or one that is cut off."""
    chance = random.Random(seed)
    program = []
    for _ in range(8):
        for what in chance.choices(list(_WHAT), list(_WHAT.values()), k=chance.randrange(2, 9)):
            rest = 2 * (what + 16 * chance.randrange(10_000)) + chance.randrange(2)
            program.append(7 * rest + 2)
        program.append(7 * chance.randrange(1_000) + chance.randrange(2))
    return program
