"""A web page that speaks to us: any page may have its reader's browser POST to a port of this machine.

What the page wants said stands in the body, and a server that passes over the HTTP header line by line, as unknown
commands, does it then: LMTP files mail, an account whose password is known is emptied. The browser decides what comes
first on a connection, so that is looked at, once, and no more of it is read.
"""

from __future__ import annotations

import re

_REQUEST = re.compile(rb"(?:GET|HEAD|POST|PUT|PATCH|DELETE|OPTIONS|TRACE) (?:/|\*|https?:)")


def is_http_request(first: bytes) -> bool:
    """Whether a connection begins as a request of HTTP does (RFC 9112 3). Pure; constant cost.

    first: the first octets from the peer. No command of ours begins so: these words are none in POP3 and LMTP, and
    behind an IMAP tag, which they may be, no command begins with "/" or "*" or has ":" in it.
    """
    return _REQUEST.match(first) is not None
