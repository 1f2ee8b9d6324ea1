"""Finding a message: in which snapshots is it, also when it is long gone."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from restante.backup.errors import Corrupt
from restante.backup.find import CannotFind, Found, find
from restante.backup.objects import KINDS, Kind, PageData
from restante.backup.repository import Repository
from restante.query.words import parse_words
from restante.store.model import FlagMode, Flags

from .support import World, message, play, put


def asked(world: World, words: str, addresses: Sequence[str] = ()) -> list[Found]:
    repository = world.repository()
    typed = parse_words(words)
    found = find(repository, repository.snapshots(), typed.query, addresses, typed.mailboxes)
    assert not repository.complaints
    return found


def test_messages_are_found_in_the_snapshots_that_have_them(tmp_path: Path) -> None:
    async def scene() -> None:
        world = World(tmp_path)
        await world.fill()
        _, ids = await put(world.ann, "INBOX", *(message(n) for n in range(10)), received=1_700_000_000)
        await put(world.bob, "Big", message(3, "y" * 9_000, to="Größe <bob@example.com>"))
        first = (await world.take()).snapshot
        await world.ann.expunge(1, ((4, 4),), deleted_only=False)
        await world.ann.store_flags(1, ((5, 5),), FlagMode.ADD, Flags.of(["\\Seen"]))
        second = (await world.take()).snapshot
        both = (first.id, second.id)
        (gone,) = asked(world, "subject:number header:Message-ID=<3@", ["Ann@Example.com"])
        assert (gone.email_id, gone.mailbox, gone.uid, gone.snapshots) == (ids[3], "INBOX", 4, (first.id,))
        (flagged,) = asked(world, "header:Message-ID=<4@example.org>")
        assert flagged.snapshots == both
        assert world.repository().message(flagged.digest) == message(4)
        assert len(asked(world, "NUMBER")) == 11
        assert [hit.address for hit in asked(world, "to:größe")] == ["bob@example.com"]
        assert {hit.email_id for hit in asked(world, "from:s2@example.org")} >= {ids[2], ids[9]}
        assert len(asked(world, "larger:8k")) == 1
        assert len(asked(world, "mailbox:Big")) == 1
        assert len(asked(world, "on:2023-11-14")) == 10
        assert asked(world, "since:2023-11-15") == []
        assert len(asked(world, "before:2023-11-14")) == 1
        assert len(asked(world, f"{ids[1]}")) == 1
        assert len(asked(world, "subject:number -header:Message-ID=<3@ OR larger:8k")) >= 9
        for words in ("body:hello", "is:read", "header:List-Id=x"):
            with pytest.raises(CannotFind):
                asked(world, words)
        await world.engine.close()

    play(scene())


def test_an_account_in_a_list_that_cannot_be_read_is_not_told_as_unknown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scene() -> None:
        world = World(tmp_path)
        await world.fill()
        await put(world.ann, "INBOX", message(1))
        await world.take()
        await world.engine.close()
        repository, get = world.repository(), Repository.get

        def damaged(self: Repository, id: bytes, kind: Kind) -> bytes:
            if kind is KINDS[PageData]:
                raise Corrupt("An object of the backup is not what was written.")
            return get(self, id, kind)

        monkeypatch.setattr(Repository, "get", damaged)
        assert find(repository, repository.snapshots(), parse_words("number").query, ["ann@example.com"]) == []
        assert [each.text for each in repository.complaints] == ["An object of the backup is not what was written."]

    play(scene())
