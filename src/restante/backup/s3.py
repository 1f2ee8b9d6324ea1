"""A repository in an S3-compatible bucket: an object of ours is an object there, put whole in one request.

A request that fails without an answer may have been done or not. Each is such that doing it twice is doing it once:
names are made of their octets, and what is put is put only where nothing is (`If-None-Match: *`, or a look before where
the server cannot do that). So all are tried again, with growing pauses, until `PATIENCE` is over.

Relies on what S3 promises since 2020 and every server that we know of keeps: what was put is seen by every later
request, listings included. `prune` bears a listing that is late by a day: it removes nothing that was needed less than
three days ago, and runs end within two.

obstore (Rust) makes the requests and is imported when a bucket is first used.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Literal, TypeVar

from ..clock import Random
from .errors import BackupRefusal, LocationFailed, Missing
from .location import Location, checked
from .s3_api import ApiFailed
from .s3_errors import Answer
from .s3_settings import Place

if TYPE_CHECKING:
    from obstore import GetOptions
    from obstore.store import S3Config, S3Store

T = TypeVar("T")

PATIENCE = 300.0
"""Seconds after which a request that keeps failing is given up."""
FIRST_PATIENCE = 15.0
"""The same before anything was answered: a wrong address should be told soon."""
PAUSES = (0.1, 15.0)
"""Seconds before the second try, doubled for each further one, and at most. Chance takes up to half away, so that
several machines do not come back all at once."""
AT_ONCE = 4
"""Uploads that a run makes at once: on a line with 100 ms a round trip, one after the other would fill a tenth of it.
Each holds a pack (16 MiB) and its copies."""
CONNECT = 10.0
QUIET = 60.0
"""Seconds without an octet after which a connection is given up."""
SLOWEST = 10_000
"""Octets a second: with this, and a minute on top, the longest time of a request is reckoned."""
CLASSES = (1 << 20, 8 << 20, 24 << 20, 128 << 20, 1 << 30)
"""Sizes up to which requests have one time limit."""
LISTED = 1000
MARKS = (".append-only",)
"""Objects that say something of the location itself."""


class Bucket(Location):
    """Implements `location.Location`. patience: seconds, as above. sleep, monotonic: replaced by tests."""

    at_once = AT_ONCE

    def __init__(
        self,
        place: Place,
        random: Random,
        *,
        patience: float = PATIENCE,
        sleep: Callable[[float], None] = time.sleep,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        try:
            import obstore
            import obstore.exceptions
        except ImportError as error:
            raise BackupRefusal(
                f"{place.url} needs the library obstore, which is not installed.", "Run: pip install 'restante[s3]'"
            ) from error
        self.place = place
        self._obstore = obstore
        self._exceptions = obstore.exceptions
        self._stores: dict[tuple[int, bool], S3Store] = {}
        self.random = random
        self.patience = patience
        self.sleep = sleep
        self.monotonic = monotonic
        self._conditional = True
        self._answered = False

    def put(self, name: str, data: bytes) -> None:
        path = self.path_of(name)
        if self._conditional:
            try:
                self.attempt(name, lambda: self._put(path, data, "create"))
            except Unable:
                self._conditional = False
            else:
                return
        try:
            self.size(name)
        except Missing:
            self.attempt(name, lambda: self._put(path, data, "overwrite"))

    def _put(self, path: str, data: bytes, mode: Literal["create", "overwrite"]) -> None:
        exceptions = self._exceptions
        try:
            self._obstore.put(self._store(len(data), up=True), path, data, mode=mode, use_multipart=False)
        except (exceptions.AlreadyExistsError, exceptions.PreconditionError, exceptions.NotModifiedError):
            return  # another process was first, or an answer of ours was lost: the same octets

    def get(self, name: str, offset: int = 0, count: int | None = None) -> bytes:
        return self._get(name, self.path_of(name), offset, count)

    def _get(self, name: str, path: str, offset: int, count: int | None, version: str | None = None) -> bytes:
        if count == 0:
            return b""
        options: GetOptions = {}
        if count is not None:
            options["range"] = (offset, offset + count)
        elif offset:
            options["range"] = {"offset": offset}
        if version is not None:
            options["version"] = version

        def read() -> bytes:
            found = self._obstore.get(self._store(CLASSES[-1] if count is None else count), path, options=options)
            expected = max(0, found.meta["size"] - offset)
            if count is not None:
                expected = min(expected, count)
            data: bytes = found.bytes().to_bytes()
            if len(data) != expected:
                raise _Short(f"{len(data)} octets came of {expected}")
            return data

        try:
            return self.attempt(name, read)
        except _OutOfRange:
            return b""

    def size(self, name: str) -> int:
        path = self.path_of(name)
        return self.attempt(name, lambda: int(self._obstore.head(self._store(), path)["size"]))

    def names(self, folder: str) -> Iterator[tuple[str, int]]:
        prefix = self.path_of(folder) if folder else self.place.prefix
        own = f"{self.place.prefix}/" if self.place.prefix else ""
        last: str | None = None
        while True:
            page = self.attempt("", partial(self._page, prefix, last))
            if last is not None and page and page[0][0] <= last:
                raise unlisted(self.place.url)
            for path, size in page:
                last = path
                name = path.removeprefix(own)
                if not any(part.startswith(".") for part in name.split("/")):
                    yield name, size
            if len(page) < LISTED:
                return

    def _page(self, prefix: str, after: str | None) -> list[tuple[str, int]]:
        """Up to `LISTED` objects whose names come after one: asked for anew, so that a listing that is cut off goes
        on where it was."""
        stream = self._obstore.list(self._store(), prefix or None, offset=after, chunk_size=LISTED)
        return [(each["path"], each["size"]) for each in next(iter(stream), [])]

    def remove(self, name: str) -> None:
        path = self.path_of(name)
        try:
            self.attempt(name, lambda: self._obstore.delete(self._store(), path))
        except Missing:
            return

    def replace(self, name: str, data: bytes) -> None:
        # In one request: a removal of which nobody heard, done late, would take what is put after it.
        self.attempt(name, lambda: self._put(self.path_of(name), data, "overwrite"))

    def tidy(self, age: float) -> int:
        """Nothing to do: a request that was cut off leaves nothing."""
        return 0

    # Requests --------------------------------------------------------------------------------------

    def path_of(self, name: str) -> str:
        """The path in the bucket of an object, or of a mark, whose name begins with a dot."""
        name = name if name in MARKS else checked(name)
        return f"{self.place.prefix}/{name}" if self.place.prefix else name

    def _store(self, octets: int = 0, *, up: bool = False) -> S3Store:
        """What makes requests that carry so many octets: its time limits are theirs."""
        key = next((each for each in CLASSES if octets <= each), CLASSES[-1]), up
        if key not in self._stores:
            limit = 60 + key[0] / SLOWEST
            self._stores[key] = self._make(limit, limit if up else QUIET)
        return self._stores[key]

    def _make(self, limit: float, quiet: float) -> S3Store:
        """quiet: seconds until the first octet of an answer, so that of an upload it has to bear all of it."""
        from obstore.store import S3Store

        place, given = self.place, self.place.credentials
        config: S3Config = {}
        if given is not None:
            config["access_key_id"], config["secret_access_key"] = given.id, given.secret
            if given.token:
                config["session_token"] = given.token
        if place.endpoint:
            config["aws_endpoint_url_s3"] = place.endpoint  # the name that goes before all others
        return S3Store(
            place.bucket,
            config=config,
            region=place.region,
            virtual_hosted_style_request=place.virtual,
            checksum_algorithm="SHA256",  # which a bucket with object lock asks for
            disable_bulk_delete=True,  # not every server has it, and one object goes at a time
            client_options={
                "allow_http": place.plain_http,
                "connect_timeout": timedelta(seconds=CONNECT),
                "read_timeout": timedelta(seconds=quiet),
                "timeout": timedelta(seconds=limit),
            },
            retry_config={"max_retries": 0, "retry_timeout": timedelta(seconds=CONNECT)},  # ours are enough
        )

    def attempt(self, name: str, act: Callable[[], T]) -> T:
        """What the request gives, tried again while that may help. Raises Missing, LocationFailed."""
        begun, pause = self.monotonic(), PAUSES[0]
        cause: Exception
        while True:
            try:
                result = act()
                self._answered = True
                return result
            except FileNotFoundError as error:  # obstore's NotFoundError is one
                answer = Answer.of(str(error))
                self._answered = True
                if answer.code != "NoSuchBucket":
                    raise Missing(
                        f"{name} is not at the backup's location.", "Run 'restante backup verify --all'.", name=name
                    ) from error
                raise answer.refusal(self.place.url, name, Refused) from error
            except _Short as error:
                answer, cause = Answer(0, "", str(error)), error
            except (NotImplementedError, self._exceptions.NotSupportedError) as error:
                raise Unable(f"{self.place.url} is set up to do without what is asked of it.") from error
            except (self._exceptions.BaseError, ApiFailed) as error:
                answer, cause = Answer.of(str(error)), error
            self._answered |= answer.status not in (0, 502, 503, 504)
            if answer.out_of_range:
                raise _OutOfRange(f"{name} ends before.") from cause
            if answer.unable:
                raise Unable(f"{self.place.url} cannot do what is asked of it.") from cause
            patience = self.patience if self._answered else min(self.patience, FIRST_PATIENCE)
            if not answer.passing or self.monotonic() - begun + pause > patience:
                kind = LocationFailed if answer.passing else Refused
                raise answer.refusal(self.place.url, name, kind) from cause
            self.sleep(pause * (1 - self.random(1)[0] / 510))
            pause = min(PAUSES[1], pause * 2)


def unlisted(url: str) -> LocationFailed:
    """Why a listing is not gone on with: what comes next came before, and would go on coming."""
    return Refused(
        f"The server of {url} does not list more than the first objects.",
        "It must know start-after, and markers of versions: ask whoever runs it.",
    )


class _Short(Exception):
    """Fewer octets came than the answer said."""


class _OutOfRange(LocationFailed):
    """A range begins where the object has ended."""


class Refused(LocationFailed):
    """The server answers that it will not do it, and will not tomorrow."""

    temporary = False


class Unable(Refused):
    """The server does not know a kind of request."""
