"""Pieces of folded text that an index knows: what a text has, what a needle asks for, and how close the two are.

A text has all its sequences of three characters (trigrams), and of two where both are Chinese, Japanese or Korean,
since most words there have two. A text that holds a needle has every piece of the needle: so pieces find candidates,
never answers. Pure; strings are folded by i;unicode-casemap before (mime.fold).

FUZZY (RFC 6203) compares by the same pieces: the needle's words are cut into trigrams, and a text is as close as the
share of them that it has, averaged over the words. Two letters that are swapped spoil four trigrams, most of those of a
short word, so such words are looked for with any two neighbours swapped, too.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

MOST_PIECES = 8
"""Pieces of one needle that are looked up: more of them cost more than they sort out."""

MOST_DISTINCT = 300_000
"""Distinct trigrams of a text that an index takes: more than a file in uuencode has (64 letters), and than any mail
that somebody wrote, but for a whole book in Chinese. FTS5 holds all of one text in memory at once, some 200 octets
each: 8 million made-up ones took 3.7 GB."""

_STRETCH = 1 << 14
"""Characters that are cut into pieces at once."""

CLOSE = 0.4
"""Share of a needle's pieces that a fuzzy match has at least."""

SCATTERED = 0.9
"""What it is worth to have all pieces of a needle, but not the needle."""

SWAPPED = 0.8
"""What it is worth to have a word with two neighbours swapped."""

_SWAPS = range(5, 9)
"""Characters of words that are looked for so. Longer ones keep enough trigrams, shorter ones become other words."""

_WORDS = 16
_WORD = 32  # characters of a word and words of a needle that a fuzzy search looks at

_PAIRED = "\u1100-\u11ff\u3005-\u3007\u3040-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\U00020000-\U0003ffff"
_RUN = re.compile(f"[{_PAIRED}]{{2,}}")
_PAIR = re.compile(f"[{_PAIRED}]{{2}}")


def without_nul(text: str) -> str:
    """NUL, at which an index's tokenizer may stop, as U+FFFD: on both sides, and only for the index."""
    return text.replace("\0", "\ufffd") if "\0" in text else text


def pairs(text: str) -> set[str]:
    """The distinct pairs of a text: no more than it has trigrams."""
    found: set[str] = set()
    if not text.isascii():
        for match in _RUN.finditer(text):
            run = match[0]
            found.update(map(str.__add__, run, run[1:]))
    return found


def is_varied(text: str) -> bool:
    """Whether a text has more distinct trigrams than `MOST_DISTINCT`. Cost: for most, a look at its length."""
    if len(text) <= MOST_DISTINCT:
        return False
    found: set[str] = set()
    for start in range(0, len(text), _STRETCH):
        piece = text[start : start + _STRETCH + 2]
        found.update([piece[at : at + 3] for at in range(len(piece) - 2)])
        if len(found) > MOST_DISTINCT:
            return True
    return False


def trigrams(needle: str) -> list[str]:
    """At most MOST_PIECES trigrams of a needle, spread over it; none of one with less than three characters."""
    starts: Sequence[int] = range(len(needle) - 2)
    if len(starts) > MOST_PIECES:
        starts = [starts[i * (len(starts) - 1) // (MOST_PIECES - 1)] for i in range(MOST_PIECES)]
    return list(dict.fromkeys(needle[at : at + 3] for at in starts))


def is_pair(needle: str) -> bool:
    """Whether a needle of two characters is one that texts are indexed by."""
    return len(needle) == 2 and _PAIR.match(needle) is not None


@dataclass(frozen=True, slots=True)
class Closeness:
    """A fuzzy needle, ready to be compared. words: distinct pieces of each word. swapped: each word with two neighbours
    swapped, in all ways that count."""

    needle: str
    words: tuple[tuple[str, ...], ...]
    swapped: tuple[tuple[str, ...], ...]

    @property
    def pieces(self) -> int:
        """How many pieces are looked for."""
        return sum(map(len, (*self.words, *self.swapped)))

    def of(self, has: Callable[[str], bool]) -> float:
        """0 to 1: how close a text is. has(piece): whether it holds this."""
        if not self.words:
            return 1.0
        shares = [sum(map(has, word)) / len(word) for word in self.words]
        for at, swapped in enumerate(self.swapped):
            if shares[at] < SWAPPED and any(map(has, swapped)):
                shares[at] = SWAPPED
        close = sum(shares) / len(shares)
        return close if close < 1 or has(self.needle) else SCATTERED


def closeness(needle: str) -> Closeness:
    """A folded needle for fuzzy comparison. An empty one is close to everything."""
    words = [word[:_WORD] for word in needle.split()[:_WORDS]]
    pieces = (tuple(all_trigrams(word)) or (word,) for word in words)
    return Closeness(needle, tuple(pieces), tuple(map(_swapped, words)))


def all_trigrams(word: str) -> list[str]:
    """Its distinct trigrams, in order."""
    return list(dict.fromkeys(word[at : at + 3] for at in range(len(word) - 2)))


def _swapped(word: str) -> tuple[str, ...]:
    if len(word) not in _SWAPS:
        return ()
    ways = (f"{word[:at]}{word[at + 1]}{word[at]}{word[at + 2 :]}" for at in range(len(word) - 1))
    return tuple(way for way in dict.fromkeys(ways) if way != word)
