"""COMPRESS's layer by itself: what goes in comes out, at once, however it is cut; bounds; broken, hostile streams."""

from __future__ import annotations

import base64
import random
import tracemalloc
import zlib

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from restante.server.deflate import Compressors, DeflateFailed, DeflateLayer, Inflater, TooManyCompressed

ROW = b"* %d FETCH (UID %d FLAGS (\\Seen $Forwarded) MODSEQ (%d))\r\n"
RNG = random.Random(1)


def layer(most: int = 10, dictionaries: int = 10) -> DeflateLayer:
    return Compressors(most, dictionaries).open()


def deflated(data: bytes, flush: int = zlib.Z_SYNC_FLUSH, level: int = 6) -> bytes:
    compressor = zlib.compressobj(level, zlib.DEFLATED, -15)
    return compressor.compress(data) + compressor.flush(flush)


def inflated(inflater: Inflater, raw: bytes, most: int = 65_536) -> bytes:
    inflater.feed(raw)
    parts = []
    while part := inflater.take(most):
        assert len(part) <= most
        parts.append(part)
    return b"".join(parts)


# Outgoing --------------------------------------------------------------------------------------------


@settings(deadline=None)
@given(st.lists(st.binary(max_size=200) | st.integers(0, 300_000).map(RNG.randbytes), max_size=8), st.booleans())
def test_each_answer_can_be_read_at_once(answers: list[bytes], dropped: bool) -> None:
    sender, peer = layer(), zlib.decompressobj(-15)
    for answer in answers:
        assert peer.decompress(sender.compress(answer)) == answer
        if dropped:
            sender._compressors.drop(sender)
    assert peer.decompress(sender.finish(b"last")) == b"last"
    assert peer.eof
    assert peer.unused_data == b""


def test_responses_shrink_and_attachments_do_not_grow() -> None:
    rows = b"".join(ROW % (n, n + 100, n * 7) for n in range(20_000))
    picture = RNG.randbytes(1_000_000)
    sender = layer()
    assert len(sender.compress(rows)) < 0.25 * len(rows)
    coded = base64.encodebytes(picture)
    sender.compress(coded)
    assert len(sender.compress(coded)) < 0.77 * len(coded), "Huffman alone by now"
    sender.compress(picture)
    assert len(sender.compress(picture)) < 1.001 * len(picture)
    sender.compress(rows[:100_000])
    assert len(sender.compress(rows)) < 0.25 * len(rows), "with a dictionary again"
    assert len(sender.compress(b"a OK FETCH completed.\r\n")) < 30


def test_compressors_are_kept_for_those_who_wrote_last() -> None:
    bounds = Compressors(100, 3)
    layers = [bounds.open() for _ in range(20)]
    peers = [zlib.decompressobj(-15) for _ in layers]
    for turn in range(3):
        for one, peer in zip(layers, peers, strict=True):
            text = b"* %d EXISTS\r\n" % turn
            assert peer.decompress(one.compress(text)) == text
            assert len(bounds) <= 3
    for one in layers:
        one.close()
    assert (len(bounds), bounds.connections) == (0, 0)


def test_connections_that_have_it_are_bounded() -> None:
    bounds = Compressors(2, 1)
    first, _ = bounds.open(), bounds.open()
    with pytest.raises(TooManyCompressed):
        bounds.open()
    first.close()
    bounds.open()


# Incoming --------------------------------------------------------------------------------------------


@settings(deadline=None)
@given(
    st.lists(st.binary(max_size=3_000) | st.integers(0, 30_000).map(bytes), max_size=6),
    st.lists(st.integers(1, 5_000), max_size=10),
    st.integers(1, 70_000),
    st.sampled_from([zlib.Z_SYNC_FLUSH, zlib.Z_FULL_FLUSH, zlib.Z_PARTIAL_FLUSH]),
    st.sampled_from([0, 1, 6]),
)
def test_commands_come_out_however_they_are_cut(
    commands: list[bytes], cuts: list[int], most: int, flush: int, level: int
) -> None:
    compressor = zlib.compressobj(level, zlib.DEFLATED, -15)
    raw = b"".join(compressor.compress(command) + compressor.flush(flush) for command in commands)
    inflater, got = Inflater(), b""
    for cut in cuts:
        got += inflated(inflater, raw[:cut], most)
        raw = raw[cut:]
    assert got + inflated(inflater, raw, most) == b"".join(commands)
    assert not inflater.ended


@settings(deadline=None)
@given(st.binary(max_size=300), st.lists(st.integers(1, 40), max_size=8), st.booleans(), st.integers(0, 9))
@example(b"\0\0\0\0\1\0\0\2\0\x90\x90\x90\x91", [1, 1, 1, 1, 1, 29], False, 1)  # six octets end the flush
def test_what_stands_behind_the_last_flush_stays_plain(noise: bytes, cuts: list[int], ends: bool, level: int) -> None:
    """RFC 8437 4.1: the client stops compressing behind UNAUTHENTICATE, and may send the next command with it."""
    command, plain = noise + b"\r\na UNAUTHENTICATE\r\n", b"b LOGIN ann secret\r\n"
    raw = deflated(command, zlib.Z_FINISH if ends else zlib.Z_SYNC_FLUSH, level) + plain
    pieces = []
    for cut in cuts:
        pieces.append(raw[:cut])
        raw = raw[cut:]
    pieces += [raw[:-1], raw[-1:]]
    inflater, got, behind = Inflater(), b"", b""
    for piece in pieces:
        inflater.feed(piece)
        while not inflater.stopped and (part := inflater.take(65_536)):
            got += part
            if got.endswith(b"a UNAUTHENTICATE\r\n"):
                inflater.stop()
        if inflater.stopped:
            behind += inflater.behind()
    assert (got, behind) == (command, plain)
    assert inflater.settled


def test_an_empty_last_block_behind_a_flush_is_part_of_the_stream() -> None:
    compressor = zlib.compressobj(6, zlib.DEFLATED, -15)
    raw = compressor.compress(b"x\r\n") + compressor.flush(zlib.Z_SYNC_FLUSH) + compressor.flush(zlib.Z_FINISH)
    inflater = Inflater()
    inflater.feed(raw + b"plain")
    assert inflater.take(100) == b"x\r\n"
    inflater.stop()
    assert inflater.behind() == b"plain"
    assert inflater.settled


def test_plain_octets_without_a_flush_before_them_are_not_lost() -> None:
    """A client that flushes in a way that has no border (Z_PARTIAL_FLUSH) and waits for the answer."""
    inflater = Inflater()
    inflater.feed(deflated(b"x\r\n", zlib.Z_PARTIAL_FLUSH))
    assert inflater.take(100) == b"x\r\n"
    inflater.stop()
    assert inflater.behind() == b""
    inflater.feed(b"b NO")
    assert inflater.behind() == b""
    inflater.feed(b"OP\r\n")
    assert inflater.behind() == b"b NOOP\r\n"
    assert inflater.settled


def test_the_end_of_the_stream_is_noticed() -> None:
    inflater = Inflater()
    assert inflated(inflater, deflated(b"a NOOP\r\n", zlib.Z_FINISH) + b"more") == b"a NOOP\r\n"
    assert inflater.ended
    assert inflater.take(100) == b""


def test_a_bomb_comes_out_in_bounded_pieces_and_little_memory() -> None:
    bomb = deflated(bytes(200_000_000), level=9)[:131_072]
    inflater = Inflater()
    tracemalloc.start()
    try:
        inflater.feed(bomb)
        total = 0
        while part := inflater.take(65_536):
            assert len(part) <= 65_536
            total += len(part)
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()
    assert total > 100_000_000


@settings(deadline=None)
@given(st.binary(max_size=2_000), st.lists(st.integers(1, 50), max_size=10))
def test_any_octets_are_inflated_or_refused(data: bytes, cuts: list[int]) -> None:
    inflater = Inflater()
    try:
        for cut in [*cuts, len(data)]:
            inflated(inflater, data[:cut])
            data = data[cut:]
    except DeflateFailed:
        assert inflater.ended
        assert inflater.take(100) == b""


def test_broken_octets_are_refused() -> None:
    inflater = Inflater()
    inflater.feed(b"a NOOP\r\n" * 10)
    with pytest.raises(DeflateFailed):
        inflater.take(1 << 20)
