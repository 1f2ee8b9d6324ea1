"""`Backups/` with real programs: listed and read by curl, pulled by mbsync, copied out of by mutt and imaplib."""

from __future__ import annotations

import gc
import re
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from restante.backup.folder import Folder
from restante.backup.keys import make_key_file
from restante.backup.repository import Repository
from restante.backup.run import run
from restante.clock import system_random
from restante.config.model import AuthTable, BackupTable, Config
from restante.server import past
from restante.store.sqlite.past import SqlitePastStore
from restante.testing.server import RestanteServer

from .support import Reader, done, letter, program, quoted, subject, until

pytestmark = pytest.mark.client

MESSAGES = 300


@pytest.fixture
def reader(tmp_path: Path) -> Iterator[Reader]:
    """An account whose mail is in a snapshot, all of it removed since."""
    secret, text = make_key_file(system_random)
    key, home = tmp_path / "key", tmp_path / "home"
    key.write_text(text, "ascii")
    home.mkdir(mode=0o700)
    location = Folder(tmp_path / "backup", system_random)
    repository = Repository.init(location, secret, "test", 0, system_random)
    config = Config(
        auth=AuthTable(argon2_memory=1 << 20, argon2_time=1),
        backup=BackupTable(location=str(tmp_path / "backup"), key_file=str(key), schedule="off", in_imap=True),
    )
    with RestanteServer(tmp_path / "data", config) as server:
        server.add_account("ann@example.org", "Geheim42")
        for number in range(MESSAGES):
            flags = (r"\Seen",) if number % 3 else (r"\Flagged",)
            server.put("ann@example.org", letter(f"Message {number}", f"Number {number}\r\n"), flags=flags)
        server.run(lambda: run(server.engine, repository, server.clock, "host", {}))
        one = Reader(server, "ann@example.org", "Geheim42", home)
        with one.imap("INBOX") as client:
            done(client.store("1:*", "+FLAGS", r"(\Deleted)"))
            done(client.expunge())
        yield one


def snapshot(reader: Reader) -> str:
    with reader.imap() as client:
        (line,) = done(client.list('""', '"Backups/%"'))
    found = re.search(rb'"(Backups/[^"]+)"\Z', line)
    assert found is not None
    return found[1].decode()


def test_imaplib_finds_and_brings_back(reader: Reader) -> None:
    name = snapshot(reader)
    with reader.imap() as client:
        assert done(client.namespace()) == [b'(("" "/")) (("Other Users/" "/")) (("Backups/" "/"))']
        assert b"Backups" not in b"".join(done(client.list()))
        assert done(client.select(quoted(f"{name}/INBOX"), readonly=True)) == [b"%d" % MESSAGES]
        (found,) = done(client.uid("SEARCH", "SUBJECT", '"Message 77"'))
        done(client.uid("COPY", found.decode(), "INBOX"))
        client.unselect()
    assert reader.flags() == {"Message 77": {r"\Seen"}}
    assert reader.pop3_subjects() == ["Message 77"]


def test_a_snapshot_is_let_go_of_when_its_session_ends(reader: Reader, monkeypatch: pytest.MonkeyPatch) -> None:
    """By counting references alone: a server at rest looks for garbage once in hours, and as long as somebody holds a
    snapshot its reader is kept, with what it has written."""
    held: list[weakref.ref[SqlitePastStore]] = []

    def noted(*args: Any) -> SqlitePastStore:
        store = SqlitePastStore(*args)
        held.append(weakref.ref(store))
        return store

    monkeypatch.setattr(past, "SqlitePastStore", noted)
    name = snapshot(reader)
    gc.disable()
    try:
        with reader.imap() as client:
            done(client.select(quoted(f"{name}/INBOX"), readonly=True))
            done(client.uid("FETCH", "1:3", "(ENVELOPE BODY.PEEK[])"))
            done(client.uid("COPY", "1", "INBOX"))
            assert any(one() is not None for one in held)
        until(lambda: all(one() is None for one in held), lambda: f"{held}")
    finally:
        gc.enable()


def test_curl_reads_it(reader: Reader) -> None:
    name = snapshot(reader).replace(" ", "%20").replace(":", "%3A").replace("/", "%2F")
    server = reader.server
    said = reader.run(
        program("curl"), "-q", "--silent", "--show-error", "--max-time", "25", "--user",
        f"{reader.user}:{reader.password}", f"imap://{server.host}:{server.imap}/{name}%2FINBOX;UID=5",
    )  # fmt: skip
    assert said.encode() == letter("Message 4", "Number 4\r\n")


def test_mbsync_pulls_a_snapshot(reader: Reader) -> None:
    name = snapshot(reader)
    reader.write(
        "mbsyncrc",
        f"""FSync no

IMAPStore far
Host localhost
Port {reader.server.imap}
User {reader.user}
Pass "{reader.password}"
SSLType None
Path "Backups/"

MaildirStore here
Path {reader.home}/Mail/
Inbox {reader.home}/Mail/Unused
SubFolders Verbatim

Channel all
Far :far:
Near :here:
Patterns *
Sync PullNew
Create Near
""",
    )
    (reader.home / "Mail").mkdir()
    reader.run(program("mbsync"), "-c", "mbsyncrc", "all")
    folder = reader.home / "Mail" / name.removeprefix("Backups/") / "INBOX"
    pulled = {subject(path.read_bytes()): path for part in ("cur", "new") for path in (folder / part).iterdir()}
    assert set(pulled) == {f"Message {number}" for number in range(MESSAGES)}
    assert pulled["Message 3"].name.endswith(":2,F")
    assert pulled["Message 4"].name.endswith(":2,S")
    before = sorted(folder.rglob("*"))
    reader.run(program("mbsync"), "-c", "mbsyncrc", "all")
    assert sorted(folder.rglob("*")) == before


def test_mutt_copies_out_of_it(reader: Reader) -> None:
    name = snapshot(reader)
    server = reader.server
    reader.write(
        "muttrc",
        f"""set imap_user="{reader.user}" imap_pass="{reader.password}" ssl_starttls=no ssl_force_tls=no
set folder="imap://{server.host}:{server.imap}/" spoolfile="imap://{server.host}:{server.imap}/INBOX"
set confirmcreate=no confirmappend=no delete=no mark_old=no header_cache="" copy=no quit=yes sort=date wait_key=no
push "<tag-pattern>~s 'Message 1[0-9]\\$'<enter><tag-prefix><copy-message>=INBOX<enter><quit>"
""",
    )
    mailbox = f"imap://{server.host}:{server.imap}/{name}/INBOX"
    command = f"{program('mutt')} -n -F muttrc -f '{mailbox}'"
    reader.run(program("script"), "-qec", command, "/dev/null")  # which gives it a terminal
    assert set(reader.subjects()) == {f"Message 1{digit}" for digit in range(10)}
