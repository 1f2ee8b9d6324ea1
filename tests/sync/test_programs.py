"""Random edits on both sides, runs and kills: both sides become the same, nothing is lost, nothing is there twice.

RESTANTE_SYNC_PROGRAMS says how many programs each test plays (a few here, thousands in `make soak`).
"""

from __future__ import annotations

import os
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from restante.sync.settings import Brake, CopySettings, End

from .memory import ALL, BARE, Abilities
from .programs import play

MANY = int(os.environ.get("RESTANTE_SYNC_PROGRAMS", "60"))
PROGRAMS = st.lists(st.integers(0, 16 * 2 * 7 * 500), min_size=1, max_size=25)
OFTEN = settings(max_examples=MANY, deadline=None, suppress_health_check=list(HealthCheck), print_blob=True)

ABILITIES: dict[str, tuple[Abilities, Abilities]] = {
    "all": (ALL, ALL),
    "bare-server": (BARE, ALL),
    "both-bare": (BARE, BARE),
    "no-ids": (replace(ALL, ids=False), ALL),
    "no-emails": (replace(ALL, emails=False), replace(ALL, emails=False)),
    "no-state": (ALL, replace(ALL, state=False)),
    "no-uids-told": (replace(ALL, tells=False), ALL),
    "no-move": (replace(ALL, moves=False), replace(ALL, emails=False, moves=False)),
    "no-sizes": (replace(ALL, emails=False), replace(ALL, emails=False, sizes=False)),
    "no-keywords": (ALL, replace(ALL, keywords=False)),
    "silent-about-keywords": (replace(ALL, vouches=False), replace(ALL, emails=False, vouches=False)),
    "no-log": (replace(ALL, log=False), ALL),
    "asked-for-emails": (replace(ALL, lists_emails=False), replace(ALL, lasting=False)),
    "file-names": (replace(ALL, emails=False, ids=False, roles=False), replace(ALL, lasting=False, roles=False)),
}
# A copy comes to where its equal has been removed and is to come back, a kill, and the copy is removed there, too.
SENT_WHERE_ONE_WENT = [2256, 0, 37, 6953, 18762, 1058, 18762]
# Somebody subscribes to a mailbox in the moment in which a run makes it on his side.
SUBSCRIBED_AS_IT_IS_MADE = [415, 27714]
# A move by copy is cut off before its removal, and its target is deleted on the side where the move was made.
TARGET_OF_A_MOVE_GOES = [415, 12441, 24165, 5000, 582, 99997]
FREE = CopySettings(brake=Brake(on=False), batch=3)
TIGHT = CopySettings(brake=Brake(emptied=1, share=0.3, least=2, number=3), batch=2)


@pytest.mark.parametrize("name", ABILITIES)
@given(program=PROGRAMS)
@OFTEN
def test_programs_converge(name: str, program: list[int]) -> None:
    one, two = ABILITIES[name]
    play(program, {End.ONE: one, End.TWO: two}, FREE)


@pytest.mark.parametrize("name", ABILITIES)
@given(program=PROGRAMS)
@example(program=TARGET_OF_A_MOVE_GOES)
@OFTEN
def test_programs_with_kills_converge(name: str, program: list[int]) -> None:
    one, two = ABILITIES[name]
    play(program, {End.ONE: one, End.TWO: two}, FREE, kills=True)


@pytest.mark.parametrize("accept", [True, False], ids=["accept", "refuse"])
@given(program=PROGRAMS)
@OFTEN
def test_programs_with_the_brake_converge(accept: bool, program: list[int]) -> None:
    play(program, {End.ONE: ALL, End.TWO: BARE}, TIGHT, kills=True, accept=accept)


@pytest.mark.parametrize("name", ["all", "no-emails"])
@given(program=PROGRAMS)
@OFTEN
def test_programs_with_edits_meanwhile_converge(name: str, program: list[int]) -> None:
    one, two = ABILITIES[name]
    play(program, {End.ONE: one, End.TWO: two}, FREE, during=True)


@given(program=PROGRAMS)
@OFTEN
def test_programs_where_removals_win_converge(program: list[int]) -> None:
    play(program, {End.ONE: ALL, End.TWO: ALL}, replace(FREE, removal_wins=True), kills=True)


@pytest.mark.parametrize("kills", [False, True], ids=["whole", "killed"])
@pytest.mark.parametrize("name", ABILITIES)
@given(program=PROGRAMS)
@example(program=SENT_WHERE_ONE_WENT)
@OFTEN
def test_programs_with_copies_converge(name: str, kills: bool, program: list[int]) -> None:
    """What somebody copied is there at most as often, and never lost altogether."""
    one, two = ABILITIES[name]
    play(program, {End.ONE: one, End.TWO: two}, FREE, kills=kills, copying=True)


@pytest.mark.parametrize("name", ["all", "no-emails", "asked-for-emails"])
@given(program=PROGRAMS)
@example(program=SUBSCRIBED_AS_IT_IS_MADE)
@OFTEN
def test_programs_with_copies_and_edits_meanwhile_converge(name: str, program: list[int]) -> None:
    one, two = ABILITIES[name]
    play(program, {End.ONE: one, End.TWO: two}, FREE, during=True, copying=True)
