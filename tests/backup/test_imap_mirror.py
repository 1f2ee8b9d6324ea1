"""A mirror is what the server has, whatever happened to either; and nothing that happens to it reaches the server."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import imaplib
import os
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from restante.backup import mirror as mirrors_module
from restante.backup.access import location_of, secret_of
from restante.backup.choose import line_of, snapshot_of
from restante.backup.mirror import Mirrors, Updated
from restante.backup.readonly import ReadOnly
from restante.backup.remotes import remote
from restante.backup.repository import Repository
from restante.backup.side import SnapshotSide
from restante.cli.statuses import Exit
from restante.clock import ManualClock, system_random
from restante.config.model import Config
from restante.server.mirrors import mirrors_of
from restante.sync.config import CopyTable
from restante.sync.local import LocalSide, open_local
from restante.sync.model import FlagChange, Message, Place
from restante.testing.server import RestanteServer

from ..ports import free_port
from ..sync.dovecot_pop3 import available
from ..sync.remote_script import Bare, Script, Session
from ..sync.test_migrate_servers import old_home
from .imap_world import PASSWORD, USER, Gate, Home
from .test_imap import text

Picture = dict[str, list[tuple[bytes, int, frozenset[str]]]]
needs_dovecot = pytest.mark.skipif(
    not available() or not Path("/usr/lib/dovecot/imap").exists(), reason="dovecot-imapd, run as root"
)


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


@pytest.fixture
def provider(restante_server: RestanteServer) -> RestanteServer:
    restante_server.add_account(USER, PASSWORD)
    for number in range(12):
        restante_server.put(USER, text(number), received=1_600_000_000 + number)
    return restante_server


@pytest.fixture
def gate(provider: RestanteServer) -> Iterator[Gate]:
    with Gate(provider.imap) as made:
        yield made
        assert made.refused == [], "a backup changes nothing"


def there(server: RestanteServer, user: str = USER) -> Picture:
    """What the server has: octets, date and flags."""
    return {
        name: sorted((m.data, m.received, m.flags - {"\\Deleted"}) for m in server.mail(user, name))
        for name in server.mailboxes(user)
    }


def held(home: Home, snapshot: str = "latest", address: str = USER) -> Picture:
    """What a snapshot has of the account."""

    async def work() -> Picture:
        location = location_of(str(home.backup), system_random)
        secret = secret_of(None, home.key[1])
        assert secret is not None
        repository = Repository.open(location, secret, system_random)
        side = SnapshotSide(repository, line_of(repository, snapshot_of(repository, snapshot), address))
        await side.open()
        found: Picture = {}
        for place in await side.places():
            uids = (await side.changes(place.name, None)).uids
            messages = [each async for each in side.fetch(place.name, uids)]
            found[place.name] = sorted((each.data, each.received, each.flags) for each in messages)
        return found

    return asyncio.run(work())


@contextlib.asynccontextmanager
async def mirror(home: Home) -> Any:
    store = home.data / "mirrors" / "store"
    (file,) = [path for path in (store / "accounts").rglob("*.db") if "search" not in path.name]
    side: LocalSide = open_local(store, file.stem)
    await side.open()
    try:
        yield side
    finally:
        await side.close()


def test_a_message_that_only_the_mirror_has_goes(home: Home, provider: RestanteServer, gate: Gate) -> None:
    """As after a run that was cut off, of a message that the server has lost since."""
    home.night(gate.port)
    before = there(provider)

    async def meddle() -> None:
        async with mirror(home) as side:
            await side.add("INBOX", [Message(0, text(77), frozenset(), 5)])

    asyncio.run(meddle())
    assert home.night(gate.port)["problems"] == []
    assert held(home) == there(provider) == before


@pytest.mark.parametrize("what", ["removed", "flagged", "made", "renamed", "deleted", "moved"])
def test_a_mirror_that_somebody_changed_is_made_anew(
    home: Home, provider: RestanteServer, gate: Gate, what: str
) -> None:
    provider.put(USER, text(50), "Work")
    home.night(gate.port)
    before = there(provider)

    async def meddle() -> None:
        async with mirror(home) as side:
            uids = list((await side.changes("INBOX", None)).uids)
            match what:
                case "removed":
                    await side.remove("INBOX", uids[:3])
                case "flagged":
                    await side.set_flags("INBOX", [FlagChange(uids[:3], frozenset({"\\Seen"}), frozenset())])
                case "made":
                    await side.create("Mine", None)
                case "renamed":
                    await side.rename("Work", "Play")
                case "deleted":
                    await side.delete("Work")
                case "moved":
                    await side.move("INBOX", uids[:3], "Work")

    asyncio.run(meddle())
    found = home.night(gate.port)
    assert (found["failed"], found["problems"]) == ([], [])
    assert held(home) == there(provider) == before


def test_a_mailbox_gone_and_another_under_its_name(home: Home, provider: RestanteServer, gate: Gate) -> None:
    """The two-way engine would give one of them another name on the server."""
    for name, number in (("A", 1), ("B", 2)):
        provider.put(USER, text(number), name)
    home.night(gate.port)
    with imaplib.IMAP4(provider.host, provider.imap) as client:
        client.login(USER, PASSWORD)
        client.delete("B")
        client.rename("A", "B")
    found = home.night(gate.port)
    assert (found["failed"], found["problems"]) == ([], [])
    assert held(home) == there(provider)


@pytest.mark.parametrize("seed", range(4))
def test_random_weeks(home: Home, provider: RestanteServer, gate: Gate, seed: int) -> None:
    """Whatever other programs did to the account since the last night, the snapshot is what is there now; and earlier
    snapshots are what was there then."""
    chance = random.Random(seed)
    pictures: list[tuple[str, Picture]] = []
    number = 100
    for _ in range(5):
        for _ in range(chance.randrange(1, 8)):
            number += 1
            _edit(provider, chance, number)
        night = home.night(gate.port)
        assert (night["failed"], night["problems"]) == ([], [])
        pictures.append((night["snapshot"], there(provider)))
    for snapshot, picture in pictures:
        assert held(home, snapshot) == picture


def _edit(server: RestanteServer, chance: random.Random, number: int) -> None:
    names = ["INBOX", "A", "B", "A/C"]
    with imaplib.IMAP4(server.host, server.imap) as client:
        client.login(USER, PASSWORD)
        client.enable("QRESYNC")
        box = chance.choice([name for name in server.mailboxes(USER) if name in names])
        client.select(box)
        count = len(server.mail(USER, box))
        some = f"{chance.randrange(1, count + 1)}" if count else ""
        match chance.randrange(7):
            case 0 | 1:
                server.put(USER, text(number), chance.choice(names), received=1_600_000_000 + number)
            case 2 if some:
                client.store(some, "+FLAGS", "(\\Flagged work)")
            case 3 if some:
                client.store(some, "+FLAGS", "(\\Deleted)")
                client.expunge()
            case 4 if some:
                client.create("B")
                client.uid("MOVE", str(server.mail(USER, box)[int(some) - 1].uid), "B")
            case 5:
                client.rename("A", "B")
            case 6:
                client.delete(chance.choice(["A", "B", "A/C"]))


def test_another_run_at_the_same_time(home: Home, provider: RestanteServer, gate: Gate) -> None:
    """One fills the mirror; the other leaves the account as it was, and says so."""
    home.night(gate.port)
    (lock,) = (home.data / "mirrors").glob("*.lock")
    number = os.open(lock, os.O_RDWR)
    fcntl.flock(number, fcntl.LOCK_EX)
    provider.put(USER, text(60))
    found = home.night(gate.port, status=Exit.FINDINGS)
    os.close(number)
    assert "Another process" in found["failed"][0][1]
    assert home.show()["INBOX"] == 12
    assert home.night(gate.port)["failed"] == []
    assert home.show()["INBOX"] == 13


def test_a_full_disk(home: Home, provider: RestanteServer, gate: Gate) -> None:
    home.night(gate.port)
    provider.put(USER, text(60))
    config = home.folder / "restante.toml"
    config.write_text('[store]\nreserve = "1000000 GB"\n')
    found = home.night(gate.port, "--config", str(config), status=Exit.FINDINGS)
    assert found["failed"][0][0] == USER
    assert home.show()["INBOX"] == 12
    assert home.night(gate.port)["failed"] == []
    assert held(home) == there(provider)


def test_nobody_answers(home: Home, provider: RestanteServer) -> None:
    found = home.night(free_port(), status=Exit.FINDINGS)
    assert found["failed"][0][0] == USER


def test_a_lost_mirror_is_made_anew(home: Home, provider: RestanteServer, gate: Gate) -> None:
    """What the backup holds is not written again; while it cannot be made anew, the account stands as it did."""
    first = home.night(gate.port)
    (home.data / "mirrors").rename(home.folder / "lost")
    right = home.password.read_text()
    home.password.write_text("another\n")
    home.night(gate.port, status=Exit.FINDINGS)
    assert home.show()["INBOX"] == 12
    home.password.write_text(right)
    second = home.night(gate.port)
    assert second["read"] == 0, "no message is written twice"
    assert second["accounts"] == 1
    assert held(home) == held(home, first["snapshot"]) == there(provider)


@needs_dovecot
def test_dovecot(home: Home) -> None:
    """Two nights, a server that loses a mailbox, and the way back, twice, against Debian's Dovecot."""
    from ..sync.test_migrate_servers import NAMES, fill, imap, picture

    user = "ann@example.org"
    with old_home() as (_, port):
        fill(port)
        with Gate(port) as gate:
            first = home.run(*home.login(gate.port, user))
            assert (first["failed"], first["problems"], first["messages"]) == ([], [], 18)
            gate.received = 0
            second = home.run(*home.login(gate.port, user))
            assert second["unchanged"] == 1
            assert gate.received < 4_000
            with imap(port) as client:
                before = {name: picture(client, name) for name in NAMES}
                client.select("INBOX")
                client.store("1:6", "+FLAGS", "(\\Deleted)")
                client.expunge()
                client.delete("Work/2026")
            third = home.run(*home.login(gate.port, user))
            assert (third["failed"], third["problems"]) == ([], [])
            assert home.show(user)["INBOX"] == 5
            assert "Work/2026" not in home.show(user)
            assert gate.refused == []
        back = (
            "backup", "restore", str(home.backup), "--account", user, "--snapshot", first["snapshot"],
            *home.login(port, user), *home.key,
        )  # fmt: skip
        assert "11 messages" in home(*back).stdout
        assert "0 messages" in home(*back).stdout
        with imap(port) as client:
            for name, mails in before.items():
                assert sorted(picture(client, name), key=repr) == sorted(mails, key=repr), name


class Reading(Bare):
    """A server of RFC 3501 and nothing more, which says NO to whatever would change something."""

    def __call__(self, session: Session, tag: bytes, command: bytes) -> bytes | None:
        verb = command.upper().split(b" ")
        if verb[0] in (b"SELECT", b"APPEND", b"CREATE", b"EXPUNGE", b"CLOSE", b"SUBSCRIBE") or b"STORE" in verb[:2]:
            return tag + b" NO this account is read alone\r\n"
        return super().__call__(session, tag, command)


def test_a_server_of_rfc_3501(tmp_path: Path) -> None:
    """Without CONDSTORE, UIDPLUS, permanent identities: flags and removals are seen by listing them. A keyword that is
    none does not keep its message out."""
    server = Reading()
    server.boxes[b"Work"], server.validity[b"Work"], server.next[b"Work"] = {}, 9, 1
    for number in range(20):
        server.put(b"INBOX", text(number), b"\\Seen", b"a]b")
    server.put(b"Work", text(30))

    async def work() -> None:
        async with Script(server).running() as script:
            password = tmp_path / "password"
            password.write_text(PASSWORD)
            password.chmod(0o600)
            table = CopyTable(imap=f"127.0.0.1:{script.port}", tls="none", user=USER, password_file=str(password))
            wanted = remote(table, tmp_path / "token.json")
            clock = ManualClock(1_700_000_000)
            mirrors = mirrors_of(Config(), tmp_path, clock, system_random)
            for added, removed, flagged in ((21, 0, 0), (0, 0, 0), (1, 2, 1), (0, 19, 0)):
                account = await mirrors.account(wanted)
                done = Updated(USER)
                await mirrors.update(account, wanted, done)
                assert (done.new, done.removed, done.flagged, done.notes) == (added, removed, flagged, [])
                if added == 0 and not removed:
                    del server.boxes[b"INBOX"][3], server.boxes[b"INBOX"][4]
                    server.boxes[b"INBOX"][5][0].add(b"\\Flagged")
                    server.put(b"INBOX", text(40))
                else:
                    if removed:
                        server.boxes[b"INBOX"].clear()
            (told,) = await mirrors.told()
            assert told.messages == 1
            assert not any(b" NO " in each or each.upper().startswith((b"SELECT", b"APPEND")) for each in script.log)

    asyncio.run(work())


class Views:
    """A side that shows Gmail's mailboxes."""

    title = "imap.gmail.com as ann"

    def __init__(self, *capabilities: str) -> None:
        self.capabilities = frozenset(capabilities)

    async def places(self) -> list[Place]:
        roles = {"INBOX": None, "[Gmail]/All Mail": "\\All", "[Gmail]/Starred": "\\Flagged", "Best": "\\Important"}
        return [Place(name, "1", None, role=role) for name, role in roles.items()]


def test_of_gmails_views_all_mail_is_kept() -> None:
    """Archived mail is nowhere else; what is starred or important is there as well. At others these are mailboxes."""
    gmail: Any = Views("X-GM-EXT-1")
    assert [place.name for place in asyncio.run(ReadOnly(gmail).places())] == ["INBOX", "[Gmail]/All Mail"]
    other: Any = Views()
    assert len(asyncio.run(ReadOnly(other).places())) == 4


def test_a_sealed_backup_takes_it_too(home: Home, provider: RestanteServer, gate: Gate) -> None:
    """The machine that reads the account cannot read its backup; what did not come stands all the same."""
    sealed, writing = home.folder / "sealed", home.folder / "writing"
    home("backup", "init", str(sealed), *home.key, "--sealed", "--writing-key", str(writing))
    run = ("--data", str(home.data), "backup", "run", str(sealed), "--key-file", str(writing), *home.login(gate.port))
    home(*run)
    provider.put(USER, text(60))
    right = home.password.read_text()
    home.password.write_text("another\n")
    assert "stands as in the last snapshot" in home(*run, status=Exit.FINDINGS).stderr
    home.backup = sealed
    assert home.show()["INBOX"] == 12
    home.password.write_text(right)
    home(*run)
    assert held(home) == there(provider)


def test_a_download_that_takes_too_long_goes_on_in_the_next_run(
    home: Home, provider: RestanteServer, gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Accounts of the installation do not wait for it for ever."""
    monkeypatch.setattr(mirrors_module, "LONGEST", 0.0)
    found = home.night(gate.port, status=Exit.FINDINGS)
    assert "The next run goes on." in found["failed"][0][1]
    monkeypatch.undo()
    assert home.night(gate.port)["failed"] == []
    assert held(home) == there(provider)


def test_another_server_under_the_same_address(home: Home, provider: RestanteServer, tmp_path: Path) -> None:
    """Its numbers may be those of the old one, and mean other messages: the mirror is begun anew."""
    home.night(provider.imap)
    with RestanteServer(tmp_path / "other") as other:
        other.add_account(USER, PASSWORD)
        for number in range(3, 20):
            other.put(USER, text(number), received=1_600_000_000 + number)
        found = home.night(other.imap)
        assert (found["failed"], found["problems"], found["imap"][0]["new"]) == ([], [], 17)
        assert held(home) == there(other)


def test_a_mistyped_server_costs_no_mirror(home: Home, provider: RestanteServer) -> None:
    """Nobody is there, or does not let her in: nothing is downloaded again when the right one is named."""
    assert home.night(provider.imap)["imap"][0]["new"] > 0
    home.night(free_port(), status=Exit.FINDINGS)
    home.run(*home.login(provider.imap, "nobody@provider.example"), status=Exit.FINDINGS)
    found = home.night(provider.imap)
    assert (found["failed"], found["imap"][0]["new"]) == ([], 0)


def test_a_fault_of_ours_leaves_nobody_else_out(
    home: Home, provider: RestanteServer, gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    home.night(gate.port)

    async def fault(*args: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(Mirrors, "update", fault)
    home("--data", str(home.data), "domain", "add", "home.example")
    home("--data", str(home.data), "account", "add", "ann@home.example", "--password-stdin", stdin=b"correct horse\n")
    found = home.night(gate.port, status=Exit.FINDINGS)
    assert "ZeroDivisionError" in found["failed"][0][1]
    assert "INBOX" in home.show("ann@home.example")
    assert home.show()["INBOX"] == 12
