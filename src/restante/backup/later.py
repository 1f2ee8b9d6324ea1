"""What later snapshots say of an account that comes back as of an earlier one: numbers that were given out since."""

from __future__ import annotations

from collections.abc import Mapping

from ..store.backup import Served
from .errors import Corrupt, Missing
from .objects import AccountData, AccountLine
from .repository import Repository, Snapshot
from .run import lines_of

FAR = 1 << 62
"""A change counter that was forged: it begins as the time in microseconds, and would leave none for what comes."""
FAR_UIDVALIDITY = (1 << 32) - (1 << 28)
"""No UIDVALIDITY of a later state counts as higher: mailboxes could not be made any more. The time comes to it in 2097,
and a single one that is higher was another server's."""


def newest_lines(
    repository: Repository, snapshot: Snapshot, lines: Mapping[str, AccountLine]
) -> dict[str, AccountLine]:
    """Of these accounts of a snapshot, those that the newest snapshot which has them has in another state.

    An account that the newest of all has not is looked for by halves: it was removed at some time and did not come
    back. Cost: where the snapshot is the newest one, a list of names; else the pages of the newest one, and of a few
    more for accounts that it has not. What cannot be read is complained of, and taken for what has no accounts.
    """
    names = repository.snapshot_names()
    newer = names[names.index(snapshot.name) + 1 :] if snapshot.name in names else []
    read: dict[str, Mapping[str, AccountLine]] = {}

    def there(name: str) -> Mapping[str, AccountLine]:
        if name not in read:
            read[name] = {}
            try:
                read[name] = lines_of(repository, repository.snapshot(name))
            except Missing:
                pass  # removed meanwhile
            except Corrupt as error:
                repository.complaints.append(error)
        return read[name]

    found: dict[str, AccountLine] = {}
    for id, line in lines.items():
        low, at, high = -1, len(newer) - 1, len(newer) - 1
        while low < high:
            newest = there(newer[at]).get(id)
            if newest is None:
                high = at - 1
            else:
                low = at
                if newest.root != line.root:
                    found[id] = newest
            at = (low + high + 1) // 2
    return found


def served_by(repository: Repository, line: AccountLine) -> Served | None:
    """What an account is known to have given out; None where that cannot be read, or be: which is complained of."""
    try:
        root = repository.read(line.root, AccountData)
    except Corrupt as error:
        repository.complaints.append(error)
        return None
    if not 0 <= root.mark.modseq < FAR:
        repository.complaints.append(
            Corrupt(
                f"A newer snapshot of {line.address} has numbers that no account comes to: it is forged.",
                "'restante backup list' shows the newest ones. Forget it: 'restante backup forget'.",
            )
        )
        return None
    uidnexts = {(box.id, box.uidvalidity): box.uidnext for box in root.mailboxes}
    for _, id, _, _, uidvalidity, uidnext, _ in root.tombstones:
        uidnexts[id, uidvalidity] = uidnext
    return Served(root.mark.modseq, min(root.uidvalidity, FAR_UIDVALIDITY), uidnexts)
