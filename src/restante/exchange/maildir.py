"""Maildir and Maildir++: messages with flags, keywords, UIDs, UIDLs and dates, as Dovecot, Courier and we leave them.

A folder with `cur` or `new` is a mailbox. Its name comes from its path below the outermost one: ".A.B" is A/B
(Maildir++), "A/B" is too (LAYOUT=fs). Flags are letters behind ":2,": S R F D T are the system flags, P is
$Forwarded, small letters are dovecot-keywords'. UIDs, UIDVALIDITY and UIDLs are dovecot-uidlist's. INTERNALDATE
is the file's time of change, or the time in its name where that is earlier (a copy that did not keep times).
Where Dovecot has not been, Courier's own files say UIDs, POP3 UIDLs and keywords.
What stands in restante.jsonl goes before all this for what never changes (ids, dates, the old UIDL).
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from enum import Enum

from ..inbox import is_inbox
from ..store.model import SYSTEM_NAMES, Flags, Identity
from . import courier, dovecot, sidecar
from .incoming import DEFAULT_LARGEST, Incoming, Item, Skipped, SourceMailbox
from .letters import INFO, LETTERS, base_name, is_keyword, name_time
from .names import from_disk
from .tree import File, Tree, read_whole

CONTROL_FILES = re.compile(
    r"dovecot[.-].*|subscriptions|maildirfolder|maildirsize|courier.*|restante\.jsonl|restante-.*|\.dovecot.*|\.nfs.*"
)
"""Files beside cur, new and tmp that are no mail: passed over without a word."""

LARGEST_CONTROL = 1 << 30
LARGEST_CHANGE = 1 << 16
"""Octets of a file that has one message's keywords."""


class Pop3Uidl(Enum):
    """Which UIDL an old server gave to INBOX messages for which no file names one.

    Not asked where Courier was the server: what its list lacks no POP3 client has seen.

    DOVECOT: its default, made of UID and UIDVALIDITY. FILE: the file's base name (Courier, older Dovecots told
    so). NONE: it gave none worth keeping; the EMAILID becomes the UIDL.
    """

    DOVECOT = "dovecot"
    FILE = "file"
    NONE = "none"


class Unreadable(ValueError):
    """A control file that the disk or a damaged archive does not give."""


@dataclass(frozen=True, slots=True)
class Folder:
    """One mailbox's folder. path: in the tree. keywords: Courier's files about them."""

    path: str
    name: str
    files: dict[str, File]
    messages: list[File]
    keywords: dict[str, File]


@dataclass(slots=True)
class _Control:
    """What a folder's control files say.

    letters: keyword by letter. keywords, uidls: by message file, without flags; uidls is None where Courier's POP3
    was not the one that told them.
    """

    uids: dovecot.UidFile | None = None
    letters: dict[str, str] = field(default_factory=dict)
    keywords: dict[str, list[str]] = field(default_factory=dict)
    uidls: dict[str, str] | None = None
    problems: list[Skipped] = field(default_factory=list)


class MaildirSource:
    """Every maildir of a tree, the rest of which is not looked at."""

    def __init__(
        self,
        tree: Tree,
        largest: int = DEFAULT_LARGEST,
        pop3_uidl: Pop3Uidl = Pop3Uidl.DOVECOT,
        roots: set[str] | None = None,
    ) -> None:
        self._tree = tree
        self._largest = largest
        self._pop3_uidl = pop3_uidl
        paths = maildirs(tree) if roots is None else roots
        self._top = outermost(paths)
        self._folders = _folders(tree, paths, self._top)
        self.total = sum(file.size for folder in self._folders for file in folder.messages)
        self._exact: dict[str, str] = {}
        self._foreign: list[str] = []

    def items(self) -> Iterator[Item]:
        for folder in self._folders:
            yield from self._mailbox(folder)

    def subscriptions(self) -> list[str] | None:
        """From the `subscriptions` file, by exact names where a sidecar told them; else from Courier's.

        Call it after `items`.
        """
        for file, parse in (
            (dovecot.SUBSCRIPTIONS, dovecot.parse_subscriptions),
            (courier.SUBSCRIPTIONS, courier.parse_subscriptions),
        ):
            path = f"{self._top}/{file}" if self._top else file
            found = next((each for each in self._tree.files if each.path == path), None)
            if found is not None:
                with suppress(Unreadable):
                    return self._exact_names([from_disk(name) for name in parse(self._read_control(found, 1 << 24))])
        return None

    def _exact_names(self, names: list[str]) -> list[str]:
        gone = [name for name in self._foreign if name not in names]
        return [self._exact.get(name, name) for name in names] + gone

    def close(self) -> None:
        self._tree.close()

    def _read(self, file: File, largest: int) -> bytes:
        with self._tree.open(file) as stream:
            return read_whole(stream, file, largest)

    def _read_control(self, file: File, largest: int) -> bytes:
        """A file beside the messages. Raises Unreadable: the messages can be read without it."""
        try:
            return self._read(file, largest)
        except OSError as cause:
            raise Unreadable(cause.strerror or str(cause)) from cause

    def _mailbox(self, folder: Folder) -> Iterator[Item]:
        where = folder.path or self._tree.name
        control, extra = self._control(folder, where), _Extra({}, None, [])
        uids = control.uids
        try:
            if file := folder.files.get(sidecar.FILE):
                extra = self._sidecar(file)
        except (sidecar.BadSidecar, Unreadable) as cause:
            yield Skipped(where, str(cause), lost=False)
        line = extra.mailbox
        name = line.name if line else folder.name
        if line:
            self._exact[folder.name] = name
            self._foreign += line.foreign
        yield SourceMailbox(
            name,
            line.role if line else None,
            uids.uidvalidity if uids else None,
            uids.uidnext if uids else None,
            line.modseq if line else None,
            line.id if line else None,
            line.account if line else None,
            line.recent_uid if line else None,
            line.subscribed if line else None,
            {each.entry: each.value for each in extra.entries if not each.account},
            {each.entry: each.value for each in extra.entries if each.account},
        )
        yield from control.problems
        yield from self._messages(folder, name, control, extra)

    def _control(self, folder: Folder, where: str) -> _Control:
        """What Dovecot's files say of the folder, or where it has not been here, Courier's."""
        control = _Control()
        if file := folder.files.get(dovecot.UIDLIST):
            self._uids(control, file, dovecot.parse_uidlist, where)
        else:
            if file := folder.files.get(courier.UIDDB):
                self._uids(control, file, courier.parse_uiddb, where)
            if courier.UIDDB in folder.files or courier.POP3_LIST in folder.files:
                control.uidls = {}
            if (file := folder.files.get(courier.POP3_LIST)) and folder.name == "":
                self._uidls(control, file, where)
        try:
            self._keywords(control, folder)
        except Unreadable as cause:
            control.problems.append(Skipped(f"{where}: keywords", str(cause), lost=False))
        return control

    def _keywords(self, control: _Control, folder: Folder) -> None:
        if file := folder.files.get(dovecot.KEYWORDS):
            control.letters = dovecot.parse_keywords(self._read_control(file, 1 << 16))
        elif listed := folder.keywords.get(courier.KEYWORDS_LIST):
            changes = {
                name: self._read_control(file, LARGEST_CHANGE)
                for name, file in folder.keywords.items()
                if courier.is_keyword_change(name)
            }
            control.keywords = courier.parse_keywords(self._read_control(listed, LARGEST_CONTROL), changes)

    def _uids(self, control: _Control, file: File, parse: Callable[[bytes], dovecot.UidFile], where: str) -> None:
        try:
            control.uids = parse(self._read_control(file, LARGEST_CONTROL))
        except ValueError as cause:
            control.problems.append(Skipped(f"{where}/{file.name}", str(cause), lost=False))
        else:
            control.problems += [Skipped(f"{where}/{file.name}", text, lost=False) for text in control.uids.problems]

    def _uidls(self, control: _Control, file: File, where: str) -> None:
        try:
            control.uidls, problems = courier.parse_pop3_list(self._read_control(file, LARGEST_CONTROL))
        except ValueError as cause:
            problems = [str(cause)]
        control.problems += [Skipped(f"{where}/{file.name}", text, lost=False) for text in problems]

    def _sidecar(self, file: File) -> _Extra:
        lines = self._read_control(file, LARGEST_CONTROL).split(b"\n")
        return _Extra(
            {each.file: each for each in sidecar.parse_messages(lines[1:])},
            sidecar.parse_mailbox(lines[0]),
            sidecar.parse_entries(lines[1:]),
        )

    def _messages(self, folder: Folder, name: str, control: _Control, extra: _Extra) -> Iterator[Incoming | Skipped]:
        uids = control.uids
        records = {record.file: record for record in uids.records} if uids else {}

        def order(file: File) -> tuple[int, int, str]:
            record = records.get(base_name(file.name))
            return (record.uid if record else 1 << 32, name_time(file.name) or file.mtime, file.name)

        inbox = not name or is_inbox(name)
        emails = Counter(line.email_id for line in extra.messages.values())
        seen: set[str] = set()
        for file in sorted(folder.messages, key=order):
            where = file.path
            base = base_name(file.name)
            if base in seen:
                yield Skipped(where, "the same message as another file of this name", lost=False)
                continue
            if file.size > self._largest:
                yield Skipped(where, f"larger than {self._largest} octets")
                continue
            try:
                data = self._read(file, self._largest + 1)
            except OSError as cause:
                yield Skipped(where, cause.strerror or str(cause))
                continue
            seen.add(base)
            line = extra.messages.get(base)
            more = [each for each in control.keywords.get(base, ()) if is_keyword(each)]
            flags = flags_of(file.name, control.letters, line.keywords if line else more)
            record = records.get(base)
            copies = emails[line.email_id] if line else 1
            told = self._told(base, record, control) if inbox else None
            yield self._incoming(file, data, flags, name, record, line, told, copies)

    def _told(self, base: str, record: dovecot.UidRecord | None, control: _Control) -> str | None:
        """The UIDL that an old server told of a message of INBOX."""
        if record is not None and record.uidl is not None:
            return record.uidl
        if control.uidls and base in control.uidls:
            return control.uidls[base]
        if record is None or control.uids is None:
            return None
        if self._pop3_uidl is Pop3Uidl.FILE and not control.uidls:
            return record.file if dovecot.is_uidl(record.file) else None
        if self._pop3_uidl is Pop3Uidl.DOVECOT and control.uidls is None:
            return dovecot.default_uidl(record.uid, control.uids.uidvalidity)
        return None

    def _incoming(
        self,
        file: File,
        data: bytes,
        flags: Flags,
        mailbox: str,
        record: dovecot.UidRecord | None,
        line: sidecar.MessageLine | None,
        told: str | None,
        copies: int,
    ) -> Incoming:
        """told: see `_told`. copies: messages of this mailbox that are the same email, by the sidecar."""
        uidl = record.uidl if record else None
        if line is None:
            identity = Identity(uidl=uidl or told, uid=record.uid if record else None)
            return Incoming(data, flags, received_of(file), mailbox, file.path, identity)
        if uidl is None or uidl in _ours(line) or copies > 1:
            uidl = line.uidl  # what we told as the UIDL will be made of identity and suffix again
        same = hashlib.sha256(data).hexdigest() == line.digest
        identity = Identity(
            email_id=line.email_id if same else None,
            thread_id=line.thread_id if same else None,
            uidl=uidl,
            uid=record.uid if record else None,
            saved=line.saved,
            hidden=line.hidden,
            suffix=line.suffix,
            retrieved=line.retrieved,
        )
        arrival = _digest(line.arrival) if same else None
        return Incoming(data, flags, line.received, mailbox, file.path, identity, arrival, verbatim=same)


def _ours(line: sidecar.MessageLine) -> set[str]:
    """What our POP3 may have told as the UIDL of a message, and what an export says where POP3 did not show it."""
    base, suffix = line.uidl or line.email_id, f".{line.suffix}" if line.suffix else ""
    return {base, line.email_id, base + suffix, f"{line.email_id}.{line.suffix or 0}"}


def _digest(text: str | None) -> bytes | None:
    """A SHA-256 in hexadecimal; None where it is none."""
    return bytes.fromhex(text) if text is not None and re.fullmatch("[0-9a-f]{64}", text) else None


@dataclass(frozen=True, slots=True)
class _Extra:
    """A sidecar, read."""

    messages: dict[str, sidecar.MessageLine]
    mailbox: sidecar.MailboxLine | None
    entries: list[sidecar.EntryLine]


def maildirs(tree: Tree) -> set[str]:
    """Paths of the folders that are maildirs: they have a `cur` or a `new`."""
    return {path.rpartition("/")[0] for path in tree.folders if path.rpartition("/")[2] in ("cur", "new")}


def outermost(paths: set[str]) -> str:
    """The maildir that all others lie below, "" where there is none."""
    first = min(paths, key=len, default="")
    return first if all(path == first or path.startswith(f"{first}/") for path in paths) else ""


def _folders(tree: Tree, paths: set[str], top: str) -> list[Folder]:
    """The mailboxes, INBOX first, then by name; their files gathered in one pass."""
    found = {path: Folder(path, _name_of(path, top), {}, [], {}) for path in paths}
    for file in tree.files:
        parent, _, _ = file.path.rpartition("/")
        above, _, last = parent.rpartition("/")
        if last in ("cur", "new") and above in found and (above or parent == last):
            if not file.name.startswith("."):
                found[above].messages.append(file)
        elif last == courier.KEYWORDS_FOLDER and above in found and (above or parent == last):
            found[above].keywords[file.name] = file
        elif parent in found:
            found[parent].files[file.name] = file
    return sorted(found.values(), key=lambda folder: (folder.name != "", folder.name))


def _name_of(path: str, top: str) -> str:
    """A maildir's mailbox name by its path: ".A.B" and "A/B" are A/B; the outermost is "" (INBOX).

    So are Thunderbird's "A.sbd/B" and KMail's ".A.directory/B".
    """
    *above, last = path[len(top) :].strip("/").split("/")
    levels: list[str] = []
    for part in [*(_above(part) for part in above), last]:
        levels += part[1:].split(".") if part.startswith(".") else [part]
    return "/".join(from_disk(level) for level in levels if level)


def _above(part: str) -> str:
    """A folder that has others in it, without what mail programs add to its name for that."""
    return part.removesuffix(".directory") if part.startswith(".") else part.removesuffix(".sbd")


def flags_of(name: str, keywords: dict[str, str], more: list[str]) -> Flags:
    """Flags by a file's name. keywords: letter -> keyword; more: those that have no letter."""
    parts = INFO.split(name, maxsplit=1)
    letters = parts[1] if len(parts) == 2 else ""
    names = [*more, *(LETTERS.get(letter) or keywords.get(letter, "") for letter in letters)]
    # A file may say what no flag is called: in the store it would spoil every answer that tells flags.
    return Flags.of([each for each in names if is_keyword(each) or each.lower() in SYSTEM_NAMES])


def received_of(file: File) -> int:
    """INTERNALDATE by a file's time and name."""
    named = name_time(file.name)
    return max(0, file.mtime if named is None else min(file.mtime, named))
