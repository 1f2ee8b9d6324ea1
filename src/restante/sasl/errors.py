"""Why an exchange ends without a proof: the one exception of the mechanisms, with a reason for the log."""

from __future__ import annotations

from enum import Enum


class Fault(Enum):
    """What went wrong. The values that RFC 5802 7 lists as server-error-value bear its names."""

    INVALID_ENCODING = "invalid-encoding"
    EXTENSION = "extensions-not-supported"
    INVALID_PROOF = "invalid-proof"
    BINDING_MISMATCH = "channel-bindings-dont-match"
    DOWNGRADE = "server-does-support-channel-binding"
    BINDING_NOT_HERE = "channel-binding-not-supported"
    BINDING_TYPE = "unsupported-channel-binding-type"
    BINDING_MISSING = "channel-binding-missing"
    NONCE = "nonce-mismatch"
    TOO_LONG = "too-long"
    OUT_OF_TURN = "out-of-turn"
    WEAK = "too-few-or-too-many-iterations"
    SERVER_REFUSED = "server-refused"
    SERVER_FALSE = "server-signature-wrong"


class SaslFault(Exception):
    """The peer's message breaks the mechanism, or proves nothing. Ends the exchange."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.value)
        self.fault = fault
