"""Transcripts as tests: what clients say, what the server must answer, line by line.

    A> SELECT INBOX          client A sends this (a tag and CRLF are added)
    A< * 3 EXISTS            client A gets this line, in this order, and nothing else before its tagged response
    A< ...                   any number of lines
    A< T OK [READ-WRITE] ... the tagged response; text behind "..." is not looked at
    A! 2 EXPUNGE             client A, in IDLE, is told this unasked (whatever stands around it)
    A+ DONE                  client A sends this line without a tag; several that stand next are sent in one piece, as
                             the lines of a literal are

`<n>` stands for a number, `<id>` for an identity, `<date>` for a date-time; a remembered one is written
`<n:name>` and then means the same number everywhere. Literals in answers are shown as their raw lines.
"""

from __future__ import annotations

import re

from .support import Client, World

PLACES = re.compile(r"<(n|id|date|any)(?::(\w+))?>")
SHAPES = {"n": r"\d+", "id": r"[A-Za-z0-9]+", "date": r'"[^"]*"', "any": r".*"}


class Transcript:
    """Plays one transcript in a world; clients are made as they are named. logins: who each logs in as."""

    def __init__(self, world: World, setup: tuple[bytes, ...] = (), *, logins: dict[str, bytes] | None = None) -> None:
        self.world = world
        self.setup = setup
        self.logins = logins or {}
        self.clients: dict[str, Client] = {}
        self.names: dict[str, str] = {}

    async def play(self, text: str) -> None:
        """Raises AssertionError with both sides where an answer differs."""
        lines = [
            line.strip() for line in text.strip().splitlines() if line.strip() and not line.strip().startswith("#")
        ]
        i = 0
        while i < len(lines):
            who, kind, rest = lines[i][0], lines[i][1], lines[i][3:]
            i += 1
            client = await self._client(who)
            if kind == "!":
                await client.pushed(self._filled(rest).encode())
                continue
            while kind == "+" and i < len(lines) and lines[i][:2] == f"{who}+":
                rest += "\r\n" + lines[i][3:]
                i += 1
            expected: list[str] = []
            while i < len(lines) and lines[i][:2] == f"{who}<":
                expected.append(lines[i][3:])
                i += 1
            sent = self._filled(rest).encode()
            if kind == "+":
                got = await client.raw(sent + b"\r\n", b"t%d" % client._number)
                got = got.replace(b"t%d " % client._number, b"T ")
            else:
                got = await client.do(sent)
            self._compare(rest, expected, got.decode("utf-8", "surrogateescape").split("\r\n")[:-1])

    async def _client(self, who: str) -> Client:
        if who not in self.clients:
            self.clients[who] = await self.world.client(*self.setup, user=self.logins.get(who, b"user"))
        return self.clients[who]

    def _filled(self, text: str) -> str:
        return re.sub(r"<(?:n|id):(\w+)>", lambda m: self.names[m[1]], text)

    def _compare(self, command: str, expected: list[str], got: list[str]) -> None:
        at = 0
        for n, line in enumerate(expected):
            if line == "...":
                following = expected[n + 1] if n + 1 < len(expected) else None
                while at < len(got) and (following is None or not self._matches(following, got[at])):
                    at += 1
                continue
            assert at < len(got), (command, line, "nothing more came", got)
            assert self._matches(line, got[at]), (command, line, got[at:], got)
            at += 1
        assert at == len(got), (command, "more than expected", got[at:])

    def _matches(self, line: str, got: str) -> bool:
        pattern, end = "", 0
        open_end = line.endswith(" ...")
        line = line.removesuffix(" ...")
        groups: list[str] = []
        for place in PLACES.finditer(line):
            pattern += re.escape(line[end : place.start()])
            shape, name = SHAPES[place[1]], place[2]
            if name and name in self.names:
                pattern += re.escape(self.names[name])
            else:
                pattern += f"({shape})"
                groups.append(name or "")
            end = place.end()
        pattern += re.escape(line[end:]) + (r"(?: .*)?" if open_end else "")
        match = re.fullmatch(pattern, got, re.DOTALL)
        if match is None:
            return False
        self.names.update({name: match[i] for i, name in enumerate(groups, 1) if name})
        return True
