"""One run over the spool of a copy: what is due is handed to the server, each entry's state on disk at every step.

Order of a run: what an earlier one left in the middle becomes uncertain; the Outbox mailbox is emptied into the spool
(`taking`); one connection sends all that is due; Sent and INBOX get what belongs there (`filing`). A message that
fails holds up no other. Faults of the connection or login end the sending, not the run, and are told in the outcome.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from msgspec.structs import replace as changed

from ...clock import Clock, Random
from ...errors import Refusal
from ...smtp.grammar.answers import Reply
from ..side import Side
from .entry import Entry, Event, Fate, State, decided, settled
from .filing import Desk
from .login import LoginRefused
from .outcome import Outcome
from .spool import Spool
from .submission import Result, Submission, SubmissionUnavailable, Uncertain

DELAYS = (60.0, 300.0, 900.0, 1800.0, 3600.0, 7200.0, 14_400.0)
"""Seconds to the next try of a message that the server would not take now; the last is repeated."""


class Taker(Protocol):
    """Empties the Outbox mailbox into the spool: `taking.Taking`."""

    async def take(self, side: Side) -> int: ...


@dataclass(frozen=True, slots=True)
class Outgoing:
    """How a copy sends. name: of the copy. server: for people. give_up: seconds after which a message that the server
    puts off comes back. sent: mailbox to file to, "" to find one. file: whether to."""

    name: str
    server: str
    give_up: float
    sent: str = ""
    file: bool = True


class Sender:
    """One copy's way out. connect: gives a `Submission`, not yet open."""

    def __init__(
        self,
        outgoing: Outgoing,
        spool: Spool,
        connect: Callable[[], Submission],
        clock: Clock,
        random: Random,
        taking: Taker | None = None,
    ) -> None:
        self._outgoing = outgoing
        self._spool = spool
        self._connect = connect
        self._clock = clock
        self._random = random
        self._taking = taking

    async def run(self, side: Side | None) -> Outcome:
        """Send, file, return. side: the copy, open; None: it cannot be used now, so that filing waits for another run.

        Raises SpoolBusy (another process is at it), SpoolDamaged.
        """
        with self._spool.sending(self._outgoing.name):
            self._spool.tidy()
            for entry in self._entries(State.SENDING):
                self._spool.write(changed(entry, state=entry.after(Event.FOUND)))
            problem: Refusal | None = None
            if side is not None and self._taking is not None:
                try:
                    await self._taking.take(side)
                except Refusal as refusal:
                    problem = refusal
            sent, refusal_of_server = await self._send_due()
            desk = Desk(self._outgoing, self._spool, self._clock, self._random)
            returned, refusal_of_side = await desk.work(side) if side is not None else (0, None)
            left = self._spool.entries(self._outgoing.name)
            return Outcome(
                sent,
                returned,
                sum(entry.state in (State.SPOOLED, State.TAKEN) for entry in left),
                sum(entry.state is State.UNCERTAIN for entry in left),
                refusal_of_server or problem or refusal_of_side,
            )

    def look(self, id: str) -> Entry | None:
        """The message as it is now; None once nothing is left to do for it."""
        return next((entry for entry in self._spool.entries(self._outgoing.name) if entry.id == id), None)

    def _entries(self, state: State) -> list[Entry]:
        return [entry for entry in self._spool.entries(self._outgoing.name) if entry.state is state]

    # Sending -------------------------------------------------------------------------------------------

    async def _send_due(self) -> tuple[int, Refusal | None]:
        """(messages taken, why it ended early)."""
        now = self._clock.now()
        due = [entry for entry in self._entries(State.SPOOLED) if entry.next_try <= now]
        if not due:
            return 0, None
        connection = self._connect()
        sent = 0
        try:
            await connection.open()
            try:
                for entry in due:
                    sent += await self._one(connection, entry)
            finally:
                await connection.close()
        except Refusal as refusal:
            return sent, refusal
        return sent, None

    async def _one(self, connection: Submission, entry: Entry) -> bool:
        """Send one message, in as many transactions as its recipients need; whether a server took it.

        Raises what ends the connection.
        """
        message = self._spool.message(entry)
        taken = False
        while entry.state is State.SPOOLED and entry.waiting:
            before = entry.waiting
            entry, result = await self._transaction(connection, entry, message)
            taken = taken or entry.sent is not None
            if not entry.waiting or entry.waiting == before or not _more_may_go(result):
                break
        return taken

    async def _transaction(self, connection: Submission, entry: Entry, message: bytes) -> tuple[Entry, Result]:
        """One transaction and the entry after it, on disk."""
        now = self._clock.now()
        tried = changed(entry, attempts=entry.attempts + 1, first_try=entry.first_try or now)
        sending = changed(tried, state=tried.after(Event.END))

        async def before_end() -> None:
            self._spool.write(sending)

        try:
            result = await connection.send(entry.sender, entry.waiting, message, before_end)
        except SubmissionUnavailable as refusal:
            # The next run begins with others, lest a message that a server stumbles over holds them up for ever.
            self._spool.write(changed(tried, said=str(refusal), next_try=now + delay(tried.attempts)))
            raise
        except Uncertain as error:
            self._spool.write(changed(sending, state=sending.after(Event.FOUND), said="Lost at the end of the data."))
            raise SubmissionUnavailable(
                f"The connection to {self._outgoing.server} was lost at the end of a message.",
                f"Whether it arrived nobody can know: restante send --list ({entry.id}).",
            ) from error
        after = self._after(tried, result)
        self._spool.write(after)
        return after, result

    def _after(self, entry: Entry, result: Result) -> Entry:
        """The entry that a result makes."""
        if result.reply is not None and result.reply.code == 530:  # RFC 4954 6: no fault of the message
            raise LoginRefused(f"The server wants a login: {result.reply.text}", "Name a user and a password.")
        now = self._clock.now()
        fates = fates_of(result)
        if any(fate is Fate.ACCEPTED for fate, _ in fates.values()):
            entry = changed(entry, sent=entry.sent or now)
        entry = decided(entry, fates)
        if entry.waiting:
            said = next(words for fate, words in fates.values() if fate is Fate.WAITING)
            entry = changed(entry, said=said, next_try=now + delay(entry.attempts))
            # Time that nobody had a network does not count, only time in which the server put it off.
            if entry.first_try is not None and now - entry.first_try > self._outgoing.give_up:
                entry = expired(entry, self._outgoing.give_up)
        return entry


def delay(attempts: int) -> float:
    """Seconds to wait after so many (1 or more)."""
    return DELAYS[min(attempts, len(DELAYS)) - 1]


def fates_of(result: Result) -> Mapping[str, tuple[Fate, str]]:
    """What became of each recipient, with the server's words."""
    # 552 to RCPT is how old servers say "too many recipients" (RFC 5321 4.5.3.1.10): not now.
    found = {each: (_fate(reply, RCPT_LATER), reply.text) for each, reply in result.refused.items()}
    if result.reply is not None:
        found |= {each: (_fate(result.reply, ()), result.reply.text) for each in result.taken}
    return found


RCPT_LATER = (552,)


def _fate(reply: Reply, later: Sequence[int]) -> Fate:
    if reply.good:
        return Fate.ACCEPTED
    return Fate.REFUSED if reply.permanent and reply.code not in later else Fate.WAITING


def _more_may_go(result: Result) -> bool:
    """Whether another transaction at once makes sense: the server took some and had too many (452, 552)."""
    good = result.reply is not None and result.reply.good
    return good and any(reply.code in (452, 552) for reply in result.refused.values())


def expired(entry: Entry, after: float) -> Entry:
    """The entry given up: who still waits is refused for time."""
    days = max(1, round(after / 86_400))
    recipients = tuple(
        changed(each, fate=Fate.REFUSED, said=f"{each.said or entry.said} (given up after {days} days)".strip())
        if each.fate is Fate.WAITING
        else each
        for each in entry.recipients
    )
    return settled(changed(entry, recipients=recipients, state=entry.after(Event.EXPIRED)))


def decide(spool: Spool, id: str, event: Event, now: float) -> Entry:
    """What a person says of a message: RETRY, SENT or DROP. Raises NoSuchEntry, SpoolBusy, WrongMoment."""
    entry = spool.entry(id)
    with spool.sending(entry.copy):
        entry = spool.entry(id)
        if entry.state is State.SENDING:  # nobody is at it: the lock is ours
            entry = changed(entry, state=entry.after(Event.FOUND))
        try:
            state = entry.after(event)
        except KeyError as error:
            raise WrongMoment(f"The message {id} is {entry.state.value}: that cannot be said of it.") from error
        if event is Event.RETRY:
            entry = changed(entry, state=state, next_try=0.0, told=False)
        elif event is Event.SENT:
            waiting = tuple(changed(e, fate=Fate.ACCEPTED) if e.fate is Fate.WAITING else e for e in entry.recipients)
            entry = changed(entry, state=state, recipients=waiting, sent=entry.sent or now)
        else:
            spool.remove(entry)
            return changed(entry, state=state)
        spool.write(entry)
        return entry


class WrongMoment(Refusal):
    """The message is not in a state in which that can be said of it."""

    code = "WRONG-MOMENT"
