"""Archives as trees: .tar (plain, gz, xz, bz2) and .zip.

Nothing is ever written under a name that an archive gives: members are read through the archive, a compressed
tar is unpacked as one stream into an unnamed temporary file (a maildir needs its control files before its
messages, and seeking in a compressed stream would read it again for each). Bounds: members, octets in all by
what the archive itself measures, octets of a name. A bomb is refused before it is read where the archive tells
its sizes, else as soon as it passes the bound. What stands before a member of a tar (a long name, pax records, the
map of a sparse file) is read into memory whole, so that is bounded too.

A hard link in a tar is the member that it names, which came before it: so a Maildir's copies are kept by Dovecot and by
a local copy of ours.
"""

from __future__ import annotations

import bz2
import calendar
import gzip
import io
import lzma
import math
import shutil
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO, cast

from .incoming import ExchangeRefusal, Skipped, Unsafe
from .tree import File, parents

MOST_MEMBERS = 2_000_000
FREE_OCTETS = 1 << 30
"""An archive may always unpack to so much; beyond it at most RATIO times its own size."""
RATIO = 200
LONGEST_PATH = 4096
LONGEST_HEADER = 1 << 20
"""Octets that a tar may have before a member's own: the library holds them all, some copies of them."""

BROKEN = (
    tarfile.TarError, zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, OSError, ValueError, RecursionError
)  # fmt: skip
"""What a damaged archive makes the standard library raise; RecursionError for headers that announce one another."""


def _gzip(packed: BinaryIO) -> BinaryIO:
    return cast(BinaryIO, gzip.GzipFile(fileobj=packed))


def _bzip2(packed: BinaryIO) -> BinaryIO:
    return cast(BinaryIO, bz2.BZ2File(packed))


def _xz(packed: BinaryIO) -> BinaryIO:
    return cast(BinaryIO, lzma.LZMAFile(packed))


UNPACKERS: dict[bytes, Callable[[BinaryIO], BinaryIO]] = {b"\x1f\x8b": _gzip, b"BZ": _bzip2, b"\xfd7": _xz}
"""By a file's first octets."""


def bound(archive_size: int) -> int:
    """Octets that an archive of this size may unpack to."""
    return max(FREE_OCTETS, archive_size * RATIO)


def safe_path(name: str) -> str | None:
    """An archive's name as a relative path, None if it climbs out or cannot be one.

    The path never reaches the file system; it is checked because it becomes a mailbox name.
    """
    if len(name) > LONGEST_PATH or "\0" in name or name.startswith("/"):
        return None
    parts = [part for part in name.split("/") if part not in ("", ".")]
    return None if ".." in parts else "/".join(parts)


NO_ZIP_TIME = (1980, 1, 1, 0, 0, 0)


class _Archive:
    """What both kinds share: the collected members and the running total."""

    def __init__(self, path: Path) -> None:
        self.name = path.name
        self.files: list[File] = []
        self.folders: set[str] = {""}
        self.passed_over: list[Skipped] = []
        self._bound = bound(path.stat().st_size)
        self._sum = 0

    def _collect(self, path: str | None, shown: str, size: int, mtime: int, *, folder: bool, regular: bool) -> bool:
        """Note one member; whether it is a file that can be read."""
        if len(self.files) + len(self.folders) + len(self.passed_over) >= MOST_MEMBERS:
            raise Unsafe(f"{self.name} holds more than {MOST_MEMBERS} members.", "Import its parts one by one.")
        if path is None:
            self.passed_over.append(Skipped(shown[:200], "its name leads out of the archive"))
        elif folder:
            self.folders.add(path)
        elif not regular:
            self.passed_over.append(Skipped(path, "not a regular file"))
        elif not path:
            self.passed_over.append(Skipped(self.name, "a member without a name"))
        else:
            self._sum += size
            if self._sum > self._bound:
                raise Unsafe(f"{self.name} would unpack to more than {self._bound} octets.", "Unpack it by hand.")
            self.files.append(File(path, size, mtime))
            return True
        return False

    def _finish(self) -> None:
        self.folders |= parents(file.path for file in self.files) | parents(self.folders)
        last = {file.path: file for file in self.files}  # a name that comes twice means its last member, as in tar
        self.files = sorted(last.values(), key=lambda file: file.path)


class TarTree(_Archive):
    """A tar file, compressed or not."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._members: dict[str, tarfile.TarInfo] = {}
        self._stream = self._plain(path)
        try:
            headers = _Headers(self._stream)
            self._tar = tarfile.open(fileobj=cast(BinaryIO, headers), mode="r:")  # noqa: SIM115 - closed in close()
            for member in self._tar:
                headers.begin()
                clean = safe_path(member.name)
                content = self._members.get(safe_path(member.linkname) or "") if member.islnk() else member
                regular = content is not None and content.isreg()
                size = content.size if content is not None else 0
                if self._collect(clean, member.name, size, _tar_time(member), folder=member.isdir(), regular=regular):
                    assert clean is not None
                    assert content is not None
                    self._members[clean] = content
        except BROKEN as cause:
            self._stream.close()
            remedy = "Make the archive again; where it is one compressed file, unpack it (gunzip, unxz, bunzip2)."
            raise ExchangeRefusal(f"{self.name} is damaged, or no tar file.", remedy) from cause
        self._tar.fileobj = self._stream
        self._finish()

    def _plain(self, path: Path) -> BinaryIO:
        packed = path.open("rb")
        magic = packed.read(2)
        packed.seek(0)
        if magic not in UNPACKERS:
            return packed
        plain = cast(BinaryIO, tempfile.TemporaryFile())  # noqa: SIM115 - closed in close()
        try:
            with packed, UNPACKERS[magic](packed) as unpacked:
                while block := unpacked.read(1 << 20):
                    plain.write(block)
                    if plain.tell() > self._bound:
                        raise Unsafe(f"{self.name} unpacks to more than {self._bound} octets.", "Unpack it by hand.")
        except BROKEN as cause:
            plain.close()
            raise ExchangeRefusal(f"{self.name} is damaged.", "Make the archive again.") from cause
        except Unsafe:
            plain.close()
            raise
        plain.seek(0)
        return plain

    def open(self, file: File) -> BinaryIO:
        found = self._members[file.path]
        if found.sparse:
            # The map's unused places end it with (0, 0): going back to the start, the library takes that for a hole.
            places = cast(list[tuple[int, int]], found.sparse)  # typeshed: bytes
            found.sparse = cast(bytes, [place for place in places if place[1]])
        member = self._tar.extractfile(found)
        if member is None:
            raise OSError(f"{file.path} has no content")
        return cast(BinaryIO, member)

    def close(self) -> None:
        self._tar.close()
        self._stream.close()


class _Headers(io.RawIOBase):
    """A tar while its members are listed: nothing but headers is read of it. Too long a one is a ValueError."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._left = LONGEST_HEADER

    def begin(self) -> None:
        """The headers of the next member come."""
        self._left = LONGEST_HEADER

    def read(self, size: int = -1) -> bytes:
        self._left -= size
        if self._left < 0:
            raise ValueError("a header that is too long")
        return self._stream.read(size)

    def seek(self, offset: int, whence: int = 0) -> int:
        return self._stream.seek(offset, whence)

    def tell(self) -> int:
        return self._stream.tell()


class ZipTree(_Archive):
    """A zip file. Encrypted members are passed over."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._members: dict[str, zipfile.ZipInfo] = {}
        self._read = 0
        try:
            self._zip = zipfile.ZipFile(path)
        except (*BROKEN, NotImplementedError) as cause:  # that one for a version of the format that is to come
            raise ExchangeRefusal(f"{self.name} is damaged, or no zip file.", "Make the archive again.") from cause
        packed_at = int(path.stat().st_mtime)
        for member in self._zip.infolist():
            clean = safe_path(member.filename.replace("\\", "/"))
            mode = member.external_attr >> 16
            folder = member.filename.endswith("/")  # not is_dir(), which fails for a name of no characters
            regular = (mode & 0o170000) in (0, 0o100000)
            mtime = _zip_time(member, packed_at)
            if clean in self._members:
                self.passed_over.append(Skipped(clean or "", "a second member of this name"))
                continue
            if clean and member.flag_bits & 1:
                self.passed_over.append(Skipped(clean, "encrypted: unpack it with its password"))
                continue
            if self._collect(clean, member.filename, member.file_size, mtime, folder=folder, regular=regular):
                assert clean is not None
                self._members[clean] = member
        self._finish()

    def open(self, file: File) -> BinaryIO:
        """Unpacked whole: small ones in memory, large ones in an unnamed file; never more than its header says."""
        plain = tempfile.SpooledTemporaryFile(max_size=8 << 20)  # noqa: SIM115 - the caller closes it
        try:
            with self._zip.open(self._members[file.path]) as packed:
                shutil.copyfileobj(_Bounded(cast(BinaryIO, packed), file.size), plain)
        except (*BROKEN, RuntimeError, NotImplementedError) as cause:
            plain.close()
            raise OSError(f"cannot be unpacked ({cause})") from cause
        self._read += plain.tell()
        if self._read > 2 * self._bound:
            plain.close()
            raise Unsafe(f"{self.name} unpacks to far more than it says.", "Unpack it by hand.")
        plain.seek(0)
        return cast(BinaryIO, plain)

    def close(self) -> None:
        self._zip.close()


def _tar_time(member: tarfile.TarInfo) -> int:
    """When a member was changed. A pax record may say "inf"."""
    return int(member.mtime) if math.isfinite(member.mtime) else 0


def _zip_time(member: zipfile.ZipInfo, otherwise: int) -> int:
    """When a member was changed. Many programs write no time (zero, which is month 0, or where DOS begins)."""
    try:
        return calendar.timegm((*member.date_time, 0, 0, 0)) if member.date_time > NO_ZIP_TIME else otherwise
    except ValueError:
        return otherwise


class _Bounded(io.RawIOBase):
    """Reads of another stream; more than `left` octets is an OSError."""

    def __init__(self, stream: BinaryIO, left: int) -> None:
        self._stream = stream
        self._left = left

    def read(self, size: int = -1) -> bytes:
        block = self._stream.read(65_536 if size < 0 else size)
        self._left -= len(block)
        if self._left < 0:
            raise OSError("more octets than its header says")
        return block
