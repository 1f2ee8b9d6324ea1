"""Archives whose headers say what no header should, and those of other programs' habits."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest

from restante.exchange import archive
from restante.exchange.detect import open_source
from restante.exchange.incoming import ExchangeRefusal, Incoming

MESSAGE = b"Subject: s\n\nbody\n"


def messages(path: Path) -> list[Incoming]:
    source = open_source(path)
    try:
        return [each for each in source.items() if isinstance(each, Incoming)]
    finally:
        source.close()


def named_long(size: int) -> bytes:
    """A GNU header that says: the next member's name has so many octets; and the name."""
    header = tarfile.TarInfo("././@LongLink")
    header.type, header.size = tarfile.GNUTYPE_LONGNAME, size
    return header.tobuf(tarfile.GNU_FORMAT) + b"a" * (size - 1) + b"\0" * (-(size - 1) % 512)


def a_member() -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as tar:
        member = tarfile.TarInfo("1.eml")
        member.size = len(MESSAGE)
        tar.addfile(member, io.BytesIO(MESSAGE))
    return made.getvalue()


def test_a_long_header_of_a_tar_is_not_read_into_memory(tmp_path: Path) -> None:
    path = tmp_path / "a.tar"
    path.write_bytes(named_long(512) + a_member())
    assert [each.data for each in messages(path)] == [MESSAGE]
    path.write_bytes(named_long(archive.LONGEST_HEADER) + a_member())
    with pytest.raises(ExchangeRefusal, match="damaged"):
        open_source(path)


def test_headers_that_announce_one_another_are_a_damaged_tar(tmp_path: Path) -> None:
    path = tmp_path / "a.tar"
    path.write_bytes(named_long(2) * 1_000 + a_member())
    with pytest.raises(ExchangeRefusal, match="damaged"):
        open_source(path)
