"""Names, letters and line ends: what is written can be read, and nothing is lost on the way."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from restante.sync.maildir.layout import Layout, Shape
from restante.sync.maildir.letters import changed, letters_in, names_of, split
from restante.sync.maildir.marker import Marker, format_marker, parse
from restante.sync.maildir.names import fresh_name, received_of, unique_name
from restante.sync.maildir.octets import RAW, size_named, size_of, stored, travelling

OCTETS = st.lists(st.sampled_from([b"\r", b"\n", b"\r\n", b"\r\r\n", b"x", b"\0", b"\xff"])).map(b"".join)


def name_for(data: bytes) -> tuple[bytes, bytes]:
    octets, raw = stored(data)
    return octets, unique_name(lambda n: bytes(n), 1, len(octets), len(data), raw=raw)


@given(OCTETS)
def test_what_is_written_travels_as_it_came(data: bytes) -> None:
    octets, name = name_for(data)
    assert travelling(octets, name) == data
    assert size_of(octets, name) == len(data) == size_named(name)
    if b"\r" not in data.replace(b"\r\n", b"") and b"\n" not in data.replace(b"\r\n", b""):
        assert b"\r" not in octets


@given(OCTETS)
def test_what_others_wrote_travels_with_crlf_and_stays_as_it_travels(octets: bytes) -> None:
    data = travelling(octets, b"1.other")
    assert data.count(b"\n") == data.count(b"\r\n")
    assert travelling(data, b"1.other") == data
    assert size_of(octets, b"1.other") == len(data)
    assert data.replace(b"\r\n", b"\n") == octets.replace(b"\r\n", b"\n")


INFOS = [
    (b"1.a:2,FS", (b"1.a", b":2,FS")),
    (b"1.a!2,S", (b"1.a", b"!2,S")),
    (b"1.a;2,", (b"1.a", b";2,")),
    (b"1.a", (b"1.a", b"")),
    (b"1.a,S=3:2,", (b"1.a,S=3", b":2,")),
    (b"1.a:1,x", (b"1.a:1,x", b"")),
]


@pytest.mark.parametrize(("file", "parts"), INFOS, ids=[file.decode() for file, _ in INFOS])
def test_a_name_is_split(file: bytes, parts: tuple[bytes, bytes]) -> None:
    assert split(file) == parts


def test_letters_are_changed_in_order_and_others_kept() -> None:
    assert changed(b":2,RSXb", "FDa", "S") == b":2,DFRXab"
    assert changed(b"", "S", "") == b":2,S"
    assert changed(b"!2,S", "", "S") == b"!2,"
    assert changed(b":2,S,extra", "F", "") == b":2,FS,extra"
    assert changed(b"", "S", "", b";") == b";2,S"


@given(st.sets(st.sampled_from("DFPRSTabz")), st.sets(st.sampled_from("DFPRSTabz")), st.sets(st.sampled_from("DFab")))
def test_letters_are_a_set(before: set[str], add: set[str], remove: set[str]) -> None:
    info = changed(b"", before, "")
    after = letters_in(changed(info, add, remove - add))
    assert after == "".join(sorted((before | add) - (remove - add)))


def test_letters_have_meanings() -> None:
    table = {"a": "Work", "b": "no good", "c": "\\Evil"}
    assert names_of(b":2,FPSabcdX", table) == ["\\Flagged", "$Forwarded", "\\Seen", "Work"]
    assert names_of(b":2,S,F", table) == ["\\Seen"]


def test_unique_names_say_date_and_sizes_and_no_machine() -> None:
    name = unique_name(lambda n: b"\x01" * n, 12, 100, 110, raw=True)
    assert name == b"12.R" + b"01" * 16 + b".restante,S=100,W=110" + RAW
    again = fresh_name(lambda n: b"\x02" * n, name)
    assert again == b"12.R" + b"02" * 16 + b".restante,S=100,W=110" + RAW
    assert fresh_name(lambda n: b"\x02" * n, b"odd").startswith(b"0.R0202")
    assert b"restante" not in fresh_name(lambda n: b"\x02" * n, b"12.3_4.host,U=7")  # its octets are another program's


def test_the_date_outlives_a_copy_that_does_not_keep_times() -> None:
    assert received_of(b"100.x", 5000.5) == 100
    assert received_of(b"100.x", 50.5) == 50
    assert received_of(b"odd", 50.5) == 50


MARKERS = [
    Marker("rabcdefgh"),
    Marker("rabcdefgh", "\\Sent"),
    Marker("rabcdefgh", None, ((".A_B", "A.B"),)),
    Marker("rabcdefgh", "\\Junk", (("Grüße", "Grüße/x y"), (".c_d", "c.d"))),
]


@pytest.mark.parametrize("marker", MARKERS, ids=str)
def test_a_marker_is_read_as_it_was_written(marker: Marker) -> None:
    data = format_marker(marker)
    assert parse(data) == marker
    for end in range(len(data)):  # cut off by somebody: none, or the same with less
        found = parse(data[:end])
        assert found is None or (found.id == marker.id and found.role in (None, marker.role))
        assert found is None or found.names == marker.names[: len(found.names)]


@pytest.mark.parametrize(
    "data", [b"", b"restante 2\nid rabcdefgh\n", b"restante 1\nid short\n", b"restante 1\nid a/b.....\n"]
)
def test_what_is_no_marker_is_none(data: bytes) -> None:
    assert parse(data) is None


@given(st.binary(max_size=60))
def test_any_octets_are_a_marker_or_none(data: bytes) -> None:
    parse(data)
    parse(b"restante 1\nid rabcdefgh\n" + data)


NAMES = [
    "A",
    "A/B",
    "cur",
    "new/tmp",
    "restante-removed-x",
    "..",
    "../../etc",
    "a.b",
    ".hidden",
    "日本語",
    "x" * 300,
    "\0",
    "a\nb",
]


@pytest.mark.parametrize("layout", Layout)
@pytest.mark.parametrize("utf8", [False, True])
@pytest.mark.parametrize("name", NAMES, ids=repr)
def test_a_mailbox_stays_inside_the_tree(name: str, layout: Layout, utf8: bool) -> None:
    path = Shape(layout, "" if layout is Layout.MAILDIRPP else "INBOX", utf8).path_of(name)
    levels = path.split("/")
    assert all(0 < len(level.encode()) <= 200 for level in levels)
    assert not {"", ".", "..", "cur", "new", "tmp"} & set(levels)
    assert "\0" not in path
    assert "\n" not in path
    if layout is Layout.MAILDIRPP:
        assert len(levels) == 1
        assert path.startswith(".")
        assert not path.startswith("..")
    else:
        assert not any(level.startswith((".", "restante-")) for level in levels)
