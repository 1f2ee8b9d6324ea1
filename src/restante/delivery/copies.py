"""One message for a recipient that leads to several accounts: all of them get it, and each gets it once.

Each account is a file of its own, so there is no common commit. The order of things makes up for it:

```
lock (digest, recipient)                        of two tries at once the second waits, also in another process
is there a row?   no -> check all accounts, then write a row with a random token            [fsync, directory]
                 yes -> a try was cut off: each account is asked whether it has its copy
for each copy that is missing: append it, unless an email of its EMAILID is there     [fsync, account by account]
remove the row                                                                              [fsync, directory]
answer 250
```

A copy's EMAILID is made of the row's token and the account's id. So what an account has is asked of the account's own
index of EMAILIDs (one look-up, whatever it holds), and "append unless it is there" is one command in the account's
file: not even a writer of a try that was given up meanwhile can file a copy twice.

| it stops | what the next try finds | what it does |
|---|---|---|
| before the row is written | nothing | all, as if new |
| after the row, before any copy | the row, no copy | all, by the row's token |
| between two copies | the row, some copies | those that are missing |
| after the last copy, before the row is gone | the row, all copies | removes the row, answers 250 |
| after the row is gone, before the answer arrives | nothing | all again: what RFC 1047 describes, for any server |

The same octets sent again later, after a try that ended, are a message of their own: the row is gone, a new token is
drawn. While a row is there they are taken for the retry; should they not have been, the true retry finds no row, and
all get the message as often as it was sent. A row that nobody comes back for goes after 14 days (housekeeping).

An owner may remove a copy before the retry comes: it is still known while the removed mail is kept (retention). Where
that is shorter than the sender's patience, the row itself tells: a try that fails writes down which copies are filed.

While some have the message no refusal is permanent: a bounce would say that nobody got it. One account alone, the
usual case, needs none of this and pays nothing for it. Knows directory and stores; no SQL, no protocol.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

import structlog

from ..errors import Refusal
from ..store.errors import NoSuchMailbox, StoreRefusal, cause_of
from ..store.interface import Engine
from ..store.journal import Begun
from ..store.model import INBOX, Identity
from .interface import DeliveryRefusal, Target
from .message import LARGE, Ready

log = structlog.get_logger("restante.delivery")

AT_ONCE = 16
"""Copies of a small message filed side by side."""

Wanted = Callable[[Sequence[Target]], Awaitable[list[Target]]]
"""Of the targets given, those that are to be filed for (a redelivery may be suppressed). Raises DeliveryRefusal
where one of them cannot take the message."""


@dataclass(frozen=True, slots=True)
class Copy:
    """One target's copy. name: in the journal, the account's id and which of its copies this is.

    Not by the mailbox: that may be renamed between two tries.
    """

    target: Target
    name: str

    def email_id(self, token: bytes) -> str:
        """128 bits that nobody can guess and that are this account's alone."""
        digest = hashlib.sha256(token + self.name.encode("utf-8")).digest()[:16]
        return "m" + base64.b32encode(digest).decode("ascii").rstrip("=").lower()


def copies_of(targets: Sequence[Target]) -> list[Copy]:
    seen: Counter[str] = Counter()
    copies = []
    for target in targets:
        copies.append(Copy(target, f"{target.account}.{seen[target.account]}"))
        seen[target.account] += 1
    return copies


def half_way() -> DeliveryRefusal:
    return DeliveryRefusal(451, "4.3.0", "Not all could be reached, try again later.")


async def file_copies(
    engine: Engine, recipient: str, targets: Sequence[Target], digest: bytes, ready: Ready, wanted: Wanted
) -> None:
    """File a message for all of `targets`, durably when this returns.

    digest: SHA-256 before trace fields. Cost beside the copies: two commits of the directory, where there are
    several copies to file. Raises DeliveryRefusal, temporary as soon as one has the message; StoreRefusal.
    """
    journal = engine.directory.deliveries
    async with journal.lock(digest, recipient):
        begun = await journal.find(digest, recipient)
        copies = copies_of(targets)
        filed = await _filed(engine, begun, copies) if begun is not None else set[str]()
        try:
            missing = [copy for copy in copies if copy.name not in filed]
            chosen = await wanted([copy.target for copy in missing])
            missing = [copy for copy in missing if copy.target in chosen]
            if begun is None and len(missing) > 1:
                await ready.prepare()  # what may fail before anything is written does
                begun = await journal.begin(digest, recipient, ready.received)
            await _file(engine, missing, begun, ready, filed)
        except Refusal as refusal:
            await _note(engine, recipient, digest, begun, filed)
            if filed:
                raise half_way() from refusal
            raise
        except Exception:
            await _note(engine, recipient, digest, begun, filed)
            raise
        if begun is not None:
            await _end(engine, recipient, digest)


async def _filed(engine: Engine, begun: Begun, copies: Sequence[Copy]) -> set[str]:
    """Names of copies that are filed: by the journal, else by what the account has."""
    filed = {copy.name for copy in copies} & begun.done
    for copy in copies:
        if copy.name not in filed:
            store = engine.account(copy.target.account)
            if await store.has_email(copy.email_id(begun.token)):
                filed.add(copy.name)
    return filed


async def _file(engine: Engine, copies: Sequence[Copy], begun: Begun | None, ready: Ready, filed: set[str]) -> None:
    """File copies, some at once since their commits overlap, and note each in `filed`.

    One account that fails does not keep the message from the others: each fault is logged, and the first is raised
    when all have been tried.
    """
    at_once = 1 if ready.size >= LARGE else AT_ONCE
    faults: list[BaseException] = []
    for start in range(0, len(copies), at_once):
        group = copies[start : start + at_once]
        results = await asyncio.gather(*(_append(engine, copy, begun, ready) for copy in group), return_exceptions=True)
        for copy, fault in zip(group, results, strict=True):
            if fault is None:
                filed.add(copy.name)
                continue
            faults.append(fault)
            why = {"reason": fault.code, "cause": cause_of(fault)} if isinstance(fault, Refusal) else {"fault": fault}
            log.warning("copy not filed", recipient=copy.target.original, account=copy.target.address, **why)
    if faults:
        raise faults[0]


async def _append(engine: Engine, copy: Copy, begun: Begun | None, ready: Ready) -> None:
    """One durable copy. A folder that has gone since RCPT sends it to INBOX. begun: None where it is the only one."""
    store = engine.account(copy.target.account)
    identity = Identity(email_id=copy.email_id(begun.token)) if begun is not None else Identity()
    for name in dict.fromkeys((copy.target.mailbox, INBOX)):
        message = await ready.message(store, identity)
        try:
            if begun is None:
                await store.append_by_name(name, [message])
            else:
                await store.append_once(name, message)
        except NoSuchMailbox:
            if name == INBOX:
                raise
        else:
            return


async def _note(engine: Engine, recipient: str, digest: bytes, begun: Begun | None, filed: set[str]) -> None:
    """Write down what is known. Where that fails the accounts still know it."""
    if begun is None or filed <= begun.done:
        return
    try:
        await engine.directory.deliveries.note(digest, recipient, begun.done | filed)
    except StoreRefusal as refusal:
        log.warning("half-done delivery not noted", recipient=recipient, reason=refusal.code, cause=cause_of(refusal))


async def _end(engine: Engine, recipient: str, digest: bytes) -> None:
    """Remove the row. A failure that left it there is one: answered as done, the next message of the same octets
    would be taken for this one and be lost. One that came behind the commit is none."""
    journal = engine.directory.deliveries
    try:
        await journal.end(digest, recipient)
    except StoreRefusal:
        if await journal.find(digest, recipient) is not None:
            raise
