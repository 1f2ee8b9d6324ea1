"""A web page that speaks to us: any page may have its reader's browser POST to a port of this machine.

What the page wants said stands in the body, and a server that passes over the HTTP header line by line, as unknown
commands, does it then: LMTP files mail, an account whose password is known is emptied. The browser decides what comes
first on a connection, so that is looked at, once, and no more of it is read. A page that its own server's name leads to
this machine for (DNS rebinding) chooses the method, too, any word of any length.
"""

from __future__ import annotations

import re

_WORD = rb"[!#$%&'*+.^_`|~0-9A-Za-z-]"
"""What a method is made of (RFC 9110 9.1, token)."""

_REQUEST = re.compile(
    rb"(?i:(?:USER|PASS|APOP) /(?:[^\r\n]{0,300} HTTP/|[^\r\n]{300})"  # what is meant by them may begin so
    rb"|(?!(?:USER|PASS|APOP) )%b* (?:/|\*|https?:))" % _WORD
)
_WORD_ALONE = re.compile(rb"%b+\Z" % _WORD)


def is_http_request(first: bytes) -> bool:
    """Whether a connection begins as a request of HTTP does (RFC 9112 3). Pure; cost: a pass over its first word.

    first: the first octets from the peer, or those behind a word that came before them alone. No command of ours begins
    so: none of POP3 and LMTP, but for names and passwords, has such an argument, and behind an IMAP tag, which a method
    may be, none begins with "/" or "*" or has ":" in it.
    """
    return _REQUEST.match(first) is not None


def may_become_one(first: bytes) -> bool:
    """Whether that is seen only by what comes next: a method may be longer than what is read at once."""
    return _WORD_ALONE.match(first) is not None
