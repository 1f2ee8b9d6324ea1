"""A client that only follows what NOTIFY tells it has the right picture at the end: random changes, two processes.

The client's model knows nothing but the responses: names by LIST (with OLDNAME), counters by STATUS, the selected
mailbox by EXISTS, EXPUNGE and FETCH, entries by METADATA. Changes come from another engine on the same files (as
another process makes them) and from the client itself, between commands and with them.
"""

from __future__ import annotations

import asyncio
import random
import re

import pytest

from restante.store.annotation import ACCOUNT
from restante.store.errors import StoreRefusal
from restante.store.interface import Store
from restante.store.model import FlagMode, Flags
from restante.store.sqlite.engine import SqliteEngine
from tests.engines.making import new

from .support import ACCOUNT as USER
from .support import Client, World, run

LIST = re.compile(r'\* LIST \(([^)]*)\) "/" (\S+)(?: \("OLDNAME" \((\S+)\)\))?\Z')
STATUS = re.compile(r"\* STATUS (\S+) \(([^)]*)\)\Z")
METADATA = re.compile(r"\* METADATA (\S+) (/.*)\Z")
FETCH = re.compile(r"\* (\d+) FETCH \((?:.*?)UID (\d+)(?:.*?FLAGS \(([^)]*)\))?")
NAMES = ["A", "B", "A/x", "B/y", "C"]
EVENTS = (
    b"MailboxName SubscriptionChange MessageNew MessageExpunge FlagChange MailboxMetadataChange ServerMetadataChange"
)


class Picture:
    """What a client believes."""

    def __init__(self) -> None:
        self.mailboxes: dict[str, dict[str, int]] = {}
        self.selected: str | None = None
        self.uids: list[int | None] = []
        self.flags: dict[int, set[str]] = {}
        self.entries: set[tuple[str, str]] = set()

    def hear(self, written: bytes) -> None:
        for line in written.decode().split("\r\n"):
            self._line(line)

    def _line(self, line: str) -> None:
        if "[CLOSED]" in line:
            self.leave()
        elif match := LIST.match(line):
            self._name(match[2], match[1].split(), match[3])
        elif match := STATUS.match(line):
            words = match[2].split()
            values = dict(zip(words[::2], map(int, words[1::2]), strict=True))
            assert match[1] in self.mailboxes, (line, self.mailboxes)
            self.mailboxes[match[1]].update(values)
        elif match := METADATA.match(line):
            self.entries |= {(match[1].strip('"'), entry) for entry in match[2].split()}
        elif match := re.match(r"\* (\d+) EXISTS", line):
            count = int(match[1])
            assert count >= len(self.uids), "messages went without EXPUNGE"
            self.uids += [None] * (count - len(self.uids))
        elif match := re.match(r"\* (\d+) EXPUNGE", line):
            gone = self.uids.pop(int(match[1]) - 1)
            if gone is not None:
                self.flags.pop(gone, None)
        elif match := FETCH.match(line):
            assert self.uids[int(match[1]) - 1] in (None, int(match[2])), line
            self.uids[int(match[1]) - 1] = int(match[2])
            if match[3] is not None:
                self.flags[int(match[2])] = set(match[3].split()) - {"\\Recent"}

    def leave(self) -> None:
        self.uids, self.flags = [], {}

    def _name(self, name: str, attributes: list[str], old: str | None) -> None:
        if "\\NonExistent" in attributes:
            self.mailboxes.pop(name, None)
        elif old is not None:
            moved = {one: self.mailboxes.pop(one) for one in list(self.mailboxes) if f"{one}/".startswith(f"{old}/")}
            assert old in moved, (name, old)
            self.mailboxes.update({name + one[len(old) :]: values for one, values in moved.items()})
        else:
            self.mailboxes.setdefault(name, {"MESSAGES": 0, "UIDNEXT": 1, "UNSEEN": 0})


async def change(store: Store, dice: random.Random, protected: str | None) -> set[tuple[str, str]]:
    """One random change by somebody else; the entries it touched."""
    name = dice.choice(["INBOX", *NAMES])
    found = await store.mailbox(name)
    what = dice.choice(["file"] * 4 + ["flag"] * 3 + ["expunge"] * 2 + ["make"] * 3 + ["drop", "move", "note", "note"])
    if found is None:
        if what in ("make", "file") and name != "INBOX":
            await store.create_mailbox(name)
        return set()
    ranges = ((dice.randint(1, 3), dice.randint(3, 9)),)
    if what == "file":
        await store.append(found.key, [await new(store, b"Subject: x\r\n\r\n%d\r\n" % dice.randint(0, 9))])
    elif what == "flag":
        flags = Flags.of(dice.sample(["\\Seen", "\\Flagged", "\\Answered"], dice.randint(0, 2)))
        await store.store_flags(found.key, ranges, dice.choice(list(FlagMode)), flags)
    elif what == "expunge":
        await store.expunge(found.key, ranges, deleted_only=False)
    elif what == "drop" and name not in ("INBOX", protected):
        await store.delete_mailbox(found.key)
    elif what == "move" and name != "INBOX":
        try:
            await store.rename_mailbox(found.key, dice.choice(NAMES))
        except StoreRefusal:
            pass  # the name is taken, or below its own
    elif what == "note":
        key, where = dice.choice([(ACCOUNT, ""), (1, "INBOX")])
        entry = dice.choice(["/shared/comment", "/private/comment"])
        if await store.annotate(key, {entry: dice.choice([None, b"a", b"b"])}):
            return {(where, entry)}
    return set()


async def act(client: Client, picture: Picture, dice: random.Random) -> None:
    """The client does something itself, and notes what it knows by that."""
    what = dice.choice(["noop", "select", "store", "fetch", "expunge", "idle", "unselect"])
    if what == "select":
        picture.selected = "INBOX"
        picture.hear(await client.ok(b"SELECT INBOX"))
        if picture.uids:
            picture.hear(await client.ok(b"FETCH 1:* (UID FLAGS)"))
    elif what == "noop":
        picture.hear(await client.ok(b"NOOP"))
    elif what == "idle":
        client.connection.feed(b"i IDLE\r\n")
        picture.hear(await client.pushed(b"+ Listening."))
        picture.hear(await client.raw(b"DONE\r\n", b"i"))
    elif picture.selected and picture.uids:
        uid = dice.choice([uid for uid in picture.uids if uid is not None] or [1])
        if what == "store":
            picture.hear(await client.do(b"UID STORE %d +FLAGS (\\Deleted)" % uid))
        elif what == "fetch":
            picture.hear(await client.do(b"UID FETCH %d (FLAGS)" % uid))
        elif what == "expunge":
            picture.hear(await client.ok(b"EXPUNGE"))
        elif what == "unselect":
            picture.hear(await client.ok(b"UNSELECT"))
            picture.selected = None
            picture.leave()


@pytest.mark.parametrize("seed", range(25))
def test_who_follows_has_the_right_picture(seed: int) -> None:
    dice = random.Random(seed)

    async def scenario(world: World) -> None:
        other_engine = SqliteEngine(world.engine.data, world.clock, world.engine.random, reserve=0)
        other = other_engine.account(USER.id)
        try:
            await world.add(b"one", b"two")
            await other.create_mailbox("A")
            client = await world.client(*([b"ENABLE CONDSTORE"] if dice.random() < 0.5 else []))
            picture = Picture()
            picture.hear(await client.ok(b'LIST "" *'))
            kind = dice.choice([b"selected", b"selected-delayed"])
            picture.hear(
                await client.ok(
                    b"NOTIFY SET STATUS (%b (MessageNew (UID FLAGS) MessageExpunge FlagChange)) (personal (%b))"
                    % (kind, EVENTS)
                )
            )
            touched: set[tuple[str, str]] = set()
            for _ in range(60):
                if dice.random() < 0.3:
                    await act(client, picture, dice)
                else:
                    touched |= await change(other, dice, picture.selected)
                if dice.random() < 0.3:
                    for _ in range(dice.randint(0, 60)):  # turns of the loop: hints come between any two of them
                        await asyncio.sleep(0)
                    picture.hear(client.connection.take())
            picture.hear(await client.ok(b"NOOP"))
            await check(world, client, picture, touched)
        finally:
            await other_engine.close()

    run(scenario)


async def check(world: World, client: Client, picture: Picture, touched: set[tuple[str, str]]) -> None:
    mailboxes = {mailbox.name: mailbox for mailbox in await world.store.mailboxes()}
    assert set(picture.mailboxes) == set(mailboxes)
    for name, mailbox in mailboxes.items():
        if name != picture.selected:
            known = picture.mailboxes[name]
            told = (known["MESSAGES"], known["UIDNEXT"], known["UNSEEN"])
            if name != "INBOX":  # what it was told of INBOX while it was selected came by other responses
                assert told == (mailbox.messages, mailbox.uidnext, mailbox.unseen), name
    if picture.selected:
        snapshot = await world.store.snapshot(mailboxes["INBOX"].key)
        assert picture.uids == list(snapshot.uids.uids)
        got = await client.ok(b"UID FETCH 1:* (FLAGS)")
        now = Picture()
        now.uids = list(picture.uids)
        now.hear(got)
        assert picture.flags == now.flags
    assert picture.entries == touched
