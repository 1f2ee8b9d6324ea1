"""SORT and THREAD on every engine: each key, its order, its ties; which messages; where the trees come from."""

from __future__ import annotations

import asyncio
import threading
from array import array
from dataclasses import replace
from typing import Any

import pytest

from restante.query.language import All, And, HasFlag, Larger, Not, Or, Query, Uids
from restante.query.order import Criterion, SortKey
from restante.query.references import References
from restante.query.threads import Algorithm
from restante.store.interface import Engine, Store
from restante.store.model import NewMessage
from restante.store.sqlite import sort

from .making import ALL, Installation, fill, inbox, new

K = SortKey


async def keyed(
    store: Store, received: int = 1_000, size: int = 30, flags: tuple[str, ...] = (), **keys: Any
) -> NewMessage:
    """A message whose stored keys are these."""
    message = await new(store, b"x" * size, *flags, received=received)
    keys = {"sent": 1, "message_id": "", "references": (), **keys}
    return replace(message, analysis=replace(message.analysis, keys=replace(message.analysis.keys, **keys)))


BY_KEY = [
    (K.ARRIVAL, "received", [30, 10, 20], [2, 3, 1]),
    (K.SIZE, "size", [30, 10, 20], [2, 3, 1]),
    (K.DATE, "sent", [30, -5, 20], [2, 3, 1]),
    (K.DATE, "sent", [3_000, None, 20], [3, 2, 1]),  # RFC 5256 2.2: INTERNALDATE (here 1,000) in its place
    (K.SUBJECT, "subject", ["B", "", "A"], [2, 3, 1]),
    (K.SUBJECT, "subject", ["\U0001f600", "\uffee", "Z"], [3, 2, 1]),  # by UTF-8 octets, not UTF-16
    (K.FROM, "sender", ["B", "", "A"], [2, 3, 1]),
    (K.TO, "recipient", ["B", "", "A"], [2, 3, 1]),
    (K.CC, "cc", ["B", "", "A"], [2, 3, 1]),
    (K.DISPLAYFROM, "display_from", ["B", "", "A"], [2, 3, 1]),
    (K.DISPLAYTO, "display_to", ["B", "", "A"], [2, 3, 1]),
]


@pytest.mark.parametrize(
    ("key", "name", "values", "expected"), BY_KEY, ids=[f"{k.value}-{n}" for n, (k, *_) in enumerate(BY_KEY)]
)
def test_sort_by_each_key(
    installation: Installation, key: SortKey, name: str, values: list[Any], expected: list[int]
) -> None:
    async def scene(engine: Engine, store: Store) -> None:
        box = await inbox(store)
        await store.append(box, [await keyed(store, **{name: value}) for value in values])
        assert list(await store.sort(box, All(), [Criterion(key)], ALL)) == expected
        assert list(await store.sort(box, All(), [Criterion(key, reverse=True)], ALL)) == expected[::-1]

    asyncio.run(installation.play(scene))


def test_ties_go_by_number_also_in_reverse(installation: Installation) -> None:
    """RFC 5256 3: REVERSE does not affect the implicit "sequence number" criterion."""

    async def scene(engine: Engine, store: Store) -> None:
        box = await inbox(store)
        await store.append(box, [await keyed(store, subject=text) for text in ["b", "a", "b", "a"]])
        assert list(await store.sort(box, All(), [Criterion(K.SUBJECT)], ALL)) == [2, 4, 1, 3]
        assert list(await store.sort(box, All(), [Criterion(K.SUBJECT, True)], ALL)) == [1, 3, 2, 4]

    asyncio.run(installation.play(scene))


def test_keys_in_their_priority(installation: Installation) -> None:
    async def scene(engine: Engine, store: Store) -> None:
        box = await inbox(store)
        rows = [("b", 1), ("a", 2), ("b", 3), ("a", 1)]
        await store.append(box, [await keyed(store, subject=text, sent=sent) for text, sent in rows])
        keys = [Criterion(K.SUBJECT), Criterion(K.DATE, True)]
        assert list(await store.sort(box, All(), keys, ALL)) == [2, 4, 3, 1]
        assert list(await store.sort(box, All(), [*keys, Criterion(K.SUBJECT, True)], ALL)) == [2, 4, 3, 1]

    asyncio.run(installation.play(scene))


SOME: list[tuple[Query, Any, list[int]]] = [
    (All(), ((2, 4),), [4, 3, 2]),
    (All(), ((1, 1), (4, 9)), [5, 4, 1]),
    (All(), (), []),
    (HasFlag("\\Seen"), ALL, [5, 3, 1]),
    (And((HasFlag("\\Seen"), Not(Uids(((3, 3),))))), ALL, [5, 1]),
    (Or((Uids(((2, 2),)), HasFlag("\\Seen"))), ((1, 3),), [3, 2, 1]),
    (Larger(1_000), ALL, []),
]


@pytest.mark.parametrize(("query", "within", "expected"), SOME)
def test_sort_and_thread_hold_what_search_finds(
    installation: Installation, query: Query, within: Any, expected: list[int]
) -> None:
    async def scene(engine: Engine, store: Store) -> None:
        box = await inbox(store)
        other = (await store.create_mailbox("Other")).key
        await fill(store, other, 3)
        for number in range(1, 6):
            flags = ("\\Seen",) if number % 2 else ()
            await store.append(box, [await keyed(store, sent=100 - number, flags=flags, subject="")])
        assert list(await store.sort(box, query, [Criterion(K.DATE)], within)) == expected
        found = await store.thread(box, query, Algorithm.REFERENCES, within)
        assert found.skeleton == b"(%d)" * len(expected)
        assert list(found.uids) == expected
        found = await store.thread(box, query, Algorithm.ORDEREDSUBJECT, within)
        assert list(found.uids) == expected

    asyncio.run(installation.play(scene))


def test_thread_by_stored_references(installation: Installation) -> None:
    async def scene(engine: Engine, store: Store) -> None:
        box = await inbox(store)
        mail = [
            ("<a@x>", (), 1, "s", False),
            ("<b@x>", ("<a@x>",), 2, "s", True),
            ("<c@x>", ("<a@x>", "<gone@x>"), 4, "other", False),
            ("<d@x>", ("<a@x>", "<gone@x>"), 3, "s", True),
            ("<e@x>", (), 5, "s", True),
            ("<f@x>", (), None, "", False),
        ]
        messages = [
            await keyed(store, received=900, message_id=id, references=refs, sent=sent, subject=subject, is_reply=reply)
            for id, refs, sent, subject, reply in mail
        ]
        await store.append(box, messages)
        found = await store.thread(box, All(), Algorithm.REFERENCES, ALL)
        assert found.skeleton % tuple(found.uids) == b"(1 (2)(4)(3)(5))(6)"
        found = await store.thread(box, All(), Algorithm.ORDEREDSUBJECT, ALL)
        assert found.skeleton % tuple(found.uids) == b"(1 (2)(4)(5))(3)(6)"

    asyncio.run(installation.play(scene))


def test_a_removed_message_is_in_neither(installation: Installation) -> None:
    async def scene(engine: Engine, store: Store) -> None:
        box = await inbox(store)
        await fill(store, box, 3)
        await store.expunge(box, ((2, 2),), deleted_only=False)
        assert list(await store.sort(box, All(), [Criterion(K.ARRIVAL)], ALL)) == [1, 3]
        assert sorted((await store.thread(box, All(), Algorithm.REFERENCES, ALL)).uids) == [1, 3]

    asyncio.run(installation.play(scene))


def test_a_large_mailbox_is_answered_in_pieces_and_apart(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sort, "ON_LOOP", 5)
    monkeypatch.setattr(sort, "BATCH", 100)
    monkeypatch.setattr(sort, "RANGES", 30)

    async def scene(engine: Engine, store: Store) -> None:
        box = await inbox(store)
        count = 2 * sort.BATCH + 7
        await store.append(box, [await keyed(store, sent=n % 3, subject=str(n % 2)) for n in range(count)])
        expected = sorted(range(1, count + 1), key=lambda uid: ((uid - 1) % 3, uid))
        assert await store.sort(box, All(), [Criterion(K.DATE)], ALL) == array("I", expected)
        for ranges in (ALL, tuple((n, n) for n in range(1, count + 1, 2))):
            for algorithm in Algorithm:
                found = await store.thread(box, All(), algorithm, ranges)
                wanted = [uid for low, high in ranges for uid in range(low, min(high, count) + 1)]
                assert sorted(found.uids) == wanted

    asyncio.run(installation.play(scene))


def test_few_messages_with_many_references_are_threaded_apart(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By octets, not by how many they are: a message may have a thousand references, and each costs."""
    monkeypatch.setattr(sort, "ON_LOOP_OCTETS", 3_000)
    apart: list[int] = []
    made = References.add

    def noted(self: References, uids: list[int], *facts: Any) -> None:
        if threading.current_thread() is not threading.main_thread():
            apart.append(len(uids))
        made(self, uids, *facts)

    monkeypatch.setattr(References, "add", noted)

    async def scene(engine: Engine, store: Store) -> None:
        box = await inbox(store)
        refs = tuple(f"<{n}@x>" for n in range(100))
        for count, expected in ((20, []), (20, [40])):
            messages = [await keyed(store, references=refs[: 10 * len(expected) + 10]) for _ in range(count)]
            await store.append(box, messages)
            found = await store.thread(box, All(), Algorithm.REFERENCES, ALL)
            assert len(found.uids) == count * (1 + len(expected))
            assert apart == expected

    asyncio.run(installation.play(scene))


@pytest.mark.parametrize("few", [True, False], ids=["on the loop", "apart"])
def test_a_message_with_references_beyond_all_bounds_is_threaded(
    installation: Installation, monkeypatch: pytest.MonkeyPatch, few: bool
) -> None:
    monkeypatch.setattr(sort, "LONGEST", 20_000)
    monkeypatch.setattr(sort, "ON_LOOP", 100 if few else 0)
    limits: list[int] = []
    columns = sort.thread_columns

    def noted(*given: Any) -> Any:
        limits.append(given[-1])
        return columns(*given)

    monkeypatch.setattr(sort, "thread_columns", noted)

    async def scene(engine: Engine, store: Store) -> None:
        box = await inbox(store)
        await store.append(box, [await keyed(store, message_id=f"<m{n}@x>", subject="") for n in range(40)])
        huge = (*(f"<{n}{'x' * 60}@x>" for n in range(500)), "<m7@x>")
        await store.append(box, [await keyed(store, message_id="<huge@x>", references=huge, subject="")])
        more = [await keyed(store, references=("<huge@x>",), subject="") for n in range(40)]
        await store.append(box, more)
        found = await store.thread(box, All(), Algorithm.REFERENCES, ALL)
        assert sorted(found.uids) == list(range(1, 82))
        assert b"(8 41 (42)(43)" in found.skeleton % tuple(found.uids)
        assert max(limits[limits.index(1) + 1 :]) > 10, "what comes behind is read by many again"

    asyncio.run(installation.play(scene))


def test_ids_and_subjects_that_hold_what_stands_between_two_are_threaded_too(installation: Installation) -> None:
    async def scene(engine: Engine, store: Store) -> None:
        box = await inbox(store)
        mail = [("<a\nb@x>", (), "s"), ("<c@x>", ("<a\nb@x>",), "t\n"), ("", (), ""), ("<\n>", (), "\n\n")]
        new = [await keyed(store, message_id=i, references=r, subject=s, sent=n) for n, (i, r, s) in enumerate(mail)]
        await store.append(box, new)
        found = await store.thread(box, All(), Algorithm.REFERENCES, ALL)
        assert found.skeleton % tuple(found.uids) == b"(1 2)(3)(4)"
        found = await store.thread(box, All(), Algorithm.ORDEREDSUBJECT, ALL)
        assert found.skeleton % tuple(found.uids) == b"(1)(2)(3)(4)"

    asyncio.run(installation.play(scene))


def test_threads_of_messages_with_long_references_are_read_fewer_at_once(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sort, "LONGEST", 20_000)
    limits: list[int] = []
    columns = sort.thread_columns

    def noted(*given: Any) -> Any:
        limits.append(given[-1])
        return columns(*given)

    monkeypatch.setattr(sort, "thread_columns", noted)

    async def scene(engine: Engine, store: Store) -> None:
        box = await inbox(store)
        refs = tuple(f"<{n}{'x' * 60}@x>" for n in range(100))
        new = [await keyed(store, message_id=f"<m{n}@x>", references=refs[:n], sent=n, subject="") for n in range(90)]
        await store.append(box, new)
        found = await store.thread(box, All(), Algorithm.REFERENCES, ALL)
        assert sorted(found.uids) == list(range(1, 91))
        assert found.skeleton == b"(%d)(" + b"(%d)" * 89 + b")"
        assert 0 < min(limits) < 20
        assert len(await store.read_contents([1])) == 1  # the reader's own limit is as it was

    asyncio.run(installation.play(scene))
