"""A TOML file -> `Config`, or a refusal (`reading`)."""

from __future__ import annotations

import re
import unicodedata
from pathlib import Path
from typing import Any

from ..inbox import is_inbox
from .model import Config
from .reading import (
    DAY,
    Choice,
    ConfigError,
    KeyPath,
    Range,
    Reading,
    docs_of,
    line_of,
    parse_duration,
    parse_size,
    parse_toml,
    read_text,
    tables_of,
)

__all__ = [
    "CHOICES",
    "RANGES",
    "Choice",
    "ConfigError",
    "KeyPath",
    "Range",
    "docs_of",
    "line_of",
    "load",
    "parse",
    "parse_duration",
    "parse_size",
    "tables_of",
]

CHOICES = (
    Choice(("log", "format"), ("plain", "json")),
    Choice(("log", "level"), ("debug", "info", "warning", "error")),
    Choice(("imap", "language"), ("i-default", "en", "de")),
    Choice(("imap", "message_limit_on"), ("all", "saving")),
    Choice(("pop3", "delete"), ("remove", "trash", "keep")),
    Choice(("backup", "drill"), ("monthly", "weekly", "off")),
)

_ANY = float(2**62)

RANGES = (
    Range(("server", "workers"), 0, 1024),
    Range(("server", "drain"), 0, 3600),
    Range(("server", "growth"), 0, _ANY),
    Range(("server", "write_timeout"), 1, DAY),
    Range(("server", "handshake_timeout"), 1, 3600),
    Range(("accounts", "quota"), 0, _ANY),
    Range(("accounts", "quota_messages"), 0, _ANY),
    Range(("accounts", "quota_mailboxes"), 0, _ANY),
    Range(("auth", "argon2_memory"), 8 << 10, 4 << 30),
    Range(("auth", "argon2_time"), 1, 100),
    Range(("auth", "queue"), 1, 1 << 20),
    Range(("auth", "cache"), 0, 1 << 24),
    Range(("auth", "cache_time"), 0, 365 * DAY),
    Range(("auth", "delay_first"), 0, 60),
    Range(("auth", "delay_most"), 0, 600),
    Range(("imap", "message_limit"), 0, 2**32 - 1),
    Range(("imap", "contexts"), 1, 10_000),
    Range(("imap", "login_timeout"), 1, DAY),
    Range(("imap", "idle_timeout"), 60, 7 * DAY),
    Range(("pop3", "leave_days"), -1, 36_500),
    Range(("pop3", "idle_timeout"), 10, DAY),
    Range(("pop3", "login_delay"), 0, 86_400),
    Range(("delivery", "suppress_duplicates"), 0, 365 * DAY),
    Range(("store", "retention"), 0, 36_500 * DAY),
    Range(("store", "log_retention"), 0, 36_500 * DAY),
    Range(("store", "reserve"), 0, _ANY),
    Range(("store", "handles"), 4, 1 << 20),
    Range(("backup", "jitter"), 0, 4 * 3600),
    Range(("backup", "retry"), 0, 20 * 3600),
    Range(("backup", "keep_daily"), 0, 36_500),
    Range(("backup", "keep_weekly"), 0, 36_500),
    Range(("backup", "keep_monthly"), 0, 36_500),
    Range(("backup", "in_imap_room"), 0, _ANY),
    Range(("backup", "in_imap_room_each"), 0, _ANY),
    Range(("limits", "message"), 1 << 10, 2**31 - 1),
    Range(("limits", "append"), 1 << 10, 2**31 - 1),
    Range(("limits", "connections"), 1, 1 << 20),
    Range(("limits", "connections_address"), 1, 65_535),
    Range(("limits", "connections_before_login"), 1, 1 << 20),
    Range(("limits", "compressed"), 1, 1 << 20),
    Range(("limits", "dictionaries"), 1, 1 << 20),
    Range(("limits", "connections_account"), 1, 65_535),
    Range(("limits", "commands_before_login"), 3, 1 << 20),
    Range(("limits", "bad_commands"), 1, 1 << 20),
    Range(("limits", "line"), 1000, 1 << 24),
    Range(("limits", "set_items"), 1, 1 << 20),
    Range(("limits", "keywords"), 1, 1 << 20),
    Range(("limits", "mailboxes"), 6, 1 << 24),
    Range(("limits", "metadata_value"), 1024, 1 << 20),
    Range(("limits", "metadata_entries"), 10, 100_000),
    Range(("limits", "metadata_account"), 1 << 16, _ANY),
    Range(("limits", "transfer"), 1 << 20, _ANY),
    Range(("limits", "recipients"), 100, 1 << 20),
    Range(("limits", "mime_depth"), 1, 200),
    Range(("limits", "mime_parts"), 1, 1 << 20),
    Range(("limits", "addresses"), 1, 1 << 20),
    Range(("limits", "header"), 1 << 10, 1 << 28),
)


def load(file: Path) -> Config:
    """Read and check a configuration file. Raises ConfigError, also if it cannot be read."""
    return parse(read_text(file), str(file))


def parse(text: str, file: str = "configuration") -> Config:
    """Config of a TOML text; `file` names it in refusals. Raises ConfigError."""
    raw = parse_toml(text, file)
    return _ConfigReading(text, file, tables_of(Config)).config(raw)


class _ConfigReading(Reading):
    """The server's file."""

    def config(self, raw: dict[str, Any]) -> Config:
        config = self.table(raw, Config)
        self.check(config, CHOICES, RANGES)
        self._check_listeners(config)
        self._check_words(config)
        return config

    def _check_listeners(self, config: Config) -> None:
        from .listen import LISTENERS, BadListener, parse_listener

        for name in LISTENERS:
            try:
                parse_listener(name, getattr(config.listen, name))
            except BadListener as refusal:
                raise self.error(("listen", name), refusal.text, refusal.remedy) from refusal
        if not re.fullmatch(r"0?[67][0-7]{2}", config.listen.unix_mode):
            raise self.error(
                ("listen", "unix_mode"),
                "listen.unix_mode is a mode in octal with read and write for the owner.",
                'Write "0660" for owner and group, "0600" for the owner alone.',
            )
        for key in ("unix_owner", "unix_group"):
            whose: str = getattr(config.listen, key)
            if not re.fullmatch(r"[^\s:/\x00-\x1f]{0,64}", whose) or (whose.isdecimal() and int(whose) >= 2**32 - 1):
                raise self.error(("listen", key), f"listen.{key} is no name and no number of a {key[5:]}.")

    def _check_words(self, config: Config) -> None:
        if len(config.delivery.separator) > 1 or config.delivery.separator in ("@", '"', "\\", " "):
            raise self.error(("delivery", "separator"), "delivery.separator is one character, or empty.")
        if 0 < config.imap.message_limit < 1000:  # RFC 9738 3
            raise self.error(("imap", "message_limit"), "imap.message_limit is 1000 or more, or 0 for no limit.")
        if config.tls.key and not config.tls.certificate:
            raise self.error(("tls", "key"), "tls.key stands without tls.certificate.", "Name both files.")
        if config.backup.passphrase_file and config.backup.key_file:
            raise self.error(("backup", "key_file"), "backup.passphrase_file and backup.key_file are both given.")
        if not re.fullmatch(r"(?:[01]\d|2[0-3]):[0-5]\d|off", config.backup.schedule):
            raise self.error(("backup", "schedule"), 'backup.schedule is a time of day like "02:30", or "off".')
        if not re.fullmatch(r"[A-Za-z0-9.\-\[\]:]{0,253}", config.server.hostname):
            raise self.error(("server", "hostname"), "server.hostname is no host name.")
        if not re.fullmatch(r"(?:[A-Za-z][A-Za-z0-9+.\-]*:[\x21-\x7e]+)?", config.imap.admin):
            raise self.error(("imap", "admin"), "imap.admin is no URI.", "Write it like mailto:postmaster@example.org.")
        others = config.imap.other_users
        one_level = re.fullmatch(r"[^\x00-\x1f\x7f-\x9f\u2028\u2029/%*\"\\]{1,100}", others)
        if not one_level or is_inbox(others) or not unicodedata.is_normalized("NFC", others):
            raise self.error(
                ("imap", "other_users"),
                'imap.other_users is one level of a mailbox name, composed (NFC), without "/", "%", "*".',
            )
        seen: dict[str, str] = {}
        for name, role in config.accounts.mailboxes.items():
            if role and (not role.startswith("\\") or role in seen):
                raise self.error(
                    ("accounts", "mailboxes", name),
                    f'accounts.mailboxes: "{role}" is no special use, or stands twice.',
                    "Special uses look like \\\\Sent in TOML; an empty string means none.",
                )
            seen[role] = name
