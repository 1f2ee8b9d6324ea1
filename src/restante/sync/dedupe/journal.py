"""What was done to duplicates, one file a run, so that it can be put back: JSON, a line a step, each durable.

```
{"restante": "dedupe", "version": 1, "side": ..., "at": ...}
{"step": 0, "trash": NAME, "validity": ..., "groups": [{"keep": MESSAGE, "add": [...], "move": [MESSAGE, ...]}, ...]}
{"done": 0, "uids": [uid in the trash | 0: not told or gone | null: not moved, ...]}
{"finished": true}      {"undoing": 0}      {"undone": 0}
```

A step stands here before anything of it is done. Where its "done" is missing the run was cut off within it: what moved
is then found in the trash by its content, before anything else is done. A run that was cut off is gone on with in the
same file, so that undoing takes back all of it. A line cut off at the end was never acted on.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from ...clock import Random
from ...errors import Refusal
from ...files import sync_folder
from ..alone import alone


class JournalRefusal(Refusal):
    """The journal cannot be used: another run holds it, or there is none."""

    code = "JOURNAL"


@dataclass(frozen=True, slots=True)
class Moved:
    """A message as it was before it was touched. size: octets, or -1. received: seconds UTC. digest: of its octets."""

    box: str
    validity: str
    uid: int
    flags: tuple[str, ...]
    received: int
    size: int
    mark: bytes
    digest: bytes

    def written(self) -> list[object]:
        return [
            self.box, self.validity, self.uid, self.flags, self.received, self.size, self.mark.hex(),
            self.digest.hex(),
        ]  # fmt: skip

    @classmethod
    def read(cls, values: list[Any]) -> Self:
        box, validity, uid, flags, received, size, mark, digest = values
        return cls(box, validity, uid, tuple(flags), received, size, bytes.fromhex(mark), bytes.fromhex(digest))


@dataclass(frozen=True, slots=True)
class Entry:
    """One group as it was: flags were added to `keep`, `move` went to the trash."""

    keep: Moved
    add: tuple[str, ...]
    move: tuple[Moved, ...]


@dataclass(frozen=True, slots=True)
class Step:
    """Groups that were worked on together. uids: in the trash, one for each message that was to move, in order; None
    where the run was cut off (`undo.settle`). begun: undoing it was begun."""

    number: int
    trash: str
    validity: str
    entries: tuple[Entry, ...]
    uids: list[int | None] | None
    begun: bool


@dataclass(slots=True)
class _Known:
    """Where the lines of a step lie in the file."""

    at: int
    done: int | None = None
    begun: bool = False
    undone: bool = False


class Journal:
    """One run's file, open. Use `begin` or `newest`, and close it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.finished = False
        self._steps: dict[int, _Known] = {}
        self._file = os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600), "r+b")
        self._read()

    def close(self) -> None:
        self._file.close()

    @classmethod
    def begin(cls, folder: Path, side: str, now: float, random: Random) -> Journal:
        """A new run's journal, or the newest one's where that was cut off."""
        last = cls.newest(folder, side)
        if last is not None:
            if not last.finished and not any(known.begun for known in last._steps.values()):
                return last
            last.close()
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        journal = cls(folder / f"{_prefix(side)}-{int(now * 1000):015d}-{random(3).hex()}.jsonl")
        journal._append({"restante": "dedupe", "version": 1, "side": side, "at": int(now)})
        sync_folder(folder)
        return journal

    @classmethod
    def newest(cls, folder: Path, side: str) -> Journal | None:
        """The newest run that is not undone; None where there is none."""
        for path in sorted(folder.glob(f"{_prefix(side)}-*.jsonl"), reverse=True):
            journal = cls(path)
            if not journal.undone:
                return journal
            journal.close()
        return None

    @property
    def settled(self) -> bool:
        """Whether it is known of each step what became of it."""
        return all(known.done is not None for known in self._steps.values())

    @property
    def undone(self) -> bool:
        """Whether there is nothing in it to be put back."""
        return all(known.undone for known in self._steps.values()) and (self.finished or bool(self._steps))

    def _read(self) -> None:
        end = 0
        for line in self._file:
            if not line.endswith(b"\n"):
                break
            at, end = end, end + len(line)
            value: dict[str, Any] = json.loads(line)
            match value:
                case {"step": int(number)}:
                    self._steps[number] = _Known(at)
                case {"done": int(number)}:
                    self._steps[number].done = at
                case {"undoing": int(number)}:
                    self._steps[number].begun = True
                case {"undone": int(number)}:
                    self._steps[number].undone = True
                case {"finished": True}:
                    self.finished = True
        self._file.seek(end)
        self._file.truncate()

    def _append(self, value: dict[str, object]) -> int:
        """Write a line durably; where it lies."""
        at = self._file.seek(0, os.SEEK_END)
        self._file.write(json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode() + b"\n")
        self._file.flush()
        os.fsync(self._file.fileno())
        return at

    # Doing -------------------------------------------------------------------------------------------

    def intend(self, trash: str, validity: str, entries: list[Entry]) -> int:
        """Note what is about to be done; the step's number."""
        number = max(self._steps, default=-1) + 1
        groups = [
            {"keep": one.keep.written(), "add": one.add, "move": [each.written() for each in one.move]}
            for one in entries
        ]
        at = self._append({"step": number, "trash": trash, "validity": validity, "groups": groups})
        self._steps[number] = _Known(at)
        return number

    def done(self, number: int, uids: list[int | None]) -> None:
        """Note where the step's messages lie in the trash."""
        self._steps[number].done = self._append({"done": number, "uids": uids})

    def finish(self) -> None:
        self._append({"finished": True})
        self.finished = True

    # Undoing -----------------------------------------------------------------------------------------

    def steps(self) -> Iterator[Step]:
        """Steps that are not undone, newest first, each read when it is asked for."""
        for number in sorted(self._steps, reverse=True):
            known = self._steps[number]
            if known.undone:
                continue
            value = self._line(known.at)
            entries = tuple(
                Entry(Moved.read(one["keep"]), tuple(one["add"]), tuple(map(Moved.read, one["move"])))
                for one in value["groups"]
            )
            uids = None if known.done is None else self._line(known.done)["uids"]
            yield Step(number, value["trash"], value["validity"], entries, uids, known.begun)

    def _line(self, at: int) -> dict[str, Any]:
        self._file.seek(at)
        value: dict[str, Any] = json.loads(self._file.readline())
        return value

    def undoing(self, number: int) -> None:
        self._append({"undoing": number})
        self._steps[number].begun = True

    def undid(self, number: int) -> None:
        self._append({"undone": number})
        self._steps[number].undone = True


def _prefix(side: str) -> str:
    return hashlib.sha256(side.encode()).hexdigest()[:16]


def hold(folder: Path, side: str) -> AbstractContextManager[None]:
    """Keep other runs over the same side out for the time of the block. Raises JournalRefusal when it is entered."""
    busy = JournalRefusal("Another run is at this mail already.", "Wait until it has ended.")
    return alone(folder / f"{_prefix(side)}.lock", busy)
