"""`restante acl` and limits of an account, by the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from restante.cli.statuses import Exit

from .test_commands import Cli


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    cli = Cli(tmp_path / "data")
    cli("domain", "add", "example.com")
    for name in ("ann", "bob"):
        cli("account", "add", f"{name}@example.com", "--password-stdin", stdin=b"secret words\n")
    return cli


def test_rights_are_given_listed_and_taken(cli: Cli) -> None:
    assert cli.json("acl", "list", "bob@example.com") == []
    done = cli("acl", "set", "bob@example.com", "Archive", "Ann@example.com", "lrs")
    assert done.stdout == "ann@example.com has lrs on Archive of bob@example.com.\n"
    cli("acl", "set", "bob@example.com", "Archive", "ann@example.com", "+wd")
    cli("acl", "set", "bob@example.com", "Archive", "ann@example.com", "-s")
    cli("acl", "set", "bob@example.com", "inbox", "anyone", "l")
    cli("acl", "set", "bob@example.com", "inbox", "-ann@example.com", "l")
    assert cli.json("acl", "list", "bob@example.com") == [
        {"mailbox": "INBOX", "who": "-ann@example.com", "rights": "l"},
        {"mailbox": "INBOX", "who": "anyone", "rights": "l"},
        {"mailbox": "Archive", "who": "ann@example.com", "rights": "lrwted"},
    ]
    cli("acl", "remove", "bob@example.com", "INBOX", "-ann@example.com", "--yes")
    cli("acl", "remove", "bob@example.com", "Archive", "ann@example.com", "--yes")
    assert [row["who"] for row in cli.json("acl", "list", "bob@example.com")] == ["anyone"]
    cli("acl", "remove", "bob@example.com", "Archive", "ann@example.com", "--yes", status=Exit.REFUSED)
    assert [row["who"] for row in cli.json("acl", "list", "bob@example.com", "INBOX")] == ["anyone"]
    cli("doctor")


def test_who_is_meant_is_said_where_he_is_not_here(cli: Cli) -> None:
    refused = cli("acl", "set", "bob@example.com", "INBOX", "-nobody@example.com", "l", status=Exit.NOT_FOUND)
    assert "There is no account nobody@example.com." in refused.stderr
    left = cli("acl", "remove", "bob@example.com", "INBOX", "nobody@example.com", "--yes", status=Exit.REFUSED)
    assert "The list of INBOX does not name nobody@example.com." in left.stderr


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        (("bob@example.com", "Nowhere", "ann@example.com", "lr"), Exit.NOT_FOUND),
        (("nobody@example.com", "INBOX", "ann@example.com", "lr"), Exit.NOT_FOUND),
        (("bob@example.com", "INBOX", "nobody@example.com", "lr"), Exit.NOT_FOUND),
        (("bob@example.com", "INBOX", "bob@example.com", "lr"), Exit.REFUSED),
        (("bob@example.com", "INBOX", "ann@example.com", "lq"), Exit.REFUSED),
        (("bob@example.com", "INBOX", "ann@example.com", "LR"), Exit.REFUSED),
    ],
)
def test_what_cannot_be_given_is_refused(cli: Cli, arguments: tuple[str, ...], status: Exit) -> None:
    cli("acl", "set", *arguments, status=status)
    assert cli.json("acl", "list", "bob@example.com") == []


def test_an_account_that_is_removed_takes_its_rights_along(cli: Cli) -> None:
    cli("acl", "set", "bob@example.com", "INBOX", "ann@example.com", "lr")
    cli("account", "remove", "ann@example.com", "--yes")
    assert cli.json("acl", "list", "bob@example.com") == []
    cli("account", "add", "ann@example.com", "--password-stdin", stdin=b"secret words\n")
    assert cli.json("acl", "list", "bob@example.com") == []
    cli("doctor")


def test_limits_are_set_shown_and_set_back(cli: Cli) -> None:
    cli(
        "account", "add", "small@example.com", "--password-stdin", "--quota", "1 MB", "--quota-messages", "10",
        "--quota-mailboxes", "7", stdin=b"secret words\n",
    )  # fmt: skip
    assert limits(cli) == (1_000_000, 10, 7)
    assert "0 messages of 10, 0 B of 1.0 MB, 6 of 7 mailboxes" in cli("status").stdout
    cli("account", "set", "small@example.com", "--quota-messages", "0")
    assert limits(cli) == (1_000_000, 0, 7)
    cli("account", "set", "small@example.com", "--quota-default", "--quota", "5")
    assert limits(cli) == (5, None, None)


def limits(cli: Cli) -> tuple[object, ...]:
    shown = json.loads(cli("account", "show", "small@example.com", "--json").stdout)
    return shown["quota"], shown["quota_messages"], shown["quota_mailboxes"]


def test_rights_go_to_the_address_as_it_stands_before_any_that_is_made_of_it(cli: Cli) -> None:
    """SASLprep makes "x2" of "x²", and refuses what is written in two directions."""
    people = ["x2@example.com", "x\u00b2@example.com", "\u0639\u0644\u064a@example.com"]
    for who in people:
        cli("account", "add", who, "--password-stdin", stdin=b"secret words\n")
        cli("acl", "set", "bob@example.com", "INBOX", who, "lr")
        assert [row["who"] for row in cli.json("acl", "list", "bob@example.com")] == [who]
        cli("acl", "set", "bob@example.com", "INBOX", f"-{who}", "r")
        cli("acl", "remove", "bob@example.com", "INBOX", f"-{who}", "--yes")
        cli("acl", "remove", "bob@example.com", "INBOX", who, "--yes")
    cli("acl", "set", "bob@example.com", "INBOX", "\uff41nn@example.com", "lr")  # full width
    assert [row["who"] for row in cli.json("acl", "list", "bob@example.com")] == ["ann@example.com"]
