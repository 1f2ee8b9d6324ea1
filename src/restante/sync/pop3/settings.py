"""What a fetch is told, and what it reports. Values alone: the command line reads them before it imports the rest."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..bucket import Bucket
    from ..refused import Refusals

DAY = 86_400

Secret = Callable[[bool], Awaitable[str]]
"""secret(renew) -> a password, or an access token where `auth` is one of OAuth's. renew: the last one was refused, a
fresh one is wanted (asked once a run, for tokens alone)."""


class Security(Enum):
    """How a connection is protected.

    TLS: from its first octet (port 995). STLS: by that command before anything is said (port 110); a server that does
    not offer it is refused, unless it is on this machine. NONE: not at all, which somebody has to have asked for.
    """

    TLS = "tls"
    STLS = "stls"
    NONE = "none"


class Auth(Enum):
    """How the user is proved.

    AUTO: where nobody can listen (TLS, this machine) PLAIN, else SCRAM-SHA-256, else USER; where somebody can, SCRAM
    first. One attempt a run, whichever it is: a second one with the same wrong password would only help to lock
    the account. TOKEN: XOAUTH2, which nearly all servers that take tokens know, or OAUTHBEARER where that alone is
    offered. APOP is MD5 over the password: used by who asks for it, never else.
    """

    AUTO = "auto"
    PLAIN = "plain"
    SCRAM_SHA_256 = "scram-sha-256"
    TOKEN = "token"
    OAUTHBEARER = "oauthbearer"
    XOAUTH2 = "xoauth2"
    USER = "user"
    APOP = "apop"


@dataclass(frozen=True, slots=True)
class Pop3Settings:
    """One POP3 source.

    host, port, user, secret, security, auth: how to get in. ca_file: PEM with what to trust instead of the system's.
    mailbox: where in the target new mail goes; made if it is missing. An mbox file has INBOX alone.

    delete_after: days that a message stays on the server after we have it, counted from our download; 0: it is
    removed in the session that brought it; None: it stays. only_new: what is on the server at the first meeting is
    passed over. largest: octets; larger messages stay on the server and are reported. seen: new mail is marked \\Seen.

    session_messages: how many are downloaded in one run at most, for connections that do not live long (what is to
    be deleted is deleted at a session's end); None: no bound. timeout: seconds without an octet until a server counts
    as dead. window: commands under way at once where the server takes several. refusals: of logins, kept from run to
    run, so that what was refused is not tried at once. bucket: a cap on octets a second.
    """

    host: str
    port: int
    user: str
    secret: Secret
    security: Security = Security.TLS
    auth: Auth = Auth.AUTO
    ca_file: Path | None = None
    mailbox: str = "INBOX"
    delete_after: int | None = None
    only_new: bool = False
    largest: int | None = None
    seen: bool = False
    session_messages: int | None = None
    timeout: float = 60.0
    window: int = 64
    refusals: Refusals | None = None
    bucket: Bucket | None = None

    @property
    def source(self) -> str:
        """Which maildrop this is: a state that knows another one forgets its names."""
        return f"{self.user} at {self.host}"


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A message that stays on the server although it would have been downloaded, or removed there, and why."""

    number: int
    uidl: str
    size: int
    reason: str


@dataclass(frozen=True, slots=True)
class Report:
    """What a run did.

    listed: messages on the server. downloaded: stored now (in a dry run: would be read), octets: of them. recognised:
    had a name that we did not know, but were here already. passed: passed over (`only_new`). deleted: removed from
    the server (in a dry run: would be). left: messages set aside, with reasons. remaining: for the next run
    (`session_messages`). login_delay: seconds that the server wants between two logins, None if it does not say.
    notes: sentences for people ("this server deletes what was read").
    """

    listed: int = 0
    downloaded: int = 0
    octets: int = 0
    recognised: int = 0
    passed: int = 0
    deleted: int = 0
    left: tuple[LeftOut, ...] = ()
    remaining: int = 0
    login_delay: int | None = None
    notes: tuple[str, ...] = ()


Progress = Callable[[int, int, int], None]
"""progress(done, of, octets): messages decided so far of those that were unknown, octets downloaded."""
