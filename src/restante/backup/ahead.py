"""Making the key of a passphrase while the program that needs it is still being loaded.

Argon2id takes 0.2 s of the cores on purpose. All that it takes to begin, a slot and a passphrase, is known when the
command line is; what a command imports takes as long. So it is begun with as little as can be: whatever is loaded
before it keeps one core waiting. What cannot be done here is left to `keys`, which does it again and says what is
wrong.
"""

from __future__ import annotations

import os
import stat
from _thread import allocate_lock, start_new_thread
from binascii import a2b_base64

from ..lanes import ONE

TYPE_CHECKING = False  # see `cli.entry`
if TYPE_CHECKING:
    from collections.abc import Iterator

    from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

MOST_MEMORY, MOST_PASSES, MOST_LANES = 4 << 20, 100, 64
"""What a slot may ask for: it is read before anything is known to be ours."""
MOST_SLOT = 1 << 14
KEY_OCTETS = 32

Slot = dict[str, object]
"""As it stands in its file, with `name`, what the file is called, and `line`, its octets."""

_Wanted = tuple[bytes, bytes, int, int, int]


class _Making:
    """A derivation. over: held until it has ended. found: what came of it, nothing where it failed."""

    __slots__ = ("found", "over")

    def __init__(self) -> None:
        self.found: list[bytes] = []
        self.over = allocate_lock()
        self.over.acquire()


_made: dict[_Wanted, _Making] = {}


def begin(root: str, passphrase: bytes) -> bool:
    """Begin to make the key of the slot that will be tried first at this folder; whether there is one.

    Not where a folder is kept by somebody else (`kept_folder`): there a thief may have added slots that cost much, and
    which came first has to be looked at.
    """
    wanted = _first(root, passphrase)
    if wanted is None or os.path.isdir(f"{root}/.incoming"):  # noqa: PTH112 (pathlib is not loaded)
        return False
    if wanted not in _made:
        # Here, not there: a thread that loads something beside one that does waits for it half of the time.
        argon2id = _argon2id()
        making = _Making()
        try:
            start_new_thread(_make, (wanted, making, argon2id))
        except RuntimeError:  # no more threads for this user: `keys` needs none
            return False
        _made[wanted] = making
    return True


def _first(root: str, passphrase: bytes) -> _Wanted | None:
    """What the key is made of, of the passphrase's slot that is tried first. Slots are read as `keys` writes them, each
    a line of JSON, without what reads JSON: where one is written otherwise, or is damaged, a key is made in vain."""
    first, found = (0, 0), None
    for _, line in _lines(root):
        turn = turn_of(*(_number(line, each) for each in (b"memory", b"passes", b"created")))
        if _said(line, b"method") == b"passphrase" and (found is None or turn < first):
            first, found = turn, line
    if found is None:
        return None
    try:
        salt = a2b_base64(_said(found, b"salt"))
    except ValueError:
        return None
    numbers = (_number(found, b"memory"), _number(found, b"passes"), _number(found, b"lanes"))
    return _checked(passphrase, salt, *numbers)


def turn_of(memory: int, passes: int, created: int) -> tuple[int, int]:
    """When a slot is tried, by what it says: those that cost least first, of these the newest. Who adds one that costs
    gigabytes and minutes has them asked for of whoever has no other key."""
    return memory * passes, -created


def _said(line: bytes, field: bytes) -> bytes:
    """What a slot's line says of a field that holds no comma. In a text, of others, its quotes have a backslash."""
    return line.partition(b'"%s":' % field)[2].partition(b",")[0].strip(b' "}\n')


def _number(line: bytes, field: bytes) -> int:
    said = _said(line, field)
    return int(said) if said.isdigit() and len(said) < 19 else -1


def _wanted(passphrase: bytes, slot: Slot) -> _Wanted | None:
    memory, passes, lanes = slot.get("memory"), slot.get("passes"), slot.get("lanes")
    if not (isinstance(memory, int) and isinstance(passes, int) and isinstance(lanes, int)):
        return None
    return _checked(passphrase, octets(slot, "salt"), memory, passes, lanes)


def _checked(passphrase: bytes, salt: bytes, memory: int, passes: int, lanes: int) -> _Wanted | None:
    """None where it is more than a slot may ask for."""
    if not (1 <= passes <= MOST_PASSES and 1 <= lanes <= MOST_LANES and 8 * lanes <= memory <= MOST_MEMORY):
        return None
    return passphrase, salt, memory, passes, lanes


def _argon2id() -> type[Argon2id]:
    """cryptography's class, from where its own module has it: the way through that loads as much again as the rest of
    this, before the derivation can begin."""
    try:
        from cryptography.hazmat.bindings._rust import openssl

        return openssl.kdf.Argon2id
    except (ImportError, AttributeError):  # another version has it elsewhere
        from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

        return Argon2id


def _make(wanted: _Wanted, making: _Making, argon2id: type[Argon2id]) -> None:
    passphrase, salt, memory, passes, lanes = wanted
    try:
        made = argon2id(salt=salt, length=KEY_OCTETS, iterations=passes, lanes=lanes, memory_cost=memory)
        with ONE:
            making.found.append(made.derive(passphrase))
    except Exception:  # noqa: BLE001 - want of memory, an old library: `keys` meets it too, where it can be told
        return
    finally:
        making.over.release()


def derived(passphrase: bytes, salt: bytes, memory: int, passes: int, lanes: int) -> bytes | None:
    """What Argon2id makes of these, where it was begun; waits for it. None where it was not, or where it failed."""
    making = _made.get((passphrase, salt, memory, passes, lanes))
    if making is None:
        return None
    with making.over:
        return making.found[0] if making.found else None


def of_slot(passphrase: bytes, slot: Slot) -> bytes | None:
    """As `derived`, of a slot."""
    wanted = _wanted(passphrase, slot)
    return derived(*wanted) if wanted is not None else None


def slots(root: str, method: str) -> list[Slot]:
    """Slots of this kind at a folder, in the order in which they are tried (`turn_of`)."""
    return sorted((slot for slot in _slots(root) if slot.get("method") == method), key=_turn)


def _slots(root: str) -> Iterator[Slot]:
    """Those that are whole, by name, each once."""
    from hashlib import sha256
    from json import loads

    seen = set()
    for name, data in _lines(root):
        if name[:-2] in seen or sha256(data).hexdigest()[:32] != name[:-2]:
            continue
        try:
            slot = loads(data)
        except ValueError:
            continue
        if isinstance(slot, dict):
            seen.add(name[:-2])
            yield slot | {"name": name[:-2], "line": data}


def _lines(root: str) -> Iterator[tuple[str, bytes]]:
    """(name, octets) of each file of a slot that can be read, by name."""
    try:
        names = sorted(os.listdir(f"{root}/keys"))  # noqa: PTH208 (pathlib is not loaded)
    except OSError:
        return
    for name in names:
        data = read(f"{root}/keys/{name}", MOST_SLOT)
        if data is not None:
            yield name, data


def _turn(slot: Slot) -> tuple[int, int]:
    memory, passes, created = (slot.get(each) for each in ("memory", "passes", "created"))
    return turn_of(*(each if isinstance(each, int) else -1 for each in (memory, passes, created)))


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
