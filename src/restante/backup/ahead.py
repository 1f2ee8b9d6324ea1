"""Making the key of a passphrase while the program that needs it is still being loaded.

Argon2id takes 0.15 s of the cores on purpose. All that it takes to begin, a slot and a passphrase, is known when
the command line is; what a command imports takes nearly as long. Imports next to nothing. What cannot be done here is
left to `keys`, which does it again and says what is wrong.
"""

from __future__ import annotations

import os
import stat
from binascii import a2b_base64
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from threading import Thread

MOST_MEMORY, MOST_PASSES, MOST_LANES = 4 << 20, 100, 64
"""What a slot may ask for: it is read before anything is known to be ours."""
MOST_SLOT = 1 << 14
KEY_OCTETS = 32

Slot = dict[str, object]
"""As it stands in its file, with `name`, what the file is called, and `line`, its octets."""

_Wanted = tuple[bytes, bytes, int, int, int]
_made: dict[_Wanted, tuple[Thread, list[bytes]]] = {}


def begin(root: str, passphrase: bytes) -> Slot | None:
    """Begin to make the key of the slot that will be tried first at this folder; that slot, None where there is none.

    Not where a folder is kept by somebody else (`kept_folder`): there a thief may have added slots that cost much, and
    which came first has to be looked at.
    """
    slot = next(iter(slots(root, "passphrase")), None)
    if slot is None or os.path.isdir(f"{root}/.incoming"):  # noqa: PTH112 (pathlib is not loaded)
        return None
    wanted = _wanted(passphrase, slot)
    if wanted is None:
        return None
    if wanted not in _made:
        from threading import Thread

        # Here, not there: a thread that loads something beside one that does waits for it half of the time.
        from cryptography.hazmat.primitives.kdf import argon2  # noqa: F401

        found: list[bytes] = []
        thread = Thread(target=_make, args=(wanted, found), daemon=True)
        _made[wanted] = (thread, found)
        thread.start()
    return slot


def _wanted(passphrase: bytes, slot: Slot) -> _Wanted | None:
    memory, passes, lanes = slot.get("memory"), slot.get("passes"), slot.get("lanes")
    if not (isinstance(memory, int) and isinstance(passes, int) and isinstance(lanes, int)):
        return None
    if not (1 <= passes <= MOST_PASSES and 1 <= lanes <= MOST_LANES and 8 * lanes <= memory <= MOST_MEMORY):
        return None
    return passphrase, octets(slot, "salt"), memory, passes, lanes


def _make(wanted: _Wanted, found: list[bytes]) -> None:
    from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

    from ..lanes import ONE

    passphrase, salt, memory, passes, lanes = wanted
    try:
        made = Argon2id(salt=salt, length=KEY_OCTETS, iterations=passes, lanes=lanes, memory_cost=memory)
        with ONE:
            found.append(made.derive(passphrase))
    except Exception:  # noqa: BLE001 - want of memory, an old library: `keys` meets it too, where it can be told
        return


def derived(passphrase: bytes, salt: bytes, memory: int, passes: int, lanes: int) -> bytes | None:
    """What Argon2id makes of these, where it was begun; waits for it. None where it was not, or where it failed."""
    begun = _made.get((passphrase, salt, memory, passes, lanes))
    if begun is None:
        return None
    begun[0].join()
    return begun[1][0] if begun[1] else None


def of_slot(passphrase: bytes, slot: Slot) -> bytes | None:
    """As `derived`, of the slot that `begin` has named."""
    wanted = _wanted(passphrase, slot)
    return derived(*wanted) if wanted is not None else None


def slots(root: str, method: str) -> list[Slot]:
    """Slots of this kind at a folder, in the order in which they are tried: the newest first."""
    return sorted((slot for slot in _slots(root) if slot.get("method") == method), key=_created, reverse=True)


def _slots(root: str) -> Iterator[Slot]:
    """Those that are whole, by name, each once."""
    from hashlib import sha256
    from json import loads

    try:
        names = sorted(os.listdir(f"{root}/keys"))  # noqa: PTH208
    except OSError:
        return
    seen = set()
    for name in names:
        data = read(f"{root}/keys/{name}", MOST_SLOT)
        if data is None or name[:-2] in seen or sha256(data).hexdigest()[:32] != name[:-2]:
            continue
        try:
            slot = loads(data)
        except ValueError:
            continue
        if isinstance(slot, dict):
            seen.add(name[:-2])
            yield slot | {"name": name[:-2], "line": data}


def _created(slot: Slot) -> float:
    created = slot.get("created")
    return created if isinstance(created, int) else -1


def octets(slot: Slot, field: str) -> bytes:
    """A field's base64; nothing where it is none."""
    try:
        return a2b_base64(str(slot.get(field, "")))
    except ValueError:
        return b""


def read(path: str, most: int) -> bytes | None:
    """A small file's octets; None where there is no such file, or one that may be read but once.

    What is no file is not even opened: who writes into a named pipe would take that for his reader, and whoever reads
    it afterwards would wait for ever.
    """
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):  # noqa: PTH116 (pathlib is not loaded)
            return None
        number = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError:
        return None
    try:
        status = os.fstat(number)
        if not stat.S_ISREG(status.st_mode) or status.st_size > most:
            return None
        data = os.read(number, most + 1)
        return data if len(data) == status.st_size else None
    except OSError:
        return None
    finally:
        os.close(number)


def passphrase_in(path: str) -> bytes | None:
    """The first line of a passphrase's file, see `keys.parse_passphrase`; None where it cannot be read more than once
    (a pipe), or is empty."""
    data = read(path, MOST_SLOT)
    return (data.split(b"\n", 1)[0].rstrip(b"\r") or None) if data is not None else None
