"""Which of what the server lists is here already: by headers before it is downloaded, by octets after.

A message on the server takes at most one that is here, and one that is here is taken at most once: two equal messages
on the server stay two. Headers decide only where one alone asks and one alone answers, and only for keeping, never for
deleting (`Got.proved`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from .identity import Head, Identity, of_message
from .state import Got, Held, Known, Listed, Pop3State
from .target import Target

SPREAD = 64 << 10
"""By how many octets two deliveries of one message may differ: fields that were added on their ways."""
FINAL = (0, 2)
"""Octets of a last line end that a server adds."""


@dataclass(frozen=True, slots=True)
class Retrieved:
    """A message read in full."""

    listed: Listed
    data: bytes
    identity: Identity


def _is(known: Known, identity: Identity) -> bool:
    return known.body == identity.body and (known.head == identity.head or known.core == identity.core)


def _was(known: Known, one: Retrieved) -> bool:
    """Whether a free message of the state is the one that was retrieved: the same delivery; or, where the state knows
    it from the target alone, the same message; or the header of one that was passed over."""
    if known.body is None:
        return known.head == one.identity.head and known.listed == one.listed.size
    return known.body == one.identity.body and (
        known.head == one.identity.head or (known.found and known.core == one.identity.core)
    )


async def by_octets(state: Pop3State, target: Target, batch: Sequence[Retrieved]) -> tuple[list[Got], list[Retrieved]]:
    """What of a batch is known, and what is new. Reads from the target what may be equal. Three look-ups a batch."""
    names = state.by_name(one.listed.uidl for one in batch)
    got: list[Got] = []
    rest: list[Retrieved] = []
    false = []
    for one in batch:
        named = names.get(one.listed.uidl)
        if named is not None and named.body is not None and _is(named, one.identity):
            got.append(Got(one.listed, None, known=named.id))
        else:
            rest.append(one)
            if named is not None:
                false.append(one.listed.uidl)
    if false:
        state.forget(false)
    rest = _from_state(state, rest, got)
    return got, await _from_target(state, target, rest, got)


def _from_state(state: Pop3State, rest: list[Retrieved], got: list[Got]) -> list[Retrieved]:
    free = state.free_known((one.identity.head for one in rest), (one.identity.core for one in rest))
    if not free:
        return rest
    left = []
    for one in rest:
        known = next((known for known in free if _was(known, one)), None)
        if known is None:
            left.append(one)
        else:
            free.remove(known)
            # One that was passed over stays so: its octets are not here.
            got.append(Got(one.listed, None, known=known.id, proved=known.body is not None))
    return left


async def _from_target(state: Pop3State, target: Target, rest: list[Retrieved], got: list[Got]) -> list[Retrieved]:
    free = state.free_held(one.identity.mark for one in rest)
    sizes: dict[bytes, list[int]] = {}
    for one in rest:
        sizes.setdefault(one.identity.mark, []).append(one.identity.size)
    near = [h for h in free if h.size is None or any(abs(h.size - size) <= SPREAD for size in sizes[h.mark])]
    if not near:
        return rest
    here = await _read(target, near)
    by_core: dict[tuple[bytes, bytes], list[Held]] = {}
    for held, identity in here:
        by_core.setdefault((identity.core, identity.body), []).append(held)
    left = []
    for one in rest:
        equal = by_core.get((one.identity.core, one.identity.body))
        if equal:
            held = equal.pop(0)
            got.append(Got(one.listed, one.identity, held=(held.place, held.uid), found=True))
        else:
            left.append(one)
    return left


def alone(asked: Sequence[tuple[Listed, Head]]) -> list[tuple[Listed, Head]]:
    """Those whose header names them, and no other of these."""
    twins = Counter((head.core, listed.size) for listed, head in asked)
    return [(listed, head) for listed, head in asked if head.named and twins[head.core, listed.size] == 1]


async def by_headers(state: Pop3State, target: Target, asked: Sequence[tuple[Listed, Head]]) -> list[Got]:
    """What of these is here already, as far as headers and sizes tell beyond doubt. None of it is proved.

    asked: some thousand of what `alone` gave. Reads from the target what may be equal.
    """
    got, left = [], []
    free = state.free_known((head.head for _, head in asked), (head.core for _, head in asked))
    known: dict[tuple[bytes, int | None], list[Known]] = {}
    for each in free:
        known.setdefault((each.head, each.listed), []).append(each)
    for listed, head in asked:
        same = known.get((head.head, listed.size), [])
        if len(same) == 1:
            got.append(Got(listed, None, known=same[0].id, proved=False))
        elif not same:
            left.append((listed, head))
    return got + await _headers_in_target(state, target, left)


async def _headers_in_target(state: Pop3State, target: Target, left: Sequence[tuple[Listed, Head]]) -> list[Got]:
    marks = {head.mark for _, head in left}
    here: dict[tuple[bytes, int], list[tuple[Held, Identity]]] = {}
    for held, identity in await _read(target, state.free_held(marks)):
        for final in FINAL:
            here.setdefault((identity.core, identity.size - identity.header + final), []).append((held, identity))
    got = []
    for listed, head in left:
        same = here.get((head.core, listed.size - head.octets), [])
        if len(same) == 1:
            held, local = same[0]
            # The header as the server gives it: it is what a renumbered message will be found by.
            identity = Identity(head.mark, head.head, head.core, local.body, listed.size)
            got.append(Got(listed, identity, held=(held.place, held.uid), found=True, proved=False))
    taken = Counter(one.held for one in got)
    return [one for one in got if taken[one.held] == 1]


async def _read(target: Target, wanted: Collection[Held]) -> list[tuple[Held, Identity]]:
    """Identities of messages in the target. What is gone meanwhile is left out."""
    found = []
    by_mailbox: dict[str, dict[int, Held]] = {}
    for held in wanted:
        by_mailbox.setdefault(held.mailbox, {})[held.uid] = held
    for mailbox, uids in by_mailbox.items():
        async for message in target.fetch(mailbox, sorted(uids)):
            found.append((uids[message.uid], of_message(message.data)))
    return found
