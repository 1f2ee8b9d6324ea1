"""Candidates of several needles are joined in pieces, and give the same as sets that are made whole."""

from __future__ import annotations

import asyncio
from array import array
from typing import TypeAlias

import pytest
from hypothesis import given
from hypothesis import strategies as st

from restante.store.sqlite import candidates
from restante.store.sqlite.candidates import Joined, Leaf, emails_of

Tree: TypeAlias = "array[int] | Joined"

trees: st.SearchStrategy[Tree] = st.recursive(
    st.sets(st.integers(1, 60), max_size=40).map(lambda some: array("q", sorted(some))),
    lambda inner: st.builds(Joined, st.booleans(), st.lists(inner, min_size=1, max_size=4)),
    max_leaves=6,
)


def meant(tree: Tree) -> set[int]:
    if isinstance(tree, array):
        return set(tree)
    sets = [meant(one) for one in tree.of]
    return set.intersection(*sets) if tree.every else set.union(*sets)


@given(trees)
def test_pieces_give_what_whole_sets_give(tree: Tree) -> None:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(candidates, "_PIECE", 3)
        assert list(asyncio.run(emails_of(tree))) == sorted(meant(tree))


def test_others_have_their_turns() -> None:
    common, other = array("q", range(1, 60_001)), array("q", range(2, 120_000, 2))
    turns: list[int] = []

    async def scene() -> None:
        joining = asyncio.create_task(emails_of(Joined(True, [common, other])))
        while not joining.done():
            turns.append(1)
            await asyncio.sleep(0)
        assert list(joining.result()) == list(range(2, 60_001, 2))

    asyncio.run(scene())
    assert len(turns) > 6


@given(st.sets(st.integers(1, 100_000), max_size=50), st.integers(0, 120_000))
def test_a_leaf_holds_what_it_was_given(emails: set[int], upto: int) -> None:
    leaf = Leaf(array("q", sorted(emails)), upto, whole=False)
    asked = {*emails, *(email + 1 for email in emails), 1, upto, upto + 1}
    assert {email for email in asked if leaf.may_hold(email)} == {e for e in asked if e in emails or e > upto}
