"""Mailbox names on disk: Maildir++ folder names, modified UTF-7, and what neither can say.

Maildir++ writes the mailbox a/b as the folder ".a.b"; a dot within a name therefore cannot be written and
becomes "_" (the sidecar keeps the exact name). RFC 3501 5.1.3 for modified UTF-7.
"""

from __future__ import annotations

import base64
import binascii
import re
import unicodedata

from ..inbox import is_inbox

LONGEST_FOLDER = 200
"""Octets of a folder's name on disk; file systems allow 255."""


def encode_utf7(text: str) -> str:
    """Modified UTF-7 of a name."""
    out: list[str] = []
    run: list[str] = []
    for c in [*text, ""]:
        if c and not " " <= c <= "~":
            run.append(c)
            continue
        if run:
            coded = base64.b64encode("".join(run).encode("utf-16-be")).decode("ascii").rstrip("=")
            out.append("&" + coded.replace("/", ",") + "-")
            run.clear()
        out.append("&-" if c == "&" else c)
    return "".join(out)


SHIFTED = re.compile(r"&([A-Za-z0-9+,]*)-")


def decode_utf7(text: str) -> str:
    """A name from modified UTF-7. Raises ValueError where it is not valid."""

    def decode(found: re.Match[str]) -> str:
        coded = found.group(1).replace(",", "/")
        if not coded:
            return "&"
        try:
            raw = base64.b64decode(coded + "=" * (-len(coded) % 4), validate=True)
            return raw.decode("utf-16-be")
        except (binascii.Error, UnicodeDecodeError) as cause:
            raise ValueError(f"not modified UTF-7: {text!r}") from cause

    if not text.isascii() or "&" in SHIFTED.sub("", text):
        raise ValueError(f"not modified UTF-7: {text!r}")
    return SHIFTED.sub(decode, text)


def from_disk(name: str) -> str:
    """A folder's or subscription's name as a mailbox name: modified UTF-7 where it is that, else UTF-8 as it is.

    Octets that are no UTF-8 (surrogateescape) are read as Latin-1.
    """
    try:
        name = decode_utf7(name)
    except ValueError:
        name = name.encode("utf-8", "surrogateescape").decode("utf-8", "replace") if _is_utf8(name) else _latin1(name)
    return unicodedata.normalize("NFC", name)


def _is_utf8(name: str) -> bool:
    return not any("\udc80" <= c <= "\udcff" for c in name)


def _latin1(name: str) -> str:
    return name.encode("utf-8", "surrogateescape").decode("latin-1")


def folder_of(name: str, taken: set[str]) -> str:
    """The Maildir++ folder for a mailbox name ("" for INBOX), not among `taken` (lower-case), and noted there.

    Two mailboxes whose names fall together get a number; the sidecar tells them apart exactly.
    """
    if is_inbox(name):
        return ""
    levels = [encode_utf7(level).replace(".", "_") for level in name.split("/")]
    folder = "." + ".".join(levels)
    if len(folder) > LONGEST_FOLDER:
        import hashlib  # for long names alone: the local copy imports this module at each start

        folder = folder[: LONGEST_FOLDER - 17] + "_" + hashlib.sha256(name.encode()).hexdigest()[:16]
    unique, number = folder, 2
    while unique.lower() in taken:
        unique = f"{folder}_{number}"
        number += 1
    taken.add(unique.lower())
    return unique


def clean(name: str) -> str:
    """A source's path as a mailbox name: no control characters, no empty levels, levels that are not too long."""
    levels: list[str] = []
    for level in unicodedata.normalize("NFC", name).split("/"):
        text = "".join(c if c.isprintable() and c not in "%*" else "_" for c in level).strip()
        if text:
            levels.append(text[:100])
    return "/".join(levels[:20])
