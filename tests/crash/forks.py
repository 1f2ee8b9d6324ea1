"""Processes that are there to be killed, many of one kind: each is a fork of one that has imported what they need.

An interpreter takes half a second of a core until it has imported a store or a backup, a fork of it some
milliseconds. What forks has one thread and has opened nothing, so a child is what a process of its own would be. One
child at a time.

    with Forks(PROGRAM) as forks:            # PROGRAM defines main(*words)
        child = forks.start("words", "more")
        child.out.readline()
        child.kill()
        assert child.wait() == -signal.SIGKILL
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Self, TextIO

ROOT = Path(__file__).parents[2]
PATIENCE = 120.0
"""Seconds in which what forks answers, or ends when it is told to, on however busy a machine."""

PARENT = """
import json, os, signal, socket, sys, traceback

control, program = socket.socket(fileno=int(sys.argv[1])), {"__name__": "program"}
exec(sys.argv[2], program)
control.send(b"ready\\n")
while True:
    asked, pipes = b"", []
    while not asked.endswith(b"\\n"):
        part, more, _, _ = socket.recv_fds(control, 1 << 16, 2)
        if not part:
            sys.exit()
        asked += part
        pipes += more
    pid = os.fork()
    if not pid:
        status = 1
        try:
            control.close()
            for number, pipe in enumerate(pipes, 1):
                os.dup2(pipe, number)
                os.close(pipe)
            words, environ = json.loads(asked)
            os.environ.clear()
            os.environ.update(environ)
            program["main"](*words)
            status = 0
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(status)
    for pipe in pipes:
        os.close(pipe)
    control.send(b"%d\\n" % pid)
    if not control.recv(1):  # who asked has gone
        os.kill(pid, signal.SIGKILL)
        sys.exit()
    control.send(b"%d\\n" % os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
"""


class Child:
    """out, errors: what it writes."""

    def __init__(self, pid: int, out: TextIO, errors: TextIO, control: socket.socket, answers: TextIO) -> None:
        self.pid = pid
        self.out, self.errors = out, errors
        self._control, self._answers = control, answers

    def kill(self) -> None:
        """Also where it has ended by itself: its number is its own until `wait`."""
        os.kill(self.pid, signal.SIGKILL)

    def wait(self) -> int:
        """Its exit status; minus the signal that killed it."""
        self.out.close()
        self.errors.close()
        self._control.send(b"w")
        return int(self._answers.readline())


class Forks:
    """program: code that defines `main(*words)`, run in each child."""

    def __init__(self, program: str) -> None:
        self._control, theirs = socket.socketpair()
        with theirs:
            environ = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT / "src"), str(ROOT)])}
            self._parent = subprocess.Popen(
                [sys.executable, "-c", PARENT, str(theirs.fileno()), program],
                pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL, cwd=ROOT, env=environ,
            )  # fmt: skip
        self._control.settimeout(PATIENCE)
        self._answers = self._control.makefile("r", encoding="ascii")
        assert self._answers.readline() == "ready\n", "the program cannot be imported"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._answers.close()
        self._control.close()
        self._parent.wait(PATIENCE)

    def start(self, *words: str) -> Child:
        """A child that runs `main(*words)` in the environment of now."""
        (out, theirs), (errors, also) = os.pipe(), os.pipe()
        asked = json.dumps([words, dict(os.environ)]).encode() + b"\n"
        socket.send_fds(self._control, [asked], [theirs, also])
        os.close(theirs)
        os.close(also)
        pid = int(self._answers.readline())
        out_file, errors_file = os.fdopen(out, encoding="utf-8"), os.fdopen(errors, encoding="utf-8")
        return Child(pid, out_file, errors_file, self._control, self._answers)
