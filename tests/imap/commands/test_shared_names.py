"""What the mailboxes of others are called: addresses that no name may hold as they are, other cases, forms and lengths.

Bob (bob@example.org) has INBOX, Projects, Projects/Alpha and Secret.
"""

from __future__ import annotations

import re

import pytest

from restante.store.model import FlagMode
from restante.store.rights import Rights, parse_rights

from ..people import BOB, people
from ..session.support import World, run


def test_rfc9051_6_3_8_unsubscribe_takes_a_name_in_the_form_that_subscribe_took() -> None:
    async def scenario(world: World) -> None:
        await people(world)
        bob = world.engine.account("id-bob")
        for key in (1, 2):
            await bob.set_acl(key, "id-ann", FlagMode.ADD, parse_rights("lr"))
        ann = await world.client(user=b"ann")
        for name in (b"Other Users/BOB@example.org/Projects", b"Other Users/bob@Example.org/inbox"):
            await ann.ok(b'SUBSCRIBE "%b"' % name)
            assert b'* LSUB () "/" "Other Users/bob@example.org/' in await ann.ok(b'LSUB "" "Other*"')
            await ann.ok(b'UNSUBSCRIBE "%b"' % name)
            assert await ann.ok(b'LSUB "" "Other*"') == b"T OK LSUB completed.\r\n"
        await ann.ok(b'SUBSCRIBE "Other Users/bob@example.org/Projects"')
        await ann.ok(b'UNSUBSCRIBE "Other Users/bob@example.org/projects"')
        assert b"Projects" in await ann.ok(b'LSUB "" "Other*"')

    run(scenario)


def test_rfc7377_2_2_a_subtree_may_be_named_in_another_case() -> None:
    async def scenario(world: World) -> None:
        await people(world)
        await world.add(b"b1", account="id-bob")
        bob = world.engine.account("id-bob")
        for key in (1, 2, 3):
            await bob.set_acl(key, "id-ann", FlagMode.ADD, parse_rights("lr"))
        ann = await world.client(user=b"ann")
        names = b'"Other Users/BOB@example.org/Projects" "Other Users/bob@example.org/inbox"'
        for kind in (b"subtree", b"subtree-one"):
            got = await ann.ok(b'ESEARCH IN (%b (%b)) RETURN (COUNT) SUBJECT "s"' % (kind, names))
            assert re.findall(rb"MAILBOX \"Other Users/bob@example.org/([^\"]*)", got) == [
                b"INBOX", b"Projects", b"Projects/Alpha",
            ]  # fmt: skip

    run(scenario)


def test_an_address_that_no_level_may_hold() -> None:
    async def scenario(world: World) -> None:
        await people(world)
        odd = await world.person("o=/*%d")
        await world.engine.account(odd.id).set_acl(1, "id-ann", mode=FlagMode.ADD, rights=Rights.LOOKUP | Rights.READ)
        ann = await world.client(user=b"ann")
        name = b'"Other Users/o=3D=2F=2A=25d@example.org/INBOX"'
        assert b'* LIST (\\HasNoChildren) "/" ' + name in await ann.ok(b'LIST "" "*"')
        assert b"READ-ONLY" in await ann.ok(b"SELECT " + name)

    run(scenario)


def test_rfc9051_5_1_an_address_is_shown_in_the_form_that_names_have() -> None:
    """One whose letters are not composed, as some systems' keyboards give them."""

    async def scenario(world: World) -> None:
        await people(world)
        other = await world.person("jo\u0308rg")
        await world.engine.account(other.id).set_acl(1, "id-ann", FlagMode.ADD, Rights.LOOKUP | Rights.READ)
        ann = await world.client(b"ENABLE IMAP4rev2", user=b"ann")
        listed = await ann.ok(b'LIST "" "*"')
        assert '"Other Users/j\u00f6rg@example.org/INBOX"'.encode() in listed
        for name in ("jo\u0308rg", "j\u00f6rg"):
            named = f'"Other Users/{name}@example.org/INBOX"'.encode()
            assert b"* LIST (\\HasNoChildren)" in await ann.ok(b'LIST "" ' + named)
            await ann.ok(b"SUBSCRIBE " + named)
            subscribed = await ann.ok(b'LIST (SUBSCRIBED) "" "Other*"')
            assert subscribed.startswith(b"* LIST (\\HasNoChildren \\Subscribed)")
            await ann.ok(b"UNSUBSCRIBE " + named)
            assert b"* LIST" not in await ann.ok(b'LIST (SUBSCRIBED) "" "Other*"')

    run(scenario)


@pytest.mark.parametrize("name", ["/".join(["a" * 100] * 9 + ["b" * 91]), "/".join(["d"] * 50)], ids=["long", "deep"])
def test_rfc9051_6_3_9_what_list_shows_can_be_used_however_long_its_name_is(name: str) -> None:
    """A name that its owner may just have is longer for others."""

    async def scenario(world: World) -> None:
        await people(world)
        odd = await world.person("=" * 60)
        store = world.engine.account(odd.id)
        made = await store.create_mailbox(name)
        await store.set_acl(made.key, "id-ann", FlagMode.ADD, Rights.LOOKUP | Rights.READ)
        ann = await world.client(user=b"ann")
        named = f'"Other Users/{"=3D" * 60}@example.org/{name}"'.encode()
        assert b"* LIST" in await ann.ok(b'LIST "" ' + named)
        await ann.ok(b"SELECT " + named)
        await ann.ok(b"SUBSCRIBE " + named)
        assert named in await ann.ok(b'LIST (SUBSCRIBED) "" "Other*"')
        await ann.ok(b"UNSUBSCRIBE " + named)
        assert b"* LIST" not in await ann.ok(b'LIST (SUBSCRIBED) "" "Other*"')
        assert b"NO [CANNOT]" in await ann.do(b"CREATE " + b"c" * 1_001)

    run(scenario)


def test_an_own_mailbox_below_the_others_root_stays_the_own_one() -> None:
    async def scenario(world: World) -> None:
        await people(world)
        await world.engine.account("id-ann").create_mailbox(f"{BOB}/Projects")
        await world.engine.account("id-bob").set_acl(1, "id-ann", FlagMode.ADD, Rights.LOOKUP | Rights.READ)
        ann = await world.client(user=b"ann")
        assert b"MESSAGES 0" in await ann.ok(b'STATUS "%b/Projects" (MESSAGES)' % BOB.encode())
        assert (await ann.ok(b'LIST "" *')).count(b"Projects") == 1

    run(scenario)
