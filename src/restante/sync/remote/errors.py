"""What can go wrong with a server, and how a status response becomes one of these."""

from __future__ import annotations

import re

from ...imap.grammar.answers import Status
from ..side import MailboxUnavailable, SideLost, SideUnavailable


class Lost(SideLost):
    """The connection ended, or the peer is silent or says what nobody understands."""


class LoginRefused(SideUnavailable):
    """Name or secret are wrong, or there is no way to log in that we know and the server allows."""

    code = "LOGIN-REFUSED"
    temporary = False


class CredentialsRefused(LoginRefused):
    """The server has seen name and secret, and does not take them: to be tried again is what gets people locked out."""


class CertificateRefused(SideUnavailable):
    """The server's certificate is not one that is believed."""

    code = "CERTIFICATE-REFUSED"
    temporary = False


class Busy(SideUnavailable):
    """The server says that it cannot now. after: seconds it asks us to wait, or None."""

    code = "SERVER-BUSY"

    def __init__(self, text: str, remedy: str = "", after: float | None = None) -> None:
        super().__init__(text, remedy)
        self.after = after


_BUSY = frozenset({b"UNAVAILABLE", b"INUSE", b"THROTTLED", b"LIMIT"})
_THROTTLED = re.compile(rb"throttl|try again later|too many|temporar", re.IGNORECASE)
_BACKOFF = re.compile(rb"backoff time: *([0-9]{1,9}) *milliseconds", re.IGNORECASE)


def said(status: Status) -> str:
    """What the server said, safe to show: one line of printable text, not too long."""
    text = "".join(char if char.isprintable() else "?" for char in status.text.decode("utf-8", "replace"))
    return text[:200] or status.word.decode("ascii")


def is_busy(status: Status) -> bool:
    """The same command may succeed later (RFC 5530 3, and what large providers say in words of their own)."""
    if status.ok:
        return False
    return status.code in _BUSY or (not status.code and _THROTTLED.search(status.text) is not None)


def busy(status: Status) -> Busy:
    found = _BACKOFF.search(status.text)
    after = int(found[1]) / 1000 if found else None
    return Busy(f"The server is busy: {said(status)}", "Try again later.", after)


def check(status: Status, name: str | None = None) -> None:
    """Raises Busy, or MailboxUnavailable where a mailbox is concerned, else SideUnavailable; not where all is well."""
    if status.ok:
        return
    if is_busy(status):
        raise busy(status)
    if name is not None:
        raise MailboxUnavailable(f"The server refuses {name}: {said(status)}")
    raise SideUnavailable(f"The server refuses: {said(status)}")
