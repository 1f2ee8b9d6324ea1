"""`restante search`: words, and the languages of others."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from restante.cli.statuses import Exit

from .test_commands import Cli


@pytest.fixture
def bob(tmp_path: Path) -> Cli:
    cli = Cli(tmp_path / "data")
    cli("domain", "add", "example.com")
    cli("account", "add", "bob@example.com", "--password-stdin", stdin=b"secret words\n")
    return cli


def test_search_lists_newest_first_by_words_and_keys(bob: Cli, tmp_path: Path) -> None:
    mail = [
        (b"ann@example.com", b"Plan for May", b"Mon, 1 Apr 2024 00:00:00 +0000", b"the quarterly report"),
        (b"bob@example.com", b"Report", b"Tue, 2 Apr 2024 00:00:00 +0000", b"nothing new"),
        (b"ann@example.com", b"Lunch", b"Wed, 3 Apr 2024 00:00:00 +0000", b"at noon"),
    ]
    folder = tmp_path / "mail"
    for name in ("cur", "new", "tmp"):
        (folder / name).mkdir(parents=True)
    for number, (sender, subject, day, body) in enumerate(mail, 1):
        data = b"From: %b\nSubject: %b\nDate: %b\n\n%b\n" % (sender, subject, day, body)
        path = folder / "cur" / f"{1_700_000_000 + number}.x:2,"
        path.write_bytes(data)
        os.utime(path, (1_700_000_000 + number, 1_700_000_000 + number))
    bob("import", str(folder), "--account", "bob@example.com")

    def uids(*words: str) -> list[object]:
        return [row["uid"] for row in bob.json("search", "--account", "bob@example.com", *words)]

    assert uids("report") == [2, 1]
    assert uids("from:ann", "report") == [1]
    assert uids("report", "OR", "noon") == [3, 2, 1]
    assert uids("--limit", "1", "report") == [2]
    assert uids("--fuzzy", "reporting") == [2, 1]
    assert uids("is:flagged") == []
    assert bob.json("search", "--account", "bob@example.com", "--limit", "0", "is:unread") != []
    (row,) = bob.json("search", "--account", "bob@example.com", "mailbox:INBOX", "noon")
    assert (row["mailbox"], row["sender"], row["subject"]) == ("INBOX", "ann@example.com", "Lunch")
    assert bob("search", "--account", "bob@example.com", "zzz").stderr == "Nothing found.\n"
    assert uids("quarterly report") == uids("body:quarterly report") == uids('"quarterly report"') == [1]
    assert uids("report quarterly") == []
    nothing = bob("search", "--account", "bob@example.com", "report quarterly", "noon").stderr
    assert nothing.splitlines()[0].startswith("Looked for as one phrase: 'report quarterly'.")
    assert nothing.splitlines()[1] == "Nothing found."
    assert uids("from:ann report") == uids("from:ann", "report") == [1], "typed as a whole"
    either = bob("search", "--account", "bob@example.com", "from:ann report").stderr
    assert either == "Nothing has 'from:ann report' as one phrase. These have each word of it.\n"
    assert uids("subject:Plan for") == [1], "quoted"
    assert bob("search", "--account", "bob@example.com", "subject:Plan for").stderr == ""
    assert uids("has:attachment") == []
    attached = b"Subject: file\nMIME-Version: 1.0\nContent-Type: application/pdf\n\nx\n"
    bob("deliver", "--to", "bob@example.com", stdin=attached)
    assert uids("has:attachment") == uids("has:attachment", "subject:file") == [4]
    assert uids("NOT", "has:attachment", "report") == [2, 1]
    bob("search", "--account", "bob@example.com", "mailbox:None", "x", status=Exit.NOT_FOUND)
    refused = bob("search", "--account", "bob@example.com", "is:nice", status=Exit.REFUSED)
    assert "means nothing here" in refused.stderr


def test_the_best_fuzzy_matches_come_first_whatever_mailbox_they_are_in(bob: Cli, tmp_path: Path) -> None:
    """A mailbox whose best match is a poor one does not come before another's good ones."""
    for mailbox, subject, day in (("INBOX", b"quarterly invoice", 1), ("Archive", b"quartz invox", 2)):
        path = tmp_path / mailbox
        path.write_bytes(b"From ann Mon Jan  %d 00:00:00 2024\nSubject: %b\n\nx\n" % (day, subject))
        bob("import", str(path), "--account", "bob@example.com", "--mailbox", mailbox)
    found = bob.json("search", "--account", "bob@example.com", "--fuzzy", "quarterly invoice")
    assert [row["mailbox"] for row in found] == ["INBOX", "Archive"]


MAIL = (
    b"From: Ann <ann@example.com>\nList-Id: <dev.example.org>\nSubject: Plan\n\nthe quarterly report\n",
    b"From: bob+work@example.com\nSubject: Report\n\nnothing new\n",
    b"From: Ann <ann@example.com>\nSubject: Lunch\nX-Score: 7\n\nat noon\n",
)


@pytest.fixture
def mail(bob: Cli) -> Cli:
    for message in MAIL:
        bob("deliver", "--to", "bob@example.com", stdin=message)
    return bob


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ('{"from": "ann"}', [1, 3]),
        ('{"text": "report", "notKeyword": "$seen"}', [1, 2]),
        ('{"operator": "NOT", "conditions": [{"header": ["x-score"]}, {"subject": "plan"}]}', [2]),
        ('{"operator": "OR", "conditions": [{"minSize": 1000000}, {"body": "noon"}]}', [3]),
        ('{"inMailboxOtherThan": []}', [1, 2, 3]),
        ('{"someInThreadHaveKeyword": "$flagged"}', []),
        ("null", [1, 2, 3]),
    ],
)
def test_a_filter_of_jmap_lists_what_email_query_would_find(mail: Cli, asked: str, found: list[int]) -> None:
    rows = mail.json("search", "--account", "bob@example.com", "--jmap", asked)
    assert sorted(int(str(row["uid"])) for row in rows) == found


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ('header :contains "list-id" "dev"', [1]),
        ('address :localpart "from" ["ann", "nobody"]', [1, 3]),
        ('address :detail "from" "work"', [2]),
        ('allof (exists "X-Score", not header :is "subject" "plan", size :under 1K)', [3]),
        ('header :matches "subject" "*p*"', [1, 2]),
        ("true", [1, 2, 3]),
    ],
)
def test_a_test_of_sieve_lists_what_a_rule_would_catch(mail: Cli, asked: str, found: list[int]) -> None:
    rows = mail.json("search", "--account", "bob@example.com", "--sieve", asked)
    assert sorted(int(str(row["uid"])) for row in rows) == found


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (("--jmap", "{"), "The filter is no JSON of JMAP. This cannot be read as JSON."),
        (("--jmap", "[" * 100_000), "The filter is no JSON of JMAP. This cannot be read as JSON."),
        (
            ("--jmap", '{"from": "ann", "from": "bob"}'),
            'The filter is no JSON of JMAP. "from" stands twice in one object.',
        ),
        (("--jmap", '{"colour": 1}'), 'Emails cannot be filtered by "colour" here.'),
        (("--jmap", '{"minSize": -1}'), '"minSize" wants an integer'),
        (("--sieve", 'header "subject"'), "Line 1, column 1: header wants names of fields and texts."),
        (("--sieve", 'envelope "from" "x"'), "A stored message has no envelope any more"),
    ],
)
def test_what_cannot_be_read_is_said(bob: Cli, asked: tuple[str, str], said: str) -> None:
    refused = bob("search", "--account", "bob@example.com", *asked, status=Exit.REFUSED)
    assert said in refused.stderr


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ((), "Give a QUERY, or one of --jmap and --sieve."),
        (("word", "--sieve", "true"), "Give a QUERY, or one of --jmap and --sieve."),
        (("--jmap", "{}", "--sieve", "true"), "Give a QUERY, or one of --jmap and --sieve."),
        (("--fuzzy", "--jmap", "{}"), "--fuzzy goes with a QUERY."),
    ],
)
def test_one_language_is_asked_in(bob: Cli, asked: tuple[str, ...], said: str) -> None:
    assert said in bob("search", "--account", "bob@example.com", *asked, status=Exit.USAGE).stderr


def test_jmap_knows_no_message_that_is_marked_deleted(bob: Cli, tmp_path: Path) -> None:
    folder = tmp_path / "mail"
    for name in ("cur", "new", "tmp"):
        (folder / name).mkdir(parents=True)
    for number, flags in enumerate(("", "T"), 1):
        (folder / "cur" / f"{1_700_000_000 + number}.x:2,{flags}").write_bytes(MAIL[number])
    bob("import", str(folder), "--account", "bob@example.com")
    listed = {
        option: [row["subject"] for row in bob.json("search", "--account", "bob@example.com", option, asked)]
        for option, asked in (("--jmap", "null"), ("--sieve", "true"))
    }
    assert listed["--jmap"] == ["Report"]
    assert sorted(map(str, listed["--sieve"])) == ["Lunch", "Report"]
