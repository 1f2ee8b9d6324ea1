"""Mail in: the SMTP grammar and the LMTP session. `lmtp.LmtpSession` serves one connection."""

from .lmtp import LmtpSession

__all__ = ["LmtpSession"]
