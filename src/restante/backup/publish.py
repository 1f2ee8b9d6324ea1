"""A run's last step: its snapshot's file. From then on it is a snapshot, and all that it names must stay.

What a run names lies in three places:

1. in packs that it wrote: `prune` may condemn them while it goes on, and removes them three days later at the earliest,
   when the run has ended (`run.LONGEST`);
2. in packs that were there and not condemned when it read the lists of condemned packs: the same;
3. wherever its base, the snapshot that it goes on from, has it: what has not changed since is not looked for. A pack
   that the base needs may have been condemned long before: a run that began before that relied on it (2), and the base
   is its snapshot. Such a pack stays for the base's sake alone, and goes as soon as a `prune` sees neither the base nor
   another that needs it.

So whoever names what the base names must be seen by every `prune` that does not see the base. That is the order here:

```
run                                   prune
r1  reads the lists of condemned packs
r2  chooses its base                  p1  removes the snapshots that go
r3  puts its own snapshot             p2  lists the snapshots: what they need stays
r4  looks whether its base is there   p3  removes packs that were condemned three days ago
r5  says in a list that it has ended
```
- *The base is there at r4.* A `prune` that removes the base does it after r4, so its p2 comes after r3 and sees the new
  snapshot. A `prune` that leaves the base, with its p2 after the base's own r3, sees the base. A `prune` with its p2
  before the base's r3 sees neither, but then the base itself named what that one removes, and by the same argument,
  with its own base, it does not: whatever the chain, some snapshot of it was there at p2. It begins with a run that had
  no base, or needed nothing from a condemned pack: (1) and (2). Each base of it has come to r5, since no other is
  chosen while there are such. Two prunes at once are no different: each is one of these three.
- *The base is gone at r4.* Perhaps a `prune` with its p2 before r3 is about to remove packs. The snapshot is taken
  back, and the run says that it was overtaken; what it wrote is found by the next one. If no pack was condemned at r1
  nothing of this can be: whatever is condemned later stays for three days. Then the snapshot stays.
- *Another run sees the snapshot between r3 and the taking back.* It does not go on from it: r5 has not been. It may
  list it as one that must not be missing, so a list lets it go before it is taken back.
- *Cut off between r3 and r5.* The snapshot is there, and what it names may go. The next run goes on from one that has
  come to r5, also when others have listed this one. If anything of it went, `verify` tells so.
- *A location that keeps what it has.* The snapshot cannot be taken back; a list says that no run relies on it.

It is looked for before r3 too: then a base that went in the hours of the run leaves nothing behind.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

import msgspec

from . import names, objects
from .errors import AppendOnly, Corrupt, Overtaken
from .objects import SnapshotData
from .written import note_gone, note_run, read_written

if TYPE_CHECKING:
    from .repository import Repository, Snapshot


FAR = names.LAST_SERIAL // 2
"""A snapshot with a number above this was forged."""


def publish(repository: Repository, data: SnapshotData) -> Snapshot:
    """See `Repository.put_snapshot`."""
    from .repository import Snapshot

    here = repository.snapshot_names()
    if not _base_is_there(repository, here):
        raise _overtaken()
    serial = _highest(repository, here) + 1
    if serial > names.LAST_SERIAL:
        raise Corrupt(
            "A snapshot of this backup has the last of all numbers: it is forged.",
            "Forget it: 'restante backup forget'. 'restante backup list' shows it last.",
        )
    data = msgspec.structs.replace(data, serial=serial)
    content = objects.encode(data)
    name = repository.put_file(names.SNAPSHOTS, content, f"{serial:010x}-", twice=True)
    first = {name for name, _ in repository.location.names(names.SNAPSHOTS)}
    twins = {name.removeprefix(f"{names.TWIN}/") for name, _ in repository.location.names(names.twin(names.SNAPSHOTS))}
    if not _base_is_there(repository, first | twins):
        _take_back(repository, name)
        raise _overtaken()
    twice = [name for name in first & twins if names.snapshot_serial(name)]
    note_run(repository, name, data.at, sum(repository.packed.values()), _listed(repository, here, twice))
    repository.packed.clear()
    if repository.notes is not None:
        fresh = repository.condemned().keys() - repository.index.condemned
        repository.notes.keep(name, content, data, repository.snapshot_names(), fresh)
    return Snapshot(name, data)


def _highest(repository: Repository, here: Collection[str]) -> int:
    """The highest number of the snapshots. One that nobody could reach by counting is passed over when it was
    forgotten: its files may be locked for long. (Of others this must not be: who can add lists could make new snapshots
    old.)"""
    far = {name for name in here if names.snapshot_serial(name) > FAR}
    passed = far & read_written(repository).gone if far else far
    return max((names.snapshot_serial(name) for name in here if name not in passed), default=0)


def _base_is_there(repository: Repository, here: Collection[str]) -> bool:
    """Whether what the run's base needs stays: the base is there, or nothing of it can be in a pack that goes soon."""
    return repository.base is None or not repository.index.condemned or repository.base in here


def _overtaken() -> Overtaken:
    return Overtaken(
        "The snapshot that the backup went on from was forgotten while it went on.",
        "Run it again: what it wrote is used.",
    )


def _take_back(repository: Repository, name: str) -> None:
    note_gone(repository, [name])  # another run may just list it
    try:
        repository.remove_snapshot(name)
    except AppendOnly:
        return  # it stays, and nobody goes on from it


def _listed(repository: Repository, here: Collection[str], twice: list[str]) -> list[str]:
    """What must not be missing from now on, besides the new snapshot: of a sealed repository the run's packs, and
    snapshots that were not listed; of others all snapshots that lie twice. here: names of snapshots a moment ago."""
    if repository.secrets.recipient is not None:
        resumed = repository.notes.resumed if repository.notes is not None else ()
        return [*(one for one in repository.unlisted if one in here), *resumed, *repository.packed]
    return twice
