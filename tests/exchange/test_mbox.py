"""mbox: four ways of quoting, flags of four families of programs, From_ lines that are none."""

from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from restante.exchange import mbox
from restante.exchange.dates import from_line_date
from restante.exchange.export import format_mbox
from restante.exchange.incoming import Incoming, Skipped
from restante.exchange.mbox import Raw, Splitter, is_mbox, looks_like_from_line, read_mbox
from restante.store.model import Flags, System

from .store import SHARED

FROM = b"From a@example.org Mon Jun  3 12:50:27 1996\n"


def read(data: bytes, largest: int = 1 << 20) -> list[Incoming | Skipped]:
    return list(read_mbox(io.BytesIO(data), "m", "file", 77, largest))


def bodies(data: bytes) -> list[bytes]:
    found = []
    for each in read(data):
        assert isinstance(each, Incoming)
        found.append(each.data)
    return found


CASES = [
    pytest.param(FROM + b"S: 1\n\n>From x\n>>From y\n\n", [b"S: 1\n\nFrom x\n>From y\n"], id="mboxrd"),
    pytest.param(FROM + b"S: 1\n\na\n\n" + FROM + b"S: 2\n\nb\n", [b"S: 1\n\na\n", b"S: 2\n\nb\n"], id="two"),
    pytest.param(
        FROM + b"S: 1\nContent-Length: 14\n\n>From x\nline2\n\n" + FROM + b"S: 2\n\nb\n",
        [b"S: 1\n\nFrom x\nline2\n", b"S: 2\n\nb\n"],
        id="mboxcl",
    ),
    pytest.param(
        FROM + b"S: 1\nContent-Length: 60\n\n" + FROM + b">From a: b\n\nxxx\n" + b"\n" + FROM + b"S: 2\n\nb\n",
        [b"S: 1\n\n" + FROM + b">From a: b\n\nxxx\n", b"S: 2\n\nb\n"],
        id="mboxcl2",
    ),
    pytest.param(
        FROM + b"S: 1\nContent-Length: 3\n\nlonger\n\n" + FROM + b"S: 2\n\nb\n",
        [b"S: 1\nContent-Length: 3\n\nlonger\n", b"S: 2\n\nb\n"],
        id="a Content-Length that leads nowhere is not believed",
    ),
    pytest.param(
        FROM + b"S: 1\n\n\nFrom Russia with love\nYear: 1963\n",
        [b"S: 1\n\n\nFrom Russia with love\nYear: 1963\n"],
        id="no date, no From_ line",
    ),
    pytest.param(b"From - \nS: 1\n\na\n\nFrom -\nS: 2\n\nb\n", [b"S: 1\n\na\n", b"S: 2\n\nb\n"], id="Netscape"),
    pytest.param(b"From -\nS: 1\n\na\n\nFrom -\nno field\n", [b"S: 1\n\na\n\nFrom -\nno field\n"], id="not Netscape"),
    pytest.param(b"\xef\xbb\xbf" + FROM + b"S: 1\n\na\n", [b"S: 1\n\na\n"], id="a byte order mark"),
    pytest.param(FROM.replace(b"\n", b"\r\n") + b"S: 1\r\n\r\na\r\n\r\n", [b"S: 1\r\n\r\na\r\n"], id="CRLF"),
    pytest.param(FROM + b"\nbody\n", [b"\nbody\n"], id="no header"),
    pytest.param(FROM + b"S: 1\n\n" + b"x" * 200_000 + b"\nFrom b\n", [b"S: 1\n\n" + b"x" * 200_000 + b"\nFrom b\n"],
                 id="a line longer than what is read at once"),
]  # fmt: skip


@pytest.mark.parametrize(("data", "expected"), CASES)
def test_messages_are_taken_apart(data: bytes, expected: list[bytes]) -> None:
    assert bodies(data) == expected


def test_no_from_line_at_the_start_is_said() -> None:
    (found,) = read(b"Subject: not an mbox\n\nbody\n")
    assert isinstance(found, Skipped)
    assert not is_mbox(io.BytesIO(b"Subject: x\n\n"))


def test_too_large_is_skipped_and_the_next_is_read() -> None:
    large = FROM + b"S: 1\n\n" + b"line\n" * 1000 + b"\n"
    measured = FROM + b"S: 1\nContent-Length: 5000\n\n" + b"line\n" * 1000 + b"\n"
    for first in (large, measured):
        found = read(first + FROM + b"S: 2\n\nb\n", largest=1000)
        assert isinstance(found[0], Skipped)
        assert found[0].lost
        assert isinstance(found[1], Incoming)
        assert found[1].data == b"S: 2\n\nb\n"


FLAG_CASES = [
    (b"Status: RO\n", System.SEEN, ()),
    (b"Status: O\nX-Status: AFDT\n", System.ANSWERED | System.FLAGGED | System.DELETED | System.DRAFT, ()),
    (b"X-Keywords: a $b  \nX-UID: 12\n", System.NONE, ("a", "$b")),
    (b"X-Keywords: one\n two\n", System.NONE, ("one", "two")),
    (b"X-Keywords: bad(word ok\n", System.NONE, ("ok",)),
    (
        b"X-Mozilla-Status: 1007\nX-Mozilla-Status2: 00000000\n",
        System.SEEN | System.ANSWERED | System.FLAGGED,
        ("$Forwarded",),
    ),
    (b"X-Mozilla-Keys: $label1                 \n", System.NONE, ("$label1",)),
]


@pytest.mark.parametrize(("fields", "system", "keywords"), FLAG_CASES)
def test_flags_are_lifted_out_of_the_header(fields: bytes, system: System, keywords: tuple[str, ...]) -> None:
    (found,) = read(FROM + b"Subject: s\n" + fields + b"To: t\n\nStatus: stays\n")
    assert isinstance(found, Incoming)
    assert found.data == b"Subject: s\nTo: t\n\nStatus: stays\n"
    assert found.flags == Flags(system, frozenset(keywords))


DATES = [
    (b"From a@b Mon Jun  3 12:50:27 1996", 833_806_227),
    (b"From a@b Mon Jun 3 12:50 1996", 833_806_200),
    (b"From a@b Mon Jun  3 12:50:27 1996 +0200", 833_806_227 - 7200),
    (b"From a@b Mon Jun  3 12:50:27 MET DST 1996", 833_806_227),
    (b"From a@b Mon Jun  3 12:50:27 -0100 1996", 833_806_227 + 3600),
    (b"From uucp Mon Jun  3 12:50:27 1996 remote from host", 833_806_227),
    (b"From a@b Mon Jun 33 12:50:27 1996", None),
    (b"From a@b Mon Jun  3 25:50:27 1996", None),
    (b"From me to you", None),
]


@pytest.mark.parametrize(("line", "expected"), DATES)
def test_from_line_dates(line: bytes, expected: int | None) -> None:
    assert from_line_date(line) == expected


def test_the_header_says_when_the_from_line_does_not() -> None:
    data = b"From -\nReceived: by x; Mon, 3 Jun 1996 12:50:27 +0000\nDate: Sun, 2 Jun 1996 00:00:00 +0000\n\nb\n"
    (found,) = read(data)
    assert isinstance(found, Incoming)
    assert found.received == 833_806_227
    (found,) = read(b"From -\nSubject: none\n\nb\n")
    assert isinstance(found, Incoming)
    assert found.received == 77


@given(
    st.lists(
        st.tuples(st.lists(st.sampled_from([b"From x", b">From y", FROM[:-1], b"", b"S: 1", b"text"])), st.booleans()),
        min_size=1,
        max_size=4,
    )
)
def test_what_is_written_is_read_again(messages: list[tuple[list[bytes], bool]]) -> None:
    flags = Flags(System.SEEN, frozenset({"k"}))
    originals = [b"Subject: s\r\n\r\n" + b"".join(line + b"\r\n" for line in lines) for lines, _ in messages]
    text = b"".join(format_mbox(data, flags if flagged else Flags(), 12) for data, (_, flagged) in zip(
        originals, messages, strict=True))  # fmt: skip
    found = read(text)
    assert [each.data.replace(b"\n", b"\r\n") for each in found if isinstance(each, Incoming)] == originals
    assert [each.flags == flags for each in found if isinstance(each, Incoming)] == [flagged for _, flagged in messages]


@given(st.binary(max_size=3000))
def test_any_octets_end(data: bytes) -> None:
    read(data, largest=1000)
    read(FROM + data, largest=1000)


class ByLine(Splitter):
    """Reads a body one line after the other: slow, and plain to see."""

    def _scanned(self, from_line: bytes, offset: int, header: bytes) -> tuple[Raw, int, bytes]:
        lines, blank = [header], header.endswith((b"\n\n", b"\n\r\n")) or header in (b"\n", b"\r\n")
        while line := self._stream.readline():
            if looks_like_from_line(line, blank, self._peek()):
                break
            blank = line in (b"\n", b"\r\n")
            lines.append(line)
        at = self._stream.tell() - len(line)
        fits = sum(map(len, lines)) <= self._largest
        if blank and len(lines) > 1:
            lines.pop()
        return Raw(from_line, offset, b"".join(lines) if fits else b"", False, not fits), at, line


PIECES = [
    FROM, b"From ", b"From Russia with love\n", b">From x\n", b"\n", b"\r\n", b"S: 1\n", b"Subject: s\n", b"text\n",
    b"x" * 9, b"From -\n", b"\r",
]  # fmt: skip


@given(st.lists(st.sampled_from(PIECES), max_size=30), st.integers(1, 40), st.sampled_from([10, 60, 10_000]))
def test_blocks_are_as_lines_wherever_their_borders_lie(pieces: list[bytes], block: int, largest: int) -> None:
    data = FROM + b"".join(pieces)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mbox, "FIRST_BLOCK", block)
        patch.setattr(mbox, "LAST_BLOCK", 2 * block)
        found = list(Splitter(io.BytesIO(data), largest).messages())
    assert found == list(ByLine(io.BytesIO(data), largest).messages())


@pytest.mark.skipif(not SHARED.is_dir(), reason="../shared/mail is not here")
def test_real_mboxes() -> None:
    (one, two) = bodies((SHARED / "torture" / "unmunged.mbox").read_bytes())
    assert b"\nFrom Russia with love\n" in one
    assert b"\nFrom Russia with love\nYear: 1963\n" in two
    assert len(bodies((SHARED / "real" / "list.mbox").read_bytes())) == 29


WRITTEN = [
    (b"A: b\nX-Status: DONE\nStatus: RO\nX-Keywords: a\n b\nContent-Length: 1\n\nbody\n", b"A: b\n\nbody\n"),
    (b"Subject: s\n" + FROM + b"To: t\n\nbody\n", None),
    (FROM + b"Subject: s\n\nbody\n", None),
    (b">" + FROM + b"Subject: s\n\nbody\n", None),
    (b"".join(b"X-%06d: %b\n" % (n, b"x" * 100) for n in range(12_000)) + b"\nbody\n", None),
]


@pytest.mark.parametrize(
    ("message", "expected"), WRITTEN, ids=["the file's fields", "within", "before", "quoted", "more than a megabyte"]
)
def test_no_header_makes_flags_or_messages_of_its_own(message: bytes, expected: bytes | None) -> None:
    flags = Flags(System.FLAGGED, frozenset({"k"}))
    text = format_mbox(message.replace(b"\n", b"\r\n"), flags, 12) + format_mbox(b"Subject: 2\n\n", Flags(), 12)
    found = read(text, largest=2 << 20)
    assert [each.data for each in found if isinstance(each, Incoming)] == [expected or message, b"Subject: 2\n\n"]
    assert [each.flags for each in found if isinstance(each, Incoming)] == [flags, Flags()]


@pytest.mark.parametrize("start", [b"", b"\n", b"\r\n\r\n", b"\xef\xbb\xbf\n"])
def test_an_mbox_may_begin_with_empty_lines(start: bytes) -> None:
    stream = io.BytesIO(start + FROM + b"S: 1\n\nb\n")
    assert mbox.is_mbox(stream)
    assert stream.tell() == 0
    assert bodies(stream.getvalue()) == [b"S: 1\n\nb\n"]
    assert not mbox.is_mbox(io.BytesIO(b"\n" * 1000))
