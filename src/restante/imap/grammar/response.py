"""Octets of responses: strings, lists, the untagged responses that have a fixed shape.

Every builder gives finished octets; what says "response" ends in CRLF. FETCH responses over many messages are
joined by the session from ready rows; status lines are the session's, too (`Reply`). RFC 9051 7, RFC 3501 7, RFC 7162,
RFC 5258, RFC 4731, RFC 5819.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import date
from functools import lru_cache

from .commands import Partial, StatusItem
from .dates import MONTHS
from .names import encode_mailbox, encode_utf7
from .sets import Range, format_ranges
from .wildcards import list_match, list_matcher

__all__ = [
    "astring",
    "esearch_response",
    "flag_list",
    "format_internaldate",
    "id_response",
    "language_response",
    "list_match",
    "list_matcher",
    "list_response",
    "literal",
    "metadata_changed",
    "metadata_response",
    "namespace_response",
    "nstring",
    "quoted",
    "search_response",
    "sort_response",
    "status_response",
    "string",
    "thread_response",
    "vanished",
]

_QUOTABLE = re.compile(rb"[\x01-\x09\x0b\x0c\x0e-\x7f]*\Z")
_QUOTABLE_UTF8 = re.compile(rb"[^\x00\r\n]*\Z")
_LONGEST_QUOTED = 1_000
"""Longer strings go out as literals: old clients have line buffers."""
_EPOCH = date(1970, 1, 1).toordinal()


# Strings -----------------------------------------------------------------------------------------------


def quoted(data: bytes) -> bytes:
    """The octets between double quotes. The caller knows that they hold no NUL, CR or LF."""
    return b'"' + data.replace(b"\\", b"\\\\").replace(b'"', b'\\"') + b'"'


def literal(data: bytes) -> bytes:
    return b"{%d}\r\n" % len(data) + data


def string(data: bytes, utf8: bool = False) -> bytes:
    """string: quoted where it may be, else a literal. utf8: quoted strings may hold (valid) UTF-8.

    NUL cannot go out in either form; the caller has replaced it.
    """
    if len(data) <= _LONGEST_QUOTED and (_QUOTABLE_UTF8 if utf8 else _QUOTABLE).match(data):
        return quoted(data)
    return literal(data)


_ASTRING = re.compile(rb"[^\x00-\x20\x7f-\xff(){%*\"\\]+\Z")


def astring(data: bytes, utf8: bool = False) -> bytes:
    """astring: bare where it may be (never NIL, which some would take for nothing), else a string."""
    return data if _ASTRING.match(data) and data.upper() != b"NIL" else string(data, utf8)


def nstring(data: bytes | None, utf8: bool = False) -> bytes:
    """nstring: NIL for None."""
    return b"NIL" if data is None else string(data, utf8)


def metadata_value(value: bytes | None) -> bytes:
    """value = nstring / literal8 (RFC 5464 5): a literal8 where NUL is in it."""
    return b"~" + literal(value) if value is not None and b"\0" in value else nstring(value)


def flag_list(names: Iterable[str]) -> bytes:
    """E.g. b"(\\Seen $Junk)"."""
    return b"(" + " ".join(names).encode("ascii") + b")"


@lru_cache(maxsize=8_192)
def _day(number: int) -> bytes:
    day = date.fromordinal(_EPOCH + number)
    return b"%2d-%b-%04d " % (day.day, MONTHS[day.month - 1], day.year)


_MINUTES = [b"%02d:%02d:" % divmod(minute, 60) for minute in range(1_440)]
_SECONDS = [b"%02d +0000" % second for second in range(60)]


def format_internaldate(seconds: int) -> bytes:
    """date-time in UTC without its quotes, e.g. b"17-Jul-1996 02:44:25 +0000" (day padded by a space).

    seconds: since 1970 UTC; negative ones too, within years 1 to 9999. RFC 9051 9, date-time.
    """
    day, rest = divmod(seconds, 86_400)
    minute, second = divmod(rest, 60)
    return _day(day) + _MINUTES[minute] + _SECONDS[second]


def format_internaldates(values: Iterable[int]) -> list[bytes]:
    """`format_internaldate` of many, in order, half a call each."""
    day, minutes, seconds = _day, _MINUTES, _SECONDS
    return [day(at // 86_400) + minutes[at // 60 % 1_440] + seconds[at % 60] for at in values]


def joined(template: bytes, columns: Iterable[Iterable[object]], count: int) -> bytes:
    """`count` responses of one template, their arguments given by column.

    One formatting for all of them makes no object a response: a listing of flags takes two thirds less time.
    """
    columns = list(columns)
    width = len(columns)
    values: list[object] = [None] * (width * count)
    for i, column in enumerate(columns):
        values[i::width] = column
    return template * count % tuple(values)


# Untagged responses ------------------------------------------------------------------------------------


def id_response(pairs: Iterable[tuple[str, str | None]]) -> bytes:
    """The ID response (RFC 2971 3.2): ASCII names and values; NIL for no pairs."""
    shown = [
        quoted(name.encode("ascii")) + b" " + nstring(None if value is None else value.encode("ascii"))
        for name, value in pairs
    ]
    return b"* ID " + (b"(" + b" ".join(shown) + b")" if shown else b"NIL") + b"\r\n"


def language_response(tags: Iterable[str]) -> bytes:
    """The LANGUAGE response: one tag for the language in use, several for those there are (RFC 5255 3.3)."""
    return b"* LANGUAGE (" + " ".join(tags).encode("ascii") + b")\r\n"


Prefix = tuple[str, str, str | None]
"""A namespace: its prefix, its separator, and what the prefix is called for people, if that is something else."""


def namespace_response(
    personal: Iterable[Prefix], others: Iterable[Prefix], shared: Iterable[Prefix], *, utf8: bool
) -> bytes:
    """The NAMESPACE response (RFC 2342 5, RFC 9051 7.3.4), with TRANSLATION (RFC 5255 3.4, always modified UTF-7).

    utf8: prefixes go out as UTF-8, as all names do then (RFC 9051 5.1, RFC 6855 3)."""
    kinds = [_prefixes(kind, utf8) for kind in (personal, others, shared)]
    return b"* NAMESPACE " + b" ".join(kinds) + b"\r\n"


def _prefixes(prefixes: Iterable[Prefix], utf8: bool) -> bytes:
    shown = []
    for prefix, separator, translation in prefixes:
        raw = prefix.encode("utf-8") if utf8 else encode_utf7(prefix)
        entry = string(raw, utf8) + b" " + quoted(separator.encode("ascii"))
        if translation is not None:
            entry += b' "TRANSLATION" (' + string(encode_utf7(translation)) + b")"
        shown.append(b"(" + entry + b")")
    return b"(" + b"".join(shown) + b")" if shown else b"NIL"


def list_response(
    name: str,
    attributes: Iterable[str],
    separator: str | None,
    utf8: bool,
    child_info: Iterable[str] = (),
    old_name: str | None = None,
    lsub: bool = False,
) -> bytes:
    """A LIST (or LSUB) response.

    attributes: e.g. ("\\HasNoChildren", "\\Sent"). separator: one character, None for NIL. utf8: names go out
    as UTF-8. child_info: selection options for CHILDINFO (RFC 5258 3.5). old_name: OLDNAME (RFC 9051 6.3.9.7).
    """
    shown = b"NIL" if separator is None else quoted(separator.encode("ascii"))
    line = b"* %b %b %b %b" % (
        b"LSUB" if lsub else b"LIST",
        flag_list(attributes),
        shown,
        encode_mailbox(name, utf8),
    )
    options = [quoted(option.encode("ascii")) for option in child_info]
    extended: list[bytes] = []
    if options:
        extended.append(b'"CHILDINFO" (' + b" ".join(options) + b")")
    if old_name is not None:
        extended.append(b'"OLDNAME" (' + encode_mailbox(old_name, utf8) + b")")
    if extended:
        line += b" (" + b" ".join(extended) + b")"
    return line + b"\r\n"


def status_response(name: str, values: Iterable[tuple[StatusItem, int | str]], utf8: bool) -> bytes:
    """A STATUS response. values: in the order asked; MAILBOXID's is the id, shown in parentheses (RFC 8474 4.3)."""
    shown = [
        item.value + (b" (%b)" % value.encode("ascii") if isinstance(value, str) else b" %d" % value)
        for item, value in values
    ]
    return b"* STATUS " + encode_mailbox(name, utf8) + b" (" + b" ".join(shown) + b")\r\n"


def metadata_response(name: str, values: Iterable[tuple[str, bytes | None]], utf8: bool) -> bytes:
    """A METADATA response with values (RFC 5464 4.4.1). name: "" for the server."""
    shown = b" ".join([astring(entry.encode("ascii")) + b" " + metadata_value(value) for entry, value in values])
    return b"* METADATA " + encode_mailbox(name, utf8) + b" (" + shown + b")\r\n"


def metadata_changed(name: str, entries: Iterable[str], utf8: bool) -> bytes:
    """A METADATA response that names what changed (RFC 5464 4.4.2); at least one entry."""
    shown = b" ".join([astring(entry.encode("ascii")) for entry in entries])
    return b"* METADATA " + encode_mailbox(name, utf8) + b" " + shown + b"\r\n"


def search_response(numbers: Iterable[int], modseq: int | None = None) -> bytes:
    """IMAP4rev1's SEARCH response. modseq: highest one of the messages found (RFC 7162 3.1.5)."""
    values = tuple(numbers)
    found = b" %d" * len(values) % values  # half the time of joining one string a number
    return b"* SEARCH" + found + (b" (MODSEQ %d)" % modseq if modseq else b"") + b"\r\n"


def sort_response(numbers: Iterable[int], modseq: int | None = None) -> bytes:
    """The SORT response (RFC 5256 4), in the order given. modseq: as in SEARCH's (RFC 7162 3.1.9)."""
    return b"* SORT" + search_response(numbers, modseq)[len(b"* SEARCH") :]


def thread_response(skeleton: bytes, numbers: Iterable[int]) -> bytes:
    """The THREAD response (RFC 5256 4). skeleton: trees with %d for each message (query.threads.Threads)."""
    return b"* THREAD" + (b" " + skeleton % tuple(numbers) if skeleton else b"") + b"\r\n"


def esearch_response(
    tag: bytes,
    uid: bool,
    minimum: int | None = None,
    maximum: int | None = None,
    everything: Iterable[Range] | None = None,
    count: int | None = None,
    modseq: int | None = None,
    partial: tuple[Partial, Iterable[Range]] | None = None,
    mailbox: tuple[bytes, int] | None = None,
    changes: Iterable[tuple[bytes, Iterable[tuple[int, Iterable[Range]]]]] = (),
    relevancy: Iterable[int] | None = None,
) -> bytes:
    """An ESEARCH response (RFC 9051 7.3.4). None leaves an item out; an empty ALL is left out as well.

    partial: the range asked and the results in it, NIL where there are none (RFC 9394 3.1). mailbox: its name as
    `encode_mailbox` makes it and its UIDVALIDITY, where the command was ESEARCH (RFC 7377 2.1).
    changes: b"REMOVEFROM" and b"ADDTO", each with (position, results), in the order in which they are to be applied
    (RFC 5267 4.3.2). relevancy: scores, in the order of the results (RFC 6203 4).
    """
    line = b"* ESEARCH (TAG " + quoted(tag)
    line += b" MAILBOX %b UIDVALIDITY %d)" % mailbox if mailbox is not None else b")"
    line += b" UID" if uid else b""
    if minimum is not None:
        line += b" MIN %d" % minimum
    if maximum is not None:
        line += b" MAX %d" % maximum
    if everything is not None:
        ranges = format_ranges(everything)
        line += b" ALL " + ranges if ranges else b""
    if partial is not None:
        asked, within = partial
        line += b" PARTIAL (%d:%d %b)" % (asked.first, asked.last, format_ranges(within) or b"NIL")
    if count is not None:
        line += b" COUNT %d" % count
    if modseq is not None:
        line += b" MODSEQ %d" % modseq
    if relevancy is not None:
        line += b" RELEVANCY (" + " ".join(map(str, relevancy)).encode("ascii") + b")"
    for word, pairs in changes:
        shown = b" ".join([b"%d %b" % (position, format_ranges(ranges)) for position, ranges in pairs])
        line += b" " + word + b" (" + shown + b")"
    return line + b"\r\n"


def vanished(earlier: bool, ranges: Iterable[Range]) -> bytes:
    """A VANISHED response (RFC 7162 3.2.10); b"" where nothing vanished."""
    uids = format_ranges(ranges)
    return (b"* VANISHED (EARLIER) " if earlier else b"* VANISHED ") + uids + b"\r\n" if uids else b""
