"""A connection that was opened to look whether anything has changed (`unchanged`), for the run that follows because
something has: it need not connect and log in once more."""

from __future__ import annotations

import os

TYPE_CHECKING = False  # see `cli.entry`
if TYPE_CHECKING:
    import zlib

    from .unchanged.secured import Secured


class Handed:
    """Logged in, nothing under way. handle: of the socket. tls: what is between socket and octets. out, into: COMPRESS.
    lines: greeting, capabilities after the login and what was enabled, as the server said them. entered: the mechanism
    of the login and what the server had offered until then; enabling: what was enabled, as commands: a run that goes on
    and finds nothing to do writes down what one that begins anew would ask."""

    __slots__ = ("enabling", "entered", "handle", "into", "lines", "out", "tls", "whom")

    def __init__(
        self,
        handle: int,
        tls: Secured | None,
        out: zlib._Compress | None,
        into: zlib._Decompress | None,
        lines: bytes,
    ) -> None:
        self.handle = handle
        self.tls = tls
        self.out = out
        self.into = into
        self.lines = lines
        self.entered: tuple[str, frozenset[str]] | None = None
        self.enabling: tuple[bytes, ...] = ()
        self.whom: Whom = ("", 0, False, None, "")

    def close(self) -> None:
        """Where nobody goes on with it."""
        os.close(self.handle)


Whom = tuple[str, int, bool, str | None, str]
"""(host, port, whether TLS stands, file of certificates that are trusted, user)."""

_kept: dict[str, Handed] = {}
"""By copy."""


def keep(name: str, handed: Handed, whom: Whom) -> None:
    """For the run of this copy that follows."""
    handed.whom = whom
    _kept[name] = handed


def take(name: str, whom: Whom) -> Handed | None:
    """The copy's, where it leads to the same account in the same way; it is the caller's from then on."""
    handed = _kept.pop(name, None)
    if handed is not None and handed.whom != whom:
        handed.close()
        return None
    return handed


def let_go() -> None:
    """Close what nobody took."""
    while _kept:
        _kept.popitem()[1].close()
