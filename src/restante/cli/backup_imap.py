"""What the command line says of IMAP accounts in a backup: `backup run --imap`, `backup restore --imap`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..errors import Refusal
from .common import place_of
from .login import login_of

if TYPE_CHECKING:
    from ..backup.remotes import Wanted
    from ..config.model import Config
    from ..sync.config import Copies, CopyTable
    from ..sync.ends import End

with_copies = click.option(
    "--copies", type=click.Path(path_type=Path), metavar="FILE", help="File of copies in which NAME is looked for."
)


def wanted_of(names: Sequence[str], options: Mapping[str, Any], config: Config, data: Path) -> Wanted | None:
    """The accounts that `--imap` names: by copies, or one by server where a user is said. Raises Refusal."""
    if not names and not options["user"]:
        return None
    from ..backup.remotes import wanted_copies, wanted_server

    if options["user"]:
        if len(names) != 1:
            raise click.UsageError("--user belongs to one --imap HOST[:PORT].")
        return wanted_server(server_of(names[0], options), data)
    copies = copies_of(options["copies"], config)
    return wanted_copies(copies, names, data, place_of().data or copies.data or data)


def server_of(place: str, options: Mapping[str, Any]) -> End:
    """A server and how to get in. Raises BadEnd."""
    from ..sync.ends import Kind, end_of

    return end_of("", {Kind.IMAP: place}, login_of(options, place), Path())


def copies_of(said: Path | None, config: Config) -> Copies:
    """The file of copies that was said, or is configured, or is this user's. Raises ConfigError, Refusal."""
    from ..sync.load import load_copies
    from ..sync.where import config_file

    file = said or (Path(config.backup.copies) if config.backup.copies else config_file())
    if not file.exists():
        raise Refusal(
            f"There is no file of copies {file}.",
            "Say --user too where --imap is a server; 'restante sync init' makes a copy, --copies names another file.",
        )
    return load_copies(file)


def copy_end(copies: Copies, name: str) -> tuple[End, CopyTable]:
    """The server of a copy, as an end to go to. Raises ConfigError, BadEnd."""
    from ..sync.config import LoginTable, need_copies
    from ..sync.ends import BadEnd, End, Kind

    table = need_copies(copies, (name,))[name]
    if not table.imap:
        raise BadEnd(f"The copy {name} is of a POP3 maildrop, which takes nothing.", "Name a copy of an IMAP account.")
    login = LoginTable(**{key: getattr(table, key) for key in LoginTable.__struct_fields__})
    return End("", Kind.IMAP, table.imap, login), table
