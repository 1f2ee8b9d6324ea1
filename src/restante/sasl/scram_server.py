"""SCRAM-SHA-256 and SCRAM-SHA-256-PLUS, the server's side of one exchange.

    FIRST --client-first--> ACCOUNT --salt, iterations--> FINAL --client-final--> PROVED
      any message that breaks the rules or proves nothing: FAILED, for good

Between FIRST and FINAL the caller looks the name up; for a name that is not there it takes `false_salt` and no
verifiers, and the exchange goes on to the same end as with a wrong password. An account may have several
verifiers over one salt (its password, its app passwords): each is tried against the proof.

Channel bindings (RFC 5802 6): -PLUS insists on the binding of this very connection; without -PLUS the client
may not claim one, and "y" (it would have, had we offered) is refused where we did offer: somebody took the
offer out. Must not know: accounts, protocols.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence
from enum import Enum

from .errors import Fault, SaslFault
from .scram import (
    BINDING_TYPE,
    Binding,
    ClientFirst,
    Verifier,
    digest,
    encode64,
    parse_client_final,
    parse_client_first,
    xor,
)


class State(Enum):
    FIRST = "awaits client-first"
    ACCOUNT = "awaits the account's salt"
    FINAL = "awaits client-final"
    PROVED = "proved"
    FAILED = "failed"


class ScramServer:
    """One exchange.

    plus: the mechanism is -PLUS. binding: tls-server-end-point data of the connection, None without TLS; with
    it, -PLUS is taken to have been offered. nonce: our part, printable ASCII without ",", unpredictable.
    """

    def __init__(self, *, plus: bool, binding: bytes | None, nonce: str) -> None:
        self.state = State.FIRST
        self._plus = plus
        self._binding = binding
        self._nonce = nonce
        self._expected_binding = b""
        self._transcript = b""

    def first(self, message: bytes) -> ClientFirst:
        """Take client-first. Raises SaslFault."""
        self._turn(State.FIRST)
        first = parse_client_first(message)
        self._check_binding(first)
        self._expected_binding = first.header + (self._binding or b"" if self._plus else b"")
        self._transcript = first.bare
        self._nonce = first.nonce + self._nonce
        self.state = State.ACCOUNT
        return first

    def _check_binding(self, first: ClientFirst) -> None:
        if self._plus:
            if self._binding is None:
                raise SaslFault(Fault.BINDING_NOT_HERE)
            if first.binding is not Binding.USED:
                raise SaslFault(Fault.BINDING_MISSING)
            if first.binding_type != BINDING_TYPE:
                raise SaslFault(Fault.BINDING_TYPE)
        elif first.binding is Binding.USED:
            raise SaslFault(Fault.BINDING_NOT_HERE)
        elif first.binding is Binding.UNOFFERED and self._binding is not None:
            raise SaslFault(Fault.DOWNGRADE)

    def challenge(self, salt: bytes, iterations: int) -> bytes:
        """server-first, once the account's (or a false) salt is known."""
        self._turn(State.ACCOUNT)
        message = f"r={self._nonce},s={encode64(salt)},i={iterations}".encode("ascii")
        self._transcript += b"," + message
        self.state = State.FINAL
        return message

    def final(self, message: bytes, verifiers: Sequence[Verifier]) -> tuple[int, bytes]:
        """Take client-final. Gives the index of the verifier that the proof fits, and server-final.

        Raises SaslFault; INVALID_PROOF too where there are no verifiers.
        """
        self._turn(State.FINAL)
        final = parse_client_final(message)
        if not hmac.compare_digest(final.nonce.encode("utf-8"), self._nonce.encode("ascii")):
            raise SaslFault(Fault.NONCE)
        if not hmac.compare_digest(final.binding, self._expected_binding):
            raise SaslFault(Fault.BINDING_MISMATCH)
        auth_message = self._transcript + b"," + final.unproved
        for index, verifier in enumerate(verifiers):
            client_key = xor(final.proof, digest(verifier.stored_key, auth_message))
            if hmac.compare_digest(hashlib.sha256(client_key).digest(), verifier.stored_key):
                self.state = State.PROVED
                return index, b"v=" + encode64(digest(verifier.server_key, auth_message)).encode("ascii")
        raise SaslFault(Fault.INVALID_PROOF)

    def _turn(self, state: State) -> None:
        """Go on only from `state`; until the step has succeeded the exchange counts as failed."""
        there, self.state = self.state, State.FAILED
        if there is not state:
            raise SaslFault(Fault.OUT_OF_TURN)


def false_salt(secret: bytes, folded_name: str, size: int) -> bytes:
    """The salt that a name without verifiers always gets: stable, so that asking twice tells nothing.

    secret: the installation's. size: of real salts, at most 32 octets. RFC 5802 gives no rule; 9 the reason.
    """
    return digest(secret, b"salt\0" + folded_name.encode("utf-8", "surrogatepass"))[:size]
