"""Searches with UPDATE against a model: a client that knows only what it was told always holds the right results.

The client below applies EXISTS, EXPUNGE and VANISHED to its picture of the mailbox and ADDTO and REMOVEFROM to its
results, strictly: what is added must not be there, what is removed must be, and at all times a result is a message
that the client knows. Others change the mailbox all the while, also between what the server reads of a change and
what it searches because of it. Whenever everything has been told, the results are what a new search gives.
RFC 5267 4.3; RFC 9051 7.5.1.
"""

from __future__ import annotations

import random
import re
from typing import Any

import pytest

from restante.imap.session.updates import Updates
from restante.imap.session.view import Update, View
from restante.store.interface import Store
from restante.store.model import FlagMode, Flags, FlagTable

from .support import SIMPLE, Client, World, put_store, run

LINE = re.compile(
    r"\* (?:(?P<n>\d+) (?:(?P<exists>EXISTS)|(?P<expunge>EXPUNGE)|(?:UID)?FETCH .*)|VANISHED (?P<vanished>[\d:,]+)"
    r"|ESEARCH \(TAG \"(?P<tag>\w+)\"[^)]*\)(?P<uid> UID)?(?P<data>.*))"
)
CHANGES = re.compile(r"(REMOVEFROM|ADDTO) \(([^)]*)\)")
QUERIES = [
    "ALL", "UNSEEN", "FLAGGED UNDELETED", "NOT (SEEN FLAGGED)", "OR DELETED KEYWORD $Work", "SUBJECT new",
    "(SIZE) UTF-8 ALL", "(REVERSE SUBJECT REVERSE SIZE) UTF-8 UNSEEN", "(REVERSE ARRIVAL) UTF-8 NOT DELETED",
    "(SUBJECT) UTF-8 UID 3:*",
    "UID 4:*", "UID 900:*", "UID *", "NOT UID 5:9 UNSEEN", "RECENT", "TEXT w3",
]  # fmt: skip
FLAGS = [("\\Seen",), ("\\Flagged",), ("\\Deleted",), ("$Work",), ("\\Seen", "\\Flagged")]


def numbers(text: str) -> list[int]:
    """Numbers of a set, in the order written."""
    found: list[int] = []
    for item in text.split(","):
        low, _, high = item.partition(":")
        found += range(int(low), int(high or low) + 1)
    return found


def word_of(query: str) -> str:
    return "SORT" if query.startswith("(") else "SEARCH"


class Model:
    """One client: the UIDs of the messages it knows, by number, and the results of each of its contexts.

    arrivals: UIDs behind the EXISTS responses, in order, as if the client had asked for them at once.
    """

    def __init__(self, client: Client, arrivals: list[list[int]]) -> None:
        self.client = client
        self.arrivals = arrivals
        self.uids: list[int] = []
        self.queries: dict[str, tuple[str, bool]] = {}
        self.results: dict[str, list[int]] = {}
        self.tag = 0

    async def do(self, command: str) -> str:
        self.tag += 1
        tag = f"m{self.tag}"
        got = (await self.client.raw(f"{tag} {command}\r\n".encode(), tag.encode())).decode()
        assert f"{tag} OK" in got, (command, got)
        for line in got.split("\r\n"):
            self.take(line, f'"{tag}"' if "RETURN" in command else "")
        self.check()
        return got

    def take(self, line: str, own: str = "") -> None:
        match = LINE.fullmatch(line)
        if match is None:
            return
        if match["exists"]:
            self.uids += self.arrivals.pop(0)
            assert int(match["n"]) == len(self.uids)
        elif match["expunge"]:
            self.removed(int(match["n"]))
        elif match["vanished"]:
            for uid in numbers(match["vanished"]):
                self.removed(self.uids.index(uid) + 1)
        elif match["tag"] and own != f'"{match["tag"]}"':
            self.update(match["tag"], bool(match["uid"]), match["data"])

    def removed(self, number: int) -> None:
        """A message is no more: numbers above it fall by one. It must have left all results by number before."""
        del self.uids[number - 1]
        for tag, (_, by_uid) in self.queries.items():
            if not by_uid:
                assert number not in self.results[tag], (tag, number)
                self.results[tag] = [n - (n > number) for n in self.results[tag]]

    def update(self, tag: str, by_uid: bool, data: str) -> None:
        results = self.results[tag]
        query = self.queries[tag][0]
        assert self.queries[tag][1] == by_uid
        changes = CHANGES.findall(data)
        assert changes, data
        for word, pairs in changes:
            items = pairs.split(" ")
            for position, group in zip(map(int, items[::2]), items[1::2], strict=True):
                named = numbers(group)
                assert (position == 0) == (not query.startswith("(")), (query, data)
                for number in named:
                    assert (number in results) == (word == "REMOVEFROM"), (tag, word, number, results)
                if not position:
                    kept = [number for number in results if number not in named]
                    results[:] = sorted([*kept, *named]) if word == "ADDTO" else kept
                elif word == "ADDTO":
                    assert position <= len(results) + 1
                    results[position - 1 : position - 1] = named
                else:
                    assert results[position - 1 : position - 1 + len(named)] == named, (data, results)
                    del results[position - 1 : position - 1 + len(named)]

    def check(self) -> None:
        for tag, (_, by_uid) in self.queries.items():
            if not by_uid:
                assert all(1 <= number <= len(self.uids) for number in self.results[tag])

    async def search(self, query: str, by_uid: bool) -> list[int]:
        got = await self.do(f"{'UID ' if by_uid else ''}{word_of(query)} RETURN (ALL) {query}")
        match = re.search(r"ALL ([\d:,]+)", got)
        return numbers(match[1]) if match else []

    async def begin(self, query: str, by_uid: bool) -> None:
        """A new context. Its own updates begin with the command after."""
        self.tag += 1
        tag = f"m{self.tag}"
        word = ("UID " if by_uid else "") + word_of(query)
        got = (await self.client.raw(f"{tag} {word} RETURN (ALL UPDATE) {query}\r\n".encode(), tag.encode())).decode()
        lines = got.split("\r\n")
        first = next(i for i, line in enumerate(lines) if f'ESEARCH (TAG "{tag}")' in line)
        for line in lines[:first]:
            self.take(line)
        match = re.search(r"ALL ([\d:,]+)", lines[first])
        self.queries[tag] = query, by_uid
        self.results[tag] = numbers(match[1]) if match else []
        for line in lines[first + 1 :]:
            self.take(line)
        self.check()

    async def cancel(self, tag: str) -> None:
        del self.queries[tag], self.results[tag]
        await self.do(f'CANCELUPDATE "{tag}"')

    async def settle(self) -> None:
        """Everything told, with nobody changing anything: results are what a new search gives."""
        await self.do("NOOP")
        for tag, (query, by_uid) in list(self.queries.items()):
            assert self.results[tag] == await self.search(query, by_uid), (tag, query)


class Meddler:
    """A store in which others change the mailbox before and after what a session asks of it."""

    def __init__(self, world: World, chance: random.Random) -> None:
        self.world = world
        self.store: Store = world.store
        self.chance = chance
        self.odds = 0.0

    def __getattr__(self, name: str) -> Any:  # any method of a store
        method = getattr(self.store, name)
        if name not in ("search", "delta", "store_flags", "rows"):
            return method

        async def meddled(*args: Any, **kwargs: Any) -> Any:
            await self.meddle()
            result = await method(*args, **kwargs)
            await self.meddle()
            return result

        return meddled

    async def meddle(self) -> None:
        while self.chance.random() < self.odds:
            await change(self.world, self.chance)


async def change(world: World, chance: random.Random) -> None:
    """One change by somebody else."""
    box = await world.store.mailbox("INBOX")
    assert box is not None
    there = (await world.store.snapshot(box.key)).uids.uids
    low = chance.choice(there) if len(there) else 1
    some = ((low, low + chance.choice([0, 0, 0, 2])),)
    kind = chance.choice(["flags", "flags", "flags", "arrive", "remove", "move"])
    if kind == "arrive" or len(there) < 4:
        await world.file(
            SIMPLE % (chance.choice([b"new", b"old"]), b"w%d" % chance.randrange(5) * chance.randrange(1, 4))
        )
    elif kind == "flags":
        mode = chance.choice([FlagMode.ADD, FlagMode.REMOVE, FlagMode.REPLACE])
        await world.store.store_flags(box.key, some, mode, Flags.of(chance.choice(FLAGS)))
    elif kind == "remove":
        await world.store.expunge(box.key, some, deleted_only=False)
    else:
        await world.store.move(box.key, some, box.key)


DIALECTS = {
    "rev1": (),
    "qresync": (b"ENABLE QRESYNC",),
    "rev2": (b"ENABLE IMAP4rev2",),
    "uidonly": (b"ENABLE UIDONLY",),
}


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("seed", range(2))
def test_results_stay_right(seed: int, dialect: str, monkeypatch: pytest.MonkeyPatch) -> None:
    chance = random.Random(f"{seed} {dialect}")
    uid_only = dialect == "uidonly"
    arrivals: dict[int, list[list[int]]] = {}
    write = Updates._write

    async def noted(self: Updates, view: View, update: Update, table: FlagTable) -> None:
        if update.exists is not None:
            arrivals[id(self._session)].append(update.arrived)
        await write(self, view, update, table)

    monkeypatch.setattr(Updates, "_write", noted)

    async def scenario(world: World) -> None:
        await world.add(*[b"w%d" % (n % 5) for n in range(10)])
        models, meddlers = [], [Meddler(world, chance) for _ in range(2)]
        for meddler in meddlers:
            client = await world.client(*DIALECTS[dialect], b"SELECT INBOX")
            model = Model(client, arrivals.setdefault(id(client.session), []))
            model.uids = list(client.session.view.uids.uids)
            put_store(client, meddler)
            models.append(model)
        for _ in range(80):
            model = chance.choice(models)
            for meddler in meddlers:
                meddler.odds = chance.choice([0.0, 0.0, 0.3])
            await step(chance, model)
            if chance.random() < 0.15:
                for meddler in meddlers:
                    meddler.odds = 0.0
                for each in models:
                    await each.settle()

    async def step(chance: random.Random, model: Model) -> None:
        number = chance.randint(1, len(model.uids)) if model.uids else 0
        uid = model.uids[number - 1] if number else 1
        flags = " ".join(chance.choice(FLAGS))
        by_number = [
            f"FETCH {number}:* BODY[TEXT]",
            f"STORE {number} +FLAGS ({flags})",
            f"STORE {number}:* -FLAGS.SILENT ({flags})",
            "SEARCH ALL",
        ]
        by_uid = [
            "NOOP",
            "NOOP",
            "EXPUNGE",
            f"UID STORE {uid}:{uid} FLAGS ({flags})",
            f"UID STORE 1:{uid} +FLAGS.SILENT ({flags})",
            f"UID FETCH {uid} BODY[]",
            f"UID EXPUNGE {uid}:*",
            f"UID COPY {uid} INBOX",
            f"UID MOVE {uid} INBOX",
            "CAPABILITY",
        ]
        kind = chance.random()
        if kind < 0.2 and len(model.queries) < 6:
            by = uid_only or chance.random() < 0.5
            await model.begin(chance.choice(QUERIES[:-2] if dialect == "rev2" else QUERIES), by)
        elif kind < 0.25 and model.queries:
            await model.cancel(chance.choice(list(model.queries)))
        elif number and not uid_only and kind < 0.5:
            command = chance.choice(by_number)
            got = await model.client.raw(f"x {command}\r\n".encode(), b"x")  # NO where messages are gone
            for line in got.decode().split("\r\n"):
                model.take(line, '"x"')
            model.check()
        else:
            await model.do(chance.choice(by_uid))

    run(scenario)
