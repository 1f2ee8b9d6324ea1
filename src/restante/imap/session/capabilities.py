"""What is announced, and when: one table joins each capability with what implements it.

A capability stands here with the commands that make it real (or a word where it is a form of an existing
command); a test checks that each named command has a handler. Must not know connections.

RFC 9051 6.1.1 and 7.2.2; each extension's own RFC in the table.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Flag, auto
from functools import lru_cache

from ..grammar import commands as c
from ..grammar.notify import Notify


class When(Flag):
    BEFORE_LOGIN = auto()
    AFTER_LOGIN = auto()
    ALWAYS = BEFORE_LOGIN | AFTER_LOGIN


@dataclass(frozen=True, slots=True)
class Capability:
    """name: as announced. rfc: where it comes from. commands: what carries it."""

    name: bytes
    rfc: str
    when: When
    commands: tuple[type[c.Command], ...]


COMPRESS, UNAUTHENTICATE = b"COMPRESS=DEFLATE", b"UNAUTHENTICATE"
"""Announced where the configuration has them."""

TABLE: tuple[Capability, ...] = (
    Capability(b"IMAP4rev1", "3501", When.ALWAYS, (c.Check, c.Lsub)),
    Capability(b"IMAP4rev2", "9051", When.ALWAYS, (c.Capability, c.Noop, c.Logout)),
    Capability(b"SASL-IR", "4959", When.ALWAYS, (c.Authenticate,)),
    Capability(b"ENABLE", "5161", When.ALWAYS, (c.Enable,)),
    Capability(b"ID", "2971", When.ALWAYS, (c.Id,)),
    Capability(b"LANGUAGE", "5255", When.ALWAYS, (c.Language, c.Namespace)),
    Capability(b"I18NLEVEL=1", "5255", When.AFTER_LOGIN, (c.Search,)),
    Capability(b"IDLE", "2177", When.AFTER_LOGIN, (c.Idle,)),
    Capability(b"NAMESPACE", "2342", When.AFTER_LOGIN, (c.Namespace,)),
    Capability(b"UNSELECT", "3691", When.AFTER_LOGIN, (c.Unselect,)),
    Capability(b"UIDPLUS", "4315", When.AFTER_LOGIN, (c.Expunge, c.Append, c.Copy)),
    Capability(b"CHILDREN", "3348", When.AFTER_LOGIN, (c.List,)),
    Capability(b"LIST-EXTENDED", "5258", When.AFTER_LOGIN, (c.List,)),
    Capability(b"LIST-STATUS", "5819", When.AFTER_LOGIN, (c.List, c.Status)),
    Capability(b"SPECIAL-USE", "6154", When.AFTER_LOGIN, (c.List,)),
    Capability(b"CREATE-SPECIAL-USE", "6154", When.AFTER_LOGIN, (c.Create,)),
    Capability(b"STATUS=SIZE", "8438", When.AFTER_LOGIN, (c.Status,)),
    Capability(b"ACL", "4314", When.AFTER_LOGIN, (c.SetAcl, c.DeleteAcl, c.GetAcl, c.ListRights, c.MyRights)),
    Capability(b"RIGHTS=kxte", "4314", When.AFTER_LOGIN, (c.SetAcl,)),
    Capability(b"LIST-MYRIGHTS", "8440", When.AFTER_LOGIN, (c.List,)),
    Capability(b"QUOTA", "9208", When.AFTER_LOGIN, (c.GetQuota, c.GetQuotaRoot)),
    Capability(b"QUOTA=RES-STORAGE", "9208", When.AFTER_LOGIN, (c.GetQuota, c.Status)),
    Capability(b"QUOTA=RES-MESSAGE", "9208", When.AFTER_LOGIN, (c.GetQuota, c.Status)),
    Capability(b"QUOTA=RES-MAILBOX", "9208", When.AFTER_LOGIN, (c.GetQuota,)),
    Capability(b"ESEARCH", "4731", When.AFTER_LOGIN, (c.Search,)),
    Capability(b"SEARCHRES", "5182", When.AFTER_LOGIN, (c.Search,)),
    Capability(b"SEARCH=FUZZY", "6203", When.AFTER_LOGIN, (c.Search, c.Sort)),
    Capability(b"SORT", "5256", When.AFTER_LOGIN, (c.Sort,)),
    Capability(b"SORT=DISPLAY", "5957", When.AFTER_LOGIN, (c.Sort,)),
    Capability(b"ESORT", "5267", When.AFTER_LOGIN, (c.Sort,)),
    Capability(b"THREAD=ORDEREDSUBJECT", "5256", When.AFTER_LOGIN, (c.Thread,)),
    Capability(b"THREAD=REFERENCES", "5256", When.AFTER_LOGIN, (c.Thread,)),
    Capability(b"MOVE", "6851", When.AFTER_LOGIN, (c.Move,)),
    Capability(b"BINARY", "3516", When.AFTER_LOGIN, (c.Fetch, c.Append)),
    Capability(b"CONDSTORE", "7162", When.AFTER_LOGIN, (c.Select, c.Fetch, c.Store, c.Search)),
    Capability(b"QRESYNC", "7162", When.AFTER_LOGIN, (c.Select, c.Fetch, c.Enable)),
    Capability(b"OBJECTID", "8474", When.AFTER_LOGIN, (c.Create, c.Select, c.Status, c.Fetch)),
    Capability(COMPRESS, "4978", When.AFTER_LOGIN, (c.Compress,)),
    Capability(UNAUTHENTICATE, "8437", When.AFTER_LOGIN, (c.Unauthenticate,)),
    Capability(b"METADATA", "5464", When.AFTER_LOGIN, (c.GetMetadata, c.SetMetadata)),
    # RFC 5464 1 has METADATA for servers with both kinds of annotations and this for those that have the server's
    # alone. All that this name promises is here, and a client that keeps only the server's (filters) may look for it.
    Capability(b"METADATA-SERVER", "5464", When.AFTER_LOGIN, (c.GetMetadata, c.SetMetadata)),
    Capability(b"LIST-METADATA", "9590", When.AFTER_LOGIN, (c.List,)),
    Capability(b"FILTERS", "5466", When.AFTER_LOGIN, (c.Search, c.SetMetadata)),
    Capability(b"NOTIFY", "5465", When.AFTER_LOGIN, (Notify,)),
    Capability(b"UIDONLY", "9586", When.AFTER_LOGIN, (c.Enable, c.Fetch, c.Store, c.Search, c.Copy, c.Move)),
    Capability(b"MULTISEARCH", "7377", When.AFTER_LOGIN, (c.ESearch,)),
    Capability(b"CONTEXT=SEARCH", "5267", When.AFTER_LOGIN, (c.Search, c.ESearch, c.CancelUpdate)),
    Capability(b"CONTEXT=SORT", "5267", When.AFTER_LOGIN, (c.Sort, c.CancelUpdate)),
    Capability(b"PARTIAL", "9394", When.AFTER_LOGIN, (c.Search, c.Fetch)),
    Capability(b"WITHIN", "5032", When.AFTER_LOGIN, (c.Search,)),
    Capability(b"SAVEDATE", "8514", When.AFTER_LOGIN, (c.Fetch, c.Search)),
    Capability(b"PREVIEW", "8970", When.AFTER_LOGIN, (c.Fetch,)),
    Capability(b"UTF8=ACCEPT", "6855", When.AFTER_LOGIN, (c.Enable, c.Append)),
    Capability(b"MULTIAPPEND", "3502", When.AFTER_LOGIN, (c.Append,)),
    Capability(b"CATENATE", "4469", When.AFTER_LOGIN, (c.Append, c.Replace)),
    Capability(b"INPROGRESS", "9585", When.AFTER_LOGIN, (c.Search, c.Copy, c.Move, c.Store, c.Expunge, c.Append)),
    Capability(b"REPLACE", "8508", When.AFTER_LOGIN, (c.Replace,)),
)

AFTER = tuple(entry.name for entry in TABLE if entry.when & When.AFTER_LOGIN)
BEFORE = tuple(entry.name for entry in TABLE if entry.when & When.BEFORE_LOGIN)

ENABLED_BY_NAME = frozenset(
    {"IMAP4REV2", "UTF8=ACCEPT", "CONDSTORE", "QRESYNC", "METADATA", "METADATA-SERVER", "UIDONLY"}
)
"""What ENABLE switches on; everything else it is asked for is passed over (RFC 5161 3.1)."""


def literal_capability(literal_plus: bool) -> bytes:
    """LITERAL+ or LITERAL- (RFC 7888): one of them, never both."""
    return b"LITERAL+" if literal_plus else b"LITERAL-"


@lru_cache(maxsize=64)
def before_login(literal_plus: bool, starttls: bool, plain: bool, mechanisms: tuple[str, ...]) -> bytes:
    """The list for a peer that has not logged in.

    starttls: TLS can be begun now. plain: LOGIN may be used. mechanisms: SASL names for this peer.
    """
    names = [*BEFORE, literal_capability(literal_plus)]
    if starttls:
        names.append(b"STARTTLS")
    if not plain:
        names.append(b"LOGINDISABLED")
    names += [b"AUTH=" + name.encode("ascii") for name in mechanisms]
    return b" ".join(names)


@lru_cache(maxsize=64)
def after_login(
    literal_plus: bool, largest: int, without: frozenset[bytes] = frozenset(), configured: tuple[bytes, ...] = ()
) -> bytes:
    """The list for a peer that has logged in. without: what the configuration turns off. configured: other capabilities
    whose very name the configuration makes, or that are this account's alone.

    largest: octets of a message, the same in every mailbox (RFC 7889 2).
    """
    names = (name for name in AFTER if name not in without)
    return b" ".join((*names, literal_capability(literal_plus), b"APPENDLIMIT=%d" % largest, *configured))
