"""Octets on disk and octets that travel: LF in the file, CRLF outside, and nothing lost. Pure.

One rule reads every file: an LF without a CR before it becomes CRLF (`travelling`). So a message is written with LF
line ends where that rule gives it back (`stored`). It does not where CR CR LF stands in it (then it is written as it
is: the rule leaves CRLF alone), nor where it has an LF of its own without CR: such a file is written as it is and says
so in its name (",E=raw"), where it outlives moves, other programs and a lost index. A file that another program wrote
with mixed line ends goes out with CRLF everywhere, the same octets at each reading.
"""

from __future__ import annotations

import re

from ..outline import without_mbsync

OURS = b".restante"
"""What stands behind the random part of names that we give."""
RAW = b",E=raw"
"""In the name of a file whose octets are the message's as they stand."""

_LONE = re.compile(rb"(?<!\r)\n")
_SIZE = re.compile(rb",W=(\d{1,15})(?=[,:;!]|\Z)")


def stored(data: bytes) -> tuple[bytes, bool]:
    """What to write for a message that travels as `data`; whether its name has to say `RAW`."""
    short = data.replace(b"\r\n", b"\n")
    if short.count(b"\n") != len(data) - len(short):
        return data, True
    return (data if b"\r\n" in short else short), False


def received_as(octets: bytes, name: bytes) -> bytes:
    """A file's octets without what mbsync has put into them; all of them, where the file is ours."""
    return octets if OURS in name else without_mbsync(octets)


def travelling(octets: bytes, name: bytes) -> bytes:
    """What travels for a file of that name with these octets."""
    if RAW in name:
        return octets
    if b"\r\n" in octets:
        return _LONE.sub(b"\r\n", octets)
    return octets.replace(b"\n", b"\r\n")


def size_of(octets: bytes, name: bytes) -> int:
    """`len(travelling(octets, name))`, without making it."""
    if RAW in name:
        return len(octets)
    return len(octets) + octets.count(b"\n") - octets.count(b"\r\n")


def size_named(name: bytes) -> int | None:
    """The size with CRLF line ends that a name tells ("W=", as Dovecot and Courier write it)."""
    found = _SIZE.search(name)
    return int(found[1]) if found else None
