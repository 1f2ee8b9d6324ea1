"""Reads and writes the ledger: mailboxes, pairs of messages, what is in doubt, what was set aside.

Every method that changes something is one transaction. A mailbox whose UIDs began anew on either side is forgotten with
its pairs: what it holds is found again by content.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import repeat
from pathlib import Path
from typing import NamedTuple

from ...model import Flags, Outline, Place
from ..model import NO_MARK, Aside
from .schema import LedgerRefusal, connect


class Filed(NamedTuple):
    """A message that both sides have. flags: number of the set. What is not known is None."""

    source: int
    target: int
    flags: int
    size: int | None
    received: int | None
    mark: bytes | None
    digest: bytes | None
    uidl: str | None


class Row(NamedTuple):
    """A pair as the proof reads it. back_*: what the target gave back; None: not read yet."""

    source: int
    target: int
    size: int | None
    received: int | None
    mark: bytes | None
    digest: bytes | None
    uidl: str | None
    back_size: int | None
    back_received: int | None
    back_mark: bytes | None
    back_digest: bytes | None


class Back(NamedTuple):
    """What one side gave for a message. digest: None where outlines alone were read."""

    uid: int
    size: int | None
    received: int
    mark: bytes
    digest: bytes | None


class Moving(NamedTuple):
    """A pair whose message is gone from its place at the source. left: so is the mailbox. key: of the mailbox;
    validity: of it at the source. received, digest: of the message, where they are known."""

    key: int
    target_mailbox: str
    validity: str
    left: bool
    source: int
    target: int
    size: int | None
    received: int | None
    mark: bytes
    digest: bytes | None


@dataclass(frozen=True, slots=True)
class Flight:
    """A message that was on its way when a run was cut off. key: of its mailbox. size, received, mark, digest: of what
    was sent. old_key, old_target: of the pair that it was at the target, where it was moved there."""

    key: int
    target_mailbox: str
    source: int
    size: int | None
    received: int
    mark: bytes
    digest: bytes
    old_key: int | None
    old_target: int | None


@dataclass(frozen=True, slots=True)
class Known:
    """All pairs of a mailbox, ascending by source UID, in columns."""

    sources: array[int]
    targets: array[int]
    flags: array[int]


class Book:
    """The ledger, open. source, target: what the two sides are, for good: a ledger serves one migration.

    Raises LedgerRefusal when it is opened. keep=False: works on a copy in memory (a dry run).
    """

    def __init__(self, path: Path | None, source: str, target: str, *, keep: bool = True) -> None:
        self.db = connect(path, keep=keep)
        try:
            self._begin(path, {"source": source, "target": target})
        except BaseException:
            self.db.close()
            raise
        self._sets: dict[Flags, int] = {}
        self._names: dict[int, Flags] = {}
        for number, names in self.db.execute("SELECT key, names FROM flagset"):
            flags = frozenset(str(names).split())
            self._sets[flags] = int(number)
            self._names[int(number)] = flags

    def _begin(self, path: Path | None, about: Mapping[str, str]) -> None:
        with self.db:
            for key, value in about.items():
                had = self.db.execute("SELECT value FROM about WHERE key = ?", (key,)).get
                if had is None:
                    self.db.execute("INSERT INTO about(key, value) VALUES(?, ?)", (key, value))
                elif had != value:
                    raise LedgerRefusal(
                        f"The state file {path} is of a migration whose {key} is {had}, not {value}.",
                        "Name another with --state.",
                    )

    def close(self) -> None:
        self.db.close()

    # Flag sets -------------------------------------------------------------------------------------

    def number(self, flags: Flags) -> int:
        """The number of a flag set, given out at its first use."""
        found = self._sets.get(flags)
        if found is not None:
            return found
        with self.db:
            self.db.execute("INSERT INTO flagset(names) VALUES(?)", (" ".join(sorted(flags)),))
            number = self.db.last_insert_rowid()
        self._sets[flags] = number
        self._names[number] = flags
        return number

    def flags(self, number: int) -> Flags:
        return self._names[number]

    # Mailboxes -------------------------------------------------------------------------------------

    def target_of(self, source: str) -> str | None:
        """Where an earlier run brought the mailbox."""
        found = self.db.execute("SELECT target FROM mailbox WHERE source = ?", (source,)).get
        return None if found is None else str(found)

    def mailbox(self, source: str, target: str, source_validity: str, target_validity: str) -> int:
        """The mailbox's key. What was noted is dropped where either side's UIDs began anew or the target is another."""
        with self.db:
            self.db.execute(
                "DELETE FROM mailbox WHERE (source = ?1 AND (target <> ?2 OR source_validity <> ?3))"
                " OR (target = ?2 AND target_validity <> ?4)",
                (source, target, source_validity, target_validity),
            )
            if not self.db.execute("SELECT count(*) FROM mailbox WHERE target = ?", (target,)).get:
                self.db.execute("DELETE FROM other WHERE target = ?", (target,))
            self.db.execute(
                "INSERT INTO mailbox(source, target, source_validity, target_validity) VALUES(?, ?, ?, ?)"
                " ON CONFLICT(source) DO NOTHING",
                (source, target, source_validity, target_validity),
            )
        found = self.db.execute("SELECT key FROM mailbox WHERE source = ?", (source,)).get
        assert isinstance(found, int)
        return found

    def validities(self, key: int) -> tuple[str, str]:
        """UIDVALIDITY of source and target that the mailbox's pairs are of; empty where there is no such key."""
        for source, target in self.db.execute(
            "SELECT source_validity, target_validity FROM mailbox WHERE key = ?", (key,)
        ):
            return str(source), str(target)
        return "", ""

    def sifted(self, key: int) -> int:
        found = self.db.execute("SELECT sifted FROM mailbox WHERE key = ?", (key,)).get
        assert isinstance(found, int)
        return found

    def set_sifted(self, key: int, uid: int) -> None:
        """All messages of the source up to `uid` have been compared; none is in doubt any more."""
        with self.db:
            self.db.execute("UPDATE mailbox SET sifted = max(sifted, ?) WHERE key = ?", (uid, key))
            self.db.execute("DELETE FROM flight WHERE mailbox = ?", (key,))

    # What moved ------------------------------------------------------------------------------------

    def sources(self, name: str, validity: str) -> set[int] | None:
        """Source UIDs of a mailbox's pairs, and of what is on its way, but for what is moved: whether it was cut off
        before is seen where it lay. None where its UIDs began anew."""
        for key, known in self.db.execute("SELECT key, source_validity FROM mailbox WHERE source = ?", (name,)):
            if known != validity:
                return None
            return {
                uid
                for (uid,) in self.db.execute(
                    "SELECT source FROM pair WHERE mailbox = ?1"
                    " UNION ALL SELECT source FROM flight WHERE mailbox = ?1 AND old_mailbox IS NULL",
                    (key,),
                )
            }
        return set()

    def lost(self, there: Mapping[str, set[int]], places: Mapping[str, Place]) -> dict[bytes, list[Moving]]:
        """Pairs whose message is gone from its place, by mark. there: UIDs at the source by mailbox, as far as it could
        be listed. A mailbox whose UIDs began anew has lost none: which of them are the same is not known."""
        found: dict[bytes, list[Moving]] = {}
        for key, source, target, validity in list(
            self.db.execute("SELECT key, source, target, source_validity FROM mailbox")
        ):
            left = source not in places
            if not left and (source not in there or places[source].validity != validity):
                continue
            uids = there.get(source, set())
            for row in self.all_rows(key):
                if row.source not in uids and row.mark is not None:
                    print = row.digest if row.digest is not None else row.back_digest
                    found.setdefault(row.mark, []).append(
                        Moving(
                            key, target, validity, left, row.source, row.target, row.size, row.received, row.mark, print
                        )
                    )
        return found

    # Messages --------------------------------------------------------------------------------------

    def known(self, key: int) -> Known:
        sources, targets, flags = array("Q"), array("Q"), array("Q")
        for source, target, number in self.db.execute(
            "SELECT source, target, flags FROM pair WHERE mailbox = ? ORDER BY source", (key,)
        ):
            sources.append(source)
            targets.append(target)
            flags.append(number)
        return Known(sources, targets, flags)

    def claimed(self, target: str) -> set[int]:
        """UIDs of the target's mailbox that have a partner, whichever mailbox of the source that is in."""
        return {
            uid
            for (uid,) in self.db.execute(
                "SELECT pair.target FROM mailbox JOIN pair ON pair.mailbox = mailbox.key WHERE mailbox.target = ?",
                (target,),
            )
        }

    def rows(self, key: int, after: int, limit: int) -> list[Row]:
        """Pairs with source UIDs above `after`, ascending."""
        found = self.db.execute(
            "SELECT source, target, size, received, mark, digest, uidl,"
            " back_size, back_received, back_mark, back_digest"
            " FROM pair WHERE mailbox = ? AND source > ? ORDER BY source LIMIT ?",
            (key, after, limit),
        )
        return [Row(*row) for row in found]

    def all_rows(self, key: int, batch: int = 1000) -> Iterator[Row]:
        """All pairs, ascending by source UID, read in batches: the pairs may change meanwhile."""
        after = 0
        while rows := self.rows(key, after, batch):
            yield from rows
            after = rows[-1].source

    def depart(
        self,
        key: int,
        messages: Iterable[tuple[int, int | None, int, bytes, bytes]],
        old: Iterable[tuple[int | None, int | None]] = repeat((None, None)),
    ) -> None:
        """These messages are about to be handed to the target: (source UID, size, received, mark, digest). old: or to
        be moved there, what they are in the book until then (key of the mailbox, target UID)."""
        with self.db:
            self.db.executemany(
                "INSERT OR REPLACE INTO flight(mailbox, source, size, received, mark, digest, old_mailbox, old_target)"
                " VALUES(?, ?, ?, ?, ?, ?, ?, ?)",
                ((key, *each, *was) for each, was in zip(messages, old, strict=False)),
            )

    def astray(self, there: Mapping[str, set[int]], places: Mapping[str, Place]) -> list[Flight]:
        """What was on its way and is gone from its place at the source. there: UIDs at the source by mailbox, as far as
        it could be listed. A mailbox whose UIDs began anew is left to be compared as a whole."""
        found = []
        for key, source, target, validity in list(
            self.db.execute(
                "SELECT key, source, target, source_validity FROM mailbox"
                " WHERE key IN (SELECT mailbox FROM flight WHERE digest IS NOT NULL)"
            )
        ):
            if source in places and (source not in there or places[source].validity != validity):
                continue
            uids = there.get(source, set())
            for row in self.db.execute(
                "SELECT source, size, received, mark, digest, old_mailbox, old_target FROM flight"
                " WHERE mailbox = ? AND digest IS NOT NULL",
                (key,),
            ):
                if row[0] not in uids:
                    found.append(Flight(key, target, *row))
        return found

    def never_landed(self, key: int, uids: Iterable[int]) -> None:
        """The target has none of these."""
        with self.db:
            self.db.executemany("DELETE FROM flight WHERE mailbox = ? AND source = ?", ((key, uid) for uid in uids))

    def flights(self) -> bool:
        """Whether anything was on its way when the last run ended."""
        return bool(self.db.execute("SELECT EXISTS(SELECT 1 FROM flight)").get)

    def made(self, target: str) -> None:
        """A run has made this mailbox at the target."""
        with self.db:
            self.db.execute("INSERT OR IGNORE INTO made(target) VALUES(?)", (target,))

    def deserted(self, places: Mapping[str, Place]) -> list[tuple[int, str]]:
        """Mailboxes of the target that a run has made, that nothing is known to be in, and whose mailbox the source has
        no more: (key, name), the deepest first. None that another mailbox of the source goes to."""
        return sorted(
            (
                (int(key), str(target))
                for key, source, target in list(
                    self.db.execute(
                        "SELECT key, source, target FROM mailbox m WHERE target IN (SELECT target FROM made)"
                        " AND NOT EXISTS(SELECT 1 FROM pair WHERE mailbox = key)"
                        " AND NOT EXISTS(SELECT 1 FROM mailbox o WHERE o.target = m.target AND o.key <> m.key)"
                    )
                )
                if source not in places
            ),
            key=lambda each: -each[1].count("/"),
        )

    def desert(self, key: int, target: str) -> None:
        """That mailbox is no more."""
        with self.db:
            self.db.execute("DELETE FROM mailbox WHERE key = ?", (key,))
            self.db.execute("DELETE FROM other WHERE target = ?", (target,))
            self.db.execute("DELETE FROM made WHERE target = ?", (target,))

    def in_flight(self, key: int) -> set[int]:
        return {uid for (uid,) in self.db.execute("SELECT source FROM flight WHERE mailbox = ?", (key,))}

    def arrived(self, key: int, filed: Sequence[Filed], aside: Sequence[tuple[int, str, bool]] = ()) -> None:
        """The target has these; and has refused those (uid, reason, temporary)."""
        with self.db:
            self._file(key, filed)
            self.db.executemany("DELETE FROM flight WHERE mailbox = ? AND source = ?", ((key, u) for u, _, _ in aside))
            self.set_aside(key, aside)

    def _file(self, key: int, filed: Sequence[Filed]) -> None:
        # What it is known by may have been learnt when it set out, and not where it was found.
        learnt = [
            f"coalesce(?{at}, (SELECT {column} FROM flight WHERE mailbox = ?1 AND source = ?2))"
            for at, column in enumerate(("size", "received", "mark", "digest"), 5)
        ]
        self.db.executemany(
            "INSERT OR REPLACE INTO pair(mailbox, source, target, flags, size, received, mark, digest, uidl)"
            f" VALUES(?1, ?2, ?3, ?4, {', '.join(learnt)}, ?9)",
            ((key, *each) for each in filed),
        )
        for table in ("flight", "aside"):
            self.db.executemany(
                f"DELETE FROM {table} WHERE mailbox = ? AND source = ?", ((key, each.source) for each in filed)
            )

    def set_aside(self, key: int, aside: Iterable[tuple[int, str, bool]]) -> None:
        with self.db:
            self.db.executemany(
                "INSERT OR REPLACE INTO aside(mailbox, source, reason, temporary) VALUES(?, ?, ?, ?)",
                ((key, uid, reason, int(temporary)) for uid, reason, temporary in aside),
            )

    def aside(self, key: int) -> Iterator[Aside]:
        for source, uid, reason, temporary in self.db.execute(
            "SELECT mailbox.source, aside.source, reason, temporary FROM aside JOIN mailbox ON mailbox.key = mailbox"
            " WHERE mailbox = ? ORDER BY aside.source",
            (key,),
        ):
            yield Aside(str(source), int(uid), str(reason), bool(temporary))

    def forget(self, key: int, sources: Iterable[int]) -> None:
        """These pairs are none any more: the messages may be copied again."""
        with self.db:
            self.db.executemany("DELETE FROM pair WHERE mailbox = ? AND source = ?", ((key, uid) for uid in sources))

    def renumber(self, key: int, sources: Iterable[tuple[int, int]]) -> None:
        """These pairs have another UID at the source: (old, new)."""
        with self.db:
            self.db.executemany(
                "UPDATE pair SET source = ? WHERE mailbox = ? AND source = ?",
                ((new, key, old) for old, new in sources),
            )

    def forget_aside(self, key: int) -> None:
        """What was set aside is tried anew."""
        with self.db:
            self.db.execute("DELETE FROM aside WHERE mailbox = ?", (key,))

    def set_flags(self, key: int, changes: Iterable[tuple[int, int]]) -> None:
        """(source UID, number of its flag set)."""
        with self.db:
            self.db.executemany(
                "UPDATE pair SET flags = ? WHERE mailbox = ? AND source = ?",
                ((number, key, uid) for uid, number in changes),
            )

    def read_back(self, key: int, found: Iterable[Back]) -> None:
        """What the target gave back for messages (its UIDs)."""
        with self.db:
            self.db.executemany(
                "UPDATE pair SET back_size = ?, back_received = ?, back_mark = ?,"
                " back_digest = coalesce(?, back_digest)"
                " WHERE mailbox = ? AND target = ?",
                ((each.size, each.received, each.mark, each.digest, key, each.uid) for each in found),
            )

    def read_source(self, key: int, found: Iterable[Back]) -> None:
        """What the source gave for messages that were found at the target, not sent."""
        with self.db:
            self.db.executemany(
                "UPDATE pair SET size = ?, received = ?, mark = ?, digest = coalesce(?, digest)"
                " WHERE mailbox = ? AND source = ?",
                ((each.size, each.received, each.mark, each.digest, key, each.uid) for each in found),
            )

    # All mail --------------------------------------------------------------------------------------

    def lonely(self, outlines: Iterable[Outline]) -> list[int]:
        """UIDs of those that no pair looks like. Without a size, or without header fields, none is recognised."""
        return [
            each.uid
            for each in outlines
            if each.size is None
            or each.mark == NO_MARK
            or not self.db.execute(
                "SELECT EXISTS(SELECT 1 FROM pair WHERE mark = ? AND size = ?)", (each.mark, each.size)
            ).get
        ]

    def elsewhere(self, key: int) -> set[int]:
        return {uid for (uid,) in self.db.execute("SELECT source FROM elsewhere WHERE mailbox = ?", (key,))}

    def add_elsewhere(self, key: int, uids: Iterable[int]) -> None:
        with self.db:
            self.db.executemany(
                "INSERT OR IGNORE INTO elsewhere(mailbox, source) VALUES(?, ?)", ((key, u) for u in uids)
            )

    def unmarked(self, key: int) -> list[int]:
        """Source UIDs of pairs of which the source's outline is not known."""
        found = self.db.execute("SELECT source FROM pair WHERE mailbox = ? AND mark IS NULL ORDER BY source", (key,))
        return [uid for (uid,) in found]

    def mailboxes(self) -> dict[str, int]:
        """Keys of all mailboxes by their names at the source."""
        return {str(name): int(key) for key, name in self.db.execute("SELECT key, source FROM mailbox")}

    def read_outlines(self, key: int, found: Iterable[Outline]) -> None:
        """`read_source`, by outlines."""
        self.read_source(key, (Back(each.uid, each.size, each.received, each.mark, None) for each in found))

    def pairs(self) -> int:
        """How many messages both sides are known to have."""
        found = self.db.execute("SELECT count(*) FROM pair").get
        assert isinstance(found, int)
        return found

    # What the target held --------------------------------------------------------------------------

    def others(self, target: str) -> set[int]:
        return {uid for (uid,) in self.db.execute("SELECT uid FROM other WHERE target = ?", (target,))}

    def add_others(self, target: str, outlines: Iterable[Outline]) -> None:
        with self.db:
            self.db.executemany(
                "INSERT OR REPLACE INTO other(target, uid, size, received, mark) VALUES(?, ?, ?, ?, ?)",
                ((target, each.uid, each.size, each.received, each.mark) for each in outlines),
            )

    def drop_others(self, target: str, uids: Iterable[int]) -> None:
        with self.db:
            self.db.executemany("DELETE FROM other WHERE target = ? AND uid = ?", ((target, uid) for uid in uids))


__all__ = ["Back", "Book", "Filed", "Flight", "Known", "LedgerRefusal", "Moving", "Row"]
