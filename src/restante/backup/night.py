"""A night's work: a snapshot, then the retention's rule, then a share of the backup read back. What no snapshot needs
any more is looked for in one night of seven.

Each step says what is wrong and the next goes on, except after a run that took no snapshot: then nothing is forgotten
either. Cut off anywhere, it leaves a valid repository (see `run`, `prune`, `verify`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

from ..clock import Clock
from ..errors import Refusal
from . import names
from .outcome import Night
from .prune import prune
from .repository import Repository, Snapshot
from .retention import Keep
from .run import Done, run
from .source import NOBODY, Source, Standing
from .verify import Verified, checked, verify
from .walked import Walks

TOLD = 5
"""Accounts and damages named in a reason; the rest is counted."""
RECLAIMED = 7
"""Once in so many snapshots room is reclaimed: all lists of all snapshots are gone through for it, ten times the work
of a run in a night in which little changed."""
YESTERDAY = 23 * 3600
"""Seconds between two nights at least, as a rule: a day, less an hour where clocks change."""


async def night(
    engine: Source,
    repository: Repository,
    clock: Clock,
    host: str,
    files: Mapping[str, bytes],
    keep: Keep,
    standing: Mapping[str, Standing] = NOBODY,
    walks: Walks | None = None,
) -> Night:
    """Do a night's work. keep: all zero prunes nothing; nor is anything pruned at an append-only location, whose keeper
    does that, or of a sealed backup that cannot be read: what a snapshot needs is not known then.
    standing: see `run`. walks: see `verify`.

    Refusals are told in `problems`; faults pass.
    """
    problems: list[str] = []
    try:
        done = await run(engine, repository, clock, host, files, standing=standing)
    except Refusal as refusal:
        return Night(problems=(str(refusal),), passing=refusal.temporary)
    problems += _left_out(done)
    problems += _cut([f"{name} was missing from the backup; its copy was put in its place." for name in done.put_back])
    passing = len(done.failed) == done.passing and not (done.unreadable or done.put_back)
    forgotten = 0
    wanted = bool(keep.daily or keep.weekly or keep.monthly)
    if wanted and repository.reads and repository.location.removes:
        try:
            pruned = await asyncio.to_thread(prune, repository, keep, int(clock.now()), zone=None, reclaim=is_turn)
            forgotten = len(pruned.forgotten)
        except Refusal as refusal:
            problems.append(f"Old snapshots were not forgotten: {refusal}")
            passing = passing and refusal.temporary
    read_back, seen = 0, None
    try:
        verified = await asyncio.to_thread(verify, repository, int(clock.now()), everything=False, walks=walks)
        read_back, seen = verified.octets, checked(verified)
        problems += _damages(verified)
        passing = passing and verified.right
        if verified.unnoted is not None:  # else every night might read the same share, and no other
            problems.append(f"What was read back cannot be noted: {verified.unnoted}")
            passing = passing and verified.unnoted.temporary
    except Refusal as refusal:
        problems.append(f"Nothing was read back: {refusal}")
        passing = passing and refusal.temporary
    passing = passing and bool(problems)
    return Night(
        done.snapshot.id, done.messages, done.written, forgotten, read_back, tuple(problems), passing=passing,
        checked=seen, unpruned=wanted and not repository.reads,
    )  # fmt: skip


def is_turn(snapshots: Sequence[Snapshot]) -> bool:
    """Whether `RECLAIMED` divides the number of the newest snapshot, or of another one since the night before. By
    numbers, so that nothing has to be remembered; not by the newest's alone, which might never be such a one: with six
    other snapshots each day, say, or where a night that failed then is tried again. snapshots: oldest first."""
    if not snapshots:
        return True
    numbers = [names.snapshot_serial(one.name) for one in snapshots]
    before = [n for n, one in zip(numbers, snapshots, strict=True) if one.data.at <= snapshots[-1].data.at - YESTERDAY]
    since = before[-1] if before else numbers[0] - 1  # those before may have been forgotten
    return numbers[-1] // RECLAIMED > since // RECLAIMED


def _left_out(done: Done) -> list[str]:
    found = [f"{address} was left out: {why}" for address, why in done.failed]
    found += [
        f"{number} messages of {address} cannot be read: run 'restante doctor'." for address, number in done.unreadable
    ]
    return _cut(found)


def _damages(verified: Verified) -> list[str]:
    if verified.right:
        return []
    found = [each.text for each in verified.damages]
    found += [f"{each.what}: {each.error.text}" for each in verified.broken]
    found = _cut(found)
    if verified.touched:
        found.append(f"{len(verified.touched)} messages are lost in the backup.")
    return [*found, "Run 'restante backup verify --all'."]


def _cut(found: list[str]) -> list[str]:
    return found if len(found) <= TOLD else [*found[:TOLD], f"... and {len(found) - TOLD} more."]
