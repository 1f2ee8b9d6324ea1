"""Responses about rights and quotas. RFC 4314 3.6 to 3.8; RFC 9208 4.2."""

from __future__ import annotations

from collections.abc import Iterable

from .names import encode_mailbox
from .response import astring


def acl_response(mailbox: str, entries: Iterable[tuple[str, str]], utf8: bool) -> bytes:
    """ACL: (identifier, rights) pairs."""
    shown = b"".join(b" %b %b" % (_text(who, utf8), _text(rights, utf8)) for who, rights in entries)
    return b"* ACL %b%b\r\n" % (encode_mailbox(mailbox, utf8), shown)


def listrights_response(mailbox: str, identifier: str, required: str, optional: Iterable[str], utf8: bool) -> bytes:
    """LISTRIGHTS: what the identifier always has, then sets of rights that it can be given."""
    shown = [_text(rights, utf8) for rights in (identifier, required, *optional)]
    return b"* LISTRIGHTS %b %b\r\n" % (encode_mailbox(mailbox, utf8), b" ".join(shown))


def myrights_response(mailbox: str, rights: str, utf8: bool) -> bytes:
    """MYRIGHTS: what the user has."""
    return b"* MYRIGHTS %b %b\r\n" % (encode_mailbox(mailbox, utf8), _text(rights, utf8))


def quota_response(root: str, resources: Iterable[tuple[str, int, int]], utf8: bool) -> bytes:
    """QUOTA: (resource, usage, limit) triplets; a resource that is not named is not limited."""
    shown = b" ".join(b"%b %d %d" % (name.encode("ascii"), usage, limit) for name, usage, limit in resources)
    return b"* QUOTA %b (%b)\r\n" % (_text(root, utf8), shown)


def quotaroot_response(mailbox: str, roots: Iterable[str], utf8: bool) -> bytes:
    """QUOTAROOT: the names of the mailbox's quota roots."""
    shown = b"".join(b" " + _text(root, utf8) for root in roots)
    return b"* QUOTAROOT %b%b\r\n" % (encode_mailbox(mailbox, utf8), shown)


def _text(text: str, utf8: bool) -> bytes:
    return astring(text.encode("utf-8"), utf8)
