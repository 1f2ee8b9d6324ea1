"""A strict reader of the IMAP text that ENVELOPE and BODYSTRUCTURE are made of: an oracle for tests."""

from __future__ import annotations

import re

Value = bytes | int | None | list["Value"]

_QUOTED = re.compile(rb'"((?:[^"\\\r\n\x00\x80-\xff]|\\["\\])*)"')
_LITERAL = re.compile(rb"\{([0-9]+)\}\r\n")
_NUMBER = re.compile(rb"[0-9]+")


def read(text: bytes) -> list[Value]:
    """The one parenthesised list that `text` is. Raises ValueError for anything else."""
    stack: list[list[Value]] = []
    position, gap = 0, False
    while True:
        byte = text[position : position + 1]
        if byte == b"(":
            stack.append([])
            position += 1
        elif byte == b")":
            done = stack.pop()
            position += 1
            if not stack:
                if position != len(text):
                    raise ValueError(f"text behind the list at {position}")
                return done
            stack[-1].append(done)
        elif byte == b" ":
            if gap or not stack[-1]:
                raise ValueError(f"stray space at {position}")
            gap = True
            position += 1
            continue
        elif quoted := _QUOTED.match(text, position):
            stack[-1].append(re.sub(rb"\\(.)", rb"\1", quoted[1]))
            position = quoted.end()
        elif literal := _LITERAL.match(text, position):
            position = literal.end() + int(literal[1])
            value = text[literal.end() : position]
            if len(value) != int(literal[1]) or b"\0" in value:
                raise ValueError("bad literal")
            stack[-1].append(value)
        elif text.startswith(b"NIL", position):
            stack[-1].append(None)
            position += 3
        elif number := _NUMBER.match(text, position):
            stack[-1].append(int(number[0]))
            position = number.end()
        else:
            raise ValueError(f"unexpected octet at {position}: {text[position : position + 20]!r}")
        gap = False


def check_envelope(value: Value) -> None:
    """RFC 9051 9, `envelope`."""
    assert isinstance(value, list)
    assert len(value) == 10
    for index, member in enumerate(value):
        if index in (0, 1, 8, 9):
            assert member is None or isinstance(member, bytes)
        elif member is not None:
            assert isinstance(member, list)
            assert member
            for address in member:
                assert isinstance(address, list)
                assert len(address) == 4
                assert all(part is None or isinstance(part, bytes) for part in address)


def _check_parameters(value: Value) -> None:
    if value is not None:
        assert isinstance(value, list)
        assert value
        assert len(value) % 2 == 0
        assert all(isinstance(item, bytes) for item in value)


def _check_extension(value: list[Value]) -> None:
    disposition, language, location = value
    if disposition is not None:
        assert isinstance(disposition, list)
        assert isinstance(disposition[0], bytes)
        _check_parameters(disposition[1])
    assert language is None or isinstance(language, (bytes, list))
    assert location is None or isinstance(location, bytes)


def check_body(value: Value, *, extended: bool) -> None:
    """RFC 9051 9, `body`, with or without all extension data."""
    assert isinstance(value, list)
    if isinstance(value[0], list):
        count = next(index for index, item in enumerate(value) if not isinstance(item, list))
        for item in value[:count]:
            check_body(item, extended=extended)
        assert isinstance(value[count], bytes)
        rest = value[count + 1 :]
        assert len(rest) == (4 if extended else 0)
        if extended:
            _check_parameters(rest[0])
            _check_extension(rest[1:])
        return
    major, minor = value[0], value[1]
    assert isinstance(major, bytes)
    assert isinstance(minor, bytes)
    _check_parameters(value[2])
    assert isinstance(value[5], bytes)
    assert isinstance(value[6], int)
    at = 7
    if major == b"text":
        assert isinstance(value[7], int)
        at = 8
    elif major == b"message" and minor in (b"rfc822", b"global"):
        check_envelope(value[7])
        check_body(value[8], extended=extended)
        assert isinstance(value[9], int)
        at = 10
    rest = value[at:]
    assert len(rest) == (4 if extended else 0)
    if extended:
        assert rest[0] is None or isinstance(rest[0], bytes)
        _check_extension(rest[1:])
