"""People who share mailboxes: Ann, Bob and Carol, all @example.org."""

from __future__ import annotations

from .session.support import World

LOGINS = {"A": b"ann", "B": b"bob", "C": b"carol"}
BOB = "Other Users/bob@example.org"


async def people(world: World) -> None:
    """Ann, Bob and Carol, and what they have."""
    for name in ("ann", "bob", "carol"):
        await world.person(name)
    bob = world.engine.account("id-bob")
    for name in ("Projects/Alpha", "Secret"):
        await bob.create_mailbox(name)
    for mailbox, bodies in (
        ("Projects", (b"p1", b"p2")), ("Projects/Alpha", (b"q1", b"q2")), ("Secret", (b"x1", b"x2")),
    ):  # fmt: skip
        await world.add(*bodies, mailbox=mailbox, account="id-bob")
    await world.add(b"a1", b"a2", b"a3", account="id-ann")
