"""The nightly backup: when it is due, what came of it, and who hears of that.

    waiting --due--> running (a process of its own) --ended--> noted, logged, the postmaster told --> waiting
                     running --failed, for a passing reason--> a pause --> running, as long as there is night left
                     running --server stops--> killed, nothing noted: due again at the next start

It lives in the background process, so it is there once and never runs twice at a time. Instants come from the clock
and are looked at twice a minute, since a wall clock may be set and a machine may sleep.

Must not know: how a backup is made (`nightly_process`, `backup.night`).
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path

import msgspec
from msgspec.structs import replace

from ..backup.outcome import Night
from ..backup.schedule import DAY, Retries, Schedule, parse_time
from ..clock import Clock, Random
from ..config.model import Config
from ..store.interface import Engine
from .backup_metrics import write_metrics
from .logs import Logger
from .nightly_state import Nights, Order, read_nights, write_nights
from .postmaster import tell_postmaster

LOOK = 30.0
"""Seconds between two looks at the clock."""

LONGEST = 3 * DAY
"""Seconds after which a night is ended: a run alone gives up after two days."""

SOON = 60.0
"""Seconds before a night in which this process is not to be replaced by another, which would wait for it as well."""

AGAIN = 3600.0
"""Seconds after a fault of ours."""

Perform = Callable[[Order], Awaitable[Night]]


class Nightly:
    """The job of one process, from `start` to `stop`. Does nothing where no location or no schedule is configured.

    perform, sleep, look (seconds between looks at a night that is at work): replaced by tests.
    """

    def __init__(
        self,
        engine: Engine,
        config: Config,
        data: Path,
        config_file: Path | None,
        clock: Clock,
        random: Random,
        log: Logger,
        *,
        perform: Perform | None = None,
        look: float = LOOK,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._engine = engine
        self._config = config
        self._data = data.absolute()
        self._order = Order(config, str(self._data), str(config_file.absolute()) if config_file else None)
        self._clock = clock
        self._random = random
        self._log = log
        self._perform = perform or in_process
        self._look = look
        self._sleep = sleep
        self._schedule = schedule_of(config)
        self._retries = Retries(config.backup.retry)
        self._task: asyncio.Task[None] | None = None
        self._working = False
        self._due: float | None = None

    @property
    def working(self) -> bool:
        """Whether a night's work is under way, or so soon that this is not the time to end the process."""
        return self._working or (self._due is not None and self._due - self._clock.now() < SOON)

    def start(self) -> None:
        if self._schedule is not None:
            self._task = asyncio.get_running_loop().create_task(self._run(self._schedule))

    async def stop(self) -> None:
        """End what runs and wait until it has ended."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    async def _run(self, schedule: Schedule) -> None:
        while True:
            try:
                await self._nights(schedule)
            except Exception as error:  # noqa: BLE001 - the job's outer edge: the next night may succeed
                self._log.error("the nightly backup's schedule failed", fault=error)
            await self._sleep(AGAIN)

    async def _nights(self, schedule: Schedule) -> None:
        """One night after the other, for ever."""
        now = self._clock.now()
        nights = read_nights(self._data) or Nights(since=now, attended=schedule.before(now))
        while True:
            due = schedule.due(nights.attended, self._clock.now(), self._random)
            self._due = due
            nights = replace(nights, next=due)
            await self._note(nights)
            if await self._comes(due):
                self._working = True
                try:
                    nights = await self._night(schedule, replace(nights, next=None))
                finally:
                    self._working = False

    async def _comes(self, due: float, most: float = 2 * DAY) -> bool:
        """Wait for an instant; False where the clock was put back meanwhile, so that it lies further ahead than `most`
        seconds, as none does."""
        while (left := due - self._clock.now()) > 0:
            if left > most:
                return False
            await self._sleep(min(left, LOOK))
        return True

    async def _night(self, schedule: Schedule, nights: Nights) -> Nights:
        """Do a night's work, again after a pause where it failed for a passing reason; what is known then, noted."""
        begun, attended, tried = self._clock.monotonic(), 0.0, 0
        while True:
            attended = max(attended, schedule.before(self._clock.now()))
            night, nights = await self._attempt(schedule, nights)
            ended, now, tried = self._clock.monotonic(), self._clock.now(), tried + 1
            if not night.problems:
                nights = replace(nights, attended=attended, nights=nights.nights + 1, seconds=ended - begun)
                return await self._good(nights, night)
            reason = " ".join(night.problems)
            until = ended + schedule.after(attended) - now
            at = self._retries.again(begun, ended, tried, until) if night.passing else None
            if at is None:
                reason += f" It was tried {tried} times." if tried > 1 else ""
                nights = replace(nights, attended=attended, nights=nights.nights + 1, failures=nights.failures + 1)
                return await self._bad(nights, reason)
            self._log.warning("nightly backup is tried again", attempt=tried, seconds=round(at - ended), reason=reason)
            again = now + at - ended
            nights = replace(nights, tried=tried, trouble=reason, next=again, retries=nights.retries + 1)
            await self._note(nights)
            await self._comes(again, self._retries.longest)  # or the clock was put back: then it is tried at once
            nights = replace(nights, next=None)

    async def _attempt(self, schedule: Schedule, nights: Nights) -> tuple[Night, Nights]:
        """Have a night's work done once; what came of it, and what is known then: of one that is still at work when the
        next night has come, the postmaster hears at once."""
        await self._note(nights)
        self._log.info("nightly backup begins", location=self._config.backup.location)
        task = asyncio.ensure_future(self._perform(self._order))
        # In seconds that pass: a wall clock that is put right meanwhile makes no night a late one.
        begun = self._clock.monotonic()
        late = begun + self._until_next(schedule)
        try:
            while not (await asyncio.wait([task], timeout=self._look))[0]:
                passed = self._clock.monotonic()
                if late <= passed:
                    nights = await self._bad(nights, "The backup of the night before is still at work.")
                    late = passed + self._until_next(schedule)
                if passed - begun > LONGEST:
                    break
            if task.done():
                return task.result(), nights
            return Night(problems=("It took more than three days and was ended.",)), nights
        finally:
            if not task.done():
                task.cancel()
                await asyncio.wait([task])

    def _until_next(self, schedule: Schedule) -> float:
        now = self._clock.now()
        return schedule.after(now) - now

    async def _good(self, nights: Nights, night: Night) -> Nights:
        self._log.info(
            "nightly backup done",
            snapshot=night.snapshot,
            messages=night.messages,
            written=night.written,
            forgotten=night.forgotten,
            read_back=night.read_back,
        )
        if night.unpruned and not nights.unpruned:
            self._log.info("the backup is sealed: old snapshots stay until 'restante backup prune' has its private key")
        if night.drilled is not None:
            drilled = night.drilled
            self._log.info(
                "restore drill done",
                snapshot=drilled.snapshot,
                accounts=drilled.accounts,
                messages=drilled.messages,
                seconds=round(drilled.restoring + drilled.comparing, 1),
                seed=drilled.seed,
            )
        told, now = nights.told, self._clock.now()
        if nights.failure is not None and nights.failure > now:
            # A clock that has been put back since; else that night would seem to be the last one until then.
            nights = replace(nights, failure=now)
        nights = replace(
            nights, success=now, snapshot=night.snapshot, told=False, tried=0, trouble="",
            written=night.written, messages=night.messages, unpruned=night.unpruned,
        )  # fmt: skip
        await self._note(nights)
        if told:
            text = f"The nightly backup works again. The snapshot {night.snapshot} is complete.\n"
            await self._tell("The nightly backup works again", text)
        return nights

    async def _bad(self, nights: Nights, reason: str) -> Nights:
        self._log.error("nightly backup failed", reason=reason)
        now = self._clock.now()
        if nights.success is not None and nights.success >= now:
            nights = replace(nights, success=now - 1.0)  # as in `_good`
        nights = replace(nights, failure=now, reason=reason, tried=0, trouble="")
        await self._note(nights)
        if not nights.told:
            last = f"of {_text(nights.success)}" if nights.success is not None else "none so far"
            text = (
                f"The nightly backup of {self._data} to {self._config.backup.location} failed:\n\n{reason}\n\n"
                f"The last good one: {last}. It is tried again each night; there is one more message when it works"
                " again.\n'restante backup status' says how it stands.\n"
            )
            nights = replace(nights, told=await self._tell("The nightly backup failed", text))
            await self._note(nights)
        return nights

    async def _tell(self, subject: str, text: str) -> bool:
        return await tell_postmaster(self._engine, self._config, self._clock, self._random, self._log, subject, text)

    async def _note(self, nights: Nights) -> None:
        """Keep what is known. A full disk is logged: the backup goes on, and its failure would be told by mail."""
        try:
            await asyncio.to_thread(write_nights, self._data, nights)
        except OSError as error:
            self._log.error("what is known of the nightly backup cannot be kept", reason=error.strerror)
        try:
            await asyncio.to_thread(write_metrics, self._config, self._data)
        except OSError as error:
            self._log.error("the backup's metrics cannot be written", reason=error.strerror)


def schedule_of(config: Config) -> Schedule | None:
    """The configured schedule, by this machine's wall clock; None where there is none."""
    at = parse_time(config.backup.schedule)
    return Schedule(at, None, config.backup.jitter) if at is not None and config.backup.location else None


async def in_process(order: Order) -> Night:
    """`nightly_process` with this order. Cancelled, it is killed."""
    try:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "restante.server.nightly_process",
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
    except OSError as error:
        return Night(problems=(f"The backup's process cannot be started ({error.strerror}).",), passing=True)
    try:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(msgspec.json.encode(order) + b"\n")  # and stays open: its end would be ours
        said = await process.stdout.read()
        status = await process.wait()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    try:
        if status == 0:
            return msgspec.json.decode(said, type=Night)
    except msgspec.DecodeError:
        pass  # as good as no answer
    text = f"The backup's process ended with status {status}; the server's log may say why."
    return Night(problems=(text,), passing=status < 0)  # killed: as a rule for want of memory


def _text(instant: float) -> str:
    return datetime.fromtimestamp(instant, UTC).strftime("%Y-%m-%d %H:%M UTC")
