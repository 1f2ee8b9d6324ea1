"""Running copies from the command line: signals, progress, and what is said of each run."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING

from ..clock import SystemClock, system_random
from ..errors import Refusal
from ..sync.config import Copies
from ..sync.copy import Copy, Fetched, Pop3Copy, RunReport
from ..sync.handed import let_go
from ..sync.watch import Cause, Stop
from ..values import Record, Value, field, replace
from .statuses import Exit
from .sync_ends import exit_of, load, worse
from .words import complain, count, echo, human_size, status_of

if TYPE_CHECKING:
    from ..sync.settings import Progress, Report, Tally
    from .sync_progress import Bar

MOST_TOLD = 20
"""Messages set aside or mailboxes left out that are named one by one."""

GRACE = 5.0
"""Seconds that an action gets to end after a signal, where it says nothing of its progress."""


class Options(Value, frozen=True):
    watching: bool = False
    dry_run: bool = False
    only: tuple[str, ...] = ()
    as_json: bool = False
    quiet: bool = False
    same_account: bool = False
    login: bool = False
    retry: bool = False


class Running(Record):
    """What the copies of one invocation have in common."""

    options: Options
    several: bool
    stop: Stop = field(default_factory=Stop)
    status: Exit = Exit.OK
    bar: Bar | None = None
    task: asyncio.Task[None] | None = None

    def progress(self, name: str, progress: Progress) -> None:
        """After each batch: the moment to end where that is wished."""
        if self.stop.wanted and self.task is not None:
            self.task.cancel()
        if self.options.quiet or self.options.as_json:
            return
        if self.bar is None:
            from .sync_progress import make_bar

            self.bar = make_bar()
        self.bar.show(name, progress)

    def told(self, report: RunReport) -> None:
        """At the end of each run."""
        if self.bar is not None:
            self.bar.close()
            self.bar = None
        self.status = worse(self.status, exit_of(report)) if not self.options.watching else self.status
        try:
            self._say(report)
        except BrokenPipeError:
            self._unheard()

    def _say(self, report: RunReport) -> None:
        if self.options.as_json:
            from .sync_json import line

            echo(line(report))
            sys.stdout.flush()
            return
        tell(report, self.options)
        # While watching, who waits for a network is told so by `waiting`, with the delay.
        if report.problem is not None and not self.options.watching:
            self._complain(report.name, report.problem)

    def _unheard(self) -> None:
        """Who read this has gone (`| head`). The mail is carried all the same; a watcher, which might talk to nobody
        for ever, ends."""
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)
        if self.options.watching:
            self.stop.set()

    def waiting(self, name: str, refusal: Refusal | None, delay: float) -> None:
        """While watching: what is wrong with a copy, and when it is tried again."""
        if refusal is None:
            if not self.options.quiet:
                echo(f"{name}: connected again.", err=True)
            return
        if refusal.code == "FAULT" and refusal.__cause__ is not None:
            import traceback

            echo("".join(traceback.format_exception(refusal.__cause__)), err=True, nl=False)
        self._complain(name, refusal)
        echo(f"  Trying again in {delay:.0f} s.", err=True)

    def fault(self, name: str) -> None:
        """While it is handled: show where it is."""
        import traceback

        echo(f"{name}: a fault of restante's:\n{traceback.format_exc()}", err=True)
        self.status = worse(self.status, Exit.REFUSED)

    def _complain(self, name: str, refusal: Refusal) -> None:
        if self.several:
            echo(f"{name}:", err=True)
        complain(refusal)


def run_copies(copies: Copies, data: Path, options: Options, settled: Collection[str] = ()) -> Exit:
    """Run them, once or until a signal; the exit status. settled: copies that are done already."""
    running = Running(options, len(copies.copies) > 1)
    if settled:
        copies = replace(copies, copies={name: each for name, each in copies.copies.items() if name not in settled})
    try:
        asyncio.run(_main(copies, data, running))
    except asyncio.CancelledError:  # a signal: what was done is done, the journal has the rest
        if not options.watching:
            running.status = worse(running.status, Exit.TEMPORARY)
    finally:
        if running.bar is not None:
            running.bar.close()
    return running.status


def run_plain(data: str, config: str, names: list[str], quiet: bool, settled: Collection[str] = ()) -> int:
    """The exit status of `restante sync` as `entry.plain_sync` understood it: as click has it run, without click."""
    try:
        copies, place = load(tuple(names), Path(data) if data else None, Path(config) if config else None)
        return int(run_copies(copies, place, Options(quiet=quiet), settled))
    except Refusal as refusal:
        complain(refusal)
        return int(status_of(refusal))
    except KeyboardInterrupt:  # before there was a loop that minds signals, or after it
        return int(Exit.TEMPORARY)
    finally:
        let_go()


async def _main(copies: Copies, data: Path, running: Running) -> None:
    from ..sync.assemble import Wishes, assemble

    running.task = asyncio.current_task()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, _signalled, running, loop)
    clock = SystemClock()
    options = running.options
    wishes = Wishes(options.only, options.dry_run, options.watching, options.same_account, options.login, options.retry)
    with assemble(
        copies, data, wishes, clock, system_random, progress=running.progress, tell=running.told
    ) as put_together:
        if options.watching:
            from ..sync.watch import watch_all

            intervals = [copies.copies[each.name].interval for each in put_together]
            pairs = list(zip(put_together, intervals, strict=True))
            await watch_all(pairs, running.stop, clock, system_random, running.waiting)
            return
        # One after the other: two accounts at once would share one line, and their reports would mingle.
        for each in put_together:
            if running.stop.wanted:
                return
            await _once(each, running)


async def _once(copy: Copy | Pop3Copy, running: Running) -> None:
    try:
        await copy.open()
        await copy.run(Cause.BEGIN)
    except Refusal:
        pass  # told with the run's report
    except BrokenPipeError:
        raise  # nobody reads what is said any more: no fault of the copy's
    except Exception:  # noqa: BLE001 (a fault of one copy is no reason to leave out the others)
        running.fault(copy.name)
    finally:
        await copy.close()


def _signalled(running: Running, loop: asyncio.AbstractEventLoop) -> None:
    """The first lets the action under way end, where that takes a moment; the second does not wait."""
    task = running.task
    if task is None:
        return
    if running.stop.wanted:
        task.cancel()
        return
    running.stop.set()
    if not running.options.watching:
        loop.call_later(GRACE, task.cancel)


# What is said -----------------------------------------------------------------------------------------


def tell(report: RunReport, options: Options) -> None:
    """A run in a few lines: nothing where nothing was done while watching."""
    if report.sync is not None:
        _tell_sync(report, report.sync, options)
    if report.fetched is not None:
        did = report.fetched
        text = _would(did) if options.dry_run else _fetched(did)
        if not options.quiet:
            echo(f"{report.name}: {text}.")
        _some(f"{report.name}: left on the server:", did.left)
        for note in did.notes:
            echo(f"{report.name}: {note}", err=True)
    outbox = report.outbox
    if outbox is not None:
        if outbox.sent and not options.quiet:
            echo(f"{report.name}: sent {count(outbox.sent, 'message')}.")
        if outbox.returned:
            echo(f"{report.name}: {count(outbox.returned, 'message')} came back; INBOX has why.", err=True)
        if outbox.uncertain:
            echo(
                f"{report.name}: of {count(outbox.uncertain, 'message')} nobody knows whether it was sent: "
                "restante send --list",
                err=True,
            )
        if outbox.waiting and not options.quiet:
            echo(f"{report.name}: {count(outbox.waiting, 'message')} waiting to be sent.", err=True)


def _fetched(did: Fetched) -> str:
    """What a fetch by POP3 did."""
    text = f"{count(did.downloaded, 'new message')} ({human_size(did.octets)})" if did.downloaded else "no new mail"
    if did.recognised:
        text += f", {count(did.recognised, 'message')} recognised"
    if did.passed:
        text += f", {did.passed} on the server passed over"
    if did.deleted:
        text += f", {did.deleted} removed from the server"
    if did.remaining:
        text += f", {did.remaining} left for the next run"
    return text


def _would(did: Fetched) -> str:
    """What it would do: what is here already may be recognised instead of downloaded."""
    steps = []
    if did.downloaded:
        steps.append(f"download {count(did.downloaded, 'message')} ({human_size(did.octets)}), or recognise them here")
    if did.deleted:
        steps.append(f"remove {count(did.deleted, 'message')} from the server")
    if did.passed:
        steps.append(f"pass over {did.passed} on the server")
    if did.remaining:
        steps.append(f"leave {did.remaining} for the next run")
    return "; ".join(steps) or "nothing to do"


def _tell_sync(report: RunReport, sync: Report, options: Options) -> None:
    for line in sync.plan:
        echo(f"{report.name}: {line}")
    if options.dry_run:
        if not sync.plan:
            echo(f"{report.name}: nothing to do.")
    elif not options.quiet and (sync.changed or not options.watching):
        here, there = did(sync.two), did(sync.one)
        words = [f"here {here}"] if here else []
        words += [f"on the server {there}"] if there else []
        echo(f"{report.name}: {'; '.join(words) or 'nothing had changed'}.")
        if sync.placeholders:
            echo(f"{report.name}: {count(sync.placeholders, 'placeholder')} for large messages.")
    waiting = [each for each in sync.held if each.accepted is None]
    for each in waiting:
        echo(
            f"{report.name}: held: {count(each.messages, 'message')} of {each.mailbox} would be removed "
            f"({REASONS.get(each.reason, each.reason)}).",
            err=True,
        )
    if waiting:
        echo("  Decide: restante sync removals list, then accept or refuse.", err=True)
    _some(
        f"{report.name}: set aside:",
        tuple(
            f"{each.mailbox}, message {each.uid}{f' ({human_size(each.size)})' if each.size else ''}: {each.reason}"
            for each in sync.aside
        ),
        "restante sync status --json",
    )
    if sync.aside and not options.watching:
        echo("  Try again now: restante sync --retry", err=True)
    _some(f"{report.name}: left out:", tuple(f"{each.mailbox}: {each.reason}" for each in sync.left_out))


REASONS = {
    "vanished": "the mailbox is gone",
    "emptied": "the mailbox is empty all at once",
    "share": "a large share of the mailbox",
    "number": "many at once",
    "renumbered": "the mailbox was numbered anew and lacks them: another account, or a restored server?",
}


def did(tally: Tally) -> str:
    """What was done to one side, in words; "" where nothing was."""
    words = []
    if tally.added:
        words.append(f"{tally.added} new ({human_size(tally.octets)})")
    for number, word in (
        (tally.moved, "moved"), (tally.copied, "copied"), (tally.removed, "removed"),
        (tally.flagged, "with other flags"),
    ):  # fmt: skip
        if number:
            words.append(f"{number} {word}")
    for number, word in ((tally.created, "made"), (tally.renamed, "renamed"), (tally.deleted, "deleted")):
        if number:
            words.append(f"{count(number, 'mailbox')} {word}")
    return ", ".join(words)


def _some(head: str, lines: tuple[str, ...], whole: str = "restante sync run --json") -> None:
    """The first of them. whole: what lists all."""
    if not lines:
        return
    echo(head, err=True)
    for line in lines[:MOST_TOLD]:
        echo(f"  {line}", err=True)
    if len(lines) > MOST_TOLD:
        echo(f"  ... and {len(lines) - MOST_TOLD} more; {whole} lists all.", err=True)
