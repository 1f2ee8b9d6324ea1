"""Accounts and the directory as a run of a backup asks for them, read without an engine.

A night in which little changed reads some rows of some accounts. An engine, with what loads it, a loop and threads for
whoever else it serves, takes several times as long to start as that. So these are an engine's promises to one who reads
alone, in one thread: its methods are coroutines because an engine's are (`backup.source.Source`), and never wait.

As with a glance, whatever is not quite ordinary (an older schema, a file put back from a backup, a move to be finished,
a lock, damage) is for an engine, which says what it is or mends it: NeedsEngine.
"""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import apsw

from ..backup import CatalogueRow, Head, Mark, PlacedRow, Pop3Row, SeenRow
from ..errors import StoreRefusal
from ..fold import fold_address
from . import account_backup as rows
from . import directory_rows
from .directory_schema import APPLICATION_ID as DIRECTORY_ID
from .directory_schema import MIGRATIONS
from .glance import UNFINISHED, DirectoryGlance, open_to_look
from .inode import is_copy
from .names import account_name
from .schema import APPLICATION_ID, VERSION

if TYPE_CHECKING:
    from array import array
    from collections.abc import Iterator, Sequence
    from types import TracebackType
    from typing import Self

    from ..backup import AnswerRow
    from ..directory import Account, Common, Person

HELD = 0.1
"""Seconds of an instant after which the log, which nobody could write back meanwhile, is written back here: else who
delivers next would do it, and wait for it."""


class NeedsEngine(Exception):
    """What is there is for an engine to say, or to mend."""


@contextmanager
def _ordinary() -> Iterator[None]:
    try:
        yield
    except (apsw.Error, OSError, StoreRefusal) as error:
        raise NeedsEngine(str(error)) from error


class Aside:
    """Implements `backup.source.Source` over the files of a data folder. To be closed. Raises NeedsEngine."""

    def __init__(self, data: str) -> None:
        self._data = data
        self._open: dict[str, AccountAside] = {}
        with _ordinary():
            self.directory = DirectoryAside(DirectoryGlance(data))

    def account(self, account: str) -> AccountAside:
        found = self._open.get(account)
        if found is None:
            found = self._open[account] = AccountAside(self._data, account)
        return found

    async def leave(self, account: str) -> None:
        if (found := self._open.pop(account, None)) is not None:
            found.close()

    def close(self) -> None:
        for each in self._open.values():
            each.close()
        self._open.clear()
        self.directory.glance.close()


class DirectoryAside:
    """Implements `backup.source.Accounts`. glance: what was there when it was opened; while that `stands`, it is what
    is told here."""

    def __init__(self, glance: DirectoryGlance) -> None:
        self.glance = glance
        if not glance.is_version(DIRECTORY_ID, len(MIGRATIONS)):
            glance.close()
            raise NeedsEngine("the directory is of another version")

    async def accounts(self, after: str = "", limit: int = 1000) -> list[Account]:
        with _ordinary():
            return directory_rows.accounts(self.glance.rows, fold_address(after), limit)

    async def account(self, address: str) -> Account | None:
        with _ordinary():
            return directory_rows.account_at(self.glance.rows, fold_address(address))

    async def account_by_id(self, id: str) -> Account | None:
        with _ordinary():
            return directory_rows.account_by_id(self.glance.rows, id)

    async def persons(self, after: str = "", limit: int = 256) -> list[Person]:
        from . import directory_backup

        with _ordinary():
            return directory_backup.persons(self.glance.rows, fold_address(after), limit)

    async def common(self) -> Common:
        from . import directory_addresses, directory_backup

        with _ordinary():
            read = self.glance.rows
            return directory_backup.common(read, directory_addresses.domains(read), directory_addresses.aliases(read))


class AccountAside:
    """Implements `backup.source.Read`. Its file is opened when it is first asked for."""

    def __init__(self, data: str, account: str) -> None:
        self.account = account
        self._data = data
        self._held: apsw.Connection | None = None

    @property
    def _db(self) -> apsw.Connection:
        if self._held is None:
            path = f"{self._data}/{account_name(self.account)}"
            db = open_to_look(path)
            try:
                ours = db.pragma("application_id") == APPLICATION_ID and db.pragma("user_version") == VERSION
                if not ours or is_copy(db, path) or db.execute(UNFINISHED).get:
                    raise NeedsEngine("the account's file is not in service as it is")
                db.execute("PRAGMA temp_store = MEMORY")  # nothing of a message lands in a temporary file
            except BaseException:
                db.close(True)
                raise
            self._held = db
        return self._held

    def close(self) -> None:
        db, self._held = self._held, None
        if db is not None:
            db.close(True)

    async def mark(self) -> Mark:
        with _ordinary():
            return rows.mark(self._db)

    def instant(self) -> InstantAside:
        with _ordinary():
            return InstantAside(self._db)

    async def answers(self, emails: Sequence[int]) -> list[AnswerRow | None]:
        from . import answers

        with _ordinary():
            return answers.read(self._db, emails)

    async def read_contents(self, contents: Sequence[int]) -> list[bytes]:
        from . import content

        with _ordinary():
            return content.read_many(self._db, contents)


class InstantAside:
    """Implements `store.backup.Instant`: one read transaction, while its block lasts."""

    def __init__(self, db: apsw.Connection) -> None:
        self._db = db
        self._since = 0.0

    async def __aenter__(self) -> Self:
        with _ordinary():
            self._since = time.monotonic()
            self._db.execute("BEGIN")
            self._db.execute("SELECT modseq FROM account").fetchone()  # the transaction begins with its first read
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            if time.monotonic() - self._since > HELD:
                self._db.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
        except apsw.Error:
            pass  # somebody else is at it, or the disk fails: the log stays, and with it everything in it

    async def head(self) -> Head:
        with _ordinary():
            return rows.head(self._db)

    async def placed(self, mailbox: int, after: int, limit: int) -> list[PlacedRow]:
        with _ordinary():
            return rows.placed(self._db, mailbox, after, limit)

    async def catalogue(self, mailbox: int, low: int, high: int) -> list[CatalogueRow]:
        with _ordinary():
            return rows.catalogue(self._db, mailbox, low, high)

    async def flagged(self, mailbox: int, since: int, below: int) -> list[tuple[int, int]]:
        with _ordinary():
            return rows.flagged(self._db, mailbox, since, below)

    async def gone(self, mailbox: int, since: int) -> array[int]:
        with _ordinary():
            return rows.gone(self._db, mailbox, since)

    async def pop3(self) -> list[Pop3Row]:
        with _ordinary():
            return rows.pop3(self._db)

    async def hidden(self) -> list[int]:
        with _ordinary():
            return rows.hidden(self._db)

    async def seen(self) -> list[SeenRow]:
        with _ordinary():
            return rows.seen(self._db)
