"""Octets from a server, cut into answers: the client's half of the grammar, and its limits.

An answer is lines with literals between them; this layer finds the borders and says what kind of answer it is:

    line ──LF──> whole answer ──> Status | Continue | Data
      │ ^
      │ └──── literal taken
      └─ ...{n}LF

What stands in a `Data` is read by subject, when somebody wants it: `answers_fetch`, `answers_mailbox`,
`answers_search`, `answers_code`. A listing of 100,000 messages makes no object a message: while `rows` is set, runs of
plain FETCH lines go straight from the buffer into its columns (see `answers_fetch.Rows`).

Servers are read with some patience: bare LF, empty lines, lower case, "+" without a space. What cannot be an answer
at all, or passes a limit, is BadAnswer, and nothing after it can be understood. Memory: what one answer holds, and
what was fed and not taken. Knows nothing of sockets or of what was asked. RFC 9051 7 and 9, RFC 3501 7 and 9.
"""

from __future__ import annotations

import re
from collections import deque
from typing import Protocol

from ...values import Value


class BadAnswer(Exception):
    """Octets that no answer of IMAP begins with, or that pass a limit. text: one sentence without the peer's octets."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text


class AnswerLimits(Value, frozen=True):
    """Bounds on what one answer may hold, in octets unless said otherwise."""

    line: int = 16 << 20
    """All of an answer without its literals: SEARCH over two million messages is one line."""
    literal: int = 512 << 20
    """Any one literal, and all of one answer together: a message."""
    literals: int = 1_000
    """Literals of one answer (count)."""


class Status(Value, frozen=True):
    """A status response: tagged, or untagged where tag is b"*".

    word: b"OK", b"NO", b"BAD", b"BYE", b"PREAUTH". code: name of the response code, upper-case, b"" for none. data:
    what follows the name in the brackets, as it came. text: for people, not to be trusted. RFC 9051 7.1.
    """

    tag: bytes
    word: bytes
    code: bytes
    data: bytes
    text: bytes

    @property
    def ok(self) -> bool:
        return self.word == b"OK"


class Continue(Value, frozen=True):
    """A continuation request. data: what follows "+": base64 in AUTHENTICATE, else text. RFC 9051 7.6."""

    data: bytes


class Data(Value, frozen=True):
    """Any other untagged answer.

    word: upper-case (b"FETCH"). number: what stood before it (`* 12 FETCH`), 0 where none did. text: what follows the
    word, without the blank; a literal is shown as CR, its octets stand in `literals`, in order. items: instead of both,
    what `answers_fetch.parse_fetch` would make of them (see `AnswerReader.bodies`).
    """

    word: bytes
    number: int
    text: bytes
    literals: tuple[bytes, ...] = ()
    items: dict[bytes, bytes | int | None] | None = None


Answer = Status | Continue | Data


class RowSink(Protocol):
    """What takes runs of plain lines out of the buffer."""

    def take(self, buffer: bytes, start: int, end: int) -> int:
        """Take whole lines from `start` on, as many as are of the sink's kind; where the first other begins.

        `start` is an answer's beginning, buffer[end - 1] a line's LF.
        """
        ...


_LITERAL = re.compile(rb"~?\{([0-9]{1,19})\+?\}\Z")
_STATUS = re.compile(
    rb"(OK|NO|BAD|BYE|PREAUTH)(?: +\[([^\x00-\x20()\[\]{%*\"\\]+)(?: ([^\]]*))?\])?(?: +|\Z)(.*)",
    re.DOTALL | re.IGNORECASE,
)
_OPEN_CODE = re.compile(rb"(?:OK|NO|BAD|BYE|PREAUTH) \[[^\]]*\Z", re.IGNORECASE)
_STATUS_WORD = re.compile(rb"(?:OK|NO|BAD|BYE|PREAUTH)(?: |\Z)", re.IGNORECASE)
_TAGGED = re.compile(rb"([^\x00-\x20(){%*\"\\+\x7f-\xff]{1,64}) ")
_DATA = re.compile(rb"(?:([0-9]{1,20}) )?([A-Za-z][A-Za-z0-9.\-]{0,63})(?: |\Z)")
_BODY = re.compile(
    rb"\* ([0-9]{1,20}) FETCH \("
    rb"(?:UID ([0-9]{1,18}) |FLAGS \(([^()\"{}\r\n]*+)\) |INTERNALDATE \"([^\"\\\r\n]*+)\" "
    rb"|EMAILID \(([^()\"{}\r\n]*+)\) |THREADID \(([^()\"{}\r\n]*+)\) )+"
    rb"(BODY\[\](?:<0>)?) \{([0-9]{1,9})\}\r\n"
)
"""What most servers send of a message that is asked for with its flags and date."""
_JOIN = 65_536
"""A line's beginning shorter than this is copied in front of what comes, so that runs of lines stay in one buffer."""


class AnswerReader:
    """Feed octets, take answers; one reader a connection.

    Usage: `feed(data)`, then `next()` until it gives None (more octets needed). rows: where runs of plain FETCH lines
    go, as long as it is set; `next` does not tell of them. bodies: whole messages are coming: those that lie in the
    buffer in the plainest form are read by one expression, items and all (a third of the time).
    """

    def __init__(self, limits: AnswerLimits | None = None) -> None:
        self.limits = limits or AnswerLimits()
        self.rows: RowSink | None = None
        self.bodies = False
        self._chunks: deque[bytes] = deque()
        self._chunk = b""
        self._pos = 0
        self._line: list[bytes] = []  # a long line's beginning
        self._size = 0  # octets of the answer's lines so far
        self._text: list[bytes] = []  # the answer's lines before this one, literals as CR
        self._literals: list[bytes] = []
        self._missing = 0  # octets still to come of the literal under way
        self._pieces: list[bytes] | None = None  # its octets so far; None: no literal is under way
        self._held = 0  # octets of all literals of this answer

    def feed(self, data: bytes) -> None:
        """Add octets as they came."""
        if data:
            self._chunks.append(data)

    def next(self) -> Answer | None:
        """The next answer, None when more octets are needed. Raises BadAnswer."""
        while True:
            if self._pieces is not None and not self._take_literal():
                return None
            if not self._text and not self._line:
                if self.rows is not None:
                    self._take_rows(self.rows)
                elif self.bodies and (body := self._take_body()) is not None:
                    return body
            line = self._take_line()
            if line is None:
                return None
            answer = self._take_whole(line)
            if answer is not None:
                return answer

    @property
    def midway(self) -> bool:
        """Octets have come that make no whole answer yet; as of the last `next()` that gave None."""
        return bool(self._text or self._line or self._pieces is not None or self.waiting)

    @property
    def waiting(self) -> int:
        """Octets that were fed and not taken."""
        return len(self._chunk) - self._pos + sum(map(len, self._chunks))

    def discard(self) -> None:
        """Forget all octets that were fed and not taken (behind STARTTLS's OK)."""
        self._chunks.clear()
        self._chunk, self._pos = b"", 0
        self._line.clear()
        self._size = 0

    def rest(self) -> bytes:
        """Take out all octets that were fed and not taken (behind COMPRESS's OK, which are compressed)."""
        rest = self._chunk[self._pos :] + b"".join(self._chunks)
        self.discard()
        return rest

    # Lines ---------------------------------------------------------------------------------------------

    def _next_chunk(self) -> bool:
        """Go on to the next chunk, with what is left of this one in front of it."""
        if not self._chunks:
            return False
        left = self._chunk[self._pos :] if self._pos else self._chunk
        if len(left) >= _JOIN:
            self._line.append(left)
            left = b""
        self._chunk = left + self._chunks.popleft() if left else self._chunks.popleft()
        self._pos = 0
        return True

    def _take_line(self) -> bytes | None:
        """The rest of the line up to its LF and without it, None if that has not come."""
        seen = self._pos
        while True:
            end = self._chunk.find(b"\n", seen)
            if end >= 0:
                piece = self._chunk[self._pos : end]
                self._pos = end + 1
                if self._line:
                    self._line.append(piece)
                    piece = b"".join(self._line)
                    self._line.clear()
                self._size += len(piece)
                if self._size > self.limits.line:
                    raise BadAnswer("A line of the server's is too long.")
                return piece[:-1] if piece.endswith(b"\r") else piece
            if self._size + sum(map(len, self._line)) + len(self._chunk) - self._pos > self.limits.line:
                raise BadAnswer("A line of the server's is too long.")
            seen = len(self._chunk) - self._pos
            if not self._next_chunk():
                return None
            seen = 0 if self._line and seen >= _JOIN else seen

    def _take_rows(self, rows: RowSink) -> None:
        """Give the sink what it can take of the whole lines here."""
        while True:
            end = self._chunk.rfind(b"\n", self._pos) + 1
            if end:
                self._pos = rows.take(self._chunk, self._pos, end)
                if self._pos < end:
                    return
            if not self._next_chunk() or self._line:
                return

    def _take_body(self) -> Data | None:
        """A message that lies in this chunk, whole and in the plainest form; None where the next answer is another."""
        if self._pos == len(self._chunk) and not self._next_chunk():
            return None
        chunk = self._chunk
        found = _BODY.match(chunk, self._pos)
        if found is None:
            return None
        number, uid, flags, date, email, thread, name, length = found.groups()
        start, size = found.end(), int(length)
        end = start + size
        if None in (uid, flags, date) or size > self.limits.literal or not chunk.startswith(b")\r\n", end):
            return None
        self._pos = end + 3
        items: dict[bytes, bytes | int | None] = {b"UID": int(uid), b"FLAGS": flags, b"INTERNALDATE": date}
        if email is not None:
            items[b"EMAILID"] = email
        if thread is not None:
            items[b"THREADID"] = thread
        items[name] = chunk[start:end]
        return Data(b"FETCH", int(number), b"", (), items)

    def _take_whole(self, line: bytes) -> Answer | None:
        """A line has ended (`line`: its octets since the last literal). The answer it makes, or None."""
        if line.endswith(b"}") and (literal := _LITERAL.search(line)) and not self._is_text(line):
            size = int(literal[1])
            self._held += size
            if self._held > self.limits.literal or len(self._literals) >= self.limits.literals:
                raise BadAnswer("The server sends more than the limit allows.")
            self._text += (line[: literal.start()], b"\r")
            self._missing, self._pieces = size, []
            return None
        if not self._text and not line:
            self._size = 0
            return None  # some servers send an empty line behind a literal
        text = line
        if self._text:
            self._text.append(line)
            text = b"".join(self._text)
            self._text.clear()
        literals, self._literals = self._literals, []
        self._size = self._held = 0
        return _answer(text, literals)

    def _is_text(self, line: bytes) -> bool:
        """What looks like a literal stands in a text for people."""
        if self._text:
            return False
        if line.startswith(b"+"):
            return True
        rest = line[2:] if line.startswith(b"* ") else line[found.end() :] if (found := _TAGGED.match(line)) else line
        return _STATUS_WORD.match(rest) is not None and _OPEN_CODE.match(rest) is None

    def _take_literal(self) -> bool:
        """Move octets of the literal under way. True when it is complete."""
        assert self._pieces is not None
        while self._missing:
            there = len(self._chunk) - self._pos
            if not there:
                if not self._chunks:
                    self._chunk, self._pos = b"", 0
                    return False
                self._chunk, self._pos = self._chunks.popleft(), 0
                continue
            end = self._pos + min(there, self._missing)
            piece = self._chunk[self._pos : end] if self._pos or end < len(self._chunk) else self._chunk
            self._pieces.append(piece)
            self._missing -= len(piece)
            self._pos = end
        pieces, self._pieces = self._pieces, None
        self._literals.append(pieces[0] if len(pieces) == 1 else b"".join(pieces))
        return True


def _answer(text: bytes, literals: list[bytes]) -> Answer:
    """A whole answer by its kind. Raises BadAnswer."""
    if text.startswith(b"* "):
        if _STATUS_WORD.match(text, 2):
            return _status(b"*", text, 2, literals)
        found = _DATA.match(text, 2)
        if found is None or text.count(b"\r") != len(literals):  # a bare CR would pass for a literal
            raise BadAnswer("The server's answer is none of IMAP.")
        word = found[2] if found[2].isupper() else found[2].upper()
        return Data(word, int(found[1] or 0), text[found.end() :], tuple(literals))
    if text.startswith(b"+"):
        return Continue(text[1:].lstrip(b" "))
    tagged = _TAGGED.match(text)
    if tagged is None or not _STATUS_WORD.match(text, tagged.end()):
        raise BadAnswer("The server's answer is none of IMAP.")
    return _status(tagged[1], text, tagged.end(), literals)


def _status(tag: bytes, text: bytes, start: int, literals: list[bytes]) -> Status:
    """resp-cond-state etc. A literal in a response code (BADCHARSET's alone can have one) is put in its place."""
    if literals:
        if text.count(b"\r") != len(literals):
            raise BadAnswer("The server's answer is none of IMAP.")
        pieces = text.split(b"\r")
        text = b"".join([piece for pair in zip(pieces, (*literals, b""), strict=True) for piece in pair])
    found = _STATUS.match(text, start)
    assert found is not None, "_STATUS_WORD matches less"
    return Status(tag, found[1].upper(), (found[2] or b"").upper(), found[3] or b"", found[4])
