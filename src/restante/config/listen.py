"""Addresses of listeners as values: "ADDRESS:PORT", "[::1]:PORT", "unix:/path", "off".

Shared by the configuration check and the server that binds them; knows no socket.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from ..errors import Refusal

LISTENERS = ("imap", "imaps", "pop3", "pop3s", "lmtp")
"""Names of listeners, in the order they are shown."""

UNIX_LISTENERS = frozenset({"lmtp"})
"""Listeners that may be a Unix socket: those that an MTA on the same machine speaks to."""

MAX_UNIX_PATH = 103
"""Longest path of a Unix socket in octets: sun_path is 108 on Linux and 104 on macOS, with a final NUL."""

_HOST_PORT = re.compile(r"(?:\[(?P<six>[0-9A-Fa-f:.]+(?:%[\w.-]+)?)\]|(?P<host>[^\[\]:\s]+)):(?P<port>\d{1,5})")


class BadListener(Refusal):
    """A listener that cannot be understood."""

    code = "BAD-LISTENER"


@dataclass(frozen=True, slots=True)
class TcpAddress:
    """host: address or name, "*" for every address of the machine. port: 0 lets the system choose (tests)."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class UnixAddress:
    """path: absolute."""

    path: str

    def __str__(self) -> str:
        return f"unix:{self.path}"


Address = TcpAddress | UnixAddress


def parse_listener(name: str, value: str | list[str]) -> tuple[Address, ...]:
    """Addresses of the listener `name`; none for "off" or an empty list. Raises BadListener."""
    if name not in LISTENERS:
        raise BadListener(f'There is no listener "{name}".', f"Listeners are {', '.join(LISTENERS)}.")
    values = [value] if isinstance(value, str) else value
    return tuple(_parse_one(name, one.strip()) for one in values if one.strip() != "off")


def parse_option(option: str) -> tuple[str, str]:
    """(name, value) of a command line's NAME=ADDR:PORT, checked. Raises BadListener."""
    name, equals, value = option.partition("=")
    if not equals:
        raise BadListener(f'"{option}" names no listener.', "Write NAME=ADDRESS:PORT, for example imap=127.0.0.1:1143.")
    name = name.strip().lower()
    parse_listener(name, value)
    return name, value.strip()


def _parse_one(name: str, value: str) -> Address:
    if value.startswith(("unix:", "/")):
        path = value.removeprefix("unix:")
        if name not in UNIX_LISTENERS:
            raise BadListener(f'The listener "{name}" cannot be a Unix socket.', "Write ADDRESS:PORT.")
        if not path.startswith("/") or "\0" in path:
            raise BadListener(f'"{value}" is no absolute path.', "Write unix:/run/restante/lmtp.sock, for example.")
        if len(path.encode("utf-8", "surrogateescape")) > MAX_UNIX_PATH:
            raise BadListener(f'The path in "{value}" is longer than {MAX_UNIX_PATH} octets.', "Choose a shorter one.")
        return UnixAddress(path)
    match = _HOST_PORT.fullmatch(value)
    if match is None or int(match["port"]) > 65535:
        raise BadListener(
            f'"{value}" is no address for the listener "{name}".',
            'Write "ADDRESS:PORT", for example "127.0.0.1:1143" or "[::1]:1143", or "off".',
        )
    return TcpAddress(match["six"] or match["host"], int(match["port"]))
