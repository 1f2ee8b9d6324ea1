"""Conditions of an email wherever it is placed, against a plain model: mailboxes, keywords, threads. RFC 8621 4.4.1."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from restante.query.language import (
    And,
    Contains,
    EmailHas,
    Field,
    HasFlag,
    Not,
    Or,
    Order,
    Placed,
    Query,
    Received,
    ThreadHas,
)
from restante.store.errors import NoPermission
from restante.store.interface import Engine, Store
from restante.store.model import FlagMode, Flags
from restante.store.rights import parse_rights
from restante.store.sqlite import everywhere, search
from restante.store.sqlite.search import FEW

from .making import ACCOUNT, ALL, Installation, inbox, new

BOXES = ("INBOX", "A", "B")
FLAGS = ("\\Seen", "\\Flagged", "\\Deleted", "$Work")
THREADS = ("<a@example.org>", "<b@example.org>", "<c@example.org>")
"""What all emails of a thread refer to."""
NOWHERE = "b" + "z" * 26

Placement = tuple[int, frozenset[str]]
"""(position of the mailbox, flags)."""
Email = tuple[str, list[Placement]]

placements = st.lists(
    st.tuples(st.integers(0, 2), st.frozensets(st.sampled_from(FLAGS))),
    min_size=1,
    max_size=3,
    unique_by=lambda p: p[0],
)
emails = st.lists(st.tuples(st.sampled_from(THREADS), placements), min_size=1, max_size=7)
names = st.sampled_from(["\\Seen", "\\seen", "\\Flagged", "$WORK", "$work", "$None"])
boxes = st.lists(st.integers(0, 3), max_size=3)


def leaf(ids: tuple[str, ...]) -> st.SearchStrategy[Query]:
    return st.one_of(
        st.builds(EmailHas, names),
        st.builds(ThreadHas, names, st.booleans()),
        st.builds(lambda chosen, other: Placed(tuple(ids[n] for n in chosen), other), boxes, st.booleans()),
        st.builds(Received, st.sampled_from([Order.BEFORE, Order.SINCE]), st.integers(999, 1_008)),
        st.builds(HasFlag, names),
        st.builds(lambda n: Contains(Field.BODY, f"word {n}"), st.integers(0, 6)),
    )


def queries(ids: tuple[str, ...]) -> st.SearchStrategy[Query]:
    return st.recursive(
        leaf(ids),
        lambda inner: st.one_of(
            st.builds(Not, inner),
            st.builds(lambda a, b: And((a, b)), inner, inner),
            st.builds(lambda a, b: Or((a, b)), inner, inner),
        ),
        max_leaves=4,
    )


def has(email: Email, name: str) -> bool:
    """What JMAP makes of an email's placements."""
    there = [{flag.lower() for flag in flags} for _, flags in email[1] if "\\Deleted" not in flags]
    having = [name.lower() in flags for flags in there]
    return bool(there) and all(having) if name.lower() == "\\seen" else any(having)


def holds(mail: list[Email], number: int, flags: frozenset[str], ids: Mapping[str, int], query: Query) -> bool:
    email = mail[number]
    match query:
        case And(operands):
            return all(holds(mail, number, flags, ids, operand) for operand in operands)
        case Or(operands):
            return any(holds(mail, number, flags, ids, operand) for operand in operands)
        case Not(operand):
            return not holds(mail, number, flags, ids, operand)
        case EmailHas(name):
            return has(email, name)
        case ThreadHas(name, every):
            thread = [other for other in mail if other[0] == email[0]]
            there = [other for other in thread if any("\\Deleted" not in flags for _, flags in other[1])]
            return all(has(other, name) for other in there) if every else any(has(other, name) for other in there)
        case Placed(mailboxes, elsewhere):
            lies = {box for box, flags in email[1] if "\\Deleted" not in flags}
            asked = {ids[name] for name in mailboxes if name in ids}
            return bool(lies - asked if elsewhere else lies & asked)
        case Received(order, at):
            return 1_000 + number < at if order is Order.BEFORE else 1_000 + number >= at
        case HasFlag(name):
            return name.lower() in {flag.lower() for flag in flags}
        case Contains(_, text):
            return text == f"word {number}"
    raise AssertionError(query)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(emails, st.data())
def test_they_hold_as_in_a_plain_model(mail: list[Email], drawn: st.DataObject) -> None:
    async def play(engine: Engine, store: Store) -> None:
        keys = [await inbox(store)]
        for name in BOXES[1:]:
            keys.append((await store.create_mailbox(name)).key)
        made = {mailbox.key: mailbox.id for mailbox in await store.mailboxes()}
        ids = (*[made[key] for key in keys], NOWHERE)
        uids: list[dict[int, int]] = [{} for _ in BOXES]
        for number, (thread, placed) in enumerate(mail):
            (first, _), *others = placed
            data = b"Subject: x\r\n\r\nword %d\r\n" % number
            message = await new(store, data, received=1_000 + number, references=(thread,), subject="same")
            uid = (await store.append(keys[first], [message])).uids[0]
            uids[first][uid] = number
            for other, _ in others:
                copied = await store.copy(keys[first], ((uid, uid),), keys[other])
                uids[other][copied.target[0]] = number
        for box, held in enumerate(uids):
            for uid, number in held.items():
                flags = next(flags for at, flags in mail[number][1] if at == box)
                await store.store_flags(keys[box], ((uid, uid),), FlagMode.REPLACE, Flags.of(flags))
        asked = drawn.draw(st.lists(queries(ids), min_size=1, max_size=5))
        for indexed in (False, True):
            while indexed and await store.fill_search():
                pass
            for query in asked:
                for box, held in enumerate(uids):
                    flags_of = {number: dict(mail[number][1])[box] for number in held.values()}
                    named = {id: at for at, id in enumerate(ids[:3])}
                    wanted = [
                        uid for uid, number in held.items() if holds(mail, number, flags_of[number], named, query)
                    ]
                    assert list(await store.search(keys[box], query, ALL)) == wanted, (query, BOXES[box])

    with TemporaryDirectory() as folder:
        asyncio.run(Installation("sqlite", Path(folder)).play(play, index_from=1))


@pytest.mark.parametrize("text", ["word 3", "wo"], ids=["indexed", "too short"])
@pytest.mark.parametrize("join", [And, Or])
def test_what_is_not_indexed_yet_is_found_once(tmp_path: Path, join: type[And] | type[Or], text: str) -> None:
    query = join((EmailHas("\\Flagged"), Contains(Field.BODY, text)))

    async def play(engine: Engine, store: Store) -> None:
        box = await inbox(store)
        count = FEW + 20
        data = [b"Subject: x\r\n\r\nword %d.\r\n" % (number % 10) for number in range(count + 5)]
        await store.append(box, [await new(store, one) for one in data[:count]])
        while await store.fill_search():
            pass
        await store.append(box, [await new(store, one, "\\Flagged") for one in data[count:]])
        holds = all if join is And else any
        wanted = [uid for uid, one in enumerate(data, 1) if holds((uid > count, text.encode() in one))]
        assert list(await store.search(box, query, ALL)) == wanted

    asyncio.run(Installation("sqlite", tmp_path).play(play, index_from=1))


def test_what_comes_while_it_is_looked_for_is_no_part_of_the_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All messages ever are \\Seen, so at no moment one is there that is not."""
    found = everywhere.emails_everywhere

    async def play(engine: Engine, store: Store) -> None:
        box = await inbox(store)
        await store.append(box, [await new(store, b"Subject: x\r\n\r\n1\r\n", "\\Seen")])

        async def one_comes(*given: Any) -> everywhere.Everywhere:
            answer = await found(*given)
            await store.append(box, [await new(store, b"Subject: x\r\n\r\n2\r\n", "\\Seen")])
            return answer

        monkeypatch.setattr(search, "emails_everywhere", one_comes)
        assert list(await store.search(box, Not(EmailHas("\\Seen")), ALL)) == []
        assert list(await store.search(box, EmailHas("\\Seen"), ALL)) == [1, 2]

    asyncio.run(Installation("sqlite", tmp_path).play(play))


def test_they_are_for_the_owner_alone(tmp_path: Path) -> None:
    async def play(engine: Engine, store: Store) -> None:
        box = await inbox(store)
        await store.append(box, [await new(store)])
        await store.set_acl(box, "carol", FlagMode.ADD, parse_rights("lrs"))
        carol = engine.account(ACCOUNT, "carol")
        assert list(await carol.search(box, HasFlag("\\Seen"), ALL)) == []
        for query in (EmailHas("\\Seen"), Not(Placed(())), And((ThreadHas("\\Seen", True), HasFlag("\\Seen")))):
            with pytest.raises(NoPermission):
                await carol.search(box, query, ALL)

    asyncio.run(Installation("sqlite", tmp_path).play(play))
