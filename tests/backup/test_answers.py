"""Answers that a backup keeps: used where they are right, made anew where they are not, and nothing lost with them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

import apsw
import msgspec
import pytest

from restante.backup import preparing
from restante.backup.answers import Answers, Place, answers_data, answers_of, rows_of
from restante.backup.errors import Corrupt
from restante.backup.objects import AccountData, AnswersData, Kind
from restante.backup.repository import Repository, Snapshot
from restante.backup.run import lines_of
from restante.backup.verify import verify
from restante.mime.analyse import analyse
from restante.mime.model import ANALYSER
from restante.store.model import FlagMode, Flags
from restante.store.sqlite.answers import row_of

from .support import ANN, World, findings, message, play, put, state

MANY = 600
"""More than one object, and more than one message that is compared."""
NESTED = (
    b"From: a@x\r\nReferences: <1@x> <2@x>\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\none\r\n"
    b"--b\r\nContent-Type: message/rfc822\r\n\r\nSubject: in\r\n\r\nner\r\n--b--"
)
EMAILS = range(1, MANY + 1)


def root_of(repository: Repository, snapshot: Snapshot) -> AccountData:
    return repository.read(lines_of(repository, snapshot)[ANN].root, AccountData)


@pytest.fixture
def analysed(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """Messages that a restore has analysed."""
    seen: list[bytes] = []

    def counting(data: bytes, limits: object) -> object:
        seen.append(data)
        return analyse(data)

    monkeypatch.setattr(preparing, "analyse", counting)
    return seen


async def check(world: World, snapshot: Snapshot, data: Path) -> None:
    """What is restored is what was there, and every answer is what the message says."""
    before = await state(world.ann)
    engine, restored = await world.give(snapshot, data)
    assert restored.lost == []
    assert await state(engine.account(ANN)) == before
    assert await findings(engine.account(ANN)) == []
    mine, theirs = await engine.account(ANN).answers(EMAILS), await world.ann.answers(EMAILS)
    assert mine == theirs, "sort keys, texts and previews too"
    assert None not in mine
    await engine.close()


def test_a_restore_believes_answers_and_compares_some(tmp_path: Path, analysed: list[bytes]) -> None:
    async def scene() -> None:
        world = World(tmp_path)
        await world.fill()
        await put(world.ann, "INBOX", *map(message, range(MANY)))
        done = await world.take()
        await check(world, done.snapshot, tmp_path / "new")
        assert 1 <= len(analysed) <= 3
        await world.engine.close()

    play(scene())


def test_answers_that_are_not_what_a_message_says_are_made_anew(tmp_path: Path, analysed: list[bytes]) -> None:
    async def scene() -> None:
        world = World(tmp_path)
        await world.fill()
        await put(world.ann, "INBOX", *map(message, range(MANY)))
        right = await world.ann.answers(EMAILS)
        await world.engine.leave(ANN)
        db = apsw.Connection(str(world.engine.path(ANN)))
        db.execute("UPDATE answer SET envelope = x'2829'")  # as an older analysis may have said
        done = await world.take()
        await world.engine.leave(ANN)
        for number, row in enumerate(right, 1):
            assert row is not None
            db.execute("UPDATE answer SET envelope = ? WHERE email = ?", (row.envelope, number))
        db.close()
        await check(world, done.snapshot, tmp_path / "new")
        assert len(analysed) >= MANY
        await world.engine.close()

    play(scene())


def test_answers_of_another_analysis_are_made_anew(
    tmp_path: Path, analysed: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scene() -> None:
        world = World(tmp_path)
        await world.fill()
        await put(world.ann, "INBOX", *map(message, range(MANY)))
        done = await world.take()
        monkeypatch.setattr("restante.backup.answers.ANALYSER", ANALYSER + 1)
        await check(world, done.snapshot, tmp_path / "new")
        assert len(analysed) == MANY
        await world.engine.close()

    play(scene())


def test_lost_answers_lose_nothing_else(tmp_path: Path, analysed: list[bytes], monkeypatch: pytest.MonkeyPatch) -> None:
    async def scene() -> None:
        world = World(tmp_path)
        await world.fill()
        await put(world.ann, "INBOX", *map(message, range(MANY)))
        done = await world.take()
        real = Repository.get

        def broken(self: Repository, id: bytes, kind: Kind) -> bytes:
            return b"\x93" if kind is Kind.ANSWERS else real(self, id, kind)

        monkeypatch.setattr(Repository, "get", broken)
        await check(world, done.snapshot, tmp_path / "new")
        assert len(analysed) == MANY
        await world.engine.close()

    play(scene())


def test_a_night_carries_answers_along_and_writes_those_of_what_came(tmp_path: Path) -> None:
    async def scene() -> None:
        world = World(tmp_path)
        await world.fill()
        await put(world.ann, "INBOX", *map(message, range(5)))
        first = answers_of(root_of(world.repository(), (await world.take()).snapshot))
        assert len(first) == 1
        box = await world.ann.mailbox("INBOX")
        assert box is not None
        await world.ann.store_flags(box.key, ((1, 2),), FlagMode.ADD, Flags.of(["\\Seen"]))
        assert answers_of(root_of(world.repository(), (await world.take()).snapshot)) == first
        await put(world.ann, "INBOX", message(6))
        done = await world.take()
        repository = world.repository()
        third = answers_of(root_of(repository, done.snapshot))
        (new,) = third.keys() - first.keys()
        assert first.items() <= third.items()
        data = repository.read(third[new], AnswersData)
        assert data.text_subject == ("NUMBER 6",)
        spot = repository.find(third[new])
        assert spot is not None
        assert spot.pack.mail, "kept once: it can be made again"
        assert verify(repository, 1, everything=True).right
        await world.take(full=True)  # all in one segment now, and one object
        packs = set((tmp_path / "backup" / "mail").glob("*/*"))
        await world.take(full=True)
        assert set((tmp_path / "backup" / "mail").glob("*/*")) == packs, "a full run finds them here"
        await world.engine.close()

    play(scene())


def test_damaged_answers_in_the_store_are_no_reason_to_leave_an_account_out(tmp_path: Path) -> None:
    async def scene() -> None:
        world = World(tmp_path)
        await world.fill()
        await put(world.ann, "INBOX", *map(message, range(MANY)))
        await world.engine.leave(ANN)
        db = apsw.Connection(str(world.engine.path(ANN)))
        db.execute("UPDATE search_text SET header = x'0700' WHERE email = 7")
        db.execute("UPDATE search_text SET header = x'' WHERE email = 8")
        db.execute("DELETE FROM sortkey WHERE email = 600")
        db.close()
        done = await world.take()
        assert (done.failed, done.unreadable) == ([], [])
        engine, restored = await world.give(done.snapshot, tmp_path / "new")
        assert restored.lost == []
        assert await findings(engine.account(ANN)) == []
        assert None not in await engine.account(ANN).answers(EMAILS)
        await engine.close()
        await world.engine.close()

    play(scene())


def test_rows_of_another_form_have_another_number() -> None:
    """As tests/mime/test_analyser.py, for how the store writes answers down: raise ANALYSER where this fails."""
    said = repr([tuple(row_of(analyse(message(1)))), tuple(row_of(analyse(NESTED)))])
    assert (ANALYSER, hashlib.sha256(said.encode()).hexdigest()[:16]) == (3, "3cc7622f3b4d3876")


def test_few_messages_are_not_worth_an_object(tmp_path: Path) -> None:
    world = World(tmp_path)
    messages = [message(number) for number in range(100)]
    data = answers_data([row_of(analyse(each)) for each in messages])
    repository = world.repository()
    repository.read = lambda id, what: data  # type: ignore[method-assign,assignment,return-value]  # a stub

    def asked(numbers: Iterable[int]) -> list[tuple[bytes, Place | None]]:
        return [(messages[n % 100], (b"i" * 32, n, 100) if n < 100 else None) for n in numbers]

    told = Answers(repository, analyse)
    assert told.of(asked(range(6))) == [None] * 6
    assert [row is not None for row in told.of(asked((*range(7), 200)))] == [True] * 7 + [False]
    assert told.of(asked([99])) == [row_of(analyse(messages[99]))], "it is open now"
    wrong = Answers(repository, lambda data: analyse(b"another"))
    assert wrong.of(asked(range(50))) == [None] * 50
    assert wrong.of(asked(range(50))) == [None] * 50
    short = msgspec.structs.replace(data, refs=data.refs[:-1])
    with pytest.raises(Corrupt):
        rows_of(short)
