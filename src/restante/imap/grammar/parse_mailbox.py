"""Commands about mailboxes: SELECT to STATUS, LIST in all its forms.

RFC 9051 6.3, RFC 3501 6.3, RFC 5258, RFC 5819, RFC 6154, RFC 7162 3.2.5, RFC 8438, RFC 8474, RFC 9590.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from ...query.language import Sequence
from . import commands as c
from .parse_metadata import entry_list
from .sets import STAR
from .tokens import Cursor

_STATUS = {item.value: item for item in c.StatusItem}
_SELECTION = frozenset({"SUBSCRIBED", "REMOTE", "RECURSIVEMATCH", "SPECIAL-USE"})
_BASE_SELECTION = frozenset({"SUBSCRIBED", "SPECIAL-USE"})
_RETURNING = frozenset({"SUBSCRIBED", "CHILDREN", "SPECIAL-USE", "MYRIGHTS"})
_PATTERNS = 1_000
_LISTED_ENTRIES = 100


def one_mailbox(make: Callable[[bytes, str], c.Command]) -> Callable[[Cursor, bytes], c.Command]:
    """A parser for a command whose one argument is a mailbox.

    delete = "DELETE" SP mailbox; subscribe, unsubscribe alike
    """

    def parse(cursor: Cursor, tag: bytes) -> c.Command:
        cursor.sp()
        return make(tag, cursor.mailbox())

    return parse


def parse_select(cursor: Cursor, tag: bytes) -> c.Command:
    """select = "SELECT" SP mailbox [select-params]

    select-params = SP "(" select-param *(SP select-param) ")"; select-param =/ "CONDSTORE" / qresync-param
    """
    return _select(cursor, tag, False)


def parse_examine(cursor: Cursor, tag: bytes) -> c.Command:
    """examine = "EXAMINE" SP mailbox [select-params]"""
    return _select(cursor, tag, True)


def _select(cursor: Cursor, tag: bytes, read_only: bool) -> c.Command:
    cursor.sp()
    mailbox = cursor.mailbox()
    condstore, qresync = False, None
    if cursor.skip(b" "):
        cursor.expect(b"(")
        while True:
            word = cursor.keyword()
            if word == b"CONDSTORE":
                condstore = True
            elif word == b"QRESYNC" and qresync is None:
                qresync = _qresync(cursor)
            else:
                raise cursor.bad("Unknown or repeated SELECT parameter")
            if cursor.skip(b")"):
                break
            cursor.sp()
    return c.Select(tag, mailbox, read_only, condstore, qresync)


def _qresync(cursor: Cursor) -> c.QResync:
    """qresync-param = "QRESYNC" SP "(" uidvalidity SP mod-sequence-value [SP known-uids]
    [SP seq-match-data] ")"; seq-match-data = "(" known-sequence-set SP known-uid-set ")"
    (RFC 7162 7; none of the sets may hold "*")
    """
    cursor.sp()
    cursor.expect(b"(")
    uidvalidity = cursor.nz_number()
    cursor.sp()
    modseq = cursor.number64()  # 0 too, beyond the grammar: see number64
    known: Sequence | None = None
    sequences: Sequence | None = None
    uids: Sequence | None = None
    more = cursor.skip(b" ")
    if more and not cursor.at(b"("):
        known = _known_set(cursor, True)
        more = cursor.skip(b" ")
    if more:
        cursor.expect(b"(")
        sequences = _known_set(cursor, False)
        cursor.sp()
        uids = _known_set(cursor, True)
        cursor.expect(b")")
    cursor.expect(b")")
    return c.QResync(uidvalidity, modseq, known, sequences, uids)


def _known_set(cursor: Cursor, uid: bool) -> Sequence:
    found = cursor.sequence_set(uid)
    if found.saved or any(STAR in pair for pair in found.ranges):
        raise cursor.bad("This set may not hold * or $")
    return found


def parse_create(cursor: Cursor, tag: bytes) -> c.Command:
    """create = "CREATE" SP mailbox [SP "(" create-param *(SP create-param) ")"]

    create-param =/ "USE" SP "(" [use-attr *(SP use-attr)] ")" (RFC 6154 6)
    """
    cursor.sp()
    mailbox = cursor.mailbox()
    uses: tuple[str, ...] = ()
    if cursor.skip(b" "):
        cursor.expect(b"(")
        if cursor.keyword() != b"USE":
            raise cursor.bad("Unknown CREATE parameter")
        cursor.sp()
        uses = cursor.flag_list()
        if any(not use.startswith("\\") for use in uses):
            raise cursor.bad("A special use starts with a backslash")
        cursor.expect(b")")
    return c.Create(tag, mailbox, uses)


def parse_rename(cursor: Cursor, tag: bytes) -> c.Command:
    """rename = "RENAME" SP mailbox SP mailbox"""
    cursor.sp()
    mailbox = cursor.mailbox()
    cursor.sp()
    return c.Rename(tag, mailbox, cursor.mailbox())


def parse_status(cursor: Cursor, tag: bytes) -> c.Command:
    """status = "STATUS" SP mailbox SP "(" status-att *(SP status-att) ")" """
    cursor.sp()
    mailbox = cursor.mailbox()
    cursor.sp()
    return c.Status(tag, mailbox, _status_items(cursor))


def _status_items(cursor: Cursor) -> tuple[c.StatusItem, ...]:
    """Repeated items count once, in their first place."""
    items: dict[c.StatusItem, None] = {}
    cursor.expect(b"(")
    while True:
        item = _STATUS.get(cursor.keyword())
        if item is None:
            raise cursor.bad("Unknown STATUS item")
        items[item] = None
        if cursor.skip(b")"):
            return tuple(items)
        cursor.sp()


def parse_lsub(cursor: Cursor, tag: bytes) -> c.Command:
    """lsub = "LSUB" SP mailbox SP list-mailbox (RFC 3501)"""
    cursor.sp()
    reference = cursor.reference()
    cursor.sp()
    return c.Lsub(tag, reference, cursor.list_mailbox())


def parse_list(cursor: Cursor, tag: bytes) -> c.Command:
    """list = "LIST" [SP list-select-opts] SP mailbox SP mbox-or-pat [SP list-return-opts]

    mbox-or-pat = list-mailbox / patterns; patterns = "(" list-mailbox *(SP list-mailbox) ")"
    """
    cursor.sp()
    extended = False
    selection: frozenset[str] = frozenset()
    if cursor.at(b"("):
        extended = True
        selection = _selection(cursor)
        cursor.sp()
    reference = cursor.reference()
    cursor.sp()
    if cursor.skip(b"("):
        extended = True
        patterns = _patterns(cursor)
    else:
        patterns = (cursor.list_mailbox(),)
    returned = _Returned()
    if cursor.skip(b" "):
        extended = True
        returned = _returning(cursor)
    return c.List(
        tag, reference, patterns, extended, selection, frozenset(returned.options), returned.status, returned.metadata
    )


def _patterns(cursor: Cursor) -> tuple[str, ...]:
    patterns: list[str] = []
    while True:
        patterns.append(cursor.list_mailbox())
        if len(patterns) > _PATTERNS:
            raise cursor.bad("Too many patterns")
        if cursor.skip(b")"):
            return tuple(patterns)
        cursor.sp()


def _selection(cursor: Cursor) -> frozenset[str]:
    """list-select-opts = "(" [*(list-select-opt SP) list-select-base-opt *(SP list-select-opt) / ...] ")"

    RECURSIVEMATCH only beside an option that selects (RFC 5258 3.1).
    """
    cursor.expect(b"(")
    options: set[str] = set()
    if cursor.skip(b")"):
        return frozenset()
    while True:
        option = cursor.keyword().decode("ascii")
        if option not in _SELECTION:
            raise cursor.bad("Unknown LIST selection option")
        options.add(option)
        if cursor.skip(b")"):
            break
        cursor.sp()
    if "RECURSIVEMATCH" in options and not options & _BASE_SELECTION:
        raise cursor.bad("RECURSIVEMATCH needs another selection option")
    return frozenset(options)


@dataclass(slots=True)
class _Returned:
    """What RETURN asks for."""

    options: set[str] = field(default_factory=set)
    status: tuple[c.StatusItem, ...] = ()
    metadata: tuple[str, ...] = ()


def _returning(cursor: Cursor) -> _Returned:
    """list-return-opts = "RETURN" SP "(" [return-option *(SP return-option)] ")"

    return-option =/ "SUBSCRIBED" / "CHILDREN" / "SPECIAL-USE" / "MYRIGHTS" (RFC 8440) / status-option / "METADATA" SP
    "(" entry *(SP entry) ")" (RFC 9590 5); status-option = "STATUS" SP "(" status-att *(SP status-att) ")" (RFC 5819 4)
    """
    if cursor.keyword() != b"RETURN":
        raise cursor.bad("Expected RETURN")
    cursor.sp()
    cursor.expect(b"(")
    found = _Returned()
    if cursor.skip(b")"):
        return found
    while True:
        option = cursor.keyword().decode("ascii")
        if option == "STATUS":
            cursor.sp()
            found.status = _status_items(cursor)
        elif option == "METADATA":
            cursor.sp()
            cursor.expect(b"(")
            found.metadata = entry_list(cursor)
            if len(found.metadata) > _LISTED_ENTRIES:
                raise cursor.bad("Too many METADATA entries")
        elif option in _RETURNING:
            found.options.add(option)
        else:
            raise cursor.bad("Unknown LIST return option")
        if cursor.skip(b")"):
            return found
        cursor.sp()
