"""A folder that somebody else owns: whoever backs up may add to it, and can neither change nor remove what it has.

```
root/                    the keeper's; others read           rwxr-x---  keeper
root/keys, mail, ...     what is kept                        rwxr-x---, files rw-r-----
root/.incoming/          where others drop files             rwxrws--T: sticky, so that each removes only its own
root/.incoming/mail,ab,<sha>    "mail/ab/<sha>" until it is taken in
```
`.incoming` is what makes a folder one of these. The keeper (its owner, or who runs as him) copies what was dropped into
its place (`keep`), so that no file of the dropper's, which he could go on writing, is ever among what is kept. Others
see both; the keeper sees what is kept. Only Unix rights hold this: to root of the machine where the folder's disk is,
nothing is out of reach, so it belongs onto another machine than the mail server's.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from ..clock import Random
from ..files import sync_folder
from .errors import AppendOnly, Missing
from .folder import TEMPORARY, Folder, translated, write_all
from .location import checked

INCOMING = ".incoming"
KEEPERS = ("condemned/", "twin/condemned/")
"""What the keeper alone writes."""
HALF = ".half-"
"""What names of files begin with that are being dropped."""


def is_kept(root: Path) -> bool:
    """Whether somebody keeps this folder for those who add to it."""
    return (root / INCOMING).is_dir()


class KeptFolder(Folder):
    """Implements `location.Location`. What it may do depends on who runs it: the folder's owner, or another user."""

    append_only = True
    file_mode = 0o640
    folder_mode = 0o2750

    def __init__(self, root: Path, random: Random) -> None:
        super().__init__(root, random)
        self.incoming = root / INCOMING
        self._marks.append(os.fspath(self.incoming))  # where a new repository waits
        with translated(INCOMING):
            self.removes = root.stat().st_uid == os.geteuid()

    def put(self, name: str, data: bytes) -> None:
        if self.removes:
            super().put(name, data)
            return
        if name.startswith(KEEPERS):
            raise AppendOnly(f"{self.root} is pruned by its owner.", "Run 'restante backup prune' as its owner.")
        self.stand()
        path = self._dropped(name)
        with translated(name, writing=True):
            if self._path(name).exists() or path.exists():
                return
            making = self.incoming / (HALF + self._random(16).hex())
            try:
                number = os.open(making, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, self.file_mode)
                with os.fdopen(number, "wb", buffering=0) as stream:
                    os.fchmod(stream.fileno(), self.file_mode)  # whatever the umask is: the keeper must read it
                    write_all(stream.fileno(), data)
                    os.fsync(stream.fileno())
                making.rename(path)
                sync_folder(self.incoming)
            finally:
                making.unlink(missing_ok=True)

    def get(self, name: str, offset: int = 0, count: int | None = None) -> bytes:
        if not self.removes:
            for path in (self._path(name), self._dropped(name)):
                with suppress(Missing):
                    return self.read(name, path, offset, count)
        return super().get(name, offset, count)  # taken in just now, perhaps

    def size(self, name: str) -> int:
        if not self.removes:
            for path in (self._path(name), self._dropped(name)):
                with suppress(Missing), translated(name):
                    return path.stat().st_size
        return super().size(name)

    def names(self, folder: str) -> Iterator[tuple[str, int]]:
        # What is taken in meanwhile is in its place before it is gone from here, so this order misses none.
        waiting = {} if self.removes else dict(self.dropped(files_alone=True))
        inside = f"{folder}/" if folder else ""
        for name, size in super().names(folder):
            waiting.pop(name, None)
            yield name, size
        yield from ((name, size) for name, size in waiting.items() if name.startswith(inside))

    def dropped(self, *, files_alone: bool = False) -> Iterator[tuple[str, int]]:
        """(name, octets) of what waits to be taken in; names that no object can have are passed over.

        files_alone: without what no server drops, such as links and lists of what may go.
        """
        with translated(INCOMING), os.scandir(self.incoming) as entries:
            for entry in entries:
                name = entry.name.replace(",", "/")
                if files_alone and (name.startswith(KEEPERS) or not entry.is_file(follow_symlinks=False)):
                    continue
                with suppress(ValueError, FileNotFoundError):
                    yield checked(name), entry.stat(follow_symlinks=False).st_size

    def remove(self, name: str) -> None:
        if self.removes:
            super().remove(name)
        elif self._path(name).exists():
            raise AppendOnly(
                f"{self.root} keeps what it has: {name} cannot be removed from here.",
                "Run it as the folder's owner, on the machine that keeps it.",
            )
        else:
            with translated(name):
                self._dropped(name).unlink(missing_ok=True)

    def tidy(self, age: float) -> int:
        done = super().tidy(age) if self.removes else 0
        with translated(INCOMING), os.scandir(self.incoming) as entries:
            before = self._now(self.incoming) - age
            for entry in entries:
                with suppress(FileNotFoundError):
                    status = entry.stat(follow_symlinks=False)
                    mine = self.removes or status.st_uid == os.geteuid()
                    half = entry.name.startswith(HALF) and not stat.S_ISDIR(status.st_mode)
                    if half and mine and status.st_mtime < before:
                        Path(entry.path).unlink()
                        done += 1
        return done

    def settle(self, folder: Path) -> None:
        """Whatever the umask is, others read what is kept; also where a crash came before that was said."""
        own = folder in (self.root, self.root / TEMPORARY)
        if not own and stat.S_IMODE(folder.stat().st_mode) != self.folder_mode:
            folder.chmod(self.folder_mode)

    def arrived(self, name: str) -> float | None:
        """When the keeper took it in, by his clock: nobody else has a say in it. None for what still waits."""
        try:
            return self._path(name).stat().st_mtime
        except FileNotFoundError:
            return None

    def kept(self, name: str) -> bool:
        """Whether it has been taken in."""
        return self._path(name).exists()

    def _dropped(self, name: str) -> Path:
        return self.incoming / checked(name).replace("/", ",")


def check_incoming(folder: KeptFolder) -> list[str]:
    """What is wrong with the rights of a folder that should hold; each with what to do."""
    wrong = []
    root, incoming = folder.root.stat(), folder.incoming.stat()
    if root.st_mode & 0o022:
        wrong.append(f"Others may write to {folder.root}: chmod 2750 {folder.root}")
    if incoming.st_uid != root.st_uid:
        wrong.append(f"{folder.incoming} belongs to somebody else than {folder.root}: chown it.")
    if not incoming.st_mode & stat.S_ISVTX:
        wrong.append(f"Each may remove what others drop: chmod 3770 {folder.incoming}")
    return wrong
