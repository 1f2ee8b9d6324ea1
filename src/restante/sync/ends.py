"""What a command works on, as somebody names it on the command line, and the side that is made of it.

An end is an IMAP server, a tree of Maildirs, mbox files (to read), or an account of a Restante store. What makes sides
is imported when it is needed.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING

from ..clock import Clock
from ..config.paths import is_utf8
from ..errors import Refusal
from .config import LoginTable, expand, parse_server
from .side import Side

if TYPE_CHECKING:
    from .local import Opened
    from .maildir import Layout
    from .secrets import Secret


USUAL = (143, 993)
"""Ports of one and the same IMAP service."""


class BadEnd(Refusal):
    """What was said of an end is not enough, too much, or no end."""

    code = "BAD-END"


AUTO = "auto"


class Kind(Enum):
    IMAP = "imap"
    MAILDIR = "maildir"
    MBOX = "mbox"
    STORE = "store"


@dataclass(frozen=True, slots=True)
class End:
    """prefix: of its options, "from" or "to"; empty where they have none. place: HOST[:PORT], a path, or an
    account's address. login: how to get into a server. data: a store's folder. layout: of a tree of Maildirs,
    "maildir++" or "plain"; AUTO: seen when it is opened."""

    prefix: str
    kind: Kind
    place: str
    login: LoginTable = field(default_factory=LoginTable)
    data: Path = Path()
    layout: str = AUTO

    @property
    def title(self) -> str:
        """For people, and for the proof: never a password."""
        if self.kind is Kind.IMAP:
            return f"{parse_server('imap', self.place, self.login.tls)} as {self.login.user}"
        return self.place if self.kind is Kind.STORE else str(expand(self.place))

    @property
    def key(self) -> str:
        """What it is, for the ledger: the same end has the same key however it was written."""
        if self.kind is Kind.IMAP:
            server = parse_server("imap", self.place, self.login.tls)
            port = "" if server.port in USUAL else f":{server.port}"
            return f"imap:{server.host.lower()}{port} {self.login.user}"
        if self.kind is Kind.STORE:
            return f"store:{os.path.realpath(self.data)} {self.place.lower()}"
        return f"{self.kind.value}:{os.path.realpath(expand(self.place))}"


def end_of(prefix: str, places: Mapping[Kind, str | None], login: LoginTable, data: Path, layout: str = AUTO) -> End:
    """The one end that was named. prefix: as `End` has it. Raises BadEnd."""
    given = [(kind, place) for kind, place in places.items() if place]
    if len(given) != 1:
        ways = ", ".join(_option(prefix, kind.value) for kind in places)
        where = f" to go {prefix}" if prefix else ""
        raise BadEnd(f"{'More than one place' if given else 'No place'} was named{where}.", f"Say one of {ways}.")
    kind, place = given[0]
    if kind is Kind.IMAP:
        _check(prefix, login)
        try:
            parse_server("imap", place, login.tls)
        except ValueError as error:
            raise BadEnd(f"{error}.") from error
    elif not is_utf8(place):  # nor could its proof, which is JSON, name it
        raise BadEnd(f"{place} is no UTF-8.", "Give it another name, or name it by a link.")
    return End(prefix, kind, place, login, data, layout)


def _option(prefix: str, name: str) -> str:
    """The option's name on the command line."""
    return f"--{prefix}-{name}" if prefix else f"--{name}"


def _check(prefix: str, login: LoginTable) -> None:
    if not login.user:
        raise BadEnd("A server asks who you are.", f"Say {_option(prefix, 'user')}.")
    ways = {
        "password-command": login.password_command,
        "password-file": login.password_file,
        "keyring": login.keyring,
        "oauth2-token-command": login.oauth2.token_command,
    }
    if sum(map(bool, ways.values())) != 1:
        named = ", ".join(_option(prefix, way) for way in ways)
        raise BadEnd(f"How to get the password of {login.user} is to be said once.", f"Say one of {named}.")


@dataclass(frozen=True, slots=True)
class Maker:
    """Makes sides. scratch: a folder for what they keep (numbers of a Maildir's messages). engine: opens a store as it
    is configured. token: file where an access token is kept; one in `scratch` if None."""

    clock: Clock
    scratch: Path
    engine: Callable[[], Opened]
    token: Path | None = None

    def side(self, end: End, *, read_only: bool) -> Side:
        """The end's side, not open yet. Raises BadEnd."""
        return _MAKERS[end.kind](self, end, read_only)

    def secret(self, login: LoginTable) -> Secret:
        from .secrets import secret_of

        return secret_of(login, self.token or self.scratch / "token", self.clock.now)


def _imap(maker: Maker, end: End, read_only: bool) -> Side:
    from .assemble import asked, remote_address
    from .remote import RemoteSide

    secret = maker.secret(end.login)
    address = remote_address(parse_server("imap", end.place, end.login.tls), end.login, secret.kind)
    return RemoteSide(address, asked(secret), views=True, clock=maker.clock)


def _maildir(maker: Maker, end: End, read_only: bool) -> Side:
    from .maildir import MaildirSide

    root = expand(end.place)
    if read_only and not root.is_dir():
        raise BadEnd(f"{root} is no folder.", "Name the outermost folder of the Maildirs.")
    layout, inbox = shape_of(end)
    index = maker.scratch / (f"{end.prefix}-maildir.db" if end.prefix else "maildir.db")
    return MaildirSide(root, index, layout=layout, inbox=inbox, read_only=read_only, clock=maker.clock)


def shape_of(end: End) -> tuple[Layout, str]:
    """How the tree is laid out, and INBOX's folder below its root."""
    from .maildir import Layout, detect

    layout, inbox = detect(expand(end.place))
    wished = layout if end.layout == AUTO else Layout(end.layout)
    return (layout, inbox) if wished is layout else (wished, "" if wished is Layout.MAILDIRPP else "INBOX")


def _store(maker: Maker, end: End, read_only: bool) -> Side:
    from .local import open_local

    return open_local(end.data, end.place, maker.engine)


def _mbox(maker: Maker, end: End, read_only: bool) -> Side:
    from .mbox import MboxSide

    return MboxSide(expand(end.place))


_MAKERS: Mapping[Kind, Callable[[Maker, End, bool], Side]] = {
    Kind.IMAP: _imap,
    Kind.MAILDIR: _maildir,
    Kind.MBOX: _mbox,
    Kind.STORE: _store,
}
