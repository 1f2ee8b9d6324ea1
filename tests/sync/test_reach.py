"""What people are told of a connection that was not made."""

from __future__ import annotations

import errno
import socket
import ssl

import pytest

from restante.sync.reach import unreachable, untrusted

HOSTS = "Is the port right, and the server running?"
NETWORK = "Is there a network? Is the name right?"


@pytest.mark.parametrize(
    ("error", "reason", "remedy"),
    [
        (OSError(errno.ECONNREFUSED, "Connect call failed ('127.0.0.1', 1)"), "Connection refused", HOSTS),
        (OSError("Multiple exceptions: [Errno 111] Connect call failed ('::1', 1)"), "Connection refused", HOSTS),
        (OSError(errno.ENETUNREACH, "Connect call failed ('192.0.2.1', 1)"), "Network is unreachable", NETWORK),
        (socket.gaierror(-2, "Name or service not known"), "Name or service not known", NETWORK),
        (OSError("something else"), "something else", NETWORK),
    ],
)
def test_a_server_that_cannot_be_reached(error: OSError, reason: str, remedy: str) -> None:
    assert unreachable("a.example:1", error) == (f"a.example:1 cannot be reached ({reason}).", remedy)


@pytest.mark.parametrize(
    ("code", "message", "remedy"),
    [
        (10, "certificate has expired", "clock"),
        (64, "IP address mismatch, certificate is not valid for '127.0.0.1'.", "as its certificate does"),
        (18, "self-signed certificate", "certificate = ..."),
    ],
)
def test_a_certificate_that_is_not_trusted(code: int, message: str, remedy: str) -> None:
    error = ssl.SSLCertVerificationError()
    error.verify_code, error.verify_message = code, message
    said, hint = untrusted("a.example", error)
    assert said == f"The certificate of a.example is not trusted: {message.rstrip('.')}."
    assert remedy in hint
