"""A large mailbox is listed in pages where the server has PARTIAL (RFC 9394): a connection that ends costs one page."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from restante.sync.model import Changes
from restante.sync.remote import RemoteSide, Settings
from restante.sync.remote import changes as changing
from restante.sync.remote.errors import Lost
from restante.sync.side import MailboxUnavailable
from restante.testing.server import RestanteServer

from .remote_script import Bare, Script, Session
from .remote_support import PASSWORD, restante, secret
from .scripted import on

PAGES = re.compile(rb"(UID FETCH 1:(?:\*|[0-9]+) \(FLAGS\)) \(PARTIAL -1:-([0-9]+)\)\Z")


class Paged(Bare):
    """Has PARTIAL. acts: before the page of that number (from 1) something happens, or the connection ends (None)."""

    offers = b" PARTIAL"

    def __init__(self, messages: int = 10) -> None:
        super().__init__()
        self.next[b"INBOX"] = 5
        for number in range(messages):
            uid = self.put(b"INBOX", b"Subject: %d\r\n\r\nx\r\n" % number, *([b"\\Seen"] if number % 3 else []))
            if number % 4 == 0:
                self.next[b"INBOX"] = uid + 3
        self.acts: dict[int, Callable[[Session], bytes | None]] = {}
        self.pages = 0

    def do_uid_fetch(self, session: Session, rest: bytes) -> bytes | None:  # type: ignore[override]  # ends it
        found = PAGES.match(b"UID FETCH " + rest)
        if found is None:
            return super().do_uid_fetch(session, rest)
        self.pages += 1
        act, said = self.acts.pop(self.pages, None), b""
        if act is not None:
            done = act(session)
            if done is None:
                return None
            said = done
        lines = super().do_uid_fetch(session, found[1].removeprefix(b"UID FETCH ")).splitlines(keepends=True)
        return said + b"".join(lines[-int(found[2]) :])

    def do_select(self, session: Session, rest: bytes) -> bytes:
        return (
            super()
            .do_select(session, rest)
            .replace(b"OK [READ", b"* OK [UIDNEXT %d] x\r\nOK [READ" % self.next[b"INBOX"])
        )


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(changing, "PAGE", 3)


async def all_of(side: RemoteSide, script: Script) -> tuple[Changes, list[bytes]]:
    await side.places()
    return await side.changes("INBOX", None), [line for line in script.log if line.startswith(b"UID FETCH")]


def listed(bare: Paged) -> tuple[Changes, list[bytes]]:
    return on(bare, all_of, Settings(connections=2))


def whole(bare: Paged) -> dict[int, frozenset[str]]:
    return {uid: frozenset(flag.decode() for flag in flags) for uid, (flags, _) in bare.boxes[b"INBOX"].items()}


def as_dict(changes: Changes) -> dict[int, frozenset[str]]:
    assert list(changes.uids) == sorted(set(changes.uids))
    return dict(zip(changes.uids, changes.flags, strict=True))


@pytest.mark.parametrize("messages", [0, 1, 3, 4, 6, 7, 10])
def test_all_are_listed_in_pages_that_end_below_one_another(messages: int) -> None:
    bare = Paged(messages)
    changes, asked = listed(bare)
    assert changes.full
    assert as_dict(changes) == whole(bare)
    if messages <= 3:
        assert not any(b"PARTIAL" in line for line in asked)
        return
    uids = sorted(bare.boxes[b"INBOX"])
    tops = [b"*", *(b"%d" % (uids[-number] - 1) for number in range(3, messages + 1, 3))]
    assert asked == [b"UID FETCH 1:%b (FLAGS) (PARTIAL -1:-3)" % top for top in tops]


def test_a_server_without_it_is_not_asked_for_pages() -> None:
    bare = Paged()
    bare.offers = b""
    changes, asked = listed(bare)
    assert (as_dict(changes), asked) == (whole(bare), [b"UID FETCH 1:* (FLAGS)"])


def test_a_page_is_no_longer_than_a_command_may_be() -> None:
    bare = Paged()
    bare.offers = b" PARTIAL MESSAGELIMIT=2"
    changes, asked = listed(bare)
    assert as_dict(changes) == whole(bare)
    assert asked[0].endswith(b"(PARTIAL -1:-2)")


@pytest.mark.parametrize("page", [2, 3, 4])
def test_a_connection_that_ends_costs_a_page_and_not_the_list(page: int) -> None:
    bare = Paged()
    bare.acts[page] = lambda session: None
    changes, asked = listed(bare)
    assert as_dict(changes) == whole(bare)
    assert len(asked) == len(set(asked)) + 1


def test_where_nothing_comes_the_connection_is_lost_as_ever() -> None:
    for page in (1, 2):
        bare = Paged()
        bare.acts = {page: lambda session: None, page + 1: lambda session: None}
        with pytest.raises(Lost):
            listed(bare)


def test_what_comes_and_goes_meanwhile_is_left_for_the_next_time() -> None:
    bare = Paged()
    uids = sorted(bare.boxes[b"INBOX"])

    def edit(session: Session) -> bytes:
        bare.put(b"INBOX", b"Subject: new\r\n\r\nx\r\n")
        del bare.boxes[b"INBOX"][uids[-1]]  # in the first page
        del bare.boxes[b"INBOX"][uids[-4]]  # in the second
        return b"* 11 EXISTS\r\n* 10 EXPUNGE\r\n* 7 EXPUNGE\r\n"

    bare.acts[2] = edit
    changes, _ = listed(bare)
    assert list(changes.uids) == [uid for uid in uids if uid != uids[-4]]


@pytest.mark.parametrize("then", ["goes", "comes", "renumbered"])
def test_between_two_connections_things_happen(then: str) -> None:
    bare = Paged()
    before = whole(bare)
    uids = sorted(before)

    def edit(session: Session) -> None:
        if then == "goes":
            del bare.boxes[b"INBOX"][uids[-1]]
            del bare.boxes[b"INBOX"][uids[0]]
        elif then == "comes":
            for _ in range(4):
                bare.put(b"INBOX", b"Subject: new\r\n\r\nx\r\n")
        else:
            bare.validity[b"INBOX"] += 1

    bare.acts[2] = edit
    if then == "renumbered":
        with pytest.raises(MailboxUnavailable, match="anew"):
            listed(bare)
        return
    changes, _ = listed(bare)
    assert list(changes.uids) == (uids[1:] if then == "goes" else uids)


def test_a_flag_of_a_message_below_the_page_is_none_of_it() -> None:
    """A server may tell of other messages at any time: the page does not end there."""
    bare = Paged()
    low = min(bare.boxes[b"INBOX"])
    bare.acts[1] = lambda session: b"* 1 FETCH (UID %d FLAGS ())\r\n" % low
    changes, _ = listed(bare)
    assert as_dict(changes) == whole(bare)


def test_a_list_that_is_too_short_is_not_believed() -> None:
    bare = Paged()
    low = min(bare.boxes[b"INBOX"])

    class Short(Paged):
        def named(self, session: Session, numbers: bytes) -> list[int]:
            return [uid for uid in super().named(session, numbers) if uid != low]

    with pytest.raises(MailboxUnavailable, match="fewer messages"):
        listed(Short())


@pytest.mark.parametrize("offers", [b" PARTIAL", b""], ids=["pages", "at-once"])
def test_what_comes_meanwhile_does_not_stand_for_what_lacks(offers: bytes) -> None:
    """A new message that is told of while the list is read is none of those that the server said there are."""
    bare = Paged()
    low = min(bare.boxes[b"INBOX"])

    class Short(Paged):
        def named(self, session: Session, numbers: bytes) -> list[int]:
            return [uid for uid in super().named(session, numbers) if uid != low]

        def do_uid_fetch(self, session: Session, rest: bytes) -> bytes:
            new = b"" if self.pages else self.news()
            return new + (super().do_uid_fetch(session, rest) or b"")

        def news(self) -> bytes:
            self.pages += 1
            uid = self.put(b"INBOX", b"Subject: new\r\n\r\nx\r\n")
            return b"* 11 EXISTS\r\n* 11 FETCH (UID %d FLAGS ())\r\n" % uid

    short = Short()
    short.offers = offers
    with pytest.raises(MailboxUnavailable, match="fewer messages"):
        listed(short)


def test_on_a_real_server_pages_make_the_same_list(tmp_path_factory: pytest.TempPathFactory) -> None:
    import asyncio

    user = "anna@example.org"

    async def look(server: RestanteServer, without: frozenset[str]) -> Changes:
        side = RemoteSide(restante(server, user), secret, Settings(without=without))
        try:
            await side.open()
            await side.places()
            return await side.changes("INBOX", None)
        finally:
            await side.close()

    with RestanteServer(tmp_path_factory.mktemp("server")) as server:
        server.add_account(user, PASSWORD)
        for number in range(11):
            server.put(user, b"Subject: %d\r\n\r\nx\r\n" % number, flags=["\\Seen"] if number % 2 else ["$Work"])
        pages, one = (asyncio.run(look(server, without)) for without in (frozenset[str](), frozenset({"PARTIAL"})))
    assert len(pages.uids) == 11
    assert as_dict(pages) == as_dict(one)
    assert pages.cursor == one.cursor
