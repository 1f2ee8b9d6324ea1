"""One attempt to log in: who is claimed, from where, and what the log is told of it.

Owns: reading a peer's user name safely. A name is UTF-8 and an address; anything else is a name that nobody has
and goes the same way as an unknown one. Must not know: secrets, of which it never holds any.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from ..store.directory import fold_address
from .address import BadAddress, normalise_address
from .login import Peer
from .throttle import Pair, network_of

MOST_SHOWN = 100


@dataclass(frozen=True, slots=True)
class Attempt:
    """address: normalised, "" where the name is none. shown: the name for the log, printable and short.

    for_itself: it asks to act as itself, not as another (see `acting_as`).
    """

    address: str
    shown: str
    mechanism: str
    peer: Peer
    for_itself: bool = True

    @property
    def folded(self) -> str:
        return fold_address(self.address or self.shown)

    @property
    def pair(self) -> Pair:
        return network_of(self.peer.address), self.folded

    def fields(self, **more: object) -> dict[str, object]:
        """What a log line of this attempt has."""
        return {
            "account": self.shown,
            "address": self.peer.address,
            "protocol": self.peer.protocol,
            "mechanism": self.mechanism,
            **more,
        }


def attempt(user: bytes, mechanism: str, peer: Peer) -> Attempt:
    """The attempt of a peer that calls itself `user`. Cost is linear in the name, which is cut for the log."""
    try:
        address = normalise_address(user.decode("utf-8")).address
    except (UnicodeDecodeError, BadAddress):
        text = user[:MOST_SHOWN].decode("utf-8", "backslashreplace")
        shown = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)
        return Attempt("", shown[:MOST_SHOWN], mechanism, peer)
    return Attempt(address, address, mechanism, peer)


def acting_as(authzid: str, claim: Attempt) -> Attempt:
    """The attempt with its SASL authorisation identity, which is empty or the user's own (RFC 4616 2): nobody acts
    for another. That is told once the secret has proved right."""
    return claim if _is_own(authzid, claim) else replace(claim, for_itself=False)


def _is_own(authzid: str, claim: Attempt) -> bool:
    if not authzid:
        return True
    try:
        return fold_address(normalise_address(authzid).address) == claim.folded
    except BadAddress:
        return False
