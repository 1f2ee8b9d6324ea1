"""Mailboxes: reading, creating, renaming, deleting, roles, subscriptions (RFC 9051 6.3).

A name is NFC with "/" between levels; a mailbox that lies above a new one is created with it. Deleting keeps
the messages in the removal log and a tombstone; UIDVALIDITYs only ever grow over the whole account.
"""

from __future__ import annotations

import unicodedata
from functools import lru_cache
from typing import Any

import apsw

from ...inbox import with_inbox
from ..backup import Served
from ..errors import BadMailboxName, CannotChangeMailbox, MailboxExists, NoSuchMailbox, RoleTaken, TooManyNames
from ..model import INBOX, ROLES, SEPARATOR, Adoption, Mailbox
from ..quota import NO_LIMITS, Quota
from . import acl
from .identity import is_id, new_id
from .quota import check_mailboxes
from .served import UID_BITS
from .transaction import MAX_UID, Write
from .values import typed

LEVEL_OCTETS, NAME_OCTETS, LEVELS = 255, 1000, 50
SUBSCRIBED_OCTETS = 2 * NAME_OCTETS
"""Of a subscription's name: somebody else's mailbox has the way to it before its own, and that is longer and deeper."""
EVERYTHING = ((1, 0xFFFFFFFF),)

_FIELDS = """
SELECT m.key, m.id, m.name, m.role, m.uidvalidity, m.uidnext, m.highest_modseq, m.recent_uid, m.messages, m.unseen,
    m.deleted, m.size, m.deleted_size, EXISTS (SELECT 1 FROM subscription s WHERE s.user = ?1 AND s.name = m.name)
"""
_BY_KEY = _FIELDS + "FROM mailbox m WHERE m.key = ?2"
_BY_NAME = _FIELDS + ", (SELECT count(*) FROM keyword) FROM mailbox m WHERE m.name = ?2"
_ALL = _FIELDS + "FROM mailbox m ORDER BY m.name"
_CHANGED = _FIELDS + "FROM mailbox m WHERE m.highest_modseq > ?2 OR m.changed_modseq > ?2 ORDER BY m.key"


@lru_cache(maxsize=512)
def _made(row: tuple[Any, ...]) -> Mailbox:
    """The same row gives the same object, so that who knows it sees at a glance that nothing has changed."""
    return Mailbox(*(*row[:13], bool(row[13])))


def mailbox_by_key(db: apsw.Connection, key: int, user: str) -> Mailbox:
    """The mailbox of this key. Raises NoSuchMailbox."""
    row = db.execute(_BY_KEY, (user, key)).fetchone()
    if row is None:
        raise NoSuchMailbox("There is no such mailbox.", "It may have been deleted or renamed.")
    return _made(row)


def find(db: apsw.Connection, name: str, user: str) -> Mailbox | None:
    return find_beside(db, name, user)[0]


def find_beside(db: apsw.Connection, name: str, user: str) -> tuple[Mailbox | None, int]:
    """The mailbox of this name, and how many keywords its account has."""
    try:
        row = db.execute(_BY_NAME, (user, canonical(name))).fetchone()
    except UnicodeEncodeError:  # a lone surrogate, as a command line gives octets that are no UTF-8: no name has one
        row = None
    return (_made(row[:-1]), row[-1]) if row is not None else (None, 0)


def all_of(db: apsw.Connection, user: str) -> list[Mailbox]:
    """All mailboxes, INBOX first, then by name."""
    found = [_made(row) for row in db.execute(_ALL, (user,))]
    found.sort(key=lambda one: (one.name != INBOX, one.name))
    return found


def all_and_subscriptions(db: apsw.Connection, user: str) -> tuple[list[Mailbox], list[str]]:
    """Both, in the caller's transaction."""
    return all_of(db, user), subscriptions(db, user)


def changed(db: apsw.Connection, since: int, user: str) -> list[Mailbox]:
    """Mailboxes that a command after `since` touched: messages, annotations, name or role."""
    return [_made(row) for row in db.execute(_CHANGED, (user, since))]


def canonical(name: str) -> str:
    """The name with INBOX, alone or as the first level, in capitals (RFC 9051 5.1)."""
    return with_inbox(name, SEPARATOR)


def checked(name: str) -> str:
    """The canonical name, if a new mailbox may have it. Raises BadMailboxName."""
    name = _written(name)
    levels = name.split(SEPARATOR)
    if len(levels) > LEVELS or len(name.encode()) > NAME_OCTETS or any(len(x.encode()) > LEVEL_OCTETS for x in levels):
        raise _too_long()
    return name


def _written(name: str) -> str:
    """The canonical name, if nothing stands in it that no name may hold. Raises BadMailboxName."""
    name = canonical(unicodedata.normalize("NFC", name))
    if not all(name.split(SEPARATOR)):
        raise BadMailboxName("A mailbox name has no empty level.", "Write one '/' between two names.")
    if any(unicodedata.category(letter) in ("Cc", "Cs", "Zl", "Zp") for letter in name):
        raise BadMailboxName("A mailbox name holds no control characters.", "Choose another name.")
    return name


def _too_long() -> BadMailboxName:
    return BadMailboxName("The mailbox name is too long or too deep.", "Choose a shorter name.")


def create(
    tx: Write,
    name: str,
    role: str | None = None,
    uidvalidity: int | None = None,
    above: bool = True,
    limits: Quota = NO_LIMITS,
) -> Mailbox:
    """CREATE, with the levels above unless told otherwise.

    Raises MailboxExists, BadMailboxName, RoleTaken, OverQuota.
    """
    name = checked(name)
    if _key(tx, name) is not None:
        raise MailboxExists("The mailbox exists already.")
    levels = name.split(SEPARATOR)
    for depth in range(1, len(levels) if above else 1):
        level = SEPARATOR.join(levels[:depth])
        if _key(tx, level) is None:
            _insert(tx, level, None, None)
    key = _insert(tx, name, role, uidvalidity)
    check_mailboxes(tx, limits)
    return mailbox_by_key(tx.db, key, tx.user)


def _key(tx: Write, name: str) -> int | None:
    row = tx.db.execute("SELECT key FROM mailbox WHERE name = ?", (name,)).fetchone()
    return int(row[0]) if row is not None else None


def _insert(tx: Write, name: str, role: str | None, uidvalidity: int | None) -> int:
    (count,) = tx.db.execute("SELECT count(*) FROM mailbox").fetchone() or (0,)
    if count >= tx.settings.mailboxes:
        raise TooManyNames(f"This account has its {count} mailboxes already.", "Delete one first.")
    if role is not None:
        _check_role(tx, role, 0)
    tx.db.execute(
        "INSERT INTO mailbox (id, name, role, uidvalidity, uidnext, highest_modseq, created_modseq, changed_modseq)"
        " VALUES (?1, ?2, ?3, ?4, 1, ?5, ?5, ?5)",
        (new_id("b", tx.random), name, role, _uidvalidity(tx, name, uidvalidity), tx.modseq),
    )
    key = tx.db.last_insert_rowid()
    tx.remember("create", key, (), None)
    above = name.rpartition(SEPARATOR)[0]
    if above:
        acl.inherit(tx, above, key)
    return key


def _uidvalidity(tx: Write, name: str, wished: int | None) -> int:
    """A UIDVALIDITY that this name never had: the wished one if that is so, else larger than any before."""
    if wished is not None and 0 < wished < 1 << 32 and not _had(tx, name, wished):
        tx.note_uidvalidity(wished)
        tx.db.execute("UPDATE account SET uidvalidity = max(uidvalidity, ?)", (wished,))
        return wished
    (last,) = tx.db.execute("SELECT uidvalidity FROM account").fetchone() or (0,)
    given = max(min(tx.now, 0xFFFFFFFF), last + 1)
    if given > 0xFFFFFFFF:
        raise CannotChangeMailbox("The account has given out all its UIDVALIDITYs.")
    tx.note_uidvalidity(given)
    tx.db.execute("UPDATE account SET uidvalidity = ?", (given,))
    return given


def _had(tx: Write, name: str, uidvalidity: int) -> bool:
    """Whether a mailbox of this name, present or gone, ever had this UIDVALIDITY."""
    found = tx.db.execute(
        "SELECT 1 FROM mailbox_tombstone WHERE name = ?1 AND uidvalidity = ?2"
        " UNION ALL SELECT 1 FROM mailbox WHERE name = ?1 AND uidvalidity = ?2"
        " UNION ALL SELECT 1 FROM mailbox m JOIN history h ON h.mailbox = m.key AND h.kind = 'rename'"
        " WHERE h.former = ?1 AND m.uidvalidity = ?2 LIMIT 1",
        (name, uidvalidity),
    ).fetchone()
    return found is not None


def _check_role(tx: Write, role: str, key: int) -> None:
    if role not in ROLES:
        raise RoleTaken(f"The special use {role} is not known here.", "Use one of RFC 6154.")
    if tx.db.execute("SELECT 1 FROM mailbox WHERE role = ? AND key <> ?", (role, key)).fetchone() is not None:
        raise RoleTaken(f"Another mailbox has the special use {role}.", "Take it from that one first.")


def adopt(tx: Write, key: int, adoption: Adoption) -> Mailbox:
    """Go on with an old server's UIDVALIDITY, identity and numbers; see `Store.adopt`."""
    uidvalidity, modseq = adoption.uidvalidity, adoption.modseq
    here = mailbox_by_key(tx.db, key, tx.user)
    if here.uidnext > 1:
        raise CannotChangeMailbox("A message has been filed in this mailbox already.", "Adopt into a new one.")
    if not (0 < uidvalidity < 1 << 32 and 0 <= modseq < 1 << 62):
        raise CannotChangeMailbox("These are no numbers of a mailbox.")
    if uidvalidity != here.uidvalidity and _had(tx, here.name, uidvalidity):
        raise CannotChangeMailbox("A mailbox of this name had this UIDVALIDITY before.")
    tx.modseq = max(tx.modseq, modseq)
    tx.note_uidvalidity(uidvalidity)
    if tx.note is not None and modseq > tx.now * 1_000_000:
        tx.note(Served(modseq, 0, {}))  # else no older state could know how far it is ahead of the clock
    id = adoption.id
    if not is_id("b", id) or tx.db.execute(_ID_TAKEN, (id, key)).fetchone() is not None:
        id = here.id
    tx.db.execute(
        "UPDATE mailbox SET id = ?, uidvalidity = ?, highest_modseq = ?, changed_modseq = ?, recent_uid = ?"
        " WHERE key = ?",
        (id, uidvalidity, tx.modseq, tx.modseq, max(0, min(adoption.recent_uid, MAX_UID)), key),
    )
    tx.db.execute(
        "UPDATE account SET uidvalidity = max(uidvalidity, ?), log_floor = max(log_floor, ?)", (uidvalidity, modseq)
    )
    return mailbox_by_key(tx.db, key, tx.user)


def reserve_uids(tx: Write, key: int, uidnext: int) -> None:
    """Raise UIDNEXT to at least `uidnext`. Raises NoSuchMailbox."""
    if not 0 < uidnext <= MAX_UID + 1:
        raise CannotChangeMailbox("This is no UIDNEXT.")
    before = mailbox_by_key(tx.db, key, tx.user).uidnext
    if before < uidnext:
        if (before ^ uidnext) >> UID_BITS:
            tx.note_uidnext(key, uidnext)
        tx.touch_mailbox(key, uidnext=uidnext)


def _found(tx: Write, key: int, named: str | None) -> Mailbox:
    """A mailbox that is about to lose its name. named: the one under which it was found, if any: another session may
    have given it another one since, and was told so. Raises NoSuchMailbox."""
    here = mailbox_by_key(tx.db, key, tx.user)
    if named is not None and here.name != named:
        raise NoSuchMailbox("There is no such mailbox.")
    return here


def delete(tx: Write, key: int, called: str | None = None, named: str | None = None) -> list[str]:
    """DELETE: messages into the removal log, a tombstone, children stay; identifiers that its list named. called: its
    name, where another takes it in the same command. named: as of `_found`. Raises CannotChangeMailbox for INBOX."""
    here = _found(tx, key, named)
    name = here.name if called is None else called
    if name == INBOX:
        raise CannotChangeMailbox("INBOX cannot be deleted.")
    tx.remove(key, EVERYTHING)
    tx.db.execute(
        "INSERT INTO mailbox_tombstone (key, id, name, role, uidvalidity, uidnext, modseq, removed_at)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (key, here.id, name, here.role, here.uidvalidity, here.uidnext, tx.modseq, tx.now),
    )
    tx.db.execute("DELETE FROM mailbox WHERE key = ?", (key,))
    granted = acl.forget_mailbox(tx, key)
    tx.db.execute("DELETE FROM annotation WHERE mailbox = ?", (key,))
    tx.db.execute("DELETE FROM stamp WHERE mailbox = ?", (key,))
    tx.db.execute("DELETE FROM told WHERE mailbox = ?", (key,))
    tx.remember("delete", key, (), name)
    return granted


def rename(tx: Write, key: int, name: str, limits: Quota = NO_LIMITS, named: str | None = None) -> None:
    """RENAME with children; INBOX gives its messages to a new mailbox and stays (RFC 9051 6.3.6). named: as of
    `_found`."""
    here = _found(tx, key, named)
    name = checked(name)
    if name == here.name or _key(tx, name) is not None:
        raise MailboxExists("A mailbox of this name exists already.")
    if here.name == INBOX:
        _empty_inbox(tx, key, name)
        check_mailboxes(tx, limits)
        return
    if name.startswith(here.name + SEPARATOR):
        raise CannotChangeMailbox("A mailbox cannot become its own child.")
    _move(tx, [(key, here.name), *_children(tx, here.name)], here.name, name, limits)


def rename_level(tx: Write, level: str, name: str, limits: Quota = NO_LIMITS) -> None:
    """Give the mailboxes below a name that is none another one; see `Store.rename_level`."""
    level, name = canonical(level), checked(name)
    children = _children(tx, level)
    if not children or _key(tx, level) is not None:
        raise NoSuchMailbox("There is no such mailbox.")
    if name == level or _key(tx, name) is not None:
        raise MailboxExists("A mailbox of this name exists already.")
    if name.startswith(level + SEPARATOR):
        raise CannotChangeMailbox("A mailbox cannot become its own child.")
    _move(tx, children, level, name, limits)


def _move(tx: Write, mailboxes: list[tuple[int, str]], above: str, name: str, limits: Quota) -> None:
    """Put `name` in the place of `above`, which all these names (with their keys) have at their beginning."""
    moving = [(key, old, checked(name + old[len(above) :])) for key, old in mailboxes]
    taken = {row[0] for row in tx.db.execute("SELECT name FROM mailbox").fetchall()} - {old for _, old, _ in moving}
    if any(new in taken for _, _, new in moving):
        raise MailboxExists("A mailbox below the new name exists already.")
    levels = name.split(SEPARATOR)
    above_it = [SEPARATOR.join(levels[:depth]) for depth in range(1, len(levels))]
    missing = [level for level in above_it if _key(tx, level) is None]
    for level in missing:
        _insert(tx, level, None, None)
    for key, old, new in moving:
        give_name(tx, key, old, new)
    if missing:  # a name that is changed takes no room
        check_mailboxes(tx, limits)


def give_name(tx: Write, key: int, old: str, new: str) -> None:
    """Write down a mailbox's new name, which no other has.

    UIDVALIDITY goes along: it is this mailbox's alone, unless an import wished for one that a mailbox now gone had
    under the new name; clients of that name would then mix the two up.
    """
    if tx.db.execute(_GONE_ALIKE, (key, new)).fetchone() is not None:
        tx.db.execute("UPDATE mailbox SET uidvalidity = ? WHERE key = ?", (_uidvalidity(tx, new, None), key))
    tx.db.execute("UPDATE mailbox SET name = ?, changed_modseq = ? WHERE key = ?", (new, tx.modseq, key))
    tx.remember("rename", key, (), old)


def below(tx: Write, name: str) -> list[int]:
    """Keys of the mailboxes below this name."""
    return [key for key, _ in _children(tx, name)]


def _children(tx: Write, name: str) -> list[tuple[int, str]]:
    """Keys and names of the mailboxes below this name."""
    return list(typed(tx.db.execute(_CHILDREN, (name + SEPARATOR, name + "0"))))


def _empty_inbox(tx: Write, inbox: int, name: str) -> None:
    new = create(tx, name, None, None)
    tx.db.execute(_COPY_ANNOTATIONS, (inbox, new.key, tx.modseq))  # RFC 5464 4.1
    source, target = tx.place_from(new.key, inbox, EVERYTHING)
    if source:
        tx.remove(inbox, EVERYTHING, moved_to=new.key, moved_low=target[0])


def set_role(tx: Write, key: int, role: str | None) -> bool:
    """Give or take a special use; whether it was another one. Raises RoleTaken."""
    here = mailbox_by_key(tx.db, key, tx.user)
    if here.role == role:
        return False
    if role is not None:
        _check_role(tx, role, key)
    tx.db.execute("UPDATE mailbox SET role = ?, changed_modseq = ? WHERE key = ?", (role, tx.modseq, key))
    tx.remember("role", key, (), here.role)
    return True


def subscriptions(db: apsw.Connection, user: str) -> list[str]:
    return [row[0] for row in db.execute("SELECT name FROM subscription WHERE user = ? ORDER BY name", (user,))]


def subscribe(tx: Write, name: str, subscribed: bool) -> None:
    """Subscribe or unsubscribe a name. Nothing changes, and no number is taken, where it is so already."""
    name = canonical(unicodedata.normalize("NFC", name))
    here = tx.db.execute("SELECT 1 FROM subscription WHERE user = ? AND name = ?", (tx.user, name)).fetchone()
    if (here is not None) == subscribed:
        return
    if subscribed:
        if len(_written(name).encode()) > SUBSCRIBED_OCTETS:
            raise _too_long()
        (count,) = tx.db.execute("SELECT count(*) FROM subscription WHERE user = ?", (tx.user,)).fetchone() or (0,)
        if count >= 2 * tx.settings.mailboxes:
            raise TooManyNames("There are too many subscriptions.", "Unsubscribe from some first.")
        tx.db.execute("INSERT INTO subscription (user, name) VALUES (?, ?)", (tx.user, name))
    else:
        tx.db.execute("DELETE FROM subscription WHERE user = ? AND name = ?", (tx.user, name))
    tx.remember("subscribe", None, (), f"{'+' if subscribed else '-'}{name}\n{tx.user}")


_ID_TAKEN = """
SELECT 1 FROM mailbox WHERE id = ?1 AND key <> ?2 UNION ALL SELECT 1 FROM mailbox_tombstone WHERE id = ?1 LIMIT 1
"""
_GONE_ALIKE = """
SELECT 1 FROM mailbox m JOIN mailbox_tombstone t ON t.uidvalidity = m.uidvalidity WHERE m.key = ? AND t.name = ?
"""
_COPY_ANNOTATIONS = """
INSERT INTO annotation (mailbox, user, entry, value, modseq)
SELECT ?2, user, entry, value, ?3 FROM annotation WHERE mailbox = ?1
"""
_CHILDREN = "SELECT key, name FROM mailbox WHERE name >= ? AND name < ? ORDER BY name"
