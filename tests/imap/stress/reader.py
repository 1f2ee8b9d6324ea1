"""An IMAP client that does anything: each step is one random command, and what it must answer is asserted there."""

from __future__ import annotations

import random
import re
from collections.abc import Awaitable, Callable, Sequence

from .client import APPENDUID, Client, Dialect, Gone
from .picture import UID, Message, Picture
from .world import World, text, uids

SHARED = ("INBOX", "Work", "Lists")
"""Mailboxes that are never deleted or renamed."""

VOLATILE = ("Vol1", "Vol2", "Vol3")
"""Names that come, go and change places."""

FULL = 60
"""Messages in a mailbox above which more is removed than filed."""

KEEP = 120
"""Messages that are never deleted, in all: what is above is copied no more."""

Connect = Callable[[Dialect], Awaitable[Client]]

FETCHES = (
    b"FETCH %d:%d (FLAGS)",
    b"FETCH %d:%d (UID BODY.PEEK[HEADER.FIELDS (SUBJECT)])",
    b"FETCH %d:%d (UID ENVELOPE RFC822.SIZE EMAILID)",
    b"FETCH %d:%d (UID BODYSTRUCTURE BINARY.SIZE[1])",
    b"FETCH %d:%d (BODY[TEXT])",
)
UID_FETCHES = (b"UID FETCH %d:%d (FLAGS)", b"UID FETCH %d:%d (BODY.PEEK[])")
WITH_MODSEQ = (b"FETCH %d:%d (UID FLAGS MODSEQ)", b"FETCH %d:%d (MODSEQ)")
LOUD = (
    b"STORE %d:%d +FLAGS (\\Flagged)",
    b"STORE %d:%d -FLAGS (\\Flagged $Work)",
    b"STORE %d:%d FLAGS (\\Answered $Work)",
)
SILENT: tuple[tuple[bytes, frozenset[bytes], frozenset[bytes]], ...] = (
    (b"+FLAGS.SILENT (\\Seen)", frozenset({b"\\Seen"}), frozenset()),
    (b"-FLAGS.SILENT (\\Seen \\Answered)", frozenset(), frozenset({b"\\Seen", b"\\Answered"})),
    (b"+FLAGS.SILENT ($Later $Work)", frozenset({b"$Later", b"$Work"}), frozenset()),
)
DELETED = frozenset({b"\\Deleted"})
SEARCHES = (b"SEARCH UNDELETED", b"SEARCH UNSEEN", b"SEARCH OR FLAGGED KEYWORD $Work", b"SEARCH SUBJECT free")
FLAGGED = (b"UNDELETED", b"UNSEEN", b"SEEN UNDELETED", b"OR FLAGGED KEYWORD $Work", b"ALL")
"""Queries that flags alone answer."""
PART = re.compile(rb"PARTIAL \(-?\d+:-?\d+ (NIL|[\d:,]+)\)")
ENDS = re.compile(rb"\b(MIN|MAX|COUNT) (\d+)")
MODIFIED = re.compile(rb"\[MODIFIED ([\d:,]+)\]")
VALUE = re.compile(rb"\b(UIDNEXT|HIGHESTMODSEQ) (\d+)")
BUSY_NAMES = (b"NONEXISTENT", b"ALREADYEXISTS", b"INUSE")

ACTS = {
    "fetch": 14,
    "uid_fetch": 8,
    "search": 5,
    "search_save": 3,
    "search_part": 3,
    "sort": 3,
    "sort_part": 2,
    "list": 1,
    "status": 3,
    "noop": 6,
    "idle": 3,
    "store": 8,
    "store_silent": 8,
    "append": 4,
    "copy": 4,
    "move": 3,
    "delete": 8,
    "expunge": 4,
    "uid_expunge": 2,
    "close": 1,
    "unselect": 1,
    "names": 4,
}
WITH_CONDSTORE = {"changed_since": 4, "search_modseq": 3, "store_unchanged": 5}
ON_NOTHING = {"append": 6, "noop": 2, "idle": 1, "search": 1, "status": 1, "close": 1, "names": 1}
CHANGES = frozenset({"store", "store_silent", "store_unchanged", "move", "delete", "expunge", "uid_expunge"})
"""What a mailbox that was examined refuses."""


class Reader:
    """One session that acts until enough has been done."""

    def __init__(self, connect: Connect, world: World, dialect: Dialect, seed: int) -> None:
        self.connect = connect
        self.world = world
        self.dialect = dialect
        self.chance = random.Random(seed)
        self.ids: dict[str, bytes] = {}
        self.condstore = dialect.qresync or dialect.condstore
        acts = ACTS | WITH_CONDSTORE if self.condstore else ACTS
        self._acts = (tuple(acts), tuple(acts.values()))
        self._on_nothing = (tuple(ON_NOTHING), tuple(ON_NOTHING.values()))

    async def run(self) -> Client:
        """Act; the connection at the end, in a mailbox that stays."""
        client = await self.connect(self.dialect)
        settled = False
        while not settled:
            try:
                if self.world.over:
                    await self.select(client, SHARED[0])
                    settled = True
                else:
                    await self.step(client)
            except Gone as gone:
                client = await self._come_back(client, gone.id)
            except AssertionError as error:
                error.add_note(f"{self.dialect}\n" + b"".join(client.transcript).decode("utf-8", "replace"))
                raise
        return client

    async def _come_back(self, client: Client, lost: bytes) -> Client:
        """The selected mailbox was deleted, says the server. It must be so; then go on with a new connection."""
        self.world.tally["deleted under a session"] += 1
        client.writer.close()
        new = await self.connect(self.dialect)
        new.caches = client.caches
        for name in VOLATILE:
            tagged = await new.do(b"STATUS %b (MAILBOXID)" % name.encode(), allow=(b"NONEXISTENT",))
            assert b" OK" not in tagged[:12] or lost not in b"".join(new.answers), "BYE, and the mailbox is there"
        return new

    async def step(self, client: Client) -> None:
        """One random command, and the question after newcomers."""
        picture = client.picture
        if picture is None or self.chance.random() < 0.02:
            await self.select(client, self.chance.choice((*SHARED, *SHARED, *VOLATILE)))
            return
        names, weights = self._acts if picture.messages else self._on_nothing
        name = self.chance.choices(names, weights)[0]
        if picture.read_only and name in CHANGES:
            name = "refused"
        self.world.did(name)
        await getattr(self, "do_" + name)(client, picture)
        await client.learn()

    async def select(self, client: Client, name: str, *, examine: bool | None = None) -> None:
        if examine is None:
            examine = self.chance.random() < 0.1
        self.world.did("examine" if examine else "select")
        if await client.select(name, self.ids.get(name), examine=examine, hints=self.chance.randrange(3)):
            assert client.picture is not None
            self.ids[name] = client.picture.place.id
            client.picture.read_only = examine

    # Choosing ----------------------------------------------------------------------------------------

    def some(self, picture: Picture) -> tuple[int, int]:
        """First and last number of some messages; now and then all."""
        count = len(picture.messages)
        low = self.chance.randint(1, count)
        if self.chance.random() < 0.03:
            return 1, count
        return low, min(count, low + self.chance.choice((0, 0, 1, 3, 10)))

    def _target(self, free: bool) -> str:
        """Where to copy: what is to be kept goes nowhere that may be deleted."""
        return self.chance.choice((*SHARED, *SHARED, *VOLATILE) if free else SHARED)

    def _filing(self, picture: Picture | None) -> bool:
        return picture is None or len(picture.messages) < FULL or self.chance.random() < 0.1

    # Reading -----------------------------------------------------------------------------------------

    async def do_fetch(self, client: Client, picture: Picture) -> None:
        choice = self.chance.choice((*FETCHES, *WITH_MODSEQ) if self.condstore else FETCHES)
        await client.ok(choice % self.some(picture))

    async def do_uid_fetch(self, client: Client, picture: Picture) -> None:
        low, high = self.some(picture)
        ends = picture.messages[low - 1].uid, picture.messages[high - 1].uid
        await client.ok(self.chance.choice(UID_FETCHES) % ends)

    async def do_changed_since(self, client: Client, picture: Picture) -> None:
        """All that changed since and that this client knows of (RFC 7162 3.1.4.1); other news may come along."""
        since = self.chance.choice([m.modseq for m in picture.messages]) or 1
        newer = {m.uid for m in picture.messages if m.modseq > since}
        picture.asked_earlier = self.dialect.qresync
        vanished = b" VANISHED" if picture.asked_earlier else b""
        await client.ok(b"UID FETCH 1:* (FLAGS) (CHANGEDSINCE %d%b)" % (since, vanished))
        picture.asked_earlier = False
        picture.missing |= newer - picture.told

    async def do_search(self, client: Client, picture: Picture) -> None:
        count = len(picture.messages)
        await client.ok(self.chance.choice(SEARCHES))
        assert all(1 <= number <= count for number in client.found())

    async def do_search_modseq(self, client: Client, picture: Picture) -> None:
        since = self.chance.choice([m.modseq for m in picture.messages]) or 1
        newer = {m.uid for m in picture.messages if m.modseq >= since}
        await client.ok(b"UID SEARCH MODSEQ %d" % since)
        self.world.tally["found by modseq"] += len(client.found())
        picture.missing |= newer - set(client.found())

    async def do_search_save(self, client: Client, picture: Picture) -> None:
        """ "$" is what was found, without what was expunged since (RFC 5182 2.1)."""
        await client.ok(b"UID SEARCH RETURN (SAVE ALL) " + self.chance.choice((b"SEEN", b"UNSEEN", b"UNDELETED")))
        saved = set(client.found())
        await client.learn()
        if self.chance.random() < 0.5:
            await client.ok(b"NOOP")
            await client.learn()
        await client.ok(b"UID FETCH $ (UID RFC822.SIZE)")
        named = {int(told[1]) for line in client.answers if b"RFC822.SIZE" in line and (told := UID.search(line))}
        assert named <= saved, "$ named messages that were not found"
        picture.missing |= (saved & picture.uids) - named

    async def do_search_part(self, client: Client, picture: Picture) -> None:
        await client.ok(b"UID SEARCH RETURN (PARTIAL %b COUNT MIN MAX) %b" % self._part_of(FLAGGED))
        part = self._checked_part(client)
        assert part == sorted(part)

    async def do_sort(self, client: Client, picture: Picture) -> None:
        """By subject, which is each message's token, and then by UID (RFC 5256 3)."""
        await client.ok(b"UID SORT RETURN (ALL) (SUBJECT) UTF-8 " + self.chance.choice(FLAGGED))
        found = client.found()
        assert len(found) == len(set(found))
        tokens = picture.place.tokens
        known = [(tokens[uid].upper(), uid) for uid in found if uid in tokens]
        assert known == sorted(known), "not in order"

    async def do_sort_part(self, client: Client, picture: Picture) -> None:
        count = len(picture.messages)
        part, query = self._part_of(FLAGGED)
        await client.ok(b"SORT RETURN (PARTIAL %b COUNT MIN MAX) (REVERSE SUBJECT) UTF-8 %b" % (part, query))
        assert all(1 <= number <= count for number in self._checked_part(client))

    def _part_of(self, queries: Sequence[bytes]) -> tuple[bytes, bytes]:
        return self.chance.choice((b"1:5", b"-1:-5")), self.chance.choice(queries)

    def _checked_part(self, client: Client) -> list[int]:
        """Up to five results from one end, which must agree with how many there are and which stand at the ends."""
        (line,) = [line for line in client.answers if line.startswith(b"* ESEARCH ")]
        told = PART.search(line)
        assert told is not None, line
        part = [] if told[1] == b"NIL" else uids(told[1])
        ends = {name: int(value) for name, value in ENDS.findall(line)}
        count = ends.pop(b"COUNT")
        assert len(part) == len(set(part)) == min(count, 5), line
        from_end = b"(-" in line
        if count:
            assert part[-1 if from_end else 0] == ends[b"MAX" if from_end else b"MIN"], line
        if 0 < count <= 5:
            assert (part[0], part[-1]) == (ends[b"MIN"], ends[b"MAX"]), line
        return part

    async def do_status(self, client: Client, picture: Picture) -> None:
        """What STATUS says never falls back, whichever process says it."""
        name = self.chance.choice(SHARED)
        place = self.world.places.get(self.ids.get(name, b""))
        before = {b"UIDNEXT": place.uidnext, b"HIGHESTMODSEQ": place.highest} if place is not None else {}
        modseq = b" HIGHESTMODSEQ" if self.condstore else b""
        await client.ok(b"STATUS %b (MESSAGES UIDNEXT UIDVALIDITY UNSEEN SIZE%b)" % (name.encode(), modseq))
        # A code of the tagged response is of what is selected.
        told = [line for line in client.answers if line.startswith(b"* STATUS ")]
        now = {key: int(value) for line in told for key, value in VALUE.findall(line)}
        assert len(now) == 1 + self.condstore
        assert all(now[key] >= value for key, value in before.items() if key in now), (before, now)
        if place is not None:
            place.reach(highest=now.get(b"HIGHESTMODSEQ", 0), uidnext=now[b"UIDNEXT"])

    async def do_list(self, client: Client, picture: Picture) -> None:
        await client.ok(b'LIST "" * RETURN (STATUS (MESSAGES))')
        listed = [line for line in client.answers if line.startswith(b"* LIST")]
        assert len(listed) == len(set(listed)), "a name was listed twice"

    async def do_noop(self, client: Client, picture: Picture) -> None:
        await client.ok(b"NOOP")

    async def do_idle(self, client: Client, picture: Picture) -> None:
        self.world.tally["told in IDLE"] += await client.idle(0.2)

    # Changing flags ----------------------------------------------------------------------------------

    async def do_refused(self, client: Client, picture: Picture) -> None:
        """EXAMINE: nothing can be changed (RFC 9051 6.3.3)."""
        command = self.chance.choice((b"STORE 1 +FLAGS (\\Deleted)", b"EXPUNGE", b"UID EXPUNGE 1:*", b"MOVE 1 Work"))
        tagged = await client.do(command, allow=(None,))
        assert b" NO" in tagged[:12], tagged

    async def do_store(self, client: Client, picture: Picture) -> None:
        await client.do(self.chance.choice(LOUD) % self.some(picture), allow=(b"EXPUNGEISSUED",))

    async def do_store_silent(self, client: Client, picture: Picture) -> None:
        low, high = self.some(picture)
        await self._silently(client, picture, picture.messages[low - 1 : high], low, *self.chance.choice(SILENT))

    async def do_delete(self, client: Client, picture: Picture) -> None:
        r"""\Deleted on messages that may be deleted."""
        low, _ = self.some(picture)
        high = low
        while high < min(len(picture.messages), low + 3) and picture.free(high + 1):
            high += 1
        if picture.free(low):
            messages = picture.messages[low - 1 : high]
            await self._silently(client, picture, messages, low, b"+FLAGS.SILENT (\\Deleted)", DELETED, frozenset())

    async def _silently(
        self,
        client: Client,
        picture: Picture,
        messages: list[Message],
        low: int,
        what: bytes,
        added: frozenset[bytes],
        removed: frozenset[bytes],
    ) -> None:
        if self.chance.random() < 0.5:
            tagged = await client.do(b"UID STORE %d:%d %b" % (messages[0].uid, messages[-1].uid, what))
        else:
            tagged = await client.do(b"STORE %d:%d %b" % (low, low + len(messages) - 1, what))
        if b" OK" in tagged[:12]:
            picture.changed(messages, added, removed, set(), condstore=self.condstore)

    async def do_store_unchanged(self, client: Client, picture: Picture) -> None:
        """UNCHANGEDSINCE: MODIFIED names some of those asked for, and the others were changed (RFC 7162 3.1.3).

        Where the flags take the place of all others, it names each that is known to have changed since.
        """
        low, high = self.some(picture)
        messages = picture.messages[low - 1 : high]
        since = self.chance.choice([m.modseq for m in messages])
        what, added, removed = self.chance.choice(SILENT)
        whole = self.chance.random() < 0.3
        if whole:
            what = what[1:]
        newer = {m.uid for m in messages if m.modseq > since}
        ends = messages[0].uid, messages[-1].uid
        tagged = await client.do(b"UID STORE %d:%d (UNCHANGEDSINCE %d) %b" % (*ends, since, what))
        found = MODIFIED.search(tagged)
        refused = set(uids(found[1])) if found else set()
        assert refused <= {m.uid for m in messages}, tagged
        self.world.tally["modified"] += len(refused)
        if whole:
            picture.missing |= newer - refused
            picture.doubt(messages)
        elif b" OK" in tagged[:12]:
            picture.changed(messages, added, removed, refused, condstore=self.condstore)

    # Filing, copying, removing -----------------------------------------------------------------------

    async def do_append(self, client: Client, picture: Picture) -> None:
        if not self._filing(picture):
            return
        keep = self.chance.random() < 0.2 and self.world.kept.total() < KEEP
        name, token = self._target(not keep), self.world.token(keep=keep)
        data = text(token)
        tagged = await client.do(
            b"APPEND %b (\\Seen) {%d+}\r\n%b" % (name.encode(), len(data), data), allow=(b"TRYCREATE",)
        )
        if b" OK" not in tagged[:12]:
            return
        told = APPENDUID.search(tagged)
        assert told, tagged
        if keep:
            self.world.kept[token] += 1
        if place := self.world.by_validity.get(int(told[1])):
            place.give(int(told[2]), token)

    async def do_copy(self, client: Client, picture: Picture) -> None:
        await self._copy(client, picture, b"COPY", self._filing(picture))

    async def do_move(self, client: Client, picture: Picture) -> None:
        await self._copy(client, picture, b"MOVE", True)

    async def _copy(self, client: Client, picture: Picture, verb: bytes, wanted: bool) -> None:
        low, high = self.some(picture)
        free = all(map(picture.free, range(low, high + 1)))
        if not wanted or (verb == b"COPY" and not free and self.world.kept.total() >= KEEP):
            return
        target = self._target(free).encode()
        asked = {m.uid for m in picture.messages[low - 1 : high]}
        if self.chance.random() < 0.5:
            command = b"UID %b %d:%d %b" % (verb, min(asked), max(asked), target)
        else:
            command = b"%b %d:%d %b" % (verb, low, high, target)
        await client.do(command, allow=(b"TRYCREATE", b"EXPUNGEISSUED"))
        moved = client.copied(picture, asked, moved=verb == b"MOVE")
        if verb == b"MOVE" and picture.name in SHARED:  # one that was deleted just now is told by BYE
            assert not moved & picture.uids, "moved, and still there"

    async def do_expunge(self, client: Client, picture: Picture) -> None:
        await client.ok(b"EXPUNGE")

    async def do_uid_expunge(self, client: Client, picture: Picture) -> None:
        low, high = self.some(picture)
        await client.ok(b"UID EXPUNGE %d:%d" % (picture.messages[low - 1].uid, picture.messages[high - 1].uid))

    async def do_close(self, client: Client, picture: Picture) -> None:
        client.leave()
        await client.ok(b"CLOSE")

    async def do_unselect(self, client: Client, picture: Picture) -> None:
        client.leave()
        await client.ok(b"UNSELECT")

    async def do_names(self, client: Client, picture: Picture) -> None:
        """CREATE, DELETE, RENAME of names that others use."""
        one, other = self.chance.sample(VOLATILE, 2)
        dice = self.chance.random()
        if dice < 0.5:
            command = f"CREATE {one}"
        elif dice < 0.75:
            command = f"RENAME {one} {other}"
        else:
            command = f"DELETE {one}"
        tagged = await client.do(command.encode(), allow=BUSY_NAMES)
        self.world.tally[command.split()[0].lower()] += b" OK" in tagged[:12]
        if any(b"[CLOSED]" in line for line in client.answers):
            client.leave()
