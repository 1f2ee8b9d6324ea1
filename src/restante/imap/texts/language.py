"""Languages: what there is, what a client's ranges mean, and the translation of one text.

Pure. A text is looked up whole, then sentence by sentence (a refusal is a sentence and a remedy), then by the few
patterns for texts that hold a name or a number. RFC 5255 3.2; RFC 4647 3.4 (lookup); RFC 2277 4.5 (i-default).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from . import german

I_DEFAULT = "i-default"
"""The language of every session until its client chooses: English that needs no English to speak of."""

_SENTENCES = re.compile(r"(?<=[.!?]) (?=[A-Z])")


class Texts:
    """One language's texts. sentences: English -> its own. patterns: likewise, for whole sentences with a variable
    part. prefixes: of namespaces."""

    def __init__(
        self,
        sentences: Mapping[str, str],
        patterns: Sequence[tuple[re.Pattern[str], str]] = (),
        prefixes: Mapping[str, str] | None = None,
    ) -> None:
        self._sentences = sentences
        self._patterns = patterns
        self._prefixes = prefixes or {}

    def text(self, said: bytes) -> bytes:
        """A text for people, ASCII, as UTF-8 in this language. What is not known stays as it is, sentence by sentence.

        Never begins with "[", which would be read as a response code (RFC 5255 3.5).
        """
        english = said.decode("ascii", "replace")
        whole = self._sentences.get(english)
        if whole is None:
            whole = " ".join(map(self._sentence, _SENTENCES.split(english)))
        return whole.encode("utf-8")

    def _sentence(self, english: str) -> str:
        known = self._sentences.get(english)
        if known is not None:
            return known
        for pattern, template in self._patterns:
            found = pattern.fullmatch(english)
            if found is not None:
                return found.expand(template)
        return english

    def prefix(self, name: str) -> str | None:
        """How a namespace's prefix is called for people, None where that is no other name (RFC 5255 3.4)."""
        return self._prefixes.get(name)


ENGLISH = Texts({})
GERMAN = Texts(german.SENTENCES, german.PATTERNS, german.PREFIXES)

LANGUAGES: Mapping[str, Texts | None] = {I_DEFAULT: None, "en": ENGLISH, "de": GERMAN}
"""Tag -> texts; None: as the rooms say them."""


def choose(ranges: Iterable[str], preferred: str) -> str | None:
    """The tag of the first language that a range names, None where none does.

    Each range is cut from its end until it is a tag that we have (RFC 4647 3.4): "de-AT" finds "de". preferred: what
    "default" and "*" stand for.
    """
    for each in ranges:
        wanted = each.lower()
        if wanted in ("default", "*"):
            return preferred
        while wanted:
            if wanted in LANGUAGES:
                return wanted
            wanted = wanted.rpartition("-")[0]
    return None
