"""A client hears of a keyword by FLAGS before a message has it: many know no others. RFC 9051 7.3.5."""

from __future__ import annotations

import re

from restante.imap.session import permanent

from .support import ACCOUNT, Client, World, run

SYSTEM = "\\Answered \\Flagged \\Deleted \\Seen \\Draft"


def named(got: bytes) -> list[list[str]]:
    """Keywords of each FLAGS response; PERMANENTFLAGS must name the same."""
    found = re.findall(r"\* FLAGS \(([^)]*)\)\r\n\* OK \[PERMANENTFLAGS \(([^)]*)\)\]", got.decode())
    assert len(found) == got.count(b"* FLAGS (")
    assert all(kept in (there, there + " \\*") for there, kept in found)
    return [there.removeprefix(SYSTEM).split() for there, _ in found]


def test_keywords_of_another_session_are_named_once_before_they_are_used() -> None:
    async def scenario(world: World) -> None:
        await world.add(b"one", b"two")
        one, two = await world.client(b"SELECT INBOX"), await world.client(b"SELECT INBOX")
        await two.ok(b"STORE 1 FLAGS.SILENT (new)")
        got = await one.ok(b"NOOP")
        assert named(got) == [["new"]]
        assert got.index(b"* FLAGS (") < got.index(b"* 1 FETCH (FLAGS (new")
        await two.ok(b"STORE 2 FLAGS.SILENT (NEW)")
        assert named(await one.ok(b"NOOP")) == []
        await world.file(b"a: b\r\n\r\n", flags=("another",))
        assert named(await one.ok(b"NOOP")) == [], "nothing with flags is told"
        assert named(await one.ok(b"FETCH 1:* (UID)")) == []
        got = await one.ok(b"FETCH 1:* (FLAGS)")
        assert named(got) == [["another", "new"]]
        assert got.startswith(b"* FLAGS (")
        assert named(await one.ok(b"FETCH 1:* (FLAGS)")) == []

    run(scenario)


def test_a_keyword_of_ones_own_is_named_with_the_store_that_brings_it() -> None:
    async def scenario(world: World) -> None:
        await world.add(b"one")
        one = await world.client(b"SELECT INBOX")
        assert named(await one.ok(b"STORE 1 FLAGS (mine)")) == [["mine"]]
        assert named(await one.ok(b"STORE 1 FLAGS.SILENT (more)")) == []
        assert named(await one.ok(b"FETCH 1 FLAGS")) == [["mine", "more"]]
        assert b" mine more)\r\n* OK [PERMANENTFLAGS ()] " in await one.ok(b"EXAMINE INBOX")
        await world.file(b"a: b\r\n\r\n", flags=("third",))
        await one.ok(b"NOOP")
        got = await one.ok(b"FETCH 2 FLAGS")
        assert b" mine more third)\r\n* OK [PERMANENTFLAGS ()] " in got

    run(scenario)


def test_what_is_named_after_qresync_and_in_idle() -> None:
    async def scenario(world: World) -> None:
        await world.add(b"one", b"two")
        two = await world.client(b"SELECT INBOX")
        one = await world.client(b"ENABLE QRESYNC", b"SELECT INBOX")
        await one.idle()
        await two.ok(b"STORE 1 FLAGS.SILENT (soon)")
        got = await one.pushed(b"FLAGS (soon)")
        assert named(got) == [["soon"]]

    run(scenario)


async def shared(world: World) -> tuple[Client, Client]:
    """The owner of INBOX and of "box", which Bob has selected."""
    one = await world.client(b"CREATE box", b"SELECT INBOX")
    await world.person("bob")
    await world.engine.directory.add_account(ACCOUNT)
    await one.ok(b"SETACL box bob@example.org lrswite")
    return one, await world.client(b'SELECT "Other Users/user@example.org/box"', user=b"bob")


def test_of_somebody_elses_keywords_those_of_the_shared_mailbox_alone_are_named() -> None:
    async def scenario(world: World) -> None:
        await world.add(b"one", b"two")
        owner, bob = await shared(world)
        await world.add(b"m", mailbox="box")
        await bob.ok(b"NOOP")
        await owner.ok(b"STORE 1 FLAGS.SILENT (private)")
        await owner.ok(b"STORE 2 FLAGS.SILENT (common)")
        assert named(await bob.ok(b"FETCH 1:* FLAGS")) == []
        await owner.ok(b"MOVE 2 box")
        await bob.ok(b"NOOP")
        assert named(await bob.ok(b"FETCH 1:* FLAGS")) == [["common"]], "no flag set is new to the account"

    run(scenario)


def test_the_texts_of_many_long_keywords_are_not_kept() -> None:
    async def scenario(world: World) -> None:
        await world.add(b"here")
        client = await world.client(b"SELECT INBOX")
        words = b" ".join(b"k%d" % number + b"x" * 200 for number in range(30))
        await client.ok(b"STORE 1 FLAGS.SILENT (%b)" % words)
        before = permanent._flags_kept.cache_info().currsize
        assert words.split()[0] in await client.ok(b"SELECT INBOX")
        assert permanent._flags_kept.cache_info().currsize == before

    run(scenario)
