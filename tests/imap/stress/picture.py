"""What one client has been told of the mailbox it has selected; every response must be explainable by it.

RFC 3501 and 9051 2.3.1, 5.2, 7.4.1 (EXPUNGE), 7.5 and RFC 7162 3.1, 3.2 are the rules:
- EXISTS falls by EXPUNGE and VANISHED alone; neither comes during FETCH, STORE or SEARCH by message number;
- a number's UID stays until it is expunged, UIDs ascend, none comes back, VANISHED names those that were there;
- a message's MODSEQ never falls; what is said of flags at one MODSEQ is the same everywhere;
- HIGHESTMODSEQ follows section 6, so that a client that comes back with it misses nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from .world import Flags, Place, uids

NUMBERED = re.compile(rb"\* (\d+) (EXISTS|EXPUNGE|RECENT|FETCH)")
VANISHED = re.compile(rb"\* VANISHED (\(EARLIER\) )?([\d:,]+)\r\n")
UID, MODSEQ = re.compile(rb"\bUID (\d+)"), re.compile(rb"\bMODSEQ \((\d+)\)")
FLAGS = re.compile(rb"\bFLAGS \(([^)]*)\)")
SUBJECT = re.compile(rb"Subject: (\w+)")
HIGHEST = re.compile(rb"\[HIGHESTMODSEQ (\d+)\]")

BY_NUMBER = ("FETCH", "STORE", "SEARCH", "SORT")
"""Commands during which no message may be expunged (RFC 9051 7.5.1, RFC 5256 3)."""


class Message:
    """What has been told of one message. flags: None where not known. paired: they are those at `modseq`."""

    __slots__ = ("flags", "modseq", "paired", "uid")

    def __init__(self) -> None:
        self.uid = 0
        self.modseq = 0
        self.flags: Flags | None = None
        self.paired = False


@dataclass(frozen=True, slots=True)
class Cache:
    """What a client keeps of a mailbox that it left. order: UIDs as they stood."""

    highest: int
    order: tuple[int, ...]
    flags: dict[int, Flags | None]
    modseqs: dict[int, int]
    gone: frozenset[int]


class Picture:
    """A selected mailbox. qresync: removals come as VANISHED."""

    def __init__(self, place: Place, *, name: str, qresync: bool, count: int, highest: int) -> None:
        self.place = place
        self.name = name
        self.qresync = qresync
        self.messages = [Message() for _ in range(count)]
        self.gone: set[int] = set()
        self.highest = highest
        self.read_only = False
        self.asked_earlier = False
        self.missing: set[int] = set()
        """UIDs that an answer left out: they must be gone when removals may next be told."""
        self.told: set[int] = set()
        """UIDs of which this command's FETCH responses said flags."""
        self.moved: set[int] = set()
        """And those of which they said a MODSEQ alone."""
        self._command_highest = 0
        self._command_code = 0

    # One command -------------------------------------------------------------------------------------

    def begin(self) -> None:
        self.told.clear()
        self.moved.clear()
        self._command_highest = self._command_code = 0

    def end(self, tagged: bytes, *, told_all: bool) -> str:
        """The tagged response: RFC 7162 6 says how the client's HIGHESTMODSEQ moves.

        told_all: this command allowed removals to be told. Gives what was promised and not kept by then, in words.
        """
        self._code(tagged)
        former = self.highest
        self.highest = self._command_code or max(self.highest, self._command_highest)
        assert self.highest >= former or self._command_code, "HIGHESTMODSEQ fell"
        if told_all:
            left, self.missing = self.missing & self.uids, set()
            return f"left out, and not gone: {left}" if left else ""
        return ""

    def _code(self, line: bytes) -> None:
        if found := HIGHEST.search(line):
            self._command_code = int(found[1])

    def take(self, name: str, line: bytes) -> None:
        """An untagged response during this command."""
        if found := NUMBERED.match(line):
            number, kind = int(found[1]), found[2]
            if kind == b"EXISTS":
                assert number >= len(self.messages), f"EXISTS {number} of {len(self.messages)}"
                self.messages += [Message() for _ in range(number - len(self.messages))]
            elif kind == b"EXPUNGE":
                assert name not in BY_NUMBER, f"EXPUNGE during {name}"
                assert not self.qresync, "EXPUNGE after QRESYNC was enabled"
                assert 1 <= number <= len(self.messages), f"EXPUNGE {number} of {len(self.messages)}"
                self.gone.add(self.messages.pop(number - 1).uid)
            elif kind == b"FETCH":
                assert 1 <= number <= len(self.messages), f"FETCH {number} of {len(self.messages)}"
                self.fetched(number - 1, line)
        elif found := VANISHED.match(line):
            assert self.qresync
            if found[1]:
                assert self.asked_earlier, "EARLIER was not asked for"
                assert not self.uids & set(uids(found[2])), f"{line!r} names what is still counted (RFC 7162 3.2.10)"
                return
            assert name not in BY_NUMBER, f"VANISHED during {name}"
            for uid in uids(found[2]):
                self._vanish(uid)
        elif line.startswith(b"* OK "):
            self._code(line)

    def _vanish(self, uid: int) -> None:
        """Take out the message of this UID; or one of those whose UIDs were never told, where it can be among them."""
        assert uid not in self.gone, f"{uid} vanished twice"
        self.gone.add(uid)
        places = [i for i, message in enumerate(self.messages) if message.uid == uid]
        if not places:
            below = max((i for i, m in enumerate(self.messages) if 0 < m.uid < uid), default=-1)
            above = min((i for i, m in enumerate(self.messages) if m.uid > uid), default=len(self.messages))
            places = list(range(below + 1, above))
            assert places, f"VANISHED {uid}, which was never there"
            for i in places:  # which of them it was cannot be told: what was said of them by number is void
                self.messages[i] = Message()
        del self.messages[places[0]]

    def fetched(self, at: int, line: bytes) -> None:
        message = self.messages[at]
        if told := UID.search(line):
            self._numbered(at, int(told[1]))
        modseq = MODSEQ.search(line)
        if modseq:
            value = int(modseq[1])
            assert value >= message.modseq, f"MODSEQ of {message.uid} fell from {message.modseq} to {value}"
            message.modseq = value
            self._command_highest = max(self._command_highest, value)
        if told := FLAGS.search(line):
            message.flags = frozenset(told[1].split()) - {b"\\Recent"}
            message.paired = modseq is not None
            self.told.add(message.uid)
            if modseq and message.uid:
                self.place.state(message.uid, message.modseq, message.flags)
        elif modseq:
            message.paired = False
            self.moved.add(message.uid)
        if (told := SUBJECT.search(line)) and message.uid:
            self.place.named(message.uid, told[1])

    def _numbered(self, at: int, uid: int) -> None:
        message = self.messages[at]
        assert message.uid in (0, uid), f"{at + 1} was UID {message.uid}, is {uid}"
        assert uid not in self.gone, f"UID {uid} came back"
        if not message.uid:
            message.uid = uid
            before = next((m.uid for m in reversed(self.messages[:at]) if m.uid), 0)
            behind = next((m.uid for m in self.messages[at + 1 :] if m.uid), 1 << 32)
            assert before < uid < behind, f"{at + 1} is UID {uid}, between {before} and {behind}"
            self.place.reach(uidnext=uid + 1)

    # What a client works out for itself ------------------------------------------------------------------

    def changed(
        self, messages: Iterable[Message], added: Flags, removed: Flags, modified: set[int], *, condstore: bool
    ) -> None:
        """A silent STORE of its own was done to these messages, except those refused as modified (UIDs).

        Where the command's own responses spoke of flags it cannot be told whether they came before the change.
        """
        for message in messages:
            if message.uid in self.told:
                message.flags, message.paired = None, False
            elif message.flags is not None and message.uid not in modified:
                now = (message.flags | added) - removed
                if message.uid in self.moved:
                    message.paired = True
                    self.place.state(message.uid, message.modseq, now)
                elif condstore and message.paired and now != message.flags:
                    self.missing.add(message.uid)  # no MODSEQ was told (RFC 7162 3.1.3): it must be gone
                message.flags = now

    def doubt(self, messages: Iterable[Message]) -> None:
        """What these have for flags is not known."""
        for message in messages:
            message.flags, message.paired = None, False

    @property
    def uids(self) -> set[int]:
        return {message.uid for message in self.messages}

    def unknown(self) -> tuple[int, int] | None:
        """First and last number of messages whose UID or token is not known."""
        found = [n for n, m in enumerate(self.messages, 1) if not m.uid or m.uid not in self.place.tokens]
        return (found[0], found[-1]) if found else None

    def token(self, number: int) -> bytes:
        return self.place.tokens[self.messages[number - 1].uid]

    def free(self, number: int) -> bool:
        """Whether this message may be deleted."""
        return self.token(number).startswith(b"free")

    def cache(self) -> Cache:
        return Cache(
            self.highest,
            tuple(m.uid for m in self.messages),
            {m.uid: m.flags for m in self.messages},
            {m.uid: m.modseq for m in self.messages},
            frozenset(self.gone),
        )
