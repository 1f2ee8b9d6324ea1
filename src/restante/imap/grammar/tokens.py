"""A cursor over one command's text: the lexical rules that all parsers share.

The reader hands a command over as flat text in which each literal is one marker octet that no line can hold
(LITERAL for a literal, LITERAL8 for a literal8), with the literals' octets beside it, in order. So each rule is
one regular expression at one position, and a message of 60 MB is never copied. A marker without octets yet
raises NeedLiteral: all before it has parsed. RFC 9051 9, RFC 3501 9, RFC 3516 4.4.
"""

from __future__ import annotations

import re
from collections.abc import Sequence as Seq

from .commands import SequenceSet
from .errors import BadSyntax, NeedLiteral
from .limits import ReaderLimits
from .names import LONGEST, decode_mailbox
from .sets import parse_seq_set

LITERAL = 0x0D
LITERAL8 = 0x0A

_SP = 0x20
QUOTE = 0x22

ATOM = re.compile(rb"[^\x00-\x20\x7f-\xff(){%*\"\\\]]+")
ASTRING = re.compile(rb"[^\x00-\x20\x7f-\xff(){%*\"\\]+")
LIST_ATOM = re.compile(rb"[^\x00-\x20\x7f-\xff(){\"\\]+")
QUOTED = re.compile(rb'"([^"\\\x00\r\n]*+(?:\\["\\][^"\\\x00\r\n]*+)*+)"')
ESCAPE = re.compile(rb'\\(["\\])')
FLAG = re.compile(rb"\\?[^\x00-\x20\x7f-\xff(){%*\"\\\]]+")
FIELD = re.compile(rb"[\x21-\x39\x3b-\x7e]+")
NUMBER = re.compile(rb"[0-9]{1,20}(?![0-9])")
SET = re.compile(rb"[0-9*:,]+")
INT64 = (1 << 63) - 1
_LONGEST_FLAG = 255
UNMATCHED = "\0"
"""What stands for a name that no mailbox can have where such a one is passed over: a LIST pattern, one of several."""


class Cursor:
    """Reads one command from left to right. Every method raises BadSyntax where its rule does not match."""

    __slots__ = ("_fields", "_literals", "_named", "_sought", "_taken", "limits", "pos", "text", "utf8")

    def __init__(self, text: bytes, literals: Seq[bytes], utf8: bool, limits: ReaderLimits, pos: int = 0) -> None:
        self.text = text
        self.pos = pos
        self.utf8 = utf8
        self.limits = limits
        self._literals = literals
        self._taken = 0
        self._named = 0  # octets of mailbox names so far
        self._fields = 0  # octets of header field names so far
        self._sought = 0  # octets of what a search looks for so far

    def bad(self, text: str) -> BadSyntax:
        """An error at the present place."""
        return BadSyntax(text, self.pos)

    def limit(self, text: str, code: bytes = b"LIMIT") -> BadSyntax:
        """A bound was passed at the present place: the syntax is right, so it is NO [LIMIT] (RFC 5530 3), or another
        code."""
        return BadSyntax(text, self.pos, code, True)

    # Single octets -------------------------------------------------------------------------------------

    def peek(self) -> int:
        """The next octet, -1 at the end."""
        return self.text[self.pos] if self.pos < len(self.text) else -1

    def at(self, octets: bytes) -> bool:
        """Whether `octets` come next."""
        return self.text.startswith(octets, self.pos)

    def skip(self, octets: bytes) -> bool:
        """Pass over `octets` if they come next."""
        if self.text.startswith(octets, self.pos):
            self.pos += len(octets)
            return True
        return False

    def expect(self, octets: bytes) -> None:
        if not self.skip(octets):
            raise self.bad(f"Expected {octets.decode('ascii')}")

    def sp(self) -> None:
        """SP: exactly one."""
        if self.peek() != _SP:
            raise self.bad("Missing argument" if self.pos >= len(self.text) else "Expected a space")
        self.pos += 1

    def end(self) -> None:
        """The command has no more."""
        if self.pos != len(self.text):
            raise self.bad("Unexpected text at the end of the command")

    def match(self, pattern: re.Pattern[bytes], what: str) -> bytes:
        """What the pattern matches here, all of it."""
        found = pattern.match(self.text, self.pos)
        if found is None:
            raise self.bad(f"Expected {what}")
        self.pos = found.end()
        return found[0]

    # Words ---------------------------------------------------------------------------------------------

    def atom(self) -> bytes:
        """atom = 1*ATOM-CHAR"""
        return self.match(ATOM, "an atom")

    def keyword(self) -> bytes:
        """An atom in capitals: names that the grammar knows, in any case."""
        return self.match(ATOM, "a word").upper()

    def astring(self) -> bytes:
        """astring = 1*ASTRING-CHAR / string"""
        if self.peek() in (QUOTE, LITERAL, LITERAL8):
            return self.string()
        return self.match(ASTRING, "a string")

    def string(self) -> bytes:
        """string = quoted / literal"""
        if self.peek() == QUOTE:
            return self.quoted()
        if self.peek() == LITERAL:
            return self.literal()
        raise self.bad("Expected a string")

    def nstring(self) -> bytes | None:
        """nstring = string / nil"""
        if self.text[self.pos : self.pos + 3].upper() == b"NIL":
            self.pos += 3
            return None
        return self.string()

    def quoted(self, octets: bool = False) -> bytes:
        """quoted = DQUOTE *QUOTED-CHAR DQUOTE; 8-bit octets only as UTF-8 where that was enabled. octets: any."""
        found = QUOTED.match(self.text, self.pos)
        if found is None:
            raise self.bad("Invalid quoted string")
        value = found[1]
        if not octets and not value.isascii():
            if not self.utf8:
                raise self.bad("8-bit octets in a quoted string need UTF8=ACCEPT or IMAP4rev2")
            try:
                value.decode("utf-8")
            except UnicodeDecodeError as error:
                raise self.bad("Quoted string is not valid UTF-8") from error
        self.pos = found.end()
        return ESCAPE.sub(rb"\1", value) if b"\\" in value else value

    def literal(self) -> bytes:
        """literal = "{" number64 ["+"] "}" CRLF *CHAR8; NUL is not among CHAR8."""
        data = self._take(LITERAL, message=False)
        if b"\0" in data:
            raise self.bad("NUL in a string")
        return data

    def message(self) -> tuple[bytes, bool]:
        """APPEND's message: (octets, it was a literal8). NUL is kept also in a plain literal: old mail has it."""
        kind = self.peek()
        return self._take(LITERAL8 if kind == LITERAL8 else LITERAL, message=True), kind == LITERAL8

    def value(self) -> bytes | None:
        """value = nstring / literal8 (RFC 5464 5); NUL only in a literal8. Too large: NO [METADATA MAXSIZE n]."""
        most = self.limits.metadata_value
        refusal = BadSyntax("The value is too large", self.pos, b"METADATA MAXSIZE %d" % most, True)
        try:
            found = self._take(LITERAL8, message=False) if self.peek() == LITERAL8 else self.nstring()
        except NeedLiteral as need:
            raise NeedLiteral(False, most, refusal) from need
        if found is not None and len(found) > most:
            raise refusal
        return found

    def _take(self, marker: int, message: bool) -> bytes:
        if self.peek() != marker:
            raise self.bad("Expected a literal")
        if self._taken >= len(self._literals):
            raise NeedLiteral(message)
        data = self._literals[self._taken]
        self._taken += 1
        self.pos += 1
        return data

    # Numbers -------------------------------------------------------------------------------------------

    def number(self, largest: int = 0xFFFFFFFF) -> int:
        """number = 1*DIGIT, at most `largest` (32 bits unless said otherwise)."""
        start = self.pos
        value = int(self.match(NUMBER, "a number"))
        if value > largest:
            raise BadSyntax("Number too large", start)
        return value

    def nz_number(self, largest: int = 0xFFFFFFFF) -> int:
        """nz-number = digit-nz *DIGIT"""
        if self.peek() == 0x30:
            raise self.bad("Expected a number above zero")
        return self.number(largest)

    def number64(self) -> int:
        """number64 = 1*DIGIT, 63 bits (also mod-sequence-valzer, RFC 7162 7).

        CHANGEDSINCE and QRESYNC take it where mod-sequence-value is asked for, which begins with 1: applications that
        know no number yet send 0 and mean everything. iOS Mail does when a server has CONDSTORE from now on.
        """
        return self.number(INT64)

    def sequence_set(self, uid: bool) -> SequenceSet:
        """sequence-set; "$" stands alone or at its end (RFC 9051 6.4.4.1, 9)."""
        if self.skip(b"$"):
            return SequenceSet((), uid, True)
        start = self.pos
        raw = self.match(SET, "a sequence set")
        saved = raw.endswith(b",") and self.skip(b"$")
        try:
            return SequenceSet(parse_seq_set(raw[:-1] if saved else raw, self.limits.set_items), uid, saved)
        except BadSyntax as error:
            error.offset += start
            raise

    # Names ---------------------------------------------------------------------------------------------

    def mailbox(self) -> str:
        """mailbox = "INBOX" / astring

        Any astring is right by the syntax: ASCII that is no modified UTF-7 ("R&D") is NO [CANNOT], since no mailbox has
        such a name (RFC 5530 3), not BAD.
        """
        raw = self._named_so(self.astring())
        try:
            return decode_mailbox(raw, self.utf8)
        except BadSyntax as error:
            if self.utf8 or error.no or not raw.isascii():
                raise
            raise BadSyntax(error.text, error.offset, b"CANNOT", True) from error

    def _named_so(self, raw: bytes) -> bytes:
        """The octets of a name or pattern, counted where they are to be decoded."""
        self._named += len(raw) if len(raw) <= LONGEST else 0
        if self._named > self.limits.names:
            raise self.limit("The names of mailboxes are too long together")
        return raw

    def header_field(self) -> bytes:
        """header-fld-name = astring, of octets that a name may have. FETCH shows them all with each message, so those
        of a command have together no more than a line without literals could hold."""
        name = self.astring()
        if FIELD.fullmatch(name) is None:
            raise self.bad("Invalid header field name")
        self._fields += len(name)
        if self._fields > self.limits.line:
            raise self.limit("The names of header fields are too long together")
        return name

    def sought(self) -> bytes:
        """astring that a search looks for, its quotes holding any octets. Those of a command have together no more than
        a line without literals could hold: they are decoded and folded, to eighteen times their length, while others
        wait."""
        value = self.quoted(octets=True) if self.peek() == QUOTE else self.astring()
        self._sought += len(value)
        if self._sought > self.limits.line:
            raise self.bad("The strings that are looked for are too long together")
        return value

    def mailboxes(self) -> tuple[str, ...]:
        """one-or-more-mailbox = mailbox / "(" mailbox *(SP mailbox) ")" (RFC 5465 8)

        A name of no mailbox is passed over (RFC 5465 3.1, RFC 7377 5), so one that no mailbox can have refuses nothing.
        """
        if not self.skip(b"("):
            return (self._looked_for(self.astring()),)
        names = [self._looked_for(self.astring())]
        while not self.skip(b")"):
            self.sp()
            names.append(self._looked_for(self.astring()))
        return tuple(names)

    def list_mailbox(self) -> str:
        """list-mailbox = 1*list-char / string; list-char = ATOM-CHAR / list-wildcards / resp-specials"""
        raw = self.string() if self.peek() in (QUOTE, LITERAL) else self.match(LIST_ATOM, "a mailbox pattern")
        return self._looked_for(raw)

    def reference(self) -> str:
        """mailbox, as LIST's and LSUB's first argument: the beginning of a pattern."""
        return self._looked_for(self.astring())

    def _looked_for(self, raw: bytes) -> str:
        """A pattern, or a name that is only looked for: one that no mailbox can have is passed over, not refused (RFC
        9051 6.3.9, RFC 5465 3.1); UTF-8 must be valid all the same (RFC 6855 3)."""
        self._named_so(raw)
        try:
            return decode_mailbox(raw, self.utf8)
        except BadSyntax as error:
            if self.utf8 and not error.no:
                raise
            return UNMATCHED

    def flag(self) -> str:
        """flag = "\\Answered" / ... / flag-keyword / flag-extension; at most 255 octets, else NO [LIMIT]"""
        name = self.match(FLAG, "a flag").decode("ascii")
        if len(name) > _LONGEST_FLAG:
            raise BadSyntax("Flag name too long", self.pos, b"LIMIT", True)
        return name

    def flag_list(self) -> tuple[str, ...]:
        """flag-list = "(" [flag *(SP flag)] ")" """
        self.expect(b"(")
        flags: list[str] = []
        if self.skip(b")"):
            return ()
        while True:
            flags.append(self.flag())
            if self.skip(b")"):
                return tuple(flags)
            self.sp()
