"""Every response code of RFC 5530, and those of RFC 9051 7.1 beside them, as a real session sends it.

NOPERM belongs to access control lists. Each case is one conversation over TCP with a server of its own accounts; what
cannot be had by asking (a damaged file, a fault of ours) is brought about by hand first.
"""

from __future__ import annotations

import asyncio
import base64
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import apsw
import pytest

from restante.accounts.passwords import PasswordChecker
from restante.config.model import AuthTable, Config, LimitsTable
from restante.imap.commands.table import TABLE
from restante.imap.grammar import commands as c
from restante.imap.session import session
from restante.imap.session.refusals import BY_NAME, CODES
from restante.imap.session.state import Reply
from restante.server import channel
from restante.store.sqlite import handles
from restante.store.sqlite.engine import SqliteEngine
from restante.testing.server import RestanteServer
from tests.server.support import Client

ANN = "ann@example.org"
MESSAGE = b"From: a@example.org\r\nSubject: s\r\n\r\nbody\r\n"
STRANGE = (
    b"From: a@example.org\r\nMIME-Version: 1.0\r\nContent-Type: text/plain\r\n"
    b"Content-Transfer-Encoding: x-strange\r\n\r\nbody\r\n"
)


class Scene:
    """A server with Ann (secret), and a connection to it."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        auth = AuthTable(argon2_memory=1 << 20, argon2_time=1, delay_first=0.0, queue=0)
        self.monkeypatch = monkeypatch
        self.folder = folder
        self.server = RestanteServer(folder, Config(auth=auth, limits=LimitsTable(keywords=3)))
        self.stack = ExitStack()
        self.stack.enter_context(self.server)
        self.server.add_account(ANN, "secret")

    def connect(self) -> Client:
        client = Client(socket.create_connection((self.server.host, self.server.imap), 20))
        self.stack.callback(client.close)
        assert client.line().startswith(b"* OK")
        return client

    def ann(self, *commands: bytes) -> Client:
        """Ann, logged in, after these commands."""
        client = self.connect()
        for command in (b"LOGIN ann@example.org secret", *commands):
            assert b" OK " in ask(client, command), command
        return client

    @property
    def file(self) -> Path:
        (path,) = self.folder.glob("accounts/*/*.db")
        return path


def ask(client: Client, command: bytes) -> bytes:
    """The tagged answer; a BYE where that came instead."""
    client.send(b"t " + command + b"\r\n")
    while not (line := client.line()).startswith((b"t ", b"* BYE")):
        assert line, "the server closed"
    return line


def plain(authzid: str, password: str) -> bytes:
    return b"AUTHENTICATE PLAIN " + base64.b64encode(f"{authzid}\0{ANN}\0{password}".encode())


@pytest.fixture
def scene(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Scene]:
    scene = Scene(tmp_path / "data", monkeypatch)
    with scene.stack:
        yield scene


def unavailable(scene: Scene) -> bytes:
    """The queue of password checks is full."""
    begun, go_on = threading.Event(), threading.Event()

    def counted(self: PasswordChecker, work: Callable[[], object]) -> object:
        begun.set()
        assert go_on.wait(20)
        return work()

    scene.monkeypatch.setattr(PasswordChecker, "_counted", counted)
    first, second = scene.connect(), scene.connect()
    first.send(b"a LOGIN ann@example.org secret\r\n")
    assert begun.wait(20)
    answer = ask(second, b"LOGIN bob@example.org secret")
    go_on.set()
    assert first.line().startswith(b"a OK")
    return answer


def authentication_failed(scene: Scene) -> bytes:
    return ask(scene.connect(), b"LOGIN ann@example.org wrong")


def authorization_failed(scene: Scene) -> bytes:
    scene.server.add_account("bob@example.org", "other")
    client = scene.connect()
    assert b"[AUTHENTICATIONFAILED]" in ask(client, plain("bob@example.org", "wrong"))
    return ask(client, plain("bob@example.org", "secret"))


def expired(scene: Scene) -> bytes:
    until = int(scene.server.clock.now()) + 60
    _, text = scene.server.run(lambda: scene.server.admin.add_app_password(ANN, "phone", expires=until))
    scene.server.clock.advance(61)
    assert b"[AUTHENTICATIONFAILED]" in ask(scene.connect(), b"LOGIN ann@example.org wrong")
    return ask(scene.connect(), b"LOGIN ann@example.org " + text.encode())


def privacy_required(scene: Scene) -> bytes:
    scene.monkeypatch.setattr(channel, "is_loopback", lambda address: False)
    return ask(scene.connect(), b"LOGIN ann@example.org secret")


def contact_admin(scene: Scene) -> bytes:
    scene.server.run(lambda: scene.server.admin.disable(ANN))
    assert b"[AUTHENTICATIONFAILED]" in ask(scene.connect(), b"LOGIN ann@example.org wrong")
    return ask(scene.connect(), b"LOGIN ann@example.org secret")


def in_use(scene: Scene) -> bytes:
    """Another process holds the account's file for longer than a writer waits."""
    scene.monkeypatch.setattr(handles, "WRITER_WAIT", 50)
    client = scene.ann()
    other = apsw.Connection(str(scene.file))
    other.execute("BEGIN IMMEDIATE")
    try:
        return ask(client, b"CREATE box")
    finally:
        other.execute("ROLLBACK")
        other.close()


def expunge_issued(scene: Scene) -> bytes:
    scene.server.put(ANN, MESSAGE, flags=["\\Deleted"])
    first, second = scene.ann(b"SELECT INBOX"), scene.ann(b"SELECT INBOX")
    assert b" OK " in ask(second, b"EXPUNGE")
    # By number: the client was not told yet that the message is gone.
    assert b" OK " in ask(first, b"FETCH 1 FLAGS")
    return ask(first, b"COPY 1 Archive")


def corruption(scene: Scene) -> bytes:
    scene.server.put(ANN, MESSAGE)
    engine = scene.server.engine
    assert isinstance(engine, SqliteEngine)
    scene.server.run(lambda: asyncio.to_thread(engine.handles.sweep, everything=True))
    path = scene.file
    path.write_bytes(b"no database" + path.read_bytes()[11:])
    return ask(scene.ann(), b"SELECT INBOX")


def server_bug(scene: Scene) -> bytes:
    async def broken(*_: object) -> Reply:
        raise RuntimeError("of ours")

    client = scene.ann()
    table = {**TABLE, c.Namespace: replace(TABLE[c.Namespace], handler=broken)}
    scene.monkeypatch.setattr(session, "TABLE", table)
    return ask(client, b"NAMESPACE")


def client_bug(scene: Scene) -> bytes:
    return ask(scene.ann(), b"FETCH 1 FLAGS")


def cannot(scene: Scene) -> bytes:
    return ask(scene.ann(), b"CREATE a//b")


def limit(scene: Scene) -> bytes:
    scene.server.put(ANN, MESSAGE)
    return ask(scene.ann(b"SELECT INBOX"), b"STORE 1 FLAGS (f1 f2 f3 f4)")


def over_quota(scene: Scene) -> bytes:
    scene.server.put(ANN, MESSAGE)
    scene.server.run(lambda: scene.server.admin.set_quota(ANN, len(MESSAGE)))
    scene.server.clock.advance(3600)  # past what is remembered of the quota
    client = scene.ann(b"SELECT INBOX")
    assert b"[OVERQUOTA]" in ask(client, b"APPEND INBOX {%d+}\r\n%b" % (len(MESSAGE), MESSAGE))
    return ask(client, b"COPY 1 Archive")


def already_exists(scene: Scene) -> bytes:
    client = scene.ann(b"CREATE this")
    assert b"[ALREADYEXISTS]" in ask(client, b"CREATE this")
    return ask(client, b"RENAME this Archive")


def non_existent(scene: Scene) -> bytes:
    client = scene.ann()
    assert b"[NONEXISTENT]" in ask(client, b"RENAME this that")
    assert b"[NONEXISTENT]" in ask(client, b"DELETE this")
    return ask(client, b"SELECT this")


def has_children(scene: Scene) -> bytes:
    client = scene.ann(b"CREATE Notes/1999", b"DELETE Notes")
    return ask(client, b"DELETE Notes")


def unknown_cte(scene: Scene) -> bytes:
    scene.server.put(ANN, STRANGE)
    return ask(scene.ann(b"SELECT INBOX"), b"FETCH 1 BINARY[1]")


def try_create(scene: Scene) -> bytes:
    return ask(scene.ann(), b"APPEND nowhere {%d+}\r\n%b" % (len(MESSAGE), MESSAGE))


def use_attribute(scene: Scene) -> bytes:
    return ask(scene.ann(), b"CREATE More (USE (\\Sent))")


CASES: dict[str, tuple[Callable[[Scene], bytes], bytes]] = {
    "rfc5530 UNAVAILABLE": (unavailable, b"t NO [UNAVAILABLE] "),
    "rfc5530 AUTHENTICATIONFAILED": (authentication_failed, b"t NO [AUTHENTICATIONFAILED] "),
    "rfc5530 AUTHORIZATIONFAILED": (authorization_failed, b"t NO [AUTHORIZATIONFAILED] "),
    "rfc5530 EXPIRED": (expired, b"t NO [EXPIRED] "),
    "rfc5530 PRIVACYREQUIRED": (privacy_required, b"t NO [PRIVACYREQUIRED] "),
    "rfc5530 CONTACTADMIN": (contact_admin, b"t NO [CONTACTADMIN] "),
    "rfc5530 INUSE": (in_use, b"t NO [INUSE] "),
    "rfc5530 EXPUNGEISSUED": (expunge_issued, b"t NO [EXPUNGEISSUED] "),
    "rfc5530 CORRUPTION": (corruption, b"t NO [CORRUPTION] "),
    "rfc5530 SERVERBUG": (server_bug, b"* BYE [SERVERBUG] "),
    "rfc5530 CLIENTBUG": (client_bug, b"t BAD [CLIENTBUG] "),
    "rfc5530 CANNOT": (cannot, b"t NO [CANNOT] "),
    "rfc5530 LIMIT": (limit, b"t NO [LIMIT] "),
    "rfc5530 OVERQUOTA": (over_quota, b"t NO [OVERQUOTA] "),
    "rfc5530 ALREADYEXISTS": (already_exists, b"t NO [ALREADYEXISTS] "),
    "rfc5530 NONEXISTENT": (non_existent, b"t NO [NONEXISTENT] "),
    "rfc9051-7.1 HASCHILDREN": (has_children, b"t NO [HASCHILDREN] "),
    "rfc9051-7.1 UNKNOWN-CTE": (unknown_cte, b"t NO [UNKNOWN-CTE] "),
    "rfc9051-7.1 TRYCREATE": (try_create, b"t NO [TRYCREATE] "),
    "rfc6154-3 USEATTR": (use_attribute, b"t NO [USEATTR] "),
}


@pytest.mark.parametrize("case", CASES)
def test_code_is_sent(scene: Scene, case: str) -> None:
    play, expected = CASES[case]
    answer = play(scene)
    assert answer.startswith(expected), answer


RFC5530 = frozenset(
    b"UNAVAILABLE AUTHENTICATIONFAILED AUTHORIZATIONFAILED EXPIRED PRIVACYREQUIRED CONTACTADMIN NOPERM INUSE"
    b" EXPUNGEISSUED CORRUPTION SERVERBUG CLIENTBUG CANNOT LIMIT OVERQUOTA ALREADYEXISTS NONEXISTENT".split()
)


def test_every_code_of_rfc5530_has_a_case_and_so_has_what_refusals_become() -> None:
    """NOPERM is sent where there are access control lists, and shown by their tests."""
    shown = {expected.partition(b"[")[2].partition(b"]")[0] for _, expected in CASES.values()}
    assert RFC5530 - shown == {b"NOPERM"}
    mapped = {code for _, code in CODES} | set(BY_NAME.values())
    assert mapped & RFC5530 - {b"NOPERM"} <= shown
