"""A bucket that keeps every version: whoever adds to it can hide and write over, and what was first there is read.

A bucket with versions takes a removal as a *marker* on top, and a second writing as one more version. An object of a
backup is written once, so its oldest version is what was written, and markers mean nothing but that somebody tried.
`disturbed` tells of them, `put_back` shows the oldest to everybody again. What holds is the bucket: a policy that gives
the server no right to remove versions, and object lock, which gives it to nobody for a time.

`.append-only` at the location says that it is one: its first version is enough, whatever lies on top.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from .errors import AppendOnly, BackupRefusal, LocationFailed, Missing
from .s3 import MARKS, Bucket, Refused, Unable, unlisted
from .s3_api import Api, Version, pages
from .s3_settings import Place

(MARK,) = MARKS
KEEPERS = ("condemned/", "twin/condemned/")
LOCKING = 8
"""Locks that are asked for at once."""
HIDDEN = "is hidden by a removal"
OVER = "has been written over"


@dataclass(frozen=True, slots=True)
class _Entry:
    """An object. first: its oldest version. odd: what was tried with it, "" for nothing."""

    first: Version
    odd: str


def is_kept(bucket: Bucket) -> bool:
    """Whether the location was made append-only. One request; where a server cannot tell versions, another one.

    Raises LocationFailed.
    """
    path = bucket.path_of(MARK)
    api = _api(bucket.place)
    if api is not None:
        try:
            found, _ = bucket.attempt("", lambda: api.versions(path, ("", "")))
        except Refused:
            pass  # what these credentials may not do, or the server cannot: the object itself may be seen
        else:
            return any(each.path == path and not each.marker for each in found)
    try:
        bucket.size(MARK)
    except (Missing, Refused):
        return False
    raise BackupRefusal(
        f"{bucket.place.url} is append-only, and its versions cannot be listed.",
        "Let the credentials list the bucket's versions (s3:ListBucketVersions).",
    )


def make_kept(bucket: Bucket) -> None:
    """Make an empty location append-only. Raises BackupRefusal where the bucket keeps no versions."""
    api = _api(bucket.place)
    remedy = "Make a bucket with versions, best with object lock; see 'Append-only' in the operator's guide."
    if api is None:
        raise BackupRefusal("An append-only bucket needs credentials that are written down.", remedy)
    try:
        keeps = bucket.attempt("", api.versioning)
    except Unable as error:
        raise BackupRefusal(f"The server of {bucket.place.url} keeps no versions.", remedy) from error
    if not keeps:
        raise BackupRefusal(f"The bucket of {bucket.place.url} keeps no versions.", remedy)
    bucket.put(MARK, b"1\n")


def _api(place: Place) -> Api | None:
    return Api(place, place.credentials) if place.credentials is not None else None


class KeptBucket(Bucket):
    """Implements `location.Location`. keeper: who may remove versions for good, as far as none is locked."""

    append_only = True

    def __init__(self, beneath: Bucket, *, keeper: bool = False) -> None:
        """beneath: where `is_kept` has listed versions."""
        super().__init__(
            beneath.place, beneath.random, patience=beneath.patience, sleep=beneath.sleep, monotonic=beneath.monotonic
        )
        api = _api(self.place)
        assert api is not None, "is_kept has listed versions"
        self._api = api
        self.removes = keeper
        self._entries: dict[str, _Entry] = {}
        self._looked = False

    def put(self, name: str, data: bytes) -> None:
        if not self.removes and name.startswith(KEEPERS):
            raise self._refuse(name)
        super().put(name, data)

    def get(self, name: str, offset: int = 0, count: int | None = None) -> bytes:
        path = self.path_of(name)
        entry = self._known(name)
        if entry is None:  # written since
            try:
                return self._get(name, path, offset, count)
            except Missing:
                if (entry := self._look(name).get(name)) is None:
                    raise
        return self._get(name, path, offset, count, entry.first.id)

    def size(self, name: str) -> int:
        entry = self._known(name)
        if entry is not None:
            return entry.first.size
        try:
            return super().size(name)
        except Missing:
            if (entry := self._look(name).get(name)) is None:
                raise
            return entry.first.size

    def names(self, folder: str) -> Iterator[tuple[str, int]]:
        inside = f"{folder}/" if folder else ""
        found = self._look(inside)
        kept = {name: entry for name, entry in self._entries.items() if not name.startswith(inside)}
        self._entries = kept | found
        self._looked |= not folder
        yield from ((name, entry.first.size) for name, entry in found.items())

    def remove(self, name: str) -> None:
        """Each of its versions, for good. Raises AppendOnly where this is not the keeper, or one is locked."""
        if not self.removes:
            if self._known(name) is None and name not in self._look(name):
                return
            raise self._refuse(name)
        path = self.path_of(name)
        versions = [each for page in self._pages(path) for each in page if each.path == path]
        for version in versions:
            try:
                self.attempt(name, partial(self._api.remove_version, path, version.id))
            except Refused as error:
                raise AppendOnly(f"{name} is locked at {self.place.url}.", "It can be removed later.") from error
        self._entries.pop(name, None)

    def replace(self, name: str, data: bytes) -> None:
        self.remove(name)
        self.put(name, data)

    def arrived(self, name: str) -> float | None:
        entry = self._known(name)
        return None if entry is None else entry.first.at

    def disturbed(self) -> list[tuple[str, str]]:
        for _ in self.names(""):
            pass
        return sorted((name, f"{name} {entry.odd}.") for name, entry in self._entries.items() if entry.odd)

    def put_back(self, name: str) -> bool:
        data = self.get(name)
        self.attempt(name, lambda: self._put(self.path_of(name), data, "overwrite"))
        self._entries |= self._look(name)
        return True

    def lock(self, names: Sequence[str], until: datetime) -> int:
        """Let nobody remove these before that instant, and how many are locked longer now than they were. Two requests
        an object. Raises AppendOnly where the bucket locks nothing."""
        mode = self.attempt("", self._api.lock_mode)
        if not mode:
            raise AppendOnly(
                f"The bucket of {self.place.url} has no lock by default.", "Give it one, with your provider's tools."
            )

        def one(name: str) -> bool:
            entry = self._known(name)
            if entry is None:
                return False
            path, version = entry.first.path, entry.first.id
            now = self.attempt(name, lambda: self._api.locked_until(path, version))
            if now is not None and now >= until:
                return False
            self.attempt(name, lambda: self._api.lock(path, version, mode, until))
            return True

        self._looked = False
        self._known("")  # what was written since is looked for, once
        with ThreadPoolExecutor(LOCKING, thread_name_prefix="backup-lock") as pool:
            return sum(pool.map(one, names))

    def _refuse(self, name: str) -> LocationFailed:
        return AppendOnly(
            f"{self.place.url} keeps what it has: {name} is not this machine's to remove.",
            "Run 'restante backup prune --keeper' with credentials that may remove versions.",
        )

    def _known(self, name: str) -> _Entry | None:
        """What a listing of all, made once, knows of the object."""
        if not self._looked:
            for _ in self.names(""):
                pass
        return self._entries.get(name)

    def _look(self, start: str) -> dict[str, _Entry]:
        """Objects whose names begin so. Costs a request for each thousand versions."""
        own = f"{self.place.prefix}/" if self.place.prefix else ""
        latest: dict[str, Version] = {}
        first: dict[str, Version] = {}
        for page in self._pages(own + start):
            for each in page:  # of a name from the newest to the oldest
                if each.latest or each.path not in latest:
                    latest[each.path] = each
                if not each.marker and (each.path not in first or each.at <= first[each.path].at):
                    first[each.path] = each  # of one second, the one that is listed last
        found = {}
        for path, oldest in first.items():
            name, newest = path.removeprefix(own), latest[path]
            if not any(part.startswith(".") for part in name.split("/")):
                same = (newest.size, newest.etag) == (oldest.size, oldest.etag)
                found[name] = _Entry(oldest, HIDDEN if newest.marker else "" if same else OVER)
        return found

    def _pages(self, prefix: str) -> Iterator[list[Version]]:
        asked: set[tuple[str, str]] = set()

        def page(after: tuple[str, str]) -> tuple[list[Version], tuple[str, str] | None]:
            if after in asked:
                raise unlisted(self.place.url)
            asked.add(after)
            return self.attempt("", lambda: self._api.versions(prefix, after))

        return pages(page)
