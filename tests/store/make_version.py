"""Writes version_N.sql: an account's file of this schema version as SQL, for test_migrate.

Run it once for a version, when it is released: `python -m tests.store.make_version`. Never change the file afterwards.
"""

from __future__ import annotations

import asyncio
import io
import tempfile
from pathlib import Path
from typing import Any

import apsw
import apsw.shell

from restante.store.sqlite.schema import APPLICATION_ID, VERSION
from tests.engines.making import ACCOUNT, Installation, fill, inbox, new


def dump() -> str:
    """A small account as SQL: mailboxes, flags, a removed message, a duplicate in INBOX."""

    async def scene(folder: Path) -> str:
        installation = Installation("sqlite", folder)
        engine = installation.open()
        await engine.create_account(ACCOUNT)
        store = engine.account(ACCOUNT)
        box = await inbox(store)
        await fill(store, box, 3, "\\Seen", "$Work")
        await store.append(box, [await new(store, b"line\r\n" * 200, message_id="<1@x>", subject="hi")])
        await store.copy(box, ((4, 4),), (await store.create_mailbox("Sent", "\\Sent")).key)
        await store.copy(box, ((4, 4),), box)
        await store.expunge(box, ((2, 2),), deleted_only=False)
        await engine.close()
        db = apsw.Connection(str(folder / "accounts" / ACCOUNT[:2] / f"{ACCOUNT}.db"))
        text = io.StringIO()
        shell: Any = apsw.shell.Shell(db=db, stdout=text)  # its methods carry no types
        shell.process_command(".dump")
        return text.getvalue()

    with tempfile.TemporaryDirectory() as folder:
        sql = asyncio.run(scene(Path(folder)))
    kept = [line for line in sql.splitlines() if not line.startswith("--")]
    return "\n".join([*kept, f"PRAGMA application_id = {APPLICATION_ID};", f"PRAGMA user_version = {VERSION};", ""])


if __name__ == "__main__":
    Path(__file__).with_name(f"version_{VERSION}.sql").write_text(dump(), encoding="utf-8")
