"""`restante search`: messages found by words, newest first."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import click

from .common import NotHere, emit, instant, run, with_json, with_place
from .query import found_by, from_jmap, from_sieve

if TYPE_CHECKING:
    from array import array

    from ..query.language import Query
    from ..store.interface import Store
    from ..store.model import Mailbox


@dataclass(frozen=True, slots=True)
class Row:
    mailbox: str
    uid: int
    date: str | None
    sender: str
    subject: str


@dataclass(frozen=True, slots=True)
class _Hit:
    score: float
    received: int
    mailbox: Mailbox
    uid: int


@click.command()
@click.argument("query", metavar="[QUERY]...", nargs=-1)
@click.option("--account", "address", required=True, metavar="NAME@DOMAIN", help="Whose mail to search.")
@click.option("--fuzzy", is_flag=True, help="Find what is close, too, and list the best matches first.")
@click.option("--jmap", metavar="FILTER", help="Instead of QUERY: a filter of JMAP's Email/query (RFC 8621), in JSON.")
@click.option("--sieve", metavar="TEST", help="Instead of QUERY: the test of a Sieve rule (RFC 5228).")
@click.option("--limit", default=50, show_default=True, metavar="N", help="List at most N messages; 0: all.")
@with_json
@with_place
def command(
    query: tuple[str, ...],
    address: str,
    fuzzy: bool,
    jmap: str | None,
    sieve: str | None,
    limit: int,
    as_json: bool,
) -> None:
    """List messages that match QUERY, newest first.

    Words must all be there, anywhere in a message; what is quoted is one phrase: "two words", from:"Ann Bell".
    -word: it must not be there. a OR b: one of the two. Put -- before a QUERY that begins with "-". The whole query
    may be one argument, too: 'from:ann "two words" -draft'.

    \b
    from: to: cc: bcc: subject: body:  in that place alone
    header:NAME=TEXT                   in another header field
    before: on: since:                 received then, by day: since:2024-01-31
    is:                                read, unread, flagged, answered, draft,
                                       deleted
    has:attachment                     it brings a file along
    keyword: larger: smaller:          keyword:$Junk larger:10M
    mailbox:                           in this mailbox; may be given again

    --jmap '{"from": "ann", "hasAttachment": true}' and --sieve 'header :contains "list-id" "dev"' find what a mail
    application's search, or a rule for incoming mail, would find.
    """
    if sum([bool(query), jmap is not None, sieve is not None]) != 1:
        raise click.UsageError("Give a QUERY, or one of --jmap and --sieve.")
    if fuzzy and not query:
        raise click.UsageError("--fuzzy goes with a QUERY.")

    async def work() -> None:
        from .installation import installation

        async with installation() as here:
            _, store = await here.store(address)
            if query:
                found = await found_by(
                    query, "search", lambda words: _found(store, words.query, words.mailboxes, fuzzy)
                )
            else:
                compiled = (
                    from_jmap(jmap) if jmap is not None else from_sieve(sieve or "", here.config.delivery.separator)
                )
                found = await _found(store, compiled)
            found.sort(key=lambda hit: (-hit.score, -hit.received, hit.mailbox.key, -hit.uid))
            shown = found[:limit] if limit > 0 else found
            emit([await _row(store, hit) for hit in shown], as_json, "Nothing found.")
            if len(shown) < len(found):
                click.echo(f"{len(found) - len(shown)} more; --limit 0 lists all.", err=True)

    run(work())


async def _found(store: Store, query: Query, mailboxes: tuple[str, ...] = (), fuzzy: bool = False) -> list[_Hit]:
    """What matches in these mailboxes (none: in all), in no order."""
    from ..query.language import Fuzzy

    asked = Fuzzy(query) if fuzzy else query
    found: list[_Hit] = []
    for mailbox in await _mailboxes(store, mailboxes):
        if mailbox.messages:
            found += await _hits(store, mailbox, asked, fuzzy=fuzzy)
    return found


async def _mailboxes(store: Store, names: tuple[str, ...]) -> list[Mailbox]:
    if not names:
        return await store.mailboxes()
    from ..sync.patterns import canonical

    found = []
    for name in dict.fromkeys(map(canonical, names)):
        mailbox = await store.mailbox(name)
        if mailbox is None:
            raise NotHere(f"There is no mailbox {name}.", "Name an existing one, or leave mailbox: out.")
        found.append(mailbox)
    return found


async def _hits(store: Store, mailbox: Mailbox, query: Query, *, fuzzy: bool) -> list[_Hit]:
    """What matches in one mailbox. Without fuzzy all scores are equal."""
    from ..store.model import Column

    within = ((1, mailbox.uidnext - 1),)
    uids: array[int]
    scores: dict[int, float] = {}
    if fuzzy:
        scored = await store.scored(mailbox.key, query, within)
        # The best match of each mailbox has 100, however far from the words it is.
        uids = scored.uids
        scores = {uid: score * scored.best for uid, score in zip(uids, scored.scores, strict=True)}
    else:
        uids = await store.search(mailbox.key, query, within)
    found: list[_Hit] = []
    for start in range(0, len(uids), _BATCH):
        ranges = tuple((uid, uid) for uid in uids[start : start + _BATCH])
        rows = await store.rows(mailbox.key, ranges, (Column.RECEIVED,), _BATCH)
        # A row is the UID and the columns asked for, RECEIVED being an int.
        found += [_Hit(scores.get(uid, 0), at, mailbox, uid) for uid, at in cast("list[tuple[int, int]]", rows)]
    return found


_BATCH = 1_000


async def _row(store: Store, hit: _Hit) -> Row:
    from ..mime.decode import decode_header
    from ..mime.headers import first, index_fields, split_fields
    from ..store.model import Column

    sender = subject = ""
    for _, headers in await store.rows(hit.mailbox.key, ((hit.uid, hit.uid),), (Column.HEADERS,), 1):
        assert isinstance(headers, bytes)
        fields = index_fields(split_fields(headers, 1_000))
        sender, subject = (decode_header(first(fields, name) or b"") for name in (b"from", b"subject"))
    return Row(hit.mailbox.name, hit.uid, instant(hit.received), sender, subject)
