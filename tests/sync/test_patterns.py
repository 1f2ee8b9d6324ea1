"""How names of mailboxes are written in the file of copies and behind options."""

from __future__ import annotations

import pytest

from restante.sync.patterns import fits
from restante.sync.settings import CopySettings, Trash

pytestmark = pytest.mark.in_memory


@pytest.mark.parametrize(
    ("name", "text", "wanted"),
    [
        ("Work/2026", "Work*", True),
        ("Work/2026", "Work", False),
        ("Work/2026", "Work/202?", True),
        ("INBOX", "inbox", True),
        ("a.b", "a?b?", False),
        ("[Gmail]/Spam", "[Gmail]/Spam", True),
        ("[Gmail]/Spam", "[Gmail]/*", True),
        ("G/Spam", "[Gmail]/Spam", False),
        ("[!x]", "[!x]", True),
        ("two\nlines", "two*", True),
        ("Gr\u00fc\u00dfe", "Gru\u0308\u00dfe", True),
    ],
)
def test_all_but_two_signs_stand_for_themselves(name: str, text: str, wanted: bool) -> None:
    assert fits(name, text) is wanted
    assert CopySettings(include=(text,)).takes(name) is wanted
    assert CopySettings(exclude=(text,)).takes(name) is not wanted


def test_outbox_and_trash_are_no_patterns() -> None:
    settings = CopySettings(outbox="Out*", trash=Trash(3, None, "Tra?h"))
    assert [settings.takes(name) for name in ("Out*", "Outbox", "Tra?h", "Trash")] == [False, True, False, True]
