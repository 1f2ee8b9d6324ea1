"""SCRAM-SHA-256 and -PLUS, the client's side of one exchange, for what speaks to other servers.

    START --first()--> CHALLENGE --server-first--> SERVER_FINAL --server-final--> DONE

Only DONE means that the server knows the password too. Must not know: sockets, accounts.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from enum import Enum

from .errors import Fault, SaslFault
from .saslprep import prepare_password
from .scram import (
    BINDING_TYPE,
    Binding,
    decode64,
    decode_message,
    digest,
    encode64,
    escape_name,
    salted_password,
    xor,
)

LEAST_ITERATIONS = 4096
MOST_ITERATIONS = 1_000_000
"""RFC 7677 4 wants 4096 or more; a server that asks for a million and more wants our processor."""

_SERVER_FIRST = re.compile(r"r=([^,]*),s=([^,]*),i=([1-9][0-9]{0,9})(?:,[A-Za-z]=[^,]*)*")
_SERVER_FINAL = re.compile(r"(?:v|(e))=([^,]*)(?:,[A-Za-z]=[^,]*)*")


class State(Enum):
    START = "start"
    CHALLENGE = "awaits server-first"
    SERVER_FINAL = "awaits server-final"
    DONE = "done"
    FAILED = "failed"


class ScramClient:
    """One exchange. nonce: unpredictable, printable ASCII without ",". binding: flag for the gs2-header;
    binding_data: tls-server-end-point octets where it is Binding.USED (-PLUS)."""

    def __init__(
        self,
        user: str,
        password: str,
        nonce: str,
        *,
        binding: Binding = Binding.NONE,
        binding_data: bytes = b"",
        authzid: str = "",
    ) -> None:
        self.state = State.START
        self._password = prepare_password(password.encode("utf-8"))
        self._nonce = nonce
        flag = f"p={BINDING_TYPE}" if binding is Binding.USED else binding.value
        self._header = f"{flag},{'a=' + escape_name(authzid) if authzid else ''},".encode()
        self._binding_data = binding_data if binding is Binding.USED else b""
        self._bare = f"n={escape_name(user)},r={nonce}".encode()
        self._signature = b""

    def first(self) -> bytes:
        """client-first."""
        self._turn(State.START)
        self.state = State.CHALLENGE
        return self._header + self._bare

    def final(self, server_first: bytes) -> bytes:
        """client-final. Costs the iterations that the server asks for. Raises SaslFault."""
        self._turn(State.CHALLENGE)
        found = _SERVER_FIRST.fullmatch(decode_message(server_first))
        if found is None:
            raise SaslFault(Fault.INVALID_ENCODING)
        nonce, salt, iterations = found[1], decode64(found[2]), int(found[3])
        if not nonce.startswith(self._nonce) or nonce == self._nonce:
            raise SaslFault(Fault.NONCE)
        if not LEAST_ITERATIONS <= iterations <= MOST_ITERATIONS:
            raise SaslFault(Fault.WEAK)
        unproved = f"c={encode64(self._header + self._binding_data)},r={nonce}".encode()
        auth_message = b",".join((self._bare, server_first, unproved))
        salted = salted_password(self._password, salt, iterations)
        client_key = digest(salted, b"Client Key")
        proof = xor(client_key, digest(hashlib.sha256(client_key).digest(), auth_message))
        self._signature = digest(digest(salted, b"Server Key"), auth_message)
        self.state = State.SERVER_FINAL
        return unproved + b",p=" + encode64(proof).encode("ascii")

    def verify(self, server_final: bytes) -> None:
        """Check that the server knows the password. Raises SaslFault."""
        self._turn(State.SERVER_FINAL)
        found = _SERVER_FINAL.fullmatch(decode_message(server_final))
        if found is None:
            raise SaslFault(Fault.INVALID_ENCODING)
        if found[1]:
            raise SaslFault(Fault.SERVER_REFUSED)
        if not hmac.compare_digest(decode64(found[2]), self._signature):
            raise SaslFault(Fault.SERVER_FALSE)
        self.state = State.DONE

    def _turn(self, state: State) -> None:
        """Go on only from `state`; until the step has succeeded the exchange counts as failed."""
        there, self.state = self.state, State.FAILED
        if there is not state:
            raise SaslFault(Fault.OUT_OF_TURN)
