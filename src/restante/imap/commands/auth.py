"""Becoming someone: STARTTLS, AUTHENTICATE, LOGIN; nobody again: UNAUTHENTICATE; and ENABLE, which says how to be
spoken to.

Who may log in is the accounts room's business; this module carries its questions and answers. RFC 9051 6.2,
6.3.1; RFC 4959 (SASL-IR); RFC 5161 (ENABLE); RFC 6855 3; RFC 7162 3.2.3; RFC 8437 (UNAUTHENTICATE); RFC 9586 3.1.
"""

from __future__ import annotations

import binascii
from typing import TYPE_CHECKING

from ...accounts.login import Admitted, LoginRefused
from ...connection import ReadTimeout
from ...errors import Refusal
from ...store.errors import cause_of
from ..grammar.commands import Authenticate, Enable, Login, StartTls, Unauthenticate
from ..grammar.notify import EventGroup, NotifyEvent, NotifyFilter
from ..session import capabilities
from ..session.state import ALREADY_SAID, AS_EVER, BadCommand, Dialect, Reply
from . import contexts
from .watching import Notifications

if TYPE_CHECKING:
    from ...accounts.login import SaslExchange
    from ..session.session import ImapSession

MAX_STEPS = 10
"""Messages of one SASL exchange; no mechanism of ours needs more than four."""


async def start_tls(session: ImapSession, command: StartTls) -> Reply:
    """Upgrade to TLS. What came behind the command in clear text is thrown away (RFC 9051 6.2.1, 11.1)."""
    if not session.connection.tls_available:
        raise BadCommand("TLS cannot be started here.")
    session.write(session.answer(Reply(b"Begin TLS negotiation now."), command.tag))
    await session.flush()
    session.reader.discard()
    await session.connection.start_tls()
    session.dialect = Dialect()
    return ALREADY_SAID


async def login(session: ImapSession, command: Login) -> Reply:
    try:
        admitted = await session.authenticator.password(command.user, command.password, session.peer)
    except Refusal as refusal:
        _note(session, refusal)
        raise
    return _logged_in(session, admitted)


async def authenticate(session: ImapSession, command: Authenticate) -> Reply:
    """AUTHENTICATE: challenges and answers in base64 until the mechanism is content, or the client says "*"."""
    try:
        exchange = session.authenticator.start(command.mechanism, session.peer)
        admitted = await _exchange(session, exchange, command.initial)
    except Refusal as refusal:
        _note(session, refusal)
        raise
    finally:
        session.reader.line_mode = False
    return _logged_in(session, admitted)


async def _exchange(session: ImapSession, exchange: SaslExchange, response: bytes | None) -> Admitted:
    """Carry an exchange to its end. Raises BadCommand for a cancelled or unreadable one, Refusal for a NO."""
    for _ in range(MAX_STEPS):
        outcome = await exchange.step(response)
        if isinstance(outcome, Admitted):
            return outcome
        session.write(b"+ " + binascii.b2a_base64(outcome, newline=False) + b"\r\n")
        line = await session.line(session.config.login_timeout)
        if line is None:
            raise ReadTimeout
        if line == b"*":
            raise BadCommand("Authentication was cancelled.")
        try:
            response = binascii.a2b_base64(line, strict_mode=True)
        except binascii.Error:
            raise BadCommand("That is not base64.") from None
    raise BadCommand("The exchange has too many steps.")


def _note(session: ImapSession, refusal: Refusal, **fields: object) -> None:
    """Log why somebody does not get in, where it is not the authenticator's refusal, which has its own line. Once where
    the answer is not delayed: anybody could else fill the disk with such lines."""
    if isinstance(refusal, LoginRefused) or refusal.code in session.refused_for:
        return
    if not refusal.temporary:
        session.refused_for += (refusal.code,)
    session.connection.log("login refused", reason=refusal.code, cause=cause_of(refusal), **fields)


def _logged_in(session: ImapSession, admitted: Admitted) -> Reply:
    try:
        session.logged_in(admitted)
    except Refusal as refusal:
        _note(session, refusal, account=admitted.account.address)
        raise
    return Reply(b"Logged in.", b"CAPABILITY " + session.capability_list())


async def unauthenticate(session: ImapSession, command: Unauthenticate) -> Reply:
    """UNAUTHENTICATE: all is forgotten but TLS and what came behind the command (RFC 8437 3). Never says NO."""
    if not session.config.unauthenticate:
        raise BadCommand("UNAUTHENTICATE is turned off here.")
    session.forget_user()
    reply = Reply(b"Nobody is logged in.")
    if not session.connection.compressed:
        return reply
    await session.flush()
    session.connection.stop_compression(
        session.answer(reply, command.tag)
    )  # its CRLF is the last octet compressed (4.1)
    return ALREADY_SAID


async def enable(session: ImapSession, command: Enable) -> Reply:
    """ENABLE: switch on what is known, pass over the rest; nothing is switched off again."""
    names = [name for name in dict.fromkeys(command.capabilities) if name in capabilities.ENABLED_BY_NAME]
    dialect = session.dialect
    # First, since it alone can fail: an ENABLE that is refused has switched nothing on.
    await _tell_metadata(session, frozenset().union(*(ANNOTATIONS.get(name, ()) for name in names)))
    for name in names:
        if name == "IMAP4REV2":
            dialect.rev2 = True
        elif name == "UTF8=ACCEPT":
            dialect.utf8_accept = True
        elif name == "UIDONLY":
            dialect.uidonly = True
            contexts.drop_numbered(session)
        elif name not in ANNOTATIONS:
            session.enable_condstore()
            dialect.qresync = dialect.qresync or name == "QRESYNC"
    session.reader.utf8 = dialect.utf8
    shown = [b"IMAP4rev2" if name == "IMAP4REV2" else name.encode("ascii") for name in names]
    session.write(b" ".join([b"* ENABLED", *shown]) + b"\r\n")
    return Reply(b"ENABLE completed.")


ANNOTATIONS = {
    "METADATA": frozenset({NotifyEvent.MAILBOX_METADATA, NotifyEvent.SERVER_METADATA}),
    "METADATA-SERVER": frozenset({NotifyEvent.SERVER_METADATA}),
}
"""Whose changes ENABLE switches on (RFC 5464 4.1)."""


async def _tell_metadata(session: ImapSession, events: frozenset[NotifyEvent]) -> None:
    """Changes of annotations are told from here on (RFC 5464 4.4), in mailboxes of others too; where NOTIFY was used,
    by what that has asked."""
    if events <= session.dialect.metadata:
        return
    wanted = session.dialect.metadata | events
    before = session.notifications
    if session.told is AS_EVER and (before is None or not before.at_once):
        others = (session.config.other_users,)
        groups = [
            EventGroup(NotifyFilter.PERSONAL, (), wanted),
            EventGroup(NotifyFilter.SUBTREE, others, wanted - {NotifyEvent.SERVER_METADATA}),
        ]
        notifications = Notifications(session, [one for one in groups if one.events], at_once=False)
        await notifications.begin(status=False, before=before)
        session.notify(notifications, AS_EVER)
    session.dialect.metadata = wanted
