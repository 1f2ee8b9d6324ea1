"""Names of mailboxes and of people that are far too long: refused before anything is made of them."""

from __future__ import annotations

import unicodedata

import pytest

from restante.accounts.identifiers import LONGEST as LONGEST_IDENTIFIER
from restante.accounts.identifiers import BadIdentifier, prepared
from restante.imap.commands.names import LONGEST, mailbox_name, mailbox_pattern
from restante.store.errors import BadMailboxName

MARKS = "a" + "\u0301\u0316" * 20_000
"""Takes seconds to be composed; a literal holds ten times as much."""


def test_what_is_far_too_long_is_not_composed(monkeypatch: pytest.MonkeyPatch) -> None:
    real, lengths = unicodedata.normalize, []

    def counted(form: str, text: str) -> str:
        lengths.append(len(text))
        return real(form, text)  # type: ignore[arg-type]  # as given

    monkeypatch.setattr(unicodedata, "normalize", counted)
    with pytest.raises(BadMailboxName):
        mailbox_name(MARKS)
    assert mailbox_pattern(MARKS) == MARKS
    with pytest.raises(BadIdentifier, match="too long"):
        prepared(MARKS)
    assert mailbox_name("e\u0301") == mailbox_pattern("e\u0301") == prepared("e\u0301") == "\u00e9"
    assert max(lengths) <= max(4 * LONGEST, LONGEST_IDENTIFIER)


def test_the_longest_name_may_be_sent_decomposed() -> None:
    assert mailbox_name("\u03c9\u0313\u0342\u0345" * LONGEST) == "\u1fa6" * LONGEST
    assert mailbox_pattern("e\u0301" * LONGEST) == "\u00e9" * LONGEST
