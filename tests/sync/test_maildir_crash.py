"""A process that is killed at any step leaves nothing lost and nothing twice, and the next one goes on."""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from restante.sync.maildir import Layout, MaildirSide
from restante.sync.model import FlagChange, Flags

from .maildirs import NONE, SEEN, everything, message, run, side, text

pytestmark = [
    pytest.mark.crash,
    pytest.mark.in_memory,
    pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork"),
]

MANY: Flags = frozenset({f"keyword{number:02}" for number in range(28)})
EVENTS = ("os.rename", "os.remove", "os.link", "os.mkdir", "os.rmdir", "os.utime", "open", "os.truncate")
KILLED = 9
Act = Callable[[MaildirSide], Coroutine[Any, Any, None]]


def killed(home: Path, act: Act, at: int, layout: Layout) -> bool:
    """Do it in a process that ends before its `at`-th step or file operation in the tree; whether it came so far."""
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            count, armed = 0, False

            def step(label: str) -> None:
                nonlocal count
                if armed:
                    count += 1
                    if count == at:
                        os._exit(KILLED)

            def audit(event: str, args: tuple[object, ...]) -> None:
                if event in EVENTS:
                    step(event)

            sys.addaudithook(audit)

            async def go() -> None:
                nonlocal armed
                one = side(home, step=step, layout=layout)
                await one.open()
                await one.places()
                armed = True
                await act(one)
                armed = False
                await one.close()

            asyncio.run(go())
            status = 0
        finally:
            os._exit(status)
    _, result = os.waitpid(pid, 0)
    code = os.waitstatus_to_exitcode(result)
    assert code in (0, KILLED)
    return code == KILLED


def prepare(home: Path, layout: Layout) -> None:
    async def act(one: MaildirSide) -> None:
        await one.create("Work", None)
        await one.create("Work/Deep", "\\Archive")
        await one.add("INBOX", [message(1), message(2, SEEN), message(3, MANY)])
        await one.add("Work", [message(4, SEEN)])
        await one.add("Work/Deep", [message(5)])
        await one.places()

    run(home, act, layout=layout)


async def uids(one: MaildirSide, name: str = "INBOX") -> list[int]:
    return list((await everything(one, name)).uids)


Picture = dict[str, list[tuple[bytes, Flags]]]


async def picture(one: MaildirSide) -> Picture:
    """Octets and flags by mailbox."""
    found: Picture = {}
    for place in await one.places():
        if not place.selectable:
            continue
        assert place.state is not None
        messages = [each async for each in one.fetch(place.name, await uids(one, place.name))]
        found[place.name] = sorted(((each.data, each.flags) for each in messages), key=repr)
        assert len(messages) == place.messages
    return found


async def add(one: MaildirSide) -> None:
    await one.add("INBOX", [message(10), message(11, SEEN), message(12, MANY | {"other"})])


async def flag(one: MaildirSide) -> None:
    await one.set_flags("INBOX", [FlagChange(await uids(one), MANY | {"other", "\\Flagged"}, SEEN)])


async def remove(one: MaildirSide) -> None:
    await one.remove("INBOX", (await uids(one))[:2])


async def move(one: MaildirSide) -> None:
    await one.move("INBOX", await uids(one), "Work")


async def copy(one: MaildirSide) -> None:
    await one.copy("INBOX", await uids(one), "Work")


async def create(one: MaildirSide) -> None:
    await one.create("A.b/c", "\\Sent")


async def rename(one: MaildirSide) -> None:
    await one.rename("Work", "New.name")


async def delete(one: MaildirSide) -> None:
    await one.delete("Work/Deep")


async def again_what_is_lacking(one: MaildirSide, act: Act, before: Picture, after: Picture) -> None:
    """What a planner would do in the next run: by content, what is not there yet."""
    now = await picture(one)
    if act is add:
        there = {data for data, _ in now["INBOX"]}
        lacking = [m for m in (message(10), message(11, SEEN), message(12, MANY | {"other"})) if m.data not in there]
        await one.add("INBOX", lacking)
    elif act is remove:
        there = {data for data, _ in after["INBOX"]}
        found = [each async for each in one.fetch("INBOX", await uids(one))]
        await one.remove("INBOX", [each.uid for each in found if each.data not in there])
    elif act is copy:
        there = {data for data, _ in now["Work"]}
        found = [each async for each in one.fetch("INBOX", await uids(one))]
        await one.copy("INBOX", [each.uid for each in found if each.data not in there], "Work")
    elif act is create:
        if "A.b/c" not in now:
            await act(one)
    elif act is rename:
        if "Work" in now:
            await act(one)
    elif act is delete:
        if "Work/Deep" in now:
            await act(one)
    else:
        await act(one)


def all_octets(found: Picture) -> set[bytes]:
    return {data for messages in found.values() for data, _ in messages}


CASES = [(act, Layout.MAILDIRPP) for act in (add, flag, remove, move, copy, create, rename, delete)]
CASES += [(act, Layout.PLAIN) for act in (create, rename, delete)]


@pytest.mark.parametrize(("act", "layout"), CASES, ids=[f"{act.__name__}-{layout.value}" for act, layout in CASES])
def test_a_kill_at_any_step_is_made_good_by_the_next_run(tmp_path: Path, act: Act, layout: Layout) -> None:
    prepare(tmp_path / "start", layout)
    before = run(tmp_path / "start", picture, layout=layout)
    shutil.copytree(tmp_path / "start", tmp_path / "whole", symlinks=True)
    assert not killed(tmp_path / "whole", act, 0, layout)
    after = run(tmp_path / "whole", picture, layout=layout)
    assert after != before
    at = 1
    while True:
        home = tmp_path / str(at)
        shutil.copytree(tmp_path / "start", home, symlinks=True)
        if not killed(home, act, at, layout):
            break

        async def look(one: MaildirSide) -> None:
            now = await picture(one)
            for messages in now.values():
                assert len({data for data, _ in messages}) == len(messages)  # nothing twice
            assert all_octets(now) >= all_octets(before) & all_octets(after)  # nothing lost
            if act is move:
                assert sum(map(len, now.values())) == sum(map(len, before.values()))
            await again_what_is_lacking(one, act, before, after)
            assert await picture(one) == after

        run(home, look, layout=layout)
        shutil.rmtree(home)
        at += 1
    assert at > 5


def test_what_a_crash_left_in_tmp_is_swept_when_it_is_old(tmp_path: Path) -> None:
    run(tmp_path, lambda one: one.places())
    tmp = tmp_path / "Mail" / "tmp"
    old, young, foreign = tmp / "1.Rabc.restante,S=1", tmp / "2.Rabc.restante,S=1", tmp / "3.other"
    for path in (old, young, foreign):
        path.write_bytes(text(1))

    class Later:
        """A clock two days ahead for what is old, by the file it looks at."""

        def now(self) -> float:
            return young.stat().st_ctime + 3600

        def monotonic(self) -> float:
            return 0.0

    async def act(one: MaildirSide) -> None:
        await one.add("INBOX", [message(1, NONE)])

    run(tmp_path, act, clock=Later())
    assert sorted(path.name for path in tmp.iterdir()) == [old.name, young.name, foreign.name]

    class MuchLater(Later):
        def now(self) -> float:
            return young.stat().st_ctime + 3 * 86400

    run(tmp_path, act, clock=MuchLater())
    assert [path.name for path in tmp.iterdir()] == [foreign.name]
