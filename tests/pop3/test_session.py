"""POP3 sessions as transcripts, over the small store in memory."""

from __future__ import annotations

import asyncio
import errno
import os
import threading
from base64 import b64encode
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from restante.config.model import LimitsTable, Pop3Table
from restante.connection import ServerStopping
from restante.mime.model import Part
from restante.mime.surrogate import surrogate
from restante.pop3.commands import retrieval
from restante.pop3.logins import LoginTimes
from restante.store.directory import AccountSettings
from restante.store.errors import Busy, CannotChangeMailbox, DiskFull, StoreFailed
from restante.store.model import Pop3Delete
from restante.testing.memory import MemoryConnection
from tests.delivery.fakes import failing

from .harness import LOGIN, USER, Pop3, answers, settle, unstuffed

ONE = b"Subject: one\r\n\r\n" + b"x" * 102 + b"\r\n"  # 120 octets, as in RFC 1939's examples
TWO = b"Subject: two\r\n\r\n" + b"y" * 182 + b"\r\n"  # 200 octets
PLAIN = b64encode(b"\0" + USER + b"\0tanstaaf")


def logged_in(talk: bytes) -> bytes:
    """The answers behind those to USER and PASS."""
    user, passed, rest = talk.split(b"\r\n", 2)
    assert user.startswith(b"+OK")
    assert passed.startswith(b"+OK"), passed
    return rest


def multi(data: bytes) -> tuple[bytes, bytes, bytes]:
    """(first line, lines behind it, what follows the terminator) of an answer of several lines."""
    first, _, rest = data.partition(b"\r\n")
    assert first.startswith(b"+OK"), first
    if rest.startswith(b".\r\n"):
        return first, b"", rest[3:]
    body, found, rest = rest.partition(b"\r\n.\r\n")
    assert found
    return first, body + b"\r\n", rest


# RFC 1939 ------------------------------------------------------------------------------------------------------


def test_rfc1939_example_session() -> None:
    """RFC 1939 10, with PASS for APOP."""
    pop = Pop3(ONE, TWO)
    talk = logged_in(
        pop.talk(
            LOGIN, b"STAT\r\n", b"LIST\r\n", b"RETR 1\r\n", b"DELE 1\r\n", b"RETR 2\r\n", b"DELE 2\r\n", b"QUIT\r\n"
        )
    )
    assert talk.startswith(b"+OK 2 320\r\n")
    _, listed, talk = multi(talk.removeprefix(b"+OK 2 320\r\n"))
    assert listed == b"1 120\r\n2 200\r\n"
    first, message, talk = multi(talk)
    assert (first, message) == (b"+OK 120 octets", ONE)
    assert talk.startswith(b"+OK")
    first, message, talk = multi(talk.split(b"\r\n", 1)[1])
    assert (first, message) == (b"+OK 200 octets", TWO)
    assert [a[:3] for a in answers(talk)] == [b"+OK", b"+OK"]
    assert pop.store.boxes["INBOX"] == []


STEPS = [
    pytest.param(b"STAT\r\n", [b"+OK 2 320"], id="rfc1939-5-stat"),
    pytest.param(b"LIST\r\n", [b"+OK 2 messages (320 octets).", b"1 120", b"2 200", b"."], id="rfc1939-5-list-of-all"),
    pytest.param(b"RETR 1\r\n", [b"+OK 120 octets", b"Subject: one", b"", b"x" * 102, b"."], id="rfc1939-5-retr"),
    pytest.param(b"RETR 3\r\n", [b"-ERR No such message."], id="rfc1939-5-retr-none"),
    pytest.param(
        b"DELE 1\r\nRSET\r\nSTAT\r\n",
        [b"+OK Message 1 marked.", b"+OK 2 messages (320 octets).", b"+OK 2 320"],
        id="rfc1939-5-rset",
    ),
    pytest.param(b"TOP 1 10\r\n", [b"+OK", b"Subject: one", b"", b"x" * 102, b"."], id="rfc1939-7-top"),
    pytest.param(b"TOP 100 3\r\n", [b"-ERR No such message."], id="rfc1939-7-top-none"),
    pytest.param(
        b"UIDL\r\n", [b"+OK Unique-id listing follows.", b"1 m001", b"2 m002", b"."], id="rfc1939-7-uidl-of-all"
    ),
    pytest.param(b"QUIT\r\n", [b"+OK Bye."], id="rfc1939-6-quit"),
    pytest.param(
        b"DELE 2\r\nDELE 1\r\nQUIT\r\n",
        [b"+OK Message 2 marked.", b"+OK Message 1 marked.", b"+OK Bye."],
        id="rfc1939-6-quit-of-an-empty-maildrop",
    ),
    pytest.param(b"LIST 2\r\n", [b"+OK 2 200"], id="rfc1939-5-list-one"),
    pytest.param(b"LIST 3\r\n", [b"-ERR No such message."], id="rfc1939-5-list-none"),
    pytest.param(b"UIDL 2\r\n", [b"+OK 2 m002"], id="rfc1939-7-uidl-one"),
    pytest.param(b"UIDL 3\r\n", [b"-ERR No such message."], id="rfc1939-7-uidl-none"),
    pytest.param(b"NOOP\r\n", [b"+OK"], id="rfc1939-5-noop"),
    pytest.param(
        b"DELE 1\r\nDELE 1\r\n", [b"+OK Message 1 marked.", b"-ERR No such message."], id="rfc1939-5-dele-twice"
    ),
    pytest.param(b"DELE 1\r\nRETR 1\r\n", [b"+OK Message 1 marked.", b"-ERR No such message."], id="retr-of-marked"),
    pytest.param(b"DELE 1\r\nTOP 1 0\r\n", [b"+OK Message 1 marked.", b"-ERR No such message."], id="top-of-marked"),
    pytest.param(b"DELE 1\r\nSTAT\r\n", [b"+OK Message 1 marked.", b"+OK 1 200"], id="stat-leaves-out-marked"),
    pytest.param(b"USER x\r\n", [b"-ERR This command is for before login."], id="rfc1939-4-user-after-login"),
    pytest.param(b"UTF8\r\n", [b"-ERR This command is for before login."], id="rfc6856-2-utf8-after-login"),
    pytest.param(b"STLS\r\n", [b"-ERR This command is for before login."], id="rfc2595-4-stls-after-login"),
    pytest.param(b"LANG\r\n", [b"+OK Language listing follows:", b"en English", b"."], id="rfc6856-3.3-listing"),
    pytest.param(b"LANG MUL\r\n", [b"-ERR No such language here."], id="rfc6856-3.3-mul"),
    pytest.param(b"LANG *\r\n", [b"+OK en English it is."], id="rfc6856-3.3-star"),
    # English is all there is: what the RFC's server says in Spanish and Swedish is refused, and stays English
    pytest.param(
        b"LANG es\r\nLANG uga\r\nLANG sv\r\nLANG EN\r\n",
        [b"-ERR No such language here."] * 3 + [b"+OK en English it is."],
        id="rfc6856-3.3-others",
    ),
    pytest.param(b"APOP a b\r\n", [b"-ERR Unknown command."], id="apop-not-offered"),
]


@pytest.mark.parametrize(("commands", "expected"), STEPS)
def test_step(commands: bytes, expected: list[bytes]) -> None:
    assert answers(logged_in(Pop3(ONE, TWO).talk(LOGIN, commands))) == expected


@pytest.mark.parametrize(
    ("commands", "expected"),
    [
        pytest.param(b"QUIT\r\n", [b"+OK Bye."], id="rfc1939-4-quit"),
        # who has a mailbox here is not told by USER
        pytest.param(b"USER frated\r\n" * 2, [b"+OK Send the password."] * 2, id="rfc1939-7-user"),
        pytest.param(b"USER mrose@example.org\r\n", [b"+OK Send the password."], id="rfc1939-7-user-known"),
        pytest.param(LOGIN, [b"+OK Send the password.", b"+OK 2 messages (320 octets)."], id="rfc1939-7-pass"),
        pytest.param(b"PASS tanstaaf\r\n", [b"-ERR USER comes first."], id="rfc1939-7-pass-alone"),
        pytest.param(b"LANG MUL\r\nLANG\r\n", [b"-ERR No such language here.", b"+OK Language listing follows:",
                     b"en English", b"."], id="rfc6856-3.3-before-login"),
    ],
)  # fmt: skip
def test_step_before_login(commands: bytes, expected: list[bytes]) -> None:
    assert answers(Pop3(ONE, TWO).talk(commands)) == expected


@pytest.mark.parametrize("command", [b"STAT", b"LIST", b"RETR 1", b"DELE 1", b"TOP 1 0", b"UIDL", b"RSET", b"NOOP"])
def test_nothing_of_the_maildrop_before_login(command: bytes) -> None:
    assert Pop3(ONE).talk(command + b"\r\n") == b"-ERR Log in first.\r\n"


def test_list_and_uidl_leave_out_marked_and_numbers_stay() -> None:
    pop = Pop3(ONE, TWO, ONE)
    talk = logged_in(pop.talk(LOGIN, b"DELE 2\r\nLIST\r\nUIDL\r\nRSET\r\nLIST\r\n"))
    assert answers(talk)[2:5] == [b"1 120", b"3 120", b"."]
    assert answers(talk)[6:9] == [b"1 m001", b"3 m003", b"."]
    assert answers(talk)[11:] == [b"1 120", b"2 200", b"3 120", b"."]


def test_numbers_stay_when_others_change_inbox_meanwhile() -> None:
    pop = Pop3(ONE, TWO)

    def expunge_and_deliver() -> None:
        del pop.store.boxes["INBOX"][0]
        pop.store.add(ONE)

    talk = logged_in(pop.talk(LOGIN, expunge_and_deliver, b"STAT\r\n", b"RETR 1\r\n", b"LIST\r\n"))
    assert talk.startswith(b"+OK 2 320\r\n")
    _, message, talk = multi(talk.split(b"\r\n", 1)[1])
    assert message == ONE
    assert answers(talk)[1:] == [b"1 120", b"2 200", b"."]


def test_dele_takes_effect_at_quit_alone() -> None:
    pop = Pop3(ONE, TWO)
    pop.talk(LOGIN, b"DELE 1\r\nDELE 2\r\n")  # the connection ends without QUIT
    assert len(pop.store.boxes["INBOX"]) == 2
    pop.talk(LOGIN, b"DELE 1\r\nRSET\r\nDELE 2\r\nQUIT\r\n")
    assert [k.uid for k in pop.store.boxes["INBOX"]] == [1]


def test_quit_is_answered_after_the_commit() -> None:
    pop = Pop3(ONE)

    async def play() -> None:
        connection = MemoryConnection()
        reached, go = asyncio.Event(), asyncio.Event()
        finish = pop.store.finish_maildrop

        async def slow(*args: object, **kwargs: object) -> None:
            reached.set()
            await go.wait()
            await finish(*args, **kwargs)  # type: ignore[arg-type]  # handed on as they came

        pop.store.finish_maildrop = slow  # type: ignore[method-assign]  # the commit, made slow
        task = asyncio.create_task(pop.session(connection).run())
        connection.feed(LOGIN + b"DELE 1\r\nQUIT\r\n")
        await asyncio.wait_for(reached.wait(), 5)
        await settle(connection)
        assert connection.take().endswith(b"marked.\r\n")
        go.set()
        await asyncio.wait_for(task, 5)
        assert connection.take() == b"+OK Bye.\r\n"

    asyncio.run(play())


@pytest.mark.parametrize(
    ("refusal", "code"), [(Busy("busy"), b"[SYS/TEMP]"), (DiskFull("full"), b"[SYS/TEMP]")], ids=["busy", "disk-full"]
)
def test_failed_commit_is_told_and_removes_nothing(refusal: Busy | DiskFull, code: bytes) -> None:
    pop = Pop3(ONE)
    with failing(pop.store, "finish_maildrop", refusal):
        talk = pop.talk(LOGIN, b"DELE 1\r\nQUIT\r\n")
    assert answers(talk)[-1] == b"-ERR " + code + b" Nothing was removed."
    assert len(pop.store.boxes["INBOX"]) == 1
    assert not pop.store.locked


def test_quit_without_work_commits_nothing() -> None:
    pop = Pop3(ONE)
    assert answers(pop.talk(LOGIN, b"STAT\r\nQUIT\r\n"))[-1] == b"+OK Bye."
    assert pop.store.finished == []


@pytest.mark.parametrize(
    "message",
    [ONE, b"A: b\r\n\r\nno end", b"A: b\r\n\r\n.\r\n..\r\nx\n.z\r\n.y\r.\r\n", b"", b".", b"A: \0\r\n\r\n\0\0"],
)
def test_list_tells_what_retr_sends(message: bytes) -> None:
    talk = logged_in(Pop3(message).talk(LOGIN, b"LIST 1\r\n", b"RETR 1\r\n"))
    listed, _, answer = talk.partition(b"\r\n")
    first, sent, rest = multi(answer)
    assert rest == b""
    sent = unstuffed(sent)
    assert listed == b"+OK 1 %d" % len(sent)
    assert first == b"+OK %d octets" % len(sent)
    assert sent == (message if message.endswith(b"\r\n") else message + b"\r\n")


def test_large_message_is_streamed_whole() -> None:
    message = b"A: b\r\n\r\n" + b".\r\nline\r\n" * 300_000 + b"end"
    talk = logged_in(Pop3(message).talk(LOGIN, b"RETR 1\r\nTOP 1 2\r\nTOP 1 20000\r\nNOOP\r\n"))
    first, sent, rest = multi(talk)
    assert first == b"+OK %d octets" % (len(message) + 2)
    assert unstuffed(sent) == message + b"\r\n"
    _, top, rest = multi(rest)
    assert unstuffed(top) == b"A: b\r\n\r\n.\r\nline\r\n"
    _, top, rest = multi(rest)
    assert unstuffed(top) == b"A: b\r\n\r\n" + b".\r\nline\r\n" * 10_000
    assert rest == b"+OK\r\n"


@pytest.mark.parametrize("large", [False, True])
def test_surrogate_without_utf8_and_the_message_itself_with_it(monkeypatch: pytest.MonkeyPatch, large: bool) -> None:
    """That of a large one is made on a thread: fields of a megabyte take half a second."""
    made: list[bool] = []

    def noted(data: bytes, root: Part) -> bytes:
        made.append(threading.current_thread() is threading.main_thread())
        return surrogate(data, root)

    monkeypatch.setattr(retrieval, "surrogate", noted)
    monkeypatch.setattr(retrieval, "SURROGATE_AT_ONCE", 0 if large else 1_000)
    message = "Subject: Grüße\r\nFrom: <a@b.example>\r\n\r\nTschüß\r\n".encode()
    pop = Pop3(message)
    talk = logged_in(pop.talk(LOGIN, b"LIST 1\r\nTOP 1 0\r\nRETR 1\r\n"))
    listed, _, rest = talk.partition(b"\r\n")
    _, top, rest = multi(rest)
    _, sent, _ = multi(rest)
    header, _, body = sent.partition(b"\r\n\r\n")
    assert header.isascii()
    assert top == header + b"\r\n\r\n"
    assert body == "Tschüß\r\n".encode()
    assert listed == b"+OK 1 %d" % len(sent)
    talk = pop.talk(b"UTF8\r\n" + LOGIN, b"LIST 1\r\nRETR 1\r\n")
    assert answers(talk)[3] == b"+OK 1 %d" % len(message)
    assert message in talk
    assert made == [not large, not large]


def test_pipelined_retr_are_answered_by_one_read() -> None:
    pop = Pop3(*[ONE] * 50)
    talk = logged_in(pop.talk(LOGIN, b"".join(b"RETR %d\r\n" % n for n in range(1, 52)) + b"NOOP\r\n"))
    for _ in range(50):
        _, message, talk = multi(talk)
        assert message == ONE
    assert answers(talk) == [b"-ERR No such message.", b"+OK"]
    assert pop.store.reads == 1


def test_one_unreadable_message_costs_its_own_answer_alone() -> None:
    pop = Pop3(ONE, TWO, ONE)
    with failing(pop.store, "read 2", StoreFailed("bad block")):
        talk = logged_in(pop.talk(LOGIN, b"RETR 1\r\nRETR 2\r\nRETR 3\r\nQUIT\r\n"))
    _, first, talk = multi(talk)
    refused, _, talk = talk.partition(b"\r\n")
    _, third, talk = multi(talk)
    assert (first, third, answers(talk)) == (ONE, ONE, [b"+OK Bye."])
    assert refused.startswith(b"-ERR [SYS/TEMP]")
    assert pop.store.finished[0].retrieved == ((1, 1), (3, 3))


def test_message_that_breaks_off_ends_the_connection_without_terminator() -> None:
    message = b"A: b\r\n\r\n" + b"x" * 2_000_000
    pop = Pop3(message)
    with failing(pop.store, "stream 1 later", StoreFailed("bad block")):
        talk = logged_in(pop.talk(LOGIN, b"RETR 1\r\nNOOP\r\n"))
    first, sent = talk.split(b"\r\n", 1)
    assert first == b"+OK 2000010 octets"
    assert message.startswith(sent)  # nothing that could be taken for an end, an error or the next answer
    assert len(sent) == 100_000
    assert pop.store.finished == []
    assert not pop.store.locked


# What the account chose ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", list(Pop3Delete))
def test_dele_does_what_the_account_chose(how: Pop3Delete) -> None:
    pop = Pop3(ONE, TWO)
    pop.engine.add(USER.decode(), settings=AccountSettings(pop3_delete=how.value))
    pop.talk(LOGIN, b"DELE 1\r\nQUIT\r\n")
    assert pop.store.finished[0].how is how
    assert len(pop.store.boxes["INBOX"]) == (2 if how is Pop3Delete.KEEP else 1)
    assert len(pop.store.boxes.get("Trash", [])) == (1 if how is Pop3Delete.TRASH else 0)
    assert answers(logged_in(pop.talk(LOGIN, b"UIDL\r\n")))[1:] == [b"1 m002", b"."]


@pytest.mark.parametrize(
    ("config", "account", "seen"), [(True, None, True), (False, None, False), (True, False, False), (False, True, True)]
)
def test_seen_is_set_in_one_change_at_quit_as_chosen(config: bool, account: bool | None, seen: bool) -> None:
    pop = Pop3(ONE, TWO, config=Pop3Table(seen=config))
    pop.engine.add(USER.decode(), settings=AccountSettings(pop3_seen=account))
    pop.talk(LOGIN, b"RETR 1\r\nRETR 2\r\nTOP 1 0\r\nQUIT\r\n")
    assert [(f.retrieved, f.mark_seen) for f in pop.store.finished] == [(((1, 2),), seen)]


def test_top_retrieves_nothing() -> None:
    pop = Pop3(ONE)
    pop.talk(LOGIN, b"TOP 1 100\r\nQUIT\r\n")
    assert pop.store.finished == []


def test_lost_connection_notes_what_was_retrieved_and_removes_nothing() -> None:
    pop = Pop3(ONE, TWO)
    pop.talk(LOGIN, b"RETR 1\r\nDELE 1\r\n")
    assert [(f.delete, f.retrieved) for f in pop.store.finished] == [((), ((1, 1),))]
    assert len(pop.store.boxes["INBOX"]) == 2


def test_leave_on_server_for_days_moves_to_trash_only_what_pop3_retrieved() -> None:
    pop = Pop3(ONE, TWO, config=Pop3Table(leave_days=2))
    pop.talk(LOGIN, b"RETR 1\r\nQUIT\r\n")
    pop.engine.clock.advance(2 * 86_400)
    assert b"+OK 2 320\r\n" in pop.talk(LOGIN, b"STAT\r\n")
    pop.engine.clock.advance(1)
    assert b"+OK 1 200\r\n" in pop.talk(LOGIN, b"STAT\r\n")
    assert [k.data for k in pop.store.boxes["Trash"]] == [ONE]


def test_expire_0_removes_at_quit_and_not_at_loss() -> None:
    pop = Pop3(ONE, TWO, config=Pop3Table(leave_days=0))
    pop.talk(LOGIN, b"RETR 1\r\n")
    assert pop.store.finished == []
    assert len(pop.store.boxes["INBOX"]) == 2
    pop.talk(LOGIN, b"RETR 1\r\nQUIT\r\n")
    assert [k.data for k in pop.store.boxes["Trash"]] == [ONE]


def test_what_a_lost_connection_may_not_have_brought_is_removed_on_no_day() -> None:
    """The octets may have come no further than this machine's buffers (RFC 1939 6: nothing is removed without QUIT)."""
    pop = Pop3(ONE, TWO, config=Pop3Table(leave_days=2))
    pop.talk(LOGIN, b"RETR 1\r\n")
    pop.engine.clock.advance(2 * 86_400 + 1)
    assert b"+OK 2 320\r\n" in pop.talk(LOGIN, b"STAT\r\n")


@pytest.mark.parametrize(
    ("smallest", "config", "own", "before", "after"),
    [
        (-1, -1, None, b"EXPIRE NEVER USER", b"EXPIRE NEVER"),
        (5, -1, None, b"EXPIRE 5 USER", b"EXPIRE NEVER"),
        (0, 30, 7, b"EXPIRE 0 USER", b"EXPIRE 7"),
        (5, 30, None, b"EXPIRE 5 USER", b"EXPIRE 30"),
    ],
)
def test_rfc2449_6_7_expire(smallest: int, config: int, own: int | None, before: bytes, after: bytes) -> None:
    pop = Pop3(ONE, config=Pop3Table(leave_days=config))
    pop.engine.directory.smallest = smallest
    pop.engine.add(USER.decode(), settings=AccountSettings(pop3_leave_days=own))
    talk = pop.talk(b"CAPA\r\nCAPA\r\n" + LOGIN + b"CAPA\r\n")
    assert [line for line in answers(talk) if line.startswith(b"EXPIRE")] == [before, before, after]
    assert pop.engine.directory.asked_smallest == [config]


# CAPA, TLS, login ----------------------------------------------------------------------------------------------


def capabilities(pop: Pop3, **kind: bool) -> set[bytes]:
    _, lines, _ = multi(pop.talk(b"CAPA\r\n", **kind))
    return set(answers(lines))


def test_rfc2449_5_capabilities() -> None:
    pop = Pop3(config=Pop3Table(login_delay=60))
    both = {b"TOP", b"UIDL", b"PIPELINING", b"RESP-CODES", b"AUTH-RESP-CODE", b"LOGIN-DELAY 60", b"UTF8 USER", b"LANG"}
    both |= {b"IMPLEMENTATION Restante", b"EXPIRE NEVER USER"}
    assert capabilities(pop) == both | {b"USER", b"SASL X-CHEER PLAIN", b"STLS"}
    assert capabilities(pop, loopback=False) == both | {b"SASL X-CHEER", b"STLS"}
    assert capabilities(pop, loopback=False, secure=True) == both | {b"USER", b"SASL X-CHEER PLAIN"}


@pytest.mark.parametrize("kind", [{}, {"secure": True}, {"loopback": False, "secure": True}], ids=str)
def test_rfc2449_5_what_is_announced_before_login_is_afterwards(kind: dict[str, bool]) -> None:
    """But for the days that mail is left, which are the account's own (6.7)."""
    pop = Pop3(config=Pop3Table(login_delay=60))
    _, before, talk = multi(pop.talk(b"CAPA\r\n" + LOGIN + b"CAPA\r\n", **kind))
    _, after, _ = multi(logged_in(talk))
    assert before.startswith(b"TOP\r\n")
    assert after == before.replace(b"EXPIRE NEVER USER\r\n", b"EXPIRE NEVER\r\n")


def test_passwords_need_tls_unless_on_loopback() -> None:
    pop = Pop3(ONE)
    talk = pop.talk(LOGIN, b"AUTH PLAIN " + PLAIN + b"\r\n", loopback=False)
    assert [a.startswith(b"-ERR") for a in answers(talk)] == [True, True, True]
    assert pop.authenticator.peers == []


def test_stls_throws_away_what_was_pipelined_behind_it() -> None:
    pop = Pop3(ONE)
    talk = pop.talk(b"STLS\r\n" + LOGIN, b"CAPA\r\n", loopback=False)
    assert talk.startswith(b"+OK Begin TLS.\r\n+OK Capability")
    assert pop.connection.started_tls == 1
    assert pop.authenticator.peers == []
    talk = pop.talk(b"USER " + USER + b"\r\n", b"STLS\r\n", b"PASS tanstaaf\r\n")
    assert answers(talk)[-1] == b"-ERR USER comes first."
    assert pop.talk(b"STLS\r\n", b"STLS\r\n").endswith(b"-ERR TLS is on already.\r\n")
    assert pop.talk(b"UTF8\r\nSTLS\r\n").endswith(b"-ERR STLS comes before UTF8.\r\n")


AUTHS = [
    pytest.param([b"AUTH PLAIN " + PLAIN + b"\r\n"], [b"+OK"], id="rfc5034-4-initial-response"),
    pytest.param([b"AUTH PLAIN\r\n", PLAIN + b"\r\n"], [b"+ ", b"+OK"], id="rfc5034-4-no-initial-response"),
    pytest.param([b"AUTH PLAIN\r\n" + PLAIN + b"\r\n"], [b"+ ", b"+OK"], id="pipelined"),
    pytest.param([b"AUTH PLAIN\r\n", b"*\r\n"], [b"+ ", b"-ERR AUTH given up."], id="rfc5034-4-cancelled"),
    pytest.param([b"AUTH PLAIN\r\n", b"no base64\r\n"], [b"+ ", b"-ERR The response"], id="not-base64"),
    pytest.param([b"AUTH PLAIN\r\n", b"A" * 20_000 + b"\r\n"], [b"+ ", b"-ERR The response"], id="too-long"),
    pytest.param([b"AUTH NOTHING\r\n"], [b"-ERR No such mechanism here."], id="unknown-mechanism"),
    pytest.param(
        [b"AUTH X-CHEER\r\n", b64encode(b"response") + b"\r\n", b"\r\n"],
        [b"+ Y2hhbGxlbmdl", b"+ dj1maW5hbA==", b"+OK"],
        id="rfc5034-4-three-turns",
    ),
    pytest.param(
        [b"AUTH X-CHEER\r\n", b64encode(b"wrong") + b"\r\n"],
        [b"+ Y2hhbGxlbmdl", b"-ERR [AUTH] Authentication failed."],
        id="rfc3206-auth",
    ),
]


@pytest.mark.parametrize(("sent", "expected"), AUTHS)
def test_auth(sent: list[bytes], expected: list[bytes]) -> None:
    got = answers(Pop3(ONE).talk(*sent))
    assert len(got) == len(expected)
    assert all(g.startswith(e) for g, e in zip(got, expected, strict=True)), got


def test_wrong_password_and_unavailable_check_are_told_apart() -> None:
    pop = Pop3(ONE)
    wrong = b"USER " + USER + b"\r\nPASS nothing\r\n"
    assert answers(pop.talk(wrong))[1] == b"-ERR [AUTH] Authentication failed."
    assert answers(pop.talk(wrong, LOGIN))[-1].startswith(b"+OK 1 messages")
    pop.authenticator.unavailable = True
    assert answers(pop.talk(LOGIN))[1].startswith(b"-ERR [SYS/TEMP]")


def test_names_and_passwords_are_utf8() -> None:
    pop = Pop3(ONE)
    talk = pop.talk("USER mrose@example.org\r\nPASS pässword\r\n".encode())
    assert answers(talk)[1].startswith(b"+OK 1 messages")
    assert pop.talk(b"USER \xff\xfe\r\n").startswith(b"-ERR")
    assert pop.talk(b"USER a\r\n", b"PASS \xff\r\n").endswith(b"UTF-8.\r\n")


def test_second_session_gets_in_use_and_the_first_goes_on() -> None:
    pop = Pop3(ONE)

    async def play() -> None:
        first, second = MemoryConnection(), MemoryConnection()
        tasks = [asyncio.create_task(pop.session(c).run()) for c in (first, second)]
        first.feed(LOGIN)
        await settle(first)
        second.feed(LOGIN)
        await settle(second)
        assert answers(second.take())[-1].startswith(b"-ERR [IN-USE]")
        first.feed(b"STAT\r\nQUIT\r\n")
        await settle(first)
        assert answers(first.take())[-2:] == [b"+OK 1 120", b"+OK Bye."]
        second.feed(LOGIN)  # the same connection may try again
        await settle(second)
        assert answers(second.take())[-1].startswith(b"+OK 1 messages")
        second.feed_eof()
        await asyncio.gather(*tasks)

    asyncio.run(play())
    assert not pop.store.locked


def test_trash_that_cannot_be_filled_keeps_nobody_from_his_mail() -> None:
    pop = Pop3(ONE, config=Pop3Table(leave_days=3))
    with failing(pop.store, "expire_retrieved", CannotChangeMailbox("There are too many mailboxes.")):
        assert answers(pop.talk(LOGIN))[-1].startswith(b"+OK 1 messages")
    assert not pop.store.locked


def test_maildrop_that_cannot_be_read_is_let_go() -> None:
    pop = Pop3(ONE)
    with failing(pop.store, "maildrop", Busy("busy")):
        assert answers(pop.talk(LOGIN))[-1].startswith(b"-ERR [SYS/TEMP]")
    assert not pop.store.locked
    assert answers(pop.talk(LOGIN))[-1].startswith(b"+OK")


def test_login_delay_is_enforced() -> None:
    pop = Pop3(ONE, config=Pop3Table(login_delay=60))
    assert answers(pop.talk(LOGIN))[-1].startswith(b"+OK")
    pop.engine.clock.advance(59)
    assert answers(pop.talk(LOGIN))[-1].startswith(b"-ERR [LOGIN-DELAY]")
    pop.engine.clock.advance(1)
    assert answers(pop.talk(LOGIN))[-1].startswith(b"+OK")


def test_login_times_are_one_table_of_all_processes(tmp_path: Path) -> None:
    here, there = LoginTimes(tmp_path / "times"), LoginTimes(tmp_path / "times")
    assert not there.too_soon("a1", 100.0, 60)
    here.note("a1", 100.0)
    assert there.too_soon("a1", 159.9, 60)
    assert not there.too_soon("a1", 160.0, 60)
    assert not there.too_soon("b2", 100.0, 60)
    assert not there.too_soon("a1", 99.0, 60), "the machine was started anew"
    here.close()
    there.close()


def test_login_times_go_on_where_the_disk_is_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It was a mapped file once: a full disk then killed the worker, with all its sessions."""

    def full(*_: object) -> NoReturn:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    told = list[OSError]()
    times = LoginTimes(tmp_path / "times", told.append)
    times.note("a1", 100.0)
    monkeypatch.setattr(os, "pwrite", full)
    times.note("b2", 100.0)
    times.note("c3", 100.0)
    assert [error.errno for error in told] == [errno.ENOSPC]
    assert times.too_soon("b2", 101.0, 60)
    assert times.too_soon("c3", 101.0, 60)
    assert not times.too_soon("c3", 160.0, 60)


def test_an_account_is_never_refused_for_another_one() -> None:
    times = LoginTimes()
    for n in range(100_000):
        times.note(f"account-{n}", 100.0)
    assert sum(times.too_soon(f"other-{n}", 101.0, 60) for n in range(10_000)) == 0
    assert times.too_soon("account-99999", 101.0, 60)


# Bounds --------------------------------------------------------------------------------------------------------


def test_commands_without_login_are_bounded() -> None:
    pop = Pop3(ONE, limits=LimitsTable(commands_before_login=10))
    talk = answers(pop.talk(b"CAPA\r\n" * 5 + b"LANG *\r\n" * 20))
    assert talk[-1] == b"-ERR Too many commands that lead nowhere, closing."
    assert talk.count(b"+OK en English it is.") == 5


def test_errors_in_a_row_are_bounded() -> None:
    pop = Pop3(ONE, limits=LimitsTable(bad_commands=3))
    talk = answers(logged_in(pop.talk(LOGIN, b"X\r\nX\r\nX\r\nNOOP\r\n" * 3 + b"X\r\n" * 9)))
    assert talk[-1].endswith(b"closing.")
    assert len(talk) == 3 * 4 + 4


def test_rfc1939_3_silence_ends_the_session_without_a_response_and_frees_the_maildrop() -> None:
    pop = Pop3(ONE, config=Pop3Table(idle_timeout=0.01))

    async def play() -> bytes:
        connection = MemoryConnection()
        connection.feed(LOGIN + b"DELE 1\r\n")
        await asyncio.wait_for(pop.session(connection).run(), 5)
        return connection.take()

    assert answers(asyncio.run(play()))[-1] == b"+OK Message 1 marked."
    assert not pop.store.locked
    assert len(pop.store.boxes["INBOX"]) == 1


@pytest.mark.parametrize("begun", [b"NOOP\r\n", b"AUTH PLAIN\r\n"], ids=["command", "SASL"])
def test_rfc1939_3_octets_that_make_no_command_do_not_keep_a_connection_without_login(begun: bytes) -> None:
    pop = Pop3(ONE)

    def later() -> None:
        pop.engine.clock.advance(250)

    talk = answers(pop.talk(begun, later, b"N", later, b"O", later, b"O"))
    assert len(talk) == 1


def test_rfc1939_3_each_command_resets_the_timer_and_after_login_each_octet() -> None:
    pop = Pop3(ONE)

    def later() -> None:
        pop.engine.clock.advance(500)

    pieces: list[bytes | Callable[[], None]] = []
    for line in (b"CAPA", b"X", b"AUTH PLAIN", b"*", *LOGIN.splitlines()):
        pieces += [line[:1], later, line[1:] + b"\r\n"]
    for octets in (b"N", b"O", b"O", b"P\r\n"):
        pieces += [octets, later]
    talk = pop.talk(*pieces)
    assert answers(talk)[-1] == b"+OK"


def test_transcript_split_at_each_octet() -> None:
    script = LOGIN + b"LIST\r\nRETR 1\r\nTOP 2 0\r\nQUIT\r\n"
    whole = Pop3(ONE, TWO).talk(script)
    for i in range(1, len(script)):
        assert Pop3(ONE, TWO).talk(script[:i], script[i:]) == whole


def test_listing_of_very_many_messages() -> None:
    pop = Pop3(ONE)
    pop.store.boxes["INBOX"] *= 45_000
    talk = logged_in(pop.talk(LOGIN, b"LIST\r\nUIDL\r\n"))
    assert talk.count(b"\r\n") == 2 * (45_000 + 2)


class StoppingConnection(MemoryConnection):
    """The server goes down once what came has been read."""

    async def read(self, timeout: float) -> bytes:
        if not self._incoming:
            raise ServerStopping
        return await super().read(timeout)


def test_stopping_server_removes_nothing_and_frees_the_maildrop() -> None:
    pop = Pop3(ONE, TWO)

    async def play() -> bytes:
        connection = StoppingConnection()
        connection.feed(LOGIN + b"RETR 2\r\nDELE 1\r\n")
        await asyncio.wait_for(pop.session(connection).run(), 5)
        return connection.take()

    assert answers(asyncio.run(play()))[-1] == b"-ERR [SYS/TEMP] The server is stopping."
    assert not pop.store.locked
    assert [(f.delete, f.retrieved) for f in pop.store.finished] == [((), ((2, 2),))]


def test_cancelled_session_frees_the_maildrop() -> None:
    pop = Pop3(ONE)

    async def play() -> None:
        connection = MemoryConnection()
        task = asyncio.create_task(pop.session(connection).run())
        connection.feed(LOGIN + b"DELE 1\r\n")
        await settle(connection)
        assert pop.store.locked
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task

    asyncio.run(play())
    assert not pop.store.locked
    assert len(pop.store.boxes["INBOX"]) == 1


FRAGMENTS = [LOGIN, b"AUTH PLAIN\r\n", PLAIN + b"\r\n", b"STLS\r\n", b"RETR 1\r\n", b"RETR 2\r\n", b"TOP 2 1\r\n"]
FRAGMENTS += [b"DELE 1\r\n", b"LIST\r\n", b"UIDL 2\r\n", b"RSET\r\n", b"QUIT\r\n", b"UTF8\r\n", b"*\r\n"]
FRAGMENTS += [b"\r\n", b"\0", b"\xff", b"RETR ", b"9" * 300]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from(FRAGMENTS) | st.binary(min_size=1, max_size=8), min_size=1, max_size=12))
def test_no_octets_raise_or_remove_without_quit(pieces: list[bytes]) -> None:
    pop = Pop3(ONE, TWO)
    pop.talk(b"".join(pieces))
    assert not pop.store.locked
    if b"QUIT" not in b"".join(pieces).upper():
        assert len(pop.store.boxes["INBOX"]) == 2
