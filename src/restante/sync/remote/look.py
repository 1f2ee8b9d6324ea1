"""All mailboxes at a glance: `Side.places`.

With LIST-EXTENDED, LIST-STATUS and COMPRESS a look at an account costs one round trip and some 20 octets a mailbox, so
it asks for no more than tells that something has changed:

- QRESYNC: UIDVALIDITY, HIGHESTMODSEQ; the latter moves with each new, changed and removed message (RFC 7162 3.2.4).
- CONDSTORE alone: MESSAGES too, since a removal need not move HIGHESTMODSEQ.
- neither: nothing can tell that no flag has changed. UIDNEXT, MESSAGES and UNSEEN, for `watch`.

MAILBOXID (RFC 8474) is 17 octets that no compression makes fewer: it is asked for mailboxes that are not as they were.

Of the mailbox that a connection has open a server may tell what that session has been told of it so far (Dovecot does;
RFC 9051 6.3.11: it should not be asked). So it is closed before, in the same round trip; where that cannot be, INBOX is
opened in its place, anew. (NOOP would not do: Dovecot tells after it has answered what was asked behind it.)

RFC 9051 6.3.9, RFC 5258, RFC 5819, RFC 6154, RFC 2342, RFC 8474 4.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable

from ...imap.grammar.answers import BadAnswer, Data, Status
from ...imap.grammar.answers_mailbox import Listed, parse_list, parse_namespace, parse_status
from ..model import Place
from ..side import MailboxUnavailable
from .account import Account, Heard, Sight
from .command import Command, astring
from .connection import Connection
from .errors import busy, check, is_busy
from .names import decode_text
from .offers import Offers
from .quirks import VIEWS, Quirk

ROLES = {
    role.lower(): role
    for role in ("\\All", "\\Archive", "\\Drafts", "\\Flagged", "\\Important", "\\Junk", "\\Sent", "\\Trash")
}
REMOVED = "~restante-removed"
"""Ends the name of a mailbox that is about to be deleted (`mailboxes.delete_empty`)."""
MOST_MAILBOXES = 100_000
"""Mailboxes of one account: a server whose list never ends is not listened to for ever."""
_AT_ONCE = 200
"""STATUS commands under way at a time."""

Values = dict[bytes, int | bytes | None]


async def look(account: Account) -> list[Place]:
    """The places, INBOX first, then by name. Raises SideUnavailable."""
    async with account.pool.borrow() as connection:
        return await _look(account, connection)


async def _look(account: Account, connection: Connection) -> list[Place]:
    offers = account.pool.offers
    ids_at_once = "OBJECTID" in offers and not account.known
    items = status_items(offers, ids_at_once)
    listed, subscribed, values = await _listing(account, connection, items)
    names = account.names
    names.clear()
    names.utf8 = connection.utf8
    boxes: dict[str, Listed] = {}
    for one in sorted(listed, key=lambda one: one.name):  # whoever shares a name with another: always the same one
        if (name := _wanted(account, one)) is not None:
            boxes[name] = one
        elif not _selectable(one):
            names.left_out.pop(one.name, None)  # there is no mail in it to be missed
    account.looked = True
    for name in [name for name in boxes if name.endswith(REMOVED) and _selectable(boxes[name])]:
        account.heard = None
        if await _sweep(connection, boxes[name].name):
            del boxes[name]
    missing = [one.name for one in boxes.values() if _selectable(one) and one.name not in values]
    if missing:
        account.heard = None
        values |= await statuses(connection, missing, items)
    places = [_place(name, one, values.get(one.name), one.name in subscribed, offers) for name, one in boxes.items()]
    places.sort(key=lambda place: (place.name != "INBOX", place.name))
    if "OBJECTID" in offers and not ids_at_once:
        places = await _with_ids(account, connection, places)
    account.known = {place.name: place for place in places}
    account.sights = {name: sight(values.get(one.name)) for name, one in boxes.items() if _selectable(one)}
    account.validities = {place.name: int(place.validity) for place in places if place.validity}
    return places


async def _sweep(connection: Connection, raw: bytes) -> bool:
    """Delete what a run that was cut off left while it deleted an empty mailbox. False where there is mail in it, or
    the server does not say: then it is a mailbox as any other."""
    told = await statuses(connection, [raw], b"MESSAGES")
    if told.get(raw, {}).get(b"MESSAGES") != 0:
        return False
    await connection.run((b"DELETE ", astring(raw, connection.utf8)))
    return True


def status_items(offers: Offers, ids: bool = False) -> bytes:
    """What STATUS is asked for."""
    if "QRESYNC" in offers:
        items = b"UIDVALIDITY HIGHESTMODSEQ"
    elif "CONDSTORE" in offers:
        items = b"UIDVALIDITY HIGHESTMODSEQ MESSAGES"
    else:
        items = b"UIDVALIDITY UIDNEXT MESSAGES UNSEEN"
    return items + b" MAILBOXID" if ids else items


def sight(values: Values | None) -> Sight:
    """The numbers of a STATUS answer."""
    return {item: value for item, value in (values or {}).items() if isinstance(value, int)}


async def _listing(
    account: Account, connection: Connection, items: bytes
) -> tuple[list[Listed], set[bytes], dict[bytes, Values]]:
    """What LIST, LSUB and NAMESPACE say, in one round trip, and STATUS where it comes with LIST."""
    offers = account.pool.offers
    listed: dict[bytes, Listed] = {}
    answers: list[tuple[bytes, bytes]] = []
    subscribed: set[bytes] = set()
    values: dict[bytes, Values] = {}

    def hear(answer: Data | Status) -> None:
        if not isinstance(answer, Data):
            return
        answers.append((answer.word, answer.text))
        if answer.word == b"LIST":
            one = parse_list(answer)
            if not one.name:
                account.names.separator = one.separator  # what LIST "" "" is for (RFC 3501 6.3.8)
                return
            listed[one.name] = one
            if len(listed) > MOST_MAILBOXES:
                raise BadAnswer(f"The server lists more than {MOST_MAILBOXES} mailboxes.")
            if "\\subscribed" in one.attributes:
                subscribed.add(one.name)
        elif answer.word == b"LSUB":
            one = parse_list(answer)
            if "\\noselect" not in one.attributes:  # with "%": a parent of a subscribed one (RFC 3501 6.3.9)
                subscribed.add(one.name)
                if len(subscribed) > MOST_MAILBOXES:
                    raise BadAnswer(f"The server lists more than {MOST_MAILBOXES} subscriptions.")
        elif answer.word == b"STATUS":
            name, found = parse_status(answer)
            values[name] = found
            if len(values) > 2 * MOST_MAILBOXES:
                raise BadAnswer(f"The server tells of more than {MOST_MAILBOXES} mailboxes.")
        elif answer.word == b"NAMESPACE":
            _namespaces(account, answer, connection.utf8)

    commands: list[Command] = []
    if connection.selected is not None:
        if "UNSELECT" in offers:
            commands.append((b"UNSELECT",))
        else:
            with contextlib.suppress(MailboxUnavailable):  # refused: then none is open (RFC 9051 6.3.2)
                await connection.select(b"INBOX", "INBOX")
    if not account.namespaces_known:
        commands.append((b"NAMESPACE",) if "NAMESPACE" in offers else (b'LIST "" ""',))
    if "LIST-EXTENDED" in offers:
        returning = b"SUBSCRIBED"
        returning += b" SPECIAL-USE" if "SPECIAL-USE" in offers else b""
        returning += b" STATUS (" + items + b")" if "LIST-STATUS" in offers else b""
        commands.append((b'LIST "" "*" RETURN (' + returning + b")",))
    else:
        commands += [(b'LIST "" "*"',), (b'LSUB "" "*"',)]
    asked = [
        b"".join(part for part in command if isinstance(part, bytes)) for command in (*connection.preface, *commands)
    ]
    if not connection.preface:  # all is enabled that would be
        asked[:0] = connection.enabling
    fresh = connection.entered is not None and not account.namespaces_known and connection.selected is None
    done = await connection.run(*commands, sink=hear)
    if commands[0] == (b"UNSELECT",) and done[0].ok:
        connection.selected = None
    account.heard = None
    if fresh and connection.entered is not None:
        account.heard = Heard(*connection.entered, connection.compressed, tuple(asked), answers)
    for status, command in zip(done, commands, strict=True):
        if command not in ((b"NAMESPACE",), (b'LIST "" ""',)):  # without an answer all is the user's own
            check(status)
    account.namespaces_known = True
    inbox = [name for name in listed if name.upper() == b"INBOX"]
    for name in [name for name in values if name.upper() == b"INBOX"]:
        for other in inbox:  # a server may spell it otherwise in STATUS
            values.setdefault(other, values[name])
    return list(listed.values()), subscribed, values


def _namespaces(account: Account, answer: Data, utf8: bool) -> None:
    spaces = parse_namespace(answer)
    if spaces.personal:
        prefix, separator = spaces.personal[0]
        account.names.prefix = decode_text(prefix, utf8) or ""
        account.names.separator = separator
    own = {prefix for prefix, _ in spaces.personal}
    account.excluded = tuple(prefix for prefix, _ in (*spaces.others, *spaces.shared) if prefix and prefix not in own)


def _wanted(account: Account, one: Listed) -> str | None:
    """The name of a listed mailbox that is one of the places."""
    if "\\nonexistent" in one.attributes:
        return None
    if Quirk.GMAIL_VIEWS in account.quirks and not account.views and not one.attributes.isdisjoint(VIEWS):
        return None
    if not account.shared:
        with_separator = one.name + (one.separator or "").encode("utf-8")
        if one.name.startswith(account.excluded) or with_separator in account.excluded:
            return None
    return account.names.learn(one.name, one.separator)


def _selectable(one: Listed) -> bool:
    return "\\noselect" not in one.attributes


async def statuses(connection: Connection, names: Iterable[bytes], items: bytes) -> dict[bytes, Values]:
    """STATUS of each of these mailboxes, pipelined. Those that are refused are left out."""
    values: dict[bytes, Values] = {}
    waiting = list(names)

    def hear(answer: Data | Status) -> None:
        if isinstance(answer, Data) and answer.word == b"STATUS":
            name, found = parse_status(answer)
            values[name] = found

    for at in range(0, len(waiting), _AT_ONCE):
        some = waiting[at : at + _AT_ONCE]
        commands = [(b"STATUS ", astring(name, connection.utf8), b" (" + items + b")") for name in some]
        done = await connection.run(*commands, sink=hear)
        for status in done:
            if is_busy(status) and len(values) < len(some):
                raise busy(status)
    return values


def _place(name: str, one: Listed, values: Values | None, subscribed: bool, offers: Offers) -> Place:
    role = next((ROLES[word] for word in sorted(one.attributes) if word in ROLES), None)
    if not _selectable(one):
        return Place(name, "", None, None, role, subscribed, selectable=False)
    return place_of(name, values, role, offers, subscribed)


def place_of(name: str, values: Values | None, role: str | None, offers: Offers, subscribed: bool = False) -> Place:
    """A mailbox from what STATUS says; values None: it says nothing, and opening it will tell why."""
    if values is None:
        return Place(name, "", None, None, role, subscribed)
    id_ = values.get(b"MAILBOXID")
    messages = values.get(b"MESSAGES")
    return Place(
        name=name,
        validity=str(values.get(b"UIDVALIDITY") or 0),
        state=_state(values, offers),
        id=id_.decode("latin-1") if isinstance(id_, bytes) else None,
        role=role,
        subscribed=subscribed,
        messages=messages if isinstance(messages, int) else None,
    )


def _state(values: Values, offers: Offers) -> str | None:
    """None where the mailbox keeps no modification sequence (HIGHESTMODSEQ 0; RFC 7162 3.1.2.2)."""
    if not values.get(b"HIGHESTMODSEQ"):
        return None
    items = (
        [b"UIDVALIDITY", b"HIGHESTMODSEQ"] if "QRESYNC" in offers else [b"UIDVALIDITY", b"HIGHESTMODSEQ", b"MESSAGES"]
    )
    return ".".join([str(values.get(item, 0)) for item in items])


async def _with_ids(account: Account, connection: Connection, places: list[Place]) -> list[Place]:
    """Ids: those of unchanged mailboxes are known, the others are asked for."""
    from ...values import replace

    ids: dict[str, str | None] = {}
    ask: dict[str, bytes] = {}
    for place in places:
        known = account.known.get(place.name)
        if known is not None and known.id is not None and place.state is not None and known.state == place.state:
            ids[place.name] = known.id
        elif place.selectable and place.validity:
            ask[place.name] = account.names.raw(place.name)
    if ask:  # no part of what was heard: it is known from now on, and the next run need not ask
        found = await statuses(connection, ask.values(), b"MAILBOXID")
        for name, raw in ask.items():
            id_ = found.get(raw, {}).get(b"MAILBOXID")
            ids[name] = id_.decode("latin-1") if isinstance(id_, bytes) else None
    return [replace(place, id=ids.get(place.name)) for place in places]
