"""An IMAP answer as a value that two servers must share: order, texts and numbers of the server's choice taken out.

Untagged responses become (kind, data) pairs, sorted; EXPUNGEs become the positions removed, whatever their order.
UIDs, sizes, flags, dates that were given, structures and octets stay as they are.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

Value = bytes | None | tuple["Value", ...]

TOKEN = re.compile(
    rb'\s*(?:(?P<open>\()|(?P<close>\))|"(?P<quoted>(?:[^"\\]|\\.)*)"|~?\{(?P<literal>\d+)\}\r\n'
    rb"|(?P<atom>(?:[^\s()\"{\[]|\[[^\]]*\])+))",
    re.DOTALL,
)
MASKED = frozenset({b"UIDVALIDITY", b"HIGHESTMODSEQ", b"MODSEQ", b"MAILBOXID", b"APPENDUID", b"COPYUID", b"NOMODSEQ"})
"""Values that are a server's own; that they are there is compared."""


def values(data: bytes) -> list[Value]:
    """A response's tokens: atoms and strings as octets (atoms in capitals), NIL as None, lists as tuples."""
    stack: list[list[Value]] = [[]]
    at = 0
    while match := TOKEN.match(data, at):
        at = match.end()
        if match["open"]:
            stack.append([])
        elif match["close"]:
            done = tuple(stack.pop())
            stack[-1].append(done)
        elif match["quoted"] is not None:
            stack[-1].append(re.sub(rb"\\(.)", rb"\1", match["quoted"]))
        elif match["literal"] is not None:
            size = int(match["literal"])
            stack[-1].append(data[at : at + size])
            at += size
        else:
            atom = match["atom"]
            stack[-1].append(None if atom.upper() == b"NIL" else atom)
    assert len(stack) == 1, data
    assert not data[at:].strip(), data[at:]
    return stack[0]


@dataclass(frozen=True, slots=True)
class Answer:
    """status: OK, NO, BAD, with the response code's name. data: untagged responses, sorted."""

    status: str
    code: str
    data: tuple[tuple[str, object], ...]

    def __str__(self) -> str:
        return "\n".join([f"{self.status} [{self.code}]", *(f"  {kind} {value!r}" for kind, value in self.data)])


def answer(lines: list[bytes]) -> Answer:
    """lines: whole responses with their literals, the tagged one last."""
    found: list[tuple[str, object]] = []
    expunged: list[int] = []
    for line in lines[:-1]:
        number = re.match(rb"\* (\d+) EXPUNGE", line)
        if number:
            expunged.append(int(number[1]))
        else:
            found += _untagged(line[2:])
    if expunged:
        found.append(("EXPUNGE", tuple(sorted(_positions(expunged)))))
    status, code = re.match(rb"\S+ (OK|NO|BAD)(?: \[([A-Z-]+))?", lines[-1]).groups()  # type: ignore[union-attr]  # tagged
    return Answer(status.decode(), (code or b"").decode(), tuple(sorted(found, key=repr)))


def _positions(expunged: list[int]) -> Iterator[int]:
    """Numbers before any removal, of EXPUNGEs in the order they came."""
    gone: list[int] = []
    for number in expunged:
        at = number
        for earlier in sorted(gone):
            at += earlier <= at
        gone.append(at)
        yield at


def _untagged(line: bytes) -> Iterator[tuple[str, object]]:
    word, _, rest = line.partition(b" ")
    if word in (b"OK", b"NO", b"BAD", b"BYE"):
        if code := re.match(rb"\[([A-Z-]+)(?: (.*?))?\] ", rest, re.DOTALL):
            yield f"{word.decode()} [{code[1].decode()}]", _coded(code[1], code[2])
        return
    if word.isdigit():
        kind, _, data = rest.partition(b" ")
        yield from _numbered(int(word), kind.strip().decode(), data)
        return
    name, items = word.strip().decode(), values(rest)
    if name in ("FLAGS", "SEARCH", "CAPABILITY", "ENABLED"):
        first = items[0] if items else None
        yield name, tuple(sorted(first if name == "FLAGS" and isinstance(first, tuple) else items, key=repr))
    elif name in ("LIST", "LSUB"):
        yield name, (_mailbox(items[2]), tuple(sorted(_attributes(items[0]))), *map(_sorted, items[3:]))
    elif name == "STATUS":
        yield name, (_mailbox(items[0]), _pairs(items[1]))
    elif name == "ESEARCH":
        yield name, tuple(_esearch(items[1:]))
    else:
        yield name, tuple(items)


def _mailbox(name: Value) -> Value:
    """INBOX may be written in any case (RFC 3501 5.1)."""
    return b"INBOX" if isinstance(name, bytes) and name.upper() == b"INBOX" else name


def _coded(name: bytes, value: bytes | None) -> object:
    if name in MASKED or value is None:
        return "..."
    if name == b"PERMANENTFLAGS":
        (flags,) = values(value)
        return tuple(sorted(flags or (), key=repr))
    return value


def _numbered(number: int, kind: str, data: bytes) -> Iterator[tuple[str, object]]:
    if kind != "FETCH":
        yield kind, number
        return
    (items,) = values(data)
    assert isinstance(items, tuple)
    for name, value in zip(items[::2], items[1::2], strict=True):
        assert isinstance(name, bytes)
        label = name.decode().upper()
        if name in MASKED:
            value = b"..."
        elif label == "FLAGS":
            assert isinstance(value, tuple)
            value = _sorted(tuple(one for one in value if one != b"\\Recent"))
        elif label == "INTERNALDATE" and isinstance(value, bytes):
            value = value.strip().rjust(26, b"0")  # the day is written as " 8" or "08" (RFC 3501 9, date-day-fixed)
        elif label in ("BODY", "BODYSTRUCTURE"):
            value = _structure(value)
        yield f"{number} FETCH {label}", value


def _sorted(value: Value) -> Value:
    return tuple(sorted(value, key=repr)) if isinstance(value, tuple) else value


def _structure(value: Value) -> Value:
    """A body structure: its types, names and encodings are compared without regard to case (RFC 2045)."""
    if isinstance(value, tuple):
        return tuple(_structure(one) for one in value)
    return value.lower() if isinstance(value, bytes) else value


COSMETIC = {b"\\hasnochildren", b"\\haschildren", b"\\unmarked", b"\\marked", b"\\noinferiors", b"\\subscribed"}
"""Attributes of LIST that a server may give or not (RFC 3501 7.2.2)."""


def _attributes(value: Value) -> Iterator[bytes]:
    assert isinstance(value, tuple)
    for one in value:
        assert isinstance(one, bytes)
        if one.lower() not in COSMETIC:
            yield one.lower()


def _pairs(value: Value) -> object:
    assert isinstance(value, tuple)
    found = dict(zip(value[::2], value[1::2], strict=True))
    return tuple(sorted((str(k), b"..." if k in MASKED else v) for k, v in found.items()))


def _esearch(data: list[Value]) -> Iterator[object]:
    rest = iter(data)
    for name in rest:
        if name == b"UID":
            yield "UID"
            continue
        assert isinstance(name, bytes)
        value = next(rest)
        if name == b"ALL" and isinstance(value, bytes):
            yield "ALL", tuple(expanded(value))
        else:
            yield name.decode(), b"..." if name in MASKED else value


def expanded(text: bytes) -> list[int]:
    found: list[int] = []
    for item in text.split(b","):
        low, _, high = item.partition(b":")
        found += range(int(low), int(high or low) + 1)
    return sorted(found)
