"""What a migration goes from and to, as somebody names it, and the sides that are made of it.

An end is an IMAP server, a tree of Maildirs, mbox files (to come from), or an account of a Restante store. Each side is
made anew for each attempt. What makes sides is imported when it is needed.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING

from ...clock import Clock, Random
from ...errors import Refusal
from ..config import LoginTable, expand, parse_server
from ..side import Side

if TYPE_CHECKING:
    from ..local import Opened
    from ..maildir import Layout
    from ..secrets import Secret
    from .run import KeepUidls


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
    """prefix: "from" or "to". place: HOST[:PORT], a path, or an account's address. login: how to get into a server.
    data: a store's folder. layout: of a tree of Maildirs, "maildir++" or "plain"; AUTO: seen when it is opened."""

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
    """The one end that was named. prefix: "from" or "to". Raises BadEnd."""
    given = [(kind, place) for kind, place in places.items() if place]
    ways = ", ".join(f"--{prefix}-{kind.value}" for kind in places)
    if len(given) != 1:
        what = "Two ends were named" if given else "No end was named"
        raise BadEnd(f"{what}: the migration goes {prefix} one.", f"Say one of {ways}.")
    kind, place = given[0]
    if kind is Kind.IMAP:
        _check(prefix, login)
        try:
            parse_server("imap", place, login.tls)
        except ValueError as error:
            raise BadEnd(f"{error}.") from error
    return End(prefix, kind, place, login, data, layout)


def _check(prefix: str, login: LoginTable) -> None:
    if not login.user:
        raise BadEnd("A server asks who you are.", f"Say --{prefix}-user.")
    ways = {
        "password-command": login.password_command,
        "password-file": login.password_file,
        "keyring": login.keyring,
        "token-command": login.oauth2.token_command,
    }
    if sum(map(bool, ways.values())) != 1:
        named = ", ".join(f"--{prefix}-{way}" for way in ways)
        raise BadEnd(f"How to get the password of {login.user} is to be said once.", f"Say one of {named}.")


def state_folder(environ: Mapping[str, str]) -> Path:
    """Where states and proofs lie unless something else was said."""
    base = environ.get("XDG_STATE_HOME", "")
    home = Path(environ.get("HOME") or str(Path.home()))
    return (Path(base) if base.startswith("/") else home / ".local" / "state") / "restante" / "migrate"


def state_name(source: End, target: End) -> str:
    """A file name for this migration: the same two ends have the same one."""
    return hashlib.sha256(f"{source.key}\n{target.key}".encode()).hexdigest()[:16]


def scratch_of(state: Path) -> Path:
    """The folder beside a state for what sides keep (numbers of a Maildir's messages)."""
    return state.with_name(state.name + ".d")


@contextmanager
def scratch() -> Iterator[Path]:
    """A folder for what is needed once."""
    with tempfile.TemporaryDirectory(prefix="restante-") as folder:
        yield Path(folder)


@dataclass(frozen=True, slots=True)
class Maker:
    """Makes sides. scratch: a folder for what they keep (numbers of a Maildir's messages). engine: opens a store as it
    is configured."""

    clock: Clock
    scratch: Path
    engine: Callable[[], Opened]

    def side(self, end: End, *, read_only: bool) -> Side:
        """The end's side, not open yet. Raises BadEnd."""
        return _MAKERS[end.kind](self, end, read_only)

    def secret(self, login: LoginTable) -> Secret:
        from ..secrets import secret_of

        return secret_of(login, self.scratch / "token", self.clock.now)


def _imap(maker: Maker, end: End, read_only: bool) -> Side:
    from ..remote import RemoteAddress, RemoteSide
    from ..secrets import Kind as SecretKind

    server = parse_server("imap", end.place, end.login.tls)
    secret = maker.secret(end.login)

    async def give(*, refused: bool = False) -> str:
        # A password would be the same again, and one more failed login.
        return await secret.get(fresh=refused and secret.kind is SecretKind.TOKEN)

    address = RemoteAddress(
        server.host,
        server.port,
        "tls" if server.tls == "implicit" else "starttls" if server.tls == "starttls" else "none",
        end.login.user,
        "token" if secret.kind is SecretKind.TOKEN else "password",
        clear_text=server.tls == "none",
        trusted=str(expand(end.login.certificate)) if end.login.certificate else None,
    )
    return RemoteSide(address, give, views=True, clock=maker.clock)


def _maildir(maker: Maker, end: End, read_only: bool) -> Side:
    from ..maildir import MaildirSide

    root = expand(end.place)
    if read_only and not root.is_dir():
        raise BadEnd(f"{root} is no folder.", "Name the outermost folder of the Maildirs.")
    layout, inbox = _shape(end)
    index = maker.scratch / f"{end.prefix}-maildir.db"
    return MaildirSide(root, index, layout=layout, inbox=inbox, read_only=read_only, clock=maker.clock)


def _shape(end: End) -> tuple[Layout, str]:
    """How the tree is laid out, and INBOX's folder below its root."""
    from ..maildir import Layout, detect

    layout, inbox = detect(expand(end.place))
    wished = layout if end.layout == AUTO else Layout(end.layout)
    return (layout, inbox) if wished is layout else (wished, "" if wished is Layout.MAILDIRPP else "INBOX")


def keep_uidls(end: End, clock: Clock, random: Random) -> KeepUidls | None:
    """How the target is given UIDLs, beside its messages: a Maildir in its dovecot-uidlist; a store needs nothing."""
    if end.kind is not Kind.MAILDIR:
        return None

    async def keep(target: Side, name: str, uidls: Mapping[int, str]) -> int:
        from . import uidlist

        folder = expand(end.place) / _shape(end)[1]
        found = await target.changes(name, None)
        names = {
            uid: email.removeprefix(uidlist.IDENTITY)
            for uid, email in zip(found.uids, found.emails or (), strict=False)
            if email is not None
        }
        wanted = {names[uid]: uidl for uid, uidl in uidls.items() if uid in names}
        try:
            return await asyncio.to_thread(uidlist.write, folder, list(names.values()), wanted, clock, random)
        except (OSError, ValueError) as cause:
            raise BadEnd(f"The UIDLs cannot be written into {folder} ({cause}).", "Run the command again.") from cause

    return keep


def _store(maker: Maker, end: End, read_only: bool) -> Side:
    from ..local import open_local

    return open_local(end.data, end.place, maker.engine)


def _mbox(maker: Maker, end: End, read_only: bool) -> Side:
    from ..mbox import MboxSide

    return MboxSide(expand(end.place))


_MAKERS: Mapping[Kind, Callable[[Maker, End, bool], Side]] = {
    Kind.IMAP: _imap,
    Kind.MAILDIR: _maildir,
    Kind.MBOX: _mbox,
    Kind.STORE: _store,
}
