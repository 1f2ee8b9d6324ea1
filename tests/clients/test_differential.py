"""The same random commands to this server and to Dovecot: what differs beyond a server's free choices is explained
in `differential/differences.py`, by reason and RFC section, or is a fault."""

from __future__ import annotations

import os
import re

import pytest

from .differential.commands import Commands
from .differential.differences import explained
from .differential.normal import Answer, answer
from .differential.peers import IMAP, dovecot, ours
from .support import Reader

COMMANDS = int(os.environ.get("RESTANTE_DIFFERENTIAL", "400"))


@pytest.mark.client
@pytest.mark.skipif(not IMAP.exists() or os.geteuid() != 0, reason="dovecot-imapd, run as root")
@pytest.mark.parametrize("seed", range(6))
def test_dovecot_answers_the_same(empty: Reader, seed: int) -> None:
    commands, log = Commands(seed), []
    with ours(empty.server.host, empty.server.imap, empty.user, empty.password) as one, dovecot() as other:
        for name in (b"Drafts", b"Sent", b"Junk", b"Trash", b"Archive"):
            one.do(b"DELETE " + name)
            one.do(b"UNSUBSCRIBE " + name)
        one.do(b"UNSUBSCRIBE INBOX")
        for peer in (one, other):
            assert b" OK" in peer.do(b"CREATE Work")[-1]
        for _ in range(COMMANDS):
            command = commands.next()
            log.append(command[:200])
            mine, theirs = one.do(command), other.do(command)
            _follow(commands, command, mine)
            told, expected = answer(mine), answer(theirs)
            if told != expected and not explained(command, told, expected):
                pytest.fail(_report(log, told, expected))
            if b"APPEND" in command[:10] and commands.selected:  # both may tell of it later: let them
                _follow(commands, b"NOOP", one.do(b"NOOP"))
                other.do(b"NOOP")


def _follow(commands: Commands, command: bytes, lines: list[bytes]) -> None:
    """What is selected now, and how many messages are there."""
    verb, done = command.split(b" ")[0], b" OK" in lines[-1][:12]
    if verb in (b"SELECT", b"EXAMINE"):
        commands.selected, commands.read_only = done, verb == b"EXAMINE"
        commands.name = command.partition(b" ")[2]
    elif verb in (b"CLOSE", b"UNSELECT") and done:
        commands.selected = False
    for line in lines:
        if b"[CLOSED]" in line and verb not in (b"SELECT", b"EXAMINE"):
            commands.selected = False
        if found := re.match(rb"\* (\d+) (EXISTS|EXPUNGE)", line):
            commands.count = int(found[1]) if found[2] == b"EXISTS" else commands.count - 1


def _report(log: list[bytes], told: Answer, expected: Answer) -> str:
    mine, theirs = set(map(repr, told.data)), set(map(repr, expected.data))
    return "\n".join(
        (
            *(repr(command) for command in log[-6:]),
            f"we: {told.status} [{told.code}], Dovecot: {expected.status} [{expected.code}]",
            *(f"we alone: {one}" for one in sorted(mine - theirs)),
            *(f"Dovecot alone: {one}" for one in sorted(theirs - mine)),
        )
    )
