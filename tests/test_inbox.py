"""INBOX in any case, and no other name: a Turkish dotless i is no letter of it."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from restante.exchange.names import folder_of
from restante.imap.commands.names import mailbox_name
from restante.imap.grammar.wildcards import list_match
from restante.inbox import ascii_upper, is_inbox, with_inbox
from restante.store.sqlite.mailboxes import canonical as of_store
from restante.sync.patterns import canonical as of_copies
from restante.sync.remote.names import NameMap

DOTLESS = "\u0131NBOX"


def of_server(name: str) -> str | None:
    names = NameMap()
    names.utf8 = True
    return names.learn(name.encode(), "/")


@pytest.mark.parametrize("made", [mailbox_name, of_store, of_copies, of_server])
def test_each_room_knows_inbox_in_any_case_and_no_other_name(made: Callable[[str], str | None]) -> None:
    assert [made(name) for name in ("inbox", "iNbOx", "INBOX")] == ["INBOX"] * 3
    assert [made(name) for name in (DOTLESS, "INBOXES", "\u0131nbox")] == [DOTLESS, "INBOXES", "\u0131nbox"]


def test_a_level_below_it_is_no_level_below_inbox() -> None:
    assert [of_store(name) for name in ("inbox/a", f"{DOTLESS}/a")] == ["INBOX/a", f"{DOTLESS}/a"]
    assert folder_of("inbox", set()) == ""
    assert folder_of(DOTLESS, set()) == ".&ATE-NBOX"


@pytest.mark.parametrize("pattern", [DOTLESS, "\u0131*", "\u0131%", "\u0131nbox", f"{DOTLESS}/%"])
def test_no_pattern_of_list_takes_one_for_the_other(pattern: str) -> None:
    for name in ("INBOX", "INBOX/a"):
        assert not list_match(pattern, name)
    for name in (DOTLESS, f"{DOTLESS}/a"):
        assert not list_match("inbox", name)
        assert not list_match("INBOX/a", name)
    assert list_match(f"{DOTLESS}/%", f"{DOTLESS}/a")


@given(st.text(max_size=8) | st.text("iInNbBoOxX\u0131\u0130\u212a", min_size=4, max_size=6))
def test_capitals_are_made_of_us_ascii_letters_alone(text: str) -> None:
    made = ascii_upper(text)
    assert made.encode("utf-8", "surrogatepass") == text.encode("utf-8", "surrogatepass").upper()
    assert is_inbox(text) is (made == "INBOX")


@pytest.mark.parametrize(
    ("name", "made"),
    [
        ("inbox", "INBOX"),
        ("Inbox/a/inbox", "INBOX/a/inbox"),
        ("inbox/", "INBOX/"),
        ("inboxes/a", "inboxes/a"),
        ("a/inbox", "a/inbox"),
        (f"{DOTLESS}/a", f"{DOTLESS}/a"),
        ("", ""),
    ],
)
def test_inbox_is_written_so_where_it_is_the_first_level(name: str, made: str) -> None:
    assert with_inbox(name, "/") == made
