"""When what search keeps of new mail is made: on a loop whose time jumps to the next timer."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from restante.store.sqlite.indexes import PATIENCE, TURN, Filler
from tests.sync.test_watch import JumpingLoop

AFTER = 0.5
FIRST = PATIENCE * AFTER


class Looks:
    """A filler whose looks are written down. left: steps that an account still needs."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, float]] = []
        self.left: dict[str, int] = {}
        self.filler = Filler(self._fill, AFTER)
        self.began = asyncio.get_running_loop().time()
        self.meanwhile: Callable[[], None] | None = None
        """Happens while a look finds nothing more."""

    async def _fill(self, account: str) -> int:
        if not self.left.get(account):
            if self.meanwhile is not None:
                meanwhile, self.meanwhile = self.meanwhile, None
                meanwhile()
            return 0
        self.left[account] -= 1
        self.seen.append((account, round(asyncio.get_running_loop().time() - self.began, 1)))
        return 64

    def mail(self, account: str, steps: int = 1) -> None:
        self.left[account] = self.left.get(account, 0) + steps
        self.filler.note(account)

    async def ended(self) -> None:
        while self.filler.working:  # noqa: ASYNC110 - the filler tells nobody when it is done
            await asyncio.sleep(AFTER / 10)


def play(scene: Callable[[Looks], Awaitable[None]]) -> list[tuple[str, float]]:
    async def main() -> list[tuple[str, float]]:
        looks = Looks()
        await scene(looks)
        await looks.ended()
        assert not any(looks.left.values())
        return looks.seen

    with asyncio.Runner(loop_factory=JumpingLoop) as runner:
        return runner.run(main())


def test_an_account_that_had_no_mail_is_opened_once_for_what_comes_shortly_after() -> None:
    async def scene(looks: Looks) -> None:
        for account in ("a", "b"):
            looks.mail(account)
        await asyncio.sleep(FIRST / 2)
        looks.left["a"] = 1  # two messages, one step: they are made together
        looks.filler.note("a")

    assert play(scene) == [("a", FIRST), ("b", FIRST)]


def test_one_that_gets_mail_all_the_time_is_not_left_to_grow() -> None:
    async def scene(looks: Looks) -> None:
        looks.mail("a")
        looks.mail("b")
        looks.meanwhile = lambda: looks.mail("a")  # too late for this look

    assert play(scene) == [("a", FIRST), ("b", FIRST), ("a", FIRST + AFTER)]


def test_the_last_mail_of_an_account_that_was_named_just_before_a_look_is_not_left_behind() -> None:
    async def scene(looks: Looks) -> None:
        looks.mail("a")
        await asyncio.sleep(FIRST - AFTER / 10)
        looks.filler.note("a")
        await asyncio.sleep(AFTER / 5)
        looks.left["a"] = 1  # filed behind the look; whoever notes it has said so just now, and does not again

    seen = play(scene)
    assert [account for account, _ in seen] == ["a", "a"]
    assert FIRST + AFTER <= seen[1][1] < FIRST + 2 * AFTER


def test_a_long_account_does_not_hold_up_the_others() -> None:
    async def scene(looks: Looks) -> None:
        looks.mail("a", TURN + 1)
        looks.mail("b")

    seen = [account for account, _ in play(scene)]
    assert seen == ["a"] * TURN + ["b", "a"]
