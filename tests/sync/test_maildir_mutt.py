"""mutt and neomutt on the tree, with a person's keys, while we work on it too."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from restante.sync.maildir import MaildirSide
from restante.sync.model import FlagChange, Flags

from ..clients.screen import Screen
from ..clients.support import program
from .maildirs import NONE, SEEN, everything, message, opened

pytestmark = pytest.mark.client


@pytest.fixture(params=["mutt", "neomutt"])
def name(request: pytest.FixtureRequest) -> str:
    chosen: str = request.param
    program(chosen)
    program("tmux")
    return chosen


def mutt(home: Path, name: str) -> Screen:
    rc = home / "muttrc"
    rc.write_text(
        f"""set folder="{home}/Mail" spoolfile="{home}/Mail" mbox_type=Maildir header_cache=""
set move=no quit=yes delete=yes confirmappend=no confirmcreate=no wait_key=no mark_old=no sleep_time=0 timeout=1
set mail_check=1 sort=subject pager_index_lines=0 charset=utf-8 maildir_trash=no
set index_format="%3C %Z %s"
"""
    )
    return Screen(home, [program(name), "-n", "-F", str(rc)])


@asynccontextmanager
async def terminal(home: Path, name: str) -> AsyncIterator[Screen]:
    screen = mutt(home, name)
    await asyncio.to_thread(screen.__enter__)
    try:
        yield screen
    finally:
        await asyncio.to_thread(screen.__exit__, None, None, None)


async def see(screen: Screen, *words: str) -> None:
    await asyncio.to_thread(screen.see, *words)


async def flags(one: MaildirSide, name: str = "INBOX") -> dict[int, Flags]:
    """By the number in the subject."""
    changes = await everything(one, name)
    known = dict(zip(changes.uids, changes.flags, strict=True))
    found = {}
    async for each in one.fetch(name, changes.uids):
        number = re.search(rb"Subject: number (\d+)", each.data)
        assert number is not None
        found[int(number[1])] = known[each.uid]
    return found


def test_an_evening_with_the_copy(tmp_path: Path, name: str) -> None:
    async def act() -> None:
        async with opened(tmp_path) as one:
            await one.create("Work", None)
            keyword: Flags = frozenset({"Important", "\\Seen"})
            await one.add("INBOX", [message(1, keyword), message(2), message(3, SEEN), message(4, SEEN)])
            before = await everything(one)
            async with terminal(tmp_path, name) as screen:
                await see(screen, "number 1", "number 2", "number 3", "number 4")
                # Read the second, flag the first, delete the third, file the fourth.
                screen.type("2", "Enter", "Enter")
                await see(screen, "body 2")
                screen.type("i")
                await see(screen, "number 4")
                screen.type("1", "Enter", "F", "3", "Enter", "d", "4", "Enter", "s", "C-a", "C-k", "=.Work", "Enter")
                screen.type("$")
                await see(screen, "Msgs:2 ")
                assert await flags(one) == {1: keyword | {"\\Flagged"}, 2: SEEN}
                assert await flags(one, "Work") == {4: SEEN}
                after = await one.changes("INBOX", before.cursor)
                assert list(after.vanished) == list(before.uids[2:])
                # Now we work while the index is open, and the reader then, on what it knows and what it does not.
                await one.add("INBOX", [message(5)])
                await one.set_flags("INBOX", [FlagChange(list(before.uids[:1]), NONE, frozenset({"\\Flagged"}))])
                screen.type("2", "Enter", "F", "$", "q")
                await asyncio.to_thread(screen.gone)
            async with terminal(tmp_path, name) as screen:
                await see(screen, "number 1", "number 2", "number 5")
                screen.type("q")
                await asyncio.to_thread(screen.gone)
            assert await flags(one) == {1: keyword, 2: SEEN | {"\\Flagged"}, 5: NONE}

    asyncio.run(act())
