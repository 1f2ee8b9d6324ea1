"""What the parts of one remote side share during a run: connections, names, spellings, what was learnt on the way."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from ...clock import Clock
from ...imap.grammar.answers_mailbox import parse_flags
from ...values import Value
from ..model import Flags, Place, Spelling, Withheld
from ..side import MailboxUnavailable
from .address import Settings
from .connection import Connection, Selected
from .names import NameMap
from .pool import Pool
from .quirks import Quirk, recognise

if TYPE_CHECKING:
    from pathlib import Path

Sight = dict[bytes, int]
"""Numbers of a mailbox as STATUS gave them, by item; while they are the same, nothing that STATUS tells has changed."""


class Heard(Value, frozen=True):
    """A look at all mailboxes as octets. mechanism, before: as `Connection.entered`. asked: commands without tags.
    answers: (word, text) of what was said of mailboxes, in the server's order."""

    mechanism: str
    before: frozenset[str]
    compressed: bool
    asked: tuple[bytes, ...]
    answers: list[tuple[bytes, bytes]]


class Account:
    """Made by `RemoteSide`. No behaviour of its own but opening mailboxes safely."""

    def __init__(
        self,
        pool: Pool,
        clock: Clock,
        *,
        known: Iterable[Place] = (),
        spool: Path | None = None,
        views: bool = False,
        shared: bool = False,
        quirks_on: Sequence[str] = (),
        quirks_off: Sequence[str] = (),
    ) -> None:
        self.pool = pool
        self.clock = clock
        self.names = NameMap()
        self.spelling = Spelling()
        self.known = {place.name: place for place in known}
        """Places as they were last told, so that an unchanged one is not asked for its id again."""
        self.sights: dict[str, Sight] = {}
        self.spool = spool
        self.views = views
        self.shared = shared
        self.looked = False
        self.namespaces_known = False
        self.excluded: tuple[bytes, ...] = ()
        """Prefixes of namespaces that are not the user's own."""
        self.validities: dict[str, int] = {}
        """UIDVALIDITY as it was last told for each mailbox: what UIDs that are handed in belong to."""
        self.permanent: dict[str, frozenset[str] | None] = {}
        """PERMANENTFLAGS by mailbox, where it was open for writing."""
        self.kept: set[tuple[str, str]] = set()
        """(mailbox, keyword in small letters): set by STORE, and named by PERMANENTFLAGS behind it."""
        self.append_limits: dict[str, int | None] = {}
        """APPENDLIMIT by mailbox, where each has its own."""
        self.left_out_keywords: dict[str, set[str]] = {}
        self.unreadable: dict[tuple[str, int], Withheld] = {}
        self.unmarked: dict[str, int] = {}
        self.heard: Heard | None = None
        """The last look in its own words, where it was all that a connection did since its login: but for ids, which
        are asked for where they are not known."""
        self._flag_sets: dict[bytes, Flags] = {}
        self._quirks_on = quirks_on
        self._quirks_off = quirks_off
        self._quirks: frozenset[Quirk] | None = None

    @property
    def settings(self) -> Settings:
        return self.pool.settings

    @property
    def quirks(self) -> frozenset[Quirk]:
        if self._quirks is None:
            self._quirks = recognise(self.pool.offers.words, self.pool.greeting, self._quirks_on, self._quirks_off)
        return self._quirks

    def flags(self, raw: bytes) -> Flags:
        """A flag list as it came -> the set of this run."""
        found = self._flag_sets.get(raw)
        if found is None:
            found = self._flag_sets[raw] = self.spelling.flags(parse_flags(raw))
        return found

    def storable(self, name: str, flags: Flags, note: bool = True) -> Flags:
        """Those flags that the mailbox keeps, by its PERMANENTFLAGS where they are known (RFC 9051 7.1). note: remember
        the others in `left_out_keywords`."""
        permanent = self.permanent.get(name)
        if permanent is None or "\\*" in permanent or flags <= permanent:
            return flags
        known = {flag.lower() for flag in permanent}
        kept = frozenset([flag for flag in flags if flag.lower() in known])
        if note:
            self.left_out_keywords.setdefault(name, set()).update(flags - kept)
        return kept

    def forget(self, name: str, children: bool = True) -> None:
        """A mailbox has gone from this name: what is known under it holds no more."""
        tables: tuple[dict[str, Any], ...] = (self.validities, self.permanent, self.append_limits, self.sights)
        for table in tables:
            for each in [each for each in table if each == name or (children and each.startswith(name + "/"))]:
                del table[each]

    async def raw(self, name: str) -> bytes:
        """The name as the server writes it. Looks at all names first where that has not been done."""
        if not self.looked:
            from .look import look

            await look(self)
        return self.names.raw(name)

    async def open(self, connection: Connection, name: str, raw: bytes, write: bool = False) -> Selected:
        """The mailbox, open on this connection and of the validity that was last told.

        Raises MailboxUnavailable, also where its UIDs have begun anew since.
        """
        selected = connection.selected
        known = self.validities.get(name)
        stale = selected is None or selected.name != raw or (known is not None and known != selected.validity)
        if selected is None or stale or (write and not selected.writable):
            selected = await connection.select(raw, name, write)
            if selected.writable:
                self.permanent[name] = selected.permanent
        known = self.validities.setdefault(name, selected.validity)
        if known != selected.validity:
            raise MailboxUnavailable(f"The server has numbered the messages of {name} anew.", "The next run sees it.")
        if write and not selected.writable:
            raise MailboxUnavailable(f"The server lets nothing be changed in {name}.")
        return selected
