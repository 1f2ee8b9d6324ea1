"""Room for one large allocation in pages of 2 MiB, where the C library is glibc's and the system has such pages.

Argon2id goes through its 64 MiB in no order. In pages of 4 KiB they are 16,384 faults, before the first of its lanes
begins, and a walk through page tables for most blocks: a quarter of its processor time. The system gives large pages to
who asks for them; OpenSSL does not, and glibc is told to by the environment, before the process begins. So the heap is
grown here by as much, large pages are asked for there, and the next large allocation takes its room from it.

That is a setting of the whole process, for programs that are over soon: `wanted` is called before there are threads,
`over` when the allocation was freed. Imports next to nothing.
"""

from __future__ import annotations

import sys

TYPE_CHECKING = False  # see `cli.entry`
if TYPE_CHECKING:
    from ctypes import CDLL

LARGE = 2 << 20
SLACK = 2 * LARGE
"""Octets more than are wanted: what others take of it meanwhile."""
MOST = 1 << 30

_TRIM_THRESHOLD, _MMAP_THRESHOLD, _MMAP_MAX, _ARENA_MAX = -1, -3, -4, -8
"""Parameters of mallopt(3)."""
_HUGEPAGE = 14
"""MADV_HUGEPAGE of madvise(2)."""
_USUAL_MMAP_MAX = 65_536
_USUAL_MMAP_THRESHOLD = 32 << 20
"""What glibc itself comes to in a process that frees large blocks, and no more after the first mallopt(3)."""


def wanted(octets: int) -> bool:
    """Make room for one allocation of so many octets; whether that was done. Cost: 1.5 ms, most of it for ctypes, and
    none of the room's before it is used."""
    if not sys.platform.startswith("linux") or not LARGE <= octets <= MOST or _enabled() != "madvise":
        return False
    library = _library()
    if library is None:
        return False
    from ctypes import c_size_t, c_void_p

    library.malloc.restype = c_void_p
    # One arena: other threads' are too small for it. No mapping of its own: it is to lie in the heap, which stays.
    for parameter, value in ((_ARENA_MAX, 1), (_MMAP_MAX, 0), (_TRIM_THRESHOLD, 2 * octets + SLACK)):
        library.mallopt(parameter, value)
    size = octets + SLACK
    start = library.malloc(c_size_t(size))
    if start is None:
        over()
        return False
    first = -(-start // LARGE) * LARGE
    library.madvise(c_void_p(first), c_size_t((start + size - first) // LARGE * LARGE), _HUGEPAGE)
    library.free(c_void_p(start))
    return True


def over() -> None:
    """What was allocated is free again: give it back to the system, and go on as usual, but with one heap for all
    threads: that cannot be undone once they allocate (a server wants it so, see `memory`)."""
    library = _library()
    if library is None:
        return
    from ctypes import c_size_t

    library.mallopt(_MMAP_MAX, _USUAL_MMAP_MAX)
    library.mallopt(_MMAP_THRESHOLD, _USUAL_MMAP_THRESHOLD)
    library.mallopt(_TRIM_THRESHOLD, 2 * _USUAL_MMAP_THRESHOLD)
    library.malloc_trim(c_size_t(0))


def _library() -> CDLL | None:
    """The C library, None where it is another one, also one that takes itself for glibc's, or cannot be asked."""
    from ctypes import CDLL

    try:
        library = CDLL(None)
    except OSError:  # a program that is linked statically
        return None
    needed = ("gnu_get_libc_version", "mallopt", "malloc_trim")
    return library if all(hasattr(library, name) for name in needed) else None


def _enabled() -> str:
    """Who gets large pages: "always" everybody, "madvise" who asks, "never" nobody; "" where that is not known."""
    try:
        with open("/sys/kernel/mm/transparent_hugepage/enabled") as file:  # noqa: PTH123 (pathlib is not loaded)
            return file.read(100).partition("[")[2].partition("]")[0]
    except OSError:
        return ""
