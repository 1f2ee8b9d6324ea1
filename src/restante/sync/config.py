"""The file of copies as typed values: every key, its default and what it is for; and the way of a text to them.

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

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec

from ..config.reading import Choice, ConfigError, Range, Reading, parse_toml, read_text
from ..config.table import Doc, Struct
from ..values import Value, replace
from .unchanged import record

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

IMAP_ALONE = (
    "mailboxes", "exclude", "removals", "removal_wins", "headers_first", "newest_first", "connections", "compress",
    "stalled", "brake", "trash",
)  # fmt: skip
MAILDIR_ALONE = ("layout", "inbox", "utf8")
POP3_ALONE = ("download",)
"""Keys that do nothing for other copies."""

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
_LABEL = r"[A-Za-z0-9_-]{1,63}"
_SERVER = re.compile(
    r"(?:\[(?P<six>[0-9A-Fa-f:.]+)\]|"
    rf"(?P<host>(?=[^:]{{1,253}}(?::|\Z)){_LABEL}(?:\.{_LABEL})*\.?))"
    r"(?::(?P<port>[0-9]{1,5}))?"
)
"""HOST, HOST:PORT, [IPv6] or [IPv6]:PORT. A name with an empty label, or a longer one, would not be looked up, but end
in Python's codec for international names."""
_ENDPOINT = re.compile(
    rf"(?:https://(?:\[[0-9A-Fa-f:.]+\]|{_LABEL}(?:\.{_LABEL})*\.?)|http://(?:127\.0\.0\.1|localhost|\[::1\]))"
    r"(?::[0-9]{1,5})?(?:[/?][!-~]*)?"
)
"""What may be asked for a token: over https, or on this machine. No name or password stands before the host."""
_TABLES: Mapping[str, type[Struct]] = {
    "send": SendTable, "oauth2": OAuth2Table, "brake": BrakeTable, "trash": TrashTable, "download": DownloadTable,
}  # fmt: skip


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


def load_copies(file: Path) -> Copies:
    """Read and check a file of copies. Raises ConfigError, also where others may read a refresh token in it."""
    stamp = record.stamp(str(file))  # before it is read: what is written meanwhile gives it another one
    found = parse_copies(read_text(file), file)
    tokens = (table.oauth2.refresh_token for copy in found.copies.values() for table in (copy, copy.send))
    if any(tokens) and file.stat().st_mode & 0o077:
        text = "others may read it, and it holds a refresh token, which lets them in."
        raise ConfigError(str(file), 0, text, f"Make it yours: chmod 600 {file}")
    return replace(found, stamp=stamp)


def parse_copies(text: str, file: Path) -> Copies:
    """The copies of a TOML text. Raises ConfigError."""
    raw = parse_toml(text, str(file))
    reading = _CopyReading(text, str(file), _TABLES)
    return reading.copies(raw, file)


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


class _CopyReading(Reading):
    def copies(self, raw: Mapping[str, Any], file: Path) -> Copies:
        for key in raw:
            if key not in ("copy", "data"):
                hint = "A copy is a table: [copy.NAME]." if isinstance(raw[key], dict) else "Known here: copy, data."
                path = (key, *list(raw[key])[:1]) if isinstance(raw[key], dict) else (key,)
                raise self.error(path, f"there is no key {key}.", hint)
        data = raw.get("data", "")
        if not isinstance(data, str):
            raise self.error(("data",), "data is the name of a folder.")
        self._anchored(data, ("data",))
        tables = raw.get("copy", {})
        if not isinstance(tables, dict) or not all(isinstance(each, dict) for each in tables.values()):
            raise self.error(("copy",), "copy is a table of tables: write [copy.NAME].")
        found: dict[str, CopyTable] = {}
        for name, table in tables.items():
            path = ("copy", name)
            try:
                check_name(name)
            except ValueError as error:
                raise self.error(path, f"{error}.") from error
            found[name] = self.table(table, CopyTable, path)
            self.check(found[name], CHOICES, RANGES, path)
            self._whole(found[name], path)
        self._apart(found)
        return Copies(file, Path(data).expanduser() if data else None, found, names=tuple(found))

    def _whole(self, copy: CopyTable, path: tuple[str, ...]) -> None:
        """What one copy must say, once."""
        dotted = ".".join(path)
        self._one_of(path, {"imap": copy.imap, "pop3": copy.pop3}, "a server")
        self._one_of(path, {"maildir": copy.maildir, "store": copy.store, "mbox": copy.mbox}, "a place for the mail")
        if copy.inbox and copy.layout != "plain":
            raise self.error((*path, "inbox"), f"{dotted}.inbox is for a plain tree.", 'Say layout = "plain".')
        if copy.mbox and copy.imap:
            raise self.error((*path, "mbox"), f"{dotted}: an mbox file takes mail of POP3 alone.", "Name a maildir.")
        if copy.mbox and copy.send.smtp:
            raise self.error((*path, "send"), f"{dotted}: mail is sent from a copy in a maildir or store alone.")
        tokens = copy.download.auth in ("xoauth2", "oauthbearer")
        if copy.pop3 and copy.download.auth != "auto" and tokens != (copy.oauth2 != OAuth2Table()):
            raise self.error(
                (*path, "download", "auth"), f"{dotted}.download.auth does not go with what `oauth2` says."
            )
        if copy.store and "@" not in copy.store:
            raise self.error((*path, "store"), f'{dotted}.store is an account, such as "anna@localhost".')
        if not copy.user:
            raise self.error(path, f"{dotted} says no user.", 'Add user = "...".')
        self._idle(copy, path)
        self._set_apart(copy, path)
        for table, where in ((copy, path), (copy.send, (*path, "send"))):
            for key in PATHS:
                self._anchored(getattr(table, key, ""), (*where, key))
        self._servers(copy, path)
        self._login(copy, path, needed=True)
        if copy.send.smtp:
            self._login(copy.send, (*path, "send"), needed=False)

    def _idle(self, copy: CopyTable, path: tuple[str, ...]) -> None:
        """What would do nothing: whoever wrote it believes that it does."""
        dotted, default = ".".join(path), CopyTable()
        for keys, used, what in (
            (IMAP_ALONE, copy.imap, "copies of IMAP"),
            (POP3_ALONE, copy.pop3, "copies of POP3"),
            (MAILDIR_ALONE, copy.maildir, "a maildir"),
        ):
            for key in keys:
                if not used and getattr(copy, key) != getattr(default, key):
                    raise self.error((*path, key), f"{dotted}.{key} is for {what} alone.", "Leave it out.")
        if copy.send != SendTable() and not copy.send.smtp:
            raise self.error((*path, "send"), f"{dotted}.send says no smtp.", "Without it nothing is sent.")
        if copy.trash.mailbox and not copy.trash.days:
            where = (*path, "trash", "mailbox")
            raise self.error(where, f"{dotted}.trash.mailbox: nothing is kept there for 0 days.", "Say days = 30.")

    def _set_apart(self, copy: CopyTable, path: tuple[str, ...]) -> None:
        """What lies in the Outbox is sent to whomever it names, and removed: no other mail may come there. Neither it
        nor the trash is copied."""
        from .patterns import INBOX, canonical

        outbox = canonical(copy.send.outbox) if copy.send.smtp else ""
        for name, where, would in (
            (outbox, ("send", "outbox"), "all that comes there would be sent"),
            (canonical(copy.trash.mailbox), ("trash", "mailbox"), "it would be copied no more"),
        ):
            if name == INBOX:
                text = f"{'.'.join((*path, *where))} cannot be INBOX: {would}."
                raise self.error((*path, *where), text, "Name a mailbox of its own.")
        for name, where in (
            (copy.send.sent, ("send", "sent")),
            (copy.trash.mailbox, ("trash", "mailbox")),
            (copy.download.mailbox, ("download", "mailbox")),
        ):
            if outbox and canonical(name) == outbox:
                text = f"{'.'.join((*path, *where))} is the Outbox: what comes there would be sent."
                raise self.error((*path, *where), text, "Name another mailbox.")

    def _anchored(self, value: str, path: tuple[str, ...]) -> None:
        """A path that means the same from wherever a run begins: mail would be looked for elsewhere else."""
        if value and not value.startswith("~") and not Path(value).is_absolute():
            raise self.error(
                path, f'{".".join(path)}: "{value}" depends on where you are.', 'Begin it with "/" or "~/".'
            )

    def _servers(self, copy: CopyTable, path: tuple[str, ...]) -> None:
        for kind, value, tls, where in (
            ("imap", copy.imap, copy.tls, path),
            ("pop3", copy.pop3, copy.tls, path),
            ("smtp", copy.send.smtp, copy.send.tls, (*path, "send")),
        ):
            if value:
                try:
                    parse_server(kind, value, tls)
                except ValueError as error:
                    raise self.error((*where, kind), f"{'.'.join((*where, kind))}: {error}.") from error

    def _login(self, login: LoginTable, path: tuple[str, ...], *, needed: bool) -> None:
        """One way to a password or token; with `needed` at least one."""
        oauth2 = login.oauth2
        ways = {
            "password_command": login.password_command,
            "password_file": login.password_file,
            "keyring": login.keyring,
            "oauth2": oauth2.token_command or oauth2.endpoint,
        }
        if needed or any(ways.values()):
            self._one_of(path, ways, "a way to the password")
        if oauth2 == OAuth2Table() or oauth2.token_command:
            return
        here, dotted = (*path, "oauth2"), ".".join((*path, "oauth2"))
        if not oauth2.endpoint or not oauth2.client_id:
            raise self.error(here, f"{dotted} needs token_command, or endpoint and client_id.")
        if not _ENDPOINT.fullmatch(oauth2.endpoint):
            raise self.error((*here, "endpoint"), f"{dotted}.endpoint is an https URL.")
        self._one_of(
            here,
            {"refresh_token": oauth2.refresh_token, "refresh_token_command": oauth2.refresh_token_command},
            "a refresh token",
        )

    def _one_of(self, path: tuple[str, ...], values: Mapping[str, str], what: str) -> None:
        given = [key for key, value in values.items() if value]
        if len(given) > 1:
            text = f"{'.'.join(path)} says {given[0]} and {given[1]}."
            raise self.error((*path, given[1]), text, "Leave one of them out.")
        if not given:
            raise self.error(path, f"{'.'.join(path)} says no {what.split(' ', 1)[1]}.", f"Give {' or '.join(values)}.")

    def _apart(self, copies: Mapping[str, CopyTable]) -> None:
        """Two copies in one place would take each other's mail for removed; one within the other's tree would have its
        mail sent to the other's server. What POP3 brings is new mail to whoever looks after the place, and may well be
        meant to go there: several maildrops into one tree, or an account that is read by IMAP too."""
        seen: dict[str, str] = {}
        senders: dict[str, str] = {}
        roots: dict[str, str] = {}
        places: list[tuple[str, str]] = []
        for name, copy in copies.items():
            for key in ("maildir", "store"):
                value = getattr(copy, key)
                place = f"{key} {os.path.realpath(expand(value)) if key == 'maildir' else value.lower()}"
                if value and copy.send.smtp and copy.send.outbox and (other := senders.setdefault(place, name)) != name:
                    text = f"copy.{name} and copy.{other} would both send what lies in the Outbox of one {key}."
                    raise self.error(("copy", name, "send"), text, 'Say outbox = "" in one of them.')
                if not value or not copy.imap:
                    continue
                if place in seen:
                    raise self.error(("copy", name, key), f"copy.{name} and copy.{seen[place]} have one {key}.")
                seen[place] = name
                places.append((name, place))
                if key == "maildir":
                    roots[name] = place.removeprefix("maildir ")
        for name, place in places:
            self._outbox_apart(name, copies[name], senders.get(place, name), copies)
        for name, root in roots.items():
            for other, outer in roots.items():
                if root.startswith(outer + "/") and _is_mailbox(root[len(outer) + 1 :], copies[other].layout):
                    raise self.error(
                        ("copy", name, "maildir"),
                        f"copy.{name} lies within the tree of copy.{other}, and would be a mailbox of it.",
                        "Give them folders beside each other.",
                    )

    def _outbox_apart(self, name: str, copy: CopyTable, sender: str, copies: Mapping[str, CopyTable]) -> None:
        """What lies in an Outbox is on its way: a copy that carried it to its server, and brought it back from there
        because it was changed meanwhile, would have it sent twice."""
        if sender == name:
            return
        from .patterns import canonical, fits

        outbox = canonical(copies[sender].send.outbox)
        taken = not copy.mailboxes or any(fits(outbox, each) for each in copy.mailboxes)
        if taken and not any(fits(outbox, each) for each in copy.exclude):
            text = f"copy.{name} would carry what lies in the Outbox of copy.{sender} to its server."
            raise self.error(("copy", name), text, f'Say exclude = ["{outbox}"] in copy.{name}.')


def _is_mailbox(path: str, layout: str) -> bool:
    """Whether a folder at this path below a tree's root may be one of its mailboxes (`maildir.layout`)."""
    levels = path.split("/")
    if layout == "plain":
        return not any(level.startswith(".") or level in ("cur", "new", "tmp") for level in levels)
    return len(levels) == 1 and path.startswith(".") and not path.startswith("..")


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
