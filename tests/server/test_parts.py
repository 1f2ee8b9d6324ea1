"""Listeners, limits and status, each alone."""

from __future__ import annotations

import asyncio
import errno
import gc
import io
import os
import socket
from pathlib import Path

import pytest

from restante.clock import ManualClock
from restante.config.listen import BadListener, TcpAddress, UnixAddress, parse_listener, parse_option
from restante.config.load import parse
from restante.config.model import Config, LimitsTable, ListenTable
from restante.config.paths import run_directory
from restante.server.begun import Begun
from restante.server.descriptors import fitting
from restante.server.limits import Limits, SharedCounts, TooManyConnections
from restante.server.listeners import (
    TOLD,
    Acceptor,
    Bound,
    CannotListen,
    UnixRights,
    bind_all,
    close_all,
    unix_rights,
    wanted,
)
from restante.server.logs import make_logger
from restante.server.services import Service, Wire
from restante.server.status import collect

from .support import PATIENCE, Client, eventually, running

# Listeners -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("imap", "127.0.0.1:1143", (TcpAddress("127.0.0.1", 1143),)),
        ("imap", "[::1]:0", (TcpAddress("::1", 0),)),
        ("imap", "*:143", (TcpAddress("*", 143),)),
        ("imap", "off", ()),
        (
            "imap",
            ["localhost:1", "mail.example.org:2"],
            (TcpAddress("localhost", 1), TcpAddress("mail.example.org", 2)),
        ),
        ("lmtp", "unix:/run/l.sock", (UnixAddress("/run/l.sock"),)),
        ("lmtp", "/run/l.sock", (UnixAddress("/run/l.sock"),)),
    ],
)
def test_listener_syntax(name: str, value: str | list[str], expected: tuple[object, ...]) -> None:
    assert parse_listener(name, value) == expected


@pytest.mark.parametrize("option", ["imap", "smtp=127.0.0.1:25", "imap=1143", "imap=::1:143", "imap=a:99999", "=off"])
def test_bad_listen_options(option: str) -> None:
    with pytest.raises(BadListener):
        parse_option(option)


def test_the_command_line_replaces_one_listener_alone() -> None:
    found = wanted(ListenTable(), {"imap": "127.0.0.1:7", "pop3": "off"})
    assert found[0] == (Service.IMAP, TcpAddress("127.0.0.1", 7))
    assert [service for service, _ in found] == [Service.IMAP, Service.IMAPS, Service.POP3S, Service.LMTP]


def test_port_zero_gives_the_real_port_and_failure_closes_all() -> None:
    (bound,) = bind_all([(Service.IMAP, TcpAddress("127.0.0.1", 0))])
    assert isinstance(bound.address, TcpAddress)
    with pytest.raises(CannotListen, match="in use"):
        bind_all([(Service.POP3, TcpAddress("127.0.0.1", 0)), (Service.IMAPS, bound.address)])
    close_all([bound])


def test_an_address_that_is_not_ours() -> None:
    with pytest.raises(CannotListen, match="no address of this machine"):
        bind_all([(Service.IMAP, TcpAddress("192.0.2.1", 0))])


def test_a_dead_unix_socket_is_replaced_and_a_living_one_is_not(tmp_path: Path) -> None:
    path = str(tmp_path / "s")
    address = (Service.LMTP, UnixAddress(path))
    dead = socket.socket(socket.AF_UNIX)
    dead.bind(path)
    dead.close()
    (bound,) = bind_all([address])
    with pytest.raises(CannotListen, match="is there already"):
        bind_all([address])
    close_all([bound])
    Path(path).write_text("a file")
    with pytest.raises(CannotListen, match="is there already"):
        bind_all([address])
    assert Path(path).read_text() == "a file"


def test_a_unix_socket_has_the_rights_that_are_configured(tmp_path: Path) -> None:
    """A group that is not the process's own, where the machine lets us have one; else the own one, by number."""
    others = [group for group in (os.getgroups() if os.geteuid() else [12, 13]) if group != os.getegid()]
    group = others[0] if others else os.getegid()
    table = parse(f"[listen]\nunix_mode = '0606'\nunix_owner = '{os.geteuid()}'\nunix_group = '{group}'\n").listen
    path = tmp_path / "s"
    before = os.umask(0o022)
    try:
        (bound,) = bind_all([(Service.LMTP, UnixAddress(str(path)))], unix_rights(table))
        assert os.umask(0o022) == 0o022, "the process's own mask is back"
    finally:
        os.umask(before)
    status = path.stat()
    assert (status.st_mode & 0o777, status.st_uid, status.st_gid) == (0o606, os.geteuid(), group)
    close_all([bound])


def test_a_unix_socket_listens_only_once_it_is_its_groups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "s"
    seen: list[int] = []

    def chown(name: str, owner: int, group: int, *, follow_symlinks: bool) -> None:
        with socket.socket(socket.AF_UNIX) as early:
            seen.append(early.connect_ex(name))

    monkeypatch.setattr(os, "chown", chown)
    bound = bind_all([(Service.LMTP, UnixAddress(str(path)))], UnixRights(group=str(os.getegid())))
    assert seen == [errno.ECONNREFUSED]
    close_all(bound)


@pytest.mark.parametrize("rights", [UnixRights(owner="nobody-here"), UnixRights(group="none-such")])
def test_a_user_or_group_that_is_not_there(tmp_path: Path, rights: UnixRights) -> None:
    path = tmp_path / "s"
    with pytest.raises(CannotListen, match=r"there is no (user|group)") as caught:
        bind_all([(Service.LMTP, UnixAddress(str(path)))], rights)
    assert "listen.unix_" in caught.value.remedy
    assert not path.exists()


def test_a_socket_that_cannot_be_given_away_is_taken_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(os, "chown", refuse)
    with pytest.raises(CannotListen, match="cannot be given to its owner:0"):
        bind_all([(Service.LMTP, UnixAddress(str(tmp_path / "s")))], UnixRights(group="0"))
    assert list(tmp_path.iterdir()) == []


# Limits ----------------------------------------------------------------------------------------------


def test_an_address_is_bounded_over_all_workers() -> None:
    shared = SharedCounts(2, b"key")
    table = LimitsTable(connections_address=3)
    one, two = Limits(table, shared, 0), Limits(table, shared, 1)
    one.enter("192.0.2.1", False)
    one.enter("192.0.2.1", False)
    two.enter("192.0.2.1", False)
    with pytest.raises(TooManyConnections):
        two.enter("192.0.2.1", False)
    two.enter("192.0.2.2", False)
    for _ in range(10):
        two.enter("127.0.0.1", True)
    one.leave("192.0.2.1", False)
    two.enter("192.0.2.1", False)
    shared.clear(1)  # that worker died
    one.enter("192.0.2.1", False)
    one.enter("192.0.2.1", False)
    with pytest.raises(TooManyConnections):
        one.enter("192.0.2.1", False)


def test_a_busier_worker_leaves_connections_to_the_idler() -> None:
    shared = SharedCounts(2, b"key")
    one, two = Limits(LimitsTable(), shared, 0), Limits(LimitsTable(), shared, 1)
    assert not one.others_are_idler()
    one.enter("127.0.0.1", True)
    assert one.others_are_idler()
    assert not two.others_are_idler()
    assert not Limits(LimitsTable()).others_are_idler()


def test_who_looks_away_is_waited_for_only_where_it_has_fewer_by_two() -> None:
    shared = SharedCounts(2, b"key")
    one, two = Limits(LimitsTable(), shared, 0), Limits(LimitsTable(), shared, 1)
    two.enter("127.0.0.1", True)
    one.look_away()
    assert not two.others_are_idler()
    two.enter("127.0.0.1", True)
    assert two.others_are_idler()
    two.leave("127.0.0.1", True)
    one.look_away()  # another of its listeners
    one.look_back()
    assert not two.others_are_idler()
    one.look_back()
    assert two.others_are_idler()


def test_who_comes_again_at_once_is_not_left_lying_by_all_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    """His last connection still counts at one worker, while the other looks away because of the one before."""
    monkeypatch.setattr("restante.server.listeners._POLITE", 3600.0)

    async def play() -> None:
        loop, shared = asyncio.get_running_loop(), SharedCounts(2, b"key")
        one, two = Limits(LimitsTable(), shared, 0), Limits(LimitsTable(), shared, 1)
        taken, away = asyncio.Queue[Limits](), asyncio.Event()
        (bound,) = bind_all([(Service.IMAP, TcpAddress("127.0.0.1", 0))])
        other = Bound(bound.service, bound.address, bound.sock.dup())
        log = make_logger("info", "plain", ManualClock(), io.StringIO())

        def look_away() -> None:
            Limits.look_away(one)
            away.set()

        monkeypatch.setattr(one, "look_away", look_away)

        def acceptor(of: Bound, limits: Limits) -> Acceptor:
            def accepted(_service: Service, sock: socket.socket, _address: str) -> None:
                sock.close()
                limits.enter("127.0.0.1", True)
                taken.put_nowait(limits)

            return Acceptor(of, loop, limits, log, accepted)

        one.enter("127.0.0.1", True)
        acceptors = [acceptor(bound, one)]
        with socket.create_connection(bound.sock.getsockname()):
            await asyncio.wait_for(away.wait(), PATIENCE)
            acceptors.append(acceptor(other, two))
            assert await asyncio.wait_for(taken.get(), PATIENCE) is two
        one.leave("127.0.0.1", True)
        with socket.create_connection(bound.sock.getsockname()):
            assert await asyncio.wait_for(taken.get(), PATIENCE) is two
        for each in acceptors:
            each.close()
        two.leave("127.0.0.1", True)
        assert two.others_are_idler()  # one.close() has looked back
        close_all([bound, other])

    asyncio.run(play())


def test_a_worker_looks_away_when_somebody_comes_not_behind_each_that_it_took(monkeypatch: pytest.MonkeyPatch) -> None:
    """A timer and two changes of what is polled stood before each greeting."""
    monkeypatch.setattr("restante.server.listeners._POLITE", 3600.0)

    async def play() -> None:
        loop, shared = asyncio.get_running_loop(), SharedCounts(2, b"key")
        limits, _idler = Limits(LimitsTable(), shared, 0), Limits(LimitsTable(), shared, 1)
        taken, away = asyncio.Queue[socket.socket](), asyncio.Event()
        monkeypatch.setattr(limits, "look_away", away.set)
        monkeypatch.setattr(limits, "look_back", lambda: None)
        (bound,) = bind_all([(Service.IMAP, TcpAddress("127.0.0.1", 0))])

        def accepted(_service: Service, sock: socket.socket, _address: str) -> None:
            limits.enter("127.0.0.1", True)
            taken.put_nowait(sock)

        acceptor = Acceptor(bound, loop, limits, make_logger("info", "plain", ManualClock(), io.StringIO()), accepted)
        with socket.create_connection(bound.sock.getsockname()):
            (await asyncio.wait_for(taken.get(), PATIENCE)).close()
            assert not away.is_set()
            with socket.create_connection(bound.sock.getsockname()):
                await asyncio.wait_for(away.wait(), PATIENCE)
                assert taken.empty()
        acceptor.close()
        close_all([bound])

    asyncio.run(play())


def test_who_is_woken_in_vain_leaves_the_next_ones_to_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """For a moment, and only while another one listens: else a connection would lie there for nobody."""

    async def play() -> None:
        loop, shared = asyncio.get_running_loop(), SharedCounts(2, b"key")
        limits, other = Limits(LimitsTable(), shared, 0), Limits(LimitsTable(), shared, 1)
        (bound,) = bind_all([(Service.IMAP, TcpAddress("127.0.0.1", 0))])
        taken = asyncio.Queue[socket.socket]()
        log = make_logger("info", "plain", ManualClock(), io.StringIO())
        acceptor = Acceptor(bound, loop, limits, log, lambda service, sock, address: taken.put_nowait(sock))

        def in_vain() -> bool:
            """Nobody has come; whether it has looked away."""
            acceptor._ready()
            return acceptor._later is not None

        other.look_away()
        assert not in_vain()
        other.look_back()
        other.retire()
        assert not in_vain()
        shared.begin(1)
        assert in_vain()
        assert not other.others_listen()
        with socket.create_connection(bound.sock.getsockname()):
            (await asyncio.wait_for(taken.get(), PATIENCE)).close()
        assert other.others_listen()
        acceptor.close()
        close_all([bound])

    asyncio.run(play())


def test_a_listener_that_cannot_accept_says_so_once_a_minute_and_takes_who_waited(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def play() -> None:
        loop, out, taken = asyncio.get_running_loop(), io.StringIO(), asyncio.Queue[socket.socket]()
        (bound,) = bind_all([(Service.IMAP, TcpAddress("127.0.0.1", 0))])
        begun = loop.time()
        at, full = begun, True

        class Starved(socket.socket):
            def accept(self) -> tuple[socket.socket, object]:
                if full:
                    raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
                return super().accept()

        with Starved(fileno=os.dup(bound.sock.fileno())) as sock:
            sock.setblocking(False)
            log = make_logger("info", "plain", ManualClock(), out)
            limits = Limits(LimitsTable())
            acceptor = Acceptor(
                Bound(Service.IMAP, bound.address, sock), loop, limits, log, lambda _1, it, _2: taken.put_nowait(it)
            )
            with monkeypatch.context() as patch:
                patch.setattr(loop, "time", lambda: at)
                for passed in (0.0, 0.2, TOLD - 0.2, TOLD, TOLD + 0.2):
                    at = begun + passed
                    acceptor._ready()
                    acceptor._resume(False)
            assert out.getvalue().count(f'reason="{os.strerror(errno.EMFILE)}"') == 2
            full = False
            with socket.create_connection(bound.sock.getsockname()):
                (await asyncio.wait_for(taken.get(), PATIENCE)).close()
            acceptor.close()
        close_all([bound])

    asyncio.run(play())


def test_options_are_asked_for_until_a_connection_has_brought_them(monkeypatch: pytest.MonkeyPatch) -> None:
    async def play() -> None:
        loop, limits = asyncio.get_running_loop(), Limits(LimitsTable())
        (bound,) = bind_all([(Service.IMAP, TcpAddress("127.0.0.1", 0))])
        taken, asked, given = asyncio.Queue[socket.socket](), list[bool](), list[Wire]()
        answers = iter((False, True))

        def has_options(_sock: socket.socket) -> bool:
            asked.append(next(answers))
            return asked[-1]

        monkeypatch.setattr("restante.server.listeners.has_options", has_options)
        monkeypatch.setattr("restante.server.listeners.set_options", lambda _sock, wire: given.append(wire))
        log = make_logger("info", "plain", ManualClock(), io.StringIO())
        acceptor = Acceptor(bound, loop, limits, log, lambda service, sock, address: taken.put_nowait(sock))
        for _ in range(4):
            with socket.create_connection(bound.sock.getsockname()):
                (await asyncio.wait_for(taken.get(), PATIENCE)).close()
        assert (asked, given) == ([False, True], [Wire.IMAP])
        acceptor.close()
        close_all([bound])

    asyncio.run(play())


def test_who_is_full_leaves_a_connection_lying_until_all_are(monkeypatch: pytest.MonkeyPatch) -> None:
    """It would be turned away, while another worker has room."""

    async def play() -> None:
        loop, shared = asyncio.get_running_loop(), SharedCounts(2, b"key")
        table = LimitsTable(connections=1)
        limits, other = Limits(table, shared, 0), Limits(table, shared, 1)
        limits.enter("127.0.0.1", True)
        taken, looks, seen = asyncio.Queue[socket.socket](), 0, asyncio.Event()

        def look_away() -> None:
            nonlocal looks
            looks += 1
            Limits.look_away(limits)
            if looks == 3:
                seen.set()

        monkeypatch.setattr(limits, "look_away", look_away)
        (bound,) = bind_all([(Service.IMAP, TcpAddress("127.0.0.1", 0))])
        log = make_logger("info", "plain", ManualClock(), io.StringIO())

        def accepted(_service: Service, sock: socket.socket, _address: str) -> None:
            taken.put_nowait(sock)
            seen.set()

        acceptor = Acceptor(bound, loop, limits, log, accepted)
        with socket.create_connection(bound.sock.getsockname()):
            await asyncio.wait_for(seen.wait(), PATIENCE)
            assert taken.empty()
            other.enter("127.0.0.1", True)
            (await asyncio.wait_for(taken.get(), PATIENCE)).close()
        acceptor.close()
        close_all([bound])

    asyncio.run(play())


@pytest.mark.parametrize(
    ("descriptors", "handles", "connections"),
    [(1 << 20, 1_000, 20_000), (25_064, 1_000, 20_000), (12_064, 1_000, 7_000), (1_024, 96, 480), (10, 1, 5)],
)
def test_connections_and_open_accounts_fit_into_the_descriptors_that_there_are(
    descriptors: int, handles: int, connections: int
) -> None:
    out = io.StringIO()
    config = fitting(Config(), descriptors, make_logger("info", "plain", ManualClock(), out))
    assert (config.store.handles, config.limits.connections) == (handles, connections)
    assert ("few file descriptors" in out.getvalue()) == (handles < 1_000)


def test_past_the_bound_without_login_the_oldest_goes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("restante.server.channel.is_loopback", lambda address: False)
    with running(tmp_path, Config(limits=LimitsTable(connections_before_login=2))) as server:
        known = server.connect()
        assert known.line() == b"hello"
        assert known.ask(b"LOGIN anna") == b"welcome"
        others = [server.connect() for _ in range(2)]
        assert [client.line() for client in others] == [b"hello"] * 2
        newest = server.connect()
        assert newest.line() == b"hello"
        assert others[0].line().startswith(b"* BYE [UNAVAILABLE]")
        assert others[0].ended()
        assert [c.ask(b"here") for c in (known, others[1], newest)] == [b"here"] * 3


def test_who_has_to_go_as_he_comes_leaves_nothing(tmp_path: Path) -> None:
    """Two listeners may have somebody in one turn of the loop."""
    with running(tmp_path, Config(limits=LimitsTable(connections_before_login=1))) as server:
        worker = server.server.worker
        pairs = [socket.socketpair() for _ in range(2)]

        async def come() -> None:
            for ours, _ in pairs:
                worker._accepted(Service.IMAP, ours, "192.0.2.1")

        server.server.call(come)
        first, second = (Client(theirs) for _, theirs in pairs)
        assert first.line().startswith(b"* BYE [UNAVAILABLE]")
        eventually(lambda: first.line() == b"", "the end")
        first.close()
        assert second.line() == b"hello"
        assert second.ask(b"here") == b"here"
        eventually(lambda: worker._limits.connections == len(worker.describe().connections) == 1, "one is counted")
        second.close()


def test_a_session_does_not_keep_how_its_connection_came(tmp_path: Path) -> None:
    def there() -> int:
        return sum(isinstance(one, Begun) for one in gc.get_objects())

    with running(tmp_path) as server:
        gc.collect()
        before = there()
        client = server.connect()
        assert client.line() == b"hello"
        assert there() <= before
        client.close()


# Status ----------------------------------------------------------------------------------------------


def test_status_tells_listeners_and_connections(tmp_path: Path) -> None:
    with running(tmp_path) as server:
        client = server.connect("pop3")
        assert client.line() == b"hello"
        assert client.ask(b"LOGIN anna@example.org") == b"welcome"
        # Not tmp_path / "run": where that is too long for a socket (under xdist it is), it lies elsewhere.
        (status,) = collect(run_directory(tmp_path))
        assert status.pid == os.getpid()
        assert [name for name, _ in status.listeners] == ["imap", "imaps", "pop3", "pop3s", "lmtp"]
        (one,) = status.connections
        assert (one.protocol, one.address, one.account, one.secure) == ("pop3", "127.0.0.1", "anna@example.org", False)
        assert status.counters["logins"] == 1
    assert collect(run_directory(tmp_path)) == []


def test_sockets_of_dead_workers_are_passed_over(tmp_path: Path) -> None:
    dead = socket.socket(socket.AF_UNIX)
    dead.bind(str(tmp_path / "worker-1.status"))
    dead.close()
    assert collect(tmp_path) == []
