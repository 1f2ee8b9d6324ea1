"""Random edits on both sides by other programs, runs, and runs that are cut off, between real servers and folders.

The programs are those of `programs`, the sides are real: Debian's Dovecot and Restante, each with capabilities switched
off in turn, and a Maildir or a store. RESTANTE_SYNC_PROGRAMS says how many there are (a few here, more in `make soak`).
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from restante.sync.maildir import Layout
from restante.sync.settings import Brake, CopySettings, End
from restante.testing.server import RestanteServer

from .real import Ground, Real, Server, StoreGround, Tree, play, program_of
from .remote_support import LEAST, PASSWORD, USER, dovecot, dovecot_home, has_sessions, needs_dovecot, restante

pytestmark = pytest.mark.in_memory

MANY = max(1, int(os.environ.get("RESTANTE_SYNC_PROGRAMS", "60")) // 30)
SETTINGS = CopySettings(brake=Brake(on=False), batch=4)
DOVEADM = Path("/usr/bin/doveadm")

WITHOUT: dict[str, frozenset[str]] = {
    "all": frozenset(),
    "no-qresync": frozenset({"QRESYNC"}),
    "no-condstore": frozenset({"QRESYNC", "CONDSTORE"}),
    "no-uidplus": frozenset({"UIDPLUS", "IMAP4REV2"}),
    "no-move": frozenset({"MOVE", "IMAP4REV2"}),
    "no-objectid": frozenset({"OBJECTID"}),
    "no-list-status": frozenset({"LIST-STATUS", "LIST-EXTENDED", "IMAP4REV2"}),
    "no-multiappend": frozenset({"MULTIAPPEND", "LITERAL+", "LITERAL-", "IMAP4REV2"}),
    "bare": LEAST | {"LITERAL+"},
}
NEAR = ["maildir++", "maildir", "store"]


def near(kind: str, folder: Path) -> Ground:
    if kind == "store":
        return StoreGround(folder)
    return Tree(folder, Layout.PLAIN if kind == "maildir" else Layout.MAILDIRPP)


def cases(of: dict[str, frozenset[str]]) -> list[tuple[str, str, int]]:
    """Each set of capabilities, with each kind of copy in turn."""
    names = list(of)
    return [(name, NEAR[(names.index(name) + seed) % len(NEAR)], seed) for name in names for seed in range(MANY)]


# Dovecot -------------------------------------------------------------------------------------------------


@pytest.fixture
def home() -> Iterator[Path]:
    folder = dovecot_home()
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


def renumber_dovecot(home: Path, name: str) -> None:
    """Dovecot's own tool gives the mailbox another UIDVALIDITY; the messages keep UIDs that mean nothing then."""
    number = int.from_bytes(os.urandom(3)) + 1
    command = [str(DOVEADM), "-c", str(home / "dovecot.conf"), "mailbox", "update", "--uid-validity", str(number), name]
    subprocess.run(
        command, check=True, env={"HOME": str(home), "USER": USER, "PATH": "/usr/bin:/bin"}, user=USER, group="nogroup"
    )


@needs_dovecot
@pytest.mark.parametrize(("without", "kind", "seed"), cases({k: v for k, v in WITHOUT.items() if k != "no-objectid"}))
def test_programs_with_dovecot_converge(without: str, kind: str, seed: int, home: Path, tmp_path: Path) -> None:
    address = dovecot(home)
    server = Server(address, WITHOUT[without], lambda name: renumber_dovecot(home, name), lambda: has_sessions(home))
    real = Real(tmp_path, {End.ONE: server, End.TWO: near(kind, tmp_path)}, SETTINGS)
    play(real, program_of(1000 * sorted(WITHOUT).index(without) + seed))


# Restante ------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RestanteServer]:
    with RestanteServer(tmp_path_factory.mktemp("server")) as running:
        yield running


@pytest.mark.parametrize(("without", "kind", "seed"), cases(WITHOUT))
def test_programs_with_restante_converge(
    without: str, kind: str, seed: int, server: RestanteServer, tmp_path: Path
) -> None:
    user = f"{without}-{seed}@example.org"
    server.add_account(user, PASSWORD)
    ground = Server(restante(server, user), WITHOUT[without], busy=lambda: server.connections)
    real = Real(tmp_path, {End.ONE: ground, End.TWO: near(kind, tmp_path)}, SETTINGS)
    play(real, program_of(1000 * sorted(WITHOUT).index(without) + seed + 500))
