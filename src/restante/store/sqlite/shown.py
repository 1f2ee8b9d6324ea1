"""Header fields as they are compared with a string: as they were written, and as they are shown.

Texts are kept as they were written. A field that was folded has at that place what it was folded with, a tab or several
blanks, where an application shows one blank and people type one (RFC 5322 2.2.3). FROM, TO, CC and BCC are compared
with the ENVELOPE's fields (RFC 9051 6.4.4): an ENVELOPE has a quoted string without its quotes, also where it is one
word of a name, John "Jack" Smith, or a local part, "ann"@example.org; and without its escapes: what an escape is there
for is a quote or a backslash (RFC 5322 3.2.4).
"""

from __future__ import annotations

import re

from .conditions import FALSE, Sql, balanced


def field_holds(column: str, needle: str) -> Sql:
    """The field holds a folded needle, as it was written or with one blank between words; one with two blanks in a row
    as it was written alone."""
    if " " not in needle or "  " in needle:
        return _holds(column, needle)
    return _or_shown(column, needle, max(needle.split(" "), key=len), _EVENED)


def envelope_holds(column: str, needle: str) -> Sql:
    """The field of addresses, as an ENVELOPE has it, holds a folded needle."""
    forms = raw_forms(needle)
    if _is_quoting(needle):
        escaped = needle.replace("\\", "\\\\").replace('"', '\\"')
        written = _or_shown(column, needle, forms[0], _EVENED)
        shown = _or_shown(column, needle, forms[0], (*_PROTECTED, *_EVENED, *_UNQUOTED, *_UNESCAPED))
        return balanced([_holds(column, escaped), written, shown], "OR", FALSE)
    if needle in forms:
        return balanced([_holds(column, form) for form in forms], "OR", FALSE)
    return _or_shown(column, needle, forms[0], (*_EVENED, *_UNQUOTED))


def raw_forms(needle: str) -> tuple[str, ...]:
    """Texts of which one stands in every stored field of addresses that, as an ENVELOPE has it, holds a needle: the
    needle and others, which say it all, or a word of it."""
    if _is_quoting(needle):
        return (max(_JOINT_OR_QUOTE.split(needle), key=len),)
    words = _JOINT.split(needle)
    if len(words) == 2 and "@" in needle:
        return needle, needle.replace("@", '"@')
    return (max(words, key=len),)


def _is_quoting(needle: str) -> bool:
    """Whether it has what a quoted string escapes."""
    return '"' in needle or "\\" in needle


def _holds(column: str, needle: str) -> Sql:
    return Sql(f"instr({column}, ?) > 0", [needle])


def _or_shown(column: str, needle: str, word: str, replaced: tuple[tuple[str, str], ...]) -> Sql:
    """The field holds the needle, or does with these texts replaced. word: what it has in any case, which is looked for
    first; so are the texts that are replaced, since most fields have none."""
    made = column
    for old, new in replaced:
        made = f"replace({made}, {old}, {new})"
    differs = " OR ".join([f"instr({column}, {mark}) > 0" for mark in _DIFFERENT])
    shown = f"instr({column}, ?) > 0 AND ({differs}) AND instr({made}, ?) > 0"
    return Sql(f"(instr({column}, ?) > 0 OR ({shown}))", [needle, word, needle])


def evened(header: bytes) -> bytes:
    """A header with one blank for each stretch of blanks and tabs. Linear: a stretch is halved at least."""
    header = header.replace(b"\t", b" ")
    while b"  " in header:
        header = header.replace(b"  ", b" ")
    return header


def differently_shown(header: str) -> str:
    """The lines of a header that are not shown as they are written, as they are shown."""
    if "\t" not in header and "  " not in header:
        return ""
    shown = evened(header.encode("utf-8")).decode("utf-8")
    lines = zip(header.split("\n"), shown.split("\n"), strict=True)
    return "\n".join([new for old, new in lines if old != new])


_JOINT = re.compile("[ @]")
"""What stands between words, beside which a quoted string may begin or end."""

_JOINT_OR_QUOTE = re.compile(r'[ @"\\]')

_DIFFERENT = ("char(9)", "'  '", "'\"'")
"""What a field has that is shown otherwise."""

_EVENED = (("char(9)", "' '"), *[(f"'{' ' * blanks}'", "' '") for blanks in (33, 21, 7, 4, 3, 2)])
"""Up to 14,188 blanks become one, of 998 that a line may have (RFC 5322 2.1.1)."""

_UNQUOTED = (("'\" '", "' '"), ("' \"'", "' '"), ("'\"@'", "'@'"), *[("'  '", "' '")] * 2)
"""The last two for blanks within the quotes: three are left of "Ann " " Lee", and become one."""

_BACKSLASH, _QUOTE = "char(64976)", "char(64977)"
"""Stand for what an escape is there for while quotes that are none of the text are taken out: no text has these, which
Unicode keeps for such uses."""

_PROTECTED = ((r"'\\'", _BACKSLASH), ("'\\\"'", _QUOTE))

_UNESCAPED = ((_QUOTE, "'\"'"), (_BACKSLASH, r"'\'"))
