"""Accounts that live on IMAP servers: mirrored without changing them, in the snapshots as all others are."""

from __future__ import annotations

import asyncio
import imaplib
import json
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from restante.backup import mirror
from restante.cli.statuses import Exit
from restante.config.load import load
from restante.errors import Refusal
from restante.server.mirrors import configured
from restante.server.nightly import in_process
from restante.server.nightly_state import Order
from restante.sync.local import LocalSide
from restante.sync.migrate.mailbox import MailboxCopy
from restante.sync.model import Added, Message
from restante.testing.server import RestanteServer

from .imap_world import PASSWORD, USER, Gate, Home


def text(number: int, size: int = 100) -> bytes:
    head = f"From: a@provider.example\r\nTo: b@provider.example\r\nSubject: number {number}\r\n"
    head += f"Message-ID: <{number}@provider.example>\r\nDate: Sat, 1 Jan 2022 00:00:00 +0000\r\n\r\n"
    return head.encode() + b"x" * size + "\r\nGr\u00fc\u00dfe\r\n".encode()


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
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


def test_a_tree_that_is_renamed_when_a_part_of_it_is_deleted_is_not_downloaded_again(
    home: Home, provider: RestanteServer, gate: Gate
) -> None:
    home.night(gate.port)
    with client(provider) as mail:
        mail.delete("Work/2026")
        mail.rename("Work", "Play")
    (updated,) = home.night(gate.port)["imap"]
    assert (updated["new"], updated["removed"]) == (0, 6)
    assert {name for name in home.show() if name.startswith(("Work", "Play"))} == {"Play"}


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
    assert "is in no snapshot yet" in found["failed"][0][1]


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


def test_a_server_that_is_lost_in_the_middle(
    home: Home, provider: RestanteServer, gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once only: it is tried again and goes on. For good: the account stands as it did, and the next night goes on."""
    monkeypatch.setattr(mirror, "PAUSES", (0.0, 0.0))
    for number in range(200, 260):
        provider.put(USER, text(number, 20_000 + number))
    work = ("--imap", "work", "--copies", home.named("work", gate.port, "compress = false\n"))
    gate.cut = 600_000
    first = home.run(*work)
    assert first["failed"] == []
    assert gate.breaks == 1, "it was cut off, and went on"
    assert home.show()["INBOX"] == 90

    for number in range(300, 360):
        provider.put(USER, text(number, 250_000 + number))
    filed, add = threading.Event(), LocalSide.add

    async def told(self: LocalSide, name: str, messages: Sequence[Message]) -> list[Added]:
        answers = await add(self, name, messages)
        filed.set()
        return answers

    monkeypatch.setattr(LocalSide, "add", told)
    gate.before_cut = lambda: filed.wait(60)  # else all may have come, and nothing of it be filed
    gate.received, gate.cut, gate.for_good = 0, 14_000_000, True
    found = home.run(*work, status=Exit.FINDINGS)
    assert found["failed"][0][0] == USER
    assert home.show()["INBOX"] == 90, "what was reached is no state of the account"
    gate.let_in()
    gate.received = 0
    assert home.run(*work)["failed"] == []
    assert home.show()["INBOX"] == 150
    assert gate.received < 12_000_000, "what had come is not downloaded again"


def test_back_to_the_server_twice(home: Home, provider: RestanteServer, gate: Gate) -> None:
    home.night(gate.port)
    before = {box: provider.mail(USER, box) for box in ("INBOX", "Work/2026")}
    with client(provider) as mail:
        mail.select("INBOX")
        mail.store("1:20", "+FLAGS", "(\\Deleted)")
        mail.expunge()
        mail.store("1:*", "-FLAGS", "(\\Seen)")
        mail.delete("Work/2026")
    back = ("backup", "restore", str(home.backup), "--account", USER, *home.login(provider.imap), *home.key, "--json")
    would = json.loads(home(*back, "--dry-run").stdout)
    gone = 30 - len(provider.mail(USER)) + 6
    assert would["messages"] == gone >= 26
    assert len(provider.mail(USER)) == 36 - gone, "a dry run changes nothing"
    assert json.loads(home(*back).stdout)["messages"] == would["messages"]
    for box, mails in before.items():
        now = provider.mail(USER, box)
        assert sorted((each.data, each.received) for each in now) == sorted((m.data, m.received) for m in mails), box
    came = {each.data: each.flags for each in provider.mail(USER)}
    for each in before["INBOX"][:20]:
        assert came[each.data] == each.flags - {"\\Deleted"}
    again = json.loads(home(*back).stdout)
    assert (again["messages"], again["present"], len(provider.mail(USER))) == (0, 36, 30)
    assert not any("\\Seen" in came[each.data] for each in before["INBOX"][20:]), "newer flags stay"


def test_a_line_that_is_lost_on_the_way_back(home: Home, provider: RestanteServer, gate: Gate) -> None:
    """Run again, it goes on, and doubles nothing."""
    for number in range(400, 900):
        provider.put(USER, text(number))
    home.night(gate.port)
    provider.add_account("new@provider.example", PASSWORD)
    key = (*home.key, "--json")
    with Gate(provider.imap, reading=False) as way:
        way.most_literals = 300
        back = ("backup", "restore", str(home.backup), "--account", USER)
        home(*back, *home.login(way.port, "new@provider.example"), *key, status=Exit.TEMPORARY)
    some = len(provider.mail("new@provider.example"))
    assert 0 < some < 530
    done = json.loads(home(*back, *home.login(provider.imap, "new@provider.example"), *key).stdout)
    assert done["messages"] + done["present"] == 536
    assert done["present"] >= some
    came = sorted(each.data for each in provider.mail("new@provider.example"))
    assert came == sorted(each.data for each in provider.mail(USER))


def test_two_restores_to_one_account_do_not_meet(
    home: Home, provider: RestanteServer, gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both would see the same messages missing. A second one begins while the first is about to bring them."""
    home.night(gate.port)
    for name in ("new", "other"):
        provider.add_account(f"{name}@provider.example", PASSWORD)
    back = ("backup", "restore", str(home.backup), "--account", USER, *home.key, "--json")

    def to(name: str) -> tuple[str, ...]:
        return (*back, *home.login(provider.imap, f"{name}@provider.example"))

    files = MailboxCopy._file  # of a batch that was found missing
    met: list[str] = []

    async def file(self: MailboxCopy, batch: list[Message]) -> None:
        if not met:
            met.append("")
            met.append((await asyncio.to_thread(home, *to("new"), status=Exit.TEMPORARY)).stderr)
            await asyncio.to_thread(home, *to("new"), "--dry-run")
            await asyncio.to_thread(home, *to("other"))
        await files(self, batch)

    monkeypatch.setattr(MailboxCopy, "_file", file)
    assert json.loads(home(*to("new")).stdout)["messages"] == 36
    assert "Another restore to 127.0.0.1" in met[1]
    assert (len(provider.mail("new@provider.example")), len(provider.mail("other@provider.example"))) == (30, 30)
    assert json.loads(home(*to("new")).stdout)["messages"] == 0, "it is let in again"


def test_a_restore_says_where_it_keeps_others_off(
    home: Home, provider: RestanteServer, gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    home.night(gate.port)
    (home.folder / "file").touch()
    monkeypatch.setenv("XDG_STATE_HOME", str(home.folder / "file"))
    back = ("backup", "restore", str(home.backup), "--account", USER, *home.login(provider.imap), *home.key)
    assert "XDG_STATE_HOME" in home(*back, status=Exit.REFUSED).stderr


def test_what_was_moved_stays_where_it_is(home: Home, provider: RestanteServer, gate: Gate) -> None:
    """In a new mailbox, or in one that was there and did not have it; a copy that is missing comes back."""
    with client(provider) as mail:
        mail.select("INBOX")
        mail.uid("COPY", "10", "Work/2026")
    home.night(gate.port)
    with client(provider) as mail:
        mail.select("INBOX")
        mail.create("Done")
        mail.uid("MOVE", "1:3", "Done")
        mail.uid("MOVE", "5", "Work/2026")
        mail.uid("STORE", "10,20", "+FLAGS", "(\\Deleted)")
        mail.uid("EXPUNGE", "10,20")
    back = ("backup", "restore", str(home.backup), "--account", USER, *home.login(provider.imap), *home.key, "--json")
    would = json.loads(home(*back, "--dry-run").stdout)
    came = json.loads(home(*back).stdout)
    assert (would["messages"], would["moved"]) == (came["messages"], came["moved"]) == (2, 4)
    assert len(provider.mail(USER)) == 26
    assert len(provider.mail(USER, "Work/2026")) == 8
    again = json.loads(home(*back).stdout)
    assert (again["messages"], again["moved"]) == (0, 4)


def test_back_to_another_server(home: Home, provider: RestanteServer, gate: Gate) -> None:
    """One mailbox of it, one message of it, all of it: only what was asked for is made."""
    home.night(gate.port)
    provider.add_account("new@provider.example", PASSWORD)
    where = home.login(provider.imap, "new@provider.example")
    back = ("backup", "restore", str(home.backup), "--account", USER, *where, *home.key, "--json")
    rows = json.loads(home("backup", "find", "subject:33", "--location", str(home.backup), *home.key, "--json").stdout)
    assert json.loads(home(*back, "--message", rows[0]["email_id"]).stdout)["mailboxes"] == [["Work/2026", 1]]
    assert json.loads(home(*back, "--mailbox", "Work/2026").stdout)["messages"] == 5
    assert provider.mail("new@provider.example") == []
    assert json.loads(home(*back).stdout)["messages"] == 30
    assert json.loads(home(*back).stdout)["messages"] == 0


def test_into_an_account_of_ours(home: Home, provider: RestanteServer, gate: Gate) -> None:
    home.night(gate.port)
    home("--data", str(home.data), "domain", "add", "home.example")
    home("--data", str(home.data), "account", "add", "ann@home.example", "--password-stdin", stdin=b"correct horse\n")
    back = ("--data", str(home.data), "backup", "restore", str(home.backup), "--account", USER, *home.key)
    assert "--into an account" in home(*back, status=Exit.NOT_FOUND).stderr
    into = (*back, "--into", "ann@home.example", "--json")
    assert json.loads(home(*into).stdout)["messages"] == 36
    assert json.loads(home(*into).stdout)["messages"] == 0


def test_a_copy_that_is_in_a_store_is_backed_up_there(home: Home, provider: RestanteServer) -> None:
    """No second copy; and without its server it is in the snapshot as it is."""
    file = home.named("work", provider.imap, store="ann@localhost")
    home("--data", str(home.data), "domain", "add", "localhost")
    home("--data", str(home.data), "account", "add", "ann@localhost", "--password-stdin", stdin=b"correct horse\n")
    assert home.run("--imap", "work", "--copies", file)["imap"] == []
    assert home.show("ann@localhost")["INBOX"] == 30
    assert not (home.data / "mirrors").exists()
    home.password.write_text("another\n")
    found = home.run("--imap", "work", "--copies", file, status=Exit.FINDINGS)
    assert "as it is here" in found["problems"][0]
    assert home.show("ann@localhost")["INBOX"] == 30


def test_several_by_configuration(home: Home, provider: RestanteServer, gate: Gate) -> None:
    """`restante backup run` does what a night of the server does: the copies that the configuration names go along."""
    provider.add_account("bob@provider.example", PASSWORD)
    provider.put("bob@provider.example", text(1))
    home.named("work", gate.port)
    file = home.named("bob", gate.port, user="bob@provider.example")
    config = home.folder / "restante.toml"
    config.write_text(
        f'data = "{home.data}"\n[backup]\nlocation = "{home.backup}"\nkey_file = "{home.key[1]}"\n'
        f'imap = ["work", "bob"]\ncopies = "{file}"\n'
    )
    ran = json.loads(home("--config", str(config), "backup", "run", "--json").stdout)
    assert [each["address"] for each in ran["imap"]] == [USER, "bob@provider.example"]
    assert home.show("bob@provider.example")["INBOX"] == 1

    provider.put("bob@provider.example", text(2))
    order = Order(load(config), str(home.data), str(config))
    night = asyncio.run(in_process(order))
    assert (night.problems, night.messages) == ((), 1)
    assert home.show("bob@provider.example")["INBOX"] == 2

    file.unlink()
    night = asyncio.run(in_process(order))
    assert night.snapshot, "the server's own accounts are backed up all the same"
    assert str(file) in night.problems[0]


def test_mirrors_are_listed_and_removed(home: Home, provider: RestanteServer, gate: Gate) -> None:
    here = ("--data", str(home.data), "backup", "mirror")
    assert str(home.data) in home(*here, "list", status=Exit.REFUSED).stderr, "nothing is kept here yet"
    first = home.night(gate.port)["snapshot"]
    (row,) = json.loads(home(*here, "list", "--json").stdout)
    assert (row["account"], row["messages"], row["updated"] is not None) == (USER, 36, True)
    home(*here, "remove", USER.upper())
    assert json.loads(home(*here, "list", "--json").stdout) == []
    assert "no mirror" in home(*here, "remove", USER, status=Exit.NOT_FOUND).stderr
    home.run()
    assert home.list()[-1]["accounts"] == 0
    assert home.show(snapshot=first)["INBOX"] == 30
    assert home.night(gate.port)["read"] == 0, "begun anew, and nothing of it is written again"


def test_a_whole_restore_says_what_it_leaves(home: Home, provider: RestanteServer, gate: Gate) -> None:
    home.night(gate.port)
    found = home("backup", "restore", str(home.backup), "--all", *home.key, "--data", str(home.folder / "new"))
    assert f"{USER}, an account of an IMAP server, stays in the backup" in found.stderr
    assert "is right" in home("backup", "verify", str(home.backup), "--all", *home.key).stdout
    home("--data", str(home.data), "backup", "drill", str(home.backup), *home.key)
    drilled = home("--data", str(home.data), "backup", "drill", str(home.backup), *home.key, "--all", "--json")
    found = json.loads(drilled.stdout)
    assert (found["right"], found["messages"]) == (True, 36), "it is tried all the same"


def test_what_is_damaged_in_the_backup_is_told(home: Home, provider: RestanteServer, gate: Gate) -> None:
    """The rest goes back to the server."""
    home.night(gate.port)
    for number in range(600, 640):
        provider.put(USER, text(number), "Later")
    home.night(gate.port)
    (pack, *_) = sorted((home.backup / "mail").rglob("*/*"), key=lambda path: path.stat().st_mtime_ns)
    data = bytearray(pack.read_bytes())
    data[200] ^= 1
    pack.write_bytes(bytes(data))
    provider.add_account("new@provider.example", PASSWORD)
    where = home.login(provider.imap, "new@provider.example")
    back = ("backup", "restore", str(home.backup), "--account", USER, *where, *home.key, "--json")
    found = json.loads(home(*back, status=Exit.FINDINGS).stdout)
    assert (found["messages"], len(found["lost"])) == (40, 36)
    assert len(provider.mail("new@provider.example", "Later")) == 40


def test_a_file_of_copies_that_is_not_there_is_told_with_what_else_may_be_meant(home: Home) -> None:
    nowhere = ("--copies", str(home.folder / "nowhere.toml"))
    words = ("backup", "run", str(home.backup), "--imap", "imap.provider.example", *nowhere, *home.key)
    refused = home("--data", str(home.data), *words, status=Exit.REFUSED)
    assert f"There is no file of copies {nowhere[1]}." in refused.stderr
    assert "--user" in refused.stderr
    config = home.folder / "restante.toml"
    config.write_text(f'data = "{home.data}"\n[backup]\nimap = ["work"]\ncopies = "{nowhere[1]}"\n')
    with pytest.raises(Refusal, match="There is no file of copies"):
        configured(load(config), home.data)


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (("--imap", "nobody"), 'there is no copy "nobody"'),
        (("--imap", "pop"), "is of a POP3 maildrop"),
        (("--imap", "work", "--imap", "twin"), "Two of the copies are of"),
        (("--imap", "127.0.0.1", "--user", "ann@provider.example"), "is to be said once"),
        (("--imap", "kept"), "say --data"),
    ],
)
def test_what_cannot_be_is_refused(home: Home, args: tuple[str, ...], says: str) -> None:
    home.named("work", 1)
    home.named("twin", 2)
    home.named("kept", 3, store="ann@localhost")
    with home.copies.open("a") as file:
        file.write(
            f'[copy.pop]\npop3 = "127.0.0.1"\nuser = "x"\npassword_file = "{home.password}"\n'
            f'maildir = "{home.folder / "pop"}"\n'
        )
    home.copies.write_text(f'data = "{home.folder / "elsewhere"}"\n' + home.copies.read_text())
    config = home.folder / "restante.toml"
    config.write_text(f'data = "{home.data}"\n')
    key = ("--copies", str(home.copies), *home.key)
    found = home("--config", str(config), "backup", "run", str(home.backup), *args, *key, status=Exit.REFUSED)
    assert says in found.stderr
