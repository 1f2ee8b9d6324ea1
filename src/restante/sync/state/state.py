"""The state of one copy: what both sides held when they were last the same, and what is under way."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import apsw

from ..settings import Aside, Held
from .decisions import Asides, Holds, Trashed
from .file import StateFailed, locked, open_file
from .flagsets import Flagsets
from .messages import Messages
from .pairs import Pairs


class State:
    """An opened state. Made where it is missing; `close` it. Raises StateFailed.

    watch: told "before" and "after" each commit; tests end the process there.
    """

    def __init__(self, path: Path, watch: Callable[[str], None] | None = None) -> None:
        self.path = path
        self._watch = watch
        self._db = open_file(path)
        self.flagsets = Flagsets(self._db)
        self.pairs = Pairs(self._db)
        self.messages = Messages(self._db, self.flagsets)
        self.holds = Holds(self._db)
        self.asides = Asides(self._db)
        self.trashed = Trashed(self._db)

    @classmethod
    def open(cls, path: Path) -> State:
        return cls(path)

    def close(self) -> None:
        """Close the file; a transaction under way is rolled back."""
        self._db.close(True)

    def lock(self) -> AbstractContextManager[None]:
        """Held by a run: a second one is refused with CopyBusy."""
        return locked(self.path)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing, on disk at its end. Not to be nested, not to be held over an await."""
        db = self._db
        db.execute("BEGIN IMMEDIATE")
        try:
            yield
            self.flagsets.save()
            if self._watch is not None:
                self._watch("before commit")
            db.execute("COMMIT")
        except BaseException as error:
            if db.in_transaction:
                db.execute("ROLLBACK")
            self.flagsets.reload()
            self.messages.forget_keys()
            if isinstance(error, apsw.Error):
                raise StateFailed("The copy's state cannot be written.", f"Look at {self.path}.") from error
            raise
        if self._watch is not None:
            self._watch("after commit")

    # For the command line -----------------------------------------------------------------------------

    def held(self) -> list[Held]:
        """Removals that wait for a decision, and those decided that the next run will do."""
        return self.holds.all()

    def accept(self, numbers: Sequence[int] | None = None) -> int:
        """Let the next run carry these removals over (None: all undecided). Gives their count."""
        with self.transaction():
            return self.holds.decide(numbers, True)

    def refuse(self, numbers: Sequence[int] | None = None) -> int:
        """Let the next run put these messages back where they were removed (None: all undecided)."""
        with self.transaction():
            return self.holds.decide(numbers, False)

    def aside(self) -> list[Aside]:
        """Messages that a side would not take."""
        return self.asides.all()

    def retry_aside(self) -> int:
        """Let the next run try all of them again."""
        with self.transaction():
            return self.asides.retry()
