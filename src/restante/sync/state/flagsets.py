"""Flag sets as numbers: messages share a few, so that 100,000 of them are compared as columns of small integers."""

from __future__ import annotations

import apsw

from ..base import is_keyword
from ..model import NO_FLAGS, Flags, Spelling
from ..settings import BOTH, End


class Flagsets:
    """All flag sets ever met by this copy, and which keywords either side was seen to keep."""

    def __init__(self, db: apsw.Connection) -> None:
        self._db = db
        self._spelling = Spelling()
        self._sets: dict[int, Flags] = {}
        self._keys: dict[Flags, int] = {}
        self._kept: dict[End, set[str]] = {End.ONE: set(), End.TWO: set()}
        self._unsaved: list[tuple[int, str]] = []
        self._unsaved_kept: list[tuple[int, str]] = []
        self._next = 1
        self.reload()

    def reload(self) -> None:
        """Read what the file has; what was not saved is forgotten."""
        self._sets.clear()
        self._keys.clear()
        self._unsaved.clear()
        self._unsaved_kept.clear()
        for key, names in self._db.execute("SELECT key, names FROM flagset ORDER BY key"):
            self._put(key, self._spelling.flags(names.split()))
        self._next = max(self._sets, default=0) + 1
        for side in BOTH:
            rows = self._db.execute("SELECT name FROM keyword WHERE side = ?", (side,))
            self._kept[side] = {name for (name,) in rows}

    def _put(self, key: int, flags: Flags) -> None:
        self._sets[key] = flags
        self._keys.setdefault(flags, key)

    def __getitem__(self, key: int) -> Flags:
        return self._sets[key]

    def key(self, flags: Flags) -> int:
        """Its number. Spelling of keywords and unknown system flags make no difference. A new one is kept in memory
        until `save`."""
        found = self._keys.get(flags)
        if found is None:
            same = self._spelling.flags(flags)
            found = self._keys.get(same)
            if found is None:
                found = self._next
                self._next += 1
                self._put(found, same)
                self._unsaved.append((found, " ".join(sorted(same))))
            self._keys[flags] = found
        return found

    def same(self, flags: Flags) -> Flags:
        """These flags, spelt as everywhere in this copy."""
        return self._sets[self.key(flags)] if flags else NO_FLAGS

    def saw(self, side: End, keys: set[int]) -> None:
        """Flag sets that the side listed: it keeps the keywords in them."""
        for key in keys:
            for flag in self._sets[key]:
                self.kept(side, flag)

    def kept(self, side: End, flag: str) -> None:
        """The side keeps this keyword."""
        if is_keyword(flag) and (low := flag.lower()) not in self._kept[side]:
            self._kept[side].add(low)
            self._unsaved_kept.append((side, low))

    def keeps(self, side: End, flag: str) -> bool:
        """Whether this flag is known to be kept there (system flags always are)."""
        return not is_keyword(flag) or flag.lower() in self._kept[side]

    def save(self) -> None:
        """Write what is new, within the transaction of the caller."""
        if self._unsaved:
            self._db.executemany("INSERT INTO flagset (key, names) VALUES (?, ?)", self._unsaved)
            self._unsaved.clear()
        if self._unsaved_kept:
            self._db.executemany("INSERT OR IGNORE INTO keyword (side, name) VALUES (?, ?)", self._unsaved_kept)
            self._unsaved_kept.clear()
