"""Commands back to octets, and URLs of messages: what the grammar reads, written.

A command becomes pieces: after each but the last the client waits for "+" (the piece ends in a synchronising
literal's announcement). Strings are quoted where they may be, else literals. `parse` of what stands here gives the
command again, which is how the grammar is tested. RFC 9051 9, RFC 3501 9.
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Iterable
from datetime import date, datetime
from functools import singledispatchmethod
from urllib.parse import quote_from_bytes

from restante.imap.grammar import commands as c
from restante.imap.grammar.dates import MONTHS
from restante.imap.grammar.names import encode_utf7
from restante.imap.grammar.notify import EventGroup, Notify, NotifyEvent
from restante.imap.grammar.response import astring, flag_list, quoted
from restante.imap.grammar.sets import format_ranges
from restante.imap.grammar.urls import MessageUrl
from restante.query import language as q

_ATOM = re.compile(rb"[^\x00-\x20\x7f-\xff(){%*\"\\\]$]+\Z")
_QUOTABLE = re.compile(rb"[\x01-\x09\x0b\x0c\x0e-\x7f]*\Z")


def _set(ranges: tuple[tuple[int, int], ...], saved: bool) -> bytes:
    return b",".join(filter(None, (format_ranges(ranges), b"$" if saved else b"")))


_BARE = {
    c.Capability: b"CAPABILITY",
    c.Noop: b"NOOP",
    c.Logout: b"LOGOUT",
    c.StartTls: b"STARTTLS",
    c.Namespace: b"NAMESPACE",
    c.Idle: b"IDLE",
    c.Check: b"CHECK",
    c.Close: b"CLOSE",
    c.Unselect: b"UNSELECT",
    c.Unauthenticate: b"UNAUTHENTICATE",
    c.Compress: b"COMPRESS DEFLATE",
}
_FIELDS = {field: field.value.upper().encode("ascii") for field in q.Field}
_DATES = {
    (instant, order): prefix + word
    for instant, prefix in ((q.Instant.RECEIVED, b""), (q.Instant.SENT, b"SENT"), (q.Instant.SAVED, b"SAVED"))
    for order, word in ((q.Order.BEFORE, b"BEFORE"), (q.Order.ON, b"ON"), (q.Order.SINCE, b"SINCE"))
}


def encode_command(command: c.Command, utf8: bool = False, literal_plus: bool = False) -> list[bytes]:
    """The octets of a command, to be sent piece by piece, waiting for "+" between them.

    utf8: the connection has UTF8=ACCEPT or IMAP4rev2. literal_plus: non-synchronising literals are allowed, so
    that one piece is enough. SEARCH says CHARSET UTF-8 where a string needs it and utf8 is not set.
    """
    return _Encoder(utf8, literal_plus).encode(command)


class _Encoder:
    """Writes one command."""

    def __init__(self, utf8: bool, literal_plus: bool) -> None:
        self.utf8 = utf8
        self.literal_plus = literal_plus
        self.pieces: list[bytes] = []
        self.line = bytearray()

    def encode(self, command: c.Command) -> list[bytes]:
        self.line += command.tag + b" "
        self.command(command)
        self.line += b"\r\n"
        return [*self.pieces, bytes(self.line)]

    # Strings -------------------------------------------------------------------------------------------

    def literal(self, data: bytes, prefix: bytes = b"") -> None:
        self.line += prefix + b"{%d" % len(data) + (b"+}\r\n" if self.literal_plus else b"}\r\n")
        if not self.literal_plus:
            self.pieces.append(bytes(self.line))
            self.line.clear()
        self.line += data

    def astring(self, data: bytes) -> None:
        if _ATOM.match(data) and data.upper() != b"NIL":
            self.line += data
        else:
            self.string(data)

    def string(self, data: bytes) -> None:
        if _QUOTABLE.match(data) and len(data) < 1_000:
            self.line += quoted(data)
        else:
            self.literal(data)

    def mailbox(self, name: str) -> None:
        self.astring(name.encode("utf-8") if self.utf8 else encode_utf7(name))

    def pattern(self, pattern: str) -> None:
        self.string(pattern.encode("utf-8") if self.utf8 else encode_utf7(pattern))

    def sequence(self, sequence: c.SequenceSet) -> None:
        self.line += _set(sequence.ranges, sequence.saved)

    def words(self, words: Iterable[str]) -> None:
        self.line += b"(" + " ".join(words).encode("ascii") + b")"

    # Commands ------------------------------------------------------------------------------------------

    @singledispatchmethod
    def command(self, command: c.Command) -> None:
        self.line += _BARE[type(command)]

    @command.register
    def _(self, command: c.Id) -> None:
        self.line += b"ID "
        if command.parameters is None:
            self.line += b"NIL"
            return
        self.line += b"("
        for i, (name, value) in enumerate(command.parameters):
            if i:
                self.line += b" "
            self.string(name)
            self.line += b" "
            if value is None:
                self.line += b"NIL"
            else:
                self.string(value)
        self.line += b")"

    @command.register
    def _(self, command: c.Language) -> None:
        self.line += b"LANGUAGE"
        for each in command.ranges:
            self.line += b" "
            self.astring(each.encode("ascii"))

    @command.register
    def _(self, command: c.Authenticate) -> None:
        self.line += b"AUTHENTICATE " + command.mechanism.encode("ascii")
        if command.initial is not None:
            self.line += b" " + (b64encode(command.initial) or b"=")

    @command.register
    def _(self, command: c.Login) -> None:
        self.line += b"LOGIN "
        self.astring(command.user)
        self.line += b" "
        self.astring(command.password)

    @command.register
    def _(self, command: c.Enable) -> None:
        self.line += b"ENABLE " + " ".join(command.capabilities).encode("ascii")

    @command.register
    def _(self, command: c.Select) -> None:
        self.line += b"EXAMINE " if command.read_only else b"SELECT "
        self.mailbox(command.mailbox)
        if not command.condstore and command.qresync is None:
            return
        self.line += b" (" + (b"CONDSTORE" if command.condstore else b"")
        known = command.qresync
        if known is not None:
            self.line += b" " if command.condstore else b""
            self.line += b"QRESYNC (%d %d" % (known.uidvalidity, known.modseq)
            if known.known_uids is not None:
                self.line += b" " + format_ranges(known.known_uids.ranges)
            if known.known_sequences is not None and known.known_sequence_uids is not None:
                pair = format_ranges(known.known_sequences.ranges), format_ranges(known.known_sequence_uids.ranges)
                self.line += b" (%b %b)" % pair
            self.line += b")"
        self.line += b")"

    @command.register
    def _(self, command: c.Create) -> None:
        self.line += b"CREATE "
        self.mailbox(command.mailbox)
        if command.special_use:
            self.line += b" (USE " + flag_list(command.special_use) + b")"

    @command.register(c.Delete)
    @command.register(c.Subscribe)
    @command.register(c.Unsubscribe)
    def _(self, command: c.Delete | c.Subscribe | c.Unsubscribe) -> None:
        self.line += type(command).__name__.upper().encode("ascii") + b" "
        self.mailbox(command.mailbox)

    @command.register
    def _(self, command: c.Rename) -> None:
        self.line += b"RENAME "
        self.mailbox(command.mailbox)
        self.line += b" "
        self.mailbox(command.to)

    @command.register(c.GetAcl)
    @command.register(c.MyRights)
    @command.register(c.GetQuotaRoot)
    def _(self, command: c.GetAcl | c.MyRights | c.GetQuotaRoot) -> None:
        self.line += type(command).__name__.upper().encode("ascii") + b" "
        self.mailbox(command.mailbox)

    @command.register(c.DeleteAcl)
    @command.register(c.ListRights)
    def _(self, command: c.DeleteAcl | c.ListRights) -> None:
        self.line += type(command).__name__.upper().encode("ascii") + b" "
        self.mailbox(command.mailbox)
        self.line += b" "
        self.astring(command.identifier.encode("utf-8"))

    @command.register
    def _(self, command: c.SetAcl) -> None:
        self.line += b"SETACL "
        self.mailbox(command.mailbox)
        self.line += b" "
        self.astring(command.identifier.encode("utf-8"))
        self.line += b" "
        self.astring((command.mode.value + command.rights).encode("utf-8"))

    @command.register
    def _(self, command: c.GetQuota) -> None:
        self.line += b"GETQUOTA "
        self.astring(command.root.encode("utf-8"))

    @command.register
    def _(self, command: c.SetQuota) -> None:
        self.line += b"SETQUOTA "
        self.astring(command.root.encode("utf-8"))
        limits = [b"%b %d" % (name.encode("ascii"), limit) for name, limit in command.limits]
        self.line += b" (" + b" ".join(limits) + b")"

    @command.register
    def _(self, command: c.List) -> None:
        self.line += b"LIST "
        if command.extended:
            self.words(sorted(command.selection))
            self.line += b" "
        self.mailbox(command.reference)
        self.line += b" "
        if len(command.patterns) == 1:
            self.pattern(command.patterns[0])
        else:
            for i, pattern in enumerate(command.patterns):
                self.line += b" " if i else b"("
                self.pattern(pattern)
            self.line += b")"
        if command.returning or command.status or command.metadata:
            options = [name.encode("ascii") for name in sorted(command.returning)]
            if command.status:
                options.append(b"STATUS (" + b" ".join([item.value for item in command.status]) + b")")
            if command.metadata:
                options.append(b"METADATA (" + self.entries(command.metadata) + b")")
            self.line += b" RETURN (" + b" ".join(options) + b")"

    def entries(self, names: Iterable[str]) -> bytes:
        return b" ".join([astring(name.encode("ascii")) for name in names])

    @command.register
    def _(self, command: c.GetMetadata) -> None:
        self.line += b"GETMETADATA "
        options = [b"MAXSIZE %d" % command.maxsize] if command.maxsize is not None else []
        if command.depth is not c.Depth.SELF:
            options.append(b"DEPTH " + command.depth.value)
        if options:
            self.line += b"(" + b" ".join(options) + b") "
        self.mailbox(command.mailbox)
        self.line += b" (" + self.entries(command.entries) + b")"

    @command.register
    def _(self, command: c.SetMetadata) -> None:
        self.line += b"SETMETADATA "
        self.mailbox(command.mailbox)
        for i, (name, value) in enumerate(command.values):
            self.line += (b" " if i else b" (") + self.entries((name,)) + b" "
            if value is None:
                self.line += b"NIL"
            elif b"\0" in value:
                self.literal(value, b"~")
            else:
                self.string(value)
        self.line += b")"

    @command.register
    def _(self, command: Notify) -> None:
        self.line += b"NOTIFY " + (b"NONE" if command.groups is None else b"SET")
        self.line += b" STATUS" if command.status else b""
        for group in command.groups or ():
            self.group(group)

    def group(self, group: EventGroup) -> None:
        """One event group of NOTIFY."""
        self.line += b" (" + group.filter.value
        for i, name in enumerate(group.mailboxes):
            self.line += b" " if i else b" ("
            self.mailbox(name)
        self.line += b") " if group.mailboxes else b" "
        events = [event.value for event in NotifyEvent if event in group.events]
        if group.fetch:
            items = b" (" + b" ".join(map(_fetch_item, group.fetch)) + b")"
            events[events.index(NotifyEvent.MESSAGE_NEW.value)] += items
        self.line += b"(" + b" ".join(events) + b"))" if events else b"NONE)"

    @command.register
    def _(self, command: c.Lsub) -> None:
        self.line += b"LSUB "
        self.mailbox(command.reference)
        self.line += b" "
        self.pattern(command.pattern)

    @command.register
    def _(self, command: c.Status) -> None:
        self.line += b"STATUS "
        self.mailbox(command.mailbox)
        self.line += b" (" + b" ".join([item.value for item in command.items]) + b")"

    @command.register
    def _(self, command: c.Append) -> None:
        self.line += b"APPEND "
        self.mailbox(command.mailbox)
        for message in command.messages:
            self.message(message)

    @command.register
    def _(self, command: c.Replace) -> None:
        self.line += b"UID REPLACE " if command.uid else b"REPLACE "
        self.sequence(command.sequence)
        self.line += b" "
        self.mailbox(command.mailbox)
        self.message(command.message)

    def message(self, message: c.AppendMessage) -> None:
        """One message of APPEND or REPLACE, with a space before it."""
        if message.flags:
            self.line += b" " + flag_list(message.flags)
        if message.date is not None:
            self.line += b" " + quoted(_date_time(message.date))
        self.line += b" CATENATE (" if message.catenate else b" "
        for i, part in enumerate(message.parts):
            self.line += b" " if i else b""
            if isinstance(part, c.Url):
                self.line += b"URL "
                self.astring(part.url)
                continue
            self.line += b"UTF8 (" if part.utf8 else b"TEXT " if message.catenate else b""
            self.literal(part.data, b"~" if part.binary else b"")
            self.line += b")" if part.utf8 else b""
        self.line += b")" if message.catenate else b""

    @command.register
    def _(self, command: c.Expunge) -> None:
        self.line += b"EXPUNGE" if command.uids is None else b"UID EXPUNGE "
        if command.uids is not None:
            self.sequence(command.uids)

    @command.register
    def _(self, command: c.Fetch) -> None:
        self.line += b"UID FETCH " if command.uid else b"FETCH "
        self.sequence(command.sequence)
        self.line += b" (" + b" ".join(map(_fetch_item, command.items)) + b")"
        modifiers = [] if command.changed_since is None else [b"CHANGEDSINCE %d" % command.changed_since]
        modifiers += [b"VANISHED"] if command.vanished else []
        modifiers += [] if command.partial is None else [_partial(command.partial)]
        if modifiers:
            self.line += b" (" + b" ".join(modifiers) + b")"

    @command.register
    def _(self, command: c.Store) -> None:
        self.line += b"UID STORE " if command.uid else b"STORE "
        self.sequence(command.sequence)
        if command.unchanged_since is not None:
            self.line += b" (UNCHANGEDSINCE %d)" % command.unchanged_since
        self.line += b" " + command.mode.value.encode("ascii") + (b".SILENT " if command.silent else b" ")
        self.line += flag_list(command.flags)

    @command.register(c.Copy)
    @command.register(c.Move)
    def _(self, command: c.Copy | c.Move) -> None:
        self.line += b"UID " if command.uid else b""
        self.line += type(command).__name__.upper().encode("ascii") + b" "
        self.sequence(command.sequence)
        self.line += b" "
        self.mailbox(command.mailbox)

    @command.register
    def _(self, command: c.Search) -> None:
        self.line += b"UID SEARCH " if command.uid else b"SEARCH "
        self.criteria(command)

    @command.register
    def _(self, command: c.CancelUpdate) -> None:
        self.line += b"CANCELUPDATE " + b" ".join(map(quoted, command.tags))

    @command.register
    def _(self, command: c.ESearch) -> None:
        self.line += b"ESEARCH "
        if command.sources:
            for i, source in enumerate(command.sources):
                self.line += (b" " if i else b"IN (") + source.kind.value
                for k, name in enumerate(source.mailboxes):
                    self.line += b" " if k else b" ("
                    self.mailbox(name)
                self.line += b")" if source.mailboxes else b""
            self.line += b") "
        self.criteria(command)

    def criteria(self, command: c.Search | c.ESearch) -> None:
        """RETURN options, charset, search keys."""
        self.returning(command)
        if not self.utf8 and not all(text.isascii() for text in _texts(command.query)):
            self.line += b"CHARSET UTF-8 "
        self.search_keys(command.query)

    @command.register
    def _(self, command: c.Sort) -> None:
        self.line += b"UID SORT " if command.uid else b"SORT "
        self.returning(command)
        self.words([("REVERSE " if one.reverse else "") + one.key.name for one in command.keys])
        self.line += b" UTF-8 "
        self.search_keys(command.query)

    @command.register
    def _(self, command: c.Thread) -> None:
        self.line += b"UID THREAD " if command.uid else b"THREAD "
        self.line += command.algorithm.value.encode("ascii") + b" UTF-8 "
        self.search_keys(command.query)

    # Search keys ---------------------------------------------------------------------------------------

    def returning(self, command: c.Search | c.ESearch | c.Sort) -> None:
        """RETURN and its options, if any."""
        if command.returning is None:
            return
        words = [name.encode("ascii") for name in sorted(command.returning) if name not in ("PARTIAL", "UPDATE")]
        if command.partial is not None:
            words.append(_partial(command.partial))
        if "UPDATE" in command.returning:
            items = b" (" + b" ".join(map(_fetch_item, command.update)) + b")" if command.update else b""
            words.append(b"UPDATE" + items)
        self.line += b"RETURN (" + b" ".join(words) + b") "

    def search_keys(self, top: q.Query) -> None:
        """The keys of a whole query."""
        keys = top.operands if isinstance(top, q.And) else (top,)
        for i, key in enumerate(keys):
            if i:
                self.line += b" "
            self.key(key)

    def key(self, key: q.Query) -> None:
        """One search key."""
        match key:
            case q.And(operands):
                for i, operand in enumerate(operands):
                    self.line += b" " if i else b"("
                    self.key(operand)
                self.line += b")"
            case q.Or(operands):
                for operand in operands[:-1]:
                    self.line += b"OR "
                    self.key(operand)
                    self.line += b" "
                self.key(operands[-1])
            case q.Not(operand):
                self.line += b"NOT "
                self.key(operand)
            case q.Fuzzy(operand):
                self.line += b"FUZZY "
                self.key(operand)
            case q.Contains(field, text):
                self.line += _FIELDS[field] + b" "
                self.astring(text.encode("utf-8"))
            case q.HeaderContains(name, text):
                self.line += b"HEADER "
                self.astring(name.encode("ascii"))
                self.line += b" "
                self.astring(text.encode("utf-8"))
            case _:
                self.line += _plain_key(key)


def _partial(partial: c.Partial) -> bytes:
    return b"PARTIAL %d:%d" % (partial.first, partial.last)


def _plain_key(key: q.Query) -> bytes:
    """A search key without operands and without strings."""
    match key:
        case q.HasFlag(name):
            return name[1:].upper().encode("ascii") if name.startswith("\\") else b"KEYWORD " + name.encode("ascii")
        case q.Dated(instant, order, day):
            return _DATES[instant, order] + b" " + _date(day)
        case q.Sequence(ranges, uid, saved):
            return (b"UID " if uid else b"") + _set(ranges, saved)
        case q.Uids(ranges):
            return b"UID " + format_ranges(ranges) if ranges else b"UIDBEFORE 1"
        case q.Larger(octets):
            return b"LARGER %d" % octets
        case q.Smaller(octets):
            return b"SMALLER %d" % octets
        case q.ModSeq(number):
            return b"MODSEQ %d" % number
        case q.EmailId(id_) | q.ThreadId(id_):
            return type(key).__name__.upper().encode("ascii") + b" " + id_.encode("ascii")
        case q.Within(seconds, younger):
            return b"%b %d" % (b"YOUNGER" if younger else b"OLDER", seconds)
        case q.NamedFilter(name):
            return b"FILTER " + name.encode("ascii")
        case q.Recent():
            return b"RECENT"
        case _:
            return b"ALL"


def _texts(query: q.Query) -> Iterable[str]:
    """All strings of a query."""
    waiting = [query]
    while waiting:
        match waiting.pop():
            case q.And(operands) | q.Or(operands):
                waiting += operands
            case q.Not(operand) | q.Fuzzy(operand):
                waiting.append(operand)
            case q.Contains(_, text) | q.HeaderContains(_, text):
                yield text
            case _:
                continue


def _date(day: date) -> bytes:
    return b"%d-%b-%04d" % (day.day, MONTHS[day.month - 1], day.year)


def _date_time(moment: datetime) -> bytes:
    """date-time with the zone the value has, in whole minutes."""
    offset = moment.utcoffset()
    minutes = 0 if offset is None else int(offset.total_seconds()) // 60
    sign = b"-" if minutes < 0 else b"+"
    zone = sign + b"%02d%02d" % divmod(abs(minutes), 60)
    day = b"%2d-%b-%04d" % (moment.day, MONTHS[moment.month - 1], moment.year)
    return day + b" %02d:%02d:%02d " % (moment.hour, moment.minute, moment.second) + zone


def _fetch_item(item: c.FetchItem) -> bytes:
    if isinstance(item, c.Item):
        return item.value.encode("ascii")
    if isinstance(item, c.Binary) and item.size:
        return item.label
    if not item.label.startswith((b"BODY[", b"BINARY[")):
        return item.label
    word, rest = item.label.split(b"[", 1)
    shown = word + (b".PEEK[" if item.peek else b"[") + rest
    if item.partial is None:
        return shown
    return shown[: shown.rindex(b"<")] + b"<%d.%d>" % item.partial


_DOTS = {".": "%2E", "..": "%2E%2E"}


def format_url(url: MessageUrl) -> bytes:
    """The URL of a message: what `parse_url` reads. "." and ".." are encoded where they are a part of a path."""
    shown = ""
    if url.host is not None:
        user = "" if url.user is None else _quoted(url.user, "") + "@"
        host = url.host if url.host.startswith("[") else _quoted(url.host, "")
        shown = f"imap://{user}{host}" + ("" if url.port is None else f":{url.port}")
    if url.mailbox.startswith("/") or url.mailbox.endswith("/"):  # "//" begins a server's name, "/;" a parameter
        shown += "/" + _quoted(url.mailbox, ":@")
    else:
        shown += "".join("/" + _DOTS.get(part, _quoted(part, ":@")) for part in url.mailbox.split("/"))
    if url.uidvalidity is not None:
        shown += f";UIDVALIDITY={url.uidvalidity}"
    shown += f"/;UID={url.uid}"
    section = url.section.label.removeprefix(b"BODY[").removesuffix(b"]")
    if section:
        shown += "/;SECTION=" + _quoted(section.decode("ascii"), ":@")
    if url.partial is not None:
        shown += f"/;PARTIAL={url.partial[0]}" + ("" if url.partial[1] is None else f".{url.partial[1]}")
    return shown.encode("ascii")


def _quoted(text: str, more: str) -> str:
    return quote_from_bytes(text.encode("utf-8"), safe="!$'()*+,&=" + more)
