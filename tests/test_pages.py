"""Room in large pages: asked for where the system gives it on demand, and nothing else changed by it."""

from __future__ import annotations

import subprocess
import sys

import pytest

from restante import pages

CODE = """
import sys, threading
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id
from restante import pages

def kilobytes(file, field):
    with open(f"/proc/self/{file}") as lines:
        return next((int(line.split()[1]) for line in lines if line.startswith(field)), 0)

def watch():
    while not over.wait(0.001):
        seen.append(kilobytes("smaps_rollup", "AnonHugePages:"))

roomy = pages.wanted(64 << 20) if sys.argv[1] == "roomy" else False
seen, over = [0], threading.Event()
watching = threading.Thread(target=watch)
watching.start()
key = Argon2id(salt=b"s" * 32, length=32, iterations=3, lanes=1, memory_cost=64 << 10).derive(b"secret")
over.set()
watching.join()
if roomy:
    pages.over()
print(key.hex(), roomy, max(seen), kilobytes("status", "VmRSS:"))
"""


def derive(how: str) -> tuple[str, bool, int, int]:
    """(key, whether room was made, kilobytes in large pages at most, kilobytes held afterwards)."""
    done = subprocess.run([sys.executable, "-c", CODE, how], capture_output=True, text=True, check=True, timeout=60)
    key, roomy, large, held = done.stdout.split()
    return key, roomy == "True", int(large), int(held)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="Linux's")
def test_the_key_is_the_same_and_its_room_is_given_back() -> None:
    plain, roomy = derive("plain"), derive("roomy")
    assert roomy[0] == plain[0]
    assert roomy[3] < plain[3] + 16_384
    if not roomy[1]:
        pytest.skip("this system gives large pages to everybody, or to nobody")
    assert plain[2] < 8_192
    assert roomy[2] > plain[2] + 8_192, "as much as the system has, all of it as a rule"


@pytest.mark.parametrize("octets", [0, pages.LARGE - 1, pages.MOST + 1])
def test_what_is_small_or_much_gets_none(octets: int) -> None:
    assert not pages.wanted(octets)


@pytest.mark.parametrize("enabled", ["always", "never", ""])
def test_nothing_is_changed_where_it_is_of_no_use(monkeypatch: pytest.MonkeyPatch, enabled: str) -> None:
    monkeypatch.setattr(pages, "_enabled", lambda: enabled)
    monkeypatch.setattr(pages, "_library", None)  # would fail
    assert not pages.wanted(64 << 20)


def test_another_c_library_is_left_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pages, "_enabled", lambda: "madvise")
    monkeypatch.setattr(pages, "_library", lambda: None)
    assert not pages.wanted(64 << 20)
    pages.over()


class Imitation:
    """A C library that says that it is glibc's, and has not all of it."""

    gnu_get_libc_version = malloc = madvise = free = None


def _static(name: None) -> None:
    raise OSError("Dynamic loading not supported")


@pytest.mark.parametrize("library", [_static, lambda name: Imitation()])
def test_a_c_library_that_cannot_be_asked_is_left_as_it_is(monkeypatch: pytest.MonkeyPatch, library: object) -> None:
    monkeypatch.setattr(pages, "_enabled", lambda: "madvise")
    monkeypatch.setattr("ctypes.CDLL", library)
    assert not pages.wanted(64 << 20)
    pages.over()
