"""Commands about who may do what, and how much: ACL and QUOTA.

RFC 4314 7; RFC 9208 7.
"""

from __future__ import annotations

from . import commands as c
from .tokens import INT64, Cursor

_RESOURCES = 20
"""Resources of one SETQUOTA."""
_IDENTIFIER = 1_000
"""Octets of an identifier or a quota root's name."""
_RIGHTS = 100


def parse_setacl(cursor: Cursor, tag: bytes) -> c.Command:
    """setacl = "SETACL" SP mailbox SP identifier SP mod-rights

    mod-rights = astring ;; +rights to add, -rights to remove, rights to replace
    """
    cursor.sp()
    mailbox = cursor.mailbox()
    cursor.sp()
    identifier = _text(cursor, _IDENTIFIER)
    cursor.sp()
    rights = _text(cursor, _RIGHTS)
    mode = c.AclMode.REPLACE
    if rights[:1] in ("+", "-"):
        mode = c.AclMode.ADD if rights[0] == "+" else c.AclMode.REMOVE
        rights = rights[1:]
    return c.SetAcl(tag, mailbox, identifier, mode, rights)


def parse_deleteacl(cursor: Cursor, tag: bytes) -> c.Command:
    """deleteacl = "DELETEACL" SP mailbox SP identifier"""
    cursor.sp()
    mailbox = cursor.mailbox()
    cursor.sp()
    return c.DeleteAcl(tag, mailbox, _text(cursor, _IDENTIFIER))


def parse_listrights(cursor: Cursor, tag: bytes) -> c.Command:
    """listrights = "LISTRIGHTS" SP mailbox SP identifier"""
    cursor.sp()
    mailbox = cursor.mailbox()
    cursor.sp()
    return c.ListRights(tag, mailbox, _text(cursor, _IDENTIFIER))


def parse_getquota(cursor: Cursor, tag: bytes) -> c.Command:
    """getquota = "GETQUOTA" SP quota-root-name; quota-root-name = astring"""
    cursor.sp()
    return c.GetQuota(tag, _text(cursor, _IDENTIFIER))


def parse_setquota(cursor: Cursor, tag: bytes) -> c.Command:
    """setquota = "SETQUOTA" SP quota-root-name SP setquota-list

    setquota-list = "(" [setquota-resource *(SP setquota-resource)] ")"; setquota-resource = resource-name SP
    resource-limit; resource-limit = number64
    """
    cursor.sp()
    root = _text(cursor, _IDENTIFIER)
    cursor.sp()
    cursor.expect(b"(")
    limits: list[tuple[str, int]] = []
    if cursor.skip(b")"):
        return c.SetQuota(tag, root, ())
    while True:
        name = cursor.keyword().decode("ascii")
        cursor.sp()
        limits.append((name, cursor.number(INT64)))
        if len(limits) > _RESOURCES or len({one for one, _ in limits}) < len(limits):
            raise cursor.bad("Too many resources, or one twice")
        if cursor.skip(b")"):
            return c.SetQuota(tag, root, tuple(limits))
        cursor.sp()


def _text(cursor: Cursor, most: int) -> str:
    """astring as UTF-8 text of at most `most` octets (RFC 4314 2: identifiers are UTF-8)."""
    raw = cursor.astring()
    if len(raw) > most:
        raise cursor.bad("That is too long")
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise cursor.bad("That is not valid UTF-8") from error
