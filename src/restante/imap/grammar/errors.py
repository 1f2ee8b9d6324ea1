"""The grammar's one exception: what was sent is not what the standard's grammar allows."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:  # a client that reads answers does not pay for the search language
    from ...query.language import Sequence as SequenceSet


class BadSyntax(Exception):
    """Octets that no rule of the grammar matches, or that pass a limit.

    text: one sentence for the peer, ASCII, without any of the peer's own octets. offset: where, in octets
    from the start of what was parsed. code: response code octets without brackets, or b"". no: the answer is
    NO rather than BAD (the syntax was right, the value cannot be served: BADCHARSET, CANNOT). unsaves: this NO
    empties the saved search result (RFC 5182 2.1).
    """

    def __init__(
        self, text: str, offset: int = 0, code: bytes = b"", no: bool = False, *, unsaves: bool = False
    ) -> None:
        super().__init__(text)
        self.text = text
        self.offset = offset
        self.code = code
        self.no = no
        self.unsaves = unsaves


class NeedLiteral(Exception):
    """Parsing came to a literal whose octets have not been read yet: all before it is right.

    message: it is APPEND's message, so the larger limit holds; mailbox: where that is to be filed; replaces: what it
    is to replace, where the command is REPLACE. refusal: what is answered where it has more than `most` octets
    (METADATA's values have a limit and a code of their own). Never leaves the reader.
    """

    def __init__(self, message: bool, most: int = 0, refusal: BadSyntax | None = None) -> None:
        super().__init__()
        self.message = message
        self.mailbox: str | None = None
        self.replaces: SequenceSet | None = None
        self.most = most
        self.refusal = refusal
