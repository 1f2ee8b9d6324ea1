"""One IMAP connection of the crowd: sends commands, reads responses whole, keeps its picture of the mailbox."""

from __future__ import annotations

import asyncio
import re
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from .picture import FLAGS, Cache, Picture
from .world import World, numbers, uids

USER, PASSWORD = "ann@stress.example", "secret"
ANSWER = 60.0
"""Seconds for any answer: a server that is busy with the whole crowd is slow, one that has forgotten is found out."""

REMEMBERED = 80
"""Lines of both sides that a failure shows."""

CODE = re.compile(rb"\w+ (?:OK|NO|BAD)(?: \[([A-Z-]+)(?: ([^\]]*))?\])?")
SELECTED = {
    "exists": re.compile(rb"\* (\d+) EXISTS"),
    "uidvalidity": re.compile(rb"\[UIDVALIDITY (\d+)\]"),
    "uidnext": re.compile(rb"\[UIDNEXT (\d+)\]"),
    "highest": re.compile(rb"\[HIGHESTMODSEQ (\d+)\]"),
    "id": re.compile(rb"\[MAILBOXID \((\w+)\)\]"),
}
SEARCHED = re.compile(rb"\* SEARCH((?: \d+)*)")
ESEARCHED = re.compile(rb"\* ESEARCH \(TAG \"\w+\"\)( UID)?(?:.*? ALL ([\d:,]+))?")
COPYUID = re.compile(rb"\[COPYUID (\d+) ([\d:,]+) ([\d:,]+)\]")
APPENDUID = re.compile(rb"\[APPENDUID (\d+) (\d+)\]")
STATUS = re.compile(rb"\* STATUS \"?([^\" ]+)\"? \(([^)]*\)?[^)]*)\)")


class Gone(Exception):
    """The selected mailbox was deleted, says the server. id: its MAILBOXID."""

    def __init__(self, id: bytes) -> None:
        super().__init__(id)
        self.id = id


@dataclass(frozen=True, slots=True)
class Dialect:
    """What a session enables at its start."""

    qresync: bool = False
    condstore: bool = False
    rev2: bool = False

    @property
    def enabled(self) -> bytes:
        return b" ".join(name for name, on in ((b"QRESYNC", self.qresync), (b"IMAP4rev2", self.rev2)) if on)


class Client:
    """A logged-in session. picture: of the selected mailbox, None where none is."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, world: World, dialect: Dialect
    ) -> None:
        self.reader = reader
        self.writer = writer
        self.world = world
        self.dialect = dialect
        self.picture: Picture | None = None
        self.keywords: set[bytes] = set()
        """As FLAGS named them last."""
        self.left: Picture | None = None
        """What a SELECT under way leaves."""
        self.caches: dict[bytes, Cache] = {}
        """By MAILBOXID: what this client knew when it left a mailbox."""
        self.broken = ""
        """A promise that was not kept, unless the session is ended: of a mailbox that is deleted no removals are told,
        and a command that was done is answered before BYE."""
        self.answers: list[bytes] = []
        """Responses to the last command, the tagged one last."""
        self.transcript: deque[bytes] = deque(maxlen=REMEMBERED)
        self._number = 0

    @classmethod
    async def open(cls, host: str, port: int, world: World, dialect: Dialect) -> Client:
        reader, writer = await asyncio.open_connection(host, port, limit=1 << 22)
        client = cls(reader, writer, world, dialect)
        await client.line()
        await client.ok(b"LOGIN %b %b" % (USER.encode(), PASSWORD.encode()))
        if dialect.enabled:
            await client.ok(b"ENABLE " + dialect.enabled)
        return client

    async def close(self) -> None:
        await self.ok(b"LOGOUT")
        self.writer.close()

    # Commands ----------------------------------------------------------------------------------------

    async def ok(self, command: bytes) -> bytes:
        """Run a command that must succeed; its tagged response."""
        tagged = await self.do(command)
        if b" NO [NONEXISTENT]" in tagged:
            assert self.picture is not None, tagged
            raise Gone(self.picture.place.id)  # `do` let it pass: the selected mailbox may have been deleted
        assert b" OK" in tagged[:12], (command, tagged)
        return tagged

    async def do(self, command: bytes, *, allow: Sequence[bytes | None] = ()) -> bytes:
        """Run a command; its tagged response, which is OK, or NO with one of the codes allowed (None: without one).

        Everything untagged is held against the picture, and kept in `answers`.
        """
        name = command.split(b" ")[0].decode()
        self._number += 1
        tag = b"t%d" % self._number
        self._begin()
        self._send(tag + b" " + command + b"\r\n")
        while not (line := await self.line()).startswith(tag + b" "):
            if not line.startswith(b"+"):
                self._untagged(name, line)
        self.answers.append(line)
        self._tagged(name, command, line, allow)
        return line

    def _begin(self) -> None:
        self.answers = []
        if self.picture is not None:
            self.picture.begin()

    def _untagged(self, name: str, line: bytes) -> None:
        if line.startswith(b"* BYE") and name != "LOGOUT":
            assert b"[NONEXISTENT]" in line, line
            lost = self.picture or self.left
            assert lost is not None, f"nothing is selected: {line!r}"
            assert lost.name.startswith("Vol"), f"{lost.name} is never deleted: {line!r}"
            raise Gone(lost.place.id)
        self.answers.append(line)
        self._keywords(line)
        if self.picture is not None and name not in ("SELECT", "EXAMINE"):
            self.picture.take(name, line)

    def _keywords(self, line: bytes) -> None:
        """Flags that a message is said to have are those that FLAGS has named, system flags aside."""
        if line.startswith(b"* FLAGS ("):
            self.keywords = set(line[9 : line.index(b")")].split())
        elif (told := FLAGS.search(line)) and b" FETCH (" in line:
            untold = {word for word in told[1].split() if not word.startswith(b"\\")} - self.keywords
            assert not untold, f"{untold} and only {self.keywords} were named: {line!r}"

    def _tagged(self, name: str, command: bytes, line: bytes, allow: Sequence[bytes | None]) -> None:
        assert not self.broken or name == "LOGOUT", self.broken
        deleted = False
        if b" OK" not in line[:12]:
            found = CODE.match(line)
            code = found[1] if found else None
            assert b" NO" in line[:12], (command, line)
            deleted = self.picture is not None and self.picture.name.startswith("Vol") and code == b"NONEXISTENT"
            assert deleted or code in allow, (command, line)
        if self.picture is not None and name not in ("SELECT", "EXAMINE", "CLOSE", "UNSELECT"):
            # Of a mailbox that is deleted nothing is told any more, not what was removed from it before either.
            told_all = name in ("NOOP", "IDLE", "EXPUNGE", "CHECK") and not deleted
            self.broken = self.picture.end(line, told_all=told_all)
            assert not self.broken or self.picture.name.startswith("Vol"), self.broken

    async def idle(self, patience: float) -> bool:
        """IDLE until something is told, or for so long; whether something was."""
        self._number += 1
        tag = b"t%d" % self._number
        self._begin()
        self._send(tag + b" IDLE\r\n")
        while not (line := await self.line()).startswith(b"+"):
            self._untagged("IDLE", line)
        waited = False
        try:
            async with asyncio.timeout(patience):
                self._untagged("IDLE", await self.line())
                waited = True
        except TimeoutError:
            pass  # a quiet moment: DONE is as good then
        self._send(b"DONE\r\n")
        while not (line := await self.line()).startswith(tag + b" "):
            self._untagged("IDLE", line)
        self._tagged("IDLE", b"IDLE", line, ())
        return waited

    def _send(self, data: bytes) -> None:
        self.transcript.append(b"C: " + data)
        self.writer.write(data)

    async def line(self) -> bytes:
        """One response with its literals."""
        try:
            async with asyncio.timeout(ANSWER):
                line = await self.reader.readuntil(b"\r\n")
                while line.endswith(b"}\r\n"):
                    line += await self.reader.readexactly(int(line[line.rindex(b"{") + 1 : -3]))
                    line += await self.reader.readuntil(b"\r\n")
        except TimeoutError:
            if asyncio.current_task().cancelling():  # type: ignore[union-attr]  # a coroutine runs in a task
                raise
            raise AssertionError(f"no answer within {ANSWER:.0f} s") from None
        self.transcript.append(b"S: " + line)
        return line

    # Selecting ---------------------------------------------------------------------------------------

    def leave(self) -> None:
        """Note what is known of the selected mailbox, for coming back."""
        if self.picture is not None:
            self.caches[self.picture.place.id] = self.picture.cache()
        self.left, self.picture = self.picture, None

    async def select(self, name: str, id: bytes | None, *, examine: bool, hints: int) -> bool:
        """SELECT or EXAMINE, with QRESYNC where the mailbox is known. False where there is no such mailbox.

        id: the MAILBOXID that the name is expected to have. hints: how much the client tells of what it knows (0 to 2).
        """
        self.leave()
        verb = b"EXAMINE" if examine else b"SELECT"
        world, cache = self.world, self.caches.get(id) if id is not None and self.dialect.qresync else None
        floor = {place.id: (place.highest, place.uidnext) for place in world.places.values()}
        asked = b""
        if cache is not None and id is not None and cache.highest:
            asked = b" (QRESYNC (%d %d%b))" % (world.places[id].uidvalidity, cache.highest, known(cache, hints))
        elif self.dialect.condstore:
            asked = b" (CONDSTORE)"
        tagged = await self.do(verb + b" " + name.encode() + asked, allow=(b"NONEXISTENT",))
        if b" OK" not in tagged[:12]:
            return False
        told = b"".join(self.answers)
        found = {key: match[1] for key, pattern in SELECTED.items() if (match := pattern.search(told))}
        assert found.keys() == SELECTED.keys(), told
        place = world.place(found["id"], int(found["uidvalidity"]))
        highest, uidnext = int(found["highest"]), int(found["uidnext"])
        before = floor.get(place.id, (0, 0))
        assert highest >= before[0], f"HIGHESTMODSEQ {highest}, and {before[0]} was told before"
        assert uidnext >= before[1], f"UIDNEXT {uidnext}, and {before[1]} was told before"
        place.reach(highest=highest, uidnext=uidnext)
        self.picture = Picture(
            place, name=name, qresync=self.dialect.qresync, count=int(found["exists"]), highest=highest
        )
        if asked.startswith(b" (Q") and place.id == id and cache is not None:
            await self._resynchronised(self.picture, cache, self.answers, uidnext)
        await self.learn()
        return True

    async def _resynchronised(self, picture: Picture, cache: Cache, answers: list[bytes], uidnext: int) -> None:
        """What QRESYNC told, and what was known, must together be the mailbox (RFC 7162 3.2.5)."""
        self.world.tally["resynchronised"] += 1
        vanished: set[int] = set()
        for line in answers:
            if line.startswith(b"* VANISHED "):
                assert line.startswith(b"* VANISHED (EARLIER) "), line
                vanished.update(uids(line[21:-2]))
        assert all(uid < uidnext for uid in vanished), "VANISHED names a UID that was never given out"
        highest = picture.highest
        picture.begin()
        for line in answers:
            if b" FETCH (" in line[:20]:
                picture.take("SELECT", line)
        changed = set(picture.told)
        stay = [uid for uid in cache.order if uid not in vanished]
        for number, uid in enumerate(stay, 1):
            assert number <= len(picture.messages), f"UID {uid} is gone, and VANISHED did not say so"
            said = picture.messages[number - 1].uid
            assert said in (0, uid), f"number {number} is UID {said}: {uid} is gone, and VANISHED did not say so"
        picture.gone |= {uid for uid in cache.gone | vanished if uid < uidnext}
        if not picture.messages:
            return
        await self.ok(b"FETCH 1:%d (UID FLAGS MODSEQ)" % len(picture.messages))
        now = {message.uid: message for message in picture.messages if message.uid}
        for uid in stay:
            assert uid in now, f"UID {uid} is gone, and VANISHED did not say so"
            flags = cache.flags[uid]
            if uid not in changed and now[uid].modseq <= highest and flags not in (None, now[uid].flags):
                picture.missing.add(uid)  # only of what is gone by now may a change be left out
            assert now[uid].modseq >= cache.modseqs[uid], f"MODSEQ of {uid} fell"
        last = max(cache.order, default=0)
        between = [uid for uid in now if uid not in stay and uid <= last]
        assert not between, f"{between} came between known ones, or VANISHED named them and they are there"

    async def learn(self) -> None:
        """Ask for UIDs and subjects of newcomers, as clients do: VANISHED speaks of UIDs. More may come meanwhile."""
        picture = self.picture
        while picture is not None and (unknown := picture.unknown()):
            await self.ok(b"FETCH %d:%d (UID FLAGS BODY.PEEK[HEADER.FIELDS (SUBJECT)])" % unknown)

    # What answers say --------------------------------------------------------------------------------

    def found(self) -> list[int]:
        """Numbers of the last SEARCH or ESEARCH response."""
        result: list[int] = []
        for line in self.answers:
            if told := SEARCHED.match(line):
                result += [int(number) for number in told[1].split()]
            elif told := ESEARCHED.match(line):
                result += uids(told[2]) if told[2] else []
        return result

    def copied(self, source: Picture, asked: set[int], *, moved: bool) -> set[int]:
        """Hold COPYUID against what was asked for, and note what there must be now; source UIDs (RFC 4315 3)."""
        codes = [found for line in self.answers if (found := COPYUID.search(line))]
        if not codes:
            return set()
        (code,) = codes
        old, new = uids(code[2]), uids(code[3])
        assert len(old) == len(new)
        assert set(old) <= asked, f"COPYUID names {set(old) - asked}, which were not asked for"
        assert new == sorted(new), "COPYUID's UIDs do not ascend"
        target = self.world.by_validity.get(int(code[1]))
        for uid, given in zip(old, new, strict=True):
            token = source.place.tokens[uid]
            if target is not None:
                target.give(given, token)
            if not moved and token.startswith(b"keep"):
                self.world.kept[token] += 1
        return set(old)


def known(cache: Cache, hints: int) -> bytes:
    """The optional parameters of QRESYNC: known UIDs, and pairs of numbers and UIDs (RFC 7162 3.2.5.1, 3.2.5.2)."""
    if not hints or not cache.order:
        return b""
    every = b" 1:%d" % cache.order[-1]
    if hints == 1:
        return every
    at = sorted({0, len(cache.order) // 2, len(cache.order) - 1})
    return every + b" (%b %b)" % (numbers([i + 1 for i in at]), numbers([cache.order[i] for i in at]))
