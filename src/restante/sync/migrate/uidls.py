"""Whose UIDL a message had at the old server: its POP3 list laid beside its INBOX. Pure.

POP3 and IMAP show the same messages, but no number joins them. Two are the same where header fields (`outline.mark`)
and size agree; of several that are alike in both, the first is the first, since both lists stand in the order of
arrival. A size alone may differ (servers that count other line ends), then the header fields must be the only ones.
A message that stays without a partner gets no UIDL: a wrong one would hide mail from a POP3 client for good.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from ..model import Outline
from .model import NO_MARK


@dataclass(frozen=True, slots=True)
class Listed:
    """One message as POP3 lists it. size: of LIST. mark: of what TOP gave."""

    number: int
    uidl: str
    size: int
    mark: bytes


def match(inbox: Iterable[Outline], listed: Iterable[Listed]) -> tuple[dict[int, str], int]:
    """UIDLs by the UIDs of INBOX, and how many of the list found no message."""
    by_key: dict[tuple[bytes, int | None], list[int]] = defaultdict(list)
    by_mark: dict[bytes, list[int]] = defaultdict(list)
    for each in inbox:
        by_key[each.mark, each.size].append(each.uid)
        by_mark[each.mark].append(each.uid)
    wanted: dict[tuple[bytes, int], list[Listed]] = defaultdict(list)
    for one in listed:
        wanted[one.mark, one.size].append(one)
    found: dict[int, str] = {}
    left: dict[bytes, list[Listed]] = defaultdict(list)
    for key, ones in wanted.items():
        uids = by_key.get(key, [])
        if len(uids) == len(ones) or (uids and key[0] != NO_MARK):
            found.update(zip(uids, (one.uidl for one in ones), strict=False))
            ones = ones[len(uids) :]
        left[key[0]] += ones
    lost = 0
    for one_mark, ones in left.items():
        free = [uid for uid in by_mark.get(one_mark, []) if uid not in found]
        if len(ones) == 1 == len(free) and one_mark != NO_MARK:
            found[free[0]] = ones[0].uidl
        else:
            lost += len(ones)
    return found, lost
