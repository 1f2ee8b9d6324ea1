"""Accounts that live on IMAP servers: mirrored without changing them, in the snapshots as all others are."""

from __future__ import annotations

import imaplib
from collections.abc import Iterator
from pathlib import Path

import pytest

from restante.cli.statuses import Exit
from restante.testing.server import RestanteServer

from .imap_world import PASSWORD, USER, Gate, Home


def text(number: int, size: int = 100) -> bytes:
    head = f"From: a@provider.example\r\nTo: b@provider.example\r\nSubject: number {number}\r\n"
    head += f"Message-ID: <{number}@provider.example>\r\nDate: Sat, 1 Jan 2022 00:00:00 +0000\r\n\r\n"
    return head.encode() + b"x" * size + "\r\nGr\u00fc\u00dfe\r\n".encode()


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


@pytest.fixture
def provider(restante_server: RestanteServer) -> RestanteServer:
    """Mail of every sort: flags, keywords, dates, a tree of mailboxes, one that is empty."""
    server = restante_server
    server.add_account(USER, PASSWORD)
    for number in range(30):
        flags = ((), ("\\Seen",), ("\\Flagged", "work"), ("\\Deleted",))[number % 4]
        server.put(USER, text(number), flags=flags, received=1_600_000_000 + number)
    for number in range(30, 36):
        server.put(USER, text(number, 5000), "Work/2026", received=1_600_000_000 + number)
    return server


@pytest.fixture
def gate(provider: RestanteServer) -> Iterator[Gate]:
    with Gate(provider.imap) as made:
        yield made
        assert made.refused == [], "a backup changes nothing"


def client(server: RestanteServer, user: str = USER) -> imaplib.IMAP4:
    made = imaplib.IMAP4(server.host, server.imap)
    made.login(user, PASSWORD)
    return made


def test_two_nights(home: Home, provider: RestanteServer, gate: Gate) -> None:
    """The second is a matter of what changed, on the line and in the backup; nothing changed is next to nothing."""
    first = home.night(gate.port)
    assert (first["accounts"], first["messages"], first["failed"], first["problems"]) == (1, 36, [], [])
    assert first["imap"][0]["address"] == USER
    assert home.show()["INBOX"] == 30
    assert home.show()["Work/2026"] == 6
    assert b"UID FETCH" in gate.log
    assert b"EXAMINE" in gate.log
    whole, packs = gate.received, home.packs()

    gate.received = 0
    second = home.night(gate.port)
    assert (second["unchanged"], second["messages"], second["written"] < 20_000) == (1, 0, True)
    assert gate.received < 3_000
    assert home.packs() - packs == set() or len(home.packs() - packs) <= 2, "nothing of the account is written"

    with client(provider) as mail:
        mail.select("INBOX")
        mail.store("1", "+FLAGS", "(\\Answered)")
        mail.store("2", "+FLAGS", "(\\Deleted)")
        mail.uid("MOVE", "5", "Work/2026")
    provider.put(USER, text(99))
    gate.received = 0
    third = home.night(gate.port)
    assert third["messages"] == 2, "what came, and what was moved; its content is there already"
    assert gate.received < whole / 5
    assert home.show() == home.show() | {"INBOX": 30, "Work/2026": 7}
    assert home.show(snapshot=first["snapshot"])["INBOX"] == 30


def test_what_is_in_it_is_what_the_server_has(home: Home, provider: RestanteServer, gate: Gate, tmp_path: Path) -> None:
    home.night(gate.port)
    out = tmp_path / "out"
    home("backup", "restore", str(home.backup), "--account", USER, "--out", str(out), "--format", "mbox", *home.key)
    held = b"".join(path.read_bytes() for path in out.rglob("*.mbox"))
    assert held.count(b"Subject: number ") == 36
    mirror = next((home.data / "mirrors" / "store" / "accounts").rglob("*.db"))
    assert mirror.stat().st_mode & 0o077 == 0


def test_a_server_that_lost_everything(home: Home, provider: RestanteServer, gate: Gate) -> None:
    """No brake stops it: the snapshot is of what is there, and those before it hold what was."""
    before = home.night(gate.port)["snapshot"]
    with client(provider) as mail:
        mail.select("INBOX")
        mail.store("1:*", "+FLAGS", "(\\Deleted)")
        mail.expunge()
        mail.delete("Work/2026")
        mail.delete("Work")
    after = home.night(gate.port)
    assert (after["failed"], after["problems"], after["imap"][0]["removed"] >= 30) == ([], [], True)
    assert home.show()["INBOX"] == 0
    assert "Work/2026" not in home.show()
    assert home.show(snapshot=before)["INBOX"] == 30
    assert home.show(snapshot=before)["Work/2026"] == 6
    # and it comes back
    provider.put(USER, text(7))
    assert home.night(gate.port)["imap"][0]["new"] == 1
    assert home.show()["INBOX"] == 1


def test_a_wrong_password(home: Home, provider: RestanteServer, gate: Gate) -> None:
    home.night(gate.port)
    home.password.write_text("another\n")
    provider.put(USER, text(50))
    found = home.night(gate.port, status=Exit.FINDINGS)
    ((address, why),) = found["failed"]
    assert address == USER
    assert "stands as in the last snapshot" in why
    assert home.show()["INBOX"] == 30
    assert home.list()[-1]["left_out"] == [USER]


def test_a_first_night_that_fails_leaves_the_account_out(home: Home, provider: RestanteServer) -> None:
    home.password.write_text("another\n")
    with Gate(provider.imap) as gate:
        found = home.night(gate.port, status=Exit.FINDINGS)
    assert (found["accounts"], len(found["failed"]), home.list()[-1]["accounts"]) == (0, 1, 0)


def test_a_run_that_is_about_others_keeps_the_account(home: Home, provider: RestanteServer, gate: Gate) -> None:
    """A mirror that this run did not bring up to date stands as it did, without a word."""
    home.night(gate.port)
    found = home.run()
    assert (found["accounts"], found["failed"], home.show()["INBOX"]) == (0, [], 30)


def test_an_account_of_this_installation_is_not_mirrored(home: Home, provider: RestanteServer, gate: Gate) -> None:
    home("--data", str(home.data), "domain", "add", "provider.example")
    home("--data", str(home.data), "account", "add", USER, "--password-stdin", stdin=b"correct horse\n")
    found = home.night(gate.port, status=Exit.FINDINGS)
    assert "is an account of this installation" in found["problems"][0]
    assert gate.log == []


def test_find_names_the_account(home: Home, provider: RestanteServer, gate: Gate) -> None:
    home.night(gate.port)
    found = home("backup", "find", "subject:33", "--location", str(home.backup), *home.key)
    assert USER in found.stdout
    assert "Work/2026" in found.stdout
