"""The file of copies as typed values: every key, its default and what it is for. How a text becomes them: `load`.

One TOML file, several copies, a table each:

    [copy.work]
    imap = "imap.example.com"
    user = "anna@example.com"
    password_command = "pass show mail/work"
    maildir = "~/Mail/work"

docs/sync-configuration.md is made from these classes (`python -m restante.sync.reference`). A wrong key or value is
refused with file, line and what was probably meant, as in the server's file. Durations are seconds, sizes octets (in
the file also "10 MB", "5 m").
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from ..config.reading import Choice, ConfigError, Range
from ..config.table import Doc, Struct
from ..values import Value

RESERVED = frozenset({"run", "init", "list", "status", "removals", "fetch", "config"})
"""Names of subcommands: no copy may have them."""

PORTS = {
    ("imap", "implicit"): 993, ("imap", "starttls"): 143, ("imap", "none"): 143,
    ("pop3", "implicit"): 995, ("pop3", "starttls"): 110, ("pop3", "none"): 110,
    ("smtp", "implicit"): 465, ("smtp", "starttls"): 587, ("smtp", "none"): 587,
}  # fmt: skip
"""Where a server is where no port is written (RFC 8314 7.3, RFC 6409 3.1)."""


class OAuth2Table(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    token_command: Annotated[
        str, Doc("Command that prints an access token, run without a shell. With it nothing else of this table counts.")
    ] = ""
    endpoint: Annotated[str, Doc("URL where a refresh token is exchanged for an access token (https).")] = ""
    client_id: Annotated[str, Doc("What the provider knows this program as.")] = ""
    client_secret: Annotated[str, Doc("Secret of the client, where the provider gave one.")] = ""
    refresh_token: Annotated[
        str, Doc("The refresh token. Where the provider gives a new one, that is kept and used instead.")
    ] = ""
    refresh_token_command: Annotated[str, Doc("Command that prints the refresh token, run without a shell.")] = ""
    scope: Annotated[str, Doc("Scope to ask for; empty: what the refresh token stands for.")] = ""


class LoginTable(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How to get into a server. Of the four ways to a password or token one is given."""

    tls: Annotated[
        str,
        Doc('"implicit" (TLS from the first octet), "starttls", or "none": then all, the password too, can be read.'),
    ] = "implicit"
    certificate: Annotated[
        str, Doc("PEM file of authorities (or the one certificate) to trust instead of the system's.")
    ] = ""
    user: Annotated[str, Doc("Name to log in with, most often the address.")] = ""
    password_command: Annotated[
        str,
        Doc("Command whose first line is the password. Run without a shell: for a pipe write \"sh -c '...'\"."),
    ] = ""
    password_file: Annotated[
        str, Doc("File whose first line is the password; it belongs to you, and nobody else may read it.")
    ] = ""
    keyring: Annotated[str, Doc("Service under which the system's keyring has the password of `user`.")] = ""
    oauth2: OAuth2Table = OAuth2Table()


class SendTable(LoginTable, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How mail is sent (`restante send`, `restante-sendmail`, the Outbox). Without `smtp` none is."""

    smtp: Annotated[str, Doc('Submission server, "HOST" or "HOST:PORT".')] = ""
    addresses: Annotated[
        list[str],
        Doc('Sender addresses that go this way, the main one first; "*@example.com" too. Empty: `user`.'),
    ] = msgspec.field(default_factory=list)
    name: Annotated[str, Doc("Full name for From, where a message has no From.")] = ""
    outbox: Annotated[
        str,
        Doc("Mailbox of the copy whose messages are sent, made if missing, never copied to the server. Empty: none."),
    ] = "Outbox"
    sent: Annotated[
        str, Doc("Mailbox of the copy that sent mail is filed to; empty: the one whose special use is \\Sent, or Sent.")
    ] = ""
    file: Annotated[
        bool, Doc("File sent mail. Off for a provider whose server does so by itself (you would have it twice).")
    ] = True
    give_up: Annotated[float, Doc("How long to try before a message comes back.", "duration")] = 5 * 86400.0


class BrakeTable(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """When removals are held until you have decided (`restante sync removals`)."""

    on: Annotated[bool, Doc("Off: nothing is ever held.")] = True
    vanished: Annotated[bool, Doc("Hold the messages of a mailbox that is gone.")] = True
    emptied: Annotated[int, Doc("Hold where a mailbox lost all of at least this many messages.")] = 10
    share: Annotated[float, Doc("Hold where a mailbox lost more than this share of its messages ...")] = 0.5
    least: Annotated[int, Doc("... and at least this many.")] = 100
    number: Annotated[int, Doc("Hold where one side lost more than this many.")] = 1000
    window: Annotated[
        float, Doc("Removals of several runs within this time count together for `share` and `number`.", "duration")
    ] = 600.0


class TrashTable(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where what is removed by a run is kept for a time."""

    days: Annotated[int, Doc("Days that removed messages are kept; 0: they are not.")] = 0
    mailbox: Annotated[
        str, Doc("Mailbox of the copy where they are kept (it is not copied); empty: a folder beside the copy's state.")
    ] = ""


class DownloadTable(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """POP3 alone: what becomes of mail here and on the server."""

    mailbox: Annotated[str, Doc("Mailbox of the copy that new mail goes to.")] = "INBOX"
    delete_after: Annotated[
        int, Doc("Days after which downloaded mail is removed from the server; 0: at once, -1: never.")
    ] = -1
    only_new: Annotated[bool, Doc("Pass over what is on the server at the first run.")] = False
    seen: Annotated[bool, Doc("Mark what is downloaded as read.")] = False
    session_messages: Annotated[int, Doc("Most messages of one run, for lines that break soon; 0: no limit.")] = 0
    auth: Annotated[
        str,
        Doc(
            '"auto", "plain", "scram-sha-256", "user" or "apop"; for a token "auto" (what the server offers), '
            '"xoauth2" or "oauthbearer".'
        ),
    ] = "auto"


class CopyTable(LoginTable, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One copy: a server's account (`imap` or `pop3`) and where its mail is kept here."""

    imap: Annotated[str, Doc('IMAP server, "HOST" or "HOST:PORT".')] = ""
    pop3: Annotated[str, Doc('POP3 server, "HOST" or "HOST:PORT".')] = ""
    maildir: Annotated[str, Doc("Folder of the copy: a tree of Maildirs, made if missing.")] = ""
    layout: Annotated[
        str,
        Doc(
            'How the tree is laid out: "maildir++" (.Lists.Music; what Dovecot and most readers expect) or "plain" '
            "(Lists/Music)."
        ),
    ] = "maildir++"
    inbox: Annotated[
        str,
        Doc('Folder of a plain tree that is INBOX, "." for the tree itself. Empty: "INBOX"; of Maildir++ the tree.'),
    ] = ""
    utf8: Annotated[bool, Doc("Name new folders of the tree in UTF-8 instead of IMAP's modified UTF-7.")] = False
    store: Annotated[str, Doc('Account of a Restante store, such as "anna@localhost".')] = ""
    mbox: Annotated[str, Doc("mbox file that POP3 mail is added to.")] = ""
    mailboxes: Annotated[
        list[str], Doc('Mailboxes to copy, by name, with "*" for anything and "?" for one character; empty: all.')
    ] = msgspec.field(default_factory=list)
    exclude: Annotated[list[str], Doc("Mailboxes to leave alone on both sides, written the same way.")] = msgspec.field(
        default_factory=list
    )
    removals: Annotated[bool, Doc("Carry removals over. Off: what is removed on one side stays on the other.")] = True
    removal_wins: Annotated[
        bool, Doc("What is removed on one side is removed on the other even if it was changed there meanwhile.")
    ] = False
    largest: Annotated[
        int, Doc("Larger messages leave a placeholder (`restante sync fetch` brings them); 0: no limit.", "size")
    ] = 0
    headers_first: Annotated[
        int,
        Doc(
            "For slow lines: of larger messages the header comes first, as a placeholder, and they themselves behind "
            "all else; 0: all comes whole.",
            "size",
        ),
    ] = 0
    newest_first: Annotated[
        bool | Literal["auto"],
        Doc(
            'Bring what came last first. "auto": into a Maildir, whose readers sort by date; not into a store: IMAP '
            "clients may show mail in the order in which it was filed."
        ),
    ] = "auto"
    connections: Annotated[int, Doc("Most connections to the server at once.")] = 4
    compress: Annotated[bool, Doc("Compress what goes over the line, where the server can (COMPRESS=DEFLATE).")] = True
    stalled: Annotated[
        float,
        Doc("How long an IMAP server may talk without doing what it was asked, before it is given up.", "duration"),
    ] = 1800.0
    bandwidth: Annotated[
        int, Doc("Most octets a second from and to the server (not of what is sent by SMTP); 0: no limit.", "size")
    ] = 0
    interval: Annotated[float, Doc("With --watch: a full look this often, whatever was announced.", "duration")] = 300.0
    brake: BrakeTable = BrakeTable()
    trash: TrashTable = TrashTable()
    download: DownloadTable = DownloadTable()
    send: SendTable = SendTable()


PATHS = ("maildir", "mbox", "password_file", "certificate")
"""Keys that name a file or folder."""

CHOICES = (
    Choice(("tls",), ("implicit", "starttls", "none")),
    Choice(("send", "tls"), ("implicit", "starttls", "none")),
    Choice(("layout",), ("maildir++", "plain")),
    Choice(("download", "auth"), ("auto", "plain", "scram-sha-256", "user", "apop", "xoauth2", "oauthbearer")),
)
RANGES = (
    Range(("largest",), 0, 2**62),
    Range(("headers_first",), 0, 2**62),
    Range(("connections",), 1, 30),
    Range(("stalled",), 60, 86_400),
    Range(("bandwidth",), 0, 2**62),
    Range(("interval",), 10, 86_400),
    Range(("brake", "emptied"), 1, 2**31),
    Range(("brake", "share"), 0, 1),
    Range(("brake", "least"), 1, 2**31),
    Range(("brake", "number"), 1, 2**31),
    Range(("brake", "window"), 0, 86_400),
    Range(("trash", "days"), 0, 36_500),
    Range(("download", "delete_after"), -1, 36_500),
    Range(("download", "session_messages"), 0, 2**31),
    Range(("send", "give_up"), 3600, 30 * 86_400),
)

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
LABEL = r"[A-Za-z0-9_-]{1,63}"
"""Between the dots of a host's name."""
_SERVER = re.compile(
    r"(?:\[(?P<six>[0-9A-Fa-f:.]+)\]|"
    rf"(?P<host>(?=[^:]{{1,253}}(?::|\Z)){LABEL}(?:\.{LABEL})*\.?))"
    r"(?::(?P<port>[0-9]{1,5}))?"
)
"""HOST, HOST:PORT, [IPv6] or [IPv6]:PORT. A name with an empty label, or a longer one, would not be looked up, but end
in Python's codec for international names."""


class Server(Value, frozen=True):
    """Where to connect. tls: as in LoginTable."""

    host: str
    port: int
    tls: str

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class Copies(Value, frozen=True):
    """A file of copies, read. data: where state (and stores) lie; None where the file does not say. stamp: of the file
    as it was read (`unchanged.record.stamp`). names: of all copies in it, whichever `copies` still holds."""

    file: Path
    data: Path | None
    copies: Mapping[str, CopyTable]
    stamp: list[int] | None = None
    names: tuple[str, ...] = ()


def parse_server(kind: str, value: str, tls: str) -> Server:
    """kind: "imap", "pop3" or "smtp". Raises ValueError."""
    found = _SERVER.fullmatch(value)
    port = int(found["port"]) if found is not None and found["port"] else PORTS[kind, tls]
    if found is None or not 0 < port < 65_536:
        usual = PORTS[kind, tls]
        raise ValueError(f'"{value}" is no server; write "{kind}.example.com" or "{kind}.example.com:{usual}"')
    return Server(found["six"] or found["host"], port, tls)


def source_of(copy: CopyTable) -> Server:
    """The server that a (checked) copy is of."""
    kind = "imap" if copy.imap else "pop3"
    return parse_server(kind, copy.imap or copy.pop3, copy.tls)


def check_name(name: str) -> None:
    """Raises ValueError for what cannot be a copy's name."""
    if not _NAME.fullmatch(name):
        raise ValueError(f'"{name}" is no name for a copy: letters, digits, "-" and "_", at most 64')
    if name.lower() in RESERVED:
        raise ValueError(f'"{name}" is a command of "restante sync" and cannot name a copy')


def expand(path: str) -> Path:
    """A path of the file: "~" is the home folder."""
    return Path(path).expanduser()


def need_copies(copies: Copies, names: tuple[str, ...]) -> dict[str, CopyTable]:
    """The copies of these names, all where none is given. Raises ConfigError, with what was probably meant."""
    if not copies.copies:
        raise ConfigError(str(copies.file), 0, "there is no copy in it.", "Make one: restante sync init NAME ...")
    if not names:
        return dict(copies.copies)
    found = {}
    for name in names:
        if name not in copies.copies:
            import difflib

            close = difflib.get_close_matches(name, copies.copies, 1)
            hint = f"Did you mean {close[0]}?" if close else f"There are: {', '.join(copies.copies)}."
            raise ConfigError(str(copies.file), 0, f'there is no copy "{name}".', hint)
        found[name] = copies.copies[name]
    return found
