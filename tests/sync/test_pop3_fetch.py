"""Fetching from servers with every quirk: nothing twice, nothing lost, nothing deleted before it is safe."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import replace
from itertools import product
from pathlib import Path

import pytest

from restante.sync.model import Added
from restante.sync.pop3.errors import FetchInterrupted
from restante.sync.pop3.identity import of_header, of_message
from restante.sync.pop3.settings import Report
from restante.sync.pop3.state import Pop3State
from restante.sync.side import SideUnavailable

from .memory import ALL as ALL_ABILITIES
from .memory import BARE, Abilities, Disk, MemorySide
from .pop3_world import Client, Killed, MemoryTarget, Names, Server, client, letter

LONG = "A line that makes this message worth a look at its header first.\r\n" * 100


def three(**options: object) -> Server:
    server = Server(**options)  # type: ignore[arg-type] # each test names what it wants
    for name in ("one", "two", "three"):
        server.put(letter(name, f"{name}\r\n{LONG}"))
    return server


def run(who: Client, server: Server) -> Report:
    return asyncio.run(who.fetch(server))


def here(who: Client) -> list[str]:
    """Subjects of what the target has."""
    return sorted(
        next(line for line in data.decode().split("\r\n") if line.startswith("Subject: "))[9:]
        for data in who.target.all().elements()
    )


ALL = ["one", "three", "two"]
NAMES: list[Names] = ["good", "none", "shared", "content", "numbers", "places"]


@pytest.mark.parametrize("names", NAMES)
@pytest.mark.parametrize("top", [True, False])
@pytest.mark.parametrize("pipelining", [True, False])
def test_kept_mail_is_downloaded_once(tmp_path: Path, names: Names, top: bool, pipelining: bool) -> None:
    who, server = client(tmp_path), three(names=names, top=top, pipelining=pipelining)
    first = run(who, server)
    assert (first.listed, first.downloaded, first.recognised) == (3, 3, 0)
    assert who.target.all() == Counter(mail.data for mail in server.mails)
    assert run(who, server).downloaded == 0
    server.put(letter("four"))
    assert run(who, server).downloaded == 1
    assert run(who, server).downloaded == 0
    assert here(who) == sorted([*ALL, "four"])
    assert server.gone == []


def test_a_server_without_capabilities_is_asked_one_at_a_time(tmp_path: Path) -> None:
    who, server = client(tmp_path), three(capa=False)
    assert run(who, server).downloaded == 3
    assert run(who, server).downloaded == 0
    assert here(who) == ALL


@pytest.mark.parametrize("names", NAMES)
@pytest.mark.parametrize("top", [True, False])
def test_what_is_deleted_is_here(tmp_path: Path, names: Names, top: bool) -> None:
    who, server = client(tmp_path, delete_after=0), three(names=names, top=top)
    report = run(who, server)
    assert (report.downloaded, report.deleted) == (3, 3)
    assert server.mails == []
    assert here(who) == ALL


def test_mail_goes_days_after_our_download(tmp_path: Path) -> None:
    who, server = client(tmp_path, delete_after=7), three()
    assert run(who, server).deleted == 0
    who.later(3)
    server.put(letter("four"))
    assert run(who, server).downloaded == 1
    who.later(3.9)
    assert run(who, server).deleted == 0
    who.later(0.2)
    assert run(who, server).deleted == 3
    assert [b"Subject: four" in mail.data for mail in server.mails] == [True]
    who.later(3)
    assert run(who, server).deleted == 1
    assert server.mails == []


def test_nothing_new_costs_one_look(tmp_path: Path) -> None:
    who, server = client(tmp_path, delete_after=7), three()
    run(who, server)
    server.commands.clear()
    who.target.read.clear()
    run(who, server)
    assert server.commands == [b"CAPA", b"USER ann", b"PASS secret", b"CAPA", b"LIST", b"UIDL", b"QUIT"]
    assert who.target.read == []
    assert who.target.opened == 0


@pytest.mark.parametrize("top", [True, False])
@pytest.mark.parametrize("writes", [True, False])
@pytest.mark.parametrize("delete_after", [None, 7])
def test_a_server_that_renumbers_brings_nothing_twice(
    tmp_path: Path, top: bool, writes: bool, delete_after: int | None
) -> None:
    who, server = client(tmp_path, delete_after=delete_after), three(top=top, writes=writes)
    run(who, server)
    server.salt += 1
    server.put(letter("four"))
    report = run(who, server)
    assert (report.downloaded, report.recognised) == (1, 3)
    assert here(who) == sorted([*ALL, "four"])
    server.commands.clear()
    assert run(who, server).recognised == 0
    assert not [line for line in server.commands if line.startswith((b"RETR", b"TOP"))]


def test_a_renumbered_message_is_recognised_by_its_header(tmp_path: Path) -> None:
    who, server = client(tmp_path), three()
    run(who, server)
    server.salt += 1
    server.commands.clear()
    run(who, server)
    assert not [line for line in server.commands if line.startswith(b"RETR")]


def test_what_a_header_alone_recognised_is_read_before_it_is_deleted(tmp_path: Path) -> None:
    who, server = client(tmp_path, delete_after=7), three()
    run(who, server)
    server.salt += 1
    assert run(who, server).recognised == 3
    body = server.mails[0].data.replace(b"one\r\nA line", b"One\r\nA line")
    assert body != server.mails[0].data
    server.mails[0].data = body  # the same name, header and size, another message
    who.later(8)
    report = run(who, server)
    assert (report.deleted, report.downloaded) == (2, 1)
    assert who.target.all()[body] == 1
    assert [mail.data for mail in server.mails] == [body]


@pytest.mark.parametrize("pipelining", [True, False])
def test_a_message_that_a_server_dies_of_keeps_no_other(tmp_path: Path, pipelining: bool) -> None:
    who, server = client(tmp_path, delete_after=0), three(pipelining=pipelining)
    deadly = server.mails[1].data
    server.deadly.add(deadly)
    for has, left in ((["one"], ["one", "two", "three"]), (["one", "three"], ["one", "two", "three"])):
        with pytest.raises(FetchInterrupted):
            run(who, server)
        assert here(who) == has  # and from the second run on it comes last
        assert len(server.mails) == len(left)
    report = run(who, server)
    assert report.deleted == 2
    (passed,) = report.left
    assert "the connection was lost" in passed.reason
    assert [mail.data for mail in server.mails] == [deadly]
    with pytest.raises(FetchInterrupted):
        run(who, server)  # there is nothing else to do: it is asked for
    server.put(letter("four"))
    assert run(who, server).deleted == 1
    server.deadly.clear()
    assert run(who, server).downloaded == 1
    assert (here(who), server.mails) == (sorted([*ALL, "four"]), [])


@pytest.mark.parametrize("top", [True, False])
@pytest.mark.parametrize("since", ["another day", "a session cut off"])
def test_what_an_earlier_session_read_is_looked_at_before_it_is_deleted(tmp_path: Path, since: str, top: bool) -> None:
    who, server = client(tmp_path, delete_after=7), Server(top=top)
    for n in range(5):
        server.put(letter(f"job {n}", LONG))  # all of one size
    run(who, server)
    for n in (1, 3):
        server.mails[n].data = letter(f"neu {n}", LONG)  # under the old one's name: the server's list was made anew
    assert len({server.size(mail) for mail in server.mails}) == 1
    if since == "another day":
        who.later(8)
    else:
        who.settings = replace(who.settings, delete_after=0)
    run(who, server)
    assert here(who) == sorted([f"job {n}" for n in range(5)] + ["neu 1", "neu 3"])
    assert Counter(server.gone) - who.target.all() == Counter()
    who.later(8)
    run(who, server)
    assert server.mails == []
    assert len(here(who)) == 7


@pytest.mark.parametrize("names", ["numbers", "places"])
def test_a_name_given_to_another_message_is_noticed(tmp_path: Path, names: Names) -> None:
    who, server = client(tmp_path, delete_after=7), Server(names=names)
    for n in range(5):
        server.put(letter(f"job {n}", LONG))  # all of one size
    run(who, server)
    del server.mails[1]
    server.put(letter("job 5", LONG))
    assert run(who, server).downloaded == 1
    assert here(who) == [f"job {n}" for n in range(6)]
    who.later(8)
    run(who, server)
    assert server.mails == []
    assert len(here(who)) == 6


@pytest.mark.parametrize("top", [True, False])
@pytest.mark.parametrize("names", ["numbers", "places"])
@pytest.mark.parametrize("equal", [1, 2])
def test_a_name_given_to_an_equal_message_is_noticed(tmp_path: Path, names: Names, top: bool, equal: int) -> None:
    """One of the first goes, and one that equals the last comes: under the last known name stands what stood there."""
    who, server = client(tmp_path), Server(names=names, top=top)
    for n in range(3):
        server.put(letter(f"job {n}", LONG))
    for _ in range(equal):
        server.put(letter("equal", LONG))
    run(who, server)
    del server.mails[0]
    server.put(letter("equal", LONG))
    assert run(who, server).downloaded == 1
    assert here(who) == [*["equal"] * (equal + 1), *(f"job {n}" for n in range(3))]


def test_names_whose_sizes_differ_are_looked_at(tmp_path: Path) -> None:
    who, server = client(tmp_path), three()
    run(who, server)
    server.mails[0].data, server.mails[1].data = server.mails[1].data + b"more\r\n", letter("new")
    report = run(who, server)
    assert report.downloaded == 2
    assert here(who) == sorted([*ALL, "two", "new"])


def test_sizes_that_change_mean_nothing_by_themselves(tmp_path: Path) -> None:
    who, server = client(tmp_path), three()
    run(who, server)
    server.lf_sizes = True
    assert run(who, server).downloaded == 0
    assert here(who) == ALL


def test_equal_messages_stay_as_many_as_they_are(tmp_path: Path) -> None:
    for number, names in enumerate(NAMES):
        who, server = client(tmp_path / str(number)), Server(names=names)
        for _ in range(3):
            server.put(letter("twin", LONG))
        assert run(who, server).downloaded == 3
        server.salt += 1
        assert run(who, server).downloaded == 0
        server.put(letter("twin", LONG))
        assert run(who, server).downloaded == 1, names
        assert here(who) == ["twin"] * 4


@pytest.mark.parametrize("delete_after", [None, 0, 7])
def test_a_lost_state_brings_nothing_twice(tmp_path: Path, delete_after: int | None) -> None:
    who, server = client(tmp_path, delete_after=None), three()
    server.put(letter("small"))
    server.put(letter("no end", LONG + "no line end"))
    run(who, server)
    who.lose_state()
    who.settings = replace(who.settings, delete_after=delete_after)
    report = run(who, server)
    assert (report.downloaded, report.recognised) == (0, 5)
    assert len(here(who)) == 5
    if delete_after == 0:
        assert server.mails == []


def test_a_second_computer_with_the_same_target_brings_nothing_twice(tmp_path: Path) -> None:
    one, two, server = client(tmp_path / "one"), client(tmp_path / "two"), three()
    two.target = one.target
    run(one, server)
    server.put(letter("four"))
    assert run(two, server).downloaded == 1
    server.put(letter("five"))
    assert run(one, server).downloaded == 1
    assert here(one) == sorted([*ALL, "five", "four"])


def test_mail_that_came_by_imap_is_recognised(tmp_path: Path) -> None:
    who, server = client(tmp_path), three()
    run(who, server)
    new = letter("four", LONG)
    who.target.put("Archive", new)
    who.target.put("INBOX", b"Received: by getmail\r\nDelivered-To: ann\r\n" + letter("five", LONG))
    server.put(new)
    server.put(letter("five", LONG))
    report = run(who, server)
    assert (report.downloaded, report.recognised) == (0, 2)
    assert len(here(who)) == 5


@pytest.mark.parametrize("top", [True, False])
@pytest.mark.parametrize("name", ["nul", "n\0l"])
def test_nul_that_imap_gives_as_another_octet_is_recognised(tmp_path: Path, name: str, top: bool) -> None:
    """IMAP cannot carry it: what a copy over it has stored has 0x80 there. And the other way round."""
    server = three(top=top)
    mail = letter(name, "a\0b" * 3000 + "\r\n")
    server.put(mail)
    who = client(tmp_path)
    who.target.put("INBOX", mail.replace(b"\0", b"\x80"))
    who.target.put("INBOX", letter(name, "a\0b" * 2999 + "a\0c\r\n"))
    report = run(who, server)
    assert (report.downloaded, report.recognised) == (3, 1)
    server.salt += 1
    who.target.boxes["INBOX"].validity += 1
    assert run(who, server).downloaded == 0
    who.lose_state()
    assert run(who, server).downloaded == 0
    assert len(who.target.boxes["INBOX"].mails) == 5


def test_only_new_messages_of_the_target_are_looked_at(tmp_path: Path) -> None:
    who, server = client(tmp_path), Server()
    for n in range(50):
        who.target.put("Archive", letter(f"old {n}"))
    server.put(letter("one"))
    run(who, server)
    assert len(who.target.read) == 50
    who.target.read.clear()
    uid = who.target.put("INBOX", letter("else"))
    server.put(letter("two"))
    run(who, server)
    assert who.target.read == [uid]


def test_a_message_that_was_moved_here_is_not_taken_for_its_twin(tmp_path: Path) -> None:
    who, server = client(tmp_path), Server()
    server.put(letter("twin", LONG))
    run(who, server)
    who.target.put("Archive", who.target.take("INBOX", 1))
    server.put(letter("twin", LONG))
    assert run(who, server).downloaded == 1
    assert here(who) == ["twin", "twin"]


def test_where_uids_are_not_told_twins_are_told_apart_all_the_same(tmp_path: Path) -> None:
    who, server = client(tmp_path), Server()
    who.target.tells = False
    server.put(letter("twin", LONG))
    run(who, server)
    server.put(letter("twin", LONG))
    assert run(who, server).downloaded == 1
    assert run(who, server).downloaded == 0
    assert here(who) == ["twin", "twin"]


def test_what_was_deleted_here_does_not_come_back(tmp_path: Path) -> None:
    who, server = client(tmp_path), three()
    run(who, server)
    who.target.take("INBOX", 2)
    server.salt += 1
    assert run(who, server).downloaded == 0
    assert len(here(who)) == 2


@pytest.mark.parametrize("names", ["good", "none"])
def test_only_new_passes_over_what_was_there(tmp_path: Path, names: Names) -> None:
    who, server = client(tmp_path, delete_after=0, only_new=True), three(names=names)
    report = run(who, server)
    assert (report.passed, report.downloaded, report.deleted) == (3, 0, 0)
    server.salt += 1
    server.put(letter("four"))
    report = run(who, server)
    assert (report.downloaded, report.deleted) == (1, 1)
    assert here(who) == ["four"]
    assert len(server.mails) == 3


WITHOUT_TOP = [("target", "good", False), ("target", "numbers", False)]
"""On another server nothing tells that a message was passed over, where its header was never seen."""


@pytest.mark.parametrize(
    ("to", "names", "top"),
    [*product(("server", "target", "both"), ("good", "numbers", "none"), (True,)), *WITHOUT_TOP],
)
def test_what_is_new_is_not_passed_over_for_a_move(tmp_path: Path, to: str, names: Names, *, top: bool) -> None:
    """A server that goes by another name, a Maildir that was moved: neither is the first meeting."""
    who, server = client(tmp_path, only_new=True), three(names=names, top=top)
    run(who, server)
    server.put(letter("four"))
    run(who, server)
    server.put(letter("five"))
    if to != "server":
        who.target.title = "elsewhere"
    if to != "target":
        who.settings = replace(who.settings, host="other.example.org")
        server.salt += 1
    report = run(who, server)
    assert (report.passed, report.downloaded) == (0, 1)
    assert here(who) == ["five", "four"]
    assert (run(who, server).downloaded, len(server.mails)) == (0, 5)


def test_large_messages_are_left_and_listed(tmp_path: Path) -> None:
    who, server = client(tmp_path, delete_after=0, largest=5000), three()
    server.put(letter("small"))
    report = run(who, server)
    assert (report.downloaded, report.deleted) == (1, 1)
    assert [(one.number, one.uidl) for one in report.left] == [(1, "a-b"), (2, "a-c"), (3, "a-d")]
    assert all("larger" in one.reason for one in report.left)
    who.settings = replace(who.settings, largest=None)
    assert run(who, server).downloaded == 3


def test_a_session_downloads_as_many_as_it_may(tmp_path: Path) -> None:
    who, server = client(tmp_path, delete_after=0, session_messages=2), three()
    report = run(who, server)
    assert (report.downloaded, report.deleted, report.remaining) == (2, 2, 1)
    assert run(who, server).remaining == 0
    assert here(who) == ALL


def test_what_the_target_refuses_stays_on_the_server(tmp_path: Path) -> None:
    who, server = client(tmp_path, delete_after=0), three()
    never, later = server.mails[0].data, server.mails[1].data
    who.target.refusing = {never: Added(0, "too strange"), later: Added(0, "over quota", temporary=True)}
    report = run(who, server)
    assert (report.downloaded, report.deleted) == (1, 1)
    assert [one.reason for one in report.left] == ["too strange", "over quota"]
    who.target.refusing = {}
    report = run(who, server)
    assert (report.downloaded, [one.reason for one in report.left]) == (1, ["too strange"])
    assert [mail.data for mail in server.mails] == [never]
    with Pop3State(who.folder / "state", who.settings.source) as state:
        state.retry_refused()  # `restante sync --retry`
    report = run(who, server)
    assert (report.downloaded, report.left) == (1, ())
    assert server.mails == []


def test_a_message_that_cannot_be_read_holds_up_no_other(tmp_path: Path) -> None:
    who, server = client(tmp_path, delete_after=0), three(refuses={b"RETR 2": b"-ERR [UTF8] not without UTF8\r\n"})
    report = run(who, server)
    assert (report.downloaded, report.deleted) == (2, 2)
    assert [(one.number, one.reason) for one in report.left] == [(2, 'the server says: "not without UTF8"')]


def test_a_message_of_which_nothing_comes_is_neither_stored_nor_deleted(tmp_path: Path) -> None:
    """A server that has lost the message's file, and says +OK."""
    who, server = client(tmp_path, delete_after=0), three()
    server.put(b"")
    lost = server.mails[1].data
    server.hollow = {lost}
    report = run(who, server)
    assert (report.downloaded, report.deleted) == (3, 3)
    assert [(one.number, one.reason) for one in report.left] == [
        (2, f"of its {len(lost)} octets the server gives none")
    ]
    assert [mail.data for mail in server.mails] == [lost]
    server.hollow = set()
    assert run(who, server).deleted == 1
    assert lost in who.target.all()


def test_a_refused_dele_is_told_and_tried_again(tmp_path: Path) -> None:
    who, server = client(tmp_path, delete_after=0), three(refuses={b"DELE 2": b"-ERR no\r\n"})
    report = run(who, server)
    assert (report.downloaded, report.deleted, len(report.left)) == (3, 2, 1)
    server.refuses.clear()
    report = run(who, server)
    assert (report.downloaded, report.deleted) == (0, 1)


def test_a_refused_quit_deletes_nothing_and_is_tried_again(tmp_path: Path) -> None:
    who, server = client(tmp_path, delete_after=0), three(refuses={b"QUIT": b"-ERR some messages not removed\r\n"})
    report = run(who, server)
    assert (report.downloaded, report.deleted, len(report.notes)) == (3, 0, 1)
    server.refuses.clear()
    report = run(who, server)
    assert (report.downloaded, report.deleted) == (0, 3)
    assert here(who) == ALL


def test_a_dry_run_changes_nothing(tmp_path: Path) -> None:
    who, server = client(tmp_path, delete_after=1), three()
    report = asyncio.run(who.fetch(server, dry_run=True))
    assert (report.downloaded, report.deleted) == (3, 0)
    assert here(who) == []
    run(who, server)
    who.later(2)
    assert asyncio.run(who.fetch(server, dry_run=True)).deleted == 3
    assert len(server.mails) == 3


def test_new_mail_is_unread_unless_asked_otherwise(tmp_path: Path) -> None:
    for seen in (False, True):
        who = client(tmp_path / str(seen), seen=seen)
        run(who, three())
        assert set(who.target.boxes["INBOX"].flags.values()) == {frozenset({"\\Seen"} if seen else ())}


def test_a_server_that_expires_mail_is_noted(tmp_path: Path) -> None:
    who, server = client(tmp_path), three(more=(b"EXPIRE 0", b"LOGIN-DELAY 900"))
    report = run(who, server)
    assert report.notes == ("This server removes mail once it was read.",)
    assert report.login_delay == 900


@pytest.mark.parametrize("lost", [True, False])
@pytest.mark.parametrize("names", ["good", "none"])
@pytest.mark.parametrize("delete_after", [0, None])
def test_an_end_at_any_step_leaves_nothing_twice_and_nothing_lost(
    tmp_path: Path, lost: bool, names: Names, delete_after: int | None
) -> None:
    expected = Counter(mail.data for mail in three().mails)
    ends: type[BaseException] = SideUnavailable if lost else Killed
    for stop in range(1, 500):
        who, server = client(tmp_path / str(stop), delete_after=delete_after), three(names=names)
        who.steps.stop, who.steps.lost = stop, lost
        try:
            run(who, server)
        except ends:
            pass
        else:
            break
        assert Counter(server.gone) <= who.target.all()
        assert who.target.all() <= expected
        who.steps.stop = None
        run(who, server)
        assert who.target.all() == expected, stop
        assert server.mails == ([] if delete_after == 0 else server.mails)
    else:
        pytest.fail("no end of steps")
    assert stop > 15


@pytest.mark.parametrize("pipelining", [True, False])
def test_what_came_before_the_loss_is_kept(tmp_path: Path, pipelining: bool) -> None:
    who, server = client(tmp_path, delete_after=0), three(pipelining=pipelining, refuses={b"RETR 3": b""})
    with pytest.raises(FetchInterrupted) as failed:
        run(who, server)
    assert failed.value.temporary
    assert (failed.value.report.downloaded, failed.value.report.deleted) == (2, 0)
    assert server.gone == []
    server.commands.clear()
    server.refuses.clear()
    assert run(who, server).deleted == 3
    assert [line for line in server.commands if line.startswith(b"RETR")] == [b"RETR 3"]


@pytest.mark.parametrize("abilities", [ALL_ABILITIES, BARE, replace(ALL_ABILITIES, sizes=False)])
def test_any_side_will_do(tmp_path: Path, abilities: Abilities) -> None:
    """The model of a side, whatever it can: nothing twice when names, states and places change."""
    who, server = client(tmp_path, mailbox="POP/Ann"), three()
    for _ in range(2):
        server.put(letter("twin", LONG))
    disk = Disk()
    disk.create("Archive")

    def held() -> Counter[bytes]:
        return Counter(one.data for box in disk.boxes.values() for one in box.messages.values())

    def once() -> Report:
        who.other = MemorySide(disk, abilities)
        return run(who, server)

    assert once().downloaded == 5
    expected = Counter(mail.data for mail in server.mails)
    assert held() == expected
    disk.move("POP/Ann", 4, "Archive")
    server.salt += 1
    server.put(letter("four", LONG))
    expected[letter("four", LONG)] += 1
    assert once().downloaded == 1
    assert held() == expected
    who.lose_state()
    assert (once().downloaded, held()) == (0, expected)
    server.put(letter("twin", LONG))
    expected[letter("twin", LONG)] += 1
    assert (once().downloaded, held()) == (1, expected)


def test_a_mailbox_that_cannot_be_looked_at_holds_up_nothing(tmp_path: Path) -> None:
    who, server, disk = client(tmp_path), three(), Disk()
    disk.create("Archive")
    side = MemorySide(disk)
    side.broken = {"Archive"}
    who.other = side
    report = run(who, server)
    assert report.downloaded == 3
    assert report.notes[0].startswith("Archive could not be looked at")


def test_a_target_that_is_lost_ends_the_run_and_nothing_else(tmp_path: Path) -> None:
    who, server, disk = client(tmp_path, delete_after=0), three(), Disk()
    side = MemorySide(disk)
    side.broken = {"INBOX"}
    who.other = side
    with pytest.raises(FetchInterrupted) as failed:
        run(who, server)
    assert failed.value.temporary
    assert server.gone == []
    side.broken = set()
    assert run(who, server).deleted == 3


def test_another_target_gets_what_it_lacks(tmp_path: Path) -> None:
    who, server = client(tmp_path, delete_after=7), three()
    run(who, server)
    old, who.target = who.target, MemoryTarget(who.steps)
    who.target.title = "another"
    who.target.put("Archive", server.mails[0].data)
    who.later(8)
    report = run(who, server)
    assert (report.downloaded, report.recognised, report.deleted) == (2, 1, 0)
    assert who.target.all() == old.all()


def test_nothing_is_deleted_while_the_target_is_out_of_reach(tmp_path: Path) -> None:
    who, server, disk = client(tmp_path, delete_after=7), three(), Disk()
    side = MemorySide(disk)
    who.other = side
    run(who, server)
    who.later(8)
    side.down = True
    with pytest.raises(FetchInterrupted):
        run(who, server)
    assert len(server.mails) == 3
    side.down = False
    assert run(who, server).deleted == 3


def test_identities_survive_what_servers_and_programs_do() -> None:
    whole = letter("x", "body\r\n")
    base = of_message(whole)
    for other in (
        b"Status: RO\r\nX-UIDL: abc\r\n" + whole,
        whole.replace(b"\r\n", b"\n"),
        whole + b"\r\n",
        whole.replace(b"\r\n\r\n", b"\r\nX-Keywords: a\r\n b\r\nContent-Length: 6\r\n\r\n", 1),
    ):
        same = of_message(other)
        assert (same.head, same.core, same.body, same.mark) == (base.head, base.core, base.body, base.mark)
    moved = of_message(b"Return-Path: <a>\r\nReceived: from x\r\n\tby y; z\r\n" + whole)
    assert moved.head != base.head
    assert (moved.core, moved.body) == (base.core, base.body)
    assert of_message(whole.replace(b"body", b"bodY")).body != base.body
    head = of_header(whole.partition(b"body")[0])
    assert (head.head, head.core, head.octets) == (base.head, base.core, len(whole) - 6)
