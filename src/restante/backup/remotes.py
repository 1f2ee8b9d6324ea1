"""Which accounts of IMAP servers a backup is to hold: by names of copies, or by server and login.

A copy whose mail lies in this installation's store is run as `restante sync` would and backed up where it is; of any
other there is a mirror (`mirror`).
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ..accounts.address import BadAddress, normalise_address
from ..sync.config import Copies, CopyTable, LoginTable, need_copies, source_of
from ..sync.ends import End, Kind
from ..sync.places import CopyPlaces
from .errors import BackupRefusal


class NotMirrored(BackupRefusal):
    """What was named is no account that a backup can read by IMAP."""

    code = "NOT-MIRRORED"


@dataclass(frozen=True, slots=True)
class Remote:
    """An IMAP account to be mirrored. address: what it is called in the backup. table: server, login, bounds, mailboxes
    of it. token: file in which an access token is kept."""

    address: str
    domain: str
    table: CopyTable
    token: Path

    @property
    def key(self) -> str:
        """The server and who logs in there: numbers that another one gave mean nothing here."""
        login = LoginTable(**{name: getattr(self.table, name) for name in LoginTable.__struct_fields__})
        return End("", Kind.IMAP, self.table.imap, login).key


@dataclass(frozen=True, slots=True)
class StoreCopy:
    """A copy whose mail lies in the installation's own store. file: of copies."""

    name: str
    table: CopyTable
    file: Path
    data: Path


@dataclass(frozen=True, slots=True)
class Wanted:
    remotes: list[Remote] = field(default_factory=list)
    stores: list[StoreCopy] = field(default_factory=list)


def wanted_copies(copies: Copies, names: Sequence[str], data: Path, copies_data: Path) -> Wanted:
    """The copies of these names. data: the installation's folder. copies_data: the folder of the copies' states.

    Raises ConfigError for a name that is none, NotMirrored.
    """
    wanted = Wanted()
    if not names:
        return wanted
    for name, table in need_copies(copies, tuple(names)).items():
        if table.store:
            if os.path.realpath(copies_data) != os.path.realpath(data):
                raise NotMirrored(
                    f"The copy {name} keeps its mail in the store in {copies_data}.",
                    f"Back that store up: say --data {copies_data}.",
                )
            wanted.stores.append(StoreCopy(name, table, copies.file, copies_data))
        elif table.imap:
            wanted.remotes.append(remote(table, CopyPlaces(copies_data, name).token()))
        else:
            raise NotMirrored(f"The copy {name} is of a POP3 maildrop.", "Name copies of IMAP accounts, or of a store.")
    addresses = [each.address for each in wanted.remotes]
    for address in addresses:
        if addresses.count(address) > 1:
            raise NotMirrored(f"Two of the copies are of {address}.", "Name one of them.")
    return wanted


def wanted_server(end: End, data: Path) -> Wanted:
    """One account by server and login, as `sync.ends.end_of` has checked them. Raises NotMirrored."""
    assert end.kind is Kind.IMAP
    login = {name: getattr(end.login, name) for name in LoginTable.__struct_fields__}
    name = hashlib.sha256(end.key.encode()).hexdigest()[:16]
    return Wanted([remote(CopyTable(imap=end.place, **login), data / "mirrors" / f"token-{name}.json")])


def remote(table: CopyTable, token: Path) -> Remote:
    """The account that is called as its user logs in, with the server's name behind it where that is no address."""
    user = table.user if "@" in table.user else f"{table.user}@{source_of(table).host}"
    try:
        address = normalise_address(user)
    except BadAddress as error:
        raise NotMirrored(f"{user} is no address by which a backup could name the account: {error.text}") from error
    return Remote(address.address, address.domain, table, token)
