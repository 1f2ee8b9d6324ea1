"""POP3 (RFC 1939 and its extensions): `session.Pop3Session` serves one connection."""

from .logins import LoginTimes
from .session import Pop3Session

__all__ = ["LoginTimes", "Pop3Session"]
