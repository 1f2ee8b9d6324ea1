"""The configuration as typed values: every key, its default and what it is for.

One TOML file; a table here is a table there. The text of `restante config show --default` and
docs/configuration.md are made from these classes and their `doc()` texts, so a key is documented once.
Durations are seconds, sizes octets (in the file also "10 MB", "2 GiB", "30 m", "14 d").
"""

from __future__ import annotations

from typing import Annotated

import msgspec

from .table import Doc, Struct


class ListenTable(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Addresses of listeners: "ADDRESS:PORT", a list of those, or "off". lmtp also "unix:/path"."""

    imap: Annotated[str | list[str], Doc("IMAP with STARTTLS.")] = "127.0.0.1:1143"
    imaps: Annotated[str | list[str], Doc("IMAP with implicit TLS.")] = "127.0.0.1:1993"
    pop3: Annotated[str | list[str], Doc("POP3 with STLS.")] = "127.0.0.1:1110"
    pop3s: Annotated[str | list[str], Doc("POP3 with implicit TLS.")] = "127.0.0.1:1995"
    lmtp: Annotated[str | list[str], Doc("LMTP: mail in, from your MTA.")] = "127.0.0.1:1024"
    unix_owner: Annotated[
        str,
        Doc("Owner of Unix sockets, a name or number; empty: who runs the server. Only root can give another."),
    ] = ""
    unix_group: Annotated[
        str,
        Doc(
            "Group of Unix sockets, a name or number: one that the server's user is in; empty: the user's own, or that"
            " of a folder with the set-group-ID bit."
        ),
    ] = ""
    unix_mode: Annotated[
        str, Doc("Mode of Unix sockets, octal. Whoever may write to one can deliver mail: there is no login.")
    ] = "0660"


class ServerTable(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    hostname: Annotated[str, Doc("Name told to clients and in Received fields; empty: this machine's.")] = ""
    workers: Annotated[int, Doc("Server processes; 0: one a core.")] = 0
    drain: Annotated[float, Doc("Seconds given to commands under way when stopping.", "duration")] = 10.0
    growth: Annotated[
        int, Doc("A process that rests and has grown by more than this is replaced by a new one; 0: never.", "size")
    ] = 6 << 20
    write_timeout: Annotated[float, Doc("A peer that takes nothing for so long is dropped.", "duration")] = 60.0
    handshake_timeout: Annotated[float, Doc("Time a TLS handshake may take.", "duration")] = 30.0


class TlsTable(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    certificate: Annotated[str, Doc("PEM file with the certificate chain; empty: a self-signed one is made.")] = ""
    key: Annotated[str, Doc("PEM file with the private key.")] = ""


class LogTable(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    format: Annotated[str, Doc('"plain" or "json".')] = "plain"
    level: Annotated[str, Doc('"debug", "info", "warning" or "error".')] = "info"


class AccountsTable(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    quota: Annotated[int, Doc("Quota of accounts without one of their own; 0: none.", "size")] = 0
    quota_messages: Annotated[int, Doc("Most messages of such an account; 0: no limit.")] = 0
    quota_mailboxes: Annotated[int, Doc("Most mailboxes of such an account, INBOX included; 0: no limit.")] = 0
    mailboxes: Annotated[dict[str, str], Doc("Mailboxes of a new account and their special uses.")] = msgspec.field(
        default_factory=lambda: {
            "Drafts": "\\Drafts",
            "Sent": "\\Sent",
            "Junk": "\\Junk",
            "Trash": "\\Trash",
            "Archive": "\\Archive",
        }
    )
    scram: Annotated[bool, Doc("Keep SCRAM verifiers (weaker than Argon2id if the directory is stolen).")] = False


class AuthTable(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    argon2_memory: Annotated[int, Doc("Argon2id memory.", "size")] = 19 << 20
    argon2_time: Annotated[int, Doc("Argon2id passes.")] = 2
    queue: Annotated[int, Doc("Password checks that may wait; more are told to come back.")] = 128
    cache: Annotated[int, Doc("Proofs remembered, by all processes together.")] = 10_000
    cache_time: Annotated[float, Doc("How long a proof is remembered.", "duration")] = 3600.0
    delay_first: Annotated[float, Doc("Delay after the first wrong password; doubles with each.", "duration")] = 0.5
    delay_most: Annotated[float, Doc("The longest such delay.", "duration")] = 15.0


class ImapTable(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    literal_plus: Annotated[bool, Doc("Announce LITERAL+ instead of LITERAL-.")] = False
    compress: Annotated[bool, Doc("Announce COMPRESS=DEFLATE.")] = True
    unauthenticate: Annotated[
        bool,
        Doc("Announce UNAUTHENTICATE. Off behind a proxy that lets through what follows a login (RFC 8437 8)."),
    ] = True
    append_8bit_headers: Annotated[
        bool,
        Doc("APPEND takes 8-bit header fields from any client, which RFC 6855 4 forbids: for uploads of old mail."),
    ] = False
    language: Annotated[str, Doc('What LANGUAGE "default" stands for: "i-default", "en" or "de".')] = "i-default"
    message_limit: Annotated[
        int,
        Doc("Messages that one command may touch, announced as MESSAGELIMIT (1,000 or more); 0: no limit."),
    ] = 1_000_000
    message_limit_on: Annotated[
        str, Doc('"all": FETCH, SEARCH, STORE, COPY, MOVE, UID EXPUNGE; "saving": COPY and APPEND alone (SAVELIMIT).')
    ] = "all"
    contexts: Annotated[int, Doc("Searches of one session that are kept up to date (CONTEXT=SEARCH).")] = 16
    other_users: Annotated[str, Doc("What stands before the mailboxes that others share; one level of a name.")] = (
        "Other Users"
    )
    share_with_anyone: Annotated[
        bool, Doc("People may grant rights to anyone, all accounts at once; the command line always may.")
    ] = False
    quota_admins: Annotated[list[str], Doc("Addresses of accounts that may change quotas by SETQUOTA.")] = (
        msgspec.field(default_factory=list)
    )
    login_timeout: Annotated[float, Doc("Time for each command before login.", "duration")] = 120.0
    idle_timeout: Annotated[float, Doc("Silence allowed after login (RFC 9051: 30 m or more).", "duration")] = 1800.0
    admin: Annotated[str, Doc("URI of who runs the server, told as METADATA /shared/admin (mailto:...).")] = ""


class Pop3Table(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    delete: Annotated[str, Doc('What DELE does: "remove", "trash" or "keep" (hidden from POP3 alone).')] = "remove"
    leave_days: Annotated[int, Doc("Move to Trash what POP3 retrieved N days ago; -1: never.")] = -1
    seen: Annotated[bool, Doc("RETR sets \\Seen.")] = True
    idle_timeout: Annotated[
        float, Doc("Silence allowed; before login for each command (RFC 1939: 600 or more).", "duration")
    ] = 600.0
    login_delay: Annotated[int, Doc("Seconds to wait between logins of an account (LOGIN-DELAY); 0: none.")] = 0


class DeliveryTable(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    separator: Annotated[str, Doc("Character of plus-addressing; empty: off.")] = "+"
    suppress_duplicates: Annotated[
        float,
        Doc(
            "Suppress redelivery of the same octets to the same recipient within this time; 0: off.",
            "duration",
        ),
    ] = 0.0
    quota_temporary: Annotated[bool, Doc("Over quota answers 452 (try again) instead of 552.")] = True


class StoreTable(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    retention: Annotated[float, Doc("How long removed mail can be brought back.", "duration")] = 14 * 86400.0
    log_retention: Annotated[float, Doc("How long removals are remembered for QRESYNC.", "duration")] = 180 * 86400.0
    reserve: Annotated[int, Doc("Free disk below which deliveries stop; removals go on.", "size")] = 64 << 20
    handles: Annotated[int, Doc("Account files open at once, a process (up to 0.4 MB each).")] = 1_000
    search_index: Annotated[
        bool, Doc("Keep an index for searching texts beside an account's file: 0.3 to 1.4 times the text of the mail.")
    ] = True
    compress: Annotated[
        bool,
        Doc("Compress message contents (zstandard): half the disk, and downloads twice as long."),
    ] = False


class LimitsTable(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    message: Annotated[int, Doc("Largest message taken in.", "size")] = 64 << 20
    append: Annotated[int, Doc("All messages of one IMAP APPEND together; at least the largest one.", "size")] = (
        64 << 20
    )
    connections: Annotated[int, Doc("Connections in all, a process.")] = 20_000
    connections_address: Annotated[int, Doc("Connections from one address or IPv6 /64 (loopback: no limit).")] = 100
    connections_before_login: Annotated[
        int, Doc("Connections without login, a process; past it the oldest is closed (loopback and LMTP: no limit).")
    ] = 2_000
    connections_account: Annotated[int, Doc("Connections of one account.")] = 100
    compressed: Annotated[
        int, Doc("Connections with COMPRESS, a process (about 40 kB each); more are told to go on without.")
    ] = 5_000
    dictionaries: Annotated[
        int, Doc("Connections with COMPRESS that keep a dictionary between answers, a process (about 0.3 MB each).")
    ] = 200
    commands_before_login: Annotated[int, Doc("Commands allowed without login.")] = 50
    bad_commands: Annotated[int, Doc("Syntax errors in a row before the connection ends.")] = 20
    line: Annotated[int, Doc("Length of a command line.", "size")] = 65_536
    set_items: Annotated[int, Doc("Ranges in a sequence set.")] = 10_000
    keywords: Annotated[int, Doc("Keywords of one account.")] = 500
    mailboxes: Annotated[int, Doc("Mailboxes of one account.")] = 10_000
    metadata_value: Annotated[
        int, Doc("Largest value of a METADATA entry (RFC 5464 asks for 1024 or more).", "size")
    ] = 65_536
    metadata_entries: Annotated[int, Doc("METADATA entries of a mailbox, shared and private ones each.")] = 100
    metadata_account: Annotated[int, Doc("All METADATA of one account.", "size")] = 16 << 20
    transfer: Annotated[int, Doc("What one COPY or MOVE may carry from one account to another.", "size")] = 256 << 20
    recipients: Annotated[int, Doc("Recipients of one LMTP transaction.")] = 1_000
    mime_depth: Annotated[int, Doc("Nested parts analysed.")] = 50
    mime_parts: Annotated[int, Doc("Parts of one message analysed.")] = 1_000
    addresses: Annotated[int, Doc("Addresses in one ENVELOPE.")] = 5_000
    header: Annotated[int, Doc("Header octets analysed.", "size")] = 1 << 20


class BackupTable(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    location: Annotated[
        str, Doc("Where backups lie, when a command names no place: a folder, or a bucket: `s3://BUCKET/PREFIX`.")
    ] = ""
    endpoint: Annotated[
        str, Doc("Address of the bucket's server; empty: `AWS_ENDPOINT_URL` of the environment, else Amazon's.")
    ] = ""
    region: Annotated[str, Doc("Region of the bucket; empty: `AWS_REGION` of the environment, else us-east-1.")] = ""
    credentials_file: Annotated[
        str,
        Doc(
            "File with `aws_access_key_id` and `aws_secret_access_key` in a section `[default]`, for its owner alone;"
            " empty: `AWS_ACCESS_KEY_ID` and `AWS_SECRET_ACCESS_KEY` of the environment, else the machine's role."
        ),
    ] = ""
    allow_http: Annotated[bool, Doc("Speak to the bucket's server without TLS, even on another machine.")] = False
    passphrase_file: Annotated[str, Doc("File whose first line is the backup's passphrase.")] = ""
    key_file: Annotated[
        str, Doc("Key file of the backup, instead of a passphrase; of a sealed one, the writing key.")
    ] = ""
    schedule: Annotated[
        str, Doc('When the server backs up each night to `location`: "HH:MM" by this machine\'s clock, or "off".')
    ] = "02:30"
    jitter: Annotated[float, Doc("A night begins so much later at most, by chance.", "duration")] = 600.0
    retry: Annotated[
        float,
        Doc(
            "A night that fails for a passing reason (location out of reach, disk full or busy) is tried again, with"
            " growing pauses, until so long after its beginning; 0: not at all.",
            "duration",
        ),
    ] = 14400.0
    keep_daily: Annotated[int, Doc("Days of which a snapshot stays. All three 0: nothing is ever removed.")] = 14
    keep_weekly: Annotated[int, Doc("Weeks of which a snapshot stays.")] = 8
    keep_monthly: Annotated[int, Doc("Months of which a snapshot stays.")] = 24
    in_imap: Annotated[
        bool, Doc("People find their account's snapshots in their mail application, for reading, below `Backups/`.")
    ] = False
    in_imap_room: Annotated[int, Doc("Disk that is used for it at most, while somebody looks.", "size")] = 4 << 30
    in_imap_room_each: Annotated[
        int, Doc("Of that, what one account may use at most; never more than is then left for others.", "size")
    ] = 1 << 30
    drill: Annotated[
        str,
        Doc('How often a night also restores a sample for trial and compares it: "monthly", "weekly" or "off".'),
    ] = "monthly"
    metrics_file: Annotated[
        str, Doc("File that has the backup's numbers for Prometheus (node_exporter's textfile collector): NAME.prom.")
    ] = ""
    imap: Annotated[
        list[str],
        Doc("Copies of IMAP accounts (`restante sync init`) that are brought up to date first and are in it as well."),
    ] = msgspec.field(default_factory=list)
    copies: Annotated[str, Doc("File of copies in which `imap` looks; empty: that of the user whom this runs as.")] = ""


class Config(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    data: Annotated[str, Doc("Where everything is kept; empty: the platform's data directory.")] = ""
    listen: ListenTable = ListenTable()
    server: ServerTable = ServerTable()
    tls: TlsTable = TlsTable()
    log: LogTable = LogTable()
    accounts: AccountsTable = AccountsTable()
    auth: AuthTable = AuthTable()
    imap: ImapTable = ImapTable()
    pop3: Pop3Table = Pop3Table()
    delivery: DeliveryTable = DeliveryTable()
    store: StoreTable = StoreTable()
    limits: LimitsTable = LimitsTable()
    backup: BackupTable = BackupTable()
