"""Puts the rooms together: configuration, store, authentication, delivery, sessions.

The one place that knows which class stands behind each interface.
"""

from __future__ import annotations

import socket
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from .. import __version__
from ..accounts.authenticate import LocalAuthenticator, Log
from ..accounts.guesses import GuessTable
from ..accounts.proofs import ProofTable
from ..clock import Clock, Random
from ..config.limits import mime_limits
from ..config.model import Config
from ..config.paths import FolderRefusal, run_folder
from ..connection import Connection
from ..delivery import StoreDelivery
from ..imap.session.session import ImapSession
from ..pop3.logins import LoginTimes
from ..pop3.session import Pop3Session
from ..smtp.lmtp import LmtpSession
from .engine import INDEX_AFTER, open_engine
from .logs import Logger
from .past_late import LatePast
from .services import Session, Wire
from .worker import CURRENT, Assembly, Build

if TYPE_CHECKING:
    from .past import PastOverSocket


def builder(config: Config, random: Random) -> Build:
    """`build` for all workers of a server, with a secret and proofs of passwords that they share: called before the
    fork."""
    return partial(build, secret=random(32), proofs=ProofTable(random, config.auth.cache))


def build(
    config: Config,
    data: Path,
    clock: Clock,
    random: Random,
    log: Logger,
    *,
    secret: bytes = b"",
    proofs: ProofTable | None = None,
) -> Assembly:
    """Everything that one worker serves with. Called inside its running loop. Raises Refusal (StoreRefusal)."""
    engine = open_engine(config, data, clock, random, index_after=INDEX_AFTER)
    bounds = mime_limits(config.limits)
    authenticator = LocalAuthenticator(
        engine.directory,
        config.auth,
        clock,
        random,
        _login_log(log),
        guesses=_guesses(data, random, log),
        secret=secret,
        proofs=proofs,
    )
    delivery = StoreDelivery(engine, config.delivery, config.accounts, clock=clock, limits=bounds)
    logins = _login_times(config, data, log)
    hostname = config.server.hostname or socket.gethostname()
    past = _past(config, data, clock, random, log)

    def imap(connection: Connection) -> Session:
        return ImapSession(
            connection,
            engine,
            authenticator,
            config.imap,
            config.limits,
            clock,
            version=__version__,
            hostname=hostname,
            past=past,
        )

    def pop3(connection: Connection) -> Session:
        return Pop3Session(
            connection,
            engine,
            authenticator,
            config.pop3,
            config.limits,
            logins=logins,
            clock=clock,
            hostname=hostname,
            mime_limits=bounds,
        )

    def lmtp(connection: Connection) -> Session:
        return LmtpSession(connection, delivery, config.limits, hostname)

    def close() -> None:
        authenticator.close()
        logins.close()

    return Assembly({Wire.IMAP: imap, Wire.POP3: pop3, Wire.LMTP: lmtp}, engine, close, past.close if past else None)


def _past(config: Config, data: Path, clock: Clock, random: Random, log: Logger) -> LatePast | None:
    """The way to the backup, for sessions that look at what their account was; None where it is not configured."""
    if not config.backup.in_imap:
        return None
    if not config.backup.location:
        log.warning("nobody sees Backups/", reason="backup.location is not set")
        return None

    def made() -> PastOverSocket:
        from .past import PastOverSocket

        return PastOverSocket(config, data, clock, random, log)

    return LatePast(made)


def _guesses(data: Path, random: Random, log: Logger) -> GuessTable:
    """The failed logins that all workers count together."""
    path = run_folder(data) / "guesses"

    def failed(error: OSError) -> None:
        log.warning("failed logins are counted by each worker for itself", reason=error.strerror)

    try:
        return GuessTable(random, path, failed)
    except OSError as error:
        raise FolderRefusal(f"{path} cannot be written ({error.strerror}).", "Give its folder rights.") from error


def _login_times(config: Config, data: Path, log: Logger) -> LoginTimes:
    """When accounts logged in by POP3: where LOGIN-DELAY is on, in a file that all workers share."""
    if config.pop3.login_delay <= 0:
        return LoginTimes()
    path = run_folder(data) / "pop3-logins"

    def failed(error: OSError) -> None:
        log.warning("LOGIN-DELAY is measured by each worker for itself", reason=error.strerror)

    try:
        return LoginTimes(path, failed)
    except OSError as error:
        raise FolderRefusal(f"{path} cannot be written ({error.strerror}).", "Give its folder rights.") from error


_EVENTS = {"login-failed": "auth failed"}
"""The authenticator's events -> ours. "auth failed rip=ADDRESS" is a promise to fail2ban filters."""


def _login_log(log: Logger) -> Log:
    """What the authenticator logs, under the id of the connection whose session asks."""

    def write(event: str, fields: Mapping[str, object]) -> None:
        name = _EVENTS.get(event, event)
        rest = {key: value for key, value in fields.items() if key not in ("address", "protocol")}
        channel = CURRENT.get()
        if channel is None:
            log.info(name, rip=fields.get("address"), protocol=fields.get("protocol"), **rest)
        elif event == "login":
            channel.log_behind(name, **rest)
        else:
            channel.log(name, **rest)

    return write
