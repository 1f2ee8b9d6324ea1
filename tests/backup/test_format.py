"""The format, by known answers: a repository written by any version is read by every later one.

What stands here was computed once and must not change: another answer is another format, with another version.
"""

from __future__ import annotations

import hashlib

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from restante.backup import frames, index, objects, pack, sealed
from restante.backup.answers import answers_data, answers_of, rows_of, runs
from restante.backup.crypto import Secrets, derive, file_name
from restante.backup.errors import Corrupt, NewerFormat
from restante.backup.keys import KeyFile, Method, Passphrase, Slot, decode_slot, encode_slot, open_slot
from restante.backup.objects import AnswersData, CatalogueData, SegmentData
from restante.backup.sealed import FileKind
from restante.backup.segments import Changes, make_catalogue, make_segment, merge, read_catalogue, read_placed
from restante.backup.writer import cut
from restante.store.backup import AnswerRow

ROOT = bytes(range(32))
SECRETS = Secrets.of(ROOT)
SALT = bytes(range(100, 132))


def short(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:16]


def test_keys_are_derived_by_label() -> None:
    assert short(derive(ROOT, b"ids")) == "f0bea244cec79040"
    assert short(SECRETS.files) == "d5ca187e69a161a2"
    assert SECRETS.id_of(b"m", hashlib.sha256(b"hello").digest()).hex() == (
        "ff46b0e8fc36ac3fe79ab742ba31282a20e9d60a3eefd61be0b6a29f45c870e3"
    )


def test_a_sealed_file() -> None:
    data = sealed.seal_file(SECRETS, FileKind.SNAPSHOT, b"content", SALT)
    assert len(data) == 4096
    assert data[:48] == b"RSTBKUP1S" + bytes(7) + SALT
    assert short(data) == "9eecd30df748e1a1"
    assert bytes(sealed.open_file(SECRETS, FileKind.SNAPSHOT, data)) == b"content"


def test_a_pack() -> None:
    raw = frames.RAW + b"helloworld"
    blocks = [pack.Framed(raw, 10, ((b"a" * 32, 5, b"m"), (b"b" * 32, 5, b"m")))]
    data, table = pack.build(SECRETS, FileKind.MAIL, SALT, blocks)
    assert len(data) == 65_536
    assert short(data) == "a99013b25f37d08f"
    reader, read, blocks_read = pack.read_whole(SECRETS, FileKind.MAIL, data)
    assert read == table
    assert [reader.block(n, each, table.blocks[n].raw) for n, each in blocks_read] == [b"helloworld"]


def test_an_index() -> None:
    table = pack.Table(
        (pack.Block(27, 10),), (pack.Entry(b"b" * 32, 0, 5, 5, b"m"), pack.Entry(b"a" * 32, 0, 0, 5, b"m"))
    )
    part = index.Part.of([(index.pack_of("ab" * 32, True, 65_536, table), table)])
    assert part.records == (
        b"a" * 32 + bytes(4 * 3) + (5).to_bytes(4, "little") + b"m" + b"b" * 32 + bytes(8) + b"\5\0\0\0\5\0\0\0m"
    )
    plain = msgspec.msgpack.encode([[["ab" * 32, True, 65_536, b"\x1b\0\0\0\x0a\0\0\0"]], part.records])
    encoded = part.encode()
    assert int.from_bytes(encoded[:8], "little") == len(plain)
    assert frames.unpack(encoded[8:], len(plain)) == plain
    read = index.Part.decode(encoded)
    assert read.spot(read.find(b"b" * 32)) == index.Spot(part.packs[0], 0, 5, 5, b"m")
    assert (read.find(b"c" * 32), read.find(b"0" * 32)) == (-1, -1)


SLOT = Slot(
    restante_backup_key=1, repository="00" * 16, method=Method.PASSPHRASE, label="home", created=1_800_000_000,
    memory=64, passes=1, lanes=1, salt=bytes(32), nonce=bytes(12), wrapped=b"",
)  # fmt: skip


def test_key_slots() -> None:
    wrapped = bytes.fromhex(
        "d383b2e1041e42ee143d4803d52bbe9040f466bba1b1b2c28be5e286ab6ac1ed1a7f0958e69120ec741f03d49ed13cea"
    )
    slot = msgspec.structs.replace(SLOT, wrapped=wrapped)
    assert encode_slot(slot).startswith(b'{"restante_backup_key":1,"repository":"0000')
    assert encode_slot(slot).endswith(b'"}\n')
    assert decode_slot(encode_slot(slot)) == slot
    assert open_slot(slot, Passphrase(b"correct horse")) == ROOT
    wrapped = bytes.fromhex(
        "df515c7c9dacb0840db11e5bddf076f405e0c7fb29031cda98e7d87812848d9ed4fc394559681316b6935037791cfb29"
    )
    by_file = msgspec.structs.replace(SLOT, method=Method.KEY_FILE, memory=0, passes=0, lanes=0, wrapped=wrapped)
    assert open_slot(by_file, KeyFile(bytes(32))) == ROOT


PLACED = [
    (1, 10, "m" + "a" * 26, "t" + "a" * 26, 5, b"1" * 32, 100, -5, 1_000, None, None, 1),
    (4, 12, "m" + "b" * 26, "t" + "a" * 26, 6, b"2" * 32, 2**31, 2_000, 2_001, b"3" * 32, "old", 2),
]
ROW = AnswerRow(
    b"(envelope)", b"(structure)", b"From: a\r\n", b"(body)", "Größe", b"parts", 1_000, None, "SUBJECT", 1,
    "a", "b", "c", "d", "e", "<m@x>", "<r@x> <s@x>", "A", "B", "C", "D", "SUBJECT", "FROM: A", 8, 12, 14,
)  # fmt: skip
SETS = {1: (0, ""), 2: (3, "$A $b"), 3: (4, "")}


def test_a_segment() -> None:
    data = make_segment(Changes(PLACED, [7, 8, 9, 20], [(2, 3)]), SETS, b"c" * 32)
    assert data.uids == b"\1\0\0\0\4\0\0\0"
    assert data.gone == b"\7\0\0\0\x09\0\0\0\x14\0\0\0\x14\0\0\0"
    assert (data.flagged, data.flagged_sets, data.flag_sets) == (
        b"\2\0\0\0",
        b"\2\0\0\0",
        ((0, ""), (3, "$A $b"), (4, "")),
    )
    assert short(objects.encode(data)) == "f6ed387a3af461a1"
    again = objects.decode(objects.encode(data), SegmentData)
    rows = read_placed(again)
    assert [tuple(row) for row in rows] == [
        (1, 10, "m" + "a" * 26, "t" + "a" * 26, b"1" * 32, 100, -5, 1_000, None, None, 0, ""),
        (4, 12, "m" + "b" * 26, "t" + "a" * 26, b"2" * 32, 2**31, 2_000, 2_001, b"3" * 32, "old", 3, "$A $b"),
    ]


@given(st.lists(st.tuples(st.booleans(), st.booleans(), st.integers(1, 3)), min_size=1, max_size=30), st.data())
def test_few_messages_of_a_segment_are_as_if_all_were_read(
    shapes: list[tuple[bool, bool, int]], data: st.DataObject
) -> None:
    placed = [
        (
            3 * n + 1, n, f"m{n:026}", f"t{n % 3:026}", n, bytes([n]) * 32, n, -n, n + 1,
            bytes([n + 100]) * 32 if arrival else None, f"old{n}" if uidl else None, flags,
        )
        for n, (arrival, uidl, flags) in enumerate(shapes)
    ]  # fmt: skip
    segment = make_segment(Changes(placed), SETS, b"")
    only = frozenset(data.draw(st.sets(st.sampled_from([row[2] for row in placed] + ["m" + "z" * 26]))))
    everything = merge([segment])
    assert merge([segment], only) == {uid: row for uid, row in everything.items() if row.email_id in only}


def test_answers() -> None:
    data = answers_data([ROW, None, ROW._replace(preview="p" * 70_000)])
    assert data.envelope == (b"(envelope)", b"", b""), "none, and too large, are left out"
    assert short(objects.encode(data)) == "366eea51702a13b5"
    assert rows_of(objects.decode(objects.encode(data), AnswersData))[0] == ROW
    assert list(runs([1, 2, 511, 512, 1023, 5000])) == [(0, 3), (3, 5), (5, 6)]


def test_an_account_of_a_backup_without_answers() -> None:
    old = [1, "i", 5, ["x", 1, []], 1, 2, [], [], [], [], [], [], [], [], [], []]
    assert answers_of(objects.decode(msgspec.msgpack.encode(old), objects.AccountData)) == {}


def test_segments_are_applied_in_order() -> None:
    first = make_segment(Changes(PLACED), SETS, b"")
    second = make_segment(Changes([], [1, 2, 3], [(4, 3), (99, 1)]), SETS, b"")
    found = merge([first, second])
    assert [(uid, row.system) for uid, row in found.items()] == [(4, 4)]
    assert merge([make_segment(Changes([], list(range(1, 50))), SETS, b""), first]).keys() == {1, 4}
    assert merge([first, make_segment(Changes([], list(range(1, 50))), SETS, b"")]) == {}


def test_a_catalogue_holds_any_text() -> None:
    rows = [("A\0B", "", "x" * 1_000, "<1@x>"), ("Größe", "c\nd", "", "")]
    made = objects.decode(objects.encode(make_catalogue(rows)), CatalogueData)
    assert read_catalogue(made) == [("AB", "", "x" * 300, "<1@x>"), ("Größe", "c\nd", "", "")]


def test_a_newer_version_is_refused_by_name() -> None:
    data = sealed.seal_file(SECRETS, FileKind.INDEX, b"x", SALT)
    with pytest.raises(NewerFormat):
        sealed.check_head(b"RSTBKUP2" + data[8:], FileKind.INDEX)
    with pytest.raises(Corrupt):
        sealed.check_head(data, FileKind.MAIL)
    newer = objects.encode([2, 1, "h", "v", [], b"", [], [], 0, 0, 0, []])
    with pytest.raises(NewerFormat):
        objects.decode(newer, objects.SnapshotData)


def test_fields_that_a_newer_version_adds_are_passed_over() -> None:
    data = msgspec.msgpack.encode(["a", "b", "c", "d", "something new"])
    assert objects.decode(data, CatalogueData) == CatalogueData("a", "b", "c", "d")


@given(st.binary(max_size=200), st.integers(0, 300))
def test_any_octets_are_a_frame_or_refused(data: bytes, size: int) -> None:
    try:
        assert len(frames.unpack(data, size)) == size
    except Corrupt:
        pass
    assert frames.unpack(frames.pack(data), len(data)) == data


@given(st.binary(max_size=400))
def test_any_octets_are_an_object_or_refused(data: bytes) -> None:
    for what in objects.KINDS:
        try:
            found = objects.decode(data, what)
        except (Corrupt, NewerFormat):
            continue
        if isinstance(found, SegmentData):
            try:
                merge([found])
            except Corrupt:
                pass
    for read in (pack.decode_table, index.Part.decode):
        try:
            read(data)
        except Corrupt:
            pass


COLUMN = st.binary(max_size=12)


@given(st.lists(COLUMN, min_size=17, max_size=17), st.lists(st.tuples(st.integers(0, 31), st.just("")), max_size=2))
def test_columns_that_do_not_agree_are_refused(columns: list[bytes], sets: list[tuple[int, str]]) -> None:
    data = msgspec.convert([*columns[:13], sets, *columns[13:]], SegmentData)
    try:
        merge([data])
    except Corrupt:
        pass


@given(st.binary(max_size=5_000_000) | st.integers(0, 3_000_000).map(lambda n: b"A: b\r\n\r\n" + bytes(n)))
def test_pieces_are_the_message(data: bytes) -> None:
    pieces = cut(data)
    assert b"".join(pieces) == data
    assert all(0 < len(piece) <= 1 << 20 for piece in pieces)


def test_a_file_is_called_by_its_content() -> None:
    assert file_name(b"") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
