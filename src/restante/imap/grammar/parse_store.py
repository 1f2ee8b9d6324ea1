"""Commands that change or file messages: STORE, COPY, MOVE, UID EXPUNGE.

RFC 9051 6.4.6 to 6.4.9, RFC 7162 3.1.3, RFC 6851, RFC 4315.
"""

from __future__ import annotations

from . import commands as c
from .tokens import INT64, Cursor

_MODES = {mode.value.encode("ascii"): mode for mode in c.StoreMode}


def parse_store(cursor: Cursor, tag: bytes, uid: bool = False) -> c.Command:
    """store = "STORE" SP sequence-set [store-modifiers] SP store-att-flags

    store-modifiers = SP "(" "UNCHANGEDSINCE" SP mod-sequence-valzer ")";
    store-att-flags = (["+" / "-"] "FLAGS" [".SILENT"]) SP (flag-list / (flag *(SP flag)))
    """
    cursor.sp()
    sequence = cursor.sequence_set(uid)
    cursor.sp()
    unchanged_since: int | None = None
    if cursor.skip(b"("):
        if cursor.keyword() != b"UNCHANGEDSINCE":
            raise cursor.bad("Unknown STORE modifier")
        cursor.sp()
        unchanged_since = cursor.number(INT64)
        cursor.expect(b")")
        cursor.sp()
    word = cursor.keyword()
    silent = word.endswith(b".SILENT")
    mode = _MODES.get(word.removesuffix(b".SILENT"))
    if mode is None:
        raise cursor.bad("Expected FLAGS, +FLAGS or -FLAGS")
    cursor.sp()
    if cursor.at(b"("):
        flags = cursor.flag_list()
    else:
        bare = [cursor.flag()]
        while cursor.skip(b" "):
            bare.append(cursor.flag())
        flags = tuple(bare)
    return c.Store(tag, sequence, mode, silent, flags, uid, unchanged_since)


def parse_copy(cursor: Cursor, tag: bytes, uid: bool = False) -> c.Command:
    """copy = "COPY" SP sequence-set SP mailbox"""
    cursor.sp()
    sequence = cursor.sequence_set(uid)
    cursor.sp()
    return c.Copy(tag, sequence, cursor.mailbox(), uid)


def parse_move(cursor: Cursor, tag: bytes, uid: bool = False) -> c.Command:
    """move = "MOVE" SP sequence-set SP mailbox (RFC 6851 5)"""
    cursor.sp()
    sequence = cursor.sequence_set(uid)
    cursor.sp()
    return c.Move(tag, sequence, cursor.mailbox(), uid)


def parse_uid_expunge(cursor: Cursor, tag: bytes) -> c.Command:
    """uid-expunge = "EXPUNGE" SP sequence-set (RFC 4315 4)"""
    cursor.sp()
    return c.Expunge(tag, cursor.sequence_set(True))
