"""Octets from a client, cut into commands: the first layer of the grammar, and its limits.

A command is lines with literals between them. This layer finds their borders, so that a broken command never
turns message data into commands; parsing (parser.py) sees whole commands only. Three things can stand under way:

    line ──LF──> whole command ──> Command or Bad
      │ ^
      │ └──────────── literal taken or swallowed
      └─ ...{n}LF ──> literal: taken (after Continue, if synchronising) or swallowed (n+, refused)

A synchronising literal is acknowledged only when what stands before it parses and may have a literal there: the
beginning is parsed once for the question. Memory is what one command holds; every octet is looked at once, however
the octets are split. Knows nothing of sessions or sockets. RFC 9051 2.2.1, 4.3, RFC 7888, RFC 3516 4.4.
"""

from __future__ import annotations

import re
from collections import deque
from dataclasses import dataclass, field
from io import BytesIO

from .commands import Command, SequenceSet
from .errors import BadSyntax, NeedLiteral
from .limits import ReaderLimits
from .parser import find_tag, parse_command

__all__ = ["Bad", "CommandReader", "Continue", "Event", "Line", "ReaderLimits", "Upload"]

_LITERAL = re.compile(rb"(?:(~?)\{|\A(?=.{60}))([0-9]+)(\+?)\}\Z", re.DOTALL)
"""A literal's announcement at the end of a line; also what may be the end of one with more digits than are kept."""
_WHOLE = re.compile(rb"([^\x00\r\n]*+)(?<!\})\r?\n")
"""A line that is a command by itself, as nearly all are: no literal is announced at its end."""
_TAIL = 64
"""Octets kept of a line that is too long: enough for a literal's announcement at its end."""
_LITERAL_MINUS = 4_096
"""Largest non-synchronising literal under LITERAL- (RFC 7888 4)."""
_FILES = re.compile(rb"[^ ]+ (?:UID )?(?:APPEND|REPLACE) ", re.IGNORECASE)
"""A command that files a message begins so."""
_PROBES = 8
"""Synchronising literals of one command whose beginning is parsed before Continue: more would cost the square."""
_PATIENCE = 2
"""Largest messages that are swallowed of one refused command: one just over APPENDLIMIT is answered (RFC 7889 4)."""
_LINE_PATIENCE = 16
"""A line this many times its limit ends the connection instead of being swallowed on and on."""


@dataclass(frozen=True, slots=True)
class Upload:
    """A message that a client waits to send: whether it may is worth asking before its octets come.

    size: octets of it and of what the command holds already. replaces: REPLACE's message, None for APPEND.
    """

    tag: bytes
    mailbox: str
    size: int
    replaces: SequenceSet | None


@dataclass(frozen=True, slots=True)
class Continue:
    """The client waits for "+": send a continuation request, then feed what comes; or `refuse` the literal.

    upload: it is a message of APPEND or REPLACE.
    """

    upload: Upload | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Bad:
    """A command that is refused before any session sees it.

    tag: the command's, b"*" where none could be read (RFC 9051 7.1.3: untagged BAD). text: why, for the
    client. code: response code octets without brackets (b"TOOBIG"), or b"". no: answer NO instead of BAD
    (TOOBIG, UNKNOWN-CTE ...). unsaves: "$" is emptied by this NO. fatal: nothing that follows can be told apart
    from data; answer `* BYE text` and close.
    """

    tag: bytes
    text: str
    code: bytes = b""
    no: bool = False
    fatal: bool = False
    unsaves: bool = False


@dataclass(frozen=True, slots=True)
class Line:
    """A raw line (without CRLF) while the reader is in line mode: AUTHENTICATE's answers, IDLE's DONE."""

    data: bytes


Event = Command | Continue | Bad | Line


class CommandReader:
    """Feed octets, take events; one reader a connection.

    Usage: `feed(data)`, then `next()` until it gives None (more octets needed). The session may change, at
    any time between two `next()` calls: `utf8` (mailbox names and quoted strings are UTF-8: after ENABLE
    IMAP4rev2 or UTF8=ACCEPT), `authenticated` (which limits hold), `line_mode` (as long as it is set, each
    line comes as `Line`), `literal_plus` (True: LITERAL+ of any size; False: LITERAL-, 4,096 octets, RFC 7888).

    A refused synchronising literal is answered by Bad without a Continue; the data of a refused
    non-synchronising one is swallowed (up to its announced size) before the Bad comes out, or the Bad is
    fatal where that would be more than `limits.message`, or twice that after login. Bare LF ends a line like
    CRLF does. Memory: what one command holds, and nothing for what is swallowed.
    """

    def __init__(self, limits: ReaderLimits) -> None:
        self.limits = limits
        self.utf8 = False
        self.authenticated = False
        self.line_mode = False
        self.literal_plus = False
        self._chunk = b""  # the octets being cut, from _pos on
        self._pos = 0
        self._dead = False
        self.discard()

    def feed(self, data: bytes) -> None:
        """Add octets as they came."""
        if data and not self._dead:
            self._chunks.append(data)

    def next(self) -> Event | None:
        """The next event, None when more octets are needed. After a fatal Bad nothing more comes."""
        if self._pos >= len(self._chunk):
            self._chunk, self._pos = b"", 0
            if not self._chunks:
                return None
            self._chunk = self._chunks.popleft()
        if not (self._octets or self._in_literal or self.line_mode):
            found = _WHOLE.match(self._chunk, self._pos)
            if found is not None and found.end() - self._pos - 1 <= self._line_limit():
                self._pos = found.end()
                return self._parse(found[1])
        while not self._dead:
            if self._in_literal and not self._take_literal():
                return None
            line = self._take_line()
            if self._refusal is not None and self._octets > _LINE_PATIENCE * self._line_limit():
                return self._end(Bad(self._refusal.tag, "Line too long", fatal=True))
            if line is None:
                return None
            event = self._take_whole(line.removesuffix(b"\r"))
            if event is not None:
                return event
        return None

    def refuse(self) -> None:
        """Forget the command whose literal has just been asked for by Continue: it has been answered instead."""
        self._reset()

    @property
    def midway(self) -> bool:
        """A command has begun to arrive and is not whole; as of the last `next()` that gave None."""
        return bool(self._octets or self._text or self._in_literal)

    def discard(self) -> None:
        """Throw away all that is buffered (before STARTTLS's handshake)."""
        self._chunks: deque[bytes] = deque()
        self._chunk = b""
        self._pos = 0
        self._dead = False
        self._reset()

    def _reset(self) -> None:
        """Ready for a new command; what was fed behind the last one stays."""
        self._line = bytearray()  # the line under way, only its end once it is too long
        self._octets = 0  # of the command's lines so far, the line under way included
        self._text = bytearray()  # the command's lines before that, literals as markers
        self._literals: list[bytes] = []
        self._held = 0  # octets of _literals
        self._in_literal = False
        self._missing = 0  # octets still to come of the literal under way
        self._sink: BytesIO | None = None  # where they go; None: swallowed
        self._swallowed = 0
        self._refusal: Bad | None = None  # what the command will get when its end is found

    # Lines ---------------------------------------------------------------------------------------------

    def _line_limit(self) -> int:
        return self.limits.line if self.authenticated else self.limits.line_before_login

    def _take_line(self) -> bytes | None:
        """The rest of the line up to its LF, None if that has not come."""
        while True:
            end = self._chunk.find(b"\n", self._pos)
            if end >= 0:
                piece = self._chunk[self._pos : end]
                self._pos = end + 1
                self._octets += len(piece)
                if self._line or self._octets > self._line_limit():
                    self._keep(piece)
                    piece = bytes(self._line)
                    self._line.clear()
                return piece
            if self._pos < len(self._chunk):
                piece = self._chunk[self._pos :] if self._pos else self._chunk
                self._octets += len(piece)
                self._keep(piece)
            if not self._chunks:
                self._chunk, self._pos = b"", 0
                return None
            self._chunk, self._pos = self._chunks.popleft(), 0

    def _keep(self, piece: bytes) -> None:
        """Add to the line under way; past the limit only its end is kept, for a literal announced there."""
        if self._octets <= self._line_limit() and self._refusal is None:
            self._line += piece
            return
        if self._refusal is None:
            start = bytes(self._text[:80] or self._line[:80] + piece[:80])
            self._refuse(Bad(b"*" if self._in_lines() else find_tag(start), "Line too long"))
        self._line += piece[-_TAIL:]
        del self._line[:-_TAIL]

    def _in_lines(self) -> bool:
        """The line under way is a Line, not a command or the rest of one."""
        return self.line_mode and not self._text

    def _tag(self) -> bytes:
        """The tag of the command under way."""
        return find_tag(bytes((self._text or self._line)[:80]))

    def _refuse(self, refusal: Bad) -> None:
        """The command gets `refusal` at its end; nothing of it is held any longer."""
        self._refusal = refusal
        self._text.clear()
        self._literals.clear()
        self._held = 0

    def _end(self, bad: Bad) -> Bad:
        """A fatal end."""
        self.discard()
        self._dead = True
        return bad

    # Whole lines ---------------------------------------------------------------------------------------

    def _take_whole(self, line: bytes) -> Event | None:
        """A line has ended (`line`: its octets since the last literal). The event it makes, or None."""
        if self._in_lines():
            refusal = self._refusal
            self._reset()
            return refusal or Line(line)
        literal = _LITERAL.search(line) if line.endswith(b"}") else None
        if self._refusal is None and (b"\0" in line or b"\r" in line):
            tag = find_tag(bytes(self._text[:80]) or line[:80])
            self._refuse(Bad(tag, "NUL or bare CR in a command line"))
        if self._refusal is not None:
            return self._pass_over(self._refusal, literal)
        if literal is None:
            return self._parse(line)
        return self._announced(line, literal)

    def _parse(self, line: bytes) -> Event:
        """The command is complete."""
        text, literals = line, self._literals
        if self._text or literals:
            text = bytes(self._text + line)
            self._reset()
        else:
            self._octets = 0
        try:
            return parse_command(text, literals, self.utf8, self.limits)
        except BadSyntax as error:
            return Bad(find_tag(text), error.text, error.code, error.no, unsaves=error.unsaves)
        except NeedLiteral:
            # Every marker in `text` has its octets, so a parser can only ask for more by a fault of ours.
            return Bad(find_tag(text), "Invalid literal")

    # Literals ------------------------------------------------------------------------------------------

    def _pass_over(self, refusal: Bad, literal: re.Match[bytes] | None) -> Bad | None:
        """A refused command's line ended: swallow the literal it announces, or give the refusal."""
        if literal is None or not literal[3]:
            self._reset()
            return refusal
        size = int(literal[2]) if len(literal[2]) < 19 else 1 << 63
        self._swallowed += size
        if self._swallowed > self.limits.message * (_PATIENCE if self.authenticated else 1):
            return self._end(Bad(refusal.tag, refusal.text, refusal.code or b"TOOBIG", fatal=True))
        self._in_literal, self._missing, self._sink = True, size, None
        return None

    def _announced(self, line: bytes, literal: re.Match[bytes]) -> Event | None:
        """A line ended in a literal's announcement."""
        self._text += line[: literal.start()] + (b"\n" if literal[1] else b"\r")
        synchronising = not literal[3]
        size = int(literal[2]) if len(literal[2]) < 19 else 1 << 63
        refusal = self._judge(size, synchronising)
        if isinstance(refusal, Bad):
            self._refuse(refusal)
            return self._pass_over(refusal, literal)
        self._in_literal, self._missing, self._sink = True, size, BytesIO()
        return Continue(refusal) if synchronising else None

    def _judge(self, size: int, synchronising: bool) -> Bad | Upload | None:
        """Why a literal of this size may not come here; if it may, what it is where that is known."""
        tag, upload = self._tag(), None
        if not synchronising and not self.literal_plus and size > _LITERAL_MINUS:
            files = _FILES.match(self._text) is not None
            code = b"TOOBIG" if files else b""  # RFC 7888 5: a must for APPEND
            return Bad(tag, "Non-synchronising literals are limited to 4096 octets", code)
        largest = self.limits.literal if self.authenticated else self.limits.literal_before_login
        too_much = self._octets + self._held + size > self.limits.command
        if size > largest or too_much or (synchronising and len(self._literals) < _PROBES):
            try:
                parse_command(bytes(self._text), self._literals, self.utf8, self.limits)
            except NeedLiteral as need:
                if need.message and self.authenticated:
                    if size > self.limits.message:
                        return Bad(tag, "Message too large", b"TOOBIG", no=True)
                    largest = self.limits.message
                    if need.mailbox is not None:
                        upload = Upload(tag, need.mailbox, self._held + size, need.replaces)
                elif need.refusal is not None and size > need.most:
                    return Bad(tag, need.refusal.text, need.refusal.code, need.refusal.no)
            except BadSyntax as error:
                return Bad(tag, error.text, error.code, error.no, unsaves=error.unsaves)
        if size > largest:
            return Bad(tag, "Literal too large")
        if too_much:
            if largest == self.limits.message:  # several messages that may each be sent by itself
                return Bad(tag, "Messages too large for one command", b"LIMIT", no=True)
            return Bad(tag, "Command too large")
        return upload

    def _take_literal(self) -> bool:
        """Move octets of the literal under way. True when it is complete."""
        while self._missing:
            if self._pos >= len(self._chunk):
                if not self._chunks:
                    self._chunk, self._pos = b"", 0
                    return False
                self._chunk, self._pos = self._chunks.popleft(), 0
            end = min(self._pos + self._missing, len(self._chunk))
            if self._sink is not None:
                self._sink.write(memoryview(self._chunk)[self._pos : end])
            self._missing -= end - self._pos
            self._pos = end
        self._in_literal = False
        if self._sink is not None:
            data = self._sink.getvalue()  # shares the buffer: no second copy of a large message
            self._literals.append(data)
            self._held += len(data)
            self._sink = None
        return True
