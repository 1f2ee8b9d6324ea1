"""Telling a client that its command is still being worked on: INPROGRESS. RFC 9585.

    * OK [INPROGRESS ("tag" 454 1000)] Still working on it.

Said every twelve seconds while a command runs that may take long and, until it answers, writes whole responses
only (`SLOW`: FETCH streams literals and is never silent for long; where another command's updates bring new messages
along, as NOTIFY and contexts may ask, nothing is said from then on). Where such a command knows how far it has come,
it reports (`report`): what searches in messages of one mailbox, or in mailboxes, APPEND in messages. COPY, MOVE,
STORE and EXPUNGE are one change of the store, all of it or none: no number is between, they are told as alive. A
session has one timer, armed by its first slow command and moved lazily: a busy session pays for a look at the time.

Must not know what any command does.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from ..grammar import commands as c

if TYPE_CHECKING:
    from .session import ImapSession

INTERVAL = 12.0
"""Seconds between notifications: 10 to 15 are recommended (RFC 9585 4)."""

SLOW: frozenset[type[c.Command]] = frozenset(
    {
        c.Append,
        c.Replace,
        c.Search,
        c.ESearch,
        c.Sort,
        c.Thread,
        c.Copy,
        c.Move,
        c.Store,
        c.Expunge,
        c.Close,
        c.Delete,
        c.Rename,
    }
)
"""Commands whose time grows with messages. None of them gives way to other tasks with half a response written."""


class Progress:
    """How one session's command is getting on."""

    __slots__ = ("_at", "_done", "_goal", "_loop", "_session", "_tag", "_timer")

    def __init__(self, session: ImapSession) -> None:
        self._session = session
        self._loop: asyncio.AbstractEventLoop | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._tag: bytes | None = None
        self._at = 0.0
        self._done: int | None = None
        self._goal = 0

    def begin(self, tag: bytes) -> None:
        """A command that may be slow begins."""
        loop = self._loop
        if loop is None:
            loop = self._loop = asyncio.get_running_loop()
        self._tag, self._done = tag, None
        self._at = loop.time() + INTERVAL
        if self._timer is None:
            self._timer = loop.call_at(self._at, self._tick)

    def end(self) -> None:
        """The command has been answered, or is about to be."""
        self._tag = None

    def close(self) -> None:
        """The session ends."""
        self._tag = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def report(self, done: int, goal: int) -> None:
        """The command has dealt with `done` of `goal` items. Cheap: nothing is said before its time."""
        self._done, self._goal = done, goal

    def _tick(self) -> None:
        self._timer = None
        if self._tag is None or self._loop is None:
            return
        if self._loop.time() + 0.001 >= self._at:
            said = self._session.text(b"Still working on it.")
            self._session.say_now(b"* OK [%b] %b\r\n" % (self._code(self._tag), said))
            self._at = self._loop.time() + INTERVAL
        self._timer = self._loop.call_at(self._at, self._tick)

    def _code(self, tag: bytes) -> bytes:
        """RFC 9585 5: a tag that would end the code is not shown; the goal is above the progress, or unknown."""
        shown = b"NIL" if b"]" in tag else b'"' + tag + b'"'
        if self._done is None:
            return b"INPROGRESS (%b NIL NIL)" % shown
        if self._done >= self._goal:
            return b"INPROGRESS (%b %d NIL)" % (shown, self._done)
        return b"INPROGRESS (%b %d %d)" % (shown, self._done, self._goal)
