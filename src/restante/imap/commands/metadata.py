"""GETMETADATA and SETMETADATA: annotations of mailboxes and of the account. RFC 5464; RFC 6154 4; RFC 5466 3.2.

Names are compared without regard to case and kept in lower case; an entry asked for by name is shown as it was
asked. "/shared/admin" of the server comes from the configuration, "/private/specialuse" of a mailbox is its role.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from typing import TYPE_CHECKING

from ...errors import Refusal
from ...store.annotation import ACCOUNT
from ...store.rights import Rights
from ..grammar.commands import Depth, GetMetadata, SetMetadata
from ..grammar.response import metadata_response
from ..session.state import Reply
from . import filters
from .names import mailbox_name

if TYPE_CHECKING:
    from ...store.interface import Store
    from ..session.session import ImapSession

ADMIN = "/shared/admin"
BATCH = 256 * 1024
"""Octets of values read and written at once."""


class ReadOnlyEntry(Refusal):
    """The server alone sets this entry (RFC 5530 NOPERM)."""

    code = "READ-ONLY-ENTRY"


async def get_metadata(session: ImapSession, command: GetMetadata) -> Reply:
    store, name, key = await _place(session, command.mailbox)
    sizes = dict(await store.annotation_names(key))
    if key == ACCOUNT and session.config.admin:
        sizes[ADMIN] = len(session.config.admin)
    asked = {entry.lower(): entry for entry in command.entries}
    wanted = chosen(asked, sizes, command.depth)
    longest = 0
    if command.maxsize is not None:
        too_long = {entry for entry in wanted if sizes.get(entry, 0) > command.maxsize}
        longest = max((sizes[entry] for entry in too_long), default=0)
        wanted = [entry for entry in wanted if entry not in too_long]
    for batch in batches(wanted, sizes):
        values = (await store.annotations([key], batch))[key]
        if key == ACCOUNT and session.config.admin:
            values[ADMIN] = session.config.admin.encode("ascii")
        shown = [(asked.get(entry, entry), values.get(entry)) for entry in batch]
        session.write(metadata_response(name, shown, session.dialect.utf8))
        await session.flush_if_full()
    return Reply(b"GETMETADATA completed.", b"METADATA LONGENTRIES %d" % longest if longest else b"")


def chosen(asked: dict[str, str], there: dict[str, int], depth: Depth) -> list[str]:
    """Entries to show, each once: those asked for, and those below them as far as `depth` goes.

    An entry without value is shown (as NIL) where nothing below it is either.
    """
    found: dict[str, None] = {}
    names = sorted(there) if depth is not Depth.SELF else []
    for entry in asked:
        below = names[bisect_left(names, entry + "/") : bisect_left(names, entry + "0")]  # "0" comes next to "/"
        if depth is Depth.CHILDREN:
            below = [one for one in below if "/" not in one[len(entry) + 1 :]]
        if entry in there or not below:
            found[entry] = None
        found.update(dict.fromkeys(below))
    return list(found)


def batches(entries: list[str], sizes: dict[str, int]) -> Iterator[list[str]]:
    """Entries in groups whose values have at most BATCH octets, if they are more than one."""
    group: list[str] = []
    size = 0
    for entry in entries:
        more = sizes.get(entry, 0)
        if group and size + more > BATCH:
            yield group
            group, size = [], 0
        group.append(entry)
        size += more
    if group:
        yield group


async def set_metadata(session: ImapSession, command: SetMetadata) -> Reply:
    """All entries or none, in one change; where a name stands twice, the last value counts."""
    store, _, key = await _place(session, command.mailbox)
    values = {entry.lower(): value for entry, value in command.values}
    if key == ACCOUNT:
        if ADMIN in values:
            raise ReadOnlyEntry("The server alone sets that entry.")
        filters.check(values, session.reader.limits)
    await store.annotate(key, values)
    return Reply(b"SETMETADATA completed.")


async def _place(session: ImapSession, mailbox: str) -> tuple[Store, str, int]:
    """What is annotated: its account's store, its name as the client knows it, its key there.

    Raises NoSuchMailbox, and what the user has no right to.
    """
    if not mailbox:
        return session.own_store, "", ACCOUNT
    place = await session.places.find(mailbox_name(mailbox))
    found = await place.existing(Rights.LOOKUP)
    return place.store, place.shown(found.name), found.key
