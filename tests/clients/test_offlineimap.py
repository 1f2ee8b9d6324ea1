"""OfflineIMAP: a mailbox and a tree of Maildirs are kept alike in both directions, one connection each run."""

from __future__ import annotations

from pathlib import Path

import pytest

from .support import Reader, done, letter, program, subject

pytestmark = pytest.mark.client


def offlineimap(demo: Reader) -> str:
    """One run; what it says."""
    rc = demo.write(
        "rc",
        f"""[general]
accounts = demo
metadata = {demo.home}/state
ui = basic
[Account demo]
localrepository = here
remoterepository = there
[Repository here]
type = Maildir
localfolders = {demo.home}/Mail
[Repository there]
type = IMAP
remotehost = {demo.server.host}
remoteport = {demo.server.imap}
remoteuser = {demo.user}
remotepass = {demo.password}
ssl = no
starttls = no
""",
    )
    return demo.run(program("offlineimap"), "-c", str(rc), "-o")


def files(demo: Reader, mailbox: str = "INBOX") -> list[tuple[str, Path]]:
    """The Maildir's files, their subjects before them."""
    paths = [path for part in ("cur", "new") for path in (demo.home / "Mail" / mailbox / part).iterdir()]
    return sorted((subject(path.read_bytes()), path) for path in paths)


def test_changes_go_both_ways(demo: Reader) -> None:
    offlineimap(demo)
    before = demo.subjects()
    for name in demo.server.mailboxes(demo.user):
        assert [one for one, _ in files(demo, name.replace("/", "."))] == sorted(demo.subjects(name))
    # Here: one read and flagged, one removed, one written. There: one flagged, one removed, one delivered.
    here = dict(files(demo))
    name = here[before[0]].name.partition(":")[0]
    here[before[0]].rename(demo.home / f"Mail/INBOX/cur/{name}:2,FS")
    here[before[1]].unlink()
    (demo.home / "Mail/INBOX/new/1.2.here").write_bytes(letter("Written here").replace(b"\r\n", b"\n"))
    with demo.imap("INBOX") as client:
        done(client.store("*", "+FLAGS", r"\Answered"))
        done(client.store("3", "+FLAGS", r"\Deleted"))
        done(client.expunge())
    demo.deliver(letter("Delivered there"))
    offlineimap(demo)
    assert sorted(demo.subjects()) == sorted([before[0], *before[3:], "Delivered there", "Written here"])
    here = dict(files(demo))
    assert sorted(here) == sorted(demo.subjects())
    assert demo.flags()[before[0]] == {r"\Flagged", r"\Seen"}
    assert "R" in here[before[-1]].name.partition(":2,")[2]
    # Nothing has changed: nothing is copied.
    assert "Copy message" not in offlineimap(demo)
