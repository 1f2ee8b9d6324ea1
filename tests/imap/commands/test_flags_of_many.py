"""Flags of many messages come by column, of few by row: the same octets."""

from __future__ import annotations

import pytest

from restante.config.model import ImapTable

from ..session.support import World, run

SCRIPT = (
    b"FETCH 1:* (FLAGS)",
    b"STORE 2:5 +FLAGS (\\Seen $x)",
    b"UID FETCH 1:* (FLAGS)",
    b"UID STORE 1:3,6:9 -FLAGS ($x)",
    b"FETCH 1,4:7 (FLAGS UID)",
    b"UID STORE 1:* FLAGS (\\Flagged)",
    b"FETCH 1:* (FLAGS)",
    b"ENABLE UIDONLY",
    b"UID FETCH 1:* (FLAGS)",
    b"UID STORE 4:* -FLAGS (\\Flagged)",
)


def heard(config: ImapTable, *, untold: bool) -> list[bytes]:
    """What a client hears of its commands. untold: messages are removed of which it has not been told."""
    answers: list[bytes] = []

    async def scenario(world: World) -> None:
        world.config = config
        await world.add(*[b"x"] * 9)
        client = await world.client(b"SELECT INBOX")
        if untold:
            other = await world.client(b"SELECT INBOX", b"UID STORE 3,8 +FLAGS.SILENT (\\Deleted)", b"UID EXPUNGE 3,8")
            await other.ok(b"LOGOUT")
        for command in SCRIPT:
            answers.append(await client.do(command))

    run(scenario)
    return answers


@pytest.mark.parametrize("untold", [False, True], ids=["all there", "some removed and not told"])
@pytest.mark.parametrize("most", [0, 3], ids=["unlimited", "limited: descending"])
def test_by_column_and_by_row_the_same_is_said(monkeypatch: pytest.MonkeyPatch, most: int, untold: bool) -> None:
    config = ImapTable(message_limit=most)
    by_row = heard(config, untold=untold)
    monkeypatch.setattr("restante.store.sqlite.account.FEW_FLAGS", 1)
    assert heard(config, untold=untold) == by_row
    assert b"FLAGS (" in by_row[2]
