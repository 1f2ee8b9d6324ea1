"""Analysis in processes beside this one: the same as here, whoever dies, however many ask."""

from __future__ import annotations

import asyncio

import pytest

from restante.analysts import asking, pool
from restante.analysts.pool import Analysts
from restante.analysts.work import Analysing
from restante.mime.analyse import analyse
from restante.mime.model import DEFAULT_LIMITS


def octets(number: int, size: int = 0) -> bytes:
    return b"Subject: %d\r\n\r\nBody %d\r\n" % (number, number) + b"x" * size


def test_an_analyst_that_is_killed_is_done_without(caplog: pytest.LogCaptureFixture) -> None:
    async def go() -> None:
        group = Analysts(Analysing(DEFAULT_LIMITS), cores=3)
        try:
            group._messages = pool.MANY
            messages = [octets(n) for n in range(50)]
            alone = [analyse(data, DEFAULT_LIMITS) for data in messages]
            assert await group.analyse(messages) == alone
            assert len(group._processes._all) == 2
            for one in group._processes._all:
                one._process.kill()
                one._process.wait()
            assert await group.analyse(messages) == alone
            assert await group.analyse(messages) == alone
        finally:
            group.close()
        assert all(one._process.returncode is not None for one in group._processes._all)

    asyncio.run(go())
    assert "going on without" in caplog.text


def test_groups_that_fill_the_pipes_are_answered_each_by_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "MANY_OCTETS", 0)
    groups = [[octets(number * 100 + at, 60_000) for at in range(50)] for number in range(12)]  # 3 MB each

    async def go() -> None:
        group = Analysts(Analysing(DEFAULT_LIMITS), cores=2)
        try:
            found = await asyncio.gather(*(group.analyse(messages) for messages in groups))
            assert len(group._processes._all) == 1
        finally:
            group.close()
        assert found == [[analyse(data, DEFAULT_LIMITS) for data in messages] for messages in groups]

    asyncio.run(go())


def test_analysts_that_are_asked_when_all_is_given_up_are_gone_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "MANY", 0)

    async def go() -> None:
        group = Analysts(Analysing(DEFAULT_LIMITS), cores=2)
        asking = [asyncio.create_task(group.analyse([octets(n) for n in range(2_000)])) for _ in range(4)]
        await asyncio.sleep(0)
        assert group._processes._all
        for task in asking:
            task.cancel()
        group.close()
        await asyncio.gather(*asking, return_exceptions=True)
        assert all(task.cancelled() for task in asking)
        assert group._processes._all[0]._process.returncode is not None

    asyncio.run(go())


@pytest.mark.parametrize("started", [0, 1])
def test_where_no_process_can_be_started_all_is_analysed_all_the_same(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, started: int
) -> None:
    monkeypatch.setattr(pool, "MANY", 0)
    real, left = asking.Process, [None] * started

    def begin(module: str, told: bytes) -> asking.Process:
        if not left:
            raise BlockingIOError(11, "Resource temporarily unavailable")
        left.pop()
        return real(module, told)

    monkeypatch.setattr(asking, "Process", begin)

    async def go() -> None:
        group = Analysts(Analysing(DEFAULT_LIMITS), cores=3)
        try:
            async with asyncio.timeout(30):
                for _ in range(2):
                    found = await group.analyse([octets(1)])
                    assert found == [analyse(octets(1), DEFAULT_LIMITS)]
            assert len(group._processes._all) == started
        finally:
            group.close()

    asyncio.run(go())
    assert "cannot be started" in caplog.text


@pytest.mark.parametrize(
    ("messages", "cores", "started"),
    [(pool.EXPECTED - 1, 2, 0), (pool.EXPECTED, 2, 1), (pool.FULL, 2, 2), (pool.FULL, 1, 0), (pool.FULL, 9, pool.MOST)],
)
def test_where_thousands_are_announced_no_core_waits(
    monkeypatch: pytest.MonkeyPatch, messages: int, cores: int, started: int
) -> None:
    begun: list[bytes] = []
    monkeypatch.setattr(asking, "Process", lambda _, told: begun.append(told))
    Analysts(Analysing(DEFAULT_LIMITS), cores).expect(messages)
    assert len(begun) == started
