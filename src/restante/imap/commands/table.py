"""Every command with its handler, the states it is valid in, and what it lets be told afterwards.

The one place that a new command is added to. RFC 9051 6 (in its order), RFC 3501 6.4.1 CHECK, 6.3.9 LSUB.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from ..grammar import commands as c
from ..grammar.notify import Notify
from ..session.state import Reply, State
from ..session.updates import Policy, after_search, after_set, always, removals, when_hinted
from . import (
    acl,
    append,
    auth,
    compress,
    contexts,
    copy,
    expunge,
    fetch,
    idle,
    language,
    list,
    mailbox,
    metadata,
    multisearch,
    notify,
    quota,
    replace,
    search,
    select,
    sort,
    status,
    store,
)
from . import any as any_state

if TYPE_CHECKING:
    from ..session.session import ImapSession

C = TypeVar("C", bound=c.Command)


@dataclass(frozen=True, slots=True)
class Entry:
    """handler: takes the session and a command of the kind it stands under. updates: what may be told before
    the tagged response, None where nothing may be. files_mail: a missing mailbox is answered with TRYCREATE.

    states: the single ones, since "&" of two Flags costs a microsecond."""

    handler: Callable[..., Awaitable[Reply]]
    states: tuple[State, ...]
    updates: Callable[[c.Command], Policy] | None
    files_mail: bool


def entry(
    kind: type[C],
    handler: Callable[[ImapSession, C], Awaitable[Reply]],
    states: State,
    updates: Callable[[c.Command], Policy] | None = always,
    *,
    files_mail: bool = False,
) -> tuple[type[c.Command], Entry]:
    """A row of the table; the types see to it that handler and command belong together."""
    return kind, Entry(handler, tuple(states), updates, files_mail)


TABLE: Mapping[type[c.Command], Entry] = dict(
    [
        entry(c.Capability, any_state.capability, State.ANY, when_hinted),
        entry(c.Noop, any_state.noop, State.ANY),
        entry(c.Logout, any_state.logout, State.ANY, None),
        entry(c.Id, any_state.identify, State.ANY, when_hinted),
        entry(c.Language, language.language, State.ANY, when_hinted),
        entry(c.StartTls, auth.start_tls, State.NOT_AUTHENTICATED),
        entry(c.Authenticate, auth.authenticate, State.NOT_AUTHENTICATED),
        entry(c.Login, auth.login, State.NOT_AUTHENTICATED),
        entry(c.Enable, auth.enable, State.LOGGED_IN),
        entry(c.Compress, compress.compress, State.LOGGED_IN, None),
        entry(c.Unauthenticate, auth.unauthenticate, State.LOGGED_IN, None),
        entry(c.Select, select.select, State.LOGGED_IN, None),
        entry(c.Create, mailbox.create, State.LOGGED_IN),
        entry(c.Delete, mailbox.delete, State.LOGGED_IN),
        entry(c.Rename, mailbox.rename, State.LOGGED_IN),
        entry(c.Subscribe, mailbox.subscribe, State.LOGGED_IN),
        entry(c.Unsubscribe, mailbox.unsubscribe, State.LOGGED_IN),
        entry(c.List, list.list_mailboxes, State.LOGGED_IN, when_hinted),
        entry(c.Lsub, list.lsub, State.LOGGED_IN, when_hinted),
        entry(c.Namespace, list.namespace, State.LOGGED_IN, when_hinted),
        entry(c.Status, status.status, State.LOGGED_IN, when_hinted),
        entry(c.GetMetadata, metadata.get_metadata, State.LOGGED_IN, when_hinted),
        entry(c.SetMetadata, metadata.set_metadata, State.LOGGED_IN),
        entry(Notify, notify.notify, State.LOGGED_IN),
        entry(c.SetAcl, acl.set_acl, State.LOGGED_IN),
        entry(c.DeleteAcl, acl.delete_acl, State.LOGGED_IN),
        entry(c.GetAcl, acl.get_acl, State.LOGGED_IN, when_hinted),
        entry(c.ListRights, acl.list_rights, State.LOGGED_IN, when_hinted),
        entry(c.MyRights, acl.my_rights, State.LOGGED_IN, when_hinted),
        entry(c.GetQuota, quota.get_quota, State.LOGGED_IN, when_hinted),
        entry(c.GetQuotaRoot, quota.get_quota_root, State.LOGGED_IN, when_hinted),
        entry(c.SetQuota, quota.set_quota, State.LOGGED_IN, when_hinted),
        entry(c.Append, append.append, State.LOGGED_IN, files_mail=True),
        entry(c.Idle, idle.idle, State.LOGGED_IN),
        entry(c.Check, any_state.noop, State.SELECTED),
        entry(c.Close, select.close, State.SELECTED, None),
        entry(c.Unselect, select.unselect, State.SELECTED, None),
        entry(c.Expunge, expunge.expunge, State.SELECTED, removals),
        entry(c.ESearch, multisearch.esearch, State.LOGGED_IN, after_search),
        entry(c.CancelUpdate, contexts.cancel_update, State.SELECTED, when_hinted),
        entry(c.Search, search.search, State.SELECTED, after_search),
        entry(c.Sort, sort.sort, State.SELECTED, after_search),
        entry(c.Thread, sort.thread, State.SELECTED, after_search),
        entry(c.Fetch, fetch.fetch, State.SELECTED, after_set),
        entry(c.Store, store.store, State.SELECTED, after_set),
        entry(c.Copy, copy.copy, State.SELECTED, files_mail=True),
        entry(c.Move, copy.move, State.SELECTED, removals, files_mail=True),
        entry(c.Replace, replace.replace, State.SELECTED, removals, files_mail=True),
    ]
)
