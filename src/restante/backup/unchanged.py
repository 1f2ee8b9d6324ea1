"""A night in which nothing changed: the last snapshot once more, at another instant.

What a whole run took and found is noted in the data folder. While all of that is as it was, here and at the location,
the next run would write the same snapshot again, and this writes it: without an index, an engine, or most of the
program, which takes five times as long to load. Whatever is not as noted makes it give up; a whole run then says what
it is.

The location is a folder that is not sealed, nor kept by somebody else, and none of its packs is condemned. The next
whole run lists what is written here (see `written`), and goes on from the last one that was listed. Imports next to
nothing, so what little of the format it needs stands here once more: tests compare.
"""

from __future__ import annotations

import hmac
import os
from hashlib import sha256

from . import ahead

TYPE_CHECKING = False  # see `cli.entry`
if TYPE_CHECKING:
    from ..clock import Random

FORMAT = 1
"""Of the file; another one is passed over."""
FOLDER = "backup-notes"
"""In the data folder (`access.NOTES`)."""
LONGEST = 7 * 86400
"""Seconds after which a whole run is due though nothing has changed: it reads what the snapshot names, and takes anew
what it finds damaged."""
MOST_SNAPSHOT = 1 << 24
MOST_FILE = 1 << 24
"""Octets of what is read here: a larger one is for a whole run."""

_HEAD = b"RSTBKUP1S" + bytes(7)
_SALT = 32
_TAG = 16
_STEP = 4096
_WRAPPED = b'"wrapped":"'


class Note:
    """What a whole run found. All values are JSON's.

    program: version of Restante. asked: location, passphrase file, key file, configuration and data folder as the
    command line said them, "" for what it did not say. at: seconds UTC, of that run. location, passphrase, key: paths
    that this came to. repository: its id. descriptor: SHA-256 of repository.json. snapshot: the name of its file, and
    of its twin. condemned, index: names, names with sizes, of those files. packs: names and sizes of packs of what the
    snapshot names. host: as in the snapshot; said: whether the configuration says it. files: SHA-256 of the
    installation's, by name. directory: its digest. accounts: id and mark of each. counted: how the snapshot is
    described to people.
    """

    FIELDS = (
        "program", "asked", "at", "location", "passphrase", "key", "repository", "descriptor", "snapshot", "condemned",
        "index", "packs", "host", "said", "files", "directory", "accounts", "counted",
    )  # fmt: skip
    __slots__ = FIELDS

    program: str
    asked: list[str]
    at: int
    location: str
    passphrase: str
    key: str
    repository: str
    descriptor: str
    snapshot: str
    condemned: list[str]
    index: list[list[object]]
    packs: list[list[object]]
    host: str
    said: bool
    files: dict[str, str]
    directory: str
    accounts: list[list[object]]
    counted: str

    def __init__(self, values: dict[str, object]) -> None:
        """Raises KeyError where one is missing."""
        for field in self.FIELDS:
            setattr(self, field, values[field])

    def write(self, data: str) -> None:
        """Keep it in this data folder, in place of the last one. Where that fails, the next run is a whole one."""
        from json import dumps

        path = path_of(data, self.asked)
        part = f"{path}.{os.getpid()}"
        text = dumps({"format": FORMAT} | {field: getattr(self, field) for field in self.FIELDS})
        try:
            os.makedirs(f"{data}/{FOLDER}", 0o700, exist_ok=True)  # noqa: PTH103 (pathlib is not loaded)
            number = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
            try:
                _write_all(number, text.encode("ascii"))
            finally:
                os.close(number)
            os.replace(part, path)  # noqa: PTH105 (pathlib is not loaded)
        except OSError:
            unlink(part)
            unlink(path)


def path_of(data: str, asked: list[str], what: str = "unchanged") -> str:
    """The file of what is noted for runs that are asked for by these words."""
    return f"{data}/{FOLDER}/{what}-{sha256(repr(asked).encode('utf-8', 'surrogateescape')).hexdigest()[:32]}.json"


def read(data: str, asked: list[str]) -> Note | None:
    """What is noted; None where nothing is, or nothing that can be used."""
    text = ahead.read(path_of(data, asked), MOST_FILE)
    if text is None:
        return None
    from json import loads

    try:
        values = loads(text)
        return Note(values) if values["format"] == FORMAT and values["asked"] == asked else None
    except (ValueError, KeyError, TypeError):
        return None


def forget(data: str, asked: list[str]) -> None:
    """There is nothing that a run could compare itself with any more."""
    unlink(path_of(data, asked))


def unlink(path: str) -> None:
    """Remove a note, if it is there."""
    try:
        os.unlink(path)  # noqa: PTH108 (pathlib is not loaded)
    except OSError:
        pass  # there was none; or it cannot be removed, and names a snapshot that will soon not be the last


# At the location ---------------------------------------------------------------------------------------


def there(note: Note) -> bool:
    """Whether the location is as noted: the snapshot the newest, its twin and the packs there, nothing condemned since.
    Costs a listing, and a look at a file for each pack."""
    root = note.location
    if os.path.isdir(f"{root}/.incoming") or not os.path.isdir(f"{root}/.tmp"):  # noqa: PTH112 (pathlib is not loaded)
        return False
    descriptor = ahead.read(f"{root}/repository.json", ahead.MOST_SLOT)
    if descriptor is None or sha256(descriptor).hexdigest() != note.descriptor:
        return False
    snapshots = names(root, "snapshots")
    if snapshots != names(root, "twin/snapshots") or not snapshots or f"snapshots/{snapshots[-1]}" != note.snapshot:
        return False
    if not (names(root, "condemned") == names(root, "twin/condemned") == note.condemned):
        return False
    if sizes(root, [f"index/{name}" for name in names(root, "index")]) != note.index:
        return False
    return sizes(root, [str(name) for name, _ in note.packs]) == note.packs


def names(root: str, folder: str) -> list[str]:
    """Of the files in a folder of the location, sorted."""
    try:
        listed = os.listdir(f"{root}/{folder}")  # noqa: PTH208 (pathlib is not loaded)
    except FileNotFoundError:
        return []
    return sorted(name for name in listed if name[0] != ".")


def sizes(root: str, files: list[str]) -> list[list[object]]:
    """[name, octets] of each file; -1 where there is none."""
    found: list[list[object]] = []
    for name in files:
        try:
            found.append([name, os.stat(f"{root}/{name}").st_size])  # noqa: PTH116 (pathlib is not loaded)
        except FileNotFoundError:
            found.append([name, -1])
    return found


def root_key(note: Note) -> bytes | None:
    """The repository's root key, by the passphrase or key file noted; None where that does not open the slot that is
    tried first. Waits for what `ahead` has begun."""
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    for wrapping, slot in _wrapping(note):
        if slot.get("restante_backup_key") != 1 or slot.get("repository") != note.repository:
            continue
        line = slot["line"]
        assert isinstance(line, bytes)
        bound = line[: line.rfind(_WRAPPED)] + _WRAPPED + b'"}'
        try:
            root = AESGCM(wrapping).decrypt(ahead.octets(slot, "nonce"), ahead.octets(slot, "wrapped"), bound)
        except (InvalidTag, ValueError):
            continue
        return root if len(root) == ahead.KEY_OCTETS else None
    return None


def _wrapping(note: Note) -> list[tuple[bytes, ahead.Slot]]:
    """Keys to be tried, and at which slots."""
    if note.key:
        key = _key_in(note.key)
        slots = ahead.slots(note.location, "key-file") if key else []
        return [(_derive(hmac.digest(key, ahead.octets(slot, "salt"), "sha256"), b"key file"), slot) for slot in slots]
    passphrase = ahead.passphrase_in(note.passphrase)
    if passphrase is None or not ahead.begin(note.location, passphrase):
        return []
    slots = ahead.slots(note.location, "passphrase")[:1]
    made = [(ahead.of_slot(passphrase, slot), slot) for slot in slots]
    return [(_derive(derived, b"passphrase"), slot) for derived, slot in made if derived is not None]


def _key_in(path: str) -> bytes:
    """The key of a key file, see `keys.parse_key_file`; nothing where it is none."""
    text = ahead.read(path, ahead.MOST_SLOT) or b""
    head, _, key = text.strip().partition(b":")
    if head != b"restante-backup-key-1" or len(key) != 52 or key != key.lower():
        return b""
    from base64 import b32decode

    try:
        return b32decode(key.upper() + b"====")
    except ValueError:
        return b""


def _derive(key: bytes, label: bytes) -> bytes:
    return hmac.digest(key, b"restante backup 1: " + label, "sha256")


def again(note: Note, root: bytes, at: int, random: Random) -> str | None:
    """Write the noted snapshot once more, as of this instant; the new one's name. None where it cannot be read, or is
    another one than was noted. root: the root key. Raises OSError."""
    data = ahead.read(f"{note.location}/{note.snapshot}", MOST_SNAPSHOT)
    if data is None or sha256(data).hexdigest() != note.snapshot.rpartition("-")[2]:
        return None
    files = _derive(root, b"files")
    content = _open(files, data)
    if content is None:
        return None
    serial = int(note.snapshot.partition("/")[2].partition("-")[0], 16) + 1
    then, now = _beginning(content[3:7], note), _beginning(at.to_bytes(4, "big"), note)
    if not content.startswith(then) or not content.endswith(ending(serial - 1)):
        return None
    content = now + content[len(then) : -len(ending(serial - 1))] + ending(serial)
    sealed = _seal(files, content, random(_SALT))
    name = f"snapshots/{serial:010x}-{sha256(sealed).hexdigest()}"
    for each in (f"twin/{name}", name):
        _put(note.location, each, sealed, random)
    return name


def _beginning(at: bytes, note: Note) -> bytes:
    """A snapshot's first octets: an array of thirteen, its version, `at` (4 octets), the host and the program."""
    return b"\x9d\x01\xce" + at + _text(note.host) + _text(note.program)


def ending(serial: int) -> bytes:
    """A snapshot's last octets: nobody was left out, its number as MessagePack."""
    for most, head, octets in ((1 << 7, b"", 1), (1 << 8, b"\xcc", 1), (1 << 16, b"\xcd", 2), (1 << 32, b"\xce", 4)):
        if serial < most:
            return b"\x90" + head + serial.to_bytes(octets, "big")
    return b"\x90\xcf" + serial.to_bytes(8, "big")


def _text(text: str) -> bytes:
    """A text of up to 255 octets as MessagePack; of a longer one nothing is noted."""
    data = text.encode()
    return bytes([0xA0 | len(data)]) + data if len(data) < 32 else bytes([0xD9, len(data)]) + data


def _open(files: bytes, data: bytes) -> bytes | None:
    """The content of a sealed file (`sealed.open_file`)."""
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    head = data[: len(_HEAD) + _SALT]
    if head[: len(_HEAD)] != _HEAD:
        return None
    try:
        plain = AESGCM(_derive(files, head)).decrypt(bytes(12), data[len(head) :], head)
    except InvalidTag:
        return None
    size = int.from_bytes(plain[:8], "little")
    return plain[8 : 8 + size] if size <= len(plain) - 8 else None


def _seal(files: bytes, content: bytes, salt: bytes) -> bytes:
    """A sealed file (`sealed.seal_file`)."""
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    head = _HEAD + salt
    plain = len(content).to_bytes(8, "little") + content
    plain += bytes(-(len(head) + len(plain) + _TAG) % _STEP)
    return head + AESGCM(_derive(files, head)).encrypt(bytes(12), plain, head)


def _put(root: str, name: str, data: bytes, random: Random) -> None:
    """As `folder.Folder.put`, into folders that are there."""
    making = f"{root}/.tmp/{random(16).hex()}"
    number = os.open(making, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        try:
            _write_all(number, data)
            os.fsync(number)
        finally:
            os.close(number)
        os.rename(making, f"{root}/{name}")  # noqa: PTH104 (pathlib is not loaded)
    except BaseException:
        os.unlink(making)  # noqa: PTH108 (pathlib is not loaded)
        raise
    number = os.open(f"{root}/{name}".rpartition("/")[0], os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(number)
    finally:
        os.close(number)


def _write_all(number: int, data: bytes) -> None:
    while data:
        data = data[os.write(number, data) :]
