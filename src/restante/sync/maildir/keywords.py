"""Keywords in a Maildir: letters in file names, and what they mean. docs/sync-maildir.md has the formats.

A folder's `dovecot-keywords` gives up to 26 keywords a letter each. That is Dovecot's own file; we write it whether or
not Dovecot is there, because a Dovecot (or `restante import`) that comes later must read the letters as they were
meant: it calls a letter without an entry "unknown-N" and may give it to another keyword. An entry is appended under
dovecot-uidlist.lock, in place of the old file, with a time that grows by a second at least, since Dovecot reads the
file again only where its time in seconds is another one. Entries are never changed or removed.

`restante-keywords` in the root has what that cannot say: which letter a keyword has in this tree (the same one in every
folder where it is free, so that a file that another program moves keeps its keywords), and the keywords of messages
that got no letter. Lines are appended; for one message or letter the last counts:

    restante-keywords 1
    letter c Work
    message 2 Later Waiting 1700000000.Rx3....restante,S=12,W=13
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager

from ...clock import Clock
from ...exchange import dovecot
from ...exchange.letters import is_keyword
from ..dotlock import dotlock
from .marker import open_plain, replace

FILE = "restante-keywords"
HEAD = b"restante-keywords 1"
LETTERS = "abcdefghijklmnopqrstuvwxyz"
LONGEST = 1 << 16
LONGEST_TREE = 1 << 28
MANY = 1 << 62
"""Lines of a file whose last one is torn: it is written anew before the next is appended."""

Table = dict[str, str]
"""Keyword by letter."""


def read_table(folder: int) -> Table:
    """What a folder's dovecot-keywords says; empty where there is none."""
    return dovecot.parse_keywords(_read(folder, dovecot.KEYWORDS, LONGEST))


def format_letters(table: Table) -> str:
    """A table as text, to see whether it changed: "a Work", a line each."""
    return "\n".join(f"{letter} {word}" for letter, word in sorted(table.items()))


def _read(folder: int, file: str, most: int) -> bytes:
    try:
        handle = open_plain(folder, file)
    except FileNotFoundError:
        return b""
    with os.fdopen(handle, "rb") as stream:
        return stream.read(most)


class TreeKeywords:
    """restante-keywords, read and appended to; other processes may do so too."""

    def __init__(self, root: int, clock: Clock) -> None:
        """root: a descriptor that stays open."""
        self._root = root
        self._clock = clock
        self._stamp: tuple[int, int, int] | None = None
        self.letters: Table = {}
        self.more: dict[bytes, tuple[str, ...]] = {}
        self.refresh()

    def refresh(self) -> None:
        """Read the file where it is not the one that was read: a stat call."""
        try:
            status = os.stat(FILE, dir_fd=self._root, follow_symlinks=False)
        except FileNotFoundError:
            self._stamp = None
            self.letters, self.more = {}, {}
            return
        stamp = (status.st_ino, status.st_size, status.st_mtime_ns)
        if stamp != self._stamp:
            self._take(_read(self._root, FILE, LONGEST_TREE))
            self._stamp = stamp

    def _take(self, data: bytes) -> None:
        """Raises OSError for what is none: keywords would seem to have been taken off, and go from the other side."""
        if data[: len(HEAD) + 1] != (HEAD + b"\n")[: len(data)]:
            raise OSError(errno.EBADMSG, f"{FILE} is damaged; put it back, or remove it")
        self.letters, self.more = {}, {}
        lines = data.split(b"\n")
        for line in lines[1:-1]:  # behind the last line end: nothing, or a line that a crash cut off
            kind, _, rest = line.partition(b" ")
            if kind == b"letter" and rest[1:2] == b" ":
                self.letters[rest[:1].decode("ascii", "replace")] = rest[2:].decode("utf-8", "replace")
            elif kind == b"message":
                self._note(rest)
        self._lines = len(lines) if data.endswith(b"\n") else MANY

    def _note(self, rest: bytes) -> None:
        number, _, rest = rest.partition(b" ")
        if not number.isdigit() or len(number) > 4:
            return
        *words, name = rest.split(b" ", int(number))
        if len(words) == int(number):
            self._set(name, tuple(word.decode("utf-8", "replace") for word in words))

    def _set(self, name: bytes, words: tuple[str, ...]) -> None:
        if words:
            self.more[name] = words
        else:
            self.more.pop(name, None)

    def set_letter(self, letter: str, keyword: str) -> None:
        """Note the letter that a keyword has in this tree, durably."""
        with self._changing() as lines:
            self.letters[letter] = keyword
            lines.append(f"letter {letter} {keyword}".encode())

    def set_more(self, changes: Mapping[bytes, Iterable[str]]) -> None:
        """Keywords without a letter, by a message's unique name; durable when this returns."""
        wanted = {name: tuple(sorted(words)) for name, words in changes.items() if b"\n" not in name}
        if all(self.more.get(name, ()) == words for name, words in wanted.items()):
            return
        with self._changing() as lines:
            for name, words in wanted.items():
                if self.more.get(name, ()) != words:
                    self._set(name, words)
                    lines.append(_line(name, words))

    @contextmanager
    def _changing(self) -> Iterator[list[bytes]]:
        """Lines to append, while no other process changes the file."""
        with dotlock(self._root, FILE, self._clock.now):
            self.refresh()
            lines: list[bytes] = []
            yield lines
            if self._stamp is None or self._lines > 100 + 2 * (len(self.more) + len(self.letters)):
                whole = [HEAD, *(f"letter {letter} {word}".encode() for letter, word in self.letters.items())]
                whole += [_line(name, words) for name, words in self.more.items()]
                replace(self._root, FILE, FILE + ".new", b"\n".join(whole) + b"\n")
                self._lines = len(whole)
            elif lines:
                handle = os.open(FILE, os.O_WRONLY | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=self._root)
                with os.fdopen(handle, "ab") as stream:
                    stream.write(b"\n".join(lines) + b"\n")
                    stream.flush()
                    os.fsync(stream.fileno())
                self._lines += len(lines)
            status = os.stat(FILE, dir_fd=self._root, follow_symlinks=False)
            self._stamp = (status.st_ino, status.st_size, status.st_mtime_ns)


def _line(name: bytes, words: Sequence[str]) -> bytes:
    return b" ".join((b"message %d" % len(words), *(word.encode() for word in words), name))


def meaning(table: Table, tree: Table) -> Table:
    """What letters mean in a folder: its own table, and for letters that this lacks, the tree's."""
    own = {word.lower() for word in table.values()}
    return {**{letter: word for letter, word in tree.items() if word.lower() not in own}, **table}


def assign(folder: int, tree: TreeKeywords, wanted: Iterable[str], clock: Clock) -> dict[str, str]:
    """Letters for these keywords, by the keyword in small letters; new ones are entered in the folder's table.

    A keyword that gets none (26 are taken, or it is no word for a line) is not among the answers. Raises Locked.
    """
    table = read_table(folder)
    found = _letters(table, wanted)
    lacking = sorted({word for word in wanted if word.lower() not in found and is_keyword(word)})
    if not lacking or len(table) >= len(LETTERS):
        return found
    with dotlock(folder, dovecot.UIDLIST, clock.now):
        data = _read(folder, dovecot.KEYWORDS, LONGEST)
        table = dovecot.parse_keywords(data)
        found = _letters(table, wanted)
        entries = []
        for word in lacking:
            letter = None if word.lower() in found else _free_letter(word, table, tree.letters)
            if letter is not None:
                table[letter] = word
                found[word.lower()] = letter
                entries.append(f"{LETTERS.index(letter)} {word}\n")
                if letter not in tree.letters and word.lower() not in map(str.lower, tree.letters.values()):
                    tree.set_letter(letter, word)
        if entries:
            _write_table(folder, data, "".join(entries).encode(), clock)
    return found


def _letters(table: Table, wanted: Iterable[str]) -> dict[str, str]:
    known = {word.lower(): letter for letter, word in table.items()}
    return {word.lower(): known[word.lower()] for word in wanted if word.lower() in known}


def _free_letter(word: str, table: Table, tree: Table) -> str | None:
    """The tree's letter for the word if it is free here, else one that nobody uses, else any that is free here."""
    of_tree = next((letter for letter, other in tree.items() if other.lower() == word.lower()), None)
    if of_tree is not None and of_tree not in table:
        return of_tree
    free = [letter for letter in LETTERS if letter not in table]
    return next((letter for letter in free if letter not in tree), next(iter(free), None))


def _write_table(folder: int, before: bytes, entries: bytes, clock: Clock) -> None:
    """Put the table with new entries in the place of the old one; the caller holds dovecot-uidlist.lock."""
    if before and not before.endswith(b"\n"):
        before += b"\n"
    replace(folder, dovecot.KEYWORDS, f"{dovecot.KEYWORDS}.lock", before + entries, _time_of_next(folder, clock))


def _time_of_next(folder: int, clock: Clock) -> int:
    try:
        last = int(os.stat(dovecot.KEYWORDS, dir_fd=folder).st_mtime)
    except FileNotFoundError:
        return int(clock.now())
    return max(int(clock.now()), last + 1)
