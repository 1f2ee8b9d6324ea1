"""The state of one copy: what both sides held when they were last the same, and what is under way."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import apsw

from .file import StateFailed, last_written, locked, open_file, reason
from .quiet import Shown, quiet

if TYPE_CHECKING:
    from ..settings import Aside, End, Held
    from .beside import Beside
    from .decisions import Asides, Holds, Trashed
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
        self.written = last_written(path)
        """When another run last wrote here, seconds UTC; None where there was none."""
        self._db = open_file(path)

    def quiet(self) -> set[Shown] | None:
        """What both sides show where there is nothing to do; see `quiet.quiet`."""
        return quiet(self._db)

    def signs(self) -> dict[int, str]:
        """Whose account each side was when the copy was made of it; by side, where it is known."""
        return dict(self._db.execute("SELECT side, sign FROM account"))

    def set_signs(self, signs: Mapping[End, str]) -> None:
        """Belongs in a transaction of the caller's."""
        self._db.executemany(
            "INSERT OR REPLACE INTO account (side, sign) VALUES (?, ?)",
            [(int(end), sign) for end, sign in signs.items()],
        )

    # Parts that a run with nothing to do needs not, nor should load.

    @cached_property
    def flagsets(self) -> Flagsets:
        from .flagsets import Flagsets

        return Flagsets(self._db)

    @cached_property
    def pairs(self) -> Pairs:
        from .pairs import Pairs

        return Pairs(self._db)

    @cached_property
    def messages(self) -> Messages:
        from .messages import Messages

        return Messages(self._db, self.flagsets)

    @cached_property
    def beside(self) -> Beside:
        from .beside import Beside

        return Beside(self._db)

    @cached_property
    def holds(self) -> Holds:
        from .decisions import Holds

        return Holds(self._db)

    @cached_property
    def asides(self) -> Asides:
        from .decisions import Asides

        return Asides(self._db)

    @cached_property
    def trashed(self) -> Trashed:
        from .decisions import Trashed

        return Trashed(self._db)

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
    def transaction(self, *, durable: bool = True) -> Iterator[None]:
        """All or nothing, on disk at its end. Not to be nested, not to be held over an await.

        durable: False where a power cut may take it back, with what was noted since: the next run would find as done
        what it is about. It is on disk with the next that is durable, or when the state is closed.
        """
        db = self._db
        if not durable:
            db.execute("PRAGMA synchronous = NORMAL")
            try:
                with self.transaction():
                    yield
            finally:
                db.execute("PRAGMA synchronous = FULL")
            return
        db.execute("BEGIN IMMEDIATE")
        try:
            yield
            if "flagsets" in self.__dict__:
                self.flagsets.save()
            if self._watch is not None:
                self._watch("before commit")
            db.execute("COMMIT")
        except BaseException as error:
            if db.in_transaction:
                db.execute("ROLLBACK")
            if "flagsets" in self.__dict__:
                self.flagsets.reload()
            if "messages" in self.__dict__:
                self.messages.forget_keys()
            if isinstance(error, apsw.Error):
                text = f"The copy's state cannot be written ({reason(error)})."
                raise StateFailed(text, f"Look at {self.path}.") from error
            raise
        if self._watch is not None:
            self._watch("after commit")

    # For the command line -----------------------------------------------------------------------------

    def held(self) -> list[Held]:
        """Removals that wait for a decision, and those decided that the next run will do."""
        return self.holds.all() if self._any("hold") else []

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
        return self.asides.all() if self._any("aside") else []

    def _any(self, table: str) -> bool:
        return self._db.execute(f"SELECT 1 FROM {table} LIMIT 1").fetchone() is not None

    def is_carrying(self) -> bool:
        """Whether messages were being added to a side by a run that did not come to its end."""
        return bool(self._db.execute(_CARRYING).get)

    def retry_aside(self) -> int:
        """Let the next run try all of them again."""
        with self.transaction():
            return self.asides.retry()


_CARRYING = """
SELECT EXISTS (
    SELECT 1 FROM message WHERE ((one IS NULL AND odd & 4 = 0) OR (two IS NULL AND odd & 8 = 0))
    AND (one IS NULL OR two IS NULL OR odd & 12 != 0) AND key NOT IN (SELECT message FROM aside)
)
"""
"""The second line is the partial index's own condition."""
