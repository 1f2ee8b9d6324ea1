"""What people are told of a connection that was not made: the same words for IMAP, POP3 and submission."""

from __future__ import annotations

import errno
import os
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import ssl

EXPIRED, NOT_YET, HOST_NAME, ADDRESS = 10, 9, 62, 64
"""X509_V_ERR_CERT_HAS_EXPIRED and so on, as OpenSSL numbers them."""

_REMEDIES = {
    EXPIRED: "Whoever runs the server has to renew it. Is this machine's clock right?",
    NOT_YET: "Is this machine's clock right?",
    HOST_NAME: "Name the server as its certificate does.",
    ADDRESS: "Name the server as its certificate does.",
}
_NUMBER = re.compile(r"\[Errno (\d+)\]")


def untrusted(host: str, error: ssl.SSLCertVerificationError) -> tuple[str, str]:
    """A sentence, and what to do."""
    reason = error.verify_message.rstrip(".")
    remedy = _REMEDIES.get(error.verify_code, "If it is the right server, name its certificate: certificate = ...")
    return f"The certificate of {host} is not trusted: {reason}.", remedy


def unreachable(where: str, error: OSError) -> tuple[str, str]:
    """A sentence, and what to do."""
    number = error.errno
    if number is None and (found := _NUMBER.search(str(error))):
        number = int(found[1])  # asyncio: several addresses were tried, the first of which says enough
    # A resolver's numbers are below 0, and its words are right; asyncio's ("Connect call failed") tell less.
    reason = os.strerror(number) if number is not None and number > 0 else error.strerror or str(error)
    refused = number == errno.ECONNREFUSED
    remedy = "Is the port right, and the server running?" if refused else "Is there a network? Is the name right?"
    return f"{where} cannot be reached ({reason}).", remedy
