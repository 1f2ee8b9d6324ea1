"""Waiting for the server to change: `Side.wait`.

- NOTIFY: one connection is told of every mailbox, and of mailboxes that come and go (RFC 5465).
- IDLE: a connection each for the first few mailboxes (RFC 2177); all others, and the list itself, are looked at every
  `poll` seconds.
- neither: they are all looked at.

Listeners stay between calls: what comes while nobody waits is told by the next `wait`, unless a look at all mailboxes
came between. IDLE is begun anew before a server may log us out. A machine that was asleep (the clock has gone on, the
time that runs has not) asks at once whether its connections still stand.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from ...imap.grammar.answers import Answer, BadAnswer, Continue, Data, Status
from ...imap.grammar.answers_mailbox import parse_list, parse_status
from ..side import SideUnavailable
from .account import Account, Sight
from .connection import Connection
from .errors import Lost
from .look import look, sight

_TICK = 30.0
"""Seconds between looks at the clock."""
_SLEPT = 10.0
"""Seconds that the clock may gain on the time that runs before the machine counts as having slept."""
_PROBE = 15.0
"""Seconds for a server to show that it is still there."""
_NEWS = frozenset({b"EXISTS", b"EXPUNGE", b"VANISHED", b"FETCH"})
_FOREVER = 10_000_000.0

_EVENTS = b"NOTIFY SET STATUS (personal (MessageNew MessageExpunge FlagChange MailboxName SubscriptionChange))"
_FEWER = b"NOTIFY SET STATUS (personal (MessageNew MessageExpunge MailboxName SubscriptionChange))"


class Listener:
    """One connection that listens. mailbox: the one it has open, None for NOTIFY."""

    def __init__(self, account: Account, connection: Connection, mailbox: str | None) -> None:
        self.mailbox = mailbox
        self.connection = connection
        self._account = account
        self._idle: bytes | None = None
        self._renew_at = 0.0
        self._offset = 0.0
        self._news: set[str] = set()

    async def listen(self) -> None:
        """Begin IDLE, or begin it anew. With NOTIFY and no IDLE, ask whether the server is there."""
        clock = self._account.clock
        if self._idle is not None:
            self.connection.write_line(b"DONE")
            await self._ended(self._idle)
            self._idle = None
        if "IDLE" in self._account.pool.offers:
            (self._idle,) = self.connection.begin((b"IDLE",))
            while not isinstance(answer := await self.connection.answer(_PROBE), Continue):
                if isinstance(answer, Status) and answer.tag == self._idle:
                    raise Lost("The server does not let us wait.")
                self.keep(answer)
            self.connection.heard()  # from here on it owes nothing
        else:
            (tag,) = self.connection.begin((b"NOOP",))
            await self._ended(tag)
        self._renew_at = clock.monotonic() + self._account.settings.renew
        self._offset = clock.now() - clock.monotonic()

    async def _ended(self, tag: bytes) -> None:
        while not isinstance(answer := await self.connection.answer(_PROBE), Status) or answer.tag != tag:
            self.keep(answer)

    def keep(self, answer: Answer) -> None:
        """What comes while a command is under way is news as well."""
        self._news |= self._meaning(answer)

    async def heard(self) -> set[str]:
        """Until something changes; what. "" stands for the list of mailboxes. Raises Lost."""
        clock = self._account.clock
        while True:
            if found := self.take():
                return found
            left = min(_TICK, self._renew_at - clock.monotonic())
            if left <= 0 or abs(clock.now() - clock.monotonic() - self._offset) > _SLEPT:
                await self.listen()
                continue
            try:
                async with asyncio.timeout(left):
                    self.keep(await self.connection.answer(_FOREVER, announced=True))
            except TimeoutError:
                continue

    def take(self) -> set[str]:
        """What has been heard so far. Raises Lost."""
        while (answer := self.connection.next()) is not None:
            self.keep(answer)
        found, self._news = self._news, set()
        return found

    def _meaning(self, answer: Answer) -> set[str]:
        """The mailboxes that an answer tells news of."""
        if isinstance(answer, Status):
            if answer.code == b"NOTIFICATIONOVERFLOW":
                raise Lost("The server cannot tell of so many changes.")
            return set()
        if not isinstance(answer, Data):
            return set()
        if self.mailbox is not None:
            return {self.mailbox} if answer.word in _NEWS else set()
        try:
            if answer.word == b"LIST":
                parse_list(answer)
                return {""}
            if answer.word == b"STATUS":
                raw, values = parse_status(answer)
                name = self._account.names.name(raw)
                if name is None:
                    return set()
                return {name} if differs(self._account.sights.get(name), sight(values)) else set()
        except BadAnswer as error:
            self.connection.abort()
            raise Lost(error.text) from error
        return set()


def differs(known: Sight | None, now: Sight) -> bool:
    """A number that both have is another now; or they have none in common, so that nobody can tell."""
    if known is None:
        return True
    common = known.keys() & now.keys() - {b"UIDVALIDITY"}
    return not common or any(known[item] != now[item] for item in known.keys() & now.keys())


class Watch:
    """All that one side listens with."""

    def __init__(self, account: Account) -> None:
        self._account = account
        self._listeners: list[Listener] = []
        self._notify: bool | None = None
        self._refused = False

    async def close(self) -> None:
        """End the listeners' connections."""
        listeners, self._listeners = self._listeners, []
        for listener in listeners:
            listener.connection.abort()
            await self._account.pool.release(listener.connection)

    def drain(self) -> None:
        """A look at all mailboxes begins: it will see what has been heard."""
        for listener in list(self._listeners):
            try:
                listener.take()
            except Lost:
                self._listeners.remove(listener)

    async def wait(self, names: Sequence[str]) -> set[str]:
        """`Side.wait`."""
        wanted = {*names, ""}
        if not self._account.looked:
            await look(self._account)
        news = await self._begin(names)
        while not news & wanted:
            news = await self._first()
        return news & wanted

    async def _begin(self, names: Sequence[str]) -> set[str]:
        """Have the listeners that these names need. What was news at once."""
        await self._clear()
        if self._notify is None and "NOTIFY" in self._account.pool.offers:
            self._notify = await self._begin_notify()
        if self._notify:
            return self._listeners[0].take()
        news: set[str] = set()
        wanted = list(names)[: self._account.settings.watchers] if "IDLE" in self._account.pool.offers else []
        for listener in [one for one in self._listeners if one.mailbox not in wanted]:
            self._listeners.remove(listener)
            listener.connection.abort()
            await self._account.pool.release(listener.connection)
        there = {listener.mailbox for listener in self._listeners}
        for name in wanted:
            if name not in there and not self._refused:
                news |= await self._begin_idle(name)
        return news

    async def _clear(self) -> None:
        """Forget listeners whose connections were lost; others take their place, and see what happened meanwhile."""
        for listener in [one for one in self._listeners if one.connection.lost]:
            self._listeners.remove(listener)
            await self._account.pool.release(listener.connection)
            self._notify = None if self._notify else self._notify

    async def _begin_notify(self) -> bool:
        """False where the server does not tell us enough after all."""
        connection = await self._separate()
        if connection is None:
            return False
        listener = Listener(self._account, connection, None)
        for command in (_EVENTS, _FEWER):
            (tag,) = connection.begin((command,))
            while not isinstance(answer := await connection.answer(), Status) or answer.tag != tag:
                listener.keep(answer)
            if answer.ok:
                break
        else:
            await self._account.pool.release(connection)
            return False
        await listener.listen()
        self._listeners.append(listener)
        return True

    async def _begin_idle(self, name: str) -> set[str]:
        account = self._account
        connection = await self._separate()
        if connection is None:
            return set()
        try:
            parameters = b" (CONDSTORE)" if "CONDSTORE" in account.pool.offers else b""
            selected = await connection.select(await account.raw(name), name, False, parameters)
            listener = Listener(account, connection, name)
            await listener.listen()
        except BaseException:
            connection.abort()
            await account.pool.release(connection)
            raise
        self._listeners.append(listener)
        now = {b"UIDVALIDITY": selected.validity, b"MESSAGES": selected.exists}
        now |= {b"UIDNEXT": selected.uidnext} if selected.uidnext is not None else {}
        now |= {b"HIGHESTMODSEQ": selected.modseq} if selected.modseq is not None else {}
        return {name} if differs(account.sights.get(name), now) else set()

    async def _separate(self) -> Connection | None:
        """One more connection; None where the server lets us have no more."""
        try:
            return await self._account.pool.separate()
        except SideUnavailable:
            self._refused = True
            return None

    async def _first(self) -> set[str]:
        """Until one of the listeners, or a look at all, has news."""
        tasks = [asyncio.create_task(listener.heard()) for listener in self._listeners]
        if not self._notify:
            tasks.append(asyncio.create_task(self._poll()))
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            news: set[str] = set()
            for task in tasks:
                if task.done():
                    news |= task.result()
            return news
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _poll(self) -> set[str]:
        """Look at all mailboxes now and then until something differs."""
        account = self._account
        while True:
            await account.settings.sleep(account.settings.poll)
            before = account.sights
            places = await look(account)
            names = {place.name for place in places}
            news = {name for name in names & before.keys() if before[name] != account.sights.get(name)}
            if names & account.sights.keys() != before.keys():
                news.add("")
            if news:
                return news
