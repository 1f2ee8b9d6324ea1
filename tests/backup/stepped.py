"""A location that stops before one of its operations, so that something else happens just then."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from threading import Lock

from restante.backup.errors import Missing
from restante.backup.location import Location, checked


class Stepped(Location):
    """Puts, removals, listings, and reads of snapshots and lists are its steps, numbered from 0."""

    def __init__(self, beneath: Location) -> None:
        self.beneath = beneath
        self.at_once = 1
        self.done: list[str] = []
        """Steps that it has come to."""
        self.came = False
        """Whether it has come to the step that was waited for."""
        self._when: Callable[[str], bool] = lambda step: False
        self._meanwhile: Callable[[], object] = lambda: None

    def at(self, step: int, meanwhile: Callable[[], object]) -> None:
        """Call `meanwhile` before this step from now on, once."""
        number = len(self.done) + step
        self.when(lambda _: len(self.done) - 1 == number, meanwhile)

    def before(self, start: str, meanwhile: Callable[[], object]) -> None:
        """Call `meanwhile` before the first step from now on that begins like this."""
        self.when(lambda step: step.startswith(start), meanwhile)

    def when(self, chosen: Callable[[str], bool], meanwhile: Callable[[], object]) -> None:
        """Call `meanwhile` before the first step that is chosen."""
        self._when, self._meanwhile, self.came = chosen, meanwhile, False

    def _before(self, what: str) -> None:
        self.done.append(what)
        if not self.came and self._when(what):
            self.came = True
            self._meanwhile()

    def put(self, name: str, data: bytes) -> None:
        self._before(f"put {name}")
        self.beneath.put(name, data)

    def get(self, name: str, offset: int = 0, count: int | None = None) -> bytes:
        if not name.removeprefix("twin/").startswith(("mail/", "meta/", "keys/")):
            self._before(f"get {name}")
        return self.beneath.get(name, offset, count)

    def size(self, name: str) -> int:
        return self.beneath.size(name)

    def names(self, folder: str) -> Iterator[tuple[str, int]]:
        self._before(f"names {folder}")
        return iter(list(self.beneath.names(folder)))

    def remove(self, name: str) -> None:
        self._before(f"remove {name}")
        self.beneath.remove(name)

    def tidy(self, age: float) -> int:
        return self.beneath.tidy(age)


class Memory(Location):
    """Objects in this process's memory: no test waits for a disk. Listings see one instant."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self._lock = Lock()

    def put(self, name: str, data: bytes) -> None:
        with self._lock:
            self.objects.setdefault(checked(name), data)

    def get(self, name: str, offset: int = 0, count: int | None = None) -> bytes:
        data = self._data(name)
        return data[offset:] if count is None else data[offset : offset + count]

    def size(self, name: str) -> int:
        return len(self._data(name))

    def _data(self, name: str) -> bytes:
        with self._lock:
            data = self.objects.get(name)
        if data is None:
            raise Missing(f"{name} is missing.", name=name)
        return data

    def names(self, folder: str) -> Iterator[tuple[str, int]]:
        with self._lock:
            found = [(name, len(data)) for name, data in self.objects.items()]
        return iter([each for each in found if each[0].startswith(f"{folder}/" if folder else "")])

    def remove(self, name: str) -> None:
        with self._lock:
            self.objects.pop(name, None)

    def tidy(self, age: float) -> int:
        return 0
