"""From one command's text to its value: the table of commands.

Each family of commands has a module of its own (parse_*.py); a parser function is called behind the command's
name and reads its arguments, no more. Here stand the table, the tag and the command's end. Whether a command
is allowed now is the session's business. RFC 9051 9 (command), RFC 3501 9.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import partial

from . import commands as c
from .errors import BadSyntax
from .limits import ReaderLimits
from .parse_access import parse_deleteacl, parse_getquota, parse_listrights, parse_setacl, parse_setquota
from .parse_append import parse_append, parse_replace
from .parse_fetch import parse_fetch
from .parse_mailbox import (
    one_mailbox,
    parse_create,
    parse_examine,
    parse_list,
    parse_lsub,
    parse_rename,
    parse_select,
    parse_status,
)
from .parse_metadata import parse_getmetadata, parse_setmetadata
from .parse_multisearch import parse_esearch
from .parse_notify import parse_notify
from .parse_search import parse_search
from .parse_session import (
    bare,
    parse_authenticate,
    parse_cancel_update,
    parse_compress,
    parse_enable,
    parse_id,
    parse_language,
    parse_login,
)
from .parse_sort import parse_sort, parse_thread
from .parse_store import parse_copy, parse_move, parse_store, parse_uid_expunge
from .tokens import ATOM, Cursor

Parser = Callable[[Cursor, bytes], c.Command]

TAG = re.compile(rb"([^\x00-\x20\x7f-\xff(){%*\"\\+]{1,64})(?: |\Z)")
"""tag = 1*<any ASTRING-CHAR except "+">, at most 64 here."""

COMMANDS: dict[bytes, Parser] = {
    b"CAPABILITY": bare(c.Capability),
    b"NOOP": bare(c.Noop),
    b"LOGOUT": bare(c.Logout),
    b"ID": parse_id,
    b"LANGUAGE": parse_language,
    b"STARTTLS": bare(c.StartTls),
    b"AUTHENTICATE": parse_authenticate,
    b"LOGIN": parse_login,
    b"ENABLE": parse_enable,
    b"COMPRESS": parse_compress,
    b"UNAUTHENTICATE": bare(c.Unauthenticate),
    b"SELECT": parse_select,
    b"EXAMINE": parse_examine,
    b"CREATE": parse_create,
    b"DELETE": one_mailbox(c.Delete),
    b"RENAME": parse_rename,
    b"SUBSCRIBE": one_mailbox(c.Subscribe),
    b"UNSUBSCRIBE": one_mailbox(c.Unsubscribe),
    b"LIST": parse_list,
    b"LSUB": parse_lsub,
    b"NAMESPACE": bare(c.Namespace),
    b"STATUS": parse_status,
    b"GETMETADATA": parse_getmetadata,
    b"SETMETADATA": parse_setmetadata,
    b"NOTIFY": parse_notify,
    b"APPEND": parse_append,
    b"SETACL": parse_setacl,
    b"DELETEACL": parse_deleteacl,
    b"GETACL": one_mailbox(c.GetAcl),
    b"LISTRIGHTS": parse_listrights,
    b"MYRIGHTS": one_mailbox(c.MyRights),
    b"GETQUOTA": parse_getquota,
    b"GETQUOTAROOT": one_mailbox(c.GetQuotaRoot),
    b"SETQUOTA": parse_setquota,
    b"IDLE": bare(c.Idle),
    b"CHECK": bare(c.Check),
    b"CLOSE": bare(c.Close),
    b"UNSELECT": bare(c.Unselect),
    b"EXPUNGE": bare(c.Expunge),
    b"SEARCH": parse_search,
    b"ESEARCH": parse_esearch,
    b"CANCELUPDATE": parse_cancel_update,
    b"SORT": parse_sort,
    b"THREAD": parse_thread,
    b"FETCH": parse_fetch,
    b"STORE": parse_store,
    b"COPY": parse_copy,
    b"MOVE": parse_move,
    b"REPLACE": parse_replace,
}

UID_COMMANDS: dict[bytes, Parser] = {
    b"FETCH": partial(parse_fetch, uid=True),
    b"STORE": partial(parse_store, uid=True),
    b"COPY": partial(parse_copy, uid=True),
    b"MOVE": partial(parse_move, uid=True),
    b"SEARCH": partial(parse_search, uid=True),
    b"ESEARCH": parse_esearch,  # so written in RFC 7377 2: it means UIDs in any case
    b"SORT": partial(parse_sort, uid=True),
    b"THREAD": partial(parse_thread, uid=True),
    b"EXPUNGE": parse_uid_expunge,
    b"REPLACE": partial(parse_replace, uid=True),
}


def find_tag(text: bytes) -> bytes:
    """The tag that a command (or its beginning) starts with, b"*" where there is none."""
    found = TAG.match(text)
    return found[1] if found else b"*"


def parse_command(text: bytes, literals: Sequence[bytes], utf8: bool, limits: ReaderLimits) -> c.Command:
    """One command.

    text: all its lines joined, without line ends, each literal a marker octet (see tokens). literals: their
    octets, in order; the last may be missing. utf8: UTF-8 was enabled.

    Raises BadSyntax, or NeedLiteral when all before the missing literal is right.

        command = tag SP (command-any / command-auth / command-nonauth / command-select) CRLF
        uid     = "UID" SP (copy / move / fetch / replace / search / sort / store / thread / uid-expunge)
    """
    found = TAG.match(text)
    if found is None:
        raise BadSyntax("Empty command" if not text else "Invalid tag")
    tag = found[1]
    cursor = Cursor(text, literals, utf8, limits, found.end())
    name = _name(cursor)
    if name == b"UID":
        cursor.sp()
        parser = UID_COMMANDS.get(_name(cursor))
    else:
        parser = COMMANDS.get(name)
    if parser is None:
        raise BadSyntax("Unknown command", found.end())
    command = parser(cursor, tag)
    cursor.end()
    return command


def _name(cursor: Cursor) -> bytes:
    name = ATOM.match(cursor.text, cursor.pos)
    if name is None:
        raise cursor.bad("Missing command")
    cursor.pos = name.end()
    return name[0].upper()
