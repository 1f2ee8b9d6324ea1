"""The server as a program: start, death of a worker, signals, a second server, ports in use."""

from __future__ import annotations

import errno
import io
import os
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

import pytest

from restante.clock import ManualClock
from restante.config.model import Config
from restante.config.paths import lock_file, run_directory
from restante.server.logs import make_logger
from restante.server.status import WorkerStatus, collect
from restante.server.supervisor import Supervisor, WorkerFailed
from restante.server.worker import Surroundings

from .support import PATIENCE, Client, EchoRoom, eventually

ROOT = Path(__file__).parents[2]
IMAP = "imap=127.0.0.1:0"


class Program:
    """A started server. `lines`: standard output until `ready`."""

    def __init__(self, process: subprocess.Popen[str], data: Path) -> None:
        self.process = process
        self.data = data
        self.lines: list[str] = []
        assert process.stdout is not None
        for line in process.stdout:
            self.lines.append(line.rstrip("\n"))
            if line == "ready\n":
                break

    def connect(self) -> Client:
        host, _, port = self.lines[0].split()[1].rpartition(":")
        return Client(socket.create_connection((host, int(port)), PATIENCE))

    def workers(self) -> list[WorkerStatus]:
        """All that there are: a busy one is waited for."""
        return collect(run_directory(self.data), PATIENCE)

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def says(self, text: str, times: int) -> None:
        """Wait until standard error has had a text so often."""
        assert self.process.stderr is not None
        source, heard = self.process.stderr.fileno(), ""
        while heard.count(text) < times:
            readable, _, _ = select.select([source], [], [], PATIENCE)
            assert readable, heard
            heard += os.read(source, 65_536).decode()

    def ended(self) -> tuple[int, str]:
        """Exit status and the rest of standard error."""
        _, errors = self.process.communicate(timeout=PATIENCE)
        return self.process.returncode, errors


def start(data: Path, *listen: str, workers: int = 2, mode: str = "", descriptors: int = 0) -> subprocess.Popen[str]:
    """descriptors: as many as each process may have; 0: as many as this one."""
    few = ["sh", "-c", f'ulimit -n {descriptors} && exec "$@"', "sh"] if descriptors else []
    return subprocess.Popen(
        [*few, sys.executable, "-m", "tests.server.program", str(data), str(workers), *listen],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env={**os.environ, "MODE": mode},
    )


@contextmanager
def program(data: Path, *listen: str, workers: int = 2, mode: str = "", descriptors: int = 0) -> Iterator[Program]:
    process = start(data, *(listen or (IMAP,)), workers=workers, mode=mode, descriptors=descriptors)
    try:
        yield Program(process, data)
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate(timeout=PATIENCE)


def test_lines_for_people_then_ready(tmp_path: Path) -> None:
    with program(tmp_path, IMAP, "imaps=127.0.0.1:0", "lmtp=127.0.0.1:0", mode="demo") as server:
        words = [line.split(None, 2) for line in server.lines]
        assert [line[0] for line in words] == ["prepared", "imap", "imaps", "lmtp", "user", "pass", "ready"]
        assert words[1][2] == "STARTTLS"
        assert words[2][2] == "SSL/TLS"
        assert words[4][1] == "demo@localhost"
        del server.lines[0]
        assert server.connect().line() == b"hello"


def test_a_server_with_few_descriptors_says_so_and_takes_as_many_connections_as_fit(tmp_path: Path) -> None:
    with program(tmp_path, workers=1, descriptors=100) as server:
        server.says("few file descriptors limit=100 connections=21 handles=3", 1)
        held = [server.connect() for _ in range(21)]
        assert [each.line() for each in held] == [b"hello"] * 21
        assert server.connect().line().startswith(b"* BYE ")


def test_the_demo_s_reader_is_told_that_it_logs_in_from_here_alone(tmp_path: Path) -> None:
    with program(tmp_path, "imap=0.0.0.0:0", mode="demo") as server:
        assert "The demo account logs in from this machine alone: by 127.0.0.1 or [::1]." in server.lines


def test_nothing_is_left_outside_of_a_data_folder_with_a_long_name(tmp_path: Path) -> None:
    """Its sockets have a short folder elsewhere, and there only while it runs; all else stays within the data."""
    data = tmp_path / ("x" * 120)
    data.mkdir()
    short = run_directory(data)
    with program(data, IMAP) as server:
        eventually(lambda: len(server.workers()) == 2, "workers that tell what they do")
        assert {path.suffix for path in short.iterdir()} == {".status"}
        server.signal(signal.SIGTERM)
        assert server.ended()[0] == 0
    assert not short.exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_drains_and_ends_cleanly(tmp_path: Path, number: signal.Signals) -> None:
    with program(tmp_path) as server:
        client = server.connect()
        assert client.line() == b"hello"
        server.signal(number)
        assert [client.line(), client.line()] == [b"stopping", b"bye"]
        status, errors = server.ended()
        assert (status, "Traceback" in errors) == (0, False)
        assert not list((tmp_path / "run").glob("*.status"))


def test_a_second_ctrl_c_stops_at_once(tmp_path: Path) -> None:
    with program(tmp_path) as server:
        client = server.connect()
        assert client.ask(b"LOGIN ann") == b"hello"
        assert client.ask(b"HOLD") == b"welcome"
        eventually(lambda: any(worker.connections for worker in server.workers()))
        server.signal(signal.SIGINT)
        eventually(lambda: _refused(server))
        server.signal(signal.SIGINT)
        status, errors = server.ended()
        assert status == 0
        assert "killed" in errors


def _refused(server: Program) -> bool:
    try:
        server.connect().close()
    except ConnectionRefusedError:
        return True
    return False


def test_a_worker_that_dies_is_replaced(tmp_path: Path) -> None:
    with program(tmp_path) as server:
        before = {worker.pid for worker in server.workers()}
        assert len(before) == 2
        victim = min(before)
        os.kill(victim, signal.SIGKILL)
        eventually(lambda: len({worker.pid for worker in server.workers()} - before) == 1)
        after = {worker.pid for worker in server.workers()}
        assert victim not in after
        assert len(after) == 2
        clients = [server.connect() for _ in range(8)]
        assert [client.line() for client in clients] == [b"hello"] * 8
        server.signal(signal.SIGTERM)
        status, errors = server.ended()
        assert status == 0
        assert f"worker died pid={victim} status=-9" in errors


def supervisor_of(tmp_path: Path, log: io.StringIO) -> Supervisor:
    clock = ManualClock()
    around = Surroundings(
        Config(), tmp_path, tmp_path, clock, os.urandom, make_logger("info", "plain", clock, log), None, None
    )
    return Supervisor(around, [], 1, EchoRoom().build)


def open_files() -> set[tuple[str, Path]]:
    """This process's, by number and what they are. Those of earlier tests may be closed between two looks, by who
    collects their garbage: a count would miss them."""
    folder = Path("/proc/self/fd")
    if not folder.exists():
        return set()
    return {(each.name, each.readlink()) for each in folder.iterdir() if each.is_symlink()}


def test_a_process_that_cannot_be_started_for_want_of_room_is_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_room() -> NoReturn:
        raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))

    log = io.StringIO()
    supervisor = supervisor_of(tmp_path, log)
    child = supervisor._children[0]
    monkeypatch.setattr(os, "fork", no_room)
    before = open_files()
    for tries in (1, 2):
        supervisor._fork_again(child)
        assert child.restart_at is not None
        assert child.pid == 0
        assert log.getvalue().count("process cannot be started") == tries
    assert os.strerror(errno.EAGAIN) in log.getvalue()
    assert open_files() <= before
    assert not signal.pthread_sigmask(signal.SIG_BLOCK, []) & {signal.SIGTERM, signal.SIGINT}
    supervisor._finish()


def test_a_server_that_has_no_room_for_its_workers_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_room() -> NoReturn:
        raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))

    monkeypatch.setattr(os, "fork", no_room)
    with pytest.raises(WorkerFailed, match=os.strerror(errno.EAGAIN)):
        supervisor_of(tmp_path, io.StringIO()).run(lambda _: None)


def test_a_worker_that_dies_on_a_disk_that_is_read_only_is_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read_only(_path: Path, missing_ok: bool = False) -> NoReturn:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    supervisor = supervisor_of(tmp_path, io.StringIO())
    child = supervisor._children[0]
    child.pid = 999_999
    monkeypatch.setattr(Path, "unlink", read_only)
    supervisor._died(child, -9)
    assert child.restart_at is not None
    supervisor._finish()


def test_a_server_goes_on_where_nobody_reads_its_log(tmp_path: Path) -> None:
    with program(tmp_path) as server:
        before = {worker.pid for worker in server.workers()}
        assert server.process.stderr is not None
        server.process.stderr.close()
        os.kill(min(before), signal.SIGKILL)  # told in the log, by the supervisor
        eventually(lambda: len({worker.pid for worker in server.workers()} - before) == 1)
        client = server.connect()
        assert client.line() == b"hello"
        assert client.ask(b"BOOM") == b""  # told in the log, by a worker: it ends that connection alone
        assert server.connect().line() == b"hello"
        server.signal(signal.SIGTERM)
        assert server.process.wait(PATIENCE) == 0


def test_workers_share_the_connections(tmp_path: Path) -> None:
    """One that is given no processor for a moment falls behind, and catches up: the next ones are its."""
    with program(tmp_path) as server:
        clients = [server.connect() for _ in range(40)]
        assert all(client.line() == b"hello" for client in clients)
        alike = 0
        while alike < 20:
            assert len(clients) < 200, "one has many more than the other"
            clients.append(server.connect())
            assert clients[-1].line() == b"hello"
            counts = sorted(len(worker.connections) for worker in server.workers())
            assert sum(counts) == len(clients)
            alike = alike + 1 if counts[1] - counts[0] <= 4 else 0


def test_workers_end_when_the_supervisor_is_killed(tmp_path: Path) -> None:
    with program(tmp_path) as server:
        client = server.connect()
        assert client.line() == b"hello"
        server.signal(signal.SIGKILL)
        assert client.line() == b"stopping"
        eventually(lambda: not server.workers())


def test_sighup_reads_the_certificate_again(tmp_path: Path) -> None:
    with program(tmp_path) as server:
        client = server.connect()
        assert client.line() == b"hello"
        server.signal(signal.SIGHUP)
        server.says("certificate loaded", 2)  # by each worker; one that hears SIGTERM at once need not
        assert client.ask(b"alive") == b"alive"
        server.signal(signal.SIGTERM)
        status, _ = server.ended()
        assert status == 0


def test_a_second_server_on_the_same_data_is_refused(tmp_path: Path) -> None:
    with program(tmp_path) as server:
        out, errors = start(tmp_path, IMAP, mode="demo").communicate(timeout=PATIENCE)
        assert out == ""  # nothing was prepared on another's data
        assert f"process {server.process.pid}" in errors
        assert "--data" in errors
        assert errors.count("\n") == 1
        assert server.connect().line() == b"hello"


def test_a_server_that_was_killed_and_not_asked_for_is_no_server(tmp_path: Path) -> None:
    """Its process stays as long as its parent does not ask for its status; nor do its workers' sockets stay."""
    with program(tmp_path) as server:
        dead = [worker.pid for worker in server.workers()]
        for pid in dead:
            os.kill(pid, signal.SIGSTOP)  # or it could end by itself, once the server is gone, before it is killed
        for pid in (server.process.pid, *dead):
            os.kill(pid, signal.SIGKILL)
        assert os.waitid(os.P_PID, server.process.pid, os.WEXITED | os.WNOWAIT) is not None
        with program(tmp_path) as again:
            assert again.lines[-1:] == ["ready"]
            eventually(lambda: len(again.workers()) == 2, "workers that tell what they do")
            there = {path.name for path in run_directory(tmp_path).glob("worker-*")}
            assert there.isdisjoint({f"worker-{pid}.status" for pid in dead})


def test_the_data_is_free_again_after_a_kill(tmp_path: Path) -> None:
    """The workers of a server that was killed hold its lock until they have ended: the next one waits for them."""
    with program(tmp_path) as server:
        slow = server.workers()[0].pid
        os.kill(slow, signal.SIGSTOP)
        server.signal(signal.SIGKILL)
        server.process.wait(PATIENCE)
        again = start(tmp_path, IMAP)
        try:
            eventually(lambda: again.poll() is not None or holds(again.pid, lock_file(tmp_path)), "the lock asked for")
        finally:
            os.kill(slow, signal.SIGCONT)
        try:
            assert Program(again, tmp_path).lines[-1:] == ["ready"]
        finally:
            again.kill()
            again.communicate(timeout=PATIENCE)


def holds(pid: int, path: Path) -> bool:
    """Whether a process has this file open."""
    try:
        return path in [link.readlink() for link in Path(f"/proc/{pid}/fd").iterdir()]
    except (FileNotFoundError, PermissionError):
        return False  # something was closed meanwhile, or it has ended


def test_a_port_in_use_is_one_clear_line(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        process = start(tmp_path, f"imap=127.0.0.1:{port}", mode="demo")
        out, errors = process.communicate(timeout=PATIENCE)
    assert process.returncode == 1
    assert out == ""  # nothing was prepared for a server that cannot be
    assert f"port {port} on 127.0.0.1 is in use" in errors
    assert "--listen imap=" in errors
    assert errors.count("\n") == 1


def test_a_data_folder_that_cannot_be_made_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    process = start(tmp_path / "file" / "data", IMAP)
    _, errors = process.communicate(timeout=PATIENCE)
    assert process.returncode == 1
    assert "cannot be made" in errors
    assert errors.count("\n") == 1


def test_a_store_that_refuses_stops_the_server_with_its_reason(tmp_path: Path) -> None:
    process = start(tmp_path, IMAP, mode="refuse")
    out, errors = process.communicate(timeout=PATIENCE)
    assert process.returncode == 1
    assert "ready" not in out
    assert errors == "This store is of a newer version. Use the newer program.\n"


def test_workers_that_die_at_their_start_stop_the_server(tmp_path: Path) -> None:
    process = start(tmp_path, IMAP, mode="crash", workers=1)
    out, errors = process.communicate(timeout=PATIENCE)
    assert process.returncode == 1
    assert "ready" not in out
    assert "end as soon as they start" in errors


def test_a_unix_socket_is_made_and_taken_away(tmp_path: Path) -> None:
    path = tmp_path / "lmtp.sock"
    with program(tmp_path, f"lmtp=unix:{path}") as server:
        with socket.socket(socket.AF_UNIX) as sock:
            sock.settimeout(PATIENCE)
            sock.connect(str(path))
            assert sock.recv(100) == b"hello\r\n"
        assert path.stat().st_mode & 0o777 == 0o660
        server.signal(signal.SIGTERM)
        assert server.ended()[0] == 0
    assert not path.exists()
