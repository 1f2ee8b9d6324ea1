"""Takes an account's mail out: as Maildir++ that Dovecot can serve as it is, or as mbox files (mboxrd).

A Maildir++ export imported into new mailboxes gives the same mailboxes, UIDs, UIDVALIDITY, flags, keywords, dates,
identities and octets: dovecot-uidlist, dovecot-keywords and subscriptions carry what those files can, restante.jsonl
the rest. Every file is on disk (fsync) before the export says that it is done, and control files are written last:
a folder with a uidlist is whole. A destination that is not empty is refused unless it is asked for.

Knows the store's interface; what is read of it is `outgoing`'s.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path

from ..files import sync_folder
from ..store.annotation import ACCOUNT, SPECIAL_USE
from ..store.errors import UNREADABLE, NoSuchMailbox
from ..store.interface import Store
from ..store.model import INBOX, Flags, Mailbox, System
from . import dovecot, mbox, names, sidecar
from .dates import header_end
from .incoming import ExchangeRefusal
from .letters import base_name
from .load import Progress
from .outgoing import Placement, Unreadable, placements, with_octets

FLAG_LETTERS = (
    ("D", System.DRAFT),
    ("F", System.FLAGGED),
    ("R", System.ANSWERED),
    ("S", System.SEEN),
    ("T", System.DELETED),
)
"""In the order in which they stand in a file's name: alphabetical."""


class Form(Enum):
    MAILDIR = "maildir"
    MBOX = "mbox"


@dataclass(slots=True)
class Exported:
    """What an export wrote. octets: of messages. lost: those that could not be read."""

    mailboxes: int = 0
    messages: int = 0
    octets: int = 0
    lost: list[Unreadable] = field(default_factory=list)


async def export_mail(
    store: Store,
    dest: Path,
    form: Form = Form.MAILDIR,
    mailboxes: Sequence[str] = (),
    progress: Progress | None = None,
    *,
    force: bool = False,
) -> Exported:
    """Write the account's mail (or the named mailboxes) below `dest`.

    Raises ExchangeRefusal where `dest` is not empty (unless `force`) or cannot be written, NoSuchMailbox.
    """
    wanted = await _wanted(store, mailboxes)
    done = Exported()
    try:
        await asyncio.to_thread(_prepare, dest, force)
        if form is Form.MAILDIR:
            writer = _MaildirWriter(store, dest, done, progress or (lambda octets: None))
            await writer.write(wanted)
        else:
            await _write_mboxes(store, dest, wanted, done, progress or (lambda octets: None))
    except OSError as cause:
        where = cause.filename or dest
        raise ExchangeRefusal(
            f"{where} cannot be written ({cause.strerror}).", "Check its rights and the room on the disk."
        ) from cause
    return done


async def _wanted(store: Store, mailboxes: Sequence[str]) -> list[Mailbox]:
    if not mailboxes:
        return await store.mailboxes()
    found = []
    for name in mailboxes:
        mailbox = await store.mailbox(name)
        if mailbox is None:
            raise NoSuchMailbox(f"There is no mailbox {name}.", "Names are as IMAP shows them, with / between levels.")
        found.append(mailbox)
    return found


def _prepare(dest: Path, force: bool) -> None:
    dest.mkdir(mode=0o700, parents=True, exist_ok=True)
    check_dest(dest, force)


def check_dest(
    dest: Path, force: bool, remedy: str = "Name a new folder, or say --force to write into this one."
) -> None:
    """Raises ExchangeRefusal where there is something already, unless it is asked for; always where it is no folder."""
    try:
        if dest.exists() and not dest.is_dir():
            raise ExchangeRefusal(f"{dest} is no folder.", "Name a new folder.")
        if not force and dest.is_dir() and any(dest.iterdir()):
            raise ExchangeRefusal(f"{dest} is not empty.", remedy)
    except OSError as cause:
        raise ExchangeRefusal(f"{dest} cannot be read ({cause.strerror}).", "Name a new folder.") from cause


class _MaildirWriter:
    """One Maildir++: a folder a mailbox below `dest`, INBOX in `dest` itself."""

    def __init__(self, store: Store, dest: Path, done: Exported, progress: Progress) -> None:
        self._store = store
        self._dest = dest
        self._done = done
        self._progress = progress
        self._taken: set[str] = set()

    async def write(self, mailboxes: list[Mailbox]) -> None:
        folders: dict[str, str] = {}
        if all(each.name != INBOX for each in mailboxes):
            await asyncio.to_thread(_make_maildir, self._dest, top=True)
        for mailbox in mailboxes:
            folders[mailbox.name] = names.folder_of(mailbox.name, self._taken)
        subscribed = set(await self._store.subscriptions())
        gone = sorted(subscribed - set(folders))
        for mailbox in mailboxes:
            await self._mailbox(mailbox, folders[mailbox.name], gone if mailbox.name == INBOX else [])
        listed = [folder for name, folder in folders.items() if name in subscribed]
        content = dovecot.format_subscriptions(listed)
        await asyncio.to_thread(_write_file, self._dest / dovecot.SUBSCRIPTIONS, content)
        await asyncio.to_thread(sync_folder, self._dest)

    async def _mailbox(self, mailbox: Mailbox, folder: str, gone: list[str]) -> None:
        path = self._dest / folder
        await asyncio.to_thread(_make_maildir, path, top=folder == "")
        keywords = await self._letters(mailbox)
        letters = {keyword: chr(ord("a") + i) for i, keyword in enumerate(keywords[: dovecot.KEYWORD_LETTERS])}
        records: list[dovecot.UidRecord] = []
        lines = [
            sidecar.encode(
                sidecar.MailboxLine(
                    restante=sidecar.VERSION,
                    name=mailbox.name,
                    id=mailbox.id,
                    account=self._store.account,
                    role=mailbox.role,
                    uidvalidity=mailbox.uidvalidity,
                    uidnext=mailbox.uidnext,
                    modseq=mailbox.highest_modseq,
                    recent_uid=mailbox.recent_uid,
                    subscribed=mailbox.subscribed,
                    foreign=gone,
                )
            )
        ]
        lines += await self._entries(mailbox.key)
        if mailbox.name == INBOX:
            lines += await self._entries(ACCOUNT)
        uidls = await self._uidls(mailbox)
        there = await asyncio.to_thread(_files_by_base, path)
        copies: Counter[str] = Counter()
        async for batch in placements(self._store, mailbox, self._done.lost):
            async for group in with_octets(self._store, mailbox, batch, self._done.lost):
                for placement, data in group:
                    copies[placement.email_id] += 1
                    record = _record(placement, data, copies[placement.email_id], uidls.get(placement.uid))
                    records.append(record)
                    lines.append(sidecar.encode(_line(placement, record.file, data, letters)))
                recent = records[len(records) - len(group) :]
                await asyncio.to_thread(_write_messages, path, group, recent, letters, there)
                self._done.messages += len(group)
                octets = sum(len(data) for _, data in group)
                self._done.octets += octets
                self._progress(octets)
        uidlist = dovecot.format_uidlist(
            mailbox.uidvalidity, mailbox.uidnext, dovecot.mailbox_guid(mailbox.id), records
        )
        await asyncio.to_thread(_finish_maildir, path, lines, keywords, uidlist)
        self._done.mailboxes += 1

    async def _entries(self, key: int) -> list[bytes]:
        """Lines with the annotations that the account's owner sees; the special use stands in the first line."""
        names = [entry for entry, _ in await self._store.annotation_names(key) if entry != SPECIAL_USE]
        lines = []
        for entry in names:
            value = (await self._store.annotations([key], [entry]))[key].get(entry)
            if value is not None:
                lines.append(sidecar.encode(sidecar.EntryLine(entry=entry, value=value, account=key == ACCOUNT)))
        return lines

    async def _uidls(self, mailbox: Mailbox) -> dict[int, str]:
        """What POP3 tells of the messages it sees, by UID: with the suffixes of emails that are in INBOX twice."""
        if mailbox.name != INBOX:
            return {}
        try:
            return {each.uid: each.uidl for each in await self._store.maildrop()}
        except UNREADABLE:  # those of one that is there twice may be others then
            return {}

    async def _letters(self, mailbox: Mailbox) -> list[str]:
        """The mailbox's keywords, those that most messages have first: letters are for 26."""
        known = await self._store.keywords()
        if len(known) <= dovecot.KEYWORD_LETTERS:
            return known
        used: Counter[str] = Counter()
        async for batch in placements(self._store, mailbox, []):  # what cannot be read is told where it lacks
            for each in batch:
                used.update(each.flags.keywords)
        return sorted(known, key=lambda keyword: (-used[keyword], keyword))


def _record(placement: Placement, data: bytes, copy: int, uidl: str | None) -> dovecot.UidRecord:
    """The message's line in dovecot-uidlist; its file's name is unique in the mailbox and its time sorts.

    copy: 1 for the email's first placement in this mailbox: Dovecot wants GUIDs that differ within one. uidl: what
    POP3 tells, where it tells something.
    """
    crlf_size = len(data) + data.count(b"\n") - data.count(b"\r\n")
    base = f"{max(placement.received, 0)}.U{placement.uid}{placement.email_id}.restante"
    return dovecot.UidRecord(
        placement.uid,
        f"{base},S={len(data)},W={crlf_size}",
        uidl or placement.origin.uidl or (placement.email_id if copy == 1 else None),
        placement.email_id if copy == 1 else f"{placement.email_id}.{copy}",
        len(data),
        crlf_size,
    )


def _line(placement: Placement, file: str, data: bytes, letters: dict[str, str]) -> sidecar.MessageLine:
    return sidecar.MessageLine(
        file=file,
        email_id=placement.email_id,
        thread_id=placement.thread_id,
        received=placement.received,
        digest=hashlib.sha256(data).hexdigest(),
        saved=placement.saved,
        uidl=placement.origin.uidl,
        hidden=placement.origin.hidden,
        suffix=placement.origin.suffix or None,
        retrieved=placement.origin.retrieved,
        arrival=placement.origin.arrival.hex() if placement.origin.arrival is not None else None,
        keywords=sorted(keyword for keyword in placement.flags.keywords if keyword not in letters),
    )


def _files_by_base(path: Path) -> dict[str, list[Path]]:
    """Messages that a maildir holds already, by their names without flags."""
    found: dict[str, list[Path]] = {}
    for folder in ("cur", "new"):
        for file in (path / folder).iterdir():
            found.setdefault(base_name(file.name), []).append(file)
    return found


def _write_messages(
    path: Path,
    group: list[tuple[Placement, bytes]],
    records: list[dovecot.UidRecord],
    letters: dict[str, str],
    there: dict[str, list[Path]],
) -> None:
    """there: what an earlier export left. A file of the same message with other flags goes, or there would be two."""
    for (placement, data), record in zip(group, records, strict=True):
        flags = "".join(letter for letter, bit in FLAG_LETTERS if placement.flags.system & bit)
        flags += "".join(sorted(letters[each] for each in placement.flags.keywords if each in letters))
        file = path / "cur" / f"{record.file}:2,{flags}"
        _write_file(file, data)
        os.utime(file, (placement.received, placement.received))
        for other in there.get(record.file, ()):
            if other != file:
                other.unlink()


def _make_maildir(path: Path, *, top: bool) -> None:
    path.mkdir(mode=0o700, exist_ok=True)
    for name in ("cur", "new", "tmp"):
        (path / name).mkdir(mode=0o700, exist_ok=True)
    if not top:
        _write_file(path / "maildirfolder", b"")


def _finish_maildir(path: Path, lines: list[bytes], keywords: list[str], uidlist: bytes) -> None:
    """Control files, after every message is on disk."""
    sync_folder(path / "cur")
    _write_file(path / sidecar.FILE, b"\n".join(lines) + b"\n")
    if keywords:
        _write_file(path / dovecot.KEYWORDS, dovecot.format_keywords(keywords))
    _write_file(path / dovecot.UIDLIST, uidlist)
    sync_folder(path)


def _write_file(path: Path, data: bytes) -> None:
    """Write and fsync. A link that lies there is not followed."""
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
    with os.fdopen(handle, "wb") as stream:
        stream.write(data)
        stream.flush()
        os.fsync(stream.fileno())


async def _write_mboxes(
    store: Store, dest: Path, mailboxes: list[Mailbox], done: Exported, progress: Callable[[int], None]
) -> None:
    """One file a mailbox, in folders as the mailboxes are: a/b becomes a.sbd/b, as Thunderbird has it."""
    taken: set[str] = set()
    for mailbox in mailboxes:
        path = dest / mbox_path(mailbox.name, taken)
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
        with os.fdopen(handle, "wb") as stream:
            async for batch in placements(store, mailbox, done.lost):
                async for group in with_octets(store, mailbox, batch, done.lost):
                    text = b"".join(format_mbox(data, each.flags, each.received) for each, data in group)
                    await asyncio.to_thread(stream.write, text)
                    done.messages += len(group)
                    octets = sum(len(data) for _, data in group)
                    done.octets += octets
                    progress(octets)
            stream.flush()
            await asyncio.to_thread(os.fsync, stream.fileno())
        sync_folder(path.parent)
        done.mailboxes += 1


def mbox_path(name: str, taken: set[str]) -> Path:
    """A mailbox's file below the destination, not among `taken` (case-folded), and noted there.

    Characters that file systems mind are written as "_". Two names that fall together, or that a file system may take
    for one, get a number.
    """
    levels = [
        "".join(c if c.isprintable() and c not in '\\:*?"<>|' else "_" for c in level).lstrip(".") or "_"
        for level in name.split("/")
    ]
    *above, last = (level.encode()[:200].decode("utf-8", "ignore") for level in levels)  # cut at a whole character
    folder = Path(*(f"{level}.sbd" for level in above))
    path, number = folder / f"{last}.mbox", 2
    while str(path).casefold() in taken:
        path = folder / f"{last}_{number}.mbox"
        number += 1
    taken.add(str(path).casefold())
    return path


def format_mbox(data: bytes, flags: Flags, received: int) -> bytes:
    """One message as mboxrd with its flags in Status, X-Status and X-Keywords. Line ends become LF.

    Fields in which an mbox keeps flags and lengths are the file's: what the sender wrote there would mark the message
    deleted, or count the octets of others. A line like a From_ line is quoted in the header too, where it would end the
    message as well.
    """
    text, _ = mbox.lift_flags(data.replace(b"\r\n", b"\n"))
    if not text.endswith(b"\n"):
        text += b"\n"
    status = b"RO" if flags.system & System.SEEN else b"O"
    bits = ((b"A", System.ANSWERED), (b"D", System.DELETED), (b"F", System.FLAGGED), (b"T", System.DRAFT))
    more = b"".join(letter for letter, bit in bits if flags.system & bit)
    fields = [b"Status: " + status]
    if more:
        fields.append(b"X-Status: " + more)
    if flags.keywords:
        fields.append(b"X-Keywords: " + " ".join(sorted(flags.keywords)).encode("ascii"))
    end = header_end(text)
    header, body = mbox.LENGTH.sub(b"", text[:end]), text[end:]
    if header and not header.endswith(b"\n"):
        header += b"\n"
    stamp = time.strftime("%a %b %d %H:%M:%S %Y", time.gmtime(max(received, 0))).encode("ascii")
    lines = header + b"\n".join(fields) + b"\n" + (body or b"\n")
    return b"From MAILER-DAEMON " + stamp + b"\n" + mbox.FROM_LINE.sub(rb">\1", lines) + b"\n"
