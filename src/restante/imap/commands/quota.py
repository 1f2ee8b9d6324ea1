"""GETQUOTA, GETQUOTAROOT, SETQUOTA: what an account may hold, and does.

An account is one quota root, named by its address; all of its mailboxes are under it. What others use is theirs to
know: who may read a mailbox of the account is told (RFC 9208 6, GETQUOTAROOT), nobody else, and whether an unknown
root is none or not his is answered alike. Changing quotas is for the accounts that the configuration names.
RFC 9208.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...accounts.address import BadAddress, normalise_address
from ...errors import Refusal
from ...store.directory import Account, fold_address
from ...store.errors import NoPermission
from ...store.quota import QuotaState
from ...store.rights import Rights, identifiers_of
from ..grammar.commands import GetQuota, GetQuotaRoot, SetQuota
from ..grammar.response_access import quota_response, quotaroot_response
from ..session.places import require
from ..session.state import Reply
from .names import mailbox_name

if TYPE_CHECKING:
    from ..session.session import ImapSession

UNIT = 1024
"""Octets of STORAGE's unit (RFC 9208 5.1)."""

MOST = (1 << 62) // UNIT


class CannotSetQuota(Refusal):
    """A limit that cannot be (RFC 5530 CANNOT)."""

    code = "CANNOT-SET-QUOTA"


async def get_quota(session: ImapSession, command: GetQuota) -> Reply:
    account = await _root(session, command.root)
    await _tell(session, account)
    return Reply(b"GETQUOTA completed.")


async def get_quota_root(session: ImapSession, command: GetQuotaRoot) -> Reply:
    """GETQUOTAROOT: in one's own account also of a mailbox that is not there yet (RFC 9208 4.1.2)."""
    place = await session.places.find(mailbox_name(command.mailbox))
    mailbox = await place.mailbox()
    if mailbox is not None:
        require(mailbox, Rights.READ)
    elif not place.own:
        mailbox = await place.existing(Rights.READ)
    if place.past is not None:  # none of it counts
        session.write(quotaroot_response(place.shown(place.name), (), session.dialect.utf8))
        return Reply(b"GETQUOTAROOT completed.")
    account = await session.engine.directory.account_by_id(place.store.account)
    if account is None:
        raise _unknown_root()
    name = place.shown(place.name if mailbox is None else mailbox.name)
    session.write(quotaroot_response(name, (account.address,), session.dialect.utf8))
    session.write(_line(session, account, await place.store.quota()))
    return Reply(b"GETQUOTAROOT completed.")


async def set_quota(session: ImapSession, command: SetQuota) -> Reply:
    """SETQUOTA: sets what is named and lifts what is not."""
    if not session.sets_quota:
        raise NoPermission("Quotas are changed by the server's operator.")
    account = await _account(session, command.root)
    if account is None:
        raise _unknown_root()
    limits = {"STORAGE": 0, "MESSAGE": 0, "MAILBOX": 0}
    for name, limit in command.limits:
        if name not in limits:
            raise CannotSetQuota("There is no such resource here.")
        if not 0 < limit <= MOST:
            raise CannotSetQuota("A limit is a number above 0; a resource that is not named has none.")
        limits[name] = limit
    await session.engine.directory.update_account(
        account.id,
        quota=limits["STORAGE"] * UNIT,
        quota_messages=limits["MESSAGE"],
        quota_mailboxes=limits["MAILBOX"],
    )
    session.connection.log("quota set", account=account.address, **{k.lower(): v for k, v in limits.items()})
    await _tell(session, account)
    return Reply(b"SETQUOTA completed.")


async def _account(session: ImapSession, root: str) -> Account | None:
    """The account whose address names the root."""
    if session.account is not None and fold_address(root) == fold_address(session.account.address):
        return session.account
    try:
        return await session.engine.directory.account(normalise_address(root).address)
    except BadAddress:
        return None


async def _root(session: ImapSession, root: str) -> Account:
    """The root's account, if its numbers are this user's to know. Raises NoPermission."""
    account = await _account(session, root)
    me = session.own_store.account
    if account is None:
        raise _unknown_root()
    if account.id == me or session.sets_quota:
        return account
    if not await session.engine.directory.shares(account.id, identifiers_of(me)):
        raise _unknown_root()
    return account


async def _tell(session: ImapSession, account: Account) -> None:
    """Write the QUOTA response. An administrator of quotas sees every account's as its owner does."""
    me = session.own_store.account
    actor = None if session.sets_quota else me
    try:
        state = await session.engine.account(account.id, actor).quota()
    except NoPermission:
        raise _unknown_root() from None
    session.write(_line(session, account, state))


def _line(session: ImapSession, account: Account, state: QuotaState) -> bytes:
    limits = state.limits
    resources: list[tuple[str, int, int]] = []
    if limits.storage:
        resources.append(("STORAGE", -(-state.storage // UNIT), -(-limits.storage // UNIT)))
    if limits.messages:
        resources.append(("MESSAGE", state.messages, limits.messages))
    most = min(limits.mailboxes, state.most_mailboxes) if limits.mailboxes else state.most_mailboxes
    resources.append(("MAILBOX", state.mailboxes, most))
    return quota_response(account.address, resources, session.dialect.utf8)


def _unknown_root() -> NoPermission:
    return NoPermission("There is no such quota root, or it is not yours to see.")
