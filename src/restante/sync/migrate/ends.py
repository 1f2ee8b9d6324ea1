"""What a migration keeps beside its two ends: its state, the numbers of a Maildir's messages, an old server's UIDLs."""

from __future__ import annotations

import asyncio
import hashlib
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from ...clock import Clock, Random
from ..config import expand
from ..ends import BadEnd, End, Kind, shape_of
from ..side import Side

if TYPE_CHECKING:
    from .run import KeepUidls


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


def keep_uidls(end: End, clock: Clock, random: Random) -> KeepUidls | None:
    """How the target is given UIDLs, beside its messages: a Maildir in its dovecot-uidlist; a store needs nothing."""
    if end.kind is not Kind.MAILDIR:
        return None

    async def keep(target: Side, name: str, uidls: Mapping[int, str]) -> int:
        from . import uidlist

        folder = expand(end.place) / shape_of(end)[1]
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
