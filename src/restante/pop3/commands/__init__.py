"""One module a family of commands; `HANDLERS` says which handler answers what, and in which states."""

from __future__ import annotations

from ..grammar.commands import Verb
from . import authorization, capability, listing, retrieval, update
from .handler import Handler, State

_BEFORE = frozenset({State.AUTHORIZATION})
_AFTER = frozenset({State.TRANSACTION})
_BOTH = _BEFORE | _AFTER

HANDLERS: dict[Verb, tuple[frozenset[State], Handler]] = {
    Verb.USER: (_BEFORE, authorization.user),
    Verb.PASS: (_BEFORE, authorization.password),
    Verb.AUTH: (_BEFORE, authorization.auth),
    Verb.STLS: (_BEFORE, authorization.stls),
    Verb.CAPA: (_BOTH, capability.capa),
    Verb.UTF8: (_BEFORE, capability.utf8),
    Verb.LANG: (_BOTH, capability.lang),
    Verb.STAT: (_AFTER, listing.stat),
    Verb.LIST: (_AFTER, listing.list_),
    Verb.UIDL: (_AFTER, listing.uidl),
    Verb.RETR: (_AFTER, retrieval.retr),
    Verb.TOP: (_AFTER, retrieval.top),
    Verb.DELE: (_AFTER, update.dele),
    Verb.RSET: (_AFTER, update.rset),
    Verb.NOOP: (_AFTER, update.noop),
    Verb.QUIT: (_BOTH, update.quit_),
}

__all__ = ["HANDLERS", "State"]
