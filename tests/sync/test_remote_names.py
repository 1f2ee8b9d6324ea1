"""Names of mailboxes: one to one between a server's and a side's, whatever the separator."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from restante.sync.remote.names import NameMap, from_server, to_server
from restante.sync.side import MailboxUnavailable

TEXT = st.text(st.sampled_from("ab/.^%2F5E"), min_size=1, max_size=12)
SEPARATORS = st.sampled_from(["/", ".", "^", "\\"])


@given(TEXT, SEPARATORS)
def test_there_and_back(text: str, separator: str) -> None:
    assert to_server(from_server(text, separator), separator) == text


@given(TEXT, SEPARATORS)
def test_back_and_there(name: str, separator: str) -> None:
    assert from_server(to_server(name, separator), separator) == name


@given(TEXT)
def test_without_levels(text: str) -> None:
    assert to_server(from_server(text, None), None) == text


@pytest.mark.parametrize(
    ("text", "separator", "name"),
    [
        ("a.b", ".", "a/b"),
        ("a/b.c", ".", "a%2Fb/c"),
        ("a%2Fb.c", ".", "a%252Fb/c"),
        ("a%2Eb.c", ".", "a.b/c"),
        ("v1.2", "/", "v1.2"),
        ("a/b", None, "a%2Fb"),
        ("100%.x", ".", "100%/x"),
    ],
)
def test_examples(text: str, separator: str | None, name: str) -> None:
    assert from_server(text, separator) == name
    assert to_server(name, separator) == text


def test_prefix_inbox_and_nfc() -> None:
    names = NameMap()
    names.separator, names.prefix = ".", "INBOX."
    assert names.learn(b"inbox", ".") == "INBOX"
    assert names.raw("INBOX") == b"inbox"
    assert names.learn(b"INBOX.Sent", ".") == "Sent"
    assert names.learn(b"INBOX.U&AwgBAQ-", ".") == "Üā"
    assert names.raw("Üā") == b"INBOX.U&AwgBAQ-"  # as it stands there, not as it would be made
    assert names.raw("New/Käse") == b"INBOX.New.K&AOQ-se"
    assert names.learn(b"INBOX.inbox", ".") is None
    assert names.learn(b"INBOX.&ANwBAQ-", ".") is None  # the same in NFC
    assert names.learn(b"INBOX.a..b", ".") is None
    assert len(names.left_out) == 3
    assert names.name(b"INBOX") == "INBOX"


def test_names_that_no_server_has() -> None:
    names = NameMap()
    names.separator = None
    with pytest.raises(MailboxUnavailable):
        names.raw("a/b")
    names.separator = "/"
    for utf8 in (False, True):
        names.utf8 = utf8
        for name in ("a\r\nb", "\x80", "a\u2028b", "/", "a//b"):  # what is made is to be read in the next look, too
            with pytest.raises(MailboxUnavailable):
                names.raw(name)
    names.utf8 = True
    assert names.raw("Käse") == "Käse".encode()
