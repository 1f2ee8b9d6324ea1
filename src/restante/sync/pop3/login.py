"""Getting in: greeting, STLS, CAPA, UTF8, and one proof of who we are.

    greeting -> CAPA -> (STLS -> CAPA) -> UTF8 -> AUTH or USER/PASS or APOP -> CAPA

No credentials go out before TLS, unless somebody asked for that or the server is this machine. Nothing that was said
in the clear counts under TLS. RFC 1939, 2449, 2595, 3206, 5034, 6856.
"""

from __future__ import annotations

import base64
import re

from ...clock import Random
from ...pop3.grammar import requests
from ...pop3.grammar.answers import Challenge, Status, timestamp
from .connection import Pop3Connection
from .errors import LoginRefused, LoginTooSoon, MaildropInUse, SourceRefused, SourceUnavailable
from .settings import Auth, Pop3Settings, Security
from .wire import Wire

OAUTH = frozenset({Auth.TOKEN, Auth.OAUTHBEARER, Auth.XOAUTH2})
NONCE_OCTETS = 24
TURNS = 8
"""Challenges that one exchange may have."""

_BUSY = re.compile(rb"lock|in use|busy|try (?:again|later)|temporar|already|too (?:many|often|soon)", re.IGNORECASE)
"""Words of servers without response codes (RFC 2449 8 describes clients that have to read them)."""

Refused = SourceUnavailable | SourceRefused | LoginRefused | MaildropInUse | LoginTooSoon


async def log_in(wire: Wire, settings: Pop3Settings, random: Random) -> Pop3Connection:
    """A connection with the maildrop open. The wire is not closed on errors.

    Raises SourceUnavailable, SourceRefused, LoginRefused, MaildropInUse, LoginTooSoon.
    """
    connection = Pop3Connection(wire, settings.window)
    greeting = await connection.greeting()
    if not greeting.ok:
        raise refusal(greeting, connection, settings)
    await connection.learn()
    if settings.security is Security.STLS:
        await _protect(connection, settings)
    if "UTF8" in connection.capabilities:
        await connection.ask(b"UTF8\r\n")  # a server that refuses after all gives surrogates (RFC 6856 2.1)
    answer = await _prove(connection, settings, random, timestamp(greeting.text), renew=False)
    if not answer.ok and settings.auth in OAUTH and isinstance(refusal(answer, connection, settings), LoginRefused):
        answer = await _prove(connection, settings, random, None, renew=True)
    if not answer.ok:
        raise refusal(answer, connection, settings)
    if settings.refusals is not None:
        settings.refusals.accepted()
    await connection.learn()  # EXPIRE, LOGIN-DELAY and others may differ now (RFC 2449 5)
    return connection


def refusal(status: Status, connection: Pop3Connection, settings: Pop3Settings) -> Refused:
    """What an -ERR before or at login means."""
    said = f'{settings.host} says: "{status.shown}".' if status.shown else f"{settings.host} refused without a word."
    level = status.code[:2]
    if level[:1] == ("IN-USE",):
        return MaildropInUse(f"The maildrop of {settings.user} is in use. {said}")
    if level[:1] == ("LOGIN-DELAY",):
        return LoginTooSoon(f"The last login was too short a time ago. {said}", login_delay(connection))
    if level[:1] == ("SYS",):
        return (SourceRefused if level == ("SYS", "PERM") else SourceUnavailable)(said)
    if level[:1] == ("AUTH",):
        return LoginRefused(said, "Check user name and password.")
    # Who announces it names every failure of credentials [AUTH] (RFC 3206 6): this is something else.
    if "AUTH-RESP-CODE" in connection.capabilities or _BUSY.search(status.text):
        return SourceUnavailable(said)
    return LoginRefused(said, "Check user name and password.")


def login_delay(connection: Pop3Connection) -> int | None:
    """Seconds that the server wants between two logins (RFC 2449 6.5)."""
    return _number(connection, "LOGIN-DELAY")


def _number(connection: Pop3Connection, capability: str) -> int | None:
    arguments = connection.capabilities.get(capability, ())
    return int(arguments[0]) if arguments and re.fullmatch("[0-9]{1,9}", arguments[0]) else None


def expires(connection: Pop3Connection) -> int | None:
    """Days after which the server itself may remove mail (RFC 2449 6.7); None: never, or it does not say."""
    return _number(connection, "EXPIRE")


async def _protect(connection: Pop3Connection, settings: Pop3Settings) -> None:
    # A server without CAPA may know STLS all the same; one that names its capabilities is believed.
    may = not connection.capabilities or "STLS" in connection.capabilities
    if may and (await connection.ask(b"STLS\r\n")).ok:
        await connection.start_tls()
        await connection.learn()
        return
    if not connection.wire.loopback:
        raise SourceRefused(
            f"{settings.host}:{settings.port} offers no TLS, so no password was sent.",
            "Try port 995 with TLS from the start. To go without protection, ask for it.",
        )


async def _prove(
    connection: Pop3Connection, settings: Pop3Settings, random: Random, stamp: bytes | None, *, renew: bool
) -> Status:
    """One attempt; the server's last word. Raises SourceRefused where the server has no way that we may take."""
    how = _choose(connection, settings, stamp)
    secret = await settings.secret(renew)
    status = await _attempt(connection, settings, how, secret, random, stamp)
    if not status.ok and settings.refusals is not None and (renew or settings.auth not in OAUTH):
        error = refusal(status, connection, settings)
        if isinstance(error, LoginRefused):
            settings.refusals.refused(secret, error.text)
    return status


async def _attempt(
    connection: Pop3Connection, settings: Pop3Settings, how: Auth, secret: str, random: Random, stamp: bytes | None
) -> Status:
    try:
        if how is Auth.USER:
            return await _user(connection, settings, secret)
        if how is Auth.APOP and stamp is not None:
            return await connection.ask(requests.apop(settings.user.encode(), stamp, secret.encode()))
        if how is Auth.SCRAM_SHA_256:
            return await _scram(connection, settings, secret, random)
        return await _at_once(connection, settings, how, secret)
    except ValueError as error:  # a line end or NUL in user or password: nothing went out
        raise LoginRefused("User name or password hold what POP3 cannot carry.") from error


def _choose(connection: Pop3Connection, settings: Pop3Settings, stamp: bytes | None) -> Auth:
    offered = frozenset(connection.capabilities.get("SASL", ()))
    private = connection.wire.secure or connection.wire.loopback
    if settings.auth is Auth.APOP and stamp is None:
        raise SourceRefused(f"{settings.host} offers no APOP.")
    if settings.auth is Auth.TOKEN:
        return Auth.OAUTHBEARER if "OAUTHBEARER" in offered and "XOAUTH2" not in offered else Auth.XOAUTH2
    if settings.auth is not Auth.AUTO:
        return settings.auth
    plain, scram = "PLAIN" in offered, "SCRAM-SHA-256" in offered
    order = ((plain, Auth.PLAIN), (scram, Auth.SCRAM_SHA_256)) if private else (
        (scram, Auth.SCRAM_SHA_256), (plain, Auth.PLAIN)
    )  # fmt: skip
    return next((how for there, how in order if there), Auth.USER)


async def _user(connection: Pop3Connection, settings: Pop3Settings, password: str) -> Status:
    """USER and PASS. RFC 6856 2.2: other characters than ASCII only where the server says that it takes them."""
    user, secret = settings.user.encode(), password.encode()
    if not (user + secret).isascii() and "USER" not in connection.capabilities.get("UTF8", ()):
        raise LoginRefused(
            f"{settings.host} takes no user name or password with other characters than ASCII by USER and PASS."
        )
    line = requests.request(b"PASS", secret)
    status = await connection.ask(requests.request(b"USER", user))
    return await connection.ask(line) if status.ok else status


async def _at_once(connection: Pop3Connection, settings: Pop3Settings, how: Auth, secret: str) -> Status:
    """Mechanisms whose first message is their only one."""
    from ...sasl import bearer, plain

    give_up = b""
    if how is Auth.PLAIN:
        message = plain.plain_message(settings.user, secret)
    elif how is Auth.XOAUTH2:
        message = bearer.xoauth2_message(settings.user, secret)
    else:
        message = bearer.oauthbearer_message(settings.user, secret, settings.host, settings.port)
        give_up = bearer.GIVE_UP
    line, sent = requests.auth(how.value.upper(), message)
    answer = await connection.exchange(line)
    if isinstance(answer, Challenge) and not sent:
        answer = await connection.exchange(requests.response(message))
    if isinstance(answer, Challenge):  # why it will not, in JSON; its status comes behind
        answer = await connection.exchange(requests.response(give_up))
    return await _ended(connection, answer)


async def _scram(connection: Pop3Connection, settings: Pop3Settings, password: str, random: Random) -> Status:
    """SCRAM-SHA-256: the server proves that it knows the password too, or is not believed (RFC 5802)."""
    import asyncio

    from ...sasl.errors import SaslFault
    from ...sasl.scram_client import ScramClient, State

    nonce = base64.b64encode(random(NONCE_OCTETS)).decode("ascii")
    client = ScramClient(settings.user, password, nonce)
    first = client.first()
    line, sent = requests.auth("SCRAM-SHA-256", first)
    answer = await connection.exchange(line)
    if isinstance(answer, Challenge) and not sent:
        answer = await connection.exchange(requests.response(first))
    try:
        if isinstance(answer, Challenge):
            final = await asyncio.to_thread(client.final, answer.data)
            answer = await connection.exchange(requests.response(final))
        if isinstance(answer, Challenge):
            client.verify(answer.data)
            answer = await connection.exchange(requests.response(b""))
    except SaslFault as error:
        if isinstance(answer, Challenge):
            await _ended(connection, answer)
        raise LoginRefused(f"{settings.host} did not prove that it knows the password ({error}).") from error
    status = await _ended(connection, answer)
    if status.ok and client.state is not State.DONE:
        raise SourceRefused(f"{settings.host} did not prove that it knows the password.")
    return status


async def _ended(connection: Pop3Connection, answer: Status | Challenge) -> Status:
    """The exchange's status; further challenges are cancelled."""
    for _ in range(TURNS):
        if isinstance(answer, Status):
            return answer
        answer = await connection.exchange(requests.CANCEL)
    raise SourceUnavailable("The server goes on asking after the login was given up.")
