"""Reading the file of copies, and what is checked of it beyond types and bounds (`config`): what excludes each other,
what would do nothing, what would get in the way of another copy.

A wrong key or value is refused with file, line and what was probably meant, as in the server's file.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..config.reading import ConfigError, Reading, parse_toml, read_text
from ..config.table import Struct
from ..values import replace
from .config import (
    CHOICES,
    LABEL,
    PATHS,
    RANGES,
    BrakeTable,
    Copies,
    CopyTable,
    DownloadTable,
    LoginTable,
    OAuth2Table,
    SendTable,
    TrashTable,
    check_name,
    expand,
    parse_server,
)  # fmt: skip
from .unchanged import record

IMAP_ALONE = (
    "mailboxes", "exclude", "removals", "removal_wins", "headers_first", "newest_first", "connections", "compress",
    "stalled", "brake", "trash",
)  # fmt: skip
MAILDIR_ALONE = ("layout", "inbox", "utf8")
POP3_ALONE = ("download",)
"""Keys that do nothing for other copies."""

_ENDPOINT = re.compile(
    rf"(?:https://(?:\[[0-9A-Fa-f:.]+\]|{LABEL}(?:\.{LABEL})*\.?)|http://(?:127\.0\.0\.1|localhost|\[::1\]))"
    r"(?::[0-9]{1,5})?(?:[/?][!-~]*)?"
)
"""What may be asked for a token: over https, or on this machine. No name or password stands before the host."""
_TABLES: Mapping[str, type[Struct]] = {
    "send": SendTable, "oauth2": OAuth2Table, "brake": BrakeTable, "trash": TrashTable, "download": DownloadTable,
}  # fmt: skip


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
