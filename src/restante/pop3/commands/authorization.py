"""USER, PASS, AUTH, STLS: everything before a maildrop is open.

RFC 1939 7, RFC 2595 4, RFC 5034 4, RFC 3206 and RFC 2449 8.1 for the response codes. Names and passwords are
UTF-8 (RFC 6856 2.2); what is not is refused here, what SASLprep makes of the rest is the authenticator's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...accounts.login import Admitted, LoginRefused, LoginUnavailable, PrivacyRequired
from ...errors import Refusal
from ...store.errors import InUse, cause_of
from ..grammar.commands import Command, decode_response
from ..grammar.reader import SASL_LIMIT, Overlong
from ..grammar.responses import Code, challenge, err, ok
from ..policy import policy_for
from .handler import State, refused

if TYPE_CHECKING:  # the session imports the handlers
    from ..session import Pop3Session


async def user(session: Pop3Session, command: Command) -> None:
    """USER: the name is only kept; whether there is such an account is not told (RFC 1939 13)."""
    if not session.authenticator.plain_allowed(session.peer):
        _note(session, PrivacyRequired.code)
        session.reply(err(b"Passwords need TLS here: use STLS first.", Code.AUTH))
    elif not _is_utf8(command.argument):
        session.reply(err(b"The name is not UTF-8.", Code.AUTH))
    else:
        session.user = command.argument
        session.reply(ok(b"Send the password."))


async def password(session: Pop3Session, command: Command) -> None:
    """PASS: checks, then opens the maildrop."""
    name, session.user = session.user, None
    if name is None:
        session.reply(err(b"USER comes first."))
        return
    if not _is_utf8(command.argument):
        session.reply(err(b"The password is not UTF-8.", Code.AUTH))
        return
    # A wrong password may be answered late, to slow guessers: what is owed to the peer goes out before.
    await session.flush()
    try:
        admitted = await session.authenticator.password(name, command.argument, session.peer)
    except Refusal as refusal:
        session.reply(_login_refused(session, refusal))
        return
    await _enter(session, admitted)


async def auth(session: Pop3Session, command: Command) -> None:
    """AUTH: a whole SASL exchange, with or without an initial response; "*" ends it (RFC 5034 4)."""
    session.user = None
    mechanism = command.argument.decode("ascii", "replace")
    try:
        exchange = session.authenticator.start(mechanism, session.peer)
    except PrivacyRequired as refusal:
        session.reply(_login_refused(session, refusal))
        return
    except Refusal:
        session.reply(err(b"No such mechanism here."))
        return
    response = command.initial
    while True:
        try:
            outcome = await exchange.step(response)
        except Refusal as refusal:
            session.reply(_login_refused(session, refusal))
            return
        if isinstance(outcome, Admitted):
            break
        session.reply(challenge(outcome))
        line = await session.read_line(SASL_LIMIT)
        if line is None:
            session.state = State.ENDED
            return
        if line == b"*":
            session.reply(err(b"AUTH given up."))
            return
        response = None if isinstance(line, Overlong) else decode_response(line)
        if response is None:
            session.reply(err(b"The response is not base64, or too long."))
            return
    await _enter(session, outcome)


async def stls(session: Pop3Session, command: Command) -> None:
    """STLS: what came behind it in the clear is thrown away unread, so that nothing said before TLS is
    answered within it. Refused after UTF8 (RFC 6856 2.1)."""
    if session.connection.secure:
        session.reply(err(b"TLS is on already."))
        return
    if not session.connection.tls_available:
        session.reply(err(b"TLS is not available here."))
        return
    if session.utf8:
        session.reply(err(b"STLS comes before UTF8."))
        return
    session.reader.clear()
    session.user = None
    session.reply(ok(b"Begin TLS."))
    await session.flush()
    await session.connection.start_tls()
    session.reader.clear()


async def _enter(session: Pop3Session, admitted: Admitted) -> None:
    """From a proved identity to an open maildrop, or to a refusal that leaves AUTHORIZATION as it was."""
    account = admitted.account
    delay, now = session.config.login_delay, session.clock.monotonic()
    if delay > 0 and session.logins.too_soon(account.id, now, delay):
        session.reply(err(b"Wait %d seconds between logins." % delay, Code.LOGIN_DELAY))
        return
    try:
        await session.open_maildrop(admitted, policy_for(account.settings, session.config))
    except InUse:
        session.reply(err(b"Another POP3 session has this maildrop open.", Code.IN_USE))
        return
    except Refusal as refusal:
        session.connection.log(
            "maildrop not opened", account=account.address, reason=refusal.code, cause=cause_of(refusal)
        )
        session.reply(refused(refusal))
        return
    if delay > 0:
        session.logins.note(account.id, now)
    count, octets = session.maildrop.totals()
    session.reply(ok(b"%d messages (%d octets)." % (count, octets)))


def _login_refused(session: Pop3Session, refusal: Refusal) -> bytes:
    """The answer; and a line in the log, where the authenticator has not written it."""
    if isinstance(refusal, PrivacyRequired):
        _note(session, refusal.code)
    elif not isinstance(refusal, LoginRefused):
        session.connection.log("login refused", reason=refusal.code, cause=cause_of(refusal))
    text = str(refusal).encode("ascii", "replace")
    if isinstance(refusal, LoginRefused | PrivacyRequired):
        return err(text, Code.AUTH)
    if isinstance(refusal, LoginUnavailable) or refusal.temporary:
        return err(text, Code.SYS_TEMP)
    return err(text, Code.AUTH)


def _note(session: Pop3Session, reason: str) -> None:
    """Log it once: the answer is not delayed, so anybody could else fill the disk with such lines."""
    if reason not in session.refused_for:
        session.refused_for += (reason,)
        session.connection.log("login refused", reason=reason)


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True
