"""Exit statuses of every command, in one place; `restante --help` lists them."""

from __future__ import annotations

from enum import IntEnum


class Exit(IntEnum):
    """What a command's exit status says. Numbers from 64 up are those of sysexits.h, which MTAs read."""

    OK = 0
    REFUSED = 1
    USAGE = 2
    NOT_FOUND = 3
    FINDINGS = 4
    NO_USER = 67
    UNAVAILABLE = 69
    CANNOT_CREATE = 73
    TEMPORARY = 75
    LOGIN = 77

    @property
    def meaning(self) -> str:
        return MEANINGS[self]


MEANINGS = {
    Exit.OK: "done",
    Exit.REFUSED: "refused or failed; stderr says why and what to do",
    Exit.USAGE: "the command line was not understood",
    Exit.NOT_FOUND: "no such account, domain, alias, file, backup or snapshot",
    Exit.FINDINGS: "doctor found something that is not repaired; import, export or backup left something out; dedupe"
    " left some in place; sync held removals, set messages aside or left mailboxes out, or does not know whether a"
    " message was sent; migrate: messages were not copied, are missing or differ; backup verify found damage, backup"
    " drill differences; backup status: the nightly backup fails, or its drills; rewind: messages could not be brought"
    " back",
    Exit.NO_USER: "deliver: no such recipient",
    Exit.UNAVAILABLE: "deliver: refused for good (quota, disabled account, unusable message)",
    Exit.CANNOT_CREATE: "deliver: the message cannot be stored",
    Exit.TEMPORARY: "not now: the same command may succeed later (an MTA keeps the message; sync: no connection)",
    Exit.LOGIN: "sync: a server refused the login, or there is no password or token for it",
}
