"""Others' \\Deleted marks, taken away for the moment in which EXPUNGE removes ours: kept on disk meanwhile.

Without UIDPLUS, EXPUNGE removes all that is marked (`modify`). A run that is cut off between taking the marks away and
setting them again would lose them: the next one, which reads what is kept here before it looks at anything, would take
it for what somebody did, and carry it to the other side.

    [file, on disk] -> marks taken away -> EXPUNGE -> marks set again -> file removed
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ...files import sync_folder
from ..side import MailboxUnavailable, SideUnavailable
from .spool import key

if TYPE_CHECKING:
    from .account import Account

ENDING = ".marks"


async def keep(account: Account, raw: bytes, validity: int, uids: Sequence[int]) -> tuple[Path | None, Sequence[int]]:
    """Write down whose marks are about to be taken away: the file, and all that it names. These are to be set again: a
    run that was cut off may have left some, and the mailbox was not to be used when they were looked for.

    No file where there is no folder for it, or nothing to be kept. Raises SideUnavailable where it cannot be written:
    then no mark is to be touched.
    """
    if account.spool is None or not uids:
        return None, uids
    sign = account.pool.address.sign
    path = account.spool / f"{key(sign, raw, validity)}{ENDING}"
    try:
        return path, await asyncio.to_thread(_add, path, sign, raw, validity, uids)
    except OSError as error:
        raise SideUnavailable(
            f"What is marked as deleted cannot be kept in {path.parent} ({error.strerror}).", "Is the disk full?"
        ) from error


def _add(path: Path, sign: str, raw: bytes, validity: int, uids: Sequence[int]) -> list[int]:
    left: list[int] = []
    with contextlib.suppress(FileNotFoundError, ValueError, KeyError, TypeError):  # as `give_back` reads it
        left = [int(uid) for uid in json.loads(path.read_bytes())["uids"]]
    found = sorted({*left, *uids})
    kept = {"sign": sign, "mailbox": raw.decode("latin-1"), "validity": validity, "uids": found}
    _write(path, json.dumps(kept).encode("ascii"))
    return found


def _write(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    part = path.with_suffix(".new")
    handle = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(handle, "wb") as stream:
        stream.write(data)
        stream.flush()
        os.fsync(stream.fileno())
    part.replace(path)
    sync_folder(path.parent)


def drop(path: Path | None) -> None:
    """The marks are set again."""
    if path is not None:
        path.unlink(missing_ok=True)
        with contextlib.suppress(OSError):  # parts of downloads lie there, too
            path.parent.rmdir()


async def give_back(account: Account) -> None:
    """Set again what runs that were cut off had taken away. Raises SideUnavailable.

    Marks of a mailbox whose UIDs have begun anew are gone with them.
    """
    if account.spool is None:
        return
    for path in sorted(account.spool.glob(f"*{ENDING}")):
        try:
            kept = json.loads(path.read_bytes())
            sign, validity = str(kept["sign"]), int(kept["validity"])
            raw, uids = kept["mailbox"].encode("latin-1"), [int(uid) for uid in kept["uids"]]
        except (ValueError, KeyError, TypeError):
            path.unlink(missing_ok=True)  # nothing that we wrote: it is there whole or not at all
            continue
        if sign == account.pool.address.sign and await _set_again(account, raw, validity, uids):
            drop(path)


async def _set_again(account: Account, raw: bytes, validity: int, uids: Sequence[int]) -> bool:
    """False where the mailbox cannot be used now, or is not there: then in another run (`spool.sweep` ends that)."""
    from .modify import mark_deleted

    shown = raw.decode("utf-8", "backslashreplace")
    try:
        async with account.pool.borrow(raw) as connection:
            selected = await connection.select(raw, shown, True)
            if selected.validity == validity:
                await mark_deleted(account, connection, shown, uids)
    except MailboxUnavailable:
        return False
    return True
