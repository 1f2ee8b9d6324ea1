"""The tutorial of the local copy as a newcomer reads it: each command is typed, and says what the page says."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from restante.config.load import docs_of
from restante.sync.config import (
    BrakeTable,
    CopyTable,
    DownloadTable,
    OAuth2Table,
    SendTable,
    TrashTable,
)
from restante.sync.load import parse_copies

from ..ports import free_port
from ..sync.outbox.sink import Sink, serving
from .pages import ROOT, blocks

PAGE = ROOT / "docs" / "sync.md"
_STEP = re.compile(r"^<!-- (\w+) -->$|^```console\n(.*?)^```$|^```ini\n(\[copy.*?)^```$", re.MULTILINE | re.DOTALL)


@contextmanager
def demo(data: Path, port: int) -> Iterator[None]:
    """`make serve`, on a port of its own."""
    listen = ["--listen", f"imap=127.0.0.1:{port}"]
    listen += [f"--listen={name}=127.0.0.1:0" for name in ("imaps", "pop3", "pop3s", "lmtp")]
    command = [sys.executable, "-m", "restante", "--data", str(data), "serve", "--demo", *listen]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as server:
        assert server.stdout is not None
        try:
            assert any(line == "ready\n" for line in server.stdout)
            yield
        finally:
            server.terminate()


class Reader:
    """Somebody with a home folder and a shell."""

    def __init__(self, folder: Path, imap: int) -> None:
        self.home = folder / "home"
        self.imap = imap
        programs = folder / "bin"
        programs.mkdir(parents=True)
        self.file = self.home / ".config" / "restante" / "sync.toml"
        self.file.parent.mkdir(parents=True)
        self.file.write_text(f'data = "{folder}/data"\n')  # root's would be /var/lib/restante
        program = programs / "restante"
        program.write_text(f'#!/bin/sh\nexec {sys.executable} -m restante "$@"\n')
        program.chmod(0o755)
        hidden = ("XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME", "RESTANTE_DATA")
        self.environment = {name: value for name, value in os.environ.items() if name not in hidden} | {
            "HOME": str(self.home), "PATH": f"{programs}:{os.environ['PATH']}", "LC_ALL": "C.UTF-8",
            "PYTHONPATH": os.pathsep.join(sys.path),
        }  # fmt: skip

    def type(self, commands: list[str]) -> list[str]:
        """What one shell says to these, with its errors, as on a terminal."""
        script = "\n".join(commands).replace("127.0.0.1:1143", f"127.0.0.1:{self.imap}")
        done = subprocess.run(
            ["sh"], input=script, env=self.environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            text=True, timeout=120,
        )  # fmt: skip
        said = done.stdout.replace(str(self.home), "~").replace(f"127.0.0.1', {self.imap}", "127.0.0.1', 1143")
        return said.replace(f"127.0.0.1:{self.imap}", "127.0.0.1:1143").splitlines()


def alike(line: str) -> str:
    """Sizes (the demo's dates differ in length), names that are drawn, times, and how far columns stand apart."""
    line = re.sub(r"\(\d[\d.]* k?B\)", "(SIZE)", line)
    line = re.sub(r"\d{8}-\d{6}-[0-9a-f]{8}", "NAME", line)
    line = re.sub(r"\d{4}-\d\d-\d\dT[\d:]+Z", "TIME", line)
    return re.sub(r"  +", "  ", line)


def follow(reader: Reader, text: str, at: Mapping[str, Callable[[], object]]) -> int:
    """Type what the text says; at: what is done where it has this mark. How many commands there were."""
    typed = 0
    for mark, block, table in _STEP.findall(text):
        if mark:
            at[mark]()
            continue
        if table:
            with reader.file.open("a") as file:
                file.write(f"\n{table}")
            at["table"]()
            continue
        lines = block.splitlines()
        assert lines[0].startswith("$ ")
        # `$?` needs the shell of the command before it, so a block is one script; marks show whose words are whose.
        script: list[str] = []
        expected: list[str] = []
        for line in lines:
            if line.startswith("$ "):
                script += [f"set -- $?; echo @@{len(script)}; (exit $1)", line[2:]]
                expected.append(f"@@{len(script) - 2}")
                typed += 1
            else:
                expected.append(alike(line))
        assert [alike(line) for line in reader.type(script)] == expected
    return typed


def section(start: str, end: str) -> str:
    text = PAGE.read_text("utf-8")
    return text[text.index(f"\n{start}\n") : text.index(f"\n{end}")]


@pytest.mark.slow
def test_the_tutorial_does_what_it_says(tmp_path: Path) -> None:
    port = free_port()
    reader = Reader(tmp_path, port)
    servers = [demo(tmp_path / "server", port), demo(tmp_path / "server", port)]
    running = []

    def start() -> None:
        running.append(servers.pop())
        running[-1].__enter__()

    def stop() -> None:
        running.pop().__exit__(None, None, None)

    sink = Sink(mechanisms=("PLAIN",), user="demo@example.org", password="restante")

    def at_the_sink() -> None:
        text = reader.file.read_text().replace(
            'smtp = "smtp.example.com"', f'smtp = "127.0.0.1:{sink.port}"\ntls = "none"'
        )
        assert f"127.0.0.1:{sink.port}" in text
        reader.file.write_text(text)

    start()
    try:
        at = {"offline": stop, "online": start, "table": at_the_sink}
        assert follow(reader, section("## Copy your mail in five minutes", "## A password"), at) > 12
        with serving(sink):
            assert follow(reader, section("## Sending: the outbox", "**Once.** Before"), at) == 3
        assert [each.recipients for each in sink.taken] == [["tom@example.org"]]
    finally:
        while running:
            stop()


def test_what_people_come_from_has_a_key_that_is_there() -> None:
    tables = (CopyTable, SendTable, OAuth2Table, BrakeTable, TrashTable, DownloadTable)
    known = {key for table in tables for key in docs_of(table)}
    rows = re.findall(r"^\|.*\|([^|]*)\|$", (ROOT / "docs" / "coming-from.md").read_text("utf-8"), re.MULTILINE)
    named = {code.partition(" = ")[0] for row in rows for code in re.findall(r"`([a-z_0-9]+(?: = [^`]*)?)`", row)}
    assert len(named) > 15
    assert named <= known
    for line in {code for row in rows for code in re.findall(r"`([a-z_0-9]+ = [^`.]*)`", row)}:
        key = line.partition(" = ")[0]
        table = "download" if key in docs_of(DownloadTable) else ""
        base = {"imap": '"i"', "maildir": '"~/m"', "user": '"u"', "password_command": '"p"', "layout": '"plain"'}
        if table:
            base["pop3"] = base.pop("imap")
        base.pop(key, None)
        lines = [f"{name} = {value}" for name, value in base.items()]
        parse_copies("\n".join(["[copy.x]", *lines, f"[copy.x.{table}]" if table else "", line]), Path("x"))


def test_mutt_takes_what_the_page_gives_it(tmp_path: Path) -> None:
    program = shutil.which("mutt") or shutil.which("neomutt")
    if program is None:
        pytest.skip("mutt is not installed")
    (lines,) = blocks(PAGE, "muttrc")
    for name in ("cur", "new", "tmp"):
        (tmp_path / "Mail" / name).mkdir(parents=True)
    (tmp_path / ".muttrc").write_text(lines)
    asked = subprocess.run(
        [program, "-Q", "spoolfile", "-Q", "sendmail"], env=os.environ | {"HOME": str(tmp_path)}, capture_output=True,
        text=True, timeout=30, check=True,
    )  # fmt: skip
    assert "restante-sendmail -oi" in asked.stdout
    assert asked.stderr == ""


def test_systemd_takes_the_unit_of_the_page(tmp_path: Path) -> None:
    program = shutil.which("systemd-analyze")
    if program is None:
        pytest.skip("systemd-analyze is not installed")
    (unit,) = [block for block in blocks(PAGE, "ini") if block.startswith("[Unit]")]
    file = tmp_path / "restante-sync.service"
    file.write_text(unit.replace("%h/.local/bin/restante", sys.executable))
    asked = subprocess.run([program, "--user", "verify", str(file)], capture_output=True, text=True, timeout=60)
    complaints = [line for line in asked.stderr.splitlines() if file.name in line]
    assert complaints == []
