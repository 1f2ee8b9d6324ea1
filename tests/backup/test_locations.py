"""Every location does the same: one suite, a parameter an implementation."""

from __future__ import annotations

import errno
import os
import threading
from pathlib import Path

import pytest

from restante.backup.errors import LocationFailed, Missing, NoRoom
from restante.backup.folder import TEMPORARY, Folder
from restante.backup.location import Location
from restante.clock import system_random

from .weed import Weed


@pytest.fixture(params=["folder", "s3", "s3-plain"])
def location(request: pytest.FixtureRequest, tmp_path: Path) -> Location:
    """s3-plain: a server that knows no conditional requests."""
    if request.param == "folder":
        return Folder(tmp_path / "deep" / "backup", system_random)
    from restante.backup.s3 import Bucket

    server: Weed = request.getfixturevalue("s3")
    bucket = Bucket(server.place(f"deep/{system_random(8).hex()}"), system_random)
    if request.param == "s3-plain":
        bucket._conditional = False
    return bucket


def test_what_was_put_is_read_whole_in_ranges_and_past_the_end(location: Location) -> None:
    data = bytes(range(256)) * 100
    location.put("mail/ab/one", data)
    assert location.get("mail/ab/one") == data
    assert location.get("mail/ab/one", 300, 7) == data[300:307]
    assert location.get("mail/ab/one", len(data) - 3, 10) == data[-3:]
    assert location.get("mail/ab/one", len(data) + 3, 10) == b""
    assert location.get("mail/ab/one", 5) == data[5:]
    assert location.size("mail/ab/one") == len(data)
    location.put("empty", b"")
    assert (location.get("empty"), location.size("empty")) == (b"", 0)


def test_what_is_there_stays_as_it_is(location: Location) -> None:
    location.put("keys/one-1", b"first")
    location.put("keys/one-1", b"second")
    assert location.get("keys/one-1") == b"first"


def test_names_are_those_below_a_folder(location: Location) -> None:
    for name in ("a/b/c", "a/d", "ab/e", "f"):
        location.put(name, name.encode())
    assert dict(location.names("")) == {"a/b/c": 5, "a/d": 3, "ab/e": 4, "f": 1}
    assert dict(location.names("a")) == {"a/b/c": 5, "a/d": 3}
    assert dict(location.names("nothing")) == {}


def test_what_is_removed_is_gone_and_can_be_removed_again(location: Location) -> None:
    location.put("a/b", b"x")
    location.remove("a/b")
    location.remove("a/b")
    with pytest.raises(Missing):
        location.get("a/b")
    with pytest.raises(Missing):
        location.size("a/b")
    assert dict(location.names("")) == {}


@pytest.mark.parametrize("name", ["", "/a", "a/", "../a", "a/../b", "A", ".tmp", "a//b", "a b", "a\0"])
def test_a_name_that_no_object_has_is_a_fault(location: Location, name: str) -> None:
    for act in (lambda: location.put(name, b""), lambda: location.get(name), lambda: location.remove(name)):
        with pytest.raises(ValueError):
            act()


def test_many_threads_put_and_read(location: Location) -> None:
    wrong: list[str] = []

    def work(number: int) -> None:
        for i in range(20):
            name, data = f"x/{i % 7}/{number}-{i}", f"{number} {i}".encode() * 100
            location.put(name, data)
            if location.get(name) != data:
                wrong.append(name)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    assert len(list(location.names("x"))) == 160


# A folder alone ----------------------------------------------------------------------------------------


def test_a_write_that_fails_leaves_no_object(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = Folder(tmp_path, system_random)
    real = os.write

    def full(number: int, data: bytes) -> int:
        if len(data) > 10:
            return real(number, bytes(data[:10]))
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(NoRoom):
        folder.put("mail/one", b"0123456789abc")
    monkeypatch.undo()
    assert list(folder.names("")) == []
    assert list((tmp_path / TEMPORARY).iterdir()) == []
    folder.put("mail/one", b"0123456789abc")
    assert folder.get("mail/one") == b"0123456789abc"


def test_files_are_for_their_owner_alone(tmp_path: Path) -> None:
    folder = Folder(tmp_path / "b", system_random)
    folder.put("keys/one-1", b"x")
    assert (tmp_path / "b" / "keys" / "one-1").stat().st_mode & 0o077 == 0
    assert (tmp_path / "b").stat().st_mode & 0o077 == 0


def test_what_a_cut_off_write_left_is_tidied_when_it_is_old(tmp_path: Path) -> None:
    folder = Folder(tmp_path, system_random)
    folder.put("a", b"x")
    left = tmp_path / TEMPORARY / "0123"
    left.write_bytes(b"half")
    assert folder.tidy(100) == 0
    os.utime(left, (left.stat().st_mtime - 101,) * 2)
    assert folder.tidy(100) == 1
    assert not left.exists()


def test_a_folder_that_cannot_be_used_is_a_refusal(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    folder = Folder(tmp_path / "file", system_random)
    with pytest.raises(LocationFailed):
        folder.put("a", b"x")
    with pytest.raises(LocationFailed):
        list(folder.names(""))
