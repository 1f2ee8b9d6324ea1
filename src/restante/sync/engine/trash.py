"""Where removed messages are kept for some days before they are lost: a folder beside the state, or a mailbox.

A message is on disk there before it is removed from a side. In the folder, each is a file in a Maildir's "cur", named
by its content, so that a run that was cut off and done again keeps it once. What has lain there for long enough goes;
where the mailbox cannot be used then, that is told, and the run goes on.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote

from ...files import sync_folder
from ..model import Message
from ..outline import digest
from ..settings import End, LeftOut, Trash
from ..side import MailboxUnavailable, Side, withheld
from .context import Context

DAY = 86_400.0
LETTERS = {"\\Draft": "D", "\\Flagged": "F", "\\Answered": "R", "\\Seen": "S"}
LONGEST = 255
"""Octets of a file's name on nearly every disk."""


async def keep(context: Context, trash: Trash, pair: int, end: End, uids: Sequence[int]) -> set[int]:
    """Keep these messages, which are about to be removed from that side; for one mailbox after the other.

    Those that the side does not give, so that they cannot be kept: they are not to be removed.
    """
    async with context.trash:
        await _keep(context, trash, pair, end, uids)
    return set(withheld(context.sides[end], context.name(pair, end), uids))


async def _keep(context: Context, trash: Trash, pair: int, end: End, uids: Sequence[int]) -> None:
    side, name = context.sides[end], context.name(pair, end)
    if trash.mailbox is not None and end is End.TWO:
        await _copy(context, name, uids, trash.mailbox)
    elif trash.mailbox is not None:
        batch: list[Message] = []
        async for message in side.fetch(name, uids):
            batch.append(message)
            if (
                len(batch) == context.settings.batch
                or sum(len(one.data) for one in batch) > context.settings.batch_octets
            ):
                await _file(context, trash.mailbox, batch)
                batch = []
        await _file(context, trash.mailbox, batch)
    elif trash.folder is not None:
        folder = trash.folder / _folder_of(name) / "cur"
        async for message in side.fetch(name, uids):
            try:
                path = await asyncio.to_thread(_write, folder, message)
            except OSError as error:
                raise MailboxUnavailable(
                    f"The trash in {trash.folder} cannot be written ({error.strerror}): nothing is removed."
                ) from error
            with context.state.transaction():
                context.state.trashed.put(context.clock.now(), [str(path)])


def _folder_of(name: str) -> str:
    """What a mailbox's folder is called there: readable, one level, never "..", never too long for a disk."""
    text = quote(name, safe=" ()[]+,=@&")
    if text.startswith("."):
        text = "%2E" + text[1:]
    if len(text) > LONGEST:  # a letter that is not ASCII takes six octets or more
        from hashlib import sha256

        text = text[: LONGEST - 17] + "_" + sha256(text.encode("ascii")).hexdigest()[:16]
    return text


def _write(folder: Path, message: Message) -> Path:
    """On disk, with its folder's entry, when this returns."""
    for part in (folder, folder.parent / "new", folder.parent / "tmp"):
        part.mkdir(mode=0o700, parents=True, exist_ok=True)
    letters = "".join(sorted(letter for flag, letter in LETTERS.items() if flag in message.flags))
    path = folder / f"{message.received}.{digest(message.data).hex()[:32]}.restante:2,{letters}"
    making = folder.parent / "tmp" / path.name
    number = os.open(making, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(number, "wb") as file:
        file.write(message.data)
        file.flush()
        os.fsync(file.fileno())
    making.replace(path)
    sync_folder(folder)
    return path


async def _copy(context: Context, name: str, uids: Sequence[int], mailbox: str) -> None:
    """Messages of side two are copied within it."""
    validity = await _made(context, mailbox)
    copied = await context.sides[End.TWO].copy(name, uids, mailbox)
    with context.state.transaction():
        context.state.trashed.put_uids(context.clock.now(), validity, [uid for uid in copied if uid])


async def _file(context: Context, mailbox: str, batch: list[Message]) -> None:
    """Put messages into the trash mailbox on side two."""
    if not batch:
        return
    validity = await _made(context, mailbox)
    answers = await context.sides[End.TWO].add(mailbox, batch)
    refused = [answer.refused for answer in answers if answer.refused is not None]
    if refused:
        raise MailboxUnavailable(f"The trash {mailbox!r} does not take a message: {refused[0]}")
    with context.state.transaction():
        uids = [answer.uid for answer in answers if answer.uid]
        context.state.trashed.put_uids(context.clock.now(), validity, uids)


async def _made(context: Context, mailbox: str) -> str:
    """The trash mailbox's validity; it is made where it is missing."""
    side = context.sides[End.TWO]
    places = {place.name: place for place in await side.places() if place.selectable}
    place = places.get(mailbox) or await side.create(mailbox, None)
    return place.validity


def _unlink(paths: Sequence[str]) -> None:
    for path in paths:
        Path(path).unlink(missing_ok=True)


async def expire(context: Context, trash: Trash) -> tuple[LeftOut, ...]:
    """Let go of what was kept for long enough. Where the mailbox cannot be used now it stays, and the answer says why:
    one that somebody deleted has nothing to let go of."""
    if not trash.days:
        return ()
    old = context.state.trashed.before(context.clock.now() - trash.days * DAY)
    if not old:
        return ()
    await asyncio.to_thread(_unlink, [path for _, path, _, _ in old if path is not None])
    uids = [(validity, uid) for _, _, validity, uid in old if uid is not None]
    if uids and trash.mailbox is not None:
        try:
            await _remove(context.sides[End.TWO], trash.mailbox, uids)
        except MailboxUnavailable as error:
            return (LeftOut(trash.mailbox, End.TWO, error.text),)
    with context.state.transaction():
        context.state.trashed.forget([key for key, *_ in old])
    return ()


async def _remove(side: Side, mailbox: str, kept: Sequence[tuple[str | None, int]]) -> None:
    """kept: (validity, UID)."""
    there = {place.name: place.validity for place in await side.places()}
    if mailbox in there:
        await side.remove(mailbox, sorted(uid for validity, uid in kept if validity == there[mailbox]))
