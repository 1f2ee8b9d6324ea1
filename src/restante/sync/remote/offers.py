"""What a server can do beyond RFC 3501, as far as a copy makes use of it. RFC 9051 E (what IMAP4rev2 has in it)."""

from __future__ import annotations

from ...values import Value

_IN_REV2 = frozenset(
    {
        "BINARY", "ENABLE", "ESEARCH", "IDLE", "LIST-EXTENDED", "LIST-STATUS", "LITERAL-", "MOVE", "NAMESPACE",
        "SASL-IR", "SPECIAL-USE", "UIDPLUS", "UNSELECT",
    }
)  # fmt: skip


class Offers(Value, frozen=True):
    """words: capabilities in use, upper-case."""

    words: frozenset[str]

    @classmethod
    def of(cls, capabilities: frozenset[str], without: frozenset[str] = frozenset()) -> Offers:
        """without: capabilities that are not to be used."""
        words = set(capabilities)
        if "IMAP4REV2" in words and "IMAP4REV2" not in without:
            words |= _IN_REV2
        if "QRESYNC" in words:
            words.add("CONDSTORE")  # RFC 7162 3.2.3
        return cls(frozenset(words - without))

    def __contains__(self, word: str) -> bool:
        return word in self.words

    def number(self, name: str) -> int | None:
        """The number of a capability that has one: `number("APPENDLIMIT")`."""
        for word in self.words:
            head, equals, tail = word.partition("=")
            if equals and head == name and tail.isdigit():
                return int(tail)
        return None

    @property
    def message_limit(self) -> int | None:
        """Messages that one command may name (RFC 9738)."""
        limit = self.number("MESSAGELIMIT")
        return max(1, limit) if limit is not None else None

    @property
    def enable(self) -> list[str]:
        """What is worth enabling, in the order in which it is named (RFC 5161)."""
        if "ENABLE" not in self:
            return []
        modseq = ["QRESYNC"] if "QRESYNC" in self else ["CONDSTORE"] if "CONDSTORE" in self else []
        return modseq + [name for name in ("UTF8=ACCEPT", "IMAP4REV2") if name in self]
